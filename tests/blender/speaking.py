# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances with speech in them, keyed, listed and shown, for tests that shape, mix and keep
them."""

import numpy as np
from performances import show_take
from thunder.scene.animation import fcurves, keying
from thunder.scene.engine import connection
from thunder.scene.heads import head as head_module
from thunder.thunder_core import progress, types
from thunder.thunder_core.face import lips
from thunder.thunder_core.face.lips import bundled_lips


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
    about = {
        "engine": "thunder",
        "weights": connection.shipped_fingerprint(),
        "audio": "a",
        "steps": 20,
        "guidance": 1.0,
        "head": "thunder",
    }
    return keying.TakeData(
        motion, names, opening, np.full(count, 50, np.float32), seed, 80.0, about
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
