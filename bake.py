# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake takes without a window: `blender -b file.blend --python bake.py -- --audio a.wav --takes 8 --out dir`.

Also `python bake.py …` in any Python that has bpy. Without a file the scene is empty but for the head. Writes into
the folder `--out`: the file with the sound, the head and its takes (NAME.blend), report.json, with --npz the numbers of
each take in rank order, and thunder-files.json, a list of these files. A file that an earlier bake did not write, or that
has changed since, is replaced only with --force, which keeps it (shot.blend as shot.blend1).
Ends with code 0, or with 1 (2 for a wrong option) and one sentence on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import re
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OWN_NAME = "thunder"  # of the package when this script loads it itself
TAKE_FILE = re.compile(r"take_\d{2,}\.npz")
CLEANING = 5.0  # seconds after Ctrl-C in which another one is ignored: the engine leaves, files are put back
LAST_FRAME = 1_048_574  # of a scene: Blender takes no frames beyond


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bake.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--audio", type=file_path, required=True, help="the voice, a sound file")
    parser.add_argument("--out", type=file_path, required=True, help="folder to write into, made if it is missing")
    parser.add_argument("--takes", type=whole(1, 64), default=8, help="how many to sample (8)")
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=1, help="seed of the first take (1)")
    parser.add_argument("--steps", type=whole(1, 1000), default=20, help="sampling steps (20)")
    parser.add_argument("--guidance", type=between(1.0, 3.0), default=1.0,
                        help="how closely takes keep to the voice, 1 to 3; above 1 twice the time (1)")
    parser.add_argument("--speech-guidance", type=between(0.0, 2.0), default=0.0,
                        help="how strongly mesh-to-speech pulls takes to the voice, 0 to 2; above 0 three times the time (0)")
    parser.add_argument("--npz", action="store_true", help="also write take_01.npz … in rank order")
    parser.add_argument("--blend", type=file_path, help="file to bake in, where none is open")
    parser.add_argument("--head", type=utf8, help="object to animate (default: the scene's head, or a new one)")
    parser.add_argument("--start", type=between(-LAST_FRAME, LAST_FRAME),
                        help="scene frame of the sound's first sample (the scene's first)")
    parser.add_argument("--weights", type=file_path, help="folder of model files (default: as the preferences say)")
    parser.add_argument("--engine", type=file_path, help="Python that runs the engine (default: as the add-on finds it)")
    parser.add_argument("--force", action="store_true",
                        help="also replace files in --out that no bake wrote, or that have changed since; they are kept as NAME1")
    parser.add_argument("--allow-newer", action="store_true",
                        help="bake in a file of a newer Blender, without what this Blender does not know")
    return parser.parse_args(arguments)


def file_path(text: str) -> str:
    """An option's type: the path of a file or folder, which must not be empty; with the folders above it it must be UTF-8."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    try:
        utf8(os.path.abspath(text))
    except FileNotFoundError:
        raise argparse.ArgumentTypeError("the current folder was removed: change to another") from None
    return text


def utf8(text: str) -> str:
    """An option's type: a name that is valid UTF-8."""
    if not is_utf8(text):
        raise argparse.ArgumentTypeError(f"the name “{printable(text)}” is not valid UTF-8: rename it")
    return text


def is_utf8(text: str) -> bool:
    """Whether a name from the system is valid: Python turns other bytes into lone surrogates, which nothing can store."""
    try:
        text.encode("utf-8")
        return True
    except UnicodeEncodeError:
        return False


