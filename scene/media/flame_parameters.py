# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation of a FLAME head as parameters of its model: written for smplx and other FLAME
programs, and compared with smplx."""

from collections.abc import Generator
from dataclasses import replace

import bpy
import numpy as np

from ...thunder_core.animation import motion_file
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.face import retarget
from ...thunder_core.face.head import Head
from ...thunder_core.face.mapping import Driver, rotation_vectors
from ...thunder_core.progress import result
from ...thunder_core.types import Motion
from ..animation import reading
from ..heads import build, flame
from ..heads.family import points_of
from ..heads.rna_paths import key_path
from ..host.jobs import stage, Step
from ..takes.generation import ask


class _Plain(Driver):
    """Reads a FLAME rig's values as they are: the motion's expression holds those of all tracks of
    the rig's driver."""

    def __init__(self, driver: Driver):
        super().__init__(driver.tracks, ())

    def read(self, values: np.ndarray, channels) -> Motion:
        return Motion(np.asarray(values, np.float64), np.zeros((len(values), 3)))


def export(shot, path: str) -> list[str]:
    """Write the parameters of a FLAME head's animation, one row per scene frame, as an .npz;
    nothing of it is lost. Raises NoSpace.

    shot: of export.py. The head as it is seen now: NLA, drivers and constraints included.
    """
    rig, clock = shot.rig, Clock.of(shot.scene, shot.first)
    motion = result(
        reading.read(
            raw_values(rig), (), clock, (shot.last - shot.first + 1) / clock.fps, clock.fps
        )
    )
    motion_file.write_parameters(
        path, parameters_of(motion.expression, rig.driver, rig.mesh, rig.armature, clock.fps)
    )
    return []


def raw_values(rig):
    """A FLAME rig for which `reading.read` returns the values of its tracks, as the motion's
    expression [T, tracks]."""
    return replace(rig, driver=_Plain(rig.driver))


def parameters_of(
    values: np.ndarray, driver: retarget.RetargetDriver, mesh, armature, fps: float
) -> motion_file.Parameters:
    """FLAME's parameters of a rig's numbers [T, tracks], frame by frame at fps."""
    expression = np.zeros((len(values), int(armature[flame.COUNT])))
    places = {track.path: index for index, track in enumerate(driver.tracks)}
    for name in driver.names:
        expression[:, int(name[len("expression") :]) - 1] = values[:, places[key_path(name)]]
    poses = {}
    for turn in driver.turns:
        local = rotation_vectors(values[:, turn.first : turn.first + turn.length], turn.mode)
        poses[turn.parts[0][0].partition(".")[0]] = local @ turn.basis
    still = np.zeros((len(values), 3))
    blocks = mesh.data.shape_keys.key_blocks
    betas = [
        blocks[name].value
        if (name := build.IDENTITY.format(i + 1)) in blocks and not blocks[name].mute
        else 0.0
        for i in range(motion_file.SHAPE)
    ]
    return motion_file.Parameters(
        expression,
        *(poses.get(joint, still) for joint in ("jaw", "neck", "eye_left", "eye_right")),
        np.tile(betas, (len(values), 1)),
        fps,
    )


# ---- compared with smplx


def compare(client: Client, scene, rig, model: Head) -> Generator[Step, None, dict]:
    """Steps that compare the head as it is seen on this frame with smplx. Returns the engine's
    answer to “check_flame”.

    rig: what head.resolve gives for the head.  model: of the FLAME file it was made from; the
    engine is sent its arrays, never the file's path, which smplx would unpickle. Raises
    ThunderError.
    """
    arrays = {
        name: getattr(model, name)
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "identity")
    }
    arrays |= yield from stage(_pose(scene, rig), "Reading the pose", 0.05, 0.25)
    betas = np.zeros(model.identity.shape[2], np.float32)
    count = min(len(betas), len(arrays["betas"]))
    betas[:count] = arrays["betas"][:count]
    files = {}
    with temporary_arrays(client) as put:
        for name, array in (arrays | {"betas": betas}).items():
            files[name] = put(array)
            yield Step(0.28, "Writing the model")
        return (
            yield from ask(client, "check_flame", (0.3, 0.95), "Checking with smplx", arrays=files)
        )


def _pose(scene, rig) -> Generator[float, None, dict[str, np.ndarray]]:
    """Returns the pose of this frame and the vertices that are seen, by the names of
    “check_flame”."""
    clock = Clock.of(scene, scene.frame_current)
    motion = yield from reading.read(raw_values(rig), (), clock, 1 / clock.fps, clock.fps)
    pose = parameters_of(motion.expression[:1], rig.driver, rig.mesh, rig.armature, clock.fps)
    return {
        "expression": pose.expression[0],
        "betas": pose.betas[0],
        "jaw": pose.jaw_pose[0],
        "neck": pose.neck_pose[0],
        "eyes": np.stack([pose.leye_pose[0], pose.reye_pose[0]]),
        "seen": _visible_points(rig),
    }


def _visible_points(rig) -> np.ndarray:
    """Vertices of the head as Blender shows them now, [V, 3] metres in the armature's space and
    FLAME's axes."""
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    return build.blender_to_flame(points_of(rig.mesh.evaluated_get(graph).data.vertices))
