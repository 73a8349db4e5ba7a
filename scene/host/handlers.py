# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module adds to Blender while the add-on is enabled: application handlers, classes,
properties, entries of menus, keys."""

from collections.abc import Callable

import bpy

Handlers = tuple[tuple[str, object], ...]  # (name of the list in bpy.app.handlers, function)


def add(handlers: Handlers) -> None:
    """Append each function to its list."""
    for name, handler in handlers:
        getattr(bpy.app.handlers, name).append(handler)


def remove(handlers: Handlers) -> None:
    """Remove those that are registered: Blender drops non-persistent handlers when a file is
    opened."""
    for name, handler in handlers:
        functions = getattr(bpy.app.handlers, name)
        if handler in functions:
            functions.remove(handler)


def registration(
    handlers: Handlers = (),
    properties: tuple[tuple[type, str, object], ...] = (),
    menus: tuple[tuple[str, object], ...] = (),
    keymap: str = "",
    keys: tuple[tuple[str, str, dict, dict], ...] = (),
) -> tuple[Callable[[], None], Callable[[], None]]:
    """The functions `register` and `unregister` of a module.

    properties: (Blender's type that gets one, its name, the property).  menus: (Blender's menu or
    header, function that draws in it).
    keys: of Blender's keymap of the name `keymap`: (operator, event, more of the keymap item,
    properties of the operator).
    """
    items: list = []

    def register():
        for owner, name, prop in properties:
            setattr(owner, name, prop)
        add(handlers)
        for name, draw in menus:
            getattr(bpy.types, name).append(draw)
        configuration = bpy.context.window_manager.keyconfigs.addon if keys else None
        # Blender without a window has no keys
        for operator, event, how, settings in keys if configuration is not None else ():
            into = configuration.keymaps.new(keymap, space_type="EMPTY", region_type="WINDOW")
            item = into.keymap_items.new(operator, event, **how)
            for name, setting in settings.items():
                setattr(item.properties, name, setting)
            items.append((into, item))

    def unregister():
        while items:
            into, item = items.pop()
            into.keymap_items.remove(item)
        for name, draw in reversed(menus):
            getattr(bpy.types, name).remove(draw)
        remove(handlers)
        for owner, name, _ in reversed(properties):
            delattr(owner, name)

    return register, unregister


def classes_of(module) -> list[type]:
    """The operators, panels and so on that a module defines, in its order."""
    types = [
        each
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, bpy.types.bpy_struct)
    ]
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
