# SPDX-License-Identifier: GPL-3.0-or-later
"""The skin: a grid of quads around the head with rings laid into it for the mouth and the eyes.

Grid keys are ("g", row, column): 60 rows from the crown's rim down to the shoulders, 64 columns,
column 0 on the face's midline, positive to the head's left. Three blocks of the grid are replaced
by rings, ("m", ring, k) with k of 40 from the left mouth corner over the upper lip, ("e", side,
ring, k) with k of 32 from the outer eye corner over the upper lid. The crown is a square cap, ("c",
a, b).
"""

import numpy as np

from . import ears, nose as nose_table
from .form import drop_onto, EYE, surface_z
from .mesh import around, edges, smooth_step
from .muzzle import lip_ring, LIP_RINGS, RING, RINGS
from .nose import POLE

HALF = 32  # columns from the face's midline to the back's
ROWS = 60
# rows of the grid: closer where the forehead folds and over the nose's wings
PLACES = tuple(sorted({*range(ROWS), 4.5, 5.5, 6.5, 7.5, *nose_table.BETWEEN}))
MOUTH_ROWS, MOUTH_COLUMNS = (24, 32), 6
EYE_ROWS, EYE_COLUMNS = (8, 16), (2, 10)
EYE_RING = 32
# rings inwards from the grid: skin, fold above the crease, crease, lid, its edges
EYE_RINGS = (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6)
MARGIN = 4  # the lid's outer edge; 5 is its inner edge, 6 lies behind it

# front (y, z) | side (y, x, z) | back (y, z) of a row; rows in between are interpolated
_ROWS = {
    0: (84, 74, 92, 62, -12, 76, -90),
    8: (23, 88, 30, 76, -10, 12, -105),
    16: (-20, 84, -16, 72, -5, -34, -98),
    24: (-50, 94, -45, 66, -5, -58, -88),
    28: (-70, 95, -63, 60, -5, -76, -82),
    32: (-91, 90, -82, 56, -5, -92, -80),
    36: (-114, 80, -100, 54, -6, -106, -80),
    42: (-120, 36, -122, 52, -20, -128, -84),
    50: (-174, 22, -166, 58, -32, -160, -94),
    59: (-236, 52, -226, 122, -48, -222, -112),
}
# lateral position of the front columns at the eyes and at the mouth, on a face with a half width of
# 72 mm
_COLUMNS = (0, 4.5, 10, 15.5, 21, 26.5, 32, 37.5, 43.5, 49.5, 55.5)
_COLUMNS_MOUTH = (0, 7, 15, 23, 31, 39, 46, 50.5, 54, 57.5, 60.5)


def grid_key(row, column):
    return ("g", row, column if column != -HALF else HALF)


def _grid_point(row, column):
    f = [np.interp(row, sorted(_ROWS), [_ROWS[r][i] for r in sorted(_ROWS)]) for i in range(7)]
    yf, zf, ys, xs, zs, yb, zb = f
    j = abs(column)
    wide = np.exp(-(((row - sum(MOUTH_ROWS) / 2) / 6.0) ** 2))
    across = (1 - wide) * np.array(_COLUMNS) + wide * np.array(_COLUMNS_MOUTH)
    if j < len(across):
        theta = np.arcsin(across[j] / 72.0)
    else:
        start = np.arcsin(across[-1] / 72.0)
        theta = start + (np.pi - start) * (j - 10) / (HALF - 10)
    c, s = np.cos(theta), np.sin(theta)
    front, back = max(c, 0.0) ** 2, max(-c, 0.0) ** 2
    y = front * yf + s * s * ys + back * yb
    z = zs + (c * (zf - zs) if c > 0 else -c * (zb - zs))
    return np.array([np.sign(column) * xs * s if j != HALF else 0.0, y, z])


def mouth_border():
    """The 40 grid keys around the mouth block, in ring order."""
    rows = range(MOUTH_ROWS[0], MOUTH_ROWS[1] + 1)
    return [grid_key(r, c) for r, c in around(rows, -MOUTH_COLUMNS, MOUTH_COLUMNS)]


# (x, y) of the left half of the mouth block's border, from above the lips to below them: under the
# nose's wing, down the nasolabial fold, past the corner and across the chin.
_AROUND_MOUTH = (
    (0, -50.2),
    (5.2, -50.1),
    (10.4, -50.9),
    (16.4, -53.2),
    (22.6, -55.6),
    (29.4, -57.8),
    (36.6, -60.4),
    (41.0, -63.4),
    (43.6, -66.8),
    (45.0, -70.2),
    (45.2, -74.4),
    (44.4, -79.0),
    (42.4, -83.6),
    (39.4, -88.0),
    (35.0, -91.8),
    (29.0, -94.2),
    (22.2, -95.6),
    (14.8, -96.4),
    (7.4, -96.8),
    (0, -97.0),
)


