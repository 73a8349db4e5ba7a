# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that performs while somebody speaks: it moves, own characters too, and whatever ends it,
its pose, its keys and the file are as before, and what was spoken is kept."""

import errno
import importlib
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import osc
import pytest
from characters import make_hero, small_face
from few_points import KEYS
from performances import write_wav
from played_microphone import engine_with
from thunder.scene.animation import keying
from thunder.scene.heads import head, mapping_table, receivers
from thunder.scene.heads.live_head import LiveHead, MARK, sender
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.takes.direction import sliders
from thunder.scene.voice import mixdown, recording, strip
from thunder.thunder_core import engine_python, errors, progress, vmc
from thunder.thunder_core.animation import livelink
from thunder.thunder_core.animation.live_motion import LiveMotion
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.client import Client
from thunder.thunder_core.progress import result
from thunder.thunder_core.shipped import SAMPLE
from timing import until

operators = importlib.import_module("thunder.operators.add")
sidebar = importlib.import_module("thunder.panels.sidebar")


def row_of(**values):
    """A packed motion's row. jaw: radians."""
    names = head.channel_names()
    row = np.zeros(len(names) + 9)
    row[len(names)] = values.pop("jaw", 0.0)
    for name, value in values.items():
        row[names.index(name)] = value
    return row


SPEAKS = row_of(jaw=0.2, mouthSmileLeft=0.6)


def hear(taken):
    """Let a recording hear, just now, what its head speaks."""
    taken.motion.began = now = time.perf_counter()
    event = {"event": "curves", "first": 0, "values": [SPEAKS.tolist()] * 4, "phones": ["AA"] * 4}
    taken.motion.add(event | {"hop": 0.16, "made": now})


def smile(rig):
    return rig.keys.key_blocks["mouthSmileLeft"].value


@pytest.fixture
def posed(stage):
    """The stage, whose head smiles a little without a key."""
    stage[1].keys.key_blocks["mouthSmileLeft"].value = 0.25
    return stage


def test_a_head_is_posed_without_keys_and_given_back(posed, blender):
    scene, rig = posed
    before, face = rig.values(), LiveHead(*posed)
    face.show(SPEAKS)
    blender.context.view_layer.update()
    shown = rig.keys.evaluated_get(blender.context.evaluated_depsgraph_get())
    assert shown.key_blocks["mouthSmileLeft"].value == pytest.approx(0.6)
    assert len(blender.data.actions) == 0 and MARK in scene
    face.end()
    assert rig.values() == pytest.approx(before) and MARK not in scene


def test_a_shown_take_gives_way_and_plays_again(stage, entry, blender):
    scene, rig = stage
    scene.frame_set(30)
    before, face = rig.values(), LiveHead(*stage)
    face.show(SPEAKS)
    blender.context.view_layer.update()
    shown = rig.keys.evaluated_get(blender.context.evaluated_depsgraph_get())
    assert shown.key_blocks["mouthSmileLeft"].value == pytest.approx(0.6)
    face.end()
    scene.frame_set(29)
    scene.frame_set(30)
    assert rig.values() == pytest.approx(before, abs=1e-6)


def test_who_scrubs_meanwhile_sees_the_pose_of_the_present_frame_after_it(
    booth, stage, entry, blender
):
    scene, rig = stage
    cube = blender.data.objects.new("cube", None)
    scene.collection.objects.link(cube)
    cube.keyframe_insert("location", frame=1)
    wanted = {}
    for frame in (entry.first + 20, entry.first + 5):
        scene.frame_set(frame, subframe=0.5)
        wanted[frame] = rig.values()
    sender.start(scene, rig, 39539, "127.0.0.1")
    scene.frame_set(entry.first + 30)
    taken, sent = booth(), []
    sender._sent[rig.mesh.name].stream.send = lambda row, *_: sent.append(row)
    scene.frame_set(entry.first + 40)  # while the engine starts
    sent.clear()
    hear(taken)
    with (
        jobs.handled("frame_change_pre", taken._note_frame),
        jobs.handled("frame_change_post", taken._pose),
    ):
        taken._pose()
        for frame in wanted:
            scene.frame_set(frame, subframe=0.5)
            assert smile(rig) == pytest.approx(0.6) and MARK in scene
        cube.location.x = 2.0  # moved, without a key
        assert np.array(sent) == pytest.approx(np.array([SPEAKS] * len(sent))), (
            "its own pose is sent"
        )
        taken._end_pose()
    assert rig.values() == pytest.approx(wanted[frame], abs=1e-6) and MARK not in scene
    assert cube.location.x == 2.0 and scene.frame_current_final == frame + 0.5
    sender.close()


