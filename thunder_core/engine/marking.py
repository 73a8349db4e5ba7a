# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out marks on words (`marks`) before sampling: the model performs a voice that says its words so, in a direction that stresses
them so. Nothing is changed after sampling; the score compares takes with the marked voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import BadRequest
from ..marks import CLOSED, HELD, Mark, MOVED, OPEN, SOUND, STRESSED, THROWN_AWAY
from ..types import FPS
from .readings import CLEARER, moved
from .speech.cues import believed_sounds, demanded_closures
from .speech.encoder import at_frames, ENCODER_RATE, LOUDNESS, softmax
from .speech.phones import BILABIALS, PHONES, VOWELS
from .speech.phrasing import accent_curve, Phrasing
from .systems.thunder import VoiceFeatures

# What a mark adds to the direction over its word, in deviations of energy, and of brows and head: about what the most and the least
# stressed words of takes get at the largest *Variety*.
_ENERGY = {STRESSED: 2.0, THROWN_AWAY: -2.4, OPEN: 2.0, CLOSED: -2.4}
_ACCENT = {STRESSED: 1.0, THROWN_AWAY: -1.0}
_EASE = 3  # frames in which it sets in, before the word, and ends
_SURE = 12.0  # logit by which the phone of a mark stands above all others: certain, for every take
_BACK = 0.3  # seconds beside a moved word in which lips come back to the voice's own time
_CODA = 0.1  # seconds in which a held word's last sounds are said


def mark_direction(played: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """A direction as a take plays it, float32 [T, DIRECTION_NAMES], changed in place by marks."""
    energy, accent = np.zeros(len(played)), np.zeros(len(played))
    for mark in marks:
        shape = _over(mark, len(played))
        energy += _ENERGY.get(mark.kind, 0.0) * shape
        accent += _ACCENT.get(mark.kind, 0.0) * shape
    if not (energy.any() or accent.any()):
        return played
    return moved(played, {"energy": energy, "articulation": CLEARER * energy, "brows": accent, "head": accent})


def mark_voice(voice: VoiceFeatures, marks: Sequence[Mark]) -> VoiceFeatures:
    """A voice as it would say its words with their marks. Raises BadRequest for a sound that is none."""
    if not marks or not voice.presence.any():
        return voice
    logits = voice.logits.copy()
    for mark in marks:
        _say(logits, mark)
    changed, count = softmax(logits) - softmax(voice.logits), len(logits)
    features = voice.features.copy()
    features[:, -LOUDNESS - len(PHONES) : -LOUDNESS] += at_frames(changed, voice.frames)
    times = _times(logits, marks, len(voice.units))
    rows, frames = times.round().astype(int), (times[::2] / 2).round().astype(int)
    logits, features = logits[rows[:count].clip(0, count - 1)], features[frames]
    belief, presence, accented = softmax(logits), voice.presence[frames], _accented(voice.phrasing, voice.features[:, -LOUDNESS], marks)
    return replace(
        voice, features=features, units=voice.units[rows], presence=presence, opening=voice.opening[frames], logits=logits,
        shut=demanded_closures(belief, voice.frames), sounds=believed_sounds(belief, presence),
        phrasing=accented, accents=accent_curve(accented.accents, voice.frames),
    )  # fmt: skip


def _over(mark: Mark, frames: int) -> np.ndarray:
    """Where a mark's word is [frames], 0 … 1, eased within _EASE frames before and behind it."""
    start, end = (FPS * seconds for seconds in (mark.to or (mark.start, mark.end)))
    at = np.arange(frames)
    outside = np.maximum(np.maximum(start - at, at - end), 0)
    return 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / _EASE, 1))


def _rows(mark: Mark, count: int) -> slice:
    """The rows of phone logits that a mark's word has: at least one."""
    start = int(np.clip(round(mark.start * ENCODER_RATE), 0, count - 1))
    return slice(start, max(start + 1, min(count, round(mark.end * ENCODER_RATE))))


def _say(logits: np.ndarray, mark: Mark) -> None:
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


def _times(logits: np.ndarray, marks: Sequence[Mark], count: int) -> np.ndarray:
    """For each of so many rows of 20 ms the row whose sound is performed then, float [count], never going back."""
    points: list[tuple[float, float]] = []  # (time at which it is performed, time of the sound), in rows
    for mark in marks:
        if mark.kind == HELD:
            points += held_points(logits, mark)
        elif mark.kind == MOVED and mark.to is not None:
            (start, end), (new_start, new_end) = (mark.start, mark.end), mark.to
            beside = (min(start, new_start) - _BACK, max(end, new_end) + _BACK)
            seconds = [(beside[0], beside[0]), (new_start, start), (new_end, end), (beside[1], beside[1])]
            points += [(ENCODER_RATE * at, ENCODER_RATE * of) for at, of in seconds]
    rows = np.arange(count, dtype=float)
    if not points:
        return rows
    performed, sound = np.array(sorted([(0.0, 0.0), *points, (count - 1.0, count - 1.0)])).T
    return np.clip(np.interp(rows, performed, np.maximum.accumulate(sound)), 0, count - 1)


def held_points(logits: np.ndarray, mark: Mark) -> list[tuple[float, float]]:
    """A held word: the mouth stays in the middle of its longest vowel until shortly before the word's end."""
    rows = _rows(mark, len(logits))
    likeliest = logits[rows].argmax(1)
    vowel = np.isin(likeliest, VOWELS)
    if not vowel.any():
        return []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], vowel, [False]]).astype(int))).reshape(-1, 2)
    first, last = edges[np.argmax(np.diff(edges, axis=1))]
    middle = rows.start + (first + last - 1) / 2
    until = rows.stop - _CODA * ENCODER_RATE
    if until <= middle + 1:
        return []
    return [(rows.start, rows.start), (middle, middle), (until, middle + 1), (rows.stop, rows.stop)]


def _accented(phrasing: Phrasing, loudness: np.ndarray, marks: Sequence[Mark]) -> Phrasing:
    """A voice's phrasing with an accent on every stressed word, and none on words that are thrown away."""
    weights = dict(zip(phrasing.accents.tolist(), phrasing.weights.tolist()))
    for mark in marks:
        start = int(np.clip(round(mark.start * FPS), 0, phrasing.frames - 1))
        end = max(start + 1, min(phrasing.frames, round(mark.end * FPS)))
        inside = [frame for frame in weights if start <= frame < end]
        if mark.kind == THROWN_AWAY:
            for frame in inside:
                del weights[frame]
        elif mark.kind == STRESSED:
            loudest = max(inside, key=weights.__getitem__, default=start + int(loudness[start:end].argmax()))
            weights[loudest] = 1.0
    at = np.array(sorted(weights), int)
    return replace(phrasing, accents=at, weights=np.array([weights[frame] for frame in at.tolist()]))
