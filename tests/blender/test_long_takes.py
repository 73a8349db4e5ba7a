# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of a long voice get few keys as they are keyed, so that an hour fits into memory, and move
the face as others do."""

import numpy as np
import pytest
from commit_stage import distances
from performances import key, noise, performance
from thunder.scene.animation import display, keying
from thunder.scene.host import compat
from thunder.scene.takes import generation, provenance, sampling, track_values
from thunder.scene.voice import strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.lips import opening_mm


@pytest.fixture
def long(monkeypatch):
    """What is long enough for few keys is a few seconds here."""
    monkeypatch.setattr(keying, "LONG_SECONDS", 4.0)
    monkeypatch.setattr(keying, "_LONG_PIECE", 50)
    return keying


def said(rig, action, frames):
    """The motion and number of keys of an action."""
    found = []
    for index in range(len(rig.targets)):
        part, slot = display.part_of(action, rig, index)
        found.append({(c.data_path, c.array_index): c for c in compat.curves_of(part, slot)})
    curves = [found[track.block][track.path, track.index] for track in rig.driver.tracks]
    values = track_values.values(rig, curves, frames)
    return progress.result(track_values.motion(rig, values, 24.0)), sum(
        len(curve.keyframe_points) for curve in curves
    )


def speaking(seconds):
    """A performance in which everything moves, as irregularly as speech."""
    made = performance(seconds=seconds, closed_at=(1.0, 2.04, 5.0, 7.32))
    rng, count = np.random.default_rng(0), made.motion.frames

    def wander(channels, period, most):
        places = np.arange(0, count + period, period)
        curve = np.stack(
            [
                np.interp(np.arange(count), places, rng.uniform(0, most, len(places)))
                for _ in range(channels)
            ],
            1,
        )
        kernel = np.hanning(5) / np.hanning(5).sum()
        return np.apply_along_axis(
            lambda x: np.convolve(np.pad(x, 2, mode="edge"), kernel, "valid"), 0, curve
        ).astype(np.float32)

    motion = made.motion
    motion.expression[:] = (
        wander(motion.expression.shape[1], 10, 0.5) * np.arange(motion.expression.shape[1]) % 3 / 3
    )
    motion.jaw[:, 0] *= 0.3 + 3 * wander(1, 6, 0.3)[:, 0]
    motion.head[:], motion.eyes[:] = wander(3, 20, 0.2), wander(3, 9, 0.2)
    return made


@pytest.mark.parametrize("fps", [24, 60])
def test_few_keys_move_the_lips_as_many_do(rig, long, monkeypatch, fps):
    made = speaking(9.0)
    clock = timing.Clock(1.0, float(fps))
    frames = clock.scene_frames(made.motion.frames)
    few, few_keys = said(rig, key(rig, made, clock), frames)
    monkeypatch.setattr(long, "LONG_SECONDS", 600.0)
    many, many_keys = said(rig, key(rig, made, clock), frames)
    assert few_keys < many_keys / 2
    off = distances(few, many)
    assert off[0].max() <= long.LONG_ERROR + 1e-3, "at the lips"
    assert off[1].max() <= 2 * long.LONG_ERROR + 1e-3 and off[2].max() <= 3 * long.LONG_ERROR + 1e-3
    shut = opening_mm(many) < 0.1
    assert shut.any() and (opening_mm(few)[shut] < 0.15).all()


def test_pieces_join_on_one_key_without_a_jump(rig, long):
    made = performance(seconds=9.0)
    clock = timing.Clock(1.0, 24.0)
    for action in key(rig, made, clock):
        for curve in compat.all_curves(action):
            frames = np.array([point.co[0] for point in curve.keyframe_points])
            assert (np.diff(frames) > 0.5).all(), f"{curve.data_path} has two keys on a frame"
            # the first seam is on frame 51
            fine = np.array([curve.evaluate(f) for f in np.arange(45, 57, 0.1)])
            step = np.abs(np.diff(fine))
            assert step.max() <= 10 * np.median(step) + 0.02


def test_the_animator_can_work_while_long_takes_are_reduced(
    blender, scene, rig, long, client, voice
):
    voice = strip.of_file(scene, noise(voice, 6.0))
    steps = generation.generate(client, voice, scene, rig, 2, 11, sampling.Sampling())
    free, busy = 0, 0
    for step in steps:
        if step.message.startswith("Writing keys") and not len(blender.data.actions):
            assert not step.busy
            free += 1
        busy += step.busy
    assert free > 50 and busy > 0
    assert len(scene.thunder.takes) == 2
    for entry in scene.thunder.takes:
        assert not provenance.is_edited(entry)
        read = progress.result(provenance.read(rig, entry))
        assert read.motion.frames == 150


def test_a_take_is_worked_out_again_when_the_frame_rate_changed_meanwhile(
    blender, scene, rig, long, client, voice
):
    voice = strip.of_file(scene, noise(voice, 6.0))
    steps = generation.generate(client, voice, scene, rig, 1, 11, sampling.Sampling())
    for step in steps:
        if step.message.startswith("Writing keys"):
            scene.render.fps = 30
    (entry,) = scene.thunder.takes
    assert entry.last - entry.first == pytest.approx(6 * 30, abs=2)
    curves = compat.all_curves(entry.action)
    assert max(curve.keyframe_points[-1].co[0] for curve in curves) == entry.last + entry.lead_out
