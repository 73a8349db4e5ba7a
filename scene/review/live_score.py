# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores that follow the animator's edits: shortly after the last edit the lips are scored again,
in small steps."""

import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ...thunder_core import grades
from ...thunder_core.animation.commit import line_records
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import temporary_arrays
from ...thunder_core.errors import attempt, BadRequest, ThunderError
from ...thunder_core.face import displacement
from ...thunder_core.progress import map_progress
from ...thunder_core.request import DIRECTION, direction_arguments, PutArray, SYSTEMS
from ...thunder_core.types import FPS, Motion
from ..animation import display, fcurves, keying
from ..engine import connection
from ..heads import head
from ..host import compat, jobs
from ..takes import dialogue, generation, provenance, take_list, turns
from ..takes.direction import similar
from ..voice import fingerprint, mixdown, strip, voice_cache
from . import listening

QUIET_SECONDS = 0.7  # delay after the last edit, so that nothing is scored while a key is dragged
PAUSE_SECONDS = 0.05
_MEASURED_AT_ONCE = 150  # frames whose mouth is measured at once


@dataclass(frozen=True)
class SyncScore:
    """Lip-sync of an animation with its voice.

    total: 0 … 100.  per_frame: [T] at 25 fps from scene frame clock.start on, None if not measured.
    of_whole: whether the total is of the whole line that a take was cut from.
    """

    total: float
    per_frame: np.ndarray | None
    clock: Clock
    of_whole: bool = False

    @property
    def text(self) -> str:
        """As panels and editors show it."""
        return f"Lip-Sync {take_list.points(self.total)}" + " of the Whole Line" * self.of_whole

    @property
    def is_known(self) -> bool:
        """False for a take that is still being ranked."""
        return bool(np.isfinite(self.total))

    def frame(self, place: int) -> int:
        """Scene frame of a motion frame."""
        return round(float(self.clock.frame(place / FPS)))

    def drifts(self) -> list[tuple[int, int, int]]:
        """Stretches where the lips drift, in order of time: scene frames of begin, end and worst
        moment."""
        if self.per_frame is None or not len(self.per_frame):
            return []
        return [
            (self.frame(run[0]), self.frame(run[-1]), self.frame(run[self.per_frame[run].argmin()]))
            for run in grades.drifts(self.total, self.per_frame)
        ]

    @property
    def grade(self) -> provenance.Grade | None:
        """Its grade, None if it is not known, or of more than these frames."""
        return (
            None if self.of_whole else provenance.Grade.of(self.total, self.per_frame, self.clock)
        )


def shown_score(scene, rig: head.Rig | None = None) -> SyncScore | None:
    """The score of the current animation, None if it is not known. Quick: for every redraw."""
    entry = (
        take_list.shown_take(scene.thunder) if rig is None else take_list.on_head(scene, rig.mesh)
    )
    if entry is not None:
        return score_of_take(scene, entry)
    return None if rig is None else live.animation_scores.get(_key_of(rig))


def score_of_take(scene, entry) -> SyncScore:
    """The score of a take against its voice."""
    return SyncScore(
        entry.score,
        provenance.sync_of(entry.action),
        provenance.clock_of_take(entry),
        entry.of_whole,
    )


def animator_action(rig: head.Rig):
    """The animator's action that a head plays, None for none."""
    animation = rig.targets[0].animation_data
    return animation.action if animation is not None else None


def is_animated(scene, active) -> bool:
    """Whether the chosen head plays an action or strips, not a take. Quick: for panels."""
    rig, _ = attempt(head.find, scene, active)
    return rig is not None and (animator_action(rig) is not None or _is_in_strips(rig))


def line_of(context, action) -> str:
    """Name of the line that the score of the animator's action refers to: the current voice or, if
    the action holds other lines, the one of them nearest to the current frame. "" if there is no
    current voice."""
    committed = line_records.lines_of(action) if action is not None else None
    voice = strip.current(context)
    current_line = "" if voice is None else voice.name
    if (
        committed is None
        or not committed.lines
        or current_line in {line.name for line in committed.lines}
    ):
        return current_line
    now = context.scene.frame_current
    return min(committed.lines, key=lambda line: max(line.first - now, now - line.last, 0)).name


