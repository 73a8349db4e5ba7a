# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: takes show one drawing at a time on Grease Pencil, images, sheets and objects,
and are mixed, shaped, committed, checked and exported as takes of any head."""

from dataclasses import replace
from itertools import groupby
from types import SimpleNamespace

import numpy as np
import pytest
from drawing import draw, Layout, Shown
from performances import performance, say_take
from running_engine import connection, speak, stop_engine  # noqa: F401
from thunder.cli import check
from thunder.operators import listen
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import character, drawing_rules, head, mapping_table
from thunder.scene.host import compat
from thunder.scene.media import export, puppets
from thunder.scene.review import checking, live_score
from thunder.scene.takes import grades, keep, mix, transcript, word_places
from thunder.scene.takes.commit import committing
from thunder.scene.takes.shape import applying
from thunder.scene.voice import strip
from thunder.thunder_core import errors, findings, progress
from thunder.thunder_core.animation import keyframes, timing
from thunder.thunder_core.face.drawn_mouths import EYES, MOUTHS
from thunder.thunder_core.shipped import SAMPLE_TEXT

SAID = [["M", 0.92, 1.08], ["OW", 1.08, 1.4], ["AA", 1.4, 1.7], ["AO", 2.0, 2.2]]
OTHER = [["F", 0.6, 1.0], ["B", 1.0, 1.2], ["IY", 1.2, 2.2]]


@pytest.fixture
def scene(blender):
    blender.context.scene.render.fps = 25
    return blender.context.scene


@pytest.fixture
def face(blender, scene):
    """The sample drawing; before 4.3 an object for each mouth and look."""
    if compat.new_drawing("Drawing") is None:
        with pytest.raises(RuntimeError, match="The sample is drawn in Grease Pencil"):
            blender.ops.thunder.sample_drawing()
        swapped(blender, scene, *MOUTHS, *EYES)
        assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    else:
        assert blender.ops.thunder.sample_drawing() == {"FINISHED"}
    return scene.thunder.head


def open_take(jaw=0.1):
    """Three seconds of an open jaw that shuts at 1 s for an m."""
    made = performance(closed_at=())
    made.motion.jaw[:, 0] = jaw
    made.motion.jaw[24:28, 0] = 0.0
    return replace(made, opening=100.0 * made.motion.jaw[:, 0])


def shown(scene, rig, made, said=SAID):
    """A take of these sounds on a rig, shown."""
    return say_take((scene, rig), made, said)


def mouths(scene, face, first=20, last=56):
    """The mouth that is keyed on each frame."""
    names = {}
    for frame in range(first, last + 1):
        scene.frame_set(frame)
        names[frame] = MOUTHS[face["Thunder Mouth"]]
    return names


def keys_of(action, name="Mouth"):
    curve = next(each for each in compat.all_curves(action) if name in each.data_path)
    return fcurves.read(curve)


def swapped(blender, scene, *names):
    """A plane for each name; selected, the first of them active."""
    made = []
    for name in names:
        mesh = blender.data.meshes.new(name)
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 0, 1)], [], [(0, 1, 2)])
        made.append(blender.data.objects.new(name, mesh))
        scene.collection.objects.link(made[-1])
        made[-1].select_set(True)
    blender.context.view_layer.objects.active = made[0]
    return made


def test_a_take_is_constant_keys_of_one_number_and_shows_its_drawings(blender, scene, face):
    rig = head.resolve(face)
    entry = shown(scene, rig, open_take())
    keys = keys_of(entry.action)
    assert (keys["interpolation"] == keyframes.CONSTANT).all()
    assert (keys["co"] % 1 == 0).all() and len(keys["co"]) < 12
    names = mouths(scene, face)
    assert [names[frame] for frame in (22, 26, 32, 40, 47, 53)] == [
        "Rest", "M B P", "OH", "EH", "Rest", "OH",
    ]  # fmt: skip
    for frame in (26, 32, 40, 47):
        scene.frame_set(frame)
        number = MOUTHS.index(names[frame])
        if compat.is_drawing(face):
            seen = face.evaluated_get(blender.context.evaluated_depsgraph_get())
            assert seen.modifiers["Thunder Mouth"].offset == number + 9
        else:
            seen = {obj.name for obj in face.children if obj.visible_get()}
            assert seen == {names[frame], "Eyes Open"}


def test_objects_are_swapped_by_their_names(blender, scene):
    parts = swapped(blender, scene, "MBP", "AI", "E", "O", "rest", "Blink", "Eyes Open")
    for part in parts:
        part.location = (0.1, 0.2, 0.3)
    parts[1].parent = blender.data.objects.new("Elsewhere", None)
    blender.context.view_layer.update()
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    blender.context.view_layer.update()
    assert all(part.matrix_world.translation[:] == pytest.approx((0.1, 0.2, 0.3)) for part in parts)
    face = scene.thunder.head
    assert face.type == "EMPTY" and all(part.parent == face for part in parts)
    rig = head.resolve(face)
    assert head.in_scene(scene) == [face] and head.guess(scene, parts[2]) == face
    shown(scene, rig, open_take(0.2))
    for frame, wanted in ((22, "rest"), (26, "MBP"), (32, "O"), (40, "AI")):
        scene.frame_set(frame)
        seen = {part.name for part in parts if part.visible_get()}
        assert seen == {wanted, "Eyes Open"}, frame
        assert {part.name for part in parts if not part.hide_render} == seen
    assert not scene.thunder.preview


def test_a_lost_drawing_is_said_and_what_hid_it_goes_with_its_row(blender, scene):
    parts = swapped(blender, scene, "MBP", "AI", "E", "O", "rest")
    blender.ops.thunder.add_drawn_mouth()
    face = scene.thunder.head
    row = next(row for row in scene.thunder.table if row.source == "OH")
    assert parts[3].hide_viewport
    row.target = ""
    assert not parts[3].hide_viewport
    assert head.resolve(face).driver.numbers["OH"] == MOUTHS.index("AH")
    blender.data.objects.remove(parts[1])
    rig = head.resolve(face)
    assert rig.warnings[0].startswith("“AI”, the mouth for AH, is no longer on")
    for part in parts[:1] + parts[2:]:
        blender.data.objects.remove(part)
    with pytest.raises(errors.BadHead, match="has lost all drawings of its mouth"):
        head.resolve(face)


def drawing_with(blender, scene, **layers):
    """A Grease Pencil object with layers that have empty drawings on frames; active."""
    data = compat.new_drawing("Drawing")
    if data is None:
        pytest.skip("this Blender has none of today's Grease Pencil")
    obj = blender.data.objects.new("Drawing", data)
    scene.collection.objects.link(obj)
    for name, frames in layers.items():
        layer = data.layers.new(name)
        for frame in frames:
            layer.frames.new(frame)
    blender.context.view_layer.objects.active = obj
    return obj


def lose_frame(blender, scene):
    layer = drawing_with(blender, scene, Mouth=range(12)).data.layers["Mouth"]
    return lambda: layer.frames.remove(5), "Number 5 of “Mouth”, the mouth for EH,"


def lose_layer(blender, scene):
    layers = drawing_with(blender, scene, MBP=(), A=(), Smile=()).data.layers
    return lambda: layers.remove(layers["Smile"]), "“Smile”, shown for Smile,"


def lose_eyes(blender, scene):
    parts = swapped(blender, scene, "MBP", "A", "E", "blink", "eye_open")
    return lambda: blender.data.objects.remove(parts[3]), "“blink”, shown for Eyes Shut,"


def lose_image(blender, scene):
    _, image, _ = sheet_on(blender, scene, "IMAGE")
    return lambda: setattr(image.image_user, "frame_duration", 8), "Number 9 of “Mouths”,"


def lose_cell(blender, scene):
    *_, node = sheet_on(blender, scene, "CELL")
    scale = node.inputs["Scale"]
    return lambda: setattr(scale, "default_value", (1 / 5, 1 / 2, 1.0)), "Number 11 of “Mouths”"


@pytest.mark.parametrize("lose", [lose_frame, lose_layer, lose_eyes, lose_image, lose_cell])
def test_a_drawing_that_was_lost_is_said_and_marked_and_the_likest_is_shown(
    blender, scene, lose, monkeypatch, capfd
):
    change, sentence = lose(blender, scene)
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    face = scene.thunder.head
    assert not head.resolve(face).vanished
    before = head.resolve(face).driver.numbers
    change()
    rig = head.resolve(face)
    assert rig.warnings[0].startswith(sentence) and rig.driver.numbers != before
    monkeypatch.setattr(listen.connection, "start_client", lambda: None)
    monkeypatch.setattr(listen.checking, "check", lambda *about: (each for each in ()))
    monkeypatch.setattr(listen.checking, "summary", lambda found: "")
    assert blender.ops.thunder.check() == {"FINISHED"}
    assert rig.vanished in capfd.readouterr().out
    shown(scene, rig, open_take())
    layout = draw(blender.types.THUNDER_PT_character, blender.context)
    assert sentence in " ".join(layout.texts())
    alerts = []
    noted = lambda layout, name, value: name == "alert" and alerts.append(value)  # noqa: E731
    monkeypatch.setattr(Layout, "__setattr__", noted)
    rows = Shown(blender.types.THUNDER_UL_mapping)
    for row in scene.thunder.table:
        rows.draw_item(blender.context, Layout(), None, row, 0, None, "", 0)
    red = [row.source for row, is_red in zip(scene.thunder.table, alerts) if is_red]
    assert red == [rule.source for rule in rig.unbound_rules]


def test_a_drawing_that_was_deleted_takes_the_tick_away(blender, scene, monkeypatch):
    parts = swapped(blender, scene, "MBP", "A", "E", "O")
    blender.ops.thunder.add_drawn_mouth()
    rig = head.resolve(scene.thunder.head)
    entry = shown(scene, rig, open_take())
    checking.show(scene, rig, "voice", timing.Clock.of(scene, 1.0), [])
    good = grades.Grade(findings.GOOD, "CHECKMARK")
    score = live_score.SyncScore(90.0, None, timing.Clock.of(scene, 1.0), good)
    monkeypatch.setattr(live_score, "shown_score", lambda *about: score)

    def icons():
        layout = draw(blender.types.THUNDER_PT_listen, blender.context)
        return [how.get("icon") for kind, _, how in layout.notes if kind == "label"]

    assert icons().count("CHECKMARK") == 2
    blender.data.objects.remove(parts[0])
    assert "CHECKMARK" not in icons() and entry.action
    line = SimpleNamespace(warnings=checking.warnings(head.resolve(rig.mesh)), found=[], error="")
    line.file, line.name = "a.blend", "line"
    said = check.as_text([line])
    assert "“MBP”, the mouth for M B P, is no longer on" in said and "no problems" not in said
    assert "“Drawn Head” has no closed mouth" in said


def test_a_head_without_closed_mouth_or_image_file_is_said(blender, scene, tmp_path, capfd):
    swapped(blender, scene, "AI", "E", "O", "U")
    blender.ops.thunder.add_drawn_mouth()
    [sentence] = head.resolve(scene.thunder.head).warnings
    assert sentence.startswith("“Drawn Head” has no closed mouth, so its lips do not meet")
    assert sentence in capfd.readouterr().out
    for kind in ("CELL", "IMAGE"):
        plane, node, _ = sheet_on(blender, scene, kind)
        node.image.source, node.image.filepath = "FILE", str(tmp_path / "gone_01.png")
        if kind == "IMAGE":
            node.image.source = "SEQUENCE"
        blender.ops.object.select_all(action="DESELECT")
        blender.context.view_layer.objects.active = plane
        blender.ops.thunder.add_drawn_mouth()
        [sentence] = checking.warnings(head.resolve(plane))
        assert sentence.startswith(f"The file of the image “{node.image.name}” is missing")
        assert sentence in capfd.readouterr().out
        (tmp_path / "gone_01.png").touch()
        assert not head.resolve(plane).warnings
        (tmp_path / "gone_01.png").unlink()


def test_drawings_of_before_4_3_end_in_a_sentence(blender, scene):
    if blender.app.version >= (4, 3, 0):
        pytest.skip("this Blender has today's Grease Pencil")
    obj = blender.data.objects.new("Drawing", blender.data.grease_pencils.new("Drawing"))
    scene.collection.objects.link(obj)
    blender.context.view_layer.objects.active = obj
    with pytest.raises(RuntimeError, match="Drawings need Blender 4.3: images and objects work"):
        blender.ops.thunder.add_drawn_mouth()


def test_a_lone_blink_is_seen_in_blinks_alone(blender, scene):
    """Lids over eyes that are drawn elsewhere."""
    parts = swapped(blender, scene, "MBP", "AI", "blink")
    blender.ops.thunder.add_drawn_mouth()
    made, face = open_take(), scene.thunder.head
    made.motion.expression[49:54, [c.startswith("eyeBlink") for c in head.channel_names()]] = 1.0
    shown(scene, head.resolve(face), made)
    seen = [scene.frame_set(frame) or not parts[2].hide_render for frame in range(20, 70)]
    assert 4 <= sum(seen) < 12 and not seen[0] and not seen[-1]


def sheet_on(blender, scene, kind):
    """A plane with a sheet of 4 × 3 cells, or a sequence of nine images, in its material."""
    [plane] = swapped(blender, scene, "Plane")
    material = blender.data.materials.new("Mouths")
    material.use_nodes = True
    plane.data.materials.append(material)
    nodes = material.node_tree.nodes
    image = nodes.new("ShaderNodeTexImage")
    image.image = blender.data.images.new("Mouths", 8, 8)
    node = nodes.new("ShaderNodeMapping")
    if kind == "CELL":
        node.inputs["Scale"].default_value = (1 / 4, 1 / 3, 1.0)
    else:
        image.image.source, image.image_user.frame_duration = "SEQUENCE", 9
    return plane, image, node


def test_a_sheet_shows_the_cell_of_each_mouth_and_rows_are_filled_in_the_order_of_a_chart(
    blender, scene
):
    plane, _, node = sheet_on(blender, scene, "CELL")
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    assert scene.thunder.head == plane
    shown(scene, head.resolve(plane), open_take(0.2))
    for frame, cell in ((26, 1), (32, 4), (40, 5), (22, 12)):  # of the twelve sounds in order
        scene.frame_set(frame)
        at = node.inputs["Location"].default_value
        column, row = (cell - 1) % 4, (cell - 1) // 4
        assert tuple(at)[:2] == pytest.approx((column / 4, (2 - row) / 3)), frame
    assert blender.ops.thunder.fill_in_order(chart="Preston Blair", first=2) == {"FINISHED"}
    rows = {row.source: row.number for row in scene.thunder.table}
    assert (rows["AH"], rows["M B P"], rows["Rest"]) == (2, 9, 11)
    with pytest.raises(RuntimeError, match="No drawing was found"):
        blender.ops.thunder.find_mapping()


def test_a_sheet_whose_cells_have_no_size_is_a_sentence(blender, scene):
    _, _, node = sheet_on(blender, scene, "CELL")
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    before, drivers = head.find(scene).values(), len(node.id_data.animation_data.drivers)
    node.inputs["Scale"].default_value[0] = float("nan")
    for act in (blender.ops.thunder.fill_in_order, blender.ops.thunder.send_face):
        with pytest.raises(RuntimeError, match="The Scale of the node “.*” is no number: give it"):
            act()
    assert len(node.id_data.animation_data.drivers) == drivers
    draw(blender.types.THUNDER_PT_character, blender.context)
    node.inputs["Scale"].default_value[0] = 1 / 4
    assert head.find(scene).values() == before


def test_a_head_that_lost_its_number_says_so_and_gets_it_back_with_its_table(blender, scene, face):
    shown(scene, head.find(scene), open_take())
    mapping_table.keep_plan(scene, face, replace(character.plan_of(face), name="By Hand"))
    plan = character.plan_of(face)
    del face["Thunder Mouth"]
    blender.context.view_layer.objects.active = face
    face.select_set(True)
    with pytest.raises(RuntimeError, match="lost its property “Thunder Mouth”.*: press Add Drawn"):
        blender.ops.thunder.send_face()
    for panel in (blender.types.THUNDER_PT_main, blender.types.THUNDER_PT_character):
        draw(panel, blender.context)
    for _ in ("what it lost", "of a head that is drawn already"):
        assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
        assert character.plan_of(face) == plan and head.find(scene).values()
    assert scene.thunder.head == face and plan.name == "By Hand"


def test_an_image_sequence_shows_the_image_of_each_mouth(blender, scene):
    plane, image, _ = sheet_on(blender, scene, "IMAGE")
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    rig = head.resolve(plane)
    assert rig.driver.numbers["S CH"] == rig.driver.numbers["T D K"], "nine images: Rhubarb's"
    shown(scene, rig, open_take(0.2))
    for frame, number in ((26, 1), (32, 5), (40, 4), (22, 9)):
        scene.frame_set(frame)
        assert image.image_user.frame_offset == number - 9, (
            "the last of nine is shown, so many less"
        )


def test_layers_of_a_drawing_are_shown_and_hidden(blender, scene):
    obj = drawing_with(blender, scene, Body=(1, 5, 9), MBP=(), A=(), E=(), O=(), Rest=())
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    shown(scene, head.resolve(obj), open_take(0.2))
    for frame, wanted in ((22, "Rest"), (26, "MBP"), (32, "O"), (40, "A")):
        scene.frame_set(frame)
        seen = obj.evaluated_get(blender.context.evaluated_depsgraph_get())
        assert [each.name for each in seen.data.layers if not each.hide] == ["Body", wanted]


def test_a_name_that_is_known_wins_over_the_order(blender, scene):
    """Whatever is beside it; without one they are taken in their order."""
    swapped(blender, scene, "Foo", "MBP")
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    plan = character.plan_of(scene.thunder.head)
    assert [(rule.source, rule.target.name) for rule in plan.rules] == [("M B P", "MBP")]
    obj = drawing_with(blender, scene, Foo=(1, 4, 7), MBP=(1,))
    assert [rule.target.name for rule in drawing_rules.found_rules(obj)] == ["MBP"]
    obj = drawing_with(blender, scene, Default=(1, 4, 7), Lines=(1,))
    assert {rule.target.kind for rule in drawing_rules.found_rules(obj)} == {"DRAWING"}


CHARTS = {
    "Preston Blair": "AI E O U etc L WQ MBP FV rest",
    "Character Animator": "Neutral Aah D Ee F L M Oh R S Uh W-Oo Smile Surprised",
    "Moho": "mouth_AI mouth_E mouth_O mouth_U mouth_etc mouth_L mouth_WQ mouth_MBP mouth_FV mouth_rest",
    "Toon Boom": "A B C D E F G X",
    "Rhubarb": "A B C D E F G H X",
    "kana": "あ い う え お ん",
    "vowels": "mouth_a mouth_i mouth_u mouth_e mouth_o mouth_n",
    "plain words": "Mouth_Closed Mouth_Open Mouth_Wide Mouth_O Mouth_Teeth Mouth_Smile",
}  # fmt: skip


@pytest.mark.parametrize("chart", CHARTS)
def test_one_drawing_of_a_chart_is_seen_on_every_frame_and_none_for_one_frame(
    blender, scene, chart
):
    names = CHARTS[chart].split()
    parts = swapped(blender, scene, *names)
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    rig = head.resolve(scene.thunder.head)
    random = np.random.default_rng(5)
    starts = np.arange(0.1, 2.8, 0.06)
    phones = random.choice("M F UW OW AA EH IY L TH S T W P ER K".split(), len(starts))
    said = [[phone, at, at + 0.06] for phone, at in zip(phones.tolist(), starts.tolist())]
    shown(scene, rig, open_take(0.15), said)
    seen = []
    for frame in range(15, 95):
        scene.frame_set(frame)
        visible = [part.name for part in parts if part.visible_get()]
        assert len(visible) == 1, (frame, visible)
        assert [part.name for part in parts if not part.hide_render] == visible
        seen += visible
    assert len(set(seen)) > 3
    lengths = [len(list(same)) for _, same in groupby(seen)]
    assert min(lengths[1:-1]) >= 2


def test_what_is_hidden_and_what_is_not_known_is_said(blender, scene, capfd):
    parts = swapped(blender, scene, "MBP", "AI", "AI.001", "WQ", "OO", "Nose", "Hat")
    blender.ops.thunder.add_drawn_mouth()
    said = capfd.readouterr().out
    assert "Hidden, because other drawings show their sounds: “AI.001”, “WQ”." in said
    assert "Not known as mouths, so always seen: “Hat”, “Nose”." in said
    assert [part.hide_render for part in parts] == [False, True, True, True, True, False, False]
    row = next(each for each in scene.thunder.table if each.source == "OH")
    row.kind, row.target = "SHOW", "WQ"  # a drawing that was hidden is given a sound
    scene.thunder.head["Thunder Mouth"] = MOUTHS.index("OH")
    scene.thunder.head.update_tag()
    blender.context.view_layer.update()
    assert not parts[3].hide_render and parts[0].hide_render


def test_numbered_drawings_are_taken_by_their_numbers_and_the_order_is_said(blender, scene, capfd):
    names = [f"m{number}" for number in (10, 2, 1, 3, 12, 4, 5, 6, 7, 8, 9, 11, 13)]
    parts = swapped(blender, scene, *names)
    blender.ops.thunder.add_drawn_mouth()
    said = capfd.readouterr().out
    assert "are taken in their order: m1 M B P, m2 F V, m3 OO," in said
    assert "Change it by Fill In Order" in said
    assert next(part for part in parts if part.name == "m13").hide_render


def test_two_heads_that_share_a_sheet_keep_their_own_mouths(blender, scene):
    faces = [sheet_on(blender, scene, "CELL")[0]]
    faces.append(faces[0].copy())  # with the same mesh and material
    scene.collection.objects.link(faces[1])
    for face in faces:
        blender.ops.object.select_all(action="DESELECT")
        blender.context.view_layer.objects.active = face
        assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}

    def cells():
        scene.frame_set(scene.frame_current)
        nodes = [face.material_slots[0].material.node_tree.nodes for face in faces]
        return [tuple(each["Mapping"].inputs["Location"].default_value)[:2] for each in nodes]

    before = cells()
    faces[0]["Thunder Mouth"] = MOUTHS.index("OO")
    faces[0].update_tag()
    assert cells()[0] != before[0] and cells()[1] == before[1]
    assert not any("shares" in each for face in faces for each in head.resolve(face).warnings)


def test_a_copy_of_a_head_that_shows_the_mouth_of_the_other_says_how_it_gets_its_own(
    blender, scene
):
    plane, *_ = sheet_on(blender, scene, "CELL")
    blender.ops.thunder.add_drawn_mouth()
    twin = plane.copy()
    scene.collection.objects.link(twin)
    [said] = head.resolve(twin).warnings
    assert said.startswith(f"“{twin.name}” shares “Mouths") and "press Add Drawn Mouth" in said
    blender.context.view_layer.objects.active = twin
    blender.ops.thunder.add_drawn_mouth()
    assert not head.resolve(twin).warnings and not head.resolve(plane).warnings
    assert twin.material_slots[0].material != plane.material_slots[0].material


def test_layers_that_two_heads_share_are_copied(blender, scene):
    one = drawing_with(blender, scene, MBP=(), A=(), O=())
    other = one.copy()
    scene.collection.objects.link(other)
    for obj in (one, other):
        blender.context.view_layer.objects.active = obj
        blender.ops.thunder.add_drawn_mouth()
    one["Thunder Mouth"], other["Thunder Mouth"] = MOUTHS.index("AH"), MOUTHS.index("M B P")
    for obj in (one, other):
        obj.update_tag()
    blender.context.view_layer.update()
    assert [[layer.name for layer in obj.data.layers if not layer.hide] for obj in (one, other)] == [
        ["A"], ["MBP"],
    ]  # fmt: skip


def test_nothing_drawn_ends_in_a_sentence(blender, scene):
    swapped(blender, scene, "Cube")
    with pytest.raises(RuntimeError, match="Nothing here shows one of several mouths: select"):
        blender.ops.thunder.add_drawn_mouth()
    assert not scene.thunder.head and len(scene.objects) == 1


def test_a_row_that_shows_a_layer_instead_of_a_drawing_needs_no_number(blender, scene):
    obj = drawing_with(blender, scene, A=(1, 5, 9), MBP=(), E=())
    blender.ops.thunder.add_drawn_mouth()
    row = next(row for row in scene.thunder.table if row.source == "AH")
    row.kind, row.number = "DRAWING", 5
    assert not head.resolve(obj).vanished
    row.kind = "LAYER"
    assert not head.resolve(obj).vanished and head.resolve(obj).driver.numbers["AH"] == 4


def test_a_bundled_head_that_is_selected_too_is_no_mouth(blender, scene):
    blender.ops.thunder.add_head()
    heads = list(scene.objects)
    swapped(blender, scene, "MBP", "A")
    for obj in heads:
        obj.select_set(True)
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    face = scene.thunder.head
    assert {obj.name for obj in face.children} == {"MBP", "A"}


def test_a_click_on_a_row_shows_its_drawing(scene, face):
    scene.thunder.preview = True
    for index, row in enumerate(list(scene.thunder.table)[:14]):
        scene.thunder.table_index = index
        assert MOUTHS[face["Thunder Mouth"]] == row.source
    scene.thunder.preview = False
    assert MOUTHS[face["Thunder Mouth"]] == "Rest"


def test_on_twos_mouths_begin_on_every_second_frame(scene, face):
    scene.thunder.step = 2
    scene.frame_start = 3
    rig, made = head.resolve(face), open_take()
    made.motion.head[:, 2] = np.sin(np.arange(len(made.motion.head)) / 5.0)
    entry = shown(scene, rig, made)
    frames = keys_of(entry.action)["co"][1:-1, 0]
    assert len(frames) > 4 and ((frames - 3) % 2 == 0).all()
    if rig.driver.rig.tracks:  # the head tilts on twos too
        clock = timing.Clock.of(scene, 21)
        tilts = progress.result(keying.read_values(rig, clock, 1.0, 25))[:, 0]
        assert np.ptp(tilts) > 0.1 and tilts[:24:2] == pytest.approx(tilts[1:24:2], abs=1e-4)
    assert "M B P" in mouths(scene, face, 24, 29).values()


def test_the_table_of_a_head_has_its_own_holds(scene, face):
    """Another head's, shown meanwhile, are not taken along."""
    scene.thunder.least, scene.thunder.step = 3, 2
    mapping_table.fill(scene, face)
    other = face.copy()
    scene.collection.objects.link(other)
    mapping_table.keep_plan(scene, other, replace(character.plan_of(face), least=1, step=1))
    mapping_table.fill(scene, other)
    assert (scene.thunder.least, scene.thunder.step) == (1, 1)
    mapping_table.fill(scene, face)
    assert (scene.thunder.least, scene.thunder.step) == (3, 2)


