# SPDX-License-Identifier: GPL-3.0-or-later
"""One line in the containers and codecs that recorders, phones, meetings and studios write, and how
alike two readings of it are."""

import subprocess
from pathlib import Path

import numpy as np

RATE = 16000  # Hz, of what the engine hears
SECONDS = 3.0
BLOCK = 0.05  # seconds; Blender leaves out the last block of a WMA, and guesses one after a seek
LATE = 0.33  # seconds that the sound of a film begins after its picture
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample.wav"
_SIZE = 1 << 16  # samples; more than any reading holds, and silence
_FILM = "-map 2:v -c:v mpeg4 -c:a aac -b:a 128k"

# file → how ffmpeg makes it of the line, which is mono at 48 kHz
CONTAINERS = {
    "mono_8_bit.wav": "-c:a pcm_u8",
    "mono_16_bit.wav": "-c:a pcm_s16le",
    "stereo_24_bit.wav": "-ac 2 -c:a pcm_s24le",
    "surround.wav": "-af pan=5.1|FC=c0 -c:a pcm_s24le",
    "float.wav": "-ar 44100 -c:a pcm_f32le",
    "telephone.wav": "-ar 8000 -c:a pcm_mulaw",
    "rf64.wav": "-rf64 always -c:a pcm_s24le",
    "streamed.wav": "-c:a pcm_s16le",  # its header was written before its length was known
    "line.aiff": "-c:a pcm_s24be",
    "line.flac": "-ar 44100 -ac 2",
    "line.mp3": "-ar 44100 -ac 2 -b:a 128k",
    "line.ogg": "-c:a libvorbis -q:a 5",
    "line.opus": "-c:a libopus -b:a 48k",
    "line.m4a": "-c:a aac -b:a 128k",
    "line.mp4": f"{_FILM} -ac 2",
    "line.mov": f"{_FILM} -ar 44100",
    "late.mov": _FILM,
    "line.webm": "-c:a libopus -b:a 64k",
    "line.wma": "-c:a wmav2 -b:a 128k",
    "line.mka": "-c:a ac3 -b:a 192k",
}


def make(folder: Path, names: list[str]) -> list[Path]:
    """Write the line in containers of CONTAINERS into a folder; the files. Needs an ffmpeg on
    PATH."""
    line, paths = str(folder.parent / "original.wav"), [folder / name for name in names]
    whole = ("-t", str(SECONDS), "-i", str(SAMPLE), "-ar", "48000", "-c:a", "pcm_f32le")
    _ffmpeg(*whole, line)
    outputs = []
    for path in paths:
        sound = "1:a" if path.name == "late.mov" else "0:a"
        outputs += ["-map", sound, *CONTAINERS[path.name].split(), str(path)]
    picture = ("-f", "lavfi", "-i", "color=size=64x64:rate=25:duration=4")
    _ffmpeg("-i", line, "-itsoffset", str(LATE), "-i", line, *picture, *outputs)
    for path in [path for path in paths if path.name == "streamed.wav"]:
        streamed = bytearray(path.read_bytes())
        for at in (4, streamed.find(b"data") + 4):
            streamed[at : at + 4] = bytes(4)
        path.write_bytes(streamed)
    return paths


def decode(paths: list[Path], folder: Path) -> dict[str, np.ndarray]:
    """The sounds of files as ffmpeg decodes them, by name: means of the channels, float [n] at
    16 kHz. folder: for what it writes."""
    inputs, outputs, found = [], [], {}
    for number, path in enumerate(paths):
        inputs += ["-i", str(path)]
        form = ("-ac", str(_channels(path)), "-ar", str(RATE), "-f", "f32le")
        outputs += ["-map", f"{number}:a:0", *form, str(folder / path.name)]
    _ffmpeg(*inputs, *outputs)
    for path in paths:
        samples = np.fromfile(folder / path.name, "<f4")
        found[path.name] = samples.reshape(-1, _channels(path)).mean(axis=1)
    return found


def _channels(path: Path) -> int:
    """Of surround sound all are decoded, since ffmpeg weighs them when it mixes them to one."""
    return 6 if path.stem == "surround" else 1


def _ffmpeg(*arguments: str) -> None:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, timeout=120, check=True)


def compare(a: np.ndarray, b: np.ndarray, name: str) -> tuple[float, float]:
    """(correlation, delay of `a` behind `b` in seconds) of two readings [n] of a file at 16 kHz,
    where they are most alike: between 60 Hz and what its rate holds. What one has beyond the
    other's ends counts as difference, but for a decoder's first and last block."""
    delay = _delay(a, b, name)
    late = round(delay * RATE)
    a, b = a[max(0, late) :], b[max(0, -late) :]
    ends = [int(np.flatnonzero(np.abs(sound) > 1e-4)[-1]) + 1 for sound in (a, b)]
    if abs(ends[0] - ends[1]) < BLOCK * RATE:
        a, b = a[: min(ends)], b[: min(ends)]
    of_a, of_b = (_spectrum(sound[int(BLOCK * RATE) :], name) for sound in (a, b))
    turned = of_b * np.exp(2j * np.pi * np.fft.rfftfreq(_SIZE) * (late - delay * RATE))
    energy = np.sum(np.abs(of_a) ** 2) * np.sum(np.abs(of_b) ** 2)
    return float(np.sum(of_a * turned.conj()).real / max(1e-9, np.sqrt(energy))), delay


def _delay(a: np.ndarray, b: np.ndarray, name: str) -> float:
    """Seconds, to a quarter of a sample."""
    finer = 4
    alike = np.fft.irfft(_spectrum(a, name) * _spectrum(b, name).conj(), _SIZE * finer)
    at = int(np.argmax(alike))
    return (at if at < len(alike) // 2 else at - len(alike)) / (RATE * finer)


def _spectrum(sound: np.ndarray, name: str) -> np.ndarray:
    hertz = np.fft.rfftfreq(_SIZE, 1 / RATE)
    top = 3500 if name == "telephone.wav" else 7000
    return np.fft.rfft(sound[:_SIZE], _SIZE) * ((hertz >= 60) & (hertz <= top))
