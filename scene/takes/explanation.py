# SPDX-License-Identifier: GPL-3.0-or-later
"""Why?: what the model sampled at a frame of a take, and what each step after it changed there."""

from __future__ import annotations

import os
from collections.abc import Generator

from ...thunder_core.client import Client
from ...thunder_core.errors import BadRequest
from ...thunder_core.steps import in_words
from ...thunder_core.types import FPS
from ..host.jobs import Step
from ..voice import fingerprint, mixdown
from . import generation, provenance, resync
from .sampling import Sampling


def explain(client: Client, scene, entry, frame: int) -> Generator[Step, None, list[str]]:
    """Steps that say why a take does what it does at a scene frame. Returns lines for people; changes nothing. Raises ThunderError."""
    name, made, state = f"“{entry.name}”", provenance.load(entry.action), fingerprint.of_take(entry)
    if entry.kind != "SAMPLED":
        raise BadRequest(f"{name} is {entry.kind.lower()}: choose the take that it was made from")
    if made is None or state is None:
        raise BadRequest(f"{name} does not say how it was sampled: generate takes again")
    if fingerprint.change(scene, entry) is not None:
        raise BadRequest(f"The voice of {name} has changed: re-sync the take first")
    at = round(float(provenance.clock_of(entry.action).seconds(frame)) * FPS)
    if not 0 <= at < made.motion.frames:
        raise BadRequest(f"{name} plays from frame {entry.first} to {entry.last}: move the playhead there")
    sampling, seed, edited = Sampling.of_take(made.provenance, scene.thunder), entry.seed, provenance.is_edited(entry)
    weights, voice, sound = made.provenance.get("weights"), resync.voice_of(scene, state), ""
    try:
        sound = yield from mixdown.sound_for_engine(client, voice)
        answer = yield from generation.explained(client, sound, seed, sampling, at)
    finally:
        if sound and not voice.path and os.path.exists(sound):
            os.remove(sound)
    if answer["weights"] != weights:
        raise BadRequest(f"{name} was made with other weights than those in use: choose these in the preferences, or generate again")
    return [*in_words(answer), *(["Keys that were edited since are not explained"] if edited else [])]