def committed_line(context, rig: head.Rig) -> str:
    """Name of the line whose score is shown, if that is a committed line other than the current
    one; else ""."""
    action = animator_action(rig)
    committed = (
        line_records.lines_of(action)
        if action is not None and take_list.on_head(context.scene, rig.mesh) is None
        else None
    )
    if committed is None:
        return ""
    name, voice = line_of(context, action), strip.current(context)
    return "" if voice is not None and voice.name == name else name


def why_none(rig: head.Rig) -> str:
    """The reason why the animator's animation on a head has no score although one was
    requested, "" if it has one or waits for it."""
    action = animator_action(rig)
    entry = take_list.on_head(bpy.context.scene, rig.mesh)
    if entry is not None:
        return (
            ""
            if take_list.speaks(entry)
            else f"“{entry.name}”: {take_list.score_text(entry).lower()}, so it has no Lip-Sync"
        )
    if action is None and _is_in_strips(rig):
        return (
            ""
            if shown_score(bpy.context.scene, rig) is not None
            else "This animation is in NLA strips: press Listen to score it"
        )
    is_tried = (
        action is not None
        and (key := _key_of(rig)) in live.tried
        and key not in live.animation_scores
    )
    return live.why_failed if is_tried and not live.is_running else ""


def _why_unscored(scene, rig: head.Rig) -> str:
    """The reason why the animator's animation on a head has no score against the current line,
    "" if it may have one."""
    action = animator_action(rig)
    name = line_of(bpy.context, action) if action is not None else ""
    speaker = dialogue.speaker_of(scene, name) if name else None
    if speaker is None or speaker == rig.mesh:
        return ""
    return f"“{speaker.name}” speaks “{name}”: a head that listens has no Lip-Sync"


def _is_in_strips(rig: head.Rig) -> bool:
    """Whether NLA strips that are not muted move a head."""
    animations = [
        target.animation_data for target in rig.targets if target.animation_data is not None
    ]
    return any(
        len(track.strips) and not track.mute
        for animation in animations
        for track in animation.nla_tracks
    )


def _key_of(rig: head.Rig) -> tuple:
    """The key of the score of the animator's animation on a head: head, action and line."""
    return *display.animation_of(rig), line_of(bpy.context, animator_action(rig))


def score_of_animation(scene, mesh, action) -> SyncScore | None:
    """The score of the animator's animation on a head against the current line, None if it was
    not scored in this session."""
    return live.animation_scores.get(
        (mesh.session_uid, action.session_uid, line_of(bpy.context, action))
    )


def request_score(scene, rig: head.Rig) -> None:
    """Score the animator's animation on a head if the current line has no score yet. Quick: for
    panels."""
    action = animator_action(rig)
    if (
        not scene.thunder.live_score
        or action is None
        or take_list.on_head(scene, rig.mesh) is not None
    ):
        return
    key = _key_of(rig)
    if (
        key not in live.animation_scores
        and key not in live.tried
        and not live.is_running
        and connection.client().running
    ):
        live.score_soon()
        live.tried.add(key)


def opening(action) -> tuple[float, np.ndarray] | None:
    """Mouth opening of an animation in mm at 25 fps, and the scene frame it begins on: as last
    read, else as it was made."""
    read = live.openings.get(action.session_uid)
    if read is not None:
        return read
    made, clock = provenance.opening_of(action), provenance.clock_of(action)
    return None if made is None else (clock.start, made)


# ---- scoring, a little at a time


def _score_current(scene) -> Generator[bool, None, str | None]:
    """Score the current animation of a head; changes no Blender data. Yields whether it is only
    waiting for the engine.

    Returns why nothing was scored, None on success. It holds data-blocks between steps: close it
    before any edit.
    """
    rig = head.find(scene, head.active_object(bpy.context))
    entry = take_list.on_head(scene, rig.mesh)
    if entry is not None and (_is_as_made(scene, entry) or not take_list.speaks(entry)):
        return None
    if entry is None and (sentence := _why_unscored(scene, rig)):
        return sentence
    voice = voice_of(scene, rig, entry)
    client = connection.client()
    if not client.running:
        if not connection.current_python()[0] or not len(scene.thunder.takes):
            return "The engine is not running"
        client.start()
    return (yield from _score(client, scene, rig, entry, voice, keying.read_quietly))


