# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the files that come with the code: weights, the samples, a package's libraries; the
standard library only.

In the repository and in the extension their folders lie beside this package, in the Python package
they lie in it.
"""

import errno
import hashlib
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder “weights” or “assets” that came with this code."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


WEIGHTS = folder("weights")  # folder of the shipped weights and heads
DRAWING = folder("assets") / "drawing.json"  # the sample drawing
SAMPLE = folder("assets") / "sample.wav"  # the sample voice, and what it says
SAMPLE_TEXT = (
    "My brother moves both big blue boxes from the front room. "
    "Who can forgive such a foolish thief, and put up with his thunder?"
)
# endings of weight files; graphs follow from these
WEIGHT_ENDINGS = (".safetensors", ".json", ".npz")
LARGEST_WEIGHTS = 2**29  # bytes of a file; the largest shipped one has 14 MB
VENDOR = folder("vendor")  # folder of the engine's libraries in a package; a clone has none


def fingerprint_of(weights: Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 over the weight files in a folder, in name order:
    what takes and reports call the weights. Raises OSError, for a huge file too."""
    whole = hashlib.sha256()
    for path in sorted(weights.iterdir()):
        if path.suffix in WEIGHT_ENDINGS and path.is_file():
            whole.update(path.name.encode())
            if path.stat().st_size > LARGEST_WEIGHTS:
                size = f"it is larger than {LARGEST_WEIGHTS >> 20} MB"
                raise OSError(errno.EFBIG, size, str(path))
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
