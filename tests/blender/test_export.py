# SPDX-License-Identifier: GPL-3.0-or-later
"""What is exported is what is seen: files read back hold the same vertices, curves the same motion,
the scene stays as it was."""

import csv
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from characters import skin, small_face
from few_points import KEYS, PLACES
from performances import set_keys
from thunder.operators import share
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.media import export as export_module
from thunder.scene.takes import take_list
from thunder.thunder_core import errors, progress, types
from thunder.thunder_core.animation import glb, motion_file, timing
from thunder.thunder_core.direction import Direction, Style
from thunder.thunder_core.face.moving import driving

FIRST, LAST = 11, 26
FRAMES = (FIRST, 15, 20, LAST)  # that are looked at
# vertex attribute that tells who is who where an exporter splits or reorders vertices
IDENTITY = "_ID"


def motion(channels, frames=LAST - FIRST + 1, beyond=False):
    """Every channel, jaw, neck and eyes at work, within 0 … 1 unless `beyond`; a Motion at 25
    fps."""
    t = np.arange(frames) / 25
    expression = np.stack(
        [0.25 + 0.25 * np.sin(2 * np.pi * (1.7 + 0.05 * i) * t + i) for i in range(len(channels))],
        axis=1,
    )
    if beyond:
        expression[:, channels.index("mouthSmileLeft")] = 1.4
        expression[:, channels.index("browInnerUp")] = -0.5
    jaw = np.stack(
        [0.1 + 0.08 * np.sin(t * 19), 0.04 * np.sin(t * 11), 0.02 * np.cos(t * 7)], axis=1
    )
    neck = np.stack([0.1 * np.sin(t * 8), 0.2 * np.sin(t * 5), 0.05 * np.cos(t * 6)], axis=1)
    eyes = np.stack([0.1 * np.cos(t * 9), 0.2 * np.sin(t * 12), 0 * t], axis=1)
    return types.Motion(*(part.astype(np.float32) for part in (expression, jaw, neck, eyes)))


def show(rig, scene, beyond=False, name="dialogue"):
    """Key the motion as a take of the scene from FIRST on and show it; returns its entry in the
    list."""
    channels = head.channel_names()
    # As many frames at 25 fps as cover the scene's frames at the scene's own rate.
    clock = timing.Clock.of(scene, FIRST)
    made = motion(channels, round((LAST - FIRST) / clock.fps * 25) + 1, beyond)
    # an open mouth: closures are not what is looked at
    still = np.full(made.frames, 5.0, np.float32)
    performance = keying.TakeData(made, channels, still, still, 1, 50.0, {})
    actions = progress.result(keying.write_take(rig, performance, clock, name))
    entry = take_list.add_to_list(scene, rig, actions, performance, name, clock)
    display.show(rig, entry)
    return entry


def number_vertices(meshes):
    """Give every vertex of some mesh objects a number of its own, that survives where vertices are
    split."""
    start = 0
    for mesh in meshes:
        attribute = mesh.data.attributes.new(IDENTITY, "FLOAT", "POINT")
        count = len(mesh.data.vertices)
        attribute.data.foreach_set("value", np.arange(start, start + count, dtype=np.float32))
        start += count


def positions(bpy, scene, meshes, frames=FRAMES, stretch=1.0):
    """World positions of the evaluated vertices of some mesh objects, {frame: [(numbers or None,
    [V, 3] metres)]}.

    stretch: the scene is looked at at frame × stretch.
    """
    seen = {}
    for frame in frames:
        whole, fraction = divmod(frame * stretch, 1)
        scene.frame_set(int(whole), subframe=fraction)
        depsgraph = bpy.context.evaluated_depsgraph_get()
        seen[frame] = [_of(obj.evaluated_get(depsgraph)) for obj in meshes]
    return seen


def _of(evaluated):
    mesh = evaluated.to_mesh()
    points = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", points)
    numbers = None
    if IDENTITY in mesh.attributes:
        buffer = np.empty(len(mesh.vertices), np.float32)
        mesh.attributes[IDENTITY].data.foreach_get("value", buffer)
        numbers = buffer.round().astype(int)
    evaluated.to_mesh_clear()
    world = np.array(evaluated.matrix_world)
    return numbers, points.reshape(-1, 3).astype(np.float64) @ world[:3, :3].T + world[:3, 3]


