# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes binary glTF: a JSON document and its data; standard library only."""

import json
import os
import struct

_MAGIC, _JSON, _DATA = b"glTF", b"JSON", b"BIN\0"


def read(path: str | os.PathLike) -> tuple[dict, bytes]:
    """The document of a file of version 2, and its data. Raises ValueError if it is none."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] != _MAGIC or data[16:20] != _JSON:
        raise ValueError("not a binary glTF")
    (size,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def write(path: str | os.PathLike, document: dict, data: bytes) -> None:
    """Write a file. data: in whole words of four bytes."""
    text = json.dumps(document, separators=(",", ":")).encode()
    parts = text + b" " * (-len(text) % 4), data
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", _MAGIC, 2, 12 + sum(8 + len(part) for part in parts)))
        for kind, part in zip((_JSON, _DATA), parts):
            file.write(struct.pack("<I4s", len(part), kind) + part)


def hold(path: str | os.PathLike, moving: set[str]) -> list[str]:
    """Let all of a file's animation hold each value until the next, but for nodes of these names
    and the shapes of theirs. Returns the names of those among them that are animated."""
    document, data = read(path)
    blended = list[str]()
    for animation in document.get("animations", ()):
        for channel in animation["channels"]:
            name = document["nodes"][channel["target"]["node"]].get("name", "")
            if name in moving:
                blended.append(name)
            else:
                animation["samplers"][channel["sampler"]]["interpolation"] = "STEP"
    write(path, document, data)
    return list(dict.fromkeys(blended))
