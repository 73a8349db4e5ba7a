# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of many bakes. Takes of jobs that bake strips of the same scene are collected in one, as
*Generate for … Strips* makes them in Blender. Takes that were picked on the page of many bakes are
committed: `bake.py --picks picks.json --out DIR`, where DIR is the folder of that page.

Each baked scene of which a take was picked is written with these takes committed into the folder
PICKED there; what was baked stays as it is. A pick that cannot be committed leaves a sentence and
the others go on. Ends with code 0, with 3 if some failed, or with 1 if none could be read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys

import bpy

from ..scene.animation import display
from ..scene.heads import head
from ..scene.host import jobs as scene_jobs
from ..scene.takes import seeds, take_list
from ..scene.takes.commit import committing
from ..scene.voice import strip
from ..thunder_core import files
from ..thunder_core.batch import manifest
from ..thunder_core.batch.job_file import BakeJob, folder_name, PICKED
from ..thunder_core.errors import BadRequest, BadSound, ThunderError
from . import opening, products
from .line import choose_head, pack_sound
from .script import quiet, say, say_kept, SOME_FAILED


def collect(
    shared: manifest.SharedScene, jobs: list[BakeJob], out: str, force: bool, allow_newer: bool
) -> int:
    """Write the scene with the takes of these jobs into the folder `out`; returns the number of
    takes. Raises ThunderError.

    The scene is opened: what is open is lost.
    """
    with quiet():
        opening.open_file(shared.blend)
    opening.check_file(allow_newer)
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
        if entry.head is not None:
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
    say_kept(transaction)
    return len(rows)


def _add(scene: bpy.types.Scene, job: BakeJob, out: str):
    """Add the takes of a job to the open scene; returns its rig and (entry, row of the job's
    report) of each, best first."""
    speaking, path = str(job.settings["strip"]), manifest.blend_of_job(out, job)
    given = job.settings.get("head")
    rig = choose_head(scene, None if given is None else str(given), speaking, new=True)
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
            pack_sound(spoken_strip)
        with contextlib.suppress(BadSound):
            seeds.remember(
                scene,
                rig.mesh,
                strip.voice_of(scene, spoken_strip),
                min(int(row["seed"]) for row in rows.values()),
            )
    by_action = {entry.action: entry for entry in scene.thunder.takes}
    return rig, [(by_action[actions[name]], row) for name, row in rows.items()]


# ---- picked takes


def commit_picks(chosen: argparse.Namespace) -> int:
    """Commit picked takes as the options say; returns the exit code. Raises ThunderError where
    nothing can be committed."""
    out = os.path.abspath(chosen.out)
    picks = read_picks(chosen.picks)
    failed: list = []
    scenes: dict = {}
    collected = {
        job: str(row["file"])
        for row in manifest.read_report(out, manifest.JSON_NAME).get("scenes", ())
        if not row.get("sentence")
        for job in row["jobs"]
    }
    for job, digest in picks.items():
        try:
            source, action = find_take(out, job, digest, collected.get(job))
            scenes.setdefault(source, {})[job] = action
        except ThunderError as error:
            failed.append(f"“{job}”: {error}")
    for number, (source, actions) in enumerate(scenes.items(), start=1):
        try:
            say(f"[{number}/{len(scenes)}] {commit_scene(out, source, actions, chosen)}")
        except ThunderError as error:
            failed += [f"“{job}”: {error}" for job in actions]
    for sentence in failed:
        say(sentence, sys.stderr)
    count = len(picks) - len(failed)
    place = f"; see {os.path.join(out, PICKED)}" if count else ""
    say(f"{count} of {len(picks)} picks committed{place}")
    return SOME_FAILED if failed else 0


def read_picks(path: str) -> dict[str, str]:
    """The hash of the picked take's curves by the name of its job, of a file that the page saved.
    Raises BadRequest."""
    if problem := files.not_a_file(path):
        raise BadRequest(f"{problem}: name the file that the page saved with --picks")
    listed = manifest.read_json(path).get("picks")
    pairs = [
        (each.get("job"), each.get("curves_sha256"))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    ]
    if not pairs or not all(isinstance(word, str) for pair in pairs for word in pair):
        raise BadRequest(
            f"“{os.path.basename(path)}” holds no picks: save them on the page again (key S)"
        )
    return {str(job): str(take) for job, take in pairs}


def find_take(out: str, job: str, digest: str, collected: str | None) -> tuple[str, str]:
    """The scene with a picked take, below the folder `out`, and the name of its action there.
    collected: the scene with the takes of several jobs that the job is one of. Raises
    BadRequest."""
    # a name of a file from elsewhere leads nowhere else
    report = manifest.read_report(os.path.join(out, job)) if folder_name(job) == job else {}
    if not report:
        raise BadRequest(f"There is no bake of it in “{out}”: name the folder of the page as --out")
    row = next((row for row in report.get("takes", ()) if row.get("curves_sha256") == digest), None)
    if row is None:
        raise BadRequest("It was baked again since it was picked: pick it anew")
    if collected:
        listed = manifest.read_collected(out, os.path.splitext(collected)[0])
        for each in listed.get("takes", ()):
            if (each["job"], each["seed"]) == (job, row["seed"]):
                return collected, each["action"]
    if not report.get("blend"):
        raise BadRequest("It was baked without a scene: add “blend” to its outputs")
    return os.path.join(job, report["blend"]), str(row.get("action"))


def commit_scene(out: str, source: str, actions: dict[str, str], chosen: argparse.Namespace) -> str:
    """Commit takes to the heads of a baked scene, and write it; returns a sentence. source: of the
    scene below `out`.  actions: of the takes, by their jobs. Raises ThunderError."""
    path, job = os.path.join(out, source), os.path.dirname(source)
    with quiet():
        opening.open_file(path, "bake again")
    opening.check_file(chosen.allow_newer)
    scene, done = bpy.context.scene, committing.CommitLog()
    name = f"{os.path.basename(job)}.blend" if job else source
    written = files.Transaction(
        os.path.join(out, PICKED), chosen.force, [path, *bpy.utils.blend_paths(absolute=True)]
    )
    written.check([name])
    if chosen.commit:
        scene.thunder.commit.step = chosen.commit.upper()
    entries = {entry.action.name: entry for entry in scene.thunder.takes if entry.action}
    for action in actions.values():
        if action not in entries:
            raise BadRequest(f"“{source}” lacks the take “{action}”: bake it again")
        entries[action].star = True
        with quiet():
            scene_jobs.run_through(
                "Committing", committing.commit_line(scene, entries[action], done)
            )
    with written:
        products.save_blend(written.part(name))
    say_kept(written)
    return f"{PICKED}/{name}: {done.sentence}"
