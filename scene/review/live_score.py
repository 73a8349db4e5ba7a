# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores that follow the animator's edits: shortly after the last edit the lips are scored again,
in small steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core import findings
from ...thunder_core.animation.commit import line_records
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.direction import PutArray
from ...thunder_core.errors import attempt, BadRequest, ThunderError
from ...thunder_core.face.moving import displacement, driving
from ...thunder_core.types import FPS, Motion
from ..animation import display, fcurves, keying
from ..engine import connection
from ..heads import head
from ..host import compat, jobs
from ..takes import browsing, dialogue, grades, take_list, take_record, transcript
from ..voice import changes, fingerprint, mixdown, strip, voice_cache
from . import listening

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


QUIET_SECONDS = 0.7  # delay after the last edit, so that nothing is scored while a key is dragged
PAUSE_SECONDS = 0.05
_MEASURED_AT_ONCE = 150  # frames whose mouth is measured at once


@dataclass(frozen=True)
class SyncScore:
    """Lip-sync of an animation with its voice.

    total: 0 … 100.  per_frame: [T] at 25 fps from scene frame clock.start on, None if not measured.
    grade: with what is found, None if that is not known.  parts: of the total, by the names of
    `findings.PARTS`.  heard: by mesh-to-speech, as of `LipSyncScore`.  of_whole: whether the total
    is of the whole line that a take was cut from.  keys: that were scored, as of `KeyWatch`, where
    it is not of a take.
    """

    total: float
    per_frame: np.ndarray | None
    clock: Clock
    grade: grades.Grade | None = None
    parts: dict[str, float] = field(default_factory=dict)
    heard: float | None = None
    of_whole: bool = False
    keys: str = ""

    @property
    def text(self) -> str:
        """As panels and editors show it."""
        return f"Lip-Sync {take_list.points(self.total)}" + " of the Whole Line" * self.of_whole

    @property
    def is_known(self) -> bool:
        """False for a take that is still being ranked."""
        return bool(np.isfinite(self.total))


def shown_score(scene: bpy.types.Scene, rig: head.Rig) -> SyncScore | None:
    """The score of what a head plays, None if it is not known. Quick: for every redraw."""
    entry = take_list.on_head(scene, rig.mesh)
    return live.animation_scores.get(_key_of(rig)) if entry is None else score_of_take(entry)


def score_of_take(entry: ThunderTake) -> SyncScore:
    """The score of a take against its voice."""
    return SyncScore(
        entry.score,
        take_record.sync_of(entry.action),
        take_record.clock_of_take(entry),
        grades.of_take(entry),
        grades.parts_of(entry),
        grades.heard_of(entry),
        entry.of_whole,
    )


def is_outdated(scene: bpy.types.Scene, rig: head.Rig) -> bool:
    """Whether the keys of what a head plays were changed since it was scored. Quick: for every
    redraw."""
    entry = take_list.on_head(scene, rig.mesh)
    if entry is not None:
        return browsing.watch.is_outdated(entry)
    score = shown_score(scene, rig)
    return score is not None and score.keys != watch.fingerprint(rig)


def animator_action(rig: head.Rig):
    """The animator's action that a head plays, None for none."""
    animation = rig.targets[0].animation_data
    return animation.action if animation is not None else None


def is_animated(scene: bpy.types.Scene, active: bpy.types.Object | None) -> bool:
    """Whether the chosen head plays an action or strips, not a take. Quick: for panels."""
    rig, _ = attempt(head.find, scene, active)
    return rig is not None and (animator_action(rig) is not None or _is_in_strips(rig))


def why_none(rig: head.Rig) -> str:
    """The reason why the animation on a head has no score although one was requested, "" if it has
    one or waits for it."""
    entry = take_list.on_head(bpy.context.scene, rig.mesh)
    if entry is not None:
        return take_list.why_silent(entry)
    key = _key_of(rig)
    if key in live.animation_scores or live.is_running:
        return ""
    if animator_action(rig) is None and _is_in_strips(rig):
        return "This animation is in NLA strips: press Hear the Lips to score it"
    return live.why_failed if key in live.tried else ""


