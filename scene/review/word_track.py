# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds over the timeline, dope sheet and sequencer: a row of mouths, and
above it the words that are said.

Each class of sounds has a shape besides its colour; a doubtful sound is pale. Drawing
only cuts what is visible out of arrays that an idle task prepares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import blf
import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ...thunder_core.spoken import CLEAR, SAID
from ..host import compat, jobs
from ..takes.transcript import read_next
from ..takes.word_places import lines as lines_of, PlacedText

# Heights at interface scale 1, pixels.
SOUNDS = 16  # of the sounds
ROW = 15  # of a row of words
GAP = 3  # between sounds and words
ROWS = 2  # most rows of words
LOOK_SECONDS = 0.3  # interval of checking whether strips have moved, while something is drawn
_MOST_SOUNDS = 2000  # that are drawn at once; of more, every second or third
_WORDS_FROM = 2.0  # pixels per second from which words are written
_MOST_WORDS = 120  # that are written at once
_DOUBTFUL_OPACITY = 0.22  # of a sound that is hardly likely
_CLEAR_OPACITY = 0.95
_BACKGROUND = (0.06, 0.07, 0.09, 0.8)
_TEXT = (0.93, 0.93, 0.93, 1.0)
_UNHEARD_TEXT = (1.0, 0.55, 0.42, 1.0)  # words of the transcript that were not heard

# Colours that the colour-blind can tell apart, in the order of spoken.NAMES, and the other sounds'.
_COLORS = np.array(
    [
        *(
            (0.90, 0.38, 0.10),
            (0.84, 0.50, 0.70),
            (0.16, 0.52, 0.86),
            (0.10, 0.68, 0.50),
            (0.95, 0.88, 0.30),
        ),
        *((0.45, 0.76, 0.95), (0.93, 0.64, 0.12), (0.86, 0.86, 0.86), (0.55, 0.57, 0.60)),
    ]
)


def box(left: float, bottom: float, right: float, top: float) -> list:
    return [
        (left, bottom),
        (right, bottom),
        (right, top),
        (left, bottom),
        (right, top),
        (left, top),
    ]


# Triangles of each class in a square: what is between the lips. In the order of spoken.NAMES, and
# the other sounds'.
_TRIANGLES = (
    [*box(0.0, 0.42, 1.0, 0.58), *box(0.36, 0.0, 0.64, 1.0)],  # M B P: a line, and a bar across
    [(0.0, 1.0), (1.0, 1.0), (0.5, 0.0)],  # F V: a tooth
    [(0.0, 0.5), (0.5, 1.0), (0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.5, 0.0)],  # OO: round
    box(0.0, 0.28, 1.0, 0.72),  # EE: wide
    box(0.0, 0.0, 1.0, 1.0),  # AH: open
    [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)],  # L: a tongue that leaves the teeth
    [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0)],  # TH: a tongue between them
    [*box(0.0, 0.55, 1.0, 0.8), *box(0.0, 0.2, 1.0, 0.45)],  # S: two rows of teeth
    box(0.0, 0.0, 1.0, 0.18),
)
_CORNERS = max(map(len, _TRIANGLES))
# [classes, corners, 2]: of one length, by triangles without an area, so that all sounds are drawn
# at once.
_SHAPES = np.array([[*shape, *[(0.0, 0.0)] * (_CORNERS - len(shape))] for shape in _TRIANGLES])


@dataclass(frozen=True, eq=False)
class WordTrack:
    """What a scene's voices say, in scene frames and order of time. spans: where each comes from.

    sounds: start, end, class, probability [n, 4].  words: start, end, confidence, letters [m, 4].
    texts: of the words.
    """

    sounds: np.ndarray
    words: np.ndarray
    texts: tuple[str, ...]
    spans: tuple[PlacedText, ...]

    @classmethod
    def of(cls, spans: tuple[PlacedText, ...]) -> "WordTrack":
        """The track of everything that plays."""
        sounds, said, texts = [np.zeros((0, 4))], [np.zeros((0, 4))], []
        for span in spans:
            sounds.append(_in_frames(np.stack(span.spoken.columns, 1), span))
            row = np.array(
                [(w.start, w.end, w.sure, len(w.text)) for w in span.spoken.words], float
            ).reshape(-1, 4)
            numbered = _in_frames(np.column_stack([row, np.arange(len(row))]), span)
            texts += [span.text(int(number)) for number in numbered[:, 4]]
            said.append(numbered[:, :4])
        all_sounds, all_words = np.concatenate(sounds), np.concatenate(said)
        all_sounds = all_sounds[all_sounds[:, 0].argsort(kind="stable")]
        order = all_words[:, 0].argsort(kind="stable")
        return cls(all_sounds, all_words[order], tuple(texts[n] for n in order), spans)

    def visible(self, rows: np.ndarray, start: float, end: float) -> slice:
        """Rows that a range of frames shows; the one that reaches into it included."""
        first, last = np.searchsorted(rows[:, 0], (start, end))
        return slice(max(0, int(first) - 1), int(last))


