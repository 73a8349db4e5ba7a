# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the takes of a request: a voice is heard, and takes of it are planned, sampled, finished,
scored and handed over; portions of them beside each other on a processor where memory allows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np

from ..animation.traits import seen
from ..direction import DirectionRequest, Mark, over_frames, STRESSED
from ..errors import BadRequest, Cancelled
from ..face.moving.driving import visible_motion
from ..findings import LipSyncScore
from ..progress import Progress, share
from ..protocol import KANJI, OTHER_SCRIPT, OTHER_TEXT, UNCLEAR, UNSPOKEN
from ..request import ENGINE, OFF_EXPECTED, Request, SourcePerformance
from ..types import FPS, GAZE, IDLE, Keep, LISTENS, Motion, pack, Role, SampledTake, SPEAKS, Speech
from .another_voice import align_words, move, style_of_mouth
from .diffusion import Inpainting
from .loaded import Loaded, release_memory
from .network import CPU, LazyNetwork, processors
from .performance import follow_voice, perform_planned, Performance
from .speech.transcript import is_followed, unread
from .voice import mark_voice, read_line, SPOKEN, VoiceFeatures

_SAME_LENGTH = 0.3  # seconds by which a performance and its sound may differ
_MOST = 16  # takes denoised together; on a graphics card they cost little more than one
# frames denoised together on a processor: fewer is less efficient, more delays the first take
_PORTION_FRAMES = 1000
_FRAMES_AT_WORK = 100_000  # memory bound, frames in flight: two takes of an hour need 1.8 GB
_ANALYSED = 0.08  # share of the work that is done before takes are sampled


def ignore(*what: object, **more: object) -> None:
    """A callback for takes, for notes on a sound, or for progress, that does nothing."""


@dataclass(frozen=True)
class HeardLine:
    """What all takes of a request share.

    voice: that the face speaks or listens to, as text and marks have it.  role: of the face.
    direction: moved by the voice, where it is to follow it.  kept: the fixed part.  about:
    provenance.
    """

    request: Request
    voice: VoiceFeatures
    role: Role
    direction: DirectionRequest
    kept: Inpainting | None
    about: dict


def hear(
    engine: Loaded, speech: Speech, request: Request, progress: Progress,
    on_note: Callable[[str], object],
) -> HeardLine:  # fmt: skip
    """Analyse a sound and its request: what all takes share. Arguments as of `Engine.generate`."""
    # Undirected takes would come from another model (`Thunder.select_sampler`) than those that
    # the panel shows.
    direction, keep, moved = request.direction or DirectionRequest(), request.keep, dict[str, Any]()
    LazyNetwork.begin(engine.thunder.usual)
    analysing = share(progress, 0.02, _ANALYSED, "Analyzing the voice")
    sound = speech.fingerprint
    voice, role = engine.analyse(speech, sound, analysing), SPEAKS
    if request.listening:
        voice, role = voice.unspoken(engine.thunder.silence), LISTENS
    elif float(voice.presence.max()) < SPOKEN:
        voice, role = voice.unspoken(), IDLE
    marks = direction.marks
    voice, says_text = read_line(voice, direction.text, marks, direction.language, direction.times)
    if request.perform_as is not None:
        keep, direction, voice, moved = _moved(engine, request.perform_as, direction, voice)
    direction = follow_voice(direction, voice.voice_style, voice.frames)
    kept = None if keep is None else _kept(engine, keep, voice.frames)
    about_voice = _about_voice(speech, voice, role, direction, marks)
    for note in _notes(role, direction, says_text, "unclear" in about_voice):
        on_note(note)
    about = {
        "engine": ENGINE, "weights": engine.identity.fingerprint,
        "weights_origin": engine.identity.origin, "audio": sound,
        **request.settings, **moved, **({} if role == SPEAKS else {"role": role}),
        **about_voice,
    }  # fmt: skip
    return HeardLine(request, voice, role, direction, kept, about)


def _notes(
    role: Role, direction: DirectionRequest, says_text: bool, is_unclear: bool
) -> Iterator[str]:
    """What is to be said of a voice before takes of it are sampled."""
    written, has_text = (direction.text, direction.language), role == SPEAKS and direction.text
    other_script = has_text and not is_followed(*written)
    has_kanji = has_text and unread(*written) == KANJI
    if not says_text and not has_kanji:
        yield OTHER_TEXT
    if role == IDLE:
        yield UNSPOKEN
    if other_script:
        yield OTHER_SCRIPT
    if has_kanji:
        yield KANJI
    if is_unclear and not (other_script or has_kanji):
        yield UNCLEAR  # it asks for the text


def _about_voice(
    speech: Speech, voice: VoiceFeatures, role: Role, direction: DirectionRequest,
    marks: Sequence[Mark],
) -> dict:  # fmt: skip
    """What the provenance of takes says of their voice, marks and text."""
    some: dict[str, Any] = {"channel": speech.channel}
    if role == SPEAKS:
        some = {
            "unclear": voice.is_unclear, **some,
            "voice_sounds": [round(each, 3) for each in voice.arousal],
            "marks": [mark.row() for mark in marks], "text": direction.text,
            "language": direction.language,
        }  # fmt: skip
        if direction.as_heard.any():
            some["requested"] = [round(float(x), 4) for x in direction.requested.mean(0)]
    return {name: value for name, value in some.items() if value}