def test_an_own_character_is_posed_through_its_mapping_and_sent_by_what_its_keys_mean(blender):
    hero = make_hero(blender, "Mouth_Smile_L", "Jaw_Open", "Eye_Blink_L", "Eye_Blink_R")
    scene, keys = blender.context.scene, hero.data.shape_keys.key_blocks
    face = LiveHead(scene, head.find(scene, hero))
    face.show(SPEAKS)
    assert keys["Mouth_Smile_L"].value > 0.3 and keys["Jaw_Open"].value > 0.3
    face.end()
    assert keys["Mouth_Smile_L"].value == keys["Jaw_Open"].value == 0.0
    with osc.receiver() as (heard, port):
        sender.start(scene, head.find(scene, hero), port, "127.0.0.1")
        keys["Mouth_Smile_L"].value = 0.5
        blender.context.view_layer.update()  # as the window does at once
        sent = osc.shapes_of(osc.read_frame(heard))
        assert sent["MouthSmileLeft"] == pytest.approx(0.5) and sent["EyeBlinkLeft"] == 0
        sender.close()


def test_own_mouths_follow_the_sounds_and_leave_closures_shut(blender):
    scene = blender.context.scene
    drawn = {"MyOh": {"lower": (0, -0.004, -0.012)}, "MyShut": {"lower": (0, 0, 0.0006)}}
    artist, live = small_face(blender, KEYS | drawn), LiveMotion()
    mapping_table.fill(scene, artist)
    for source, target in (("OH", "MyOh"), ("M B P", "MyShut")):
        next(row for row in scene.thunder.table if row.source == source).target = target
    face, keys = LiveHead(scene, head.resolve(artist)), artist.data.shape_keys.key_blocks
    phones, rows = ["OW"] * 10 + ["M"] * 10, [row_of(jaw=0.2)] * 10 + [row_of()] * 10
    live.began, shown = 0.0, []
    event = {"event": "curves", "first": 0, "values": np.array(rows).tolist(), "phones": phones}
    live.add(event | {"hop": 0.16, "made": 1.0})
    for now in np.linspace(0.45, 1.5, 60):
        face.show(live.at(now), live)
        shown.append((live.sounds()[1], keys["MyOh"].value, keys["MyShut"].value))
    at, oh, shut = np.array(shown).T
    assert oh[(at > 0.1) & (at < 0.3)].min() > 0.8 and oh[at > 0.5].max() < 0.1
    assert shut[at > 0.5].min() > 0.8 and shut[at < 0.3].max() < 0.1
    face.end()
    assert keys["MyOh"].value == keys["MyShut"].value == 0.0


def test_undo_and_redo_while_it_performs_and_after_give_the_pose_back(posed, blender):
    blender.context.preferences.edit.use_global_undo = True
    blender.ops.ed.undo_push(message="before")
    face = LiveHead(*posed)
    face.show(SPEAKS)
    blender.context.scene.frame_step = 3  # the animator goes on working
    blender.ops.ed.undo_push(message="an edit meanwhile")
    blender.context.scene.frame_step = 4
    blender.ops.ed.undo_push(message="another")
    blender.ops.ed.undo()
    face.show(SPEAKS)
    assert smile(head.find(blender.context.scene)) == pytest.approx(0.6)
    blender.ops.ed.undo()
    face.show(SPEAKS)
    face.end()
    assert smile(head.find(blender.context.scene)) == pytest.approx(0.25)
    blender.ops.ed.redo()  # to a step in which it spoke
    scene = blender.context.scene
    assert scene.frame_step == 3 and MARK not in scene
    assert smile(head.find(scene)) == pytest.approx(0.25)


def test_a_file_that_was_saved_meanwhile_opens_with_the_pose_before(posed, blender, tmp_path):
    face = LiveHead(*posed)
    face.show(SPEAKS)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "meanwhile.blend"))
    face.end()
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "meanwhile.blend"))
    scene = blender.context.scene
    assert smile(head.find(scene)) == pytest.approx(0.25) and MARK not in scene


def delete(blender, obj):
    """Delete an object as the key X does: it stays in the file if a take's list names it."""
    for each in blender.context.scene.objects:
        each.select_set(each == obj)
    blender.ops.object.delete()
    assert obj.users, "the take's list does not name it"


def rename(blender, rig):
    rig.mesh.name = "Another"
    session.release("a step was undone", may_go_on=True)


GONE = {  # how a head goes away
    "removed": lambda blender, rig: blender.data.objects.remove(rig.mesh),
    "deleted": lambda blender, rig: delete(blender, rig.mesh),
    "meshless": lambda blender, rig: blender.data.meshes.remove(rig.mesh.data),
    "without its rig": lambda blender, rig: blender.data.objects.remove(rig.armature),
    "renamed": rename,
    "without a key": lambda blender, rig: rig.mesh.shape_key_remove(
        rig.keys.key_blocks["mouthSmileLeft"]
    ),
}


