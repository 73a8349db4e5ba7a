# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth measured without torch is the engine's own measure."""

import numpy as np
import pytest

from thunder_core.engine import flame
from thunder_core.face import mouth
from thunder_core.face.head import load_head
from thunder_core.types import Motion


def test_opening_and_width_are_the_engines():
    head, rng = load_head(), np.random.default_rng(4)
    expression = rng.uniform(0, 0.8, (60, head.channels)).astype(np.float32)
    jaw = np.stack([rng.uniform(-0.02, 0.35, 60), rng.uniform(-0.1, 0.1, 60), np.zeros(60)], 1).astype(np.float32)
    motion = Motion(expression, jaw)
    assert mouth.opening_mm(motion) == pytest.approx(flame.opening_mm(head, motion), abs=1e-4)
    assert mouth.width_mm(motion) == pytest.approx(flame.width_mm(head, motion), abs=1e-4)
    assert mouth.opening_mm(motion).max() > 5  # millimetres: the numbers mean something
    assert mouth.opening_mm(Motion(np.zeros((2, head.channels)), np.zeros((2, 3)))).max() == 0
