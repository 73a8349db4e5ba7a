# SPDX-License-Identifier: GPL-3.0-or-later
"""What is heard of a strip, alone and exactly, is what the engine gets; what is not heard is
refused with a reason."""

import os

import numpy as np
import pytest
from performances import (
    clicks,
    jaws,
    performance,
    read_wav,
    reopen,
    set_keys,
    show_take,
    trim_end,
    trim_start,
    write_wav,
)
from running_engine import SAMPLE
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.review import listening
from thunder.scene.voice import mixdown, strip
from thunder.thunder_core import errors, progress

RATES = [(24, 1.0), (25, 1.0), (30, 1.001), (60, 1.0)]


@pytest.fixture
def scene(needs_sound, blender):
    """An empty scene, in Blenders that have sound."""
    return blender.context.scene


def place(scene, path, start=1, channel=1):
    """A strip called “line”."""
    return compat.strips(scene.sequence_editor or scene.sequence_editor_create()).new_sound(
        "line", path, channel, start
    )


def mixed(voice, tmp_path):
    """Samples and rate of what the engine gets of a voice."""
    path = str(tmp_path / "mixed.wav")
    progress.result(mixdown.mix_down(voice, path))
    return read_wav(path)


def heard(line, tmp_path):
    """The same of a strip."""
    return mixed(strip.of_strip(line.id_data, line), tmp_path)


