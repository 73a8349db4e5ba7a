# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses that an animator keeps at hand: ten mouths of speech; numpy only."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..types import Motion

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
