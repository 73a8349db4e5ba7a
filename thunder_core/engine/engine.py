# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's three operations: takes of a sound, the score of a motion, and its speech."""

import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..direction import Brief
from ..errors import BadRequest, BadWeights
from ..files import hash_of
from ..findings import LipSyncScore, REALISTIC, TOLERANCES
from ..progress import no_progress, Progress, share
from ..request import ENGINE, Request
from ..spoken import Word
from ..steps import explain, Trace, traced
from ..system_calls import release_free_memory
from ..types import FPS, Motion, RATE, Speech, Take
from ..weight_files import (
    advice,
    identify,
    Identity,
    SHIPPED,
    SPEAKER_WIDTH as SPEAKER,
    stored_head,
    trained_mouth,
    unusable,
)
from .alignment import LIKELY, Match, match_mouth, match_sound
from .diffusion import Normal
from .generate import generate, hear, ignore, LONG
from .m2s import MARGIN, MeshToSpeech, Mouth, SpeakerEncoder, Vocoder
from .network import best_device, Network
from .performance import asked_size, follow_voice, perform, Performance, plan
from .scorer import Measures, Scorer
from .speech import recognition, transcript
from .speech.encoder import softmax
from .speech.recognition import Recognised, Recogniser
from .speech.transcript import recognise, Sound
from .thunder import Thunder
from .voice import read_line, VoiceFeatures

# cached sounds, and their total frames (one hour, 90 MB)
_REMEMBERED, _REMEMBERED_FRAMES = 8, 100_000


def _identify(folder: Path) -> Identity:
    """The identity of the weights in a folder; it is logged if they are not the shipped ones."""
    identity = identify(folder)
    if identity.sentence:
        print(identity.sentence, file=sys.stderr)
    return identity