def onsets(samples, rate):
    loud = np.flatnonzero(np.abs(samples) > 0.5 * np.abs(samples).max())
    return loud[np.r_[True, np.diff(loud) > rate // 50]] / rate


@pytest.mark.parametrize("fps, base", RATES)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_trimmed_offset_strip_and_its_keys_land_on_the_same_frame(
    blender, scene, tmp_path, fps, base, rate
):
    scene.render.fps, scene.render.fps_base = fps, base
    line = place(scene, clicks(tmp_path / "c.wav", (0.4, 1.3, 2.2), 3.5, rate), start=37)
    trim_start(line, round(0.8 * fps))
    trim_end(line, round(0.5 * fps))
    voice = strip.of_strip(scene, line)
    samples, got_rate = mixed(voice, tmp_path)
    assert got_rate == rate
    times = onsets(samples, rate)
    assert len(times) == 2  # the first click is trimmed away
    frames = voice.clock.frame(times)
    expected = 37 + np.array([1.3, 2.2]) * fps / base
    assert np.abs(frames - expected).max() < 0.05
    # Lips that close where the clicks are heard close on the scene frame nearest to them.
    blender.ops.thunder.add_head()
    rig = head.find(scene)
    show_take(
        (scene, rig), performance(seconds=len(samples) / rate, closed_at=times), voice.clock.start
    )
    for exact, time in zip(expected, times):
        angles = jaws(scene, rig, range(int(exact) - 3, int(exact) + 5))
        closed = min(angles, key=angles.get)
        snapped = voice.clock.frame(round(time * 25) / 25)  # the motion's own grain is 40 ms
        assert (
            abs(closed - snapped) <= 0.5 + 1e-6 and abs(closed - exact) <= 0.5 + 0.02 * fps + 1e-6
        )
        assert angles[closed] == pytest.approx(0.0, abs=1e-4)


def mono(line):
    line.sound.use_mono = True
    line.pan = 0.7


def animate_volume(line):
    set_keys(line, "volume", {20: 1.0, 60: 0.2})


def trim_for_good(line):
    """As a hard split does."""
    name = "content_trim_start" if hasattr(line, "content_trim_start") else "animation_offset_start"
    setattr(line, name, 10)


def into_short_meta(line):
    strips = compat.strips(line.id_data.sequence_editor)
    first, last = compat.strip_span(line)
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
    ids=[
        "plain",
        "packed",
        "mono, panned",
        "softer",
        "faded",
        "offset",
        "trimmed for good",
        "in a meta",
        "master",
        "another channel",
    ],
)
def test_what_is_read_from_the_file_is_what_blender_mixes(blender, scene, tmp_path, change):
    """The same sound, but for Blender's rounding of the places where its pieces begin."""
    scene.render.fps, scene.render.fps_base = 24, 1.001
    time = np.arange(16000 * 4) / 16000
    swell = 1 + 0.5 * np.sin(2 * np.pi * 0.7 * time)
    tone = np.stack(
        [
            0.2 * swell * np.sin(2 * np.pi * 110 * time),
            0.1 * np.sin(2 * np.pi * (60 + 30 * time) * time),
        ],
        axis=1,
    )
    line = place(scene, write_wav(tmp_path / "n.wav", tone, 16000), start=11)
    place(scene, clicks(tmp_path / "other.wav", (0.5,), 2.0), start=11, channel=5)
    trim_start(line, 7)
    trim_end(line, 9)
    change(line)
    voice = strip.of_strip(scene, line)
    read, rate = mixed(voice, tmp_path)
    progress.result(mixdown._mix_with_blender(voice, scene, line, str(tmp_path / "by_blender.wav")))
    mix, mix_rate = read_wav(tmp_path / "by_blender.wav")
    assert rate == mix_rate and abs(len(mix) - len(read)) <= 2
    count = min(len(mix), len(read)) - 32
    alike = [np.corrcoef(mix[16:count], read[16 + lag : count + lag])[0, 1] for lag in range(-2, 3)]
    assert max(alike) > 0.995
    if change is not mono:  # a pan makes the mix up to √2 louder
        assert mix.std() / read.std() == pytest.approx(
            1.0, rel=0.05 if change is animate_volume else 0.01
        )
    assert (
        sorted(os.listdir(tmp_path)) == ["by_blender.wav", "mixed.wav", "n.wav", "other.wav"]
        and len(blender.data.scenes) == 1
    )


@pytest.mark.parametrize("kind", ["MP3", "OGG", "MATROSKA"])
@pytest.mark.parametrize("trim, longer", [(0, 0), (13, 0), (0, 40), (-5, 40)])
def test_a_compressed_strip_is_silent_beside_its_sound(
    blender, scene, tmp_path, kind, trim, longer
):
    """And is the sound between, as it is decoded from its beginning or, of a film, as it is
    played."""
    aud = pytest.importorskip("aud")
    codecs = {"MP3": aud.CODEC_MP3, "OGG": aud.CODEC_VORBIS, "MATROSKA": aud.CODEC_AAC}
    to = aud.FORMAT_S16, getattr(aud, f"CONTAINER_{kind}"), codecs[kind], 128000, 4096
    path = str(tmp_path / "line")
    aud.Sound(SAMPLE).limit(0, 2.5).resample(48000, True).write(path, 48000, 1, *to)
    line = place(scene, path, start=11)
    scene.render.fps = 25
    trim_start(line, trim)
    line.frame_final_end += longer
    voice = strip.of_strip(scene, line)
    read, rate = mixed(voice, tmp_path)
    if kind == "MATROSKA":
        scene.frame_start, scene.frame_end, played = 1, voice.last - 1, str(tmp_path / "played.wav")
        blender.ops.sound.mixdown(
            filepath=played, container="WAV", codec="PCM", format="F32", channels="MONO",
            mixrate=rate,
        )  # fmt: skip
        expected, start = read_wav(played)[0], int(voice.clock.start) - 1
    else:
        expected, start = aud.Sound(path).data().mean(axis=1), trim
    expected = np.r_[np.zeros(rate), expected, np.zeros(2 * rate)][rate * (25 + start) // 25 :]
    assert len(read) > rate and np.abs(expected[: len(read)] - read).max() < 1e-4


@pytest.mark.parametrize("channel", [None, 0, 1, 2])
def test_a_strip_keeps_its_channels_or_the_one_that_was_chosen(scene, tmp_path, channel):
    """Read from its file or, as a retimed one, mixed by Blender."""
    scene.render.fps = 25
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2 * 16000, 2))
    line = place(scene, write_wav(tmp_path / "n.wav", noise, 16000), start=1)
    voice = strip.choose_channel(scene, strip.of_strip(scene, line), channel)
    assert strip.of_strip(scene, line) == voice
    kept = {None: noise, 0: noise.mean(axis=1), 1: noise[:, 0], 2: noise[:, 1]}[channel]
    read, by_blender = str(tmp_path / "read.wav"), str(tmp_path / "by_blender.wav")
    progress.result(mixdown.mix_down(voice, read))
    progress.result(mixdown._mix_with_blender(voice, scene, line, by_blender))
    for path in (read, by_blender):
        data = open(path, "rb").read()
        assert data[22] == (2 if channel is None else 1)
        samples = np.frombuffer(data, "<f4", offset=44).reshape(-1, *kept.shape[1:])
        assert np.abs(samples[:32000] - kept).max() < 1e-4
    strip.choose_channel(scene, voice, 3)
    with pytest.raises(errors.BadSound, match="has no channel 3, it has 2: choose another Channel"):
        heard(line, tmp_path)