def printable(text: str) -> str:
    """A name from the system with the bytes that are not UTF-8 written as \\x.."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


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

    strip, head, performing = room(package, "scene.voice.strip"), room(package, "scene.heads.head"), room(package, "scene.takes.generation")
    session, work, files = room(package, "scene.engine.session"), room(package, "scene.host.jobs"), room(package, "thunder_core.files")
    sampling = room(package, "scene.takes.sampling").Sampling.of(chosen)
    started = time.monotonic()
    check_engine(package, chosen.engine, chosen.weights)
    files.check_writable(chosen.out)
    open_file(package, chosen.blend)
    check_file(package, chosen.allow_newer)
    scene = bpy.context.scene
    sound = os.path.abspath(chosen.audio)
    name = Path(bpy.data.filepath).stem or Path(sound).stem
    takes = [f"take_{rank:02d}.npz" for rank in range(1, chosen.takes + 1)] if chosen.npz else []
    libraries = [bpy.path.abspath(library.filepath) for library in bpy.data.libraries]
    out = files.Transaction(chosen.out, chosen.force, [sound, *filter(None, [bpy.data.filepath]), *libraries])
    out.check([f"{name}.blend", "report.json", *takes])
    start = scene.frame_start if chosen.start is None else chosen.start
    voice = strip.of_file(scene, sound, start)
    warnings = warn("bake.py", strip.warning(voice))
    rig = choose_head(package, scene, chosen.head)
    head.check_animatable(rig)
    client = session.client(chosen.engine, os.path.abspath(chosen.weights) if chosen.weights else None)
    performances: list = []

    def tell(step):
        say(f"{step.fraction:4.0%}  {step.message}")

    work.run_through("Baking", performing.generate(client, voice, scene, rig, chosen.takes, chosen.seed, sampling,
                                                   keep=performances), tell)
    if strip.has_audio():
        place_voice(package, scene, sound, voice)
    sampled = time.monotonic() - started
    report = {
        "audio": sound, "sha256": files.hash_of(sound), "seed": chosen.seed, **sampling.arguments,
        "blender": bpy.app.version_string, "blend": f"{name}.blend", "weights": performances[0].provenance["weights"], "warnings": warnings,
        "takes": [{"rank": rank, "seed": take.seed, "score": round(take.score, 3), "action": entry.action.name}
                  for rank, (take, entry) in enumerate(zip(performances, scene.thunder.takes), start=1)],
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
    say(f"100%  {name}.blend and {takes_in_words(len(performances))} in {chosen.out}; the best has lip-sync {best.score:.1f}, "
        f"seed {best.seed}")
    return report


def takes_in_words(count: int) -> str:
    """A number of takes as it is said."""
    return "1 take" if count == 1 else f"{count} takes"


def warn(name: str, sentence: str) -> list[str]:
    """Print a warning on stderr, if there is one; the list of warnings for the report."""
    if sentence:
        say(f"{name}: {sentence}", sys.stderr)
    return [sentence] if sentence else []


def check_engine(package, engine: str | None, weights: str | None) -> None:
    """Raise NoEngine or BadWeights where a Python or a folder of weights that was named does not exist."""
    errors, client = room(package, "thunder_core.errors"), room(package, "thunder_core.client")
    if engine:
        client.find_engine_python(engine, option="--engine")
    if weights and not os.path.isdir(weights):
        raise errors.BadWeights(f"There is no folder “{weights}”: name another folder of model files with --weights")


def open_file(package, path: str | None) -> None:
    """Open the file that is named, or an empty one where Blender has none open. Raises BadRequest."""
    import bpy

    errors, files = room(package, "thunder_core.errors"), room(package, "thunder_core.files")
    if path:
        if problem := files.not_a_file(path):
            raise errors.BadRequest(f"{problem}: name another with --blend")
        try:
            bpy.ops.wm.open_mainfile(filepath=os.path.abspath(path))
        except RuntimeError as error:
            reason = (str(error).strip().splitlines() or ["no reason was given"])[-1].removeprefix("Error: ").rstrip(". ")
            raise errors.BadRequest(f"“{path}” cannot be opened ({reason}): try a backup of it, or name another") from error
    elif not bpy.data.filepath:  # what Blender opens with by itself is a cube that nobody asked for
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def check_file(package, allow_newer: bool) -> None:
    """Raise BadRequest where the open file should not be baked in: data that this Blender does not know would be lost."""
    import bpy

    errors = room(package, "thunder_core.errors")
    path, saved, running = bpy.data.filepath, tuple(bpy.data.version), tuple(bpy.app.version_file)
    if not is_utf8(path):
        raise errors.BadRequest(f"The name “{printable(path)}” is not valid UTF-8: rename the file")
    if saved > running and not allow_newer:
        version, own = (".".join(map(str, numbers)) for numbers in (saved, running))
        raise errors.BadRequest(
            f"“{os.path.basename(path)}” was saved by a newer Blender ({version}, this is {own}), and what this one does not "
            f"know would be missing: bake with Blender {saved[0]}.{saved[1]}, or use --allow-newer")


def say_kept(out) -> None:
    """Print what --force replaced and how it is called now."""
    for name, kept in out.kept.items():
        say(f"      “{name}” was there and is kept as “{kept}”")


def choose_head(package, scene, name: str | None):
    """The rig to animate: the named object's, the scene's own head, or a new one when the scene has none."""
    import bpy

    head = room(package, "scene.heads.head")
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

    strip, compat = room(package, "scene.voice.strip"), room(package, "scene.host.compat")
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
    import numpy as np

    with open(path, "wb") as file:
        np.savez(file, expression=take.motion.expression, jaw=take.motion.jaw, opening=take.opening,
                 width=take.width, score=np.float32(take.score), seed=np.int64(take.seed))


def save_blend(path: str) -> None:
    """Save a copy of the open file as `path`, with paths made relative to it; the open file keeps its own name.

    Raises RuntimeError or OSError where it could not be saved completely.
    """
    import bpy

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


def say(text: str, stream=None) -> None:
    """Print a line on stdout or another stream. Where it can no longer be written (a closed pipe, a full disk), the work goes on."""
    stream = stream or sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())  # also for what the stream still holds, and what Blender writes


def open_streams() -> None:
    """Open the standard streams that are closed, on nothing: the next file would get their number, and what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def stop_once() -> None:
    """Let Ctrl-C stop the work, also in Blender, which has a handler of its own; pressed again it does not disturb the cleaning up."""
    stopped = -CLEANING

    def stop(*_):
        nonlocal stopped
        if time.monotonic() - stopped >= CLEANING:
            stopped = time.monotonic()
            raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in a job that a shell runs in the background
        signal.signal(signal.SIGINT, stop)