def voice_of(scene, rig: head.Rig, entry) -> strip.Voice:
    """The voice against which a head's current animation is scored. Raises BadSound."""
    action = animator_action(rig)
    if entry is None and action is not None:
        name = line_of(bpy.context, action)
        for each in dict.fromkeys((scene, compat.sequencer_scene(bpy.context))):
            named = strip.by_name(each, name) if name else None
            if named is not None and named.type == "SOUND":
                return strip.of_strip(each, named)
    return strip.of_take(bpy.context, entry)


def seconds_of(
    voice: strip.Voice, clock: Clock, cached: voice_cache.CachedVoice | None, entry
) -> float:
    """Length of a voice in seconds, 0 if it is not known. cached: what was read of it."""
    if voice.last is not None:
        return (voice.last - voice.clock.start) / clock.fps
    if cached is not None and cached.peaks is not None:
        return len(cached.peaks) / voice_cache.PEAKS_PER_SECOND
    return (entry.last - entry.first) / clock.fps if entry is not None else 0.0


def score_steps(
    client, scene, rig: head.Rig, voice: strip.Voice
) -> Generator[jobs.Step, None, None]:
    """Steps of a job that score the current animation of a head, whatever moves it. voice: the
    current one, already read for `client`.

    An unedited take keeps its score.
    """
    entry = take_list.on_head(scene, rig.mesh)
    if (
        entry is not None
        and (_is_as_made(scene, entry) or not take_list.speaks(entry))
        or entry is None
        and _why_unscored(scene, rig)
    ):
        return
    voice = (
        voice_of(scene, rig, entry)
        if entry is not None or animator_action(rig) is not None
        else voice
    )
    path = yield from map_progress(
        voice_cache.sound(client, scene, voice), lambda step: jobs.Step(0.96, "Scoring", step.busy)
    )
    steps = _score(client, scene, rig, entry, voice, keying.read, path)
    yield from map_progress(steps, lambda waits: jobs.Step(0.97, "Scoring", not waits))


def listen(
    client,
    scene,
    rig: head.Rig,
    voice: strip.Voice | None,
    first: int,
    last: int,
    edited: bool = False,
) -> Generator[jobs.Step, None, tuple[int, int]]:
    """Steps as listening.listen, which then score the animation too; returns the same."""
    names = scene.name, rig.mesh.name
    frames = yield from listening.listen(client, scene, rig, voice, first, last, edited)
    if voice is not None:
        try:
            yield from score_steps(client, *generation.look_up(*names), voice)
        except BadRequest:  # the generated speech stays even without a score
            pass
    return frames


