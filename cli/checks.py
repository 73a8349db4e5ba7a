# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what jobs name before the first of them is baked: files, presets, heads, strips. All
mistakes are reported at once."""

import functools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import bpy

from ..scene.host import compat
from ..scene.takes.direction.asking import all_presets
from ..thunder_core import files
from ..thunder_core.batch import inputs
from ..thunder_core.batch.baker import Task
from ..thunder_core.batch.job_file import Job, list_mistakes, Mistake, MOST_ALIKE
from ..thunder_core.batch.settings import path_names, quote
from ..thunder_core.direction_presets import is_preset_file, same_name
from ..thunder_core.errors import attempt, BadRequest, suggest, ThunderError
from ..thunder_core.request import FROM_PICTURE
from . import bake, products
from .script import quiet

_MOST_NAMES = 5  # jobs with the same mistake that are named


def check(jobs: Iterable[Job], given: Mapping[str, object], allow_newer: bool) -> None:
    """Raise BadRequest with a line for each mistake. given: settings of the command, which apply to
    all jobs."""
    if wrong := mistakes(jobs, given, allow_newer):
        raise BadRequest(list_mistakes(wrong))


def mistakes(jobs: Iterable[Job], given: Mapping[str, object], allow_newer: bool) -> list[Mistake]:
    """Each mistake in what the jobs name, once, with all of its jobs. given: see `check`."""
    jobs_of: dict[_Problem, list[str]] = {}
    for job in jobs:
        for problem in _problems(job, given, allow_newer):
            jobs_of.setdefault(problem, []).append(job.name)
    kinds: Counter[str] = Counter()
    wrong = []
    for problem, names in jobs_of.items():
        kinds[problem.key] += 1
        hint = ""
        if problem.missing and kinds[problem.key] <= MOST_ALIKE:  # slow for many
            hint = (
                _nearest(os.path.basename(problem.missing), _files_beside(problem.missing))
                or ": name another"
            )
        wrong.append(
            Mistake(f"file of {problem.key}", f"{_list_jobs(names)}: {problem.sentence}{hint}")
        )
    return wrong


class _Problem(NamedTuple):
    """What is wrong with a setting.  key: the setting as its sentence calls it.  missing: the path
    of a missing file, else ""."""

    key: str
    sentence: str
    missing: str = ""


def check_folders(out: str, jobs: Iterable[Job]) -> None:
    """Raise BadRequest where two jobs would write into one folder, because of a link."""
    taken = {key: "" for key in _keys(out)}
    for job in jobs:
        path = os.path.join(out, job.name)
        for key in _keys(path):
            other = taken.setdefault(key, job.name)
            if other != job.name:
                whose = f"that of job “{other}”" if other else "the folder of all jobs"
                raise BadRequest(
                    f"“{path}” is the same folder as {whose}, through a link: remove the link or "
                    f"rename the job"
                )


def _keys(path: str) -> list[object]:
    """A key that all paths of one folder share, whether it exists or not."""
    path = os.path.realpath(path)
    try:
        status = os.stat(path)
    except OSError:
        return [os.path.normcase(path)]
    return [os.path.normcase(path), *([(status.st_dev, status.st_ino)] if status.st_ino else [])]


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


def _problems(job: Job, given: Mapping[str, object], allow_newer: bool) -> Iterator[_Problem]:
    """The mistakes in what a job names. What needs a setting whose value is wrong is left
    out."""
    settings = job.settings

    def problem(name: str, sentence: str, missing: str = "") -> _Problem:
        key = f"--{name}" if name in given and settings.get(name) == given[name] else f"“{name}”"
        return _Problem(key, f"{key}{sentence}", missing)

    missing = set()
    for name in path_names(settings):
        path = str(settings[name])
        if reason := files.not_a_file(path):
            missing.add(name)
            is_gone = reason.startswith("There")
            yield problem(
                name,
                f": {reason[0].lower()}{reason[1:]}{'' if is_gone else ': name another'}",
                path if is_gone else "",
            )
    style, blend = settings.get("style"), settings.get("blend")
    if style is not None and "style" not in missing and (reason := _problem_of_style(str(style))):
        yield problem("style", reason)
    if (
        "picture" in settings
        and "system" not in job.unread
        and settings.get("system") != FROM_PICTURE
    ):
        picture = problem("picture", "").key
        yield problem("picture", f' needs “system” = "{FROM_PICTURE}": add it, or remove {picture}')
    silent = next((voice for voice in ("listen-to", "seconds") if voice in settings), None)
    if "transcript" in settings and silent is not None:
        yield problem(
            "transcript", f" is of a voice that the face speaks: remove it, or “{silent}”"
        )
    if "head" in settings and blend is None and "blend" not in job.unread:
        yield problem("head", " needs a scene that it is in: name it as “blend”")
    elif blend is not None and "blend" not in missing:
        if reason := _problem_of_scene(str(blend), allow_newer):
            yield problem("blend", f": {reason}")
        elif "head" in settings and (reason := _problem_of_head(str(blend), str(settings["head"]))):
            yield problem("head", reason)
        elif "strip" in settings and (
            reason := _problem_of_strip(str(blend), str(settings["strip"]))
        ):
            yield problem("strip", reason)


@functools.cache
def _problem_of_style(style: str) -> str:
    try:
        names = all_presets().names()
        if not is_preset_file(style) and same_name(style, names) is None:
            return (
                f" = {quote(style)} is no "
                f"preset{_nearest(style, names) or ': choose ' + ', '.join(names)}"
            )
        all_presets().find(style)
    except ThunderError as error:
        return f": {error}"
    return ""


@functools.cache
def _problem_of_scene(path: str, allow_newer: bool) -> str:
    header = inputs.read_header(path)
    return (
        ""
        if header is None
        else header.refusal(os.path.basename(path), bpy.app.version_file[:2], allow_newer)
    )


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
    has = (
        f": its {what}s are {', '.join(names[:20])}{' …' if len(names) > 20 else ''}"
        if names
        else ", which has none"
    )
    return (
        f" = {quote(name)} is no {what} of “{os.path.basename(path)}”{_nearest(name, names) or has}"
    )


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


def _files_beside(path: str) -> list[str]:
    try:
        return os.listdir(os.path.dirname(path))
    except OSError:
        return []


def _nearest(name: str, known: Iterable[str]) -> str:
    near = suggest(name, known)
    return f": {near}" if near else ""


def _list_jobs(names: list[str]) -> str:
    """The jobs as the beginning of a sentence."""
    return f"Job{'s' if len(names) > 1 else ''} {list_names(names)}"


def list_names(names: list[str]) -> str:
    """Names of jobs, the first few of many."""
    first = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
