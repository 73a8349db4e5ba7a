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
