# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of a motion: their columns when packed, the groups of them that speak, the angles of
ARKit's keys.

Groups are beginnings of ARKit's names (`name.startswith(SPEECH)`, or `in_group` for many). Every
set of channels that “speak” is one of these or derived from one here.
"""

from collections.abc import Sequence

import numpy as np

# the rotation vectors of a motion, in the order of its packed columns
TURNS = ("jaw", "head", "eyes")


class Columns:
    """The columns of a packed motion x [..., n + 9] (`types.pack`): expression, then the rotation
    vectors of jaw, head and eyes.

    channels: n of the expression basis.  count: n + 9.
    """

    def __init__(self, channels: int):
        self.count = channels + 3 * len(TURNS)
        self.expression = slice(0, channels)
        self.jaw, self.head, self.eyes = (
            slice(start, start + 3) for start in range(channels, self.count, 3)
        )


# ---- groups

# channels that articulate speech; the other speaking groups are derived from it
SPEECH = ("mouth", "jaw", "tongue")
# channels that move with the lips; cheeks are inflated behind shut lips
MOUTH = (*SPEECH, "cheekPuff")
# channels of SPEECH that may stay active in silence
MOODS = ("mouthSmile", "mouthFrown", "mouthDimple")
TONGUE = ("tongue",)
BROWS = ("brow",)
BLINKS = ("eyeBlink",)
LIDS = ("eyeSquint", "eyeWide")
GAZE = ("eyeLook",)
LIP_CLOSE = "mouthClose"  # keeps the lips together over an open jaw
# reduced where lips close
LIP_OPENERS = ("mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthShrugUpper", "tongueOut")
LIP_PRESS = ("mouthPress",)
COEFFICIENTS = ("expression",)  # channels of a FLAME file; each of them moves mouth and brows

# Part of the face that a channel, a derived key or a joint belongs to.
_REGIONS = (
    ("mouth", ("mouth", "tongue", "cheekPuff")),
    ("jaw", ("jaw",)),
    ("eyes", (*BLINKS, *GAZE, *LIDS, "eye_")),
    ("upper_face", ("brow", "nose", "cheekSquint")),
    ("head", ("neck",)),
)


def in_group(names: Sequence[str], group: tuple[str, ...], but: tuple[str, ...] = ()) -> np.ndarray:
    """True for names in a group and in none of `but`: bool [n]."""
    return np.array(
        [name.startswith(group) and not (but and name.startswith(but)) for name in names], bool
    )


def reorder(expression: np.ndarray, channels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Expression [T, len(names)], float64, of one [T, len(channels)] with other columns; names it
    lacks are 0."""
    if tuple(channels) == tuple(names):
        return np.asarray(expression, np.float64)
    places = {name: column for column, name in enumerate(names)}
    result = np.zeros((len(expression), len(places)))
    for column, name in enumerate(channels):
        if name in places:
            result[:, places[name]] = expression[:, column]
    return result


def region_of(source: str) -> str:
    """The region (mouth, jaw, upper_face, eyes, head) that a channel, derived key or joint belongs
    to."""
    return next((name for name, starts in _REGIONS if source.startswith(starts)), "head")


LARGEST_VALUE = 1.2  # of a channel that a performance sets; 1 is a key's full movement

# ---- angles: what a rotation is worth in ARKit's keys, the radians at which a key is 1

JAW_OPEN_RADIANS = 0.30
JAW_SIDE_RADIANS = 0.12
EYE_SIDE_RADIANS = 0.60
EYE_UP_RADIANS = 0.45
EYE_DOWN_RADIANS = 0.45
