# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the head as image encoders of earlier checkpoints learned to read them: points of its triangles, shaded by their normals.

Of several points at one pixel the frontmost is shown, of equally near ones the brightest, and where triangles meet all are equally near:
hence white specks along lids and lips, and brows as wide as their pixels. `pictures.FacePictures` draws what learns now.
"""

from __future__ import annotations

import torch
from torch import Tensor

from thunder_core.channels import Columns
from thunder_core.face.head import Head
from thunder_core.networks.flame import FlameLayer
from thunder_core.networks.systems.denoisers import PICTURE

_LIGHT = (0.25, 0.35, 0.9)  # direction of the light: right, above, in front
_AMBIENT = 0.25
_MOVES = 1e-3  # largest movement by a channel, metres, above which a vertex belongs to the moving face
_TURNS = 0.3  # cosine by which a moving triangle may face backwards at rest
_MARGIN = 0.06  # margin around the face, as a share of the picture's width


class PointPictures:
    """Packed motions [B, C] → pictures [B, 48, 48] of the face from the front, grey 0 … 1, 0 where there is nothing."""

    def __init__(self, head: Head, size: int = PICTURE):
        self.columns, self.size = Columns(head.channels), size
        rest = torch.tensor(head.v_template, dtype=torch.float32)
        quads = torch.tensor(head.polygons, dtype=torch.int64)
        material = torch.tensor(head.polygon_material, dtype=torch.int64)
        quads = torch.where(quads < 0, quads[:, :1], quads)
        triangles, material = torch.cat([quads[:, :3], quads[:, [0, 2, 3]]]), torch.cat([material, material])
        # What moves with the expression is the face; the picture is of that, not of neck and crown.
        moving = torch.from_numpy(abs(head.shapedirs).max(axis=(1, 2)) > _MOVES)
        low, high = rest[moving, :2].amin(0), rest[moving, :2].amax(0)
        self.centre = (low + high) / 2
        self.scale = float((1 - 2 * _MARGIN) * size / (high - low).max())  # pixels per metre
        corners = rest[triangles]
        normal = torch.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=-1)
        area = normal.norm(dim=-1)
        in_front = normal[:, 2] > -_TURNS * area  # triangles that face backwards at rest are never visible, unless they can turn
        in_view = (((corners[..., :2] - self.centre) * self.scale).abs() < size).all(-1).all(-1)
        shown = in_front & in_view & (area > 0)
        ids, places = triangles[shown].unique(return_inverse=True)
        self.layer, self.triangles = FlameLayer(head, ids.numpy()), places
        colors = torch.tensor(head.material_colors[:, :3], dtype=torch.float32).mean(-1)
        self.brightness = colors[material[shown]] ** 0.45
        # A triangle is filled with points at most a pixel apart at rest.
        edges = corners[shown]
        longest = float((edges - edges.roll(1, 1)).norm(dim=-1).quantile(0.98)) * self.scale
        self.weights = _inside(max(1, min(int(longest) + 1, 4)))

    def __call__(self, x: Tensor) -> Tensor:
        """Grey pictures [B, size, size] of packed motions [B, C]; exact also where training computes in half precision."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            return self._drawn(x.float())

    def _drawn(self, x: Tensor) -> Tensor:
        columns, size, device = self.columns, self.size, x.device
        moved = self.layer.to(device)(x[:, columns.expression], x[:, columns.jaw])
        corners = moved[:, self.triangles]  # [B, F, 3, 3]
        normal = torch.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0], dim=-1)
        normal = torch.nn.functional.normalize(normal, dim=-1)
        light = torch.tensor(_LIGHT, device=device)
        grey = self.brightness.to(device) * (_AMBIENT + (1 - _AMBIENT) * (normal @ light).clamp(0, 1))
        points = torch.einsum("pk,bfkc->bfpc", self.weights.to(device), corners).flatten(1, 2)
        grey = grey.repeat_interleave(len(self.weights), 1)
        pixel = ((points[..., :2] - self.centre.to(device)) * self.scale + size / 2).long()
        inside = ((pixel >= 0) & (pixel < size)).all(-1) & (normal[..., 2].repeat_interleave(len(self.weights), 1) > 0)
        place = torch.where(inside, (size - 1 - pixel[..., 1]) * size + pixel[..., 0], size * size)
        nearest = torch.full((len(x), size * size + 1), -torch.inf, device=device).scatter_reduce(1, place, points[..., 2], "amax")
        seen = points[..., 2] >= nearest.gather(1, place)  # of several points at one pixel the one in front
        blank = torch.zeros(len(x), size * size + 1, device=device)
        picture = blank.scatter_reduce(1, place, torch.where(seen & inside, grey, torch.zeros_like(grey)), "amax")
        return picture[:, :-1].unflatten(1, (size, size))


def _inside(steps: int) -> Tensor:
    """Barycentric weights [n, 3] of points spread over a triangle, `steps` along an edge."""
    grid = [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]
    return torch.tensor(grid).float() / steps
