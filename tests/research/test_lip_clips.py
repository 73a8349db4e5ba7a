# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves beside real lips: what a figure counts, and that a table weighs clips by their seconds."""

from pathlib import Path

import numpy as np
import pytest

from research.faces.lip_clips import (
    closes,
    comparison_lines,
    figures,
    fit_bar,
    follows,
    LipClip,
    shuts,
)
from research.lips import count_false_closures, true_closures


def made_clip(name="en", seconds=4, seed=0, bilabials=(), **other):
    rng = np.random.default_rng(seed)
    opening = 4 + np.convolve(rng.standard_normal(25 * seconds), [1, 2, 1], "same")
    opening[[3, 40]] = np.nan
    values = {"width": 50 - opening, "language": "en", "tier": "A"} | other
    return LipClip(
        Path("lips"), name, opening, bilabials=np.array(bilabials).reshape(-1, 2), **values
    )


def test_a_curve_of_the_same_shape_follows_at_any_amplitude():
    clip = made_clip()
    assert follows(7 * np.nan_to_num(clip.opening) + 3, clip.opening) == pytest.approx(1)
    assert (
        closes(np.nan_to_num(clip.opening, nan=9.0), clip.opening)
        == 1
        > closes(-np.nan_to_num(clip.opening), clip.opening)
    )


def test_lips_shut_on_a_sound_from_the_frame_before_it():
    clip, curve = made_clip(bilabials=[(0.4, 0.48), (1.6, 1.68)]), np.full(100, 5.0)
    curve[8] = 0.5
    assert not shuts(curve, clip).any()
    curve[9] = 0.5
    assert shuts(curve, clip).tolist() == [True, False]


def test_the_bar_is_fitted_to_some_clips_and_predicts_another():
    rng = np.random.default_rng(2)
    clips = [made_clip(str(seed), 40, seed) for seed in range(4)]
    features = {}
    for clip in clips:
        features[clip.name] = rng.standard_normal((clip.frames, 6))
        features[clip.name][:, 2] = np.nan_to_num(clip.opening, nan=4.0)
    bar = fit_bar(clips[:3], features)
    assert (
        follows(bar(features["3"], "opening"), clips[3].opening) > 0.9
        and follows(bar(features["3"], "width"), clips[3].width) > 0.9
    )


def test_figures_are_means_over_takes_and_the_table_weighs_clips_by_seconds():
    short = made_clip("short", 4, 1, language="de", width=None)
    long = made_clip("long", 12, 2, bilabials=[(1.0, 1.1)])
    row = {}
    for clip, sign in ((short, -1), (long, 1)):
        curve = sign * np.nan_to_num(clip.opening, nan=4.0)
        row[clip.name] = figures(clip, np.array([curve, curve]), np.array([-curve, -curve]))
    assert (
        row["short"]["opening"] == pytest.approx(-1)
        and np.isnan(row["short"]["width"])
        and np.isnan(row["short"]["PBM"])
    )
    line = next(
        line for line in comparison_lines({"takes": row}, [short, long]) if line.startswith("takes")
    )
    assert (
        line.split()[1] == "0.500"
        and "-1.00/" in line
        and "1.000 [1.00, 1.00]" in line
        and "nan" not in line
    )


def test_what_takes_shut_is_counted_where_real_lips_shut_and_where_they_do_not():
    clip = made_clip(bilabials=[(0.4, 0.48), (2.0, 2.08)])
    clip.opening[[11, 51]] = 0.1, 3.0
    gaps = np.full((2, 100), 5.0)
    gaps[1, 11] = 0.0
    met = true_closures(gaps, 0, clip)
    assert (
        met["each"].tolist() == [False, True]
        and met["any"].tolist() == [True]
        and not met["any, shifted"].any()
    )
    assert met["the likeliest"].tolist() == [False] and met[
        "any other where that misses"
    ].tolist() == [True]
    assert len(true_closures(gaps, 1, clip)["any other where that misses"]) == 0
    real = np.full(100, 5.0)
    gaps[1, 60:64] = 0.3
    real[11] = 0.0
    assert count_false_closures(gaps[1], real) == 1 and count_false_closures(gaps[0], real) == 0
