# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher: a procedural animator that performs phones on the default head's channels, differently every time.

Jaw and lips follow kernels measured on real faces (`calibrate`), in the JALI tradition (Edwards et al. 2016): a jaw field
and a lip field, bilabials and labiodentals that always close, sibilants that narrow the jaw, tongue phones that leave
the lips to their neighbours, a true rest pose in silence. Speech is deterministic; style, strength, asymmetry, brows,
blinks, gaze and head motion are drawn from the generator that is passed in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from ..engine.diffusion.articulate import sounds_of
from ..engine.speech.closures import closure, segments
from ..engine.speech.phones import BILABIALS, DENTALS, LABIODENTALS, PHONES, SIBILANTS, SILENCE
from ..errors import BadRequest
from ..face.articulators import bundled_articulators, Shape
from ..face.mechanics import jaw_of, Mechanics, rise_of
from ..types import FPS, Motion
from .calibrate import around, KERNELS, occupancy

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


@dataclass(frozen=True)
class Style:
    """How one speaker performs one clip.

    Amplitudes and rates are those of the real people who calibrate the teacher, solved into the head's channels (`solve`):
    heads wander by 2 to 4 degrees, brows rise by a quarter. Cameras understate jaws, so how much of an opening the jaw makes
    is that of people scanned in 4D (`face.mechanics`).
    """

    strength: float = 1.0  # of opening
    spread: float = 1.0  # of width
    lips: float = 1.0  # of the opening that the lips make, against most people
    smile: float = 0.0
    asymmetry: float = 0.0  # −1 right … 1 left
    brow: float = 0.5  # how much brows accent
    nod: float = 0.5  # how much the head accents, and moves
    blink_every: float = 3.5  # s
    frown: float = 0.0

    @staticmethod
    def draw(rng: np.random.Generator) -> Style:
        return Style(
            strength=float(np.exp(rng.normal(0.0, 0.22))),
            spread=float(np.exp(rng.normal(0.0, 0.2))),
            lips=float(np.clip(rng.normal(0.9, 0.12), 0.6, 1.1)),
            smile=float(max(0.0, rng.normal(0.02, 0.08))),
            asymmetry=float(np.clip(rng.normal(0, 0.08), -0.25, 0.25)),
            brow=float(rng.uniform(0, 1)),
            nod=float(rng.uniform(0.1, 1)),
            blink_every=float(np.clip(rng.gamma(4.0, 1.0), 1.8, 8.0)),
            frown=float(max(0.0, rng.normal(-0.05, 0.12))),
        )


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


def presence(phones: np.ndarray, frames: int) -> np.ndarray:
    """How much the face speaks [T]: 1 in speech, 0 in pauses over a quarter of a second, eased in ahead of the sound."""
    quiet = phones == SILENCE
    for a, b in segments(quiet):
        if b - a < 25 and a > 0 and b < len(phones):
            quiet[a:b] = False
    active = (~quiet).astype(float)
    active = maximum_filter1d(active, 13, origin=-1) if len(active) > 13 else active
    active = gaussian_filter1d(np.pad(active, 40, mode="edge"), 6.0)[40:-40]
    at = (np.arange(frames) * 4).clip(0, len(active) - 1)
    x = np.clip((active[at] - 0.08) / 0.84, 0, 1)
    return x * x * (3 - 2 * x)


def _wander(frames: int, rng: np.random.Generator, hertz: float) -> np.ndarray:
    """Slow smooth noise [T] of unit deviation around `hertz`."""
    pad = int(2 * FPS / hertz)
    x = gaussian_filter1d(rng.standard_normal(frames + 2 * pad), FPS / (2 * np.pi * hertz))
    return (x / (x.std() + 1e-9))[pad : pad + frames]


def _pulse(frames: int, at: float, rise: float, fall: float) -> np.ndarray:
    """A bump [T] that peaks at `at` s, rising over `rise` s and falling over `fall` s."""
    t = np.arange(frames) / FPS - at
    x = np.clip(np.where(t < 0, 1 + t / rise, 1 - t / fall), 0, 1)
    return x * x * (3 - 2 * x)


def _accents(heard: np.ndarray, alive: np.ndarray, rng: np.random.Generator) -> list[tuple[float, float]]:
    """(time s, weight) of loudness peaks that a brow or a nod may mark."""
    smooth = gaussian_filter1d(heard[:, 0] * alive, 2.0)
    top = (smooth == maximum_filter1d(smooth, 15)) & (smooth > np.quantile(smooth, 0.6)) & (alive > 0.8)
    return [(i / FPS, float(rng.uniform(0.3, 1.0))) for i in np.flatnonzero(top) if rng.random() < 0.6]


@lru_cache
def _mechanics(channels: tuple[str, ...]) -> Mechanics:
    """Of the default head, whose channels these must be."""
    articulators = bundled_articulators()
    if channels != tuple(articulators.names):
        raise BadRequest("The teacher performs on the default head: give it that head's channels")
    return Mechanics(articulators)


