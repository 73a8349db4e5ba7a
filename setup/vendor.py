# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches the wheels of requirements/package.txt for one platform and every Python that its Blenders
have, and unpacks what the engine needs of them, side by side: each Python loads its own binaries.

What is never imported when networks run stays out; every licence text travels along. The wheels are
kept in out/wheels/, so that a second build needs no network.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path

from environment import engine, Missing, ROOT, say
from licences import FILE_LICENCES, licence_of

from thunder_core.languages import VOICES

LOCK = ROOT / "requirements" / "package.txt"
WHEELS = ROOT / "out" / "wheels"
ABOUT = "made_for.json"  # file in vendor/ that says for which platform and Pythons it is

# Blender's name of a platform → pip's names of it. Windows on arm64 has no wheel of soxr; Intel
# Macs have none of this onnxruntime.
PLATFORMS = {
    "linux-x64": tuple(f"manylinux{each}_x86_64" for each in ("_2_28", "_2_27", "_2_17", "2014")),
    "linux-arm64": tuple(
        f"manylinux{each}_aarch64" for each in ("_2_28", "_2_27", "_2_17", "2014")
    ),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_14_0_arm64",),
}
# Platform → the Pythons of its Blenders, oldest first. Blender's makers build 4.2 to 5.0 with 3.11
# and what follows with 3.13; distributions build any with theirs: Debian 13 has Blender 4.3 with
# 3.13, what came after it 5.2 with 3.14.
PYTHONS = {
    "linux-x64": ("3.11", "3.13", "3.14"),
    "linux-arm64": ("3.11", "3.13", "3.14"),
    "windows-x64": ("3.11", "3.13"),
    "macos-arm64": ("3.11", "3.13"),
}
# platform → how a module's name says which Python it was compiled for, where its wheel does not
TAGS = {"windows-x64": "cp{}-win_amd64", "macos-arm64": "cpython-{}-darwin"}

# platform → locked packages that have no wheel for it; the engine does without them
WITHOUT = {"linux-arm64": ("miniaudio",)}

# Beginnings of paths in wheels that running networks and reading sounds never touch. The whole of
# ONNX Runtime is compiled into its Python module; the shared library beside it is for programs in
# other languages.
UNUSED = (
    *(
        f"onnxruntime/{name}/"
        for name in ("backend", "datasets", "quantization", "tools", "transformers")
    ),
    *(
        f"onnxruntime/capi/{name}"
        for name in ("libonnxruntime", "onnxruntime.dll", "onnxruntime_providers_shared")
    ),
    "cffi/",  # soundfile and miniaudio need only its compiled half
    "espeakng_loader/espeak-ng-data/voices/",  # it reads, and does not speak
)
_ESPEAK = "espeakng_loader/"
# names of espeak-ng's dictionaries of the languages that are read
_DICTIONARIES = {
    {"nb": "no"}.get(voice, voice.partition("-")[0]) + "_dict" for voice in VOICES.values()
}


def is_unused(name: str) -> bool:
    """Whether a file of a wheel is not needed: of espeak-ng other languages' dictionaries, 14 MB of
    19, and copies of its library under other names."""
    if name.startswith(_ESPEAK):
        file = name.rpartition("/")[2]
        is_copy = re.search(r"\.so\.|\.\d[\d.]*\.dylib$", file) is not None
        if is_copy or (file.endswith("_dict") and file not in _DICTIONARIES):
            return True
    return name.startswith(UNUSED)


