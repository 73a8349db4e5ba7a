# SPDX-License-Identifier: GPL-3.0-or-later
"""A take's lips are corrected by what its voice's transcript says, through an engine that tells
when."""

import numpy as np
import pytest
from performances import clicks
from speaking import enter, keys_of, opening_of, same
from thunder.scene.takes import track_values, transcript
from thunder.thunder_core import errors, progress, protocol

pytestmark = pytest.mark.one_blender

A_B, BUMP = ["b", 1.32, 0.9, "a"], ["mp", 3.0, 0.7, "bump"]  # what the engine answers of two words


class Ear:
    """Stands for the engine's client: answers “closures” at once with what it was told to."""

    def __init__(self, folder, found, pauses=()):
        self.folder, self.found, self.pauses, self.asked = str(folder), found, pauses, []

    def request(self, verb, **args):
        self.asked.append((verb, args))
        return self

    done, error = True, None

    @property
    def result(self):
        words = [[word, seconds - 0.2, seconds + 0.2] for _, seconds, _, word in self.found]
        answer = {
            "closures": self.found,
            "pauses": [list(pause) for pause in self.pauses],
            "words": words,
        }
        # as the engine's answers are checked
        assert protocol.is_sound({"event": "done", "result": answer}, "closures")
        return answer


@pytest.fixture
def stage(stage, tmp_path):
    """Our head, a take that closes at 1.3 and 2.4 s, and its voice in a file."""
    scene, _ = stage
    scene.thunder.source, scene.thunder.sound_file = (
        "FILE",
        clicks(tmp_path / "voice.wav", (1.0,), 4.0),
    )
    enter(stage, closed=(1.3, 2.4)).voice = "voice"
    return stage


def correct(blender, scene, ear):
    return progress.result(transcript.correct(ear, blender.context, scene.thunder.takes[0]))


def test_lips_close_where_the_text_has_it_and_nowhere_else(blender, scene, rig, tmp_path):
    entry = scene.thunder.takes[0]
    blender.ops.thunder.add_transcript()
    transcript.of(scene, entry.voice).text = "a bump"
    ear = Ear(tmp_path, [A_B, BUMP])
    frames = np.arange(1, 98)
    before = opening_of(rig, entry, frames)
    assert before[round(2.4 * 24)] <= 0.3 < before[round(3.0 * 24)]
    done = correct(blender, scene, ear)
    assert (
        done.added == (("bump", 73),)
        and len(done.removed) == 1
        and abs(done.removed[0][1] - 59) <= 1
    )
    assert (
        done.sentence
        == f"Added 1 lip closure: “bump” at frame 73; removed 1: frame {done.removed[0][1]}"
    )
    assert ear.asked[0][0] == "closures" and ear.asked[0][1]["text"] == "a bump"
    now = opening_of(rig, scene.thunder.takes[0], frames)
    assert (
        now[round(1.3 * 24)] <= 0.3 and now[round(3.0 * 24)] <= 0.3 and now[round(2.4 * 24)] > 1.0
    )
    keys = keys_of(rig, scene.thunder.takes[0])
    assert correct(blender, scene, ear) == transcript.Corrections()
    assert same(keys, keys_of(rig, scene.thunder.takes[0]))


@pytest.mark.parametrize(
    "text, found, said",
    [
        ("  ", [], "no transcript"),
        ("oh", [], "no m, b or p"),
        (
            "mama",
            [["m", 1.0, 0.1, "mama"], ["m", 2.0, 0.05, "mama"]],
            "match the voice: check its words from “mama”",
        ),
    ],
)
def test_what_cannot_be_corrected_says_why_and_changes_nothing(
    blender, scene, rig, tmp_path, text, found, said
):
    transcript.ensure(scene, scene.thunder.takes[0].voice).text = text
    before = keys_of(rig, scene.thunder.takes[0])
    with pytest.raises(errors.BadRequest, match=said):
        correct(blender, scene, Ear(tmp_path, found))
    assert same(before, keys_of(rig, scene.thunder.takes[0]))


