# SPDX-License-Identifier: GPL-3.0-or-later
"""Films that the docs show: pictures film_NNN.png of a window, and in `hand.seen["film"]` how many
milliseconds each is seen, and its caption."""

import os
import time
from itertools import combinations

import bpy
import numpy as np
from mathutils import Vector
from record_scenarios import booth, press_record, shot as make_shot
from scenarios import done, only_open, PATIENCE, scene_with_voice_and_head, until
from scenes import bare_view
from take_scenarios import list_takes
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.media import contact_sheet, puppets
from thunder.scene.review import live_score
from thunder.scene.takes import take_list, word_places
from thunder.scene.voice import recording
from thunder.thunder_core.animation import activity
from word_scenarios import call, click_word, found, look_at, split

FILM_STEP = 2  # scene frames between two pictures of the film
STRETCH = 50  # frames of the line that each of the film's takes plays
WIDER = 200  # pixels that the film's sidebar gets, so that words of takes are not cut
# of the eye from the face, metres; the middle of the picture from that of the face, as it is seen
DISTANCE, BESIDE = 0.67, Vector((0.075, 0.01, 0.0))
SHADING = "SOLID"  # of the film; "MATERIAL" wants a graphics card
COMPILES = 900  # seconds that a machine without a graphics card compiles shaders for at most
SAMPLES = 4  # that Material Preview takes of a picture
FILMED = 6.0  # seconds of a live performance


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


def films_speaking(hand):
    """A line is spoken and committed: pictures film_NNN.png, and in `hand.seen["film"]`
    milliseconds and a caption of each."""
    only_open("main", "takes", "commit")
    booth(hand)
    yield from make_shot(hand)
    scene, photograph = hand.scene, filmer(hand)
    next(
        area for area in hand.window.screen.areas if area.type == "DOPESHEET_EDITOR"
    ).type = "SEQUENCE_EDITOR"
    scene.thunder.recording.countdown, scene.thunder.count = 1, 4
    bpy.context.preferences.view.show_playback_fps = False

    yield 1.0
    photograph(1500, "Record, beside the voice")
    press_record(hand)
    took = recording.Recording.running
    yield 0.4
    photograph(800, "It counts")
    yield from until(lambda: took.spoken > 0)
    while took.spoken < 4.0:
        photograph(450, "Speak; Space ends it")
        yield 0.2
    hand.press("SPACE")
    yield from until(lambda: len(scene.thunder.takes) > 0)
    yield 0.3
    photograph(1200, "The line is a strip, its takes arrive")
    yield from done()
    yield 0.5
    bpy.context.window_manager.thunder_part = "TAKES"  # with Commit
    entry = scene.thunder.takes[0]
    for frame in range(entry.first, min(entry.last, entry.first + 60), 6):
        scene.frame_set(frame)
        yield 0.3
        photograph(240, "The best one is on the head")
    hand.call(bpy.ops.thunder.commit_take, "INVOKE_DEFAULT")
    yield from done()
    yield 0.7
    scene.frame_set(frame - 12)  # between two blinks
    yield 0.5
    photograph(2500, "Committed: keys of your own")


def copy_screen(path):
    """A picture of the screen, within milliseconds: a pixmap, of what Xvfb keeps as X's dump."""
    dump = np.fromfile(os.environ["SCREEN_FILE"], np.uint8)
    about = dump[:80].view(">u4")  # size of the head, …, width, height, …, bytes a row, …, colours
    pixels = dump[about[0] + 12 * about[19] :][: about[5] * about[12]]
    pixels = pixels.reshape(about[5], -1, 4)[:, : about[4], 2::-1]
    with open(path, "wb") as file:
        file.write(b"P6 %d %d 255\n" % (about[4], about[5]) + pixels.tobytes())


