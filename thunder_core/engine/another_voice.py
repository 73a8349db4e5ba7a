# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a performance to another recording: a dub, a pick-up, a better microphone.

If the new voice says the old one's words, or a part of them, what sits on a word goes to that word.
Else pauses of the old voice are matched with those of the new one, and accents between them, by
where they are in the line; no words are needed, so languages may differ. Head, brows, lids and eyes
then play on the new voice's time: as fast as before around accents, blinks and jumps of the gaze,
slower or faster between. The mouth is sampled anew.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from ..animation.timing import monotone_cubic
from ..animation.traits import gaze_shifts, run_starts
from ..direction import AXES, DIRECTION_NAMES
from ..face.moving.shaping import LIMIT
from ..filters import gaussian
from ..rotation import angular_speed
from ..spoken import Word
from ..types import (
    BLINKS,
    BROW_CHANNELS,
    Columns,
    ENCODER_RATE,
    FPS,
    GAZE,
    in_group,
    Keep,
    LIDS,
    Motion,
    pack,
    unpack,
)
from .planning.choice import number_word
from .speech.cues import Prosody
from .speech.encoder import softmax
from .voice import VoiceFeatures

_SKIP = 0.35  # cost of a pause or an accent without a counterpart
# of differences of place of pauses and accents, of log length and of weight
_PLACES, _LENGTH, _WEIGHT = (1.5, 2.5), 0.12, 0.2
PAUSE = 0.25  # of what is matched, s
# seconds to either side that keep their speed: of an accent; of a blink or a jump of the gaze
_STROKE, _QUICK = 0.22, 0.14
_BETWEEN = 0.08  # least seconds between two such parts
_BACK = 8  # accents without a counterpart in a row, at most, between two that have one
_SLOWEST, _FASTEST = 0.25, 3.0  # factors of speed between them
# seconds from where a word is said again to an accent that is its own
_ON_WORD = 0.12
_ON = 0.3  # seconds from an accent at which something still sits on its word
_EASE = 1.2  # deviation of the smoothing where speed changes, frames
_SHUT = 0.5  # closure of lids in a blink
_FAST = 25.0  # degrees a second of a head that strikes
# cost of a step above which two voices do not say the same: voices of one text .08 to .15, of
# others .34 and more
_SAME_SOUNDS = 0.25
# the same around a moment, over so many steps, above which it is in another word
_OTHER_WORD, _AROUND = 0.5, 2.0
_STEP = 4  # of the encoder's frames compared as one: .08 s
_WHOLE = 0.85  # share of an old voice's speech above which it is said again as a whole
_MOST_STEPS = 4e7  # compared: seven minutes with another seven, two seconds' work

_UPPER_AXES = ("brows", "head", "eyes", "frown")

SecondsT = TypeVar("SecondsT", float, np.ndarray)
Span = tuple[float, float]


class Alignment(NamedTuple):
    """How a new recording says the words of an old one, or a part of them. old, new [k]: seconds at
    which both say the same, in order.  difference [k]: of the sounds around these, 0 … 1.
    part: of the old one that is said again, None: all of it."""

    old: np.ndarray
    new: np.ndarray
    difference: np.ndarray
    part: Span | None

    def at(self, old: float) -> float:
        """The second at which the new recording says what the old one does."""
        return float(np.interp(old, self.old, self.new))

    def says_same(self, old: float) -> bool:
        """Whether the new recording says the word at a second of the old one, and no other."""
        return bool(np.interp(old, self.old, self.difference) < _OTHER_WORD)