def wheels(platform: str, python: str) -> list[Path]:
    """The locked wheels for a platform and a Python ("3.11"), from out/wheels/ or, where they are
    not there, from where pip looks. Raises Missing."""
    kept = WHEELS / f"{platform}-py{python}"
    output = ""
    for source in (["--no-index", "--find-links", str(kept)], []):
        if source and not kept.is_dir():
            continue
        kept.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=kept.parent) as fresh,
            tempfile.TemporaryDirectory() as scratch,
        ):
            lock = Path(scratch) / LOCK.name
            lock.write_text(lock_for(platform), encoding="utf-8")
            done = subprocess.run(
                [*download_command(platform, python, lock), *source, "--dest", fresh],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            output = done.stdout
            if done.returncode == 0:
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(fresh, kept)
                return sorted(kept.glob("*.whl"))
    raise Missing(f"The wheels for {platform}, Python {python}, could not be fetched:\n{output}")


def lock_for(platform: str) -> str:
    """The lock's text for a platform, without conditions: pip would read them as of the machine
    that it runs on."""
    text = re.sub(r" ; [^\\\n]+", " ", LOCK.read_text(encoding="utf-8"))
    for name in WITHOUT.get(platform, ()):
        text = re.sub(rf"^{name}==.*\n(?: +.*\n)*", "", text, flags=re.M)
    return text


def download_command(platform: str, python: str, lock: Path) -> list[str]:
    """The command that fetches exactly the wheels of a lock, checked by their hashes."""
    command = [
        python_with_pip(),
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]
    command += ["--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)]
    command += ["--implementation", "cp", "--python-version", python]
    command += [
        part for abi in ("cp" + python.replace(".", ""), "abi3", "none") for part in ("--abi", abi)
    ]
    return command + [part for tag in PLATFORMS[platform] for part in ("--platform", tag)]


def python_with_pip() -> str:
    """A Python that has pip: this one, or that of the engine's environment."""
    here = subprocess.run([sys.executable, "-c", "import pip"], capture_output=True).returncode == 0
    return sys.executable if here else str(engine(()))


def unpack(files: Iterable[Path], folder: Path, platform: str) -> None:
    """Unpack the wheels of a platform into a new folder, with a note of what it was made for and a
    list of licences. files: those of its oldest Python first. Raises Missing."""
    folder.mkdir(parents=True)
    versions, rows = {}, {}
    for wheel in files:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                if entry.is_dir() or is_unused(entry.filename):
                    continue
                if ".data" in Path(entry.filename).parts[0]:
                    raise Missing(
                        f"{wheel.name} holds “{entry.filename}”, which is more than a folder can "
                        f"take up"
                    )
                content = archive.read(entry)
                entry.filename = tagged(entry.filename, wheel.name, platform)
                there = folder / entry.filename
                if not there.exists():
                    archive.extract(entry, folder)
                # What keeps to Python's stable interface is taken as the oldest compiled it.
                elif there.read_bytes() != content and not (
                    ".dist-info/" in entry.filename or there.match("*.abi3.so")
                ):
                    raise Missing(f"{wheel.name} holds another “{entry.filename}” than an earlier")
            info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            about = HeaderParser().parsestr(archive.read(info).decode("utf-8"))
        versions[about["Name"]] = about["Version"]
        rows[info] = (
            f"{about['Name']} {about['Version']}: {licence_of(about['Name'], about)[0]}, "
            f"{info.rpartition('/')[0]}/\n"
        )
    if (folder / _ESPEAK).is_dir():  # its wheel has no licence text
        shutil.copy(ROOT / "LICENSE", folder / _ESPEAK / "COPYING")
    made_for = {"platform": platform, "pythons": PYTHONS[platform], "packages": versions}
    (folder / ABOUT).write_text(json.dumps(made_for, indent=1) + "\n")
    file_rows = [
        f"{pattern}: {licence}, {source}\n" for pattern, (licence, source) in FILE_LICENCES.items()
    ]
    (folder / "LICENCES.txt").write_text(
        LICENCES + "".join(rows.values()) + FILES_HEAD + "".join(file_rows), encoding="utf-8"
    )
    if not any(folder.glob("soundfile-*.dist-info/LICENSE*")) or not any(
        folder.glob("soxr-*.dist-info/licenses/COPYING.LGPL")
    ):
        raise Missing("The licence texts of soundfile or soxr are missing from their wheels")


def tagged(name: str, wheel: str, platform: str) -> str:
    """The name of a file of a wheel, with the Python if it is a module that only this one loads:
    some wheels name it in their own name alone."""
    only = re.search(r"-cp(\d+)-cp\1-", wheel)
    if not only or platform not in TAGS or Path(name).name.count(".") != 1:
        return name
    return re.sub(r"(?=\.(?:so|pyd)$)", "." + TAGS[platform].format(only[1]), name)


LICENCES = """What the engine of THUNDER for Blender uses, unchanged and by its own authors, each with its licence texts.
libsndfile (in _soundfile_data/, whose COPYING is its licence) and libsoxr (in soxr/) are LGPL-2.1-or-later: you may replace both.
espeak-ng 1.52 with its data (in espeakng_loader/, with its licence) is GPL-3.0-or-later, as Thunder is.
Their sources: github.com/libsndfile/libsndfile, github.com/bastibe/libsndfile-binaries, github.com/dofuuz/python-soxr, github.com/espeak-ng/espeak-ng

"""
FILES_HEAD = """
Thunder's own files, each by the first line that fits it:

"""


def fetch(platform: str, folder: Path) -> None:
    """Make `folder` the engine's libraries for a platform and its Pythons. Raises Missing."""
    say(f"libraries for {platform}, Python {', '.join(PYTHONS[platform])}")
    unpack(
        [each for python in PYTHONS[platform] for each in wheels(platform, python)],
        folder,
        platform,
    )
