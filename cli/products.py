# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the outputs of a bake: the scene, a library of actions, arrays, curves, files for other
programs, film, contact sheet, what the page of many bakes shows."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import tempfile
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import bpy
import numpy as np

from ..scene.animation import display, keying
from ..scene.heads import head
from ..scene.host import compat, jobs
from ..scene.media import contact_sheet, export, studio
from ..scene.properties.settings import ThunderTake
from ..scene.review import listening
from ..scene.voice import mixdown, strip, voice_cache
from ..thunder_core import files, findings, protocol
from ..thunder_core.animation import motion_file
from ..thunder_core.batch.settings import CURVES, file_of_take, OUTPUTS, SOUND
from ..thunder_core.client import Client
from ..thunder_core.errors import BadSound
from ..thunder_core.progress import result
from ..thunder_core.types import FPS, Motion
from .script import quiet

FILM_PIXELS, OWN_FILM_PIXELS = 720, 480  # of a film close to the face, of one by their camera
SOUND_RATE = 22050  # of the page's sound at least, where the voice has as much
CURVE_MM = 0.25  # a step of the page's curves (thunder_core/batch/dailies.js)
# time that a file of an output takes, where sampling a take takes 1: measured with eight seconds of
# voice on two cores without a graphics card
_COSTS = {"video": 220.0, "sheet": 20.0, "speech": 1.0, "glb": 8.0, "usd": 3.0, "fbx": 3.0}
_COST_OF_OTHERS = 0.1
_NO_MOTION = Motion(np.zeros((0, 0), np.float32), np.zeros((0, 3), np.float32))
PartDone = Callable[[float], None]  # gets how much of a step is done, 0 … 1


@dataclass(frozen=True)
class Outputs:
    """Requested outputs.  name: of the scene file.  takes: number sampled.  best: number of takes
    with outputs of the best takes."""

    name: str
    outputs: tuple[str, ...]
    takes: int
    best: int

    def names(self) -> list[str]:
        """Names of all files but the report."""
        names = [f"{self.name}.blend"] if "blend" in self.outputs else []
        return names + [
            file
            for output in OUTPUTS
            if output in self.outputs
            for file in (*OUTPUTS[output].names, *self.of_takes(output))
        ]

    @property
    def share_of_takes(self) -> float:
        """About how much of the time the takes need; the rest is for files that are made of
        them."""
        rest = sum(
            cost_of(output) * (len(self.of_takes(output)) or 1) for output in {*self.outputs}
        )
        return self.takes / (self.takes + rest)

    def of_takes(self, output: str) -> list[str]:
        """File names of an output with a file per take, best take first; empty if not requested."""
        if output not in self.outputs or not OUTPUTS[output].ending:
            return []
        return [
            file_of_take(output, rank)
            for rank in range(min(self.best, self.takes) if OUTPUTS[output].best else self.takes)
        ]


def cost_of(output: str) -> float:
    """About how long a file of an output takes, as _COSTS has it."""
    return _COSTS.get(output, _COST_OF_OTHERS)


@dataclass(frozen=True)
class BakedTakes:
    """The takes of a bake: performances, best first, and their entries in the scene's list; and the
    report, to be completed.

    losses: kinds of losses of exports that the report names.  is_committed: whether the best take
    was committed, so that exports and films of it have what was committed.
    """

    client: Client
    scene: bpy.types.Scene
    rig: head.Rig
    voice: strip.Voice
    performances: list
    entries: list
    report: dict
    losses: set[str] = field(default_factory=set)
    is_committed: bool = False

    def show(self, rank: int, is_sampled: bool = False) -> None:
        """Let the head show a take as it is handed over: as it was committed, if it was."""
        if rank == 0 and self.is_committed and not is_sampled:
            display.restore_animation(self.rig)
        else:
            display.show(self.rig, self.entries[rank])


def write(
    out: files.Transaction, baked: BakedTakes, wanted: Outputs, tell: Callable[[jobs.Step], None]
) -> None:
    """Write the requested outputs, and note in the report the files of each take and the hashes of
    its values; performances lose their motion. Raises ThunderError.

    The open scene is modified after it was saved, so this must be the last step of a bake.
    """
    rows = baked.report["takes"]
    for take, row, file in zip(baked.performances, rows, wanted.of_takes("npz")):
        part = out.part(file)
        write_npz(part, take)
        row |= {"npz": file, "npz_sha256": files.hash_of(part)}
    # their actions have it; of eight takes of an hour it is 0.2 GB
    baked.performances[:] = [replace(take, motion=_NO_MOTION) for take in baked.performances]
    for entry, row in zip(baked.entries, rows):
        row["curves_sha256"] = hash_of_curves(entry)
    begin = wanted.share_of_takes
    if "blend" in wanted.outputs:
        tell(jobs.Step(begin, "Writing the scene"))
        save_blend(out.part(f"{wanted.name}.blend"))
    steps = list(_steps(out, baked, wanted))
    before, total = 0.0, sum(weight for _, weight, _ in steps)
    for number, (message, weight, work) in enumerate(steps, start=1):
        said = f"{message} ({number} of {len(steps)})"
        start, end = (begin + (1.0 - begin) * done / total for done in (before, before + weight))
        tell(jobs.Step(start, said))
        with quiet():
            work(partial(_tell_part, tell, said, start, end))
        before += weight


