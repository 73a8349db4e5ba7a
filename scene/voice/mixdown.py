# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a voice's strip alone as a WAV file: read from the strip's file, where trim, offset
and volume are applied here without Blender's data, or mixed down by Blender in short pieces."""

import contextlib
import errno
import math
import os
import shutil
import struct
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import bpy
import numpy as np

from ...thunder_core.client import Client
from ...thunder_core.errors import BadSound, Cancelled, is_full_disk, NoSpace, NoVoice, ThunderError
from ...thunder_core.files import not_a_file, reason_of
from ...thunder_core.progress import no_progress
from ..host import compat
from ..host.jobs import Memory, restart_after_undo, session, stage, Step
from .strip import by_name, lineage, move, sound_name, Voice

T = TypeVar("T")
# seconds without a byte written: Blender 5.2 mixes down in the background and reports no failure
MIX_PATIENCE = 5.0
PIECE_SECONDS = 2.0  # length mixed down at once
_HEADER = 44  # bytes of the header that `wav_header` makes
_BYTES = 4  # bytes per sample: the mix-down is 32-bit float
_LARGEST = 2**32 - (1 << 20)  # largest sound that a WAV file can hold, bytes
_EDGE = 0.02  # seconds in which a part of a sound fades in and out
_ROUNDING = 4096  # bytes that a piece may be short, because Blender's buffers round its length

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


def mix_down(voice: Voice, path: str) -> Generator[float, None, None]:
    """Write the sound of a voice's strip alone to a WAV file, as a generator to be run to its end.

    The first sample is heard at voice.clock.start. Yields the fraction done; the caller must
    prevent undo meanwhile. Raises BadSound, NoSpace or ThunderError, and then removes the file.
    """
    scene = bpy.data.scenes.get(voice.scene)
    strip = by_name(scene, voice.strip)
    if strip is None:
        raise BadSound(
            f"The strip “{voice.strip}” is no longer in the sequencer: choose another voice"
        )
    plan = plan_of(scene, strip, int(voice.clock.start), int(voice.last), voice.clock.fps)
    if plan is None:
        yield from _mix_with_blender(voice, scene, strip, path)
    else:
        yield from _write_in_thread(plan, path)


def _write_in_thread(plan: Plan, path: str) -> Generator[float, None, None]:
    """As `write`, in a thread: a compressed file is decoded first, which takes seconds where the
    recording is long."""
    fraction, stopped = 0.0, False

    def progress(done: float) -> None:
        nonlocal fraction
        fraction = done
        if stopped:
            raise Cancelled

    pool = ThreadPoolExecutor(1, "thunder voice")
    writing = pool.submit(write, plan, path, progress)
    pool.shutdown(wait=False)  # nobody who cancels waits for it
    try:
        while not writing.done():
            yield fraction
            time.sleep(0.002)
    finally:
        stopped = True
    writing.result()


def write(plan: Plan, path: str, progress: Callable[[float], None] = no_progress) -> None:
    """Write the sound of a strip's file to a mono WAV file. `progress` is called with 0 … 1 and may
    raise to stop.

    Raises BadSound, NoSpace or ThunderError; whatever is raised, the file is then removed.
    """
    written = False
    try:
        with plan.open(os.path.dirname(path)) as source:
            size = plan.count(source) * _BYTES
            if size > _LARGEST:
                raise BadSound(
                    "The voice is too long for its sample rate and channels: cut its strip into "
                    "shorter ones"
                )
            check_space(path, size + (1 << 20))
            with open(path, "wb") as file:
                file.write(wav_header(1, source.rate, size))
                for block in plan.blocks(source):
                    before = (file.tell() - _HEADER) // _BYTES
                    _check_numbers(
                        plan.name, os.path.basename(plan.path), block[:, None], before, source.rate
                    )
                    file.write(block)
                    progress(min(1.0, (file.tell() - _HEADER) / max(1, size)))
        written = True
    except OSError as error:
        raise no_space(path, error) from error
    finally:
        if not written and os.path.exists(path):
            os.remove(path)


