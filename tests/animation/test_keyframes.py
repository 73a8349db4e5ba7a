# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys as arrays: reduced curves stay where they should, cutting, joining and mending leave a curve as it
was, new keys pass into old ones within their span, and edits come back from their distances."""

import numpy as np
import pytest
from scipy.interpolate import BPoly

from thunder_core import findings
from thunder_core.animation import keyframes, placing
from thunder_core.animation.commit.curves import trim
from thunder_core.animation.keys import reduce, turning_points

FRAMES = np.arange(1.0, 61.0)


def curve(seed=3):
    """Keys, a few of them, of a curve on FRAMES that goes up and down."""
    rng = np.random.default_rng(seed)
    values = sum(
        rng.uniform(-0.5, 0.5) * np.exp(-0.5 * ((FRAMES - at) / 4) ** 2) for at in (10, 22, 35, 50)
    )
    return keyframes.from_poses(reduce(FRAMES, values, 0.01), FRAMES)


def value_at(keys):
    return lambda frame: float(keyframes.evaluate(keys, np.array([frame]))[0])


@pytest.mark.parametrize("frame", [7.0, 15.5, 31.25, 59.0])
def test_a_cut_adds_one_key_and_leaves_the_curve_as_it_was(frame):
    keys = curve()
    cut = keyframes.cut(keys, frame, value_at(keys))
    assert len(cut["co"]) == len(keys["co"]) + 1 and frame in cut["co"][:, 0]
    fine = np.linspace(1, 60, 500)
    assert np.ptp(keyframes.evaluate(keys, fine)) > 0.2
    assert np.abs(keyframes.evaluate(cut, fine) - keyframes.evaluate(keys, fine)).max() < 1e-4


@pytest.mark.parametrize("first, last", [(1, 60), (1, 30), (30, 60), (20, 40)])
def test_a_takes_keys_are_cut_to_a_span(first, last):
    keys, fine = curve(), np.linspace(first, last, 200)
    cut = trim(keys, placing.Span(first, last, 2), None)
    assert cut["co"][[0, -1], 0].tolist() == [first, last]
    assert np.abs(keyframes.evaluate(cut, fine) - keyframes.evaluate(keys, fine)).max() < 1e-4


def test_an_unknown_interpolation_is_not_evaluated():
    keys = curve()
    keys["interpolation"][1] = 9
    assert keyframes.evaluate(keys, FRAMES) is None


@pytest.mark.parametrize("reach, halvings", [(2.0, 0), (7.0, 0), (10.0, 0), (14.0, 40)])
def test_a_curve_is_the_bezier_curve_of_its_handles(monkeypatch, reach, halvings):
    """Newton's steps alone find it, but where handles are as long as the segment, which is vertical
    in its middle then."""
    monkeypatch.setattr(keyframes, "_HALVINGS", halvings)
    points, handle = np.array([[12.0, 0.2], [26.0, 0.9]]), np.array([reach, 0.3])
    keys = keyframes.bezier_keys(points, points - handle, points + handle, keyframes.FREE)
    corners = np.array([points[0], points[0] + handle, points[1] - handle, points[1]])
    true = BPoly(corners[:, None], [0, 1])(np.linspace(0, 1, 101))
    off = np.abs(keyframes.evaluate(keys, true[:, 0]) - true[:, 1])
    assert (
        np.where(np.abs(true[:, 0] - 19) < 1e-3, 0, off).max() < 1e-5 and np.ptp(true[:, 1]) > 0.6
    )


def test_a_cut_in_an_easing_puts_keys_on_its_frames_and_on_no_others():
    keys = keyframes.from_poses(reduce(FRAMES, np.round(np.sin(FRAMES / 9), 6), 0.01), FRAMES)
    place = 2
    first, last = keys["co"][place : place + 2, 0]
    keys["interpolation"][place] = 12  # sine
    cut = keyframes.cut(keys, first + 1.5, lambda frame: 100 + frame)
    new = [*np.arange(first + 1, last), first + 1.5]
    assert sorted(cut["co"][:, 0]) == sorted([*keys["co"][:, 0], *new]) and len(new) > 2
    there = np.isin(cut["co"][:, 0], new)
    assert (cut["co"][there, 1] == 100 + cut["co"][there, 0]).all() and (
        cut["interpolation"][there] == keyframes.LINEAR
    ).all()


TIMES = np.arange(250) + 17.0


def speech_like(seed: int, frames: int = 250) -> np.ndarray:
    """A curve like a lip channel: bumps of a tenth to a third of a second, never below 0."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    return sum(
        rng.uniform(0.1, 0.8) * np.exp(-0.5 * ((t - c) / rng.uniform(1.5, 4)) ** 2)
        for c in rng.uniform(0, frames, frames // 9)
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_reduced_curve_is_within_the_tolerance_and_a_looser_one_needs_fewer_keys(seed):
    """Of speech, and of noise."""
    curve = speech_like(seed) if seed < 5 else np.random.default_rng(0).standard_normal(250)
    counts = []
    for tolerance in (0.003, 0.01, 0.05):
        keys = reduce(TIMES, curve, tolerance)
        assert np.abs(keys.at(np.arange(250)) - curve).max() <= tolerance
        assert np.array_equal(keys.value, curve[keys.index])
        counts.append(len(keys.index))
    assert counts == sorted(counts, reverse=True) and (seed == 5 or counts[1] < len(TIMES) / 2)


def test_what_does_not_move_gets_one_key_and_what_turns_is_found_at_its_extremes():
    keys = reduce(TIMES, np.full(250, 0.3), 0.01)
    assert len(keys.index) == 1 and keys.at(np.arange(250)) == pytest.approx(np.full(250, 0.3))
    curve = np.concatenate(
        [np.linspace(0, 1, 20), np.linspace(1, 0.2, 20)[1:], np.linspace(0.2, 0.9, 20)[1:]]
    )
    assert turning_points(curve, 0.05).tolist() == [0, 19, 38, 57]
    slow_start = [0.0, 0.3, -0.3, -0.3]  # rises by less than it takes, then turns by more
    assert turning_points(np.array(slow_start), 0.5).tolist() == [0, 1, 3]


CLOSURE = np.array([0.31, 0.33, 0.3, 0.018, 0.0, 0.0, 0.02, 0.24, 0.3, 0.29])


@pytest.mark.parametrize(
    "curve",
    [
        CLOSURE,
        *(speech_like(seed) for seed in range(4)),
        np.random.default_rng(3).uniform(0, 1, 60),
    ],
)
@pytest.mark.parametrize("tolerance", [0.003, 0.03])
def test_between_two_keys_the_curve_stays_between_their_values(curve, tolerance):
    keys = reduce(np.arange(len(curve)), curve, tolerance)
    times = keys.index[:-1, None] + np.diff(keys.index)[:, None] * np.linspace(0, 1, 33)
    samples = np.unique(times)
    dense = keys.at(samples)
    spans = np.searchsorted(samples, times)
    low = np.minimum(keys.value[:-1], keys.value[1:])
    high = np.maximum(keys.value[:-1], keys.value[1:])
    values = dense[spans]
    assert np.maximum(low[:, None] - values, values - high[:, None]).max() <= 0.02 * np.ptp(curve)
    # a slider's range is never left
    assert dense.min() >= curve.min() - 1e-9 and dense.max() <= curve.max() + 1e-9


def keys():
    return keyframes.on_every_frame(FRAMES, np.sin(FRAMES / 5))


@pytest.mark.parametrize("by", [-3.6, 2.4])
def test_a_stretch_is_moved_and_its_neighbours_keep_their_order(by):
    moved, count = findings.shift_keys(keys(), 25, 35, by)
    inside = (FRAMES >= 25) & (FRAMES <= 35)
    assert np.allclose(moved["co"][inside, 0], FRAMES[inside] + by)
    assert (np.diff(moved["co"][:, 0]) > 0).all()
    assert np.array_equal(moved["co"][:, 1], keys()["co"][:, 1])
    far = np.abs(FRAMES - 30) > 5 + 2 * abs(by) + 2
    assert np.array_equal(moved["co"][far], keys()["co"][far]) and count == (~far).sum()


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("by", [-4, -1, 1, 3])
def test_keys_on_whole_frames_stay_on_such_beside_a_stretch_that_moves(by, step):
    before = keyframes.select(keys(), np.arange(len(FRAMES))[::step])
    moved, _ = findings.shift_keys(before, 25, 35, by)
    times, room = moved["co"][:, 0], 2 * abs(by) + 2
    assert np.array_equal(times, np.round(times)) and (np.diff(times) > 0).all()
    inside = before["co"][(before["co"][:, 0] >= 25) & (before["co"][:, 0] <= 35)]
    places = np.searchsorted(times, inside[:, 0] + by)
    assert np.array_equal(moved["co"][places], inside + [by, 0]), "each of the stretch is there"
    lost = len(before["co"]) - len(times)
    assert lost == (abs(by) if step == 1 else 0), "as many as there is less room for"
    for frames in (FRAMES[FRAMES < 25 - room], FRAMES[FRAMES > 35 + room]):
        assert np.isin(frames[np.isin(frames, before["co"][:, 0])], times).all()
    # handles come along: each is as far from its key as before, but where keys are squeezed
    assert (moved["handle_left"][:, 0] <= times).all() and (
        moved["handle_right"][:, 0] >= times
    ).all()


def test_a_dent_needs_five_keys_and_keys_between_two_frames_are_deleted():
    few = keyframes.on_every_frame(FRAMES[[0, -1]], np.zeros(2))
    frames = np.arange(20.0, 31.0)
    by = -np.exp(-((frames - 25) ** 2) / 4)
    mended, count = findings.add_values(few, frames, np.zeros(11), by, [0, 4, 5, 6, 10])
    assert count == 5 and mended["co"][:, 0].tolist() == [1, 20, 24, 25, 26, 30, 60]
    assert mended["co"][3, 1] == pytest.approx(-1.0)
    assert np.array_equal(mended["co"][[0, -1]], few["co"])
    left, count = findings.delete_keys(keys(), 10, 20)
    assert (
        count == 9
        and {10.0, 20.0} <= set(left["co"][:, 0].tolist())
        and not np.isin(left["co"][:, 0], np.arange(11, 20)).any()
    )


SPAN = np.arange(5.0, 45.0)


def noisy_keys(seed=1, frames=SPAN):
    return keyframes.on_every_frame(
        frames, np.random.default_rng(seed).normal(size=len(frames)).astype(np.float32)
    )


def same(one, other):
    return (one is None) == (other is None) and (
        one is None or all(np.array_equal(one[part], other[part]) for part in keyframes.PARTS)
    )


def test_packed_keys_come_back_bit_for_bit():
    tracks = [noisy_keys(1), None, noisy_keys(2, SPAN[:7]), noisy_keys(3, SPAN[:0]), noisy_keys(4)]
    packed = keyframes.pack(tracks)
    back = keyframes.unpack(packed)
    assert len(back) == len(tracks) and all(same(one, other) for one, other in zip(tracks, back))
    # what all share is stored once
    assert [len(packed[part]) for part in ("interpolation", "type", "easing")] == [1, 1, 1]
    assert not same(tracks[0], back[4])
    assert keyframes.unpack(keyframes.pack([None, None])) == [None, None]


@pytest.mark.parametrize("part", ["co", "interpolation", "handle_left_type"])
def test_a_fingerprint_tells_changed_keys_apart(part):
    changed = {name: values.copy() for name, values in noisy_keys().items()}
    changed[part][3] += 1
    one, none, other = keyframes.fingerprints_of([noisy_keys(), None, changed])
    assert one == keyframes.fingerprints_of([noisy_keys()])[0] and one != other and none == 0


def test_handles_count_only_where_somebody_placed_them():
    automatic, by_hand = noisy_keys(), noisy_keys()
    by_hand["handle_left_type"][:] = by_hand["handle_right_type"][:] = keyframes.FREE
    for one, differs in ((automatic, False), (by_hand, True)):
        moved = one | {"handle_left": one["handle_left"] + np.float32(0.25)}
        assert (
            keyframes.fingerprints_of([one])[0] != keyframes.fingerprints_of([moved])[0]
        ) == differs
        assert keyframes.are_automatic(one) != differs


@pytest.mark.parametrize("shift", [0, 3, -2])
def test_an_edit_comes_back_bit_for_bit_on_the_curve_it_was_made_on(shift):
    edited = noisy_keys(7)
    under = np.sin(SPAN)
    on_curve = keyframes.to_relative(
        keyframes.move(edited, shift), SPAN, under.astype(np.float32).astype(np.float64), shift
    )
    back = keyframes.to_absolute(on_curve, SPAN, under, shift)
    assert same(back, keyframes.move(edited, shift))


@pytest.mark.parametrize("mirrored", [1, -1])
@pytest.mark.parametrize("off, kind", [(2e-5, keyframes.ALIGNED), (1e-4, keyframes.FREE)])
def test_handles_are_aligned_where_the_end_of_the_longer_is_in_line_with_the_other(
    mirrored, off, kind
):
    long, short = np.array([[-10.0, off]]), np.array([[0.1, 0.0]])
    left, right = (long, short) if mirrored == 1 else (-short, -long)
    keys = {"co": np.zeros((1, 2)), "handle_left": left, "handle_right": right}
    keys |= {f"handle_{side}_type": np.array([-1]) for side in ("left", "right")}
    keyframes.fix_handles(keys, 0)
    assert keys["handle_left_type"] == keys["handle_right_type"] == kind