@pytest.mark.parametrize("gone", [each for each in GONE if each != "without a key"])
def test_a_head_that_goes_away_is_said_in_a_sentence(posed, entry, blender, gone):
    scene, rig = posed
    face = LiveHead(scene, rig)
    face.show(SPEAKS)
    GONE[gone](blender, rig)
    with pytest.raises(errors.BadHead, match="was removed, renamed or changed"):
        face.show(row_of(jaw=0.1))
    face.end()
    assert MARK not in scene


def test_a_head_with_a_driver_is_refused_before_anybody_speaks(posed):
    posed[1].keys.driver_add('key_blocks["mouthSmileLeft"].value')
    with pytest.raises(errors.BadHead, match="has a driver"):
        LiveHead(*posed)


# -- with a voice


@pytest.fixture
def engine_here(needs_sound, tmp_path, monkeypatch):
    if os.name == "nt":
        pytest.skip("the engine's Python is a shell script here")
    monkeypatch.setenv("THUNDER_PYTHON", engine_python.find_engine_python())
    monkeypatch.setattr(recording.compat, "user_folder", lambda name: tmp_path / name)
    yield
    jobs.end_job()


@pytest.fixture
def booth(engine_here, posed, tmp_path):
    """Makes a live recording of the stage, whose microphone plays the sample and has a fault:
    booth(fault)."""

    def make(fault="", sound=SAMPLE, voice=None):
        scene, rig = posed
        client = Client(engine_with(tmp_path, sound, fault), device="cpu")
        return recording.Recording(client, scene, LiveHead(scene, rig), voice, ahead=0.2)

    return make


def speak(taken, until, look=lambda: None):
    """What a recording gives that ends when `until()`."""
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    try:
        end = time.monotonic() + 120
        while not session.job.advance():
            look()
            if until() or time.monotonic() > end:
                recording.stop()
            time.sleep(0.01)
        return session.job.value
    finally:
        jobs.end_job()


def test_a_head_speaks_with_somebody_and_the_line_becomes_a_strip(booth, posed):
    scene, rig = posed
    scene.frame_set(31)
    before, taken, jaws, levels, messages = rig.values(), booth(), [], [], set()
    jaw = next(i for i, track in enumerate(rig.driver.tracks) if "jaw" in track.path)

    def look():
        jaws.append(np.abs(np.subtract(rig.values(), before)).max())
        levels.append(session.job.step.fraction)
        messages.add(session.job.step.message)

    kept = speak(taken, lambda: taken.spoken > 1 and taken.motion.delay, look)
    assert max(jaws) > 0.1 and jaw >= 0, "it did not move"
    assert np.diff(levels).min() < -0.1 < 0.1 < np.diff(levels).max(), "the level does not fall"
    assert any(message.endswith("s behind") for message in messages)
    assert rig.values() == pytest.approx(before) and MARK not in scene and scene.frame_current == 31
    added = recording.lay(scene, taken, kept)
    assert compat.strip_span(added)[0] == 31 and kept["ended"] == ""
    assert strip.sound_strips(scene)[0].name == added.name


def test_the_button_performs_in_the_direction_and_look_ahead_that_are_chosen(posed, monkeypatch):
    scene, rig = posed
    scene.thunder.recording.look_ahead = "BEST"
    sliders.ensure(rig.owner).mood = "warm"
    put = []
    client = SimpleNamespace(put_array=lambda rows: put.append(rows) or "direction.npy")
    taken = operators.THUNDER_OT_perform_live.make(None, client, scene)
    assert taken.live["ahead"] == 0.36 and taken.live["direction"] == "direction.npy"
    assert len(put[0]) == 1 and put[0].any() and taken.countdown == 0.0 and taken.last is None
    assert taken.face.mesh == rig.mesh.name
    scene.thunder.recording.hears = "VOICE"
    with pytest.raises(errors.BadSound, match="no sound strip in the sequencer"):
        operators.THUNDER_OT_perform_live.make(None, client, scene)
    scene.thunder.source, scene.thunder.sound_file = "FILE", str(SAMPLE)
    taken = operators.THUNDER_OT_perform_live.make(None, client, scene)
    assert taken.voice.path == str(SAMPLE) and taken.path == "" and taken.title == "Playing"


@pytest.mark.parametrize("fault", ["crash:1", "lost:0.7"])
def test_what_was_spoken_before_a_fault_is_kept_and_the_pose_comes_back(booth, posed, fault):
    scene, rig = posed
    before, taken = rig.values(), booth(fault)
    kept = speak(taken, lambda: False)
    assert kept["ended"].endswith("is kept") and rig.values() == pytest.approx(before)
    assert recording.lay(scene, taken, kept) is not None


