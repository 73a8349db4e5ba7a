# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores motions of a sound (works out what the model expects of it, asks the judge, and lays its opinion on the scale), and measures what
they show."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ..animation.played import Played
from ..animation.shown import measured, measured_quiet
from ..animation.style_of_motion import style_of_mouth
from ..direction import Asked, Direction, over_frames
from ..face.head import Head
from ..face.lips import Lips
from ..progress import no_progress
from ..types import FPS, LipSyncScore, Motion
from .m2s.judge import counted, doubt, Judge, opening_and_width, PLAIN, Reference, silence, SILENT, STRESSED, UNCLEAR
from .m2s.model import MeshToSpeech
from .m2s.mouth import Mouth
from .m2s.score import evidence, grade as graded, Scale, stands_still, voiced
from .speech.encoder import LOUDNESS
from .stresses import stressed, stresses
from .systems.thunder import Thunder, VoiceFeatures

Progress = Callable[[float, str], None]
Turn = contextlib.AbstractContextManager[object]
NO_TURN: Turn = contextlib.nullcontext()
_KNOWN_AHEAD = 3000  # frames up to which a take's `Reference` is worked out beside sampling: it is held until then, with 440 bytes a frame
SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech


@dataclass(frozen=True)
class Expectation:
    """References of the judge for a take.

    lips, asked: in its own direction and in the one that was requested (its own, if that is not known), [1, T, 4, 3] as `Scorer.lips`.
    plain: as `asked`, or in its own direction without its stresses.
    hard: [T], opinion of usual takes at each frame.
    allowed: [1 or T], of `Judge.allowance` for the curve over time, in its own direction.
    known: what the judge knows of sound and lips; None of long sounds, where it is worked out when the take is scored.
    """

    lips: Tensor
    asked: Tensor
    plain: Tensor
    hard: Tensor
    allowed: Tensor
    known: Reference | None


