# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole path in one command (`make demo`): a voice in the sequencer becomes takes on the
bundled head, ranked, keyed, turned back into speech, filmed and laid out on a contact sheet.

`python demo.py -- --audio a.wav --out out/demo` in a Python that has bpy, or `blender -b --python
demo.py -- …`. Leaves scene.blend, best.mp4, takes.png, says.wav, take_01.npz …, report.json and
thunder-files.json, a list of these files, in the folder `--out`: all of them, or none if anything
fails. A file that an earlier run did not write, or that has changed since, is replaced only with
--force, which keeps it (scene.blend as scene.blend1).
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import bpy

from ..scene.heads import head
from ..scene.host import jobs
from ..scene.media import studio
from ..scene.review import listening
from ..scene.takes import grades, take_list, transcript
from ..scene.takes.line import How, perform
from ..scene.voice import strip
from ..thunder_core import files, shipped
from ..thunder_core.batch import settings
from ..thunder_core.batch.settings import file_of_take
from ..thunder_core.request import Request
from . import bake, products
from .script import add_options, count_in_words, file_path, quiet, run, say, Warnings

SCENE_FPS = 25
PRODUCTS = ("scene.blend", "takes.png", "says.wav", "best.mp4", "report.json")
SCENE_PIXELS = 1080
FILM_PIXELS = 480  # a frame of the film takes 0.2 s on two cores without a graphics card

_OPTIONS: dict[str, dict[str, Any]] = {  # those that a bake has, and more
    "audio": {"type": file_path, "default": str(shipped.SAMPLE), "help": "the voice, a sound file"},
    "out": {
        "type": file_path,
        "default": "out/demo",
        "help": "folder to write into, made if it is missing",
    },
    **{
        name: bake.OPTIONS[name] for name in ("takes", "transcript", "quality", "weights", "engine")
    },
    "seed": {**bake.OPTIONS["seed"], "default": 1, "help": "seed of the first take (1)"},
    "force": {
        "action": "store_true",
        "help": "also replace files in --out that no run wrote, or that have changed since; they "
        "are kept as NAME1",
    },
}


