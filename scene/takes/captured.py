# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of a captured face: a recording of Live Link Face, ARKit curves or one of our files, placed
where it fits the voice, and scored."""

import math
import os
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ...thunder_core.animation import motion_file
from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadSound, NoVoice, OutOfMemory
from ...thunder_core.face.lips import opening_mm, width_mm
from ...thunder_core.types import FPS, LISTENS, Motion
from ..animation import display, keying
from ..heads import head
from ..host.jobs import stage, Step
from ..voice import fingerprint, mixdown, strip
from . import take_list
from .generation import ask_about, look_up
from .provenance import CAPTURED

# endings of a sound that was recorded with a capture
SOUNDS = (".wav", ".mov", ".mp4", ".m4a", ".flac", ".mp3", ".ogg", ".aif")
LIKELY = 0.55  # certainty from which on a place in the voice is used
_SAME_FRAMES = 2  # a capture as long as the voice that begins so near to its start begins with it
_LONGEST_NAME = 40  # letters of a take's name


@dataclass(frozen=True)
class Place:
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

    unscored: why it has none, "" for no special reason.
    """

    name: str
    place: Place | None
    score: float
    unscored: str = ""


def sound_beside(path: str) -> str:
    """The file of the sound, or film, that was recorded with a capture: of the same name; "" for
    none."""
    stem = os.path.splitext(path)[0]
    names = (stem + ending for low in SOUNDS for ending in (low, low.upper()))
    return next((name for name in names if os.path.isfile(name)), "")


def list_capture(
    client: Client | None, context, path: str, rate: float
) -> Generator[Step, None, ImportedCapture]:
    """Steps that list a capture as a take of the chosen head and voice, and show it.

    client: None without a voice.  rate: rows per second of curves without times.  Raises
    ThunderError, and then nothing was changed.
    """
    scene, rig = context.scene, head.find(context.scene, context.object)
    head.check_animatable(rig)
    voice, names = strip.current(context), (scene.name, rig.mesh.name)
    state = None if voice is None else fingerprint.of_voice(scene, voice)
    listens = context.scene.thunder.head_role == LISTENS.upper()
    yield Step(0.02, "Reading the capture")
    motion, place, answer, unscored = (
        motion_file.read_recording(path, head.channel_names(), rate),
        None,
        {},
        "",
    )
    if voice is not None:
        place = Place(0.0)
        with mixdown.sound_for_engine(client, voice) as (sound, mixing):
            yield from mixing
            recorded = sound_beside(path)
            alignment = yield from ask_about(
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
    scene, rig = look_up(*names)
    clock = Clock.of(scene, scene.frame_current if voice is None else voice.clock.start)
    name = os.path.splitext(os.path.basename(path))[0][:_LONGEST_NAME]
    about = {CAPTURED: os.path.basename(path), **({"role": LISTENS} if listens else {})}
    performance = keying.Performance(
        motion, head.channel_names(), opening_mm(motion), width_mm(motion), 0,
        answer.get("total", math.nan), about,
        answer.get("per_frame"), heard=answer.get("heard", math.nan),
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
    return ImportedCapture(entry.name, place, entry.score, unscored)


def _settle_place(found: dict, motion: Motion, frames: int) -> Place:
    """The place that the engine found; the voice's beginning if that is uncertain, or nearly there
    for a capture of the same length."""
    place = Place(found["seconds"], found["sure"], found["by"])
    is_whole = (
        abs(motion.frames - frames) <= _SAME_FRAMES and abs(place.seconds) * FPS <= _SAME_FRAMES
    )
    return Place(0.0, place.sure, place.by) if is_whole or place.sure < LIKELY else place


def _score(client: Client, sound: str, motion: Motion) -> Generator[Step, None, tuple[dict, str]]:
    """Steps that score a motion with a sound. Returns `total`, `heard` and `per_frame` [T], and "";
    or {} and why it has no score."""
    try:
        answer = yield from ask_about(
            client, "score", motion, (0.4, 0.7), "Ranking by lip-sync", sound=sound
        )
    except (BadSound, NoVoice, OutOfMemory) as error:
        return {}, str(error)
    return answer | {"per_frame": np.load(answer["per_frame"], allow_pickle=False)}, ""
