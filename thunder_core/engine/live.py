# SPDX-License-Identifier: GPL-3.0-or-later
"""Performs a voice while it is spoken: every hop the last four seconds are heard again, and the
frames that lie further back than the look-ahead are performed, each once.

Lips do what the diffusion model expects (`Thunder.expect_events`), which takes as long as hearing a
third of a second; head, brows, lids and gaze are planned minutes ahead, as those of a take of
somebody who goes on speaking. Frame k is at k / 25 s of the sound.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import soxr

from ..manner import Manner, MOUTH, SMILE
from ..protocol import CURVES, LEVEL
from ..spoken import PHONES
from ..types import FPS, in_group, Motion, pack, RATE, SPEECH, Speech, unpack
from . import microphone
from .loaded import Thunder
from .performance import Performance
from .planning.choice import plain
from .planning.take_plan import plan_take, TakePlan
from .speech.cues import Prosody, silent_phrasing

WINDOW = 100  # frames that are heard again every hop: of two seconds lips are heard worse
HOP, MOST_HOP = 4, 16  # frames from one hop to the next, where the computer is quick, and slow
_STEP = int(RATE / FPS)  # samples of a frame
_CONTEXT = 12  # frames before those that are performed, which the steps after sampling see
# Speech that is kept for pauses, frames: a window of noise alone would be heard as loud as a voice.
_KEPT = 40
_PLANNED = 3000  # frames planned at once
# What is left after a frame of a difference between two hops, of lips and of the rest of the face.
_LIPS_KEEP, _FACE_KEEPS = 0.5, 0.85
_SPARE = 1.25  # times that a hop may take longer than the last ones
_TAIL = 1.0  # seconds of silence after a file
_BLOCK = int(RATE * microphone.BLOCK_MS / 1000)  # samples of a file that are played at once


class LiveFace:
    """A face that performs the sound that it is fed.

    heard: whole frames of sound that were fed.  done: frames performed.
    """

    def __init__(
        self, thunder: Thunder, style: np.ndarray, ahead: float, seed: int = 1, rate: int = RATE,
        manner: Manner | None = None, strength: float = 1.0,
    ):  # fmt: skip
        """style: [1, DIRECTION_NAMES].  ahead: seconds of sound that are heard beyond a frame.
        seed: of what head, brows, lids and gaze do.  rate: of the sound, Hz.  manner: of the
        character, with its strength: mouth and smile follow it, what needs the whole line does
        not."""
        self.thunder, self.ahead, self.seed = thunder, max(1, round(ahead * FPS)), seed
        self.take, self.rate = Performance(seed, np.asarray(style, np.float32)), rate
        if manner is not None:
            mouth = tuple(each for each in manner.used if each.what in (*MOUTH, SMILE))
            self.take = replace(
                self.take, manner=Manner(mouth, manner.lines), manner_strength=strength
            )
        self.heard = self.done = self._fed = 0
        self._frame = round(rate / FPS)  # samples
        self._sound = np.zeros(WINDOW * self._frame, np.float32)
        self._kept = np.zeros((0, _STEP), np.float32)
        self._speaking = np.zeros(WINDOW, bool)  # of the last frames that were performed
        self._sampled = self._shown = None  # type: np.ndarray | None
        self._planned: tuple[int, TakePlan] | None = None
        # columns that no lips move
        self._rest = np.append(~in_group(thunder.channel_names, SPEECH), [False] * 3 + [True] * 6)

    def prepare(self) -> None:
        """Load what performing needs, which takes longer than a hop."""
        assert self.take.style is not None
        other = LiveFace(self.thunder, self.take.style, 1 / FPS)
        other.feed(np.zeros(HOP * _STEP, np.float32))
        other.advance()

    def feed(self, samples: np.ndarray) -> None:
        """Hear more of the sound: float32 [n]."""
        self._fed += len(samples)
        self.heard = self._fed // self._frame
        self._sound = np.concatenate([self._sound, samples])[-(WINDOW + 1) * self._frame :]

    def advance(self) -> tuple[int, Motion, list[str]] | None:
        """The number of the first frame that can be performed now, the motion from it on, and the
        phone of each of its frames; None if there is none. Frames are left out where more than half
        a window was fed since the last."""
        end = self.heard
        first = max(self.done, end - WINDOW + _KEPT + _CONTEXT)
        count = end - self.ahead + 1 - first  # the last has just so many frames beyond it
        if count <= 0:
            return None
        until = len(self._sound) - self._fed % self._frame
        window = self._sound[until - WINDOW * self._frame : until]
        if self.rate != RATE:  # all of it again: what resamples piece by piece holds 40 ms back
            window = soxr.resample(window, self.rate, RATE, "MQ")
        window = window.reshape(WINDOW, _STEP)
        if self._speaking.sum() < len(self._kept):
            window = np.concatenate([self._kept, window[len(self._kept) :]])
        voice = self.thunder.analyse(window.ravel(), WINDOW, quickly=True)
        plan, start = self._plan(end)
        x = self.thunder.expect_events(voice, self.take, plan.events[start : start + WINDOW])
        at = first - end + WINDOW  # row of the first frame
        before = x[at - _CONTEXT : at] if self._sampled is None else self._sampled
        x[at:] += _fade(before[-1] - x[at - 1], _LIPS_KEEP, WINDOW - at)
        x = np.concatenate([before, x[at:]])
        part = slice(at - _CONTEXT, WINDOW)
        heard = voice.part(part.start, part.stop)
        shown = self.thunder.pipeline.finish(
            x, heard, self.take,
            plan.part(start + part.start, start + part.stop, 1 - heard.presence),
        )  # fmt: skip
        n = len(self.thunder.channel_names)
        if self._shown is not None:
            shown[_CONTEXT:] += _fade(
                (self._shown - shown[_CONTEXT - 1]) * self._rest, _FACE_KEEPS,
                len(shown) - _CONTEXT,
            )  # fmt: skip
            shown[:, :n] = shown[:, :n].clip(0, 1)
        self._sampled, self._shown = x[count : count + _CONTEXT], shown[count + _CONTEXT - 1]
        done = slice(at, at + count)
        self._speaking = np.append(self._speaking, voice.speaking[done])[-WINDOW:]
        # for pauses
        self._kept = np.concatenate([self._kept, window[done][voice.speaking[done]]])[-_KEPT:]
        self.done = first + count
        phones = [PHONES[each] for each in heard.logits.argmax(-1)[2 * _CONTEXT :: 2][:count]]
        return first, unpack(shown[_CONTEXT : _CONTEXT + count], n), phones

    def _plan(self, end: int) -> tuple[TakePlan, int]:
        """The plan for a window that ends before a frame, and its row of the window's first."""
        number, start = divmod(end, _PLANNED)
        if self._planned is None or self._planned[0] != number:
            frames = _PLANNED + WINDOW
            speaks, nothing = np.ones(frames, bool), np.zeros(0)
            voice = Prosody(
                frames, [(0.0, frames / FPS)], speaks, nothing, nothing, [], np.zeros(frames)
            )
            self._planned = number, plan_take(
                voice, silent_phrasing(frames), plain(voice, ()), self.seed + number, 0.5,
                self.take.style,
            )  # fmt: skip
        return self._planned[1], start


