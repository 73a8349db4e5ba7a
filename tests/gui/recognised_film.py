# SPDX-License-Identifier: GPL-3.0-or-later
"""Films a line that is recognised, mended by one word and performed, in a Blender without a window:

    python tests/gui/recognised_film.py VOICE WRONG RIGHT OUT.mp4

The left head follows the words as Whisper (THUNDER_WHISPER, THUNDER_RECOGNISER) heard them, the
right one the same with the word RIGHT in the place of WRONG; both are the take of one seed.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import bpy

sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (0, 2)]
from grid_film import render_grid  # noqa: E402

from bake import load_extension  # noqa: E402

HEIGHT, SEED = 640, 1
PACKAGE = load_extension().__name__


def module(name: str):
    """A module of the extension."""
    return import_module(f"{PACKAGE}.{name}")


def main(sound: str, wrong: str, right: str, out: str) -> None:
    line, head, strip, studio = map(
        module, ("scene.takes.line", "scene.heads.head", "scene.voice.strip", "scene.media.studio")
    )
    jobs, word_places = map(module, ("scene.host.jobs", "scene.takes.word_places"))
    connection, recogniser = map(module, ("scene.engine.connection", "scene.engine.recogniser"))
    transcript, request = map(module, ("scene.takes.transcript", "thunder_core.request"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene, client = bpy.context.scene, connection.client()
    scene.render.fps, scene.frame_start = 25, 1
    spoken = strip.add(scene, os.path.abspath(sound), Path(sound).stem, 1)
    voice = strip.of_strip(scene, spoken)
    rig = head.build(scene.collection, bpy.context.view_layer)
    scene.thunder.head = rig.mesh
    studio.set_up(scene, [rig])
    bpy.context.view_layer.update()

    def tell(step):
        print(f"{step.fraction:4.0%}  {step.message}", flush=True)

    found = jobs.run_through(
        "Recognizing", word_places.recognise(client, voice, recogniser.arguments()), tell
    )
    record = transcript.of(scene, voice.name)
    print(found.sentence, record.text, sep="\n", flush=True)
    assert f" {wrong} " in record.text
    shown = []
    for heading in ("Heard", "Mended"):
        how = line.How(request.Request(1, SEED), None)
        take = line.perform(client, scene, rig, voice, how)
        jobs.run_through("Generating", take, tell)
        entry = next(each for each in scene.thunder.takes if each.name not in dict(shown))
        entry.name, entry.words = heading, record.text
        shown.append((heading, record.text))
        record.text = record.text.replace(f" {wrong} ", f" {right} ")
    entries = sorted(scene.thunder.takes, key=lambda each: [*dict(shown)].index(each.name))
    scene.frame_end = max(each.last + each.lead_out for each in entries)
    render_grid(PACKAGE, rig, entries, os.path.abspath(out), HEIGHT, True)


main(*sys.argv[sys.argv.index("--") + 1 if "--" in sys.argv else 1 :][:4])
