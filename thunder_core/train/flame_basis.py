# SPDX-License-Identifier: GPL-3.0-or-later
"""Training in a FLAME file's expression space: `--flame FILE` makes its coefficients the channels
of all motions.

The teacher's performances, and captures on the bundled head's channels, are retargeted when they
are read; tracked FLAME sequences are taken as they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import BadHead
from ..face import regions
from ..face.head import Head, load_head
from ..face.retarget import MOST, Retarget, to_head
from ..types import Motion

COEFFICIENTS = 100  # coefficients that the paper most likely used; files hold as many or fewer
_OF_THE_MOUTH = 0.5  # share of the mouth's region from which a vertex is an input of mesh-to-speech


class FlameBasis:
    """A FLAME file's expression space.

    path: of the file.  head: with `coefficients` expression directions, its lips marked.  digest:
    of the file, in short. Raises BadHead if the file is not a FLAME model, or has no recognisable
    mouth.
    """

    def __init__(self, path: Path, coefficients: int = COEFFICIENTS):
        self.path = Path(path)
        head = load_head(self.path)
        if not head.identity.shape[2]:
            raise BadHead(
                f"{self.path.name} is no FLAME file: choose one, or leave out --flame to train on "
                f"the bundled head"
            )
        # Its first directions move it most.
        directions = np.ascontiguousarray(head.shapedirs[:, :, :coefficients])
        names = head.expression_names[:coefficients]
        self.head = _with_mouth(
            regions.mark_regions(replace(head, shapedirs=directions, expression_names=names))
        )
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @cached_property
    def retarget(self) -> Retarget:
        """From the bundled head; half a second to make."""
        return to_head(self.head)

    def of_bundled(self, motion: Motion, channels: list[str] | None = None) -> Motion:
        """A motion of the bundled head, whose columns are `channels`, in this space."""
        return self.retarget.to(motion, channels)

    def to_channels(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients [T, b] of a tracked sequence of this file as channels [T, n], padded with 0
        or cut."""
        result = np.zeros((len(coefficients), self.head.channels))
        count = min(coefficients.shape[1], self.head.channels)
        result[:, :count] = np.clip(coefficients[:, :count], -MOST, MOST)
        return result


def _with_mouth(head: Head) -> Head:
    """A head with the vertices that mesh-to-speech reads: those of the mouth's region, and the
    lips' landmarks."""
    of_mouth = head.regions[head.region_names.index("mouth")] > _OF_THE_MOUTH
    landmarks = [
        head.inner_lip_upper_mid,
        head.inner_lip_lower_mid,
        head.mouth_corner_left,
        head.mouth_corner_right,
    ]
    ids = np.union1d(np.flatnonzero(of_mouth), landmarks).astype(np.int32)
    return replace(head, mouth_vertices=ids, mouth_parts=np.zeros(len(ids), np.int32))
