# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: the shown take becomes the animator's own animation, as few keys; what was there stays in the file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ....thunder_core.animation import keyframes, placing
from ....thunder_core.animation.keys import Keys, through
from ....thunder_core.animation.poses import Column, PoseKeys, poses_in
from ....thunder_core.errors import BadRequest
from ....thunder_core.face import mapping
from ....thunder_core.progress import result as value_of
from ....thunder_core.rotation import matrix_to_rotvec, rotvec_to_matrix
from ...animation import display, fcurves, reduction
from ...animation.keying import PROPERTY
from ...heads import head, head_state, rna_paths as tracks
from ...host import compat
from ...host.jobs import stage, Step
from .. import provenance, shape, track_values
from . import line_names, line_scores, modifiers, posing, put_keys

STILL_POSE = "Thunder: Still Pose"  # NLA track and action of what stands still under a committed strip
_STILL = 1e-5  # a number nearer to another than this has not moved
_LONGEST_BLEND = 0.5  # seconds before and after a take in which the animator's animation passes into it
REGION_SETTINGS = {
    "Brows": "brows",
    "Eyes": "eyes",
    "Cheeks & Nose": "cheeks",
    "Mouth": "mouth",
    "Jaw": "jaw",
    "Tongue": "tongue",
    "Head": "head",
}  # region → the setting that switches it on
_LONGEST_NAME = 32  # bytes of an action's name in a message
_MARGIN_SECONDS = 10.0  # of cycles beyond the scene that become keys


@dataclass(frozen=True)
class Choice:
    """What the animator chose: see ThunderCommit. first, last: scene frames of the take that are committed.

    regions: those of posing.REGIONS that are committed; what is left out stays as the animator has it.  backup: whether
    My Action is copied first.
    """

    first: int
    last: int
    to: str = "COPY"
    how: str = "REPLACE"
    error: float = 0.6
    blend: int = 3
    keys: str = "POSES"
    regions: frozenset[str] = frozenset(posing.REGIONS)
    markers: bool = False
    backup: bool = True

    @property
    def span(self) -> placing.Span:
        """The frames of the take, and those around it in which what was there passes into it."""
        return placing.Span(self.first, self.last, self.blend)


@dataclass(frozen=True)
class Report:
    """What a commit made.

    actions: their names.  keys: those that are new, in all.  total: keys of the actions, with those that were there.
    key_frames: frames that carry a key of it; first, frames: the first of its frames and how many there are.  poses: the mouth's,
    counted from the first frame, None unless keys are poses and the mouth is committed.  error: millimetres by which the lips are
    off at most, None where no key was left out or the mouth is not committed.
    """

    actions: tuple[str, ...]
    keys: int
    total: int
    key_frames: int
    first: int
    frames: int
    poses: tuple[Column, ...] | None
    error: float | None

    @property
    def sentence(self) -> str:
        """What the animator is told: short, or the status bar cuts it off."""
        keys = f"{self.keys} keys" if self.keys == self.total else f"{self.keys} new keys ({self.total} in all)"
        said = f"Committed to “{line_names.cut(self.actions[0], _LONGEST_NAME)}”: {keys} on {self.key_frames} of {self.frames} frames"
        if self.poses:
            said += f", {poses_in(self.poses)} mouth poses"
        return said if self.error is None else f"{said}, lips within {self.error:.2f} mm"


@dataclass(frozen=True)
class _Curve:
    """Keys for one curve of a target. span: the frames of those that the take puts; inner: these alone."""

    path: str
    index: int
    group: str
    keys: dict
    span: placing.Span
    inner: dict | None = None


@dataclass(frozen=True)
class _Own:
    """A curve of the animator's as a commit uses it. keys: those that stay; dropped: how many an earlier commit of the same line
    put, which its next commit replaces."""

    curve: object
    keys: dict
    dropped: int = 0

    def at(self, frames: np.ndarray) -> np.ndarray:
        """Its values [T] without the keys that are dropped."""
        if self.dropped:
            return keyframes.evaluate(self.keys, frames) if len(self.keys["co"]) else np.zeros(len(frames))
        return np.array([self.curve.evaluate(float(frame)) for frame in frames])

    def shape(self, horizon: tuple[float, float]) -> placing.Shape:
        """It without the keys that are dropped; one key at least must be left."""
        if self.dropped:
            return placing.Shape(self.keys, lambda frame: float(keyframes.evaluate(self.keys, np.array([frame]))[0]))
        return modifiers.shape_of(self.curve, *horizon)


