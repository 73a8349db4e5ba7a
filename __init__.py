# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER for Blender: a voice track becomes several sampled facial performances to choose from."""

if "bpy" in locals():  # the extension is being reloaded: forget the modules of the old one
    import sys

    for _name in [name for name in sys.modules if name.startswith(__name__ + ".")]:
        del sys.modules[_name]

import atexit

import bpy  # noqa: F401


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
    from .scene.host.jobs import add_module

    for module in _modules():
        add_module(module)
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
