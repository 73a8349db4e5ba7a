# SPDX-License-Identifier: GPL-3.0-or-later
"""One line is the same line by every way into the product, whatever container it comes in: the
engine hears what ffmpeg decodes, from the moment on at which Blender plays it."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from running_engine import find_or_skip, ROOT, SAMPLE
from thunder.scene.engine import connection
from thunder.scene.host import compat
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python
from timing import until

RATE = 16000  # Hz, of what the engine hears
SECONDS = 3.0
BLOCK = 0.05  # seconds; Blender leaves out the last block of a WMA, and guesses one after a seek
LATE = 0.33  # seconds that the sound of a film begins after its picture
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
    whole = ("-t", str(SECONDS), "-i", SAMPLE, "-ar", "48000", "-c:a", "pcm_f32le")
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


# “API”: as the engine reads files too
WAYS = {"API": "plays", "file": "plays", "--jobs": "plays", "strip": "plays", "cut": "plays cut"}
LIKE, NEAR = 0.999, 0.010  # correlation with ffmpeg's decoding, seconds beside Blender's playing
FPS, START = 25, 11  # frames a second; the scene frame at which the line begins
CUT, BEYOND = 15, 25  # frames cut off a strip's beginning, and by which it outlasts its sound

# The engine, but for what comes after it has heard a voice, which is kept instead.
LISTENING = """#!{python}
import os, sys
sys.path.insert(0, {root!r})
import numpy as np
from thunder_core.engine import verbs, worker
from thunder_core.errors import BadRequest
hear = verbs._sound

def keep(args, *more, **how):
    speech = hear(args, *more, **how)
    path = args["sound"] if isinstance(args["sound"], str) else args["sound"][0]
    np.save(os.path.join({kept!r}, os.path.basename(path)), speech.samples)
    raise BadRequest("This was heard")

verbs._sound = keep
sys.argv = ["worker", *sys.argv[3:]]
worker.main()
"""
READING = """
import os, sys
import numpy as np
from thunder_core import api, errors
for path in sys.argv[1:]:
    try:
        np.save(os.path.join("read", os.path.basename(path)), api.load(path).samples)
    except errors.ThunderError as error:
        print(path, error)
"""


@pytest.fixture(scope="module")
def heard(request, tmp_path_factory, head_file):
    """Of the files that are tried {(way, file): samples [n] at 16 kHz} that the engine gets by each way; by “ffmpeg” what that
    decodes, by “plays” and “plays cut” what Blender plays of the strips."""
    find_or_skip()
    if not strip_module.has_audio():
        pytest.skip("this Blender was built without sound")
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg on PATH")
    folder = tmp_path_factory.mktemp("containers")
    kept, program = folder / "kept", folder / "python"
    for name in ("files", "decoded", "kept", "read", "played"):
        (folder / name).mkdir()
    tried = [each for each in request.session.items if each.path == request.path]
    paths = make(folder / "files", [each.callspec.params["name"] for each in tried])
    decoded = decode(paths, folder / "decoded")
    found = {("ffmpeg", name): samples for name, samples in decoded.items()}
    python = engine_python.find_engine_python()
    run(folder, python, "-c", READING, *paths, PYTHONPATH=str(ROOT))
    found |= {("API", name): samples for name, samples in taken(folder / "read").items()}
    program.write_text(LISTENING.format(python=python, root=str(ROOT), kept=str(kept)))
    program.chmod(0o755)
    jobs = [f'[jobs."{path.name}"]\naudio = "{path}"\n' for path in paths]
    (folder / "jobs.toml").write_text("".join([f'[defaults]\nblend = "{head_file}"\n', *jobs]))
    bake = (sys.executable, ROOT / "bake.py", "--engine", program, "--out", "out")
    run(folder, *bake, "--jobs", "jobs.toml")
    found |= {("--jobs", name): samples for name, samples in taken(kept).items()}
    connection.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUNDER_PYTHON", str(program))
        bpy.ops.wm.read_homefile(filepath=head_file)
        for path in paths:
            found |= heard_in_blender(bpy.context.scene, path, kept, folder / "played")
    connection.stop()
    return found


def run(folder, *command, **environment):
    """Run a program in a folder and show what it says; that some sounds are refused is no end."""
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=os.environ | environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    print(done.stdout, done.stderr)


def taken(folder):
    """{file: samples} that were kept in a folder, which is emptied."""
    found = {}
    for path in folder.iterdir():
        found[path.stem] = np.load(path)
        path.unlink()
    return found


def heard_in_blender(scene, path, kept, folder):
    """{(way, file): samples} where takes are generated of a file chosen as the voice, of its strip,
    and of a strip that begins later and outlasts its sound; and where Blender plays these
    strips."""
    found, settings = {}, scene.thunder
    scene.render.fps, scene.frame_start, scene.frame_end = FPS, START, START + 125

    def generate(way):
        with contextlib.suppress(RuntimeError):  # of the engine, which only listens
            bpy.ops.thunder.generate()
        found.update({(way, path.name): samples for samples in taken(kept).values()})

    settings.source, settings.sound_file = "FILE", str(path)
    generate("file")
    settings.source = "STRIP"
    line = strip_module.add(scene, str(path), "line", START)
    # Streamed from its first sample on, and nowhere else, Blender leaves out an MP3's delay twice.
    line.sound.use_memory_cache = path.suffix == ".mp3"
    generate("strip")
    found["plays", path.name] = played(folder / f"{path.name}.wav")
    compat.trim(line, START + CUT, compat.strip_span(line)[1] + BEYOND)
    generate("cut")
    whole = played(folder / f"{path.name}.cut.wav")
    found["plays cut", path.name] = whole[CUT * RATE // FPS :]
    strip_module.remove(scene, line)
    return found


def played(path):
    """What Blender plays of the scene, float [n] at 16 kHz, mixed down into a file."""
    bpy.ops.sound.mixdown(
        filepath=str(path), check_existing=False, container="WAV", codec="PCM", format="F32",
        channels="MONO", mixrate=RATE,
    )  # fmt: skip

    def written():  # in the background since Blender 5.2
        data = path.read_bytes() if path.exists() else b""
        at = data.find(b"data", 0, 4096) + 8
        size = int.from_bytes(data[at - 4 : at], "little")
        return data[at : at + size] if at > 8 and 0 < size <= len(data) - at else None

    return np.frombuffer(until(written), "<f4")


# of the ways in which headers, delays and blocks differ one each; the others are slow together
USUAL = ("stereo_24_bit.wav", "streamed.wav", "line.mp3", "line.m4a", "late.mov", "line.wma")


@pytest.mark.parametrize(
    "name",
    [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in CONTAINERS],
)
def test_the_engine_hears_what_ffmpeg_decodes_from_where_blender_plays_it(heard, name):
    """`-s` prints the table: correlation, milliseconds behind Blender and, in brackets, behind
    ffmpeg."""
    faults, row = [], f"\n{name:18s}"
    for way, playing in WAYS.items():
        samples, decoded = heard.get((way, name)), heard["ffmpeg", name]
        if samples is None:
            faults.append(f"{way}: refused")
            row += f"{'refused':>24s}"
            continue
        decoded = decoded[CUT * RATE // FPS if way == "cut" else 0 :]
        like, beside = compare(samples, decoded, name)
        _, late = compare(samples, heard[playing, name], name)
        row += f" {like:7.4f} {1e3 * late:+6.1f} ({1e3 * beside:+6.1f})"
        if like < LIKE or abs(late) > NEAR:
            faults.append(f"{way}: r {like:.4f}, {1e3 * late:+.1f} ms")
    print(row)
    assert not faults, "; ".join(faults)
