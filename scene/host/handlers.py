# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module adds to Blender while the add-on is enabled: functions among its application handlers, classes, properties."""

from collections.abc import Callable

import bpy

Handlers = tuple[tuple[str, object], ...]  # (name of the list in bpy.app.handlers, function)


def add(handlers: Handlers) -> None:
    """Append each function to its list."""
    for name, handler in handlers:
        getattr(bpy.app.handlers, name).append(handler)


def remove(handlers: Handlers) -> None:
    """Remove those that are registered: Blender drops non-persistent handlers when a file is opened."""
    for name, handler in handlers:
        functions = getattr(bpy.app.handlers, name)
        if handler in functions:
            functions.remove(handler)


def registration(
    handlers: Handlers = (), classes: tuple = (), properties: tuple[tuple[type, str, object], ...] = ()
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The functions `register` and `unregister` of a module. properties: (Blender's type that gets one, its name, the property)."""

    def register():
        for cls in classes:
            bpy.utils.register_class(cls)
        for owner, name, prop in properties:
            setattr(owner, name, prop)
        add(handlers)

    def unregister():
        remove(handlers)
        for owner, name, _ in reversed(properties):
            delattr(owner, name)
        for cls in reversed(classes):
            bpy.utils.unregister_class(cls)

    return register, unregister
