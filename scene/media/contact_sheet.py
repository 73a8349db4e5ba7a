# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet of a line inside Blender: a row for each take with its words, what brows, head
and mouth do, and its face at the same key moments."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np
from mathutils import Color, Matrix

from ...thunder_core.animation import activity
from ...thunder_core.direction_words import choice_of_take, TakeChoice
from ...thunder_core.errors import BadRequest
from ...thunder_core.files import part_of, reason_of
from ...thunder_core.translation import wrap
from ...thunder_core.types import FPS, Motion
from ..heads import head
from ..host import jobs, playback
from ..host.language import translated
from ..takes import grades, take_list, take_record
from . import puppets

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


NAME = "Thunder Contact Sheet"  # name of the texts
MOMENTS = 6
# height of a row, pixels; widths of labels and curves, in row heights
ROW_PIXELS, LABEL_CELLS, CURVE_CELLS = 150, 1.4, 3.2
NAMES_CELLS = 0.46  # width of the track names, which stand in the curves' column
# vertical extent of each track in its row, from below
TRACKS = {"mouth": (0.06, 0.46), "head": (0.54, 0.71), "brows": (0.79, 0.96)}
VOICE = (0.12, 0.42)  # that of the voice in the title
LETTERS, LINES, LINE_CELLS = 24, 3, 0.135  # a take's words: letters per line, lines, line spacing
GUTTER = 3  # empty pixels above and below a row
HEAD_CELLS = 0.78  # height of the title
IN_PAUSE = 0.3  # seconds from the start of a pause to its picture
HIT = 0.55  # share of the ink with which words that a take hits are marked in its curves
# share of the full-face square that is shown, since the lips are compared, and by how much its
# middle is lower, since chins go down when mouths open
FACE = (0.84, 0.06)
# linear RGB
PAPER = (0.0085, 0.0095, 0.0125)
INK = (0.8, 0.78, 0.74)
FAINT = (0.36, 0.38, 0.42)
ACCENT = (1.0, 0.45, 0.09)
SOUND = (0.37, 0.54, 0.72)  # display colour of the voice
WORDS = {
    activity.CLOSED: "lips shut",
    activity.WIDE: "wide open",
    activity.LOUD: "loudest",
    activity.PAUSE: "in the pause",
    activity.DIFFER: "takes differ",
    activity.OTHER: "in between",
}


@dataclass
class _Row:
    """A take's row in the sheet.  tracks: of TRACKS, at 25 fps from `start`, the seconds of its
    first sample in the scene.  choice: how it reads its line."""

    tracks: dict[str, np.ndarray]
    start: float
    choice: TakeChoice


def make(
    scene: bpy.types.Scene,
    rig: head.Rig,
    entries: list,
    path: str,
    loudness: np.ndarray | None = None,
) -> Generator[jobs.Step, None, bpy.types.Image]:
    """Steps that draw the sheet of takes of one head into a new PNG file and load it. Returns the
    image.

    loudness: of the voice, per frame of the first take at 25 fps; None: the voice is not drawn.
    The scene and its display stay unchanged. Raises BadRequest if no take can be drawn, or
    NoSpace.
    """
    listed = [entry for entry in entries if entry.action is not None]
    if not listed:
        raise BadRequest("There are no takes to draw: generate some first")
    rows = [_row(entry.action) for entry in listed]
    full = activity.full_heights([row.tracks for row in rows])
    chosen = _moments(rows, loudness, full)
    fps = scene.render.fps / scene.render.fps_base
    with _Sheet(scene, rig, PAPER, ROW_PIXELS) as sheet:
        yield jobs.Step(0.0, "Setting up the sheet", busy=True)
        title = f"{entries[0].voice}  ·  {translated(take_list.count_in_words(len(rows)))}"
        has_loudness = loudness is not None and np.max(loudness, initial=0.0) > 0
        parts = [sheet.title(title, chosen, has_loudness, any(row.choice.hits for row in rows))]
        for number, entry in enumerate(listed, start=1):
            message = f"Drawing take {number} of {len(rows)}"
            yield jobs.Step(number / (len(rows) + 1), message, busy=True)
            puppets.play(sheet.copy, rig, entry)
            pictures = [sheet.label(entry, full["mouth"])]
            for column, (seconds, _) in enumerate(chosen):
                done = number + column / len(chosen)
                yield jobs.Step(done / (len(rows) + 1), message, busy=True)
                playback.go_to(sheet.scene, seconds * fps)
                pictures.append(sheet.take(*FACE)[::-1, :, :3])
            parts.append(np.concatenate(pictures, axis=1))
        _draw_curves(parts, rows, full, loudness)
        return _save(np.concatenate(parts), path)