@dataclass(frozen=True)
class Moved:
    """How an old recording's time lies in a new one's. times [T]: old second that plays at each new
    frame.  accents, pauses: [(old, new)] seconds, pauses as spans.  lost, lost_pauses: old accents,
    and starts of pauses, without a counterpart, s.  alignment: where both say the same words.
    """

    times: np.ndarray
    accents: list[Span]
    pauses: list[tuple[Span, Span]]
    lost: list[float]
    lost_pauses: list[float]
    alignment: Alignment | None = None

    @property
    def part(self) -> Span | None:
        """What is said again of the old recording, None: all of it."""
        return None if self.alignment is None else self.alignment.part

    def record(self, old: Prosody, new: Prosody, keys: Sequence[float] = ()) -> dict:
        """For a take's provenance. keys: old seconds that get a place in the new voice."""
        places = [self.place(each, old) for each in keys]
        return {
            "accents": [[round(a, 2), round(b, 2)] for a, b in self.accents],
            "pauses": [[round(x, 2) for span in both for x in span] for both in self.pauses],
            "lost": [round(each, 2) for each in self.lost],
            "lost_pauses": [round(each, 2) for each in self.lost_pauses],
            "same_words": self.alignment is not None,
            "seconds": [round(old.seconds, 2), round(new.seconds, 2)],
            **({"part": [round(each, 2) for each in self.part]} if self.part else {}),
            **({"keys": [None if at is None else round(at, 3) for at in places]} if keys else {}),
        }

    @property
    def rows(self) -> np.ndarray:
        """The old frame that plays at each new one, int [T]."""
        return (self.times * FPS).round().astype(int)

    def at(self, seconds: float) -> float:
        """The new second of an old one; before and after the old voice as far from its ends."""
        inside = float(np.clip(seconds, self.times[0], self.times[-1]))
        return float(np.interp(inside, self.times, np.arange(len(self.times)) / FPS)) + (
            seconds - inside
        )

    def place(self, seconds: float, old: Prosody) -> float | None:
        """The same of something that sits on an accent, or in a phrase: None where neither has a
        counterpart."""
        if self.part and not self.part[0] <= seconds <= self.part[1]:
            return None
        phrase = next((p for p in old.phrases if p[0] <= seconds <= p[1]), (0.0, -1.0))
        inside = [at for at in old.accents.tolist() if phrase[0] <= at <= phrase[1]]
        nearest = min(inside, key=lambda at: abs(at - seconds), default=None)
        on_it = nearest is not None and abs(nearest - seconds) <= _ON
        if nearest in self.lost and (on_it or set(inside) <= set(self.lost)):
            return None
        return self.at(seconds)

    def choice(self, old: dict, new: Prosody) -> dict:
        """The choice of the old performance (`Choice.record`) as it is seen in the new voice: hits
        on accents that have a counterpart, what it does in pauses that are matched."""

        def words(rows: list) -> list:
            """Of words those that the new voice has, with what it says there."""
            found = []
            for start, end, _ in rows:
                middle = (start + end) / 2
                if self.alignment is not None and self.alignment.says_same(middle):
                    at: float | None = self.alignment.at(middle)
                else:
                    on = [b for a, b in self.accents if start - _ON < a < end + _ON]
                    at = min(on, key=lambda b: abs(b - self.at(middle)), default=None)
                if at is not None:
                    word = next((w for w in new.words if w.start - 0.05 <= at <= w.end), None)
                    word = word or Word("", self.at(start), self.at(end), 0.0)
                    said = number_word(word.text, word.start, new.words)
                    found.append([round(word.start, 2), round(word.end, 2), said])
            return found

        pauses = [
            [round(new_gap[0], 2), act]
            for at, act in old.get("pauses", [])
            for old_gap, new_gap in self.pauses
            if abs(old_gap[0] - at) < _ON
        ]
        moved = {name: words(old.get(name, [])) for name in ("hits", "aside")}
        return {**moved, "pauses": pauses, "ideas": list(old.get("ideas", []))}


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


