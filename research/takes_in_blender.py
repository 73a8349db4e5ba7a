# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of research/commit.py and of research/speed.py that runs inside one Blender, whose
Python has bpy.

FOLDER holds takes as NPZ (expression, jaw, head, eyes, opening, width, channels). `python -m
research.takes_in_blender commit FOLDER ERROR …` commits each in both ways at several errors, prints
a line of JSON for each commit, and writes its motion at 25 fps into the folder that MOTIONS names,
as NPZ (expression, jaw). `… key FOLDER RUNS` keys all of them on every frame, and prints a line of
JSON with medians of RUNS and the size in a saved file.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

# read once, at import
RESOURCES = os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="thunder_bench_")

import bpy
import numpy as np

import bake

bake.load_extension()

from thunder.scene.animation import display, keying
from thunder.scene.heads import head, rna_paths
from thunder.scene.host import compat
from thunder.scene.takes import take_list
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.moving import displacement
from thunder.thunder_core.types import CLOSED_MM

SCENE_FPS = 24  # differs from the motion's 25, so every value is resampled, as in most scenes
PARTS = 8  # samples per frame at which errors are measured
BEYOND = 1e-5  # single precision


def performance(path: Path) -> keying.TakeData:
    """The take in a file."""
    with np.load(path) as take:
        motion = types.Motion(*(take[name] for name in ("expression", "jaw", "head", "eyes")))
        return keying.TakeData(
            motion, tuple(map(str, take["channels"])), take["opening"], take["width"], 1, 0.0, {}
        )


def new_scene():
    """A new scene with the bundled head alone; (scene, its rig, its clock)."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = SCENE_FPS, 1.0
    bpy.ops.thunder.add_head()  # type: ignore[attr-defined]  # registered by the extension
    return scene, head.find(scene), timing.Clock.of(scene, 1.0)


def visible_values(rig, times: np.ndarray) -> tuple[np.ndarray, list]:
    """Values of a rig's tracks at times [S], [S, tracks], and the curves it plays."""
    curves = [
        {(curve.data_path, curve.array_index): curve for curve in compat.curves_for(target)}
        for target in rig.targets
    ]
    values = np.empty((len(times), len(rig.driver.tracks)))
    for place, track in enumerate(rig.driver.tracks):
        curve = curves[track.block].get((track.path, track.index))
        target = rig.targets[track.block]
        if curve is None:
            values[:, place] = rna_paths.value(target, track.path, track.index)
        else:
            values[:, place] = rna_paths.visible_values(
                target, np.array([curve.evaluate(time) for time in times]), track.path
            )
    return values, [curve for of_target in curves for curve in of_target.values()]


def overshoot(curves: list) -> float:
    """Largest overshoot of curves beyond two neighbouring keys, as a share of each curve's
    range."""
    worst = 0.0
    for curve in curves:
        keys = [tuple(point.co) for point in curve.keyframe_points]
        if len(keys) < 2:
            continue
        inside = [
            [curve.evaluate(t) for t in np.linspace(a[0], b[0], 17)]
            for a, b in zip(keys[:-1], keys[1:])
        ]
        span = max(map(max, inside)) - min(map(min, inside))
        if span < BEYOND:
            continue
        for part, a, b in zip(inside, keys[:-1], keys[1:]):
            out = max(max(part) - max(a[1], b[1]), min(a[1], b[1]) - min(part)) - BEYOND
            worst = max(worst, out / span)
    return worst


