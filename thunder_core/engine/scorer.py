# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: the diffusion model says what it expects of a sound, the judge how far a
motion's lips are from it, and `Scale` maps that to points. Also measures what motions show.
`networks.judge` says what the judge estimates and how it was trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..animation.traits import measure, measure_quiet, PerformanceMeter, style_of_mouth
from ..direction import AXES, Brief, Direction, DIRECTION_NAMES, over_frames
from ..face.head import Head
from ..face.lips import Lips
from ..filters import runs
from ..grades import WRONG
from ..types import FPS, LipSyncScore, Motion
from .m2s import MeshToSpeech, Mouth
from .network import misfit, Network, read_sizes
from .readings import CLEARER, mark_direction, move_axes
from .speech.encoder import LOUDNESS, PHONES, SILENCE
from .systems.thunder import Performance, Thunder, VoiceFeatures

# ---- the judge

Array = Any  # of numpy, or a tensor of torch

# the opinions: one in which the take's stresses are no errors, and one in which they are
STRESSED, PLAIN = 0, 1
# last columns of the speech features: phone probabilities and loudness
SAID = len(PHONES) + LOUDNESS
SILENT = 0.5  # probability of silence above which nobody speaks
# Doubt above which phones are hard to recognise: of 40 validation voices 3 are so as they are, 14
# with noise 5 dB below, 36 with four other voices. `python -m research unclear --data DATA`
# measures it, and says what another encoder needs.
UNCLEAR = 1.4


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge and the scale of its scores, as its card stores them."""

    heard: int = 0  # always 0: version 0.2.0 could also train judges that asked mesh-to-speech
    speech: int = 298  # width of the speech features
    width: int = 64
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    # Anchors of the score (`Scale`): merits of takes of unseen voices 120 ms off, damped to 15 %,
    # and unchanged. Set by `train.judge.train_judge`.
    off: float = 0.0
    damped: float = 1.0
    right: float = 2.0
    # The same without the whole-clip term (`Judge.in_all` of the network), for the curve over time.
    off_near: float = 0.0
    damped_near: float = 1.0
    right_near: float = 2.0
    # By how much the opinions of takes in each mood at full strength are higher than their errors,
    # in the order of `DIRECTION_NAMES`: of the total, and of the curve (`Judge.allowance`). Set by
    # `train.judge.fit_mood_costs`; empty: nothing.
    moods: tuple[float, ...] = ()
    moods_near: tuple[float, ...] = ()


def silence(speech: Array) -> Array:
    """Probability [..., T] that no phone sounds, of speech features [..., T, d]."""
    return speech[..., speech.shape[-1] - SAID + SILENCE]


def opening_and_width(lips: Array) -> tuple[Array, Array]:
    """Opening and width of lips [..., T, 4, 3] beyond rest, each [..., T], millimetres."""
    upper, lower, left, right = (lips[..., point, :] for point in range(4))
    return 1e3 * (upper[..., 1] - lower[..., 1]), 1e3 * (left[..., 0] - right[..., 0])


def doubt(speech: np.ndarray, weight: np.ndarray) -> float:
    """Mean entropy of the phone probabilities in speech features [T, d] over frames of weight [T],
    nats."""
    phones = np.maximum(speech[:, -SAID:-LOUDNESS], 1e-6)
    phones = phones / phones.sum(-1, keepdims=True)
    return float((-(phones * np.log(phones)).sum(-1) * weight).sum() / max(weight.sum(), 1.0))


class Judge:
    """The judge of a folder of weights."""

    def __init__(self, folder: Path, device: str):
        """Raises BadWeights."""
        self.config = read_sizes(folder / "judge", JudgeConfig)
        if any(
            len(each) not in (0, len(DIRECTION_NAMES) - len(AXES))
            for each in (self.config.moods, self.config.moods_near)
        ):
            raise misfit(folder / "judge")
        self.network = Network(folder / "judge", device)

    def opinion(
        self, speech: np.ndarray, lips: np.ndarray, opening: np.ndarray, **others: np.ndarray
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The opinion of lips [T, 4, 3], offsets from rest in metres, of a sound with features [T,
        d] and predicted opening [T]: log(FLOOR + relative lip error) of the frames [T, 2], STRESSED
        and PLAIN; a term of the whole clip that is added to their mean; and the opinion [T] that
        usual takes of the sound get.

        others: what the model expects of the sound, [T, 4, 3] each: `expected` in the motion's
        direction, `asked` in the requested one, `plain` as asked or in the motion's without
        stresses.
        """
        given = {"speech": speech, "lips": lips, "opening": opening, **others}
        frames, whole_clip, usual = self.network(
            **{name: value[None] for name, value in given.items()}
        )
        return frames[0], float(whole_clip[0]), usual[0]

    def allowance(self, direction: np.ndarray) -> np.ndarray:
        """What is subtracted from the opinions, float32 [n, 2], for the moods of a direction [n,
        DIRECTION_NAMES].

        The network takes the smile of a mood in part for an error, because its teacher smiles less.
        For the total this is allowed for in the requested direction alone, so that the order of a
        batch is as it was; for the curve over time in the take's direction.
        """
        result = np.zeros((len(direction), 2), np.float32)
        for opinion, costs in ((STRESSED, self.config.moods_near), (PLAIN, self.config.moods)):
            if costs:
                result[:, opinion] = direction[:, len(AXES) :] @ np.array(costs, np.float32)
        return result


