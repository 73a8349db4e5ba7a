# SPDX-License-Identifier: GPL-3.0-or-later
"""Converts motion at 25 fps to scene frames and back; the only place that does."""

import math
from dataclasses import dataclass

import numpy as np

from ..filters import ease, hermite
from ..types import CLOSED_MM, FPS

_BESIDE = 3  # frames on either side of a closure in which the nearest output frame lies
LEAD_IN, LEAD_OUT = 0.4, 0.5  # seconds from rest before the sound and back to rest after it


@dataclass(frozen=True)
class Clock:
    """Position of a sound in a scene: its first sample plays at `start` (frames, with fraction), at
    `fps` frames per second of real time (fps / fps_base)."""

    start: float
    fps: float

    @classmethod
    def of(cls, scene, start: float) -> "Clock":
        """The clock of a sound whose first sample plays at frame `start` of a Blender scene."""
        return cls(float(start), scene.render.fps / scene.render.fps_base)

    def frame(self, seconds):
        """Scene frame at a time of the sound (scalar or array)."""
        return self.start + np.asarray(seconds, dtype=np.float64) * self.fps

    def seconds(self, frame):
        """Time of the sound at a scene frame (scalar or array)."""
        return (np.asarray(frame, dtype=np.float64) - self.start) / self.fps

    def scene_frames(self, motion_frames: int) -> np.ndarray:
        """The whole scene frames that a motion of `motion_frames` frames covers, int [S]."""
        first = math.floor(self.start + 1e-6)
        last = math.ceil(float(self.frame((motion_frames - 1) / FPS)) - 1e-6)
        return np.arange(first, max(first, last) + 1)

    def take_frames(self, motion_frames: int) -> np.ndarray:
        """The whole scene frames with keys of a take of `motion_frames` frames: its sound's,
        lead-in and lead-out, int [S]."""
        sound = self.scene_frames(motion_frames)
        lead_in, lead_out = self.leads()
        return np.arange(sound[0] - lead_in, sound[-1] + lead_out + 1)

    def leads(self) -> tuple[int, int]:
        """Number of a take's scene frames before its sound and after it."""
        return math.ceil(LEAD_IN * self.fps), math.ceil(LEAD_OUT * self.fps)

    def presence(self, frames: np.ndarray, motion_frames: int) -> np.ndarray:
        """Weight of a motion of `motion_frames` frames at scene frames [S]: 1 during its sound,
        eased to 0 over the leads.

        A strip may be cut in the middle of a word; its mouth opens before the cut and closes after
        it.
        """
        seconds = self.seconds(frames)
        before, after = -seconds / LEAD_IN, (seconds - (motion_frames - 1) / FPS) / LEAD_OUT
        return ease(1.0 - np.maximum(before, after))


def at_scene_frames(
    clock: Clock, values: np.ndarray, frames: np.ndarray, opening: np.ndarray | None = None
) -> np.ndarray:
    """Curves at 25 fps (values [T, c]) at scene frames (frames [S]); returns float64 [S, c].

    Monotone cubics between the model's frames: no overshoot, so lips that meet do not pass through
    each other. With `opening` [T] in mm, a scene frame that has a closure within half its length
    takes the closed pose itself; at 24 fps a closure one frame long would otherwise be averaged
    away. Only the part of the curves that the frames need is worked on, so a long take can be
    resampled in pieces.
    """
    position, step = clock.seconds(frames) * FPS, FPS / clock.fps
    around = math.ceil(step) + 3
    low = min(max(0, math.floor(position.min()) - around), len(values) - 1)
    part = slice(low, max(low + 1, math.ceil(position.max()) + around))
    position = np.clip(position, 0.0, len(values) - 1.0) - low
    if opening is not None:
        position = snap_to_closures(position, np.asarray(opening[part], dtype=np.float64), step)
    return monotone_cubic(np.asarray(values[part], dtype=np.float64), position)


def snap_to_closures(position: np.ndarray, opening: np.ndarray, step: float) -> np.ndarray:
    """Fractional indices [S], ascending and `step` apart; those next to a closure of opening [T]
    (mm) are moved onto it."""
    lower = np.r_[np.inf, opening[:-1]]
    upper = np.r_[opening[1:], np.inf]
    closures = np.flatnonzero((opening < CLOSED_MM) & (opening <= lower) & (opening <= upper))
    places = np.searchsorted(position, closures)
    position = position.copy()
    for closure, place in zip(closures, places):
        first = max(0, place - _BESIDE)
        nearest = first + int(np.argmin(np.abs(position[first : place + _BESIDE] - closure)))
        if abs(position[nearest] - closure) <= step / 2 + 1e-9:
            position[nearest] = closure
    return position


def monotone_cubic(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Fritsch–Carlson interpolation of evenly spaced samples (values [T, c]) at fractional indices
    [S]."""
    count = len(values)
    if count == 1:
        return np.repeat(values, len(position), axis=0)
    delta = np.diff(values, axis=0)
    slope = np.zeros_like(values)
    before, after = delta[:-1], delta[1:]
    same = before * after > 0
    # Harmonic mean where the curve keeps its direction, flat at every turning point.
    slope[1:-1] = np.where(same, 2 * before * after / np.where(same, before + after, 1.0), 0.0)
    slope[0], slope[-1] = delta[0], delta[-1]
    index = np.clip(np.floor(position).astype(int), 0, count - 2)
    t = (position - index)[:, None]
    v0, v1, m0, m1 = hermite(t)
    return v0 * values[index] + m0 * slope[index] + v1 * values[index + 1] + m1 * slope[index + 1]


def motion_times(seconds: float, fps: float = FPS) -> np.ndarray:
    """Times of the frames of a motion of `seconds`, float64 [T], at least one."""
    return np.arange(max(1, round(seconds * fps))) / fps