IMPORTS = {
    "GLTF": {"": ("export_scene.gltf", "import_scene.gltf", {})},
    # Blender's importer moves an FBX by a frame unless told not to.
    "FBX": {
        "": ("export_scene.fbx", "import_scene.fbx", {"anim_offset": 0.0}),
        "new importer": ("export_scene.fbx", "wm.fbx_import", {"anim_offset": 0.0}),
    },
    "USD": {"": ("wm.usd_export", "wm.usd_import", {})},
    "USD_CACHE": {"": ("wm.usd_export", "wm.usd_import", {})},
    "ALEMBIC": {"": ("wm.alembic_export", "wm.alembic_import", {"as_background_job": False})},
}


def importers(bpy, key):
    """Names of the importers that this Blender has for a format."""
    result = []
    for name, (_, operator, _) in IMPORTS[key].items():
        module, function = operator.split(".")
        try:
            getattr(getattr(bpy.ops, module), function).get_rna_type()
            result.append(name)
        except KeyError:
            pass
    return result


def stretch(key, importer, rate):
    """What an importer makes of the length of a frame: Blender's older one of FBX takes 29.97
    frames a second for 30."""
    return rate[1] if (key, importer) == ("FBX", "") else 1.0


def bring_back(bpy, key, path, rate, importer=""):
    """An empty scene of a rate (fps, fps_base) with the file imported; returns the scene.

    Blender's importers limit shape keys to 0 … 1, whatever the file says: the limits are widened.
    """
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = rate
    _, operator, settings = IMPORTS[key][importer]
    module, function = operator.split(".")
    assert getattr(getattr(bpy.ops, module), function)(filepath=str(path), **settings) == {
        "FINISHED"
    }
    scene.render.fps, scene.render.fps_base = rate  # importers of films may set their own
    for obj in scene.objects:
        if obj.type == "MESH" and obj.data.shape_keys:
            for block in obj.data.shape_keys.key_blocks:
                block.slider_min, block.slider_max = -10, 10
    return scene


def farthest_mm(before, after):
    """The largest distance, millimetres, of any vertex from where it was, over all frames.

    Vertices are matched by their numbers, else by their order in the mesh with as many of them.
    Every vertex of `before` must be found: infinite where one is missing.
    """
    worst = 0.0
    for frame, meshes in before.items():
        start = 0
        for _, points in meshes:
            error = np.inf
            for numbers, positions in after[frame]:
                if numbers is not None:
                    own = (numbers >= start) & (numbers < start + len(points))
                    if len(np.unique(numbers[own])) == len(points):
                        error = min(
                            error,
                            np.linalg.norm(
                                positions[own] - points[numbers[own] - start], axis=1
                            ).max(),
                        )
                elif len(positions) == len(points):
                    error = min(error, np.linalg.norm(positions - points, axis=1).max())
            worst = max(worst, error)
            start += len(points)
    return worst * 1e3


GEOMETRY = ("GLTF", "FBX", "USD", "USD_CACHE", "ALEMBIC")
# Blender's glTF exporter takes many seconds
SLOW_GLTF = (pytest.param("GLTF", marks=pytest.mark.slow), *GEOMETRY[1:])
TOLERANCE_MM = 0.01
RATES = [(25, 1.0), (30, 1.001)]


class GivesUp:
    """An operator of Blender that writes nothing."""

    def __call__(self, **settings):
        return {"CANCELLED"}

    def get_rna_type(self):
        return SimpleNamespace(properties={})


@pytest.fixture
def shown(blender, head_file):
    """The bundled head, turned and away from the origin, with one of two takes on it; (scene, rig,
    entry)."""

    def make(rate=RATES[0], beyond=False):
        blender.ops.wm.read_homefile(filepath=head_file)
        scene = blender.context.scene
        scene.render.fps, scene.render.fps_base = rate
        rig = head.find(scene)
        rig.owner.location, rig.owner.rotation_euler = (0.3, -0.2, 1.5), (0, 0, 0.4)
        show(rig, scene, name="another")
        return scene, rig, show(rig, scene, beyond)

    return make


