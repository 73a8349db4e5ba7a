# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the bundled head's shapes on another neutral face: what each channel does is carried over
from our skin, laid over that face by 24 marked places; lids slide over the eyeball, teeth, tongue
and lashes follow; numpy only."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ...errors import BadHead
from ...filters import ease, slices
from ...rotation import rotvec_to_matrix
from ...types import LIP_CLOSE
from ..head import load_head
from ..regions import distances, LIP_AROUND, LOWER, pieces, UPPER, Warp
from . import dots
from .eyes import Eye, eye_of
from .joining import join, open_seams
from .judging import left_open, MouthView, seen_of, torn
from .laying import BALL_MM, GAZE, lay, Model, model, NORMALS_MM
from .surface import Surface

# millimetres of our head, whose size the other face is brought to
_AROUND = 30.0  # how far from our skin a face is touched
_BELOW, _BEHIND = 60.0, 130.0  # under the chin and behind the nose tip: what is a body or a back
_TRUSTED = 5.0  # farther from our skin nothing is carried over, but filled in
_LEAP_MM = 1.5  # by which one spot is off while its neighbours are not: another sheet
_SMOOTH_MM = 3.0  # over which what is carried over is evened
_SIDE_MM = 14.0  # distance that upper and lower lip (or lid) count as apart, over 2
_RING = 4  # ring of the lips' vertices that lies in the visible line between them
_CLEAR, _LIP = 1.5, 9.0  # so far above or below that line skin surely belongs to one lip
_MOUTH, _FADES = 45.0, (10.0, 25.0)  # reach of the labels of lips, and where they fade
_CORNER = 4.0  # before a corner labels begin to fade
_MEETS = (4.0, 14.0)  # about the lips' line, where they are made to meet, and where that fades
# about the lips' middle: what lies behind and in it is teeth or tongue
_MOUTH_BOX = (38.0, 40.0, 80.0)
_TORN = (1.5, 20.0)  # of the area that is torn on ours, and mm² more, that may be torn
_RIGID_MM = 80.0  # what is wider and above the mouth is glasses or hair, and stays
_LOOSE_MM = 25.0  # what is farther from the skin stays
_LEAST_VERTICES = 300
_TONGUE = 3  # of `Model.kind`
_LINES_MOUTH = 0.25  # share of each of these in what is gums of both jaws and tongue in one piece
_SIDES = ("Left", "Right")
_NO_MOUTH = (
    "No mouth opens between the dots “upper lip, edge” and “lower lip, edge”: drag them onto the "
    "lips, or cut the skin open along the lips' line first"
)
# strength of shapes that people combine, share of a triangle's area below which it counts as folded
# in a pose, and most times that folds are evened
_BOTH, _FOLDED, _ROUNDS = 0.5, 0.06, 16
# most times that a lip comes before teeth, and that its inside goes back, how far behind the
# outside, and the steps to what lies beside it that it takes along; a smaller hole is none, mm²
_BACK_ROUNDS, _BACK_MM, _BACK_SPREAD, _BACK_MM2 = 4, 0.3, 3, 1.0
_BACK_PIXELS = 6  # of teeth that show
_BALL_TRIANGLES, _BALL_OFF = 60, 0.08  # what a ball has at least, and of its radius may be off
_ROUND = 0.25  # of its size, by which a disc may be wider than it is high
_EYES_MM, _EYE_OFF_MM = (6.0, 45.0), 25.0  # radii of eyes, and how far they may be from ours


# what may be wrong with a shape: it tears the skin, leaves the eye open, shows the skin's back, or
# no eye was found that it could shut
TORN, OPEN, HOLE, NO_EYE = FAULTS = ("torn", "open", "hole", "no eye")
_OPEN_MM, _HOLE_MM2 = 0.5, 10.0  # larger ones are told
_OPEN_STEP_MM = 0.2  # pixels in which these are looked for
_BESIDE = 0.3  # of an eye's width, within which of its dots skin is shown to have no eye


@dataclass(frozen=True)
class Made:
    """Shapes that were made. names: of n keys.  moves [n, V, 3]: in the mesh's own axes and unit.

    is_eye [V]: 1 for the left eye's ball, 2 for the right one's, 0 elsewhere.  faults: of FAULTS
    those that have it, and at which vertices [N].
    """

    names: tuple[str, ...]
    moves: np.ndarray
    is_eye: np.ndarray
    faults: dict[str, dict[str, np.ndarray]]


