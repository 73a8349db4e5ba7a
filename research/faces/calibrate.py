# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration of the teacher on measured lips: phone kernels, and a map of the speech encoder's
features.

Mouth opening and width of real talking faces (25 fps, z-scored per clip) are regressed on which
phone is spoken within ±160 ms and on loudness, by ridge regression towards a phonetic prior; what
comes out is a dominance function per phone, with an onset, decay and overshoot, as Cohen &
Massaro draw by hand. A second ridge regression reads the encoder's features within ±80 ms, of the
clips and of copies played faster, slower, in noise and in rooms. It hears languages that have no
phones
here: kernels have no larger share beside it than left-out clips need. Ridge strengths, the map's
inputs and its share were chosen by leaving out each clip of the split `fit`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from research.faces import lip_clips
from research.faces.lip_clips import CURVES, LipClip, spoken_phones, stack_neighbours, standardise
from research.train.augment import augment, change_speed
from thunder_core.acoustics import loudness
from thunder_core.engine.planning.lip_kernels import (
    identity,
    KERNELS,
    occupancy,
    phone_probabilities,
)
from thunder_core.engine.speech.encoder import speech_features, SpeechEncoder
from thunder_core.spoken import phone_index, PHONES, SILENCE
from thunder_core.types import FPS

# reach in frames of 40 ms to either side: phones and loudness; encoder features
REACH, MAP_REACH = 4, 2
TAPS, MAP_TAPS = 2 * REACH + 1, 2 * MAP_REACH + 1
# Phonetic prior: how open (0 … 1) and how wide (−1 round … 1 spread) the lips are for each phone,
# from articulation.
OPEN = dict(
    SIL=0.12, AA=1.0, AE=0.95, AH=0.65, AO=0.85, AW=0.95, AY=0.95, B=0.0, CH=0.4, D=0.4, DH=0.4,
    EH=0.75, ER=0.5, EY=0.65, F=0.18, G=0.45, HH=0.55, IH=0.5, IY=0.45, JH=0.4, K=0.45, L=0.5,
    M=0.0, N=0.4, NG=0.45, OW=0.6, OY=0.65, P=0.0, R=0.42, S=0.32, SH=0.38, T=0.38, TH=0.4, UH=0.4,
    UW=0.3, V=0.18, W=0.22, Y=0.42, Z=0.32, ZH=0.36,
)  # fmt: skip
WIDE = dict(
    SIL=0.0, AA=0.0, AE=0.35, AH=0.1, AO=-0.5, AW=-0.1, AY=0.25, B=0.0, CH=-0.35, D=0.15, DH=0.1,
    EH=0.3, ER=-0.3, EY=0.5, F=0.1, G=0.15, HH=0.1, IH=0.35, IY=0.6, JH=-0.35, K=0.15, L=0.1, M=0.0,
    N=0.15, NG=0.2, OW=-0.7, OY=-0.45, P=0.0, R=-0.4, S=0.25, SH=-0.45, T=0.15, TH=0.1, UH=-0.45,
    UW=-0.9, V=0.1, W=-1.0, Y=0.3, Z=0.25, ZH=-0.45,
)  # fmt: skip
_PRIORS = {"opening": OPEN, "width": WIDE}
_PRIOR_WIDTH = 1.5  # frames, standard deviation of the prior's kernel

# Chosen by leave-one-out on the clips of the split `fit`.
# ridge strength for phones, for loudness
_PULL = {"opening": (300.0, 100.0), "width": (1000.0, 3000.0)}
# Ridge strength of the map, which reads all features. Openings of clips that were left out it
# predicts with r .622, .632, .637 and .636 at 1000, 3000, 8000 and 20,000, widths at 3000, 8000,
# 20,000 and 50,000, blended, with .548, .552, .555 and .555.
_MAP_PULL = {"opening": 8000.0, "width": 20000.0}
_SPEEDS = (0.85, 0.92, 1.08, 1.17)  # speeds of the augmented copies
_NOISY = 4  # copies with noise and reverberation
_SHARES = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)  # candidate weights of the map
# loss in r up to which the map has a larger share: kernels know the phones of English alone
_WORTH = 0.01


