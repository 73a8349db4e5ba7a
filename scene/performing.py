# SPDX-License-Identifier: GPL-3.0-or-later
"""From a voice to a list of takes: asks the engine for performances and keys them on the head."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import bpy

from ..thunder_core.client import Client
from ..thunder_core.errors import BadHead, WorkerDied
from ..thunder_core.types import Motion
from . import engine_session, head, keying, mixdown, strip, takes
from .resample import Clock
from .work import Step

_SAMPLING = (0.05, 0.92)  # the part of the bar that the engine's own progress fills


def ask(client: Client, verb: str, span: tuple[float, float], message: str, **args) -> Iterator[Step]:
    """Send a request and wait for it in steps; the generator's value is the result. Closing it cancels."""
    pending = client.request(verb, **args)
    fraction = 0.0
    try:
        while not pending.done:
            for event in pending.poll():
                if event["event"] == "progress":
                    fraction, message = event["fraction"], event["message"] or message
            if not pending.done:
                yield Step(span[0] + fraction * (span[1] - span[0]), message)
    finally:
        if not pending.done:
            pending.cancel()
    if pending.error is not None:
        if isinstance(pending.error, WorkerDied):
            engine_session.keep_log(pending.error.log)
        raise pending.error
    return pending.result


def sound_for_engine(client: Client, voice: strip.Voice) -> Iterator[Step]:
    """Steps that put the sound of a voice where the engine can read it; the value is the path."""
    if voice.path:
        return voice.path
    path = os.path.join(client.folder, f"voice_{time.monotonic_ns()}.wav")
    for fraction in mixdown.mix_down(voice, path):
        yield Step(0.05 * fraction, "Mixing down the voice", busy=True)
    return path


def performances(client: Client, sound: str, count: int, seed: int, steps: int,
                 guidance: float = 1.0) -> Iterator[Step]:
    """Steps that sample takes of a sound file; the value is the list of keying.Performance, best first."""
    result = yield from ask(client, "generate", _SAMPLING, "Waking the engine", sound=sound, takes=count,
                            seed=seed, steps=steps, guidance=guidance)
    channels = tuple(result["channels"])
    common = {
        "engine": result.get("engine", "thunder"), "weights": result.get("weights", ""),
        "audio": result.get("audio", ""), "steps": steps, "guidance": guidance, "head": "thunder",
    }
    found = []
    for take in result["takes"]:
        array = {name: client.get_array(result, take.get(name))
                 for name in ("expression", "jaw", "head", "eyes", "opening", "width")}
        motion = Motion(array["expression"], array["jaw"], array["head"], array["eyes"], float(result["fps"]))
        found.append(keying.Performance(motion, channels, array["opening"], array["width"], int(take["seed"]),
                                       float(take["score"]), dict(common)))
    client.forget(result)  # the arrays are read: their files would pile up until Blender ends
    return found


def generate(client: Client, voice: strip.Voice, scene: bpy.types.Scene, rig: head.Rig, count: int, seed: int,
             steps: int, keep: list | None = None) -> Iterator[Step]:
    """Steps that sample takes of a voice, key each as actions of its own, list them and show the best.

    Until the last steps nothing in the file changes; a failure leaves the scene as it was. `keep`, a list,
    receives the performances for a caller that wants the numbers too. Raises ThunderError.
    """
    scene_name, mesh_name = scene.name, rig.mesh.name
    made: list[str] = []
    listed = False
    sound = ""
    try:
        sound = yield from sound_for_engine(client, voice)
        sampled = yield from performances(client, sound, count, seed, steps)
        # The animator went on working meanwhile: what was found before may have been undone away.
        scene, rig = _again(scene_name, mesh_name)
        head.check_animatable(rig)
        clock = Clock.of(scene, voice.clock.start)
        keyed = []
        for rank, performance in enumerate(sampled):
            step = Step(0.92 + 0.07 * rank / len(sampled), f"Keying take {rank + 1} of {len(sampled)}", busy=True)
            name = f"{voice.name} · take {rank + 1} · seed {performance.seed}"
            actions = []
            for actions in keying.key(rig, performance, clock, name):
                yield step
            made += [action.name for action in actions]
            keyed.append((actions, performance))
        yield Step(0.99, "Showing the best take", busy=True)
        _list(scene, rig, voice.name, clock, keyed, set(made))
        listed = True
        if keep is not None:
            keep += sampled
    finally:
        if not listed:
            for name in made:
                if name in bpy.data.actions:
                    bpy.data.actions.remove(bpy.data.actions[name])
        if sound and not voice.path and os.path.exists(sound):
            os.remove(sound)


def _list(scene, rig: head.Rig, voice: str, clock: Clock, keyed: list, made: set[str]) -> None:
    entries = scene.thunder.takes
    for actions, performance in keyed:
        takes.add_to_list(scene, rig, actions, performance, voice, clock)
    for rank in range(len(keyed)):
        entries.move(len(entries) - len(keyed) + rank, rank)
    scene.thunder.active_take = 0
    takes.forget_replaced(scene, rig, voice, made)


def _again(scene_name: str, mesh_name: str):
    scene, mesh = bpy.data.scenes.get(scene_name), bpy.data.objects.get(mesh_name)
    if scene is None or mesh is None or mesh.name not in scene.objects:
        raise BadHead("The head was removed while its takes were made: choose a head and generate again")
    return scene, head.resolve(mesh)