class Engine:
    """Everything that is loaded: head, encoder, diffusion model, mesh-to-speech with its vocoder,
    speaker network."""

    def __init__(self, folder: Path, device: str, at_once: bool = False):
        self.folder, self.device = folder, device
        # Files are read for their checksums in parallel to loading; access to the identity waits
        # for the result.
        self._identity = ThreadPoolExecutor(1, "identity").submit(_identify, folder)
        if not (folder / "head.npz").is_file():
            raise unusable(folder / "head.npz", "is missing")
        self.head = stored_head(folder / "head.npz")
        self.thunder = Thunder(folder, device, self.head, at_once)
        self.m2s = MeshToSpeech(folder, device)
        self.mouth = Mouth(trained_mouth(folder) or self.head)
        self.vocoder = Vocoder.load(folder, device)
        self.speaker = SpeakerEncoder.load(folder, device)
        self.measures = Measures(self.head)
        articulators = self.thunder.pipeline.mechanics.articulators
        self.scorer = Scorer(articulators, self.m2s, self.mouth, self.measures)
        self._check_that_all_fit()
        self.recogniser = recognition.RecogniserProcess()
        self._known: dict[str, VoiceFeatures] = {}

    @property
    def identity(self) -> Identity:
        """Identity of the weights."""
        return self._identity.result()

    @property
    def weights(self) -> str:
        """The fingerprint of the weights."""
        return self.identity.fingerprint

    @classmethod
    def load(
        cls, weights: str | Path | None = None, device: str | None = None, at_once: bool = False
    ) -> "Engine":
        """Load the weights in a folder (default: the embedded ones) on "cpu", "cuda:0" … (default:
        GPU if there is one).

        at_once: takes are wanted now.  Raises BadWeights.
        """
        return cls(Path(weights) if weights else SHIPPED, device or best_device(), at_once)

    def _check_that_all_fit(self) -> None:
        """Raise BadWeights if networks of one folder were not trained for each other."""
        thunder, m2s = self.thunder, self.m2s.config
        units = hash_of(self.folder / "units.safetensors")
        features = (thunder.feature_encoder or thunder.encoder).feature_width
        for pair, first, second in (
            ("encoder and units", thunder.encoder.config.width, thunder.units.centroids.shape[1]),
            ("encoder and denoiser", features, thunder.denoiser.config.audio),
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

    def prepare(self) -> Iterator[None]:
        """Load what only the first takes need, one part per `yield`. Does nothing once there were
        takes.

        Each network runs once on a short noise, because memory is allocated at the first call.
        """
        if self._known:
            return
        Network.begin(self.thunder.usual)
        importlib.import_module("soundfile")
        yield
        frames = 2 * MARGIN
        voice = self.thunder.analyse(0.1 * Normal(0).draw(int(frames / FPS * RATE)), frames)
        yield
        self.scorer.score(
            self.thunder.perform(voice, [Performance(0)], 1, 1.0, no_progress), voice, [None]
        )

    def info(self) -> dict:
        """The answer to hello: engine, device, fingerprint and origin of the weights, channel
        names, library versions."""
        return {
            "engine": ENGINE,
            "device": self.device,
            "weights": self.weights,
            "weights_origin": self.identity.origin,
            "weights_note": self.identity.sentence,
            "channels": list(self.head.expression_names),
            "versions": {
                name: importlib.metadata.version(name)
                for name in ("onnxruntime", "torch", "torchaudio")
                if find_spec(name)
            },
        }

    def generate(
        self, speech: Speech, request: Request, progress: Progress = ignore,
        on_take: Callable[[Take], object] = ignore,
        on_note: Callable[[str], object] = ignore,
        on_sampled: Callable[[Take], object] = ignore,
    ) -> list[Any]:  # fmt: skip
        """Sample the takes that a request asks for, best lip-sync first.

        Takes of a listener, and those of a sound without speech, have no score, come in the order
        of their seeds and have the role in their provenance ("role"); those of a voice that is hard
        to understand say so ("unclear").
        `progress` is called with (0 … 1, message) before each step and may raise to cancel.
        `on_sampled` gets every take as soon as it is sampled, without a score, in the order of the
        seeds; `on_take` gets it again once it is scored, in that order too;
        what it returns, unless None, replaces the take in the result: eight takes of an hour would
        need .4 GB.
        on_note: is called before takes are sampled, with UNSPOKEN if the sound has no speech, so
        that they will be idle, with OTHER_TEXT if it does not seem to say the text of the
        direction, which then changes nothing, and with UNCLEAR if its phones are hard to recognise.
        Raises BadRequest.
        """
        heard = hear(self, speech, request, progress, on_note)
        return generate(self, heard, progress, on_take, on_sampled)

    def explain(self, speech: Speech, request: Request, frame: int) -> dict:
        """What happened at a frame of the take of a request's first seed, which is sampled again
        for it: `steps.explain`.

        Raises BadRequest.
        """
        if not 0 <= frame < speech.frames:
            raise BadRequest(f"The take has frames 0 to {speech.frames - 1}: choose one of them")
        heard = hear(self, speech, request, ignore, ignore)
        trace, pipeline = Trace(), self.thunder.pipeline
        take = heard.perform(request.seed)
        self.thunder.pipeline = traced(pipeline, trace)
        try:
            heard.sample(self.thunder, [take])
        finally:
            self.thunder.pipeline = pipeline
        planned = take.plan
        if take.shares is not None:
            # of moods that are cross-faded, what the strongest did
            mood, each = int(take.shares[:, frame].argmax()), len(trace.changes) // len(take.moods)
            trace.changes = trace.changes[mood * each : (mood + 1) * each]
            planned = plan(heard.voice, take.moods[mood])
        trace.planned = planned.activities()
        return explain(trace, self.head.expression_names, frame)

    def score(
        self, speech: Speech, motion: Motion, asked: Brief | None = None, seed: int = 0,
        tolerance: str = REALISTIC, text: str = "",
    ) -> LipSyncScore:  # fmt: skip
        """Lip-sync score of a motion with a sound. Both start together and are cut to the shorter.

        asked, seed: the motion is that of the take of this seed, sampled in this direction: exactly
        so if `as_asked`. Without a direction sizes that some people have are no fault.
        tolerance: of what is found, one of TOLERANCES.  text: what the voice says; "": what the
        direction says of it. Raises BadRequest.
        """
        motion = self.check_motion(motion)
        if tolerance not in list(TOLERANCES):
            raise BadRequest(
                f"“tolerance” is {tolerance!r:.80} but must be one of {', '.join(TOLERANCES)}"
            )
        frames = min(motion.frames, speech.frames)
        voice, size = self.analyse(speech), None
        text = text or (asked.text if asked is not None else "")
        voice, _ = read_line(voice, text, () if asked is None else asked.marks)
        if asked is not None:
            asked = follow_voice(asked, voice.asks, voice.frames)
            # Stresses depend on the length of the sound, which a motion may not have.
            size = asked_size(voice, perform(asked, voice, seed, seed))
        (score,) = self.scorer.score(
            [motion.part(slice(0, frames))], voice.part(0, frames), [size], text, tolerance
        )
        return score

    def align(
        self, speech: Speech, motion: Motion, recorded: Speech | None = None
    ) -> tuple[Match, str]:
        """Where a captured motion plays in a sound, and by what that was found: "sound" or "mouth".

        recorded: the sound of the capture, which is tried first. Raises BadRequest.
        """
        motion = self.check_motion(motion)
        if recorded is not None:
            match = match_sound(self._samples(recorded), self._samples(speech))
            if match.sure >= LIKELY:
                return match, "sound"
        voice = self.analyse(speech)
        seen = np.stack(self.measures.lips.gap_and_width(motion), 1)
        return match_mouth(seen, voice.lips), "mouth"

    def spoken(self, speech: Speech, text: str) -> tuple[list[Sound], list[Word], bool]:
        """The sounds that are recognised in a voice, the words of a text in it, and whether the
        voice seems to say the text."""
        belief = softmax(self.analyse(speech).logits)
        return recognise(belief), *transcript.words(belief, text)

    def recognise(
        self, speech: Speech, by: Recogniser, progress: Progress = no_progress
    ) -> Recognised:
        """The words of a voice: what the recogniser understands and this encoder hears. Raises
        ThunderError."""
        voice = self.analyse(speech, progress=share(progress, 0.0, 0.1, "Analyzing the voice"))
        belief = softmax(voice.logits)
        told = share(progress, 0.1, 1.0, "Recognizing words")
        found = recognition.recognise(
            self._samples(speech), voice.phrasing.phrases, belief, by, self.recogniser, told
        )
        sounds, words, matches = self.spoken(speech, found.text)
        placed = tuple(recognition.place(words, found.words))
        return replace(found, words=placed, sounds=tuple(sounds), matches=matches)

    def listen(self, motion: Motion, voice: Speech | None = None) -> Speech:
        """The speech of a motion, in the voice of `voice` (None: an average one), as sound of the
        same length."""
        motion = self.check_motion(motion)
        if voice is None:
            speaker = np.full(SPEAKER, SPEAKER**-0.5, np.float32)
        else:
            speaker = self.speaker.embed(self._samples(voice))
        sound = self.vocoder.speak(*self._draw(motion, speaker), speaker)[
            : round(motion.frames / FPS * RATE)
        ]
        return Speech(sound, RATE)

    def _draw(self, motion: Motion, speaker: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Motion → log-mel [4T, 80] and speech units [2T] of its speech."""
        mels, units = [], []
        for seen, keep in self.mouth.windows([motion], slice(0, motion.frames)):
            logits, mel = self.m2s.speak(seen[0], speaker)
            mels.append(mel[4 * keep.start : 4 * keep.stop])
            units.append(logits[2 * keep.start : 2 * keep.stop].argmax(-1))
        return np.concatenate(mels), np.concatenate(units)

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
            self._known[key] = self.thunder.analyse(self._samples(speech), frames, progress)
            if frames > LONG:
                release_free_memory()
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