def _moved(
    engine: Loaded, source: SourcePerformance, direction: DirectionRequest, voice: VoiceFeatures
) -> tuple[Keep, DirectionRequest, VoiceFeatures, dict]:
    """What a performance on another recording keeps as it moves to a voice, the direction of its
    mouths, the voice as these stress it, and the provenance of that. Raises BadRequest."""
    motion = engine.check_motion(source.motion)
    old_voice = engine.analyse(source.sound)
    old, alignment = old_voice.prosody, align_words(old_voice, voice)
    for prosody, which in ((old, "old"), (voice.prosody, "new")):
        if not prosody.phrases:
            raise BadRequest(
                f"Nobody speaks in the {which} recording, so that no performance can move: "
                f"choose another one, or its Channel"
            )
    if abs(motion.frames - old.frames) > _SAME_LENGTH * FPS:
        raise BadRequest(
            f"The performance lasts {motion.frames / FPS:.1f} s and its old recording "
            f"{old.seconds:.1f} s: give the recording that it was made of"
        )
    keep, moved = move(motion, engine.head.expression_names, old, voice.prosody, alignment)
    if source.direction is not None:
        vectors = over_frames(source.direction, old.frames)
        rows = moved.rows if len(vectors) > 1 else np.zeros(1, int)
        direction = replace(direction, vectors=vectors[rows], as_heard=np.zeros(1, np.float32))
    about = {"moved": moved.record(old, voice.prosody, source.keys)}
    if not source.choice:
        return keep, direction, voice, about
    about["choice"] = moved.choice(source.choice, voice.prosody)
    # the new mouth stresses them too
    stressed = tuple(Mark(STRESSED, start, end) for start, end, _ in about["choice"]["hits"])
    direction = replace(direction, marks=direction.marks + stressed)
    return keep, direction, mark_voice(voice, stressed), about


def _kept(engine: Loaded, keep: Keep, frames: int) -> Inpainting:
    x, mask = pack(engine.check_motion(keep.motion)), np.asarray(keep.mask, bool)
    if mask.shape != x.shape or len(x) != frames:
        raise BadRequest(
            f"The kept part has {len(x)} frames, the sound {frames}: choose the take of this sound"
        )
    return Inpainting(mask, x)


def generate(
    engine: Loaded, line: HeardLine, progress: Progress = ignore,
    on_take: Callable[[SampledTake], object] = ignore,
    on_sampled: Callable[[SampledTake], object] = ignore,
) -> list[Any]:  # fmt: skip
    """Make the takes of a line; returns them, best lip-sync first, each as `on_take`
    returns it. Arguments as of `Engine.generate`."""
    work, ranked = _Work(engine, line, progress), []
    with closing(work.stages()) as stages:
        for is_scored, takes in stages:
            for take in takes:
                if not is_scored:
                    work.arrived += 1
                    on_sampled(take)
                    continue
                points = 0.0 if take.score is None else take.score.total
                rank = (take.provenance.get(OFF_EXPECTED, -points), take.seed)
                ranked.append((rank, on_take(take) or take))
    return [kept for _, kept in sorted(ranked, key=lambda each: each[0])]


