# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a head's animation against its voice, and keeps what was found, what is ignored and how
much is allowed in the file."""

import json
from collections.abc import Generator

import bpy
import numpy as np
from bpy.props import (
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ...thunder_core.animation.timing import Clock
from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest
from ...thunder_core.face.lips import CLOSED_MM
from ...thunder_core.findings import Finding, OPEN, REALISTIC, TOLERANCES
from ...thunder_core.types import FPS
from ..animation import reading
from ..heads import head
from ..host import handlers
from ..host.jobs import stage, Step
from ..host.session import AddonChanges
from ..takes import generation, provenance, take_list, transcript
from ..voice import strip, voice_cache
from . import live_score

_AROUND_SECONDS = 0.4  # preview range before and after a finding: a syllable

_addon_changes = AddonChanges()


def _jump_to_finding(checked, context):
    """Show the frame of the finding that was clicked in the list."""
    if not _addon_changes.active and 0 <= checked.index < len(checked.findings):
        context.scene.frame_set(checked.findings[checked.index].first)


class ThunderFinding(bpy.types.PropertyGroup):
    """A place that a check found. values: of the Finding, as JSON."""

    values: StringProperty()
    sentence: StringProperty()
    first: IntProperty()
    last: IntProperty()


class ThunderIgnored(bpy.types.PropertyGroup):
    """A finding that the animator ignores; its name is `ignored_name`."""


class ThunderCheck(bpy.types.PropertyGroup):
    """What the last check of a scene found.

    animation: what was checked, as `animation_name` names it; findings are of nothing else.  voice:
    its name.  start: scene frame on which it begins.
    """

    tolerance: EnumProperty(
        name="Tolerance",
        description="How much the lips may differ from how people speak",
        items=[(name.upper(), name.title(), sentence) for name, sentence in TOLERANCES.items()],
        default=REALISTIC.upper(),
    )
    findings: CollectionProperty(type=ThunderFinding)
    index: IntProperty(
        name="Finding", description="Place that the check found", update=_jump_to_finding
    )
    ignored: CollectionProperty(type=ThunderIgnored)
    animation: StringProperty()
    voice: StringProperty()
    start: FloatProperty()


def animation_name(rig: head.Rig) -> str:
    """Names a head and the action that it plays."""
    action = live_score.animator_action(rig)
    return f"{rig.mesh.name} | {action.name if action is not None else ''}"


def ignored_name(rig: head.Rig, voice: str, finding: Finding) -> str:
    """The name under which the file keeps a finding, to recognise it in the next check."""
    return f"{rig.mesh.name} | {voice} | {finding.key}"


def of_head(scene, rig: head.Rig) -> ThunderCheck | None:
    """The last check, None if it was of other animation than the head plays now, or there was
    none."""
    checked = scene.thunder_check
    return checked if checked.animation == animation_name(rig) else None


def chosen_finding(scene) -> tuple[ThunderFinding, Finding] | None:
    """The finding that is chosen in the list, None for none."""
    checked = scene.thunder_check
    if not 0 <= checked.index < len(checked.findings):
        return None
    row = checked.findings[checked.index]
    return row, Finding.of(json.loads(row.values))


def check(
    client: Client, scene, rig: head.Rig, voice: strip.Voice | None = None
) -> Generator[Step, None, list[Finding]]:
    """Steps that check the current animation of a head against a voice (None: the head's), list
    what is found, and return it.

    Raises ThunderError.
    """
    entry = take_list.on_head(scene, rig.mesh)
    voice = voice or live_score.voice_of(scene, rig, entry)
    names, tolerance = (scene.name, rig.mesh.name), scene.thunder_check.tolerance.lower()
    record = transcript.of(scene, voice.name)
    text = "" if record is None else record.text
    path = yield from voice_cache.sound(client, scene, voice)
    cached = voice_cache.read(scene, voice, client.folder)
    while cached is not None and cached.reading:
        yield Step(0.1, "Reading the voice")
    clock = Clock.of(scene, voice.clock.start)
    seconds = live_score.seconds_of(voice, clock, cached, entry)
    if seconds <= 0:
        raise BadRequest("The length of the voice is not known: choose a strip with sound")
    motion = yield from stage(
        reading.read(rig, head.channel_names(), clock, seconds), "Reading the animation", 0.1, 0.4
    )
    how = {"sound": path, "tolerance": tolerance, "text": text}
    answer = yield from generation.ask_about(
        client, "check", motion, (0.4, 0.95), "Checking the lips", **how
    )
    scene, rig = generation.look_up(*names)
    return show(
        scene, rig, voice.name, clock, [Finding.of(values) for values in answer["findings"]]
    )


def show(scene, rig: head.Rig, voice: str, clock: Clock, findings: list[Finding]) -> list[Finding]:
    """List findings, apart from those that are ignored; returns those that are listed."""
    checked = scene.thunder_check
    checked.animation, checked.voice, checked.start = animation_name(rig), voice, clock.start
    listed = [each for each in findings if ignored_name(rig, voice, each) not in checked.ignored]
    checked.findings.clear()
    for each in listed:
        row = checked.findings.add()
        row.values, (row.first, row.last) = json.dumps(each.values()), each.frames(clock.frame)
        row.sentence = each.sentence(clock.fps, f"{row.first}–{row.last}")
    with _addon_changes:
        checked.index = 0
    return listed


def summary(findings: list) -> str:
    """What a check found, in a sentence."""
    if not findings:
        return "No lip-sync problems found"
    return f"{len(findings)} lip-sync problem{'s' * (len(findings) > 1)} found"


def go(context, row: ThunderFinding) -> None:
    """Go to a finding, and make it the preview range with a syllable on either side."""
    scene = context.scene
    more = round(_AROUND_SECONDS * Clock.of(scene, 0).fps)
    scene.frame_set(row.first)
    scene.use_preview_range = True
    scene.frame_preview_start, scene.frame_preview_end = row.first - more, row.last + more


def drop(scene, row: ThunderFinding) -> None:
    """Take a finding out of the list."""
    checked = scene.thunder_check
    index = next(index for index, each in enumerate(checked.findings) if each == row)
    checked.findings.remove(index)
    with _addon_changes:
        checked.index = max(0, min(index, len(checked.findings) - 1))


def ignore(scene, rig: head.Rig, row: ThunderFinding, finding: Finding) -> None:
    """Leave a finding out of this list and later ones."""
    checked = scene.thunder_check
    checked.ignored.add().name = ignored_name(rig, checked.voice, finding)
    drop(scene, row)


# ---- takes that do it right


def better_take(scene, rig: head.Rig, finding: Finding):
    """The take of the checked voice and head with the best lip-sync that does a finding right, None
    for none."""
    checked, shown = scene.thunder_check, take_list.on_head(scene, rig.mesh)
    takes = [
        each
        for each in scene.thunder.takes
        if each.action is not None and take_list.speaks(each) and each != shown
    ]
    of_line = [each for each in takes if each.head == rig.mesh and each.voice == checked.voice]
    right = [each for each in of_line if _is_right(each.action, checked.start, finding)]
    return max(right, key=lambda each: each.score, default=None)


def _is_right(action, start: float, finding: Finding) -> bool:
    """Whether a take does what a finding misses: takes are in time and move; whether their lips
    meet is looked up."""
    if finding.kind != OPEN or finding.whole:
        return True
    opening, clock = provenance.opening_of(action), provenance.clock_of(action)
    if opening is None or clock is None:
        return False
    late = (start - clock.start) / clock.fps
    first, last = (round((seconds + late) * FPS) for seconds in (finding.start, finding.end))
    return bool(opening[max(0, first - 1) : last + 2].min(initial=np.inf) < CLOSED_MM)


register, unregister = handlers.registration(
    properties=((bpy.types.Scene, "thunder_check", PointerProperty(type=ThunderCheck)),)
)
