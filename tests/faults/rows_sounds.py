# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table of faults: sound files, read as the engine reads them."""

import io
import os
import shutil
import struct

import numpy as np
from harness import Case, Fault, maker, SAMPLE

RATE = 16000


def voice(seconds: float = 0.6, peak: float = 0.5) -> np.ndarray:
    """Something like a voice: a buzz with a wobble, float [n]."""
    t = np.arange(int(seconds * RATE)) / RATE
    return peak * np.sin(2 * np.pi * 140 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * t))


def pcm(samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def wav(
    data: bytes,
    *,
    tag=1,
    channels=1,
    rate=RATE,
    bits=16,
    claimed=None,
    riff=None,
    before=b"",
    after=b"",
) -> bytes:
    """A WAV file of given bytes, whatever its header claims. claimed: size in the data chunk's
    header.  riff: of the file."""
    block = channels * bits // 8
    fmt = struct.pack(
        "<4sIHHIIHH",
        b"fmt ",
        16,
        tag,
        channels & 0xFFFF,
        rate,
        rate * block & 0xFFFFFFFF,
        block & 0xFFFF,
        bits,
    )
    body = (
        b"WAVE"
        + fmt
        + before
        + b"data"
        + struct.pack("<I", len(data) if claimed is None else claimed)
        + data
        + after
    )
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def encoded(kind: str, samples=None, rate=RATE) -> bytes:
    import soundfile

    memory = io.BytesIO()
    soundfile.write(memory, voice(1.0) if samples is None else samples, rate, format=kind)
    return memory.getvalue()


def flipped(data: bytes, every: int = 37, start: int = 60) -> bytes:
    """The same with a bit turned over in every so many bytes."""
    changed = bytearray(data)
    for at in range(start, len(changed), every):
        changed[at] ^= 1 << at % 8
    return bytes(changed)


@maker
def file(folder, content, name: str = "voice.wav"):
    """Makes a file of bytes, or of what a function returns; its path."""
    path = folder / name
    path.write_bytes(content() if callable(content) else content)
    return path


def read(case: Case):
    from thunder_core.engine.speech.audio import read_sound

    return read_sound(case.given)


def is_sound(case: Case, speech) -> str | None:
    """Whether what was read is sound: 16 kHz, numbers, within ±1, and not nothing."""
    samples = speech.samples
    if speech.rate != RATE or samples.dtype != np.float32 or not np.isfinite(samples).all():
        return "what was read is not 16 kHz of numbers"
    if not 0.01 < np.abs(samples).max() <= 1:
        return f"its peak is {np.abs(samples).max():.3g}"
    return None


def has_voice(case: Case, speech) -> str | None:
    """Whether the engine, which levels what was read, gets a voice that is loud enough to follow:
    an amplitude of −34 dB."""
    from thunder_core.acoustics import level

    if not np.isfinite(speech.samples).all() or np.abs(speech.samples).max() > 1:
        return "what was read is not numbers within ±1"
    amplitude = float(np.percentile(np.abs(level(speech.samples)), 90))
    return None if amplitude > 0.02 else f"its voice has an amplitude of {amplitude:.2g}"


def _fifo(folder):
    path = folder / "pipe.wav"
    os.mkfifo(path)
    return path


def _links(folder):
    (folder / "a.wav").symlink_to(folder / "b.wav")
    (folder / "b.wav").symlink_to(folder / "a.wav")
    return folder / "a.wav"


def _dangling(folder):
    (folder / "voice.wav").symlink_to(folder / "moved.wav")
    return folder / "voice.wav"


@maker
def _odd_name(folder, name: bytes):
    path = os.path.join(os.fsencode(folder), name)
    with open(path, "wb") as file:
        file.write(wav(pcm(voice())))
    return os.fsdecode(path)


@maker
def _hour(folder, rate: int, minutes: float):
    """A quiet file of so many minutes, most of which is a hole on the disk."""
    path, size = folder / "long.wav", int(60 * minutes * rate)
    with open(path, "wb") as file:
        file.write(wav(b"", bits=8, rate=rate, claimed=size, riff=size + 36))
        file.write((128 + 100 * voice(1.0)).astype(np.uint8).tobytes())
        file.truncate(44 + size)
    return path


def _spiked():
    samples = voice(2.0, 0.3).astype("<f4")
    samples[5000] = 5000.0
    return wav(samples.tobytes(), tag=3, bits=32)


def _faint():
    return wav((voice(1.0, 0.001)).astype("<f4").tobytes(), tag=3, bits=32)


def _floats(value: float, kind="<f4") -> bytes:
    samples = voice().astype(kind)
    samples[4000] = value
    return wav(samples.tobytes(), tag=3, bits=8 * samples.itemsize)


def _apart():
    return wav(pcm(np.stack([voice(), -voice()], 1)), channels=2)


_CONCAT = b"ffconcat version 1.0\nfile '" + os.fsencode(SAMPLE) + b"'\n"
_HLS = (
    b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://"
    + os.fsencode(SAMPLE)
    + b"\n#EXT-X-ENDLIST\n"
)
_SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n"
_ID3 = b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\0" * 500
_RANDOM = np.random.default_rng(5).integers(0, 256, 20000, np.uint8).tobytes()

_NO_SOUND = r"is not a sound that can be read|cannot be read|not a sound"

# What is broken · how it is made · the error's class, "" if it must be read all the same · words of
# its sentence
_FILES = [
    ("there is no file", lambda folder: folder / "none.wav", "BadSound", "There is no sound file"),
    ("its name is empty", lambda folder: "", "BadSound", "There is no sound file|No sound"),
    ("a folder in its place", lambda folder: folder, "BadSound", "is a folder, not a file: choose"),
    ("a link to a file that was moved", _dangling, "BadSound", "There is no sound file"),
    ("two links to each other", _links, "BadSound", "There is no sound file"),
    ("a named pipe that nobody writes to", _fifo, "BadSound", "is a pipe or a device"),
    ("a device without end", lambda folder: "/dev/zero", "BadSound", "is a pipe or a device"),
    ("a name with a zero byte", lambda folder: str(folder / "voi\0ce.wav"), "BadSound", "."),
    (
        "a name too long for any disk",
        lambda folder: folder / ("v" * 280 + ".wav"),
        "BadSound",
        "There is no sound file",
    ),
    ("a name that is not UTF-8", _odd_name(b"vo\xffce\xe9.wav"), "", ""),
    ("a name with a line break", _odd_name(b"voice\nof two lines.wav"), "", ""),
    ("a name that looks like an option", _odd_name(b"-i voice.wav"), "", ""),
    ("no bytes", file(b""), "BadSound", "is empty: choose another sound file"),
    (
        "a file of the system that never ends",
        lambda folder: "/proc/kmsg",
        "BadSound",
        "is empty|cannot be read|There is no sound file",
    ),
    ("one byte", file(b"R"), "BadSound", _NO_SOUND),
    ("text", file(b"not a sound\n" * 50), "BadSound", _NO_SOUND),
    (
        "a page of HTML where a download failed",
        file(b"<!DOCTYPE html><html><body>404</body></html>"),
        "BadSound",
        _NO_SOUND,
    ),
    ("a picture", file(b"\x89PNG\r\n\x1a\n" + _RANDOM), "BadSound", _NO_SOUND),
    ("random bytes", file(_RANDOM), "BadSound", _NO_SOUND),
    ("random bytes called mp3", file(_RANDOM, "voice.mp3"), "BadSound", "."),
    ("an ID3 tag that claims 256 MB", file(_ID3, "voice.mp3"), "BadSound", "."),
    ("a zip archive", file(b"PK\x03\x04" + _RANDOM), "BadSound", _NO_SOUND),
    ("a list of other files for ffmpeg", file(_CONCAT, "voice.ffconcat"), "BadSound", _NO_SOUND),
    ("a list of other files called wav", file(_CONCAT), "BadSound", _NO_SOUND),
    ("a streaming playlist", file(_HLS, "voice.m3u8"), "BadSound", _NO_SOUND),
    ("a description of a network stream", file(_SDP, "voice.sdp"), "BadSound", _NO_SOUND),
    ("a RIFF header alone", file(b"RIFF\x24\0\0\0WAVE"), "BadSound", "."),
    (
        "a header that claims a second, and nothing behind it",
        file(wav(b"", claimed=32000)),
        "BadSound",
        "0.00 s|choose one of at least",
    ),
    ("no data chunk", file(wav(b"")[:36]), "BadSound", "."),
    ("a data chunk of nothing", file(wav(b"")), "BadSound", "0.00 s|choose one of at least"),
    ("0.1 s", file(wav(pcm(voice(0.1)))), "BadSound", r"0\.10 s.*choose one of at least 0\.3 s"),
    ("a header that claims 0 samples a second", file(wav(pcm(voice()), rate=0)), "BadSound", "."),
    (
        "a header that claims 1 sample a second",
        file(wav(pcm(voice()), rate=1)),
        "BadSound",
        "samples a second|Hz",
    ),
    (
        "a header that claims 2³² samples a second",
        file(wav(pcm(voice()), rate=2**32 - 1)),
        "BadSound",
        ".",
    ),
    ("a header that claims no channels", file(wav(pcm(voice()), channels=0)), "BadSound", "."),
    (
        "a header that claims 65535 channels",
        file(wav(pcm(voice()), channels=65535)),
        "BadSound",
        ".",
    ),
    ("a header that claims samples of 0 bits", file(wav(pcm(voice()), bits=0)), "BadSound", "."),
    ("a header that claims samples of 7 bits", file(wav(pcm(voice()), bits=7)), "", ""),
    ("a format nobody knows", file(wav(pcm(voice()), tag=0xBEEF)), "BadSound", _NO_SOUND),
    (
        "a format chunk of 4 GB",
        file(b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + pcm(voice())),
        "BadSound",
        ".",
    ),
    # libsndfile gives up after some hundreds of chunks
    (
        "20000 empty chunks before the sound",
        file(wav(pcm(voice()), before=b"junk\0\0\0\0" * 20000)),
        *(("", "") if shutil.which("ffmpeg") else ("BadSound", _NO_SOUND)),
    ),
    (
        "a size that is too large",
        file(wav(pcm(voice()), claimed=2**32 - 1, riff=2**32 - 1)),
        "",
        "",
    ),
    ("a size of 0, as streams have it", file(wav(pcm(voice()), riff=0)), "", ""),
    ("cut in the middle of a sample", file(wav(pcm(voice()))[:-2501]), "", ""),
    ("rubbish behind the sound", file(wav(pcm(voice()), after=_RANDOM)), "", ""),
    ("a FLAC cut in half", file(lambda: encoded("FLAC")[:6000], "voice.flac"), "", ""),
    (
        "a FLAC with bits turned over",
        file(lambda: flipped(encoded("FLAC")), "voice.flac"),
        "BadSound",
        ".",
    ),
    (
        "an OGG with bits turned over",
        file(lambda: flipped(encoded("OGG")), "voice.ogg"),
        "BadSound",
        ".",
    ),
    ("an OGG cut in its header", file(lambda: encoded("OGG")[:100], "voice.ogg"), "BadSound", "."),
    ("an MP3 cut in half", file(lambda: encoded("MP3")[:3000], "voice.mp3"), "", ""),
    (
        "an AIFF whose header claims 2³² frames",
        file(
            lambda: encoded("AIFF").replace(struct.pack(">I", RATE), b"\xff" * 4, 1), "voice.aiff"
        ),
        "",
        "",
    ),
    ("silence of zeros", file(wav(pcm(np.zeros(RATE)))), "NoVoice", "silent"),
    ("silence with an offset", file(wav(pcm(np.full(RATE, 0.4)))), "NoVoice", "silent"),
    (
        "numbers too small for any ear",
        file(wav(np.full(RATE, 1e-40, "<f4").tobytes(), tag=3, bits=32)),
        "NoVoice",
        "silent",
    ),
    (
        "a sample that is not a number",
        file(_floats(np.nan)),
        "BadSound",
        r"not numbers \(first at 0\.25 s\)",
    ),
    ("a sample that is infinite", file(_floats(np.inf)), "BadSound", "not numbers"),
    ("a sample of 1e300", file(_floats(1e300, "<f8")), "BadSound", "not numbers"),
    (
        "channels that cancel each other",
        file(_apart),
        "BadSound",
        "cancel each other.*single channel",
    ),
    ("a voice beside one sample of 5000", file(_spiked), "", ""),
    ("a voice at −60 dB", file(_faint), "", ""),
    ("a voice that is clipped", file(wav(pcm(voice(1.0, 40.0)))), "", ""),
]

_CHECKS = {"a voice beside one sample of 5000": has_voice, "a voice at −60 dB": has_voice}

ROWS = [
    Fault("sounds", broken, make, read, kind, says, check=_CHECKS.get(broken, is_sound))
    for broken, make, kind, says in _FILES
]


def _long_flac(folder):
    """A quarter of an hour at 192 kHz that weighs next to nothing: one second of voice, then
    silence."""
    import soundfile

    path = folder / "long.flac"
    with soundfile.SoundFile(path, "w", 192000, 1, "PCM_16") as out:
        out.write(np.repeat(voice(1.0), 12))
        quiet = np.zeros(192000 * 10, np.float32)
        for _ in range(89):
            out.write(quiet)
    return path


ROWS.append(
    Fault(
        "sounds",
        "61 minutes",
        _hour(4000, 61),
        read,
        "BadSound",
        "longer than 60 minutes",
        slow=True,
    )
)
ROWS.append(
    Fault(
        "sounds",
        "fifteen minutes at 192 kHz in a fifth of a megabyte",
        _long_flac,
        read,
        check=is_sound,
        megabytes=300,
        slow=True,
    )
)
