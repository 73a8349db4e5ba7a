# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: requests that make no sense, raw lines, and programs that only
pretend to be an engine."""

import io
import json
import os
import sys
import time

import numpy as np
from harness import Case, Fault, maker, SAMPLE
from made_zip import Runs

from thunder_core.protocol import PROTOCOL

WAIT = 60  # seconds that an answer may take; far more than any of these needs

# ---- requests to a worker whose models are loaded


def request(verb: str, **args):
    """Sends a request; a value that is a function gets the case's folder first."""

    def act(case: Case):
        filled = {
            name: value(case.folder) if callable(value) else value for name, value in args.items()
        }
        return case.session.client.request(verb, **filled).wait(timeout=WAIT)

    return act


def nothing(folder):
    return None


@maker
def array(folder, values, name="array.npy", dtype=np.float32):
    """The path of an array that is written into the case's folder."""
    np.save(folder / name, np.asarray(values, dtype), allow_pickle=dtype is object)
    return str(folder / name)


@maker
def content(folder, data, name="array.npy"):
    (folder / name).write_bytes(data)
    return str(folder / name)


def place(name=""):
    return lambda folder: str(folder / name)


def _header(shape) -> bytes:
    memory = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        memory, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return memory.getvalue() + b"\0" * 64


def _hostile(folder):
    np.save(
        folder / "array.npy",
        np.array([Runs(os.system, f"touch '{folder}/canary'")], object),
        allow_pickle=True,
    )
    return str(folder / "array.npy")


S = str(SAMPLE)
_STILL = {
    "expression": array(np.zeros((25, 44)), "e.npy"),
    "jaw": array(np.zeros((25, 3)), "j.npy"),
}
_WRITES = ("*.npy", "*.wav")
_INSIDE = {"folder": place()}

_UNSURE = np.where(np.arange(23) == 4, np.nan, 0.0)[None]
_TOO_WARM = np.where(np.arange(23) == 12, 1.5, 0.0)[None]

