# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation vectors, matrices, quaternions and Euler angles agree with Blender's own mathematics."""

import itertools

import mathutils
import numpy as np
import pytest
from thunder.thunder_core import rotation

ORDERS = ["".join(p) for p in itertools.permutations("XYZ")]


def _rotvecs(scale, count=50):
    r = np.random.default_rng(0).normal(size=(count, 3))
    return r * scale / np.linalg.norm(r, axis=1, keepdims=True)


@pytest.mark.parametrize("order", ORDERS)
def test_euler_orders_are_blenders(order):
    r = _rotvecs(1.3)
    for vector, euler in zip(r, rotation.matrix_to_euler(rotation.rotvec_to_matrix(r), order)):
        ours = mathutils.Euler(euler, order).to_matrix()
        theirs = mathutils.Matrix.Rotation(np.linalg.norm(vector), 3, mathutils.Vector(vector))
        assert np.allclose(np.array(ours), np.array(theirs), atol=1e-5)


def test_the_middle_of_a_half_turn_is_exact():
    half_turns = np.pi * np.eye(3)
    back = rotation.matrix_to_rotvec(rotation.rotvec_to_matrix(half_turns))
    assert np.allclose(np.abs(back), half_turns, atol=1e-6)