def free_path(title: str, ending: str = ".png") -> str:
    """A file beside the .blend, or in Blender's temporary folder, that is not there yet."""
    folder = os.path.dirname(bpy.data.filepath) if bpy.data.filepath else bpy.app.tempdir
    name = bpy.path.clean_name(title)
    numbered = (
        f"{name}{'' if number == 1 else f'_{number}'}{ending}" for number in range(1, 10_000)
    )
    return next(path for file in numbered if not os.path.exists(path := os.path.join(folder, file)))


def _row(action: bpy.types.Action) -> _Row:
    """The row of a take's action."""
    performance, clock = take_record.load(action), take_record.clock_of(action)
    # if nothing is known of it
    motion, opening = Motion(np.zeros((2, 0)), np.zeros((2, 3))), np.zeros(2)
    channels: tuple[str, ...] = ()
    if performance is not None:
        motion, channels, opening = performance.motion, performance.channels, performance.opening
    return _Row(
        activity.tracks(motion, channels, opening),
        0.0 if clock is None else clock.start / clock.fps,
        choice_of_take(take_record.about_of(action)),
    )


def _moments(
    rows: list[_Row], loudness: np.ndarray | None, full: dict[str, float]
) -> list[tuple[float, str]]:
    """(seconds of the scene, why) of the moments, from what all takes have in common, and how they
    differ. full: of `activity`."""
    start = rows[0].start
    seconds = start + np.arange(len(rows[0].tracks["mouth"])) / FPS
    levels = {
        name: np.stack([_values_at(row, row.tracks[name], seconds) for row in rows])
        for name in TRACKS
    }
    differences = sum(level.std(axis=0) / full[name] for name, level in levels.items())
    acted = Counter(at for row in rows for at, _ in row.choice.pauses)
    pauses = [round((at + IN_PAUSE) * FPS) for at, _ in acted.most_common()]
    chosen = activity.choose_moments(levels["mouth"], loudness, MOMENTS, differences, pauses)
    return [(start + frame / FPS, why) for frame, why in chosen]


