# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits the map of mouths to measured faces: what the speech encoder hears within ±80 ms → six
signals of the mouth (`face.moving.mouth_shape.SIGNALS`), and how people differ from it.

Ridge regressions on the split `fit`, each clip standardised to its own mean and deviation; of
clips, and of copies played faster, slower, in noise and in rooms. Residuals are those of clips that
were left out. A second map reads phones' probabilities and loudness alone, for other encoders.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from research.faces import lip_clips
from research.faces.lip_clips import LipClip, mean_of, stack_neighbours
from research.train.augment import augment, change_speed
from research.train.mouth_readings import presence_in
from thunder_core.engine.planning.mouth_map import CONSTANTS, identity
from thunder_core.engine.speech.encoder import LOUDNESS, speech_features, SpeechEncoder
from thunder_core.face.moving.mouth_shape import SIGNALS, WIDTH
from thunder_core.spoken import PHONES
from thunder_core.types import FPS

REACH = 2  # frames of 40 ms to either side
TAPS = 2 * REACH + 1
# Ridge strengths of both maps, chosen by leaving out each clip of `fit`: openings at 3000, 8000,
# 20,000 and 50,000 r .667, .676, .679, .676, upper lips .381, .395, .412, .419.
_PULL, _PULL_OF_PHONES = 20_000.0, 1000.0
_SPEEDS = (0.85, 0.92, 1.08, 1.17)  # speeds of the augmented copies
_NOISY = 4  # copies with noise and reverberation
_DIGITS = 4


@dataclass(frozen=True)
class Clip:
    """A talking face. features: [T, d] of its sound and of each copy.  mouths: SIGNALS [T, 6] at
    the same times, NaN where no face was seen.  known: bool [6], signals that are reliable."""

    lips: LipClip
    features: list[np.ndarray]
    mouths: list[np.ndarray]
    known: np.ndarray

    @property
    def seen(self) -> np.ndarray:
        """Frames with a measured face, bool [T]."""
        return np.isfinite(self.mouths[0]).all(1)

    def standard(self, mouth: np.ndarray) -> np.ndarray:
        """A mouth [T, 6] in deviations above the clip's mean."""
        own = self.mouths[0][self.seen]
        return (mouth - own.mean(0)) / own.std(0)


def encode_clips(
    clips: Sequence[LipClip], encoder: SpeechEncoder, fitted: Sequence[str], seed: int = 1
) -> dict[str, Clip]:
    """Clips by name, those of `fitted` with the copies that the map is fitted to."""
    clips_by_name, rng = {}, np.random.default_rng(seed)
    for clip in clips:
        sound, frames, mouth = torch.from_numpy(clip.samples), clip.frames, clip.mouth
        features, mouths = [_features(encoder, sound, frames)], [mouth]
        for speed in _SPEEDS if clip.name in fitted else ():
            at = np.arange(round(frames / speed)) * speed
            faster = change_speed(sound, round(len(sound) / speed))
            features.append(_features(encoder, faster, len(at)))
            mouths.append(
                np.stack([np.interp(at, np.arange(frames), curve) for curve in mouth.T], 1)
            )
        for _ in range(_NOISY if clip.name in fitted else 0):
            features.append(_features(encoder, augment(sound, rng), frames))
            mouths.append(mouth)
        known = np.ones(len(SIGNALS), bool)
        known[WIDTH] = clip.width is not None
        clips_by_name[clip.name] = Clip(clip, features, mouths, known)
    return clips_by_name


def _features(encoder: SpeechEncoder, sound: torch.Tensor, frames: int) -> np.ndarray:
    samples = sound.numpy()
    return speech_features(*encoder.analyse(samples), samples, frames)


