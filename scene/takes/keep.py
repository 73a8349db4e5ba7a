# SPDX-License-Identifier: GPL-3.0-or-later
"""New takes around another one: parts of it are kept bit for bit while the rest is sampled again
(frames, parts of the face, selected keys), or all of it is sampled like it (More Like This)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.direction import AXES, DirectionRequest
from ...thunder_core.direction_words import RETAKE
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.moving.shaping import PART_OF, PARTS
from ...thunder_core.filters import smoothstep
from ...thunder_core.progress import rescale
from ...thunder_core.types import Columns, FPS, Keep, LISTENS, region_of
from ..animation import keying
from ..heads import head
from ..host.jobs import registration, stage, Step
from ..host.prop import BoolProperty, Collection, CollectionProperty, IntProperty
from ..voice import strip
from . import mix, seeds, take_list, take_record
from .generation import How, perform, TakeCollector

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


ALIKE = 0.2  # spread of takes like another one around it
COUNT = 4  # of them
_SAME_ROW = 1e-6  # rows of a motion at 25 fps
EASE_SECONDS = 0.24  # length of the blend between kept and new values


class ThunderKeepRange(bpy.types.PropertyGroup):
    """Frames of a take that stay as they are."""

    first: int = IntProperty(name="From", description="First kept frame")
    last: int = IntProperty(name="To", description="Last kept frame")


class ThunderKeep(bpy.types.PropertyGroup):
    """The part of the shown take that is kept when the rest is resampled."""

    mouth: bool = BoolProperty(
        name="Mouth", description="Keep lips, tongue and jaw in the whole take"
    )
    upper_face: bool = BoolProperty(
        name="Upper Face", description="Keep brows, nose and cheeks in the whole take"
    )
    eyes: bool = BoolProperty(name="Eyes", description="Keep lids and gaze in the whole take")
    head: bool = BoolProperty(name="Head", description="Keep the head's movement in the whole take")
    selected: bool = BoolProperty(
        name="Selected Keys",
        description="Keep the keys that are selected in the dope sheet or the graph editor",
    )
    ranges: Collection[ThunderKeepRange] = CollectionProperty(type=ThunderKeepRange)
    range_index: int = IntProperty(name="Frames", description="A range of frames that is kept")
    count: int = IntProperty(
        name="Takes",
        default=4,
        min=1,
        max=64,
        description="How many new takes to sample around what is kept",
    )


def ranges_of(scene: bpy.types.Scene) -> list[tuple[int, int]]:
    """The ranges of frames that are kept, both ends included."""
    ranges = scene.thunder_keep.ranges
    return [(min(each.first, each.last), max(each.first, each.last)) for each in ranges]


def keeps_anything(scene: bpy.types.Scene) -> bool:
    """Whether a part of the face, frames or selected keys are kept."""
    keep = scene.thunder_keep
    return keep.selected or bool(ranges_of(scene)) or any(getattr(keep, part) for part in PARTS)


def add_range(scene: bpy.types.Scene, first: int, last: int) -> None:
    """Keep more frames; ranges that overlap or touch become one."""
    ranges = scene.thunder_keep.ranges
    first, last = min(first, last), max(first, last)
    for index in reversed(range(len(ranges))):
        if ranges[index].first <= last + 1 and ranges[index].last >= first - 1:
            first, last = min(first, ranges[index].first), max(last, ranges[index].last)
            ranges.remove(index)
    place = sum(each.first < first for each in ranges)
    added = ranges.add()
    added.first, added.last = first, last
    ranges.move(len(ranges) - 1, place)
    scene.thunder_keep.range_index = place


# ---- what is kept, as the take's tracks and as the engine's columns


@dataclass(frozen=True)
class KeepMasks:
    """keys: bool [S, tracks], which values of the take stay.  mask: bool [T, n + 9], which of its
    performance at 25 fps."""

    keys: np.ndarray
    mask: np.ndarray


def columns_of(rig: head.Rig) -> np.ndarray:
    """Which columns of a packed motion each track of a rig represents: bool [tracks, n + 9]."""
    channels, driver = head.channel_names(), rig.driver
    columns = np.zeros((len(driver.tracks), Columns(len(channels)).count), bool)
    for source, track, weight in driver.parts:
        if weight:
            columns[track] |= _columns(source, channels)
    for turn in driver.turns:
        for source, _, weight in turn.parts:
            if weight:
                columns[turn.first : turn.first + turn.length] |= _columns(source, channels)
    return columns


def _columns(source: str, channels: tuple[str, ...]) -> np.ndarray:
    columns = Columns(len(channels))
    result = np.zeros(columns.count, bool)
    joints = {"jaw": columns.jaw, "neck": columns.head, "eye": columns.eyes}
    whole = columns.expression  # of another head's channels each moves the whole face
    moved = next((part for joint, part in joints.items() if source.startswith(joint)), whole)
    result[channels.index(source) if source in channels else moved] = True
    return result


def part_columns() -> dict[str, np.ndarray]:
    """Columns of each part of the face in a packed motion, {part: bool [n + 9]}."""
    regions = [PART_OF[region_of(name)] for name in head.channel_names()]
    of = np.array([*regions, *["mouth"] * 3, *["head"] * 3, *["eyes"] * 3])
    return {part: of == part for part in PARTS}


def masks_of(scene: bpy.types.Scene, rig: head.Rig, entry: ThunderTake, frames: int) -> KeepMasks:
    """The part that the settings keep of a take of `frames` frames at 25 fps. Raises BadRequest if
    that is nothing, or all."""
    keep, scene_frames = scene.thunder_keep, keying.frames_of(entry)
    clock = take_record.clock_of_take(entry)
    columns = columns_of(rig)
    keys = np.zeros((len(scene_frames), len(columns)), bool)
    mask = np.zeros((frames, columns.shape[1]), bool)
    parts = np.any(
        [part_mask & getattr(keep, part) for part, part_mask in part_columns().items()], axis=0
    )
    mask[:, parts] = True
    keys[:, (columns <= parts).all(axis=1) & columns.any(axis=1)] = True
    for first, last in ranges_of(scene):
        keys[(scene_frames >= first) & (scene_frames <= last)] = True
        mask[_rows(clock, first, last, frames)] = True
    if keep.selected:
        for place, times in selected_keys(rig, entry).items():
            for at in times:
                keys[(scene_frames >= np.floor(at)) & (scene_frames <= np.ceil(at)), place] = True
                mask[_rows(clock, at, at, frames)] |= columns[place]
    # The leads belong to the adjacent frames.
    keys[: entry.lead_in] |= keys[entry.lead_in]
    keys[len(keys) - entry.lead_out :] |= keys[len(keys) - entry.lead_out - 1]
    if not mask.any():
        raise BadRequest(
            "Nothing is kept: keep some frames, a part of the face or selected keys, or generate "
            "new takes instead"
        )
    if mask.all():
        raise BadRequest(
            "The whole take is kept: leave some frames or a part of the face to regenerate"
        )
    return KeepMasks(keys, mask)


def masks_around(
    rig: head.Rig, entry: ThunderTake, frames: int, free: tuple[int, int], parts: Sequence[str]
) -> KeepMasks:
    """Everything of a take of `frames` frames at 25 fps but some parts of the face between two
    scene frames, both included, and the keys that lie between a free row and a kept one."""
    clock, scene_frames = take_record.clock_of_take(entry), keying.frames_of(entry)
    columns, of_part = columns_of(rig), part_columns()
    free_columns = np.any([of_part[part] for part in parts], axis=0)
    mask = np.ones((frames, len(free_columns)), bool)
    keys = np.ones((len(scene_frames), len(columns)), bool)
    rows = _rows(clock, *free, frames)
    mask[rows, free_columns] = False
    at = clock.seconds(scene_frames) * FPS
    # a key between a free and a kept row is made of both; kept, `ease_into` would carry what is new
    # in the free one into the word
    inside = (at > rows.start - 1 + _SAME_ROW) & (at < rows.stop - _SAME_ROW)
    keys[np.ix_(inside, (columns & free_columns).any(axis=1))] = False
    if mask.all():
        raise BadRequest("The word is outside the take: choose one within it")
    return KeepMasks(keys, mask)


def _rows(clock: Clock, first: float, last: float, frames: int) -> slice:
    """The rows of a motion at 25 fps that the frames from first to last are made of."""
    start = int(np.floor(float(clock.seconds(first)) * FPS + _SAME_ROW))
    stop = int(np.ceil(float(clock.seconds(last)) * FPS - _SAME_ROW))
    return slice(max(0, min(start, frames)), max(0, min(stop + 1, frames)))


def selected_keys(rig: head.Rig, entry: ThunderTake) -> dict[int, np.ndarray]:
    """The frames of the selected keys of a take by track, those of tracks without any left out."""
    frames = {}
    for index, curve in enumerate(keying.curves_of_tracks(rig, entry)):
        if curve is None or curve.hide:
            continue
        points = curve.keyframe_points
        chosen, co = np.zeros(len(points), bool), np.empty(2 * len(points), np.float32)
        points.foreach_get("select_control_point", chosen)
        points.foreach_get("co", co)
        if chosen.any():
            frames[index] = co[::2][chosen]
    return frames


# ---- sampling the rest


class _AroundCollector(TakeCollector):
    """Lists takes sampled around the kept parts of another take."""

    def __init__(self, *of_line: Any, lead: int, kept: KeepMasks, retake: str) -> None:
        """lead: session id of the other take's first action."""
        super().__init__(*of_line)
        # what is new in a retake tells it from the other takes in the list
        self.kept, self.lead, self.more = kept, lead, {RETAKE: retake} if retake else {}

    def check(self) -> None:
        """Nothing to check: the eyes look where those of the other take do."""

    def key(
        self, performance: keying.TakeData, message: str, fraction: float
    ) -> Generator[Step, None, keying.TakeData]:
        """Its eyes blend into the kept ones, and its keys are computed from the other take's."""
        performance = replace(performance, provenance=performance.provenance | self.more)
        yield from stage(self._enter_around(performance), message, fraction, fraction)
        return performance

    def _enter_around(self, performance: keying.TakeData) -> Generator[float, None, None]:
        scene, rig = head.look_up(self.scene, self.mesh)
        head.check_animatable(rig)
        lead = take_list.by_uid(scene, self.lead)
        if lead is None:
            raise BadRequest(
                "The take was deleted while the rest was generated: show another and try again"
            )
        yield from list_around(scene, rig, lead, self.kept, performance)


