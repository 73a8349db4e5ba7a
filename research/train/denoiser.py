# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the diffusion model (§4.2): L = L_rec + L_vel, and L_m2s through the frozen
mesh-to-speech.

Beyond the paper, reconstruction and velocity also count what people read from a mouth: how far its
lips are apart and how far its corners, and how high the upper lip and the corners are; and the
model learns from its estimates of the mouth (`as_sampled`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn, Tensor

from research.train.loop import fit, Schedule, start_from
from research.train.m2s import speech_loss, SpeechBatches
from research.train.motions import MotionSet, TRUE_TO_SOUND
from research.train.spaces import MouthNetwork, Space
from thunder_core.direction import DIRECTION_NAMES
from thunder_core.engine.diffusion import alpha_bar, STEPS
from thunder_core.events import EVENTS
from thunder_core.face.head import Head
from thunder_core.face.moving.mouth_shape import SIGNALS
from thunder_core.networks.denoiser import DenoiserConfig, DenoiserNetwork, noisy, Standardised
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.types import Columns, in_group, MOUTH

FRAMES = 70  # length of a training clip, as in the paper
BATCH = 48
ESTIMATED = 0.15  # share of a batch in which the mouth is the model's estimate
HIDE_AUDIO = 0.2  # dropout probability of classifier-free guidance, as in the paper
HIDE_STYLE = 0.2  # the same for the style, so that the model also samples without a direction
HIDE_EVENTS = 0.19  # the same for everything that is planned
# Axes whose movements are all planned, and deviation of the noise on them where the plan is shown:
# the model is to follow the plan, also where a reading's style says otherwise.
PLANNED_AXES, PLANNED_NOISE = ("brows", "eyes"), 1.0
LEAST_STYLE_SPREAD = 0.1  # lower bound when standardising styles: a rare mood is not amplified
# default weight of L_m2s; of 0.05, 0.5 and 1.5 the one with the smallest lip error
M2S_WEIGHT = 0.5
# lower bound when standardising channels: those that hardly move are not amplified
LEAST_SPREAD = 0.02


def standardise(denoiser: Standardised, batches: SpeechBatches) -> None:
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
    directions = torch.cat([i["direction"] for i in items]).flatten(0, 1)
    directions = directions[directions.isfinite().all(1)]
    if getattr(denoiser.config, "style", 0) and len(directions) > 1:
        denoiser.style_mean.copy_(directions.mean(0))
        denoiser.style_std.copy_(directions.std(0).clamp_min(LEAST_STYLE_SPREAD))


class Performer(nn.Module):
    """The denoiser and what it is told of a batch; the laboratory's systems are told other
    things."""

    def __init__(self, denoiser: DenoiserNetwork):
        super().__init__()
        self.denoiser = denoiser

    def features(self, item: dict[str, Tensor]) -> Tensor:
        """Speech features a [B, T, d]."""
        return item["features"]

    def conditions(self, item: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a denoiser is told that knows it: the plan's curves, and the mouth's, which nothing
        hides."""
        known = (name for name in ("events", "mouth") if getattr(self.denoiser.config, name, 0))
        return {name: item[name] for name in known}

    def style(self, item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The denoiser's condition besides the sound, [B, 1 or T, style], and the rows for which it
        is not known, bool [B]."""
        return item["direction"].nan_to_num(), item["direction"].isnan().any(2)[:, 0]


class SpeechTerm(NamedTuple):
    """L_m2s: a frozen mesh-to-speech and the weight of its loss.

    masked: rows whose sound is hidden for classifier-free guidance are left out, since their words
    are unknown to the model. Rows that perform other phones than the likeliest always are.
    """

    m2s: MeshToSpeechNetwork
    weight: float = M2S_WEIGHT
    masked: bool = True
    space: Callable[[Head], Space] = MouthNetwork


class DenoiserLoss:
    """The loss of a batch: L_rec + 0.5 · L_vel, and L_m2s where a frozen mesh-to-speech is given.

    Every quantity is in units of its spread over the training set: channels, jaw, mouth vertices,
    and what is seen of the lips (`MouthNetwork.shape`).
    """

    def __init__(
        self,
        head: Head,
        denoiser: DenoiserNetwork,
        batches: SpeechBatches,
        speech: SpeechTerm | None,
        device: str,
    ):
        self.device = device
        self.alpha = torch.from_numpy(alpha_bar())
        self.masked = speech is not None and speech.masked
        self.columns, self.mouth = Columns(head.channels), MouthNetwork(head).to(device)
        # For brows, eyes and head, which the voice does not determine, variety matters more than
        # fidelity.
        names = [*head.expression_names, *["jaw"] * 3, *[""] * 6]
        self.speaking = torch.tensor(in_group(names, MOUTH), device=device)
        self.spread = _spreads(batches, self.mouth, denoiser.to(device))
        self.m2s, self.m2s_weight = None, 0.0
        self.m2s_view: Space = self.mouth
        if speech is not None:
            self.m2s = speech.m2s.to(device).eval().requires_grad_(False)
            self.m2s_weight = speech.weight
            self.m2s_view = speech.space(speech.m2s.mouth or head).to(device)

    def __call__(
        self, model: Performer, item: dict[str, Tensor], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Terms "total", which is minimised, "rec", "vel" and "m2s" of a batch that `SpeechBatches`
        drew."""
        item = {k: v.to(self.device) for k, v in item.items()}
        denoiser = model.denoiser
        truth = denoiser.standardise(item["motion"])
        step = torch.from_numpy(rng.integers(0, STEPS, len(truth))).to(self.device)
        silent = torch.from_numpy(rng.random(len(truth)) < HIDE_AUDIO).to(self.device)
        style, unknown = model.style(item)
        free = torch.from_numpy(rng.random(len(truth)) < HIDE_STYLE).to(self.device) | unknown
        conditions = model.conditions(item)
        if "events" in conditions:
            hidden = torch.from_numpy(rng.random((len(truth), 1, 1)) < HIDE_EVENTS).to(self.device)
            conditions["events"] = item["events"].masked_fill(hidden, float("nan"))
            style = jitter_planned_axes(style, ~hidden[:, 0, 0])
        noise = torch.randn_like(truth)
        conditions |= {"audio": model.features(item), "silent": silent}
        conditions |= {"style": style, "free": free}
        estimated = torch.from_numpy(rng.random(len(truth)) < ESTIMATED).to(self.device)
        clean = self._with_estimates(denoiser, truth, noise, step, conditions, estimated)
        x0 = denoiser(noisy(clean, noise, step, self.alpha), step, **conditions)
        true_to_sound = item["crop"][:, 2] < TRUE_TO_SOUND
        return self.compare(
            denoiser,
            x0,
            truth,
            item,
            supervised=true_to_sound & ~silent if self.masked else true_to_sound,
        )

    def compare(
        self, network: Standardised, x0: Tensor, truth: Tensor, item: dict[str, Tensor],
        more: Callable[[Tensor, Tensor], dict[str, Tensor]] | None = None,
        supervised: Tensor | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Terms "total", "rec", "vel" and "m2s" of any network's estimate x0 [B, T, C] of
        standardised motions `truth`.

        more: further terms of the total, from the mouth's vertices [B, T, V, 3] of the estimate and
        of the truth.  supervised: rows that L_m2s counts, bool [B], None for all. Each keeps the
        weight in the total that it has where all count.
        """
        x0 = x0.float()
        with torch.autocast(torch.device(self.device).type, enabled=False):
            with torch.no_grad():
                true_vertices = self.mouth.of_packed(item["motion"])
            guess = network.restore(x0)
            vertices = self.mouth.of_packed(guess)
            parts = self.reconstruction(x0 - truth, vertices, true_vertices)
        total = parts["rec"] + 0.5 * parts["vel"]
        if self.m2s is not None:
            view = vertices if self.m2s_view is self.mouth else self.m2s_view.of_packed(guess)
            parts["m2s"], share = self._speech(self.m2s, view, item, supervised)
            total = total + self.m2s_weight * share * parts["m2s"]
        if more is not None:
            with torch.autocast(torch.device(self.device).type, enabled=False):
                further = more(vertices, true_vertices)
            total, parts = total + sum(further.values()), parts | further
        return {"total": total} | parts

    @staticmethod
    def _speech(
        m2s: MeshToSpeechNetwork, view: Tensor, item: dict[str, Tensor], rows: Tensor | None
    ) -> tuple[Tensor, float]:
        """L_m2s of a mesh-to-speech's input `view` [B, T, …] in `rows` (bool [B], None for all),
        and their share."""
        if rows is None:
            rows = torch.ones(len(view), dtype=torch.bool, device=view.device)
        if not rows.any():
            return view.new_zeros(()), 0.0
        true = {name: item[name][rows] for name in ("mel", "units")}
        logits, mel = m2s(view[rows], item["voices"][rows])
        return speech_loss(logits, mel, true)["total"], float(rows.float().mean())

    def _with_estimates(
        self, denoiser: DenoiserNetwork, truth: Tensor, noise: Tensor, step: Tensor,
        conditions: dict[str, Tensor], rows: Tensor
    ) -> Tensor:  # fmt: skip
        """Motions [B, T, C] to be noised: in `rows` (bool [B]) the mouth is the model's estimate
        (`as_sampled`)."""
        if not rows.any():
            return truth
        clean = truth.clone()
        with torch.no_grad():
            mixed = noisy(truth[rows], noise[rows], step[rows], self.alpha)
            given = {name: each[rows] for name, each in conditions.items()}
            guess = denoiser(mixed, step[rows], **given).float()
        clean[rows] = as_sampled(truth[rows], guess, step[rows], self.alpha, self.speaking)
        return clean

    def reconstruction(
        self, error: Tensor, vertices: Tensor, true_vertices: Tensor
    ) -> dict[str, Tensor]:
        """L_rec and L_vel of the error [B, T, C] of standardised motions and of their mouth
        vertices [B, T, V, 3]."""
        columns, parts = self.columns, {}
        mesh = (vertices - true_vertices).flatten(2)
        shape = self.mouth.shape(vertices) - self.mouth.shape(true_vertices)
        for kind, e, m, g in (
            ("rec", error, mesh, shape),
            ("vel", error.diff(dim=1), mesh.diff(dim=1), shape.diff(dim=1)),
        ):
            channels, points, openings = self.spread[kind]
            e = e.square() / channels
            total = (
                e[..., columns.expression].mean()
                + e[..., columns.jaw].mean()
                + e[..., columns.jaw.stop :].mean()
            )
            seen = 0.5 * (g.square() / openings).sum(-1).mean()
            parts[kind] = total + m.square().mean() / points + seen
        return parts

    def figures(self, model: Performer, held_out: SpeechBatches) -> dict[str, float]:
        """Error of a reconstruction from pure noise in one step, which measures how much the sound
        and the direction determine.

        Mean over frames of the worst mouth vertex, in mm, and the mean correlation of the jaw's
        first angle.
        """
        item = {k: v.to(self.device) for k, v in held_out(np.random.default_rng(0)).items()}
        step = torch.full((len(item["motion"]),), STEPS - 1, device=self.device)
        noise = torch.randn(item["motion"].shape, generator=torch.Generator().manual_seed(0)).to(
            self.device
        )
        style, free = model.style(item)
        more = model.conditions(item)
        x0 = model.denoiser(noise, step, model.features(item), style=style, free=free, **more)
        return self.errors(model.denoiser.restore(x0), item["motion"])

    def errors(self, guess: Tensor, truth: Tensor) -> dict[str, float]:
        """Mean over frames of the worst mouth vertex, mm, and the mean correlation of the jaw's
        first angle, of motions [B, T, C]."""
        worst = (self.mouth.of_packed(guess) - self.mouth.of_packed(truth)).norm(dim=-1).amax(
            -1
        ).mean() * 1e3
        jaw = self.columns.jaw.start
        correlations = torch.stack(
            [
                torch.corrcoef(torch.stack([g[:, jaw], t[:, jaw]]))[0, 1]
                for g, t in zip(guess, truth)
            ]
        )
        return {"worst_vertex_mm": float(worst), "jaw_r": float(correlations.nanmean())}


def jitter_planned_axes(style: Tensor, rows: Tensor) -> Tensor:
    """Styles [B, 1 or T, style] with noise on PLANNED_AXES in `rows` (bool [B])."""
    planned = torch.tensor(in_group(DIRECTION_NAMES, PLANNED_AXES), device=style.device)
    noise = PLANNED_NOISE * torch.randn(len(style), 1, style.shape[2], device=style.device)
    return style + noise * planned * rows[:, None, None]


def build_denoiser(
    motions: MotionSet, seed: int, start: dict[str, Tensor] | None = None
) -> DenoiserNetwork:
    """A denoiser for these motions, with `start` weights where their shapes fit; standardised by
    the motions unless all of them do."""
    torch.manual_seed(seed)
    denoiser = DenoiserNetwork(
        DenoiserConfig(
            motion=motions.motions.shape[2],
            audio=motions.features.shape[1],
            style=len(DIRECTION_NAMES),
            events=len(EVENTS),
            mouth=len(SIGNALS),
        )
    )
    # from nothing, or with another encoder's features
    if any(name.endswith("_mean") for name in start_from(denoiser, start or {})):
        standardise(
            denoiser,
            SpeechBatches(
                motions, motions.of("train", FRAMES, listening=True), FRAMES, BATCH, mel=False
            ),
        )
    return denoiser


def train_denoiser(
    motions: MotionSet, head: Head, folder: Path, schedule: Schedule, denoiser: DenoiserNetwork,
    speech: SpeechTerm | None = None, device: str = "cpu",
) -> tuple[DenoiserNetwork, dict[str, float]]:  # fmt: skip
    """Train a denoiser of `build_denoiser` on the teacher's motions, with L_m2s if there is a
    `speech` term. Returns (denoiser, figures on the unseen test voices)."""
    batches = SpeechBatches(
        motions,
        motions.of("train", FRAMES, listening=True),
        FRAMES,
        schedule.batch or BATCH,
        mel=speech is not None,
        mouth=True,
    )
    performer = Performer(denoiser)
    loss = DenoiserLoss(head, denoiser, batches, speech, device)
    watched, test = (
        SpeechBatches(motions, rows, FRAMES, BATCH, mel=False, mouth=True)
        for rows in (motions.watched_rows(FRAMES), motions.of("test", FRAMES))
    )
    fit(
        performer,
        batches,
        loss,
        schedule,
        folder,
        lambda model: loss.figures(model, watched),
        device=device,
    )
    with torch.no_grad():
        return performer.denoiser, {
            f"test_{k}": round(v, 4) for k, v in loss.figures(performer, test).items()
        }


def as_sampled(
    truth: Tensor, guess: Tensor, step: Tensor, alpha: Tensor, replaced: Tensor
) -> Tensor:
    """Training input x_0 [B, T, C]: in `replaced` channels the truth is blended with the model's
    `guess`, more at high noise.

    step: [B]; alpha: ᾱ of every step; replaced: bool, broadcast over the motion.

    In sampling the model sees its earlier estimate, which is slightly weaker than the truth.
    Trained on the truth alone it takes that for a calm style and weakens the motion at every step.
    After DREAM (Zhou et al., CVPR 2024).
    """
    share = (1 - alpha.to(truth.device)[step]).sqrt()[:, None, None]
    return truth + share * replaced * (guess - truth)


def _spreads(
    batches: SpeechBatches, mouth: MouthNetwork, denoiser: DenoiserNetwork
) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
    """Variances of standardised motion [C], of mouth vertices (one number), of what is seen of the
    lips [5], and of their frame differences."""
    rng = np.random.default_rng(2)
    x = torch.cat([batches(rng)["motion"] for _ in range(12)])
    device = denoiser.motion_mean.device
    x = x.to(device)
    truth = denoiser.standardise(x)
    vertices = mouth.of_packed(x)
    shape = mouth.shape(vertices)
    rec = (torch.ones(x.shape[-1], device=device), vertices.flatten(2).var(), shape.var((0, 1)))
    change = truth.diff(dim=1).square().mean((0, 1)).clamp_min(1e-2)
    return {
        "rec": rec,
        "vel": (
            change,
            vertices.diff(dim=1).square().mean(),
            shape.diff(dim=1).square().mean((0, 1)),
        ),
    }
