# SPDX-License-Identifier: GPL-3.0-or-later
"""What was edited is what Listen speaks and what is scored again, a moment later, a little at a
time; a committed line scores as its take did, of the line that is meant, until somebody edits it."""

import os
import sys
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from drawing import draw, Layout
from idle import tick
from performances import clicks, performance, read_wav, set_keys, show_take, trim_start
from played_engine import PlayedClient
from thunder.panels.takes import THUNDER_UL_takes
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.review import checking, listening, live_score, overlay, word_track
from thunder.scene.takes import browsing, dialogue, grades, take_list, take_record
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.scene.voice import fingerprint, mixdown, strip, voice_cache
from thunder.thunder_core import findings, progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.direction import DIRECTION_NAMES
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.findings import Finding, OPEN
from timing import keeps

SECONDS = 3.0


@pytest.fixture
def stage(stage, tmp_path):
    """A scene at 25 fps with our head and a voice from a file: (scene, rig)."""
    scene, _ = stage
    scene.render.fps = 25
    scene.thunder.source, scene.thunder.sound_file = (
        "FILE",
        clicks(tmp_path / "voice.wav", (0.5, 1.5), SECONDS),
    )
    session.notify("file_opened")
    return stage


def show(stage, start=1.0, seconds=SECONDS, **how):
    return show_take(stage, performance(seconds=seconds, **how), start)


def open_jaw(rig, **more):
    """Animation of the animator's own: keys on the jaw, {frame: radians}."""
    keys = {1: 0.0, 20: 0.2, 40: 0.05} | more.get("keys", {})
    set_keys(rig.armature.pose.bones["jaw"], "rotation_euler", keys, 0)


def edit(entry, first, last, to=0.6, channel="mouthPucker"):
    """Put a channel elsewhere on frames first … last, as a hand in the graph editor would."""
    curve = next(
        c
        for action in display.actions_of(entry)
        for c in compat.all_curves(action)
        if channel in c.data_path
    )
    for frame in range(first, last + 1):
        curve.keyframe_points.insert(frame, to)
    for frame in (first - 1, last + 1):
        curve.keyframe_points.insert(frame, 0.3)
    curve.update()


class Engine(PlayedClient):
    """An engine that runs: its score is known."""

    running, answers, total, heard, speaks = True, True, 71.5, 0.41, True

    def __init__(self, folder):
        super().__init__(folder)
        self.seen = []

    def start(self):
        self.running = True

    def _score(self, sound, expression, jaw, **how):
        drift = np.full(len(np.load(jaw)), 88.0, np.float32)
        drift[20:28] = 30.0
        self.seen.append(np.load(expression))
        per_frame = f"{self.folder}/per_frame.npy"
        np.save(per_frame, drift)
        found = findings.record_of([Finding(OPEN, 0.8, 1.08, 4.0, 1.0, "m")] * self.speaks)
        result = {"total": self.total, "parts": {"closures": 0.5}, "per_frame": per_frame, **found}
        result |= {"weights": self.fingerprint, "read": self.heard, "speaks": self.speaks}
        return [{"event": "done", "result": result}] if self.answers else []

    def _listen(self, out, expression, **how):
        self.seen.append(np.load(expression))
        clicks(out, (0.05,), len(self.seen[-1]) / 25)
        return [{"event": "done", "result": {}}]


@pytest.fixture
def engine(play, tmp_path):
    (tmp_path / "engine").mkdir()
    return play(Engine(tmp_path / "engine"))


def run():
    """Steps of the scoring as the timer takes them when it is quiet; processor seconds of each."""
    spent, end = [], time.monotonic() + 60
    while True:
        start = time.thread_time()  # not the process's: the voice is read in a thread of its own
        wait = live_score.live.step()
        spent.append(time.thread_time() - start)
        if wait is None:
            live_score.live.task.stop()
            return spent
        assert time.monotonic() < end, live_score.live.why_failed
        time.sleep(0.005)


def score_now():
    """Score as soon as it is quiet; processor seconds of each step."""
    live_score.live.score_soon()
    return run()


