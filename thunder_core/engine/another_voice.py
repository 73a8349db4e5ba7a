# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a performance to another recording: a dub, a pick-up, a better microphone.

Pauses of the old voice are matched with those of the new one, and accents between them, by where
they are in the line; no words are needed, so languages may differ. Head, brows, lids and eyes then
play on the new voice's time: as fast as before around accents, blinks and jumps of the gaze, slower
or faster between. The mouth is sampled anew.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..animation.timing import monotone_cubic
from ..animation.traits import gaze_shifts, run_starts
from ..filters import gaussian
from ..rotation import angular_speed
from ..types import BLINKS, BROWS, Columns, FPS, GAZE, in_group, Keep, LIDS, Motion, pack, unpack
from .speech.cues import Prosody

_SKIP = 0.35  # cost of a pause or an accent without a counterpart
# of differences of place of pauses and accents, of log length and of weight
_PLACES, _LENGTH, _WEIGHT = (1.5, 2.5), 0.12, 0.2
PAUSE = 0.25  # of what is matched, s
# seconds to either side that keep their speed: of an accent; of a blink or a jump of the gaze
_STROKE, _QUICK = 0.22, 0.14
_BETWEEN = 0.08  # least seconds between two such parts
_SLOWEST, _FASTEST = 0.25, 3.0  # factors of speed between them
_EASE = 1.2  # deviation of the smoothing where speed changes, frames
_SHUT = 0.5  # closure of lids in a blink
_FAST = 25.0  # degrees a second of a head that strikes

Span = tuple[float, float]


@dataclass(frozen=True)
class Moved:
    """How an old recording's time lies in a new one's. times [T]: old second that plays at each new
    frame.  accents, pauses: [(old, new)] seconds, pauses as spans.  lost: old accents without a
    counterpart, s.
    """

    times: np.ndarray
    accents: list[Span]
    pauses: list[tuple[Span, Span]]
    lost: list[float]

    def record(self) -> dict:
        """For a take's provenance."""
        return {
            "accents": [[round(a, 2), round(b, 2)] for a, b in self.accents],
            "pauses": [[round(x, 2) for span in both for x in span] for both in self.pauses],
            "lost": [round(each, 2) for each in self.lost],
        }


def pair_up(
    one: Sequence, other: Sequence, cost: Callable[[int, int], float]
) -> list[tuple[int, int]]:
    """Pairs (i, j) of two sequences, in order, that cost least together with _SKIP for each that is
    left over."""
    best = np.zeros((len(one) + 1, len(other) + 1))
    best[:, 0], best[0] = _SKIP * np.arange(len(one) + 1), _SKIP * np.arange(len(other) + 1)
    for i in range(len(one)):
        for j in range(len(other)):
            skipped = min(best[i, j + 1], best[i + 1, j]) + _SKIP
            best[i + 1, j + 1] = min(best[i, j] + cost(i, j), skipped)
    pairs, i, j = [], len(one), len(other)
    while i and j:
        if best[i, j] == best[i - 1, j - 1] + cost(i - 1, j - 1):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif best[i, j] == best[i - 1, j] + _SKIP:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def match(old: Prosody, new: Prosody, quick: Sequence[float] = ()) -> Moved:
    """How the time of an old voice lies in a new one's. quick: old seconds at which something is
    fast, besides accents."""
    if not (old.phrases and new.phrases):
        return Moved(np.arange(new.frames) / FPS, [], [], old.accents.tolist())
    gaps = [[gap for gap in v.pauses if gap[1] - gap[0] >= PAUSE] for v in (old, new)]
    share = [_share_of_speech(voice) for voice in (old, new)]

    def differ(i: int, j: int) -> float:
        (a, b), (c, d) = gaps[0][i], gaps[1][j]
        place = abs(share[0](a) - share[1](c))
        return _PLACES[0] * place + _LENGTH * abs(np.log((b - a) / (d - c)))

    pauses = [(gaps[0][i], gaps[1][j]) for i, j in pair_up(gaps[0], gaps[1], differ)]
    edges = [
        [voice.phrases[0][0], *(t for both in pauses for t in both[side]), voice.phrases[-1][1]]
        for side, voice in enumerate((old, new))
    ]
    accents = []
    for k in range(0, len(edges[0]), 2):
        spans = [(each[k], each[k + 1]) for each in edges]
        accents += _match_accents(old, new, spans)
    rigid = _rigid_parts(list(zip(*edges)), accents, quick)
    kept = [pair for pair in accents if any(pair == part[:2] for part in rigid)]
    lost = sorted(set(old.accents.tolist()) - {a for a, _ in kept})
    return Moved(_times(rigid, new.frames, old.seconds), kept, pauses, lost)


