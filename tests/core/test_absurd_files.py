# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with values that nobody means: each is read, or refused in one short sentence at once, in little
memory; a picture's is known from its header."""

import contextlib
import io
import random
import struct

import numpy as np
import pytest
from memory import held_at_most

from thunder_core.animation import motion_file
from thunder_core.direction_presets import Preset
from thunder_core.errors import ThunderError
from thunder_core.face import livelink
from thunder_core.face.mapping import Mapping
from thunder_core.picture_size import BadPicture, check_picture

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
        {"name": '"x"', "convention": '"x"', "parts": "[]", "joints": "[]", "forward": '""'}
        | {"thunder_mapping": "1", "rules": f'[{{"source": "jawOpen", "target": {TARGET}}}]'}
        | {"balance": "0", "lower_per_jaw": "0.3"},
        {(name, "[]") for name in ("parts", "joints", "rules")}
        | {(name, "{}") for name in ("parts", "joints", "rules")}
        | {(name, '""') for name in ("parts", "joints", "rules", "convention", "forward")}
        | {("name", empty) for empty in ("{}", "[]", "null", '""')}
        | {(name, "true") for name in ("balance", "lower_per_jaw")}
        | {("parts", text) for text in ABSURD},
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


# ---- pictures


def png(width, height):
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + struct.pack(">II", width, height)
        + b"\x08\x02\0\0\0"
        + bytes(99)
    )


def jpeg(width, height, before=b""):
    frame = b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return b"\xff\xd8\xff\xe0\0\x04ab" + before + frame + b"\xff\xda\0\x02data\xff\xd9"


def webp(width, height, kind=b"VP8X"):
    bodies = {
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(5, "little")[:4] + bytes(5),
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width & 0x3FFF, height & 0x3FFF),
    }
    return b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + bodies[kind]


USUAL = [
    png(1024, 1024), png(8192, 8192), jpeg(6000, 4000), jpeg(9000, 7000, b"\xff\xff\xe1\0\x06Exif"),
    webp(4000, 3000), webp(4000, 3000, b"VP8L"), webp(4000, 3000, b"VP8 "),
]  # fmt: skip
TOO_LARGE = [
    png(30000, 30000), png(2**31, 2**31), jpeg(65500, 65500), webp(2**24, 2**24),
    webp(16384, 16384, b"VP8L"), webp(16383, 16383, b"VP8 "),
]  # fmt: skip
MORE = r"^has [\d,]+ × [\d,]+ pixels, more than 8,192 × 8,192$"
BAD = [
    (b"", "is no PNG"), (b"BM" + bytes(99), "is no PNG"), (b"GIF89a" + bytes(99), "is no PNG"),
    (b"II*\0" + bytes(99), "is no PNG"), (b"\x76\x2f\x31\x01" + bytes(99), "is no PNG"),
    (png(0, 5), "damaged"), (png(5, 5)[:20], "damaged"), (jpeg(0, 5), "damaged"),
    (b"\xff\xd8\xff\xda\0\0", "damaged"), (b"\xff\xd8" + b"\xff\xe0\0\x02" * 20000, "damaged"),
]  # fmt: skip


@pytest.mark.parametrize("content", USUAL, ids=range(len(USUAL)))
def test_usual_pictures_pass(content):
    check_picture(io.BytesIO(content))


@pytest.mark.parametrize(
    "content, says",
    [*BAD, *((content, MORE) for content in TOO_LARGE)],
    ids=range(len(BAD) + len(TOO_LARGE)),
)
def test_what_is_no_picture_or_has_more_pixels_than_memory_is_refused_in_words(content, says):
    with pytest.raises(BadPicture, match=says):
        check_picture(io.BytesIO(content))


def test_damaged_headers_pass_or_are_refused_and_nothing_else():
    chance = random.Random(1)
    for _ in range(3000):
        data = bytearray(chance.choice(USUAL))
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        with contextlib.suppress(BadPicture):
            check_picture(io.BytesIO(data[: chance.randrange(1, len(data) + 1)]))
