# SPDX-License-Identifier: GPL-3.0-or-later
"""Esc between any two slices of any long work: what it wrote is taken back, or it says what stays."""

import bpy
import numpy as np
import pytest
from file_state import differences, state_of_file
from performances import clicks, set_keys, trim_end
from played_engine import PlayedClient
from sliced_work import place_of, shot, shot_folder  # noqa: F401
from thunder.operators import base
from thunder.scene.animation import keying
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.review import checking
from thunder.scene.takes import perform_as, take_list, take_record, word_places
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.shape import applying
from thunder.scene.voice import strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation import motion_file
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.findings import Finding, OPEN

pytestmark = pytest.mark.one_blender


class Engine(PlayedClient):
    def _listen(self, out, expression, **how):
        clicks(out, (0.05,), len(np.load(expression)) / 25)
        going = {"event": "progress", "fraction": 0.5, "message": "Speaking"}
        return [going, dict(going), {"event": "done", "result": {}}]


# ---- what each operator needs: functions of the scene and a folder; they return its properties


def ready(scene, folder):
    """Nothing more than the shot has."""
    return {}


def fitting(scene, folder):
    """The first line is as its takes are."""
    trim_end(strip.by_name(scene, "one"), 0)
    return {}


def without_takes(scene, folder):
    fitting(scene, folder)
    take_list.delete(scene, list(range(len(scene.thunder.takes))))
    return {}


def of_other_line(scene, folder):
    """The first voice performs as the second line, which has keys of the animator's own."""
    fitting(scene, folder)
    assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    keys = head.find(scene).mesh.data.shape_keys.key_blocks
    set_keys(keys["mouthSmileLeft"], "value", {50: 0.5})
    scene.thunder.strip = "one"
    return {"source": perform_as.of_line(scene, "one", "two").key}


def shaped(scene, folder):
    """The shown take, whose keys are still those without its shape."""
    action = take_list.shown_take(scene.thunder).action
    with applying._addon_changes:
        action.thunder_shape.jaw = 1.5
    return {}


def closed(scene, folder):
    """The lips of the shown take, at the current frame."""
    scene.frame_set(53)
    entry = take_list.shown_take(scene.thunder)
    rig = take_list.rig_of(scene, entry)
    progress.result(applying.close_lips(rig, entry, 53))
    return {}


def moved(scene, folder):
    """The lines have moved: a shaped take, a committed line, one with edited keys."""
    fitting(scene, folder)
    assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    takes = list(scene.thunder.takes)
    takes[0].action.thunder_shape.jaw = 1.5
    for name in ("one", "two"):
        strip.by_name(scene, name).frame_start += 7
    return {}


def trimmed(scene, folder):
    """A take has edited keys, and its line was trimmed."""
    fitting(scene, folder)
    for entry in scene.thunder.takes:
        curve = compat.all_curves(entry.action)[5]
        curve.keyframe_points.insert(entry.first + 6, 0.6)
        curve.update()
    for name in ("one", "two"):
        trim_end(strip.by_name(scene, name), 5)
    return {}


def cut_in_two(scene, folder):
    """A piece of a line was cut off and moved."""
    fitting(scene, folder)
    whole = strip.by_name(scene, "two")
    piece = whole.split(frame=53, split_method="SOFT")
    piece.frame_start += 9
    return {}


def scored_by_others(scene, folder):
    for entry in scene.thunder.takes:
        entry.action[keying.PROPERTY]["weights"] = "earlier"
    return {}


def looks_at_camera(scene, folder):
    scene.camera.location = (0.4, -1, 1.5)
    sliders.ensure(head.find(scene).owner).look_at = "CAMERA"
    return {}


def checked(scene, folder):
    rig = head.find(scene)
    found = [Finding(OPEN, 0.3, 0.4, 4.0, 1.0, "m")]
    checking.show(scene, rig, "two", Clock(41.0, 25.0), found)
    return {}


def committed(scene, folder):
    assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    return {}


def checked_on_own_keys(scene, folder):
    """The same of what was committed."""
    committed(scene, folder)
    return checked(scene, folder)


def snappy(scene, folder):
    """What is asked of the lips is not what it was when takes were checked."""
    scene.thunder_check.tolerance = "SNAPPY"
    return {}


def with_words(scene, folder):
    client = connection.client()
    jobs.run_through("", word_places.find(client, strip.find(bpy.context), "a bump"))
    scene.frame_set(47)
    return {}