def _tell_part(
    tell: Callable[[jobs.Step], None], message: str, start: float, end: float, part: float
) -> None:
    """Tell how much of a step is done that goes from one fraction of the bake to another."""
    tell(jobs.Step(start + part * (end - start), message))


def _steps(
    out: files.Transaction, baked: BakedTakes, wanted: Outputs
) -> Iterator[tuple[str, float, Callable[[PartDone], object]]]:
    """What is done after the scene was saved: message, about how long it takes (`cost_of`), and the
    work. Films come last, as they change the scene."""
    if "dailies" in wanted.outputs:
        yield "Writing the sound", cost_of("dailies"), lambda _: write_dailies(out, baked)
    exports = [(name, "Writing", _export) for name, about in OUTPUTS.items() if about.format]
    for output, doing, work in (*exports, ("speech", "Listening to", _speak)):
        for rank, file in enumerate(wanted.of_takes(output)):
            of_take = partial(work, out, baked, output, rank, file)
            yield f"{doing} {file}", cost_of(output), of_take
    if "sheet" in wanted.outputs:
        yield "Drawing the contact sheet", cost_of("sheet"), partial(_draw_sheet, out, baked)
    for rank, file in enumerate(wanted.of_takes("video")):
        yield f"Filming {file}", cost_of("video"), partial(_film, out, baked, rank, file)


def write_npz(path: str, take: keying.TakeData) -> None:
    """Write the values of a take at 25 fps from the sound's first sample."""
    motion_file.write_take(
        path,
        take.motion,
        take.channels,
        take.provenance,
        take.opening,
        take.width,
        take.score,
        take.seed,
    )


def write_dailies(out: files.Transaction, baked: BakedTakes) -> None:
    """Write what the page of many bakes shows of this one: the voice as a small WAV, its peaks, and
    of each take the curves of the mouth and its grade. Without a sound where nobody speaks or it
    cannot be read: the page then says so."""
    takes, peaks = baked.performances, np.zeros((1, 2))
    if baked.report["audio"] is not None:
        with contextlib.suppress(BadSound):
            peaks = write_sound(out, baked)
    content = {
        "seconds": len(takes[0].opening) / FPS,
        "peaks": _steps_of(np.abs(peaks).max(axis=1), 1 / 255),
        "takes": [
            {"opening": _steps_of(take.opening, CURVE_MM), "width": _steps_of(take.width, CURVE_MM)}
            | grade_of(take)
            for take in takes
        ],
    }
    out.write(CURVES, json.dumps(content))


