# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a baked voice: its takes close their lips on them, as *Correct Closures* does in the
panel, and are scored again."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import bpy

from ..scene.animation import display
from ..scene.animation.keying import Performance, PROPERTY
from ..scene.heads import head
from ..scene.host.jobs import stage, Step
from ..scene.review import live_score
from ..scene.takes import generation, provenance, transcript
from ..scene.takes.transcript import Corrections
from ..scene.voice import strip
from ..thunder_core import subtitles
from ..thunder_core.batch.settings import is_text_file
from ..thunder_core.client import Client
from ..thunder_core.errors import BadRequest


def words_of(given: str) -> str:
    """The words that --transcript gives, or those in the file that it names, on one line. Raises
    BadRequest."""
    if not is_text_file(given):
        return " ".join(given.split())
    return subtitles.read_text(given, "name another with --transcript")


def correct(
    client: Client, scene, rig: head.Rig, voice: strip.Voice, words: str, takes: list[Performance]
) -> Generator[Step, None, tuple[list[Performance], dict[int, Corrections], list[str]]]:
    """Steps that close the lips of a voice's takes, the first of the scene's list, by its words,
    and sort them by their new scores.

    Returns the takes, best first, what was corrected of each seed, and warnings. A text that does
    not match the voice changes nothing.
    """
    transcript.ensure(scene, voice.name).text = words
    entries, corrections = {entry.seed: entry for entry in scene.thunder.takes[: len(takes)]}, {}
    for number, (seed, entry) in enumerate(entries.items(), start=1):
        yield Step(
            number / len(entries),
            f"Closing lips of take {number} of {len(entries)}",
            begins=number == 1,
        )
        try:
            corrections[seed] = yield from transcript.correct(client, bpy.context, entry, voice)
        except BadRequest as error:
            return takes, {}, [str(error)]
    corrected_takes = []
    for take in takes:
        entry, corrected = entries[take.seed], corrections[take.seed]
        if corrected.added or corrected.removed:
            yield from live_score.score_take(client, scene, rig, entry, voice)
            now = yield from stage(provenance.read(rig, entry), "Reading the take", 0.98, 0.98)
            heard = entry.heard if entry.heard >= 0 else take.heard
            take = replace(
                now, score=entry.score, heard=heard, sync_per_frame=provenance.sync_of(entry.action)
            )
            entry.action[PROPERTY]["score"], entry.action[PROPERTY]["heard"] = (
                take.score,
                take.heard,
            )
        corrected_takes.append(take)
    uids = {seed: entry.action.session_uid for seed, entry in entries.items()}
    corrected_takes = generation.rank(corrected_takes)
    for rank, take in enumerate(corrected_takes):
        place = next(
            i
            for i, entry in enumerate(scene.thunder.takes)
            if entry.action.session_uid == uids[take.seed]
        )
        scene.thunder.takes.move(place, rank)
    display.show(rig, scene.thunder.takes[0])
    return (
        corrected_takes,
        corrections,
        list(dict.fromkeys(each.warning for each in corrections.values() if each.warning)),
    )
