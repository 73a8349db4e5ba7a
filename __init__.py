# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER for Blender: a voice track becomes several sampled facial performances to choose from."""

import sys

if "bpy" in locals():  # the extension is being reloaded: forget the modules of the old one
    for _name in [name for name in sys.modules if name.startswith(__name__ + ".")]:
        del sys.modules[_name]

import atexit

import bpy  # noqa: F401, tells that it is reloaded


def _modules() -> tuple:
    """Every module that adds something to Blender, in the order in which Blender must learn of
    them."""
    from . import operators, panels, scene
    from .cli import command

    return (*scene.modules(), *operators.modules(), *panels.modules(), command)


def _leave():
    import addon_utils

    addon_utils.disable(__name__)


def register():
    modules = _modules()
    from .scene.host.jobs import add_module
    from .thunder_core.own_files import say_damaged

    for module in modules:
        add_module(module)
    for sentence in say_damaged():
        print(f"Thunder: {sentence}", file=sys.stderr)
    # Blender as a Python module would unregister when Python is already partly shut down, and may
    # crash.
    atexit.register(_leave)


def unregister():
    atexit.unregister(_leave)
    from .scene.host import jobs
    from .scene.host.jobs import remove_module, session

    jobs.end_job()
    session.close()
    for module in reversed(_modules()):
        remove_module(module)
