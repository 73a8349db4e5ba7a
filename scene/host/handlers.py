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
    handlers: Handlers = (), properties: tuple[tuple[type, str, object], ...] = ()
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The functions `register` and `unregister` of a module. properties: (Blender's type that gets one, its name, the property)."""

    def register():
        for owner, name, prop in properties:
            setattr(owner, name, prop)
        add(handlers)

    def unregister():
        remove(handlers)
        for owner, name, _ in reversed(properties):
            delattr(owner, name)

    return register, unregister


def classes_of(module) -> list[type]:
    """The operators, panels and so on that a module defines, in its order."""
    types = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, bpy.types.bpy_struct)]
    return [each for each in types if each.__module__ == module.__name__]


def add_module(module) -> None:
    """Register a module's classes, then call its `register` if it adds anything else."""
    for cls in classes_of(module):
        bpy.utils.register_class(cls)
    if hasattr(module, "register"):
        module.register()


def remove_module(module) -> None:
    """Undo `add_module`."""
    if hasattr(module, "unregister"):
        module.unregister()
    for cls in reversed(classes_of(module)):
        bpy.utils.unregister_class(cls)
