# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower face in long silence: it presses its lips, swallows and stirs, keeps them shut, and
leaves speech and short pauses alone."""

import numpy as np
import pytest

from thunder_core.direction import Direction
from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.planning.plan import Manners
from thunder_core.engine.planning.take_plan import Resting
from thunder_core.engine.speech.cues import Phrasing, silent_phrasing
from thunder_core.face.head import load_head
from thunder_core.face.lips import bundled_lips
from thunder_core.face.mechanics import bundled_articulators
from thunder_core.types import FPS, Motion

HEAD = load_head()
NAMES = HEAD.expression_names
PIPELINE = Pipeline(NAMES, bundled_articulators())
CORNERS = ("mouthSmile", "mouthFrown", "mouthDimple")
SEEDS = range(16)
IDLE = silent_phrasing(500)
# pauses just below 3 s
SHORT = Phrasing(500, np.array([30]), np.array([0.5]), np.array([[10, 150], [224, 440]]))
# 3.2 s, 6 s and 6.4 s of silence
LONG = Phrasing(600, np.array([30]), np.array([0.5]), np.array([[80, 150], [300, 440]]))


def rests(voice, listens=False, direction=Direction(), seeds=SEEDS):
    return [Resting.of(voice, seed, Manners.of(direction), listens) for seed in seeds]


def all_of(resting):
    """What all channels do, [T, LOWER_FACE]."""
    return np.stack(list(resting.channels.values()), 1)


def played(resting, **values):
    """Expression [T, NAMES] of a resting face that holds these values."""
    held = np.zeros((resting.frames, len(NAMES)), np.float32)
    for name, value in values.items():
        held[:, NAMES.index(name)] = value
    return PIPELINE.rest_lower_face(held, resting.channels)


def rises(curve, above):
    """Frames at which a curve rises above a value."""
    return np.flatnonzero((curve[1:] > above) & (curve[:-1] <= above))


def test_an_idle_face_presses_its_lips_swallows_and_stirs_in_every_take():
    presses, swallows, uneven = [], 0, []
    for resting in rests(IDLE):
        face = dict(zip(NAMES, played(resting).T))
        left, right = face["mouthPressLeft"], face["mouthPressRight"]
        at, swallowed = rises(left, 0.1), rises(face["mouthShrugLower"], 0.08)
        presses.append(len(at))
        uneven.append(abs(left.max() - right.max()))
        assert 0.12 < left.max() < 0.36 and 0.12 < right.max() < 0.36, "neither faint nor clenched"
        assert (np.diff(at) > 1.2 * FPS).all(), "it does not chew"
        swallows += len(swallowed)
        assert len(resting.dips) == len(swallowed), "the head dips in a swallow"
        corners = [v for name, v in face.items() if name.startswith(CORNERS)]
        assert (np.ptp(corners, axis=1) > 0.02).sum() >= 3
        assert 0.015 < np.ptp(face["noseSneerLeft"]) <= 0.04
    assert min(presses) >= 1 and 2 <= np.mean(presses) <= 4.5
    assert len(SEEDS) / 3 < swallows < 1.5 * len(SEEDS)
    assert np.median(uneven) > 0.005


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5},
        {"mouthFrownLeft": 0.4, "mouthFrownRight": 0.4},
    ],
)
@pytest.mark.parametrize("listens", [False, True])
def test_its_lips_stay_shut(held, listens):
    lips, nothing = bundled_lips(), np.zeros((1, len(NAMES)))
    before = np.where(np.isin(NAMES, list(held)), max(held.values(), default=0), nothing)
    for resting in rests(LONG if listens else IDLE, listens, seeds=range(4)):
        was, now = (
            lips.gap(Motion(face, np.zeros((len(face), 3))), NAMES)
            for face in (before, played(resting, **held))
        )
        assert (now <= was + 0.1).all()


def test_speech_and_shorter_pauses_are_left_alone():
    for resting in rests(SHORT):
        assert not all_of(resting).any()
    for resting in rests(LONG):
        moves = all_of(resting).any(1)
        for start, end in LONG.phrases:
            assert not moves[start - round(0.6 * FPS) : end + round(0.4 * FPS)].any()
        assert moves[: 80 - 20].all() and moves[170:270].all() and moves[-100:].all()
        assert not played(resting)[~moves].any(), "bit for bit"
