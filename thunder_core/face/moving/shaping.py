# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes a performance: strength by region, smoothness, an emotion on top. Mixes several: a take
for each part of the face, with cuts that are cross-faded. Lips that touch go on touching."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...behaviour import read_emotions
from ...filters import bend, ease, split_at_gaps
from ...types import BLINKS, columns_of, GAZE, LIDS, LIP_CLOSE, Motion, region_of
from .lips import bundled_lips, preserve_contacts

MOST = 2.0  # largest intensity
# value at which a strengthened channel is compressed, and its limit, that of real faces
_KNEE, LIMIT = 0.9, 1.2
_JAW_KNEE, _JAW_LIMIT = 0.30, 0.40  # radians

# channels that a rounded mouth suppresses
_SPREADING = ("mouthSmile", "mouthStretch", "mouthDimple", "mouthFrown")


@dataclass(frozen=True)
class TakeShape:
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


# Offsets of channels at full strength; jaw in radians, head too.
EMOTIONS = read_emotions()


# Channels → the field of TakeShape that strengthens them, if it is not that of their region: lids
# narrow and widen with the brows, gaze stays on its target, and mouthClose keeps lips together over
# an open jaw: half the jaw needs half of it.
_SLIDERS = ((BLINKS, "blinks"), (LIDS, "upper_face"), (GAZE, ""), (LIP_CLOSE, "jaw"))


def slider_of(channel: str) -> str:
    """The field of TakeShape that strengthens a channel, "" if none does."""
    slider = next(
        (slider for group, slider in _SLIDERS if channel.startswith(group)), region_of(channel)
    )
    return slider if slider in ("blinks", "mouth", "jaw", "upper_face") else ""


def shape_motion(
    motion: Motion,
    channels: Sequence[str],
    shape: TakeShape,
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
    expression, jaw = (np.array(part, np.float64) for part in (motion.expression, motion.jaw))
    head, eyes = (
        None if part is None else np.array(part, np.float64) for part in (motion.head, motion.eyes)
    )
    head = (
        np.zeros_like(jaw) if head is None and "head.x" in EMOTIONS.get(shape.emotion, {}) else head
    )
    steady = [i for i, name in enumerate(channels) if not name.startswith(BLINKS)]
    expression[:, steady] = smooth(expression[:, steady], shape.smoothing)
    jaw = smooth(jaw, shape.smoothing)
    head, eyes = (None if part is None else smooth(part, shape.smoothing) for part in (head, eyes))
    for column, name in enumerate(channels):
        slider = slider_of(name)
        if slider:
            most = 1.0 if name.startswith(BLINKS) else LIMIT
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
        _add_emotion(expression, jaw, head, list(channels), EMOTIONS.get(shape.emotion, {}), share)
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
    return np.where(values > 0, np.maximum(bend(result, knee, limit), values), result)


def _add_emotion(
    expression, jaw, head, channels: list[str], offsets: Mapping[str, float], share: np.ndarray
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
            for column in columns_of(channels, name):
                more = share * amount * (free if name.startswith(_SPREADING) else 1.0)
                was = expression[:, column]
                most = 1.0 if name.startswith(BLINKS) else LIMIT
                expression[:, column] = np.maximum(was, np.minimum(was + more, most))


# Parts of the face that a take is chosen for; lips and jaw belong together, because they speak
# together.
PARTS = ("mouth", "upper_face", "eyes", "head")
PART_OF = {
    "mouth": "mouth",
    "jaw": "mouth",
    "upper_face": "upper_face",
    "eyes": "eyes",
    "head": "head",
}
_AROUND = 3  # frames around a fade in which its closures are checked


def take_weights(
    frames: np.ndarray, first: int, cuts: Sequence[tuple[float, int]], takes: int, fade: float
) -> np.ndarray:
    """The weight of each take at each of the frames [T]: [T, takes], rows sum to 1.

    first: the take before the first cut.  cuts: (frame, take from there on), in any order; of two
    at one frame the later counts.  fade: length in frames of a cross-fade, centred on its cut;
    beside a near cut it is shorter, so that no two overlap.
    """
    at = {float(frame): take for frame, take in sorted(cuts, key=lambda cut: cut[0])}
    result = np.zeros((len(frames), takes))
    result[:, first] = 1.0
    places = list(at)
    for number, (frame, take) in enumerate(at.items()):
        around = [
            abs(frame - other)
            for other in (places[number - 1 : number] + places[number + 1 : number + 2])
        ]
        width = min([fade, *around])
        x = ease((frames - frame) / width + 0.5) if width > 0 else (frames >= frame).astype(float)
        result *= (1 - x)[:, None]
        result[:, take] += x
    return result


def mix(motions: Sequence[Motion], channels: Sequence[str], weights: np.ndarray) -> Motion:
    """A motion whose parts are of several motions [T]: weights [T, takes, 4], summing to 1 over the
    takes.

    Where all the mouths mixed in a frame are closed the result is closed; where one fades in, its
    gap does too.
    """
    parts = [PARTS.index(PART_OF[region_of(name)]) for name in channels]
    # rounded, so that values from a single take are bit-identical to it
    expression = sum(
        motion.expression * np.round(weights[:, take, parts], 12)
        for take, motion in enumerate(motions)
    )
    mouth, _, gaze, head = (weights[:, :, part] for part in range(len(PARTS)))

    def blend_rotations(name, share):
        still = np.zeros_like(motions[0].jaw)
        parts = [getattr(motion, name) for motion in motions]
        if all(part is None for part in parts):
            return None
        return sum(
            (still if part is None else part) * share[:, take, None]
            for take, part in enumerate(parts)
        )

    result = Motion(
        np.asarray(expression, np.float64),
        np.asarray(blend_rotations("jaw", mouth), np.float64),
        blend_rotations("head", head),
        blend_rotations("eyes", gaze),
        motions[0].fps,
    )
    # elsewhere the mouth is one take's: its lips are unchanged
    fading = np.flatnonzero((mouth > 0).sum(axis=1) > 1)
    for run in split_at_gaps(fading, 2 * _AROUND):
        _preserve_closures(
            result,
            motions,
            channels,
            mouth,
            slice(max(run[0] - _AROUND, 0), run[-1] + _AROUND + 1),
            run,
        )
    return result


def _preserve_closures(
    result: Motion,
    motions: Sequence[Motion],
    channels: Sequence[str],
    mouth: np.ndarray,
    rows: slice,
    fading: np.ndarray,
) -> None:
    """Keep lips closed, in place, on the fading frames of a range of rows where all takes close
    them."""
    parts, share, lips = [motion.part(rows) for motion in motions], mouth[rows], bundled_lips()
    gaps = np.stack([lips.gap(part, channels) for part in parts], axis=1)  # [T, takes, P]
    leading, places = share.argmax(axis=1), np.arange(len(share))
    before = Motion(
        *(
            np.stack([getattr(part, name) for part in parts])[leading, places]
            for name in ("expression", "jaw")
        )
    )
    held = preserve_contacts(before, result.part(rows), channels, (gaps * share[:, :, None]).sum(1))
    result.expression[fading], result.jaw[fading] = (
        held.expression[fading - rows.start],
        held.jaw[fading - rows.start],
    )
