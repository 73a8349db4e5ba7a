# SPDX-License-Identifier: GPL-3.0-or-later
"""Committed lines follow their voices: Re-sync moves their keys in the animator's animation, with
the animator's own on their frames."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from itertools import pairwise

import bpy
import numpy as np

from ....thunder_core.animation import keyframes
from ....thunder_core.animation.commit import line_records
from ....thunder_core.animation.timing import Clock
from ....thunder_core.errors import attempt
from ...animation import display, fcurves
from ...heads import head, rna_paths
from ...host import compat
from ...voice import changes, fingerprint
from . import reading

FADE_SECONDS = 0.5  # longest blend around a line, in which it may have keys too

FrameMap = Callable[[np.ndarray], np.ndarray]


def stale_lines(
    scene: bpy.types.Scene,
) -> list[tuple[str, line_records.CommittedLine, fingerprint.State, changes.Change]]:
    """(name of the head's object, line, the voice that it fits, change) of the committed lines of a
    scene whose voice exists but has changed since."""
    lines = ((mesh, line) for mesh in head.in_scene(scene) for line in lines_of(mesh))
    known = ((mesh.name, line, voice_of(scene, mesh, line)) for mesh, line in lines)
    changed = (
        (name, line, then, changes.change_since(scene, then, "it was committed"))
        for name, line, then in known
        if then is not None
    )
    return [each for each in changed if each[-1] is not None and each[-1].kind != "GONE"]


def action_slots(rig: head.Rig) -> list[tuple]:
    """(action, slot) of the animator's animation of each target, also while a take is
    shown."""
    if display.shown_action(rig) is not None:
        slots = (state.get("slot", "") for state in display.animator_states(rig))
        return list(zip(display.animator_actions(rig), slots))
    return [
        (each.animation_data and each.animation_data.action, compat.slot_of(each))
        for each in rig.targets
    ]


def strips_of(rig: head.Rig) -> list:
    """The NLA strips of a head in which the animator's animation has committed lines."""
    strips = (strip for target in rig.targets for _, strip in reading.active_strips(target))
    return [strip for strip in strips if reading.lines_in(strip)]


def lines_of(mesh: bpy.types.Object) -> list[line_records.CommittedLine]:
    """The lines in the animator's animation of a head, on scene frames: in its action, also while a
    take is shown, and in NLA strips."""
    rig, _ = attempt(head.resolve, mesh)
    if rig is None:
        return []
    actions = (
        line_records.lines_of(action) for action, _ in action_slots(rig) if action is not None
    )
    strips = (line for strip in strips_of(rig) for line in reading.lines_in(strip))
    return list(
        dict.fromkeys([*(line for each in actions if each for line in each.lines), *strips])
    )


def voice_of(
    scene: bpy.types.Scene, mesh: bpy.types.Object, line: line_records.CommittedLine
) -> fingerprint.State | None:
    """The voice that a line fits, where that was; of a line in a file of an earlier version that of
    a take on its frames."""
    takes = (
        entry
        for entry in scene.thunder.takes
        if (entry.head, entry.voice) == (mesh, line.name)
        and entry.first <= line.first
        and line.last <= entry.last
    )
    stored = fingerprint.read(line.voice)
    state = stored or next(filter(None, map(fingerprint.of_take, takes)), None)
    return state and replace(
        state,
        strip=line.name if state.strip else "",
        origin=state.origin + line.late,
        first=state.first + line.late,
        last=state.last + line.late if state.last else 0,
    )


# ---- where a line goes


@dataclass(frozen=True)
class Move:
    """A part of a line that goes along with a strip.

    line, new: as it is recorded now and then, on scene frames.  start, end: its keys are from start
    up to end.  to: gives the new frames of frames.  by: how many frames later its first and its
    last frame are played.
    """

    line: line_records.CommittedLine
    new: line_records.CommittedLine
    start: int
    end: int
    to: FrameMap
    by: tuple[int, int]


def frame_map(then: fingerprint.State, now: fingerprint.State) -> FrameMap | None:
    """Gives the scene frames, now, of what a recording played at frames then; None if another sound
    plays, or at another speed."""
    if (now.sound, now.retiming) != (then.sound, then.retiming):
        return None
    start = then.origin + round(now.origin - then.origin)
    return lambda frames: start + (frames - then.origin) * (now.fps / then.fps)


def _moves(
    scene: bpy.types.Scene,
    line: line_records.CommittedLine,
    then: fingerprint.State,
    change: changes.Change,
    taken: set[str],
    left: list[str],
) -> list[Move]:
    """The parts of a stale line: one for its strip, and one for each piece that was cut off that
    and moved, unless its name is taken. left: receives a sentence on what does not follow."""
    now, to = change.now, frame_map(then, change.now)
    pieces = [each for each in changes.pieces_cut_away(scene, then) if each.strip not in taken]
    start, end = (line.start, line.end) if line.end else (line.first, line.last)
    # A strip that was trimmed had all its keys kept: lengthened again, it plays them again.
    lead_in, lead_out = Clock(0.0, then.fps).leads()
    first = min(line.first, start + lead_in) if line.first == then.first else line.first
    last = max(line.last, end - lead_out) if line.last == then.last - 1 else line.last
    keyed = np.rint((to or _stay)(np.array([first, last], float)))
    what = (
        "its keys stay, commit one of its takes again"
        if to is None
        else "its keys are all kept, also those whose sound is gone"
        if change.kind == "CUT" and not pieces
        else "what is new of it has no keys yet"
        if change.kind == "CHANGED" and not keyed[0] <= now.first < now.last <= keyed[1] + 1
        else ""
    )
    left.extend([f"{change.sentence}: {what}"] if what else [])
    parts = [(now, to or _stay), *((piece, frame_map(then, piece)) for piece in pieces)]
    parts.sort(key=lambda part: part[0].seconds)
    middles = [(a.seconds[1] + b.seconds[0]) / 2 for (a, _), (b, _) in pairwise(parts)]
    edges = [start, *(round(then.origin + then.fps * at) for at in middles), end + 1]
    moves = []
    for (state, to), begin, until in zip(parts, edges, edges[1:]):
        first_of_part, last_of_part = max(first, begin), min(last, until - 1)
        frames = np.array([first_of_part, last_of_part, begin, until - 1], float)
        new_first, new_last, begins, ends = np.rint(to(frames)).astype(int).tolist()
        if state.last and new_first < state.last and new_last >= state.first:
            new_first, new_last = max(new_first, state.first), min(new_last, state.last - 1)
        voice = fingerprint.record_of(state)
        new = line_records.CommittedLine(
            state.strip or line.name, new_first, new_last, begins, ends, line.regions, voice
        )
        if first_of_part <= last_of_part:
            moves.append(Move(line, new, begin, until, to, (begins - begin, ends - until + 1)))
    return moves


def follow(
    scene: bpy.types.Scene, left: list[str], on_moved: Callable[[int], object]
) -> Generator[float, None, None]:
    """Move what is committed of stale lines, and the animator's keys on their frames, to where
    their voices play now. Yields progress.

    on_moved: gets the number of lines that were just moved.  left: receives a sentence for each
    line that is not moved, or only in part. Nothing else moves, and nothing is lost: a line stays
    where other keys would be on its frames.
    """
    stale = stale_lines(scene)
    for name in dict.fromkeys(name for name, *_ in stale):
        rig = head.resolve(scene.objects[name])
        taken = {line.name for line in lines_of(rig.mesh)}
        of_head = (about for about in stale if about[0] == name)
        moves = [
            move
            for _, line, now, change in of_head
            for move in _moves(scene, line, now, change, taken, left)
        ]
        on_moved(_move_strips(rig, moves, left))
        on_moved((yield from _move_keys(rig, moves, FADE_SECONDS * Clock.of(scene, 0).fps, left)))
        rna_paths.tag(rig.targets)


def _move_strips(rig: head.Rig, moves: list[Move], left: list[str]) -> int:
    """Move the NLA strips of lines; returns the number of the lines."""
    moved = set()
    for strip, lines in [(strip, reading.lines_in(strip)) for strip in strips_of(rig)]:
        parts = [move for move in moves if move.line in lines]
        shifts = {frames for move in parts for frames in move.by}
        if len(shifts) > 1 or len(parts) not in (0, len(lines)):
            left.append(
                f"“{parts[0].line.name}” is in the NLA strip “{strip.name}”, which cannot follow: "
                f"move it yourself, or commit the line again"
            )
        elif parts:
            strip.frame_start_ui += shifts.pop()
            late = round(strip.frame_start - strip.action_frame_start)
            new = tuple(move.new.later(-late) for move in parts)
            base = line_records.lines_of(strip.action).base
            line_records.remember_lines(strip.action, line_records.CommittedLines(base, new))
            moved |= {move.line for move in parts if any(move.by)}
    return len(moved)


# ---- the keys


def _move_keys(
    rig: head.Rig, moves: list[Move], fade: float, left: list[str]
) -> Generator[float, None, int]:
    """Move the keys of lines in the actions that a head plays. Yields progress; returns the number
    of lines. fade: most frames around a line in which it has keys that blend into it."""
    plays = action_slots(rig)
    actions = [action for action in dict.fromkeys(action for action, _ in plays) if action]
    before = next(filter(None, map(line_records.lines_of, actions)), line_records.CommittedLines())
    moves = [move for move in moves if move.line in before.lines]
    if linked := [action for action in actions if action.library is not None and moves]:
        left.append(f"“{linked[0].name}” is linked from another file: its lines stay as they are")
    if linked or not moves:
        return 0
    known, curves = line_records.keys_of(actions[0]), []
    # between two parts that move apart
    seams = [b.start for a, b in pairwise(moves) if a.line == b.line and a.end == b.start]
    set_keys = np.zeros(len(moves), int)  # that are still where commits of the lines set them
    for block, (target, (action, slot)) in enumerate(zip(rig.targets, plays)):
        for curve in of_face(rig, target, compat.curves_of(action, slot)):
            keys = fcurves.read(curve)
            for frame in (at for seam in seams for at in (seam - 1, seam)):
                keys = keyframes.cut(keys, frame, curve.evaluate)
            name = line_records.curve_name(block, curve.data_path, curve.array_index)
            which, count = _assign(keys, name, moves, known, fade)
            set_keys += count
            curves.append((curve, keys, which))
            yield len(curves) / (len(curves) + 1)
    for number, move in enumerate(moves):
        count = sum(map(len, known.get(move.line.name, line_records.LineKeys()).curves.values()))
        if any(move.by) and set_keys[number] * len(moves) < count / 2:
            moves[number] = replace(move, to=_stay, by=(0, 0))
            left.append(
                f"“{move.line.name}” is no longer where it was committed, so its keys stay: move "
                f"them by {move.by[0]:+d} frames, or commit one of its takes again"
            )
    while blocked := {line for _, keys, which in curves for line in _blocked(keys, which, moves)}:
        moves = [
            replace(m, to=_stay, by=(0, 0), new=m.line) if m.line in blocked else m for m in moves
        ]
        left.extend(
            f"“{line.name}” was not moved along: other keys are on its new frames. Move them, then "
            f"press Re-sync again"
            for line in blocked
        )
    # From here on without a pause.
    for curve, keys, which in curves:
        frames = {part: _after(keys[part], which, moves) for part in _TIMED}
        if np.abs(frames["co"] - keys["co"]).max(initial=0.0) > keyframes.SAME_FRAME:
            order = np.argsort(frames["co"][:, 0], kind="stable")
            moved = keyframes.select(keys | frames, order)
            fcurves.write(curve, moved, as_they_are=np.ones(len(order), bool))
    old = {move.line for move in moves}
    new = [line for line in before.lines if line not in old] + [move.new for move in moves]
    known |= {
        move.new.name: known[move.line.name].later(move.by[0])
        for move in moves
        if move.line.name in known
    }
    for action in actions:
        line_records.remember_lines(
            action, line_records.CommittedLines(before.base, tuple(dict.fromkeys(new)))
        )
        line_records.remember_keys(action, known)
    return len({move.line for move in moves if any(move.by)})


_TIMED = ("co", "handle_left", "handle_right")


def _stay(frames: np.ndarray) -> np.ndarray:
    return frames


def _after(points: np.ndarray, which: np.ndarray, moves: list[Move]) -> np.ndarray:
    """Points [K, 2] of keys, or of their handles, after moves."""
    points = points.copy()
    for number, move in enumerate(moves):
        on = which == number
        points[on, 0] = move.to(points[on, 0].astype(float))
    return points


def _blocked(keys: dict, which: np.ndarray, moves: list[Move]) -> set[line_records.CommittedLine]:
    """The lines whose keys on a curve would come among other keys, or onto them."""
    frames = np.rint(_after(keys["co"], which, moves)[:, 0])
    return {
        move.line
        for move, on in ((move, which == number) for number, move in enumerate(moves))
        if any(move.by)
        and on.any()
        and (
            np.isin(frames[on], frames[~on]).any()
            or ((frames >= move.new.first) & (frames <= move.new.last) & ~on).any()
        )
    }


def of_face(rig: head.Rig, target: compat.Animated, curves: list) -> list:
    """The curves that move the face: those of its shape keys, of its bones, and of its tracks."""
    paths = {track.path for _, track in rig.tracks_of(target)}
    bones = {bone[0] for bone in map(rna_paths.bone_of, paths) if bone}
    return [
        curve
        for curve in curves
        if target.id_type == "KEY"
        or curve.data_path in paths
        or (rna_paths.bone_of(curve.data_path) or ("",))[0] in bones
    ]


def _assign(
    keys: dict, name: str, moves: list[Move], known: dict[str, line_records.LineKeys], fade: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of each key of a curve the number of the move that it goes along with, −1 for none; and of
    each move the number of those that its line set.

    All keys on a move's frames go along but those of other lines, and in the blends around those
    that the line set. name: of the curve in the records `known`.
    """
    times = keys["co"][:, 0].astype(float)
    which, count = np.full(len(times), -1), np.zeros(len(moves), int)
    free = ~line_records.of_any_line(known, name, keys)
    for around in (0.0, fade):
        for number, move in enumerate(moves):
            ours = known.get(move.line.name, line_records.LineKeys()).has(name, keys)
            on = (times > move.start - around - 0.5) & (times < move.end + around - 0.5)
            on &= (which < 0) & (ours if around else ours | free)
            which[on] = number
            count[number] += (on & ours).sum()
    return which, count
