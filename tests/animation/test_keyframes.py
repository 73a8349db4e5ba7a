# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys as arrays: cutting and joining leave the curve as it was, and new keys pass into old ones
within their span."""

import numpy as np
import pytest

from thunder_core.animation import keyframes, placing
from thunder_core.animation.keys import reduce

FRAMES = np.arange(1.0, 61.0)


def curve(seed=3):
    """Keys, a few of them, of a curve on FRAMES that goes up and down."""
    rng = np.random.default_rng(seed)
    values = sum(
        rng.uniform(-0.5, 0.5) * np.exp(-0.5 * ((FRAMES - at) / 4) ** 2) for at in (10, 22, 35, 50)
    )
    return keyframes.from_reduced(reduce(FRAMES, values, 0.01), FRAMES)


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


def test_both_halves_of_a_cut_say_what_the_whole_said():
    keys = curve()
    cut = keyframes.cut(keys, 30.0, value_at(keys))
    left, right = keyframes.keys_until(cut, 30.0), keyframes.keys_from(cut, 30.0)
    assert left["co"][-1, 0] == right["co"][0, 0] == 30.0
    for half, fine in ((left, np.linspace(1, 30, 200)), (right, np.linspace(30, 60, 200))):
        assert np.abs(keyframes.evaluate(half, fine) - keyframes.evaluate(keys, fine)).max() < 1e-4


@pytest.mark.parametrize("ends", [(27.0, 31.0), (15.0, 36.0), (13.5, 14.5)])
def test_a_movement_that_was_cut_twice_is_joined_again(ends):
    points = np.array([[12.0, 0.2], [40.0, 0.7]])
    keys = keyframes.bezier_keys(points, points - [6, 0.1], points + [8, 0.3], keyframes.FREE)
    cut = keys
    for end in ends:
        cut = keyframes.cut(cut, end, value_at(keys))
    cut["handle_right"][1] += [0, 0.4]  # what lies between the ends is another curve by now
    joined = keyframes.rejoin(cut, 0, 3)
    fine = np.linspace(12, 40, 300)
    now = keyframes.evaluate(keyframes.select(joined, np.array([0, 3])), fine)
    assert np.abs(now - keyframes.evaluate(keys, fine)).max() < 5e-4
    cut["co"][2, 1] += 0.01  # a key that was moved is no cut
    assert keyframes.rejoin(cut, 0, 3) is None


def test_an_unknown_interpolation_is_not_evaluated():
    keys = curve()
    keys["interpolation"][1] = 9
    assert keyframes.evaluate(keys, FRAMES) is None


@pytest.mark.parametrize("insert", [False, True])
def test_placed_keys_leave_the_curve_alone_outside_their_span(insert):
    own, span = curve(), placing.Span(25, 35, 4)
    new = keyframes.on_every_frame(np.arange(25.0, 36.0), np.full(11, 2.0))
    keys = placing.place_keys(span, new, placing.Shape(own, value_at(own)), insert)
    before, inside = np.linspace(1, span.start, 100), np.linspace(span.first, span.last, 50)
    assert np.abs(keyframes.evaluate(keys, before) - keyframes.evaluate(own, before)).max() < 1e-4
    assert np.abs(keyframes.evaluate(keys, inside) - 2.0).max() < 1e-6
    if insert:  # what came from the first frame on comes when the new keys have ended
        later = np.linspace(span.first, 60, 100)
        moved = keyframes.evaluate(keys, later + span.end - span.first)
    else:
        later = np.linspace(span.end, 60, 100)
        moved = keyframes.evaluate(keys, later)
    assert np.abs(moved - keyframes.evaluate(own, later)).max() < 1e-4


def test_held_values_get_a_key_only_where_they_differ():
    inner = keyframes.on_every_frame(np.array([10.0, 11.0]), np.array([0.0, 1.0]))
    keys = placing.hold_around(placing.Span(10, 11, 3), inner, 0.0)
    assert keys["co"][:, 0].tolist() == [10.0, 11.0, 14.0] and keys["co"][-1, 1] == 0.0
    assert np.ptp(keyframes.evaluate(keys, np.linspace(0, 10, 20))) == 0.0


def test_an_opened_curve_stands_still_in_the_gap_and_goes_on_after_it():
    own, span = curve(), placing.Span(20, 30, 2)
    keys = placing.open_gap(span, placing.Shape(own, value_at(own)))
    gap = keyframes.evaluate(keys, np.linspace(span.first, span.end, 50))
    assert np.ptp(gap) < 1e-5 and gap[0] == pytest.approx(value_at(own)(20.0), abs=1e-5)
    later = np.linspace(20, 60, 100)
    assert (
        np.abs(
            keyframes.evaluate(keys, later + span.end - span.first) - keyframes.evaluate(own, later)
        ).max()
        < 1e-4
    )


def de_casteljau(points: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Points [S, 2] of a Bézier segment with corners [4, 2] at parameters [S]."""
    at = np.repeat(points[:, None], len(s), axis=1)
    while len(at) > 1:
        at = at[:-1] * (1 - s)[:, None] + at[1:] * s[:, None]
    return at[0]


@pytest.mark.parametrize("reach, halvings", [(2.0, 0), (7.0, 0), (10.0, 0), (14.0, 40)])
def test_a_curve_is_that_of_de_casteljau(monkeypatch, reach, halvings):
    """Newton's steps alone find it, but where handles are as long as the segment, which is vertical
    in its middle then."""
    monkeypatch.setattr(keyframes, "_HALVINGS", halvings)
    points, handle = np.array([[12.0, 0.2], [26.0, 0.9]]), np.array([reach, 0.3])
    keys = keyframes.bezier_keys(points, points - handle, points + handle, keyframes.FREE)
    true = de_casteljau(
        np.array([points[0], points[0] + handle, points[1] - handle, points[1]]),
        np.linspace(0, 1, 101),
    )
    off = np.abs(keyframes.evaluate(keys, true[:, 0]) - true[:, 1])
    assert (
        np.where(np.abs(true[:, 0] - 19) < 1e-3, 0, off).max() < 1e-5 and np.ptp(true[:, 1]) > 0.6
    )


def test_a_cut_in_an_easing_puts_keys_on_its_frames_and_on_no_others():
    keys = keyframes.from_reduced(reduce(FRAMES, np.round(np.sin(FRAMES / 9), 6), 0.01), FRAMES)
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
