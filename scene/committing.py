# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: the shown take becomes the animator's own animation, as few keys; what was there stays in the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ..thunder_core.errors import BadRequest
from ..thunder_core.face import mapping
from ..thunder_core.face.keys import Keys
from ..thunder_core.rotation import matrix_to_rotvec, rotvec_to_matrix
from . import compat, fitting, head, keyframes, memory, numbers, shaping, showing, sources, tracks
from .keying import PROPERTY
from .work import Step

STILL_POSE = "Thunder: Still Pose"  # NLA track and action of what stands still under a committed strip
_STILL = 1e-5  # a number nearer to another than this has not moved
_NEAR = 1e-4  # and nearer than this nobody sees it jump


@dataclass(frozen=True)
class Choice:
    """What the animator chose: see ThunderCommit. first, last: scene frames of the take that are committed."""

    first: int
    last: int
    to: str = "COPY"
    how: str = "REPLACE"
    error: float = 0.3
    blend: int = 3


@dataclass(frozen=True)
class Report:
    """What a commit made.

    actions: their names.  keys: of the take, in all.  rate: keys a second of a curve that moves; dense: those it had.
    error: millimetres by which the lips are off at most, None where no key was left out.
    """

    actions: tuple[str, ...]
    keys: int
    rate: float
    dense: float
    error: float | None

    @property
    def sentence(self) -> str:
        """What the animator is told."""
        said = f"The take is now your animation “{self.actions[0]}”: {self.keys} keys, {self.rate:.1f} a second on a moving curve"
        return said if self.error is None else f"{said} instead of {self.dense:.0f}, lips off by {self.error:.2f} mm at most"


@dataclass(frozen=True)
class _Curve:
    """Keys for one curve of a target."""

    path: str
    index: int
    group: str
    keys: dict


def chosen(scene, entry) -> Choice:
    """What a scene's settings say of committing a take. Raises BadRequest."""
    wanted = scene.thunder.commit
    first, last = entry.first, entry.last
    if wanted.range == "PREVIEW":
        if not scene.use_preview_range:
            raise BadRequest("This scene has no preview range: set one in the timeline (P) or commit the whole take")
        first, last = max(first, scene.frame_preview_start), min(last, scene.frame_preview_end)
        if first >= last:
            raise BadRequest(f"The preview range holds none of the take's frames ({entry.first} to {entry.last}): move it there")
    how = wanted.how
    if wanted.to == "NEW" or (wanted.to == "STRIP" and how == "INSERT"):
        how = "REPLACE"
    return Choice(first, last, wanted.to, how, wanted.error, wanted.blend)


