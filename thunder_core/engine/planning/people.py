# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves head, brows, lids and gaze as people do who talk on camera: a sampler whose numbers were
fitted to them (`people.json`, by `research train calibrate`).

A person is drawn first: how far and how quickly each of SIGNALS moves, how they go together, how
often eyes shift and shut. Movement is correlated noise in BANDS. A liveliness drives it: below 1 Hz
as a clock, so that postures are held and left; above as a size. What is slower than BANDS is where
somebody sits and looks: a take stays where it looks. Gaze is held between shifts and
turns against the head; blinks come at log-normal intervals, some of them partial.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...events import Blink
from ...filters import gaussian
from ...types import FPS
from ..speech.cues import Prosody

_SEED_PERSON = 29  # part of the seeds, which no other part has
NUMBERS = Path(__file__).with_name("people.json")
# nod, turn, tilt: of the head, degrees.  inner, outer: height of the brows, mm; lean: of the left
# outer one above the right, mm.  lid: openness beside its own.  aside, down: of the eyes, degrees.
SIGNALS = ("nod", "turn", "tilt", "inner", "outer", "lean", "lid", "aside", "down")
REGIONS = ("head", "brows", "lids", "gaze")
REGION_OF = np.array([0, 0, 0, 1, 1, 1, 2, 3, 3])
BANDS = ((0.1, 0.25), (0.25, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0))  # Hz
QUICK = 3  # first band whose size follows the liveliness
HEAD, BROWS, LID, GAZE = slice(0, 3), slice(3, 6), 6, slice(7, 9)
MOST = 1.5  # standard deviations from usual people that are drawn at most
_BLOCK = (
    1024  # frames: noise of a longer line is that of a shorter one in the same number of blocks
)
_LEAST_ROOT = 0.02  # least eigenvalue of correlations
_LID_MOVES = 0.5  # share of its opening by which a lid moves at most besides blinks
# logarithm of the most liveliness: by hand, so that what is acted is seen beside it
_LIVELIEST = 1.5
_FASTEST = 2.0  # most by which postures change faster than usual: by hand, faster ones are jerks
_PAUSE_EASE = 4.0  # frames in which a pause calms or stirs
_SHIFT = np.array([0.15, 0.7, 0.15])  # weights of the frames over which the gaze shifts
# lids: s down, s shut and s up, in a blink of length 1, and the exponent of the time in which they
# rise, fast first; from the median blink of measured people, by which lids are .21, .74, .93, .70,
# .43, .29 and .20 shut from frame to frame
LIDS_DOWN, LIDS_SHUT, LIDS_UP, LIDS_EASE = 0.12, 0.01, 0.3, 0.41
# s for which they are half shut in it
_USUAL_BLINK = LIDS_DOWN / 2 + LIDS_SHUT + LIDS_UP * 0.5 ** (1 / LIDS_EASE)
_BLINKS_APART = 0.3  # least s from blink to blink of people
_SHIFTS_APART = 0.12  # likewise, of the gaze
_NEAR = 0.6  # s within which a phrase's start or end attracts a blink
_LATE = 0.08  # standard deviation of s from there
_PARTIAL = (0.3, 0.6)  # closure of partial blinks


