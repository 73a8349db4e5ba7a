# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows drivers of plain arithmetic, as they were read: which control moves a value, and how far
it goes until what it drives is full. Expressions are calculated here, and never run as Python."""

from __future__ import annotations

import ast
import contextlib
import math
import operator
from collections.abc import Callable, Mapping as Values
from dataclasses import dataclass
from functools import cached_property, partial

from ...filters import smoothstep
from ..mapping import Target

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

            def rise(by: float, target: Target = target, at: float = at) -> float:
                return value(self.rest | {target: at + by}) - still

            far = distance(rise)
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
            if each.above is not None:
                numbers[each.name] = each.above._value(at)
            elif each.control is not None:
                numbers[each.name] = at[each.control[0]]
            else:
                raise ValueError("nothing that takes keys")
        if self.kind == "SCRIPTED":
            value = calculate(self.expression, numbers)
        else:
            value = _COMBINE[self.kind](list(numbers.values()))
        return self.shape(value) if self.shape else value


# ---- plain arithmetic

# Controls are probed with increasing movements until one has an effect: some have a range of
# millimetres, some go from 0 to 100. Most stop where the key is at 1.
_STEPS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_SEEN = 0.01  # least change of the key that counts
_FULL = 0.99  # change from which on a key is full
_LINEAR = 0.02  # deviation at half the way that is none
_FURTHER = (1.5, 2.0, 4.0)  # of the way that its beginning tells, where a control is slower later
_HALVINGS = 7

_OPERATORS: dict[type[ast.AST], Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}


_OF_MATH = (
    "acos asin atan atan2 ceil copysign cos cosh degrees exp fabs floor fmod hypot log log10 log2 "
    "pow radians sin sinh sqrt tan tanh trunc"
)
_FUNCTIONS = {
    **{name: getattr(math, name) for name in _OF_MATH.split()},
    **{each.__name__: each for each in (abs, bool, float, int, max, min, round)},
    "clamp": lambda x, low=0.0, high=1.0: min(max(x, low), high),
    "lerp": lambda low, high, share: low + share * (high - low),
    "smoothstep": lambda low, high, x: smoothstep(min(max((x - low) / (high - low), 0.0), 1.0)),
}
_CONSTANTS = {"pi": math.pi, "tau": math.tau, "e": math.e}


def calculate(expression: str, names: Values[str, float]) -> float:
    """The value of a driver's expression if it is plain arithmetic. Raises ValueError, SyntaxError,
    KeyError, TypeError, RecursionError or ArithmeticError if it is not."""
    return float(
        _calculate(ast.parse(expression.strip(), mode="eval").body, _CONSTANTS | dict(names))
    )


def _calculate(node, names: Values[str, float]):
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_calculate(node.operand, names))
    if isinstance(node, ast.BinOp):
        left, right = _calculate(node.left, names), _calculate(node.right, names)
        if isinstance(node.op, ast.Pow) and (abs(left) > 1e6 or abs(right) > 64):
            raise ValueError("too large a power")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.BoolOp):
        ends = isinstance(node.op, ast.Or)  # what ends it, as its value
        values = (_calculate(value, names) for value in node.values)
        result = next(values)
        for value in values if bool(result) != ends else ():
            result = value
            if bool(result) == ends:
                break
        return result
    if isinstance(node, ast.Compare):
        sides = [_calculate(each, names) for each in (node.left, *node.comparators)]
        return all(_OPERATORS[type(op)](*pair) for op, pair in zip(node.ops, zip(sides, sides[1:])))
    if isinstance(node, ast.IfExp):
        return _calculate(node.body if _calculate(node.test, names) else node.orelse, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        given = [_calculate(argument, names) for argument in node.args]
        if node.func.id == "pow" and (abs(given[0]) > 1e6 or abs(given[1]) > 64):
            raise ValueError("too large a power")
        return _FUNCTIONS[node.func.id](*given)
    raise ValueError("no plain arithmetic")


def distance(rise: Callable[[float], float]) -> float:
    """How far a control goes, and which way, until what it drives has risen by 1; 0 if it rises
    neither way.

    rise: change of what is driven where the control goes so far; called some thirty times, may
    raise ValueError or ArithmeticError. Where it stops below 1 the distance is that which its
    beginning tells. What rises step by step comes before what jumps.
    """
    ways = []
    for sign in (1.0, -1.0):
        with contextlib.suppress(ValueError, ArithmeticError):
            jumps, far = _distance(partial(_turned, rise, sign))
            ways += [(jumps, float(f"{far:.6g}"), -sign)] if far else []
    _, far, back = min(ways, default=(False, 0.0, 0.0))
    return -back * far


def _turned(rise: Callable[[float], float], sign: float, by: float) -> float:
    return rise(sign * by)


def _distance(rise: Callable[[float], float]) -> tuple[bool, float]:
    """Whether it jumps, and how far one way."""
    for step in _STEPS:
        if (risen := rise(step)) >= _SEEN:
            break
    else:
        return False, 0.0
    far = step / risen
    if abs(rise(far / 2) - 0.5) < _LINEAR and abs(rise(far) - 1.0) < _LINEAR:
        return False, far
    jumps = risen >= _FULL
    low, ends = (0.0, [step]) if jumps else (step, [far, *(f * far for f in _FURTHER)])
    high = next((by for by in ends if rise(by) >= _FULL), 0.0)
    if not high:
        return False, far
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rise(middle) >= _FULL else (middle, high)
    return jumps, high
