# SPDX-License-Identifier: GPL-3.0-or-later
"""The few types that both processes share: speech, motion, takes and their scores."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import numpy as np

FPS = 25.0  # frames per second of every Motion; conversion to scene rates happens only in scene/
MOST_FPS = 1000.0  # highest plausible frame rate of a scene or file
RATE = 16000  # samples per second of every Speech the models see
SPEAKS, LISTENS, IDLE = "speaks", "listens", "idle"  # roles of a face for the sound of a take


@dataclass(frozen=True)
class Speech:
    """A mono recording.

    samples: float32 [n], −1..1.  rate: Hz.
    """

    samples: np.ndarray
    rate: int = RATE

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
        return hashlib.sha256(np.ascontiguousarray(self.samples, dtype="<f4")).hexdigest()[:16]


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

    def part(self, rows: slice) -> Motion:
        """Some of the frames."""
        return Motion(
            *(
                None if values is None else values[rows]
                for values in (self.expression, self.jaw, self.head, self.eyes)
            ),
            fps=self.fps,
        )

    @staticmethod
    def join(parts: list[Motion]) -> Motion:
        """Motions of the same channels, one after another; if one lacks head or eyes, so does the
        result."""
        columns = [
            [getattr(part, name) for part in parts]
            for name in ("expression", "jaw", "head", "eyes")
        ]
        return Motion(
            *(
                None if any(v is None for v in values) else np.concatenate(values)
                for values in columns
            ),
            fps=parts[0].fps,
        )


@dataclass(frozen=True)
class LipSyncScore:
    """Lip-sync of a motion with a sound, 0 … 100, on one scale for all sounds.

    Three mean scores of takes of validation voices set the scale, in the direction that they were
    sampled in: 8 where they are 120 ms off, 45 damped to 15 %, 75 unchanged; takes as asked get
    some ten more. Without a direction, size is no fault: it is read off the motion. What other
    takes get: `research/results/grades.txt`.

    per_frame: float32 [T], the same scale per animation frame; low where the lips drift.
    heard: 0 … 100, how much of the voice mesh-to-speech reads off the lips
    (`engine.scorer.heard_share`); no part of the total; not a number where it was not measured.
    """

    total: float
    per_frame: np.ndarray = field(repr=False)
    heard: float = math.nan


@dataclass(frozen=True)
class Take:
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

    @property
    def heard(self) -> float | None:
        """How much of the voice mesh-to-speech reads off the lips, 0 … 100; None if the face does
        not speak."""
        return None if self.score is None else self.score.heard


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
    return Motion(
        *np.split(
            np.ascontiguousarray(x, np.float32), [channels, channels + 3, channels + 6], axis=1
        )
    )