def _score(
    client,
    scene,
    rig: head.Rig,
    entry,
    voice: strip.Voice,
    read: Callable[..., Generator],
    path: str = "",
) -> Generator[bool, None, str | None]:
    """Read the animation of a head by `read`, ask the engine for its score and keep it. Yields
    whether it only waits; returns why nothing was scored, None on success.

    entry: the take that plays, None for none.  path: a file of the voice, "" to wait until it is
    read.
    """
    cached = voice_cache.read(scene, voice, client.folder)
    while cached is not None and cached.reading:
        yield True
    path = path or voice.path or (cached.path if cached is not None else "")
    if not path:
        return cached.failed if cached is not None else "The voice was removed"
    clock = Clock.of(scene, voice.clock.start)
    seconds = seconds_of(voice, clock, cached, entry)
    if seconds <= 0:
        return "The length of the voice is not known"
    motion: Motion | None = yield from map_progress(
        read(rig, head.channel_names(), clock, seconds), lambda _: False
    )
    if motion is None:
        return (
            "The head is moved by more than keys (NLA strips, drivers or constraints): press "
            "Listen to score it"
        )
    key, uid = display.animation_of(rig), entry.action.session_uid if entry is not None else 0
    clock_of_take = provenance.clock_of(entry.action) if entry is not None else None
    frames = (
        len(provenance.opening_of(entry.action)) if clock_of_take is not None else motion.frames
    )
    spans, _ = attempt(turns.spans_of, scene, voice, rig.owner)
    # Not what others say in the recording.
    take_sound = (
        mixdown.split_speakers(path, spans, voice.name) if spans else nullcontext((path, ""))
    )
    with take_sound as (path, _), temporary_arrays(client) as put:
        # without one the engine estimates it from the motion
        how = {} if entry is None else _direction_of(put, scene, entry, clock)
        how |= {"sound": path, "expression": put(motion.expression), "jaw": put(motion.jaw)}
        answer = yield from map_progress(
            generation.ask(client, "score", (0.0, 1.0), "Scoring", **how), lambda _: True
        )
        per_frame = np.load(answer["per_frame"], allow_pickle=False)
    total, heard = float(answer["total"]), float(answer["heard"])
    measure, gap = (yield from map_progress(displacement.prepare(), lambda _: False)), []
    for start in range(0, motion.frames, _MEASURED_AT_ONCE):
        gap.append(
            measure.gap(measure.points(motion.part(slice(start, start + _MEASURED_AT_ONCE))))
        )
        yield False
    live.openings[key[1]] = clock.start, np.maximum(np.concatenate(gap), 0).astype(np.float32)
    live.version += 1
    if entry is None:
        total, per_frame = _line_score(rig, voice.name, total, per_frame)
        live.animation_scores[(*key, voice.name)] = SyncScore(total, per_frame, clock)
        return None
    # on the take's frames, independent of the voice's current position
    if clock_of_take is not None:
        place = np.arange(frames) + round((clock_of_take.start - clock.start) / clock.fps * FPS)
        per_frame = per_frame[np.clip(place, 0, len(per_frame) - 1)]
    _store(uid, total, per_frame, heard)
    return None


def _direction_of(put_array: PutArray, scene, entry, clock: Clock) -> dict:
    """The arguments of a request that say how a take is played, {} if it does not say so itself.
    clock: of the motion that is scored, which may start later in the line than the take."""
    about = provenance.of_mouth(entry.action)
    if similar.reading_in(about) is None:
        return {}
    sampling, of_take = (
        provenance.Sampling.of_take(about, scene.thunder),
        provenance.clock_of(entry.action),
    )
    if sampling.asked is None or SYSTEMS[sampling.system].follows != DIRECTION:
        return {}
    if of_take is not None:
        first = round((clock.start - of_take.start) / clock.fps * FPS)
        sampling = replace(sampling, asked=sampling.asked.from_frame(first))
    return {"seed": entry.seed} | direction_arguments(sampling.asked, put_array)


def _line_score(
    rig: head.Rig, line: str, total: float, per_frame: np.ndarray
) -> tuple[float, np.ndarray]:
    """The score to show of a line that is committed to the action a head plays; of other animation
    the same."""
    action = animator_action(rig)
    known = line_records.score_of(action, line) if action is not None else None
    if known is None:
        return total, per_frame
    if known.made is None:
        curves = {
            (block, curve.data_path, curve.array_index): curve
            for block, target in enumerate(rig.targets)
            for curve in compat.curves_for(target)
        }
        if not line_records.is_as_committed(action, line, curves, fcurves.read):
            return total, per_frame
        known = known.with_committed(total, per_frame)
        line_records.remember_score(action, line, known)
    return known.correct(total, per_frame)


def _is_as_made(scene, entry) -> bool:
    """Whether a take still has the engine's score of what it plays and neither its keys nor its
    voice were changed. Scored again from keys on whole frames it would get a little less, so the
    list would mix two kinds of scores."""
    first_score = keying.record_of(entry.action).get("score")
    if (
        entry.of_whole
        or not isinstance(first_score, (int, float))
        or provenance.sync_of(entry.action) is None
    ):
        return False
    if abs(first_score - entry.score) > 1e-3:
        return False
    return not provenance.is_edited(entry) and all(
        other.action != entry.action for other, _ in fingerprint.stale_takes(scene)
    )


