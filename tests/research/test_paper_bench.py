# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's tables: their statistics on closed cases, and their Markdown."""

import argparse
import json
import math

import pytest

from research import paper, paper_rows, table1
from research.measures.evaluate import FIGURES
from research.train.command import add_arguments
from research.train.paper import ROWS


def of_clips(**columns):
    """Figures of clips 0, 1 … from lists."""
    count = len(next(iter(columns.values())))
    return {
        str(i): {name: columns.get(name, [0.5] * count)[i] for name in FIGURES}
        for i in range(count)
    }


def test_the_paper_s_figures_are_whole_and_changes_are_those_it_states():
    assert set(paper_rows.TABLE2) <= set(paper_rows.TABLE2_ROWS) and set(
        paper_rows.TABLE2_ROWS[:-1]
    ) == set(ROWS)
    assert all(len(row) == len(paper_rows.TABLE2_COLUMNS) for row in paper_rows.TABLE2.values())
    assert all(len(row) == len(paper_rows.TABLE3_COLUMNS) for row in paper_rows.TABLE3.values())
    rows = paper.claims(
        {
            name: {1: of_clips(lve=[1.0, 1.0])}
            for name in ("thunder", "thunder+mouth2s", "thunder+face2s")
        }
    )
    stated = {
        row["system"]: (round(row["lve_paper"], 1), round(row["dtw_paper"], 1))
        for row in rows
        if row["against"] == "thunder"
    }
    assert stated == {"thunder+mouth2s": (-8.8, -11.9), "thunder+face2s": (-8.5, -13.4)}


def test_a_row_is_the_mean_over_clips_and_seeds_with_both_spreads():
    seeds = {1: of_clips(lve=[1.0, 3.0]), 2: of_clips(lve=[2.0, 4.0])}
    [row] = paper.table({"thunder": seeds}, ("lve", "dtw"), paper_rows.TABLE2_ROWS)
    # seeds' means 2 and 3
    assert row["lve"] == 2.5 and row["lve_sd"] == pytest.approx(2**-0.5, rel=1e-3)
    # of two clips' means, 1.5 and 3.5, all draws lie between
    assert row["lve_ci"] == [1.5, 3.5] and row["dtw_ci"] == [0.5, 0.5]
    assert (row["seeds"], row["clips"]) == (2, 2)
    [alone] = paper.table({"thunder": {1: seeds[1]}}, ("lve",), paper_rows.TABLE2_ROWS)
    assert alone["lve_sd"] is None


def test_a_change_is_of_the_seeds_that_both_rows_have_and_its_interval_knows_how_they_differ():
    """Of two seeds that gain 10 and 2 % on every clip the interval spans both; a third that only
    one row has counts for nothing."""
    base = [1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 3.0]
    rows = {
        "thunder": {1: of_clips(lve=base), 2: of_clips(lve=base), 3: of_clips(lve=[9.0] * 10)},
        "thunder+mouth2s": {
            1: of_clips(lve=[0.9 * v for v in base]),
            2: of_clips(lve=[0.98 * v for v in base]),
        },
    }
    [row] = paper.claims(rows)
    assert (
        row["seeds"] == [1, 2]
        and row["lve"] == pytest.approx(-6)
        and row["lve_seeds"] == pytest.approx([-10, -2])
    )
    assert row["lve_ci"] == pytest.approx([-10, -2])
    assert row["lve_verdict"] == "reproduced" and not row["lve_seeds_agree"]
    lines = paper.markdown(paper.table(rows, ("lve",), ()), ("lve",), ("thunder",), {})
    assert lines[2].startswith("| thunder, 3 |")
    assert (
        paper.claims({"thunder": rows["thunder"], "thunder+mouth2s": {4: of_clips(lve=base)}}) == []
    )


def test_a_change_counts_from_three_per_cent_and_two_seeds():
    assert paper.judge(-5, [-8, -2], [-7, -3], 2) == "better"
    assert paper.judge(5, [2, 8], [3, 7], 2) == "worse"
    assert paper.judge(-5, [-8, -2], [-7, -3], 1) == "one seed"
    assert paper.judge(-2, [-2.5, -1.5], [-2.4, -1.6], 2) == "no change that counts"
    assert paper.judge(-4, [-9, 1], [-8, 0], 3) == "open"
    assert paper.judge(-2, [-4, -0.1], [-3.5, -0.5], 3) == "open"


