# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares our skinning and a rig in Blender with a FLAME model posed by smplx."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import numpy as np
import torch

from ..errors import BadRequest, NoEngine
from ..face.head import Head, load_head
from .flame import FlameLayer, SmplxLayer

MODEL = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "identity")  # arrays of face.head.Head
POSE = ("expression", "betas", "jaw", "neck", "eyes")
RANDOM_POSES, SEED = 8, 0
EXPRESSION_SPREAD, ROTATION_SPREAD = 1.0, 0.3  # spread of the random poses: standard deviations of the model, radians


def check(arrays: dict[str, np.ndarray]) -> dict:
    """Pose a model with smplx and measure the distance to others who pose it, mm at the worst vertex.

    arrays: the model (MODEL, shapes as in face.head.Head), one pose (expression [n], betas [m], jaw, neck [3], eyes [2, 3];
    rotation vectors in radians) and `seen` [V, 3], metres: the vertices that Blender shows in this pose.
    Returns {"rig": mm by which `seen` is off, "skinning": the same of our FLAME layer in random poses, "smplx": version}.
    Raises BadRequest when the arrays do not fit together, NoEngine when smplx is not installed.
    """
    head = _head(arrays)
    person = replace(head, v_template=head.v_template + head.identity @ arrays["betas"])
    pose = (_tensor(arrays[name])[None] for name in ("expression", "jaw", "neck", "eyes"))
    poses = _random_poses(head)
    try:
        with torch.no_grad():
            rig = SmplxLayer(person, dtype=torch.float64)(*pose)[0] - _tensor(arrays["seen"])
            skinning = FlameLayer(head, dtype=torch.float64)(*poses) - SmplxLayer(head, dtype=torch.float64)(*poses)
    except ImportError as error:
        raise NoEngine("smplx is not installed: install the FLAME extra in the preferences") from error
    return {"rig": _millimetres(rig), "skinning": _millimetres(skinning), "smplx": metadata.version("smplx")}


def _head(arrays: dict[str, np.ndarray]) -> Head:
    """The model as a head, its arrays and the pose checked. Raises BadRequest."""
    missing = [name for name in (*MODEL, *POSE, "seen") if name not in arrays]
    if missing:
        raise BadRequest(f"The request lacks “{missing[0]}”: the extension and its engine differ in version")
    vertices, expression = len(arrays["v_template"]), arrays["shapedirs"].shape[-1]
    identity = arrays["identity"].shape[-1]
    shapes = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, expression),
        "posedirs": (vertices, 3, 36),
        "J_regressor": (5, vertices),
        "weights": (vertices, 5),
        "identity": (vertices, 3, identity),
        "expression": (expression,),
        "betas": (identity,),
        "jaw": (3,),
        "neck": (3,),
        "eyes": (2, 3),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise BadRequest(f"“{name}” has the shape {list(arrays[name].shape)}, not {list(shape)}: choose the FLAME file again")
    if arrays["seen"].shape != (vertices, 3):
        raise BadRequest(
            f"The head in the scene has {len(arrays['seen'])} vertices and the file {vertices}: choose the FLAME file that it was made from"
        )
    if not all(np.isfinite(arrays[name]).all() for name in (*shapes, "seen")):
        raise BadRequest("The head's pose is not finite: look for a broken driver or key")
    model = {name: np.asarray(arrays[name], np.float32) for name in MODEL}
    return replace(load_head(), corrective_pairs=(), correctives=np.zeros((0, 3, 0), np.float32), **model)  # FLAME has none of ours


def _random_poses(head: Head) -> tuple[torch.Tensor, ...]:
    """Expression [B, n], jaw and neck [B, 3] and eyes [B, 2, 3] of RANDOM_POSES poses, always the same."""
    draw = np.random.default_rng(SEED).normal
    expression = draw(0, EXPRESSION_SPREAD, (RANDOM_POSES, head.channels))
    jaw, neck = (draw(0, ROTATION_SPREAD, (RANDOM_POSES, 3)) for _ in range(2))
    eyes = draw(0, ROTATION_SPREAD, (RANDOM_POSES, 2, 3))
    return tuple(map(_tensor, (expression, jaw, neck, eyes)))


def _tensor(array) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, np.float64))


def _millimetres(difference: torch.Tensor) -> float:
    return 1e3 * float(difference.norm(dim=-1).max())
