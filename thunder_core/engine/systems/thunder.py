# SPDX-License-Identifier: GPL-3.0-or-later
"""The THUNDER system: speech encoder, diffusion model and sampler; turns a sound and seeds into
motions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ...acoustics import semitones
from ...direction import Direction, DIRECTION_NAMES, in_moods, split_moods, Style
from ...events import BLINK, BREATH, BROWS as RAISED, EVENTS, HEAD, KNIT, LIPS, LOOK
from ...face.head import Head
from ...face.mechanics import lips_of, Sounds
from ...face.points import Articulators
from ...files import hash_of
from ...filters import widen
from ...progress import no_progress, Progress, share
from ...request import DRAFT, FINAL, NORMAL
from ...spoken import PHONES, SILENCE, Word
from ...types import BLINKS, BROWS, Columns, FPS, in_group, Motion, pack, RATE, unpack
from ...weight_files import unusable
from ..diffusion import Conditions, Denoiser, Inpainting, seeded_noise, solver_steps, Steps
from ..network import Network, processors
from ..pipeline import Pipeline
from ..planning.choice import Choice, deal, DECK
from ..planning.lip_kernels import map_fits, open_on_phones, plan_lips
from ..planning.plan import Manners
from ..planning.take_plan import plan_take, TakePlan, vary_lips
from ..speech.cues import (
    accent_curve,
    confident_sounds,
    hear_phones,
    Heard,
    Phrasing,
    phrasing,
    Prosody,
    prosody_of,
    read_arousal,
    silent_phrasing,
)
from ..speech.encoder import (
    at_frames,
    LOUDNESS,
    presence,
    softmax,
    speech_features,
    SpeechEncoder,
    Units,
)

_TELLS = np.radians(1.0)  # mean tilt of a kept head that shows to which side it inclines
# frames beside a kept part in which nothing is planned, and deviation of the smoothing
_KEPT_REACH, _KEPT_EASE = 12, 6.0
SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech
_LEAST_SIZE = 1e-3  # deviations of the opening, added where two are compared
_SILENT = 0.5  # probability of silence above which nobody speaks
_LOUD = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence
# Doubt above which phones are hard to recognise: of 40 validation voices 3 are so as they are, 14
# with noise 5 dB below, 36 with four other voices. `python -m research unclear --data DATA`
# measures it, and says what another encoder needs.
UNCLEAR = 1.4
# amplitude below which there is no sound, and the logit of silence there
_NOTHING, _SURELY = 1e-6, 9.0
_SILENCE = 2  # seconds of silence by which the features of a silent listener are measured
# frames of speech beside a pause that count as quiet, and deviation of the edges' smoothing
_QUIET_REACH, _QUIET_EASE = 3, 1.2
# Added to every direction that the model performs: lips round 1.6 times as far as those of the
# people that it learned from, whose rounding is hardly seen on a head.
_ROUNDER = Direction(Style(rounding=1.6)).vector()
# steps of the distilled model in a draft: half its steps give nearly the same takes
_DRAFT_STEPS = 2
_MOUTH_AND_MOODS = [
    i for i, name in enumerate(DIRECTION_NAMES) if name == "jaw" or name.startswith("mood.")
]
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


@dataclass(frozen=True)
class VoiceFeatures:
    """The encoder's features of a sound over T animation frames.

    features: [T, d], speech features a.  units: int64 [2T].  presence: [T] 0 … 1, whether somebody
    speaks.
    sounds: articulation of jaw, lips and tongue.
    accents: float64 [T] 0 … 1, stressed syllables.
    phrasing: accents and phrases of the voice that the face speaks or listens to.  logits: [2T,
    40], of the encoder's phones at 50 Hz.
    listens: the face listens instead of speaking.  heard: how lively the voice is, of the whole
    sound.  map_fits: whether the map of `planning.lip_kernels` was fitted to these features.
    words: of the voice's text that were found.
    """

    features: np.ndarray
    units: np.ndarray
    presence: np.ndarray
    sounds: Sounds
    accents: np.ndarray
    phrasing: Phrasing
    logits: np.ndarray
    listens: bool = False
    heard: Heard = Heard()
    map_fits: bool = False
    words: tuple[Word, ...] = ()

    @property
    def frames(self) -> int:
        return len(self.presence)

    @cached_property
    def quiet(self) -> np.ndarray:
        """Where nobody speaks [T], 0 … 1, eased within a few frames of speech: also pauses too
        short for `presence` to fall."""
        nobody = 1 - self.presence.astype(float)
        for start, end in self.phrasing.silences:
            nobody[start:end] = 1.0
        return widen(nobody, _QUIET_REACH, _QUIET_EASE)

    @cached_property
    def speaking(self) -> np.ndarray:
        """Frames on which a phone sounds, bool [T]: short pauses in speech are none."""
        return self.features[:, SILENCE - LOUDNESS - len(PHONES)] < _SILENT

    @cached_property
    def doubt(self) -> float:
        """How hard the phones of the speech are to recognise: the mean entropy of their
        probabilities, nats; 0 without speech."""
        loud = self.features[:, -1] > _LOUD
        phones = np.maximum(self.features[loud, -LOUDNESS - len(PHONES) : -LOUDNESS], 1e-6)
        phones = phones / phones.sum(-1, keepdims=True)
        return float(-(phones * np.log(phones)).sum(-1).mean()) if loud.any() else 0.0

    @property
    def is_unclear(self) -> bool:
        """Whether the phones are so hard to recognise that takes may miss closures; False of less
        than a second of speech."""
        return bool((self.features[:, -1] > _LOUD).sum() >= FPS and self.doubt > UNCLEAR)

    def part(self, start: int, end: int) -> VoiceFeatures:
        """Frames start … end of it."""
        if (start, end) == (0, self.frames):  # with all that was derived from it
            return self
        return VoiceFeatures(
            self.features[start:end],
            self.units[2 * start : 2 * end],
            self.presence[start:end],
            Sounds(*(weights[start:end] for weights in vars(self.sounds).values())),
            self.accents[start:end],
            self.phrasing.part(start, end),
            self.logits[2 * start : 2 * end],
            self.listens,
            self.heard,
            self.map_fits,
            tuple(
                replace(word, start=word.start - start / FPS, end=word.end - start / FPS)
                for word in self.words
                if start / FPS <= word.start and word.end <= end / FPS
            ),
        )

    @cached_property
    def lips(self) -> np.ndarray:
        """Opening and width of the lips that the voice asks for, float32 [T, 2] (`plan_lips`)."""
        return plan_lips(self.features, self.presence, self.map_fits)

    @cached_property
    def prosody(self) -> Prosody:
        """Accents, phrases and hesitations of the voice that the face speaks or listens to."""
        phones = self.logits.argmax(-1)
        return prosody_of(self.phrasing, self.features[:, -LOUDNESS], phones, self.words)

    @cached_property
    def _deck(self) -> list[Choice]:
        return deal(self.prosody)

    def choice(self, seed: int, spread: float) -> Choice:
        """How the take of a seed reads the line; at a spread of 0 plainly."""
        return self._deck[1 + seed % DECK if spread else 0]

    def features_with(self, logits: np.ndarray) -> np.ndarray:
        """The features [T, d], if the encoder heard these phone logits [2T, 40] in the voice."""
        features = self.features.copy()
        features[:, -LOUDNESS - len(PHONES) : -LOUDNESS] += at_frames(
            softmax(logits) - softmax(self.logits), self.frames
        )
        return features

    def with_phones(self, logits: np.ndarray) -> VoiceFeatures:
        """The same voice, if the encoder heard these phone logits [2T, 40] in it."""
        belief = softmax(logits)
        return replace(
            self, features=self.features_with(logits), logits=logits,
            sounds=confident_sounds(belief, self.presence),
        )  # fmt: skip

    def unspoken(self, silence: np.ndarray | None = None) -> VoiceFeatures:
        """These features for a face that does not speak: no articulation. silence: features of it
        [d − LOUDNESS], if the face listens."""
        nothing = np.zeros(self.frames)
        nobody = np.zeros_like(self.presence)
        features = self.features
        if silence is not None:
            features = np.concatenate(
                [np.broadcast_to(silence, (self.frames, len(silence))), features[:, -LOUDNESS:]], 1
            )
        listens = silence is not None
        return replace(
            self, features=features, presence=nobody,
            sounds=Sounds(*[nothing] * 5),
            accents=self.accents if listens else nothing,
            phrasing=self.phrasing if listens else silent_phrasing(self.frames), listens=listens,
        )  # fmt: skip


@dataclass(frozen=True)
class Performance:
    """How one take is performed.

    seed: of its noise.  style: float32 [1 or T, DIRECTION_NAMES] that it is played in; None: any.
    gestures: seed of its plan, and how far it may be from usual ones, 0 … 1; None: the take's seed,
    0.  voice: as the take hears it (`Thunder.hear`); None: as it is.  around: seeds of takes that
    its noise is drawn around, as `seeded_noise`'s `like`.  is_variation: whether it is not played
    just as requested.  plan: of `Thunder.plan`; None: to be made.
    """

    seed: int
    style: np.ndarray | None = None
    gestures: tuple[int, float] | None = None
    voice: VoiceFeatures | None = None
    around: tuple[int, ...] = ()
    is_variation: bool = False
    plan: TakePlan | None = None

    @cached_property
    def lips(self) -> float:
        """How much the lips move (`face.mechanics.lips_of`), on average."""
        if self.style is None:
            return 1.0
        # frames that are equal in these are evaluated once
        _, first, count = np.unique(
            self.style[:, _MOUTH_AND_MOODS], axis=0, return_index=True, return_counts=True
        )
        jaws = [style.jaw for _, style in in_moods(self.style[first])]
        return lips_of(float(np.average(jaws, weights=count)))


class Thunder:
    """Engine interface: `analyse` a sound once, `perform` it for any seeds."""

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

    def analyse(
        self, samples: np.ndarray, frames: int, progress: Progress = no_progress
    ) -> VoiceFeatures:
        """Features of a sound [samples] over T frames of animation. `progress` may raise to
        stop."""
        hidden, logits = self.encoder.analyse(samples, progress)
        if np.abs(samples).max(initial=0.0) < _NOTHING:  # of nothing at all the encoder cannot tell
            logits = np.zeros_like(logits)
            logits[:, SILENCE] = _SURELY
        analysed = (
            (hidden, logits)
            if self.feature_encoder is None
            else self.feature_encoder.analyse(samples, progress)
        )
        belief, present = softmax(logits), presence(logits, frames)
        features = speech_features(*analysed, samples, frames)
        pitch = semitones(samples, frames)
        marks = phrasing(features[:, -LOUDNESS], present, belief, pitch)
        return VoiceFeatures(
            features, self.units.over(hidden, frames), present,
            confident_sounds(belief, present), accent_curve(marks.accents, frames), marks, logits,
            heard=read_arousal(samples, belief, pitch), map_fits=self._map_fits,
        )  # fmt: skip

    @cached_property
    def _map_fits(self) -> bool:
        """`VoiceFeatures.map_fits` of every voice."""
        return map_fits(self.feature_encoder or self.encoder)

    @staticmethod
    def hear(
        voice: VoiceFeatures, seed: int | None, again: np.ndarray | None = None
    ) -> VoiceFeatures:
        """A voice as the take of a seed hears it, with other phones where the encoder doubts
        (`speech.cues`); None: the likeliest.

        again: bool [2T], rows of which other readings are asked for: there unlikely phones are
        drawn more often, elsewhere all stays.
        """
        if seed is None or not voice.presence.any():
            return voice
        logits = hear_phones(voice.logits, seed, freely=again is not None)
        if again is not None:
            logits = np.where(again[: len(logits), None], logits, voice.logits)
        return voice.with_phones(logits)

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
        """Sample one motion per take (`Denoiser.sample`). All takes have a style, or none has.

        effort: one of QUALITIES, or a number of steps of the whole model.
        kept: fixed part of the motion [T, channels + 9] (not standardised; kept bit for bit).
        guide: as `networks.speech.SpeechGuidance`.
        """
        if any(take.style is not None and len(split_moods(take.style)[0]) > 1 for take in takes):
            return [
                self._perform_moods(
                    voice, take, effort, guidance,
                    share(progress, number / len(takes), (number + 1) / len(takes)), kept, guide,
                )
                for number, take in enumerate(takes)
            ]  # fmt: skip
        plans = [take.plan or self.plan(voice, take, kept) for take in takes]
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
        styles, shares = split_moods(take.style)
        played = [replace(take, style=style, plan=None) for style in styles]
        motions = self.perform(voice, played, effort, guidance, progress, kept, guide)
        return unpack(
            self.pipeline.cross_fade(np.stack([pack(each) for each in motions]), shares, kept),
            len(self.channel_names),
        )

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
            styles = np.stack([take.style for take in takes]).astype(np.float32) + _ROUNDER
        return Conditions([each.features for each in voices], styles, events)

    def plan(
        self, voice: VoiceFeatures, take: Performance, kept: Inpainting | None = None
    ) -> TakePlan:
        """What a take of a voice plans beside a kept part."""
        seed, spread = take.gestures or (take.seed, 0.0)
        side = 0.0 if kept is None else self._side_of(kept, take.style)
        choice = voice.choice(seed, spread)
        plan = plan_take(
            voice.prosody, voice.phrasing, choice, seed, spread, take.style, voice.listens, side
        )
        stress, heard = choice.stress(voice.frames), take.voice or voice
        plan.events[:, LIPS] = vary_lips(heard.lips, voice.presence, stress, seed, spread)
        return replace(plan, opening=open_on_phones(heard.features, heard.sounds.shut))

    @staticmethod
    def asked_size(voice: VoiceFeatures, take: Performance) -> float:
        """By which factor a take of a voice is asked to open the mouth further, or less, than the
        voice alone asks for: by its direction, and because no two takes are equally large."""
        spoken, size = voice.presence > SPOKEN, 1.0
        if take.style is not None:
            size = Direction.of_vector(take.style.mean(0)).style_in_mood.energy
        if not spoken.any():
            return size
        seed, spread = take.gestures or (take.seed, 0.0)
        stress = voice.choice(seed, spread).stress(voice.frames)
        lips = vary_lips((take.voice or voice).lips, voice.presence, stress, seed, spread)
        asked, usual = (np.maximum(each[spoken, 0], 0).mean() for each in (lips, voice.lips))
        return float(size * (asked + _LEAST_SIZE) / (usual + _LEAST_SIZE))

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

    def _side_of(self, kept: Inpainting, style: np.ndarray | None) -> float:
        """The side to which a mood inclines a head that goes on from what is kept, −1 or 1; 0 where
        that shows none."""
        head = self.columns.head
        frames = kept.mask[:, head].any(1)
        tilt = float(kept.values[frames, head][:, 2].mean()) if frames.any() else 0.0
        usual = 1.0 if style is None else Manners.of_styles(style).usual.pose[2]
        return float(np.sign(tilt * usual)) if abs(tilt) > _TELLS else 0.0

    def select_sampler(self, effort: str | int, is_plain: bool) -> tuple[Denoiser, Steps]:
        """The model for sampling, and its steps. is_plain: in a style, without guidance and without
        kept parts.

        The distilled model is used for plain sampling only: with guidance its few steps are not
        enough, kept parts would not agree with the rest, and without a style its takes vary less
        than the whole model's.
        """
        if effort in (DRAFT, NORMAL) and is_plain and self.distilled is not None:
            config = self.distilled.config
            return self.distilled, solver_steps(
                min(_DRAFT_STEPS, config.steps) if effort == DRAFT else config.steps,
                config.least_noise,
            )
        return self.denoiser, solver_steps(
            _WHOLE_STEPS[effort] if isinstance(effort, str) else effort
        )

    def expect(self, voice: VoiceFeatures, style: np.ndarray) -> Motion:
        """The model's expectation for a sound in a style [1 or T, DIRECTION_NAMES]: its estimate
        from pure noise in one step, about the mean of all its performances in that style. Head,
        eyes and brows are as the model has them."""
        take = Performance(0, style)
        # any other events
        events = np.full((1, voice.frames, len(EVENTS)), np.nan, np.float32)
        events[..., LIPS] = voice.lips
        noise = seeded_noise([0], voice.frames, self.columns.count)
        conditions = self._conditions(voice, [take], events)
        (sampled,) = self.denoiser.sample(noise, conditions, solver_steps(1))
        return self._motion(sampled, voice, take, acts=False)

    def _motion(self, x: np.ndarray, voice: VoiceFeatures, take: Performance, **more) -> Motion:
        """A sampled motion [T, C] as a face performs it. more: as `Pipeline.finish`."""
        return unpack(
            self.pipeline.finish(x, take.voice or voice, take, **more), len(self.channel_names)
        )
