# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions of the takes of a batch: variations around the requested direction, as wide as
*Variety* allows, and marks on words (`marks`).

Each take has a style for the whole line (`reading`) and stresses the words that it hits
(`planning.choice`, `add_stresses`).
Marks are carried out before sampling: the model performs a voice that says its words so, in a
direction that stresses them so. Nothing is changed after sampling; the score compares takes with
the marked voice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from ..direction import (
    AXES,
    Brief,
    CLOSED,
    DIRECTION_NAMES,
    HELD,
    Mark,
    MOOD_NAMES,
    MOODS,
    MOVED,
    OPEN,
    over_frames,
    SOUND,
    STRESSED,
    THROWN_AWAY,
)
from ..errors import BadRequest
from ..spoken import BILABIALS, PHONES, VOWELS, Word
from ..types import FPS
from ..weight_files import ENCODER_RATE
from .speech import transcript
from .speech.cues import accent_curve, confident_sounds, Phrasing, runs
from .speech.encoder import LOUDNESS, softmax
from .systems.thunder import VoiceFeatures

_AXIS_SPREAD = 2.0  # spread of an axis at *Variety* 1, in standard deviations between speakers
_ENERGY_SPREAD = 2.95  # the same for energy; more, because word emphasis averages part of it out
_FURTHEST = 2.2  # largest deviation from the request, in units of _AXIS_SPREAD times *Variety*
_MOOD_SPREAD = 0.8  # strongest mood added at *Variety* 1 where none is requested
_STRENGTH_SPREAD = 0.5  # change of a requested mood's strength at *Variety* 1
# share of a requested mood's strength that every reading keeps: the score knows lips alone, so any
# take may lead
_LEAST_STRENGTH = 0.85
# Share of what a requested mood does to an axis that a reading may take back, with what its
# strength takes back: a warm take smiles.
_AGAINST_MOOD = np.array([0.15 if axis.name in ("smile", "frown") else 0.4 for axis in AXES])
# the same of a large request on the axis itself, more of a small one: a take of high energy is not
# quiet
_AGAINST_SLIDER = 0.6
_EMPHASIS = 0.4  # log energy of a word that a take hits, at *Variety* 1
CLEARER = 0.6  # deviations of articulation per deviation of energy
_ACCENTED = {"brows": 0.8, "head": 1.0}  # deviations added on accents
# What each mood at full strength adds to each axis, in deviations.
_MOOD_CHANGES = np.array(
    [[MOODS[name].changes.get(axis.name, 0.0) for axis in AXES] for name in MOOD_NAMES], np.float32
)
_ENERGY = next(axis for axis in AXES if axis.name == "energy")
_SPREADS = np.array([_ENERGY_SPREAD if axis is _ENERGY else _AXIS_SPREAD for axis in AXES])
# Ranges of a style, in deviations.
_LEAST = np.array([axis.deviations(axis.least) for axis in AXES])
_MOST = np.array([axis.deviations(axis.most) for axis in AXES])


def follow_voice(asked: Brief, heard: np.ndarray, frames: int) -> Brief:
    """A request over so many frames whose direction follows the voice wherever that is asked for
    (`Brief.as_heard`).

    heard: deviations of a style [len(AXES)] that the voice asks for
    (`speech.cues.axis_deviations`).
    """
    if not asked.as_heard.any():
        return asked
    heard_deviations = over_frames(asked.as_heard, frames)[:, None] * heard
    wanted = over_frames(asked.requested, frames)
    style = np.clip(wanted[:, : len(AXES)] + heard_deviations, _LEAST, _MOST)
    moods = np.broadcast_to(wanted[:, len(AXES) :], (len(style), len(MOOD_NAMES)))
    both = np.concatenate([style, moods], 1).astype(np.float32)
    return replace(asked, vectors=both) if asked.original is None else replace(asked, original=both)


