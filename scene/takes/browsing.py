# SPDX-License-Identifier: GPL-3.0-or-later
"""The take list as the animator sees it: which takes, in what order; the picture and the tooltip of
each."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, islice
from typing import Any, TYPE_CHECKING

import bpy
import bpy.utils.previews
import numpy as np

from ...thunder_core import findings
from ...thunder_core.animation import activity as activities
from ...thunder_core.errors import BadRequest
from ..host import jobs
from ..host.language import translated
from ..host.redraw import once
from ..voice import strip
from . import grades, take_list, take_record

if TYPE_CHECKING:
    from ..animation.keying import TakeData
    from ..properties.settings import ThunderTake


SORTS = (
    ("SCORE", "Lip-Sync", "Best lip-sync first", "NONE", 0),
    # 1 and 3 were orders of earlier versions
    ("TIME", "Newest", "Latest made first", "NONE", 2),
    ("READ", "Read", "First what mesh-to-speech reads most of the voice off", "NONE", 4),
)


def order(context: bpy.types.Context) -> list[int]:
    """Places in the scene's list of the takes that are listed now, from the top.

    Rows that are there stay where they are, whatever becomes of their scores; they are sorted when
    another sort is chosen, and those of `sort_again`.
    """
    settings = context.scene.thunder
    entries = take_list.entries_of(context.scene)
    places = arrange(entries, take_list.visible_places(context), settings.sort)
    place_of = {_row_name(entries[place]): place for place in places}
    row_of = {name: row for row, name in enumerate(_rows.known.get(settings.sort, ()))}
    # a new take comes after the lowest row with a better one; −1: above all
    lowest = accumulate((row_of.get(name, -1) for name in place_of), max)
    keys = {
        name: (row_of.get(name, row), name not in row_of) for name, row in zip(place_of, lowest)
    }
    rows = sorted(place_of, key=keys.__getitem__)
    _rows.known = {settings.sort: rows}
    return [place_of[name] for name in rows]


# of a sort, the rows of the list as they were last asked for
_rows = jobs.session.add(jobs.Memory())


def sort_again(uids: Iterable[int]) -> None:
    """Let the rows of takes, by the session ids of their actions, move to where their scores put
    them."""
    moved = set(uids)
    _rows.known = {
        sort: [name for name in rows if name not in moved] for sort, rows in _rows.known.items()
    }


def _row_name(entry: ThunderTake) -> int:
    """Tells a take from others as long as the file is open; through undo, unless it was deleted."""
    return entry.as_pointer() if entry.action is None else entry.action.session_uid


def of_one_head(context: bpy.types.Context) -> list:
    """The listed takes, from the top, that belong to one head and can be shown. Raises
    BadRequest."""
    entries = take_list.entries_of(context.scene)
    listed = [entries[place] for place in order(context)]
    listed = [entry for entry in listed if entry.action is not None and entry.head is not None]
    if not listed:
        raise BadRequest(why_empty(context))
    return [entry for entry in listed if entry.head == listed[0].head]


def why_empty(context: bpy.types.Context) -> str:
    """The reason why no take is listed, and what to do about it."""
    if not context.scene.thunder.takes:
        return "There are no takes yet: press Generate Takes"
    if not take_list.of_voice(context):
        voice = strip.current(context)
        of = "" if voice is None else f" of “{voice.name}”"
        return f"This head has no takes{of} yet: press Generate Takes"
    return (
        "All takes are earlier ones or filtered out: choose them in Earlier Takes above, or change "
        "the list's filter"
    )


def arrange(entries: Sequence[ThunderTake], places: list[int], sort: str) -> list[int]:
    """Places in the order of a sort; equal takes, and those without a score, keep their order.
    Behind scores of the weights in use come those of others."""
    rank = {place: grades.rank(entries[place]) for place in places}
    by_score = sorted(places, key=rank.__getitem__, reverse=True)
    if sort == "TIME":
        return sorted(places, key=lambda place: -entries[place].made)
    if sort == "READ":
        read = {place: grades.heard_of(entries[place]) for place in places}
        known = {place: -1.0 if heard is None else heard for place, heard in read.items()}
        return sorted(by_score, key=lambda place: (rank[place][0], known[place]), reverse=True)
    return by_score


def describe(entry: ThunderTake) -> str:
    """Text of a take's tooltip in the list: origin, seed, score and changes."""
    kind = entry.bl_rna.properties["kind"].enum_items[entry.kind].description
    source = (
        f"seed {entry.seed}"
        if entry.kind != "CAPTURED"
        else str(take_record.about_of(entry.action).get(take_record.CAPTURED, ""))
    )
    made = f", {time.strftime('%Y-%m-%d %H:%M', time.localtime(entry.made))}" if entry.made else ""
    lines = [f"{kind}, {source}{made}"]
    if not take_list.speaks(entry):
        lines.append(entry.bl_rna.properties["role"].enum_items[entry.role].description)
    elif not math.isfinite(entry.score):
        lines.append("Its lip-sync is not scored yet: that comes while Blender is idle")
    else:
        grade = grades.of_take(entry)
        lines.append("" if grade is None else grade.text)
        whole = ", of the whole line that it was cut from: this part is scored soon"
        old = (
            ", by other weights than those in use, another text or an earlier version (Score Again)"
        )
        is_old = grades.has_old_score(entry)
        lines.append(
            f"Lip-Sync {take_list.points(entry.score)} of 100{whole * entry.of_whole}{old * is_old}"
        )
        if read := findings.say_heard(grades.heard_of(entry)):
            lines.append(translated(read) + translated(old) * is_old)
    lines.append(grades.words_of(entry))
    if watch.is_edited(entry):
        late = ", after it was scored" * (take_list.speaks(entry) and watch.is_outdated(entry))
        lines.append(f"Its keys were edited{late}")
    if entry.note:
        lines.append(f"Note: {entry.note}")
    return "\n".join(translated(line) for line in lines if line)


