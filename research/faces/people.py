# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits how people move head, brows, lids and gaze (`engine.planning.people`) to measured faces, by
matching statistics.

The teacher performs each clip of the split `fit` in the usual direction, with what the head acts, laid
on its person (`puppet`): people and performances are then measured alike. What its statistics differ
by moves the numbers, a few times. Where lids are shut brows and gaze are bridged: trackers move
them then.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from research.faces.lip_clips import encode_clip, LipClip, read_clips
from research.faces.puppet import Curves, measure_person, Puppet
from research.measures.movement import find_blinks
from research.measures.told_apart import closure, fill, near_closed
from research.train.teacher import draw_any, prosody, semitones, upper_face
from thunder_core.direction import Direction
from thunder_core.engine.planning.choice import Choice
from thunder_core.engine.planning.people import (
    BANDS,
    draw_person,
    NUMBERS,
    People,
    REGION_OF,
    REGIONS,
    SIGNALS,
)
from thunder_core.engine.speech.cues import Prosody
from thunder_core.engine.speech.encoder import LOUDNESS, SpeechEncoder
from thunder_core.types import FPS, Motion

# rounds of fitting, of which the last are averaged; readings a clip; share of a difference, which
# falls as 1 ÷ round after the first ones
_ROUNDS, _READINGS, _STEP, _FIRST = 12, 1, 0.6, 4
_LEAST_R = 0.15  # Fisher's z of people's correlations below which pairs are left out
_LIVELY = ((0.25, 1.0), (1.0, 2.0), (2.0, 4.0))  # Hz in which liveliness is measured
_JUMP = 50.0  # degrees a second of a shift of the gaze
_SPELL = 0.35  # s over which that is averaged
_HALF = 0.5  # closure from which lids are half shut
_DIGITS = 3
_MEASURED = {
    "nod": ("pitch", 1), "turn": ("yaw", 1), "tilt": ("roll", 1), "inner": ("inner brow", 1),
    "outer": ("outer brow", 1), "lean": ("brow lean", 1), "lid": ("lid", 1),
    "aside": ("gaze aside", 1), "down": ("gaze up", -1),
}  # fmt: skip
_PAIRS = [*combinations(range(len(SIGNALS)), 2)]
# eyes against the head have numbers of their own; brows are tracked higher where the gaze is lower
_NO_PAIRS = [(1, 7), (0, 8), (3, 8), (4, 8)]
# unit and meaning of each number; those behind _BY_HAND are not fitted
ABOUT = {
    "size": ("ln °, ln mm, ln share", "usual sizes of SIGNALS (rows) in BANDS (columns)"),
    "size_between": ("ln", "deviation between people of the sizes of each signal"),
    "size_shared": ("share", "of that variance which all signals have together"),
    "tilt_between": ("ln", "deviation between people of how much larger quick bands are"),
    "correlation": ("Fisher's z", "of pairs of SIGNALS, row by row of the upper triangle"),
    "correlation_between": ("Fisher's z", "deviation between people"),
    "lively": ("ln", "deviation of the liveliness of REGIONS"),
    "lively_together": ("r", "of the liveliness of pairs of REGIONS, row by row"),
    "quick": ("exponent", "by which bands from 1 Hz on follow it, of REGIONS"),
    "in_pauses": ("ln", "more liveliness in pauses, of REGIONS"),
    "loud": ("ln a deviation", "more liveliness where the voice is loud, of REGIONS"),
    "shift": ("ln s", "between shifts of the gaze"),
    "shift_between": ("ln", "deviation between people"),
    "blink": ("ln s", "between blinks"),
    "blink_between": ("ln", "deviation between people"),
    "blink_varies": ("deviation ÷ mean", "of intervals between blinks"),
    "partial": ("logit", "share of partial blinks"),
    "partial_between": ("logit", "deviation between people"),
    "blink_length": ("ln s", "for which lids are half shut"),
    "blink_length_between": ("ln", "deviation between people"),
    "blink_length_varies": ("ln", "deviation between blinks of a person"),
}  # fmt: skip
_BY_HAND = {
    "against": ("° per °", "of the eyes against the head's turn and nod",
                "trackers damp eyes: they see .43 and .31, and who looks at somebody does it fully"),
    "against_between": ("° per °", "deviation between people", "it shall stay small beside that"),
    "hold": ("share", "of the slow gaze that is held between shifts",
             "eyes jump and rest; what trackers see between is mostly their own"),
    "lively_seconds": ("s", "width of a spell of liveliness", "longer ones were told more surely"),
    "shift_varies": ("deviation ÷ mean", "of intervals between shifts", "as of random moments"),
    "blink_attracted": ("chance", "that a blink near a phrase's start or end moves there",
                        "people show 1.1 to 1.3 × chance"),
}  # fmt: skip


