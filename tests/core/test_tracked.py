# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracked sequences: any rate and order of channels is read, what cannot be used is said in a
sentence."""

import os

import numpy as np
import pytest
import soundfile

from research.train.corpus import BadRecording, BadTracking, read_tracked, resample, tracked_clips
from research.train.facegood import convert_facegood, facegood_motion, write_tracked
from thunder_core.face.head import load_head
from thunder_core.types import Motion

CHANNELS = list(load_head().expression_names)


def capture(
    folder, name="line", frames=120, fps=60.0, seconds=None, rate=16000, says_fps=..., **changes
):
    """A made capture: a sine on two named channels, a nodding head; `changes` (and `says_fps`)
    replace arrays, None drops them."""
    t = np.arange(frames) / fps
    arrays = (
        dict(
            expression=np.stack([0.5 - 0.5 * np.cos(2 * np.pi * t), np.full(frames, 0.25)], 1),
            channels=np.array(["mouthPucker", "browInnerUp"]),
            jaw=np.stack([0.1 * np.sin(np.pi * t) ** 2, 0 * t, 0 * t], 1),
            head=np.stack([0.05 * np.sin(2 * np.pi * t), 0 * t, 0 * t], 1),
            fps=fps if says_fps is ... else says_fps,
        )
        | changes
    )
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{name}.npz", **{k: v for k, v in arrays.items() if v is not None})
    sound = 0.1 * np.sin(np.arange(int((seconds or frames / fps) * rate)) * 0.05)
    soundfile.write(folder / f"{name}.wav", sound.astype(np.float32), rate)
    return folder / f"{name}.npz"


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 60.0, 120.0])
def test_any_rate_becomes_25_frames_per_second(tmp_path, fps):
    motion, _, _ = read_tracked(capture(tmp_path, frames=round(2 * fps), fps=fps), CHANNELS)
    t = np.arange(motion.frames) / 25
    assert abs(motion.frames - 50) <= 1 and motion.fps == 25
    truth = 0.5 - 0.5 * np.cos(2 * np.pi * t)
    assert np.abs(motion.expression[:, CHANNELS.index("mouthPucker")] - truth)[1:-1].max() < 0.03
    assert np.abs(motion.jaw[:, 0] - 0.1 * np.sin(np.pi * t) ** 2)[1:-1].max() < 0.004
    assert np.abs(motion.head[:, 0] - 0.05 * np.sin(2 * np.pi * t))[1:-1].max() < 0.004


def test_channels_are_found_by_name_and_the_rest_stay_at_rest(tmp_path):
    path = capture(
        tmp_path,
        frames=50,
        fps=25.0,
        expression=np.tile([0.9, 0.4, 0.7], (50, 1)),
        channels=np.array(["somethingElse", "mouthClose", "jawOpen"]),
        head=None,
        pose=np.tile([0.1, 0.2, 0.3], (50, 1)),
    )
    motion, speaker, _ = read_tracked(path, CHANNELS)
    rest = np.delete(motion.expression, CHANNELS.index("mouthClose"), 1)
    assert np.allclose(motion.expression[:, CHANNELS.index("mouthClose")], 0.4) and not rest.any()
    assert speaker == "line" and motion.eyes is None
    assert np.allclose(motion.head, [0.1, 0.2, 0.3]), "pose is another name for head"


def test_rotations_are_interpolated_the_short_way_round():
    ends = np.array([[np.pi - 0.1, 0, 0], [-np.pi + 0.1, 0, 0]])
    assert np.linalg.norm(resample(ends, 1, 2, rotations=True)[1]) == pytest.approx(np.pi)


def test_what_is_written_is_read_back(tmp_path):
    rng = np.random.default_rng(0)
    turns = [(0.1 * rng.normal(size=(30, 3))).astype(np.float32) for _ in range(3)]
    motion = Motion(rng.random((30, len(CHANNELS))).astype(np.float32), *turns)
    write_tracked(tmp_path / "a.npz", motion, CHANNELS, speaker="Ada")
    back, speaker, _ = read_tracked(tmp_path / "a.npz", CHANNELS)
    assert speaker == "Ada"
    for name in ("expression", "jaw", "head", "eyes"):
        assert np.abs(getattr(back, name) - getattr(motion, name)).max() < 1e-6


def test_a_folder_gives_sound_and_motion_of_one_length(tmp_path):
    capture(tmp_path / "day_1", "b", frames=120, fps=60, seconds=2.3, rate=44100, speaker="Ada")
    capture(tmp_path, "a", frames=90, fps=30, seconds=2.8)
    clips = list(tracked_clips(tmp_path, CHANNELS))
    assert [c[0] for c in clips] == ["a", os.path.join("day_1", "b")]
    assert [c[1] for c in clips] == ["a", "Ada"]
    assert all(samples.dtype == np.float32 for _, _, samples, _ in clips)
    assert [(len(samples), motion.frames) for _, _, samples, motion in clips] == [
        (70 * 640, 70),
        (50 * 640, 50),
    ]


@pytest.mark.parametrize(("changes", "says"), [
    (dict(expression=None), "lacks expression"),
    (dict(jaw=None), "lacks jaw"),
    (dict(jaw=np.zeros((119, 3))), "120 × 3"),
    (dict(jaw=np.zeros(120)), "needed"),
    (dict(says_fps=None), "frame rate"),
    (dict(says_fps=0.0), "frame rate"),
    (dict(says_fps=np.array("fast")), "frame rate"),
    (dict(channels=np.array(["mouthPucker"])), "1 channels for 2 columns"),
    (dict(channels=np.array(["mouthPucker", "mouthPucker"])), "Name each column once"),
    (dict(channels=np.array(["a", "b"])), "Rename"),
    (dict(expression=np.full((120, 2), np.nan)), "NaN or infinite values from frame 0"),
    (dict(head=np.full((120, 3), 15.0)), "radians"),
    (dict(eyes=np.zeros((120, 2))), "eyes"),
    (dict(expression=np.array([{}], dtype=object)), "plain arrays"),
    (dict(expression=np.random.default_rng(1).normal(size=(120, 20)), channels=None),
     "another head's basis"),
    (dict(measuring=np.array(True)), "not to train on"),
    (dict(seconds=4.0), "is fps right"),
])  # fmt: skip
def test_a_malformed_sequence_gets_a_sentence(tmp_path, changes, says):
    capture(tmp_path, **changes)
    with pytest.raises(BadTracking, match=says) as error:
        list(tracked_clips(tmp_path, CHANNELS))
    assert "line.npz" in str(error.value) and str(error.value).endswith((".", "?"))


def test_what_is_no_archive_gets_a_sentence(tmp_path):
    capture(tmp_path).write_bytes(b"not an archive")
    with pytest.raises(BadTracking, match="cannot be read"):
        list(tracked_clips(tmp_path, CHANNELS))


def test_folders_that_cannot_be_used_get_a_sentence(tmp_path):
    with pytest.raises(BadTracking, match="no tracked sequences"):
        list(tracked_clips(tmp_path, CHANNELS))
    sound = capture(tmp_path).with_suffix(".wav")
    sound.unlink()
    with pytest.raises(BadTracking, match="no sound beside"):
        list(tracked_clips(tmp_path, CHANNELS))
    sound.write_bytes(b"noise")
    with pytest.raises(BadRecording, match="cannot be read as sound"):
        list(tracked_clips(tmp_path, CHANNELS))


def test_facegood_channels_reach_their_counterparts(tmp_path):
    names = [
        "mouth_stretch_c",
        "mouth_press_l",
        "mouth_press_r",
        "mouth_pucker_l",
        "mouth_pucker_r",
        "jaw_sideways_r",
        "tooth_d_d",
    ]
    weights = np.tile([0.5, 0.3, 0.1, 0.8, 0.8, 0.5, 1.0], (60, 1)).astype(np.float16)
    motion = facegood_motion(weights, names, CHANNELS, 30.0)
    x = dict(zip(CHANNELS, motion.expression[0]))
    assert motion.jaw[0] == pytest.approx([0.16, -0.06, 0], abs=1e-3)
    assert (x["mouthPressLeft"], x["mouthPressRight"], x["mouthPucker"]) == pytest.approx(
        (0.3, 0.1, 0.8), abs=1e-3
    )
    assert sum(motion.expression[0]) == pytest.approx(1.2, abs=1e-2)

    source = tmp_path / "rig"
    source.mkdir()
    np.savez(source / "x.npz", weights=weights, channels=np.array(names), fps=30.0)
    soundfile.write(source / "x.flac", np.zeros(32000, np.float32), 16000)
    convert_facegood(source, tmp_path / "out", CHANNELS)
    [(name, speaker, samples, read)] = tracked_clips(tmp_path / "out", CHANNELS)
    assert (name, speaker, read.frames, len(samples)) == ("x", "facegood", 50, 32000)
    assert np.allclose(read.jaw, motion.jaw[0], atol=1e-4)
