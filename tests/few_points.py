# SPDX-License-Identifier: GPL-3.0-or-later
"""A face of few points that looks along −Y, what keys move of it, metres, and the bones of its
head."""

POINTS = {
    "upper": (0, -0.1, 1.6003),
    "lower": (0, -0.1, 1.5997),
    "corner_l": (0.03, -0.09, 1.6),
    "corner_r": (-0.03, -0.09, 1.6),
    "chin": (0, -0.09, 1.55),
    "nose": (0, -0.12, 1.65),
    "lid_l": (0.03, -0.09, 1.672),
    "lid_r": (-0.03, -0.09, 1.672),
    "under_l": (0.03, -0.09, 1.66),
    "under_r": (-0.03, -0.09, 1.66),
    "top": (0, 0, 1.8),
    "back": (0, 0.09, 1.65),
    "neck": (0, 0.03, 1.5),
}
PLACES = list(POINTS)
KEYS = {
    "jawOpen": {"lower": (0, 0.004, -0.022), "chin": (0, 0.006, -0.028)},
    "mouthClose": {"lower": (0, -0.002, 0.012), "upper": (0, 0, -0.010)},
    "mouthPucker": {"corner_l": (-0.012, -0.006, 0), "corner_r": (0.012, -0.006, 0)},
    "mouthStretchLeft": {"corner_l": (0.009, 0, 0)},
    "mouthStretchRight": {"corner_r": (-0.009, 0, 0)},
    "eyeBlinkLeft": {"lid_l": (0, 0, -0.012)},
    "eyeBlinkRight": {"lid_r": (0, 0, -0.012)},
}
BONES = {
    "hips": ((0, 0, 1), (0, 0, 1.2), None),
    "head": ((0, 0.02, 1.58), (0, 0.02, 1.8), "hips"),
    "jaw": ((0, 0, 1.62), (0, -0.09, 1.55), "head"),
}
JAW = ("lower", "chin")


def mirrored(name):
    """The name of a key's counterpart on the other side."""
    return name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")


def without(*names):
    return {name: moves for name, moves in KEYS.items() if name not in names}
