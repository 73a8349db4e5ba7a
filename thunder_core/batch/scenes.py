# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of which several jobs bake strips: their takes are collected in one scene besides those of the jobs (cli/collect.py).

It is written into the folder of all jobs as NAME_takes.blend, with NAME_takes.json, which lists its takes and the jobs' files that they
were collected from: so a later run knows whether something has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ..files import files_written
from .job_file import free_name, Job
from .manifest import MADE_FROM, read_json

ENDING = "_takes"


@dataclass(frozen=True)
class SharedScene:
    """name: of the collected scene, without an ending.  blend: the file that the jobs bake in.  jobs: those that bake its strips."""

    name: str
    blend: str
    jobs: tuple[Job, ...]


def shared(jobs: Iterable[Job]) -> list[SharedScene]:
    """The scenes of which at least two jobs bake strips into a .blend, in the order of the jobs."""
    by_scene: dict[str, list[Job]] = {}
    for job in jobs:
        if "strip" in job.settings and "blend" in job.settings and "blend" in cast(list, job.settings.get("outputs", [])):
            by_scene.setdefault(os.path.realpath(str(job.settings["blend"])), []).append(job)
    taken: set[str] = set()
    scenes = [
        SharedScene(free_name(Path(blend).stem + ENDING, taken), blend, tuple(of_scene))
        for of_scene in by_scene.values()
        for blend in [str(of_scene[0].settings["blend"])]
    ]
    return [scene for scene in scenes if len(scene.jobs) > 1]


def blend_of(out: str, job: Job) -> str:
    """The scene that a job has written."""
    return os.path.join(out, job.name, f"{Path(str(job.settings['blend'])).stem}.blend")


def sources(out: str, jobs: Iterable[Job]) -> dict[str, str]:
    """Hash of the scene that each job has written, by the job's name; without jobs that have written none."""
    listed = ((job.name, files_written(os.path.join(out, job.name)).get(os.path.basename(blend_of(out, job)))) for job in jobs)
    return {name: digest for name, digest in listed if digest}


def is_up_to_date(out: str, scene: SharedScene, made_from: dict[str, str]) -> bool:
    """Whether the collected scene is there and was made from these files. One that somebody has changed since is left alone."""
    if not os.path.isfile(os.path.join(out, f"{scene.name}.blend")):
        return False
    return read_json(os.path.join(out, f"{scene.name}.json")).get(MADE_FROM) == made_from
