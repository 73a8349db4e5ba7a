# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves over the timeline, dope sheet and sequencer: the voice's waveform, the mouth of the shown
take, and where something is found in it."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ...thunder_core.errors import attempt
from ...thunder_core.types import FPS
from ..heads import head, trial
from ..host import jobs
from ..takes import take_list
from ..voice import strip, voice_cache
from . import live_score, word_track

# Heights at interface scale 1, pixels.
HEIGHT = 58  # of the band
LOWEST = 18  # of the lowest band that has curves
MARGIN = 14  # space below the band for the region's scroll bar
RULER = 24  # space above the band for the frame numbers
SYNC_HEIGHT = 6  # height of the lip-sync colours
# mouth opening that fills the band; a take that opens further is scaled to its widest
WIDEST_MM = 12.0
_BAND = (0.06, 0.07, 0.09, 0.62)
_VOICE = (0.45, 0.62, 0.78, 0.85)
_MOUTH_FILL, _MOUTH_LINE = (1.0, 0.68, 0.25, 0.28), (1.0, 0.72, 0.30, 0.95)
_DRIFT_FILL = (0.95, 0.22, 0.18, 0.22)
# Colour of the lip-sync at each of these scores: red where the lips do not match the sound, green
# where they do.
_SYNC_SCORES = np.array([0.0, 45.0, 65.0, 80.0, 100.0])
_SYNC_COLORS = np.array(
    [
        [0.78, 0.12, 0.12],
        [0.9, 0.25, 0.15],
        [0.93, 0.72, 0.18],
        [0.45, 0.75, 0.3],
        [0.25, 0.72, 0.4],
    ]
)
_SPACES = ("SpaceDopeSheetEditor", "SpaceSequenceEditor")

LOOK_SECONDS = 0.1  # interval of checking whether the voice has been read

# region → what was built for it, and its inputs
_drawn = jobs.session.add(jobs.Memory(jobs.Recent(8))).known


@dataclass(frozen=True)
class _Content:
    """The content to draw; frames are scene frames. key: changes with any of it."""

    key: tuple
    peaks: np.ndarray | None
    peaks_start: float
    opening: np.ndarray | None
    opening_start: float
    score: live_score.SyncScore | None
    fps: float


def content_of(context: bpy.types.Context) -> _Content | None:
    """The overlay's current content, None if there is none. Takes a millisecond or two."""
    scene = context.scene
    fps = scene.render.fps / scene.render.fps_base
    rig, _ = attempt(head.find, scene, head.active_object(context))
    entry = action = score = None
    if rig is not None:
        entry = take_list.on_head(scene, rig.mesh)
        action = live_score.animator_action(rig) if entry is None else entry.action
        score = live_score.shown_score(scene, rig)
    peaks, peaks_start, voice_key = None, 0.0, None
    voice, _ = attempt(strip.voice_of_take, context, entry)
    cached = None if voice is None else voice_cache.read(scene, voice)
    if voice is not None and cached is not None:
        peaks, peaks_start, voice_key = cached.peaks, voice.clock.start, id(cached)
        if cached.reading:
            _reading.start(LOOK_SECONDS)
    opening, opening_start = None, 0.0
    if action is not None and (curve := live_score.opening(action)) is not None:
        opening_start, opening = curve
    if peaks is None and opening is None and score is None:
        return None
    key = (
        voice_key,
        peaks is None,
        peaks_start,
        action.session_uid if action is not None else 0,
        live_score.live.version,
        opening_start,
        None if score is None else (score.total, score.clock),
        fps,
    )
    return _Content(key, peaks, peaks_start, opening, opening_start, score, fps)


# ---- drawing


