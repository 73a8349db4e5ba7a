# SPDX-License-Identifier: GPL-3.0-or-later
"""What a voice asks of a face. By its loudness and pitch: accents, on which brows rise and heads
nod, phrases, pauses and hesitations, and how lively it is (no emotion is read: anger and joy are
both loud, fast and high in range). By its phones, frame by frame: lips that close, lips at the
teeth, teeth together, a tongue between them.

Where the encoder doubts which phone is spoken, every take draws one, by the encoder's
probabilities. So takes differ where the sound leaves a choice, and a closure or a vowel that the
likeliest reading misses is in some of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...acoustics import frame_rms, semitones
from ...direction import AXES
from ...face.moving.mechanics import Sounds
from ...filters import gaussian, smoothstep
from ...spoken import (
    BILABIALS,
    DENTALS,
    LABIODENTALS,
    PHONES,
    ROUNDED,
    SIBILANTS,
    SILENCE,
    VOWELS,
    Word,
)
from ...types import ENCODER_RATE, FPS, RATE
from .encoder import softmax

# ---- accents and phrases

_SMOOTH = 2.0  # standard deviation of the smoothing over syllables, frames
_APART = 9  # minimum distance of two accents, frames
_AROUND = 15  # frames on either side in which prominence is measured
# least prominence, and that of full weight, in standard deviations
_PROMINENT, _MOST_PROMINENT = 0.45, 3.45
_PITCH_SHARE = 0.6  # weight of pitch against loudness
# delay of the visible accent after its peak, and its standard deviation, frames
_LATER, _LASTS = 1, 2.5
# probability of silence, averaged over 7 rows of 20 ms: breath and noise in a pause are not speech
_QUIET, _BLUR = 0.3, 7
# frames of silence that do not separate phrases; frames of sound too short for a phrase
_JOINED, _SHORTEST = 5, 4
_LEAST_PRESENCE = 0.5  # least presence of speech
_LEAST_WEIGHT = 0.1  # least weight of an accent; weaker ones are often peaks of noise


def accents(
    loudness: np.ndarray, speaking: np.ndarray, pitch: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Frames [k] at which loudness and pitch stand out of speech, and how much each does [k], 0 …
    1.

    loudness [T]: `acoustics.loudness`, channel 0.  speaking: [T] 0 … 1.  pitch [T]:
    `acoustics.semitones`, None if it is not known.
    """
    spoken = speaking > _LEAST_PRESENCE
    if spoken.sum() < 5:
        return np.zeros(0, int), np.zeros(0)
    standing = prominence_curve(loudness, pitch, spoken, "nearest")
    result: dict[int, float] = {}
    for peak in np.argsort(-standing, kind="stable"):
        if standing[peak] <= 0:
            break
        valleys = (
            standing[max(0, peak - _AROUND) : peak + 1].min(),
            standing[peak : peak + _AROUND + 1].min(),
        )
        highest = standing[max(0, peak - 1) : peak + 2].max() == standing[peak]
        prominence = standing[peak] - max(valleys)
        if (
            highest
            and prominence >= _PROMINENT
            and all(abs(peak - other) >= _APART for other in result)
        ):
            result[int(peak)] = float(prominence)
    frames = np.array(sorted(result), int)
    prominent = np.array([result[frame] for frame in frames])
    return frames, np.clip((prominent - _PROMINENT) / (_MOST_PROMINENT - _PROMINENT), 0, 1)


def prominence_curve(
    loudness: np.ndarray, pitch: np.ndarray | None, spoken: np.ndarray, mode: str
) -> np.ndarray:
    """How far loudness [T] and pitch [T] stand out of speech (bool [T]), in deviations [T].  mode:
    as `filters.gaussian`'s."""
    pitch = np.zeros(len(loudness)) if pitch is None else pitch
    smooth, high = gaussian(np.stack([loudness, pitch], 1), _SMOOTH, mode).T
    standing = (smooth - smooth[spoken].mean()) / (smooth[spoken].std() + 0.05)
    if pitch[spoken].any():
        standing = (1 - _PITCH_SHARE / 2) * standing + _PITCH_SHARE * (
            high - high[spoken].mean()
        ) / (high[spoken].std() + 0.5)
    return np.where(spoken, standing, standing[spoken].min())


