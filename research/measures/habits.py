# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures non-verbal behaviour of a face in the same way for real people, the teacher and takes.

`habits` describes a performance in numbers; the other measures relate movements to speech: strokes
of brows and head to accents, gaze shifts to phrase boundaries, and behaviour in pauses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from research.train.teacher import inside
from thunder_core.animation.traits import gaze_shifts, lid_closure, run_starts
from thunder_core.engine.speech.cues import Prosody
from thunder_core.face.head import Head
from thunder_core.face.moving.lips import opening_mm
from thunder_core.rotation import angular_speed
from thunder_core.types import FPS, Motion

# speeds above which a movement is a stroke: degrees per second, brow units per second
NOD, RAISE = 5.0, 0.35
# distance of a movement from its accent or boundary, frames (.16 and .20 s)
ACCENT_REACH, BOUNDARY_REACH = 4, 5
PAUSES = (0.4, 2.0)  # shortest and longest pause, s
# limits for a head that rests in a pause: turn, degrees; speed per axis, degrees per second
REST_DEGREES, FASTEST = 1.5, 40.0
BREATH = 0.5  # time before a phrase in which lips may open, s
ONSET = 0.2  # time before a phrase in which lips open for its first sound, s
OPEN_MM = 0.25  # least gap at which lips count as open


