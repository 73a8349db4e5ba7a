# SPDX-License-Identifier: GPL-3.0-or-later
"""Phone times for recordings without any: the encoder recognises the phones, and a text rules out
those that its letters are never read as."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..engine.speech.cues import runs
from ..engine.speech.encoder import BILABIALS, ENCODER_RATE, PHONES, softmax, SpeechEncoder
from ..engine.speech.transcript import follow, likeliest_path

_LIKELY = 0.5  # probability that an m, b or p must reach
_CHANGE = 4.0  # cost of a change of phone in the Viterbi path, nats


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


@lru_cache(1)
def _encoder(weights: Path) -> SpeechEncoder:
    """The encoder of a weights folder, loaded when it is first needed."""
    return SpeechEncoder.load(weights)


def label(weights: Path, samples: np.ndarray, text: str = "") -> list[tuple[str, float, float]]:
    """[(phone, start s, end s)] of samples at 16 kHz, by the encoder of a weights folder."""
    _, logits = _encoder(weights).analyse(np.ascontiguousarray(samples, np.float32))
    told = follow(logits, text) if text else None
    return segments(likeliest(logits if told is None else told))
