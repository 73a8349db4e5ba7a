# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of each system of the paper's comparison: its labels, its loss in addition to the shared
one, and its validation figures.

The shared loss is the diffusion model's (`denoiser.DenoiserLoss`): reconstruction, velocity and, on
request, L_m2s. A learner holds what only training needs; its `network` is exported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from research.systems.denoisers import (
    ClipImages,
    DiffPoseTalk,
    DiffPoseTalkConfig,
    LABELS,
    Media2Face,
    Media2FaceConfig,
    PlainThunder,
)
from research.systems.regressors import (
    FlameFormer,
    FlameFormerConfig,
    FlameSelfTalk,
    RegressorConfig,
)
from research.train.denoiser import (
    DenoiserLoss,
    ESTIMATED,
    FRAMES,
    Performer,
    SpeechTerm,
    standardise,
)
from research.train.encoder import TrainableEncoder
from research.train.lip_reader import LipReader, text_loss
from research.train.loop import fit, Schedule
from research.train.m2s import SpeechBatches
from research.train.motions import MotionSet
from research.train.pictures import pictures_for, vary_tone, Views
from research.train.spaces import SPACES
from thunder_core.engine.speech.encoder import LOUDNESS, OFFSET
from thunder_core.face.head import Head
from thunder_core.networks.denoiser import DenoiserConfig
from thunder_core.spoken import SILENCE
from thunder_core.types import ENCODER_RATE, FPS

REFERENCE = 50  # frames of the motion that a style is read from
# noise on FlameFormer's input frames, in standard deviations; without it, it copies them and drifts
SHAKE = 0.3
# weights of SelfTalk's two additional losses; the text loss is in nats per phone
TEXT, LATENT = 0.05, 0.1
# performances in a batch of the style encoder, and frames needed of each
STYLE_BATCH, STYLE_FRAMES = 32, 2 * REFERENCE
PICTURES = 32  # batch size of the image encoder
# pictures that it learns from, each toned anew whenever it is shown, and that it is watched on
SHOWN, WATCHED = 4000, 400
PICTURE_ROUNDS = 6  # image encoder's steps for each of a style encoder's, as they are short
LEAST_TELLING = 0.5  # mood strength from which a picture of the image encoder's should show it


@dataclass(frozen=True)
class Labels:
    """Labels of the corpus besides sound and motion.

    motions: the set.  speakers: training speakers who speak, in alphabetical order.
    """

    motions: MotionSet
    speakers: tuple[str, ...]

    @staticmethod
    def of(motions: MotionSet) -> Labels:
        rows = (motions.rows[i] for i in motions.of("train"))
        return Labels(motions, tuple(sorted({row.speaker for row in rows if row.clip >= 0})))

    def speaker(self, number: int, rng: np.random.Generator) -> int:
        """Index in `speakers` of a row's speaker; a random one in silence, or if it is another's
        voice."""
        name = self.motions.rows[number].speaker
        return self._index.get(name, int(rng.integers(len(self.speakers))))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.speakers)}

    def phones(self, number: int, first: int, frames: int) -> np.ndarray:
        """int64 [4 · frames] phone labels, 10 ms each, of a row from an animation frame on; silence
        if nobody speaks."""
        row = self.motions.rows[number]
        result = np.full(4 * frames, SILENCE, np.int64)
        if row.clip >= 0 and not row.listens:
            said = self.motions.corpus.phones(self.motions.corpus.clips[row.clip])[
                4 * first : 4 * (first + frames)
            ]
            result[: len(said)] = said
        return result

    def reference(
        self, number: int, first: int, frames: int, variant: int, rng: np.random.Generator
    ) -> np.ndarray:
        """float32 [REFERENCE, C]: a stretch of the same style that shares no frame with frames
        first … first + frames.

        Of the same performance where that is long enough beside these frames, else of another line
        of the speaker. If there is none, the end of this one that shares the fewest frames with
        them.
        """
        row = self.motions.rows[number]
        starts = [
            *range(0, first - REFERENCE + 1),
            *range(first + frames, row.frames - REFERENCE + 1),
        ]
        others = [] if starts else [i for i in self._lines[row.split, row.speaker] if i != number]
        if others:
            row = self.motions.rows[int(rng.choice(others))]
            starts = range(row.frames - REFERENCE + 1)
        last = row.frames - REFERENCE
        at = row.start + int(
            rng.choice(starts) if starts else last if first < row.frames - first - frames else 0
        )
        return self.motions.motions[variant, at : at + REFERENCE].astype(np.float32)

    @cached_property
    def _lines(self) -> dict[tuple[str, str], list[int]]:
        """Rows of each speaker of each split that are as long as a reference."""
        lines: dict[tuple[str, str], list[int]] = {}
        for number, row in enumerate(self.motions.rows):
            if row.frames >= REFERENCE and not row.listens:
                lines.setdefault((row.split, row.speaker), []).append(number)
        return lines


