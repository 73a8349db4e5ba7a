# SPDX-License-Identifier: GPL-3.0-or-later
"""The films of a study: the bundled head plays a motion, with the voice; runs in a Python that has
bpy.

All films use the same head, light and camera. Existing films are not rendered again.
"""

import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

# read once, when bpy is imported
os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="thunder_study_"))

import numpy as np

try:
    import bpy
except ImportError:
    bpy = None

from research.study.pairs import film_path, is_weights, motion_path, StudyError

FPS = 25


def check(folder: Path, plan: dict) -> None:
    """Raise StudyError if missing films of a plan cannot be drawn here; called before the study
    begins."""
    performed = {plan["films"][name]["system"] for name in _wanted_films(folder, plan)}
    if not performed:
        return
    if bpy is None:
        raise StudyError(
            "This Python has no bpy: run `make` with a Python that has it, such as "
            ".venv/bpy-5.0/bin/python"
        )
    if not bpy.app.build_options.audaspace:
        raise StudyError(
            "This Blender was built without sound, which the films need: use another one"
        )
    import bake

    bake.load_extension()
    from thunder.scene.engine import connection
    from thunder.thunder_core.engine_python import find_engine_python
    from thunder.thunder_core.errors import ThunderError

    try:
        for system in plan["systems"]:
            if system["name"] in performed and is_weights(system["folder"]):
                client = connection.client(None, system["folder"] or None)
                find_engine_python(client.python, client.venvs)
    except ThunderError as error:
        raise StudyError(str(error)) from error


def draw(folder: Path, plan: dict) -> None:
    """Draw every missing film of a plan that passed `check`. Raises StudyError."""
    wanted = _wanted_films(folder, plan)
    if not wanted:
        return
    from thunder.thunder_core.errors import ThunderError

    systems = {system["name"]: system for system in plan["systems"]}
    try:
        # By system, so that one engine at a time is loaded.
        for number, name in enumerate(
            sorted(wanted, key=lambda name: list(systems).index(plan["films"][name]["system"])),
            start=1,
        ):
            film = plan["films"][name]
            print(f"film {number} of {len(wanted)}", flush=True)
            take = performance(systems[film["system"]], Path(plan["clips"][film["of"]]))
            render(
                take,
                Path(plan["clips"][film["clip"]]),
                film_path(folder, name),
                plan["seconds"],
                plan["size"],
            )
    except ThunderError as error:
        raise StudyError(str(error)) from error


def _wanted_films(folder: Path, plan: dict) -> list[str]:
    return [name for name in plan["films"] if not film_path(folder, name).exists()]


def performance(system: dict, clip: Path):
    """The take (`keying.TakeData`) with which a system performs a sound file. Raises
    ThunderError."""
    from thunder.scene.animation import keying
    from thunder.scene.engine import connection
    from thunder.scene.host import jobs
    from thunder.scene.takes import generation
    from thunder.thunder_core.animation import motion_file
    from thunder.thunder_core.request import Request

    if not is_weights(system["folder"]):
        motion, channels = motion_file.read(motion_path(system["folder"], clip))
        still = np.zeros(motion.frames, np.float32)
        return keying.TakeData(motion, channels, still, still, 0, math.nan, {})
    client = connection.client(None, system["folder"] or None)
    names = "takes", "seed", "quality", "steps", "guidance"
    request = Request(**{name: system[name] for name in names})
    steps = generation.sample_ranked(client, str(clip), request)
    takes = jobs.run_through("Sampling", steps, lambda step: None)
    return takes[system["take"] - 1] if system["take"] else min(takes, key=lambda take: take.seed)


def fit_length(take, seconds: float):
    """A take of another sound at the length of this one: repeated from its beginning, or cut."""
    motion = take.motion
    at = np.arange(max(1, round(seconds * motion.fps))) % motion.frames
    parts = {
        name: None if (x := getattr(motion, name)) is None else x[at]
        for name in ("expression", "jaw", "head", "eyes")
    }
    return replace(
        take, motion=replace(motion, **parts), opening=take.opening[at], width=take.width[at]
    )


def set_stage(sound: str) -> tuple:
    """The voice of a sound file and the bundled head in an empty scene of 25 fps, lit and seen
    through a camera. Raises ThunderError."""
    from thunder.scene.heads import head
    from thunder.scene.media import studio
    from thunder.scene.voice import strip

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start = FPS, 1
    voice = strip.of_strip(scene, strip.add(scene, sound, Path(sound).stem, 1))
    rig = head.build(scene.collection, bpy.context.view_layer)
    scene.thunder.head = rig.mesh
    scene.render.resolution_x = scene.render.resolution_y = 1080  # square, like the film
    studio.set_up(scene, [rig])
    scene.render.engine = "BLENDER_WORKBENCH"
    bpy.context.view_layer.update()
    return voice, rig


def render(take, clip: Path, path: Path, seconds: float, size: int) -> None:
    """Draw the head with a take and the voice of a sound file into an MP4 file. Raises
    ThunderError."""
    from thunder.cli.script import quiet
    from thunder.scene.host import jobs
    from thunder.scene.media import studio
    from thunder.scene.takes import generation

    voice, rig = set_stage(str(clip))
    scene = bpy.context.scene
    length = (voice.last - scene.frame_start) / FPS
    if abs(take.motion.frames / take.motion.fps - length) > 0.5:
        take = fit_length(take, length)
    collector = generation.TakeCollector(scene, rig, voice)
    try:
        jobs.run_through("Keying", collector.add(take, 0.0), lambda step: None)
    finally:
        collector.close()
    scene.frame_end = scene.frame_start + max(1, round(min(seconds, length) * FPS)) - 1
    part = path.with_name(path.name + ".part")
    with quiet():
        studio.render_film(scene, str(part), size, size)
    part.replace(path)
