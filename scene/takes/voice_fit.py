# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits takes to voices: recordings of a face (Live Link Face, ARKit curves, our files) are placed
where they fit the voice, and scored; Re-sync makes takes follow one that was moved, trimmed,
replaced or retimed."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core.animation import motion_file
from ...thunder_core.animation.timing import Clock, monotone_cubic
from ...thunder_core.client import Client
from ...thunder_core.direction_words import of_part
from ...thunder_core.engine_python import find_tracker
from ...thunder_core.errors import BadSound, NoVoice, OutOfMemory
from ...thunder_core.face.moving.lips import opening_mm, width_mm
from ...thunder_core.filters import smoothstep
from ...thunder_core.progress import map_progress, rescale
from ...thunder_core.types import FPS, Keep, LISTENS, Motion, pack, unpack
from ..animation import display, keying
from ..engine import connection, install
from ..heads import head, rna_paths
from ..host import playback
from ..host.jobs import stage, Step
from ..voice import changes, fingerprint, mixdown, strip
from . import generation, grades, own_keys, take_list, take_record
from .commit import following
from .shape.applying import move

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake


# endings of a sound that was recorded with a capture
SOUNDS = (".wav", ".mov", ".mp4", ".m4a", ".flac", ".mp3", ".ogg", ".aif")
LIKELY = 0.55  # certainty from which on a place in the voice is used
_SAME_FRAMES = 2  # a capture as long as the voice that begins so near to its start begins with it
_LONGEST_NAME = 40  # letters of a take's name


@dataclass(frozen=True)
class CapturePlace:
    """Where a capture plays in a voice.

    seconds: of the voice at which it begins, below 0: earlier.  sure: 1 and more means certain.
    by: what tells it, “sound” or “mouth”; “” where it was typed or is not known.
    """

    seconds: float = 0.0
    sure: float = 0.0
    by: str = ""

    @property
    def sentence(self) -> str:
        """For the animator, after the name of the take."""
        begins = f"begins {self.seconds:+.2f} s from the beginning of the voice"
        if not self.by:
            return begins
        if self.sure < LIKELY:
            return (
                "begins with the voice, because neither its sound nor its mouth tells where "
                "it belongs: move it by Offset in Shape"
            )
        doubt = "" if self.sure >= 1 else ", probably: check it, and move it by Offset in Shape"
        return f"{begins}, found by its {self.by}{doubt}"


@dataclass(frozen=True)
class ImportedCapture:
    """A captured take in the list.  name: of the take.  place: in its voice, None without one.
    score: not a number without one.

    unscored: why it has none, "" for no special reason.  notes: sentences about a video.  read: how
    a table was read.
    """

    name: str
    place: CapturePlace | None
    score: float
    unscored: str = ""
    notes: Sequence[str] = ()
    read: str = ""


def follow_face(
    path: str, mirrored: bool, aspect: float
) -> Generator[Step, None, tuple[Motion, list[str]]]:
    """Steps that follow the face of an actor in a video, in a process of its own. Returns the
    motion from the video's beginning on, and sentences about it. Raises ThunderError."""
    with Client(find_tracker(install.TRACKER.venvs()), verbs="tracker") as client:
        to = os.path.join(client.folder, "face.npz")
        found = yield from connection.ask(
            client, "track", (0.0, 1.0), "Following the face", video=path, to=to, sheet="",
            aspect=aspect, mirrored=mirrored,
        )  # fmt: skip
        motion, _ = motion_file.read(to)
    frames = motion.frames + round(found["start"] * FPS)
    return motion_file.place_in_voice(motion, -found["start"], frames), found["notes"]


def sound_beside(path: str) -> str:
    """The file of the sound, or film, that was recorded with a capture: of the same name; "" for
    none."""
    stem = os.path.splitext(path)[0]
    names = (stem + ending for low in SOUNDS for ending in (low, low.upper()))
    return next((name for name in names if os.path.isfile(name)), "")