def reading(
    asked: np.ndarray, seed: int, spread: float, heard: np.ndarray | None = None
) -> np.ndarray:
    """The direction of a seed's take: float32 [n, DIRECTION_NAMES].

    asked: direction vectors [n, DIRECTION_NAMES], one for the line or one for every frame.  spread:
    0 (exactly as requested) … 1 (as different as people are). If no mood is requested, every other
    reading has a slight one; if one is, no reading takes it back. Nor does a reading take back much
    of what a slider asks.
    heard: deviations [len(AXES)] that the voice asks for: where no mood is requested, readings
    without a slight one follow them, by half at *Variety* .5.
    """
    asked = np.array(asked, np.float32)
    if spread <= 0:
        return asked
    x = sobol_point(seed)  # those of consecutive seeds fill space evenly; axes, a mood, a strength
    normal = np.array([NormalDist().inv_cdf(share) for share in x[: len(AXES)]]).clip(
        -_FURTHEST, _FURTHEST
    )
    style, moods = asked[:, : len(AXES)], asked[:, len(AXES) :]
    by, asked_by = spread * _SPREADS * normal, np.abs(style)
    slight = 0.0 if moods.any() else spread * _MOOD_SPREAD * max(0.0, 2 * x[-1] - 1)
    if heard is not None and not moods.any() and not slight:
        by += spread * heard
    most = np.maximum(_AGAINST_SLIDER * asked_by, _FURTHEST * (spread * _SPREADS - asked_by))
    by = np.where(by * style < 0, np.sign(by) * np.minimum(np.abs(by), most), by)
    strength = max(_LEAST_STRENGTH, 1 + spread * _STRENGTH_SPREAD * (2 * x[-1] - 1))
    does = moods @ _MOOD_CHANGES
    back = (max(0.0, 1 - strength) - _AGAINST_MOOD) * does  # the most that may be taken back
    by = np.where(does > 0, np.maximum(by, back), np.where(does < 0, np.minimum(by, back), by))
    style[:] = np.clip(style + by, np.minimum(_LEAST, style), np.maximum(_MOST, style))
    if moods.any():
        moods[:] = np.clip(moods * strength, 0, 1)
    else:
        moods[:, int(x[-2] * len(MOOD_NAMES)) % len(MOOD_NAMES)] = slight
    return asked


def add_stresses(
    played: np.ndarray, spread: float, accents: np.ndarray, stress: np.ndarray
) -> np.ndarray:
    """A reading [1 or T, DIRECTION_NAMES] as a take plays it over a line: float32 [T,
    DIRECTION_NAMES].

    accents: [T] 0 … 1, where the voice stresses a syllable (`speech.cues.accents`).  stress: [T],
    where the take does (`Choice.stress`): brows and head do more there and less elsewhere.
    """
    played = np.array(np.broadcast_to(played, (len(accents), played.shape[1])), np.float32)
    energy = _EMPHASIS / _ENERGY.speakers * spread * (stress - stress.mean())
    changes = {"energy": energy, "articulation": CLEARER * energy}
    shown = np.clip(accents + stress, 0, 1)
    changes |= {name: by * (shown - shown.mean()) for name, by in _ACCENTED.items()}
    return move_axes(played, changes)


def requested_style(asked: Brief, frames: int) -> np.ndarray:
    """The direction that was requested, with its marks, float32 [1 or T, DIRECTION_NAMES]."""
    wanted = over_frames(asked.requested, frames)
    if not asked.marks:
        return wanted
    whole = np.repeat(wanted, frames, 0) if len(wanted) == 1 else wanted.copy()
    return mark_direction(whole, asked.marks)


def style_of_take(
    asked: Brief, reading: np.ndarray, seed: int, first: int, voice: VoiceFeatures
) -> np.ndarray:
    """A seed's reading [1 or T, DIRECTION_NAMES] as its take plays it over a voice: float32 [T,
    DIRECTION_NAMES], with its stressed words and the marks of all.  first: first seed of the
    batch."""
    whose, spread = asked.gestures_of(seed, first)
    stress = voice.choice(whose, spread).stress(voice.frames)
    return mark_direction(add_stresses(reading, spread, voice.accents, stress), asked.marks)


