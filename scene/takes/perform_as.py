# SPDX-License-Identifier: GPL-3.0-or-later
"""Perform As: a line is performed as another one was, its chosen take or what is committed of it,
with the animator's own keys; a pick-up, a dub, a better recording."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock, motion_times
from ...thunder_core.client import Client
from ...thunder_core.direction import DirectionRequest
from ...thunder_core.direction_words import played_choice
from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.request import SourcePerformance
from ...thunder_core.types import FPS, Motion
from ..animation import display, fcurves, keying
from ..heads import head
from ..host import compat
from ..host.jobs import restart_after_undo, stage, Step
from ..voice import changes, fingerprint, mixdown, strip
from . import dialogue, keep, own_keys, take_list, take_record
from .commit import committing, following, reading
from .generation import How, perform, TakeCollector

_DIFFERENT = 1.6  # factor of lengths from which on gestures come visibly closer or further apart


@dataclass(frozen=True)
class Source:
    """A performance for another line: of the line of that name, by the head of that mesh. uid:
    session id of the take's first action, 0 for what is committed.  name: of the take.  about: more
    of it."""

    line: str
    mesh: str
    uid: int
    name: str
    about: str = ""

    @property
    def key(self) -> str:
        """Identifies it in a menu."""
        return f"{self.uid} {self.mesh} {self.line}"

    @property
    def title(self) -> str:
        """As the take that performs it is called."""
        return f"Performs as {self.line} · {self.name}"


def sources(
    scene: bpy.types.Scene, line: str, mesh: bpy.types.Object | None = None
) -> list[Source]:
    """What a line may perform: of every other line what is committed, and the take that would be;
    those of the head `mesh` first."""
    found = []
    order = {each.name: number for number, each in enumerate(strip.sound_strips(scene))}
    for speaker in sorted(head.in_scene(scene), key=lambda each: each != mesh):
        committed = committing.committed_lines(speaker)
        voices = {entry.voice for entry in scene.thunder.takes if entry.head == speaker}
        others = (committed | voices) - {line}
        for name in sorted(others, key=lambda each: (order.get(each, len(order)), each)):
            if name in committed:
                about = "Your animation of this line, with your own keys"
                found.append(Source(name, speaker.name, 0, "Committed", about))
            entry = committing.take_of(scene, dialogue.Line(name, speaker, ""))
            if entry is not None and take_list.speaks(entry):
                uid = entry.action.session_uid
                found.append(Source(name, speaker.name, uid, entry.name, entry.words))
    return found


def why_none(context: bpy.types.Context) -> str:
    """The reason why no line can perform as another now, "" if one can."""
    scene = context.scene
    voice, wrong = attempt(strip.find, context)
    if voice is None:
        return wrong
    if scene.thunder.head_role == "LISTENS":
        return "The chosen head listens to this voice: choose the head that speaks it"
    if sources(scene, voice.name, take_list.chosen_mesh(context)):
        return ""
    return (
        "No other line has a take or is committed: generate takes of the line to perform"
        if {each.name for each in strip.sound_strips(scene)} - {voice.name}
        else "There is no other line: add the new recording to the sequencer, beside the old one"
    )


def find(
    scene: bpy.types.Scene, line: str, key: str, mesh: bpy.types.Object | None = None
) -> Source:
    """The source of that key. Raises BadRequest if it is gone."""
    found = next((each for each in sources(scene, line, mesh) if each.key == key), None)
    if found is None:
        raise BadRequest("That performance is no longer there: choose another")
    return found


def of_line(
    scene: bpy.types.Scene, line: str, name: str, mesh: bpy.types.Object | None = None
) -> Source:
    """What a line may perform of the line `name`: what is committed, else its chosen take. Raises
    BadRequest."""
    found = sources(scene, line, mesh)
    for each in found:
        if each.line == name:
            return each
    known = ", ".join(dict.fromkeys(each.line for each in found))
    raise BadRequest(
        f"No line “{name}” has a take or is committed in the scene: name "
        f"{f'one of {known}' if known else 'a line of a scene that has one'}"
    )


@dataclass(frozen=True)
class Transfer:
    """What the voice of that name performs. Receives what of the animator's own keys has no place
    (left)."""

    source: Source
    voice: str
    left: list[str] = field(default_factory=list)

    def messages(self, about: dict) -> list[str]:
        """What changed, as `describe_changes`. about: provenance of the take."""
        return describe_changes(self.source.line, self.voice, about, self.left)


def describe_changes(line: str, voice: str, about: dict, left: Sequence[str] = ()) -> list[str]:
    """What changed when a voice performs as a line, and what to look at: a sentence each. about:
    provenance of the take.  left: of `Transfer`."""
    moved = json.loads(about["moved"])
    on, lost = len(moved["accents"]), [f"{seconds:.1f}" for seconds in moved["lost"]]
    without = f"; the old one's at {', '.join(lost)} s have no place in it" if lost else ""
    its = "the same words" if moved.get("same_words") else "those"
    said = [f"{on} of {on + len(lost)} accents of “{line}” are on {its} of “{voice}”{without}"]
    if silent := [f"{seconds:.1f}" for seconds in moved.get("lost_pauses", ())]:
        said.append(
            f"“{voice}” has no pause for {'that' if len(silent) == 1 else 'those'} of “{line}” at "
            f"{', '.join(silent)} s: what is done there is spoken over"
        )
    before, now = moved["seconds"]
    if part := moved.get("part"):
        said.insert(0, f"“{voice}” says {part[0]:.1f} to {part[1]:.1f} s of “{line}” again")
    elif max(before / now, now / before) > _DIFFERENT:
        said.append(
            f"“{voice}” lasts {now:.1f} s and “{line}” {before:.1f} s: check that both say the "
            f"same, since gestures come {'further apart' if now > before else 'closer together'}"
        )
    return said + ([own_keys.describe_unplaced(left)] if left else [])


# ---- what is performed


@dataclass(frozen=True)
class ReadPerformance:
    """A performance that was read. voice: the old recording.  clock: on which it was performed.
    direction: vectors [1 or T, …] in which it was played, None if not known."""

    motion: Motion
    voice: strip.Voice
    clock: Clock
    direction: np.ndarray | None = None
    choice: dict = field(default_factory=dict)
    own: Sequence[own_keys.OwnKeys] = ()


def _voice(
    scene: bpy.types.Scene, then: fingerprint.State | None, line: str, since: str
) -> strip.Voice:
    """The voice of an old line as it plays now. Raises BadRequest if it is another one now."""
    if then is None:
        raise BadRequest(
            f"“{line}” comes from an earlier version that did not note its recording: commit it "
            f"again, or generate takes of it"
        )
    change = changes.change_since(scene, then, since)
    if change is None or change.kind == "MOVED":
        return strip.of_state(scene, then if change is None else change.now)
    raise BadRequest(
        f"{change.sentence}, and its accents are needed: put it back"
        if change.kind == "GONE"
        else f"{change.sentence}: put the old sound back, and add the new recording beside it"
        if change.kind == "CHANGED"
        else f"{change.sentence}: press Re-sync first"
    )


def _read_take(scene: bpy.types.Scene, source: Source) -> Generator[float, None, ReadPerformance]:
    """Read a take. Yields progress."""
    entry = take_list.by_uid(scene, source.uid)
    if entry is None:
        raise BadRequest(f"“{source.name}” of “{source.line}” was deleted: choose another take")
    rig, clock = take_list.rig_of(scene, entry), take_record.clock_of_take(entry)
    voice = _voice(scene, fingerprint.of_take(entry), source.line, "its takes were made")
    about, take_style = take_record.about_of(entry.action), take_record.style_of_take(entry.action)
    requested = take_record.request_of(about, scene.thunder).direction or DirectionRequest()
    direction = None if take_style is None else keep.with_mean(requested.vectors, take_style)
    try:
        choice = played_choice(about)
    except (LookupError, TypeError, ValueError):  # not known, or damaged
        choice = {}
    performance = yield from take_record.read(rig, entry)
    return ReadPerformance(performance.motion, voice, clock, direction, choice)


def read_committed(
    scene: bpy.types.Scene, source: Source
) -> Generator[float, None, ReadPerformance]:
    """Read a committed line, also under a take that is shown. Yields progress."""
    mesh = scene.objects.get(source.mesh)
    lines = [] if mesh is None else following.lines_of(mesh)
    line = next((each for each in lines if each.name == source.line), None)
    if line is None:
        raise BadRequest(f"“{source.line}” is no longer committed: choose one of its takes")
    rig, then = head.resolve(mesh), following.voice_of(scene, mesh, line)
    voice = _voice(scene, then, source.line, "it was committed")
    clock = Clock(float(then.first) if then.last else then.origin, then.fps)
    length = then.last - then.first if then.last else line.last + 1 - clock.start
    channels, seconds = head.channel_names(), length / clock.fps
    if display.shown_action(rig) is None:
        motion = yield from keying.read(rig, channels, clock, seconds)
    else:
        if any(line in reading.lines_in(each) for each in following.strips_of(rig)):
            raise BadRequest(
                f"“{source.line}” is in an NLA strip under the take that is shown: press My "
                f"Animation first"
            )
        curves = fcurves.of_tracks(
            rig, [compat.curves_of(action, slot) for action, slot in following.action_slots(rig)]
        )
        values = keying.values_at(rig, curves, clock.frame(motion_times(seconds)))
        motion = yield from keying.shown_motion(rig, values, FPS)
    own = yield from own_keys.of_line(rig, line)
    return ReadPerformance(motion, voice, clock, own=own)


# ---- the new takes


class _TransferCollector(TakeCollector):
    """Lists takes that perform as another line, under its name, with the animator's own keys."""

    def __init__(self, *of_line: Any, transfer: Transfer, own: Sequence) -> None:
        super().__init__(*of_line)
        self.transfer, self.own = transfer, own

    def check(self) -> None:
        """Nothing to check: the eyes look where those of the other performance do."""

    def aim(self, performance: keying.TakeData) -> Generator[float, None, keying.TakeData]:
        """Likewise."""
        yield 1.0
        return performance

    def enter(
        self, performance: keying.TakeData, values: keying.TrackValues | None, place: tuple
    ) -> Generator[float, None, None]:
        """Key a take, list it under the other line's name, and add the animator's own keys."""
        yield from super().enter(performance, values, place)
        scene, rig, clock = self._place()
        entry = scene.thunder.takes[-1]
        entry.name = take_list.free_name(scene, self.transfer.source.title, entry.head, entry.voice)
        places = json.loads(performance.provenance["moved"]).get("keys", ())
        self.transfer.left[:] = own_keys.enter(rig, entry, self.own, places, clock)


