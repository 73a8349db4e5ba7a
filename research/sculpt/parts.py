# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts other than skin: eyeballs, two rows of teeth with gums, tongue and brows, each a closed or
open shell.

Keys start with the part's name and a side (+1 left, −1 right) so that mirroring is exact: ("ball",
side, …), ("tooth", side, jaw, n, ring, k), ("gum", side, …). The tongue and the gums cross the
midline and are mirrored by their own lateral index.
"""

import numpy as np

from .form import EYE, EYE_RADIUS, surface_z
from .mesh import smooth_step, triangulate

# Widths of the teeth from the midline back, millimetres (upper, lower), and heights of the crowns.
_UPPER = ((8.6, 10.2), (6.6, 9.0), (7.6, 9.8), (6.9, 8.2), (6.7, 7.8), (9.8, 7.2), (9.4, 6.8))
_LOWER = ((5.3, 8.8), (5.8, 9.0), (6.8, 9.8), (6.9, 8.4), (7.0, 7.9), (10.6, 7.2), (10.2, 6.8))
ARCH_FRONT = 88.0  # depth z of the outer face of the upper front teeth
# height of the biting edges at rest: a slack jaw holds the teeth apart, a little behind the lips'
# edges
EDGE_UPPER = -72.1
EDGE_LOWER = -72.1
LOWER_BEHIND = 3.2
_NARROWS = 2.5  # by which molars stand further in than the front of the arch says
# how far the biting edges lie before the line of the row's, which bends away from the other row's
_BITES = {1: (0.0, 0.5, -0.2, 0.4, 0.7, 0.9, 1.0), -1: (0.0, 0.5, -0.2, 0.6, 1.2, 2.0, 2.6)}
TONGUE_RINGS, TONGUE_AROUND = 23, 24
# rings behind which it lies in the mouth's shade, and those of its underside
_TONGUE_FRONT, _TONGUE_UNDERSIDE = 7, 12
_TOOTH_AROUND = 8
# Material of the teeth from the midline back: the lips' shadow is darker towards the corners of the
# mouth, and the solid view casts none.
_MATERIALS = ("Teeth", "Side Teeth", "Back Teeth")
# The tongue along its length, from the tip (0) to the root (1), over 50 mm: half its width, the
# height of its middle line, how far the surface beside that is above it, and its underside.
# At rest it lies low behind the lower teeth, as a tongue does on an open vowel.
# share of the length of the first rings; the tip is round
_TONGUE_RINGS_AT = (0.0, 0.014, 0.038, 0.075, 0.122, 0.18, 0.24, 0.30)
_TONGUE_T = (
    0.0,
    0.014,
    0.038,
    0.075,
    0.122,
    0.18,
    0.24,
    0.30,
    8 / 22,
    0.50,
    0.62,
    16 / 22,
    0.85,
    1.0,
)
_TONGUE_HALF = (3.4, 5.0, 6.8, 8.6, 10.0, 11.0, 11.8, 12.5, 13.0, 13.8, 14.0, 14.0, 13.6, 12.5)
_TONGUE_MIDDLE = (
    -76.2,
    -76.1,
    -76.0,
    -75.95,
    -75.9,
    -75.9,
    -76.0,
    -76.1,
    -76.2,
    -76.4,
    -76.5,
    -76.5,
    -76.8,
    -78.0,
)
_TONGUE_BESIDE = (0.0, 0.1, 0.25, 0.5, 0.9, 1.3, 1.6, 1.8, 2.0, 2.4, 2.6, 2.6, 2.2, 1.4)
_TONGUE_UNDER = (
    -78.4,
    -78.7,
    -78.9,
    -79.1,
    -79.6,
    -80.4,
    -81.2,
    -81.9,
    -82.5,
    -83.6,
    -84.2,
    -84.6,
    -85.0,
    -85.0,
)


def _arch(front, half_width, depth):
    """Points along a dental arch from the midline backwards, [m, 2] (x, z), and their arc
    lengths."""
    t = np.linspace(0, 1, 400)
    x = half_width * np.sin(t * np.pi / 2) ** 0.92 - _NARROWS * smooth_step(0.38, 1.0, t)
    z = front - depth * (1 - np.cos(t * np.pi / 2)) ** 0.95
    curve = np.stack([x, z], 1)
    length = np.concatenate([[0], np.cumsum(np.sqrt((np.diff(curve, axis=0) ** 2).sum(1)))])
    return curve, length


def add_teeth(mesh):
    """Fourteen rounded crowns and a band of gum in each jaw."""
    for jaw, sizes, front, half_width in (
        (1, _UPPER, ARCH_FRONT, 29.5),
        (-1, _LOWER, ARCH_FRONT - LOWER_BEHIND, 27.0),
    ):
        part = "teeth_upper" if jaw > 0 else "teeth_lower"
        curve, length = _arch(front, half_width, 46.0)
        edge = EDGE_UPPER if jaw > 0 else EDGE_LOWER
        at, gum = 0.05, []
        for n, (width, height) in enumerate(sizes):
            middle = at + width / 2
            at += width
            centre = np.array([np.interp(middle, length, curve[:, i]) for i in (0, 1)])
            ahead = (
                np.array([np.interp(middle + 0.5, length, curve[:, i]) for i in (0, 1)]) - centre
            )
            along = ahead / np.linalg.norm(ahead)
            outward = np.array([-along[1], along[0]])
            thick = 4.6 if n < 3 else (6.4 if n < 5 else 8.2)
            centre = centre - outward * thick / 2
            bite = edge + jaw * _BITES[jaw][n]
            _add_tooth(mesh, jaw, n, part, centre, along, outward, width, thick, bite, height)
            gum.append((centre, outward, thick, bite + jaw * (height - (1.6 if n < 3 else 2.8))))
        _add_gum(mesh, jaw, part, gum, front)


def _add_tooth(  # noqa: PLR0913 (a tooth, in numbers)
    mesh, jaw, n, part, centre, along, outward, width, thick, bite, height
):
    # rings from the biting edge to below the gum: (height share, width share, thickness share,
    # outward shift)
    taper = 0.5 if n < 3 else 0.8
    rings = (
        (0.0, 0.84, taper * 0.55, 0.6),
        (0.06, 0.95, taper, 0.5),
        (0.35, 1.0, taper + 0.15, 0.35),
        (0.7, 0.95, 1.0, 0.1),
        (1.0, 0.8, 0.95, -0.3),
    )
    material = _MATERIALS[min(n, 2)]
    for side in (1, -1):
        keys = []
        for r, (share, w, t, shift) in enumerate(rings):
            keys.append([("tooth", side, jaw, n, r, k) for k in range(_TOOTH_AROUND)])
            for k in range(_TOOTH_AROUND):
                angle = 2 * np.pi * (k + 0.5) / _TOOTH_AROUND
                c, s = np.cos(angle), np.sin(angle)
                # a rounded rectangle: superellipse with exponent 4
                scale = (abs(c) ** 4 + abs(s) ** 4) ** -0.25
                xz = (
                    centre
                    + along * (c * scale * w * width * (0.466 if abs(c) > abs(s) else 0.485))
                    + outward * (s * scale * t * thick * 0.5 + shift)
                )
                point = np.array([side * xz[0], bite + jaw * share * height, xz[1]])
                mesh.add(keys[-1][k], point, part)
        for a, b in zip(keys[:-1], keys[1:]):
            for k in range(_TOOTH_AROUND):
                m = (k + 1) % _TOOTH_AROUND
                quad = (a[k], a[m], b[m], b[k])
                mesh.face(quad if side * jaw < 0 else quad[::-1], material)
        a = keys[0]
        for quad in ((a[0], a[1], a[2], a[3]), (a[0], a[3], a[4], a[7]), (a[7], a[4], a[5], a[6])):
            mesh.face(quad if side * jaw > 0 else quad[::-1], material)


def _add_gum(mesh, jaw, part, gum, front):
    """A ridge over the roots: rows from inside to outside, columns along the arch, mirrored at the
    midline."""
    columns = [(np.array([0.0, front - 2.3]), np.array([0.0, 1.0]), 4.6, gum[0][3])] + list(gum)
    last = columns[-1]
    columns.append((last[0] + np.array([0.3, -6.0]), last[1], last[2], last[3]))
    profile = ((-1.0, -0.8), (-0.75, 0.6), (-0.62, 5.0), (0.6, 5.4), (0.80, 0.9), (0.55, -0.5))
    for side in (1, -1):
        for column, (centre, outward, thick, height) in enumerate(columns):
            if column == 0 and side < 0:
                continue
            for row, (out, up) in enumerate(profile[::-1]):
                xz = centre + outward * out * (thick / 2 + 0.9)
                key = ("gum", 0 if column == 0 else side, jaw, column, row)
                mesh.add(key, (side * xz[0] if column else 0.0, height + jaw * up, xz[1]), part)
        for column in range(len(columns) - 1):
            for row in range(len(profile) - 1):
                quad = tuple(
                    ("gum", 0 if c == 0 else side, jaw, c, r)
                    for c, r in (
                        (column, row),
                        (column + 1, row),
                        (column + 1, row + 1),
                        (column, row + 1),
                    )
                )
                mesh.face(quad if side * jaw > 0 else quad[::-1], "Gums")


def along_tongue(ring):
    """Share of the tongue's length at a ring, 0 at the tip: rings are closer there, where it is
    round."""
    return _TONGUE_RINGS_AT[ring] if ring < len(_TONGUE_RINGS_AT) else ring / (TONGUE_RINGS - 1)


def across_tongue(p, along):
    """Place across the tongue, [V] −1 … 1, of points p [V, 3] at shares of its length [V]."""
    return p[:, 0] / np.interp(along, _TONGUE_T, _TONGUE_HALF)


def add_tongue(mesh):
    """A tongue of 23 rings from the tip (ring 0) to the root; lateral index k = 0 lies on top of
    the midline.

    It is low within the lower teeth, as on an open vowel: round and thin at the tip, full behind,
    with a groove along the middle.
    """
    for r in range(TONGUE_RINGS):
        t = along_tongue(r)
        half, middle, beside, under = (
            np.interp(t, _TONGUE_T, values)
            for values in (_TONGUE_HALF, _TONGUE_MIDDLE, _TONGUE_BESIDE, _TONGUE_UNDER)
        )
        z = 77.6 - 50.0 * t
        crown = middle + beside
        share = np.interp(t, (0.0, 0.014, 0.075, 0.13), (0.5, 0.72, 0.62, 0.45))
        edge = share * crown + (1 - share) * under  # height of the widest place
        for k in range(TONGUE_AROUND):
            angle = 2 * np.pi * k / TONGUE_AROUND
            s, c = np.sin(angle), np.cos(angle)
            s = np.sign(s) * abs(s) ** (0.88 if c > 0 else np.interp(t, (0.0, 0.2), (0.75, 1.05)))
            groove = -beside * np.exp(-((s / 0.3) ** 2)) * (c > 0)
            y = (
                edge
                + ((crown - edge) if c > 0 else (edge - under)) * np.sign(c) * abs(c) ** 0.9
                + groove
            )
            mesh.add(("tongue", 0, r, k), (half * s, y, z), "tongue")
    mesh.add(("tongue", 0, "tip"), (0, -77.3, 78.2), "tongue")
    mesh.add(("tongue", 0, "root"), (0, -79, 22.0), "tongue")
    keys = [[("tongue", 0, r, k) for k in range(TONGUE_AROUND)] for r in range(TONGUE_RINGS)]
    mesh.rings(keys[: _TONGUE_FRONT + 1], "Tongue")
    for a, b in zip(keys[_TONGUE_FRONT:-1], keys[_TONGUE_FRONT + 1 :]):
        for k in range(TONGUE_AROUND):  # a raised tip shows its underside
            m = (k + 1) % TONGUE_AROUND
            below = 7 <= k < TONGUE_AROUND - 7 and b[0][2] <= _TONGUE_UNDERSIDE
            mesh.face((a[k], a[m], b[m], b[k]), "Tongue" if below else "Back Tongue")
    for k in range(TONGUE_AROUND):
        m = (k + 1) % TONGUE_AROUND
        mesh.face((("tongue", 0, "tip"), keys[0][m], keys[0][k]), "Tongue")
        mesh.face((("tongue", 0, "root"), keys[-1][k], keys[-1][m]), "Back Tongue")


def add_eyeballs(mesh):
    """Two eyeballs with pole on the optical axis: pupil, iris, white; the iris bulges as
    the cornea would."""
    around = 24
    polar = np.radians([0, 5.7, 9.9, 17.0, 23.8, 27.0, 29.5, 40, 55, 72, 90, 110, 130, 150, 180])
    for side in (1, -1):
        centre = EYE * [side, 1, 1]
        keys = []
        for r, a in enumerate(polar):
            pole = r in (0, len(polar) - 1)
            ring = []
            for k in range(around):
                key = ("ball", side, r) if pole else ("ball", side, r, k)
                ring.append(key)
                if pole and k:
                    continue
                radius = EYE_RADIUS + 0.5 * max(1 - (a / np.radians(29)) ** 2, 0)
                angle = 2 * np.pi * k / around
                d = np.array(
                    [np.sin(a) * np.cos(angle) * side, np.sin(a) * np.sin(angle), np.cos(a)]
                )
                mesh.add(key, centre + radius * d, "eye_left" if side > 0 else "eye_right")
            keys.append(ring)
        for r in range(len(polar) - 1):
            for k in range(around):
                m = (k + 1) % around
                white = "Eye White Above" if 1 <= k < around // 2 - 1 else "Eye White"
                material = (
                    "Pupil" if r < 2 else ("Iris" if r < 4 else ("Limbus" if r == 4 else white))
                )
                quad = (keys[r][k], keys[r + 1][k], keys[r + 1][m], keys[r][m])
                mesh.face(quad if side > 0 else quad[::-1], material)


def add_brows(mesh):
    """Two brows: arched, tapering cushions that lie on the skin with their edges sunk into it."""
    columns, section = 16, 8
    t = np.linspace(0, 1, columns)
    x = 11.5 + 41.0 * t
    middle, half = _brow_line(t)
    half = 0.8 * half  # the part not covered by the hairs
    angle = 2 * np.pi * np.arange(section) / section
    height = middle[:, None] + half[:, None] * np.cos(angle)
    # its head leans
    across = np.repeat(x[:, None], section, 1) + 0.9 * np.cos(angle) * (1 - t[:, None])
    out = (
        np.minimum(half / 2.5, 1)[:, None]
        * np.where(np.sin(angle) > 0, 0.4 * np.sin(angle), 0.8 * np.sin(angle))
        - 0.1
        + 0.4 * t[:, None] ** 3
    )
    depth = surface_z(across.ravel(), height.ravel()).reshape(out.shape) + out
    for side in (1, -1):
        keys = [[("brow", side, c, k) for k in range(section)] for c in range(columns)]
        for c in range(columns):
            for k in range(section):
                mesh.add(keys[c][k], (side * across[c, k], height[c, k], depth[c, k]), "brow")
        mesh.rings(keys if side < 0 else [k[::-1] for k in keys], "Brows")
        for ring, flip in ((keys[0], side < 0), (keys[-1], side > 0)):
            for quad in (
                (ring[0], ring[1], ring[6], ring[7]),
                (ring[1], ring[2], ring[5], ring[6]),
                (ring[2], ring[3], ring[4], ring[5]),
            ):
                mesh.face(quad[::-1] if flip else quad, "Brows")


BROW_HAIRS, _BROW_ROWS = 46, 2  # hairs per brow; rows of three vertices before a hair's tip


def add_brow_hairs(mesh):
    """Hairs along the brows: from the head up, along the arch outwards, and from its upper edge
    down."""
    t = np.linspace(0.0, 0.97, BROW_HAIRS)
    place = (np.arange(BROW_HAIRS) * 0.618) % 1.0 * 2 - 1  # across the brow, −1 its lower edge
    middle, half = _brow_line(t)
    x = 11.0 + 41.0 * t
    y = middle + 0.7 * place * half
    steep = np.interp(t, (0, 0.12, 0.45, 1.0), (1.0, 0.8, 0.25, -0.25)) - 0.3 * place
    length = np.interp(t, (0, 0.2, 0.7, 1.0), (4.5, 7.0, 6.5, 4.0))
    ways = np.stack([np.cos(steep), np.sin(steep)], 1)
    rows = []
    for row in range(_BROW_ROWS + 1):
        along = row / _BROW_ROWS
        at = np.stack([x, y], 1) + (along * length)[:, None] * ways * [1.0, 0.85]
        broad = 0.42 * (1 - along) + 0.05
        sides = np.array([-broad, 0.0, broad]) if row < _BROW_ROWS else np.zeros(1)
        flat = at[:, None] + sides[:, None] * np.stack([-ways[:, 1], ways[:, 0]], 1)[:, None]
        out = (
            0.2
            + 0.2 * np.sin(np.pi * min(along + 0.3, 1))
            + np.where(sides == 0, 0.15 * (1 - along), 0.0)
            + 0.5 * t[:, None] ** 3
        )  # its tail lies on a bend
        depth = surface_z(flat[..., 0].ravel(), flat[..., 1].ravel()).reshape(flat.shape[:2]) + out
        rows.append(np.concatenate([flat, depth[..., None]], 2))
    points = np.concatenate(rows, 1)
    for side in (1, -1):
        for n in range(BROW_HAIRS):
            keys = [("hairline", side, n, k) for k in range(points.shape[1])]
            for key, point in zip(keys, points[n]):
                mesh.add(key, point * [side, 1, 1], "brow")
            quads = [
                (r + c, r + c + 1, r + c + 4, r + c + 3)
                for r in range(0, 3 * (_BROW_ROWS - 1), 3)
                for c in (0, 1)
            ]
            last = 3 * (_BROW_ROWS - 1)
            for quad in (*quads, (last, last + 1, last + 3), (last + 1, last + 2, last + 3)):
                face = tuple(keys[i] for i in quad)
                mesh.face(face[::-1] if side > 0 else face, "Brows")


def _brow_line(t):
    """(height of the brow's middle, half its thickness) [n] at shares t of its length, from its
    head."""
    middle = np.interp(
        t, (0, 0.2, 0.4, 0.6, 0.75, 0.9, 1.0), (18.6, 20.0, 21.6, 22.6, 22.2, 20.2, 18.2)
    )
    return middle, np.interp(t, (0, 0.1, 0.28, 0.6, 0.85, 1.0), (0.9, 2.1, 2.8, 2.3, 1.4, 0.4))


class OnSkin:
    """The brows on the skin under them: they keep their height over it, and move as it does."""

    def __init__(self, clay):
        triangles = triangulate(np.array(clay.polygons))
        left = clay.points[triangles]
        near = (clay.part[triangles] == "skin").all(1) & (left[..., [0, 2]] > [2, 30]).all((1, 2))
        self.triangles = triangles[near & (np.abs(left[..., 1] - 20) < 30).all(1)]
        self.mirror = clay.mirror
        self.left = np.flatnonzero((clay.part == "brow") & (clay.points[:, 0] > 0))
        self.brows = np.concatenate([self.left, self.mirror[self.left]])
        self.under, self.shares = self._under(clay.points)
        form = clay.points[self.brows]
        self.out = form[:, 2] - surface_z(*form[:, :2].T)

    def _under(self, points):
        """(skin vertices [B, 3], their shares [B, 3]) of the triangle before which each brow's
        vertex lies, for points [V, 3] of the mesh."""
        a, b, c = (points[self.triangles[:, i], :2] for i in range(3))
        at = points[self.left, None, :2]
        area = np.cross(b - a, c - a)
        shares = (
            np.stack([np.cross(c - b, at - b), np.cross(a - c, at - c), np.cross(b - a, at - a)], 2)
            / np.where(area == 0, 1e-12, area)[:, None]
        )
        nearest = np.where(area > 0, shares.min(2), -np.inf).argmax(1)
        under, shares = self.triangles[nearest], shares[np.arange(len(nearest)), nearest]
        return np.concatenate([under, self.mirror[under]]), np.concatenate([shares, shares])

    def lay(self, points):
        """Points [V, 3] with the brows at their height over the skin."""
        under, shares = self._under(points)
        points = points.copy()
        points[self.brows, 2] = (shares * points[under, 2]).sum(1) + self.out
        return points

    def carry(self, moved):
        """Displacements [V, 3] with the brows' as those of the skin under them."""
        moved = moved.copy()
        moved[self.brows] = (self.shares[..., None] * moved[self.under]).sum(1)
        return moved


# lashes of each upper lid, which grow from a band; how far along and beside a lash its points are:
# two of the band between it and the one before, two on its way, its tip
LASHES, _OF_LASH = 22, ((0, -0.5), (0.12, -0.5), (0.5, -0.16), (0.5, 0.16), (1, 0))


def place_on_lid(key):
    """Position k along the ring of a lid, of a lash's or the tear line's vertex."""
    if key[0] == "tear":
        return key[3]
    return 1.3 + 13.4 * (key[2] + 0.5 + _OF_LASH[key[3]][1]) / LASHES


def add_lashes(mesh, margin):
    """Lashes on each upper lid, tips forwards and up, by turns long and short; margin: the 32 points
    of the left lid's edge."""
    margin = np.array(margin)
    for side in (1, -1):
        for n in range(LASHES + 1):
            for point, (along, _) in enumerate(_OF_LASH[: 2 if n == LASHES else None]):
                key = ("lash", side, n, point)
                k = place_on_lid(key)
                root = np.array([np.interp(k, range(len(margin)), margin[:, i]) for i in range(3)])
                away = (root - EYE) * [1.0, 0.25, 1.0]
                away /= np.linalg.norm(away)
                long = 4.2 * np.sin(np.pi * k / 16) ** 0.6 * (1.15 if k < 8 else 0.9)
                long *= 1.12 if n % 2 else 0.82
                curl = np.array([0, 0.9 * along**1.6, 0])
                place = root + [0, -0.25, 0.1] + long * (along * away + curl)
                mesh.add(key, place * [side, 1, 1], "lash")
        for n in range(LASHES):
            a, b, c, d, tip = (("lash", side, n, point) for point in range(5))
            e, f = (("lash", side, n + 1, point) for point in (0, 1))
            for face in ((a, e, f, b), (b, f, d, c), (c, d, tip)):
                mesh.face(face if side > 0 else face[::-1], "Brows")


_TEARS = range(20, 31)  # positions along the lower lid, from the inner corner


def add_tears(mesh, lids):
    """What is wet along the lower lids' edges, where these meet the eyeball; lids: the 32 points of
    the left lids' outer and inner edges."""
    outer, inner = (np.array(points) - EYE for points in lids)
    for side in (1, -1):
        rows = [[("tear", side, row, k) for k in _TEARS] for row in range(3)]
        for k in _TEARS:
            lower = 0.8 * inner[k] + 0.2 * outer[k]
            lower *= min(1, (EYE_RADIUS + 0.6) / np.linalg.norm(lower))
            upper = inner[k] + [0, 0.4, 0]
            upper *= (EYE_RADIUS + 0.08) / np.linalg.norm(upper)
            middle = 0.5 * (lower + upper) + [0, 0.05, 0.1]
            for row, point in enumerate((lower, middle, upper)):
                mesh.add(("tear", side, row, k), (EYE + point) * [side, 1, 1], "tear")
        mesh.rings(rows if side > 0 else [r[::-1] for r in rows], "Eye Tear", closed=False)


def mirror_part(key):
    """The key of the mirrored vertex, for every key of this file."""
    if key[0] == "tongue":
        return key if len(key) == 3 else key[:3] + ((-key[3]) % TONGUE_AROUND,)
    return (key[0], -key[1]) + key[2:]
