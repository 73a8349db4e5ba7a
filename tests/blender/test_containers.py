# SPDX-License-Identifier: GPL-3.0-or-later
"""One line is the same line by every way into the product, whatever container it comes in: the
engine hears what ffmpeg decodes, from the moment on at which Blender plays it."""

import contextlib
import os
import shutil
import subprocess
import sys

import bpy
import containers
import numpy as np
import pytest
from running_engine import find_or_skip, ROOT
from thunder.scene.engine import connection
from thunder.scene.host import compat
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python
from timing import until

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
    paths = containers.make(folder / "files", [each.callspec.params["name"] for each in tried])
    decoded = containers.decode(paths, folder / "decoded")
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
    found["plays cut", path.name] = whole[CUT * containers.RATE // FPS :]
    strip_module.remove(scene, line)
    return found


def played(path):
    """What Blender plays of the scene, float [n] at 16 kHz, mixed down into a file."""
    bpy.ops.sound.mixdown(
        filepath=str(path), check_existing=False, container="WAV", codec="PCM", format="F32",
        channels="MONO", mixrate=containers.RATE,
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
    [
        name if name in USUAL else pytest.param(name, marks=pytest.mark.slow)
        for name in containers.CONTAINERS
    ],
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
        decoded = decoded[CUT * containers.RATE // FPS if way == "cut" else 0 :]
        like, beside = containers.compare(samples, decoded, name)
        _, late = containers.compare(samples, heard[playing, name], name)
        row += f" {like:7.4f} {1e3 * late:+6.1f} ({1e3 * beside:+6.1f})"
        if like < LIKE or abs(late) > NEAR:
            faults.append(f"{way}: r {like:.4f}, {1e3 * late:+.1f} ms")
    print(row)
    assert not faults, "; ".join(faults)