def test_a_file_is_named_after_the_shown_take_without_signs_in_a_row(blender, shown):
    _, _, entry = shown()
    entry.action.name = "line · Take 9"
    assert share._file_name(blender.context) == "line_Take_9"


def shot(blender, scene, rig, **more):
    return export_module.Shot(scene, blender.context.view_layer, rig, FIRST, LAST, **more)


def export(blender, scene, rig, key, folder, **more):
    """Path of the exported file and the notes."""
    form = export_module.FORMATS[key]
    path = folder / f"performance{form.suffix}"
    return path, export_module.export(shot(blender, scene, rig, **more), form, str(path))


def export_and_import(blender, scene, rig, key, folder, importer=""):
    """The largest error, mm, of the head's meshes after export and import; how far anything moved
    meanwhile, mm; and the notes of the export."""
    meshes = [obj for obj in export_module.objects_of(scene, rig) if obj.type == "MESH"]
    number_vertices(meshes)
    before = positions(blender, scene, meshes)
    moved = max(np.abs(before[frame][0][1] - before[FIRST][0][1]).max() for frame in before) * 1e3
    path, notes = export(blender, scene, rig, key, folder)
    rate = (scene.render.fps, scene.render.fps_base)
    scene = bring_back(blender, key, path, rate, importer)
    meshes = [obj for obj in scene.objects if obj.type == "MESH"]
    after = positions(blender, scene, meshes, stretch=stretch(key, importer, rate))
    return farthest_mm(before, after), moved, notes


@pytest.mark.parametrize("key, rate", [*((key, RATES[1]) for key in GEOMETRY), ("FBX", RATES[0])])
def test_vertices_read_back_are_where_they_were(blender, shown, tmp_path, key, rate):
    """Also where values lie beyond the usual, of which formats that hold values tell."""
    for importer in importers(blender, key):
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene, rig, _ = shown(rate, beyond=True)
        set_keys(rig.owner, "location", {1: 0.0, 40: 0.5}, 0)  # the animator's own: the head walks
        error, moved, notes = export_and_import(blender, scene, rig, key, tmp_path, importer)
        assert error < TOLERANCE_MM, importer
        assert moved > 100
        if key in ("GLTF", "FBX", "USD"):
            assert any("mouthSmileLeft" in note and "browInnerUp" in note for note in notes)


@pytest.mark.parametrize("key", SLOW_GLTF)
def test_all_meshes_of_a_character_travel_and_drivers_with_them(blender, shown, tmp_path, key):
    scene, rig, _ = shown()
    # The head's hair and a hat hang on the same skeleton without keys; a corrective of the face is
    # driven by the jaw.
    hat = blender.data.meshes.new("Hat")
    hat.from_pydata(
        [(0, 0, 0.1), (0.1, 0, 0.1), (0, 0.1, 0.1), (0.1, 0.1, 0.2)], [], [(0, 1, 2), (1, 3, 2)]
    )
    hat = blender.data.objects.new("Hat", hat)
    scene.collection.objects.link(hat)
    hat.parent = rig.armature
    hat.modifiers.new("Rig", "ARMATURE").object = rig.armature
    hat.vertex_groups.new(name="neck").add(range(4), 1.0, "REPLACE")
    corrective = rig.mesh.shape_key_add(name="jawCorrective", from_mix=False)
    points = np.empty(len(corrective.data) * 3, np.float32)
    corrective.data.foreach_get("co", points)
    corrective.data.foreach_set("co", points + 0.01)
    corrective.value = 0.0
    driver = corrective.driver_add("value").driver
    driver.type = "SCRIPTED"
    variable = driver.variables.new()
    variable.name, variable.type = "open", "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].bone_target = rig.armature, "jaw"
    variable.targets[0].transform_type, variable.targets[0].transform_space = "ROT_X", "LOCAL_SPACE"
    driver.expression = "open * 3"
    scene.frame_set(15)
    assert corrective.value > 0.1
    meshes = [obj for obj in export_module.objects_of(scene, rig) if obj.type == "MESH"]
    assert (
        set(meshes) == {hat, *(obj for obj in rig.objects if obj.type == "MESH")}
        and len(meshes) == 3
    )
    error, *_ = export_and_import(blender, scene, rig, key, tmp_path)
    assert error < TOLERANCE_MM


