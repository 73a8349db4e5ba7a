# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine installs beside Blender: resumable, repairable, removable,
and nobody else notices."""

import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from made_wheel import make_lock, make_wheel, use_wheels
from thunder.scene.engine import connection, install as install_module
from thunder.thunder_core import installer
from timing import keeps, until

NAMES = ("torch", "diffusers", "soundfile")  # small packages of these names stand for the gigabytes
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return folder, [make_wheel(folder, name, weight=400_000) for name in NAMES]


@pytest.fixture(scope="module")
def lock(wheels, tmp_path_factory):
    return make_lock(tmp_path_factory.mktemp("lock") / "engine.txt", *wheels[1])


@pytest.fixture
def installing(lock, wheels, monkeypatch):
    """scene.engine.install that finds the small packages and reckons with them."""
    monkeypatch.setattr(install_module, "LOCK", lock)
    install_module.lock_hash.cache_clear()
    install_module.versions_in.cache_clear()
    use_wheels(monkeypatch, wheels[0])
    yield install_module
    install_module.installing.close()
    install_module.lock_hash.cache_clear()


def install(installing, place, lock):
    begun = installing.Installation(str(place), str(lock))
    assert begun.wait(400)
    return begun


def answer(place, code):
    python = installer.python_in(str(place))
    return subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


@pytest.fixture(scope="module")
def installed(wheels, lock, tmp_path_factory):
    """An environment installed once for all tests that only look at it or mend it."""
    place = tmp_path_factory.mktemp("extension") / "engine"
    with pytest.MonkeyPatch.context() as patch:
        use_wheels(patch, wheels[0])
        begun = install(install_module, place, lock)
    assert begun.error == "", begun.error
    assert begun.fraction == 1.0
    return place


def test_packages_become_an_environment(installing, installed):
    state = installing.state(str(installed))
    assert (
        state.kind == "READY"
        and state.versions["torch"] == "1.0"
        and state.versions["python"].startswith("3.")
    )
    assert answer(
        installed, "import torch, diffusers, soundfile, sys; print(torch.__version__, sys.prefix)"
    ).startswith("1.0 ")
    assert not (installed / "thunder-downloads").exists()
    assert "winonly" not in answer(
        installed, "import importlib.metadata as m; print([d.name for d in m.distributions()])"
    )
    assert not any("torch" in name for name in sys.modules)


def test_a_python_that_is_gone_is_seen_and_made_again(installing, installed, lock):
    for link in Path(installer.python_in(str(installed))).parent.glob("python*"):
        link.unlink()
    assert installing.state(str(installed)).kind == "BROKEN"
    begun = install(installing, installed, lock)
    assert (
        begun.error == "" and answer(installed, "import torch; print(torch.__version__)") == "1.0"
    )


def test_another_lock_makes_it_outdated_and_updates_it(
    installing, installed, wheels, tmp_path, monkeypatch
):
    lock = make_lock(tmp_path / "engine.txt", make_wheel(tmp_path, "torch", "2.0"), *wheels[1][1:])
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path} {wheels[0]}")
    monkeypatch.setattr(installing, "LOCK", lock)
    installing.lock_hash.cache_clear()
    assert installing.state(str(installed)).kind == "OUTDATED"
    begun = install(installing, installed, lock)
    assert begun.error == "" and installing.state(str(installed)).versions["torch"] == "2.0"
    monkeypatch.undo()


class Server:
    """A package index on this machine that can be made slow; `asked` holds the wheels it gave."""

    def __init__(self, folder, wheels):
        self.asked, self.slow = [], True
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rstrip("/").rpartition("/")[2]
                if self.path.startswith("/simple/"):
                    links = "".join(
                        f'<a href="/files/{w.name}">{w.name}</a>'
                        for w in wheels
                        if w.name.startswith(name + "-")
                    )
                    self.reply(f"<html><body>{links}</body></html>".encode(), "text/html")
                    return
                server.asked.append(name)
                data = (folder / name).read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Cache-Control", "max-age=31536000")
                self.end_headers()
                for start in range(0, len(data), 20_000):
                    self.wfile.write(data[start : start + 20_000])
                    if server.slow and len(server.asked) > 1:
                        time.sleep(1.0)

            def reply(self, data, kind):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

            def handle(self):
                try:
                    super().handle()
                except (ConnectionError, OSError):
                    pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}/simple"


@pytest.fixture
def server(wheels):
    made = Server(*wheels)
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.mark.skipif(os.name == "nt", reason="processes are looked up as POSIX lists them")
def test_a_download_is_cancelled_at_once_and_resumed_where_it_was(
    installing, installed, server, lock, monkeypatch
):
    (installed / installer.STAMP).unlink()  # as an interruption leaves it
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", server.url)
    # pip keeps only what it trusts, and this server speaks plain HTTP
    monkeypatch.setenv("PIP_TRUSTED_HOST", "127.0.0.1")
    begun = installing.Installation(str(installed), str(lock))
    until(lambda: len(server.asked) >= 2 or begun.over, 200.0)
    assert not begun.over, begun.error
    seen = begun.fraction
    started = time.perf_counter()
    begun.stop()
    stopped = time.perf_counter() - started
    until(lambda: begun.over, 200.0)
    keeps(0.5, stopped, "stopping a download")
    assert begun.error == "" and 0.0 < seen < 0.75
    assert installing.state(str(installed)).kind == "UNFINISHED"
    first = server.asked[0]
    server.slow = False
    server.asked.clear()
    again = install(installing, installed, lock)
    assert again.error == "", again.error
    # what was there whole is not asked for again
    assert first not in server.asked and len(server.asked) == 2
    assert installing.state(str(installed)).kind == "READY"


def test_install_and_remove_as_buttons_do(blender, installing, installed, lock, monkeypatch):
    # the small torch makes it an engine for graphics cards
    monkeypatch.setattr(installing, "CARD_LOCK", lock)
    monkeypatch.setattr(installing, "folder", lambda: str(installed))
    monkeypatch.setattr(installing, "may_download", lambda: True)
    assert blender.ops.thunder.install_engine() == {"FINISHED"}
    assert installing.state().kind == "READY" and connection.venvs() == (str(installed),)
    assert blender.ops.thunder.remove_engine() == {"FINISHED"}
    assert installing.state().kind != "READY" and connection.venvs() == ()
    until(lambda: not installing.is_busy(), 200.0)
    assert installing.state().kind == "ABSENT" and not installed.exists()


def made_environment(place):
    """A folder that looks like an environment of the installer's."""
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "tool").write_text("x")
    (place / installer.LOCK).write_bytes(installer.MARK)
    return place


