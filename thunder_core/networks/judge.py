# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: estimates, frame by frame, how far lips are from where the sound needs them.

It compares the lips with three expectations for the same sound: the diffusion model's one-step
estimate (about the mean of all its samples) in the motion's direction with the words that it
stresses, and in the direction that was requested; and the opening and width predicted by a linear
map of the speech features, fitted to real faces. Further inputs are phones, loudness and, if it was
trained so, the features of mesh-to-speech.

To this opinion the plain correlation of the opening is added, with the model's expectation in the
direction that was requested, without the take's stresses, and with what inner layers of the encoder
predict of real lips (`speech.encoder`): takes that stress what the sound stresses come first. What
these correlations lack with usual takes of the sound is given back, and a sound whose phones the
encoder is less sure of costs points, so that scores of different sounds can be compared.

It was trained on the model's takes and on corrupted ones to predict two lip errors: the largest
distance of a lip vertex from the teacher's performance of the same sound in the take's direction,
stressing the words that the take stresses, and without stresses; divided by that distance when the
teacher's lips are 120 ms early or late or speak another sentence. The first makes the curve over
time, the second the total. The output depends only on sound and motion and is comparable across
clips.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..engine.scorer import (
    JudgeConfig,
    OFF_FRAMES,
    opening_and_width,
    SAID,
    silence,
    SILENT,
    SMOOTH,
    VOICED,
)
from ..engine.speech.encoder import LOUDNESS, PHONES
from ..face.lips import CLOSED_MM
from .weights import Network

# ---- curves over time

LAGS = (-4, -2, 0, 2, 4)  # frames at which a whole clip is compared
_NEAR = 25  # frames over which curves are compared near a frame
# lower bound of a curve's standard deviation, in mm or in deviations: below it is noise
_LEAST_DEVIATION = 0.3


def hann(frames: int, like: Tensor) -> Tensor:
    """A Hann window [1, 1, frames], as a kernel with the device and type of `like`."""
    return torch.hann_window(frames + 2, periodic=False)[1:-1].to(like)[None, None]


