# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake takes without a window: `blender -b file.blend --python bake.py -- --audio a.wav --takes 8
--out dir`.

Also `python bake.py …` in any Python with bpy. Without a file the scene contains only the head.
Writes into the folder `--out`: the scene with sound, head and takes (NAME.blend), report.json, with
--npz the arrays of each take in rank order, whatever else --outputs names, and thunder-files.json,
which lists these files. A file that no earlier bake wrote, or that has changed since, is replaced
only with --force, which keeps a copy (shot.blend as shot.blend1). Input files are never replaced.
Ends with code 0, or with 1 (2 for a wrong option) and one sentence on stderr; with 1 also where all
is written, but the head's lips do not follow (“unseen” in the report). `--jobs` bakes many: see
batch.py.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import bpy

from ..scene.animation import keying
from ..scene.engine import connection, recogniser
from ..scene.heads import head, head_state
from ..scene.host import jobs
from ..scene.properties.settings import ThunderTake
from ..scene.takes import grades, perform_as, seeds, take_list, take_record, transcript, word_places
from ..scene.takes.commit import committing
from ..scene.takes.direction import sliders
from ..scene.takes.generation import How, perform
from ..scene.voice import strip
from ..thunder_core import files
from ..thunder_core.animation import motion_file
from ..thunder_core.batch import manifest
from ..thunder_core.batch.settings import OF_TAKES
from ..thunder_core.client import Client
from ..thunder_core.direction import Direction
from ..thunder_core.direction_presets import Preset
from ..thunder_core.engine_python import find_engine_python
from ..thunder_core.errors import BadWeights
from ..thunder_core.own_files import say_damaged
from ..thunder_core.request import Request
from ..thunder_core.types import LISTENS
from . import products
from .line import choose_line, keep_voice
from .opening import open_scene
from .options import BakeSettings
from .script import count_in_words, say, say_kept, Warnings

FINDING_WORDS = 0.05  # share of a bake's progress that finding words before takes has


def tell_on_terminal(step: jobs.Step) -> None:
    """Print how far a bake is."""
    say(f"{step.fraction:4.0%}  {step.message}")


def bake(
    chosen: argparse.Namespace,
    tell: Callable[[jobs.Step], None] = tell_on_terminal,
    made_from: Callable[[list[str], dict[str, str]], dict] | None = None,
) -> dict:
    """Bake one sound with these options; returns the report. Raises ThunderError, and then nothing
    was written.

    made_from: paths of the files that the scene uses, hashes of all files that were read → the part
    of the report by which the next run detects changes.
    """
    started, warnings = time.monotonic(), Warnings(chosen.command)
    warnings.add(*say_damaged())
    settings = BakeSettings.read(chosen, is_job=made_from is not None)
    request, wanted = settings.request, settings.outputs
    scene = open_scene(settings.blend, chosen.fps, chosen.allow_newer)
    used = list(bpy.utils.blend_paths(absolute=True))
    hashes_of_used = files.hashes_of(used)
    out = files.Transaction(chosen.out, chosen.force, [*settings.hashes, *used])
    out.check(["report.json", *wanted.names()])
    voice, rig, times, notes = choose_line(scene, chosen, settings.sound)
    warnings.add(*notes, _say_replaced(chosen.out, wanted.name))
    hashes = settings.hashes | files.hashes_of(
        [strip.file_of(voice)] if chosen.strip is not None or chosen.seconds else []
    )
    if settings.manner is not None:
        sliders.set_manner(sliders.ensure(rig.owner), settings.manner)
    client = client_of(chosen.engine, chosen.weights)
    hello = connection.ask(client, "hello", (0.0, 0.05), "Starting engine")
    engine = jobs.run_through("Starting the engine", hello, tell)
    if engine["weights_origin"] == "changed":  # the user's weights
        warnings.add(engine["weights_note"])
    if times is not None:
        text = transcript.of(scene, voice.name).text
        finding = word_places.find(client, voice, text, times)
        found = jobs.run_through(
            word_places.FINDING,
            finding,
            lambda step: tell(replace(step, fraction=FINDING_WORDS * step.fraction)),
        )
        warnings.add(found.warning)
    seed = seeds.first(scene, rig.mesh, voice) if chosen.seed is None else chosen.seed
    how = How(
        replace(request, seed=seed), None, recogniser=_recogniser_of(scene, voice, chosen),
        finds_words=not {"cues", "rhubarb"}.isdisjoint(wanted.outputs),
    )  # fmt: skip

    def report_step(step: jobs.Step) -> None:
        if step.note and not chosen.seconds:  # without a sound nobody is meant to speak
            warnings.add(step.note)
        tell(replace(step, fraction=wanted.share_of_takes * step.fraction))

    performances, transfer = _sample(
        client, (scene, rig, voice), how, chosen.perform_line, report_step
    )
    entries = list(scene.thunder.takes)[: len(performances)]
    keep_voice(scene, voice, chosen, settings.sound)
    if request.listening:  # as it does from now on, or Generate would let it speak
        head_state.ensure(rig.owner).role = LISTENS.upper()
    sampled = time.monotonic() - started
    end = entries[0].last + entries[0].lead_out
    scene.frame_end = max(scene.frame_end, end) if chosen.blend else end
    take_list.number_in_order(entries)
    provenance = performances[0].provenance
    report = {
        **_report_takes(performances, entries),
        **_report_voice(scene, voice, settings),
        "sha256": hashes.get(settings.sound or bpy.data.filepath),
        # of a strip's chosen channel the engine knows nothing
        "channel": voice.channel or provenance.get("channel", "mix"),
        "seed": seed,
        **request.settings,
        **_report_moved(settings, transfer, voice.name, provenance),
        "blend": f"{wanted.name}.blend" if "blend" in wanted.outputs else None,
        "head": rig.owner.name,
        "warnings": warnings,
        **_commit(scene, entries[0], chosen.commit, tell, warnings),
    }
    if fault := head_state.fault(rig.owner):
        report["unseen"] = fault
    if made_from is not None:
        report["made_from"] = made_from(used, hashes_of_used | hashes)
    baked = products.BakedTakes(
        client, scene, rig, voice, performances, entries, report, is_committed="committed" in report
    )
    _write(out, baked, wanted, tell, hashes, (started, sampled))
    return report


def _write(
    out: files.Transaction, baked: products.BakedTakes, wanted: products.Outputs,
    tell: Callable[[jobs.Step], None], hashes: Mapping[str, str], times: tuple[float, float],
) -> None:  # fmt: skip
    """Write all files of a bake. times: when it began, and seconds until takes were sampled."""
    report, (started, sampled) = baked.report, times
    with out:
        products.write(out, baked, wanted, tell)
        files.check_unchanged(hashes)
        report["seconds"] = {
            "sampled": round(sampled, 2),
            "all": round(time.monotonic() - started, 2),
        }
        out.write("report.json", json.dumps(report, indent=1, ensure_ascii=False))
        # files of an earlier bake that this one does not replace: they belong to other takes
        out.remove(OF_TAKES)
        out.remove(re.compile(re.escape(f"{wanted.name}.blend")))
    say_kept(out)
    _say_done(out.folder, report, baked.performances)


def _say_replaced(folder: str, name: str) -> str:
    """That the report in the folder was of another scene, which stays; "" where it was not."""
    before = str(manifest.read_report(folder).get("blend") or "")
    if before in ("", f"{name}.blend"):
        return ""
    return (
        f"“{before}” in the folder is of an earlier bake, and the report beside it will be of "
        f"“{name}”: bake into another folder to keep both"
    )


def _recogniser_of(
    scene: bpy.types.Scene, voice: strip.Voice, chosen: argparse.Namespace
) -> dict[str, str]:
    """What is to recognise the words of a voice that nobody typed, {} for nothing. Raises
    ThunderError."""
    if not chosen.recognise:
        return {}
    scene.thunder.recognise_words = True  # takes are made with them
    record = transcript.of(scene, voice.name)
    if record is not None and record.is_typed:
        return {}
    return recogniser.arguments(chosen.whisper or "", chosen.language or "")


def _sample(
    client: Client,
    line: tuple[bpy.types.Scene, head.Rig, strip.Voice],
    how: How,
    name: str | None,
    tell: Callable[[jobs.Step], None],
) -> tuple[list, perform_as.Transfer | None]:
    """The takes of a line (scene, rig, voice), best first, listed; and what they perform of the
    line of that name, None for none. Raises ThunderError."""
    scene, rig, voice = line
    if not name:
        return jobs.run_through("Baking", perform(client, *line, how), tell), None
    source = perform_as.of_line(scene, voice.name, name, rig.mesh)
    transfer = perform_as.Transfer(source, voice.name)
    steps = perform_as.perform_source(client, *line, transfer, how)
    return jobs.run_through("Baking", steps, tell), transfer


def _report_voice(scene: bpy.types.Scene, voice: strip.Voice, settings: BakeSettings) -> dict:
    """The report's entries on the voice and its words."""
    record = transcript.of_piece(scene, voice.name, voice.state)
    said = transcript.text_of(scene, voice.name, voice.state)
    sound = settings.sound
    of_scene = f"{os.path.basename(bpy.data.filepath)}: {settings.chosen.strip}"
    return {
        # by its name: the folder is made to be copied
        "audio": None
        if settings.chosen.seconds
        else os.path.basename(sound)
        if sound
        else of_scene,
        **({"transcript": said} if said else {}),
        **({"recognised": record.language} if said and record.is_recognised else {}),
    }


def _say_done(folder: str | Path, report: dict, performances: list) -> None:
    """Print what was baked and where it is."""
    best = performances[0]
    of_best = (
        f"; the best has lip-sync {take_list.points(best.score)}, seed {best.seed}"
        if math.isfinite(best.score)
        else ""
    )
    what = f"{report['blend']} and " if report["blend"] else ""
    say(f"100%  {what}{count_in_words(len(performances))} in {folder}{of_best}")


def _report_takes(performances: list, entries: list) -> dict:
    """The report on what the takes are, best first."""
    provenance = performances[0].provenance
    wanted = Request.of_record(provenance).direction
    # as the content of a preset file; of a direction that changes within the line its mean
    direction = wanted and Preset("", wanted.mean, "", wanted.spread, wanted.manner).data()
    return {
        "role": take_record.role_of(provenance),
        **({"direction": direction} if direction else {}),
        "blender": bpy.app.version_string,
        "weights": provenance["weights"],
        "notes": [],
        "takes": [
            {
                "rank": rank,
                "name": entry.name,
                "seed": take.seed,
                "score": round_score(take.score),
                **report_verdict(entry),
                "action": entry.action.name,
                **_report_direction(take, entry.words),
            }
            for rank, (take, entry) in enumerate(zip(performances, entries), start=1)
        ],
    }


def _commit(
    scene: bpy.types.Scene,
    entry: ThunderTake,
    on: str | None,
    tell: Callable[[jobs.Step], None],
    warnings: Warnings,
) -> dict:
    """Commit a take on ones, twos or threes; the report's entry on it, empty for None. A warning of
    its lips is added to the others."""
    if on is None:
        return {}
    scene.thunder.commit.step = on.upper()
    done = committing.CommitLog()
    jobs.run_through("Committing", committing.commit_line(scene, entry, done), tell)
    warnings.add(*done.wrong)
    return {"committed": list(done.reports[0].actions)}


def report_verdict(entry: ThunderTake) -> dict:
    """The grade of a take and its reason as reports have them; {} of a face that does not speak."""
    grade = grades.of_take(entry)
    return {} if grade is None else {"grade": grade.name, "why": grade.reason}


def round_score(score: float) -> float | None:
    """A score as reports have it; None of a face that does not speak."""
    return round(score, 3) if math.isfinite(score) else None


def _report_direction(take: keying.TakeData, words: str) -> dict:
    """The report's entry on a take's direction, and its words; empty for an undirected take."""
    take_style = motion_file.style_of_take(take.provenance)
    return (
        {}
        if take_style is None
        else {"words": words, "played": Preset("", Direction.of_vector(take_style)).data()}
    )


def _report_moved(
    settings: BakeSettings, transfer: perform_as.Transfer | None, voice: str, about: dict
) -> dict:
    """The report's entry on a performance that moved to this voice, which is also said; empty if
    none did."""
    if transfer is not None:
        source, said = transfer.source, transfer.messages(about)
        of: dict[str, object] = {"line": source.line, "head": source.mesh, "take": source.name}
        of["keys_left"] = transfer.left
    elif settings.request.perform_as is not None:
        take = settings.chosen.perform_as
        said = perform_as.describe_changes(Path(take).stem, voice, about)
        said += filter(None, [settings.how_read])
        of = {"take": os.path.abspath(take), "voice": settings.request.perform_as.sound}
    else:
        return {}
    say("\n".join(said))
    moved = json.loads(about["moved"])
    moved.pop("keys", None)
    return {"performed": {**of, **moved, "said": said}}


def check_engine(engine: str | None, weights: str | None) -> None:
    """Raise NoEngine or BadWeights if the named Python or folder of weights does not exist."""
    if engine:
        find_engine_python(engine)
    if weights and not os.path.isdir(weights):
        raise BadWeights(
            f"There is no folder “{weights}”: name another folder of model files with --weights"
        )


def client_of(engine: str | None, weights: str | None) -> Client:
    """The client of the engine that --engine and --weights name, by default the usual one. Raises
    as `check_engine`."""
    check_engine(engine, weights)
    folder = connection.check_weights(os.path.abspath(weights)) if weights else None
    return connection.client(engine, folder)
