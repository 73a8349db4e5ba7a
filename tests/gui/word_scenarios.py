# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds in a real window: at every zoom, over an hour of dialogue; and a
line mended by its words."""

import json
import os
import time

import bpy
import numpy as np
from commit_scenarios import lay, timed_draws
from picture_scenarios import bare_view, FILM_STEP, filmer
from scenarios import SAMPLE, scene_with_voice_and_head, until
from take_scenarios import list_takes
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.review import live_score, overlay, word_track
from thunder.scene.takes import mouth_pictures, take_list, transcript, word_places

SAID = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)
ZOOMS = {"1_s": 1.0, "4_s": 4.0, "line": 12.0, "minute": 60.0, "ten_minutes": 600.0, "hour": 3600.0}
LINES = 300


def found(hand):
    """Steps that find the words of the sample."""
    transcript.ensure(hand.scene, "dialogue").text = SAID
    assert hand.call(bpy.ops.thunder.find_words, "INVOKE_DEFAULT") <= {"FINISHED", "RUNNING_MODAL"}
    yield from until(lambda: session.job is None, "no words are found")


def look_at(hand, area, first, last):
    """Show a range of frames in a dope sheet or sequencer."""
    region = hand.region(area)
    with hand.context(area):
        for _ in range(3):
            left, right = (
                region.view2d.view_to_region(frame, 0, clip=False)[0] for frame in (first, last)
            )
            bpy.ops.view2d.zoom_border(
                xmin=left,
                xmax=right,
                ymin=0,
                ymax=region.height,
                wait_for_input=False,
                zoom_out=False,
            )
    return region


def draws_an_hour(hand):
    """A redraw over an hour of dialogue is soon done, at each zoom, while it is moved along."""
    yield from scene_with_voice_and_head(hand)
    yield from found(hand)
    strips = compat.strips(hand.scene.sequence_editor)
    every = 300
    for number in range(1, LINES):
        strips.new_sound(f"line {number}", SAMPLE, 1, 1 + every * number)
    hand.scene.frame_end = every * LINES
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    yield 2.0
    with timed_draws() as spent:
        for name, seconds in ZOOMS.items():
            far = min(hand.scene.render.fps * seconds, hand.scene.frame_end - 30000)
            look_at(hand, area, 30000, 30000 + far)
            yield 1.5
            spent.clear()
            for _ in range(12):
                with hand.context(area):
                    bpy.ops.view2d.pan(deltax=7, deltay=0)
                area.tag_redraw()
                yield 0.15
            assert len(spent) > 5
            hand.keeps(0.004, sorted(spent)[len(spent) // 2][0], f"a redraw at {name}, median")
    assert len(word_track.tracks.tracks[hand.scene.name].sounds) > 10000
    overlay.register()
    area.type = "VIEW_3D"
    yield 0.5


# ---- a line mended by its words


def call(hand, operator, **arguments):
    """Steps that call an operator as a button does, and wait for its work; seconds that it took."""
    begun = time.monotonic()
    assert hand.call(operator, "INVOKE_DEFAULT", **arguments) <= {"FINISHED", "RUNNING_MODAL"}
    yield from until(lambda: session.job is None, str(operator))
    return time.monotonic() - begun


def mends_a_line(hand):
    """A word is marked, retaken, said by another take's mouth and heard at once; a click on the
    track loops its word."""
    yield from scene_with_voice_and_head(hand, "words")
    scene = hand.scene
    yield from found(hand)
    scene.thunder.count = 3
    yield from call(hand, bpy.ops.thunder.generate)
    context = bpy.context
    there = word_places.line(context).words
    scene.frame_set(there[5].frames[0])
    yield 1.0
    assert word_places.current(context).text
    yield from call(hand, bpy.ops.thunder.mark_word, kind="stressed")
    yield 2.0
    yield from call(hand, bpy.ops.thunder.retake, what="WORD")
    assert [entry.kind for entry in scene.thunder.takes].count("RESAMPLED") == 8
    shown = take_list.shown_take(scene.thunder)
    other = next(
        entry for entry in scene.thunder.takes if entry.kind == "SAMPLED" and entry != shown
    )
    yield from call(hand, bpy.ops.thunder.use_mouth, take=other.action.name)
    assert take_list.shown_take(scene.thunder).name.startswith("Mix")
    yield from call(hand, bpy.ops.thunder.hear_word)
    hand.keeps(0.7, (yield from call(hand, bpy.ops.thunder.hear_word)), "hearing a word")
    yield 1.0
    pixels, region = hand.photograph("mended"), hand.sidebar
    near = np.abs(pixels[:, region.x : region.x + region.width] - mouth_pictures.LIPS).max(axis=2)
    hand.seen["lips"] = rows = int((near < 0.15).any(axis=1).sum())
    assert rows >= 30, "mouths of takes are seen"
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    look_at(hand, area, 20, 120)
    yield 0.7
    hand.photograph("track")
    yield from click_word(hand, area, there[3])
    looped = range(scene.frame_preview_start, scene.frame_preview_end + 1)
    first, last = there[3].frames
    assert scene.use_preview_range and first in looped and last in looped
    assert len(looped) < last - first + 20
    area.type = "VIEW_3D"
    yield 0.5
    assert hand.window.screen.is_animation_playing
    hand.press("ESC")
    yield 1.0
    assert not hand.window.screen.is_animation_playing and not scene.use_preview_range
    assert word_places.current(bpy.context).frames == there[3].frames


def reads_scripts(hand):
    """Lines of THUNDER_LINES, a file of JSON: each a sound, its text, a word's number and how far in
    it the picture line_N.png is taken, 0 to 1: the face over the track of its words."""
    with open(os.environ["THUNDER_LINES"], encoding="utf-8") as file:
        lines = json.load(file)
    area = yield from split(hand)
    for number, (sound, text, word, share) in enumerate(lines):
        yield from scene_with_voice_and_head(hand, "words", sound=sound, text=text)
        scene, view = hand.scene, bare_view(hand)
        scene.thunder.count = 1
        yield from call(hand, bpy.ops.thunder.generate)
        yield from call(hand, bpy.ops.thunder.find_words)
        first, last = word_places.line(bpy.context).words[word].frames
        view.region_3d.view_distance *= 0.3
        view.region_3d.view_location.z += 0.02
        look_at(hand, area, first - 12, last + 12)
        scene.frame_set(round(first + share * (last - first)))
        yield from hand.settle()
        hand.photograph(f"line_{number}")
        strips = compat.strips(scene.sequence_editor)
        strips.remove(strips[0])
        yield 0.5


def split(hand):
    """Steps that lay a dope sheet under the viewport; its area."""
    before = set(hand.window.screen.areas)
    hand.call(bpy.ops.screen.area_split, direction="HORIZONTAL", factor=0.25)
    (new,) = set(hand.window.screen.areas) - before
    area = min(new, hand.viewport, key=lambda each: each.y)
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    area.spaces.active.show_region_ui = False
    return area


def click_word(hand, area, place):
    """Steps that click a word on the track of an area."""
    region = hand.region(area)
    band = word_track.tracks.pictures[region.as_pointer()][1]
    middle = sum(place.frames) / 2
    yield from hand.click(
        region.x + round((middle - band.start) * band.per_frame), region.y + round(band.bottom) + 6
    )
    yield 1.0


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
