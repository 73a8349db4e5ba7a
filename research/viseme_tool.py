# SPDX-License-Identifier: GPL-3.0-or-later
"""Animation that is not ours: what a viseme tool keys on ARKit channels, from the phones of an
alignment."""

import numpy as np

from thunder_core.spoken import PHONES
from thunder_core.types import FPS, JAW_OPEN_RADIANS, Motion

LABELS_PER_SECOND = 100
BLEND = 0.08  # seconds over which one viseme becomes the next
# The nine mouths of cartoon animation (Preston Blair), as such tools key them.
POSES: dict[str, dict[str, float]] = {
    "closed": {"mouthPress": 0.2},
    "teeth": {"jawOpen": 0.1, "mouthStretch": 0.2, "mouthUpperUp": 0.1, "mouthLowerDown": 0.2},
    "open": {"jawOpen": 0.28, "mouthLowerDown": 0.1},
    "wide": {"jawOpen": 0.5, "mouthLowerDown": 0.1},
    "round": {"jawOpen": 0.28, "mouthFunnel": 0.35},
    "pucker": {"jawOpen": 0.16, "mouthPucker": 0.7},
    "lip": {"jawOpen": 0.08, "mouthRollLower": 0.6, "mouthUpperUp": 0.2},
    "tongue": {"jawOpen": 0.28},
    "rest": {},
}
SOUNDS = {
    "rest": "SIL", "closed": "B M P", "teeth": "CH D DH G HH IH IY JH K N NG S SH T TH Y Z ZH",
    "open": "EH AE AH EY",
    "wide": "AA AY AW", "round": "AO ER OY R", "pucker": "UW OW W UH", "lip": "F V", "tongue": "L",
}  # fmt: skip
_POSE_OF = {sound: pose for pose, sounds in SOUNDS.items() for sound in sounds.split()}


def key_visemes(phones: np.ndarray, channels: list[str]) -> Motion:
    """The motion of visemes keyed where each sound begins: phones are 10 ms labels [M]."""
    poses = [_POSE_OF[PHONES[phone]] for phone in phones]
    starts = [0, *(at for at in range(1, len(poses)) if poses[at] != poses[at - 1])]
    times, keys = [0.0], [_pose(POSES[poses[0]], channels)]
    for start in starts[1:]:
        at, last = start / LABELS_PER_SECOND, times[-1]
        times += [max(at - BLEND / 2, last + 1e-3), max(at + BLEND / 2, last + 2e-3)]
        keys += [keys[-1], _pose(POSES[poses[start]], channels)]
    frames = np.arange(int(len(phones) / LABELS_PER_SECOND * FPS)) / FPS
    return _motion(np.stack([np.interp(frames, times, values) for values in np.transpose(keys)], 1))


def _pose(pose: dict[str, float], channels: list[str]) -> np.ndarray:
    """A pose as values of the channels, and of jawOpen."""
    values = np.zeros(len(channels) + 1)
    for name, value in pose.items():
        for each in (name, name + "Left", name + "Right"):
            if each == "jawOpen":
                values[-1] = value
            elif each in channels:
                values[channels.index(each)] = value
    return values


def _motion(values: np.ndarray) -> Motion:
    """The motion of channels and jawOpen [T, n + 1]."""
    jaw = np.zeros((len(values), 3), np.float32)
    jaw[:, 0] = JAW_OPEN_RADIANS * values[:, -1]
    return Motion(values[:, :-1].astype(np.float32), jaw)
