# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a corpus, performed in a direction by the teacher or as takes: what benches of
directions share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.harness import in_turns, required
from research.measures.map_features import map_features
from research.train.corpus import Clip, Corpus
from research.train.teacher import perform, semitones
from thunder_core.acoustics import loudness
from thunder_core.direction import Direction, DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.request import Request
from thunder_core.types import FPS, Motion, RATE, Speech

LEAST_SECONDS, MOST_SECONDS = 5.0, 10.0
# options that these benches share, and defaults of two more
LINE_OPTIONS = ("cache", "weights", "steps", "results")
UNSEEN = {"split": "validation", "voices": 20}


def open_corpus(cache: Path) -> Corpus:
    """The corpus in a cache folder. Raises SystemExit if there is none."""
    return Corpus(required(cache / "corpus", "run the stage corpus"))


def clips_of(corpus: Corpus, split: str, count: int) -> list[Clip]:
    """Up to `count` long enough clips of a split, one of every voice before a second of any."""
    long_enough = (clip for clip in corpus.of(split) if clip.length >= LEAST_SECONDS * RATE)
    return in_turns(long_enough, lambda clip: clip.speaker, lambda clip: clip.name)[:count]


@dataclass(frozen=True)
class Line:
    """The beginning of a clip. phones: uint8 [4T], 10 ms labels of its T frames."""

    engine: Engine
    speech: Speech
    phones: np.ndarray

    @classmethod
    def of(cls, corpus: Corpus, clip: Clip, engine: Engine) -> Line:
        """The first MOST_SECONDS of a clip."""
        samples = corpus.samples(clip)[: int(MOST_SECONDS * RATE)]
        return cls(
            engine, Speech(samples), corpus.phones(clip)[: 4 * round(len(samples) / RATE * FPS)]
        )

    @property
    def frames(self) -> int:
        """Animation frames of the sound."""
        return round(len(self.speech.samples) / RATE * FPS)

    def perform(self, performances: list[tuple[Direction, np.random.Generator]]) -> list[Motion]:
        """The teacher's performance in each direction."""
        samples, frames = self.speech.samples, self.frames
        channels = list(self.engine.head.expression_names)
        features = map_features(self.engine.thunder.encoder, samples, frames)
        loud, pitch = loudness(samples, frames), semitones(samples, frames)
        return [
            perform(self.phones, loud, channels, rng, direction, pitch, features=features)
            for direction, rng in performances
        ]

    def sample(self, vector: np.ndarray, takes: int, seed: int, steps: int) -> list[Motion]:
        """Takes just as a direction vector [1, DIRECTION_NAMES] asks, best lip-sync first."""
        return [
            take.motion
            for take in self.engine.generate(
                self.speech,
                Request(takes, seed, steps=steps, direction=DirectionRequest(vector, 0.0)),
            )
        ]