def _earlier(line: str, choice: Choice, entry, lines: line_names.Lines | None) -> list[line_names.Line]:
    """Earlier commits of a line that a whole take of it replaces: those on some of its frames, leads included. One elsewhere is
    the line said twice."""
    first, last = choice.first - entry.lead_in, choice.last + entry.lead_out
    return [old for old in (lines.lines if lines is not None else ()) if old.name == line and old.start <= last and old.end >= first]


def _own_curve(curve, put: put_keys.Put | None, name: str, earlier: list[line_names.Line]) -> _Own:
    """put: what earlier commits of the line put.  earlier: those of them that are replaced."""
    keys = fcurves.read(curve)
    if put is None or not earlier or len(curve.modifiers) or curve.extrapolation != "CONSTANT":
        return _Own(curve, keys)
    times = keys["co"][:, 0]
    again = put.has(name, keys) & np.any([(times > old.start - 0.5) & (times < old.end + 0.5) for old in earlier], axis=0)
    left = keyframes.some(keys, ~again)
    if not again.any() or (len(left["co"]) and keyframes.evaluate(left, left["co"][:1, 0].astype(float)) is None):
        return _Own(curve, keys)  # the latter: what eases between its keys cannot be evaluated without Blender's curve
    return _Own(curve, left, int(again.sum()))


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
    half_a_second = int(_LONGEST_BLEND * scene.render.fps / scene.render.fps_base)
    regions = frozenset(region for region, name in REGION_SETTINGS.items() if getattr(wanted, name))
    if not regions:
        raise BadRequest("No region is chosen: choose at least one in the Commit panel")
    return Choice(first, last, wanted.to, how, wanted.error, max(1, min(wanted.blend, half_a_second)), wanted.keys, regions, wanted.markers)