def _mix_with_blender(voice: Voice, scene, strip, path: str) -> Generator[float, None, None]:
    """As `mix_down`, for a strip that only Blender can mix down: a copy of the scene with
    everything else muted, at the sound's rate, a few seconds at a time so that no step takes
    long."""
    if bpy.app.background and bpy.app.binary_path and (5, 2, 0) <= bpy.app.version < (5, 2, 3):
        # There a mix-down is a job that never ends, and every later one is ignored.
        raise BadSound(
            f"The strip “{voice.strip}” is retimed or has modifiers, which Blender "
            f"{bpy.app.version_string} "
            "cannot mix down without a window: open a window, or use 5.2.3"
        )
    first, last = int(voice.clock.start), int(voice.last)
    wave = _format_of(voice, strip, first, last)
    check_space(path, wave.bytes_between(first, last) + (1 << 20))
    shift = max(0, -first)  # Blender cannot mix down frames before 0, though it plays them
    bounds = [bound + shift for bound in _bounds(first, last, voice.clock.fps)]
    alone = _copy_with_only(scene, strip, shift)
    piece_path = f"{path}.piece.wav"
    finished = False
    try:
        yield 0.0  # a copy of the scene is enough for one slice
        with open(path, "wb") as file:
            yield from _mix_pieces(voice, alone, wave, bounds, piece_path, file)
        finished = True
    except OSError as error:
        raise no_space(path, error) from error
    finally:
        _remove_copy(alone, scene)
        for leftover in (piece_path, *(() if finished else (path,))):
            Path(leftover).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Format:
    """The WAV file of a mix-down: samples per second, channels, and frames of the scene per
    second."""

    rate: int
    channels: int
    fps: float

    def sample(self, frame: int) -> int:
        """The first sample of a scene frame, as Blender counts."""
        return int(frame / self.fps * self.rate)

    def bytes_between(self, first: int, last: int) -> int:
        """Bytes of the sound from frame `first` up to `last`."""
        return (self.sample(last) - self.sample(first)) * self.channels * _BYTES


def _format_of(voice: Voice, strip, first: int, last: int) -> _Format:
    """The sound's format; its rate is halved until a WAV file can hold the strip."""
    channels = 1 if strip.sound.channels == "MONO" else 2
    rate = min(192000, max(8000, int(strip.sound.samplerate)))
    while (last - first + 1) / voice.clock.fps * rate * channels * _BYTES > _LARGEST:
        rate //= 2
    return _Format(rate, channels, voice.clock.fps)


def _bounds(first: int, last: int, fps: float) -> list[int]:
    """Frames at which the pieces of a mix-down begin, and the frame after the last piece."""
    bounds = [*range(first, last, max(2, math.ceil(PIECE_SECONDS * fps))), last]
    # Blender aborts when it mixes down a single frame
    if len(bounds) > 2 and bounds[-1] - bounds[-2] < 2:
        del bounds[-2]
    return bounds


