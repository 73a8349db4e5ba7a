# SPDX-License-Identifier: GPL-3.0-or-later
"""What is loaded from a folder of weights: the THUNDER system, which turns a sound and seeds into
motions by speech encoder, diffusion model and sampler; and all else that takes need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from ..acoustics import high_pass
from ..animation.traits import PerformanceMeter
from ..direction import AXES, Direction, DIRECTION_NAMES, Style
from ..errors import BadRequest, BadWeights
from ..events import BLINK, BREATH, BROW_COLUMNS, EVENTS, HEAD, KNIT, LOOK
from ..face.head import Head
from ..face.moving.lips import Lips
from ..face.moving.mouth_shape import MouthShape, SIGNALS
from ..face.points import Articulators
from ..files import hash_of
from ..filters import widen
from ..progress import no_progress, Progress, share
from ..request import DRAFT, FINAL, NORMAL
from ..system_calls import release_free_memory
from ..types import (
    BLINKS,
    BROW_CHANNELS,
    Columns,
    FPS,
    in_group,
    Motion,
    pack,
    RATE,
    SPEECH,
    Speech,
    TONGUE,
    unpack,
)
from ..weight_files import (
    advice,
    DenoiserConfig,
    identify,
    Identity,
    SHIPPED,
    SPEAKER_WIDTH as SPEAKER,
    stored_head,
    trained_mouth,
    unusable,
)
from .diffusion import Conditions, Denoiser, Inpainting
from .m2s import MeshToSpeech, MouthVertices, SpeakerEncoder, Vocoder
from .manner_learning import CorrectedLine
from .manner_step import weigh_kinds
from .network import best_device, LazyNetwork, processors
from .performance import as_trained, Performance, plan_performance
from .pipeline import Pipeline
from .planning.mouth_map import encoder_matches
from .planning.take_plan import TakePlan
from .scorer import Scorer
from .speech import recognition
from .speech.cues import cues_of
from .speech.encoder import encode, LOUDNESS, speech_features, SpeechEncoder, Units
from .voice import read_line, VoiceFeatures

# frames beside a kept part in which nothing is planned, and deviation of the smoothing
_KEPT_REACH, _KEPT_EASE = 12, 6.0
_SILENCE = 2  # seconds of silence by which the features of a silent listener are measured
# Added to every direction that the model performs. Rounding, and width, which else it would skew:
# by measure takes are told from people less surely without them, but judges like rounding that
# shows, see research/results/blind_mouths.md. Head: heads turned 1.2 times as fast as people's.
_FURTHER = Direction(Style(rounding=1.3, width=1.2, head=0.8)).vector()
# steps of the distilled model in a draft: half its steps give nearly the same takes
_DRAFT_STEPS = 2
_WHOLE_STEPS: dict[str, int] = {
    DRAFT: 3,
    NORMAL: 10,
    FINAL: 20,
}  # steps of the undistilled model at each quality


# Curves of events by the part of the face that performs them: channels and rotations of a packed
# motion.
_KEPT_BY: dict[tuple[str, ...], slice | list[int]] = {
    ("head",): HEAD,
    BROW_CHANNELS: slice(BROW_COLUMNS.start, KNIT + 1),
    ("eyes",): LOOK,
    BLINKS: [BLINK],
    ("jaw",): [BREATH],
}


def _load_distilled(folder: Path, device: str, full: Denoiser) -> Denoiser | None:
    """The distilled model in a folder of weights, None if there is none or it was distilled from
    another model. Raises BadWeights."""
    if not (folder / "distilled.json").exists():
        return None
    model = Denoiser(folder, device, "distilled")
    if model.config.whole != hash_of(folder / "denoiser.safetensors"):
        return None
    if (
        model.config.steps < 1
        or replace(model.config, steps=0, least_noise=0.0, whole="") != full.config
    ):
        raise unusable(folder / "distilled.json", "does not fit the diffusion model beside it")
    return model


class Thunder:
    """`analyse` a sound once, `perform` it for any seeds."""

    def __init__(self, folder: Path, device: str, head: Head, at_once: bool = False):
        """at_once: a sound is analysed next."""
        channel_names = head.expression_names
        self.channel_names = list(channel_names)
        self.device = device
        self.columns = Columns(len(channel_names))
        self._usual_style = Direction().vector()[None]
        # sounds are analysed one at a time; takes are sampled beside each other, each by one thread
        threads = processors()
        self.encoder = SpeechEncoder.load(folder, "encoder", device, threads)
        if at_once:  # it takes longest, and is needed first
            LazyNetwork.begin([self.encoder.network])  # type: ignore[list-item]
        self.pipeline = Pipeline(channel_names, Articulators.of(head), MouthShape.of(head))
        self.encoder_matches = encoder_matches(self.encoder)  # of every voice's features
        self.units = Units.load(folder)
        self.denoiser = Denoiser(folder, device)
        for known, trained, reason in (
            (self.columns.count, self.denoiser.config.motion, "was made for another head"),
            (len(EVENTS), self.denoiser.config.events, "was trained for other planned events"),
            (True, self.denoiser.config.mouth in (0, len(SIGNALS)), "hears another map of mouths"),
            # moods that are files since then act by their sliders
            (
                True,
                len(AXES) <= self.denoiser.config.style <= len(DIRECTION_NAMES),
                "was trained with other styles",
            ),
        ):
            if known != trained:
                raise unusable(folder / "denoiser.safetensors", reason)
        self.distilled = _load_distilled(folder, device, self.denoiser)
        # the networks that make usual takes; those that score them would compete with these for
        # processors, and are opened when they are called
        self.usual: list = [
            each.network for each in (self.encoder, self.distilled or self.denoiser)
        ]

    def analyse(
        self, samples: np.ndarray, frames: int, progress: Progress = no_progress,
        quickly: bool = False,
    ) -> VoiceFeatures:  # fmt: skip
        """Features of a sound [samples] over T frames of animation. `progress` may raise to stop.

        quickly: without what takes as long as the rest: pitch, and how lively the voice is."""
        samples = high_pass(samples)
        hidden, phones, units, presence, logits, belief = encode(
            samples, frames, self.encoder, self.units, progress
        )
        marks, sounds, accents, arousal, voice_style = cues_of(
            None if quickly else samples, phones[:, -LOUDNESS], presence, belief
        )
        return VoiceFeatures(
            hidden, phones, units, presence, sounds, accents, marks, logits,
            arousal=arousal, voice_style=voice_style,
            encoder_matches=self.encoder_matches,
        )  # fmt: skip

    @cached_property
    def silence(self) -> np.ndarray:
        """What the encoder hears in silence, float32 [d − LOUDNESS]."""
        quiet = np.zeros(_SILENCE * RATE, np.float32)
        frames = _SILENCE * int(FPS)
        return speech_features(*self.encoder.analyse(quiet), quiet, frames)[frames // 2, :-LOUDNESS]

    def perform(
        self, voice: VoiceFeatures, takes: Sequence[Performance], quality: str | int,
        guidance: float, progress: Progress, kept: Inpainting | None = None,
    ) -> list[Motion]:  # fmt: skip
        """Sample one motion per take (`Denoiser.sample`). All takes have a style, or none has; so
        with moods.

        quality: one of QUALITIES, or a number of steps of the whole model.
        kept: fixed part of the motion [T, channels + 9] (not standardised; kept bit for bit).
        """
        if takes[0].moods:
            return [
                self._perform_moods(
                    voice, take, quality, guidance,
                    share(progress, number / len(takes), (number + 1) / len(takes)), kept,
                )
                for number, take in enumerate(takes)
            ]  # fmt: skip
        plans = [take.plan or plan_performance(voice, take, kept) for take in takes]
        can_use_distilled = takes[0].style is not None and guidance == 1.0 and kept is None
        denoiser, steps = self.select_sampler(quality, can_use_distilled)
        events = self._events(plans, kept)
        conditions = self._conditions(voice, takes, events, denoiser.config)
        sampled = denoiser.sample(
            [take.seed for take in takes], conditions, steps, guidance, kept, progress,
            like=takes[0].around,
        )  # fmt: skip
        motions = [
            self._motion(x, voice, take, plan=plan, kept=kept)
            for x, take, plan in zip(sampled, takes, plans)
        ]
        release_memory(voice.frames)
        return motions

    def _perform_moods(
        self, voice: VoiceFeatures, take: Performance, quality: str | int, guidance: float,
        progress: Progress, kept: Inpainting | None,
    ) -> Motion:  # fmt: skip
        """A take whose moods change over the line: cross-faded from takes of the same seed in each
        of them, so that at a strength of 0 it is the take without that mood."""
        # those of a long voice one after another, as its takes are
        parts: list[Sequence[Performance]] = [take.moods]
        if voice.frames > LONG:
            parts = [[mood] for mood in take.moods]
        motions = (
            motion
            for number, moods in enumerate(parts)
            for motion in self.perform(
                voice, moods, quality, guidance,
                share(progress, number / len(parts), (number + 1) / len(parts)), kept,
            )
        )  # fmt: skip
        played = np.stack([pack(each) for each in motions])
        assert take.shares is not None
        return unpack(self.pipeline.cross_fade(played, take.shares, kept), len(self.channel_names))

    @staticmethod
    def _conditions(
        voice: VoiceFeatures, takes: Sequence[Performance], events: np.ndarray,
        config: DenoiserConfig,
    ) -> Conditions:  # fmt: skip
        """What takes of a voice that plan these events are sampled for, by a model of these
        sizes."""
        voices = [take.voice or voice for take in takes]
        if all(each is voices[0] for each in voices):
            voices = voices[:1]
        styles = None
        if takes[0].style is not None:
            given = [take.style for take in takes if take.style is not None]
            styles = np.stack(given).astype(np.float32) + _FURTHER
            if config.style < len(DIRECTION_NAMES):
                styles = as_trained(styles, config.style)
        mouths = [each.mouth for each in voices] if config.mouth else []
        return Conditions([each.ahead for each in voices], styles, events, mouths)

    def _events(self, plans: Sequence[TakePlan], kept: Inpainting | None = None) -> np.ndarray:
        """The curves of plans [B, T, EVENTS]. Nothing is planned where something is kept."""
        events = np.stack([plan.events for plan in plans])
        if kept is not None:
            names = (*self.channel_names, *("jaw",) * 3, *("head",) * 3, *("eyes",) * 3)
            for group, curves in _KEPT_BY.items():
                held = kept.mask[:, in_group(names, group)].any(1).astype(float)
                free = 1 - widen(held, _KEPT_REACH, _KEPT_EASE).clip(0, 1)
                events[:, :, curves] *= free[:, None]
        return events

    def select_sampler(self, quality: str | int, can_use_distilled: bool) -> tuple[Denoiser, int]:
        """The model for sampling, and its number of steps. can_use_distilled: in a
        style, without guidance and without kept parts.

        With guidance the distilled model's few steps are not enough, kept parts would not agree
        with the rest, and without a style its takes vary less than the whole model's.
        """
        if quality in (DRAFT, NORMAL) and can_use_distilled and self.distilled is not None:
            steps = self.distilled.config.steps
            return self.distilled, min(_DRAFT_STEPS, steps) if quality == DRAFT else steps
        return self.denoiser, _WHOLE_STEPS[quality] if isinstance(quality, str) else quality

    def expect(self, voice: VoiceFeatures, style: np.ndarray) -> Motion:
        """The model's expectation for a sound in a style [1 or T, DIRECTION_NAMES]: its estimate
        from pure noise in one step, about the mean of all its performances in that style. Head,
        eyes and brows are as the model has them."""
        take = Performance(0, style)
        return self._motion(self._estimate(self.denoiser, voice, take), voice, take, acts=False)

    def expect_events(
        self, voice: VoiceFeatures, take: Performance, events: np.ndarray
    ) -> np.ndarray:
        """What the usual model expects of a take with the curves of these events [T, EVENTS]:
        float32 [T, C], before any step after sampling."""
        return self._estimate(self.distilled or self.denoiser, voice, take, events)

    def expect_usual(self, voice: VoiceFeatures) -> Motion:
        """The same of the model that takes are usually sampled with, in the usual style and before
        any step after sampling."""
        take = Performance(0, self._usual_style)
        sampled = self._estimate(self.distilled or self.denoiser, voice, take)
        return unpack(sampled, len(self.channel_names))

    def _estimate(
        self, model: Denoiser, voice: VoiceFeatures, take: Performance,
        events: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """A model's estimate [T, C] from pure noise in one step. events: curves [T, EVENTS]; None:
        any."""
        if events is None:
            events = np.full((voice.frames, len(EVENTS)), np.nan, np.float32)
        conditions = self._conditions(voice, [take], events[None], model.config)
        return model.sample([take.seed], conditions, 1)[0]

    def _motion(self, x: np.ndarray, voice: VoiceFeatures, take: Performance, **more) -> Motion:
        """A sampled motion [T, C] as a face performs it. more: as `Pipeline.finish`."""
        return unpack(
            self.pipeline.finish(x, take.voice or voice, take, **more), len(self.channel_names)
        )


# frames of a sound after whose steps freed memory is released, which takes milliseconds: an hour
# needs a fifth less
LONG = 15_000
# cached sounds, and their total frames (one hour, 90 MB)
_REMEMBERED, _REMEMBERED_FRAMES = 8, 100_000


def release_memory(frames: int) -> None:
    """Release memory after a step of work on a sound of so many frames, if it is a long one."""
    if frames > LONG:
        release_free_memory()


def _identify(folder: Path) -> Identity:
    """The identity of the weights in a folder; it is logged if they are not the shipped ones."""
    identity = identify(folder)
    if identity.sentence:
        print(identity.sentence, file=sys.stderr)
    return identity


class Loaded:
    """Everything that is loaded: head, encoder, diffusion model, mesh-to-speech with its vocoder,
    speaker network."""

    def __init__(self, folder: Path, device: str, at_once: bool = False):
        self.folder, self.device = folder, device
        if not (folder / "head.npz").is_file():
            raise unusable(folder / "head.npz", "is missing")
        self.head = stored_head(folder / "head.npz")
        self.thunder = Thunder(folder, device, self.head, at_once)
        self.m2s = MeshToSpeech(folder, device)
        self.mouth = MouthVertices(trained_mouth(folder) or self.head)
        self.vocoder = Vocoder.load(folder, device)
        self.speaker = SpeakerEncoder.load(folder, device)
        self.lips = Lips.of(self.head)
        articulators = self.thunder.pipeline.mechanics.articulators
        expect = self.thunder.expect_usual
        self.meter = PerformanceMeter.of(self.head, articulators)
        names = self.head.expression_names
        speech, tongue = (np.flatnonzero(in_group(names, group)) for group in (SPEECH, TONGUE))
        self.scorer = Scorer(articulators, self.m2s, self.mouth, self.lips, speech, tongue, expect)
        self._check_that_all_fit()
        # in this thread: where memory runs out as another begins, `Thread.start` never returns
        self.identity = _identify(folder)
        self.recogniser = recognition.RecogniserProcess()
        self._known: dict[str, VoiceFeatures] = {}

    @property
    def weights(self) -> str:
        """The fingerprint of the weights."""
        return self.identity.fingerprint

    @classmethod
    def load(
        cls, weights: str | Path | None = None, device: str | None = None, at_once: bool = False
    ) -> Self:
        """Load the weights in a folder (default: the embedded ones) on "cpu", "cuda:0" … (default:
        GPU if there is one).

        at_once: takes are wanted now.  Raises BadWeights.
        """
        return cls(Path(weights) if weights else SHIPPED, device or best_device(), at_once)

    def _check_that_all_fit(self) -> None:
        """Raise BadWeights if networks of one folder were not trained for each other."""
        thunder, m2s = self.thunder, self.m2s.config
        units = hash_of(self.folder / "units.safetensors")
        for pair, first, second in (
            ("encoder and units", thunder.encoder.config.width, thunder.units.centroids.shape[1]),
            ("encoder and denoiser", thunder.encoder.feature_width, thunder.denoiser.config.audio),
            ("m2s and head", (m2s.space, m2s.inputs), ("mouth", self.mouth.size)),
            ("m2s and units", m2s.units, len(thunder.units.centroids)),
            ("m2s and units", m2s.of_units or units, units),
            ("vocoder and units", self.vocoder.config.of_units or units, units),
            ("m2s and vocoder", m2s.units, self.vocoder.config.units),
            ("m2s and speaker", m2s.speaker, SPEAKER),
            ("vocoder and speaker", self.vocoder.config.speaker, SPEAKER),
        ):
            if first != second:
                raise BadWeights(
                    f"In the weights in “{self.folder}”, {pair} were not trained together: take "
                    f"all files from one "
                    f"training, or {advice(self.folder)}"
                )

    def corrected_line(
        self, speech: Speech, text: str, take: Motion, edited: Motion
    ) -> CorrectedLine:
        """A line for `manner_learning.learn`: a take of a sound, and what an animator made of it;
        all start together and are cut to the shortest. text: what the voice says. Raises
        BadRequest."""
        take, edited = self.check_motion(take), self.check_motion(edited)
        voice, _ = read_line(self.analyse(speech), text)
        rows = slice(0, min(take.frames, edited.frames, voice.frames))
        weights = {kind: weight[rows] for kind, weight in weigh_kinds(voice).items()}
        return CorrectedLine(take.part(rows), edited.part(rows), weights)

    def analyse(
        self, speech: Speech, sound: str = "", progress: Progress = no_progress
    ) -> VoiceFeatures:
        """The features of a sound; the last few are cached, of long sounds fewer.  sound: its
        `fingerprint`, if it is known."""
        key = sound or speech.fingerprint
        if key not in self._known:
            while self._known and (
                len(self._known) >= _REMEMBERED
                or sum(voice.frames for voice in self._known.values()) + speech.frames
                > _REMEMBERED_FRAMES
            ):
                self._known.pop(next(iter(self._known)))
            frames = speech.frames
            release_memory(frames)  # of what read it
            self._known[key] = self.thunder.analyse(self._samples(speech), frames, progress)
            release_memory(frames)
        return self._known[key]

    @staticmethod
    def _samples(speech: Speech) -> np.ndarray:
        if speech.rate != RATE:
            raise BadRequest(
                f"The engine hears sound at {RATE} Hz, this one has {speech.rate}: read it with "
                f"read_sound"
            )
        return np.ascontiguousarray(speech.samples, np.float32)

    def check_motion(self, motion: Motion) -> Motion:
        """The motion, if it is of this head. Raises BadRequest."""
        n = self.head.channels
        if (
            motion.frames < 1
            or motion.expression.shape != (motion.frames, n)
            or motion.jaw.shape != (motion.frames, 3)
        ):
            raise BadRequest(
                f"The motion does not have this head's {n} channels and a jaw: take it from a "
                f"head that THUNDER made"
            )
        if not (np.isfinite(motion.expression).all() and np.isfinite(motion.jaw).all()):
            raise BadRequest(
                "The animation holds values that are not numbers: look at the keys and drivers of "
                "the head"
            )
        return motion
