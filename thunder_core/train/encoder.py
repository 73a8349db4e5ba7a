# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the speech encoder: every 20 ms frame names its phone, through noise, rooms and gain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..speech.encoder import EncoderConfig, SpeechEncoder
from ..speech.mel import level
from ..speech.phones import SILENCE
from ..types import RATE
from .augment import augment, noise
from .corpus import LABEL_HOP, Clip, Corpus
from .loop import Schedule, fit

CROP = 160  # feature frames, 3.2 s
BATCH = 16
IGNORE = -100


def frame_labels(phones: np.ndarray) -> np.ndarray:
    """10 ms labels [2N] → labels of the 20 ms feature frames [N]."""
    return phones[: len(phones) // 2 * 2 : 2].astype(np.int64)


def calibrate_spectrum(encoder: SpeechEncoder, corpus: Corpus, clips: list[Clip]) -> None:
    """Set the encoder's fixed mel mean and deviation [80] from a sample of the corpus."""
    mels = [encoder.log_mel(level(torch.from_numpy(corpus.samples(c))[None]))[0] for c in clips[:: max(1, len(clips) // 200)]]
    mels = torch.cat(mels)
    encoder.mel_mean.copy_(mels.mean(0))
    encoder.mel_std.copy_(mels.std(0))


class PhoneBatches:
    """Draws (waveforms [B, samples], labels [B, N]) of random crops; some are silence with noise, labelled so."""

    def __init__(self, corpus: Corpus, clips: list[Clip]):
        self.corpus, self.clips = corpus, clips
        self.odds = np.array([c.length for c in clips], float)
        self.odds /= self.odds.sum()

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        n = CROP * 2 * LABEL_HOP
        waves, labels = torch.zeros(BATCH, n), torch.full((BATCH, CROP), IGNORE)
        for row, pick in enumerate(rng.choice(len(self.clips), BATCH, p=self.odds)):
            if rng.random() < 0.03:  # noise without a voice
                waves[row] = noise(n, rng) * 10 ** rng.uniform(-4, -1.5)
                labels[row] = SILENCE
                continue
            clip = self.clips[pick]
            wave = level(torch.from_numpy(self.corpus.samples(clip))[None])[0]
            label = frame_labels(self.corpus.phones(clip))
            start = int(rng.integers(0, max(1, len(label) - CROP + 1)))
            take = min(CROP, len(label) - start)
            crop = wave[start * 2 * LABEL_HOP : (start + take) * 2 * LABEL_HOP]
            waves[row, : len(crop)] = crop
            labels[row, :take] = torch.from_numpy(label[start : start + take])
            if take < CROP:  # the padding is silence as well as anything is
                labels[row, take:] = SILENCE
            waves[row] = augment(waves[row], rng)
        return waves, labels


def mask_spectrum(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment on standardised mels [B, 2N, 80]: two bands and two stretches per crop are set to the mean."""
    mel = mel.clone()
    for row in mel:
        for _ in range(2):
            band, at = rng.integers(0, 12), rng.integers(0, 68)
            row[:, at : at + band] = 0
            stretch, at = rng.integers(0, 30), rng.integers(0, len(row) - 30)
            row[at : at + stretch] = 0
    return mel


def phone_accuracy(encoder: SpeechEncoder, corpus: Corpus, clips: list[Clip]) -> float:
    """Share of non-silence 20 ms frames whose phone is named right (40 classes)."""
    right = total = 0
    for clip in clips:
        truth = torch.from_numpy(frame_labels(corpus.phones(clip)))
        _, logits = encoder.hear(torch.from_numpy(corpus.samples(clip)))
        n = min(len(truth), len(logits))
        spoken = truth[:n] != SILENCE
        right += (logits[:n].argmax(-1)[spoken] == truth[:n][spoken]).sum().item()
        total += spoken.sum().item()
    return right / max(1, total)


def train_encoder(corpus: Corpus, folder: Path, schedule: Schedule, config: EncoderConfig = EncoderConfig(), device: str = "cpu"):
    """Train on the corpus' training voices; returns (encoder, figures on the unseen test voices)."""
    torch.manual_seed(schedule.seed)
    encoder = SpeechEncoder(config)
    clips = corpus.of("train")
    calibrate_spectrum(encoder, corpus, clips)
    batches = PhoneBatches(corpus, clips)

    def loss(model: SpeechEncoder, item, rng) -> dict[str, Tensor]:
        waves, labels = (x.to(device) for x in item)
        with torch.no_grad(), torch.autocast(waves.device.type, enabled=False):
            mel = mask_spectrum(model.spectrogram(waves), rng)
        _, logits = model.encode(mel)
        ce = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORE, label_smoothing=0.05)
        return {"total": ce}

    test = corpus.of("test")
    few = test[:: max(1, len(test) // 20)]
    fit(encoder, batches, loss, schedule, folder, lambda m: {"accuracy": phone_accuracy(m, corpus, few)}, device=device)
    return encoder, {"phone_accuracy_test": round(phone_accuracy(encoder, corpus, test), 4)}