def test_takes_are_mixed_by_parts_and_shaped(scene, face):
    rig = head.resolve(face)
    shown(scene, rig, open_take())
    shown(scene, rig, open_take(), OTHER)
    names = mouths(scene, face)
    assert names[50] == "EE"
    actions = [each.action for each in scene.thunder.takes]
    parts = dict.fromkeys(("mouth", "upper_face", "eyes", "head"), scene.thunder.takes[0])
    cuts = [mix.Cut(37, mix.ALL, actions[1])]
    mixed = progress.result(mix.mix_parts(scene, parts, cuts, 0))
    seen = mouths(scene, face)
    assert (seen[26], seen[32], seen[50]) == ("M B P", "OH", "EE")
    assert (keys_of(mixed.action)["interpolation"] == keyframes.CONSTANT).all()
    entry = scene.thunder.takes[0]
    display.show(rig, entry)
    before = mouths(scene, face)
    entry.action.thunder_shape.jaw = 0.3  # vowels that open less are drawn less open
    entry.action.thunder_shape.jaw = 1.0
    assert mouths(scene, face) == before
    entry.action.thunder_shape.offset = 3
    later = mouths(scene, face, 23, 56)
    assert all(later[frame + 3] == before[frame] for frame in range(20, 54))


def test_an_edited_key_is_an_edit_and_kept_keys_stay(scene, face):
    from thunder.scene.takes import take_record

    rig = head.resolve(face)
    entry = shown(scene, rig, open_take())
    assert not take_record.is_edited(entry)
    curve = next(c for c in compat.all_curves(entry.action) if "Mouth" in c.data_path)
    curve.keyframe_points[2].co.x += 2
    curve.update()
    assert take_record.is_edited(entry)
    mouth, eyes = keep.columns_of(rig)[-2:]
    assert mouth.any() and eyes.any() and not (mouth & eyes).any()
    assert mouth.sum() < 30, "the mouth's number is of the mouth alone"


