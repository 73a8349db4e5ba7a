# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks the steps by which a face is measured, and the thresholds that they go by, so that what was
measured can be explained."""

from collections.abc import Callable
from functools import wraps


class Threshold(float):
    """A number that decides what counts. unit: what it is of, in words.  why: the reason for it."""

    unit: str
    why: str

    def __new__(cls, value: float, unit: str, why: str):
        result = super().__new__(cls, value)
        result.unit, result.why = unit, why
        return result

    def __str__(self) -> str:
        return f"{float(self):g} {self.unit} ({self.why})"


def measures(
    why: str, *thresholds: Threshold
) -> Callable[[Callable[..., str]], Callable[..., None]]:
    """Mark a method as a step of measuring, with the reason for it. It returns what it found, in
    words, which is kept in `found` of its object."""

    def mark(function: Callable[..., str]) -> Callable[..., None]:
        name = function.__name__.strip("_").replace("_", " ").capitalize()

        @wraps(function)
        def run(self) -> None:
            self.found.append((name, why, thresholds, function(self)))

        return run

    return mark


def explanation(found: list[tuple]) -> list[str]:
    """Steps that ran in lines for people: what each found, why it is there, and what it went by."""
    return [
        "; ".join([f"{name}: {said} · {why}", *map(str, thresholds)])
        for name, why, thresholds, said in found
    ]