@dataclass(frozen=True)
class People:
    """The fitted numbers: arrays by name, as `people.json` explains them."""

    numbers: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.numbers[name]

    @classmethod
    def load(cls, path: Path = NUMBERS) -> People:
        """The numbers of a file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls({name: np.array(row["value"]) for name, row in data["numbers"].items()})

    def correlations(self, surplus: np.ndarray | float = 0.0) -> np.ndarray:
        """A symmetric root [9, 9] of the correlations of SIGNALS; surplus: of Fisher's z [36]."""
        matrix = np.eye(len(SIGNALS))
        upper = np.triu_indices(len(SIGNALS), 1)
        matrix[upper] = np.tanh(self["correlation"] + surplus * (self["correlation"] != 0))
        return _root(matrix + np.triu(matrix, 1).T)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of correlations, those that cannot be together made possible."""
    values, vectors = np.linalg.eigh(matrix)
    root = (vectors * np.sqrt(values.clip(_LEAST_ROOT))) @ vectors.T
    return root / np.linalg.norm(root, axis=1, keepdims=True)


@lru_cache
def people() -> People:
    """The people that takes are drawn from."""
    return People.load()


@dataclass(frozen=True)
class Person:
    """Somebody's manner. sizes [9, 5]: of SIGNALS in BANDS.  root [9, 9]: of their correlations.
    against [2]: degrees of the eyes against one of the head.  shift, blink: mean s between shifts
    of the gaze and between blinks.  partial: share of partial blinks.  length: usual s of a blink.
    head_size: of the head's movement beside usual people's.  of: the people of whom it is one.
    """

    sizes: np.ndarray
    root: np.ndarray
    against: np.ndarray
    shift: float
    blink: float
    partial: float
    length: float
    head_size: float
    of: People


def draw_person(spread: float, seed: int, voice: Prosody, of: People | None = None) -> Person:
    """Somebody who differs from usual people as these do from each other, times a spread; 0: the
    usual person. Of a seed there is another for every voice."""
    of, heard = of or people(), np.round(voice.accents * FPS).astype(int).tolist()
    rng = np.random.default_rng([_SEED_PERSON, seed, voice.frames, *heard])

    def draw(*shape: int) -> np.ndarray:
        return np.clip(spread * rng.standard_normal(shape), -MOST, MOST)

    count = len(SIGNALS)
    alike = float(of["size_shared"])
    own = np.sqrt(alike) * draw() + np.sqrt(1 - alike) * draw(count)
    logs = of["size"] + (of["size_between"] * np.clip(own, -MOST, MOST))[:, None]
    logs = logs + of["tilt_between"] * draw(count)[:, None] * np.linspace(-1, 1, len(BANDS))
    pairs = draw(count * (count - 1) // 2)
    against = np.maximum(0.0, of["against"] + of["against_between"] * draw(2))
    shift, blink, length = (
        float(np.exp(of[name] + of[f"{name}_between"] * draw()))
        for name in ("shift", "blink", "blink_length")
    )
    logit = of["partial"] + of["partial_between"] * draw()
    return Person(
        np.exp(logs), of.correlations(of["correlation_between"] * pairs), against, shift,
        blink, float(1 / (1 + np.exp(-logit))), length,
        float(np.exp((logs - of["size"])[HEAD].mean())), of,
    )  # fmt: skip


@dataclass(frozen=True)
class Manner:
    """What a direction makes of a person over T frames. sizes [T, 4]: factors of the movement of
    REGIONS.  tempo, shifts, blinks, blink_length [T]: factors of how quickly postures change, how
    often the gaze shifts and lids shut, and for how long.  still [T]: 1 where all is held, 0
    elsewhere.  apart: least and most s from blink to blink.  longest: s for which one shuts lids by
    half."""

    sizes: np.ndarray
    tempo: np.ndarray
    shifts: np.ndarray
    blinks: np.ndarray
    blink_length: np.ndarray
    still: np.ndarray
    apart: tuple[float, float] = (_BLINKS_APART, np.inf)
    longest: float = np.inf


@dataclass(frozen=True)
class Heard:
    """What of a voice moves people: silent [T] 0 or 1, loud [T] in deviations, marks: s at which
    phrases start and end."""

    silent: np.ndarray
    loud: np.ndarray
    marks: np.ndarray


@dataclass(frozen=True)
class Movement:
    """What somebody's upper face does: SIGNALS [T, 9], blinks apart, and these in order of time."""

    signals: np.ndarray
    blinks: list[Blink]


