# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice that moves, is trimmed, replaced or retimed marks its takes, and Re-sync makes them fit it again."""

import numpy as np
import pytest
from performances import key, performance, write_wav
from played_engine import PlayedClient

SECONDS = 4.0
LEAD_IN, LEAD_OUT = 10, 13  # frames of a take before and after its sound, at 25 fps


@pytest.fixture
def line(blender, room, core, tmp_path):
    """A scene with the bundled head, a strip at frame 11 and two takes of it: (scene, rig, strip, client)."""
    strip = room("scene.voice.strip")
    if not strip.has_audio():
        pytest.skip("this bpy wheel was built without sound")
    blender.ops.thunder.add_head()
    scene = blender.context.scene
    scene.render.fps = 25
    rng = np.random.default_rng(0)
    path = write_wav(tmp_path / "line.wav", 0.3 * rng.standard_normal(int(16000 * SECONDS)))
    found = strip.add(scene, path, "line", 11)
    rig = room("scene.heads.head").find(scene)
    for seed in (1, 2):
        enter(room, core, scene, rig, found, seed)
    return scene, rig, found, PlayedClient(room, core, tmp_path)


def enter(room, core, scene, rig, found, seed):
    made = performance(room, core, seconds=SECONDS, closed_at=(1.0, 2.0), seed=seed)
    voice = room("scene.voice.strip").of_strip(scene, found)
    actions = key(room, rig, made, voice.clock, f"line · seed {seed}")
    entry = room("scene.takes.take_list").add_to_list(scene, rig, actions, made, "line", voice.clock)
    state = room("scene.voice.fingerprint")
    state.remember(entry.action, state.of_voice(scene, voice))
    return entry


def kinds(room, scene):
    return [changed.kind for _, changed in room("scene.voice.fingerprint").stale(scene)]


def resync(room, scene, client):
    return room("thunder_core.progress").result(room("scene.takes.resync").resync(client, scene))


def jaw(room, entry):
    """(frames, radians) of the jaw's keys of a take."""
    curve = next(c for c in room("scene.host.compat").all_curves(entry.action) if "jaw" in c.data_path and c.array_index == 0)
    return np.array([tuple(key.co) for key in curve.keyframe_points]).T


def test_a_voice_as_it_was_leaves_its_takes_alone(room, line):
    scene, _, found, client = line
    found.volume, found.channel = 0.5, 3  # where it lies and how loud it is does not move a lip
    assert kinds(room, scene) == [] and resync(room, scene, client) == []


@pytest.mark.parametrize("frames", [12, -20])
def test_a_moved_strip_takes_its_keys_along_to_the_bit(room, line, frames):
    scene, _, found, client = line
    before = jaw(room, scene.thunder.takes[0])
    first = scene.thunder.takes[0].first
    room("scene.voice.strip").move(found, 11 + frames)
    assert kinds(room, scene) == ["MOVED", "MOVED"]
    assert resync(room, scene, client) == ["MOVED", "MOVED"]
    assert kinds(room, scene) == [] and client.asked == []
    after = jaw(room, scene.thunder.takes[0])
    assert np.array_equal(after[0], before[0] + frames) and np.array_equal(after[1], before[1])
    entry = scene.thunder.takes[0]
    assert entry.first == first + frames and not room("scene.takes.provenance").is_edited(entry)
    assert room("scene.takes.provenance").clock_of(entry.action).start == 11 + frames


def test_an_edited_take_moves_with_its_edits(room, line):
    scene, _, found, client = line
    entry = scene.thunder.takes[0]
    curve = next(c for c in room("scene.host.compat").all_curves(entry.action) if "jaw" in c.data_path and c.array_index == 0)
    curve.keyframe_points[40].co[1] = 0.33
    curve.update()
    room("scene.voice.strip").move(found, 31)
    resync(room, scene, client)
    assert jaw(room, entry)[1][40] == pytest.approx(0.33) and jaw(room, entry)[0][40] == 1 + 40 + 20
    assert room("scene.takes.provenance").is_edited(entry) and len(scene.thunder.takes) == 2


def test_the_sliders_of_a_shaped_take_go_on_working_after_a_move(room, line):
    scene, rig, found, client = line
    shaping = room("scene.takes.shape")
    entry = scene.thunder.takes[0]
    room("scene.animation.display").show(rig, entry)
    neutral = jaw(room, entry)
    entry.action.thunder_shape.jaw = 0.5
    halved = jaw(room, entry)
    assert shaping.is_shaped(entry.action) and np.abs(halved[1]).max() < 0.75 * np.abs(neutral[1]).max()
    room("scene.voice.strip").move(found, 41)
    assert resync(room, scene, client) == ["MOVED", "MOVED"]
    moved = jaw(room, entry)
    assert np.array_equal(moved[0], halved[0] + 30) and np.abs(moved[1] - halved[1]).max() < 1e-6
    entry.action.thunder_shape.jaw = 1.0
    back = jaw(room, entry)
    assert np.array_equal(back[0], neutral[0] + 30) and np.array_equal(back[1], neutral[1])


