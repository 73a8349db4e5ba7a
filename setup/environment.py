# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the virtual environments under .venv from the locked lists in requirements/, and checks
their requirements.

    environment.py engine [--card | --develop | --tests | --cluster]
        the engine as every user has it; --card: also torch, as for graphics cards; --develop: also
        what training and the benches need; --tests: also that, smplx and test tools;
        --cluster: also that and Ray
    environment.py blender [VERSION]
        Blender as a Python module; without VERSION the newest that a Python here fits
    environment.py versions
        the Blender versions whose Python is here, and why not for the others
    environment.py tracker
        what follows faces in videos, with Python 3.11 or 3.12
    environment.py browser
        Chromium, its driver, and what shows VRM avatars in it, for tests of pages; its path

Prints what it does on stderr and the path of the environment's Python on stdout. Standard library
only.
"""

import argparse
import ctypes
import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from thunder_core.installer import CARD, FACES, PROCESSOR, python_in, Size  # noqa: E402

VENVS = ROOT / ".venv"
LOCKS = ROOT / "requirements"
WINDOWS = os.name == "nt"

# Blender → its Python, in order of preference
BLENDERS = {"5.3": "3.13", "5.2": "3.13", "5.0": "3.11", "4.5": "3.11", "4.2": "3.11"}
ENGINE_PYTHONS = ("3.11", "3.13")
TRACKER_PYTHONS = ("3.11", "3.12")
# option → lists beside the engine's
MORE = {
    "card": ("card",),
    "develop": ("card", "waveform", "develop", "recognise", "kanji"),
    "tests": ("card", "waveform", "develop", "flame", "test", "recognise", "kanji"),
    "cluster": ("card", "waveform", "develop", "flame", "test", "recognise", "kanji", "cluster"),
}
UNCOMPILED = ("card", "waveform")  # torch's and transformers' files, of which few are imported
STAMP = "thunder-locks"  # file in an environment that holds the hash of the lists it was made from

# Shared library that bpy loads → Debian package that brings it.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libXrender.so.1": "libxrender1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libgomp.so.1": "libgomp1",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
}


class Missing(Exception):
    """Something the person at the keyboard must install; the message is the sentence they read."""


def engine(lists: tuple[str, ...]) -> Path:
    """The engine's environment with what more `lists` of requirements/ name; returns its Python."""
    python = first_python("The engine", *ENGINE_PYTHONS)
    size = CARD if "card" in lists else PROCESSOR
    locks = [LOCKS / f"{name}.txt" for name in ("engine", *lists)]
    return environment("engine", python, locks, f"the engine: {cost_text(size)}")


def guides() -> Path:
    """The environment that makes pages of the guides; returns its Python."""
    locks = [LOCKS / "guides.txt"]
    return environment(
        "guides",
        sys.executable,
        locks,
        "what makes pages of the guides: 8 MB to download, 20 MB on disk",
    )


def tracker() -> Path:
    """The environment that follows faces in videos; returns its Python."""
    python = first_python("What follows faces in videos", *TRACKER_PYTHONS)
    return environment(
        "tracker", python, [LOCKS / "tracker.txt"], f"what follows faces: {cost_text(FACES)}"
    )


def blender(version: str | None) -> Path:
    """The environment that holds Blender `version` as a module; returns its Python."""
    if version is None:
        python = first_python("Blender as a module", *dict.fromkeys(BLENDERS.values()))
        version = next(name for name, of in BLENDERS.items() if version_of(python) == of)
    else:
        python = first_python(f"Blender {version} as a module", BLENDERS[version])
    check_libraries()
    what = f"Blender {version} as a Python module: about 0.4 GB to download, 1 GB on disk, a minute"
    return environment(f"bpy-{version}", python, [LOCKS / f"bpy-{version}.txt"], what)


def first_python(what: str, *versions: str) -> str:
    """The first interpreter that is here of some versions. what: that needs it. Raises Missing."""
    for version in versions:
        if python := find_python(version):
            return python
    raise Missing(
        f"{what} needs Python {' or '.join(versions)}: install it, or pyenv install {versions[0]}"
    )


def cost_text(size: Size) -> str:
    """What an installation costs, in words."""
    return (
        f"about {size.download / 1e9:.2g} GB to download, {size.disk / 1e9:.1f} GB on disk, "
        f"{size.minutes} min"
    )


def environment(name: str, base: str, locks: list[Path], what: str) -> Path:
    """The virtual environment .venv/`name` holding what `locks` list, made or completed if it does
    not yet."""
    folder = VENVS / name
    python = Path(python_in(str(folder)))
    stamp = folder / STAMP
    hashes = {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}
    written = (
        dict(line.split() for line in stamp.read_text().splitlines()) if stamp.is_file() else {}
    )
    if works(python) and all(written.get(lock) == value for lock, value in hashes.items()):
        return python
    if not works(python):
        if ask(base, "import venv, ensurepip; print('yes')") != "yes":
            install_packages(
                [f"python{version_of(base)}-venv"], f"“{base}” cannot make virtual environments"
            )
        say(f"making {folder.relative_to(ROOT)} with Python {version_of(base)}")
        run(
            [base, "-m", "venv", "--clear", str(folder)],
            f"The virtual environment {folder} could not be made",
        )
        written = {}
    todo = [lock for lock in locks if written.get(lock.name) != hashes[lock.name]]
    say(f"installing {what}")
    for lock in todo:
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--quiet",
            "--progress-bar",
            "off",
            "--require-hashes",
            "--no-deps",
            *["--no-compile"] * (lock.stem in UNCOMPILED),
            "-r",
            str(lock),
        ]
        run(
            command,
            f"Installing requirements/{lock.name} failed: look at pip's output above, then run "
            f"the same again",
        )
        written[lock.name] = hashes[lock.name]
        stamp.write_text("".join(f"{lock} {value}\n" for lock, value in sorted(written.items())))
    return python


