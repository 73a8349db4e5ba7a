# SPDX-License-Identifier: GPL-3.0-or-later
"""The first seed of a character's takes: it stays the same for all its lines, so that they are
played by the same people."""

import bpy

from ...thunder_core.batch.settings import LARGEST_SEED, MOST_TAKES
from ...thunder_core.request import seed_of_voice
from ..heads import head, head_state
from ..voice import strip
from . import provenance
from .sampling import Sampling

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
    it. Two heads of a scene never have the same.

    It depends on the saved scene alone, so that a bake of any line has the seeds that the panel
    shows.
    """
    if mesh is None:
        return seed_of_voice(_sound_of(scene, voice))
    if (known := _seed_of(mesh)) != UNKNOWN:
        return known
    head_sound = _first_sound(scene, mesh) if voice is not None and voice.strip else ""
    heads = head.in_scene(scene)
    others = [other for other in heads if other != mesh]
    taken = {_seed_of(other) for other in others}
    for other in heads[: heads.index(mesh)] if head_sound and mesh in heads else others:
        if _seed_of(other) == UNKNOWN and (sound := _first_sound(scene, other)):
            taken.add(_free_seed(sound, taken))
    return _free_seed(head_sound or _sound_of(scene, voice), taken)


def next_seed(scene, mesh: bpy.types.Object, voice: str) -> int:
    """A seed after those of all listed takes of a head and a voice, so that none is sampled
    twice."""
    seeds = (
        entry.seed for entry in scene.thunder.takes if entry.head == mesh and entry.voice == voice
    )
    return (max(seeds) + 1) % (LARGEST_SEED - MOST_TAKES)


def unused_seed(scene, mesh: bpy.types.Object, voice: strip.Voice, sampling: Sampling) -> int:
    """The first seed of new takes: `first_seed`, or the next one if its take is listed and was
    sampled in the same way.

    So *Generate* pressed again shows new takes, and after another direction the same people in it.
    A seed that was chosen stays.
    """
    seed = first_seed(scene, mesh, voice)
    if scene.thunder.is_property_set("seed"):
        return seed
    return (
        next_seed(scene, mesh, voice.name)
        if is_sampled(scene, mesh, voice.name, seed, sampling)
        else seed
    )


def is_sampled(scene, mesh: bpy.types.Object, voice: str, seed: int, sampling: Sampling) -> bool:
    """Whether the take of a seed is listed that was sampled in this way."""
    same = (
        entry
        for entry in scene.thunder.takes
        if (entry.head, entry.voice, entry.seed) == (mesh, voice, seed)
    )
    return any(
        entry.action is not None and sampling.matches(provenance.about_of(entry.action))
        for entry in same
    )


def remember(scene, mesh: bpy.types.Object, voice: strip.Voice, seed: int) -> None:
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


def _free_seed(sound: str, taken: set[int]) -> int:
    """The seed of a sound, another if a head of the scene has it: they may speak in one
    recording."""
    character = 0
    while (seed := seed_of_voice(sound, character)) in taken:
        character += 1
    return seed


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
