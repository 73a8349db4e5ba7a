# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the gestures of a performance, and what is seen of a finished take, by which its words
tell it from others. And reads the style of a take, an action or a capture from the motion alone, to
direct other takes with it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..direction import SLIDERS, Style
from ..errors import BadRequest
from ..face.head import Head, load_head
from ..face.points import ArticulatorPositions, Articulators, SkinnedPoints
from ..rotation import angular_speed, rotvec_to_matrix
from ..types import FPS, Motion, pack, reorder, unpack

# ---- gestures of a performance

SACCADE = 40.0  # eye speed above which a movement is a gaze shift, degrees per second
_OPEN_MM = 4.0  # inner-lip gap beyond which the jaw's share is read
# Incisors of usual takes are _JAW_SLOPE · (gap − _LIPS_MM) apart there: lips make the rest. (Least
# squares through 12 voices of `validation` in 8 readings each; by it *Energy* leaves the jaw's
# share as it is.)
_JAW_SLOPE, _LIPS_MM = 0.71, 0.83
# lower bound of the jaw's share, and the value of a mouth that never opens that far
_LEAST_SHARE = 0.05
_BROW_POINTS = 24  # number of vertices that raised brows move most


def lid_closure(head: Head, motion: Motion) -> np.ndarray:
    """Closure of the eyes [T], 0 … 1, of a motion of a head's channels."""
    columns = [head.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    return motion.expression[:, columns].mean(1).astype(float)


def run_starts(active: np.ndarray) -> np.ndarray:
    """Frames at which runs of True in [T] begin."""
    return np.flatnonzero(np.diff(np.asarray(active).astype(int), prepend=0) == 1)


def gaze_shifts(motion: Motion) -> np.ndarray:
    """Frames at which the gaze shifts in the world; eyes that only compensate for the head's
    rotation do not count."""
    head, eyes = motion.turns
    return run_starts(np.degrees(angular_speed(eyes.astype(float) + head)) > SACCADE)


def _value_when_closed(gaps: np.ndarray, values: np.ndarray) -> float:
    """The value where the lips meet, by linear regression over all frames; their mean if their gaps
    are too few or too similar."""
    if len(gaps) < 10 or gaps.std() < 0.1:
        return float(values.mean()) if len(values) else 0.0
    return float(np.polyfit(gaps, values, 1)[1])


@dataclass(frozen=True)
class PerformanceMeter:
    """What the measures need of a head.

    corners: of the mouth.  lifts: how far each
    channel of the brows lifts them, mm [C], 0 for other channels: a nose that wrinkles pulls brows
    down too.
    """

    head: Head
    articulators: Articulators
    corners: SkinnedPoints
    lifts: np.ndarray

    @classmethod
    def of(cls, head: Head, articulators: Articulators | None = None) -> "PerformanceMeter":
        """The meter of a head. articulators: its own, where they are known."""
        raise_, all_ = (
            np.array([name.startswith(stems) for name in head.expression_names])
            for stems in (("browInnerUp", "browOuterUp"), "brow")
        )
        lifts = 1e3 * head.shapedirs[:, 1]
        brows = np.argsort(lifts[:, raise_].sum(1))[-_BROW_POINTS:]
        corners = [head.mouth_corner_left, head.mouth_corner_right]
        return cls(
            head,
            articulators or Articulators.of(head),
            SkinnedPoints.of(head, corners),
            lifts[brows].mean(0) * all_,
        )

    def mouth(self, motion: Motion) -> tuple[ArticulatorPositions, np.ndarray]:
        """The mouth over a motion [T], and the height of its corners above rest [T], mm."""
        expression, turn = motion.expression.astype(np.float64), rotvec_to_matrix(motion.jaw)
        corners = self.corners.place(expression, turn) - self.corners.rest
        return self.articulators.shape_at(expression, turn), 1e3 * corners[:, :, 1].mean(1)

    def measure(self, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
        """{slider: number} of a motion. speaking: bool [T], frames in which somebody speaks.

        energy: log of the opening's mean, in mm, and of its speed, in mm/s.  jaw: log of the
        incisors' distance relative to the usual one in openings as wide.  articulation: log of the
        opening's deviation over its mean.  smile: height of the corners above rest with closed
        lips, mm.  brows: mm/s.  head: °/s.  eyes: root of blinks and gaze shifts a second.
        """
        shape, corners = self.mouth(motion)
        gap = np.maximum(shape.gap, 0)
        open_, usual_jaw = speaking & (gap > _OPEN_MM), _JAW_SLOPE * (gap - _LIPS_MM)
        events = len(run_starts(lid_closure(self.head, motion) > 0.5)) + len(gaze_shifts(motion))
        values = {
            "energy": (
                np.log(max(1e-3, gap[speaking].mean()))
                + np.log(max(1e-3, np.abs(np.diff(gap))[speaking[1:]].mean() * FPS))
            )
            / 2,
            "jaw": np.log(
                max(_LEAST_SHARE, shape.incisors[open_].sum() / max(1e-3, usual_jaw[open_].sum()))
            ),
            "articulation": np.log(
                max(1e-3, gap[speaking].std() / max(1e-3, gap[speaking].mean()))
            ),
            "smile": _value_when_closed(gap[speaking], corners[speaking]),
            "brows": np.abs(np.diff(motion.expression @ self.lifts)).mean() * FPS,
            "head": 0.0 if motion.head is None else np.degrees(angular_speed(motion.head)).mean(),
            "eyes": np.sqrt(events / (motion.frames / FPS)),  # whose noise is the same at any rate
        }
        return {name: float(values[name]) for name in SLIDERS}


_MOST_FRAMES = 120 * FPS  # of a take that are measured
_LEAST_SPOKEN = FPS  # frames with speech in a take, below which nothing is known of it


def seen(meter: PerformanceMeter, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """{measure of direction_words.SEEN: value} of a motion [T] of the head's channels, by which who
    sees it and others would tell them apart: mm, degrees and counts a minute. speaking: bool [T],
    where it speaks, or all frames of a quiet face; {} if hardly any.

    opening: of the lips, mean.  jaw: distance of the incisors that nine of ten frames stay below.
    smile: as in `PerformanceMeter.measure`.  brows, head: how much they move, as a deviation.
    """
    part = slice(0, round(_MOST_FRAMES))
    motion, speaking = motion.part(part), speaking[part]
    if speaking.sum() < _LEAST_SPOKEN:
        return {}
    shape, corners = meter.mouth(motion)
    gap, lift = np.maximum(shape.gap, 0)[speaking], motion.expression @ meter.lifts
    head, minutes = np.degrees(motion.turns[0]), len(speaking) / FPS / 60
    values = {
        "opening": gap.mean(),
        "jaw": np.quantile(shape.incisors[speaking], 0.9),
        "smile": _value_when_closed(gap, corners[speaking]),
        "brows": lift.std(),
        "head": np.linalg.norm(head.std(axis=0)),
        **dict(zip(("turn", "tilt"), np.median(head[:, 1:], axis=0))),
        "blinks": len(run_starts(lid_closure(meter.head, motion) > 0.5)) / minutes,
    }
    return {name: round(float(value), 2) for name, value in values.items()}


# ---- the style is read back

CONSTANTS = Path(__file__).with_name("style_of_motion.json")
LEAST_SECONDS = 4.0  # shortest speech that a style can be read from
PIECE_SECONDS = 4.0  # speech in each piece; the spread is measured between the pieces' styles
# least correlation with the requested style, on held-out voices, at which an axis is used
READABLE = 0.4
_READINGS = 2.0  # deviations between readings at a spread of 1 (engine/performance.py)
_SAME_READING = 0.12  # spread between teacher lines of one reading
_GAIN = 1.73  # corrects for pieces that vary less than lines
_MOVING = 5.0  # least speed of opening at which the mouth counts as speaking, mm/s
_AROUND = 6  # frames before and after such movement that are included
_PAIRS = (
    "mouthSmile",
    "mouthFrown",
    "mouthDimple",
    "mouthStretch",
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthPress",
)
_GROUPS = {  # channels whose means over speech are measures
    "smiling": ("mouthSmileLeft", "mouthSmileRight"),
    "drooping": ("mouthFrownLeft", "mouthFrownRight"),
    "spread lips": ("mouthStretchLeft", "mouthStretchRight", "mouthDimpleLeft", "mouthDimpleRight"),
    "rounded lips": ("mouthFunnel", "mouthPucker"),
    "pressed lips": ("mouthPressLeft", "mouthPressRight", "mouthRollLower", "mouthRollUpper"),
    "shrugged lips": ("mouthShrugLower", "mouthShrugUpper"),
    "drawn brows": ("browDownLeft", "browDownRight"),
    "inner brows": ("browInnerUp",),
    "narrow lids": ("eyeSquintLeft", "eyeSquintRight"),
    "wide lids": ("eyeWideLeft", "eyeWideRight"),
}


@dataclass(frozen=True)
class StyleOfMotion:
    """A style read from a motion; axes that cannot be read are usual.

    spread: 0 … 1, difference between parts of the motion, in units of *Variety*; None if the motion
    is too short.
    seconds: of speech that it was read from.
    """

    style: Style
    spread: float | None
    seconds: float


@dataclass(frozen=True)
class Reader:
    """The regression: style deviations = (measures − mean) / deviation @ weights + usual, for every
    axis.

    r [axes]: correlation with the requested style, on held-out voices.  noise [axes]: standard
    deviation between readings of pieces of PIECE_SECONDS performed in the same style.
    """

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    usual: np.ndarray
    r: np.ndarray
    noise: np.ndarray

    def read(self, measured: np.ndarray) -> np.ndarray:
        """Style deviations [n, axes] for measures [n, k]."""
        return np.clip((measured - self.mean) / self.deviation, -4, 4) @ self.weights + self.usual

    def style(self, measured: np.ndarray) -> Style:
        """The style for measures [k]; axes that cannot be read are usual."""
        return Style.of_vector(np.where(readable_axes(self), self.read(measured), 0.0))

    @staticmethod
    def from_json(text: str) -> "Reader":
        """The regression in the text of the shipped file."""
        return Reader(**{name: np.array(value) for name, value in json.loads(text).items()})


@lru_cache(maxsize=1)
def shipped_reader() -> Reader:
    """The regression that ships."""
    return Reader.from_json(CONSTANTS.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def bundled_meter() -> PerformanceMeter:
    """The meter of the bundled head."""
    return PerformanceMeter.of(load_head())


def readable_axes(reader: Reader) -> np.ndarray:
    """True for those of AXES that can be read from a motion, bool [axes]."""
    return reader.r >= READABLE


def find_speech(gap: np.ndarray) -> np.ndarray:
    """Frames in which a mouth of this opening [T], mm, speaks, bool [T]: where it moves, and
    shortly before and after."""
    moves = np.abs(np.gradient(gap)) * FPS > _MOVING if len(gap) > 1 else np.zeros(len(gap), bool)
    return np.convolve(moves, np.ones(2 * _AROUND + 1), "same") > 0.5


def measures(meter: PerformanceMeter, motion: Motion, frames: np.ndarray) -> np.ndarray:
    """Measures [k] of a motion that depend on its style. motion: of the head's channels at 25 fps.
    frames: bool [T], where somebody speaks."""
    head, x = meter.head, motion.expression
    of_sliders = meter.measure(motion, frames)
    corners = 1e3 * meter.corners.of_motion(motion)
    width = np.abs(corners[frames, 0, 0] - corners[frames, 1, 0])
    low, middle, high = np.quantile(width, [0.1, 0.5, 0.9])
    columns = {name: [head.channel(each) for each in group] for name, group in _GROUPS.items()}
    sides = [
        x[frames][:, [head.channel(name + side) for name in _PAIRS]].mean(0)
        for side in ("Left", "Right")
    ]
    seconds = motion.frames / FPS
    return np.array([
        *of_sliders.values(),
        np.log(max(0.05, high - middle)), np.log(max(0.05, middle - low)), middle,
        *(np.sqrt(max(0.0, float(x[frames][:, some].mean()))) for some in columns.values()),
        float((sides[0] - sides[1]).sum() / max(0.02, (sides[0] + sides[1]).sum())),
        np.sqrt(len(run_starts(lid_closure(head, motion) > 0.5)) / seconds),
        np.sqrt(len(gaze_shifts(motion)) / seconds),
        np.log(max(1e-3, of_sliders["head"])), np.log(max(1e-3, of_sliders["brows"])),
    ])  # fmt: skip


def style_of(motion: Motion, channels: Sequence[str]) -> StyleOfMotion:
    """Read the style of a motion whose expression columns are `channels`. Raises BadRequest if it
    hardly speaks."""
    meter, reader = bundled_meter(), shipped_reader()
    motion = at_model_rate(motion, channels, meter.head)
    frames = find_speech(gap_of(meter, motion))
    seconds = float(frames.sum() / FPS)
    if seconds < LEAST_SECONDS:
        raise BadRequest(
            f"The mouth speaks for {seconds:.1f} seconds, too few to read a style from: choose at "
            f"least {LEAST_SECONDS:g} seconds of it"
        )
    return StyleOfMotion(
        reader.style(measures(meter, motion, frames)),
        _spread(meter, reader, motion, frames),
        seconds,
    )


def _spread(
    meter: PerformanceMeter, reader: Reader, motion: Motion, frames: np.ndarray
) -> float | None:
    """Difference between pieces of a motion beyond the noise of reading them; None for fewer than
    three."""
    read = [
        reader.read(measures(meter, part, speaking_frames))
        for part, speaking_frames in pieces(motion, frames)
    ]
    if len(read) < 3:
        return None
    readable = readable_axes(reader)
    beyond = (np.var(read, axis=0, ddof=1)[readable] - reader.noise[readable] ** 2) / reader.r[
        readable
    ] ** 2
    return float(
        np.clip(_GAIN * np.sqrt(max(0.0, beyond.mean() / _READINGS**2 - _SAME_READING**2)), 0, 1)
    )


def pieces(motion: Motion, frames: np.ndarray) -> list[tuple[Motion, np.ndarray]]:
    """Parts of a motion with PIECE_SECONDS of speech each, in order, and where they speak; the
    remainder at the end is left out."""
    spoken, piece_frames = np.cumsum(frames), round(PIECE_SECONDS * FPS)
    ends = np.searchsorted(spoken, np.arange(0, spoken[-1] + 1, piece_frames))
    parts = [
        slice(0 if i == 0 else int(a) + 1, int(b) + 1)
        for i, (a, b) in enumerate(zip(ends, ends[1:]))
    ]
    return [(motion.part(part), frames[part]) for part in parts]


def gap_of(meter: PerformanceMeter, motion: Motion) -> np.ndarray:
    """Opening [T], mm, of a motion of the head's channels."""
    return np.maximum(meter.articulators.shape(motion.expression, motion.jaw).gap, 0)


def at_model_rate(motion: Motion, channels: Sequence[str], head: Head) -> Motion:
    """A motion at 25 fps with the head's channels; those it lacks are 0, a head or eyes that it
    lacks are still."""
    x = pack(
        replace(motion, expression=reorder(motion.expression, channels, head.expression_names))
    )
    if motion.fps != FPS:
        times = np.arange(motion.frames) / motion.fps
        wanted = np.arange(max(1, round(motion.frames / motion.fps * FPS))) / FPS
        x = np.stack([np.interp(wanted, times, column) for column in x.T], 1)
    return unpack(x, head.channels)
