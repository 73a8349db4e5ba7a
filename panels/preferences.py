# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: the engine's state, its device and weights, buttons to install or
repair it; the add-on's keys."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import bpy

from ..operators import install_engine
from ..scene.engine import connection, install, recogniser
from ..scene.host.jobs import registration, session
from ..scene.host.language import translated
from ..scene.host.prop import EnumProperty, StringProperty
from ..thunder_core import installer
from ..thunder_core.errors import attempt
from . import manual
from .tab import in_lines, progress_row, props, tune

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import EventTypeItems, IconItems


KEYMAP = "Screen"  # keymap that reaches every editor which does not use the keys itself
# Operator, key, properties; none is used by Blender in the editors where takes are viewed
KEYS: tuple[tuple[str, EventTypeItems, dict], ...] = (
    ("thunder.select_take", "DOWN_ARROW", {"step": 1}),
    ("thunder.select_take", "UP_ARROW", {"step": -1}),
    ("thunder.flip_take", "X", {}),
    ("thunder.star_take", "Y", {}),
    ("wm.call_menu_pie", "U", {"name": "THUNDER_MT_pie"}),
)


class ThunderPreferences(bpy.types.AddonPreferences):
    bl_idname = connection.PACKAGE

    engine_python: str = StringProperty(
        name="Other Python",
        subtype="FILE_PATH",
        description="Python or virtual environment that already has the engine's packages. Leave "
        "empty to use the engine installed here",
    )
    weights: str = StringProperty(
        name="Weights",
        subtype="DIR_PATH",
        description="Folder of model files that you trained yourself. Leave empty to use the "
        "bundled ones",
    )
    whisper: str = StringProperty(
        name="Whisper Model",
        subtype="DIR_PATH",
        description="Model that recognizes words: its folder, as CTranslate2 stores it, or its "
        "name on the Hugging Face hub, such as base, to download it",
    )
    microphone: str = StringProperty(
        name="Microphone", description="Microphone that records. Leave empty for the system's"
    )
    device: str = EnumProperty(
        name="Device",
        items=[
            ("AUTO", "Automatic", "The graphics card if the engine can use it, else the processor"),
            (
                "CPU",
                "Processor",
                "Slower. The same seed gives the same take on every machine of its kind",
            ),
            (
                "CUDA",
                "Graphics Card",
                "The first NVIDIA graphics card, or AMD's where the engine's torch was built for "
                "ROCm (not tested)",
            ),
            ("MPS", "Apple Graphics (Not Tested)", "The graphics of Apple's own processors"),
        ],
        description="Device that the engine runs on",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        tune(layout, use_property_split=True, use_property_decorate=False)
        _draw_engine(layout, context, self)
        _draw_words(layout, context, self)
        _draw_component(
            layout, context, install.KANJI, False,
            ("Kanji reading: ready", "Kanji reading: not installed"),
            "Lets lips follow Japanese transcripts with kanji",
        )  # fmt: skip
        _draw_component(
            layout, context, install.TRACKER, bool(os.environ.get("THUNDER_TRACKER")),
            ("Videos of Actors: ready", "Videos of Actors: not installed"),
            "Makes captured faces of videos",
        )  # fmt: skip
        props(layout, self, "device", "engine_python", "weights", "microphone")
        if problem := attempt(connection.weights)[1]:
            _draw_sentence(layout, problem, context)


_ICONS: dict[str, IconItems] = {
    "READY": "CHECKMARK",
    "OUTDATED": "INFO",
    "UNFINISHED": "ERROR",
    "BROKEN": "ERROR",
    "ABSENT": "INFO",
}


def _draw_engine(
    layout: bpy.types.UILayout, context: bpy.types.Context, preferences: ThunderPreferences
) -> None:
    box = layout.box()
    if (running := _installing(None)) is not None:
        _draw_installation(box, running)
    elif preferences.engine_python or os.environ.get("THUNDER_PYTHON"):
        _draw_other_python(box, preferences)
    else:
        _draw_environment(box, context)
    if _installing(None) is None:
        _draw_running_engine(box)
    row = box.row()
    row.operator("wm.url_open", text="Guides", icon="URL").url = manual.guides() + manual.address(
        "scenes#the-engine"
    )
    row.operator("thunder.report_problem", icon="HELP")


def _installing(component: install.Component | None) -> install.Installation | None:
    """The installation that runs, if it is this one's, else None. component: None for the
    engine."""
    return install.installing.running if install.installing.component == component else None


def _is_downloading() -> bool:
    """Whether a model of words is being downloaded."""
    return session.job is not None and session.job.title == install_engine.DOWNLOADING


def _draw_failure(
    box: bpy.types.UILayout, component: install.Component | None, context: bpy.types.Context
) -> None:
    """Why the last installation failed, if it was of this; None: of the engine."""
    if install.installing.error and install.installing.component == component:
        _draw_sentence(box, install.installing.error, context)


def _draw_installation(box: bpy.types.UILayout, running: install.Installation) -> None:
    box.label(text="Installing", icon="IMPORT")
    row = tune(box.row(align=True), scale_y=1.5)
    row.progress(
        factor=running.fraction,
        text=translated(", ".join(filter(None, (running.message, running.time_left)))),
    )
    row.operator("thunder.stop_installation", text="", icon="X")
    _draw_fine_print(
        box, "You can keep working and close this window", "Downloads are kept if you cancel"
    )


def _draw_environment(box: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The environment that this add-on makes."""
    state = install.state()
    if connection.is_packaged():
        _draw_packaged_engine(box, context, state)
        return
    box.label(text=state.text, icon=_ICONS[state.kind])
    _draw_failure(box, None, context)
    if state.kind != "READY":
        tune(box.column(), scale_y=1.5).operator(
            "thunder.install_engine", text=install_engine.LABELS[state.kind], icon="IMPORT"
        )
        if install.may_download():
            what = installer.CARD if install.has("torch") else installer.PROCESSOR
            needs = f"{install.download(what)}, {install.size(what)}"
            _draw_fine_print(
                box, needs[0].upper() + needs[1:], "Blender and other add-ons are not changed"
            )
        else:
            _draw_sentence(box, f"{install.how_to_go_online()} first", context)
    if state.kind != "ABSENT":
        row = box.row()
        if state.kind == "READY":
            row.operator("thunder.install_engine", text="Repair", icon="TOOL_SETTINGS")
        row.operator("thunder.remove_engine", text="Remove", icon="TRASH")
    if state.kind == "READY" and not install.has("torch"):
        box.operator("thunder.install_engine", text="Graphics Card…", icon="IMPORT").card = True


def _draw_packaged_engine(
    box: bpy.types.UILayout, context: bpy.types.Context, state: install.EnvironmentState
) -> None:
    """The engine that came with the package; an environment that an earlier version installed can
    be removed."""
    failed = install.installing.error and install.installing.component is None
    whole = "The engine is included: nothing needs to be installed"
    box.label(text="The engine is included" if failed else whole, icon="CHECKMARK")
    _draw_failure(box, None, context)
    box.operator("thunder.install_engine", text="Graphics Card…", icon="IMPORT").card = True
    if state.kind != "ABSENT":
        row = box.row()
        row.label(text="An engine installed earlier is not used", icon="INFO")
        row.operator("thunder.remove_engine", text="Remove", icon="TRASH")


def _draw_component(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    component: install.Component,
    is_named: bool,
    titles: tuple[str, str],
    about: str,
) -> tuple:
    """The box of an environment that is installed by choice, and whether it can be used. is_named:
    whether a variable names another one.  titles: with it, and without.  about: what it does."""
    box, state = layout.box(), component.state()
    kind = "READY" if is_named else state.kind
    if (running := _installing(component)) is not None:
        _draw_installation(box, running)
        return box, False
    if install.is_busy() and kind != "READY":
        box.label(text="Something is being installed or removed", icon="TIME")
        return box, False
    box.label(text=titles[kind != "READY"], icon=_ICONS[kind])
    _draw_failure(box, component, context)
    if kind != "READY":
        labels = {"text": install_engine.BESIDE_LABELS[kind]} if kind != "ABSENT" else {}
        box.operator(f"thunder.install_{component.name}", icon="IMPORT", **labels)  # type: ignore[arg-type]
        needs = f"{install.download(component.needs)}, {install.size(component.needs)}"
        _draw_fine_print(box, needs[0].upper() + needs[1:], about)
    if state.kind != "ABSENT":
        box.operator(f"thunder.remove_{component.name}", text="Remove", icon="TRASH")
    return box, kind == "READY"


def _draw_words(
    layout: bpy.types.UILayout, context: bpy.types.Context, preferences: ThunderPreferences
) -> None:
    """What recognises words: installed by choice, with a model that the animator has."""
    wrong = recogniser.why_not()
    box, is_ready = _draw_component(
        layout, context, install.RECOGNISER, bool(os.environ.get("THUNDER_RECOGNISER")),
        ("Word recognition: " + ("needs a model" if wrong else "ready"),
         "Word recognition: not installed"),
        "Writes what voices say. You choose its model, which is not included",
    )  # fmt: skip
    if is_ready:
        box.prop(preferences, "whisper")
        if _is_downloading():
            progress_row(box, 1.0)
        elif recogniser.is_downloadable():
            box.operator("thunder.download_model", icon="IMPORT")
        elif wrong:
            _draw_sentence(box, wrong, context)


def _draw_other_python(box: bpy.types.UILayout, preferences: ThunderPreferences) -> None:
    python, problem = connection.current_python()
    box.label(
        text=problem or "Using a custom Python environment",
        icon="ERROR" if problem else "CHECKMARK",
    )
    if python:
        _draw_fine_print(box, python)


def _draw_running_engine(box: bpy.types.UILayout) -> None:
    """The running engine's description, if it was requested."""
    info = connection.running_engine()
    if info is not None:
        device = "processor" if info["device"] == "cpu" else f"graphics card ({info['device']})"
        grid = tune(box.column(align=True), scale_y=0.8)
        versions = info["versions"]
        about = " · ".join(
            f"{name} {versions[name]}"
            for name in ("python", "onnxruntime", "torch")
            if versions.get(name)
        )
        memory = "not known" if info["memory"] is None else f"{info['memory'] / 1e9:.1f} GB"
        for name, value in (
            ("Runs on", device),
            ("Memory", memory),
            ("Weights", info["weights"]),
            ("Versions", about),
        ):
            split = grid.split(factor=0.25)
            split.label(text=name)
            split.label(text=translated(value))
        if info.get("weights_note"):
            box.label(
                text=info["weights_note"],
                icon="ERROR" if info.get("weights_origin") == "changed" else "INFO",
            )
    if session.job is not None and not _is_downloading():
        progress_row(box, 1.0)
    elif connection.current_python()[0]:
        box.operator(
            "thunder.check_engine", text="Check Again" if info else "Check Engine", icon="VIEWZOOM"
        )


def _draw_fine_print(layout: bpy.types.UILayout, *lines: str) -> None:
    column = tune(layout.column(align=True), active=False, scale_y=0.8)
    for line in lines:
        column.label(text=translated(line), icon="BLANK1")


def _draw_sentence(layout: bpy.types.UILayout, text: str, context: bpy.types.Context) -> None:
    """A sentence in as many lines as the window's width needs."""
    assert context.region is not None
    letters = max(30, int(context.region.width / context.preferences.system.ui_scale * 0.125))
    in_lines(tune(layout.column(align=True), scale_y=0.8), text, letters, "ERROR")


_KEYS = tuple(
    (name, key, {"value": "PRESS", "alt": True, "repeat": False}, properties)
    for name, key, properties in KEYS
)
register, unregister = registration(keymap=KEYMAP, keys=_KEYS)
