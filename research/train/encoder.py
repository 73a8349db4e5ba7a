# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the speech encoder: every 20 ms frame names its phone, through noise, other voices,
music, rooms, codecs and gain."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio.functional as AF
from torch import nn, Tensor

from research.train.augment import augment, change_speed, music, noise
from research.train.corpus import Clip, Corpus, LABEL_HOP
from research.train.loop import fit, Schedule, start_from
from research.train.whisper import read_whisper
from thunder_core.acoustics import (
    BINS,
    FLOOR,
    gain,
    HOP,
    LEAST_POWER,
    level,
    whisper_scale,
    WHISPER_WINDOW,
)
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.networks.speech import SpeechEncoderNetwork
from thunder_core.spoken import SILENCE
from thunder_core.types import RATE
from thunder_core.weight_files import EncoderConfig

CROP = 160  # feature frames, 3.2 s
BATCH = 16
CTC_WEIGHT = 0.2
_BABBLE, _VOICES = 0.2, 6  # share of crops with other voices behind, and how many there are at most
# of an encoder on a Whisper: components of its features; layers and heads of what reads phones of
# them; clips in which the components are found
_COMPONENTS, _PHONE_LAYERS, _PHONE_HEADS, _LISTENED = 256, 2, 4, 300


class LogMel(nn.Module):
    """Waveform [B, samples] at 16 kHz → natural-log mel [B, frames, 80]; frame j is centred on j ·
    10 ms.

    As `acoustics.log_mel`, with gradients. Window and filters are not stored with a network's
    weights: their last bits depend on the machine.
    """

    def __init__(self, window: int, size: int = 0):
        """window, size: samples of a window, and of a transform (0: as `acoustics.log_mel`)."""
        super().__init__()
        self.size = size or max(512, window)
        filters = AF.melscale_fbanks(
            self.size // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney"
        )
        self.filters = nn.Buffer(filters, persistent=False)
        self.window = nn.Buffer(torch.hann_window(window), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel [B, frames, 80] of [B, samples]."""
        return (self._spectrum(samples) @ self.filters).clamp_min(FLOOR).log()

    def _spectrum(self, samples: Tensor) -> Tensor:
        """Amplitudes [B, frames, size / 2 + 1] of [B, samples]."""
        spectrum = torch.stft(
            samples.float(), self.size, HOP, len(self.window), self.window, return_complex=True
        )
        return spectrum.abs().transpose(1, 2)


class WhisperMel(LogMel):
    """Waveform [B, samples] → log-mel [B, samples // 160, 80] as Whisper hears it;
    `acoustics.whisper_mel` says what that is."""

    def __init__(self):
        super().__init__(WHISPER_WINDOW, WHISPER_WINDOW)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel [B, samples // 160, 80] of [B, samples]."""
        power = self._spectrum(samples)[:, : samples.shape[-1] // HOP].square() @ self.filters
        decades = power.clamp_min(LEAST_POWER).log10()
        return whisper_scale(decades, decades.amax((1, 2), keepdim=True))


class TrainableEncoder(SpeechEncoderNetwork):
    """The encoder with what it hears of a waveform, in torch."""

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        self.log_mel = WhisperMel()

    def prepare(self, samples: Tensor) -> Tensor:
        """Input of `forward` from [B, samples]: log-mel [B, 2N, 80]."""
        return self.log_mel(samples)[:, : samples.shape[-1] // (2 * HOP) * 2]

    def reader(self) -> SpeechEncoder:
        """What reads sounds with it."""
        return SpeechEncoder(self.config, self.of_arrays)

    @torch.no_grad()
    def of_arrays(self, mel: np.ndarray) -> list[np.ndarray]:
        """The outputs for a log-mel, as `engine.speech.encoder` asks for them."""
        return [
            each.float().cpu().numpy()
            for each in self(torch.from_numpy(mel).to(self.mel_std.device))
        ]


def frame_labels(phones: np.ndarray) -> np.ndarray:
    """10 ms labels [2N] → labels of the 20 ms feature frames [N]."""
    return phones[: len(phones) // 2 * 2 : 2].astype(np.int64)


def breath(n: int, rng: np.random.Generator) -> Tensor:
    """[n] of near silence with a few breaths: band-passed noise that swells and fades."""
    x = 1e-3 * torch.from_numpy(noise(n, rng))
    t = np.arange(n) / RATE
    for _ in range(rng.integers(1, 4)):
        middle, width = rng.uniform(0, n / RATE), rng.uniform(0.1, 0.35)
        hiss = AF.bandpass_biquad(
            torch.from_numpy(noise(n, rng)), RATE, float(rng.uniform(700, 3000)), 0.7
        )
        x = x + hiss * torch.from_numpy(
            np.exp(-0.5 * ((t - middle) / width) ** 2).astype(np.float32)
        ) * rng.uniform(0.01, 0.2)
    return x


def voiceless(n: int, rng: np.random.Generator) -> Tensor:
    """[n] of sound over which a mouth stays at rest: noise, music or breath, at any level."""
    kind = rng.random()
    sound = (
        torch.from_numpy(noise(n, rng))
        if kind < 0.45
        else music(n, rng)
        if kind < 0.8
        else breath(n, rng) * 10
    )
    return sound * float(10 ** rng.uniform(-4, -0.8))


class PhoneBatches:
    """Draws (waveforms [B, samples], labels [B, N]) of random crops; some are silence with noise,
    labelled so."""

    def __init__(self, corpus: Corpus, clips: list[Clip]):
        self.corpus, self.clips = corpus, clips
        self.odds = np.array([c.length for c in clips], float)
        self.odds /= self.odds.sum()
        # One level per clip; measured once, on its first ten seconds.
        self.gains = [gain(corpus.samples(c, 0, min(c.length, 10 * RATE))) for c in clips]

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        n = CROP * 2 * LABEL_HOP
        waves, labels = torch.zeros(BATCH, n), torch.full((BATCH, CROP), SILENCE)
        for row, pick in enumerate(rng.choice(len(self.clips), BATCH, p=self.odds)):
            if rng.random() < 0.05:
                waves[row] = voiceless(n, rng)
                labels[row] = SILENCE
                continue
            clip = self.clips[pick]
            whole = frame_labels(self.corpus.phones(clip))
            speed = float(rng.uniform(0.88, 1.14)) if rng.random() < 0.5 else 1.0
            want = round(CROP * speed)  # frames of the clip that make the crop
            start = int(rng.integers(0, max(1, len(whole) - want + 1)))
            take = min(want, len(whole) - start)
            crop = (
                torch.from_numpy(
                    self.corpus.samples(clip, start * 2 * LABEL_HOP, take * 2 * LABEL_HOP)
                )
                * self.gains[pick]
            )
            fill = CROP if take == want else round(take / speed)
            if speed != 1.0:
                crop = change_speed(crop, fill * 2 * LABEL_HOP)
            at = np.minimum((np.arange(fill) * speed).round().astype(int), take - 1)
            waves[row, : len(crop)] = crop
            labels[row, :fill] = torch.from_numpy(whole[start + at])
            labels[row, fill:] = SILENCE  # padding counts as silence
            others = (
                [self._other(n, rng) for _ in range(rng.integers(1, _VOICES + 1))]
                if rng.random() < _BABBLE
                else ()
            )
            waves[row] = augment(waves[row], rng, others)
        return waves, labels

    def _other(self, n: int, rng: np.random.Generator) -> Tensor:
        """[n] of any clip, which talks behind another; silent where it is shorter."""
        clip = self.clips[rng.choice(len(self.clips), p=self.odds)]
        start = int(rng.integers(0, max(1, clip.length - n + 1)))
        samples = torch.from_numpy(self.corpus.samples(clip, start, min(n, clip.length - start)))
        return F.pad(samples, (0, n - len(samples)))


def sequence_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """CTC loss per phone of logits [B, N, 40] against the phone runs in labels [B, N]; silence is
    the blank.

    Only the order of the phones counts, not their times, so alignments may be slightly off.
    """
    runs = [torch.unique_consecutive(row) for row in labels]
    runs = [r[r != SILENCE] for r in runs]
    lengths = torch.tensor([len(r) for r in runs])
    has_phones = lengths > 0
    if not has_phones.any():
        return logits.sum() * 0
    targets = torch.cat([r for r in runs if len(r)])
    sizes = torch.full((int(has_phones.sum()),), logits.shape[1])
    scores = logits[has_phones.to(logits.device)].log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(
        scores,
        targets.to(logits.device),
        sizes,
        lengths[has_phones],
        blank=SILENCE,
        zero_infinity=True,
    )


def phone_accuracy(encoder: TrainableEncoder, corpus: Corpus, clips: list[Clip]) -> float:
    """Share of non-silence 20 ms frames whose phone is named right (40 classes)."""
    reader, right, total = encoder.reader(), 0, 0
    for clip in clips:
        truth = frame_labels(corpus.phones(clip))
        _, logits = reader.analyse(corpus.samples(clip))
        n = min(len(truth), len(logits))
        spoken = truth[:n] != SILENCE
        right += int((logits[:n].argmax(-1)[spoken] == truth[:n][spoken]).sum())
        total += int(spoken.sum())
    return right / max(1, total)


def adopt_whisper(path: Path, heard: Sequence[int], corpus: Corpus) -> TrainableEncoder:
    """An encoder on the layers that are `heard` of a Whisper in `path` (`read_whisper`): its hidden
    features are their principal components in the corpus' training voices; its conformer and heads
    are untrained.

    Raises BadWeights.
    """
    whisper = read_whisper(path, heard)
    settings = EncoderConfig(_COMPONENTS, _PHONE_LAYERS, _PHONE_HEADS, body=whisper.config())
    encoder = TrainableEncoder(settings)
    encoder.body.load_state_dict(whisper.state_dict())
    encoder.narrow.weight.data, encoder.narrow.bias.data = components(encoder, corpus)
    return encoder


@torch.no_grad()
def components(encoder: TrainableEncoder, corpus: Corpus) -> tuple[Tensor, Tensor]:
    """Weight [width, heard] and bias [width] that bring what is heard of Whisper to its first
    principal components, each divided by the root of its deviation: what varies most still counts
    most, but less."""
    clips = corpus.of("train")
    heard = torch.cat(
        [
            encoder.body(encoder.prepare(torch.from_numpy(level(corpus.samples(clip)))[None]))[0]
            for clip in clips[:: max(1, len(clips) // _LISTENED)]
        ]
    ).double()
    mean, deviation = heard.mean(0), heard.std(0) + 1e-6
    standardised = (heard - mean) / deviation
    squares, directions = torch.linalg.eigh(standardised.T @ standardised / len(heard))
    best = directions.flip(-1)[:, : encoder.config.width]
    spread = squares.flip(-1)[: encoder.config.width].clamp_min(1e-6).sqrt()
    weight = (best / spread.sqrt()).T / deviation
    return weight.float(), -(weight @ mean).float()


def train_encoder(
    corpus: Corpus,
    folder: Path,
    schedule: Schedule,
    encoder: TrainableEncoder,
    device: str = "cpu",
    start: dict[str, Tensor] | None = None,
) -> tuple[TrainableEncoder, dict[str, float]]:
    """Train what reads phones of an encoder's Whisper on the corpus' training voices, from `start`
    weights.

    Returns (encoder, figures on the unseen test voices).
    """
    torch.manual_seed(schedule.seed)
    encoder.body.requires_grad_(False)
    encoder.narrow.requires_grad_(False)
    start_from(encoder, start or {})
    batches = PhoneBatches(corpus, corpus.of("train"))

    def loss(model: TrainableEncoder, item, rng) -> dict[str, Tensor]:
        waves, labels = (x.to(device) for x in item)
        with torch.no_grad(), torch.autocast(waves.device.type, enabled=False):
            prepared = model.prepare(waves)
        _, read = model.listen(prepared)
        logits = model.phone_head(read).float()
        ce = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.05)
        ctc = sequence_loss(model.ctc_head(read).float(), labels)
        return {"total": ce + CTC_WEIGHT * ctc, "phones": ce, "ctc": ctc}

    test = corpus.of("test")
    watched = corpus.of("validation") or test
    few = watched[:: max(1, len(watched) // 20)]
    fit(
        encoder,
        batches,
        loss,
        schedule,
        folder,
        lambda m: {"accuracy": phone_accuracy(m, corpus, few)},
        device=device,
    )
    return encoder, {"phone_accuracy_test": round(phone_accuracy(encoder, corpus, test), 4)}
