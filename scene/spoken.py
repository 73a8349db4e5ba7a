# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a voice, read once and kept while its strip stays as it is: a file for the engine, and its waveform."""

from __future__ import annotations

import os
import struct
import threading
import time
import wave
from collections import OrderedDict
from collections.abc import Iterator

import numpy as np

from ..thunder_core.client import Client
from ..thunder_core.errors import BadSound, ThunderError
from . import mixdown, plain_mix, strip, voice_state
from .performing import sound_for_engine
from .work import Step

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
    state = voice_state.of_voice(scene, voice)
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


def sound(client: Client, scene, voice: strip.Voice) -> Iterator[Step]:
    """Steps that give the path of a voice's sound for the engine, mixed down if it is not there yet. Leave the file be."""
    if voice.path:
        return voice.path
    spoken = of(scene, voice)
    if spoken is not None and spoken.path:
        return spoken.path
    path = yield from sound_for_engine(client, voice)
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
        work = (_peaks_of_sound, plain_mix.Plan(voice.name, voice.path, None, 0.0, 0.0, True, np.ones(2, np.float32)))
    else:
        found = strip.named(scene, voice.strip)
        plan = plain_mix.plan_of(scene, found, int(voice.clock.start), int(voice.last), voice.clock.fps)
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


def _peaks_of_sound(plan: plain_mix.Plan, folder: str):
    if plan.seconds:
        samples, rate = plan.samples(folder)
    else:
        samples, rate = _whole(plan.path)
    path = ""
    if folder and plan.seconds:
        path = os.path.join(folder, f"spoken_{time.monotonic_ns()}.wav")
        with open(path, "wb") as file:
            file.write(mixdown.wav_header(samples.shape[1], rate, samples.nbytes) + samples.tobytes())
    return _peaks(samples.mean(axis=1), rate), path


def _whole(path: str) -> tuple[np.ndarray, int]:
    try:
        import aud
    except ImportError:  # a Blender built without sound
        return _whole_wave(path)
    try:
        sound_ = aud.Sound(path)
        return np.array(sound_.data(), np.float32), int(sound_.specs[0])
    except (RuntimeError, aud.error) as error:
        raise BadSound(f"“{path}” cannot be read as sound: choose another file") from error


def _whole_wave(path: str) -> tuple[np.ndarray, int]:
    try:
        with wave.open(path) as file:
            if file.getsampwidth() != 2:
                raise BadSound(f"“{path}” is no 16-bit WAV, all that this Blender can read: save it as one")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
            return samples.reshape(-1, file.getnchannels()), file.getframerate()
    except (wave.Error, EOFError) as error:
        raise BadSound(f"“{path}” is no 16-bit WAV, all that this Blender can read: save it as one") from error


def _peaks_of_file(path: str, folder: str):
    """Of a WAV file of 32-bit float samples, as a mix-down is."""
    with open(path, "rb") as file:
        data = file.read()
    channels, rate = struct.unpack("<HI", data[22:28])
    start = data.find(b"data") + 8
    samples = np.frombuffer(data[start:start + (len(data) - start) // 4 * 4], np.float32)
    return _peaks(samples[:len(samples) // channels * channels].reshape(-1, channels).mean(axis=1), rate), path


def _peaks(samples: np.ndarray, rate: int) -> np.ndarray:
    """Lowest and highest of every hundredth of a second of samples [n]; float32 [m, 2]."""
    count = max(1, int(np.ceil(len(samples) / rate * PEAKS_PER_SECOND)))
    starts = np.minimum((np.arange(count) * rate / PEAKS_PER_SECOND).astype(int), max(0, len(samples) - 1))
    if not len(samples):
        return np.zeros((1, 2), np.float32)
    return np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], 1).astype(np.float32)
