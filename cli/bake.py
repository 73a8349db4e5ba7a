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
import contextlib
import json
import math
import os
import re
import time
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TYPE_CHECKING

import bpy

from ..scene.engine import connection, recogniser
from ..scene.heads import family, head, head_state
from ..scene.host import compat, jobs
from ..scene.takes import (
    dialogue,
    grades,
    perform_as,
    seeds,
    take_list,
    take_record,
    transcript,
    word_places,
)
from ..scene.takes.commit import committing
from ..scene.takes.direction import sliders
from ..scene.takes.direction.head_direction import all_presets
from ..scene.takes.generation import How, perform
from ..scene.voice import fingerprint, strip
from ..thunder_core import files, protocol, subtitles, timings
from ..thunder_core.animation import motion_file
from ..thunder_core.animation.timing import Clock
from ..thunder_core.batch import baker, manifest, settings
from ..thunder_core.client import Client
from ..thunder_core.direction import AXES, Direction, DirectionRequest
from ..thunder_core.direction_presets import is_preset_file, Preset
from ..thunder_core.engine_python import find_engine_python
from ..thunder_core.errors import BadHead, BadRequest, BadSound, BadWeights, NoSpace
from ..thunder_core.manner import Manner
from ..thunder_core.own_files import say_damaged
from ..thunder_core.progress import result
from ..thunder_core.request import Request, SourcePerformance
from ..thunder_core.types import LISTENS, RATE
from . import products
from .script import (
    add_options,
    as_option,
    count_in_words,
    file_path,
    Parser,
    say,
    setting,
    utf8,
    Warnings,
)

if TYPE_CHECKING:
    from ..scene.animation import keying
    from ..scene.properties.settings import ThunderTake


IDLE = "idle"  # name of a scene without a sound
FINDING_WORDS = 0.05  # share of a bake's progress that finding words before takes has


# What argparse is told of each option: of those that are settings of a job, and of others.
OPTIONS: dict[str, dict[str, Any]] = {
    "out": {
        "type": file_path,
        "help": "folder to write into, made if it is missing (of --jobs: as the job file says)",
    },
    **{name: as_option(each) for name, each in settings.SETTINGS.items()},
    "npz": {"action": "store_true", "help": "also write take_01.npz … in rank order"},
    "new-head": {
        "action": "store_true",
        "help": "add a head of Thunder's also beside a character whose names are not known",
    },
    "weights": {
        "type": file_path,
        "help": "folder of model files (default: as the preferences say)",
    },
    "engine": {
        "type": file_path,
        "help": "Python that runs the engine (default: as the add-on finds it)",
    },
    "force": {
        "action": "store_true",
        "help": "also replace files in --out that no bake wrote, or that have changed since; they "
        "are kept as NAME1",
    },
    "allow-newer": {
        "action": "store_true",
        "help": "bake in a file of a newer Blender, without what this Blender does not know",
    },
}
_VOICES: dict[str, dict[str, Any]] = {  # one of which is given
    **{name: OPTIONS[name] for name in settings.VOICES},
    "jobs": {
        "type": file_path,
        "metavar": "PATH",
        "help": "bake many: a job file (.toml), a folder of sound files, or the dialogue of a "
        ".blend",
    },
    "picks": {
        "type": file_path,
        "metavar": "FILE",
        "help": "commit the takes that were picked on batch.html, the page in --out, and saved as "
        "this file",
    },
}
_OF_DIRECTION = {name: OPTIONS[name] for name in settings.DIRECTION}
_OF_MANY: dict[str, dict[str, Any]] = {  # with --jobs alone
    "only": {
        "type": utf8,
        "metavar": "NAME",
        "action": "append",
        "help": "bake this job alone; may be given several times",
    },
    "again": {"action": "store_true", "help": "also bake jobs of which nothing has changed"},
    "cluster": {
        "type": utf8,
        "metavar": "ADDRESS",
        "help": "bake on the machines of a Ray cluster; auto: the one that runs here",
    },
    "cluster-python": {
        "type": file_path,
        "metavar": "PATH",
        "help": "Python that has Ray (the engine's)",
    },
    "cluster-cpus": {
        "type": setting(settings.number(1, 1024, whole=True)),
        "default": baker.CPUS,
        "help": f"processors of a job ({baker.CPUS})",
    },
    "log-every": {
        "type": setting(settings.number(1.0, 86400.0)),
        "default": baker.LOG_EVERY,
        "metavar": "SECONDS",
        "help": f"least time between two lines on progress ({baker.LOG_EVERY:g})",
    },
    "list": {
        "action": "store_true",
        "help": "print the names of the jobs, one a line, and bake none",
    },
}


