# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances and sounds with known events, made here, for tests that key, shape, mix and read them
back."""

import contextlib
import json
import wave
from dataclasses import replace

import numpy as np
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.engine import connection
from thunder.scene.heads import head as head_module
from thunder.scene.host import jobs
from thunder.scene.takes import browsing, take_list
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.moving import lips
from thunder.thunder_core.face.moving.lips import bundled_lips


def made_by_us():
    """What a take of ours records of how it was made."""
    return {
        "engine": "thunder",
        "weights": connection.shipped_fingerprint(),
        "audio": "a",
        "steps": 20,
        "guidance": 1.0,
        "head": "thunder",
    }


def performance(seconds=3.0, closed_at=(1.0,), seed=7, score=80.0, shut=False):
    """An open mouth (0.2 rad) that closes for a single 25 fps frame at the given times, brows
    waving; nothing is found in it."""
    channels = head_module.channel_names()
    count = round(seconds * 25)
    expression = np.zeros((count, len(channels)), np.float32)
    expression[:, channels.index("browInnerUp")] = 0.5 + 0.4 * np.sin(np.arange(count) / 5 + seed)
    expression[:, channels.index("mouthPucker")] = 0.3
    jaw = np.zeros((count, 3), np.float32)
    jaw[:, 0] = 0.0 if shut else 0.2
    for time in closed_at:
        jaw[round(time * 25), 0] = 0.0
    head = np.zeros((count, 3), np.float32)
    head[:, 1] = 0.1 * np.sin(np.arange(count) / 9)
    eyes = np.zeros((count, 3), np.float32)
    eyes[:, 0] = 0.05
    motion = types.Motion(expression, jaw, head, eyes)
    opening = jaw[:, 0] / 0.3 * 30
    provenance = {**made_by_us(), "parts": {}, "findings": "[]"}
    return keying.TakeData(
        motion, channels, opening, np.full(count, 50, np.float32), seed, score, provenance
    )


def write_wav(path, samples, rate=16000):
    """16-bit WAV of samples [n] or [n, channels] in −1..1."""
    samples = np.atleast_2d(np.asarray(samples, float).T).T
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return str(path)


def noise(path, seconds=2.0, seed=0, rate=16000):
    """A sound file in which something is heard all the time; its path."""
    return write_wav(
        path, 0.3 * np.random.default_rng(seed).standard_normal(int(rate * seconds)), rate
    )


def clicks(path, times, seconds, rate=16000):
    """Silence with a 2 ms burst at each time."""
    samples = np.zeros(int(seconds * rate))
    for time in times:
        start = int(round(time * rate))
        samples[start : start + rate // 500] = 0.8
    return write_wav(path, samples, rate)


def read_wav(path):
    """Samples [n] (mean of the channels) and rate of a float or 16-bit WAV."""
    with open(path, "rb") as file:
        data = file.read()
    kind, channels, rate, _, _, bits = np.frombuffer(
        data[20:36], np.dtype("<u2,<u2,<u4,<u4,<u2,<u2")
    )[0]
    at = data.find(b"data")
    body = data[at + 8 : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]
    if kind == 1:
        samples = np.frombuffer(body, "<i2") / 32768.0
    else:
        samples = np.frombuffer(body, "<f4").astype(float)
    assert bits in (16, 32)
    return samples.reshape(-1, int(channels)).mean(axis=1), int(rate)


def set_keys(thing, path, values, index=-1):
    """Keys of the animator's on a property {frame: value}, or on one component of it."""
    for frame, value in values.items():
        if index < 0:
            setattr(thing, path, value)
        else:
            getattr(thing, path)[index] = value
        assert thing.keyframe_insert(path, index=index, frame=frame)


def jaws(scene, rig, frames):
    """How far the jaw is open at frames, {frame: radians}."""
    angles = {}
    for frame in frames:
        scene.frame_set(frame)
        angles[frame] = rig.armature.pose.bones["jaw"].rotation_euler[0]
    return angles


def key(rig, made, clock, name="take"):
    """The actions of a performance keyed in one go."""
    return progress.result(keying.write_take(rig, made, clock, name))


def list_take(stage, made, start=1.0, voice="voice"):
    """Key a performance from a frame of the scene on and list it: its entry. stage: (scene,
    rig)."""
    scene, rig = stage
    clock = timing.Clock.of(scene, start)
    return take_list.add_to_list(
        scene, rig, key(rig, made, clock, f"take {made.seed}"), made, voice, clock
    )


def listed_seeds(bpy):
    """Seeds of the listed takes, from the top."""
    entries = bpy.context.scene.thunder.takes
    return [entries[place].seed for place in browsing.order(bpy.context)]


def record_in(entry):
    """All that a take's action records of it."""
    return entry.action[keying.PROPERTY].to_dict()