def test_a_head_that_is_removed_ends_the_recording_which_is_kept(booth, posed, blender):
    scene, rig = posed
    taken = booth()
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    while not taken.motion.delay:
        session.job.advance()
        time.sleep(0.01)
    blender.data.batch_remove([rig.mesh, rig.armature])
    while not session.job.advance():
        time.sleep(0.01)
    kept = session.job.value
    jobs.end_job()
    assert "was removed, renamed or changed meanwhile: what was recorded is kept" in kept["ended"]
    assert os.path.getsize(kept["path"]) > 10_000


def test_a_live_face_is_sent_to_other_programs_if_that_is_chosen(booth, posed):
    with osc.receiver() as (heard, port):
        sender.start(*posed, port, "127.0.0.1")
        taken = booth()
        hear(taken)
        taken._pose()
        sent = osc.shapes_of(osc.read_frame(heard))
        assert sent["MouthSmileLeft"] == pytest.approx(0.6)
        taken._end_pose()
        smiles = [osc.shapes_of(osc.read_frame(heard))["MouthSmileLeft"] for _ in range(7)]
        assert 0 < smiles[3] < smiles[0] < 0.6 and smiles[-3:] == [0, 0, 0]
        heard.setblocking(False)
        booth()._end_pose()  # before it shows anything
        with pytest.raises(BlockingIOError):
            heard.recv(65536)
        sender.close()


def test_a_voice_ends_when_its_last_frame_is_shown(booth, posed):
    scene, rig = posed
    taken = booth(voice=strip.of_file(scene, str(SAMPLE)))
    row, began = SPEAKS.tolist(), time.perf_counter() - 2.0
    curves = {"event": "curves", "first": 0, "hop": 0.16, "phones": ["AA"] * 25}
    curves["made"] = began + 2.0
    curves["values"] = [*[[0.0] * len(row)] * 24, row]
    events = [{"event": "level", "peak": 0.1, "seconds": 1.0, "began": began}, curves]
    pending = SimpleNamespace(done=False, error=None, cancel=print)

    def poll():
        pending.done, given = True, events[:]
        events.clear()
        return given

    pending.poll = poll
    taken.client = SimpleNamespace(request=lambda *_, **__: pending, stop=print)
    taken.client.put_array = lambda _: "sound.npy"
    smiles, end = [], time.monotonic() + 10
    for _ in taken.steps():
        smiles.append(smile(rig))
        assert time.monotonic() < end
        time.sleep(0.01)
    assert smiles[-1] == pytest.approx(0.6) and smile(rig) == pytest.approx(0.25)


@pytest.fixture
def sent_to(posed):
    """A receiver to which the stage's head is sent, and what it gets next: shapes by names."""
    with osc.receiver() as (heard, port):
        posed[0].thunder.recording.port, posed[0].thunder.recording.names = port, "ARKIT"
        yield lambda: osc.shapes_of(osc.read_frame(heard)), heard
        sender.close()


def test_a_take_is_sent_as_it_plays_and_no_more_after_the_second_press(
    posed, entry, sent_to, blender
):
    scene, rig = posed
    receive, heard = sent_to
    assert blender.ops.thunder.send_face() == {"FINISHED"}
    names, frames, seen = head.channel_names(), range(entry.first, entry.first + 60), []
    for frame in frames:
        scene.frame_set(frame)
        seen.append(receive())
    clock = Clock.of(scene, entry.first)
    shown = result(keying.read(rig, names, clock, 60 / clock.fps, clock.fps))
    table = livelink.table(shown, names)[:60, : livelink.SHAPES].clip(0, 1)
    wanted = [dict(zip(livelink.COLUMNS, row)) for row in table]
    assert np.ptp([each["JawOpen"] for each in seen]) > 0.1
    for got, want in zip(seen, wanted):
        assert got == pytest.approx(want, abs=2e-3)
    assert blender.ops.thunder.send_face() == {"FINISHED"}
    *_, last = (receive() for _ in range(7))
    assert not any(last.values()), "the face stays as it was"
    scene.frame_set(31)
    heard.settimeout(0.1)
    with pytest.raises(TimeoutError):
        receive()


@pytest.mark.parametrize("gone", [each for each in GONE if each != "renamed"])
def test_a_sending_that_the_head_ends_is_said_in_the_panel(posed, entry, blender, gone):
    scene, rig = posed
    name = rig.mesh.name
    sender.start(scene, rig, 39539, "127.0.0.1")
    scene.frame_set(2)
    assert sender.heads == (name,) and sender.trouble == ""
    GONE[gone](blender, rig)
    blender.context.view_layer.update()  # as the window does at once
    scene.frame_set(3)
    assert not sender.heads
    assert sender.trouble.startswith(f"The head is no longer sent: “{name}” was removed, renamed")
    assert sender.trouble in sidebar.notes(blender.context)


