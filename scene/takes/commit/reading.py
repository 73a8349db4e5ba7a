# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what a commit finds: the take that is shown, and the animator's animation of the head, with
the modifiers of its curves, which stop at new keys and go on behind them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import cast, TYPE_CHECKING

import bpy
import numpy as np

from ....thunder_core import records
from ....thunder_core.animation import posing
from ....thunder_core.animation.commit import line_records
from ....thunder_core.animation.commit.before import (
    Block,
    CommitChoice,
    CommittedTake,
    Curve,
    Place,
    StateBefore,
    Strip,
    StripCurve,
)
from ....thunder_core.animation.keyframes import Cycles
from ....thunder_core.animation.placing import Span
from ....thunder_core.errors import BadRequest
from ...animation import display, fcurves
from ...heads import head, rna_paths
from ...host import compat
from ...host.jobs import stage, Step
from ...voice import changes, fingerprint
from ..shape.applying import STRENGTH

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


# NLA track, strip and action of the still pose under a committed strip
STILL_POSE = "Thunder: Still Pose"


def read(
    rig: head.Rig, entry: ThunderTake, line: str, choice: CommitChoice
) -> Generator[Step, None, StateBefore]:
    """Steps that read what a commit of a shown take finds. Returns the StateBefore. Raises
    BadRequest if the animator's action cannot be written."""
    animator_actions, states = display.animator_actions(rig), display.animator_states(rig)
    scene = bpy.context.scene
    for action in filter(None, animator_actions if choice.to == "OWN" else ()):
        if action.library is not None or action.override_library is not None:
            raise BadRequest(
                f"Your action “{action.name}” is linked from another file: commit to a copy of it"
            )
    actions = display.actions_of(entry)
    regions = yield from stage(posing.regions(rig.meter), "Reading the take", 0.0, 0.0)
    blocks = []
    for target, action, state, of_take in zip(
        rig.targets, animator_actions, states, display.curves_of(rig, entry)
    ):
        take, curves = compat.by_place(of_take), {}
        of_action = compat.curves_of(action, state.get("slot", ""))
        for place, curve in compat.by_place(of_action).items():
            curves[place] = curve_of(curve)
            yield Step(0.0, "Reading your animation", busy=True)
        blocks.append(
            Block(
                action.name if action is not None else None,
                line_records.lines_of(action),
                curves,
                {place: curve_of(curve) for place, curve in take.items()},
                tuple(_strip(strip, take) for _, strip in active_strips(target)),
            )
        )
    still = [_still(state) for state in states]
    voice, changed = fingerprint.state_of(actions[0]), changes.change(scene, entry)
    return StateBefore(
        CommittedTake(
            line,
            entry.first,
            entry.last,
            entry.lead_in,
            entry.lead_out,
            voice is not None
            and bool(voice.strip)
            and not voice.limited,  # each part of a strip is a line
            entry.score,
            changed.sentence if changed is not None else "",
            actions[0].get(fingerprint.STATE, ""),
        ),
        tuple(blocks),
        rig.meter,
        tuple(_rotation_mode(rig, rotation[0]) for rotation in rig.meter.rotations),
        tuple(regions),
        tuple(_limits(rig.targets[track.block], track.path) for track in rig.driver.tracks),
        tuple(
            still[track.block].get((track.path, track.index), track.rest)
            for track in rig.driver.tracks
        ),
        line_records.keys_of(next(filter(None, animator_actions), None)),
        scene.frame_start,
        scene.frame_end,
        scene.render.fps / scene.render.fps_base,
        frozenset({STRENGTH}),
    )


def nla_tracks(target: compat.Animated) -> list[bpy.types.NlaTrack]:
    """The NLA tracks of a target."""
    return list(target.animation_data.nla_tracks) if target.animation_data else []


def active_strips(target: compat.Animated) -> Iterator:
    """(track, strip) of the NLA strips on a target that play an action, but for those of shown
    takes."""
    for track in nla_tracks(target):
        if not track.mute and not track.name.startswith(display.TRACK):
            yield from (
                (track, strip)
                for strip in track.strips
                if strip.action is not None and not strip.mute
            )


def key_count(actions: Iterable[bpy.types.Action | None]) -> int:
    """Number of keys of actions, on all their curves."""
    return sum(
        len(curve.keyframe_points)
        for action in dict.fromkeys(filter(None, actions))
        for curve in compat.all_curves(action)
    )


def curve_of(curve: bpy.types.FCurve) -> Curve:
    """A curve of the animator's or the take's."""
    return Curve(
        fcurves.read(curve),
        curve.evaluate,
        partial(fcurves.evaluate, curve),
        not len(curve.modifiers) and curve.extrapolation == "CONSTANT",
        cycles_of(curve),
        evaluate_unmodified(curve),
        curve.group.name if curve.group else "",
    )


def _strip(strip: bpy.types.NlaStrip, take: dict) -> tuple[Strip, dict[Place, StripCurve]]:
    """An NLA strip, and its curves at places of a take."""
    record = Strip(
        strip.frame_start,
        strip.frame_end,
        strip.action_frame_start,
        strip.action_frame_end,
        strip.scale,
        strip.use_reverse,
        strip.use_animated_time,
        lines_in(strip),
        strip.name.startswith(STILL_POSE),
    )
    curves = compat.by_place(compat.curves_of(strip.action, compat.strip_slot(strip)))
    return record, {
        place: StripCurve(record, fcurves.read_part(curve, "co")[:, 0], curve.evaluate)
        for place, curve in curves.items()
        if place in take
    }


