# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the vocoder: reconstructs recordings from their mels, and from mesh-to-speech's
mels.

A sound has random parts (noise, the phase of the pulses) that no input determines, so the loss is
an energy distance between spectrograms (Gritsenko et al. 2020): two sounds are drawn from the same
input, each should be near the recording, and they should differ from each other as much as
recordings would. Without that term the fitted voice buzzes.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from research.train.encoder import LogMel
from research.train.loop import fit, Schedule, start_from
from research.train.m2s import SpeechBatches
from research.train.motions import MotionSet, UNITS
from research.train.shaped_sound import limit_mel, ShapedSound, turns
from research.train.spaces import MouthNetwork
from thunder_core.acoustics import CLASSES, HIGHEST, LOWEST, track
from thunder_core.engine.m2s import LOG_FLOOR, pitch_of, unit_noise
from thunder_core.face.head import Head
from thunder_core.networks.speech import MeshToSpeechNetwork, VocoderNetwork
from thunder_core.weight_files import VocoderConfig

FRAMES = 32  # 1.28 s
BATCH = 16
# shares of crops with the recording's mel and with mesh-to-speech's; the rest is blurred
# artificially
TRUE, DRAWN = 0.4, 0.3
# window and hop of each loss spectrogram, samples
_WINDOWS = ((128, 32), (320, 80), (640, 160), (1280, 320))
_QUIET = 2e-3  # offset before the logarithm: magnitude per root sample of window
_PITCH = 0.3  # weight of the pitch loss relative to the energy distance
_MOST_CORRUPT = 0.4  # largest share of units replaced where a mel is blurred


def class_of(hertz: np.ndarray) -> np.ndarray:
    """Positions of frequencies in Hz on the scale of classes, 0 … 95, fractional."""
    return np.log(np.clip(hertz, LOWEST, HIGHEST) / LOWEST) * (
        (CLASSES - 1) / float(np.log(HIGHEST / LOWEST))
    )


