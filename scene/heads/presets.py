# SPDX-License-Identifier: GPL-3.0-or-later
"""Mapping presets: JSON files in the add-on's own folder, to use on other characters."""

from pathlib import Path

from ...thunder_core.errors import BadHead
from ...thunder_core.face.mapping import Mapping
from ...thunder_core.named_files import NamedFiles
from ..host.user_folder import user_folder


def folder() -> Path:
    """The folder of presets, which may not exist yet."""
    return user_folder("mappings")


def names() -> list[str]:
    """Names of all presets, in order."""
    return NamedFiles(folder()).names()


def save(plan: Mapping, name: str) -> Path:
    """Write a mapping as a preset, replacing one of that name. Raises BadRequest or NoSpace."""
    return NamedFiles(folder()).write(name, plan.to_json())


def load(name: str) -> Mapping:
    """The mapping of a preset. Raises BadHead if it is missing or damaged."""
    try:
        text = NamedFiles(folder()).read(name)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BadHead(f"The preset “{name}” cannot be read ({reason}): save it again") from error
    return Mapping.from_json(text)
