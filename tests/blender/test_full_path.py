# SPDX-License-Identifier: GPL-3.0-or-later
"""From a voice to ranked takes and back to sound, with the real engine; what goes wrong costs nothing
but the request."""

import os
import sys
import time
import wave

import numpy as np
import pytest
from performances import jaws
from processes import is_alive
from running_engine import connection, SAMPLE, scene, speak, stop_engine  # noqa: F401
from thunder.scene.engine import connection as connection_module
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.takes.line import How, perform
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import errors
from thunder.thunder_core.request import Request
from timing import keeps


def contents(bpy):
    """Names of everything in the file, and what is on the heads: what must not change when
    something fails."""
    kinds = (
        "scenes",
        "objects",
        "meshes",
        "actions",
        "armatures",
        "materials",
        "sounds",
        "shape_keys",
        "worlds",
    )
    names = {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in kinds}
    names["takes"] = [entry.name for entry in bpy.context.scene.thunder.takes]
    names["animated"] = sorted(
        (block.name, getattr(block.animation_data.action, "name", ""))
        for block in (*bpy.data.objects, *bpy.data.shape_keys)
        if block.animation_data
    )
    scene = bpy.context.scene
    names["frames"] = (scene.frame_current, scene.frame_start, scene.frame_end)
    strips = compat.strips(scene.sequence_editor) if scene.sequence_editor else []
    names["strips"] = sorted((strip.name, strip.mute, strip.channel) for strip in strips)
    return names


def test_a_strip_becomes_ranked_takes_and_is_heard_again(blender, scene, connection):
    scene.render.fps, scene.render.fps_base = 30, 1.001
    speak(scene, start=41)
    assert blender.ops.thunder.generate() == {"FINISHED"}
    listed = list(scene.thunder.takes)
    assert len(listed) == 2 and {entry.seed for entry in listed} == {11, 12}
    assert [entry.score for entry in listed] == sorted(
        (entry.score for entry in listed), reverse=True
    )
    assert scene.thunder.active_take == 0 and all(0 <= entry.score <= 100 for entry in listed)
    first, second = sorted(listed, key=lambda entry: entry.seed)
    assert first.words == "as directed" and "hits " in second.words
    assert "hits" in second.action["thunder"]["choice"], "also in the file"
    with wave.open(SAMPLE) as file:
        seconds = file.getnframes() / file.getframerate()
    assert listed[0].first == 41 and abs(listed[0].last - (41 + seconds * 30 / 1.001)) < 3
    angles = jaws(scene, head.find(scene), range(listed[0].first, listed[0].last, 2))
    assert np.ptp([*angles.values()]) > 0.01  # the mouth moves
    for entry in listed:
        assert {"seed", "score", "weights", "audio", "quality"} <= set(
            entry.action["thunder"].keys()
        )
    if strip_module.has_audio():
        assert blender.ops.thunder.listen() == {"FINISHED"}
        spoken = next(
            s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen")
        )
        first, last = compat.strip_span(spoken)
        assert (
            spoken.mute
            and spoken.sound.packed_file
            and first == 41
            and abs(last - listed[0].last) <= 2
        )
        assert [s.name for s in strip_module.sound_strips(scene)] == ["line"]
    pid, folder = connection.client().pid, connection.client().folder
    kept = [name for name in os.listdir(folder) if name.endswith((".wav", ".npy"))]
    # the voice, kept for the next time
    assert len(kept) <= 1 and all(name.startswith("voice_cache_") for name in kept)
    connection.stop()
    assert not os.path.exists(folder) and not is_alive(pid)


def one_sentence(caught):
    text = str(caught.value).strip()
    assert (
        text.startswith("Error: ")
        and "\n" not in text
        and "Traceback" not in text
        and len(text) < 320
    )


def no_head(bpy, scene):
    scene.thunder.head = None
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)


def strange_head(bpy, scene):
    scene.thunder.head = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    scene.collection.objects.link(scene.thunder.head)


def engine_at(path):
    return lambda bpy, scene: setattr(connection_module.preferences(), "engine_python", path)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (None, "no sound strip"),
        (no_head, "No head is selected"),
        (strange_head, "no shape keys that Thunder knows"),
        (engine_at("/nowhere/python"), "no Python at"),
        (engine_at(sys.executable), "engine|install"),
    ],
)
def test_what_is_missing_is_said_and_changes_nothing(blender, scene, connection, spoil, said):
    if spoil:
        speak(scene)
        spoil(blender, scene)
    before = contents(blender)
    try:
        with pytest.raises(RuntimeError, match=said) as caught:
            blender.ops.thunder.generate()
    finally:
        connection.preferences().engine_python = ""
    one_sentence(caught)
    assert contents(blender) == before


def sound_files(connection):
    """Names of the sounds and requests in the folder that the engine is given."""
    folder = connection.client().folder
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {name for name in names if name.endswith(".wav") or name.startswith("request")}


def half_way(scene, connection, context):
    """A generation that has begun to sample."""
    how = How(Request(4, 1, steps=100), None)
    voice = strip_module.find(context)
    steps = perform(connection.client(), scene, head.find(scene), voice, how)
    running = jobs.begin("Generating takes", steps)
    while running.step.fraction < 0.2:
        assert not running.advance()
        time.sleep(0.01)
    return running


def test_cancelling_is_quick_and_changes_nothing(blender, scene, connection):
    speak(scene)
    before = contents(blender)
    left = sound_files(connection)  # of voices that earlier requests came to their end with
    running = half_way(scene, connection, blender.context)
    start = time.perf_counter()
    assert blender.ops.thunder.cancel() == {"FINISHED"}
    with pytest.raises(errors.Cancelled):
        running.advance()
    jobs.end_job()
    keeps(0.5, time.perf_counter() - start, "cancelling")
    assert contents(blender) == before and connection.client().running
    assert sound_files(connection) <= left
    assert blender.ops.thunder.generate() == {"FINISHED"}


# ---- an engine that hangs
