# SPDX-License-Identifier: GPL-3.0-or-later
"""What the docs show: scenarios of this folder with takes of the shipped weights instead of made
ones, and a film of the window."""

import time

import bpy
import commit_scenarios
import scene_scenarios
import shape_scenarios
import take_scenarios
from scenarios import open_popover, PATIENCE, scene_with_voice_and_head, until
from thunder.scene.host.jobs import session

FILM_STEP = 2  # scene frames between two pictures of the film


def sampled(hand, count=6):
    """Steps that have the engine generate takes and wait for them; in place of `list_takes`."""
    hand.scene.thunder.count = count
    bpy.context.preferences.view.show_playback_fps = (
        False  # in red where the window is drawn without a graphics card
    )
    assert hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT", True) <= {
        "FINISHED",
        "RUNNING_MODAL",
    }
    yield from until(
        lambda: session.job is None and len(hand.scene.thunder.takes) >= count,
        "the takes do not come",
    )
    yield 1.0


def explains_a_score(hand):
    """The list of takes, and what the score of the shown one is made of."""
    yield from scene_with_voice_and_head(hand)
    yield from sampled(hand)
    yield from open_popover(hand, "THUNDER_PT_score")
    hand.photograph("score")


def draws_a_sheet(hand):
    yield from take_scenarios.draws_a_sheet(hand, sampled)


def plays_all(hand):
    yield from take_scenarios.plays_all(hand, sampled)


def shapes(hand):
    yield from shape_scenarios.shapes(hand, sampled)


def mixes(hand):
    yield from shape_scenarios.mixes(hand, sampled)


def keeps(hand):
    yield from shape_scenarios.keeps(hand, sampled)


def commits(hand):
    yield from commit_scenarios.choices(hand, sampled)


def draws_curves(hand):
    yield from commit_scenarios.draws_curves(hand, sampled)


def moves_a_voice(hand):
    yield from scene_scenarios.moves_a_voice(hand, sampled)


def bare_view(hand):
    """The viewport's space, with the head's own colours and nothing around it."""
    view = hand.viewport.spaces.active
    view.overlay.show_floor = view.overlay.show_axis_x = view.overlay.show_axis_y = (
        view.overlay.show_text
    ) = False
    view.shading.color_type = "MATERIAL"
    view.show_gizmo = False
    return view


def filmer(hand):
    """A function that takes the next picture, film_NNN.png, and gives it; `hand.seen["film"]` has
    how many milliseconds each is seen, and its caption."""
    shots = hand.seen["film"] = []

    def shot(milliseconds, caption=""):
        pixels = hand.photograph(f"film_{len(shots):03d}")
        shots.append([milliseconds, caption])
        return pixels

    return shot


def film(hand):
    """Generate is clicked, takes arrive, the best one plays, then the last one; a picture of the
    window at every step."""
    yield from scene_with_voice_and_head(hand, "main", "takes")
    scene = hand.scene
    bare_view(hand)
    shot = filmer(hand)
    yield 1.0
    yield from hand.click(*hand.main_button(shot(900)))
    arrived, end = 0, time.monotonic() + PATIENCE
    while session.job is not None or not arrived:
        assert time.monotonic() < end, "the takes do not come"
        if len(scene.thunder.takes) > arrived:
            arrived = len(scene.thunder.takes)
            shot(150)
        yield 0.1
    yield 1.5
    shot(600)
    middle = (scene.frame_start + scene.frame_end) // 2
    for index, frames in (
        (None, range(scene.frame_start, middle)),
        (-1, range(middle, scene.frame_end + 1)),
    ):
        if index is not None:
            scene.thunder.active_take = len(scene.thunder.takes) + index
        for frame in frames[::FILM_STEP]:
            scene.frame_set(frame)
            yield 0.25
            shot(round(1000 * FILM_STEP / scene.render.fps))
