# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine hears in the sample voice, how it scores and speaks faces, and what it reads in
them is what is stored."""

import numpy as np
import pytest
from stored import compare

from research.ranking import spoil_motion
from thunder_core.animation import activity, traits
from thunder_core.animation.vrma import expressions
from thunder_core.direction import Direction, DirectionRequest, Style
from thunder_core.engine.speech.encoder import softmax
from thunder_core.face import lips, livelink, mapping, shaping
from thunder_core.findings import CARTOONY
from thunder_core.request import DRAFT, Request
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
        name: value
        for owner in (voice, voice.sounds, voice.phrasing)
        for name, value in vars(owner).items()
        if isinstance(value, np.ndarray)
    }
    said = " ".join(f"{word.text} {word.start:.2f} {word.end:.2f}" for word in words)
    heard = " ".join(f"{sound.phone} {sound.start:.2f}" for sound in sounds)
    belief = softmax(voice.logits)
    compare(
        "heard",
        plain | {"words": said, "sounds": heard, "says it": str(matches), "belief": belief},
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
    strong = shaping.Shape(jaw=1.3, mouth=1.5, head=0.7, smoothing=2, emotion="JOY", strength=0.6)
    changed = {
        "mixed": shaping.mix([motion, other], names, weights),
        "shaped": shaping.shape_motion(motion, names, strong),
        "closed": lips.close(motion, names, 60.0)[0],
        "parted": lips.part_lips(motion, names, 60.0)[0],
    }
    found = {name: pack(each) for name, each in changed.items()}
    for what, values in {
        "track": activity.tracks(motion, names, opening),
        "source": mapping.sources(motion, names),
        "expression": expressions(motion, names),
        "measure": traits.measure(engine.meter, motion, speaking),
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
