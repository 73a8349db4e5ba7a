# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a voice's strip alone as a WAV file: read from the strip's file, where trim, offset
and volume are applied here without Blender's data, or mixed down by Blender, in short pieces beside
a window."""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import os
import shutil
import struct
import tempfile
import time
import wave
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...thunder_core.client import Client
from ...thunder_core.errors import BadSound, Cancelled, is_full_disk, NoSpace, NoVoice, ThunderError
from ...thunder_core.files import not_a_file, reason_of
from ...thunder_core.progress import no_progress
from ...thunder_core.protocol import MIX, say_missing
from ..host import compat, jobs, playback
from .fingerprint import channel_of
from .strip import by_name, lineage, Voice

# seconds without a byte written: Blender 5.2 mixes down in the background and reports no failure
MIX_PATIENCE = 5.0
PIECE_SECONDS = 2.0  # length mixed down at once
LONGEST = 60 * 60  # seconds of a sound of unknown length that are read
_HEADER = 44  # bytes of the header that `wav_header` makes
_BYTES = 4  # bytes per sample: the mix-down is 32-bit float
_SPARE = 1 << 20  # bytes that must be left on a disk beside a sound
_LARGEST = 2**32  # largest WAV file, bytes
_READ_BYTES = 24 << 18  # of a piece in memory at once: whole samples of 1 to 8 channels
_ROUNDING = 4096  # bytes that a piece may be short, because Blender's buffers round its length

# layouts that a mix-down has, by Blender's names of a sound's
_LAYOUTS = {
    "MONO": ("MONO", 1),
    "STEREO": ("STEREO", 2),
    "SURROUND4": ("SURROUND4", 4),
    "STEREO_LFE": ("SURROUND51", 6),
    "SURROUND5": ("SURROUND51", 6),
    "SURROUND51": ("SURROUND51", 6),
}
BLOCK = 5  # seconds of a sound in memory at once
# signatures of formats that can be decoded from any sample
_EXACT = (b"RIFF", b"RF64", b"fLaC", b"FORM")
# of those without places to decode from: Ogg, MP3, ADTS, where Blender is now and then 25 ms off
_STREAMS = (b"OggS", b"ID3", b"\xff")


@dataclass(frozen=True)
class SoundFile:
    """A sound file that is read piece by piece.

    begin: seconds into it at which the part begins.  frames: how many samples it has at most.
    read(first, last): samples float32 [≤ last − first, channels], fewer where it ends.
    """

    rate: int
    channels: int
    begin: float
    frames: int
    read: Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class MixPlan:
    """All data for assembling a strip's sound without Blender's data, in a thread if necessary.

    path: of the sound file.  packed: its bytes if it is packed.  begin: seconds into the sound.
    seconds: length used; 0 for all of it.
    volume: [n] over the strip, at even distances.  channel: as in `channels`; None for all.
    """

    name: str
    path: str
    packed: bytes | None
    begin: float
    seconds: float
    volume: np.ndarray
    channel: int | None = MIX

    @contextlib.contextmanager
    def open(self, folder: str = "") -> Iterator[SoundFile]:
        """The sound file by Blender's audaspace, to be read in blocks. folder: for decoding the
        part; "" for none: then formats that cannot be decoded from any sample may be off by some
        milliseconds from block to block.

        Raises BadSound, NoSpace or OSError.
        """
        bad = BadSound(
            f"The file of the strip “{self.name}” cannot be read as sound: choose another voice"
        )
        if self.packed is None and not_a_file(self.path):  # opening a pipe would block
            raise bad
        try:
            import aud
        except ImportError:  # a Blender built without sound
            with _open_wave(self.path, self.begin) as source:
                yield source
            return
        unreadable: Any = RuntimeError, aud.error, OSError

        def read(first: int, last: int) -> np.ndarray:
            begin = first // rate  # whole seconds: aud takes times in single precision
            try:
                samples = np.array(sound.limit(begin, -(-last // rate)).data(), np.float32)
            except unreadable as error:
                raise bad from error
            return samples[first - begin * rate : last - begin * rate]

        with tempfile.TemporaryDirectory(
            prefix="thunder_sound_", dir=folder or None, ignore_cleanup_errors=True
        ) as place:
            path, decoded = self.path, os.path.join(place, "decoded.wav")
            if self.packed is not None:
                path = os.path.join(place, "packed")
                Path(path).write_bytes(self.packed)
            try:
                sound: Any = aud.Sound(path)  # type: ignore[call-arg]
                rate, channels = (int(number) for number in sound.specs)
                if rate <= 0 or channels <= 0:
                    raise bad
                with open(path, "rb") as file:
                    form = file.read(4)
                begin = self.begin
                if folder and not form.startswith(_EXACT):
                    skipped = max(0.0, begin)
                    if form.startswith(_STREAMS):
                        seconds = math.ceil(skipped + self.seconds)
                        output = sound.join(aud.Sound.silence(rate).rechannel(channels))
                    else:  # where the sequencer finds it, which may be a second off
                        seconds, begin = math.ceil(self.seconds), min(0.0, begin)
                        output = aud.Sequence(channels, rate, 1.0, False)  # type: ignore[call-arg]
                        output.add(sound, 0.0, seconds, skipped)  # type: ignore[call-arg]
                    check_space(decoded, seconds * rate * channels * _BYTES)
                    # With silence after its end: what `write` adds to the last buffer is noise.
                    kind = (aud.FORMAT_FLOAT32, aud.CONTAINER_WAV, aud.CODEC_PCM)
                    output.limit(0, seconds).write(decoded, 0, 0, *kind, 0, 1 << 16)
                    sound = aud.Sound(decoded)  # type: ignore[call-arg]
                # a stream does not tell its length
                frames = int(sound.length) if sound.length > 0 else LONGEST * rate
                source = SoundFile(rate, channels, begin, frames, read)
            except unreadable as error:
                raise bad from error
            yield source

    def count(self, source: SoundFile) -> int:
        """Number of samples that play."""
        return int(round(self.seconds * source.rate)) if self.seconds else source.frames

    def blocks(self, source: SoundFile) -> Iterator[np.ndarray]:
        """The samples that play, float32 [n], or [n, channels] of all, BLOCK seconds at a time.
        Raises BadSound."""
        if self.channel and self.channel > source.channels:
            raise BadSound(say_missing(self.name, self.channel, source.channels))
        count = self.count(source)
        offset = int(round(source.begin * source.rate))
        size = BLOCK * source.rate
        places = np.linspace(0, 1, len(self.volume))
        for start in range(0, count, size):
            end = min(count, start + size)
            block = np.zeros((end - start, source.channels), np.float32)
            first, last = max(0, start + offset), end + offset
            if first < last:
                samples = source.read(first, last)
                block[first - offset - start :][: len(samples)] = samples
                if not self.seconds and len(samples) < last - first:
                    count, block = 0, block[: len(samples)]
            if (self.volume != 1).any():
                times = np.arange(start, start + len(block)) / max(1, count - 1)
                block *= np.interp(times, places, self.volume)[:, None].astype(np.float32)
            yield block if self.channel is None else _single(block, self.channel)
            if not count:
                return


def _single(samples: np.ndarray, channel: int) -> np.ndarray:
    """One channel of [n, channels], or their mean, [n]."""
    return np.ascontiguousarray(samples[:, channel - 1]) if channel else samples.mean(axis=1)


@contextlib.contextmanager
def _open_wave(path: str, begin: float) -> Iterator[SoundFile]:
    """A 16-bit WAV file by Python alone. Raises BadSound."""
    try:
        with wave.open(path) as file:
            if file.getsampwidth() != 2:
                raise wave.Error

            def read(first: int, last: int) -> np.ndarray:
                file.setpos(min(first, file.getnframes()))
                samples = (
                    np.frombuffer(file.readframes(last - first), "<i2").astype(np.float32) / 32768
                )
                return samples.reshape(-1, file.getnchannels())

            channels = file.getnchannels()
            yield SoundFile(file.getframerate(), channels, begin, file.getnframes(), read)
    except (wave.Error, EOFError) as error:
        raise BadSound(
            f"“{path}” is not a 16-bit WAV, the only format this Blender can read: save it as one"
        ) from error


def plan_of(
    scene: bpy.types.Scene, strip: bpy.types.SoundStrip, first: int, last: int, fps: float
) -> MixPlan | None:
    """A plan for reading the sound of a strip from frame `first` up to `last`; None for a strip
    that only Blender can mix down: retimed, with modifiers, or with a volume that is driven or
    animated in the NLA.

    Pan is ignored: it is not of the voice.
    """
    members = [*lineage(scene, strip)[0], strip]
    paths = tuple(_volume_path(scene, member) for member in members)
    animation = scene.animation_data
    if animation is not None:
        tracks = [compat.curves_in_strips(track.strips) for track in animation.nla_tracks]
        curves = itertools.chain(animation.drivers, *tracks)
        if any(curve.data_path.endswith(paths) for curve in curves):
            return None
    if len(getattr(strip, "retiming_keys", ())) or len(strip.modifiers):
        return None
    sound = strip.sound
    assert sound is not None  # `of_strip` has no voice without one
    begin = (
        first - compat.content_start(strip) + compat.content_trim(strip)
    ) / fps - strip.sound_offset
    return MixPlan(
        strip.name,
        bpy.path.abspath(sound.filepath, library=sound.library),
        None if sound.packed_file is None else bytes(sound.packed_file.data),
        begin,
        (last - first) / fps,
        np.prod([_volume(scene, member, first, last) for member in members], axis=0),
        channel_of(scene, strip),
    )


def plan_of_voice(scene: bpy.types.Scene, voice: Voice) -> MixPlan | None:
    """A plan for reading a voice, a sound file or a strip; None for a strip that only Blender can
    mix down."""
    if voice.path:
        return plan_of_file(voice.name, voice.path, voice.channel)
    speaking = by_name(scene, voice.strip)
    return plan_of(scene, speaking, int(voice.clock.start), voice.state.last, voice.clock.fps)


def plan_of_file(name: str, path: str, channel: int | None) -> MixPlan:
    """A plan for reading a whole sound file."""
    return MixPlan(name, path, None, 0.0, 0.0, np.ones(2, np.float32), channel)


def _volume_path(scene: bpy.types.Scene, strip: bpy.types.SoundStrip) -> str:
    """The end of the animation path of a strip's volume."""
    name = bpy.utils.escape_identifier(strip.name)
    assert scene.sequence_editor is not None  # which holds the strip
    return f'{compat.strips_all_name(scene.sequence_editor)}["{name}"].volume'


