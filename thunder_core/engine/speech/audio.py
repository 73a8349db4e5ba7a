# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads any sound file as 16 kHz mono speech for the models, or raises an error that explains why
it cannot."""

import contextlib
import math
import os
import subprocess
import tempfile
import time
import wave

import numpy as np

from ... import system_calls
from ...animation.motion_file import VIDEOS
from ...errors import BadSound, NoVoice
from ...files import not_a_file
from ...progress import no_progress, Progress
from ...protocol import MIX, say_missing
from ...types import RATE, Speech
from ...wav import Unsized
from . import speaking_channel

SHORTEST = 0.3  # seconds; less than a syllable, and less than the encoder's receptive field
LONGEST = 60 * 60  # seconds; more than an hour of one strip is a mistake
SILENCE = 1e-4  # peak deviation from the mean below which nothing can be heard (−80 dB)
LOWEST_RATE = 4000  # Hz; below it no speech survives (telephone: 8000)
HIGHEST_RATE = 768000  # Hz; no recorder goes beyond, damaged headers do
# samples, of all channels together, decoded at once, however many channels a file has
DECODED = 1 << 18
POLL = 0.05  # seconds between two checks for cancellation while ffmpeg reads
FRAME = 320  # samples; 20 ms
# a spike is this many times louder than all but half a second of the loudest frames
SPIKE_FRAMES, SPIKE_FACTOR = 25, 4.0
# ffmpeg's names of sound formats, without playlists, concatenations, devices and filters, which
# refer to other files.
FORMATS = (
    "aac,ac3,act,aiff,amr,amrnb,amrwb,ape,asf,au,avi,bit,caf,dsf,dts,dtshd,eac3,flac,flv,g722,g729,gsm,iff,ircam,loas,matroska,"
    "mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,oga,ogg,oma,qcp,rm,rso,shn,sln,sox,tak,truehd,tta,voc,vqf,w64,wav,wsaud,"
    "wv,xwma"
)


def read_sound(
    path: str | os.PathLike,
    progress: Progress = no_progress,
    may_be_silent: bool = False,
    channel: int | None = None,
) -> Speech:
    """The sound in `path`, mono, 16 kHz, float32 −1..1.

    channel: of `channels`; None: the mean of all, or the one that speaks where that would blur it.

    Reads what libsndfile reads (WAV, FLAC, OGG, MP3, AIFF …) and, where an ffmpeg is on PATH, what
    that reads, block by
    block: an hour at any rate needs little more memory than its result. `progress` is called with 0
    … 1 several times a second and may raise to stop.  A sound beyond ±1 is scaled down as a whole;
    only a spike (a few milliseconds, four times louder than the loudest half second besides) is cut
    off, since it would hide the voice.

    Raises BadSound (no file, not a sound, shorter than 0.3 s, longer than 60 min, not-a-number
    samples, no such channel, channels that cancel each other) and, unless it `may_be_silent`,
    NoVoice (digital silence).
    """
    path = os.fspath(path)
    name = os.fsencode(os.path.basename(path)).decode("utf-8", "replace")
    if not os.path.exists(path):
        raise BadSound(f"There is no sound file “{name}”: check that it was not moved or deleted")
    if problem := not_a_file(path):
        raise BadSound(f"{problem}: choose another sound file")

    sound = _read_with_soundfile(path, name, progress, channel)
    if sound is None:
        sound = _read_with_ffmpeg(path, name, progress, channel)
    return _check_sound(sound, name, may_be_silent, progress)


def sound_of(samples: np.ndarray, rate: int, name: str, channel: int | None = None) -> Speech:
    """Samples [n] or [n, channels] at `rate` Hz as speech: floating-point −1..1, or whole numbers
    of any size; they may be silent. channel: as of `read_sound`.

    Raises BadSound as `read_sound`.
    """
    samples = np.asarray(samples)
    if samples.dtype.kind not in "fiu" or samples.ndim not in (1, 2) or not samples.size:
        raise BadSound(
            f"“{name}” has no samples of a sound, [n] or [n, channels]: {samples.dtype} "
            f"{list(samples.shape)}"
        )
    if samples.dtype.kind != "f":
        limits = np.iinfo(samples.dtype)
        samples = (samples.astype(np.float64) - (limits.min + limits.max + 1) // 2) / 2 ** (
            limits.bits - 1
        )
    samples = samples.reshape(len(samples), -1).astype(np.float32)

    def read(channel):
        mono = _Mono(_check_rate(rate, name), name, channel)
        for start in range(0, len(samples), DECODED):
            mono.add(samples[start : start + DECODED])
        return mono

    mono = read(channel)
    if best := mono.best_channel():
        mono = read(best)
    return _check_sound(mono, name, True)


def _check_sound(
    sound: "_Mono", name: str, may_be_silent: bool, progress: Progress = no_progress
) -> Speech:
    """A collected sound as speech, if it can be used. Raises BadSound, NoVoice."""
    mono = sound.samples()
    seconds = len(mono) / RATE
    if seconds < SHORTEST:
        raise BadSound(
            f"“{name}” holds {seconds:.2f} s of sound: choose one of at least {SHORTEST} s"
        )
    lowest, highest = float(mono.min()), float(mono.max())
    # the latter if the filter cannot add the numbers up
    if sound.first_bad is not None or not math.isfinite(lowest + highest):
        first_bad = (
            int(np.argmin(np.isfinite(mono))) / RATE if sound.first_bad is None else sound.first_bad
        )
        raise BadSound(
            f"“{name}” holds values that are not numbers (first at {first_bad:.2f} s): export the "
            f"sound again"
        )
    mean = float(mono.mean(dtype=np.float64))
    if max(highest - mean, mean - lowest) < SILENCE:
        if np.max(sound.highest - sound.lowest) / 2 >= 100 * SILENCE:
            raise BadSound(
                f"The channels of “{name}” cancel each other when mixed to one: use a single "
                f"channel of it"
            )
        if may_be_silent:
            return Speech(np.zeros_like(mono), channel=sound.channel or MIX)
        raise NoVoice(
            f"“{name}” is silent: choose a sound with a voice in it, or turn up its volume"
        )
    peak = max(highest, -lowest)
    if peak > 1:
        ceiling = max(1.0, SPIKE_FACTOR * _peak_but_for_spikes(mono))
        if peak > ceiling:
            np.clip(mono, -ceiling, ceiling, out=mono)
            peak = ceiling
        mono /= np.float32(peak)
    progress(1.0)
    return Speech(mono, RATE, channel=sound.channel or MIX)


def write_sound(path: str | os.PathLike, speech: Speech) -> None:
    """Writes `speech` as a 16-bit WAV, samples beyond ±1 clipped. Raises OSError (ENOSPC when the
    disk is full)."""
    # Not with libsndfile, which reports a full disk as a damaged file.
    with open(path, "wb") as file, wave.open(file, "wb") as out:
        out.setparams((1, 2, speech.rate, len(speech.samples), "NONE", ""))
        for start in range(0, len(speech.samples), DECODED):
            block = np.clip(speech.samples[start : start + DECODED], -1, 1)
            out.writeframesraw(np.rint(block * 32767).astype("<i2").tobytes())


def _peak_but_for_spikes(mono: np.ndarray) -> float:
    """The highest absolute sample of [n] outside the loudest half second (or twentieth of a short
    sound)."""
    frames = mono[: len(mono) // FRAME * FRAME].reshape(-1, FRAME)
    peaks = np.maximum(frames.max(axis=1), -frames.min(axis=1))
    rank = min(SPIKE_FRAMES, max(2, len(peaks) // 20))
    return float(np.partition(peaks, -1 - rank)[-1 - rank])


class _Mono:
    """Collects blocks of a sound [n, channels] at `rate` as mono samples at 16 kHz.

    channel: as of `read_sound`; while it is None, the mean is collected and the one that speaks is
    looked for.  lowest, highest: sample of each channel.  first_bad: seconds before the first
    sample that is not a number, None if all are.
    """

    def __init__(self, rate: int, name: str, channel: int | None = MIX):
        self.rate, self.name, self.channel = rate, name, channel
        self.finder = speaking_channel.ChannelFinder(rate)
        self.resampler = None
        if rate != RATE:
            import soxr

            self.resampler = soxr.ResampleStream(rate, RATE, 1, "float32", "HQ")
        self.frames = 0
        self.lowest, self.highest = np.float32(np.inf), np.float32(-np.inf)
        self.first_bad: float | None = None
        self.done: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Take in float32 [n, channels]. Raises BadSound when the sound has become too long."""
        before, self.frames = self.frames, self.frames + len(block)
        if self.frames > LONGEST * self.rate:
            raise BadSound(
                f"“{self.name}” is longer than {LONGEST // 60} minutes: cut it into shorter strips"
            )
        if self.channel is None and 1 < block.shape[1] <= speaking_channel.MOST:
            self.finder.add(block)
        if self.channel:
            if self.channel > block.shape[1]:
                raise BadSound(say_missing(self.name, self.channel, block.shape[1]))
            block = block[:, self.channel - 1 : self.channel]
        self.lowest = np.fmin(self.lowest, block.min(axis=0))
        self.highest = np.fmax(self.highest, block.max(axis=0))
        mono = block.mean(axis=1)
        # Before the filter, which spreads such a sample over those around it.
        if self.first_bad is None and not (finite := np.isfinite(mono)).all():
            self.first_bad = (before + int(np.argmin(finite))) / self.rate
        self.done.append(mono if self.resampler is None else self.resampler.resample_chunk(mono))

    def best_channel(self) -> int:
        """The channel to read instead of the mean, MIX for none. To be called once, at the end."""
        return self.finder.best() if self.channel is None else MIX

    def samples(self) -> np.ndarray:
        """All samples, float32 [ceil(n · 16000 / rate)]. To be called once, at the end."""
        if self.resampler is not None:
            self.done.append(self.resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        out, at = np.zeros(-(-self.frames * RATE // self.rate), np.float32), 0
        self.done.reverse()
        while self.done:  # each freed as soon as it is copied: never twice the result
            # the filter's length is up to two samples off
            part = self.done.pop()[: len(out) - at]
            out[at : at + len(part)] = part
            at += len(part)
        return out


def _read_with_soundfile(
    path: str, name: str, progress: Progress, channel: int | None
) -> _Mono | None:
    """The sound as libsndfile reads it; None when that does not know the format."""
    import soundfile

    file = path if os.name == "nt" else os.fsencode(path)  # a name need not be UTF-8
    try:
        sound = soundfile.SoundFile(file)
        if not sound.frames:
            with contextlib.suppress(ValueError):
                sound = soundfile.SoundFile(Unsized(file))
    except (soundfile.LibsndfileError, TypeError, OSError):
        return None
    with sound:
        mono = _Mono(_check_rate(sound.samplerate, name), name, channel)
        # The header may promise more than the file holds (a stream, a broken copy), so it is used
        # for progress only; the samples read are counted.
        claimed = max(1, min(sound.frames, LONGEST * mono.rate))
        size = max(1, DECODED // sound.channels)
        try:
            while len(block := sound.read(size, dtype="float32", always_2d=True)):
                mono.add(block)
                progress(min(1.0, mono.frames / claimed))
        except soundfile.LibsndfileError:
            # A damaged end: keep the samples decoded before it; without any, the file is not a
            # sound.
            if not mono.frames:
                return None
    if best := mono.best_channel():
        return _read_with_soundfile(path, name, lambda *_: progress(1.0), best)
    return mono


def _check_rate(rate: int, name: str) -> int:
    """The rate, if a recording of a voice can have it. Raises BadSound."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise BadSound(
            f"“{name}” claims {rate} samples a second, which no voice recording has: export it "
            f"again"
        )
    return rate


def _read_with_ffmpeg(path: str, name: str, progress: Progress, channel: int | None) -> _Mono:
    """The sound as the ffmpeg on PATH reads it, from this local file alone; BadSound when that
    fails too.

    It ends with this process, and at once when `progress` raises.
    """
    ffmpeg, sound = system_calls.find_program("ffmpeg"), None
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "sound.wav")
        command = [
            ffmpeg or "ffmpeg", "-v", "error", "-nostdin", "-format_whitelist", FORMATS,
            "-protocol_whitelist", "file", "-i", "file:" + os.path.abspath(path), "-map", "0:a:0",
            "-map_metadata", "-1", "-ar", str(RATE), "-t", str(LONGEST + 1), "-c:a", "pcm_f32le",
            "-f", "wav", "-rf64", "auto", made,
        ]  # fmt: skip
        if ffmpeg and _run(command, progress):
            sound = _read_with_soundfile(made, name, progress, channel)
    if sound is None and name.lower().endswith(VIDEOS):
        raise BadSound(
            f"“{name}” has no sound that can be read here: save it as MP4 with its sound"
            + ("" if ffmpeg else ", and install ffmpeg")
        )
    if sound is None:
        raise BadSound(
            f"“{name}” is not a sound that can be read here: save it as WAV, FLAC, OGG or MP3"
        )
    return sound


def _run(command: list[str], progress: Progress) -> bool:
    """Run a program, and call `progress` meanwhile; whether it did what it should."""
    try:
        process = system_calls.start_child(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return False
    try:
        while process.poll() is None:
            progress(0.0)  # it does not report how far it is
            time.sleep(POLL)
        return process.returncode == 0
    finally:
        system_calls.end_child(process)