def move_axes(played: np.ndarray, changes: Mapping[str, np.ndarray]) -> np.ndarray:
    """A direction float32 [T, DIRECTION_NAMES], changed in place by deviations [T] of axes, within
    the range of each."""
    for name, by in changes.items():
        column = DIRECTION_NAMES.index(name)
        value = played[:, column]
        played[:, column] = np.clip(
            value + by, np.minimum(_LEAST[column], value), np.maximum(_MOST[column], value)
        )
    return played


# ---- marks on words

# What a mark adds to the direction over its word, in deviations of energy, and of brows and head:
# about what the most and the least stressed words of takes get at the largest *Variety*.
_MARK_ENERGY = {STRESSED: 2.0, THROWN_AWAY: -2.4, OPEN: 2.0, CLOSED: -2.4}
_MARK_ACCENT = {STRESSED: 1.0, THROWN_AWAY: -1.0}
_EASE = 3  # frames in which it sets in, before the word, and ends
_MARKED = 1.01  # weight of its accent: above those that are heard, so that every take hits it
_SURE = 12.0  # logit by which the phone of a mark stands above all others: certain, for every take
_BACK = 0.3  # seconds beside a moved word in which lips come back to the voice's time
_CODA = 0.1  # seconds in which a held word's last sounds are said


def mark_direction(played: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """A direction as a take plays it, float32 [T, DIRECTION_NAMES], changed in place by marks."""
    at, energy, accent = np.arange(len(played)), *np.zeros((2, len(played)))
    for mark in marks:
        start, end = (FPS * seconds for seconds in (mark.to or (mark.start, mark.end)))
        outside = np.maximum(np.maximum(start - at, at - end), 0)
        # where its word is, 0 … 1, eased before and behind it
        shape = 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / _EASE, 1))
        energy += _MARK_ENERGY.get(mark.kind, 0.0) * shape
        accent += _MARK_ACCENT.get(mark.kind, 0.0) * shape
    if not (energy.any() or accent.any()):
        return played
    return move_axes(
        played,
        {"energy": energy, "articulation": CLEARER * energy, "brows": accent, "head": accent},
    )


def follow_text(voice: VoiceFeatures, text: str) -> tuple[VoiceFeatures, bool]:
    """A voice of which a text says what it says, and whether it seems to say it; unchanged if not,
    or if there is no text."""
    if not text.strip() or not voice.presence.any():
        return voice, True
    logits, words = transcript.follow(voice.logits, text)
    if logits is None:
        return voice, False
    found = tuple(word for word in words if word.is_found)
    return replace(voice.with_phones(logits), words=found), True


def mark_voice(voice: VoiceFeatures, marks: Sequence[Mark]) -> VoiceFeatures:
    """A voice as it would say its words with their marks. Raises BadRequest for a mark with an
    unknown sound."""
    if not marks or not voice.presence.any():
        return voice
    logits = voice.logits.copy()
    for mark in marks:
        _mark_phones(logits, mark)
    features, count = voice.features_with(logits), len(logits)
    times = _sound_times(logits, marks, len(voice.units))
    rows, frames = times.round().astype(int), (times[::2] / 2).round().astype(int)
    logits, features = logits[rows[:count].clip(0, count - 1)], features[frames]
    belief = softmax(logits)
    presence = voice.presence[frames]
    accented = _mark_accents(voice.phrasing, voice.features[:, -LOUDNESS], marks)
    return replace(
        voice, features=features, units=voice.units[rows], presence=presence, logits=logits,
        sounds=confident_sounds(belief, presence),
        phrasing=accented, accents=accent_curve(accented.accents, voice.frames),
        words=tuple(word for word in voice.words if not _thrown_away(word, marks)),
    )  # fmt: skip


def _rows(mark: Mark, count: int) -> slice:
    """The rows of phone logits that a mark's word has: at least one."""
    start = int(np.clip(round(mark.start * ENCODER_RATE), 0, count - 1))
    return slice(start, max(start + 1, min(count, round(mark.end * ENCODER_RATE))))


