# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how far takes can be ordered by their agreement with real lips, and how exactly the available clips show it.

`python -m research ranking_limits --data DATA [--takes FOLDER]`; DATA has `lips/` and `paired/facegood/`. 32 takes of every clip with
measured lips at *Spread* .5, and 16 of every ten seconds of FACEGOOD's recordings, are sampled once and kept in FOLDER. Printed are, for
the score, for what its judge learned, and for plain correlations of a take's opening with what the diffusion model expects in the requested
direction, and with what linear maps of the encoder's last layer and of inner layers predict: Spearman with r to the real lips; its
deviation where other seeds are drawn, and its 5th to 95th percentile where other clips are; and what the take at the top gains. On the
split `fit`, whose lips the maps were fitted to, both are fitted again without each clip, and from the model's expectation is taken what
only a map that knows the clip would have given it. Last: how well a prediction of a given r would order the takes, if its errors had
nothing to do with theirs.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.stats import spearmanr

from research.faces.calibrate import Clip, hear_clips, Regressions
from research.faces.lip_clips import read_clips
from research.harness import add_shared, keep, RESULTS, ROOT
from research.train.opening import directions_of, fit_kernel, inner_features
from thunder_core.direction import Asked, Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.readings import emphasised, reading
from thunder_core.engine.scorer import opening_and_width, PLAIN, voiced
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.speech.features import REACH
from thunder_core.face.lips import opening_mm
from thunder_core.networks.judge import Judge
from thunder_core.request import Request
from thunder_core.train.lip_kernels import around, kernels, MAP_REACH
from thunder_core.train.tracked import facegood_motion, resample
from thunder_core.types import FPS, RATE, Speech

TAKES, OF_FACEGOOD, SPREAD = 32, 16, 0.5
DRAWN = 16  # takes that are ordered at a time, as in research/ranking.py
DRAWS = 400
PIECE = 125  # frames of a piece of the `fit` clips, one of which is 71 s long
LAGS = range(-3, 4)  # frames: the real lips are compared at the best of these, as the data's score.py does
LINE = 10  # seconds of a line of FACEGOOD's
PREDICTIONS = (0.5, 0.6, 0.7, 0.8, 0.9)  # r of predictions that are made up


@dataclass(frozen=True)
class Taken:
    """Takes of one sound. opening [K, T] mm.  asked [T]: the opening that the model expects in the requested direction.  opinion [K, T]: of
    the judge's network, as the total counts it.  map [T]: of the encoder's last layer.  layers [T, d]: outputs of inner layers.  inner
    [T]: what is predicted from these.  loud: bool [T].  weights: of both correlations in the score."""

    opening: np.ndarray
    asked: np.ndarray
    opinion: np.ndarray
    map: np.ndarray
    layers: np.ndarray
    inner: np.ndarray
    loud: np.ndarray
    weights: tuple[float, float]

    def learned(self, there: np.ndarray) -> np.ndarray:
        """What the judge's network makes of the takes over some frames [K], more is better."""
        return -self.opinion[:, there].mean(1)

    def merit(self, inner: np.ndarray, there: np.ndarray, times: float = 1.0) -> np.ndarray:
        """The same with both plain correlations, as `Judge.in_all` adds them, `times` as heavy [K]. inner [T]: predicted from layers."""
        by_model = 1 - r_with(self.opening, self.asked, there)
        by_layers = r_with(self.asked[None], inner, there) - r_with(self.opening, inner, there)
        return self.learned(there) - times * (self.weights[0] * by_model + self.weights[1] * by_layers)


