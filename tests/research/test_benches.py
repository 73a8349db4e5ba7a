# SPDX-License-Identifier: GPL-3.0-or-later
"""A bench without its data replaces no result."""

import importlib
from pathlib import Path

import numpy as np
import pytest

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
        ("ranking_limits", ["--data", "{missing}"]),
        ("ranking_moods", ["--cache", "{missing}"]),
        ("ranking_noise", ["--cache", "{missing}"]),
        ("real", ["--data", "{missing}"]),
        ("commit", ["--data", "{missing}"]),
        ("habits", ["--data", "{missing}"]),
        ("listeners", ["--data", "{missing}"]),
        ("teacher", ["--data", "{missing}"]),
        ("moods", ["--cache", "{missing}"]),
        ("face_sheets", ["poses", "--data", "{missing}", "{missing}"]),
        ("voices", ["--cache", "{missing}"]),
        ("style_from", ["--cache", "{missing}"]),
        ("words", ["--cache", "{missing}"]),
        ("breaths", ["--cache", "{missing}"]),
        ("table1", ["--cache", "{missing}", "--data", "{missing}"]),
        ("paper", ["--cache", "{missing}"]),
        ("tradeoff", ["--cache", "{missing}"]),
        ("beats", ["--cache", "{missing}"]),
        ("pictures", ["{missing}", "--cache", "{missing}"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bench_ends_with_a_sentence_where_its_data_is_missing(results, tmp_path, name, arguments):
    with pytest.raises(SystemExit, match="missing.*as it was"):
        main([name, *(a.format(missing=tmp_path / "missing") for a in arguments)])


@pytest.mark.slow
def test_a_table_of_the_shipped_sample_is_printed_and_not_kept(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench("ranking"), "DATA", None)
    main(["ranking", "--cache", str(tmp_path / "missing"), "--takes", "1", "--steps", "3"])
    printed = capsys.readouterr().out
    assert "the shipped sample, a synthetic voice" in printed and "Not written to research/results" in printed


@pytest.mark.parametrize("asked, measured, kept", [(None, True, RESULTS / "x.txt"), (None, False, None), (Path("y"), False, Path("y"))])
def test_only_real_data_replaces_a_result_unasked(asked, measured, kept):
    assert results_file(asked, "x.txt", measured) == kept


def test_the_share_of_chosen_faces_counts_a_tie_as_half_and_names_what_was_lost():
    key = {"AA, front": "L", "IY, front": "R", "M, side": "L", "S, side": "L"}
    share, lost = bench("face_sheets").counted({"AA, front": "L", "IY, front": "L", "M, side": "=", "S, side": "L"}, key)
    assert share == 0.625 and lost == ["IY, front"]


def test_sliders_that_were_asked_to_rise_together_do_not_count_as_crosstalk():
    """Jaw and eyes rise together by chance, and each does what it is asked to; then eyes move the jaw too."""
    rng = np.random.default_rng(0)
    asked, voices = rng.standard_normal((80, 7)), np.repeat(np.arange(10), 8)
    asked[:, 6] += asked[:, 1]
    r = bench("direction").by_itself(asked, asked, voices)
    assert np.allclose(np.diag(r), 1) and np.abs(r - np.eye(7)).max() < 0.01
    moved = asked.copy()
    moved[:, 1] += asked[:, 6]
    assert bench("direction").by_itself(asked, moved, voices)[6, 1] > 0.4


def test_a_take_is_compared_with_real_lips_at_the_best_lag_and_where_a_face_is_seen():
    module = bench("ranking_limits")
    rng = np.random.default_rng(0)
    real = np.convolve(rng.standard_normal(200), np.ones(5), "same")
    unseen = real.copy()
    unseen[50:60] = np.nan
    late, noise = np.roll(real, 2), rng.standard_normal(200)
    r = module.r_real(np.stack([real, late, noise]), unseen)
    assert r[0] == pytest.approx(1.0) and r[1] == pytest.approx(1.0) and abs(r[2]) < 0.4


def test_a_prediction_that_is_closer_to_real_lips_orders_takes_better():
    module = bench("ranking_limits")
    rng = np.random.default_rng(1)

    def curve():
        return module.standard(np.convolve(rng.standard_normal(304), np.ones(5), "valid"))

    items = {}
    for name in "abc":
        real = curve()
        takes = np.stack([real + 1.5 * curve() for _ in range(16)])
        layers = np.zeros((300, 1))
        items[name] = module.Taken(takes, real, takes, real, layers, real, np.ones(300, bool), (1.0, 1.0)), real
    rows = [line.split() for line in module.made_up(items, {name: curve() for name in "abcd"})[2:]]
    ranks = [float(row[1]) for row in rows]
    assert ranks == sorted(ranks) and ranks[0] > 0.2 and ranks[-1] > 0.7


def test_how_fast_lips_part_is_measured_from_shut_lips_to_parted_ones():
    measured = bench("breaths").measured
    quick, slow = np.zeros(8), np.linspace(0.0, 1.75, 8)
    quick[5:] = 1.5
    values = measured(np.array([quick, slow, np.full(8, 0.1), np.full(8, 2.0)]))
    np.testing.assert_allclose(values, [(1.5, 1.0), (1.75, 3.0), (0.1, np.nan), (2.0, np.nan)])


def test_a_lip_on_the_middle_of_a_tooth_touches_it():
    """Teeth have a vertex every three millimetres: distances to these alone would be to nothing that a lip touches."""
    tooth = np.array([[[0.0, 0, 0], [4, 0, 0], [4, 3, 0], [0, 3, 0]]])
    filled = bench("articulation")._filled(tooth)
    assert np.linalg.norm(filled - [2.1, 1.4, 0.2], axis=1).min() < 0.3
    assert np.ptp(filled, axis=0).tolist() == [4, 3, 0], "it goes to the edges, and no further"
