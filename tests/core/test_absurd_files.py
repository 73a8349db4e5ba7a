# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with values that nobody means: each is read, or refused in one short sentence at once, in little
memory."""

import numpy as np
import pytest
from memory import held_at_most

from thunder_core.animation import motion_file
from thunder_core.direction_presets import Preset
from thunder_core.errors import ThunderError
from thunder_core.face import livelink
from thunder_core.face.mapping import Mapping

ABSURD = (
    "9" * 5000, "-" + "9" * 4000, "9" * 400, "3e8", "1e400", "NaN", "-Infinity", '"a\\u0000b"',
    '"\\u001b[31m"', '"a\\nb"', '"\\ud800"',
    '"' + "é" * 5000 + '"', "[" * 3000 + "]" * 3000, "{}", "[]", "true", "null", '""',
)  # fmt: skip


def refusal(read, *given):
    """The sentence with which something is refused; nothing if it is read. Any error but a sentence
    is a fault."""
    try:
        read(*given)
    except ThunderError as error:
        assert len(str(error)) < 250 and ": " in str(error) and str(error).isprintable(), str(error)
        return str(error)
    return None


def of_rule(text):
    return Mapping.from_json(f'{{"thunder_mapping": 1, "rules": [{text}]}}')


def of_target(text):
    return of_rule(f'{{"source": "jawOpen", "target": {text}}}')


TARGET = '{"kind": "KEY", "name": "x"}'
# (what reads a JSON text, its usual fields, and which absurd values are fine)
READERS = {
    "preset": (
        lambda text: Preset.from_json(text, "mine"),
        {"thunder_direction": "1", "name": '"x"', "about": '"x"', "style": '{"jaw": 1}'}
        | {"mood": '"neutral"', "strength": "1", "spread": "1"},
        {("name", '""'), ("about", '""'), ("style", "{}"), ("spread", "null")},
    ),
    "style": (
        lambda text: Preset.from_json(f'{{"thunder_direction": 1, "style": {text}}}', "mine"),
        {"jaw": "1"},
        set(),
    ),
    "mapping": (
        Mapping.from_json,
        {"name": '"x"', "convention": '"x"', "joints": "[]", "forward": '""'}
        | {"thunder_mapping": "1", "rules": f'[{{"source": "jawOpen", "target": {TARGET}}}]'}
        | {"balance": "0", "lower_per_jaw": "0.3"},
        {(name, "[]") for name in ("joints", "rules")}
        | {(name, "{}") for name in ("joints", "rules")}
        | {(name, '""') for name in ("joints", "rules", "convention", "forward")}
        | {("name", empty) for empty in ("{}", "[]", "null", '""')}
        | {(name, "true") for name in ("balance", "lower_per_jaw")},
    ),
    "rule": (
        of_rule,
        {"source": '"jawOpen"', "weight": "1", "target": TARGET},
        {("weight", "true")},
    ),
    "target": (of_target, {"kind": '"KEY"', "name": '"x"', "index": "0"}, {("index", "true")}),
}


@pytest.mark.parametrize("name", READERS)
def test_settings(name):
    read, usual, fine = READERS[name]
    for field in usual:
        fields = "{" + ",".join(f'"{each}":{value}' for each, value in usual.items()) + "}"
        assert refusal(read, fields) is None, "all is fine but for the absurd value"
        for value in ABSURD:
            text = fields.replace(f'"{field}":{usual[field]}', f'"{field}":{value}', 1)
            assert refusal(read, text) or (field, value) in fine, (field, value)


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
    "nothing": "",
    "heading": HEADING,
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_recordings(tmp_path, name):
    path = tmp_path / "take.csv"
    path.write_text(RECORDINGS[name])
    with held_at_most(200 * 2**20):
        assert refusal(livelink.read, path, ("jawOpen",))


@pytest.mark.parametrize("fps", [3e8, 0.0, -25.0, np.nan, np.inf])
def test_takes_of_an_absurd_frame_rate(tmp_path, fps):
    parts = {
        name: np.zeros((5, width), np.float32)
        for name, width in (("expression", 1), ("jaw", 3), ("head", 3), ("eyes", 3))
    }
    np.savez(tmp_path / "take.npz", channels=np.array(["jawOpen"]), fps=np.array(fps), **parts)
    assert refusal(motion_file.read, tmp_path / "take.npz")
