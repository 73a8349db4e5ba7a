# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of operators and of what a .blend stores, as `index: int = IntProperty(…)`: Blender
gets the property, and whoever reads the code or checks its types sees an int."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, ParamSpec, TYPE_CHECKING, TypeVar

import bpy

Given = ParamSpec("Given")
Value = TypeVar("Value")
Item = TypeVar("Item")

if TYPE_CHECKING:

    class Collection(bpy.types.bpy_prop_collection[Item]):
        """What a CollectionProperty holds."""

        def add(self) -> Item: ...
        def remove(self, index: int) -> None: ...
        def move(self, from_index: int, to_index: int) -> None: ...
        def clear(self) -> None: ...
else:
    Collection = list


class _Declared:
    """A property in the body of a class, which becomes the annotation that Blender looks for."""

    def __init__(self, prop: object) -> None:
        self.prop = prop

    def __set_name__(self, owner: type, name: str) -> None:
        owner.__annotations__[name] = self.prop
        delattr(owner, name)


def _declares(make: Callable[Given, object], value: type[Value]) -> Callable[Given, Value]:
    """Blender's function that makes a property, for the body of a class. value: type of the
    property's values."""

    def declare(*args: Given.args, **given: Given.kwargs) -> Value:
        return cast(Value, _Declared(make(*args, **given)))

    return declare


BoolProperty = _declares(bpy.props.BoolProperty, bool)
IntProperty = _declares(bpy.props.IntProperty, int)
FloatProperty = _declares(bpy.props.FloatProperty, float)
StringProperty = _declares(bpy.props.StringProperty, str)
EnumProperty = _declares(bpy.props.EnumProperty, str)


def PointerProperty(type: type[Value], **given: Any) -> Value:
    """The same for one that refers to a group of properties, or a data-block or None."""
    return cast(Value, _Declared(bpy.props.PointerProperty(type=cast(Any, type), **given)))


def CollectionProperty(type: type[Item], **given: Any) -> Collection[Item]:
    """The same for a list of groups of properties."""
    return cast(
        Collection[Item], _Declared(bpy.props.CollectionProperty(type=cast(Any, type), **given))
    )
