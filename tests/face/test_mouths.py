# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator's mouths and moods do on the bundled lips what their names say."""

import numpy as np
import pytest

from thunder_core.direction import MOODS
from thunder_core.face import mouths
from thunder_core.face.lips import bundled_lips
from thunder_core.face.mechanics import bundled_articulators


@pytest.fixture(scope="module")
def shapes():
    """{mouth: (gap, width) of the lips, millimetres}."""
    articulators = bundled_articulators()
    motion = mouths.motion_of(list(mouths.MOUTHS.values()), articulators.names)
    widths = bundled_lips().width(motion, articulators.names)
    gaps = articulators.shape(motion.expression, motion.jaw).gap
    return {
        name: (float(gap), float(width)) for name, gap, width in zip(mouths.MOUTHS, gaps, widths)
    }


def test_lips_are_shut_where_they_must_be_and_open_in_the_order_of_the_chart(shapes):
    gap = {name: both[0] for name, both in shapes.items()}
    assert len(gap) == 10 and max(gap["Rest"], gap["M B P"]) < 0.6
    assert gap["AH"] > gap["OH"] > gap["EE"] > gap["M B P"]
    assert 1.0 < gap["F V"] < 5.0 and gap["AH"] > 15.0


def test_round_mouths_are_narrow_and_ee_is_wide(shapes):
    width = {name: both[1] for name, both in shapes.items()}
    assert width["OO"] < width["OH"] < width["Rest"] < width["EE"]


def test_every_mood_but_neutral_has_a_face_of_its_own():
    assert set(mouths.MOOD_FACES) == {mood.label for mood in MOODS.values()} - {"Neutral"}
    channels = bundled_articulators().names
    faces = mouths.motion_of(list(mouths.MOOD_FACES.values()), channels).expression
    apart = np.abs(faces[:, None] - faces[None]).max(axis=2) + np.eye(len(faces))
    assert apart.min() > 0.15
    sides = [
        mouths.motion_of([pose], channels).expression[0]
        for pose in ({"mouthSmile": 1.0}, {"mouthSmileLeft": 1.0})
    ]
    assert [int(side.sum()) for side in sides] == [2, 1]
