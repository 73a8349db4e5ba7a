# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the microphone while the scene plays, or while a head performs what is spoken, and lays
that as a strip where it was spoken; or plays a voice that a head performs.

The file has all that was heard from the countdown on; the strip shows the part that counts, and its
handles reach the rest.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import bpy

from ...thunder_core.animation.live_motion import LiveMotion
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest, Cancelled, NoMicrophone, ThunderError, WorkerDied
from ...thunder_core.protocol import AWAY, ENDINGS, QUIETEST
from ..heads.live_head import give_back, LiveHead, sender
from ..host import compat, jobs, playback
from . import mixdown, strip

LISTENED = 1.5  # seconds after which silence is reported
FLOOR = -60.0  # decibels at which the level's bar is empty
TAIL = 0.25  # seconds recorded after the marked range, for a handle
# seconds that a live performance hears beyond what is seen, by `ThunderRecording.look_ahead`
LOOK_AHEAD = {"QUICK": 0.12, "SMOOTH": 0.2, "BEST": 0.36}
_SLOW = 0.2  # seconds between two hops of a live performance above which a computer is slow
SILENT = "Only silence arrives: check that Blender may use the microphone, and that it is not muted"
_TOO_SOON = "Recording was stopped before anything was heard"


def is_on() -> bool:
    """Whether the microphone records, the countdown runs, or a head performs a voice."""
    return Recording.running is not None


def stop() -> None:
    """Let what runs end; what was spoken is kept."""
    if Recording.running is not None:
        Recording.running.stop_requested = True


def why_no_range(scene: bpy.types.Scene) -> str:
    """The reason why there is no range to record in, "" if there is one or none is wanted."""
    return (
        "Mark a preview range first (key P in the timeline), or switch Punch In off"
        if scene.thunder.recording.punch_in and not scene.use_preview_range
        else ""
    )


