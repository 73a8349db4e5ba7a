# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: how well a mouth agrees with what the diffusion model expects of the voice
(`Thunder.expect_usual`), how large it is, and whether it closes and bites; with what *Check* finds:
where lips are late, apart on m, b and p, still while somebody speaks, moving in silence, or much
too small or large, or where mesh-to-speech reads little of the voice off them.

Lateness is the shift at which the opening and the width of the mouth agree best with what the
encoder predicts of real lips (`planning.mouth_map`): the mean of two correlations. Around each
frame the same is done within two seconds.
Thresholds were set on the split `fit` of measured lips by `python -m research check_animation`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..face.moving.lips import Lips
from ..face.points import Articulators
from ..findings import (
    CARTOONY,
    Finding,
    FLAT,
    is_little,
    LipSyncScore,
    LITTLE,
    MOVES,
    MUMBLED,
    OPEN,
    OTHER,
    REALISTIC,
    SHIFTED,
    SIZE,
    SNAPPY,
    STILL,
)
from ..spoken import BILABIALS, LABIODENTALS, PHONES, Word
from ..types import ENCODER_RATE, FPS, Motion
from .m2s import MeshToSpeech, MouthVertices
from .speech import transcript
from .speech.cues import runs, SURE
from .speech.encoder import softmax
from .voice import SPOKEN, VoiceFeatures

# ---- what is found

REACH = 10  # frames by which the lips may be late or early
_AROUND = 30  # frames to either side by which lateness at a frame is measured
_WINDOW = np.hanning(2 * _AROUND + 3)[1:-1]
# Frames whose surroundings are summed up at once, and the shares [block + 2 · _AROUND, block] in
# their sums: a product of matrices takes a tenth of the time of convolutions.
_BLOCK = 64
_SUMS = np.stack([np.pad(_WINDOW, (at, _BLOCK - 1 - at)) for at in range(_BLOCK)], 1)
_AT_ONCE = 50_000  # frames and lags measured at once: more would cost memory
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
# and is held; share of frames on which poses are, and frames of the longest of them
_HELD_MM, _HELD, _LONGEST_HOLD = 1e-3, 0.3, 13
_STILL_SPEECH = 7  # frames of speech during which it does so
_SWINGS = 3  # openings and closings of a mouth that speaks where nobody does
_SHORTEST_SILENCE = 8  # frames
# seconds above which viewers notice sound ahead of and behind the picture (ITU-R BT.1359)
_LATE_NOTICED, _EARLY_NOTICED = 0.045, 0.125


@dataclass(frozen=True)
class Tolerance:
    """What is allowed.

    apart: millimetres between lips that should meet.  late: frames by which lips may be late or
    early.  round: millimetres by which lips are narrower than at rest on oo, w and o.  still:
    frames for which a mouth may stand still in speech.  swing: millimetres that a mouth may open
    and close in silence.  read_late: frames by which a mouth is late or early at most that is read
    well when it is moved by them.
    """

    apart: float = 2.0
    late: float = 1.25
    round: float = 2.5
    still: int = 7
    swing: float = 2.0
    read_late: float = 0.5


TOLERANCE_OF = {
    REALISTIC: Tolerance(),
    CARTOONY: Tolerance(apart=3.0, late=2.5, round=1.0, still=13, swing=4.0, read_late=2.5),
    SNAPPY: Tolerance(still=13),
}


@dataclass(frozen=True)
class MouthCurves:
    """gap: millimetres between the inner lips beyond rest, float [T].  width: of the mouth, float
    [T]."""

    gap: np.ndarray
    width: np.ndarray

    def is_held(self, speaking: np.ndarray) -> bool:
        """Whether its poses are held in speech, bool [T], as on twos, threes or in blocking: then
        it is read as if it were late or mumbled. A mouth that stands still longer holds none."""
        moves = np.maximum(*(np.abs(np.diff(curve)) for curve in (self.gap, self.width)))
        stays = moves[speaking[1:]] < _HELD_MM
        lengths = np.array([end - start for start, end in runs(stays)])
        return bool(lengths[lengths < _LONGEST_HOLD].sum() > _HELD * max(1, len(stays)))

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


