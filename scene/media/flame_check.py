# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares a FLAME head in the scene with smplx's result for the same file and pose."""

from __future__ import annotations

import os
from collections.abc import Generator

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadHead
from ...thunder_core.face.head import Head, load_head
from ..animation import reading
from ..heads import build
from ..host.jobs import stage, Step
from ..takes.generation import ask
from . import flame_parameters


def load_model(path: str) -> Head:
    """The model in a FLAME file, read by our own restricted reader. Raises BadHead."""
    model = load_head(bpy.path.abspath(path))
    if not model.identity.shape[2]:
        raise BadHead("This file is Thunder's own head, not a FLAME model: choose the FLAME file that this head was made from")
    return model


def compare(client: Client, scene, rig, model: Head) -> Generator[Step, None, dict]:
    """Steps that compare the head as it is seen on this frame with smplx. Returns the engine's answer to “check_flame”.

    rig: what head.resolve gives for the head.  model: of the FLAME file it was made from; the engine is sent its arrays,
    never the file's path, which smplx would unpickle. Raises ThunderError.
    """
    arrays = {name: getattr(model, name) for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "identity")}
    arrays |= yield from stage(_pose(scene, rig), "Reading the pose", 0.05, 0.25)
    betas = np.zeros(model.identity.shape[2], np.float32)
    count = min(len(betas), len(arrays["betas"]))
    betas[:count] = arrays["betas"][:count]
    files = {}
    try:
        for name, array in (arrays | {"betas": betas}).items():
            files[name] = client.put_array(array)
            yield Step(0.28, "Writing the model")
        answer = yield from ask(client, "check_flame", (0.3, 0.95), "Checking with smplx", arrays=files)
    finally:
        for file in files.values():
            if os.path.exists(file):
                os.remove(file)
    return answer


def _pose(scene, rig) -> Generator[float, None, dict[str, np.ndarray]]:
    """Returns the pose of this frame and the vertices that are seen, by the names of “check_flame”."""
    clock = Clock.of(scene, scene.frame_current)
    own = flame_parameters.own_values(rig)
    motion = yield from reading.read(own, (), clock, 1 / clock.fps, clock.fps)
    values = motion.expression[:1]
    pose = flame_parameters.parameters_of(values, rig.driver, rig.mesh, rig.armature, clock.fps)
    return {
        "expression": pose.expression[0],
        "betas": pose.betas[0],
        "jaw": pose.jaw_pose[0],
        "neck": pose.neck_pose[0],
        "eyes": np.stack([pose.leye_pose[0], pose.reye_pose[0]]),
        "seen": _seen(rig),
    }


def _seen(rig) -> np.ndarray:
    """Vertices of the head as Blender shows them now, [V, 3] metres in the armature's space and FLAME's axes."""
    graph = bpy.context.evaluated_depsgraph_get()
    graph.update()
    data = rig.mesh.evaluated_get(graph).data
    points = np.empty(3 * len(data.vertices), np.float32)
    data.vertices.foreach_get("co", points)
    return build.blender_to_flame(points.reshape(-1, 3))
