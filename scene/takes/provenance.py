# SPDX-License-Identifier: GPL-3.0-or-later
"""How a take was made: the request for it, what the engine says of it, and the motion at 25 fps
that its keys are of, stored on its action, so that it survives saving and appending."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import bpy
import numpy as np

from ...thunder_core import findings, records
from ...thunder_core.animation import motion_file
from ...thunder_core.animation.gaze import GazeTarget
from ...thunder_core.animation.timing import Clock
from ...thunder_core.batch.settings import LARGEST_SEED, MOST_TAKES
from ...thunder_core.direction import DirectionRequest
from ...thunder_core.direction_words import choice_of_take, of_part, words_of_take
from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.face.lips import opening_mm, width_mm
from ...thunder_core.findings import Finding, OPEN
from ...thunder_core.request import QUALITIES, Request, seed_of_voice
from ...thunder_core.types import FPS, IDLE, LISTENS, Motion, SPEAKS
from ..animation import display, keying
from ..engine import connection
from ..heads import head, head_state
from ..host.jobs import Memory, Recent, session
from ..voice import fingerprint, strip
from . import transcript


def request_of(about: Mapping, settings, takes: int = 1) -> Request:
    """The request that a take was sampled for, so that its seed makes it again; by the settings
    where its provenance does not tell."""
    if str(about.get("quality")) in QUALITIES or "steps" in about:
        with suppress(*records.UNREADABLE, BadRequest):
            return replace(Request.of_record(about), takes=takes)
    return Request.of(settings, takes=takes)


# what the engine says of a take that is stored elsewhere: in the request's record, and with keys
_ELSEWHERE = {"seed", "score", "weights_origin", "marks", "text"}


def of_made(request: Request, made: Mapping) -> dict:
    """The provenance stored with a take of a request; made: the engine's of the take."""
    about = {name: value for name, value in made.items() if name not in _ELSEWHERE}
    # a .blend holds no lists in lists
    about |= {name: json.dumps(made[name]) for name in ("choice", "moved") if name in made}
    return request.to_record() | about


def why_not_ours(name: str, provenance: Mapping) -> str:
    """Why a take is not sampled again if another system made it, as in files of earlier versions,
    else "". name: of the take."""
    if not (system := provenance.get("system")):
        return ""
    return (
        f"{name} was made by “{system}”, which is compared in the laboratory only: press Generate "
        f"Takes for new ones"
    )


def role_of(provenance: Mapping) -> str:
    """Role of a take's face: SPEAKS, LISTENS or IDLE."""
    role = provenance.get("role")
    return role if role in (LISTENS, IDLE) else SPEAKS


def is_same_direction(
    one: DirectionRequest | None,
    other: DirectionRequest | None,
    names: Sequence[str] = ("spread", "exact_first", "like", "marks", "text"),
) -> bool:
    """Whether two directions are the same, with their fields of these names."""
    if one is None or other is None:
        return one is other
    pairs = (one.vectors, other.vectors), (one.as_heard, other.as_heard)
    alike = all(a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5) for a, b in pairs)
    return alike and all(getattr(one, name) == getattr(other, name) for name in names)


def is_same_request(one: Request, other: Request) -> bool:
    """Whether takes of one seed are the same for both."""
    return (
        (one.settings, one.listening, one.turns) == (other.settings, other.listening, other.turns)
    ) and is_same_direction(one.direction, other.direction, ("spread", "marks", "text"))


# property of a take's first action: the motion and the start of its sound
SOURCE = "thunder_source"
SYNC = "thunder_drift"  # likewise: lip-sync of each frame, 0 … 100, 25 fps
LOOK = "thunder_look"  # likewise: the eyes' target and their original movement
MOUTH = "mouth_of"  # of a mix: provenance of the take whose mouth it has
CAPTURED = "captured"  # of a captured take: the name of its file
SCORED_BY = "scored_by"  # of a take scored later than made: fingerprint of the weights that did
OF_SCORE = ("parts", "findings")  # of a take with a score, as `LipSyncScore.to_record`
SCORED_TEXT = "scored_text"  # likewise: what the voice said when it was
SCORED_KEYS = "scored_keys"  # likewise: checksum of the keys that were scored
_ROTATIONS = ("jaw", "head", "eyes")


