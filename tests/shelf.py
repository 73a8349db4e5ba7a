# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of packages to install from: stand-ins for Blenders and systems that are not here,
an earlier version, a web server."""

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import threading
import zipfile
from pathlib import Path

MANIFEST = "blender_manifest.toml"
EARLIER = "0.0.9"
SESSION = Path(__file__).with_name("shelf_session.py")


def stand_in(packaging, folder, platform, python, version=None):
    """A package of a platform and a Python that holds hardly more than its manifest; its path."""
    version = version or packaging.field("version")
    path = (
        folder
        / f"{packaging.field('id')}-{version}-{packaging.vendor.name_of(platform, python)}.zip"
    )
    manifest = packaging.manifest(platform, python).replace(
        f'version = "{packaging.field("version")}"', f'version = "{version}"'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr(
            "__init__.py", "def register():\n    pass\n\n\ndef unregister():\n    pass\n"
        )
        archive.writestr(
            "vendor/made_for.json", json.dumps({"platform": platform, "python": python})
        )
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


NEIGHBOUR = """
import base64

MODEL = base64.b64decode("{model}")


def compute(value):
    import numpy
    import onnxruntime

    return float(onnxruntime.InferenceSession(MODEL).run(None, {{"x": numpy.full(1, value, numpy.float32)}})[0][0])


def register():
    pass


def unregister():
    pass
"""


def neighbour(wheel, folder):
    """An extension that brings a wheel of ONNX Runtime and computes −x with it; its path."""
    path = folder / "neighbour.zip"
    manifest = {
        **{
            "schema_version": "1.0.0",
            "id": "neighbour",
            "version": "1.0.0",
            "name": "Neighbour",
            "tagline": "Computes in Blender",
        },
        **{
            "maintainer": "Nobody",
            "type": "add-on",
            "blender_version_min": "4.2.0",
            "license": ["SPDX:GPL-3.0-or-later"],
        },
        "wheels": [f"./wheels/{wheel.name}"],
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            MANIFEST, "".join(f"{key} = {json.dumps(value)}\n" for key, value in manifest.items())
        )
        archive.writestr(
            "__init__.py", NEIGHBOUR.format(model=base64.b64encode(negation()).decode())
        )
        archive.write(wheel, f"wheels/{wheel.name}")
    return path


def negation():
    """An ONNX model of one node: y [1] = −x [1]."""

    def part(number, data):
        data = data.encode() if isinstance(data, str) else data
        return bytes([number << 3 | 2, len(data)]) + data

    def counted(number, value):
        return bytes([number << 3, value])

    numbers = part(1, counted(1, 1) + part(2, part(1, counted(1, 1))))  # a tensor of one float
    node = part(1, "x") + part(2, "y") + part(4, "Neg")
    graph = (
        part(1, node)
        + part(2, "g")
        + part(11, part(1, "x") + part(2, numbers))
        + part(12, part(1, "y") + part(2, numbers))
    )
    return counted(1, 8) + part(7, graph) + part(8, part(1, "") + counted(2, 17))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    """A web server of this machine that serves a folder's files; yields its index's address."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/index.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


def check_update(seen, version):
    """The newer version's code runs, in the same session and without Blender being started
    again."""
    update = seen["update"]
    assert (update["first"], update["second"]) == (EARLIER, version)
    assert update["old_code"] and update["new_code"] and not update["left_of_old"]
    assert update["takes"] == 3, "two takes of the earlier version, one of the newer"
    assert seen["reopen"]["enabled"] and seen["reopen"]["version"] == version


def check_kept(seen):
    """Environment, presets, preferences and saved takes are as they were."""
    update, reopen = seen["update"], seen["reopen"]
    assert (
        update["kept"]
        and "engine/installed" in update["user_files"]
        and len(update["user_files"]) == 2
    )
    assert update["device"] == "CPU" and len(reopen["presets"]) == 1
    assert reopen["device"] == ("CPU" if reopen["read_preferences"] else "AUTO")
    assert (
        reopen["scores"] == update["scores"]
        and all(reopen["actions"])
        and len(reopen["actions"]) == 2
    )
    assert reopen["takes"] == 3


def check_order(seen):
    """Blender touches the extension's files only once the engine's process, which has them open, is
    gone."""
    for part in ("update", "reopen"):
        assert seen[part]["watched"] == {"files": ["thunder"], "worker": False}, part


def check_removed(seen):
    """Nothing is left in the Blender that runs, on the disk, or in the next session; the keys in a
    saved file stay."""
    reopen, after = seen["reopen"], seen["is_gone"]
    assert (
        reopen["traces_in_use"]["types"]
        and reopen["traces_in_use"]["handlers"]
        and reopen["temporary_in_use"]
    )
    for traces in (reopen["traces"], after["traces"]):
        assert not any(traces.values()), traces
    assert not reopen["place"] and not reopen["user_folder"] and reopen["temporary"] == []
    assert after["files"] == [], after["files"]
    assert reopen["keyed"] and after["moves"] > 0.03  # radians of the jaw
