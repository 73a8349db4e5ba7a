# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER for Blender: a voice track becomes several sampled facial performances to choose from."""

import sys

if "bpy" in locals():  # the extension is being reloaded: forget the modules of the old one
    for _name in [name for name in sys.modules if name.startswith(__name__ + ".")]:
        del sys.modules[_name]

import atexit
import textwrap

import bpy


def _modules() -> tuple:
    """Every module that adds something to Blender, in the order in which Blender must learn of
    them."""
    from . import operators, panels, scene
    from .cli import command

    return (*scene.modules(), *operators.modules(), *panels.modules(), command)


def _leave():
    import addon_utils

    addon_utils.disable(__name__)


_damaged: list[type] = []  # the panel that says so, where a file of ours is damaged


def _say_damaged(sentence: str) -> None:
    """Show in Thunder's tab, and print, why nothing else of Thunder is there."""

    def draw(panel, context):
        for line in textwrap.wrap(f"{sentence}. Then disable and enable Thunder.", 40):
            panel.layout.label(text=line)

    places = {"bl_space_type": "VIEW_3D", "bl_region_type": "UI", "bl_category": "Thunder"}
    texts = {"bl_idname": "THUNDER_PT_damaged", "bl_label": "Thunder cannot start"}
    _damaged.append(type("THUNDER_PT_damaged", (bpy.types.Panel,), places | texts | {"draw": draw}))
    bpy.utils.register_class(_damaged[0])
    print(f"Thunder: {sentence}", file=sys.stderr)


def register():
    from .thunder_core.errors import ThunderError

    try:
        modules = _modules()
    except ThunderError as error:  # a file that comes with the code, such as a mood's
        _say_damaged(str(error))
        return
    from .scene.host.jobs import add_module

    for module in modules:
        add_module(module)
    # Blender as a Python module would unregister when Python is already partly shut down, and may
    # crash.
    atexit.register(_leave)


def unregister():
    if _damaged:
        bpy.utils.unregister_class(_damaged.pop())
        return
    atexit.unregister(_leave)
    from .scene.host import jobs
    from .scene.host.jobs import remove_module, session

    jobs.end_job()
    session.close()
    for module in reversed(_modules()):
        remove_module(module)