def _border_points():
    """Grid key → (x, y) of the mouth block's border, both sides."""
    table = {}
    border = mouth_border()
    # the ring starts at the left corner: its first quarter runs up to the midline, its last one
    # comes from below
    left = border[RING // 4 :: -1] + border[: 3 * RING // 4 - 1 : -1]
    places = np.array(_AROUND_MOUTH)
    for n, key in enumerate(left):
        at = n / (len(left) - 1) * (len(places) - 1)
        x, y = (np.interp(at, range(len(places)), places[:, i]) for i in (0, 1))
        table[key] = (x, y)
        table[grid_key(key[1], -key[2])] = (-x, y)
    return table


def eye_border(side):
    rows = range(EYE_ROWS[0], EYE_ROWS[1] + 1)
    return [grid_key(r, side * c) for r, c in around(rows, *EYE_COLUMNS)]


# (rows, columns) of the grid's blocks that rings replace: mouth, eyes, ears
_BLOCKS = (
    (MOUTH_ROWS, (-MOUTH_COLUMNS, MOUTH_COLUMNS)),
    *(
        (rows, columns)
        for rows, (near, far) in ((EYE_ROWS, EYE_COLUMNS), (ears.ROWS, ears.COLUMNS))
        for columns in ((near, far), (-far, -near))
    ),
)


def lid_margin(k):
    """(x, y, t) of the lid opening at ring position k of the left eye; t −1 inner … 1 outer
    corner."""
    up = 1 if 0 < k < 16 else -1
    t = 1 - (k if k <= 16 else EYE_RING - k) / 8.0
    t = 0.6 * t + 0.4 * np.sin(np.pi * t / 2)
    if up > 0:
        y = 4.7 * max(1 - abs(t + 0.04) ** (2.1 if t < 0 else 2.0), 0)
    else:
        # a straight line to the outer corner, where the lids would else end in a box; the inner
        # one is round
        reach, power = (0.92, 1.8) if t > 0.08 else (1.08, 2.2)
        y = -5.1 * max(1 - (abs(t - 0.08) / reach) ** power, 0)
    if k % 16 == 0:
        y = 0.0
    return 31.3 + 14.6 * t, y + 0.8 * t - 0.5, t


# Lid ring → distance beyond the lid's edge [mm]: sideways at the corners, up on the upper lid, down
# on the lower.
_LID_RINGS = {
    1.5: (6.6, 4.1, 8.6),
    2: (4.6, 2.9, 5.9),
    2.5: (2.8, 2.2, 3.8),
    3: (1.6, 1.4, 2.2),
    3.5: (0.6, 0.6, 0.8),
    4: (0, 0, 0),
    5: (-0.5, -0.7, -0.8),
    6: (-0.5, 5.0, 5.0),
}
# Lid ring → its distance from the middle of the eye [mm], upper and lower lid: a thin edge
_LID_RADII = {3: (14.5, 14.7), 3.5: (14.6, 14.25), 4: (14.25, 13.85), 5: (12.95, 12.95)}
# Lid ring → protrusion, up on the upper lid and down on the lower [mm]: skin hangs over the crease
_LID_DEPTH = {1.5: (2.7, 1.1), 2: (1.2, 1.4), 2.5: (0.5, 1.1)}
# Lid ring → share of its depth from the form, and in the corners; the rest follows the eyeball
_LID_ON_FORM = {1.5: (1.0, 1.0), 2: (0.72, 0.92), 2.5: (0.34, 0.75), 3: (0.08, 0.5), 3.5: (0, 0.2)}
# Between the lids in the corners: steps from the corner → (x, half height, z) of ring 6, which is
# flesh there and ends in the eyeball
_CARUNCLE = {0: (17.3, 0, 69.4), 1: (18.6, -0.3, 70), 2: (20.9, -0.3, 67), 3: (23, 1, 67)}
_OUTER_FLESH = {0: (45.5, 0, 64.9), 1: (43.0, -0.1, 65.2), 2: (42.2, 1, 63.5)}


def corner_flesh(k):
    """Point of the flesh in a corner of the left eye at ring position k, None between them."""
    table, steps = (_CARUNCLE, abs(k - 16)) if 8 < k < 24 else (_OUTER_FLESH, min(k, EYE_RING - k))
    if steps not in table:
        return None
    x, half, z = table[steps]
    return x, (-1.15 if table is _CARUNCLE else 0.2) + (half if k < 16 else -half), z


def _eye_ring(ring):
    """Points [32, 3] of one explicitly placed lid ring of the left eye."""
    points = []
    for k in range(EYE_RING):
        x, y, t = lid_margin(k)
        up = 0 if k % 16 == 0 else (1 if k < 16 else -1)
        arch = np.sqrt(max(1 - t * t, 0))
        out = _LID_RINGS[ring]
        x = x + t * out[0]
        y = y + up * arch * (out[1] if up > 0 else out[2])
        radii = _LID_RADII[min(max(ring, 3), 5)]
        radius = radii[up < 0] - (0.5 * smooth_step(0.4, 0.9, t) if ring > 3 else 0)
        flat = (x - EYE[0]) ** 2 + (y - EYE[1]) ** 2
        # lids leave the eyeball towards the inner corner
        least = (9.8 if t < 0 else 4.4) - 0.8 * (ring > 4)
        z = EYE[2] + (max(radius**2 - flat, 0) ** 4 + least**8) ** 0.125
        points.append((x, y, z - (2.0 if ring == 6 else 0)))
        if ring == 6 and (flesh := corner_flesh(k)):
            points[-1] = flesh
    return np.array(points)


def build_skin(mesh):
    """Add the skin, lips, lids and inner mouth to the mesh, relaxed onto the form."""
    hidden = {
        grid_key(row, column)
        for rows, columns in _BLOCKS
        for row in PLACES
        if rows[0] < row < rows[1]
        for column in range(columns[0] + 1, columns[1])
    }
    for row in PLACES:
        for column in range(-HALF + 1, HALF + 1):
            if grid_key(row, column) not in hidden:
                mesh.add(grid_key(row, column), _grid_point(row, column), "skin")
    _add_cap(mesh)
    for side in (1, -1):
        border = eye_border(side)
        crease = _eye_ring(1.5)
        outer = np.array([mesh.points[mesh.index[k]] for k in border]) * [side, 1, 1]
        for ring in EYE_RINGS:
            points = (
                (0.8 - 0.5 * ring) * (outer - crease) + crease if ring < 1.5 else _eye_ring(ring)
            )
            for k in range(EYE_RING):
                mesh.add(
                    ("e", side, ring, k), points[k] * [side, 1, 1], "lid" if ring >= 2 else "skin"
                )
        rings = [border] + [[("e", side, r, k) for k in range(EYE_RING)] for r in EYE_RINGS]
        mesh.rings(rings if side > 0 else [r[::-1] for r in rings], "Skin")
    _add_mouth(mesh)
    for row, below in zip(PLACES[:-1], PLACES[1:]):
        for column in range(-HALF, HALF):
            in_block = any(
                rows[0] <= row < rows[1] and columns[0] <= column < columns[1]
                for rows, columns in _BLOCKS
            )
            in_nostril = {
                (row, column),
                (row, column + 1),
                (below, column),
                (below, column + 1),
            } & {POLE, (POLE[0], -POLE[1])}
            if not (in_block or in_nostril):
                a, b = grid_key(row, column), grid_key(row, column + 1)
                c, d = grid_key(below, column + 1), grid_key(below, column)
                mesh.face((a, d, c, b), "Skin")
    _relax(mesh)


def _add_cap(mesh):
    n = 2 * 8

    def rim(a, b):
        """Grid column of a point on the cap's rim; b = n is the forehead side."""
        if b == n:
            return a - 8
        if a == n:
            return 8 + (n - b)
        if b == 0:
            return 32 - (a - 8) if a >= 8 else -32 + (8 - a)
        return -8 - (n - b)

    def key(a, b):
        return grid_key(0, rim(a, b)) if a in (0, n) or b in (0, n) else ("c", a, b)

    def point(a, b):
        return mesh.points[mesh.index[key(a, b)]]

    for a in range(1, n):
        for b in range(1, n):
            s, t = a / n, b / n
            p = (1 - s) * point(0, b) + s * point(n, b) + (1 - t) * point(a, 0) + t * point(a, n)
            p = p - (1 - s) * (1 - t) * point(0, 0) - s * (1 - t) * point(n, 0)
            p = p - (1 - s) * t * point(0, n) - s * t * point(n, n)
            mesh.add(("c", a, b), p + [0, 16 * s * (1 - s) * t * (1 - t) * 24, 0], "skin")
    for a in range(n):
        for b in range(n):
            mesh.face((key(a, b), key(a, b + 1), key(a + 1, b + 1), key(a + 1, b)), "Skin")


def _add_mouth(mesh):
    border = mouth_border()
    outer = np.array([mesh.points[mesh.index[k]] for k in border])
    first = lip_ring(2)
    for ring in RINGS:
        points = (0.64 - 0.32 * ring) * (outer - first) + first if ring < 2 else lip_ring(ring)
        part = "skin" if ring < 2 else ("lips" if ring <= LIP_RINGS[-1] else "bag")
        for k in range(RING):
            mesh.add(("m", ring, k), points[k], part)
    rings = [border] + [[("m", r, k) for k in range(RING)] for r in RINGS]
    red, inner, deep = (RINGS.index(ring) + 1 for ring in (4, 8, 10))
    mesh.rings(rings[: red + 1], "Skin")
    mesh.rings(rings[red : inner + 1], "Lips")
    # inside the lips: visible next to the teeth from the side
    mesh.rings(rings[inner : deep + 1], "Mouth Lining")
    mesh.rings(rings[deep:], "Mouth")
    end = rings[-1]
    for k in range(20):
        mesh.face((end[k], end[k + 1], end[(RING - k - 1) % RING], end[(RING - k) % RING]), "Mouth")


def mirror_key(key):
    """The key of the mirrored vertex on the other side of the face."""
    kind = key[0]
    if kind == "g":
        return grid_key(key[1], -key[2])
    if kind == "c":
        return ("c", 16 - key[1], key[2])
    if kind == "m":
        return ("m", key[1], (20 - key[2]) % RING)
    return (kind, -key[1]) + key[2:]


def _relax(mesh, rounds=24):
    """Even out the free skin vertices along the form; nose, lips, lids and the neck's rim stay."""
    points = np.array(mesh.points)
    n = len(points)
    free = np.zeros(n, bool)
    for i, key in enumerate(mesh.keys):
        free[i] = (
            (key[0] == "g" and key[1] < ROWS - 1)
            or key[0] == "c"
            or (key[0] in "me" and key[-2] < {"m": 2, "e": 1.5}[key[0]])
        )
    a, b = edges(mesh.polygons)
    count = np.bincount(a, minlength=n).astype(float)
    mirror = np.array([mesh.index[mirror_key(k)] for k in mesh.keys])
    nose = {mesh.index[key]: point for key, point in nose_table.points().items()}
    nose_ids, nose_points = list(nose), np.array(list(nose.values()))
    free[nose_ids] = False
    points[nose_ids] = nose_points
    # the rings between the grid and the lips or lids lie evenly between them: relaxed, they and
    # their border would shrink onto these
    border = mouth_border()
    between = [
        (mesh.index["m", ring, k], mesh.index["m", 2, k], mesh.index[border[k]], 0.64 - 0.32 * ring)
        for ring in RINGS
        if ring < 2
        for k in range(RING)
    ]
    for side in (1, -1):
        between += [
            (
                mesh.index["e", side, ring, k],
                mesh.index["e", side, 1.5, k],
                mesh.index[eye_border(side)[k]],
                0.75 - 0.5 * ring,
            )
            for ring in EYE_RINGS
            if ring < 1.5
            for k in range(EYE_RING)
        ]
    around, inner, outer, reach = (np.array(values) for values in zip(*between))
    points[free] = drop_onto(points[free], 10)
    free[[mesh.index[key] for key in border]] = False
    rim_of_mouth = _border_points()
    ids = [mesh.index[key] for key in rim_of_mouth]
    places = np.array(list(rim_of_mouth.values()))
    points[ids] = np.stack([*places.T, surface_z(*places.T)], 1)
    for (row, column), point in zip(*ears.hole(PLACES)):
        for side in (1, -1):
            i = mesh.index[grid_key(row, side * column)]
            points[i], free[i] = point * [side, 1, 1], False
    rim = np.array([k[0] == "g" and k[1] == ROWS - 1 for k in mesh.keys])
    for _ in range(6):
        points[rim] = drop_onto(points[rim], 1) * [1, 0, 1] + points[rim] * [0, 1, 0]
    for side in (1, -1):
        corner = smooth_step(0.35, 0.95, np.abs([lid_margin(k)[2] for k in range(EYE_RING)]))
        for ring, (share, in_corner) in _LID_ON_FORM.items():
            share = share + (in_corner - share) * corner
            ids = [mesh.index["e", side, ring, k] for k in range(EYE_RING)]
            points[ids, 2] += share * (surface_z(*points[ids, :2].T) - points[ids, 2])
        for ring, depths in _LID_DEPTH.items():  # the upper lid folds in under the skin of the brow
            for k in range(EYE_RING):
                points[mesh.index["e", side, ring, k], 2] += depths[k >= 16] * (
                    1 - lid_margin(k)[2] ** 2
                )
    for _ in range(rounds):
        mean = np.stack(
            [np.bincount(a, points[b, i], n) / np.maximum(count, 1) for i in range(3)], 1
        )
        points[free] += 0.5 * (mean - points)[free]
        points[around] = points[inner] + reach[:, None] * (points[outer] - points[inner])
        points[free] = drop_onto(points[free], 2)
        points = 0.5 * (points + points[mirror] * [-1, 1, 1])
    points[free] = drop_onto(points[free], 4)
    points = 0.5 * (points + points[mirror] * [-1, 1, 1])
    mesh.points = list(points)