def perform_source(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice,
    transfer: Transfer,
    how: How,
) -> Generator[Step, None, list[keying.TakeData]]:
    """Steps that `perform` a voice as another line; nothing else in the scene changes.

    transfer: of what.  how: without a direction that of the old take is taken,
    or of the head. Returns the takes, best first. Raises ThunderError.
    """
    names, source = (scene.name, rig.mesh.name), transfer.source

    def read():
        scene, _ = head.look_up(*names)
        steps = (_read_take if source.uid else read_committed)(scene, source)
        return stage(steps, "Reading the performance", 0.0, 0.05)

    old = yield from restart_after_undo(read)
    request, rows = how.request, None
    if request.direction is None and old.direction is not None:
        request = replace(request, direction=DirectionRequest(old.direction.mean(0, keepdims=True)))
        rows = old.direction if len(old.direction) > 1 else None
    with ExitStack() as used:
        sound, mixing = used.enter_context(mixdown.sound_for_engine(client, old.voice))
        yield from mixing
        keys = tuple(own_keys.seconds_of(old.own, old.clock))
        moved = SourcePerformance(old.motion, sound, rows, old.choice, keys)
        how = replace(
            how, request=replace(request, perform_as=moved),
            collector=partial(_TransferCollector, transfer=transfer, own=old.own),
        )  # fmt: skip
        at, of = head.look_up(*names)
        return (yield from perform(client, at, of, voice, how))
