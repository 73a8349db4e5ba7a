# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: a copy of the shown take follows the sliders of its character's direction; it is sampled
again with its seed during a drag.

The first slider makes the copy and shows it; the take stays as it was. Later ones change the copy,
unless it was marked meanwhile. A moving slider requests a draft of few steps from the engine, at
most one at a time; when it rests, the take is sampled at its quality. Both are written from a
timer without a separate undo step, so that undoing the slider undoes the take: every change of a
slider also changes the take's action (PENDING), so its keys are part of the slider's undo step. A
take that undo or redo puts on the head unfinished still has that mark, and is finished then. Esc
while dragging restores the slider and shows the take again.
"""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import bpy

from ....thunder_core.direction import DirectionRequest
from ....thunder_core.direction_words import words_of_request, words_of_take
from ....thunder_core.errors import BadRequest, ThunderError
from ....thunder_core.progress import result
from ....thunder_core.request import DRAFT, Request
from ...animation import display, keying
from ...engine import connection
from ...heads import head, head_state
from ...host import jobs
from ...voice import changes, fingerprint, strip
from .. import browsing, generation, take_list, take_record
from ..shape.applying import is_shaped
from . import head_direction, sliders

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


# property of a take's first action while its keys do not yet match the sliders
PENDING = "thunder_live"
LONGEST_SECONDS = 60.0  # longest line that can be keyed while a slider is dragged
_REST_SECONDS = 0.25  # time without slider movement after which a drag has ended
_POLL_SECONDS = 0.02
_BUSY_SECONDS = 0.2  # interval of checking whether other work has finished


def with_quality(request: Request, quality: str) -> Request:
    """A request at another quality, or number of steps, in letters."""
    steps = int(quality) if quality.isdecimal() else 0
    return replace(request, steps=steps, quality=request.quality if steps else quality)


@dataclass
class _Request:
    """A take that was requested from the engine."""

    direction: DirectionRequest
    is_final: bool
    steps: Generator


class Live(jobs.Part):
    """The take that follows the sliders, and its state.

    uid: session id of its action.  copied: that of the take that was copied for this drag, None for
    no copy.  original: the take before the first slider moved, None if unknown.  sampled_for: the
    request for it.  written: (direction its keys were sampled for, whether they are final).
    sentence: why a take does not follow, "" if it does.  refused: session id of its action.
    """

    def __init__(self) -> None:
        self.task = jobs.Task(self.step, any_time=True)
        self.token, self.numbers = uuid.uuid4().hex[:8], itertools.count(1)
        self.moved_at = 0.0
        self.sentence, self.refused = "", None  # type: str, int | None
        self.request: _Request | None = None
        self.sampled_for = Request(1)
        self.drop()

    def drop(self) -> None:
        """Follow no take any more."""
        if self.request is not None:
            self.request.steps.close()
        self.uid: int | None = None
        self.copied: int | None = None
        self.original: keying.TakeData | None = None
        self.written: tuple[DirectionRequest | None, bool] = (None, False)
        self.request = None

    release = drop

    def undone(self) -> None:
        scene = bpy.context.scene
        entry = take_list.shown_take(scene.thunder) if scene is not None else None
        if entry is not None:
            browsing.drop_thumbnail(entry.action.session_uid)
            self.resume(entry)

    def file_opened(self) -> None:
        self.drop()
        self.sentence = ""

    # ---- triggers

    def follow_slider(self, direction: sliders.ThunderDirection) -> None:
        """A slider was moved: the take on that head follows, if it may."""
        scene = direction.id_data
        entry = _entry(scene, direction)
        may_follow = scene.thunder.live_direction and (not bpy.app.background or self.in_background)
        if entry is None or not may_follow:
            return
        if entry.action.session_uid != self.uid or not self._may_change(entry):
            self.drop()
            try:
                entry = self._copy(scene, entry)
            except ThunderError as error:
                self._set_sentence(str(error), entry.action.session_uid)
                return
            self._set_sentence("", None)
        entry.action[PENDING] = (
            f"{self.token} {next(self.numbers)} {self.sampled_for.quality_or_steps}"
        )
        self.moved_at = time.monotonic()
        self.task.postpone(0.0)

    in_background = False  # tests have no window

    def _copy(self, scene: bpy.types.Scene, entry: ThunderTake):
        """Follow a copy of a take, shown instead of it, or the take itself if it is such a copy.
        Raises BadRequest if it may not follow."""
        if sentence := why_not(scene, entry):
            raise BadRequest(sentence)
        source = entry.action.session_uid
        if is_copy := not self._may_change(entry):
            if jobs.session.job is not None:  # which may hold the list's entries
                raise BadRequest(
                    f"“{entry.name}” does not follow the sliders while other work runs: wait for "
                    f"it, then move one again"
                )
            copy = take_list.duplicate(scene, list(scene.thunder.takes).index(entry))
            entry = scene.thunder.takes[copy]
            entry.kind, entry.action[take_list.LIVE_COPY] = "SAMPLED", self._mark(entry)
            display.show(take_list.rig_of(scene, entry), entry)
        self._begin(entry)
        self.copied = source if is_copy else None
        return entry

    def _mark(self, entry: ThunderTake) -> str:
        return f"{self.token} {entry.name}"

    def _may_change(self, entry: ThunderTake) -> bool:
        """Whether a take is a copy of this session that the animator has not marked since."""
        return (
            entry.action.get(take_list.LIVE_COPY) == self._mark(entry)
            and not entry.star
            and not entry.note
        )

    def _begin(self, entry: ThunderTake) -> None:
        self.uid, self.original = entry.action.session_uid, take_record.load(entry.action)
        self.sampled_for = take_record.request_of(self.original.provenance, entry.id_data.thunder)
        self.written = (self.sampled_for.direction, True)

    def resume(self, entry: ThunderTake) -> None:
        """Finish a take that an undo or a redo has restored unfinished."""
        mark = str(entry.action.get(PENDING, "")).split()
        if len(mark) == 3 and mark[0] == self.token:
            self._begin(entry)
            self.original, self.written = None, (None, False)
            self.sampled_for = with_quality(self.sampled_for, mark[2])
            self.moved_at = 0.0
            self.task.postpone(_POLL_SECONDS)

    def _set_sentence(self, sentence: str, uid: int | None) -> None:
        if (sentence, uid) != (self.sentence, self.refused):
            self.sentence, self.refused = sentence, uid
            jobs.redraw()

    def refusal(self, scene: bpy.types.Scene) -> str:
        """The reason why the shown take does not follow, "" if it does or Live is off."""
        entry = take_list.shown_take(scene.thunder)
        if entry is None or entry.action is None or not scene.thunder.live_direction:
            return ""
        return self.sentence if entry.action.session_uid == self.refused else ""

    # ---- a step

    def step(self) -> float | None:
        """Do the next step; seconds until the one after it, None when the take matches the
        sliders."""
        try:
            return self._step()
        except ThunderError as error:
            uid = self.uid
            self.drop()
            self._set_sentence(str(error), uid)
            return None

    def _step(self) -> float | None:
        if self.uid is None:
            return None
        entry = take_list.in_any_scene(self.uid)
        if entry is None:
            self.drop()
            return None
        scene = entry.id_data
        if jobs.session.job is not None or is_dragging_keys():
            return _BUSY_SECONDS
        rig = take_list.rig_of(scene, entry)
        direction = self._direction_for(rig, entry)
        is_resting = time.monotonic() - self.moved_at > _REST_SECONDS
        request = self.request
        if request is not None:
            if request.is_final and not take_record.is_same_direction(request.direction, direction):
                request.steps.close()  # the sliders have moved since
            else:
                try:
                    next(request.steps)
                    return _POLL_SECONDS
                except StopIteration as end:
                    self._write(rig, entry, end.value[0], request.direction)
                    self.written = request.direction, request.is_final
            self.request = None
            return _POLL_SECONDS
        written_for, is_final = self.written
        is_there = take_record.is_same_direction(written_for, direction)
        as_before = self.original is not None and take_record.is_same_direction(
            take_record.request_of(self.original.provenance, scene.thunder).direction, direction
        )
        if is_there and is_final:
            if as_before and self.copied is not None and not is_resting:
                return _POLL_SECONDS
            entry.action.pop(PENDING, None)
            if as_before:
                self._discard_copy(scene, entry)
            return None
        if as_before:
            self._write(rig, entry, self.original, direction)  # bit for bit as it was
            self.written = direction, True
            return _POLL_SECONDS
        if is_there and not is_resting:
            return _POLL_SECONDS
        wants_final = is_there or self.sampled_for.quality_or_steps == DRAFT
        self.request = _Request(
            direction, wants_final, self._sample(scene, entry, direction, wants_final)
        )
        return 0.0

    def _direction_for(self, rig: head.Rig, entry: ThunderTake) -> DirectionRequest:
        """The direction that the sliders request for the take. Its spread, the takes it is like and
        whether it is played exactly as directed stay."""
        scene, before = entry.id_data, self.sampled_for.direction
        voice = strip.of_state(scene, fingerprint.of_take(entry))
        request = replace(self.sampled_for, direction=None)
        direction = generation.complete(request, scene, rig, voice).direction
        if before is None:
            return replace(direction, exact_first=False)
        return replace(
            direction, spread=before.spread, exact_first=before.exact_first, like=before.like
        )

    def _sample(
        self,
        scene: bpy.types.Scene,
        entry: ThunderTake,
        direction: DirectionRequest,
        is_final: bool,
    ) -> Generator:
        """Steps that sample the take's seed again. Return a list of one TakeData."""
        client = connection.start_client()
        voice = strip.of_state(scene, fingerprint.of_take(entry))
        request = self.sampled_for if is_final else with_quality(self.sampled_for, DRAFT)
        request = replace(request, direction=direction, seed=entry.seed)
        request = generation.complete(request, scene, take_list.rig_of(scene, entry), voice)
        return (yield from generation.sample_voice(client, voice, request, quietly=True))

    def _write(
        self, rig: head.Rig, entry: ThunderTake, made: keying.TakeData, direction: DirectionRequest
    ) -> None:
        """Key the take again. Raises BadRequest if the animator has edited it meanwhile."""
        action = entry.action
        if take_record.is_edited(entry):
            raise BadRequest(
                f"“{entry.name}” was edited, so it does not follow the sliders any more: press "
                f"Generate Takes for new ones"
            )
        source, before = take_record.load(action), self.original
        if (
            source is None
            or source.motion.frames != made.motion.frames
            or before is not None
            and before.provenance.get("weights") != made.provenance.get("weights")
        ):
            raise BadRequest(
                f"“{entry.name}” cannot be sampled again, because its voice or the weights have "
                f"changed: press Generate Takes for new ones"
            )
        if source.look is not None and made.look is None:
            made = head_direction.aim_eyes(made, source.look)
        clock = take_record.clock_of(action)
        values = result(keying.values_of(rig, made, clock))
        keying.key_again(
            rig, display.actions_of(entry), keying.curves_of_tracks(rig, entry), made, values
        )
        take_record.store(action, made, clock, entry.voice)
        entry.score = made.score
        entry.words, entry.asked = words_of_take(made.provenance), words_of_request(made.provenance)
        browsing.drop_thumbnail(self.uid)
        jobs.redraw()

    def _discard_copy(self, scene: bpy.types.Scene, entry: ThunderTake) -> None:
        """Remove a copy that equals the take it was copied from, and show that take again."""
        original = take_list.in_any_scene(self.copied)
        if original is not None and self._may_change(entry):
            self.drop()
            display.show(take_list.rig_of(scene, original), original)
            take_list.remove(scene, list(scene.thunder.takes).index(entry))
            jobs.redraw()


