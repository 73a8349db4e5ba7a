# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of mesh-to-speech (§4.1): L = 10 · L1(mel) + 1 · CE(units), and the scale of the
lip-sync score."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from research.train.corpus import LONGEST_CROP
from research.train.loop import fit, Schedule, start_from
from research.train.motions import MotionSet, TRUE_TO_SOUND, UNITS, VARIANTS
from research.train.spaces import MouthNetwork, Space
from research.train.takes import KINDS, Takes
from thunder_core.acoustics import gain, log_mel
from thunder_core.engine.m2s import evidence, WINDOW
from thunder_core.face.head import Head
from thunder_core.networks.speech import MeshToSpeechConfig, MeshToSpeechNetwork
from thunder_core.types import FPS

FRAMES = round(LONGEST_CROP * FPS)  # 5 s, as in the paper
BATCH, MEASURED = 16, 32  # crops that a step learns from, and that it is measured by
# share of crops without movement of teeth and tongue, so that lips alone must suffice
HIDE_INNER = 0.5


class SpeechBatches:
    """Draws crops: motion [B, T, C], its direction [B, 1, DIRECTION_NAMES] and events [B, T,
    EVENTS] (NaN if unknown), log-mel [B, 4T, 80], units [B, 2T], voices [B, 256], speech features
    [B, T, d], origin of each ("crop", int64 [B, 3]: row number, first frame, variant); with `waves`
    also the sound [B, 640·T]; with `mouth` the curves of the map of mouths [B, T, 6]. variants:
    number of those that are drawn; `TRUE_TO_SOUND` of them say what is heard."""

    def __init__(
        self, motions: MotionSet, numbers: list[int], frames: int, batch: int, mel: bool = True,
        waves: bool = False,
        variants: int = VARIANTS, mouth: bool = False,
    ):  # fmt: skip
        self.motions = motions
        self.numbers = numbers
        self.frames = frames
        self.batch = batch
        self.mel, self.waves, self.mouth = mel, waves, mouth
        self.variants = variants
        self._gain: dict[int, float] = {}

    def gain(self, number: int) -> float:
        """Factor that normalises a row's whole recording to one speech level."""
        if number not in self._gain:
            row = self.motions.rows[number]
            self._gain[number] = gain(self.motions.samples(number, 0, row.frames))
        return self._gain[number]

    def __call__(self, rng: np.random.Generator) -> dict[str, Tensor]:
        return self.item(
            self.motions.draw(self.numbers, self.frames, self.batch, rng, self.variants)
        )

    def item(self, crops: list[tuple[int, int, int]]) -> dict[str, Tensor]:
        """The batch of crops (row number, first frame, variant)."""
        set_, frames = self.motions, self.frames
        at = [slice(set_.rows[i].start + a, set_.rows[i].start + a + frames) for i, a, _ in crops]
        item = {
            "motion": torch.from_numpy(
                np.stack([set_.motions[v, s] for s, (_, _, v) in zip(at, crops)]).astype(np.float32)
            ),
            "direction": torch.from_numpy(np.stack([set_.directions[v, i] for i, _, v in crops]))[
                :, None
            ],
            "events": torch.from_numpy(
                np.stack([set_.events[v, s] for s, (_, _, v) in zip(at, crops)]).astype(np.float32)
            ),
            "features": torch.from_numpy(
                np.stack([set_.features_of(i, a, frames, v) for i, a, v in crops])
            ),
            "units": torch.from_numpy(
                np.stack([set_.units[s] for s in at]).astype(np.int64)
            ).flatten(1),
            "voices": torch.from_numpy(np.stack([set_.voices[i] for i, _, _ in crops])),
            "crop": torch.tensor(crops),
        }
        if self.mouth:
            curves = [set_.mouth_of(i, a, frames, v) for i, a, v in crops]
            item["mouth"] = torch.from_numpy(np.stack(curves))
        if self.mel or self.waves:
            waves = [set_.samples(i, a, frames) * self.gain(i) for i, a, _ in crops]
            if self.mel:
                mels = [log_mel(wave, WINDOW)[: 4 * frames] for wave in waves]
                item["mel"] = torch.from_numpy(np.stack(mels))
            if self.waves:
                item["waves"] = torch.from_numpy(np.stack(waves))
        return item


class TakenBatches(SpeechBatches):
    """The same, of which a share are crops of takes and of filmed mouths, as often as given."""

    def __init__(self, taken: Takes, share: float, *given, **more):
        super().__init__(*given, **more)
        self.takes, self.share = taken, share
        self.taken = [number for number in self.numbers if number in taken.rows]

    def __call__(self, rng: np.random.Generator) -> dict[str, Tensor]:
        count = int(rng.binomial(self.batch, self.share)) if self.taken else 0
        draw, rows = self.motions.draw, self.motions.rows
        crops = draw(self.numbers, self.frames, self.batch - count, rng, self.variants)
        crops += draw(self.taken, self.frames, count, rng, KINDS) if count else []
        item = self.item(crops)
        for place in range(self.batch - count, self.batch):
            number, first, kind = crops[place]
            at = slice(rows[number].start + first, rows[number].start + first + self.frames)
            item["motion"][place] = torch.from_numpy(
                self.takes.motions[kind, at].astype(np.float32)
            )
        return item


def speech_loss(logits: Tensor, mel: Tensor, item: dict[str, Tensor]) -> dict[str, Tensor]:
    """L_m2s = 10 · L1(mel) + CE(units) (§4.1)."""
    l1 = (mel.float() - item["mel"]).abs().mean()
    ce = F.cross_entropy(logits.float().flatten(0, 1), item["units"].flatten(), label_smoothing=0.1)
    return {"total": 10 * l1 + ce, "mel": l1, "units": ce}


