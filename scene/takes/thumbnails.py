# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of takes for the list: brows, mouth and head over the length of each, drawn as a row of icons.

A list's row draws icons in squares of a fixed size, at any width of the sidebar, where text would be cut off. So the
picture is cut into square tiles, which stand beside each other without a gap.
"""

from __future__ import annotations

import bpy
import bpy.utils.previews
import numpy as np

from ..host.session import Part, session
from . import provenance

TILES = 6
SIZE = 32  # pixels of a tile's side: an icon's at twice the usual scale
BARS = TILES * SIZE // 2  # over the whole picture: a pixel each at the usual scale
MOST_KEPT = 400  # takes with a picture in memory
BROWS, MOUTH, HEAD = (0.80, 0.64, 1.0), (1.0, 0.72, 0.30), (0.45, 0.80, 0.45)
_GROUND = (0.09, 0.10, 0.12)
_ROWS = {"head": (0, 7), "mouth": (8, 24), "brows": (25, 32)}  # of the picture, from below
_FULL_MM, _FULL_BROWS, _FULL_DEGREES = 14.0, 0.5, 10.0  # what fills a bar; what goes further fills it too


class Thumbnails(Part):
    """The pictures that were drawn, by the session id of a take's action: the icons of each and Blender's collection of them."""

    def __init__(self):
        self.icons: dict[int, tuple[int, ...]] = {}
        self.collection = None

    def add(self, uid: int, image: np.ndarray) -> None:
        """Cut a picture into tiles. All others are freed where there are too many."""
        if len(self.icons) >= MOST_KEPT:
            self.file_opened()
        if self.collection is None:
            self.collection = bpy.utils.previews.new()
        icons = []
        for tile in range(TILES):
            preview = self.collection.new(f"{uid}.{tile}")
            preview.icon_size = (SIZE, SIZE)
            preview.icon_pixels_float.foreach_set(np.ascontiguousarray(image[:, tile * SIZE : (tile + 1) * SIZE]).ravel())
            icons.append(preview.icon_id)
        self.icons[uid] = tuple(icons)

    def file_opened(self) -> None:
        """Free all pictures; they are drawn again when they are wanted."""
        self.icons.clear()
        if self.collection is not None:
            bpy.utils.previews.remove(self.collection)
            self.collection = None


thumbnails = session.add(Thumbnails())


def icons(entry) -> tuple[int, ...]:
    """Icons of a take's picture from left to right; none where its action does not tell what it was made from."""
    if entry.action is None:
        return ()
    uid = entry.action.session_uid
    if uid not in thumbnails.icons:
        performance = provenance.load(entry.action)
        if performance is None:
            thumbnails.icons[uid] = ()
        else:
            thumbnails.add(uid, picture(*activity(performance)))
    return thumbnails.icons[uid]


def activity(performance) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much brows, mouth and head do in each bar of a take, [BARS] of 0 … 1 each."""
    motion, channels = performance.motion, performance.channels
    brows = np.abs(motion.expression[:, [i for i, name in enumerate(channels) if name.startswith("brow")]]).max(axis=1, initial=0.0)
    head = (
        np.zeros(motion.frames) if motion.head is None else np.degrees(np.linalg.norm(motion.head - np.median(motion.head, axis=0), axis=1))
    )
    return tuple(_bars(values, full) for values, full in ((brows, _FULL_BROWS), (performance.opening, _FULL_MM), (head, _FULL_DEGREES)))


def _bars(values: np.ndarray, full: float) -> np.ndarray:
    """The greatest value in each of BARS equal parts, as a share of what fills a bar."""
    edges = np.linspace(0, len(values), BARS + 1)
    return np.array([values[int(a) : max(int(a) + 1, int(np.ceil(b)))].max() for a, b in zip(edges, edges[1:])]).clip(0, full) / full


def picture(brows: np.ndarray, mouth: np.ndarray, head: np.ndarray) -> np.ndarray:
    """The picture of three tracks of bars, [SIZE, TILES · SIZE, 4] of 0 … 1, first row at the bottom as Blender has it."""
    image = np.ones((SIZE, TILES * SIZE, 4), np.float32)
    image[:, :, :3] = _GROUND
    wide = image.shape[1] // BARS
    for name, values, colour in (("head", head, HEAD), ("mouth", mouth, MOUTH), ("brows", brows, BROWS)):
        low, high = _ROWS[name]
        for bar, value in enumerate(values):
            top = low + round(float(value) * (high - low))
            image[low:top, bar * wide : (bar + 1) * wide, :3] = colour
    return image
