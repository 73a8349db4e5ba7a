# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the animation of a FLAME head as parameters of its model, for smplx and other FLAME programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...thunder_core.animation import motion_file
from ...thunder_core.animation.timing import Clock
from ...thunder_core.errors import BadRequest
from ...thunder_core.face import retarget
from ...thunder_core.face.mapping import Driver, rotation_vectors
from ...thunder_core.progress import result
from ...thunder_core.types import Motion
from ..animation import reading
from ..heads import build, flame
from ..heads.rna_paths import key_path


class _Plain(Driver):
    """Reads a FLAME rig's values as they are: the motion's expression holds those of all tracks of the rig's driver."""

    def __init__(self, driver: Driver):
        super().__init__(driver.tracks, ())

    def read(self, values: np.ndarray, channels) -> Motion:
        return Motion(np.asarray(values, np.float64), np.zeros((len(values), 3)))


def export(scene, rig, first: int, last: int, path: str) -> None:
    """Write the parameters of a FLAME head's animation, one row per scene frame, as an .npz. Raises BadRequest or NoSpace.

    rig: what head.resolve gives for the head. As it is seen now: NLA, drivers and constraints included.
    """
    if last < first:
        raise BadRequest(f"Frames {first} to {last} are not a range: the first frame must come before the last")
    clock = Clock.of(scene, first)
    motion = result(reading.read(own_values(rig), (), clock, (last - first + 1) / clock.fps, clock.fps))
    motion_file.write_parameters(path, parameters_of(motion.expression, rig.driver, rig.mesh, rig.armature, clock.fps))


def own_values(rig):
    """A FLAME rig for which `reading.read` returns the values of its own tracks, as the motion's expression [T, tracks]."""
    return replace(rig, driver=_Plain(rig.driver))


def parameters_of(values: np.ndarray, driver: retarget.RetargetDriver, mesh, armature, fps: float) -> motion_file.Parameters:
    """FLAME's own parameters of a rig's numbers [T, tracks], frame by frame at fps."""
    expression = np.zeros((len(values), int(armature[flame.COUNT])))
    places = {track.path: place for place, track in enumerate(driver.tracks)}
    for name in driver.names:
        expression[:, int(name[len("expression") :]) - 1] = values[:, places[key_path(name)]]
    poses = {}
    for turn in driver.turns:
        local = rotation_vectors(values[:, turn.first : turn.first + turn.length], turn.mode)
        poses[turn.parts[0][0].partition(".")[0]] = local @ turn.basis
    still = np.zeros((len(values), 3))
    blocks = mesh.data.shape_keys.key_blocks
    betas = [
        blocks[name].value if (name := build.IDENTITY.format(i + 1)) in blocks and not blocks[name].mute else 0.0
        for i in range(motion_file.SHAPE)
    ]
    return motion_file.Parameters(
        expression, *(poses.get(joint, still) for joint in ("jaw", "neck", "eye_left", "eye_right")), np.tile(betas, (len(values), 1)), fps
    )