def find_python(version: str) -> str | None:
    """An interpreter of exactly `version` ("3.11"): the one running this, on PATH, or under pyenv;
    None if there is none."""
    candidates = [sys.executable]
    candidates += [
        path for name in (f"python{version}", "python3", "python") if (path := shutil.which(name))
    ]
    for home in (os.environ.get("PYENV_ROOT"), os.path.expanduser("~/.pyenv")):
        if home:
            pattern = python_in(os.path.join(home, "versions", version + ".*"))
            candidates += sorted(glob.glob(pattern), reverse=True)
    for candidate in candidates:
        if version_of(candidate) == version:
            # The interpreter itself: an environment made from a shim would change with pyenv's
            # settings.
            return ask(
                candidate,
                "import sys; print(getattr(sys, '_base_executable', None) or sys.executable)",
            )
    return None


def version_of(python: str | Path) -> str | None:
    """The version of an interpreter as "3.11", None if it does not run."""
    return ask(python, "import sys; print('%d.%d' % sys.version_info[:2])")


def works(python: Path) -> bool:
    """Whether an environment's interpreter exists and has pip."""
    return python.exists() and ask(python, "import pip; print('yes')") == "yes"


def ask(python: str | Path, code: str) -> str | None:
    """Output of `code` in the interpreter, stripped; None if it fails."""
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def check_libraries() -> None:
    """Names the system libraries that bpy lacks here, and installs them where that is possible."""
    if not sys.platform.startswith("linux"):
        return
    missing = [package for library, package in LIBRARIES.items() if not loads(library)]
    # Not recursive: /usr/lib may hold links to its parents, and a deep search of it takes
    # minutes.
    if not any(
        glob.glob(f"/usr/lib{folder}/{name}")
        for folder in ("", "64", "/*")
        for name in ("dri/*_dri.so", "libgallium*.so")
    ):
        missing.append("libgl1-mesa-dri")
    if missing:
        install_packages(missing, "Blender as a module needs system libraries that are not here")


def browser() -> str:
    """The browser that tests of pages drive, installed where that is possible; its path."""
    if not all(map(shutil.which, ("chromium", "chromedriver"))):
        why = "Tests of pages need a browser that is not here"
        install_packages(["chromium", "chromium-driver"], why)
    if not shutil.which("npm"):
        install_packages(["npm"], "Tests of pages need what npm installs")
    folder, lists = VENVS / "browser", sorted((LOCKS / "browser").glob("*.json"))
    written = folder / STAMP
    texts = "".join(each.read_text("utf-8") for each in lists)
    if not written.is_file() or written.read_text("utf-8") != texts:
        say("installing what shows avatars in a browser: 8 MB to download, 30 MB on disk")
        folder.mkdir(parents=True, exist_ok=True)
        for each in lists:
            shutil.copy(each, folder)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        run(command, "npm failed: look at its output above, then run the same again", folder=folder)
        written.write_text(texts, "utf-8")
    return shutil.which("chromium") or ""


def loads(library: str) -> bool:
    """Whether a shared library can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_packages(packages: list[str], why: str) -> None:
    """Installs Debian packages if possible, otherwise prints what to install."""
    say(f"{why}: {' '.join(packages)}")
    apt = shutil.which("apt-get")
    if not apt:
        raise Missing(
            f"{why}: install what your system calls Debian's {', '.join(packages)}, then run the "
            f"same again"
        )
    if os.geteuid() != 0:
        raise Missing(
            f"{why}: run “sudo apt-get install {' '.join(packages)}”, then the same again"
        )
    say("installing them with apt-get")
    import fcntl  # which Windows lacks, and apt-get too

    VENVS.mkdir(exist_ok=True)
    with open(VENVS / "apt.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another environment may be made at the same time
        run([apt, "update", "-qq"], "apt-get update failed")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(
            [apt, "install", "-y", "-qq", "--no-install-recommends", *packages],
            "apt-get install failed",
            quiet,
        )


def run(
    command: list[str], failure: str, env: dict[str, str] | None = None, folder: Path | None = None
) -> None:
    """Run a command in a folder, its output on stderr. Raises Missing(failure) if it fails."""
    done = subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, env=env, cwd=folder)
    if done.returncode:
        raise Missing(failure)


def say(text: str) -> None:
    """Print a line on stderr."""
    print(f"· {text}", file=sys.stderr, flush=True)


ALONE = {"tracker": tracker, "browser": browser}  # commands without arguments


def main() -> int:
    """Make the requested environment and print its Python; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    more = commands.add_parser("engine").add_mutually_exclusive_group()
    for name in MORE:
        more.add_argument(
            f"--{name}", dest="lists", action="store_const", const=MORE[name], default=()
        )
    commands.add_parser("blender").add_argument("version", nargs="?", choices=sorted(BLENDERS))
    commands.add_parser("versions")
    for name in ALONE:
        commands.add_parser(name)
    options = parser.parse_args()
    try:
        if options.command == "engine":
            print(engine(options.lists))
        elif options.command == "blender":
            print(blender(options.version))
        elif options.command in ALONE:
            print(ALONE[options.command]())
        else:
            for version in sorted(BLENDERS):
                if find_python(BLENDERS[version]):
                    print(version)
                else:
                    say(f"Blender {version} is left out: no Python {BLENDERS[version]} here")
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
