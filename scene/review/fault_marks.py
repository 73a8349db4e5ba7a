# SPDX-License-Identifier: GPL-3.0-or-later
"""Red spots on a face where shapes that were made for it are not good: drawn in the viewport, never
stored; they go with the fault, or by a switch beside its sentence."""

from __future__ import annotations

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..heads import family, new_shapes
from ..host.jobs import registration

_RED = 0.9, 0.03, 0.03
_ALPHA = {"NONE": 0.2, "LESS_EQUAL": 0.6}  # of what skin hides as well, and of what is before it
_BEFORE = 0.004  # of a face's size, so far before its skin: what lies in one plane flickers


def corners_of(face: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Corners of the red triangles in the world, as the face is shown now, [N, 3, 3]."""
    triangles = new_shapes.marked_faults(face)
    if not len(triangles) or face.mode == "EDIT":
        return np.empty((0, 3, 3))
    # what modifiers add comes after the mesh's own vertices
    points = family.points_of(face.evaluated_get(depsgraph).data.vertices)
    there = np.array(face.matrix_world)
    triangles = triangles[(triangles < len(points)).all(1)]
    return points[triangles] @ there[:3, :3].T + there[:3, 3]


def _draw() -> None:
    context = bpy.context
    is_shown = context.scene is not None and context.scene.thunder.show_faults
    if not (is_shown and new_shapes.spots and context.space_data.overlay.show_overlays):
        return
    view = context.region_data
    assert view is not None  # of a 3D viewport
    eye = np.array(view.view_matrix.inverted())
    for face in context.visible_objects:
        corners = corners_of(face, context.evaluated_depsgraph_get())
        if not len(corners):
            continue
        away = eye[:3, 3] - corners.mean((0, 1)) if view.is_perspective else eye[:3, 2]
        corners = corners + _BEFORE * max(face.dimensions) * away / np.linalg.norm(away)
        shader = gpu.shader.from_builtin("UNIFORM_COLOR")
        batch = batch_for_shader(shader, "TRIS", {"pos": corners.reshape(-1, 3).astype("f4")})
        gpu.state.blend_set("ALPHA")
        for test, alpha in _ALPHA.items():
            gpu.state.depth_test_set(test)
            shader.uniform_float("color", (*_RED, alpha))
            batch.draw(shader)
        gpu.state.depth_test_set("NONE")
        gpu.state.blend_set("NONE")


register, unregister = registration(drawings=(("SpaceView3D", _draw, (), "POST_VIEW"),))
