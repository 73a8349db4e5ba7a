# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of mesh-to-speech (§4.1): the mouth's vertices, its lips alone, the whole face's, or the coefficients themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from ...channels import Columns
from ...errors import BadHead
from ...face.head import Head, read_head
from ...files import part_of
from ...types import Motion
from ..cards import unusable
from ..smplx_layer import vertex_layer

_WINDOW, MARGIN = 500, 50  # frames that mesh-to-speech reads at once, and the context on either side
LIPS, UPPER_TEETH, LOWER_TEETH, TONGUE = range(4)  # values of Head.mouth_parts
TRAINED_MOUTH = "m2s_mouth.npz"  # file next to mouth2s' weights: the mouth that it was trained on


def trained_mouth(folder: Path) -> Head | None:
    """The mouth that the mouth2s in a folder was trained on; None if it is that of the folder's head. Raises BadWeights.

    A head sculpted anew moves its lips slightly differently. A network keeps reading the mouth it was trained on,
    moved by the same channels, until it is trained again.
    """
    path = folder / TRAINED_MOUTH
    if not path.is_file():
        return None
    try:
        return read_head(path)
    except BadHead as error:
        raise unusable(path, f"is damaged ({error.reason})") from error


def save_trained_mouth(folder: Path, head: Head) -> None:
    """Write the mouth of a head, as a head of its mouth's vertices [n_m] and one vertex for each of the five joints."""
    ids, joints = head.mouth_vertices, len(head.joints)
    count = len(ids)
    place = {int(vertex): number for number, vertex in enumerate(ids)}

    def padded(values):
        return np.concatenate([values[ids], np.zeros((joints, *values.shape[1:]), values.dtype)])

    template, weights = padded(head.v_template), padded(head.weights)
    template[count:], weights[count:, 0] = head.joints, 1.0
    regressor = np.zeros((joints, count + joints), np.float32)
    regressor[:, count:] = np.eye(joints)
    landmarks = ("inner_lip_upper_mid", "inner_lip_lower_mid", "mouth_corner_left", "mouth_corner_right")
    folder.mkdir(parents=True, exist_ok=True)
    with part_of(folder / TRAINED_MOUTH) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            v_template=template,
            shapedirs=padded(head.shapedirs),
            posedirs=padded(head.posedirs),
            J_regressor=regressor,
            weights=weights,
            kintree_table=head.kintree_table,
            f=np.array([[0, 1, 2]], np.int32),
            polygons=np.array([[0, 1, 2, -1]], np.int32),
            polygon_material=np.zeros(1, np.int32),
            material_names=np.array(head.material_names[:1]),
            material_colors=head.material_colors[:1],
            expression_names=np.array(head.expression_names),
            mouth_vertices=np.arange(count, dtype=np.int32),
            mouth_parts=head.mouth_parts,
            region_names=np.array(["mouth"]),
            regions=np.ones((1, count + joints), np.float32),
            **(
                {"corrective_pairs": np.array(head.corrective_pairs), "correctives": padded(head.correctives)}
                if head.corrective_pairs
                else {}
            ),
            **{name: np.int32(place[getattr(head, name)]) for name in landmarks},
        )


class _Space(nn.Module):
    """An input of mesh-to-speech: a function of expression and jaw. channels: n of the expression basis."""

    channels: int

    def of_packed(self, x: Tensor) -> Tensor:
        """The same of packed motions x [B, T, n + 9]."""
        columns = Columns(self.channels)
        return self(x[..., columns.expression], x[..., columns.jaw])


class _Vertices(_Space):
    """Expression [B, T, n] and jaw [B, T, 3] → offsets of some vertices [B, T, m, 3], metres from the rest pose.

    The head's rotation is left out, because it does not change what a mouth says.
    """

    shake = 2e-4  # noise in training, metres: samples are not as smooth as the teacher's motion

    def __init__(self, head: Head, ids: np.ndarray):
        super().__init__()
        self.channels = head.channels
        self.layer = vertex_layer(head, ids)
        self.register_buffer("rest", torch.from_numpy(head.v_template[ids].astype(np.float32)), persistent=False)

    @property
    def size(self) -> int:
        """Values per frame."""
        return 3 * len(self.rest)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        batch, frames = jaw.shape[:2]
        moved = self.layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest
        return moved.unflatten(0, (batch, frames))


