# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator's own character is found under every naming convention, driven whole, and read
back."""

import json

import numpy as np
import pytest
from characters import add_mesh, deform, drive, grid_mesh, pose, rig_with
from performances import performance, reopen, show_take
from thunder.cli.line import choose_head
from thunder.scene.animation import display, keying
from thunder.scene.heads import character, head as head_module, mapping_table, reading, rna_paths
from thunder.scene.host import compat
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face import mapping
from thunder.thunder_core.face.reading import conventions

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


def test_several_meshes_are_driven_together_and_read_back_as_one(blender, scene):
    names = ["jawOpen", "mouthClose", "mouthPucker", "browInnerUp", "eyeBlinkLeft", "eyeBlinkRight"]
    face = grid_mesh(blender, "Face", names)
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], (0, 0.02, 0), 0.05)
    lashes = grid_mesh(blender, "Lashes", ["eyeBlink_L", "eyeBlink_R"], (0.02, 0, 0.03), 0.05)
    bones = {"Hips": ((0, 0, -1), (0, 0, -0.8), None), "Head": ((0, 0, -0.1), (0, 0, 0.1), "Hips")}
    armature = rig_with(blender, bones)
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
    brow = (motion.expression - made.motion.expression)[:, made.channels.index("browInnerUp")]
    assert np.abs(brow).max() < 1.3e-4  # keys are rounded to 1/4096
    display.restore_animation(rig)
    assert all(target.animation_data.action is None for target in rig.targets)
    assert value_of(teeth, "jawOpen") == 0.0


def test_a_character_whose_head_keeps_still_is_named_and_says_so_first(blender, scene):
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"])
    assert "“Face” has no bone for its neck" in head_module.find(scene).warnings[0]
    used = character.resolve(face).used
    assert conventions.missing(used, head_module.channel_names())[0][0] == "neck"
    deform(face, rig_with(blender, {"Head": ((0, 0, -0.1), (0, 0, 0.1), None)}))
    assert not any("neck" in said for said in head_module.find(scene).warnings)


def test_what_is_selected_is_named_where_its_names_say_nothing(blender, scene):
    hero = grid_mesh(blender, "Hero", ["Form 1", "Form 2", "Form 3"])
    rig = rig_with(blender, {"Knochen": ((0, 0, -0.1), (0, 0, 0.1), None)}, "Puppe")
    plain, alone = (add_mesh(blender, name, [(0, 0, 0)]) for name in ("Haut", "Cube"))
    for mesh in (plain, alone):
        mesh.shape_key_clear()
    deform(plain, rig)
    says = {chosen: f"“{chosen.name}” has no keys or bones whose" for chosen in (hero, rig, plain)}
    for chosen, said in [*says.items(), (None, "No head is selected"), (alone, "No head is selec")]:
        with pytest.raises(errors.BadHead, match=said):
            head_module.find(scene, chosen)
    instance_of(blender, grid_mesh(blender, "Held", ["jawOpen", "mouthPucker"]))
    with pytest.raises(errors.BadHead, match="“Shown” shows a linked collection: press Make"):
        head_module.find(scene, hero)


def instance_of(bpy, obj):
    """Have an empty, Shown, show an object by a collection of this file."""
    shown = bpy.data.objects.new("Shown", None)
    shown.instance_type, shown.instance_collection = "COLLECTION", bpy.data.collections.new("Hero")
    shown.instance_collection.objects.link(obj)
    bpy.context.scene.collection.objects.unlink(obj)
    bpy.context.scene.collection.objects.link(shown)


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


EXPRESSIONS = (
    "degrees(v)", "radians(60 * v)", "sin(v)", "cos(v)", "tan(v)", "sqrt(v)", "pow(v, 3)",
    "abs(v - .5) + fabs(-v)", "min(v, .5) - max(v, .4)", "clamp(3 * v)", "clamp(v, .1, .3)",
    "2 * v ** 2 - v / 3 + pi", "-v if v > .5 else +v", "(v < .5) + 2 * (v >= .7)",
    "(v <= .7) - 3 * (v == .25) + 5 * (v != .25)",
)  # fmt: skip
CHANNELS = {"ROT_Z": "rotation_euler", "LOC_Z": "location", "SCALE_Z": "scale"}


@pytest.mark.parametrize(
    "expression, way", [*((e, "") for e in EXPRESSIONS), *zip("vvv", CHANNELS)]
)
def test_a_driver_is_calculated_as_blender_does(blender, expression, way):
    controls = rig_with(blender, {"face": ((0, 0, 0), (0, 0, 0.1), None)}, "Controls")
    controls["v"] = 0.25
    controls.id_properties_ui("v").update(default=0.25)
    controls.pose.bones["face"].rotation_mode = "XYZ"
    path, target = '["v"]', mapping.Target("PROPERTY", "v", "Controls")
    curve = drive(controls, "scale", controls, path, expression, 0)
    if way:
        target = mapping.Target("BONE", "", "Controls", "face", CHANNELS[way], 2)
        path = f'pose.bones["face"].{CHANNELS[way]}'
        places = {"bone_target": "face", "transform_type": way, "transform_space": "LOCAL_SPACE"}
        curve = drive(controls, "scale", controls, "", "degrees(v)", 0, "TRANSFORMS", **places)
    rest, seen = rna_paths.value(controls, path, 2), []
    for value in (rest, rest + 0.5):
        rna_paths.set_value(controls, path, 2, value)
        controls.update_tag()
        shown = controls.evaluated_get(blender.context.evaluated_depsgraph_get())
        seen.append(shown.scale[0])
    change = reading.Drivers(None).driver(controls, curve).change({target: 0.5})
    assert change == pytest.approx(seen[1] - seen[0], rel=1e-4)


# ---- the table, its preview, presets


def shown_table(bpy, mesh):
    """The rows of a character's mapping, which is shown: {source: the first row}."""
    bpy.context.scene.thunder.head = mesh
    assert bpy.ops.thunder.show_mapping() == {"FINISHED"}
    return {row.source: row for row in reversed(bpy.context.scene.thunder.table)}