def test_a_performance_may_begin_at_time_zero_and_a_gltf_holds_no_other_take(blender, tmp_path):
    scene, face = blender.context.scene, small_face(blender, KEYS)
    skin(blender, face)
    scene.render.fps, rig = 25, head.resolve(face)
    for name in ("another", "dialogue"):
        show(rig, scene, name=name)
    path, _ = export(blender, scene, rig, "ARKIT", tmp_path)
    assert rows_of(path)[1][[0, -1]] == pytest.approx([FIRST / 25, LAST / 25], abs=1 / 60)
    path, _ = export(blender, scene, rig, "ARKIT", tmp_path, from_zero=True)
    assert rows_of(path)[1][0] == 0
    path, _ = export(blender, scene, rig, "GLTF", tmp_path, from_zero=True)
    data = path.read_bytes()
    gltf = json.loads(data[20 : 20 + struct.unpack("<I", data[12:16])[0]])
    assert len(gltf["animations"]) == 1
    assert set(gltf["meshes"][0]["extras"]["targetNames"]) >= set(KEYS)
    times = [gltf["accessors"][sampler["input"]] for sampler in gltf["animations"][0]["samplers"]]
    assert min(time["min"][0] for time in times) == 0
    assert max(time["max"][0] for time in times) == pytest.approx((LAST - FIRST) / 25)


@pytest.mark.parametrize("key", SLOW_GLTF)
def test_the_scene_stays_as_it_was(blender, shown, tmp_path, key):
    scene, rig, entry = shown()
    other = blender.data.objects.new("Prop", blender.data.meshes.new("Prop"))
    scene.collection.objects.link(other)
    for obj in scene.objects:
        obj.select_set(obj == other)
    layer = blender.context.view_layer
    layer.objects.active = rig.armature
    rig.mesh.hide_set(True)
    rig.mesh.hide_select = True
    scene.frame_start, scene.frame_end, scene.use_preview_range = 3, 77, True
    scene.frame_preview_start, scene.frame_preview_end = 5, 6
    scene.frame_set(40, subframe=0.5)
    blender.ops.object.mode_set(mode="POSE")
    kinds = ("actions", "objects", "meshes", "materials", "armatures")

    def state():
        frames = ("start", "end", "preview_start", "preview_end", "current", "subframe")
        return {
            "selected": (layer.objects.selected.keys(), layer.objects.active, rig.armature.mode),
            "hidden": (rig.mesh.hide_get(), rig.mesh.hide_select, scene.use_preview_range),
            "frames": [getattr(scene, f"frame_{name}") for name in frames],
            "shown": display.is_shown(rig, entry),
            "blocks": [len(getattr(blender.data, name)) for name in kinds],
        }

    before = state()
    path, _ = export(blender, scene, rig, key, tmp_path)
    assert state() == before and [*tmp_path.iterdir()] == [path]


def hold_poses(action, but=""):
    """Make all curves of an action Constant, but those of a name."""
    for curve in compat.all_curves(action):
        for point in curve.keyframe_points if not but or but not in curve.data_path else ():
            point.interpolation = "CONSTANT"


def samplers_of(path):
    """How the animation of each node of a glTF goes from one key to the next."""
    document, _ = glb.read(path)
    (animation,) = document["animations"]
    return {
        (document["nodes"][each["target"]["node"]]["name"], each["target"]["path"]): (
            animation["samplers"][each["sampler"]].get("interpolation", "LINEAR")
        )
        for each in animation["channels"]
    }