def _mark_phones(logits: np.ndarray, mark: Mark) -> None:
    """Have phone logits [N, 40] say what a mark asks for, in place."""
    said = logits[_rows(mark, len(logits))]
    if mark.kind == SOUND:
        if mark.sound not in PHONES:
            raise BadRequest(f"“{mark.sound}” is no sound: choose one of {', '.join(PHONES[1:])}")
        said[:, PHONES.index(mark.sound)] = said.max(1) + _SURE
    elif mark.kind == CLOSED:
        said[:, BILABIALS[1]] = said.max(1) + _SURE
    elif mark.kind == OPEN:
        said[:, list(BILABIALS)] = said.min()


def _sound_times(logits: np.ndarray, marks: Sequence[Mark], count: int) -> np.ndarray:
    """For each of so many rows of 20 ms the row whose sound is performed then, float [count], never
    going back."""
    # (time at which it is performed, time of the sound), in rows
    points: list[tuple[float, float]] = []
    for mark in marks:
        if mark.kind == HELD:
            points += held_points(logits, mark)
        elif mark.kind == MOVED and mark.to is not None:
            (start, end), (new_start, new_end) = (mark.start, mark.end), mark.to
            beside = (min(start, new_start) - _BACK, max(end, new_end) + _BACK)
            seconds = [
                (beside[0], beside[0]),
                (new_start, start),
                (new_end, end),
                (beside[1], beside[1]),
            ]
            points += [(ENCODER_RATE * at, ENCODER_RATE * of) for at, of in seconds]
    rows = np.arange(count, dtype=float)
    if not points:
        return rows
    performed, sound = np.array(sorted([(0.0, 0.0), *points, (count - 1.0, count - 1.0)])).T
    return np.clip(np.interp(rows, performed, np.maximum.accumulate(sound)), 0, count - 1)


def held_points(logits: np.ndarray, mark: Mark) -> list[tuple[float, float]]:
    """Points for `_sound_times` of a held word: the mouth stays in the middle of its longest vowel
    until shortly before the word's end."""
    rows = _rows(mark, len(logits))
    likeliest = logits[rows].argmax(1)
    vowel = np.isin(likeliest, VOWELS)
    if not vowel.any():
        return []
    first, last = max(runs(vowel), key=np.ptp)
    middle = rows.start + (first + last - 1) / 2
    until = rows.stop - _CODA * ENCODER_RATE
    if until <= middle + 1:
        return []
    return [(rows.start, rows.start), (middle, middle), (until, middle + 1), (rows.stop, rows.stop)]


def _mark_accents(phrasing: Phrasing, loudness: np.ndarray, marks: Sequence[Mark]) -> Phrasing:
    """A voice's phrasing with an accent on every stressed word, and none on words that are thrown
    away."""
    weights = dict(zip(phrasing.accents.tolist(), phrasing.weights.tolist()))
    for mark in marks:
        start = int(np.clip(round(mark.start * FPS), 0, phrasing.frames - 1))
        end = max(start + 1, min(phrasing.frames, round(mark.end * FPS)))
        inside = [frame for frame in weights if start <= frame < end]
        if mark.kind == THROWN_AWAY:
            for frame in inside:
                del weights[frame]
        elif mark.kind == STRESSED:
            loudest = max(
                inside, key=weights.__getitem__, default=start + int(loudness[start:end].argmax())
            )
            weights[loudest] = _MARKED
    at = np.array(sorted(weights), int)
    return replace(
        phrasing, accents=at, weights=np.array([weights[frame] for frame in at.tolist()])
    )


def _thrown_away(word: Word, marks: Sequence[Mark]) -> bool:
    return any(
        mark.kind == THROWN_AWAY and mark.start < word.end and word.start < mark.end
        for mark in marks
    )


# ---- points that fill space evenly

POINTS = 1 << 16  # points of the sequence in use; larger numbers start over
_BITS = 30  # of a coordinate


def _numbers(digits: str) -> list[int]:
    """Numbers of eight hexadecimal digits each."""
    return [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]


