# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research` lists what there is without importing it, gives every bench the same
options, and replaces no result without data; every result says which commit it is of."""

import importlib
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from research import harness, speed
from research.__main__ import GATES, main, parts
from research.harness import report, RESULTS, results_file, ROOT, write_json, write_table

IN_BLENDER = {"head_sheet"}  # they import bpy
BENCHES = [name for name, _ in parts() if name not in IN_BLENDER]


def test_the_list_names_everything_with_a_sentence_and_imports_nothing_heavy():
    code = (
        "import sys; from research.__main__ import main; import research.mutations; main([]); "
        "sys.exit(bool({'torch', 'numpy', 'thunder_core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    listed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith("  ")]
    assert [name for name, _ in listed[: len(GATES)]] == list(GATES)
    assert sorted(name for name, _ in listed) == sorted(name for name, _ in parts())
    assert all(sentence.endswith((".", "?")) and len(sentence) < 150 for _, sentence in listed)


def test_an_unknown_name_ends_with_a_sentence():
    with pytest.raises(SystemExit, match="no “lisp” in research: python -m research lists"):
        main(["lisp"])


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_says_what_its_options_are(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"python -m research {name}" in said
    assert (import_module(f"research.{name}").__doc__ or "").split()[0] in said


def test_recordings_that_nobody_named_are_asked_for(capsys, monkeypatch):
    monkeypatch.setitem(harness.SHARED, "data", (None, harness.SHARED["data"][1]))
    with pytest.raises(SystemExit):
        main(["lips"])
    assert "--data" in capsys.readouterr().err


def bench(name):
    return importlib.import_module(f"research.{name}")


@pytest.fixture
def results():
    """The results as they are; what the test changed of them is an error."""
    before = {path: path.read_bytes() for path in RESULTS.iterdir()}
    yield before
    assert {path: path.read_bytes() for path in RESULTS.iterdir()} == before


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("lips", ["--data", "{missing}"]),
        ("commit", ["--data", "{missing}"]),
        ("habits", ["--data", "{missing}"]),
        ("listeners", ["--data", "{missing}"]),
        ("moods", ["--cache", "{missing}"]),
        ("ranking", ["--data", "{missing}"]),
        ("style_from", ["--cache", "{missing}"]),
        ("words", ["--cache", "{missing}"]),
        ("table1", ["--cache", "{missing}", "--data", "{missing}"]),
        ("paper", ["--cache", "{missing}"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bench_ends_with_a_sentence_where_its_data_is_missing(results, tmp_path, name, arguments):
    with pytest.raises(SystemExit, match="missing.*as it was"):
        main([name, *(a.format(missing=tmp_path / "missing") for a in arguments)])


def test_a_table_of_other_data_is_printed_and_not_kept(results, capsys):
    report(results_file(None, "ranking.txt", False), ["a table"])
    printed = capsys.readouterr().out
    assert printed.startswith("a table\n") and "Not written to research/results" in printed


@pytest.mark.parametrize(
    "asked, measured, kept",
    [(None, True, RESULTS / "x.txt"), (None, False, None), (Path("y"), False, Path("y"))],
)
def test_only_real_data_replaces_a_result_unasked(asked, measured, kept):
    assert results_file(asked, "x.txt", measured) == kept


def test_the_table_says_what_was_not_measured_and_what_misses_its_bar():
    lines = speed.table(
        {
            "machine": "a machine",
            "one_take_over_torch": 1.5,
            "takes8_over_torch": 1.02,
            "keying_seconds": 0.4,
        }
    )
    label = "the same, over the engine in torch"
    assert (
        lines[0].startswith("a machine")
        and "\n".join(lines).count("not measured") == len(speed.BARS) - 3
    )
    assert (
        f"| {label} | 1.5 × | ≤ 1.1 ×: missed |" in lines
        and f"| {label} | 1.02 × | ≤ 1.05 × |" in lines
    )
    assert "| keying eight takes of a minute | 0.4 s | ≤ 0.5 s |" in lines
    assert "<!-- figures -->" in speed.PAGE.read_text(encoding="utf-8")


def test_a_table_and_figures_carry_commit_and_date(tmp_path, monkeypatch):
    made = {"commit": "0123456789", "date": "2026-11-23"}
    monkeypatch.setattr(harness, "origin", lambda: made)
    write_table(tmp_path / "x.txt", ["r 0.58"])
    write_json(tmp_path / "x.json", {"commit": "of an earlier run", "r": 0.58})
    write_json(tmp_path / "list.json", [1, 2])
    assert (tmp_path / "x.txt").read_text() == "r 0.58\ncommit 0123456789, 2026-11-23\n"
    assert json.loads((tmp_path / "x.json").read_text()) == made | {"r": 0.58}
    assert json.loads((tmp_path / "list.json").read_text()) == made | {"rows": [1, 2]}


def test_takes_of_other_code_or_weights_are_not_measured_again(tmp_path):
    folder = tmp_path / "takes"
    harness.discard_old_takes(folder)
    take = folder / "line.npz"
    take.write_bytes(b"")
    harness.discard_old_takes(folder)
    assert take.exists()
    (folder / "made_by").write_text("other code")
    harness.discard_old_takes(folder)
    assert not take.exists()
