# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a head's animation against its voice, keeps what was found, what is ignored and how much
is allowed in the file, and mends a finding by the smallest change."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import asdict
from typing import TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core import findings
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.drawn_mouths import MOUTHS
from ...thunder_core.face.moving import lips
from ...thunder_core.progress import rescale
from ...thunder_core.translation import plural
from ...thunder_core.types import CLOSED_MM, FPS, in_group, Motion, SPEECH
from ..animation import display, fcurves, keying
from ..heads import head, rna_paths
from ..host import compat, jobs
from ..host.prop import (
    Collection,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    StringProperty,
)
from ..takes import grades, take_list, take_record
from ..takes.shape import applying
from ..voice import changes, strip, voice_cache
from . import live_score

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


_AROUND_SECONDS = 0.4  # preview range before and after a finding: a syllable

_addon_changes = jobs.AddonChanges()


def _jump_to_finding(checked: ThunderCheck, context: bpy.types.Context) -> None:
    """Show the frame of the finding that was clicked in the list."""
    if not _addon_changes.active and 0 <= checked.index < len(checked.findings):
        context.scene.frame_set(checked.findings[checked.index].first)


class ThunderFinding(bpy.types.PropertyGroup):
    """A place that a check found. values: of the Finding, as JSON."""

    values: str = StringProperty()  # type: ignore[assignment]  # hides Blender's function
    sentence: str = StringProperty()
    label: str = StringProperty()
    first: int = IntProperty()
    last: int = IntProperty()


class ThunderIgnored(bpy.types.PropertyGroup):
    """A finding that the animator ignores; its name is `ignored_name`."""


class ThunderCheck(bpy.types.PropertyGroup):
    """What the last check of a scene found.

    animation: what was checked, as `animation_name` names it; findings are of nothing else.  keys:
    those that it played (`live_score.KeyWatch`).  voice: its name.  start: scene frame on which it
    begins.  read: how much mesh-to-speech reads off it, a sentence, where no take tells.
    """

    tolerance: str = EnumProperty(
        name="Tolerance",
        description="How much the lips may differ from how people speak",
        items=[
            (name.upper(), name.title(), sentence) for name, sentence in findings.TOLERANCES.items()
        ],
        default=findings.REALISTIC.upper(),
    )
    findings: Collection[ThunderFinding] = CollectionProperty(type=ThunderFinding)
    index: int = IntProperty(
        name="Finding", description="Place that the check found", update=_jump_to_finding
    )
    ignored: Collection[ThunderIgnored] = CollectionProperty(type=ThunderIgnored)
    animation: str = StringProperty()
    keys: str = StringProperty()  # type: ignore[assignment]  # hides Blender's function
    voice: str = StringProperty()
    start: float = FloatProperty()
    read: str = StringProperty()


def animation_name(rig: head.Rig) -> str:
    """Names a head and the action that it plays."""
    action = live_score.animator_action(rig)
    return f"{rig.mesh.name} | {action.name if action is not None else ''}"


def ignored_name(rig: head.Rig, voice: str, finding: findings.Finding) -> str:
    """The name under which the file keeps a finding, to recognise it in the next check."""
    return f"{rig.mesh.name} | {voice} | {finding.key}"


def of_head(scene: bpy.types.Scene, rig: head.Rig) -> ThunderCheck | None:
    """The last check, None if it was of other animation than the head plays now, or there was
    none."""
    checked = scene.thunder_check
    return checked if checked.animation == animation_name(rig) else None


def chosen_finding(scene: bpy.types.Scene) -> tuple[ThunderFinding, findings.Finding] | None:
    """The finding that is chosen in the list, None for none."""
    checked = scene.thunder_check
    if not 0 <= checked.index < len(checked.findings):
        return None
    row = checked.findings[checked.index]
    return row, findings.Finding(**json.loads(row.values))


