# SPDX-License-Identifier: GPL-3.0-or-later
"""Check animation without a window: `python bake.py check shots/*.blend`.

In every file each line of the dialogue is checked against what its speaker's head plays, whatever
made that. Prints what is found, most noticeable first, as text or JSON. Files are read and never
written. Ends with code 0 where nothing is found, 3 where something is, 1 where a file cannot
be checked (2 for a wrong option).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import bpy

from ..scene.heads import head
from ..scene.host import jobs
from ..scene.review import checking
from ..scene.takes import dialogue
from ..scene.voice import strip
from ..thunder_core.client import Client
from ..thunder_core.errors import attempt
from ..thunder_core.findings import Finding, REALISTIC, TOLERANCES
from . import bake
from .opening import open_file
from .options import OPTIONS
from .script import add_options, file_path, Parser, quiet, say, utf8

FOUND, FAILED = 3, 1  # exit codes
FORMATS = ("text", "json")
_OPTIONS: dict[str, dict[str, Any]] = {
    "format": {"choices": FORMATS, "default": "text", "help": "of what is printed"},
    "tolerance": {"choices": TOLERANCES, "default": REALISTIC, "help": "how much is allowed"},
    "strip": {"type": utf8, "metavar": "NAME", "help": "only the line of this strip"},
}
_OF_ENGINE = {name: OPTIONS[name] for name in ("engine", "weights")}


@dataclass
class CheckedLine:
    """A line of a file. name: of its voice.  head: of the object that speaks it.  found: (frames,
    finding, sentence), most noticeable first.  error: the reason why it could not be checked.
    warnings: on what its head cannot show.  passed: the reason why there is nothing to check, as
    the head listens; "" elsewhere."""

    file: str
    name: str = ""
    head: str = ""
    found: list[tuple[tuple[int, int], Finding, str]] = field(default_factory=list)
    error: str = ""
    warnings: list[str] = field(default_factory=list)
    passed: str = ""


def options(arguments: list[str], command: str = "bake.py check") -> argparse.Namespace:
    """The command line's options; ends the process with code 2 if one is wrong. command: how the
    command is called."""
    parser = Parser(prog=command, description=__doc__.partition("\n")[0])
    parser.add_argument(
        "files", nargs="+", type=file_path, metavar="FILE", help="the .blend files to check"
    )
    add_options(parser, _OPTIONS | _OF_ENGINE)
    return parser.parse_args(arguments)


def check(chosen: argparse.Namespace) -> int:
    """Check the files and print what is found; returns the exit code. Raises ThunderError if
    nothing can be started."""
    client = bake.client_of(chosen.engine, chosen.weights)
    with quiet():  # what is printed is for programs
        checked = [line for path in chosen.files for line in _check_file(client, path, chosen)]
    say((as_json if chosen.format == "json" else as_text)(checked))
    if any(line.error for line in checked):
        return FAILED
    return FOUND if any(line.found or line.warnings for line in checked) else 0


def _check_file(client: Client, path: str, chosen: argparse.Namespace) -> Iterator[CheckedLine]:
    """Check the lines of a file, which stays open."""
    _, problem = attempt(open_file, path, "name another file")
    if problem:
        yield CheckedLine(path, error=problem)
        return
    scene = bpy.context.scene
    scene.thunder_check.tolerance = chosen.tolerance.upper()
    lines = [line for line in dialogue.lines(scene) if chosen.strip in (None, line.strip)]
    if not lines:
        missing = (
            f"no line “{chosen.strip}”" if chosen.strip else "no sound strip that somebody speaks"
        )
        yield CheckedLine(
            path, error=f"The scene “{scene.name}” has {missing}: add the voice to its sequencer"
        )
    for line in lines:
        result = CheckedLine(
            path,
            line.strip,
            line.speaker.name if line.speaker is not None else "",
            error=line.why_not,
        )
        rig, _ = attempt(head.resolve, line.speaker) if line.speaker is not None else (None, "")
        if rig is not None and (sentence := dialogue.why_silent(scene, rig.mesh, line.strip)):
            result.passed, result.error = sentence, ""
        elif not result.error:
            findings, result.error = attempt(_check_line, client, scene, line)
            result.found = findings or []
            result.warnings = checking.warnings(rig) if rig is not None else []
        yield result


def _check_line(
    client: Client, scene: bpy.types.Scene, line: dialogue.Line
) -> list[tuple[tuple[int, int], Finding, str]]:
    """What is found of a line. Raises ThunderError."""
    assert line.speaker is not None  # else it says why not
    rig, voice = head.resolve(line.speaker), strip.of_strip(scene, strip.by_name(scene, line.strip))
    findings = jobs.run_through("Checking", checking.check(client, scene, rig, voice))
    rows = scene.thunder_check.findings
    return [((row.first, row.last), finding, row.sentence) for row, finding in zip(rows, findings)]


# ---- what is printed


def as_text(checked: list[CheckedLine]) -> str:
    """A line for each problem, and one for each line of dialogue without any."""
    lines = []
    for each in checked:
        where = f"{each.file}: {each.name}" if each.name else each.file
        if each.error:
            lines.append(f"{where}: not checked. {each.error}")
        lines += [f"{where}: {first}: {sentence}" for (first, _), _, sentence in each.found]
        lines += [f"{where}: {sentence}" for sentence in each.warnings]
        if not (each.error or each.found or each.warnings):
            lines.append(f"{where}: {each.passed or 'no problems'}")
    return "\n".join(lines)


def as_json(checked: list[CheckedLine]) -> str:
    """All that is known, for programs."""

    def found(each: CheckedLine) -> list[dict]:
        return [
            asdict(finding) | {"frames": frames, "sentence": sentence}
            for frames, finding, sentence in each.found
        ]

    lines = [
        {
            "file": each.file,
            "line": each.name,
            "head": each.head,
            "error": each.error,
            "problems": found(each),
            "warnings": each.warnings,
            "passed": each.passed,
        }
        for each in checked
    ]
    return json.dumps({"lines": lines}, indent=1, ensure_ascii=False)