class _Sheet(puppets.Portrait):
    """Portraits of the faces, and the texts beside them, which are written around the origin: their
    unit is the height of a row; x to the right, y up, from 0 at a row's lower left corner."""

    def __init__(self, *args: Any) -> None:
        self.inks: dict[str, bpy.types.Material] = {}
        super().__init__(*args)
        displayed = {"voice": SOUND, **activity.COLOURS}
        linear: dict[str, Any] = {
            name: Color(colour).from_srgb_to_scene_linear() for name, colour in displayed.items()
        }
        for name, colour in {"ink": INK, "faint": FAINT, "accent": ACCENT, **linear}.items():
            self.inks[name] = self.remove_at_end(bpy.data.materials.new(f"{NAME} {name}"))
            self.inks[name].diffuse_color = (*colour, 1.0)
            self.inks[name].roughness = 1.0

    def _write(
        self, text: str, x: float, y: float, size: float, ink: str = "ink", align: str = "LEFT"
    ) -> None:
        obj = puppets.add_text(
            self.scene.collection, NAME, text, size, (align, "CENTER"), self.inks[ink]
        )
        obj.location = (x, y, 0.5)

    def title(self, text: str, chosen: list, has_voice: bool, hits: bool) -> np.ndarray:
        """The picture of the sheet's header: its subject, the names of its curves, and above each
        column the reason and the frame. has_voice, hits: whether the voice is drawn, and words that
        takes hit are marked."""
        fps, left = self.scene.render.fps / self.scene.render.fps_base, LABEL_CELLS + CURVE_CELLS
        self._write(text, 0.1, HEAD_CELLS - 0.17, 0.2)
        if has_voice:
            right = LABEL_CELLS + NAMES_CELLS - 0.06
            self._write(translated("voice"), right, sum(VOICE) / 2, 0.12, "voice", "RIGHT")
        if hits:
            said = translated("| words it hits")
            self._write(said, left - 0.15, HEAD_CELLS - 0.17, 0.12, "accent", "RIGHT")
        for column, (seconds, why) in enumerate(chosen):
            x = left + column + 0.5
            self._write(translated(WORDS[why]), x, 0.29, 0.15, "ink", "CENTER")
            self._write(translated(f"frame {seconds * fps:.0f}"), x, 0.11, 0.12, "faint", "CENTER")
        return self._texts(left + len(chosen), HEAD_CELLS)

    def label(self, entry: ThunderTake, widest: float) -> np.ndarray:
        """The picture of a row's words: score, name, how the take is played, the names of its
        tracks, and how high the mouth's is, mm."""
        score = translated(take_list.score_text(entry))
        self._write(
            score, 0.1, 0.78, 0.3 if len(score) <= 5 else 0.2, "accent" if entry.star else "ink"
        )
        self._write(entry.name if len(entry.name) <= 16 else entry.name[:15] + "…", 0.1, 0.53, 0.14)
        lines = wrap(translated(grades.words_of(entry)), LETTERS, LINES)
        for index, line in enumerate(lines):
            self._write(line, 0.1, 0.35 - index * LINE_CELLS, 0.12)
        right = LABEL_CELLS + NAMES_CELLS - 0.06
        for track, (low, high) in TRACKS.items():
            self._write(translated(track), right, (low + high) / 2, 0.12, track, "RIGHT")
        self._write(f"{widest:.0f} mm", right, TRACKS["mouth"][1] - 0.04, 0.09, "faint", "RIGHT")
        return self._texts(LABEL_CELLS + CURVE_CELLS, 1.0)

    def _texts(self, width: float, height: float) -> np.ndarray:
        """The picture of the texts that were written, [height, width, 3] of 0 … 1 as it is
        displayed, first row on top. The texts are removed."""
        camera = self.camera
        for obj in self.copy.visible:
            obj.hide_render = True
        camera.data.ortho_scale, camera.data.clip_start, camera.data.clip_end = width, 0.1, 100.0
        camera.matrix_world = Matrix.Translation((width / 2, height / 2, 50.0))
        picture = self.picture(round(width * ROW_PIXELS), round(height * ROW_PIXELS))
        for obj in self.copy.visible:
            obj.hide_render = False
        self._remove_texts()
        return picture[::-1, :, :3]

    def _remove_texts(self) -> None:
        if playback.is_there(self.scene):
            # the objects go with them
            texts = [obj.data for obj in self.scene.collection.objects if obj.type == "FONT"]
            bpy.data.batch_remove(texts)

    def end(self) -> None:
        """Remove everything from the file."""
        self._remove_texts()
        super().end()
        puppets.drop_font()


# ---- pixels


