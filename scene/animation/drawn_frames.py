# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the drawings that a head shows to the frames of their layers, as if placed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import BadRequest
from ...thunder_core.progress import result
from ..heads import character, drawings, head, mapping_table, rna_paths
from . import keying

if TYPE_CHECKING:
    import bpy


def numbers_shown(
    scene: bpy.types.Scene, rig: head.Rig, first: int, last: int
) -> dict[str, np.ndarray]:
    """Of each track of a head of drawings, by its path, the number on each frame [T]."""
    clock = Clock.of(scene, first)
    seconds = (last + 1 - first) / clock.fps
    values = np.rint(result(keying.read_values(rig, clock, seconds, clock.fps))).astype(int)
    return {track.path: values[:, place] for place, track in enumerate(rig.driver.tracks)}


def copy_drawings(scene: bpy.types.Scene, rig: head.Rig) -> int:
    """Give layers a frame wherever the head shows another of their drawings in the scene's frames.

    Copies share their drawing, which moves before the first of these frames; the modifiers that
    chose drawings are switched off. Returns the number of copies. Raises BadRequest if the head
    shows no drawings of layers.
    """
    face, plan, first, count = rig.mesh, character.plan_of(rig.mesh), scene.frame_start, 0
    numbers = numbers_shown(scene, rig, first, scene.frame_end)
    wanted = {rule.target for rule in plan.drawn if rule.target.kind == "DRAWING"}
    for target, (obj, layer, path) in (
        (each, of) for each in wanted for of in drawings.layers_of(face, each)
    ):
        if obj.data.users > 1:  # another object shows it too, and keeps its frames
            obj.data = obj.data.copy()
            layer = obj.data.layers[target.name]
        for copy in [each for each in layer.frames if each.keyframe_type == drawings.COPY]:
            layer.frames.remove(copy.frame_number)
        placed = sorted(each.frame_number for each in layer.frames)
        by, before = min(0, first - 1 - placed[-1]), None
        for number in placed if by else ():
            layer.frames.move(number, number + by)
        curve = rna_paths.drivers_of(obj)[path]
        shown = numbers[curve.driver.variables[0].targets[0].data_path]
        for frame, number in enumerate(map(curve.evaluate, shown), first):
            if number != before:
                copy = layer.frames.copy(round(number) + by, frame, instance_drawing=True)
                copy.keyframe_type, before, count = drawings.COPY, number, count + 1
        modifier = obj.path_resolve(path.removesuffix(".offset"))
        modifier.show_viewport = modifier.show_render = False
        rules = (replace(r, weight=r.weight + by * (r.target == target)) for r in plan.rules)
        plan = replace(plan, rules=tuple(rules))
    if not count:
        raise BadRequest(
            "This head shows no drawings of Grease Pencil layers: nothing is to be copied"
        )
    mapping_table.keep_plan(scene, face, plan)
    return count
