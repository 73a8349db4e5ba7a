# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension loaded from the working tree into the bpy module, as a user's Blender would load
it."""

import atexit
import importlib
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

import pytest
from extension import install_alias, NAME

ROOT = Path(__file__).resolve().parents[2]
_STATUS = pytest.StashKey[int]()

sys.path.insert(0, str(Path(__file__).parent))  # performances.py

# Blender reads this once, at import: nothing of these tests may touch a user's own Blender.
_home = tempfile.mkdtemp(prefix="thunder_blender_home_")
os.environ["BLENDER_USER_RESOURCES"] = _home
atexit.register(shutil.rmtree, _home, ignore_errors=True)

bpy = pytest.importorskip("bpy", reason="these tests need Blender as a Python module (bpy)")


def _install() -> None:
    import addon_utils

    link = Path(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True)) / "thunder"
    if not link.exists():
        link.symlink_to(ROOT, target_is_directory=True)
    if addon_utils.enable(NAME, default_set=True) is None:
        raise RuntimeError(f"{NAME} could not be enabled: see the traceback above")
    install_alias()


def pytest_sessionstart(session):
    _install()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Ends here, with the tests' own status: Blender as a module frees itself while Python comes
    apart, and 4.2 has crashed at that after its last test. What the extension itself leaves behind
    is seen before."""
    import addon_utils

    addon_utils.disable(NAME)
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("thunder")]
    shutil.rmtree(_home, ignore_errors=True)  # nothing runs after this that would remove it
    private_folder = importlib.import_module(f"{NAME}.thunder_core.private_folder")
    private_folder.remove_blender_session(bpy.app.tempdir)
    status = config.stash.get(_STATUS, 3)
    if left:
        print(f"the extension left threads running: {left}")
        status = status or 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a few kilobytes for tests to fill: `small_disk(kilobytes)` gives its folder. Skips
    where none may be made.

    inodes: how many files and folders it takes, its own folder included.
    """
    mounted = []

    def make(kilobytes, inodes=0):
        folder = tmp_path / "small_disk"
        folder.mkdir()
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={kilobytes}k,nr_inodes={inodes}",
            "tmpfs",
            str(folder),
        ]
        if (
            sys.platform != "linux"
            or not shutil.which("mount")
            or subprocess.run(command, capture_output=True).returncode
        ):
            pytest.skip(
                "only root, on Linux and with mount, may make the small disk this test fills"
            )
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def tool(packaging):
    return packaging.module_tool(Path(sys.executable))


@pytest.fixture(scope="session")
def package(packaging, tool, tmp_path_factory):
    """What an animator with this Blender installs."""
    return packaging.build(tmp_path_factory.mktemp("package"), tool, packaging.this_platform())


@pytest.fixture
def blender():
    """An empty file with the extension enabled; yields bpy."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    yield bpy


@pytest.fixture
def needs_sound():
    """Skips what adds strips with sound where this Blender has none, as the wheel of 4.2."""
    if not importlib.import_module("thunder.scene.voice.strip").has_audio():
        pytest.skip("this Blender was built without sound")


@pytest.fixture
def open_saved(blender, tmp_path):
    """Opens the file of that name in tests/fixtures: (scene, rig)."""

    def opened(name):
        path = tmp_path / "saved.blend"
        path.write_bytes(
            lzma.decompress((ROOT / "tests" / "fixtures" / f"{name}.blend.xz").read_bytes())
        )
        blender.ops.wm.open_mainfile(filepath=str(path))
        scene = blender.context.scene
        return scene, importlib.import_module("thunder.scene.heads.head").find(scene)

    return opened


