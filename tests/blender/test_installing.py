# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine installs beside Blender, is updated and removed."""

import subprocess
import sys

import pytest
from made_wheel import make_lock, make_wheel, use_wheels
from thunder.scene.engine import connection, install as install_module
from thunder.thunder_core import installer
from timing import until

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


def test_a_linked_environment_is_removed_with_its_link(installing, monkeypatch, tmp_path):
    target = tmp_path / "disk" / "thunder"
    (target / "bin").mkdir(parents=True)
    (target / "bin" / "tool").write_text("x")
    (target / installer.LOCK).write_bytes(installer.MARK)
    (tmp_path / "engine").symlink_to(target)
    monkeypatch.setattr(installing, "folder", lambda: str(tmp_path / "engine"))
    installing.remove()
    until(lambda: not installing.is_busy(), 200.0)
    assert not (tmp_path / "engine").is_symlink() and list(target.iterdir()) == []
