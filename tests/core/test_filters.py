# SPDX-License-Identifier: GPL-3.0-or-later
"""Small parts that all use: filters give what scipy's give, progress is scaled into the whole, a full cache
forgets the oldest, columns are those of a packed motion."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from thunder_core import filters, types
from thunder_core.face.head import load_head
from thunder_core.filters import hermite, smoothstep
from thunder_core.progress import in_turn, map_progress, rescale, result
from thunder_core.types import Columns, in_group, Motion, pack, unpack


@pytest.mark.parametrize("mode", ["reflect", "nearest"])
@pytest.mark.parametrize("length, deviation", [(300, 2.0), (300, 0.6), (25, 12.0), (5, 6.0)])
@pytest.mark.parametrize("width", [(), (3,)])
def test_smoothing(length, deviation, mode, width):
    values = np.random.default_rng(1).standard_normal((length, *width))
    expected = gaussian_filter1d(values, deviation, axis=0, mode=mode)
    assert np.allclose(filters.gaussian(values, deviation, mode), expected, atol=1e-12)


@pytest.mark.parametrize("size, origin", [(13, -1), (13, 0), (8, 0), (3, 1)])
def test_neighbours(size, origin):
    values = np.random.default_rng(2).standard_normal(40)
    assert (
        filters.highest(values, size, origin) == maximum_filter1d(values, size, origin=origin)
    ).all()


X = np.linspace(0, 1, 101)


def test_smoothstep_is_the_cubic_that_is_level_at_both_ends():
    assert np.allclose(smoothstep(X), CubicHermiteSpline([0, 1], [0, 1], [0, 0])(X), atol=1e-14)


def test_hermite_weighs_values_and_slopes_as_scipy_does():
    # values before and after, slopes before and after, of six curves
    ends = np.random.default_rng(0).normal(size=(4, 6))
    expected = CubicHermiteSpline([0, 1], ends[:2], ends[2:])(X)
    assert np.allclose(np.stack(hermite(X), 1) @ ends, expected, atol=1e-13)


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_numbers_and_tensors_are_eased_alike(kind):
    assert [float(smoothstep(kind(x))) for x in X] == pytest.approx(
        smoothstep(X).tolist(), abs=1e-6
    )


def work(closed=None):
    try:
        yield 0.0
        yield 0.5
        yield 1.0
    finally:
        if closed is not None:
            closed.append(True)
    return "value"


def collected(generator):
    seen = []
    while True:
        try:
            seen.append(next(generator))
        except StopIteration as end:
            return seen, end.value


def test_parts_run_from_their_start_to_their_end_give_their_values_and_nest():
    def whole():
        one = yield from rescale(work(), 0.0, 0.5)
        two = yield from rescale(work(), 0.5, 1.0)
        return one, two

    assert collected(rescale(whole(), 0.0, 10.0)) == (
        [0.0, 2.5, 5.0, 5.0, 7.5, 10.0],
        ("value", "value"),
    )


def test_works_in_turn_share_the_progress_and_give_their_values():
    assert collected(in_turn([work(), work()], 1.0, 3.0)) == (
        [1.0, 1.5, 2.0, 2.0, 2.5, 3.0],
        ["value", "value"],
    )
    assert collected(in_turn([], 0.0, 1.0)) == ([], [])
    assert result(work()) == "value", "never its progress"


def test_closing_the_outer_work_closes_the_inner_and_an_error_of_it_comes_through():
    closed = []
    outer = rescale(map_progress(work(closed), float), 0.0, 1.0)
    next(outer)
    assert not closed
    outer.close()
    assert closed
    with pytest.raises(ZeroDivisionError):
        collected(rescale((1 / n for n in (2, 1, 0)), 0.0, 1.0))


PARTS = ("expression", "jaw", "head", "eyes")


@pytest.mark.parametrize("count", [1, 40, 100])
def test_columns_are_where_the_parts_of_a_motion_are_packed(count):
    motion = Motion(
        *(np.full((2, width), value, np.float32) for value, width in enumerate((count, 3, 3, 3), 1))
    )
    packed, columns = pack(motion), Columns(count)
    assert packed.shape[1] == columns.count
    for value, part in enumerate(PARTS, 1):
        assert set(packed[:, getattr(columns, part)].ravel()) == {value}
        assert np.array_equal(getattr(unpack(packed, count), part), getattr(motion, part))


def test_groups_name_channels_of_the_bundled_head():
    names = load_head().expression_names
    groups = {
        name: value
        for name, value in vars(types).items()
        if name[0].isalpha() and name.isupper() and isinstance(value, tuple)
    }
    # gaze: joints; coefficients: of FLAME files
    others = ("TURNS", "REGIONS", "GAZE")
    known = {name: in_group(names, group) for name, group in groups.items() if name not in others}
    assert len(known) >= 8 and all(chosen.any() for chosen in known.values())
    assert (
        not (known["SPEECH"] & ~known["MOUTH"]).any()
        and not (known["MOOD_CHANNELS"] & ~known["SPEECH"]).any()
    )


def test_a_group_leaves_out_what_is_excepted():
    names = ("mouthSmileLeft", "mouthPucker", "browDownLeft")
    assert in_group(names, types.SPEECH, but=types.MOOD_CHANNELS).tolist() == [False, True, False]
