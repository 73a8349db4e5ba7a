# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: JSON files in one folder with the names that the animator gave them, on any system.
Standard library only."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .errors import BadRequest, is_full_disk, NoSpace, ThunderError
from .files import is_part, is_utf8, write_file
from .text_files import read_text

# Characters not allowed in a file's name on some system, or not at its beginning or end; "%"
# because it starts their replacements.
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]|^[ .]|[ .]$')
# Windows device names
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\.|$)", re.IGNORECASE
)


_LONGEST = 1000  # letters; Blender's names have 255 at most
_NO_TEXT = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_LARGEST = 2**24  # largest file, bytes


def is_text(value: object) -> bool:
    """Whether a value of a JSON file is a text that Blender can hold: short, without control
    characters and halves of letters."""
    return isinstance(value, str) and len(value) <= _LONGEST and not _NO_TEXT.search(value)


def read_number(value: Any, name: str, where: str, least: float, most: float) -> float:
    """A number of a JSON file within bounds. where: the file, in a sentence.  name: of the number
    there. Raises BadRequest."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise BadRequest(
            f"{where} has “{name}” {json.dumps(value)[:40]}, which is not a number from {least:g} "
            f"to {most:g}: correct it"
        )
    return float(value)


def read_file(path: Path, most: int, what: str, advice: str) -> str:
    """The text of a file of ours, of at most so many bytes. what: the file, in a sentence.  advice:
    the sentence's end. Raises BadRequest."""
    try:
        return read_text(path, most)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or f"it {error}"
        raise BadRequest(f"{what} cannot be read ({reason}): {advice}") from error


def read_document(
    text: str, key: str, version: int, longest: int, what: str, advice: tuple[str, str],
    error: type[ThunderError],
) -> dict:  # fmt: skip
    """The table of a JSON text of ours, whose `key` holds its version. Raises `error`.

    what: the text in a sentence, such as “The mapping”.  advice: what to do with a text of another
    kind, and with a damaged one.
    """
    if len(text) > longest:
        raise error(f"{what} has more than {longest:,} letters: {advice[0]}")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise error(f"{what} is not readable as JSON ({str(reason)[:100]}): {advice[1]}") from None
    if not isinstance(data, dict) or key not in data:
        raise error(f"{what} is not one of Thunder's: {advice[0]}")
    if isinstance(data[key], bool) or data[key] != version:
        raise error(
            f"{what} is of version {json.dumps(data[key])[:20]} where {version} is known: update "
            f"Thunder or {advice[1]}"
        )
    return data


@dataclass(frozen=True)
class NamedFiles:
    """The files of a folder, which may not exist yet."""

    folder: Path

    def names(self) -> list[str]:
        """Names of all files, in order."""
        return sorted(
            {
                _name_of(path.stem)
                for path in self.folder.glob("*.json")
                if not is_part(path.name) and is_utf8(path.stem)
            },
            key=lambda name: (name.lower(), name),
        )

    def path(self, name: str) -> Path:
        """The file of a name, whether it exists or not."""
        path = self.folder / f"{_stem_of(name)}.json"
        if not os.path.exists(path) and Path(name).name == name:
            older = self.folder / f"{name}.json"  # of an older version, which kept "%" as it is
            return older if os.path.exists(older) else path
        return path

    def write(self, name: str, text: str) -> Path:
        """Write a file, replacing one of that name. Raises BadRequest or NoSpace."""
        name = name.strip()
        if not name.strip(" ."):
            raise BadRequest("The preset has no name: give it one")
        path = self.folder / f"{_stem_of(name)}.json"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, text)
        except OSError as error:
            reason = "the disk is full" if is_full_disk(error) else error.strerror
            raise NoSpace(
                f"The preset cannot be written to {path.parent} ({reason}): free some space or "
                f"check its permissions"
            ) from error
        return path

    def read(self, name: str) -> str:
        """The text of a file. Raises OSError or NotText."""
        return read_text(self.path(name), _LARGEST)


def _stem_of(name: str) -> str:
    """The file name, without its ending, of a preset: unsafe characters as %XX, so that no two
    names have one file.

    Names that differ in upper and lower case alone have one file on a disk that does not
    distinguish them.
    """
    stem = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return f"%{ord(stem[0]):02X}{stem[1:]}" if _DEVICE.match(stem) else stem


def _name_of(stem: str) -> str:
    """The name of the preset in a file; the file's name where `write` would not have named it so
    (older presets)."""
    name = unquote(stem)
    return name if name and _stem_of(name) == stem else stem