def commit(rig: head.Rig, entry, line: str, choice: Choice) -> Generator[Step, None, Report]:
    """Steps that make a take of a line of that name the animator's own animation. Returns the Report.

    The animator's actions that were there stay in the file: unchanged, or, where the take went into one of them, as a copy
    of what it was. Nothing is put on the rig before the last step; closed earlier, everything is as it was.
    Raises BadHead or BadRequest.
    """
    if not display.is_shown(rig, entry):
        display.show(rig, entry)
    own, kept = display.own_actions(rig), display.own_targets(rig)
    if choice.to == "OWN":
        _check_own(own)
        if not any(own):
            choice = replace(choice, to="NEW", how="REPLACE")
    parts = [display.part_of(display.actions_of(entry), rig, index) for index in range(len(rig.targets))]
    taken = [_by_path(action, slot) for action, slot in parts]
    had = [_by_path(action, state.get("slot", "")) for action, state in zip(own, kept)]
    by_strips = [_moved_by_strips(target) & set(curves) for target, curves in zip(rig.targets, taken)]
    dropped = own if choice.to == "NEW" else []
    if any(by_strips) and (choice.to == "NEW" or (choice.to == "COPY" and not any(own))):
        # an active action would hide the strips on all frames: the take becomes one of them
        choice, own = replace(choice, to="STRIP", how="ADD" if choice.how == "ADD" else "REPLACE"), [None] * len(own)
    over = [set()] * len(own) if choice.to == "STRIP" else [moved - set(curves) for moved, curves in zip(by_strips, had)]
    regions = yield from stage(posing.regions(rig), "Reading the take", 0.0, 0.0)
    of_line, spans = choice, {}
    into = _named_after(choice, own)
    puts, earlier = put_keys.of(into), []
    if choice.how == "REPLACE" and (choice.first, choice.last) == (entry.first, entry.last):  # of a part, the other parts stay
        earlier = _earlier(line, choice, entry, line_names.of(into)) if line in puts else []
    owned = [
        {key: _own_curve(curve, puts.get(line), put_keys.name_of(block, *key), earlier) for key, curve in curves.items()}
        for block, curves in enumerate(had)
    ]
    if not any(by_strips):
        goes_on = choice.to != "NEW"
        tracks_of_take = {
            (track.block, track.path, track.index): (owned[track.block].get((track.path, track.index)) if goes_on else None, region)
            for track, region in zip(rig.driver.tracks, regions)
            if (track.path, track.index) in taken[track.block] and region in choice.regions
        }
        choice, spans = _with_leads(choice, entry, tracks_of_take, line_names.of(into))
    frames = np.arange(choice.first, choice.last + 1)
    times = reduction.times_of(frames)

    values = yield from _sampled(rig, taken, times)
    touched = np.array(
        [(track.path, track.index) in taken[track.block] and region in choice.regions for track, region in zip(rig.driver.tracks, regions)]
    )
    if choice.how == "ADD" and choice.to != "STRIP":
        above = np.array([(track.path, track.index) in over[track.block] for track in rig.driver.tracks])
        moving = touched & (np.abs(values - [track.rest for track in rig.driver.tracks]).max(0) > _STILL) & ~above
        summed = yield from _added(rig, values, moving, had, kept, times)
        values, touched = np.where(above, values, summed), moving | (touched & above)
    fitted = posed = None
    if choice.error > 0:
        if choice.keys == "POSES":
            steps, message = posing.fit(rig, frames, values, touched, regions, choice.error), "Finding poses"
        else:
            steps, message = reduction.fit(rig, frames, values, choice.error), "Reducing keys"
        fitted = yield from stage(steps, message, 0.2, 0.8)
        posed = fitted if choice.keys == "POSES" else None
    alone = choice.to in ("NEW", "STRIP")
    horizon = _horizon(choice, [curve for curves in had for curve in curves.values()])
    written: list[list[_Curve]] = [[] for _ in rig.targets]
    strips: list[list[_Curve]] = [[] for _ in rig.targets]  # what goes above the animator's strips
    there = 0 if alone else _key_count(own)  # keys of the animator's own that stay
    done, as_it_was = set(), []  # tracks that get no curve: they stand as they stood
    for place, track in enumerate(rig.driver.tracks):
        found = owned[track.block].get((track.path, track.index))
        span = spans.get((track.block, track.path, track.index), choice.span)
        stood = _still(kept[track.block], track)
        if not touched[place]:
            as_it_was.append((track, stood))
            continue
        ends = values[[(frame - choice.first) * reduction.SUBFRAMES for frame in (span.first, span.last)], place]
        by_strip = (track.path, track.index) in by_strips[track.block]
        unseen = posed and posed.curves[place] is None and not posing.is_seen(posed, place, ends - stood, choice.error)
        if unseen and found is None and not by_strip:
            as_it_was.append((track, stood))
            continue
        if posed:
            inner = _pose_keys(posed, place, regions[place], frames, ends)
        else:
            curve = taken[track.block].get((track.path, track.index))
            inner = _inner(choice, frames, values[:: reduction.SUBFRAMES, place], fitted and fitted.keys[place], curve)
        done.add((track.block, track.path, track.index))
        if (track.path, track.index) in over[track.block]:
            strips[track.block].append(_Curve(track.path, track.index, regions[place], inner, choice.span))
            continue
        found = None if alone else found
        still = None if alone or not any(own) else stood
        there -= _replaced(choice, span, found)
        inner = _trimmed(inner, span, taken[track.block].get((track.path, track.index)))
        keys = _placed(choice, span, inner, found, still, horizon)
        written[track.block].append(_Curve(track.path, track.index, regions[place], keys, span, inner))
        if place % 2 == 0:
            yield Step(0.85, "Drawing handles", busy=True)
    for block in range(len(rig.targets)):  # what the take moves besides, such as a curve the animator put in by hand
        for (path, index), curve in taken[block].items() if choice.regions == frozenset(posing.REGIONS) else ():
            if path == shape.STRENGTH:
                continue  # how strong the take's emotion is: it is in the take's keys already
            if not any(path == track.path and index == track.index for _, track in rig.tracks_of(rig.targets[block])):
                inner = _part(curve, choice.first, choice.last)
                found = None if alone else owned[block].get((path, index))
                there -= _replaced(choice, choice.span, found)
                keys = _placed(choice, choice.span, inner, found, None, horizon)
                written[block].append(_Curve(path, index, curve.group.name if curve.group else "", keys, choice.span, inner))
                done.add((block, path, index))
        if choice.how == "INSERT" and not alone:
            for (path, index), curve in had[block].items():
                if (block, path, index) not in done:
                    written[block].append(_Curve(path, index, "", _opened(choice, curve, horizon), choice.span))
    source = display.actions_of(entry)[0]
    about = source[PROPERTY].to_dict() if PROPERTY in source else {}
    naming = _naming(rig, line, of_line, choice, own, earlier)
    puts = _puts(puts, line, naming, choice, written)
    score = None  # of a line whose lips are the take's alone
    if choice.how != "ADD" and {"Mouth", "Jaw"} <= choice.regions and (of_line.first, of_line.last) == (entry.first, entry.last):
        score = line_scores.of_take(entry.score, provenance.sync_of(source), choice.error)
    put = {"OWN": _put_in_place, "COPY": _put_in_copies, "NEW": _put_alone, "STRIP": _put_as_strips}[choice.to]
    made: list = []  # what is new so far
    before = _Before(
        [(action, action.name, action.use_fake_user) for action in dict.fromkeys(filter(None, own))],
        [_tracks_of(target) for target in rig.targets],
    )
    try:
        above = (yield from _fresh(rig, strips, choice, naming.new, made)) if any(strips) else []
        actions = yield from put(rig, choice, written, own, kept, naming, made)
    except BaseException:  # a cancel too
        _take_back(rig, entry, choice, before, made)
        raise
    for index, target in enumerate(rig.targets):
        if strips[index]:
            _lay(target, above[min(index, len(above) - 1)], index, choice, naming.new)
    actions += above
    for action in filter(None, dropped):
        action.use_fake_user = True  # without a user the next save would drop it
    for action in actions:
        action[PROPERTY] = about
        line_names.remember(action, naming.lines)
        put_keys.remember(action, puts)
        if choice.regions & {"Mouth", "Jaw"}:
            line_scores.remember(action, line, score)
        provenance.forget(action)
        shape.forget(action)
    if posed and choice.markers and "Mouth" in choice.regions:
        scene = bpy.context.scene
        _mark(
            actions[0],
            posing.labels(rig, frames, values, posed.columns[0], scene.render.fps / scene.render.fps_base, (of_line.first, of_line.last)),
        )
    for track, stood in as_it_was:
        if tracks.exists(rig.targets[track.block], track.path):
            tracks.put(rig.targets[track.block], track.path, track.index, stood)
    head_state.ensure(rig.owner).shown = None
    display.remember_own(rig)
    times = np.concatenate([np.zeros(0), *(curve.keys["co"][:, 0] for curves in written + strips for curve in curves)])
    on_take = times[(times > choice.first - 0.5) & (times < choice.last + 0.5)]
    total = _key_count(actions)
    return Report(
        tuple(action.name for action in actions),
        total - there,
        total,
        len(np.unique(np.rint(on_take))),
        choice.first,
        len(frames),
        posed.columns[0] if posed and "Mouth" in choice.regions else None,
        fitted.error if fitted is not None and choice.regions & {"Mouth", "Jaw"} else None,
    )