def write_sound(out: files.Transaction, baked: BakedTakes) -> np.ndarray:
    """Write the voice of a bake as a mono WAV of 16 bits; returns its peaks as `voice_cache` has
    them. Raises BadSound, and then nothing is written."""
    voice, peaks = baked.voice, []
    with tempfile.TemporaryDirectory(dir=bpy.app.tempdir, ignore_cleanup_errors=True) as folder:
        plan = mixdown.plan_of_voice(baked.scene, voice)
        if plan is None:
            mixed = os.path.join(folder, "mixed.wav")
            result(mixdown.mix_down(voice, mixed))
            plan = mixdown.plan_of_file(voice.name, mixed, None)
        channel = protocol.read_channel(baked.report["channel"])
        plan = replace(plan, channel=channel or protocol.MIX)
        with (
            plan.open(folder if plan.seconds else "") as source,
            wave.open(out.part(SOUND), "wb") as file,
        ):
            every = max(1, source.rate // SOUND_RATE)
            file.setparams((1, 2, source.rate // every, 0, "NONE", ""))
            for block in plan.blocks(source):
                peaks.append(voice_cache.peaks_of(block, source.rate))
                samples = block[: len(block) // every * every].reshape(-1, every).mean(axis=1)
                file.writeframes((samples.clip(-1.0, 1.0) * 32767).astype("<i2").tobytes())
    return np.concatenate(peaks)


def grade_of(take: keying.TakeData) -> dict:
    """What the page says of a take's lip-sync: grade, reason, and where something is found, in
    seconds; empty where it was not measured."""
    found = findings.findings_of(take.provenance)
    if found is None:
        return {}
    return {
        "grade": findings.grade(found),
        "reason": found[0].sentence(FPS, f"at {found[0].start:.1f} s") if found else "",
        "drifts": [[round(each.start, 2), round(each.end, 2)] for each in found],
    }


def _steps_of(values: np.ndarray, step: float) -> str:
    """Values [n] as bytes of so many steps, 0 to 255, in base 64."""
    return base64.b64encode(np.clip(np.rint(values / step), 0, 255).astype(np.uint8).data).decode()


def save_blend(path: str) -> None:
    """Save a copy of the open file as `path`, with paths made relative to it; the open file keeps
    its name.

    Raises RuntimeError or OSError if it could not be saved completely.
    """
    preferences = bpy.context.preferences.filepaths
    versions = preferences.save_version
    preferences.save_version = 0  # else Blender keeps the empty file that is at `path` as a backup
    try:
        with quiet():  # Blender names the temporary file there
            if compat.save_copy(path):
                return  # the check below would need a quarter of the takes' memory
    finally:
        preferences.save_version = versions
    # Blender reports no error if the disk fills up at the end of a compressed file, and leaves it
    # truncated
    try:
        with bpy.data.libraries.load(path) as (saved, _):
            is_complete = {scene.name for scene in bpy.data.scenes if scene.library is None} <= set(
                saved.scenes
            )
    except OSError:
        is_complete = False
    if not is_complete:
        raise OSError("the scene could not be saved completely")


def hash_of_curves(entry: ThunderTake) -> str:
    """SHA-256 over the keys of a take: path, index and float32 [frame, value] of every curve, in
    the order of their names."""
    digest = hashlib.sha256()
    curves = [curve for action in display.actions_of(entry) for curve in compat.all_curves(action)]
    for curve in sorted(curves, key=lambda curve: (curve.data_path, curve.array_index)):
        points = np.empty(2 * len(curve.keyframe_points), np.float32)
        curve.keyframe_points.foreach_get("co", points)
        digest.update(
            f"{curve.data_path} {curve.array_index} {len(points)}\n".encode()
            + points.astype("<f4").tobytes()
        )
    return digest.hexdigest()


def _export(
    out: files.Transaction, baked: BakedTakes, output: str, rank: int, file: str, _: PartDone
) -> None:
    """Write a take with an exporter; note its losses and, for a table, its hash in the report."""
    entry, row, part = baked.entries[rank], baked.report["takes"][rank], out.part(file)
    baked.show(rank, is_sampled=output in ("cues", "rhubarb"))  # whose sounds are those of a take
    shot = export.Shot(
        baked.scene, bpy.context.view_layer, baked.rig, entry.first, entry.last, from_zero=True
    )
    notes = export.export(shot, export.FORMATS[OUTPUTS[output].format], part)
    row[output] = file
    if output == "csv":
        row["csv_sha256"] = files.hash_of(part)
    for note in notes:
        kind = note.partition(": ")[0]
        if kind not in baked.losses:  # most takes lose the same
            baked.losses.add(kind)
            # the former is not about this take
            is_of_all = note.startswith(export.WITHOUT_NAME)
            baked.report["notes" if is_of_all else "warnings"].append(
                note if is_of_all else f"{note} ({file})"
            )


def _draw_sheet(out: files.Transaction, baked: BakedTakes, done: PartDone) -> None:
    """Draw the contact sheet of all takes. Raises ThunderError."""
    scene, entries, (sheet,) = baked.scene, baked.entries, OUTPUTS["sheet"].names
    levels = jobs.run_through(
        "Reading the voice", voice_cache.loudness_of_take(scene, baked.voice, entries[0])
    )
    steps = contact_sheet.make(scene, baked.rig, entries, out.part(sheet), levels)
    jobs.run_through("Contact sheet", steps, lambda step: done(step.fraction))
    baked.report["sheet"] = sheet


def _speak(
    out: files.Transaction, baked: BakedTakes, output: str, rank: int, file: str, done: PartDone
) -> None:
    """Write what a take's lips say."""
    entry, line = baked.entries[rank], (baked.scene, baked.rig, baked.voice)
    baked.show(rank)
    steps = listening.speak(baked.client, *line, entry.first, entry.last, out.part(file))
    jobs.run_through("Listening", steps, lambda step: done(step.fraction))
    baked.report["takes"][rank][output] = file


def _film(out: files.Transaction, baked: BakedTakes, rank: int, file: str, done: PartDone) -> None:
    """Film a take through the scene's camera, or one that is set up for it."""
    scene, entry = baked.scene, baked.entries[rank]
    baked.show(rank)
    if scene.camera is None:
        scene.render.resolution_x = scene.render.resolution_y = FILM_PIXELS
        studio.set_up(scene, [baked.rig], is_close=True)
        scene.render.engine = "BLENDER_WORKBENCH"  # type: ignore[assignment]  # the stubs know one
    scene.use_preview_range = False
    scene.frame_start, scene.frame_end = entry.first, max(entry.first, entry.last)
    count = scene.frame_end - scene.frame_start + 1

    def after_frame(rendered: bpy.types.Scene, *_: object) -> None:
        done((rendered.frame_current - scene.frame_start + 1) / count)

    with jobs.handled("render_post", after_frame):
        side = FILM_PIXELS if studio.find(scene) else OWN_FILM_PIXELS
        studio.render_film(scene, out.part(file), side, side)
    baked.report["takes"][rank]["video"] = file