def list_capture(
    client: Client | None,
    context: bpy.types.Context,
    path: str,
    rate: float,
    mirrored: bool = False,
    aspect: float = 0.0,
) -> Generator[Step, None, ImportedCapture]:
    """Steps that list a capture as a take of the chosen head and voice, and show it.

    client: None without a voice.  rate: as of `motion_file.read_recording`.  mirrored: whether
    a video is a mirror's.  aspect: width of its pixels, 0: as it says.  Raises ThunderError, and
    then nothing was changed.
    """
    scene, rig = context.scene, head.find(context.scene, context.object)
    head.check_animatable(rig)
    voice, names = strip.current(context), (scene.name, rig.mesh.name)
    state = None if voice is None else voice.state_in(scene)
    listens = context.scene.thunder.head_role == LISTENS.upper()
    yield Step(0.02, "Reading the capture")
    place, answer, unscored, notes, read = None, {}, "", [], ""
    if is_video := path.lower().endswith(motion_file.VIDEOS):
        motion, notes = yield from follow_face(path, mirrored, aspect)
    else:
        steps = motion_file.read_recording(path, head.channel_names(), rate)
        motion, read = yield from stage(steps, "Reading the capture", 0.02, 0.05, busy=False)
    if voice is not None:
        place = CapturePlace(0.0)
        with mixdown.sound_for_engine(client, voice) as (sound, mixing):
            yield from mixing
            recorded = path if is_video else sound_beside(path)
            alignment = yield from connection.ask_about(
                client,
                "align",
                motion,
                (0.05, 0.4),
                "Starting engine",
                sound=sound,
                **({"recorded": recorded} if recorded else {}),
            )
            frames = max(1, round(alignment["sound_seconds"] * FPS))
            if not (listens and alignment["by"] == "mouth"):
                place = _settle_place(alignment, motion, frames)
            motion = motion_file.place_in_voice(motion, -place.seconds, frames)
            if not listens:
                answer, unscored = yield from _score(client, sound, motion)
    scene, rig = head.look_up(*names)
    clock = Clock.of(scene, scene.frame_current if voice is None else voice.clock.start)
    name = os.path.splitext(os.path.basename(path))[0][:_LONGEST_NAME]
    about = {
        take_record.CAPTURED: os.path.basename(path),
        **({"role": LISTENS} if listens else {}),
        **(grades.scored(answer) if answer else {}),
    }
    performance = keying.TakeData(
        motion, head.channel_names(), opening_mm(motion), width_mm(motion), 0,
        answer.get("total", math.nan), about,
        answer.get("per_frame"),
    )  # fmt: skip
    spoken = name if voice is None else voice.name
    actions = yield from stage(
        keying.write_take(rig, performance, clock, f"{spoken} · {name}"),
        "Keying the capture",
        0.7,
        0.98,
    )
    batch = take_list.next_batch(scene)
    entry = take_list.add_to_list(
        scene, rig, actions, performance, spoken, clock, kind="CAPTURED", name=name
    )
    entry.batch = batch
    fingerprint.remember(actions[0], state)
    if voice is not None and voice.strip and not listens:
        strip.keep_speaker(scene, voice.name, rig.mesh)
    display.show(rig, entry)
    return ImportedCapture(entry.name, place, entry.score, unscored, notes, read)


def _settle_place(found: dict, motion: Motion, frames: int) -> CapturePlace:
    """The place that the engine found; the voice's beginning if that is uncertain, or nearly there
    for a capture of the same length."""
    place = CapturePlace(found["seconds"], found["sure"], found["by"])
    is_whole = (
        abs(motion.frames - frames) <= _SAME_FRAMES and abs(place.seconds) * FPS <= _SAME_FRAMES
    )
    return CapturePlace(0.0, place.sure, place.by) if is_whole or place.sure < LIKELY else place