@pytest.fixture
def hero(blender):
    """A character with a few ARKit keys, chosen, its mapping shown: (mesh, settings)."""
    keys = ["jawOpen", "mouthPucker", "mouthClose", "eyeBlink_L", "eyeBlink_R", "Wave"]
    mesh = grid_mesh(blender, "Hero", keys)
    shown_table(blender, mesh)
    return mesh, blender.context.scene.thunder


def row_of(settings, source):
    return next(index for index, row in enumerate(settings.table) if row.source == source)


def values(mesh):
    return {block.name: round(block.value, 5) for block in mesh.data.shape_keys.key_blocks[1:]}


def test_the_table_has_a_row_for_every_channel_and_an_edit_is_kept(blender, hero):
    mesh, settings = hero
    sources = {row.source for row in settings.table}
    assert sources >= {*head_module.channel_names(), *mapping.DERIVED, "neck"} - {"jaw"}
    row = settings.table[row_of(settings, "mouthSmileLeft")]
    assert row.kind == "NONE" and "jaw" not in sources
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
    for key, value in (("mouthPucker", 0.25), ("Wave", 0.4)):
        mesh.data.shape_keys.key_blocks[key].value = value
    before = values(mesh)
    still = dict.fromkeys(before, 0.0) | {"Wave": 0.4}
    settings.table_index, settings.preview = row_of(settings, "jawOpen"), True
    assert values(mesh) == still | {"jawOpen": 1.0}
    settings.table_index, settings.preview_amount = row_of(settings, "eyeBlinkLeft"), 0.5
    assert values(mesh) == still | {"eyeBlink_L": 0.5}
    settings.table[settings.table_index].weight = 2.0  # an edit is seen at once
    assert values(mesh)["eyeBlink_L"] == 1.0 and settings.preview
    settings.preview = False
    assert values(mesh) == before


