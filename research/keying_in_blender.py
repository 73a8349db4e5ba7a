# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of research/speed.py that runs inside one Blender: keying takes on every frame, and their size in a saved file.

`python -m research.keying_in_blender FOLDER [--runs 5]` in a Python that has bpy; FOLDER holds takes as NPZ (expression, jaw,
head, eyes, opening, width, channels). Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path

RESOURCES = os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="thunder_bench_")  # read once, at import

import bpy
import numpy as np

import bake

bake.load_extension()

from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import take_list
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import timing

SCENE_FPS = 24  # differs from the motion's 25, so every value is resampled, as in most scenes


def performances(folder: Path) -> list[keying.Performance]:
    """The takes in a folder."""
    result = []
    for seed, path in enumerate(sorted(folder.glob("*.npz"))):
        with np.load(path) as take:
            motion = types.Motion(*(take[name] for name in ("expression", "jaw", "head", "eyes")))
            result.append(keying.Performance(motion, tuple(map(str, take["channels"])), take["opening"], take["width"], seed, 50.0, {}))
    return result


def empty_scene():
    """A new scene with the bundled head alone; (scene, its rig)."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = SCENE_FPS, 1.0
    bpy.ops.thunder.add_head()
    return scene, head.find(scene)


def saved_bytes() -> int:
    """The size of the open file, saved compressed."""
    path = os.path.join(RESOURCES, "size.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, compress=True, copy=True)
    return os.path.getsize(path)


def keyed(takes: list[keying.Performance]) -> dict:
    """Key all takes in a new scene, as Generate does: seconds in total, seconds for computing values, and growth of the file.

    processor_seconds: the same without other programs' share of a busy machine."""
    scene, rig = empty_scene()
    clock = timing.Clock.of(scene, 1.0)
    progress.result(rig.driver.prepare())
    before, spent = saved_bytes(), {"values": 0.0, "curves": 0.0}
    working = 0.0
    for number, take in enumerate(takes):
        began, busy = time.perf_counter(), time.process_time()
        values = progress.result(keying.values_of(rig, take, clock))
        halfway = time.perf_counter()
        actions = progress.result(keying.key(rig, take, clock, f"take {number}", values))
        spent["values"] += halfway - began
        spent["curves"] += time.perf_counter() - halfway
        working += time.process_time() - busy
        take_list.add_to_list(scene, rig, actions, take, "voice", clock)
    curves = [curve for action in bpy.data.actions for curve in compat.all_curves(action)]
    minutes = sum(take.motion.frames for take in takes) / types.FPS / 60
    return {
        "seconds": sum(spent.values()),
        "processor_seconds": working,
        "values_seconds": spent["values"],
        "curves_seconds": spent["curves"],
        "curves": len(curves),
        "keys": sum(len(curve.keyframe_points) for curve in curves),
        "mb_per_take_minute": (saved_bytes() - before) / 1e6 / minutes,
    }


def main() -> None:
    """Measure several times; print the medians."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    takes = performances(args.folder)
    runs = [keyed(takes) for _ in range(args.runs)]
    result = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    print("\n" + json.dumps(result | {"takes": len(takes), "blender": bpy.app.version_string}), flush=True)
    shutil.rmtree(RESOURCES, ignore_errors=True)
    os._exit(0)  # Blender 4.2 may crash on exit, which does not affect the measurements


if __name__ == "__main__":
    main()