live = jobs.session.add(Live())


def why_not(scene: bpy.types.Scene, entry: ThunderTake) -> str:
    """The reason why a take does not follow the sliders, "" if it does. The animator's work is
    never sampled again."""
    name = f"“{entry.name}”"
    performance = take_record.load(entry.action)
    if (
        entry.kind != "SAMPLED"
        or performance is None
        or fingerprint.of_take(entry) is None
        or is_shaped(entry.action)
        or take_record.is_edited(entry)
    ):
        return (
            f"{name} was edited, shaped, retaken, mixed or imported, so it does not follow the "
            f"sliders: press Generate Takes for new ones"
        )
    if performance.motion.frames / performance.motion.fps > LONGEST_SECONDS:
        return (
            f"{name} is longer than {LONGEST_SECONDS:.0f} s, so it does not follow the "
            f"sliders: press Generate Takes for new ones"
        )
    if changes.change(scene, entry) is not None:
        return f"The voice of {name} has changed: re-sync it first, or press Generate Takes"
    if connection.weights_in_use() not in ("", performance.provenance.get("weights")):
        return (
            f"{name} was made with other weights than those in use, so it does not follow the "
            f"sliders: press Generate Takes for new ones"
        )
    return ""


def _entry(scene: bpy.types.Scene, direction: sliders.ThunderDirection):
    """The shown take, if it is on the head that a direction belongs to; else None."""
    entry = take_list.shown_take(scene.thunder)
    if entry is None or entry.action is None or entry.head is None:
        return None
    state = head_state.of(head.owner_of(entry.head))
    return entry if state is not None and state.direction == direction else None


def is_dragging_keys() -> bool:
    """Whether a tool is being used that may hold keys."""
    manager = bpy.context.window_manager
    busy = (
        op.bl_idname
        for window in (manager.windows if manager else ())
        for op in getattr(window, "modal_operators", ())
    )
    return any(not name.startswith(("SCREEN_OT_animation", "THUNDER_OT")) for name in busy)


sliders.listeners.append(live.follow_slider)