def accent_curve(accented: np.ndarray, frames: int) -> np.ndarray:
    """Accent weight of each of so many frames, 0 … 1, from the frames of accents [k]."""
    at, result = np.arange(frames), np.zeros(frames)
    for peak in accented:
        near = slice(max(0, peak - 12), peak + 14)
        result[near] = np.maximum(
            result[near], np.exp(-0.5 * ((at[near] - peak - _LATER) / _LASTS) ** 2)
        )
    return result


@dataclass(frozen=True)
class Phrasing:
    """The marks of a voice over some animation frames.

    accents: int [k], frames of stressed syllables.  weights: [k] 0 … 1, prominence of each.
    phrases: int [n, 2], first frame of each and first frame behind it.
    """

    frames: int
    accents: np.ndarray
    weights: np.ndarray
    phrases: np.ndarray

    def part(self, start: int, end: int) -> "Phrasing":
        """The marks of frames start … end, counted from start."""
        inside = (self.accents >= start) & (self.accents < end)
        phrases = self.phrases[(self.phrases[:, 1] > start) & (self.phrases[:, 0] < end)]
        return Phrasing(
            end - start,
            self.accents[inside] - start,
            self.weights[inside],
            np.clip(phrases, start, end) - start,
        )

    @cached_property
    def silences(self) -> np.ndarray:
        """int [n + 1, 2]: pauses before the first phrase, between phrases and after the last one;
        some may be empty."""
        return np.concatenate([[0], self.phrases.ravel(), [self.frames]]).reshape(-1, 2)


def silent_phrasing(frames: int) -> Phrasing:
    """The marks of `frames` frames without speech."""
    return Phrasing(frames, np.zeros(0, int), np.zeros(0), np.zeros((0, 2), int))


