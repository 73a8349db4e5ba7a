# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that a commit gives one curve: the take's, and the animator's around them."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ....thunder_core.animation import keyframes, placing, posing
from ....thunder_core.animation.commit import line_keys
from ....thunder_core.animation.keys import Keys
from ....thunder_core.animation.pose_keys import PoseKeys
from ...animation import fcurves
from . import modifiers
from .choice import Choice
from .own_curves import OwnCurve, STILL

_MARGIN_SECONDS = 10.0  # time outside the scene's range in which cycles become keys


@dataclass(frozen=True)
class NewCurve:
    """Keys for one curve of a target. span: the frames of those that the take puts; inner: these and the fades' alone; ends: those that
    stay as ends of the line that is replaced."""

    path: str
    index: int
    group: str
    keys: dict
    span: placing.Span
    inner: dict | None = None
    ends: dict | None = None


def inner_keys(choice: Choice, frames: np.ndarray, values: np.ndarray, reduced: Keys | None, curve) -> dict:
    """The keys that the take gives one curve, from its first frame to its last."""
    if reduced is None:
        if choice.how == "ADD" and choice.to != "STRIP":
            return keyframes.on_every_frame(frames, values)
        return part_of(curve, choice.first, choice.last)
    if len(reduced.index) == 1:  # it is constant: keyed at both ends, or its neighbours would reach into it
        ends = np.array([0, len(frames) - 1])
        reduced = Keys(ends, np.repeat(reduced.value, 2), np.zeros(2))
    return keyframes.from_reduced(reduced, frames.astype(float))


def pose_keys(posed: posing.PoseFit, place: int, region: str, frames: np.ndarray, ends: np.ndarray) -> dict:
    """The keys of one track, from the take's first frame to its last; ends [2]: its values there if it does not visibly move."""
    curve = posed.curves[place]
    if curve is None:
        index = np.array([0, len(frames) - 1][: len(frames)])
        curve = PoseKeys(index, ends[: len(index)], np.zeros(len(index)), np.zeros(len(index)))
    return keyframes.from_poses(curve, frames.astype(float), posed.kind_of(region))


def part_of(curve, first: int, last: int) -> dict:
    """A curve's own keys from a frame to another, cut there."""
    keys = fcurves.read(curve)
    for frame in (first, last):
        keys = keyframes.cut(keys, frame, curve.evaluate)
    return keyframes.after(keyframes.before(keys, last), first)


def trimmed(keys: dict, span: placing.Span, curve) -> dict:
    """Keys of a take's curve, cut to a span."""
    if len(keys["co"]) < 2 or (keys["co"][0, 0] >= span.first - 0.5 and keys["co"][-1, 0] <= span.last + 0.5):
        return keys
    for frame in (span.first, span.last):
        keys = keyframes.cut(keys, frame, curve.evaluate)
    return keyframes.after(keyframes.before(keys, span.last), span.first)


def placed(
    choice: Choice, span: placing.Span, inner: dict, old: OwnCurve | None, still: float | None, horizon: tuple[float, float]
) -> dict:
    """The take's keys of one curve with the animator's around them. still: without a curve, the value before and after the take, in an
    action that continues there."""
    if old is not None and len(old.keys["co"]):
        return placing.placed(span, inner, old.shape(horizon), choice.how == "INSERT")
    if still is not None and not (old is not None and old.dropped):
        inner = placing.held(span, inner, still, still)
    return keyframes.select(inner, np.arange(1)) if _is_still(inner) else inner


def _is_still(keys: dict) -> bool:
    """Whether keys have one value only."""
    values = np.concatenate([keys[part][:, 1] for part in ("co", "handle_left", "handle_right")])
    return bool(np.ptp(values) < STILL)


def opened(choice: Choice, old, horizon: tuple[float, float]) -> dict:
    """The keys of a curve that the take does not move, with a gap for the take in which it holds."""
    if not len(old.keyframe_points):
        return fcurves.read(old)
    return placing.opened(choice.span, modifiers.shape_of(old, *horizon))


def put_by(choice: Choice, span: placing.Span, keys: dict, old: OwnCurve | None) -> dict:
    """Of the new keys of a curve those that the commit puts: the take's, and those at the ends of its fades."""
    times = keys["co"][:, 0]
    puts = _on(times, span.first, span.last)
    if choice.how != "INSERT":
        old_points = old.keys["co"].astype(np.float32) if old is not None else np.zeros((0, 2), np.float32)
        is_old = (np.abs(keys["co"].astype(np.float32)[:, None] - old_points) < STILL).all(2).any(1)
        puts |= _on(times, span.start, span.end) & ~is_old
    return keyframes.select(keys, puts)


def replaced(choice: Choice, span: placing.Span, old: OwnCurve | None, name: str, put: line_keys.LineKeys | None) -> int:
    """Number of a curve's keys that the take replaces, including those written by the fades of an earlier commit of the line.

    name: of the curve in `put`, the keys that earlier commits of the line put.
    """
    if old is None or choice.how == "INSERT":
        return 0
    times = old.keys["co"][:, 0]
    gone = _on(times, span.first, span.last)
    if put is not None:
        gone |= _on(times, span.start, span.end) & put.has(name, old.keys)
    return old.dropped + int(gone.sum())


def _on(times: np.ndarray, first: int, last: int) -> np.ndarray:
    """True for times [K] on the frames first … last."""
    return (times >= first - 0.5) & (times <= last + 0.5)


def horizon_of(choice: Choice, curves: list) -> tuple[float, float]:
    """Frames that cycles of the animator's curves must cover once they are keys: all of the scene, of its animation and of
    the take, and more on both sides."""
    scene = bpy.context.scene
    ends = [edge for curve in curves if len(curve.keyframe_points) for edge in curve.range()]
    margin = _MARGIN_SECONDS * scene.render.fps / scene.render.fps_base
    low = min([scene.frame_start, choice.span.start, *ends]) - margin
    return low, max([scene.frame_end, choice.span.end, *ends]) + margin