def _mark(action, labels: list[tuple[int, str]]) -> None:
    """Pose markers of an action that say what the mouth does; those of earlier commits stay."""
    there = {marker.frame for marker in action.pose_markers}
    for frame, text in labels:
        if frame not in there:
            action.pose_markers.new(text).frame = frame


def _pose_keys(posed: posing.PoseFit, place: int, region: str, frames: np.ndarray, ends: np.ndarray) -> dict:
    """The keys of one track, from the take's first frame to its last; ends [2]: its values there if nobody sees it move."""
    curve = posed.curves[place]
    if curve is None:
        index = np.array([0, len(frames) - 1][: len(frames)])
        curve = PoseKeys(index, ends[: len(index)], np.zeros(len(index)), np.zeros(len(index)))
    return keyframes.of_poses(curve, frames.astype(float), posed.kind_of(region))


@dataclass(frozen=True)
class _Naming:
    """What the actions of a commit are called: the lines of the action it goes into before it (None: an animator's own), and
    with the new line."""

    before: line_names.Lines | None
    lines: line_names.Lines

    @property
    def new(self) -> str:
        """Name of a new action."""
        return self.lines.name

    def of_copy(self, name: str) -> str:
        """Name of the copy of an action of that name."""
        return line_names.renamed(name, self.before, self.lines) or self.lines.name

    def in_place(self, name: str) -> str:
        """Name of an action that was called so: what an animator called it, it stays."""
        return line_names.renamed(name, self.before, self.lines) or name