def test_clips_of_known_and_of_unseen_speakers_are_also_compared_apart(tmp_path):
    """The loss gains 10 % on the first two clips, nobody knows whose speaker, and nothing on the
    others."""
    rows = {
        "thunder": {seed: of_clips(lve=[1.0] * 4) for seed in (1, 2)},
        "thunder+mouth2s": {seed: of_clips(lve=[0.9, 0.9, 1.0, 1.0]) for seed in (1, 2)},
    }
    paper.write_grid(tmp_path, tmp_path / "page.md", rows, {"clips": 4}, {"0", "1"})
    made = json.loads((tmp_path / "table2_people_grid.json").read_text())
    changes = [
        made[f"claims{group}"][0]["lve"] for group in ("", "_unseen_speakers", "_unseen_sentences")
    ]
    assert changes == pytest.approx([-5, -10, 0])
    assert made["claims_unseen_speakers"][0]["lve_counts"] == "better"
    page = (tmp_path / "page.md").read_text()
    assert "<!-- table 2 on people -->" in page and "<!-- table 3 on people -->" in page


def test_the_page_says_what_is_missing_and_only_its_tables_change(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n<!-- table 2 -->\nold\n<!-- end table 2 -->\n\nAfter.\n")
    rows = {"thunder": {1: of_clips(lve=[1.0, 2.0])}, "teacher": {1: of_clips(lve=[0.1, 0.2])}}
    for _ in range(2):  # again: nothing is added twice
        about = {"clips": 2, "samples": 32, "speakers": ["ada", "bob"]}
        paper.write(tmp_path, page, rows, about)
    text = page.read_text()
    assert "\n2 clips of unseen speakers (ada, bob), 32 samples of each. In brackets" in text
    assert (
        text.startswith("# Title\n\n<!-- table 2 -->\n| system")
        and "old" not in text
        and "\nAfter.\n" in text
    )
    assert text.count("<!-- table 2 -->") == 1 and "table 3" not in text
    assert (
        "| thunder, 1 | 1.5 (0.879) |" in text and "| media2face, not trained | – (0.96) |" in text
    )
    second = json.loads((tmp_path / "table2.json").read_text())
    assert [row["system"] for row in second["rows"]] == [
        "thunder",
        "teacher",
    ] and "media2face" in second["missing"]


def line(**figures):
    return {"stoi": 0.5, "estoi": 0.25, "pesq_wb": 1.0, "pesq_nb": 1.25, "wer": "a b"} | figures


def test_rows_are_means_over_lines_and_errors_of_all_words_together():
    pytest.importorskip("jiwer")
    figures = {
        "natural": [line(stoi=1.0), line(stoi=1.0)],
        "mouth2s": [line(stoi=0.4), line(stoi=0.8, pesq_wb=math.nan)],
    }
    made = {
        row["system"]: row
        for row in table1.rows(figures, ["a b", "a c c d"], {"sv2s": "not trained: how"})
    }
    assert list(made) == list(table1.SYSTEMS)
    assert made["natural"]["stoi"] == 1.0 and made["natural"]["stoi_ci"] == [1.0, 1.0]
    mouth = made["mouth2s"]
    assert mouth["stoi"] == pytest.approx(0.6) and mouth["stoi_ci"] == [0.4, 0.8]
    assert mouth["pesq_wb"] == 1.0, "a line in which PESQ finds no voice is left out"
    assert mouth["wer"] == pytest.approx(3 / 6) and mouth["wer_ci"] == [0.0, 0.75], (
        "of six words three are wrong, not the mean of 0 and ¾"
    )
    assert made["sv2s"]["stoi"] is None and made["sv2s"]["stoi_ci"] is None
    json.dumps(list(made.values()), allow_nan=False)
    lines = table1.markdown(list(made.values()))
    assert len({line.count("|") for line in lines}) == 1, "every line has a cell for every column"
    assert (
        "| mouth2s | 0.600 (0.506) | 0.250 (0.272) | 0.500 (0.678) |" in lines
        and "| sv2s | – | – | – |" in lines
    )


def test_every_row_of_the_paper_that_is_measured_is_there_and_a_missing_network_names_its_command():
    assert {"exp2s", "face2s", "mouth2s"} <= set(table1.SYSTEMS) & set(table1.PAPER)
    for command in table1.TRAIN.values():
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        assert parser.parse_args(command.removeprefix("research train ").split()).stage in (
            "m2s",
            "space",
            "sv2s",
        )