def check(
    client: Client, scene: bpy.types.Scene, rig: head.Rig, voice: strip.Voice | None = None
) -> Generator[jobs.Step, None, list[findings.Finding]]:
    """Steps that check the current animation of a head against a voice (None: the head's), list
    what is found, and return it.

    Raises ThunderError.
    """
    voice = voice or strip.voice_of_take(bpy.context, take_list.on_head(scene, rig.mesh))
    names, tolerance = (scene.name, rig.mesh.name), scene.thunder_check.tolerance.lower()
    entry = take_list.on_head(scene, rig.mesh)
    is_drawn = rig.driver.is_drawn  # then a take is not seen as it was sampled, nor scored so
    if _is_in_sync(scene, entry, voice) and tolerance == findings.REALISTIC and not is_drawn:
        # read back from keys on whole frames a little else would be found than the list says
        if (known := live_score.known_findings(scene, entry)) is not None:
            return show(scene, rig, voice.name, take_record.clock_of_take(entry), known)
    clock = Clock.of(scene, voice.clock.start)
    seconds = yield from voice_cache.seconds_of(scene, voice)
    motion = yield from jobs.stage(
        keying.read(rig, head.channel_names(), clock, seconds), "Reading the animation", 0.1, 0.4
    )
    entry = take_list.on_head(scene, rig.mesh)  # not held between steps
    uid = entry.action.session_uid if _is_in_sync(scene, entry, voice) else 0
    is_score = entry is None or (uid and not is_drawn)
    answer, per_frame = yield from live_score.ask_score(
        client, scene, rig, voice, (motion, clock), entry, (0.4, 0.95), tolerance=tolerance
    )
    scene, rig = head.look_up(*names)
    if not answer.get("speaks", True) and not findings.findings_of(answer):
        raise BadRequest(
            f"Nobody speaks in “{voice.name}”: there is nothing that lips could follow. Choose "
            "another strip"
        )
    if is_score and tolerance == findings.REALISTIC:  # one verdict, wherever it is asked for
        live_score.keep(rig, voice, clock, uid, answer, per_frame)
    listed = show(scene, rig, voice.name, clock, list(findings.findings_of(answer) or ()))
    if entry is None and not is_drawn:
        scene.thunder_check.read = findings.say_heard(findings.heard_of(answer))
    return listed


def _is_in_sync(scene: bpy.types.Scene, entry: ThunderTake, voice: strip.Voice) -> bool:
    """Whether a take, None for none, is of a voice that plays as it did when the take was made."""
    return entry is not None and entry.voice == voice.name and changes.change(scene, entry) is None


def show(
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: str,
    clock: Clock,
    findings: list[findings.Finding],
) -> list[findings.Finding]:
    """List findings, apart from those that are ignored; returns those that are listed."""
    checked = scene.thunder_check
    checked.animation, checked.voice, checked.start = animation_name(rig), voice, clock.start
    checked.read = ""
    if rig.driver.is_drawn:
        findings = [each for each in findings if _applies_to_drawings(each)]
    findings = grades.in_own_millimetres(findings, rig)
    listed = [each for each in findings if ignored_name(rig, voice, each) not in checked.ignored]
    checked.findings.clear()
    for each in listed:
        row = checked.findings.add()
        row.values, (row.first, row.last) = json.dumps(asdict(each)), each.frames(clock.frame)
        row.sentence = each.sentence(clock.fps, f"{row.first}–{row.last}")
        row.label = each.label(clock.fps)
    with _addon_changes:
        checked.index = 0
    checked.keys = live_score.watch.fingerprint(rig)
    return listed


def _applies_to_drawings(finding: findings.Finding) -> bool:
    """Whether a finding is a fault of drawings, too, which are held, as no mouth is: lips that
    stay open, and a whole line that is another one, comes early or late, or does not move."""
    if finding.kind == findings.SIZE:
        return finding.whole and round(finding.size, 1) == 0.0
    return finding.kind == findings.OPEN or (
        finding.whole and finding.kind in (findings.OTHER, findings.SHIFTED)
    )


def warnings(rig: head.Rig) -> list[str]:
    """Sentences on what a head cannot show: drawings that are lost, keys whose number has none."""
    if not rig.driver.is_drawn:
        return [rig.vanished] * bool(rig.vanished)
    place = len(rig.driver.rig.tracks)  # type: ignore[attr-defined]  # of the mouth
    curve = fcurves.of_tracks(rig, map(compat.curves_for, rig.targets))[place]
    unknown = [
        f"No row of the table has number {number:.0f}, which Thunder Mouth has on frame "
        f"{frame:.0f}: choose another there"
        for frame, number in (() if curve is None else fcurves.read(curve)["co"])
        if round(float(number)) not in range(len(MOUTHS))
    ]
    return [*rig.warnings, *unknown[:1]]