def test_preview_over_an_animation_gives_the_frame_back(blender, scene, hero):
    mesh, settings = hero
    take(scene, head_module.find(scene), closed_at=())
    scene.frame_set(11)
    before = values(mesh)
    settings.table_index, settings.preview = row_of(settings, "mouthPucker"), True
    assert values(mesh)["jawOpen"] == 0.0
    blender.ops.thunder.select_take(index=-1)  # showing something else ends it
    assert not settings.preview and not settings.preview_kept
    blender.ops.thunder.select_take(index=0)
    scene.frame_set(11)
    assert values(mesh) == before and before["jawOpen"] == JAW


def test_a_target_is_added_and_taken_away_survives_the_file_and_is_found_again(
    blender, hero, tmp_path
):
    _, settings = hero

    def targets(source):
        rules = character.plan_of(blender.data.objects["Hero"]).rules
        return [(r.target.name, round(r.weight, 3)) for r in rules if r.source == source]

    settings.table_index = row_of(settings, "jawOpen")
    blender.ops.thunder.add_rule()
    added = settings.table[settings.table_index]
    assert added.source == "jawOpen" and added.kind == "NONE"
    added.target, added.weight = "Wave", 0.2
    assert targets("jawOpen") == [("jawOpen", 1.0), ("Wave", 0.2)]
    settings = reopen(blender, tmp_path).thunder
    assert targets("jawOpen") == [("jawOpen", 1.0), ("Wave", 0.2)]
    blender.ops.thunder.remove_rule()
    settings.table[row_of(settings, "mouthSmileLeft")].target = "Wave"
    blender.ops.thunder.find_mapping()
    assert (targets("jawOpen"), targets("mouthSmileLeft")) == ([("jawOpen", 1.0)], [])


def test_a_preset_fits_a_character_whose_objects_are_called_otherwise(blender, hero):
    _, settings = hero
    name, folder = "Wave smile: 1/2", mapping_table.presets().folder
    settings.table[row_of(settings, "mouthSmileLeft")].target = "Wave"
    assert blender.ops.thunder.save_mapping(name=name) == {"FINISHED"}
    (folder / ".thunder_0-0-0.part.json").write_text("{")  # of a Blender that was killed
    assert mapping_table.presets().names() == [name]
    settings.head = other = grid_mesh(blender, "Other", ["jawOpen", "Wave"], at=(5, 0, 0))
    blender.ops.thunder.load_mapping(name=name)
    rig = head_module.find(blender.context.scene)
    by_the_jaw = {  # for want of keys
        f"{lip}{side}" for lip in ("mouthLowerDown", "mouthUpperUp") for side in ("Left", "Right")
    }
    assert rig.mesh == other and set(rig.channels) == {"mouthSmileLeft"} | by_the_jaw
    path = folder / "Wave smile%3A 1%2F2.json"
    path.write_text(path.read_text()[:-40])
    with pytest.raises(RuntimeError, match="readable as JSON"):
        blender.ops.thunder.load_mapping(name=name)
    rule = {"source": "jawOpen", "target": {"kind": "KEY", "name": "jawOpen"}}
    many = {"thunder_mapping": 1, "rules": 10_001 * [rule]}
    path.write_text(json.dumps(many))
    with pytest.raises(RuntimeError, match="has 10,001 rules, more than 10,000, which would take"):
        blender.ops.thunder.load_mapping(name=name)
    path.unlink()


