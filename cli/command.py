# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -c thunder …`: what bake.py does, in a Blender that has the extension."""

from __future__ import annotations

import sys

import bpy

NAME = "blender -c thunder"
HELP = f"""usage: {NAME} COMMAND …

bake …            bake takes of one voice, with the options of bake.py
jobs PATH …       bake many: a job file (.toml), a folder of sound files, or the dialogue of a .blend
check FILE …      find where lips do not fit their voices in .blend files, whatever animated them

{NAME} COMMAND --help lists the options of a command."""
_registered: list = []


def main(arguments: list[str]) -> int:
    """Run the command that the first argument names with the others; returns the exit code."""
    # only now: every start of Blender registers the command
    from . import batch, check, options as of_bake, script

    name, given = (arguments or ["--help"])[0], arguments[1:]
    command = f"{NAME} {name}"
    if name in ("bake", "jobs", "check"):
        options, action = (
            (check.options, check.check) if name == "check" else (of_bake.read_options, batch.start)
        )
        if name == "jobs" and given[:1] not in (["-h"], ["--help"]):
            given = ["--jobs", *given]  # to which the first word belongs
        return script.exit_code(command, lambda words: options(words, command), action, given)
    if name in ("-h", "--help"):
        script.say(HELP)
        return 0
    script.say(f"{NAME}: “{name}” is no command: use bake, jobs or check", sys.stderr)
    return 2


def register() -> None:
    _registered.append(bpy.utils.register_cli_command("thunder", main))


def unregister() -> None:
    while _registered:
        bpy.utils.unregister_cli_command(_registered.pop())