def test_an_address_that_is_forbidden_ends_the_sending_and_not_the_performance(posed, monkeypatch):
    def fail(*_):
        raise errors.BadRequest("“studio” is no computer that can be reached: give its name")

    mesh = posed[1].mesh.name
    sender.start(*posed, 39539, "127.0.0.1")
    monkeypatch.setattr(sender._sent[mesh].stream, "send", fail)
    sender.send(mesh, SPEAKS, 0.0)
    assert not sender.heads
    assert sender.trouble.startswith("The head is no longer sent: “studio” is no computer")
    sender.start(*posed, 39539, "127.0.0.1")
    assert sender.trouble == ""
    sender.close()


def test_a_network_that_is_gone_is_said_in_the_panel_until_it_is_back(posed, blender, monkeypatch):
    def fail(data):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    mesh = posed[1].mesh.name
    sender.start(*posed, 39539, "127.0.0.1")
    stream = sender._sent[mesh].stream
    monkeypatch.setattr(stream, "_socket", SimpleNamespace(send=fail, close=print))
    monkeypatch.setattr(stream, "_connect", lambda: stream._socket)
    sender.send(mesh, SPEAKS, 0.0)
    assert sender.heads == (mesh,)
    (said,) = [each for each in sidebar.notes(blender.context) if "cannot be reached now" in each]
    monkeypatch.setattr(stream, "_socket", SimpleNamespace(send=len, close=print))
    stream._lost_at -= 5.0
    sender.send(mesh, SPEAKS, 0.0)
    assert sender.trouble == "" and said not in sidebar.notes(blender.context)
    sender.close()


def test_two_heads_go_to_a_program_each_and_never_to_the_same(blender, tmp_path):
    scene = blender.context.scene
    faces = [make_hero(blender, "Jaw_Open", "Eye_Blink_L", "Eye_Blink_R") for _ in range(2)]
    with osc.receiver() as one, osc.receiver() as other:
        for face, (_, port), names in zip(faces, (one, other), ("ARKIT", "VRM")):
            sender.start(scene, head.find(scene, face), port, "127.0.0.1", names)
        with pytest.raises(errors.BadRequest, match="gets “.*” already: choose another Port for"):
            sender.start(scene, head.find(scene, faces[0]), other[1], "127.0.0.1")
        sender.start(scene, head.find(scene, faces[0]), one[1], "127.0.0.1")
        for face, value in zip(faces, (0.6, 0.2)):
            face.data.shape_keys.key_blocks["Jaw_Open"].value = value
        blender.context.view_layer.update()
        jaw, vowel = (osc.shapes_of(osc.read_frame(heard)) for heard, _ in (one, other))
        assert jaw["JawOpen"] > 2 * vowel["aa"] > 0.2 and "JawOpen" not in vowel
        sender.stop(faces[0].name)
        assert sender.heads == (faces[1].name,)
        sender.close()


def test_sending_ends_with_the_file(posed, blender):
    sender.start(*posed, 39539, "127.0.0.1")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not sender.heads


def test_a_face_goes_to_another_computer_only_where_blender_may_go_online(
    posed, blender, monkeypatch
):
    settings = posed[0].thunder.recording
    monkeypatch.setattr(operators.install, "may_download", lambda: False)
    settings.host = "studio.local"
    with pytest.raises(RuntimeError, match="to send a face to “studio.local”"):
        blender.ops.thunder.send_face()
    assert not sender.heads


def test_a_head_performs_the_chosen_voice_and_nothing_is_kept(booth, posed, tmp_path, monkeypatch):
    scene, rig = posed
    played = []

    class Aud:
        def Sound(self, path):
            return SimpleNamespace(limit=lambda *span: played.append((path, *span)))

    def hear(make):
        make(Aud())
        return SimpleNamespace(stop=lambda: played.append("stopped")), ""

    monkeypatch.setattr(recording.playback, "hear", hear)
    before, voice = rig.values(), strip.of_file(scene, str(SAMPLE))
    taken, moved, messages = booth(voice=voice), [], set()

    def look():
        moved.append(np.abs(np.subtract(rig.values(), before)).max())
        messages.add(session.job.step.message)

    assert speak(taken, lambda: taken.spoken > 1 and taken.motion.delay, look) == {"ended": ""}
    (path, since, _), end = played
    assert max(moved) > 0.1 and path == str(SAMPLE) and 0 <= since < 1 and end == "stopped"
    assert any(message.startswith("Playing 0:0") for message in messages)
    assert rig.values() == pytest.approx(before) and not strip.sound_strips(scene)
    assert not (tmp_path / "recordings").exists()


def test_a_voice_that_begins_with_a_pause_is_no_silent_microphone(booth, posed):
    taken = booth(voice=strip.of_file(posed[0], str(SAMPLE)))
    taken.motion.level = {"began": 0.0, "seconds": 5.0, "peak": 0.0}
    taken.heard_at = 0.0
    assert not taken._step(5.0).note


