# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks any animation of a mouth against its voice: where lips are late, apart on m, b and p,
still while somebody speaks, moving in silence, or much too small or large.

Lateness is the shift at which the opening and the width of the mouth agree best with what the
encoder predicts of real lips (`planning.lip_kernels`): the mean of two correlations. Around each
frame the same is done within two seconds. Thresholds were set on the split `fit` of measured lips
by `python -m research check_animation`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..findings import (
    CARTOONY,
    Finding,
    MOVES,
    OPEN,
    OTHER,
    REALISTIC,
    SHIFTED,
    SIZE,
    SNAPPY,
    STILL,
)
from ..spoken import BILABIALS, PHONES
from ..types import FPS
from ..weight_files import ENCODER_RATE
from .speech import transcript
from .speech.cues import runs, SURE
from .speech.encoder import softmax
from .systems.thunder import SPOKEN, VoiceFeatures

REACH = 10  # frames by which the lips may be late or early
_AROUND = 30  # frames to either side by which lateness at a frame is measured
_WINDOW = np.hanning(2 * _AROUND + 3)[1:-1]
_LEAST_VARIANCE = 0.05  # of curves, mm²; below it there is nothing to agree with
_LEAST_SPEECH = 25  # least frames of speech in which a shift can be measured
_UNLIKE = 0.2  # agreement below which the mouth is of another line
_GAIN = 0.2  # by how much a stretch must agree better when it is shifted
_SHORTEST = 10  # frames of the shortest stretch that is late
# What is taken from the probability of an m, b or p for each deviation by which the encoder's inner
# layers predict lips more open than one below the mean: on `fit` this leaves a third of the false
# alarms at the same share of faults found.
_OPENS = 0.1
# share of at least so many sounds with open lips, above which lips are open in the whole line
_NEVER, _MANY = 0.5, 4
_SAID = 0.2  # how sure a closure of a text must be
_SAME = 0.12  # seconds between a closure of the text and the sound heard for it
_BEFORE = 1  # frames by which lips meet ahead of the sound
_STILL_MM = 0.4  # millimetres within which a mouth stands still
_STILL_SPEECH = 7  # frames of speech during which it does so
_SWINGS = 3  # openings and closings of a mouth that speaks where nobody does
_SHORTEST_SILENCE = 8  # frames
# seconds above which viewers notice sound ahead of and behind the picture (ITU-R BT.1359)
_LATE_NOTICED, _EARLY_NOTICED = 0.045, 0.125


@dataclass(frozen=True)
class Tolerance:
    """What is allowed.

    apart: millimetres between lips that should meet.  late: frames by which lips may be late or
    early.  still: frames for which a mouth may stand still in speech.  swing: millimetres that a
    mouth may open and close in silence.
    """

    apart: float = 2.0
    late: float = 1.25
    still: int = 7
    swing: float = 2.0


TOLERANCE_OF = {
    REALISTIC: Tolerance(),
    CARTOONY: Tolerance(apart=3.0, late=2.5, still=13, swing=4.0),
    SNAPPY: Tolerance(still=13),
}


@dataclass(frozen=True)
class MouthCurves:
    """gap: millimetres between the inner lips beyond rest, float [T].  width: of the mouth, float
    [T]."""

    gap: np.ndarray
    width: np.ndarray

    def shift(self, frames: float) -> "MouthCurves":
        """The curves so many frames later, their ends held."""
        time = np.arange(len(self.gap)) - frames
        return MouthCurves(
            *(np.interp(time, np.arange(len(curve)), curve) for curve in (self.gap, self.width))
        )


@dataclass(frozen=True)
class Demand:
    """A sound that demands closed lips: its time in seconds, its letter, and its word if that is
    known."""

    start: float
    end: float
    sound: str
    word: str = ""


Words = Sequence[tuple[str, float, float]]  # word, and the seconds of its beginning and end