def _mix_pieces(
    voice, alone, wave: _Format, bounds: list[int], piece_path: str, file
) -> Generator[float, None, None]:
    """Mix down a scene piece by piece into an open WAV file. Yields the fraction done; raises
    BadSound or ThunderError."""
    first, last = bounds[0], bounds[-1]
    sequencer = {"sequencer_scene": alone} if hasattr(bpy.context, "sequencer_scene") else {}
    file.write(wav_header(wave.channels, wave.rate, wave.bytes_between(first, last)))
    for start, end in zip(bounds, bounds[1:]):
        alone.frame_start, alone.frame_end = start, end - 1
        size = wave.bytes_between(start, end)
        try:
            with bpy.context.temp_override(
                scene=alone, view_layer=alone.view_layers[0], **sequencer
            ):
                # Esc, wherever it is pressed, sets a flag that ends Blender 5.2's mix-downs after
                # their first block. This clears it, as rendering would; the copy has nothing to
                # bake.
                bpy.ops.ptcache.bake_all(bake=False)
                bpy.ops.sound.mixdown(
                    filepath=piece_path,
                    check_existing=False,
                    container="WAV",
                    codec="PCM",
                    format="F32",
                    channels="MONO" if wave.channels == 1 else "STEREO",
                    mixrate=wave.rate,
                )
        except RuntimeError as error:
            raise _mix_error(voice, reason_of(error)) from error
        yield from _wait_until_written(voice, piece_path, size, (start - first) / (last - first))
        # silence where it is shorter
        sound = Path(piece_path).read_bytes()[_data_of(piece_path)[0] :][:size].ljust(size, b"\0")
        samples = np.frombuffer(sound, "<f4").reshape(-1, wave.channels)
        before = (file.tell() - _HEADER) // samples.strides[0]
        _check_numbers(
            voice.strip, sound_name(by_name(alone, voice.strip)), samples, before, wave.rate
        )
        file.write(sound)
        os.remove(piece_path)
        yield (end - first) / (last - first)


def _copy_with_only(scene, strip, shift: int):
    """A copy of a scene, `shift` frames later, in which only one strip plays and no object has to
    be evaluated."""
    name, parents = strip.name, [meta.name for meta in lineage(scene, strip)[0]]
    copy = scene.copy()
    for member in list(copy.collection.objects):
        copy.collection.objects.unlink(member)
    for child in list(copy.collection.children):
        copy.collection.children.unlink(child)
    members = compat.strips_all(copy.sequence_editor)
    for other in members:
        other.mute = other.name != name and other.name not in parents
    copy.use_preview_range, copy.background_set = False, None
    copy.audio_volume, copy.use_audio = 1.0, True  # the master's volume is not the strip's
    if shift:
        action = copy.animation_data.action if copy.animation_data else None
        slot = compat.slot_of(copy)
        if action is not None:  # moving a strip moves its keys, which are still the animator's
            copy.animation_data.action = None
        outermost = members[parents[0] if parents else name]
        move(outermost, compat.content_start(outermost) + shift)
        if action is not None:
            action = action.copy()
            compat.shift(action, shift)
            compat.assign_action(copy, action, slot)
    return copy


def _remove_copy(copy, scene) -> None:
    """Remove a copy that `_copy_with_only` made, and the action it may have been given."""
    action = copy.animation_data.action if copy.animation_data else None
    bpy.data.scenes.remove(copy)
    if action is not None and (
        scene.animation_data is None or action != scene.animation_data.action
    ):
        bpy.data.actions.remove(action)


def _wait_until_written(
    voice: Voice, path: str, expected: int, fraction: float
) -> Generator[float, None, None]:
    """Wait until a WAV file of `expected` bytes of sound is complete."""
    size, grown = -1, time.monotonic()
    while True:
        have = _sound_bytes(path)
        if have is not None:
            if have >= expected - _ROUNDING:
                return
            raise ThunderError(
                f"Esc stopped Blender's mix-down of “{voice.strip}”: try again, after rendering a "
                f"frame (F12) if that does not help"
            )
        now = os.path.getsize(path) if os.path.exists(path) else 0
        if now != size:
            size, grown = now, time.monotonic()
        elif time.monotonic() > grown + MIX_PATIENCE:
            raise _mix_error(voice, "Blender stopped writing")
        yield fraction
        time.sleep(0.002)


