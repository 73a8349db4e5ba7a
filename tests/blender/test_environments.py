# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the environments beside Blender: which are of this version, and which Python may
make them. Nothing is installed here."""

import json
import os

import pytest
from thunder.scene.engine import connection, install
from thunder.thunder_core import errors, files, installer


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Writes what an installation of a list leaves, at the engine's place; returns that folder."""
    place = tmp_path / "engine"
    monkeypatch.setattr(install, "folder", lambda: str(place))

    def make(lock, package="torch-2.8.0"):
        python = place / os.path.relpath(installer.python_in("."), ".")
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()
        (place / "lib" / "python3.11" / "site-packages" / f"{package}.dist-info").mkdir(
            parents=True, exist_ok=True
        )
        stamp = {"lock": lock, "python": "3.11.7"}
        (place / installer.STAMP).write_text(json.dumps(stamp))
        install.versions_in.cache_clear()
        return str(place)

    yield make
    install.versions_in.cache_clear()


@pytest.mark.parametrize("lock", [install.LOCK, install.CARD_LOCK], ids=["processor", "card"])
def test_an_engine_of_this_versions_lists_is_ready_with_or_without_torch(made, lock):
    place = made(files.hash_of(lock))
    assert install.state().kind == "READY" and connection.venvs() == (place,)


def test_an_engine_of_another_list_is_outdated(made):
    made("0" * 64)
    assert install.state().kind == "OUTDATED"
    made(files.hash_of(install.TRACKER_LOCK))
    assert install.state().kind == "OUTDATED"


def test_a_folder_that_is_not_ours_is_not_removed(made, tmp_path):
    place = made(files.hash_of(install.LOCK))
    with pytest.raises(errors.ThunderError, match="was not created by this add-on"):
        install.remove()
    assert not install.is_busy() and os.path.exists(installer.python_in(place))


@pytest.fixture
def only_python(tmp_path, monkeypatch):
    """Makes a program the one Python that there is, of this version."""

    def make(version):
        python = tmp_path / "bin" / f"python{version[0]}.{version[1]}"
        python.parent.mkdir(exist_ok=True)
        python.write_text(f"#!/bin/sh\necho '{json.dumps({'version': version, 'venv': True})}'\n")
        python.chmod(0o755)
        monkeypatch.setattr(install.sys, "executable", str(python))
        monkeypatch.setenv("PATH", str(python.parent))
        return str(python)

    return make


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the Python")
def test_what_follows_faces_is_made_by_a_python_that_mediapipe_has_wheels_for(
    only_python, tmp_path, monkeypatch
):
    python = only_python([3, 13])
    assert install.fitting_python() == (python, "")
    monkeypatch.setattr(install, "folder", lambda: str(tmp_path / "engine"))
    begun = install.begin(component=install.TRACKER)
    assert begun.wait(60) and install.settle()
    assert begun.error.startswith("Python 3.11 to 3.12 with venv is needed")
    assert not (tmp_path / "tracker").exists()
