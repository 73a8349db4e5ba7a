# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the tab takes to draw where a scene has very many takes."""

import time

import bpy
from scenarios import SAMPLE, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.voice import fingerprint, strip

TAKES, OF_BATCH = 1600, 8
LINES = 40
DRAWN = 12  # times that the sidebar is drawn and measured
PROMISE = 0.03  # seconds of a core


def add_many_takes(scene, lines: int) -> None:
    """Copies of the scene's first take, which is of its first strip, until there are TAKES; in
    batches for each of so many strips, all but the last ones folded."""
    mesh, entries = head.find(scene).mesh, scene.thunder.takes
    strips = strip.sound_strips(scene)[:lines]
    states = [fingerprint.of_strip(scene, each) for each in strips]
    first, last = entries[0].action, 2 + (TAKES - 1) // (OF_BATCH * lines)
    for number in range(len(entries), TAKES):
        name, action = strips[number % lines].name, first.copy()
        action.use_fake_user = True
        fingerprint.remember(action, states[number % lines])
        entry = entries.add()
        entry["name"] = f"Take {number}"  # the action keeps its name, which takes a while
        entry.action, entry.head, entry.voice = action, mesh, name
        entry.seed, entry.score, entry.made = number, 50.0 + number % 47, 1000 + number
        entry.first, entry.last = entries[0].first, entries[0].last
        entry.batch = 2 + number // (OF_BATCH * lines)
        entry.folded = entry.batch != last


def draws_many_takes(hand):
    """The tab is drawn soon with many takes of one line, and with takes of many lines."""
    yield from scene_with_voice_and_head(
        hand, "main", "direction", "takes", "mix", "commit", "words", "listen"
    )
    hand.viewport.spaces.active.overlay.show_overlays = False
    yield from list_takes(hand, count=4)
    scene, entries = hand.scene, hand.scene.thunder.takes
    scene.thunder.voice = "dialogue"
    for lines in (1, LINES):
        strips = compat.strips(scene.sequence_editor)
        for number in range(len(strip.sound_strips(scene)), lines):
            strips.new_sound(f"line {number}", SAMPLE, 1 + number % 20, 1 + 160 * number)
        while len(entries) > 4:
            entries.remove(len(entries) - 1)
        add_many_takes(scene, lines)
        display.show(head.find(scene), entries[0])
        yield 3.0
        spent = []
        for _ in range(DRAWN):
            start = time.thread_time()
            hand.sidebar.tag_redraw()
            yield 0.01
            spent.append(time.thread_time() - start)
        hand.photograph(f"many_takes_{lines}")
        hand.keeps(PROMISE, spent, f"drawing the tab with {len(entries)} takes of {lines} lines")
        hand.seen[f"seconds of {lines} lines"] = spent
    bpy.data.batch_remove([entry.action for entry in entries if entry.action is not None][8:])
    yield 1.0
    assert entries[9].action is None and entries[0].action is not None
