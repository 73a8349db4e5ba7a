# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores motions of a sound (works out what the model expects of it, asks the judge, and lays its opinion on the scale), and measures what
they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..animation.played import Played
from ..animation.shown import measured, measured_quiet
from ..animation.style_of_motion import style_of_mouth
from ..direction import Asked, Direction, over_frames
from ..face.head import Head
from ..face.lips import Lips
from ..progress import no_progress
from ..types import FPS, LipSyncScore, Motion
from .m2s.judge import doubt, Judge, opening_and_width, Opinion, PLAIN, silence, SILENT, STRESSED, UNCLEAR
from .m2s.listening import MeshToSpeech
from .m2s.mouth import Mouth
from .m2s.score import evidence, grade as graded, Scale, stands_still, voiced
from .speech.encoder import LOUDNESS
from .stresses import stressed, stresses
from .systems.thunder import Thunder, VoiceFeatures

Progress = Callable[[float, str], None]
SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech


@dataclass(frozen=True)
class Expectation:
    """References of the judge for a take.

    lips, asked: in its own direction and in the one that was requested (its own, if that is not known), [T, 4, 3] as `Scorer.lips`.
    plain: as `asked`, or in its own direction without its stresses.
    allowed: [1 or T], of `Judge.allowance` for the curve over time, in its own direction.
    """

    lips: np.ndarray
    asked: np.ndarray
    plain: np.ndarray
    allowed: np.ndarray


