# SPDX-License-Identifier: GPL-3.0-or-later
"""The muzzle: the skin between nose and chin as a drawn surface, and the rings of the lips laid
onto it.

Rings run around the mouth, 40 places each: k = 0 at the left corner, 1–19 over the upper lip, 20 at
the right corner, 21–39 under the lower lip. Rings 0–1.5 are skin towards the cheeks, 2 and 3 skin
beside the lips, 4 is the border of the red, 5 the bulge, 6 the red, 7 where the lips meet, 8 where
they part inside, 9–13 line the mouth. Half rings round these off. Millimetres in the axes of
form.py.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import RectBivariateSpline

RING = 40
MOUTH_WIDTH = 25.0  # half the distance of the mouth corners
# rings of the lips: near skin, near skin, border, bulge, red, contact, inner contact
LIP_RINGS = range(2, 9)
CONTACT, INNER = 7, 8
RINGS = (0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 8, 9, 10, 11, 12, 13)
LINE = -70.0  # height of the line where the lips meet

# Depth z of the skin without the lips' red, rows by height, columns by lateral place.
_ACROSS = (0.0, 7.0, 14.0, 21.0, 28.0, 36.0, 44.0, 52.0)
_DRAWN = {
    -34.0: (98.0, 97.0, 93.5, 88.6, 85.4, 84.2, 82.4, 78.0),
    -42.0: (97.2, 95.9, 92.3, 88.0, 84.9, 82.4, 79.6, 74.4),
    -49.0: (96.0, 95.0, 92.2, 88.0, 84.3, 80.8, 77.0, 70.6),
    -56.0: (95.5, 94.9, 92.2, 88.2, 83.7, 79.0, 74.4, 66.8),
    -62.0: (97.0, 96.5, 93.3, 88.2, 82.9, 77.6, 71.6, 63.2),
    -70.0: (96.0, 95.0, 91.7, 86.8, 81.9, 75.9, 68.8, 59.4),
    -77.0: (96.1, 95.3, 92.2, 86.9, 81.3, 74.6, 66.2, 55.6),
    -82.0: (92.8, 92.3, 90.3, 85.7, 80.6, 73.3, 64.2, 53.0),
    -87.0: (89.6, 89.3, 88.2, 85.1, 79.5, 71.8, 62.4, 50.6),
    -95.0: (91.7, 91.4, 89.5, 84.6, 77.6, 68.8, 58.3, 45.6),
    -102.0: (92.9, 92.2, 89.3, 83.2, 74.5, 64.3, 52.4, 38.4),
    -109.0: (91.5, 90.2, 85.9, 78.6, 69.2, 57.4, 43.5, 27.5),
    -116.0: (85.0, 83.4, 78.6, 70.6, 60.0, 47.0, 31.0, 13.0),
}


@lru_cache(maxsize=1)
def _surface():
    rows = sorted(_DRAWN)
    across = np.concatenate([-np.array(_ACROSS[:0:-1]), _ACROSS])
    depth = np.array([_DRAWN[r][:0:-1] + _DRAWN[r] for r in rows])
    return RectBivariateSpline(rows, across, depth, kx=3, ky=3, s=0)


def ground(x, y):
    """Depth z [n] of the skin at (x, y) [n], without the red of the lips."""
    x, y = np.abs(np.asarray(x, float)), np.clip(np.asarray(y, float), -116.0, -34.0)
    z = _surface().ev(y, np.minimum(x, 52.0))
    # philtrum: a groove between two ridges that part towards the lip's peaks
    along = np.exp(-(((y + 58.0) / 7.5) ** 4))
    ridge = 4.4 + 0.10 * np.maximum(-50.0 - y, 0)
    z = z + along * (1.2 * np.exp(-(((x - ridge) / 2.2) ** 2)) - 1.1 * np.exp(-((x / 2.6) ** 2)))
    # the muscle knot next to the corner, the corner's dimple, and the hollow between it and the
    # chin
    z = z + 0.5 * np.exp(-(((x - 33.0) / 6.0) ** 2) - ((y + 71.0) / 9.0) ** 2)
    z = z - 0.8 * np.exp(-(((x - 27.0) / 3.4) ** 2) - ((y + 71.2) / 4.0) ** 2)
    z = z - 0.6 * np.exp(-(((x - 22.0) / 7.0) ** 2) - ((y + 82.0) / 5.0) ** 2)
    return z


def ring_position(k):
    """(u, up) of mouth ring position k: u from +1 at the left corner to −1 at the right; up is +1
    on the upper lip, −1 on the lower, 0 at the corners."""
    up = 0 if k % 20 == 0 else (1 if k < 20 else -1)
    u = 1 - (k if k <= 20 else RING - k) / 10.0
    return 0.62 * u + 0.38 * np.sin(np.pi * u / 2), up


def lip_line(x):
    """Height [mm] of the line where the lips meet, at lateral position x: a dip under the tubercle,
    a soft M."""
    u = np.clip(np.abs(x) / MOUTH_WIDTH, 0, 1.4)
    return (
        LINE
        - 1.0 * u**2
        - 0.6 * np.exp(-((x / 5.5) ** 2))
        + 0.5 * np.exp(-(((np.abs(x) - 11) / 6) ** 2))
    )


def red_height(u, up):
    """Height [n] of the red over (or under) the lip line: cupid's bow above, a fuller oval
    below."""
    a = np.abs(u)
    x = a * MOUTH_WIDTH
    upper = 7.8 * np.maximum(1 - a**1.45, 0) ** 0.95
    upper = upper * (
        1 - 0.16 * np.exp(-((x / 2.6) ** 2)) + 0.06 * np.exp(-(((x - 5.6) / 3.0) ** 2))
    )
    lower = 8.1 * np.maximum(1 - a**2.3, 0) ** 1.05
    return np.where(up > 0, upper, lower)


# Ring where the lips meet, and those behind it → depth z, from the corner to the middle. Takes are
# made for these: the skin before them is drawn anew without moving them.
_INSIDE = {
    7: (80.70170, 82.27118, 84.07177, 85.92224, 87.87135, 89.82528,
        91.56187, 92.93214, 93.86723, 94.37967, 94.53446),
    8: (78.13682, 79.51587, 81.06022, 82.68182, 84.42871, 86.19793,
        87.78037, 89.04040, 89.90715, 90.38737, 90.53446),
    9: (76.95081, 78.20351, 79.83913, 81.54112, 83.35748, 85.23317,
        86.93954, 88.30368, 89.24800, 89.77322, 89.93446),
    10: (74.49661, 75.10664, 76.57057, 78.75672, 80.97923, 83.26878,
        85.45106, 87.21495, 88.44347, 89.12650, 89.33446),
    11: (66.40402, 67.42425, 68.22062, 70.03766, 72.74896, 75.41862,
        78.05152, 80.26003, 81.80880, 82.67290, 82.93446),
}  # fmt: skip
# Ring → its extent beyond the corner [mm]; the red's inner edge ends before it, so that an open
# mouth has round corners.
_BEYOND = {
    2: 8.0,
    3: 3.4,
    4: 1.2,
    5: 0.4,
    6: -1.6,
    6.5: -3.0,
    7: 0.0,
    8: -0.4,
    9: 0.6,
    10: 3.5,
    11: 6.5,
    12: 8.0,
    13: 2.0,
}
# Ring of the red → how far it lies before the contact [mm]: upper and lower lip, corner.
_BEFORE = {5: (1.8, 2.5, 1.9), 6: (0.9, 1.7, 1.6), 6.5: (0.4, 0.7, 1.1)}


def lip_ring(ring):
    """Points [40, 3] of one mouth ring, 2 … 13; half rings are on the curve through their
    neighbours."""
    if ring == 2.5:
        points = 0.5 * (lip_ring(2) + lip_ring(3))
        points[:, 2] += 0.5 * (ground(*points[:, :2].T) - points[:, 2])
        return points
    if ring != int(ring) and ring != 6.5:
        a, b, c, d = (lip_ring(int(ring) + i) for i in (-1, 0, 1, 2))
        return (9 * (b + c) - a - d) / 16
    u, up = np.array([ring_position(k) for k in range(RING)]).T
    above, a = up > 0, np.abs(u)
    line = lip_line(u * MOUTH_WIDTH)
    arch = np.sqrt(np.maximum(1 - u * u, 0))
    red = red_height(u, up)
    tubercle = np.exp(-((u * MOUTH_WIDTH / 4.0) ** 2)) * above
    away = {
        2: red + 1.9 + np.where(above, 3.6, 5.4) * arch,
        3: red + 0.7 + 0.6 * arch,
        4: red,
        5: np.where(above, 0.62 - 0.06 * tubercle, 0.5) * red,
        6: 0.08 * red + 0.25 * arch,
        6.5: 0 * red,
        7: 0 * red,
        8: 0 * red,
        9: 2.9 * arch,
        10: 10.5 * arch,
        11: 15.5 * arch,
        12: np.where(above, 12.0, 21.0) * arch,
        13: np.where(above, 8.0, 20.0) * arch,
    }[ring]
    x = u * (MOUTH_WIDTH + _BEYOND[ring])
    y = line + up * away - (0.4 * a**8 if ring < CONTACT else 0.0)
    full = arch**0.9
    if 5 < ring < CONTACT:  # the lower lip's red rises behind it: no gap is seen straight through
        y = y - 0.35 * arch**3 * (1 - 0.6 * np.exp(-((u * MOUTH_WIDTH / 6.0) ** 2)))
    if ring <= 4:
        z = (
            ground(x, y)
            + {2: 0.0, 3: 0.15, 4: np.where(above, 0.5, 1.0)}[ring] * full
            - {2: 0.0, 3: 0.2, 4: 0.4}[ring] * a**6
        )
    elif ring < CONTACT:
        upper, lower, corner = _BEFORE[ring]
        # the lower lip's faint cleft
        before = np.where(above, upper + 0.2 * tubercle, lower)
        before = before - 0.3 * np.exp(-((u * MOUTH_WIDTH / 3.0) ** 2)) * (up < 0)
        z = corner + (before - corner) * full
        z = z + np.interp(np.abs(x), MOUTH_WIDTH * u[10::-1], _INSIDE[CONTACT][::-1])
    elif ring in _INSIDE:
        z = np.array(_INSIDE[ring])[[min(k % 20, 20 - k % 20) for k in range(RING)]]
    else:
        z = np.full(RING, 58.0 if ring == 12 else 32.0) + 8.0 * arch
    return np.stack([x, y, z], 1)
