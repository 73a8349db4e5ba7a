# SPDX-License-Identifier: GPL-3.0-or-later
"""What recognises words, as Blender sees it: an environment of its own beside the engine's, and a
Whisper model that the animator names."""

from __future__ import annotations

import os

import bpy

from ...thunder_core.engine_python import find_recogniser
from ...thunder_core.errors import attempt
from ...thunder_core.whisper import find_model_of, folder_of_name, is_hub_name
from . import connection, install

folder = install.RECOGNISER.folder


def python() -> str:
    """The Python that recognises words. Raises NoEngine."""
    return find_recogniser(venvs=install.RECOGNISER.venvs())


def model() -> str:
    """The model that the preferences name, or THUNDER_WHISPER: a folder, or a name on the hub; ""
    for none."""
    chosen = connection.preferences()
    named = chosen.whisper.strip() if chosen else ""
    # a field for folders may end a name with a slash
    path = bpy.path.abspath(named)
    return (path if os.path.isdir(path) else named.rstrip("/\\")) or os.environ.get(
        "THUNDER_WHISPER", ""
    )


def arguments(named: str = "", language: str = "") -> dict[str, str]:
    """What a request to recognise words says of the recogniser; named, language: a model, and the
    code of a language, instead of the usual one and of the scene's. Raises NoEngine, BadWeights."""
    executable = python()
    found = find_model_of(executable, named or model(), downloads=True)
    language = (language or bpy.context.scene.thunder.language).lower()
    return {
        "python": executable,
        "model": found,
        "language": "" if language == "auto" else language,
    }


def why_not(context: bpy.types.Context | None = None) -> str:
    """The reason why no words can be recognised, "" if they can. Quick: for panels."""
    return attempt(arguments)[1]


def is_downloadable() -> bool:
    """Whether the model is named as on the hub and is not here yet."""
    place = folder()
    return (
        place is not None
        and is_hub_name(model())
        and not os.path.isdir(folder_of_name(place, model()))
    )
