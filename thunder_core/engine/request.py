# SPDX-License-Identifier: GPL-3.0-or-later
"""One request for takes: portions of it are sampled, scored and described, in parallel on a CPU
where memory allows, halved on a GPU that runs out of memory."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from ..animation.traits import deviations, deviations_quiet, Line, visible_deviations
from ..direction import Brief
from ..errors import Cancelled, is_out_of_device_memory
from ..face.mapping import Sums, visible_motion
from ..progress import Progress
from ..system_calls import release_free_memory
from ..types import FPS, LipSyncScore, Motion, Take
from .diffusion import WINDOW
from .network import CPU
from .readings import style_of_take
from .scorer import Expectation, Measures, Scorer
from .systems.thunder import Performance, VoiceFeatures

# frames denoised together: fewer is less efficient, more delays the first take
_PORTION_FRAMES = 1000
_FRAMES_AT_WORK = 100_000  # of takes that are worked on in parallel: two of an hour need 1.8 GB
# frames of a sound after whose steps freed memory is released, which takes milliseconds: an hour
# needs a fifth less
_LONG = 15_000


def threads_for(frames: int, threads: int) -> int:
    """Number of `threads` that may work in parallel on takes of `frames` frames."""
    return max(1, min(threads, _FRAMES_AT_WORK // max(1, frames)))


def portions(seeds: list[int], frames: int, device: str, threads: int = 1) -> list[list[int]]:
    """Split seeds into portions that are sampled together, as few as keep the device busy.

    On a CPU each of `threads` threads works on one portion at a time. On a GPU 16 takes cost little
    more than one, so a portion has up to 16.
    """
    # the animator waits for the first take, so it is sampled alone
    if device == CPU and threads > 1 and len(seeds) > threads:
        return [seeds[:1], *_split_evenly(seeds[1:], frames, device, threads)]
    return _split_evenly(seeds, frames, device, threads)


def _split_evenly(seeds: list[int], frames: int, device: str, threads: int) -> list[list[int]]:
    """Seeds in portions of nearly equal size, larger ones first, so that threads finish at about
    the same time."""
    most = 16
    if device == CPU:
        # Parallel portions, and those of long takes, keep all frames of their takes in memory.
        together = frames if threads > 1 or frames > _LONG else min(frames, WINDOW)
        most = min(16, max(1, round(_PORTION_FRAMES / together)), -(-len(seeds) // threads))
    count = -(-len(seeds) // most)
    bounds = [-(-len(seeds) * i // count) for i in range(count + 1)]
    return [seeds[a:b] for a, b in zip(bounds, bounds[1:])]


@dataclass(frozen=True)
class Requested:
    """What the model expects of a line in the requested direction.

    lips: as `Expectation`'s.  measures: as `animation.traits.measure`.  seen: the same of what the
    face shows of it.
    """

    lips: np.ndarray
    measures: dict[str, float]
    seen: dict[str, float]


@dataclass
class RunningRequest:
    """A request for takes at work; samples and scores portions of it on any thread.

    draw: (performances, progress) → a motion for each.  about: provenance shared by all takes.
    scored: whether takes get a score (somebody speaks).  follows: whether takes are sampled in
    directions that are known before.  threads: at most so many work in parallel.
    sums: of the face that plays the takes, as `Request`'s.  again: bool [2T], rows whose mouth is
    sampled again for other readings.
    arrived: number of finished takes.  requested: of `_expect_requested`, once it is known;
    requesting: held while it is worked out.
    performances: of takes at work, by seed; preparing: held while one is worked out.
    """

    scorer: Scorer
    measures: Measures
    voice: VoiceFeatures
    seeds: list[int]
    asked: Brief | None
    readings: dict[int, np.ndarray]
    draw: Callable[[list[Performance], Progress], list[Motion]]
    about: dict
    report: SharedProgress
    scored: bool
    follows: bool
    threads: int
    sums: Sums | None = None
    again: np.ndarray | None = None
    arrived: int = 0
    requested: Requested | None = None
    requesting: threading.Lock = field(default_factory=threading.Lock)
    performances: dict[int, Performance] = field(default_factory=dict)
    preparing: threading.Lock = field(default_factory=threading.Lock)

    def run(self, on_take: Callable[[Take], object]) -> list[Any]:
        """Sample all takes; returns them, best lip-sync first, each as `on_take` returns it
        (`Engine.generate`)."""
        result = []

        def deliver(takes: list[Take]) -> None:
            for take in takes:
                self.arrived += 1
                rank = (0.0 if take.score is None else -take.score.total, take.seed)
                result.append((rank, on_take(take) or take))

        device, beside = self.scorer.thunder.device, threads_for(self.voice.frames, self.threads)
        together = portions(self.seeds, self.voice.frames, device, beside)
        if beside > 1:
            side_by_side(
                [task for seeds in together for task in self._tasks(seeds)],
                beside,
                deliver,
                self.report.stop,
            )
        else:
            in_portions(together, self._make_takes, deliver, lambda: _give_memory_back(device))
        return [kept for _, kept in sorted(result, key=lambda each: each[0])]

    def _make_takes(self, seeds: list[int]) -> list[Take]:
        """Make a portion's takes, one step after the other."""
        motions = self.sample(seeds)
        release_memory(self.voice.frames)
        takes = self._finish(seeds, motions, self._expect(seeds))
        release_memory(self.voice.frames)
        _report_memory(self.scorer.thunder.device, seeds, self.voice.frames)
        return takes

    def _tasks(self, seeds: list[int]) -> list[Callable[[], list[Take]]]:
        """Two tasks for a portion, run in parallel: one computes the expectation, the other samples
        and then waits for it."""
        expectations: Future[list[Expectation] | None] = Future()

        def expect() -> list[Take]:
            try:
                expectations.set_result(self._expect(seeds))
            except BaseException as error:
                expectations.set_exception(error)
                raise
            release_memory(self.voice.frames)
            return []

        def sample() -> list[Take]:
            motions, expected = self.sample(seeds), expectations.result()
            takes = self._finish(seeds, motions, expected)
            release_memory(self.voice.frames)
            return takes

        return [expect, sample]

    def sample(self, seeds: list[int]) -> list[Motion]:
        """The motions of some seeds, finished and not scored."""
        of = f"{len(self.seeds)} take{'s' if len(self.seeds) > 1 else ''}"
        on = "" if self.scorer.thunder.device == CPU else " on the graphics card"

        def tell(fraction: float, _: str = "") -> None:
            self.report(
                seeds,
                0.9 * fraction,
                f"{self.arrived} of {of} sampled" if self.arrived else f"Sampling {of}{on}",
            )

        return self.draw(self._performances(seeds), tell)

    def _performances(self, seeds: list[int]) -> list[Performance]:
        """How takes are performed; kept until they are done."""
        if self.asked is None:
            return [Performance(seed) for seed in seeds]
        with self.preparing:  # the same takes are sampled and expected at the same time
            for seed in seeds:
                if seed not in self.performances:
                    self.performances[seed] = self._performance(seed, self.asked)
            return [self.performances[seed] for seed in seeds]

    def _performance(self, seed: int, asked: Brief) -> Performance:
        first, hear = self.seeds[0], self.scorer.thunder.hear
        voice = hear(self.voice, asked.hearing_seed(seed, first))
        if self.again is not None:
            voice = hear(voice, seed, self.again)
        style = style_of_take(asked, self.readings[seed], seed, first, self.voice.accents)
        around = tuple(whose for whose, _ in asked.like)
        return Performance(
            seed,
            style,
            asked.gestures_of(seed, first),
            voice,
            around,
            asked.is_variation(seed, first),
        )

    def _expect(self, seeds: list[int]) -> list[Expectation] | None:
        """The model's expectation for takes before they are sampled; None if their directions are
        not known yet."""
        if not (self.scored and self.follows):
            return None
        # With the stresses, breaths and sounds of each take, which would otherwise count as errors.
        return self.scorer.expect(
            self.voice,
            self._performances(seeds),
            lambda: self._expect_requested().lips,
            breathe=True,
        )

    def _expect_requested(self) -> Requested:
        """What the model expects in the requested direction."""
        with self.requesting:  # threads that need it at the same time wait for the first
            if self.requested is None:
                motion = self.scorer.requested_motion(self.voice, self.asked)
                measures = [
                    self.measures.of_style(each, self.voice)
                    for each in self._made_and_visible(motion)
                ]
                self.requested = Requested(self.scorer.lips(motion), measures[0], measures[-1])
            return self.requested

    def _visible(self, motion: Motion) -> Motion:
        """What the face shows of a motion."""
        return (
            motion
            if self.sums is None
            else visible_motion(motion, self.scorer.head.expression_names, self.sums)
        )

    def _made_and_visible(self, motion: Motion) -> list[Motion]:
        """A motion and, if that is another, what the face shows of it."""
        return [motion] if self.sums is None else [motion, self._visible(motion)]

    def _finish(
        self, seeds: list[int], motions: list[Motion], expectations: list[Expectation] | None
    ) -> list[Take]:
        """Takes with their scores and descriptions."""
        scores: list[LipSyncScore | None] = [None] * len(motions)
        if self.scored:
            seen = [self._visible(motion) for motion in motions]
            scores = [
                *self.scorer.score(
                    seen,
                    self.voice,
                    expectations,
                    self.asked,
                    lambda *how_far: self.report(seeds, *how_far),
                )
            ]
        takes = []
        for motion, seed, score in zip(motions, seeds, scores):
            opening, width, more = self._describe(seed, motion)
            about = self.about | {"seed": seed} | ({} if score is None else {"score": score.total})
            if self.asked is not None:
                played_so = self.asked.is_as_asked(seed, self.seeds[0])
                about |= {
                    "spread": self.asked.spread,
                    "as_asked": played_so,
                    "reading": _mean_style(self.readings[seed]),
                }
            takes.append(Take(motion, seed, score, opening, width, about | more))
            self.performances.pop(seed, None)
        return takes

    def _describe(self, seed: int, motion: Motion) -> tuple[np.ndarray, np.ndarray, dict]:
        """(opening [T], width [T], provenance) of a take's motion: of one that varies a direction,
        how much it shows."""
        more = {}
        varies = self.follows and self.performances[seed].is_variation
        if varies and not self.scored:
            both = (
                deviations_quiet(
                    self.measures.of_quiet(each), self.about["role"], each.frames / FPS
                )
                for each in self._made_and_visible(motion)
            )
            more["shown"] = visible_deviations(*both)
        elif varies:
            line = Line.of(motion.frames / FPS, self.voice.phrasing.weights)
            requested = self._expect_requested()
            pairs = zip(self._made_and_visible(motion), (requested.measures, requested.seen))
            more["shown"] = visible_deviations(
                *(
                    deviations(self.measures.of_style(each, self.voice), asked, line)
                    for each, asked in pairs
                )
            )
        return *self.measures.opening_and_width(motion), more


