# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds out/thunder-VERSION.zip with Blender's own extension tool: of the Blender that BLENDER names, else of a bpy module."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ask, blender, Missing, ROOT, say

LARGEST = 120  # largest package, MB


def build(out: Path, tool: list[str]) -> Path:
    """The package that the extension tool `tool` builds in the folder `out`. Raises Missing with what went wrong."""
    manifest = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    name, version = (re.findall(rf'^{key} = "(.+)"', manifest, re.M)[0] for key in ("id", "version"))
    package = out / f"{name}-{version}.zip"
    out.mkdir(parents=True, exist_ok=True)
    package.unlink(missing_ok=True)
    command = [*tool, "build", "--source-dir", str(ROOT), "--output-dir", str(out)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # Blender exits with 0 even if the build failed, so the file is checked instead.
    if done.returncode != 0 or not package.is_file():
        raise Missing(f"Blender's extension tool could not build the package:\n{done.stdout}")
    size = package.stat().st_size / 1e6
    if size > LARGEST:
        raise Missing(f"{package.name} has {size:.0f} MB, more than {LARGEST}: look at what paths_exclude_pattern lets in")
    say(f"{package.name}: {size:.1f} MB")
    return package


def extension_tool() -> list[str]:
    """The command that Blender's `--command extension` is."""
    chosen = os.environ.get("BLENDER")
    if chosen:
        path = shutil.which(chosen)
        if not path:
            raise Missing(f"There is no Blender at “{chosen}”, named by BLENDER: correct it or leave it unset")
        return [path, "-b", "--factory-startup", "--command", "extension"]
    python = blender(None)
    return module_tool(python)


def module_tool(python: Path) -> list[str]:
    """The extension tool inside the bpy module of `python`; it is a script that needs no bpy itself."""
    packages = ask(python, "import sysconfig; print(sysconfig.get_paths()['platlib'])")
    scripts = glob.glob(os.path.join(packages or "", "bpy", "*", "scripts", "addons_core", "bl_pkg", "cli", "blender_ext.py"))
    if not scripts:
        raise Missing("This bpy module carries no extension tool: name a Blender with BLENDER=/path/to/blender")
    return [str(python), scripts[0]]


if __name__ == "__main__":
    try:
        print(build(ROOT / "out", extension_tool()))
    except Missing as error:
        sys.exit(str(error))