@pytest.mark.parametrize("how", ["POSES", "BLOCKING", "TWOS", "ADD", "STRIP"])
def test_a_commit_has_the_same_drawings(scene, face, how):
    rig = head.resolve(face)
    face["Thunder Mouth"] = MOUTHS.index("Frown")
    entry = shown(scene, rig, open_take())
    before = mouths(scene, face)
    choice = committing.choice_of(scene, entry)
    choice = replace(
        choice,
        **{"TWOS": {"step": 2}, "ADD": {"how": "ADD"}, "STRIP": {"to": "STRIP"}}.get(
            how, {"keys": how}
        ),
    )
    report = progress.result(committing.commit(rig, entry, "line", choice))
    assert report.sentence
    after = mouths(scene, face)
    off = [frame for frame in before if before[frame] != after[frame]]
    assert len(off) <= (8 if how == "TWOS" else 0), off
    assert "M B P" in [after[frame] for frame in range(24, 30)]


def test_check_sees_a_closure_that_was_deleted_and_mends_it(scene, face):
    rig = head.resolve(face)
    entry = shown(scene, rig, open_take())
    progress.result(committing.commit(rig, entry, "line", committing.choice_of(scene, entry)))
    clock = timing.Clock.of(scene, 1.0)

    def gap():
        motion = progress.result(keying.read(rig, head.channel_names(), clock, 3.0))
        from thunder.thunder_core.face.moving.lips import opening_mm

        return opening_mm(motion)

    assert gap()[25] < 0.6 < gap()[30]
    curve = next(c for c in compat.all_curves(face.animation_data.action) if "Mouth" in c.data_path)
    for point in list(curve.keyframe_points):
        if point.co.y == MOUTHS.index("M B P"):
            point.co.y = MOUTHS.index("AH")
    curve.update()
    assert gap()[25] > 3.0
    finding = findings.Finding(findings.OPEN, 0.96, 1.04, 8.0, 2.0, "m")
    progress.result(checking.mend(scene, rig, finding, 1.0))
    assert gap()[25] < 0.6
    names = mouths(scene, face)
    assert "M B P" in (names[25], names[26]) and names[32] == "OH" and names[40] == "EH"
    assert (fcurves.read(curve)["interpolation"] == keyframes.CONSTANT).all()
    # of what is no matter of drawings nothing is listed
    held = findings.Finding(findings.STILL, 0.5, 1.5, 1.0, 1.0)
    larger, never, late, other = (
        findings.Finding(kind, 0.5, 1.5, size, 5.0, whole=True)
        for kind, size in (
            (findings.SIZE, 2.6), (findings.SIZE, 0.0), (findings.SHIFTED, 0.5),
            (findings.OTHER, 0.1),
        )
    )  # fmt: skip
    found = [held, finding, larger, never, late, other]
    assert checking.show(scene, rig, "voice", clock, found) == [finding, never, late, other]
    assert checking.warnings(rig) == []
    curve.keyframe_points[2].co.y = 99
    [sentence] = checking.warnings(rig)
    assert sentence.startswith("No row of the table has number 99, which Thunder Mouth has on")


