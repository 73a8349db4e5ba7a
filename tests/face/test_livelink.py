# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of Live Link Face are read as they are written, and damaged ones refused with a
sentence."""

import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from memory import held_at_most

from thunder_core.animation import livelink, row_times
from thunder_core.errors import BadRequest
from thunder_core.progress import result
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion

CHANNELS = ("browInnerUp", "mouthSmileLeft", "mouthPucker", "tongueTipUp")


def recording(*given):
    """What is read of a file, at once."""
    return result(livelink.read(*given))


def motion(frames=50):
    wave = np.sin(3 * (np.arange(frames) / 25))[:, None]
    expression = np.abs(wave) * [0.5, 0.3, 0.8, 0.0]
    jaw = 0.2 * np.abs(wave) * [1, 0, 0]
    head = wave * [0.1, 0.2, -0.05]
    eyes = wave * [0.1, 0.3, 0.0]
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


def read_motion(path, rate=0.0):
    return recording(path, CHANNELS, rate)[0]


@pytest.mark.parametrize("rate, start", [(25.0, 0.0), (60.0, 0.0), (30.0, 12.5), (60.0, 86399.0)])
def test_a_recording_comes_back_as_the_motion_it_was(tmp_path, rate, start):
    read = read_motion(write(tmp_path / "a.csv", rate, start))
    # the last row may lie before the last frame
    assert read.frames in (49, 50) and read.fps == 25.0
    for name in ("expression", "jaw", "head", "eyes"):
        there, wanted = getattr(read, name)[:48], getattr(motion(), name)[:48]
        assert there == pytest.approx(wanted, abs=2e-3 if rate == 25 else 4e-2), name


def test_midnight_passes_and_rows_that_were_dropped_are_filled_in(tmp_path):
    path = write(tmp_path / "a.csv", 60.0, 86399.0)
    path.write_text(path.read_text().replace("\n24:00:", "\n00:00:"))
    assert read_motion(path).frames == 50
    read = read_motion(write(tmp_path / "a.csv", 60.0, drop=range(40, 46)))
    assert read.frames == 50 and read.jaw == pytest.approx(motion().jaw, abs=3e-2)


def test_names_are_read_in_any_case_and_what_is_missing_is_still(tmp_path):
    (tmp_path / "a.csv").write_text(
        "timecode,blendshapecount,JAWOPEN\n00:00:00:00.0,1,0\n00:00:01:00.0,1,1\n"
    )
    read = read_motion(tmp_path / "a.csv")
    assert (
        read.head is None and not read.expression.any() and read.jaw[-1, 0] == pytest.approx(0.30)
    )


def test_tables_of_other_programs_are_read(tmp_path):
    """Their clocks: numbers of frames, seconds, none; their names: eyeBlink_L; their angles:
    degrees."""
    rows = ((0, 0.0), (1, 0.5), (2, 1.0))
    for clock, scale in (("frame", 1), ("Frame_Number", 1), ("seconds", 0.5), ("", 0)):
        lines = [
            f"{clock},jaw_open,Brow_Inner_Up,MouthSmile_L,headyaw,headpitch,headroll"
            if clock
            else "jawOpen,browInnerUp,mouthSmile_L"
        ]
        for frame, value in rows:
            shapes = f"{value},{value / 2},{value / 4}"
            lines.append(f"{frame * scale},{shapes},{20 * value},0,0" if clock else shapes)
        (tmp_path / "a.csv").write_text("\n".join(lines))
        read = read_motion(tmp_path / "a.csv", 2.0)
        assert read.frames == 26, clock
        assert read.jaw[-1, 0] == pytest.approx(0.30) and read.expression[-1] == pytest.approx(
            [0.5, 0.25, 0.0, 0.0]
        )
        assert (read.head is None) == (not clock)
        assert not clock or read.head[-1] == pytest.approx([0, -np.radians(20), 0], abs=1e-5)


@pytest.mark.parametrize(
    "column, axis, what",
    [("HeadYaw", 1, "to its right"), ("HeadPitch", 0, "up"), ("HeadRoll", 2, "its left ear down")],
)
def test_an_angle_of_the_head_is_in_radians_and_turns_it(tmp_path, column, axis, what):
    """Positive angles turn the head so: our axes are x to its left, y up, z out of the face, so
    every one of them is a negative turn."""
    names = ("HeadYaw", "HeadPitch", "HeadRoll")
    values = ",".join("0.25" if name == column else "0" for name in names)
    (tmp_path / "a.csv").write_text(
        f"Timecode,JawOpen,{','.join(names)}\n00:00:00:00.0,0,{values}\n"
    )
    turn = read_motion(tmp_path / "a.csv").head[0]
    assert turn == pytest.approx(-0.25 * np.eye(3)[axis], abs=1e-6), what
    nose, crown = (rotvec_to_matrix(turn) @ point for point in ((0, 0, 1), (0, 1, 0)))
    assert {"HeadYaw": nose[0] < 0, "HeadPitch": nose[1] > 0, "HeadRoll": crown[0] > 0}[column], (
        what
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "it is empty"),
        ("a,b\n1,2\n", "no columns"),
        ("Timecode,JawOpen\n", "holds no frames"),
        ("Timecode,JawOpen\n00:00:00:00.0,much\n", "it holds “much” in place of a number"),
        ("Timecode,JawOpen\n00:00:00:00.0,\n", "it holds empty cells"),
        ("Timecode,JawOpen\n00:00:00:00.0\n", "a row with fewer values"),
        ("Timecode,JawOpen\n00:00:00:00.0,nan\n", "not numbers"),
        ("Timecode,JawOpen\n00:00:00:00.0,1e9\n", "not numbers"),
        ("Timecode,JawOpen\n0:noon,0\n1:noon,0\n", "has a time that cannot be read, “0:noon”"),
        ("Timecode,JawOpen\n00:00:00:999.0,0\n", "count to 999 frames"),
        ("frame,jawOpen\n1,0\nlater,0\n", "it holds “later” in place of a number"),
        ("seconds,jawOpen\n1,0\n0.5,0\n", "do not follow"),
        ("seconds,jawOpen\n1,0\nnan,0\n", "not numbers"),
        ("frame,jawOpen\n0,0\n1e9,0\n", "counts frames without"),
        ("Timecode,JawOpen\n00:00:02:00.0,0\n00:00:01:00.0,0\n", "do not follow"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_sentence(tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadRequest, match="“a.csv”") as error:
        recording(tmp_path / "a.csv", CHANNELS)
    assert said in str(error.value) and ": " in str(error.value)


@pytest.mark.parametrize("empty", ["\n", "\r\n", ";;\n"])
def test_columns_behind_very_many_empty_lines_are_found(tmp_path, empty):
    path = table(tmp_path / "a.csv", [str(row / 30) for row in range(30)], "seconds")
    path.write_bytes(30_000 * empty.encode() + path.read_bytes())
    began = time.process_time()
    assert recording(path, CHANNELS)[0].frames == 25 and time.process_time() - began < 4


def test_a_file_that_is_gone_or_no_text_is_refused(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    for name in ("b.csv", "gone.csv"):
        with pytest.raises(BadRequest, match=f"“{name}” cannot be read"):
            recording(tmp_path / name, CHANNELS)


def table(path, clocks, heading="time", separator=",", name="{}", values=None, point="."):
    """A table whose jaw opens by .6 with these times."""
    values = np.linspace(0, 0.6, len(clocks)) if values is None else values
    names = [name.format(each) for each in ("jawOpen", "browInnerUp", "mouthSmile_L")]
    lines = [separator.join([heading, *names])]
    for clock, value in zip(clocks, values):
        cells = [f"{value:.4f}".replace(".", point)] * 3
        lines.append(separator.join([clock, *cells]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def code(seconds, rate):
    whole = int(seconds + 1e-9)
    return f"10:{whole // 60:02d}:{whole % 60:02d}:{round((seconds - whole) * rate):02d}"


SECONDS = {  # heading of a column → a time in it
    "timestamp_ms": lambda s: f"{1000 * s:.0f}",
    "TimeUs": lambda s: f"{1e6 * s:.0f}",
    "time [µs]": lambda s: f"{1e6 * s:.0f}",
    "Timestamp (ns)": lambda s: f"{1.7e18 + 1e9 * s:.0f}",
    "t": lambda s: f"{1000 * s:.1f}",
    "Time": lambda s: f"{1.7e9 + s:.3f}",
    "timestamp": lambda s: f"2026-11-29T12:00:{s + 3:06.3f}Z",
    "Time Code": lambda s: f"23:59:{s + 58:06.3f}" if s < 2 else f"00:00:{s - 2:06.3f}",
    "seconds": lambda s: f"{s:.4f}",
}


@pytest.mark.parametrize("heading", SECONDS)
@pytest.mark.parametrize("rate, seconds", [(60, 0.4), (30, 3.0)])
def test_times_in_any_unit_are_told_by_the_file_and_said(tmp_path, heading, rate, seconds):
    clocks = [SECONDS[heading](row / rate) for row in range(round(rate * seconds) + 1)]
    read, said = recording(table(tmp_path / "a.csv", clocks, heading), CHANNELS)
    assert read.frames == round(seconds * 25) + 1 and read.expression[-1, 0] == pytest.approx(0.6)
    assert f"at {rate}" in said and f"by its column “{heading}”" in said


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((24, 25, 30, 50, 60, 120)), st.integers(0, 10_000), st.integers(2, 400),
    st.integers(1, 3),
)  # fmt: skip
def test_timecodes_tell_their_rate_or_it_is_asked_for(rate, start, count, apart):
    """Where a second passes they tell it; a clip that stays within one tells nothing, and no rate
    is assumed for it."""
    at = (start + apart * np.arange(count)) / rate
    clocks = [code(each, rate) for each in at]
    passes = len(set(np.floor(at + 1e-9))) > 1 and (np.diff(np.floor(at + 1e-9)) == 0).any()
    if passes:
        seconds, said = row_times.times_of([("Timecode", clocks)], count)
        assert seconds - seconds[0] == pytest.approx(at - at[0], abs=2 / rate + 0.05 * np.ptp(at))
        assert "frames a second, by its column “Timecode”" in said
    else:
        with pytest.raises(row_times.UnknownRate, match="“Timecode” stays within one second"):
            row_times.times_of([("Timecode", clocks)], count)
    seconds, said = row_times.times_of([("Timecode", clocks)], count, rate)
    assert seconds - seconds[0] == pytest.approx(at - at[0]) and said.endswith("as set")


@pytest.mark.parametrize(
    "heading, clocks, why",
    [
        ("Timecode", [code(row / 60, 60) for row in range(20)], "“Timecode” stays within"),
        ("Timecode", ["10:00:00"] * 30 + ["10:00:01"] * 30, "has whole seconds only"),
        ("frame_id", [str(row) for row in range(30)], "counts frames without saying"),
        ("time", [str(row) for row in range(30)], "has times of an unknown unit"),
        ("timestamp", ["1700000000"] * 30 + ["1700000001"] * 30, "the same time in many rows"),
        ("seconds", [str(17 * row) for row in range(30)], "in s would mean 0.0588 rows"),
        ("BlendShapeCount", ["61"] * 30, "it has no column of times"),
    ],
)
def test_what_a_file_does_not_tell_is_asked_for_by_the_name_of_the_option(
    tmp_path, heading, clocks, why
):
    path = table(tmp_path / "a.csv", clocks, heading)
    with pytest.raises(BadRequest, match=why) as error:
        recording(path, CHANNELS)
    assert "set Frames per Second (in a bake: --performed-rate)" in str(error.value)
    read, said = recording(path, CHANNELS, 30.0)
    assert read.frames == round((len(clocks) - 1) / 30 * 25) + 1 or heading == "Timecode"
    assert "at 30 " in said and "as set" in said


@pytest.mark.parametrize(
    "heading",
    ["Timecode (60fps)", "TimecodeHH:MM:SS:FF", "Time (hh:mm:ss:ff) 60 fps", "Frame_60fps"],
)
def test_names_may_say_the_rate_and_how_times_are_written(tmp_path, heading):
    clocks = [code(row / 60, 60) if "rame" not in heading else str(row) for row in range(25)]
    path = table(tmp_path / "a.csv", clocks, heading)
    if "60" in heading:
        read, said = recording(path, CHANNELS)
        assert read.frames == 11 and f"at 60 frames a second, by its column “{heading}”" in said
    else:
        with pytest.raises(BadRequest, match="stays within one second"):
            recording(path, CHANNELS)


def test_a_second_column_tells_what_the_first_does_not(tmp_path):
    clocks = [f"{code(row / 60, 60)},{row / 60:.4f}" for row in range(25)]
    read, said = recording(table(tmp_path / "a.csv", clocks, "Timecode,timestamp"), CHANNELS)
    assert read.frames == 11 and "by its column “timestamp”" in said


def test_a_rate_of_29_97_counts_to_30():
    columns = [("Timecode", [f"00:{minute:02d}:00:00" for minute in range(11)])]
    seconds, _ = row_times.times_of(columns, 11, 30 / 1.001)
    assert seconds[-1] - seconds[0] == pytest.approx(600.6)
    dropped = [("Timecode", [f"00:{minute:02d}:00;02" for minute in range(11)])]
    assert np.ptp(row_times.times_of(dropped, 11, 30 / 1.001)[0]) == pytest.approx(600)


@pytest.mark.parametrize(
    "name",
    ["blendShapes.{}", "c_{}", "ARKit_{}", "CTRL_expressions_{}", '"{}"', " {} ", "bs[3].{}"],
)
@pytest.mark.parametrize("separator, point", [(",", "."), (";", ","), ("\t", ","), (", ", ".")])
def test_names_with_prefixes_and_tables_of_any_country_are_read(tmp_path, name, separator, point):
    clocks = [f"{row / 30:.4f}".replace(".", point) for row in range(31)]
    path = table(tmp_path / "a.csv", clocks, "\ufeffseconds", separator, name, point=point)
    read, said = recording(path, CHANNELS)
    assert read.frames == 26 and read.jaw[-1, 0] == pytest.approx(0.18)
    assert read.expression[-1] == pytest.approx([0.6, 0.6, 0, 0])
    assert said == "“a.csv” was read at 30 rows a second (times in s), by its column “seconds”"


def test_percent_odd_values_and_columns_that_are_left_out_are_said(tmp_path):
    clocks = [f"{row / 30:.4f},7" for row in range(31)]
    for top, part, opens in ((60, "reach 60 and were read as percent", 0.6),
                             (3, "reach 3 and were read as 1 for the whole movement", 3.0)):  # fmt: skip
        values = np.linspace(0, top, 31)
        path = table(tmp_path / "a.csv", clocks, "seconds,AU12_r", values=values)
        read, said = recording(path, CHANNELS)
        assert part in said and "without columns that are not ARKit's: “AU12_r”" in said
        assert read.expression[-1, 0] == pytest.approx(opens)


def test_angles_say_their_unit_where_the_layout_does_not(tmp_path):
    def read(heading, value):
        text = "seconds,jawOpen," + ",".join(
            f"head{each}{heading}" for each in ("Yaw", "Pitch", "Roll")
        )
        (tmp_path / "a.csv").write_text(f"{text}\n0,0,0,0,0\n0.12,0,{value},0,0\n")
        motion, said = recording(tmp_path / "a.csv", CHANNELS)
        return float(-motion.head[-1, 1]), said

    assert read("_deg", 1.0)[0] == pytest.approx(np.radians(1), abs=1e-6)
    for value, angle, unit in ((0.5, 0.5, "radians"), (3.0, np.radians(3), "degrees")):
        turned, said = read("", value)
        assert turned == pytest.approx(angle, abs=1e-6) and f"head's angles as {unit}" in said


HEADING = "Timecode,BlendShapeCount,JawOpen\n"
RECORDINGS = {
    "digits": HEADING + f"00:00:00:00,61,{'9' * 5000}\n",
    "timecode of digits": HEADING + f"{'9' * 5000}:00:00:00,61,0\n{'9' * 5000}:00:01:00,61,0\n",
    "frames of digits": HEADING + 2 * f"00:00:00:{'9' * 5000},61,0\n",
    "zero byte": HEADING + "00:00:00:00,61,\0\n",
    "not a number": HEADING + "00:00:00:00,61,nan\n",
    "escapes": HEADING + "00:00:00:00,61,\x1b[31m\n",
    "a row of a million cells": HEADING + 2 * ("0," * 1_000_000 + "\n"),
    "lines in quotes": HEADING + '"a\n",' * 100_000,
    "a heading of a million columns": "x," * 1_000_000,
    "a column of 5000 letters": HEADING.replace("JawOpen", "J" * 5000),
    "rows in quotes": HEADING + '"\n",' * 2_000_000,
    "nothing": "",
    "heading": HEADING,
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_of_absurd_values_is_refused_in_little_memory(tmp_path, name):
    (tmp_path / "a.csv").write_text(RECORDINGS[name])
    with held_at_most(200 * 2**20), pytest.raises(BadRequest, match=": ") as error:
        recording(tmp_path / "a.csv", ("jawOpen",))
    assert len(str(error.value)) < 250 and str(error.value).isprintable()


def test_a_recording_of_too_many_rows_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(livelink, "MOST_FRAMES", 1000)
    (tmp_path / "a.csv").write_text("JawOpen\n" + "0\n" * 1000 + "rest")
    with pytest.raises(BadRequest, match="it has more than 1,000 rows"):
        recording(tmp_path / "a.csv", ("jawOpen",))