# verb · what is broken · args · the error's class · words
_REQUESTS = [
    ("sing", "a verb of another version", {}, "BadRequest", "“sing”"),
    ("", "no verb", {}, "BadRequest", "“”"),
    ("generate", "no sound", _INSIDE, "BadSound", "No sound was given"),
    (
        "generate",
        "a sound that is a number",
        {"sound": 5, **_INSIDE},
        "BadSound",
        "No sound was given",
    ),
    (
        "generate",
        "a sound that is not there",
        {"sound": "/none.wav", **_INSIDE},
        "BadSound",
        "no sound file",
    ),
    ("generate", "no takes", {"sound": S, "takes": 0, **_INSIDE}, "BadRequest", "“takes” is 0"),
    (
        "generate",
        "257 takes",
        {"sound": S, "takes": 257, **_INSIDE},
        "BadRequest",
        "“takes” is 257",
    ),
    (
        "generate",
        "takes that are true",
        {"sound": S, "takes": True, **_INSIDE},
        "BadRequest",
        "“takes” is True",
    ),
    (
        "generate",
        "one and a half takes",
        {"sound": S, "takes": 1.5, **_INSIDE},
        "BadRequest",
        "“takes” is 1.5",
    ),
    (
        "generate",
        "takes in words",
        {"sound": S, "takes": "two", **_INSIDE},
        "BadRequest",
        "“takes” is 'two'",
    ),
    (
        "generate",
        "a negative seed",
        {"sound": S, "seed": -1, **_INSIDE},
        "BadRequest",
        "“seed” is -1",
    ),
    (
        "generate",
        "a seed of 64 bits",
        {"sound": S, "seed": 2**63, **_INSIDE},
        "BadRequest",
        "“seed”",
    ),
    (
        "generate",
        "1001 steps",
        {"sound": S, "steps": 1001, **_INSIDE},
        "BadRequest",
        "“steps” is 1001",
    ),
    (
        "generate",
        "a guidance that is not a number",
        {"sound": S, "guidance": float("nan"), **_INSIDE},
        "BadRequest",
        "“guidance” is nan",
    ),
    (
        "generate",
        "an infinite guidance",
        {"sound": S, "guidance": float("inf"), **_INSIDE},
        "BadRequest",
        "“guidance” is inf",
    ),
    (
        "generate",
        "a guidance of 10⁹",
        {"sound": S, "guidance": 1e9, **_INSIDE},
        "BadRequest",
        "“guidance”",
    ),
    (
        "generate",
        "a guidance of text",
        {"sound": S, "guidance": "much", **_INSIDE},
        "BadRequest",
        "“guidance”",
    ),
    (
        "generate",
        "a kept motion of another length",
        {
            "sound": S,
            "takes": 1,
            "keep_motion": array(np.zeros((9, 53))),
            "keep_mask": array(np.ones((9, 53)), "m.npy"),
            **_INSIDE,
        },
        "BadRequest",
        "has 9 frames",
    ),
    (
        "generate",
        "a kept motion that is not a number",
        {
            "sound": S,
            "keep_motion": array(np.full((9, 53), np.nan)),
            "keep_mask": array(np.ones((9, 53)), "m.npy"),
            **_INSIDE,
        },
        "BadRequest",
        "not numbers",
    ),
    (
        "generate",
        "a direction that is gone",
        {"sound": S, "direction": place("gone.npy"), **_INSIDE},
        "ThunderError",
        "gone.npy",
    ),
    (
        "generate",
        "a direction of three numbers",
        {"sound": S, "direction": array(np.zeros((1, 3))), **_INSIDE},
        "BadRequest",
        "shape",
    ),
    (
        "generate",
        "a direction of no frames",
        {"sound": S, "direction": array(np.zeros((0, 23))), **_INSIDE},
        "BadRequest",
        "shape",
    ),
    (
        "generate",
        "a direction of no rows",
        {"sound": S, "direction": array(np.zeros(23)), **_INSIDE},
        "BadRequest",
        "shape",
    ),
    (
        "generate",
        "a direction that is not a number",
        {"sound": S, "direction": array(_UNSURE), **_INSIDE},
        "BadRequest",
        "not numbers",
    ),
    (
        "generate",
        "a direction out of range",
        {"sound": S, "direction": array(np.full((1, 23), 50.0)), **_INSIDE},
        "BadRequest",
        "Energy",
    ),
    (
        "generate",
        "a mood stronger than it can be",
        {"sound": S, "direction": array(_TOO_WARM), **_INSIDE},
        "BadRequest",
        "mood",
    ),
    (
        "score",
        "a motion that is gone",
        {"sound": S, "expression": place("none.npy"), "jaw": place("none.npy"), **_INSIDE},
        "ThunderError",
        "none.npy",
    ),
    (
        "score",
        "an array cut in half",
        {"sound": S, **_STILL, "jaw": content(_header((25, 3))[:90]), **_INSIDE},
        "ThunderError",
        "failed at “score”",
    ),
    (
        "score",
        "an array that claims 40 GB",
        {"sound": S, **_STILL, "jaw": content(_header((10**10, 1))), **_INSIDE},
        "ThunderError|OutOfMemory",
        ".",
    ),
    (
        "score",
        "an array of objects with a call",
        {"sound": S, **_STILL, "jaw": _hostile, **_INSIDE},
        "ThunderError",
        "failed at “score”",
    ),
    (
        "score",
        "a tolerance nobody knows",
        {"sound": S, **_STILL, "tolerance": ["loose"], **_INSIDE},
        "BadRequest",
        "must be one of realistic, cartoony, snappy",
    ),
    (
        "score",
        "no frames",
        {
            "sound": S,
            "expression": array(np.zeros((0, 44)), "e.npy"),
            "jaw": array(np.zeros((0, 3))),
            **_INSIDE,
        },
        "BadRequest",
        "44 channels",
    ),
    (
        "score",
        "jaws of four numbers",
        {"sound": S, **_STILL, "jaw": array(np.zeros((25, 4))), **_INSIDE},
        "BadRequest",
        "44 channels",
    ),
    (
        "score",
        "channels of another head",
        {"sound": S, **_STILL, "expression": array(np.zeros((25, 52))), **_INSIDE},
        "BadRequest",
        "44 channels",
    ),
    (
        "score",
        "a jaw that is not a number",
        {"sound": S, **_STILL, "jaw": array(np.full((25, 3), np.nan)), **_INSIDE},
        "BadRequest",
        "not numbers",
    ),
    (
        "score",
        "an infinite expression",
        {"sound": S, **_STILL, "expression": array(np.full((25, 44), np.inf)), **_INSIDE},
        "BadRequest",
        "not numbers",
    ),
    (
        "align",
        "channels of another head",
        {"sound": S, **_STILL, "expression": array(np.zeros((25, 52)))},
        "BadRequest",
        "44 channels",
    ),
    (
        "align",
        "a sound that is gone",
        {"sound": "/none.wav", **_STILL},
        "BadSound",
        "no sound file",
    ),
    (
        "listen",
        "a folder to write to that is gone",
        {**_STILL, "voice": None, "out": place("gone/says.wav")},
        "ThunderError|BadRequest|NoSpace",
        ".",
    ),
    (
        "listen",
        "a folder in place of the file to write",
        {**_STILL, "voice": None, "out": place()},
        "ThunderError|BadRequest|NoSpace",
        ".",
    ),
    (
        "listen",
        "a voice that is gone",
        {**_STILL, "voice": "/none.wav", "out": place("says.wav")},
        "BadSound",
        "no sound file",
    ),
]

