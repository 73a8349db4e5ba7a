# SPDX-License-Identifier: GPL-3.0-or-later
"""Whichever call fails while files are written, afterwards all of the old or all of the new is
there, and nothing else.

tests/blender/test_failing_calls.py does the same to a bake, a commit and a preset.
THUNDER_ALL_CALLS=1 (`make faults`) lets every single call fail where a usual run tries a sample.
"""

import os

import harness
import pytest
from failing_calls import FailingCalls, sample
from made_wheel import make_lock, make_wheel

from thunder_core import files, installer

ALL = bool(os.environ.get("THUNDER_ALL_CALLS"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("there", [True, False])
def test_a_file_is_written_completely_or_not_at_all(tmp_path, there):
    path, k, failed = tmp_path / "plan.json", 0, 0
    while k == failed:
        k += 1
        path.unlink(missing_ok=True)
        if there:
            path.write_bytes(b"old")
            path.chmod(0o640)
        before = contents(tmp_path)
        with FailingCalls(k, tmp_path) as calls:
            try:
                files.write_file(path, "new " * 5000)
            except OSError:
                pass
        failed += calls.failed is not None
        assert contents(tmp_path) in (before, {"plan.json": b"new " * 5000}), calls.failed
        assert not there or path.stat().st_mode & 0o777 == 0o640
    assert failed > 5


# ---- an installation


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The list of two small packages in place of the engine's, which lie beside it."""
    folder = tmp_path_factory.mktemp("wheels")
    return make_lock(folder / "engine.txt", make_wheel(folder, "alpha"), make_wheel(folder, "beta"))


def install(folder, packages, k=0, **more):
    """The installer in a process of its own, in which the k-th call fails: (exit code, its last
    event, calls, stderr)."""
    shim = [harness.ROOT / "tests" / "faults" / "failing_calls.py", k, folder, installer.__file__]
    given = ["--folder", folder, "--lock", packages]
    done, events = harness.run_installer(shim + given, PIP_FIND_LINKS=str(packages.parent))
    calls = [line for line in done.stderr.splitlines() if line.startswith("calls: ")]
    return (
        done.returncode,
        events[-1] if events else {},
        int(calls[-1].split()[1].strip(",")) if calls else 0,
        done.stderr,
    )


@pytest.mark.slow
def test_an_installation_is_complete_or_says_so_and_goes_on(packages, tmp_path):
    folder = tmp_path / "engine"
    code, last, count, said = install(folder, packages)
    assert code == 0 and last["event"] == "done" and count > 5, said
    for k in sample(count, None if ALL else 2):
        folder = tmp_path / f"engine{k}"
        code, last, _, said = install(folder, packages, k)
        assert "Traceback" not in said, said
        complete = (folder / installer.STAMP).exists()
        assert (last["event"] == "done") == complete == (code == 0), (k, last, said)
        if not complete:
            assert not harness.wrong_sentence(last["message"]), (k, last)
            code, last, _, said = install(folder, packages)
        assert code == 0 and last["event"] == "done", (k, last, said)
        left = sorted(
            name
            for name in os.listdir(folder)
            if name.endswith(".part") or name == installer.DOWNLOADS
        )
        assert left == [], k
