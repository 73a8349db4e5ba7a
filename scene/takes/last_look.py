# SPDX-License-Identifier: GPL-3.0-or-later
"""One last look at a character after keys were written: do its lips, as Blender evaluates them,
follow the take?"""

from collections.abc import Generator

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.types import FPS
from ..heads import character, detection, head, head_state, reach
from ..host import playback

_LOOKS = 24  # frames that are looked at, from the mouth shut to its widest
_FOLLOWS = 0.8  # least correlation of lips with the opening of the take


def look(
    scene_name: str, rig: head.Rig, clock: Clock, opening: np.ndarray
) -> Generator[float, None, str]:
    """Look at a rig's lips over a take whose opening is [T] mm at 25 fps, and keep what is wrong
    with the head. Returns that sentence, "" if they follow, or if that cannot be seen.

    The scene's current frame is restored.
    """
    name = rig.owner.name
    seen = (
        None
        if rig.armature is not None
        else detection.reach_of(rig.mesh, character.plan_of(rig.mesh))
    )
    sentence = ""
    if seen is not None and seen.upper and np.ptp(opening) >= reach.LEAST_OPEN_MM:
        rows = np.argsort(opening)[np.linspace(0, len(opening) - 1, _LOOKS).round().astype(int)]
        rows = np.unique(rows)
        gaps = yield from _gaps(scene_name, name, seen, clock.frame(rows / FPS))
        sentence = "" if gaps is None else _judge(name, gaps, opening[rows])
    owner = bpy.data.objects.get(name)
    if owner is not None and (sentence or head_state.of(owner) is not None):
        head_state.ensure(owner).fault = sentence
    return sentence


def _gaps(scene_name: str, owner: str, seen, frames) -> Generator[float, None, np.ndarray | None]:
    """Returns how far the evaluated lips are apart on scene frames, mm; None if the mesh is hidden,
    or a modifier makes another of it."""
    scene, ids = bpy.data.scenes[scene_name], [*seen.upper, *seen.lower, *seen.still]
    gaps = []
    with playback.returning(scene):
        for number, frame in enumerate(frames):
            playback.go_to(scene, frame)
            graph = bpy.context.evaluated_depsgraph_get()
            part, base = bpy.data.objects[seen.part], bpy.data.objects[owner]
            shown = part.evaluated_get(graph)
            if not part.visible_get() or len(shown.data.vertices) < len(part.data.vertices):
                return None
            frame_of = base.evaluated_get(graph).matrix_world.inverted_safe() @ shown.matrix_world
            points = np.array([frame_of @ shown.data.vertices[i].co for i in ids])
            gaps.append(reach.lip_gap(seen, points))
            yield (number + 1) / len(frames)
    return np.array(gaps)


def _judge(name: str, gaps: np.ndarray, opening: np.ndarray) -> str:
    """What is wrong with lips that are so far apart where a take opens them so far; "" for
    nothing."""
    advice = (
        "look in Thunder Character at what its jaw moves, and for a constraint, a driver, a muted "
        "key or another track that has the last word"
    )
    if np.ptp(gaps) < reach.LEAST_OPEN_MM:
        return (
            f"The lips of “{name}” part by {max(np.ptp(gaps), 0.0):.1f} mm where the take opens "
            f"them by {np.ptp(opening):.0f}: {advice}"
        )
    follows = float(np.corrcoef(gaps, opening)[0, 1])
    if follows < _FOLLOWS:
        return f"The lips of “{name}” do not follow the take (r {follows:.2f}): {advice}"
    return ""
