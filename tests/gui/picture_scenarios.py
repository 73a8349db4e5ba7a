# SPDX-License-Identifier: GPL-3.0-or-later
"""What the docs alone show: what a score is made of, and a film of the window."""

import time

from scenarios import open_popover, PATIENCE, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.host.jobs import session

FILM_STEP = 2  # scene frames between two pictures of the film


def explains_a_score(hand):
    """The list of takes, and what the score of the shown one is made of."""
    yield from scene_with_voice_and_head(hand)
    yield from list_takes(hand)
    yield from open_popover(hand, "THUNDER_PT_score")
    hand.photograph("score")


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
