# SPDX-License-Identifier: GPL-3.0-or-later
"""How the bench of emotions from pictures tells whether a performance has the mood that was shown."""

import numpy as np
import pytest

from research.emotion import likeness
from research.systems.denoisers import LABELS

TRUE = np.random.default_rng(0).standard_normal((len(LABELS), 30))
SPREAD = TRUE.std(0)


def test_a_mood_is_named_by_how_a_face_departs_from_its_mean_not_by_how_far():
    weak = 5 + 0.1 * TRUE
    assert likeness(weak, TRUE, SPREAD) == (pytest.approx(1), 1.0)
    shuffled = np.roll(weak, 1, 0)
    r, named = likeness(shuffled, TRUE, SPREAD)
    assert r < 0.2 and named == 0.0


def test_a_face_that_is_the_same_in_all_moods_has_none():
    r, named = likeness(np.ones_like(TRUE), TRUE, SPREAD)
    assert r == pytest.approx(0, abs=1e-6) and named <= 1 / len(LABELS)