def _share_of_speech(voice: Prosody) -> Callable[[float], float]:
    """How much of a voice's speech is said until a second, 0 … 1."""
    said = np.cumsum(voice.spoken)
    return lambda at: float(said[min(int(at * FPS), len(said) - 1)] / said[-1])


def _match_accents(old: Prosody, new: Prosody, spans: list[Span]) -> list[Span]:
    """(old, new) seconds of accents that correspond between matched pauses."""
    here = [
        [(t, w) for t, w in zip(v.accents.tolist(), v.weights.tolist()) if start <= t < end]
        for v, (start, end) in zip((old, new), spans)
    ]
    (a, b), (c, d) = spans

    def differ(i: int, j: int) -> float:
        (t, w), (u, x) = here[0][i], here[1][j]
        return _PLACES[1] * abs((t - a) / (b - a) - (u - c) / (d - c)) + _WEIGHT * abs(w - x)

    return [(here[0][i][0], here[1][j][0]) for i, j in pair_up(here[0], here[1], differ)]


def _rigid_parts(
    edges: list[Span], accents: list[Span], quick: Sequence[float]
) -> list[tuple[float, float, float]]:
    """(old s, new s, half of its length s), in order, of what keeps its speed: all edges of speech,
    0 long, and the accents and quick events (old s) that have room between them."""
    parts = [(a, b, 0.0) for a, b in edges]

    def add(old: float, new: float, half: float) -> None:
        place = bisect(parts, (old, new))
        for a, b, taken in parts[max(0, place - 1) : place + 1]:
            gap, wide = (abs(one - other) - taken for one, other in ((old, a), (new, b)))
            # what is left beside it is neither too fast nor too slow
            fast = (_FASTEST * wide - gap) / (_FASTEST - 1)
            slow = (gap - _SLOWEST * wide) / (1 - _SLOWEST)
            half = min(half, fast, slow, min(gap, wide) - _BETWEEN)
        if half >= 0:
            parts.insert(place, (old, new, half))

    for old, new in accents:
        add(old, new, _STROKE)
    through = np.array([(a, b) for a, b, _ in parts])
    for old in quick:
        if through[0, 0] < old < through[-1, 0]:
            add(old, float(np.interp(old, *through.T)), _QUICK)
    return parts


def _times(parts: list[tuple[float, float, float]], frames: int, seconds: float) -> np.ndarray:
    """Old seconds of each new frame [frames], never going back: through all parts at their own
    speed, evenly between them, and as fast as before outside of speech."""
    nodes = sorted({(b + by, a + by) for a, b, half in parts for by in (-half, half)})
    at, (new, old) = np.arange(frames) / FPS, np.array(nodes).T
    lag = gaussian(np.interp(at, new, old - new), _EASE, "nearest")
    return np.clip(np.maximum.accumulate(at + lag), 0, seconds)


def upper_columns(channels: Sequence[str]) -> np.ndarray:
    """The columns of a packed motion that move to another voice, bool [C]: brows, lids, eyes,
    head."""
    columns = Columns(len(channels))
    result = np.zeros(columns.count, bool)
    result[columns.expression] = in_group(channels, (*BROWS, *BLINKS, *LIDS, *GAZE))
    result[columns.head] = result[columns.eyes] = True
    return result


def quick_events(motion: Motion, channels: Sequence[str]) -> list[float]:
    """Seconds of a motion at which lids shut, the gaze jumps or the head is fast."""
    fast = run_starts(np.degrees(angular_speed(motion.turns[0])) > _FAST)
    lids = motion.expression[:, in_group(channels, BLINKS)].mean(1)
    shut = [start + lids[start : start + 5].argmax() for start in run_starts(lids > _SHUT)]
    return sorted(float(frame) / FPS for frame in (*shut, *gaze_shifts(motion), *fast))


def move(motion: Motion, channels: Sequence[str], old: Prosody, new: Prosody) -> tuple[Keep, Moved]:
    """The upper face of a motion on a new voice, as a part that is kept while the mouth is sampled,
    and how it was moved."""
    moved = match(old, new, quick_events(motion, channels))
    at = np.minimum(moved.times * FPS, motion.frames - 1)
    values = monotone_cubic(pack(motion).astype(float), at)
    mask = np.repeat(upper_columns(channels)[None], new.frames, 0)
    return Keep(unpack(values.astype(np.float32), len(channels)), mask), moved