def _score(client: Client, sound: str, motion: Motion) -> Generator[Step, None, tuple[dict, str]]:
    """Steps that score a motion with a sound. Returns the answer with `per_frame` [T], and "";
    or {} and why it has no score."""
    try:
        answer = yield from connection.ask_about(
            client, "score", motion, (0.4, 0.7), "Ranking by lip-sync", sound=sound
        )
    except (BadSound, NoVoice, OutOfMemory) as error:
        return {}, str(error)
    return answer | {"per_frame": np.load(answer["per_frame"], allow_pickle=False)}, ""


_FADE = 6  # motion frames of the blend between resampled and kept frames
_SAME_SCORE = 1e-3  # difference of scores that is rounding
_LEAST_NEW = 2  # motion frames: a shorter new part is held, not sampled


def resync(
    client: Client | None,
    scene: bpy.types.Scene,
    kinds: list[str] | None = None,
    left: list[str] | None = None,
) -> Generator[Step, None, list[str]]:
    """Steps that make every stale take of a scene, and what is committed, fit its voice again.

    Moved: the keys move along, edited or not. Trimmed, or the scene's rate changed: keyed again
    from the take's motion. Longer: only the new part is sampled, and blended with the existing
    one. Another sound: sampled again with the take's seed. If more than a move is needed and keys
    were edited, or if a take was mixed and its seed cannot make it again, it stays unchanged after
    the new one, which has the edited keys where the same sound plays.

    A piece that was cut off the voice and moved alone gets its part of the takes, keyed from their
    motion and listed with it.

    client may be None if nothing needs the engine (`needs_engine`). Returns the kind of each
    change, as in changes.Change, OTHER_WEIGHTS for one that was sampled with other weights than
    before, PIECE for each take that a piece got, and LINE for each committed line that was moved.
    kinds: a list that receives them as they are made.  left: one that receives a sentence for each
    committed line that was not moved, and for each take that stays. Raises ThunderError.
    """
    scene_name, kinds = scene.name, [] if kinds is None else kinds
    left = [] if left is None else left
    yield from map_progress(
        following.follow(scene, left, lambda count: kinds.extend(["LINE"] * count)),
        lambda fraction: Step(0.0, "Moving committed lines", True),
    )
    stale = [entry for entry, _ in changes.stale_takes(scene)]
    todo = [
        (entry.action.session_uid, piece)
        for entry in stale
        for piece in (*_pieces(scene, entry), None)
    ]
    for number, (uid, piece) in enumerate(todo):
        # Looked up again, because the animator continues working meanwhile.
        scene = bpy.data.scenes.get(scene_name)
        stale = changes.stale_takes(scene) if scene else ()
        entry, changed = next(
            ((entry, changed) for entry, changed in stale if entry.action.session_uid == uid),
            (None, None),
        )
        if entry is None:
            continue
        kind = "PIECE" if piece is not None else changed.kind
        begun = Step(number / len(todo), f"Re-syncing take {number + 1} of {len(todo)}", busy=True)
        yield begun
        if kind == "PIECE":
            yield from map_progress(_key_part(scene, entry, piece), lambda fraction: begun)
        elif kind == "MOVED":
            steps = _move(scene, entry, fingerprint.of_take(entry), changed.now)
            yield from map_progress(steps, lambda fraction: begun)
        else:
            kind = yield from map_progress(
                _remake(client, scene, entry, changed, left),
                lambda step: replace(
                    step,
                    fraction=begun.fraction + step.fraction / len(todo),
                    message=begun.message if step.busy else step.message,
                ),
            )
        kinds.append(kind)
    return kinds


def needs_engine(scene: bpy.types.Scene) -> bool:
    """Whether any stale take has to be sampled again, wholly or in part."""
    return any(changed.kind == "CHANGED" for _, changed in changes.stale_takes(scene))


