# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixes performances: a take for each part of the face, with cuts that are cross-faded; numpy
only."""

from collections.abc import Sequence

import numpy as np

from ..filters import runs, smoothstep
from ..types import Motion, region_of
from .lips import bundled_lips, preserve_contacts

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
    at: dict[float, int] = {}
    for frame, take in sorted(cuts, key=lambda cut: cut[0]):
        at[float(frame)] = take
    result = np.zeros((len(frames), takes))
    result[:, first] = 1.0
    places = list(at)
    for number, (frame, take) in enumerate(at.items()):
        around = [
            abs(frame - other)
            for other in (places[number - 1 : number] + places[number + 1 : number + 2])
        ]
        width = min([fade, *around])
        x = (
            np.clip((frames - frame) / width + 0.5, 0.0, 1.0)
            if width > 0
            else (frames >= frame).astype(float)
        )
        x = smoothstep(x)
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
    for run in runs(fading, 2 * _AROUND):
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
    held = preserve_contacts(
        before, result.part(rows), channels, (gaps * share[:, :, None]).sum(1)
    )
    result.expression[fading], result.jaw[fading] = (
        held.expression[fading - rows.start],
        held.jaw[fading - rows.start],
    )
