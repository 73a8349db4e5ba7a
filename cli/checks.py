# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what jobs name before the first of them is baked: files, presets, models, but not what is
in a .blend. All mistakes are reported at once."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..scene.engine import recogniser
from ..scene.takes.direction.head_direction import all_presets
from ..thunder_core import files
from ..thunder_core.batch.baker import BakeTask
from ..thunder_core.batch.job_file import BakeJob
from ..thunder_core.batch.settings import path_names, quote
from ..thunder_core.direction_presets import is_preset_file, same_name
from ..thunder_core.errors import attempt, suggest, ThunderError
from . import bake, products

_MOST_NAMES = 5  # jobs with the same mistake that are named


def mistakes(jobs: Iterable[BakeJob]) -> list[str]:
    """Each mistake in what the jobs name, once, with all of its jobs."""
    jobs_of: dict[str, list[str]] = {}
    for job in jobs:
        for problem in _problems(job):
            jobs_of.setdefault(problem, []).append(job.name)
    return [
        f"Job{'s' if len(names) > 1 else ''} {list_names(names)}: {problem}"
        for problem, names in jobs_of.items()
    ]


def not_replaceable(task: BakeTask) -> str:
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
        Path(named).stem, (*(outputs if isinstance(outputs, list) else ()), "dailies"), takes, best
    )
    inputs = [str(settings[key]) for key in path_names(settings)]
    return attempt(
        lambda: files.Transaction(task.out, "--force" in task.options, inputs).check(
            ["report.json", *wanted.names()]
        )
    )[1]


def _problems(job: BakeJob) -> Iterator[str]:
    """The mistakes in what a job names."""
    settings, missing = job.settings, set()
    for name in path_names(settings):
        if reason := files.not_a_file(str(settings[name])):
            missing.add(name)
            yield f"“{name}”: {reason[0].lower()}{reason[1:]}: name another"
    style = settings.get("style")
    if style is not None and "style" not in missing and (reason := _problem_of_style(str(style))):
        yield f"“style”{reason}"
    silent = next((voice for voice in ("listen-to", "seconds") if voice in settings), None)
    for name in ("transcript", "recognise"):
        if settings.get(name) and silent is not None:
            yield f"“{name}” is of a voice that the face speaks: remove it, or “{silent}”"
    if settings.get("recognise") and silent is None:
        named = (str(settings.get(name, "")) for name in ("whisper", "language"))
        if reason := attempt(recogniser.arguments, *named)[1]:
            yield f"“recognise”: {reason[0].lower()}{reason[1:]}"
    if "head" in settings and "blend" not in settings:
        yield "“head” needs a scene that it is in: name it as “blend”"


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


def list_names(names: list[str]) -> str:
    """Names of jobs, the first few of many."""
    first = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")
