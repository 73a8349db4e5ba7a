# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of long work on a small shot, for tests that stop it between any two slices."""

import inspect
import os
import shutil

import bpy
import numpy as np
import pytest
from performances import noise, trim_end
from played_engine import PlayedClient
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.media import contact_sheet, grid
from thunder.scene.review import checking, live_score
from thunder.scene.takes import (
    dialogue,
    keep,
    mix,
    perform_as,
    take_list,
    take_record,
    voice_fit,
    word_places,
)
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.scene.takes.direction import head_direction
from thunder.scene.takes.generation import How, perform as perform_line
from thunder.scene.takes.shape import applying
from thunder.scene.voice import strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation import motion_file
from thunder.thunder_core.findings import Finding, OPEN
from thunder.thunder_core.request import Request

BY = {"python": "", "model": "", "language": ""}  # what recognises words


@pytest.fixture(scope="module")
def shot_folder(head_file, tmp_path_factory):
    """The folder of a file: a head with two lines of a second, two takes of each, the last one
    shown; made once."""
    if not strip.has_audio():
        pytest.skip("this Blender was built without sound")
    bpy.ops.wm.read_homefile(filepath=head_file)
    scene, folder = bpy.context.scene, tmp_path_factory.mktemp("shot")
    scene.render.fps = 25
    for number, name in enumerate(("one", "two")):
        strip.add(scene, noise(folder / f"{name}.wav", 1.0, seed=number), name, 1 + 40 * number)
    scene.thunder.strip = "two"
    client = PlayedClient(tmp_path_factory.mktemp("engine"))
    progress.result(
        dialogue.generate(client, scene, dialogue.lines_to_generate(scene), How(Request(2)))
    )
    scene.thunder.active_take = 2
    keep.add_range(scene, 44, 52)
    scene.thunder_keep.count = 2
    scene.thunder_mix.mouth, scene.thunder_mix.eyes = (
        entry.action for entry in list(scene.thunder.takes)[2:]
    )
    trim_end(strip.by_name(scene, "one"), 5)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return folder


@pytest.fixture
def shot(blender, shot_folder, client, tmp_path):
    """That file, opened, and two undo steps: (bpy, client)."""
    shutil.copytree(shot_folder, tmp_path, dirs_exist_ok=True)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene = blender.context.scene
    blender.context.preferences.edit.use_global_undo = True
    for step in (2, 3):
        scene.frame_step = step
        blender.ops.ed.undo_push(message="the animator's own step")
    yield blender, client
    jobs.end_job()


def shown(blender):
    scene = blender.context.scene
    entry = take_list.shown_take(scene.thunder)
    return scene, take_list.rig_of(scene, entry), entry


def commit(blender, client):
    scene, rig, entry = shown(blender)
    return committing.commit(rig, entry, entry.voice, choice_of(scene, entry))


def close_lips(blender, client):
    scene, rig, entry = shown(blender)
    return jobs.stage(applying.close_lips(rig, entry, 48), "Close Lips")


def check(blender, client):
    """Of more than is known of the take already."""
    scene, rig, _ = shown(blender)
    scene.thunder_check.tolerance = "SNAPPY"
    return checking.check(client, scene, rig)


def score_again(blender, client):
    """The takes that the panel lists, one of them edited."""
    for entry in blender.context.scene.thunder.takes:
        entry.action[keying.PROPERTY]["weights"] = "earlier"
    return live_score.score_again(client, blender.context)


def fix(blender, client):
    scene, rig, entry = shown(blender)
    return jobs.stage(
        checking.mend(scene, rig, Finding(OPEN, 0.3, 0.4, 4.0, 1.0, "m"), entry.first), "Fixing"
    )


def update_eyes(blender, client):
    scene, rig, entry = shown(blender)
    return jobs.stage(head_direction.update_eyes(scene, rig, entry.voice), "Aiming the eyes")


def play_all(blender, client):
    scene, rig, _ = shown(blender)
    return grid.build(scene, rig, list(scene.thunder.takes))


def line(blender):
    """The voice of the second line."""
    scene = blender.context.scene
    return strip.voice_of(scene, strip.by_name(scene, "two"))


def generate(blender, client):
    scene, rig, _ = shown(blender)
    return perform_line(client, scene, rig, line(blender), How(Request(2, 50), seed=None))


def generate_all(blender, client):
    scene = blender.context.scene
    return dialogue.generate(client, scene, dialogue.lines(scene), How(Request(2)))


def capture(blender, client):
    """The take that is shown, as a capture."""
    path = f"{client.folder}/capture.npz"
    np.savez(
        path,
        **motion_file.arrays(
            take_record.load(shown(blender)[2].action).motion, head.channel_names()
        ),
    )
    return voice_fit.list_capture(client, blender.context, path, 60.0)


def perform(blender, client):
    """The first line as the take of the second, whose sound is as it was."""
    scene, rig, _ = shown(blender)
    source = perform_as.of_line(scene, "one", "two")
    voice = strip.voice_of(scene, strip.by_name(scene, "one"))
    transfer = perform_as.Transfer(source, voice.name)
    return perform_as.perform_source(client, scene, rig, voice, transfer, How(Request(1)))


GO_ON = {
    "perform as": perform,
    "generate": generate,
    "generate all": generate_all,
    "keep": lambda blender, client: keep.resample(client, blender.context, How(Request(2))),
}
ARE_CANCELLED = {
    "mix": lambda blender, client: jobs.stage(mix.mix(blender.context), "Mixing"),
    "commit": commit,
    "commit all": lambda blender, client: committing.commit_all(
        blender.context.scene, committing.CommitLog()
    ),
    "re-sync": lambda blender, client: voice_fit.resync(client, blender.context.scene),
    "close lips": close_lips,
    "check": check,
    "score again": score_again,
    "fix": fix,
    "update eyes": update_eyes,
    "play all": play_all,
    "import capture": capture,
    "find words": lambda blender, client: word_places.find(client, line(blender), "a bump"),
    "recognize words": lambda blender, client: word_places.recognise(client, line(blender), BY),
    "contact sheet": lambda blender, client: contact_sheet.make(
        *shown(blender)[:2],
        list(blender.context.scene.thunder.takes)[2:],
        os.path.join(client.folder, "sheet.png"),
    ),
}


def place_of(work):
    """Where a generator waits, and those that it waits for."""
    found = []
    while inspect.isgenerator(work) and work.gi_frame is not None:
        found.append((work.gi_code.co_name, work.gi_frame.f_lineno))
        inner, names = work.gi_yieldfrom, work.gi_frame.f_locals
        work = (
            inner
            if inspect.isgenerator(inner)
            else next((names[name] for name in ("work", "steps") if name in names), None)
        )
    return tuple(found)


def to_new_place(job, seen):
    """Go on to a place that was not seen yet; False when the job is over."""
    while True:
        try:
            job.step = next(job.steps)
        except StopIteration:
            return False
        place = place_of(job.steps)
        if place not in seen:
            seen.add(place)
            return True
