# SPDX-License-Identifier: GPL-3.0-or-later
"""The head under the mouse pointer in a 3D viewport."""

import bpy
from bpy_extras import view3d_utils

from . import head


def head_under(context, x: int, y: int) -> bpy.types.Object | None:
    """The object that represents the head at a place of the region of a 3D viewport; None for none, and in another editor.

    Where another object is, it is the scene's only head, if there is one.
    """
    region, view = context.region, context.region_data
    if region is None or view is None or region.type != "WINDOW":
        return None
    origin = view3d_utils.region_2d_to_origin_3d(region, view, (x, y))
    direction = view3d_utils.region_2d_to_vector_3d(region, view, (x, y))
    hit, _, _, _, obj, _ = context.scene.ray_cast(context.evaluated_depsgraph_get(), origin, direction)
    return head.guess(context.scene, context.scene.objects.get(obj.name)) if hit else None