def find(
    mouth: MouthCurves, voice: VoiceFeatures, tolerance: Tolerance,
    demands: Sequence[Demand], words: Sequence[Word] = (), target_size: float | None = None,
    heard: float = 1.0,
) -> list[Finding]:  # fmt: skip
    """What a viewer would notice of a mouth that speaks with a voice of the same length, most
    noticeable first.

    demands, words: of `find_demands`.  target_size: as of `size_of`.  heard: of
    `Scorer.heard_ratios`.
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
    findings += find_size(mouth.gap, voice, target_size)
    still = FPS * sum(each.size for each in findings if each.kind == STILL)
    # both cost what is heard too
    if not any(each.whole for each in findings) and still < 0.5 * voice.speaking.sum():
        findings += find_mumbled(voice, heard)
    return sorted((_with_words(each, words) for each in findings), key=lambda each: -each.weight)


# ---- late and early


def agreement_by_lag(
    mouth: MouthCurves, voice: VoiceFeatures, total: Callable[[np.ndarray], np.ndarray],
    lags: Sequence[int] = range(-REACH, REACH + 1),
) -> np.ndarray:  # fmt: skip
    """How well a mouth agrees with a voice if it is late by each of so many frames: [1 or T, lags],
    −1 … 1.

    total: sums curves [..., T] over the line or around each frame, [..., 1 or T].
    """
    frames = len(mouth.gap)
    if len(lags) > 1 and frames * len(lags) > _AT_ONCE:
        return np.concatenate([agreement_by_lag(mouth, voice, total, [late]) for late in lags], 1)
    at, weight, count, y, mean_y, spread_y = _voice_by_lag(voice, frames, total, tuple(lags))
    x = np.stack([mouth.gap, mouth.width])[:, at.clip(0, frames - 1)]
    weighted = weight * x
    mean_x, xy, xx = (total(each) / count for each in (weighted, weighted * y, weighted * x))
    spread_x = np.maximum(xx - mean_x * mean_x, _LEAST_VARIANCE)
    return ((xy - mean_x * mean_y) / np.sqrt(spread_x * spread_y)).mean(0).T


# Of each voice, as long as it is there: all takes of a line are compared with it. Not of long ones,
# which would cost memory.
_BY_LAG: WeakKeyDictionary[VoiceFeatures, dict] = WeakKeyDictionary()


def _voice_by_lag(
    voice: VoiceFeatures, frames: int, total: Callable[[np.ndarray], np.ndarray],
    lags: tuple[int, ...],
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """What `agreement_by_lag` needs of a voice alone: the frames of a mouth [lags, T], their weight
    [lags, T] and its sums, the expected lips [2, 1, T], its means and variances."""
    known = _BY_LAG.setdefault(voice, {})
    if (frames, total, lags) in known:
        return known[frames, total, lags]
    at = np.arange(frames) + np.array(lags)[:, None]
    weight = (voice.presence > SPOKEN) * ((at >= 0) & (at < frames)).astype(float)
    y = voice.lips.T[:, None].astype(float)
    count = total(weight) + 1e-6
    mean, square = (total(weight * each) / count for each in (y, y * y))
    result = at, weight, count, y, mean, np.maximum(square - mean * mean, _LEAST_VARIANCE)
    if frames * (2 * REACH + 1) <= _AT_ONCE:
        known[frames, total, lags] = result
    return result


def over_line(curves: np.ndarray) -> np.ndarray:
    """Sums [..., 1] of curves [..., T]."""
    return curves.sum(-1, keepdims=True)


def sums_around(curves: np.ndarray) -> np.ndarray:
    """Sums of curves [..., T] around each frame, [..., T]."""
    frames, size = curves.shape[-1], len(_SUMS)
    padding = [(0, 0)] * (curves.ndim - 1) + [(_AROUND, _AROUND + -frames % _BLOCK)]
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(curves, padding), size, -1)
    return (seen[..., ::_BLOCK, :] @ _SUMS).reshape(*curves.shape[:-1], -1)[..., :frames]


def find_shift(
    mouth: MouthCurves, voice: VoiceFeatures, tolerance: Tolerance
) -> tuple[Finding | None, float]:
    """(what is wrong with the whole line: SHIFTED or OTHER, frames by which it is late: 0 if that
    is allowed)."""
    spoken = voice.presence > SPOKEN
    if spoken.sum() < _LEAST_SPEECH:
        return None, 0.0
    agrees = agreement_by_lag(mouth, voice, over_line)[0]
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
    agrees = agreement_by_lag(mouth, voice, sums_around)
    late = agrees.argmax(1) - REACH
    gain = agrees.max(1) - agrees[:, REACH - 1 : REACH + 2].max(1)
    findings = []
    for sign in (1, -1):
        is_off = (sign * late > tolerance.late) & (gain > _GAIN) & (voice.presence > SPOKEN)
        for start, end in runs(is_off):
            moves = max(np.ptp(curve[start:end]) for curve in (mouth.gap, mouth.width))
            if end - start >= _SHORTEST and moves > _STILL_MM:
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


def find_demands(
    voice: VoiceFeatures, belief: np.ndarray, found: transcript.FoundText | None
) -> tuple[list[Demand], Sequence[Word]]:
    """Sounds that demand closed lips, and words, of a voice, its phones' probabilities [2T, 40] and
    a text that was found in it, None for none.

    With a text that the voice says, its letters count, and sounds without one do not.
    """
    lips = belief[:, list(BILABIALS)]
    # what the encoder's inner layers predict, in deviations within speech, at 50 Hz
    opening = voice.lips[:, 0]
    spoken = opening[voice.presence > SPOKEN] if (voice.presence > SPOKEN).any() else opening
    opening = (opening - spoken.mean()) / (spoken.std() or 1.0)
    opening = np.interp(np.arange(len(lips)) / ENCODER_RATE * FPS, np.arange(voice.frames), opening)
    demanded = [
        Demand(
            start / ENCODER_RATE,
            end / ENCODER_RATE,
            PHONES[BILABIALS[int(lips[start:end].sum(0).argmax())]].lower(),
        )
        for start, end in runs(lips.sum(1) - _OPENS * (1 + opening) > SURE)
    ]
    closures = () if found is None else transcript.closures(belief, found)
    said = [each for each in closures if each.sure >= _SAID]
    if found is None or len(said) < 0.5 * len(closures):  # another line's text
        return demanded, []
    demands = []
    for each in said:
        near = [
            demand
            for demand in demanded
            if demand.start - _SAME < each.seconds < demand.end + _SAME
        ]
        span = min(
            near,
            key=lambda demand: abs(demand.start + demand.end - 2 * each.seconds),
            default=Demand(each.seconds - 0.02, each.seconds + 0.04, ""),
        )
        demands.append(replace(span, sound=each.text[0], word=found.words[each.number].text))
    return demands, [word for word in found.words if word.end > word.start]


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


# ---- lips that stay flat

_ROUND_MM = 6.9  # by which filmed people's lips are narrower on oo than at rest


def find_flat(
    narrower: np.ndarray, rounds: Sequence[transcript.Rounding], tolerance: Tolerance
) -> list[Finding]:
    """Rounded sounds of the text on which lips hardly round. narrower: millimetres by which the
    mouth is narrower than at rest, [T]."""
    findings = []
    for each in rounds:
        start = max(0, round(each.start * FPS) - _BEFORE)
        most = narrower[start : round(each.end * FPS) + 1 + _BEFORE].max(initial=-np.inf)
        if start < len(narrower) and most < tolerance.round:
            noticed = (_ROUND_MM - most) / (_ROUND_MM - tolerance.round)
            weight = _noticeability(noticed, each.end - each.start)
            findings.append(
                Finding(FLAT, each.start, each.end, float(most), weight, each.text, each.word)
            )
    return findings


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

_MM = 4.5  # mean opening of takes as directed, millimetres per deviation of `expect_lips`
# Ratios of the opening to that which voice and direction ask for, beyond which it is found: less
# than any of 480 takes of 20 validation voices in 22 directions and moods has (.76), as 99 % of
# halved ones and 80 % of those whose jaw opens half as far; without a direction those that one real
# speaker in twenty is beyond.
_OF_DIRECTION, _OF_ANYBODY = (0.7, 2.2), (0.32, 2.6)
SIZE_OF_ANYBODY = 1.0  # the logarithm beyond which it costs points of the score


def size_of(gap: np.ndarray, voice: VoiceFeatures, target_size: float | None) -> float:
    """Ratio of a mouth's mean opening in speech to that which voice and direction ask for.

    target_size: factor of `performance.target_size`; None: no direction is known.
    """
    spoken = voice.presence > SPOKEN
    if not spoken.any():
        return 1.0
    expected = _MM * np.maximum(voice.lips[spoken, 0], 0).mean() * (target_size or 1.0)
    return float((np.maximum(gap[spoken], 0).mean() + 0.01) / (expected + 0.01))


def find_size(gap: np.ndarray, voice: VoiceFeatures, target_size: float | None) -> list[Finding]:
    """Whether the mouth is much smaller or larger than voice and direction ask for; arguments as
    of `size_of`."""
    spoken = np.flatnonzero(voice.presence > SPOKEN)
    if len(spoken) < _LEAST_SPEECH:
        return []
    size = size_of(gap, voice, target_size)
    least, most = _OF_ANYBODY if target_size is None else _OF_DIRECTION
    if least <= size <= most:
        return []
    start, end = spoken[[0, -1]] / FPS
    noticed = least / size if size < least else size / most
    weight = _noticeability(noticed, end - start)
    return [Finding(SIZE, float(start), float(end), size, weight, whole=True)]


# ---- mumbled


def find_mumbled(voice: VoiceFeatures, heard: float) -> list[Finding]:
    """Whether little of a voice is read off a mouth. heard: of `Scorer.heard_ratios`."""
    spoken = np.flatnonzero(voice.presence > SPOKEN)
    if not is_little(heard) or len(spoken) < _LEAST_SPEECH:
        return []
    start, end = (float(edge) / FPS for edge in spoken[[0, -1]])
    return [Finding(MUMBLED, start, end, heard, LITTLE / max(heard, 0.01), whole=True)]


# ---- words


def _with_words(finding: Finding, words: Sequence[Word]) -> Finding:
    """A finding with the words that it begins and ends on."""
    if finding.word or finding.whole or finding.kind == MOVES:
        return finding
    inside = [each.text for each in words if each.start < finding.end and each.end > finding.start]
    return replace(finding, word=inside[0], last_word=inside[-1]) if inside else finding


# ---- the parts of a score

# Points of each part of the total. `python -m research ranking --fit` fits them to the order of
# takes by real mouths of `fit` and of GRID, and to faults planted in takes of validation voices. It
# gives opening most, places little, width and bites next to none; these tell what it does not
# plant.
WEIGHTS = {
    "opening": 54.0,
    "width": 2.0,
    "speed": 9.0,
    "size": 15.0,
    "closures": 11.0,
    "bites": 2.0,
    "places": 7.0,
}
# Natural logarithm of the ratio of a mouth's opening to the one that is asked for beyond which size
# costs points, and by how much more it costs them all. Of takes it varies by .1 (deviation).
_SIZE_FREE, _SIZE_COST = 0.3, 0.4
# Millimetres between lips that should meet, and between lip and teeth on f and v, that cost
# nothing, and that cost all.
_APART, _FROM_TEETH = (1.0, 3.0), (1.5, 4.0)
# added to the number of sounds that ask for a closure or a bite: one miss of one costs half
_FEW = 1.0
# share of a voice that mesh-to-speech reads off the expected mouth, below which the voice is not
# clear enough to be read; range of a channel that counts, and of one that stands still
_READABLE, _COUNTS, _STANDS = 0.2, 0.1, 0.02
# Frames by which a mouth off which little is read may be late or early, in steps that reading
# tells, and by how much more must be read off it when it is moved: mumbling gains nothing by it.
_LATE_READ, _STEP_READ, _MORE_READ = 3.0, 0.5, 0.2
# Frames that are read, of so many: more of them cost time and tell no fault better.
_FRAMES_READ, _FRAMES_OF = 64, 250
# what is found at places, and the weight of all of it that costs all points
_PLACES, _ALL_PLACES = (STILL, MOVES, SHIFTED), 8.0
_BESIDE = 1  # frames by which a bite may be early or late
# factor of the curves' speeds, beside whose variance the least that counts is then small
_STEEP = 3.0
_AT_FINDING = 20.0  # most points of a frame on which something is found


class Demands(NamedTuple):
    """What a voice asks of lips. closures: sounds that demand closed lips.  words: of the text.
    bites: spans [k, 2] in seconds of f and v."""

    closures: Sequence[Demand]
    words: Sequence[Word]
    bites: np.ndarray
    rounds: Sequence[transcript.Rounding] = ()

    @staticmethod
    def of(voice: VoiceFeatures, text: str, language: str = "") -> "Demands":
        """What a voice that says a text, "" if it is not known, asks for."""
        belief = softmax(voice.logits)
        is_bite = belief[:, list(LABIODENTALS)].sum(1) > SURE
        bites = np.array(runs(is_bite), float).reshape(-1, 2) / ENCODER_RATE
        found = transcript.find_text(belief, text, language) if text.strip() else None
        rounds = () if found is None else transcript.roundings(found)
        return Demands(*find_demands(voice, belief, found), bites, rounds)


def correlate(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Correlation of two curves [T] over frames of weight [T], 0 where one hardly moves."""
    x, y = (each - np.average(each, weights=weight) for each in (x, y))
    spread = [max(np.average(each * each, weights=weight), 0.05) for each in (x, y)]
    return float(np.average(x * y, weights=weight) / np.sqrt(spread[0] * spread[1]))