def _named_after(choice: Choice, own: list):
    """The animator's action whose lines a commit adds to, None where it begins a new one."""
    return next(filter(None, own), None) if choice.to in ("COPY", "OWN") else None


def _puts(
    before: dict[str, put_keys.Put], line: str, naming: _Naming, choice: Choice, written: list[list[_Curve]]
) -> dict[str, put_keys.Put]:
    """What each line put, after this commit."""
    puts = dict(before)
    if choice.how == "INSERT":
        puts.pop(line, None)
        shift = choice.span.end - choice.first
        later = {old.name for old in naming.before.lines if old.first >= choice.first} if naming.before else set()
        puts = {name: put.later(shift) if name in later else put for name, put in puts.items()}
    none = keyframes.on_every_frame(np.zeros(0), np.zeros(0))
    # A sum has the animator's own keys in it: it is not the line's alone.
    new = {
        put_keys.name_of(block, one.path, one.index): (one.keys, none if choice.how == "ADD" else one.inner)
        for block, curves in enumerate(written)
        for one in curves
        if one.inner is not None
    }
    puts[line] = puts.get(line, put_keys.Put()).with_keys(new)
    return puts


def _naming(rig: head.Rig, line: str, of_line: Choice, choice: Choice, own: list, earlier: list[line_names.Line]) -> _Naming:
    """of_line: the frames of the line itself.  choice: with the leads that it got.  earlier: commits of it that are replaced."""
    there = _named_after(choice, own)
    before = line_names.of(there)
    base = before or line_names.Lines(line_names.unnumbered(there.name) if there is not None else rig.mesh.name)
    regions = choice.regions.union(*(old.regions for old in base.lines if (old.start, old.end) == (choice.first, choice.last)))
    new = line_names.Line(line, of_line.first, of_line.last, choice.first, choice.last, regions)
    base = base.without(earlier, regions)
    lines = base.with_line(new, choice.how, choice.span.end - choice.first)
    return _Naming(before, lines)


@dataclass(frozen=True)
class _Before:
    """What a commit may have to restore: the animator's actions (action, name, whether kept without users), and the NLA
    tracks of each target."""

    actions: list
    tracks: list[set[int]]


def _tracks_of(target) -> set[int]:
    return {track.as_pointer() for track in target.animation_data.nla_tracks} if target.animation_data else set()


def _take_back(rig: head.Rig, entry, choice: Choice, before: _Before, made: list) -> None:
    """Restore what was there before a commit that was cancelled or has failed, whichever of its steps it came to."""
    if choice.to == "OWN" and len(made) >= len(before.actions):  # they may be half written, and have copies
        for (action, name, kept), copy in zip(before.actions, list(made)):
            action.user_remap(copy)
            bpy.data.actions.remove(action)
            copy.name, copy.use_fake_user = name, kept
            made.remove(copy)
    else:
        for action, _, kept in before.actions:
            action.use_fake_user = kept
    for target, nla_tracks in zip(rig.targets, before.tracks):
        for track in list(target.animation_data.nla_tracks) if target.animation_data else ():
            if track.as_pointer() not in nla_tracks:
                target.animation_data.nla_tracks.remove(track)
    for index, target in enumerate(rig.targets):  # show_own does nothing where no take is shown
        compat.assign_action(target, *display.part_of(display.actions_of(entry), rig, index))
    display.show_own(rig)
    for action in made:
        bpy.data.actions.remove(action)
    display.show(rig, entry)


def _key_count(actions) -> int:
    """How many keys actions have, on all their curves."""
    return sum(len(curve.keyframe_points) for action in dict.fromkeys(filter(None, actions)) for curve in compat.all_curves(action))


