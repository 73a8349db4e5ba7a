# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake takes without a window: `blender -b file.blend --python bake.py -- --audio a.wav --takes 8 --out dir`.

Also `python bake.py …` in any Python that has bpy. Without a file the scene is empty but for the head. Writes into
the folder `--out`: the file with the sound, the head and its takes (NAME.blend), report.json, with --npz the numbers of
each take in rank order, and thunder-files.json, a list of these files. A file that an earlier bake did not write, or that
has changed since, is replaced only with --force, which keeps it (shot.blend as shot.blend1). A file that the bake reads
is never replaced.
Ends with code 0, or with 1 (2 for a wrong option) and one sentence on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import compat, jobs
from ..scene.takes import generation, take_list
from ..scene.takes.sampling import Sampling
from ..scene.voice import strip
from ..thunder_core import files
from ..thunder_core.animation import motion_file
from ..thunder_core.direction import Direction
from ..thunder_core.direction_presets import Preset
from ..thunder_core.direction_words import words_of_take
from ..thunder_core.engine_python import find_engine_python
from ..thunder_core.errors import BadHead, BadRequest, BadWeights
from . import directing
from .script import between, file_path, is_utf8, printable, quiet, run, say, takes_in_words, utf8, warn, whole

TAKE_FILE = re.compile(r"take_\d{2,}\.npz")
LAST_FRAME = 1_048_574  # of a scene: Blender takes no frames beyond


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bake.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=file_path, required=True, help="the voice, a sound file")
    parser.add_argument("--out", type=file_path, required=True, help="folder to write into, made if it is missing")
    parser.add_argument("--takes", type=whole(1, 64), default=8, help="how many to sample (8)")
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=1, help="seed of the first take (1)")
    parser.add_argument("--steps", type=whole(1, 1000), default=20, help="sampling steps (20)")
    parser.add_argument(
        "--guidance", type=between(1.0, 3.0), default=1.0, help="how closely takes keep to the voice, 1 to 3; above 1 twice the time (1)"
    )
    parser.add_argument(
        "--speech-guidance",
        type=between(0.0, 2.0),
        default=0.0,
        help="how strongly mesh-to-speech pulls takes to the voice, 0 to 2; above 0 three times the time (0)",
    )
    directing.add_options(parser)
    parser.add_argument("--npz", action="store_true", help="also write take_01.npz … in rank order")
    parser.add_argument("--blend", type=file_path, help="file to bake in, where none is open")
    parser.add_argument("--head", type=utf8, help="object to animate (default: the scene's head, or a new one)")
    parser.add_argument(
        "--start", type=between(-LAST_FRAME, LAST_FRAME), help="scene frame of the sound's first sample (the scene's first)"
    )
    parser.add_argument("--weights", type=file_path, help="folder of model files (default: as the preferences say)")
    parser.add_argument("--engine", type=file_path, help="Python that runs the engine (default: as the add-on finds it)")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also replace files in --out that no bake wrote, or that have changed since; they are kept as NAME1",
    )
    parser.add_argument(
        "--allow-newer", action="store_true", help="bake in a file of a newer Blender, without what this Blender does not know"
    )
    return parser.parse_args(arguments)