def _draw_curves(
    parts: list[np.ndarray], rows: list[_Row], full: dict[str, float],
    loudness: np.ndarray | None
) -> None:  # fmt: skip
    """Draw what each take's brows, head and mouth do into its row, all to one scale, with marks on
    words that it hits; and the voice into the title.

    parts: the title and every row.  full: of `activity`.
    """
    left = round((LABEL_CELLS + NAMES_CELLS) * ROW_PIXELS)
    wide = round((CURVE_CELLS - NAMES_CELLS - 0.15) * ROW_PIXELS)
    begin = min(row.start for row in rows)
    end = max(row.start + len(row.tracks["mouth"]) / FPS for row in rows)
    seconds = begin + (np.arange(wide) + 0.5) / wide * (end - begin)
    if loudness is not None and np.max(loudness) > 0:
        times = rows[0].start + np.arange(len(loudness)) / FPS
        level = np.interp(seconds, times, loudness / np.max(loudness), left=0.0, right=0.0)
        base = len(parts[0]) - round(VOICE[0] * ROW_PIXELS)
        tall = round((VOICE[1] - VOICE[0]) * ROW_PIXELS)
        _draw_track(parts[0][:, left : left + wide], level, base, tall, SOUND)
    for name, (low, high) in TRACKS.items():
        for part, row in zip(parts[1:], rows):
            level = _values_at(row, row.tracks[name], seconds) / full[name]
            base, tall = round(len(part) * (1 - low)), round(len(part) * (high - low))
            _draw_track(part[:, left : left + wide], level, base, tall, activity.COLOURS[name])
    top, base = (
        round((1 - share) * ROW_PIXELS) for share in (TRACKS["brows"][1], TRACKS["mouth"][0])
    )
    ink = np.array(Color(ACCENT).from_scene_linear_to_srgb(), np.float32)
    for part, row in zip(parts[1:], rows):
        for at, _ in row.choice.hits:
            x = left + round((row.start + at - begin) / (end - begin) * wide)
            marked = part[top:base, min(x, left + wide - 1) :][:, :2]
            marked[:] = (1 - HIT) * marked + HIT * ink
    for part in parts[1:]:
        part[:GUTTER] = part[-GUTTER:] = Color(PAPER).from_scene_linear_to_srgb()


def _values_at(row: _Row, values: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Values of a take's frames at seconds of the scene, 0 outside of the take."""
    return np.interp(seconds, row.start + np.arange(len(values)) / FPS, values, left=0.0, right=0.0)


def _draw_track(
    part: np.ndarray, level: np.ndarray, base: int, tall: int, colour: Sequence[float]
) -> None:
    """Draw levels, 0 … 1 for each column of a part of the picture, as a filled curve `tall` pixels
    high that stands on row `base`."""
    paint, tops = np.array(colour, np.float32), (level.clip(0, 1) * tall).astype(int)
    for x, y in enumerate(tops):
        filled = part[base - y : base, x]
        filled[:] = filled * 0.65 + paint * 0.35
        low, high = sorted((int(tops[max(0, x - 1)]), int(y)))  # a line without gaps above it
        part[base - high - 1 : base - low, x] = paint
    part[base] = Color(FAINT).from_scene_linear_to_srgb()


def _save(pixels: np.ndarray, path: str) -> bpy.types.Image:
    """Write [height, width, 3] of 0 … 1 into a PNG file and load it. Raises BadRequest if it cannot
    be written."""
    height, width, _ = pixels.shape
    image = bpy.data.images.new(NAME, width, height)
    try:
        opaque = np.ones((height, width, 4), np.float32)
        opaque[..., :3] = pixels[::-1]
        image.pixels.foreach_set(opaque.ravel())
        image.file_format = "PNG"
        with part_of(path) as part:
            image.save(filepath=part)
    except (OSError, RuntimeError) as error:
        raise BadRequest(
            f"The contact sheet cannot be written to “{path}” ({reason_of(error)}): save the scene "
            f"in a folder that you can write to"
        ) from error
    finally:
        bpy.data.images.remove(image)
    loaded = bpy.data.images.load(path)
    loaded.name = os.path.splitext(os.path.basename(path))[0]
    return loaded
