# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves controls of a character for a moment and looks at what Blender shows, where drivers and
constraints are not followed. Everything is put back before anything is drawn."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping as Values
from typing import Any, cast

import bpy
import numpy as np
from mathutils import Euler

from ...thunder_core.face import mapping
from ...thunder_core.face.reading.drivers import RigDriver, Way
from ..host.jobs import AddonChanges
from . import binding, rna_paths
from .family import points_of

drawing = AddonChanges()  # over an editor, where Blender refuses no changes as it does in a panel
_SECONDS = 0.2  # that a slice of looks may take while a window waits
# modifiers that leave a mesh its vertices, the first of what they make
_KEEPS = (
    "ARMATURE", "CAST", "CORRECTIVE_SMOOTH", "CURVE", "DISPLACE", "HOOK", "LAPLACIANDEFORM",
    "LAPLACIANSMOOTH", "LATTICE", "MESH_CACHE", "MESH_DEFORM", "MESH_SEQUENCE_CACHE", "MULTIRES",
    "SHRINKWRAP", "SIMPLE_DEFORM", "SMOOTH", "SOLIDIFY", "SUBSURF", "SURFACE_DEFORM", "WARP",
    "WAVE",
)  # fmt: skip


class _LaterError(Exception):
    """There is no time left, or nothing may be moved while Blender draws."""


def is_waited_for() -> bool:
    """Whether a window would stand still meanwhile."""
    return not bpy.app.background


class Trial:
    """Looks at one character, in slices: what was seen stays known. waits: whether something could
    not be looked at yet."""

    def __init__(self) -> None:
        self.known: dict[tuple, Any] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a slice."""
        self.waits = False
        self.ends = time.monotonic() + _SECONDS if is_waited_for() else math.inf

    def __enter__(self) -> None:
        self.working: list[bpy.types.Driver] = []

    def __exit__(self, *_: object) -> None:
        for driver in self.working:  # a value that it cannot calculate stops a driver for good
            if not driver.is_valid:
                driver.expression = str(driver.expression)

    def way(self, keys: bpy.types.Key, path: str, driver: RigDriver) -> Way | None:
        """What `RigDriver.follow` tells, of a driver of a shape key that cannot be read."""

        def seen(at: Values[mapping.Target, float]) -> float:
            target = next((each for each in at if at[each] != driver.rest[each]), next(iter(at)))
            value = at[target]
            place = keys.name_full, path, target, value
            if place not in self.known:
                with self._moved({target: value}) as layer:
                    shown = keys.evaluated_get(layer.depsgraph)
                    self.known[place] = float(cast(float, shown.path_resolve(path)))
            return self.known[place]

        try:
            return driver.nearest(seen)
        except _LaterError:
            self.waits = True
            return None

    def offsets(
        self, parts: list, base: bpy.types.Object, at: Values[mapping.Target, float]
    ) -> list[np.ndarray] | None:
        """How far controls that go so far from rest bring the points of meshes, [V, 3] each in the
        space of `base`; None if that cannot be seen yet."""
        place = (base.name_full, *at.items())
        try:
            if any(part.mode == "EDIT" for part in parts):  # Blender shows the edited mesh
                raise _LaterError
            if place not in self.known:
                with self._moved({target: _rest(target) for target in at}) as layer:
                    still = [points(layer, part, base) for part in parts]
                with self._moved({each: _rest(each) + by for each, by in at.items()}) as layer:
                    self.known[place] = [
                        points(layer, part, base) - rest for part, rest in zip(parts, still)
                    ]
            return self.known[place]
        except _LaterError:
            self.waits = True
            return None

    @contextlib.contextmanager
    def _moved(self, values: Values[mapping.Target, float]) -> Iterator[bpy.types.ViewLayer]:
        """Have controls at values."""
        if drawing.active or time.monotonic() > self.ends:
            raise _LaterError
        layer, kept = bpy.context.view_layer, []
        blocks = () if self.working else (*bpy.data.shape_keys, *bpy.data.objects)
        data = filter(None, (block.animation_data for block in blocks))
        drivers = (curve.driver for each in data for curve in each.drivers)
        self.working += [driver for driver in drivers if driver.is_valid]
        try:
            for target, value in values.items():
                for block, path, index, number in _places(target, value):
                    before = rna_paths.value(block, path, index)
                    try:
                        rna_paths.set_value(block, path, index, number)
                    except AttributeError:  # a panel must not change data
                        raise _LaterError from None
                    kept.append((block, path, index, before))
            rna_paths.tag({block for block, *_ in kept})
            layer.update()
            yield layer
        finally:
            for place in reversed(kept):
                rna_paths.set_value(*place)
            if kept:
                rna_paths.tag({block for block, *_ in kept})
                layer.update()


def _rest(target: mapping.Target) -> float:
    """The value of a control at rest."""
    obj = bpy.data.objects.get(target.object)
    if target.kind == "PROPERTY" and obj is not None:
        owner = obj.pose.bones[target.bone] if target.bone else obj
        return rna_paths.rest_value(owner, target.name)
    if target.kind == "BONE" and not target.bone and obj is not None:
        return getattr(obj, target.path)[target.index]
    return float(target.path == "scale")


def _places(target: mapping.Target, value: float) -> list[tuple]:
    """What a control is at a value: (data-block, path, index, number) of each number of it."""
    objects = [bpy.data.objects.get(target.object)] if target.object else bpy.data.objects[:]
    found = []
    for block, path, index, bone, _ in binding.places(target, list(filter(None, objects))):
        pose = block.pose.bones[bone] if target.bone else None
        if pose is not None and target.path == mapping.EULER and len(pose.rotation_mode) > 3:
            turn = Euler([value if axis == index else 0.0 for axis in range(3)]).to_quaternion()
            numbers = mapping.rotation_values(
                np.array([turn.to_exponential_map()]), pose.rotation_mode
            )[0]
            path = f"{rna_paths.bone_path(bone)}.{mapping.rotation_path(pose.rotation_mode)}"
            found += [(block, path, i, float(number)) for i, number in enumerate(numbers)]
        else:
            found.append((block, path, index, value))
    return found


def points(
    layer: bpy.types.ViewLayer, part: bpy.types.Object, base: bpy.types.Object
) -> np.ndarray:
    """Where Blender shows the vertices of a mesh, [V, 3] in the space of another object: where it
    is hidden, or a modifier adds or removes some, those of a copy without such modifiers."""
    layer.update()
    shown = part.evaluated_get(layer.depsgraph)
    makers = [each.name for each in part.modifiers if each.type not in _KEEPS]
    count, is_seen = len(part.data.vertices), part.visible_get(view_layer=layer)
    twin = part.copy() if makers and len(shown.data.vertices) != count or not is_seen else None
    try:
        if twin is not None:
            for name in makers:
                twin.modifiers.remove(twin.modifiers[name])
            twin.hide_viewport = False
            cast(bpy.types.Scene, layer.id_data).collection.objects.link(twin)
            layer.update()
        shown, seen = (
            (twin or part).evaluated_get(layer.depsgraph),
            base.evaluated_get(layer.depsgraph),
        )
        into = np.array(seen.matrix_world.inverted_safe() @ shown.matrix_world)
        return points_of(shown.data.vertices)[:count] @ into[:3, :3].T + into[:3, 3]
    finally:
        if twin is not None:
            bpy.data.objects.remove(twin)
