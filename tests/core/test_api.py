# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python API: its examples, what it refuses, and that importing it loads nothing heavy."""

import doctest
import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

import thunder_core as thunder
from research.harness import ROOT
from thunder_core import api, errors, own_files
from thunder_core.animation import livelink, motion_file
from thunder_core.direction import MOODS
from thunder_core.engine.speech.audio import read_sound
from thunder_core.progress import result
from thunder_core.request import seed_of_voice
from thunder_core.shipped import SAMPLE
from thunder_core.types import JAW_OPEN_RADIANS

EXAMPLES = [
    example
    for example in doctest.DocTestFinder(exclude_empty=True).find(api, "api")
    if example.examples
]
# each needs takes
PERFORMING = (
    "api",
    "api.perform",
    "api.perform_as",
    "api.save_cues",
    "api.score",
    "api.speak",
    "api.Take",
    "api.Take.save",
    "api.Takes",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with line.wav, two seconds of the sample voice."""
    folder = tmp_path_factory.mktemp("line")
    samples, rate = soundfile.read(SAMPLE)
    soundfile.write(folder / "line.wav", samples[8000 : 8000 + 2 * rate], rate)
    return folder


@pytest.fixture(scope="module")
def voice(folder):
    return thunder.load(folder / "line.wav")


@pytest.fixture(scope="module")
def takes(voice):
    return thunder.perform(voice, takes=2, mood="warm", seed=1)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_examples_in_docstrings_do_what_they_say(example, folder, request, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("", ".errors"):
        monkeypatch.setitem(sys.modules, f"thunder_takes{name}", sys.modules[f"thunder_core{name}"])
    example.globs = {"thunder": thunder, "np": np}
    if example.name != "api":
        example.globs |= {"voice": request.getfixturevalue("voice")}
    if example.name in PERFORMING[1:]:
        example.globs |= {"takes": request.getfixturevalue("takes")}
    told = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for each in example.examples:  # errors are named as a user sees them
        if each.exc_msg:
            each.exc_msg = each.exc_msg.replace("thunder_takes.errors", "thunder_core.errors")
    failed = runner.run(example, out=told.append, clear_globs=False).failed
    assert not failed, "".join(told)


def test_every_function_has_an_example_and_importing_the_package_loads_neither_numpy_nor_torch():
    public = {
        f"api.{name}" for name in thunder.__all__ if inspect.isfunction(getattr(thunder, name))
    }
    assert len(public) == 8 and public | set(PERFORMING) <= {example.name for example in EXAMPLES}
    code = (
        "import sys, thunder_core; print([*filter(sys.modules.get, ('numpy', 'torch', "
        "'thunder_core.api'))]); thunder_core.no"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n" and "has no attribute 'no'" in done.stderr
    assert set(thunder.__all__) <= set(dir(thunder))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (dict(voice="line.wav"), "made of a voice, not of str: read it with load"),
        (dict(transcript=Path("line.txt")), "what the voice says"),
        (dict(mood="hapy"), "no mood “hapy”: The moods are neutral, as heard, warm"),
        (dict(enrgy=1.2), "no slider “enrgy”: did you mean “energy”? The sliders are energy, jaw"),
        (dict(energy=9), "“energy” is 9 but must be a number from 0.35 to 2"),
        (dict(energy="high"), "“energy” is 'high' but must be a number"),
        (dict(preset="Villian"), "no preset “Villian”: choose .*Villain"),
        (dict(strength=0.5), "A strength is of a mood: add one"),
        (dict(mood="warm", strength=2), "“strength” is 2 but must be a number from 0 to 1"),
        (dict(spread=-1), "“spread” is -1 but must be a number"),
        (dict(takes=0), "“takes” is 0 but must be a whole number from 1 to 256"),
        (dict(seed=-1), "“seed” is -1 but must be a whole number"),
        (dict(seed=0.5), "“seed” is 0.5 but must be a whole number"),
        (dict(quality="best"), "“quality” is 'best' but must be one of draft, normal, final"),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(voice, arguments, sentence):
    with pytest.raises(errors.BadRequest, match=sentence.replace("?", r"\?")):
        thunder.perform(**{"voice": voice} | arguments)


def test_a_mood_whose_file_was_left_out_is_said_to_be_so(voice, monkeypatch):
    monkeypatch.setattr(own_files, "damaged", {"moods/gloomy.json": "It has the number of “sad”"})
    with pytest.raises(errors.BadRequest, match="^It has the number of “sad”$"):
        thunder.perform(voice, mood="gloomy")


def test_a_performance_moves_to_another_recording_with_a_mouth_of_its_own(voice, takes):
    take, other = takes.best, first_of(voice, 0.8)
    one, two = thunder.perform_as(take, voice, other, takes=2, seed=3)
    assert one.frames == two.frames == other.frames and {one.seed, two.seed} == {3, 4}
    assert np.array_equal(one.motion.head, two.motion.head), "all but the mouth moves along"
    assert np.abs(one.opening - two.opening).max() > 0.1
    said = slice(4, other.frames // 2)
    assert np.abs(one.motion.head - take.motion.head[: other.frames])[said].max() < 0.02
    same = thunder.perform_as(take, voice, voice, takes=1).best
    assert np.abs(same.motion.eyes - take.motion.eyes).max() < 1e-3
    hits, chosen = (each.provenance["choice"]["hits"] for each in (same, take))
    assert np.allclose([h[:2] for h in hits], [h[:2] for h in chosen], atol=0.05)
    unknown = {k: v for k, v in take.provenance.items() if k != "choice"}
    silently = thunder.perform_as(replace(take, provenance=unknown), voice, voice, takes=1).best
    assert "choice" not in silently.provenance, "nobody knows what it hits"


def first_of(voice, share):
    """The first part of a voice."""
    return thunder.load(voice.samples[: round(share * len(voice.samples))], rate=voice.rate)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda take, old, new: (take, old, silence()), "Nobody speaks in the new recording"),
        (lambda take, old, new: (take, "line.wav", new), "moves between voices, not str"),
        (
            lambda take, old, new: (take, first_of(old, 0.5), new),
            r"lasts 2.0 s and its old recording 1.0 s",
        ),
        (
            lambda take, old, new: (replace(take, channels=("jawOpen",)), old, new),
            "another head than the engine's",
        ),
    ],
)
def test_what_cannot_move_to_another_recording_is_refused(voice, takes, change, sentence):
    with pytest.raises(errors.BadRequest, match=sentence):
        thunder.perform_as(*change(takes.best, voice, first_of(voice, 0.8)))


def silence():
    return thunder.load(np.zeros(32000, np.float32), rate=16000)


@pytest.mark.parametrize(
    "sound, rate, sentence",
    [
        ("no.wav", None, "There is no sound file “no.wav”"),
        ("empty.wav", None, "“empty.wav” holds 0.00 s of sound"),
        ("text.wav", None, "“text.wav” is not a sound that can be read here"),
        ("text.mp4", None, "“text.mp4” has no sound that can be read here"),
        ("text.wav", 16000, "leave rate out"),
        (np.zeros(16000), None, "add rate"),
        (np.zeros(0), 16000, "“voice” has no samples of a sound"),
        (np.zeros((2, 16000)), 16000, r"shape \[2, 16000\], more channels than samples: turn them"),
        (np.zeros((4, 4, 4)), 16000, "“voice” has no samples of a sound"),
        (np.array(["a"]), 16000, "“voice” has no samples of a sound"),
        (np.full(16000, np.nan), 16000, "holds values that are not numbers"),
        (np.zeros(16000), 7, "claims 7 samples a second"),
    ],
)
def test_a_sound_that_cannot_be_used_is_refused_with_a_sentence(tmp_path, sound, rate, sentence):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    for name in ("text.wav", "text.mp4"):
        (tmp_path / name).write_text("no sound")
    with pytest.raises((errors.BadSound, errors.BadRequest), match=sentence):
        thunder.load(tmp_path / sound if isinstance(sound, str) else sound, rate)


def test_samples_are_the_sound_that_a_file_of_them_is(tmp_path):
    stereo = (0.3 * np.random.default_rng(0).standard_normal((44100, 2))).clip(-1, 1)
    soundfile.write(tmp_path / "x.wav", stereo, 44100, subtype="PCM_16")
    whole, rate = soundfile.read(tmp_path / "x.wav", dtype="int16")
    expected = read_sound(tmp_path / "x.wav").samples
    assert np.abs(expected).max() > 0.1 and np.array_equal(
        thunder.load(whole, rate).samples, expected
    )
    assert np.array_equal(thunder.load(whole / 2**15, rate).samples, expected)
    quiet = thunder.load(np.full(16000, 128, np.uint8), 16000)
    assert not quiet.samples.any() and quiet.name == "voice"


def test_moods_presets_and_sliders_reach_takes_that_begin_where_the_panels_do(voice):
    def direction(**how):
        return thunder.perform(voice, takes=1, seed=1, quality="draft", **how)[0].direction

    warm, preset = direction(mood="warm"), direction(preset="newsreader", energy=1.5)
    names = list(MOODS)[1:]
    assert warm.vectors[0, len(api.AXES) + names.index("warm")] == pytest.approx(0.6), (
        "the panel's strength"
    )
    shipped = api.Preset.read(
        ROOT / "thunder_core" / "directions" / "Newsreader.json"
    ).direction.vector()
    assert preset.vectors[0, 0] == pytest.approx(api.AXES[0].deviations(1.5)) and preset.vectors[
        0, 1:
    ] == pytest.approx(shipped[1:])
    varied = direction(spread=0.2, exact_first=False)
    assert varied.spread == 0.2 and not varied.exact_first
    with pytest.raises(errors.BadRequest, match="There is no slider “system”"):
        direction(system="diffposetalk")
    (take,) = thunder.perform(voice, takes=1, quality="draft")
    assert (
        take.seed == seed_of_voice("line.wav")
        and take.provenance["as_asked"]
        and take.provenance["spread"] == 0.5
    )


def test_nobody_speaking_is_a_warning_and_gives_idle_takes_without_a_score():
    with pytest.warns(
        UserWarning, match="Nobody speaks in “voice”, so its takes will show an idle face"
    ) as seen:
        takes = thunder.perform(silence(), takes=1, seed=1)
    assert (
        seen[0].filename == __file__
        and takes.best.score is None
        and takes.best.curves["jawOpen"].max() < 0.02
    )
    assert "idle" in repr(takes.best) and np.ptp(takes.best.motion.head) > 0.005, "it is alive"


def test_curves_are_the_motions_values_by_name(takes):
    take = takes.best
    assert np.allclose(take.curves["jawOpen"], take.motion.jaw[:, 0] / JAW_OPEN_RADIANS)
    assert np.array_equal(
        take.curves["mouthPucker"], take.motion.expression[:, take.channels.index("mouthPucker")]
    )
    assert set(livelink.NAMES) | set(take.channels) == set(take.curves)
    assert np.ptp(take.curves["headPitch"]) > 0.001 and all(
        x.dtype == np.float32 and x.shape == (50,) for x in take.curves.values()
    )


def test_saved_files_are_read_as_the_take(takes, tmp_path):
    take = takes.best
    take.save(tmp_path / "take.npz")
    motion, channels = motion_file.read(tmp_path / "take.npz")
    assert (
        channels == take.channels
        and np.array_equal(motion.jaw, take.motion.jaw)
        and np.array_equal(motion.head, take.motion.head)
    )
    take.save(tmp_path / "take.CSV")
    rows = (tmp_path / "take.CSV").read_text().splitlines()
    # 49 of 1/25 s, at 60 a second
    assert len(rows) == 1 + 118 and rows[1].startswith("00:00:00:00.000,61,")
    again = result(livelink.read(tmp_path / "take.CSV", take.channels))[0]
    apart = np.abs(again.jaw[:, 0] - take.motion.jaw[:, 0])
    assert again.frames == 50 and np.median(apart) < 1e-3 and apart.max() < 0.02
    with pytest.raises(errors.BadRequest, match="cannot be written .*choose another folder"):
        take.save(tmp_path / "missing" / "take.npz")
    take.save(tmp_path / "take.vrma")
    assert (tmp_path / "take.vrma").read_bytes().startswith(b"glTF")


def test_takes_speak_in_the_voice_given_and_another_engine_makes_the_same(takes, voice, tmp_path):
    plain, own = thunder.speak(takes.best), thunder.speak(takes.best, voice)
    assert plain.seconds == pytest.approx(2.0) and np.abs(plain.samples - own.samples).max() > 0.01
    own.save(tmp_path / "own.wav")
    assert np.abs(read_sound(tmp_path / "own.wav").samples - own.samples).max() < 1e-4
    engine = thunder.Engine.load(device="cpu")
    same = thunder.perform(voice, takes=1, mood="warm", seed=1, engine=engine)[0]
    assert engine._known, "it heard the voice"
    first = next(take for take in takes if take.seed == 1)
    assert np.array_equal(same.motion.expression, first.motion.expression)


def test_a_transcript_closes_lips_on_its_sounds_and_another_is_warned_of():
    """Some sounds of the sample are misheard: with its words takes fit them better."""
    said = (
        "My brother moves both big blue boxes from the front room. "
        "Who can forgive such a foolish thief, and put up with his thunder?"
    )
    voice = thunder.load(SAMPLE)
    heard, told = (
        thunder.perform(voice, takes=4, seed=1, quality="draft", transcript=text)
        for text in ("", said)
    )
    assert told[0].provenance["text"] == said
    engine = thunder.Engine.load(device="cpu")
    scores = [
        [engine.score(voice, take.motion, text=said) for take in takes] for takes in (heard, told)
    ]
    before, after = (np.mean([each.total for each in some]) for some in scores)
    assert after > 0.1 + before
    shut = [np.mean([each.parts["closures"] for each in some]) for some in scores]
    assert shut[0] < 0.99 < shut[1]
    assert abs(thunder.score(told.best, voice).total - told.best.score.total) < 0.05
    with pytest.warns(UserWarning, match="does not seem to say its transcript"):
        other = thunder.perform(
            voice, takes=1, seed=1, quality="draft", transcript="completely other words of winter"
        )
    assert np.array_equal(
        other[0].motion.expression, next(t for t in heard if t.seed == 1).motion.expression
    )