def bake(chosen: argparse.Namespace) -> dict:
    """Bake one sound as the options say; returns the report. Raises ThunderError, and then nothing was written."""
    sampling = replace(Sampling.of(chosen), asked=directing.asked(chosen))
    started = time.monotonic()
    check_engine(chosen.engine, chosen.weights)
    files.check_writable(chosen.out)
    open_file(chosen.blend)
    check_file(chosen.allow_newer)
    scene = bpy.context.scene
    sound = os.path.abspath(chosen.audio)
    name = Path(bpy.data.filepath).stem or Path(sound).stem
    takes = [f"take_{rank:02d}.npz" for rank in range(1, chosen.takes + 1)] if chosen.npz else []
    inputs = [sound, *filter(None, [bpy.data.filepath, directing.preset_file(chosen)]), *bpy.utils.blend_paths(absolute=True)]
    out = files.Transaction(chosen.out, chosen.force, inputs)
    out.check([f"{name}.blend", "report.json", *takes])
    say_repaired(out)
    start = scene.frame_start if chosen.start is None else chosen.start
    voice = strip.of_file(scene, sound, start)
    warnings = warn("bake.py", strip.warning(voice))
    rig = choose_head(scene, chosen.head)
    head.check_animatable(rig)
    client = connection.client(chosen.engine, os.path.abspath(chosen.weights) if chosen.weights else None)

    def tell(step):
        say(f"{step.fraction:4.0%}  {step.message}")

    engine = jobs.run_through("Starting the engine", generation.ask(client, "hello", (0.0, 0.05), "Starting engine"), tell)
    if engine["weights_origin"] == "changed":  # weights of one's own are meant
        warnings += warn("bake.py", engine["weights_note"])
    performances = jobs.run_through("Baking", generation.generate(client, voice, scene, rig, chosen.takes, chosen.seed, sampling), tell)
    if strip.has_audio():
        place_voice(scene, sound, voice)
    sampled = time.monotonic() - started
    report = {
        "audio": sound,
        "sha256": files.hash_of(sound),
        "seed": chosen.seed,
        **sampling.arguments,
        **directing.reported(performances[0].provenance),
        "blender": bpy.app.version_string,
        "blend": f"{name}.blend",
        "weights": performances[0].provenance["weights"],
        "warnings": warnings,
        "takes": [
            {"rank": rank, "seed": take.seed, "score": round(take.score, 3), "action": entry.action.name, **_played(take)}
            for rank, (take, entry) in enumerate(zip(performances, scene.thunder.takes), start=1)
        ],
    }
    with out:
        for file, take, entry in zip(takes, performances, report["takes"]):
            part = out.part(file)
            write_npz(part, take)
            entry |= {"npz": file, "npz_sha256": files.hash_of(part)}
        save_blend(out.part(f"{name}.blend"))
        report["seconds"] = {"sampled": round(sampled, 2), "all": round(time.monotonic() - started, 2)}
        out.write("report.json", json.dumps(report, indent=1, ensure_ascii=False))
        out.remove(TAKE_FILE)  # those of an earlier bake that this one does not replace: they are of other takes
    say_kept(out)
    best = performances[0]
    say(
        f"100%  {name}.blend and {takes_in_words(len(performances))} in {chosen.out}; the best has "
        f"lip-sync {take_list.points(best.score)}, "
        f"seed {best.seed}"
    )
    return report


def _played(take) -> dict:
    """What the report says of how a take is played; nothing where it was not directed."""
    reading = motion_file.reading_of(take.provenance)
    if reading is None:
        return {}
    return {"words": words_of_take(take.provenance), "played": Preset("", Direction.of_vector(reading)).data()}


def check_engine(engine: str | None, weights: str | None) -> None:
    """Raise NoEngine or BadWeights where a Python or a folder of weights that was named does not exist."""
    if engine:
        find_engine_python(engine, option="--engine")
    if weights and not os.path.isdir(weights):
        raise BadWeights(f"There is no folder “{weights}”: name another folder of model files with --weights")


def open_file(path: str | None) -> None:
    """Open the file that is named, or an empty one where Blender has none open. Raises BadRequest."""
    if path:
        if problem := files.not_a_file(path):
            raise BadRequest(f"{problem}: name another with --blend")
        try:
            bpy.ops.wm.open_mainfile(filepath=os.path.abspath(path))
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["no reason was given"])[-1].removeprefix("Error: ").rstrip(". ")
            raise BadRequest(f"“{path}” cannot be opened ({reason}): try a backup of it, or name another") from error
    elif not bpy.data.filepath:  # what Blender opens with by itself is a cube that nobody asked for
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def check_file(allow_newer: bool) -> None:
    """Raise BadRequest where the open file should not be baked in: data that this Blender does not know would be lost."""
    path, saved, running = bpy.data.filepath, tuple(bpy.data.version), tuple(bpy.app.version_file)
    if not is_utf8(path):
        raise BadRequest(f"The name “{printable(path)}” is not valid UTF-8: rename the file")
    if saved > running and not allow_newer:
        version, own = (".".join(map(str, numbers)) for numbers in (saved, running))
        raise BadRequest(
            f"“{os.path.basename(path)}” was saved by a newer Blender ({version}, this is {own}), and what this one does not "
            f"know would be missing: bake with Blender {saved[0]}.{saved[1]}, or use --allow-newer"
        )
    check_linked()


