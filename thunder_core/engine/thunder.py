# SPDX-License-Identifier: GPL-3.0-or-later
"""The THUNDER system: speech encoder, diffusion model and sampler; turns a sound and seeds into
motions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..direction import Direction, DIRECTION_NAMES, Style
from ..events import BLINK, BREATH, BROWS as RAISED, EVENTS, HEAD, KNIT, LIPS, LOOK
from ..face.head import Head
from ..face.points import Articulators
from ..files import hash_of
from ..filters import widen
from ..progress import no_progress, Progress, share
from ..request import DRAFT, FINAL, NORMAL
from ..types import BLINKS, BROWS, Columns, FPS, in_group, Motion, pack, RATE, unpack
from ..weight_files import unusable
from .diffusion import Conditions, Denoiser, Inpainting, seeded_noise
from .network import Network, processors
from .performance import Performance, plan
from .pipeline import Pipeline
from .planning.lip_kernels import map_fits
from .planning.take_plan import TakePlan
from .speech.cues import cues_of
from .speech.encoder import encode, LOUDNESS, speech_features, SpeechEncoder, Units
from .voice import VoiceFeatures

# frames beside a kept part in which nothing is planned, and deviation of the smoothing
_KEPT_REACH, _KEPT_EASE = 12, 6.0
_SILENCE = 2  # seconds of silence by which the features of a silent listener are measured
# Added to every direction that the model performs. Energy: what is learned from many is smaller
# than what one does (takes opened .81 to .93 times as far as people). Rounding: that of the people
# that it learned from is hardly seen on a head. Width: else rounding alone would skew widths. Head:
# heads turned 1.2 times as fast as people's.
_FURTHER = Direction(Style(energy=1.15, rounding=2.0, width=1.2, head=0.8)).vector()
# steps of the distilled model in a draft: half its steps give nearly the same takes
_DRAFT_STEPS = 2
_WHOLE_STEPS = {DRAFT: 3, NORMAL: 10, FINAL: 20}  # steps of the undistilled model at each quality


# Curves of events by the part of the face that performs them: channels and rotations of a packed
# motion.
_KEPT_BY = {
    ("head",): HEAD,
    BROWS: slice(RAISED.start, KNIT + 1),
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
        # sounds are analysed one at a time; takes are sampled beside each other, each by one thread
        threads = processors()
        self.encoder = SpeechEncoder.load(folder, "encoder", device, threads)
        if at_once:  # it takes longest, and is needed first
            Network.begin([self.encoder.network])  # type: ignore[list-item]
        self.pipeline = Pipeline(channel_names, Articulators.of(head))
        # THUNDER-T has a separate encoder for the features; phones come from the shared one.
        has_encoder = (folder / "encoder-t.json").exists()
        self.feature_encoder = (
            SpeechEncoder.load(folder, "encoder-t", device, threads) if has_encoder else None
        )
        # `VoiceFeatures.map_fits` of every voice; the file is read beside other work
        reader = self.feature_encoder or self.encoder
        self._map_fits = ThreadPoolExecutor(1, "map").submit(map_fits, reader)
        self.units = Units.load(folder)
        self.denoiser = Denoiser(folder, device)
        for known, trained, reason in (
            (self.columns.count, self.denoiser.config.motion, "was made for another head"),
            (len(EVENTS), self.denoiser.config.events, "was trained for other planned events"),
            (len(DIRECTION_NAMES), self.denoiser.config.style, "was trained with other styles"),
        ):
            if known != trained:
                raise unusable(folder / "denoiser.safetensors", reason)
        self.distilled = _load_distilled(folder, device, self.denoiser)
        # the networks that make usual takes; those that score them would compete with these for
        # processors, and are opened when they are called
        self.usual = [each.network for each in (self.encoder, self.distilled or self.denoiser)]

    def analyse(
        self, samples: np.ndarray, frames: int, progress: Progress = no_progress
    ) -> VoiceFeatures:
        """Features of a sound [samples] over T frames of animation. `progress` may raise to
        stop."""
        features, units, presence, logits, belief = encode(
            samples, frames, self.encoder, self.units, self.feature_encoder, progress
        )
        marks, sounds, accents, arousal, asks = cues_of(
            samples, features[:, -LOUDNESS], presence, belief
        )
        return VoiceFeatures(
            features, units, presence, sounds, accents, marks, logits,
            heard=arousal, asks=asks, map_fits=self._map_fits.result(),
        )  # fmt: skip

    @cached_property
    def silence(self) -> np.ndarray:
        """What the encoder hears in silence, float32 [d − LOUDNESS]."""
        quiet = np.zeros(_SILENCE * RATE, np.float32)
        frames = _SILENCE * int(FPS)
        return speech_features(
            *(self.feature_encoder or self.encoder).analyse(quiet), quiet, frames
        )[frames // 2, :-LOUDNESS]

    def perform(
        self, voice: VoiceFeatures, takes: Sequence[Performance], effort: str | int,
        guidance: float, progress: Progress,
        kept: Inpainting | None = None, guide: Callable[[np.ndarray, int, int], np.ndarray]
        | None = None,
    ) -> list[Motion]:  # fmt: skip
        """Sample one motion per take (`Denoiser.sample`). All takes have a style, or none has; so
        with moods.

        effort: one of QUALITIES, or a number of steps of the whole model.
        kept: fixed part of the motion [T, channels + 9] (not standardised; kept bit for bit).
        guide: as `networks.speech.SpeechGuidance`.
        """
        if takes[0].moods:
            return [
                self._perform_moods(
                    voice, take, effort, guidance,
                    share(progress, number / len(takes), (number + 1) / len(takes)), kept, guide,
                )
                for number, take in enumerate(takes)
            ]  # fmt: skip
        plans = [take.plan or plan(voice, take, kept) for take in takes]
        is_plain = takes[0].style is not None and guidance == 1.0 and kept is None and guide is None
        denoiser, steps = self.select_sampler(effort, is_plain)
        noise = seeded_noise(
            [take.seed for take in takes], voice.frames, self.columns.count, takes[0].around
        )
        conditions = self._conditions(voice, takes, self._events(plans, kept))
        sampled = denoiser.sample(noise, conditions, steps, guidance, kept, guide, progress)
        return [
            self._motion(x, voice, take, plan=plan, kept=kept)
            for x, take, plan in zip(sampled, takes, plans)
        ]

    def _perform_moods(
        self, voice: VoiceFeatures, take: Performance, effort: str | int, guidance: float,
        progress: Progress, kept: Inpainting | None, guide: Callable | None,
    ) -> Motion:  # fmt: skip
        """A take whose moods change over the line: cross-faded from takes of the same seed in each
        of them, so that at a strength of 0 it is the take without that mood."""
        motions = self.perform(voice, take.moods, effort, guidance, progress, kept, guide)
        played = np.stack([pack(each) for each in motions])
        return unpack(self.pipeline.cross_fade(played, take.shares, kept), len(self.channel_names))

    @staticmethod
    def _conditions(
        voice: VoiceFeatures, takes: Sequence[Performance], events: np.ndarray
    ) -> Conditions:
        """What takes of a voice that plan these events are sampled for."""
        voices = [take.voice or voice for take in takes]
        if all(each is voices[0] for each in voices):
            voices = voices[:1]
        styles = None
        if takes[0].style is not None:
            styles = np.stack([take.style for take in takes]).astype(np.float32) + _FURTHER
        return Conditions([each.features for each in voices], styles, events)

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

    def select_sampler(self, effort: str | int, is_plain: bool) -> tuple[Denoiser, int]:
        """The model for sampling, and its number of steps. is_plain: in a style, without guidance
        and without kept parts.

        The distilled model is used for plain sampling only: with guidance its few steps are not
        enough, kept parts would not agree with the rest, and without a style its takes vary less
        than the whole model's.
        """
        if effort in (DRAFT, NORMAL) and is_plain and self.distilled is not None:
            steps = self.distilled.config.steps
            return self.distilled, min(_DRAFT_STEPS, steps) if effort == DRAFT else steps
        return self.denoiser, _WHOLE_STEPS[effort] if isinstance(effort, str) else effort

    def expect(self, voice: VoiceFeatures, style: np.ndarray) -> Motion:
        """The model's expectation for a sound in a style [1 or T, DIRECTION_NAMES]: its estimate
        from pure noise in one step, about the mean of all its performances in that style. Head,
        eyes and brows are as the model has them."""
        take = Performance(0, style)
        # any other events
        events = np.full((1, voice.frames, len(EVENTS)), np.nan, np.float32)
        events[..., LIPS] = voice.lips
        noise = seeded_noise([0], voice.frames, self.columns.count)
        (sampled,) = self.denoiser.sample(noise, self._conditions(voice, [take], events), 1)
        return self._motion(sampled, voice, take, acts=False)

    def _motion(self, x: np.ndarray, voice: VoiceFeatures, take: Performance, **more) -> Motion:
        """A sampled motion [T, C] as a face performs it. more: as `Pipeline.finish`."""
        return unpack(
            self.pipeline.finish(x, take.voice or voice, take, **more), len(self.channel_names)
        )