def run_until_asked(engine, times):
    end = time.monotonic() + 60
    while len(engine.asked) < times:
        live_score.live.step()
        assert time.monotonic() < end
        time.sleep(0.005)


# ---- what Listen speaks


def heard_frames(stage, engine, tmp_path, first=1, last=75, edited=True):
    scene, rig = stage
    steps = listening.speak(
        engine, scene, rig, None, first, last, str(tmp_path / "out.wav"), edited
    )
    frames = jobs.run_through("Listening", steps)
    assert engine.asked[-1][0] == "listen"
    return frames, len(engine.seen[-1])


def test_a_face_that_does_not_move_is_not_heard_and_says_so(blender, stage, engine, tmp_path):
    with pytest.raises(BadRequest, match="does not move on frames 1–75: show a take or animate"):
        heard_frames(stage, engine, tmp_path)
    assert not engine.asked


def test_the_edited_frames_are_heard_and_no_others(blender, stage, engine, tmp_path):
    entry = show(stage)
    assert heard_frames(stage, engine, tmp_path)[0] == (1, 75)  # all the first time
    edit(entry, 30, 34)
    (first, last), frames = heard_frames(stage, engine, tmp_path)
    assert 17 <= first <= 21 and 43 <= last <= 48 and frames == last - first + 1
    # heard once, a later edit alone is heard the next time
    edit(entry, 60, 61)
    (first, last), _ = heard_frames(stage, engine, tmp_path)
    assert 47 <= first <= 51 and 70 <= last <= 75
    # and all where nothing was edited since
    assert heard_frames(stage, engine, tmp_path)[0] == (1, 75)


def test_ten_seconds_of_keys_are_read_for_the_engine_in_a_quarter_of_a_second(
    blender, stage, engine, tmp_path
):
    """With what it takes to speak (`test_ten_seconds_are_heard_in_a_quarter_of_a_second`) an edit is heard in half of
    one."""
    entry = show(stage, seconds=10.0)
    heard_frames(stage, engine, tmp_path, last=250)
    edit(entry, 30, 34)
    spent = []
    for edited in (True, False):
        start = time.thread_time()
        heard_frames(stage, engine, tmp_path, last=250, edited=edited)
        spent.append(time.thread_time() - start)
    keeps(0.25, spent, "ten seconds of keys read for the engine")


def test_animation_of_the_animators_own_is_heard_where_it_was_edited(
    blender, stage, rig, engine, tmp_path
):
    open_jaw(rig, keys={75: 0.1})
    # the first time nobody knows what is new
    assert heard_frames(stage, engine, tmp_path)[0] == (1, 75)
    curve = next(c for c in compat.curves_for(rig.armature))
    for point in curve.keyframe_points:
        point.interpolation = "LINEAR"
    heard_frames(stage, engine, tmp_path)
    next(k for k in curve.keyframe_points if k.co[0] == 40).co[1] = 0.3
    curve.update()
    first, last = heard_frames(stage, engine, tmp_path)[0]
    assert 8 <= first <= 12 and last == 75  # the segments on either side of the key


@pytest.fixture
def sequence(needs_sound, blender, scene, tmp_path):
    """The scene with its voice as a strip, heard from frame 1: (scene, voice strip)."""
    voice = strip.add(scene, clicks(tmp_path / "line.wav", (0.5,), SECONDS), "voice", 1)
    scene.thunder.source = "STRIP"
    return scene, voice


@pytest.fixture
def listen(sequence, rig, tmp_path):
    """Lays generated speech beside the voice, as Listen does; its strip."""
    heard = clicks(tmp_path / "heard.wav", (0.25,), 1.0)
    return lambda start=4: listening.place(sequence[0], heard, listening.name_of(rig.mesh), start)