class Recording:
    """A recording of the microphone in a scene.

    It counts from frame `first` on, until `last` is over or, where that is None, until it is
    stopped. The scene plays from frame `begin` on, so that `first` comes when the countdown is
    over; where the scene has less before it, it waits `hold` seconds on `begin`.

    running: the one that runs; it ends with its job, also where another file is opened.
    client: whose worker records, and ends with the recording.  path: the file.  face: the head that
    performs meanwhile, None for none; then the scene stands still.  motion: what it performs.
    voice: what it performs instead of the microphone's sound, heard as late as the face is seen;
    nothing is recorded then, and path is "".  microphone: its name, "" for the system's.
    heard_at: time.perf_counter() of the first level.
    began: time.perf_counter() at which `first` played or will play, by the frames seen so far;
    infinite while nothing plays.
    """

    running: "Recording | None" = None

    def __init__(
        self,
        client: Client,
        scene: bpy.types.Scene,
        face: LiveHead | None = None,
        voice: strip.Voice | None = None,
        **live: Any,
    ) -> None:
        """live: arguments of the engine's verb “live”, beside the path or sound."""
        settings = scene.thunder.recording
        self.client, self.scene = client, scene.name
        self.face, self.live, self.motion = face, live, LiveMotion()
        self.voice, self.title = voice, "Recording" if voice is None else "Playing"
        self.trouble: ThunderError | None = None  # of the face
        self.heard: tuple | None = None  # what `playback.hear` gave
        self.fps = Clock.of(scene, 0).fps
        self.countdown = 0.0 if face else float(settings.countdown)
        self.first, self.last = scene.frame_current, None
        if settings.punch_in and not face:
            self.first, self.last = scene.frame_preview_start, scene.frame_preview_end
        before = min(
            self.first - min(scene.frame_start, self.first), int(self.countdown * self.fps)
        )
        self.begin, self.hold = self.first - before, self.countdown - before / self.fps
        self.path, self.microphone = new_path(scene) if voice is None else "", ""
        self.heard_at = self.began = math.inf
        self.latest = self.begin
        self.stop_requested = self.plays = self.ends = False

    def steps(self) -> Generator[jobs.Step, None, dict]:
        """Steps that record. Returns the worker's result, `ended` being a sentence. Raises
        ThunderError; what was spoken stays on disk."""
        try:
            Recording.running = self
            with ExitStack() as last_to_first:
                for name, handler in (
                    ("frame_change_pre", self._note_frame),
                    ("frame_change_post", self._pose),
                    ("render_init", self._give_way),
                ):
                    last_to_first.enter_context(jobs.handled(name, handler))
                if self.voice is not None:
                    self.live["sound"], mixing = last_to_first.enter_context(
                        mixdown.sound_for_engine(self.client, self.voice)
                    )
                    yield from mixing
                last_to_first.callback(self._end_pose)
                pending = self.client.request(
                    "live" if self.face else "record",
                    path=self.path,
                    microphone=self.microphone,
                    **self.live,
                )
                last_to_first.callback(pending.cancel)  # if it is not done
                while not (
                    pending.done
                    and (self.stop_requested or self.motion.is_over(time.perf_counter()))
                ):
                    now = time.perf_counter()
                    for event in pending.poll():
                        self.motion.add(event)
                    if self.motion.level:
                        self.heard_at = min(self.heard_at, now)
                    if not pending.done:
                        self._advance(now)
                    self._pose()
                    yield self._step(now)
                while bpy.app.is_job_running("RENDER"):  # which reads what a strip changes
                    yield jobs.Step(0.0, "Waiting for the render")
        except GeneratorExit:  # another file is opened, or the window is closed
            if self.path and self.spoken and not self.is_silent:
                jobs.session.next_note = f"What was recorded until then is in “{self.path}”"
            raise
        finally:
            Recording.running = None
            if self.plays:
                playback.stop()
            # may take a second
            threading.Thread(target=self._close, name="thunder recording", daemon=True).start()
        error = pending.error or self.trouble
        if self.voice is not None and error is None:
            return {"ended": self.heard[1] if self.heard else ""}
        if isinstance(error, WorkerDied) and not self.live:  # all but its last block is in the file
            error = NoMicrophone(
                "The microphone's driver failed: check that Blender may use it, or choose another "
                "in the system's settings"
            )
        if self.voice is not None or not self.spoken:
            raise error or NoMicrophone("The microphone delivered no sound in time: record again")
        if self.is_silent:
            is_short = self.stop_requested and self.spoken < LISTENED
            raise error or (Cancelled(_TOO_SOON) if is_short else BadRequest(SILENT))
        result = pending.result or {**self.motion.level, "path": self.path, "ended": ""}
        why = error.reason if error is not None else ENDINGS.get(result["ended"])
        return {**result, "ended": f"{why}: what was recorded is kept" if why else ""}

    @property
    def started(self) -> float:
        """The time.perf_counter() at which the first frame that counts plays."""
        return self.began if self.began < math.inf else self.heard_at + self.countdown

    @property
    def spoken(self) -> float:
        """Seconds recorded since then."""
        level = self.motion.level
        return max(0.0, level["began"] + level["seconds"] - self.started) if level else 0.0

    def _pose(self, *_: object) -> None:
        """Pose the head that performs, also on every frame: its own keys would show."""
        if self.face and (row := self.motion.at(time.perf_counter())) is not None:
            try:
                self.face.show(row, self.motion)
                seconds = time.perf_counter() - self.motion.began
                sender.send(self.face.mesh, row, seconds)
                if self.voice is not None and self.heard is None:
                    sound = self.live["sound"]  # a file, or it and a channel
                    span = seconds - self.motion.delay, mixdown.LONGEST
                    self.heard = playback.hear(
                        lambda aud: aud.Sound(sound if isinstance(sound, str) else sound[0]).limit(
                            *span
                        )
                    )
            except ThunderError as error:
                self._end_pose(error)

    def _give_way(self, *_: object) -> None:
        """Handler: a render begins, which is to show the head's own pose."""
        self._end_pose(Cancelled("A render ended the performance: start it again after that"))

    def _end_pose(self, trouble: ThunderError | None = None) -> None:
        """Give the head its own pose back, let its voice fall silent, and end."""
        if self.face is not None:
            if self.heard is not None and self.heard[0] is not None:
                self.heard[0].stop()
            self.face.end()
            self.face, self.stop_requested, self.trouble = None, True, trouble

    def _advance(self, now: float) -> None:
        """Start and stop what is due."""
        if self.stop_requested and not now > self.started:
            raise Cancelled(f"{self.title} was cancelled before it began")
        scene = bpy.data.scenes.get(self.scene)
        if scene is not None and not self.live and now >= self.heard_at + self.hold:
            self._play(scene)
        is_over = (
            self.last is not None
            and now > self.started + (self.last + 1 - self.first) / self.fps + TAIL
        )
        if (self.stop_requested or is_over) and not self.ends:
            self.ends = True
            self.client.request("finish")

    def _note_frame(self, scene: bpy.types.Scene, *_: object) -> None:
        """Handler: a frame of a scene plays, perhaps late, never early, or somebody scrubs."""
        give_back(for_a_frame=True)
        if (
            not self.live
            and playback.is_on()
            and scene.name == self.scene
            and scene.frame_current > self.begin
        ):
            self.began = min(
                self.began, time.perf_counter() - (scene.frame_current - self.first) / self.fps
            )

    def _play(self, scene: bpy.types.Scene) -> None:
        """Play the scene once, from the frame where it begins to its end."""
        end = scene.frame_preview_end if scene.use_preview_range else scene.frame_end
        if not self.plays:
            self.plays = True
            scene.frame_current = self.begin
            if self.begin < end:
                playback.start(scene, self.begin)
        elif playback.is_on():
            if not self.latest <= scene.frame_current < end:  # at the end it would begin again
                playback.stop()
            self.latest = scene.frame_current

    def _step(self, now: float) -> jobs.Step:
        """What the panel shows: how loud it is, as the bar, and how long."""
        if not self.motion.level:
            waits = "Opening microphone" if self.voice is None else "Starting engine"
            return jobs.Step(0.0, waits, begins=True)
        loud = max(0.0, 1 - 20 * math.log10(max(1e-6, self.motion.level["peak"])) / FLOOR)
        left, spoken = self.started - now, int(self.spoken)
        message = (
            f"{self.title} in {math.ceil(left)}"
            if left > 0
            else f"{self.title} {spoken // 60}:{spoken % 60:02d}"
        )
        note = SILENT if self.is_silent and self.motion.level["seconds"] > LISTENED else ""
        note = AWAY if self.motion.level.get("away") else note
        if self.live and left <= 0:
            message += f", {self.motion.delay:.1f} s behind"
            if not note and self.motion.hop > _SLOW:
                note = (
                    f"The computer is busy, so the face follows every {self.motion.hop:.1f} s: "
                    f"close other programs"
                )
        return jobs.Step(loud, message, begins=True, note=note, falls=True)

    @property
    def is_silent(self) -> bool:
        """Whether the microphone gave nothing so far."""
        return self.voice is None and self.motion.loudest <= QUIETEST

    def _close(self) -> None:
        """Thread: end the worker, and remove a file in which nothing was spoken."""
        self.client.stop()
        if self.path and (not self.spoken or self.is_silent):
            Path(self.path).unlink(missing_ok=True)


