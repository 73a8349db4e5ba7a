# SPDX-License-Identifier: GPL-3.0-or-later
"""What the encoder hears of m, b and p decides when lips meet, and no frame opens, shuts or rolls a
lip by a jump."""

from types import SimpleNamespace

import numpy as np
import pytest

from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.speech.cues import demanded_closures
from thunder_core.engine.speech.encoder import PHONES
from thunder_core.face.lips import bundled_lips
from thunder_core.face.mechanics import bundled_articulators, Sounds
from thunder_core.types import Motion

FRAMES = 50
NOTHING, SPEAKS = np.zeros(FRAMES), np.ones(FRAMES)
PIPELINE = Pipeline(bundled_articulators().names, bundled_articulators())


def heard(phone: str, probability: float, start: int, end: int) -> np.ndarray:
    """Phone probabilities [2 FRAMES, 40]: silence, and a phone over frames start … end."""
    belief = np.zeros((2 * FRAMES, len(PHONES)))
    belief[2 * start : 2 * end, PHONES.index(phone)] = probability
    belief[:, PHONES.index("SIL")] = 1 - belief.sum(1)
    return belief


@pytest.mark.parametrize("probability, shut", [(0.35, 0.0), (0.45, 1.0)])
def test_lips_close_on_what_is_probably_a_bilabial(probability, shut):
    assert demanded_closures(heard("B", probability, 20, 23), FRAMES).max() == shut


@pytest.mark.parametrize("jaw_mm, meets", [(0.8, True), (6.0, False)])
def test_lips_that_all_but_meet_on_a_bilabial_meet_and_others_stay_as_the_model_has_them(
    jaw_mm, meets
):
    shut = demanded_closures(heard("B", 1.0, 20, 24), FRAMES)
    given, _, made = articulated(Sounds(SPEAKS, *[NOTHING] * 3), 0.01 * jaw_mm, shut)
    model, made = (bundled_lips().opening(Motion(*motion)) for motion in (given, made))
    assert made[:15] == pytest.approx(model[:15], abs=0.05)
    assert (made[21:23].max() < 0.05) == meets
    assert meets or made[21:23] == pytest.approx(model[21:23], abs=0.05)


def articulated(sounds, jaw=0.0, shut=NOTHING, **channels):
    """A mouth [T, n] of channels, over a jaw by some radians, with its teeth and lips set for
    sounds, and as it is articulated: two motions."""
    given = np.zeros((FRAMES, len(PIPELINE.channels))), np.zeros((FRAMES, 3))
    given[1][:, 0] = jaw
    for name, values in channels.items():
        given[0][:, PIPELINE.channels.index(name)] = values
    voice = SimpleNamespace(sounds=sounds, shut=shut)
    return (given, PIPELINE.mechanics.speak(*given, sounds), PIPELINE.articulate(*given, voice))


def on(start, end, value=1.0):
    """A curve [T] that has a value on some frames."""
    return np.where((np.arange(FRAMES) >= start) & (np.arange(FRAMES) < end), value, 0.0)


def test_the_lower_lip_comes_to_the_teeth_and_leaves_them_in_more_than_a_frame():
    _, before, made = articulated(Sounds(SPEAKS, NOTHING, on(24, 26), NOTHING), 0.12)
    before, made = (motion[0][:, PIPELINE.roll] for motion in (before, made))
    assert np.abs(np.diff(before)).max() > 0.6 and np.abs(np.diff(made)).max() <= 0.45 + 1e-6
    assert made[24:26] == pytest.approx(before[24:26]) and (made >= before - 1e-9).all()


def test_the_tongue_reaches_the_palate_and_leaves_it_in_two_frames_or_more():
    _, (before, _), (made, _) = articulated(
        Sounds(SPEAKS, NOTHING, NOTHING, on(34, 36)),
        0.1,
        tongueTipUp=on(20, 22, 0.9) + on(31, 34, 0.9),
    )
    was, now = (x[:, PIPELINE.channels.index("tongueTipUp")] for x in (before, made))
    assert np.abs(np.diff(was)).max() > 0.8 and np.abs(np.diff(now)).max() <= 0.35 + 1e-6
    assert now[20:22] == pytest.approx(0.9) and now[17:19] == pytest.approx([0, 0.2])
    assert made[34:36] == pytest.approx(before[34:36], abs=1e-6)