def test_one_button_flips_between_the_original_and_what_was_heard(
    blender, sequence, listen, tmp_path
):
    _, voice = sequence
    assert not blender.ops.thunder.original.poll()
    listened = listen()
    assert (listened.mute, voice.mute) == (True, False)
    assert blender.ops.thunder.original() == {"FINISHED"}
    assert (listened.mute, voice.mute) == (False, True)
    # it stays the voice: takes can be generated
    assert strip.find(blender.context).strip == "voice"
    progress.result(mixdown.mix_down(strip.find(blender.context), str(tmp_path / "mixed.wav")))
    assert np.abs(read_wav(tmp_path / "mixed.wav")[0]).max() > 0.3  # and is heard by the engine
    blender.ops.thunder.original()
    assert (listened.mute, voice.mute) == (True, False)
    blender.ops.thunder.original(to="HEARD")
    blender.ops.thunder.original(to="HEARD")
    assert (listened.mute, voice.mute) == (False, True)
    listen(9)
    assert not voice.mute  # a new Listen begins with the original


@pytest.fixture
def flipped(blender, sequence, listen):
    """The scene while generated speech plays instead of the voice: (scene, voice, speech)."""
    speech = listen()
    blender.ops.thunder.original(to="HEARD")
    return *sequence, speech


def test_a_saved_file_plays_the_voice_and_so_does_one_of_an_earlier_version(
    blender, flipped, tmp_path
):
    path = str(tmp_path / "saved.blend")
    handlers = blender.app.handlers
    for saves in (True, False):  # as before: nothing was restored
        if not saves:
            blender.ops.thunder.original(to="HEARD")
            handlers.save_pre.remove(listening._before_saving)
        blender.ops.wm.save_as_mainfile(filepath=path)
        if not saves:
            handlers.save_pre.append(listening._before_saving)
        blender.ops.wm.open_mainfile(filepath=path)
        strips = compat.strips(blender.context.scene.sequence_editor)
        assert [each.mute for each in strips] == [
            each.name.startswith(strip.LISTEN_MARK) for each in strips
        ]


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_heard_goes_on_after_the_file_was_saved(blender, flipped, tmp_path, fails):
    _, voice, speech = flipped
    path = tmp_path / ("no folder" if fails else "") / "saved.blend"
    if fails:
        with pytest.raises(RuntimeError):
            blender.ops.wm.save_as_mainfile(filepath=str(path))
    else:
        blender.ops.wm.save_as_mainfile(filepath=str(path))
    assert (speech.mute, voice.mute) == (False, True) and blender.ops.thunder.original.poll()
    for stopped in blender.app.handlers.animation_playback_post:  # in a window: `tests/gui`
        stopped(blender.context.scene, None)
    assert (speech.mute, voice.mute) == (True, False) and strip.FLIPPED not in voice


def test_an_undo_while_generated_speech_plays_brings_the_voice_back(blender, flipped):
    scene, *_ = flipped
    blender.ops.ed.undo_push(message="Listen")
    scene.frame_start = 5
    blender.ops.ed.undo_push(message="Edit")
    blender.ops.ed.undo()
    (voice,) = strip.sound_strips(blender.context.scene)
    assert not voice.mute


def test_generated_speech_follows_its_voice(needs_sound, blender, rig, sequence, engine):
    scene, voice = sequence
    entry = show((scene, rig))
    assert blender.ops.thunder.listen() == {"FINISHED"}
    fingerprint.remember(entry.action, strip.of_strip(scene, voice).state)
    entry.voice = voice.name
    speech = strip.by_name(scene, listening.name_of(rig.mesh))
    start = compat.content_start(speech)
    strip.move(voice, 25)
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert compat.content_start(speech) == start + 24
    trim_start(voice, 20)
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert strip.by_name(scene, listening.name_of(rig.mesh)) is None


def test_a_voice_that_the_animator_muted_stays_muted(blender, sequence, listen):
    _, voice = sequence
    listened, voice.mute = listen(), True
    blender.ops.thunder.original()
    blender.ops.thunder.original()
    assert voice.mute and listened.mute
    with pytest.raises(Exception, match="is muted"):
        strip.find(blender.context)