def _why_unscored(scene: bpy.types.Scene, rig: head.Rig) -> str:
    """The reason why the animator's animation on a head has no score against the current voice,
    "" if it may have one."""
    action, voice = animator_action(rig), strip.current(bpy.context)
    committed = line_records.lines_of(action) if action is not None else None
    if voice is None or action is None:
        return ""
    if committed is not None and voice.name not in {line.name for line in committed.lines}:
        return f"“{voice.name}” is not committed: go to a line of this animation to score it"
    return dialogue.say_listens(scene, rig.mesh, voice.name)


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
    """The key of the score of the animator's animation on a head: head, action, and name and first
    frame of the current voice, "" and 0 for none."""
    return *display.animation_of(rig), *_place_of(strip.current(bpy.context))


def _place_of(voice: strip.Voice | None) -> tuple[str, float]:
    """What a score is of besides the animation: a voice that moves has none until it is scored
    again."""
    return ("", 0.0) if voice is None else (voice.name, voice.clock.start)


def request_score(scene: bpy.types.Scene, rig: head.Rig) -> None:
    """Score what a head plays if it has no score yet: the animator's animation against the current
    line, a take whose score did not come. Quick: for panels."""
    action, entry = animator_action(rig), take_list.on_head(scene, rig.mesh)
    if (
        not scene.thunder.live_score
        or action is None
        or (entry is not None and _keeps_score(scene, entry))
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


def opening(action: bpy.types.Action) -> tuple[float, np.ndarray] | None:
    """Mouth opening of an animation in mm at 25 fps, and the scene frame it begins on: as last
    read, else as it was made."""
    read = live.openings.get(action.session_uid)
    if read is not None:
        return read
    made, clock = take_record.opening_of(action), take_record.clock_of(action)
    return None if made is None or clock is None else (clock.start, made)


# ---- scoring, a little at a time


def _score_idle(scene: bpy.types.Scene) -> Generator[jobs.Step, None, None]:
    """Steps that score the takes without a verdict, each for itself, and then what a head plays;
    as `_score_current`."""
    name, uids = scene.name, without_verdict(scene)
    if uids and not connection.client().running and connection.current_python()[0]:
        connection.client().start()
    for uid in uids:
        with suppress(ThunderError, OSError):  # its head or its voice is gone
            yield from score_again(connection.client(), bpy.context, [uid], quietly=True)
    if (now := bpy.data.scenes.get(name)) is not None and now.thunder.live_score:
        yield from _score_current(now)


def _score_current(scene: bpy.types.Scene) -> Generator[jobs.Step, None, None]:
    """Steps that score the current animation of a head and change no Blender data. They hold
    data-blocks: close them before any edit. Raises ThunderError with the reason why nothing is
    scored."""
    rig = head.find(scene, head.active_object(bpy.context))
    entry = take_list.on_head(scene, rig.mesh)
    if entry is not None and _keeps_score(scene, entry):
        return
    client = connection.client()
    if not client.running:
        if not connection.current_python()[0] or not len(scene.thunder.takes):
            raise BadRequest("The engine is not running")
        client.start()
    yield from score_steps(client, scene, rig, quietly=True)


def listen(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice | None,
    first: int,
    last: int,
    edited: bool = False,
    on_speech: Callable[[], object] = lambda: None,
) -> Generator[jobs.Step, None, tuple[int, int]]:
    """Steps as listening.listen, which then score the animation too; returns the same. on_speech:
    called when the speech is in the sequencer."""
    names = scene.name, rig.mesh.name
    frames = yield from listening.listen(client, scene, rig, voice, first, last, edited)
    on_speech()
    if voice is not None:
        with suppress(BadRequest):  # the generated speech stays even without a score
            yield from score_steps(client, *head.look_up(*names))
    return frames


def score_steps(
    client: Client, scene: bpy.types.Scene, rig: head.Rig, quietly: bool = False
) -> Generator[jobs.Step, None, None]:
    """Steps of a job that score the current animation of a head, whatever moves it, and keep the
    score. An unedited take keeps its score.

    quietly: only what can be read without changing Blender's data. Raises ThunderError with the
    reason why nothing is scored.
    """
    entry = take_list.on_head(scene, rig.mesh)
    if entry is not None and _keeps_score(scene, entry):
        return
    if entry is None and (sentence := _why_unscored(scene, rig)):
        raise BadRequest(sentence)
    voice = strip.voice_of_take(bpy.context, entry)
    clock = Clock.of(scene, voice.clock.start)
    read = keying.read_quietly if quietly else keying.read
    seconds = yield from voice_cache.seconds_of(scene, voice)
    entry = take_list.on_head(scene, rig.mesh)  # not held while the voice is read
    motion: Motion | None = yield from jobs.stage(
        read(rig, head.channel_names(), clock, seconds), "Scoring", 0.96, 0.97
    )
    if motion is None:
        raise BadRequest(
            "The head is moved by more than keys (NLA strips, drivers or constraints): press "
            "Listen to score it"
        )
    key, uid = display.animation_of(rig), entry.action.session_uid if entry is not None else 0
    answer, per_frame = yield from ask_score(
        client, scene, rig, voice, (motion, clock), entry, (0.97, 0.98), quietly
    )
    if uid and (entry := take_list.by_uid(scene, uid)) is not None:
        reference = yield from _reference(client, scene, rig, voice, entry, quietly)
        answer["total"], per_frame = reference.correct(float(answer["total"]), per_frame)
    measure = yield from jobs.stage(displacement.prepare(), "Scoring", 0.98, 0.98)
    gap = []
    for start in range(0, motion.frames, _MEASURED_AT_ONCE):
        gap.append(
            measure.gap(measure.points(motion.part(slice(start, start + _MEASURED_AT_ONCE))))
        )
        yield jobs.Step(0.99, "Scoring", busy=True)
    live.openings[key[1]] = clock.start, np.maximum(np.concatenate(gap), 0).astype(np.float32)
    live.version += 1
    keep(rig, voice, clock, uid, answer, per_frame)


def keep(
    rig: head.Rig, voice: strip.Voice, clock: Clock, uid: int, answer: dict, per_frame: np.ndarray
) -> None:
    """Keep the engine's answer to “score” about what a head plays, and the score of each frame [T]
    from clock.start on. uid: of the action of the take that it plays, 0 for none."""
    if not uid:
        total, per_frame = _line_score(rig, voice.name, float(answer["total"]), per_frame)
        grade = grades.Grade.of(findings.findings_of(answer) or (), clock, rig)
        live.animation_scores[(*display.animation_of(rig), *_place_of(voice))] = SyncScore(
            total, per_frame, clock, grade, answer["parts"], findings.heard_of(answer),
            keys=watch.fingerprint(rig),
        )  # fmt: skip
        return
    # on the take's frames, independent of the voice's current position
    entry = take_list.by_uid(bpy.context.scene, uid)
    made = None if entry is None else take_record.opening_of(entry.action)
    of_take = None if entry is None else take_record.clock_of(entry.action)
    if made is not None and of_take is not None:
        late = (of_take.start - clock.start) / clock.fps
        place = np.arange(len(made)) + round(late * FPS)
        per_frame = per_frame[np.clip(place, 0, len(per_frame) - 1)]
        answer = grades.move_findings(answer, -late)
    _store(uid, answer, per_frame)


def points_lost(
    scene: bpy.types.Scene, rig: head.Rig, entry: ThunderTake
) -> Generator[jobs.Step, None, float | None]:
    """Steps that score what a head plays on the frames of a take that was committed. Returns by how
    many points it is below the take; None if that cannot be measured, as without an engine."""
    frames, score = take_record.opening_of(entry.action), entry.score
    if frames is None or not take_list.speaks(entry) or not np.isfinite(score):
        return None
    with suppress(ThunderError):
        client, voice = connection.start_client(), strip.voice_of_take(bpy.context, entry)
        clock = take_record.clock_of_take(entry)
        motion = yield from jobs.stage(
            keying.read(rig, head.channel_names(), clock, len(frames) / FPS), "Scoring", 0.8, 0.85
        )
        answer, _ = yield from ask_score(
            client, scene, rig, voice, (motion, clock), entry, (0.85, 1.0)
        )
        reference = yield from _reference(client, scene, rig, voice, entry)
        return max(0.0, score - reference.correct(float(answer["total"]), np.zeros(0))[0])
    return None


def _reference(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice,
    entry: ThunderTake,
    quietly: bool = False,
) -> Generator[jobs.Step, None, line_records.LineScore]:
    """Steps that find what a take was scored with, and what it scores as read off a head that shows
    mouths and not how lips move: what is read of it after an edit is compared with that."""
    action, clock = entry.action, take_record.clock_of(entry.action)
    made = take_record.load(action) if rig.has_mouths_alone else None
    if action is None or made is None or clock is None or not np.isfinite(made.score):
        return line_records.LineScore(0.0)
    uid = action.session_uid
    key = uid, made.score, clock
    if key not in live.references:
        keyed = yield from jobs.stage(keying.values_of(rig, made, clock), "Scoring", 0.98, 0.98)
        frames = clock.frame(np.arange(made.motion.frames) / made.motion.fps) + 1e-6
        rows = np.clip(np.searchsorted(keyed.frames, frames, "right") - 1, 0, None)
        motion = yield from jobs.stage(
            keying.shown_motion(rig, keyed.values[rows], FPS), "Scoring", 0.98, 0.98
        )
        entry = take_list.by_uid(scene, uid)  # not held while the motion is read
        answer, _ = yield from ask_score(
            client, scene, rig, voice, (motion, clock), entry, (0.98, 0.99), quietly
        )
        live.references[key] = line_records.LineScore(made.score, float(answer["total"]))
    return live.references[key]


def ask_score(
    client: Client,
    scene: bpy.types.Scene,
    rig: head.Rig,
    voice: strip.Voice,
    motion_and_clock: tuple[Motion, Clock],
    entry: ThunderTake | None,
    span: tuple[float, float],
    quietly: bool = False,
    **how: Any,
) -> Generator[jobs.Step, None, tuple[dict, np.ndarray]]:
    """Steps in which the engine scores a motion with a voice. Returns its answer to “score” and the
    score of each frame [T].

    motion_and_clock: the motion, and the clock of its first frame.  entry: the take whose motion it
    is, None for none; it is not used after the first step.  span: the part of the progress bar.
    how: more arguments.
    """
    motion, clock = motion_and_clock
    state = fingerprint.of_take(entry) if entry is not None else voice.state
    text = transcript.text_of(scene, voice.name, state)
    with (
        mixdown.sound_for_engine(client, voice, quietly) as (path, mixing),
        temporary_arrays(client) as put,
    ):
        if entry is not None:
            how |= _direction_of(put, scene, entry, clock)
        language = transcript.language_of(scene, voice.name, state)
        how |= {"text": text, "language": language} if text else {}
        how |= {"expression": put(motion.expression), "jaw": put(motion.jaw)}
        yield from mixing
        answer = yield from connection.ask(client, "score", span, "Scoring", sound=path, **how)
        answer["text"] = text
        return answer, np.load(answer["per_frame"], allow_pickle=False)


def takes_to_score(context: bpy.types.Context) -> list:
    """The takes of the current head and voice that have no score, as generating stopped before, or
    one of other weights than those in use, and can be scored: their voice is as it was. Quick: for
    panels."""
    return [
        entry
        for entry in take_list.takes_of_voice(context)
        if (grades.has_old_score(entry) or grades.has_no_score(entry))
        and changes.change(context.scene, entry) is None
    ]


def without_verdict(scene: bpy.types.Scene) -> list[int]:
    """Session ids of the actions of a scene's takes whose grade is not known: generating stopped
    before, an undo took it away, or it is of the whole line or an earlier version."""
    pending = take_list.pending_batches()
    return [
        entry.action.session_uid
        for entry in scene.thunder.takes
        if take_list.verdict(entry) == take_list.WAITS
        and entry.action is not None
        and entry.batch not in pending
        and changes.change(scene, entry) is None
    ]


def score_again(
    client: Client, context: bpy.types.Context, uids: list[int] | None = None, quietly: bool = False
) -> Generator[jobs.Step, None, int]:
    """Steps that score takes as they are keyed now. Returns how many.

    uids: session ids of their actions; None: those of `takes_to_score`.  quietly: as of
    `score_steps`.  Their keys stay, and until the last step their scores. Raises ThunderError.
    """
    name = context.scene.name
    made: dict[int, tuple[dict, np.ndarray]] = {}
    if uids is None:
        uids = [entry.action.session_uid for entry in takes_to_score(context)]
    for number, uid in enumerate(uids):
        scene = bpy.data.scenes.get(name)
        entry = take_list.by_uid(scene, uid)
        if scene is None or entry is None:  # deleted meanwhile
            continue
        rig, state = take_list.rig_of(scene, entry), fingerprint.of_take(entry)
        start, end = number / len(uids), (number + 1) / len(uids)
        read = yield from jobs.stage(take_record.read(rig, entry), "Scoring", start, start)
        motion, clock = read.motion, take_record.clock_of_take(entry)
        if rig.sums is not None:  # new takes are scored by what the face shows of them
            motion = driving.visible_motion(motion, read.channels, rig.sums)
        voice = strip.of_state(scene, state) if state else strip.voice_of_take(bpy.context, entry)
        made[uid] = yield from ask_score(
            client, scene, rig, voice, (motion, clock), entry, (start, end), quietly
        )
    for uid, (answer, per_frame) in made.items():
        _store(uid, answer, per_frame, score=answer["total"])
    browsing.sort_again(made)
    live.version += 1
    return len(made)


def _direction_of(
    put_array: PutArray, scene: bpy.types.Scene, entry: ThunderTake, clock: Clock
) -> dict:
    """The arguments of a request that say how a take is played, {} if it does not say so itself.
    clock: of the motion that is scored, which may start later in the line than the take."""
    about = take_record.of_mouth(entry.action)
    request = take_record.request_of(about, scene.thunder) if "reading" in about else None
    direction = None if request is None else request.direction
    if direction is None:
        return {}
    if (of_take := take_record.clock_of(entry.action)) is not None:
        direction = direction.from_frame(round((clock.start - of_take.start) / clock.fps * FPS))
    return {"seed": entry.seed} | direction.to_record(put_array)


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
        known = replace(known, made=float(total))
        line_records.remember_score(action, line, known)
    return known.correct(total, per_frame)


def _keeps_score(scene: bpy.types.Scene, entry: ThunderTake) -> bool:
    """Whether a take speaks nothing, waits for the engine's score, or still has that of what it
    plays and neither its keys nor its voice were changed. Scored again from keys on whole frames
    it would get a little less, so the list would mix two kinds of scores."""
    if not take_list.speaks(entry) or entry.batch in take_list.pending_batches():
        return True
    first_score = keying.record_of(entry.action).get("score")
    if (
        entry.of_whole
        or not isinstance(first_score, (int, float))
        or take_record.sync_of(entry.action) is None
    ):
        return False
    if abs(first_score - entry.score) > 1e-3:
        return False
    return not take_record.is_edited(entry) and all(
        other.action != entry.action for other, _ in changes.stale_takes(scene)
    )


def known_findings(scene: bpy.types.Scene, entry: ThunderTake) -> list[findings.Finding] | None:
    """What is found in a take, in seconds of its clock, if it plays as it was scored, by the
    weights in use; else None."""
    if not _keeps_score(scene, entry) or grades.has_old_score(entry):
        return None
    found = findings.findings_of(keying.record_of(entry.action))
    return None if found is None else list(found)


def _store(uid: int, answer: dict, per_frame: np.ndarray, **first: float) -> None:
    """Store a new score for an action's take: the engine's answer to “score”, and the score of each
    frame. Not a separate undo step: undoing the edit restores the earlier score.

    first: the score where it takes the place of the one that it was made with.
    """
    entries = (entry for scene in bpy.data.scenes for entry in scene.thunder.takes)
    for entry in entries:
        if entry.action is not None and entry.action.session_uid == uid:
            entry.score, entry.of_whole = answer["total"], False
            take_record.store_sync(entry.action, per_frame)
            grades.keep_score(entry, **first, **grades.scored(answer))
            browsing.watch.look_at([uid])


# ---- when


class KeyWatch(jobs.Memory):
    """The keys that heads play, by which later ones are known to be others; known: checksums of
    actions, by session ids, until they may have changed."""

    def fingerprint(self, rig: head.Rig) -> str:
        """Identifies the keys that a head plays now."""
        animations = (target.animation_data for target in rig.targets)
        bound = (animation.action for animation in animations if animation is not None)
        actions = [action for action in dict.fromkeys(bound) if action is not None]
        for action in actions:
            if action.session_uid not in self.known:
                self.known[action.session_uid] = keying.checksum_of(action)
        return " ".join(self.known[action.session_uid] for action in actions)

    def actions_edited(self, scene: bpy.types.Scene, uids: set[int]) -> None:
        for uid in uids:
            self.known.pop(uid, None)

    def undone(self) -> None:
        self.known.clear()


watch = jobs.session.add(KeyWatch())


class LiveScore(jobs.Part):
    """Scores of the heads' current animation, and the scoring in progress.

    version: number of scorings, by which drawing code detects new scores.  why_failed: the reason
    why the last attempt gave no score, "" if it did.
    """

    def __init__(self) -> None:
        # animation other than takes: by head, action and voice, as of `_key_of`
        self.animation_scores: dict[tuple, SyncScore] = {}
        self.references: dict[tuple, line_records.LineScore] = {}  # as of `_reference`
        self.tried: set[tuple] = set()  # the same, with scores requested since the last edit
        # by action: mouth opening as last read, from which scene frame on
        self.openings: dict[int, tuple[float, np.ndarray]] = {}
        self.job: Generator[jobs.Step, None, None] | None = None
        self.watch = jobs.Watch()
        self.task = jobs.Task(self.step)
        self.why_failed = ""
        self.version = 0

    @property
    def is_running(self) -> bool:
        """Whether an edit waits to be scored or is being scored."""
        return self.job is not None or self.task.due is not None

    def score_soon(self) -> None:
        """Schedule scoring of the head's current animation for when Blender is idle."""
        if self.job is not None and self.job.gi_running:  # type: ignore[attr-defined]
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

    release = stop

    def actions_edited(self, scene: bpy.types.Scene, uids: set[int]) -> None:
        if bpy.app.background or not scene.thunder.live_score:
            return
        if uids & display.actions_on_heads(scene):
            self.score_soon()

    def undone(self) -> None:
        scene = bpy.context.scene
        if bpy.app.background or scene is None or not len(scene.thunder.takes):
            return
        # an undo does not start the engine for what the head plays
        is_watched = scene.thunder.live_score and connection.client().running
        if is_watched or without_verdict(scene):
            self.score_soon()

    def work_ended(self) -> None:
        scene = bpy.context.scene
        if not bpy.app.background and scene is not None and without_verdict(scene):
            self.score_soon()

    def step(self) -> float | None:
        """Score a little."""
        scene = bpy.context.scene
        if scene is None:
            self.stop()
            return None
        try:
            if self.job is not None and self.watch.lost():
                self.job.close()
                self.job = None
            if self.job is None:
                self.job = _score_idle(scene)
            end = time.monotonic() + jobs.STEP_SECONDS
            while time.monotonic() < end:
                if not next(self.job).busy:
                    break
            self.watch.look()
            return PAUSE_SECONDS
        except (StopIteration, ReferenceError):  # it is done, or what it scored was deleted
            self.why_failed = ""
        except (ThunderError, OSError) as error:
            self.why_failed = str(error)
        jobs.redraw(jobs.TIMELINES)
        self.job = None
        return None

    def file_opened(self) -> None:
        self.stop()
        self.animation_scores.clear()
        self.tried.clear()
        self.openings.clear()
        self.references.clear()


live = jobs.session.add(LiveScore())
