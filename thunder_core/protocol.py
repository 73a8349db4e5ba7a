# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol between Blender and the engine: its version, its heartbeat, and the required content
of events.

Standard library only; both sides import it. docs/reference/protocol.md describes the events.
"""

import json
import math

PROTOCOL = 3
HEARTBEAT = 0.5  # seconds between two heartbeats of a busy worker
# events before takes: nobody speaks in the sound, its text is another's, it is hard to understand
UNSPOKEN, OTHER_TEXT, UNCLEAR = "unspoken", "other_text", "unclear"
LEVEL = "level"  # event of a recording: how loud it is, and how long
LOST, FULL = "lost", "full"  # why a recording ended by itself: no more sound, no more disk
LONGEST_LINE = 2**24  # bytes; longer than any answer


def read_event(line: bytes) -> dict:
    """The event in a line of the worker's. Raises ValueError when the line holds none."""
    try:
        event = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if (
        not isinstance(event, dict)
        or not isinstance(event.get("event"), str)
        or not _optional(_whole)(event.get("id"))
    ):
        raise ValueError("not an event")
    return event


def is_sound(event: dict, verb: str) -> bool:
    """Whether an event of a request `verb` has the content and types described in
    docs/reference/protocol.md."""
    kind = event["event"]
    if kind == "progress":
        return _holds({"fraction": _number, "message": _text})(event)
    if kind == "take":
        return _holds({"take": _TAKE, **_ABOUT_TAKES})(event)
    if kind == "done":
        return _holds({"result": _RESULTS.get(verb, _mapping)})(event)
    if kind == UNSPOKEN:
        return _holds({"silent": _flag})(event)
    if kind == LEVEL:
        return _holds(_ABOUT_SOUND)(event)
    return kind != "error" or _holds({"kind": _text, "message": _text})(event)


def _of(kind: type):
    return lambda value: isinstance(value, kind)


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value) -> bool:
    return _whole(value) and abs(value) < 2**63 or isinstance(value, float) and math.isfinite(value)


def _optional(check):
    return lambda value: value is None or check(value)


def _list(check):
    return lambda value: isinstance(value, list) and all(map(check, value))


def _row(*checks):
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(checks)
        and all(c(v) for c, v in zip(checks, value))
    )


def _holds(fields: dict):
    return lambda value: (
        isinstance(value, dict) and all(check(value.get(name)) for name, check in fields.items())
    )


_text, _flag, _mapping = _of(str), _of(bool), _of(dict)
_TAKE = _holds(
    {
        "seed": _whole,
        "score": _optional(_number),
        "heard": _optional(_number),
        "provenance": _mapping,
        "expression": _text,
        "jaw": _text,
        **dict.fromkeys(("head", "eyes", "opening", "width", "drift"), _optional(_text)),
    }
)
_ABOUT_TAKES = {
    **dict.fromkeys(("engine", "audio", "weights", "device", "folder"), _text),
    "fps": _number,
    "channels": _list(_text),
}
_ABOUT_SOUND = dict.fromkeys(("peak", "seconds", "began"), _number)
_RESULTS = {
    "hello": _holds(
        {
            "protocol": _whole,
            "engine": _text,
            "device": _text,
            "weights": _text,
            "channels": _list(_text),
            "versions": _mapping,
            "memory": _optional(_whole),
            "weights_origin": _text,
            "weights_note": _text,
        }
    ),
    "generate": _holds(
        {**_ABOUT_TAKES, "sound_seconds": _number, "seconds": _number, "takes": _list(_TAKE)}
    ),
    "score": _holds({"total": _number, "heard": _number, "per_frame": _text}),
    "align": _holds({"seconds": _number, "sure": _number, "by": _text, "sound_seconds": _number}),
    "spoken": _holds(
        {
            "sounds": _list(_row(_text, _number, _number, _number, _list(_row(_text, _number)))),
            "words": _list(_row(_text, _number, _number, _number)),
            "matches": _flag,
        }
    ),
    "check_flame": _holds({"rig": _number, "skinning": _number, "smplx": _text}),
    "microphones": _holds({"names": _list(_text)}),
    "record": _holds({**_ABOUT_SOUND, "path": _text, "ended": _text}),
    "listen": _holds({"sound": _text, "rate": _whole, "seconds": _number}),
}
