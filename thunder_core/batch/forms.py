# SPDX-License-Identifier: GPL-3.0-or-later
"""What the values in files that a bake wrote may be, so that a damaged file of one job ends neither
the run nor its page, and no name in it leads elsewhere. Standard library only."""

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Form = Callable[[Any], bool]

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_LONGEST_CURVE = 2**19  # letters: as many as the peaks of an hour have
_LONGEST_LIST = 1000


def _number(least: float, most: float, kind: Any = (int, float)) -> Form:
    return lambda value: (
        isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most
    )


def _list_of(form: Form) -> Form:
    return lambda value: (
        isinstance(value, list) and len(value) <= _LONGEST_LIST and all(map(form, value))
    )


def _or_none(form: Form) -> Form:
    return lambda value: value is None or form(value)


def _table(needed: Mapping[str, Form], others: Mapping[str, Form] = MappingProxyType({})) -> Form:
    """A table with what is needed; its other entries, where they are there, have these forms."""
    return lambda value: (
        isinstance(value, dict)
        and all(name in value and form(value[name]) for name, form in needed.items())
        and all(form(value[name]) for name, form in others.items() if name in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and os.path.basename(value) == value and value not in ("", ".", "..")


def _is_curve(value: Any) -> bool:
    return (
        _is_text(value)
        and len(value) <= _LONGEST_CURVE
        and len(value) % 4 == 0
        and _BASE64.fullmatch(value) is not None
    )


_SECONDS, _SEED = _number(0, 86400), _number(0, 2**63, int)
_TAKE = _table(
    {"rank": _number(1, 10_000, int), "name": _is_text, "seed": _SEED},
    {"score": _or_none(_number(-1000, 1000)), "video": _or_none(_is_file_name), "action": _is_text},
)
_SHOWN = _table(
    {},
    {
        "opening": _is_curve,
        "width": _is_curve,
        "grade": lambda value: value in ("good", "check", "poor", ""),
        "reason": _is_text,
        "drifts": _list_of(lambda each: _list_of(_SECONDS)(each) and len(each) == 2),
    },
)

# of a job: its report, and what its page shows
REPORT = _table(
    {},
    {
        "takes": _list_of(_TAKE),
        "seconds": _table({"all": _SECONDS}),
        "warnings": _list_of(_is_text),
        "notes": _list_of(_is_text),
        "blend": _or_none(_is_file_name),
        "made_from": _table({}, {"settings": _table({}), "inputs": _are_texts, "used": _are_texts}),
    },
)
DAILIES = _table({}, {"seconds": _SECONDS, "peaks": _is_curve, "takes": _list_of(_SHOWN)})
# of a run, and of a scene with the takes of several jobs
RUN = _table(
    {},
    {
        "source": _is_text,
        "scenes": _list_of(
            _table({"file": _is_file_name, "jobs": _list_of(_is_text)}, {"sentence": _is_text})
        ),
    },
)
SCENE = _table(
    {}, {"takes": _list_of(_table({"job": _is_text, "seed": _SEED, "action": _is_text}))}
)
