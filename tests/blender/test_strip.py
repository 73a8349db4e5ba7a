# SPDX-License-Identifier: GPL-3.0-or-later
"""What is heard of a strip, alone and exactly, is what the engine gets; what is not heard is refused with a reason."""

import importlib
import os

import numpy as np
import pytest
from performances import clicks, key, performance, read_wav, trim_end, trim_start, write_wav
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat as compat_module
from thunder.scene.review import listening
from thunder.scene.takes import dialogue, take_list
from thunder.scene.voice import fingerprint, strip as strip_module, strip_file, voice_cache
from thunder.thunder_core import errors, progress

RATES = [(24, 1.0), (25, 1.0), (30, 1.001), (60, 1.0)]


@pytest.fixture
def sequencer(needs_sound, blender):
    """(scene, compat, strip module), for Blenders that have sound."""
    return blender.context.scene, compat_module, strip_module


def place(sequencer, path, start=1, channel=1):
    scene, compat, _ = sequencer
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return compat.strips(editor).new_sound("line", path, channel, start)


def mixdown():
    return importlib.import_module("bl_ext.user_default.thunder.scene.voice.mixdown")


def mixed(sequencer, voice, tmp_path):
    path = str(tmp_path / "mixed.wav")
    for _ in mixdown().mix_down(voice, path):
        pass
    return read_wav(path)