@pytest.mark.parametrize("step", [1, 2])
def test_a_closure_that_is_mended_is_held_as_it_was_and_nothing_flashes(scene, face, step):
    mapping_table.keep_plan(scene, face, replace(character.plan_of(face), step=step))
    rig = head.resolve(face)
    entry = shown(scene, rig, open_take())
    progress.result(committing.commit(rig, entry, "line", committing.choice_of(scene, entry)))
    before = mouths(scene, face)
    curve = next(c for c in compat.all_curves(face.animation_data.action) if "Mouth" in c.data_path)
    shut = next(p for p in curve.keyframe_points if p.co.y == 0)
    first, shut.co.y = round(shut.co.x), MOUTHS.index("AH")
    curve.update()
    assert mouths(scene, face) != before
    finding = findings.Finding(findings.OPEN, (first - 1) / 25, first / 25, 8.0, 2.0, "m")
    progress.result(checking.mend(scene, rig, finding, 1.0))
    after = mouths(scene, face)
    runs = [[name, len(list(same))] for name, same in groupby(after.values())]
    assert after[first] == after[first + 1] == "M B P"
    assert {name for name, _ in runs} <= {*before.values(), "AH"}
    assert all(length >= 2 for _, length in runs[1:-1]), runs


def test_a_closure_is_added_to_a_take(scene, face):
    rig = head.resolve(face)
    entry = shown(scene, rig, open_take(0.2))
    before = mouths(scene, face)
    assert before[41] == "AH"
    progress.result(applying.close_lips(rig, entry, 41))
    after = mouths(scene, face)
    assert after[41] == "M B P"
    assert {frame for frame in after if after[frame] != before[frame]} <= set(range(36, 47))