def _store(uid: int, total: float, per_frame: np.ndarray, heard: float) -> None:
    """Store a new score for an action's take. Not a separate undo step: undoing the edit restores
    the earlier score."""
    entries = (entry for scene in bpy.data.scenes for entry in scene.thunder.takes)
    for entry in entries:
        if entry.action is not None and entry.action.session_uid == uid:
            entry.score, entry.of_whole = total, False
            take_list.set_heard(entry, heard)
            provenance.store_sync(entry.action, per_frame)


# ---- when


class LiveScore(jobs.Part):
    """Scores of the heads' current animation, and the scoring in progress.

    version: number of scorings, by which drawing code detects new scores.  why_failed: the reason
    why the last attempt gave no score, "" if it did.
    """

    def __init__(self):
        # animation other than takes: by head, action and voice
        self.animation_scores: dict[tuple, SyncScore] = {}
        self.tried: set[tuple] = set()  # the same, with scores requested since the last edit
        # by action: mouth opening as last read, from which scene frame on
        self.openings: dict[int, tuple[float, np.ndarray]] = {}
        self.job: Generator[bool, None, str | None] | None = None
        self.task = jobs.Task(self.step)
        self.why_failed = ""
        self.version = 0

    @property
    def is_running(self) -> bool:
        """Whether an edit waits to be scored or is being scored."""
        return self.job is not None or self.task.due is not None

    def score_soon(self) -> None:
        """Schedule scoring of the head's current animation for when Blender is idle."""
        if self.job is not None and self.job.gi_running:
            return  # a change made by scoring: the animator cannot edit during a step
        self.stop()
        self.tried.clear()
        self.task.postpone(QUIET_SECONDS)

    def stop(self) -> None:
        """Cancel the current scoring."""
        job, self.job = self.job, None
        self.task.stop()
        if job is not None:
            job.close()

    def release(self) -> None:
        self.stop()

    def actions_edited(self, scene, uids: set[int]) -> None:
        if bpy.app.background or not scene.thunder.live_score:
            return
        if uids & _actions_on_heads(scene):
            self.score_soon()

    def undone(self) -> None:
        scene = bpy.context.scene
        if bpy.app.background or scene is None or not scene.thunder.live_score:
            return
        # an undo does not start the engine
        if len(scene.thunder.takes) and connection.client().running:
            self.score_soon()

    def step(self) -> float | None:
        """Score a little."""
        scene = bpy.context.scene
        if scene is None or not scene.thunder.live_score:
            self.stop()
            return None
        try:
            if self.job is None:
                self.job = _score_current(scene)
            end = time.monotonic() + jobs.STEP_SECONDS
            while time.monotonic() < end:
                if next(self.job):
                    break
            return PAUSE_SECONDS
        except StopIteration as end:
            self.why_failed = end.value or ""
        except (ThunderError, OSError) as error:
            self.why_failed = str(error)
        jobs.redraw(jobs.TIMELINES)
        self.job = None
        return None

    def file_opened(self) -> None:
        """Drop the scores of the file that was open before."""
        self.animation_scores.clear()
        self.tried.clear()
        self.openings.clear()

    def close(self) -> None:
        """Stop scoring and drop all scores."""
        self.stop()
        self.file_opened()


live = jobs.session.add(LiveScore())


def _actions_on_heads(scene) -> set[int]:
    """Session ids of the actions that heads play now."""
    heads = scene.thunder.heads
    actions = {state.shown for state in heads} | {
        kept.action for state in heads for kept in state.own
    }
    blocks = [*scene.objects, *(obj.data.shape_keys for obj in scene.objects if obj.type == "MESH")]
    actions |= {
        block.animation_data.action
        for block in blocks
        if block is not None and block.animation_data is not None
    }
    return {action.session_uid for action in actions if action is not None}