def _mean_style(styles: np.ndarray) -> list[float]:
    """The mean of a reading over its line, for a take's provenance."""
    return [round(float(x), 4) for x in styles.mean(0)]


def memory_of_portion(takes: int, frames: int, most: float) -> str:
    """A sentence on the memory, MB, that takes of `frames` frames needed at most together, weights
    included."""
    return (
        f"{takes} take{'s' if takes > 1 else ''} of {frames / FPS:.0f} s: at most {most:.0f} "
        f"MB, {most / takes:.0f} MB each"
    )


def _give_memory_back(device: str) -> None:
    """Let the device have the memory that torch keeps for later."""
    gc.collect()
    if device.startswith("cuda"):
        _torch().cuda.empty_cache()


def _torch() -> ModuleType:
    """torch, which computes on cards; without one it is not loaded."""
    return importlib.import_module("torch")


def _report_memory(device: str, seeds: list[int], frames: int) -> None:
    """Write to the log how much of a card's memory a portion of takes needed at most, and forget
    it."""
    if device.startswith("cuda"):
        torch = _torch()
        most = torch.cuda.max_memory_allocated(device) / 1e6
        print(memory_of_portion(len(seeds), frames, most), file=sys.stderr)
        torch.cuda.reset_peak_memory_stats(device)


