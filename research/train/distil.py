# SPDX-License-Identifier: GPL-3.0-or-later
"""Distils the diffusion model: a copy that reaches in four steps what the whole model reaches in
twenty.

Without guidance a take is a smooth function of noise, sound and direction. So the few steps are
trained end to end as one network: from noise to the take that the whole model makes of the same
noise (Luhman and Luhman 2021, with intermediate steps). Every intermediate estimate is trained
towards that take too (consistency models, Song et al. 2023), so the same seed gives about the same
take at any quality.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from research.train.denoiser import DenoiserLoss, HIDE_EVENTS
from research.train.loop import fit, Schedule
from research.train.m2s import SpeechBatches
from research.train.motions import MotionSet, VARIANTS
from research.train.readings import direction_of_clip
from thunder_core.direction import Direction
from thunder_core.engine.diffusion import sample, seeded_noise, solver_steps
from thunder_core.engine.performance import draw_style
from thunder_core.face.head import Head
from thunder_core.files import write_file
from thunder_core.networks.denoiser import DenoiserNetwork

STEPS, LEAST_NOISE = 4, 0.3  # steps of the distilled model; σ/α of the last step
FRAMES = 200  # frames of a line; shorter clips of one voice are joined
BATCH = 8
WHOLE_STEPS = 20  # steps of the original model
ON_THE_WAY = 0.1  # loss weight of the intermediate estimates
FREE = 0.1  # share of lines sampled without a style
SPREADS = (0.2, 0.5, 1.0)
WATCHED = 64  # validation lines


@dataclass(frozen=True)
class Lines:
    """Lines with the whole model's takes of them.

    features: float16 [N, T, d].  events: float16 [N, T, EVENTS], NaN where they are not known.
    mouth: float16 [N, T, 6], curves of the map of mouths.
    style: float16 [N, direction].
    free: bool [N], in any style.  seed: int64 [N], of the noise.
    takes: float16 [N, T, C], standardised.
    """

    features: np.ndarray
    events: np.ndarray
    mouth: np.ndarray
    style: np.ndarray
    free: np.ndarray
    seed: np.ndarray
    takes: np.ndarray

    def part(self, at) -> dict[str, Tensor]:
        """The lines `at` as tensors of a batch, with their noise."""
        item = {
            name: torch.from_numpy(getattr(self, name)[at])
            for name in ("features", "events", "mouth", "style", "free", "takes")
        }
        item = {
            name: value.float() if value.is_floating_point() else value
            for name, value in item.items()
        }
        item["style"] = item["style"][:, None]
        return item | {
            "noise": torch.from_numpy(seeded_noise(self.seed[at].tolist(), *self.takes.shape[1:]))
        }


def _line(
    motions: MotionSet, by_voice: dict[str, list[int]], rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Speech features [FRAMES, d], events [FRAMES, EVENTS] and the mouth map's curves [FRAMES, 6]
    of one voice, of as many clips as needed."""
    rows, variant = by_voice[rng.choice(list(by_voice))], int(rng.integers(VARIANTS))
    parts, left = [], FRAMES
    while left > 0:
        number = int(rng.choice(rows))
        row = motions.rows[number]
        start = int(rng.integers(0, max(1, row.frames - left + 1)))
        frames = min(row.frames - start, left)
        at = slice(row.start + start, row.start + start + frames)
        features, mouth = (
            read(number, start, frames, variant).astype(np.float16)
            for read in (motions.features_of, motions.mouth_of)
        )
        parts.append((features, motions.events[variant, at], mouth))
        left -= frames
    return tuple(map(np.concatenate, zip(*parts)))


@torch.no_grad()
def _sample_lines(
    denoiser: DenoiserNetwork,
    motions: MotionSet,
    rows: list[int],
    count: int,
    seed: int,
    path: Path,
    device: str,
) -> Lines:
    """`count` lines of the voices of `rows` with the whole model's takes, from `path` if they were
    sampled before."""
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            return Lines(**file)
    rng, batches = np.random.default_rng(seed), []
    by_voice: dict[str, list[int]] = {}
    for i in rows:
        by_voice.setdefault(motions.rows[i].speaker, []).append(i)
    for start in tqdm(range(0, count, BATCH), desc="sampling lines", mininterval=10):
        seeds = rng.integers(1 << 30, size=min(BATCH, count - start))
        directions = [
            Direction() if rng.random() < 0.5 else direction_of_clip(str(s), rng) for s in seeds
        ]
        style = np.concatenate(
            [
                draw_style(d.vector()[None], int(s), float(rng.choice(SPREADS)))
                for d, s in zip(directions, seeds)
            ]
        )
        drawn = (_line(motions, by_voice, rng) for _ in seeds)
        features, events, mouth = map(np.stack, zip(*drawn))
        events = np.where(rng.random((len(events), 1, 1)) < HIDE_EVENTS, np.float16(np.nan), events)
        lines = Lines(
            features, events, mouth, style.astype(np.float16), rng.random(len(seeds)) < FREE, seeds,
            np.zeros((len(seeds), FRAMES, denoiser.config.motion), np.float16),
        )  # fmt: skip
        item = {name: value.to(device) for name, value in lines.part(slice(None)).items()}
        takes = from_noise(denoiser, item, WHOLE_STEPS)[-1]
        batches.append(replace(lines, takes=takes.cpu().numpy().astype(np.float16)))
    lines = Lines(*map(np.concatenate, zip(*(vars(each).values() for each in batches))))
    write_file(path, lambda file: np.savez(file, **vars(lines)))
    return lines


