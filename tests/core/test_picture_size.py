# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture's memory is known from its header, before Blender decodes it: usual pictures pass,
bombs do not."""

import contextlib
import io
import random
import struct

import pytest

from thunder_core.picture_size import BadPicture, check_picture


def png(width, height):
    return (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        + struct.pack(">II", width, height)
        + b"\x08\x02\0\0\0"
        + bytes(99)
    )


def jpeg(width, height, passes=1, before=b""):
    frame = b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return (
        b"\xff\xd8\xff\xe0\0\x04ab" + before + frame + passes * b"\xff\xda\0\x02data" + b"\xff\xd9"
    )


def webp(width, height, kind=b"VP8X"):
    bodies = {
        b"VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
        b"VP8L": b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(5, "little")[:4] + bytes(5),
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width & 0x3FFF, height & 0x3FFF),
    }
    return b"RIFF\0\0\0\0WEBP" + kind + bytes(4) + bodies[kind]


def tiff(width, height, samples=3, tile=(), order="<", big=False, kind=4, count=1):
    tags = [(256, width), (257, height), (277, samples), *zip((322, 323), tile)]
    entry = (lambda tag, value: struct.pack(order + "HHQQ", tag, 16, 1, value)) if big else (
        lambda tag, value: struct.pack(order + "HHII", tag, kind, count, value)
    )  # fmt: skip
    body = b"".join(entry(*tag) for tag in tags)
    name = b"II" if order == "<" else b"MM"
    if big:
        return name + struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(tags)) + body + bytes(20)
    return name + struct.pack(order + "HIH", 42, 8, len(tags)) + body + bytes(20)


def exr(width, height, channels=3, flags=0, tile=None, shown=None):
    def attribute(name, kind, data):
        return name + b"\0" + kind + b"\0" + struct.pack("<I", len(data)) + data

    window = struct.pack("<iiii", -5, 7, width - 6, height + 6)
    listed = b"".join(b"c%d\0" % n + bytes(16) for n in range(channels)) + b"\0"
    parts = attribute(b"channels", b"chlist", listed) + attribute(b"dataWindow", b"box2i", window)
    parts += attribute(
        b"displayWindow", b"box2i", window if shown is None else struct.pack("<iiii", 0, 0, *shown)
    )
    parts += (
        b"" if tile is None else attribute(b"tiles", b"tiledesc", struct.pack("<IIB", *tile, 0))
    )
    return struct.pack("<II", 20000630, 2 | flags) + parts + b"\0" + bytes(99)


USUAL = [
    png(1024, 1024), png(8192, 8192), jpeg(6000, 4000), jpeg(9000, 7000, 12,
    b"\xff\xff\xe1\0\x06Exif"), webp(4000, 3000),
    webp(4000, 3000, b"VP8L"), webp(4000, 3000, b"VP8 "), tiff(6000, 4000),
    tiff(6000, 4000, 4, (256, 256), ">"), tiff(640, 480, big=True),
    exr(4096, 2160, 30), exr(512, 512, 4, 0x200, (64, 64)),
]  # fmt: skip
TOO_LARGE = [
    png(30000, 30000), png(2**31, 2**31), jpeg(65500, 65500), webp(2**24, 2**24),
    webp(16384, 16384, b"VP8L"), webp(16383, 16383, b"VP8 "),
    tiff(30000, 30000), tiff(2**32 - 1, 2**32 - 1), tiff(4096, 4096, 60000),
    tiff(100, 100, 3, (2**31, 2**31)),
    tiff(2**40, 2**40, big=True),
    exr(30000, 30000), exr(4096, 4096, 2000), exr(100, 100, 3, 0x200, (2**31, 2**31)),
    exr(100, 100, shown=(2**30, 2**30)),
]  # fmt: skip
BAD = [
    (b"", "is no PNG"), (b"BM" + bytes(99), "is no PNG"), (b"GIF89a" + bytes(99), "is no PNG"),
    (png(0, 5), "damaged"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIEND" + bytes(99), "damaged"), (jpeg(0, 5), "damaged"),
    (b"\xff\xd8\xff\xda\0\0", "damaged"),
    (jpeg(600, 400, 5000), "more than 100 passes"), (b"\xff\xd8" + b"\xff\xe0\0\x02" * 20000,
    "damaged"),
    (tiff(640, 480, kind=11), "damaged"), (tiff(640, 480, count=2), "damaged"),
    (b"II*\0\xff\xff\xff\xff" + bytes(9), "damaged"),
    (b"II+\0\x08\0\0\0" + b"\xff" * 8, "damaged"), (exr(100, 100, flags=0x800), "deep"),
    (exr(-50, 100), "damaged"),
    (exr(100, 100)[:60], "damaged"), (b"\x76\x2f\x31\x01\x02\0\0\0" + b"a" * 999, "damaged"),
    (b"RIFF\0\0\0\0WEBPANIM" + bytes(20), "damaged"),
]  # fmt: skip


@pytest.mark.parametrize("content", USUAL, ids=range(len(USUAL)))
def test_usual_pictures_pass(content):
    check_picture(io.BytesIO(content))


@pytest.mark.parametrize("content", TOO_LARGE, ids=range(len(TOO_LARGE)))
def test_pictures_of_more_pixels_than_memory_are_refused(content):
    with pytest.raises(
        BadPicture, match=r"^has [\d,]+ × [\d,]+ pixels.*, more than 8,192 × 8,192$"
    ):
        check_picture(io.BytesIO(content))


@pytest.mark.parametrize("content, says", BAD, ids=range(len(BAD)))
def test_what_is_no_picture_is_refused_in_words(content, says):
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
