# SPDX-License-Identifier: GPL-3.0-or-later
"""The one engine process of a Blender session: started by the first request, stopped with the add-on or Blender."""

from __future__ import annotations

import os

import bpy

from ..thunder_core.client import Client, find_engine_python
from ..thunder_core.errors import NoEngine

PACKAGE = __package__.rpartition(".")[0]
LOG_TEXT = "Thunder Engine Log"
DEVICES = {"AUTO": None, "CPU": "cpu", "CUDA": "cuda:0"}

_client: Client | None = None


def preferences():
    """The add-on's preferences; None when the code runs as a script and is not an enabled add-on."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def venvs() -> tuple[str, ...]:
    """Virtual environments that may hold the engine: the one in this extension's own user folder."""
    try:
        return (os.path.join(bpy.utils.extension_path_user(PACKAGE), "engine"),)
    except ValueError:  # not loaded as an extension
        return ()


def client(python: str | None = None) -> Client:
    """The session's client, made anew when the preferences name another Python or device."""
    global _client
    chosen = preferences()
    python = python or (chosen.engine_python if chosen else "") or None
    device = DEVICES[chosen.device] if chosen else None
    if _client is not None and (_client.python, _client.device) != (python, device):
        stop()
    if _client is None:
        _client = Client(python, venvs=venvs(), device=device)
    return _client


def found(python: str) -> tuple[bool, str]:
    """Whether the engine's Python is there, and the path or the sentence to show in the preferences."""
    try:
        return True, find_engine_python(python or None, venvs())
    except NoEngine as error:
        return False, str(error)


def found_now() -> tuple[bool, str]:
    """The same for the Python that the next request would use."""
    chosen = preferences()
    return found(chosen.engine_python if chosen else "")


def stop() -> None:
    """End the engine's process and remove its temporary files."""
    global _client
    if _client is not None:
        _client.stop()
        _client = None


def keep_log(log: str) -> None:
    """Put the last words of a dead engine in a text block, for the animator to read or send."""
    if not log:
        return
    text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
    text.clear()
    text.write(log)
