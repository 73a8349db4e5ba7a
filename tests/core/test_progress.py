# SPDX-License-Identifier: GPL-3.0-or-later
"""Generators of progress: parts are scaled into the whole, values come through, and closing reaches
the innermost."""

import pytest

from thunder_core.progress import in_turn, map_progress, rescale, result


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


def test_a_part_runs_from_its_start_to_its_end_and_gives_its_value():
    assert collected(rescale(work(), 0.2, 0.6)) == ([0.2, 0.4, 0.6], "value")


def test_parts_nest():
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


def test_the_result_of_work_is_its_value_and_never_its_progress():
    assert result(work()) == "value"


def test_closing_the_outer_work_closes_the_inner():
    closed = []
    outer = rescale(map_progress(work(closed), float), 0.0, 1.0)
    next(outer)
    assert not closed
    outer.close()
    assert closed


def test_an_error_of_the_inner_work_comes_through():
    def broken():
        yield 0.1
        raise ValueError("broken")

    outer = rescale(broken(), 0.0, 1.0)
    assert next(outer) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="broken"):
        next(outer)
