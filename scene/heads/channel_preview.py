# SPDX-License-Identifier: GPL-3.0-or-later
"""Previews one channel on a character and restores its pose afterwards."""

import contextlib
import json

import bpy
import numpy as np

from ...thunder_core import records
from ...thunder_core.channels import JAW_OPEN_RADIANS
from ...thunder_core.errors import ThunderError
from ...thunder_core.face import mapping
from ...thunder_core.types import Motion
from . import head, rna_paths


def pose(rig: head.Rig, source: str, amount: float) -> list[float]:
    """The numbers of a rig's tracks with one channel, derived key or joint at an amount and all
    else at rest."""
    return rig.driver.drive(motion(source, amount), (source,))[0].tolist()


def motion(source: str, amount: float) -> Motion:
    """A motion of one frame in which one source is at an amount; its expression has that one
    channel."""
    expression, jaw, neck, eyes = (np.zeros((1, length)) for length in (1, 3, 3, 3))
    if source in mapping.DERIVED:
        turned_jaw, turned_eyes = mapping.joint_rotations({source: np.array([amount])}, 1)
        jaw, eyes = turned_jaw, eyes if turned_eyes is None else turned_eyes
    elif source == "jaw":
        jaw[0, 0] = amount * JAW_OPEN_RADIANS
    elif source in ("eye_left", "eye_right"):
        eyes[0, 1] = amount * JAW_OPEN_RADIANS
    elif source == "neck":
        neck[0, 1] = amount * JAW_OPEN_RADIANS
    else:
        expression[0, 0] = amount
    return Motion(expression, jaw, neck, eyes)


def show(scene, rig: head.Rig, source: str, amount: float) -> None:
    """Show a channel on a character; what stood there is kept in the scene until `end`."""
    settings = scene.thunder
    if not settings.preview_kept:
        tracks = [
            (rig.targets[track.block], track.path, track.index) for track in rig.driver.tracks
        ]
        values = [
            (target.name, path, index, rna_paths.value(target, path, index))
            for target, path, index in tracks
        ]
        settings.preview_kept = json.dumps({"head": rig.mesh.name, "values": values})
    for track, value in zip(rig.driver.tracks, pose(rig, source, amount)):
        rna_paths.put(rig.targets[track.block], track.path, track.index, value)
    rna_paths.tag(rig.targets)


def end(scene) -> None:
    """Restore the character's values from before the preview; the current frame's animation is
    visible again."""
    settings = scene.thunder
    if not settings.preview_kept:
        return
    text, settings.preview_kept = settings.preview_kept, ""
    if settings.preview:
        settings.preview = False
    values, targets = [], {}
    with contextlib.suppress(ThunderError, *records.UNREADABLE):
        record = json.loads(text)
        values = [
            (str(target), str(path), int(index), float(value))
            for target, path, index, value in record["values"]
        ]
        targets = {
            target.name: target
            for target in head.resolve(bpy.data.objects[str(record["head"])]).targets
        }
    for name, path, index, value in values:
        with contextlib.suppress(*records.UNREADABLE):
            if name in targets and rna_paths.exists(targets[name], path):
                rna_paths.put(targets[name], path, index, value)
    if any(target.animation_data is not None for target in targets.values()):
        scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)


def end_all() -> None:
    """End whatever preview runs, before a head's state is noted or changed."""
    for scene in bpy.data.scenes:
        end(scene)


def refresh(scene) -> None:
    """Preview the table's active row, or end the preview when it is switched off."""
    settings = scene.thunder
    rows = settings.table
    try:
        rig = (
            head.resolve(settings.table_head)
            if settings.preview and 0 <= settings.table_index < len(rows)
            else None
        )
    except (ThunderError, AttributeError):
        rig = None
    if rig is None:
        end(scene)
    else:
        show(scene, rig, rows[settings.table_index].source, settings.preview_amount)
