# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs an open graph editor to be measured: our reduction of keys beside Blender's own
decimate operator."""

import time

import bpy
import numpy as np
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import take_list
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import keyframes, timing
from thunder.thunder_core.animation.keys import reduce

ERROR = 0.01  # that a curve may be off: a hundredth of a shape key, about half a degree of a bone


def lively(count):
    """A motion of `count` frames in which every channel moves as faces do: some slowly, some at the
    rate of syllables."""
    rng, names = np.random.default_rng(0), head.channel_names()
    at = np.arange(count)[:, None] / 25
    rates = rng.uniform(0.3, 4.0, (1, len(names) + 9))
    phases = rng.uniform(0, 6.28, (1, len(names) + 9))
    x = 0.25 + 0.2 * np.sin(6.28 * rates * at + phases) + 0.05 * np.sin(6.28 * 1.7 * rates * at)
    x[:, len(names) :] *= 0.3
    parts = np.split(x.astype(np.float32), [len(names), len(names) + 3, len(names) + 6], axis=1)
    still = np.full(count, 5.0, np.float32)
    return keying.TakeData(types.Motion(*parts), names, still, still, 1, 50.0, {})


def curves_of(rig):
    """The curves of the actions that the rig's data-blocks play."""
    return [curve for target in rig.targets for curve in compat.curves_for(target)]


def off(curves, frames, wanted):
    """The farthest that curves are from values [T, curves] at whole frames."""
    return max(
        abs(curve.evaluate(float(frame)) - value)
        for curve, of_curve in zip(curves, wanted.T)
        for frame, value in zip(frames, of_curve)
    )


def reduces(hand, seconds=60.0, runs=3):
    """A take with a key on every frame becomes few keys, by Blender and by us, in turn."""
    hand.call(bpy.ops.thunder.add_head)
    yield 0.5
    scene = hand.scene
    rig, clock = head.find(scene), timing.Clock.of(scene, 1.0)
    made = lively(round(seconds * 25))
    actions = progress.result(keying.write_take(rig, made, clock, "take"))
    display.show(rig, take_list.add_to_list(scene, rig, actions, made, "voice", clock))
    area = hand.viewport
    area.type = "GRAPH_EDITOR"
    area.spaces.active.dopesheet.show_only_selected = False
    yield 1.0
    region = next(region for region in area.regions if region.type == "WINDOW")
    curves = curves_of(rig)
    dense = [fcurves.read(curve) for curve in curves]
    frames = dense[0]["co"][:, 0].astype(float)
    wanted = np.stack([keys["co"][:, 1] for keys in dense], 1).astype(float)
    pairs, seen = [], {}
    for _ in range(runs):
        for curve, keys in zip(curves, dense):
            fcurves.write(curve, keys)
        with bpy.context.temp_override(window=hand.window, area=area, region=region):
            bpy.ops.graph.select_all(action="SELECT")
            began = time.perf_counter()
            answer = bpy.ops.graph.decimate(mode="ERROR", factor=1.0, remove_error_margin=ERROR)
            blenders = time.perf_counter() - began
        seen["answer"] = sorted(answer)
        seen["blender_keys"], seen["blender_off"] = (
            sum(len(c.keyframe_points) for c in curves),
            off(curves, frames, wanted),
        )
        yield 0.1
        began = time.perf_counter()
        for place, curve in enumerate(curves):
            fcurves.write(
                curve, keyframes.from_reduced(reduce(frames, wanted[:, place], ERROR), frames)
            )
        ours = time.perf_counter() - began
        seen["our_keys"], seen["our_off"] = (
            sum(len(c.keyframe_points) for c in curves),
            off(curves, frames, wanted),
        )
        pairs.append((blenders, ours))
        yield 0.1
    hand.seen |= seen | {
        "curves": len(curves),
        "dense_keys": sum(len(keys["co"]) for keys in dense),
        "blender_seconds": sorted(pair[0] for pair in pairs)[runs // 2],
        "our_seconds": sorted(pair[1] for pair in pairs)[runs // 2],
        "times_faster": sorted(a / b for a, b in pairs)[runs // 2],
    }
