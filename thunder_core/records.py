# SPDX-License-Identifier: GPL-3.0-or-later
"""The version of data stored in a .blend: a number in each record, so that a later version of the
add-on can read it.

A record is a dict, or a group of custom properties, with its own format. One without a version was
written by 0.1.0. A change to the format of any record must raise VERSION and keep reading the
earlier ones (tests/blender/test_saved_files.py).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable)
KEY = "version"
VERSION = 1
LARGEST = 2**31  # largest number of frames
# What reading a record may raise if somebody or something has changed it: it may hold anything.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def if_readable(default: Any) -> Callable[[F], F]:
    """Let a function that reads a record return this where it is not there, or damaged."""

    def guard(read: F) -> F:
        @wraps(read)
        def read_or_default(*given):
            try:
                return read(*given)
            except UNREADABLE:
                return default

        return read_or_default  # type: ignore[return-value]

    return guard


def frames(value: Any) -> int:
    """A frame, or a number of frames, in a record. Raises one of UNREADABLE for what cannot be
    one."""
    number = int(value)
    if abs(number) > LARGEST:
        raise ValueError(f"{number.bit_length()} bits are too many for a frame")
    return number


def is_readable(record: Any) -> bool:
    """Whether a record is of this version or an earlier one; one without a number was written by
    0.1.0, or is damaged."""
    version = record.get(KEY, 0)
    return not isinstance(version, int) or version <= VERSION