def _move(
    scene: bpy.types.Scene, entry: ThunderTake, then: fingerprint.State, now: fingerprint.State
) -> Generator[float, None, None]:
    """Shift a take's keys, and all records of their position, along with its voice."""
    frames = now.origin - then.origin
    rig = take_list.rig_of(scene, entry)
    first, last = round(entry.first + frames), round(entry.last + frames)
    with _later_source(entry.action, frames), take_record.checksums_follow(entry):
        yield from move(rig, entry, frames)
    entry.first, entry.last = first, last
    fingerprint.remember(entry.action, now)
    rna_paths.tag(rig.targets)


@contextmanager
def _later_source(action: bpy.types.Action, frames: float) -> Iterator[None]:
    """Let a take's motion begin later while its keys are moved, and from then on; closed early it
    begins where it did."""

    def shift(by: float) -> None:
        source = take_record.source_of(action) if playback.is_there(action) else None
        if source is not None:
            source["start"] = float(source["start"]) + by

    shift(frames)
    try:
        yield
    except BaseException:
        shift(-frames)
        raise


def _remake(
    client: Client | None,
    scene: bpy.types.Scene,
    entry: ThunderTake,
    changed: changes.Change,
    left: list[str],
) -> Generator[Step, None, str]:
    """Steps that key a take again for the current voice, and replace the previous one. Returns the
    kind of the change, OTHER_WEIGHTS if it was sampled with others than before."""
    rig = take_list.animatable_rig(scene, entry)
    uid, names = entry.action.session_uid, (scene.name, rig.mesh.name)
    then, now = fingerprint.of_take(entry), changed.now
    performance = yield from stage(take_record.read(rig, entry), "Reading the take", 0.0, 0.0)
    voice = strip.of_state(scene, now)
    request = replace(
        take_record.request_of(performance.provenance, scene.thunder),
        seed=performance.seed, sums=rig.sums,
    )  # fmt: skip
    clock = Clock(float(now.first) if now.strip else voice.clock.start, now.fps)
    if now.sound == then.sound and now.retiming == then.retiming:
        offset = now.seconds[0] - then.seconds[0] if then.last else 0.0
        length = (now.last - now.first) / now.fps if now.last else performance.motion.frames / FPS
        fitted, inside = cut_to(performance, offset, max(1, round(length * FPS)))
        if (~inside).sum() >= _LEAST_NEW:
            mask = np.repeat(inside[:, None], pack(fitted.motion).shape[1], axis=1)
            around = replace(request, keep=Keep(fitted.motion, mask))
            (sampled,) = yield from generation.sample_voice(client, voice, around)
            fitted = fill_gaps(fitted, inside, sampled)
    else:
        (fitted,) = yield from generation.sample_voice(client, voice, request)
    if bpy.data.scenes.get(names[0]) is None:
        return changed.kind
    scene, rig = head.look_up(*names)
    name = next((action.name for action in bpy.data.actions if action.session_uid == uid), "take")
    actions = yield from stage(
        _key_again(scene, rig, uid, fitted, clock, name, then, now),
        "Writing keys of the take", 0.95, 0.95,
    )  # fmt: skip
    _replace(scene, rig, uid, actions, fitted, clock, now, left)
    before = performance.provenance.get("weights")
    return changed.kind if before in (None, fitted.provenance.get("weights")) else "OTHER_WEIGHTS"


def _key_again(
    scene: bpy.types.Scene,
    rig: head.Rig,
    uid: int,
    performance: keying.TakeData,
    clock: Clock,
    name: str,
    then: fingerprint.State,
    now: fingerprint.State,
) -> Generator[float, None, list[bpy.types.Action]]:
    """New actions of the take with that id for its voice as it plays now, with the keys that the
    animator edited where the same sound plays. Yields progress."""
    actions = yield from rescale(keying.write_take(rig, performance, clock, name), 0.0, 0.7)
    entry = take_list.by_uid(scene, uid)
    same = (now.sound, now.retiming, now.fps) == (then.sound, then.retiming, then.fps)
    if same and then.last and entry is not None and take_record.is_edited(entry):
        yield from rescale(own_keys.carry(rig, entry, actions, then, now), 0.7, 1.0)
    return actions


