# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a problem: versions, settings, and where in our own code the last error was raised.

Nothing private can be in it, since it contains no free text: of settings only numbers and choices,
of errors neither messages nor paths, and nothing of the engine's log.
"""

from __future__ import annotations

import os
import platform
import re
import time
import traceback
from pathlib import Path
from typing import Any

import bpy

from ...thunder_core import errors
from ...thunder_core.batch import manifest
from ..engine import connection, install
from ..heads import head
from ..host.compat import PACKAGE
from ..host.jobs import Part, session
from ..voice import strip

TEXT = "Thunder Report"
# packages whose versions matter for problems; all others are locked
_PACKAGES = ("python", "onnxruntime", "torch", "numpy")
# selected rows of lists
_NO_SETTINGS = {"active_take", "dialogue_index", "table_index", "range_index", "cut_index"}
_PLAIN = {"BOOLEAN", "INT", "FLOAT", "ENUM"}  # kinds of settings that hold no names


class _LastError(Part):
    """The last error, as the report describes it. "" before the first."""

    description: str = ""

    def close(self) -> None:
        """Forget it."""
        self.description = ""


last_error = session.add(_LastError())


def note(doing: str, error: BaseException) -> None:
    """Remember the last error for a report. doing: the label of the operator."""
    when = time.strftime("%Y-%m-%d %H:%M:%S")
    chain = filter(None, (error, error.__cause__ or error.__context__))
    last_error.description = "\n".join([f"{doing}, {when}", *map(_describe, chain)])


def _describe(error: BaseException) -> str:
    """The class of an error, and the places in our own code that it passed. A class of others,
    whose name may be private, is called as the class of Python that it is made from."""
    ours = f"{PACKAGE}."
    lines = [
        next(
            kind.__name__
            for kind in type(error).__mro__
            if kind.__module__ == "builtins" or kind.__module__.startswith(ours)
        )
    ]
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(ours):
            file = module.removeprefix(ours).replace(".", "/")
            lines.append(f"  {file}.py, line {line}, in {frame.f_code.co_name}")
    return "\n".join(lines)


def text(context: bpy.types.Context) -> str:
    """The report as plain text."""
    failed = "\nThe installation failed" if install.installing.error else ""
    parts = [
        ("Versions", versions()),
        ("Engine", engine()),
        ("Scene", _scene(context)),
        ("Settings Changed From Their Defaults", _settings(context)),
        ("Last Error", (last_error.description or "none in this session") + failed),
    ]
    return "Report of THUNDER for Blender, without names, paths and messages\n" + "".join(
        f"\n{title}\n{body.rstrip()}\n" for title, body in parts
    )


# ---- sections


def versions() -> str:
    """Versions of the add-on, Blender and the system."""
    lines = {
        "Add-on": manifest.version(),
        "Blender": f"{bpy.app.version_string} ({bpy.app.build_hash.decode(errors='replace')})",
        # Kernels that somebody made have names after the number.
        "System": f"{platform.system()} {re.split('[^0-9.]', platform.release())[0]} "
        f"{' '.join(platform.libc_ver())}".strip(),
        "Processor": f"{platform.machine()}, {os.cpu_count()} threads",
        "Graphics": _graphics(),
    }
    return _lines(lines)


def _graphics() -> str:
    """Graphics card and driver."""
    try:
        import gpu

        about = gpu.platform
        return (
            f"{about.renderer_get()} ({about.vendor_get()}, {about.backend_type_get()}, "
            f"{about.version_get()})"
        )
    except (SystemError, AttributeError, ImportError):  # Blender without a window
        return "not known"


def _state_in_words(
    state: install.EnvironmentState, custom: str | None, python: str | None, about: dict
) -> str:
    """state: of the add-on's own environment.  custom: a Python that was chosen.  python: the one
    that is used.  about: the running engine."""
    if custom:
        return "A custom Python environment" if python else "The custom Python is missing"
    if state.kind != "ABSENT" or not (python or about):
        return state.text
    if connection.is_packaged():
        return "The engine is included"
    return "A Python that the add-on did not install"


def engine() -> str:
    """State and versions of the engine."""
    state = install.state()
    python, _ = connection.current_python()
    about = connection.running_engine() or {}
    chosen = connection.preferences()
    custom = (chosen and chosen.engine_python) or os.environ.get("THUNDER_PYTHON")
    versions = {
        **state.versions,
        **(install.versions_in(str(Path(python).parent.parent)) if python else {}),
        **about.get("versions", {}),
    }
    lines = {
        "State": _state_in_words(state, custom, python, about),
        "Running": f"yes, on {about['device']}"
        if about.get("device")
        else "not started in this session",
        "Device Chosen": chosen.bl_rna.properties["device"].enum_items[chosen.device].name
        if chosen
        else "Automatic",
        "Weights": ("custom" if chosen and chosen.weights else "bundled")
        + (f" ({about['weights']})" if about.get("weights") else ""),
        "Packages": ", ".join(f"{name} {versions[name]}" for name in _PACKAGES if name in versions)
        or "none found",
    }
    return _lines(lines)


def _scene(context: bpy.types.Context) -> str:
    """Counts and kinds in the scene."""
    scene = context.scene
    lines = {
        "Frame Rate": f"{scene.render.fps} / {scene.render.fps_base:g}",
        "Frames": f"{scene.frame_start} to {scene.frame_end}",
        "Unit Scale": f"{scene.unit_settings.scale_length:g}",
        "Sound Strips": len(strip.sound_strips(scene)),
        "Takes": len(scene.thunder.takes),
        "Heads": len(head.in_scene(scene)),
    }
    try:
        rig = head.find(scene, getattr(context, "object", None))
        linked = "linked" if rig.owner.library or rig.owner.override_library else "local"
        lines["Head"] = f"{len(rig.channels)} channels, {len(rig.targets)} data-blocks, {linked}"
    except errors.ThunderError as error:
        lines["Head"] = type(error).__name__
    try:
        voice = strip.find(context)
        seconds = None if voice.last is None else (voice.last - voice.clock.start) / voice.clock.fps
        lines["Voice"] = "file" if seconds is None else f"strip of {seconds:.2f} s"
    except errors.ThunderError as error:
        lines["Voice"] = type(error).__name__
    return _lines(lines)


def _settings(context: bpy.types.Context) -> str:
    """Settings that differ from their defaults."""
    scene = context.scene
    groups = {
        "": scene.thunder,
        "Commit › ": scene.thunder.commit,
        "Keep › ": scene.thunder_keep,
        "Mix › ": scene.thunder_mix,
    }
    changed = {}
    for prefix, group in groups.items():
        for prop in group.bl_rna.properties:
            if prop.type not in _PLAIN or prop.identifier in _NO_SETTINGS:
                continue
            value, usual = getattr(group, prop.identifier), prop.default
            if abs(value - usual) > 1e-5 if prop.type == "FLOAT" else value != usual:
                changed[prefix + prop.name] = _value(prop, value)
    return _lines(changed) or "none"


def _value(prop: bpy.types.Property, value: Any) -> str:
    """A setting's value as the panel shows it."""
    if prop.type == "ENUM":
        # such a list may hold names
        return prop.enum_items[value].name if value in prop.enum_items else "another"
    return ("on" if value else "off") if prop.type == "BOOLEAN" else f"{value:g}"


def _lines(values: dict) -> str:
    """A line for each value."""
    return "".join(f"{name}: {value}\n" for name, value in values.items())