def is_outdated(checked: ThunderCheck, rig: head.Rig) -> bool:
    """Whether the keys of a head were changed since it was checked. Quick: for panels."""
    return checked.keys not in ("", live_score.watch.fingerprint(rig))  # "": by an earlier version


def summary(findings: list) -> str:
    """What a check found, in a sentence."""
    if not findings:
        return "No lip-sync problems found"
    count = len(findings)
    return plural(count, f"{count} lip-sync problem found", f"{count} lip-sync problems found")


def go(context: bpy.types.Context, row: ThunderFinding) -> None:
    """Go to a finding, and make it the preview range with a syllable on either side."""
    scene = context.scene
    more = round(_AROUND_SECONDS * Clock.of(scene, 0).fps)
    scene.frame_set(row.first)
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = row.first - more, row.last + more


def drop(scene: bpy.types.Scene, row: ThunderFinding) -> None:
    """Take a finding out of the list."""
    checked = scene.thunder_check
    index = next(index for index, each in enumerate(checked.findings) if each == row)
    checked.findings.remove(index)
    with _addon_changes:
        checked.index = max(0, min(index, len(checked.findings) - 1))


def ignore(
    scene: bpy.types.Scene, rig: head.Rig, row: ThunderFinding, finding: findings.Finding
) -> None:
    """Leave a finding out of this list and later ones."""
    checked = scene.thunder_check
    checked.ignored.add().name = ignored_name(rig, checked.voice, finding)
    drop(scene, row)


# ---- takes that do it right


def better_take(scene: bpy.types.Scene, rig: head.Rig, finding: findings.Finding):
    """The take of the checked voice and head with the best lip-sync that does a finding right, None
    for none."""
    checked, shown = scene.thunder_check, take_list.on_head(scene, rig.mesh)
    takes = [each for each in scene.thunder.takes if take_list.speaks(each) and each != shown]
    of_line = [each for each in takes if each.head == rig.mesh and each.voice == checked.voice]
    right = [
        each
        for each in of_line
        if each.action is not None and _is_right(each.action, checked.start, finding)
    ]
    return max(right, key=grades.rank, default=None)


def _is_right(action: bpy.types.Action, start: float, finding: findings.Finding) -> bool:
    """Whether a take does what a finding misses: takes are in time and move; whether their lips
    meet is looked up."""
    if finding.kind != findings.OPEN or finding.whole:
        return True
    opening, clock = take_record.opening_of(action), take_record.clock_of(action)
    if opening is None or clock is None:
        return False
    late = (start - clock.start) / clock.fps
    first, last = (round((seconds + late) * FPS) for seconds in (finding.start, finding.end))
    return bool(opening[max(0, first - 1) : last + 2].min(initial=np.inf) < CLOSED_MM)


register, unregister = jobs.registration(
    properties=((bpy.types.Scene, "thunder_check", bpy.props.PointerProperty(type=ThunderCheck)),)
)


_BEFORE, _AFTER = 0.2, 0.25  # seconds around a closure that its keys may change
_CHANGED = 1e-3  # share of a track's movement below which it is not keyed
_LEAST_MOVEMENT = 1e-6  # least movement of a track by a channel of the mouth that counts

Keys = dict[str, np.ndarray]


def why_not(finding: findings.Finding) -> str:
    """The reason why a finding has no fix, "" if it has."""
    if finding.kind == findings.OPEN and finding.whole:
        return (
            "The lips of this head hardly ever meet: look at its mapping, and at the key that "
            "closes its lips"
        )
    return _NOT_FIXED.get(finding.kind, "")


_NOT_FIXED = {
    findings.STILL: "A mouth that stands still needs new keys: show a take that moves there",
    findings.SIZE: "Its size is a matter of direction: generate with more or less Energy, or use "
    "Shape",
    findings.MUMBLED: "Clearness is a matter of direction: generate with more Articulation, or use "
    "Shape",
    findings.OTHER: "This mouth is of another line: choose the strip that it speaks",
}