def _fade(jump: np.ndarray, keeps: float, frames: int) -> np.ndarray:
    """What is left of a difference [C] in frames behind it, [frames, C]."""
    return (keeps ** np.arange(1, frames + 1))[:, None].astype(np.float32) * jump


def follow(
    face: LiveFace, blocks: queue.SimpleQueue, give: Callable[[dict], object],
    clock: Callable[[], float] = time.perf_counter,
) -> None:  # fmt: skip
    """Have a face perform blocks of samples, int16, until None comes. give: gets events of frames,
    at the latest every hop; that lengthens where a hop takes longer. The last one has all that can
    be performed of the sound."""
    hop, usual, due, block = HOP, 0.0, 0, b""  # frames, seconds, frame, the last block
    while block is not None:
        if (block := blocks.get()) is not None:
            face.feed(np.frombuffer(block, np.int16).astype(np.float32) / 32768)
            if not blocks.empty() or face.heard < due:
                continue
        due, began = face.heard + hop, clock()
        made, made_at = face.advance(), clock()
        if made is not None:
            first, motion, phones = made
            give(
                {
                    "event": CURVES,
                    "first": first,
                    "hop": hop / FPS,
                    "made": made_at,
                    "phones": phones,
                    "values": np.round(pack(motion), 4).tolist(),
                }
            )
        usual = 0.8 * (usual or made_at - began) + 0.2 * (made_at - began)
        hop = int(np.clip(math.ceil(_SPARE * usual * FPS), HOP, MOST_HOP))


def play(speech: Speech, stop: Event, on_level: Callable, on_block: Callable) -> dict:
    """Have a sound heard at its own pace, and silence until its end is seen, as `microphone.record`
    has what is spoken. Returns of that only why it ended."""
    samples = np.pad(np.clip(speech.samples, -1, 1), (0, int(_TAIL * RATE)))
    began = time.perf_counter()
    for at in range(0, len(samples), _BLOCK):
        block = samples[at : at + _BLOCK]
        peak, seconds = float(np.abs(block).max()), (at + len(block)) / RATE
        if stop.wait(max(0.0, began + seconds - time.perf_counter())):
            break
        on_block((block * 32767).astype(np.int16).tobytes())
        on_level({"peak": peak, "seconds": seconds, "began": began})
    return {"ended": ""}


def perform(
    face: LiveFace, listen: Callable, give: Callable[[dict], object], stop: Event
) -> dict:  # fmt: skip
    """Perform what is heard until `stop` is set. Returns what the recording does.

    listen: `microphone.record` or `play`, but for `stop`, `on_level` and `on_block`.  give: gets
    the events of both. A face that fails ends it, and its error is raised; what was recorded stays.
    """
    blocks: queue.SimpleQueue = queue.SimpleQueue()
    with ThreadPoolExecutor(1, "face") as pool:
        following = pool.submit(follow, face, blocks, give)
        following.add_done_callback(lambda _: stop.set())
        try:
            return listen(stop, lambda level: give({"event": LEVEL, **level}), blocks.put)
        finally:
            blocks.put(None)
            following.result()
