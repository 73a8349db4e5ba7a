# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the curves of a commit into the animator's actions, copies of them, new actions or NLA strips, and undoes it where that fails."""

from __future__ import annotations

from collections.abc import Generator

import bpy

from ....thunder_core.animation import placing
from ....thunder_core.progress import result as value_of
from ...animation import display, fcurves, nla
from ...heads import head
from ...host import compat
from ...host.jobs import stage, Step
from . import backups, modifiers
from .choice import Choice
from .naming import free_name, Naming
from .new_keys import NewCurve
from .own_curves import by_path, STILL_POSE
from .values import still_value


class Putting:
    """Writes one commit into the file, or undoes it.

    rig, entry: of the take that is shown.  own, own_states: of each target the animator's action or None, and how it
    played.  made: the actions that are new so far.  edited: whether keys that the animator had set or edited are replaced.
    """

    def __init__(self, rig: head.Rig, entry, choice: Choice, own: list, own_states: list[dict], naming: Naming, edited: bool = False):  # noqa: PLR0913
        self.rig, self.entry, self.choice, self.own, self.own_states, self.naming = rig, entry, choice, own, own_states, naming
        self.edited = edited
        self.made: list = []
        self.backups: dict = {}  # the animator's action → its backup copy
        self.was = [(action, action.name, action.use_fake_user) for action in dict.fromkeys(filter(None, own))]
        self.tracks = [_tracks_of(target) for target in rig.targets]

    def put(self, written: list[list[NewCurve]], strips: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that write curves into the chosen target, and `strips` above the animator's NLA strips. Returns their actions.
        If it fails or is closed early, everything is restored."""
        put_curves = {"OWN": self._in_place, "COPY": self._in_copies, "NEW": self._alone, "STRIP": self._as_strips}[self.choice.to]
        try:
            above = (yield from self._fresh(strips)) if any(strips) else []
            actions = yield from put_curves(written)
        except BaseException:  # a cancel too
            self._undo()
            raise
        for index, target in enumerate(self.rig.targets):
            if strips[index]:
                self._lay(target, above[min(index, len(above) - 1)], index, strips[index][0].span)
        return actions + above

    def earlier(self, action):
        """The animator's action before the commit, or its copy; None if there is none. Call it after `put`."""
        return self.backups.get(action) if self.choice.to == "OWN" else action

    def _fresh(self, written: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that make an action (before 4.4 one for each target) of the take alone."""
        actions, curves = compat.new_action(free_name(self.naming.new), self.rig.targets)
        self.made += actions
        for collection, wanted in zip(curves, written):
            yield from stage(self._write(collection, wanted), "Writing keys", 0.95, 0.95)
        return actions

    def _in_copies(self, written: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that put the curves into copies of the animator's actions."""
        copies: dict = {}  # the animator's action → its copy
        for action in self.own:
            if action is not None and action not in copies:
                copies[action] = action.copy()
                self.made.append(copies[action])
                copies[action].name = free_name(self.naming.of_copy(action.name), copies[action])
                copies[action].use_fake_user = False
                yield Step(0.9, "Writing keys", busy=True)
        if not copies:
            fresh = yield from self._fresh(written)
        results = []
        for index, (target, action, state) in enumerate(zip(self.rig.targets, self.own, self.own_states)):
            slot = state.get("slot", "")
            if action is not None:
                result = copies[action]
            elif copies and compat.HAS_SLOTS:
                result, slot = next(iter(copies.values())), ""
            elif copies:  # before 4.4 an action is one data-block's
                (result,), (curves,) = compat.new_action(free_name(f"{self.naming.new} {target.id_type.title()}"), [target])
                self.made.append(result)
            else:
                results.append((fresh[min(index, len(fresh) - 1)], ""))
                continue
            yield from stage(self._write(compat.curves_in(result, target, slot), written[index]), "Writing keys", 0.95, 0.95)
            results.append((result, slot))
        for action in self.own:
            if action is not None:
                action.use_fake_user = True  # without a user the next save would drop it
        self._assign(results)
        return list(dict.fromkeys(action for action, _ in results))

    def _in_place(self, written: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that write into the animator's actions, after a backup copy if chosen. A backup of an action that was not edited since the
        last commit is removed again, because the earlier backup contains all of the animator's work."""
        needless = []
        for action in dict.fromkeys(filter(None, self.own)) if self.choice.backup else ():
            if not self.edited and backups.is_as_committed(action):
                needless.append(action)
            backup = action.copy()
            self.made.append(backup)
            self.backups[action] = backup
            backup.name, backup.use_fake_user = free_name(f"{action.name} · before Commit", backup), True
            yield Step(0.95, "Writing keys", busy=True)
        # From here on without a pause, so that the animator's own action is never visible half written.
        first = next(action for action in self.own if action is not None)
        results = []
        for target, action, state, wanted in zip(self.rig.targets, self.own, self.own_states, written):
            slot = state.get("slot", "")
            if action is None and not compat.HAS_SLOTS:
                (action,), _ = compat.new_action(free_name(f"{self.naming.new} {target.id_type.title()}"), [target])
            elif action is None:
                action, slot = first, ""
            value_of(self._write(compat.curves_in(action, target, slot), wanted))
            results.append((action, slot))
        for action in dict.fromkeys(filter(None, self.own)):
            if (name := self.naming.in_place(action.name)) != action.name:
                action.name = free_name(name, action)
        self._assign(results)
        for action in needless:
            copy = self.backups.pop(action)
            self.made.remove(copy)
            bpy.data.actions.remove(copy)
        return list(dict.fromkeys(action for action, _ in results))

    def _alone(self, written: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that put the curves into a new action, which the rig plays."""
        actions = yield from self._fresh(written)
        self._assign([(actions[min(index, len(actions) - 1)], "") for index in range(len(self.rig.targets))])
        return actions

    def _as_strips(self, written: list[list[NewCurve]]) -> Generator[Step, None, list]:
        """Steps that put the curves into an NLA strip above the animator's animation."""
        actions = yield from self._fresh(written)
        display.remove_base(self.rig)
        still = self._still_poses(written)
        for index, (target, action, state) in enumerate(zip(self.rig.targets, self.own, self.own_states)):
            if still[index] is not None:
                nla.hold_pose(target, STILL_POSE, still[index], index)
            if action is not None:
                _push_down(target, action, state)
            compat.assign_action(target, None)
            if written[index]:
                self._lay(target, actions[min(index, len(actions) - 1)], index, self.choice.span)
        return actions

    def _still_poses(self, written: list[list[NewCurve]]) -> list:
        """For each target the action of a held pose below all strips, None if none is needed.

        Around an NLA strip Blender sets properties that no other strip moves to their default, and that of a shape key is 1: so properties
        moved only by the take get a strip that holds their previous values.
        """
        wanted: list[list[NewCurve]] = []
        for index, (target, curves) in enumerate(zip(self.rig.targets, written)):
            moved = set(by_path(self.own[index], self.own_states[index].get("slot", "")))
            for track in target.animation_data.nla_tracks if target.animation_data else ():
                for strip in filter(lambda strip: strip.action is not None, track.strips):
                    moved |= set(by_path(strip.action, compat.strip_slot(strip)))
            ours = {(track.path, track.index): track for _, track in self.rig.tracks_of(target)}
            wanted.append([])
            for curve in curves:
                track = ours.get((curve.path, curve.index))
                if track is not None and (curve.path, curve.index) not in moved:
                    wanted[-1].append(
                        NewCurve(
                            curve.path,
                            curve.index,
                            curve.group,
                            placing.level(1, still_value(self.own_states[index], track)),
                            self.choice.span,
                        )
                    )
        if not any(wanted):
            return [None] * len(self.rig.targets)
        actions, collections = compat.new_action(STILL_POSE, self.rig.targets)
        self.made += actions
        for collection, curves in zip(collections, wanted):
            for _ in self._write(collection, curves):
                pass
        for action in actions:
            action.use_fake_user = False
        return [actions[min(index, len(actions) - 1)] if wanted[index] else None for index in range(len(self.rig.targets))]

    def _write(self, curves, wanted: list[NewCurve]) -> Generator[float, None, None]:
        """Write curves into a collection; yields progress."""
        for number, one in enumerate(wanted):
            curve = curves.find(one.path, index=one.index)
            if curve is None:
                curve = compat.new_curve(curves, one.path, one.index, one.group)
            modifiers.stop_at(curve, one.span, self.choice.how == "INSERT")
            times = one.keys["co"][:, 0]
            fcurves.write(curve, one.keys, as_they_are=(times < one.span.first - 0.5) | (times > one.span.last + 0.5))
            yield (number + 1) / len(wanted)

    def _lay(self, target, action, index: int, span: placing.Span) -> None:
        """Add a take's action above everything else on a target, blending in and out around its frames."""
        animation = target.animation_data or target.animation_data_create()
        track = animation.nla_tracks.new()
        track.name = self.naming.new
        strip = track.strips.new(self.naming.new, span.start, action)
        if compat.HAS_SLOTS:
            compat.set_strip_slot(strip, compat.slot_for(action, target, index))
        strip.action_frame_start, strip.action_frame_end = span.start, span.end
        strip.frame_start_ui = span.start
        strip.extrapolation = "NOTHING"
        if self.choice.how == "ADD":  # Combine subtracts a property's default, and that of a shape key is 1
            strip.blend_type = "ADD" if target.id_type == "KEY" else "COMBINE"
        else:
            strip.blend_type = "REPLACE"
        strip.use_auto_blend = False
        strip.blend_in = strip.blend_out = span.blend

    def _assign(self, results: list) -> None:
        """Let the rig play actions: (action, slot) of each target."""
        display.remove_base(self.rig)
        for target, (action, slot), state in zip(self.rig.targets, results, self.own_states):
            compat.assign_action(target, action, slot)
            target.animation_data.action_extrapolation = state.get("action_extrapolation", "HOLD")

    def _undo(self) -> None:
        """Restore the state before a commit that was cancelled or has failed in any of its steps."""
        if self.backups and len(self.backups) == len(self.was):  # the animator's actions may be partly written, and have backups
            for action, name, had_user in self.was:
                copy = self.backups[action]
                action.user_remap(copy)
                bpy.data.actions.remove(action)
                copy.name, copy.use_fake_user = name, had_user
                self.made.remove(copy)
        else:
            for action, _, had_user in self.was:
                action.use_fake_user = had_user
        for target, nla_tracks in zip(self.rig.targets, self.tracks):
            for track in list(target.animation_data.nla_tracks) if target.animation_data else ():
                if track.as_pointer() not in nla_tracks:
                    target.animation_data.nla_tracks.remove(track)
        for index, target in enumerate(self.rig.targets):  # restore_own does nothing if no take is shown
            compat.assign_action(target, *display.part_of(display.actions_of(self.entry), self.rig, index))
        display.restore_own(self.rig)
        for action in self.made:
            bpy.data.actions.remove(action)
        display.show(self.rig, self.entry)


def remove_strips(target, strips: list) -> None:
    """Remove NLA strips, given as (track, strip), and tracks that are empty then. Their actions stay in the file."""
    for track, strip in strips:
        strip.action.use_fake_user = True  # without a user the next save would drop it, with the animator's edits
        track.strips.remove(strip)
        if not track.strips:
            target.animation_data.nla_tracks.remove(track)


def _tracks_of(target) -> set[int]:
    """Addresses of a target's NLA tracks."""
    return {track.as_pointer() for track in target.animation_data.nla_tracks} if target.animation_data else set()


def _push_down(target, action, state: dict) -> None:
    """Let the animator's action play as an NLA strip, as it played as the active action."""
    extrapolation = state.get("action_extrapolation", "HOLD")
    playing = nla.Playing(
        state.get("slot", ""), extrapolation, state.get("action_blend_type", "REPLACE"), state.get("action_influence", 1.0)
    )
    nla.push_down(target, action.name, action, playing, everywhere=extrapolation == "HOLD" and _goes_on(action))


def _goes_on(action) -> bool:
    """Whether an action moves beyond its keys: cycles, noise, or curves that run on in a line."""
    return any(len(curve.modifiers) or curve.extrapolation != "CONSTANT" for curve in compat.all_curves(action))