def store(action, performance: keying.TakeData, clock: Clock, voice: str) -> None:
    """Store a performance on an action, with the scene frame and rate at which its first sample
    plays, and its voice's name."""
    motion = performance.motion
    kept = {
        records.KEY: records.VERSION,
        "channels": "\n".join(performance.channels),
        "motion_fps": float(motion.fps),
        "start": float(clock.start),
        "fps": float(clock.fps),
        "frames": int(motion.frames),
        "voice": voice,
        "expression": _flat(motion.expression),
        "opening": _flat(performance.opening),
        "width": _flat(performance.width),
    }
    kept |= {
        name: _flat(getattr(motion, name))
        for name in _ROTATIONS
        if getattr(motion, name) is not None
    }
    action[SOURCE] = kept
    look = performance.look
    if look is not None:
        parts = {
            name: _flat(getattr(look, name))
            for name in ("points", "joint", "eyes", "own", "own_head")
        }
        action[LOOK] = {
            records.KEY: records.VERSION,
            "leaves": float(look.leaves),
            "follows": float(look.follows),
            **parts,
        }
    else:
        action.pop(LOOK, None)
    if performance.sync_per_frame is not None:
        store_sync(action, performance.sync_per_frame)


def source_of(action):
    """The properties that an action carries of its performance; None if it carries none, or if a
    later version wrote them or they do not fit together."""
    record = action.get(SOURCE)
    try:
        frames, channels = record["frames"], len(record["channels"].split("\n"))
        sizes = {"expression": frames * channels, "opening": frames, "width": frames}
        sizes |= {name: 3 * frames for name in _ROTATIONS if name == "jaw" or name in record}
        valid = (
            records.is_readable(record)
            and math.isfinite(record["start"])
            and min(record["fps"], record["motion_fps"], frames) > 0
            and all(len(record[name]) == size for name, size in sizes.items())
        )
    except records.UNREADABLE:
        return None
    return record if valid else None


def load(action) -> keying.TakeData | None:
    """The performance that an action was keyed from, None if it carries none. About a millisecond
    for a minute."""
    record = source_of(action)
    if record is None:
        return None
    frames, channels = record["frames"], tuple(record["channels"].split("\n"))
    rotations = {
        name: _array(record[name]).reshape(frames, 3) if name in record else None
        for name in _ROTATIONS
    }
    motion = Motion(
        _array(record["expression"]).reshape(frames, len(channels)),
        **rotations,
        fps=float(record["motion_fps"]),
    )
    about = about_of(action)
    seed, score = _numbers_in(about)
    return keying.TakeData(
        motion,
        channels,
        _array(record["opening"]),
        _array(record["width"]),
        seed,
        score,
        about,
        sync_of(action),
        _look_of(action, frames),
    )


def _look_of(action, frames: int) -> GazeTarget | None:
    """The target of the eyes of a take of `frames` frames, None if its action has no valid one."""
    record = action.get(LOOK)
    sizes = {"points": frames, "own": frames, "own_head": frames, "joint": 1, "eyes": 1}
    try:
        parts = {name: _array(record[name]).reshape(rows, 3) for name, rows in sizes.items()}
        shares = {name: float(record[name]) for name in ("leaves", "follows")}
        valid = records.is_readable(record)
    except records.UNREADABLE:
        return None
    places = {name: parts.pop(name)[0] for name in ("joint", "eyes")}
    return GazeTarget(**parts, **places, **shares) if valid else None


def clock_of(action) -> Clock | None:
    """Position of a take's sound when it was keyed, None if its action does not store it."""
    record = source_of(action)
    return None if record is None else Clock(float(record["start"]), float(record["fps"]))


def clock_of_take(entry) -> Clock:
    """The same of a take in the list; by its first frame where its action does not store it."""
    return clock_of(entry.action) or Clock.of(entry.id_data, entry.first)


def opening_of(action) -> np.ndarray | None:
    """Mouth opening of a take as it was made, float32 [T] in mm at 25 fps, None if its action does
    not store it."""
    record = source_of(action)
    return None if record is None else _array(record["opening"])


def store_sync(action, per_frame: np.ndarray) -> None:
    """Store the lip-sync of each frame (25 fps) of a take, [T] of 0 … 100."""
    action[SYNC] = _flat(per_frame)


def sync_of(action) -> np.ndarray | None:
    """Lip-sync of each frame of a take, float32 [T] at 25 fps, None if it was not measured."""
    values = action.get(SYNC)
    return _array(values) if getattr(values, "typecode", "") in ("f", "d") else None


def remove_data(action) -> None:
    """Remove a take's data from an action that is no longer one."""
    for name in (SOURCE, SYNC, LOOK):
        action.pop(name, None)