def test_an_export_has_all_objects_that_are_swapped_and_cues_the_names_of_the_table(
    blender, scene, tmp_path
):
    names = {"MBP", "AI", "E", "O", "rest"}
    parts = swapped(blender, scene, *sorted(names))
    blender.ops.thunder.add_drawn_mouth()
    rig = head.resolve(scene.thunder.head)
    entry = shown(scene, rig, open_take(0.2))
    scene.frame_set(32)
    before = [part.visible_get() for part in parts]
    shot = export.Shot(scene, blender.context.view_layer, rig, entry.first, entry.last, True)
    with export._alone(shot):
        seen = {obj.name for obj in blender.context.selected_objects}
        assert seen >= names and all(part.visible_get() for part in parts)
    assert [part.visible_get() for part in parts] == before and sum(before) == 1
    assert export._rig_notes(shot)[0].startswith("Which drawing is seen is left out")
    shot = export.Shot(scene, None, rig, entry.first, entry.last, from_zero=True)
    rows = export._drawn_mouths(shot, 0.0)
    assert {name for _, name in rows} == {"MBP", "AI", "O", "rest"}
    assert next(start for start, name in rows if name == "MBP") == pytest.approx(0.92, abs=0.05)


def test_a_drawing_tilts_as_the_head_does_from_where_it_stands(blender, scene):
    plane, *_ = sheet_on(blender, scene, "CELL")
    plane.rotation_euler.y = 0.5
    blender.ops.thunder.add_drawn_mouth()
    assert blender.ops.thunder.tilt_drawing() == {"FINISHED"}
    scene.thunder.table[0].number = 2  # an edit of the table leaves it
    made = open_take()
    made.motion.head[:, 2] = 0.2
    shown(scene, head.resolve(plane), made)
    scene.frame_set(40)
    blender.context.view_layer.update()
    assert plane.matrix_world.to_euler().y == pytest.approx(0.3, abs=0.01)
    plane.rotation_mode = "QUATERNION"
    with pytest.raises(RuntimeError, match="has no Euler angles"):
        blender.ops.thunder.tilt_drawing()


