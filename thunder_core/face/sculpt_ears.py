# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ears: each a bowl of rings with the relief of helix, antihelix, concha and tragus, sunk into the head."""

from __future__ import annotations

import numpy as np

AROUND = 28
_FRONT = (0.0, 0.2, 0.36, 0.5, 0.62, 0.74, 0.84, 0.93, 1.0)  # shares of the outline's radius, bowl outwards
_CENTRE = np.array([70.5, -14.0, -11.0])  # where the ear's middle meets the head, left side


def _outline(angle):
    """Radius [mm] of the ear's outline; angle 0 points backwards, π/2 up."""
    y, x = np.sin(angle), np.cos(angle)
    radius = 1.0 / np.sqrt((x / 17.5) ** 2 + (y / 31.5) ** 2)
    radius *= 1 + 0.10 * np.exp(-(((angle - 1.05) / 0.6) ** 2))  # broad upper back
    lobe = np.exp(-(((angle - 4.55) / 0.42) ** 2))
    return radius * (1 - 0.05 * lobe)


def _relief(share, angle):
    """Height [mm] over the ear's plane."""
    up = np.sin(angle)
    back = np.cos(angle)
    helix = 4.2 * np.exp(-(((share - 0.93) / 0.075) ** 2)) * (0.35 + 0.65 * (up > -0.55) * min(1.0, (up + 0.9)))
    groove = -1.2 * np.exp(-(((share - 0.80) / 0.06) ** 2)) * max(0.2 + back + 0.5 * up, 0)
    fold = 3.0 * np.exp(-(((share - 0.60) / 0.10) ** 2)) * max(0.15 + back + 0.25 * up, 0)
    concha = -7.0 * np.exp(-((share / 0.42) ** 4))
    tragus = 2.2 * np.exp(-(((share - 0.62) / 0.16) ** 2)) * np.exp(-(((angle - 3.35) / 0.42) ** 2))
    return helix + groove + fold + concha + tragus


def _point(share, angle, height):
    r = _outline(angle) * share
    back, up = r * np.cos(angle), r * np.sin(angle)
    lean, flare = np.radians(9.0), np.radians(24.0)
    back, up = back * np.cos(lean) + up * np.sin(lean), up * np.cos(lean) - back * np.sin(lean)
    # the plane swings out behind its front edge
    out = (back + 12.0) * np.sin(flare) + height * np.cos(flare)
    depth = -(back * np.cos(flare)) + height * np.sin(flare) * 0.6
    return _CENTRE + np.array([out - 2.5, up, depth])


def add_ears(mesh):
    """Add both ears; the part is "ear", which follows the head alone."""
    for side in (1, -1):
        keys = []
        for r, share in enumerate(_FRONT):
            keys.append([("ear", side, r, k) if r else ("ear", side, 0) for k in range(AROUND)])
            for k in range(AROUND if r else 1):
                angle = 2 * np.pi * k / AROUND
                mesh.add(keys[-1][k], _point(share, angle, _relief(share, angle)) * [side, 1, 1], "ear")
        for r, (share, height) in enumerate(((0.99, -2.2), (0.86, -4.2), (0.62, -9.0), (0.5, -16.0)), len(_FRONT)):
            keys.append([("ear", side, r, k) for k in range(AROUND)])
            for k in range(AROUND):
                mesh.add(keys[-1][k], _point(share, 2 * np.pi * k / AROUND, height) * [side, 1, 1], "ear")
        for a, b in zip(keys[:-1], keys[1:]):
            for k in range(AROUND):
                m = (k + 1) % AROUND
                quad = (a[k], a[m], b[m], b[k])
                mesh.face(quad if side > 0 else quad[::-1], "Skin")
