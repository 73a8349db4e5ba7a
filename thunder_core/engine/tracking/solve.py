# SPDX-License-Identifier: GPL-3.0-or-later
"""Solves a tracked face's 478 landmarks for a performance of the default head: pose, jaw, lips,
brows, lids and gaze.

The paper's pseudo ground truth in miniature: a person's proportions are removed with a resting face
estimated for each clip, and the remaining displacements are fitted by bounded, regularised least
squares over corresponding points, smooth in time. Finally the inner lips' gap is set to the
measured one, so that closures are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from ...face.head import Head
from ...face.points import SkinnedPoints
from ...rotation import rotvec_to_matrix
from ...types import in_group, JAW_OPEN_RADIANS, Motion, TONGUE
from .mouth import mouth_signals, tracked_mouth
from .spots import (
    BROW_PAIRS,
    CHIN,
    contours,
    CORNERS,
    correspondence,
    INNER_LIPS,
    IRISES,
    LandmarkSpots,
    LOWER_LIDS,
    NOSE_TIP,
    OUTER_EYES,
    RIGID,
    UPPER_LIDS,
)

MM = 1e3  # millimetres per metre
_GROUP_WEIGHT = {  # weights of a millimetre in x, y and z; depth from one camera is a guess
    "lips_outer": (1.0, 1.0, 0.3), "lips_inner": (1.0, 1.2, 0.3), "lids": (0.1, 1.3, 0.0),
    "brows": (0.35, 0.9, 0.1),
    "chin": (0.45, 0.8, 0.15), "cheeks": (0.3, 0.3, 0.1), "nose": (0.35, 0.4, 0.1),
}  # fmt: skip
_GAP_WEIGHT, _CONTACT_WEIGHT = 2.5, 6.0  # weights of a millimetre of lip gap, open and touching
_CONTACT = 0.6  # measured gap below which lips are assumed to touch, mm
_PULL = 6.0  # penalty on each channel, mm² per unit²
_PULL_OF = {  # exceptions: channels that one camera sees badly or that others can replace
    "jawForward": 80.0, "cheekPuff": 60.0, "mouthShrugUpper": 40.0, "mouthShrugLower": 25.0,
    "mouthDimple": 25.0, "mouthPress": 20.0,
    "mouthRoll": 12.0, "mouthLeft": 20.0, "mouthRight": 20.0, "noseSneer": 15.0,
    "cheekSquint": 15.0, "eyeSquint": 25.0, "mouthFrown": 12.0,
    "eyeWide": 20.0, "mouthClose": 10.0, "browOuterUp": 10.0, "browInnerUp": 8.0, "browDown": 8.0,
}  # fmt: skip
_STIFF = 25.0  # penalty on changes between frames, mm² per (unit per frame)²
_STIFF_OF = {
    "eyeBlink": 3.0, "brow": 120.0, "cheek": 120.0, "nose": 120.0, "jawForward": 200.0,
    "mouthDimple": 80.0, "mouthLeft": 80.0, "mouthRight": 80.0,  # noqa: E501
}  # fmt: skip
# penalty on left–right differences, mm² per unit²
_EVEN, _EVEN_OF = (12.0, {"eye": 60.0, "brow": 25.0})
_LIPS_THAT_MEET = (
    "mouthClose",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
)
# channels that are read off the mouth; of those that no landmark shows, none is left
_OF_MOUTH = (
    "mouthClose", "mouthDimple", "mouthFrown", "mouthFunnel", "mouthLowerDown", "mouthPress",
    "mouthPucker", "mouthRoll", "mouthShrug", "mouthSmile", "mouthStretch", "mouthUpperUp",
)  # fmt: skip
# inner lips, upper and lower
_PAIRS = ((13, 14), (82, 87), (312, 317), (81, 178), (311, 402), (80, 88), (310, 318))
_BROW_LANDMARKS = [i for pairs in BROW_PAIRS.values() for pair in pairs for i in pair]
_IRIS_RADIUS_MM = 12.0  # distance from the eye's centre to its iris
_POSE_SMOOTHING = 0.8  # frames
LEAST_FRAMES = 5  # with a face, for a resting face to be known
# Above so many millimetres of trembling, landmarks that do not move by so many times as much are
# smoothed, by so many frames.
_TREMBLES, _MOVES, _STEADY = 0.1, 2.0, 1.0
# People's width by height beside the head's, in the mean of 33; and the power of it by which a
# picture is stretched, since the face mesh keeps to faces as they are.
_USUAL, _FOLLOWS = 0.99, 1.7


@dataclass(frozen=True)
class Solved:
    """A tracked face as a performance.

    motion: of the default head; frames without a face are carried over from their neighbours. seen
    [T] bool: frames with a face.  facing [3]: rotation vector of the head's mean direction before
    the camera, rad (motion.head is relative to it).  lips [T, 2]: measured gap of the inner lips
    and distance of the corners, mm, on a face of the head's size.  residual [T, m]: distance of
    every spot's displacement from the tracked one in the picture plane, mm.  trembles: as of
    `steady`.  stretched: as of `stretch`.
    """

    motion: Motion
    seen: np.ndarray
    facing: np.ndarray
    lips: np.ndarray
    residual: np.ndarray
    trembles: float
    stretched: float


def _similarity(
    x: np.ndarray, y: np.ndarray, w: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scales [T], rotations [T, 3, 3] and shifts [T, 3] that take x [T, k, 3] closest to y [k, 3],
    points weighted by w [k]."""
    w = w / w.sum()
    cx, cy = np.einsum("tkc,k->tc", x, w), w @ y
    a, b = x - cx[:, None], y - cy
    u, s, v = np.linalg.svd(np.einsum("kc,tkd,k->tcd", b, a, w))
    sign = np.sign(np.linalg.det(u @ v))
    s[:, 2] *= sign
    u[:, :, 2] *= sign[:, None]
    rotation = u @ v
    scale = s.sum(1) / np.einsum("tkc,tkc,k->t", a, a, w)
    return scale, rotation, cy - scale[:, None] * np.einsum("tcd,td->tc", rotation, cx)