def test_poses_that_are_held_stay_held_in_files_that_can_and_others_say_so(blender, tmp_path):
    scene, face = blender.context.scene, small_face(blender, KEYS)
    skin(blender, face)
    scene.render.fps, rig = 25, head.resolve(face)
    show(rig, scene)
    path, notes = export(blender, scene, rig, "GLTF", tmp_path)
    assert samplers_of(path)[face.name, "weights"] == "LINEAR"
    for action in filter(
        None, (target.animation_data and target.animation_data.action for target in rig.targets)
    ):
        hold_poses(action)
    path, notes = export(blender, scene, rig, "GLTF", tmp_path)
    assert set(samplers_of(path).values()) == {"STEP"}
    assert not any("held" in each for each in notes)
    flags, at = [], -1
    path, notes = export(blender, scene, rig, "FBX", tmp_path)
    data = path.read_bytes()
    while (at := data.find(b"\x0cKeyAttrFlagsi", at + 1)) >= 0:
        flags.append(struct.unpack_from("<3Ii", data, at + 14))
    assert len(flags) > 5 and not any("hold a pose" in each for each in notes)
    assert all(count == 1 and kind & 0b1110 == 0b10 for count, _, _, kind in flags)
    bring_back(blender, "FBX", path, (25, 1.0))  # it is still a file that is read


@pytest.mark.parametrize("key", ["GLTF", "FBX", "USD", "ALEMBIC"])
def test_poses_that_cannot_be_held_are_said(blender, tmp_path, key):
    scene, face = blender.context.scene, small_face(blender, KEYS)
    scene.render.fps, rig = 25, head.resolve(face)
    show(rig, scene)
    for target in rig.targets:
        hold_poses(target.animation_data.action, but="jawOpen")
    path, notes = export(blender, scene, rig, key, tmp_path)
    assert any("held" in each or "hold a pose" in each for each in notes)
    if key == "GLTF":
        assert samplers_of(path)[face.name, "weights"] == "LINEAR"


