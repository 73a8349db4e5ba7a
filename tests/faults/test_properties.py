# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for any input, tried on many: conversions come back, mixtures of one take are it,
files are old or new."""

import numpy as np
from hypothesis import given, HealthCheck, settings, strategies as st
from hypothesis.extra import numpy as arrays

from thunder_core import rotation
from thunder_core.animation import livelink
from thunder_core.arrays import read_npz
from thunder_core.face.head import load_head
from thunder_core.face.mapping import (
    JOINTS,
    rotation_length,
    rotation_path,
    rotation_rest,
    rotation_values,
    rotation_vectors,
)
from thunder_core.face.moving import shaping
from thunder_core.face.moving.driving import BoneTurn, Driver, Track
from thunder_core.types import Motion

many = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)
ORDERS = ("XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX")
CHANNELS = load_head().expression_names


def numbers(shape, low, high):
    return arrays.arrays(np.float64, shape, elements=st.floats(low, high))


# ---- rotations


@many
@given(turn=numbers((5, 3), -1.8, 1.8))  # of at most 3.12 rad, just below a half turn
def test_a_rotation_comes_back_through_matrices_quaternions_and_angles(turn):
    matrix = rotation.rotvec_to_matrix(turn)
    assert np.abs(matrix @ matrix.swapaxes(1, 2) - np.eye(3)).max() < 1e-12
    assert np.abs(rotation.matrix_to_rotvec(matrix) - turn).max() < 1e-6
    assert (
        np.abs(rotation.quaternion_to_rotvec(rotation.rotvec_to_quaternion(turn)) - turn).max()
        < 1e-9
    )
    for order in ORDERS:
        back = rotation.euler_to_rotvec(rotation.matrix_to_euler(matrix, order), order)
        assert np.abs(rotation.rotvec_to_matrix(back) - matrix).max() < 1e-7


@many
@given(turn=numbers((5, 3), -1.5, 1.5), mode=st.sampled_from((*ORDERS, "QUATERNION", "AXIS_ANGLE")))
def test_a_rotation_comes_back_from_every_rotation_mode_of_blender(turn, mode):
    values = rotation_values(turn, mode)
    assert values.shape == (5, rotation_length(mode))
    there = rotation.rotvec_to_matrix(turn)
    assert np.abs(there - rotation.rotvec_to_matrix(rotation_vectors(values, mode))).max() < 1e-7


# ---- motions


def motions(frames=12, channels=len(CHANNELS)):
    return st.builds(
        lambda seed, open_jaw, amount: _motion(seed, frames, channels, open_jaw, amount),
        st.integers(0, 2**32 - 1), st.floats(0, 0.35), st.floats(0, 1),
    )  # fmt: skip


def _motion(seed, frames, channels, open_jaw, amount):
    g = np.random.default_rng(seed)
    expression = (amount * g.random((frames, channels)) * (g.random(channels) < 0.4)).astype(
        np.float32
    )
    turns = [(0.1 * g.standard_normal((frames, 3))).astype(np.float32) for _ in range(2)]
    jaw = (0.02 * g.standard_normal((frames, 3))).astype(np.float32)
    jaw[:, 0] = open_jaw * g.random(frames)
    return Motion(expression, jaw, *turns)


@settings(many, max_examples=25)
@given(
    motion=motions(),
    cuts=st.lists(st.tuples(st.floats(0, 12), st.integers(0, 2)), max_size=4),
    fade=st.floats(0, 6),
)
def test_a_mix_of_one_take_is_the_take(motion, cuts, fade):
    alone = shaping.mix([motion], CHANNELS, np.ones((motion.frames, 1, len(shaping.PARTS))))
    share = shaping.take_weights(np.arange(float(motion.frames)), 0, cuts, 3, fade)[
        :, :, None
    ].repeat(len(shaping.PARTS), axis=2)
    # the same take under three names, cut and cross-faded
    for made in (alone, shaping.mix([motion] * 3, CHANNELS, share)):
        for name in ("expression", "jaw", "head", "eyes"):
            assert np.abs(getattr(made, name) - getattr(motion, name)).max() < 2e-6, name


@settings(many, max_examples=30)
@given(
    motion=motions(channels=6),
    weights=numbers((6,), 0.1, 3.0),
    rest=numbers((6,), -1, 1),
    joint=st.sampled_from(JOINTS),
    mode=st.sampled_from((*ORDERS, "QUATERNION", "AXIS_ANGLE")),
)
def test_what_a_rig_is_driven_with_is_read_from_it(motion, weights, rest, joint, mode):
    names = CHANNELS[:6]
    tracks = [Track(0, f"key {i}", rest=rest[i]) for i in range(6)]
    tracks += [
        Track(1, rotation_path(mode), i, rest=value) for i, value in enumerate(rotation_rest(mode))
    ]
    turn = BoneTurn(
        6,
        mode,
        np.eye(3),
        tuple((f"{joint}.{axis}", place, 1.0) for place, axis in enumerate("xyz")),
    )
    rig = Driver(tracks, [(name, i, weights[i]) for i, name in enumerate(names)], [turn])
    read = rig.read(rig.drive(motion, names), names)
    assert np.abs(read.expression - motion.expression).max() < 1e-5
    part = {"neck": "head", "jaw": "jaw", "eye_left": "eyes", "eye_right": "eyes"}[joint]
    assert np.abs(getattr(read, part) - getattr(motion, part)).max() < 1e-5


# ---- what is written


@many
@given(held=st.dictionaries(
    st.text("abcdefgh_123", min_size=1, max_size=8),
    st.sampled_from(("f8", "f4", "i4", "u1", "?", "U5",
    ">f4")).flatmap(lambda kind: arrays.arrays(kind,
    arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))),  # noqa: E501
    max_size=4), packed=st.booleans())  # fmt: skip
def test_every_array_comes_back_from_an_npz(tmp_path_factory, held, packed):
    path = tmp_path_factory.getbasetemp() / "arrays.npz"
    (np.savez_compressed if packed else np.savez)(path, **held)
    read = read_npz(path)
    assert read.keys() == held.keys()
    for name, array in held.items():
        assert read[name].dtype == array.dtype and np.array_equal(
            read[name], array, equal_nan=array.dtype.kind == "f"
        )


@many
@given(seconds=st.floats(0, 36_000), rate=st.sampled_from((24.0, 25.0, 30.0, 60.0, 23.976)))
def test_a_timecode_says_its_time_to_a_thousandth_of_a_frame(seconds, rate):
    hours, minutes, whole, frames = livelink.timecode(seconds, rate).split(":")
    assert int(minutes) < 60 and int(whole) < 60 and float(frames) < rate
    # with a fraction, timecode's second is as many frames as it says, not a second
    if rate == round(rate):
        assert (
            abs(3600 * int(hours) + 60 * int(minutes) + int(whole) + float(frames) / rate - seconds)
            <= 0.5001e-3 / rate + 1e-9
        )