def test_a_blender_without_sound_says_so_instead_of_playing(blender, sequence, monkeypatch):
    monkeypatch.setitem(sys.modules, "aud", None)  # its import fails
    speech, voice = SimpleNamespace(), SimpleNamespace(strip="", path="voice.wav", scene="")
    monkeypatch.setattr(listening, "listening_strip", lambda context: (None, speech))
    monkeypatch.setattr(strip, "current", lambda context: voice)
    assert "without sound" in listening.play_both(blender.context, 0.0, 1.0)


def test_the_waveform_of_a_voice_is_read_once_and_anew_when_it_changes(blender, stage, sequence):
    scene, voice = sequence
    voice_cache.cache.file_opened()

    def waveform():
        return voice_cache.read(scene, strip.find(blender.context))

    first = waveform()
    strip.move(voice, 30)  # where it lies is not how it sounds
    assert waveform() is first
    trim_start(voice, 20)
    second = waveform()
    assert second is not first
    second.thread.join()
    assert len(second.peaks) == pytest.approx((SECONDS - 20 / 25) * 100, abs=2)
    voice_cache.cache.file_opened()


# ---- scores that follow edits


def test_an_edit_is_scored_when_it_is_quiet(blender, stage, engine):
    """Unedited it keeps its score: read back from its keys it would score a little less, and fall in
    the list because somebody looked at it."""
    entry = show(stage, score=80.0)
    take_record.store_sync(entry.action, np.full(75, 80.0, np.float32))
    score_now()
    assert not engine.asked and entry.score == pytest.approx(80.0)
    edit(entry, 30, 34)
    before = live_score.live.version
    live_score.live.score_soon()
    # while a key is dragged nothing is scored
    assert 0 < tick() <= live_score.QUIET_SECONDS and not engine.asked
    run()
    assert live_score.live.version == before + 1 and [verb for verb, _ in engine.asked] == ["score"]
    assert entry.score == pytest.approx(71.5) and grades.parts_of(entry) == {"closures": 0.5}
    grade = grades.of_take(entry)
    assert (grade.name, grade.spans) == ("check", ((21, 28),)) and grade.reason.endswith("apart")
    drift = take_record.sync_of(entry.action)
    assert len(drift) == 75 and drift[22] == pytest.approx(30)
    scored = engine.seen[0]
    column = head.channel_names().index("mouthPucker")
    assert scored[31, column] == pytest.approx(0.6, abs=0.01) and scored[
        10, column
    ] == pytest.approx(0.3, abs=0.01)
    assert live_score.opening(entry.action)[1].shape == (75,)
    assert take_record.is_edited(entry)  # the score is not an edit, and hides none
    assert [name for name in os.listdir(engine.folder) if name.startswith("array")] == []


def test_an_edited_take_is_scored_in_the_direction_that_it_was_sampled_in(blender, stage, engine):
    entry = show(stage, score=80.0)
    requested = np.zeros((75, len(DIRECTION_NAMES)), np.float32)
    requested[:, 0] = np.linspace(-0.5, 0.5, 75)
    record = entry.action[keying.PROPERTY]
    record["direction"], record["reading"] = requested.ravel().tolist(), requested.mean(0).tolist()
    record["spread"], record["as_asked"], record["quality"] = 0.3, False, "normal"
    edit(entry, 30, 34)
    score_now()
    sent = engine.asked[0][1]
    assert engine.arrays[sent["direction"]] == pytest.approx(requested)
    assert (
        sent["spread"] == pytest.approx(0.3)
        and sent["as_asked"] is False
        and sent["seed"] == entry.seed
    )
    other = show(stage, score=80.0, seed=9)  # which does not say how it is played
    edit(other, 30, 34)
    score_now()
    assert len(engine.asked) == 2 and "direction" not in engine.asked[1][1]