@pytest.fixture(scope="session")
def head_file(tmp_path_factory):
    """A file with our head, at 24 fps: it is read in a tenth of the time that building a head
    takes."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.thunder.add_head()
    bpy.context.scene.render.fps = 24
    path = str(tmp_path_factory.mktemp("head") / "head.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, compress=False)
    return path


@pytest.fixture(scope="session")
def heads_file(head_file):
    """The same with two of our heads."""
    bpy.ops.wm.read_homefile(filepath=head_file)
    bpy.ops.thunder.add_head()
    path = head_file.replace("head.blend", "heads.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, compress=False)
    return path


@pytest.fixture
def stage(blender, request):
    """A new file, at 24 fps, with our head, or two where these are asked for: (scene, the first
    one's rig)."""
    file = "heads_file" if "heads" in request.fixturenames else "head_file"
    blender.ops.wm.read_homefile(filepath=request.getfixturevalue(file))
    head = importlib.import_module("thunder.scene.heads.head")
    scene = blender.context.scene
    return scene, head.resolve(head.in_scene(scene)[0])


@pytest.fixture
def scene(stage):
    """The scene of the stage."""
    return stage[0]


@pytest.fixture
def rig(stage):
    """The head of the stage."""
    return stage[1]


@pytest.fixture
def entry(stage):
    """A take of four seconds of speech, listed and shown on the stage."""
    from performances import enter  # imports the extension

    return enter(stage)


@pytest.fixture
def heads(scene):
    """Two heads at 25 fps."""
    scene.render.fps = 25
    return importlib.import_module("thunder.scene.heads.head").in_scene(scene)


@pytest.fixture
def client(tmp_path, monkeypatch):
    """An engine without a process, which every button and command asks."""
    from played_engine import PlayedClient  # imports the extension

    folder = tmp_path / "engine"
    folder.mkdir()
    return play_client(monkeypatch, PlayedClient(folder))


def play_client(monkeypatch, client):
    """Let a client answer instead of the engine; the client."""
    connection = importlib.import_module("thunder.scene.engine.connection")
    monkeypatch.setattr(connection, "client", lambda *_: client)
    return client


@pytest.fixture
def play(monkeypatch):
    """`play(client)` lets a client of a test's own answer instead of the engine."""
    return lambda client: play_client(monkeypatch, client)


@pytest.fixture
def jobs_here(monkeypatch):
    """Jobs of many bakes are baked in this process, one after the other."""
    batch = importlib.import_module("thunder.cli.batch")

    def bake(_chosen, tasks, _maker):
        for task in tasks:
            events = type("Events", (), {"write": lambda *_: None})
            yield {"event": "done", "job": task.job, "report": batch._bake(asdict(task), events)}

    monkeypatch.setattr(batch, "events_of", bake)


@pytest.fixture
def voice(tmp_path):
    """A sound file of two seconds, line.wav: its path."""
    from performances import noise

    return noise(tmp_path / "line.wav")


@pytest.fixture
def bake(blender, client, voice, monkeypatch, capfd):
    """Run bake.py in this process, with the voice and two takes unless other options say so: (exit
    code, what it says). warns: the number of warnings where it succeeds, None for any number of
    sentences."""
    options, batch, script = (
        importlib.import_module(f"thunder.cli.{each}") for each in ("options", "batch", "script")
    )

    def run(*arguments, warns=0):
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        given = ["--takes", "2", *map(str, arguments)]
        audio = [] if "--audio" in given else ["--audio", voice]
        monkeypatch.setattr(sys, "argv", ["bake.py", *audio, *given])
        capfd.readouterr()
        code = script.exit_code("bake.py", options.read_options, batch.start)
        output, complaints = capfd.readouterr()
        assert "Traceback" not in complaints
        sentences = [line for line in complaints.splitlines() if line.startswith("bake.py: ")]
        assert warns is None or len(sentences) == (1 if code else warns), complaints
        return code, complaints + output

    return run


@pytest.fixture
def baked(blender, client, voice, tmp_path):
    """Bake a take of the voice in this process, unless options say otherwise: the report."""
    command, options = (
        importlib.import_module(f"thunder.cli.{each}") for each in ("bake", "options")
    )

    def run(*arguments, **how):
        given = [] if {"--strip", "--seconds", "--listen-to"} & {*arguments} else ["--audio", voice]
        given += ["--takes", "1", "--out", tmp_path / "out", "--force", *arguments]
        return command.bake(options.read_options([*map(str, given)]), **how)

    return run


@pytest.fixture
def voiced(stage, voice):
    """A scene at 25 fps with our head, whose voice is a file of two seconds: the scene."""
    scene = stage[0]
    scene.render.fps = 25
    scene.thunder.source, scene.thunder.sound_file = "FILE", voice
    return scene
