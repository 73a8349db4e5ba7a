# SPDX-License-Identifier: GPL-3.0-or-later
"""Variation of colour over a part: factors of its material's colour, per vertex."""

import numpy as np

from . import ears
from .form import EYE, EYE_RADIUS, fold, furrows
from .mesh import bump, smooth_step
from .nose import POLE
from .parts import EDGE_UPPER
from .shapes import above_middle

# On the skin, left side: centre, radii, factor of red, green, blue in the middle.
_SKIN = (
    ((44, -38, 64), (34, 30, 54), (1.03, 0.87, 0.85)),  # cheek
    ((0, -37, 106), (22, 20, 30), (1.03, 0.89, 0.875)),  # tip of the nose
    ((18, -42, 94), (10, 10, 18), (1.00, 0.90, 0.88)),  # its wing
    ((0, -108, 80), (24, 16, 50), (1.03, 0.91, 0.895)),  # chin
    ((0, 46, 82), (52, 32, 60), (1.02, 1.03, 1.00)),  # forehead
    ((16, -3, 70), (10, 11, 17), (1.03, 1.2, 1.22)),  # inner corner of the eye, in red shadow
    ((24, -8, 74), (11, 8, 14), (1.00, 1.03, 1.03)),
)
_LID = (0.98, 0.90, 0.89)
_EDGE_OF_LID = (1.02, 0.88, 0.86)
_CARUNCLE = (1.02, 0.95, 0.94)
_IN_FOLDS = (0.84, 0.76, 0.74)
_STUBBLE = (0.62, 0.68, 0.76)
_ROOT = (0.86, 0.78, 0.68)
_EAR, _IN_EAR = (1.03, 0.86, 0.835), (0.90, 0.79, 0.77)
_NOSTRIL = ((0.55, 0.42, 0.40), (0.12, 0.08, 0.07), (0.06, 0.04, 0.035))  # its rings, its end


# Ring of the mouth → how red it is; how dark, where the lips meet.
_RED = (2.0, 2.5, 3.0, 4.0, 4.5, 5.0, 8.5, 9.0), (0.0, 0.0, 0.06, 0.92, 1.0, 1.0, 1.0, 0.0)
_CREASE = (6.0, 6.5, 7.0, 8.0, 8.5, 9.0), (0.0, 0.25, 0.55, 0.6, 0.55, 0.0)

# Ring of the mouth → where the corners are lighter, and by how much.
_CORNERS, _LIT = ((6.0, 7.0, 9.0, 11.0), (0.0, 1.0, 1.0, 0.3)), 0.9
# What little light falls between lips that are just apart: factors on the lining, on the teeth.
_LINING, _CROWNS = (3.2, 2.3, 2.2), 1.4
# distance of an upper tooth's middle from the midline [mm], and the light of its material there;
# by how much lower front teeth are narrower
_SHADOW, _NARROWER = ((4.3, 11.5, 17.5), (1.0, 0.66, 0.14)), 1.35