def runs(flags: np.ndarray) -> np.ndarray:
    """int [n, 2]: first frame of every run of True in [T], and first frame after it."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(
        -1, 2
    )


def phrasing(
    loudness: np.ndarray, presence: np.ndarray, belief: np.ndarray, pitch: np.ndarray | None = None
) -> Phrasing:
    """The marks of a voice from its loudness [T], the presence of speech [T] 0 … 1, phone
    probabilities [N, 40] at 50 Hz and, if it is known, its pitch [T] (`acoustics.semitones`)."""
    frames = len(presence)
    if presence.max(initial=0.0) <= _LEAST_PRESENCE:
        return silent_phrasing(frames)
    at = np.minimum(np.arange(frames) * len(belief) // max(1, frames), len(belief) - 1)
    padded = np.pad(belief[:, SILENCE].astype(float), _BLUR // 2, mode="edge")
    quiet = np.convolve(padded, np.full(_BLUR, 1 / _BLUR), "valid")[at] > _QUIET
    sound = ~quiet & (presence > _LEAST_PRESENCE)
    for start, end in runs(~sound):
        if 0 < start and end < frames and end - start < _JOINED:
            sound[start:end] = True
    phrases = runs(sound)
    peaks, weights = accents(loudness, sound, pitch)
    clear = weights >= _LEAST_WEIGHT
    return Phrasing(
        frames, peaks[clear], weights[clear], phrases[np.diff(phrases, axis=1)[:, 0] >= _SHORTEST]
    )


# ---- what plans follow

HELD = 0.35  # shortest sound that counts as hesitation, s
_LEAST_PART = 0.2  # shortest part of a phrase that counts as one, s


@dataclass(frozen=True)
class Prosody:
    """Prosody of one sound over T animation frames.

    phrases [(start, end)]: parts with speech, s.  spoken bool [T]: inside of one.  accents [k] and
    weights [k]: times, s, of prominent syllables, and their prominence, 0 … 1.  hesitations: start
    times, s, of drawn-out sounds within a phrase.  level [T]: loudness of speech, smoothed over
    syllables, 0 … 1.  words: of the voice's text that were found, empty if it is not known.
    """

    frames: int
    phrases: list[tuple[float, float]]
    spoken: np.ndarray
    accents: np.ndarray
    weights: np.ndarray
    hesitations: list[float]
    level: np.ndarray
    words: tuple[Word, ...] = ()

    @cached_property
    def seconds(self) -> float:
        return self.frames / FPS

    @cached_property
    def pauses(self) -> list[tuple[float, float]]:
        """(start, end), s, of the silences between phrases."""
        return [(end, start) for (_, end), (start, _) in zip(self.phrases, self.phrases[1:])]

    def within(self, start: float, end: float) -> "Prosody":
        """The same sound in which only what is said between two seconds counts."""
        phrases = [(max(a, start), min(b, end)) for a, b in self.phrases]
        inside = (self.accents >= start) & (self.accents <= end)
        time = np.arange(self.frames) / FPS
        return replace(
            self,
            phrases=[(a, b) for a, b in phrases if b - a >= _LEAST_PART],
            spoken=self.spoken & (time >= start) & (time < end),
            accents=self.accents[inside],
            weights=self.weights[inside],
            hesitations=[at for at in self.hesitations if start <= at <= end],
        )


def prosody_from(
    phrases: list[tuple[float, float]], spoken: np.ndarray, accents: tuple[np.ndarray, np.ndarray],
    phones: np.ndarray, rate: float,
    loudness: np.ndarray,
) -> Prosody:  # fmt: skip
    """Prosody of phrases and accents (times, s, and weights), from phones [N] at `rate` Hz and
    loudness [T] (`acoustics.loudness`, channel 0)."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(phones.astype(int))) + 1, [len(phones)]])
    held = [
        a / rate
        for a, b in zip(edges, edges[1:])
        if phones[a] != SILENCE and (b - a) / rate >= HELD
    ]
    level = gaussian(np.clip((loudness.astype(float) + 1) / 2, 0, 1) * spoken, _SMOOTH)
    return Prosody(len(spoken), phrases, spoken, *accents, held, level)


def prosody_of(
    phrasing: Phrasing, loudness: np.ndarray, phones: np.ndarray, words: tuple[Word, ...] = ()
) -> Prosody:
    """Prosody of a voice whose accents and phrases are marked, from its loudness [T]
    (`acoustics.loudness`, channel 0), likeliest phones [N] at 50 Hz and, if they are known, words.
    """
    spoken = np.zeros(phrasing.frames, bool)
    for start, end in phrasing.phrases:
        spoken[start:end] = True
    phrases = [(float(start / FPS), float(end / FPS)) for start, end in phrasing.phrases]
    accented = phrasing.accents / FPS, phrasing.weights
    prosody = prosody_from(phrases, spoken, accented, phones, ENCODER_RATE, loudness)
    return replace(prosody, words=words)


# ---- how lively a voice is

_HOP = RATE // 50  # samples per row of the encoder's logits
_PAUSE = 15  # rows of silence that end a phrase; shorter ones are closures and belong to the rate
_LEAST_SECONDS, _LEAST_SYLLABLES = 1.0, 4  # of speech; less tells nothing
_FAINT = 30.0  # dB under the loudest syllable, below which none is counted as quieter
_DOUBT = 8  # syllables at which half of what is measured is believed: a short line is rarely usual
# bound of each value, deviations; approached smoothly, so that a change of an unusual voice is
# heard too
_FURTHEST = 2.5


