# SPDX-License-Identifier: GPL-3.0-or-later
"""What many buttons ask while Blender draws is worked out once: which takes are listed, which one
is shown, which voice and head are chosen.

Drawing the tab calls some hundred functions of ours, the polls of its buttons included. Nothing can
change between them: Blender refuses to write while it draws. A function marked `once` therefore
keeps its answers from the first of these calls until Blender goes on to the next events; whatever
changes data ends it before (`forget`). Elsewhere, as in an operator's work, such a function is
called each time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from contextlib import contextmanager
from functools import update_wrapper, wraps
from inspect import getattr_static
from types import FunctionType
from typing import Any, cast, TYPE_CHECKING, TypeVar

import bpy

from ...thunder_core.errors import ThunderError

if TYPE_CHECKING:
    from ..properties.settings import ThunderScene


F = TypeVar("F", bound=Callable)


class _Answers:
    """answers: (value, error) of each function and what it was asked.  depth: of calls by Blender
    to draw, or to poll.  at_work: whether an operator of ours is at work, whose own polls must see
    what it has changed.  timer: whether Blender will call `forget` when it goes on."""

    def __init__(self) -> None:
        self.known: dict[Hashable, tuple] = {}
        self.depth, self.at_work, self.timer = 0, 0, False


_answers = _Answers()


def forget() -> None:
    """Drop all answers: data may have changed, or Blender has drawn everything."""
    _answers.known.clear()


def _drawn() -> None:
    _answers.timer = False
    forget()


@contextmanager
def drawing():
    """Keep answers in this block, in which nothing is changed; without a window, or during an
    operator's work, no longer than that."""
    _answers.depth += 1
    try:
        yield
    finally:
        _answers.depth -= 1
        if not _answers.depth:
            if bpy.app.background or _answers.at_work:
                forget()
            elif not _answers.timer and _answers.known:
                _answers.timer = True
                bpy.app.timers.register(_drawn, first_interval=0.0, persistent=True)


@contextmanager
def changing():
    """Keep no answers in this block, which may change data."""
    depth, _answers.depth = _answers.depth, 0
    _answers.at_work += 1
    forget()
    try:
        yield
    finally:
        _answers.at_work -= 1
        _answers.depth = depth
        forget()


def once(function: F) -> F:
    """Mark a function whose answer holds while Blender draws. It is asked of data-blocks, settings,
    contexts and plain values, and its callers change nothing of what it returns."""

    @wraps(function)
    def answer(*asked: Any):
        if not _answers.depth:
            return function(*asked)
        window = getattr(bpy.context, "window", None)
        key = function, None if window is None else window.as_pointer(), *map(_name, asked)
        if key not in _answers.known:
            try:
                _answers.known[key] = function(*asked), None
            except ThunderError as error:
                _answers.known[key] = None, error
        value, failed = _answers.known[key]
        if failed is not None:
            raise failed.with_traceback(None)
        return value

    return cast(F, answer)


def _name(asked: Any) -> Hashable:
    return asked.as_pointer() if isinstance(asked, bpy.types.bpy_struct) else asked


# Blender counts the arguments of the functions that it calls.
_WITH_ARGUMENTS = {
    2: lambda run: lambda own, context: run(own, context),
    3: lambda run: lambda own, context, layout: run(own, context, layout),
    4: lambda run: lambda own, context, data, name: run(own, context, data, name),
    8: lambda run: lambda own, b, c, d, e, f, g, h: run(own, b, c, d, e, f, g, h),
    9: lambda run: lambda own, b, c, d, e, f, g, h, i: run(own, b, c, d, e, f, g, h, i),
}
_DRAWING = ("poll", "draw", "draw_header", "draw_header_preset", "draw_item", "filter_items")
_CHANGING = ("invoke", "execute", "modal")


def watch(cls: type) -> None:
    """Let a class that is about to be registered keep answers while it draws or polls; an operator
    none while it works."""
    is_operator = issubclass(cls, bpy.types.Operator)
    for names, block in ((_DRAWING, drawing), (_CHANGING, changing)):
        for name in names if is_operator or block is drawing else ():
            found = getattr_static(cls, name, None)
            function = getattr(found, "__func__", found)
            if isinstance(function, FunctionType) and not hasattr(function, "__wrapped__"):
                inside = _inside(block, function)
                setattr(cls, name, classmethod(inside) if found is not function else inside)


def getter(function: Callable) -> Callable:
    """The `get` of a property that Blender reads many times while it draws a list: where no script
    asks, answers are kept."""

    def get(settings: ThunderScene):
        if sys._getframe().f_back is not None:
            return function(settings)
        with drawing():
            return function(settings)

    return get


def setter(function: Callable) -> Callable:
    """The `set` of a property that changes more than itself."""
    return _inside(changing, function)


def _inside(block: Callable, function: Any) -> Any:
    def run(*arguments: Any):
        with block():
            return function(*arguments)

    wrapped: Any = _WITH_ARGUMENTS[function.__code__.co_argcount](run)
    return update_wrapper(wrapped, function)
