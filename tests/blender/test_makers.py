# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters in their makers' layouts speak after three clicks: choose the character, a voice,
Generate Takes. What Blender then shows of their faces is measured here, without our own measures."""

import os
from pathlib import Path

import numpy as np
import pytest
from characters import pose
from makers import add, ict, MAKERS, read_anatomy, read_ict
from mathutils import Matrix
from performances import read_wav, write_wav
from running_engine import connection, SAMPLE, stop_engine  # noqa: F401
from thunder.scene.heads import character, detection, head as head_module, head_state
from thunder.scene.heads.family import face_of
from thunder.scene.takes import take_record

pytestmark = pytest.mark.one_blender
NO_LIDS = ("Rigify", "Auto-Rig Pro")  # whose lids are bones: they take poses of the animator's


@pytest.fixture(scope="module")
def body():
    return read_anatomy()


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    samples, rate = read_wav(SAMPLE)
    path = tmp_path_factory.mktemp("voice") / "line.wav"
    return write_wav(path, samples[: int(2.5 * rate)], rate)


def seen(bpy, body, wanted):
    """Where vertices of the head [n] are now in the world, on whichever object they are, [n, 3]."""
    result = np.full((len(wanted), 3), np.nan)
    graph = bpy.context.evaluated_depsgraph_get()
    for name, ids in body.placed.items():
        at = {vertex: row for row, vertex in enumerate(ids.tolist())}
        shown = bpy.data.objects[name].evaluated_get(graph)
        for i, vertex in enumerate(wanted):
            if vertex in at:
                result[i] = shown.matrix_world @ shown.data.vertices[at[vertex]].co
    assert not np.isnan(result).any()
    return result


def moved(bpy, body, wanted):
    """How far vertices are from rest, mm along the head's own axes, however it is turned."""
    now = seen(bpy, body, [*body.still, *wanted])
    still, count = body.points[body.still], len(body.still)
    middle, middle_now = still.mean(0), now[:count].mean(0)
    left, _, right = np.linalg.svd((still - middle).T @ (now[:count] - middle_now))
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    return 1000 * ((now[count:] - middle_now) @ turn.T + middle - body.points[wanted])


@pytest.mark.parametrize(
    "maker",  # Blender's add-on takes seconds to generate a rig
    [pytest.param(each, marks=[pytest.mark.slow] * (each == "Rigify")) for each in MAKERS],
)
def test_a_makers_character_speaks_after_three_clicks(blender, body, line, connection, maker):  # noqa: F811
    """`-s` prints the table."""
    speak(blender, body, line, maker, MAKERS[maker])


@pytest.mark.data
def test_ict_facekit_speaks_after_three_clicks(blender, line, connection):  # noqa: F811
    data = os.environ.get("THUNDER_DATA")
    path = Path(data or "") / "heads" / "ict_facekit" / "head.npz"
    if not data or not path.is_file():
        pytest.skip("THUNDER_DATA names no folder with a measured head")
    speak(blender, read_ict(path), line, "ICT-FaceKit", ict)


def speak(blender, body, line, maker, build):
    """Three clicks, and what is then seen."""
    body.placed.clear()
    scene, clicks = blender.context.scene, 3
    scene.render.fps, scene.thunder.count, scene.thunder.quality = 25, 1, "DRAFT"
    face = build(blender, body)
    blender.context.view_layer.objects.active = face  # the first click
    face.select_set(True)
    assert np.abs(moved(blender, body, list(body.lips))).max() < 0.01
    scene.thunder.source, scene.thunder.sound_file = "FILE", line  # the second
    assert blender.ops.thunder.generate() == {"FINISHED"}  # the third
    rig = head_module.find(scene)
    plan = character.plan_of(rig.mesh)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert head_state.fault(rig.owner) == "" and not detection.unused_of(rig.mesh)
    assert maker in NO_LIDS or not detection.reach_of(rig.mesh, plan).faults
    entry = scene.thunder.takes[0]
    opening = take_record.opening_of(entry.action)
    offsets = []
    for frame in range(len(opening)):
        scene.frame_set(1 + frame)
        offsets.append(moved(blender, body, list(body.lips)))
    upper, lower = np.array(offsets).transpose(1, 0, 2)
    gaps = (upper - lower)[:, 2]
    loudest = int(opening.argmax())
    r = float(np.corrcoef(gaps, opening)[0, 1])
    lid = body.moves["eyeBlinkLeft"]
    lids = np.argsort(lid[:, 2])[:20]
    pose(blender, rig, eyeBlinkLeft=1.0, eyeBlinkRight=1.0)
    closed = moved(blender, body, lids.tolist())[:, 2].mean() / (1000 * lid[lids, 2].mean())
    print(
        f"\n| {maker} | {clicks} | {gaps[loudest]:.0f} of {opening[loudest]:.0f} mm | {r:.2f} "
        f"| {gaps.min():+.1f} mm | {100 * closed:.0f} % |"
    )
    assert gaps[loudest] > 3 and lower[loudest, 2] < -3, "the jaw parts the lips downwards"
    assert r > 0.8
    assert closed > 0.8 or maker in NO_LIDS
    has_eyes = body.weights and maker != "Rigify"  # whose eyes are objects of their own
    if {"eye_left", "eyeLookOutLeft"} & plan.used and has_eyes:
        ball = np.flatnonzero(body.weights["eye_left"] > 0.99)
        pupil = ball[np.argsort(body.points[ball, 1])[:20]].tolist()
        pose(blender, rig, eyes=0.3)
        assert moved(blender, body, pupil)[:, 0].mean() > 2, "eyes turn left"


TURNED = ("ARKit in lower case, four objects", "MetaHuman's sliders", "Auto-Rig Pro")


@pytest.mark.parametrize("maker", TURNED)  # by keys on several objects, by drivers, by bones alone
def test_a_makers_character_that_looks_the_other_way_is_told_so(blender, body, maker):
    face = MAKERS[maker](blender, body)
    turn = Matrix.Rotation(np.pi, 4, "Z")
    for block in (*blender.data.meshes, *blender.data.armatures):
        block.transform(turn, shape_keys=True) if hasattr(block, "shape_keys") else block.transform(
            turn
        )
    blender.context.view_layer.update()
    plan = character.plan_of(face_of(face))
    assert (plan.forward, plan.up) == ("Y", "Z")
    found = detection.reach_of(face_of(face), plan)
    assert not found.is_mirrored and not {"open", "closed"} & set(found.faults)
    assert maker in NO_LIDS or not found.faults


def test_generate_says_which_keys_are_not_used(blender, body, line, connection, capfd):  # noqa: F811
    """A smile and a frown whose names are swapped."""
    swaps = {"mouthSmile": "mouthFrown", "mouthFrown": "mouthSmile"}
    keys = {swaps.get(name[:10], name[:10]) + name[10:]: by for name, by in body.moves.items()}
    scene, face = blender.context.scene, add(blender, body, "Face", keys)
    scene.thunder.count, scene.thunder.quality = 1, "DRAFT"
    scene.thunder.source, scene.thunder.sound_file = "FILE", line
    blender.context.view_layer.objects.active = face
    capfd.readouterr()
    assert blender.ops.thunder.generate() == {"FINISHED"}
    said = character.say_unused(face)
    assert "the corner of the mouth, so it is not used (3 more)" in said
    assert said in capfd.readouterr().out