def test_the_balance_of_jaw_and_lips_is_kept_and_moves_the_keys(blender, scene):
    keys = ["jawOpen", "mouthClose", "mouthLowerDownLeft", "mouthLowerDownRight"]
    mesh, settings = grid_mesh(blender, "Hero", keys), scene.thunder
    plain = {name: (row.target, row.weight) for name, row in shown_table(blender, mesh).items()}
    lower = 0.125 * character.plan_of(mesh).lower_per_jaw
    for balance, wanted in ((1.0, (0.75, 0.25, 0, 0)), (-0.5, (0.375, 0, lower, lower))):
        settings.balance = balance
        pose(blender, head_module.find(scene), jaw=0.5)
        assert values(mesh) == pytest.approx(dict(zip(keys, wanted)), abs=1e-5)
    now = {row.source: (row.target, row.weight) for row in reversed(settings.table)}
    assert now == plain, "the table shows the rules as they are"
    settings.balance = 0.5
    mapping_table.fill(scene, mesh)
    assert settings.balance == 0.5 and character.plan_of(mesh).balance == 0.5


def test_the_engine_is_told_what_a_characters_keys_show_and_nothing_of_a_whole_head(blender):
    """So that scores and words are of that: a head that shows everything is asked for as before."""
    blender.ops.thunder.add_head()
    own = head_module.resolve(blender.context.object)
    assert own.sums is None
    own.keys.key_blocks["browInnerUp"].name = "gone"
    sums = head_module.resolve(blender.context.object).sums
    assert not any(source == "browInnerUp" for added in sums for source, _ in added)
    assert json.loads(json.dumps(sums)) == [[list(part) for part in added] for added in sums]