def onsets(samples, rate):
    loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max())
    return loud[np.r_[True, np.diff(loud) > rate // 50]] / rate


@pytest.mark.parametrize("fps, base", RATES)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_trimmed_offset_strip_and_its_keys_land_on_the_same_frame(blender, sequencer, tmp_path, fps, base, rate):
    scene, compat, strip = sequencer
    scene.render.fps, scene.render.fps_base = fps, base
    line = place(sequencer, clicks(tmp_path / "c.wav", (0.4, 1.3, 2.2), 3.5, rate), start=37)
    trim_start(line, round(0.8 * fps))
    trim_end(line, round(0.5 * fps))
    voice = strip.of_strip(scene, line)
    samples, got_rate = mixed(sequencer, voice, tmp_path)
    assert got_rate == rate
    times = onsets(samples, rate)
    assert len(times) == 2  # the first click is trimmed away
    frames = voice.clock.frame(times)
    expected = 37 + np.array([1.3, 2.2]) * fps / base
    assert np.abs(frames - expected).max() < 0.05
    # Lips that close where the clicks are heard close on the scene frame nearest to them.
    blender.ops.thunder.add_head()
    rig = head.find(scene)
    seconds = len(samples) / rate
    made = performance(seconds=seconds, closed_at=times)
    display.show(rig, take_list.add_to_list(scene, rig, key(rig, made, voice.clock, "t"), made, "v", voice.clock))
    for exact, time in zip(expected, times):
        angles = {}
        for frame in range(int(exact) - 3, int(exact) + 5):
            scene.frame_set(frame)
            angles[frame] = rig.armature.pose.bones["jaw"].rotation_euler[0]
        closed = min(angles, key=angles.get)
        snapped = voice.clock.frame(round(time * 25) / 25)  # the motion's own grain is 40 ms
        assert abs(closed - snapped) <= 0.5 + 1e-6 and abs(closed - exact) <= 0.5 + 0.02 * fps + 1e-6
        assert angles[closed] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_whole_scene_sounds_the_same_there(blender, sequencer, tmp_path, rate):
    """The voice's own mix, made piece by piece, against a mix-down of the scene itself."""
    scene, compat, strip = sequencer
    noise = np.random.default_rng(1).normal(0, 0.1, rate * 9)
    scene.render.fps = 25
    line = place(sequencer, write_wav(tmp_path / "n.wav", noise, rate), start=11)
    trim_start(line, 7)
    voice = strip.of_strip(scene, line)
    samples, _ = mixed(sequencer, voice, tmp_path)
    first, last = compat.strip_span(line)
    assert len(samples) == (last - first) * rate // 25
    scene.frame_start, scene.frame_end = first, last - 1
    path = str(tmp_path / "scene.wav")
    blender.ops.sound.mixdown(
        filepath=path, check_existing=False, container="WAV", codec="PCM", format="F32", channels="MONO", mixrate=rate
    )
    whole, _ = read_wav(path)
    if rate == 16000:  # the rate that the engine hears: sample for sample
        assert np.abs(samples - whole[: len(samples)]).max() < 1e-6
    for start in range(1000, len(samples) - 3000, rate // 2):
        part = samples[start : start + 1000]
        alike = [np.corrcoef(part, whole[start + lag : start + lag + 1000])[0, 1] for lag in range(-2, 3)]
        assert max(alike) > 0.9  # Blender starts a piece up to two samples (40 µs) early or late


def mono(line):
    line.sound.use_mono = True
    line.pan = 0.7


def animate_volume(line):
    for frame, volume in ((20, 1.0), (60, 0.2)):
        line.volume = volume
        line.keyframe_insert("volume", frame=frame)


def trim_for_good(line):
    """As a hard split does."""
    name = "content_trim_start" if hasattr(line, "content_trim_start") else "animation_offset_start"
    setattr(line, name, 10)


def into_short_meta(line):
    strips = compat_module.strips(line.id_data.sequence_editor)
    first, last = compat_module.strip_span(line)
    meta = strips.new_meta("meta", 2, first)
    line.move_to_meta(meta)
    trim_start(meta, 20)
    meta.frame_final_end = last - 30
    if hasattr(meta, "volume"):
        meta.volume = 0.6


@pytest.mark.parametrize(
    "change",
    [
        lambda line: None,
        lambda line: line.sound.pack(),
        mono,
        lambda line: setattr(line, "volume", 0.5),
        animate_volume,
        lambda line: setattr(line, "sound_offset", 0.4),
        trim_for_good,
        into_short_meta,
        lambda line: setattr(line.id_data, "audio_volume", 0.3),
        lambda line: setattr(line.id_data.sequence_editor.channels[5], "mute", True),
    ],
    ids=["plain", "packed", "mono, panned", "softer", "faded", "offset", "trimmed for good", "in a meta", "master", "another channel"],
)
def test_what_is_read_from_the_file_is_what_blender_mixes(blender, sequencer, tmp_path, change):
    """The same sound, but for Blender's rounding of the places where its pieces begin."""
    scene, compat, strip = sequencer
    scene.render.fps, scene.render.fps_base = 24, 1.001
    time = np.arange(16000 * 4) / 16000
    swell = 1 + 0.5 * np.sin(2 * np.pi * 0.7 * time)
    tone = np.stack([0.2 * swell * np.sin(2 * np.pi * 110 * time), 0.1 * np.sin(2 * np.pi * (60 + 30 * time) * time)], axis=1)
    line = place(sequencer, write_wav(tmp_path / "n.wav", tone, 16000), start=11)
    place(sequencer, clicks(tmp_path / "other.wav", (0.5,), 2.0), start=11, channel=5)
    trim_start(line, 7)
    trim_end(line, 9)
    change(line)
    voice = strip.of_strip(scene, line)
    read, rate = mixed(sequencer, voice, tmp_path)
    for _ in mixdown()._mix_with_blender(voice, scene, line, str(tmp_path / "by_blender.wav")):
        pass
    mix, mix_rate = read_wav(tmp_path / "by_blender.wav")
    assert rate == mix_rate and abs(len(mix) - len(read)) <= 2
    count = min(len(mix), len(read)) - 32
    alike = [np.corrcoef(mix[16:count], read[16 + lag : count + lag])[0, 1] for lag in range(-2, 3)]
    assert max(alike) > 0.995
    if change is not mono:  # a pan makes the mix up to √2 louder
        assert mix.std() / read.std() == pytest.approx(1.0, rel=0.05 if change is animate_volume else 0.01)
    assert sorted(os.listdir(tmp_path)) == ["by_blender.wav", "mixed.wav", "n.wav", "other.wav"]


def drive_volume(line):
    line.driver_add("volume").driver.expression = "0.5"


def animate_volume_in_the_nla(line):
    animate_volume(line)
    animation = line.id_data.animation_data
    action, slot = animation.action, animation.action_slot
    animation.action = None
    animation.nla_tracks.new().strips.new("fade", 20, action).action_slot = slot


@pytest.mark.parametrize("change", [drive_volume, animate_volume_in_the_nla])
def test_what_the_file_does_not_tell_is_mixed_by_blender(blender, sequencer, tmp_path, monkeypatch, change):
    scene, _, strip = sequencer
    line = place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 3.0))
    change(line)
    asked = []
    by_blender = mixdown()._mix_with_blender
    monkeypatch.setattr(mixdown(), "_mix_with_blender", lambda *given: asked.append(given) or by_blender(*given))
    samples, _ = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert asked and np.abs(samples).max() > 0.1


def test_a_mix_down_that_esc_cut_short_is_said_to_be_that(blender, sequencer, tmp_path, monkeypatch):
    """As Blender 5.2 does in a window: the first block, and the header of a finished file."""
    scene, _, strip = sequencer
    line = place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 3.0))
    drive_volume(line)
    voice = strip.of_strip(scene, line)

    def sound_bytes(path):
        return 8192

    monkeypatch.setattr(mixdown(), "_sound_bytes", sound_bytes)
    with pytest.raises(errors.ThunderError, match=r"Esc stopped Blender's mix-down of “line”: try again") as caught:
        mixed(sequencer, voice, tmp_path)
    assert not isinstance(caught.value, errors.BadSound) and sorted(os.listdir(tmp_path)) == ["a.wav"]


