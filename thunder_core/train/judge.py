# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the judge: motions corrupted in known ways, and how far their lips went astray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d, minimum_filter1d
from scipy.stats import spearmanr
from torch import Tensor

from ..channels import in_group, SPEECH
from ..engine.m2s.judge import FLOOR, Judge, JudgeConfig
from ..engine.m2s.model import MeshToSpeech
from ..engine.m2s.mouth import Mouth
from ..engine.m2s.score import DAMPED, evidence, merits, OFF_FRAMES, shift_frames, SMOOTH
from ..engine.speech.encoder import LOUDNESS
from ..face.lips import CLOSED_MM, height_gap
from .loop import fit, Schedule
from .m2s import SpeechBatches
from .motions import MotionSet

FRAMES, PAD = 100, 8  # 4 s, and what a shift may look beyond them
BATCH = 16
LEAST_MM = 1.0  # lips that move less than this are judged as if they moved so much
SPOILS = ("nothing", "shift", "size", "other", "smooth", "open", "shake")
ODDS = (0.25, 0.2, 0.16, 0.12, 0.1, 0.1, 0.07)


def _shifted(x: np.ndarray, frames: float) -> np.ndarray:
    at = np.clip(np.arange(len(x)) - frames, 0, len(x) - 1)
    i = np.minimum(np.floor(at).astype(int), len(x) - 2)
    w = (at - i)[:, None]
    return x[i] * (1 - w) + x[i + 1] * w


