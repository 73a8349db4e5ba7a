# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in other languages: their files fit the code, and sentences are known by their templates."""

import ast
import importlib.util
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import thunder_core.engine.pipeline  # noqa: F401, marks steps
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.errors import ThunderError
from thunder_core.findings import Fault, Finding
from thunder_core.translation import (
    form_context,
    plural_rule,
    read,
    sort_templates,
    translate,
    wrap,
)

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("languages", ROOT / "setup" / "languages.py")
languages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(languages)
FILES = sorted(languages.FILES.glob("*.po"))
# Whose sentences an animator may read from the first click to Commit. Those of the engine come
# through its pipe as they are, in English.
SPEAKERS = (
    "operators/shown_take.py",
    "operators/take_list.py",
    "scene/animation/",
    "scene/engine/connection.py",
    "scene/heads/character.py",
    "scene/heads/head.py",
    "scene/takes/browsing.py",
    "scene/takes/commit/",
    "scene/takes/dialogue.py",
    "scene/takes/direction/live.py",
    "scene/takes/generation.py",
    "scene/takes/last_look.py",
    "scene/takes/take_list.py",
    "scene/voice/changes.py",
    "scene/voice/mixdown.py",
    "scene/voice/recording.py",
    "scene/voice/strip.py",
    "thunder_core/client.py",
    "thunder_core/direction.py",
    "thunder_core/engine/engine.py",
    "thunder_core/engine/generate.py",
    "thunder_core/engine/loaded.py",
    "thunder_core/engine/network.py",
    "thunder_core/engine/scorer.py",
    "thunder_core/engine/speech/audio.py",
    "thunder_core/engine/verbs.py",
    "thunder_core/engine/voice.py",
    "thunder_core/engine/worker.py",
    "thunder_core/protocol.py",
    "thunder_core/steps.py",
    "thunder_core/wav.py",
    "thunder_core/weight_files.py",
    "thunder_core/worker_process.py",
)
ELSEWHERE = {  # of these what only bakes, scripts and a client of another version are told
    "There is no object “{name}” in the scene “{name2}”: ",
    "“tolerance” is {tolerance} but must be one of {tolerances}",
    "The channel of a sound {error}: choose one of these",
    "A request was not a JSON line with an id, a verb and args: it was ignored",
    "Energy, brows and head follow how lively the voice sounds",  # a tooltip
    "{text}, lips within {errors} mm",  # each part is translated
}
ENTRIES = {
    path.stem: {
        key: said
        for key, said in read(path.read_text(encoding="utf-8")).items()
        if not key[0].startswith(form_context(0)[:-1])  # which others than English need
    }
    for path in FILES
}
COMPLETE = ("de_DE", "es", "fr_FR", "ja_JP", "zh_HANS")  # others may have as much as they like


def in_language(language):
    """Says a text in a language, as Blender would have it looked up."""
    texts = {text: said for (_, text), said in ENTRIES[language].items()}
    templates = sort_templates(texts)
    return lambda text: translate(text, [lambda each: texts.get(each, each)], templates)


def placeholders(template):
    """The names of a template's values, in order of the alphabet."""
    return sorted(re.findall(r"\{(\w+)\}", template))


def faults(po, known):
    """What is wrong with the file of a language: texts that are not in the code, and values that a
    translation lost or invented."""
    entries = read(po)
    return [f"gone: {text}" for _, text in entries if text not in known] + [
        f"other values: {text}"
        for (_, text), said in entries.items()
        if set(placeholders(text)) != set(placeholders(said))
    ]


@pytest.fixture(scope="module")
def code():
    return languages.collect()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_that_is_translated_is_in_the_code_and_keeps_its_values(path, code):
    assert faults(path.read_text(encoding="utf-8"), code[1]) == []


def test_a_text_that_is_gone_and_a_value_that_is_lost_are_named():
    entry = languages.entry
    po = entry("", "Old label", "", ["Alt"]) + entry("", "{n} takes", "", ["Takes"])
    po += entry("", "{n} line", "{n} lines", ["{n} Zeile", "{n} Zeilen"])
    found = faults(po, {"{n} takes", "{n} line", "{n} lines"})
    assert found == ["gone: Old label", "other values: {n} takes"]


def test_complete_languages_have_the_same_texts():
    texts = {language: {text for _, text in ENTRIES[language]} for language in COMPLETE}
    every = set().union(*texts.values())
    assert len(every) > 600
    lacks = [
        f"{language}.po lacks “{text}”" for language in COMPLETE for text in every - texts[language]
    ]
    assert not lacks, "\n".join(["add to assets/languages:", *sorted(lacks)])


@pytest.mark.parametrize("language", ENTRIES)
@pytest.mark.parametrize("name", ("7", "Line 3: wait, no. It is; all · of it.wav"))
def test_each_sentence_is_known_by_its_template(language, name):
    """None is taken for one that another template made, whatever the names in it are, and numbers
    come through."""
    say = in_language(language)
    for (_, text), said in ENTRIES[language].items():
        if names := placeholders(text):
            values = {each: name if f"“{{{each}}}”" in text else "7" for each in names}
            assert say(text.format(**values)) == said.format(**values), text