def align_words(old: VoiceFeatures, new: VoiceFeatures) -> Alignment | None:
    """How a new recording says an old one's words again, all or, in a pick-up, some of them; None
    where it says others, or speaks another language.

    The new voice's phones are laid along the old one's, half to twice as fast, from where to where
    they cost least together.
    """
    if not (old.prosody.phrases and new.prosody.phrases):
        return None
    first, last = new.prosody.phrases[0], new.prosody.phrases[-1]
    speech = slice(int(first[0] * ENCODER_RATE), int(last[1] * ENCODER_RATE))
    known, said = _phone_steps(old.logits), _phone_steps(new.logits[speech])
    if len(said) < 2 or len(known) * len(said) > _MOST_STEPS:
        return None
    # costs of paths that end at each step of the old voice, now and a step before; the way to each
    cost = before = 1 - known @ said[0]
    earlier, ways = np.full(len(known), np.inf), np.zeros((len(said), len(known)), np.int8)
    for step in range(1, len(said)):
        here = 1 - known @ said[step]
        costs = [_behind(cost, 1), _behind(cost, 2), _behind(earlier, 1) + before]
        ways[step] = np.argmin(costs, 0)
        earlier, before, cost = cost, here, here + np.min(costs, 0)
    at, step = int(cost.argmin()), len(said) - 1
    if cost[at] / len(said) > _SAME_SOUNDS:
        return None
    path = [(at, step)]
    while step > 0:
        by_old, by_new = ((1, 1), (2, 1), (1, 2))[ways[step, at]]
        at, step = at - by_old, step - by_new
        path.append((at, step))
    steps = np.array(path[::-1]).T
    times = (steps + 0.5) * _STEP / ENCODER_RATE + [[0.0], [speech.start / ENCODER_RATE]]
    begin, end = (float(each) * _STEP / ENCODER_RATE for each in (steps[0, 0], steps[0, -1] + 1))
    share = old.prosody.within(begin, end).spoken.sum() / old.prosody.spoken.sum()
    difference = gaussian(1 - (known[steps[0]] * said[steps[1]]).sum(1), _AROUND, "nearest")
    return Alignment(times[0], times[1], difference, None if share > _WHOLE else (begin, end))


def _phone_steps(logits: np.ndarray) -> np.ndarray:
    """Square roots of how likely each phone is, [N / _STEP, 40], whose products say how alike two
    steps are, 0 … 1."""
    whole = len(logits) // _STEP * _STEP
    likely = softmax(logits[:whole]).reshape(-1, _STEP, logits.shape[1])
    return np.sqrt(likely.mean(1))


def _behind(costs: np.ndarray, steps: int) -> np.ndarray:
    """Costs of so many steps earlier."""
    return np.concatenate([np.full(steps, np.inf), costs])[: len(costs)]


def match(
    old: Prosody, new: Prosody, quick: Sequence[float] = (), alignment: Alignment | None = None
) -> Moved:
    """How the time of an old voice lies in a new one's. quick: old seconds at which something is
    fast, besides accents.  alignment: where both say the same words."""
    if not (old.phrases and new.phrases):
        return Moved(np.arange(new.frames) / FPS, [], [], old.accents.tolist(), [], alignment)
    gaps = [[gap for gap in v.pauses if gap[1] - gap[0] >= PAUSE] for v in (old, new)]
    share = [_share_of_speech(voice) for voice in (old, new)]

    def differ(i: int, j: int) -> float:
        (a, b), (c, d) = gaps[0][i], gaps[1][j]
        if alignment is None:
            place = abs(share[0](a) - share[1](c))
        else:  # seconds
            place = abs(alignment.at((a + b) / 2) - (c + d) / 2)
        return _PLACES[0] * place + _LENGTH * abs(np.log((b - a) / (d - c)))

    pauses = [(gaps[0][i], gaps[1][j]) for i, j in pair_up(gaps[0], gaps[1], differ)]
    edges = [
        [voice.phrases[0][0], *(t for both in pauses for t in both[side]), voice.phrases[-1][1]]
        for side, voice in enumerate((old, new))
    ]
    accents = []
    for k in range(0, len(edges[0]), 2):
        spans = [(each[k], each[k + 1]) for each in edges]
        accents += (
            _match_accents(old, new, spans)
            if alignment is None
            else _follow_words(old, new, spans, alignment)
        )
    rigid = _rigid_parts(list(zip(*edges)), accents, quick)
    lost = sorted(set(old.accents.tolist()) - {a for a, _ in accents})
    matched = {gap for gap, _ in pauses}
    silent = [gap[0] for gap in gaps[0] if gap not in matched]
    return Moved(_times(rigid, new.frames, old.seconds), accents, pauses, lost, silent, alignment)