class Scorer:
    """The judge with what it asks: the diffusion model, whose expectations it compares lips with, and mesh-to-speech."""

    def __init__(self, head: Head, thunder: Thunder, m2s: MeshToSpeech, mouth: Mouth, judge: Judge):
        self.head, self.thunder, self.m2s, self.mouth, self.judge = head, thunder, m2s, mouth, judge

    @staticmethod
    def is_unclear(voice: VoiceFeatures) -> bool:
        """Whether the phones of a voice are so hard to recognise that takes may miss closures; False of less than a second of speech."""
        weight = voiced(voice.features[:, -LOUDNESS:])
        return bool(weight.sum() >= FPS and doubt(voice.features, weight) > UNCLEAR)

    def grade(
        self, motions: list[Motion], voice: VoiceFeatures, expectations: Sequence[Expectation] | None, asked: Asked | None = None,
        progress: Progress = no_progress,
    ) -> list[LipSyncScore]:  # fmt: skip
        """Scores of motions of one length against the start of a sound that was analysed before.

        expectations: the model's expectation in the direction of each, None if the directions are to be estimated from the motions.
        asked: the requested direction, if it is known.
        """
        known, frames, scores = self.judge.config, motions[0].frames, []
        voice, scale = voice.part(0, frames), Scale((known.off, known.damped, known.right))
        near_scale = Scale((known.off_near, known.damped_near, known.right_near))
        progress(0.9, "Ranking by lip-sync")
        allowed = 0.0 if asked is None else self.judge.allowance(over_frames(asked.requested, frames))[:, PLAIN]
        if expectations is None:
            expectations = self._expect_of(motions, voice)
        for i, (motion, expectation) in enumerate(zip(motions, expectations)):
            progress(0.95 + 0.05 * i / len(motions), "Ranking by lip-sync")
            opinion = self.opinion(motion, voice, expectation)
            near, total = opinion.frames[:, STRESSED] - expectation.allowed, opinion.frames[:, PLAIN] - allowed
            speaking = silence(voice.features) < SILENT
            score = graded(total, voice.features[:, -LOUDNESS:], scale, opinion.hard, near_scale, opinion.in_all, near, speaking)
            still = stands_still(self.lips(motion), speaking)
            scores.append(replace(score, per_frame=np.where(still, np.float32(0), score.per_frame)))
        return scores

    def expect(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], own: Sequence[bool] = (),
        asked: Callable[[], np.ndarray] | None = None, seeds: Sequence[int] = (), hears: Sequence[int | None] = (),
    ) -> list[Expectation]:  # fmt: skip
        """What the judge compares takes of a sound with, that are played in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES].

        own: whether each take is played otherwise than requested (default: none is).  asked: gives the lips that the model expects in the
        requested direction; takes that are played so have it as their own.  seeds: of the takes, and hears: of what they hear, if they are
        known.
        """
        result = []
        expected = self.expected_lips(voice, directions, seeds, hears)
        for direction, lips, otherwise in zip(directions, expected, own or [False] * len(directions)):
            requested = asked() if asked is not None and otherwise else lips
            allowed = self.judge.allowance(np.atleast_2d(direction))[:, STRESSED]
            result.append(Expectation(lips, requested, requested, allowed))
        return result

    def requested(self, voice: VoiceFeatures, asked: Asked) -> Motion:
        """What the model expects in the direction that was requested."""
        return self.thunder.expected(voice, [over_frames(asked.requested, voice.frames)])[0]

    def expected_lips(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], seeds: Sequence[int] = (), hears: Sequence[int | None] = ()
    ) -> list[np.ndarray]:  # fmt: skip
        """The lips that the model expects for a sound in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES], each as `lips`."""
        return [self.lips(motion) for motion in self.thunder.expected(voice, directions, seeds, hears)]

    def opinion(self, motion: Motion, voice: VoiceFeatures, expectation: Expectation) -> Opinion:
        """The judge's opinion of a motion of the sound."""
        more = {}
        if self.judge.config.heard:
            features, log_odds = self._heard(motion, voice)
            more = {"features": features, "evidence": log_odds}
        return self.judge.opinion(
            voice.features, self.lips(motion), voice.opening[: motion.frames],
            expected=expectation.lips, asked=expectation.asked, plain=expectation.plain, **more,
        )  # fmt: skip

    def lips(self, motion: Motion) -> np.ndarray:
        """Positions of the judge's four lip points, float32 [T, 4, 3], metres from rest."""
        return self.mouth.lip_points(motion.expression, motion.jaw)

    def evidence_of(self, motion: Motion, voice: VoiceFeatures) -> np.ndarray:
        """Nats per frame [T] that a motion's mouth gives for the speech units of a sound."""
        return self._heard(motion, voice)[1]

    def _expect_of(self, motions: list[Motion], voice: VoiceFeatures) -> list[Expectation]:
        """As `expect` of motions whose direction is not known: style and stressed words are read off the motions."""
        directions = [Direction(style_of_mouth(motion, self.head.expression_names)).vector() for motion in motions]
        plain, loud = self.expected_lips(voice, directions), voiced(voice.features[:, -LOUDNESS:]) > 0
        openings = [[opening_and_width(lips)[0] for lips in both] for both in zip(map(self.lips, motions), plain)]
        played = [stressed(direction, stresses(own, expected, loud)) for direction, (own, expected) in zip(directions, openings)]
        return [replace(each, plain=lips) for each, lips in zip(self.expect(voice, played), plain)]

    def _heard(self, motion: Motion, voice: VoiceFeatures) -> tuple[np.ndarray, np.ndarray]:
        """Mesh-to-speech's features [T, w] and its evidence for the sound's units [T]."""
        features, log_odds, at = [], [], 0
        for seen, keep in self.mouth.windows(motion):
            once, said, _ = self.m2s(seen, np.zeros(self.m2s.config.speaker, np.float32))
            features.append(once[keep])
            said = said[2 * keep.start : 2 * keep.stop]
            log_odds.append(evidence(said, voice.units[at : at + len(said)], self.m2s.log_prior))
            at += len(said)
        return np.concatenate(features), np.concatenate(log_odds)


class Measures:
    """Measures of motions of one head; what they need of the head is worked out on first use."""

    def __init__(self, head: Head):
        self._head = head

    @cached_property
    def _margins(self) -> Lips:
        """The margins of the head's lips. Raises BadHead if they are not known."""
        return Lips.of(self._head)

    @cached_property
    def _played(self) -> Played:
        return Played.of(self._head)

    def opening_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """As `face.lips.opening_mm` and `width_mm` measure a motion, each float32 [T]."""
        return self._margins.opening(motion).astype(np.float32), self._margins.width(motion).astype(np.float32)

    def of_style(self, motion: Motion, voice: VoiceFeatures) -> dict[str, float]:
        """What a motion of this sound shows, as `animation.shown.measured`."""
        return measured(self._played, motion, voice.presence > SPOKEN)

    def of_quiet(self, motion: Motion) -> dict[str, float]:
        """What a motion of a face that does not speak shows, as `animation.shown.measured_quiet`."""
        return measured_quiet(self._played, motion)