def perform(phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator, style: Style | None = None) -> Motion:
    """Animate phones (10 ms labels [M]) with loudness `heard` [T, 2] (see `encoder.loudness`) → Motion of T frames."""
    style = style or Style.draw(rng)
    frames = len(heard)
    index = {name: i for i, name in enumerate(channels)}
    x = np.zeros((frames, len(channels)))

    def put(name: str, value, side_bias: float = 0.0) -> None:
        if name in index:
            x[:, index[name]] += value
        else:
            x[:, index[name + "Left"]] += value * (1 + side_bias)
            x[:, index[name + "Right"]] += value * (1 - side_bias)

    shares = occupancy(phones, frames)
    alive = presence(phones, frames)
    shut = closure(np.isin(phones, BILABIALS), frames)
    bite = closure(np.isin(phones, LABIODENTALS), frames) * (1 - shut)
    strength = style.strength * (1 + 0.12 * _wander(frames, rng, 0.25))

    z = MEAN_OPENING + _curve("opening", shares, heard)
    gap = OPENING_MM * np.log1p(np.exp(4 * z)) / 4 * strength * alive  # softplus: lips touch, they do not pass
    sounds = sounds_of(alive, *(np.isin(phones, kind) for kind in (SIBILANTS, LABIODENTALS, DENTALS, BILABIALS)))
    gap += sounds.sibilant * (np.minimum(gap, SIBILANT_GAP_MM) - gap)
    gap += sounds.dental * alive * (np.maximum(gap, DENTAL_GAP_MM) - gap)
    gap *= 1 - shut
    gap += bite * alive * (np.clip(gap, *BITE_GAP_MM) - gap)
    wide = WIDTH_MM * style.spread * _curve("width", shares, heard) * alive
    rounded = _dominance(shares, ROUND) * alive * style.spread

    funnel = np.clip(rounded, 0, 1.2) * 0.45 * (1 - shut) * (1 - bite)
    # Rounding: what narrows beyond the jaw's and the funnel's part is pucker, what widens is stretch.
    wide = wide + JAW_NARROW_MM * jaw_of(gap, style.lips)
    narrow = np.clip(-(wide + FUNNEL_NARROW_MM * funnel), 0, 12) / PUCKER_MM
    pucker = np.clip(narrow + 0.1 * rounded, 0, 1.0)
    stretch = np.clip(wide, 0, 8) / STRETCH_MM
    for name in ("mouthLowerDown", "mouthUpperUp"):  # how the sides share what the mechanics finds below
        put(name, 0.5, style.asymmetry)
    put("mouthFunnel", funnel)
    put("mouthPucker", pucker * (1 - 0.4 * shut))
    put("mouthStretch", stretch * 0.7, style.asymmetry)
    put("mouthSmile", stretch * 0.3 + style.smile * (0.6 + 0.4 * alive), 2 * style.asymmetry)
    put("mouthPress", 0.45 * shut)
    put("mouthRollLower", 0.18 * shut)
    put("mouthRollUpper", 0.15 * shut)
    put("cheekSquint", 0.6 * style.smile, style.asymmetry)
    put("tongueTipUp", _dominance(shares, TIP_UP, 0.9) * alive)
    put("tongueBladeUp", _dominance(shares, BLADE_UP, 1.0) * alive)
    put("tongueBack", _dominance(shares, BACK_UP, 1.1) * alive)

    # The jaw leads, the lips finish.
    aim = Shape(gap, rise_of(gap, style.lips), np.zeros(frames))
    x, rotation = _mechanics(tuple(channels)).speak(x, np.zeros((frames, 3)), sounds, aim, style.lips)
    rotation[:, 1] = 0.06 * style.asymmetry * rotation[:, 0]

    # Eyes alive: blinks (more often where speech pauses), saccades, brows and nods on accents.
    time = rng.uniform(0.3, style.blink_every)
    pauses = alive < 0.5
    while time < frames / FPS:
        put("eyeBlink", np.clip(_pulse(frames, time, 0.09, 0.2) * rng.uniform(0.92, 1.0), 0, 1))
        time += max(0.5, rng.gamma(3.0, style.blink_every / 3.0)) * (0.7 if pauses[min(frames - 1, int(time * FPS))] else 1.0)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        x[:, index[name]] = np.clip(x[:, index[name]], 0, 1)
    accents = _accents(heard, alive, rng)
    raised = sum((w * _pulse(frames, t, 0.18, 0.35) for t, w in accents), np.zeros(frames)) * style.brow * 0.6
    mood = 0.06 * _wander(frames, rng, 0.15) * style.brow
    put("browInnerUp", np.clip(raised + mood, 0, 1))
    put("browOuterUp", np.clip(0.7 * raised + 0.5 * mood, 0, 1), style.asymmetry)
    put("browDown", np.clip(style.frown + 0.05 * _wander(frames, rng, 0.2), 0, 0.6))
    put("eyeWide", 0.25 * np.clip(raised, 0, 1))
    put("eyeSquint", 0.5 * style.smile + 0.15 * style.frown)

    head = np.stack([_wander(frames, rng, f) * a for f, a in ((0.35, 0.030), (0.25, 0.050), (0.3, 0.040))], 1)
    head *= (0.25 + 0.75 * alive)[:, None] * (0.4 + style.nod)
    head[:, 0] += sum((w * _pulse(frames, t + 0.04, 0.16, 0.3) for t, w in accents), np.zeros(frames)) * 0.05 * style.nod

    gaze = np.zeros((frames, 3))
    look, time = np.zeros(2), 0.0
    while time < frames / FPS:
        gaze[int(time * FPS) :, :2] = look
        time += rng.gamma(2.0, 0.55) + 0.2
        away = rng.random() < 0.2
        look = rng.normal(0, (0.03, 0.05)) * (2.0 if away else 0.6)
    eyes = gaussian_filter1d(gaze, 0.55, axis=0) - 0.7 * head  # the eyes stay on their target while the head moves
    eyes[:, 2] = 0

    as32 = np.float32
    return Motion(np.clip(x, 0, 1.2).astype(as32), rotation.astype(as32), head.astype(as32), eyes.astype(as32))