@contextlib.contextmanager
def quiet():
    """Keep what Blender itself writes on the terminal off it."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "w") as nowhere:
        try:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield
        finally:
            for number, copy in zip((1, 2), kept):
                os.dup2(copy, number)
                os.close(copy)


def run_as_script(name: str, options, action) -> None:
    """Run `action(package, options)` as a command: exits with 0, or with another code and one sentence on stderr."""
    open_streams()
    stop_once()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show “ or ä is no reason to fail
    code = exit_code(name, options, action)
    sys.stdout.flush()
    sys.stderr.flush()
    blender = sys.modules.get("bpy")
    if blender is not None and not blender.app.binary_path:
        # As a Python module Blender frees its panels after Python is gone, and has crashed at that: the code would be lost.
        _remove_blender_session(blender)
        os._exit(code)
    if code:
        sys.exit(code)


def _remove_blender_session(bpy) -> None:
    """Remove Blender's own temporary folder, as Blender would have done at its end."""
    sys.path.insert(0, str(ROOT))
    from thunder_core.private_folder import remove_blender_session

    remove_blender_session(bpy.app.tempdir, bpy.context.preferences.filepaths.temporary_directory)


def exit_code(name: str, options, action) -> int:
    """Run a command as run_as_script does; returns the code to exit with."""
    try:
        import bpy  # noqa: F401
    except ImportError:
        say(f"{name}: this Python has no bpy: run it with `blender -b --python {name} -- …`", sys.stderr)
        return 1
    try:
        chosen = options(own_arguments())
    except SystemExit as end:  # argparse has said what is wrong
        return end.code
    package = load_extension()
    errors = room(package, "thunder_core.errors")
    try:
        action(package, chosen)
        return 0
    except errors.ThunderError as error:
        say(f"{name}: {error}", sys.stderr)
    except KeyboardInterrupt:
        say(f"{name}: stopped", sys.stderr)
        return 130
    except Exception as error:
        say(f"{traceback.format_exc()}{name}: unexpected error ({type(error).__name__}: {error})", sys.stderr)
    finally:
        if package.__name__ == OWN_NAME:  # Blender 4.2 crashes at its end over classes that are still registered
            package.unregister()
        else:
            room(package, "scene.engine.session").stop()
    return 1


if __name__ == "__main__":
    run_as_script("bake.py", options, bake)