def _in_frames(rows: np.ndarray, span: PlacedText) -> np.ndarray:
    """Rows whose first two columns are seconds, in frames, as far as the strip plays them."""
    rows = rows.copy()
    rows[:, :2] = span.origin + rows[:, :2] * span.fps
    middle = rows[:, :2].mean(1)
    first, last = (span.origin + seconds * span.fps for seconds in (span.begin, span.end))
    rows = rows[(first <= middle) & (middle < last)]
    rows[:, :2] = rows[:, :2].clip(first, last)
    return rows


class _Tracks(jobs.Part):
    """The tracks of the scenes that are drawn. wanted: names of scenes whose track may have
    changed, each with that of the scene whose strips it shows."""

    def __init__(self) -> None:
        self.tracks: dict[str, WordTrack] = {}
        self.pictures: jobs.Recent = jobs.Recent(8)  # region → what was drawn there, and its inputs
        self.wanted: dict[str, str] = {}
        self.task = jobs.Task(self.look, any_time=True)

    def of(self, context: bpy.types.Context) -> WordTrack:
        """The track of a context's scene as it was last seen; it is looked at again soon."""
        self.wanted[context.scene.name] = compat.sequencer_scene(context).name
        self.task.start(LOOK_SECONDS if context.scene.name in self.tracks else 0.0)
        return self.tracks.get(context.scene.name) or _NOTHING

    def look(self) -> float | None:
        """See whether words were found, or strips moved."""
        found: Callable[[str], bpy.types.Scene | None] = bpy.data.scenes.get
        pairs = [(found(name), found(other)) for name, other in self.wanted.items()]
        scenes = [(scene, other or scene) for scene, other in pairs if scene is not None]
        if any(read_next(scene) for scene, _ in scenes):
            return 0.0
        self.wanted.clear()
        for scene, other in scenes:
            spans, known = tuple(lines_of(scene, other)), self.tracks.get(scene.name)
            if known is None or known.spans != spans:
                self.tracks[scene.name] = WordTrack.of(spans)
                if known is not None or spans:
                    jobs.redraw(jobs.TIMELINES)
        return None

    def file_opened(self) -> None:
        for each in (self.tracks, self.pictures, self.wanted):
            each.clear()


_NOTHING = WordTrack.of(())
tracks = jobs.session.add(_Tracks())


class Picture:
    """What a region shows of a range of frames, in batches, in pixels from the picture's lower left
    corner."""

    def __init__(self, start: float, end: float, width: int, height: float) -> None:
        self.start, self.width, self.height = start, width, height
        self.per_frame = width / (end - start)
        self.shader = gpu.shader.from_builtin("SMOOTH_COLOR")
        self.batches: list[gpu.types.GPUBatch] = []

    def x(self, frames: np.ndarray | float):
        """Pixels from the left at scene frames."""
        return (np.asarray(frames, float) - self.start) * self.per_frame

    def add(self, kind: str, points: Sequence | np.ndarray, colors: Sequence | np.ndarray) -> None:
        """Add points [n, 2] of one colour [4], or of one each [n, 4]."""
        if len(points):
            # in C order: Blender reads a buffer as if it were
            colors = np.broadcast_to(colors, (len(points), 4)).astype(np.float32, order="C")
            content = {"pos": np.ascontiguousarray(points, np.float32), "color": colors}
            self.batches.append(batch_for_shader(self.shader, kind, content))

    def draw(self, bottom: float) -> None:
        """Draw it `bottom` pixels above the region's lower edge."""
        gpu.state.blend_set("ALPHA")
        with gpu.matrix.push_pop():  # type: ignore[attr-defined]
            gpu.matrix.translate((0.0, bottom, 0.0))
            for batch in self.batches:
                batch.draw(self.shader)
        gpu.state.blend_set("NONE")


def picture_of(
    pictures: dict, region: bpy.types.Region, key: tuple, make: Callable[[], Picture]
) -> Picture:
    """The picture of a region, made again where its key is another than before."""
    place = region.as_pointer()
    if place not in pictures or pictures[place][0] != key:
        pictures[place] = key, make()
    return pictures[place][1]


