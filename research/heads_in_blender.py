# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of research/heads.py that runs inside one Blender: building, playing and exporting
heads. Prints one line of JSON at the end.

`python -m research.heads_in_blender FLAME_FILE` in a Python that has bpy. Times are medians, of the
clock and of the processor: on a busy machine the clock includes other programs' work, and the
processor time sums all cores.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time

# read once, at import
RESOURCES = os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="thunder_bench_")

import bpy
import numpy as np

import bake
from research.harness import use_tests

bake.load_extension()

use_tests("blender")
import round_trip
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.media import export
from thunder.scene.takes import take_list
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing

RATE = (25, 1.0)
PLAYED = 250  # frames
RUNS = 5


def empty_scene():
    """A new scene without anything in it."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = RATE
    return scene


def seconds(action, before=lambda: None, runs=RUNS):
    """(clock, processor), medians of several runs, each after `before`; the last one's result is
    left in the file."""
    clock, processor = [], []
    for _ in range(runs):
        before()
        began = time.perf_counter(), time.process_time()
        action()
        clock.append(time.perf_counter() - began[0])
        processor.append(time.process_time() - began[1])
    return statistics.median(clock), statistics.median(processor)


def time_building(flame_file):
    """Seconds to build or find a head of each kind."""
    seconds_of = {"default head": seconds(lambda: bpy.ops.thunder.add_head(), empty_scene)}
    if flame_file:
        seconds_of["FLAME-format file"] = seconds(
            lambda: bpy.ops.thunder.add_flame_head(filepath=flame_file), empty_scene
        )

    def find_character():
        scene = empty_scene()
        bpy.ops.thunder.add_head()
        mesh = scene.thunder.head
        for block in mesh.data.shape_keys.key_blocks[1:]:
            block.name = "Face." + block.name[0].upper() + block.name[1:]
        mesh.parent = None
        mesh.modifiers.clear()
        jaw = mesh.shape_key_add(name="Face.JawOpen", from_mix=False)
        jaw.value = 0.0
        bpy.data.objects.remove(bpy.data.objects["Thunder Head Rig"])
        scene.thunder.head = mesh

    seconds_of["own character, found and mapped"] = seconds(
        lambda: head.find(bpy.context.scene), find_character
    )
    return seconds_of


def time_playing():
    """Milliseconds of frame_set over a take that moves all keys and bones: medians, and what one
    frame in twenty exceeds."""
    scene = empty_scene()
    bpy.ops.thunder.add_head()
    rig = head.find(scene)
    channels = head.channel_names()
    made = round_trip.motion(channels, PLAYED)
    still = np.full(made.frames, 5.0, np.float32)
    clock = timing.Clock.of(scene, 1)
    performance = keying.Performance(made, channels, still, still, 1, 50.0, {})
    actions = progress.result(keying.write_take(rig, performance, clock, "played"))
    entry = take_list.add_to_list(scene, rig, actions, performance, "played", clock)
    display.show(rig, entry)
    spent, processor = [], []
    for frame in [*range(1, PLAYED + 1)] * 2:
        began = time.perf_counter(), time.process_time()
        scene.frame_set(frame)
        spent.append(1e3 * (time.perf_counter() - began[0]))
        processor.append(1e3 * (time.process_time() - began[1]))
    before = round_trip.positions(bpy, scene, [rig.mesh], (20, 60))
    # check that the scene was not empty
    moved = float(np.abs(before[20][0][1] - before[60][0][1]).max() * 1e3)
    return {
        "clock, median": statistics.median(spent),
        "clock, 19 of 20 frames below": float(np.percentile(spent, 95)),
        "processor, median": statistics.median(processor),
        "moved_mm": moved,
        "vertices": len(rig.mesh.data.vertices),
        "keys": len(rig.keys.key_blocks) - 1,
    }


def time_exporting(folder):
    """Per format and importer: largest error in mm, bytes, seconds."""
    results = {}
    formats = export.FORMATS
    for key in round_trip.IMPORTS:
        for importer in round_trip.importers(bpy, key):
            scene = empty_scene()
            bpy.ops.thunder.add_head()
            rig = head.find(scene)
            rig.owner.location, rig.owner.rotation_euler = (0.3, -0.2, 1.5), (0, 0, 0.4)
            round_trip.show(rig, scene)
            round_trip.number_vertices([rig.mesh])
            before = round_trip.positions(bpy, scene, [rig.mesh])
            shot = export.Shot(
                scene, bpy.context.view_layer, rig, round_trip.FIRST, round_trip.LAST
            )
            path = os.path.join(folder, f"head{formats[key].suffix}")
            began = time.perf_counter()
            export.export(shot, formats[key], path)
            spent = time.perf_counter() - began
            scene = round_trip.bring_back(bpy, key, path, RATE, importer)
            meshes = [obj for obj in scene.objects if obj.type == "MESH"]
            after = round_trip.positions(bpy, scene, meshes)
            results[" ".join([formats[key].name, importer]).strip()] = {
                "error_mm": float(round_trip.farthest_mm(before, after)),
                "bytes": os.path.getsize(path),
                "seconds": spent,
            }
    return results


def main() -> None:
    """Print all figures as a line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        results = {
            "blender": bpy.app.version_string,
            "building": time_building(sys.argv[1] if len(sys.argv) > 1 else ""),
            "playing": time_playing(),
            "exporting": time_exporting(folder),
        }
    print("\n" + json.dumps(results), flush=True)
    shutil.rmtree(RESOURCES, ignore_errors=True)
    os._exit(0)  # Blender 4.2 may crash on exit, which does not affect the measurements


if __name__ == "__main__":
    main()