def without_closures(x: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Closures removed: where the lips meet between open frames, the motion glides over it."""
    shut = (opening < CLOSED_MM) & (minimum_filter1d(-opening, 9) < -2.0)
    if not shut.any():
        return x
    keep = np.flatnonzero(~np.convolve(shut, np.ones(5), "same").astype(bool))
    if len(keep) < 2:
        return x
    at = np.arange(len(x))
    return np.stack([np.interp(at, keep, x[keep, c]) for c in range(x.shape[1])], 1)


def corrupt(x: np.ndarray, other: np.ndarray, opening: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A motion's mouth channels [T, m], corrupted; `other` is another sentence's, `opening` [T] its lip gap in millimetres."""
    if kind == "shift":
        bad = _shifted(x, rng.choice([-1, 1]) * rng.uniform(0.5, PAD))
    elif kind == "size":
        bad = x * (rng.uniform(0.0, 0.8) if rng.random() < 0.7 else rng.uniform(1.25, 2.0))
    elif kind == "other":
        bad = other
    elif kind == "smooth":
        bad = gaussian_filter1d(x, rng.uniform(1.0, 4.0), axis=0)
    elif kind == "open":
        bad = without_closures(x, opening)
    elif kind == "shake":
        rough = gaussian_filter1d(rng.standard_normal(x.shape), rng.uniform(0.5, 2.0), axis=0)
        bad = x + rough / (rough.std(0) + 1e-6) * x.std(0) * rng.uniform(0.2, 1.0)
    elif kind == "off":
        return shift_frames(x, int(rng.choice([-1, 1])) * OFF_FRAMES)
    elif kind == "damped":
        return DAMPED * x
    else:
        return x
    if rng.random() < 0.4:  # only for a while: the judge must say where
        a = rng.uniform(0, 0.7) * len(x)
        t = np.arange(len(x))
        inside = np.clip(np.minimum(t - a, a + rng.uniform(0.2, 0.6) * len(x) - t) / 2, 0, 1)[:, None]
        bad = x + inside * (bad - x)
    return bad


def train_judge(
    motions: MotionSet, m2s: MeshToSpeech, mouth: Mouth, channel_names: list[str], folder: Path, schedule: Schedule, device: str = "cpu"
):
    """Train on the teacher's motions with a frozen `m2s`; returns (judge with its scale set, figures on unseen test voices)."""
    torch.manual_seed(schedule.seed)
    speaking = np.flatnonzero(np.append(in_group(channel_names, SPEECH), [True] * 3))
    judge = Judge(JudgeConfig(heard=m2s.config.width, speech=motions.features.shape[1]))
    m2s, mouth = m2s.to(device).eval().requires_grad_(False), mouth.to(device)
    lip = (~mouth.inner).to(device)

    def batches(numbers: list[int], batch: int) -> SpeechBatches:
        return SpeechBatches(motions, numbers, FRAMES + 2 * PAD, batch, mel=False)

    train = batches(motions.of("train", FRAMES + 2 * PAD), BATCH)
    some = torch.cat([train(np.random.default_rng(i))["features"] for i in range(8)]).flatten(0, 1)
    judge.speech_mean.copy_(some.mean(0))
    judge.speech_std.copy_(some.std(0).clamp_min(1e-3))

    def see(x: Tensor) -> Tensor:
        return mouth.of_packed(x)

    def prepare(item: dict[str, Tensor], rng: np.random.Generator, kinds: list[str]) -> dict[str, Tensor]:
        x = item["motion"]
        true = see(x.to(device))
        gap = (height_gap(true[:, :, mouth.lips[0]], true[:, :, mouth.lips[1]]) * 1e3).cpu().numpy()
        bad = x.clone()
        for row, kind in enumerate(kinds):
            y = x[row, :, speaking].numpy()
            other = x[(row + 1) % len(x)][:, speaking].numpy()
            bad[row, :, speaking] = torch.from_numpy(corrupt(y, other, gap[row], kind, rng).astype(np.float32))
        inside = slice(PAD, PAD + FRAMES)
        seen = see(bad.to(device))[:, inside]

        def astray(x: Tensor, where: slice = inside) -> Tensor:
            return (x[:, where] - true[:, inside])[:, :, lip].norm(dim=-1).amax(-1) * 1e3

        # The unit of error is what the same lips would be off if they were late, early or said something else.
        late, early = (slice(PAD + s, PAD + s + FRAMES) for s in (-OFF_FRAMES, OFF_FRAMES))
        size = torch.stack([astray(true, late), astray(true, early), astray(true.roll(1, 0))]).mean((0, 2))[:, None].clamp_min(LEAST_MM)
        units = item["units"].to(device)[:, 2 * PAD : 2 * (PAD + FRAMES)]
        features, twice = m2s.encode(seen)
        logits = m2s.unit_head(twice)
        said = torch.stack([evidence(g[None], u, m2s.unit_log_prior)[0] for g, u in zip(logits, units)])
        error = astray(F.pad(seen, (0, 0, 0, 0, PAD, PAD)))
        kernel = torch.hann_window(SMOOTH + 2, periodic=False, device=device)[1:-1][None, None]
        half = SMOOTH // 2
        smooth = F.conv1d(F.pad(error[:, None], (half, half), mode="replicate"), kernel / kernel.sum())[:, 0]
        return {
            "heard": features, "speech": item["features"].to(device)[:, inside], "lips": seen[:, :, mouth.lips], "evidence": said,
            "target": torch.log(FLOOR + smooth / size),
        }  # fmt: skip

    def opinion(model: Judge, seen: dict[str, Tensor]) -> Tensor:
        return model(seen["heard"], seen["speech"], seen["lips"], seen["evidence"])

    def loss(model: Judge, item, rng) -> dict[str, Tensor]:
        with torch.no_grad():
            kinds = [str(k) for k in rng.choice(SPOILS, len(item["motion"]), p=ODDS)]
            seen = prepare(item, rng, kinds)
        return {"total": F.smooth_l1_loss(opinion(model, seen).float(), seen["target"], beta=0.3)}

    watched, test = (batches(rows, 24) for rows in (motions.watched(FRAMES + 2 * PAD), motions.of("test", FRAMES + 2 * PAD)))

    def measured(model: Judge, held_out: SpeechBatches) -> dict[str, float]:
        out = {}
        for kind in ("right", "off", "damped", "other"):
            rng = np.random.default_rng(3)
            item = held_out(rng)
            seen = prepare(item, rng, [kind] * 24)
            loud = item["features"][:, PAD : PAD + FRAMES, -LOUDNESS:].to(device)
            merits_of = [merits(o[None].float(), features) for o, features in zip(opinion(model, seen), loud)]
            out[kind] = float(torch.cat(merits_of).mean())
        rng = np.random.default_rng(4)
        seen = prepare(held_out(rng), rng, [str(k) for k in rng.choice(SPOILS, 24, p=ODDS)])
        guess, truth = opinion(model, seen).mean(1).cpu().numpy(), seen["target"].mean(1).cpu().numpy()
        out["rank"] = float(spearmanr(guess, truth).statistic)
        return {k: round(v, 4) for k, v in out.items()}

    fit(judge, train, loss, schedule, folder, lambda model: measured(model, watched), device=device)
    with torch.no_grad():
        scale, figures = measured(judge, watched), measured(judge, test)
    judge.config = JudgeConfig(**(judge.settings() | {k: scale[k] for k in ("off", "damped", "right")}))
    return judge, {f"judge_{k}": v for k, v in figures.items()}