def sampled(engine: Engine, speech: Speech, takes: int, seed: int, path: Path) -> Taken:
    """Takes of a sound in the order of their seeds, read from a file if they were sampled before."""
    if not path.exists():
        usual = Direction().vector()
        made = engine.generate(speech, Request(takes, seed, direction=Asked(usual[None], SPREAD, as_asked=False)))
        made = sorted(made, key=lambda take: take.seed)
        voice = engine.analyse(speech)
        requested = engine.scorer.expected_lips(voice, [usual])[0]
        played = [emphasised(reading(usual[None], t.seed, SPREAD), t.seed, SPREAD, voice.accents) for t in made]
        expected = engine.scorer.expect(voice, played, [True] * len(made), lambda: requested, seeds=[take.seed for take in made])
        opinion = np.stack([engine.scorer.opinion(take.motion, voice, each).frames[:, PLAIN] for take, each in zip(made, expected)])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path, opening=np.stack([take.opening for take in made]), asked=opening_and_width(requested)[0],
            opinion=opinion, features=voice.features, inner=voice.opening,
            layers=inner_features(engine.thunder.encoder, speech.samples, speech.frames).astype(np.float16),
        )  # fmt: skip
    with np.load(path) as file:
        features, judge = file["features"], Judge.load(engine.folder)
        loud = voiced(features[:, -LOUDNESS:]) > 0
        with torch.no_grad():
            mapped = judge.predicted(torch.from_numpy(features)[None])[0, 0].numpy()
        by_model, by_layers = judge.by_correlation.tolist()
        return Taken(
            file["opening"].astype(float), file["asked"].astype(float), file["opinion"], mapped, file["layers"].astype(float),
            file["inner"].astype(float), loud, (by_model, by_layers),
        )  # fmt: skip