def _pieces(scene: bpy.types.Scene, entry: ThunderTake) -> list[fingerprint.State]:
    """The pieces that were cut off a take's voice and moved, and that its head has no takes of."""
    taken = {other.voice for other in scene.thunder.takes if other.head == entry.head}
    return [
        piece
        for piece in changes.pieces_cut_away(scene, fingerprint.of_take(entry))
        if piece.strip not in taken
    ]


def _key_part(
    scene: bpy.types.Scene, entry: ThunderTake, piece: fingerprint.State
) -> Generator[float, None, None]:
    """Key the part of a take that a piece of its voice plays, and list it as a take of the piece,
    with the same name. Yields progress."""
    rig = take_list.animatable_rig(scene, entry)
    then, uid = fingerprint.of_take(entry), entry.action.session_uid
    kind, role = entry.kind, entry.role
    kept = take_list.marks_of(entry) | {"name": entry.name, "of_whole": True}
    performance = yield from rescale(take_record.read(rig, entry), 0.0, 0.3)
    fitted, _ = cut_to(
        performance,
        piece.seconds[0] - then.seconds[0],
        max(1, round((piece.last - piece.first) / piece.fps * FPS)),
    )
    clock = Clock(float(piece.first), piece.fps)
    scene, rig = head.look_up(scene.name, rig.mesh.name)
    name = f"{piece.strip} · {kept['name']}"
    keyed = _key_again(scene, rig, uid, fitted, clock, name, then, piece)
    actions = yield from rescale(keyed, 0.3, 1.0)
    new_entry = take_list.add_to_list(scene, rig, actions, fitted, piece.strip, clock, kind)
    take_list.set_all(new_entry, kept)
    _keep_verdict(take_list.by_uid(scene, uid), new_entry)
    fingerprint.remember(actions[0], piece)
    if role != LISTENS.upper():
        strip.keep_speaker(scene, piece.strip, rig.mesh)


def _keep_verdict(old: ThunderTake | None, new_entry: ThunderTake) -> None:
    """Let the score of a take that has the edited keys of another be no older than that one's."""
    if take_record.is_edited(new_entry) and old is not None and not take_record.is_outdated(old):
        grades.keep_score(new_entry)


def cut_to(
    performance: keying.TakeData, offset: float, frames: int
) -> tuple[keying.TakeData, np.ndarray]:
    """A take from `offset` seconds on (before its beginning if negative), for `frames` motion
    frames.

    Returns it and, bool [frames], True for existing ones: the others hold its ends. An offset of
    whole motion frames copies them bit for bit.
    """
    motion = performance.motion
    position = np.arange(frames) + offset * FPS
    if abs(position[0] - round(position[0])) < 1e-3:
        position = np.round(position)
    inside = (position > -0.5) & (position < motion.frames - 0.5)
    position = position.clip(0, motion.frames - 1)

    def resample(values: np.ndarray | None):
        if values is None:
            return None
        if (position == np.round(position)).all():
            return values[position.astype(int)].copy()
        return (
            monotone_cubic(values.reshape(len(values), -1).astype(np.float64), position)
            .reshape(len(position), *values.shape[1:])
            .astype(np.float32)
        )

    fitted = Motion(
        *(resample(part) for part in (motion.expression, motion.jaw, motion.head, motion.eyes)),
        fps=motion.fps,
    )
    sync = performance.sync_per_frame
    sync = resample(sync) if sync is not None and len(sync) == motion.frames else None
    return replace(
        performance,
        motion=fitted,
        provenance=of_part(performance.provenance, offset, frames / FPS),
        opening=resample(performance.opening),
        width=resample(performance.width),
        sync_per_frame=sync,
        look=None,
    ), inside


