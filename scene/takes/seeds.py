# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds of new takes: the first of a head, and the next that no listed take has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import bpy

from ...thunder_core.batch.settings import LARGEST_SEED
from ...thunder_core.request import MOST_TAKES, Request, seed_of_voice
from ..heads import head, head_state
from ..voice import strip
from . import take_record

if TYPE_CHECKING:
    from ..properties.settings import ThunderTake

UNKNOWN = -1  # first seed of a head that has no takes with a seed yet


def first(scene: bpy.types.Scene, mesh: bpy.types.Object | None, voice: strip.Voice | None) -> int:
    """Seed of the first take of a voice on the head that an object represents; None: no head, no
    voice.

    The seed that was chosen in the scene's settings; else the head's `default`.
    """
    return (
        scene.thunder.seed if scene.thunder.is_property_set("seed") else default(scene, mesh, voice)
    )


def default(
    scene: bpy.types.Scene, mesh: bpy.types.Object | None, voice: strip.Voice | None
) -> int:
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
    is_strip = voice is not None and voice.strip != ""
    strips = strip.spoken_by(scene, mesh, strip.sound_strips(scene)) if is_strip else ()
    sound = next(map(strip.sound_name, strips), "") or _sound_of(scene, voice)
    heads = head.in_scene(scene)
    return seed_of_voice(sound, heads.index(mesh) if mesh in heads else 0)


def with_first(
    scene: bpy.types.Scene, mesh: bpy.types.Object, voice: strip.Voice, request: Request
) -> Request:
    """The request with `first`."""
    return replace(request, seed=first(scene, mesh, voice))


def with_next(
    scene: bpy.types.Scene, mesh: bpy.types.Object, voice: strip.Voice, request: Request
) -> Request:
    """The request with a seed after those of all listed takes of a head and a voice, so that none
    is sampled twice."""
    taken = (
        entry.seed
        for entry in scene.thunder.takes
        if entry.head == mesh and entry.voice == voice.name
    )
    return replace(request, seed=(max(taken) + 1) % (LARGEST_SEED - MOST_TAKES))


def with_unused(
    scene: bpy.types.Scene, mesh: bpy.types.Object, voice: strip.Voice, request: Request
) -> Request:
    """The request with the first seed of new takes: `first`, or the next one if its take is
    listed and was sampled in the same way.

    So *Generate* pressed again shows new takes, and after another direction the same people in it.
    A seed that was chosen stays.
    """
    request = with_first(scene, mesh, voice, request)
    if scene.thunder.is_property_set("seed") or listed(scene, mesh, voice.name, request) is None:
        return request
    return with_next(scene, mesh, voice, request)


def listed(
    scene: bpy.types.Scene, mesh: bpy.types.Object, voice: str, request: Request
) -> ThunderTake | None:
    """The newest listed take that the first of a request would be, if weights are the same."""
    same = (
        entry
        for entry in scene.thunder.takes
        if (entry.head, entry.voice, entry.seed) == (mesh, voice, request.seed)
        and entry.action is not None
        and take_record.is_same_request(
            request, take_record.request_of(take_record.about_of(entry.action), scene.thunder)
        )
    )
    return max(same, key=lambda entry: entry.made, default=None)


def remember(scene: bpy.types.Scene, mesh: bpy.types.Object, voice: strip.Voice, seed: int) -> None:
    """Let a head keep its first seed once it has a take with it, whatever happens to its
    strips. A seed that was chosen is not kept."""
    if (
        not scene.thunder.is_property_set("seed")
        and _seed_of(mesh) == UNKNOWN
        and seed == default(scene, mesh, voice)
    ):
        head_state.ensure(head.owner_of(mesh)).first_seed = seed


def _seed_of(mesh: bpy.types.Object) -> int:
    state = head_state.of(head.owner_of(mesh))
    return UNKNOWN if state is None else state.first_seed


def _sound_of(scene: bpy.types.Scene, voice: strip.Voice | None) -> str:
    if voice is None:
        return ""
    speaking = strip.by_name(bpy.data.scenes.get(voice.scene), voice.strip) if voice.strip else None
    return voice.name if speaking is None else strip.sound_name(speaking)
