# SPDX-License-Identifier: GPL-3.0-or-later
"""Every result says which commit it is of, and those that are older than the code they measure are
listed."""

import json
import subprocess

import pytest

from research import harness
from research.check_results import measured_files, MEASURES, named_commit, older
from research.harness import keep, keep_json, RESULTS, ROOT


class Clone:
    """A repository with one code file that lips.txt measures."""

    def __init__(self, folder):
        self.folder, self.results = folder, folder / "research" / "results"
        self.git("init", "-q")
        self.commit("thunder_core/engine/sampling.py", "1\n" * 20)

    def git(self, *words):
        command = [
            "git",
            "-C",
            str(self.folder),
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            *words,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, name, text):
        """Write a file and commit it; the commit's hash."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return self.commit_all()

    def commit_all(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a")
        return self.git("rev-parse", "HEAD")

    def older(self):
        return [line.split()[0] for line in older(self.folder, self.results)]


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_a_result_is_listed_once_its_code_changes_and_no_longer_once_it_is_measured_again(clone):
    clone.commit("research/results/lips.txt", "r 0.58\n")
    clone.commit("docs/page.md", "of no concern\n")
    assert clone.older() == []
    changed = clone.commit("thunder_core/engine/sampling.py", "2\n" * 20)
    (line,) = older(clone.folder, clone.results)
    assert line.startswith("lips.txt") and "1 commits since" in line and line.endswith(changed[:10])
    clone.commit("research/results/lips.txt", "r 0.60\n")
    assert clone.older() == []


def test_the_commit_that_a_result_names_counts_more_than_the_one_that_wrote_it(clone):
    first = clone.git("rev-parse", "--short=10", "HEAD")
    second = clone.commit("thunder_core/engine/sampling.py", "2\n" * 20)
    clone.commit("research/results/lips.txt", f"r 0.58\ncommit {first}, 2026-11-23\n")
    # with changes that came with it
    clone.commit("research/results/habits.txt", f"r 0.58\ncommit {first}-dirty, 2026-11-23\n")
    clone.commit("research/results/events.json", json.dumps({"commit": first}))
    clone.commit("research/results/listeners.json", json.dumps([{"commit": second[:10], "r": 0.9}]))
    assert clone.older() == ["events.json", "lips.txt"]


def test_every_result_has_code_that_it_measures_and_all_of_that_is_there():
    for path in RESULTS.iterdir():
        assert measured_files(path.stem), path.name
    for name, places in MEASURES.items():
        for place in places:
            assert (ROOT / place).is_dir() if place.endswith("/") else list(ROOT.glob(place)), (
                f"{name}: {place}"
            )
    with pytest.raises(SystemExit, match="nobody has no row in MEASURES"):
        measured_files("nobody")


def test_a_table_and_figures_carry_commit_and_date(tmp_path, monkeypatch):
    made = {"commit": "0123456789", "date": "2026-11-23"}
    monkeypatch.setattr(harness, "origin", lambda: made)
    keep(tmp_path / "x.txt", ["r 0.58"])
    keep_json(tmp_path / "x.json", {"commit": "of an earlier run", "r": 0.58})
    keep_json(tmp_path / "list.json", [1, 2])
    assert (tmp_path / "x.txt").read_text() == "r 0.58\ncommit 0123456789, 2026-11-23\n"
    assert json.loads((tmp_path / "x.json").read_text()) == made | {"r": 0.58}
    assert json.loads((tmp_path / "list.json").read_text()) == made | {"rows": [1, 2]}
    assert {named_commit(path) for path in tmp_path.iterdir()} == {"0123456789"}