def make(
    points: np.ndarray,
    triangles: np.ndarray,
    marks: np.ndarray,
    say: Callable[[float, str], None] = lambda fraction, message: None,
) -> Made:
    """The shapes of a neutral face.

    points [V, 3], x to the face's left, y up, z forward, in any unit · triangles [F, 3] · marks
    [24, 3], the places of `dots.NAMES`. Raises BadHead with what cannot be done.
    """
    ours = model()
    _check(points, triangles)
    dots.check(marks, ours.skin.points[ours.dots])
    warp = Warp.rigid(marks, ours.skin.points[ours.dots])
    face, marked = warp(points), warp(marks)
    place, triangles, marked = _joined(face, triangles, marked)
    piece = pieces(len(face), triangles)
    skin, ids = skin_of(face, triangles, piece, marked)
    found = [each for each in balls(face, triangles, piece) if _EYES_MM[0] < each[1] < _EYES_MM[1]]
    eyeballs = [_ball(found, ours, marked, side) for side in (0, 1)]
    eyes = []
    for side, (middle, radius, _) in enumerate(eyeballs):
        eyes.append(eye := eye_of(skin, marked[dots.LIDS[side]], middle, radius))
        if eye is not None:
            marked[dots.LIDS[side]] = eye.corners[[side, 1 - side, 2, 3]]
    laid = lay(ours, skin, marked, lambda done: say(0.05 + 0.45 * done, "Laying the face"))
    say(0.55, "Carrying shapes over")
    moved, let_meet = _carried(ours, laid, skin, eyes)
    for name, eye in _open(eyes):
        moved[ours.names.index("eyeBlink" + name)] = eye.shut(skin.points, skin)
        moved[ours.names.index("eyeWide" + name)] = eye.widened(skin.points, skin)
    seen = seen_of(skin, marked)
    unfold(skin, moved, seen, ours.names, eyes)
    let_meet(moved)  # what was evened parts lips less
    middle = laid[np.concatenate(_seam(ours))].mean(0)
    view = MouthView.of(skin, marked[dots.IS_MOUTH], _in_mouth(face, triangles, piece, ids, middle))
    backs = {
        name: _hide_inside(view, move, seen)
        for name, move in zip(ours.names, moved)
        if name.startswith("mouth") and name != LIP_CLOSE
    }
    names, moves = list(ours.names), np.zeros((len(ours.names), len(face), 3), np.float32)
    moves[:, ids] = moved
    say(0.85, "Moving teeth, tongue and lashes")
    is_eye = np.zeros(len(face), np.uint8)
    for side, (_, _, ball) in enumerate(eyeballs):
        is_eye[ball] = 1 + side
    of_eyes = eyes, is_eye
    lashes = _parts(ours, laid, (triangles, face, piece), middle, (skin, ids), of_eyes, moves)
    middles = [middle for middle, _, _ in eyeballs]
    gaze_names, gaze = _gaze(face, is_eye, middles, eyes, (skin, ids), lashes)
    faults = {
        TORN: _torn(ours, skin, moved, seen),
        OPEN: _left_open(face, triangles, moves, names, (skin, ids), is_eye, eyes),
        HOLE: _holes(ours, backs),
        NO_EYE: {
            "eyeBlink" + _SIDES[side]: _lids_near(skin, marked[dots.LIDS[side]])
            for side, eye in enumerate(eyes)
            if eye is None
        },
    }
    faults = {
        fault: {name: np.flatnonzero(np.isin(place, ids[spots])) for name, spots in named.items()}
        for fault, named in faults.items()
    }
    names, moves = names + gaze_names, np.concatenate([moves, gaze])[:, place]
    moves = moves @ np.linalg.inv(warp.turn).astype(np.float32)
    return Made(tuple(names), moves, is_eye[place], faults)


# ---- what belongs to the face


