# SPDX-License-Identifier: GPL-3.0-or-later
"""One recipe for takes of a line, whoever asks for them: its words, its direction and a
seed make a request, whose takes are listed."""

from collections.abc import Callable, Generator
from contextlib import closing, ExitStack
from dataclasses import dataclass, field, replace

import bpy

from ...thunder_core.client import Client
from ...thunder_core.progress import map_progress
from ...thunder_core.request import Request
from ..animation import keying
from ..heads import head
from ..host.jobs import Step
from ..voice import strip
from . import generation, seeds, transcript, word_places
from .direction import head_direction

_WORDS = 0.3  # how much of the work recognising words is


@dataclass(frozen=True)
class How:
    """How takes of a line are made.

    request: without a direction they follow that of the head.  seed: finds their first one; None:
    the request's.  collector: lists them, of (scene, rig, voice, on_take).  on_take: gets each once
    it is listed.  recogniser: `recogniser.arguments` by which words must be recognised, {}: none
    are; None: as the scene says (`word_places.is_to_recognise`).
    finds_words: whether words and sounds are found afterwards, for the timeline.  said: receives
    sentences for the end of the work.
    """

    request: Request
    seed: Callable[..., Request] | None = seeds.with_unused
    collector: Callable[..., generation.TakeCollector] = generation.TakeCollector
    on_take: generation.OnTake | None = None
    recogniser: dict[str, str] | None = None
    finds_words: bool = True
    said: list[str] = field(default_factory=list)


def perform(
    client: Client, scene, rig: head.Rig, voice: strip.Voice, how: How,
    open_until: ExitStack | None = None,
) -> Generator[Step, None, list[keying.TakeData]]:  # fmt: skip
    """Steps that sample takes of a voice and list each, keyed as new actions, on arrival.

    They are a new batch; earlier ones are folded. The first is shown on arrival, the best when all
    are complete, unless the animator chose another meanwhile. If stopped or failed before that, the
    takes that have arrived stay.

    open_until: takes that an undo removes are listed again until it is closed; None: until all are
    complete. Returns the takes, best first. Raises ThunderError.
    """
    names, begun = (scene.name, rig.mesh.name), 0.0
    head.check_animatable(rig)
    request = complete(how.request, scene, rig, voice)  # what is wrong with it is said at once
    if not request.listening and word_places.is_to_recognise(scene, voice, how.recogniser):
        begun = _WORDS
        steps = word_places.recognise_before(client, voice, how.recogniser, how.said)
        yield from map_progress(steps, lambda step: replace(step, fraction=begun * step.fraction))
        scene, rig = head.look_up(*names)
        request = complete(request, scene, rig, voice)
    if how.seed is not None:
        request = how.seed(scene, rig.mesh, voice, request)
    with ExitStack() as until_complete:
        collector = how.collector(scene, rig, voice, how.on_take)
        (open_until or until_complete).enter_context(closing(collector))
        takes = yield from map_progress(
            collector.gather(client, request),
            lambda step: replace(step, fraction=begun + (1.0 - begun) * step.fraction),
        )
    if takes[0].provenance.get("unclear") and (scene := bpy.data.scenes.get(names[0])):
        transcript.ensure(scene, voice.name)  # the panel has the field for it
    if how.finds_words:
        yield from word_places.find_if_unknown(client, voice)
    return takes


def complete(request: Request, scene, rig: head.Rig, voice: strip.Voice) -> Request:
    """A request with what the scene says of a line: its direction unless the request has one, the
    words. Raises BadRequest."""
    direction = request.direction
    if direction is None:
        direction = head_direction.direction_over(rig.owner, voice.clock, voice.last)
    direction = transcript.add_words(direction, scene, voice)
    return replace(request, direction=direction, sums=rig.sums)