def _share_of_speech(voice: Prosody) -> Callable[[float], float]:
    """How much of a voice's speech is said until a second, 0 … 1."""
    said = np.cumsum(voice.spoken)
    return lambda at: float(said[min(int(at * FPS), len(said) - 1)] / said[-1])


def _match_accents(old: Prosody, new: Prosody, spans: list[Span]) -> list[Span]:
    """(old, new) seconds of accents that correspond between matched pauses: those in order that
    cost least together, of which no two are too near in one voice for their distance in the
    other."""
    here = [
        [(t, w) for t, w in zip(v.accents.tolist(), v.weights.tolist()) if start <= t < end]
        for v, (start, end) in zip((old, new), spans)
    ]
    (a, b), (c, d) = spans
    (t, w), (u, x) = (np.array(each).reshape(-1, 2).T for each in here)
    place = np.abs((t[:, None] - a) / (b - a) - (u - c) / (d - c))
    cost = _PLACES[1] * place + _WEIGHT * np.abs(w[:, None] - x) - 2 * _SKIP
    cost[(_room(t[:, None] - a, u - c) < 0) | (_room(b - t[:, None], d - u) < 0)] = np.inf
    # least cost of all pairs up to this one, and the pair before it
    least, before = cost.copy(), np.full((len(t), len(u)), -1)
    for i in range(1, len(t)):
        for j in range(1, len(u)):
            rows, columns = slice(max(0, i - _BACK), i), slice(max(0, j - _BACK), j)
            known = least[rows, columns].copy()
            known[_room(t[i] - t[rows, None], u[j] - u[columns]) < 0] = np.inf
            best = np.unravel_index(known.argmin(), known.shape)
            if known[best] < 0:
                least[i, j] += known[best]
                before[i, j] = (rows.start + best[0]) * len(u) + columns.start + best[1]
    pairs: list[Span] = []
    at = int(least.argmin()) if least.size and least.min() < 0 else -1
    while at >= 0:
        i, j = divmod(at, len(u))
        pairs.append((float(t[i]), float(u[j])))
        at = int(before[i, j])
    return pairs[::-1]


def _follow_words(
    old: Prosody, new: Prosody, spans: list[Span], alignment: Alignment
) -> list[Span]:
    """(old, new) seconds of an old voice's accents between matched pauses, on the words that a new
    one says again: on its accent where that word has one."""
    pairs: list[Span] = []
    (start, end), (first, last) = spans
    for at in old.accents[(old.accents >= start) & (old.accents < end)].tolist():
        said = alignment.at(at)
        near = min(new.accents.tolist(), key=lambda other: abs(other - said), default=said)
        place = near if abs(near - said) <= _ON_WORD else said
        before = pairs[-1] if pairs else (start, first)
        room = min(_room(at - before[0], place - before[1]), _room(end - at, last - place))
        if first <= place < last and room >= 0 and alignment.says_same(at):
            pairs.append((at, place))
    return pairs


def _room(gap: SecondsT, wide: SecondsT) -> SecondsT:
    """The most seconds that two parts so far from each other in the old voice and in the new one
    may keep their speed together, so that what is left between them is neither too fast nor too
    slow; below 0: they are too near in one of them."""
    fast, slow = (_FASTEST * wide - gap) / (_FASTEST - 1), (gap - _SLOWEST * wide) / (1 - _SLOWEST)
    return np.minimum(np.minimum(fast, slow), np.minimum(gap, wide) - _BETWEEN)