class Measures(NamedTuple):
    """Measures of a voice that do not change with the gain of its recording.

    tilt: slope of vowels' spectra, dB of their first difference above them: speakers who raise the
    voice have more of the high.
    loudness: deviation of the syllables' levels, dB.  pitch: semitones between the lowest and the
    highest tenth.  rate: logarithm of phones per second of speech, as changes of what the encoder
    believes.
    """

    tilt: float
    loudness: float
    pitch: float
    rate: float


class Arousal(NamedTuple):
    """How a voice deviates from usual ones, in standard deviations between speakers: effort, range
    of pitch, rate."""

    effort: float = 0.0
    pitch: float = 0.0
    rate: float = 0.0


# Mean and deviation of 245 speakers who read aloud, most with different microphones, which the tilt
# shows too (`python -m research heard_arousal --reference`).
_USUAL = Measures(-11.18, 4.09, 8.97, 2.515)
_DEVIATION = Measures(3.52, 1.12, 2.50, 0.092)
# shares of tilt and loudness in effort, whose deviation between speakers is 1 with them
_EFFORT = (0.75, 0.45)
# Deviations of a slider per weighed deviation of effort, pitch and rate. The mouth follows effort,
# brows the pitch, the head all three.
_MOVES = {"energy": (0.5, 0.2, 0.2), "brows": (0.2, 0.6, 0.0), "head": (0.3, 0.4, 0.2)}