def test_a_head_in_a_hidden_collection_is_refused_with_a_sentence(blender, shown, tmp_path):
    scene, rig, _ = shown()
    collection = blender.data.collections.new("Set Aside")
    scene.collection.children.link(collection)
    for obj in (rig.mesh, rig.armature):
        scene.collection.objects.unlink(obj)
        collection.objects.link(obj)
    blender.context.view_layer.layer_collection.children["Set Aside"].exclude = True
    with pytest.raises(errors.BadRequest, match="hidden with its collection"):
        export(blender, scene, rig, "GLTF", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", [*GEOMETRY, "ARKIT"])
def test_a_full_disk_is_a_sentence_and_the_earlier_file_stays(blender, shown, small_disk, key):
    scene, rig, _ = shown()
    folder = small_disk(64 if key != "ARKIT" else 8)
    path = folder / f"performance{export_module.FORMATS[key].suffix}"
    path.write_bytes(b"earlier")
    with pytest.raises(errors.NoSpace, match="performance"):
        export(blender, scene, rig, key, folder)
    assert path.read_bytes() == b"earlier"
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_an_exporter_that_gives_up_is_no_full_disk(blender, shown, tmp_path, monkeypatch):
    scene, rig, _ = shown()
    monkeypatch.setattr(export_module, "_operator", lambda name: GivesUp())
    with pytest.raises(errors.BadRequest, match="gave up.*another format") as told:
        export(blender, scene, rig, "USD", tmp_path)
    assert "space" not in str(told.value) and not list(tmp_path.iterdir())


# ---- ARKit curves


def rows_of(path):
    """Header and rows of a CSV, as an importer of Live Link Face recordings reads them: (names,
    seconds [T], values)."""
    with open(path, newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:2] == ["Timecode", "BlendShapeCount"]
    assert all(row[1] == "61" and len(row) == 63 for row in rows)
    parts = [[float(part) for part in row[0].split(":")] for row in rows]
    seconds = np.array([h * 3600 + m * 60 + s + f / 60 for h, m, s, f in parts])
    return header[2:], seconds, np.array([[float(value) for value in row[2:]] for row in rows])


@pytest.mark.parametrize("rate", RATES, ids=["25 fps", "29.97 fps"])
def test_curves_read_back_are_the_motion(blender, shown, tmp_path, rate):
    scene, rig, _ = shown(rate)
    path, _ = export(blender, scene, rig, "ARKIT", tmp_path, rate=rate[0] / rate[1])
    names, _, rows = rows_of(path)
    values = dict(zip([name[0].lower() + name[1:] for name in names], rows.T))
    channels = head.channel_names()
    back = driving.motion_of(values, channels, len(rows))
    assert len(rows) == LAST - FIRST + 1
    for row, frame in enumerate(range(FIRST, LAST + 1)):
        scene.frame_set(frame)
        for column, name in enumerate(channels):
            if name not in ("tongueTipUp", "tongueBladeUp", "tongueBack"):
                assert back.expression[row, column] == pytest.approx(
                    rig.keys.key_blocks[name].value, abs=2e-4
                ), name
        jaw = rig.armature.pose.bones["jaw"].matrix_basis.to_quaternion().to_exponential_map()
        assert back.jaw[row, :2] == pytest.approx(jaw[:2], abs=2e-4)
        eyes = rig.armature.pose.bones["eye_left"].matrix_basis.to_quaternion().to_exponential_map()
        assert back.eyes[row, :2] == pytest.approx(eyes[:2], abs=2e-4)
        # The app counts the head's angles the other way round than a right-handed turn about up,
        # left and out.
        turn = rig.armature.pose.bones["neck"].matrix_basis.to_3x3().to_euler("ZXY")
        assert [values[f"head{angle}"][row] for angle in ("Yaw", "Pitch", "Roll")] == pytest.approx(
            [-turn.y, -turn.x, -turn.z], abs=2e-4
        )


# ---- the operator


def test_the_operator_writes_the_frames_that_are_chosen_with_the_formats_ending(
    blender, shown, tmp_path
):
    scene, rig, _ = shown()
    scene.frame_start, scene.frame_end = 12, 14
    for frames, count in (("TAKE", LAST - FIRST + 1), ("SCENE", 3)):
        done = blender.ops.thunder.export_performance(
            filepath=str(tmp_path / "line.fbx"), form="ARKIT", frames=frames, rate=25.0
        )
        assert done == {"FINISHED"} and [path.name for path in tmp_path.iterdir()] == ["line.csv"]
        assert len((tmp_path / "line.csv").read_text().splitlines()) == 1 + count
    with pytest.raises(RuntimeError, match="no preview range"):
        blender.ops.thunder.export_performance(
            filepath=str(tmp_path / "no.csv"), form="ARKIT", frames="PREVIEW"
        )
    display.restore_animation(rig)
    with pytest.raises(RuntimeError, match="The head has no animation yet"):
        blender.ops.thunder.export_performance(
            filepath=str(tmp_path / "no.csv"), form="ARKIT", frames="TAKE"
        )
    assert not (tmp_path / "no.csv").exists()


def test_a_blender_built_without_a_format_says_so(blender, shown, monkeypatch):
    assert not blender.ops.thunder.export_performance.poll(), (
        "without a head there is nothing to export"
    )
    _, rig, _ = shown()
    lacking = {
        key: export_module.why_missing(form, rig) for key, form in export_module.FORMATS.items()
    }
    assert [key for key in lacking if lacking[key]] == [
        "FLAME"
    ] and "does not come from a FLAME file" in lacking["FLAME"]
    monkeypatch.setattr(export_module, "_operator", lambda name: None)
    assert "built without USD" in export_module.why_missing(export_module.FORMATS["USD"], rig)
    assert not export_module.why_missing(export_module.FORMATS["ARKIT"], rig)


def test_channels_are_exported_with_all_that_is_known_of_them(blender, shown, tmp_path):
    scene, rig, entry = shown()
    path, notes = export(blender, scene, rig, "CHANNELS", tmp_path, rate=25.0)
    read, channels = motion_file.read(path)
    seen = export_module.motion_of(shot(blender, scene, rig, rate=25.0))
    assert channels == head.channel_names() and read.fps == 25.0 and notes == []
    for name in ("expression", "jaw", "head", "eyes"):
        assert (
            getattr(read, name) == pytest.approx(getattr(seen, name), abs=1e-6)
            and np.ptp(getattr(read, name)) > 0
        ), name
    assert not {"style", "mood"} & set(np.load(path).files), "the take was not directed"
    entry.action["thunder"]["reading"] = Direction(Style(energy=1.4), "sad", 0.5).vector().tolist()
    path, _ = export(blender, scene, rig, "CHANNELS", tmp_path, rate=25.0)
    with np.load(path, allow_pickle=False) as arrays:
        assert str(arrays["mood"]) == "sad" and float(arrays["mood_strength"]) == 0.5
        assert arrays["style"][arrays["style_names"].tolist().index("energy")] == pytest.approx(1.4)


# ---- what keys say about themselves


def say_more(blender, face, what):
    """Let keys of a face say something about themselves that an exporter may not know."""
    blocks = face.data.shape_keys.key_blocks
    if what == "vertex groups":
        for side, end in (("left", "Left"), ("right", "Right")):
            group = face.vertex_groups.new(name=side)
            for vertex in face.data.vertices:
                at = 0.5 + 8 * vertex.co.x * (1 if side == "left" else -1)
                group.add([vertex.index], min(max(at, 0.0), 1.0), "REPLACE")
            for block in blocks[1:]:
                if block.name.endswith(end):
                    block.vertex_group = side
    elif what == "relative to another":
        jaw, close = blocks["jawOpen"], blocks["mouthClose"]
        for i in range(len(jaw.data)):
            close.data[i].co += jaw.data[i].co - blocks["Basis"].data[i].co
        close.relative_key = jaw
    elif what == "muted":
        blocks["jawOpen"].mute = True
    elif what == "sliders that begin above 0":
        blocks["mouthPucker"].slider_min = 0.3
    elif what == "a key that stands still":
        block = face.shape_key_add(name="Nose", from_mix=False)
        block.data[PLACES.index("nose")].co.y -= 0.03
        block.slider_min, block.value = 0.4, 0.4
    elif what == "sliders that end early":
        blocks["jawOpen"].slider_max = 0.2


WHAT = (
    "vertex groups",
    "relative to another",
    "muted",
    "sliders that begin above 0",
    "sliders that end early",
    "a key that stands still",
)


# Keys are made plain in one place for all formats; these two an exporter may do by itself.
OF_ALL = ("vertex groups", "sliders that end early")


@pytest.mark.parametrize(
    "key, what",
    [(key, what) for key in GEOMETRY for what in WHAT if key in ("FBX", "USD") or what in OF_ALL],
)
def test_what_keys_say_about_themselves_travels(blender, tmp_path, key, what):
    for importer in importers(blender, key):
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene = blender.context.scene
        face = small_face(blender, KEYS)
        skin(blender, face)
        say_more(blender, face, what)
        rig = head.resolve(face)
        show(rig, scene)
        before = [(b.name, b.mute, b.vertex_group) for b in face.data.shape_keys.key_blocks]
        count = len(blender.data.meshes), len(blender.data.shape_keys)
        path, _ = export(blender, scene, rig, key, tmp_path)
        blocks = face.data.shape_keys.key_blocks
        assert [(b.name, b.mute, b.vertex_group) for b in blocks] == before
        assert count == (len(blender.data.meshes), len(blender.data.shape_keys))
        error, moved, _ = export_and_import(blender, scene, rig, key, tmp_path, importer)
        assert error < 0.1, importer
        assert moved > 5


@pytest.mark.parametrize("key", ["GLTF", "USD"])
def test_a_linked_characters_keys_travel_or_the_message_says_that_they_do_not(
    blender, tmp_path, key
):
    face = small_face(blender, KEYS)
    skin(blender, face)
    say_more(blender, face, "vertex groups")
    number_vertices([face])
    path = str(tmp_path / "hero.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with blender.data.libraries.load(path, link=True) as (_, target):
        target.objects = ["Face", "Rig"]
    scene = blender.context.scene
    for name in ("Face", "Rig"):
        scene.collection.objects.link(blender.data.objects[name])
    scene.thunder.head = blender.data.objects["Face"]
    assert blender.ops.thunder.make_editable() == {"FINISHED"}
    rig = head.find(scene)
    show(rig, scene)
    mesh, rate = rig.mesh.data, (scene.render.fps, scene.render.fps_base)
    before = positions(blender, scene, [rig.mesh])
    path, notes = export(blender, scene, rig, key, tmp_path)
    assert rig.mesh.data == mesh
    scene = bring_back(blender, key, path, rate)
    found = [obj for obj in scene.objects if obj.type == "MESH"]
    error = farthest_mm(before, positions(blender, scene, found))
    assert error < 0.1 or any("linked: “Face”" in note for note in notes)
