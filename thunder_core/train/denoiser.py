# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the diffusion model (§4.2): L = L_rec + L_vel, and L_m2s through the frozen mesh-to-speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..diffusion.denoiser import Denoiser, DenoiserConfig
from ..diffusion.sampling import STEPS, alpha_bar, noisy
from ..m2s.model import MeshToSpeech
from ..m2s.mouth import Mouth
from .loop import Schedule, fit
from .m2s import SpeechBatches, speech_loss
from .motions import MotionSet

FRAMES = 70  # as in the paper
BATCH = 48
HIDE_AUDIO = 0.2  # p of classifier-free guidance, as in the paper
M2S_WEIGHT = 0.05  # of L_m2s, which is an order of magnitude above the standardised reconstruction terms
LEAST_SPREAD = 0.02  # channels that hardly move are not blown up to unit variance


def standardise(denoiser: Denoiser, batches: SpeechBatches) -> None:
    """Set mean and deviation of motion and speech features from a sample of the training set."""
    rng = np.random.default_rng(0)
    items = [batches(rng) for _ in range(40)]
    for name, mean, std, least in (
        ("motion", denoiser.motion_mean, denoiser.motion_std, LEAST_SPREAD),
        ("features", denoiser.audio_mean, denoiser.audio_std, 1e-3),
    ):
        x = torch.cat([i[name] for i in items]).flatten(0, 1)
        mean.copy_(x.mean(0))
        std.copy_(x.std(0).clamp_min(least))


def train_denoiser(
    motions: MotionSet, mouth: Mouth, channels: int, folder: Path, schedule: Schedule,
    m2s: MeshToSpeech | None = None, start: dict[str, Tensor] | None = None, device: str = "cpu",
):  # fmt: skip
    """Train on the teacher's motions, with L_m2s if a frozen `m2s` is given, from `start` weights if any.

    Returns (denoiser, figures on the unseen test voices).
    """
    torch.manual_seed(schedule.seed)
    width = motions.features.shape[1]
    denoiser = Denoiser(DenoiserConfig(motion=motions.motions.shape[2], audio=width))
    batches = SpeechBatches(motions, motions.of("train", FRAMES), FRAMES, BATCH, mel=m2s is not None)
    if start is None:
        standardise(denoiser, batches)
    else:
        denoiser.load_state_dict(start, strict=False)
    alpha = alpha_bar()
    mouth = mouth.to(device)
    if m2s is not None:
        m2s = m2s.to(device).eval().requires_grad_(False)
    spread = _spreads(batches, mouth, channels, denoiser)

    def terms(model: Denoiser, x0: Tensor, truth: Tensor, vertices: Tensor) -> dict[str, Tensor]:
        """Every quantity in units of its own spread: channels, jaw and mouth vertices, and their velocities."""
        guess = model.restore(x0)
        moved = mouth(guess[..., :channels], guess[..., channels : channels + 3])
        error, mesh = x0 - truth, (moved - vertices).flatten(2)
        parts = {"rec": 0.0, "vel": 0.0}
        for kind, e, m, (s_x, s_v) in (
            ("rec", error, mesh, spread["rec"]),
            ("vel", error.diff(dim=1), mesh.diff(dim=1), spread["vel"]),
        ):
            e = e.square() / s_x
            parts[kind] = e[..., :channels].mean() + e[..., channels : channels + 3].mean() + e[..., channels + 3 :].mean()
            parts[kind] = parts[kind] + m.square().mean() / s_v
        return parts | {"moved": moved}

    def loss(model: Denoiser, item, rng) -> dict[str, Tensor]:
        item = {k: v.to(device) for k, v in item.items()}
        truth = model.standardise(item["motion"])
        step = torch.from_numpy(rng.integers(0, STEPS, len(truth))).to(device)
        silent = torch.from_numpy(rng.random(len(truth)) < HIDE_AUDIO).to(device)
        x0 = model(noisy(truth, torch.randn_like(truth), step, alpha), step, item["features"], silent).float()
        with torch.autocast(torch.device(device).type, enabled=False):
            with torch.no_grad():
                vertices = mouth(item["motion"][..., :channels], item["motion"][..., channels : channels + 3])
            parts = terms(model, x0, truth, vertices)
        moved = parts.pop("moved")
        total = parts["rec"] + 0.5 * parts["vel"]
        if m2s is not None:
            said = speech_loss(*m2s(moved, item["voices"]), item)["total"]
            total = total + M2S_WEIGHT * said
            parts["m2s"] = said
        return {"total": total} | parts

    test = SpeechBatches(motions, motions.of("test", FRAMES), FRAMES, BATCH, mel=False)

    def validate(model: Denoiser) -> dict[str, float]:
        """Reconstruction from pure noise in one step, which measures what the sound alone tells."""
        item = {k: v.to(device) for k, v in test(np.random.default_rng(0)).items()}
        step = torch.full((BATCH,), STEPS - 1, device=device)
        noise = torch.randn(item["motion"].shape, generator=torch.Generator().manual_seed(0)).to(device)
        x0 = model(noise, step, item["features"])
        guess = model.restore(x0)
        truth = item["motion"]
        gaps = [mouth(x[..., :channels], x[..., channels : channels + 3]) for x in (guess, truth)]
        worst = (gaps[0] - gaps[1]).norm(dim=-1).amax(-1).mean() * 1e3
        jaw = torch.stack([torch.corrcoef(torch.stack([g[:, channels], t[:, channels]]))[0, 1] for g, t in zip(guess, truth)])
        return {"test_worst_vertex_mm": float(worst), "test_jaw_r": float(jaw.nanmean())}

    fit(denoiser, batches, loss, schedule, folder, validate, device=device)
    with torch.no_grad():
        return denoiser, {k: round(v, 4) for k, v in validate(denoiser).items()}


def _spreads(batches: SpeechBatches, mouth: Mouth, channels: int, denoiser: Denoiser) -> dict[str, tuple[Tensor, Tensor]]:
    """Variances of standardised motion [C] and of mouth vertices (one number), and of their frame differences."""
    rng = np.random.default_rng(2)
    x = torch.cat([batches(rng)["motion"] for _ in range(12)])
    device = denoiser.motion_mean.device
    x = x.to(device)
    truth = denoiser.standardise(x)
    vertices = mouth(x[..., :channels], x[..., channels : channels + 3]).flatten(2)
    rec = (torch.ones(x.shape[-1], device=device), vertices.var())
    change = truth.diff(dim=1).square().mean((0, 1)).clamp_min(1e-2)
    return {"rec": rec, "vel": (change, vertices.diff(dim=1).square().mean())}
