# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher's mouth: jaw, lips, cheeks and tongue of aligned phones.

Jaw and lips follow kernels measured on real faces (`calibrate`), in the JALI tradition (Edwards et al. 2016): a jaw field
and a lip field, bilabials and labiodentals that always close, sibilants that narrow the jaw, tongue phones that leave
the lips to their neighbours, a true rest pose in silence.
"""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..direction import Direction
from ..engine.diffusion.articulate import sounds_of
from ..engine.speech.closure_envelope import closure
from ..engine.speech.phones import BILABIALS, DENTALS, LABIODENTALS, PHONES, SIBILANTS
from ..errors import BadRequest
from ..face.articulators import bundled_articulators, Shape
from ..face.mechanics import jaw_of, Mechanics, rise_of
from .calibrate import around, KERNELS, occupancy
from .teacher_timing import wander

# The default head's response to its channels, millimetres (tests/face measures them).
JAW_NARROW_MM = 0.14  # the corners come in as the incisors part by 1 mm
PUCKER_MM, FUNNEL_NARROW_MM, STRETCH_MM = 16.0, 8.0, 9.0  # corner distance lost or gained at 1

# One standard deviation of the measured curves, on this head (outer eye corners 90 mm apart, a lively speaker).
OPENING_MM, WIDTH_MM = 3.6, 2.4
MEAN_OPENING = 1.4  # deviations above closed at which speech is on average

# Rounding (lip protrusion) and tongue postures per phone, 0 … 1; phones not named are 0.
ROUND = dict(UW=1.0, W=1.0, OW=0.8, OY=0.5, AO=0.55, UH=0.6, SH=0.75, ZH=0.75, CH=0.7, JH=0.65, R=0.45, ER=0.35, AW=0.2)
TIP_UP = dict(L=1.0, N=0.9, T=0.85, D=0.85, TH=0.1, DH=0.1, R=0.5, S=0.35, Z=0.35)
BLADE_UP = dict(S=0.7, Z=0.7, SH=0.8, ZH=0.8, CH=0.8, JH=0.8, Y=0.7, IY=0.6, IH=0.3, EY=0.4)
BACK_UP = dict(K=0.9, G=0.9, NG=0.9, AA=0.2, AO=0.4, OW=0.4, UW=0.5, W=0.4, ER=0.4)
SIBILANT_GAP_MM = 5.0  # lips are no further apart on sibilants, whose jaw is nearly shut
BITE_GAP_MM = (1.2, 1.8)  # of the lips on f and v: the upper teeth are seen between them
DENTAL_GAP_MM = 3.2  # at least, of the lips on th: the tongue is seen between them

SMILE, ASYMMETRY = 0.5, 0.25  # of a channel, at 1 of the style's
_JAW_SHARE, _LIP_SHARE = 0.6, 0.44  # of an opening: the jaw's usual part, and the lips' of those who use them as most do


def lips_of(jaw: float) -> float:
    """How much somebody speaks with the lips (`face.mechanics`), whose jaw makes `jaw` times its usual part of an opening."""
    return float(np.clip((1 - _JAW_SHARE * jaw) / _LIP_SHARE, 0.4, 1.15))


@lru_cache
def _kernels() -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    data = json.loads(KERNELS.read_text())
    return {k: (np.array(d["phones"]), np.array(d["loudness"]), d["mean_spoken"]) for k in ("opening", "width") for d in [data[k]]}


def _curve(what: str, shares: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Measured curve [T] in standard deviations, zero on average over speech."""
    phones, loud, mean = _kernels()[what]
    return around(shares) @ phones.ravel() + around(heard) @ loud.ravel() - mean


def _dominance(shares: np.ndarray, table: dict[str, float], sigma: float = 1.3) -> np.ndarray:
    """Posture [T] of an articulator: each phone pulls with a bell of `sigma` frames, phones without an opinion give way."""
    target = np.array([table.get(p, 0.0) for p in PHONES])
    weight = np.array([1.0 if p in table else 0.35 for p in PHONES])
    pull = gaussian_filter1d(shares @ weight, sigma)
    return gaussian_filter1d(shares @ (weight * target), sigma) / np.maximum(pull, 1e-3)


