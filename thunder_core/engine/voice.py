# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice as a face speaks or listens to it: what the encoder hears, what its text says, and what
marks on its words ask for. Nothing is changed after sampling: the model performs this voice, and
the score compares takes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from ..direction import CLOSED, HELD, Mark, MOVED, OPEN, SOUND, STRESSED, THROWN_AWAY
from ..errors import BadRequest
from ..face.moving.mechanics import Sounds
from ..filters import widen
from ..spoken import BILABIALS, CLOSES, PHONES, SILENCE, VOWELS, Word
from ..timings import Times
from ..types import ENCODER_RATE, FPS
from .diffusion import Joined
from .planning.choice import Choice, Deck
from .planning.mouth_map import expect_lips, mouth_map
from .speech import transcript
from .speech.cues import (
    accent_curve,
    Arousal,
    carry_rounding,
    closure,
    confident_sounds,
    Phrasing,
    Prosody,
    prosody_of,
    runs,
    sample_phones,
    silent_phrasing,
)
from .speech.encoder import at_frames, LOUDNESS, softmax

_SHUT = tuple(PHONES[phone] for phone in BILABIALS)  # sounds on which lips meet
SPOKEN = 0.5  # presence (0 … 1) above which a sound counts as containing speech
_SILENT = 0.5  # probability of silence above which nobody speaks
_LOUD = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence
# Doubt above which phones are hard to recognise: of 40 validation voices 3 are so as they are, 14
# with noise 5 dB below, 36 with four other voices. `python -m research unclear --data DATA`
# measures it, and says what another encoder needs.
UNCLEAR = 1.4
# frames of speech beside a pause that count as quiet, and deviation of the edges' smoothing
_QUIET_REACH, _QUIET_EASE = 3, 1.2