def aligned_phones(lips: Path) -> dict[str, np.ndarray]:
    """10 ms phone labels of every clip of a folder of measured lips, from its `phones.tsv`."""
    phones: dict[str, np.ndarray] = {}
    for name, said in sorted(spoken_phones(lips).items()):
        labels = np.zeros(round(said[-1].end * 100) + 1, np.uint8)
        for phone in said:
            labels[round(phone.start * 100) : round(phone.end * 100)] = phone_index(phone.symbol)
        phones[name] = labels
    return phones


def phones_of(clips: Sequence[LipClip]) -> dict[str, np.ndarray]:
    """`aligned_phones` of all folders that clips are in."""
    return {
        name: labels
        for folder in {clip.folder for clip in clips}
        for name, labels in aligned_phones(folder).items()
    }


@dataclass(frozen=True)
class Version:
    """One copy of a clip's sound: features [T, d], and the measured curves [T] at the same
    times."""

    features: np.ndarray
    curves: dict[str, np.ndarray]


@dataclass(frozen=True)
class Clip:
    """A talking face: phone shares [T, 40] as aligned and as believed by the encoder, loudness [T,
    2], and its versions.

    The first version is the clip itself. Where nobody aligned phones, both shares are the
    encoder's.
    """

    lips: LipClip
    shares: tuple[np.ndarray, np.ndarray]
    loudness: np.ndarray
    versions: list[Version]

    @property
    def curves(self) -> dict[str, np.ndarray]:
        """Measured curves [T] by name, "opening" and mostly "width"."""
        return self.versions[0].curves

    @property
    def features(self) -> np.ndarray:
        """The encoder's features [T, d] of the clip itself."""
        return self.versions[0].features

    @cached_property
    def phone_inputs(self) -> list[np.ndarray]:
        """Phone shares and loudness within ±160 ms of every frame [T, 9 · 42], for each
        labelling."""
        return [
            np.hstack([stack_neighbours(shares, REACH), stack_neighbours(self.loudness, REACH)])
            for shares in self.shares
        ]

    def is_measured(self, what: str) -> np.ndarray:
        """Frames with a measured face, bool [T]."""
        return np.isfinite(self.curves[what])


def encode_clips(
    clips: Sequence[LipClip], encoder: SpeechEncoder, fitted: Sequence[str], seed: int = 1
) -> dict[str, Clip]:
    """Clips by name, those of `fitted` with the copies that the map is fitted to."""
    clips_by_name, rng, phones = {}, np.random.default_rng(seed), phones_of(clips)
    for clip in clips:
        sound, frames = torch.from_numpy(clip.samples), clip.frames
        curves = {what: clip.curve(what) for what in CURVES if clip.curve(what) is not None}
        versions = [Version(_features(encoder, sound, frames), curves)]
        if clip.name in fitted:
            for speed in _SPEEDS:
                at = np.arange(round(frames / speed)) * speed
                faster = {
                    what: np.interp(at, np.arange(frames), curve) for what, curve in curves.items()
                }
                versions.append(
                    Version(
                        _features(encoder, change_speed(sound, round(len(sound) / speed)), len(at)),
                        faster,
                    )
                )
            versions += [
                Version(_features(encoder, augment(sound, rng), frames), curves)
                for _ in range(_NOISY)
            ]
        belief = phone_probabilities(versions[0].features)
        labels = phones.get(clip.name)
        shares = (belief if labels is None else occupancy(labels, frames), belief)
        clips_by_name[clip.name] = Clip(clip, shares, loudness(clip.samples, frames), versions)
    return clips_by_name


def _features(encoder: SpeechEncoder, sound: torch.Tensor, frames: int) -> np.ndarray:
    samples = sound.numpy()
    return speech_features(*encoder.analyse(samples), samples, frames)