@lru_cache
def _mechanics(channels: tuple[str, ...]) -> Mechanics:
    """Of the default head, whose channels these must be."""
    articulators = bundled_articulators()
    if channels != tuple(articulators.names):
        raise BadRequest("The teacher performs on the default head: give it that head's channels")
    return Mechanics(articulators)


def mouth(
    phones: np.ndarray, heard: np.ndarray, alive: np.ndarray, channels: list[str], direction: Direction, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(expression [T, n], jaw [T, 3]) of 10 ms labels [M], loudness [T, 2] and how much the face speaks [T]."""
    style, frames = direction.played, len(heard)
    index = {name: i for i, name in enumerate(channels)}
    x = np.zeros((frames, len(channels)))
    smile, asymmetry, lips = SMILE * max(0.0, style.smile), ASYMMETRY * style.asymmetry, lips_of(style.jaw)

    def put(name: str, value, side_bias: float = 0.0) -> None:
        if name in index:
            x[:, index[name]] += value
        else:
            x[:, index[name + "Left"]] += value * (1 + side_bias)
            x[:, index[name + "Right"]] += value * (1 - side_bias)

    shares = occupancy(phones, frames)
    shut = closure(np.isin(phones, BILABIALS), frames)
    bite = closure(np.isin(phones, LABIODENTALS), frames) * (1 - shut)
    strength = style.energy * (1 + 0.12 * wander(frames, rng, 0.25))

    z = MEAN_OPENING + _curve("opening", shares, heard)
    gap = OPENING_MM * np.log1p(np.exp(4 * z)) / 4 * strength * alive  # softplus: lips touch, they do not pass
    sounds = sounds_of(alive, *(np.isin(phones, kind) for kind in (SIBILANTS, LABIODENTALS, DENTALS, BILABIALS)))
    gap += sounds.sibilant * (np.minimum(gap, SIBILANT_GAP_MM) - gap)
    gap += sounds.dental * alive * (np.maximum(gap, DENTAL_GAP_MM) - gap)
    gap *= 1 - shut
    gap += bite * alive * (np.clip(gap, *BITE_GAP_MM) - gap)
    wide = WIDTH_MM * style.width * _curve("width", shares, heard) * alive
    rounded = _dominance(shares, ROUND) * alive * style.rounding

    funnel = np.clip(rounded, 0, 1.2) * 0.45 * (1 - shut) * (1 - bite)
    # Rounding: what narrows beyond the jaw's and the funnel's part is pucker, what widens is stretch.
    wide = wide + JAW_NARROW_MM * jaw_of(gap, lips)
    narrow = np.clip(-(wide + FUNNEL_NARROW_MM * funnel), 0, 12) / PUCKER_MM
    pucker = np.clip(narrow + 0.1 * rounded, 0, 1.0)
    stretch = np.clip(wide, 0, 8) / STRETCH_MM
    for name in ("mouthLowerDown", "mouthUpperUp"):  # how the sides share what the mechanics finds below
        put(name, 0.5, asymmetry)
    put("mouthFunnel", funnel)
    put("mouthPucker", pucker * (1 - 0.4 * shut))
    put("mouthStretch", stretch * 0.7, asymmetry)
    put("mouthSmile", stretch * 0.3 + smile * (0.6 + 0.4 * alive), 2 * asymmetry)
    put("mouthPress", 0.45 * shut)
    put("mouthRollLower", 0.18 * shut)
    put("mouthRollUpper", 0.15 * shut)
    put("cheekSquint", 0.6 * smile, asymmetry)
    put("tongueTipUp", _dominance(shares, TIP_UP, 0.9) * alive)
    put("tongueBladeUp", _dominance(shares, BLADE_UP, 1.0) * alive)
    put("tongueBack", _dominance(shares, BACK_UP, 1.1) * alive)

    # The jaw leads, the lips finish.
    aim = Shape(gap, rise_of(gap, lips), np.zeros(frames))
    x, rotation = _mechanics(tuple(channels)).speak(x, np.zeros((frames, 3)), sounds, aim, lips)
    rotation[:, 1] = 0.06 * asymmetry * rotation[:, 0]
    return np.clip(x, 0, 1.2), rotation