def r_with(curves: np.ndarray, other: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Correlation [K] of curves [K, T] with another [T] or [K, T] over some frames."""
    x, y = curves[:, there], np.broadcast_to(other, curves.shape)[:, there]
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1) + 1e-12)


def r_real(curves: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Correlation [K] of openings [K, T] with real lips [T], NaN where no face is seen, at the best lag."""
    by_lag = []
    for lag in LAGS:
        moved = curves[:, lag:] if lag >= 0 else curves[:, :lag]
        y = real[: len(real) - lag] if lag >= 0 else real[-lag:]
        by_lag.append(r_with(moved, np.nan_to_num(y), np.isfinite(y)))
    return np.max(by_lag, 0)


@dataclass(frozen=True)
class Ordered:
    """Takes of one clip or piece. by: what orders them, {name: [K]}.  r [K]: with real lips.  seconds: of it."""

    by: dict[str, np.ndarray]
    r: np.ndarray
    seconds: float


def table(items: list[Ordered], what: str, weighted: bool) -> list[str]:
    """How each measure orders the takes, and how exactly that is known."""
    weights = np.array([item.seconds if weighted else 1.0 for item in items])
    rng = np.random.default_rng(1)
    draws = [[rng.permutation(len(item.r))[:DRAWN] for item in items] for _ in range(DRAWS)]
    few = DRAWN / len(items[0].r)  # share of the takes in a draw
    others = rng.integers(len(items), size=(4000, len(items)))
    kind = "weighted by seconds" if weighted else "each alike"
    lines = [
        f"\n#### {what}: {len(items)}, {kind}, {len(items[0].r)} takes of each; r differs between takes by "
        f"{np.average([item.r.std() for item in items], weights=weights):.3f}",
        f"{'':38s} {'Spearman':>9s} {'by seeds':>9s} {'by clips, 5-95 %':>17s} {'of gain':>8s} {'by seeds':>9s}",
    ]
    for name in items[0].by:
        ranks = np.array([spearmanr(item.by[name], item.r).statistic for item in items])
        drawn, gains = [], []
        for draw in draws:
            picked = [(item.by[name][i], item.r[i]) for item, i in zip(items, draw)]
            drawn.append(np.average([spearmanr(s, r).statistic for s, r in picked], weights=weights))
            mean, best, most = (np.average([of(s, r) for s, r in picked], weights=weights) for of in (_mean, _picked, _most))
            gains.append((best - mean) / (most - mean))
        means = (ranks[others] * weights[others]).sum(1) / weights[others].sum(1)
        low, high = np.quantile(means, (0.05, 0.95))
        lines.append(
            f"{name:38s} {np.average(ranks, weights=weights):9.2f} {_deviation(drawn, few)} {f'{low:.2f} ... {high:.2f}':>17s} "
            f"{np.mean(gains):8.2f} {_deviation(gains, few)}"
        )
    return lines


def _deviation(values: list[float], share: float) -> str:
    """The deviation of values of draws of a `share` of the takes; from finite takes they differ too little, and not at all of all."""
    return f"{np.std(values) / np.sqrt(1 - share):9.2f}" if share < 1 else f"{'-':>9s}"


def _mean(by: np.ndarray, r: np.ndarray) -> float:
    return float(r.mean())


def _picked(by: np.ndarray, r: np.ndarray) -> float:
    return float(r[by.argmax()])


def _most(by: np.ndarray, r: np.ndarray) -> float:
    return float(r.max())


def standard(x: np.ndarray) -> np.ndarray:
    """A curve in deviations above its mean."""
    return (x - x.mean()) / (x.std() + 1e-9)


class Maps:
    """The linear maps of the opening, fitted to some of the clips of the split `fit`. layers: of inner layers, of every clip [T, d]."""

    def __init__(self, clips: dict[str, Clip], names: list[str], layers: dict[str, np.ndarray]):
        self.clips, self.fit, self.share = clips, Regressions(clips, names, "opening"), kernels()["opening"].share
        self.layers, self.directions = layers, directions_of(np.concatenate(list(layers.values())))

    def predicted(self, name: str, fitted: list[str], frames: int) -> np.ndarray:
        """What a map of the last layer that is fitted to some clips predicts of a clip's sound, as the judge would read it [frames]."""
        clip = self.clips[name]
        phones = np.hstack([around(clip.shares[1]), around(clip.loudness)]) @ self.fit.phone_kernels(fitted)
        curve = (1 - self.share) * phones + self.share * around(clip.features, MAP_REACH) @ self.fit.feature_map(fitted).ravel()
        return np.pad(curve, (0, max(0, frames - len(curve))), mode="edge")[:frames]

    def inner(self, name: str, fitted: list[str]) -> np.ndarray:
        """The same of a map of inner layers [T]."""
        measured = {n: self.clips[n].curves["opening"] for n in fitted}
        pairs = ((self.layers[n][: len(y)], y[: len(self.layers[n])]) for n, y in measured.items())
        return around(self.layers[name], REACH) @ fit_kernel(pairs, self.directions).ravel()


def pieces(frames: int) -> Iterator[np.ndarray]:
    """Masks [frames] of pieces of about PIECE frames."""
    bounds = np.linspace(0, frames, max(1, round(frames / PIECE)) + 1).astype(int)
    for a, b in zip(bounds, bounds[1:]):
        yield (np.arange(frames) >= a) & (np.arange(frames) < b)


def of_check(taken: Taken, real: np.ndarray) -> Ordered:
    """A clip whose lips no constant was fitted to."""
    there = taken.loud
    by = {
        "score": taken.merit(taken.inner, there),
        "with twice the correlations": taken.merit(taken.inner, there, 2.0),
        "what the judge learned": taken.learned(there),
        "model's expectation": r_with(taken.opening, taken.asked, there),
        "map of the last layer": r_with(taken.opening, taken.map, there),
        "map of inner layers": r_with(taken.opening, taken.inner, there),
    }
    return Ordered(by, r_real(taken.opening, real), len(real) / FPS)


def of_fit(taken: Taken, real: np.ndarray, left_out: np.ndarray, knowing: np.ndarray, inner: np.ndarray) -> Iterator[Ordered]:
    """Pieces of a clip that constants were fitted to. left_out, knowing [T]: predictions by maps of the last layer without and with it.
    inner [T]: by one of inner layers without it."""
    gained = standard(knowing) - standard(left_out)
    known = np.stack([standard(left_out), gained, np.ones(len(real))], 1)
    share = np.linalg.lstsq(known, standard(taken.asked), rcond=None)[0][1]
    cleaned = standard(taken.asked) - share * gained
    for piece in pieces(len(real)):
        if (piece & np.isfinite(real)).sum() < 40:
            continue
        there = piece & taken.loud
        by = {
            "score, inner layers without the clip": taken.merit(inner, there),
            "with twice the correlations": taken.merit(inner, there, 2.0),
            "model's expectation": r_with(taken.opening, taken.asked, there),
            "the same, what it knows taken away": r_with(taken.opening, cleaned, there),
            "last layer's map that knows the clip": r_with(taken.opening, knowing, there),
            "last layer's, without the clip": r_with(taken.opening, left_out, there),
            "inner layers', without the clip": r_with(taken.opening, inner, there),
        }
        yield Ordered(by, r_real(taken.opening[:, piece], real[piece]), piece.sum() / FPS)


def made_up(items: dict[str, tuple[Taken, np.ndarray]], errors: dict[str, np.ndarray]) -> list[str]:
    """Table of how predictions of a given r order the takes of some clips, if their errors are those of other clips' predictions."""
    rng = np.random.default_rng(0)
    weights = np.array([len(real) for _, real in items.values()])
    lines = ["\n#### Predictions that are made up: the real lips, and the errors of the map on other clips", "     r  Spearman   by luck"]
    for r in PREDICTIONS:
        ranks = []
        for name, (taken, real) in items.items():
            seen = np.isfinite(real)
            y = standard(np.where(seen, real, real[seen].mean()))
            good, mine = r_real(taken.opening, real), []
            for _ in range(60):
                other = np.concatenate([errors[n] for n in rng.permutation([n for n in errors if n != name])] * 3)
                start = rng.integers(len(other) - len(y))
                error = rng.choice([-1, 1]) * standard(other[start : start + len(y)])
                error = standard(error - (error * y).mean() * y)
                guess = r * y + np.sqrt(1 - r * r) * error
                mine.append(spearmanr(r_with(taken.opening, guess, np.ones(len(y), bool)), good).statistic)
            ranks.append(mine)
        means = weights @ np.array(ranks) / weights.sum()
        lines.append(f"{r:6.2f} {means.mean():9.2f} {means.std():9.2f}")
    return lines


def facegood(engine: Engine, folder: Path, takes: Path) -> list[Ordered]:
    """Lines of FACEGOOD's recordings, whose rig's opening nothing was fitted to."""
    result = []
    for path in sorted(folder.glob("*.npz")):
        data, (sound, _) = np.load(path, allow_pickle=False), soundfile.read(path.with_suffix(".flac"), dtype="float32")
        names = [str(name) for name in data["channels"]]
        weights = resample(data["weights"].astype(float), float(data["fps"]))
        real = opening_mm(facegood_motion(weights, names, list(engine.head.expression_names), FPS), engine.head)
        for number in range(len(sound) // (LINE * RATE)):
            speech = Speech(np.ascontiguousarray(sound[number * LINE * RATE : (number + 1) * LINE * RATE]))
            file = takes / f"{path.stem}-{number:02d}.npz"
            taken = sampled(engine, speech, OF_FACEGOOD, 7000 + OF_FACEGOOD * number, file)
            mine = real[number * speech.frames : (number + 1) * speech.frames]
            if len(mine) == speech.frames:
                result.append(of_check(taken, mine))
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", seed=5000, results=RESULTS / "ranking_limits.txt")
    p.add_argument("--takes", type=Path, default=ROOT / "out" / "ranking_limits", help="where takes are kept")


def run(args: Namespace) -> None:
    engine = Engine.load(device="cpu")
    names, check = ([clip.name for clip in read_clips(args.data, part)] for part in ("fit", "check"))
    with torch.no_grad():
        clips = hear_clips(read_clips(args.data), engine.thunder.encoder, names)
    items: dict[str, tuple[Taken, np.ndarray]] = {}
    for name, clip in clips.items():
        taken = sampled(engine, read_sound(clip.lips.path), TAKES, args.seed, args.takes / "lips" / f"{name}.npz")
        measured, frames = clips[name].curves["opening"], taken.opening.shape[1]
        items[name] = taken, np.pad(measured, (0, max(0, frames - len(measured))), constant_values=np.nan)[:frames]
    maps = Maps(clips, names, {name: taken.layers for name, (taken, _) in items.items()})
    fitted, errors = [], {}
    for name, (taken, real) in items.items():
        left_out, seen = maps.predicted(name, [n for n in names if n != name], len(real)), np.isfinite(real)
        r = np.corrcoef(left_out[seen], real[seen])[0, 1]
        errors[name] = standard(real[seen]) - r * standard(left_out[seen])
        if name in names:
            others = [n for n in names if n != name]
            fitted += of_fit(taken, real, left_out, maps.predicted(name, names, len(real)), maps.inner(name, others))
    lines = [f"weights {engine.weights}; takes at Spread {SPREAD}, normal quality, seeds from {args.seed}; {DRAWN} of them at a time"]
    lines += table([of_check(*items[name]) for name in check], "Clips of the split check", weighted=True)
    lines += made_up({name: items[name] for name in check}, errors)
    lines += table(fitted, "Pieces of 5 s of the clips of the split fit", weighted=False)
    if (args.data / "paired" / "facegood").is_dir():
        lines += table(
            facegood(engine, args.data / "paired" / "facegood", args.takes / "facegood"), "FACEGOOD, lines of 10 s", weighted=False
        )
    print(keep(args.results, lines))