@dataclass(frozen=True, eq=False)
class VoiceFeatures:
    """The encoder's features of a sound over T animation frames.

    hidden: [T, width], what the encoder hears.  phones: [T, 42], their probabilities and loudness.
    units: int64 [2T].  presence: [T] 0 … 1, whether somebody speaks.
    sounds: articulation of jaw, lips and tongue.
    accents: float64 [T] 0 … 1, stressed syllables.
    phrasing: accents and phrases of the voice that the face speaks or listens to.  logits: [2T,
    40], of the encoder's phones at 50 Hz.
    listens: the face listens instead of speaking.  arousal: how lively the voice is, over the whole
    sound.  voice_style: deviations of a style that this suggests, None for none.
    encoder_matches: whether the map of `planning.mouth_map` was fitted to these features.
    words: of the voice's text that were found.
    """

    hidden: np.ndarray
    phones: np.ndarray
    units: np.ndarray
    presence: np.ndarray
    sounds: Sounds
    accents: np.ndarray
    phrasing: Phrasing
    logits: np.ndarray
    listens: bool = False
    arousal: Arousal = Arousal()
    voice_style: np.ndarray | None = None
    encoder_matches: bool = False
    words: tuple[Word, ...] = ()

    @cached_property
    def frames(self) -> int:
        return len(self.presence)

    @cached_property
    def quiet(self) -> np.ndarray:
        """Where nobody speaks [T], 0 … 1, eased within a few frames of speech: also pauses too
        short for `presence` to fall."""
        nobody = 1 - self.presence.astype(float)
        for start, end in self.phrasing.silences:
            nobody[start:end] = 1.0
        return widen(nobody, _QUIET_REACH, _QUIET_EASE)

    @cached_property
    def speaking(self) -> np.ndarray:
        """Frames on which a phone sounds, bool [T]: short pauses in speech are none."""
        return self.phones[:, SILENCE] < _SILENT

    @cached_property
    def doubt(self) -> float:
        """How hard the phones of the speech are to recognise: the mean entropy of their
        probabilities, nats; 0 without speech."""
        loud = self.phones[:, -1] > _LOUD
        phones = np.maximum(self.phones[loud, :-LOUDNESS], 1e-6)
        phones = phones / phones.sum(-1, keepdims=True)
        return float(-(phones * np.log(phones)).sum(-1).mean()) if loud.any() else 0.0

    @cached_property
    def is_unclear(self) -> bool:
        """Whether the phones are so hard to recognise that takes may miss closures; False of less
        than a second of speech."""
        return bool((self.phones[:, -1] > _LOUD).sum() >= FPS and self.doubt > UNCLEAR)

    def part(self, start: int, end: int) -> VoiceFeatures:
        """Frames start … end of it."""
        if (start, end) == (0, self.frames):  # with all that was derived from it
            return self
        return VoiceFeatures(
            self.hidden[start:end],
            self.phones[start:end],
            self.units[2 * start : 2 * end],
            self.presence[start:end],
            Sounds(*(weights[start:end] for weights in vars(self.sounds).values())),
            self.accents[start:end],
            self.phrasing.part(start, end),
            self.logits[2 * start : 2 * end],
            self.listens,
            self.arousal,
            self.voice_style,
            self.encoder_matches,
            tuple(
                replace(word, start=word.start - start / FPS, end=word.end - start / FPS)
                for word in self.words
                if start / FPS <= word.start and word.end <= end / FPS
            ),
        )

    @cached_property
    def lips(self) -> np.ndarray:
        """Opening and width of the lips that the voice asks for, float32 [T, 2] (`expect_lips`)."""
        return expect_lips(self._curves, self.phones[:, :-LOUDNESS], self.presence)

    @property
    def features(self) -> np.ndarray:
        """Speech features a [T, d], joined: of an hour 200 MB."""
        return np.concatenate([self.hidden, self.phones], 1)

    @cached_property
    def mouth(self) -> np.ndarray:
        """What the map of mouths hears (`mouth_map.MouthMap.curves`), float32 [T, 6]: of the phones
        that the text, marks or a take have the voice say."""
        return self._curves.astype(np.float32)

    @cached_property
    def _curves(self) -> np.ndarray:
        """The same in double precision, as lips are compared with it."""
        # of a whole hour joined by parts, while many takes are made
        whole = Joined(self.hidden, self.phones) if self.encoder_matches else self.phones
        return mouth_map().curves(whole, self.presence > SPOKEN, self.encoder_matches)  # type: ignore[arg-type]

    @cached_property
    def ahead(self) -> Joined:
        """The features as a network performs them: rounding that is heard is heard in the
        consonants before it, too (`speech.cues.carry_rounding`)."""
        belief = softmax(self.logits)
        return Joined(self.hidden, self._with_belief(carry_rounding(belief) - belief))

    @cached_property
    def prosody(self) -> Prosody:
        """Accents, phrases and hesitations of the voice that the face speaks or listens to."""
        phones = self.logits.argmax(-1)
        return prosody_of(self.phrasing, self.phones[:, -LOUDNESS], phones, self.words)

    @cached_property
    def _deck(self) -> Deck:
        return Deck(self.prosody)

    def choice(self, seed: int, spread: float) -> Choice:
        """How the take of a seed reads the line; at a spread of 0 plainly."""
        return self._deck.choice(seed) if spread else self._deck.plain

    def phones_with(self, logits: np.ndarray) -> np.ndarray:
        """The phones [T, 42], if the encoder heard these logits [2T, 40] in the voice."""
        return self._with_belief(softmax(logits) - softmax(self.logits))

    def _with_belief(self, change: np.ndarray) -> np.ndarray:
        """The phones [T, 42] with a change of their probabilities [2T, 40]."""
        phones = self.phones.copy()
        if change.any():
            phones[:, :-LOUDNESS] += at_frames(change, self.frames)
        return phones

    def resample_phones(self, seed: int, again: np.ndarray | None = None) -> VoiceFeatures:
        """This voice with phones drawn anew by a seed where the encoder doubts (`speech.cues`).

        again: bool [T], frames in which unlikely phones are drawn more often; elsewhere all stays.
        """
        if not self.presence.any():
            return self
        logits = sample_phones(self.logits, seed, again is not None, bool(self.words))
        if again is not None:
            rows = again[np.minimum(np.arange(len(logits)) // 2, len(again) - 1)]
            logits = np.where(rows[:, None], logits, self.logits)
        return self.with_phones(logits)

    def with_phones(self, logits: np.ndarray) -> VoiceFeatures:
        """The same voice, if the encoder heard these phone logits [2T, 40] in it."""
        belief = softmax(logits)
        return replace(
            self, phones=self.phones_with(logits), logits=logits,
            sounds=replace(
                confident_sounds(belief, self.presence), closed=self.sounds.closed
            ),
        )  # fmt: skip

    def unspoken(self, silence: np.ndarray | None = None) -> VoiceFeatures:
        """These features for a face that does not speak: no articulation. silence: features of it
        [d − LOUDNESS], if the face listens."""
        nothing = np.zeros(self.frames)
        nobody = np.zeros_like(self.presence)
        hidden, phones, listens = self.hidden, self.phones, silence is not None
        if silence is not None:
            quiet = np.broadcast_to(silence, (self.frames, len(silence)))
            hidden, belief = np.split(quiet, [hidden.shape[1]], 1)
            phones = np.concatenate([belief, phones[:, -LOUDNESS:]], 1)
        return replace(
            self, hidden=hidden, phones=phones, presence=nobody,
            sounds=Sounds(*[nothing] * 6),
            accents=self.accents if listens else nothing,
            phrasing=self.phrasing if listens else silent_phrasing(self.frames), listens=listens,
        )  # fmt: skip


# ---- what a text and marks on words say

_MARKED = 1.01  # weight of its accent: above those that are heard, so that every take hits it
_SURE = 12.0  # logit by which the phone of a mark stands above all others: certain, for every take
_BACK = 0.3  # seconds beside a moved word in which lips come back to the voice's time
_CODA = 0.1  # seconds in which a held word's last sounds are said


def read_line(
    voice: VoiceFeatures,
    text: str,
    marks: Sequence[Mark] = (),
    language: str = "",
    times: Times | None = None,
) -> tuple[VoiceFeatures, bool]:
    """A voice as its text and the marks on its words have it, and whether it seems to say the text.
    times: of the text, as of `transcript.find_text`. Raises BadRequest for a mark with an unknown
    sound."""
    voice, says_text = follow_text(voice, text, language, times)
    return mark_voice(voice, marks), says_text


@lru_cache(maxsize=1)  # a line is sampled and scored many times, and an hour of text takes 21 s
def follow_text(
    voice: VoiceFeatures, text: str, language: str = "", times: Times | None = None
) -> tuple[VoiceFeatures, bool]:
    """A voice of which a text says what it says, and whether it seems to say it; unchanged if not,
    or if there is no text."""
    if not text.strip() or not voice.presence.any():
        return voice, True
    logits, words = transcript.follow(voice.logits, text, language, times)
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
    closed = np.zeros(len(logits), bool)
    for mark in marks:
        _mark_phones(logits, mark)
        shut = mark.kind == CLOSED or mark.sound in _SHUT
        closed[_rows(mark, len(logits))] |= shut
    phones, count = voice.phones_with(logits), len(logits)
    times = _sound_times(logits, marks, len(voice.units))
    rows, frames = times.round().astype(int), (times[::2] / 2).round().astype(int)
    kept = rows[:count].clip(0, count - 1)
    logits, closed = logits[kept], closed[kept]
    belief = softmax(logits)
    presence = voice.presence[frames]
    sounds = replace(
        confident_sounds(belief, presence),
        closed=closure(closed.repeat(2), len(presence), CLOSES, CLOSES),
    )
    accented = _mark_accents(voice.phrasing, voice.phones[:, -LOUDNESS], marks)
    return replace(
        voice, hidden=voice.hidden[frames], phones=phones[frames], units=voice.units[rows],
        presence=presence, logits=logits,
        sounds=sounds, phrasing=accented, accents=accent_curve(accented.accents, voice.frames),
        words=tuple(word for word in voice.words if not _thrown_away(word, marks)),
    )  # fmt: skip


def _rows(mark: Mark, count: int) -> slice:
    """The rows of phone logits that a mark's word has: at least one."""
    first, last = (round((at + transcript.LATE) * ENCODER_RATE) for at in (mark.start, mark.end))
    start = int(np.clip(first, 0, count - 1))
    return slice(start, max(start + 1, min(count, last)))


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
    vowel = np.isin(logits[rows].argmax(1), VOWELS)
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
