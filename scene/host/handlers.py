# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds functions to Blender's application handlers and removes them."""

from functools import partial

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


def register_factory(handlers: Handlers) -> tuple[partial, partial]:
    """The functions `register` and `unregister` of a module with these handlers."""
    return partial(add, handlers), partial(remove, handlers)