_ASKED = [
    (
        "generate",
        "one frame of sound more than none",
        {"takes": 1, "steps": 1, "sound": lambda folder: _short(folder), **_INSIDE},
    ),
    (
        "score",
        "a motion longer than its sound",
        {
            "sound": S,
            "expression": array(np.zeros((900, 44)), "e.npy"),
            "jaw": array(np.zeros((900, 3)), "j.npy"),
            **_INSIDE,
        },
    ),
    (
        "score",
        "an expression of 10⁶",
        {"sound": S, **_STILL, "expression": array(np.full((25, 44), 1e6), "e.npy"), **_INSIDE},
    ),
    (
        "listen",
        "a jaw that turns a hundred times",
        {
            **_STILL,
            "jaw": array(np.full((25, 3), 628.0), "j.npy"),
            "voice": None,
            "out": place("says.wav"),
        },
    ),
    (
        "align",
        "a face that stands still, and a film beside it that is gone",
        {"sound": S, **_STILL, "recorded": "/none.mov"},
    ),
    (
        "align",
        "one frame",
        {
            "sound": S,
            "expression": array(np.zeros((1, 44)), "e.npy"),
            "jaw": array(np.zeros((1, 3)), "j.npy"),
        },
    ),
    ("spoken", "a text of 1000 words for a short sound", {"sound": S, "text": "mamba " * 1000}),
    ("spoken", "a text of nothing", {"sound": S, "text": ""}),
    ("spoken", "a text of signs", {"sound": S, "text": "\0 \ud83d\ude00 <?php ?> \u202e"}),
]


def _short(folder):
    from rows_sounds import pcm, voice, wav

    path = folder / "short.wav"
    path.write_bytes(wav(pcm(voice(0.31))))
    return str(path)


def answered(case: Case, result) -> str | None:
    """Whether an answer holds plain numbers only, and the worker is still the one that was asked
    before."""
    try:
        json.dumps(result, allow_nan=False)
    except ValueError as error:
        return f"the answer is not plain JSON ({error})"
    return None


# ---- raw lines to a worker


def say(line: bytes):
    """Sends a raw line; the answers to it, after which the worker must still answer."""

    def act(case: Case):
        return case.session.line.say(line)

    return act


def refused(case: Case, answers) -> str | None:
    kinds = [(answer.get("event"), answer.get("kind")) for answer in answers]
    return None if kinds == [("error", "BadRequest")] else f"the answers are {kinds}"


def silent(case: Case, answers) -> str | None:
    return None if not answers else f"the answers are {answers}"


_LINES = [
    ("no JSON", b"{not json", refused),
    ("a list", b"[1, 2]", refused),
    ("a number", b"5", refused),
    ("null", b"null", refused),
    ("an object without a verb", b'{"id": 1}', refused),
    ("an id that is a list", b'{"id": [], "verb": "hello"}', refused),
    ("a cancel of a list", b'{"id": 1, "verb": "cancel", "args": [2]}', refused),
    ("bytes that are not UTF-8", b"\xff\xfe{}", refused),
    ("a line of a megabyte", b'"' + b"x" * 2**20 + b'"', refused),
    ("100000 brackets", b"[" * 100_000, refused),
    ("a number of 5000 digits", b'{"id": ' + b"9" * 5000 + b', "verb": "release"}', refused),
    ("zero bytes", b"\0" * 64, refused),
    ("an empty line", b"", silent),
    ("blanks", b"   \t ", silent),
]


# ---- programs that are not the engine


@maker
def program(folder, text: str, mode=0o755):
    """Makes an executable that stands in for the engine's Python; its path."""
    path = folder / "python"
    path.write_text(text.replace("PYTHON", sys.executable))
    path.chmod(mode)
    return path


def talks(*lines: str, then: str = "sys.stdin.read()"):
    """A program that writes lines on its stdout and then does what is said."""
    said = "".join(f"sys.stdout.write({line!r} + chr(10)); sys.stdout.flush()\n" for line in lines)
    return program(f"#!PYTHON\nimport sys, time\nsys.stdin.readline()\n{said}{then}\n")


def ask(case: Case):
    """Ask such a program for something, as Blender would; the time until the answer is bounded."""
    from thunder_core.client import Client

    start = time.monotonic()
    with Client(str(case.given)) as client:
        try:
            return client.request("release").wait(timeout=8)
        except TimeoutError:
            raise AssertionError(f"nobody answered for {time.monotonic() - start:.0f} s") from None


def _ends(*lines: str):
    """A program that begins as an engine does, writes lines on its stderr and ends with code 1."""
    return talks(_READY, then=f"sys.stderr.write({chr(10).join((*lines, ''))!r}); sys.exit(1)")


