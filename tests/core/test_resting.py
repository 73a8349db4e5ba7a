# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower face in long silence: it presses its lips, swallows and stirs, keeps them shut, and
leaves speech and short pauses alone."""

import numpy as np
import pytest

from thunder_core.direction import Direction
from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.planning.plan import Manners
from thunder_core.engine.planning.take_plan import LOWER_FACE, rest_spans, Resting
from thunder_core.engine.speech.cues import Phrasing, silent_phrasing
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.head import load_head
from thunder_core.face.lips import bundled_lips
from thunder_core.types import FPS, Motion

HEAD = load_head()
NAMES = HEAD.expression_names
PIPELINE = Pipeline(NAMES, bundled_articulators())
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


def of(expression, name):
    return expression[:, NAMES.index(name)]


def times(curve, above):
    """Frames at which a curve rises above a value."""
    return np.flatnonzero((curve[1:] > above) & (curve[:-1] <= above))


def test_an_idle_face_presses_its_lips_swallows_and_stirs_in_every_take():
    presses, swallows = [], 0
    for resting in rests(IDLE):
        face = played(resting)
        left, right, chin = (
            of(face, name) for name in ("mouthPressLeft", "mouthPressRight", "mouthShrugLower")
        )
        at = times(left, 0.1)
        presses.append(len(at))
        assert 0.12 < left.max() < 0.36 and 0.12 < right.max() < 0.36, "neither faint nor clenched"
        assert (np.diff(at) > 1.2 * FPS).all(), "it does not chew"
        swallows += len(times(chin, 0.08))
        assert len(resting.dips) == len(times(chin, 0.08)), "the head dips in a swallow"
        moved = np.ptp(face, axis=0)
        assert (
            sum(
                moved[NAMES.index(name)] > 0.02
                for name in NAMES
                if name.startswith(("mouthSmile", "mouthFrown", "mouthDimple"))
            )
            >= 3
        )
        assert 0.015 < np.ptp(of(face, "noseSneerLeft")) <= 0.04
    assert min(presses) >= 1 and 2 <= np.mean(presses) <= 4.5
    assert len(SEEDS) / 3 < swallows < 1.5 * len(SEEDS)
    uneven = [
        abs(each.channels["mouthPressLeft"].max() - each.channels["mouthPressRight"].max())
        for each in rests(IDLE)
    ]
    assert np.median(uneven) > 0.005


def test_it_moves_slowly():
    for resting in rests(IDLE):
        fastest = np.abs(np.diff(all_of(resting), axis=0)).max(0)
        for name, by in zip(LOWER_FACE, fastest):
            assert by < (0.16 if "Press" in name or "Roll" in name or "Shrug" in name else 0.01), (
                name
            )


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
    rest, lips = np.zeros((1, 3)), bundled_lips()
    for resting in rests(LONG if listens else IDLE, listens, seeds=range(4)):
        face, turn = played(resting, **held), np.repeat(rest, resting.frames, 0)
        before = np.zeros((1, len(NAMES)))
        for name, value in held.items():
            before[:, NAMES.index(name)] = value
        assert (
            lips.gap(Motion(face, turn, turn), NAMES)
            <= lips.gap(Motion(before, rest, rest), NAMES) + 0.1
        ).all()


def test_a_smile_is_not_lowered():
    for resting in rests(IDLE):
        face = played(resting, mouthSmileLeft=0.3, mouthSmileRight=0.3)
        assert (
            of(face, "mouthSmileLeft").min() >= 0.3 - 1e-6 and not of(face, "mouthFrownLeft").any()
        )


def test_speech_and_shorter_pauses_are_left_alone():
    for resting in rests(SHORT):
        assert not all_of(resting).any()
    for resting in rests(LONG):
        moves = all_of(resting).any(1)
        for start, end in LONG.phrases:
            assert not moves[start - round(0.6 * FPS) : end + round(0.4 * FPS)].any()
        assert moves[: 80 - 20].all() and moves[170:270].all() and moves[-100:].all()
        assert not played(resting)[~moves].any(), "bit for bit"


def test_in_long_pauses_most_takes_press_or_swallow_and_some_do_not():
    did = np.mean(
        [
            (each.channels["mouthPressLeft"][150:300] > 0.1).any()
            for each in rests(LONG, seeds=range(64))
        ]
    )
    assert 0.4 < did < 0.95


def test_listeners_press_their_lips_also_while_the_other_speaks_but_a_little_more_rarely():
    voice = Phrasing(2000, np.zeros(0, int), np.zeros(0), np.array([[10, 1990]]))
    assert rest_spans(voice, True) == [(0, 2000)] and rest_spans(voice, False) == []
    listening, idle = (
        np.mean([len(times(resting.channels["mouthPressLeft"], 0.1)) for resting in each])
        for each in (rests(voice, True), rests(silent_phrasing(2000)))
    )
    assert 0.55 * idle < listening < 0.9 * idle


def test_takes_differ_and_are_the_same_again():
    one, again, other = (all_of(rests(IDLE, seeds=[seed])[0]) for seed in (3, 3, 4))
    assert np.array_equal(one, again) and np.abs(one - other).max() > 0.1


def test_a_longer_take_begins_as_a_shorter_one_does():
    short, long = (all_of(rests(silent_phrasing(frames), seeds=[2])[0]) for frames in (500, 750))
    assert np.allclose(short[:440], long[:440])


def test_the_hasty_do_it_more_often_than_the_slow():
    slow, quick = (
        np.mean(
            [
                len(times(each.channels["mouthPressLeft"], 0.1))
                for each in rests(silent_phrasing(2000), direction=Direction(mood=mood))
            ]
        )
        for mood in ("bored", "angry")
    )
    assert quick > slow
