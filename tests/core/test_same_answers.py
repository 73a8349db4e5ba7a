# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine hears in the sample voice, how it scores and speaks faces, and what it reads in
them is what is stored."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest
from stored import compare

from research.ranking import spoil_motion
from thunder_core.animation import activity, livelink, traits
from thunder_core.animation.vrma import expressions
from thunder_core.direction import Direction, DirectionRequest, Style
from thunder_core.engine import m2s, scorer
from thunder_core.engine.speech.encoder import softmax
from thunder_core.face.moving import driving, lips, shaping
from thunder_core.findings import CARTOONY
from thunder_core.request import DRAFT, Request
from thunder_core.spoken import Word
from thunder_core.types import pack

SAYS = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)
NETWORK = 0.02  # takes differ by so much between processors


def take_of(engine, sample, seed=5, **direction):
    (take,) = engine.generate(
        sample, Request(1, seed, DRAFT, direction=DirectionRequest(**direction))
    )
    return take


@pytest.fixture(scope="module")
def take(engine, sample):
    return take_of(engine, sample)


def scored(name, engine, sample, motion, **given):
    score = engine.score(sample, motion, **given)
    of_findings = [[f.start, f.end, f.weight] for f in score.findings]
    return {
        f"{name}: total": score.total,
        f"{name}: frames": score.per_frame,
        f"{name}: faults": " ".join(f"{f.kind} {f.whole}" for f in score.findings),
        f"{name}: of faults": of_findings,
    } | {f"{name}: {part}": value for part, value in score.parts.items()}


def test_spoiled_mouths_have_the_scores_that_they_had(engine, sample, take):
    other = pack(take.motion)[::-1].copy()
    speaking = engine.analyse(sample).presence > 0.5
    found = {}
    for name, motion in spoil_motion(engine, take.motion, other, speaking).items():
        found |= scored(name, engine, sample, motion)
    small = DirectionRequest(Direction(Style(energy=0.6)).vector()[None], 0.4)
    found |= scored("of a direction", engine, sample, take.motion, direction=small, seed=6)
    found |= scored("cartoony", engine, sample, take.motion, tolerance=CARTOONY)
    compare("scores", found, NETWORK)
    compare("scores by a text", scored("text", engine, sample, take.motion, text=SAYS), NETWORK)


def test_a_voice_is_heard_as_before(engine, sample):
    voice = engine.analyse(sample)
    sounds, words, matches = engine.spoken(sample, SAYS)
    plain = {
        each.name: getattr(owner, each.name)
        for owner in (voice, voice.sounds, voice.phrasing)
        for each in fields(owner)  # not what was read of them before and is kept
        if each.name not in ("hidden", "phones")
        and isinstance(getattr(owner, each.name), np.ndarray)
    }
    said = " ".join(f"{word.text} {word.start:.2f} {word.end:.2f}" for word in words)
    heard = " ".join(f"{sound.phone} {sound.start:.2f}" for sound in sounds)
    belief = softmax(voice.logits)
    compare(
        "heard",
        plain
        | {name: getattr(voice, name) for name in ("features", "quiet", "speaking", "lips")}
        | {
            "silences": voice.phrasing.silences,
            "words": said,
            "sounds": heard,
            "says it": str(matches),
            "belief": belief,
        },
        NETWORK,
    )


