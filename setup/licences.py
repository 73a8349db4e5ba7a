# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the page of licences of everything a user installs (`make licences`).

Of Thunder's files, and of the engine's packages, whose metadata it reads: docs/reference/licences.md.
Runs in the engine's Python; fails when a licence is unknown or does not allow commercial use.
"""

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "card.txt"  # the engine and torch
PAGE = ROOT / "docs" / "reference" / "licences.md"

# SPDX ids of licences that let anybody use a package commercially.
ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 CNRI-Python ISC MIT MIT-0 MIT-CMU MPL-2.0 "
    "PSF-2.0 Python-2.0 Unlicense Zlib".split()
)
# Texts that packages use instead of SPDX ids, or as trove classifiers, if they are unambiguous.
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
_NVIDIA_PACKAGES = (
    "cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand "
    "cusparse nccl-cu13 nvjitlink nvshmem-cu13"
)
_NVIDIA = (
    "NVIDIA's own licence, in the wheel: no fee, commercial use allowed, but no free "
    "software; Linux only, for graphics cards"
)
# Packages without an SPDX id in their metadata: their licence, and its source or the reason why it
# is accepted.
EXCEPTIONS = {
    "cuda-toolkit": ("LicenseRef-NVIDIA-Proprietary", "an empty package; Linux only"),
    "espeakng-loader": (
        "GPL-3.0-or-later",
        "espeak-ng 1.52 with its data; says nothing itself, and is used as Thunder is",
    ),
    "jinja2": ("BSD-3-Clause", "says “BSD License”; its licence file has three clauses"),
    "mpmath": ("BSD-3-Clause", "says “BSD”; its licence file has three clauses"),
    "nvidia-cusparselt-cu13": (
        "LicenseRef-NVIDIA-Proprietary",
        "says “NVIDIA Proprietary Software” and carries no licence file; Linux only",
    ),
    "nvidia-nvtx": (
        "Apache-2.0",
        "says “Apache 2.0” and, as a classifier, “Other/Proprietary License”",
    ),
    "soxr": ("LGPL-2.1-or-later", "libsoxr's, which may be replaced"),
    "sympy": ("BSD-3-Clause", "says “BSD”; its licence file has three clauses"),
    "torchaudio": ("BSD-2-Clause", "says “BSD License”; its licence file has two clauses"),
    **{
        f"nvidia-{name}": ("LicenseRef-NVIDIA-Proprietary", _NVIDIA)
        for name in _NVIDIA_PACKAGES.split()
    },
}
GPL, CC0 = "GPL-3.0-or-later", "CC0-1.0"
# Patterns of Thunder's files → licence, and who made them; a file has the licence of the first
# pattern that it matches.
FILE_LICENCES = {
    "assets/*.wav": (CC0, "spoken by flite's voice SLT (assets/README.md)"),
    "assets/*.json": (CC0, "drawn for Thunder"),
    "weights/*.npz": (CC0, "heads that `python -m research sculpt` makes"),
    "docs/pictures/*": (CC0, "pictures of Thunder; in the repository alone"),
    "weights/speaker.*": (GPL, "Resemblyzer 0.1.4 (Apache-2.0), converted"),
    "weights/encoder.*": (
        GPL,
        "OpenAI's Whisper base (MIT, weights/LICENSE-whisper), three layers; the rest trained here",
    ),
    "weights/LICENSE-whisper": ("MIT", "the licence of Whisper, © 2022 OpenAI"),
    "weights/*": (GPL, "trained here (weights/README.md)"),
    "*": (GPL, "code, its data, and text"),
}
HEAD = """# Licences of what is installed

`make licences` writes this page; a test refuses licences that are unknown or forbid commercial use.

## Thunder itself

What you make with it is yours.

| files | licence | where they are from |
|---|---|---|
{files}

## What it uses

A package brings ONNX Runtime, safetensors, soundfile, soxr, espeak-ng, miniaudio and cffi along; *Graphics Card…*, and *Install Engine* in a clone, \
download what is listed here. The packages say these licences of themselves; libraries inside their wheels have theirs beside them.

Ray (`bake.py --cluster`, Apache-2.0) and pykakasi (*Install Kanji Reading…*, GPL-3.0-or-later) are installed by choice.

"""


class Refused(Exception):
    """A licence that is unknown, or does not allow commercial use."""


def locked_versions(text: str) -> dict[str, list[str]]:
    """name → versions of a lock's packages, without those that no system supported by Blender
    needs."""
    packages: dict[str, list[str]] = {}
    for name, version, marker in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)([^\\\n]*)", text, re.M):
        if "sys_platform == 'emscripten'" not in marker:
            packages.setdefault(name, []).append(version)
    return packages


def licence_of(name: str, about) -> tuple[str, str]:
    """SPDX expression and note of a package. about: its metadata, None if it is not installed here.
    Raises Refused."""
    if name in EXCEPTIONS:
        return EXCEPTIONS[name]
    if about is None:
        raise Refused(f"{name} is not installed here: its licence cannot be read")
    classifiers = [
        line.rpartition("::")[2].strip()
        for line in about.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    named = [about.get("License-Expression"), (about.get("License") or "").strip(), *classifiers]
    for text in filter(None, named):
        expression = SPELLINGS.get(text, text)
        if is_allowed(expression):
            return expression, ""
    raise Refused(
        f"{name}: {', '.join(text[:60] for text in named if text) or 'no licence'} is no licence "
        f"known to allow commercial use"
    )


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression of AND, OR and brackets permits commercial use: one alternative is
    enough."""
    words = re.findall(r"[()]|[^\s()]+", expression)
    known = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    try:  # of nothing but brackets, and, or, True and False
        return eval(" ".join(known.get(word, str(word in ALLOWED)) for word in words)) is True
    except (SyntaxError, TypeError):
        return False


def metadata_of(name: str):
    """The metadata of an installed package, None if it is not installed here."""
    try:
        return metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None


def packages() -> list[tuple[str, str, str]]:
    """Everything that the engine's lock lists: name with version, licence, and the reason for
    accepting this where the metadata is not enough. Raises Refused."""
    listed = sorted(locked_versions(LOCK.read_text(encoding="utf-8")).items())
    return [
        (f"{name} {' or '.join(versions)}", *licence_of(name, metadata_of(name)))
        for name, versions in listed
    ]


def page(listed: list[tuple[str, str, str]]) -> str:
    """The text of the documentation's page."""
    licensed: dict[str, list[str]] = {}
    noted: dict[str, list[str]] = {}
    for package, licence, note in listed:
        licensed.setdefault(licence, []).append(package)
        if note:
            noted.setdefault(note, []).append(package.partition(" ")[0])
    rows = [f"- **{licence}**: {', '.join(names)}." for licence, names in sorted(licensed.items())]
    notes = [f"- {', '.join(names)}: {note}." for note, names in noted.items()]
    files = "\n".join(
        f"| `{pattern}` | {licence} | {source} |"
        for pattern, (licence, source) in FILE_LICENCES.items()
    )
    return (
        "\n".join(
            [
                HEAD.format(files=files) + "\n".join(rows),
                "",
                "Where the metadata is not enough:",
                "",
                *notes,
            ]
        )
        + "\n"
    )


def main() -> int:
    """Write the page; the exit code."""
    try:
        PAGE.write_text(page(packages()), encoding="utf-8")
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