def test_a_take_keeps_its_score_moves_with_its_strip_and_has_words_retaken(
    blender,
    scene,
    face,
    connection,  # noqa: F811
):
    """Scores are compared with that of the take as drawn, since drawings do not move as lips do."""
    strip_of_voice, scene.thunder.count, scene.thunder.seed = speak(scene), 1, 11
    assert blender.ops.thunder.generate() == {"FINISHED"}
    rig, entry, client = head.resolve(face), scene.thunder.takes[0], connection.start_client()
    curve = next(c for c in compat.all_curves(entry.action) if "Mouth" in c.data_path)
    curve.keyframe_points[5].co.x += 1
    curve.update()
    score = entry.score
    progress.result(live_score.score_steps(client, scene, rig))
    assert 0 < score - entry.score < 3
    before = mouths(scene, face, 1, 200)
    if strip_of_voice is not None:
        strip.move(strip_of_voice, 13)
        assert blender.ops.thunder.resync() == {"FINISHED"}
        after = mouths(scene, face, 13, 212)
        assert list(after.values()) == list(before.values())
        strip.move(strip_of_voice, 1)
        assert blender.ops.thunder.resync() == {"FINISHED"}
    scene.thunder.commit.keys = "BLOCKING"
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    assert mouths(scene, face, 1, 200) == before
    progress.result(live_score.score_steps(client, scene, rig))
    assert live_score.shown_score(scene, rig).total == pytest.approx(entry.score)
    display.show(rig, entry)
    transcript.ensure(scene, entry.voice).text = SAMPLE_TEXT
    scene.frame_set(36)
    first, last = word_places.current(blender.context).frames
    assert blender.ops.thunder.retake(what="WORD") == {"FINISHED"}
    for made in list(scene.thunder.takes)[:8]:
        display.show(rig, made)
        after = mouths(scene, face, 1, 200)
        assert {at for at in after if after[at] != before[at]} <= set(range(first - 6, last + 7))
        keys = keys_of(made.action)
        assert (keys["interpolation"] == keyframes.CONSTANT).all()
        assert (np.diff(keys["co"][:-1, 0]) < 2).sum() <= 1, "the key that was moved"