def brow(head: Head, motion: Motion) -> np.ndarray:
    """Height of the brows [T]."""
    return (
        motion.expression[
            :, [head.channel(n) for n in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
        ]
        .mean(1)
        .astype(float)
    )


def habits(head: Head, motion: Motion) -> dict[str, float]:
    """Non-verbal behaviour of a face in numbers (rad, mm, s, per minute)."""
    seconds, raised = motion.frames / FPS, brow(head, motion)
    return {
        "blinks_per_minute": 60 * len(run_starts(lid_closure(head, motion) > 0.5)) / seconds,
        "brow_deviation": float(raised.std()),
        "brow_raise_height": float(np.quantile(raised, 0.98) - np.median(raised)),
        "head_degrees_per_second": float(np.degrees(angular_speed(motion.head)).mean()),
        "gaze_shifts_per_minute": 60 * len(gaze_shifts(motion)) / seconds,
        "opening_mm_per_second": float(np.abs(np.diff(opening_mm(motion, head))).mean() * FPS),
    }


def strokes(values: np.ndarray, least: float) -> np.ndarray:
    """Frames at which a curve [T] rises fastest, wherever it rises by at least `least` per
    second."""
    speed = np.gradient(gaussian_filter1d(np.asarray(values, float), 1.0)) * FPS
    return find_peaks(np.pad(speed, 1), height=least, distance=5)[0] - 1


def nods(motion: Motion) -> np.ndarray:
    """Frames of the strokes with which the head nods down."""
    return strokes(np.degrees(motion.head[:, 0]), NOD)


def raises(head: Head, motion: Motion) -> np.ndarray:
    """Frames of the strokes with which brows rise."""
    return strokes(brow(head, motion), RAISE)


@dataclass(frozen=True)
class Coherence:
    """Coincidence of movements with marks in time: number near a mark, and number expected if they
    were shuffled; sums over clips."""

    hits: float = 0.0
    expected: float = 0.0

    def __add__(self, other: Coherence) -> Coherence:
        return Coherence(self.hits + other.hits, self.expected + other.expected)

    @property
    def ratio(self) -> float:
        """Observed hits over those expected by chance: 1 where movements ignore the marks; NaN
        without marks."""
        return self.hits / self.expected if self.expected > 0 else float("nan")


def coherence(events: np.ndarray, marks: np.ndarray, among: np.ndarray, reach: int) -> Coherence:
    """Coherence of events (frames) within `reach` frames of a mark (s), among the frames `among`
    bool [T].

    A shuffled event falls on each of these frames with equal probability, so the expectation is the
    share of frames near a mark.
    """
    near = np.zeros(len(among), bool)
    for mark in np.round(np.asarray(marks) * FPS).astype(int):
        near[max(0, mark - reach) : max(0, mark + reach + 1)] = True
    events = np.asarray(events, int)
    events = events[among[events]]
    if not among.any() or not len(events):
        return Coherence()
    return Coherence(float(near[events].sum()), float(len(events) * near[among].mean()))


def boundaries(voice: Prosody) -> np.ndarray:
    """Times, s, at which phrases start and end."""
    return np.array(sorted(t for phrase in voice.phrases for t in phrase))


def timing(head: Head, motion: Motion, voice: Prosody) -> dict[str, Coherence]:
    """Coherence of nods and brow raises with accents (in speech), of gaze shifts and blinks with
    phrase boundaries (everywhere)."""
    frames = min(motion.frames, voice.frames)
    motion, everywhere = motion.part(slice(0, frames)), np.ones(frames, bool)
    marks = boundaries(voice)
    return {
        "nods with accents": coherence(
            nods(motion), voice.accents, voice.spoken[:frames], ACCENT_REACH
        ),
        "brows with accents": coherence(
            raises(head, motion), voice.accents, voice.spoken[:frames], ACCENT_REACH
        ),
        "gaze with boundaries": coherence(gaze_shifts(motion), marks, everywhere, BOUNDARY_REACH),
        "blinks with boundaries": coherence(
            run_starts(lid_closure(head, motion) > 0.5), marks, everywhere, BOUNDARY_REACH
        ),
    }


def spans(voice: Prosody) -> list[slice]:
    """Frames of pauses of a length within PAUSES, from the last frame of the phrase before to the
    first of the one after."""
    pauses = [
        slice(int(np.floor(a * FPS)), int(np.ceil(b * FPS)) + 1)
        for a, b in voice.pauses
        if PAUSES[0] <= b - a <= PAUSES[1]
    ]
    return [span for span in pauses if span.stop <= voice.frames]


@dataclass(frozen=True)
class Pause:
    """Behaviour of a face in one pause.

    turned: degrees between the head's pose at its end and at its start.  fastest: degrees per
    second of the fastest axis.
    blinks, looks: counts.  moved: degrees of the head's path.
    """

    turned: float
    fastest: float
    blinks: int
    looks: int
    moved: float


def pauses(head: Head, motion: Motion, voice: Prosody) -> list[Pause]:
    """Every pause of a performance, by `spans`."""
    shut, looked, result = run_starts(lid_closure(head, motion) > 0.5), gaze_shifts(motion), []
    for span in spans(voice):
        pose = np.degrees(motion.head[span].astype(float))
        if len(pose) < 3:
            continue
        speed = np.diff(pose, axis=0)
        result.append(Pause(
            float(np.linalg.norm(pose[-1] - pose[0])), float(np.abs(speed).max() * FPS),
            int(((shut >= span.start) & (shut < span.stop)).sum()),
            int(((looked >= span.start) & (looked < span.stop)).sum()),
            float(np.linalg.norm(speed, axis=1).sum()),
        ))  # fmt: skip
    return result


def breaths(head: Head, motion: Motion, voice: Prosody) -> tuple[int, int]:
    """(phrases before which lips part, phrases) of those that follow a silence of at least as long
    as a pause that counts."""
    gap, count, phrases, before = opening_mm(motion, head), 0, 0, 0.0
    for start, end in voice.phrases:
        if start - before >= PAUSES[0]:
            window = gap[max(0, int((start - BREATH) * FPS)) : max(1, int((start - ONSET) * FPS))]
            phrases += 1
            count += bool(len(window) and window.max() > OPEN_MM)
        before = end
    return count, phrases


def silent_opening(head: Head, motion: Motion, voice: Prosody, margin: float = 0.4) -> np.ndarray:
    """Opening, mm, of the frames in silence: from `margin` s behind a phrase to where breath may
    begin before the next."""
    near = inside(
        [(start - BREATH - 1 / FPS, end + margin) for start, end in voice.phrases], motion.frames
    )
    return opening_mm(motion, head)[~near]
