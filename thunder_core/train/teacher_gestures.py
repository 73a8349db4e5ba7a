# SPDX-License-Identifier: GPL-3.0-or-later
"""Gestures of mouth, jaw, cheeks and nose in addition to opening, width and tongue: with sounds,
style and moods.

Every part of a gesture consists of a channel, the cue that it follows and its size. Cues are curves
over time, most of them 0 … 1. Sizes of movements in speech follow the spread of channels solved
from 4D scans of twelve people speaking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..direction import Direction, MOODS
from ..engine.speech.cues import closure, runs
from ..engine.speech.phones import PHONES
from ..filters import smoothstep
from ..types import FPS
from .teacher_timing import wander

PLOSIVES, POSTALVEOLARS = ("B", "P"), ("SH", "ZH", "CH", "JH")
OPEN_MM, WIDE_MM = 8.0, 3.0  # opening and width at which the cues `open` and `wide` are 1


def pulse(frames: int, at: float, rise: float, fall: float) -> np.ndarray:
    """A bump [T] that peaks at `at` s, rising over `rise` s and falling over `fall` s."""
    t = np.arange(frames) / FPS - at
    return smoothstep(np.clip(np.where(t < 0, 1 + t / rise, 1 - t / fall), 0, 1))


@dataclass(frozen=True)
class Part:
    """A channel that follows a cue of `cues_of`; amount: of the channel where the cue is 1.

    leaning: on one side of the face alone, that of the style's asymmetry.
    """

    channel: str
    cue: str
    amount: float
    leaning: bool = False


# With speech, in every mood.
SPOKEN = (
    Part("jawForward", "sibilant", 0.26), Part("jawForward", "postalveolar", 0.12),
    Part("jawForward", "rounded", 0.10),
    Part("jawForward", "drift", 0.04), Part("jawForward", "open", 0.05),
    Part("mouthShrugLower", "shut", 0.24), Part("mouthShrugLower", "postalveolar", 0.14),
    Part("mouthShrugLower", "end", 0.10),
    Part("mouthShrugUpper", "shut", 0.30), Part("mouthShrugUpper", "open", 0.15),
    Part("mouthShrugUpper", "accent", 0.05),
    Part("cheekPuff", "plosive", 0.16),
    Part("mouthFrown", "open", 0.10), Part("mouthFrown", "shut", 0.10),
    Part("mouthFrown", "drift", 0.03),
    Part("mouthDimple", "shut", 0.05), Part("mouthDimple", "wide", 0.03),
    Part("mouthDimple", "end", 0.06),
    Part("cheekSquint", "wide", 0.05), Part("cheekSquint", "accent", 0.02),
    Part("noseSneer", "wide", 0.07), Part("noseSneer", "accent", 0.06),
    Part("noseSneer", "bite", 0.06),
)  # fmt: skip

# At full strength of a mood, in addition to its effect on the style (`direction.MOODS`).
OF_MOODS: dict[str, Sequence[Part]] = {
    "warm": (
        Part("mouthSmile", "wide", 0.22), Part("mouthSmile", "end", 0.22),
        Part("cheekSquint", "wide", 0.18),
        Part("cheekSquint", "always", 0.12), Part("mouthSmile", "accent", 0.10),
    ),
    "amused": (
        Part("mouthSmile", "accent", 0.32), Part("cheekSquint", "accent", 0.35),
        Part("mouthSmile", "chuckle", 0.16),
        Part("cheekSquint", "chuckle", 0.20), Part("mouthDimple", "wide", 0.15),
        Part("cheekSquint", "always", 0.15),
    ),
    "sad": (
        Part("mouthFrown", "open", 0.28), Part("mouthFrown", "end", 0.25),
        Part("mouthShrugLower", "end", 0.30),
        Part("mouthShrugLower", "always", 0.10), Part("mouthFrown", "always", 0.08),
    ),
    "tense": (
        Part("mouthPress", "end", 0.40), Part("mouthPress", "shut", 0.25),
        Part("mouthRollLower", "end", 0.30),
        Part("mouthRollUpper", "end", 0.22), Part("mouthRollUpper", "shut", 0.20),
        Part("mouthDimple", "shut", 0.15),
        Part("mouthPress", "always", 0.06),
    ),
    "angry": (
        Part("noseSneer", "accent", 0.34), Part("noseSneer", "always", 0.10),
        Part("jawForward", "accent", 0.28),
        Part("jawForward", "always", 0.10), Part("mouthPress", "shut", 0.20),
        Part("mouthStretch", "open", 0.12),
        Part("mouthFrown", "accent", 0.14), Part("cheekSquint", "accent", 0.12),
    ),
    "afraid": (
        Part("mouthStretch", "open", 0.30), Part("mouthStretch", "accent", 0.20),
        Part("mouthStretch", "tremble", 0.05),
        Part("mouthShrugLower", "tremble", 0.05), Part("mouthStretch", "always", 0.10),
        Part("mouthFrown", "open", 0.12),
    ),
    "surprised": (
        Part("mouthFunnel", "accent", 0.12), Part("mouthShrugUpper", "accent", 0.20),
        Part("mouthShrugUpper", "always", 0.05),
    ),
    "disgusted": (
        Part("noseSneer", "accent", 0.45), Part("noseSneer", "open", 0.20),
        Part("noseSneer", "always", 0.16),
        Part("mouthShrugUpper", "accent", 0.30), Part("mouthShrugLower", "end", 0.25),
        Part("cheekSquint", "accent", 0.20),
        Part("mouthFrown", "accent", 0.18), Part("mouthLeft", "end", 0.10),
    ),
    "contemptuous": (
        Part("mouthDimple", "accent", 0.40, leaning=True), Part("mouthDimple", "end", 0.35,
        leaning=True),
        Part("mouthDimple", "always", 0.14, leaning=True), Part("mouthSmile", "end", 0.30,
        leaning=True),
        Part("mouthPress", "end", 0.15), Part("cheekSquint", "end", 0.12, leaning=True),
    ),
    "doubtful": (
        Part("mouthShrugLower", "end", 0.50), Part("mouthShrugUpper", "end", 0.25),
        Part("mouthFrown", "end", 0.22),
        Part("mouthLeft", "end", 0.22), Part("mouthLeft", "accent", 0.14),
        Part("mouthPress", "end", 0.12),
    ),
    "bored": (
        Part("mouthLeft", "end", 0.12), Part("mouthFrown", "always", 0.05),
        Part("mouthShrugLower", "end", 0.12),
        Part("cheekPuff", "end", 0.14),
    ),
}  # fmt: skip
SMILE, FROWN, ASYMMETRY = 0.7, 0.6, 0.25  # channel values at a style value of 1
_CHUCKLE, _TREMBLE = 4.6, 6.0  # Hz
_VARIES = 0.25  # standard deviation between performances of an amount's logarithm


def sides(channel: str, names: Sequence[str]) -> tuple[str, ...]:
    """The channels of a name: itself, or its left and right."""
    return (channel,) if channel in names else (channel + "Left", channel + "Right")


class SpeakingMouth(NamedTuple):
    """What a mouth does over frames, [T] each.

    alive: 0 … 1, how much the face speaks.  gap, wide: millimetres.  rounded, shut, bite, sibilant:
    0 … 1.
    """

    alive: np.ndarray
    gap: np.ndarray
    wide: np.ndarray
    rounded: np.ndarray
    shut: np.ndarray
    bite: np.ndarray
    sibilant: np.ndarray


def cues_of(
    phones: np.ndarray,
    mouth: SpeakingMouth,
    accents: Sequence[tuple[float, float]],
    tempo: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The cues that gestures follow, each [T]: 0 … 1 except `drift` and `tremble`, which are noise
    of unit deviation.

    phones: 10 ms labels [M].  accents: (s, weight).
    """
    alive, frames = mouth.alive, len(mouth.alive)

    def presence(names: Sequence[str]) -> np.ndarray:
        return closure(np.isin(phones, [PHONES.index(name) for name in names]), frames)

    def pulses(times: Sequence[tuple[float, float]], rise: float, fall: float) -> np.ndarray:
        curve = np.zeros(frames)
        for at, weight in times:
            curve = np.maximum(
                curve,
                weight
                * pulse(frames, at + 0.03 * rng.standard_normal(), rise / tempo, fall / tempo),
            )
        return curve

    ends = [
        (b / FPS - 0.12, float(rng.uniform(0.5, 1.0))) for _, b in runs(alive > 0.5) if b < frames
    ]
    marked = [
        (at, weight * float(rng.uniform(0.6, 1.0))) for at, weight in accents if rng.random() < 0.8
    ]
    accent = pulses(marked, 0.16, 0.34)
    time = np.arange(frames) / FPS
    chuckle = 0.5 - 0.5 * np.cos(2 * np.pi * _CHUCKLE * tempo * time + rng.uniform(0, 2 * np.pi))
    return {
        "always": 0.4 + 0.6 * alive,
        "open": np.clip(mouth.gap / OPEN_MM, 0, 1.3), "wide": np.clip(mouth.wide / WIDE_MM, 0,
        1.3) * alive,
        "rounded": np.clip(mouth.rounded, 0, 1), "shut": mouth.shut * alive,
        "sibilant": mouth.sibilant * (1 - mouth.bite) * alive, "bite": mouth.bite * alive,
        "plosive": presence(PLOSIVES) * alive, "postalveolar": presence(POSTALVEOLARS) * alive,
        "accent": accent * alive, "end": pulses(ends, 0.3, 0.5) * (0.3 + 0.7 * alive),
        "chuckle": chuckle * accent * alive,
        "drift": wander(frames, rng, 0.3) * (0.4 + 0.6 * alive),
        "tremble": wander(frames, rng, _TREMBLE) * alive,
    }  # fmt: skip


