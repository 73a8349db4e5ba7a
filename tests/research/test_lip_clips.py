# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves beside real lips: what a figure counts; and calibration: what a made face does is recovered from
its sound."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from research.faces.calibrate import calibrate
from research.faces.lip_clips import (
    closes,
    comparison_lines,
    figures,
    follows,
    LipClip,
    map_voice,
    shuts,
)
from research.lips import count_false_closures, true_closures
from research.train.card import count_constants
from thunder_core.engine.planning.mouth_map import (
    apply_map,
    CONSTANTS,
    fitted_encoder,
    identity,
    mouth_map,
)
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.spoken import PHONES
from thunder_core.weight_files import SHIPPED


def made_clip(name="en", seconds=4, seed=0, bilabials=(), **other):
    rng = np.random.default_rng(seed)
    opening = 4 + np.convolve(rng.standard_normal(25 * seconds), [1, 2, 1], "same")
    opening[[3, 40]] = np.nan
    values = {"width": 50 - opening, "language": "en", "tier": "A"} | other
    return LipClip(
        Path("lips"), name, opening, bilabials=np.array(bilabials).reshape(-1, 2), **values
    )


def test_lips_follow_at_any_amplitude_and_shut_from_the_frame_before_a_sound():
    clip = made_clip()
    assert follows(7 * np.nan_to_num(clip.opening) + 3, clip.opening) == pytest.approx(1)
    assert (
        closes(np.nan_to_num(clip.opening, nan=9.0), clip.opening)
        == 1
        > closes(-np.nan_to_num(clip.opening), clip.opening)
    )
    clip, curve = made_clip(bilabials=[(0.4, 0.48), (1.6, 1.68)]), np.full(100, 5.0)
    curve[8] = 0.5
    assert not shuts(curve, clip).any()
    curve[9] = 0.5
    assert shuts(curve, clip).tolist() == [True, False]


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


def test_the_map_that_takes_are_compared_with_is_that_of_the_lip_plan():
    features = np.random.default_rng(3).random((80, kernels()["opening"].map.shape[1]))
    own = apply_kernel(features, kernels()["opening"].map)
    assert kernels()["opening"].share == 1
    assert follows(map_voice(features, "opening"), own) == pytest.approx(1)
    assert follows(map_voice(features, "opening", map_fits=False), own) < 0.9
    seen = made_clip("s1 a"), made_clip("s33 b")
    row = {
        clip.name: figures(
            clip, np.ones((1, 100)) * np.arange(100), np.ones((1, 100)) * np.arange(100)
        )
        for clip in seen
    }
    assert "GRID, unseen" in comparison_lines({"takes": row}, seen)[0]
    assert "GRID, unseen" not in comparison_lines({"takes": row}, seen[:1])[0]


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


MOST_NUMBERS = 12000  # that may be measured on the recordings of real faces


@pytest.fixture(scope="module")
def encoder():
    return SpeechEncoder.load(SHIPPED)


def sounding_clip(folder: Path, name: str, seed: int) -> list[str]:
    """A face that opens with the loudness of its sound, 4 s; the rows of its phones."""
    rng = np.random.default_rng(seed)
    frames = 100
    open_ = np.repeat(rng.random(frames // 5) > 0.5, 5)
    loud = np.convolve(np.repeat(open_, 640), np.ones(640) / 640, "same")
    t = np.arange(frames * 640) / 16000
    voice = sum(np.sin(2 * np.pi * 140 * h * t) / h for h in range(1, 20))
    soundfile.write(
        folder / f"{name}.wav", 0.1 * loud * voice + 1e-4 * rng.standard_normal(len(t)), 16000
    )
    opening = (
        0.03
        + 0.05 * np.convolve(open_, [0.25, 0.5, 0.25], "same")
        + 0.002 * rng.standard_normal(frames)
    )
    opening[[3, 40]] = np.nan
    about = {"bilabials": np.zeros((0, 2)), "lang": "en", "tier": "C" if seed == 0 else "A"}
    np.savez(
        folder / f"{name}.npz",
        opening=opening,
        width=0.6 - opening,
        width_reliable=seed % 2 == 0,
        **about,
    )
    phones = np.where(open_, "AA", "M")[::5]
    return [
        f"{name}\t{i}\t{phone}\t{i * 0.2:.2f}\t{(i + 1) * 0.2:.2f}"
        for i, phone in enumerate(phones)
    ]


def made_folder(data: Path, clips: int) -> None:
    """A folder of data with one of measured lips whose last clip calibrates nothing."""
    folder = data / "lips"
    folder.mkdir()
    rows = [row for seed in range(clips) for row in sounding_clip(folder, f"clip{seed}", seed)]
    (folder / "phones.tsv").write_text("\n".join(["clip\tnumber\tphone\tstart\tend", *rows]) + "\n")
    fit = ", ".join(f'"clip{seed}"' for seed in range(clips - 1))
    (folder / "split.toml").write_text(f'fit = [{fit}]\ncheck = ["clip{clips - 1}"]\n')


@pytest.mark.slow
def test_a_made_face_is_calibrated_from_its_sound_and_clips_that_were_left_out_say_how_well(
    tmp_path, encoder
):
    made_folder(tmp_path, 4)
    out = tmp_path / "kernels.json"
    figures = calibrate(tmp_path, encoder, out=out)
    assert min(figures["opening_r_check"], figures["opening_r_left_out"]) > 0.8
    assert "width_r_check" not in figures, "no reliable width in that split"
    written = json.loads(out.read_text())
    assert written["encoder"] == identity(encoder) and written["fitted_on"] == "fit"
    assert np.shape(written["opening"]["phones"]) == (9, len(PHONES))


def test_the_shipped_constants_are_those_of_the_shipped_encoder_and_few_enough(encoder):
    assert fitted_encoder() == identity(encoder)
    assert count_constants() <= MOST_NUMBERS
    figures = json.loads(CONSTANTS.read_text())["figures"]
    assert figures["opening_r_left_out"] > figures["opening_r_left_out_phones_alone"] + 0.05, (
        "the map is worth its numbers"
    )
    assert figures["width_r_left_out"] > figures["width_r_left_out_phones_alone"]
    assert kernels()["opening"].share == 1, "kernels know the phones of English alone"