def find(
    mouth: MouthCurves, voice: VoiceFeatures, tolerance: Tolerance,
    demands: Sequence[Demand], words: Words = (), asked_size: float | None = None,
) -> list[Finding]:  # fmt: skip
    """What a viewer would notice of a mouth that speaks with a voice of the same length, most
    noticeable first.

    demands, words: of `find_demands`.  asked_size: as of `size_of`.
    """
    shift_finding, late = find_shift(mouth, voice, tolerance)
    if shift_finding is not None and shift_finding.kind == OTHER:
        return [shift_finding]
    in_time = mouth.shift(-late)
    findings = [] if shift_finding is None else [shift_finding]
    findings += find_late_stretches(in_time, voice, tolerance)
    findings += find_open(in_time.gap, demands, tolerance)
    findings += find_still(mouth, voice.speaking, tolerance)
    findings += find_moves(mouth.gap, voice.presence, tolerance)
    findings += find_size(mouth.gap, voice, asked_size)
    return sorted((_with_words(each, words) for each in findings), key=lambda each: -each.weight)


# ---- late and early


def agreement(
    mouth: MouthCurves, voice: VoiceFeatures, total: Callable[[np.ndarray], np.ndarray],
    lags: Sequence[int] = range(-REACH, REACH + 1),
) -> np.ndarray:  # fmt: skip
    """How well a mouth agrees with a voice if it is late by each of so many frames: [1 or T, lags],
    −1 … 1.

    total: sums a curve [T] over the line, or around each frame.
    """
    frames, spoken = len(mouth.gap), (voice.presence > SPOKEN).astype(float)
    pairs = (mouth.gap, voice.lips[:, 0]), (mouth.width, voice.lips[:, 1])
    result = []
    for late in lags:
        at = np.arange(frames) + late
        weight = spoken * ((at >= 0) & (at < frames))
        at, count = at.clip(0, frames - 1), total(weight) + 1e-6
        each = 0.0
        for real, aim in pairs:
            x, y = real[at], aim.astype(float)
            mean_x, mean_y = total(weight * x) / count, total(weight * y) / count
            both = total(weight * x * y) / count - mean_x * mean_y
            spread_x = total(weight * x * x) / count - mean_x**2
            spread_y = total(weight * y * y) / count - mean_y**2
            each = each + both / np.sqrt(
                np.maximum(spread_x, _LEAST_VARIANCE) * np.maximum(spread_y, _LEAST_VARIANCE)
            )
        result.append(each / len(pairs))
    return np.stack(result, -1).reshape(-1, len(lags))


def near(curve: np.ndarray) -> np.ndarray:
    """Sums of a curve [T] around each frame, [T]."""
    return np.convolve(curve, _WINDOW)[_AROUND : _AROUND + len(curve)]


def find_shift(
    mouth: MouthCurves, voice: VoiceFeatures, tolerance: Tolerance
) -> tuple[Finding | None, float]:
    """(what is wrong with the whole line: SHIFTED or OTHER, frames by which it is late: 0 if that
    is allowed)."""
    spoken = voice.presence > SPOKEN
    if spoken.sum() < _LEAST_SPEECH:
        return None, 0.0
    agrees = agreement(mouth, voice, np.sum)[0]
    best = int(agrees.argmax())
    start, end = (float(edge) / FPS for edge in np.flatnonzero(spoken)[[0, -1]])
    if agrees[best] < _UNLIKE:
        return (
            (Finding(OTHER, start, end, float(agrees[best]), 20.0, whole=True), 0.0)
            if np.ptp(mouth.gap) > tolerance.swing
            else (None, 0.0)
        )
    late = best - REACH + _peak(agrees, best)
    if abs(late) < tolerance.late:
        return None, 0.0
    return _shift_finding(late / FPS, start, end, whole=True), late


def _peak(curve: np.ndarray, best: int) -> float:
    """Where a parabola through the highest value and its neighbours is highest, −.5 … .5 beside
    it."""
    if not 0 < best < len(curve) - 1:
        return 0.0
    before, at, after = curve[best - 1 : best + 2]
    return float(np.clip(0.5 * (after - before) / max(2 * at - before - after, 1e-9), -0.5, 0.5))