def _shown_of_voice(context: bpy.types.Context):
    """The scene, the shown take, its rig, and the chosen voice, which is the take's. Raises
    ThunderError."""
    entry = take_list.shown_take(context.scene.thunder)
    rig = take_list.animatable_rig(context.scene, entry)
    return context.scene, entry, rig, take_list.check_voice(entry, strip.find(context))


def resample(
    client: Client, context: bpy.types.Context, how: How,
    free: tuple[tuple[int, int], Sequence[str]] | None = None, retake: str = "",
) -> Generator[Step, None, list[keying.TakeData]]:  # fmt: skip
    """Steps that `perform` the rest of the shown take.

    free: scene frames and parts that are sampled again, None: all that the settings do not keep.
    retake: what the list calls these frames. Returns the takes, best first. Raises ThunderError.
    """
    scene, lead, rig, voice = _shown_of_voice(context)
    performance = yield from stage(take_record.read(rig, lead), "Reading the take", 0.0, 0.02)
    frames = performance.motion.frames
    # the rest follows the take's requested direction; what is read anew in a take, that of the take
    before = take_record.request_of(performance.provenance, scene.thunder).direction
    if before is not None:
        style_of_lead = None if free is None else take_record.style_of_take(lead.action)
        if style_of_lead is not None:
            before = exact_direction(before, style_of_lead, lead.seed)
        before = replace(before, exact_first=False)
    kept = (
        masks_of(scene, rig, lead, frames)
        if free is None
        else masks_around(rig, lead, frames, *free)
    )
    request = replace(
        how.request, direction=before, keep=Keep(performance.motion, kept.mask),
        listening=lead.role == LISTENS.upper(),
    )  # fmt: skip
    lists = partial(_AroundCollector, lead=lead.action.session_uid, kept=kept, retake=retake)
    how = replace(how, request=request, seed=seeds.with_next, collector=lists)
    return (yield from perform(client, scene, rig, voice, how))


