# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with values that nobody means: each is read, or refused in one short sentence at once, in
little memory."""

import threading
import time

import numpy as np
import pytest
from memory import held_at_most

from thunder_core import files
from thunder_core.animation import motion_file
from thunder_core.direction_presets import Preset
from thunder_core.errors import BadRequest, ThunderError
from thunder_core.face import livelink
from thunder_core.face.mapping import Mapping

ABSURD = (
    "9" * 5000, "-" + "9" * 4000, "9" * 400, "3e8", "1e400", "NaN", "-Infinity", '"a\\u0000b"',
    '"\\u001b[31m"', '"a\\nb"', '"\\ud800"',
    '"' + "é" * 5000 + '"', "[" * 3000 + "]" * 3000, "{}", "[]", "true", "null", '""',
)  # fmt: skip


def with_each(fields):
    """JSON texts in which one of the fields has an absurd value."""
    for field in fields:
        for value in ABSURD:
            yield (
                field,
                value,
                "{"
                + ",".join(f'"{name}":{usual}' for name, usual in (fields | {field: value}).items())
                + "}",
            )


def refusal(read, *given):
    """The sentence with which something is refused; nothing if it is read. Any error but a sentence
    is a fault."""
    try:
        read(*given)
    except ThunderError as error:
        assert len(str(error)) < 250 and ": " in str(error) and str(error).isprintable(), str(error)
        return str(error)
    return None


def test_presets():
    usual = {
        "thunder_direction": "1",
        "name": '"x"',
        "about": '"x"',
        "style": '{"jaw": 1}',
        "mood": '"neutral"',
        "strength": "1",
        "spread": "1",
    }
    for field, value, text in with_each(usual):
        said = refusal(Preset.from_json, text, "mine")
        assert said or value in {
            "name": ('""',),
            "about": ('""',),
            "style": ("{}",),
            "spread": ("null",),
        }.get(field, ()), (field, value)
    for value in ABSURD:
        assert refusal(
            Preset.from_json, f'{{"thunder_direction": 1, "style": {{"jaw": {value}}}}}', "mine"
        ), value
        if value.startswith('"'):
            assert refusal(
                Preset.from_json, f'{{"thunder_direction": 1, "style": {{{value}: 1}}}}', "mine"
            ), value


def test_mappings():
    target = '{"kind": "KEY", "name": "x"}'
    rule = f'[{{"source": "jawOpen", "target": {target}}}]'
    usual = {name: '"x"' for name in ("name", "convention")} | {
        name: "[]" for name in ("parts", "joints")
    }
    usual |= {
        "thunder_mapping": "1",
        "rules": rule,
        "forward": '""',
        "balance": "0",
        "lower_per_jaw": "0.3",
    }
    fine = {'""', "[]"}
    for field, value, text in with_each(usual):
        assert refusal(Mapping.from_json, text) or value in fine, (field, value)

    def read_rule(text):
        return Mapping.from_json(f'{{"thunder_mapping": 1, "rules": [{text}]}}')

    def read_target(text):
        return read_rule(f'{{"source": "jawOpen", "target": {text}}}')

    assert read_target(target).rules, "the rule is fine but for the absurd value"
    for field, value, text in with_each({"source": '"jawOpen"', "weight": "1", "target": target}):
        assert refusal(read_rule, text) or (field, value) == ("weight", "3e8"), (field, value)
    for field, value, text in with_each({"kind": '"KEY"', "name": '"x"', "index": "0"}):
        assert refusal(read_target, text), (field, value)


HEADING = "Timecode,BlendShapeCount,JawOpen\n"
RECORDINGS = {
    "digits": HEADING + f"00:00:00:00,61,{'9' * 5000}\n",
    "timecode of digits": HEADING + f"{'9' * 5000}:00:00:00,61,0\n{'9' * 5000}:00:01:00,61,0\n",
    "frames of digits": HEADING + f"00:00:00:{'9' * 5000},61,0\n",
    "zero byte": HEADING + "00:00:00:00,61,\0\n",
    "not a number": HEADING + "00:00:00:00,61,nan\n",
    "escapes": HEADING + "00:00:00:00,61,\x1b[31m\n",
    "a row of a million cells": HEADING + "0," * 1_000_000,
    "lines in quotes": HEADING + '"a\n",' * 100_000,
    "a heading of a million columns": "x," * 1_000_000,
    "a column of 5000 letters": HEADING.replace("JawOpen", "J" * 5000),
    "frames without end": HEADING + "00:00:00:00,61,0\n" * 9,
    "nothing": "",
    "heading": HEADING,
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(tmp_path, monkeypatch, name):
    monkeypatch.setattr(livelink, "_MOST_ROWS", 8)
    path = tmp_path / "take.csv"
    path.write_text(RECORDINGS[name])
    with held_at_most(4 * 2**20):
        assert refusal(livelink.read, path, ("jawOpen",))


@pytest.mark.parametrize("fps", [3e8, 0.0, -25.0, np.nan, np.inf])
def test_takes_of_an_absurd_frame_rate(tmp_path, fps):
    parts = {
        name: np.zeros((5, width), np.float32)
        for name, width in (("expression", 1), ("jaw", 3), ("head", 3), ("eyes", 3))
    }
    np.savez(tmp_path / "take.npz", channels=np.array(["jawOpen"]), fps=np.array(fps), **parts)
    assert refusal(motion_file.read, tmp_path / "take.npz")


# ---- what is no file


def test_a_drive_that_does_not_answer_is_named_and_keeps_one_thread(tmp_path, monkeypatch):
    path, answers = tmp_path / "far.json", threading.Event()
    path.write_text("{}")
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    at_once = files._reason_at_once
    monkeypatch.setattr(files, "_reason_at_once", lambda name: (answers.wait(10), at_once(name))[1])
    threads = threading.active_count()
    for _ in range(5):
        assert files.not_a_file(path) == f"“{path}” is on a drive that does not answer"
    with pytest.raises(BadRequest, match="it is on a drive that does not answer"):
        Preset.read(path)
    assert threading.active_count() == threads + 1
    answers.set()
    end = time.monotonic() + 5
    while files.not_a_file(path) and time.monotonic() < end:
        time.sleep(0.01)
    assert not files.not_a_file(path)
