# SPDX-License-Identifier: GPL-3.0-or-later
"""Cues say when which word, sound and mouth is; VRM animation holds what a motion does."""

import json
import struct

import numpy as np
import pytest

from thunder_core.animation import cue_file, vrma
from thunder_core.rotation import quaternion_to_rotvec
from thunder_core.spoken import Spoken, Word
from thunder_core.types import EYE_SIDE_RADIANS, JAW_OPEN_RADIANS, Motion

# “Ma! Oh.” in a recording: from .5 s, a pause of .4 s, the second word not heard for certain
SOUNDS = [
    ["M", 0.50, 0.60, 0.9, []],
    ["AA", 0.60, 0.80, 0.9, []],
    ["OW", 1.20, 1.40, 0.9, []],
    ["F", 1.44, 1.50, 0.9, []],
]
SPOKEN = Spoken(SOUNDS, (Word("Ma!", 0.5, 0.8, 0.9), Word("Oh.", 1.2, 1.4, 0.1)), "Ma! Oh.", True)


def opened(to=15.0):
    """Two seconds of a mouth that is open between .6 and .8 s."""
    opening = np.zeros(50)
    opening[15:20] = to
    return opening


def rows(cues, kind):
    return [(round(c.start, 3), round(c.end, 3), c.value) for c in cues if c.kind == kind]


def test_words_sounds_and_shapes_have_their_times():
    cues = cue_file.cues_of(SPOKEN, 0.0, opened())
    assert rows(cues, "word") == [(0.5, 0.8, "Ma!")]  # that is heard
    assert rows(cues, "sound") == [(start, end, phone) for phone, start, end, *_ in SOUNDS]
    assert rows(cues, "shape") == [
        (0.0, 0.5, "X"), (0.5, 0.6, "A"), (0.6, 0.8, "D"), (0.8, 1.2, "X"),
        # .04 s are no pause
        (1.2, 1.4, "F"), (1.4, 1.5, "G"), (1.5, 2.0, "X"),
    ]  # fmt: skip
    assert [cue.start for cue in cues] == sorted(cue.start for cue in cues)


@pytest.mark.parametrize("to, letter", [(3.0, "B"), (9.0, "C"), (15.0, "D")])
def test_a_vowel_is_as_open_as_the_take_makes_it(to, letter):
    shapes = rows(cue_file.cues_of(SPOKEN, 0.0, opened(to)), "shape")
    assert (0.6, 0.8, letter) in shapes


def test_a_part_of_a_line_begins_at_its_own_time():
    """A file from scene time 10 s on, whose first second is the recording's from .7 s."""
    cues = cue_file.cues_of(SPOKEN, 9.3, opened()[17:42], 10.0)
    assert rows(cues, "word") == [(10.0, 10.1, "Ma!")]
    assert rows(cues, "sound")[0] == (10.0, 10.1, "AA")
    shapes = rows(cues, "shape")
    assert shapes[0] == (10.0, 10.1, "D") and shapes[-1] == (10.8, 11.0, "X")


@pytest.mark.parametrize("sure, letter", [(0.29, "B"), (0.45, "A")])
def test_lips_shut_only_for_an_m_b_or_p_that_is_likelier_than_not(sure, letter):
    """Of “who” a p is heard at its start, hardly."""
    sounds = [["P", 0.4, 0.44, sure, [["Y", 0.15], ["B", 0.13]]], ["UW", 0.44, 0.6, 0.9, []]]
    cues = cue_file.cues_of(Spoken(sounds, (), "", True), 0.0, np.full(25, 3.0))
    assert [cue.value for cue in cues if cue.kind == "shape"] == ["X", letter, "F", "X"]
    assert [cue.value for cue in cues if cue.kind == "sound"] == ["P", "UW"]


def test_the_table_and_rhubarbs_json_are_read_back():
    cues = cue_file.cues_of(SPOKEN, 0.0, opened())
    head, *lines = cue_file.as_table(cues).splitlines()
    assert head.split("\t") == ["start", "end", "kind", "value"]
    assert [line.split("\t")[3] for line in lines] == [cue.value for cue in cues]
    assert float(lines[1].split("\t")[0]) == 0.5
    read = json.loads(cue_file.as_rhubarb(cues, "line.wav"))
    assert read["metadata"] == {"soundFile": "line.wav", "duration": 2.0}
    mouths = read["mouthCues"]
    assert {mouth["value"] for mouth in mouths} <= set("ABCDEFGHX")
    assert [m["end"] for m in mouths[:-1]] == [m["start"] for m in mouths[1:]]
    assert len(mouths) == 7