@pytest.mark.parametrize("kind", ["mp3", "ogg"])
def test_the_end_of_a_compressed_file_lands_where_it_is_heard(blender, sequencer, tmp_path, kind):
    import aud

    scene, compat, strip = sequencer
    scene.render.fps = 25
    sound = aud.Sound(write_wav(tmp_path / "n.wav", np.sin(np.arange(44100 * 12) * 0.05) * (np.arange(44100 * 12) > 44100 * 9.5), 44100))
    path = str(tmp_path / f"n.{kind}")
    container, codec = (aud.CONTAINER_MP3, aud.CODEC_MP3) if kind == "mp3" else (aud.CONTAINER_OGG, aud.CODEC_VORBIS)
    sound.write(path, 44100, 1, aud.FORMAT_FLOAT32, container, codec, 128000, 4096)
    line = place(sequencer, path)
    trim_start(line, 8 * 25)
    samples, rate = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    first = np.flatnonzero(np.abs(samples) > 0.5)[0] / rate
    assert first == pytest.approx(1.5, abs=0.002) and sorted(os.listdir(tmp_path)) == sorted(["mixed.wav", "n.wav", f"n.{kind}"])


def test_volume_and_its_animation_are_heard(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    scene.render.fps = 25
    line = place(sequencer, write_wav(tmp_path / "t.wav", 0.5 * np.sin(np.arange(48000) * 0.2), 16000), start=1)
    loud, _ = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    line.volume = 0.25
    soft, _ = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert np.abs(soft).max() == pytest.approx(np.abs(loud).max() / 4, rel=0.01)
    for frame, volume in ((1, 1.0), (38, 1.0), (39, 0.0), (75, 0.0)):
        line.volume = volume
        line.keyframe_insert("volume", frame=frame)
    faded, _ = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert np.abs(faded[:16000]).max() == pytest.approx(np.abs(loud).max(), rel=0.01)
    assert np.abs(faded[28000:46000]).max() < 0.01


def test_other_strips_and_a_low_master_volume_are_not_heard(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    scene.audio_volume, scene.use_audio = 0.1, False
    line = place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0), start=1, channel=1)
    place(sequencer, clicks(tmp_path / "b.wav", (1.2,), 2.0), start=1, channel=2)
    samples, rate = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert onsets(samples, rate) == pytest.approx([0.5], abs=0.01)
    assert np.abs(samples).max() == pytest.approx(0.8, rel=0.05)


