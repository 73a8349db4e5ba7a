# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of Live Link Face are read as they are written, whatever their rate, and damaged ones refused with a sentence."""

import numpy as np
import pytest

from thunder_core.errors import BadRequest
from thunder_core.face import livelink
from thunder_core.types import Motion

CHANNELS = ("browInnerUp", "mouthSmileLeft", "mouthPucker", "tongueTipUp")


def motion(frames=50):
    t = np.arange(frames) / 25
    wave = np.sin(3 * t)[:, None]
    expression = np.abs(wave) * [0.5, 0.3, 0.8, 0.0]
    jaw, head, eyes = (0.2 * np.abs(wave) * [1, 0, 0], wave * [0.1, 0.2, -0.05], wave * [0.1, 0.3, 0.0])
    return Motion(*(x.astype(np.float32) for x in (expression, jaw, head, eyes)))


def write(path, rate=25.0, start=0.0, what=None, drop=()):
    what = what or motion()
    rows = livelink.table(what, CHANNELS)
    there = np.arange(0, (len(rows) - 1) / 25 + 1e-9, 1 / rate)
    rows = np.stack([np.interp(there, np.arange(len(rows)) / 25, column) for column in rows.T], 1)
    with open(path, "w", encoding="ascii", newline="\n") as file:
        livelink.write(file, rows, start, rate)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(lines) if number not in drop))
    return path


@pytest.mark.parametrize("rate, start", [(25.0, 0.0), (60.0, 0.0), (30.0, 12.5), (60.0, 86399.0)])
def test_a_recording_comes_back_as_the_motion_it_was(tmp_path, rate, start):
    read = livelink.read(write(tmp_path / "a.csv", rate, start), CHANNELS)
    assert read.frames in (49, 50) and read.fps == 25.0  # the last row may lie before the last frame
    for name in ("expression", "jaw", "head", "eyes"):
        there, wanted = getattr(read, name)[:48], getattr(motion(), name)[:48]
        assert there == pytest.approx(wanted, abs=2e-3 if rate == 25 else 4e-2), name


def test_midnight_passes(tmp_path):
    path = write(tmp_path / "a.csv", 60.0, 86399.0)
    path.write_text(path.read_text().replace("\n24:00:", "\n00:00:"))
    assert livelink.read(path, CHANNELS).frames == 50


def test_rows_that_were_dropped_are_filled_in(tmp_path):
    read = livelink.read(write(tmp_path / "a.csv", 60.0, drop=range(40, 46)), CHANNELS)
    assert read.frames == 50 and read.jaw == pytest.approx(motion().jaw, abs=3e-2)


def test_names_are_read_in_any_case_and_what_is_missing_is_still(tmp_path):
    (tmp_path / "a.csv").write_text("timecode,blendshapecount,JAWOPEN\n00:00:00:00.0,1,0\n00:00:01:00.0,1,1\n")
    read = livelink.read(tmp_path / "a.csv", CHANNELS)
    assert read.head is None and not read.expression.any() and read.jaw[-1, 0] == pytest.approx(0.30)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "it is empty"),
        ("a,b\n1,2\n", "no columns"),
        ("Timecode,JawOpen\n", "holds no frames"),
        ("Timecode,JawOpen\n00:00:00:00.0,much\n", "not whole"),
        ("Timecode,JawOpen\n00:00:00:00.0\n", "not whole"),
        ("Timecode,JawOpen\n00:00:00:00.0,nan\n", "not numbers"),
        ("Timecode,JawOpen\n00:00:00:00.0,1e9\n", "not numbers"),
        ("Timecode,JawOpen\nnoon,0\n", "timecode “noon”"),
        ("Timecode,JawOpen\n00:00:00:999.0,0\n", "frames a second"),
        ("Timecode,JawOpen\n00:00:02:00.0,0\n00:00:01:00.0,0\n", "do not follow"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadRequest, match="“a.csv”") as error:
        livelink.read(tmp_path / "a.csv", CHANNELS)
    assert said in str(error.value) and ": " in str(error.value)


def test_a_file_that_is_gone_or_no_text_is_refused(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    for name in ("b.csv", "gone.csv"):
        with pytest.raises(BadRequest, match=f"“{name}” cannot be read"):
            livelink.read(tmp_path / name, CHANNELS)