def test_a_pose_is_learnt_and_played(blender, scene):
    """A face of bones and sliders alone, posed channel by channel."""
    bones = {
        "head": ((0, 0, 0), (0, 0, 0.1), None),
        "Kiefer": ((0, 0, 0), (0, -0.1, 0), "head"),
        "lip.T": ((0, -0.1, 0), (0, -0.12, 0), "head"),
    }
    armature, settings = rig_with(blender, bones, "Gesicht"), scene.thunder
    board, jaw, lip = (armature.pose.bones[name] for name in bones)
    board["Lachen"] = 0.0
    settings.head = armature
    with pytest.raises(Exception, match="no shape keys"):
        head_module.find(scene)
    blender.ops.thunder.find_mapping()

    def learn(source):
        settings.table_index = row_of(settings, source)
        assert blender.ops.thunder.learn_channel() == {"FINISHED"}
        for bone in armature.pose.bones:
            bone.matrix_basis.identity()
            bone.location, bone.rotation_quaternion, bone.scale = (0, 0, 0), (1, 0, 0, 0), (1, 1, 1)
        board["Lachen"] = 0.0

    with pytest.raises(RuntimeError, match="Nothing is posed"):
        blender.ops.thunder.learn_channel()
    jaw.rotation_quaternion = (np.cos(0.2), np.sin(0.2), 0.0, 0.0)
    learn("jawOpen")
    lip.location[2], board["Lachen"] = 0.01, 0.8
    learn("mouthPucker")
    rig = head_module.find(scene)
    assert rig.mesh == armature and rig.channels == ("mouthPucker",)
    made, _ = take(scene, rig, closed_at=())
    scene.frame_set(11)
    assert jaw.rotation_quaternion.angle == pytest.approx(0.4 * 0.2 / 0.3, abs=1e-3)
    assert lip.location[2] == pytest.approx(0.01 * 0.3, abs=1e-5)
    assert board["Lachen"] == pytest.approx(0.24, abs=1e-4)
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
    layer = blender.context.view_layer
    layer.layer_collection.collection.children.link(blender.data.collections.new("Hero"))
    layer.active_layer_collection = layer.layer_collection.children["Hero"]
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker", "Wave"])
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], size=0.05)
    rig = rig_with(blender, {"Head": ((0, 0, 0), (0, 0, 0.1), None)})
    for obj in (face, teeth):
        deform(obj, rig)
    shown_table(blender, face)["mouthSmileLeft"].target = "Wave"
    path = str(tmp_path / "hero.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return path


def link(bpy, path, name="Hero", instance=True):
    """Link a collection of a file: the empty in the scene that shows it, else its face."""
    with bpy.data.libraries.load(path, link=True) as (_, target):
        target.collections = [name]
    collection = target.collections[0]
    if not instance:
        bpy.context.scene.collection.children.link(collection)
        return collection.objects["Face"]
    empty = bpy.data.objects.new(name, None)
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    bpy.context.scene.collection.objects.link(empty)
    return empty


@pytest.mark.parametrize("instance", [False, True], ids=["linked objects", "collection instance"])
def test_a_linked_character_is_made_editable_and_plays(blender, library, instance, tmp_path):
    scene = blender.context.scene
    scene.render.fps, linked = 25, link(blender, library, instance=instance)
    if instance:
        linked.location = (1, 2, 3)
    else:
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
    made, _ = take(scene, rig, closed_at=())
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


@pytest.mark.parametrize("how", ["an instance", "an instance within another", "chosen"])
def test_a_bake_makes_the_character_that_is_shown_or_chosen_editable(blender, library, how):
    scene, is_chosen = blender.context.scene, how == "chosen"
    shown = link(blender, library, instance=not is_chosen)
    if is_chosen:
        scene.thunder.head = shown
        other = grid_mesh(blender, "Selected", ["jawOpen", "mouthPucker"])
        blender.context.view_layer.objects.active = other
    elif how == "an instance within another":
        group = blender.data.collections.new("Set")
        group.objects.link(shown)
        path = library.replace("hero", "set")
        blender.data.libraries.write(path, {group}, fake_user=True)
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        shown, scene = link(blender, path, "Set"), blender.context.scene
    place = shown.location = (0, 0, 0) if is_chosen else (1, 2, 3)
    rig = choose_head(scene, None)
    head_module.check_animatable(rig)
    assert rig.mesh.name == "Face" and rig.mesh.override_library is not None
    blender.context.view_layer.update()
    assert tuple(rig.mesh.matrix_world.translation) == place


def test_an_instance_of_a_collection_of_this_file_is_said(blender, scene):
    instance_of(blender, grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"]))
    with pytest.raises(errors.BadHead, match="“Shown” shows .* Make Instances Real"):
        choose_head(scene, None)


def test_a_take_finds_its_targets_after_the_mapping_has_changed(blender, scene):
    """A mesh that was taken out of the character, or came in, leaves the others' curves where they
    belong."""
    face = grid_mesh(blender, "Face", ["jawOpen", "mouthPucker"])
    teeth = grid_mesh(blender, "Teeth", ["jawOpen"], size=0.05)
    lashes = grid_mesh(blender, "Lashes", ["mouthPucker"], size=0.05)
    scene.thunder.head = face
    _, entry = take(scene, head_module.find(scene), closed_at=())
    display.restore_animation(head_module.find(scene))

    def shown():
        blender.context.view_layer.update()
        rig = head_module.find(scene)
        display.show(rig, entry)
        scene.frame_set(11)
        return {obj.name for obj in rig.objects}

    teeth.location.x = 9.0
    assert shown() == {"Face", "Lashes"}
    assert value_of(face, "jawOpen") == JAW and value_of(teeth, "jawOpen") == 0.0
    assert value_of(lashes, "mouthPucker") == pytest.approx(0.3, abs=1e-4)
    late = grid_mesh(blender, "Brows", ["mouthPucker"], size=0.05)
    teeth.location.x = 0.0
    assert "Brows" in shown()  # of which the take knows nothing
    assert value_of(late, "mouthPucker") == 0.0 and value_of(teeth, "jawOpen") == JAW


# ---- an animator's own poses as targets


def pose_asset(blender, name, targets):
    """A pose asset of the user's: targets {data-block: {(path, index): value}}."""
    actions, curves = compat.new_action(name, list(targets))
    for (_, values), collection in zip(targets.items(), curves):
        for (path, index), value in values.items():
            compat.new_curve(collection, path, index, "").keyframe_points.insert(1.0, value)
    for action in actions:
        action.asset_mark()


@pytest.fixture
def puppet(blender):
    """A character without known names: a jaw bone, a lip bone, keys K1 and K2; mouths posed as
    assets. (face, rig)."""
    bones = {
        "root": ((0, 0, 0), (0, 0, 0.1), ""),
        "hinge": ((0, 0, 0), (0, -0.1, 0), "root"),
        "pull": ((0, -0.1, 0), (0, -0.12, 0), "root"),
    }
    rig = rig_with(blender, bones)
    face = grid_mesh(blender, "Hero", ("K1", "K2"))
    deform(face, rig)
    rig.pose.bones["hinge"].rotation_mode = "XYZ"
    keys = face.data.shape_keys
    turned = 'pose.bones["hinge"].rotation_euler'
    along = 'pose.bones["pull"].location'
    pose_asset(blender, "AH", {rig: {(turned, 0): 0.4}, keys: {('key_blocks["K1"].value', 0): 0.2}})
    pose_asset(
        blender,
        "OO",
        {rig: {(turned, 0): 0.1, (along, 1): -0.02}, keys: {('key_blocks["K2"].value', 0): 1.0}},
    )
    pose_asset(blender, "EE", {keys: {('key_blocks["K2"].value', 0): -0.5}})
    pose_asset(
        blender,
        "Smile",
        {
            rig: {
                ('pose.bones["pull"].rotation_quaternion', 0): 0.98,
                ('pose.bones["pull"].rotation_quaternion', 2): 0.2,
            }
        },
    )
    return face, rig


def test_mouths_that_a_user_posed_are_driven_at_their_strength(blender, puppet):
    face, rig = puppet
    blender.context.scene.thunder.head = face
    assert blender.ops.thunder.map_by_poses() == {"FINISHED"}
    found = head_module.resolve(face)

    def shown(source, amount):
        values = mapping_table.pose(found, source, amount)
        return {
            (found.targets[track.block].name, track.path, track.index): value
            for track, value in zip(found.driver.tracks, values)
        }

    jaw = ("Rig", 'pose.bones["hinge"].rotation_euler', 0)
    half = shown("jawOpen", 0.5)
    assert half[jaw] == pytest.approx(0.2, abs=1e-6)
    rounded = shown("mouthPucker", 1.0)
    if compat.HAS_SLOTS:  # before, an action poses either bones or keys
        assert half["Key", 'key_blocks["K1"].value', 0] == pytest.approx(0.1)
        assert rounded["Key", 'key_blocks["K2"].value', 0] == pytest.approx(1.0)
    assert rounded[jaw] == pytest.approx(0.0, abs=1e-6)  # the jaw has a channel of its own
    assert rounded["Rig", 'pose.bones["pull"].location', 1] == pytest.approx(-0.02)
    turned = shown("mouthSmileLeft", 1.0)
    # half of it for each side
    assert turned["Rig", 'pose.bones["pull"].rotation_quaternion', 2] == pytest.approx(
        0.1, abs=0.01
    )


@pytest.mark.parametrize("name", ["add_rule", "remove_rule", "learn_channel"])
def test_a_table_whose_character_was_deleted_changes_nothing_and_asks_to_be_shown(
    blender, hero, name
):
    other, settings = blender.data.objects.new("Other", blender.data.meshes.new("Other")), hero[1]
    blender.context.scene.collection.objects.link(other)
    blender.data.objects.remove(blender.data.objects["Hero"])
    blender.context.view_layer.objects.active = other
    rows = len(settings.table)
    assert rows and settings.table_head is None
    with pytest.raises(RuntimeError, match="The mapping is not shown: press Show Mapping first"):
        getattr(blender.ops.thunder, name)()
    assert len(settings.table) == rows
