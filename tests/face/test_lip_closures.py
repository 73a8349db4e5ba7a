# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips closed and opened by hand: as speakers make a bilabial, and nothing beside it changes."""

import numpy as np
import pytest

from thunder_core.errors import BadRequest
from thunder_core.face.head import load_head
from thunder_core.face.moving.lips import bundled_lips, close, part_lips
from thunder_core.filters import smoothstep
from thunder_core.types import Motion

NAMES = list(load_head().expression_names)
CLOSE, OPENER = NAMES.index("mouthClose"), NAMES.index("mouthFunnel")


def open_mouth(frames=50, jaw=0.2):
    motion = Motion(np.zeros((frames, len(NAMES))), np.zeros((frames, 3)), fps=25)
    motion.jaw[:, 0], motion.expression[:, OPENER] = jaw, 0.2
    return motion


def gap(motion):
    return bundled_lips().middle_gap(motion, NAMES)


@pytest.mark.parametrize("frame", [20, 20.4, 0, 49])
def test_lips_fall_together_in_a_tenth_of_a_second_and_part_in_more(frame):
    """Shut for .05 s; the jaw gives up .45 of its opening, the lower lip does the rest."""
    motion = open_mouth()
    closed, rows = close(motion, NAMES, frame)
    late = (np.arange(50) - frame) / 25
    x = np.where(late < 0, (-late - 0.025) / 0.10, (late - 0.025) / 0.13).clip(0, 1)
    shut = 1 - smoothstep(x)
    shut[round(frame)] = 1
    assert gap(closed) == pytest.approx((1 - shut) * gap(motion), abs=0.05)
    assert closed.jaw[:, 0] == pytest.approx(0.2 * (1 - 0.45 * shut), abs=1e-6)
    assert closed.expression[:, OPENER] == pytest.approx(0.2 * (1 - shut))
    assert np.flatnonzero(shut > 0).tolist() == list(range(rows.start, rows.stop))
    outside = np.r_[0 : rows.start, rows.stop : 50]
    assert np.array_equal(closed.expression[outside], motion.expression[outside])
    assert np.array_equal(closed.jaw[outside], motion.jaw[outside])


def test_a_closure_that_is_opened_goes_smoothly_from_one_side_to_the_other():
    motion = open_mouth()
    motion.jaw[30:, 0] = 0.3
    closed, rows = close(motion, NAMES, 20)
    opened, changed = part_lips(closed, NAMES, 21)  # also beside its middle
    assert rows.start <= changed.start < 20 < changed.stop <= rows.stop
    assert gap(opened)[changed].min() > 4
    left, right = changed.start - 1, changed.stop
    share = smoothstep((np.arange(left + 1, right) - left) / (right - left))
    a, b = closed.jaw[[left, right], 0]
    assert opened.jaw[changed, 0] == pytest.approx(a + share * (b - a))
    outside = np.r_[0 : changed.start, changed.stop : 50]
    assert np.array_equal(opened.jaw[outside], closed.jaw[outside])
    with pytest.raises(BadRequest, match="do not close at this frame"):
        part_lips(motion, NAMES, 20)
    with pytest.raises(BadRequest, match="rest together"):
        part_lips(open_mouth(jaw=0.0), NAMES, 20)
