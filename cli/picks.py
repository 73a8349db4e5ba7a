# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits the takes that were picked on the page of many bakes: `bake.py --picks picks.json --out
DIR`, where DIR is the folder of that page.

Each baked scene of which a take was picked is written with these takes committed into the folder
PICKED there; what was baked stays as it is. A pick that cannot be committed leaves a sentence and
the others go on. Ends with code 0, with 3 if some failed, or with 1 if none could be read.
"""

import argparse
import os
import sys

import bpy

from ..scene.host import jobs
from ..scene.takes.commit import committing
from ..thunder_core import files
from ..thunder_core.batch import manifest
from ..thunder_core.batch.job_file import folder_name, PICKED
from ..thunder_core.errors import BadRequest, ThunderError
from . import bake, products
from .script import quiet, say, SOME_FAILED


def commit_picks(chosen: argparse.Namespace) -> int:
    """Commit picked takes as the options say; returns the exit code. Raises ThunderError where
    nothing can be committed."""
    out = os.path.abspath(chosen.out)
    picks = read_picks(chosen.picks)
    failed, scenes = [], {}
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
    return dict(pairs)


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
        bake.open_file(path, "bake again")
    bake.check_file(chosen.allow_newer)
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
            jobs.run_through("Committing", committing.commit_line(scene, entries[action], done))
    with written:
        products.save_blend(written.part(name))
    bake.say_kept(written)
    return f"{PICKED}/{name}: {done.sentence}"