def speech_figures(
    model: MeshToSpeechNetwork, seen: Tensor, item: dict[str, Tensor]
) -> dict[str, float]:
    """Figures of a network with input `seen` [B, T, …] on a batch: the terms of its loss, the
    evidence in nats for the spoken units and for those of another clip, and how often the right
    clip has more."""
    logits, mel = model(seen, item["voices"])
    read, prior = (each.detach().float().cpu().numpy() for each in (logits, model.unit_log_prior))
    true, other = (
        np.array([evidence(g, u, prior).mean() for g, u in zip(read, units.cpu().numpy())])
        for units in (item["units"], item["units"].roll(1, 0))
    )
    terms = speech_loss(logits, mel, item)
    return {
        "mel": float(terms["mel"]), "units": float(terms["units"]),
        "evidence_true": float(true.mean()), "evidence_other": float(other.mean()),
        "prefers_own_sound": float((true[:, None] > other[None]).mean()),
    }  # fmt: skip


def train_m2s(
    motions: MotionSet, head: Head, folder: Path, schedule: Schedule,
    kind: Callable[[Head], Space] = MouthNetwork, space: str = "mouth", device: str = "cpu",
    start: dict[str, Tensor] | None = None, taken: tuple[Takes, float] | None = None,
):  # fmt: skip
    """Train mesh-to-speech of a kind of input, called `space`, on the teacher's motions, from
    `start` weights where their shapes fit.

    taken: takes and filmed mouths, and the share of crops that are of these.
    Returns (model, figures on the unseen test voices, of takes too where there are any of them).
    """
    torch.manual_seed(schedule.seed)
    view = kind(head)
    model = MeshToSpeechNetwork(MeshToSpeechConfig(inputs=view.size, space=space, units=UNITS))
    if start:
        start_from(model, start)
    kind_of = SpeechBatches if taken is None else partial(TakenBatches, *taken)
    batches = kind_of(motions, motions.of("train", FRAMES), FRAMES, BATCH, variants=TRUE_TO_SOUND)
    calibrate(model, lambda item: view.of_packed(item["motion"]), batches, motions)
    view = view.to(device)

    def see(item: dict[str, Tensor]) -> Tensor:
        return view.of_packed(item["motion"])

    def loss(model: MeshToSpeechNetwork, item, rng) -> dict[str, Tensor]:
        item = {k: v.to(device) for k, v in item.items()}
        with torch.no_grad(), torch.autocast(torch.device(device).type, enabled=False):
            seen = see(item)
            if type(view) is MouthNetwork:
                hidden = torch.from_numpy(rng.random(len(seen)) < HIDE_INNER).to(device)
                seen = seen * ~(hidden[:, None, None] & view.inner)[..., None]
            seen = seen + view.shake * float(rng.random()) * torch.randn_like(seen)
        logits, mel = model(seen, item["voices"])
        return speech_loss(logits, mel, item)

    # a test of single sentences may have no crop of full length
    longest = min(FRAMES, max(motions.rows[i].frames for i in motions.of("test")))
    watched, test = (
        SpeechBatches(motions, rows, frames, MEASURED, variants=TRUE_TO_SOUND)
        for rows, frames in (
            (motions.watched_rows(FRAMES), FRAMES),
            (motions.of("test", longest), longest),
        )
    )
    figures = fit_and_measure(model, see, loss, (batches, watched, test), schedule, folder, device)
    if taken is not None:
        takes = TakenBatches(taken[0], 1.0, motions, test.numbers, longest, MEASURED)
        if takes.taken:
            item = {k: v.to(device) for k, v in takes(np.random.default_rng(0)).items()}
            with torch.no_grad():
                of_takes = speech_figures(model, see(item), item)
            figures |= {f"takes_{name}": round(value, 4) for name, value in of_takes.items()}
    return model, figures


def fit_and_measure(
    model: MeshToSpeechNetwork, see: Callable[[dict[str, Tensor]], Tensor], loss,
    data: tuple[SpeechBatches, SpeechBatches, SpeechBatches],
    schedule: Schedule, folder: Path, device: str,
) -> dict[str, float]:  # fmt: skip
    """Train a network from mouths to speech; returns its figures on the held-out test voices.

    see: batch → the network's input.  loss: as `loop.fit` takes it.  data: of training, of the
    voices watched meanwhile, of the test voices.
    """
    batches, watched, test = data

    def measure(model: MeshToSpeechNetwork, held_out: SpeechBatches) -> dict[str, float]:
        item = {k: v.to(device) for k, v in held_out(np.random.default_rng(0)).items()}
        return speech_figures(model, see(item), item)

    fit(model, batches, loss, schedule, folder, lambda m: measure(m, watched), device=device)
    with torch.no_grad():
        figures = measure(model, test)
    return {f"test_{k}": round(v, 4) for k, v in figures.items()}


def calibrate(
    model: MeshToSpeechNetwork, see: Callable[[dict[str, Tensor]], Tensor], batches: SpeechBatches,
    motions: MotionSet
) -> None:  # fmt: skip
    """Set the fixed scales of the network's input and output, and how often each unit occurs."""
    rng = np.random.default_rng(0)
    items = [batches(rng) for _ in range(8)]
    model.scale.copy_(torch.cat([see(item) for item in items]).std())
    mels = torch.cat([i["mel"] for i in items]).flatten(0, 1)
    model.mel_mean.copy_(mels.mean(0))
    model.mel_std.copy_(mels.std(0))
    counts = np.bincount(np.asarray(motions.units).ravel()[::7], minlength=UNITS) + 1.0
    model.unit_log_prior.copy_(torch.from_numpy(np.log(counts / counts.sum())).float())
