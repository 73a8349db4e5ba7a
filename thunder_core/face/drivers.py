# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows drivers of plain arithmetic, as they were read: which control moves a value, and how
far."""

from __future__ import annotations

from collections.abc import Callable, Mapping as Values
from dataclasses import dataclass
from functools import cached_property

from . import driver_math
from .mapping import Target

DEEP = 8  # drivers in a row that are followed
_UNREADABLE = (
    ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError,
)  # fmt: skip
_COMBINE: dict[str, Callable[[list[float]], float]] = {
    "AVERAGE": lambda numbers: sum(numbers) / len(numbers),
    "SUM": sum,
    "MIN": min,
    "MAX": max,
}

Way = tuple[Target, float, float]


@dataclass(frozen=True)
class Input:
    """What a variable of a driver reads: the value of another driver, else a control; neither where
    that is nothing that takes keys.

    control: with its value at rest.  around: all channels of what it looks at, with their values at
    rest, where it cannot be told which of them counts.
    """

    name: str
    above: RigDriver | None = None
    control: tuple[Target, float] | None = None
    around: tuple[tuple[Target, float], ...] = ()


@dataclass(frozen=True)
class RigDriver:
    """A driver of a character.

    kind: as Blender calls it.  target: what it moves, None for what moves no face.  bones: those
    that its variables look at.  needs_scripts: whether it stands still because scripts are off.
    shape: its curve, None for a straight one.  tried: what `follow` finds by what is shown.
    """

    inputs: tuple[Input, ...]
    expression: str = ""
    kind: str = "SCRIPTED"
    target: Target | None = None
    bones: frozenset[str] = frozenset()
    needs_scripts: bool = False
    shape: Callable[[float], float] | None = None
    tried: Callable[[RigDriver], Way | None] = lambda _: None

    @cached_property
    def rest(self) -> dict[Target, float]:
        """What takes keys behind the value, drivers of drivers too, each with its value at rest."""
        found: dict[Target, float] = {}
        for each in self.inputs:
            known = each.around if each.control is None else (each.control,)
            found |= each.above.rest if each.above else dict(known)
        return found

    @cached_property
    def is_readable(self) -> bool:
        """Whether the value can be calculated from that."""
        return all(
            each.above.is_readable if each.above else each.control is not None
            for each in self.inputs
        )

    def follow(self) -> Way | None:
        """The control behind the value, the distance by which it brings the value from 0 to 1, and
        how far from its default the value is 0; None if it cannot be keyed, or the dependence is
        neither simple arithmetic nor seen."""
        try:
            way = self.nearest(self._value) if self.is_readable else None
        except _UNREADABLE:
            way = None
        return way or self.tried(self)

    def nearest(self, value: Callable[[dict[Target, float]], float]) -> Way | None:
        """Of the controls the one that goes least far until the value is full, as `follow`; None if
        it never rises. value: what it is where controls have these values."""
        if not self.rest:
            return None
        still, ways = value(self.rest), []
        for target, at in self.rest.items():
            far = driver_math.distance(
                lambda by, target=target, at=at: value(self.rest | {target: at + by}) - still
            )
            # an object of its own may stand anywhere; its default is 0
            stands = 0.0 if target.bone or target.kind != "BONE" else at - (target.path == "scale")
            ways += [(target, far, stands - still * far)] if far else []
        return min(ways, key=lambda way: abs(way[1]), default=None)

    def change(self, moved: Values[Target, float]) -> float:
        """How far the value goes where controls go so far from rest; 0 if that cannot be
        followed."""
        if not self.rest.keys() & moved.keys():
            return 0.0
        try:
            there = {target: at + moved.get(target, 0.0) for target, at in self.rest.items()}
            return self._value(there) - self._value(self.rest)
        except _UNREADABLE:
            return 0.0

    def _value(self, at: Values[Target, float]) -> float:
        """The value where controls have these values. Raises one of _UNREADABLE."""
        numbers = {}
        for each in self.inputs:
            if each.above is None and each.control is None:
                raise ValueError("nothing that takes keys")
            numbers[each.name] = each.above._value(at) if each.above else at[each.control[0]]
        if self.kind == "SCRIPTED":
            value = driver_math.calculate(self.expression, numbers)
        else:
            value = _COMBINE[self.kind](list(numbers.values()))
        return self.shape(value) if self.shape else value
