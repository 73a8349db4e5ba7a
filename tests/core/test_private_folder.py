# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary folders are removed only where they are surely ours or this Blender's; calls of the operating
system that a test can tell from doing nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from research.harness import ROOT
from thunder_core import private_folder, system_calls
from thunder_core.engine_python import find_engine_python
from thunder_core.errors import NoEngine
from thunder_core.private_folder import (
    is_orphaned,
    LOCK,
    PREFIX,
    PrivateFolder,
    remove_blender_session,
    remove_if_orphaned,
    sweep,
    YOUNG,
)


def session(folder, name="blender_aB3dEf", mode=0o700):
    (folder / name).mkdir()
    (folder / name / "quit.blend").write_text("")
    (folder / name).chmod(mode)
    return folder / name


def test_what_cannot_be_removed_stays_without_an_error(temporary, monkeypatch):
    folder, own = session(temporary), PrivateFolder()

    def refused(*args, **options):
        raise PermissionError

    monkeypatch.setattr(os, "rmdir", refused)
    own.remove()
    remove_blender_session(str(folder))
    assert folder.is_dir() and os.path.isdir(own.path)
    monkeypatch.chdir(temporary)
    (temporary / f"{PREFIX}a1b2c3d4").mkdir(0o700)
    for path in (own.path, str(temporary / f"{PREFIX}a1b2c3d4")):
        open(os.path.join(path, LOCK), "w").close()
        os.utime(path, (0, 0))
        remove_if_orphaned(path)
    sweep()
    assert os.path.isdir(own.path)


@pytest.mark.parametrize(
    "name, mode",
    [("blender_", 0o700), ("blender_projects", 0o700), ("shots", 0o700), ("blender_aB3dEf", 0o755)],
)
def test_a_folder_of_another_name_or_mode_is_left_alone_and_the_one_that_blender_made_is_removed(
    temporary, name, mode
):
    folder, link = session(temporary, name, mode), temporary / "blender_LiNk01"
    link.symlink_to(folder)
    remove_blender_session(str(folder))
    remove_blender_session(f"{link}/")
    assert (folder / "quit.blend").is_file()
    made = session(temporary, "blender_aB3dEg")
    remove_blender_session(f"{made}/")
    assert not made.exists()


def test_a_folder_of_another_person_is_left_alone(temporary, monkeypatch):
    folder = session(temporary)
    monkeypatch.setattr(os, "getuid", lambda: os.stat(folder).st_uid + 1)
    remove_blender_session(str(folder))
    assert (folder / "quit.blend").is_file()


@pytest.mark.parametrize(
    "name, mode, removed",
    [
        ("thunder-a1b2c3d4", 0o700, True),
        ("thunder-a1b2c3d4", 0o755, False),
        ("thunder-shots", 0o700, False),
        ("shots", 0o700, False),
    ],
)
def test_a_worker_removes_the_folder_of_a_dead_client_and_no_other(
    tmp_path, monkeypatch, name, mode, removed
):
    monkeypatch.chdir(tmp_path)
    folder = session(tmp_path, name, mode)
    (folder / LOCK).write_text("")
    remove_if_orphaned(str(folder))
    assert folder.exists() != removed


@pytest.mark.parametrize("age, removed", [(0, False), (YOUNG + 60, True)])
def test_folders_of_dead_clients_are_swept_once_they_are_old(temporary, age, removed):
    folder = session(temporary, f"{PREFIX}a1b2c3d4")
    (folder / LOCK).write_text("")
    made = folder.stat().st_mtime - age
    os.utime(folder, (made, made))
    sweep()
    assert folder.exists() != removed


def test_a_folder_in_use_stays_until_its_client_lets_go_and_is_made_again_if_it_is_lost(
    temporary, monkeypatch
):
    monkeypatch.chdir(temporary)
    own = PrivateFolder()
    os.utime(own.path, (0, 0))
    sweep()
    remove_if_orphaned(own.path)
    for lost in (False, True):
        if lost:
            shutil.rmtree(own.path)
        own.restore()
        assert os.listdir(own.path) == [LOCK] and not is_orphaned(own.path)
        assert os.stat(own.path).st_mode & 0o777 == 0o700
    monkeypatch.setattr(private_folder.time, "sleep", lambda seconds: own._lock.close())
    remove_if_orphaned(own.path, patience=60.0)
    assert not os.path.exists(own.path)
    monkeypatch.setattr(private_folder.time, "sleep", lambda seconds: pytest.fail("waited"))
    for gone in (own.path, None):
        remove_if_orphaned(gone, patience=60.0)


