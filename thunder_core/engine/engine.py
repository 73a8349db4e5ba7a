# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine, whose methods do what requests ask for (`verbs`): takes of a sound, the score of a
motion, its speech, the words of a voice …"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ..direction import DirectionRequest
from ..errors import BadRequest
from ..findings import LipSyncScore, REALISTIC, TOLERANCES
from ..progress import no_progress, Progress, share
from ..request import ENGINE, Request
from ..spoken import Word
from ..timings import Times
from ..types import FPS, Motion, RATE, SampledTake, Speech
from ..weight_files import SPEAKER_WIDTH as SPEAKER
from .alignment import LIKELY, Match, match_mouth, match_sound
from .diffusion import Normal
from .generate import generate, hear, ignore
from .loaded import Loaded
from .m2s import MARGIN
from .network import LazyNetwork
from .performance import follow_voice, perform, Performance, target_size
from .speech import recognition, transcript
from .speech.encoder import softmax
from .speech.recognition import RecognisedWords, Recogniser
from .speech.transcript import recognise, Sound
from .voice import read_line


class Engine(Loaded):
    """All that is loaded, and what is asked of it."""

    def prepare(self) -> Iterator[None]:
        """Load what only the first takes need, one part per `yield`. Does nothing once there were
        takes.

        Each network runs once on a short noise, because memory is allocated at the first call.
        """
        if self._known:
            return
        LazyNetwork.begin(self.thunder.usual)
        importlib.import_module("soundfile")
        yield
        frames = 2 * MARGIN
        voice = self.thunder.analyse(0.1 * Normal(0).draw(int(frames / FPS * RATE)), frames)
        yield
        self.scorer.score(
            self.thunder.perform(voice, [Performance(0)], 1, 1.0, no_progress), voice, [None]
        )

    def info(self) -> dict:
        """Engine, device, fingerprint and origin of the weights, channel names."""
        return {
            "engine": ENGINE,
            "device": self.device,
            "weights": self.weights,
            "weights_origin": self.identity.origin,
            "weights_note": self.identity.sentence,
            "channels": list(self.head.expression_names),
        }

    def generate(
        self, speech: Speech, request: Request, progress: Progress = ignore,
        on_take: Callable[[SampledTake], object] = ignore,
        on_note: Callable[[str], object] = ignore,
        on_sampled: Callable[[SampledTake], object] = ignore,
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
        direction, which then changes nothing, with OTHER_SCRIPT if lips cannot follow the letters
        of that, and with UNCLEAR if its phones are hard to recognise. Raises BadRequest.
        """
        line = hear(self, speech, request, progress, on_note)
        return generate(self, line, progress, on_take, on_sampled)

    def score(
        self, speech: Speech, motion: Motion, direction: DirectionRequest | None = None,
        seed: int = 0, tolerance: str = REALISTIC, text: str = "", language: str = "",
    ) -> LipSyncScore:  # fmt: skip
        """Lip-sync score of a motion with a sound. Both start together and are cut to the shorter.

        direction, seed: the motion is the take of this seed, sampled in this direction: exactly
        so if `exact_first`. Without a direction sizes that some people have are no fault.
        tolerance: of what is found, one of TOLERANCES.  text: what the voice says; "": what the
        direction says of it.  language: of the text, likewise. Raises BadRequest.
        """
        motion = self.check_motion(motion)
        if tolerance not in list(TOLERANCES):
            raise BadRequest(
                f"“tolerance” is {tolerance!r:.80} but must be one of {', '.join(TOLERANCES)}"
            )
        frames = min(motion.frames, speech.frames)
        voice, size = self.analyse(speech), None
        if direction is not None:
            text, language = text or direction.text, language or direction.language
        marks, times = ((), None) if direction is None else (direction.marks, direction.times)
        voice, _ = read_line(voice, text, marks, language, times)
        if direction is not None:
            direction = follow_voice(direction, voice.voice_style, voice.frames)
            # Stresses depend on the length of the sound, which a motion may not have.
            size = target_size(perform(direction, voice, seed, seed))
        (score,) = self.scorer.score(
            [motion.part(slice(0, frames))],
            voice.part(0, frames),
            [size],
            text,
            tolerance,
            language=language,
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
        seen = np.stack(self.lips.gap_and_width(motion), 1)
        return match_mouth(seen, voice.lips), "mouth"

    def spoken(
        self, speech: Speech, text: str, language: str = "", times: Times | None = None
    ) -> tuple[list[Sound], list[Word], bool]:
        """The sounds of a voice as takes perform them, by the text too where it says that; the
        words of the text in it, and whether it seems to say that. times: those of words, and of
        sounds, that a file tells; left aside, all of them, where the voice says these words at
        others."""
        heard = self.analyse(speech).logits
        said, words = transcript.follow(heard, text, language, times)
        belief = softmax(heard if said is None else said)
        if times is not None and times.sounds and times.are_of(words):
            return transcript.timed_sounds(belief, times), words, said is not None
        return recognise(belief), words, said is not None

    def recognise(
        self, speech: Speech, by: Recogniser, progress: Progress = no_progress
    ) -> RecognisedWords:
        """The words of a voice: what the recogniser understands and this encoder hears. Raises
        ThunderError."""
        voice = self.analyse(speech, progress=share(progress, 0.0, 0.1, "Analyzing the voice"))
        belief = softmax(voice.logits)
        words_progress = share(progress, 0.1, 1.0, "Recognizing words")
        found = recognition.recognise(
            self._samples(speech),
            voice.phrasing.phrases,
            belief,
            by,
            self.recogniser,
            words_progress,
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
