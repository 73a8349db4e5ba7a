# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the drawings that a head shows to the frames of their layers, as if placed by hand."""

from dataclasses import replace

import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import BadRequest
from ...thunder_core.progress import result
from ..heads import character, drawn, head, mapping_table
from . import keying


def copy_drawings(scene, rig: head.Rig) -> int:
    """Give layers a frame wherever the head shows another of their drawings in the scene's frames.

    Copies share their drawing, which moves before the first of these frames; the modifiers that
    chose drawings are switched off. Returns the number of copies. Raises BadRequest if the head
    shows no drawings of layers.
    """
    face, first, count = rig.mesh, scene.frame_start, 0
    clock, plan = Clock.of(scene, first), character.plan_of(face)
    seconds = (scene.frame_end + 1 - first) / clock.fps
    values = np.rint(result(keying.read_values(rig, clock, seconds, clock.fps)))
    numbers = {track.path: values[:, place] for place, track in enumerate(rig.driver.tracks)}
    for target, obj, modifier, curve, path in list(drawn.choices_of_layers(face, plan)):
        if obj.data.users > 1:  # another object shows it too, and keeps its frames
            obj.data = obj.data.copy()
        layer = obj.data.layers[target.name]
        for copy in [each for each in layer.frames if each.keyframe_type == drawn.COPY]:
            layer.frames.remove(copy.frame_number)
        drawings = sorted(each.frame_number for each in layer.frames)
        by, before = min(0, first - 1 - drawings[-1]), None
        for number in drawings if by else ():
            layer.frames.move(number, number + by)
        for frame, number in enumerate(map(curve.evaluate, numbers[path]), first):
            if number != before:
                copy = layer.frames.copy(round(number) + by, frame, instance_drawing=True)
                copy.keyframe_type, before, count = drawn.COPY, number, count + 1
        modifier.show_viewport = modifier.show_render = False
        weights = (r.weight + by * (r.target == target) for r in plan.rules)
        rules = (replace(rule, weight=weight) for rule, weight in zip(plan.rules, weights))
        plan = replace(plan, rules=tuple(rules))
    if not count:
        raise BadRequest(
            "This head shows no drawings of Grease Pencil layers: nothing is to be copied"
        )
    mapping_table.keep_plan(scene, face, plan)
    return count
