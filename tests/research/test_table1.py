# SPDX-License-Identifier: GPL-3.0-or-later
"""Table 1's bench: figures and intervals are right, and each row of the paper's is there or says
how it is trained."""

import argparse
import json
import math

import numpy as np
import pytest

from research import table1
from research.train.stages import STAGES as RESEARCH
from thunder_core.engine.speech.acoustics import level
from thunder_core.engine.speech.audio import read_sound
from thunder_core.train.__main__ import add_arguments
from thunder_core.train.stages import STAGES


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


def test_networks_are_compared_with_mouth2s_line_by_line():
    pytest.importorskip("jiwer")
    mouth = [line(stoi=0.2), line(stoi=0.8)]
    figures = {
        "natural": mouth,
        "mouth2s": mouth,
        "exp2s": [line(stoi=0.3), line(stoi=0.9, wer="a x")],
    }
    (row,) = table1.differences(figures, ["a b", "a b"])
    assert row["system"] == "exp2s" and row["against"] == "mouth2s"
    assert row["stoi"] == pytest.approx(0.1) and row["stoi_ci"] == [0.1, 0.1], (
        "lines differ by more, pairs do not"
    )
    assert row["wer"] == pytest.approx(0.25) and row["wer_ci"] == [0.0, 0.5]


def test_natural_speech_is_like_itself_and_noise_is_not():
    pytest.importorskip("pystoi"), pytest.importorskip("pesq")
    natural = level(
        read_sound(table1.RESULTS.parents[1] / "assets" / "sample.wav").samples[: 4 * 16000]
    )
    itself = table1.likeness(natural, natural)
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(natural)).astype(np.float32)
    noisy, other = table1.likeness(natural, natural + 0.1 * noise), table1.likeness(natural, noise)
    assert itself["stoi"] == pytest.approx(1, abs=1e-3)
    assert all(
        itself[name] > noisy[name] > other[name] or math.isnan(other[name]) for name in itself
    )
    assert math.isnan(table1.likeness(natural, np.zeros_like(natural))["pesq_wb"])


def test_every_row_of_the_paper_that_is_measured_is_there_and_a_missing_network_names_its_command():
    assert {"exp2s", "face2s", "mouth2s"} <= set(table1.SYSTEMS) & set(table1.PAPER)
    for command in table1.TRAIN.values():
        program, _, words = command.removeprefix("research ").partition(" ")
        parser = argparse.ArgumentParser()
        add_arguments(parser, {"train": RESEARCH, "thunder_core.train": STAGES}[program])
        assert parser.parse_args(words.split()).stage in ("m2s", "sv2s")
