# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench of speed: its comparison of samplers, the peers it builds, and a table that says what was not measured."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
from research import peers, speed, speed_quality
from thunder_core.engine.diffusion import alpha_bar
from thunder_core.face.head import load_head
from thunder_core.request import NORMAL

WANTED = (
    "sampler_speedup_vs_ddpm1000 lve_ratio sdiv_lip_ratio sdiv_upper_ratio takes8_seconds takes8_over_torch "
    "one_take_seconds one_take_over_torch one_take_busy_over_torch matmul_fraction "
    "worker_ready_seconds first_take_seconds engine_memory_gb keying_seconds peak_rss_1h_gb"
).split()


def samples(seed, spread=0.05):
    """Motions [8, 12, C] around none, and the truth they are compared with."""
    count = load_head().channels + 9
    rng = np.random.default_rng(seed)
    return (spread * rng.normal(size=(8, 12, count))).astype(np.float32), np.zeros((12, count), np.float32)


def test_samples_are_as_good_as_themselves_and_wider_ones_are_not():
    quality = speed_quality.Quality()
    pairs = [(samples(seed)[1], samples(seed)[0], samples(seed)[0]) for seed in (1, 2)]
    assert all(ratio == pytest.approx(1) and error == pytest.approx(0) for ratio, error in quality.ratios(pairs).values())
    wide = [(truth, 2 * x, x) for truth, x, _ in pairs]
    assert all(1.5 < ratio < 2.5 for ratio, _ in quality.ratios(wide).values())


def test_every_peer_makes_a_face_for_every_take_from_a_longer_sound_too():
    torch.manual_seed(0)
    small = {
        "FaceFormer": peers.FaceFormer(8, 2, 16, 10),
        "Audio2Face": peers.Audio2Face(12, 8, 8, 2, 6, 2, 10),
        "ARTalk": peers.ARTalk(16, 2, 1, (1, 2, 5), 4, 10),
    }
    with torch.inference_mode():
        for name, model in small.items():
            for takes, seconds in ((1, 0.3), (3, 1.1)):
                made = model(takes, seconds)
                assert len(made) == takes and made.isfinite().all(), name


def test_ddim_draws_normal_data_with_its_mean_and_deviation():
    mean, deviation = np.array([1.5, -0.7]), np.array([0.8, 0.3])

    def denoise(x, step):
        a = alpha_bar()[step]
        return mean + a**0.5 * deviation**2 / (a * deviation**2 + 1 - a) * (x - a**0.5 * mean)

    x = peers.ddim_sample(denoise, np.random.default_rng(0).standard_normal((200, 50, 2))).reshape(-1, 2)
    assert np.allclose(x.mean(0), mean, atol=0.03) and np.allclose(x.std(0), deviation, rtol=0.15)


def test_the_table_names_every_figure_and_says_what_was_not_measured():
    assert set(WANTED) <= set(speed.BARS)
    lines = speed.table({"machine": "a machine", "lve_ratio": 1.01, "lve_ratio_error": 0.02})
    text = "\n".join(lines)
    assert all(name in text for name in WANTED) and text.count("not measured") == len(speed.BARS) - 1
    assert any("1.01" in line and "± 0.02" in line for line in lines)


def test_the_page_has_the_tables_of_the_last_run(tmp_path):
    figures = {"machine": "a machine", "lve_ratio": 1.01, "keying_seconds": 0.4, "peers_seconds_per_second": {"x": {"1": 2.0, "32": 3.0}}}
    path = tmp_path / "speed.md"
    path.write_text("# Speed\n\n<!-- figures -->\nan earlier table\n<!-- end of figures -->\n\nafter\n")
    speed.write_page(path, speed.page(figures))
    text = path.read_text()
    assert "| keying eight takes of a minute | 0.4 s | ≤ .5 s |" in text and "| x | 2 | 3 |" in text and "an earlier table" not in text
    assert text.startswith("# Speed\n\n") and text.endswith("\nafter\n")
    before = text
    speed.write_page(path, speed.page(figures))
    assert path.read_text() == before
    assert all(mark in (ROOT / speed.PAGE).read_text(encoding="utf-8") for mark in speed.MARKS)


def test_a_figure_that_misses_what_is_wanted_says_so():
    assert speed.meets(4.2, "≥ 4") and not speed.meets(3.9, "≥ 4") and speed.meets(3, "≤ 4") and not speed.meets(0.6, "≤ .5")
    assert speed.meets(1.02, ".98 … 1.02") and not speed.meets(0.97, ".98 … 1.02") and speed.meets(7, "")
    assert all(speed.meets(1e9, bar) or speed.meets(-1e9, bar) or "…" in bar for bar, _ in speed.BARS.values())
    page, label = speed.page({"one_take_over_torch": 1.5, "takes8_over_torch": 1.25}), "the same, over the engine in torch"
    assert f"| {label} | 1.5 × | ≤ 1.15 ×: missed |" in page and f"| {label} | 1.25 × | ≤ 1.3 × |" in page


def test_without_a_training_cache_the_comparison_of_quality_says_what_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="missing"):
        speed_quality.held_out_clips(tmp_path, 2)


def test_every_matmul_and_attention_of_the_network_is_counted():
    bench = speed.Bench(SimpleNamespace(quick=True))
    frames, denoiser = 60, bench.engine.thunder.way(NORMAL, True)[0]
    config = denoiser.config
    of_layer = (6 * config.width + 2 * config.feedforward) * config.width + 2 * frames * config.width
    # Of the sound, which all takes share: its features, the style that scales them, and every layer's keys and values.
    of_sound = (config.audio + config.style + 3 * config.width + 2 * config.layers * config.width) * config.width / speed.TAKES
    wanted = 2 * (config.layers * of_layer + 2 * config.motion * config.width + of_sound)
    assert bench._flop_of_a_frame(frames) == pytest.approx(wanted, rel=0.01)  # the step's own, shared by all frames, is little


def test_the_fraction_of_the_peak_is_of_the_largest_portion_and_of_one_take():
    assert speed.largest_portion(round(speed.SECONDS * speed.FPS)) == 4
    figures = speed.Bench(SimpleNamespace(quick=True))._fraction()
    assert figures["portion_takes"] == 4
    assert 0 < figures["matmul_fraction_one_take"] < 1.2 and 0 < figures["matmul_fraction"] < 1.2