def _smooth(x: Tensor, frames: float, bands: float) -> Tensor:
    """[B, N, 80] under a Gaussian of these deviations over time and frequency."""

    def kernel(deviation: float) -> Tensor:
        reach = max(1, round(3 * deviation))
        k = torch.exp(
            -0.5 * (torch.arange(-reach, reach + 1, device=x.device) / max(deviation, 1e-2)) ** 2
        )
        return k / k.sum()

    for axis, deviation in ((1, frames), (2, bands)):
        k = kernel(deviation)
        y = x.movedim(axis, -1)
        padded = F.pad(y, (len(k) // 2, len(k) // 2), mode="replicate")
        x = (
            F.conv1d(padded.flatten(0, 1)[:, None], k[None, None])[:, 0]
            .unflatten(0, y.shape[:2])
            .movedim(-1, axis)
        )
    return x


def blur(mel: Tensor, rng: np.random.Generator) -> Tensor:
    """Log-mel [B, N, 80] as a network that had to guess would draw it: washed out over time and
    bands, wrong in broad patches, too high or low as a whole, grainy."""
    mel = _smooth(mel, float(rng.uniform(0.3, 4.0)), float(rng.uniform(0.3, 4.0)))
    patches = _smooth(torch.randn_like(mel), 6.0, 4.0)
    mel = mel + float(rng.uniform(0, 0.9)) * patches / patches.std().clamp_min(1e-6)
    mel = mel + float(rng.normal(0, 0.2)) + float(rng.uniform(0, 0.2)) * torch.randn_like(mel)
    return mel.clamp_min(LOG_FLOOR)


def corrupt_units(units: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Units [B, 2T] of which some, in runs of three, are others."""
    wrong = torch.from_numpy(rng.random(units.shape) < rng.uniform(0, _MOST_CORRUPT) / 3).to(
        units.device
    )
    wrong = F.max_pool1d(wrong.float()[:, None], 3, 1, 1)[:, 0] > 0
    other = torch.from_numpy(rng.integers(0, count, units.shape)).to(units)
    return torch.where(wrong, other, units)


class SpectralViews(nn.Module):
    """Inputs of the loss: magnitudes and their logarithms at four resolutions, and the log-mel."""

    def __init__(self):
        super().__init__()
        for i, (window, _) in enumerate(_WINDOWS):
            self.register_buffer(f"window_{i}", torch.hann_window(window), persistent=False)
        self.log_mel = LogMel(640)

    def forward(self, sound: Tensor) -> list[tuple[Tensor, float]]:
        """Waveform [B, n] → views, each with its weight."""
        views = []
        for i, (window, hop) in enumerate(_WINDOWS):
            spectrum = torch.stft(
                sound, window, hop, window, getattr(self, f"window_{i}"), return_complex=True
            )
            magnitude = (
                spectrum.real.square() + spectrum.imag.square() + 1e-12
            ).sqrt() / window**0.5
            views += [(magnitude, 10.0), ((magnitude + _QUIET).log(), 1.0)]
        return [*views, (self.log_mel(sound), 2.0)]


def view_distance(a: list, b: list) -> Tensor:
    """Weighted mean absolute difference of two sounds as an `SpectralViews` sees them."""
    return torch.stack([w * (x - y).abs().mean() for (x, w), (y, _) in zip(a, b)]).sum()


def track_pitch(sounds: Tensor) -> tuple[Tensor, Tensor]:
    """Pitch [B, N] in Hz of recordings [B, 160 N], and which frames are voiced [B, N]."""
    hertz, voiced = zip(*(track(sound) for sound in sounds.cpu().numpy()))
    return torch.from_numpy(np.stack(hertz)).to(sounds.device), torch.from_numpy(
        np.stack(voiced)
    ).to(sounds.device)


def pitch_loss(score: Tensor, hertz: Tensor, voiced: Tensor) -> Tensor:
    """Cross-entropy of pitch scores [B, N, 96] with the true pitch, a Gaussian of one class wide,
    over voiced frames."""
    steps = torch.arange(CLASSES, device=score.device)
    at = torch.from_numpy(class_of(hertz.cpu().numpy())).to(score)
    target = torch.exp(-0.5 * (steps - at[..., None]) ** 2)
    target = target / target.sum(-1, keepdim=True)
    ce = -(target * score.log_softmax(-1)).sum(-1)
    return (ce * voiced).sum() / voiced.sum().clamp_min(1)


class SpeakingVocoder(nn.Module):
    """The vocoder and its sound, one model to the training loop."""

    def __init__(self, vocoder: VocoderNetwork):
        super().__init__()
        self.vocoder, self.sound = vocoder, ShapedSound()


class VocoderLoss:
    """The loss of a batch: the energy distance of two drawn sounds, and the pitch."""

    def __init__(self, head: Head, m2s: MeshToSpeechNetwork | None, device: str):
        self.device, self.views = device, SpectralViews().to(device)
        self.m2s = self.mouth_view = None
        if m2s is not None:
            self.m2s, self.mouth_view = (m2s.to(device), MouthNetwork(m2s.mouth or head).to(device))

    def __call__(
        self, model: SpeakingVocoder, item: dict[str, Tensor], rng: np.random.Generator
    ) -> dict[str, Tensor]:
        """Terms of a batch that `SpeechBatches` drew: "total", which is minimised, "energy", "near"
        and "pitch"."""
        item = {k: v.to(self.device) for k, v in item.items()}
        real = item["waves"]
        kind = torch.device(self.device).type
        with torch.autocast(kind, enabled=False):
            mel, units = self.degrade(item, rng)
            hertz, voiced = track_pitch(real)
        score, amplitude = model.vocoder(mel, units, item["voices"])
        with torch.autocast(kind, enabled=False):
            turned = turns(hertz)
            # Twice from the same input: other noise, pulses at other moments.
            twice = [
                model.sound(
                    amplitude,
                    hertz,
                    turned + torch.rand(len(real), 1, device=self.device).double(),
                    torch.randn_like(real),
                )
                for _ in range(2)
            ]
            reference, (a, b) = self.views(real), [self.views(x) for x in twice]
            near = (view_distance(a, reference) + view_distance(b, reference)) / 2
            energy = near - view_distance(a, b) / 2
            pitch = pitch_loss(score, hertz, voiced)
        return {"total": energy + _PITCH * pitch, "energy": energy, "near": near, "pitch": pitch}

    def draw_mel(self, item: dict[str, Tensor], rows: slice) -> tuple[Tensor, Tensor]:
        """Log-mel [B, 4T, 80] and units [B, 2T] that mesh-to-speech draws from the teacher's
        motion."""
        logits, mel = self.m2s(
            self.mouth_view.of_packed(item["motion"][rows]), item["voices"][rows]
        )
        return mel.float(), logits.argmax(-1)

    @torch.no_grad()
    def degrade(self, item: dict[str, Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mel and units as the vocoder will be given them: the first rows true, then drawn by
        mesh-to-speech, then blurred."""
        mel, units = item["mel"].clone(), item["units"].clone()
        true, drawn = round(TRUE * len(mel)), round(DRAWN * len(mel)) if self.m2s is not None else 0
        if drawn:
            rows = slice(true, true + drawn)
            mel[rows], units[rows] = self.draw_mel(item, rows)
        for i in range(true + drawn, len(mel)):
            mel[i : i + 1] = blur(mel[i : i + 1], rng)
        units[true + drawn :] = corrupt_units(units[true + drawn :], UNITS, rng)
        return torch.stack([limit_mel(m) for m in mel]), units

    def figures(self, model: SpeakingVocoder, held_out: SpeechBatches) -> dict[str, float]:
        """Mean error of the log-mel, and the share of voiced frames whose pitch is a fifth of an
        octave off.

        Each from true mels, and with mesh-to-speech from drawn ones.
        """
        item = {k: v.to(self.device) for k, v in held_out(np.random.default_rng(0)).items()}
        hertz, voiced = track_pitch(item["waves"])
        inputs = {"true": (item["mel"], item["units"])}
        if self.m2s is not None:
            inputs["drawn"] = self.draw_mel(item, slice(None))
        figures = {}
        for name, (mel, units) in inputs.items():
            mel = torch.stack([limit_mel(m) for m in mel])
            score, amplitude = model.vocoder(mel, units, item["voices"])
            guess = torch.from_numpy(
                np.stack([pitch_of(row) for row in score.detach().cpu().numpy()])
            ).to(hertz)
            noise = (
                torch.from_numpy(unit_noise()[: item["waves"].shape[1]])
                .to(hertz)
                .expand_as(item["waves"])
            )
            made = model.sound(amplitude, guess, turns(guess), noise)
            figures[f"mel_{name}"] = float(
                (self.views.log_mel(made)[:, : mel.shape[1]] - item["mel"]).abs().mean()
            )
            wrong = ((guess / hertz).log2().abs() > 0.2) & voiced
            figures[f"pitch_wrong_{name}"] = float(wrong.sum() / voiced.sum().clamp_min(1))
        return figures


def train_vocoder(
    motions: MotionSet, head: Head, folder: Path, schedule: Schedule, device: str = "cpu",
    m2s: MeshToSpeechNetwork | None = None,
    batch: int = BATCH, start: dict[str, Tensor] | None = None,
) -> tuple[VocoderNetwork, dict[str, float]]:  # fmt: skip
    """Train the vocoder on the corpus' recordings, from `start` weights; returns (vocoder, figures
    on the held-out test voices).

    With `m2s` part of the crops use its mels of the teacher's motion.
    """
    torch.manual_seed(schedule.seed)
    vocoder = VocoderNetwork(VocoderConfig(units=UNITS))
    batches = SpeechBatches(motions, motions.of("train", FRAMES), FRAMES, batch, waves=True)
    _calibrate(vocoder, batches)
    start_from(vocoder, start or {})
    model, loss = SpeakingVocoder(vocoder), VocoderLoss(head, m2s, device)
    watched, test = (
        SpeechBatches(motions, rows, FRAMES, 24, waves=True)
        for rows in (motions.watched_rows(FRAMES), motions.of("test", FRAMES))
    )
    fit(
        model,
        batches,
        loss,
        schedule,
        folder,
        lambda model: loss.figures(model, watched),
        device=device,
    )
    with torch.no_grad():
        figures = loss.figures(model, test)
    return model.vocoder, {f"test_{k}": round(v, 4) for k, v in figures.items()}


def _calibrate(vocoder: VocoderNetwork, batches: SpeechBatches) -> None:
    """Set the fixed scale of the mels."""
    rng = np.random.default_rng(0)
    mels = torch.cat([batches(rng)["mel"] for _ in range(8)]).flatten(0, 1)
    vocoder.mel_mean.copy_(mels.mean(0))
    vocoder.mel_std.copy_(mels.std(0).clamp_min(0.1))