def list_around(
    scene: bpy.types.Scene, rig: head.Rig, lead: ThunderTake, keep: KeepMasks, new: keying.TakeData
) -> Generator[float, None, None]:
    """List a performance that was sampled around the kept part of a take; yields progress.

    Kept keys are bit-identical to the take's; within a quarter of a second around them the new ones
    blend into them, in value and slope.
    """
    frames = keying.frames_of(lead)
    if len(frames) != len(keep.keys):
        raise BadRequest("The take's length changed while the rest was generated: try again")
    clock = take_record.clock_of_take(lead)
    curves = keying.curves_of_tracks(rig, lead)
    was = keying.values_at(rig, curves, frames)
    driven = yield from rescale(keying.values_of(rig, new, clock), 0.0, 0.5)
    values = ease_into(driven.values, was, keep.keys, max(2, round(EASE_SECONDS * clock.fps)))
    values = np.where(rig.driver.steps & ~keep.keys, driven.values, values)  # drawings do not blend
    performance = replace(new, provenance={**new.provenance, "kept": lead.name})
    keyed = mix.NewKeys(frames, values, np.where(keep.keys, 0, -1), [curves])
    # Take 3 → Take 3.1, then Take 3.2; Warm → Warm 1
    name = take_list.free_name(scene, lead.name, lead.head, lead.voice, first=1)
    yield from rescale(
        mix.key_and_list(scene, rig, lead, keyed, performance, "RESAMPLED", name, show=False),
        0.5,
        1.0,
    )