def _volume(
    scene: bpy.types.Scene, strip: bpy.types.SoundStrip, first: int, last: int
) -> np.ndarray:
    """The volume of a strip, or of a meta that contains it, on the frames `first` to `last`; 0
    where it does not play. Float32 [n]."""
    frames = np.arange(first, last + 1)
    curves = [
        curve
        for curve in compat.curves_for(scene)
        if curve.data_path.endswith(_volume_path(scene, strip)) and not curve.mute
    ]
    # metas have a volume since Blender 5.2
    volume = np.full(len(frames), getattr(strip, "volume", 1.0), np.float32)
    if curves:
        volume[:] = [max(0.0, curves[0].evaluate(float(frame))) for frame in frames]
    begin, end = compat.strip_span(strip)
    volume[(frames < begin) | (frames > end)] = 0.0
    return volume


def check_space(path: str, needed: int) -> None:
    """Raise BadSound, NoSpace or ThunderError at once if a WAV file of `needed` bytes cannot be
    written: Blender itself aborts when a mix-down fills the disk."""
    if needed > _LARGEST:
        raise BadSound(
            "The voice is too long for its sample rate and channels: cut its strip into shorter "
            "ones"
        )
    try:
        if shutil.disk_usage(os.path.dirname(path)).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
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


def mix_down(voice: Voice, path: str, quietly: bool = False) -> Generator[float, None, None]:
    """Write the sound of a voice's strip alone to a WAV file, as a generator to be run to its end.

    The first sample is heard at voice.clock.start. Yields the fraction done; the caller must
    prevent undo meanwhile, and remove the file. quietly: without changing Blender's data. Raises
    BadSound, NoSpace or ThunderError.
    """
    scene = bpy.data.scenes.get(voice.scene)
    strip = by_name(scene, voice.strip)
    if scene is None or strip is None:
        raise BadSound(
            f"The strip “{voice.strip}” is no longer in the sequencer: choose another voice"
        )
    plan = plan_of(scene, strip, int(voice.clock.start), voice.state.last, voice.clock.fps)
    if plan is not None:
        yield from _write_in_thread(plan, path)
    elif quietly:
        raise BadSound(
            f"“{voice.name}” is retimed, driven or has modifiers: press Hear the Lips to score it, "
            f"or Generate Takes for new ones"
        )
    else:
        yield from _mix_with_blender(voice, scene, strip, path)


