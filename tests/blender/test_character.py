# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator's own character is found under every naming convention, driven whole, and read
back."""

import json
import re
from functools import partial

import numpy as np
import pytest
from characters import add_mesh, deform, grid_mesh, rig_with, small_face
from few_points import KEYS, mirrored
from performances import performance, reopen, show_take
from thunder.scene.animation import display, keying
from thunder.scene.heads import (
    character,
    detection,
    driver_reading,
    head as head_module,
    mapping_table,
)
from thunder.thunder_core import errors, progress, types
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face import conventions, mapping


def own_channels():
    """The channels of a motion and ARKit's eleven derived keys."""
    return (*head_module.channel_names(), *mapping.DERIVED)


def short(name):
    return re.sub("Left$", "_L", re.sub("Right$", "_R", name))


# ---- driven whole, and read back


@pytest.fixture
def scene(blender):
    """An empty scene at 25 fps."""
    blender.context.scene.render.fps = 25
    return blender.context.scene


def take(scene, rig, **how):
    """A take keyed and shown on a rig from frame 1: (performance, entry)."""
    made = performance(**how)
    return made, show_take((scene, rig), made)


def read(scene, rig, seconds=3.0):
    clock = timing.Clock.of(scene, 1.0)
    return progress.result(keying.read(rig, head_module.channel_names(), clock, seconds))


def value_of(mesh, key):
    return mesh.data.shape_keys.key_blocks[key].value


JAW = pytest.approx(0.2 / 0.3, abs=1e-4)  # how open the jaw of a performance is


def drive(curve, expression):
    """Drive a curve by a variable v; the variable and its target."""
    variable = curve.driver.variables.new()
    variable.name = "v"
    curve.driver.expression = expression
    return variable, variable.targets[0]


def test_several_meshes_are_driven_together_and_read_back_as_one(blender, scene):
    names = ["jawOpen", "mouthClose", "mouthPucker", "browInnerUp", "eyeBlinkLeft", "eyeBlinkRight"]
    face = grid_mesh(blender, "Face", names)
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], at=(0.0, 0.02, 0.0), size=0.05)
    lashes = grid_mesh(
        blender, "Lashes", ["eyeBlink_L", "eyeBlink_R"], at=(0.02, 0.0, 0.03), size=0.05
    )
    armature = rig_with(
        blender,
        {"Hips": ((0, 0, -1), (0, 0, -0.8), None), "Head": ((0, 0, -0.1), (0, 0, 0.1), "Hips")},
    )
    for mesh in (face, teeth, lashes):
        deform(mesh, armature)
    for chosen in (teeth, lashes, armature, face):
        scene.thunder.head = chosen
        rig = head_module.find(scene)
        assert rig.mesh == face
    meshes = [mesh.data.shape_keys.name for mesh in (face, teeth, lashes)]
    assert {target.name for target in rig.targets} == {*meshes, armature.name}
    made, entry = take(scene, rig, closed_at=(1.0,))
    scene.frame_set(11)
    assert value_of(face, "jawOpen") == value_of(teeth, "jawOpen") == JAW
    assert armature.pose.bones["Head"].matrix_basis.to_quaternion().angle > 0.01
    motion = read(scene, rig)
    for part in ("jaw", "head"):
        assert np.abs(getattr(motion, part) - getattr(made.motion, part)).max() < 1e-4
    brow = motion.expression - made.motion.expression
    # keys are rounded to 1/4096
    assert np.abs(brow[:, made.channels.index("browInnerUp")]).max() < 1.3e-4
    display.restore_animation(rig)
    assert all(target.animation_data.action is None for target in rig.targets)
    assert value_of(teeth, "jawOpen") == 0.0