@pytest.mark.parametrize("what", ["folder", "link", "file", "open to others", "another's"])
def test_what_others_put_in_the_place_of_a_lost_folder_is_not_used(temporary, monkeypatch, what):
    own, theirs = PrivateFolder(), temporary / "theirs"
    before = own.path
    shutil.rmtree(own.path)
    theirs.mkdir(0o700)
    (theirs / "notes.txt").write_text("theirs")
    if what == "link":
        os.symlink(theirs, before)
    elif what == "file":
        Path(before).write_text("theirs")
    else:
        theirs.rename(before)
        os.chmod(before, 0o700 if what == "another's" else 0o755)
    if what == "another's":
        inode, is_mine = os.lstat(before).st_ino, system_calls.is_mine
        monkeypatch.setattr(
            system_calls, "is_mine", lambda status: status.st_ino != inode and is_mine(status)
        )
    own.restore()
    assert own.path != before and os.stat(own.path).st_mode & 0o777 == 0o700
    assert os.path.dirname(own.path) == str(temporary) and os.listdir(own.path) == [LOCK]
    assert not is_orphaned(own.path)
    kept = own.path
    own.restore()
    assert own.path == kept
    own.path = before  # as if it came between
    own.remove()
    assert os.path.lexists(before) and (what == "file" or os.listdir(before) == ["notes.txt"])


def test_a_folder_that_cannot_be_locked_is_not_left_behind(temporary, monkeypatch):
    def refused(handle):
        raise OSError

    monkeypatch.setattr(system_calls, "lock", refused)
    with pytest.raises(OSError):
        PrivateFolder()
    assert not os.listdir(temporary)


_HOLES = """
from thunder_core.system_calls import memory_used, release_free_memory
blocks = [bytearray(60_000) for _ in range(4000)]  # below the size that goes back to the system by itself
kept = blocks[::40]
del blocks
before = memory_used()
release_free_memory()
print(before - memory_used(), len(kept))
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only the C library of Linux has the call"
)
def test_freed_memory_between_what_is_in_use_goes_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", _HOLES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    released, kept = map(int, done.stdout.split())
    assert kept == 100 and released > 150e6, f"{released} of 240 MB"


def test_the_runtime_beside_blender_is_found_from_its_python(monkeypatch, tmp_path):
    searched = []
    monkeypatch.setattr(system_calls, "WINDOWS", True)
    monkeypatch.setattr(system_calls.os, "add_dll_directory", searched.append, raising=False)
    # as in Blender's folder
    monkeypatch.setattr(system_calls.sys, "prefix", str(tmp_path / "5.0" / "python"))
    system_calls.find_runtime()
    assert searched == []
    (tmp_path / "blender.crt").mkdir()
    system_calls.find_runtime()
    assert searched == [str(tmp_path / "blender.crt")]


# ---- programs


def program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("windows", [False, True])
def test_a_program_is_looked_for_on_the_path_and_never_in_the_current_folder(
    tmp_path, monkeypatch, windows
):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(system_calls, "WINDOWS", windows)
    monkeypatch.setenv("PATHEXT", ".COM;.EXE")
    ending = ".EXE" if windows else ""
    program(here / f"ffmpeg{ending}")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "..", str(there)]))
    assert system_calls.find_program("ffmpeg") is None
    wanted = program(there / f"ffmpeg{ending}")
    for name in ("ffmpeg", f"ffmpeg{ending}"):
        assert system_calls.find_program(name) == wanted
    (there / f"notes{ending}").write_text("")
    assert system_calls.find_program("notes") is None, "it cannot be run"


def test_a_python_that_is_named_without_a_folder_is_never_one_of_the_current_folder(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    program(tmp_path / "python9")
    with pytest.raises(NoEngine, match="There is no Python at “python9”"):
        find_engine_python("python9")
    assert find_engine_python("./python9") == str(tmp_path / "python9")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_engine_python(program(tmp_path / "bin" / "python9")[-7:]) == str(
        tmp_path / "bin" / "python9"
    )


def test_the_program_of_windows_that_ends_processes_is_run_by_its_path(monkeypatch):
    ran = []
    monkeypatch.setattr(system_calls, "WINDOWS", True)
    monkeypatch.setattr(system_calls, "new_group", dict)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command[0]))
    system_calls.kill_group(SimpleNamespace(pid=1))
    assert ran == [system_calls.TASKKILL] and repr(ran[0]) in system_calls._GUARD
    assert os.path.basename(ran[0]) == "taskkill.exe" and "System32" in ran[0]
