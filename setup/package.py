# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the packages that Blender installs, with its extension tool: of the Blender that
BLENDER names, else of a bpy module.

package.py [--platforms "linux-x64 …"]   out/packages/thunder-VERSION-PLATFORM.zip, each with the
                                         engine's libraries for every Python of its Blenders;
                                         without --platforms for this machine
package.py --all                         for every platform
package.py --repository                  out/packages/index.json, for Blender to install and update
                                         from
"""

import argparse
import glob
import json
import os
import platform as machine
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import environment
import vendor
from environment import ask, blender, Missing, ROOT, say

PACKAGES = ROOT / "out" / "packages"
LARGEST = 110  # largest package, MB
MANIFEST = "blender_manifest.toml"
OLDEST = re.compile(r'^blender_version_min = ".+"$', re.M)


def build(out: Path, tool: list[str], platform: str) -> Path:
    """The package for a platform that the extension tool `tool` builds in the folder `out`,
    validated. Raises Missing."""
    out.mkdir(parents=True, exist_ok=True)
    name, version = (field(key) for key in ("id", "version"))
    package = out / f"{name}-{version}-{platform}.zip"
    package.unlink(missing_ok=True)
    # Below out/, as a Blender in another root may see no other folder.
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "out", prefix="stage-") as temporary:
        stage = Path(temporary) / name
        copy_code(stage)
        make_guides(stage / "guide")
        vendor.fetch(platform, stage / "vendor")
        (stage / MANIFEST).write_text(manifest(platform), encoding="utf-8")
        run(tool, "build", "--source-dir", stage, "--output-filepath", package)
    # Blender exits with 0 even if the build failed, so the file is checked instead.
    if not package.is_file() or "Success" not in (output := run(tool, "validate", package)):
        raise Missing(
            f"Blender's extension tool did not accept "
            f"{package.name}:\n{output if package.is_file() else 'no file'}"
        )
    size = package.stat().st_size / 1e6
    if size > LARGEST:
        raise Missing(
            f"{package.name} has {size:.0f} MB, more than {LARGEST}: look at what "
            f"paths_exclude_pattern lets in"
        )
    say(f"{package.name}: {size:.1f} MB")
    return package


def field(key: str) -> str:
    """A text of the repository's manifest."""
    return re.findall(rf'^{key} = "(.+)"', (ROOT / MANIFEST).read_text(encoding="utf-8"), re.M)[0]


def manifest(platform: str) -> str:
    """The manifest of a package: the repository's, which names no platform, with the one that its
    libraries are for."""
    line = rf'\g<0>\nplatforms = ["{platform}"]'
    text, count = OLDEST.subn(line, (ROOT / MANIFEST).read_text(encoding="utf-8"))
    if count != 1:
        raise Missing(f"{MANIFEST} names blender_version_min {count} times, not once")
    return text


def copy_code(stage: Path) -> None:
    """The repository's files without what is hidden or made; the manifest leaves out more."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        made = {"out", "cache", "runs", "vendor"} if Path(folder) == ROOT else {"__pycache__"}
        return {name for name in names if name.startswith(".") or name in made}

    shutil.copytree(ROOT, stage, ignore=left_out)


def make_guides(folder: Path) -> None:
    """Make pages of the guides in a folder (guides.py). Raises Missing."""
    command = [str(environment.guides()), str(ROOT / "setup" / "guides.py"), str(folder)]
    environment.run(command, "The guides could not be made: look at the error above")


def make_index(folder: Path, tool: list[str]) -> Path:
    """The index of a folder of packages, which makes it a repository for Blender. Raises
    Missing."""
    index = folder / "index.json"
    index.unlink(missing_ok=True)
    output = run(tool, "server-generate", "--repo-dir", folder)
    if not index.is_file():
        raise Missing(f"Blender's extension tool made no index:\n{output}")
    listed = json.loads(index.read_text(encoding="utf-8"))
    # Of two packages that fit, Blender takes the one that is listed last, whatever their versions.
    newest: dict[str, dict] = {}
    for item in listed["data"]:
        fitting = [
            each for each in vendor.PLATFORMS if item["archive_url"].endswith(f"-{each}.zip")
        ]
        if not fitting:
            raise Missing(
                f"“{item['archive_url']}” is none of our packages: remove it from {folder}"
            )
        kept = newest.setdefault(fitting[0], item)
        if release(item) > release(kept):
            newest[fitting[0]] = item
    listed["data"] = list(newest.values())
    index.write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    return index


def release(item: dict) -> tuple:
    """The version of a listed package, to be compared: 1.0.0-beta comes before 1.0.0."""
    numbers, _, suffix = item["version"].partition("-")
    return tuple(map(int, numbers.split("."))), not suffix, suffix


def run(tool: list[str], *arguments) -> str:
    """Run the extension tool and return its output. Raises Missing if it fails."""
    command = [*tool, *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        raise Missing(f"Blender's extension tool failed:\n{done.stdout}")
    return done.stdout


def extension_tool() -> list[str]:
    """The command that Blender's `--command extension` is."""
    chosen = os.environ.get("BLENDER")
    if chosen:
        path = shutil.which(chosen)
        if not path:
            raise Missing(
                f"There is no Blender at “{chosen}”, named by BLENDER: correct it or leave it unset"
            )
        return [path, "-b", "--factory-startup", "--command", "extension"]
    return module_tool(blender(None))


def module_tool(python: Path) -> list[str]:
    """The extension tool inside the bpy module of `python`; it is a script that needs no bpy
    itself."""
    packages = ask(python, "import sysconfig; print(sysconfig.get_paths()['platlib'])")
    scripts = glob.glob(
        os.path.join(
            packages or "", "bpy", "*", "scripts", "addons_core", "bl_pkg", "cli", "blender_ext.py"
        )
    )
    if not scripts:
        raise Missing(
            "This bpy module carries no extension tool: name a Blender with "
            "BLENDER=/path/to/blender"
        )
    return [str(python), scripts[0]]


def this_platform() -> str:
    """Blender's name of this machine's platform."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
    return f"{system}-{'arm64' if machine.machine().lower() in ('arm64', 'aarch64') else 'x64'}"


def main() -> int:
    """Build what was asked for and print its paths; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--platforms", default="", help="of " + ", ".join(vendor.PLATFORMS))
    parser.add_argument("--all", action="store_true", help="every platform")
    parser.add_argument(
        "--repository", action="store_true", help="the index of the packages that were built"
    )
    options = parser.parse_args()
    platforms = options.platforms.split() or (
        list(vendor.PLATFORMS) if options.all else [this_platform()]
    )
    try:
        if unknown := set(platforms) - set(vendor.PLATFORMS):
            raise Missing(
                f"No package is made for {', '.join(sorted(unknown))}: choose of "
                f"{', '.join(vendor.PLATFORMS)}"
            )
        tool = extension_tool()
        if options.repository:
            print(make_index(PACKAGES, tool))
            return 0
        for platform in platforms:
            print(build(PACKAGES, tool, platform), flush=True)
    except Missing as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
