# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a take under its shape: they come back from their packed form bit for bit, and edits from
their distances."""

import numpy as np
import pytest

from thunder_core.animation import keyframes, layered

FRAMES = np.arange(5.0, 45.0)


def keys(seed=1, frames=FRAMES):
    return keyframes.on_every_frame(
        frames, np.random.default_rng(seed).normal(size=len(frames)).astype(np.float32)
    )


def same(one, other):
    return (one is None) == (other is None) and (
        one is None or all(np.array_equal(one[part], other[part]) for part in keyframes.PARTS)
    )


def test_packed_keys_come_back_bit_for_bit():
    tracks = [keys(1), None, keys(2, FRAMES[:7]), keys(3, FRAMES[:0]), keys(4)]
    packed = layered.pack(tracks)
    back = layered.unpack(packed)
    assert len(back) == len(tracks) and all(same(one, other) for one, other in zip(tracks, back))
    # what all share is stored once
    assert [len(packed[part]) for part in ("interpolation", "type", "easing")] == [1, 1, 1]
    assert not same(tracks[0], back[4])
    assert layered.unpack(layered.pack([None, None])) == [None, None]


@pytest.mark.parametrize("part", ["co", "interpolation", "handle_left_type"])
def test_a_fingerprint_tells_changed_keys_apart(part):
    changed = {name: values.copy() for name, values in keys().items()}
    changed[part][3] += 1
    one, none, other = layered.fingerprints_of([keys(), None, changed])
    assert one == layered.fingerprints_of([keys()])[0] and one != other and none == 0


def test_handles_count_only_where_somebody_placed_them():
    automatic, by_hand = keys(), keys()
    by_hand["handle_left_type"][:] = by_hand["handle_right_type"][:] = keyframes.FREE
    for one, differs in ((automatic, False), (by_hand, True)):
        moved = one | {"handle_left": one["handle_left"] + np.float32(0.25)}
        assert (layered.fingerprints_of([one])[0] != layered.fingerprints_of([moved])[0]) == differs
        assert keyframes.are_automatic(one) != differs


@pytest.mark.parametrize("shift", [0, 3, -2])
def test_an_edit_comes_back_bit_for_bit_on_the_curve_it_was_made_on(shift):
    edited = keys(7)
    under = np.sin(FRAMES)
    on_curve = layered.to_relative(
        keyframes.move(edited, shift), FRAMES, under.astype(np.float32).astype(np.float64), shift
    )
    back = layered.to_absolute(on_curve, FRAMES, under, shift)
    assert same(back, keyframes.move(edited, shift))


def test_an_edit_keeps_its_distance_from_a_curve_that_moves():
    edited, under = keys(7), np.sin(FRAMES)
    back = layered.to_absolute(
        layered.to_relative(edited, FRAMES, under, 0), FRAMES, under + 2.0, 0
    )
    assert np.abs(back["co"][:, 1] - edited["co"][:, 1] - 2.0).max() < 1e-5


@pytest.mark.parametrize("dense", [True, False])
def test_new_values_within_rows_leave_the_other_frames_alone(dense):
    frames = np.arange(5, 45)
    was = keys(2) if dense else keyframes.select(keys(2), np.array([0, 39]))
    said = keyframes.evaluate(was, FRAMES)
    rows = slice(10, 20)
    now = layered.set_values(was, frames[rows], frames, said, np.full(10, 0.5), rows)
    values = keyframes.evaluate(now, FRAMES)
    assert np.abs(values[rows] - said[rows] - 0.5).max() < 1e-6
    outside = np.ones(40, bool)
    outside[9:21] = False
    # Blender places the handles of keys that got new neighbours
    assert np.abs(values[outside] - said[outside]).max() < 5e-3
