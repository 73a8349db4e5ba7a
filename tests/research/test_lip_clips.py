# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves beside real lips: what a figure counts; and calibration: what a made face does is recovered from
its sound."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tracked_face import tracked

from research.faces import people
from research.faces.calibrate import calibrate
from research.faces.landmarks import contours
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
from research.train.card import count_constants, count_people
from thunder_core.engine.planning.mouth_map import (
    apply_map,
    CONSTANTS,
    fitted_encoder,
    identity,
    mouth_map,
)
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.face.head import load_head
from thunder_core.face.moving.lips import opening_mm
from thunder_core.face.moving.mouth_shape import SIGNALS
from thunder_core.spoken import PHONES
from thunder_core.types import Motion
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
        row[clip.name] = figures(clip, np.tile(np.stack([curve, -curve], 1), (2, 1, 1)))
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
    weights = mouth_map().heard.weights
    features = np.random.default_rng(3).random((80, weights.shape[1]))
    own = apply_map(features, weights)
    assert all(follows(a, b) == pytest.approx(1) for a, b in zip(map_voice(features).T, own.T))
    assert follows(map_voice(features, map_fits=False)[:, 0], own[:, 0]) < 0.99
    seen = made_clip("s1 a"), made_clip("s33 b")
    row = {
        clip.name: figures(clip, np.ones((1, 100, 2)) * np.arange(100)[:, None]) for clip in seen
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


HEAD = load_head()
MOST_NUMBERS = 12000  # that may be measured on the recordings of real faces


@pytest.fixture(scope="module")
def encoder():
    return SpeechEncoder.load(SHIPPED)


def sounding_clip(folder: Path, name: str, seed: int, known) -> None:
    """A face that opens with the loudness of its sound, 4 s, tracked."""
    rng = np.random.default_rng(seed)
    frames = 100
    open_ = np.repeat(rng.random(frames // 5) > 0.5, 5)
    loud = np.convolve(np.repeat(open_, 640), np.ones(640) / 640, "same")
    t = np.arange(frames * 640) / 16000
    voice = sum(np.sin(2 * np.pi * 140 * h * t) / h for h in range(1, 20))
    soundfile.write(
        folder / f"{name}.wav", 0.1 * loud * voice + 1e-4 * rng.standard_normal(len(t)), 16000
    )
    x, turn = np.zeros((frames, HEAD.channels), np.float32), np.zeros((frames, 3), np.float32)
    turn[:, 0] = 0.02 + 0.15 * np.convolve(open_, [0.25, 0.5, 0.25], "same")
    x[:, HEAD.channel("mouthPucker")] = 2 * turn[:, 0]
    motion = Motion(x, turn, 0 * turn, 0 * turn)
    points = tracked(motion, known, noise_mm=0.1, seed=seed) * (1, -1, -1)
    points[[3, 40]] = np.nan
    (folder / "landmarks").mkdir(exist_ok=True)
    np.savez(folder / "landmarks" / f"{name}.npz", landmarks=points, fps=25.0)
    about = {"bilabials": np.zeros((0, 2)), "lang": "en", "tier": "C" if seed == 0 else "A"}
    opening = opening_mm(motion) / 90
    np.savez(
        folder / f"{name}.npz", opening=opening, width=0.6 - opening, width_reliable=seed % 2 == 0,
        **about,
    )  # fmt: skip


@pytest.mark.slow
def test_a_made_face_is_calibrated_from_its_sound_and_clips_that_were_left_out_say_how_well(
    tmp_path, encoder
):
    folder, known = tmp_path / "lips", contours(HEAD)
    folder.mkdir()
    for seed in range(4):
        sounding_clip(folder, f"clip{seed}", seed, known)
    split = 'fit = ["clip0", "clip1", "clip2"]\ncheck = ["clip3"]\n'
    (folder / "split.toml").write_text(split)
    out = tmp_path / "map.json"
    figures = calibrate(tmp_path, encoder, out=out)
    for signal in ("opening", "chin"):
        r = figures[f"heard, {signal}, r check"], figures[f"heard, {signal}, r left_out"]
        assert min(r) > 0.8
    assert "heard, width, r check" not in figures, "no reliable width in that split"
    written = json.loads(out.read_text())
    assert written["encoder"] == identity(encoder) and written["fitted_on"] == "fit"
    assert np.shape(written["phones"]["weights"]) == (5, len(PHONES) + 2, 6)
    assert np.diag(written["residual"]["covariance"])[0] < 0.4


@pytest.mark.slow
def test_people_who_hold_their_heads_still_are_fitted_as_such(tmp_path, encoder, monkeypatch):
    folder, known, out = tmp_path / "lips", contours(HEAD), tmp_path / "people.json"
    folder.mkdir()
    for seed in range(3):
        sounding_clip(folder, f"clip{seed}", seed, known)
    (folder / "split.toml").write_text('fit = ["clip0", "clip1", "clip2"]\ncheck = []\n')
    monkeypatch.setattr(people, "_ROUNDS", 1)
    figures = people.fit_people(tmp_path, encoder, out)
    before, after = (json.loads(path.read_text())["numbers"] for path in (people.NUMBERS, out))
    assert {name: row["unit"] for name, row in after.items()} == {
        name: row["unit"] for name, row in before.items()
    }
    assert np.all(np.array(after["size"]["value"])[:3] < np.array(before["size"]["value"])[:3])
    assert all(np.isfinite(row["value"]).all() for row in after.values()), "nobody blinks there"
    assert after["against"] == before["against"], "what is set by hand stays"
    assert figures.pop("furthest from what ships") > 0.1
    assert set(figures) == set(people._MEANS) and json.loads(out.read_text())["faces"] == 3
    again = people.fit_people(tmp_path, encoder, tmp_path / "again.json")
    assert again.items() > figures.items(), "of the same faces always the same"
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()


def test_the_shipped_constants_are_those_of_the_shipped_encoder_and_few_enough(encoder):
    assert fitted_encoder() == identity(encoder)
    assert count_constants() + count_people() <= MOST_NUMBERS
    figures = json.loads(CONSTANTS.read_text())["figures"]
    for signal in SIGNALS:
        own, phones = (figures[f"{what}, {signal}, r left_out"] for what in ("heard", "phones"))
        assert own > phones, "the map is worth its numbers"
    assert figures["heard, opening, r left_out"] > figures["phones, opening, r left_out"] + 0.05