# Direction numbers [14 dimensions, 16 bits of a point's number], as integers of 30 bits.
_DIRECTIONS = np.array([_numbers(row) for row in (
    "2877acef120c49000b025659061004d8022bfc4601efbdb500e7962a005617fd003ddaa5001e2df70008d57a0007d46a0002a849000179e80000bc47000074dc",
    "2d631a1539c727a62476973535ece9752f8c3ebb3afc2d3a265f5c703657bf382d5f177039e9aa5824470aa535c8c2e52fb37bc03ad0102f266d7c373671bbf6",
    "214ecec338c9baa217e7627e244eaa1d346e31521febd84a22c5c2d13918771c1515d663270eade53530c5771d6484b5215efff338f89a0117c3be8f24517f60",
    "31fc9c5421b30ebb09d7b12a16a679cc2c807e791e4bcbfd38dc416337926a5f257d73aa0883ac7e14e3ec5f299afe461d7ecd613ffb5cd4310b4db12135f4fa",
    "25571df4142329640b38cfb828f063c43f358393354349901a8b0f4b212eb3a91195eff20901a3002e3e933c3cffdf5134c1ed181d23ee9f25068e18140c2d05",
    "350f327b17b093fa18470e7109f77c9621a6e0060e94853a1066796b28ad85c22d74c2971e51b79c39f8ee7d076980e031e8b9bf26370f1b3d00262236debef3",
    "34e9c3e128500e2d3dba421e2c09ba061a8943aa315463aa0e1b093b21c1aeb33ad1042109a1459b07426c94259ecbae1ddc384b14eee14713c81c9e3515b224",
    "241d11c515011fc62e6f423b13c1ba94278e63110b0b5fda0612212608edb3a3183562ea20fda65e039816fa1e0e4f71287451fd1b29245f3fb0be772bf4e2df",
    "23a414401b7decd02a4a19ac1c083b1c0afa0b4f3ea866891125628b158afa350db77b7d1f0d027f328bd56e0ef0862327f5fa8c0303600338734b9b30544c6a",
    "2c6177df1eb353063c7ca4bb269ba6e42a6b7ee22999db652ec879b0181ea0a90a6963fe34a2f1ef14b3272609aa2cd032bc6d4123b0229d1a754ebd0c831d90",
    "3f169d94119bb70e34df23e507fb63a9027c4ee319637ae83b56161b0b0f5cf317cc9f63379747f01e7277e23891a2f1138e9ab32d07bf003d688bc508fb8790",
    "3bae51ed1ba66324096dd7150e3dbfd01f5d59453074a5a73d7030900a027fdf2671a34103e3b8c329cf5ce91c7cc116198c195121d506911269666807d0f574",
    "384d5b982666f64d3086231e1a4b37e2294755cc3a4778012e3bf6890c54f5bc02d369fc08b89d5a3de87e7618c3b2a6218fbd7a0661715a37fff9572c574c44",
    "29ddd34e3a361e061ced4fe32e5afbf00a48580d3bcf1b511324bc35267220dc32f936cc24c04c9a31bd82b52844423b353253ad146f47f416a4cdaf15975ff2",
)])  # fmt: skip
_SHIFT = np.array(
    _numbers(
        "0cc42af50af08d992ff576c60bcbcbfb233bc274310039ba1735f13c3ee5d69e3b1fca3409c4b20930f437841f39de420d098c241e101be5"
    )
)


def sobol_point(number: int) -> np.ndarray:
    """A point of the sequence by its number: float64 [14], above 0 and below 1."""
    number %= POINTS
    gray = number ^ (number >> 1)
    chosen = _DIRECTIONS[:, [bit for bit in range(len(_DIRECTIONS[0])) if gray >> bit & 1]]
    point = np.bitwise_xor.reduce(chosen, axis=1, initial=0) ^ _SHIFT
    # torch rounds the first
    return (point / (1 << _BITS)).astype(np.float64 if number else np.float32).astype(np.float64)