def _rigid_parts(
    edges: list[Span], accents: list[Span], quick: Sequence[float]
) -> list[tuple[float, float, float]]:
    """(old s, new s, half of its length s), in order, of what keeps its speed: all edges of speech,
    0 long, the accents, and the quick events (old s) that have room between them."""
    marks = sorted([(*edge, 0) for edge in edges] + [(*accent, 1) for accent in accents])
    parts: list[tuple[float, float, float]] = []
    for i, (old, new, wants) in enumerate(marks):
        # two accents share the room between them
        near = [marks[j] for j in (i - 1, i + 1) if 0 <= j < len(marks)]
        room = [_room(abs(old - a), abs(new - b)) / (1 + also) for a, b, also in near]
        parts.append((old, new, wants * max(0.0, min(_STROKE, *room)) if wants else 0.0))
    through = np.array([(a, b) for a, b, _ in parts])
    for old in quick:
        if not through[0, 0] < old < through[-1, 0]:
            continue
        new = float(np.interp(old, *through.T))
        place = bisect(parts, (old, new))
        beside = parts[max(0, place - 1) : place + 1]
        half = min(_QUICK, *(_room(abs(old - a) - by, abs(new - b) - by) for a, b, by in beside))
        if half >= 0:
            parts.insert(place, (old, new, half))
    return parts


def _times(parts: list[tuple[float, float, float]], frames: int, seconds: float) -> np.ndarray:
    """Old seconds of each new frame [frames], never going back: through all parts at their own
    speed, evenly between them, and as fast as before outside of speech."""
    nodes = sorted({(b + by, a + by) for a, b, half in parts for by in (-half, half)})
    at, (new, old) = np.arange(frames) / FPS, np.array(nodes).T
    lag = gaussian(np.interp(at, new, old - new), _EASE, "nearest")
    return np.clip(np.maximum.accumulate(at + lag), 0, seconds)


def style_of_mouth(take_style: Sequence[float], performed: np.ndarray) -> list[float]:
    """The reading [DIRECTION_NAMES] of a take whose mouth alone was sampled in it; the rest is
    as it was performed."""
    theirs = [name in _UPPER_AXES or i >= len(AXES) for i, name in enumerate(DIRECTION_NAMES)]
    return [round(float(p if t else r), 4) for r, p, t in zip(take_style, performed, theirs)]


def upper_columns(channels: Sequence[str]) -> np.ndarray:
    """The columns of a packed motion that move to another voice, bool [C]: brows, lids, eyes,
    head."""
    columns = Columns(len(channels))
    result = np.zeros(columns.count, bool)
    result[columns.expression] = in_group(channels, (*BROW_CHANNELS, *BLINKS, *LIDS, *GAZE))
    result[columns.head] = result[columns.eyes] = True
    return result


def quick_events(motion: Motion, channels: Sequence[str]) -> list[float]:
    """Seconds of a motion at which lids shut, the gaze jumps or the head is fast."""
    fast = run_starts(np.degrees(angular_speed(motion.turns[0])) > _FAST)
    lids = motion.expression[:, in_group(channels, BLINKS)].mean(1)
    shut = [start + lids[start : start + 5].argmax() for start in run_starts(lids > _SHUT)]
    return sorted(float(frame) / FPS for frame in (*shut, *gaze_shifts(motion), *fast))


def move(
    motion: Motion,
    channels: Sequence[str],
    old: Prosody,
    new: Prosody,
    alignment: Alignment | None = None,
) -> tuple[Keep, Moved]:  # fmt: skip
    """The upper face of a motion on a new voice, as a part that is kept while the mouth is sampled,
    and how it was moved. alignment: where both say the same words."""
    said = old.within(*alignment.part) if alignment is not None and alignment.part else old
    moved = match(said, new, quick_events(motion, channels), alignment)
    at = np.minimum(moved.times * FPS, motion.frames - 1)
    values = monotone_cubic(pack(motion).astype(float), at)
    mask = np.repeat(upper_columns(channels)[None], new.frames, 0)
    expression = values[:, : len(channels)]
    np.clip(expression, 0, LIMIT, out=expression)  # of an edited file
    return Keep(unpack(values.astype(np.float32), len(channels)), mask), moved
