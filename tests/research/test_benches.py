# SPDX-License-Identifier: GPL-3.0-or-later
"""A bench without its data replaces no result, and that of speed says what was not measured."""

import importlib
from pathlib import Path

import pytest

from research import speed
from research.__main__ import main
from research.harness import RESULTS, results_file


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


@pytest.mark.slow
def test_a_table_of_the_shipped_sample_is_printed_and_not_kept(
    results, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(bench("ranking"), "DATA", None)
    main(["ranking", "--cache", str(tmp_path / "missing"), "--takes", "1", "--steps", "3"])
    printed = capsys.readouterr().out
    assert (
        "the shipped sample, a synthetic voice" in printed
        and "Not written to research/results" in printed
    )


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
            "takes8_over_torch": 1.25,
            "keying_seconds": 0.4,
        }
    )
    label = "the same, over the engine in torch"
    assert (
        lines[0].startswith("a machine")
        and "\n".join(lines).count("not measured") == len(speed.BARS) - 3
    )
    assert (
        f"| {label} | 1.5 × | ≤ 1.15 ×: missed |" in lines
        and f"| {label} | 1.25 × | ≤ 1.3 × |" in lines
    )
    assert "| keying eight takes of a minute | 0.4 s | ≤ 0.5 s |" in lines
    assert "<!-- figures -->" in speed.PAGE.read_text(encoding="utf-8")
