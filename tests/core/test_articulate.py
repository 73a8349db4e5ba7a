# SPDX-License-Identifier: GPL-3.0-or-later
"""What the encoder hears of m, b and p decides when lips meet, and no frame opens, shuts or rolls a
lip by a jump."""

import numpy as np
import pytest
from made_voice import made_voice

from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.speech.cues import demanded_closures
from thunder_core.engine.speech.phones import PHONES
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.lips import bundled_lips
from thunder_core.face.mechanics import Sounds
from thunder_core.types import Motion

FRAMES = 50


def heard(phone: str, probability: float, start: int, end: int) -> np.ndarray:
    """Phone probabilities [2 FRAMES, 40]: silence, and a phone over frames start … end."""
    belief = np.zeros((2 * FRAMES, len(PHONES)))
    belief[2 * start : 2 * end, PHONES.index(phone)] = probability
    belief[:, PHONES.index("SIL")] = 1 - belief.sum(1)
    return belief


@pytest.mark.parametrize("probability, shut", [(0.35, 0.0), (0.45, 1.0)])
def test_lips_close_on_what_is_probably_a_bilabial(probability, shut):
    assert demanded_closures(heard("B", probability, 20, 23), FRAMES).max() == shut


def test_lips_that_all_but_meet_on_a_bilabial_meet_and_others_stay_as_the_model_has_them():
    shut = demanded_closures(heard("B", 1.0, 20, 24), FRAMES)
    for jaw_mm, meets in ((0.8, True), (6.0, False)):
        model, made = openings(np.full(FRAMES, jaw_mm), shut)
        assert made[:15] == pytest.approx(model[:15], abs=0.05)
        assert (made[21:23].max() < 0.05) == meets and (
            meets or made[21:23] == pytest.approx(model[21:23], abs=0.05)
        )


def test_the_lower_lip_comes_to_the_teeth_and_leaves_them_in_more_than_a_frame():
    articulators = bundled_articulators()
    pipeline, nothing = Pipeline(articulators.names, articulators), np.zeros(FRAMES)
    expression = np.zeros((FRAMES, len(articulators.names)))
    jaw = np.zeros((FRAMES, 3))
    f = np.zeros(FRAMES)
    jaw[:, 0], f[24:26] = 0.12, 1.0
    sounds = Sounds(np.ones(FRAMES), nothing, f, nothing)
    before = pipeline.mechanics.speak(expression, jaw, sounds)[0][:, pipeline.roll]
    made = pipeline.articulate(expression, jaw, made_voice(sounds))[0][:, pipeline.roll]
    assert np.abs(np.diff(before)).max() > 0.6 and np.abs(np.diff(made)).max() <= 0.45 + 1e-6
    assert made[24:26] == pytest.approx(before[24:26]) and (made >= before - 1e-9).all()


def test_the_tongue_reaches_the_palate_and_leaves_it_in_two_frames_or_more():
    articulators = bundled_articulators()
    pipeline, nothing = Pipeline(articulators.names, articulators), np.zeros(FRAMES)
    expression = np.zeros((FRAMES, len(articulators.names)))
    jaw = np.zeros((FRAMES, 3))
    th = np.zeros(FRAMES)
    tip, jaw[:, 0], th[34:36] = articulators.names.index("tongueTipUp"), 0.1, 1.0
    expression[20:22, tip] = expression[31:34, tip] = 0.9
    sounds = Sounds(np.ones(FRAMES), nothing, nothing, th)
    before = pipeline.mechanics.speak(expression, jaw, sounds)[0]
    made = pipeline.articulate(expression, jaw, made_voice(sounds))[0]
    assert (
        np.abs(np.diff(before[:, tip])).max() > 0.8
        and np.abs(np.diff(made[:, tip])).max() <= 0.35 + 1e-6
    )
    assert made[20:22, tip] == pytest.approx(0.9) and made[17:19, tip] == pytest.approx([0, 0.2])
    assert made[34:36] == pytest.approx(before[34:36], abs=1e-6)


def openings(jaw_mm, shut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opening [T] in mm of a jaw that opens by some millimetres [T] as the model has it, and as it
    is articulated with closures [T]."""
    articulators = bundled_articulators()
    pipeline, nothing = Pipeline(articulators.names, articulators), np.zeros(FRAMES)
    expression, jaw = np.zeros((FRAMES, len(articulators.names))), np.zeros((FRAMES, 3))
    jaw[:, 0] = 0.01 * np.asarray(jaw_mm)
    made = Motion(
        *pipeline.articulate(
            expression, jaw, made_voice(Sounds(np.ones(FRAMES), nothing, nothing, nothing), shut)
        )
    )
    return bundled_lips().opening(Motion(expression, jaw)), bundled_lips().opening(made)