_READY = json.dumps({"id": None, "event": "ready", "protocol": PROTOCOL})
_DONE = '{"id": 1, "event": "done", "result": {}}'

_PROGRAMS = [
    ("there is no such Python", lambda folder: folder / "python", "NoEngine", "no Python at"),
    ("a folder without a Python", lambda folder: folder, "NoEngine", "no Python at"),
    ("a program that may not be run", program("#!/bin/sh\n", 0o644), "NoEngine", "cannot be run"),
    ("a program that ends at once", program("#!/bin/sh\nexit 3\n"), "NoEngine", "cannot"),
    (
        "a program that says why and ends",
        program("#!/bin/sh\necho no such interpreter >&2\nexit 1\n"),
        "NoEngine",
        "no such interpreter",
    ),
    ("random bytes for a program", program("\x7fELF" + "\1" * 200), "NoEngine", "cannot"),
    (
        "a program of which the interpreter is gone",
        program("#!/nowhere/python\n"),
        "NoEngine",
        "cannot be run",
    ),
    (
        "a program killed at its start",
        program("#!/bin/sh\nkill -9 $$\n"),
        "NoEngine|WorkerDied",
        ".",
    ),
]

_SURVIVED = [
    ("a line that is a list", talks(_READY, "[1, 2]", _DONE)),
    ("a line that is a number", talks(_READY, "5", _DONE)),
    ("a line that is null", talks(_READY, "null", _DONE)),
    ("a line that is not JSON", talks(_READY, "hello", _DONE)),
    ("an event of no request", talks(_READY, '{"id": 77, "event": "done", "result": {}}', _DONE)),
    ("an event without a name", talks(_READY, '{"id": 1}', _DONE)),
    ("an event whose id is a list", talks(_READY, '{"id": [1], "event": "progress"}', _DONE)),
    ("a line of ten megabytes", talks(_READY, "x" * 10**5, _DONE)),
    (
        "a flood of a log",
        talks(
            _READY, _DONE, then="sys.stderr.write(('x' * 200 + chr(10)) * 20000); sys.stdin.read()"
        ),
    ),
]

_ANSWERS = [
    (
        "an error of a kind nobody knows",
        talks(
            _READY,
            '{"id": 1, "event": "error", "kind": "Strange", "message": "It broke: ask again"}',
        ),
        "ThunderError",
        "It broke",
    ),
    (
        "an engine of another protocol",
        talks('{"id": null, "event": "ready", "protocol": 99}'),
        "NoEngine|BadRequest",
        "version|protocol",
    ),
    (
        "an engine that stops in the middle of a line",
        talks(_READY, then='sys.stdout.write(\'{"id": 1, "ev\'); sys.stdout.flush()'),
        "WorkerDied",
        ".",
    ),
    (
        "an engine that closes its answers and stays",
        talks(_READY, then="sys.stdout.close(); import os; os.close(1); time.sleep(600)"),
        "WorkerDied",
        ".",
    ),
    (
        "an engine that OpenBLAS ends for lack of memory",
        _ends("OpenBLAS error: Memory allocation still failed after 10 retries, giving up."),
        "OutOfMemory",
        "memory ran out: close other programs",
    ),
    (
        "an engine that crashes for lack of memory and writes its stack",
        _ends(
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "Fatal Python error: Aborted",
            'File "worker.py", line 1',
        ),
        "OutOfMemory",
        "memory ran out: close other programs",
    ),
    (
        "an engine whose threads cannot start",
        _ends("libgomp: Thread creation failed: Resource temporarily unavailable"),
        "OutOfMemory",
        "memory ran out: close other programs",
    ),
    (
        "an engine that the system kills",
        talks(_READY, then="import os; os.kill(os.getpid(), 9)"),
        "WorkerDied",
        r"killed \(signal 9\).*memory runs out: close other programs",
    ),
]


ROWS = [
    *(
        Fault(
            "requests",
            f"{verb or 'nothing'}: {broken}",
            nothing,
            request(verb, **args),
            kind,
            says,
            leaves=_WRITES,
        )
        for verb, broken, args, kind, says in _REQUESTS
    ),
    *(
        Fault(
            "requests",
            f"{verb}: {broken}",
            nothing,
            request(verb, **args),
            check=answered,
            leaves=_WRITES,
        )
        for verb, broken, args in _ASKED
    ),
    *(
        Fault("lines to the worker", broken, nothing, say(line), check=check)
        for broken, line, check in _LINES
    ),
    *(
        Fault("engines that are none", broken, make, ask, kind, says)
        for broken, make, kind, says in _PROGRAMS + _ANSWERS
    ),
    *(Fault("engines that are none", broken, make, ask) for broken, make in _SURVIVED),
]
