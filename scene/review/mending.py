# SPDX-License-Identifier: GPL-3.0-or-later
"""Mends what a check found by the smallest change: of a shown take by its shape, of the animator's
action by few of its keys."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from ...thunder_core.animation import mending
from ...thunder_core.animation.timing import Clock
from ...thunder_core.channels import in_group, SPEECH
from ...thunder_core.errors import BadRequest
from ...thunder_core.face import lip_closures
from ...thunder_core.findings import Finding, OPEN, OTHER, SHIFTED, STILL
from ...thunder_core.progress import rescale
from ...thunder_core.types import Motion
from ..animation import display, fcurves, keying
from ..heads import head, rna_paths
from ..host import compat
from ..takes import take_list, track_values
from ..takes.shape import applying

_BEFORE, _AFTER = 0.2, 0.25  # seconds around a closure that its keys may change
_CHANGED = 1e-3  # share of a track's movement below which it is not keyed
_LEAST_MOVEMENT = 1e-6  # least movement of a track by a channel of the mouth that counts
_MOST_NAMED = 3  # curves that a message lists

Keys = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fix:
    """What was changed: number of keys of each curve, by its name."""

    what: str
    keys: dict[str, int]

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        count, names = sum(self.keys.values()), list(self.keys)
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return (
            f"{self.what}: {count} key{'s' * (count != 1)} on "
            f"{', '.join(names[:_MOST_NAMED])}{more}"
            if names
            else self.what
        )


def why_not(finding: Finding) -> str:
    """The reason why a finding has no fix, "" if it has."""
    if finding.kind == STILL:
        return "A mouth that stands still needs new keys: show a take that moves there"
    if finding.kind == OTHER:
        return "This mouth is of another line: choose the strip that it speaks"
    if finding.kind == OPEN and finding.whole:
        return (
            "The lips of this head hardly ever meet: look at its mapping, and at the key that "
            "closes its lips"
        )
    return ""


def mend(scene, rig: head.Rig, finding: Finding, start: float) -> Generator[float, None, Fix]:
    """Mend a finding on what a head plays now; start: scene frame of the voice's beginning. Yields
    progress and changes nothing before its last step. Returns what was changed. Raises
    BadRequest."""
    if sentence := why_not(finding):
        raise BadRequest(sentence)
    clock, entry = Clock.of(scene, start), take_list.on_head(scene, rig.mesh)
    if entry is not None:
        return (yield from _mend_take(rig, entry, finding, clock))
    curves = _mouth_curves(rig)
    first, last = (float(frame) for frame in finding.frames(clock.frame))
    if finding.kind == OPEN:
        return (
            yield from _close_lips(
                rig, curves, clock, float(clock.frame((finding.start + finding.end) / 2))
            )
        )
    yield 0.5
    if finding.kind == SHIFTED:
        frames = -round(finding.size * clock.fps)
        how = (
            f"Moved the mouth by {abs(frames)} frame{'s' * (abs(frames) != 1)}, "
            f"{'earlier' if frames < 0 else 'later'}"
        )
        return _rewrite(
            rig, curves, how, lambda keys: mending.shift_keys(keys, first, last, frames)
        )
    return _rewrite(rig, curves, "Deleted", lambda keys: mending.delete_keys(keys, first, last))


def _mend_take(rig: head.Rig, entry, finding: Finding, clock: Clock) -> Generator[float, None, Fix]:
    """Mend a shown take."""
    if finding.kind == OPEN:
        yield from applying.close_lips(
            rig, entry, round(float(clock.frame((finding.start + finding.end) / 2)))
        )
        return Fix(f"Closed the lips of “{entry.name}” with keys of its mouth", {})
    if finding.kind == SHIFTED and finding.whole:
        entry.action.thunder_shape.offset -= round(finding.size * clock.fps)  # writes the take
        return Fix(
            f"Set the offset of “{entry.name}” to {entry.action.thunder_shape.offset:g} frames", {}
        )
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
) -> Fix:
    """Change the keys of curves, at once."""
    counts = {}
    for place, curve in curves.items():
        if curve is None:
            continue
        keys, count = change(fcurves.read(curve))
        if count:
            fcurves.write(curve, keys)
            counts[_name(rig.driver.tracks[place])] = count
    if not counts:
        raise BadRequest(
            "There are no keys of the mouth on these frames: what moves it there is not a key of "
            "its action"
        )
    rna_paths.tag(rig.targets)
    return Fix(what, counts)


def _close_lips(
    rig: head.Rig, curves: dict, clock: Clock, at: float
) -> Generator[float, None, Fix]:
    """Close the lips at a scene frame with few keys."""
    frames = np.arange(np.floor(at - _BEFORE * clock.fps), np.ceil(at + _AFTER * clock.fps) + 1)
    yield from rescale(rig.driver.prepare(), 0.0, 0.1)
    values = np.stack(
        [_values(rig, place, curves.get(place), frames) for place in range(len(rig.driver.tracks))],
        1,
    )
    motion = yield from rescale(track_values.motion(rig, values, clock.fps), 0.1, 0.5)
    closed, rows = lip_closures.close(
        motion, head.channel_names(), float(np.clip(at - frames[0], 0, len(frames) - 1))
    )
    before = yield from rescale(track_values.drive(rig, motion), 0.5, 0.7)
    after = yield from rescale(track_values.drive(rig, closed), 0.7, 0.9)
    by, middle = after - before, int(np.clip(round(at - frames[0]), 0, len(frames) - 1))
    ends = [max(rows.start - 1, 0), min(rows.stop, len(frames) - 1)]
    span = slice(ends[0], ends[1] + 1)
    rows_keyed = [
        row - ends[0]
        for row in sorted(
            {ends[0], max(middle - 1, ends[0]), middle, min(middle + 1, ends[1]), ends[1]}
        )
    ]
    units, counts = keying.rounding_units(rig), {}
    for place in curves:
        if np.abs(by[:, place]).max() <= max(
            _CHANGED * np.abs(values[:, place]).max(), units[place], 1e-4
        ):
            continue
        curve = curves[place] or _new_curve(rig, place, frames[ends[0]])
        keys, count = mending.add_values(
            fcurves.read(curve), frames[span], values[span, place], by[span, place], rows_keyed
        )
        fcurves.write(curve, keys)
        counts[_name(rig.driver.tracks[place])] = count
    if not counts:
        raise BadRequest(
            "This head has no control that brings its lips together: map mouthClose or its lips "
            "first"
        )
    rna_paths.tag(rig.targets)
    return Fix("Closed the lips", counts)


def _values(rig: head.Rig, place: int, curve, frames: np.ndarray) -> np.ndarray:
    """Values of a track at scene frames: of its curve, else as it is set now."""
    track = rig.driver.tracks[place]
    if curve is not None and len(curve.keyframe_points):
        return track_values.evaluate(curve, frames)
    return np.full(len(frames), rna_paths.value(rig.targets[track.block], track.path, track.index))


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


def _name(track) -> str:
    """A track as messages name it."""
    return track.path.split('"')[1] if '"' in track.path else track.path