def commit(rig: head.Rig, entry, name: str, choice: Choice) -> Iterator[Step]:
    """Steps that make a take the animator's own animation; the value is the Report.

    The animator's actions that were there stay in the file: unchanged, or, where the take went into one of them, as a copy
    of what it was. Nothing is put on the rig before the last step; closed earlier, everything is as it was.
    Raises BadHead or BadRequest.
    """
    if not showing.is_shown(rig, entry):
        showing.show(rig, entry)
    own, kept = showing.own_actions(rig), showing.own_targets(rig)
    if choice.to == "OWN":
        _check_own(own)
        if not any(own):
            choice = Choice(choice.first, choice.last, "NEW", "REPLACE", choice.error, choice.blend)
    frames = np.arange(choice.first, choice.last + 1)
    parts = [showing.part_of(showing.actions_of(entry), rig, index) for index in range(len(rig.targets))]
    taken = [_by_path(action, slot) for action, slot in parts]
    had = [_by_path(action, state.get("slot", "")) for action, state in zip(own, kept)]

    values = yield from _sampled(rig, taken, frames)
    touched = np.array([(track.path, track.index) in taken[track.block] for track in rig.driver.tracks])
    if choice.how == "ADD" and choice.to != "STRIP":
        moving = touched & (np.abs(values - [track.rest for track in rig.driver.tracks]).max(0) > _STILL)
        values = yield from _added(rig, values, moving, had, kept, frames)
        touched = moving
    fitted = None
    if choice.error > 0:
        for told in fitting.fit(rig, frames, values, choice.error):
            if isinstance(told, float):
                yield Step(0.2 + 0.6 * told, "Reducing keys", busy=True)
            else:
                fitted = told
    alone = choice.to in ("NEW", "STRIP")
    written: list[list[_Curve]] = [[] for _ in rig.targets]
    done, count, moving_keys, moving_curves = set(), 0, 0, 0
    for place, track in enumerate(rig.driver.tracks):
        if not touched[place]:
            continue
        curve = taken[track.block].get((track.path, track.index))
        inner = _inner(choice, frames, values[:, place], fitted and fitted.keys[place], curve)
        count += len(inner["co"])
        if len(inner["co"]) > 2:
            moving_keys, moving_curves = moving_keys + len(inner["co"]), moving_curves + 1
        found = None if alone else had[track.block].get((track.path, track.index))
        still = None if alone or own[track.block] is None else _still(kept[track.block], track)
        keys = _placed(choice, inner, found, still)
        written[track.block].append(_Curve(track.path, track.index, track.group, keys))
        done.add((track.block, track.path, track.index))
        if place % 2 == 0:
            yield Step(0.85, "Drawing handles", busy=True)
    for block in range(len(rig.targets)):  # what the take moves besides, such as a curve the animator put in by hand
        for (path, index), curve in taken[block].items():
            if path == shaping.STRENGTH:
                continue  # how strong the take's emotion is: it is in the take's keys already
            if not any(path == track.path and index == track.index for _, track in rig.tracks_of(rig.targets[block])):
                inner = _part(curve, choice.first, choice.last)
                count += len(inner["co"])
                keys = _placed(choice, inner, None if alone else had[block].get((path, index)), None)
                written[block].append(_Curve(path, index, curve.group.name if curve.group else "", keys))
                done.add((block, path, index))
        if choice.how == "INSERT" and not alone:
            for (path, index), curve in had[block].items():
                if (block, path, index) not in done:
                    written[block].append(_Curve(path, index, "", _opened(curve, choice)))
    source = showing.actions_of(entry)[0]
    about = source[PROPERTY].to_dict() if PROPERTY in source else {}
    put = {"OWN": _put_in_place, "COPY": _put_in_copies, "NEW": _put_alone, "STRIP": _put_as_strips}[choice.to]
    made: list = []  # what is new so far
    try:
        actions = yield from put(rig, choice, written, own, kept, name, made)
    except BaseException:  # a cancel too
        for action in made:
            bpy.data.actions.remove(action)
        raise
    for action in actions:
        action[PROPERTY] = about
        sources.forget(action)
        shaping.forget(action)
    memory.ensure(rig.owner).shown = None
    showing.remember_own(rig)
    fps = bpy.context.scene.render.fps / bpy.context.scene.render.fps_base
    return Report(tuple(action.name for action in actions), count, moving_keys / max(moving_curves, 1) * fps / len(frames), fps,
                  None if fitted is None else fitted.error)


def _check_own(own: list) -> None:
    for action in own:
        if action is not None and (action.library is not None or action.override_library is not None):
            raise BadRequest(f"Your action “{action.name}” is linked from another file: commit to a copy of it")


def _by_path(action, slot: str) -> dict:
    if action is None:
        return {}
    return {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(action, slot)}


# ---- numbers on every frame


def _sampled(rig: head.Rig, taken: list[dict], frames: np.ndarray) -> Iterator[Step]:
    """Steps that read the take's curves on every frame; the value is [T, tracks], rest where it has none."""
    values = np.empty((len(frames), len(rig.driver.tracks)))
    for place, track in enumerate(rig.driver.tracks):
        values[:, place] = _evaluated(taken[track.block].get((track.path, track.index)), frames, track.rest)
        yield Step(0.15 * place / values.shape[1], "Reading the take", busy=True)
    return values


def _evaluated(curve, frames: np.ndarray, otherwise: float) -> np.ndarray:
    return np.full(len(frames), otherwise) if curve is None else numbers.at(curve, frames)


def _added(rig: head.Rig, values: np.ndarray, moving: np.ndarray, had: list[dict], kept: list[dict],
           frames: np.ndarray) -> Iterator[Step]:
    """Steps that add the take to what the animator has; the value is the sum [T, tracks]."""
    own = np.empty_like(values)
    for place, track in enumerate(rig.driver.tracks):
        own[:, place] = _evaluated(had[track.block].get((track.path, track.index)), frames, _still(kept[track.block], track))
        yield Step(0.2, "Reading your animation", busy=True)
    rest = np.array([track.rest for track in rig.driver.tracks])
    summed = np.where(moving, own + values - rest, own)
    for places, mode in _rotations(rig):
        if moving[places].any() and mode in ("QUATERNION", "AXIS_ANGLE"):
            turns = [rotvec_to_matrix(mapping.rotation_vectors(part[:, places], mode)) for part in (own, values)]
            summed[:, places] = mapping.rotation_values(matrix_to_rotvec(turns[0] @ turns[1]), mode)
            moving[places] = True
    return summed