def _joined(face, triangles, marked) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which vertex each becomes where seams of a face are joined, [V], its triangles then, [F, 3],
    and the marked places with those inside the lips on these. Seams that would shut the mouth stay
    open. Raises BadHead where there is none."""
    seams, beside = open_seams(face, triangles)
    for is_last in (False, True):
        place = join(len(face), seams)
        joined = place[triangles]
        skin, _ = skin_of(face, joined, pieces(len(face), joined), marked)
        try:
            marked = marked.copy()
            marked[dots.INNER_LIPS] = skin.points[inner_lips(skin, marked)]
            return place, joined, marked
        except BadHead:
            if is_last or not len(seams):
                raise
            seams = seams[~_between_lips(face, triangles, seams, beside, marked)]
    raise AssertionError


def _between_lips(face, triangles, seams, beside, marked) -> np.ndarray:
    """Which seams [S, 2, 2] join what faces ahead above the line between the lips to what does
    below it; beside [S, 2]: their triangles."""
    mouth = marked[dots.IS_MOUTH]
    low, high = mouth.min(0) - _LIP, mouth.max(0) + _LIP
    ends = face[seams[:, 0]]
    is_level = np.abs(np.diff(ends, axis=1)[:, 0, 0]) > np.abs(np.diff(ends, axis=1)[:, 0, 1])
    ahead = Surface(face, triangles).corner_normals[beside][..., 2] > 0
    return is_level & ahead.all(1) & ((ends > low) & (ends < high)).all((1, 2))


def skin_of(face, triangles, piece, marked) -> tuple[Surface, np.ndarray]:
    """The part of the skin that may move, and its vertices. Raises BadHead without one."""
    used = np.zeros(len(face), bool)
    used[triangles] = True
    near = [int(np.where(used, ((face - mark) ** 2).sum(1), np.inf).argmin()) for mark in marked]
    labels, counts = np.unique(piece[near], return_counts=True)
    if counts.max() < len(marked) // 2:
        raise BadHead(
            "The dots lie on several pieces that are not joined: move them onto the skin, or "
            "join its pieces with Merge by Distance"
        )
    chin, nose = marked[dots.NAMES.index("chin")], marked[dots.NAMES.index("nose tip")]
    keep = (piece == labels[counts.argmax()]) & (face[:, 1] > chin[1] - _BELOW)
    keep &= face[:, 2] > nose[2] - _BEHIND
    skin, ids = Surface(face, triangles).part(keep)
    _check(skin.points, skin.triangles)
    return skin, ids


def _check(points: np.ndarray, triangles: np.ndarray) -> None:
    """Raise BadHead where a mesh is no face."""
    count = len(np.unique(triangles))
    if count < _LEAST_VERTICES:
        raise BadHead(
            f"The face has {count} vertices, too few for lips and lids: subdivide it first"
        )
    if not np.isfinite(points).all():
        raise BadHead("Some vertices of the face are nowhere: delete them first")
    if not np.ptp(points[np.unique(triangles)], axis=0).all():
        raise BadHead("The mesh is flat, no face: choose the mesh of the face")


def inner_lips(skin: Surface, marked: np.ndarray) -> np.ndarray:
    """The lowest vertex of the upper lip's front and the highest of the lower one's, [2]. Raises
    BadHead where skin that faces ahead joins the marked places [24, 3] on the edges of the lips."""
    edges = marked[[dots.NAMES.index(f"{lip} lip, edge") for lip in ("upper", "lower")]]
    corners = marked[[dots.NAMES.index(f"mouth corner, {side}") for side in ("left", "right")]]
    beside, width = np.abs(skin.points[:, 0] - edges[:, 0].mean()), np.ptp(corners[:, 0])
    is_near = (beside < 0.25 * width) & (skin.normals[:, 2] > 0)
    is_near &= skin.points[:, 2] > edges[:, 2].min() - _LIP
    joined = pieces(len(skin.points), skin.triangles[is_near[skin.triangles].all(1)])
    near = np.where(is_near, distances(edges, skin.points), np.inf).argmin(1)
    if joined[near[0]] == joined[near[1]]:
        raise BadHead(_NO_MOUTH)
    result = []
    for vertex, sign in zip(near, (1, -1)):
        # as far aside the lips' line is higher or lower
        among = is_near & (joined == joined[vertex]) & (beside < 0.02 * width + beside[vertex])
        result.append(np.where(among, sign * skin.points[:, 1], np.inf).argmin())
    return np.array(result)


def balls(points: np.ndarray, triangles: np.ndarray, piece: np.ndarray) -> list[tuple]:
    """(middle [3], radius, vertices) of all loose pieces that are balls, but for a bulge."""
    found = []
    labels, places = np.unique(piece[triangles[:, 0]], return_inverse=True)
    for label in labels[np.bincount(places.ravel()) >= _BALL_TRIANGLES]:
        ids = np.flatnonzero(piece == label)
        each = points[ids]
        wide = np.ptp(each, axis=0)
        if wide.min() < 0.5 * wide.max():
            continue
        start = each.mean(0)
        away = each - start
        system = np.c_[2 * away, np.ones(len(away))]
        middle, rest = np.split(np.linalg.lstsq(system, (away**2).sum(1), rcond=None)[0], [3])
        radius = np.sqrt(max(float(rest[0] + (middle**2).sum()), 1e-12))
        off = np.abs(np.linalg.norm(away - middle, axis=1) - radius)
        if np.quantile(off, 0.8) < _BALL_OFF * radius:
            found.append((middle + start, radius, ids))
    return found


def _irises(points: np.ndarray, triangles: np.ndarray, piece: np.ndarray) -> list[tuple]:
    """(middle [3], radius, vertices) of all loose pieces that are round discs from the front, as
    eyes of drawn faces are."""
    found = []
    for label in np.unique(piece[triangles[:, 0]]):
        ids = np.flatnonzero(piece == label)
        wide, high, deep = np.ptp(points[ids], axis=0)
        if abs(wide - high) < _ROUND * max(wide, high) and deep < min(wide, high):
            found.append((points[ids].mean(0), wide / 2, ids))
    return found


def eyes_among(found: list[tuple], points: np.ndarray) -> np.ndarray | None:
    """Middles [2, 3] of the left and the right eye: the foremost pair of equal balls side by side
    on a head, as wide as points [V, 3] above them are; None without one."""
    best, result = -np.inf, None
    for left, size, _ in found:
        above = points[points[:, 1] > left[1], 0]  # of a body none
        width = np.ptp(above) if len(above) else 0.0
        for right, other, _ in found:
            apart = left[0] - right[0]
            level = abs(left - right)[1:].max() < 0.25 * apart
            is_pair = abs(size - other) < 0.1 * size and 0.03 * width < size < 0.3 * width
            if is_pair and level and 1.2 * size < apart < width and left[2] > best:
                best, result = left[2], np.array([left, right])
    return result


def guess(
    points: np.ndarray,
    triangles: np.ndarray,
    find: Callable[..., np.ndarray | None] = lambda *_: None,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Where the 24 places are likely to be on an upright face, [24, 3], where it looks, [3], and
    whether it was found, upright, in a picture: `find` gives of points, triangles and places by
    proportions the places in the picture, [24, 2], None without a face. Raises BadHead."""
    _check(points, triangles)
    triangles = join(len(points), open_seams(points, triangles)[0])[triangles]
    piece = pieces(len(points), triangles)
    # the largest piece is neither lashes nor glasses
    skin = triangles[piece[triangles[:, 0]] == np.bincount(piece[triangles[:, 0]]).argmax()]
    ahead = dots.ahead(points, triangles)
    turn = np.stack([np.cross([0, 1, 0], ahead), [0, 1, 0], ahead], 1)
    turned = points @ turn
    eyes = eyes_among(balls(turned, triangles, piece), turned)
    if eyes is None:
        eyes = eyes_among(_irises(turned, triangles, piece), turned)
    places = dots.guess(load_head(), turned, skin, eyes)
    found, is_seen = find(turned, triangles, places), False
    if found is not None:
        seen = dots.on_front(np.c_[found, places[:, 2]], turned, skin)
        # faces are seen in heads upside down, too
        if is_seen := dots.is_upright(seen, places):
            # lids lie nearer to where they belong by eyeballs
            places = np.where((dots.IS_LID & (eyes is not None))[:, None], places, seen)
    if not is_seen and (cut := dots.by_slit(places, turned, skin)) is not None:
        places = cut
    return places @ turn.T, ahead, is_seen