def check_linked() -> None:
    """Raise BadRequest where something that the open file links is missing: Blender opens it with empty data in its place."""
    for library in bpy.data.libraries:
        path = os.path.normpath(bpy.path.abspath(library.filepath))
        is_packed = library.packed_file or getattr(library, "is_archive", False)  # the latter since Blender 5.0
        if not is_packed and (problem := files.not_a_file(path)):
            raise BadRequest(f"{problem}, which the scene links: put the file there, or save the scene without it")
    for name in dir(bpy.data):
        collection = getattr(bpy.data, name)
        if not isinstance(collection, bpy.types.bpy_prop_collection):
            continue
        for block in collection:
            if getattr(block, "is_missing", False) and block.library is not None:
                path = os.path.normpath(bpy.path.abspath(block.library.filepath))
                raise BadRequest(
                    f"“{block.name}” is missing in “{path}”, from where the scene links it: link it again, or save the scene without it"
                )


def say_repaired(out) -> None:
    """Print which files were put back where an earlier bake into the folder was killed while it replaced them."""
    names = ", ".join(f"“{name}”" for name in out.repaired if name != files.MANIFEST)
    if names:
        say(f"      An earlier run was interrupted in “{out.folder}”; repaired to what was there before it: {names}")


def say_kept(out) -> None:
    """Print what --force replaced and how it is called now."""
    for name, kept in out.kept.items():
        say(f"      “{name}” was there and is kept as “{kept}”")


def choose_head(scene, name: str | None):
    """The rig to animate: the named object's, the scene's own head, or a new one when the scene has none."""
    if name is not None:
        chosen = scene.objects.get(name)
        if chosen is None:
            raise BadHead(f"There is no object “{name}” in the scene “{scene.name}”: name another with --head")
        scene.thunder.head = chosen
    elif scene.thunder.head is None and not head.in_scene(scene):
        scene.thunder.head = head.build(scene.collection, bpy.context.view_layer).mesh
    return head.find(scene, bpy.context.object)


def place_voice(scene, sound: str, voice) -> None:
    """Put the sound in the sequencer where the takes were keyed, unless it lies there already."""
    for present in strip.sound_strips(scene):
        same = present.sound is not None and bpy.path.abspath(present.sound.filepath) == sound
        if same and abs(compat.content_start(present) - voice.clock.start) < 0.01:
            return
    added = strip.add(scene, sound, Path(sound).stem, int(voice.clock.start))
    strip.move(added, voice.clock.start)
    scene.thunder.strip = added.name
    scene.frame_end = max(scene.frame_end, scene.thunder.takes[0].last + scene.thunder.takes[0].lead_out)


def write_npz(path: str, take) -> None:
    """Write the values of a take at 25 fps from the sound's first sample; the same take gives the same bytes."""
    with open(path, "wb") as file:
        np.savez(
            file,
            **motion_file.arrays(take.motion, take.channels, motion_file.reading_of(take.provenance)),
            opening=take.opening,
            width=take.width,
            score=np.float32(take.score),
            seed=np.int64(take.seed),
        )


def save_blend(path: str) -> None:
    """Save a copy of the open file as `path`, with paths made relative to it; the open file keeps its own name.

    Raises RuntimeError or OSError where it could not be saved completely.
    """
    preferences = bpy.context.preferences.filepaths
    versions = preferences.save_version
    preferences.save_version = 0  # else Blender keeps the empty file that is at `path` as a backup
    try:
        with quiet():  # Blender names the temporary file there
            bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, relative_remap=True, check_existing=False)
    finally:
        preferences.save_version = versions
    try:  # Blender says nothing where a disk gets full at the end of a compressed file, and leaves it truncated
        with bpy.data.libraries.load(path) as (saved, _):
            is_complete = {scene.name for scene in bpy.data.scenes if scene.library is None} <= set(saved.scenes)
    except OSError:
        is_complete = False
    if not is_complete:
        raise OSError("the scene could not be saved completely")


def main() -> None:
    run("bake.py", options, bake)