def commit_take(path: Path, kind: str, error: float) -> dict:
    """Key a take, commit it to a new action and measure the result."""
    (scene, rig, clock), take = new_scene(), performance(path)
    actions = progress.result(keying.write_take(rig, take, clock, "take"))
    entry = take_list.add_to_list(scene, rig, actions, take, "voice", clock)
    display.show(rig, entry)
    first, last = entry.first, entry.last
    times = first + np.arange((last - first) * PARTS + 1) / PARTS
    channels = head.channel_names()
    before, _ = visible_values(rig, times)
    settings = scene.thunder.commit
    settings.to, settings.keys = "NEW", kind
    settings.accuracy, settings.error = "CUSTOM", error
    report = progress.result(committing.commit(rig, entry, "committed", choice_of(scene, entry)))
    spoken = progress.result(
        keying.read_quietly(rig, channels, clock, take.motion.frames / types.FPS)
    )
    np.savez(
        Path(os.environ["MOTIONS"], f"{path.stem} {kind} {error:g}.npz"),
        expression=spoken.expression,
        jaw=spoken.jaw,
    )
    after, curves = visible_values(rig, times)
    places = [
        displacement.positions(rig.driver.read(values, channels)) for values in (before, after)
    ]
    off = displacement.group_distances(places[0] - places[1])
    gaps = [displacement.face_meter().gap(part) for part in places]
    closed = gaps[0][::PARTS] < CLOSED_MM
    keys = [[round(point.co[0]) for point in curve.keyframe_points] for curve in curves]
    by_region: dict[str, set] = {}
    for curve, frames in zip(curves, keys):
        by_region.setdefault(curve.group.name, set()).update(frames)
    mouth = sorted(
        set().union(
            *(by_region.get(region, ()) for region in ("Mouth", "Jaw", "Cheeks & Nose", "Tongue"))
        )
    )
    poses = {
        column.index + report.first: column.pose for column in report.poses if column.pose >= 0
    }
    return {
        "voice": path.stem,
        "way": kind,
        "error": error,
        "frames": report.frames,
        "seconds": report.frames / SCENE_FPS,
        "keys": sum(map(len, keys)),
        "keys_in_message": report.keys,
        "key_frames": len(set().union(*map(set, keys))),
        "mouth_frames": [frame - first for frame in mouth],
        "poses": [[frame - first, number] for frame, number in poses.items()],
        "lips_mm": float(off[:, 0].max()),
        "closed_frames": int(closed.sum()),
        "closed_met": int((gaps[1][::PARTS][closed] < CLOSED_MM).sum()),
        "gap_off_mm": float(np.abs(gaps[0] - gaps[1])[::PARTS][closed].max(initial=0.0)),
        "overshoot": overshoot(curves),
    }


def saved_bytes() -> int:
    """The size of the open file, saved compressed."""
    path = os.path.join(RESOURCES, "size.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=True, copy=True)
    return os.path.getsize(path)


def key_takes(takes: list[keying.TakeData]) -> dict:
    """Key all takes in a new scene, as Generate does: seconds, those of the processor, keys, and by
    how much the file grows."""
    scene, rig, clock = new_scene()
    progress.result(rig.driver.prepare())
    before, spent, working = saved_bytes(), 0.0, 0.0
    for number, take in enumerate(takes):
        began, busy = time.perf_counter(), time.process_time()
        values = progress.result(keying.values_of(rig, take, clock))
        actions = progress.result(keying.write_take(rig, take, clock, f"take {number}", values))
        spent, working = spent + time.perf_counter() - began, working + time.process_time() - busy
        take_list.add_to_list(scene, rig, actions, take, "voice", clock)
    keys = sum(
        len(curve.keyframe_points)
        for action in bpy.data.actions
        for curve in compat.all_curves(action)
    )
    minutes = sum(take.motion.frames for take in takes) / types.FPS / 60
    size = (saved_bytes() - before) / 1e6 / minutes
    return {
        "seconds": spent,
        "processor_seconds": working,
        "keys": keys,
        "mb_per_take_minute": size,
    }


def main() -> None:
    """Commit or key every take in a folder."""
    what, folder, *numbers = sys.argv[1:]
    paths = sorted(Path(folder).glob("*.npz"))
    if what == "commit":
        for path in paths:
            for kind in ("POSES", "BLOCKING"):
                for error in map(float, numbers):
                    print("\n" + json.dumps(commit_take(path, kind, error)), flush=True)
    else:
        takes = [performance(path) for path in paths]
        runs = [key_takes(takes) for _ in range(int(numbers[0]))]
        medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print("\n" + json.dumps(medians | {"blender": bpy.app.version_string}), flush=True)
    shutil.rmtree(RESOURCES, ignore_errors=True)
    os._exit(0)  # Blender 4.2 may crash on exit, which does not affect the measurements


if __name__ == "__main__":
    main()