def other_mouth(scene, folder):
    with_words(scene, folder)
    return {"take": scene.thunder.takes[3].action.name}


def text_file(scene, folder):
    (folder / "words.txt").write_text("a bump")
    return {"filepath": str(folder / "words.txt")}


def capture_file(scene, folder):
    made = take_record.load(take_list.shown_take(scene.thunder).action)
    np.savez(folder / "capture.npz", **motion_file.arrays(made.motion, made.channels))
    return {"filepath": str(folder / "capture.npz"), "rate": 60.0}


# those that take long, or write as others here do, are tried with the slow tests
SLOW = {
    "generate", "resample_rest", "more_like_this", "perform_as", "retake", "commit_take",
    "commit_all", "contact_sheet",
}  # fmt: skip
OPERATORS = [
    ("generate", ready),
    ("generate_all", without_takes),
    ("resample_rest", ready),
    ("more_like_this", ready),
    ("perform_as", of_other_line),
    ("retake", with_words),
    ("use_mouth", other_mouth),
    ("mix_takes", ready),
    ("apply_shape", shaped),
    ("add_closure", ready),
    ("remove_closure", closed),
    ("commit_take", fitting),
    ("commit_all", fitting),
    ("resync", moved),
    ("resync", trimmed),
    ("resync", cut_in_two),
    ("check", snappy),
    ("fix_finding", checked),
    ("fix_finding", checked_on_own_keys),
    ("score_again", scored_by_others),
    ("update_eyes", looks_at_camera),
    ("listen", committed),
    ("hear_word", with_words),
    ("find_words", ready),
    ("read_transcript", text_file),
    ("import_capture", capture_file),
    ("delete_takes", ready),
    ("contact_sheet", ready),
    ("play_grid", ready),
]


class Stops:
    """Runs the jobs of operators, and cancels each at a place at which none was before."""

    def __init__(self):
        self.seen, self.ended = set(), False

    def run(self, title, steps, on_step=None):
        job = jobs.begin(title, steps)
        try:
            while not job.advance(0.0):
                if (place := place_of(job.steps)) not in self.seen:
                    self.seen.add(place)
                    job.stop_requested = True
                    job.advance(0.0)
            self.ended = True
            return job.value
        finally:
            jobs.end_job()


@pytest.mark.parametrize(
    "name, setup",
    [
        pytest.param(
            name, setup, id=f"{name}-{setup.__name__}", marks=[pytest.mark.slow] * (name in SLOW)
        )
        for name, setup in OPERATORS
    ],
)
def test_esc_between_any_two_slices_leaves_the_file_as_it_was_or_says_what_stays(
    shot, blender, play, tmp_path, monkeypatch, name, setup
):
    play(Engine(tmp_path / "engine"))
    path, told, stops, stays = blender.data.filepath, [], Stops(), True
    while not stops.ended:
        if stays:
            blender.ops.wm.open_mainfile(filepath=path)
            scene = blender.context.scene
            scene.frame_set(48)
            properties = setup(scene, tmp_path)
            before = state_of_file()
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "run_through", stops.run)
            patch.setattr(base.HasObstacles, "tell", lambda _, kinds, text: told.append(text))
            result = getattr(blender.ops.thunder, name)(**properties)
        assert stops.ended or told[0].endswith(" was cancelled"), told
        stays = not stops.ended and len(told) > 1
        if stays:
            assert result == {"FINISHED"} and told[1].startswith("Stopped: ")
        elif not stops.ended:
            assert result == {"CANCELLED"}
            assert not differences(before, state_of_file())
        told.clear()
    assert stops.seen


def test_all_work_in_slices_that_changes_the_file_is_tried():
    """Those of shapes in test_new_shapes.py."""
    changes_nothing = {"check_engine", "choose_microphone", "download_model"}
    at_its_end = {"style_from_animation", "learn_manner"}
    tried_elsewhere = {"mark_face", "make_shapes", "record", "perform_live", "recognise_words"}
    same = {"paste_transcript"}  # as read_transcript
    known = {name for name, _ in OPERATORS} | changes_nothing | at_its_end | tried_elsewhere | same

    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    names = {cls.__name__.removeprefix("THUNDER_OT_") for cls in below(base.SlicedWork)}
    assert {name for name in names if name.islower()} == known