def test_a_trimmed_strip_cuts_its_takes(room, line):
    scene, rig, found, client = line
    room("scene.animation.display").show(rig, scene.thunder.takes[1])
    whole = jaw(room, scene.thunder.takes[0])
    compat = room("scene.host.compat")
    compat.trim_start(found, 20)
    compat.trim_end(found, 10)
    assert compat.strip_span(found) == (31, 101)
    assert kinds(room, scene) == ["CUT", "CUT"]
    assert resync(room, scene, client) == ["CUT", "CUT"] and client.asked == []
    entry = scene.thunder.takes[0]
    cut = jaw(room, entry)
    assert (entry.first, entry.last) == (31, 100)
    assert cut[0][0] == 31 - LEAD_IN and cut[0][-1] == 100 + LEAD_OUT
    assert np.abs(whole[1][np.isin(whole[0], np.arange(31, 101))] - cut[1][LEAD_IN:-LEAD_OUT]).max() < 1e-6
    assert cut[1][0] == cut[1][-1] == 0.0  # it was cut in the middle of a word: the mouth comes from rest and returns
    assert kinds(room, scene) == [] and scene.thunder.active_take == 1 and len(scene.thunder.takes) == 2
    assert [entry.name for entry in scene.thunder.takes] == ["Take 1", "Take 2"]
    assert len([a for a in room("scene.host.compat").bpy.data.actions if a.name.startswith("line · ")]) == 2


def test_a_strip_that_was_cut_in_two_is_still_one_voice(blender, room, line):
    scene, _, found, client = line
    compat = room("scene.host.compat")
    strips = compat.strips(scene.sequence_editor)
    half = strips.new_sound("line.001", found.sound.filepath, found.channel + 1, 11)
    if half.sound != found.sound:
        half.sound = found.sound
    compat.trim_start(half, 50)
    compat.trim_end(found, compat.strip_span(found)[1] - 61)
    assert compat.strip_span(found)[1] == compat.strip_span(half)[0] == 61
    assert kinds(room, scene) == []
    strips.remove(half)
    assert kinds(room, scene) == ["CUT", "CUT"]


def test_pieces_that_got_takes_of_their_own_are_not_missed_by_each_other(blender, room, core, line):
    scene, rig, found, client = line
    compat = room("scene.host.compat")
    while scene.thunder.takes:
        scene.thunder.takes.remove(0)
    half = compat.strips(scene.sequence_editor).new_sound("line.001", found.sound.filepath, found.channel + 1, 11)
    if half.sound != found.sound:
        half.sound = found.sound
    compat.trim_start(half, 50)
    compat.trim_end(found, compat.strip_span(found)[1] - 61)
    for each in (found, half):
        voice = room("scene.voice.strip").of_strip(scene, each)
        made = performance(room, core, seconds=2.0, closed_at=(1.0,))
        entry = room("scene.takes.take_list").add_to_list(scene, rig, key(room, rig, made, voice.clock), made, each.name, voice.clock)
        room("scene.voice.fingerprint").remember(entry.action, room("scene.voice.fingerprint").of_voice(scene, voice))
    assert kinds(room, scene) == []
    compat.trim_end(half, 5)
    assert kinds(room, scene) == ["CUT"]


def test_a_mixed_take_is_kept_when_another_sound_needs_another_take(room, line, tmp_path):
    scene, _, found, client = line
    scene.thunder.takes[0].kind = "MIXED"
    mixed = scene.thunder.takes[0].action
    write_wav(tmp_path / "line.wav", 0.3 * np.random.default_rng(6).standard_normal(int(16000 * SECONDS)))
    resync(room, scene, client)
    assert [entry.kind for entry in scene.thunder.takes] == ["SAMPLED", "MIXED", "SAMPLED"]
    assert scene.thunder.takes[1].action == mixed and kinds(room, scene) == []


def test_what_is_heard_in_addition_alone_is_sampled(room, core, line):
    scene, rig, found, client = line
    compat = room("scene.host.compat")
    for take in list(scene.thunder.takes)[::-1]:
        scene.thunder.takes.remove(0)
    compat.trim_end(found, 50)
    made = performance(room, core, seconds=2.0, closed_at=(1.0,), seed=3)
    voice = room("scene.voice.strip").of_strip(scene, found)
    actions = key(room, rig, made, voice.clock, "line · seed 3")
    entry = room("scene.takes.take_list").add_to_list(scene, rig, actions, made, "line", voice.clock)
    state = room("scene.voice.fingerprint")
    state.remember(entry.action, state.of_voice(scene, voice))
    before = jaw(room, entry)
    compat.trim_end(found, 0)
    assert kinds(room, scene) == ["CHANGED"] and room("scene.takes.resync").needs_engine(scene)
    assert resync(room, scene, client) == ["CHANGED"]
    (verb, asked), = client.asked
    assert verb == "generate" and asked["seed"] == 3 and asked["takes"] == 1
    mask = client.arrays[asked["keep_mask"]]
    assert mask.shape == (100, 53) and mask[:50].all() and not mask[50:].any()
    entry = scene.thunder.takes[0]
    after = jaw(room, entry)
    assert after[0][0] == before[0][0] and after[0][-1] == 110 + LEAD_OUT
    kept = len(before[0]) - LEAD_OUT
    assert np.array_equal(after[1][:kept], before[1][:kept])  # bit for bit
    brow = next(c for c in compat.all_curves(entry.action) if "browInnerUp" in c.data_path)
    values = np.array([k.co[1] for k in brow.keyframe_points])
    assert np.abs(np.diff(values))[LEAD_IN + 45:LEAD_IN + 60].max() < 0.15  # no jump where the new part begins
    assert kinds(room, scene) == []


