# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects the takes of jobs that bake strips of the same scene in one scene, as *Generate for …
Strips* makes them in Blender."""

import contextlib
import json
import os

import bpy

from ..scene.animation import display
from ..scene.heads import head
from ..scene.takes import seeds, take_list
from ..scene.voice import strip
from ..thunder_core import files
from ..thunder_core.batch import manifest
from ..thunder_core.batch.job_file import BakeJob
from ..thunder_core.errors import BadRequest, BadSound
from . import bake, products
from .script import quiet


def collect(
    shared: manifest.SharedScene, jobs: list[BakeJob], out: str, force: bool, allow_newer: bool
) -> int:
    """Write the scene with the takes of these jobs into the folder `out`; returns the number of
    takes. Raises ThunderError.

    The scene is opened: what is open is lost.
    """
    with quiet():
        bake.open_file(shared.blend)
    bake.check_file(allow_newer)
    scene = bpy.context.scene
    inputs = [
        shared.blend,
        *bpy.utils.blend_paths(absolute=True),
        *(manifest.blend_of_job(out, job) for job in jobs),
    ]
    transaction = files.Transaction(out, force, inputs)
    names = [f"{shared.name}.blend", f"{shared.name}.json"]
    transaction.check(names)
    chosen_head, rows, heads = scene.thunder.head, [], {}
    for job in jobs:
        rig, entries = _add(scene, job, out)
        rows += [
            {
                "strip": job.settings["strip"],
                "job": job.name,
                "name": entry.name,
                "action": entry.action.name,
                "head": rig.mesh.name,
            }
            | {key: row[key] for key in ("seed", "score", "words") if key in row}
            for entry, row in entries
        ]
        if rig.mesh.name not in heads and entries:  # a head shows the best take of its first line
            heads[rig.mesh.name] = entries[0][0].action
    for action in heads.values():
        entry = next(entry for entry in scene.thunder.takes if entry.action == action)
        display.show(head.resolve(entry.head), entry)
    if chosen_head is not None:
        scene.thunder.head = chosen_head
    scene.frame_end = max(
        [scene.frame_end, *(entry.last + entry.lead_out for entry in scene.thunder.takes)]
    )
    with transaction:
        products.save_blend(transaction.part(names[0]))
        listed = {manifest.MADE_FROM: manifest.sources_of_scene(out, jobs), "takes": rows}
        transaction.write(names[1], json.dumps(listed, indent=1, ensure_ascii=False) + "\n")
    bake.say_kept(transaction)
    return len(rows)


def _add(scene, job: BakeJob, out: str):
    """Add the takes of a job to the open scene; returns its rig and (entry, row of the job's
    report) of each, best first."""
    speaking, path = str(job.settings["strip"]), manifest.blend_of_job(out, job)
    given = job.settings.get("head")
    rig = bake.choose_head(scene, None if given is None else str(given), speaking, new=True)
    rows = {
        row["action"]: row
        for row in manifest.read_report(os.path.join(out, job.name)).get("takes", ())
        if "action" in row
    }
    try:
        with quiet(), bpy.data.libraries.load(path, link=False) as (source, target):
            named = [
                name
                for first in rows
                for name in source.actions
                if name == first or name.startswith(f"{first} ")
            ]
            # before Blender 4.4 a take has several actions
            target.actions = list(dict.fromkeys(named))
            names = list(target.actions)
    except OSError as error:
        raise BadRequest(
            f"“{path}” cannot be opened: bake “{job.name}” again, with --again --only"
        ) from error
    actions = dict(zip(names, target.actions))
    if missing := [name for name in rows if actions.get(name) is None]:
        raise BadRequest(
            f"“{path}” lacks the take “{missing[0]}”: bake “{job.name}” again, with --again --only"
        )
    batch = take_list.next_batch(scene)
    for name in rows:
        take_list.adopt(scene, rig, [actions[name]])
        entry = scene.thunder.takes[-1]
        if entry.action != actions[name]:
            raise BadRequest(
                f"The take “{name}” in “{path}” cannot be read: bake “{job.name}” again, with "
                f"--again --only"
            )
        entry.words, entry.batch = str(rows[name].get("words", "")), batch
        take_list.open_batch(entry)
    strip.keep_speaker(scene, speaking, rig.mesh)
    if (spoken_strip := strip.by_name(scene, speaking)) is not None:
        if job.settings.get("pack"):
            bake.pack_sound(spoken_strip)
        with contextlib.suppress(BadSound):
            seeds.remember(
                scene,
                rig.mesh,
                strip.voice_of(scene, spoken_strip),
                min(int(row["seed"]) for row in rows.values()),
            )
    by_action = {entry.action: entry for entry in scene.thunder.takes}
    return rig, [(by_action[actions[name]], row) for name, row in rows.items()]
