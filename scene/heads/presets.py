# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings kept as presets: JSON files in the add-on's own folder, one for each, for use on other characters."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

import bpy

from ...thunder_core.errors import BadHead, BadRequest, is_full_disk, NoSpace
from ...thunder_core.face.mapping import Mapping
from ...thunder_core.files import is_part, write_file
from ..engine.connection import PACKAGE

# What a file's name cannot hold on some system, or not at its beginning or end; "%" since it begins what replaces them.
_UNSAFE = re.compile(r'[<>:"/\\|?*%\x00-\x1f\x7f]|^[ .]|[ .]$')
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])[ ]*(\.|$)", re.IGNORECASE)  # on Windows


def folder() -> Path:
    """Where presets lie; the folder may not exist yet."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="mappings"))
    except ValueError:  # run as a plain script, not as an extension
        return Path(bpy.utils.user_resource("CONFIG", path="thunder_mappings"))


def names() -> list[str]:
    """Names of all presets, in order."""
    return sorted({_name_of(path.stem) for path in folder().glob("*.json") if not is_part(path.name)}, key=str.lower)


def _stem_of(name: str) -> str:
    """The file name, without its ending, of a preset: unsafe characters as %XX, so that no two names have one file.

    Names that differ in upper and lower case alone have one file on a disk that does not distinguish them.
    """
    stem = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", name)
    return f"%{ord(stem[0]):02X}{stem[1:]}" if _DEVICE.match(stem) else stem


def _name_of(stem: str) -> str:
    """The name of the preset in a file; the file's own name where `save` would not have named it so (older presets)."""
    name = unquote(stem)
    return name if name and _stem_of(name) == stem else stem


def save(plan: Mapping, name: str) -> Path:
    """Write a mapping as a preset, replacing one of that name. Raises BadRequest or NoSpace."""
    name = name.strip()
    if not name.strip(" ."):
        raise BadRequest("The preset has no name: give it one")
    path = folder() / f"{_stem_of(name)}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, plan.to_json())
    except OSError as error:
        reason = "the disk is full" if is_full_disk(error) else error.strerror
        raise NoSpace(f"The preset cannot be written to {path.parent} ({reason}): free some space or check its permissions") from error
    return path


def load(name: str) -> Mapping:
    """The mapping of a preset. Raises BadHead if it is gone or damaged."""
    path = folder() / f"{_stem_of(name)}.json"
    if not os.path.exists(path) and Path(name).name == name:
        path = folder() / f"{name}.json"  # of an older version, which kept "%" as it is
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadHead(f"The preset “{name}” cannot be read ({type(error).__name__}): save it again") from error
    return Mapping.from_json(text)