def smooth(x: Tensor) -> Tensor:
    """The mean [B, T] of values [B, T] around each frame, over SMOOTH of them; beyond the ends they
    are held."""
    kernel = hann(SMOOTH, x)
    return F.conv1d(
        F.pad(x[:, None], (SMOOTH // 2, SMOOTH // 2), mode="replicate"), kernel / kernel.sum()
    )[:, 0]


def mean(x: Tensor, weight: Tensor) -> Tensor:
    """Mean [B, …] of x [B, T, …] over frames of weight [B, T]."""
    weight = weight.reshape(*weight.shape, *[1] * (x.dim() - 2))
    return (x * weight).sum(1) / weight.sum(1).clamp_min(1.0)


def standard(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Curves [B, T, …] in deviations above their means over the frames that count, and both [B,
    …]."""
    middle = mean(x, weight)
    deviation = mean((x - middle[:, None]).square(), weight).sqrt().clamp_min(_LEAST_DEVIATION)
    return (x - middle[:, None]) / deviation[:, None], middle, deviation


def _lag(x: Tensor) -> Tensor:
    """Curves [..., T] delayed by each of LAGS, zero where they are unknown: [..., LAGS, T]."""
    frames = torch.arange(x.shape[-1], device=x.device)
    at = frames - torch.tensor(LAGS, device=x.device)[:, None]
    return torch.where(
        (at >= 0) & (at <= frames[-1]), x[..., torch.minimum(at.clamp_min(0), frames[-1])], 0.0
    )


def _near_sums(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums [B, …, T] of curves [B, …, T] within half a second of each frame; weight [B,
    T]."""
    weight = weight.reshape(len(weight), *[1] * (x.dim() - 2), -1)
    rows = (x * weight).reshape(-1, 1, x.shape[-1])
    return F.conv1d(F.pad(rows, (_NEAR // 2, _NEAR // 2)), hann(_NEAR, x)).reshape(x.shape)


@dataclass(frozen=True)
class Guesses:
    """The guesses that c curves are compared with: k of each, standardised, [B, c, k, T], over
    frames of weight [B, T].

    near_weight [B, T], near_mean and near_square [B, c, k, T]: within half a second of each frame.
    lag_weight [B, LAGS, T].
    """

    curves: Tensor
    weight: Tensor
    near_weight: Tensor
    near_mean: Tensor
    near_square: Tensor
    lag_weight: Tensor

    @classmethod
    def of(cls, curves: Tensor, weight: Tensor) -> "Guesses":
        """The guesses of standardised curves [B, c, k, T] over frames of weight [B, T]."""
        count = _near_sums(torch.ones_like(weight), weight).clamp_min(1e-3)
        near, square = _near_sums(torch.stack([curves, curves * curves], 1), weight).unbind(1)
        of_all = count[:, None, None]
        return cls(
            curves, weight, count, near / of_all, square / of_all, weight[:, None] * _lag(weight)
        )

    def near_correlations(self, curves: Tensor) -> Tensor:
        """Correlations [B, c, k, T] of standardised curves [B, c, T] with their guesses within half
        a second of each frame."""
        guesses = self.curves.shape[2]
        each = torch.cat(
            [curves[:, :, None] * self.curves, (curves * curves)[:, :, None], curves[:, :, None]], 2
        )
        product, square, near = (
            _near_sums(each, self.weight) / self.near_weight[:, None, None]
        ).split([guesses, 1, 1], 2)
        spread = (square - near.square()).clamp_min(0) * (
            self.near_square - self.near_mean.square()
        ).clamp_min(0)
        # undefined without movement
        return (product - near * self.near_mean) / (spread + 0.01).sqrt()

    def clip_agreements(self, curves: Tensor) -> Tensor:
        """Mean products [B, c, k, LAGS] of standardised curves [B, c, T], delayed by each of LAGS,
        with their guesses."""
        products = (
            _lag(curves)[:, :, None] * self.curves[:, :, :, None] * self.lag_weight[:, None, None]
        )
        return products.sum(-1) / self.lag_weight.sum(-1).clamp_min(1.0)[:, None, None]


# ---- the judge

FLOOR = 0.1  # added to the relative error before the logarithm; smaller errors hardly count
TAPS = 9  # frames of speech features that the prediction reads, four to either side
_MILLIMETRES = 5.0  # millimetres per unit of the network's inputs
_CLOSING = [PHONES.index(name) for name in ("M", "B", "P")]
_MOST_OPEN_MM = 3.0  # opening beyond CLOSED_MM at which the penalty saturates
_BESIDE = 2  # frames by which a closure may be early or late
_PER_MM = 4.5  # penalty per millimetre, times the probability of m, b or p
_DROPPED = 0.2  # dropout of the judge's inputs in training
_GUESSES = 3  # of opening and width: by both expectations and by the map
_PLACES = 12  # coordinates of the lips' four points
# ratio of the lips' size to the expected one that is not penalised
_LEAST_SIZE, _MOST_SIZE = 0.4, 2.5
# ratio of the lips' mean opening to the requested one, below which they are smaller than *Energy*
# can ask for
_SMALL = 0.35
_PER_SMALLER = 0.6  # penalty per unit of its logarithm below
# Parts of the whole-clip term that all takes of a sound share. Both were set on takes of 40
# validation voices, clean and with noise, by the order of the lines' mean errors.
# given back per square of the expected opening's mean over its deviation, and the largest that
# counts
_PER_STEADY, _STEADIEST = 0.05, 4.0
_PER_DOUBT = 0.4  # penalty per nat of the entropy of the phones
_IS_CORNER = (0.0, 0.0, 1.0, 1.0)  # of the four lip points
# metres: a corner's constant offset counts up to here; more is an expression, as a smile
_LEAST_POSE = 3e-4
_SHORTEST_SILENCE = 5  # frames: shortest time without a phone where nobody speaks
_QUIET_BESIDE = 3  # frames to either side that count as quiet
# metres: corners that are expected as far from rest where nobody speaks are an expression
_LEAST_SMILE = 1e-3
_LEAST_UNIT = 1.0  # mm: lower bound of the normalising distance


def score_weight(speech: Tensor, there: Tensor) -> Tensor:
    """Weight [B, T], 0 or 1, of the frames that count in a score (`scorer.voiced_weight`), of
    speech features [B, T, d]; there: bool [B, T], of a clip."""
    sounds = (speech[..., -1] > VOICED) & there
    return (sounds | (there & ~sounds.any(1, keepdim=True))).to(speech)


def astray(x: Tensor, y: Tensor) -> Tensor:
    """Largest distance [B, T] of points [B, T, n, 3] from others, mm."""
    return 1e3 * (x - y).norm(dim=-1).amax(-1)


def _usual_size(lips: Tensor, weight: Tensor) -> Tensor:
    """Mean opening [B] of lips [B, T, 4, 3], mm."""
    return mean(opening_and_width(lips)[0].clamp_min(0), weight)


def _misplacement(expected: Tensor, weight: Tensor) -> Tensor:
    """Mean distance [B] of expected lips [B, T, 4, 3] from themselves 120 ms earlier or later,
    mm."""
    frames = torch.arange(expected.shape[1], device=expected.device)
    moved = (
        expected[:, torch.minimum((frames - by).clamp_min(0), frames[-1])]
        for by in (-OFF_FRAMES, OFF_FRAMES)
    )
    return (
        torch.stack([mean(astray(each, expected), weight) for each in moved])
        .mean(0)
        .clamp_min(_LEAST_UNIT)
    )


@dataclass(frozen=True)
class Expected:
    """Lips that the model expects of a sound in one direction.

    held [B, T, 4, 3]: corners that are expected where nobody speaks.  lips [B, T, 4, 3]: without
    these.  places [B, T, 12]: of the lips, standardised. size, unit [B]: their mean opening, and by
    how much they are misplaced 120 ms off, mm.
    """

    held: Tensor
    lips: Tensor
    places: Tensor
    size: Tensor
    unit: Tensor

    @classmethod
    def of(cls, lips: Tensor, silence: Tensor, weight: Tensor) -> "Expected":
        """The expectation of lips [B, T, 4, 3]; silence [B, T]: where nobody speaks (`quiet`);
        weight [B, T] of the frames that count."""
        held = held_smile(lips, silence)
        lips = lips - held
        places = standard(1e3 * lips.flatten(2), weight)[0]
        return cls(held, lips, places, _usual_size(lips, weight), _misplacement(lips, weight))


@dataclass(frozen=True)
class Reference:
    """What the judge knows of a sound and of the model's expectations before it sees any lips.

    speech [B, T, d].  there: bool [B, T].  weight [B, T] of the frames that count.  said [B, T,
    width]: its speech as the network reads it.
    played, asked: what is expected in the motion's direction, and in the requested one.  predicted
    [B, 2, T]: opening and width by the map.  guesses: of opening and width, by both expectations
    and the map.
    """

    speech: Tensor
    there: Tensor
    weight: Tensor
    said: Tensor
    played: Expected
    asked: Expected
    predicted: Tensor
    guesses: Guesses


def _distance(lips: Tensor, expected: Expected, weight: Tensor) -> Tensor:
    """Largest distance of the four lip points [B, T, 4, 3] from the expected ones scaled to the
    lips' size, but for a constant pose of the corners, divided by the mean distance of the expected
    lips from themselves 120 ms earlier or later. [B, T], no unit."""
    size = ((_usual_size(lips, weight) + 0.1) / (expected.size + 0.1)).clamp(
        _LEAST_SIZE, _MOST_SIZE
    )
    scaled = size[:, None, None, None] * expected.lips
    # A smile that differs from the expected one is no fault of lip-sync.
    posed = (
        F.softshrink(mean(lips - scaled, weight), _LEAST_POSE)
        * lips.new_tensor(_IS_CORNER)[:, None]
    )
    return astray(lips - posed[:, None], scaled) / (size * expected.unit)[:, None]


def left_open(speech: Tensor, lips: Tensor) -> Tensor:
    """Penalty [B, T] on the log error where lips [B, T, 4, 3] stay open on m, b and p of the speech
    features [B, T, d]. Closures may be _BESIDE frames early or late."""
    labial = speech[..., -SAID:-LOUDNESS][..., _CLOSING].sum(-1)
    opening = opening_and_width(lips)[0]
    least = -F.max_pool1d(-opening[:, None], 2 * _BESIDE + 1, 1, _BESIDE)[:, 0]
    return _PER_MM * smooth(labial * (least - CLOSED_MM).clamp(0, _MOST_OPEN_MM))


def too_small(lips: Tensor, asked: Tensor, weight: Tensor) -> Tensor:
    """Penalty [B] on the log error of lips [B, T, 4, 3] that open less than *Energy* can ask for,
    beside those that are expected in the requested direction, over frames of weight [B, T]. The
    network alone thinks too little of it."""
    ratio = (_usual_size(lips, weight) + 0.1) / (_usual_size(asked, weight) + 0.1)
    return _PER_SMALLER * (math.log(_SMALL) - ratio.log()).clamp_min(0)


def doubt(speech: Tensor, weight: Tensor) -> Tensor:
    """Mean entropy [B] of the phone probabilities in speech features [B, T, d] over frames of
    weight [B, T], nats.

    Takes are compared with what the model expects of the same sound, so they agree with it in noise
    too, where both are wrong.
    """
    phones = speech[..., -SAID:-LOUDNESS].clamp_min(1e-6)
    phones = phones / phones.sum(-1, keepdim=True)
    return mean(-(phones * phones.log()).sum(-1), weight)


def steadiness(expected: Tensor, weight: Tensor) -> Tensor:
    """Square of the mean over the deviation [B] of the opening of expected lips [B, T, 4, 3], over
    frames of weight [B, T].

    A take's stresses scale the whole opening. Where a mouth is always open by much and moves
    little, they are large beside its movement, so that every take correlates less with the expected
    opening.
    """
    _, middle, deviation = standard(opening_and_width(expected)[0], weight)
    return (middle / deviation).square().clamp_max(_STEADIEST)


def quiet(speech: Tensor) -> Tensor:
    """Where nobody speaks [B, T], 0 … 1, from speech features [B, T, d]: in silences of
    _SHORTEST_SILENCE frames and more, and eased around them."""
    # Not `VoiceFeatures.quiet`, by which takes are made: that reads phrases at the encoder's rate,
    # and training has only the features of the corpus. 2 % of frames of validation voices differ by
    # more than a half, so exchanging them would change takes, or the scale that was laid on them.
    silent = silence(speech)[:, None]

    def pool(x: Tensor, frames: int) -> Tensor:
        return F.max_pool1d(F.pad(x, (frames // 2, frames // 2), mode="replicate"), frames, 1)

    near = F.avg_pool1d(F.pad(silent, (1, 1), mode="replicate"), 3, 1)
    long = pool(
        -pool(-(near > SILENT).to(speech), _SHORTEST_SILENCE), _SHORTEST_SILENCE + 2 * _QUIET_BESIDE
    )
    ease = hann(2 * _QUIET_BESIDE - 1, speech)
    return F.conv1d(F.pad(long, 2 * (_QUIET_BESIDE - 1,), mode="replicate"), ease / ease.sum())[
        :, 0
    ]


def held_smile(expected: Tensor, quiet: Tensor) -> Tensor:
    """The corners of expected lips [B, T, 4, 3] that are away from rest where nobody speaks
    (`quiet` [B, T] 0 … 1), the same shape.

    They are subtracted from lips and expectation: the takes that the judge learned from lose a
    smile there, and holding one as expected is no fault.
    """
    return (
        quiet[..., None, None]
        * expected.new_tensor(_IS_CORNER)[:, None]
        * F.softshrink(expected, _LEAST_SMILE)
    )


class _Convolutions(nn.Module):
    """Residual convolutions [B, T, width] → the same. Values outside `there` [B, T, 1] are zero, as
    beyond the ends."""

    def __init__(self, width: int, kernel: int, dilations: tuple[int, ...]):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, kernel, padding=d * (kernel // 2), dilation=d)
            for d in dilations
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in dilations)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        for norm, convolution in zip(self.norms, self.convolutions):
            x = x + convolution((F.gelu(norm(x)) * there).transpose(1, 2)).transpose(1, 2)
        return F.gelu(x)


class Judge(Network):
    """Features of a motion and its sound [B, T, ·] → log(FLOOR + relative lip error) [B, T, 2],
    STRESSED and PLAIN."""

    Config, file = JudgeConfig, "judge"

    def __init__(self, config: JudgeConfig = JudgeConfig()):
        super().__init__(config)
        w = config.width
        # How speech features nearby predict opening and width, in deviations; measured on real
        # faces, not learned.
        self.map = nn.Buffer(torch.zeros(2, config.speech, TAPS))
        self.map_offset = nn.Buffer(torch.zeros(2))
        self.speech_in = nn.Linear(SAID, w)
        self.lips_in = nn.Linear(8 * _PLACES + 20 + 6 * len(LAGS) + 4, w)
        self.body = _Convolutions(w, config.kernel, config.dilations)
        self.out = nn.Linear(w, 2)
        # Weights of the correlations of a whole clip's opening with the model's expectation, and
        # with what inner layers predict; set after training.
        self.by_correlation = nn.Buffer(torch.zeros(2))
        # Parts of the opinions: the distance from the expectation in the motion's direction near a
        # frame, and of the clip; and in the requested one.
        self.by_distance = nn.Parameter(
            torch.tensor([[0.3, 0.3], [0.7, 0.7], [0.0, 0.0], [0.0, 0.0]])
        )
        # How hard a sound is for usual takes: known from the sound alone.
        self.hard_in = nn.Linear(SAID + 2 + _PLACES, w // 2)
        self.hard_body = _Convolutions(w // 2, config.kernel, config.dilations[:2])
        self.hard_out = nn.Linear(w // 2, 1)

    def predict(self, speech: Tensor) -> Tensor:
        """Opening and width [B, 2, T] that speech features [B, T, d] predict, in deviations above
        the usual."""
        half = TAPS // 2
        return (
            F.conv1d(F.pad(speech.transpose(1, 2), (half, half), mode="replicate"), self.map)
            + self.map_offset[:, None]
        )

    def reference(
        self, speech: Tensor, expected: Tensor, asked: Tensor, there: Tensor
    ) -> Reference:
        """What is known before lips are compared with expectations [B, T, 4, 3] of a sound [B, T,
        d]; arguments as for `forward`."""
        weight = score_weight(speech, there)
        silence = quiet(speech)
        predicted = self.predict(speech)
        both = Expected.of(expected, silence, weight), Expected.of(asked, silence, weight)
        curves = torch.stack(
            [
                *(curve for each in both for curve in opening_and_width(each.lips)),
                *predicted.unbind(1),
            ],
            -1,
        )
        # of each curve
        guesses = (
            standard(curves, weight)[0].transpose(1, 2).unflatten(1, (_GUESSES, 2)).transpose(1, 2)
        )
        said = self.speech_in(speech[..., -SAID:])
        return Reference(speech, there, weight, said, *both, predicted, Guesses.of(guesses, weight))

    def _compare(self, lips: Tensor, reference: Reference) -> Tensor:
        """Comparison of lips [B, T, 4, 3] with the expectations of their sound [B, T, n]."""
        standard_lips = standard(1e3 * lips.flatten(2), reference.weight)[0]
        places = [
            (each.places, standard_lips - each.places)
            for each in (reference.played, reference.asked)
        ]
        curves, middle, deviation = standard(
            torch.stack(opening_and_width(lips), -1), reference.weight
        )
        curves = curves.transpose(1, 2)
        differences = curves[:, :, None] - reference.guesses.curves
        near = torch.stack([differences, reference.guesses.near_correlations(curves)], 3).reshape(
            len(curves), 2, 2 * _GUESSES, -1
        )
        with_near = torch.cat([curves[:, :, None], near], 2).reshape(
            len(curves), 2 * (1 + 2 * _GUESSES), -1
        )
        of_frame = torch.cat([with_near, reference.predicted], 1).transpose(1, 2)
        sizes = torch.cat([middle / _MILLIMETRES, deviation.log()], -1)
        apart = [mean(by.square(), reference.weight).sqrt() for _, by in places]
        of_clip = torch.cat(
            [*apart, sizes, reference.guesses.clip_agreements(curves).flatten(1)], -1
        )[:, None].expand(-1, lips.shape[1], -1)
        return torch.cat([*(x for each in places for x in each), of_frame, of_clip], -1)

    def forward(
        self, speech: Tensor, lips: Tensor, expected: Tensor, asked: Tensor, there: Tensor
    ) -> Tensor:
        """speech [B, T, d] · lips, expected, asked [B, T, 4, 3]: offsets from rest of the inner
        lips' middles and the mouth's corners, metres, of the motion and of the model's expectation
        in its direction and in the requested one · there: bool [B, T], frames that belong to a
        clip, for clips of different length in one batch."""
        return self.opinion(lips, self.reference(speech, expected, asked, there))

    def opinion(self, lips: Tensor, reference: Reference) -> Tensor:
        """As `forward`, from a reference of sound and expectations."""
        lips = lips - reference.played.held
        where = lips.flatten(2) * (1e3 / _MILLIMETRES)
        moved = F.pad(where[:, 1:] - where[:, :-1], (0, 0, 1, 0))
        apart = torch.cat(
            [
                self._log_distances(lips, each, reference.weight)
                for each in (reference.played, reference.asked)
            ],
            -1,
        )
        x = reference.said + self.lips_in(
            torch.cat([where, 3 * moved, self._compare(lips, reference), apart], -1)
        )
        x = F.dropout(x, _DROPPED, self.training)
        return (
            self.out(self.body(x, reference.there[..., None]))
            + apart @ self.by_distance
            + left_open(reference.speech, lips)[..., None]
        )

    def in_all(
        self, speech: Tensor, lips: Tensor, asked: Tensor, opening: Tensor, there: Tensor
    ) -> Tensor:
        """The whole-clip term [B], added to the mean opinion: how badly the opening correlates with
        what is expected, how much too small it is, and what is added for all takes of the sound.

        asked [B, T, 4, 3]: as of `forward`.  opening [B, T]: what inner layers of the encoder
        predict; zero if that is not known.
        """
        weight = score_weight(speech, there)
        of_sound = _PER_DOUBT * doubt(speech, weight) - _PER_STEADY * steadiness(asked, weight)
        return (
            self.decorrelation(lips, asked, opening, weight) @ self.by_correlation
            + too_small(lips, asked, weight)
            + of_sound
        )

    @staticmethod
    def decorrelation(lips: Tensor, expected: Tensor, opening: Tensor, weight: Tensor) -> Tensor:
        """Lack of correlation of the lips' opening with both expectations over the weighted frames,
        [B, 2].

        First 1 − r with the model's expectation; then the amount by which r with the predicted
        opening is below that of the model's, since some sounds are predicted badly.
        """
        curves = opening_and_width(lips)[0], opening_and_width(expected)[0], opening
        take, model, predicted = (standard(curve, weight)[0] for curve in curves)
        return torch.stack(
            [1 - mean(take * model, weight), mean((model - take) * predicted, weight)], -1
        )

    @staticmethod
    def _log_distances(lips: Tensor, expected: Expected, weight: Tensor) -> Tensor:
        """Logarithms of the distance from an expectation [B, T, 2]: near each frame, and of the
        clip."""
        distance = _distance(lips, expected, weight)
        of_clip = (FLOOR + mean(distance, weight)).log()
        return torch.stack(
            [(FLOOR + smooth(distance)).log(), of_clip[:, None].expand_as(distance)], -1
        )

    def hard(self, speech: Tensor, expected: Tensor, there: Tensor) -> Tensor:
        """Predicted opinion of usual takes of a sound, per frame [B, T]: some sounds score low with
        any lips."""
        where = (expected - held_smile(expected, quiet(speech))).flatten(2) * (1e3 / _MILLIMETRES)
        known = torch.cat([speech[..., -SAID:], self.predict(speech).transpose(1, 2), where], -1)
        return self.hard_out(self.hard_body(self.hard_in(known), there[..., None]))[..., 0]