def options(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line; ends the process where they are wrong."""
    parser = argparse.ArgumentParser(prog="demo.py", description=__doc__.partition("\n")[0])
    add_options(parser, _OPTIONS)
    return parser.parse_args(arguments)


def demonstrate(chosen: argparse.Namespace) -> dict:
    """Run the whole path; returns the report. Raises ThunderError."""
    started = time.monotonic()
    sound = os.path.abspath(chosen.audio)
    npz = [file_of_take("npz", rank) for rank in range(chosen.takes)]
    words, _ = bake.words_of(chosen.transcript)
    if chosen.transcript is None and sound == str(shipped.SAMPLE):
        words = shipped.SAMPLE_TEXT
    bake.check_engine(chosen.engine, chosen.weights)
    out = files.Transaction(chosen.out, chosen.force, [sound])
    out.check([*PRODUCTS, *npz])

    say("Setting the stage")
    voice, line, rig = set_stage(chosen, sound)
    scene = bpy.context.scene
    if words:
        transcript.ensure(scene, voice.name).text = words
    warnings = Warnings("demo.py")
    warnings.add(strip.warning(voice))

    def tell(step: jobs.Step) -> None:
        warnings.add(step.note)
        bake.tell_on_terminal(step)

    say(f"Generating {count_in_words(chosen.takes)}")
    client = bake.client_of(chosen)
    sampled = generate(client, voice, rig, chosen, tell)
    entries = list(scene.thunder.takes)

    with out:
        parts = {name: out.part(name) for name in (*npz, *PRODUCTS) if name != "report.json"}
        for name, take in zip(npz, sampled):
            products.write_npz(parts[name], take)

        say("Listening to the best take")
        listen(client, voice, line, rig, parts["says.wav"], tell)

        say("Saving the scene")
        scene.frame_set(scene.frame_start)
        scene.sync_mode = "AUDIO_SYNC"
        products.save_blend(parts["scene.blend"])

        say("Filming the best take")
        with quiet() as terminal, film_progress(terminal, scene):
            studio.render_film(scene, parts["best.mp4"], FILM_PIXELS, FILM_PIXELS)

        say("Drawing the contact sheet")
        with quiet():
            products.draw_sheet(parts["takes.png"], scene, rig, voice, entries, lambda _: None)

        report = {
            "audio": os.path.basename(sound),
            "channel": sampled[0].provenance.get("channel", "mix"),
            "weights": sampled[0].provenance["weights"],
            "quality": chosen.quality,
            "transcript": words,
            "warnings": warnings,
            "takes": [
                {
                    "rank": rank,
                    "seed": take.seed,
                    "score": bake.round_score(take.score),
                    "words": entry.words,
                }
                for rank, (take, entry) in enumerate(zip(sampled, entries), start=1)
            ],
            "sha256": {
                name: files.hash_of(parts[name])
                for name in sorted(parts)
                if name.endswith((".npz", ".wav"))
            },
            "seconds": round(time.monotonic() - started, 2),
        }
        out.write("report.json", json.dumps(report, indent=1, ensure_ascii=False))
        out.remove(settings.OF_TAKES)  # those of an earlier run with more takes
    bake.say_kept(out)
    say(f"Done: {', '.join(sorted((*parts, 'report.json')))} in {out.folder}")
    return report


def set_stage(chosen: argparse.Namespace, sound: str):
    """Make an empty scene with the voice in the sequencer, the bundled head, camera and lights.
    Raises ThunderError.

    Returns the voice, its strip (None in a Blender without sound) and the head's rig.
    """
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = SCENE_FPS, 1.0
    scene.frame_start = 1
    voice, line = strip.of_file(scene, sound), None
    if strip.has_audio():
        line = strip.add(scene, sound, Path(sound).stem, 1)
        scene.thunder.strip = line.name
        voice = strip.of_strip(scene, line)
    rig = head.build(scene.collection, bpy.context.view_layer)
    scene.thunder.head = rig.mesh
    scene.thunder.count = chosen.takes
    scene.thunder.seed = chosen.seed
    scene.render.resolution_x = scene.render.resolution_y = SCENE_PIXELS  # square, like the film
    studio.set_up(scene, [rig])
    scene.render.engine = "BLENDER_WORKBENCH"
    bpy.context.view_layer.update()
    return voice, line, rig


def generate(
    client,
    voice: strip.Voice,
    rig: head.Rig,
    chosen: argparse.Namespace,
    tell: Callable[[jobs.Step], None],
) -> list:
    """Generate the takes and list them on the terminal; returns the performances, best first.
    Raises ThunderError."""
    scene = bpy.context.scene
    how = How(Request(chosen.takes, chosen.seed, chosen.quality), seed=None)
    steps = perform(client, scene, rig, voice, how)
    sampled = jobs.run_through("Generating takes", steps, tell)
    take_list.number_in_order(scene.thunder.takes)
    for take, entry in zip(sampled, scene.thunder.takes):
        say(
            f"          {entry.name:<8s} lip-sync {take_list.points(take.score):>3}  "
            f"{take_list.verdict(entry, grades.of_take(entry)):<5s}  seed {take.seed}"
        )
    best = scene.thunder.takes[0]
    scene.frame_end = best.last + best.lead_out
    return sampled


def listen(
    client, voice: strip.Voice, line, rig: head.Rig, out: str, tell: Callable[[jobs.Step], None]
) -> None:
    """Write the best take's speech to a WAV file and put it in the sequencer. Raises
    ThunderError."""
    scene = bpy.context.scene
    best = scene.thunder.takes[0]
    jobs.run_through(
        "Listening", listening.speak(client, scene, rig, voice, best.first, best.last, out), tell
    )
    if line is not None:
        speech = listening.place(scene, out, f"{strip.LISTEN_MARK} {rig.mesh.name}", best.first)
        speech.sound.filepath = "//says.wav"  # packed, so the file need not exist yet
        line.sound.pack()  # so that the scene has its sound after copying


def film_progress(terminal: TextIO, scene):
    """Print every tenth of a film's frames on a terminal, while Blender is silenced."""

    def print_progress(done: int, count: int) -> None:
        if done % max(1, count // 10) == 0:
            say(f"{done / count:4.0%}  Frame {done} of {count}", terminal)

    return products.frames_rendered(scene, print_progress)


def main() -> None:
    """Run the command line."""
    run("demo.py", options, demonstrate)