def test_a_score_survives_saving_and_is_no_undo_step(blender, stage, engine, tmp_path):
    entry = show(stage, score=80.0)
    blender.ops.ed.undo_push(message="shown")
    edit(entry, 30, 34)
    blender.ops.ed.undo_push(message="edit")
    score_now()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scored.blend"), copy=True)
    blender.ops.ed.undo()
    # of the take before the edit
    assert blender.context.scene.thunder.takes[0].score == pytest.approx(80.0)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "scored.blend"))
    entry = blender.context.scene.thunder.takes[0]
    assert entry.score == pytest.approx(71.5) and take_record.sync_of(entry.action)[
        22
    ] == pytest.approx(30)


def test_an_undo_or_an_edit_breaks_the_scoring_off(blender, stage, engine):
    entry = show(stage, score=80.0)
    engine.answers = False
    live_score.live.score_soon()
    run_until_asked(engine, 1)
    assert live_score.live.is_running
    live_score.live.stop()  # as before each undo
    assert (
        not live_score.live.is_running
        and engine.requests[0].cancelled
        and entry.score == pytest.approx(80.0)
    )
    live_score.live.score_soon()
    run_until_asked(engine, 2)
    live_score.live.score_soon()  # a further edit
    assert engine.requests[1].cancelled and tick() > 0
    live_score.live.stop()


def test_scoring_takes_small_slices(blender, stage, scene, engine, tmp_path):
    scene.render.fps = 60
    scene.thunder.sound_file = clicks(tmp_path / "long.wav", (0.5,), 60.0)
    show(stage, seconds=60)
    spent = score_now()
    assert len(engine.asked) == 1 and len(engine.seen[0]) == 1500
    keeps(0.05, spent, "steps of scoring a minute")


def test_nothing_is_scored_where_it_would_step_the_scene_wake_an_engine_or_is_switched_off(
    blender, stage, scene, rig, engine
):
    """With an NLA or constraints only the scene itself tells the pose: that is for Listen, on
    demand."""
    scene.frame_set(33)
    open_jaw(rig)
    engine.running = False
    score_now()
    assert not engine.running
    engine.running = True
    constraints = rig.armature.pose.bones["neck"].constraints
    limit = constraints.new("LIMIT_SCALE")
    score_now()
    constraints.remove(limit)
    show(stage)
    scene.thunder.live_score = False
    score_now()
    assert scene.frame_current == 33 and not engine.asked


def test_what_moves_no_head_is_not_scored_nor_a_listener_that_was_committed(
    blender, stage, scene, rig, engine, monkeypatch
):
    entry, asked = show(stage), []
    monkeypatch.setattr(live_score.live, "score_soon", lambda: asked.append(True))
    window = SimpleNamespace(app=SimpleNamespace(background=False), data=bpy.data)
    monkeypatch.setattr(live_score, "bpy", window)
    live_score.live.actions_edited(scene, {bpy.data.actions.new("a door").session_uid})
    assert not asked
    live_score.live.actions_edited(scene, {entry.action.session_uid})
    assert asked
    monkeypatch.setattr(live_score, "bpy", bpy)
    entry.role = "LISTENS"
    assert progress.result(live_score.points_lost(scene, rig, entry)) is None and not engine.asked


# ---- a verdict, and keys that were edited after it


VERDICTS, LIST = ["Good", "Check"], "THUNDER_UL_findings"


def greyed():
    """Which of verdict and list of findings is greyed in the panel: its sentences always are."""
    texts = draw(bpy.types.THUNDER_PT_listen, bpy.context).greyed
    return [each for each in texts if each in (*VERDICTS, LIST)]


def row_of(entry):
    """The greyed texts of a take's row."""
    layout = Layout()
    THUNDER_UL_takes.draw_item(None, bpy.context, layout, None, entry, 0, None, "", 0)
    return layout.greyed


def tell_edited(entry):
    """Blender tells that keys of a take were edited; a moment later the list knows which."""
    uid = entry.action.session_uid
    session.notify("actions_edited", bpy.context.scene, {uid})
    while browsing.watch.waiting:
        browsing.watch._step()


