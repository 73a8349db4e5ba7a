# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies the drawings that a head shows to the frames of their layers, as if placed by hand."""

from dataclasses import replace

import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.drawn_mouths import stand_in
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
    values = np.rint(result(keying.read_values(rig, clock, seconds, clock.fps))).astype(int)
    for use, column in zip(drawn.uses(face, plan), values[:, len(rig.driver.rig.tracks) :].T):
        shown = [use.shown[stand_in(name, use.shown)] for name in use.dial.names]
        for target in {to for of in shown for to, _ in of if to.kind == "DRAWING"}:
            layer, modifier = drawn.layer_of(face, target)
            for copy in [each for each in layer.frames if each.keyframe_type == drawn.COPY]:
                layer.frames.remove(copy.frame_number)
            drawings = sorted(each.frame_number for each in layer.frames)
            by, before = min(0, first - 1 - drawings[-1]), None
            for number in drawings if by else ():
                layer.frames.move(number, number + by)
            of_name = [next((n for to, n in of if to == target), None) for of in shown]
            for frame, name in enumerate(column, first):
                if (number := of_name[name]) not in (None, before):
                    copy = layer.frames.copy(number + by, frame, instance_drawing=True)
                    copy.keyframe_type, before, count = drawn.COPY, number, count + 1
            modifier.show_viewport = modifier.show_render = False
            moved = (r.weight + by * (r.target == target) for r in plan.rules)
            rules = (replace(rule, weight=weight) for rule, weight in zip(plan.rules, moved))
            plan = replace(plan, rules=tuple(rules))
    if not count:
        raise BadRequest(
            "This head shows no drawings of Grease Pencil layers: nothing is to be copied"
        )
    mapping_table.keep_plan(scene, face, plan)
    return count
