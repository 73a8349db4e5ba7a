# SPDX-License-Identifier: GPL-3.0-or-later
"""The few types that both processes share: speech, motion and takes; and the channels
of a motion: their columns when packed, the groups of them that speak, the angles of ARKit's keys.

Groups are beginnings of ARKit's names (`name.startswith(SPEECH)`, or `in_group` for many). Every
set of channels that “speak” is one of these or derived from one here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .findings import LipSyncScore

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
MOOD_CHANNELS = ("mouthSmile", "mouthFrown", "mouthDimple")
TONGUE = ("tongue",)
BROW_CHANNELS = ("brow",)
BLINKS = ("eyeBlink",)
LIDS = ("eyeSquint", "eyeWide")
GAZE = ("eyeLook",)
LIP_CLOSE = "mouthClose"  # keeps the lips together over an open jaw
# reduced where lips close
LIP_OPENERS = ("mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthShrugUpper", "tongueOut")
LIP_PRESS = ("mouthPress",)

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


def columns_of(names: Sequence[str], stem: str) -> list[int]:
    """The places of a channel among names: of itself, or of both its sides."""
    return [i for i, name in enumerate(names) if name in (stem, stem + "Left", stem + "Right")]


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


# ---- angles: what a rotation is worth in ARKit's keys, the radians at which a key is 1

JAW_OPEN_RADIANS = 0.30
TOUCH_MM = 0.3  # gap below which inner lips touch visibly
CLOSED_MM = 0.6  # gap below which lips form a closure, which must survive at any scene rate
JAW_SIDE_RADIANS = 0.12
EYE_SIDE_RADIANS = 0.60
EYE_UP_RADIANS = 0.45
EYE_DOWN_RADIANS = 0.45


FPS = 25.0  # frames per second of every Motion; conversion to scene rates happens only in scene/
LEAST_FPS, MOST_FPS = 1.0, 1000.0  # plausible frame rates of a scene or file
# a recorded performance has at most so many seconds, and frames
LONGEST_RECORDING, MOST_FRAMES = 4 * 3600.0, 4 * 3600 * 60
LARGEST_TURN = 6.3  # radians, a full turn: no joint of a face turns by more
LARGEST_COEFFICIENT = 100.0  # of an expression channel, in whatever unit, far beyond any face
RATE = 16000  # samples per second of every Speech the models see
ENCODER_RATE = 50.0  # rows per second of what the speech encoder hears
Role = StrEnum("Role", ["SPEAKS", "LISTENS", "IDLE"])  # of a face for the sound of a take
SPEAKS, LISTENS, IDLE = Role


@dataclass(frozen=True)
class Speech:
    """A mono recording.

    samples: float32 [n], −1..1.  rate: Hz.  channel: of its file, from 1; 0: the mean of all.
    """

    samples: np.ndarray
    rate: int = RATE
    channel: int = field(default=0, kw_only=True)

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate

    @property
    def frames(self) -> int:
        """Number of animation frames T that cover this sound at 25 fps (at least 1)."""
        return max(1, round(self.seconds * FPS))

    @property
    def fingerprint(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the samples: the same sound has the same,
        whatever its file."""
        return hashlib.sha256(np.ascontiguousarray(self.samples, dtype="<f4").data).hexdigest()[:16]


@dataclass(frozen=True)
class Motion:
    """A facial performance; frame i is at i / fps seconds from the sound's first sample.

    expression: float32 [T, n], coefficients of the head's expression basis.
    jaw:        float32 [T, 3], rotation vector of the jaw joint, radians.
    head:       float32 [T, 3], rotation vector of the neck joint, radians, or None (still).
    eyes:       float32 [T, 3], rotation vector of both eye joints together, radians, or None.
    """

    expression: np.ndarray
    jaw: np.ndarray
    head: np.ndarray | None = None
    eyes: np.ndarray | None = None
    fps: float = FPS

    @property
    def frames(self) -> int:
        """T."""
        return len(self.jaw)

    @property
    def turns(self) -> tuple[np.ndarray, np.ndarray]:
        """The rotation vectors of head and eyes [T, 3]; missing ones are still."""
        still = np.zeros((self.frames, 3), np.float32)
        return still if self.head is None else self.head, still if self.eyes is None else self.eyes

    def part(self, rows: slice | list[int]) -> Motion:
        """Some of the frames."""
        head, eyes = (None if each is None else each[rows] for each in (self.head, self.eyes))
        return Motion(self.expression[rows], self.jaw[rows], head, eyes, self.fps)

    @staticmethod
    def join(parts: list[Motion]) -> Motion:
        """Motions of the same channels, one after another; if one lacks head or eyes, so does the
        result."""
        heads = [part.head for part in parts if part.head is not None]
        eyes = [part.eyes for part in parts if part.eyes is not None]
        return Motion(
            np.concatenate([part.expression for part in parts]),
            np.concatenate([part.jaw for part in parts]),
            np.concatenate(heads) if len(heads) == len(parts) else None,
            np.concatenate(eyes) if len(eyes) == len(parts) else None,
            parts[0].fps,
        )


@dataclass(frozen=True)
class SampledTake:
    """One sampled performance of a line.

    score: None if the face does not speak.
    opening, width: float32 [T], inner-lip gap and distance of the mouth corners, millimetres.
    provenance: all that is needed to make this take again (seed, engine, weights, audio, settings).
    """

    motion: Motion
    seed: int
    score: LipSyncScore | None
    opening: np.ndarray
    width: np.ndarray
    provenance: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Keep:
    """The part of a performance that is kept while the rest is sampled again.

    mask: bool [T, n + 9], True where `motion` is kept; columns as `pack` orders them (expression,
    jaw, head, eyes).
    """

    motion: Motion
    mask: np.ndarray


def pack(motion: Motion) -> np.ndarray:
    """Motion → x [T, n + 9]: expression, jaw, head, eyes; a missing head or eyes is still."""
    return np.concatenate([motion.expression, motion.jaw, *motion.turns], 1).astype(np.float32)


def unpack(x: np.ndarray, channels: int) -> Motion:
    """Inverse of `pack` for an expression basis of `channels`."""
    borders = [channels, channels + 3, channels + 6]
    expression, jaw, head, eyes = np.split(np.ascontiguousarray(x, np.float32), borders, axis=1)
    return Motion(expression, jaw, head, eyes)