def _replaced(choice: Choice, span: placing.Span, own: _Own | None) -> int:
    """How many keys of a curve of the animator's own the take replaces."""
    if own is None or choice.how == "INSERT":
        return 0
    times = own.keys["co"][:, 0]
    return own.dropped + int(((times >= span.first - 0.5) & (times <= span.last + 0.5)).sum())


def _with_leads(choice: Choice, entry, tracks_of_take: dict, before: line_names.Lines | None) -> tuple[Choice, dict]:
    """The choice with the take's lead in and lead out, and the span of each curve that does without one of them: the animator's
    curve moves there or has keys.

    tracks_of_take: (block, path, index) → (curve of the animator's or None, its region) of what the take moves in the chosen
    regions.  before: lines that were committed to the same action: the leads of one that began or ended on the same frame are
    replaced with it.
    """
    if choice.how == "INSERT":
        return choice, {}
    lines = before.lines if before is not None else ()

    def busy(start: int, end: int, replaced: list) -> set:
        regions = frozenset().union(*(line.regions for line in replaced))
        return {
            key
            for key, (own, region) in tracks_of_take.items()
            if own is not None and region not in regions and len(own.keys["co"]) and _moves(own, start, end)
        }

    def is_room(kept: set) -> bool:  # a strip covers all that is under it: there the whole face goes without
        return not kept or (choice.to != "STRIP" and len(kept) < len(tracks_of_take))

    first, last, kept_in, kept_out = choice.first, choice.last, set(), set()
    if first == entry.first:
        kept_in = busy(first - entry.lead_in - choice.blend, first, [line for line in lines if line.first == first and line.start < first])
        if is_room(kept_in):
            first -= entry.lead_in
    if last == entry.last:
        kept_out = busy(last, last + entry.lead_out + choice.blend, [line for line in lines if line.last == last and line.end > last])
        if is_room(kept_out):
            last += entry.lead_out
    spans = {
        key: placing.Span(choice.first if key in kept_in else first, choice.last if key in kept_out else last, choice.blend)
        for key in kept_in | kept_out
    }
    return replace(choice, first=first, last=last), spans


def _moves(own: _Own, start: int, end: int) -> bool:
    """Whether a curve has a key from one frame to another, or changes between them."""
    keys = own.keys["co"][:, 0]
    if ((keys > start - 0.5) & (keys < end + 0.5)).any():
        return True
    return bool(np.ptp(own.at(np.arange(start, end + 1, dtype=float))) > _STILL)


def _check_own(own: list) -> None:
    for action in own:
        if action is not None and (action.library is not None or action.override_library is not None):
            raise BadRequest(f"Your action “{action.name}” is linked from another file: commit to a copy of it")


def _moved_by_strips(target) -> set[tuple[str, int]]:
    """The curves (path, index) that the animator's own NLA strips move on a target."""
    tracks_there = target.animation_data.nla_tracks if target.animation_data else ()
    return {
        key
        for track in tracks_there
        if not track.mute and not track.name.startswith(display.TRACK)
        for strip in track.strips
        if strip.action is not None and not strip.mute
        for key in _by_path(strip.action, compat.strip_slot(strip))
    }


def _by_path(action, slot: str) -> dict:
    if action is None:
        return {}
    return {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(action, slot)}


# ---- values at parts of frames


def _sampled(rig: head.Rig, taken: list[dict], times: np.ndarray) -> Generator[Step, None, np.ndarray]:
    """Steps that read the take's curves. Returns [S, tracks], rest where it has none, within a shape key's range."""
    values = np.empty((len(times), len(rig.driver.tracks)))
    for place, track in enumerate(rig.driver.tracks):
        values[:, place] = _in_range(rig, track, _evaluated(taken[track.block].get((track.path, track.index)), times, track.rest))
        yield Step(0.15 * place / values.shape[1], "Reading the take", busy=True)
    return values


def _evaluated(curve, times: np.ndarray, otherwise: float) -> np.ndarray:
    return np.full(len(times), otherwise) if curve is None else track_values.at(curve, times)


def _in_range(rig: head.Rig, track, values: np.ndarray) -> np.ndarray:
    """Values [S] of a track; those of a shape key clamped to its slider's range as Blender shows them, without the corners
    between frames at which no key could be."""
    target = rig.targets[track.block]
    if target.id_type != "KEY" or not tracks.exists(target, track.path):
        return values
    key = target.path_resolve(tracks.split(track.path)[0])
    clamped = np.clip(values, key.slider_min, key.slider_max)
    return values if (clamped == values).all() else through(clamped[:: reduction.SUBFRAMES], reduction.SUBFRAMES)