def move(person: Person, heard: Heard, manner: Manner, rng: np.random.Generator) -> Movement:
    """How a person's upper face moves to a voice."""
    of, frames = person.of, len(heard.silent)
    lively, awake = _liveliness(of, heard, rng), 1 - manner.still[:, None]
    pace = np.minimum(np.exp(lively - of["lively"] ** 2 / 2), _FASTEST)
    clocks = (pace * manner.tempo[:, None] * awake).cumsum(0)
    x, held = np.zeros((frames, len(SIGNALS))), np.zeros((frames, 2))
    count = _BLOCK * (frames // _BLOCK + 1)
    for band in range(len(BANDS)):
        noise = (person.root * person.sizes[:, band, None]) @ _band_noise(count, band, rng)
        if band < QUICK:
            at = np.arange(count)
            moved = np.stack(
                [np.interp(clocks[:, region], at, row, period=count)
                 for region, row in zip(REGION_OF, noise)], 1,
            )  # fmt: skip
        else:
            louder = of["quick"][:, band - QUICK] * lively
            moved = noise[:, :frames].T * np.exp(louder)[:, REGION_OF] * awake
        if band <= QUICK:
            held += moved[:, GAZE]
            moved[:, GAZE] = 0.0
        x += moved
    share = float(of["hold"])
    x[:, GAZE] += (1 - share) * held + share * _hold(held, person, clocks[:, 3], manner, rng)
    x *= manner.sizes[:, REGION_OF]
    x[:, LID] = np.clip(x[:, LID], -_LID_MOVES, _LID_MOVES)
    x[:, 7] -= person.against[0] * x[:, 1]
    x[:, 8] -= person.against[1] * x[:, 0]
    return Movement(x, _blinks(person, heard, manner, rng))


def _band_noise(count: int, band: int, rng: np.random.Generator) -> np.ndarray:
    """Noise [9, count] of unit deviation in a band, with power ~ 1/f² inside."""
    low, high = BANDS[band]
    hertz = np.fft.rfftfreq(count, 1 / FPS)
    weight = np.where((hertz >= low) & (hertz < high), 1 / np.maximum(hertz, low), 0.0)
    waves = rng.standard_normal((2, len(SIGNALS), len(hertz)))
    scale = count / (2 * np.sqrt(np.square(weight).sum()))
    return np.fft.irfft((waves[0] + 1j * waves[1]) * weight * scale, count)


def smooth_noise(frames: int, columns: int, hertz: float, rng: np.random.Generator) -> np.ndarray:
    """Noise [T, columns] of about unit deviation, whose movements are slower than `hertz`.

    It is drawn from its first frame on, so that a longer take begins as a shorter one does.
    """
    deviation = FPS / (2 * np.pi * hertz)
    reach = int(3 * deviation) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    noise = rng.standard_normal((frames + 2 * reach, columns))
    return np.stack(
        [np.convolve(column, kernel / np.linalg.norm(kernel), "valid") for column in noise.T], 1
    )


def _liveliness(of: People, heard: Heard, rng: np.random.Generator) -> np.ndarray:
    """Logarithm [T, 4] of how lively REGIONS are: of themselves, together, and with the voice."""
    frames, ease = len(heard.silent), float(of["lively_seconds"]) * FPS
    together = np.eye(len(REGIONS))
    together[np.triu_indices(len(REGIONS), 1)] = of["lively_together"]
    root = _root(together + np.triu(together, 1).T)
    reach = int(4 * ease + 0.5)
    noise = gaussian(rng.standard_normal((frames + 2 * reach, len(REGIONS))), ease)
    own = noise[reach : reach + frames] * np.sqrt(2 * np.sqrt(np.pi) * ease) @ root.T
    silent = gaussian(heard.silent, _PAUSE_EASE, "nearest")
    lively = of["lively"] * own + of["in_pauses"] * silent[:, None]
    return np.minimum(lively + of["loud"] * heard.loud[:, None], _LIVELIEST)


def _renewal(
    mean: float, varies: float, bounds: tuple[float, float], end: float, rng: np.random.Generator
) -> list[float]:
    """Times from 0 to `end` whose intervals are log-normal, by their mean and deviation ÷ mean,
    within bounds."""
    spread = np.sqrt(np.log1p(varies**2))
    at, found = -rng.uniform(0, mean), []
    while at < end:
        interval = mean * float(np.exp(spread * rng.standard_normal() - spread**2 / 2))
        at += min(max(bounds[0], interval), bounds[1])
        if 0 <= at < end:
            found.append(at)
    return found


def _hold(
    gaze: np.ndarray, person: Person, clock: np.ndarray, manner: Manner, rng: np.random.Generator
) -> np.ndarray:
    """A gaze [T, 2] that stays where it is between shifts, which come by a clock [T], frames."""
    frames = len(gaze)
    time = clock + np.concatenate([[0.0], np.diff(clock) * (manner.shifts[1:] - 1)]).cumsum()
    marks = _renewal(
        person.shift, float(person.of["shift_varies"]), (_SHIFTS_APART, np.inf), time[-1] / FPS, rng
    )
    starts = np.unique([0, *np.searchsorted(time, np.array(marks) * FPS)])
    starts = starts[starts < frames]
    middles = (starts + [*starts[1:], frames]) // 2
    held = np.repeat(gaze[middles], np.diff([*starts, frames]), axis=0)
    padded = np.pad(held, ((1, 1), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, _SHIFT, "valid") for column in padded.T], 1)


def _blinks(person: Person, heard: Heard, manner: Manner, rng: np.random.Generator) -> list[Blink]:
    """Blinks by a person's intervals; where a phrase starts or ends near one, it may move there."""
    frames, found, of = len(heard.silent), list[Blink](), person.of
    often = manner.blinks.cumsum() / FPS  # time that runs as fast as lids are to shut
    for each in _renewal(person.blink, float(of["blink_varies"]), manner.apart, often[-1], rng):
        chances, normal = rng.random(3), rng.standard_normal(3)
        at = float(np.searchsorted(often, each)) / FPS
        near = heard.marks[np.abs(heard.marks - at) < _NEAR]
        if len(near) and chances[0] < of["blink_attracted"]:
            at = float(near[0] + _LATE * normal[0])
        if found and at - found[-1].at < _BLINKS_APART:
            continue
        lasts = person.length * np.exp(of["blink_length_varies"] * normal[1])
        lasts = min(lasts, manner.longest)
        length = float(lasts / _USUAL_BLINK * manner.blink_length[min(frames - 1, int(at * FPS))])
        partial = chances[1] < person.partial
        depth = _PARTIAL[0] + (_PARTIAL[1] - _PARTIAL[0]) * chances[2] if partial else 1.0
        found.append(Blink(at, length, float(depth)))
    return sorted(found, key=lambda blink: blink.at)