def show_take(stage, made, start=1.0, voice="voice"):
    """The same, and show it."""
    entry = list_take(stage, made, start, voice)
    display.show(stage[1], entry)
    return entry


def say_take(stage, made, said, start=1.0, voice="voice"):
    """The same of a performance that says these sounds."""
    provenance = made.provenance | {keying.SAID: json.dumps(said)}
    return show_take(stage, replace(made, provenance=provenance), start, voice)


def trim_start(strip, frames):
    """Cut the first frames of a strip's content off, the content staying where it is."""
    setattr(
        strip,
        "left_handle_offset" if hasattr(strip, "left_handle_offset") else "frame_offset_start",
        frames,
    )


def trim_end(strip, frames):
    """Cut the last frames of a strip's content off."""
    setattr(
        strip,
        "right_handle_offset" if hasattr(strip, "right_handle_offset") else "frame_offset_end",
        frames,
    )


def load_into_empty(bpy, folder, link=False, **names):
    """Save the file and append or link what has these names, {"objects": ["face"]}, into an empty
    one."""
    path = str(folder / "loaded.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=link) as (_, here):
        for kind, wanted in names.items():
            setattr(here, kind, wanted)


def reopen(bpy, folder):
    """Save the file and open it again; its scene."""
    path = str(folder / "reopened.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    return bpy.context.scene


@contextlib.contextmanager
def walks():
    """The names of the scenes whose playhead moves within this block."""
    walked = []
    with jobs.handled("frame_change_pre", lambda scene, *_: walked.append(scene.name)):
        yield walked


# ---- with speech in them


def speak(seconds=4.0, seed=0, closed=(0.6, 1.3, 1.5, 2.4, 3.3), rest=0.4):
    """A performance in which many channels move and lips close over an open jaw; 25 fps."""
    names = head_module.channel_names()
    rng = np.random.default_rng(seed)
    count = round(seconds * 25)
    at = np.arange(count) / 25
    alive = np.clip(np.minimum(at - rest, seconds - rest - at) / 0.15, 0, 1)

    def wave(slow, fast):
        return 0.5 + 0.5 * np.sin(6.28 * (rng.uniform(slow, fast) * at + rng.random()))

    expression = np.zeros((count, len(names)), np.float32)
    for column, name in enumerate(names):
        if name.startswith(
            ("mouthSmile", "mouthFunnel", "mouthLowerDown", "mouthUpperUp", "mouthPucker")
        ):
            expression[:, column] = 0.4 * wave(1, 4) * alive
        elif name.startswith(("brow", "nose")):
            expression[:, column] = 0.5 * wave(0.2, 1)
        elif name.startswith("eyeBlink"):
            expression[:, column] = np.maximum(0, 1 - np.abs(at - 1.0 - 0.1 * seed) / 0.1)
    jaw = np.zeros((count, 3), np.float32)
    jaw[:, 0] = (0.06 + 0.2 * wave(2, 4)) * alive
    head, eyes = (
        0.1 * np.stack([wave(0.2, 0.6) for _ in range(3)], 1).astype(np.float32) - 0.05
        for _ in range(2)
    )
    motion = types.Motion(expression, jaw, head, eyes)
    for time in closed:
        motion, _ = lips.close(motion, names, time * 25)
    motion = types.Motion(
        *(
            np.asarray(part, np.float32)
            for part in (motion.expression, motion.jaw, motion.head, motion.eyes)
        )
    )
    opening = bundled_lips().opening(motion, names)
    return keying.TakeData(
        motion, names, opening, np.full(count, 50, np.float32), seed, 80.0, made_by_us()
    )


def enter(stage, start=1.0, **how):
    """Key a speaking performance, list and show it; its entry."""
    return show_take(stage, speak(**how), start)


def keys_of(rig, entry):
    """Every key of every track, all its parts, as plain arrays."""
    return [
        None if curve is None else fcurves.read(curve)
        for curve in keying.curves_of_tracks(rig, entry)
    ]


def same(one, other):
    """Whether two lists of keys are bit for bit the same."""
    return all(
        (a is None and b is None)
        or (
            a is not None
            and b is not None
            and all(a[part].shape == b[part].shape and (a[part] == b[part]).all() for part in a)
        )
        for a, b in zip(one, other)
    )


def values_of(rig, entry, frames):
    """What a take's curves say at frames: [S, tracks]."""
    return keying.values_at(rig, keying.curves_of_tracks(rig, entry), frames)


def opening_of(rig, entry, frames):
    """How far a take opens the lips at frames, millimetres."""
    motion = progress.result(keying.shown_motion(rig, values_of(rig, entry, frames), 24.0))
    return bundled_lips().opening(motion, head_module.channel_names())


def tracks(rig, *names):
    """Places of the tracks whose path has one of the names."""
    return [
        place
        for place, track in enumerate(rig.driver.tracks)
        if any(name in track.path for name in names)
    ]
