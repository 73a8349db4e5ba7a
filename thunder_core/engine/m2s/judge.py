# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: estimates, frame by frame, how far lips are from where the sound needs them.

It compares the lips with two expectations for the same sound: the diffusion model's one-step estimate in the motion's direction with
the words that it stresses (about the mean of all its samples), and the opening and width predicted by a linear map of the speech
features, fitted to real faces. Further inputs are phones, loudness and, if it was trained so, the features of mesh-to-speech.

To this opinion the plain correlation of the opening is added, with the map and with the model's expectation in the direction that
was requested, without stresses of the take's own: takes that stress what the sound stresses come first.

It was trained on the model's own takes and on corrupted ones to predict the lip error: the largest distance of a lip vertex from
the teacher's performance of the same sound in the take's direction, divided by that distance when the teacher's lips are 120 ms
early or late or speak another sentence. The output depends only on sound and motion and is comparable across clips.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ...face.lips import CLOSED_MM
from ..speech.encoder import LOUDNESS
from ..speech.phones import PHONES, SILENCE
from ..weights import load_network, typed
from .score import hann, OFF_FRAMES, smoothed, voiced

FLOOR = 0.1  # added to the relative error before the logarithm; smaller errors hardly count
TAPS = 9  # frames of speech features that the prediction reads, four to either side
LAGS = (-4, -2, 0, 2, 4)  # frames at which a whole clip is compared with its prediction
_MILLIMETRES = 5.0  # millimetres per unit of the network's inputs
_CLOSING = [PHONES.index(name) for name in ("M", "B", "P")]
_MOST_OPEN_MM = 3.0  # opening beyond CLOSED_MM at which the penalty saturates
_BESIDE = 2  # frames by which a closure may be early or late
_PER_MM = 4.5  # penalty per millimetre, times the probability of m, b or p
_DROPPED = 0.2  # dropout of the judge's inputs in training
_NEAR = 25  # frames over which a curve is compared with its prediction
_PLACES = 12  # coordinates of the lips' four points
_SAID = len(PHONES) + LOUDNESS  # last columns of the speech features: phone probabilities and loudness
_LEAST_SIZE, _MOST_SIZE = 0.4, 2.5  # ratio of the lips' size to the expected one that is not penalised
_IS_CORNER = (0.0, 0.0, 1.0, 1.0)  # of the four lip points
_LEAST_POSE = 3e-4  # metres: a corner's constant offset counts up to here; more is an expression, as a smile
_SILENT, _SHORTEST_SILENCE = 0.5, 5  # probability of silence, and its shortest length in frames, where nobody speaks
_QUIET_BESIDE = 3  # frames to either side that count as quiet
_LEAST_SMILE = 1e-3  # metres: corners that are expected as far from rest where nobody speaks are an expression
_LEAST_UNIT = 1.0  # mm: lower bound of the normalising distance
_LEAST_DEVIATION = 0.3  # lower bound of a curve's standard deviation, in mm or in deviations: below it is noise


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge and the scale of its scores, as its card stores them."""

    heard: int = 0  # width of mesh-to-speech's features; 0: not an input
    speech: int = 234  # width of the speech features
    width: int = 64
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    # Anchors of the score (`score.Scale`): merits of takes of unseen voices 120 ms off, damped to 15 %, and unchanged.
    # Set by `train.judge.train_judge`.
    off: float = 0.0
    damped: float = 1.0
    right: float = 2.0
    # The same without the whole-clip term (`Judge.in_all`), for the curve over time.
    off_near: float = 0.0
    damped_near: float = 1.0
    right_near: float = 2.0


def counted(speech: Tensor, there: Tensor) -> Tensor:
    """Weight [B, T], 0 or 1, of the frames that count in a score, of speech features [B, T, d]; there: bool [B, T], of a clip."""
    return torch.stack([voiced(each[:, -LOUDNESS:], inside) for each, inside in zip(speech, there)])


def _mean(x: Tensor, weight: Tensor) -> Tensor:
    """Mean [B, …] of x [B, T, …] over frames of weight [B, T]."""
    weight = weight.reshape(*weight.shape, *[1] * (x.dim() - 2))
    return (x * weight).sum(1) / weight.sum(1).clamp_min(1.0)


def _standard(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Curves [B, T, …] in deviations above their means over the frames that count, and both [B, …]."""
    mean = _mean(x, weight)
    deviation = _mean((x - mean[:, None]).square(), weight).sqrt().clamp_min(_LEAST_DEVIATION)
    return (x - mean[:, None]) / deviation[:, None], mean, deviation