def test_a_face_is_spoken_as_before(engine, sample, take):
    for name, voice in (("average", None), ("own", sample)):
        sound = engine.listen(take.motion, voice).samples
        pieces = sound[: len(sound) // 640 * 640].reshape(-1, 640)
        bands = np.log(np.abs(np.fft.rfft(pieces, axis=1)).reshape(-1, 321)[:, 1:] + 1e-3)
        bands = bands.reshape(len(pieces), 32, 10).mean(2)
        compare(f"spoken in an {name} voice", {"bands": bands, "power": pieces.std(1)}, NETWORK)


def test_a_face_is_read_and_changed_as_before(engine, sample, take):
    motion, names = take.motion, engine.head.expression_names
    other = take_of(engine, sample, 8, spread=0.8).motion
    speaking = engine.analyse(sample).presence > 0.5
    style = traits.style_of(motion, names)
    opening = lips.opening_mm(motion, engine.head)
    openings = np.stack([opening, lips.opening_mm(other, engine.head)])
    at, cuts = np.arange(motion.frames), [(50, 1), (90, 0)]
    weights = np.stack([shaping.take_weights(at, 0, cuts, 2, 9.0)] * 4, 2)
    strong = shaping.TakeShape(
        jaw=1.3, mouth=1.5, head=0.7, smoothing=2, emotion="JOY", strength=0.6
    )
    changed = {
        "mixed": shaping.mix([motion, other], names, weights),
        "shaped": shaping.shape_motion(motion, names, strong),
        "closed": lips.close(motion, names, 60.0)[0],
        "parted": lips.part_lips(motion, names, 60.0)[0],
    }
    found = {name: pack(each) for name, each in changed.items()}
    for what, values in {
        "track": activity.tracks(motion, names, opening),
        "source": driving.sources(motion, names),
        "expression": expressions(motion, names),
        "measure": engine.meter.measure(motion, speaking),
    }.items():
        found |= {f"{what} {name}": value for name, value in values.items()}
    chosen = activity.choose_moments(openings, opening, 8, np.abs(np.diff(openings, axis=0))[0])
    found |= {
        "opening": opening,
        "width": lips.width_mm(motion, engine.head),
        "lids": traits.lid_closure(engine.head, motion),
        "style": style.style.vector(),
        "spread": style.spread or 0.0,
        "moments": " ".join(f"{frame} {why}" for frame, why in chosen),
        "live link": livelink.table(motion, names),
    }
    compare("a face read and changed", found, NETWORK)


# ---- without an engine: made voices and mouths


def smooth(rng, *shape):
    """Random curves [T, …] that move about as fast as speech."""
    return np.apply_along_axis(
        lambda curve: np.convolve(curve, np.hanning(9)[1:-1], "same"), 0, rng.normal(size=shape)
    )


class _MadeVoice(SimpleNamespace):
    """What is read of a voice. One is another, whatever it holds, as real ones are."""

    __hash__ = object.__hash__


def made_voice(seed, frames=240):
    """What the scorer reads of a voice that speaks, pauses and speaks again, and nearly does at
    its end."""
    rng = np.random.default_rng(seed)
    presence = np.full(frames, 0.9)
    presence[: 6 + seed], presence[90:125], presence[-20:] = 0.0, 0.04, 0.3
    return _MadeVoice(
        presence=presence, lips=smooth(rng, frames, 2), speaking=presence > 0.5, frames=frames
    )


def made_mouths(voice, seed):
    """Mouths that follow a voice, with one fault each."""
    rng, at = np.random.default_rng(seed + 50), np.arange(voice.frames)
    gap = np.clip(3 + 3 * voice.lips[:, 0], 0, None) * (voice.presence > 0.1)
    width = 50 + 4 * voice.lips[:, 1] + 0.3 * rng.normal(size=voice.frames)
    good = scorer.MouthCurves(gap + 0.1 * np.abs(rng.normal(size=voice.frames)), width)
    part, still, moving = at.copy(), at.copy(), good.gap.copy()
    part[140:200] -= 5
    still[40:60], still[82:97], still[150:159] = 40, 82, 150
    moving[90:125] += 3 * np.abs(np.sin(at[90:125] * 0.8))
    shuffled = rng.permutation(voice.frames)
    return {
        "good": good,
        "late": good.shift(3.4),
        "early": good.shift(-2.2),
        "late in part": scorer.MouthCurves(good.gap[part], width[part]),
        "still in part": scorer.MouthCurves(good.gap[still], width[still]),
        "moving in a pause": scorer.MouthCurves(moving, width),
        "small": scorer.MouthCurves(0.1 * good.gap, width),
        "large": scorer.MouthCurves(4 * good.gap + 2, width),
        "another": scorer.MouthCurves(good.gap[shuffled], width[shuffled]),
        "open": scorer.MouthCurves(good.gap + 2.5, width),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_faults_of_made_mouths_are_found_as_before(seed):
    voice, found = made_voice(seed), {}
    rng = np.random.default_rng(seed + 9)
    starts = np.sort(rng.uniform(0.3, 9.0, 9))
    demands = [scorer.Demand(a, a + 0.04 + 0.02 * n, "mbp"[n % 3]) for n, a in enumerate(starts)]
    words = [Word(f"word{n}", n * 0.6 + 0.1, n * 0.6 + 0.6, 1.0) for n in range(16)]
    mouths = made_mouths(voice, seed)
    for number, (name, mouth) in enumerate(mouths.items()):
        tolerance = list(scorer.TOLERANCE_OF.values())[(number + seed) % 3]
        target = (None, 0.7, 1.2)[number % 3]
        few = demands[: 3 + number]
        findings = scorer.find(mouth, voice, tolerance, few, words, target)
        found |= {
            f"{name}: which": " ".join(
                f"{f.kind} {f.sound} {f.word} {f.last_word} {f.whole}" for f in findings
            ),
            f"{name}: where": [[f.start, f.end, f.size, f.weight] for f in findings],
            f"{name}: along": scorer._along(mouth, voice, 60.0 - 8 * number, findings),
            f"{name}: size": scorer.size_of(mouth.gap, voice, target),
            f"{name}: swings": np.array(scorer.swings(mouth.gap, 2.0 + number / 5), float),
            f"{name}: apart": [gap for _, gap in scorer.gaps_on(mouth.gap, demands)],
            f"{name}: parts": [
                scorer.correlate(mouth.gap, 4 * voice.lips[:, 0], voice.presence),
                scorer._share_made(np.arange(0, 5, 0.4), (1.0, 3.0 + number)),
            ],
        }
    found["by lags"] = scorer.agreement_by_lag(mouths["late"], voice, scorer.sums_around)
    found["over the line"] = scorer.agreement_by_lag(mouths["early"], voice, scorer.over_line)
    voice.logits = 1.5 * smooth(rng, 2 * voice.frames, 40)
    asked = scorer.Demands.of(voice, "")
    teeth = SimpleNamespace(bite=lambda expression, jaw: np.abs(expression[:, 0] + jaw[:, 1]))
    motion = SimpleNamespace(expression=smooth(rng, 230, 4), jaw=smooth(rng, 230, 3))
    found |= {
        "closures": [[each.start, each.end] for each in asked.closures],
        "sounds": " ".join(each.sound for each in asked.closures),
        "bites": asked.bites,
        "from teeth": scorer.Scorer._from_teeth(
            SimpleNamespace(articulators=teeth), motion, asked.bites
        ),
    }
    compare(f"faults of made mouths {seed}", found)


def test_what_mesh_to_speech_reads_and_the_vocoder_sounds_is_as_before():
    rng, prior = np.random.default_rng(3), np.log(np.arange(1, 8) / 28)
    units, logits, spoken = rng.integers(0, 7, 80), rng.normal(0, 2, (80, 7)), np.arange(40) % 5 > 1
    logits[::2, units[::2]] += 3
    mel = smooth(rng, 120, m2s.BINS) - 6.0
    mel[20:26], mel[40, 3], mel[60:64] = m2s.LOG_FLOOR, np.nan, 3.0
    mel[70:74] = m2s.LOG_FLOOR + np.linspace(0.1, 0.7, m2s.BINS)

    def network(mel, units, speaker):
        place = np.arange(mel.shape[1])[:, None]
        score = np.cos(np.arange(96) / 9 - place / 30 + units.mean() / 50 + speaker.mean())
        return [(5 * score)[None], np.stack([mel[0] + 0.5, mel[0] - 1.0], 1)[None]]

    odds, odd_voice = m2s.evidence(logits, units, prior), np.where(np.arange(256) == 5, np.nan, 0.1)
    found = {"evidence": odds, "share": m2s.heard_share(odds + 1, units, prior, spoken)}
    for name, given in (("units", rng.integers(-4, 60, 60)), ("no units", np.zeros(0))):
        vocoder = m2s.Vocoder(SimpleNamespace(units=50), network)
        sound = vocoder.speak(mel, given, odd_voice).reshape(-1, 160)
        found[f"{name}: bands"] = np.log(np.abs(np.fft.rfft(sound)) + 1e-4)
    compare("mesh-to-speech and vocoder of made inputs", found)
