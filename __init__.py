# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER for Blender: a voice track becomes several sampled facial performances to choose from."""

if "bpy" in locals():  # the extension is being reloaded: forget the modules of the old one
    import sys

    for _name in [name for name in sys.modules if name.startswith(__name__ + ".")]:
        del sys.modules[_name]

import bpy  # noqa: F401


def _modules():
    from .operators import add_head, cancel, commit_take, generate, listen, select_take
    from .panels import preferences, sidebar, take_list
    from .scene import settings

    return (settings, preferences, add_head, generate, cancel, select_take, commit_take, listen, take_list, sidebar)


def register():
    for module in _modules():
        module.register()


def unregister():
    from .scene import engine_session, work

    work.end()
    engine_session.stop()
    for module in reversed(_modules()):
        module.unregister()
