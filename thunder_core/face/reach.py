# SPDX-License-Identifier: GPL-3.0-or-later
"""How far, in millimetres, a motion carries the lips and the rest of the bundled head's face; numpy only."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..errors import BadHead
from ..progress import result
from ..rotation import rotvec_to_matrix
from ..types import Motion
from .head import HEAD_FILE, JAW

NECK_LEVER_MM = 120.0  # from the neck's joint to the lips
UNSEEN_MM = 0.02  # of movement: a fifth of a pixel where a face of 20 cm fills a picture of 2160 lines
EYE_LEVER_MM = 12.0  # from an eyeball's middle to its pupil
_LIP_RINGS, _AROUND = (2, 4, 5), 40  # of the rings of lip vertices: skin's border, red, contact
_EVERY = 2  # of a ring's vertices that are measured


@dataclass(frozen=True)
class Ruler:
    """The points of a head at which motion is measured; metres inside, millimetres outside.

    rest [V, 3] · basis [n, 3V] what expression adds · corrective [9, 3V] what a turned jaw adds · weight [V] share of the
    jaw · joint [3] of the jaw, joint_basis [n, 3] how expression moves it · lips: how many of the points, the first ones,
    are lips · upper, lower: places of the inner lips' middles.
    """

    rest: np.ndarray
    basis: np.ndarray
    corrective: np.ndarray
    weight: np.ndarray
    joint: np.ndarray
    joint_basis: np.ndarray
    lips: int
    upper: int
    lower: int

    def points(self, motion: Motion) -> np.ndarray:
        """Where the points are over a motion, [T, V, 3] millimetres, with neck and eyes still."""
        expression, jaw = np.asarray(motion.expression, np.float64), np.asarray(motion.jaw, np.float64)
        turn = rotvec_to_matrix(jaw)
        swing = turn - np.eye(3)
        shaped = self.rest.ravel() + expression @ self.basis + swing.reshape(-1, 9) @ self.corrective
        shaped = shaped.reshape(len(jaw), -1, 3)
        joint = self.joint + expression @ self.joint_basis
        swung = np.matmul(shaped - joint[:, None], swing.transpose(0, 2, 1))
        return 1e3 * (shaped + self.weight[:, None] * swung)

    def gap(self, points: np.ndarray) -> np.ndarray:
        """Distance of the inner lips over points [T, V, 3] along the face's height, [T] mm above rest; negative: crossed."""
        at_rest = 1e3 * (self.rest[self.upper, 1] - self.rest[self.lower, 1])
        return points[:, self.upper, 1] - points[:, self.lower, 1] - at_rest


_known: list[Ruler] = []
_NEEDED = (
    "expression_names",
    "v_template",
    "mouth_vertices",
    "mouth_parts",
    "inner_lip_upper_mid",
    "inner_lip_lower_mid",
    "weights",
    "J_regressor",
    "shapedirs",
    "posedirs",
)


def prepare() -> Generator[float, None, Ruler]:
    """Read the bundled head, an array at a time: all at once is more than a window may be held. Returns the ruler.

    Raises BadHead.
    """
    if _known:
        return _known[0]
    found = {}
    try:
        with np.load(HEAD_FILE, allow_pickle=False) as archive:
            for place, name in enumerate(_NEEDED):
                found[name] = archive[name]
                yield (place + 1) / len(_NEEDED)
    except (OSError, ValueError, KeyError) as error:
        raise BadHead(f"The bundled head cannot be read ({HEAD_FILE.name}): reinstall the add-on") from error
    if not _known:
        _known.append(_made_of(found))
    return _known[0]


def ruler() -> Ruler:
    """The ruler of the bundled head; its expression columns are the head's. Raises BadHead if that cannot be read."""
    return result(prepare())


def _made_of(head: dict[str, np.ndarray]) -> Ruler:
    skin = head["mouth_vertices"][head["mouth_parts"] == 0].reshape(-1, _AROUND)
    lips = np.concatenate([skin[ring, ::_EVERY] for ring in _LIP_RINGS])
    middles = np.array([int(head[f"inner_lip_{side}_mid"]) for side in ("upper", "lower")])
    lips = np.setdiff1d(lips, middles)
    # Elsewhere each channel is measured where it moves most.
    most = (head["shapedirs"] ** 2).sum(1).argmax(0)
    ids = np.concatenate([middles, lips, np.setdiff1d(most, np.concatenate([lips, middles]))])
    regress = head["J_regressor"][JAW].astype(np.float64)
    near = np.flatnonzero(regress)
    shapes, turned = head["shapedirs"][ids].astype(np.float64), head["posedirs"][ids, :, 9:18].astype(np.float64)
    return Ruler(
        rest=head["v_template"][ids].astype(np.float64),
        basis=shapes.transpose(2, 0, 1).reshape(shapes.shape[2], -1),
        corrective=turned.transpose(2, 0, 1).reshape(9, -1),
        weight=head["weights"][ids, JAW].astype(np.float64),
        joint=regress @ head["v_template"].astype(np.float64),
        joint_basis=np.einsum("v,vcn->nc", regress[near], head["shapedirs"][near].astype(np.float64)),
        lips=2 + len(lips),
        upper=0,
        lower=1,
    )


def places(motion: Motion) -> np.ndarray:
    """Where everything is that a motion moves, [T, V + 2, 3] mm: the ruler's points, and two that stand for the turns of
    the head and of the eyes at their levers."""
    points = ruler().points(motion)
    still = np.zeros((len(points), 3))
    head, eyes = (still if turns is None else np.asarray(turns, np.float64) for turns in (motion.head, motion.eyes))
    return np.concatenate([points, np.stack([NECK_LEVER_MM * head, EYE_LEVER_MM * eyes], 1)], 1)


def grouped(off: np.ndarray) -> np.ndarray:
    """Differences of places [T, V + 2, 3] as millimetres [T, 4]: at the lips, elsewhere on the face, head, eyes."""
    far, lips = np.linalg.norm(off, axis=2), ruler().lips
    return np.stack([far[:, :lips].max(1), far[:, lips:-2].max(1), far[:, -2], far[:, -1]], 1)


def apart(first: Motion, second: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How far two motions of as many frames are from each other, each [T] in millimetres.

    (at the lips, elsewhere on the face, head turns at the lips' distance, eyes at the pupil.)
    """
    return tuple(grouped(places(first) - places(second)).T)