@dataclass(frozen=True)
class Face:
    """A clip: its voice, and its person, measured in known frames bool [T]."""

    clip: LipClip
    voice: Prosody
    puppet: Puppet
    person: Curves
    known: np.ndarray

    @classmethod
    def of(cls, clip: LipClip, encoder: SpeechEncoder) -> "Face":
        """The face of a tracked clip."""
        heard, phones = encode_clip(encoder, clip)
        pitch = semitones(clip.samples, clip.frames)
        known = np.zeros(clip.frames, bool)
        known[clip.held[2]] = True
        voice = prosody(phones, heard[:, -LOUDNESS:], pitch)
        return cls(clip, voice, Puppet(clip.held[0]), measure_person(clip), known)

    def perform(self, seed: int, of: People) -> Curves:
        """What is measured of the teacher's upper face to its voice, of one of some people; of what
        is acted, the head's part alone: acted brows are larger than people's."""
        names, person = (
            list(self.puppet.head.expression_names),
            draw_person(1.0, seed, self.voice, of),
        )
        plain, acted = (
            upper_face(self.voice, choice, Direction(), np.random.default_rng(seed), person=person)
            for choice in (Choice(), draw_any(self.voice, np.random.default_rng([seed, 1])))
        )
        channels, head, eyes = plain[0], acted[1], plain[2]
        x = np.zeros((self.clip.frames, len(names)), np.float32)
        for name, values in channels.items():
            for side in (name,) if name in names else (name + "Left", name + "Right"):
                x[:, names.index(side)] = values
        motion = Motion(x, 0 * x[:, :3], head.astype(np.float32), eyes.astype(np.float32))
        return self.puppet.measure_upper(motion, seed)


def measure(curves: Curves, face: Face) -> dict[str, np.ndarray]:
    """The statistics of a performance by the names of the numbers that they move; NaN where there
    is too little to measure."""
    known = face.known
    open_ = known & ~near_closed(np.where(known, curves["lid"], np.nan))
    lid = curves["lid"] / np.nanquantile(curves["lid"], 0.75)
    x = []
    for name in SIGNALS:
        measured, sign = _MEASURED[name]
        values = lid if name == "lid" else curves[measured]
        x.append(sign * fill(values, known if name in ("nod", "turn", "tilt") else open_))
    bands = np.stack([_filter(np.array(x), *band)[:, known] for band in BANDS], 1)
    middle = _filter(np.array(x), BANDS[1][0], BANDS[-1][1])[:, known]
    z = np.arctanh(np.corrcoef(middle)[tuple(zip(*_PAIRS))].clip(-0.98, 0.98))
    found = {"size": np.log(bands.std(2) + 1e-4), "correlation": z}
    energies = _energies(np.array(x), known)
    together = energies.mean(1)
    deviations = energies.std(2)
    level = (face.voice.level - face.voice.level.mean()) / (face.voice.level.std() + 1e-6)
    heard = np.stack([~face.voice.spoken, level, np.ones(len(known))], 1)[known].astype(float)
    slopes = np.linalg.lstsq(heard, together.T, rcond=None)[0]
    found |= {
        "lively": deviations[:, 0], "quick": deviations[:, 1:],
        "lively_together": np.corrcoef(together)[np.triu_indices(len(REGIONS), 1)],
        "in_pauses": slopes[0] if 5 < (~face.voice.spoken[known]).sum() else np.full(4, np.nan),
        "loud": slopes[1],
    }  # fmt: skip
    seconds, seen = known.sum() / FPS, open_[1:] & open_[:-1]
    speed = np.linalg.norm(np.diff([curves["gaze aside"], curves["gaze up"]]), axis=0) * FPS
    speed = np.where(seen, speed, 0.0)
    starts = np.flatnonzero((speed[1:] > _JUMP) & (speed[:-1] <= _JUMP))
    found["shift"] = -np.log(max(0.5, len(starts)) / seconds)
    return {
        name: np.asarray(value, float) for name, value in (found | _blinks(curves, face)).items()
    }