def _shifted(x: Tensor, frames: int) -> Tensor:
    """A curve [B, T] delayed by `frames`, zero where it is unknown."""
    count = min(abs(frames), x.shape[1])
    nothing, known = torch.zeros_like(x[:, :count]), x.shape[1] - count
    return torch.cat([nothing, x[:, :known]] if frames > 0 else [x[:, count:], nothing], 1)


def _near_correlation(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Correlation [B, T] of standardised curves [B, T] within half a second of each frame."""
    window = hann(_NEAR, a)

    def near(x: Tensor) -> Tensor:
        return F.conv1d(F.pad((x * weight)[:, None], (_NEAR // 2, _NEAR // 2)), window)[:, 0]

    count = near(torch.ones_like(a)).clamp_min(1e-3)
    mean_a, mean_b = near(a) / count, near(b) / count
    both = near(a * b) / count - mean_a * mean_b
    var_a, var_b = near(a * a) / count - mean_a.square(), near(b * b) / count - mean_b.square()
    return both / (var_a.clamp_min(0) * var_b.clamp_min(0) + 0.01).sqrt()  # undefined without movement


def _distance(lips: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
    """Largest distance of the four lip points [B, T, 4, 3] from the expected ones scaled to the lips' size, but for a constant pose of
    the corners, divided by the mean distance of the expected lips from themselves 120 ms earlier or later. [B, T], no unit."""

    def astray(x: Tensor, y: Tensor) -> Tensor:
        return 1e3 * (x - y).norm(dim=-1).amax(-1)

    def moved(x: Tensor, frames: int) -> Tensor:
        at = (torch.arange(x.shape[1], device=x.device) - frames).clamp(0, x.shape[1] - 1)
        return x[:, at]

    own, usual = (_mean(opening_and_width(x)[0].clamp_min(0), weight) for x in (lips, expected))
    size = ((own + 0.1) / (usual + 0.1)).clamp(_LEAST_SIZE, _MOST_SIZE)
    unit = torch.stack([_mean(astray(moved(expected, by), expected), weight) for by in (-OFF_FRAMES, OFF_FRAMES)]).mean(0)
    scaled = size[:, None, None, None] * expected
    # A smile that differs from the expected one is no fault of lip-sync.
    posed = F.softshrink(_mean(lips - scaled, weight), _LEAST_POSE) * lips.new_tensor(_IS_CORNER)[:, None]
    return astray(lips - posed[:, None], scaled) / (size * unit.clamp_min(_LEAST_UNIT))[:, None]


def left_open(speech: Tensor, lips: Tensor) -> Tensor:
    """Penalty [B, T] on the log error where lips [B, T, 4, 3] stay open on m, b and p of the speech features [B, T, d]. Closures
    may be _BESIDE frames early or late."""
    labial = speech[..., -_SAID:-LOUDNESS][..., _CLOSING].sum(-1)
    opening = opening_and_width(lips)[0]
    least = -F.max_pool1d(-opening[:, None], 2 * _BESIDE + 1, 1, _BESIDE)[:, 0]
    return _PER_MM * smoothed(labial * (least - CLOSED_MM).clamp(0, _MOST_OPEN_MM))


def quiet(speech: Tensor) -> Tensor:
    """Where nobody speaks [B, T], 0 … 1, from speech features [B, T, d]: in silences of _SHORTEST_SILENCE frames and more, and eased
    around them."""
    # Not `VoiceFeatures.quiet`, by which takes are made: that reads phrases at the encoder's own rate, and training has only the features
    # of the corpus. 2 % of frames of validation voices differ by more than a half, so either in the other's place would change takes, or
    # the scale that was laid on them.
    silence = speech[..., speech.shape[-1] - _SAID + SILENCE][:, None]

    def pooled(x: Tensor, frames: int) -> Tensor:
        return F.max_pool1d(F.pad(x, (frames // 2, frames // 2), mode="replicate"), frames, 1)

    near = F.avg_pool1d(F.pad(silence, (1, 1), mode="replicate"), 3, 1)
    long = pooled(-pooled(-(near > _SILENT).to(speech), _SHORTEST_SILENCE), _SHORTEST_SILENCE + 2 * _QUIET_BESIDE)
    ease = hann(2 * _QUIET_BESIDE - 1, speech)
    return F.conv1d(F.pad(long, 2 * (_QUIET_BESIDE - 1,), mode="replicate"), ease / ease.sum())[:, 0]


def without_held_smile(lips: Tensor, expected: Tensor, quiet: Tensor) -> tuple[Tensor, Tensor]:
    """Lips and expected lips, each [B, T, 4, 3], without the corners that are expected where nobody speaks (`quiet` [B, T] 0 … 1).

    The takes that the judge learned from let go of a smile there; one that is held, as it is expected to be, is no fault.
    """
    held = quiet[..., None, None] * expected.new_tensor(_IS_CORNER)[:, None] * F.softshrink(expected, _LEAST_SMILE)
    return lips - held, expected - held


def opening_and_width(lips: Tensor) -> tuple[Tensor, Tensor]:
    """Opening and width of lips [B, T, 4, 3] beyond rest, each [B, T], millimetres."""
    upper, lower, left, right = lips.unbind(2)
    return 1e3 * (upper[..., 1] - lower[..., 1]), 1e3 * (left[..., 0] - right[..., 0])


class _Convolutions(nn.Module):
    """Residual convolutions [B, T, width] → the same. Values outside `there` [B, T, 1] are zero, as beyond the ends."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=d * (kernel // 2), dilation=d) for d in dilations)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in dilations)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        for norm, convolution in zip(self.norms, self.convolutions):
            x = x + convolution((F.gelu(norm(x)) * there).transpose(1, 2)).transpose(1, 2)
        return F.gelu(x)


class Judge(nn.Module):
    """Features of a motion and its sound [B, T, ·] → log(FLOOR + relative lip error) [B, T]."""

    def __init__(self, config: JudgeConfig = JudgeConfig()):
        super().__init__()
        self.config = config
        w = config.width
        # How speech features nearby predict opening and width, in deviations; measured on real faces, not learned.
        self.register_buffer("map", torch.zeros(2, config.speech, TAPS))
        self.register_buffer("map_offset", torch.zeros(2))
        self.hear_in = nn.Linear(config.heard + 1, w) if config.heard else None
        self.speech_in = nn.Linear(_SAID, w)
        self.lips_in = nn.Linear(5 * _PLACES + 16 + 4 * len(LAGS) + 2, w)
        self.body = _Convolutions(w, config.kernel, config.dilations)
        self.out = nn.Linear(w, 1)
        # Weights of the correlations of a whole clip's opening with the model's expectation and the map's; set after training.
        self.register_buffer("by_correlation", torch.zeros(2))
        self.by_distance = nn.Parameter(torch.tensor([0.3, 0.7]))  # of the opinion: the distance near a frame, and of the clip
        # How hard a sound is for usual takes: known from the sound alone.
        self.hard_in = nn.Linear(_SAID + 2 + _PLACES, w // 2)
        self.hard_body = _Convolutions(w // 2, config.kernel, config.dilations[:2])
        self.hard_out = nn.Linear(w // 2, 1)

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """The judge among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "judge", lambda config: cls(typed(JudgeConfig, config)))

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)

    def predicted(self, speech: Tensor) -> Tensor:
        """Opening and width [B, 2, T] that speech features [B, T, d] predict, in deviations above the usual."""
        half = TAPS // 2
        return F.conv1d(F.pad(speech.transpose(1, 2), (half, half), mode="replicate"), self.map) + self.map_offset[:, None]

    def _compared(self, speech: Tensor, lips: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
        """Comparison of lips [B, T, 4, 3] with both expectations of their sound [B, T, n], over frames of weight [B, T]."""
        own, guess = (_standard(1e3 * x.flatten(2), weight)[0] for x in (lips, expected))
        places = torch.stack([guess, own - guess], -1).flatten(2)
        of_places = _mean((own - guess).square(), weight).sqrt()
        of_frame, of_clip = [], []
        predicted = self.predicted(speech)
        guesses = zip(opening_and_width(expected), predicted.unbind(1))
        for curve, both in zip(opening_and_width(lips), guesses):
            own, mean, deviation = _standard(curve, weight)
            of_clip += [mean / _MILLIMETRES, deviation.log()]
            of_frame.append(own)
            for guess in both:
                guess = _standard(guess, weight)[0]
                of_frame += [own - guess, _near_correlation(own, guess, weight)]
                for lag in LAGS:
                    of_clip.append(_mean(_shifted(own, lag) * guess, weight * _shifted(weight, lag)))
        of_frame += list(predicted.unbind(1))
        of_clip = torch.cat([of_places, torch.stack(of_clip, -1)], -1)[:, None].expand(-1, speech.shape[1], -1)
        return torch.cat([places, torch.stack(of_frame, -1), of_clip], -1)

    def forward(
        self, speech: Tensor, lips: Tensor, expected: Tensor, features: Tensor | None = None, evidence: Tensor | None = None,
        there: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """speech [B, T, d] · lips, expected [B, T, 4, 3]: offsets from rest of the inner lips' middles and the mouth's corners,
        metres, of the motion and of the model's expectation in its direction · features [B, T, heard]: mesh-to-speech's body ·
        evidence [B, T]: nats for the spoken units · there: bool [B, T], frames that belong to a clip, for clips of
        different length in one batch (None: all)."""
        there = torch.ones(speech.shape[:2], dtype=torch.bool, device=speech.device) if there is None else there
        weight = counted(speech, there)
        lips, expected = without_held_smile(lips, expected, quiet(speech))
        where = lips.flatten(2) * (1e3 / _MILLIMETRES)
        moved = F.pad(where.diff(dim=1), (0, 0, 1, 0))
        apart = self._apart(lips, expected, weight)
        x = self.speech_in(speech[..., -_SAID:])
        x = x + self.lips_in(torch.cat([where, 3 * moved, self._compared(speech, lips, expected, weight), apart], -1))
        if self.hear_in is not None:
            x = x + self.hear_in(torch.cat([features, evidence[..., None] / 3], -1))
        x = F.dropout(x, _DROPPED, self.training)
        return self.out(self.body(x, there[..., None]))[..., 0] + apart @ self.by_distance + left_open(speech, lips)

    def in_all(self, speech: Tensor, lips: Tensor, asked: Tensor, there: Tensor | None = None) -> Tensor:
        """The whole-clip term [B], added to the mean opinion: how badly the opening correlates with both expectations.

        asked [B, T, 4, 3]: as `expected` of `forward`, but in the direction that was requested.
        """
        there = torch.ones(speech.shape[:2], dtype=torch.bool, device=speech.device) if there is None else there
        weight = counted(speech, there)
        return self.unexpected(speech, lips, asked, weight) @ self.by_correlation

    def unexpected(self, speech: Tensor, lips: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
        """Lack of correlation of the lips' opening with both expectations over the weighted frames, [B, 2].

        First 1 − r with the model's expectation; then the amount by which r with the map's prediction is below that of the model's own
        opening, since the map predicts some sounds badly.
        """
        curves = opening_and_width(lips)[0], opening_and_width(expected)[0], self.predicted(speech)[:, 0]
        own, model, mapped = (_standard(curve, weight)[0] for curve in curves)
        return torch.stack([1 - _mean(own * model, weight), _mean((model - own) * mapped, weight)], -1)

    @staticmethod
    def _apart(lips: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
        """Logarithms of the distance from the expectation [B, T, 2]: near each frame, and of the clip."""
        distance = _distance(lips, expected, weight)
        return torch.stack([(FLOOR + smoothed(distance)).log(), (FLOOR + _mean(distance, weight)).log()[:, None].expand_as(distance)], -1)

    def hard(self, speech: Tensor, expected: Tensor, there: Tensor | None = None) -> Tensor:
        """Predicted opinion of usual takes of a sound, per frame [B, T]: some sounds score low with any lips."""
        there = torch.ones(speech.shape[:2], dtype=torch.bool, device=speech.device) if there is None else there
        where = without_held_smile(expected, expected, quiet(speech))[1].flatten(2) * (1e3 / _MILLIMETRES)
        known = torch.cat([speech[..., -_SAID:], self.predicted(speech).transpose(1, 2), where], -1)
        return self.hard_out(self.hard_body(self.hard_in(known), there[..., None]))[..., 0]
