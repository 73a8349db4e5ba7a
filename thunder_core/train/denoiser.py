# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the diffusion model (§4.2): L = L_rec + L_vel, and L_m2s through the frozen mesh-to-speech.

Beyond the paper, reconstruction and velocity also count the two numbers that people read from a mouth, how far its lips are
apart and how far its corners; and the model learns from its own estimates of the mouth (`as_sampled`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn, Tensor

from ..channels import Columns, in_group, MOUTH
from ..direction import DIRECTION_NAMES
from ..engine.diffusion.denoiser import Denoiser, DenoiserConfig
from ..engine.diffusion.sampling import alpha_bar, noisy, STEPS
from ..engine.m2s.model import MeshToSpeech
from ..engine.m2s.mouth import Mouth, SPACES
from ..engine.speech.encoder import LOUDNESS, phonetic, SpeechEncoder
from ..face.head import Head
from .loop import fit, Schedule
from .m2s import speech_loss, SpeechBatches
from .motions import MotionSet

FRAMES = 70  # as in the paper
BATCH = 48
OWN = 0.5  # share of a batch in which the mouth is the model's own estimate
HIDE_AUDIO = 0.2  # p of classifier-free guidance, as in the paper
HIDE_STYLE = 0.2  # likewise, so that the model also samples without a direction
LEAST_STYLE_SPREAD = 0.1  # a mood that the corpus hardly has is not blown up
M2S_WEIGHT = 0.5  # of L_m2s, by default: of 0.05, 0.5 and 1.5 the one with the least lip error
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
    played = torch.cat([i["direction"] for i in items]).flatten(0, 1)
    played = played[played.isfinite().all(1)]
    if denoiser.config.style and len(played) > 1:
        denoiser.style_mean.copy_(played.mean(0))
        denoiser.style_std.copy_(played.std(0).clamp_min(LEAST_STYLE_SPREAD))


class Performer(nn.Module):
    """The denoiser and, for THUNDER-T, the encoder that is trained with it (`-F`: features are precomputed)."""

    def __init__(self, denoiser: Denoiser, encoder: SpeechEncoder | None = None):
        super().__init__()
        self.denoiser, self.encoder = denoiser, encoder

    def features(self, item: dict[str, Tensor]) -> Tensor:
        """Speech features a [B, T, d]."""
        if self.encoder is None:
            return item["features"]
        with torch.no_grad(), torch.autocast(item["waves"].device.type, enabled=False):
            prepared = self.encoder.prepare(item["waves"])
        frames = item["features"].shape[1]
        return torch.cat([phonetic(*self.encoder.encode(prepared), frames), item["features"][..., -LOUDNESS:]], -1)


def train_denoiser(
    motions: MotionSet, head: Head, folder: Path, schedule: Schedule, m2s: MeshToSpeech | None = None,
    start: dict[str, Tensor] | None = None, encoder: SpeechEncoder | None = None, device: str = "cpu", m2s_weight: float = M2S_WEIGHT,
    directed: bool = True,
):  # fmt: skip
    """Train on the teacher's motions, with L_m2s if a frozen `m2s` is given, from `start` weights where their shapes fit.

    With an `encoder` that is trained too (THUNDER-T). Unless `directed`, styles are learned only if `start` knows them.
    Returns (performer, figures on the unseen test voices).
    """
    torch.manual_seed(schedule.seed)
    columns, mouth = Columns(head.channels), Mouth(head).to(device)
    width = motions.features.shape[1]
    # Weights that know no styles may be adapted as they are; with styles to learn they would be standardised again.
    style = len(DIRECTION_NAMES) if directed or start is None or "no_style" in start else 0
    denoiser = Denoiser(DenoiserConfig(motion=motions.motions.shape[2], audio=width, style=style))
    batches = SpeechBatches(
        motions, motions.of("train", FRAMES, listening=True), FRAMES, BATCH, mel=m2s is not None, waves=encoder is not None
    )
    mine = denoiser.state_dict()
    fits = start is not None and all(k in start and start[k].shape == v.shape for k, v in mine.items())
    if start is not None:
        denoiser.load_state_dict({k: start[k] if k in start and start[k].shape == v.shape else v for k, v in mine.items()})
    if not fits:  # from nothing, or with another encoder's features
        standardise(denoiser, batches)
    alpha = alpha_bar()
    view = mouth
    if m2s is not None:
        m2s = m2s.to(device).eval().requires_grad_(False)
        view = SPACES[m2s.config.space](m2s.mouth or head).to(device)
    if encoder is not None:
        encoder = encoder.requires_grad_(True)
        encoder.ctc_head.requires_grad_(False)
    performer = Performer(denoiser, encoder)
    # Of brows, eyes and head, which the voice does not tell, variety is worth more than fidelity.
    names = [*head.expression_names, *["jaw"] * 3, *[""] * 6]
    speaking = torch.tensor(in_group(names, MOUTH), device=device)
    spread = _spreads(batches, mouth, denoiser)

    def terms(model: Denoiser, x0: Tensor, truth: Tensor, vertices: Tensor) -> dict[str, Tensor]:
        """Every quantity in units of its own spread: channels, jaw, mouth vertices, gap and width, and their velocities."""
        guess = model.restore(x0)
        moved = mouth.of_packed(guess)
        error, mesh, shape = x0 - truth, (moved - vertices).flatten(2), mouth.shape(moved) - mouth.shape(vertices)
        parts = {"rec": 0.0, "vel": 0.0}
        for kind, e, m, g, (s_x, s_v, s_g) in (
            ("rec", error, mesh, shape, spread["rec"]),
            ("vel", error.diff(dim=1), mesh.diff(dim=1), shape.diff(dim=1), spread["vel"]),
        ):
            e = e.square() / s_x
            parts[kind] = e[..., columns.expression].mean() + e[..., columns.jaw].mean() + e[..., columns.jaw.stop :].mean()
            parts[kind] = parts[kind] + m.square().mean() / s_v + (g.square() / s_g).mean()
        return parts | {"moved": moved, "guess": guess}

    def loss(model: Performer, item, rng) -> dict[str, Tensor]:
        item = {k: v.to(device) for k, v in item.items()}
        denoiser = model.denoiser
        truth = denoiser.standardise(item["motion"])
        step = torch.from_numpy(rng.integers(0, STEPS, len(truth))).to(device)
        silent = torch.from_numpy(rng.random(len(truth)) < HIDE_AUDIO).to(device)
        free = torch.from_numpy(rng.random(len(truth)) < HIDE_STYLE).to(device) | item["direction"].isnan().any(2)[:, 0]
        style = item["direction"].nan_to_num()
        noise, audio = torch.randn_like(truth), model.features(item)
        own, seen = torch.from_numpy(rng.random(len(truth)) < OWN).to(device), truth
        if own.any():
            seen = truth.clone()
            with torch.no_grad():
                mixed = noisy(truth[own], noise[own], step[own], alpha)
                guess = denoiser(mixed, step[own], audio[own], silent[own], style[own], free[own]).float()
            seen[own] = as_sampled(truth[own], guess, step[own], alpha, speaking)
        x0 = denoiser(noisy(seen, noise, step, alpha), step, audio, silent, style, free).float()
        with torch.autocast(torch.device(device).type, enabled=False):
            with torch.no_grad():
                vertices = mouth.of_packed(item["motion"])
            parts = terms(denoiser, x0, truth, vertices)
        moved, guess = parts.pop("moved"), parts.pop("guess")
        total = parts["rec"] + 0.5 * parts["vel"]
        if m2s is not None:
            seen = moved if view is mouth else view.of_packed(guess)
            said = speech_loss(*m2s(seen, item["voices"]), item)["total"]
            total = total + m2s_weight * said
            parts["m2s"] = said
        return {"total": total} | parts

    watched, test = (
        SpeechBatches(motions, rows, FRAMES, BATCH, mel=False, waves=encoder is not None)
        for rows in (motions.watched(FRAMES), motions.of("test", FRAMES))
    )

    def measured(model: Performer, held_out: SpeechBatches) -> dict[str, float]:
        """Reconstruction from pure noise in one step, which measures what the sound and the direction tell."""
        item = {k: v.to(device) for k, v in held_out(np.random.default_rng(0)).items()}
        step = torch.full((BATCH,), STEPS - 1, device=device)
        noise = torch.randn(item["motion"].shape, generator=torch.Generator().manual_seed(0)).to(device)
        style, free = item["direction"].nan_to_num(), item["direction"].isnan().any(2)[:, 0]
        x0 = model.denoiser(noise, step, model.features(item), style=style, free=free)
        guess = model.denoiser.restore(x0)
        truth = item["motion"]
        gaps = [mouth.of_packed(x) for x in (guess, truth)]
        worst = (gaps[0] - gaps[1]).norm(dim=-1).amax(-1).mean() * 1e3
        jaw = torch.stack(
            [torch.corrcoef(torch.stack([g[:, columns.jaw.start], t[:, columns.jaw.start]]))[0, 1] for g, t in zip(guess, truth)]
        )
        return {"worst_vertex_mm": float(worst), "jaw_r": float(jaw.nanmean())}

    fit(performer, batches, loss, schedule, folder, lambda model: measured(model, watched), device=device)
    with torch.no_grad():
        return performer, {f"test_{k}": round(v, 4) for k, v in measured(performer, test).items()}


def as_sampled(truth: Tensor, guess: Tensor, step: Tensor, alpha: Tensor, own: Tensor) -> Tensor:
    """A motion [B, T, C] to be noised: in channels that are `own` the true one gives way to the model's `guess`, the noisier the more.

    own: bool, broadcast over the motion.

    What a sampler shows the model is what it said before, and that is a little tamer than the truth; trained on the truth
    alone it takes this for a tame style, and tames it again at every step. After DREAM (Zhou et al., CVPR 2024).
    """
    share = (1 - alpha.to(truth.device)[step]).sqrt()[:, None, None]
    return truth + share * own * (guess - truth)


def _spreads(batches: SpeechBatches, mouth: Mouth, denoiser: Denoiser) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Variances of standardised motion [C], of mouth vertices (one number), of gap and width [2], and of their frame differences."""
    rng = np.random.default_rng(2)
    x = torch.cat([batches(rng)["motion"] for _ in range(12)])
    device = denoiser.motion_mean.device
    x = x.to(device)
    truth = denoiser.standardise(x)
    vertices = mouth.of_packed(x)
    shape = mouth.shape(vertices)
    rec = (torch.ones(x.shape[-1], device=device), vertices.flatten(2).var(), shape.var((0, 1)))
    change = truth.diff(dim=1).square().mean((0, 1)).clamp_min(1e-2)
    return {"rec": rec, "vel": (change, vertices.diff(dim=1).square().mean(), shape.diff(dim=1).square().mean((0, 1)))}