def drive_volume(line):
    line.driver_add("volume").driver.expression = "0.5"


def play_in_the_nla(animation):
    """Move the action of some animation data to an NLA strip."""
    action, slot = animation.action, animation.action_slot
    animation.action = None
    animation.nla_tracks.new().strips.new("fade", 20, action).action_slot = slot


def animate_volume_in_the_nla(line):
    animate_volume(line)
    play_in_the_nla(line.id_data.animation_data)


@pytest.mark.parametrize("change", [drive_volume, animate_volume_in_the_nla])
def test_what_the_file_does_not_tell_is_mixed_by_blender(
    blender, scene, tmp_path, monkeypatch, change
):
    line = place(scene, clicks(tmp_path / "a.wav", (0.5,), 3.0))
    change(line)
    asked = []
    by_blender = mixdown._mix_with_blender
    monkeypatch.setattr(
        mixdown, "_mix_with_blender", lambda *given: asked.append(given) or by_blender(*given)
    )
    samples, _ = heard(line, tmp_path)
    assert asked and np.abs(samples).max() > 0.1


def test_an_nla_that_does_not_move_the_volume_leaves_the_strip_to_its_file(
    blender, scene, tmp_path, monkeypatch
):
    line = place(scene, clicks(tmp_path / "a.wav", (0.5,), 3.0))
    scene.keyframe_insert("audio_volume", frame=1)
    play_in_the_nla(scene.animation_data)
    monkeypatch.delattr(mixdown, "_mix_with_blender")
    samples, _ = heard(line, tmp_path)
    assert np.abs(samples).max() > 0.1


def test_a_mix_down_that_esc_cut_short_is_said_to_be_that(blender, scene, tmp_path, monkeypatch):
    """As Blender 5.2 does in a window: the first block, and the header of a finished file."""
    line = place(scene, clicks(tmp_path / "a.wav", (0.5,), 3.0))
    drive_volume(line)
    monkeypatch.setattr(mixdown, "_place_of_sound", lambda path: (44, 8192))
    with pytest.raises(
        errors.ThunderError, match=r"Esc stopped Blender's mix-down of “line”: try again"
    ) as caught:
        heard(line, tmp_path)
    assert not isinstance(caught.value, errors.BadSound)
    assert not list(tmp_path.glob("*piece*"))


