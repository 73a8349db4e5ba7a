# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouths that an animator keeps at hand: ten poses of speech, and own ones for the sounds of a
voice, which replace what channels do while the sound is said, and leave closures of the lips shut;
numpy only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ...filters import ease
from ...spoken import MOUTH_SOUNDS, REST, SOUND_OF
from ...types import CLOSED_MM, FPS, in_group, MOOD_CHANNELS, Motion, MOUTH

# channel → value, a name without Left or Right means both sides; "jaw": radians
Pose = Mapping[str, float]

# The mouths of the usual charts for animators, under the sounds that they stand for.
MOUTHS: Mapping[str, Pose] = MappingProxyType({
    "Rest": {},
    "M B P": dict(mouthPress=0.7, mouthRollUpper=0.35, mouthRollLower=0.35),
    "F V": dict(jaw=0.03, mouthRollLower=0.6, mouthShrugLower=0.4, mouthPress=0.4,
                mouthUpperUp=0.2),
    "AH": dict(jaw=0.25, mouthLowerDown=0.2, mouthUpperUp=0.15),
    "EE": dict(jaw=0.04, mouthStretch=0.55, mouthSmile=0.35, mouthLowerDown=0.45, mouthUpperUp=0.3,
               tongueBladeUp=0.6),
    "OH": dict(jaw=0.17, mouthFunnel=0.65, mouthPucker=0.35),
    "OO": dict(jaw=0.02, mouthPucker=1.0, mouthFunnel=0.3),
    "L": dict(jaw=0.13, tongueTipUp=1.0, mouthLowerDown=0.3, mouthUpperUp=0.2),
    "TH": dict(jaw=0.09, tongueOut=0.75, tongueTipUp=0.1, mouthLowerDown=0.25, mouthUpperUp=0.15),
    "S CH": dict(jaw=0.01, mouthFunnel=0.45, mouthLowerDown=0.4, mouthUpperUp=0.3,
                 tongueBladeUp=0.7),
})  # fmt: skip


def motion_of(poses: Sequence[Pose], channels: Sequence[str]) -> Motion:
    """A motion with a frame for each pose, its expression columns `channels`."""
    expression = np.zeros((len(poses), len(channels)), np.float32)
    jaw = np.zeros((len(poses), 3), np.float32)
    for frame, pose in enumerate(poses):
        jaw[frame, 0] = pose.get("jaw", 0.0)
        expression[frame] = [
            pose.get(name, pose.get(name.removesuffix("Left").removesuffix("Right"), 0.0))
            for name in channels
        ]
    return Motion(expression, jaw, np.zeros_like(jaw), np.zeros_like(jaw))


# ---- own mouths

_SHUT = ("M B P", REST)  # mouths that may be seen where the take's lips touch
_FADE = 0.06  # seconds from one mouth to the next
_OPENS_MM = 2.0  # opening beyond a closure at which another mouth is fully seen


def weights(
    said: Sequence, leads: Mapping[str, float], seconds: np.ndarray, opening: np.ndarray
) -> dict[str, np.ndarray]:
    """How much of each own mouth is seen, {name: [S] 0 … 1}; what is left of 1 is the channels'.

    said: phone, start and end (seconds) of each sound.  leads: seconds by which the mouths that
    there are come before their sounds.  seconds: times [S].  opening: of the take at 25 fps, [T]
    millimetres.
    """
    raw = {name: np.zeros(len(seconds)) for name in MOUTH_SOUNDS}
    for phone, start, end in said:
        name = SOUND_OF.get(phone, "T D K")
        at = seconds + leads.get(name, 0.0)
        rise = np.minimum(at - start, end - at) / _FADE + 0.5
        raw[name] = np.maximum(raw[name], np.clip(rise, 0.0, 1.0))
    raw[REST] = np.clip(1.0 - sum(raw.values()), 0.0, 1.0)
    # the least of three frames: a closure may lie between two of the scene's
    least = np.lib.stride_tricks.sliding_window_view(np.pad(opening, 1, "edge"), 3).min(axis=1)
    least = np.interp(seconds * FPS, np.arange(len(least)), least)
    is_open = ease((least - CLOSED_MM) / _OPENS_MM)
    raw = {name: each * (1.0 if name in _SHUT else is_open) for name, each in raw.items()}
    total = np.maximum(sum(raw.values()), 1.0)
    return {name: raw[name] / total for name in MOUTH_SOUNDS if name in leads}


def apply(
    motion: Motion, channels: Sequence[str], of_mouths: Mapping[str, np.ndarray]
) -> tuple[Motion, tuple[str, ...]]:
    """A motion with a column for each own mouth, and less of the channels that speak where one is
    seen; and the names of its columns. Corners that a mood raises or lowers stay."""
    if not of_mouths:
        return motion, tuple(channels)
    left = 1.0 - np.clip(sum(of_mouths.values()), 0.0, 1.0)
    speaking = in_group(channels, MOUTH, MOOD_CHANNELS)
    expression = np.where(speaking, motion.expression * left[:, None], motion.expression)
    columns = np.concatenate([expression, np.stack(list(of_mouths.values()), 1)], axis=1)
    return replace(motion, expression=columns, jaw=motion.jaw * left[:, None]), (
        *channels,
        *of_mouths,
    )
