# SPDX-License-Identifier: GPL-3.0-or-later
"""The waveforms of voices, read in a thread and cached while their strips are unchanged."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...thunder_core.animation import activity
from ...thunder_core.errors import BadRequest, ThunderError
from ...thunder_core.protocol import MIX
from ...thunder_core.types import FPS
from ..host.jobs import Part, Recent, session, Step
from . import fingerprint, mixdown, strip

if TYPE_CHECKING:
    import bpy

    from ..properties.settings import ThunderTake


PEAKS_PER_SECOND = 100  # peaks per second of a waveform
MOST_VOICES = 8  # voices whose waveforms are cached


@dataclass(eq=False)
class CachedVoice:
    """The waveform of a voice.

    peaks: float32 [n, 2], lowest and highest sample of each hundredth of a second from the voice's
    beginning on, None until it is read, and where it cannot be read.
    """

    peaks: np.ndarray | None = None
    thread: threading.Thread | None = None

    @property
    def reading(self) -> bool:
        """Whether its sound is being read."""
        return self.thread is not None and self.thread.is_alive()


class VoiceCache(Part):
    """The voices whose waveforms were asked for."""

    def __init__(self) -> None:
        self.voices: dict[tuple, CachedVoice] = Recent(MOST_VOICES)

    def file_opened(self) -> None:
        """Wait for readings in progress."""
        for cached in self.voices.values():
            if cached.thread is not None:
                cached.thread.join()
        self.voices.clear()


cache = session.add(VoiceCache())


def _key(scene: bpy.types.Scene, voice: strip.Voice) -> tuple | None:
    """Identifies how a voice sounds; None if it is gone."""
    state = voice.state
    speaking = strip.by_name(scene, voice.strip) if voice.strip else None
    if voice.strip and speaking is None:
        return None
    # its position in the scene does not change its sound
    begin, end = state.seconds if state.last else (0.0, 0.0)
    return (
        state.sound,
        state.retiming,
        round(begin, 4),
        round(end, 4),
        voice.path,
        ()
        if speaking is None
        else (speaking.name, round(speaking.volume, 4), len(speaking.modifiers)),
    )


def read(scene: bpy.types.Scene, voice: strip.Voice) -> CachedVoice | None:
    """The waveform of a voice; if it is not read yet, reading starts in a thread that does not use
    Blender's data.

    None for a voice that is gone. One that only Blender's mix-down can read has no peaks.
    """
    key = _key(scene, voice)
    if key is None or key in cache.voices:
        return None if key is None else cache.voices.get(key)
    cached = cache.voices[key] = CachedVoice()
    plan = mixdown.plan_of_voice(scene, voice)
    if plan is not None:
        cached.thread = threading.Thread(
            target=_read, args=(cached, plan), name="thunder voice", daemon=True
        )
        cached.thread.start()
    return cached


def _read(cached: CachedVoice, plan: mixdown.MixPlan) -> None:
    """In a thread: read the peaks, if they can be read."""
    with contextlib.suppress(ThunderError, OSError, ImportError, ValueError):
        # of the engine's own choice nothing is known here
        plan = replace(plan, channel=plan.channel or MIX)
        with plan.open() as source:
            peaks = [peaks_of(block, source.rate) for block in plan.blocks(source)]
        cached.peaks = np.concatenate(peaks) if peaks else np.zeros((1, 2), np.float32)


def peaks_of(samples: np.ndarray, rate: int) -> np.ndarray:
    """Lowest and highest of every hundredth of a second of samples [n]; float32 [m, 2].

    Blocks of whole seconds give the same peaks as the whole sound.
    """
    count = max(1, int(np.ceil(len(samples) / rate * PEAKS_PER_SECOND)))
    starts = np.minimum(
        (np.arange(count) * rate / PEAKS_PER_SECOND).astype(int), max(0, len(samples) - 1)
    )
    if not len(samples):
        return np.zeros((1, 2), np.float32)
    return np.stack(
        [np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], 1
    ).astype(np.float32)


def seconds_of(scene: bpy.types.Scene, voice: strip.Voice) -> Generator[Step, None, float]:
    """Steps that find the length of a voice in seconds. Raises BadRequest if it is not known."""
    if voice.last is not None:
        return (voice.last - voice.clock.start) / voice.clock.fps
    peaks = yield from _wait_for_peaks(scene, voice)
    if peaks is None:
        raise BadRequest("The length of the voice is not known: choose a strip with sound")
    return len(peaks) / PEAKS_PER_SECOND


def _wait_for_peaks(
    scene: bpy.types.Scene, voice: strip.Voice
) -> Generator[Step, None, np.ndarray | None]:
    """Steps that wait for the peaks of a voice. Returns them, None if it cannot be read."""
    cached = read(scene, voice)
    while cached is not None and cached.reading:
        yield Step(0.0, "Reading the voice")
    return None if cached is None else cached.peaks


def loudness_of_take(
    scene: bpy.types.Scene, voice: strip.Voice, entry: ThunderTake
) -> Generator[Step, None, np.ndarray | None]:
    """Steps that read a voice. Returns its loudness [T] at 25 fps from the first frame of a take of
    it on; None if it cannot be read.

    The voice may have been moved or trimmed since the take was made.
    """
    then = fingerprint.of_take(entry)
    peaks = yield from _wait_for_peaks(scene, voice)
    if peaks is None:
        return None
    levels = activity.loudness(peaks, PEAKS_PER_SECOND)
    now = voice.state
    late = (
        round((then.seconds[0] - now.seconds[0]) * FPS)
        if then is not None and then.last and now.last
        else 0
    )
    return np.concatenate([np.zeros(max(0, -late)), levels[max(0, late) :]])
