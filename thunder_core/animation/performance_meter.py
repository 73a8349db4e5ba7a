# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how a motion is performed, from the head's vertices: one measure for each slider of a
direction.

Energy, jaw and articulation are factors and measured as logarithms, so that a slider's deviations
are proportional to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..direction import SLIDERS
from ..face.articulators import Articulators
from ..face.head import Head
from ..face.mechanics import jaw_of
from ..face.skinning import SkinnedPoints
from ..rotation import angular_speed
from ..types import FPS, Motion

SACCADE = 40.0  # eye speed above which a movement is a gaze shift, degrees per second
_OPEN_MM = 3.0  # inner-lip gap beyond which the jaw's share is read
# lower bound of the jaw's share, and the value of a mouth that never opens that far
LEAST_SHARE = 0.05
_PRESSED = (
    "mouthPressLeft",
    "mouthPressRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthDimpleLeft",
    "mouthDimpleRight",
)
_BROW_POINTS = 24  # number of vertices that brows move most


def lid_closure(head: Head, motion: Motion) -> np.ndarray:
    """Closure of the eyes [T], 0 … 1."""
    return (
        motion.expression[:, [head.channel("eyeBlinkLeft"), head.channel("eyeBlinkRight")]]
        .mean(1)
        .astype(float)
    )


def run_starts(active: np.ndarray) -> np.ndarray:
    """Frames at which runs of True in [T] begin."""
    return np.flatnonzero(np.diff(np.asarray(active).astype(int), prepend=0) == 1)


def gaze_shifts(motion: Motion) -> np.ndarray:
    """Frames at which the gaze shifts in the world; eyes that only compensate for the head's
    rotation do not count."""
    head, eyes = motion.turns
    return run_starts(np.degrees(angular_speed(eyes.astype(float) + head)) > SACCADE)


def _value_at(gap: float, gaps: np.ndarray, values: np.ndarray) -> float:
    """The value at a given opening, by linear regression over all frames; their mean if they are
    too few or too similar."""
    if len(gaps) < 10 or gaps.std() < 0.1:
        return float(values.mean()) if len(values) else 0.0
    slope, start = np.polyfit(gaps, values, 1)
    return float(start + slope * gap)


@dataclass(frozen=True)
class PerformanceMeter:
    """Points of a head that the measures need.

    skin: the corners of the mouth, then the vertices that brows move most.
    """

    head: Head
    articulators: Articulators
    skin: SkinnedPoints

    @classmethod
    def of(cls, head: Head) -> PerformanceMeter:
        """The meter of a head."""
        brows = [
            i
            for i, name in enumerate(head.expression_names)
            if name.startswith(("browInnerUp", "browOuterUp"))
        ]
        lifted = head.shapedirs[:, 1, brows].sum(1)
        ids = np.concatenate(
            [[head.mouth_corner_left, head.mouth_corner_right], np.argsort(lifted)[-_BROW_POINTS:]]
        )
        return cls(head, Articulators.of(head), SkinnedPoints.of(head, lambda values: values[ids]))

    def measure(self, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
        """{slider: number} of a motion. speaking: bool [T], frames in which somebody speaks.

        energy: log of the opening's mean, in mm, and of its speed, in mm/s.  jaw: log of the
        incisors' distance relative to the usual one at these openings.  articulation: log of the
        opening's deviation over its mean.  smile: height of the corners above rest with closed
        lips, mm.  brows: mm/s.  head: °/s.  eyes: root of blinks and gaze shifts a second.
        """
        shape = self.articulators.shape(motion.expression, motion.jaw)
        skin = 1e3 * (self.skin.of_motion(motion) - self.skin.rest)
        gap = np.maximum(shape.gap, 0)
        open_ = speaking & (gap > _OPEN_MM)
        corners = skin[:, :2, 1].mean(1)
        events = len(run_starts(lid_closure(self.head, motion) > 0.5)) + len(gaze_shifts(motion))
        values = {
            "energy": (
                np.log(max(1e-3, gap[speaking].mean()))
                + np.log(max(1e-3, np.abs(np.diff(gap))[speaking[1:]].mean() * FPS))
            )
            / 2,
            "jaw": np.log(
                max(LEAST_SHARE, shape.incisors[open_].sum() / max(1e-3, jaw_of(gap[open_]).sum()))
            ),
            "articulation": np.log(
                max(1e-3, gap[speaking].std() / max(1e-3, gap[speaking].mean()))
            ),
            "smile": _value_at(0.0, gap[speaking], corners[speaking]),
            "brows": np.abs(np.diff(skin[:, 2:, 1].mean(1))).mean() * FPS,
            "head": 0.0 if motion.head is None else np.degrees(angular_speed(motion.head)).mean(),
            "eyes": np.sqrt(events / (motion.frames / FPS)),  # whose noise is the same at any rate
        }
        return {name: float(values[name]) for name in SLIDERS}

    def measure_other_axes(self, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
        """{axis of a direction without a slider: number} of a motion. speaking: as for `measure`.

        width: how much further apart than at rest the corners are in the widest tenth of these
        frames, mm.  rounding: how much closer in the narrowest tenth, mm.  asymmetry: log of the
        left corner's speed over the right one's.  tension: mean of the channels that press the
        lips.  frown: mean of those that lower the brows.
        """
        corners = 1e3 * (self.skin.part(slice(0, 2)).of_motion(motion) - self.skin.rest[:2])
        width = np.sort((corners[:, 0, 0] - corners[:, 1, 0])[speaking])
        channels = motion.expression[speaking]
        left, right = (
            np.linalg.norm(np.diff(corners[:, side], axis=0), axis=1)[speaking[1:]].mean()
            for side in (0, 1)
        )
        tenth = max(1, len(width) // 10)
        values = {
            "width": width[-tenth:].mean(),
            "rounding": -width[:tenth].mean(),
            "asymmetry": np.log(max(1e-6, left) / max(1e-6, right)),
            "tension": channels[:, [self.head.channel(name) for name in _PRESSED]].mean(),
            "frown": channels[
                :, [self.head.channel(f"browDown{side}") for side in ("Left", "Right")]
            ].mean(),
        }
        return {name: float(value) for name, value in values.items()}
