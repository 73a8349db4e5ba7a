# SPDX-License-Identifier: GPL-3.0-or-later
"""A take as a file: all that is known of it comes back, FLAME parameters are what smplx takes, and what is
no take is refused with a sentence."""

import inspect

import numpy as np
import pytest
import smplx
from memory import held_at_most

from thunder_core.animation import motion_file
from thunder_core.direction import Direction, Style
from thunder_core.errors import BadRequest
from thunder_core.progress import result
from thunder_core.types import Motion

CHANNELS = ("jawForward", "mouthSmileLeft", "browInnerUp")


def motion(head=True):
    rng = np.random.default_rng(3)
    turns = [rng.standard_normal((9, 3)).astype(np.float32) for _ in range(3)]
    return Motion(
        rng.random((9, 3)).astype(np.float32),
        turns[0],
        turns[1] if head else None,
        turns[2],
        fps=25.0,
    )


def saved(tmp_path, **changes):
    np.savez(
        tmp_path / "take.npz",
        **{
            name: x
            for name, x in (motion_file.arrays(motion(), CHANNELS) | changes).items()
            if x is not None
        },
    )
    return tmp_path / "take.npz"


def test_a_motion_comes_back_with_its_names_and_rate(tmp_path):
    there, channels = motion_file.read(saved(tmp_path))
    assert channels == CHANNELS and there.fps == 25.0
    for name in ("expression", "jaw", "head", "eyes"):
        assert np.array_equal(getattr(there, name), getattr(motion(), name))


def test_how_it_was_played_is_in_the_file_where_it_was_directed():
    played = Direction(Style(energy=1.4, smile=-0.2), "angry", 0.5)
    arrays = motion_file.arrays(motion(), CHANNELS, played.vector())
    style = dict(zip(arrays["style_names"].tolist(), arrays["style"].tolist()))
    assert style == pytest.approx(played.style.values(), abs=1e-5)
    assert str(arrays["mood"]) == "angry" and float(arrays["mood_strength"]) == 0.5
    neutral = motion_file.arrays(motion(), CHANNELS, Direction().vector())
    assert str(neutral["mood"]) == "neutral" and float(neutral["mood_strength"]) == 0.0
    plain = motion_file.arrays(motion(head=False), CHANNELS)
    assert not {"style", "mood", "reading"} & plain.keys()
    assert plain["head"].shape == (9, 3) and not plain["head"].any(), "a missing one is still"


@pytest.mark.parametrize("damaged", [None, [1.0], "calm", [float("inf")] * 23])
def test_what_a_take_says_of_its_reading_is_believed_where_it_holds_together(damaged):
    vector = Direction(Style(head=2.0)).vector()
    assert motion_file.style_of_take({"reading": vector.tolist()}) == pytest.approx(vector)
    assert motion_file.style_of_take({"reading": damaged}) is motion_file.style_of_take({}) is None


def _frames(count, fps):
    """Arrays of a recording of so many frames, of zeros, which a zip makes small."""
    parts = {part: np.zeros((count, 3), np.int8) for part in ("expression", "jaw", "head", "eyes")}
    return parts | {"fps": np.float64(fps)}


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"head": None}, "lacks arrays of a take"),
        ({"channels": np.array(["one"])}, "do not belong together"),
        ({"jaw": np.zeros((8, 3), np.float32)}, "do not belong together"),
        ({"jaw": np.full((9, 3), np.nan, np.float32)}, "not numbers"),
        *(
            ({"fps": np.float64(fps)}, "a second, which no recording of a face has: save it with")
            for fps in (0.0, -25.0, 3e8, np.nan, np.inf, 1e-6, 0.99)
        ),
        ({"fps": np.array("fast")}, "do not belong together"),
        ({"expression": np.zeros((0, 3), np.float32)}, "do not belong together"),
        *(
            ({part: np.full((9, 3), value)}, f"in {part}, more than a face can do: save turns")
            for part in ("expression", "jaw", "head", "eyes")
            for value in (1e30, -101)
        ),
        *(({part: np.full((9, 3), 180.0)}, "in radians") for part in ("jaw", "head", "eyes")),
        (_frames(4 * 3600 * 2 + 9, 2.0), "28,809 frames at 2 a second"),
        (_frames(10**6, 1000.0), "1,000,000 frames at 1000 a second"),
    ],
)
def test_what_is_no_take_is_refused(tmp_path, changes, said):
    path = saved(tmp_path, **changes)
    with held_at_most(64 * 2**20), pytest.raises(BadRequest, match=said):
        result(motion_file.read_recording(str(path), CHANNELS))