def options(arguments: list[str], command: str = "bake.py") -> argparse.Namespace:
    """The command line's options; ends the process with code 2 if one is wrong. command: how the
    command is called."""
    parser = Parser(prog=command, description=__doc__.partition("\n")[0])
    parser.set_defaults(command=command)
    add_options(parser.add_mutually_exclusive_group(required=True), _VOICES)
    grouped = _VOICES.keys() | _OF_DIRECTION.keys()
    add_options(parser, {name: OPTIONS[name] for name in OPTIONS if name not in grouped})
    direction = parser.add_argument_group(
        "how takes are played",
        "Without any of these takes are played as the head in the scene is directed, or around "
        "what is usual. What is given goes before what a preset says.",
    )
    add_options(direction, _OF_DIRECTION)
    many = parser.add_argument_group(
        "many bakes",
        "With --jobs; what other options say holds for jobs that do not say otherwise.",
    )
    add_options(many, _OF_MANY)
    chosen = parser.parse_args(arguments)
    for name in ("only", "again", "list", "cluster"):
        if getattr(chosen, name) and not chosen.jobs:
            parser.error(f"argument --{name}: only with argument --jobs")
    if not chosen.jobs and not chosen.out:
        parser.error("the following arguments are required: --out")
    if chosen.strip is not None and chosen.start is not None:
        parser.error("argument --start: not allowed with argument --strip")
    for name in ("transcript", "recognise"):
        if getattr(chosen, name) and (chosen.listen_to or chosen.seconds):
            parser.error(f"argument --{name}: only of a voice that the face speaks")
    if chosen.performed_rate and not (chosen.perform_as or chosen.jobs):
        parser.error("argument --performed-rate: only with argument --perform-as")
    for name in settings.RECOGNISER:
        if getattr(chosen, name) and not (chosen.recognise or chosen.jobs):
            parser.error(f"argument --{name}: only with argument --recognise")
    return chosen


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
    inputs = _inputs_of(chosen)
    hashes = hashes_of(inputs)  # before any of them is read
    performance, read = _source_performance(chosen)
    request = Request.of(
        chosen, takes=chosen.takes, direction=direction_of(chosen),
        perform_as=performance, listening=chosen.listen_to is not None,
    )  # fmt: skip
    words_of(chosen.transcript)  # raises before anything is done
    manner = None if chosen.manner is None else Manner.read(Path(chosen.manner))
    check_engine(chosen.engine, chosen.weights)
    files.check_writable(chosen.out)
    scene, sound = _open_scene(chosen), _sound_of(chosen)
    used = list(bpy.utils.blend_paths(absolute=True))
    wanted = _wanted_outputs(chosen, sound, made_from is not None)
    hashes_of_used = hashes_of(used)
    out = files.Transaction(chosen.out, chosen.force, [*inputs, *used])
    out.check(["report.json", *wanted.names()])
    voice, rig, times = _choose_line(scene, chosen, sound, wanted.name, warnings)
    if chosen.strip is not None or chosen.seconds:
        hashes |= hashes_of([strip.file_of(voice)])
    if manner is not None:
        sliders.set_manner(sliders.ensure(rig.owner), manner)
        if request.direction is not None:
            request = replace(request, direction=replace(request.direction, manner=manner))
    client = _start_engine(chosen, tell, warnings)
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
    keep_voice(scene, voice, sound, chosen)
    if request.listening:  # as it does from now on, or Generate would let it speak
        head_state.ensure(rig.owner).role = LISTENS.upper()
    sampled = time.monotonic() - started
    scene.frame_end = max(scene.frame_end, entries[0].last + entries[0].lead_out)
    take_list.number_in_order(entries)
    report = {
        **_report_takes(performances, entries),
        **_report_voice(scene, voice, chosen, sound, hashes),
        # of a strip's chosen channel the engine knows nothing
        "channel": voice.channel or performances[0].provenance.get("channel", "mix"),
        "seed": seed,
        **request.settings,
        **_report_moved(chosen, transfer, voice.name, performances[0].provenance, read),
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
        check_unchanged(hashes)
        report["seconds"] = {
            "sampled": round(sampled, 2),
            "all": round(time.monotonic() - started, 2),
        }
        out.write("report.json", json.dumps(report, indent=1, ensure_ascii=False))
        # files of an earlier bake that this one does not replace: they belong to other takes
        out.remove(settings.OF_TAKES)
        out.remove(re.compile(re.escape(f"{wanted.name}.blend")))
    say_kept(out)
    _say_done(out.folder, report, baked.performances)


def _sound_of(chosen: argparse.Namespace) -> str | None:
    """The sound file of the voice, silence for an idle face; None for a strip."""
    if chosen.strip is not None:
        return None
    return os.path.abspath(chosen.audio or chosen.listen_to or silence(chosen.seconds))


def _wanted_outputs(chosen: argparse.Namespace, sound: str | None, many: bool) -> products.Outputs:
    """What is written. many: whether the bake is one of a job file."""
    outputs = [*(chosen.outputs or ["blend"]), *["npz"] * chosen.npz, *["dailies"] * many]
    name = Path(bpy.data.filepath or sound or "").stem
    return products.Outputs(name, tuple(outputs), chosen.takes, chosen.export_takes)


def _choose_line(
    scene: bpy.types.Scene,
    chosen: argparse.Namespace,
    sound: str | None,
    name: str,
    warnings: Warnings,
) -> tuple[strip.Voice, head.Rig, timings.Times | None]:
    """The voice, with its transcript, the rig to animate, and the times of the transcript's words
    where a file tells them. name: of the scene's file. Raises
    ThunderError."""
    voice = choose_voice(scene, sound, chosen.strip, chosen.start, chosen.channel)
    words, note, times = words_of(chosen.transcript, transcript.part_of(scene, voice))
    warnings.add(strip.warning(voice), note)
    scene_before = str(manifest.read_report(chosen.out).get("blend") or "")
    if scene_before not in ("", f"{name}.blend"):
        warnings.add(
            f"“{scene_before}” in the folder is of an earlier bake, and the report beside it will "
            f"be of “{name}”: bake into another folder to keep both"
        )
    rig = _choose_rig(scene, chosen, warnings)
    if words:
        transcript.ensure(scene, voice.name).text = words
    if chosen.language:
        scene.thunder.language = (
            transcript.AUTOMATIC if chosen.language == "auto" else chosen.language
        )
    return voice, rig, times


def _start_engine(
    chosen: argparse.Namespace, tell: Callable[[jobs.Step], None], warnings: Warnings
) -> Client:
    """The client of the engine, which has answered. Raises ThunderError."""
    client = client_of(chosen)
    hello = connection.ask(client, "hello", (0.0, 0.05), "Starting engine")
    engine = jobs.run_through("Starting the engine", hello, tell)
    if engine["weights_origin"] == "changed":  # the user's weights
        warnings.add(engine["weights_note"])
    return client


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


def _report_voice(
    scene: bpy.types.Scene, voice: strip.Voice, chosen: argparse.Namespace, sound: str | None,
    hashes: Mapping[str, str],
) -> dict:  # fmt: skip
    """The report's entries on the voice and its words."""
    state = voice.state
    record, said = (
        transcript.of_piece(scene, voice.name, state),
        transcript.text_of(scene, voice.name, state),
    )
    of_scene = f"{os.path.basename(bpy.data.filepath)}: {chosen.strip}"
    return {
        # by its name: the folder is made to be copied
        "audio": None if chosen.seconds else os.path.basename(sound) if sound else of_scene,
        "sha256": hashes.get(sound or bpy.data.filepath),
        **({"transcript": said} if said else {}),
        **({"recognised": record.language} if said and record.is_recognised else {}),
    }


def _choose_rig(scene: bpy.types.Scene, chosen: argparse.Namespace, warnings: Warnings) -> head.Rig:
    """The rig to animate: of the head that is chosen, else as `choose_head` finds it. What is wrong
    with it is added to the warnings. Raises BadHead."""
    present = [
        obj.name
        for obj in scene.objects
        if obj.type not in ("CAMERA", "EMPTY", "LIGHT", "LIGHT_PROBE", "SPEAKER")  # no faces
    ]
    rig = choose_head(scene, chosen.head, chosen.strip, chosen.new_head)
    warnings.add("" if chosen.new_head else say_passed_by(rig, present))
    head.check_animatable(rig)
    warnings.add(*rig.warnings)
    return rig


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


def _inputs_of(chosen: argparse.Namespace) -> list[str]:
    """Absolute paths of the files that the options name."""
    words = chosen.transcript
    named = [
        chosen.audio or chosen.listen_to,
        chosen.blend or bpy.data.filepath,
        chosen.style if chosen.style is not None and is_preset_file(chosen.style) else None,
        chosen.manner,
        chosen.perform_as,
        chosen.performed_voice,
        words if words and settings.is_text_file(words) else None,
    ]
    return list(map(os.path.abspath, filter(None, named)))


def _open_scene(chosen: argparse.Namespace) -> bpy.types.Scene:
    """Open the scene that is baked in, and set its rate if it is a new one. Raises BadRequest."""
    open_file(chosen.blend)
    check_file(chosen.allow_newer)
    scene = bpy.context.scene
    if chosen.fps is None:
        return scene
    if bpy.data.filepath:
        raise BadRequest(
            f"“{os.path.basename(bpy.data.filepath)}” has a frame rate of its own: leave --fps out"
        )
    render, whole = scene.render, round(chosen.fps)
    # a rate such as 29.97 is a whole one divided by 1.001
    is_drop = abs(chosen.fps - whole) > 0.001 and abs(whole / 1.001 - chosen.fps) < 0.01
    render.fps = whole
    render.fps_base = 1.001 if is_drop else whole / chosen.fps
    return scene


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


def hashes_of(paths: Iterable[str]) -> dict[str, str]:
    """The hash of each of these paths that is a file and can be read."""
    hashes = {}
    for path in paths:
        if not files.not_a_file(path):
            with contextlib.suppress(OSError):  # reported where the file is used
                hashes[path] = files.hash_of(path)
    return hashes


def check_unchanged(hashes: Mapping[str, str]) -> None:
    """Raise BadRequest if a file has changed since it was read: the takes would pass for takes of
    the new one."""
    now = hashes_of(hashes)
    for path, digest in hashes.items():
        if now.get(path) != digest:
            raise BadRequest(
                f"“{path}” was changed, replaced or removed while it was baked: bake again"
            )


def silence(seconds: float) -> str:
    """A silent sound file in Blender's temporary folder; its path. Raises NoSpace."""
    path = os.path.join(bpy.app.tempdir, f"{IDLE}.wav")
    try:
        with wave.open(path, "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(bytes(2 * round(seconds * RATE)))
    except OSError as error:
        raise NoSpace(
            f"No temporary file can be written in “{bpy.app.tempdir}” ({error.strerror}): free "
            f"some space"
        ) from error
    return path


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


def _source_performance(chosen: argparse.Namespace) -> tuple[SourcePerformance | None, str]:
    """The performance that is to move to this voice, in a file, None for none, and how it was read.
    Raises BadRequest if an option does not fit."""
    both = chosen.perform_as, chosen.performed_voice
    if not (any(both) or chosen.perform_line):
        return None, ""
    if chosen.perform_line and any(both):
        raise BadRequest(
            "--perform-line names a line of the scene, --perform-as a file: give one of them"
        )
    if any(both) and not all(both):
        raise BadRequest(
            "--perform-as and --performed-voice go together: give a take and the recording that it "
            "was made of"
        )
    if not (chosen.audio or chosen.strip):
        raise BadRequest(
            "--perform-as and --perform-line are for a voice that the face speaks: give --audio or "
            "--strip alone"
        )
    if chosen.perform_line:
        return None, ""  # it is read from the scene
    steps = motion_file.read_recording(
        os.path.abspath(both[0]), tuple(head.channel_names()), chosen.performed_rate or 0.0
    )
    motion, read = result(steps)
    return SourcePerformance(motion, os.path.abspath(both[1])), read


def _report_moved(
    chosen: argparse.Namespace, transfer: perform_as.Transfer | None, voice: str, about: dict,
    read: str,
) -> dict:  # fmt: skip
    """The report's entry on a performance that moved to this voice, which is also said; empty if
    none did.  read: how its file was read."""
    if transfer is not None:
        source, said = transfer.source, transfer.messages(about)
        of: dict[str, object] = {"line": source.line, "head": source.mesh, "take": source.name}
        of["keys_left"] = transfer.left
    elif chosen.perform_as is not None:
        said = perform_as.describe_changes(Path(chosen.perform_as).stem, voice, about)
        said += [read] if read else []
        of = {"take": chosen.perform_as, "voice": chosen.performed_voice}
        of = {name: os.path.abspath(str(path)) for name, path in of.items()}
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


def client_of(chosen: argparse.Namespace) -> Client:
    """The client of the engine that --engine and --weights name, by default the usual one. Raises
    as `check_engine`."""
    check_engine(chosen.engine, chosen.weights)
    return connection.client(
        chosen.engine, os.path.abspath(chosen.weights) if chosen.weights else None
    )


def open_file(path: str | None, advice: str = "name another with --blend") -> None:
    """Open the named file, or an empty one if Blender has none open. Raises BadRequest."""
    # of `blender FILE -c …`: exporters need one, which a file brings that is opened now
    if bpy.context.window is None:
        path = path or bpy.data.filepath
    if path:
        if problem := files.not_a_file(path):
            raise BadRequest(f"{problem}: {advice}")
        try:
            bpy.ops.wm.open_mainfile(filepath=os.path.abspath(path))
        except RuntimeError as error:
            raise BadRequest(
                f"“{path}” cannot be opened ({files.reason_of(error)}): open it with the Blender "
                f"that saved it, try a backup of it, or name another"
            ) from error
    elif not bpy.data.filepath:  # Blender starts with a default cube
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    _leave_edit_mode()


def _leave_edit_mode() -> None:
    """Put what was saved in Edit Mode into Object Mode: in it Blender shows no takes."""
    objects = bpy.context.view_layer.objects
    active = objects.active
    for obj in objects:
        if obj.mode == "EDIT":
            objects.active = obj
            bpy.ops.object.mode_set(mode="OBJECT")  # with it all of its kind
    objects.active = active


def check_file(allow_newer: bool) -> None:
    """Raise BadRequest if the open file should not be baked in: data that this Blender does not
    know would be lost."""
    path, running = bpy.data.filepath, tuple(bpy.app.version_file)
    saved: tuple[int, ...] = tuple(bpy.data.version)  # type: ignore[arg-type]  # an array
    if not files.is_utf8(path):
        raise BadRequest(f"The name “{files.printable(path)}” is not valid UTF-8: rename the file")
    if saved > running and not allow_newer:
        version, this = (".".join(map(str, numbers)) for numbers in (saved, running))
        raise BadRequest(
            f"“{os.path.basename(path)}” was saved by a newer Blender ({version}, this is "
            f"{this}), and what this one does not "
            f"know would be missing: bake with Blender {saved[0]}.{saved[1]}, or use --allow-newer"
        )
    check_linked()


def check_linked() -> None:
    """Raise BadRequest if linked data of the open file are missing: Blender replaces them with
    empty data."""
    for library in bpy.data.libraries:
        path = os.path.normpath(bpy.path.abspath(library.filepath))
        # the latter since Blender 5.0
        is_packed = library.packed_file or getattr(library, "is_archive", False)
        if not is_packed and (problem := files.not_a_file(path)):
            raise BadRequest(
                f"{problem}, which the scene links: put the file there, or save the scene without "
                f"it"
            )
    for name in dir(bpy.data):
        collection = getattr(bpy.data, name)
        if not isinstance(collection, bpy.types.bpy_prop_collection):
            continue
        for block in collection:
            if getattr(block, "is_missing", False) and block.library is not None:
                path = os.path.normpath(bpy.path.abspath(block.library.filepath))
                raise BadRequest(
                    f"“{block.name}” is missing in “{path}”, from where the scene links it: link "
                    f"it again, or save the scene without it"
                )


def say_kept(out: files.Transaction) -> None:
    """Print what --force replaced and the new names of the old files."""
    for name, kept in out.kept.items():
        say(f"      “{name}” was there and is kept as “{kept}”")


def choose_voice(
    scene: bpy.types.Scene,
    sound: str | None,
    name: str | None,
    start: float | None,
    channel: str | None,
) -> strip.Voice:
    """The voice that is baked: a sound file from a frame on, or the strip of that name; channel:
    the one chosen, None for that of the scene. Raises BadSound."""
    if name is None:
        scene.thunder.property_unset("file_channel")  # of another file
        voice = strip.of_file(scene, sound or "", scene.frame_start if start is None else start)
    else:
        speaking = strip.by_name(scene, name)
        found = voice_elsewhere(scene, name) if speaking is None else None
        if found is None and (speaking is None or speaking.type != "SOUND"):
            raise BadSound(
                strip.say_elsewhere(scene, name)
                or f"There is no sound strip “{name}” in the scene “{scene.name}”: name another "
                f"with --strip"
            )
        voice = found or strip.voice_of(scene, speaking)
    if channel is not None:
        voice = strip.choose_channel(scene, voice, protocol.read_channel(channel))
    return voice


def voice_elsewhere(scene: bpy.types.Scene, name: str) -> strip.Voice | None:
    """The voice of a strip that only one other scene has, where its frames are this scene's: at the
    same rate, and not moved by a scene strip. None if there is no such strip."""
    others = strip.elsewhere(scene, name)
    here: Iterable = (
        [] if scene.sequence_editor is None else compat.strips_all(scene.sequence_editor)
    )
    is_same = len(others) == 1 and Clock.of(others[0], 0).fps == Clock.of(scene, 0).fps
    if not is_same or any(
        each.type == "SCENE"
        and each.scene == others[0]
        and compat.content_start(each) != others[0].frame_start
        for each in here
    ):
        return None
    return strip.voice_of(others[0], strip.by_name(others[0], name))


def choose_head(
    scene: bpy.types.Scene, name: str | None, speaks: str | None = None, new: bool = False
):
    """The rig to animate: the named object's, the speaker of a strip, the scene's head, or a
    new one if there is none; a linked one is made editable. new: also beside a character whose
    names are not known.

    Raises BadHead, also for a strip without a speaker in a scene of several heads: its takes would
    be on the wrong one.
    """
    speaker = dialogue.speaker_of(scene, speaks) if name is None and speaks is not None else None
    if speaker is not None:
        scene.thunder.head = speaker
    elif name is None and speaks is not None and len(head.in_scene(scene)) > 1:
        raise BadHead(
            f"“{speaks}” has no speaker and the scene “{scene.name}” several heads: choose who "
            f"speaks it under Dialogue, "
            f"or name the head with --head"
        )
    elif name is not None:
        scene.thunder.head = head.by_name(scene, name)
    elif scene.thunder.head is None and not head.in_scene(scene):
        scene.thunder.head = None if new else family.instance(scene.objects)
        unknown = None if new or scene.thunder.head else family.find_unknown(scene)
        if unknown is not None:
            raise BadHead(
                f"“{unknown.name}” looks like a character, but none of its names is known: map it "
                f"in Thunder Character and save the file, or use --new-head for a head of Thunder's"
            )
        if scene.thunder.head is None:
            scene.thunder.head = head.build(scene.collection, bpy.context.view_layer).mesh
    chosen = scene.thunder.head or head.guess(scene, bpy.context.object)
    if chosen is not None and family.find_linked(scene, chosen) == chosen:
        scene.thunder.head = family.make_editable(scene, bpy.context.view_layer, chosen)
    return head.find(scene, bpy.context.object)


def say_passed_by(rig: head.Rig, present: list[str]) -> str:
    """That a head was added to a file though it had objects, which are none that Thunder knows; ""
    where none was added."""
    if not present or family.MARK not in rig.owner or rig.owner.name in present:
        return ""
    return (
        f"No object of this file (“{present[0]}” …) is a character that Thunder knows, so it added "
        f"a head of its own: name yours with --head, or use --new-head"
    )


def keep_voice(
    scene: bpy.types.Scene, voice: strip.Voice, sound: str | None, chosen: argparse.Namespace
) -> None:
    """Keep the voice in the scene: a sound file, if that was given, as a strip; with --pack in the
    .blend itself."""
    spoken = None if chosen.strip is None else strip.by_name(scene, chosen.strip)
    if sound is not None and not chosen.seconds and strip.has_audio():
        spoken = place_voice(scene, sound, voice)
    if chosen.pack and spoken is not None:
        pack_sound(spoken)


def place_voice(scene: bpy.types.Scene, sound: str, voice: strip.Voice):
    """Add the sound to the sequencer where the takes were keyed, unless it exists already; returns
    its strip."""
    for present in strip.sound_strips(scene):
        same = present.sound is not None and bpy.path.abspath(present.sound.filepath) == sound
        if same and abs(compat.content_start(present) - voice.clock.start) < 0.01:
            return present
    added = strip.add(scene, sound, Path(sound).stem, int(voice.clock.start))
    strip.move(added, voice.clock.start)
    if voice.channel is not None:
        added[fingerprint.CHANNEL] = voice.channel
    scene.thunder.voice = added.name
    return added


def pack_sound(sound_strip: bpy.types.SoundStrip) -> None:
    """Store the sound of a strip in the .blend, unless it is there."""
    sound = sound_strip.sound
    if sound is not None and sound.packed_file is None:
        sound.pack()


# ---- how takes are played


def direction_of(chosen: argparse.Namespace) -> DirectionRequest | None:
    """The direction that the options ask for, None if no option names one. Raises BadRequest for a
    preset that cannot be read."""
    moved = {
        axis.name: number
        for axis in AXES
        if (number := getattr(chosen, settings.option_of(axis.name).replace("-", "_"))) is not None
    }
    if (
        chosen.style is None
        and chosen.mood is None
        and chosen.spread is None
        and not moved
        and chosen.as_asked
    ):
        return None
    preset = Preset("") if chosen.style is None else all_presets().find(chosen.style)
    mood = None if chosen.mood is None else settings.read_mood(chosen.mood)
    return preset.direction_request(moved, mood, chosen.spread, chosen.as_asked)


def named_styles(values: Mapping[str, object]) -> dict[str, str]:
    """The text of the preset that the settings of a job name, under “style”; empty where they name
    none. Raises BadRequest."""
    style = values.get("style")
    return (
        {}
        if style is None or is_preset_file(str(style))
        else {"style": all_presets().find(str(style)).to_json()}
    )


def words_of(given: str | None, part: subtitles.PlayedPart | None = None) -> subtitles.ReadText:
    """The words that --transcript gives, or those in the file that it names; "" where it is left
    out. part: as of `subtitles.read_text`. Raises BadRequest."""
    if not given:
        return subtitles.ReadText("")
    if not settings.is_text_file(given):
        return subtitles.ReadText(" ".join(given.split()))
    return subtitles.read_text(given, "name another with --transcript", part)
