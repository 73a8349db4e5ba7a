# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of quality by sampling in few steps: LVE and S-DIV of the product's sampler relative to the paper's 1000 steps.

Samples are played around the usual direction at *Spread* .5, one reading for every seed, as takes are by default; both sides have the same
readings. `python -m research speed_quality --cache CACHE` makes what the 1000-step sampler says of a few test clips, which takes some
minutes per clip, and keeps it in CACHE/ancestral under the hash of the diffusion model; `research/speed.py` compares with it.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.harness import add_shared, required
from research.measures import metrics
from research.measures.evaluate import Measured, SAMPLES
from thunder_core.channels import Columns
from thunder_core.direction import Direction
from thunder_core.engine.diffusion import ancestral_sample, Denoiser, Normal, seeded_noise
from thunder_core.engine.network import CPU
from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.planning.take_plan import carried
from thunder_core.engine.readings import reading
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.head import load_head
from thunder_core.files import hash_of, part_of
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet

CLIPS, FRAMES = 6, 50  # test clips compared, and frames used from the start of each
SPREAD = 0.5  # spread of the samples
MEASURES = ("LVE", "S-DIV-L", "S-DIV-U")


@dataclass(frozen=True)
class Clip:
    """A held-out clip: speech features [T, d], the teacher's performance [T, C], its number in the set."""

    number: int
    audio: np.ndarray
    truth: np.ndarray


def held_out_clips(cache: Path, count: int, split: str = "test") -> list[Clip]:
    """`count` clips of FRAMES frames, spread evenly over the held-out voices. Raises SystemExit if there is no cache."""
    required(cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    motions = MotionSet(Corpus(cache / "corpus"), cache / "motions")
    numbers = motions.of(split, FRAMES)
    clips = []
    for number in numbers[:: max(1, len(numbers) // count)][:count]:
        part = slice(motions.rows[number].start, motions.rows[number].start + FRAMES)
        clips.append(Clip(number, motions.features[part].astype(np.float32), motions.motions[0, part].astype(np.float32)))
    return clips


def reference_file(cache: Path, denoiser: Path, clip: Clip, samples: int) -> Path:
    """The file of a clip's 1000-step samples, by the weights that they were drawn with."""
    made_with = hash_of(denoiser)[:16]
    return cache / "ancestral" / made_with / f"{clip.number:05d}-{FRAMES}-{samples}-{SPREAD:g}.npy"


def readings(samples: int) -> np.ndarray:
    """The direction [S, 1, DIRECTION_NAMES] that each of S samples is played in."""
    asked = Direction().vector()[None]
    return np.stack([reading(asked, seed, SPREAD) for seed in range(samples)]).astype(np.float32)


def estimates(denoiser: Denoiser, audio: np.ndarray, samples: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """The function (noisy x, step) → x̂_0 of so many samples of speech features [T, d] that a sampler calls."""
    style = readings(samples) if denoiser.config.style else None
    return lambda x, step: denoiser.estimate(x, step, audio, style=style)


def with_carried_brows(x: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Samples [S, T, C] of seeds 0 … S − 1 with brows at the height that each seed's take carries them at; names: expression channels."""
    columns, played, result = Columns(len(names)), readings(len(x)), x.copy()
    pipeline = Pipeline(names, bundled_articulators())
    for seed, motion in enumerate(result):
        brows = carried(seed, SPREAD, played[seed], len(motion))
        motion[:, columns.expression] = pipeline.carry_brows(motion[:, columns.expression], *brows)
    return result


def draw_ancestral(denoiser: Denoiser, clip: Clip, samples: int) -> np.ndarray:
    """`samples` motions [S, T, C] of a clip by all 1000 steps, seeds 0 … S − 1."""
    noise = seeded_noise(range(samples), FRAMES, denoiser.config.motion)
    x = ancestral_sample(estimates(denoiser, clip.audio, samples), noise, Normal(1))
    return denoiser.restore(x)


def make_references(cache: Path, weights: Path, clips: list[Clip], samples: int) -> None:
    """Draw missing 1000-step samples; each clip is saved when it is done."""
    denoiser = Denoiser(weights, CPU)
    for clip in clips:
        path = reference_file(cache, weights / "denoiser.safetensors", clip, samples)
        if path.exists():
            continue
        began = time.perf_counter()
        x = draw_ancestral(denoiser, clip, samples)
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path) as part, open(part, "wb") as file:
            np.save(file, x.astype(np.float32))
        print(f"clip {clip.number}: {samples} samples of {FRAMES} frames in {time.perf_counter() - began:.0f} s", flush=True)


class Quality:
    """LVE, S-DIV-L and S-DIV-U of samples against the truth, on one head."""

    def __init__(self) -> None:
        self.measured = Measured(load_head())

    def of(self, truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        """{measure: cm} of samples [S, T, C] of one clip whose truth is [T, C]."""
        m = self.measured
        true, drawn = m.vertices(truth), m.vertices(guess)
        lips = np.mean([metrics.lip_vertex_error(s[:, m.lips], true[:, m.lips]) for s in drawn])
        spread = {w: metrics.sample_diversity([metrics.distances(drawn[:, :, p], true[:, p])]) for w, p in (("L", m.lips), ("U", m.upper))}
        return {"LVE": float(lips), "S-DIV-L": spread["L"], "S-DIV-U": spread["U"]}

    def ratios(
        self, pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]], draws: int = 400
    ) -> dict[str, tuple[float, float]]:  # fmt: skip
        """{measure: (ratio of means over clips, its standard error)} for (truth, samples, reference samples) of every clip.

        The error is that of drawing other clips and other samples, by bootstrap over clips: both sides have the same clips.
        """
        rows = np.array([[[side[m] for m in MEASURES] for side in (self.of(t, x), self.of(t, r))] for t, x, r in pairs])
        picks = np.random.default_rng(0).integers(0, len(rows), (draws, len(rows)))
        again = rows[picks].mean(1)
        error = (again[:, 0] / again[:, 1]).std(0) if len(rows) > 1 else np.full(len(MEASURES), np.nan)
        ratio = rows[:, 0].mean(0) / rows[:, 1].mean(0)
        return {m: (float(r), float(e)) for m, r, e in zip(MEASURES, ratio, error)}


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights")
    p.add_argument("--clips", type=int, default=CLIPS)
    p.add_argument("--samples", type=int, default=SAMPLES)


def run(args: Namespace) -> None:
    """Draw the 1000-step samples of the comparison's clips."""
    make_references(args.cache, args.weights, held_out_clips(args.cache, args.clips), args.samples)