def test_a_small_file_of_many_frames_is_read_in_little_memory(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", **_frames(28_000_000, 1000.0))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    with held_at_most(400 * 2**20), pytest.raises(BadRequest, match="“bomb.npz”.*: "):
        result(motion_file.read_recording(str(tmp_path / "bomb.npz"), CHANNELS))


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    (tmp_path / "take.npz").write_bytes(b"no zip")
    with pytest.raises(BadRequest, match="“take.npz”.*choose a file"):
        motion_file.read(tmp_path / "take.npz")
    with pytest.raises(BadRequest, match="“gone.npz” cannot be read"):
        motion_file.read(tmp_path / "gone.npz")


FRAMES = 5
TURNS = ("jaw_pose", "neck_pose", "leye_pose", "reye_pose")


def some(rng, expression=100):
    return {
        "expression": rng.normal(0, 1, (FRAMES, expression)),
        **{name: rng.normal(0, 0.2, (FRAMES, 3)) for name in TURNS},
        "betas": np.tile(rng.normal(0, 1, 300), (FRAMES, 1)),
    }


def test_smplx_takes_the_file_as_it_is(tmp_path):
    """Names and shapes; tests of the FLAME extra pose the same model by it and by our formula."""
    motion_file.write_parameters(str(tmp_path / "take.npz"), some(np.random.default_rng(0)), 24.0)
    with np.load(tmp_path / "take.npz") as file:
        arrays = dict(file)
    assert arrays.pop("fps") == 24.0
    assert arrays.keys() <= set(inspect.signature(smplx.FLAME.forward).parameters)
    assert {name: values.shape for name, values in arrays.items()} == {
        "expression": (FRAMES, 100),
        "betas": (FRAMES, 300),
        **{name: (FRAMES, 3) for name in ("global_orient", "transl", *TURNS)},
    }


def test_what_is_not_finite_is_refused(tmp_path):
    broken = some(np.random.default_rng(2))
    broken["jaw_pose"][2, 1] = np.nan
    with pytest.raises(BadRequest, match="not finite"):
        motion_file.write_parameters(str(tmp_path / "take.npz"), broken, 24.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "beginning, is_film",
    [
        (b"\0\0\0\x20ftypisom", True),
        (b"\x1aE\xdf\xa3\x9f", True),
        (b"RIFF\x10\0\0\0AVI LIST", True),
        (b"\0\0\1\xba", True),
        ((b"G" + bytes(187)) * 2, True),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", False),
        (b"#EXTM3U\n#EXTINF:2,\nhttp://host/a.ts\n", False),
        (b"<?xml version='1.0'?><MPD><Period/></MPD>", False),
        (b"v=0\nc=IN IP4 10.0.0.1\n", False),
        (b"\x89PNG\r\n\x1a\n", False),
        (b"RIFF\x10\0\0\0WAVEfmt ", False),
    ],
)
def test_a_film_is_known_by_how_it_begins_and_what_names_other_files_is_none(
    tmp_path, beginning, is_film
):
    (tmp_path / "a.mp4").write_bytes(beginning)
    assert motion_file.is_video(str(tmp_path / "a.mp4")) == is_film
