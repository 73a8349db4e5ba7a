# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes a performance: strength by region, smoothness, an emotion on top; closed lips stay closed;
numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..types import BLINKS, GAZE, LIDS, LIP_CLOSE, Motion, region_of
from .lips import preserve_contacts

MOST = 2.0  # largest intensity
# value at which a strengthened channel is compressed, and its limit, that of real faces
_KNEE, _LIMIT = 0.9, 1.2
_JAW_KNEE, _JAW_LIMIT = 0.30, 0.40  # radians

# channels that a rounded mouth suppresses
_SPREADING = ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown")


@dataclass(frozen=True)
class Shape:
    """Changes to a performance. Intensities 0 … 2, 1 leaves it unchanged; smoothing: radius in
    frames of the motion given.

    emotion: a name of EMOTIONS, "" for none.  strength: of the emotion, 0 … 1.
    """

    mouth: float = 1.0
    jaw: float = 1.0
    upper_face: float = 1.0
    head: float = 1.0
    blinks: float = 1.0
    smoothing: int = 0
    emotion: str = ""
    strength: float = 1.0

    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        same = all(
            value == 1.0
            for value in (self.mouth, self.jaw, self.upper_face, self.head, self.blinks)
        )
        return same and not self.smoothing and (not self.emotion or self.strength == 0.0)


# Offsets of channels at full strength, after the action units of each (Ekman and Friesen 1978); jaw
# in radians, head too.
EMOTIONS: dict[str, dict[str, float]] = {
    "JOY": {
        "mouthSmile": 0.62,
        "cheekSquint": 0.55,
        "eyeSquint": 0.22,
        "mouthDimple": 0.12,
        "mouthUpperUp": 0.08,
        "browOuterUp": 0.1,
        "head.x": -0.02,
    },
    "SADNESS": {
        "browInnerUp": 0.75,
        "browDown": 0.12,
        "mouthFrown": 0.5,
        "mouthShrugLower": 0.25,
        "eyeSquint": 0.15,
        "eyeBlink": 0.12,
        "mouthStretch": 0.08,
        "head.x": 0.07,
    },
    "ANGER": {
        "browDown": 0.85,
        "eyeSquint": 0.35,
        "eyeWide": 0.2,
        "noseSneer": 0.4,
        "mouthPress": 0.3,
        "mouthFrown": 0.18,
        "mouthLowerDown": 0.12,
        "jawForward": 0.2,
        "head.x": 0.03,
    },
    "SURPRISE": {
        "browInnerUp": 0.8,
        "browOuterUp": 0.8,
        "eyeWide": 0.75,
        "jaw": 0.07,
        "head.x": -0.04,
    },
    "FEAR": {
        "browInnerUp": 0.85,
        "browOuterUp": 0.35,
        "browDown": 0.3,
        "eyeWide": 0.7,
        "mouthStretch": 0.45,
        "mouthFrown": 0.12,
        "jaw": 0.03,
        "head.x": -0.03,
    },
    "DISGUST": {
        "noseSneer": 0.75,
        "mouthUpperUp": 0.3,
        "browDown": 0.4,
        "eyeSquint": 0.4,
        "cheekSquint": 0.25,
        "mouthFrown": 0.3,
        "mouthShrugLower": 0.2,
        "head.x": -0.03,
    },
    "CONTEMPT": {
        "mouthDimpleLeft": 0.55,
        "mouthSmileLeft": 0.3,
        "eyeSquint": 0.2,
        "browDownLeft": 0.2,
        "browOuterUpRight": 0.15,
        "head.x": -0.04,
    },
    "DOUBT": {
        "browInnerUp": 0.2,
        "browDownLeft": 0.45,
        "browOuterUpRight": 0.6,
        "eyeSquintLeft": 0.3,
        "mouthFrown": 0.25,
        "mouthPress": 0.15,
        "mouthLeft": 0.12,
    },
}


# Channels → the field of Shape that strengthens them, if it is not that of their region: lids
# narrow and widen with the brows, gaze stays on its target, and mouthClose keeps lips together over
# an open jaw: half the jaw needs half of it.
_SLIDERS = ((BLINKS, "blinks"), (LIDS, "upper_face"), (GAZE, ""), (LIP_CLOSE, "jaw"))