def test_removing_takes_the_environment_and_leaves_what_else_lies_there(
    blender, installing, monkeypatch, tmp_path
):
    place = made_environment(tmp_path / "engine")
    (place / "notes.txt").write_text("mine")
    monkeypatch.setattr(installing, "folder", lambda: str(place))
    assert blender.ops.thunder.remove_engine() == {"FINISHED"}
    until(lambda: not installing.is_busy(), 200.0)
    assert [path.name for path in place.iterdir()] == ["notes.txt"]
    monkeypatch.setattr(installing, "folder", lambda: str(tmp_path / "other"))
    (tmp_path / "other" / "bin").mkdir(parents=True)
    (tmp_path / "other" / "shot.blend").write_text("mine")
    with pytest.raises(RuntimeError, match="is left alone"):  # what is not ours
        blender.ops.thunder.remove_engine()
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["bin", "shot.blend"]


def test_a_linked_environment_is_removed_with_its_link(installing, monkeypatch, tmp_path):
    target = made_environment(tmp_path / "disk" / "thunder")
    (tmp_path / "engine").symlink_to(target)
    monkeypatch.setattr(installing, "folder", lambda: str(tmp_path / "engine"))
    installing.remove()
    until(lambda: not installing.is_busy(), 200.0)
    assert not (tmp_path / "engine").is_symlink() and list(target.iterdir()) == []