def ease_into(values: np.ndarray, was: np.ndarray, keep: np.ndarray, ease: int) -> np.ndarray:
    """Values [S, c] that are `was` where kept and flow into it where not, value and slope, over
    `ease` frames.

    In a gap shorter than two eases each side fades over half of it.
    """
    result = np.where(keep, was, values)
    difference = was - values
    count = len(values)
    for column in np.flatnonzero(keep.any(axis=0) & ~keep.all(axis=0)):
        on = keep[:, column]
        # free runs: [start, end) pairs
        edges = np.flatnonzero(np.diff(np.r_[1, on.astype(int), 1]))
        for start, end in zip(edges[::2], edges[1::2]):
            left, right = start - 1, end
            reach = min(ease, (right - left) / 2 if left >= 0 and right < count else ease)
            for border, step in ((left, 1), (right, -1)):
                if not 0 <= border < count:
                    continue
                inner = border - step
                slope = (
                    (difference[border, column] - difference[inner, column])
                    if 0 <= inner < count and on[inner]
                    else 0.0
                )
                away = np.abs(np.arange(start, end) - border)
                x = np.clip(away / max(reach, 1e-9), 0.0, 1.0)
                result[start:end, column] += (1 - smoothstep(x)) * (
                    difference[border, column] + slope * away
                )
    return result


# ---- More Like This


def why_none_alike(entry: ThunderTake) -> str:
    """The reason why no takes like this one can be sampled, "" if they can. Quick: for buttons."""
    if take_record.style_of_take(entry.action) is None:
        return (
            f"“{entry.name}” does not say how it is played: it was mixed, or sampled with "
            f"weights that know no styles"
        )
    return ""


def with_mean(vectors: np.ndarray, take_style: np.ndarray) -> np.ndarray:
    """A requested direction [1 or T, DIRECTION_NAMES], shifted to the mean of how the take was
    played."""
    mean = vectors.mean(axis=0)
    style = vectors[:, : len(AXES)] + (take_style - mean)[: len(AXES)]
    least, most = (
        np.array([axis.deviations(getattr(axis, end)) for axis in AXES])
        for end in ("least", "most")
    )
    was, now = mean[len(AXES) :], take_style[len(AXES) :]
    moods = np.where(was > 1e-3, vectors[:, len(AXES) :] * (now / np.maximum(was, 1e-3)), now)
    return np.concatenate([np.clip(style, least, most), np.clip(moods, 0.0, 1.0)], axis=1).astype(
        np.float32
    )


def exact_direction(
    direction: DirectionRequest, take_style: np.ndarray, seed: int
) -> DirectionRequest:
    """The direction of a seed's take, with its stresses and gestures, for further takes of it or of
    a part of it."""
    like = (*direction.like, (seed, 0.0 if direction.exact_first else direction.spread))
    return replace(
        direction,
        vectors=with_mean(direction.vectors, take_style),
        spread=0.0,
        exact_first=False,
        original=direction.requested,
        like=like,
    )


def sample_alike(
    client: Client, context: bpy.types.Context, how: How
) -> Generator[Step, None, list[keying.TakeData]]:
    """Steps that `perform` takes like the shown one (unless `why_none_alike`), as many as are asked
    for. Returns the takes, best first. Raises ThunderError."""
    scene, entry, rig, voice = _shown_of_voice(context)
    about = take_record.about_of(entry.action)
    before = take_record.request_of(about, scene.thunder, how.request.takes)
    take_style = take_record.style_of_take(entry.action)
    assert take_style is not None  # `why_none_alike` says so
    direction = exact_direction(before.direction or DirectionRequest(), take_style, entry.seed)
    lists = partial(TakeCollector, batch=entry.batch)
    request = replace(before, direction=replace(direction, spread=ALIKE))
    how = replace(how, request=request, seed=seeds.with_next, collector=lists)
    return (yield from perform(client, scene, rig, voice, how))


register, unregister = registration(
    properties=((bpy.types.Scene, "thunder_keep", bpy.props.PointerProperty(type=ThunderKeep)),)
)