def test_a_closure_that_the_voice_does_not_say_is_left_out(blender, scene, rig, tmp_path):
    transcript.ensure(scene, scene.thunder.takes[0].voice).text = "a bump"
    frames = np.arange(1, 98)
    assert correct(
        blender, scene, Ear(tmp_path, [A_B, ["m", 2.4, 0.8, "my"], ["p", 3.0, 0.05, "cap"]])
    ).unspoken == ("cap",)
    assert opening_of(rig, scene.thunder.takes[0], frames)[round(3.0 * 24)] > 0.6
    # where a part of the words is another's, nothing is changed
    before = keys_of(rig, scene.thunder.takes[0])
    heard = [
        A_B,
        ["m", 2.0, 0.8, "my"],
        ["p", 3.0, 0.05, "cap"],
        ["m", 3.2, 0.9, "me"],
        ["p", 3.4, 0.01, "up"],
    ]
    with pytest.raises(
        errors.BadRequest, match="does not seem to match the voice: check its words from “cap” on"
    ):
        correct(blender, scene, Ear(tmp_path, heard))
    assert same(before, keys_of(rig, scene.thunder.takes[0]))


def test_a_text_that_is_wrong_at_its_end_corrects_what_comes_before(blender, scene, rig, tmp_path):
    """The lips close where the first words have it; where the voice says something else they stay
    as they were."""
    transcript.ensure(scene, scene.thunder.takes[0].voice).text = "my baby may pump up"
    heard = [
        ["m", 0.9, 0.9, "my"],
        ["b", 1.6, 0.8, "baby"],
        ["m", 2.0, 0.7, "may"],
        ["mp", 2.9, 0.01, "pump"],
        ["p", 3.1, 0.02, "up"],
    ]
    done = correct(blender, scene, Ear(tmp_path, heard))
    assert (
        done.unspoken == ("pump", "up")
        and done.part == ("my", "may")
        and (len(done.added), len(done.removed)) == (3, 1)
    )
    assert done.warning == (
        "The voice says the transcript from “my” to “may” only, the lips elsewhere stay as they "
        "were: check “pump”, “up”"
    )
    now = opening_of(rig, scene.thunder.takes[0], np.arange(1, 98))
    # the last is the take's, behind these words
    closed = [now[round(seconds * 24)] <= 0.3 for seconds in (0.9, 1.6, 2.0, 2.4)]
    assert closed == [True] * 4 and now[round(1.3 * 24)] > 1.0 and now[round(3.0 * 24)] > 0.6


def test_a_closure_that_keys_opened_on_a_shaped_take_is_restored_and_other_edits_stay(
    blender, scene, rig, tmp_path
):
    entry = scene.thunder.takes[0]
    transcript.ensure(scene, entry.voice).text = "a bump"
    entry.action.thunder_shape.upper_face = 0.5
    jaw = next(
        c
        for c in track_values.curves(rig, entry)
        if c is not None and c.data_path == 'pose.bones["jaw"].rotation_euler'
    )
    kept = next(p for p in jaw.keyframe_points if round(p.co[0]) == 20)
    for point in [p for p in jaw.keyframe_points if 56 <= p.co[0] <= 62] + [kept]:
        point.co[1] += 0.12
    jaw.update()
    frames, here = np.arange(1, 98), kept.co[1]
    assert opening_of(rig, entry, frames)[56:61].min() > 1.0
    done = correct(blender, scene, Ear(tmp_path, [A_B, ["b", 2.4, 0.9, "bump"]]))
    assert done.added == (("bump", 59),) and not done.removed
    assert opening_of(rig, entry, frames)[58] <= 0.3
    jaw = next(
        c
        for c in track_values.curves(rig, entry)
        if c is not None and c.data_path == 'pose.bones["jaw"].rotation_euler'
    )
    assert jaw.evaluate(20) == pytest.approx(here, abs=1e-6) and jaw.evaluate(21) != pytest.approx(
        here, abs=1e-3
    )
