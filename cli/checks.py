# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what jobs name before the first of them is baked: files, presets, heads, strips. All mistakes are reported at once."""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import bpy

from ..scene.takes.direction.presets import all_presets
from ..thunder_core import files
from ..thunder_core.batch import blend_header, blend_strips
from ..thunder_core.batch.baker import Task
from ..thunder_core.batch.job_file import Job
from ..thunder_core.batch.settings import is_preset_file, path_names, shown
from ..thunder_core.direction_presets import Preset
from ..thunder_core.errors import BadRequest, ThunderError
from ..thunder_core.systems import FROM_PICTURE
from . import bake, products

_MOST_NAMES = 5  # jobs with the same mistake that are named


def check(jobs: Iterable[Job], given: Mapping[str, object], allow_newer: bool) -> None:
    """Raise BadRequest with a line for each mistake. given: settings of the command, which apply to all jobs."""
    found: dict[str, list[str]] = {}
    for job in jobs:
        for problem in _problems(job.settings, given, allow_newer):
            found.setdefault(problem, []).append(job.name)
    if found:
        raise BadRequest("\n".join(f"{_named(names)}: {problem}" for problem, names in found.items()))


def check_folders(out: str, jobs: Iterable[Job]) -> None:
    """Raise BadRequest where two jobs would write into one folder, because of a link."""
    taken = {key: "" for key in _keys(out)}
    for job in jobs:
        path = os.path.join(out, job.name)
        for key in _keys(path):
            other = taken.setdefault(key, job.name)
            if other != job.name:
                whose = f"that of job “{other}”" if other else "the folder of all jobs"
                raise BadRequest(f"“{path}” is the same folder as {whose}, through a link: remove the link or rename the job")


def _keys(path: str) -> list[object]:
    """What is the same for two paths of one folder, be it there or not."""
    path = os.path.realpath(path)
    try:
        status = os.stat(path)
    except OSError:
        return [os.path.normcase(path)]
    return [os.path.normcase(path), *([(status.st_dev, status.st_ino)] if status.st_ino else [])]


def not_replaceable(task: Task) -> str:
    """The reason why a job's files cannot be written, one sentence; "" if they can, as far as is known before it is baked."""
    settings = task.settings
    named = next((str(settings[key]) for key in ("blend", "audio", "listen-to") if key in settings), bake.IDLE)
    outputs = settings.get("outputs", ())
    takes, best = (int(str(settings.get(key, 1))) for key in ("takes", "export-takes"))
    wanted = products.Wanted(Path(named).stem, tuple(outputs) if isinstance(outputs, list) else (), takes, best)
    inputs = [str(settings[key]) for key in path_names(settings)]
    try:
        files.Transaction(task.out, "--force" in task.options, inputs).check(["report.json", *wanted.names()])
    except ThunderError as error:
        return str(error)
    return ""


def _problems(settings: Mapping[str, object], given: Mapping[str, object], allow_newer: bool) -> Iterator[str]:
    """The mistakes of a job, each the end of a sentence."""

    def key(name: str) -> str:
        return f"--{name}" if name in given and settings.get(name) == given[name] else f"“{name}”"

    missing = set()
    for name in path_names(settings):
        path = str(settings[name])
        if problem := files.not_a_file(path):
            missing.add(name)
            near = _nearest(os.path.basename(path), _files_beside(path)) if problem.startswith("There") else ""
            yield f"{key(name)}: {problem[0].lower()}{problem[1:]}{near or ': name another'}"
    style, blend = settings.get("style"), settings.get("blend")
    if style is not None and "style" not in missing and (problem := _problem_of_style(str(style))):
        yield f"{key('style')}{problem}"
    if "picture" in settings and settings.get("system") != FROM_PICTURE:
        yield f'{key("picture")} needs “system” = "{FROM_PICTURE}": add it, or remove {key("picture")}'
    if "head" in settings and blend is None:
        yield f"{key('head')} needs a scene that it is in: name it as “blend”"
    elif blend is not None and "blend" not in missing:
        if problem := _problem_of_scene(str(blend), allow_newer):
            yield f"{key('blend')}: {problem}"
        elif "head" in settings and (problem := _problem_of_head(str(blend), str(settings["head"]))):
            yield f"{key('head')}{problem}"
        elif "strip" in settings and (problem := _problem_of_strip(str(blend), str(settings["strip"]))):
            yield f"{key('strip')}{problem}"


@functools.cache
def _problem_of_style(style: str) -> str:
    try:
        if is_preset_file(style):
            Preset.read(Path(style))
            return ""
        presets = all_presets()
        match = next((name for name in presets.names() if name.lower() == style.lower()), None)
        if match is None:
            return f" = {shown(style)} is no preset{_nearest(style, presets.names()) or ': choose ' + ', '.join(presets.names())}"
        presets.load(match)
    except ThunderError as error:
        return f": {error}"
    return ""


@functools.cache
def _problem_of_scene(path: str, allow_newer: bool) -> str:
    header = blend_header.read(path)
    return "" if header is None else header.refusal(os.path.basename(path), bpy.app.version_file[:2], allow_newer)


@functools.cache
def _problem_of_head(path: str, head: str) -> str:
    """The reason why a scene has no such head. Reads the names of its objects without opening it."""
    try:
        with bpy.data.libraries.load(path, link=False) as (there, _):
            names = list(there.objects)
    except OSError as error:
        return f": “{path}” cannot be opened ({str(error).strip().removeprefix('Error: ').rstrip('. ')}): try a backup of it"
    if head in names:
        return ""
    has = f": its objects are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else ""
    return f" = {shown(head)} is no object of “{os.path.basename(path)}”{_nearest(head, names) or has}"


@functools.cache
def _problem_of_strip(path: str, strip: str) -> str:
    """The reason why a scene has no such sound strip; "" also where that cannot be known without opening it."""
    names = blend_strips.sound_strips(path)
    if names is None or strip in names:
        return ""
    has = f": its sound strips are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else ", which has none"
    return f" = {shown(strip)} is no sound strip of “{os.path.basename(path)}”{_nearest(strip, names) or has}"


@functools.cache
def _files_beside(path: str) -> tuple[str, ...]:
    try:
        return tuple(os.listdir(os.path.dirname(path)))
    except OSError:
        return ()


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), by_lower := {each.lower(): each for each in known}, 1)
    return f": did you mean “{by_lower[near[0]]}”?" if near else ""


def _named(names: list[str]) -> str:
    """The jobs as the beginning of a sentence."""
    return f"Job{'s' if len(names) > 1 else ''} {listed(names)}"


def listed(names: list[str]) -> str:
    """Names of jobs, the first few of many."""
    first = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