def test_a_jaw_of_bone_turns_about_the_heads_own_axes(blender, scene):
    """Whichever way the bone lies: its tip goes down, and the motion is read back from it."""
    face = grid_mesh(blender, "Face", ["mouthPucker", "browInnerUp", "eyeBlinkLeft"])
    armature = rig_with(
        blender,
        {
            "spine": ((0, 0, -0.5), (0, 0, -0.2), None),
            "Head": ((0, 0, -0.1), (0, 0, 0.1), "spine"),
            "Jaw": ((0, 0, 0), (0.0, -0.1, -0.02), "Head"),
            "LeftEye": ((0.03, -0.08, 0.05), (0.03, -0.1, 0.05), "Head"),
            "RightEye": ((-0.03, -0.08, 0.05), (-0.03, -0.1, 0.05), "Head"),
        },
    )
    deform(face, armature)
    scene.thunder.head = face
    rig = head_module.find(scene)
    joints = {rule.joint for rule in character.plan_of(face).joints}
    assert joints == {"jaw", "neck", "eye_left", "eye_right"}
    before = (armature.matrix_world @ armature.pose.bones["Jaw"].tail).copy()
    made, _ = take(scene, rig, closed_at=())
    scene.frame_set(11)
    blender.context.view_layer.update()
    head = armature.pose.bones["Head"].matrix @ armature.data.bones["Head"].matrix_local.inverted()
    after = head.inverted() @ armature.pose.bones["Jaw"].tail
    assert after.z < before.z - 0.015 and abs(after.x - before.x) < 1e-6
    motion = read(scene, rig)
    for part in ("jaw", "head", "eyes"):
        assert np.abs(getattr(motion, part) - getattr(made.motion, part)).max() < 1e-4


def test_a_character_whose_head_keeps_still_is_named_and_says_so_first(blender, scene):
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"])
    assert "“Face” has no bone for its neck" in head_module.find(scene).warnings[0]
    resolved = character.resolve(face)
    used = character.used_sources(resolved.plan, resolved.bound)
    assert conventions.missing(used, head_module.channel_names())[0][0] == "neck"
    deform(face, rig_with(blender, {"Head": ((0, 0, -0.1), (0, 0, 0.1), None)}))
    assert not any("neck" in said for said in head_module.find(scene).warnings)