def stabilise(points: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks [T, 478, 3] without NaN → the same held still and facing front, mm, at the head's
    size; and rotations [T, 3, 3].

    Points fixed to the skull are aligned frame by frame, with less weight for those that move; the
    mean face is then rotated and scaled to the head. rotations: of the head relative to the camera,
    in the head's axes.
    """
    rigid, known = list(RIGID), contours()
    reference, weight = points[len(points) // 2, rigid], np.ones(len(rigid))
    for _ in range(6):
        scale, rotation, shift = _similarity(points[:, rigid], reference, weight)
        held = (
            scale[:, None, None] * np.einsum("tcd,tkd->tkc", rotation, points[:, rigid])
            + shift[:, None]
        )
        reference = np.median(held, 0)
        movement = np.sqrt(((held - reference) ** 2).sum(2).mean(0))
        weight = 1 / (movement + np.median(movement)) ** 2
    still = scale[:, None, None] * np.einsum("tcd,tkd->tkc", rotation, points) + shift[:, None]
    mean = np.median(still, 0)
    ours = MM * known.of(head.v_template.astype(np.float64))
    even = np.array([0.2 if g.startswith("lips") else 1.0 for g in known.group])
    size, turn, _ = _similarity(known.tracked_points(mean)[None], ours, even)
    eyes = [known.landmarks.index((i,)) for i in OUTER_EYES]
    wide = np.linalg.norm(ours[eyes[0]] - ours[eyes[1]]) / np.linalg.norm(
        mean[OUTER_EYES[0]] - mean[OUTER_EYES[1]]
    )
    still = wide * np.einsum("cd,tkd->tkc", turn[0], still - mean[list(OUTER_EYES)].mean(0)) + ours[
        eyes
    ].mean(0)
    return still, np.swapaxes(turn[0] @ rotation, 1, 2)


def _gap(points: np.ndarray, upper: int, lower: int) -> np.ndarray:
    return np.linalg.norm(points[:, upper] - points[:, lower], axis=1)


def _height(points: np.ndarray, upper: int, lower: int) -> np.ndarray:
    """Gap along the face's height, as `opening_mm` measures it: depth is a camera's guess, and a
    rolled lip is not an open mouth."""
    return points[:, upper, 1] - points[:, lower, 1]


def _closed_frames(still: np.ndarray) -> np.ndarray:
    """Frames [k] of a performance [T, 478, 3] mm in which the lips are together: within half a
    millimetre of the least gap."""
    gap = _gap(still, *INNER_LIPS)
    return np.argsort(gap)[: max(5, int((gap <= np.quantile(gap, 0.05) + _CONTACT).sum()))]


def lip_gaps(still: np.ndarray) -> np.ndarray:
    """Gaps of the inner lips [T, pairs] mm, 0 where they are as close as in the person's closed
    mouth.

    Trackers leave a small gap between closed lips, which is subtracted. Lips are open only if both
    distance and height say so.
    """
    shut = _closed_frames(still)
    gaps = []
    for upper, lower in _PAIRS:
        apart, high = _gap(still, upper, lower), _height(still, upper, lower)
        gaps.append(np.minimum(apart - np.median(apart[shut]), high - np.median(high[shut])))
    return np.maximum(np.stack(gaps, 1), 0)


def resting_face(still: np.ndarray) -> np.ndarray:
    """The person's resting face [478, 3] out of a held-still performance [T, 478, 3] mm.

    Mouth and jaw are taken from the frames with closed lips and the highest chin, eyes from the
    frames where they are open.
    """
    shut = _closed_frames(still)
    drop = _height(still[shut], NOSE_TIP[1], CHIN[0])
    # lips also close over an open jaw
    neutral = np.median(still[shut[np.argsort(drop)[: max(5, len(shut) // 3)]]], 0)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS):
        apart = _gap(still, upper[4], lower[4])
        ids = sorted({*upper, *lower})
        neutral[ids] = np.median(still[apart >= np.median(apart)][:, ids], 0)
    neutral[_BROW_LANDMARKS] = np.median(still[:, _BROW_LANDMARKS], 0)
    return neutral


def _lids(
    still: np.ndarray, neutral: np.ndarray, ours: np.ndarray, spots: LandmarkSpots
) -> list[tuple[list[int], list[int], float]]:
    """For each eye: spots of its corners, of all its lids, and by how much displacements from the
    corners are stretched so that a closed eye of the person closes ours.

    Eye corners do not move on a skull: their movement is the tracker's slip, and is subtracted from
    the lids. Trackers leave shut lids a little apart: the least aperture of a clip that has blinks
    is taken for shut.
    """
    eyes = []
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS):
        at = {ids[0]: row for row, ids in enumerate(spots.landmarks)}
        open_ours = np.linalg.norm(ours[at[upper[4]]] - ours[at[lower[4]]])
        open_theirs = np.linalg.norm(neutral[upper[4]] - neutral[lower[4]])
        least = np.quantile(_gap(still, upper[4], lower[4]), 0.005) / open_theirs
        shut = float(np.clip(least, 0.05, 0.4)) if least < 0.5 else 0.2
        lids = sorted({at[i] for i in (*upper, *lower) if i in at})
        eyes.append(
            ([at[upper[0]], at[upper[-1]]], lids, float(open_ours / (open_theirs * (1 - shut))))
        )
    return eyes


def _by_prefix(table: dict[str, float], name: str, otherwise: float) -> float:
    return next((value for key, value in table.items() if name.startswith(key)), otherwise)


class _TrackedFace:
    """The head's spots as a function of the unknowns: expression channels that landmarks can speak
    of, then jaw x and y."""

    def __init__(self, head: Head, spots: LandmarkSpots):
        self.head, self.spots = head, spots
        ids, place = np.unique(spots.vertices, return_inverse=True)
        self.skin = SkinnedPoints.of(head, ids)
        # by corner of the triangle
        self.place, self.shares = (
            place.reshape(spots.vertices.shape).T,
            spots.shares.T[:, :, None],
        )
        # no landmark shows the tongue
        self.used = np.flatnonzero(~in_group(head.expression_names, TONGUE))
        names = [head.expression_names[i] for i in self.used]
        self.count = len(names) + 2
        self.pull = np.array([_by_prefix(_PULL_OF, n, _PULL) for n in names] + [_PULL, 60.0])
        self.stiff = np.array([_by_prefix(_STIFF_OF, n, _STIFF) for n in names] + [_STIFF, 120.0])
        self.even = np.zeros((self.count, self.count))
        for k, name in enumerate(names):
            if name.endswith("Left") and name[:-4] + "Right" in names:
                other = names.index(name[:-4] + "Right")
                self.even[np.ix_([k, other], [k, other])] += _by_prefix(
                    _EVEN_OF, name, _EVEN
                ) * np.array([[1.0, -1.0], [-1.0, 1.0]])
        self.low = np.array([0.0] * len(names) + [-0.08, -0.25])
        self.high = np.array([1.0] * len(names) + [1.4, 0.25])
        self.close = names.index("mouthClose")
        self.rest = self.at(np.zeros((1, self.count)))[0]
        # jaw openings at which the skin's response to the channels is tabled
        self.turns = np.linspace(-0.1, 1.4, 9)
        base, table = np.zeros((9, self.count)), np.empty((9, len(spots), 3, self.count - 2))
        base[:, -2] = self.turns
        for k in range(self.count - 2):
            table[..., k] = self.at(base + np.eye(self.count)[k]) - self.at(base)
        self.table = table

    def parts(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unknowns [T, K] → expression [T, n], jaw [T, 3]."""
        expression, jaw = np.zeros((len(u), self.head.channels)), np.zeros((len(u), 3))
        expression[:, self.used] = u[:, :-2]
        jaw[:, :2] = JAW_OPEN_RADIANS * u[:, -2:]  # so that rotations weigh like channels
        return expression, jaw

    def at(self, u: np.ndarray) -> np.ndarray:
        """Spots [T, m, 3], mm."""
        expression, jaw = self.parts(u)
        corners = self.skin.place(expression, rotvec_to_matrix(jaw))
        return MM * sum(corners[:, ids] * share for ids, share in zip(self.place, self.shares))

    def slopes(self, u: np.ndarray) -> np.ndarray:
        """Derivative of `at` [T, m, 3, K]. The skin is linear in the channels for a fixed jaw; the
        jaw's is a difference quotient."""
        out = np.empty((len(u), len(self.spots), 3, self.count))
        at = np.interp(u[:, -2], self.turns, np.arange(len(self.turns)))
        low = np.minimum(at.astype(int), len(self.turns) - 2)
        share = (at - low)[:, None, None, None]
        out[..., :-2] = (1 - share) * self.table[low] + share * self.table[low + 1]
        now, step = self.at(u), 1e-4
        for k in (-2, -1):
            moved = u.copy()
            moved[:, k] += step
            out[..., k] = (self.at(moved) - now) / step
        return out

    def inside(self, u: np.ndarray) -> np.ndarray:
        """The nearest unknowns that a face can have: bounds, and lips that do not close further
        than the jaw is open."""
        u = np.clip(u, self.low, self.high)
        u[:, self.close] = np.minimum(u[:, self.close], np.maximum(u[:, -2], 0) + 0.02)
        return u


def _normal_equations(face: _TrackedFace, u, target, weight, pairs, gap, chunk: int = 150):
    """Gram matrices [T, K, K] and right sides [T, K] of the rows around u: spots' displacements [T,
    m, 3] and lip gaps [T, p], mm.

    weight [T, m, 3]: of a millimetre of each displacement; gaps have other weights.
    """
    gram, right = np.empty((len(u), face.count, face.count)), np.empty((len(u), face.count))
    for a in range(0, len(u), chunk):
        s = slice(a, a + chunk)
        slope, moved = face.slopes(u[s]), face.at(u[s]) - face.rest
        lip = slope[:, pairs[:, 0], 1] - slope[:, pairs[:, 1], 1]  # [t, p, K]
        now = moved[:, pairs[:, 0], 1] - moved[:, pairs[:, 1], 1]
        touching = np.where(gap[s] < _CONTACT, _CONTACT_WEIGHT, _GAP_WEIGHT)
        wanted = np.where(gap[s] < _CONTACT, 0, gap[s])
        rows = np.concatenate(
            [
                (slope * weight[s, :, :, None]).reshape(len(moved), -1, face.count),
                lip * touching[..., None],
            ],
            1,
        )
        miss = np.concatenate(
            [((target[s] - moved) * weight[s]).reshape(len(moved), -1), (wanted - now) * touching],
            1,
        )
        miss += np.einsum("trk,tk->tr", rows, u[s])
        gram[s] = np.swapaxes(rows, 1, 2) @ rows
        right[s] = np.einsum("trk,tr->tk", rows, miss)
    gram += face.even
    return gram, right


def _least_squares(face: _TrackedFace, gram, right, u, rounds: int = 250):
    """min Σ_t u_t·G_t·u_t − 2 r_t·u_t + pull·u² + stiff·(u_t − u_{t−1})² within bounds, by
    accelerated projected gradients."""
    scale = 1 / np.sqrt(np.einsum("tkk->k", gram) / len(u) + face.pull + 2 * face.stiff)

    def force(v):
        step = np.diff(v, axis=0) * face.stiff
        out = (gram @ v[:, :, None])[:, :, 0] + face.pull * v
        out[1:] += step
        out[:-1] -= step
        return out

    probe = np.random.default_rng(0).normal(size=u.shape)
    for _ in range(25):  # the largest eigenvalue of the preconditioned operator
        probe = scale * force(scale * probe)
        size = np.linalg.norm(probe)
        probe /= size
    rate = scale**2 / (1.1 * size)
    ahead, momentum = u.copy(), 1.0
    for _ in range(rounds):
        new = face.inside(ahead - rate * (force(ahead) - right))
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead, u, momentum = new + (momentum - 1) / grown * (new - u), new, grown
    return u


def _visibility(turned: np.ndarray, ours: np.ndarray) -> np.ndarray:
    """Visibility of each spot to the camera [T, m], 0.1 … 1: less on the side of the face that is
    turned away."""
    # of the skin's normal on a head 80 mm to either side
    sideways = np.arcsin(np.clip(ours[:, 0] / 80.0, -1, 1))
    normal = np.stack([np.sin(sideways), 0 * sideways, np.cos(sideways)], 1)
    towards = np.einsum("tc,mc->tm", turned[:, 2], normal)
    return np.clip((towards - 0.2) / 0.5, 0.1, 1.0)


def meet_gap(head: Head, expression: np.ndarray, jaw: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """The expression [T, n] nearest to the given one whose inner lips are `gap` [T] mm apart (see
    `opening_mm`).

    For a fixed jaw the gap is linear in the channels: the smallest change of the lips' channels
    within 0 … 1 is found by a few projections. A gap out of their range is approximated.
    """
    middle = [head.inner_lip_lower_mid, head.inner_lip_upper_mid]
    skin = SkinnedPoints.of(head, middle)
    names = list(head.expression_names)
    lips = [names.index(n) for n in _LIPS_THAT_MEET]
    x, turn = expression.astype(np.float64).copy(), rotvec_to_matrix(jaw.astype(np.float64))

    def lip_gap(x):
        y = MM * skin.heights(x, turn)
        return y[:, 1] - y[:, 0]

    rest = MM * float(
        head.v_template[head.inner_lip_upper_mid, 1] - head.v_template[head.inner_lip_lower_mid, 1]
    )
    still = lip_gap(np.zeros_like(x))
    # [T, 5] mm per unit
    slope = np.stack([lip_gap(np.eye(x.shape[1])[[k]].repeat(len(x), 0)) - still for k in lips], 1)
    for _ in range(12):
        miss = gap + rest - lip_gap(x)
        at = x[:, lips]
        free = ((miss[:, None] * slope > 0) & (at < 1)) | ((miss[:, None] * slope < 0) & (at > 0))
        usable = np.where(free, slope, 0)
        x[:, lips] = np.clip(
            at + miss[:, None] * usable / np.maximum((usable**2).sum(1, keepdims=True), 1e-6), 0, 1
        )
    return x


def _gaze(still: np.ndarray, neutral: np.ndarray, blink: np.ndarray) -> np.ndarray:
    """Rotation vectors [T, 3] of the eyes from the irises' positions between the eye corners; held
    through blinks."""
    away = []
    for side, iris in enumerate(IRISES):
        corners = [UPPER_LIDS[side][0], UPPER_LIDS[side][-1]]
        away.append(still[:, iris] - still[:, corners].mean(1))
    offset = np.mean(away, 0)[:, :2]
    offset -= np.median(offset[blink < 0.3], 0) if (blink < 0.3).any() else offset.mean(0)
    shut = blink > 0.4
    if shut.any() and not shut.all():
        t = np.arange(len(offset))
        offset = np.stack([np.interp(t, t[~shut], offset[~shut, c]) for c in range(2)], 1)
    angle = np.arcsin(np.clip(gaussian_filter1d(offset, 0.6, axis=0) / _IRIS_RADIUS_MM, -0.6, 0.6))
    return np.stack([-angle[:, 1], angle[:, 0], np.zeros(len(angle))], 1)


def _fill_unseen(x: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Values [k, …] of the seen frames → [T, …], straight lines over the others."""
    t = np.arange(len(seen))
    flat = x.reshape(len(x), -1)
    return np.stack([np.interp(t, t[seen], flat[:, c]) for c in range(flat.shape[1])], 1).reshape(
        len(seen), *x.shape[1:]
    )


def steady(still: np.ndarray) -> tuple[np.ndarray, float]:
    """A performance [T, 478, 3] mm whose landmarks are smoothed where the tracker trembles, and by
    how many mm it does: what a frame differs from the mean of its neighbours, in the median, at
    points of the skull. Landmarks that move by more than that stay as they are."""
    if len(still) < LEAST_FRAMES:
        return still, 0.0
    off = np.median(np.abs(still[1:-1] - (still[:-2] + still[2:]) / 2)[..., :2], 0)
    trembles = float(np.median(off[list(RIGID)]))
    rows = np.flatnonzero((trembles > _TREMBLES) & (off.max(1) < _MOVES * trembles))
    result = still.copy()
    result[:, rows] = gaussian_filter1d(still[:, rows], _STEADY, axis=0)
    return result, trembles


def stretch(still: np.ndarray, head: Head) -> float:
    """By how much a picture is too wide, judged by the face [T, 478, 3] in it, held still: .91 to
    1.19 for 33 people, .82 for the head where it is squeezed by 1.2."""
    known = contours()
    is_rigid = [not group.startswith("lips") for group in known.group]
    places = known.tracked_points(np.median(still, 0)), MM * known.of(head.v_template.astype(float))
    theirs, ours = (each[is_rigid, :2] - each[is_rigid, :2].mean(0) for each in places)
    wide, high = (theirs * ours).sum(0) / (ours**2).sum(0)
    return float((wide / high / _USUAL) ** _FOLLOWS)


def solve(head: Head, points: np.ndarray, rounds: int = 3) -> Solved:
    """Landmarks [T, 478, 3] (our axes, NaN without a face, 25 fps) → the performance of the default
    head that follows them."""
    seen = np.isfinite(points).all((1, 2))
    still, turned = stabilise(points[seen], head)
    gap, across = lip_gaps(still), still[:, CORNERS[0], :2] - still[:, CORNERS[1], :2]
    still, trembles = steady(still)
    neutral = resting_face(still)
    spots = correspondence(head, neutral)
    face = _TrackedFace(head, spots)
    rest = spots.tracked_points(neutral)
    target = spots.tracked_points(still) - rest
    for corners, rows, scale in _lids(still, neutral, face.rest, spots):
        target[:, rows] = scale * (target[:, rows] - target[:, corners].mean(1, keepdims=True))
    weight = _visibility(turned, face.rest)[:, :, None] * np.array(
        [_GROUP_WEIGHT[g] for g in spots.group]
    )
    pairs = np.array(
        [[spots.landmarks.index((a,)), spots.landmarks.index((b,))] for a, b in _PAIRS]
    )

    u = np.zeros((len(still), face.count))
    trust = np.ones((len(still), 1, 1))
    for _ in range(rounds):
        gram, right = _normal_equations(face, u, target, trust * weight, pairs, gap)
        u = _least_squares(face, gram, right, u)
        miss = np.sqrt((((face.at(u) - face.rest - target) * weight) ** 2).mean((1, 2)))
        # frames no face can make: the tracker slipped
        trust = np.clip(2 * np.median(miss) / miss, 0.2, 1)[:, None, None]
    moved = face.at(u) - face.rest
    expression, jaw = face.parts(u)
    shown, turn = tracked_mouth().read(mouth_signals(still) - mouth_signals(neutral[None]))
    lips = np.array([name.startswith(_OF_MOUTH) for name in head.expression_names])
    expression[:, lips], jaw[:, 0] = shown[:, lips], turn[:, 0]
    expression = meet_gap(head, expression, jaw, np.where(gap[:, 0] < _CONTACT / 2, 0, gap[:, 0]))

    mean = Rotation.from_matrix(turned).mean()
    nod = gaussian_filter1d(
        _fill_unseen((mean.inv() * Rotation.from_matrix(turned)).as_rotvec(), seen),
        _POSE_SMOOTHING,
        axis=0,
    )
    blink = expression[:, [head.channel("eyeBlinkLeft"), head.channel("eyeBlinkRight")]].mean(1)
    eyes = _gaze(still, neutral, blink)
    as32 = np.float32
    motion = Motion(
        _fill_unseen(expression, seen).astype(as32),
        _fill_unseen(jaw, seen).astype(as32),
        nod.astype(as32),
        _fill_unseen(eyes, seen).astype(as32),
    )
    residual = np.linalg.norm((moved - target)[:, :, :2], axis=2)
    lips = np.stack([gap[:, 0], np.linalg.norm(across, axis=1)], 1)
    facing, lips = mean.as_rotvec(), _fill_unseen(lips, seen).astype(as32)
    return Solved(motion, seen, facing, lips, residual, trembles, stretch(still, head))
