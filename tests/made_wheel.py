# SPDX-License-Identifier: GPL-3.0-or-later
"""Small packages that stand for the engine's, and the list of their hashes from which they are
installed."""

import hashlib
import os
import zipfile
from pathlib import Path


def make_wheel(folder, name="torch", version="1.0", weight=0):
    """A wheel of a package that holds its version and so many bytes of ballast; its path."""
    path, info = Path(folder) / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    path.parent.mkdir(exist_ok=True)
    files = {
        f"{name}/__init__.py": f"__version__ = '{version}'\n".encode(),
        f"{name}/ballast.bin": os.urandom(weight),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = (
        "".join(f"{file},,{len(data)}\n" for file, data in files.items()) + f"{info}/RECORD,,\n"
    )
    with zipfile.ZipFile(path, "w") as wheel:
        for file, data in [*files.items(), (f"{info}/RECORD", record)]:
            wheel.writestr(file, data)
    return path


def make_lock(path, *wheels):
    """A list of wheels with their hashes, and of one package that no system here needs; its
    path."""
    lines = [
        "{}=={} ; python_version > '3' \\\n    --hash=sha256:{}\n    # via the tests\n".format(
            *wheel.name.split("-")[:2], hashlib.sha256(wheel.read_bytes()).hexdigest()
        )
        for wheel in wheels
    ]
    path.write_text(
        "".join(lines)
        + "winonly==9.0 ; sys_platform == 'nowhere' \\\n    --hash=sha256:"
        + "0" * 64
        + "\n"
    )
    return path


def use_wheels(patch, folder):
    """Let installers reckon with small packages, and find them in a folder alone, whatever pip is
    told on this machine."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))
    patch.setenv("THUNDER_INSTALL_SCALE", "5e-4")
