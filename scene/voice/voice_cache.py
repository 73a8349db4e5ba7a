# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a voice, read once and kept while its strip stays as it is: a file for the engine, and its waveform."""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Generator

import numpy as np

from ...thunder_core.client import Client
from ...thunder_core.errors import ThunderError
from ..host.jobs import Step
from . import fingerprint, mixdown, mixdown_fallback, strip

PEAKS_PER_SECOND = 100  # of a waveform
MOST_KEPT = 4  # voices of a session whose sound is kept


class Spoken:
    """What is known of a voice's sound.

    path: a file the engine can read, "" while there is none.  peaks: float32 [n, 2], lowest and highest sample of each
    hundredth of a second from the voice's beginning on, None until it is read.  failed: why it could not be read.
    """

    def __init__(self) -> None:
        self.path = ""
        self.peaks: np.ndarray | None = None
        self.failed = ""
        self.thread: threading.Thread | None = None

    @property
    def reading(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


_kept: OrderedDict[tuple, Spoken] = OrderedDict()


def is_reading() -> bool:
    """Whether any voice is being read."""
    return any(spoken.reading for spoken in _kept.values())


def forget() -> None:
    """Drop all that is kept; waits for what is being read."""
    for spoken in _kept.values():
        if spoken.reading:
            spoken.thread.join()
    _kept.clear()


def _key(scene, voice: strip.Voice) -> tuple | None:
    state = fingerprint.of_voice(scene, voice)
    found = strip.named(scene, voice.strip) if voice.strip else None
    if state is None:
        return None
    begin, end = state.heard if state.last else (0.0, 0.0)  # where it lies in the scene does not change how it sounds
    return (state.sound, state.retiming, round(begin, 4), round(end, 4), voice.path,
            () if found is None else (found.name, round(found.volume, 4), len(found.modifiers)))


def of(scene, voice: strip.Voice) -> Spoken | None:
    """What is kept of a voice, empty at first; None for a voice that is gone."""
    key = _key(scene, voice)
    if key is None:
        return None
    spoken = _kept.get(key)
    if spoken is None:
        spoken = _kept[key] = Spoken()
        for old in [k for k, kept in _kept.items() if not kept.reading][:max(0, len(_kept) - MOST_KEPT)]:
            _remove(_kept.pop(old))
    _kept.move_to_end(key)
    if spoken.path and not os.path.isfile(spoken.path):  # the engine ended, and its folder with it
        spoken.path = ""
    return spoken


def _remove(spoken: Spoken) -> None:
    if spoken.path and os.path.basename(spoken.path).startswith("spoken_") and os.path.exists(spoken.path):
        os.remove(spoken.path)


def sound(client: Client, scene, voice: strip.Voice) -> Generator[Step, None, str]:
    """Steps that mix down a voice for the engine if it is not there yet. Returns the path; the caller must not delete the file."""
    if voice.path:
        return voice.path
    spoken = of(scene, voice)
    if spoken is not None and spoken.path:
        return spoken.path
    path = yield from mixdown.sound_for_engine(client, voice)
    spoken = of(scene, voice)
    if spoken is None:
        return path
    kept = os.path.join(os.path.dirname(path), f"spoken_{time.monotonic_ns()}.wav")
    os.replace(path, kept)
    spoken.path = kept
    return kept


def read(scene, voice: strip.Voice, folder: str = "") -> Spoken | None:
    """What is known of a voice, its reading begun in a thread where it is not: Blender's data is left alone.

    With a folder a file for the engine is written there as well. None for a voice that is gone; `failed` tells of one that
    only Blender's own mix-down can tell how it sounds.
    """
    spoken = of(scene, voice)
    if spoken is None or spoken.reading or spoken.failed:
        return spoken
    if spoken.peaks is not None and (spoken.path or voice.path or not folder):
        return spoken
    if spoken.path:
        work = (_peaks_of_file, spoken.path)
    elif voice.path:
        work = (_peaks_of_sound, mixdown_fallback.Plan(voice.name, voice.path, None, 0.0, 0.0, True, np.ones(2, np.float32)))
    else:
        found = strip.named(scene, voice.strip)
        plan = mixdown_fallback.plan_of(scene, found, int(voice.clock.start), int(voice.last), voice.clock.fps)
        if plan is None:
            spoken.failed = "Retimed strips and strips with modifiers are read when Listen is pressed"
            return spoken
        work = (_peaks_of_sound, plan)
    spoken.thread = threading.Thread(target=_read, args=(spoken, folder, *work), name="thunder voice", daemon=True)
    spoken.thread.start()
    return spoken


def _read(spoken: Spoken, folder: str, how, what) -> None:
    try:
        spoken.peaks, path = how(what, folder)
        spoken.path = path or spoken.path
    except (ThunderError, OSError, ImportError, ValueError) as error:
        spoken.failed = str(error) or type(error).__name__


def _peaks_of_sound(plan: mixdown_fallback.Plan, folder: str):
    """Peaks of a plan's sound, which is written to a file in a folder as well, if there is one; and that file's path."""
    whole = bool(folder and plan.seconds)
    path = os.path.join(folder, f"spoken_{time.monotonic_ns()}.wav") if whole else ""
    with plan.open(folder if whole else "") as source, open(path, "wb") if whole else contextlib.nullcontext() as file:
        if whole:
            channels = plan.channels(source)
            file.write(mixdown.wav_header(channels, source.rate, mixdown.bytes_of(plan.count(source), channels)))
        found = []
        for block in plan.blocks(source):
            found.append(_peaks(block.mean(axis=1), source.rate))
            if whole:
                file.write(block)
    return np.concatenate(found) if found else np.zeros((1, 2), np.float32), path


def _peaks_of_file(path: str, folder: str):
    """Of a WAV file of 32-bit float samples, as a mix-down is."""
    with open(path, "rb") as file:
        head = file.read(4096)
        channels, rate = struct.unpack("<HI", head[22:28])
        file.seek(head.find(b"data") + 8)
        found = []
        while data := file.read(mixdown_fallback.BLOCK * rate * channels * 4):
            samples = np.frombuffer(data[:len(data) // (4 * channels) * 4 * channels], np.float32)
            found.append(_peaks(samples.reshape(-1, channels).mean(axis=1), rate))
    return np.concatenate(found) if found else np.zeros((1, 2), np.float32), path


def _peaks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Lowest and highest of every hundredth of a second of samples [n]; float32 [m, 2].

    Of blocks of whole seconds one after the other it is the same as of all of them together.
    """
    count = max(1, int(np.ceil(len(samples) / rate * PEAKS_PER_SECOND)))
    starts = np.minimum((np.arange(count) * rate / PEAKS_PER_SECOND).astype(int), max(0, len(samples) - 1))
    if not len(samples):
        return np.zeros((1, 2), np.float32)
    return np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], 1).astype(np.float32)
