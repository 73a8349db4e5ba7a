# SPDX-License-Identifier: GPL-3.0-or-later
"""The first seed of takes where none was chosen, by the name of a sound, so that not all characters are played by the same people."""

from __future__ import annotations

import os
import zlib

TOGETHER = 8  # seeds between those of two voices: as many takes as are usual
_VOICES = 8192  # of which the voices are drawn; times TOGETHER all readings that there are (`engine.readings`)


def of_voice(name: str, character: int = 0) -> int:
    """The first seed of the takes of a voice. name: of its sound file, with or without the file's ending.

    It stays when a voice is cut, trimmed, moved or recorded again, and is the same on every machine.
    character: counts the characters who speak in the same sound; each has another seed.
    """
    stem, ending = os.path.splitext(name)
    if ending[1:].isdecimal():  # the other part of a strip that was cut: Blender numbers strips of one name
        stem = os.path.splitext(stem)[0]
    if character:
        stem += f" {character}"
    return TOGETHER * (zlib.crc32(stem.casefold().encode("utf-8", "surrogatepass")) % _VOICES)
