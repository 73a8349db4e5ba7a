# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake takes without a window: `blender -b file.blend --python bake.py -- --audio a.wav --takes 8 --out dir`.

Also `python bake.py …` in any Python that has bpy. Without a file the scene is empty but for the head. Writes into
the folder `--out`: the file with the sound, the head and its takes (NAME.blend), report.json and, with --npz, the
numbers of each take in rank order. Ends with code 0, or with 1 (2 for a wrong option) and one sentence on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import json
import os
import re
import shutil
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OWN_NAME = "thunder"  # of the package when this script loads it itself
TAKE_FILE = re.compile(r"take_\d{2,}\.npz")


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bake.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", required=True, help="the voice, a sound file")
    parser.add_argument("--out", required=True, help="folder to write into, made if it is missing")
    parser.add_argument("--takes", type=whole(1, 64), default=8, help="how many to sample (8)")
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=1, help="seed of the first take (1)")
    parser.add_argument("--steps", type=whole(1, 1000), default=20, help="sampling steps (20)")
    parser.add_argument("--guidance", type=between(1.0, 3.0), default=1.0,
                        help="how closely takes keep to the voice, 1 to 3; above 1 twice the time (1)")
    parser.add_argument("--speech-guidance", type=between(0.0, 2.0), default=0.0,
                        help="how strongly mesh-to-speech pulls takes to the voice, 0 to 2; above 0 three times the time (0)")
    parser.add_argument("--npz", action="store_true", help="also write take_01.npz … in rank order")
    parser.add_argument("--blend", help="file to bake in, where none is open")
    parser.add_argument("--head", help="object to animate (default: the scene's head, or a new one)")
    parser.add_argument("--start", type=float, help="scene frame of the sound's first sample (the scene's first)")
    parser.add_argument("--weights", help="folder of model files (default: as the preferences say)")
    parser.add_argument("--engine", help="Python that runs the engine (default: as the add-on finds it)")
    return parser.parse_args(arguments)


def whole(least: int, most: int):
    """An option's type: a whole number from `least` to `most`."""
    return between(least, most, int)


def between(least: float, most: float, kind: type = float):
    """An option's type: a number from `least` to `most`."""
    def number(text: str):
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value
    return number


def own_arguments() -> list[str]:
    """A script's own arguments: those after `--` when Blender runs it, all of them otherwise."""
    return sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else sys.argv[1:]


def load_extension(root: Path = ROOT):
    """The extension's package: the enabled add-on if Blender has it, else the folder of this script, registered."""
    import bpy

    for name in bpy.context.preferences.addons.keys():
        if name.rpartition(".")[2] == "thunder" and name in sys.modules:
            return sys.modules[name]
    spec = importlib.util.spec_from_file_location(OWN_NAME, root / "__init__.py", submodule_search_locations=[str(root)])
    package = importlib.util.module_from_spec(spec)
    sys.modules[OWN_NAME] = package
    spec.loader.exec_module(package)
    package.register()
    return package


def room(package, name: str):
    """A module of the extension by its dotted name."""
    return importlib.import_module(f"{package.__name__}.{name}")