def gestures(
    cues: dict[str, np.ndarray],
    names: Sequence[str],
    direction: Direction,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """{channel: [T]} of everything a direction adds to the sounds, by the names of a head."""
    style = direction.style_in_mood
    lean = ASYMMETRY * style.asymmetry
    stronger = int(style.asymmetry < 0)  # 0: the left side
    channels: dict[str, np.ndarray] = {}

    def put(channel: str, values: np.ndarray, leaning: bool = False) -> None:
        both, factors = sides(channel, names), (1 + lean, 1 - lean)
        if len(both) == 1 or leaning:
            both, factors = both[-1:] if stronger else both[:1], (1.0,)
        for name, factor in zip(both, factors):
            channels[name] = channels.get(name, 0.0) + factor * values

    def play(parts: Sequence[Part], strength: float) -> None:
        for part in parts:
            amount = strength * part.amount * float(np.exp(_VARIES * rng.standard_normal()))
            channel = part.channel
            if channel == "mouthLeft" and stronger:
                channel = "mouthRight"
            put(channel, amount * cues[part.cue], part.leaning)

    play(SPOKEN, style.articulation * style.energy**0.5)
    for mood in MOODS:
        if share := direction.share(mood):
            play(OF_MOODS.get(mood, ()), share)

    alive, end, shut = (cues[name] for name in ("always", "end", "shut"))
    if style.smile > 0:
        put("mouthSmile", SMILE * style.smile * alive)
        put("cheekSquint", 0.3 * SMILE * style.smile * alive)
    else:
        put("mouthFrown", FROWN * -style.smile * alive)
    tight = max(0.0, style.tension)
    put("mouthPress", tight * (0.10 * alive + 0.25 * shut + 0.20 * end))
    put("mouthDimple", tight * (0.08 * alive + 0.10 * end))
    put("mouthRollUpper", tight * 0.12 * shut)
    put("mouthRollLower", tight * 0.12 * shut)
    # The mouth is drawn towards the side that moves more, with speech and without.
    aside = (0.5 * style.asymmetry) * (0.05 * alive + 0.05 * cues["open"]) + 0.02 * cues["drift"]
    put("mouthLeft", np.maximum(aside, 0))
    put("mouthRight", np.maximum(-aside, 0))
    return channels
