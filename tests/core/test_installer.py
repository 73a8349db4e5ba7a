# SPDX-License-Identifier: GPL-3.0-or-later
"""The installer as a process of its own: whose folder it writes to, how it ends, and that nothing
outlives it."""

import contextlib
import ensurepip
import os
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from harness import installers_environment, run_installer
from made_wheel import make_lock, make_wheel
from timing import until

from thunder_core import installer

SCRIPT = installer.__file__
LINUX = pytest.mark.skipif(
    not os.path.isdir("/proc"), reason="processes are looked up as Linux lists them"
)


@pytest.fixture(scope="module")
def lock(tmp_path_factory):
    """The list of a package's hash, beside the package."""
    folder = tmp_path_factory.mktemp("made") / "wheels"
    return make_lock(folder / "engine.txt", make_wheel(folder))


def install(folder, lock, cwd=None):
    """Run it to its end with stdin open the whole time: its exit code and its last event."""
    given = ["-I", SCRIPT, "--folder", folder, "--lock", lock]
    done, events = run_installer(given, cwd, PIP_FIND_LINKS=str(lock.parent))
    assert "Traceback" not in done.stderr and "Fatal" not in done.stderr, done.stderr
    return done.returncode, events[-1]


@pytest.fixture(scope="module")
def installed(lock, tmp_path_factory):
    """An environment that the tests below may damage; with a pip that is unpacked here, which is
    quicker than ensurepip."""
    folder = tmp_path_factory.mktemp("extension") / "engine"
    venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
    with zipfile.ZipFile(next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))) as pip:
        pip.extractall(next(folder.rglob("site-packages")))
    (folder / installer.LOCK).write_bytes(installer.MARK)
    assert install(folder, lock) == (0, {"event": "done"})
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


# -- whose folder it is
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", [os.sep, "~", __file__ + "/.."])
def test_folders_that_must_never_be_emptied_are_not_claimed(folder):
    """Asked of the function that only looks: no test may start an installer on such a folder, in
    case it is at fault."""
    with pytest.raises(installer.Failed, match="choose a new or an empty folder"):
        installer.claim(os.path.abspath(os.path.expanduser(folder)))


def test_a_folder_below_home_may_be_named_with_a_tilde(tmp_path, lock, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "project").mkdir(parents=True)
    (tmp_path / "home" / "project" / "a.blend").touch()
    code, last = install("~/project", lock, cwd=tmp_path)
    assert (
        code == 1
        and str(tmp_path / "home" / "project") in last["message"]
        and not (tmp_path / "~").exists()
    )


@pytest.mark.parametrize("package, newest", [("mediapipe", (3, 12)), ("torch", installer.NEWEST)])
def test_a_python_newer_than_a_package_has_wheels_for_is_refused(
    package, newest, tmp_path, monkeypatch
):
    """Asked of the function that only looks, with a list of one package."""
    lock = tmp_path / "list.txt"
    lock.write_text(f"{package}==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    newer = (newest[0], newest[1] + 1)
    monkeypatch.setattr(sys, "version_info", (*newer, 0, "final", 0))
    with pytest.raises(installer.Failed, match=rf"3\.11 to {newest[0]}\.{newest[1]}, and .* is 3"):
        installer.install(str(tmp_path / "new"), str(lock))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\xff\xfe\x00",
        b"torch==1.0 \\\n",
        b"torch==1.0 \\\n    --hash=sha256:12ab",
        b"<html>404</html>\n",
        b"torch>=1.0\n",
        None,
    ],
)
def test_a_damaged_list_of_packages_takes_nothing_from_a_good_environment(
    installed, tmp_path, damage
):
    damaged = tmp_path / "engine.txt"
    if damage is not None:
        damaged.write_bytes(damage)
    before = contents(installed)
    code, last = install(installed, damaged)
    assert code == 1 and "reinstall the extension" in last["message"]
    after = contents(installed)
    assert {
        name
        for name in before
        if after.get(name, b"") != before[name] and "__pycache__" not in name
    } == set()


@pytest.mark.slow
def test_mending_a_broken_environment_leaves_foreign_files_in_it_alone(installed, lock):
    (installed / "my notes").mkdir()
    (installed / "my notes" / "a.txt").write_text("mine")
    for python in (installed / "bin").glob("python*"):
        python.unlink()
    assert install(installed, lock) == (0, {"event": "done"})
    assert (installed / "my notes" / "a.txt").read_text() == "mine"


def test_a_damaged_package_is_installed_again(installed, lock):
    (known,) = installed.rglob("torch-1.0.dist-info")
    for name in ("RECORD", "METADATA", "INSTALLER", "WHEEL", "REQUESTED"):
        (known / name).unlink(missing_ok=True)
    assert install(installed, lock) == (0, {"event": "done"})
    assert (known / "RECORD").is_file()


# -- what it says
# ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, sentence",
    [
        (
            [
                "WARNING: Retrying after connection broken by NewConnectionError",
                "ERROR: No matching distribution found for torch==1.0",
            ],
            "check the connection",
        ),
        (["ERROR: [Errno 28] No space left on device"], "The disk is full"),
    ],
)
def test_pips_words_become_the_right_sentence(said, sentence):
    assert sentence in installer.why_failed(said)


# -- how it ends
# -------------------------------------------------------------------------------------------------------


def below(folder):
    """Command lines of the processes that name a folder."""
    result = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            result.append(path.read_bytes())
    return [command for command in result if str(folder).encode() in command]


@LINUX
@pytest.mark.parametrize(
    "end", [signal.SIGKILL, signal.SIGTERM, None], ids=["kill", "term", "stdin"]
)
def test_what_it_started_ends_with_it(tmp_path, lock, end):
    """Ended while ensurepip runs, which starts pip in a further process."""
    folder = tmp_path / "engine"
    with subprocess.Popen(
        [sys.executable, "-I", SCRIPT, "--folder", str(folder), "--lock", str(lock)],
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
        env=installers_environment(PIP_FIND_LINKS=str(lock.parent)),
    ) as process:
        until(lambda: sum(b"ensurepip" in command for command in below(folder)) >= 2)
        process.stdin.close() if end is None else process.send_signal(end)
        code = process.wait(20)
    assert code == (3 if end is None else -end)
    until(lambda: not below(folder))
