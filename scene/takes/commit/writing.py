# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the curves of a commit into the animator's actions, copies of them, new actions or NLA
strips, and undoes it where that fails."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TYPE_CHECKING

import bpy

from ....thunder_core.animation import placing
from ....thunder_core.animation.commit import line_records
from ....thunder_core.animation.commit.before import StateBefore
from ....thunder_core.animation.commit.curves import Drawing, NewCurve, OF_SPEECH
from ....thunder_core.animation.commit.planning import CommitPlan
from ...animation import display, fcurves
from ...animation.keying import checksum_of, PROPERTY, record_of
from ...heads import head, head_state, rna_paths
from ...host import compat, playback
from ...host.jobs import stage, Step
from .. import take_record
from ..shape import applying
from . import reading

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


Curves = Sequence[Sequence[NewCurve]]  # of each target
# custom property of an action: checksum of its keys after the last commit to it
AS_COMMITTED = "thunder_as_committed"


def write(
    rig: head.Rig, entry: ThunderTake, before: StateBefore, plan: CommitPlan, drawing: Drawing
) -> Generator[Step, None, tuple[list[bpy.types.Action], str]]:
    """Steps that write a commit into the file. Returns the actions with its keys, and the name of
    the one that still has the animator's earlier keys, or "". Closed early, or if the curves cannot
    be written, everything is as before."""
    yield Step(0.98, "Writing keys", busy=True)
    animator_actions, states = display.animator_actions(rig), display.animator_states(rig)
    left = animator_actions if plan.keeps else []
    animator_actions = animator_actions if plan.takes_part else [None] * len(animator_actions)
    old_strips = [
        {
            _names(*pair)
            for number, pair in enumerate(reading.active_strips(target))
            if number in old
        }
        for target, old in zip(rig.targets, plan.old_strips)
    ]
    tracks = [{track.as_pointer() for track in reading.nla_tracks(t)} for t in rig.targets]
    work = _Writing(rig, entry, before, plan, drawing, animator_actions, states, tracks)
    actions = yield from work.write_curves()
    # From here on without a pause.
    for target, names in zip(rig.targets, old_strips):
        _remove_strips(
            target, [pair for pair in reading.active_strips(target) if _names(*pair) in names]
        )
    for action in filter(None, left):
        action.use_fake_user = True  # without a user the next save would drop it
    about = record.to_dict() if (record := record_of(display.actions_of(entry)[0])) else {}
    for action in actions:
        _record(action, about, plan, drawing)
    for other in bpy.context.scene.thunder.takes:  # of a line the last is learned from
        if other.action is not None and (other.head, other.voice) == (entry.head, entry.voice):
            other.action.pop(take_record.COMMITTED, None)
    assert entry.action is not None  # its keys were written
    entry.action[take_record.COMMITTED] = ",".join(sorted(plan.choice.regions))
    for track, value in drawing.still:
        if rna_paths.exists(rig.targets[track.block], track.path):
            rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
    head_state.ensure(rig.owner).shown = None
    display.remember_animation(rig)
    edited = next(
        (action for action, count in zip(animator_actions, drawing.edited) if count),
        next(filter(None, animator_actions), None),
    )
    earlier = edited.name if edited is not None else ""
    if plan.choice.to == "OWN":
        for action in dict.fromkeys(filter(None, animator_actions)):
            if not plan.choice.backup or (not any(drawing.edited) and is_as_committed(action)):
                earlier = "" if action.name == earlier else earlier
                bpy.data.actions.remove(action)
    return actions, earlier


def is_as_committed(action: bpy.types.Action) -> bool:
    """Whether an action's keys are as the last commit to it left them: then stored copies of it
    hold all of the animator's work."""
    return action.get(AS_COMMITTED) == checksum_of(action)


def free_name(name: str, action: bpy.types.Action | None = None) -> str:
    """A name that no other action than `action` has."""
    return line_records.free_name(
        name, {other.name for other in bpy.data.actions if other != action}
    )


def _record(action: bpy.types.Action, about: dict, plan: CommitPlan, drawing: Drawing) -> None:
    """Store in an action what was committed to it. about: the record of the take."""
    action[PROPERTY] = about
    line_records.remember_lines(action, plan.names.lines)
    line_records.remember_keys(action, drawing.line_keys)
    if plan.choice.regions & OF_SPEECH:
        line_records.remember_score(action, plan.line, drawing.score)
    take_record.remove_data(action)
    applying.remove_data(action)
    action[AS_COMMITTED] = checksum_of(action)