def _write_in_thread(plan: MixPlan, path: str) -> Generator[float, None, None]:
    """As `write`, in a thread: a compressed file is decoded first, which takes seconds where the
    recording is long."""
    # of its own: a thread that is closed may still write while another one begins again
    fraction, stopped, part = 0.0, False, f"{path}.{time.monotonic_ns()}.part"

    def progress(done: float) -> None:
        nonlocal fraction
        fraction = done
        if stopped:
            raise Cancelled

    pool = ThreadPoolExecutor(1, "thunder voice")
    writing = pool.submit(write, plan, part, progress)
    pool.shutdown(wait=False)  # nobody who cancels waits for it
    try:
        while not writing.done():
            yield fraction
            time.sleep(0.002)
    finally:
        stopped = True
    writing.result()
    os.replace(part, path)


def write(plan: MixPlan, path: str, progress: Callable[[float], None] = no_progress) -> None:
    """Write the sound of a strip's file to a WAV file. `progress` is called with 0 … 1 and may
    raise to stop.

    Raises BadSound, NoSpace or ThunderError; whatever is raised, the file is then removed.
    """
    written = False
    try:
        with plan.open(os.path.dirname(path)) as source:
            channels = source.channels if plan.channel is None else 1
            size = plan.count(source) * channels * _BYTES
            check_space(path, size + _SPARE)
            with open(path, "wb") as file:
                file.write(wav_header(channels, source.rate, size))
                for block in plan.blocks(source):
                    file.write(block.data)
                    progress(min(1.0, (file.tell() - _HEADER) / max(1, size)))
        written = True
    except OSError as error:
        raise no_space(path, error) from error
    finally:
        if not written and os.path.exists(path):
            os.remove(path)