def read(rig: head.Rig, entry) -> Generator[float, None, keying.TakeData]:
    """Read a take in its current state, shown or not: its source, or its keys if they were edited
    or it has no source.

    Returns the TakeData; its sync_per_frame is None if keys were read.
    """
    action = entry.action
    sampled = load(action)
    if sampled is not None and not is_edited(entry):
        return sampled
    clock = clock_of_take(entry)
    frames = (
        max(1, round((entry.last - entry.first) / clock.fps * FPS) + 1)
        if sampled is None
        else sampled.motion.frames
    )
    channels = head.channel_names()
    motion = yield from keying.read_curves(
        rig, display.curves_of(rig, entry), channels, clock.frame(np.arange(frames) / FPS)
    )
    about = about_of(action)
    seed, score = _numbers_in(about)
    return keying.TakeData(
        motion, channels, opening_mm(motion), width_mm(motion), seed, score, about
    )


def is_edited(entry) -> bool:
    """Whether the animator changed the keys of a take since it was made. Reads them all: some
    milliseconds."""
    return _differs(entry, "checksum")


def is_outdated(entry) -> bool:
    """Whether they were changed since the take was scored. As slow."""
    return _differs(entry, SCORED_KEYS, "checksum")


def _differs(entry, *names: str) -> bool:
    """Whether the keys of a take are others than those whose checksum has the first of these names
    in its record."""
    for action in display.actions_of(entry):
        about = keying.record_of(action)
        known = next((about[name] for name in names if name in about), None)
        if known is None or not _is_of(known, action):
            return True
    return False


def _is_of(checksum, action) -> bool:
    return checksum == keying.checksum_of(action, checksum)


@contextmanager
def checksums_follow(entry) -> Iterator[None]:
    """Move all keys of a take within this block: checksums in its record that its keys had before
    become those that they have afterwards; others, of keys before an edit, stay."""
    alike = []
    for action in display.actions_of(entry):
        about = keying.record_of(action)
        names = [name for name in ("checksum", SCORED_KEYS) if name in about]
        alike.append([name for name in names if _is_of(about[name], action)])
    yield
    for action, names in zip(display.actions_of(entry), alike):
        if names:
            keying.record_of(action).update(dict.fromkeys(names, keying.checksum_of(action)))


def keep_score(entry, **about) -> None:
    """Store what is known of the score of a take's keys as they are now. about: by the names of its
    provenance."""
    for action in display.actions_of(entry):
        if record := keying.record_of(action):
            record.update(about | {SCORED_KEYS: keying.checksum_of(action)})


def replace_scored_text(entry, before: str, now: str) -> None:
    """Keep the score of a take whose voice was cut: where it was scored with the text from before,
    note the text that is left."""
    for action in display.actions_of(entry):
        if (record := keying.record_of(action)) and _scored_text(record) == before.strip():
            record[SCORED_TEXT] = now


def about_of(action) -> dict:
    """Provenance of a take's action, without what describes its keys."""
    record = keying.record_of(action)
    about = record.to_dict() if record else {}
    # these are of the keys
    of_keys = (records.KEY, "checksum", SCORED_KEYS)
    return {name: value for name, value in about.items() if name not in of_keys}


def made_from(action) -> str:
    """Name of the take that a resampled or mixed one was made from, "" for none."""
    about = keying.record_of(action)
    mixed = about.get("mixed")
    return str(about.get("kept") or (mixed.get("upper_face") if hasattr(mixed, "get") else ""))


def of_mouth(action) -> dict:
    """Provenance of the take whose mouth an action's take has: in a mix that of another one; {} if
    it is of several."""
    about = about_of(action)
    mouth = about.get(MOUTH) if "mixed" in about else about
    return mouth if isinstance(mouth, dict) else {}


def weights_of(entry) -> str | None:
    """The fingerprint of the weights that made the mouth of a take, None where it is not known."""
    return of_mouth(entry.action).get("weights")


def has_old_score(entry) -> bool:
    """Whether other weights than those in use, or an earlier version, have scored a take, or not
    with what its voice is now said to say, so that its score cannot be compared with new ones.
    Quick: for every redraw."""
    about, in_use = keying.record_of(entry.action), connection.weights_in_use()
    if not (about and in_use and entry.role == SPEAKS.upper() and math.isfinite(entry.score)):
        return False
    if about.get(SCORED_BY, about.get("weights")) != in_use or "findings" not in about:
        return True
    said, of_voice = _scored_text(about), (entry.id_data, entry.voice)
    return said != transcript.text_of(*of_voice) and (
        said != transcript.text_of(*of_voice, fingerprint.of_take(entry))
    )