def test_what_is_selected_is_named_where_its_names_say_nothing(blender, scene):
    hero = grid_mesh(blender, "Hero", ["Form 1", "Form 2", "Form 3"])
    rig = rig_with(blender, {"Knochen": ((0, 0, -0.1), (0, 0, 0.1), None)}, "Puppe")
    plain = add_mesh(blender, "Haut", [(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    plain.shape_key_clear()
    deform(plain, rig)
    for chosen in (hero, rig, plain):
        with pytest.raises(
            errors.BadHead, match=f"“{chosen.name}” has no keys or bones whose names"
        ):
            head_module.find(scene, chosen)
    alone = add_mesh(blender, "Cube", [(0, 0, 0)])
    alone.shape_key_clear()
    for chosen in (None, alone):
        with pytest.raises(errors.BadHead, match="No head is selected"):
            head_module.find(scene, chosen)
    shows = blender.data.objects.new("Shows", None)
    shows.instance_type, shows.instance_collection = "COLLECTION", blender.data.collections.new("C")
    shows.instance_collection.objects.link(grid_mesh(blender, "Held", ["jawOpen", "mouthPucker"]))
    scene.collection.objects.unlink(blender.data.objects["Held"])
    scene.collection.objects.link(shows)
    with pytest.raises(errors.BadHead, match="“Shows” shows a linked collection: press Make"):
        head_module.find(scene, hero)


def test_the_panel_means_the_only_character_where_something_else_is_selected(blender, scene):
    """As after Append, which leaves another object active."""
    hero = grid_mesh(blender, "Hero", ["jawOpen", "mouthPucker"])
    cube = add_mesh(blender, "Cube", [(9, 0, 0)])
    cube.shape_key_clear()
    assert mapping_table.meant(scene, cube) == hero == mapping_table.face(scene, cube)
    other = add_mesh(blender, "Other", [(5, 0, 0)], ["Form 1"])
    assert mapping_table.meant(scene, other) == other
    blender.data.objects.remove(hero)
    blender.data.objects.remove(other)
    assert mapping_table.meant(scene, cube) == cube


def control_rig(blender, face):
    """A control rig: sliders as custom properties and as bones that slide, which drive the keys of
    a face."""
    places = {"face": 0.0, "smile.L": 0.1, "corner.L": 0.2}
    controls = rig_with(
        blender, {name: ((x, 0, 0), (x, 0, 0.1), None) for name, x in places.items()}, "Controls"
    )
    board = controls.pose.bones["face"]
    for name in ("jaw", "pucker"):
        board[name] = 0.0
        board.id_properties_ui(name).update(min=0.0, max=10.0, default=0.0)
    for key_name, expression, slider in (
        ("jawOpen", "v / 10", "jaw"),
        ("mouthPucker", "v * 0.1", "pucker"),
        ("mouthSmileLeft", "max(v * 50, 0)", ""),
        ("mouthFrownLeft", "max(-v * 50, 0)", ""),
    ):
        curve = face.data.shape_keys.key_blocks[key_name].driver_add("value")
        variable, target = drive(curve, expression)
        if slider:
            target.id, target.data_path = controls, f'pose.bones["face"]["{slider}"]'
        else:
            variable.type = "TRANSFORMS"
            target.id, target.bone_target = controls, "corner.L"
            target.transform_type, target.transform_space = "LOC_Y", "LOCAL_SPACE"
    return controls


def test_driven_keys_are_moved_by_the_controls_that_drive_them(blender, scene):
    face = grid_mesh(
        blender,
        "Face",
        ["jawOpen", "mouthPucker", "mouthSmileLeft", "mouthFrownLeft", "mouthClose"],
    )
    controls = control_rig(blender, face)
    scene.thunder.head = face
    rig = head_module.find(scene)
    # mouthClose moves freely
    assert controls in rig.targets and face.data.shape_keys in rig.targets
    head_module.check_animatable(rig)
    weights = {rule.source: rule.weight for rule in character.plan_of(face).rules}
    wanted = {"jawOpen": 10.0, "mouthSmileLeft": 0.02, "mouthFrownLeft": -0.02}
    assert {name: weights[name] for name in wanted} == pytest.approx(wanted, rel=1e-3)
    made, _ = take(scene, rig, closed_at=())
    scene.frame_set(11)
    keys = face.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get()).key_blocks
    assert keys["jawOpen"].value == pytest.approx(0.2 / 0.3, abs=1e-3)
    assert keys["mouthPucker"].value == pytest.approx(0.3, abs=1e-3)
    motion = read(scene, rig)
    assert np.abs(motion.jaw - made.motion.jaw).max() < 1e-3
    assert np.abs(motion.expression[:, made.channels.index("mouthPucker")] - 0.3).max() < 1e-3


def driver_of(block, curve):
    """A driver as it is read now."""
    return driver_reading.Drivers(None).driver(block, curve)


def test_a_driver_is_calculated_as_blender_does(blender):
    controls = rig_with(blender, {"face": ((0, 0, 0), (0, 0, 0.1), None)}, "Controls")
    controls["v"] = 0.25
    controls.id_properties_ui("v").update(default=0.25)
    board = controls.pose.bones["face"]
    board.rotation_mode = "XYZ"
    curve = controls.driver_add("scale", 0)
    variable, source = drive(curve, "v")
    source.id, source.data_path = controls, '["v"]'

    def change_of(put, *values):
        """What Blender changes between two values of a control."""
        seen = []
        for value in values:
            put(value)
            controls.update_tag()
            graph = blender.context.evaluated_depsgraph_get()
            seen.append(controls.evaluated_get(graph).scale[0])
        return pytest.approx(seen[1] - seen[0], rel=1e-4)

    slider = mapping.Target("PROPERTY", "v", controls.name)
    for expression in (
        "degrees(v)", "radians(60 * v)", "sin(v)", "cos(v)", "tan(v)", "sqrt(v)", "pow(v, 3)",
        "abs(v - .5) + fabs(-v)", "min(v, .5) - max(v, .4)", "clamp(3 * v)", "clamp(v, .1, .3)",
        "2 * v ** 2 - v / 3 + pi", "-v if v > .5 else +v", "(v < .5) + 2 * (v >= .7)",
        "(v <= .7) - 3 * (v == .25) + 5 * (v != .25)",
    ):  # fmt: skip
        curve.driver.expression = expression
        expected = change_of(partial(controls.__setitem__, "v"), 0.25, 0.75)
        assert driver_of(controls, curve).change({slider: 0.5}) == expected, expression
    curve.driver.expression, variable.type = "degrees(v)", "TRANSFORMS"
    source.bone_target, source.transform_space = "face", "LOCAL_SPACE"
    for kind, path in (("ROT", "rotation_euler"), ("LOC", "location"), ("SCALE", "scale")):
        source.transform_type = f"{kind}_Z"
        rest, turned = (
            getattr(board, path)[2],
            mapping.Target("BONE", "", controls.name, "face", path, 2),
        )
        expected = change_of(partial(getattr(board, path).__setitem__, 2), rest, rest + 0.5)
        assert driver_of(controls, curve).change({turned: 0.5}) == expected, kind


def test_properties_named_like_channels_are_a_control_rig(blender, scene):
    """A rig of sliders alone, whatever they drive."""
    rig_object = rig_with(blender, {"face": ((0, 0, 0), (0, 0, 0.1), None)}, "Sliders")
    sliders = rig_object.pose.bones["face"]
    for name in own_channels():
        sliders[short(name)] = 0.0
    scene.thunder.head = rig_object
    rig = head_module.find(scene)
    assert rig.mesh == rig_object and set(rig.channels) == set(head_module.channel_names())
    take(scene, rig, closed_at=())
    scene.frame_set(11)
    assert sliders["jawOpen"] == JAW and sliders["mouthPucker"] == pytest.approx(0.3, abs=1e-4)
    display.restore_animation(rig)
    assert sliders["jawOpen"] == 0.0


def test_muted_drivers_move_nothing_so_the_keys_themselves_are_taken(blender, scene):
    names = ["jawOpen", "mouthPucker", "mouthSmileLeft", "mouthFrownLeft"]
    face = grid_mesh(blender, "Face", names)
    control_rig(blender, face)
    scene.thunder.head = face
    keys = face.data.shape_keys
    head_module.find(scene)  # what was found with the drivers is not kept
    for curve in keys.animation_data.drivers:
        curve.mute = True
    rig = head_module.find(scene)
    head_module.check_animatable(rig)
    paths = {track.path for _, track in rig.tracks_of(keys)}
    assert {f'key_blocks["{name}"].value' for name in names} <= paths


# ---- the table, its preview, presets


@pytest.fixture
def hero(blender):
    """A character with a few ARKit keys, chosen, its mapping shown: (mesh, settings)."""
    mesh = grid_mesh(
        blender,
        "Hero",
        ["jawOpen", "mouthPucker", "mouthClose", "eyeBlink_L", "eyeBlink_R", "Wave"],
    )
    settings = blender.context.scene.thunder
    settings.head = mesh
    assert blender.ops.thunder.show_mapping() == {"FINISHED"}
    return mesh, settings


def row_of(settings, source):
    return next(index for index, row in enumerate(settings.table) if row.source == source)


def values(mesh):
    return {block.name: round(block.value, 5) for block in mesh.data.shape_keys.key_blocks[1:]}


def test_a_key_chosen_in_place_of_a_stand_in_moves_in_full(blender, hero):
    _, settings = hero
    row = settings.table[row_of(settings, "mouthFunnel")]
    assert (row.target, round(row.weight, 3)) == ("mouthPucker", 0.6)
    row.target = "Wave"
    assert row.weight == 1.0
    row.weight = 0.6
    row.target = "Wave"
    assert round(row.weight, 3) == 0.6, "an amount that the animator chose stays"


def test_a_jaw_mapped_by_hand_closes_the_lips_where_nothing_else_does(blender):
    mesh = grid_mesh(blender, "Nobody", ["Chin", "Chops", "Lips", "eyeBlink_L", "eyeBlink_R"])
    settings = blender.context.scene.thunder
    settings.head = mesh
    blender.ops.thunder.show_mapping()
    jaw = settings.table[row_of(settings, "jawOpen")]
    closing = settings.table[row_of(settings, "mouthClose")]

    def closes():
        rules = character.plan_of(mesh).rules
        return [(r.target.name, round(r.weight, 3)) for r in rules if r.source == "mouthClose"]

    jaw.target = "Chin"
    assert closes() == [("Chin", -1.0)] and closing.target == "Chin"
    jaw.target = "Chops"
    jaw.weight = 0.8
    assert closes() == [("Chops", -0.8)]
    closing.target = "Lips"
    jaw.target = "Chin"
    assert closes() == [("Lips", -0.8)], "what the animator chose stays"
    closing.kind = "NONE"
    jaw.weight = 1.0
    assert closes() == []


def test_a_jaw_bone_mapped_by_hand_closes_the_lips(blender):
    mesh = grid_mesh(blender, "Nobody", ["Chops", "eyeBlink_L", "eyeBlink_R"])
    deform(mesh, rig_with(blender, {"Kiefer": ((0, 0, 0), (0, 0, 1), None)}))
    settings = blender.context.scene.thunder
    settings.head = mesh
    blender.ops.thunder.show_mapping()
    jaw, closing = (settings.table[row_of(settings, name)] for name in ("jaw", "mouthClose"))
    jaw.bone = "Kiefer"
    jaw.weight = 0.5
    (rule,) = [each for each in character.plan_of(mesh).rules if each.source == "mouthClose"]
    assert (rule.target.bone, rule.target.path, closing.kind) == ("Kiefer", "rotation", "BONE")
    assert rule.weight == pytest.approx(-0.5 * types.JAW_OPEN_RADIANS)


def test_the_table_has_a_row_for_every_channel_and_an_edit_is_kept(blender, hero):
    mesh, settings = hero
    sources = [row.source for row in settings.table]
    assert set(sources) >= set(own_channels()) and "neck" in sources and "jaw" not in sources
    row = settings.table[row_of(settings, "mouthSmileLeft")]
    assert row.kind == "NONE"
    row.target = "Wave"
    assert row.kind == "KEY"
    row.weight = 0.5
    plan = character.plan_of(mesh)
    rule = next(rule for rule in plan.rules if rule.source == "mouthSmileLeft")
    assert (rule.target.name, rule.weight, plan.name) == ("Wave", 0.5, "By Hand")
    assert "mouthSmileLeft" in head_module.find(blender.context.scene).channels
    assert mapping_table.is_current(blender.context.scene, mesh)


def test_preview_shows_the_chosen_row_alone_and_gives_the_pose_back(blender, hero):
    mesh, settings = hero
    keys = mesh.data.shape_keys.key_blocks
    keys["mouthPucker"].value, keys["Wave"].value = 0.25, 0.4
    before = values(mesh)
    settings.table_index = row_of(settings, "jawOpen")
    settings.preview = True
    assert values(mesh) == {**dict.fromkeys(before, 0.0), "jawOpen": 1.0, "Wave": 0.4}
    settings.table_index = row_of(settings, "eyeBlinkLeft")
    settings.preview_amount = 0.5
    assert values(mesh) == {**dict.fromkeys(before, 0.0), "eyeBlink_L": 0.5, "Wave": 0.4}
    settings.table[settings.table_index].weight = 2.0  # an edit is seen at once
    assert values(mesh)["eyeBlink_L"] == 1.0 and settings.preview
    settings.preview = False
    assert values(mesh) == before


def test_preview_over_an_animation_gives_the_frame_back(blender, scene, hero):
    mesh, settings = hero
    take(scene, head_module.find(scene), closed_at=())
    scene.frame_set(11)
    before = values(mesh)
    settings.table_index = row_of(settings, "mouthPucker")
    settings.preview = True
    assert values(mesh)["jawOpen"] == 0.0
    blender.ops.thunder.select_take(index=-1)  # showing something else ends it
    assert not settings.preview and not settings.preview_kept
    blender.ops.thunder.select_take(index=0)
    scene.frame_set(11)
    assert values(mesh) == before and before["jawOpen"] == JAW


def test_a_target_is_added_and_taken_away_survives_the_file_and_is_found_again(
    blender, hero, tmp_path
):
    mesh, settings = hero

    def targets(source):
        return [
            (r.target.name, round(r.weight, 3))
            for r in character.plan_of(blender.data.objects["Hero"]).rules
            if r.source == source
        ]

    settings.table_index = row_of(settings, "jawOpen")
    blender.ops.thunder.add_rule()
    added = settings.table[settings.table_index]
    assert added.source == "jawOpen" and added.kind == "NONE"
    added.target, added.weight = "Wave", 0.2
    assert targets("jawOpen") == [("jawOpen", 1.0), ("Wave", 0.2)]
    settings = reopen(blender, tmp_path).thunder
    assert targets("jawOpen") == [("jawOpen", 1.0), ("Wave", 0.2)]
    blender.ops.thunder.remove_rule()
    assert targets("jawOpen") == [("jawOpen", 1.0)]
    settings.table[row_of(settings, "mouthSmileLeft")].target = "Wave"
    blender.ops.thunder.find_mapping()
    assert targets("mouthSmileLeft") == []


def test_a_preset_fits_a_character_whose_objects_are_called_otherwise(blender, hero):
    mesh, settings = hero
    settings.table[row_of(settings, "mouthSmileLeft")].target = "Wave"
    assert blender.ops.thunder.save_mapping(name="Wave smile: 1/2") == {"FINISHED"}
    # of a Blender that was killed
    (mapping_table.presets().folder / ".thunder_0-0-0.part.json").write_text("{")
    assert mapping_table.presets().names() == ["Wave smile: 1/2"]
    other = grid_mesh(blender, "Other", ["jawOpen", "Wave"], at=(5, 0, 0))
    settings.head = other
    blender.ops.thunder.load_mapping(name=mapping_table.presets().names()[0])
    rig = head_module.find(blender.context.scene)
    # for want of keys
    by_the_jaw = {
        name + side for name in ("mouthLowerDown", "mouthUpperUp") for side in ("Left", "Right")
    }
    assert rig.mesh == other and set(rig.channels) == {"mouthSmileLeft"} | by_the_jaw
    path = mapping_table.presets().folder / "Wave smile%3A 1%2F2.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(RuntimeError, match="readable as JSON"):
        blender.ops.thunder.load_mapping(name=mapping_table.presets().names()[0])
    path.unlink()


def driven(scene, **channels):
    """What paths of a character's keys are where the jaw is half open and channels that begin with
    these names have these values."""
    names = head_module.channel_names()
    expression = np.zeros((1, len(names)), np.float32)
    for name, value in channels.items():
        expression[0, [i for i, full in enumerate(names) if full.startswith(name)]] = value
    driver = head_module.find(scene).driver
    motion = types.Motion(expression, np.array([[0.15, 0, 0]], np.float32))
    values = zip(driver.tracks, driver.drive(motion, names)[0])
    return {track.path.split('"')[1]: value for track, value in values if '"' in track.path}


def test_the_balance_of_jaw_and_lips_is_kept_and_moves_the_keys(blender, scene):
    keys = ["jawOpen", "mouthClose", "mouthLowerDownLeft", "mouthLowerDownRight"]
    mesh = grid_mesh(blender, "Hero", keys)
    settings = scene.thunder
    settings.head = mesh
    blender.ops.thunder.show_mapping()
    plain = [(row.source, row.target, row.weight) for row in settings.table]
    settings.balance = 1.0
    assert driven(scene) == pytest.approx(dict(zip(keys, (0.75, 0.25, 0, 0))))
    settings.balance = -0.5
    lower = 0.125 * character.plan_of(mesh).lower_per_jaw
    assert driven(scene) == pytest.approx(dict(zip(keys, (0.375, 0, lower, lower))))
    assert [(row.source, row.target, row.weight) for row in settings.table] == plain, (
        "the table shows the rules as they are"
    )
    settings.balance = 0.5
    mapping_table.fill(scene, mesh)
    assert settings.balance == 0.5 and character.plan_of(mesh).balance == 0.5


def test_the_engine_is_told_what_a_characters_keys_show_and_nothing_of_a_whole_head(blender):
    """So that scores and words are of that: a head that shows everything is asked for as before."""
    mesh = grid_mesh(blender, "Hero", [f"Fcl_MTH_{letter}" for letter in "AEIOU"])
    vowels = head_module.resolve(mesh).sums
    assert vowels and not any("brow" in source for added in vowels for source, _ in added)
    assert json.loads(json.dumps(vowels)) == [[list(part) for part in added] for added in vowels]
    blender.ops.thunder.add_head()
    own = head_module.resolve(blender.context.object)
    assert own.sums is None
    own.keys.key_blocks["browInnerUp"].name = "gone"
    assert head_module.resolve(blender.context.object).sums is not None


def test_a_pose_is_learnt_and_played(blender, scene):
    """A face of bones and sliders alone, posed channel by channel."""
    armature = rig_with(
        blender,
        {
            "head": ((0, 0, 0), (0, 0, 0.1), None),
            "Kiefer": ((0, 0, 0), (0, -0.1, 0), "head"),
            "lip.T": ((0, -0.1, 0), (0, -0.12, 0), "head"),
        },
        "Gesicht",
    )
    armature.pose.bones["head"]["Lachen"] = 0.0
    scene.thunder.head = armature
    with pytest.raises(Exception, match="no shape keys"):
        head_module.find(scene)
    blender.ops.thunder.find_mapping()
    settings = scene.thunder
    jaw, lip = armature.pose.bones["Kiefer"], armature.pose.bones["lip.T"]

    def learn(source):
        settings.table_index = row_of(settings, source)
        assert blender.ops.thunder.learn_channel() == {"FINISHED"}
        for bone in armature.pose.bones:
            bone.matrix_basis.identity()
            bone.location, bone.rotation_quaternion, bone.scale = (0, 0, 0), (1, 0, 0, 0), (1, 1, 1)
        armature.pose.bones["head"]["Lachen"] = 0.0

    with pytest.raises(RuntimeError, match="Nothing is posed"):
        blender.ops.thunder.learn_channel()
    jaw.rotation_quaternion = (np.cos(0.2), np.sin(0.2), 0.0, 0.0)
    learn("jawOpen")
    lip.location[2] = 0.01
    armature.pose.bones["head"]["Lachen"] = 0.8
    learn("mouthPucker")
    rig = head_module.find(scene)
    assert rig.mesh == armature and rig.channels == ("mouthPucker",)
    made, _ = take(scene, rig, closed_at=())
    scene.frame_set(11)
    assert jaw.rotation_quaternion.angle == pytest.approx(0.4 * 0.2 / 0.3, abs=1e-3)
    assert lip.location[2] == pytest.approx(0.01 * 0.3, abs=1e-5)
    assert armature.pose.bones["head"]["Lachen"] == pytest.approx(0.24, abs=1e-4)
    motion = read(scene, rig)
    assert np.abs(motion.jaw[:, 0] - 0.2).max() < 1e-3
    assert np.abs(motion.expression[:, made.channels.index("mouthPucker")] - 0.3).max() < 1e-3
    display.restore_animation(rig)
    assert jaw.rotation_quaternion.angle == pytest.approx(0.0, abs=1e-6) and lip.location[2] == 0.0


# ---- linked characters


@pytest.fixture
def library(blender, tmp_path):
    """A file with a character of two meshes and a rig in a collection, mapped by hand there; its
    path."""
    collection = blender.data.collections.new("Hero")
    blender.context.scene.collection.children.link(collection)
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker", "Wave"])
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], size=0.05)
    rig = rig_with(blender, {"Head": ((0, 0, 0), (0, 0, 0.1), None)})
    for obj in (face, teeth):
        deform(obj, rig)
    for obj in (face, teeth, rig):
        blender.context.scene.collection.objects.unlink(obj)
        collection.objects.link(obj)
    settings = blender.context.scene.thunder
    settings.head = face
    blender.ops.thunder.show_mapping()
    settings.table[row_of(settings, "mouthSmileLeft")].target = "Wave"
    path = str(tmp_path / "hero.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return path


def link(blender, path, instance):
    with blender.data.libraries.load(path, link=True) as (source, target):
        target.collections = ["Hero"]
    collection = blender.data.collections["Hero"]
    if not instance:
        blender.context.scene.collection.children.link(collection)
        return next(obj for obj in collection.objects if obj.name == "Face")
    empty = blender.data.objects.new("Hero", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    empty.location = (1, 2, 3)
    blender.context.scene.collection.objects.link(empty)
    return empty


@pytest.mark.parametrize("instance", [False, True], ids=["linked objects", "collection instance"])
def test_a_linked_character_is_made_editable_and_plays(blender, library, instance, tmp_path):
    scene = blender.context.scene
    scene.render.fps = 25
    linked = link(blender, library, instance)
    if not instance:
        scene.thunder.head = linked
        with pytest.raises(errors.BadHead, match="linked from another file"):
            head_module.check_animatable(head_module.find(scene))
    assert blender.ops.thunder.make_editable() == {"FINISHED"}
    rig = head_module.find(scene)
    head_module.check_animatable(rig)
    blender.context.view_layer.update()
    assert tuple(rig.mesh.matrix_world.translation) == ((1, 2, 3) if instance else (0, 0, 0))
    assert rig.mesh.library is None and rig.mesh.override_library is not None
    assert "mouthSmileLeft" in rig.channels  # the mapping came with the character
    made, entry = take(scene, rig, closed_at=())
    blender.ops.thunder.show_mapping()  # what is mapped on an override is kept in the shot
    scene.thunder.table[row_of(scene.thunder, "mouthFrownLeft")].target = "Wave"
    scene = reopen(blender, tmp_path)
    rig = head_module.find(scene)
    assert {"mouthSmileLeft", "mouthFrownLeft"} <= set(rig.channels)
    assert scene.thunder.active_take == 0
    scene.frame_set(11)
    assert rig.keys.key_blocks["jawOpen"].value == JAW
    assert np.abs(read(scene, rig).jaw - made.motion.jaw).max() < 1e-4
    blender.ops.thunder.select_take(index=-1)
    assert scene.thunder.active_take == -1 and rig.keys.key_blocks["jawOpen"].value == 0.0


@pytest.mark.parametrize("depth", [1, 2])
def test_a_bake_makes_the_character_that_an_instance_shows_editable(blender, library, depth):
    """Also one within an instance; a bundled head is added where there is none."""
    from thunder.cli import bake

    scene, shown = blender.context.scene, link(blender, library, True)
    if depth == 2:
        group = blender.data.collections.new("Set")
        group.objects.link(shown)
        scene.collection.objects.unlink(shown)
        path = library.replace("hero", "set")
        blender.data.libraries.write(path, {group}, fake_user=True)
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        scene = blender.context.scene
        with blender.data.libraries.load(path, link=True) as (_, target):
            target.collections = ["Set"]
        outer = blender.data.objects.new("Set", None)
        outer.instance_type, outer.instance_collection = "COLLECTION", target.collections[0]
        scene.collection.objects.link(outer)
    rig = bake.choose_head(scene, None)
    head_module.check_animatable(rig)
    assert rig.mesh.name == "Face" and rig.mesh.override_library is not None
    blender.context.view_layer.update()
    assert tuple(rig.mesh.matrix_world.translation) == (1, 2, 3)


def test_a_bake_makes_the_chosen_character_editable_and_not_the_selected_one(blender, library):
    from thunder.cli import bake

    scene = blender.context.scene
    scene.thunder.head = link(blender, library, False)
    other = grid_mesh(blender, "Selected", ["jawOpen", "mouthPucker"])
    blender.context.view_layer.objects.active = other
    rig = bake.choose_head(scene, None)
    assert rig.mesh.name == "Face" and rig.mesh.override_library is not None


def test_an_instance_of_a_collection_of_this_file_is_said(blender, scene):
    from thunder.cli import bake

    grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"])
    group = blender.data.collections.new("Hero")
    group.objects.link(blender.data.objects["Face"])
    scene.collection.objects.unlink(blender.data.objects["Face"])
    empty = blender.data.objects.new("Shown", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", group
    scene.collection.objects.link(empty)
    with pytest.raises(errors.BadHead, match="“Shown” shows .* Make Instances Real"):
        bake.choose_head(scene, None)


def test_a_take_finds_its_targets_after_the_mapping_has_changed(blender, scene):
    """A mesh that was taken out of the character, or came in, leaves the others' curves where they
    belong."""
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"])
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], size=0.05)
    lashes = grid_mesh(blender, "Lashes", ["mouthPucker"], size=0.05)
    scene.thunder.head = face
    _, entry = take(scene, head_module.find(scene), closed_at=())
    display.restore_animation(head_module.find(scene))
    teeth.location.x = 9.0
    blender.context.view_layer.update()
    rig = head_module.find(scene)
    assert {obj.name for obj in rig.objects} == {"Face", "Lashes"}
    display.show(rig, entry)
    scene.frame_set(11)
    assert value_of(face, "jawOpen") == JAW and value_of(teeth, "jawOpen") == 0.0
    assert value_of(lashes, "mouthPucker") == pytest.approx(0.3, abs=1e-4)
    late = grid_mesh(blender, "Brows", ["mouthPucker"], size=0.05)
    teeth.location.x = 0.0
    blender.context.view_layer.update()
    display.show(head_module.find(scene), entry)  # the take knows nothing of the brows
    scene.frame_set(11)
    assert value_of(late, "mouthPucker") == 0.0 and value_of(teeth, "jawOpen") == JAW


def test_a_character_that_means_the_viewers_left_is_swapped(blender, scene):
    face = small_face(blender, {mirrored(name): moves for name, moves in KEYS.items()})
    scene.thunder.head = face
    assert detection.reach_of(face, character.plan_of(face)).is_mirrored
    blender.ops.thunder.swap_sides()
    assert not detection.reach_of(face, character.plan_of(face)).is_mirrored
    rules = {rule.source: rule.target.name for rule in character.plan_of(face).rules}
    assert rules["eyeBlinkLeft"] == "eyeBlinkRight"