def test_a_render_gives_the_pose_back_and_ends_it(booth, posed):
    scene, rig = posed
    before, taken = rig.values(), booth()
    hear(taken)
    taken._pose()
    assert rig.values() != pytest.approx(before)
    taken._give_way(scene)  # the handler of render_init
    assert rig.values() == pytest.approx(before) and taken.stop_requested
    taken._pose()
    assert rig.values() == pytest.approx(before)
    assert str(taken.trouble).startswith("A render ended the performance: ")
    write_wav(taken.path, np.zeros(480), 48000)


def test_another_file_gives_the_pose_back_and_says_where_the_recording_is(booth, posed, blender):
    taken = booth()
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    while not taken.motion.delay or taken.is_silent:
        session.job.advance()
        time.sleep(0.01)
    with jobs.handled("load_pre", lambda *_: jobs.end_job()):  # as Blender ends the operator
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not recording.is_on()
    assert session.note == f"What was recorded until then is in “{taken.path}”"
    assert os.path.getsize(taken.path) > 10_000
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert session.note == ""


def test_of_two_acts_of_a_line_the_last_is_heard(booth, posed, blender, tmp_path, monkeypatch):
    scene, rig = posed
    wav = write_wav(tmp_path / "spoken.wav", 0.1 * np.ones(48000), 48000)
    music = strip.add(scene, str(wav), "music", 31)
    scene.thunder.cast.add().strip = "music"
    scene.thunder.cast[-1].silent = True
    monkeypatch.setattr(operators.strip, "of_strip", lambda *_: raise_bad_sound())  # no takes
    said, names = [], []
    for _ in range(2):
        scene.frame_set(31)
        taken = booth()
        taken.heard_at = taken.began = 0.0
        taken.motion.level = {"began": 0.0, "seconds": 1.0}
        act = SimpleNamespace(
            recording=taken,
            scene=scene.name,
            warn=said.extend,
            tell=lambda _, text: said.append(text),
        )
        write_wav(taken.path, np.zeros(48000), 48000)
        result = {"path": taken.path, "began": 0.0, "seconds": 1.0, "ended": ""}
        operators.Records.finish(act, blender.context, result)
        names.append(scene.thunder.voice)
    muted = {each.name: each.mute for each in strip.sound_strips(scene)}
    assert muted == {"music": False, names[0]: True, names[1]: False}
    assert f"“{names[0]}” begins there too, and is muted now" in said and not music.mute


def raise_bad_sound():
    raise errors.BadSound("It cannot be read: choose another")


def test_the_microphone_is_chosen_among_those_of_the_system(booth, blender, monkeypatch):
    taken = booth()
    taken.client.request = lambda verb, **args: asked.update(args) or finished
    asked, finished = {}, SimpleNamespace(done=True, error=None, cancel=print)
    chosen = SimpleNamespace(microphone="Desk")
    monkeypatch.setattr(operators.connection, "preferences", lambda: chosen)
    monkeypatch.setattr(operators.connection, "start_client", lambda: taken.client)
    monkeypatch.setattr(operators.connection, "recorder", lambda: None)
    act = SimpleNamespace(make=lambda *_: taken)
    operators.Records.begin(act, blender.context)
    with pytest.raises(errors.NoMicrophone, match="no sound in time"):
        result(taken.steps())
    assert asked["microphone"] == "Desk"


def test_posing_a_head_takes_a_few_milliseconds(posed, blender):
    face, rng, count = LiveHead(*posed), np.random.default_rng(1), len(SPEAKS)
    face.show(SPEAKS)
    spent = time.process_time()
    for _ in range(25):
        face.show(0.3 * rng.random(count))
    assert (time.process_time() - spent) / 25 < 0.008
    face.end()


# ---- lines that are kept


@pytest.fixture
def room(engine_here, blender, tmp_path):
    """Makes a recording of a scene at 25 fps, whose microphone has a fault: room(fault,
    **settings)."""
    scene = blender.context.scene
    scene.render.fps, scene.frame_end = 25, 200
    noise = 0.3 * np.random.default_rng(3).standard_normal(4 * 48000)
    sound = write_wav(tmp_path / "spoken.wav", noise, 48000)

    def make(fault="", **settings):
        for name, value in {"countdown": 0, **settings}.items():
            setattr(scene.thunder.recording, name, value)
        client = Client(engine_with(tmp_path, sound, fault))
        return scene, recording.Recording(client, scene)

    return make


def record(taken, seconds=0.6):
    """What a recording of about so many seconds gives."""
    return speak(taken, lambda: taken.spoken >= seconds)


def heard(scene, added, folder):
    """What a strip plays, as the engine gets it."""
    path = str(folder / "heard.wav")
    progress.result(mixdown.mix_down(strip.of_strip(scene, added), path))
    return np.frombuffer(Path(path).read_bytes()[44:], np.float32)