def measure(
    samples: np.ndarray, belief: np.ndarray, pitch: np.ndarray
) -> tuple[Measures, int] | None:
    """Measures of a sound [n] at 16 kHz, and its number of syllables; None if too little is said to
    measure.

    belief: [N, 40] phone probabilities at 50 Hz.  pitch: [T] of `acoustics.semitones`, 0 where
    nothing is voiced.
    """
    belief = belief[: len(samples) // _HOP]
    phones = belief.argmax(-1)
    vowels, spoken = np.isin(phones, VOWELS), phones != SILENCE
    for start, end in runs(~spoken):
        spoken[start:end] = 0 < start and end < len(spoken) and end - start < _PAUSE
    syllables, seconds, voiced = runs(vowels), spoken.sum() * _HOP / RATE, pitch[pitch != 0]
    if seconds < _LEAST_SECONDS or len(syllables) < _LEAST_SYLLABLES or not len(voiced):
        return None
    frames = np.asarray(samples, np.float32)[: len(phones) * _HOP].reshape(-1, _HOP)[vowels]
    level, slope = (
        20 * np.log10(np.maximum(frame_rms(each), 1e-9)) for each in (frames, np.diff(frames))
    )
    lengths = np.diff(syllables)[:, 0]
    peaks = np.maximum.reduceat(level, lengths.cumsum() - lengths)
    low, high = np.quantile(voiced, [0.1, 0.9])
    changes = 0.5 * np.abs(np.diff(belief, axis=0)).sum(1)[spoken[1:]].sum()
    values = (
        np.median(slope - level),
        np.maximum(peaks, peaks.max() - _FAINT).std(),
        high - low,
        np.log(changes / seconds),
    )
    return Measures(*map(float, values)), len(syllables)


def read_arousal(samples: np.ndarray, belief: np.ndarray, pitch: np.ndarray) -> Arousal:
    """How a voice deviates from usual ones, each within ±2.5 (`tanh`); nothing if little is said.
    Arguments as of `measure`."""
    measured = measure(samples, belief, pitch)
    if measured is None:
        return Arousal()
    values, syllables = measured
    tilt, loudness, high, rate = (
        (np.array(values) - _USUAL) / _DEVIATION * syllables / (syllables + _DOUBT)
    )
    deviations = np.array([_EFFORT[0] * tilt + _EFFORT[1] * loudness, high, rate])
    return Arousal(*map(float, _FURTHEST * np.tanh(deviations / _FURTHEST)))


def axis_deviations(arousal: Arousal) -> np.ndarray:
    """Deviations of a style's axes, float32 [len(AXES)], that a voice suggests: 0 but for
    energy, brows and head.

    Usual values stay usual: x³ / (1 + x²) is an eighth at half a deviation, half at one, and 2.2 at
    the furthest.
    """
    x = np.array(arousal)
    weighed = x**3 / (1 + x**2)
    return np.array(
        [np.dot(_MOVES[axis.name], weighed) if axis.name in _MOVES else 0.0 for axis in AXES],
        np.float32,
    )


# ---- sounds that lips, teeth and tongue show

LABELS_PER_SECOND = 100
# Probability above which a sound is a bilabial: .4 demands 90 % of the m, b and p of validation
# voices and .6 83 %, with as few others (12 and 10 of 120, by hand); between .4 and .8 real lips
# close equally often. The same for f, v, th and sibilants.
SURE = 0.4
# the same of m, b and p: tracked lips shut on four of five that are likelier
SHUT = 0.25
_TONGUE_BEFORE, _TONGUE_AFTER = 0.08, 0.08  # seconds in which jaw and tongue reach and leave a th
# the same for teeth on sibilants, and for lip and teeth on f and v, which must not open or shut
# their neighbours
_SIBILANT_BEFORE, _SIBILANT_AFTER = 0.08, 0.07
_TEETH_BEFORE, _TEETH_AFTER = 0.05, 0.05


# labels (10 ms) of an m, b or p on which lips are shut: of longer ones people's are in the middle
MOST_SHUT = 5


def middles(demanded: np.ndarray) -> np.ndarray:
    """The same bool [M] at 100 Hz with no more than MOST_SHUT labels in the middle of every
    sound."""
    shortened = np.zeros_like(demanded)
    for a, b in runs(demanded):
        start = a + max(0, b - a - MOST_SHUT) // 2
        shortened[start : min(b, start + MOST_SHUT)] = True
    return shortened


def closure(
    demanded: np.ndarray, frames: int, before: float = 0.04, after: float = 0.04
) -> np.ndarray:
    """Required lip closure [frames], 0 … 1 at 25 fps, from `demanded` [M] at 100 Hz: 1 where a
    sound needs closed lips, eased.

    Lips lead the sound: closing starts `before` s ahead, holds for the sound, opens within `after`
    s. Every closure reaches 1 on at least one animation frame, however short it is.
    """
    return smoothstep(_ramps(demanded, frames, before, after))


def short_closures(demanded: Sequence[np.ndarray], frames: int) -> np.ndarray:
    """`closure` of the `middles` of several kinds of sounds, [k, frames]."""
    return smoothstep(np.stack([_ramps(middles(each), frames) for each in demanded]))


def _ramps(
    demanded: np.ndarray, frames: int, before: float = 0.04, after: float = 0.04
) -> np.ndarray:
    """`closure`, straight."""
    shut = np.zeros(frames)
    for a, b in runs(np.asarray(demanded, bool)):
        start = a / LABELS_PER_SECOND - 0.01
        end = max(b / LABELS_PER_SECOND - 0.02, a / LABELS_PER_SECOND + 0.02)
        nearest = int(np.clip(round((start + end) / 2 * FPS), 0, frames - 1))
        # Only the frames that it reaches, and one more on either side: all frames of a long sound
        # would cost more.
        first = max(0, int((start - before) * FPS) - 1)
        last = min(frames, int((end + after) * FPS) + 2)
        t = np.arange(first, last) / FPS
        ramp = np.where(
            t < start, 1 - (start - t) / before, np.where(t > end, 1 - (t - end) / after, 1.0)
        )
        shut[first:last] = np.maximum(shut[first:last], np.clip(ramp, 0, 1))
        shut[nearest] = 1.0
    return shut


# phones on which teeth meet, lip and teeth, tongue and teeth, and lips
_CONTACTS = (SIBILANTS, LABIODENTALS, DENTALS, BILABIALS)


def confident_sounds(belief: np.ndarray, spoken: np.ndarray) -> Sounds:
    """The sounds that jaw, lips and tongue follow, from phone probabilities [N, 40] at 50 Hz and
    whether somebody speaks [frames]."""
    least = (SURE, SURE, SURE, SHUT)
    likely = np.stack([belief[:, phones].sum(1) > p for phones, p in zip(_CONTACTS, least)])
    return sounds_of(spoken, *likely.repeat(int(LABELS_PER_SECOND / ENCODER_RATE), 1))


def sounds_of(
    speech: np.ndarray, sibilant: np.ndarray, labiodental: np.ndarray, dental: np.ndarray,
    bilabial: np.ndarray
) -> Sounds:  # fmt: skip
    """Sounds over animation frames: speech [frames]; bool [M] at 100 Hz of each kind of sound.

    Lips that close win over lips at the teeth, teeth together over teeth apart.
    """
    frames = len(speech)
    ramps = (
        _ramps(bilabial, frames),
        _ramps(sibilant, frames, _SIBILANT_BEFORE, _SIBILANT_AFTER),
        _ramps(labiodental, frames, _TEETH_BEFORE, _TEETH_AFTER),
        _ramps(dental, frames, _TONGUE_BEFORE, _TONGUE_AFTER),
    )
    shut, s, f, th = smoothstep(np.stack(ramps))
    s = s * (1 - shut)
    th = th * (1 - shut) * (1 - s)
    return Sounds(np.asarray(speech, np.float64), s, f * (1 - shut), th, shut, np.zeros(frames))


def cues_of(
    samples: np.ndarray | None, loudness: np.ndarray, presence: np.ndarray, belief: np.ndarray
) -> tuple[Phrasing, Sounds, np.ndarray, Arousal, np.ndarray]:
    """Accents and phrases of a sound [n], the sounds that jaw, lips and tongue follow, the accents'
    curve [T], how lively the voice is, and what it asks for by that (`axis_deviations`); from its
    loudness [T] (`acoustics.loudness`, channel 0), the presence of speech [T] and phone
    probabilities [N, 40] at 50 Hz. samples: None: its pitch, and how lively it is, do not
    count."""
    frames = len(presence)
    pitch = np.zeros(frames) if samples is None else semitones(samples, frames)
    marks = phrasing(loudness, presence, belief, pitch)
    accented = accent_curve(marks.accents, frames)
    arousal = Arousal() if samples is None else read_arousal(samples, belief, pitch)
    voice_style = axis_deviations(arousal)
    return marks, confident_sounds(belief, presence), accented, arousal, voice_style


# ---- rounding ahead of its sound

# Lips of filmed people begin to round before a clear “oo”; those of a network that hears it begin
# with it. Shares of the rounding that is so many rows of 20 ms ahead, in a consonant; in m, b and p
# less, so that they stay clear. Further ahead lips would be rounder two frames before it than
# people's, by 1.3 mm instead of .7 (research/people_or_take.py).
_AHEAD = (0.5, 0.4, 0.2)
_AHEAD_OF_BILABIALS = 0.4
_CLEARLY_ROUND = (0.35, 0.6)  # probability above which rounding is carried, and is in full


def carry_rounding(belief: np.ndarray) -> np.ndarray:
    """Phone probabilities [N, 40] at 50 Hz with rounding carried up to 60 ms into the consonants
    before it: at most half of a consonant becomes w, oo or o."""
    round_ = belief[:, ROUNDED]
    low, high = _CLEARLY_ROUND
    clear = ((round_.sum(1) - low) / (high - low)).clip(0, 1)
    share, phones = np.zeros(len(belief)), np.zeros_like(round_)
    for ahead, part in enumerate(_AHEAD, 1):
        carried = part * np.pad(clear[ahead:], (0, min(ahead, len(clear))))
        source = np.pad(round_[ahead:], ((0, min(ahead, len(clear))), (0, 0)))
        more = carried > share
        phones[more], share[more] = source[more], carried[more]
    consonant = 1 - belief[:, VOWELS].sum(1) - belief[:, SILENCE]
    shut = belief[:, BILABIALS].sum(1)
    share *= consonant.clip(0, 1) * (1 - shut + _AHEAD_OF_BILABIALS * shut)
    result = belief * (1 - share[:, None])
    result[:, ROUNDED] += share[:, None] * phones / np.maximum(phones.sum(1, keepdims=True), 1e-9)
    return result.astype(belief.dtype)


# ---- what a take hears

_SEED_DRAWS = 11  # part of the seed of what a take hears; another value changes all takes
# rows of 20 ms between two draws, interpolated: draws change about as often as sounds do
_ROWS = 5
# Exponent of the probabilities in the draw: above 1, unlikely phones are drawn more rarely, below 1
# more often. It is high for what lips, teeth or tongue meet on: at a probability of .1 only 6 % of
# m, b and p are real (validation voices), and readings bit on f or v where nobody says it ten times
# a minute, now 1.6.
_TRUST = np.ones(len(PHONES), np.float32)
_TRUST[np.concatenate(_CONTACTS)] = 1.5
_FREELY = np.float32(0.8)  # the same where somebody asked for other readings of a word
_AS_CLEAR = 0.9  # probability given to a drawn phone, about that of a clear one


def draw_phones(logits: np.ndarray, seed: int, freely: bool = False) -> np.ndarray:
    """The phone that the take of a seed hears in each row, int [N], of phone logits [N, 40].
    freely: unlikely ones more often.

    Each phone waits for an exponentially distributed time, divided by its probability; the first to
    arrive is drawn, so each is drawn with its probability. The times change as slowly as sounds do,
    so whole sounds are drawn instead of rows. What is certain stays.
    """
    rng, count = np.random.default_rng([_SEED_DRAWS, seed % (1 << 32)]), len(logits)
    drawn = rng.standard_normal((count // _ROWS + 2, 2, len(PHONES)), np.float32)
    before, share = np.divmod(np.arange(count), _ROWS)
    share = (share / np.float32(_ROWS)).astype(np.float32)[:, None, None]
    # Two normal variables, squared and added, are exponentially distributed; between draws all
    # phones have equally smaller ones.
    waits = ((1 - share) * drawn[before] + share * drawn[before + 1]) ** 2
    return (
        waits.sum(1) / np.maximum(softmax(logits), 1e-6) ** (_FREELY if freely else _TRUST)
    ).argmin(-1)


def sample_phones(
    logits: np.ndarray, seed: int, freely: bool = False, of_text: bool = False
) -> np.ndarray:
    """Phone logits [N, 40] as the take of a seed hears them: where it draws another phone than the
    likeliest, that one is raised until it is sure. Sounds and silence are not exchanged, and likely
    closures stay: a missing one is noticed first. of_text: a text is followed, whose rounding stays
    too."""
    belief, drawn = softmax(logits), draw_phones(logits, seed, freely)
    likeliest, stays = belief.argmax(-1), belief[:, BILABIALS].sum(-1) > SURE
    if of_text:
        stays |= belief[:, ROUNDED].sum(-1) > SURE
    rows = np.flatnonzero(
        (drawn != likeliest) & (drawn != SILENCE) & (likeliest != SILENCE) & ~stays
    )
    result, phones = logits.copy(), drawn[rows]
    result[rows, phones] += raise_to_clear(belief[rows, phones])
    return result


def raise_to_clear(share: np.ndarray) -> np.ndarray:
    """What logits of phones with these probabilities lack to be clear together."""
    return np.log(_AS_CLEAR / (1 - _AS_CLEAR) * (1 - share) / np.maximum(share, 1e-9))
