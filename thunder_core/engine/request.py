# SPDX-License-Identifier: GPL-3.0-or-later
"""One request for takes: portions of it are sampled, scored and described, beside each other on a
processor where memory allows."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any

import numpy as np

from ..animation.traits import deviations, deviations_quiet, Line, visible_deviations
from ..direction import Brief
from ..errors import Cancelled
from ..face.mapping import Sums, visible_motion
from ..grades import LipSyncScore
from ..progress import Progress
from ..system_calls import release_free_memory
from ..types import FPS, Motion, Take
from .another_voice import reading_of_mouth
from .diffusion import Inpainting
from .network import CPU
from .readings import requested_style, style_of_take
from .scorer import Measures, Scorer
from .systems.thunder import Performance, Thunder, VoiceFeatures

_MOST = 16  # takes denoised together; on a graphics card they cost little more than one
# frames denoised together on a processor: fewer is less efficient, more delays the first take
_PORTION_FRAMES = 1000
_FRAMES_AT_WORK = 100_000  # of takes that are worked on in parallel: two of an hour need 1.8 GB
# frames of a sound after whose steps freed memory is released, which takes milliseconds: an hour
# needs a fifth less
_LONG = 15_000
_ANALYSED = 0.08  # share of the work that is done before takes are sampled


def threads_for(frames: int, threads: int) -> int:
    """Number of `threads` that may work in parallel on takes of `frames` frames."""
    return max(1, min(threads, _FRAMES_AT_WORK // max(1, frames)))


def portions(seeds: list[int], frames: int, device: str, threads: int = 1) -> list[list[int]]:
    """Split seeds into portions that are sampled together, on a processor by one of `threads`
    threads."""
    first, most = 0, _MOST
    if device == CPU:  # the animator waits for the first take, so it is sampled alone
        first = 1
        each = -(-(len(seeds) - 1) // threads)
        most = max(1, min(most, _PORTION_FRAMES // max(1, frames), each))
    rest = [seeds[at : at + most] for at in range(first, len(seeds), most)]
    return [seeds[:first], *rest] if first else rest


def release_memory(frames: int) -> None:
    """Release memory after a step of work on a sound of so many frames, if it is a long one."""
    if frames > _LONG:
        release_free_memory()


@dataclass
class RunningRequest:
    """A request for takes at work; samples and scores portions of it on any thread.

    draw: (performances, progress=…) → a motion for each.  about: provenance shared by all takes.
    progress: of the whole request, one call at a time.  scored: whether takes get a score (somebody
    speaks).  threads: at most so many work in parallel.
    sums: of the face that plays the takes, as `Request`'s.  kept: the fixed part of
    the takes.
    """

    thunder: Thunder
    scorer: Scorer
    measures: Measures
    voice: VoiceFeatures
    seeds: list[int]
    asked: Brief
    readings: dict[int, np.ndarray]
    draw: Callable[..., list[Motion]]
    about: dict
    progress: Progress
    scored: bool
    threads: int
    sums: Sums | None = None
    kept: Inpainting | None = None
    _arrived: int = 0
    # first seed of a portion → number of its takes times their progress
    _done: dict[int, float] = field(default_factory=dict)
    _stopped: bool = False
    _reporting: threading.Lock = field(default_factory=threading.Lock)
    _requested: list[dict[str, float]] | None = None
    _requesting: threading.Lock = field(default_factory=threading.Lock)

    def run(
        self, on_take: Callable[[Take], object], on_sampled: Callable[[Take], object]
    ) -> list[Any]:
        """Sample all takes; returns them, best lip-sync first, each as `on_take` returns it
        (`Engine.generate`)."""
        frames = self.voice.frames
        threads = threads_for(frames, self.threads)
        together = portions(self.seeds, frames, self.thunder.device, threads)
        with closing(self._stages(together, threads)) as stages:
            return self._deliver(stages, on_take, on_sampled)

    def _stages(
        self, together: list[list[int]], threads: int
    ) -> Generator[tuple[bool, list[Take]]]:
        """What `_make_takes` yields of all portions; each is sampled before the next one, and at
        most `threads` wait for their scores."""
        if threads == 1:
            yield from chain.from_iterable(map(self._make_takes, together))
            return
        with ThreadPoolExecutor(threads, "takes") as pool:
            all_makes = (self._make_takes(seeds) for seeds in together)
            at_work = deque((pool.submit(next, one), one) for one in islice(all_makes, threads))
            try:
                while at_work:
                    future, makes = at_work.popleft()
                    is_scored, takes = future.result()
                    if not is_scored:
                        following = makes, *islice(all_makes, 1)
                        at_work += ((pool.submit(next, one), one) for one in following)
                    yield is_scored, takes
            finally:
                self._stopped = True

    def _deliver(
        self,
        stages: Iterable[tuple[bool, list[Take]]],
        on_take: Callable[[Take], object],
        on_sampled: Callable[[Take], object],
    ) -> list[Any]:
        ranked = []
        for is_scored, takes in stages:
            for take in takes:
                if not is_scored:
                    self._arrived += 1
                    on_sampled(take)
                    continue
                rank = (0.0 if take.score is None else -take.score.total, take.seed)
                ranked.append((rank, on_take(take) or take))
        return [kept for _, kept in sorted(ranked, key=lambda each: each[0])]

    def _make_takes(self, seeds: list[int]) -> Iterator[tuple[bool, list[Take]]]:
        """The takes of a portion, twice: as soon as they are sampled, and scored, which is said
        before."""
        performances = self._performances(seeds)
        motions = self._sample(performances)
        release_memory(self.voice.frames)
        takes = [self._describe(*each) for each in zip(performances, motions)]
        yield False, takes
        scores = self._scores(takes, performances)
        scored = [self._add_score(*each) for each in zip(takes, performances, scores)]
        release_memory(self.voice.frames)
        yield True, scored

    def _report(self, seeds: list[int], fraction: float, message: str) -> None:
        """Note how far the takes of some seeds are, 0 … 1. Raises Cancelled once nobody waits."""
        with self._reporting:
            if self._stopped:
                raise Cancelled("Cancelled, nothing was changed")
            self._done[seeds[0]] = len(seeds) * fraction
            share = sum(self._done.values()) / len(self.seeds)
            self.progress(_ANALYSED + (1 - _ANALYSED) * share, message)

    def sample_first(self) -> Performance:
        """Sample the first seed's take; returns how it is performed."""
        performances = self._performances(self.seeds[:1])
        self._sample(performances)
        return performances[0]

    def _sample(self, performances: list[Performance]) -> list[Motion]:
        """The motions of some takes, finished and not scored."""
        seeds = [each.seed for each in performances]
        of = f"{len(self.seeds)} take{'s' if len(self.seeds) > 1 else ''}"
        on = "" if self.thunder.device == CPU else " on the graphics card"

        def tell(fraction: float, _: str = "") -> None:
            message = f"{self._arrived} of {of} sampled" if self._arrived else f"Sampling {of}{on}"
            self._report(seeds, 0.9 * fraction, message)

        return self.draw(performances, progress=tell)

    def _performances(self, seeds: list[int]) -> list[Performance]:
        """How takes are performed."""
        asked, first, hear = self.asked, self.seeds[0], self.thunder.hear
        again, result = None, []
        if self.kept is not None:  # rows whose mouth is sampled again, for other readings
            again = np.repeat(~self.kept.mask[:, self.thunder.columns.jaw].all(1), 2)
        for seed in seeds:
            voice = hear(self.voice, asked.hearing_seed(seed, first))
            if again is not None:
                voice = hear(voice, seed, again)
            performance = Performance(
                seed,
                style_of_take(asked, self.readings[seed], seed, first, self.voice),
                asked.gestures_of(seed, first),
                voice,
                tuple(whose for whose, _ in asked.like),
                asked.is_variation(seed, first),
            )
            plan = self.thunder.plan(self.voice, performance, self.kept)
            result.append(replace(performance, plan=plan))
        return result

    def _scores(
        self, takes: list[Take], performances: list[Performance]
    ) -> list[LipSyncScore] | list[None]:
        """The scores of takes; None where nobody speaks."""
        if not self.scored:
            return [None] * len(takes)
        self._report([take.seed for take in takes], 0.95, "Ranking by lip-sync")
        visible = [self._made_and_visible(take.motion)[-1] for take in takes]
        sizes = [self.thunder.asked_size(self.voice, each) for each in performances]
        return self.scorer.score(visible, self.voice, sizes, self.asked.text)

    def _measure_requested(self) -> list[dict[str, float]]:
        """Measures (`animation.traits.measure`) of the motion that the model expects in the
        requested direction, and of what the face shows of it."""
        with self._requesting:  # threads that need it at the same time wait for the first
            if self._requested is None:
                motion = self.thunder.expect(
                    self.voice, requested_style(self.asked, self.voice.frames)
                )
                self._requested = [
                    self.measures.of_style(each, self.voice)
                    for each in self._made_and_visible(motion)
                ]
            return self._requested

    def _made_and_visible(self, motion: Motion) -> list[Motion]:
        """A motion and, if that is another, what the face shows of it."""
        names = self.thunder.channel_names
        return [motion] if self.sums is None else [motion, visible_motion(motion, names, self.sums)]

    def _describe(self, performance: Performance, motion: Motion) -> Take:
        """A take with its provenance, not scored."""
        seed = performance.seed
        about = self.about | {"seed": seed}
        about["spread"] = self.asked.spread
        about["as_asked"] = self.asked.is_as_asked(seed, self.seeds[0])
        about["reading"] = [round(float(x), 4) for x in self.readings[seed].mean(0)]
        if "moved" in about:  # brows, head and eyes, and so what they hit, are another take's
            about["reading"] = reading_of_mouth(about["reading"], self.asked.vectors.mean(0))
        elif self.scored and self.kept is None:
            choice = self.voice.choice(*performance.gestures)
            about["choice"] = choice.record(self.voice.prosody)
        return Take(motion, seed, None, *self.measures.opening_and_width(motion), about)

    def _add_score(self, take: Take, performance: Performance, score: LipSyncScore | None) -> Take:
        """A take with its score; the provenance of one that varies a direction has how much it
        shows of it."""
        about = dict(take.provenance)
        if score is not None:
            about |= {"score": score.total, **score.to_record()}
        if performance.is_variation:
            about["shown"] = visible_deviations(*self._deviations(take.motion))
        return replace(take, score=score, provenance=about)

    def _deviations(self, motion: Motion) -> list[dict[str, float]]:
        """How a motion, and what the face shows of it, differ from what was requested."""
        both = self._made_and_visible(motion)
        if not self.scored:
            role, seconds = self.about["role"], motion.frames / FPS
            return [deviations_quiet(self.measures.of_quiet(each), role, seconds) for each in both]
        line = Line.of(motion.frames / FPS, self.voice.phrasing.weights)
        return [
            deviations(self.measures.of_style(each, self.voice), wanted, line)
            for each, wanted in zip(both, self._measure_requested())
        ]