def test_a_verdict_is_greyed_from_an_edit_until_the_take_is_scored_again(
    blender, stage, scene, engine
):
    scene.thunder.live_score = False
    entry = show(stage, score=80.0)
    tell_edited(entry)
    assert not row_of(entry) and not greyed()
    for last in (34, 36):  # also an edit after it was scored again
        edit(entry, 30, last, to=0.6 + last / 100)
        tell_edited(entry)
        assert row_of(entry) in (["good"], ["check"]) and len(greyed()) == 1
        assert "Its keys were edited, after it was scored" in entry.tooltip
        scene.thunder.live_score = True
        score_now()
        scene.thunder.live_score = False
        tell_edited(entry)
        assert not row_of(entry) and not greyed()
        assert entry.tooltip.endswith("Its keys were edited")
    copy = scene.thunder.takes[take_list.duplicate(scene, 0)]
    tell_edited(copy)
    assert not row_of(copy), "a copy has its verdict"


def test_a_check_that_tolerates_more_asks_the_engine_and_is_no_verdict(
    blender, stage, scene, rig, engine
):
    open_jaw(rig)
    score_now()
    engine.total, checked = 95.0, scene.thunder_check
    for take, total in ((False, 71.5), (True, 80.0)):
        if take:
            take_record.store_sync(show(stage, score=total).action, np.full(75, total, np.float32))
        checked.tolerance = "SNAPPY"
        progress.result(checking.check(engine, scene, rig))
        assert engine.asked[-1][1]["tolerance"] == "snappy" and len(checked.findings) == 1
        assert live_score.shown_score(scene, rig).total == pytest.approx(total)
    checked.tolerance = "REALISTIC"
    progress.result(checking.check(engine, scene, rig))
    assert not checked.findings, "of a take in sync, what its score found"


def test_check_says_that_nobody_speaks_on_a_strip(blender, stage, scene, rig, engine):
    engine.speaks = False
    with pytest.raises(BadRequest, match="Nobody speaks in .*: there is nothing that lips could"):
        progress.result(checking.check(engine, scene, rig))


def test_check_quotes_mesh_to_speech_on_keys_by_hand(blender, stage, scene, rig, engine):
    open_jaw(rig)
    progress.result(checking.check(engine, scene, rig))
    sentence = "Read by mesh-to-speech: little, 41% of what a mouth made for this voice gives"
    assert scene.thunder_check.read == sentence
    notes = draw(bpy.types.THUNDER_PT_listen, bpy.context).notes
    assert sentence in " ".join(how.get("text", "") for *_, how in notes)
    engine.heard = -1.0
    progress.result(checking.check(engine, scene, rig))
    assert scene.thunder_check.read == "", "nothing is said where the tongue stands still"


def test_a_verdict_on_the_animators_own_animation_is_greyed_from_an_edit_on(
    blender, stage, scene, rig, engine
):
    open_jaw(rig)
    score_now()
    scene.thunder.live_score = False
    progress.result(checking.check(engine, scene, rig))
    assert not greyed()
    action = live_score.animator_action(rig)
    session.notify("actions_edited", scene, {action.session_uid + 1})
    assert not greyed(), "another one was"
    session.notify("actions_edited", scene, {action.session_uid})
    assert not greyed(), "its keys stayed"
    key = compat.all_curves(action)[0].keyframe_points[0]
    before = key.co.y
    for value, texts in ((before + 0.1, ["Check", LIST]), (before, []), (0.3, ["Check", LIST])):
        key.co.y = value
        session.notify("actions_edited", scene, {action.session_uid})
        assert greyed() == texts
    progress.result(checking.check(engine, scene, rig))
    assert not greyed(), "what Check finds is the verdict too"


def test_a_voice_that_moved_has_no_verdict_until_it_is_scored_again(
    blender, stage, scene, rig, engine, monkeypatch
):
    open_jaw(rig)
    assert live_score.shown_score(scene, rig) is None
    score_now()
    measured = live_score.shown_score(scene, rig)
    assert measured.total == pytest.approx(71.5) and measured.grade.spans == ((21, 28),)
    voice = strip.current(blender.context)
    moved = replace(voice, state=replace(voice.state, origin=voice.state.origin + 30))
    monkeypatch.setattr(strip, "current", lambda context: moved)
    assert live_score.shown_score(scene, rig) is None