def release_memory(frames: int) -> None:
    """Release memory after a step of work on a sound of so many frames, if it is a long one."""
    if frames > _LONG:
        release_free_memory()


# ---- portions side by side

T = TypeVar("T")
# after which Python's lock is handed on: at the usual 5 ms one thread's numpy holds up the other's
# network
_SWITCH_SECONDS = 1e-4


class SharedProgress:
    """Progress of a request whose takes are sampled in parallel, from any thread."""

    def __init__(self, takes: int, report: Progress):
        """report: gets the progress of all takes, one call at a time."""
        self._takes, self._report = takes, report
        # first seed of a portion → number of its takes times their progress
        self._done: dict[int, float] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def __call__(self, seeds: Sequence[int], fraction: float, message: str) -> None:
        """Note how far the takes of some seeds are, 0 … 1. Raises Cancelled after `stop`."""
        with self._lock:
            if self._stopped:
                raise Cancelled("Cancelled, nothing was changed")
            self._done[seeds[0]] = len(seeds) * fraction
            self._report(sum(self._done.values()) / self._takes, message)

    def stop(self) -> None:
        """Make further reports raise, because nobody waits for the result any more."""
        self._stopped = True


def side_by_side(
    tasks: Sequence[Callable[[], T]],
    threads: int,
    deliver: Callable[[T], None],
    stop: Callable[[], None],
) -> None:
    """Run tasks on `threads` threads and `deliver` their results in the order of `tasks`.

    If a task or `deliver` raises, `stop` is called, tasks not started are dropped and running ones
    are awaited.
    """
    with _quick_switching():
        begun = [_threads(threads).submit(task) for task in tasks]
        waiting = deque(begun)
        try:
            while waiting:
                deliver(waiting.popleft().result())
        finally:
            if waiting:
                stop()
            for task in reversed(waiting):  # backwards: a later task may wait for an earlier one
                task.cancel()
            wait(begun)


@lru_cache(maxsize=None)
def _threads(count: int) -> ThreadPoolExecutor:
    """Threads that wait for the next request, since to start them takes milliseconds."""
    return ThreadPoolExecutor(count, "takes")


@contextlib.contextmanager
def _quick_switching() -> Iterator[None]:
    """Within it Python switches between threads quickly."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def in_portions(
    portions: list[list[int]], work: Callable[[list[int]], T], deliver: Callable[[T], None],
    give_back: Callable[[], None]
) -> None:  # fmt: skip
    """`deliver` the result of `work` for the seeds of each portion, in order.

    When GPU memory runs out, `give_back` is called and the remaining portions are halved, down to
    one take. Raises RuntimeError when a single take does not fit, and whatever else `work` raises.
    """
    waiting = deque(portions)
    while waiting:
        seeds = waiting.popleft()
        try:
            result = work(seeds)
        except RuntimeError as error:
            if len(seeds) == 1 or not is_out_of_device_memory(error):
                raise
        else:
            deliver(result)
            continue
        give_back()  # here the error, and the memory that it referenced, are released
        most = len(seeds) // 2
        waiting = deque(
            each[at : at + most] for each in (seeds, *waiting) for at in range(0, len(each), most)
        )
