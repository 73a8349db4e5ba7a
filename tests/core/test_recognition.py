# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a voice, by the library and the process that animators have: what a model says is
kept where the encoder hears it, and left out where it does not; no network, and a sentence for
whatever goes wrong."""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hub import hub
from made_whisper import make_whisper, wrapper
from processes import is_alive
from timing import until

import thunder_core as thunder
from thunder_core import errors, whisper
from thunder_core.client import Client
from thunder_core.engine import recogniser
from thunder_core.engine.speech import recognition, transcript
from thunder_core.engine.speech.recognition import Recogniser
from thunder_core.progress import no_progress
from thunder_core.spoken import PHONES, share_out, SILENCE, split, Word
from thunder_core.types import RATE, Speech

TEXT = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish thief "
    "and put up with his thunder?"
)
INVENTED = "Thank you for watching. Please subscribe to the channel."
needs_library = pytest.mark.skipif(
    not find_spec("faster_whisper"), reason="faster-whisper is not installed"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`made(text, …)` is the folder of a model that says this text."""
    folders = {}

    def make(text, **more):
        key = text, *more.items()
        if key not in folders:
            path = tmp_path_factory.mktemp("made") / f"made-{len(folders)}"
            folders[key] = make_whisper(path, text, **more)
        return str(folders[key])

    return make


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python that recognises words."""
    return wrapper(tmp_path_factory.mktemp("python"))


# -- what is recognised


@needs_library
def test_the_words_of_a_voice_are_recognised_with_their_times(engine, python, sample, made):
    steps = []
    by = Recogniser(python, made(TEXT))
    found = engine.recognise(sample, by, lambda fraction, message="": steps.append(fraction))
    assert found.text == TEXT and found.languages == ("en",) and found.left_out == ()
    assert steps == sorted(steps) and 0 <= steps[0] and steps[-1] <= 1
    assert found.matches and [word.text for word in found.words][:3] == ["My", "brother", "moves"]
    assert thunder.recognise(sample, by.model, python=by.python, engine=engine) == found
    assert found.words == tuple(engine.spoken(sample, TEXT)[1]), (
        "of Latin letters our own alignment tells"
    )


@needs_library
def test_what_nobody_says_is_left_out_and_its_place_named(engine, python, sample, made):
    found = engine.recognise(sample, Recogniser(python, made(INVENTED)))
    assert found.text == "" and found.words == ()
    [left_out] = found.left_out
    assert left_out.text == INVENTED and 0 <= left_out.start < left_out.end <= sample.seconds


def test_a_sound_without_speech_asks_nobody(engine):
    rng = np.random.default_rng(0)
    noise = 0.3 * rng.standard_normal(5 * RATE).clip(-1, 1).astype(np.float32)
    chord = sum(np.sin(2 * np.pi * f * np.arange(5 * RATE) / RATE) for f in (220, 277, 330)) / 8
    for samples in (noise, chord.astype(np.float32), np.zeros(3 * RATE, np.float32)):
        found = engine.recognise(Speech(samples, RATE), Recogniser("/no/such/python", "/no/model"))
        assert (found.text, found.words, found.languages, found.left_out) == ("", (), (), ())


@needs_library
def test_numbers_are_written_as_words(engine, python, sample, made):
    found = engine.recognise(sample, Recogniser(python, made(TEXT, numeral="25")))
    assert found.text == TEXT


@needs_library
def test_a_language_that_is_named_is_used_and_an_unknown_one_refused(engine, python, sample, made):
    by = Recogniser(python, made(TEXT), "de")
    assert engine.recognise(sample, by).languages == ("de",)
    with pytest.raises(errors.BadRequest, match="knows no language “xx”"):
        engine.recognise(sample, Recogniser(python, made(TEXT), "xx"))


@needs_library
def test_a_model_in_a_hubs_cache_says_the_same(engine, python, sample, made, tmp_path):
    cache = tmp_path / "models--somebody--whisper"
    shutil.copytree(made(TEXT), cache / "snapshots" / "0123")
    assert engine.recognise(sample, Recogniser(python, str(cache))).text == TEXT


class Hears:
    """A model that takes a span for the languages that its first sample numbers."""

    def __init__(self, *chances, multilingual=True):
        self.chances, self.model = chances, SimpleNamespace(is_multilingual=multilingual)
        self.supported_languages = ["en", "de"] if multilingual else ["en"]

    def detect_language(self, span):
        return None, None, list(self.chances[int(span[0])].items())


def test_each_part_of_a_voice_has_its_language_where_it_is_sure():
    model = Hears({"en": 0.95, "de": 0.05}, {"en": 0.1, "de": 0.9}, {"en": 0.4, "de": 0.6})
    spans = [[np.full(seconds, number)] for seconds, number in ((20, 0), (9, 1), (2, 2))]
    told = []
    found = recogniser.languages(model, spans, "", lambda fraction, _: told.append(fraction))
    assert found == [["en"], ["de"], ["en"]], "a doubtful span is in the voice's usual language"
    assert told == sorted(told) and len(told) == 3 and told[-1] < 0.3
    assert recogniser.languages(model, spans, "de", no_progress) == [["de"]] * 3
    english = Hears(multilingual=False)
    assert recogniser.languages(english, spans, "", no_progress) == [["en"]] * 3
    with pytest.raises(errors.BadRequest, match="it is for English alone, or choose another model"):
        recogniser.languages(english, spans, "de", no_progress)


def test_a_piece_is_in_a_language_of_its_own_only_where_that_is_sure():
    model = Hears({"en": 0.97, "de": 0.03}, {"en": 0.1, "de": 0.9}, {"en": 0.02, "de": 0.98})

    def languages_of(*numbers):
        pieces = [np.full(7, number) for number in numbers]
        return recogniser.languages(model, [pieces], "", no_progress)[0]

    assert languages_of(0, 0, 0, 1) == ["en"] * 4, "nothing else is German"
    assert languages_of(0, 0, 2, 1) == ["en", "en", "de", "de"]


def test_a_long_span_is_cut_where_it_is_quiet():
    sound = np.ones(30 * RATE, np.float32)
    for at in (7.9, 13.2, 24.0):
        sound[round(at * RATE) : round((at + 0.2) * RATE)] = 0.001
    cuts = recogniser.find_cuts(sound, 1.0, 22.0)
    assert cuts == pytest.approx([8.0, 15.0], abs=2.0) and abs(cuts[0] - 8.0) < 0.05
    assert recogniser.find_cuts(sound, 0.0, 9.0) == []


@needs_library
def test_a_quarter_of_an_hour_is_read_in_parts_with_progress(python, made, tmp_path):
    spans = [(28.0 * n, 28.0 * n + 28.0) for n in range(32)]
    np.save(tmp_path / "sound.npy", np.zeros(896 * RATE, np.float32))
    told = []
    with Client(python, verbs="recogniser") as client:
        pending = client.request(
            "recognise", sound=str(tmp_path / "sound.npy"), spans=spans, model=made("mama"),
            language="en", threads=2,
        )  # fmt: skip
        while not pending.done:
            told.extend(e["fraction"] for e in pending.poll() if e["event"] == "progress")
        answers = pending.wait()["spans"]
    assert len(answers) == 32 and answers[-1]["segments"][0]["start"] >= spans[-1][0]
    assert told == sorted(told) and len(set(told)) > 10


# -- spans, and where words are


class Answers:
    """A process that recognises these segments, one list for each time that it is asked."""

    def __init__(self, *segments):
        self.segments, self.asked = list(segments), []

    def ask(self, samples, parts, by, progress):
        self.asked.append(parts)
        rows = [
            {
                "text": " ".join(word for word, _, _ in words), "start": words[0][1],
                "end": words[-1][2], "log_prob": -0.1, "compression": 1.0, "words": words,
            }
            for words in self.segments.pop(0)
        ]  # fmt: skip
        return [{"language": language, "segments": rows} for language in ("de",)]


def heard_again(*segments):
    """What is found in 7.4 s of “mama” by a process that answers these segments; the process."""
    belief = belief_of([("SIL", 0.2), *[("M", 0.2), ("AA", 0.3)] * 14, ("SIL", 0.2)])
    process = Answers(*segments)
    sound = np.zeros(118_400, np.float32)
    return recognition.recognise(sound, np.array([[5, 180]]), belief, None, process), process


def test_speech_without_words_is_heard_once_more_and_named_if_none_come():
    # the first word has the time of all that the model did not write
    smeared = [("mama", 0.2, 3.0), *(("mama", float(at), at + 1.0) for at in (3, 4, 5, 6))]
    found, process = heard_again([smeared], [[("mama", 0.2, 1.2), ("mama", 1.2, 2.0)]])
    assert len(process.asked) == 2 and len(found.text.split()) == 7 and not found.wordless
    [(start, end)] = process.asked[1]
    assert start == pytest.approx(0.2, abs=0.1) and end == pytest.approx(1.9, abs=0.1)
    assert [word.start for word in found.words][:3] == [0.2, 1.2, 2.0]
    found, silent = heard_again([smeared], [])
    assert np.allclose(found.wordless, silent.asked[1]) and len(found.words) == 5


def test_what_is_left_of_another_language_is_heard_a_third_time():
    last = [("mama", at, at + 1.0) for at in (4.0, 5.0, 6.0)]
    wrong = [("zischt", 0.2, 2.0), ("zischt", 2.0, 4.0)]  # which nobody says
    first, then = [("mama", 0.2, 1.2), ("mama", 1.2, 2.2)], [("mama", 2.2, 3.2), ("ma", 3.2, 4.0)]
    found, process = heard_again([wrong, last], [first], [then])
    assert len(process.asked) == 3 and not found.wordless and not found.left_out
    assert found.text == "mama mama mama ma mama mama mama"


def test_what_a_model_says_again_and_again_is_left_out():
    assert recognition.repeats("最后的", ["所以 彻底的", "最后的"])
    assert recognition.repeats("Thank you very much.", ["and thank you very much", "yes"])
    assert not recognition.repeats("Thank you for the flowers.", ["Thank you very much."])
    assert not recognition.repeats("a", []) and not recognition.repeats("最后的", ["所以说我觉得"])


@pytest.mark.parametrize("text, is_said", [("妈妈", True), ("妈妈" * 20, False), ("妈", False)])
def test_characters_are_counted_against_the_vowels_that_are_heard(text, is_said):
    belief = belief_of([("M", 0.2), ("AA", 0.3)] * 3)
    segment = {"text": text, "start": 0.0, "end": 1.5, "log_prob": -0.1, "compression": 1.0}
    assert recognition.is_heard(segment, belief) == is_said


def belief_of(pattern):
    """Phone probabilities at 50 Hz of (phone, seconds) one after the other."""
    rows = np.concatenate([np.full(round(50 * s), PHONES.index(phone)) for phone, s in pattern])
    return np.eye(len(PHONES), dtype=np.float32)[rows] * 0.96 + 0.001


def test_spans_hold_all_speech_and_are_never_longer_than_the_model_reads():
    talk = [("AA", 9.7), ("SIL", 0.3)] * 240
    parts = recognition.spans(np.array([[0, 60_000]]), belief_of(talk))
    assert parts[0][0] == 0 and parts[-1][1] == 2400
    assert all(a[1] == b[0] for a, b in zip(parts, parts[1:])), "forty minutes without a gap"
    assert max(end - start for start, end in parts) <= recognition.LONGEST
    for _, cut in parts[:-1]:
        assert cut % 10 > 9.6, "cuts are in pauses"
    phrases = np.array([[25, 50], [75, 100], [300, 325]])
    parts = recognition.spans(phrases, belief_of([("AA", 14.0)]))
    assert np.allclose(parts, [(0.7, 4.3), (11.7, 13.3)]), (
        "a long pause parts spans, a short one not"
    )


def test_words_of_unknown_letters_are_where_the_model_heard_them():
    found = [
        Word("mama", 1.0, 1.4, 0.9),
        Word("你", 1.4, 1.4, 0.4),
        Word("好", 1.4, 1.4, 0.4),
        Word("bu", 3, 3, 0),
    ]
    given = ("mama,", 0.9, 1.5), ("你好", 2.0, 3.0), ("bu.", 3.5, 4.0)
    heard = tuple(word for each in given for word in share_out(split(each[0]), *each[1:]))
    placed = recognition.place(found, heard)
    assert [(word.start, word.end) for word in placed] == [
        (1.0, 1.4),
        (2.0, 2.5),
        (2.5, 3.0),
        (3.5, 4.0),
    ]
    assert recognition.place(found, heard[:2]) == found, "words that do not fit each other stay"


def test_a_text_in_letters_that_tell_no_sound_fits_wherever_somebody_speaks():
    speech = belief_of([("SIL", 0.4), *[("AA", 0.15), ("N", 0.15)] * 6, ("SIL", 0.4)])
    assert transcript.find_text(speech, "שלום לכולם").matches
    assert transcript.likelihood(speech, "שלום לכולם") > -0.1
    assert transcript.likelihood(belief_of([("SIL", 3.0)]), "שלום") < -3
    assert PHONES[SILENCE] == "SIL"


def test_what_the_model_repeats_or_guesses_is_not_heard():
    speech = belief_of([("M", 0.3), ("AA", 0.3)] * 4)
    said = {
        "text": "mama mama mama mama",
        "start": 0.0,
        "end": 2.4,
        "compression": 1.2,
        "log_prob": -0.2,
    }
    assert recognition.is_heard(said, speech)
    assert not recognition.is_heard(said | {"compression": 9.0}, speech)
    assert not recognition.is_heard(said | {"log_prob": -1.4}, speech)
    assert not recognition.is_heard(said | {"text": "Please subscribe to the channel"}, speech)


# -- no network


@needs_library
def test_no_socket_is_opened_but_by_a_download(engine, sample, made, tmp_path):
    log = tmp_path / "sockets"
    python = wrapper(
        tmp_path,
        "def hook(event, args):\n"
        "    if event.startswith('socket.'):\n"
        f"        open({str(log)!r}, 'a').write(event + '\\n')\n"
        "        raise OSError('no network')\n"
        "sys.addaudithook(hook)",
    )
    assert engine.recognise(sample, Recogniser(python, made(TEXT))).text == TEXT
    for name in ("base", "somebody/whisper"):
        with pytest.raises(errors.BadWeights, match=f"no model that recognizes words at “{name}”"):
            engine.recognise(sample, Recogniser(python, name))
    assert not log.exists()
    with Client(python, verbs="recogniser") as client:
        pending = client.request("download", name="base", folder=str(tmp_path / "base"))
        with pytest.raises(
            errors.BadRequest, match="hub cannot be reached, so “base” was not downloaded"
        ):
            pending.wait(timeout=60)
    assert log.exists(), "or the test would see nothing"


def download(client, name, folder):
    """What a download answers, and the progress that it tells meanwhile."""
    told, pending = [], client.request("download", name=name, folder=str(folder))
    while not pending.done:
        told += [each for each in pending.poll() if each["event"] == "progress"]
    return pending.wait(), told


@needs_library
def test_a_model_is_downloaded_by_its_name_and_used(engine, python, sample, made, tmp_path):
    model = made(TEXT)
    Path(model, "README.md").write_text("no part of the model")
    with hub({"Systran/faster-whisper-base": model, "somebody/whisper": model}, 0.002) as address:
        online = wrapper(tmp_path, f"os.environ['HF_ENDPOINT'] = {address!r}")
        with Client(online, verbs="recogniser") as client:
            for name in ("base", "somebody/whisper"):
                folder = Path(whisper.folder_of_name(str(tmp_path), name))
                _, told = download(client, name, folder)
                assert "Downloading" in told[-1]["message"] and 0.0 < told[-1]["fraction"] <= 1.0
                assert (folder / "model.bin").is_file() and not (folder / "README.md").exists()
                assert not list(folder.parent.glob("*.part"))
    assert engine.recognise(sample, Recogniser(python, str(folder))).text == TEXT


@needs_library
def test_a_download_that_fails_says_why_and_leaves_no_model(made, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    with hub({"somebody/other": str(empty), "somebody/whisper": made(TEXT)}, 0.2) as address:
        python = wrapper(tmp_path, f"os.environ['HF_ENDPOINT'] = {address!r}")
        with Client(python, verbs="recogniser") as client:
            for name, sentence in (
                ("somebody/nothing", "“somebody/nothing” was not downloaded: check the name"),
                ("somebody/other", "“somebody/other” is no Whisper model as CTranslate2 stores it"),
            ):
                with pytest.raises(errors.BadRequest, match=sentence):
                    download(client, name, tmp_path / "models" / "new")
                assert not list(tmp_path.glob("models/new*"))
            pending = client.request(
                "download", name="somebody/whisper", folder=str(tmp_path / "models" / "new")
            )
            assert until(lambda: pending.poll() or pending.fraction > 0.02, 20)
            pending.cancel()
            with pytest.raises(errors.Cancelled):
                pending.wait(timeout=10)
    assert not (tmp_path / "models" / "new").exists(), "a part is no model"
    with Client(python, verbs="recogniser") as client:  # the hub is away
        with pytest.raises(
            errors.BadRequest, match="hub cannot be reached, .*: check the connection"
        ):
            download(client, "somebody/whisper", tmp_path / "models" / "new")
    assert not (tmp_path / "models" / "new").exists()


# -- what goes wrong


@needs_library
@pytest.mark.parametrize(
    "harm, sentence",
    [
        (lambda folder: shutil.rmtree(folder), "There is no model that recognizes words at “.*model”"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (lambda folder: (folder / "model.bin").rename(folder / "model.safetensors"),
         "lacks model.bin: choose .* as CTranslate2 stores it, such as Systran/faster-whisper-base"),
        (lambda folder: (folder / "model.bin").write_bytes(b"x" * 99), "holds no Whisper model that can be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "holds no Whisper model that can be read"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "holds no Whisper model that can be read"),
        (lambda folder: os.truncate(folder / "model.bin", 9000), "holds no Whisper model that can be read"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_refused_with_a_sentence(
    engine, python, sample, made, tmp_path, harm, sentence
):
    folder = tmp_path / "model"
    shutil.copytree(made(TEXT), folder)
    harm(folder)
    with pytest.raises(errors.BadWeights, match=sentence):
        engine.recognise(sample, Recogniser(python, str(folder)))


def test_without_a_model_or_a_python_there_is_a_sentence(sample, monkeypatch, tmp_path):
    monkeypatch.delenv("THUNDER_WHISPER", raising=False)
    with pytest.raises(errors.BadWeights, match="No model that recognizes words was chosen"):
        thunder.recognise(sample, python=sys.executable)
    with pytest.raises(errors.NoEngine, match="There is no Python at “/no/python”"):
        thunder.recognise(sample, "base", python="/no/python")
    for model in ("", "base"):  # in plain Python nothing downloads one
        with pytest.raises(errors.BadWeights, match="hoose the folder") as refused:
            thunder.recognise(sample, model, python=wrapper(tmp_path))
        assert "ownload" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        (dict(voice="line.wav"), "recognized in a voice, not in str: read it with load"),
        (dict(language="klingon"), "“klingon” is no language .* such as en, de or zh"),
        (dict(language=None), "“None” is no language"),
    ],
)
def test_what_is_no_voice_or_no_language_is_refused_with_a_sentence(sample, wrong, sentence):
    with pytest.raises(errors.BadRequest, match=sentence):
        thunder.recognise(**{"voice": sample, "python": sys.executable} | wrong)


@pytest.mark.parametrize("given, code", [("German", "de"), ("zh", "zh"), ("auto", ""), ("", "")])
def test_a_language_has_its_names_in_python_too(sample, tmp_path, given, code):
    class Engine:
        """Answers with what recognises."""

        def recognise(self, speech, by, progress):
            return by

    for name in ("config.json", "tokenizer.json", "model.bin"):
        (tmp_path / name).touch()
    by = thunder.recognise(sample, tmp_path, given, python=sys.executable, engine=Engine())
    assert by.language == code


@needs_library
@pytest.mark.skipif(os.name == "nt", reason="limits and signals of this kind are POSIX")
@pytest.mark.parametrize(
    "code, kind, sentence",
    [
        ("import resource; resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))",
         errors.OutOfMemory, "memory"),
        ("os.kill(os.getpid(), 9)", (errors.OutOfMemory, errors.NoEngine), "cannot recognize words"),
        ("print('out of order', file=sys.stderr); os._exit(7)", errors.NoEngine, "out of order"),
        ("import faster_whisper; faster_whisper.WhisperModel = lambda *a, **k: os.kill(os.getpid(), 9)",
         errors.WorkerDied, "What recognizes words was killed .* choose a smaller model"),
        ("sys.modules['faster_whisper'] = None", errors.NoEngine, "install"),
    ],
)  # fmt: skip
def test_a_process_that_ends_or_lacks_memory_says_so(
    engine, sample, made, tmp_path, code, kind, sentence
):
    with pytest.raises(kind, match=sentence):
        engine.recognise(sample, Recogniser(wrapper(tmp_path, code), made(TEXT)))


@needs_library
def test_the_process_is_kept_for_the_next_voice_and_ends_with_ours(engine, sample, made, tmp_path):
    mark = tmp_path / "pids"
    python = wrapper(tmp_path, f"open({str(mark)!r}, 'a').write(f'{{os.getpid()}}\\n')")
    by, half = Recogniser(python, made(TEXT)), Speech(sample.samples[: 4 * RATE], RATE)
    for speech in (sample, half, sample):
        engine.recognise(speech, by)
    [pid] = mark.read_text().split()
    engine.recogniser.client.stop()
    until(lambda: not is_alive(pid), 5)
    assert engine.recognise(sample, by).text == TEXT, "another is started"


@needs_library
def test_a_cancel_ends_the_process_soon(engine, sample, made, tmp_path):
    mark = tmp_path / "pid"
    python = wrapper(
        tmp_path,
        f"open({str(mark)!r}, 'w').write(str(os.getpid()))\n"
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    )

    def stop(fraction, message=""):
        if mark.exists():
            raise errors.Cancelled("Cancelled, nothing was changed")

    with pytest.raises(errors.Cancelled):
        engine.recognise(sample, Recogniser(python, made(TEXT)), stop)
    until(lambda: not is_alive(mark.read_text()), 10)