def test_stereo_is_heard_from_both_sides(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    both = np.zeros((16000, 2))
    both[4000:4032, 0] = both[12000:12032, 1] = 0.8
    line = place(sequencer, write_wav(tmp_path / "s.wav", both, 8000), start=1)
    samples, rate = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert rate == 8000 and onsets(samples, rate) == pytest.approx([0.5, 1.5], abs=0.01)


@pytest.fixture
def by_blender(monkeypatch):
    """Nothing is read from a file, as if each strip were retimed."""
    monkeypatch.setattr(strip_file, "plan_of", lambda *given: None)


@pytest.mark.parametrize("start", [-60, -10, 0])
def test_a_strip_before_the_first_frame_is_heard_where_it_lies(blender, sequencer, tmp_path, by_blender, start):
    scene, compat, strip = sequencer
    scene.render.fps = 25
    line = place(sequencer, clicks(tmp_path / "c.wav", (0.5, 3.5), 4.0), start=start)
    voice = strip.of_strip(scene, line)
    samples, rate = mixed(sequencer, voice, tmp_path)
    assert voice.clock.frame(onsets(samples, rate)) == pytest.approx([start + 12.5, start + 87.5], abs=0.05)
    for frame, volume in ((start + 80, 1.0), (start + 81, 0.0)):
        line.volume = volume
        line.keyframe_insert("volume", frame=frame)
    samples, rate = mixed(sequencer, voice, tmp_path)
    assert voice.clock.frame(onsets(samples, rate)) == pytest.approx([start + 12.5], abs=0.05)
    assert len(blender.data.actions) == 1 and len(blender.data.scenes) == 1
    keys = [key.co[0] for curve in compat.all_curves(blender.data.actions[0]) for key in curve.keyframe_points]
    assert keys == [start + 80, start + 81]


def test_mixing_down_leaves_no_scene_and_changes_nothing(blender, sequencer, tmp_path, by_blender):
    scene, _, strip = sequencer
    line = place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0))
    scene.frame_end = 33
    mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert len(blender.data.scenes) == 1 and not line.mute and scene.frame_end == 33
    assert os.listdir(tmp_path).count("mixed.wav") == 1


def test_a_packed_sound_needs_no_file(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    path = clicks(tmp_path / "a.wav", (0.5,), 2.0)
    line = place(sequencer, path)
    line.sound.pack()
    os.remove(path)
    samples, rate = mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert onsets(samples, rate) == pytest.approx([0.5], abs=0.01)


@pytest.mark.parametrize("reader", ["strip_file", "by_blender"])
def test_a_strip_with_values_that_are_not_numbers_is_named(blender, sequencer, tmp_path, request, reader):
    scene, compat, strip = sequencer
    samples = np.zeros(48000, "<f4")
    samples[40000] = np.nan
    path = tmp_path / "take_7.wav"
    path.write_bytes(mixdown().wav_header(1, 16000, samples.nbytes) + samples.tobytes())
    line = place(sequencer, str(path), start=5)
    trim_start(line, 12)
    if reader == "by_blender":
        request.getfixturevalue(reader)
    with pytest.raises(errors.BadSound, match=r"“line” holds values that are not numbers \(first 2\.0.*“take_7\.wav” again") as caught:
        mixed(sequencer, strip.of_strip(scene, line), tmp_path)
    assert "mixed.wav" not in str(caught.value) and not (tmp_path / "mixed.wav").exists()


def test_an_error_of_the_engine_names_the_strip_and_no_temporary_file(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    line = place(sequencer, clicks(tmp_path / "c.wav", (0.4,), 2.0))

    class Client:
        folder = str(tmp_path)

    path = progress.result(voice_cache.sound(Client, scene, strip.of_strip(scene, line)))
    name = os.path.basename(path)
    assert name.startswith("voice_cache_")
    error = mixdown().with_names(errors.NoVoice(f"“{name}” is silent: turn up its volume"))
    assert isinstance(error, errors.NoVoice) and str(error) == "“line” is silent: turn up its volume"
    other = errors.BadRequest("Nothing to do with it")
    assert mixdown().with_names(other) is other


def test_no_room_for_the_sound_is_said_and_leaves_nothing(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    voice = strip.of_strip(scene, place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0)))
    with pytest.raises(errors.ThunderError, match="cannot be written to .*nowhere"):
        for _ in mixdown().mix_down(voice, str(tmp_path / "nowhere" / "mixed.wav")):
            pass
    assert len(blender.data.scenes) == 1


def test_a_full_disk_is_said_and_leaves_nothing(blender, sequencer, tmp_path, small_disk):
    tiny = small_disk(64)
    scene, _, strip = sequencer
    voice = strip.of_strip(scene, place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 20.0)))
    with pytest.raises(errors.NoSpace, match="No space is left"):
        for _ in mixdown().mix_down(voice, str(tiny / "mixed.wav")):
            pass
    assert len(blender.data.scenes) == 1 and os.listdir(tiny) == []