def tints(clay, stubble: float, age: float, red) -> np.ndarray:
    """Factors [V, 3]; stubble: how dark the beard's shadow is, age: how dark folds are, 0 … 1; red:
    factors [3] that make skin the red of lips."""
    p, part = clay.points, clay.part
    tint = np.ones((len(p), 3))
    skin = np.isin(part, ("skin", "lid")).astype(float)
    for centre, radii, factor in _SKIN:
        share = np.max([bump(p * [side, 1, 1], centre, radii) for side in (1, -1)], axis=0) * skin
        _blend(tint, (share, factor))
    # the beard's upper edge
    line = np.interp(np.abs(p[:, 0]), (0, 17, 31, 60), (-51, -53, -62, -44))
    beard = (
        smooth_step(0, 12, line - p[:, 1])
        * smooth_step(-146, -122, p[:, 1])
        * smooth_step(-6, 14, p[:, 2])
        * np.where(clay.ring >= 2, np.interp(clay.ring, (3, 4), (1, 0)), part == "skin")
    )
    lines = np.maximum(fold(p)[0], -furrows(p)) * skin
    lid = np.where(part == "lid", np.interp(clay.lid_ring, (1.5, 2.5, 3.5), (0.0, 0.6, 1.0)), 0)
    _blend(tint, (age * lines, _IN_FOLDS), (stubble * beard, _STUBBLE), (lid, _LID))
    tint[clay.lid_ring >= 5] *= _EDGE_OF_LID
    tint[(clay.lid_ring == 6) & (np.abs(p[:, 0]) < 22)] *= _CARUNCLE
    ear = (part == "ear").astype(float)
    for _ in range(2):  # it fades into the cheek
        ear = clay.neighbour_mean(ear)
    _blend(tint, (ear, _EAR), (ears.depth(clay.index, len(p)), _IN_EAR))
    for key, i in clay.index.items():
        if key[0] == "nostril":
            tint[i] = _NOSTRIL[key[2]]
        elif key in (("g", *POLE), ("g", POLE[0], -POLE[1])):
            tint[i] = _NOSTRIL[-1]
    # the red fades into the skin around it, and towards the corners
    fade = 0.2 + 0.8 * smooth_step(1.0, 0.84, np.abs(clay.u))
    red_share = np.interp(clay.ring, *_RED) * fade * (clay.ring >= 0)
    _blend(tint, (red_share, red))
    # the crease where the lips meet: no lamp reaches it, but Eevee lights it as if they were apart
    corner = smooth_step(1.0, 0.7, np.abs(clay.u))
    dark = np.interp(clay.ring, *_CREASE) * (0.1 + 0.9 * corner) * (clay.ring >= 0)
    tint *= 1 - dark[:, None]
    # near the corners lips hang over it, and it would be a black wedge
    tint *= 1 + (_LIT * np.interp(clay.ring, *_CORNERS) * (1 - corner))[:, None]
    # the inner mouth is dark
    deep = smooth_step(84, 44, p[:, 2])
    teeth = np.isin(part, ("teeth_upper", "teeth_lower"))
    tint *= 1 - (deep * (0.62 * teeth + 0.1 * (part == "bag")))[:, None]
    _blend(tint, ((1 - deep) * (part == "bag"), _LINING), ((1 - deep) * teeth, _CROWNS))
    tint *= np.where(teeth, _evenly(clay), 1.0)[:, None]
    tint *= _of_the_tongue(clay)
    # crowns darken towards the gums
    _blend(tint, (teeth * smooth_step(2.5, 10.0, np.abs(p[:, 1] - EDGE_UPPER)), _ROOT))
    for side in (1, -1):
        away = p - EYE * [side, 1, 1]
        ball = part == ("eye_left" if side > 0 else "eye_right")
        aside = np.degrees(
            np.arccos(np.clip(away[:, 2] / np.maximum(np.linalg.norm(away, axis=1), 1e-9), -1, 1))
        )
        rim = smooth_step(38, 75, aside)[:, None] * (np.array([0.93, 0.84, 0.82]) - 1)
        # the iris: light about the pupil, and rays
        angle = np.arctan2(away[:, 1], side * away[:, 0])
        rays = 1 + 0.10 * np.cos(12 * angle) + 0.07 * np.cos(5 * angle + 1.0)
        iris = (aside > 12) & (aside < 20)
        glow = np.where(
            iris, 1.35 * rays, np.interp(aside, (17, 24, 27, 29.5, 34), (1, 0.8, 0.8, 0.9, 1))
        )
        shade = 1 - 0.45 * smooth_step(0.05, 0.42, away[:, 1] / EYE_RADIUS)  # of the upper lid
        tint = np.where(ball[:, None], (1 + rim) * shade[:, None] * glow[:, None], tint)
    return np.round(0.5 * (tint + tint[clay.mirror]), 4).astype(np.float32)


def _blend(tint: np.ndarray, *layers) -> None:
    """Multiply tints [V, 3] by layers: a share [V], and the factor, of each colour or of all, where
    it is 1."""
    for share, factor in layers:
        tint *= 1 + share[:, None] * (np.array(factor) - 1)


def _evenly(clay) -> np.ndarray:
    """Factors [V] that let a row of teeth and its gum darken evenly from the middle back, though a
    tooth has one material."""
    x = np.abs(clay.points[:, 0]) * np.where(clay.part == "teeth_lower", _NARROWER, 1.0)
    tooth = np.ones(len(x))
    for key, i in clay.index.items():
        if key[0] == "tooth":
            tooth[i] = _SHADOW[1][min(key[3], 2)]
    return np.interp(x, *_SHADOW) / tooth


def _of_the_tongue(clay) -> np.ndarray:
    """Factors [V, 3] on the tongue, 1 elsewhere: its tip is pale, so that it is seen between lips
    and teeth, its back is coated; the groove, the flanks and the underside are darker than light
    alone makes them in Eevee and the solid view, and redder."""
    p, t, tongue = clay.points, clay.along_tongue, (clay.part == "tongue")[:, None]
    above = above_middle(clay)
    groove = np.exp(-((p[:, 0] / 2.6) ** 2)) * smooth_step(0.06, 0.3, t) * (above > 0)
    coated = smooth_step(1.0, 3.0, above) * smooth_step(0.08, 0.3, t) * (1 - groove)
    tint = np.ones((len(p), 3))
    _blend(
        tint,
        (smooth_step(78, 44, p[:, 2]), (0.50, 0.44, 0.44)),  # the mouth is dark behind
        (smooth_step(0.3, 0.04, t), (1.10, 1.42, 1.40)),
        (smooth_step(0.4, -2.4, above), (0.86, 0.74, 0.75)),
        (groove, (0.78, 0.68, 0.70)),
        (coated, (1.02, 1.22, 1.18)),
    )
    return np.where(tongue, tint, 1.0)
