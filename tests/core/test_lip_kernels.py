# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips as planned from a voice's features."""

import numpy as np

from thunder_core.engine.planning.lip_kernels import (
    apply_kernel,
    kernels,
    plan_lips,
    stack_neighbours,
)
from thunder_core.engine.speech.phones import PHONES


def features(frames=90, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((frames, kernels()["opening"].map.shape[1])).astype(np.float32)
    believed = rng.dirichlet(np.full(len(PHONES), 0.05), frames)
    x[:, -2 - len(PHONES) : -2] = believed
    return x


def test_a_kernel_is_applied_as_a_product_with_all_frames_around_each_would():
    x, kernel = features(), kernels()["opening"].map
    assert np.allclose(
        apply_kernel(x, kernel), stack_neighbours(x, len(kernel) // 2) @ kernel.ravel(), atol=1e-4
    )
    assert np.allclose(
        apply_kernel(x[:1], kernel),
        stack_neighbours(x[:1], len(kernel) // 2) @ kernel.ravel(),
        atol=1e-4,
    )


def test_lips_rest_where_nobody_speaks_and_follow_what_is_heard_elsewhere():
    x, presence = features(), np.repeat([0.0, 1.0, 0.0], 30)
    lips = plan_lips(x, presence)
    assert lips.shape == (90, 2) and lips.dtype == np.float32 and not lips[presence == 0].any()
    assert lips[30:60].std(0).min() > 0.3
    of_phones = plan_lips(x, presence, map_fits=False)
    x[:, :40] += 1.0  # features that are no phones
    assert np.array_equal(plan_lips(x, presence, map_fits=False), of_phones)
    assert not np.allclose(plan_lips(x, presence), lips)