def bake(package, chosen: argparse.Namespace) -> dict:
    """Bake one sound as the options say; returns the report. Raises ThunderError, and then nothing was written."""
    import bpy

    strip, head, performing = room(package, "scene.strip"), room(package, "scene.head"), room(package, "scene.performing")
    session, work = room(package, "scene.engine_session"), room(package, "scene.work")
    sampling = room(package, "scene.sampling").Sampling.of(chosen)
    errors = room(package, "thunder_core.errors")
    started = time.monotonic()
    if chosen.blend:
        if not os.path.isfile(chosen.blend):
            raise errors.BadRequest(f"There is no file “{chosen.blend}”: name another with --blend")
        bpy.ops.wm.open_mainfile(filepath=os.path.abspath(chosen.blend))
    elif not bpy.data.filepath:  # what Blender opens with by itself is a cube that nobody asked for
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    sound = os.path.abspath(chosen.audio)
    start = scene.frame_start if chosen.start is None else chosen.start
    voice = strip.of_file(scene, sound, start)
    rig = choose_head(package, scene, chosen.head)
    head.check_animatable(rig)
    client = session.client(chosen.engine, os.path.abspath(chosen.weights) if chosen.weights else None)
    performances: list = []

    def tell(step):
        print(f"{step.fraction:4.0%}  {step.message}", flush=True)

    work.run_through("Baking", performing.generate(client, voice, scene, rig, chosen.takes, chosen.seed, sampling,
                                                   keep=performances), tell)
    if strip.has_audio():
        place_voice(package, scene, sound, voice)
    name = Path(bpy.data.filepath).stem or Path(sound).stem
    sampled = time.monotonic() - started
    report = {
        "audio": sound, "sha256": file_hash(sound), "seed": chosen.seed, **sampling.arguments,
        "blender": bpy.app.version_string, "blend": f"{name}.blend", "weights": performances[0].provenance["weights"],
        "takes": [{"rank": rank, "seed": take.seed, "score": round(take.score, 3), "action": entry.action.name}
                  for rank, (take, entry) in enumerate(zip(performances, scene.thunder.takes), start=1)],
    }
    with WholeOrNothing(package, chosen.out) as out:
        if chosen.npz:
            for rank, take in enumerate(performances, start=1):
                path = out.path(f"take_{rank:02d}.npz")
                write_npz(path, take)
                report["takes"][rank - 1] |= {"npz": f"take_{rank:02d}.npz", "npz_sha256": file_hash(path)}
        save_blend(out.path(f"{name}.blend"))
        report["seconds"] = {"sampled": round(sampled, 2), "all": round(time.monotonic() - started, 2)}
        with open(out.path("report.json"), "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1, ensure_ascii=False)
        for old in Path(out.out).iterdir():  # of an earlier bake with more takes
            if chosen.npz and TAKE_FILE.fullmatch(old.name) and old.name not in out.names:
                old.unlink()
    best = performances[0]
    print(f"100%  {len(performances)} takes in {chosen.out}; the best has lip-sync {best.score:.1f}, seed {best.seed}", flush=True)
    return report


def choose_head(package, scene, name: str | None):
    """The rig to animate: the named object's, the scene's own head, or a new one when the scene has none."""
    import bpy

    head = room(package, "scene.head")
    if name is not None:
        found = scene.objects.get(name)
        if found is None:
            raise room(package, "thunder_core.errors").BadHead(
                f"There is no object “{name}” in the scene “{scene.name}”: name another with --head")
        scene.thunder.head = found
    elif scene.thunder.head is None and not head.in_scene(scene):
        scene.thunder.head = head.build(scene.collection, bpy.context.view_layer).mesh
    return head.find(scene, bpy.context.object)


def place_voice(package, scene, sound: str, voice) -> None:
    """Put the sound in the sequencer where the takes were keyed, unless it lies there already."""
    import bpy

    strip, compat = room(package, "scene.strip"), room(package, "scene.compat")
    for present in strip.sound_strips(scene):
        same = present.sound is not None and bpy.path.abspath(present.sound.filepath) == sound
        if same and abs(compat.content_start(present) - voice.clock.start) < 0.01:
            return
    added = strip.add(scene, sound, Path(sound).stem, int(voice.clock.start))
    strip.move(added, voice.clock.start)
    scene.thunder.strip = added.name
    scene.frame_end = max(scene.frame_end, scene.thunder.takes[0].last)


def write_npz(path: str, take) -> None:
    """The numbers of a take at 25 fps from the sound's first sample; the same take gives the same bytes."""
    import numpy as np

    with open(path, "wb") as file:
        np.savez(file, expression=take.motion.expression, jaw=take.motion.jaw, opening=take.opening,
                 width=take.width, score=np.float32(take.score), seed=np.int64(take.seed))


def file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save_blend(path: str) -> None:
    """Save a copy of the open file as `path`, with paths made relative to it; the open file keeps its own name."""
    import bpy

    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, relative_remap=True, check_existing=False)


class WholeOrNothing:
    """A folder to write into, whose new files get their names together at the end, or are removed."""

    PART = ".part_"

    def __init__(self, package, out: str):
        self.errors, self.out, self.names = room(package, "thunder_core.errors"), os.path.abspath(out), []

    def path(self, name: str) -> str:
        """Where to write the file that shall be called `name`."""
        self.names.append(name)
        return os.path.join(self.out, self.PART + name)

    def __enter__(self):
        self.made = not os.path.isdir(self.out)
        try:
            os.makedirs(self.out, exist_ok=True)
        except OSError as error:
            raise self._error(error) from error
        return self

    def __exit__(self, kind, error, trace):
        try:
            if error is None:
                for name in self.names:
                    os.replace(os.path.join(self.out, self.PART + name), os.path.join(self.out, name))
        except OSError as late:
            error = late
        for name in self.names:
            with contextlib.suppress(OSError):
                os.remove(os.path.join(self.out, self.PART + name))
        if error is not None and self.made:
            shutil.rmtree(self.out, ignore_errors=True)
        if isinstance(error, (OSError, RuntimeError)) and not isinstance(error, self.errors.ThunderError):
            raise self._error(error) from error

    def _error(self, error):
        reason = getattr(error, "strerror", None) or str(error).strip().rstrip(".")
        return self.errors.NoSpace(f"The folder “{self.out}” cannot be written ({reason}): free some space or choose another")


def run_as_script(name: str, options, deed) -> None:
    """Run `deed(package, options)` as a command: exits with 0, or with another code and one sentence on stderr."""
    code = _code_of(name, options, deed)
    sys.stdout.flush()
    sys.stderr.flush()
    blender = sys.modules.get("bpy")
    if blender is not None and not blender.app.binary_path:
        # As a Python module Blender frees its panels after Python is gone, and has crashed at that: the code would be lost.
        shutil.rmtree(blender.app.tempdir, ignore_errors=True)  # which Blender would have removed at its end
        os._exit(code)
    if code:
        sys.exit(code)


def _code_of(name: str, options, deed) -> int:
    try:
        import bpy  # noqa: F401
    except ImportError:
        print(f"{name}: this Python has no bpy: run it with `blender -b --python {name} -- …`", file=sys.stderr)
        return 1
    try:
        chosen = options(own_arguments())
    except SystemExit as end:  # argparse has said what is wrong
        return end.code
    package = load_extension()
    errors = room(package, "thunder_core.errors")
    try:
        deed(package, chosen)
        return 0
    except errors.ThunderError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
    except Exception as error:
        traceback.print_exc()
        print(f"{name}: something unforeseen went wrong ({type(error).__name__}: {error})", file=sys.stderr)
    finally:
        if package.__name__ == OWN_NAME:  # Blender 4.2 crashes at its end over classes that are still registered
            package.unregister()
        else:
            room(package, "scene.engine_session").stop()
    return 1


if __name__ == "__main__":
    run_as_script("bake.py", options, bake)