def _added(
    rig: head.Rig, values: np.ndarray, moving: np.ndarray, had: list[dict], kept: list[dict], times: np.ndarray
) -> Generator[Step, None, np.ndarray]:
    """Steps that add the take to what the animator has. Returns the sum [S, tracks]."""
    own = np.empty_like(values)
    for place, track in enumerate(rig.driver.tracks):
        own[:, place] = _evaluated(had[track.block].get((track.path, track.index)), times, _still(kept[track.block], track))
        yield Step(0.2, "Reading your animation", busy=True)
    rest = np.array([track.rest for track in rig.driver.tracks])
    summed = np.where(moving, own + values - rest, own)
    for places, mode in _rotations(rig):
        if moving[places].any() and mode in ("QUATERNION", "AXIS_ANGLE"):
            turns = [rotvec_to_matrix(mapping.rotation_vectors(part[:, places], mode)) for part in (own, values)]
            summed[:, places] = mapping.rotation_values(matrix_to_rotvec(turns[0] @ turns[1]), mode)
            moving[places] = True
    for place in np.flatnonzero(moving):
        summed[:, place] = _in_range(rig, rig.driver.tracks[place], summed[:, place])
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
    keys = fcurves.read(curve)
    for frame in (first, last):
        keys = keyframes.cut(keys, frame, curve.evaluate)
    return keyframes.after(keyframes.before(keys, last), first)


def _trimmed(keys: dict, span: placing.Span, curve) -> dict:
    """Keys of a take's curve, cut to a span."""
    if len(keys["co"]) < 2 or (keys["co"][0, 0] >= span.first - 0.5 and keys["co"][-1, 0] <= span.last + 0.5):
        return keys
    for frame in (span.first, span.last):
        keys = keyframes.cut(keys, frame, curve.evaluate)
    return keyframes.after(keyframes.before(keys, span.last), span.first)


def _placed(choice: Choice, span: placing.Span, inner: dict, own: _Own | None, still: float | None, horizon: tuple[float, float]) -> dict:
    """The take's keys of one curve with the animator's around them. still: where no curve stood, the value that did, in
    an action that goes on before and after the take."""
    if own is not None and len(own.keys["co"]):
        return placing.placed(span, inner, own.shape(horizon), choice.how == "INSERT")
    if still is not None and not (own is not None and own.dropped):
        return placing.held(span, inner, still, still)
    return keyframes.some(inner, np.arange(1)) if _is_still(inner) else inner


def _is_still(keys: dict) -> bool:
    """Whether keys say one value only."""
    values = np.concatenate([keys[part][:, 1] for part in ("co", "handle_left", "handle_right")])
    return bool(np.ptp(values) < _STILL)


def _opened(choice: Choice, own, horizon: tuple[float, float]) -> dict:
    """The keys of a curve that the take does not move, with room for the take in which it stands still."""
    if not len(own.keyframe_points):
        return fcurves.read(own)
    return placing.opened(choice.span, modifiers.shape_of(own, *horizon))


def _horizon(choice: Choice, curves: list) -> tuple[float, float]:
    """Frames that cycles of the animator's curves must cover once they are keys: all of the scene, of its animation and of
    the take, and more on both sides."""
    scene = bpy.context.scene
    ends = [edge for curve in curves if len(curve.keyframe_points) for edge in curve.range()]
    margin = _MARGIN_SECONDS * scene.render.fps / scene.render.fps_base
    low = min([scene.frame_start, choice.span.start, *ends]) - margin
    return low, max([scene.frame_end, choice.span.end, *ends]) + margin


# ---- where they go: each `_put_…` adds to `made` the actions it makes


def _write(curves, wanted: list[_Curve], choice: Choice) -> Generator[float, None, None]:
    for number, one in enumerate(wanted):
        found = curves.find(one.path, index=one.index)
        if found is None:
            found = compat.new_curve(curves, one.path, one.index, one.group)
        modifiers.stop_at(found, one.span, choice.how == "INSERT")
        times = one.keys["co"][:, 0]
        fcurves.write(found, one.keys, as_they_are=(times < one.span.first - 0.5) | (times > one.span.last + 0.5))
        yield (number + 1) / len(wanted)


