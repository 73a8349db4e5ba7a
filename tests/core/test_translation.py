# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in other languages: their files fit the code, and sentences are known by their templates."""

import importlib.util
import re
import textwrap
from pathlib import Path

import pytest

from thunder_core.translation import placeholders, read, sort_templates, translate, wrap

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("languages", ROOT / "setup" / "languages.py")
languages = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(languages)
FILES = sorted(languages.FILES.glob("*.po"))
ENTRIES = {path.stem: read(path.read_text(encoding="utf-8")) for path in FILES}


def in_language(language):
    """Says a text in a language, as Blender would have it looked up."""
    texts = {text: said for (_, text), said in ENTRIES[language].items()}
    templates = sort_templates(texts)
    return lambda text: translate(text, lambda each: texts.get(each, each), templates)


@pytest.fixture(scope="module")
def code():
    return languages.collect()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_that_is_translated_is_in_the_code_and_keeps_its_values(path, code):
    assert languages.faults(path.read_text(encoding="utf-8"), code[1]) == []


def test_a_text_that_is_gone_and_a_value_that_is_lost_are_named():
    po = languages.entry("", "Old label", "Alt") + languages.entry("", "{n} takes", "Takes")
    po += languages.entry("", "{n} take{s}", "{n} Take(s)")
    found = languages.faults(po, {"{n} takes", "{n} take{s}"})
    assert found == ["gone: Old label", "other values: {n} takes"]


def test_all_languages_have_the_same_texts():
    first, *others = ({text for _, text in entries} for entries in ENTRIES.values())
    assert len(others) == 4 and len(first) > 600
    assert [each ^ first for each in others] == [set()] * 4


@pytest.mark.parametrize("language", ENTRIES)
def test_each_sentence_is_known_by_its_template(language):
    """None is taken for one that another template made."""
    say = in_language(language)
    for (_, text), said in ENTRIES[language].items():
        if names := placeholders(text):
            values = {name: "s" if name in ("s", "s2") else "7" for name in names}
            assert say(text.format(**values)) == said.format(**values), text


def test_what_is_put_together_is_said_in_each_languages_order():
    german, japanese = in_language("de_DE"), in_language("ja_JP")
    words = "calm, hits boxes and sing, looks away in the pause"
    assert german(words) == "ruhig, betont boxes und sing, blickt weg in der Pause"
    assert japanese(words) == "落ち着いた、boxes と sing を強調、間で目をそらす"
    sentence = "Committed to “Keys”: 52 keys on 30 of 160 frames, lips within 0.30 mm"
    assert german(sentence) == (
        "In „Keys“ übernommen: 52 Keys auf 30 von 160 Bildern, Lippen auf 0.30 mm genau"
    )
    assert german("Strip 2 of 5: analyzing the voice") == "Streifen 2 von 5: Stimme wird analysiert"
    assert german("Poor: Lips are late by 3 frames from “a” to “b”") == (
        "Schwach: Lippen sind 3 Bild(er) zu spät von „a“ bis „b“"
    )


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


def test_what_is_new_and_what_is_gone_is_marked(tmp_path, monkeypatch, capsys):
    (tmp_path / "xx.po").write_text(
        languages.HEAD
        + "\n\n"
        + languages.entry("", "Generate Takes", "Los")
        + languages.entry("", "A button of before", "Weg")
    )
    monkeypatch.setattr(languages, "FILES", tmp_path)
    languages.main(tmp_path / "out")
    text = (tmp_path / "out" / "xx.po").read_text()
    assert read(text) == {("", "Generate Takes"): "Los"}
    assert '#~ msgid "A button of before"\n#~ msgstr "Weg"\n' in text
    assert 'msgid "Add Transcript"\nmsgstr ""\n' in text
    assert "1 gone" in capsys.readouterr().out
    assert read((tmp_path / "out" / "thunder.pot").read_text()) == {}


def test_labels_names_items_templates_and_tooltips_are_collected(code):
    shown, _ = code
    for text in (
        "Generate Takes",  # of a class
        "Add Head",  # of a class without a label
        "Voice Guidance",  # of a property
        "Copy of My Action",  # an item
        "Add the take on top of your animation",
        "{count} take{s} deleted",
        "Articulation",  # of a slider
        "Sceptic",  # in a file
        "No head is selected: choose one beside Thunder's person icon, or press Add Head",
    ):
        assert text in shown


def test_lines_are_as_wide_as_they_may_be():
    english = "Stopped: 3 of 8 takes kept in the list, and nothing else of it was-changed at all"
    assert wrap(english, 20) == textwrap.wrap(english, 20, break_on_hyphens=False)
    lines = wrap("このヘッドにはテイクがまだありません。「テイクを生成」を押してください", 20)
    assert len(lines) > 3 and all(len(line) <= 11 for line in lines)
    assert not [line for line in lines if re.match("[。、」]", line)]
    assert wrap("", 20) == []
    assert wrap(english, 20, 2) == ["Stopped: 3 of 8", "takes kept in the …"]