def test_silence_is_one_idle_mouth():
    [cue] = cue_file.cues_of(Spoken([], (), "", True), 0.0, np.zeros(25))
    assert cue == (0.0, 1.0, "shape", "X")


# ---- VRM animation

CHANNELS = (
    "jawForward", "mouthClose", "mouthFunnel", "mouthPucker", "eyeBlinkLeft", "eyeBlinkRight",
    "mouthStretchLeft", "mouthStretchRight",
)  # fmt: skip


def motion_of(frames=4, jaw=0.0, **values):
    expression = np.zeros((frames, len(CHANNELS)), np.float32)
    for name, value in values.items():
        expression[:, CHANNELS.index(name)] = value
    turns = np.zeros((3, frames, 3), np.float32)
    turns[0, :, 0] = jaw * JAW_OPEN_RADIANS
    return Motion(expression, *turns)


def read_vrma(path):
    """The extension, and {(node's name, path): (times, values)} of a .vrma."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and size % 4 == 0
    document, start = json.loads(data[20 : 20 + size]), 20 + size
    binary, kind = struct.unpack_from("<I4s", data, start)
    assert kind == b"BIN\0" and start + 8 + binary == len(data)

    def read(number):
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        values = np.frombuffer(data, "<f4", view["byteLength"] // 4, start + 8 + view["byteOffset"])
        return values.reshape(accessor["count"], -1)

    animation = document["animations"][0]
    moved = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        name = document["nodes"][channel["target"]["node"]]["name"]
        moved[name, channel["target"]["path"]] = (
            read(sampler["input"])[:, 0],
            read(sampler["output"]),
        )
    return document, moved


def test_vowels_blinks_head_jaw_and_gaze_are_read_back(tmp_path):
    motion = motion_of(5, jaw=0.5, mouthPucker=0.3, eyeBlinkLeft=1.0, eyeBlinkRight=0.4)
    motion.head[:, 1], motion.eyes[:, 1] = 0.2, EYE_SIDE_RADIANS
    path = tmp_path / "line.vrma"
    vrma.write(path, motion, CHANNELS, 2.0)
    document, moved = read_vrma(path)
    about = document["extensions"]["VRMC_vrm_animation"]
    assert document["extensionsUsed"] == ["VRMC_vrm_animation"] and about["specVersion"] == "1.0"
    first, last = (document["accessors"][0][end] for end in ("min", "max"))
    assert first + last == pytest.approx([2.0, 2.0 + 4 / 25])
    names = [node["name"] for node in document["nodes"]]
    for group in (about["humanoid"]["humanBones"], about["expressions"]["preset"]):
        assert all(names[entry["node"]] == name for name, entry in group.items())
    wanted = {"aa": 0.5, "ou": 0.3, "ih": 0.0, "oh": 0.0, "ee": 0.0}
    wanted |= {"blink": 0.4, "blinkLeft": 0.6, "blinkRight": 0.0}
    for name, value in wanted.items():
        times, values = moved[name, "translation"]
        assert times == pytest.approx(2.0 + np.arange(5) / 25)
        assert values == pytest.approx(np.tile([value, 0, 0], (5, 1)), abs=1e-6), name
    for name, turn in (("head", motion.head), ("jaw", motion.jaw), ("lookAt", motion.eyes)):
        back = quaternion_to_rotvec(np.roll(moved[name, "rotation"][1], 1, axis=1))
        assert back == pytest.approx(turn, abs=1e-6), name
    assert names[about["lookAt"]["node"]] == "lookAt"
    required = {"hips", "spine", "head"} | {
        side + bone
        for side in ("left", "right")
        for bone in ("UpperLeg", "LowerLeg", "Foot", "UpperArm", "LowerArm", "Hand")
    }
    assert set(about["humanoid"]["humanBones"]) == required | {"jaw"}


def test_lips_that_shut_over_an_open_jaw_shut_and_vowels_never_add_up_beyond_one():
    shut = vrma.expressions(motion_of(jaw=0.6, mouthClose=0.6), CHANNELS)
    assert all(np.abs(shut[name]).max() < 1e-6 for name in vrma.VOWELS)
    wide = vrma.expressions(motion_of(jaw=1.2, mouthPucker=1.0, mouthFunnel=1.0), CHANNELS)
    assert sum(wide[name] for name in vrma.VOWELS) == pytest.approx(1.0)
    assert wide["aa"] == pytest.approx(wide["ou"])