def _prior(table: dict[str, float]) -> np.ndarray:
    g = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / _PRIOR_WIDTH) ** 2)
    return np.outer(g / g.sum(), [table[p] for p in PHONES]).ravel()


class Regressions:
    """Regressions of one curve on any of its clips, from normal equations that are worked out once
    per clip."""

    def __init__(self, clips: dict[str, Clip], names: list[str], what: str):
        self.clips, self.what = clips, what
        self.names = [name for name in names if what in clips[name].curves]
        if len(self.names) < 2:
            raise ValueError(
                f"There are too few faces to calibrate with: give at least two clips whose {what} "
                f"was measured"
            )
        features = np.concatenate([clips[name].features for name in self.names])
        self.mean, self.deviation = features.mean(0), features.std(0) + 1e-6
        self._phones, self._map = {}, {}
        for name in self.names:
            clip, seen = clips[name], clips[name].is_measured(what)
            y, weight = standardise(clip.curves[what])[seen], clip.lips.weight
            self._phones[name] = self._equations(
                [(x[seen] - x[seen].mean(0), y) for x in clip.phone_inputs], weight
            )
            mean, deviation = clip.curves[what][seen].mean(), clip.curves[what][seen].std()
            pairs = []
            for version in clip.versions:
                seen = np.isfinite(version.curves[what])
                pairs.append(
                    (
                        self._standard(version.features)[seen],
                        (version.curves[what][seen] - mean) / deviation,
                    )
                )
            self._map[name] = self._equations(pairs, weight)

    @staticmethod
    def _equations(
        pairs: list[tuple[np.ndarray, np.ndarray]], weight: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean of X'X and X'y over versions of a clip, by its weight."""
        return weight * sum(x.T @ x for x, _ in pairs) / len(pairs), weight * sum(
            x.T @ y for x, y in pairs
        ) / len(pairs)

    def _standard(self, features: np.ndarray) -> np.ndarray:
        return stack_neighbours((features - self.mean) / self.deviation, MAP_REACH)

    def phone_kernels(self, names: list[str]) -> np.ndarray:
        """Kernels [9 · 42] that fit the clips `names`: phones first, then loudness."""
        a, b = (sum(self._phones[name][i] for name in names) for i in (0, 1))
        prior = _prior(_PRIORS[self.what])
        n = len(prior)
        start = np.zeros(len(b))
        start[:n] = prior * (prior @ b[:n]) / (prior @ a[:n, :n] @ prior)
        pull = np.concatenate(
            [np.full(n, _PULL[self.what][0]), np.full(len(b) - n, _PULL[self.what][1])]
        )
        return start + np.linalg.solve(a + np.diag(pull), b - a @ start)

    def feature_map(self, names: list[str]) -> np.ndarray:
        """The linear map [5 · d] of unstandardised features that fits the clips `names`."""
        a, b = (sum(self._map[name][i] for name in names) for i in (0, 1))
        return np.linalg.solve(a + _MAP_PULL[self.what] * np.eye(len(b)), b) / np.tile(
            self.deviation, MAP_TAPS
        )

    def of_phones(self, name: str, kernels: np.ndarray) -> np.ndarray:
        """The curve [T] of a clip by phone kernels, from the mean of both labellings."""
        return np.mean(self.clips[name].phone_inputs, 0) @ kernels

    def of_map(self, name: str, weights: np.ndarray) -> np.ndarray:
        """The curve [T] of a clip by a feature map."""
        return stack_neighbours(self.clips[name].features, MAP_REACH) @ weights

    def r(self, guesses: dict[str, np.ndarray]) -> float:
        """Correlation with the measured curves, mean over clips weighted by seconds; NaN of no
        clips."""
        rows, weights = [], []
        for name, guess in guesses.items():
            seen = self.clips[name].is_measured(self.what)
            rows.append(np.corrcoef(guess[seen], self.clips[name].curves[self.what][seen])[0, 1])
            weights.append(seen.sum())
        return float(np.average(rows, weights=weights)) if rows else float("nan")

    def cross_validate(self) -> dict[float, float]:
        """{share of the map: r of clips that were left out}."""
        phones, maps = {}, {}
        for name in self.names:
            others = [other for other in self.names if other != name]
            phones[name] = self.of_phones(name, self.phone_kernels(others))
            maps[name] = self.of_map(name, self.feature_map(others))
        return {
            s: self.r({n: (1 - s) * phones[n] + s * maps[n] for n in self.names}) for s in _SHARES
        }


def _round(values: np.ndarray) -> list:
    """Values with four digits, nested as the array is."""
    return [_round(row) if row.ndim else float(f"{row:.4g}") for row in values]


def calibrate(data: Path, encoder: SpeechEncoder, out: Path = KERNELS) -> dict:
    """Fit the constants on the `fit` clips of the folders of measured lips, write them, and return
    r on both splits. Raises ValueError if there are too few."""
    parts = {
        part: [clip.name for clip in lip_clips.read_clips(data, part)] for part in ("fit", "check")
    }
    clips = encode_clips(lip_clips.read_clips(data), encoder, parts["fit"])
    constants, figures = {}, {}
    for what in CURVES:
        fit = Regressions(clips, parts["fit"], what)
        left_out = fit.cross_validate()
        share = max(share for share, r in left_out.items() if r >= max(left_out.values()) - _WORTH)
        phones, weights = fit.phone_kernels(fit.names), fit.feature_map(fit.names)
        blend = {
            n: (1 - share) * fit.of_phones(n, phones) + share * fit.of_map(n, weights)
            for n in clips
            if what in clips[n].curves
        }
        of_phones = {n: clips[n].phone_inputs[0] @ phones for n in blend}
        spoken = {n: clips[n].shares[0][:, SILENCE] < 0.5 for n in blend}
        deviation = np.mean(
            [clips[n].curves[what][clips[n].is_measured(what)].std() for n in fit.names]
        )

        def over_speech(curves: dict[str, np.ndarray]) -> tuple[float, float]:
            # A regression predicts the mean and is too calm; the teacher moves as much as people
            # do.
            values = np.concatenate([curves[n] - curves[n].mean() for n in fit.names])
            return float(np.concatenate([curves[n][spoken[n]] for n in fit.names]).mean()), float(
                values.std()
            )

        (mean_phones, deviation_phones), (mean_both, deviation_both) = (
            over_speech(of_phones),
            over_speech(blend),
        )
        n = TAPS * len(PHONES)
        constants[what] = {
            "phones": _round(phones[:n].reshape(TAPS, len(PHONES))),
            "loudness": _round(phones[n:].reshape(TAPS, 2)),
            "map": _round(weights.reshape(MAP_TAPS, -1)) if share else None,
            "share": share,
            **{name: round(value, 4) for name, value in (("mean_phones", mean_phones),
            ("deviation_phones", deviation_phones),
                                                         ("mean_both", mean_both),
                                                         ("deviation_both", deviation_both))},
        }  # fmt: skip
        figures |= {
            f"{what}_share_of_map": share,
            f"{what}_deviation_mm": round(float(deviation), 2),
        }
        figures |= {
            f"{what}_r_left_out": round(left_out[share], 3),
            f"{what}_r_left_out_phones_alone": round(left_out[0.0], 3),
        }
        figures |= {f"{what}_r_left_out_map_alone": round(left_out[1.0], 3)}
        for part in ("fit", "check"):
            figures[f"{what}_r_{part}"] = round(
                fit.r({n: blend[n] for n in parts[part] if n in blend}), 3
            )
    # a split may have no reliable width
    figures = {name: value for name, value in figures.items() if np.isfinite(value)}
    about = {"phones": PHONES, "fps": FPS, "encoder": identity(encoder), "fitted_on": "fit"}
    out.write_text(json.dumps(about | {"figures": figures} | constants) + "\n")
    return figures
