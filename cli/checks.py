# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what jobs name before the first of them is baked: files, presets, heads, strips. All
mistakes are reported at once."""

import functools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import bpy

from ..scene.host import compat
from ..scene.takes.direction.asking import all_presets
from ..thunder_core import files
from ..thunder_core.batch.baker import Task
from ..thunder_core.batch.job_file import Job
from ..thunder_core.batch.settings import path_names, quote
from ..thunder_core.direction_presets import is_preset_file, same_name
from ..thunder_core.errors import attempt, suggest, ThunderError
from ..thunder_core.request import FROM_PICTURE
from . import bake, products
from .script import quiet

_MOST_NAMES = 5  # jobs with the same mistake that are named


def mistakes(jobs: Iterable[Job]) -> list[str]:
    """Each mistake in what the jobs name, once, with all of its jobs."""
    jobs_of: dict[str, list[str]] = {}
    for job in jobs:
        for problem in _problems(job):
            jobs_of.setdefault(problem, []).append(job.name)
    return [
        f"Job{'s' if len(names) > 1 else ''} {list_names(names)}: {problem}"
        for problem, names in jobs_of.items()
    ]


def not_replaceable(task: Task) -> str:
    """The reason why a job's files cannot be written, one sentence; "" if nothing known before the
    bake prevents it."""
    settings = task.settings
    named = next(
        (str(settings[key]) for key in ("blend", "audio", "listen-to") if key in settings),
        bake.IDLE,
    )
    outputs = settings.get("outputs", ())
    takes, best = (int(str(settings.get(key, 1))) for key in ("takes", "export-takes"))
    wanted = products.Outputs(
        Path(named).stem, tuple(outputs) if isinstance(outputs, list) else (), takes, best
    )
    inputs = [str(settings[key]) for key in path_names(settings)]
    return attempt(
        lambda: files.Transaction(task.out, "--force" in task.options, inputs).check(
            ["report.json", *wanted.names()]
        )
    )[1]


def _problems(job: Job) -> Iterator[str]:
    """The mistakes in what a job names."""
    settings, missing = job.settings, set()
    for name in path_names(settings):
        if reason := files.not_a_file(str(settings[name])):
            missing.add(name)
            yield f"“{name}”: {reason[0].lower()}{reason[1:]}: name another"
    style, blend = settings.get("style"), settings.get("blend")
    if style is not None and "style" not in missing and (reason := _problem_of_style(str(style))):
        yield f"“style”{reason}"
    if "picture" in settings and settings.get("system") != FROM_PICTURE:
        yield f'“picture” needs “system” = "{FROM_PICTURE}": add it, or remove “picture”'
    silent = next((voice for voice in ("listen-to", "seconds") if voice in settings), None)
    if "transcript" in settings and silent is not None:
        yield f"“transcript” is of a voice that the face speaks: remove it, or “{silent}”"
    if "head" in settings and blend is None:
        yield "“head” needs a scene that it is in: name it as “blend”"
    elif blend is not None and "blend" not in missing:
        if "head" in settings and (reason := _problem_of_head(str(blend), str(settings["head"]))):
            yield f"“head”{reason}"
        elif "strip" in settings and (
            reason := _problem_of_strip(str(blend), str(settings["strip"]))
        ):
            yield f"“strip”{reason}"


@functools.cache
def _problem_of_style(style: str) -> str:
    try:
        names = all_presets().names()
        if not is_preset_file(style) and same_name(style, names) is None:
            near = suggest(style, names) or f"choose {', '.join(names)}"
            return f" = {quote(style)} is no preset: {near}"
        all_presets().find(style)
    except ThunderError as error:
        return f": {error}"
    return ""


@functools.cache
def _problem_of_head(path: str, head: str) -> str:
    """The reason why a scene has no such head. Reads the names of its objects without opening
    it."""
    try:
        if _is_open(path):
            names = [each.name for each in bpy.data.objects]
        else:
            with bpy.data.libraries.load(path, link=False) as (source, _):
                names = list(source.objects)
    except OSError as error:
        return f": “{path}” cannot be opened ({files.reason_of(error)}): try a backup of it"
    return "" if head in names else _unknown(head, "object", path, names)


def _problem_of_strip(path: str, strip: str) -> str:
    """The reason why a scene has no such sound strip; "" also where that cannot be known without
    opening it."""
    names = sound_strips(path)
    return "" if names is None or strip in names else _unknown(strip, "sound strip", path, names)


def _unknown(name: str, what: str, path: str, names: list[str]) -> str:
    """The end of the sentence that a file has nothing of that name."""
    has = suggest(name, names) or f"its {what}s are {', '.join(names[:20]) or 'none'}"
    return f" = {quote(name)} is no {what} of “{os.path.basename(path)}”: {has}"


@functools.cache
def sound_strips(path: str) -> list[str] | None:
    """The names of the sound strips in a file's scenes, read without opening it; None if they
    cannot be read."""
    before = set(bpy.data.libraries)
    try:
        scenes = (
            [scene for scene in bpy.data.scenes if scene.library is None]
            if _is_open(path)
            else _linked_scenes(path)
        )
    except OSError:
        return None
    editors = [scene.sequence_editor for scene in scenes if scene.sequence_editor is not None]
    names = [
        strip.name
        for editor in editors
        for strip in compat.strips_all(editor)
        if strip.type == "SOUND"
    ]
    bpy.data.batch_remove(set(bpy.data.libraries) - before)
    return names


def _linked_scenes(path: str) -> list[bpy.types.Scene]:
    with quiet(), bpy.data.libraries.load(path, link=True) as (source, target):
        target.scenes = source.scenes
    return target.scenes


def _is_open(path: str) -> bool:
    """Whether Blender has this file open: it cannot link from it."""
    return os.path.realpath(path) == os.path.realpath(bpy.data.filepath)


def list_names(names: list[str]) -> str:
    """Names of jobs, the first few of many."""
    first = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
