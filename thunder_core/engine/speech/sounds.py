# SPDX-License-Identifier: GPL-3.0-or-later
"""The sounds that the encoder recognises in a voice, one after the other: when each is said, how sure it is, and what else it may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .phones import PHONES, SILENCE
from .transcript import LATE, RATE

_CHANGE = 1.0  # nats that a change of the phone costs: voices then have .96 times as many sounds as pocketsphinx aligns (validation voices)
_LIKELY = 0.08  # least probability of what a sound may be instead
_MOST = 3  # of these


@dataclass(frozen=True)
class Sound:
    """A phone, when it is said (seconds), its probability, and what it may be instead: other phones and theirs, likeliest first."""

    phone: str
    start: float
    end: float
    sure: float
    others: tuple[tuple[str, float], ...]


def recognise(belief: np.ndarray) -> list[Sound]:
    """The sounds of a voice, without its pauses, from phone probabilities [N, 40] at 50 Hz: the likeliest that do not change too often."""
    path = _path(np.log(np.maximum(belief, 1e-6)))
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    result = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        phone = int(path[start])
        if phone == SILENCE:
            continue
        mean = belief[start:end].mean(0)
        others = [n for n in np.argsort(-mean)[: _MOST + 1].tolist() if n not in (phone, SILENCE) and mean[n] >= _LIKELY]
        begin, stop = (max(0.0, row / RATE - LATE) for row in (start, end))
        instead = tuple((PHONES[n], float(mean[n])) for n in others[:_MOST])
        result.append(Sound(PHONES[phone], begin, stop, float(mean[phone]), instead))
    return result


def _path(likely: np.ndarray) -> np.ndarray:
    """The likeliest phone of each row, int [N], if each change costs _CHANGE; log probabilities [N, 40]."""
    score, back = likely[0], np.zeros(likely.shape, np.int8)
    stay = np.arange(likely.shape[1])
    for row in range(1, len(likely)):
        best = int(score.argmax())
        change = score[best] - _CHANGE
        back[row] = np.where(score < change, best, stay)
        score = np.maximum(score, change) + likely[row]
    path = np.empty(len(likely), np.int64)
    path[-1] = score.argmax()
    for row in range(len(likely) - 1, 0, -1):
        path[row - 1] = back[row, path[row]]
    return path
