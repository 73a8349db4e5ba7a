# SPDX-License-Identifier: GPL-3.0-or-later
"""Phone times for recordings without any: texts are aligned by pocketsphinx; without a text the
encoder recognises the phones."""

import re
from functools import cached_property
from pathlib import Path

import numpy as np

from ..engine.speech.cues import runs
from ..engine.speech.encoder import BILABIALS, ENCODER_RATE, PHONES, softmax, SpeechEncoder
from ..engine.speech.transcript import likeliest_path

_LIKELY = 0.5  # probability that an m, b or p must reach
_CHANGE = 4.0  # cost of a change of phone in the Viterbi path, nats


def align(samples: np.ndarray, text: str) -> list[tuple[str, float, float]] | None:
    """Phones of a known text in float32 samples at 16 kHz, or None if pocketsphinx is not installed
    or cannot align it."""
    try:
        from pocketsphinx import Decoder
    except ImportError:
        return None
    words = re.sub(r"[^a-z' ]", " ", text.lower()).split()
    decoder = Decoder(lm=None, bestpath=False, loglevel="FATAL")
    if not words or any(decoder.lookup_word(w) is None for w in words):
        return None
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    try:
        decoder.set_align_text(" ".join(words))
        for again in (False, True):
            if again:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
        alignment = decoder.get_alignment()
    except RuntimeError:
        return None
    return (
        [(p.name, p.start / 100, (p.start + p.duration) / 100) for word in alignment for p in word]
        if alignment
        else None
    )


def best_path(logits: np.ndarray, change: float = _CHANGE) -> np.ndarray:
    """The likeliest phone of each row of logits [N, 40] where every change of phone costs `change`
    nats: int [N]."""
    return likeliest_path(np.log(softmax(logits).clip(1e-30, None)), change)


def likeliest(logits: np.ndarray, change: float = _CHANGE) -> np.ndarray:
    """`best_path` whose m, b and p are likelier than not: lips that shut on another sound are seen
    at once."""
    path, probability, lips = best_path(logits, change), softmax(logits), list(BILABIALS)
    for a, b in runs(np.isin(path, lips)):
        if probability[a:b, lips].sum(1).max() < _LIKELY:
            path[a:b] = np.delete(np.arange(len(PHONES)), lips)[
                np.delete(probability[a:b], lips, 1).argmax(1)
            ]
    return path


def segments(path: np.ndarray) -> list[tuple[str, float, float]]:
    """Frames of one phone [N] at 50 Hz → [(phone, start s, end s)]."""
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    return [(PHONES[path[a]], a / ENCODER_RATE, b / ENCODER_RATE) for a, b in zip(edges, edges[1:])]


class Labeller:
    """label(samples, text) → [(phone, start s, end s)]; loads the encoder of a weights folder when
    it is first needed."""

    def __init__(self, weights: Path):
        self.weights = weights

    @cached_property
    def encoder(self) -> SpeechEncoder:
        """The speech encoder of the weights folder."""
        return SpeechEncoder.load(self.weights)

    def __call__(self, samples: np.ndarray, text: str = "") -> list[tuple[str, float, float]]:
        if text and (result := align(samples, text)):
            return result
        _, logits = self.encoder.analyse(np.ascontiguousarray(samples, np.float32))
        return segments(likeliest(logits))
