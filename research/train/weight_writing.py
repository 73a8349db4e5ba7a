# SPDX-License-Identifier: GPL-3.0-or-later
"""Weight files as training writes them; `thunder_core.weight_files` reads them."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from research.train.spaces import LANDMARKS
from thunder_core.face.head import Head
from thunder_core.files import part_of, write_file
from thunder_core.weight_files import GRAPH, SCALE, TRAINED_MOUTH

_LARGE, _PART = 50_000, 64  # numbers from which a matrix is stored in bytes, and with one scale


def save_weights(path: Path, tensors: dict[str, Tensor], config: dict, card: dict) -> None:
    """Write `path`.safetensors (float tensors as given, contiguous copies) and `path`.json with
    config and card.

    A graph beside it is removed, because it may be of a network of other sizes: `graphs`
    writes one of this.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(GRAPH).unlink(missing_ok=True)
    with part_of(path.with_suffix(".safetensors")) as part:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, part)
    write_file(
        path.with_suffix(".json"), json.dumps({"config": config, "card": card}, indent=1) + "\n"
    )


def in_bytes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with large matrices in bytes, and a scale for each part of a row, as an encoder is
    stored: lips follow the voice as closely (r of real lips ± .001), in half of the space."""
    stored = dict(tensors)
    for name, x in tensors.items():
        if x.ndim > 1 and x.numel() > _LARGE:
            parts = x.float().view(len(x), -1, math.gcd(_PART, x[0].numel()))
            scale = (parts.abs().amax(2) / 127).clamp_min(1e-6).half()
            whole = (parts / scale.float()[..., None]).round().clamp(-127, 127)
            stored[name], stored[name + SCALE] = whole.to(torch.int8).view_as(x), scale
    return stored


def save_trained_mouth(folder: Path, head: Head) -> None:
    """Write the mouth of a head, as a head of its mouth's vertices [n_m] and one vertex for each of
    the five joints."""
    ids, joints = head.mouth_vertices, len(head.joints)
    count = len(ids)
    place = {int(vertex): number for number, vertex in enumerate(ids)}

    def pad(values):
        return np.concatenate([values[ids], np.zeros((joints, *values.shape[1:]), values.dtype)])

    template, weights = pad(head.v_template), pad(head.weights)
    template[count:], weights[count:, 0] = head.joints, 1.0
    regressor = np.zeros((joints, count + joints), np.float32)
    regressor[:, count:] = np.eye(joints)
    folder.mkdir(parents=True, exist_ok=True)
    with part_of(folder / TRAINED_MOUTH) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            v_template=template,
            shapedirs=pad(head.shapedirs),
            posedirs=pad(head.posedirs),
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
                {
                    "corrective_pairs": np.array(head.corrective_pairs),
                    "correctives": pad(head.correctives),
                }
                if head.corrective_pairs
                else {}
            ),
            **{name: np.int32(place[getattr(head, name)]) for name in LANDMARKS},  # type: ignore[arg-type]
        )
