# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo, redo and Esc are pressed while long work runs, once or many times each."""

import random
from pathlib import Path

import bpy
import numpy as np
from interruptions import (
    is_over,
    KEYS,
    lost,
    play_engine,
    press_and_see,
    start_and_wait,
    step_of_their_own,
    their_step,
    treasure,
    until,
    watch_ends,
)
from performances import trim_end, write_wav
from scenarios import done, scene_with_voice_and_head
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import dialogue, keep
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.direction.live import live
from thunder.scene.voice import fingerprint, strip


def of_operator(name, **options):
    """Starts an operator as its button does."""

    def start(hand):
        hand.button(getattr(bpy.ops.thunder, name), **options)

    return start


def resync(hand):
    """The voice was trimmed, or is longer again, and has a new part for the engine."""
    speaking = strip.by_name(hand.scene, "dialogue")
    first, last = compat.strip_span(speaking)
    trim_end(speaking, 6 if last - first > 46 else 2)
    of_operator("resync")(hand)


WORK = {
    "Generate": of_operator("generate"),
    "More Like This": of_operator("more_like_this"),
    "Keep": of_operator("resample_rest"),
    "Mix": of_operator("mix_takes"),
    "Commit": of_operator("commit_take"),
    "Commit All": of_operator("commit_all", again=True),
    "Play All": of_operator("play_grid"),
    "Re-sync": resync,
}


def shot(hand):
    """Steps that make a head with two lines, takes of both that are worth keeping, a curve of the
    animator's own and a mix."""
    yield from scene_with_voice_and_head(hand, "takes", "direction")
    play_engine(hand)
    strips = compat.strips(hand.scene.sequence_editor)
    strips.remove(strips["dialogue"])
    # two seconds: what is long is not the test
    noise = np.random.default_rng(0).standard_normal(32000)
    for name, start in (("reply", 71), ("dialogue", 1)):
        strip.add(
            hand.scene, write_wav(Path(hand.folder) / f"{name}.wav", 0.3 * noise), name, start
        )
    mesh, hand.scene.thunder.count = hand.scene.thunder.head, 2
    hand.call(bpy.ops.mesh.primitive_cube_add, "EXEC_DEFAULT", True)
    bpy.context.view_layer.objects.active.keyframe_insert("location", frame=5)
    for name in ("reply", "dialogue"):
        dialogue.cast(hand.scene, name, mesh)
        hand.scene.thunder.strip = name
        of_operator("generate")(hand)
        yield from done()
    hand.scene.thunder.commit.keys = "DENSE"
    keep.add_range(hand.scene, 15, 30)
    hand.scene.thunder_keep.count = 2
    keep_what_is_there(hand)


def keep_what_is_there(hand):
    """Takes with a star are not replaced; one is shown, two are to be mixed."""
    actions = [entry.action for entry in hand.scene.thunder.takes if entry.voice == "dialogue"]
    hand.scene.thunder_mix.mouth, hand.scene.thunder_mix.eyes = actions[:2]
    for entry in hand.scene.thunder.takes:
        entry.star = True
    hand.scene.thunder.active_take = next(
        i for i, entry in enumerate(hand.scene.thunder.takes) if entry.voice == "dialogue"
    )
    hand.call(bpy.ops.ed.undo_push, message="Stars")


def tidy(hand):
    """Four takes of each line are left, so that hundreds of rounds stay as quick as the first."""
    kept = {}
    for place in reversed(range(len(hand.scene.thunder.takes))):
        entry = hand.scene.thunder.takes[place]
        used = entry.action in (hand.scene.thunder_mix.mouth, hand.scene.thunder_mix.eyes)
        kept[entry.voice] = kept.get(entry.voice, 0) + 1
        if kept[entry.voice] > 4 and not used:
            hand.call(bpy.ops.thunder.delete_take, "EXEC_DEFAULT", True, index=place)