def films_live(hand):
    """The head speaks while somebody does, and takes follow: pictures as `films_speaking` makes
    them, those of the live face taken beside it, each seen as long as it took."""
    only_open("main", "takes")
    booth(hand)
    yield from make_shot(hand)
    scene, photograph = hand.scene, filmer(hand)
    scene.thunder.count = 4
    view = bare_view(hand)
    view.region_3d.view_location.x += BESIDE.x
    view.overlay.show_cursor = view.overlay.show_object_origins = False
    yield 1.0
    hand.call(bpy.ops.object.select_all, action="DESELECT")
    x, y = hand.sidebar.x - 200, hand.sidebar.y + 2 * hand.sidebar.height // 3
    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    hand.call(bpy.ops.wm.call_panel, name="THUNDER_PT_record", keep_open=True)
    yield 0.4
    photograph(1800, "Perform Live, beside Record")
    hand.press("ESC")
    yield 0.5
    assert hand.button(bpy.ops.thunder.perform_live) == ["RUNNING_MODAL"]
    took = recording.Recording.running
    yield from until(lambda: took.motion.delay)
    shots, began = hand.seen["film"], time.perf_counter()
    while took.spoken < FILMED:
        yield 0.02
        copy_screen(os.path.join(hand.folder, f"film_{len(shots):03d}.png"))
        now = time.perf_counter()
        shots.append([round(1000 * (now - began)), "The head speaks while you do; Space ends it"])
        began = now
    hand.press("SPACE")
    yield from until(lambda: len(scene.thunder.takes) > 0)
    yield from done()
    yield 0.5
    photograph(1500, "The line is a strip, and takes of it are there")
    entry = scene.thunder.takes[0]
    for frame in range(entry.first, min(entry.last, entry.first + 48), 4):
        scene.frame_set(frame)
        yield 0.3
        photograph(160, "The best take")


def opening_at(entry, frame):
    """How far the mouth of a take is open at a frame, mm."""
    begin, opening = live_score.opening(entry.action)
    return opening[round(frame - begin)]


def films_mending(hand):
    """A line is mended by its words alone; pictures film_NNN.png, and `hand.seen["film"]`,
    milliseconds and a caption of each."""
    yield from scene_with_voice_and_head(hand, "words")
    scene = hand.scene
    view = bare_view(hand)
    yield from found(hand)
    yield from list_takes(hand, 3)
    area = yield from split(hand)
    view.region_3d.view_distance *= 0.5
    look_at(hand, area, 152, 206)
    line = word_places.line(bpy.context)
    place = line.words[-1]
    first, last = place.frames
    held = sum(line.sounds(place)[0][0].frames) // 2

    shot = filmer(hand)

    def played(caption):
        """Steps that show the word with a little before it, and stay on its first sound."""
        for frame in [*range(first - 5, last + 1, FILM_STEP), held]:
            scene.frame_set(frame)
            yield 0.25
            shot(round(1000 * FILM_STEP / scene.render.fps), caption)
        hand.seen["film"][-1][0] = 1800

    scene.frame_set(first - 20)
    yield 1.0
    shot(1500, "The track of words, over the curves")
    yield from click_word(hand, area, place)
    hand.call(bpy.ops.screen.animation_cancel, restore_frame=False)
    for x, y in (
        (area.x + area.width // 2, area.y + area.height - 40),
        (hand.viewport.x + 300, hand.viewport.y + 300),
    ):
        hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
        yield 0.5
    yield from played("A click on “thunder” loops it: its th was heard as f")
    for caption, operator, arguments in (
        ("TH is chosen instead", bpy.ops.thunder.correct_sound, {"number": 0, "sound": "TH"}),
        ("Stressed: the mouth opens further", bpy.ops.thunder.mark_word, {"kind": "stressed"}),
        ("Retake Word: eight readings of it alone", bpy.ops.thunder.retake, {"what": "WORD"}),
    ):
        yield from call(hand, operator, **arguments)
        yield 2.5
        yield from until(lambda: session.job is None, caption)
        yield from played(caption)
    readings = [
        entry
        for entry in scene.thunder.takes
        if entry.kind == "RESAMPLED" and entry != take_list.shown_take(scene.thunder)
    ]
    other = max(readings, key=lambda entry: opening_at(entry, held))
    yield from call(hand, bpy.ops.thunder.use_mouth, take=other.action.name)
    yield from played("A click on a mouth: the word is said by that take")
    yield from call(hand, bpy.ops.thunder.hear_word)
    yield 1.0
    shot(2500, "The loudspeaker: hear what the lips say now")