class Regression:
    """Regressions of mouths on some columns of the features of any clips, from normal equations
    that are worked out once a clip."""

    def __init__(self, clips: dict[str, Clip], names: Sequence[str], columns: slice, pull: float):
        self.clips, self.names, self.columns, self.pull = clips, list(names), columns, pull
        if len(self.names) < 2:
            raise ValueError(
                "There are too few faces to calibrate with: give at least two clips of `fit`"
            )
        features = np.concatenate([clips[name].features[0][:, columns] for name in self.names])
        self.mean, self.deviation = features.mean(0), features.std(0) + 1e-6
        self._equations = {name: self._equations_of(clips[name]) for name in self.names}

    def _inputs(self, features: np.ndarray) -> np.ndarray:
        return stack_neighbours((features[:, self.columns] - self.mean) / self.deviation, REACH)

    def _equations_of(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        """Mean of X'X and X'Y over a clip's copies, by its weight."""
        products, targets, weight = 0.0, 0.0, clip.lips.weight / len(clip.features)
        for features, mouth in zip(clip.features, clip.mouths):
            seen = np.isfinite(mouth).all(1)
            x, y = self._inputs(features)[seen], clip.standard(mouth)[seen]
            products += weight * x.T @ x
            targets += weight * x.T @ y
        return products, targets

    def fit(self, names: Sequence[str]) -> np.ndarray:
        """The map [5, d, 6] of unstandardised features that fits some clips."""
        weights = []
        for signal in range(len(SIGNALS)):
            if signal and all(self.clips[name].known.all() for name in names):
                break  # one solution serves all signals
            some = [self._equations[n] for n in names if self.clips[n].known[signal]]
            products, targets = (sum(parts) for parts in zip(*some))
            weights.append(np.linalg.solve(products + self.pull * np.eye(len(products)), targets))
        solved = np.stack([weights[min(i, len(weights) - 1)][:, i] for i in range(len(SIGNALS))], 1)
        return (solved / np.tile(self.deviation, TAPS)[:, None]).reshape(TAPS, -1, len(SIGNALS))

    def guess(self, name: str, weights: np.ndarray) -> np.ndarray:
        """What a map says of a clip's mouth [T, 6]."""
        features = self.clips[name].features[0][:, self.columns]
        return stack_neighbours(features, REACH) @ weights.reshape(-1, len(SIGNALS))

    def leave_one_out(self) -> dict[str, np.ndarray]:
        """What the map of the other clips says of each, [T, 6], in deviations about its mean."""
        guesses = {}
        for name in self.names:
            guess = self.guess(name, self.fit([other for other in self.names if other != name]))
            guesses[name] = guess - guess[self.clips[name].seen].mean(0)
        return guesses

    def r(self, guesses: dict[str, np.ndarray]) -> np.ndarray:
        """Correlation of each signal with what was measured [6], mean over clips by seconds."""
        rows = {}
        for name, guess in guesses.items():
            clip = self.clips[name]
            pairs = zip(guess[clip.seen].T, clip.mouths[0][clip.seen].T, clip.known)
            rows[name] = [np.corrcoef(a, b)[0, 1] if known else np.nan for a, b, known in pairs]
        seconds = [self.clips[name].seen.sum() for name in rows]
        return np.array([mean_of(column, seconds) for column in zip(*rows.values())])

    def constants(self, weights: np.ndarray) -> dict:
        """What `mouth_map.Map` needs: mean and deviation of the map's curves over speech."""
        speech = [
            self.guess(name, weights)[presence_in(self.clips[name].features[0]) > 0.5]
            for name in self.names
        ]
        curves = np.concatenate(speech)
        within = np.concatenate([each - each.mean(0) for each in speech])
        return {
            "weights": _round(weights), "mean": _round(curves.mean(0)),
            "deviation": _round(within.std(0)),
        }  # fmt: skip


def residual_of(clips: dict[str, Clip], guesses: dict[str, np.ndarray]) -> dict:
    """What `mouth_readings.Residual` needs, from what left-out maps say of clips."""
    parts, before, after = [], [], []
    for name, guess in guesses.items():
        clip = clips[name]
        rest = clip.standard(clip.mouths[0]) - guess
        both = clip.seen[1:] & clip.seen[:-1]
        parts.append(rest[clip.seen])
        before.append(rest[:-1][both])
        after.append(rest[1:][both])
    a, b = np.concatenate(before), np.concatenate(after)
    persistence = [np.corrcoef(x, y)[0, 1] for x, y in zip(a.T, b.T)]
    return {
        "persistence": _round(np.array(persistence)),
        "covariance": _round(np.cov(np.concatenate(parts).T)),
    }


def person_of(clips: Sequence[Clip]) -> dict:
    """Mean and deviation [6], mm, of a usual person's mouth in speech."""
    mouths = [clip.mouths[0][clip.seen] for clip in clips]
    return {
        "mean": _round(np.mean([mouth.mean(0) for mouth in mouths], 0)),
        "deviation": _round(np.mean([mouth.std(0) for mouth in mouths], 0)),
    }


def _round(values: np.ndarray) -> list:
    """Values with few digits, nested as the array is."""
    return [_round(row) if row.ndim else float(f"{row:.{_DIGITS}g}") for row in values]


def calibrate(data: Path, encoder: SpeechEncoder, out: Path = CONSTANTS) -> dict:
    """Fit the constants on the `fit` clips of the folders of measured lips, write them, and return
    r on both splits. Raises ValueError if there are too few."""
    parts = {
        part: [clip.name for clip in lip_clips.read_clips(data, part)] for part in ("fit", "check")
    }
    clips = encode_clips(lip_clips.read_clips(data), encoder, parts["fit"])
    constants, figures = {}, {}
    columns = {
        "heard": (slice(None), _PULL),
        "phones": (slice(-LOUDNESS - len(PHONES), None), _PULL_OF_PHONES),
    }
    for what, (some, pull) in columns.items():
        regression = Regression(clips, parts["fit"], some, pull)
        weights, left_out = regression.fit(parts["fit"]), regression.leave_one_out()
        constants[what] = regression.constants(weights)
        if what == "heard":
            constants["residual"] = residual_of(clips, left_out)
        checked = {name: regression.guess(name, weights) for name in parts["check"]}
        for part, r in (("left_out", regression.r(left_out)), ("check", regression.r(checked))):
            figures |= {f"{what}, {name}, r {part}": round(v, 3) for name, v in zip(SIGNALS, r)}
    constants["person"] = person_of([clips[name] for name in parts["fit"]])
    # a split may have no reliable width
    figures = {name: float(value) for name, value in figures.items() if np.isfinite(value)}
    about = {
        "signals": SIGNALS, "phones": PHONES, "fps": FPS, "encoder": identity(encoder),
        "fitted_on": "fit", "faces": len(parts["fit"]),
    }  # fmt: skip
    out.write_text(json.dumps(about | {"figures": figures} | constants) + "\n")
    return figures