class Scorer:
    """The judge with what it asks: the diffusion model, whose expectations it compares lips with, and mesh-to-speech."""

    def __init__(self, head: Head, thunder: Thunder, m2s: MeshToSpeech, mouth: Mouth, judge: Judge):
        self.head, self.thunder, self.m2s, self.mouth, self.judge = head, thunder, m2s, mouth, judge

    @staticmethod
    def is_unclear(voice: VoiceFeatures) -> bool:
        """Whether the phones of a voice are so hard to recognise that takes may miss closures; False of less than a second of speech."""
        speech = voice.features[None].float()
        weight = counted(speech, torch.ones(speech.shape[:2], dtype=torch.bool, device=speech.device))
        return bool(weight.sum() >= FPS and doubt(speech, weight) > UNCLEAR)

    @torch.no_grad()
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
        allowed = 0.0 if asked is None else self._allowed(over_frames(asked.requested, frames))[:, PLAIN]
        if expectations is None:
            expectations = self._expect_of(motions, voice)
        for i, (motion, expectation) in enumerate(zip(motions, expectations)):
            progress(0.95 + 0.05 * i / len(motions), "Ranking by lip-sync")
            opinion, in_all = self.opinion(motion, voice, expectation)
            near, total = opinion[..., STRESSED] - expectation.allowed, opinion[..., PLAIN] - allowed
            speaking = silence(voice.features) < SILENT
            [score] = graded(total, voice.features[:, -LOUDNESS:], scale, expectation.hard, near_scale, in_all, near, speaking)
            still = stands_still(self.lips(motion)[0].cpu().numpy(), speaking.cpu().numpy())
            scores.append(replace(score, per_frame=np.where(still, np.float32(0), score.per_frame)))
        return scores

    @torch.no_grad()
    def expect(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], own: Sequence[bool] = (),
        asked: Callable[[], Tensor] | None = None, turn: Turn = NO_TURN, seeds: Sequence[int] = (),
    ) -> list[Expectation]:  # fmt: skip
        """What the judge compares takes of a sound with, that are played in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES].

        own: whether each take is played otherwise than requested (default: none is).  asked: gives the lips that the model expects in the
        requested direction; takes that are played so have it as their own.  turn: as `Thunder.perform`'s.  seeds: of the takes, if they are
        known.
        """
        result = []
        expected = self.expected_lips(voice, directions, turn, seeds)
        for direction, lips, otherwise in zip(directions, expected, own or [False] * len(directions)):
            requested, speech = asked() if asked is not None and otherwise else lips, voice.features[None]
            known = self.judge.reference(speech, lips, requested) if voice.frames <= _KNOWN_AHEAD else None
            allowed = self._allowed(np.atleast_2d(direction))[:, STRESSED]
            result.append(Expectation(lips, requested, requested, self.judge.hard(speech, lips)[0], allowed, known))
        return result

    def requested(self, voice: VoiceFeatures, asked: Asked, turn: Turn = NO_TURN) -> Motion:
        """What the model expects in the direction that was requested."""
        return self.thunder.expected(voice, [over_frames(asked.requested, voice.frames)], turn)[0]

    @torch.no_grad()
    def expected_lips(
        self, voice: VoiceFeatures, directions: Sequence[np.ndarray], turn: Turn = NO_TURN, seeds: Sequence[int] = ()
    ) -> list[Tensor]:  # fmt: skip
        """The lips that the model expects for a sound in each direction [DIRECTION_NAMES or T, DIRECTION_NAMES], each as `lips`."""
        return [self.lips(motion) for motion in self.thunder.expected(voice, directions, turn, seeds)]

    def opinion(self, motion: Motion, voice: VoiceFeatures, expectation: Expectation) -> tuple[Tensor, Tensor]:
        """The judge's opinions per frame [1, T, 2] and for the whole clip [1] of a motion of the sound."""
        more, speech = (), voice.features[None]
        if self.judge.config.heard:
            features, lips, log_odds = self._seen(motion, voice)
            more = features, log_odds
        else:
            lips = self.lips(motion)
        known = self.judge.reference(speech, expectation.lips, expectation.asked) if expectation.known is None else expectation.known
        in_all = self.judge.in_all(speech, lips, expectation.plain, voice.opening[None, : motion.frames])
        return self.judge.opinion(lips, known, *more), in_all

    def lips(self, motion: Motion) -> Tensor:
        """Positions of the judge's four lip points, [1, T, 4, 3] metres from rest."""
        return self.mouth.lip_points(*(part[None] for part in self.mouth.spoken(motion)))

    @torch.no_grad()
    def evidence_of(self, motion: Motion, voice: VoiceFeatures) -> np.ndarray:
        """Nats per frame [T] that a motion's mouth gives for the speech units of a sound."""
        return self._seen(motion, voice)[2][0].cpu().numpy()

    def _expect_of(self, motions: list[Motion], voice: VoiceFeatures) -> list[Expectation]:
        """As `expect` of motions whose direction is not known: style and stressed words are read off the motions."""
        directions = [Direction(style_of_mouth(motion, self.head.expression_names)).vector() for motion in motions]
        plain, loud = self.expected_lips(voice, directions), voiced(voice.features[:, -LOUDNESS:]).cpu().numpy() > 0
        openings = [[opening_and_width(lips)[0][0].cpu().numpy() for lips in both] for both in zip(map(self.lips, motions), plain)]
        played = [stressed(direction, stresses(own, expected, loud)) for direction, (own, expected) in zip(directions, openings)]
        return [replace(each, plain=lips) for each, lips in zip(self.expect(voice, played), plain)]

    def _allowed(self, direction: np.ndarray) -> Tensor:
        """`Judge.allowance` for a direction [1 or T, DIRECTION_NAMES], on the device."""
        return torch.from_numpy(self.judge.allowance(direction)).to(self.thunder.device)

    def _seen(self, motion: Motion, voice: VoiceFeatures) -> tuple[Tensor, Tensor, Tensor]:
        """Mesh-to-speech's features [1, T, w], lip points [1, T, 4, 3], evidence for the sound's units [1, T]."""
        features, lips, log_odds, at = [], [], [], 0
        for seen, keep in self.mouth.windows(motion):
            once, twice = self.m2s.encode(seen)
            features.append(once[:, keep])
            lips.append(seen[:, keep][:, :, self.mouth.lips])
            said = self.m2s.unit_head(twice)[:, 2 * keep.start : 2 * keep.stop]
            log_odds.append(evidence(said, voice.units[at : at + said.shape[1]], self.m2s.unit_log_prior))
            at += said.shape[1]
        return torch.cat(features, 1), torch.cat(lips, 1), torch.cat(log_odds, 1)


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
        return measured(self._played, motion, voice.presence.cpu().numpy() > SPOKEN)

    def of_quiet(self, motion: Motion) -> dict[str, float]:
        """What a motion of a face that does not speak shows, as `animation.shown.measured_quiet`."""
        return measured_quiet(self._played, motion)
