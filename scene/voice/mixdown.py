# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a voice's strip alone as a WAV file: read from the strip's file, or mixed down by
Blender in short pieces."""

import contextlib
import math
import os
import struct
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import bpy
import numpy as np

from ...thunder_core.client import Client
from ...thunder_core.errors import BadSound, Cancelled, NoVoice, ThunderError
from ...thunder_core.files import reason_of
from ...thunder_core.progress import no_progress
from ..host import compat
from ..host.jobs import restart_after_undo, stage, Step
from ..host.session import Memory, session
from . import strip_file
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
    plan = strip_file.plan_of(
        scene, strip, int(voice.clock.start), int(voice.last), voice.clock.fps
    )
    if plan is None:
        yield from _mix_with_blender(voice, scene, strip, path)
    else:
        yield from _write_in_thread(plan, path)


def _write_in_thread(plan: strip_file.Plan, path: str) -> Generator[float, None, None]:
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


def write(
    plan: strip_file.Plan, path: str, progress: Callable[[float], None] = no_progress
) -> None:
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
            strip_file.check_space(path, size + (1 << 20))
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
        raise strip_file.no_space(path, error) from error
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
    strip_file.check_space(path, wave.bytes_between(first, last) + (1 << 20))
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
        raise strip_file.no_space(path, error) from error
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
        raise strip_file.no_space(path, error) from error
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