def test_a_line_begins_at_the_playhead_and_is_packed_into_a_file_without_a_name(room, tmp_path):
    scene, taken = room()
    scene.frame_current = taken.first = 31
    result = record(taken)
    added = recording.lay(scene, taken, result)
    first, last = compat.strip_span(added)
    assert first == 31 and 31 + 0.6 * 25 <= last <= 31 + 1.5 * 25 and added.channel == 1
    assert (
        Path(result["path"]) == tmp_path / "recordings" / "untitled_voice_01.wav"
        and added.sound.packed_file is not None
    )
    assert heard(scene, added, tmp_path).std() > 0.2


def test_a_marked_range_is_filled_above_the_old_line_and_its_handles_reach_the_rest(
    room, tmp_path, blender
):
    scene, _ = room()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot 3.blend"))
    scene = blender.context.scene
    old = strip.add(scene, str(tmp_path / "spoken.wav"), "old", 35)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 40, 59
    scene, taken = room(punch_in=True, countdown=1)
    assert (taken.first, taken.last, taken.begin, taken.hold) == (40, 59, 15, 0)
    result = record(taken, seconds=9)
    added = recording.lay(scene, taken, result)
    assert (
        compat.strip_span(added) == (40, 60) and added.channel == old.channel + 1 and not old.mute
    )
    assert (
        compat.content_start(added) == pytest.approx(40 - 25, abs=2)
        and result["seconds"] > 1 + 20 / 25
    )
    assert added.sound.filepath == "//shot 3_voice_01.wav" and added.sound.packed_file is None
    said = np.frombuffer((tmp_path / "spoken.wav").read_bytes()[44:], "<i2") / 32768
    piece = heard(scene, added, tmp_path)[:4800]
    begin = round((taken.started - result["began"]) * 48000)
    found = int(np.argmax(np.correlate(said, piece)))
    assert abs(found - begin) <= 48, (
        "what plays on the first frame was not said at its time, to a millisecond"
    )
    assert old.mute is False


def test_a_line_begins_with_its_first_frame_though_frames_are_drawn_late(room, monkeypatch):
    scene, _ = room()
    scene.frame_set(31)
    scene, taken = room(countdown=1)
    with monkeypatch.context() as patch:
        patch.setattr(recording.playback, "is_on", lambda: True)
        for frame, drawn in ((6, 40.0), (11, 50.25), (21, 50.61), (31, 51.3)):  # 6: the jump there
            patch.setattr(recording.time, "perf_counter", lambda at=drawn: at)
            scene.frame_set(frame)
            taken._note_frame(scene)
    assert taken.started == pytest.approx(50.61 + 10 / 25)
    result = {"path": taken.path, "began": taken.started - 0.42, "seconds": 2.0}
    write_wav(taken.path, np.zeros(2 * 48000), 48000)
    added = recording.lay(scene, taken, result)
    assert compat.strip_span(added) == (31, 71)
    assert compat.content_start(added) == 31 - 11 and added.sound_offset == pytest.approx(0.02)


def test_who_stops_in_the_countdown_keeps_nothing(room):
    _, taken = room(countdown=5)
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    with pytest.raises(errors.Cancelled, match="before it began"):
        while not session.job.advance():
            if taken.motion.level:
                assert session.job.step.message == "Recording in 5"
                recording.stop()
            time.sleep(0.01)
    jobs.end_job()
    until(lambda: not Path(taken.path).exists(), 10)
    assert not recording.is_on()


def test_an_undo_while_somebody_speaks_loses_nothing(room, blender):
    scene, taken = room()
    blender.context.preferences.edit.use_global_undo = True
    blender.ops.ed.undo_push(message="before")
    scene.frame_step = 3
    blender.ops.ed.undo_push(message="an edit")
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    while taken.spoken < 0.3:
        session.job.advance()
        time.sleep(0.01)
    blender.ops.ed.undo()
    while not session.job.advance():
        if taken.spoken > 0.6:
            recording.stop()
        time.sleep(0.01)
    scene, result = blender.context.scene, session.job.value
    jobs.end_job()
    assert scene.frame_step == 1 and recording.lay(scene, taken, result) is not None


@pytest.mark.parametrize(
    "fault, error, sentence",
    [
        *((fault, errors.NoMicrophone, "") for fault in ("none", "busy", "crash:0")),
        (
            "silent",
            errors.BadRequest,
            "Only silence arrives: check that Blender may use the microphone",
        ),
    ],
)
def test_without_a_microphone_or_with_silence_there_is_a_sentence_and_no_file(
    room, fault, error, sentence, monkeypatch
):
    monkeypatch.setattr(recording, "LISTENED", 0.3)
    _, taken = room(fault)
    with pytest.raises(error, match=sentence):
        record(taken, seconds=0.4)
    until(lambda: not Path(taken.path).exists(), 10)


