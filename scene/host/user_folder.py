# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's folder of the add-on, for what belongs to no .blend: presets."""

from pathlib import Path

import bpy

PACKAGE = __package__.removesuffix(".scene.host")  # extension name in Blender


def user_folder(name: str) -> Path:
    """The folder of this name among the user's files; it may not exist yet."""
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name))
    except ValueError:  # run as a plain script, not as an extension
        return Path(bpy.utils.user_resource("CONFIG", path=f"thunder_{name}"))