class _Work:
    """The takes of a request at work, portions of them on any thread."""

    def __init__(self, engine: Loaded, line: HeardLine, progress: Progress):
        """progress: of the whole request, one call at a time. Raises BadRequest."""
        self.engine, self.line, self.arrived = engine, line, 0
        self._count = count = line.request.takes
        self._of = "1 take" if count == 1 else f"{count} takes"
        self._progress, self._stopped = progress, False
        # first seed of a portion → number of its takes times their progress
        self._done: dict[int, float] = {}
        self._reporting = threading.Lock()

    def make(self, seeds: Sequence[int]) -> Iterator[tuple[bool, list[SampledTake]]]:
        """The takes of a portion, twice: as soon as they are sampled, and scored, which is said
        before."""
        engine, line, request = self.engine, self.line, self.line.request
        voice, direction, sums = line.voice, line.direction, request.sums
        performances = [
            perform_planned(direction, voice, seed, request.seed, line.kept) for seed in seeds
        ]
        motions = engine.thunder.perform(
            voice, performances, request.quality_or_steps, float(request.guidance),
            lambda fraction, _="": self._report(seeds, 0.9 * fraction), line.kept,
        )  # fmt: skip
        mouths = [engine.lips.gap_and_width(each) for each in motions]
        takes = [self._describe(*each) for each in zip(performances, motions, mouths)]
        yield False, takes
        visible = motions
        if sums is not None:
            visible = [visible_motion(each, engine.thunder.channel_names, sums) for each in motions]
        scores: Sequence[LipSyncScore | None] = [None] * len(takes)
        if line.role == SPEAKS:
            self._report(seeds, 0.95, "Ranking by lip-sync")
            scores = engine.scorer.score(
                visible, voice, [each.size for each in performances], direction.text,
                mouths=mouths if sums is None else None, language=direction.language,
            )  # fmt: skip
        scored = [self._add_score(*each) for each in zip(takes, scores, visible)]
        new = self._new_frames()
        if line.role == SPEAKS and new.any():  # the score of the whole line hardly tells them
            off = [engine.scorer.off_expected(mouth, voice, new) for mouth in mouths]
            scored = [
                replace(take, provenance=take.provenance | {OFF_EXPECTED: round(each, 3)})
                for take, each in zip(scored, off)
            ]
        release_memory(voice.frames)
        yield True, scored

    def _new_frames(self) -> np.ndarray:
        """The frames on which the mouth is new, bool [T], if it is not new in the whole line."""
        kept = self.line.kept
        if kept is None:
            return np.zeros(self.line.voice.frames, bool)
        new = ~np.asarray(kept.mask[:, self.engine.scorer.speech].all(1))
        return np.zeros_like(new) if new.all() else new

    def stages(self) -> Generator[tuple[bool, list[SampledTake]]]:
        """What `make` yields of all portions; each is sampled before the next one, and at most so
        many as threads work wait for their scores."""
        frames, device, first = self.line.voice.frames, self.engine.device, self.line.request.seed
        threads = threads_for(frames, processors() if device == CPU else 1)
        together = portions(list(range(first, first + self._count)), frames, device, threads)
        if threads == 1:
            yield from chain.from_iterable(map(self.make, together))
            return
        with ThreadPoolExecutor(threads, "takes") as pool:
            all_makes = (self.make(seeds) for seeds in together)
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

    def _report(self, seeds: Sequence[int], fraction: float, message: str = "") -> None:
        """Note how far the takes of some seeds are, 0 … 1. Raises Cancelled once nobody waits."""
        of = self._of
        sampled = (
            f"{self.arrived} of {of} sampled"
            if self.arrived
            else f"Sampling {of}"
            if self.engine.device == CPU
            else f"Sampling {of} on the graphics card"
        )
        with self._reporting:
            if self._stopped:
                raise Cancelled("Cancelled, nothing was changed")
            self._done[seeds[0]] = len(seeds) * fraction
            part = sum(self._done.values()) / self._count
            self._progress(_ANALYSED + (1 - _ANALYSED) * part, message or sampled)

    def _describe(
        self, performance: Performance, motion: Motion, mouth: tuple[np.ndarray, np.ndarray]
    ) -> SampledTake:
        """A take with its provenance, not scored; mouth: gap and width of its motion."""
        assert performance.take_style is not None
        about = self.line.about | {
            "seed": performance.seed,
            "spread": self.line.direction.spread,
            "as_asked": performance.is_exact,
            "reading": [round(float(x), 4) for x in performance.take_style.mean(0)],
        }
        if "moved" in about:  # brows, head and eyes, and so what they hit, are another take's
            about["reading"] = style_of_mouth(about["reading"], self.line.direction.vectors.mean(0))
        elif self.line.role == SPEAKS and self.line.kept is None:
            sums = self.line.request.sums
            sources = [source for added in sums or () for source, _ in added]
            has_eyes = sums is None or any(each.startswith((*GAZE, "eye_")) for each in sources)
            assert performance.choice is not None
            about["choice"] = performance.choice.record(self.line.voice.prosody, has_eyes)
        opening, width = (each.astype(np.float32) for each in (np.maximum(mouth[0], 0), mouth[1]))
        return SampledTake(motion, performance.seed, None, opening, width, about)

    def _add_score(
        self, take: SampledTake, score: LipSyncScore | None, visible: Motion
    ) -> SampledTake:
        """A take with its score, and what is seen of it. visible: what the face shows of it."""
        about = {} if score is None else {"score": score.total, **score.to_record()}
        # of a quiet face all frames count
        spoken = (self.line.voice.presence > SPOKEN) | (self.line.role != SPEAKS)
        about["seen"] = seen(self.engine.meter, visible, spoken)
        return replace(take, score=score, provenance=take.provenance | about)


def threads_for(frames: int, threads: int) -> int:
    """Number of `threads` that may work in parallel on takes of `frames` frames."""
    return max(1, min(threads, _FRAMES_AT_WORK // max(1, frames)))


def portions(
    seeds: Sequence[int], frames: int, device: str, threads: int = 1
) -> list[Sequence[int]]:
    """Split seeds into portions that are sampled together, on a processor by one of `threads`
    threads."""
    first, most = 0, _MOST
    if device == CPU:  # the animator waits for the first take, so it is sampled alone
        first = 1
        each = -(-(len(seeds) - 1) // threads)
        most = max(1, min(most, _PORTION_FRAMES // max(1, frames), each))
    rest = [seeds[at : at + most] for at in range(first, len(seeds), most)]
    return [seeds[:first], *rest] if first else rest