def test_what_is_found_moves_with_the_beginning_of_a_take():
    answer = {"total": 71.5, **findings.record_of([Finding(OPEN, 0.8, 1.08, 4.0, 1.0, "m")])}
    moved = grades.move_findings(answer, -0.5)
    (found,) = findings.findings_of(moved)
    assert moved["total"] == 71.5 and (found.start, found.end) == pytest.approx((0.3, 0.58))


def test_looking_at_a_take_is_no_edit_of_the_animation_below(blender, stage, scene, rig, engine):
    open_jaw(rig)
    entry = show(stage)
    display.restore_animation(rig)
    progress.result(checking.check(engine, scene, rig))
    score_now()
    for frame in (5, 50):
        display.show(rig, entry)
        scene.frame_set(frame)
        display.restore_animation(rig)
        scene.frame_set(frame + 1)
    assert not checking.is_outdated(scene.thunder_check, rig) and not live_score.is_outdated(
        scene, rig
    )
    bone = rig.armature.pose.bones["jaw"]
    bone.keyframe_insert("rotation_euler", index=0, frame=60)
    blender.context.view_layer.update()
    assert checking.is_outdated(scene.thunder_check, rig) and live_score.is_outdated(scene, rig)


# ---- what a committed line scores


@pytest.fixture
def entry(blender, needs_sound, stage, scene, rig, tmp_path):
    """A head and two lines at 25 fps, a take of the first shown: its entry."""
    scene.thunder.source, scene.thunder.sound_file = "STRIP", ""
    for name, start in (("one", 1), ("two", 126)):
        strip.add(scene, clicks(tmp_path / f"{name}.wav", (0.5, 1.5), SECONDS), name, start)
    dialogue.select(blender.context, "one")
    entry = show_take(stage, performance(seconds=SECONDS, score=80.0), 1.0, "one")
    take_record.store_sync(entry.action, np.full(75, 80.0, np.float32))
    live_score.live.animation_scores.clear()
    return entry


def commit(scene, rig, entry, to="NEW"):
    scene.thunder.commit.to = to
    return progress.result(committing.commit(rig, entry, entry.voice, choice_of(scene, entry)))


def score(scene, rig):
    score_now()
    return live_score.shown_score(scene, rig)


@pytest.mark.one_blender
def test_an_edit_of_a_committed_line_moves_its_score_by_what_it_changes(
    blender, entry, scene, rig, engine, tmp_path
):
    engine.total = 60.0
    commit(scene, rig, entry)
    assert score(scene, rig).total == pytest.approx(80.0)  # that of its take
    edit(SimpleNamespace(action=live_score.animator_action(rig), more=()), 30, 34)
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20)
    live_score.live.animation_scores.clear()  # as in a later session
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20)


@pytest.mark.one_blender
def test_each_committed_line_has_its_score_and_none_against_another_voice(
    blender, entry, scene, rig, engine
):
    commit(scene, rig, entry)
    dialogue.select(blender.context, "two")
    live_score.request_score(scene, rig)
    assert score(scene, rig) is None and not engine.asked
    live_score.request_score(scene, rig)
    live_score.live.stop()
    assert live_score.live.why_failed.startswith("“two” is not committed: go to a line")
    dialogue.select(blender.context, "one")
    assert score(scene, rig).total == pytest.approx(80.0)
    other = show_take((scene, rig), performance(SECONDS, score=66.0, seed=3), 126.0, "two")
    commit(scene, rig, other, to="COPY")
    for name, total in (("two", 66.0), ("one", 80.0)):
        dialogue.select(blender.context, name)
        assert live_score.shown_score(scene, rig) is None
        assert score(scene, rig).total == pytest.approx(total)
    dialogue.select(blender.context, "two")
    assert live_score.shown_score(scene, rig).total == pytest.approx(66.0)