def find_late_stretches(
    mouth: MouthCurves, voice: VoiceFeatures, tolerance: Tolerance
) -> list[Finding]:
    """Stretches that are late or early although the line is not."""
    agrees = agreement(mouth, voice, near)
    late = agrees.argmax(1) - REACH
    gain = agrees.max(1) - agrees[:, REACH - 1 : REACH + 2].max(1)
    findings = []
    for sign in (1, -1):
        is_off = (sign * late > tolerance.late) & (gain > _GAIN) & (voice.presence > SPOKEN)
        for start, end in runs(is_off):
            if end - start >= _SHORTEST:
                findings.append(
                    _shift_finding(float(np.median(late[start:end])) / FPS, start / FPS, end / FPS)
                )
    return findings


def _shift_finding(seconds: float, start: float, end: float, whole: bool = False) -> Finding:
    noticed = abs(seconds) / (_LATE_NOTICED if seconds > 0 else _EARLY_NOTICED)
    return Finding(SHIFTED, start, end, seconds, _noticeability(noticed, end - start), whole=whole)


def _noticeability(noticed: float, seconds: float) -> float:
    """How noticeable a fault is that lasts so long."""
    return float(noticed * np.sqrt(max(seconds, 0.2)))


# ---- lips that do not meet


def find_demands(voice: VoiceFeatures, text: str = "") -> tuple[list[Demand], Words]:
    """Sounds that demand closed lips, and words, of a voice and a text.

    With a text that the voice says, its letters count, and sounds without one do not.
    """
    belief = softmax(voice.logits)
    lips = belief[:, list(BILABIALS)]
    # what the encoder's inner layers predict, in deviations within speech, at 50 Hz
    opening = voice.lips[:, 0]
    spoken = opening[voice.presence > SPOKEN] if (voice.presence > SPOKEN).any() else opening
    opening = (opening - spoken.mean()) / (spoken.std() or 1.0)
    opening = np.interp(np.arange(len(lips)) / ENCODER_RATE * FPS, np.arange(voice.frames), opening)
    heard = [
        Demand(
            start / ENCODER_RATE,
            end / ENCODER_RATE,
            PHONES[BILABIALS[int(lips[start:end].sum(0).argmax())]].lower(),
        )
        for start, end in runs(lips.sum(1) - _OPENS * (1 + opening) > SURE)
    ]
    if not text.strip():
        return heard, []
    closures, words = transcript.closures_and_words(belief, text)
    said = [each for each in closures if each.sure >= _SAID]
    if len(said) < 0.5 * len(closures):  # another line's text
        return heard, []
    demands = []
    for each in said:
        near = [one for one in heard if one.start - _SAME < each.seconds < one.end + _SAME]
        span = near[0] if near else Demand(each.seconds - 0.02, each.seconds + 0.04, "")
        demands.append(replace(span, sound=each.text[0], word=each.word))
    return demands, words


def gaps_on(gap: np.ndarray, demands: Sequence[Demand]) -> Iterator[tuple[Demand, float]]:
    """The least gap, mm, on each sound within a line that demands closed lips."""
    for each in demands:
        start = max(0, round(each.start * FPS) - _BEFORE)
        if start < len(gap):
            yield each, float(gap[start : round(each.end * FPS) + 1].min())


def find_open(gap: np.ndarray, demands: Sequence[Demand], tolerance: Tolerance) -> list[Finding]:
    """Closures on which lips stay apart."""
    findings = []
    for each, apart in gaps_on(gap, demands):
        if apart > tolerance.apart:
            weight = _noticeability(apart / tolerance.apart, each.end - each.start)
            findings.append(
                Finding(OPEN, each.start, each.end, apart, weight, each.sound, each.word)
            )
    if len(demands) < _MANY or len(findings) <= _NEVER * len(demands):
        return findings
    # one finding: the lips of this line or head do not shut
    apart = float(np.median([each.size for each in findings]))
    weight = _noticeability(apart / tolerance.apart, sum(each.end - each.start for each in demands))
    return [
        Finding(
            OPEN,
            findings[0].start,
            findings[-1].end,
            apart,
            weight,
            f"{len(findings)} of {len(demands)} m, b and p",
            whole=True,
        )
    ]


# ---- still while somebody speaks, moving while nobody does


