# SPDX-License-Identifier: GPL-3.0-or-later
"""A small rasteriser: triangles seen from the front, orthographic, one shade each, many frames at
once.

Made for pictures of a few thousand pixels over a few thousand triangles, where most triangles cover
a pixel or none: every pair of a triangle and a pixel of its bounding box is a row of one long list,
and the nearest triangle of each pixel is a maximum over the list. Nothing is smoothed: a pixel
shows the triangle that its centre falls on.
"""

import numpy as np
import torch
from torch import Tensor

from thunder_core.face.head import Head

_DEPTH_STEPS = 2**20  # depth levels between a batch's nearest and farthest point
_LEAST_AREA = 1e-9  # twice the area, square pixels: smaller triangles are seen from their edge


def nearest_triangles(points: Tensor, triangles: Tensor, height: int, width: int) -> Tensor:
    """The triangle visible at each pixel, int64 [B, height, width], −1 for none.

    points [B, V, 3]: x to the right and y down in pixels, whose centres are whole numbers, and z
    towards the viewer, any unit. triangles int64 [F, 3]: corners in anticlockwise order as seen
    from outside; back faces are not drawn. An edge belongs to both its triangles; of triangles at
    the same depth, within a millionth of the batch's range, the last is shown.
    """
    batch, count = len(points), len(triangles)
    shown = torch.full((batch * height * width,), -1, dtype=torch.int64, device=points.device)
    if not count or not batch:
        return shown.view(batch, height, width)
    # Corners apart, [B, F] each: sums over three numbers that lie side by side are slow.
    x, y, z = (
        [plane[:, triangles[:, corner]] for corner in range(3)] for plane in points.unbind(-1)
    )
    # Twice the area; y points down, which reverses the order of the corners.
    area = (x[2] - x[0]) * (y[1] - y[0]) - (x[1] - x[0]) * (y[2] - y[0])
    left, right = _least(x).ceil().clamp_min(0), _most(x).floor().clamp_max(width - 1)
    top, bottom = _least(y).ceil().clamp_min(0), _most(y).floor().clamp_max(height - 1)
    which = ((area > _LEAST_AREA) & (right >= left) & (bottom >= top)).flatten().nonzero()[:, 0]
    if not len(which):
        return shown.view(batch, height, width)
    x, y, z = ([corner.flatten()[which] for corner in axis] for axis in (x, y, z))
    area, left, right, top, bottom = (v.flatten()[which] for v in (area, left, right, top, bottom))
    columns = right - left + 1
    pixels = (columns * (bottom - top + 1)).long()
    # Affine in the pixel: the shares of the first two corners, and the depth, where the third has
    # the rest.
    first_x, second_x = (y[2] - y[1]) / area, (y[0] - y[2]) / area
    first_y, second_y = (x[1] - x[2]) / area, (x[2] - x[0]) / area
    first = (left - x[2]) * first_x + (top - y[2]) * first_y
    second = (left - x[2]) * second_x + (top - y[2]) * second_y
    low, high = min(float(v.min()) for v in z), max(float(v.max()) for v in z)
    z = [(v - low) / max(high - low, 1e-12) for v in z]
    depth = [
        u * (z[0] - z[2]) + v * (z[1] - z[2]) + constant
        for u, v, constant in (
            (first, second, z[2]),
            (first_x, second_x, 0),
            (first_y, second_y, 0),
        )
    ]
    # One row per pair of triangle and pixel.
    row = torch.repeat_interleave(torch.arange(len(which), device=points.device), pixels)
    number = torch.arange(len(row), device=points.device) - (pixels.cumsum(0) - pixels)[row]
    dy = ((number + 0.5) / columns[row]).floor()  # whole numbers are slow to divide
    dx = number - dy * columns[row]
    table = torch.stack([first, first_x, first_y, second, second_x, second_y, *depth], -1)[row]
    first = table[:, 0] + table[:, 1] * dx + table[:, 2] * dy
    second = table[:, 3] + table[:, 4] * dx + table[:, 5] * dy
    inside = (first >= 0) & (second >= 0) & (first + second <= 1)
    near = (table[:, 6] + table[:, 7] * dx + table[:, 8] * dy).clamp(0, 1)
    row, dx, dy, near = row[inside], dx[inside], dy[inside], near[inside]
    start = (which // count) * (height * width) + top.long() * width + left.long()
    pixel = start[row] + (dy * width + dx).long()
    key = (near * _DEPTH_STEPS).round().long() * count + (which % count)[row]
    shown.scatter_reduce_(0, pixel, key, "amax")
    return torch.where(shown < 0, shown, shown % count).view(batch, height, width)


def triangles_of(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Triangles int64 [F, 3] of a head's polygons, and their materials [F]."""
    quads = head.polygons[:, 3] >= 0
    corners = np.concatenate([head.polygons[:, :3], head.polygons[quads][:, [0, 2, 3]]]).astype(
        np.int64
    )
    return corners, np.concatenate([head.polygon_material, head.polygon_material[quads]])


def _least(corners: list[Tensor]) -> Tensor:
    return torch.minimum(torch.minimum(corners[0], corners[1]), corners[2])


def _most(corners: list[Tensor]) -> Tensor:
    return torch.maximum(torch.maximum(corners[0], corners[1]), corners[2])


def normals(points: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals [B, F, 3] of triangles int64 [F, 3] of points [B, V, 3], outwards where corners
    run anticlockwise."""
    first, second, third = (points[:, triangles[:, corner]] for corner in range(3))
    across = torch.linalg.cross(second - first, third - first)
    return across / across.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def normals_at_corners(points: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals [B, F, 3, 3] at the corners of triangles int64 [F, 3] of points [B, V, 3]: the
    mean of those that meet there."""
    first, second, third = (points[:, triangles[:, corner]] for corner in range(3))
    across = torch.linalg.cross(second - first, third - first)  # as long as the triangle is large
    summed = torch.zeros_like(points)
    for corner in range(3):
        summed.index_add_(1, triangles[:, corner], across)
    return torch.nn.functional.normalize(summed, dim=-1)[:, triangles]