def _scored_text(about) -> str:
    """What the voice of a take said when it was scored, from its provenance."""
    return str(about.get(SCORED_TEXT, about.get("text", ""))).strip()


def has_no_score(entry) -> bool:
    """Whether a take that speaks is not scored, as while it arrives and once that was stopped."""
    is_there = entry.action is not None
    return is_there and entry.role == SPEAKS.upper() and not math.isfinite(entry.score)


def rank(entry) -> tuple[bool, float]:
    """How good a take is by its score, more is better: scores of the weights in use are above
    others, takes without a score last."""
    score = entry.score if math.isfinite(entry.score) else -1.0
    return score >= 0 and not has_old_score(entry), score


def words_of(entry) -> str:
    """What the list says of a take; where its strip was trimmed since, of the part that is left.
    Quick: for every redraw."""
    changed = None if entry.action is None else fingerprint.change(entry.id_data, entry)
    if changed is None or changed.kind != "CUT":
        return entry.words
    begin, end = changed.now.seconds
    about = about_of(entry.action)
    left = of_part(about, begin - fingerprint.of_take(entry).seconds[0], end - begin)
    whole, part = (sum(map(len, choice_of_take(each)[:3])) for each in (about, left))
    return entry.words if part == whole else words_of_take(left)


def style_of_take(action) -> np.ndarray | None:
    """The direction of an action's take, float32 [DIRECTION_NAMES], the mean over its line; None if
    not stored."""
    return motion_file.style_of_take(keying.record_of(action))


def _flat(values) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).ravel()


def _array(values) -> np.ndarray:
    return np.array(values, np.float32)


def _numbers_in(about: dict) -> tuple[int, float]:
    """Take the seed and the score out of a take's provenance; the latter is not a number where it
    was not measured."""
    seed, score = (about.pop(name, math.nan) for name in ("seed", "score"))
    return seed if isinstance(seed, int) else 0, math.nan if role_of(about) != SPEAKS else score


_ICONS = {findings.GOOD: "CHECKMARK", findings.CHECK: "QUESTION", findings.POOR: "ERROR"}


@dataclass(frozen=True)
class Grade:
    """The verdict on a lip-sync.

    name: good, check or poor.  icon: Blender's name.  reason: what is most noticeable, "" of good
    ones.  spans: scene frames, first and last, of what is found, most noticeable first.
    """

    name: str
    icon: str
    reason: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, found: Sequence[Finding], clock: Clock, rig: head.Rig | None) -> "Grade":
        """The grade of what was found in a head's animation whose sound begins at clock.start."""
        name, found = findings.grade(found), in_own_millimetres(found, rig)
        spans = tuple(each.frames(clock.frame) for each in found)
        reason = found[0].sentence(clock.fps, "frames {}–{}".format(*spans[0])) if found else ""
        return cls(name, _ICONS[name], reason, spans)

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.name.capitalize() + (f": {self.reason}" if self.reason else "")


def in_own_millimetres(found: Sequence[Finding], rig: head.Rig | None) -> list[Finding]:
    """Findings of the engine, in millimetres of a head's own lips where the head is known."""
    return [
        replace(each, size=each.size * rig.meter.scale) if each.kind == OPEN and rig else each
        for each in found
    ]


def scored(answer: Mapping) -> dict:
    """What the provenance of an animation says of the engine's answer to “score”."""
    by = {SCORED_BY: answer["weights"], SCORED_TEXT: answer.get("text", "")}
    return {name: answer[name] for name in OF_SCORE} | by


def move_findings(answer: dict, seconds: float) -> dict:
    """An answer to “score” whose findings are so many seconds later."""
    if not seconds:
        return answer
    moved = [
        replace(each, start=each.start + seconds, end=each.end + seconds)
        for each in findings.findings_of(answer) or ()
    ]
    return answer | findings.record_of(moved)


def parts_of(entry) -> dict[str, float]:
    """The parts of a take's score, by the names of `findings.PARTS`; those that are not known are
    left out."""
    known = keying.record_of(entry.action).get("parts")
    known = known.to_dict() if hasattr(known, "to_dict") else {}
    return {
        name: float(known[name])
        for name in findings.PARTS
        if isinstance(known.get(name), (int, float))
    }


# grades of takes, by their action, score and first frame
_grades = session.add(Memory(Recent(256)))


