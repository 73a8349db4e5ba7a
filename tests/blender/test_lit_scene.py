# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit scene in one click: it frames the heads, is set up once, leaves what was there alone, and
goes as a whole; and its playblasts."""

from pathlib import Path

import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from commit_stage import commit
from mathutils import Vector
from performances import performance, read_wav, show_take
from thunder.scene.heads import head
from thunder.scene.media import puppets, studio
from thunder.scene.voice import strip
from thunder.thunder_core import shipped

NAMES = ("objects", "meshes", "cameras", "lights", "worlds", "collections", "materials", "scenes")


def counts(blender):
    return {name: len(getattr(blender.data, name)) for name in NAMES}


def seen(scene, rig):
    """Where the top and the chin of a head are in the camera's picture, [2, 2] of 0 … 1."""
    low, high = (rig.mesh.matrix_world @ Vector((0.0, -0.07, height)) for height in (-0.1, 0.08))
    return np.array(
        [world_to_camera_view(scene, studio.camera_of(scene), place)[:2] for place in (low, high)]
    )


def test_one_click_frames_and_lights_the_head_and_a_second_only_fits_it_again(scene, rig, blender):
    assert blender.ops.thunder.light_scene() == {"FINISHED"}
    assert (
        scene.camera == studio.camera_of(scene)
        and len(blender.data.lights) == 3
        and scene.world is not None
    )
    places, brightest = seen(scene, rig), max(light.energy for light in blender.data.lights)
    assert ((places > 0.1) & (places < 0.9)).all() and np.ptp(places[:, 1]) > 0.3
    before = counts(blender)
    rig.armature.location = (3.0, 1.0, 2.0)
    rig.armature.scale = (2.0, 2.0, 2.0)
    blender.ops.thunder.light_scene()
    assert counts(blender) == before
    assert np.abs(seen(scene, rig) - places).max() < 0.15
    # twice as far away
    assert max(light.energy for light in blender.data.lights) == pytest.approx(4 * brightest)


def test_it_goes_as_a_whole_and_settings_come_back(scene, blender):
    scene.view_settings.view_transform, scene.display.render_aa = "Raw", "8"
    before = counts(blender)
    blender.ops.thunder.light_scene()
    scene.display.render_aa = "16"  # the animator's own change stays
    assert scene.view_settings.view_transform == "Standard"
    mine = blender.data.objects.new("Prop", None)
    studio.find(scene).objects.link(mine)
    assert blender.ops.thunder.remove_stage() == {"FINISHED"}
    assert mine.name in scene.objects and scene.camera is None and scene.world is None
    assert (scene.view_settings.view_transform, scene.display.render_aa) == ("Raw", "16")
    blender.data.objects.remove(mine)
    blender.data.materials.remove(blender.data.materials["Thunder Backdrop"])
    assert counts(blender) == before
    with pytest.raises(RuntimeError, match="nothing to remove"):
        blender.ops.thunder.remove_stage()


def test_all_heads_are_framed_whichever_is_chosen(scene, rig, blender):
    blender.ops.thunder.add_head()
    for obj in head.in_scene(scene):
        if obj != rig.mesh:
            head.resolve(obj).armature.location.x = 0.6
            scene.thunder.head = obj
    blender.context.view_layer.update()
    blender.ops.thunder.light_scene()
    for obj in head.in_scene(scene):
        places = seen(scene, head.resolve(obj))
        assert ((places > 0.02) & (places < 0.98)).all()


def test_a_camera_lights_and_a_world_of_the_animators_stay(scene, blender):
    camera = blender.data.objects.new("Mine", blender.data.cameras.new("Mine"))
    lamp = blender.data.objects.new("Sun", blender.data.lights.new("Sun", "SUN"))
    scene.world = world = blender.data.worlds.new("Sky")
    for obj in (camera, lamp):
        scene.collection.objects.link(obj)
    scene.camera = camera
    blender.ops.thunder.light_scene()
    assert scene.camera == studio.camera_of(scene) and len(blender.data.lights) == 4
    assert scene.world == world
    camera.name = "Renamed"
    blender.ops.thunder.remove_stage()
    assert (
        scene.camera == camera and list(blender.data.lights) == [lamp.data] and scene.world == world
    )