def test_a_strip_before_the_first_frame_is_read_from_its_file_alone(
    blender, scene, tmp_path, monkeypatch
):
    scene.render.fps = 25
    line = place(scene, clicks(tmp_path / "c.wav", (0.5, 3.5), 4.0), start=-60)
    voice = strip.of_strip(scene, line)
    samples, rate = mixed(voice, tmp_path)
    assert voice.clock.frame(onsets(samples, rate)) == pytest.approx([-47.5, 27.5], abs=0.05)
    monkeypatch.setattr(mixdown, "plan_of", lambda *given: None)  # as if it were retimed
    with pytest.raises(errors.BadSound, match="“line” begins before frame 0.*: move it later"):
        mixed(voice, tmp_path)
    assert len(blender.data.scenes) == 1


def test_no_room_for_the_sound_is_said_and_leaves_nothing(blender, scene, tmp_path, small_disk):
    voice = strip.of_strip(scene, place(scene, clicks(tmp_path / "a.wav", (0.5,), 20.0)))
    with pytest.raises(errors.ThunderError, match="cannot be written to .*nowhere"):
        progress.result(mixdown.mix_down(voice, str(tmp_path / "nowhere" / "mixed.wav")))
    tiny = small_disk(64)
    with pytest.raises(errors.NoSpace, match="No space is left"):
        progress.result(mixdown.mix_down(voice, str(tiny / "mixed.wav")))
    assert len(blender.data.scenes) == 1 and os.listdir(tiny) == []


def test_a_voice_that_is_not_heard_is_said(blender, scene, tmp_path):
    line = place(scene, clicks(tmp_path / "a.wav", (0.5,), 2.0))

    def refused(said):
        with pytest.raises(errors.BadSound, match=said):
            strip.find(blender.context)

    assert strip.find(blender.context).name == "line"
    scene.thunder.strip = "another"
    refused("no longer in the sequencer")
    scene.thunder.strip = ""
    line.mute = True
    refused("is muted")
    line.mute, scene.sequence_editor.channels[line.channel].mute = False, True
    refused("channel of the strip .* is muted")
    scene.sequence_editor.channels[line.channel].mute = False
    os.remove(tmp_path / "a.wav")
    refused("is missing")
    compat.strips(scene.sequence_editor).remove(line)
    refused("no sound strip")
    for channel in (1, 2):
        other = place(scene, clicks(tmp_path / "b.wav", (0.5,), 2.0), channel=channel)
    scene.sequence_editor.active_strip = None
    refused("several sound strips: choose one in Thunder.s first field")
    scene.sequence_editor.active_strip = other
    assert strip.find(blender.context).strip == other.name
    (tmp_path / "notes.txt").write_text("not a sound")
    with pytest.raises(errors.BadSound, match="“notes.txt” is not a sound that can be read"):
        strip.add_voice(scene, str(tmp_path / "notes.txt"), "notes", 1)