def _data_of(path: str) -> tuple[int, int, int] | None:
    """(where the sound of a WAV file begins, bytes its header declares, bytes it has)."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
            length = file.seek(0, os.SEEK_END)
    except OSError:
        return None
    at = head.find(b"data")
    if at < 0 or len(head) < at + 8:
        return None
    return at + 8, struct.unpack("<I", head[at + 4 : at + 8])[0], length - at - 8


def _sound_bytes(path: str) -> int | None:
    """Bytes of sound in a finished WAV file; None while its header does not agree with its
    length."""
    result = _data_of(path)
    return result[1] if result is not None and 0 < result[1] <= result[2] else None


def wav_header(channels: int, rate: int, size: int) -> bytes:
    """Header of a WAV file of 32-bit float samples."""
    frame = channels * _BYTES
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, channels, rate, rate * frame, frame, 8 * _BYTES)
        + struct.pack("<4sI", b"data", size)
    )


def _mix_error(voice, detail: str) -> ThunderError:
    """The error for a strip that Blender could not mix down."""
    return ThunderError(
        f"Blender could not mix down the strip “{voice.strip}” ({detail}): remove its retiming, "
        f"modifiers and drivers"
    )


def _check_numbers(name: str, file_name: str, samples: np.ndarray, before: int, rate: int) -> None:
    """Raise BadSound if samples [n, channels] of a strip and its file are not all numbers. before:
    number of samples before them."""
    good = np.isfinite(samples).all(axis=1)
    if not good.all():
        seconds = (before + int(np.argmin(good))) / rate
        raise BadSound(
            f"The strip “{name}” holds values that are not numbers (first {seconds:.2f} s after "
            f"its beginning): export its sound file "
            f"“{file_name}” again, and check the strip's volume and modifiers"
        )


# name of a file that a voice was mixed down into → name of the voice
_names = session.add(Memory())


def name_file(path: str, name: str) -> None:
    """Let `with_names` call a temporary file by the name of the voice that was mixed down into
    it."""
    _names.known[os.path.basename(path)] = name


def with_names(error: ThunderError) -> ThunderError:
    """An error of the engine that names a temporary file with the voice's name in its place; any
    other error as it is."""
    text = str(error)
    file = (
        next((file for file in _names.known if file in text), None)
        if isinstance(error, BadSound | NoVoice)
        else None
    )
    return error if file is None else type(error)(text.replace(file, _names.known[file]))


def sound_for_engine(client: Client, voice: Voice) -> Generator[Step, None, str]:
    """Steps that put the sound of a voice where the engine can read it. Returns the path."""
    if voice.path:
        return voice.path
    path = os.path.join(client.folder, f"voice_{time.monotonic_ns()}.wav")
    name_file(path, voice.name)
    yield from stage(mix_down(voice, path), "Mixing down the voice", 0.0, 0.05)
    return path


@contextlib.contextmanager
def split_speakers(
    path: str, spans: tuple[tuple[float, float], ...], name: str
) -> Iterator[tuple[str, str]]:
    """Two copies of the mix-down of a voice, one with these parts alone, seconds, and one with all
    others; removed afterwards. name: of the voice."""
    data = Path(path).read_bytes()
    channels, rate = struct.unpack("<HI", data[22:28])
    samples = np.frombuffer(data, "<f4", offset=_HEADER).reshape(-1, channels)
    times = np.arange(len(samples)) / rate
    heard = np.max(
        [np.minimum(times - begin, end - times) / _EDGE + 1.0 for begin, end in spans], axis=0
    ).clip(0.0, 1.0)[:, None]
    copies = {
        f"{path}.{number}.wav": samples * share for number, share in enumerate((heard, 1.0 - heard))
    }
    try:
        for copy, sound in copies.items():
            name_file(copy, name)
            Path(copy).write_bytes(data[:_HEADER] + sound.astype("<f4").tobytes())
        yield tuple(copies)
    except OSError as error:
        raise no_space(path, error) from error
    finally:
        for copy in copies:
            Path(copy).unlink(missing_ok=True)


def with_sound(
    client: Client, voice: Voice, work: Callable[[str], Generator[Step, None, T]]
) -> Generator[Step, None, T]:
    """Steps of `work` with the path of a voice's sound for the engine; what was mixed down for it
    is removed. Returns the value of `work`."""
    sound = ""
    try:
        sound = yield from restart_after_undo(lambda: sound_for_engine(client, voice))
        return (yield from work(sound))
    finally:
        if not voice.path and os.path.exists(sound):
            os.remove(sound)
