# SPDX-License-Identifier: GPL-3.0-or-later
"""Small grey pictures of the head in a pose, for an image encoder: from the front, or as pictures
of faces differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from research.systems.denoisers import CLIP_PICTURE, Media2FaceConfig, PICTURE
from research.train.flame import FlameLayer
from research.train.rasteriser import nearest_triangles, normals_at_corners, triangles_of
from thunder_core.face.head import Head
from thunder_core.types import Columns

_LIGHT = (0.25, 0.35, 0.9)  # direction of the light: right, above, in front
_AMBIENT = 0.25
# drawn points along each side of a pixel, whose mean it is: lids and lips are thinner than one
_FINER = 3
# largest movement by a channel, metres, above which a vertex belongs to the moving face
_MOVES = 1e-3
_TURNS = 0.5  # cosine by which a moving or turned triangle may face backwards at rest
_MARGIN = 0.06  # margin around the face, as a share of the picture's width
# How far pictures differ, each way: turns about the three axes, the light's sides and heights,
# degrees; size, a factor's logarithm; place, shares of the width; exposure, a logarithm; noise, a
# deviation.
_TURNED = (12.0, 8.0, 5.0)
_LIT = (35.0, 20.0)
_SIZED = 0.15
_SHIFTED = 0.06
_EXPOSED = 0.4
_NOISE = 0.01


@dataclass(frozen=True)
class Views:
    """How B pictures are taken.

    turned: [B, 3, 3], rotations of the head.  light: [B, 3], unit vectors to the light.  ambient:
    [B], share of light from everywhere.
    scale: [B], size relative to a picture that the face fills.  shift: [B, 2], right and up, in
    widths.  ground: [B], grey behind the head.
    """

    turned: Tensor
    light: Tensor
    ambient: Tensor
    scale: Tensor
    shift: Tensor
    ground: Tensor

    @staticmethod
    def front(count: int) -> Views:
        """The same view of all: straight from the front, lit from above, before black."""
        light = F.normalize(torch.tensor([_LIGHT]), dim=1).expand(count, 3)
        one, none = torch.ones(count), torch.zeros(count)
        return Views(
            torch.eye(3).expand(count, 3, 3),
            light,
            _AMBIENT * one,
            one,
            torch.zeros(count, 2),
            none,
        )

    @staticmethod
    def random(count: int, rng: np.random.Generator) -> Views:
        """Views that differ from that of the front as pictures of faces do: each by a random share,
        most of them little.

        From views that all differ fully an encoder learns nothing in the same number of steps: it
        begins with similar ones.
        """
        share = rng.random(count) ** 2

        def draw_angle(most: float) -> np.ndarray:
            return share * rng.uniform(-most, most, count)

        yaw, pitch, roll, side, height = (
            np.radians(draw_angle(most)) for most in (*_TURNED, *_LIT)
        )
        turned = _rotations(roll, 0, 1) @ _rotations(pitch, 1, 2) @ _rotations(yaw, 2, 0)
        light = Views.front(1).light.numpy() @ (
            _rotations(height, 1, 2) @ _rotations(side, 2, 0)
        ).transpose(0, 2, 1)
        ambient = _AMBIENT + share * rng.uniform(-0.1, 0.2, count)
        scale = np.exp(draw_angle(_SIZED))
        shift = np.stack([draw_angle(_SHIFTED), draw_angle(_SHIFTED)], 1)
        ground = rng.random(count) * (rng.random(count) < share)
        return Views(
            *(
                torch.from_numpy(value).float()
                for value in (turned, light[:, 0], ambient, scale, shift, ground)
            )
        )


def _rotations(angles: np.ndarray, first: int, second: int) -> np.ndarray:
    """[B, 3, 3]: rotations by angles [B], radians, from one axis towards another."""
    result = np.tile(np.eye(3), (len(angles), 1, 1))
    result[:, first, first] = result[:, second, second] = np.cos(angles)
    result[:, first, second], result[:, second, first] = -np.sin(angles), np.sin(angles)
    return result


class FacePictures:
    """Packed motions [B, C] → pictures [B, size, size] of the face, grey 0 … 1."""

    def __init__(self, head: Head, size: int = PICTURE):
        self.columns, self.size = Columns(head.channels), size
        rest = torch.tensor(head.v_template, dtype=torch.float32)
        triangles, material = map(torch.from_numpy, triangles_of(head))
        # What moves with the expression is the face; the picture is of that, not of neck and crown.
        moving = torch.from_numpy(abs(head.shapedirs).max(axis=(1, 2)) > _MOVES)
        low, high = rest[moving].amin(0), rest[moving].amax(0)
        # about which the head turns
        self.centre = torch.cat([(low + high)[:2] / 2, rest[:, 2].mean()[None]])
        self.scale = float((1 - 2 * _MARGIN) * size / (high - low)[:2].max())  # pixels per metre
        corners = rest[triangles]
        normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        area = normal.norm(dim=-1)
        in_front = normal[:, 2] > -_TURNS * area
        in_view = (((corners[..., :2] - self.centre[:2]) * self.scale).abs() < size).all(-1).all(-1)
        shown = in_front & in_view & (area > 0)
        ids, self.triangles = triangles[shown].unique(return_inverse=True)
        self.layer = FlameLayer(head, ids.numpy())
        colors = torch.tensor(head.material_colors[:, :3], dtype=torch.float32).mean(-1)
        self.brightness = colors[material[shown]] ** 0.45

    def __call__(self, x: Tensor, views: Views | None = None) -> Tensor:
        """Grey pictures [B, size, size] of packed motions [B, C], from the front if no views are
        given; exact in half precision too."""
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            return self._draw(x.float(), views or Views.front(len(x)))

    def _draw(self, x: Tensor, views: Views) -> Tensor:
        device, fine = x.device, self.size * _FINER
        points = self.layer.to(device)(x[:, self.columns.expression], x[:, self.columns.jaw])
        points = (points - self.centre.to(device)) @ views.turned.to(device).transpose(1, 2)
        triangles = self.triangles.to(device)
        lit = (normals_at_corners(points, triangles).mean(2) @ views.light.to(device)[..., None])[
            ..., 0
        ].clamp(0, 1)
        ambient = views.ambient.to(device)[:, None]
        grey = self.brightness.to(device) * (ambient + (1 - ambient) * lit)
        right, up = (
            points[..., :2] * (_FINER * self.scale * views.scale.to(device)[:, None, None])
        ).unbind(-1)
        shift, middle = views.shift.to(device) * fine, (fine - 1) / 2
        seen = torch.stack(
            [middle + right + shift[:, :1], middle - up - shift[:, 1:], points[..., 2]], -1
        )
        nearest = nearest_triangles(seen, triangles, fine, fine)
        picture = grey.gather(1, nearest.flatten(1).clamp_min(0)).view_as(nearest)
        picture = torch.where(nearest < 0, views.ground.to(device)[:, None, None], picture)
        return F.avg_pool2d(picture[:, None], _FINER)[:, 0]


def vary_tone(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures [B, n, n] as other cameras would have them: other exposure and contrast, blurred,
    noisy."""

    def each(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).float().to(pictures.device)[:, None, None]

    count = len(pictures)
    exposed = pictures.clamp(1e-4, 1) ** each(np.exp(rng.uniform(-_EXPOSED, _EXPOSED, count)))
    exposed = each(rng.uniform(0.6, 1.2, count)) * exposed + each(rng.uniform(-0.1, 0.1, count))
    blurred = F.avg_pool2d(F.pad(exposed[:, None], (1, 1, 1, 1), mode="replicate"), 3, 1)[:, 0]
    result = torch.lerp(exposed, blurred, each(rng.random(count) * (rng.random(count) < 0.5)))
    noise = torch.from_numpy(rng.standard_normal(tuple(pictures.shape), np.float32)).to(
        pictures.device
    )
    return (result + _NOISE * noise).clamp(0, 1)


def pictures_for(config: Media2FaceConfig, head: Head) -> FacePictures:
    """The FacePictures that draw a head for Media2Face's image encoder."""
    return FacePictures(head, CLIP_PICTURE if config.clip else PICTURE)
