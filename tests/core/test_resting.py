# SPDX-License-Identifier: GPL-3.0-or-later
"""The lower face in long silence: it presses its lips, swallows and stirs, keeps them shut, and leaves speech and short pauses alone."""

import numpy as np
import pytest

from thunder_core.direction import Direction
from thunder_core.engine.gestures.layer import Layer, LOWER_FACE
from thunder_core.engine.gestures.making import layer_of
from thunder_core.engine.gestures.silence import restful
from thunder_core.engine.speech.phrasing import Phrasing, silent
from thunder_core.face.head import load_head
from thunder_core.face.lips import bundled_lips
from thunder_core.types import FPS, Motion

HEAD = load_head()
NAMES = HEAD.expression_names
SEEDS = range(16)
IDLE = silent(500)
SHORT = Phrasing(500, np.array([30]), np.array([0.5]), np.array([[10, 150], [224, 440]]))  # pauses just below 3 s
LONG = Phrasing(600, np.array([30]), np.array([0.5]), np.array([[80, 150], [300, 440]]))  # 3.2 s, 6 s and 6.4 s of silence


def layers(voice, listens=False, direction=None, seeds=SEEDS):
    return [layer_of(voice, seed, 0.5, None if direction is None else direction.vector()[None], listens) for seed in seeds]


def played(layer, **values):
    """Expression [T, NAMES] of a layer on a face that holds these values."""
    held = np.zeros((layer.frames, len(NAMES)), np.float32)
    for name, value in values.items():
        held[:, NAMES.index(name)] = value
    still = np.zeros((layer.frames, 3))
    return layer.apply(held, still, still, NAMES)[0]


def of(expression, name):
    return expression[:, NAMES.index(name)]


def times(curve, above):
    """Frames at which a curve rises above a value."""
    return np.flatnonzero((curve[1:] > above) & (curve[:-1] <= above))


def test_an_idle_face_presses_its_lips_swallows_and_stirs_in_every_take():
    presses, swallows = [], 0
    for layer in layers(IDLE):
        face = played(layer)
        left, right, chin = (of(face, name) for name in ("mouthPressLeft", "mouthPressRight", "mouthShrugLower"))
        at = times(left, 0.1)
        presses.append(len(at))
        assert 0.12 < left.max() < 0.36 and 0.12 < right.max() < 0.36, "neither faint nor clenched"
        assert (np.diff(at) > 1.2 * FPS).all(), "it does not chew"
        swallows += len(times(chin, 0.08))
        moved = np.ptp(face, axis=0)
        assert sum(moved[NAMES.index(name)] > 0.02 for name in NAMES if name.startswith(("mouthSmile", "mouthFrown", "mouthDimple"))) >= 3
        assert 0.015 < np.ptp(of(face, "noseSneerLeft")) <= 0.04
    assert min(presses) >= 1 and 2 <= np.mean(presses) <= 4.5
    assert len(SEEDS) / 3 < swallows < 1.5 * len(SEEDS)
    uneven = [abs(layer.lower("mouthPressLeft").max() - layer.lower("mouthPressRight").max()) for layer in layers(IDLE)]
    assert np.median(uneven) > 0.005


def test_it_moves_slowly():
    for layer in layers(IDLE):
        fastest = np.abs(np.diff(layer.resting, axis=0)).max(0)
        for name, by in zip(LOWER_FACE, fastest):
            assert by < (0.16 if "Press" in name or "Roll" in name or "Shrug" in name else 0.01), name


@pytest.mark.parametrize("held", [{}, {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}, {"mouthFrownLeft": 0.4, "mouthFrownRight": 0.4}])
@pytest.mark.parametrize("listens", [False, True])
def test_its_lips_stay_shut(held, listens):
    rest, lips = np.zeros((1, 3)), bundled_lips()
    for layer in layers(LONG if listens else IDLE, listens, seeds=range(4)):
        face, turn = played(layer, **held), np.repeat(rest, layer.frames, 0)
        before = np.zeros((1, len(NAMES)))
        for name, value in held.items():
            before[:, NAMES.index(name)] = value
        assert (lips.gap(Motion(face, turn, turn), NAMES) <= lips.gap(Motion(before, rest, rest), NAMES) + 0.1).all()


def test_a_smile_is_not_lowered():
    for layer in layers(IDLE):
        face = played(layer, mouthSmileLeft=0.3, mouthSmileRight=0.3)
        assert of(face, "mouthSmileLeft").min() >= 0.3 - 1e-6 and not of(face, "mouthFrownLeft").any()


def test_speech_and_shorter_pauses_are_left_alone():
    for layer in layers(SHORT):
        assert not layer.resting.any()
    for layer in layers(LONG):
        moves = layer.resting.any(1)
        for start, end in LONG.phrases:
            assert not moves[start - round(0.6 * FPS) : end + round(0.4 * FPS)].any()
        assert moves[: 80 - 20].all() and moves[170:270].all() and moves[-100:].all()
        assert not (moves & (layer.breath > 0)).any(), "it is over when a breath begins"
        at_rest = played(Layer(LONG.frames))
        mouth = [NAMES.index(name) for name in LOWER_FACE]
        assert np.array_equal(played(layer)[~moves][:, mouth], at_rest[~moves][:, mouth]), "bit for bit"


def test_in_long_pauses_most_takes_press_or_swallow_and_some_do_not():
    did = np.mean([(layer.lower("mouthPressLeft")[150:300] > 0.1).any() for layer in layers(LONG, seeds=range(64))])
    assert 0.4 < did < 0.95


def test_listeners_press_their_lips_also_while_the_other_speaks_but_a_little_more_rarely():
    voice = Phrasing(2000, np.zeros(0, int), np.zeros(0), np.array([[10, 1990]]))
    assert restful(voice, True) == [(0, 2000)] and restful(voice, False) == []
    listening, idle = (
        np.mean([len(times(layer.lower("mouthPressLeft"), 0.1)) for layer in each]) for each in (layers(voice, True), layers(silent(2000)))
    )
    assert 0.55 * idle < listening < 0.9 * idle


def test_takes_differ_and_are_the_same_again():
    one, again, other = (layers(IDLE, seeds=[seed])[0].resting for seed in (3, 3, 4))
    assert np.array_equal(one, again) and np.abs(one - other).max() > 0.1


def test_a_longer_take_begins_as_a_shorter_one_does():
    short, long = (layers(silent(frames), seeds=[2])[0].resting for frames in (500, 750))
    lips = [i for i, name in enumerate(LOWER_FACE) if not name.startswith("nose")]  # the breath's phase is that of the head's
    assert np.allclose(short[:440, lips], long[:440, lips])


def test_faces_without_these_channels_are_left_alone():
    some = ("jawOpen", "mouthSmileLeft")
    layer = layers(IDLE, seeds=[1])[0]
    result = layer.apply(np.zeros((500, 2), np.float32), np.zeros((500, 3)), np.zeros((500, 3)), some)[0]
    assert not result[:, 0].any() and result[:, 1].any()


def test_the_hasty_do_it_more_often_than_the_slow():
    slow, quick = (
        np.mean([len(times(layer.lower("mouthPressLeft"), 0.1)) for layer in layers(silent(2000), direction=Direction(mood=mood))])
        for mood in ("bored", "angry")
    )
    assert quick > slow