def _rotations(rig: head.Rig) -> Iterator[tuple[list[int], str]]:
    """The rotations among a rig's tracks: (places of their numbers, rotation mode)."""
    groups: dict = {}
    for place, track in enumerate(rig.driver.tracks):
        bone = tracks.bone_of(track.path)
        if bone is not None and bone[1].startswith("rotation"):
            groups.setdefault((track.block, track.path), []).append(place)
    for (block, path), places in groups.items():
        mode = rig.targets[block].pose.bones[tracks.bone_of(path)[0]].rotation_mode
        if len(places) == mapping.rotation_length(mode):
            yield places, mode


def _still(state: dict, track) -> float:
    """What stood on a track before a take was shown."""
    values = state.get("values", ())
    return next((value for path, index, value in values if path == track.path and index == track.index), track.rest)


# ---- keys


def _inner(choice: Choice, frames: np.ndarray, values: np.ndarray, reduced: Keys | None, curve) -> dict:
    """The keys that the take gives one curve, from its first frame to its last."""
    if reduced is None:
        if choice.how == "ADD" and choice.to != "STRIP":
            return keyframes.on_every_frame(frames, values)
        return _part(curve, choice.first, choice.last)
    if len(reduced.index) == 1:  # it stands still: from end to end, or its neighbours would reach into it
        ends = np.array([0, len(frames) - 1])
        reduced = Keys(ends, np.repeat(reduced.value, 2), np.zeros(2))
    return keyframes.of(reduced, frames.astype(float))


def _part(curve, first: int, last: int) -> dict:
    """A curve's own keys from a frame to another, cut there."""
    keys = keyframes.read(curve)
    for frame in (first, last):
        keys = keyframes.cut(keys, frame, curve.evaluate)
    return keyframes.after(keyframes.before(keys, last), first)


def _placed(choice: Choice, inner: dict, own, still: float | None) -> dict:
    """The take's keys of one curve with the animator's around them. still: where no curve stood, the value that did, in
    an action that goes on before and after the take."""
    if own is None or not len(own.keyframe_points):
        if still is not None:
            return _held(choice, inner, still)
        return keyframes.some(inner, np.arange(1)) if _is_still(inner) else inner
    whole = keyframes.read(own)
    times = whole["co"][:, 0]
    keys = inner
    earlier, later = times[times < choice.first - 0.5], times[times > choice.last + 0.5]
    goes_on = own.extrapolation == "CONSTANT" and not len(own.modifiers)
    if len(earlier):  # the animator's own keys next to the take stay where they are
        start = max(choice.first - choice.blend, float(earlier.max()))
        left = keyframes.before(keyframes.cut(whole, start, own.evaluate), start)
        keys = keyframes.tied(left, keys, slope_out=_slope_at(own, start, -1))
    elif len(later) and goes_on:  # what it held there it goes on holding, unless the take replaces all of the curve
        keys = keyframes.tied(_level(choice.first - choice.blend, own.evaluate(choice.first - choice.blend)), keys)
    if choice.how == "INSERT" and (moved := _later(whole, own, choice)) is not None:
        return keyframes.tied(keys, moved, slope_in=_slope_at(own, choice.first, 1))
    if len(later):
        end = min(choice.last + choice.blend, float(later.min()))
        right = keyframes.after(keyframes.cut(whole, end, own.evaluate), end)
        keys = keyframes.tied(keys, right, slope_in=_slope_at(own, end, 1))
    elif len(earlier) and goes_on:
        keys = keyframes.tied(keys, _level(choice.last + choice.blend, own.evaluate(choice.last + choice.blend)))
    return keys


def _is_still(keys: dict) -> bool:
    """Whether keys say one value only."""
    values = np.concatenate([keys[part][:, 1] for part in ("co", "handle_left", "handle_right")])
    return bool(np.ptp(values) < _STILL)


def _held(choice: Choice, inner: dict, still: float) -> dict:
    """The take's keys of one curve, between keys of the value that stands before and after it."""
    first, last = inner["co"][0, 1], inner["co"][-1, 1]
    keys = inner if abs(first - still) < _NEAR else keyframes.tied(_level(choice.first - choice.blend, still), inner)
    return keys if abs(last - still) < _NEAR else keyframes.tied(keys, _level(choice.last + choice.blend, still))


def _level(frame: int, value: float) -> dict:
    """One key with level handles."""
    return keyframes.made(np.array([[frame, value]]), np.array([[frame - 1, value]]), np.array([[frame + 1, value]]), compat.ALIGNED)


def _slope_at(curve, frame: float, side: int) -> float:
    """How a curve goes at a frame, seen from one side, per frame."""
    return (curve.evaluate(frame + side * 0.01) - curve.evaluate(frame)) / (side * 0.01)


