# SPDX-License-Identifier: GPL-3.0-or-later
"""What a character's mapping does to its face: how far its lips part, how wide its mouth gets, and
what is wrong with it."""

from collections.abc import Mapping as Values
from dataclasses import dataclass, field

import numpy as np

from ...types import CLOSED_MM
from .facing import aside, front, inverted, is_mirrored
from .measured_face import Face, LEAST_MM, LEAST_OPEN_MM, ROW

_FLAT = 1e-3  # points that are so nearly on a line tell no rotation
_STILL_POINTS = 40  # points by which turns of the head are told
_LIDS_MM = 4.0  # by which lids come down that close the eyes of a head of human size
_ASKEW = 25.0  # degrees past an axis from which on bones are said to turn a face askew
_FAULTS = {
    "rest": "The lips are {:.1f} mm apart at rest: set the Range Min of “{}” from {:.2g} to 0",
    "open": "The jaw does not part the lips: what is said is hardly seen",
    "wide": "Nothing makes the mouth wider: “ee” looks like “eh”",
    "round": "Nothing makes the mouth narrower: “oo” looks like “ah”",
    "closed": (
        "The lips do not meet over an open jaw: m, b and p stay open. Map mouthClose, to the jaw "
        "itself at −1 if nothing else closes them"
    ),
    "blink": "Nothing closes the eyes",
    "lids": "Blinks bring the lids down by {:.0f} mm only: the eyes may stay open",
    "opposite": "{} {}: change its target",
    "turned": (
        "The face looks {:.0f}° past an axis of its object, so its bones turn it askew: rotate "
        "mesh and armature to the axis, and apply that"
    ),
}


@dataclass(frozen=True)
class Reach:
    """What was measured of a character. Vectors are in the space of its armature, else its face.

    base: name of that object.  parts: names of the meshes with the lips, nearly always one.  upper,
    lower: vertices in the middle of the lips, counted through these meshes.
    still: vertices of the head that no key moves.  rest: where all these are at rest, in this
    order, [n, 3].
    up: unit vector [3].  mm: millimetres of a unit of that space.
    shown: of the mouths of ROW (gap of the lips, change of the mouth's width; of the blink how far
    lids close), mm.  faults: what is missing or inverted, {mouth: sentence}.  is_mirrored: whether
    keys of the left are on the right.  drawn: how far the animator's own mouths part the lips, mm.
    """

    base: str = ""
    parts: tuple[str, ...] = ()
    upper: tuple[int, ...] = ()
    lower: tuple[int, ...] = ()
    still: tuple[int, ...] = ()
    rest: tuple[tuple[float, ...], ...] = ()
    up: tuple[float, ...] = (0.0, 0.0, 1.0)
    mm: float = 1000.0
    shown: Values[str, tuple[float, float]] = field(default_factory=dict)
    faults: Values[str, str] = field(default_factory=dict)
    is_mirrored: bool = False
    drawn: Values[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, face: Face) -> "Reach":
        """What the mapping does on a face."""
        row = face.row
        shown = {name: (face.gap(at), -face.narrowing(at)) for name, at in row.items()}
        lowered = max((-each @ face.up).max(initial=0.0) for each in face.moved(row["blink"]))
        shown["blink"] = float(lowered) * face.mm, 0.0
        upper, lower = face.lips or (np.arange(0), np.arange(0))
        moving = face.joined(face.moved(dict.fromkeys(face.plan.used, 1.0))).any(axis=1)
        heights = face.points @ face.up
        highest = heights[upper].max(initial=-np.inf)
        still = np.flatnonzero(~moving & (face.far == 0) & (heights > highest))
        still = still[:: 1 + len(still) // _STILL_POINTS]
        ids = [tuple(each.tolist()) for each in (upper, lower, still)]
        return cls(
            face.meter.of.base,
            tuple(face.meter.meshes[part].name for part in face.parts),
            ids[0],
            ids[1],
            ids[2],
            tuple(map(tuple, face.points[[i for each in ids for i in each]].tolist())),
            tuple(face.up),
            face.mm,
            shown,
            _faults_of(face, shown),
            is_mirrored(front(face)),
            {sound: face.gap({sound: 1.0}) for sound in face.sounds},
        )


def _faults_of(face: Face, shown: Values[str, tuple[float, float]]) -> dict[str, str]:
    """What is missing or inverted on a face, {mouth: sentence}; shown: as of `Reach`."""
    row, is_jaw = face.row, not face.sounds or face.row["open"] == ROW["open"]
    held, closes = face.meter.of.held, shown["blink"][0]
    parted = bool(held) and abs(shown["rest"][0]) > CLOSED_MM
    is_fault = {
        "rest": parted,
        "open": shown["open"][0] < LEAST_OPEN_MM and face.is_seen,
        "wide": shown["wide"][1] < LEAST_MM and is_jaw and row["wide"] == ROW["wide"],
        "round": shown["round"][1] > -LEAST_MM and is_jaw and row["round"] == ROW["round"],
        "closed": abs(shown["closed"][0]) > LEAST_OPEN_MM and not parted,
        "blink": closes < _LIDS_MM,
    }
    faults = {name: _FAULTS[name] for name, is_so in is_fault.items() if is_so}
    if LEAST_MM <= closes < _LIDS_MM:
        faults["blink"] = _FAULTS["lids"].format(closes)
    for source, words in inverted(face).items():  # what was mapped by hand, or before the jaw
        if not source.startswith(("jawOpen", "mouthPucker", "eyeBlink")):  # told above
            stem = source.removesuffix("Left").removesuffix("Right")
            faults[stem] = _FAULTS["opposite"].format(stem, words)
    if face.plan.joints and (angle := aside(face)) > _ASKEW:
        faults["turned"] = _FAULTS["turned"].format(angle)
    if parted:
        most = max(held, key=lambda target: abs(face.apart(face.offsets({target: 0.0}))))
        faults["rest"] = _FAULTS["rest"].format(shown["rest"][0], most.name, held[most])
    return faults


def lip_gap(reach: Reach, points: np.ndarray) -> float:
    """How much further apart the lips are than at rest, mm, where that is most, however the head
    is turned.

    points: [n, 3], where the vertices of `reach` (upper, lower, still) are, in the character's
    space.
    """
    rest, upper, lower = np.array(reach.rest), len(reach.upper), len(reach.lower)
    turn = _turn_between(rest[upper + lower :], points[upper + lower :])

    def pairs(each):
        return each[:upper] - each[upper : upper + lower]

    return float(((pairs(points) @ turn - pairs(rest)) @ np.array(reach.up)).max()) * reach.mm


def _turn_between(rest: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] that brings points [n, 3] nearest to where they are now; none where they
    do not tell."""
    if len(rest) < 3:
        return np.eye(3)
    left, sizes, right = np.linalg.svd((rest - rest.mean(0)).T @ (now - now.mean(0)))
    if sizes[1] < _FLAT * sizes[0]:
        return np.eye(3)
    sign = np.sign(np.linalg.det(left @ right))
    return (left @ np.diag([1.0, 1.0, sign]) @ right).T