def _fresh(rig: head.Rig, written: list[list[_Curve]], choice: Choice, name: str, made: list) -> Generator[Step, None, list]:
    """Steps that make an action (before 4.4 one for each target) of the take alone."""
    actions, curves = compat.new_action(name, rig.targets)
    made += actions
    for collection, wanted in zip(curves, written):
        yield from stage(_write(collection, wanted, choice), "Writing keys", 0.95, 0.95)
    return actions


def _put_in_copies(rig, choice, written, own, kept, naming, made) -> Generator[Step, None, list]:
    copies: dict = {}  # the animator's action → its copy
    for action in own:
        if action is not None and action not in copies:
            copies[action] = action.copy()
            made.append(copies[action])
            copies[action].name, copies[action].use_fake_user = naming.of_copy(action.name), False
            yield Step(0.9, "Writing keys", busy=True)
    if not copies:
        fresh = yield from _fresh(rig, written, choice, naming.new, made)
    results = []
    for index, (target, action, state) in enumerate(zip(rig.targets, own, kept)):
        slot = state.get("slot", "")
        if action is not None:
            result = copies[action]
        elif copies and compat.HAS_SLOTS:
            result, slot = next(iter(copies.values())), ""
        elif copies:  # before 4.4 an action is one data-block's
            (result,), (curves,) = compat.new_action(f"{naming.new} {target.id_type.title()}", [target])
            made.append(result)
        else:
            results.append((fresh[min(index, len(fresh) - 1)], ""))
            continue
        yield from stage(_write(compat.curves_in(result, target, slot), written[index], choice), "Writing keys", 0.95, 0.95)
        results.append((result, slot))
    for action in own:
        if action is not None:
            action.use_fake_user = True  # without a user the next save would drop it
    _assign(rig, results, kept)
    return list(dict.fromkeys(action for action, _ in results))


def _put_in_place(rig, choice, written, own, kept, naming, made) -> Generator[Step, None, list]:
    for action in dict.fromkeys(filter(None, own)) if choice.backup else ():
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
            (action,), _ = compat.new_action(f"{naming.new} {target.id_type.title()}", [target])
        elif action is None:
            action, slot = first, ""
        value_of(_write(compat.curves_in(action, target, slot), wanted, choice))
        results.append((action, slot))
    for action in dict.fromkeys(filter(None, own)):
        if (name := naming.in_place(action.name)) != action.name:
            action.name = name
    _assign(rig, results, kept)
    return list(dict.fromkeys(action for action, _ in results))


def _put_alone(rig, choice, written, own, kept, naming, made) -> Generator[Step, None, list]:
    actions = yield from _fresh(rig, written, choice, naming.new, made)
    _assign(rig, [(actions[min(index, len(actions) - 1)], "") for index in range(len(rig.targets))], kept)
    return actions


def _put_as_strips(rig, choice, written, own, kept, naming, made) -> Generator[Step, None, list]:
    actions = yield from _fresh(rig, written, choice, naming.new, made)
    display.remove_base(rig)
    still = _still_poses(rig, choice, written, own, kept, made)
    for index, (target, action, state) in enumerate(zip(rig.targets, own, kept)):
        if still[index] is not None:
            _lay_still(target, still[index], index)
        if action is not None:
            _push_down(target, action, state)
        compat.assign_action(target, None)
        if written[index]:
            _lay(target, actions[min(index, len(actions) - 1)], index, choice, naming.new)
    return actions


def _still_poses(rig, choice, written, own, kept, made: list) -> list:
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
                wanted[-1].append(_Curve(curve.path, curve.index, curve.group, placing.level(1, _still(kept[index], track)), choice.span))
    if not any(wanted):
        return [None] * len(rig.targets)
    actions, collections = compat.new_action(STILL_POSE, rig.targets)
    made += actions
    for collection, curves in zip(collections, wanted):
        for _ in _write(collection, curves, choice):
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
    display.remove_base(rig)
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
        strip.action_frame_start, strip.action_frame_end = -display.FAR, display.FAR
        strip.frame_start_ui = -display.FAR
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