def test_without_a_head_or_a_camera_a_sentence_says_what_to_do(blender, tmp_path):
    with pytest.raises(RuntimeError, match="no head to light: add one first"):
        blender.ops.thunder.light_scene()
    with pytest.raises(
        RuntimeError, match="no camera to film through: press Light the Scene first"
    ):
        blender.ops.thunder.playblast(filepath=str(tmp_path / "a.mp4"))
    blender.ops.thunder.add_head()
    assert not blender.ops.thunder.playblast.poll()
    blender.ops.thunder.light_scene()
    with pytest.raises(RuntimeError, match="cannot be written"):
        blender.ops.thunder.playblast(filepath=str(tmp_path / "none" / "a.mp4"))
    assert len(blender.data.scenes) == 1


def test_a_playblasts_slate_says_line_take_and_frame(stage, blender, tmp_path):
    scene, rig = stage
    commit(show_take(stage, performance(seconds=0.5, closed_at=()), 21.0, "second line"), "COPY")
    entry = show_take(stage, performance(seconds=0.5, closed_at=()), 3.0, "line")
    assert studio.slate(scene, 5) == f"line · {entry.name}   frame 5"
    assert studio.slate(scene, 25) == "second line · committed   frame 25"
    assert studio.slate(scene, 90) == "frame 90"
    blender.ops.thunder.add_head()
    name = rig.mesh.name
    assert studio.slate(scene, 5) == f"{name}: line · {entry.name}   frame 5"
    blender.data.objects.remove(next(each for each in head.in_scene(scene) if each != rig.mesh))
    blender.ops.thunder.light_scene()
    scene.frame_start, scene.frame_end = 4, 5

    def first_picture(width, height):
        scene.render.resolution_x, scene.render.resolution_y = width, height
        steps = studio.playblast(scene, str(tmp_path / "film.mp4"))
        next(steps), next(steps)
        (picture,) = Path(blender.app.tempdir).glob("thunder_playblast_*/000000.png")
        pixels = puppets.pixels(str(picture))[..., :3].max(axis=2)
        steps.close()
        return pixels

    def letters(pixels):
        """How many rows they take."""
        left = (pixels[:, : pixels.shape[1] // 4] > 0.6).any(axis=1)
        return left[: len(left) // 8].sum() + left[-len(left) // 8 :].sum()

    pixels = first_picture(480, 240)
    assert letters(first_picture(3840, 2160)) > 1.7 * letters(pixels), "to be read in a large film"
    edges = np.concatenate([pixels[:20], pixels[-20:]])  # above and below the face
    assert 40 < (edges > 0.6).sum() < 2000, "letters"
    assert not (pixels[30:-30, :10] > 0.6).any()


def test_a_playblast_has_half_the_size_of_a_large_scene_and_all_of_a_small_one():
    sizes = {(1920, 1080): (960, 540), (1080, 1920): (540, 960), (480, 270): (480, 270)}
    assert {size: studio.film_size(*size) for size in sizes} == sizes
    assert studio.film_size(801, 801) == (540, 540) and studio.film_size(1, 9) == (2, 8)


def test_a_playblast_has_the_scenes_frames_and_sound_and_leaves_the_scene_as_it_was(
    needs_sound, scene, blender, tmp_path
):
    scene.render.fps, scene.frame_start, scene.frame_end = 25, 3, 14
    strip.add(scene, str(shipped.SAMPLE), "voice", 1)
    blender.ops.thunder.light_scene()
    scene.render.resolution_x, scene.render.resolution_y, scene.render.engine = 322, 182, "CYCLES"
    scene.frame_set(5)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert blender.ops.thunder.playblast() == {"FINISHED"} and blender.ops.thunder.playblast() == {
        "FINISHED"
    }
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == [
        "shot_playblast.mp4",
        "shot_playblast_2.mp4",
    ]
    clip = blender.data.movieclips.load(str(tmp_path / "shot_playblast.mp4"))
    assert (clip.frame_duration, tuple(clip.size)) == (12, (322, 182))
    assert clip.fps == 25 and len(blender.data.scenes) == 1
    assert (
        scene.frame_current,
        scene.render.engine,
        scene.render.resolution_x,
        len(scene.sequence_editor.strips_all),
    ) == (5, "CYCLES", 322, 1)
    import aud

    heard = aud.Sound.file(str(tmp_path / "shot_playblast.mp4")).data()
    wanted, rate = read_wav(shipped.SAMPLE)
    part = wanted[int(2 / 25 * rate) : int(14 / 25 * rate)]
    assert np.abs(heard).max() == pytest.approx(np.abs(part).max(), rel=0.3) and len(
        heard
    ) / 48000 == pytest.approx(12 / 25, abs=0.2)