def _ball(found: list[tuple], ours: Model, marked, side) -> tuple[np.ndarray, float, np.ndarray]:
    """(middle [3], radius, vertices) of an eye: of the balls where ours would be, the largest; its
    shells are vertices too. Where there is none, as ours."""
    own, lids = ours.skin.points[ours.dots][dots.LIDS[side]], marked[dots.LIDS[side]]
    size = np.linalg.norm(lids[0] - lids[1]) / np.linalg.norm(own[0] - own[1])
    middle = lids.mean(0) + size * (ours.eyes[side] - own.mean(0))
    near = [each for each in found if np.linalg.norm(each[0] - middle) < _EYE_OFF_MM]
    if not near:
        return middle, float(size) * BALL_MM, np.arange(0)
    first = max(near, key=lambda each: each[1])
    return first[0], first[1], np.concatenate([each[2] for each in near])


def _open(eyes: list[Eye | None]) -> list[tuple[str, Eye]]:
    """The eyes that are open, with the names of their sides."""
    return [(side, eye) for side, eye in zip(_SIDES, eyes) if eye is not None]


# ---- carrying over


def _seam(ours: Model) -> tuple[np.ndarray, np.ndarray]:
    """The visible line between the lips, from the right corner to the left: vertices of our skin on
    the upper lip's edge and on the lower one's, [N] each."""
    head_lips = ours.lips[_RING]
    upper = np.r_[head_lips[0], head_lips[UPPER], head_lips[LIP_AROUND // 2]]
    lower = np.r_[head_lips[0], head_lips[LOWER], head_lips[LIP_AROUND // 2]]
    return upper[::-1], lower[::-1]


def _sides(surface: Surface, seam, eyes: list[Eye | None], is_checked: bool = False) -> np.ndarray:
    """Which lip or lid a vertex belongs to, [V]: 1 above, −1 below, between them farther off.
    Raises BadHead where is_checked and both lips are one skin."""
    points = surface.points
    upper, lower = seam
    middle = (upper + lower) / 2
    x = points[:, 0]
    line = [np.interp(x, middle[:, 0], middle[:, axis]) for axis in range(3)]
    above = points[:, 1] - np.interp(x, upper[:, 0], upper[:, 1])
    below = np.interp(x, lower[:, 0], lower[:, 1]) - points[:, 1]
    width = middle[-1, 0] - middle[0, 0]
    within = np.abs(x - middle[:, 0].mean()) < 0.45 * width
    front = within & (surface.normals[:, 2] > 0) & (points[:, 2] > line[2] - 4.0)
    is_upper = front & (above > _CLEAR) & (above < _LIP)
    is_lower = front & (below > _CLEAR) & (below < _LIP)
    far = np.sqrt(((points[:, None] - middle[::2]) ** 2).sum(2)).min(1)
    label = surface.filled(is_upper.astype(float) - is_lower, is_upper | is_lower | (far > _MOUTH))
    half = front & (np.abs(x - middle[:, 0].mean()) < 0.25 * width)
    side = np.where(above < _LIP, np.where(below < _LIP, label, -1.0), 1.0)
    start, end = surface.edges
    crosses = half[start] & half[end] & (side[start] > 0) & (side[end] <= 0)
    if is_checked and (crosses.any() or not (is_upper.any() and is_lower.any())):
        raise BadHead(_NO_MOUTH)
    label *= 1.0 - ease(far, *_FADES)
    aside = np.abs(x - middle[:, 0].mean()) - width / 2
    label *= 1.0 - ease((aside + _CORNER) / (1.5 * _CORNER))
    for _, eye in _open(eyes):
        label += eye.side(points)
    return np.clip(label, -1.0, 1.0)


def _features(surface: Surface, sides: np.ndarray) -> np.ndarray:
    return np.c_[NORMALS_MM * surface.normals, _SIDE_MM * sides]


def _carried(
    ours: Model, laid, skin: Surface, eyes
) -> tuple[np.ndarray, Callable[[np.ndarray], None]]:
    """How far each channel moves the vertices of a face, [n, K, 3]; what changes such movements so
    that lips part as ours."""
    over = Surface(laid, ours.skin.triangles)
    upper, lower = _seam(ours)
    own_sides = _sides(ours.skin, [ours.skin.points[each] for each in (upper, lower)], ours.lids)
    sides = _sides(skin, [laid[each] for each in (upper, lower)], eyes, True)
    spots = over.nearest(skin.points, _features(skin, sides), _features(over, own_sides))
    off = spots.of(laid) - skin.points
    far = np.linalg.norm(off, axis=1)
    moved = spots.of(np.moveaxis(ours.moved, 0, 1))  # [K, n, 3]
    moved[far > _AROUND] = 0.0
    leaps = np.linalg.norm(off - skin.around(off), axis=1)
    trusted = (far > _AROUND) | ((far < _TRUSTED) & (leaps < _LEAP_MM))
    moved = skin.filled(moved, trusted)
    start, end = skin.edges
    edge = np.median(np.linalg.norm(skin.points[start] - skin.points[end], axis=1))
    moved = skin.smoothed(moved, int(min(_SMOOTH_MM / edge, 4.0) ** 2))
    # how lips part where they meet
    parts = np.moveaxis(ours.moved[:, upper] - ours.moved[:, lower], 0, 1)
    let_meet = partial(_let_meet, over, skin, sides, (upper, lower), parts)
    moved = np.moveaxis(moved, 1, 0).astype(np.float32)
    let_meet(moved)
    return moved, let_meet


def _let_meet(over: Surface, skin: Surface, sides, seam, parts, moved) -> None:
    """Change movements [n, K, 3] near the line between the lips so that along it these part by
    [N, n, 3]: where ours meet, they do."""
    moved = np.moveaxis(moved, 0, 1)

    def at(ids, side):
        wanted = np.concatenate(
            [NORMALS_MM * over.normals[ids], np.full((len(ids), 1), _SIDE_MM * side)], 1
        )
        return skin.nearest(over.points[ids], wanted, _features(skin, sides)).of(moved)

    wrong = at(seam[0], 1.0) - at(seam[1], -1.0) - parts
    middle = (over.points[seam[0]] + over.points[seam[1]]) / 2
    far = np.sqrt(np.maximum(distances(skin.points, middle), 0.0)).min(1)
    near = np.flatnonzero(far < _MEETS[1])
    place = np.interp(skin.points[near, 0], middle[:, 0], np.arange(len(middle)))
    first = np.minimum(place.astype(int), len(middle) - 2)
    share = (place - first)[:, None, None]
    by = (1 - share) * wrong[first] + share * wrong[first + 1]
    fades = 1.0 - ease(far[near], *_MEETS)
    moved[near] -= (0.5 * sides[near] * fades)[:, None, None] * by


# ---- parts that are no skin


def _is_in_mouth(centre: np.ndarray) -> bool:
    """Whether the middle of a piece, from that of the lips, [3], is teeth or tongue."""
    return bool((np.abs(centre) < _MOUTH_BOX).all() and centre[2] < 0)


def _in_mouth(face, triangles, piece, ids, middle) -> Surface:
    """Teeth and tongue; middle [3]: of the lips."""
    kept = [
        label
        for label in np.unique(piece[triangles[:, 0]])
        if label != piece[ids[0]] and _is_in_mouth(face[piece == label].mean(0) - middle)
    ]
    return Surface(face, triangles[np.isin(piece[triangles[:, 0]], kept)])


def _parts(ours: Model, laid, of_face, middle, of_skin, of_eyes, moves) -> list[np.ndarray]:
    """Let each loose piece follow: teeth and tongue as ours, others the skin near them. Returns the
    vertices of those that hang on lids of the left and of the right eye, as lashes."""
    triangles, face, piece = of_face
    skin, ids = of_skin
    eyes, is_eye = of_eyes
    lashes: list[list[np.ndarray]] = [[np.arange(0)], [np.arange(0)]]
    inner = np.flatnonzero(ours.kind)
    kinds = ours.kind[inner]
    carried = ours.points[inner]
    carried = carried + _near(ours.skin.points, carried, laid - ours.skin.points)
    for label in np.unique(piece[triangles[:, 0]]):
        part = np.flatnonzero(piece == label)
        if label == piece[ids[0]] or is_eye[part].any():
            continue
        points, centre = face[part], face[part].mean(0) - middle
        if _is_in_mouth(centre):
            # A piece is of one jaw, or the tongue: parts of it that followed another would tear it.
            # Only what lines the whole mouth is of all.
            votes = _near(carried, points, np.eye(4)[kinds]).mean(0)
            kind = votes.argmax()
            lines_mouth = kind != _TONGUE and votes[1:].min() > _LINES_MOUTH
            which = kinds > 0 if lines_mouth else kinds == kind
            among = ours.moves[:, inner[which]]
            if lines_mouth or kind == _TONGUE:
                moved = _near(carried[which], points, np.moveaxis(among, 0, 1))
                moves[:, part] = np.moveaxis(moved, 1, 0)
            else:
                moves[:, part] = _as_one(carried[which], among, points)
        elif np.ptp(points[:, 0]) < _RIGID_MM or centre[1] < 0:
            hung = _near(skin.points, points, np.moveaxis(moves[:, ids], 0, 1), _LOOSE_MM)
            moves[:, part] = np.moveaxis(hung, 1, 0)
            for side, eye in _open(eyes):
                if eye.is_rim(points).any():  # and is no brow
                    moves[ours.names.index("eyeBlink" + side), part] = eye.shut(points)
                    moves[ours.names.index("eyeWide" + side), part] = eye.widened(points)
                    lashes[_SIDES.index(side)].append(part)
    return [np.concatenate(each) for each in lashes]


def _as_one(points: np.ndarray, moves: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """How places [Q, 3] move that are fixed to points [P, 3], [K, Q, 3]: by the turn and shift
    nearest to the movements of these, [K, P, 3] (Kabsch 1976)."""
    middle, shift = points.mean(0), moves.mean(1)
    off = points - middle
    u, _, vt = np.linalg.svd(np.einsum("pi,kpj->kij", off, off + moves - shift[:, None]))
    u[..., -1] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return (queries - middle) @ (u @ vt - np.eye(3)) + shift[:, None]


def _near(points, queries, values, reach: float = np.inf) -> np.ndarray:
    """What is given at points [P, 3] by values [P, …], at queries [Q, 3]: of the six nearest,
    nothing beyond a reach."""
    found, step = [], max(1, 2_000_000 // len(points))
    for rows in slices(len(queries), step):
        far = np.maximum(distances(queries[rows], points), 0.0)
        ids = np.argpartition(far, 6, axis=1)[:, :6]
        far = np.take_along_axis(far, ids, 1)
        share = 1.0 / (far + 1.0)
        share *= (far.min(1) < reach**2)[:, None] / share.sum(1, keepdims=True)
        found.append(np.einsum("qk,qk...->q...", share, values[ids]))
    return np.concatenate(found)


def _gaze(face, is_eye, middles, eyes, of_skin, lashes) -> tuple[list[str], np.ndarray]:
    """Names and moves of the keys by which the eyes look round, and their lids follow."""
    names, moves = [], []
    skin, ids = of_skin
    for side, word in enumerate(_SIDES):
        ball, eye = np.flatnonzero(is_eye == 1 + side), eyes[side]
        for name, (up, across) in GAZE.items() if len(ball) else ():
            angles = np.array([[up, across * (1, -1)[side], 0.0]])
            turn = rotvec_to_matrix(angles)[0]
            each = np.zeros((len(face), 3), np.float32)
            if eye is not None and up:
                each[lashes[side]] = eye.followed(name, face[lashes[side]])
                each[ids] = eye.followed(name, skin.points, skin)
            away = face[ball] - middles[side]
            each[ball] = away @ turn.T - away
            names.append(name + word)
            moves.append(each)
    return names, np.array(moves, np.float32).reshape(len(names), len(face), 3)


# ---- judging


# Each of these gives names, and the vertices of the skin where they have a fault.


def _torn(ours: Model, skin: Surface, moved: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """The movements [n, K, 3] that tear more of the skin than ours."""
    ours_seen, result = seen_of(ours.skin, ours.skin.points[ours.dots]), {}
    for name, move, own in zip(ours.names, moved, ours.moved):
        tears, area = torn(skin, move, seen)
        if area > _TORN[0] * torn(ours.skin, own, ours_seen)[1] + _TORN[1]:
            result[name] = np.unique(skin.triangles[tears])
    return result


def _holes(ours: Model, backs: dict[str, tuple[np.ndarray, float]]) -> dict[str, np.ndarray]:
    """Of vertices where shapes show the skin's back, and the areas of that, mm², those of which it
    is larger than with ours."""
    view = MouthView.of(ours.skin, ours.skin.points[ours.dots][dots.IS_MOUTH])
    own = {
        name: view.back_shown(ours.moved[ours.names.index(name)])[2]
        for name, (_, area) in backs.items()
        if area > _HOLE_MM2
    }
    return {name: backs[name][0] for name, area in own.items() if backs[name][1] > area + _HOLE_MM2}


def _lids_near(skin: Surface, lids: np.ndarray) -> np.ndarray:
    """Vertices near the marked places of an eye's lids [4, 3]."""
    reach = _BESIDE * np.linalg.norm(lids[0] - lids[1])
    return np.flatnonzero(distances(skin.points, lids).min(1) < reach**2)


def _left_open(face, triangles, moves, names, of_skin, is_eye, eyes) -> dict[str, np.ndarray]:
    """The blinks that leave too much of a ball in sight."""
    is_bare = is_eye > 0
    skin, ids = of_skin
    is_bare[ids] = True
    bare, result = triangles[is_bare[triangles].all(1)], {}
    for side, eye in _open(eyes):
        shut = face + moves[names.index(name := "eyeBlink" + side)]
        is_ball = is_eye == 1 + _SIDES.index(side)
        ball = is_eye > 0, eye.middle, eye.radius, _OPEN_STEP_MM
        if is_ball.any() and left_open(shut, bare, *ball) > _OPEN_MM:
            result[name] = np.flatnonzero(eye.is_rim(skin.points))
    return result


def _hide_inside(view: MouthView, move: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, float]:
    """Change a movement [K, 3] that brings a lip behind teeth, or its outside behind its inside:
    the lip stays before teeth, and what is not seen at rest goes behind it. Returns the vertices of
    what still shows its back, and its area, mm². seen [F]."""
    skin, is_inside = view.skin, np.ones(len(move), bool)
    is_inside[skin.triangles[seen]] = False

    def push(where, by, sign, may) -> None:
        pushed = np.zeros(len(move))
        np.maximum.at(pushed, where, by[:, None] + _BACK_MM)
        for _ in range(_BACK_SPREAD):
            pushed = np.maximum(pushed, 0.8 * skin.around(pushed)) * may
        move[:, 2] += sign * pushed

    for _ in range(_BACK_ROUNDS):
        where, by = view.pierced(move)
        if len(where) < _BACK_PIXELS:
            break
        push(where, by, 1.0, True)
    for left in reversed(range(_BACK_ROUNDS)):
        where, by, area = view.back_shown(move)
        if area < _BACK_MM2 or not left:
            break
        push(where, by, -1.0, is_inside)
    return np.unique(where), area


def unfold(
    skin: Surface, moved: np.ndarray, seen: np.ndarray, names, eyes: list[Eye | None]
) -> None:
    """Even movements [n, K, 3] in place round triangles seen [F] that turn over in a pose: all
    alike, so that what meets still does, but lids where they meet."""
    number = {name: i for i, name in enumerate(names)}
    is_lid = np.array([name.startswith(("eyeBlink", "eyeWide")) for name in names])
    poses = []
    for name, i in number.items():
        both = {i: _BOTH, number[name.replace("Left", "Right")]: _BOTH}
        if name != LIP_CLOSE:  # seen over an open jaw alone
            poses += [{i: 1.0}, both]
        if name.startswith("mouth"):
            poses.append(both | {number["jawOpen"]: _BOTH})
    free = np.ones(len(skin.points), bool)
    for _, eye in _open(eyes):
        free &= ~eye.is_rim(skin.points)
    ids, heat = np.flatnonzero(seen), np.zeros(len(skin.points))
    still = _FOLDED * (skin.corner_normals[ids] ** 2).sum(1)
    for _ in range(_ROUNDS):
        folded, left = np.zeros(len(ids), bool), []
        for pose in poses:
            now = skin.points + sum(value * moved[i] for i, value in pose.items())
            turned = Surface(now, skin.triangles[ids]).corner_normals
            over = (turned * skin.corner_normals[ids]).sum(1) < still
            folded |= over
            left += [pose] if over.any() else []
        if not (poses := left):
            return
        here = np.zeros(len(heat))
        here[skin.triangles[ids[folded]]] = 1.0
        # what stays folded is evened farther round it
        heat = np.maximum(here, 0.85 * np.maximum(heat, skin.around(heat)))
        near, at = skin.part(heat > 0.2)
        share = np.where(heat[at] > 0.3, heat[at], 0.0)[:, None, None]
        share = share * np.where(is_lid, free[at, None], True)[..., None]
        each = np.moveaxis(moved[:, at], 0, 1)
        each += share * (near.around(each, nearer=True) - each)
        moved[:, at] = np.moveaxis(each, 1, 0)