class _OverlayPicture(word_track.Picture):
    """Batches of a content as one region sees it, in pixels from the band's lower left corner."""

    def __init__(
        self, content: _Content, start: float, end: float, width: int, height: float, scale: float
    ) -> None:
        super().__init__(start, end, width, height)
        score = content.score
        low = SYNC_HEIGHT * scale if score is not None and score.per_frame is not None else 0.0
        if height >= LOWEST * scale:  # in a very low timeline: only the colours
            self._curves(content, low)
        if score is not None and low:
            self._sync(score, low)

    def _curves(self, content: _Content, low: float) -> None:
        """Add what is found, waveform and mouth, from `low` up."""
        self.add("TRIS", word_track.box(0, 0, self.width, self.height), _BAND)
        if content.score is not None and content.score.grade is not None:
            for begin, stop in content.score.grade.spans:
                self.add(
                    "TRIS",
                    word_track.box(self.x(begin - 0.5), low, self.x(stop + 0.5), self.height),
                    _DRIFT_FILL,
                )
        if content.peaks is not None:
            self._voice(content, content.peaks, low)
        if content.opening is not None:
            self._mouth(content, low)

    def _voice(self, content: _Content, peaks: np.ndarray, low: float) -> None:
        """Add the waveform, a line for each column of pixels."""
        at, per_frame = content.peaks_start, voice_cache.PEAKS_PER_SECOND / content.fps
        columns = np.arange(
            max(0, int(self.x(at))),
            min(self.width, int(np.ceil(self.x(at + len(peaks) / per_frame)))),
        )
        if not len(columns):
            return
        places = ((columns / self.per_frame + self.start - at) * per_frame).astype(int)
        places = places.clip(0, len(peaks) - 1)
        loudest = max(float(np.abs(peaks).max()), 1e-4)
        lowest = np.minimum(np.minimum.reduceat(peaks[:, 0], places), peaks[places, 0]) / loudest
        highest = np.maximum(np.maximum.reduceat(peaks[:, 1], places), peaks[places, 1]) / loudest
        middle, half = (low + self.height) / 2, (self.height - low) * 0.46
        x = columns + 0.5
        points = np.stack(
            [
                np.stack([x, middle + half * lowest - 0.5], 1),
                np.stack([x, middle + half * highest + 0.5], 1),
            ],
            1,
        )
        self.add("LINES", points.reshape(-1, 2), _VOICE)

    def _mouth(self, content: _Content, low: float) -> None:
        """Add the mouth's opening, a filled curve."""
        opening = np.asarray(content.opening, float)
        frames = content.opening_start + np.arange(len(opening)) / FPS * content.fps
        x = self.x(frames)
        top = max(WIDEST_MM, float(np.max(opening, initial=0.0)))
        y = low + opening / top * (self.height - low) * 0.94
        line = np.stack([x, y], 1)
        floor = np.stack([x, np.full(len(x), low)], 1)
        self.add("TRI_STRIP", np.stack([floor, line], 1).reshape(-1, 2), _MOUTH_FILL)
        self.add("LINE_STRIP", line, _MOUTH_LINE)

    def _sync(self, score: live_score.SyncScore, high: float) -> None:
        """Add the colours of the lip-sync, a strip `high` pixels tall."""
        values = np.asarray(score.per_frame, float)
        x = self.x(score.clock.frame(np.arange(len(values)) / FPS))
        colors = np.stack(
            [np.interp(values, _SYNC_SCORES, column) for column in _SYNC_COLORS.T]
            + [np.full(len(values), 0.95)],
            1,
        )
        points = np.stack(
            [np.stack([x, np.zeros(len(x))], 1), np.stack([x, np.full(len(x), high)], 1)], 1
        ).reshape(-1, 2)
        if len(points) >= 4:
            self.add("TRI_STRIP", points, np.repeat(colors, 2, 0))


def draw(name: str) -> None:
    """Draw the band in the region that is being drawn."""
    context = bpy.context
    scene, region = context.scene, context.region
    if scene is None or region is None or not scene.thunder.curves:
        return
    if name == "SpaceSequenceEditor" and context.space_data.view_type == "PREVIEW":
        return
    content, scale = content_of(context), context.preferences.system.ui_scale
    room = region.height - (RULER + MARGIN) * scale
    words_height = word_track.height(context, room - LOWEST * scale * (content is not None), scale)
    if content is None and not words_height:
        return
    start, end = (region.view2d.region_to_view(x, 0)[0] for x in (0, region.width))
    if end - start <= 0:
        return
    height = min(HEIGHT * scale, room - words_height) if content is not None else 0.0
    if words_height:
        word_track.draw(context, start, end, MARGIN * scale + height, words_height, scale)
    if content is None:
        return
    key = (content.key, round(start, 3), round(end, 3), region.width, height, scale)
    picture = word_track.picture_of(
        _drawn,
        region,
        key,
        lambda: _OverlayPicture(content, start, end, region.width, height, scale),
    )
    picture.draw(MARGIN * scale)


def _draw(name: str) -> None:
    with trial.drawing:
        draw(name)


def _redraw_when_read() -> float | None:
    if any(voice.reading for voice in voice_cache.cache.voices.values()):
        return LOOK_SECONDS
    jobs.redraw(jobs.TIMELINES)
    return None


_reading = jobs.Task(_redraw_when_read, any_time=True)  # redraws once the voice has been read


register, unregister = jobs.registration(
    drawings=tuple((name, _draw, (name,), "POST_PIXEL") for name in _SPACES)
)
