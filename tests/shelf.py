# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of packages to install from: stand-ins for Blenders and systems that are not here,
an earlier version, a web server."""

import contextlib
import functools
import http.server
import json
import os
import shutil
import zipfile
from pathlib import Path

from hub import serving

MANIFEST = "blender_manifest.toml"
EARLIER = "0.0.9"
SESSION = Path(__file__).with_name("shelf_session.py")


def stand_in(packaging, folder, platform, version=None):
    """A package of a platform that holds hardly more than its manifest; its path."""
    version = version or packaging.field("version")
    path = folder / f"{packaging.field('id')}-{version}-{platform}.zip"
    manifest = packaging.manifest(platform).replace(
        f'version = "{packaging.field("version")}"', f'version = "{version}"'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr(
            "__init__.py", "def register():\n    pass\n\n\ndef unregister():\n    pass\n"
        )
        archive.writestr("vendor/made_for.json", json.dumps({"platform": platform}))
    return path


def earlier(package, folder):
    """The same package as an earlier version, with a file and a name in its code that the newer one
    lacks; its path."""
    with zipfile.ZipFile(package) as source:
        manifest = source.read(MANIFEST).decode()
        version = manifest.split('\nversion = "')[1].partition('"')[0]
        path = folder / package.name.replace(f"-{version}-", f"-{EARLIER}-")
        with zipfile.ZipFile(path, "w") as archive:
            for name in source.namelist():
                data = source.read(name)
                if name == MANIFEST:
                    data = manifest.replace(
                        f'\nversion = "{version}"', f'\nversion = "{EARLIER}"'
                    ).encode()
                if name == "scene/host/compat.py":
                    data += b"\n\nEARLIER = True\n"
                archive.writestr(name, data)
            archive.writestr("only_in_earlier.txt", "")
    return path


def fill(packaging, tool, folder, package):
    """Make FOLDER/shelf a repository with an earlier version of the package, and FOLDER/newer what
    it becomes by the newer one."""
    for name, of in (("shelf", earlier), ("newer", shutil.copy)):
        (folder / name).mkdir()
        of(package, folder / name)
        packaging.make_index(folder / name, tool)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    """A web server of this machine that serves a folder's files; yields its index's address."""
    with serving(functools.partial(_Quiet, directory=str(folder))) as address:
        yield f"{address}/index.json"


def session_environment(folder):
    """The environment of a Blender whose user's files are in a folder, and that finds no engine but
    its package's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "THUNDER_PYTHON")
    }
    (folder / "user").mkdir(exist_ok=True)
    (folder / "tmp").mkdir(exist_ok=True)
    proxies = {
        name: ""
        for name in (
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        )
    }
    return {
        **kept,
        **proxies,
        "BLENDER_USER_RESOURCES": str(folder / "user"),
        "TMPDIR": str(folder / "tmp"),
    }


def answer(folder, part):
    """What a part of shelf_session.py has seen."""
    return json.loads(Path(folder, f"{part}.json").read_text())
