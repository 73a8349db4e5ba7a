# SPDX-License-Identifier: GPL-3.0-or-later
"""More Like This: takes sampled close to how a given take is played, added to the list."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import numpy as np

from ....thunder_core import records
from ....thunder_core.client import Client
from ....thunder_core.direction import AXES, Brief, DIRECTION_NAMES
from ....thunder_core.errors import BadRequest
from ...animation import keying
from ...host.jobs import Step
from ...voice import strip
from .. import generation, provenance, take_list

SPREAD = 0.2  # spread of new takes around the chosen one
COUNT = 4


def why_not(entry) -> str:
    """The reason why no takes like this one can be sampled, "" if they can. Quick: for buttons."""
    if reading_of(entry.action) is None:
        return (
            f"“{entry.name}” does not say how it is played: it was mixed, or sampled with "
            f"weights that know no styles"
        )
    return ""


def reading_of(action) -> np.ndarray | None:
    """The direction of an action's take, float32 [DIRECTION_NAMES], the mean over its line; None if
    not stored."""
    return reading_in(keying.record_of(action))


def reading_in(about) -> np.ndarray | None:
    """The same of a take's provenance."""
    try:
        reading = np.array(about.get("reading"), np.float32)
    except records.UNREADABLE:
        return None
    return (
        reading if reading.shape == (len(DIRECTION_NAMES),) and np.isfinite(reading).all() else None
    )


def with_mean(asked: np.ndarray, reading: np.ndarray) -> np.ndarray:
    """A requested direction [1 or T, DIRECTION_NAMES], shifted to the mean of how the take was
    played."""
    mean = asked.mean(axis=0)
    style = asked[:, : len(AXES)] + (reading - mean)[: len(AXES)]
    least, most = (
        np.array([axis.deviations(getattr(axis, end)) for axis in AXES])
        for end in ("least", "most")
    )
    was, now = mean[len(AXES) :], reading[len(AXES) :]
    moods = np.where(was > 1e-3, asked[:, len(AXES) :] * (now / np.maximum(was, 1e-3)), now)
    return np.concatenate([np.clip(style, least, most), np.clip(moods, 0.0, 1.0)], axis=1).astype(
        np.float32
    )


def like_of(asked: Brief, seed: int) -> tuple[tuple[int, float], ...]:
    """`Brief.like` of takes around the take of a seed that was sampled with this request."""
    return (*asked.like, (seed, 0.0 if asked.as_asked else asked.spread))


def exact_direction(asked: Brief, reading: np.ndarray, seed: int) -> Brief:
    """The direction in which the take of a seed was played, with its stresses and gestures, for
    other readings of a part of it."""
    vectors, like = with_mean(asked.vectors, reading), like_of(asked, seed)
    return replace(
        asked, vectors=vectors, spread=0.0, as_asked=False, original=asked.requested, like=like
    )


def sample(
    client: Client, context, on_take: generation.OnTake | None = None
) -> Generator[Step, None, list[keying.Performance]]:
    """Steps that sample takes like the shown one and list each on arrival, as
    `generation.generate`.

    on_take gets each take once it is listed. Returns the takes, best first. Raises ThunderError.
    """
    scene = context.scene
    entry = take_list.shown_take(scene.thunder)
    if sentence := why_not(entry):
        raise BadRequest(sentence)
    rig = take_list.animatable_rig(scene, entry)
    voice = take_list.check_voice(entry, strip.find(context))
    before = provenance.Sampling.of_take(provenance.about_of(entry.action), scene.thunder)
    reading = reading_of(entry.action)
    vectors = reading[None] if before.asked is None else with_mean(before.asked.vectors, reading)
    request = Brief(vectors, SPREAD, as_asked=False)
    original = None
    if before.asked is not None:
        original = before.asked.requested
        request = replace(
            request,
            marks=before.asked.marks,
            text=before.asked.text,
            original=original,
            like=like_of(before.asked, entry.seed),
            as_heard=before.asked.as_heard,
        )
    sampling = replace(before, asked=request)
    seed = provenance.next_seed(scene, entry.head, entry.voice)
    with closing(generation.TakeCollector(scene, rig, voice, on_take)) as collector:
        collector.batch = entry.batch
        # what the takes share tells them from the others in the list
        collector.compared = {} if original is None else {"direction": original.tolist()}
        return (yield from collector.gather(client, COUNT, seed, sampling))