def test_check_finds_closures_that_are_not_drawn_on_a_take_as_after_its_commit(
    blender,
    scene,
    connection,  # noqa: F811
    tmp_path,
):
    swapped(blender, scene, "MBP", "AI", "E", "O")
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    speak(scene)
    scene.thunder.count = 1
    assert blender.ops.thunder.generate() == blender.ops.thunder.check() == {"FINISHED"}
    [entry] = scene.thunder.takes
    score, checked = entry.score, scene.thunder_check
    assert not checked.findings and "away" not in entry.words
    next(row for row in scene.thunder.table if row.source == "M B P").target = ""
    assert blender.ops.thunder.check() == {"FINISHED"}
    found = [each.first for each in checked.findings]
    assert found and entry.score == score
    assert blender.ops.thunder.commit_take() == blender.ops.thunder.check() == {"FINISHED"}
    assert [each.first for each in checked.findings] == found
    # committed keys are exported as the take was
    cues = tmp_path / "line.tsv"
    how = dict(filepath=str(cues), form="RHUBARB", frames="TAKE")
    assert blender.ops.thunder.export_performance(**how) == {"FINISHED"}
    assert len([each for each in tmp_path.iterdir() if each.read_text()]) == 1


def test_a_bone_tilts_as_the_head_does(blender, scene):
    swapped(blender, scene, "MBP", "AI", "E", "O", "rest")
    blender.ops.thunder.add_drawn_mouth()
    rig = blender.data.objects.new("Rig", blender.data.armatures.new("Rig"))
    scene.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = rig.data.edit_bones.new("Head")
    bone.head, bone.tail = (0, 0, 0), (0, 0, 1)
    blender.ops.object.mode_set(mode="POSE")
    rig.data.bones.active = rig.data.bones["Head"]
    assert blender.ops.thunder.tilt_drawing() == {"FINISHED"}
    blender.ops.object.mode_set(mode="OBJECT")
    made = open_take()
    made.motion.head[:, 2] = 0.2
    shown(scene, head.resolve(scene.thunder.head), made)
    scene.frame_set(40)
    graph = blender.context.evaluated_depsgraph_get()
    turned = rig.evaluated_get(graph).pose.bones["Head"].matrix.to_euler()
    assert turned.y == pytest.approx(-0.2, abs=0.01)


def test_several_copies_play_takes_side_by_side(blender, scene, face):
    rig = head.resolve(face)
    one = shown(scene, rig, open_take())
    frame, size = puppets.face_frame(rig)
    assert 0.1 < size < 2.0
    copy = puppets.add(rig, scene.collection, (1.0, 0.0, 0.0))
    puppets.play(copy, rig, one)
    display.restore_animation(rig)
    scene.frame_set(32)
    assert MOUTHS[copy.targets[0]["Thunder Mouth"]] == "OH" and copy.visible
    assert MOUTHS[face["Thunder Mouth"]] == "Rest"
    puppets.remove_marked()


def test_a_copy_of_a_drawn_head_moves_itself_alone(blender, scene, face):
    if not compat.is_drawing(face):
        pytest.skip("meshes below an object are copied with it")
    copy = face.copy()
    scene.collection.objects.link(copy)
    mapping_table.keep_plan(scene, copy, character.plan_of(copy))
    made = open_take()
    made.motion.head[:, 2] = 0.2
    rig = head.resolve(copy)
    assert rig.targets == (copy,)
    shown(scene, rig, made)
    scene.frame_set(32)
    seen = blender.context.evaluated_depsgraph_get()
    offsets = [each.evaluated_get(seen).modifiers["Thunder Mouth"].offset for each in (copy, face)]
    assert offsets == [MOUTHS.index(name) + 9 for name in ("OH", "Rest")]
    assert face.delta_rotation_euler.y == 0.0 > copy.delta_rotation_euler.y


def test_drawings_are_copied_to_frames_that_share_them(blender, scene, face):
    if not compat.is_drawing(face):
        with pytest.raises(RuntimeError, match="This head shows no drawings of Grease Pencil"):
            blender.ops.thunder.copy_drawings()
        return
    scene.frame_start, scene.frame_end = 5, 80
    rig, frames = head.resolve(face), face.data.layers["Mouth"].frames
    for said in (SAID, OTHER):  # again, of another take
        shown(scene, rig, open_take(), said)
        names = mouths(scene, face, 5, 80)
        assert blender.ops.thunder.copy_drawings() == {"FINISHED"}
        rules = character.plan_of(face).rules
        number = {rule.source: rule.weight for rule in rules if rule.target.name == "Mouth"}
        at = {each.frame_number: each for each in frames}
        assert not any(
            face.modifiers[name].show_render for name in ("Thunder Mouth", "Thunder Eyes")
        )
        assert max(number.values()) < 5 and len(at) > 14
        for frame, name in names.items():
            latest = max(each for each in at if each <= frame)
            assert at[latest].drawing == at[number[name]].drawing, frame
        assert not head.resolve(face).vanished