def lines_in(strip: bpy.types.NlaStrip) -> tuple[line_records.CommittedLine, ...]:
    """The lines in the action of an NLA strip on the scene frames on which it plays them; none
    where it plays them at another speed."""
    lines = line_records.lines_of(strip.action)
    plays_alike = (
        strip.scale == 1.0
        and strip.repeat == 1.0
        and not strip.use_reverse
        and not strip.use_animated_time
    )
    late = round(strip.frame_start - strip.action_frame_start)
    return tuple(line.later(late) for line in lines.lines) if lines and plays_alike else ()


def _still(state: dict) -> dict[Place, float]:
    """Values that were set before a take was shown. state: of a target, as
    `display.animator_states` returns it."""
    try:
        return {(path, index): value for path, index, value in reversed(state.get("values", ()))}
    except records.UNREADABLE:
        return {}


def _limits(target: compat.Animated, path: str) -> tuple[float, float] | None:
    """The range of a shape key's slider; None for any other number."""
    if target.id_type != "KEY" or not rna_paths.exists(target, path):
        return None
    key = cast(bpy.types.ShapeKey, target.path_resolve(rna_paths.split(path)[0]))
    return key.slider_min, key.slider_max


def _rotation_mode(rig: head.Rig, place: int) -> str:
    """The rotation mode of the bone that a track turns."""
    track = rig.driver.tracks[place]
    bone = rna_paths.bone_of(track.path)
    assert bone is not None  # of a track that turns one
    return rig.targets[track.block].pose.bones[bone[0]].rotation_mode


_FAR = 1_000_000.0  # frame beyond which a modifier's restriction has no effect


def cycles_of(curve: bpy.types.FCurve) -> Cycles | None:
    """The repetition of a curve; None if no modifier repeats it."""
    repeat = _cycles(curve)
    if repeat is None:
        return None
    return Cycles(
        (repeat.mode_before, repeat.cycles_before),
        (repeat.mode_after, repeat.cycles_after),
        not (repeat.use_restricted_range or (repeat.use_influence and repeat.influence < 1.0)),
    )


def evaluate_unmodified(curve: bpy.types.FCurve) -> Callable[[float], float] | None:
    """Evaluates a curve without its modifiers but with its cycles; None if no modifier has an
    effect."""
    if not any(_is_active(modifier) for modifier in curve.modifiers):
        return None

    def value_at(frame: float) -> float:
        muted = [
            modifier
            for modifier in curve.modifiers
            if modifier.type != "CYCLES" and not modifier.mute
        ]
        for modifier in muted:
            modifier.mute = True
        try:
            return curve.evaluate(frame)
        finally:
            for modifier in muted:
                modifier.mute = False

    return value_at


def _cycles(curve: bpy.types.FCurve):
    """The modifier that repeats a curve, or None."""
    first = next(iter(curve.modifiers), None)
    repeats = first is not None and first.type == "CYCLES" and _is_active(first)
    return first if repeats and len(curve.keyframe_points) > 1 else None


def _is_active(modifier: bpy.types.FModifier) -> bool:
    """Whether a modifier has an effect."""
    return not modifier.mute and modifier.is_valid


def stop_at(curve: bpy.types.FCurve, span: Span, insert: bool = False) -> None:
    """Let a curve's modifiers fade out before a span and in after it; its cycles, which are now
    keys, are removed.

    insert: animation from the span's first frame on is moved after it, so modifiers with a range
    move too.
    """
    repeat = _cycles(curve)
    if repeat is not None:
        curve.modifiers.remove(repeat)
    shift = span.end - span.first if insert else 0
    for modifier in [modifier for modifier in curve.modifiers if modifier.type != "CYCLES"]:
        limited = modifier.use_restricted_range
        low, high = (modifier.frame_start, modifier.frame_end) if limited else (-_FAR, _FAR)
        before, after = low < span.first, high > span.last or (insert and high > span.first)
        if before and after:
            _restrict(_copy(curve, modifier), low, high, span, shift, after=True)
            _restrict(modifier, low, high, span, 0, after=False)
        else:
            _restrict(modifier, low, high, span, shift if after else 0, after=after)


def _restrict(
    modifier: bpy.types.FModifier, low: float, high: float, span: Span, shift: int, after: bool
) -> None:
    """Limit a modifier to the part of its range low … high before a span, or after it and so much
    later."""
    modifier.use_restricted_range = True
    if after:
        start = max(low + shift, span.last)
        modifier.frame_end, modifier.frame_start = max(high + shift, start + 1.0), start
        if start == span.last:
            modifier.blend_in = span.blend
        if shift and modifier.type == "NOISE":
            modifier.offset += shift
    else:
        modifier.frame_start, modifier.frame_end = low, min(high, span.first)
        if high >= span.first:
            modifier.blend_out = span.blend


def _copy(curve: bpy.types.FCurve, modifier: bpy.types.FModifier):
    """One more modifier of a curve, the same as another."""
    new = curve.modifiers.new(modifier.type)
    late = ("coefficients",)  # the count follows from the others
    names = [
        prop.identifier
        for prop in modifier.bl_rna.properties
        if not prop.is_readonly or prop.identifier in late
    ]
    for name in sorted(names, key=lambda name: name in late):
        setattr(new, name, getattr(modifier, name))
    if modifier.type == "ENVELOPE":
        points, limits = modifier.control_points, np.empty(len(modifier.control_points), np.float32)
        for point in points:
            new.control_points.add(point.frame)
        for name in ("min", "max"):
            # a point that is set by itself can crash Blender: it takes the point for a modifier
            points.foreach_get(name, limits)
            new.control_points.foreach_set(name, limits)
    return new
