# SPDX-License-Identifier: GPL-3.0-or-later
"""One last look at a character after keys were written: do its lips, as Blender evaluates them,
follow the take?"""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import partial
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.face.moving import mouths
from ...thunder_core.face.reading.measured_face import LEAST_OPEN_MM
from ...thunder_core.face.reading.reach import lip_gap, Reach
from ...thunder_core.types import FPS
from ..animation import keying
from ..heads import character, detection, head, head_state, mapping_table, trial
from ..host import playback
from . import take_record

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


_LOOKS = 24  # frames that are looked at, from the mouth shut to its widest
_OPEN = ("AH", "OH", "EH", "OO", "EE")  # drawn mouths that are open, the widest first
_FOLLOWS = 0.8  # least correlation of lips with the opening of the take
_HELD = (
    "The lips of “{}” stay {:.0f} mm apart where the take shuts them: look for a shape key whose "
    "value is not 0, a posed bone or a driver that holds them open"
)
_EDITED = "“{}” is in Edit Mode, which does not show all of a take: leave it"


def look(
    scene_name: str, rig: head.Rig, clock: Clock, opening: np.ndarray, said: str = "[]"
) -> Generator[float, None, str]:
    """Look at a rig's lips over a take whose opening is [T] mm at 25 fps, and keep what is wrong
    with the head; said: its sounds, JSON of [phone, start, end]. Returns that sentence, "" if they
    follow.
    """
    name, sentence, held = rig.owner.name, "", ""
    if rig.armature is None and any(obj.mode == "EDIT" for obj in rig.objects):
        return _EDITED.format(name)  # not a fault: it is not kept
    if rig.armature is None and not rig.driver.is_drawn:
        plan = character.plan_of(rig.mesh)
        seen = detection.reach_of(rig.mesh, plan)
        if not seen.upper and "open" not in seen.faults:
            seen = detection.reach_of(rig.mesh, plan, partial(_opened, scene_name, rig))
        wanted = _expect(rig, seen, opening, json.loads(said))
        if seen.upper and np.ptp(wanted) >= LEAST_OPEN_MM:
            rows = np.unique(
                np.argsort(wanted)[np.linspace(0, len(wanted) - 1, _LOOKS).round().astype(int)]
            )
            gaps = yield from _gaps(scene_name, seen, clock.frame(rows / FPS))
            sentence = _judge(name, gaps, wanted[rows])
            if (apart := gaps.min() - wanted.min()) > LEAST_OPEN_MM:
                held = _HELD.format(name, apart)
        unseen = "" if seen.upper else seen.faults.get("open", "")
        sentence = sentence or seen.faults.get("rest", unseen) or held
    owner = bpy.data.objects.get(name)
    if owner is not None and (sentence or head_state.of(owner) is not None):
        head_state.ensure(owner).fault = sentence
    return sentence


def look_at(rig: head.Rig, entry: ThunderTake) -> Generator[float, None, str]:
    """The same of a take in the list where its keys play; "" too where the animator has edited
    them."""
    opening, clock = take_record.opening_of(entry.action), take_record.clock_of(entry.action)
    if opening is None or clock is None or take_record.is_edited(entry):
        return ""
    said = take_record.about_of(entry.action).get(keying.SAID, "[]")
    return (yield from look(bpy.context.scene.name, rig, clock, opening, said))


def _expect(rig: head.Rig, seen: Reach, opening: np.ndarray, said: list) -> np.ndarray:
    """How far lips are to part, [T] mm: as the take opens them, and as the animator's own mouths
    are drawn."""
    if not said or not rig.driver.leads:
        return opening
    weights = mouths.weights(said, rig.driver.leads, np.arange(len(opening)) / FPS, opening)
    left = rig.has_jaw * rig.meter.scale * opening * (1.0 - sum(weights.values()))
    return left + sum(weight * seen.drawn[sound] for sound, weight in weights.items())


def _opened(
    scene_name: str, rig: head.Rig, meshes: list, base: bpy.types.Object
) -> list[np.ndarray]:
    """How far a jaw or a drawn mouth opens meshes of a character as Blender shows it, [V, 3] each
    in the space of an object."""
    scene, shown = bpy.data.scenes[scene_name], []
    drawn = () if rig.has_jaw else [each for each in _OPEN if each in rig.driver.leads]
    try:
        for amount in (0.0, 1.0):
            mapping_table.show(scene, rig, [*drawn, "jaw"][0], amount)
            layer = bpy.context.view_layer
            shown.append([trial.points(layer, part, base) for part in meshes])
    finally:
        mapping_table.end(scene)
    return [now - rest for rest, now in zip(*shown)]


def _gaps(scene_name: str, seen: Any, frames: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Returns how far the evaluated lips are apart on scene frames, mm."""
    ids, gaps = [*seen.upper, *seen.lower, *seen.still], []
    *parts, base = (bpy.data.objects[name] for name in (*seen.parts, seen.base))
    with playback.apart(bpy.data.scenes[scene_name], [*parts, base]) as other:
        for number, frame in enumerate(frames):
            playback.go_to(other, frame)
            points = [trial.points(other.view_layers[0], part, base) for part in parts]
            gaps.append(lip_gap(seen, np.concatenate(points)[ids]))
            yield (number + 1) / len(frames)
    return np.array(gaps)


def _judge(name: str, gaps: np.ndarray, opening: np.ndarray) -> str:
    """What is wrong with lips that are so far apart where a take opens them so far; "" for
    nothing."""
    advice = (
        "look in Thunder Character at what its jaw moves, and for a constraint, a driver, a muted "
        "key or another track that has the last word"
    )
    if np.ptp(gaps) < LEAST_OPEN_MM:
        return (
            f"The lips of “{name}” part by {max(np.ptp(gaps), 0.0):.1f} mm where the take opens "
            f"them by {np.ptp(opening):.0f}: {advice}"
        )
    follows = float(np.corrcoef(gaps, opening)[0, 1])
    if follows < _FOLLOWS:
        return f"The lips of “{name}” do not follow the take (r {follows:.2f}): {advice}"
    return ""