def interrupt(hand, ends, name, key, progress):
    """Steps that press a key in the middle of work, wait for its end, and say what went wrong."""
    before, after = step_of_their_own(hand)
    if key == "redo":
        yield from press_and_see(hand, "undo", before)
    there, count = treasure(hand), len(ends.all)
    yield from start_and_wait(hand, WORK[name], progress)
    if key == "escape":
        hand.press(**KEYS["escape"])
    else:
        is_complete = lambda: len(ends.all) > count and ends.all[-1] == "done"  # noqa: E731
        yield from press_and_see(hand, key, before if key == "undo" else after, is_complete)
    yield from until(lambda: session_ends(hand, key), f"the end of {name} after {key}")
    wrong = []
    if len(ends.all) == count:
        wrong.append("neither complete nor cancelled with a sentence")
    # Re-sync keys takes again, and those that it had keyed stay after Esc.
    of = (
        ("named", "own")
        if name == "Re-sync" and (key == "escape" or ends.all[-1] == "done")
        else ("takes", "own")
    )
    wrong += [f"lost {what}" for what in lost(there, treasure(hand), of)]
    if key == "undo":
        yield from press_and_see(hand, "redo", after) if ends.all[-1] != "done" else iter(())
    elif key == "escape" and their_step(hand) != after:
        wrong.append("Esc undid a step")
    return [f"{name}, {key} at {progress:.2f}: {each}" for each in wrong]


def session_ends(hand, key):
    """Whether the work is over; a grid that plays although the key came too late for its making is
    left by Esc."""
    if is_over():
        return True
    if hand.window.screen.is_animation_playing:
        hand.press(**KEYS["escape"])
    return False


def drag_slider(hand, key, number):
    """Steps that press a key while the shown take follows a slider, and say what went wrong."""
    if any(fingerprint.change(hand.scene, entry) for entry in hand.scene.thunder.takes):
        # Esc in an earlier one has left takes behind their voice, which follow no slider
        of_operator("resync")(hand)
        yield from done()
    entry = next(
        entry
        for entry in hand.scene.thunder.takes
        if entry.voice == "dialogue" and entry.kind == "SAMPLED"
    )
    hand.scene.thunder.active_take = list(hand.scene.thunder.takes).index(entry)
    entry.star, uid = False, entry.action.session_uid  # a take with a star does not follow
    hand.scene.thunder.live_direction = True
    direction = sliders.of(head.find(hand.scene).owner)
    before, after = direction.energy, 0.7 + 0.1 * (number % 6)
    after = after if abs(after - before) > 0.05 else after + 0.05
    hand.call(bpy.ops.ed.undo_push, message="Before the Slider")
    there = treasure(hand)
    direction.energy = after
    hand.call(bpy.ops.ed.undo_push, message="Energy")
    yield 0.05 * (number % 5)
    wrong = []

    def energy():
        return sliders.of(head.find(hand.scene).owner).energy

    if key == "escape":
        hand.press(**KEYS["escape"])
    else:
        hand.press(**KEYS["undo"])
        yield from until(lambda: abs(energy() - before) < 1e-4, "the slider undone", 20)
        if key == "redo":
            hand.press(**KEYS["redo"])
            yield from until(lambda: abs(energy() - after) < 1e-4, "the slider redone", 20)
    yield from until(lambda: live.task.due is None, "the take that follows")
    now = treasure(hand)
    del there["takes"][uid]
    wrong += [f"lost {what}" for what in lost(there, now)] + (
        [] if uid in now["takes"] else ["lost the take that follows"]
    )
    if live.sentence:
        wrong.append(live.sentence)
    next(each for each in hand.scene.thunder.takes if each.action.session_uid == uid).star = True
    hand.call(bpy.ops.ed.undo_push, message="Star")  # which the next undo does not take back
    return [f"Live, {key}: {each}" for each in wrong]


def presses_keys(hand, rounds=1, seed=1):
    """Every key in the middle of every work, at places that a seed chooses; afterwards Generate
    still works. At last the window closes in the middle of it."""
    yield from shot(hand)
    ends, wrong, places = watch_ends(), [], random.Random(seed)
    for number in range(rounds):
        for name in WORK:
            for key in KEYS:
                wrong += yield from interrupt(
                    hand, ends, name, key, places.choice((0.0, places.random()))
                )
                keep_what_is_there(hand)
            tidy(hand)
        for key in KEYS:
            wrong += yield from drag_slider(hand, key, number)
    assert wrong == [] and ends.bugs == [], (wrong, ends.bugs)
    of_operator("generate")(hand)
    yield from done()
    assert ends.all[-1] == "done", ends.all[-3:]
    yield from start_and_wait(hand, WORK["Generate"], 0.5)


def presses_keys_forty_five_times(hand):
    yield from presses_keys(hand, 45, 45)