def grade_of(entry) -> Grade | None:
    """The grade of a take that speaks; None if it is not known, or is of a longer line. Quick: for
    every redraw of a list."""
    if entry.action is None or entry.of_whole or entry.role != "SPEAKS":
        return None
    key = entry.action.session_uid, entry.score, entry.first
    if key not in _grades.known:
        found, grade = findings.findings_of(keying.record_of(entry.action)), None
        if found is not None:
            with suppress(TypeError, ValueError, OverflowError):  # of a damaged record
                rig, _ = attempt(head.resolve, entry.head) if entry.head else (None, "")
                grade = Grade.of(found, clock_of_take(entry), rig)
        _grades.known[key] = grade
    return _grades.known[key]


UNKNOWN = -1  # first seed of a head that has no takes with a seed yet


def first_seed(scene, mesh: bpy.types.Object | None, voice: strip.Voice | None) -> int:
    """Seed of the first take of a voice on the head that an object represents; None: no head, no
    voice.

    The seed that was chosen in the scene's settings; else the head's `default_seed`.
    """
    return (
        scene.thunder.seed
        if scene.thunder.is_property_set("seed")
        else default_seed(scene, mesh, voice)
    )


def default_seed(scene, mesh: bpy.types.Object | None, voice: strip.Voice | None) -> int:
    """The first seed of a head if none was chosen: the one that its takes began with; before there
    are any, that of the sound of its first line, or of the given voice if no strip is assigned to
    it, and another one for each head of the scene.

    It depends on the saved scene alone, so that a bake of any line has the seeds that the panel
    shows.
    """
    if mesh is None:
        return seed_of_voice(_sound_of(scene, voice))
    if (known := _seed_of(mesh)) != UNKNOWN:
        return known
    sound = _first_sound(scene, mesh) if voice is not None and voice.strip else ""
    heads = head.in_scene(scene)
    number = heads.index(mesh) if mesh in heads else 0
    return seed_of_voice(sound or _sound_of(scene, voice), number)


def next_seed(scene, mesh: bpy.types.Object, voice: str) -> int:
    """A seed after those of all listed takes of a head and a voice, so that none is sampled
    twice."""
    seeds = (
        entry.seed for entry in scene.thunder.takes if entry.head == mesh and entry.voice == voice
    )
    return (max(seeds) + 1) % (LARGEST_SEED - MOST_TAKES)


def with_unused_seed(
    scene, mesh: bpy.types.Object, voice: strip.Voice, request: Request
) -> Request:
    """The request with the first seed of new takes: `first_seed`, or the next one if its take is
    listed and was sampled in the same way.

    So *Generate* pressed again shows new takes, and after another direction the same people in it.
    A seed that was chosen stays.
    """
    request = replace(request, seed=first_seed(scene, mesh, voice))
    if scene.thunder.is_property_set("seed") or not is_sampled(scene, mesh, voice.name, request):
        return request
    return replace(request, seed=next_seed(scene, mesh, voice.name))


def is_sampled(scene, mesh: bpy.types.Object, voice: str, request: Request) -> bool:
    """Whether the first take of a request is listed."""
    return any(
        is_same_request(request, request_of(about_of(entry.action), scene.thunder))
        for entry in scene.thunder.takes
        if (entry.head, entry.voice, entry.seed) == (mesh, voice, request.seed)
        and entry.action is not None
        and not why_not_ours("", about_of(entry.action))
    )


def remember_seed(scene, mesh: bpy.types.Object, voice: strip.Voice, seed: int) -> None:
    """Let a head keep its first seed once it has a take with it, whatever happens to its
    strips. A seed that was chosen is not kept."""
    if (
        not scene.thunder.is_property_set("seed")
        and _seed_of(mesh) == UNKNOWN
        and seed == default_seed(scene, mesh, voice)
    ):
        head_state.ensure(head.owner_of(mesh)).first_seed = seed


def _seed_of(mesh: bpy.types.Object) -> int:
    state = head_state.of(head.owner_of(mesh))
    return UNKNOWN if state is None else state.first_seed


def _first_sound(scene, mesh: bpy.types.Object) -> str:
    """Name of the sound of the first strip that a head speaks, "" for none."""
    return next(
        (
            strip.sound_name(each)
            for each in strip.spoken_by(scene, mesh, strip.sound_strips(scene))
        ),
        "",
    )


def _sound_of(scene, voice: strip.Voice | None) -> str:
    if voice is None:
        return ""
    speaking = strip.by_name(bpy.data.scenes.get(voice.scene), voice.strip) if voice.strip else None
    return voice.name if speaking is None else strip.sound_name(speaking)