def _mix_with_blender(
    voice: Voice, scene: bpy.types.Scene, strip: bpy.types.SoundStrip, path: str
) -> Generator[float, None, None]:
    """As `mix_down`, for a strip that only Blender can mix down: a copy of the scene with
    everything else muted, at the sound's rate, a few seconds at a time so that no step takes
    long.

    Without a window Blender 5.2 mixes down in a job that ends only with its scene, and begins no
    other before: there it mixes the whole strip at once.
    """
    first, last = int(voice.clock.start), voice.state.last
    if first < 0:
        raise BadSound(
            f"“{voice.strip}” begins before frame 0, where Blender cannot mix down a strip that is "
            f"retimed, driven or has modifiers: move it later"
        )
    sound = strip.sound
    assert sound is not None  # `of_strip` has no voice without one
    layout, channels = _LAYOUTS.get(sound.channels, ("SURROUND71", 8))
    channel = channel_of(scene, strip)
    if channel and channel > channels:
        raise BadSound(say_missing(voice.name, channel, channels))
    kept = channels if channel is None else 1
    rate = min(192000, max(8000, int(sound.samplerate)))
    is_job = compat.MIXES_IN_JOBS and bpy.app.background
    bounds = [first, last] if is_job else _bounds(first, last, voice.clock.fps)
    samples = [int(frame / voice.clock.fps * rate) for frame in bounds]  # as Blender counts
    counts = np.diff(samples).tolist()
    sizes = [count * channels * _BYTES for count in counts]
    check_space(path, sum(sizes) + _SPARE)
    piece = Path(f"{path}.piece.wav")
    try:
        with (
            playback.apart(scene, ()) as alone,
            _ending_jobs(alone) if is_job else contextlib.nullcontext(),
            open(path, "wb") as file,
        ):
            _let_play(alone, [strip.name, *(meta.name for meta in lineage(scene, strip)[0])])
            yield 0.0  # a copy of the scene is enough for one slice
            file.write(wav_header(kept, rate, sum(counts) * kept * _BYTES))
            for start, end, size in zip(bounds, bounds[1:], sizes):
                alone.frame_start, alone.frame_end = start, end - 1
                _mix_piece(voice, alone, piece, layout, rate)
                fraction = (start - first) / (last - first)
                begin, length = yield from _wait_until_written(voice, piece, size, fraction)
                with open(piece, "rb") as mixed:
                    mixed.seek(begin)
                    for done in range(0, size, _READ_BYTES):
                        count = min(size - done, _READ_BYTES)
                        part = mixed.read(max(0, min(count, length - done)))
                        # silence where it is shorter
                        heard = np.frombuffer(part.ljust(count, b"\0"), "<f4")
                        heard = heard.reshape(-1, channels)
                        file.write((heard if channel is None else _single(heard, channel)).data)
                piece.unlink()
                yield (end - first) / (last - first)
    except OSError as error:
        raise no_space(path, error) from error
    finally:
        piece.unlink(missing_ok=True)


@contextlib.contextmanager
def _ending_jobs(scene: bpy.types.Scene) -> Iterator[None]:
    """Delete a scene at the end as an animator would: Blender's jobs of it end too."""
    try:
        yield
    finally:
        if playback.is_there(scene):
            with bpy.context.temp_override(scene=scene):
                bpy.ops.scene.delete()


def _bounds(first: int, last: int, fps: float) -> list[int]:
    """Frames at which the pieces of a mix-down begin, and the frame after the last piece."""
    bounds = [*range(first, last, max(2, math.ceil(PIECE_SECONDS * fps))), last]
    # Blender aborts when it mixes down a single frame
    if len(bounds) > 2 and bounds[-1] - bounds[-2] < 2:
        del bounds[-2]
    return bounds