def mute(line, scene, tmp_path):
    line.mute = True


def mute_channel(line, scene, tmp_path):
    scene.sequence_editor.channels[line.channel].mute = True


def lose_file(line, scene, tmp_path):
    os.remove(tmp_path / "a.wav")


def remove(line, scene, tmp_path):
    strips = scene.sequence_editor.strips if hasattr(scene.sequence_editor, "strips") else scene.sequence_editor.sequences
    strips.remove(line)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (mute, "is muted"),
        (mute_channel, "channel of the strip .* is muted"),
        (lose_file, "is missing"),
        (remove, "no sound strip"),
    ],
)
def test_a_voice_that_is_not_heard_is_said(blender, sequencer, tmp_path, monkeypatch, spoil, said):
    scene, _, strip = sequencer
    monkeypatch.setattr(strip, "LOOK_SECONDS", 0)  # else a file that is lost is missed half a second later
    line = place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0))
    assert strip.find(blender.context).name == "line"
    spoil(line, scene, tmp_path)
    with pytest.raises(errors.BadSound, match=said):
        strip.find(blender.context)


def test_a_chosen_strip_that_is_gone_is_said(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0))
    scene.thunder.strip = "another"
    with pytest.raises(errors.BadSound, match="no longer in the sequencer"):
        strip.find(blender.context)


def test_of_several_strips_the_active_one_is_meant(blender, sequencer, tmp_path):
    scene, _, strip = sequencer
    place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0), channel=1)
    other = place(sequencer, clicks(tmp_path / "b.wav", (0.5,), 2.0), channel=2)
    scene.sequence_editor.active_strip = None
    with pytest.raises(errors.BadSound, match="several sound strips"):
        strip.find(blender.context)
    scene.sequence_editor.active_strip = other
    assert strip.find(blender.context).strip == other.name


def test_a_sound_file_is_a_voice_from_the_first_frame(blender, tmp_path):
    scene = blender.context.scene
    scene.frame_start = 5
    scene.thunder.source = "FILE"
    with pytest.raises(errors.BadSound, match="No sound file is chosen"):
        strip_module.find(blender.context)
    scene.thunder.sound_file = str(tmp_path / "none.wav")
    with pytest.raises(errors.BadSound, match="There is no file"):
        strip_module.find(blender.context)
    scene.thunder.sound_file = clicks(tmp_path / "a.wav", (0.5,), 2.0)
    voice = strip_module.find(blender.context)
    assert voice.path.endswith("a.wav") and voice.clock.start == 5


def test_what_is_no_file_is_named_as_what_it_is(blender, tmp_path):
    scene = blender.context.scene
    with pytest.raises(errors.BadSound, match="is a folder, not a file: choose another sound file"):
        strip_module.of_file(scene, str(tmp_path))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(errors.BadSound, match="is a pipe or a device, not a file: choose another sound file"):
            strip_module.of_file(scene, str(tmp_path / "pipe"))
    with pytest.raises(RuntimeError, match="is a folder, not a file: choose a recording"):
        blender.ops.thunder.own_voice(filepath=str(tmp_path))


