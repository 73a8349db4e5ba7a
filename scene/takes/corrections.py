# SPDX-License-Identifier: GPL-3.0-or-later
"""Learn from Corrections: a character's manner, read from its committed lines that were edited,
each beside the take that it came from, and by choice from other approved animation of its voices,
beside the take as directed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...thunder_core.animation import posing
from ...thunder_core.animation.commit import line_records
from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.direction import DirectionRequest
from ...thunder_core.errors import attempt, BadRequest, NoSpace
from ...thunder_core.face.moving.driving import visible_motion
from ...thunder_core.files import write_file
from ...thunder_core.manner import describe, LEAST_LINES, Manner
from ...thunder_core.request import Request
from ...thunder_core.types import Motion, pack, reorder
from ..animation import display, fcurves, keying
from ..engine import connection
from ..heads import head
from ..host import compat
from ..host.jobs import stage, Step
from ..voice import changes, mixdown, strip
from . import dialogue, perform_as, take_list, take_record, transcript
from .commit import following
from .direction import sliders
from .shape.applying import is_shaped

_READING = "Reading your lines"
_READ = 0.4  # share of the work after which all lines are read
_LEAST_MOVEMENT = 0.005  # deviation of the jaw, radians, below which an animation does not speak


@dataclass(frozen=True)
class FoundLines:
    """What a head's manner may be learned from.

    edited: committed lines that were corrected, each with the session id of its take's action.
    animated: names of other strips that the head speaks.  unedited: number of lines that are as
    their takes.  without_take: number of those that were corrected, but whose take or strip is
    gone.
    """

    edited: tuple[tuple[line_records.CommittedLine, int], ...] = ()
    animated: tuple[str, ...] = ()
    unedited: int = 0
    without_take: int = 0

    @property
    def sentence(self) -> str:
        """How many there are."""
        parts = [f"{len(self.edited)} corrected"]
        if self.unedited:
            parts.append(f"{self.unedited} as committed")
        if self.without_take:
            parts.append(f"{self.without_take} whose take or strip was deleted")
        return ", ".join(parts)


def find_lines(scene: bpy.types.Scene, rig: head.Rig, with_animation: bool = False) -> FoundLines:
    """What a head's manner may be learned from. with_animation: also animation that was not
    committed."""
    slots = following.action_slots(rig)
    curves = {
        (block, curve.data_path, curve.array_index): curve
        for block, (action, slot) in enumerate(slots)
        for curve in compat.curves_of(action, slot)
    }
    edited, unedited, without_take = [], 0, 0
    committed = following.lines_of(rig.mesh)
    for line in committed:
        entry = _take_of(scene, rig.mesh, line.name)
        as_committed = any(
            line_records.is_as_committed(action, line.name, curves, fcurves.read)
            for action, _ in slots
            if action is not None
        )
        if as_committed and (entry is None or not _was_corrected(entry)):
            unedited += 1
        elif entry is None or _is_silent(scene, rig.mesh, line):
            without_take += 1
        else:
            edited.append((line, entry.action.session_uid))
    names = {line.name for line in committed}
    animated = tuple(
        line.strip
        for line in (dialogue.lines(scene) if with_animation else ())
        if line.speaker == rig.mesh and line.strip not in names
    )
    return FoundLines(tuple(edited), animated, unedited, without_take)


def _take_of(scene: bpy.types.Scene, mesh: bpy.types.Object, line: str) -> Any:
    """The take that a committed line came from, None if it is gone."""
    takes = (each for each in take_list.of_line(scene, mesh, line) if each.action is not None)
    return next((each for each in takes if take_record.COMMITTED in each.action), None)


def _is_silent(
    scene: bpy.types.Scene, mesh: bpy.types.Object, line: line_records.CommittedLine
) -> bool:
    """Whether the voice of a committed line was removed."""
    then = following.voice_of(scene, mesh, line)
    change = None if then is None else changes.change_since(scene, then)
    return change is not None and change.kind == "GONE"


def _was_corrected(entry: Any) -> bool:
    """Whether a take was changed before it was committed."""
    return take_record.is_edited(entry) or is_shaped(entry.action) or entry.kind == "MIXED"


def learn(
    client: Client, scene: bpy.types.Scene, rig: head.Rig, with_animation: bool = False
) -> Generator[Step, None, Manner]:
    """Steps that learn a head's manner. Returns it; nothing in the scene changes. Raises
    ThunderError.

    with_animation: as of `find_lines`.
    """
    if rig.has_mouths_alone:
        raise BadRequest(
            "Drawings show which mouth is seen, not how far it moves: load a manner that another "
            "character learned"
        )
    found, names = find_lines(scene, rig, with_animation), (scene.name, rig.mesh.name)
    readers: list[Callable[..., Generator[float, None, _Line | None]]] = [
        *(partial(_corrected, line=line, uid=uid) for line, uid in found.edited),
        *(partial(_animated, name=name) for name in found.animated),
    ]
    count = len(readers)
    if count < LEAST_LINES:
        raise BadRequest(
            f"A manner is learned from {LEAST_LINES} corrected lines or more, and this head has "
            f"{found.sentence}: commit takes, correct their keys, then learn again"
        )
    if found.animated and display.shown_action(rig) is not None:
        raise BadRequest("A take is shown over your animation: press My Animation first")
    with ExitStack() as used:
        put, rows = used.enter_context(temporary_arrays(client)), []
        for number, read in enumerate(readers):
            span = _READ * number / count, _READ * (number + 1) / count
            line = yield from stage(read(*head.look_up(*names)), _READING, *span)
            if line is None:
                continue
            sound, mixing = used.enter_context(mixdown.sound_for_engine(client, line.voice))
            yield from mixing
            beside = (
                {"request": line.request.to_record(put)}
                if line.take is None
                else {"take": put(line.take)}
            )
            rows.append({"sound": sound, "text": line.text, "edited": put(line.edited), **beside})
        answer = yield from connection.ask(
            client, "learn", (_READ, 1.0), "Learning", lines=rows, sums=rig.sums
        )
    return Manner.from_json(answer["manner"])


@dataclass(frozen=True, eq=False)
class _Line:
    """A line that was read. edited, take: packed motions [T, channels + 9]; no take: that of the
    request, which the engine makes."""

    voice: strip.Voice
    text: str
    edited: np.ndarray
    take: np.ndarray | None
    request: Request


def _corrected(
    scene: bpy.types.Scene, rig: head.Rig, line: line_records.CommittedLine, uid: int
) -> Generator[float, None, _Line]:
    """Read a corrected line and the take that it came from."""
    source = perform_as.Source(line.name, rig.mesh.name, 0, "")
    done = yield from perform_as.read_committed(scene, source)
    entry = take_list.by_uid(scene, uid)
    sampled = take_record.load(entry.action)
    if sampled is None:
        raise BadRequest(
            f"“{entry.name}” of “{line.name}” has lost the motion that it was keyed from: commit "
            f"another take of this line"
        )
    channels = head.channel_names()
    expression = reorder(sampled.motion.expression, sampled.channels, channels)
    take = replace(sampled.motion, expression=expression.astype(np.float32))
    if rig.sums is not None:
        take = visible_motion(take, channels, rig.sums)
    frames = min(done.motion.frames, take.frames)
    before, after = pack(take)[:frames], pack(done.motion)[:frames]
    if line.regions:  # elsewhere nothing of this take was corrected
        regions = str(entry.action[take_record.COMMITTED]).split(",")
        places = (*channels, *("jaw",) * 3, *("neck",) * 3, *("eye",) * 3)
        left = [i for i, name in enumerate(places) if posing.region_of(name) not in regions]
        after[:, left] = before[:, left]
    request = take_record.request_of(sampled.provenance, scene.thunder)
    direction = request.direction or DirectionRequest()
    text = direction.text or transcript.text_of(scene, line.name)
    # what was learned before is part of what is learned
    if direction.manner is not None:
        request = replace(request, direction=replace(direction, manner=None))
        return _Line(done.voice, text, after, None, replace(request, seed=entry.seed))
    return _Line(done.voice, text, after, before, request)


def _animated(
    scene: bpy.types.Scene, rig: head.Rig, name: str
) -> Generator[float, None, _Line | None]:
    """Read what a head does while a strip plays. Returns None if its mouth does not speak."""
    voice, wrong = attempt(strip.of_strip, scene, strip.by_name(scene, name))
    if voice is None:
        raise BadRequest(wrong)
    seconds = (voice.state.last - voice.state.first) / voice.clock.fps
    motion: Motion = yield from keying.read(rig, head.channel_names(), voice.clock, seconds)
    if motion.jaw[:, 0].std() < _LEAST_MOVEMENT:
        return None
    text = transcript.text_of(scene, name)
    request = Request(1, seed=0, direction=DirectionRequest(text=text))
    return _Line(voice, text, pack(motion), None, request)


def save(direction: Any, path: str) -> str:
    """Write a character's manner to a file. Returns its name. Raises BadRequest or NoSpace."""
    manner = sliders.manner_of(direction)
    if manner is None:
        raise BadRequest("This character has no manner yet: learn one, or load a file")
    file = Path(bpy.path.abspath(bpy.path.ensure_ext(path, ".json")))
    try:
        write_file(file, manner.to_json())
    except OSError as error:
        raise NoSpace(
            f"The manner cannot be written to “{file}” ({error.strerror}): choose another folder"
        ) from error
    return file.name


def load(direction: Any, path: str) -> str:
    """Give a character the manner in a file. Returns what it is. Raises BadRequest."""
    manner = Manner.read(Path(bpy.path.abspath(path)))
    sliders.set_manner(direction, manner)
    return describe(manner)