def mend(
    scene: bpy.types.Scene, rig: head.Rig, finding: findings.Finding, start: float
) -> Generator[float, None, str]:
    """Mend a finding on what a head plays now; start: scene frame of the voice's beginning. Yields
    progress and changes nothing before its last step. Returns a sentence on what was changed.
    Raises BadRequest. Not for findings that have no fix (`why_not`)."""
    clock, entry = Clock.of(scene, start), take_list.on_head(scene, rig.mesh)
    if entry is not None:
        return (yield from _mend_take(rig, entry, finding, clock))
    curves = _mouth_curves(rig)
    first, last = (float(frame) for frame in finding.frames(clock.frame))
    if finding.kind in _LIPS_DO:
        return (
            yield from _move_lips(
                rig, curves, clock, float(clock.frame(_second_of(finding, rig))),
                _LIPS_DO[finding.kind],
            )
        )  # fmt: skip
    yield 0.5
    if finding.kind == findings.SHIFTED:
        frames = _frames_of(finding, clock, curves)
        count, way = abs(frames), "earlier" if frames < 0 else "later"
        how = plural(
            1 if count == 1 else 2,
            f"Moved the mouth by {count:g} frame, {way}",
            f"Moved the mouth by {count:g} frames, {way}",
        )
        return _rewrite(
            rig, curves, how, lambda keys: findings.shift_keys(keys, first, last, frames)
        )
    return _rewrite(rig, curves, "Deleted", lambda keys: findings.delete_keys(keys, first, last))


def _second_of(finding: findings.Finding, rig: head.Rig) -> float:
    """When the lips do what a finding of one sound misses; a drawing stands on the sound itself."""
    middle = (finding.start + finding.end) / 2
    is_ahead = finding.kind == findings.OPEN and not rig.driver.is_drawn
    return middle - lips.AHEAD if is_ahead else middle


def _frames_of(finding: findings.Finding, clock: Clock, curves: dict) -> float:
    """By how many frames keys are moved to be in time: by whole ones if all lie on frames, where
    animators look for them."""
    frames = -finding.size * clock.fps
    times = [fcurves.read_part(curve, "co")[:, 0] for curve in filter(None, curves.values())]
    whole = all(map(findings.are_whole, times)) and abs(frames) > 0.5
    return round(frames, 0 if whole else 1)


def _mend_take(
    rig: head.Rig, entry: ThunderTake, finding: findings.Finding, clock: Clock
) -> Generator[float, None, str]:
    """Mend a shown take."""
    at = round(float(clock.frame(_second_of(finding, rig))))
    if finding.kind == findings.OPEN:
        yield from applying.close_lips(rig, entry, at)
        return f"Closed the lips of “{entry.name}” with keys of its mouth"
    if finding.kind == findings.FLAT:
        yield from applying.round_lips(rig, entry, at)
        return f"Rounded the lips of “{entry.name}” with keys of its mouth"
    if finding.kind == findings.SHIFTED and finding.whole:
        assert entry.action is not None  # of a shown take
        shape = entry.action.thunder_shape
        shape.offset = round(shape.offset - finding.size * clock.fps, 1)  # writes the take
        return f"Set the offset of “{entry.name}” to {shape.offset:.3g} frames"
    raise BadRequest(
        "This part of a take has no smaller fix: use Show Take, or keep the rest and regenerate "
        "this part"
    )


# ---- the animator's action


def _mouth_curves(rig: head.Rig) -> dict[int, object]:
    """The f-curves of the mouth by track, None for tracks without one. Raises BadRequest if the
    head has no action to edit."""
    animated = [
        target
        for target in rig.targets
        if target.animation_data is not None and target.animation_data.action is not None
    ]
    if not animated or display.shown_action(rig) is not None:
        raise BadRequest(
            "The head plays no action of its own that can be edited: commit a take, or open its "
            "NLA strip for editing"
        )
    if any(target.animation_data.action.library is not None for target in animated):
        raise BadRequest("The action is linked from another file: make it local first")
    curves = fcurves.of_tracks(rig, map(compat.curves_for, rig.targets))
    return {place: curves[place] for place in _mouth_tracks(rig)}


def _mouth_tracks(rig: head.Rig) -> list[int]:
    """The tracks that articulation moves."""
    channels = head.channel_names()
    speaking = np.flatnonzero(in_group(channels, SPEECH))
    expression = np.zeros((len(speaking) + 2, len(channels)))
    expression[np.arange(len(speaking)), speaking] = 1.0
    jaw = np.zeros((len(expression), 3))
    jaw[-1, 0] = 0.1
    # the row before the last is at rest
    values = rig.driver.drive(Motion(expression, jaw), channels)
    return np.flatnonzero(np.abs(values - values[-2]).max(0) > _LEAST_MOVEMENT).tolist()