def find_still(mouth: MouthCurves, speaking: np.ndarray, tolerance: Tolerance) -> list[Finding]:
    """Stretches of speech in which neither opening nor width of the mouth changes."""
    count = tolerance.still
    if len(mouth.gap) < count:
        return []
    spreads = [
        np.ptp(np.lib.stride_tricks.sliding_window_view(curve, count), axis=1)
        for curve in (mouth.gap, mouth.width)
    ]
    is_still = np.zeros(len(mouth.gap), bool)
    for start in np.flatnonzero(np.max(spreads, axis=0) < _STILL_MM):
        is_still[start : start + count] = True
    findings = []
    for start, end in runs(is_still):
        said = int(speaking[start:end].sum())
        if said >= max(_STILL_SPEECH, count):
            inside = start + np.flatnonzero(speaking[start:end])
            first, last = inside[0] / FPS, (inside[-1] + 1) / FPS
            findings.append(
                Finding(STILL, first, last, said / FPS, _noticeability(said / count, last - first))
            )
    return findings


def find_moves(gap: np.ndarray, presence: np.ndarray, tolerance: Tolerance) -> list[Finding]:
    """Silences in which the mouth opens and closes again and again."""
    findings = []
    for start, end in runs(presence < 0.05):
        turns = swings(gap[start:end], tolerance.swing)
        if end - start >= _SHORTEST_SILENCE and len(turns) >= _SWINGS:
            first, last = (start + turns[0]) / FPS, (start + turns[-1]) / FPS
            size = max(last - first, 1 / FPS)
            findings.append(
                Finding(MOVES, first, last, size, _noticeability(len(turns) / _SWINGS, size))
            )
    return findings


def swings(curve: np.ndarray, size: float) -> list[int]:
    """Frames by which a curve has gone up or down by at least `size` since it last turned."""
    turns: list[int] = []
    lowest = highest = curve[0] if len(curve) else 0.0
    going = 0
    for frame, value in enumerate(curve):
        lowest, highest = min(lowest, value), max(highest, value)
        if going <= 0 and value > lowest + size:
            going, highest = 1, value
            turns.append(frame)
        elif going >= 0 and value < highest - size:
            going, lowest = -1, value
            turns.append(frame)
    return turns


# ---- too small or too large

_MM = 4.5  # millimetres that takes as asked open per deviation that the voice asks for, on average
# Ratios of the opening to that which voice and direction ask for, beyond which it is found; without
# a direction those that one real speaker in twenty is beyond.
_AS_ASKED, _OF_ANYBODY = (0.45, 2.2), (0.35, 2.8)
SIZE_OF_ANYBODY = 1.0  # the logarithm beyond which it costs points of the score


def size_of(gap: np.ndarray, voice: VoiceFeatures, asked_size: float | None) -> float:
    """Ratio of a mouth's mean opening in speech to that which voice and direction ask for.

    asked_size: factor of `Thunder.asked_size`; None: no direction is known.
    """
    spoken = voice.presence > SPOKEN
    if not spoken.any():
        return 1.0
    asked = _MM * np.maximum(voice.lips[spoken, 0], 0).mean() * (asked_size or 1.0)
    return float((np.maximum(gap[spoken], 0).mean() + 0.01) / (asked + 0.01))


def find_size(gap: np.ndarray, voice: VoiceFeatures, asked_size: float | None) -> list[Finding]:
    """Whether the mouth is much smaller or larger than voice and direction ask for; arguments as
    of `size_of`."""
    spoken = np.flatnonzero(voice.presence > SPOKEN)
    if len(spoken) < _LEAST_SPEECH:
        return []
    size = size_of(gap, voice, asked_size)
    least, most = _OF_ANYBODY if asked_size is None else _AS_ASKED
    if least <= size <= most:
        return []
    start, end = spoken[[0, -1]] / FPS
    noticed = least / size if size < least else size / most
    weight = _noticeability(noticed, end - start)
    return [Finding(SIZE, float(start), float(end), size, weight, whole=True)]


# ---- words


def _with_words(finding: Finding, words: Words) -> Finding:
    """A finding with the words that it begins and ends on."""
    if finding.word or finding.whole or finding.kind == MOVES:
        return finding
    inside = [word for word, start, end in words if start < finding.end and end > finding.start]
    return replace(finding, word=inside[0], last_word=inside[-1]) if inside else finding
