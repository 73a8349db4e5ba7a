# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of takes for the list: brows, mouth and head over the length of each, drawn as a
row of icons.

Takes of one line move similarly at the same time, so each is drawn relative to the others: bars
fill their row where few takes of the line move more; movement above the line's average is bright,
and movement below it leaves a gap under a thin line.

A list's row draws icons in squares of a fixed size, at any width of the sidebar, where text would
be cut off. So the picture is cut into square tiles, which are drawn side by side without a gap.
"""

import time

import bpy
import bpy.utils.previews
import numpy as np

from ...thunder_core.animation import activity as activities
from ..host.session import Part, session
from . import provenance

TILES = 4
SIZE = 32  # side of a tile, pixels: an icon's at twice the usual scale
BARS = TILES * SIZE // 2  # bars across the picture, one pixel each at the usual scale
MOST_KEPT = 400  # takes whose picture is cached
BROWS, MOUTH, HEAD = (activities.COLOURS[name] for name in activities.TRACKS)
DIM = 0.38  # brightness of the line's average relative to the track's colour
_BACKGROUND = (0.09, 0.10, 0.12)
# picture rows from below: first, last + 1, colour
_ROWS = ((25, 32, BROWS), (8, 24, MOUTH), (0, 7, HEAD))
# lower bound of a full bar (brows, mouth in mm, head in degrees), so still lines look still
_LEAST_FULL = np.array([0.15, 5.0, 2.0])
# quantile, per track, of the bars of all takes of a line that fills a row
_FULL = (0.93, 0.97, 0.93)
# seconds for reading other takes of a line during one redraw; the rest follows at the next
_BUDGET = 0.015


class Previews(Part):
    """Pictures of one kind, freed where another file is opened. collection: Blender's, of all of
    them; None before the first."""

    def __init__(self):
        self.collection = None

    def icon(self, name: str, image: np.ndarray) -> int:
        """The icon of a picture [height, width, 4] of 0 … 1, first row at the bottom; one of that
        name is replaced."""
        if self.collection is None:
            self.collection = bpy.utils.previews.new()
        self.collection.pop(name, None)
        preview = self.collection.new(name)
        preview.icon_size = image.shape[1], image.shape[0]
        preview.icon_pixels_float.foreach_set(np.ascontiguousarray(image).ravel())
        return preview.icon_id

    def file_opened(self) -> None:
        """Free all pictures; they are drawn again when needed."""
        if self.collection is not None:
            bpy.utils.previews.remove(self.collection)
            self.collection = None


class Thumbnails(Previews):
    """Drawn pictures, by the session id of a take's action.

    icons: of each, with the takes of its line that it was drawn against.  activities: of each take,
    None if its action does not store it.
    """

    def __init__(self):
        super().__init__()
        self.icons: dict[int, tuple[frozenset[int], tuple[int, ...]]] = {}
        self.activities: dict[int, np.ndarray | None] = {}

    def activity(self, entry) -> np.ndarray | None:
        """Activity of a take, as `activity`; None if its action does not store it."""
        uid = entry.action.session_uid
        if uid not in self.activities:
            performance = provenance.load(entry.action)
            self.activities[uid] = None if performance is None else activity(performance)
        return self.activities[uid]

    def add(self, uid: int, line: frozenset[int], image: np.ndarray) -> None:
        """Cut a picture into tiles. All others are freed where there are too many."""
        if uid not in self.icons and len(self.icons) >= MOST_KEPT:
            self.file_opened()
        tiles = (image[:, tile * SIZE : (tile + 1) * SIZE] for tile in range(TILES))
        self.icons[uid] = (
            line,
            tuple(self.icon(f"{uid}.{number}", tile) for number, tile in enumerate(tiles)),
        )

    def forget(self, uid: int) -> None:
        """Draw the picture of an action again: the take was sampled again."""
        self.icons.pop(uid, None)
        self.activities.pop(uid, None)

    def file_opened(self) -> None:
        super().file_opened()
        self.icons.clear()
        self.activities.clear()


thumbnails = session.add(Thumbnails())


def icons(entry) -> tuple[int, ...]:
    """Icons of a take's picture from left to right; none if its action does not store what it was
    made from."""
    activity_of_take = thumbnails.activity(entry) if entry.action is not None else None
    if activity_of_take is None:
        return ()
    uid, (line, others) = entry.action.session_uid, _takes_of_line(entry)
    cached = thumbnails.icons.get(uid)
    if cached is None or cached[0] != line:
        thumbnails.add(uid, line, picture(activity_of_take, others))
    return thumbnails.icons[uid][1]


def _takes_of_line(entry) -> tuple[frozenset[int], list[np.ndarray]]:
    """The takes of a take's line (its head and voice) and batch that are known by now, itself among
    them: ids and the activity of each."""
    end, known = time.monotonic() + _BUDGET, {}
    for other in entry.id_data.thunder.takes:
        if other.action is None or (other.head, other.voice, other.batch) != (
            entry.head,
            entry.voice,
            entry.batch,
        ):
            continue
        if other.action.session_uid not in thumbnails.activities and time.monotonic() > end:
            continue
        its_activity = thumbnails.activity(other)
        if its_activity is not None:
            known[other.action.session_uid] = its_activity
    return frozenset(known), list(known.values())


def activity(performance) -> np.ndarray:
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
    bar_width, (heights, usual_heights) = image.shape[1] // BARS, levels(take, line)
    rows = np.arange(SIZE)[:, None]
    for track, (low, high, colour) in enumerate(_ROWS):
        tops, usual_tops = (
            low + np.round(values[track] * (high - low)).astype(int)
            for values in (heights, usual_heights)
        )
        tops, usual_tops = np.repeat(tops, bar_width), np.repeat(usual_tops, bar_width)
        inside = (rows >= low) & (rows < tops)
        image[inside, :3] = np.float32(colour)
        if len(line) > 1:
            image[inside & (rows < usual_tops), :3] = np.float32(colour) * DIM
            image[(rows == usual_tops - 1) & (usual_tops > tops) & (rows >= low), :3] = (
                np.float32(colour) * DIM
            )
    return image


def levels(take: np.ndarray, line: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Heights of a take's bars in their rows, and the average of its line's takes: [3, BARS] of 0 …
    1 each."""
    takes = np.stack(line)
    full = np.maximum(
        [np.quantile(takes[:, track], share) for track, share in enumerate(_FULL)], _LEAST_FULL
    )[:, None]
    return (take / full).clip(0, 1), (takes.mean(axis=0) / full).clip(0, 1)
