# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a voice: a recogniser in a process of its own (`engine/recogniser.py`) reads the
spans in which the encoder hears speech, and what the encoder does not hear there is left out."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...errors import KINDS, NoEngine, OutOfMemory, ThunderError, WorkerDied
from ...progress import no_progress, Progress
from ...spoken import Word
from ...types import FPS
from ...worker_process import environment, KILLED, LineProcess
from ..network import processors
from .encoder import SILENCE
from .transcript import letters, likelihood, RATE, Sound, split

Spans = list[tuple[float, float]]  # seconds
LONGEST = 28.0  # seconds of a span; Whisper reads 30
_JOINED = 2.0  # seconds of silence that a span may hold: each span takes as long as 30 s
_AROUND = 0.3  # seconds of a span before and after its speech
_BLUR = 5  # rows over which the pause is looked for at which longer speech is cut
_PATIENCE = 0.5  # seconds that the process has to stop
# What is recognised repeats itself above this ratio of its length to its compressed one, as
# faster-whisper has it.
_REPEATS = 2.4
# Mean log probability of the encoder's phones for a segment's text (`likelihood`) below which the
# voice does not say it, and that of its sum with the model's own: sentences on other speech have
# -.9 and -.65 in the median, of lines of the same length, and true ones more than -.4 (LibriSpeech)
_UNHEARD, _DOUBTFUL = -0.8, -1.3
_NEAR = 0.1  # seconds by which a segment may begin earlier or end later


@dataclass(frozen=True)
class Recogniser:
    """What recognises words: a Python that has faster-whisper, the folder of a model, and the code
    of the language ("" for the one that is spoken)."""

    python: str
    model: str
    language: str = ""


@dataclass(frozen=True)
class Recognised:
    """The words of a voice. text: all of them.  words: with their times.  languages: codes, the most
    used first.  left_out: what the model invented, as the encoder hears it, one entry for each
    segment.  sounds, matches: as of `Engine.spoken`."""

    text: str
    words: tuple[Word, ...]
    languages: tuple[str, ...]
    left_out: tuple[Word, ...]
    sounds: tuple[Sound, ...] = ()
    matches: bool = False


def recognise(
    samples: np.ndarray, phrases: np.ndarray, belief: np.ndarray, by: Recogniser,
    process: "RecogniserProcess", progress: Progress = no_progress,
) -> Recognised:  # fmt: skip
    """Recognise the words of a sound, float32 [n] at 16 kHz, with the times that the model gives.

    phrases: [n, 2], first frame and frame behind each stretch of speech, at 25 fps.  belief: phone
    probabilities [N, 40] at 50 Hz. `progress` may raise to stop. Raises ThunderError.
    """
    parts = spans(phrases, belief)
    answers = process.ask(samples, parts, by, progress) if parts else iter(())
    kept: list[dict] = []
    left_out: list[Word] = []
    seconds: dict[str, float] = {}
    for answer, (start, end) in zip(answers, parts):
        seconds[answer["language"]] = seconds.get(answer["language"], 0.0) + end - start
        for segment in answer["segments"]:
            if segment["text"] and is_heard(segment, belief):
                kept.append(segment)
            elif segment["text"]:
                left_out.append(Word(segment["text"], segment["start"], segment["end"], 0.0))
    return Recognised(
        " ".join(each["text"] for each in kept),
        tuple(word for each in kept for given in each["words"] for word in _apart(*given)),
        tuple(sorted(seconds, key=lambda name: -seconds[name])),
        tuple(left_out),
    )


def spans(phrases: np.ndarray, belief: np.ndarray) -> Spans:
    """Stretches of speech (start, end), seconds, joined and cut so that each is as long as the
    recogniser reads at once."""
    result: list[list[float]] = []
    silence = np.convolve(belief[:, SILENCE], np.full(_BLUR, 1 / _BLUR), "same")
    for first, behind in phrases:
        start, end = (
            max(0.0, first / FPS - _AROUND),
            min(behind / FPS + _AROUND, len(belief) / RATE),
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
        for seconds in (segment["start"] - _NEAR, segment["end"] + _NEAR)
    )
    heard = likelihood(belief[first:behind], segment["text"])
    return heard > _UNHEARD and heard + segment["log_prob"] > _DOUBTFUL


def _apart(text: str, start: float, end: float) -> Iterator[Word]:
    """What the model calls a word as the words that `split` makes of it, of equal length."""
    names = split(text)
    step = (end - start) / max(1, len(names))
    for number, name in enumerate(names):
        yield Word(name, start + number * step, start + (number + 1) * step, 1.0)


def place(found: list[Word], heard: tuple[Word, ...]) -> list[Word]:
    """The words of a recognised text as they were aligned, but at the model's times where their
    letters do not tell how they sound, or have no place."""
    if len(found) != len(heard):
        return found
    return [
        word
        if word.end > word.start
        and any(letter.phones for letter in letters(word.text) if letter.word)
        else replace(word, start=theirs.start, end=theirs.end)
        for word, theirs in zip(found, heard)
    ]


class RecogniserProcess:
    """The process that recognises words, kept for the next voice as long as it runs."""

    def __init__(self):
        self._process: LineProcess | None = None
        self._python = ""

    def ask(
        self, samples: np.ndarray, parts: Spans, by: Recogniser, progress: Progress
    ) -> Iterator[dict]:
        """The process's answers, one for each span. Raises ThunderError, and then ends it."""
        total, done, left = sum(end - start for start, end in parts), 0.0, iter(parts)
        try:
            with tempfile.TemporaryDirectory(prefix="thunder_words_") as folder:
                sound = os.path.join(folder, "sound.npy")
                np.save(sound, np.asarray(samples, np.float32), allow_pickle=False)
                process = self._start(by.python)
                process.send(
                    {"model": by.model, "sound": sound, "spans": parts, "language": by.language,
                     "threads": processors()}
                )  # fmt: skip
                while (event := process.next()) is not None and event["event"] != "done":
                    progress(done / total, "Recognizing words")
                    if event["event"] == "error":
                        raise KINDS.get(event["kind"], ThunderError)(event["message"])
                    if event["event"] == "span":
                        start, end = next(left)
                        done += end - start
                        yield event
                if event is None:
                    raise _why_ended(process, by)
        except BaseException:
            self.close()
            raise

    def _start(self, python: str) -> LineProcess:
        """The process that runs in a Python, started where there is none."""
        is_running = self._process is not None and self._process.popen.poll() is None
        if not is_running or self._python != python:
            self.close()
            command = [python, "-m", __package__.rpartition(".")[0] + ".recogniser"]
            self._process, self._python = LineProcess(command, environment(""), _PATIENCE), python
        return self._process

    def close(self) -> None:
        """End it; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.close()


def _why_ended(process: LineProcess, by: Recogniser) -> ThunderError:
    """The error for a process that ended before its last answer."""
    if process.popen.poll() == KILLED:
        return OutOfMemory(
            "The recogniser was ended (signal 9), which happens when memory runs out: close other "
            "programs, or choose a smaller model"
        )
    if "No module named" in process.last_line:
        return NoEngine(
            f"The Python at “{by.python}” cannot recognise words ({process.last_line}): install "
            f"Words again in the preferences"
        )
    return WorkerDied(
        f"The recogniser ended while it was working ({process.last_line}): try again", process.log
    )