class Mouth(_Vertices):
    """`mouth2s`: V_m [B, T, n_m, 3], the mouth that listening and scoring use.

    inner: bool [n_m], teeth and tongue.  lips: indices [4] of the inner lips' middles, upper and lower, and of the corners.
    """

    def __init__(self, head: Head):
        super().__init__(head, head.mouth_vertices)
        lips = [head.inner_lip_upper_mid, head.inner_lip_lower_mid, head.mouth_corner_left, head.mouth_corner_right]
        self.register_buffer("lips", torch.tensor([int(np.flatnonzero(head.mouth_vertices == v)[0]) for v in lips]), persistent=False)
        self.register_buffer("inner", torch.from_numpy(head.mouth_parts != LIPS), persistent=False)
        self.lip_layer = vertex_layer(head, head.mouth_vertices[self.lips.numpy()])

    def lip_points(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """The four lip points alone, [B, T, 4, 3] as `forward` has them among all, in less time. Expression [B, T, n], jaw [B, T, 3]."""
        batch, frames = jaw.shape[:2]
        moved = self.lip_layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest[self.lips]
        return moved.unflatten(0, (batch, frames))

    def spoken(self, motion: Motion) -> tuple[Tensor, Tensor]:
        """Expression [T, n] and jaw [T, 3] of a motion on the device."""
        parts = (np.ascontiguousarray(part, np.float32) for part in (motion.expression, motion.jaw))
        expression, jaw = (torch.from_numpy(part).to(self.rest.device) for part in parts)
        return expression, jaw

    def windows(self, motion: Motion) -> Iterator[tuple[Tensor, slice]]:
        """Vertices [1, t, n_m, 3] of a motion window by window, so that length costs no memory, and the frames to keep of each."""
        expression, jaw = self.spoken(motion)
        for start in range(0, motion.frames, _WINDOW):
            end = min(start + _WINDOW, motion.frames)
            a, b = max(0, start - MARGIN), min(motion.frames, end + MARGIN)
            yield self(expression[None, a:b], jaw[None, a:b]), slice(start - a, end - a)

    def shape(self, moved: Tensor) -> Tensor:
        """Gap of the inner lips and distance of the corners [B, T, 2], metres, of offsets [B, T, n_m, 3]."""
        upper, lower, left, right = (moved[:, :, self.lips] + self.rest[self.lips]).unbind(2)
        return torch.stack([(upper - lower).norm(dim=-1), (left - right).norm(dim=-1)], -1)


class Lips(Mouth):
    """`mouth2s` with lips only: the mouth [B, T, n_m, 3], in which teeth and tongue hold still."""

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return super().forward(expression, jaw) * ~self.inner[:, None]


class Face(_Vertices):
    """`face2s`: V [B, T, n_v, 3], every vertex of the head."""

    def __init__(self, head: Head):
        super().__init__(head, np.arange(len(head.v_template)))


class Coefficients(_Space):
    """`exp2s`: x = [ψ | θ_jaw] [B, T, n + 3], each in units of about its own spread."""

    shake = 0.1

    def __init__(self, head: Head):
        super().__init__()
        self.channels = head.channels
        self.register_buffer("unit", torch.cat([torch.full((head.channels,), 0.15), torch.full((3,), 0.05)]), persistent=False)

    @property
    def size(self) -> int:
        """Values per frame."""
        return len(self.unit)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → [B, T, n + 3]."""
        return torch.cat([expression, jaw], -1) / self.unit


SPACES: dict[str, Callable[[Head], _Space]] = {"mouth": Mouth, "face": Face, "exp": Coefficients, "lips": Lips}


def weights_name(space: str) -> str:
    """File name, without ending, of the mesh-to-speech for a space; mouth2s is the one that ships."""
    return "m2s" if space == "mouth" else f"m2s-{space}"
