# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bake is asked for: the options of its command, and the table into which they are read,
once."""

from __future__ import annotations

import argparse
import os
import wave
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy

from ..scene.heads import head
from ..scene.takes.direction.head_direction import all_presets
from ..thunder_core import files
from ..thunder_core.animation import motion_file
from ..thunder_core.batch import baker, settings
from ..thunder_core.direction import DirectionRequest
from ..thunder_core.direction_presets import is_preset_file, Preset
from ..thunder_core.errors import BadRequest, NoSpace
from ..thunder_core.manner import Manner
from ..thunder_core.progress import result
from ..thunder_core.request import Request, SourcePerformance
from ..thunder_core.types import RATE
from . import products
from .script import add_options, as_option, file_path, Parser, setting, utf8

IDLE = "idle"  # name of a scene without a sound

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
# options → the one that alone they go with, but for --jobs
_ONLY_WITH = {
    ("only", "again", "list", "cluster"): "jobs",
    ("performed_rate",): "perform_as",
    settings.RECOGNISER: "recognise",
}


def read_options(arguments: list[str], command: str = "bake.py") -> argparse.Namespace:
    """The command line's options; ends the process with code 2 if one is wrong. command: how the
    command is called."""
    parser = Parser(prog=command, description="Bake takes without a window")
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
    given = vars(chosen)
    for names, needed in _ONLY_WITH.items():
        for name in names:
            if given[name] and not (given[needed] or chosen.jobs):
                option, other = (each.replace("_", "-") for each in (name, needed))
                parser.error(f"argument --{option}: only with argument --{other}")
    if not chosen.jobs and not chosen.out:
        parser.error("the following arguments are required: --out")
    if chosen.strip is not None and chosen.start is not None:
        parser.error("argument --start: not allowed with argument --strip")
    for name in ("transcript", "recognise"):
        if getattr(chosen, name) and (chosen.listen_to or chosen.seconds):
            parser.error(f"argument --{name}: only of a voice that the face speaks")
    return chosen


@dataclass(frozen=True)
class BakeSettings:
    """What one bake is asked for.

    chosen: its options.  blend: the scene that is baked in, "" for a new one.  sound: the voice,
    silence for an idle face; None for a strip.  request: without its seed.  how_read: how the file
    of a performance was that moves to this voice.
    hashes: of the files that options name, by their paths, before any of them was read.
    """

    chosen: argparse.Namespace
    blend: str
    sound: str | None
    request: Request
    manner: Manner | None
    how_read: str
    outputs: products.Outputs
    hashes: dict[str, str]

    @classmethod
    def read(cls, chosen: argparse.Namespace, is_job: bool) -> BakeSettings:
        """Read what options say, and the files that they name. is_job: whether the bake is one of
        a job file's. Raises ThunderError."""
        given = given_by(chosen)
        named = [str(given[name]) for name in settings.path_names(given)]
        hashes = files.hashes_of(map(os.path.abspath, named))  # before any of them is read
        performance, how_read = _source_performance(chosen)
        direction = direction_of(chosen)
        manner = None if chosen.manner is None else Manner.read(Path(chosen.manner))
        if manner is not None and direction is not None:
            direction = replace(direction, manner=manner)
        voice = chosen.audio or chosen.listen_to
        if chosen.seconds:
            voice = silence(chosen.seconds)
        blend = given.get("blend", "")
        kinds = (*(chosen.outputs or ["blend"]), *["npz"] * chosen.npz, *["dailies"] * is_job)
        name = Path(blend or voice or "").stem
        request = Request.of(
            chosen, takes=chosen.takes, direction=direction, perform_as=performance,
            listening=chosen.listen_to is not None,
        )  # fmt: skip
        outputs = products.Outputs(name, kinds, chosen.takes, chosen.export_takes)
        sound = voice and os.path.abspath(voice)
        return cls(chosen, blend, sound, request, manner, how_read, outputs, hashes)


def given_by(chosen: argparse.Namespace) -> dict[str, Any]:
    """The settings that options give, by their names; the file that is open where none is named."""
    values = {name: getattr(chosen, name.replace("-", "_"), None) for name in settings.SETTINGS}
    values["blend"] = values["blend"] or bpy.data.filepath or None
    return {name: value for name, value in values.items() if value is not None}


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


def direction_of(chosen: argparse.Namespace) -> DirectionRequest | None:
    """The direction that the options ask for, None if no option names one. Raises BadRequest for a
    preset that cannot be read."""
    moved = {
        axis: number
        for axis, option in settings.OPTION_OF.items()
        if (number := getattr(chosen, option.replace("-", "_"))) is not None
    }
    if (
        chosen.style is None
        and chosen.mood is None
        and chosen.spread is None
        and not moved
        and chosen.as_asked
    ):
        return None
    preset = Preset("") if chosen.style is None else all_presets().look_up(chosen.style)
    mood = None if chosen.mood is None else settings.read_mood(chosen.mood)
    return preset.direction_request(moved, mood, chosen.spread, chosen.as_asked)


def named_styles(values: Mapping[str, object]) -> dict[str, str]:
    """The text of the preset that the settings of a job name, under “style”; empty where they name
    none. Raises BadRequest."""
    style = values.get("style")
    return (
        {}
        if style is None or is_preset_file(str(style))
        else {"style": all_presets().look_up(str(style)).to_json()}
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
