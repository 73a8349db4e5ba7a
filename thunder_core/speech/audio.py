# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads any sound file as the 16 kHz mono speech the models hear, and says in a sentence why when it cannot."""

from __future__ import annotations

import hashlib
import io
import math
import os
import shutil
import subprocess
import tempfile

import numpy as np
from scipy.signal import resample_poly

from ..errors import BadSound, NoSpace, NoVoice
from ..types import RATE, Speech

SHORTEST = 0.3  # seconds; less than a syllable, and less than the encoder's receptive field
LONGEST = 60 * 60  # seconds; more than an hour of one strip is a mistake, and would not fit in memory
SILENCE = 1e-4  # peak deviation from the mean below which nothing can be heard (−80 dB)
LOWEST_RATE = 4000  # Hz; below it no speech survives (telephone: 8000)
HIGHEST_RATE = 768000  # Hz; no recorder goes beyond, damaged headers do
DECODING = 300  # seconds that ffmpeg may take for an hour of sound
BLOCK = 30  # seconds read and resampled at once, so that an hour needs no more memory than its result


def read_sound(path: str | os.PathLike) -> Speech:
    """The sound in `path`, mono (mean of the channels), 16 kHz, float32 −1..1.

    Reads what libsndfile reads (WAV, FLAC, OGG, MP3, AIFF …) and, where an ffmpeg is on PATH, what that reads.
    Samples beyond ±1 are scaled down as a whole, never clipped.

    Raises BadSound (no file, not a sound, shorter than 0.3 s, longer than 60 min, not-a-number samples, channels
    that cancel each other) and NoVoice (digital silence).
    """
    path = os.fspath(path)
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise BadSound(f"There is no sound file “{name}”: check that it was not moved or deleted")
    if not os.access(path, os.R_OK):
        raise BadSound(f"“{name}” may not be read: change its permissions or copy it elsewhere")

    mono, channel_swing = _read_with_soundfile(path, name)
    if mono is None:
        mono, channel_swing = _read_with_ffmpeg(path, name)

    seconds = len(mono) / RATE
    if seconds < SHORTEST:
        raise BadSound(f"“{name}” holds {seconds:.2f} s of sound: choose one of at least {SHORTEST} s")
    if not np.isfinite(mono).all():
        at = int(np.argmin(np.isfinite(mono))) / RATE
        raise BadSound(f"“{name}” holds values that are not numbers (first at {at:.2f} s): export the sound again")
    if float(np.abs(mono - mono.mean(dtype=np.float64)).max()) < SILENCE:
        if channel_swing >= 100 * SILENCE:
            raise BadSound(f"The channels of “{name}” cancel each other when mixed to one: use a single channel of it")
        raise NoVoice(f"“{name}” is silent: choose a sound with a voice in it, or turn up its volume")
    peak = float(np.abs(mono).max())
    if peak > 1:
        mono = (mono / peak).astype(np.float32)
    return Speech(samples=np.ascontiguousarray(mono, dtype=np.float32), rate=RATE)


def write_sound(path: str | os.PathLike, speech: Speech) -> None:
    """Writes `speech` as a 16-bit WAV, samples beyond ±1 clipped. Raises OSError (ENOSPC when the disk is full)."""
    import soundfile

    # By way of memory: libsndfile reports a full disk as a damaged file.
    memory = io.BytesIO()
    soundfile.write(memory, np.clip(speech.samples, -1, 1), speech.rate, subtype="PCM_16", format="WAV")
    with open(path, "wb") as file:
        file.write(memory.getbuffer())


def sound_hash(speech: Speech) -> str:
    """First 16 hexadecimal digits of the SHA-256 of the samples: the same sound has the same, whatever its file."""
    return hashlib.sha256(np.ascontiguousarray(speech.samples, dtype="<f4").tobytes()).hexdigest()[:16]


def _read_with_soundfile(path: str, name: str) -> tuple[np.ndarray | None, float]:
    """Mono 16 kHz samples and the widest swing of any channel; (None, 0) when libsndfile does not know the format."""
    import soundfile

    try:
        sound = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, TypeError, OSError):
        return None, 0.0
    with sound:
        rate = sound.samplerate
        if not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise BadSound(f"“{name}” claims {rate} samples a second, which no voice recording has: export it again")
        # The header may promise an hour that the file does not hold (a stream, a broken copy), so the claim alone
        # refuses only what cannot be meant; what is read is counted.
        blocks, frames, lowest, highest = [], 0, math.inf, -math.inf
        try:
            while True:
                block = sound.read(BLOCK * rate, dtype="float32", always_2d=True)
                if not len(block):
                    break
                frames += len(block)
                if frames > LONGEST * rate:
                    raise BadSound(_too_long(name))
                lowest, highest = np.fmin(lowest, block.min(axis=0)), np.fmax(highest, block.max(axis=0))
                blocks.append(block.mean(axis=1))
        except soundfile.LibsndfileError:
            # A damaged end: keep what was decoded before it; nothing decoded means it is no sound.
            if not blocks:
                return None, 0.0
    return _resample(blocks, rate), float(np.max(highest - lowest)) / 2 if blocks else 0.0


def _read_with_ffmpeg(path: str, name: str) -> tuple[np.ndarray, float]:
    """The same through the ffmpeg on PATH, from local files alone; BadSound when it knows no better."""
    no_sound = BadSound(f"“{name}” is not a sound that can be read here: save it as WAV, FLAC, OGG or MP3")
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise no_sound
    with tempfile.TemporaryDirectory(prefix="thunder-sound-") as folder:
        decoded = os.path.join(folder, "decoded.wav")
        command = [
            ffmpeg, "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", "file:" + os.path.abspath(path),
            "-map", "0:a:0", "-ar", str(RATE), "-t", str(LONGEST + 1), "-c:a", "pcm_f32le", "-rf64", "auto", decoded,
        ]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=DECODING)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise no_sound from error
        if b"No space left" in done.stderr:
            raise NoSpace(f"No space is left in “{tempfile.gettempdir()}” to decode “{name}”: free some and try again")
        if done.returncode != 0:
            raise no_sound
        mono, channel_swing = _read_with_soundfile(decoded, name)
    if mono is None:
        raise no_sound
    return mono, channel_swing


def _too_long(name: str) -> str:
    return f"“{name}” is longer than {LONGEST // 60} minutes: cut it into shorter strips"


def _resample(blocks: list[np.ndarray], rate: int) -> np.ndarray:
    """Blocks of one mono sound [n_i] at `rate` → float32 [ceil(n · 16000 / rate)].

    A polyphase filter (Kaiser window, 10 zero crossings) reaches a fixed distance, so each block is filtered with
    that much of its neighbours around it and the seams are exact.
    """
    if not blocks:
        return np.zeros(0, np.float32)
    if rate == RATE:
        return np.concatenate(blocks)
    shared = math.gcd(rate, RATE)
    up, down = RATE // shared, rate // shared
    reach = down * (math.ceil(10 * max(up, down) / up / down) + 1)  # a multiple of `down`: whole output samples
    out = []
    for i, block in enumerate(blocks):
        before = blocks[i - 1][-reach:] if i else np.zeros(0, np.float32)
        before = before[len(before) % down:]
        after = blocks[i + 1][:reach] if i + 1 < len(blocks) else np.zeros(0, np.float32)
        filtered = resample_poly(np.concatenate([before, block, after]), up, down)
        start = len(before) * up // down
        out.append(filtered[start : start + math.ceil(len(block) * up / down)])
    return np.concatenate(out).astype(np.float32, copy=False)