def _later(whole: dict, own, choice: Choice) -> dict | None:
    """The animator's keys from the take's first frame on, moved behind the take; None where there are none."""
    if whole["co"][-1, 0] < choice.first - 0.5:
        return None
    rest = keyframes.after(keyframes.cut(whole, choice.first, own.evaluate), choice.first)
    return keyframes.moved(rest, choice.last + choice.blend - choice.first)


def _opened(own, choice: Choice) -> dict:
    """The keys of a curve that the take does not move, with room for the take in which it stands still."""
    whole = keyframes.read(own)
    if not len(whole["co"]) or (later := _later(whole, own, choice)) is None:
        return whole
    before = keyframes.before(keyframes.cut(whole, choice.first, own.evaluate), choice.first)
    return keyframes.tied(before, later, 0.0, 0.0) if len(before["co"]) else later


# ---- where they go: each `_put_…` adds to `made` the actions it makes


def _write(curves, wanted: list[_Curve]) -> Iterator[None]:
    for one in wanted:
        found = curves.find(one.path, index=one.index)
        if found is None:
            found = compat.new_curve(curves, one.path, one.index, one.group)
        keyframes.write(found, one.keys)
        yield


def _fresh(rig: head.Rig, written: list[list[_Curve]], name: str, made: list) -> Iterator[Step]:
    """Steps that make an action (before 4.4 one for each target) of the take alone."""
    actions, curves = compat.new_action(name, rig.targets)
    made += actions
    for collection, wanted in zip(curves, written):
        for _ in _write(collection, wanted):
            yield Step(0.95, "Writing keys", busy=True)
    return actions


def _put_in_copies(rig, choice, written, own, kept, name, made) -> Iterator[Step]:
    copies: dict = {}  # the animator's action → its copy
    for action in own:
        if action is not None and action not in copies:
            copies[action] = action.copy()
            made.append(copies[action])
            copies[action].name, copies[action].use_fake_user = name, False
            yield Step(0.9, "Writing keys", busy=True)
    if not copies:
        fresh = yield from _fresh(rig, written, name, made)
    results = []
    for index, (target, action, state) in enumerate(zip(rig.targets, own, kept)):
        slot = state.get("slot", "")
        if action is not None:
            result = copies[action]
        elif copies and compat.HAS_SLOTS:
            result, slot = next(iter(copies.values())), ""
        elif copies:  # before 4.4 an action is one data-block's
            (result,), (curves,) = compat.new_action(f"{name} {target.id_type.title()}", [target])
            made.append(result)
        else:
            results.append((fresh[min(index, len(fresh) - 1)], ""))
            continue
        for _ in _write(compat.curves_in(result, target, slot), written[index]):
            yield Step(0.95, "Writing keys", busy=True)
        results.append((result, slot))
    for action in own:
        if action is not None:
            action.use_fake_user = True  # without a user the next save would drop it
    _assign(rig, results, kept)
    return list(dict.fromkeys(action for action, _ in results))


def _put_in_place(rig, choice, written, own, kept, name, made) -> Iterator[Step]:
    for action in dict.fromkeys(filter(None, own)):
        backup = action.copy()
        made.append(backup)
        backup.name, backup.use_fake_user = f"{action.name} · before Commit", True
        yield Step(0.95, "Writing keys", busy=True)
    # From here on in one go: the animator's own action is never seen half written.
    first = next(action for action in own if action is not None)
    results = []
    for target, action, state, wanted in zip(rig.targets, own, kept, written):
        slot = state.get("slot", "")
        if action is None and not compat.HAS_SLOTS:
            (action,), _ = compat.new_action(f"{name} {target.id_type.title()}", [target])
        elif action is None:
            action, slot = first, ""
        for _ in _write(compat.curves_in(action, target, slot), wanted):
            pass
        results.append((action, slot))
    _assign(rig, results, kept)
    return list(dict.fromkeys(action for action, _ in results))


def _put_alone(rig, choice, written, own, kept, name, made) -> Iterator[Step]:
    actions = yield from _fresh(rig, written, name, made)
    for action in filter(None, own):
        action.use_fake_user = True
    _assign(rig, [(actions[min(index, len(actions) - 1)], "") for index in range(len(rig.targets))], kept)
    return actions