def test_a_voice_whose_file_was_cut_is_warned_about(blender, sequencer, tmp_path):
    scene, compat, strip = sequencer
    whole, cut = clicks(tmp_path / "whole.wav", (0.5,), 2.0), tmp_path / "cut.wav"
    data = open(whole, "rb").read()
    cut.write_bytes(data[: 44 + (len(data) - 44) // 2])
    assert strip.warning(strip.of_file(scene, whole)) == ""
    says = "“cut.wav” holds 1.00 s of the 2.00 s"
    assert strip.warning(strip.of_file(scene, str(cut))).startswith(says)
    line = place(sequencer, str(cut))
    voice = strip.of_strip(scene, line)
    assert strip.warning(voice).startswith(says)
    assert dialogue.warnings(scene, [dialogue.Line(line.name, None, "")] * 2) == [strip.warning(voice)]
    line.sound.pack()
    assert strip.warning(voice) == ""


def test_the_spoken_strip_is_muted_packed_and_replaced(blender, sequencer, tmp_path):
    scene, compat, strip = sequencer
    place(sequencer, clicks(tmp_path / "a.wav", (0.5,), 2.0), start=1, channel=1)
    for start in (4, 9):
        path = clicks(tmp_path / "Thunder Listen Head.wav", (0.25,), 1.0)
        listening.place(scene, path, "Thunder Listen Head", start)
        os.remove(path)
    ours = [s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen")]
    assert len(ours) == 1 and len(blender.data.sounds) == 2
    assert ours[0].mute and ours[0].sound.packed_file and compat.content_start(ours[0]) == 9 and ours[0].channel == 2
    assert [s.name for s in strip.sound_strips(scene)] == ["line"]
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "s.blend"))
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "s.blend"))
    scene = blender.context.scene
    spoken = next(s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen"))
    spoken.mute = False
    samples, rate = mixed(sequencer, strip.of_strip(scene, spoken), tmp_path)
    assert onsets(samples, rate) == pytest.approx([0.25], abs=0.01)


# ---- long sounds are read in blocks


@pytest.fixture
def plain(monkeypatch):
    """The reading of a strip's file, in blocks of a second."""
    monkeypatch.setattr(strip_file, "BLOCK", 1)
    return strip_file


def test_a_packed_sound_is_not_unpacked_into_the_current_folder(plain, tmp_path, monkeypatch):
    path = write_wav(tmp_path / "noise.wav", np.full((11025, 1), 0.1), 11025)
    packed = open(path, "rb").read()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    plan = plain.Plan("noise", "", packed, 0.0, 1.0, np.ones(2, np.float32))
    with plan.open("") as source:
        assert len(np.concatenate(list(plan.blocks(source)))) == 11025
        assert os.listdir() == []


@pytest.mark.parametrize("begin", [0.0, 0.37, -0.5, 2.9])
def test_blocks_of_a_sound_join_to_all_of_it(plain, tmp_path, begin):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * 11025 + 17, 2))
    path = write_wav(tmp_path / "noise.wav", samples, 11025)
    whole = np.concatenate([np.zeros((11025, 2)), np.round(samples * 32767) / 32768, np.zeros((5 * 11025, 2))])
    plan = plain.Plan("noise", path, None, begin, 3.5, np.array([1.0, 0.5], np.float32))
    with plan.open(str(tmp_path)) as source:
        blocks = list(plan.blocks(source))
    joined = np.concatenate(blocks)
    start = 11025 + round(begin * 11025)
    volume = np.linspace(1.0, 0.5, len(joined))
    assert len(blocks) == 4 and len(joined) == round(3.5 * 11025)
    assert np.abs(joined - whole[start : start + len(joined)].mean(axis=1) * volume).max() < 1e-4


def test_peaks_of_blocks_are_those_of_all_of_it(plain, tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * 11025 + 17)
    path = write_wav(tmp_path / "noise.wav", samples, 11025)
    plan = plain.Plan("noise", path, None, 0.0, 0.0, np.ones(2, np.float32))
    peaks, _ = voice_cache.peaks_of_sound(plan, "")
    exact = voice_cache.peaks_of((np.round(samples * 32767) / 32768).astype(np.float32), 11025)
    assert peaks.shape == exact.shape and np.abs(peaks - exact).max() < 1e-4


def test_a_pipe_is_neither_read_nor_waited_for(plain, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    path = str(tmp_path / "voice.wav")
    os.mkfifo(path)
    assert fingerprint.of_file(path) == ""
    with pytest.raises(Exception, match="cannot be read as sound"):
        with plain.Plan("voice", path, None, 0.0, 0.0, np.ones(2, np.float32)).open(""):
            pass


@pytest.mark.parametrize("fps, base", [(30000, 1e-4), (1, 100.0)])
def test_at_an_absurd_frame_rate_no_voice_is_taken_and_why_is_said(blender, sequencer, tmp_path, fps, base):
    path, scene = clicks(tmp_path / "c.wav", (0.4,), 1.0), blender.context.scene
    voice = place(sequencer, path)
    scene.render.fps, scene.render.fps_base = fps, base
    for take in (lambda: strip_module.of_file(scene, str(path)), lambda: strip_module.of_strip(scene, voice)):
        with pytest.raises(errors.BadSound, match="frames per second: set 1 to 1000 in its Output"):
            take()