class EditWatch(jobs.Memory):
    """Whether the keys of takes were edited, and whether after the take was scored, by the session
    ids of their actions, as far as it was found out; waiting: actions to look at while nobody
    edits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[int] = []
        self.task = jobs.Task(self._step)

    def is_edited(self, entry: ThunderTake) -> bool:
        """Whether a take is known to be edited; one that is not known is looked at soon."""
        return self._edits(entry)[0]

    def is_outdated(self, entry: ThunderTake) -> bool:
        """Whether it is known to be edited after it was scored."""
        return self._edits(entry)[1]

    def _edits(self, entry: ThunderTake) -> tuple[bool, bool]:
        if entry.action is None:
            return False, False
        uid = entry.action.session_uid
        if uid not in self.known:
            self.known[uid] = False, False
            self.look_at([uid])
        return self.known[uid]

    def look_at(self, uids: Iterable[int]) -> None:
        self.waiting += [uid for uid in uids if uid not in self.waiting]
        if self.waiting:
            self.task.postpone(_QUIET_SECONDS)

    def _step(self) -> float | None:
        uid = self.waiting.pop()
        entry = take_list.in_any_scene(uid)
        if entry is not None:
            self.known[uid] = take_record.is_edited(entry), take_record.is_outdated(entry)
        if not self.waiting:
            jobs.redraw()
        return 0.0 if self.waiting else None

    def actions_edited(self, scene: bpy.types.Scene, uids: set[int]) -> None:
        self.look_at(uids & self.known.keys())

    def undone(self) -> None:
        self.look_at(self.known)


_QUIET_SECONDS = 0.3  # time without edits after which takes are looked at
watch = jobs.session.add(EditWatch())

TILES = 4
SIZE = 32  # side of a tile, pixels: an icon's at twice the usual scale
BARS = TILES * SIZE // 2  # bars across the picture, one pixel each at the usual scale
MOST_KEPT = 400  # takes, or words of takes, whose pictures are cached
BROW_COLOUR, MOUTH_COLOUR, HEAD_COLOUR = (activities.COLOURS[name] for name in activities.TRACKS)
DIM = 0.38  # brightness of the line's average relative to the track's colour
_BACKGROUND = (0.09, 0.10, 0.12)
# picture rows from below: first, last + 1, colour
_ROWS = ((25, 32, BROW_COLOUR), (8, 24, MOUTH_COLOUR), (0, 7, HEAD_COLOUR))
# lower bound of a full bar (brows, mouth in mm, head in degrees), so still lines look still
_LEAST_FULL = np.array([0.15, 5.0, 2.0])
# quantile, per track, of the bars of all takes of a line that fills a row
_FULL = (0.93, 0.97, 0.93)
# seconds for reading other takes of a line during one redraw; the rest follows at the next
_BUDGET = 0.01
MOST_COMPARED = 64  # takes of a line that a picture is drawn beside


class Previews(jobs.Part):
    """Pictures of one kind, freed where another file is opened. collection: Blender's, of all of
    them; None before the first.  icons: of each key, with what they were drawn from."""

    def __init__(self) -> None:
        self.collection: Any = None
        self.icons: dict[Hashable, tuple[object, tuple[int, ...]]] = {}

    def add(self, key: Hashable, drawn_from: object, images: Iterable[np.ndarray]) -> None:
        """Keep the icons of pictures. All others are freed where there are too many."""
        if key not in self.icons and len(self.icons) >= MOST_KEPT:
            self.file_opened()
        icons = (self.icon(f"{key}.{number}", image) for number, image in enumerate(images))
        self.icons[key] = drawn_from, tuple(icons)

    def icon(self, name: str, image: np.ndarray) -> int:
        """The icon of a picture [height, width, 4] of 0 … 1, first row at the bottom; one of that
        name is replaced."""
        if self.collection is None:
            self.collection = bpy.utils.previews.new()
        self.collection.pop(name, None)
        preview = self.collection.new(name)
        for kind in ("icon", "image"):  # small in labels, larger as a `template_icon`
            setattr(preview, f"{kind}_size", (image.shape[1], image.shape[0]))
            getattr(preview, f"{kind}_pixels_float").foreach_set(
                np.ascontiguousarray(image).ravel()
            )
        return preview.icon_id

    def file_opened(self) -> None:
        """Free all pictures; they are drawn again when needed."""
        if self.collection is not None:
            bpy.utils.previews.remove(self.collection)
            self.collection = None
        self.icons.clear()


thumbnails = jobs.session.add(Previews())  # by the session id of a take's action
# session id of a take's action → its activity, as `activity`; None if the action does not store it
_activities = jobs.session.add(jobs.Memory())


def drop_thumbnail(uid: int) -> None:
    """Have the thumbnail of an action drawn again: its take was sampled again."""
    thumbnails.icons.pop(uid, None)
    _activities.known.pop(uid, None)


def _activity_of(action: bpy.types.Action) -> np.ndarray | None:
    uid = action.session_uid
    if uid not in _activities.known:
        performance = take_record.load(action)
        _activities.known[uid] = None if performance is None else activity(performance)
    return _activities.known[uid]


def icons(entry: ThunderTake) -> tuple[int, ...]:
    """Icons of a take's picture from left to right; none if its action does not store what it was
    made from."""
    action = entry.action
    activity_of_take = None if action is None else _activity_of(action)
    if action is None or activity_of_take is None:
        return ()
    uid = action.session_uid
    known = _activities_of(entry.id_data, entry.head, entry.voice, entry.batch)
    line, cached = frozenset(known), thumbnails.icons.get(uid)
    if cached is None or cached[0] != line:
        image = picture(activity_of_take, list((known | {uid: activity_of_take}).values()))
        tiles = (image[:, tile * SIZE : (tile + 1) * SIZE] for tile in range(TILES))
        thumbnails.add(uid, line, tiles)
    return thumbnails.icons[uid][1]


@once
def _activities_of(
    scene: bpy.types.Scene, mesh: bpy.types.Object | None, voice: str, batch: int
) -> dict[int, np.ndarray]:
    """The activity of the takes of a line, which is a head and a voice, and of a batch that are
    known by now: the first ones, by the session ids of their actions."""
    end, known = time.monotonic() + _BUDGET, {}
    takes = (each for each in take_list.of_line(scene, mesh, voice) if each.batch == batch)
    for entry in islice((each for each in takes if each.action is not None), MOST_COMPARED):
        uid = entry.action.session_uid
        if uid in _activities.known or time.monotonic() < end:
            known[uid] = _activity_of(entry.action)
    return {uid: each for uid, each in known.items() if each is not None}


def activity(performance: TakeData) -> np.ndarray:
    """Activity of brows (0 … 1), mouth (opening, mm) and head (degrees from its median pose) in
    each bar, [3, BARS]."""
    tracks = activities.tracks(performance.motion, performance.channels, performance.opening)
    return np.stack([_bars(tracks[name]) for name in activities.TRACKS])


def _bars(values: np.ndarray) -> np.ndarray:
    """The greatest value in each of BARS equal parts."""
    edges = np.linspace(0, len(values), BARS + 1)
    return np.array(
        [values[int(a) : max(int(a) + 1, int(np.ceil(b)))].max() for a, b in zip(edges, edges[1:])]
    )


def picture(take: np.ndarray, line: list[np.ndarray]) -> np.ndarray:
    """The picture of a take among those of its line, [SIZE, TILES · SIZE, 4] of 0 … 1, first row at
    the bottom as Blender has it.

    take: its activity, as `activity`; line: that of all takes of the line, including itself.
    """
    image = np.ones((SIZE, TILES * SIZE, 4), np.float32)
    image[:, :, :3] = _BACKGROUND
    heights = [np.repeat(each, image.shape[1] // BARS, axis=1) for each in levels(take, line)]
    rows = np.arange(SIZE)[:, None]
    for track, (low, high, of_row) in enumerate(_ROWS):
        colour = np.array(of_row, np.float32)
        tops, usual_tops = (
            low + np.round(values[track] * (high - low)).astype(int) for values in heights
        )
        inside = (rows >= low) & (rows < tops)
        image[inside, :3] = colour
        if len(line) > 1:
            image[inside & (rows < usual_tops), :3] = colour * DIM
            above = (rows == usual_tops - 1) & (usual_tops > tops) & (rows >= low)
            image[above, :3] = colour * DIM
    return image


def levels(take: np.ndarray, line: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Heights of a take's bars in their rows, and the average of its line's takes: [3, BARS] of 0 …
    1 each."""
    takes = np.stack(line)
    full = np.maximum(
        [np.quantile(takes[:, track], share) for track, share in enumerate(_FULL)], _LEAST_FULL
    )[:, None]
    return (take / full).clip(0, 1), (takes.mean(axis=0) / full).clip(0, 1)