def _put_as_strips(rig, choice, written, own, kept, name, made) -> Iterator[Step]:
    actions = yield from _fresh(rig, written, name, made)
    showing.remove_base(rig)
    still = _still_poses(rig, written, own, kept, made)
    for index, (target, action, state) in enumerate(zip(rig.targets, own, kept)):
        if still[index] is not None:
            _lay_still(target, still[index], index)
        if action is not None:
            _push_down(target, action, state)
        compat.assign_action(target, None)
        if written[index]:
            _lay(target, actions[min(index, len(actions) - 1)], index, choice, name)
    return actions


def _still_poses(rig, written, own, kept, made: list) -> list:
    """For each target the action of a still pose that lies under all strips, None where nothing needs one.

    Around a strip of the NLA Blender puts what no other strip moves at the property's default, and that of a shape key
    is 1: whatever the take alone moves gets a strip that holds what stood there.
    """
    wanted: list[list[_Curve]] = []
    for index, (target, curves) in enumerate(zip(rig.targets, written)):
        there = set(_by_path(own[index], kept[index].get("slot", "")))
        for track in target.animation_data.nla_tracks if target.animation_data else ():
            for strip in filter(lambda strip: strip.action is not None, track.strips):
                there |= set(_by_path(strip.action, compat.strip_slot(strip)))
        ours = {(track.path, track.index): track for _, track in rig.tracks_of(target)}
        wanted.append([])
        for curve in curves:
            track = ours.get((curve.path, curve.index))
            if track is not None and (curve.path, curve.index) not in there:
                wanted[-1].append(_Curve(curve.path, curve.index, curve.group, _level(1, _still(kept[index], track))))
    if not any(wanted):
        return [None] * len(rig.targets)
    actions, collections = compat.new_action(STILL_POSE, rig.targets)
    made += actions
    for collection, curves in zip(collections, wanted):
        for _ in _write(collection, curves):
            pass
    for action in actions:
        action.use_fake_user = False
    return [actions[min(index, len(actions) - 1)] if wanted[index] else None for index in range(len(rig.targets))]


def _lay_still(target, action, index: int) -> None:
    animation = target.animation_data or target.animation_data_create()
    track = animation.nla_tracks.new()
    track.name = STILL_POSE
    strip = track.strips.new(STILL_POSE, 1, action)
    if compat.HAS_SLOTS:
        compat.set_strip_slot(strip, compat.slot_for(action, target, index))
    strip.extrapolation, strip.blend_type = "HOLD", "REPLACE"


def _assign(rig: head.Rig, results: list, kept: list[dict]) -> None:
    showing.remove_base(rig)
    for target, (action, slot), state in zip(rig.targets, results, kept):
        compat.assign_action(target, action, slot)
        target.animation_data.action_extrapolation = state.get("action_extrapolation", "HOLD")


def _push_down(target, action, state: dict) -> None:
    """Let the animator's action play as an NLA strip, as it played as the active action."""
    track = target.animation_data.nla_tracks.new()
    track.name = action.name
    start, end = action.frame_range
    strip = track.strips.new(action.name, int(start), action)
    compat.set_strip_slot(strip, state.get("slot", ""))
    extrapolation = state.get("action_extrapolation", "HOLD")
    if extrapolation == "HOLD" and _goes_on(action):
        strip.action_frame_start, strip.action_frame_end = -showing.FAR, showing.FAR
        strip.frame_start_ui = -showing.FAR
    strip.extrapolation = extrapolation
    strip.blend_type = state.get("action_blend_type", "REPLACE")
    if state.get("action_influence", 1.0) != 1.0:
        strip.use_animated_influence = True
        strip.influence = state["action_influence"]


def _goes_on(action) -> bool:
    """Whether an action moves beyond its keys: cycles, noise, or curves that run on in a line."""
    return any(len(curve.modifiers) or curve.extrapolation != "CONSTANT" for curve in compat.all_curves(action))


def _lay(target, action, index: int, choice: Choice, name: str) -> None:
    """Put a take's action above everything else on a target, blending in and out beside its frames."""
    animation = target.animation_data or target.animation_data_create()
    track = animation.nla_tracks.new()
    track.name = name
    start, end = choice.first - choice.blend, choice.last + choice.blend
    strip = track.strips.new(name, start, action)
    if compat.HAS_SLOTS:
        compat.set_strip_slot(strip, compat.slot_for(action, target, index))
    strip.action_frame_start, strip.action_frame_end = start, end
    strip.frame_start_ui = start
    strip.extrapolation = "NOTHING"
    if choice.how == "ADD":  # combining takes a property's default off, and that of a shape key is 1
        strip.blend_type = "ADD" if target.id_type == "KEY" else "COMBINE"
    else:
        strip.blend_type = "REPLACE"
    strip.use_auto_blend = False
    strip.blend_in = strip.blend_out = choice.blend