def new_path(scene: bpy.types.Scene) -> str:
    """A new empty file for a recording: beside the .blend, or among the user's files while that is
    not saved. Raises BadRequest."""
    is_saved = bool(bpy.data.filepath)
    folder = Path(bpy.path.abspath("//")) if is_saved else compat.user_folder("recordings")
    stem = Path(bpy.data.filepath).stem if is_saved else "untitled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = next(
            path
            for number in itertools.count(1)
            if not (path := folder / f"{stem}_voice_{number:02d}.wav").exists()
        )
        path.touch(exist_ok=False)
    except OSError as error:
        raise BadRequest(
            f"No recording can be written to “{folder}” ({error.strerror}): choose another folder"
        ) from error
    return str(path)


def lay(scene: bpy.types.Scene, recording: Recording, result: dict):
    """The strip of what was recorded, where it was spoken, above what plays there."""
    start = recording.first + (result["began"] - recording.started) * recording.fps
    end = math.ceil(start + result["seconds"] * recording.fps)
    span = recording.first, end if recording.last is None else min(end, recording.last + 1)
    beneath = [
        other
        for other in strip.sound_strips(scene)
        if not other.mute
        and other.parent_meta() is None
        and compat.strip_span(other)[0] < span[1]
        and span[0] < compat.strip_span(other)[1]
    ]
    above = max((other.channel for other in beneath), default=0)
    added = strip.add(
        scene, result["path"], Path(result["path"]).stem, math.floor(start), span, above
    )
    added.sound_offset = (start - math.floor(start)) / recording.fps  # strips begin at whole frames
    if not bpy.data.filepath:
        added.sound.pack()  # so that it is saved with the file, wherever that will be
    else:
        added.sound.filepath = bpy.path.relpath(result["path"])
    return added