def slider_of(channel: str) -> str:
    """The field of Shape that strengthens a channel, "" if none does."""
    slider = next(
        (slider for group, slider in _SLIDERS if channel.startswith(group)), region_of(channel)
    )
    return slider if slider in ("blinks", "mouth", "jaw", "upper_face") else ""


def shape_motion(
    motion: Motion,
    channels: Sequence[str],
    shape: Shape,
    strength: np.ndarray | None = None,
    gap: np.ndarray | None = None,
) -> Motion:
    """A performance with a shape: motion [T] at any rate, expression columns `channels`; double
    precision.

    strength: [T] of the emotion over time, in place of shape.strength.  gap: [T, P] of the motion's
    lips, if known. Lips that touch keep touching; a neutral shape returns the motion unchanged.
    """
    if (
        shape if strength is None else replace(shape, strength=float(np.abs(strength).max()))
    ).is_neutral:
        return motion
    expression, jaw, head, eyes = (
        None if part is None else np.array(part, np.float64)
        for part in (motion.expression, motion.jaw, motion.head, motion.eyes)
    )
    head = (
        np.zeros_like(jaw) if head is None and "head.x" in EMOTIONS.get(shape.emotion, {}) else head
    )
    steady = [i for i, name in enumerate(channels) if not name.startswith(BLINKS)]
    expression[:, steady] = smooth(expression[:, steady], shape.smoothing)
    jaw, head, eyes = (
        None if part is None else smooth(part, shape.smoothing) for part in (jaw, head, eyes)
    )
    for column, name in enumerate(channels):
        slider = slider_of(name)
        if slider:
            most = 1.0 if name.startswith(BLINKS) else _LIMIT
            expression[:, column] = _strengthen(
                expression[:, column], getattr(shape, slider), min(_KNEE, most), most
            )
    jaw[:, 1:] *= shape.jaw
    jaw[:, 0] = _strengthen(jaw[:, 0], shape.jaw, _JAW_KNEE, _JAW_LIMIT)
    if head is not None:
        head *= shape.head
    if shape.emotion:
        share = (
            np.full(motion.frames, shape.strength)
            if strength is None
            else np.asarray(strength, np.float64)
        )
        _add_emotion(expression, jaw, head, list(channels), EMOTIONS[shape.emotion], share)
    return preserve_contacts(
        motion, replace(motion, expression=expression, jaw=jaw, head=head, eyes=eyes), channels, gap
    )


def smooth(values: np.ndarray, radius: int) -> np.ndarray:
    """Values [T, c] smoothed by a raised cosine that reaches `radius` frames to either side; ends
    are held."""
    radius = min(int(radius), max(0, len(values) - 1))
    if radius < 1 or not values.shape[1]:
        return values
    kernel = 1 + np.cos(np.pi * np.arange(-radius, radius + 1) / (radius + 1))
    kernel /= kernel.sum()
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    result = np.zeros(values.shape)
    for place, weight in enumerate(kernel):
        result += weight * padded[place : place + len(values)]
    return result


def _strengthen(values: np.ndarray, intensity: float, knee: float, limit: float) -> np.ndarray:
    """Values times an intensity; what goes up bends at the knee and stays below the limit, or below
    where it was."""
    result = values * intensity
    if intensity <= 1.0:
        return result
    span = max(limit - knee, 1e-9)
    bent = np.where(result > knee, knee + span * np.tanh((result - knee) / span), result)
    return np.where(values > 0, np.maximum(bent, values), result)


def _add_emotion(
    expression, jaw, head, channels: list[str], offsets: dict[str, float], share: np.ndarray
) -> None:
    """Add an emotion in place; a rounded mouth smiles and stretches less."""

    def value_of(name):
        return expression[:, channels.index(name)] if name in channels else np.zeros(len(share))

    free = 1 - 0.6 * np.clip(np.maximum(value_of("mouthPucker"), value_of("mouthFunnel")), 0.0, 1.0)
    for name, amount in offsets.items():
        if name == "jaw":
            jaw[:, 0] += share * amount
        elif name == "head.x":
            head[:, 0] += share * amount
        else:
            sides = (
                [name]
                if name in channels
                else [side for side in (name + "Left", name + "Right") if side in channels]
            )
            for each in sides:
                column = channels.index(each)
                more = share * amount * (free if each.startswith(_SPREADING) else 1.0)
                was = expression[:, column]
                most = 1.0 if each.startswith(BLINKS) else _LIMIT
                expression[:, column] = np.maximum(was, np.minimum(was + more, most))