class LabelledBatches(SpeechBatches):
    """`SpeechBatches` with "speaker" int64 [B], and "phones" [B, 4T] or "reference" [B, REFERENCE,
    C] on request."""

    def __init__(
        self, labels: Labels, numbers: list[int], batch: int, wants: tuple[str, ...] = (), **options
    ):
        super().__init__(labels.motions, numbers, FRAMES, batch, **options)
        self.labels, self.wants = labels, wants

    def __call__(self, rng: np.random.Generator) -> dict[str, Tensor]:
        item = super().__call__(rng)
        crops = item["crop"].tolist()
        item["speaker"] = torch.tensor([self.labels.speaker(i, rng) for i, _, _ in crops])
        if "phones" in self.wants:
            item["phones"] = torch.from_numpy(
                np.stack([self.labels.phones(i, a, self.frames) for i, a, _ in crops])
            )
        if "reference" in self.wants:
            rows = [self.labels.reference(i, a, self.frames, v, rng) for i, a, v in crops]
            item["reference"] = torch.from_numpy(np.stack(rows))
        return item


TEMPERATURE = 0.1  # temperature of the contrastive loss, as in DiffPoseTalk


def contrastive_loss(first: Tensor, second: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (Chen et al. 2020) of tokens [N, c] and [N, c] of length 1: row n of both belong
    together, all others do not."""
    tokens = torch.cat([first, second])
    n = len(first)
    alike = tokens @ tokens.T / temperature
    alike = alike.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=alike.device), -torch.inf)
    return F.cross_entropy(alike, torch.arange(2 * n, device=alike.device).roll(n))


# ---- learners: one class for every system.  network: exported.  wants: labels needed from
# `LabelledBatches`.  prepare: trains what has to be there before, resumably


def _sizes(motions: MotionSet) -> dict[str, int]:
    """Widths of motion and sound, as every config has them."""
    return {"motion": motions.motions.shape[2], "audio": motions.features.shape[1]}


class _Diffusion(Performer):
    """A denoiser with the diffusion model's loss. `style`: its condition besides the sound."""

    wants: tuple[str, ...] = ()

    @property
    def network(self) -> nn.Module:
        return self.denoiser

    def loss(
        self, head: Head, batches: SpeechBatches, m2s: nn.Module | None, m2s_weight: float,
        device: str, masked: bool = False
    ) -> DenoiserLoss:  # fmt: skip
        return DenoiserLoss(
            head,
            self.denoiser,
            batches,
            SpeechTerm(m2s, m2s_weight, masked, SPACES[m2s.config.space]) if m2s else None,
            device,
        )

    def prepare(
        self, labels: Labels, head: Head, folder: Path, schedule: Schedule, device: str
    ) -> None:
        """Nothing has to be there before."""


def at_frames(features: Tensor, frames: int) -> Tensor:
    """Linear interpolation of 50 Hz features [..., N, d] at the times t/25 s of animation frames →
    [..., frames, d], with gradients."""
    last = features.shape[-2] - 1
    t = (torch.arange(frames, device=features.device) / FPS - OFFSET) * ENCODER_RATE
    t = t.clamp(0, last)
    i = t.floor().long().clamp(max=max(0, last - 1))
    w = (t - i)[:, None].to(features.dtype)
    return features[..., i, :] * (1 - w) + features[..., (i + 1).clamp(max=last), :] * w


def phonetic(hidden: Tensor, logits: Tensor, frames: int) -> Tensor:
    """Hidden features [..., N, width] and how likely each phone is, from logits [..., N, 40] →
    [..., frames, width + 40]."""
    return at_frames(torch.cat([hidden, logits.softmax(-1)], -1).float(), frames)


class ThunderLearner(_Diffusion):
    """THUNDER without a direction: -F, or -T with an encoder that is trained too."""

    def __init__(self, denoiser: PlainThunder, encoder: TrainableEncoder | None):
        super().__init__(denoiser)
        self.encoder = encoder

    def features(self, item: dict[str, Tensor]) -> Tensor:
        if self.encoder is None:
            return item["features"]
        with torch.no_grad(), torch.autocast(item["waves"].device.type, enabled=False):
            prepared = self.encoder.prepare(item["waves"])
        read = phonetic(*self.encoder(prepared), item["features"].shape[1])
        return torch.cat([read, item["features"][..., -LOUDNESS:]], -1)

    @staticmethod
    def build(
        motions: MotionSet, labels: Labels, head: Head, encoder: TrainableEncoder | None = None
    ) -> ThunderLearner:
        return ThunderLearner(PlainThunder(DenoiserConfig(**_sizes(motions))), encoder)

    def style(self, item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        nothing = item["motion"].new_zeros(len(item["motion"]), 1, 1)
        return nothing, torch.ones(len(nothing), dtype=torch.bool, device=nothing.device)


class DiffPoseTalkLearner(_Diffusion):
    """DiffPoseTalk: the token is of another stretch of the same performance, or of another line of
    the speaker (`Labels.reference`)."""

    wants = ("reference",)

    @staticmethod
    def build(
        motions: MotionSet, labels: Labels, head: Head, encoder: None = None
    ) -> DiffPoseTalkLearner:
        learner = DiffPoseTalkLearner(DiffPoseTalk(DiffPoseTalkConfig(**_sizes(motions))))
        learner.network.style_encoder.requires_grad_(False)
        return learner

    def style(self, item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        token = self.network.condition_of(item["reference"])
        return token, torch.zeros(len(token), dtype=torch.bool, device=token.device)

    def prepare(
        self, labels: Labels, head: Head, folder: Path, schedule: Schedule, device: str
    ) -> None:
        """The style encoder, contrastively."""
        network, motions = self.network, labels.motions
        watched = motions.watched_rows(STYLE_FRAMES)

        def draw(numbers: list[int]) -> Callable[[np.random.Generator], Tensor]:
            return lambda rng: _pairs(motions, numbers, rng)

        def loss(model: nn.Module, pairs: Tensor, rng: np.random.Generator) -> dict[str, Tensor]:
            pairs = network.standardise(pairs.to(device))
            return {"total": contrastive_loss(model(pairs[:, 0]), model(pairs[:, 1]))}

        def figures(model: nn.Module) -> dict[str, float]:
            """Rate at which the other part of the same performance is the nearest of all, and the
            rate by chance."""
            pairs = network.standardise(
                _pairs(motions, watched, np.random.default_rng(0)).to(device)
            )
            alike = model(pairs[:, 0]) @ model(pairs[:, 1]).T
            right = (
                (alike.argmax(1) == torch.arange(len(alike), device=alike.device)).float().mean()
            )
            return {"nearest_is_its_own": float(right), "by_chance": 1 / len(alike)}

        encoder = network.style_encoder.requires_grad_(True)
        fit(
            encoder,
            draw(motions.of("train", STYLE_FRAMES)),
            loss,
            schedule,
            folder / "style",
            figures,
            device=device,
        )
        encoder.requires_grad_(False)


def _pairs(motions: MotionSet, numbers: list[int], rng: np.random.Generator) -> Tensor:
    """Two stretches [STYLE_BATCH, 2, REFERENCE, C] of as many performances, that do not overlap;
    quiet rows have no style."""
    speaking = [i for i in numbers if motions.rows[i].clip >= 0]
    crops = motions.draw(speaking, STYLE_FRAMES, STYLE_BATCH, rng)
    stretches = []
    for number, first, variant in crops:
        row = motions.rows[number]
        later = int(rng.integers(first + REFERENCE, row.frames - REFERENCE + 1))
        starts = (row.start + first, row.start + later)
        stretches.append(
            np.stack([motions.motions[variant, a : a + REFERENCE] for a in starts]).astype(
                np.float32
            )
        )
    return torch.from_numpy(np.stack(stretches))


class Media2FaceLearner(_Diffusion):
    """Media2Face: half of the rows have the label as condition, half the image encoder's output for
    a frame of the motion."""

    @staticmethod
    def build(
        motions: MotionSet,
        labels: Labels,
        head: Head,
        encoder: None = None,
        clip: ClipImages | None = None,
    ) -> Media2FaceLearner:
        width = clip.width if clip else 0
        config = Media2FaceConfig(**_sizes(motions), clip=width, varied=True)
        learner = Media2FaceLearner(Media2Face(config))
        learner.network.image_encoder.requires_grad_(False)
        if clip is not None:
            learner.network.look_through(clip)
        # no part of the network: it is not saved
        learner.__dict__["pictures"] = pictures_for(config, head)
        return learner

    def style(self, item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        labels, unknown = _moods(item)
        seen = torch.arange(len(labels), device=labels.device) % 2 == 0
        frame = item["motion"][seen, item["motion"].shape[1] // 2]
        labels = labels.clone()
        labels[seen] = self.network.condition_of(self.pictures(frame)).to(labels)
        return labels, unknown & ~seen

    def prepare(
        self, labels: Labels, head: Head, folder: Path, schedule: Schedule, device: str
    ) -> None:
        """The image encoder, on pictures of single frames in varied views and the moods that they
        were performed in."""
        motions, network = labels.motions, self.network
        schedule = replace(schedule, steps=PICTURE_ROUNDS * schedule.steps)

        @cache  # drawn when they are needed first: never where the encoder is trained already
        def training_pictures() -> tuple[Tensor, Tensor]:
            return self._pictures_of(
                motions, motions.of("train"), min(SHOWN, PICTURES * schedule.steps), schedule.seed
            )

        @cache
        def validation_pictures() -> tuple[Tensor, Tensor]:
            return self._pictures_of(
                motions, motions.watched_rows(), min(WATCHED, PICTURES * schedule.steps), 0
            )

        def draw(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
            pictures, moods = training_pictures()
            some = torch.from_numpy(rng.integers(len(pictures), size=PICTURES))
            return network.encoder_input(
                vary_tone(_mirror_half(pictures[some].float() / 255, rng), rng).to(device)
            ), moods[some]

        def loss(
            model: nn.Module, item: tuple[Tensor, Tensor], rng: np.random.Generator
        ) -> dict[str, Tensor]:
            seen, moods = (x.to(device) for x in item)
            shown = model(seen).float()
            with torch.autocast(moods.device.type, enabled=False):  # it refuses half precision
                return {"total": nn.functional.binary_cross_entropy(shown, moods)}

        def figures(model: nn.Module) -> dict[str, float]:
            """Of faces in a strong mood, where there are some: how often it is the one that the
            picture shows most."""
            pictures, moods = validation_pictures()
            strong = moods.amax(1) > LEAST_TELLING
            if not strong.any():
                return {"by_chance": 1 / len(LABELS)}
            read = model(network.encoder_input(pictures[strong].float().to(device) / 255)).cpu()
            right = (read.argmax(1) == moods[strong].argmax(1)).float().mean()
            return {"strongest_mood_seen": float(right), "by_chance": 1 / len(LABELS)}

        encoder = self.network.image_encoder.requires_grad_(True)
        fit(encoder, draw, loss, schedule, folder / "image", figures, device=device)
        encoder.requires_grad_(False)

    def _pictures_of(
        self, motions: MotionSet, numbers: list[int], count: int, seed: int
    ) -> tuple[Tensor, Tensor]:
        """Varied pictures uint8 [count, n, n] of frames of speaking rows, and the moods that they
        were performed in [count, LABELS]."""
        rng = np.random.default_rng([seed, 6])
        crops = motions.draw([i for i in numbers if motions.rows[i].clip >= 0], 1, count, rng)
        moods = np.stack([motions.directions[v, i, -len(LABELS) :] for i, _, v in crops])
        pictures = []
        for first in range(0, count, PICTURES):
            frames = [
                motions.motions[v, motions.rows[i].start + a]
                for i, a, v in crops[first : first + PICTURES]
            ]
            x = torch.from_numpy(np.stack(frames).astype(np.float32))
            pictures.append(
                (255 * self.pictures(x, Views.random(len(x), rng))).round().to(torch.uint8)
            )
        return torch.cat(pictures), torch.from_numpy(np.nan_to_num(moods).astype(np.float32))


def _mirror_half(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures [B, n, n], about half of them mirrored: no mood is one-sided."""
    return torch.where(
        torch.from_numpy(rng.random(len(pictures)) < 0.5)[:, None, None], pictures.flip(2), pictures
    )


def _moods(item: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Strength of every label [B, 1, LABELS] of a batch's performances, and for which rows it is
    not known, bool [B]."""
    labels = item["direction"][..., -len(LABELS) :]
    return labels.nan_to_num(), labels.isnan().any(2)[:, 0]


class _Regression(nn.Module, ABC):
    """A network that makes one motion of a sound and a speaker."""

    wants: tuple[str, ...] = ()

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    @abstractmethod
    def estimate(self, item: dict[str, Tensor], truth: Tensor, rng: np.random.Generator) -> Tensor:
        """Standardised motions [B, T, C], which the loss compares with `truth`."""

    @abstractmethod
    def run_free(self, item: dict[str, Tensor]) -> Tensor:
        """Standardised motions [B, T, C] as the network performs."""

    def loss(
        self, head: Head, batches: SpeechBatches, m2s: nn.Module | None, m2s_weight: float,
        device: str, masked: bool = False
    ) -> DenoiserLoss:  # fmt: skip
        return RegressionLoss(
            head,
            self.network,
            batches,
            SpeechTerm(m2s, m2s_weight, space=SPACES[m2s.config.space]) if m2s else None,
            device,
        )

    def prepare(
        self, labels: Labels, head: Head, folder: Path, schedule: Schedule, device: str
    ) -> None:
        """Nothing has to be there before."""

    def extra_terms(
        self, item: dict[str, Tensor]
    ) -> Callable[[Tensor, Tensor], dict[str, Tensor]] | None:
        """Further terms of the loss, from mouth vertices of estimate and truth."""
        return None


class RegressionLoss(DenoiserLoss):
    """The diffusion model's loss for a network without noise."""

    def __call__(
        self, model: _Regression, item: dict[str, Tensor], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        item = {k: v.to(self.device) for k, v in item.items()}
        truth = model.network.standardise(item["motion"])
        return self.compare(
            model.network, model.estimate(item, truth, rng), truth, item, model.extra_terms(item)
        )

    def figures(self, model: _Regression, held_out: SpeechBatches) -> dict[str, float]:
        """As for diffusion, but of the network's performance in a random training speaker's
        style."""
        item = {k: v.to(self.device) for k, v in held_out(np.random.default_rng(0)).items()}
        return self.errors(model.network.restore(model.run_free(item)), item["motion"])


class FlameFormerLearner(_Regression):
    """FlameFormer with teacher forcing on slightly noisy true frames; half of the rows use its
    estimates instead (scheduled sampling, Mihaylova and Martins 2019). The original was trained
    autoregressively on its output."""

    @staticmethod
    def build(
        motions: MotionSet, labels: Labels, head: Head, encoder: None = None
    ) -> FlameFormerLearner:
        sizes = _sizes(motions) | {"speakers": len(labels.speakers)}
        return FlameFormerLearner(FlameFormer(FlameFormerConfig(**sizes)))

    def estimate(self, item: dict[str, Tensor], truth: Tensor, rng: np.random.Generator) -> Tensor:
        audio, speaker = item["features"], item["speaker"]
        guessed = torch.from_numpy(rng.random(len(truth)) < ESTIMATED).to(truth.device)
        known = truth
        if guessed.any():
            with torch.no_grad():
                guess = self.network(
                    before(truth[guessed]), audio[guessed], speaker[guessed]
                ).float()
            known = truth.clone()
            known[guessed] = guess
        return self.network(before(known + SHAKE * torch.randn_like(known)), audio, speaker)

    def run_free(self, item: dict[str, Tensor]) -> Tensor:
        return self.network.free_run(item["features"], item["speaker"])


def before(motion: Tensor) -> Tensor:
    """The frame before each of [B, T, C], zeros before the first."""
    return nn.functional.pad(motion[:, :-1], (0, 0, 1, 0))


class FlameSelfTalkLearner(_Regression):
    """FlameSelfTalk and the lip reader that its text and its features are compared by."""

    wants = ("phones",)

    def __init__(self, network: FlameSelfTalk, vertices: int):
        super().__init__(network)
        self.reader = LipReader(vertices, network.config.audio)

    @staticmethod
    def build(
        motions: MotionSet, labels: Labels, head: Head, encoder: None = None
    ) -> FlameSelfTalkLearner:
        sizes = _sizes(motions) | {"speakers": len(labels.speakers)}
        return FlameSelfTalkLearner(
            FlameSelfTalk(RegressorConfig(**sizes)), len(head.mouth_vertices)
        )

    def estimate(self, item: dict[str, Tensor], truth: Tensor, rng: np.random.Generator) -> Tensor:
        return self.network(item["features"], item["speaker"])

    def run_free(self, item: dict[str, Tensor]) -> Tensor:
        return self.network(item["features"], item["speaker"])

    def extra_terms(self, item: dict[str, Tensor]) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
        """Text and features that lips of the estimate give must be those of the sound; of true lips
        too, so that the reader learns."""
        of_sound = self.network.standardise_audio(item["features"])

        def terms(vertices: Tensor, true_vertices: Tensor) -> dict[str, Tensor]:
            both = [self.reader(v) for v in (vertices, true_vertices)]
            text = sum(text_loss(said, item["phones"]) for _, said in both)
            return {
                "text": TEXT * text,
                "latent": LATENT
                * sum((features - of_sound).square().mean() for features, _ in both),
            }

        return terms


LEARNERS: dict[str, Any] = {
    "thunder": ThunderLearner,
    "flameformer": FlameFormerLearner,
    "flameselftalk": FlameSelfTalkLearner,
    "diffposetalk": DiffPoseTalkLearner,
    "media2face": Media2FaceLearner,
}
REGRESSORS = tuple(name for name, learner in LEARNERS.items() if issubclass(learner, _Regression))


def build_learner(
    system: str, motions: MotionSet, labels: Labels, head: Head,
    encoder: TrainableEncoder | None = None, clip: ClipImages | None = None
):  # fmt: skip
    """An untrained learner of a system of LEARNERS, standardised by the training set.

    encoder: trained along (THUNDER-T).  clip: what Media2Face sees pictures through.
    """
    further = {"clip": clip} if clip is not None and system == Media2Face.name else {}
    learner = LEARNERS[system].build(motions, labels, head, encoder, **further)
    standardise(
        learner.network, LabelledBatches(labels, motions.of("train", FRAMES), 16, mel=False)
    )
    return learner
