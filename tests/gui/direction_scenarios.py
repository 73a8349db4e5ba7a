# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator directs a head, generates, lets the shown take follow a slider, samples more like it,
and undoes it all."""

import os
import time
from pathlib import Path

import bpy
import numpy as np
from scenarios import done, generate, open_popover, scene_with_voice_and_head, until
from thunder.scene.animation import keying
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.takes import take_record
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.direction.live import live
from thunder.thunder_core.direction import AXES
from thunder.thunder_core.manner import Change, Manner

COUNT = 3
MANNER = Manner(
    (Change("width", "OO", -2.1, mean=-2.1, lines=12), Change("jaw", size=0.85, lines=14),
     Change("smile", "phrase ends", 0.2, mean=0.2, lines=9), Change("head", size=0.6, lines=8),
     Change("blinks", size=0.5, lines=7, is_used=False)), 14,
)  # fmt: skip
CORES = 2  # that the engine works on at once where the promise was measured


def shown(hand):
    settings = hand.scene.thunder
    return settings.takes[settings.active_take]


def jaw(entry):
    """How far the take opens the jaw at most, and at which quality it was sampled."""
    about = entry.action[keying.PROPERTY]
    return float(take_record.load(entry.action).motion.jaw[:, 0].max()), about["quality"]


def asked_energy(hand):
    """The energy that the shown take was asked for."""
    return round(
        float(np.exp(shown(hand).action[keying.PROPERTY]["direction"][0] * AXES[0].speakers)), 3
    )


def processor_seconds(pid):
    """Seconds of the processor that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def directs(hand):
    """Takes are generated in the direction and say how they are played; a copy of the shown take
    follows a slider; undo takes back both in one step; so does it with more takes like one."""
    yield from scene_with_voice_and_head(hand, "direction", "takes")
    hand.scene.thunder.count = COUNT
    owner = head.find(hand.scene).owner
    yield from until(lambda: sliders.of(owner) is not None)
    direction = sliders.of(owner)
    direction.energy, direction.mood, direction.strength, direction.spread = 1.4, "warm", 0.7, 1.0
    yield from hand.settle()  # panels slide to their places
    yield from generate(hand)
    words = {entry.seed: entry.words for entry in hand.scene.thunder.takes}
    assert len(words) == COUNT and words[min(words)].endswith("as directed")
    assert all(words.values()) and len(set(words.values())) > 1
    for entry in hand.scene.thunder.takes:
        assert abs(entry.action[keying.PROPERTY]["direction"][0] - np.log(1.4) / 0.25) < 1e-3

    hand.scene.thunder.live_direction = True
    # The slider is dragged: the drafts come while it moves, the finished take when it rests.
    steps, step = [], live.task.step

    def timed():
        before = time.thread_time()
        try:
            return step()
        finally:
            steps.append((time.thread_time() - before, "a step of a take that follows"))

    live.task.step = timed
    source = shown(hand).name
    seeds = sorted([shown(hand).seed, *words])  # with the copy
    # One movement: what a draft costs the processor, engine and window. The clock would count what
    # others do.
    pid, before, direction = connection.client().pid, len(steps), sliders.of(owner)
    began = processor_seconds(pid)
    direction.energy = 1.3
    yield from until(lambda: asked_energy(hand) == 1.3)
    engine, window = processor_seconds(pid) - began, sum(spent for spent, _ in steps[before:])
    hand.keeps(
        0.5, engine / CORES + window, "from a slider to keys, seconds of the processor on two cores"
    )
    yield from until(lambda: live.task.due is None)

    before = jaw(shown(hand))
    assert shown(hand).name == f"{source}.2"
    bpy.ops.ed.undo_push(message="Before")
    direction = sliders.of(owner)
    for energy in (1.2, 1.0, 0.8, 0.6):
        direction.energy = energy
        yield 0.03
    bpy.ops.ed.undo_push(message="Energy")  # as the slider does when it is let go
    yield from until(lambda: asked_energy(hand) == 0.6)
    assert jaw(shown(hand))[1] in ("draft", "normal")
    yield from until(lambda: live.task.due is None)
    final, quality = jaw(shown(hand))
    assert quality == "normal" and final < 0.9 * before[0]  # less energy, a smaller mouth
    assert not take_record.is_edited(shown(hand)) and live.sentence == ""
    hand.keeps(0.05, steps, "steps of a take that follows, in the window")
    yield 1.0
    yield from hand.undo()
    assert jaw(shown(hand)) == before
    assert abs(sliders.of(head.find(hand.scene).owner).energy - 1.3) < 1e-6

    def listed():
        return sorted(entry.seed for entry in hand.scene.thunder.takes)

    hand.button(bpy.ops.thunder.more_like_this)
    yield from done()
    assert listed() == [*seeds, *range(max(seeds) + 1, max(seeds) + 5)]
    yield from hand.settle()
    hand.photograph("more")
    yield from hand.undo()
    assert listed() == seeds

    sliders.set_manner(sliders.of(head.find(hand.scene).owner), MANNER)
    yield from hand.settle()
    plain = hand.photograph("in_a_manner")
    yield from open_popover(hand, "THUNDER_PT_manner")
    rows = hand.photograph("manner")
    assert (abs(rows - plain).max(-1) > 0.1).mean() > 0.02  # its rows lie over the window
