# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research` lists what there is without importing it, gives every bench the same
options, and replaces no result without data; every result says which commit it is of."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from research import harness, speed
from research.__main__ import GATES, main, parts
from research.harness import RESULTS, results_file, ROOT

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