@pytest.mark.one_blender
def test_what_is_committed_to_a_strip_is_known_and_says_why_it_has_no_score(
    blender, entry, scene, rig, engine
):
    assert committing.committed_lines(rig.mesh) == set()  # it has takes, which is something else
    commit(scene, rig, entry, to="STRIP")
    assert committing.committed_lines(rig.mesh) == {"one"}
    assert (
        live_score.animator_action(rig) is None
        and live_score.why_none(rig)
        == "This animation is in NLA strips: press Hear the Lips to score it"
    )
    progress.result(live_score.score_steps(engine, scene, rig))
    assert (
        live_score.shown_score(scene, rig).total == pytest.approx(71.5)
        and live_score.why_none(rig) == ""
    )
    display.show(rig, entry)
    assert committing.committed_lines(rig.mesh) == {"one"}  # also while a take is shown over it
    display.restore_animation(rig)
    live_score.live.animation_scores.clear()
    for target in rig.targets:
        for track in target.animation_data.nla_tracks:
            track.mute = True
    assert live_score.why_none(rig) == ""


def test_the_curves_are_of_the_shown_take_its_voice_and_its_score(blender, stage):
    take_record.store_sync(show(stage, score=80.0).action, np.full(75, 80.0, np.float32))
    overlay.content_of(blender.context)
    voice_cache.cache.file_opened()  # waits for the voice
    content = overlay.content_of(blender.context)
    assert len(content.opening) == 75 and content.score.total == pytest.approx(80.0)


@pytest.mark.parametrize("fps", [25.0, 48.0])
def test_curves_over_the_editors_lie_where_their_sound_plays_at_any_rate(monkeypatch, fps):
    """Mouth, waveform, lip-sync and what is found of second 1 are drawn on its frame."""
    drawn = {}

    def add(self, kind, points, colors):
        color = colors if isinstance(colors, tuple) else "lip-sync"
        drawn[color] = np.array(points)
        if color == "lip-sync":
            drawn["red"] = colors[:, 0]

    monkeypatch.setattr(overlay._OverlayPicture, "add", add)
    monkeypatch.setattr(word_track.gpu.shader, "from_builtin", lambda name: None)
    peaks, opening, score = np.zeros((200, 2)), np.zeros(50), np.full(50, 100.0)
    peaks[100:104], opening[25], score[25] = (-1.0, 1.0), 9.0, 0.0
    shown = SimpleNamespace(
        per_frame=score,
        clock=timing.Clock(11.0, fps),
        grade=SimpleNamespace(spans=[(11 + fps, 11 + fps)]),
    )
    content = overlay._Content((), peaks, 11.0, opening, 11.0, shown, fps)
    overlay._OverlayPicture(content, 11.0, 11.0 + 2 * fps, 2000, 58.0, 1.0)
    places = [
        drawn[overlay._MOUTH_LINE][:, 1].argmax(),
        drawn[overlay._VOICE][1::2, 1].argmax(),
        drawn["red"].argmax(),
        0,
    ]
    rows = [
        drawn[overlay._MOUTH_LINE],
        drawn[overlay._VOICE][1::2],
        drawn["lip-sync"],
        drawn[overlay._DRIFT_FILL].mean(0)[None],
    ]
    assert [row[place, 0] for row, place in zip(rows, places)] == pytest.approx([1000] * 4, abs=12)


def test_the_loudness_beside_a_take_follows_its_strip(blender, stage, sequence):
    """Of a strip that was trimmed and moved: no sound where it is cut, the rest where it was."""
    scene, voice = sequence
    entry = show_take(stage, performance(), voice=voice.name)
    fingerprint.remember(entry.action, strip.find(blender.context).state)
    loudness = partial(voice_cache.loudness_of_take, scene)

    def levels():
        return progress.result(loudness(strip.find(blender.context), entry))

    before = levels()
    trim_start(voice, 10)
    strip.move(voice, 30)
    assert before[12] > 0.1 and np.abs(levels()[:10]).max() == 0.0
    assert levels()[10:] == pytest.approx(before[10:], abs=0.02)
