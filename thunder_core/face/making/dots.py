# SPDX-License-Identifier: GPL-3.0-or-later
"""The 24 places of a face that say where it is: what an animator marks on a head that has no
shapes; where they are on the bundled head, and a first guess on another; numpy only."""

import numpy as np

from ...errors import BadHead
from ..head import EYE_LEFT, EYE_RIGHT, Head
from ..regions import distances, front_view, FrontView, pieces, Spots, spots_seen, Warp
from .surface import Surface

# name → vertex of the bundled head; those on the left side have partners on the right
MIDDLE = {
    "nose bridge": 956, "nose tip": 1540, "nose base": 1830, "upper lip, edge": 5306,
    "upper lip, inside": 5466, "lower lip, inside": 5486, "lower lip, edge": 5326, "chin": 2390,
}  # fmt: skip
SIDES = {
    "inner eye corner": 4584, "outer eye corner": 4598, "upper lid": 4576, "lower lid": 4592,
    "brow": 805, "nose wing": 1602, "mouth corner": 5386 - 10, "temple": 962,
}  # fmt: skip
NAMES = (*MIDDLE, *(f"{name}, {side}" for name in SIDES for side in ("left", "right")))
# [2, 4]: of both eyes the inner and outer corner, the upper and the lower lid
LIDS = np.array(
    [[NAMES.index(f"{name}, {side}") for name in list(SIDES)[:4]] for side in ("left", "right")]
)
INNER_LIPS = [NAMES.index(f"{lip} lip, inside") for lip in ("upper", "lower")]
_CORNERS = [NAMES.index(f"mouth corner, {side}") for side in ("left", "right")]
_EDGES = [NAMES.index(f"{lip} lip, edge") for lip in ("upper", "lower")]
_CHIN = NAMES.index("chin")
IS_MOUTH = np.array([name.startswith(("mouth", "upper lip", "lower lip")) for name in NAMES])
IS_LID = np.array(["eye" in name or "lid" in name for name in NAMES])
# [24]: of each the one on the other side of the face
ACROSS = np.array([*range(len(MIDDLE)), *(len(MIDDLE) + (i ^ 1) for i in range(2 * len(SIDES)))])
# [14] each: of two places the one that is higher on every face, and the one that is lower
_CHAINS = (
    ("nose bridge", "nose base", "upper lip, edge", "upper lip, inside", "lower lip, inside",
     "lower lip, edge", "chin"),
    *(tuple(f"{name}, {side}" for name in ("brow", "upper lid", "lower lid"))
      for side in ("left", "right")),
)  # fmt: skip
HIGHER, LOWER = (
    np.array([NAMES.index(chain[i + at]) for chain in _CHAINS for i in range(len(chain) - 1)])
    for at in (0, 1)
)
# share of a usual distance that two are apart, and of the largest such by which they may be off;
# how far the nose's tip stands out, of a face's width
_APART, _ROUGH, _NOSE = 0.15, 0.01, 0.05
# where places are looked for on a face's front: pixels, of these what the face fills at least, and
# how far from its middle, in its widths
_PIXELS, _LEAST, _REACH = 240, 0.2, 0.7
# how bright the background is, and skin without light; where the light is
_BEHIND, _DARK, _LIGHT = 0.24, 0.16, np.array([0.0, 0.3, 0.95])
_DEPTH = 0.3  # how much of a distance along z counts where a place is looked for
_FLIP = np.array([-1.0, 1.0, 1.0])  # to the other side
# a slit between lips: pixels over which its parts belong together, its least width in that of what
# is seen, and how far it is below the eyes at least, in the usual distance
_CUT, _WIDE, _BELOW = 2, 0.04, 0.5
_FINER = 0.05  # of a head's size, by which vertices lie nearer to a face than the surface does
# of a marked face at our size: mm by which two dots are surely better in each other's place,
# and by which one is on no face; how wide dots lie at least, of their length
_SWAPPED, _NO_FACE, _LINE = 8.0, 60.0, 0.1


def vertices_of(head: Head) -> np.ndarray:
    """The vertices of the bundled head at the places, [24]."""
    left = np.array(list(SIDES.values()))
    points = head.v_template
    right = [int(((points - points[i] * [-1, 1, 1]) ** 2).sum(1).argmin()) for i in left]
    return np.concatenate([list(MIDDLE.values()), np.stack([left, right], 1).ravel()])