@dataclass(frozen=True)
class _Writing:
    """A commit while it is written.

    animator_actions: of each target, or None.  states: how each target played it.  old_tracks:
    pointers to the NLA tracks of each target.  made: the actions that are new so far.
    """

    rig: head.Rig
    entry: Any
    before: StateBefore
    plan: CommitPlan
    drawing: Drawing
    animator_actions: list
    states: list[dict]
    old_tracks: list[set[int]]
    made: list = field(default_factory=list)

    def write_curves(self) -> Generator[Step, None, list]:
        """Steps that write the curves into the chosen actions, and others above the animator's NLA
        strips. Returns these actions. If it fails or is closed early, everything is restored."""
        put_curves = {
            "OWN": self._in_copies,
            "COPY": self._in_copies,
            "NEW": self._in_new_actions,
            "STRIP": self._as_strips,
        }[self.plan.choice.to]
        strips = self.drawing.above
        try:
            above = (yield from self._make_actions(strips)) if any(strips) else []
            actions = yield from put_curves(self.drawing.curves)
        except (GeneratorExit, ReferenceError):  # at a step, where nothing plays them yet
            playback.remove(self.made)
            raise
        except BaseException:
            self._undo()
            raise
        for index, target in enumerate(self.rig.targets):
            if strips[index]:
                self._lay(target, above[min(index, len(above) - 1)], index, strips[index][0].span)
        _drop_fake_users(above)
        return actions + above

    def _undo(self) -> None:
        """Restore the state before the commit, in whichever step it ended."""
        for target, before in zip(self.rig.targets, self.old_tracks):
            for track in reading.nla_tracks(target):
                if track.as_pointer() not in before:
                    target.animation_data.nla_tracks.remove(track)
        # restore_animation does nothing if no take is shown
        for index, target in enumerate(self.rig.targets):
            compat.assign_action(
                target, *display.part_of(display.actions_of(self.entry), self.rig, index)
            )
        display.restore_animation(self.rig)
        playback.remove(self.made)
        display.show(self.rig, self.entry)

    def _make_actions(self, written: Curves) -> Generator[Step, None, list]:
        """Steps that make an action (before 4.4 one for each target) of the take alone."""
        actions, curves = compat.new_action(free_name(self.plan.names.lines.name), self.rig.targets)
        self.made.extend(actions)
        for collection, wanted in zip(curves, written):
            yield from stage(self._write(collection, wanted), "Writing keys", 0.99, 0.99)
        return actions

    def _in_copies(self, written: Curves) -> Generator[Step, None, list]:
        """Steps that put the curves into copies of the animator's actions."""
        copies: dict = {}  # the animator's action → its copy
        for action in self.animator_actions:
            if action is not None and action not in copies:
                copies[action] = action.copy()
                self.made.append(copies[action])
                copies[action].name = free_name(
                    self.plan.names.of_copy(action.name), copies[action]
                )
                copies[action].use_fake_user = True
                yield Step(0.9, "Writing keys", busy=True)
        if not copies:
            return (yield from self._in_new_actions(written))
        results = yield from self._put_into(copies, written)
        self._assign(results)
        for action in copies:
            action.use_fake_user = True  # without a user the next save would drop it
        if self.plan.choice.to == "OWN":
            self._replace_originals(copies)
        return list(dict.fromkeys(action for action, _ in results))

    def _replace_originals(self, copies: dict) -> None:
        """Let copies be played wherever the animator's actions are, under their names; the actions
        themselves are backups then."""
        for action, copy in copies.items():
            name = action.name
            action.name = free_name(f"{name} · before Commit", action)
            copy.name = free_name(self.plan.names.in_place(name), copy)
            action.user_remap(copy)
            action.use_fake_user = True  # which the copy has taken

    def _put_into(self, wanted: dict, written: Curves) -> Generator[Step, None, list]:
        """Steps that write the curves. wanted: the animator's action → the one that gets its
        targets' curves. Returns (action, slot) of each target."""
        results = []
        for target, action, state, curves in zip(
            self.rig.targets, self.animator_actions, self.states, written
        ):
            slot = state.get("slot", "")
            if action is not None:
                result = wanted[action]
            elif compat.HAS_SLOTS:
                result, slot = next(iter(wanted.values())), ""
            else:  # before 4.4 an action is one data-block's
                (result,), _ = compat.new_action(
                    free_name(f"{self.plan.names.lines.name} {target.id_type.title()}"), [target]
                )
                self.made.append(result)
            yield from stage(
                self._write(compat.curves_in(result, target, slot), curves),
                "Writing keys",
                0.95,
                0.95,
            )
            results.append((result, slot))
        return results

    def _in_new_actions(self, written: Curves) -> Generator[Step, None, list]:
        """Steps that put the curves into a new action, which the rig plays."""
        actions = yield from self._make_actions(written)
        self._assign(
            [(actions[min(index, len(actions) - 1)], "") for index in range(len(self.rig.targets))]
        )
        return actions

    def _as_strips(self, written: Curves) -> Generator[Step, None, list]:
        """Steps that put the curves into an NLA strip above the animator's animation."""
        actions = yield from self._make_actions(written)
        display.remove_base(self.rig)
        still = display.hold_values(self.rig, reading.STILL_POSE, self._still_values(written))
        self.made.extend(still)
        for index, (target, action, state) in enumerate(
            zip(self.rig.targets, self.animator_actions, self.states)
        ):
            if action is not None:
                # The action plays as when it was active, everywhere if it moves beyond its keys:
                # cycles, noise, or lines that run on.
                goes_on = any(
                    len(curve.modifiers) or curve.extrapolation != "CONSTANT"
                    for curve in compat.all_curves(action)
                )
                display.push_down(
                    target,
                    action.name,
                    action,
                    state,
                    goes_on and state.get("action_extrapolation", "HOLD") == "HOLD",
                )
            compat.assign_action(target, None)
            if written[index]:
                self._lay(
                    target, actions[min(index, len(actions) - 1)], index, self.plan.choice.span
                )
        _drop_fake_users(actions)
        return actions

    def _still_values(self, written: Curves) -> list[list]:
        """For each target the previous values of what only the take moves."""
        values = []
        for target, action, state, curves in zip(
            self.rig.targets, self.animator_actions, self.states, written
        ):
            existing = compat.curves_of(action, state.get("slot", ""))
            moved = {*compat.by_place(existing), *display.paths_in_strips(target)}
            held = {
                (track.path, track.index): self.before.still[place]
                for place, track in self.rig.tracks_of(target)
                if (track.path, track.index) not in moved
            }
            keyed = [(curve.path, curve.index) for curve in curves]
            values.append([(*place, held[place]) for place in keyed if place in held])
        return values

    def _write(
        self, curves: bpy.types.ActionChannelbagFCurves, wanted: Sequence[NewCurve]
    ) -> Generator[float, None, None]:
        """Write curves into a collection; yields progress."""
        for number, new_curve in enumerate(wanted):
            curve = curves.find(new_curve.path, index=new_curve.index)
            if curve is None:
                curve = compat.new_curve(curves, new_curve.path, new_curve.index, new_curve.group)
            reading.stop_at(curve, new_curve.span, self.plan.choice.how == "INSERT")
            times = new_curve.keys["co"][:, 0]
            fcurves.write(
                curve,
                new_curve.keys,
                as_they_are=(times < new_curve.span.first - 0.5)
                | (times > new_curve.span.last + 0.5),
            )
            yield (number + 1) / len(wanted)

    def _lay(
        self, target: compat.Animated, action: bpy.types.Action, index: int, span: placing.Span
    ) -> None:
        """Add a take's action above everything else on a target, blending in and out around its
        frames."""
        slot = compat.slot_for(action, target, index)
        strip = display.add_strip(target, self.plan.names.lines.name, span.start, action, slot)
        strip.action_frame_start, strip.action_frame_end = span.start, span.end
        strip.frame_start_ui = span.start
        strip.extrapolation = "NOTHING"
        # Combine subtracts a property's default, and that of a shape key is 1
        if self.plan.choice.how == "ADD":
            strip.blend_type = "ADD" if target.id_type == "KEY" else "COMBINE"
        else:
            strip.blend_type = "REPLACE"
        strip.use_auto_blend = False
        strip.blend_in = strip.blend_out = span.blend

    def _assign(self, results: list) -> None:
        """Let the rig play actions: (action, slot) of each target."""
        display.remove_base(self.rig)
        for target, (action, slot), state in zip(self.rig.targets, results, self.states):
            compat.assign_action(target, action, slot)
            target.animation_data.action_extrapolation = state.get("action_extrapolation", "HOLD")
        _drop_fake_users(action for action, _ in results)


def _drop_fake_users(actions: Iterable[bpy.types.Action]) -> None:
    """Let new actions live as long as what plays them now."""
    for action in actions:
        action.use_fake_user = False


def _names(track: bpy.types.NlaTrack, strip: bpy.types.NlaStrip) -> tuple[str, str]:
    """What finds an NLA strip again."""
    return track.name, strip.name


def _remove_strips(target: compat.Animated, strips: list) -> None:
    """Remove NLA strips, given as (track, strip), and tracks that are empty then. Their actions
    stay in the file."""
    for track, strip in strips:
        # without a user the next save would drop it, with the animator's edits
        strip.action.use_fake_user = True
        track.strips.remove(strip)
        if not track.strips:
            assert target.animation_data is not None  # which has the track
            target.animation_data.nla_tracks.remove(track)
