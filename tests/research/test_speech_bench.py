# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of speech ranks what it should: natural speech perfect, spoiled speech below, each ratio against natural."""

import math
from pathlib import Path

import numpy as np
import pytest

from research import speech
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.phones import PHONES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench():
    return speech


@pytest.fixture(scope="module")
def natural(bench):
    return bench.levelled(read_sound(ROOT / "assets" / "sample.wav").samples[: 4 * 16000])


def test_natural_speech_is_like_itself_and_noise_is_not(bench, natural):
    pytest.importorskip("pystoi")
    itself = bench.likeness(natural, natural)
    rng = np.random.default_rng(0)
    noisy = bench.likeness(natural, natural + 0.01 * rng.standard_normal(len(natural)).astype(np.float32))
    noise = bench.likeness(natural, 0.1 * rng.standard_normal(len(natural)).astype(np.float32))
    assert itself["STOI"] == pytest.approx(1, abs=1e-3)
    for measure in itself:
        assert itself[measure] > noisy[measure] > noise[measure] or math.isnan(noise[measure])


def test_a_silent_sound_is_no_likeness_and_no_crash(bench, natural):
    pytest.importorskip("pystoi")
    figures = bench.likeness(natural, np.zeros_like(natural))
    assert figures["STOI"] < 0.1
    assert math.isnan(figures.get("PESQ-WB", math.nan))


def test_phones_are_written_once_each_without_silence(bench):
    path = np.array([0, 0, PHONES.index("B"), PHONES.index("B"), 0, PHONES.index("IY"), PHONES.index("IY"), 0])
    assert bench.sounds_of(path) == "B IY"


def test_errors_count_over_all_lines_and_skip_those_without_words(bench):
    pytest.importorskip("jiwer")
    assert bench.error(["a b c", "", "d"], ["a x c", "noise", ""]) == pytest.approx(2 / 4)
    assert math.isnan(bench.error([""], ["x"]))


def test_table_gives_ratios_to_natural_speech_and_dashes_for_what_was_not_measured(bench):
    rows = {"natural": {"STOI": 1.0, "phone error": 0.4}, "made": {"STOI": 0.5, "phone error": 0.8, "PESQ-WB": math.nan}}
    lines = list(bench.table(rows))
    assert "0.500 (0.50)" in lines[2] and "0.800 (2.00)" in lines[2] and lines[2].count("–") == 4
    assert "0.506" in next(line for line in lines if line.startswith("paper, mouth2s"))


def test_without_a_cache_the_sample_is_spoken(bench, monkeypatch):
    class Deaf:
        def __call__(self, samples):
            return [("B", 0.0, 0.1), ("IY", 0.1, 0.3)]

    monkeypatch.setattr(bench, "Labeller", lambda weights: Deaf())
    lines = bench.sample_lines(ROOT / "weights")
    assert [line.words.split()[0] for line in lines] == ["my", "who"]
    assert all(len(line.samples) % 640 == 0 and len(line.phones) == len(line.samples) // 160 for line in lines)
    assert lines[0].phones[5] == PHONES.index("B")
