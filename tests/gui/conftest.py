# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender, named by BLENDER, that the tests of this folder run in a window or ask on the
command line."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PICTURES = ROOT / "out" / "window"


class RealBlender:
    """An installed Blender. `wrapped`: BLENDER is a script that runs things beside the system, with
    --exec anything.

    shaders: a folder in which Mesa keeps the shaders it has compiled, for other Blenders of a
    session; None for one of its own.
    smooth: whether edges in the viewport are smoothed, a third of a scenario's processor time on
    software OpenGL.
    """

    def __init__(self, path, scratch, shaders=None, smooth=True):
        self.path, self.scratch, self.shaders, self.smooth = path, scratch, shaders, smooth
        self.resources, self.temporary = scratch / "resources", scratch / "tmp"
        self.resources.mkdir()
        self.temporary.mkdir()
        with open(path, "rb") as file:
            start = file.read(4096)
        self.wrapped = start.startswith(b"#!") and b"--exec" in start

    def environment(self):
        # What a wrapped Blender must see of this system: the extension, the engine's Python, these
        # tests' files.
        visible = [
            ROOT,
            sys.base_prefix,
            sys.prefix,
            self.scratch,
            *([self.shaders] if self.shaders else []),
        ]
        return {
            **os.environ,
            **({"MESA_SHADER_CACHE_DIR": str(self.shaders)} if self.shaders else {}),
            "BLENDER_USER_RESOURCES": str(self.resources),
            "BLENDER_HOME": str(self.scratch / "home"),
            "BLENDER_BIND": " ".join(map(str, visible)),
            "THUNDER_PYTHON": sys.executable,
            "TMPDIR": str(self.temporary),
        }

    def link_extension(self):
        """Put the extension where this Blender looks for the user's; to be enabled."""
        place = self.resources / "extensions" / "user_default" / "thunder"
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(ROOT, target_is_directory=True)

    def left_behind(self):
        """Names of what our own processes left in the temporary folder."""
        return [path.name for path in self.temporary.iterdir() if path.name.startswith("thunder")]

    def run(self, *arguments, timeout=120):
        """Blender without a window; the finished process with its output as text."""
        return subprocess.run(
            [self.path, "-b", "--factory-startup", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def act(self, scenario, timeout=400, simulated=True, package=None, size=(1400, 900)):
        """Acts out a scenario in a window; returns what was seen. Pictures are kept in
        out/window/SCENARIO.

        simulated: whether events come from the scenario; Blender then ignores those of the screen
        (`Hand.press_escape_on_screen`).
        size: of the window and its screen, pixels.
        package: what the scenario itself installs, in a Blender that nobody has used; else the
        extension is there and enabled.
        """
        environment = self.environment() | {"SCREEN_SIZE": "x".join(map(str, size))}
        if package is None:
            self.link_extension()
        else:
            del environment["THUNDER_PYTHON"]  # the package brings its own engine
            environment |= {
                "THUNDER_PACKAGE": str(package),
                "BLENDER_USER_RESOURCES": str(self.scratch / f"new_{scenario}"),
            }
            shutil.rmtree(environment["BLENDER_USER_RESOURCES"], ignore_errors=True)
            Path(environment["BLENDER_USER_RESOURCES"]).mkdir()
        folder = self.scratch / scenario
        shutil.rmtree(folder, ignore_errors=True)  # of another seed of the scenario
        folder.mkdir()
        blender = ["blender"] if self.wrapped else [self.path]
        command = [
            "bash",
            HERE / "window.sh",
            timeout,
            *blender,
            "--factory-startup",
            "--gpu-backend",
            "opengl",
            *(["--enable-event-simulate"] if simulated else []),
            "--window-geometry",
            0,
            0,
            *size,
            "--python",
            HERE / "in_blender.py",
            "--",
            scenario,
            folder,
            "smooth" if self.smooth else "jagged",
        ]
        if self.wrapped:
            command = [self.path, "--exec", *command]
        done = subprocess.run(
            list(map(str, command)),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout + 60,
        )
        kept = PICTURES / scenario
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for picture in folder.glob("*.png"):
            shutil.copy(picture, kept)
        (kept / "log.txt").write_text(done.stdout)
        result = folder / "result.json"
        assert result.is_file(), (
            f"Blender ended with {done.returncode} and no result:\n{done.stdout[-3000:]}"
        )
        shutil.copy(result, kept)
        answer = json.loads(result.read_text())
        assert answer["error"] is None, f"{answer['error']}\n{done.stdout[-2000:]}"
        assert done.returncode == 0, done.stdout[-3000:]
        answer["seen"]["log"] = done.stdout
        return answer["seen"]


@pytest.fixture(scope="session")
def shaders(tmp_path_factory):
    return tmp_path_factory.mktemp("shaders")


@pytest.fixture(scope="module")
def real_blender(tmp_path_factory, shaders):
    named = os.environ.get("BLENDER")
    if not named:
        pytest.skip("BLENDER names no real Blender")
    path = shutil.which(named)
    if path is None:
        pytest.fail(f"There is no Blender at “{named}”, named by BLENDER")
    return RealBlender(path, tmp_path_factory.mktemp("real_blender"), shaders, smooth=False)


@pytest.fixture(scope="module")
def package(real_blender, packaging):
    """What an animator with this Blender installs, built by its own tool."""
    # below out/, as a Blender in a root of its own may see no other folder
    out = PICTURES.parent / "window_package"
    return packaging.build(out, packaging.extension_tool(), packaging.this_platform())


@pytest.fixture
def windowed(real_blender):
    if not real_blender.wrapped and not all(map(shutil.which, ("Xvfb", "xdotool", "import"))):
        pytest.skip("a window needs Xvfb, its keyboard xdotool, a picture ImageMagick's import")
    return real_blender