def fill_gaps(old: keying.TakeData, inside: np.ndarray, new: keying.TakeData) -> keying.TakeData:
    """A take that equals `old` bit for bit where that has frames, and elsewhere `new`, blended into
    it; which words `old` hits, and what is new in it, only that knows."""
    frames = min(len(inside), new.motion.frames)
    a, b = pack(old.motion)[:frames], pack(new.motion)[:frames].astype(np.float64)
    inside = inside[:frames]
    kept = np.flatnonzero(inside)
    if len(kept):
        for edge, places in (
            (kept[0], np.arange(kept[0])),
            (kept[-1], np.arange(kept[-1] + 1, frames)),
        ):
            near = smoothstep((1.0 - np.abs(places - edge) / _FADE).clip(0.0, 1.0))
            b[places] += near[:, None] * (a[edge] - b[edge])
    motion = unpack(np.where(inside[:, None], a, b), old.motion.expression.shape[1])
    sync = None
    if old.sync_per_frame is not None and new.sync_per_frame is not None:
        sync = np.where(inside, old.sync_per_frame[:frames], new.sync_per_frame[:frames])
    return replace(
        new, motion=motion, opening=opening_mm(motion), width=width_mm(motion),
        provenance=old.provenance | new.provenance, sync_per_frame=sync,
    )  # fmt: skip


def _replace(
    scene: bpy.types.Scene,
    rig: head.Rig,
    uid: int,
    actions: list,
    performance: keying.TakeData,
    clock: Clock,
    now: fingerprint.State,
    left: list[str],
) -> None:
    """List a remade take in place of the take with that id, or before it if the animator edited its
    keys or it is another take: then `left` receives a sentence."""
    entries, old = scene.thunder.takes, take_list.by_uid(scene, uid)
    if old is None:  # deleted meanwhile: the result is not needed
        playback.remove(actions)
        return
    index, then = list(entries).index(old), fingerprint.of_take(old)
    is_edited, shown = take_record.is_edited(old), display.is_shown(rig, old)
    has_edits = is_edited and (now.sound, now.retiming) == (then.sound, then.retiming)
    # its seed does not reproduce it: it is a different take
    beside = now.sound != then.sound and old.kind != "SAMPLED"
    new_entry = take_list.add_to_list(
        scene, rig, actions, performance, old.voice, clock, "SAMPLED" if beside else old.kind
    )
    old = entries[index]  # adding an item may have moved the list in memory
    if now.strip:
        new_entry.voice = now.strip
    take_list.set_all(new_entry, take_list.marks_of(old))
    # A take that was shortened is not scored again: that would need the engine.
    before = take_record.opening_of(old.action)
    shorter = before is not None and performance.motion.frames < len(before)
    new_entry.of_whole = abs(performance.score - old.score) < _SAME_SCORE and (
        shorter or old.of_whole
    )
    _keep_verdict(old, new_entry)
    fingerprint.remember(actions[0], now)
    entries.move(len(entries) - 1, index)
    new_entry, old = entries[index], entries[index + 1]
    if shown and (has_edits or not (beside or is_edited)):
        display.show(rig, new_entry)
    name = old.name
    if not (beside or is_edited):
        take_list.remove(scene, index + 1)
        entries[index].name = name
        return
    # the animator's version stays and is no longer compared with its voice
    old.action.pop(fingerprint.STATE, None)
    if has_edits:
        old.name = take_list.free_name(scene, f"{name} before Re-sync", old.head, old.voice)
        new_entry.name = name
        left.append(f"“{name}” fits the voice with its edits; as it was it is “{old.name}”")
    else:
        left.append(
            f"“{name}” was {'edited' if is_edited else 'mixed'} and stays as it was; "
            f"“{new_entry.name}” fits the voice"
        )