def test_a_sound_file_is_a_voice_from_the_first_frame_and_what_is_none_is_named(blender, tmp_path):
    scene = blender.context.scene
    scene.frame_start = 5
    scene.thunder.source = "FILE"
    refusals = [("", "No sound file is chosen"), (str(tmp_path / "none.wav"), "There is no file")]
    refusals += [(str(tmp_path), "is a folder, not a file: choose another sound file")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        refusals.append(
            (str(tmp_path / "pipe"), "is a pipe or a device, not a file: choose another sound file")
        )
    for path, said in refusals:
        scene.thunder.sound_file = path
        with pytest.raises(errors.BadSound, match=said):
            strip.find(blender.context)
    with pytest.raises(RuntimeError, match="is a folder, not a file: choose a recording"):
        blender.ops.thunder.own_voice(filepath=str(tmp_path))
    scene.thunder.sound_file = clicks(tmp_path / "a.wav", (0.5,), 2.0)
    voice = strip.find(blender.context)
    assert voice.path.endswith("a.wav") and voice.clock.start == 5


def test_the_spoken_strip_is_muted_packed_and_replaced(blender, scene, tmp_path):
    place(scene, clicks(tmp_path / "a.wav", (0.5,), 2.0), start=1, channel=1)
    for start in (4, 9):
        path = clicks(tmp_path / "Thunder Listen Head.wav", (0.25,), 1.0)
        listening.place(scene, path, "Thunder Listen Head", start)
        os.remove(path)
    ours = [s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen")]
    assert len(ours) == 1 and len(blender.data.sounds) == 2
    assert (
        ours[0].mute
        and ours[0].sound.packed_file
        and compat.content_start(ours[0]) == 9
        and ours[0].channel == 2
    )
    assert [s.name for s in strip.sound_strips(scene)] == ["line"]
    scene = reopen(blender, tmp_path)
    spoken = next(
        s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen")
    )
    spoken.mute = False
    samples, rate = heard(spoken, tmp_path)
    assert onsets(samples, rate) == pytest.approx([0.25], abs=0.01)


def test_the_sample_voice_is_saved_in_the_file(blender, scene, tmp_path):
    """It speaks where the add-on's file is gone, or is another one's."""
    assert blender.ops.thunder.sample_voice() == {"FINISHED"}
    expected, _ = mixed(strip.find(blender.context), tmp_path)
    reopen(blender, tmp_path)
    voice = strip.find(blender.context)
    sound = strip.by_name(blender.context.scene, voice.strip).sound
    for sound.filepath in (clicks(tmp_path / "other.wav", (0.5,), 2.0), str(tmp_path / "gone.wav")):
        assert sound.packed_file and np.array_equal(mixed(voice, tmp_path)[0], expected)


# ---- long sounds are read in blocks


@pytest.fixture
def small_blocks(monkeypatch):
    """A strip's file is read in blocks of a second."""
    monkeypatch.setattr(mixdown, "BLOCK", 1)


def test_a_packed_sound_is_not_unpacked_into_the_current_folder(
    small_blocks, tmp_path, monkeypatch
):
    pytest.importorskip("aud")  # Blender 4.2 as a module lacks it
    packed = open(write_wav(tmp_path / "noise.wav", np.full((11025, 1), 0.1), 11025), "rb").read()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    plan = mixdown.MixPlan("noise", "", packed, 0.0, 1.0, np.ones(2, np.float32))
    with plan.open() as source:
        assert len(np.concatenate(list(plan.blocks(source)))) == 11025
        assert os.listdir() == []


@pytest.mark.parametrize("begin", [0.0, 0.37, -0.5, 2.9])
def test_blocks_of_a_sound_join_to_all_of_it(small_blocks, tmp_path, begin):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * 11025 + 17, 2))
    path = write_wav(tmp_path / "noise.wav", samples, 11025)
    whole = np.concatenate(
        [np.zeros((11025, 2)), np.round(samples * 32767) / 32768, np.zeros((5 * 11025, 2))]
    )
    plan = mixdown.MixPlan("noise", path, None, begin, 3.5, np.array([1.0, 0.5], np.float32))
    with plan.open(str(tmp_path)) as source:
        blocks = list(plan.blocks(source))
    joined = np.concatenate(blocks)
    start = 11025 + round(begin * 11025)
    volume = np.linspace(1.0, 0.5, len(joined))
    assert len(blocks) == 4 and len(joined) == round(3.5 * 11025)
    assert np.abs(joined - whole[start : start + len(joined)].mean(axis=1) * volume).max() < 1e-4


@pytest.mark.parametrize("fps, base", [(30000, 1e-4), (1, 100.0)])
def test_at_an_absurd_frame_rate_no_voice_is_taken_and_why_is_said(
    blender, scene, tmp_path, fps, base
):
    path, scene = clicks(tmp_path / "c.wav", (0.4,), 1.0), blender.context.scene
    voice = place(scene, path)
    scene.render.fps, scene.render.fps_base = fps, base
    for take in (lambda: strip.of_file(scene, str(path)), lambda: strip.of_strip(scene, voice)):
        with pytest.raises(errors.BadSound, match="frames per second: set 1 to 1000 in its Output"):
            take()