def from_noise(
    denoiser: DenoiserNetwork, item: dict[str, Tensor], steps: int, least_noise: float = 0.0
) -> list[Tensor]:
    """All estimates of the take during sampling from the noise of a batch, standardised [B, T, C];
    the last is the result."""
    conditions = {name: item[name] for name in ("style", "free", "events", "mouth")}
    estimates: list[Tensor] = []

    def denoise(x: Tensor, step: int) -> Tensor:
        estimates.append(
            denoiser(
                x, torch.full((len(x),), step, device=x.device), item["features"], **conditions
            )
        )
        return estimates[-1]

    sample(denoise, item["noise"], solver_steps(steps, least_noise))
    return estimates


def distil(
    motions: MotionSet, head: Head, full: DenoiserNetwork, folder: Path, schedule: Schedule,
    lines: int = 960, device: str = "cpu"
) -> tuple[DenoiserNetwork, dict[str, float]]:  # fmt: skip
    """Train a copy of the model `full` to reproduce in STEPS its result of WHOLE_STEPS, on `lines`
    lines of the training voices.

    Returns (model, figures on lines of the validation voices: distance of lips from the whole
    model's take of the same noise, and the spread of its takes).
    """
    folder.mkdir(parents=True, exist_ok=True)
    lines = min(lines, BATCH * schedule.steps)  # no more than are used
    full = full.to(device)
    taught = _sample_lines(
        full,
        motions,
        motions.of("train", listening=True),
        lines,
        schedule.seed,
        folder / "lines.npz",
        device,
    )
    watched = _sample_lines(
        full,
        motions,
        motions.watched_rows(),
        min(WATCHED, lines),
        0,
        folder / "watched.npz",
        device,
    )
    model = DenoiserNetwork(replace(full.config, steps=STEPS, least_noise=LEAST_NOISE))
    model.load_state_dict(full.state_dict())
    model = model.requires_grad_(True).to(device)
    spreads = SpeechBatches(motions, motions.of("train", 70), 70, 48, mel=False)
    measure = DenoiserLoss(head, model, spreads, None, device)

    def batch(rng: np.random.Generator) -> dict[str, Tensor]:
        return taught.part(
            np.sort(rng.choice(len(taught.seed), min(BATCH, len(taught.seed)), replace=False))
        )

    def loss(
        model: DenoiserNetwork, item: dict[str, Tensor], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        item = {name: value.to(device) for name, value in item.items()}
        estimates = [x.float() for x in from_noise(model, item, STEPS, LEAST_NOISE)]
        with torch.autocast(torch.device(device).type, enabled=False):
            vertices, wanted = (
                measure.mouth.of_packed(model.restore(x)) for x in (estimates[-1], item["takes"])
            )
            parts = measure.reconstruction(estimates[-1] - item["takes"], vertices, wanted)
            intermediate = torch.stack(
                [(x - item["takes"]).square().mean() for x in estimates[:-1]]
            ).mean()
        return {
            "total": parts["rec"] + 0.5 * parts["vel"] + ON_THE_WAY * intermediate,
            "way": intermediate,
        } | parts

    def figures(model: DenoiserNetwork) -> dict[str, float]:
        item = {name: value.to(device) for name, value in watched.part(slice(None)).items()}
        takes, wanted = (
            model.restore(x)
            for x in (from_noise(model, item, STEPS, LEAST_NOISE)[-1], item["takes"])
        )
        apart = (measure.mouth.of_packed(takes) - measure.mouth.of_packed(wanted)).norm(
            dim=-1
        ).mean() * 1e3
        channels = measure.columns.expression
        spread = takes[..., channels].std() / wanted[..., channels].std()
        return {"mouth_mm": float(apart), "spread": float(spread)}

    fit(model, batch, loss, schedule, folder, figures, validate_every=100, device=device)
    with torch.no_grad():
        return model, {name: round(value, 4) for name, value in figures(model).items()}