def _rewrite(
    rig: head.Rig, curves: dict, what: str, change: Callable[[Keys], tuple[Keys, int]]
) -> str:
    """Change the keys of curves, at once. Returns a sentence."""
    counts = []
    for curve in filter(None, curves.values()):
        keys, count = change(fcurves.read(curve))
        if count:
            fcurves.write(curve, keys)
            counts.append(count)
    if not counts:
        raise BadRequest(
            "There are no keys of the mouth on these frames: what moves it there is not a key of "
            "its action"
        )
    rna_paths.tag(rig.targets)
    return f"{what}: {sum(counts)} keys on {len(counts)} curves"


# kind of finding → how lips are mended
_LIPS_DO = {findings.OPEN: lips.close, findings.FLAT: lips.round_lips}


def _move_lips(
    rig: head.Rig, curves: dict, clock: Clock, at: float, move: Callable
) -> Generator[float, None, str]:
    """Close or round the lips at a scene frame with few keys."""
    frames = np.arange(np.floor(at - _BEFORE * clock.fps), np.ceil(at + _AFTER * clock.fps) + 1)
    yield from rescale(rig.driver.prepare(), 0.0, 0.1)
    values = np.stack(
        [
            keying.track_values(rig, place, curves.get(place), frames)
            for place in range(len(rig.driver.tracks))
        ],
        1,
    )
    middle = int(np.clip(round(at - frames[0]), 0, len(frames) - 1))
    if rig.driver.is_drawn:
        by = rig.driver.close(frames, values, middle) - values  # type: ignore[attr-defined]
        changed = np.flatnonzero(by.any(1))
        rows = slice(changed.min(initial=middle), changed.max(initial=middle) + 1)
    else:
        motion = yield from rescale(keying.shown_motion(rig, values, clock.fps), 0.1, 0.5)
        closed, rows = move(
            motion, head.channel_names(), float(np.clip(at - frames[0], 0, len(frames) - 1))
        )
        before = yield from rescale(keying.drive(rig, motion), 0.5, 0.7)
        by = (yield from rescale(keying.drive(rig, closed), 0.7, 0.9)) - before
    ends = [max(rows.start - 1, 0), min(rows.stop, len(frames) - 1)]
    span = slice(ends[0], ends[1] + 1)
    rows_keyed = [
        row - ends[0]
        for row in sorted(
            {ends[0], max(middle - 1, ends[0]), middle, min(middle + 1, ends[1]), ends[1]}
        )
    ]
    units, counts = keying.rounding_units(rig), []
    for place in curves:
        if np.abs(by[:, place]).max() <= max(
            _CHANGED * np.abs(values[:, place]).max(), units[place], 1e-4
        ):
            continue
        curve = curves[place] or _new_curve(rig, place, frames[ends[0]])
        is_drawn = rig.driver.tracks[place].steps
        if is_drawn:  # a drawing begins and ends between two keys
            rows_keyed = list(range(ends[1] - ends[0] + 1))
        keys, count = findings.add_values(
            fcurves.read(curve), frames[span], values[span, place], by[span, place], rows_keyed
        )
        keying.write(curve, keys, rig.driver.tracks[place], 0.0)
        counts.append(2 if is_drawn else count)
    if not counts:
        raise BadRequest(
            "This head has no control that rounds its lips: map mouthPucker first"
            if move == lips.round_lips
            else "This head has no control that brings its lips together: map mouthClose or its "
            "lips first"
        )
    rna_paths.tag(rig.targets)
    if move == lips.round_lips:
        return f"Rounded the lips: {sum(counts)} keys on {len(counts)} curves"
    return f"Closed the lips: {sum(counts)} keys on {len(counts)} curves"


def _new_curve(rig: head.Rig, place: int, frame: float):
    """A new curve of the animator's action for a track, with a key at a frame; without an action
    its data-block gets one."""
    track = rig.driver.tracks[place]
    target = rig.targets[track.block]
    is_array = hasattr(target.path_resolve(track.path), "__len__")
    target.keyframe_insert(
        track.path, index=track.index if is_array else -1, frame=frame, group=track.group
    )
    return compat.by_place(compat.curves_for(target))[track.path, track.index]
