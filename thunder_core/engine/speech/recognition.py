# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a voice: a recogniser in a process of its own (`engine/recogniser.py`) reads the
spans in which the encoder hears speech, and what the encoder does not hear there is left out."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...client import Client, temporary_arrays
from ...errors import NoEngine, OutOfMemory, WorkerDied
from ...progress import no_progress, Progress, share
from ...spoken import share_out, SILENCE, split, VOWELS, Word
from ...types import FPS
from ..network import processors
from .cues import runs
from .transcript import letters, likelihood, RATE, Sound

Spans = list[tuple[float, float]]  # seconds
LONGEST = 28.0  # seconds of a span; Whisper reads 30
_JOINED = 2.0  # seconds of silence that a span may hold: each span takes as long as 30 s
_AROUND = 0.3  # seconds of a span before and after its speech
_BLUR = 5  # rows over which the pause is looked for at which longer speech is cut
_ADVICE = {
    NoEngine: "install what recognizes words again in the preferences",
    OutOfMemory: "close other programs, or choose a smaller model",
    WorkerDied: "try again, close other programs, or choose a smaller model",
}
_LOOK = 0.05  # seconds between two looks at the process
# What is recognised repeats itself above this ratio of its length to its compressed one, as
# faster-whisper has it.
_REPEATS = 2.4
# Characters at once, and share of them in other segments of a span, from which one repeats these
_GRAM, _SAID_BEFORE = 4, 0.6
# Characters that are a syllable each: letters do not tell how they sound. How many a vowel that is
# heard may have: Mandarin has .6 to 1.1.
_SYLLABLE, _FOR_A_VOWEL = re.compile("[\u3400-\u9fff\uac00-\ud7af]"), (0.4, 2.0)
# Mean log probability of the encoder's phones for a segment's text (`likelihood`) below which the
# voice does not say it, and that of its sum with the model's own: sentences on other speech have
# -.9 and -.65 in the median, of lines of the same length, and true ones more than -.4 (LibriSpeech)
_UNHEARD, _DOUBTFUL = -0.8, -1.3
_SEGMENT_SLACK = 0.1  # seconds by which a segment may begin earlier or end later
# seconds of a word at most: that after words which the model did not write is given their time too
_WORD = 1.0
# seconds of speech without words that are listened to again, by themselves: speech in another
# language than that around it. Words end about so many seconds later than the model says.
_LEAST_WORDLESS, _WORD_SLACK = 1.5, 0.1
# how much is done once it was listened to for the first, second and third time
_LOOKS = (0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Recogniser:
    """What recognises words: a Python that has faster-whisper, the folder of a model, and the code
    of the language ("" for the one that is spoken)."""

    python: str
    model: str
    language: str = ""


@dataclass(frozen=True)
class RecognisedWords:
    """The words of a voice. text: all of them.  words: with their times.  languages: codes, the
    most used first.  left_out: what the model invented, as the encoder hears it, one entry for each
    segment.  wordless: spans (s) of speech without words.  sounds, matches: as of
    `Engine.spoken`."""

    text: str
    words: tuple[Word, ...]
    languages: tuple[str, ...]
    left_out: tuple[Word, ...]
    wordless: tuple[tuple[float, float], ...] = ()
    sounds: tuple[Sound, ...] = ()
    matches: bool = False


def recognise(
    samples: np.ndarray, phrases: np.ndarray, belief: np.ndarray, by: Recogniser,
    process: "RecogniserProcess", progress: Progress = no_progress,
) -> RecognisedWords:  # fmt: skip
    """Recognise the words of a sound, float32 [n] at 16 kHz, with the times that the model gives.

    phrases: [n, 2], first frame and frame behind each stretch of speech, at 25 fps.  belief: phone
    probabilities [N, 40] at 50 Hz. `progress` may raise to stop. Raises ThunderError.
    """
    languages, kept, made_up = Counter[str](), list[dict](), list[dict]()

    def add(parts: Spans, progress: Progress) -> None:
        for answer in process.ask(samples, parts, by, progress):
            languages[answer["language"]] += 1
            said = [segment for segment in answer["segments"] if segment["text"]]
            # where the model invents, it does so again
            before = [each["text"] for each in made_up if each["language"] == answer["language"]]
            for number, segment in enumerate(said):
                segment["language"] = answer["language"]
                segment["words"] = [
                    (text, max(start, end - _WORD), end) for text, start, end in segment["words"]
                ]
                others = [each["text"] for each in said[:number] + said[number + 1 :]]
                others += [text for text in before if repeats(text, [segment["text"]])]
                is_said = is_heard(segment, belief) and not repeats(segment["text"], others)
                (kept if is_said else made_up).append(segment)

    if parts := spans(phrases, belief):
        add(parts, share(progress, 0.0, _LOOKS[0]))
    invented, looked = tuple(made_up), Spans()
    for begin, end in pairwise(_LOOKS):
        wordless = find_wordless(phrases, belief, kept)
        if not wordless or wordless == looked:
            break
        add(wordless, share(progress, begin, end))
        looked = wordless
    # what was said in another language has its words now
    left_out = [
        Word(each["text"], each["start"], each["end"], 0.0)
        for each in invented
        if not any(
            each["start"] < (start + end) / 2 < each["end"]
            for segment in kept
            for _, start, end in segment["words"]
        )
    ]
    kept.sort(key=lambda each: min((word[1] for word in each["words"]), default=each["start"]))
    return RecognisedWords(
        " ".join(each["text"] for each in kept),
        tuple(
            word
            for each in kept
            for text, *times in each["words"]
            for word in share_out(split(text), *times)
        ),
        tuple(name for name, _ in languages.most_common()),
        tuple(left_out),
        tuple(find_wordless(phrases, belief, kept)),
    )


def find_wordless(phrases: np.ndarray, belief: np.ndarray, segments: Sequence[dict]) -> Spans:
    """Stretches with speech that no word of the segments says."""
    free, talks = np.ones(len(belief), bool), np.zeros(len(belief), bool)
    for segment in segments:
        for _, start, end in segment["words"]:
            first, behind = (round(at * RATE) for at in (start - _WORD_SLACK, end + _WORD_SLACK))
            free[max(0, first) : behind] = False
    for first, behind in phrases:
        talks[round(first / FPS * RATE) : round(behind / FPS * RATE)] = True
    talks &= belief[:, SILENCE] < 0.5
    found: Spans = []
    for start, end in runs(free):
        said = start + np.flatnonzero(talks[start:end])
        if len(said) >= _LEAST_WORDLESS * RATE:
            inside = np.array([[said[0], said[-1] + 1]]) * FPS / RATE
            found += spans(inside, belief, 0.0)
    return found


def spans(phrases: np.ndarray, belief: np.ndarray, around: float = _AROUND) -> Spans:
    """Stretches of speech (start, end), seconds, joined and cut so that each is as long as the
    recogniser reads at once; with so many seconds before and after them."""
    result: list[list[float]] = []
    silence = np.convolve(belief[:, SILENCE], np.full(_BLUR, 1 / _BLUR), "same")
    for first, behind in phrases:
        start, end = (
            max(0.0, first / FPS - around),
            min(behind / FPS + around, len(belief) / RATE),
        )
        if result and start - result[-1][1] < _JOINED and end - result[-1][0] <= LONGEST:
            result[-1][1] = end
            continue
        while end - start > LONGEST:
            low, high = (round((start + share * LONGEST) * RATE) for share in (0.6, 1.0))
            cut = (low + int(silence[low:high].argmax())) / RATE
            result.append([start, cut])
            start = cut
        result.append([start, end])
    return [(start, end) for start, end in result]


def is_heard(segment: dict, belief: np.ndarray) -> bool:
    """Whether the encoder hears what a segment says: its letters, where it is said. What the model
    repeats or guesses is not."""
    if segment["compression"] > _REPEATS:
        return False
    first, behind = (
        max(0, round(seconds * RATE))
        for seconds in (segment["start"] - _SEGMENT_SLACK, segment["end"] + _SEGMENT_SLACK)
    )
    if syllables := len(_SYLLABLE.findall(segment["text"])):
        vowels = len(runs(belief[first:behind, VOWELS].sum(1) > 0.5))
        if not _FOR_A_VOWEL[0] * vowels <= syllables <= _FOR_A_VOWEL[1] * vowels:
            return False
    likely = likelihood(belief[first:behind], segment["text"])
    return likely > _UNHEARD and likely + segment["log_prob"] > _DOUBTFUL


def repeats(text: str, others: Sequence[str]) -> bool:
    """Whether a segment says again what others of its span say: a model that hears nothing does."""

    def grams(text: str) -> list[str]:
        text = "".join(filter(str.isalnum, text.lower()))
        return [text[i : i + _GRAM] for i in range(max(1, len(text) - _GRAM + 1))]

    said, before = grams(text), {gram for other in others for gram in grams(other)}
    return sum(gram in before for gram in said) > _SAID_BEFORE * len(said)


def place(found: list[Word], recognised: tuple[Word, ...]) -> list[Word]:
    """The words of a recognised text as they were aligned, but at the model's times where their
    letters do not tell how they sound, or have no place."""
    if len(found) != len(recognised):
        return found
    return [
        word
        if word.end > word.start
        and any(letter.phones for letter in letters(word.text) if letter.number >= 0)
        else replace(word, start=theirs.start, end=theirs.end)
        for word, theirs in zip(found, recognised)
    ]


class RecogniserProcess:
    """The process that recognises words, kept for the next voice."""

    def __init__(self):
        self.client = Client()

    def ask(self, samples: np.ndarray, parts: Spans, by: Recogniser, progress: Progress) -> list:
        """The process's answers, one for each span. Raises ThunderError."""
        if self.client.python != by.python:
            self.client.stop()
            self.client = Client(by.python, verbs="recogniser")
        try:
            with temporary_arrays(self.client) as put:
                pending = self.client.request(
                    "recognise", sound=put(samples), spans=parts, model=by.model,
                    language=by.language, threads=processors(),
                )  # fmt: skip
                while not pending.done:
                    pending.poll()
                    progress(pending.fraction, "Recognizing words")
                    time.sleep(_LOOK)
                return pending.wait()["spans"]
        except (NoEngine, OutOfMemory, WorkerDied) as error:
            reason = error.reason.replace("The engine", "What recognizes words", 1)
            reason = reason.replace("run the engine", "recognize words", 1)
            raise type(error)(f"{reason}: {_ADVICE[type(error)]}") from error
        except BaseException:
            self.client.stop()  # a span may take seconds
            raise
