# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings kept as presets: JSON files in the add-on's own folder, one for each, for use on other characters."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from ...thunder_core.errors import BadHead, BadRequest, is_full_disk, NoSpace
from ...thunder_core.face.mapping import Mapping
from ...thunder_core.files import is_part, write_file
from ..engine.session import PACKAGE


def folder() -> Path:
    """Where presets lie; the folder may not exist yet."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path="mappings"))
    except ValueError:  # run as a plain script, not as an extension
        return Path(bpy.utils.user_resource("CONFIG", path="thunder_mappings"))


def names() -> list[str]:
    """Names of all presets, in order."""
    return sorted((path.stem for path in folder().glob("*.json") if not is_part(path.name)), key=str.lower)


def save(plan: Mapping, name: str) -> Path:
    """Write a mapping as a preset, replacing one of that name. Raises BadRequest or NoSpace."""
    stem = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).strip(" .")
    if not stem:
        raise BadRequest("The preset has no name: give it one")
    path = folder() / f"{stem}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, plan.to_json())
    except OSError as error:
        reason = "the disk is full" if is_full_disk(error) else error.strerror
        raise NoSpace(f"The preset cannot be written to {path.parent} ({reason}): free some space or check its permissions") from error
    return path


def load(name: str) -> Mapping:
    """The mapping of a preset. Raises BadHead if it is gone or damaged."""
    try:
        text = (folder() / f"{name}.json").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadHead(f"The preset “{name}” cannot be read ({type(error).__name__}): save it again") from error
    return Mapping.from_json(text)
