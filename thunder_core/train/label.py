# SPDX-License-Identifier: GPL-3.0-or-later
"""Phone times for recordings without any: texts are aligned by pocketsphinx; without a text the
encoder recognises the phones."""

import re
from functools import cached_property
from pathlib import Path

import numpy as np

from ..engine.speech.encoder import BILABIALS, ENCODER_RATE, PHONES, softmax, SpeechEncoder

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
    """Viterbi through phone log-probabilities of [N, 40] logits where every change of phone costs
    `change` nats: [N]."""
    score = np.log(softmax(logits).clip(1e-30, None))
    came = np.zeros(score.shape, np.int16)
    total = score[0].copy()
    stay = np.arange(score.shape[1])
    for i in range(1, len(score)):
        best = int(total.argmax())
        jump = total[best] - change > total
        came[i] = np.where(jump, best, stay)
        total = np.where(jump, total[best] - change, total) + score[i]
    path = np.empty(len(score), np.int64)
    path[-1] = total.argmax()
    for i in range(len(score) - 1, 0, -1):
        path[i - 1] = came[i, path[i]]
    return path


def likeliest(logits: np.ndarray, change: float = _CHANGE) -> np.ndarray:
    """`best_path` whose m, b and p are likelier than not: lips that shut on another sound are seen
    at once."""
    path, probability, lips = best_path(logits, change), softmax(logits), list(BILABIALS)
    edges = np.flatnonzero(np.diff(np.isin(path, lips).astype(int), prepend=0, append=0))
    for a, b in zip(edges[::2], edges[1::2]):
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
