# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the sound of a strip from its file: trim, offset and volume are applied here, without
Blender's data."""

import contextlib
import errno
import math
import os
import shutil
import tempfile
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...thunder_core.errors import BadSound, is_full_disk, NoSpace, ThunderError
from ...thunder_core.files import not_a_file
from ..host import compat
from .strip import lineage

BLOCK = 5  # seconds of a sound in memory at once
# signatures of formats that can be decoded from any sample
_EXACT = (b"RIFF", b"RF64", b"fLaC", b"FORM")


@dataclass(frozen=True)
class Source:
    """A sound file that is read piece by piece.

    read(first, last): samples float32 [≤ last − first, channels].  frames: how many samples it has,
    at least.
    """

    rate: int
    channels: int
    frames: int
    read: Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class Plan:
    """All data for assembling a strip's sound, as mono, without Blender's data, in a thread if
    necessary.

    path: of the sound file.  packed: its bytes if it is packed.  begin: seconds into the sound.
    seconds: length used; 0 for all of it.
    volume: [n] over the strip, at even distances.
    """

    name: str
    path: str
    packed: bytes | None
    begin: float
    seconds: float
    volume: np.ndarray

    @contextlib.contextmanager
    def open(self, folder: str) -> Iterator[Source]:
        """The sound file, to be read in blocks. folder: for unpacking or decoding; "" for none:
        then formats that cannot be decoded from any sample may be off by some milliseconds from
        block to block.

        Raises BadSound.
        """
        with contextlib.ExitStack() as opened:
            path = self.path
            if self.packed is not None:
                place = opened.enter_context(
                    tempfile.TemporaryDirectory(prefix="thunder_sound_", dir=folder or None)
                )
                path = os.path.join(place, "packed_sound")
                Path(path).write_bytes(self.packed)
            yield opened.enter_context(self._opened(path, folder))

    @contextlib.contextmanager
    def _opened(self, path: str, folder: str) -> Iterator[Source]:
        """A sound file by Blender's audaspace. Raises BadSound or NoSpace."""
        bad = BadSound(
            f"The file of the strip “{self.name}” cannot be read as sound: choose another voice"
        )
        if not_a_file(path):  # opening a pipe would block
            raise bad
        try:
            import aud
        except ImportError:  # a Blender built without sound
            with _open_wave(path) as source:
                yield source
            return
        decoded = (
            os.path.join(folder, f"decoded_sound_{threading.get_ident()}.wav") if folder else ""
        )
        unreadable = RuntimeError, aud.error, OSError

        def read(first: int, last: int) -> np.ndarray:
            begin = first // rate  # whole seconds: aud takes times in single precision
            try:
                samples = np.array(sound.limit(begin, -(-last // rate)).data(), np.float32)
            except unreadable as error:
                raise bad from error
            return samples[first - begin * rate : last - begin * rate]

        try:
            sound = aud.Sound(path)
            rate, channels = (int(number) for number in sound.specs)
            if rate <= 0 or channels <= 0:
                raise bad
            with open(path, "rb") as file:
                exact = file.read(4) in _EXACT
            if decoded and not exact:
                if self.seconds:
                    sound = sound.limit(0, max(1, math.ceil(self.begin + self.seconds)))
                check_space(decoded, max(0, int(sound.length)) * channels * 4)
                sound.write(
                    decoded, 0, 0, aud.FORMAT_FLOAT32, aud.CONTAINER_WAV, aud.CODEC_PCM, 0, 1 << 16
                )
                sound = aud.Sound(decoded)
            source = Source(rate, channels, int(sound.length), read)
        except unreadable as error:
            raise bad from error
        else:
            yield source  # errors of the caller are not the sound's
        finally:
            if decoded and os.path.exists(decoded):
                os.remove(decoded)

    def count(self, source: Source) -> int:
        """Number of samples that play."""
        return int(round(self.seconds * source.rate)) if self.seconds else source.frames

    def blocks(self, source: Source) -> Iterator[np.ndarray]:
        """The samples that play, the mean of the channels, float32 [n], BLOCK seconds at a time.
        Raises BadSound."""
        count = self.count(source)
        offset = int(round(self.begin * source.rate))
        size = BLOCK * source.rate
        places = np.linspace(0, 1, len(self.volume))
        for start in range(0, count, size):
            end = min(count, start + size)
            block = np.zeros(end - start, np.float32)
            first, last = max(0, start + offset), min(source.frames, end + offset)
            if first < last:
                samples = source.read(first, last).mean(axis=1)
                block[first - offset - start :][: len(samples)] = samples
            if (self.volume != 1).any():
                block *= np.interp(
                    np.arange(start, end) / max(1, count - 1), places, self.volume
                ).astype(np.float32)
            yield block


@contextlib.contextmanager
def _open_wave(path: str) -> Iterator[Source]:
    """A 16-bit WAV file by Python alone. Raises BadSound."""
    try:
        with wave.open(path) as file:
            if file.getsampwidth() != 2:
                raise wave.Error

            def read(first: int, last: int) -> np.ndarray:
                file.setpos(first)
                samples = (
                    np.frombuffer(file.readframes(last - first), "<i2").astype(np.float32) / 32768
                )
                return samples.reshape(-1, file.getnchannels())

            yield Source(file.getframerate(), file.getnchannels(), file.getnframes(), read)
    except (wave.Error, EOFError) as error:
        raise BadSound(
            f"“{path}” is not a 16-bit WAV, the only format this Blender can read: save it as one"
        ) from error


def plan_of(scene, strip, first: int, last: int, fps: float) -> Plan | None:
    """A plan for reading the sound of a strip from frame `first` up to `last`; None for a strip
    that only Blender can mix down: retimed, with modifiers, or with a volume that is driven or
    perhaps animated in the NLA.

    Pan is ignored: mixed to mono, it is not heard.
    """
    members = [*lineage(scene, strip)[0], strip]
    paths = tuple(_volume_path(scene, member) for member in members)
    animation = scene.animation_data
    if animation is not None and (
        animation.nla_tracks
        or any(driver.data_path.endswith(paths) for driver in animation.drivers)
    ):
        return None
    if len(getattr(strip, "retiming_keys", ())) or len(strip.modifiers):
        return None
    sound = strip.sound
    begin = (
        first - compat.content_start(strip) + compat.content_trim(strip)
    ) / fps - strip.sound_offset
    return Plan(
        strip.name,
        bpy.path.abspath(sound.filepath, library=sound.library),
        None if sound.packed_file is None else bytes(sound.packed_file.data),
        begin,
        (last - first) / fps,
        np.prod([_volume(scene, member, first, last) for member in members], axis=0),
    )


def _volume_path(scene, strip) -> str:
    """The end of the animation path of a strip's volume."""
    name = bpy.utils.escape_identifier(strip.name)
    return f'{compat.strips_all_name(scene.sequence_editor)}["{name}"].volume'


def _volume(scene, strip, first: int, last: int) -> np.ndarray:
    """The volume of a strip, or of a meta that contains it, on the frames `first` to `last`; 0
    where it does not play. Float32 [n]."""
    frames = np.arange(first, last + 1)
    curves = [
        curve
        for curve in compat.curves_for(scene)
        if curve.data_path.endswith(_volume_path(scene, strip)) and not curve.mute
    ]
    if curves:
        volume = np.array(
            [max(0.0, curves[0].evaluate(float(frame))) for frame in frames], np.float32
        )
    else:
        # metas have a volume since Blender 5.2
        volume = np.full(len(frames), getattr(strip, "volume", 1.0), np.float32)
    begin, end = compat.strip_span(strip)
    volume[(frames < begin) | (frames > end)] = 0.0
    return volume


def check_space(path: str, needed: int) -> None:
    """Raise NoSpace or ThunderError at once if a file of `needed` bytes cannot be written: Blender
    itself aborts when a mix-down fills the disk."""
    try:
        with open(path, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, max(1, needed))
            else:
                file.write(bytes(4096))
        if shutil.disk_usage(os.path.dirname(path)).free < (
            0 if hasattr(os, "posix_fallocate") else needed
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        Path(path).unlink(missing_ok=True)
        raise no_space(path, error) from error


def no_space(path: str, error: OSError) -> ThunderError:
    """The error for a sound that cannot be written."""
    folder = os.path.dirname(path)
    if is_full_disk(error):
        return NoSpace(f"No space is left in “{folder}” for the sound: free some and try again")
    return ThunderError(
        f"The sound cannot be written to “{folder}” ({error.strerror or error}): try again, or "
        f"restart Blender"
    )