def _mix_piece(voice: Voice, alone: bpy.types.Scene, piece: Path, layout: str, rate: int) -> None:
    """Have Blender mix down a scene's frames into a WAV file. Raises ThunderError."""
    sequencer: Any = {"sequencer_scene": alone} if hasattr(bpy.context, "sequencer_scene") else {}
    try:
        with bpy.context.temp_override(scene=alone, view_layer=alone.view_layers[0], **sequencer):
            # Esc, wherever it is pressed, sets a flag that ends Blender 5.2's mix-downs after
            # their first block. This clears it, as rendering would; the copy has nothing to
            # bake.
            bpy.ops.ptcache.bake_all(bake=False)
            bpy.ops.sound.mixdown(
                filepath=str(piece),
                check_existing=False,
                container="WAV",
                codec="PCM",
                format="F32",
                channels=layout,  # type: ignore[arg-type]  # one of _LAYOUTS
                mixrate=rate,
            )
    except RuntimeError as error:
        raise _mix_error(voice, reason_of(error)) from error


def _let_play(copy: bpy.types.Scene, names: list[str]) -> None:
    """Let only the strips of these names play in a copy of a scene."""
    assert copy.sequence_editor is not None  # as in the scene
    for other in compat.strips_all(copy.sequence_editor):
        other.mute = other.name not in names
    copy.use_preview_range, copy.background_set = False, None
    copy.audio_volume, copy.use_audio = 1.0, True  # the master's volume is not the strip's


def _wait_until_written(
    voice: Voice, piece: Path, expected: int, fraction: float
) -> Generator[float, None, tuple[int, int]]:
    """Wait until a WAV file of `expected` bytes of sound is complete; returns its first byte, and
    their number."""
    size, grown = -1, time.monotonic()
    while (sound := _place_of_sound(piece)) is None:
        now = piece.stat().st_size if piece.exists() else 0
        if now != size:
            size, grown = now, time.monotonic()
        elif time.monotonic() > grown + MIX_PATIENCE:
            raise _mix_error(voice, "Blender stopped writing")
        yield fraction
        time.sleep(0.002)
    if sound[1] < expected - _ROUNDING:
        raise ThunderError(
            f"Esc stopped Blender's mix-down of “{voice.strip}”: try again, after rendering a "
            f"frame (F12) if that does not help"
        )
    return sound


def _place_of_sound(piece: Path) -> tuple[int, int] | None:
    """(first byte, number of bytes) of the sound in a finished WAV file; None while its header does
    not agree with its length."""
    if not piece.exists():
        return None
    with open(piece, "rb") as file:
        header, length = file.read(4096), os.fstat(file.fileno()).st_size
    at = header.find(b"data") + 8
    size = int.from_bytes(header[at - 4 : at], "little")
    return (at, size) if at > 8 and 0 < size <= length - at else None


def wav_header(channels: int, rate: int, size: int) -> bytes:
    """Header of a WAV file of 32-bit float samples."""
    frame = channels * _BYTES
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, channels, rate, rate * frame, frame, 8 * _BYTES)
        + struct.pack("<4sI", b"data", size)
    )


def _mix_error(voice: Voice, detail: str) -> ThunderError:
    """The error for a strip that Blender could not mix down."""
    return ThunderError(
        f"Blender could not mix down the strip “{voice.strip}” ({detail}): remove its retiming, "
        f"modifiers and drivers"
    )


@contextlib.contextmanager
def sound_for_engine(
    client: Client, voice: Voice, quietly: bool = False
) -> Iterator[tuple[str | list, Iterable[jobs.Step]]]:
    """(a voice's sound for the engine: a path, or a file's [path, channel]; Steps that put it
    there); what was mixed down is removed afterwards. Errors that name its file name the voice
    instead.

    quietly: as of `mix_down`.
    """
    if voice.path:
        yield voice.path if voice.channel is None else [voice.path, voice.channel], ()
        return
    path = os.path.join(client.folder, f"voice_{time.monotonic_ns()}.wav")

    def mixing():
        return jobs.stage(mix_down(voice, path, quietly), "Mixing down the voice", 0.0, 0.05)

    try:
        yield path, mixing() if quietly else jobs.restart_after_undo(mixing)
    except (BadSound, NoVoice) as error:
        raise type(error)(str(error).replace(os.path.basename(path), voice.name)) from error
    finally:
        Path(path).unlink(missing_ok=True)