def ahead(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Where a head looks whose up is y, [3]: along the level axis towards which its vertices are
    finer, along z if they are along none."""
    corners = points[triangles]
    top = points[:, 1].max() - 1.1 * np.ptp(points[:, 0])  # without most of a body
    corners = corners[corners[..., 1].max(1) > top]
    middles = corners.mean(1)
    one, other = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 0)
    area = np.linalg.norm(np.cross(one, other), axis=1)
    off = middles.mean(0) - np.average(middles, 0, area + 1e-30)
    off = (off / np.maximum(np.ptp(middles, axis=0), 1e-30)) * [1, 0, 1]
    axis = int(np.abs(off).argmax())
    return np.eye(3)[axis] * np.sign(off[axis]) if abs(off[axis]) > _FINER else np.eye(3)[2]


def look_at(
    points: np.ndarray, triangles: np.ndarray, places: np.ndarray, side: int, reach: float
) -> tuple[FrontView, np.ndarray, Spots]:
    """A face from the front round its places [24, 3], so many pixels high and wide, as far as so
    many of its widths; which pixels [side, side] have it, and its points there."""
    middle, half = places.mean(0)[:2], reach * np.ptp(places[:, 0])
    view = front_view(points, triangles, middle - half, middle + half, 2 * half / side)
    has = view.triangle >= 0
    row, column = np.nonzero(has)
    return view, has, spots_seen(points, triangles, view.triangle[has], view.x[column], view.y[row])


def portrait(
    points: np.ndarray, triangles: np.ndarray, places: np.ndarray, side: int, reach: float
) -> tuple[FrontView, np.ndarray]:
    """What `look_at` sees, and how bright each pixel is, 0 … 1."""
    view, has, spots = look_at(points, triangles, places, side, reach)
    picture, normals = np.full(has.shape, _BEHIND), Surface(points, triangles).normals
    picture[has] = _DARK + (1 - _DARK) * np.clip(spots.of(normals) @ _LIGHT, 0, 1)
    return view, picture


def guess(
    head: Head, points: np.ndarray, triangles: np.ndarray, eyes: np.ndarray | None
) -> np.ndarray:
    """Where the places are likely to be on a mesh that looks along z, [24, 3], by proportions.

    points [V, 3], x to the face's left, y up · triangles [F, 3] · eyes [2, 3]: middles of the left
    and right eye, None where they are not known. Raises BadHead where the mesh has no front.
    """
    ours = head.v_template[vertices_of(head)].astype(np.float64)
    joints = head.joints[[EYE_LEFT, EYE_RIGHT]]
    if eyes is None:
        eyes = _eyes_by_proportion(points)
    # upright, as wide as the eyes are apart
    scale = np.linalg.norm(eyes[0] - eyes[1]) / np.linalg.norm(joints[0] - joints[1])
    return on_front((ours - joints.mean(0)) * scale + eyes.mean(0), points, triangles)


def on_front(places: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """What is nearest to places [24, 3] on the front of a mesh, [24, 3]. Raises BadHead where it
    has none."""
    _, has, spots = look_at(points, triangles, places, _PIXELS, _REACH)
    if has.mean() < _LEAST:
        raise BadHead("No face looks forward here: choose the mesh of the face")
    seen = spots.of(points)
    level = np.array([1.0, 1.0, _DEPTH])
    return seen[distances(places * level, seen * level).argmin(1)]


def by_slit(places: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray | None:
    """Places [24, 3] on the front of a mesh moved to the slit between its lips, and to the chin
    below: where neighbours in a picture are none on the skin. None where no slit is seen."""
    view, has, spots = look_at(points, triangles, places, _PIXELS, _REACH)
    seen = np.full((*has.shape, 3), np.nan)
    seen[has] = spots.of(points)
    corners = triangles[view.triangle]
    beside = corners[1:, :, :, None] == corners[:-1, :, None]
    is_cut = np.zeros(has.shape, bool)
    is_cut[:-1] = ~beside.any((2, 3)) & has[1:] & has[:-1]
    eyes, lips, chin = (places[each].mean(0) for each in (LIDS.ravel(), INNER_LIPS, [_CHIN]))
    middle = int(np.abs(view.x - lips[0]).argmin())
    high, low = eyes[1] + _BELOW * (lips - eyes)[1], chin[1]
    is_cut &= ((view.y < high) & (view.y > low))[:, None]
    patch = patches(grown(is_cut, _CUT))
    across = {int(each) for each in patch[:, middle - _CUT : middle + _CUT + 1].ravel()} - {-1}
    widths = {each: np.ptp(np.nonzero((patch == each) & is_cut)[1]) for each in across}
    best = max(widths, key=lambda each: widths[each], default=-1)
    if widths.get(best, 0) < _WIDE * has.any(0).sum():
        return None
    row, column = np.nonzero((patch == best) & is_cut)
    ends = [seen[row[at], column[at]] for at in (column.argmax(), column.argmin())]
    near = np.abs(column - middle) <= np.abs(column - middle).min()
    upper, lower = seen[row[near].min(), middle], seen[row[near].max() + 1, middle]
    under = seen[row[near].max() + 1 :, middle]
    ends_at = (is_cut[row[near].max() + 1 :, middle] | np.isnan(under[:, 2])).argmax()
    under = under[: ends_at or None]
    chin_now = under[np.nanargmax(under[:, 2] - under[:, 1])]
    result, level = places.copy(), [chin[1], lips[1], eyes[1]]
    lies = places[:, 1] < eyes[1]
    result[lies, 1] = np.interp(places[lies, 1], level, [chin_now[1], lower[1], eyes[1]])
    # alike on both sides, as dots are
    middle_x = np.array([upper[0], 0.0, 0.0])
    left = np.mean([ends[0] - middle_x, (ends[1] - middle_x) * _FLIP], axis=0)
    ends = [left + middle_x, left * _FLIP + middle_x]
    wide = np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(np.ptp(places[_CORNERS], axis=0))
    result[_EDGES] = np.array([upper, lower]) + wide * (places[_EDGES] - places[INNER_LIPS])
    result = on_front(result, points, triangles)
    result[INNER_LIPS], result[_CORNERS], result[_CHIN] = (upper, lower), ends, chin_now
    return result


def grown(picture: np.ndarray, times: int = 1) -> np.ndarray:
    """Pixels [H, W] with those beside them."""
    for _ in range(times):
        wide = np.pad(picture, 1)
        picture = wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1]
        picture = picture | wide[1:-1, :-2] | wide[1:-1, 2:]
    return picture


def patches(picture: np.ndarray) -> np.ndarray:
    """Which patch of connected pixels [H, W] each belongs to, −1 for none."""
    ids = np.arange(picture.size).reshape(picture.shape)
    pairs = [
        np.stack([one[both], other[both]], 1)
        for one, other, both in (
            (ids[1:], ids[:-1], picture[1:] & picture[:-1]),
            (ids[:, 1:], ids[:, :-1], picture[:, 1:] & picture[:, :-1]),
        )
    ]
    found = pieces(picture.size, np.concatenate(pairs)[:, [0, 1, 1]]).reshape(picture.shape)
    return np.where(picture, found, -1)


def _eyes_by_proportion(points: np.ndarray) -> np.ndarray:
    """Middles of the eyes [2, 3] of a head of usual proportions whose top is the highest point."""
    top = points[:, 1].max()
    # the head is as high as it is deep: look at so much of the top that it is one, without a body
    depth = np.ptp(points[points[:, 1] > top - 0.5 * np.ptp(points[:, 0])][:, 2])
    upper = points[points[:, 1] > top - 1.1 * depth]
    middle, front = (upper[:, 0].min() + upper[:, 0].max()) / 2, upper[:, 2].max()
    apart, height = 0.31 * depth, top - 0.52 * depth
    return np.array([[middle + side * apart / 2, height, front - 0.24 * depth] for side in (1, -1)])


def out_of_order(places: np.ndarray, usual: np.ndarray) -> list[tuple[str, str]]:
    """Names of two places each of which the first is not above the second, but is where places
    usually are; of both [24, 2 or 3]."""
    is_apart, should = (each[HIGHER, 1] - each[LOWER, 1] for each in (places, usual))
    wrong = np.flatnonzero(is_apart < _APART * should - _ROUGH * should.max())
    return [(NAMES[HIGHER[i]], NAMES[LOWER[i]]) for i in wrong]


def is_upright(places: np.ndarray, usual: np.ndarray) -> bool:
    """Whether places [24, 3] on a mesh that looks along z are in order, and its nose is there."""
    tip, *wings = places[[NAMES.index(f"nose {at}") for at in ("tip", "wing, left", "wing, right")]]
    stands_out = (tip - np.mean(wings, axis=0))[2] > _NOSE * np.ptp(places[:, 0])
    return bool(stands_out) and not out_of_order(places, usual)


def check(dots: np.ndarray, ours: np.ndarray) -> None:
    """Raise BadHead where marked places [24, 3] are none of a face, as ours [24, 3] are, and say
    which are to be moved."""
    size = np.linalg.svd(dots - dots.mean(0), compute_uv=False) if np.isfinite(dots).all() else None
    if size is None or size[1] <= _LINE * size[0]:
        raise BadHead(
            "The dots lie on one point or line: drag each to its place, or mark the face again"
        )

    def off(places):
        return Warp.rigid(places, ours)(places) - ours

    def mean(places):
        return np.sqrt((off(places) ** 2).sum(1).mean())

    if mean(dots[ACROSS]) < mean(dots) / 2:
        raise BadHead(
            "Dots of left and right have changed places: “left” is the face's own left, on the "
            "right of who looks at it"
        )
    far = distances(off(dots) + ours, ours)
    own = np.diag(far)
    both = own[:, None] + own
    gain = np.where(far + far.T < both / 2, both - far - far.T, 0.0)
    one, other = np.unravel_index(gain.argmax(), gain.shape)
    if gain[one, other] > _SWAPPED**2:
        raise BadHead(
            f"The dots “{NAMES[one]}” and “{NAMES[other]}” seem to have changed places: drag each "
            f"to its own"
        )
    for higher, lower in out_of_order(off(dots) + ours, ours):
        raise BadHead(
            f"The dots “{higher}” and “{lower}” are in a wrong order: the first belongs above the "
            f"second"
        )
    if own.max() > _NO_FACE**2:
        raise BadHead(
            f"The dots do not lie as on a face, least of all “{NAMES[own.argmax()]}”: drag each to "
            f"its place, or mark the face again"
        )