def test_who_stops_at_once_is_not_told_that_the_microphone_is_silent(room):
    _, taken = room("silent")
    with pytest.raises(errors.Cancelled, match="stopped before anything was heard"):
        record(taken, seconds=0.02)
    until(lambda: not Path(taken.path).exists(), 10)


@pytest.mark.parametrize("space", ["SEQUENCE_EDITOR", "VIEW_3D", None])
def test_a_line_goes_into_the_scene_of_the_sequencer_where_that_is_under_the_mouse(space):
    context = SimpleNamespace(scene="shot", sequencer_scene="edit", space_data=None)
    context.space_data = space and SimpleNamespace(type=space)
    wanted = "edit" if space == "SEQUENCE_EDITOR" else "shot"
    assert operators.scene_of(context) == wanted


# ---- addresses that a file names


FAR = "192.0.2.7"  # for documentation: nobody's


@pytest.fixture
def strange(posed, tmp_path, monkeypatch):
    """The recording's settings of a file that somebody else has saved, on a machine where nobody
    has agreed to anything."""
    monkeypatch.setattr(receivers, "user_folder", lambda name: tmp_path / name)
    monkeypatch.setattr(operators.install, "may_download", lambda: True)
    receivers._agreed.hosts.clear()
    settings = posed[0].thunder.recording
    with monkeypatch.context() as as_it_is_read:
        as_it_is_read.setattr(receivers, "agree", lambda host: None)
        settings.host = FAR
    yield settings
    sender.close()
    receivers._agreed.hosts.clear()


def test_nothing_is_sent_to_an_address_of_a_file_before_the_user_agrees(strange, blender):
    with pytest.raises(RuntimeError, match=f"This file names “{FAR}” to send the face to: press"):
        blender.ops.thunder.send_face()
    assert not sender.heads
    assert blender.ops.thunder.send_face(is_agreed=True) == {"FINISHED"}
    assert blender.ops.thunder.send_face() == {"FINISHED"} and not sender.heads
    receivers._agreed.hosts.clear()  # another session
    assert blender.ops.thunder.send_face() == {"FINISHED"} and sender.heads


def test_who_presses_the_button_is_asked_once(strange, blender, monkeypatch):
    """As a window calls it, which this Blender has not."""
    asked, press = [], operators.THUNDER_OT_send_face.invoke
    monkeypatch.setattr(operators, "confirm", lambda *all: asked.append(all[-1]) or all[0].agree())

    def button():
        pressed = SimpleNamespace(is_agreed=False)
        pressed.execute = lambda context: blender.ops.thunder.send_face(is_agreed=pressed.is_agreed)
        pressed.agree = lambda: pressed.execute(None)  # as Blender does where the user agrees
        return pressed

    for _ in range(3):  # on, off, on
        assert press(button(), blender.context, None) == {"FINISHED"}
    assert sender.heads and len(asked) == 1
    assert asked[0].startswith(f"This file names “{FAR}”, port 39539: the face, and what you")


def test_who_types_an_address_is_not_asked(strange, blender):
    strange.host = "192.0.2.8"
    assert blender.ops.thunder.send_face() == {"FINISHED"} and sender.heads


def test_this_computer_needs_no_question(strange, blender, monkeypatch):
    monkeypatch.setattr(operators.install, "may_download", lambda: False)
    monkeypatch.setattr(receivers, "agree", lambda host: None)
    strange.host = "localhost"
    assert blender.ops.thunder.send_face() == {"FINISHED"} and sender.heads


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"\0" * 99, bytes(2**17)])
def test_a_damaged_list_of_those_agreed_to_asks_again(strange, tmp_path, content):
    (tmp_path / "receivers").mkdir()
    (tmp_path / "receivers" / "receivers.txt").write_bytes(content)
    assert not receivers.is_agreed(FAR)
    receivers.agree(FAR)
    receivers._agreed.hosts.clear()
    assert receivers.is_agreed(FAR)


def test_a_name_that_nobody_has_is_said_in_the_panel(strange, blender, monkeypatch):
    looks = threading.Event()

    def look_up(*_, **__):
        looks.wait(20)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(vmc.socket, "getaddrinfo", look_up)
    strange.host = "studio.invalid"
    began = time.monotonic()
    assert blender.ops.thunder.send_face() == {"FINISHED"}
    [sent] = sender._sent.values()
    assert time.monotonic() - began < 2 and sent.stream.is_looking
    assert sender.task.step() == pytest.approx(0.1)
    looks.set()
    until(lambda: not sent.stream.is_looking)
    assert sender.task.step() is None and not sender.heads
    assert "“studio.invalid” is no computer that can be reached" in sender.trouble
    assert sender.trouble in sidebar.notes(blender.context)