def _filter(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """The parts of curves [n, T] in a band."""
    return sosfiltfilt(butter(3, (low, high), "bandpass", fs=FPS, output="sos"), x, axis=1)


def _energies(x: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Logarithm of how much each of REGIONS moves in each of _LIVELY, [4, 3, known], of SIGNALS [9,
    T]."""
    powers = []
    for band in _LIVELY:
        power = np.square(_filter(x, *band))
        powers.append(power / (power[:, known].mean(1, keepdims=True) + 1e-9))
    rows = [
        [power[REGION_OF == region].sum(0) for power in powers] for region in range(len(REGIONS))
    ]
    local = gaussian_filter1d(np.array(rows), _SPELL * FPS, axis=2)
    return np.log(local[..., known] + 0.02)


def _blinks(curves: Curves, face: Face) -> dict[str, float]:
    """Statistics of blinks. Their length is that of somebody's median one, and not to half of its
    own depth: people's lids rise slowly at last, and some blinks are rather looks down."""
    frames, shut, of_depth = find_blinks(curves, face.known).T
    full, seconds = shut > 0.6, face.known.sum() / FPS
    lids = closure(np.where(face.known, curves["lid"], np.nan))
    open_ = np.r_[-1, np.flatnonzero(~(lids > _HALF)), len(lids)]
    after = np.searchsorted(open_, frames[full])
    lasts = open_[after] - open_[after - 1] - 1
    between, nothing, several = np.diff(frames[full]), np.nan, full.sum() > 3
    return {
        "blink": full.sum() / seconds,
        "partial": (~full).sum() / seconds,
        "blink_varies": between.std() / between.mean() if several else nothing,
        "blink_length": np.log(np.median(lasts) / FPS) if several else nothing,
        "blink_length_varies": np.log(of_depth[full]).std() if several else nothing,
    }


def _mean(rows: Sequence[dict], weights: np.ndarray, name: str) -> np.ndarray:
    """Weighted mean of a statistic over what is known of it, 0 of nothing."""
    x = np.array([row[name] for row in rows])
    w = np.where(np.isfinite(x), weights.reshape(-1, *[1] * (x.ndim - 1)), 0.0)
    return (np.nan_to_num(x) * w).sum(0) / np.maximum(w.sum(0), 1e-9)


def _deviation(rows: Sequence[dict], name: str) -> np.ndarray:
    """Deviation of a statistic between clips, 0 of nothing."""
    x = np.ma.masked_invalid([row[name] for row in rows])
    return x.std(axis=0).filled(0.0) if x.ndim > 1 else np.float64(x.std() if x.count() else 0.0)


def _with_manner(row: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Statistics with what differs between people: the sizes of each signal, and their slopes."""
    size = row["size"]
    slope = size @ np.linspace(-1, 1, len(BANDS)) / np.square(np.linspace(-1, 1, len(BANDS))).sum()
    return row | {"sizes": size[:, 1:].mean(1), "slope": slope}


def _shared(rows: Sequence[dict]) -> float:
    """Mean correlation between people of the sizes of signals."""
    r = np.corrcoef(np.array([row["sizes"] for row in rows]).T)
    return float(r[np.triu_indices(len(r), 1)].mean())


_MEANS = (
    "size", "correlation", "lively", "lively_together", "quick", "in_pauses", "loud",
    "shift", "blink", "blink_varies", "partial", "blink_length", "blink_length_varies",
)  # fmt: skip
_BETWEEN = {
    "size_between": "sizes", "tilt_between": "slope", "correlation_between": "correlation",
    "shift_between": "shift", "blink_between": "blink",
    "partial_between": "partial", "blink_length_between": "blink_length",
}  # fmt: skip
# where a number is no statistic itself: how much of a difference it moves by (intervals between
# blinks stay people's own, because takes keep them within bounds); and bounds of numbers
_GAINS = {"shift": 0.5, "blink": -2.0, "partial": 10.0, "blink_varies": 0.0}
_BOUNDS = {
    "size": (-4.0, 3.0), "lively": (0.1, 1.1), "quick": (0.0, 1.2),
    "lively_together": (-0.9, 0.9), "loud": (-0.5, 0.5),
    "blink_varies": (0.3, 1.5), "in_pauses": (-0.4, 1.0), "partial": (-5.0, 1.0),
    "blink_length_varies": (0.05, 0.6), "correlation": (-1.2, 1.2), "shift": (-1.0, 2.0),
    "blink": (-1.0, 4.0), "blink_length": (-3.0, 0.0), "size_shared": (0.0, 0.5),
    # short clips differ by chance, and no take is to be twice as lively as lively people
    "size_between": (0.02, 0.52), "tilt_between": (0.02, 0.2), "correlation_between": (0.02, 0.25),
    "shift_between": (0.02, 0.9),
    # of blinks a quarter of what differs between people, because viewers like lids that shut evenly
    "blink_between": (0.02, 0.22), "partial_between": (0.02, 0.22),
    "blink_length_between": (0.02, 0.09),
}  # fmt: skip


def _begin(real: Sequence[dict], weights: np.ndarray) -> People:
    """People whose numbers are their own statistics; what is set by hand as it is in the file."""
    numbers = dict(People.load().numbers)
    for name in _MEANS:
        numbers[name] = _bounded(name, _mean(real, weights, name))
    shut, half = (max(0.01, _mean(real, weights, name)) for name in ("blink", "partial"))
    numbers |= {
        "blink": _bounded("blink", -np.log(shut)),
        "partial": _bounded("partial", np.log(half / shut)),
    }
    for name, statistic in _BETWEEN.items():
        between = _deviation(real, statistic)
        numbers[name] = _bounded(name, between if np.ndim(numbers[name]) else between.mean())
    linked = np.abs(numbers["correlation"]) > _LEAST_R
    linked[[_PAIRS.index(pair) for pair in _NO_PAIRS]] = False
    numbers["correlation"] = np.where(linked, numbers["correlation"], 0.0)
    return People(numbers | {"size_shared": _bounded("size_shared", _shared(real))})


def _bounded(name: str, value: np.ndarray | float) -> np.ndarray:
    """A number within its bounds."""
    return np.clip(value, *_BOUNDS[name])


def _improve(
    of: People, own: Sequence[dict], real: Sequence[dict], weights: np.ndarray, step: float
) -> People:
    """The numbers after one round: real people's statistics [clip], those of performances
    [reading × clip], and the share of their difference by which numbers move."""
    numbers, many = dict(of.numbers), np.tile(weights, len(own) // len(real))
    for name in _MEANS:
        is_known = np.isfinite([row[name] for row in real]).any(0)
        difference = is_known * (_mean(real, weights, name) - _mean(own, many, name))
        difference *= numbers[name] != 0 if name == "correlation" else _GAINS.get(name, 1.0)
        numbers[name] = _bounded(name, numbers[name] + step * difference)
    for name, statistic in _BETWEEN.items():
        ratio = (_deviation(real, statistic) + 1e-6) / (_deviation(own, statistic) + 1e-6)
        ratio = np.mean(ratio) if np.ndim(numbers[name]) == 0 else ratio
        numbers[name] = _bounded(name, numbers[name] * ratio**step)
    shared = numbers["size_shared"] + step * (_shared(real) - _shared(own))
    return People(numbers | {"size_shared": _bounded("size_shared", shared)})


def fit_people(data: Path, encoder: SpeechEncoder, out: Path = NUMBERS) -> dict[str, float]:
    """Fit the numbers on the tracked `fit` clips of the folders of measured lips, from those that
    are there, and write them. Returns by how many deviations between people statistics are still
    off, and how far the furthest number is from the one that ships: 0 where the file is what this
    gives."""
    clips, ships = [clip for clip in read_clips(data, "fit") if clip.is_tracked], People.load()
    of, figures = fit([Face.of(clip, encoder) for clip in clips])
    _write(of, len(clips), figures, out)
    moved = [np.abs(value - ships[name]).max() for name, value in People.load(out).numbers.items()]
    return figures | {"furthest from what ships": float(max(moved))}


def fit(faces: Sequence[Face]) -> tuple[People, dict[str, float]]:
    """The people whom some faces are of, and by how many deviations between these statistics are
    off. Always the same of the same faces: each round has its seeds."""
    weights = np.sqrt([face.known.sum() for face in faces])
    many = np.tile(weights, _READINGS)
    real = [_with_manner(measure(face.person, face)) for face in faces]
    of, kept, figures = _begin(real, weights), list[People](), defaultdict[str, list](list)
    for round_ in range(_ROUNDS):
        own = [
            _with_manner(measure(face.perform(1000 * round_ + reading, of), face))
            for reading in range(_READINGS)
            for face in faces
        ]
        if round_ >= _ROUNDS // 2:
            kept.append(of)
            for name in _MEANS:
                off = _mean(real, weights, name) - _mean(own, many, name)
                figures[name].append(off / (_deviation(real, name) + 1e-6))
        of = _improve(of, own, real, weights, _STEP * min(1.0, _FIRST / (round_ + 1)))
    mean = People({name: np.mean([each[name] for each in kept], 0) for name in of.numbers})
    off = {name: np.sqrt(np.square(np.mean(each, 0)).mean()) for name, each in figures.items()}
    return mean, {name: round(float(value), _DIGITS) for name, value in off.items()}


def _write(of: People, faces: int, figures: dict[str, float], out: Path) -> None:
    """Write numbers with their units, meaning and source."""
    rows = {}
    for name, value in of.numbers.items():
        unit, what, *because = (ABOUT | _BY_HAND)[name]
        source = f"by hand, because {because[0]}" if because else "people"
        rounded = np.round(value, _DIGITS).tolist()
        rows[name] = {"unit": unit, "what": what, "from": source, "value": rounded}
    about = {
        "signals": SIGNALS, "regions": REGIONS, "bands, Hz": BANDS, "fps": FPS,
        "fitted_on": "fit", "faces": faces, "off, deviations between people": figures,
    }  # fmt: skip
    out.write_text(json.dumps(about | {"numbers": rows}, indent=1) + "\n", encoding="utf-8")
