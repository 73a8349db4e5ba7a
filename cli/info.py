# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -c thunder info`: versions, the engine with its device and weights, and the heads and
takes of a file."""

import argparse
import os

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import jobs
from ..scene.review import problem_report
from ..scene.takes import generation, take_list
from ..thunder_core.errors import attempt
from . import bake
from .script import file_path, Parser, say, takes_in_words


def options(arguments: list[str], command: str) -> argparse.Namespace:
    """The command line's options; ends the process with code 2 if one is wrong. command: how the
    command is called."""
    parser = Parser(
        prog=command,
        description="Versions, the engine with its device and weights, and the heads of a file.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=file_path,
        help="a .blend whose heads and takes are listed, as with --blend",
    )
    for name in ("blend", "engine", "weights"):
        parser.add_argument(f"--{name}", **bake.OPTIONS[name])
    return parser.parse_args(arguments)


def show(chosen: argparse.Namespace) -> None:
    """Print everything. Raises ThunderError; NoEngine after printing what needs no engine."""
    if chosen.file or chosen.blend:
        bake.open_file(chosen.file or chosen.blend)
    say(f"Versions\n{problem_report.versions()}")
    for scene in bpy.data.scenes if bpy.data.filepath else ():
        say(f"Heads of “{scene.name}” in {os.path.basename(bpy.data.filepath)}\n{heads_of(scene)}")
    bake.check_engine(chosen.engine, chosen.weights)
    client = bake.client_of(chosen)
    connection.keep_answer(
        jobs.run_through(
            "Starting the engine", generation.ask(client, "hello", (0.0, 1.0), "Starting engine")
        )
    )
    say(f"Engine\n{problem_report.engine()}")


def heads_of(scene) -> str:
    """A line for each head of a scene: what it can show, and its takes."""
    lines = []
    for mesh in head.in_scene(scene):
        rig, problem = attempt(head.resolve, mesh)
        shows = problem or f"{len(rig.channels)} of {len(head.channel_names())} channels"
        scores = [
            entry.score
            for entry in scene.thunder.takes
            if entry.head == mesh and take_list.speaks(entry)
        ]
        takes = takes_in_words(sum(entry.head == mesh for entry in scene.thunder.takes))
        best = f", the best has lip-sync {take_list.points(max(scores))}" if scores else ""
        lines.append(f"{head.owner_of(mesh).name}: {shows}, {takes}{best}\n")
    return "".join(lines) or "none\n"
