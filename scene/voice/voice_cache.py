# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache of the voice's sound while its strip is unchanged: a file for the engine, and its
waveform."""

import os
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ...thunder_core.animation import activity
from ...thunder_core.client import Client
from ...thunder_core.errors import ThunderError
from ...thunder_core.types import FPS
from ..host.jobs import Part, session, Step
from . import fingerprint, mixdown, strip

PEAKS_PER_SECOND = 100  # peaks per second of a waveform
MOST_VOICES = 4  # voices whose sound is cached in a session


@dataclass(eq=False)
class CachedVoice:
    """Cached data of a voice's sound.

    path: a file that the engine can read, "" if there is none yet.  peaks: float32 [n, 2], lowest
    and highest sample of each hundredth of a second from the voice's beginning on, None until it is
    read.  failed: the reason why it could not be read.
    """

    path: str = ""
    peaks: np.ndarray | None = None
    failed: str = ""
    thread: threading.Thread | None = None

    @property
    def reading(self) -> bool:
        """Whether its sound is being read."""
        return self.thread is not None and self.thread.is_alive()


class VoiceCache(Part):
    """The voices whose sound is kept, the one used last at the end."""

    def __init__(self):
        self.voices: OrderedDict[tuple, CachedVoice] = OrderedDict()

    def is_reading(self) -> bool:
        """Whether any voice is being read."""
        return any(cached.reading for cached in self.voices.values())

    def file_opened(self) -> None:
        """Wait for readings in progress."""
        for cached in self.voices.values():
            if cached.reading:
                cached.thread.join()
        self.voices.clear()


cache = session.add(VoiceCache())


def _key(scene, voice: strip.Voice) -> tuple | None:
    """Identifies how a voice sounds; None if it is gone."""
    state = fingerprint.of_voice(scene, voice)
    speaking = strip.by_name(scene, voice.strip) if voice.strip else None
    if state is None:
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


def of(scene, voice: strip.Voice) -> CachedVoice | None:
    """The cached data of a voice, initially empty; None if it is gone."""
    key = _key(scene, voice)
    if key is None:
        return None
    cached = cache.voices.get(key)
    if cached is None:
        cached = cache.voices[key] = CachedVoice()
        for old in [k for k, cached in cache.voices.items() if not cached.reading][
            : max(0, len(cache.voices) - MOST_VOICES)
        ]:
            _remove(cache.voices.pop(old))
    cache.voices.move_to_end(key)
    if cached.path and not os.path.isfile(cached.path):  # the engine ended, and its folder with it
        cached.path = ""
    return cached


def _remove(cached: CachedVoice) -> None:
    """Delete the file of a voice, if the cache made it."""
    if (
        cached.path
        and os.path.basename(cached.path).startswith("voice_cache_")
        and os.path.exists(cached.path)
    ):
        os.remove(cached.path)


def sound(client: Client, scene, voice: strip.Voice) -> Generator[Step, None, str]:
    """Steps that mix down a voice for the engine if it is not there yet. Returns the path; the
    caller must not delete the file."""
    if voice.path:
        return voice.path
    cached = of(scene, voice)
    if cached is not None and cached.path:
        return cached.path
    path = yield from mixdown.sound_for_engine(client, voice)
    return keep(scene, voice, path)


def keep(scene, voice: strip.Voice, path: str) -> str:
    """Cache a mix-down of a voice that was just made for the engine, which then recognises it.

    Returns its path from now on, which is unchanged if the voice is gone or the file cannot be
    renamed.
    """
    cached = of(scene, voice)
    if cached is None:
        return path
    new_path = os.path.join(os.path.dirname(path), f"voice_cache_{time.monotonic_ns()}.wav")
    try:
        os.replace(path, new_path)
    except OSError:
        return path
    _remove(cached)
    mixdown.name_file(new_path, voice.name)
    cached.path = new_path
    return new_path


def read(scene, voice: strip.Voice, folder: str = "") -> CachedVoice | None:
    """The cached data of a voice; if it is not read yet, reading starts in a thread that does not
    use Blender's data.

    With a folder, a file for the engine is written there too. None for a voice that is gone;
    `failed` is set for one that only Blender's mix-down can read.
    """
    cached = of(scene, voice)
    if cached is None or cached.reading or cached.failed:
        return cached
    if cached.peaks is not None and (cached.path or voice.path or not folder):
        return cached
    if cached.path:
        reading = (peaks_of_file, cached.path)
    elif voice.path:
        reading = (
            peaks_of_sound,
            mixdown.Plan(voice.name, voice.path, None, 0.0, 0.0, np.ones(2, np.float32)),
        )
    else:
        speaking = strip.by_name(scene, voice.strip)
        plan = mixdown.plan_of(
            scene, speaking, int(voice.clock.start), int(voice.last), voice.clock.fps
        )
        if plan is None:
            cached.failed = (
                "This strip is retimed, driven or has modifiers: press Listen to score it"
            )
            return cached
        reading = (peaks_of_sound, plan)
    cached.thread = threading.Thread(
        target=_read, args=(cached, folder, *reading), name="thunder voice", daemon=True
    )
    cached.thread.start()
    return cached


def _read(cached: CachedVoice, folder: str, how, what) -> None:
    """In a thread: read the peaks, or note why they could not be read."""
    try:
        cached.peaks, path = how(what, folder)
        cached.path = path or cached.path
    except (ThunderError, OSError, ImportError, ValueError) as error:
        cached.failed = str(error) or type(error).__name__


def peaks_of_sound(plan: mixdown.Plan, folder: str):
    """Peaks of a plan's sound, which is written to a file in a folder as well, if there is one; and
    that file's path."""
    if folder and plan.seconds:
        path = os.path.join(folder, f"voice_cache_{time.monotonic_ns()}.wav")
        mixdown.name_file(path, plan.name)
        mixdown.write(plan, path)
        return peaks_of_file(path, folder)
    with plan.open("") as source:
        result = [peaks_of(block, source.rate) for block in plan.blocks(source)]
    return np.concatenate(result) if result else np.zeros((1, 2), np.float32), ""


def peaks_of_file(path: str, folder: str):
    """Peaks of a WAV file of 32-bit float samples, as a mix-down is; and its path."""
    with open(path, "rb") as file:
        head = file.read(4096)
        channels, rate = struct.unpack("<HI", head[22:28])
        file.seek(head.find(b"data") + 8)
        result = []
        while data := file.read(mixdown.BLOCK * rate * channels * 4):
            samples = np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], np.float32)
            result.append(peaks_of(samples.reshape(-1, channels).mean(axis=1), rate))
    return np.concatenate(result) if result else np.zeros((1, 2), np.float32), path


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


def loudness_of_take(scene, voice: strip.Voice, entry) -> Generator[Step, None, np.ndarray | None]:
    """Steps that read a voice. Returns its loudness [T] at 25 fps from the first frame of a take of
    it on; None if it cannot be read.

    The voice may have been moved or trimmed since the take was made.
    """
    cached = read(scene, voice)
    while cached is not None and cached.reading:
        yield Step(0.0, "Reading the voice")
    if cached is None or cached.peaks is None:
        return None
    levels = activity.loudness(cached.peaks, PEAKS_PER_SECOND)
    then, now = fingerprint.of_take(entry), fingerprint.of_voice(scene, voice)
    late = (
        round((then.seconds[0] - now.seconds[0]) * FPS)
        if then is not None and now is not None and then.last and now.last
        else 0
    )
    return np.concatenate([np.zeros(max(0, -late)), levels[max(0, late) :]])
