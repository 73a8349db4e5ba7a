# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a strip's sound from its file, for Blender versions that cannot mix down twice without a window."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ...thunder_core.errors import BadSound
from ...thunder_core.files import not_a_file
from ..host import compat

BLOCK = 5  # seconds of a sound in memory at once
_EXACT = (b"RIFF", b"RF64", b"fLaC", b"FORM")  # signatures of formats that can be decoded from any sample


def is_needed() -> bool:
    """Whether this is a 5.2 before 5.2.3 in the background: there a mix-down is a job that never ends, and every
    later one is ignored."""
    return bpy.app.background and bool(bpy.app.binary_path) and (5, 2, 0) <= bpy.app.version < (5, 2, 3)


@dataclass(frozen=True)
class Plan:
    """All data for assembling a strip's sound without Blender's data, in a thread if necessary.

    path: of the sound file.  packed: its bytes if it is packed.  begin: seconds into the sound.  seconds: length used; 0 for all of it.
    volume: [n] over the strip, at even distances.
    """

    name: str
    path: str
    packed: bytes | None
    begin: float
    seconds: float
    mono: bool
    volume: np.ndarray

    @contextlib.contextmanager
    def open(self, folder: str) -> Iterator[Source]:
        """The sound file, to be read in blocks. folder: for unpacking or decoding; "" for none: then formats that cannot be decoded from
        any sample may be off by some milliseconds from block to block.

        Raises BadSound.
        """
        if self.packed is None:
            with _opened(self.path, self.name, folder) as source:
                yield source
            return
        with tempfile.TemporaryDirectory(prefix="thunder_sound_", dir=folder or None) as place:
            unpacked = os.path.join(place, "packed_sound")
            with open(unpacked, "wb") as file:
                file.write(self.packed)
            with _opened(unpacked, self.name, folder) as source:
                yield source

    def channels(self, source: Source) -> int:
        """Number of channels that play."""
        return 1 if self.mono else source.channels

    def count(self, source: Source) -> int:
        """Number of samples of each channel that play."""
        return int(round(self.seconds * source.rate)) if self.seconds else source.frames

    def blocks(self, source: Source) -> Iterator[np.ndarray]:
        """The samples that play, float32 [n, channels], BLOCK seconds at a time. Raises BadSound."""
        count, offset, size = self.count(source), int(round(self.begin * source.rate)), BLOCK * source.rate
        places = np.linspace(0, 1, len(self.volume))
        for start in range(0, count, size):
            end = min(count, start + size)
            block = np.zeros((end - start, source.channels), np.float32)
            first, last = max(0, start + offset), min(source.frames, end + offset)
            if first < last:
                samples = source.read(first, last)
                block[first - offset - start :][: len(samples)] = samples
            if self.mono:
                block = block.mean(axis=1, keepdims=True)
            if (self.volume != 1).any():
                block *= np.interp(np.arange(start, end) / max(1, count - 1), places, self.volume).astype(np.float32)[:, None]
            yield block


@dataclass(frozen=True)
class Source:
    """A sound file that is read piece by piece.

    read(first, last): samples float32 [≤ last − first, channels].  frames: how many samples it has, at least.
    """

    rate: int
    channels: int
    frames: int
    read: Callable[[int, int], np.ndarray]


@contextlib.contextmanager
def _opened(path: str, name: str, folder: str) -> Iterator[Source]:
    """A sound file by Blender's audaspace. Raises BadSound."""
    bad = BadSound(f"The file of the strip “{name}” cannot be read as sound: choose another voice")
    if not_a_file(path):  # opening a pipe would block
        raise bad
    try:
        import aud
    except ImportError:  # a Blender built without sound
        with _opened_wave(path) as source:
            yield source
        return
    decoded = os.path.join(folder, f"decoded_sound_{threading.get_ident()}.wav") if folder else ""
    try:
        sound = aud.Sound(path)
        rate, channels = (int(number) for number in sound.specs)
        if rate <= 0 or channels <= 0:
            raise bad
        with open(path, "rb") as file:
            exact = file.read(4) in _EXACT
        if decoded and not exact:
            sound.write(decoded, 0, 0, aud.FORMAT_FLOAT32, aud.CONTAINER_WAV, aud.CODEC_PCM, 0, 1 << 16)
            sound = aud.Sound(decoded)

        def read(first: int, last: int) -> np.ndarray:
            begin = first // rate  # whole seconds: aud takes times in single precision
            samples = np.array(sound.limit(begin, -(-last // rate)).data(), np.float32)
            return samples[first - begin * rate : last - begin * rate]

        yield Source(rate, channels, int(sound.length), read)
    except (RuntimeError, aud.error, OSError) as error:
        raise bad from error
    finally:
        if decoded and os.path.exists(decoded):
            os.remove(decoded)


@contextlib.contextmanager
def _opened_wave(path: str) -> Iterator[Source]:
    """A 16-bit WAV file by Python alone. Raises BadSound."""
    try:
        with wave.open(path) as file:
            if file.getsampwidth() != 2:
                raise wave.Error

            def read(first: int, last: int) -> np.ndarray:
                file.setpos(first)
                samples = np.frombuffer(file.readframes(last - first), "<i2").astype(np.float32) / 32768
                return samples.reshape(-1, file.getnchannels())

            yield Source(file.getframerate(), file.getnchannels(), file.getnframes(), read)
    except (wave.Error, EOFError) as error:
        raise BadSound(f"“{path}” is not a 16-bit WAV, the only format this Blender can read: save it as one") from error


def plan_of(scene, strip, first: int, last: int, fps: float) -> Plan | None:
    """A plan for reading the sound of a strip from frame `first` up to `last`; None for a retimed strip or one with modifiers, which only
    Blender can apply."""
    if len(getattr(strip, "retiming_keys", ())) or len(strip.modifiers):
        return None
    sound = strip.sound
    begin = (first - compat.content_start(strip)) / fps - strip.sound_offset
    return Plan(
        strip.name,
        bpy.path.abspath(sound.filepath, library=sound.library),
        None if sound.packed_file is None else bytes(sound.packed_file.data),
        begin,
        (last - first) / fps,
        sound.use_mono,
        _volume(scene, strip, first, last),
    )


def needed(scene, strip, first: int, last: int, fps: float) -> Plan:
    """As `plan_of`, for Blender versions without an alternative: a strip that is retimed or has modifiers raises BadSound.

    Trim, offset and animated volume are applied. Pan is ignored, because the engine reads mono.
    """
    plan = plan_of(scene, strip, first, last, fps)
    if plan is None:
        raise BadSound(
            f"The strip “{strip.name}” is retimed or has modifiers, which Blender {bpy.app.version_string} "
            "cannot mix down without a window: open a window, or use 5.2.3"
        )
    return plan


def _volume(scene, strip, first: int, last: int) -> np.ndarray:
    """The volume of a strip over its frames, float32 [n]."""
    path = f'{compat.strips_all_name(scene.sequence_editor)}["{bpy.utils.escape_identifier(strip.name)}"].volume'
    for curve in compat.curves_for(scene):
        if curve.data_path.endswith(path) and not curve.mute:
            return np.array([max(0.0, curve.evaluate(float(frame))) for frame in range(first, last + 1)], np.float32)
    return np.array([strip.volume, strip.volume], np.float32)