# ---- points

SMOOTH = 13  # animation frames (half a second) averaged in one value of the drift curve
OFF_FRAMES = 3  # 120 ms
# the middle anchor of the scale: takes damped to 15 %, further than *Energy* can ask for (35 %)
DAMPED = 0.15
_LEAST_GAP = 0.1  # minimum distance between two anchors' merits
# Lips stand still that move less in a frame, millimetres, in a stretch with so many frames of
# speech: in 320 takes of validation voices, as they are and damped to 60 %, there is none.
_STILL_MM, _STILL_FRAMES = 0.05, 4
VOICED = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence


def evidence(logits: np.ndarray, units: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Log-odds, in nats, that the mouth gives for the spoken units: log p(u | V_m) − log p(u), [T]
    from [2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of
    rare ones.
    """
    highest = logits.max(-1)
    log_p = (
        logits[np.arange(len(units)), units]
        - highest
        - np.log(np.exp(logits - highest[:, None]).sum(-1))
    )
    return (log_p - log_prior[units]).reshape(-1, 2).mean(-1)


def heard_share(
    log_odds: np.ndarray, units: np.ndarray, log_prior: np.ndarray, speaking: np.ndarray
) -> float:
    """How much of a voice mesh-to-speech reads off a mouth, 0 … 100: *Heard*.

    The share of the units' information, −log p(u), that the mouth gives, log p(u | V_m) − log p(u),
    both over the frames with speech; p(u): how often a unit is said. 0: the mouth tells no more
    than the usual frequencies do, as if it said something else; 100: it tells every unit for
    certain. So there is no scale to be set when a network is trained anew, lines full of rare
    sounds score no higher, and short lines work. A mouth that is confident of wrong sounds would
    get less than 0, which counts as 0: so do lips of another line, and those that are three frames
    late.

    log_odds: [T], of `evidence`.  units: [2T].  speaking: bool [T].
    """
    information = -log_prior[units].reshape(-1, 2).mean(-1)[speaking].sum()
    return 100 * max(0.0, float(log_odds[speaking].sum() / information)) if information else 0.0


def shift_frames(x: np.ndarray, frames: int) -> np.ndarray:
    """A motion [T, C] played `frames` later, or earlier if negative, its ends held."""
    return x[np.clip(np.arange(len(x)) - frames, 0, len(x) - 1)]


@dataclass(frozen=True)
class Scale:
    """Maps merits to points 0 … 100, by three anchors. A merit is minus the mean log relative lip
    error over the voiced frames: higher is better.

    merits: mean merit of takes 120 ms off, damped to 15 %, and unchanged. `train.judge.measure`
    measures them on validation voices; they are stored in the judge's card.  points: of these
    anchors. The same scale holds for every sound.
    """

    merits: tuple[float, float, float]
    points: tuple[float, float, float] = (8.0, 45.0, 75.0)  # 120 ms off, damped, usual

    def __call__(self, merit: np.ndarray) -> np.ndarray:
        """Points 0 … 100 of merits of any shape."""
        low, middle, high = self.merits
        middle = max(middle, low + _LEAST_GAP)
        high = max(high, middle + _LEAST_GAP)
        p = self.points
        below = p[0] + (merit - low) * ((p[1] - p[0]) / (middle - low))
        above = p[1] + (merit - middle) * ((p[2] - p[1]) / (high - middle))
        x = np.maximum(np.where(merit < middle, below, above), 0) / 100
        # Bends towards 100 from 70 on: a hard limit there would make all very good takes equal, and
        # lose their order.
        return 100 * np.where(x < 0.7, x, 0.7 + 0.3 * np.tanh((x - 0.7) / 0.3))


def voiced_weight(loudness: np.ndarray) -> np.ndarray:
    """Weight [T] 0 or 1 of frames in a score, from loudness [T, 2]: those that sound, all if none
    does."""
    weight = (loudness[:, 1] > VOICED).astype(np.float32)
    return weight if weight.any() else np.ones_like(weight)


def stands_still(lips: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Where lips [T, n, 3], metres, stand still though somebody speaks (bool [T]), bool [T]."""
    still = 1 + np.flatnonzero(
        1e3 * np.abs(np.diff(lips, axis=0)).max((1, 2), initial=0.0) < _STILL_MM
    )
    result = np.zeros(len(lips), bool)
    for run in runs(still):
        result[run] = speaking[run].sum() >= _STILL_FRAMES
    said = np.flatnonzero(speaking)
    return (
        result & (np.arange(len(lips)) >= said[0]) & (np.arange(len(lips)) <= said[-1])
        if len(said)
        else result
    )


def score_lips(
    opinion: np.ndarray, loudness: np.ndarray, scale: Scale,
    usual_opinion: np.ndarray | None = None, near_scale: Scale | None = None,
    whole_clip_term: float = 0.0, near_opinion: np.ndarray | None = None,
    speaking: np.ndarray | None = None,
) -> LipSyncScore:  # fmt: skip
    """Score of a motion, from the judge's opinions [T] and the sound's loudness [T, 2].

    scale: for totals, from which `whole_clip_term` is subtracted first.  near_scale, near_opinion
    [T]: for the curve over time (None: `scale` and `opinion`).  usual_opinion [T]: that usual takes
    of this sound get at each frame. It is subtracted from the curve, so that frames on which every
    mouth scores low do not count as drift. The total does not change.
    speaking: bool [T], where somebody speaks (None: where it sounds).
    """
    near_opinion = opinion if near_opinion is None else near_opinion
    weight = voiced_weight(loudness)
    near = np.convolve(np.pad(weight, SMOOTH // 2), np.hanning(SMOOTH + 2)[1:-1], "valid")
    merit = -float((opinion * weight).sum() / weight.sum()) - whole_clip_term
    total, expected = float(scale(np.float64(merit))), 0.0
    if usual_opinion is not None:
        expected = usual_opinion - (usual_opinion * weight).sum() / weight.sum()
    # Without speech nothing can drift: those frames get the clip's score, and none is wrong. The
    # half second that a value is a mean of would reach before the first word and behind the last
    # one.
    said = np.flatnonzero((weight > 0) & (True if speaking is None else speaking))
    if len(said):
        near[: said[0]] = near[said[-1] + 1 :] = 0.0
    drift = np.where(near > 0.5, (near_scale or scale)(expected - near_opinion), max(total, WRONG))
    return LipSyncScore(total, drift.astype(np.float32))


# ---- stresses of a motion whose direction is not known

_NEAR = 31  # frames (1.2 s) over which the opening is compared with the expected one
_LEAST_MM = 1.0  # added to both, so that a nearly shut mouth stresses nothing
_MOST = 0.5  # largest estimate of a log energy, before _SCALE
# slope of a line through the stresses of takes of validation voices at *Variety* .5 against their
# estimates (r .75)
_SCALE = 1.4
# standard deviation of log energy between speakers
_SPEAKERS = AXES[DIRECTION_NAMES.index("energy")].speakers


def read_stresses(opening: np.ndarray, expected: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Log energy [T] of the stresses of a mouth opening [T] mm against the opening expected without
    any.

    loud: bool [T], frames that sound: others do not count, and over them the mean is 0.
    """
    window = np.hanning(_NEAR + 2)[1:-1]

    def size(curve: np.ndarray) -> np.ndarray:
        near = [
            np.convolve(np.pad(x, _NEAR // 2, mode="edge"), window, "valid")
            for x in (loud * np.maximum(curve, 0) ** 2, loud.astype(float))
        ]
        return np.sqrt(near[0] / np.maximum(near[1], 1e-3)) + _LEAST_MM

    log_energy = np.log(size(opening) / size(expected))
    return (
        _SCALE * np.clip(log_energy - log_energy[loud].mean(), -_MOST, _MOST)
        if loud.any()
        else np.zeros(len(opening))
    )


def add_energy(direction: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """A direction [DIRECTION_NAMES] with a log energy [T] added, as takes stress words: float32 [T,
    DIRECTION_NAMES]."""
    played = np.repeat(direction[None], len(energy), axis=0).astype(np.float32)
    return move_axes(
        played, {"energy": energy / _SPEAKERS, "articulation": CLEARER * energy / _SPEAKERS}
    )


# ---- scores and measures

SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech


@dataclass(frozen=True)
class Expectation:
    """References of the judge for a take.

    lips, asked: in the take's direction and in the requested one (the take's, if none is known),
    [T, 4, 3] as `Scorer.lips`.
    plain: as `asked`, or in the take's direction without its stresses.
    allowed: [1 or T], of `Judge.allowance` for the curve over time, in the take's direction.
    """

    lips: np.ndarray
    asked: np.ndarray
    plain: np.ndarray
    allowed: np.ndarray


class Scorer:
    """The judge with what it uses: the diffusion model, whose expectations it compares lips with,
    and mesh-to-speech."""

    def __init__(self, head: Head, thunder: Thunder, m2s: MeshToSpeech, mouth: Mouth, judge: Judge):
        self.head, self.thunder, self.m2s, self.mouth, self.judge = head, thunder, m2s, mouth, judge

    @staticmethod
    def is_unclear(voice: VoiceFeatures) -> bool:
        """Whether the phones of a voice are so hard to recognise that takes may miss closures;
        False of less than a second of speech."""
        weight = voiced_weight(voice.features[:, -LOUDNESS:])
        return bool(weight.sum() >= FPS and doubt(voice.features, weight) > UNCLEAR)

    def score(
        self, motions: list[Motion], voice: VoiceFeatures,
        expectations: Sequence[Expectation] | None, asked: Brief | None = None
    ) -> list[LipSyncScore]:  # fmt: skip
        """Scores of motions that are as long as a sound that was analysed before.

        expectations: the model's expectation in the direction of each, None if the directions are
        to be estimated from the motions.
        asked: the requested direction, if it is known.
        """
        config, scores, allowed = self.judge.config, [], np.zeros(1)
        scale = Scale((config.off, config.damped, config.right))
        near_scale = Scale((config.off_near, config.damped_near, config.right_near))
        speaking, loudness = silence(voice.features) < SILENT, voice.features[:, -LOUDNESS:]
        if asked is not None:
            allowed = self.judge.allowance(over_frames(asked.requested, voice.frames))[:, PLAIN]
        if expectations is None:
            expectations = self._expect_of(motions, voice)
        log_odds = self.read(motions, voice)
        for motion, expectation, nats in zip(motions, expectations, log_odds):
            lips = self.lips(motion)
            opinion, whole_clip_term, usual = self.opinion(lips, voice, expectation)
            score = score_lips(
                opinion[:, PLAIN] - allowed, loudness, scale, usual, near_scale, whole_clip_term,
                opinion[:, STRESSED] - expectation.allowed, speaking,
            )  # fmt: skip
            per_frame = np.where(stands_still(lips, speaking), np.float32(0), score.per_frame)
            heard = heard_share(nats, voice.units, self.m2s.log_prior, speaking)
            scores.append(replace(score, per_frame=per_frame, heard=heard))
        return scores

    def expect(
        self, voice: VoiceFeatures, takes: Sequence[Performance],
        requested: Callable[[], np.ndarray] | None = None, breathe: bool = False
    ) -> list[Expectation]:  # fmt: skip
        """What the judge compares takes of a sound with.

        requested: gives the lips that the model expects in the requested direction, which
        variations are compared with too.  breathe: see `Thunder.expect`.
        """
        result = []
        for take, lips in zip(takes, self.expected_lips(voice, takes, breathe)):
            asked = requested() if requested is not None and take.is_variation else lips
            result.append(
                Expectation(lips, asked, asked, self.judge.allowance(take.style)[:, STRESSED])
            )
        return result

    def requested_motion(self, voice: VoiceFeatures, asked: Brief) -> Motion:
        """What the model expects in the direction that was requested."""
        wanted = over_frames(asked.requested, voice.frames)
        if asked.marks:
            wanted = mark_direction(
                np.repeat(wanted, voice.frames, 0) if len(wanted) == 1 else wanted.copy(),
                asked.marks,
            )
        return self.thunder.expect(voice, [Performance(0, wanted)])[0]

    def expected_lips(
        self, voice: VoiceFeatures, takes: Sequence[Performance], breathe: bool = False
    ) -> list[np.ndarray]:
        """The lips that the model expects for a sound in the style of each take, each as `lips`."""
        return [self.lips(motion) for motion in self.thunder.expect(voice, takes, breathe)]

    def opinion(
        self, lips: np.ndarray, voice: VoiceFeatures, expectation: Expectation
    ) -> tuple[np.ndarray, float, np.ndarray]:
        """The judge's opinion of the lips of a motion of the sound, as `lips`."""
        return self.judge.opinion(
            voice.features, lips, voice.lips[:, 0],
            expected=expectation.lips, asked=expectation.asked, plain=expectation.plain,
        )  # fmt: skip

    def lips(self, motion: Motion) -> np.ndarray:
        """Positions of the judge's four lip points, float32 [T, 4, 3], metres from rest."""
        return self.mouth.lip_points(motion.expression, motion.jaw)

    def _expect_of(self, motions: list[Motion], voice: VoiceFeatures) -> list[Expectation]:
        """As `expect` of motions whose direction is not known: style and stressed words are read
        off the motions."""
        directions = [Direction(style_of_mouth(motion)).vector() for motion in motions]
        plain = self.expected_lips(
            voice, [Performance(0, direction[None]) for direction in directions]
        )
        loud, takes = voiced_weight(voice.features[:, -LOUDNESS:]) > 0, []
        for direction, motion, lips in zip(directions, motions, plain):
            opening, expected = (opening_and_width(each)[0] for each in (self.lips(motion), lips))
            takes.append(
                Performance(0, add_energy(direction, read_stresses(opening, expected, loud)))
            )
        return [replace(each, plain=lips) for each, lips in zip(self.expect(voice, takes), plain)]

    def read(self, motions: Sequence[Motion], voice: VoiceFeatures) -> np.ndarray:
        """The nats per frame [B, T] that the mouth of each motion gives for the speech units of a
        sound; all are as long as it."""
        log_odds, at = [], 0
        for seen, keep in self.mouth.windows(motions):
            said = self.m2s.read(seen)[:, 2 * keep.start : 2 * keep.stop]
            units = voice.units[at : at + said.shape[1]]
            log_odds.append([evidence(each, units, self.m2s.log_prior) for each in said])
            at += said.shape[1]
        return np.concatenate(log_odds, 1)


class Measures:
    """Measures of motions of one head."""

    def __init__(self, head: Head):
        """Raises BadHead if the position of its lips is not known."""
        self._head, self._margins = head, Lips.of(head)

    @cached_property
    def _played(self) -> PerformanceMeter:
        return PerformanceMeter.of(self._head)

    def opening_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """As `face.lips.opening_mm` and `width_mm` measure a motion, each float32 [T]."""
        return self._margins.opening(motion).astype(np.float32), self._margins.width(motion).astype(
            np.float32
        )

    def gap_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """The same; the gap is below zero where lips are pressed together."""
        return self._margins.beyond_rest(motion), self._margins.width(motion)

    def of_style(self, motion: Motion, voice: VoiceFeatures) -> dict[str, float]:
        """What a motion of this sound shows, as `animation.traits.measure`."""
        return measure(self._played, motion, voice.presence > SPOKEN)

    def of_quiet(self, motion: Motion) -> dict[str, float]:
        """What a motion of a face that does not speak shows, as
        `animation.traits.measure_quiet`."""
        return measure_quiet(self._played, motion)