def own_words(text):
    """How many words a template has besides its values."""
    return len(re.findall(r"[^\W\d_]{2,}", re.sub(r"\{\w+\}", "", text)))


def test_all_that_is_said_from_the_first_click_to_commit_is_translated(code):
    translated = {text for _, text in ENTRIES["de_DE"]} | ELSEWHERE
    said = {
        text
        for text, (where, kind) in code[0].items()
        if where.startswith(SPEAKERS) and kind != languages.TOOLTIP and own_words(text) > 1
    }
    assert len(said) > 200
    assert said <= translated


def reasons_and_reports(path):
    """The texts in operators' obstacles, and in what returns reasons and reports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="obstacles")])
                | ast.AnnAssign(target=ast.Name(id="obstacles"))
            ):
                pass
            case ast.FunctionDef(name=name) if re.search("why|^(act|begin|finish|outcome)$", name):
                pass
            case _:
                continue
        for each in ast.walk(node):
            if isinstance(each, ast.Constant | ast.JoinedStr):
                yield languages.template_of(each)


def test_reasons_of_grey_buttons_and_reports_are_translated(code):
    said = {
        text
        for path in (ROOT / "operators").glob("*.py")
        for text in reasons_and_reports(path)
        if code[0].get(text, ("", ""))[1] == languages.MESSAGE
    } - {"Upper lid, left"}  # an object
    assert len(said) > 90 and "Enter a model's name, such as base" in said
    for language in COMPLETE:
        assert said <= {text for _, text in ENTRIES[language]}


@pytest.mark.parametrize("language", COMPLETE)
def test_what_the_engine_says_is_known_as_it_comes(language, tmp_path):
    """Its sentences cross the pipe finished, in English; in all of them no word is left English."""
    nan = np.full(16000, np.nan, np.float32)
    sentences = [
        Finding(kind, 1.0, 1.4, size, 2.0, "m", "さ", "し", whole).sentence(25)
        for kind in Fault
        for size in (-0.2, 0.2, 1.4)
        for whole in (False, True)
    ]
    for raises in (
        lambda: read_sound(tmp_path / "さ, し: す. せ.wav"),
        lambda: sound_of(nan, 16000, "さ"),
        lambda: sound_of(nan[:99], 16000, "さ"),
    ):
        with pytest.raises(ThunderError) as info:
            raises()
        sentences.append(str(info.value))
    say = in_language(language)
    for sentence in sentences:
        english = set(re.findall("[a-z]{3,}", sentence)) - {"wav", "nan"}
        assert len(english) > 2
        left = english.intersection(re.findall("[^\\W\\d_]{3,}", say(sentence).lower()))
        assert len(left) <= 1, say(sentence)  # “son” is a French sound


def test_all_labels_and_what_is_being_done_are_translated(code):
    translated = {text for _, text in ENTRIES["de_DE"]}
    labels = {
        text
        for text, (where, kind) in code[0].items()
        if where.startswith(("panels/", "operators/", "scene/"))
        and kind == languages.LABEL
        and own_words(text)
    }
    assert len(labels) > 300
    assert labels - translated == {"Thunder", "Basis"}  # names of the product and of a shape key


def test_german_addresses_nobody():
    said = "\n".join(ENTRIES["de_DE"].values())
    assert (
        re.findall(r".*(?:\b[Dd](?:eine?[mnrs]?|u|ich|ir)\b|\w (?:Sie|Ihre?|Ihnen)\b).*", said)
        == []
    )


def test_no_operator_reports_in_english_past_the_translation():
    for path in (ROOT / "operators").glob("*.py"):
        reports = re.findall(r"self\.report\(.*", path.read_text(encoding="utf-8"))
        assert reports == ["self.report(kinds, translated(sentence))"] * (path.stem == "base"), path


def test_what_is_put_together_is_said_in_each_languages_order():
    german, japanese = in_language("de_DE"), in_language("ja_JP")
    words = "calm, hits boxes and sing, looks away in the pause"
    assert german(words) == "ruhig, betont boxes und sing, blickt weg in der Pause"
    assert japanese(words) == "冷静、boxes と sing を強調、間で目をそらす"
    sentence = "Committed to “Keys”: 52 keys on 30 of 160 frames, lips within 0.30 mm"
    assert german(sentence) == (
        "In „Keys“ übernommen: 52 Keys auf 30 von 160 Bildern, Lippen auf 0.30 mm genau"
    )
    assert german("looks away in a pause") == "blickt weg in einer Pause"
    assert german("Strip 2 of 5: analyzing the voice") == "Streifen 2 von 5: Stimme wird analysiert"
    assert german("Poor: Lips are late by 3 frames from “a” to “b”") == (
        "Schwach: Lippen sind 3 Bilder zu spät von „a“ bis „b“"
    )


def test_a_count_takes_the_form_that_its_language_has_for_it():
    """By the rule in the head of its file, of which English may have another."""
    po = 'msgid ""\nmsgstr "Plural-Forms: nplurals=3; plural=n%10==1 ? 0 : n>4 ? 2 : 1;\\n"\n\n'
    po += languages.entry("", "{n} take", "{n} takes", ["{n} дубль", "{n} дубля", "{n} дублей"])
    entries, rule = read(po), plural_rule(po)
    texts = {text: said for (_, text), said in entries.items()}

    def say(text):
        return translate(
            text, [lambda each: texts.get(each, each)], sort_templates(texts),
            lambda each, count: entries.get((form_context(rule(count)), each), each),
        )  # fmt: skip

    assert [say(f"{n} take{'s' * (n != 1)}") for n in (1, 3, 7, 21)] == [
        "1 дубль", "3 дубля", "7 дублей", "21 дубль",
    ]  # fmt: skip
    assert plural_rule("Plural-Forms: nplurals=2; plural=oh no;")(1) == 0


def test_what_is_not_known_stays_english_as_a_whole():
    german = in_language("de_DE")
    for text in ("", "select all of the keys", "Mix, then go to lunch", "{n} of it"):
        assert german(text) == text
    assert german("“Mouth” is silent: choose a sound with a voice in it, or turn up its volume")[
        :7
    ] == ("„Mouth“")


def test_files_of_translators_tools_are_read():
    po = (
        'msgid ""\nmsgstr ""\n"Language: xx\\n"\n\n#: panels/tab.py:20\nmsgctxt "Operator"\n'
        'msgid "Open \\"it\\""\nmsgstr ""\n"Öffne "\n"„es“"\n\n#, fuzzy\nmsgid "A"\nmsgstr "B"\n\n'
        'msgid "Not yet"\nmsgstr ""\n\n#~ msgid "Gone"\n#~ msgstr "Weg"\n\nmsgid "C"\nmsgstr "D"'
    )
    known = {("Operator", 'Open "it"'): "Öffne „es“", ("", "C"): "D"}
    assert read(po) == read(po.replace("\n", "\r\n")) == known
    assert read("") == read("nothing of the kind") == {}


def test_a_language_gets_what_is_new_and_loses_what_is_gone(tmp_path, monkeypatch, capsys):
    """All else of its file stays as it is."""
    start, entry = f"{languages.HEAD}\n\n", languages.entry
    known = entry("", "Generate Takes", "", ["Los"]) + entry("Operator", "Add Head", "", ["Kopf"])
    known += entry("", "{count} take deleted", "{count} takes deleted", ["{count} T", "{count} Ts"])
    files = {
        "xx.po": start + entry("", "A button of before", "", ["Weg"]) + known,
        "yy.po": start + known + entry("", "Add Transcript", "", ["Text"]),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text[:-1])
    monkeypatch.setattr(languages, "FILES", tmp_path)
    languages.main(tmp_path / "out")
    files["xx.po"] = start + known + entry("", "Add Transcript", "", [""])
    assert capsys.readouterr().out.count("1 new, 1 gone") == 1
    for name, text in files.items():
        assert (tmp_path / "out" / name).read_text() == text[:-1]
    template = (tmp_path / "out" / "thunder.pot").read_text()
    assert 'msgid "Commit"\nmsgstr ""\n' in template and read(template) == {}


def test_labels_names_items_templates_and_tooltips_are_collected(code):
    shown, _ = code
    for text in (
        "Generate Takes",  # of a class
        "Add Head",  # of a class without a label
        "Voice Guidance",  # of a property
        "Copy of My Action",  # an item
        "Add the take on top of your animation",
        "{count} takes deleted",
        "The engine did not respond for {silence_deadline} minutes and was ended: try again",
        "Articulation",  # of a slider
        "Lips close",  # a tooltip of two words, of an item named by one letter
        "Setting up take {number} of {entries}",  # what is being done
        "Sceptic",  # in a file
        "No head is selected: choose one beside Thunder's person icon, or press Add Head",
    ):
        assert text in shown


def test_lines_are_as_wide_as_they_may_be():
    english = "Stopped: 3 of 8 takes kept in the list, and nothing else of it was-changed at all"
    assert wrap(english, 20) == textwrap.wrap(english, 20, break_on_hyphens=False)
    lines = wrap("このヘッドにはテイクがまだありません。「テイクを生成」を押してください", 20)
    assert len(lines) > 3 and all(len(line) <= 11 for line in lines)
    assert not [line for line in lines if re.match("[。、」]", line) or line.endswith("「")]
    assert wrap("口が止まっています（「thunder」）：0.7 秒", 24)[1] == "（「thunder」）：0.7 秒"
    assert wrap("", 20) == []
    assert wrap(english, 20, 2) == ["Stopped: 3 of 8", "takes kept in the …"]