class _Picture(Picture):
    """What a track shows in a range of frames, in pixels from its lower left corner: triangles, and
    texts for `write`."""

    def __init__(
        self, track: WordTrack, start: float, end: float, width: int, height: float, scale: float
    ) -> None:
        super().__init__(start, end, width, height)
        self.track, self.scale, self.bottom = track, scale, 0.0
        self.texts: list[tuple] = []
        self.add("TRIS", box(0, 0, width, height), _BACKGROUND)
        fps = track.spans[0].fps
        sounds = track.sounds[track.visible(track.sounds, start, end)]
        self._sounds(sounds[:: 1 + len(sounds) // _MOST_SOUNDS])
        if self.per_frame * fps >= _WORDS_FROM:
            self._words(track.visible(track.words, start, end), rows_in(height, scale))

    def _sounds(self, sounds: np.ndarray) -> None:
        """Add the shapes of sounds."""
        left, right = self.x(sounds[:, 0]), self.x(sounds[:, 1])
        right = np.maximum(right - np.minimum(1.0, (right - left) * 0.15), left + 1)
        kinds, high = sounds[:, 2].astype(int), SOUNDS * self.scale
        opacity = (
            _DOUBTFUL_OPACITY
            + (_CLEAR_OPACITY - _DOUBTFUL_OPACITY)
            * np.clip((sounds[:, 3] - SAID) / (CLEAR - SAID), 0, 1) ** 1.5
        )
        shapes = _SHAPES[kinds]
        x = left[:, None] + shapes[:, :, 0] * (right - left)[:, None]
        points = np.stack([x, 1 + shapes[:, :, 1] * (high - 2)], -1).reshape(-1, 2)
        colors = np.column_stack([_COLORS[kinds], opacity])
        self.add("TRIS", points, np.repeat(colors, _CORNERS, 0))

    def _words(self, visible: slice, lines: int) -> None:
        """Add the words that `lines` rows have room for, marked and longer ones first."""
        rows = self.track.words[visible]
        base, size = (SOUNDS + GAP) * self.scale, 11 * self.scale
        lefts = self.x(rows[:, 0]).tolist()
        rights = self.x(rows[:, 1]).tolist()
        is_unheard = (rows[:, 2] < SAID).tolist()
        taken = [bytearray(self.width + 2) for _ in range(lines)]
        letters = np.array([len(text) for text in self.track.texts[visible]])
        is_plain = letters <= rows[:, 3]  # a mark's sign is in the text alone
        # What one looks for is written first: words that were not found, marked, then long ones.
        order = np.lexsort((-rows[:, 3], is_plain, rows[:, 2] >= SAID))
        for number in order[:_MOST_WORDS].tolist():
            text = self.track.texts[visible.start + number] + "?" * is_unheard[number]
            x = max(lefts[number], 1.0)
            first, last = int(x), int(x + _width(text, size) + 5 * self.scale)
            if rights[number] < 0 or last > self.width:
                continue
            row = next((row for row in range(lines) if taken[row].find(1, first, last) < 0), None)
            if row is not None:
                taken[row][first:last] = b"\1" * (last - first)
                y = base + (row * ROW + 0.2 * ROW) * self.scale
                self.texts.append(
                    (
                        x + 2 * self.scale,
                        y,
                        text,
                        size,
                        _UNHEARD_TEXT if is_unheard[number] else _TEXT,
                    )
                )

    def draw(self, bottom: float) -> None:
        self.bottom = bottom
        super().draw(bottom)
        write(self.texts, bottom)


@lru_cache(maxsize=4096)
def _width(text: str, size: float) -> float:
    """Width of a text in pixels."""
    blf.size(0, size)
    return blf.dimensions(0, text)[0]


def write(texts: Iterable[tuple], bottom: float = 0.0) -> None:
    """Draw texts (x, y, text, size, color)."""
    blf.enable(0, blf.SHADOW)
    blf.shadow(0, 5, 0.0, 0.0, 0.0, 1.0)
    for x, y, text, size, color in texts:
        blf.size(0, size)
        blf.color(0, *color)
        blf.position(0, x, y + bottom, 0)
        blf.draw(0, text)
    blf.disable(0, blf.SHADOW)


def height(context: bpy.types.Context, room: float, scale: float) -> float:
    """Pixels that the track of a context's scene takes of `room`, 0 where there is none or no room
    for it."""
    if room < SOUNDS * scale or not len(tracks.of(context).sounds):
        return 0.0
    rows = rows_in(room, scale)
    return (SOUNDS + rows * ROW + GAP * (rows > 0)) * scale


def rows_in(height: float, scale: float) -> int:
    """How many rows of words a track of a height has above its sounds."""
    return min(ROWS, max(0, int((height / scale - SOUNDS - GAP) / ROW + 1e-6)))


def draw(
    context: bpy.types.Context, start: float, end: float, bottom: float, height: float, scale: float
) -> None:
    """Draw the track of the context's scene between two frames in the region that is being drawn,
    `height` pixels high."""
    track, region = tracks.of(context), context.region
    assert region is not None  # that is being drawn
    key = (track, round(start, 3), round(end, 3), region.width, height, scale)
    picture = picture_of(
        tracks.pictures,
        region,
        key,
        lambda: _Picture(track, start, end, region.width, height, scale),
    )
    picture.draw(bottom)


def frame_at(region: bpy.types.Region, x: int, y: int) -> tuple[float | None, float]:
    """The frame at a place of a region's track, None beside the track; and pixels per frame
    there."""
    _, picture = tracks.pictures.get(region.as_pointer(), (None, None))
    if picture is None or not 0 <= y - picture.bottom < picture.height:
        return None, 1.0
    return picture.start + x / picture.per_frame, picture.per_frame