def _share_made(distances: np.ndarray, limits: tuple[float, float]) -> float:
    """How well sounds are made, 0 … 1, at these distances in mm."""
    missed = np.clip((distances - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return float(1 - missed.sum() / (len(distances) + _FEW))


class Scorer:
    """Scores the mouths of one head."""

    def __init__(
        self, articulators: Articulators, m2s: MeshToSpeech, mouth: MouthVertices, lips: Lips,
        speech: np.ndarray, tongue: np.ndarray, expect: Callable[[VoiceFeatures], Motion],
    ):  # fmt: skip
        """speech, tongue: their channels.  expect: the usual motion that a model expects of a
        voice."""
        self.articulators, self.m2s, self.mouth, self.lips = articulators, m2s, mouth, lips
        self.speech, self.tongue = speech, tongue
        left, right = lips.corners.rest
        self.rest_width = 1e3 * float(np.linalg.norm(left - right))
        # takes of a line are scored one after another; forgotten with the scorer
        self.demands_of = lru_cache(maxsize=1)(Demands.of)
        self.expect = lru_cache(maxsize=1)(expect)
        self.expected = lru_cache(maxsize=1)(self._expected)
        self.usual_share = lru_cache(maxsize=4)(self._usual_share)

    def score(
        self, motions: Sequence[Motion], voice: VoiceFeatures,
        target_sizes: Sequence[float | None], text: str = "", tolerance: str = REALISTIC,
        mouths: Sequence[tuple[np.ndarray, np.ndarray]] | None = None, language: str = "",
    ) -> list[LipSyncScore]:  # fmt: skip
        """Scores of motions that are as long as a sound that was analysed before.

        target_sizes: factor of each (`performance.target_size`), None where no direction is known:
        then only sizes that few people have cost points.  text: what the voice says, "" if it is
        not known.  language: of it, "": the one that it seems to be in.  tolerance: of what is
        found, one of TOLERANCES.  mouths: gap and width of each motion, if they are known.
        """
        demands, scores = self.demands_of(voice, text, language), []
        curves = map(self.lips.gap_and_width, motions) if mouths is None else mouths
        ratios = self.heard_ratios(motions, voice)
        for motion, curve, size, heard in zip(motions, curves, target_sizes, ratios):
            mouth, allowed = MouthCurves(*curve), TOLERANCE_OF[tolerance]
            parts = self._parts(mouth, motion, voice, demands, size)
            if mouth.is_held(voice.speaking):
                # read between frames, poses last half a frame longer, as all that is shown does
                still = max(allowed.still, TOLERANCE_OF[SNAPPY].still)  # held on purpose
                heard, allowed = None, replace(allowed, late=allowed.late + 0.5, still=still)
            read = 1.0 if heard is None else heard
            findings = find(mouth, voice, allowed, demands.closures, demands.words, size, read)
            if heard is not None:
                findings = self._time_by_reading(findings, motion, voice, heard, allowed)
            if not any(each.whole for each in findings):
                flat = find_flat(self.rest_width - mouth.width, demands.rounds, allowed)
                findings = sorted(findings + flat, key=lambda each: -each.weight)
            noticed = sum(each.weight for each in findings if each.kind in _PLACES)
            parts["places"] = 1 - min(1.0, noticed / _ALL_PLACES)
            total = sum(WEIGHTS[name] * part for name, part in parts.items())
            points = _along(mouth, voice, total, findings)
            scores.append(LipSyncScore(total, points, parts, tuple(findings), heard))
        return scores

    def _parts(
        self, mouth: MouthCurves, motion: Motion, voice: VoiceFeatures, demands: Demands,
        target_size: float | None,
    ) -> dict[str, float]:  # fmt: skip
        """The parts of WEIGHTS but what is found, 0 … 1 each."""
        spoken = (voice.presence > SPOKEN).astype(float)
        if not spoken.any():
            spoken[:] = 1.0
        expected = self.expected(voice)
        agreement = {
            "opening": correlate(mouth.gap, expected.gap, spoken),
            "width": correlate(mouth.width, expected.width, spoken),
            "speed": correlate(
                _STEEP * np.gradient(mouth.gap), _STEEP * np.gradient(expected.gap), spoken
            )
            if voice.frames > 1
            else 0.0,
        }
        larger = abs(np.log(size_of(mouth.gap, voice, target_size)))
        free = _SIZE_FREE if target_size is not None else SIZE_OF_ANYBODY
        apart = np.array([gap for _, gap in gaps_on(mouth.gap, demands.closures)])
        return {
            **{name: max(0.0, r) for name, r in agreement.items()},
            "size": float(1 - np.clip((larger - free) / _SIZE_COST, 0, 1)),
            "closures": _share_made(apart, _APART),
            "bites": _share_made(self._from_teeth(motion, demands.bites), _FROM_TEETH),
        }

    def _from_teeth(self, motion: Motion, bites: np.ndarray) -> np.ndarray:
        """Least distance [k] of the lower lip from the upper teeth on each f and v, mm."""
        frames = np.round(bites * FPS).astype(int) + [-_BESIDE, _BESIDE + 1]
        frames = frames[frames[:, 0] + _BESIDE < len(motion.jaw)].clip(0, len(motion.jaw))
        if not len(frames):
            return np.zeros(0)
        # only there: a lip has many points
        near = np.concatenate([np.arange(*span) for span in frames])
        distance = self.articulators.bite(motion.expression[near], motion.jaw[near])
        starts = np.cumsum(np.diff(frames, axis=1)[:-1, 0], dtype=int)
        return np.minimum.reduceat(distance, np.r_[0, starts])

    def _expected(self, voice: VoiceFeatures) -> MouthCurves:
        """The mouth that is expected of a voice."""
        return MouthCurves(*self.lips.gap_and_width(self.expect(voice)))

    def off_expected(
        self, mouth: tuple[np.ndarray, np.ndarray], voice: VoiceFeatures, frames: np.ndarray
    ) -> float:
        """Millimetres by which gap and width of a mouth, [T] each, are off the expected ones on
        some frames, bool [T]."""
        expected = self.expected(voice)
        off = np.subtract(mouth, [expected.gap, expected.width])[:, frames]
        return float(np.sqrt(np.square(off).mean()))

    def _usual_share(self, voice: VoiceFeatures, still: tuple[int, ...]) -> float:
        """The share of a voice that is read off the expected mouth with some channels at rest."""
        motion = self.expect(voice)
        moves = ~np.isin(np.arange(motion.expression.shape[1]), still)
        return self._shares([replace(motion, expression=motion.expression * moves)], voice)[0]

    def _shares(self, motions: Sequence[Motion], voice: VoiceFeatures) -> list[float]:
        speaking = voice.speaking
        return self.m2s.heard_shares(
            self.mouth, motions, most_spoken(speaking), voice.units, speaking
        )

    def _time_by_reading(
        self, findings: list[Finding], motion: Motion, voice: VoiceFeatures, heard: float,
        tolerance: Tolerance,
    ) -> list[Finding]:  # fmt: skip
        """Findings of which one of the whole line that is late or seems to mumble says by how much
        it is late, if clearly more is read off the mouth when it is moved. Reading tells half
        frames, and off a mouth that is one frame late next to nothing is read."""
        found = next((each for each in findings if each.kind in (MUMBLED, SHIFTED)), None)
        if found is None or not found.whole:
            return findings
        about, reach = 0.0, _LATE_READ
        if found.kind == SHIFTED:
            about, reach = round(found.size * FPS / _STEP_READ) * _STEP_READ, 3 * _STEP_READ
        lags = about + np.arange(-reach, reach + _STEP_READ, _STEP_READ)
        moved = [face_at(motion, np.arange(motion.frames) + by) for by in lags]
        read = [each or 0.0 for each in self.heard_ratios(moved, voice)]
        late, most = float(lags[np.argmax(read)]), max(read)
        if most < heard + _MORE_READ:
            return findings
        others = [each for each in findings if each is not found]
        if abs(late) > tolerance.read_late:
            others.append(_shift_finding(late / FPS, found.start, found.end, whole=True))
        elif is_little(most):
            return findings
        return sorted(others, key=lambda each: -each.weight)

    def heard_ratios(self, motions: Sequence[Motion], voice: VoiceFeatures) -> list[float | None]:
        """How much of a voice is read off the mouth of each motion, by what is read off the
        expected one with the channels at rest that stand still in the motion: a face that lacks
        some does not mumble. None where that says nothing: of a voice that is read off no mouth, of
        a face that shows too little, and of one whose tongue stands still, off which next to
        nothing is read, even if it is a person's. 0 where the lips stand still, too.
        """
        whole = self.usual_share(voice, ())
        if voice.is_unclear or whole < _READABLE:
            return [None] * len(motions)
        counts = np.ptp(self.expect(voice).expression[:, self.speech], axis=0) > _COUNTS
        ratios: list[float | None] = []
        for share, motion in zip(self._shares(motions, voice), motions):
            ranges = np.ptp(motion.expression, axis=0)
            if ranges[self.tongue].max(initial=0) > _COUNTS:
                still = self.speech[counts & (ranges[self.speech] < _STANDS)]
                usual = self.usual_share(voice, tuple(still.tolist()))
                ratios.append(share / usual if usual >= max(_READABLE, whole / 2) else None)
            else:
                curves = np.stack(self.lips.gap_and_width(motion))[:, voice.speaking]
                is_still = curves.size and np.ptp(curves, axis=1).max() < _STILL_MM
                ratios.append(0.0 if is_still else None)
        return ratios


def face_at(motion: Motion, at: np.ndarray) -> Motion:
    """The expression and jaw of a motion at fractional frames [k], between its own on straight
    lines; its ends are held."""
    at = np.clip(at, 0, motion.frames - 1)
    before = np.floor(at).astype(int)
    after, share = np.minimum(before + 1, motion.frames - 1), (at - before)[:, None]
    return Motion(
        *(
            (each[before] + share * (each[after] - each[before])).astype(each.dtype)
            for each in (motion.expression, motion.jaw)
        )
    )


def most_spoken(speaking: np.ndarray) -> list[slice]:
    """Of about every _FRAMES_OF frames of a voice the _FRAMES_READ on which it speaks most.
    speaking: bool [T]."""
    edges = np.linspace(0, len(speaking), max(1, round(len(speaking) / _FRAMES_OF)) + 1).astype(int)
    spans = []
    for start, end in zip(edges, edges[1:]):
        read = min(_FRAMES_READ, end - start)
        first = start + int(np.convolve(speaking[start:end], np.ones(read), "valid").argmax())
        spans.append(slice(first, first + read))
    return spans


def _along(
    mouth: MouthCurves, voice: VoiceFeatures, total: float, findings: Sequence[Finding]
) -> np.ndarray:
    """Points [T] of each frame: how well the mouth agrees with the voice around it, few where
    something is found, the total where nobody speaks."""
    agrees = 100 * agreement_by_lag(mouth, voice, sums_around, [0])[:, 0]
    curve = np.where(voice.presence > SPOKEN, np.clip(agrees, 0, 100), max(total, 0.0))
    for each in findings:
        if not each.whole:
            span = slice(*each.frames(lambda second: second * FPS))
            curve[span.start : span.stop + 1] = np.minimum(
                curve[span.start : span.stop + 1], _AT_FINDING
            )
    return curve.astype(np.float32)