def test_another_recording_is_sampled_anew_with_the_same_seed(room, line, tmp_path):
    scene, _, found, client = line
    rng = np.random.default_rng(5)
    write_wav(tmp_path / "line.wav", 0.3 * rng.standard_normal(int(16000 * SECONDS)))
    assert kinds(room, scene) == ["CHANGED", "CHANGED"]
    assert resync(room, scene, client) == ["CHANGED", "CHANGED"]
    assert [args["seed"] for _, args in client.asked] == [1, 2]
    assert all("keep_mask" not in args for _, args in client.asked)
    assert kinds(room, scene) == [] and [entry.seed for entry in scene.thunder.takes] == [1, 2]


def test_an_edited_take_is_never_lost_when_more_than_a_move_is_needed(room, line):
    scene, _, found, client = line
    entry = scene.thunder.takes[0]
    entry.star, entry.note = True, "the one"
    curve = next(c for c in room("scene.host.compat").all_curves(entry.action) if "jaw" in c.data_path and c.array_index == 0)
    curve.keyframe_points[40].co[1] = 0.33
    curve.update()
    edited = entry.action
    checksum = room("scene.animation.keying").checksum(edited)
    room("scene.host.compat").trim_end(found, 10)
    resync(room, scene, client)
    assert len(scene.thunder.takes) == 3
    assert room("scene.animation.keying").checksum(edited) == checksum
    assert [e for e in scene.thunder.takes if e.action == edited]
    new = scene.thunder.takes[0]
    assert new.action != edited and new.star and new.note == "the one"
    assert jaw(room, new)[1][40] == pytest.approx(0.33, abs=1e-3)  # what was edited is in the new one too
    assert kinds(room, scene) == []


@pytest.mark.parametrize("fps, base", [(24, 1.0), (30, 1.001), (60, 1.0)])
def test_another_scene_rate_keys_the_same_performance_again(room, line, fps, base):
    scene, _, found, client = line
    scene.render.fps, scene.render.fps_base = fps, base
    assert set(kinds(room, scene)) <= {"RATE", "CUT", "CHANGED"} and len(kinds(room, scene)) == 2
    resync(room, scene, client)
    assert kinds(room, scene) == []
    entry = scene.thunder.takes[0]
    frames, angles = jaw(room, entry)
    first = room("scene.host.compat").strip_span(found)[0]
    for seconds in (1.0, 2.0):  # the closures are where the sound has them
        near = np.abs(frames - (first + seconds * fps / base)) <= 0.5 + 1e-6
        assert angles[near].min() < 1e-5


def test_a_renamed_strip_is_still_the_same_voice_and_a_deleted_one_is_only_said(room, line):
    scene, _, found, client = line
    found.name = "dialogue of the heroine"
    assert kinds(room, scene) == []
    room("scene.host.compat").strips(scene.sequence_editor).remove(found)
    changed = room("scene.voice.fingerprint").change(scene, scene.thunder.takes[0])
    assert changed.kind == "GONE" and kinds(room, scene) == []
    assert resync(room, scene, client) == [] and len(scene.thunder.takes) == 2


def test_a_file_that_is_the_voice_is_watched_as_well(blender, room, core, tmp_path):
    blender.ops.thunder.add_head()
    scene = blender.context.scene
    path = write_wav(tmp_path / "line.wav", 0.3 * np.random.default_rng(1).standard_normal(32000))
    rig, state = room("scene.heads.head").find(scene), room("scene.voice.fingerprint")
    voice = room("scene.voice.strip").of_file(scene, path)
    made = performance(room, core, seconds=2.0)
    entry = room("scene.takes.take_list").add_to_list(scene, rig, key(room, rig, made, voice.clock), made, "line", voice.clock)
    state.remember(entry.action, state.of_voice(scene, voice))
    assert kinds(room, scene) == []
    write_wav(tmp_path / "line.wav", 0.3 * np.random.default_rng(2).standard_normal(48000))
    assert kinds(room, scene) == ["CHANGED"]
    client = PlayedClient(room, core, tmp_path)
    assert resync(room, scene, client) == ["CHANGED"] and kinds(room, scene) == []
    assert scene.thunder.takes[0].last == scene.frame_start + int(np.ceil((75 - 1) / 25 * 24))


def test_the_operator_asks_the_engine_only_where_it_must(blender, room, line, monkeypatch):
    scene, _, found, client = line
    def nobody():
        raise AssertionError("the engine was asked")
    monkeypatch.setattr(room("scene.engine.session"), "client", nobody)
    assert not blender.ops.thunder.resync.poll()
    room("scene.voice.strip").move(found, 20)
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert kinds(room, scene) == []
