# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech as the engine uses it, in arrays (`networks.speech` says what it computes), and
the mouth that it reads (§4.1): the vertices, and the lip points that the judge sees, of a motion's
expression and jaw."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BadHead
from ..face.head import Head, read_head
from ..face.points import SkinnedPoints
from ..files import part_of
from ..rotation import rotvec_to_matrix
from ..types import Motion
from .network import build_config, check_shapes, Network, read_weights, unusable

# frames that mesh-to-speech reads at once, and the context on either side
_WINDOW, MARGIN = 500, 50
TRAINED_MOUTH = "m2s_mouth.npz"  # file next to mouth2s' weights: the mouth that it was trained on
_LANDMARKS = (
    "inner_lip_upper_mid",
    "inner_lip_lower_mid",
    "mouth_corner_left",
    "mouth_corner_right",
)


class Mouth:
    """Mouth vertices of a head that expression and jaw move; the head's rotation is left out, as it
    does not change what a mouth says.

    lips: indices [4], as `lip_places`.
    """

    def __init__(self, head: Head):
        ids = head.mouth_vertices
        self.lips = lip_places(head)
        self._points = SkinnedPoints.of(head, lambda values: values[ids])
        self._lip_points = self._points.part(self.lips.tolist())

    @property
    def size(self) -> int:
        """Values per frame."""
        return self._points.rest.size

    def vertices(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Offsets float32 [T, n_m, 3] of the vertices from rest, metres; expression [T, n], jaw [T,
        3] rotation vectors in radians."""
        return _offsets(self._points, expression, jaw)

    def lip_points(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Offsets of the four lip points alone, float32 [T, 4, 3], in less time; arguments as for
        `vertices`."""
        return _offsets(self._lip_points, expression, jaw)

    def windows(self, motion: Motion) -> Iterator[tuple[np.ndarray, slice]]:
        """Vertices [t, n_m, 3] of a motion window by window, so that length costs no memory, and
        the frames to keep of each."""
        frames = motion.frames
        for start in range(0, frames, _WINDOW):
            end = min(start + _WINDOW, frames)
            a, b = max(0, start - MARGIN), min(frames, end + MARGIN)
            yield self.vertices(motion.expression[a:b], motion.jaw[a:b]), slice(start - a, end - a)


def lip_places(head: Head) -> np.ndarray:
    """Indices [4] among a head's mouth vertices of the inner lips' middles, upper and lower, and of
    the corners, left and right."""
    return np.array(
        [np.flatnonzero(head.mouth_vertices == getattr(head, name))[0] for name in _LANDMARKS]
    )


def _offsets(points: SkinnedPoints, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """Offsets of points from rest, float32 [T, K, 3]."""
    return (
        points.place(np.asarray(expression, np.float64), rotvec_to_matrix(jaw)) - points.rest
    ).astype(np.float32)


def trained_mouth(folder: Path) -> Head | None:
    """The mouth that the mouth2s in a folder was trained on; None if it is that of the folder's
    head. Raises BadWeights.

    A head sculpted anew moves its lips slightly differently. A network keeps reading the mouth it
    was trained on, moved by the same channels, until it is trained again.
    """
    path = folder / TRAINED_MOUTH
    return stored_head(path) if path.is_file() else None


def stored_head(path: Path) -> Head:
    """The head in a file of weights. Raises BadWeights."""
    try:
        return read_head(path)
    except BadHead as error:
        raise unusable(path, f"is damaged ({error.reason})") from error


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
            **{name: np.int32(place[getattr(head, name)]) for name in _LANDMARKS},
        )


# ---- the network


@dataclass(frozen=True)
class MeshToSpeechConfig:
    """Sizes of a mesh-to-speech network, as its card stores them."""

    inputs: int  # input values per frame
    space: str = "mouth"  # entry of `networks.speech.SPACES`
    units: int = 200
    speaker: int = 256
    width: int = 192
    layers: int = 4
    heads: int = 4
    feedforward: int = 768
    kernel: int = 15  # width of the depthwise convolution, frames of 40 ms
    dropout: float = 0.1


class MeshToSpeech:
    """The mesh-to-speech of a folder of weights."""

    def __init__(self, folder: Path, device: str):
        """Raises BadWeights."""
        path = folder / "m2s"
        arrays, config = read_weights(path, ["unit_log_prior"])
        self.config: MeshToSpeechConfig = build_config(path, config, MeshToSpeechConfig)
        check_shapes(path, arrays, unit_log_prior=(self.config.units,))
        # how often each unit is said, the logarithm [units]
        self.log_prior = arrays["unit_log_prior"]
        self.network = Network(path, device)

    def read(self, mouths: np.ndarray) -> np.ndarray:
        """Mouths [T, n, 3], metres from rest → unit logits [2T, units]."""
        nobody = np.zeros((0, self.config.speaker), np.float32)
        return self.network(mouths=mouths.reshape(1, len(mouths), -1), speakers=nobody)[1][0]

    def speak(self, mouths: np.ndarray, speaker: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mouths [T, n, 3], metres from rest, and a speaker [256] → unit logits [2T, units],
        log-mel [4T, 80]."""
        _, logits, pairs = self.network(
            mouths=mouths.reshape(1, len(mouths), -1), speakers=speaker[None]
        )
        return logits[0], pairs[0].reshape(4 * len(mouths), -1)