def test_a_copy_of_swapped_objects_leaves_those_of_the_first_head(blender, scene):
    """Blender copies what is seen alone; an animator's own driver is replaced."""
    parts = swapped(blender, scene, "MBP", "AI", "E", "O", "rest")
    parts[1].driver_add("hide_render").driver.variables.new()
    blender.ops.thunder.add_drawn_mouth()
    face = scene.thunder.head
    for obj in (face, *parts):
        obj.select_set(obj.visible_get())
    blender.context.view_layer.objects.active = face
    assert blender.ops.object.duplicate() == {"FINISHED"}
    copy = blender.context.view_layer.objects.active
    mapping_table.keep_plan(scene, copy, character.plan_of(copy))
    with pytest.raises(errors.BadHead, match="has lost all drawings of its mouth"):
        head.resolve(copy)
    shown(scene, head.resolve(face), open_take(0.2))
    scene.frame_set(40)
    assert [part.name for part in parts if not part.hide_render] == ["AI"]


def seen_of(blender, scene, names):
    """{number of the mouth: the planes that are seen} of planes with names that are a head."""
    parts = swapped(blender, scene, *names)
    assert blender.ops.thunder.add_drawn_mouth() == {"FINISHED"}
    face, result = scene.thunder.head, {}
    for number, mouth in enumerate(MOUTHS):
        face["Thunder Mouth"] = number
        face.update_tag()
        blender.context.view_layer.update()
        result[mouth] = [part.name for part in parts if part.visible_get()]
    return result


NUMBERS = [f"mouth_{number:02}" for number in range(1, 9)]


@pytest.mark.parametrize(
    "names, always",
    [
        ([*NUMBERS, "Blink"], set()),
        ([*NUMBERS, "mouth_rest"], set()),
        ([*NUMBERS, "mouth_smirk", "Blink", "Nose"], {"Nose"}),
        ([*NUMBERS, "mouth_rest", "Nose", "Head", "Left Blink", "Right Blink"], {"Nose", "Head"}),
        (["A, I", "E", "O", "U", "C, D, G, K, N, R, S, Y, Z", "L, Th", "W, Q", "M, B, P", "F, V",
          "Rest", "Left Pupil"], {"Left Pupil"}),
        (["AI", "E", "O", "U", "CDGKNRSYZ", "L, D, Th", "WQ", "MBP", "FV", "J, M", "Q"], set()),
        (["Mouth A and I", "Mouth E", "Mouth O", "Mouth U", "Mouth C D G K N R S Th Y Z",
          "Mouth L", "Mouth W and Q", "Mouth M, B and P", "Mouth F and V", "Mouth Zig"], set()),
    ],
)  # fmt: skip
def test_one_mouth_is_seen_whatever_is_beside_the_names_that_are_known(
    blender, scene, names, always
):
    seen = seen_of(blender, scene, names)
    assert all(len(set(shown) - always) == 1 for shown in seen.values()), seen
    assert all(always <= set(shown) for shown in seen.values())
    shown = {next(iter(set(each) - always)) for each in seen.values()}
    assert len(shown) > 6
    if "mouth_rest" in names:
        assert "mouth_rest" in seen["Rest"] and "mouth_01" in seen["M B P"]
    assert not any("Eyes" in each for each in head.resolve(scene.thunder.head).warnings)


def test_what_says_no_sound_among_mouths_is_hidden_and_named(blender, scene, capfd):
    seen_of(blender, scene, ["Mouth AI", "Mouth E", "Mouth MBP", "Mouth Zig", "Nose"])
    said = capfd.readouterr().out
    assert "Hidden, because their names say no sound: “Mouth Zig”. Choose a sound" in said
    assert "so always seen: “Nose”." in said


def test_the_blinks_of_both_eyes_are_seen_in_blinks_alone(blender, scene):
    names = ["M", "Ah", "Oh", "Neutral", "Left Blink", "Right Blink"]
    assert all(len(shown) == 1 for shown in seen_of(blender, scene, names).values())
    face = scene.thunder.head
    face["Thunder Eyes"] = EYES.index("Eyes Shut")
    face.update_tag()
    blender.context.view_layer.update()
    assert {obj.name for obj in face.children if obj.visible_get()} >= set(names[-2:])


def test_a_layer_that_is_a_list_of_letters_is_a_mouth(blender, scene):
    names = ["AI", "E", "O", "L, Th", "MBP", "FV", "rest", "Lines"]
    obj = drawing_with(blender, scene, **dict.fromkeys(names, (1,)))
    blender.ops.thunder.add_drawn_mouth()
    obj["Thunder Mouth"] = MOUTHS.index("TH")
    obj.update_tag()
    blender.context.view_layer.update()
    assert [each.name for each in obj.data.layers if not each.hide] == ["L, Th", "Lines"]


def test_layers_with_numbers_that_are_drawn_anew_on_later_frames_are_mouths(blender, scene):
    layers = dict.fromkeys((*NUMBERS, "mouth_rest"), (1, 5))
    obj = drawing_with(blender, scene, Body=range(1, 40, 2), **layers)
    found = {rule.source: rule.target.name for rule in drawing_rules.found_rules(obj)}
    assert (found["M B P"], found["L"], found["Rest"]) == ("mouth_01", "mouth_08", "mouth_rest")


def test_a_drawing_that_is_a_mouth_and_eyes_too_is_said(blender, scene):
    swapped(blender, scene, "MBP", "AI", "E", "Blink")
    blender.ops.thunder.add_drawn_mouth()
    assert not checking.warnings(head.find(scene))
    next(each for each in scene.thunder.table if each.source == "M B P").target = "Blink"
    [said] = checking.warnings(head.find(scene))
    assert said.startswith("“Blink” is chosen for M B P and for Eyes Shut, so that frames are")
