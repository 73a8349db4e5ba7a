# SPDX-License-Identifier: GPL-3.0-or-later
"""What the docs alone show: what a score is made of, and a film of the window."""

import time
from itertools import combinations

import bpy
import numpy as np
from mathutils import Vector
from scenarios import open_popover, PATIENCE, scene_with_voice_and_head, until
from take_scenarios import list_takes
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.media import contact_sheet, puppets
from thunder.thunder_core.animation import activity

FILM_STEP = 2  # scene frames between two pictures of the film
STRETCH = 50  # frames of the line that each of the film's takes plays
WIDER = 200  # pixels that the film's sidebar gets, so that words of takes are not cut
# of the eye from the face, metres; the middle of the picture from that of the face, as it is seen
DISTANCE, BESIDE = 0.67, Vector((0.075, 0.01, 0.0))
SHADING = "SOLID"  # of the film; "MATERIAL" wants a graphics card
COMPILES = 900  # seconds that a machine without a graphics card compiles shaders for at most
SAMPLES = 4  # that Material Preview takes of a picture


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


def widen_the_sidebar(hand):
    """Steps that drag the sidebar's edge, so that all words of takes are read."""
    region, event = hand.sidebar, hand.window.event_simulate
    # where it is taken hold of, beside the topmost panel
    x, y, wide = region.x - 2, region.y + 4 * region.height // 5, region.width + WIDER
    for part in (0.1, 0.0):  # the mouse comes from the left
        event(type="MOUSEMOVE", value="NOTHING", x=x - round(part * WIDER), y=y)
        yield 0.2
    event(type="LEFTMOUSE", value="PRESS", x=x, y=y)
    for part in (0.2, 0.6, 1.0):
        yield 0.2
        event(type="MOUSEMOVE", value="NOTHING", x=x - round(part * WIDER), y=y)
    yield 0.2
    event(type="LEFTMOUSE", value="RELEASE", x=x - WIDER, y=y)
    yield 0.5
    assert abs(hand.sidebar.width - wide) < 5, "the sidebar is not wider"


def look_closely(hand):
    """Light the scene, and look at the face beside the sidebar as these lights show it."""
    hand.call(bpy.ops.thunder.light_scene)
    view, scene = bare_view(hand), hand.scene
    view.overlay.show_overlays = False
    view.shading.type, scene.eevee.taa_samples = SHADING, SAMPLES
    view.shading.use_scene_lights = view.shading.use_scene_world = True
    look = view.region_3d
    look.view_perspective, view.lens = "PERSP", scene.camera.data.lens
    look.view_rotation = scene.camera.matrix_world.to_quaternion()
    middle = puppets.face_frame(head.find(scene))[0].inverted().translation
    look.view_location, look.view_distance = middle + look.view_rotation @ BESIDE, DISTANCE


def draw(hand):
    """Draw the window until Material Preview has all its samples."""
    with hand.context():
        bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=SAMPLES)


def shows_the_face(hand):
    """Draw the window; whether the viewport shows more than the backdrop."""
    draw(hand)
    return np.ptp(hand.photograph("settling")[200:700, 240:640].max(axis=2)) > 0.4


def different(entries):
    """(places of the first take and another, first frame) of takes that differ in a part of
    their line by mouth, brows and head."""
    rows = [contact_sheet._row(entry.action).tracks for entry in entries]
    full = activity.full_heights(rows)
    length = min(len(row["mouth"]) for row in rows)
    levels = np.array([[row[name][:length] / full[name] for name in full] for row in rows])
    apart = np.abs(levels[:, None] - levels).sum(axis=2)  # of two takes at a frame
    return max(
        (
            min(apart[pair][start : start + STRETCH].mean() for pair in combinations(takes, 2)),
            takes,
            entries[0].first + start,
        )
        for takes in ((0, other) for other in range(1, len(rows)))
        for start in range(length - STRETCH)
    )[1:]


def film(hand):
    """Generate is clicked, takes arrive, and two of them play the same part of the line; a
    picture of the window at every step."""
    yield from scene_with_voice_and_head(hand, "main", "takes")
    yield from widen_the_sidebar(hand)
    scene, entries = hand.scene, hand.scene.thunder.takes
    look_closely(hand)
    yield from until(lambda: shows_the_face(hand), "Material Preview", COMPILES)
    yield from hand.settle(COMPILES)
    shot = filmer(hand)
    yield from hand.click(*hand.main_button(shot(900)))
    arrived, end = 0, time.monotonic() + PATIENCE
    while session.job is not None or not arrived:
        assert time.monotonic() < end, "the takes do not come"
        if len(entries) > arrived:
            arrived = len(entries)
            shot(150)
        yield 0.1
    yield 1.5
    takes, first = different(entries)
    for index in takes:
        scene.thunder.active_take = index
        for frame in range(first, first + STRETCH, FILM_STEP):
            scene.frame_set(frame)
            yield 0.05
            draw(hand)
            shot(round(1000 * FILM_STEP / scene.render.fps))
