# SPDX-License-Identifier: GPL-3.0-or-later
"""How the default head looks: every part has its own material, wet eyes shine, and an animator's
changes stay."""

import bpy
import pytest


@pytest.fixture
def head(stage):
    return stage[1].mesh


def principled(material):
    return next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def test_every_part_is_painted_alike_for_the_viewport_and_for_renders(head):
    used = {polygon.material_index for polygon in head.data.polygons}
    assert used == set(range(len(head.data.materials)))
    for material in head.data.materials:
        colour = principled(material).inputs["Base Color"].default_value
        assert tuple(material.diffuse_color) == pytest.approx(tuple(colour))
        assert material.roughness == pytest.approx(
            principled(material).inputs["Roughness"].default_value
        )


def test_eyes_are_wet_and_skin_is_soft(head):
    looks = {material.name: principled(material).inputs for material in head.data.materials}
    assert looks["Thunder Eye White"]["Coat Weight"].default_value > 0.9
    assert looks["Thunder Skin"]["Coat Weight"].default_value == 0
    assert 0 < looks["Thunder Skin"]["Subsurface Weight"].default_value < 0.5
    # metres: light does not fill the whole head
    assert looks["Thunder Skin"]["Subsurface Scale"].default_value < 0.01
    assert (
        looks["Thunder Lips"]["Roughness"].default_value
        < looks["Thunder Skin"]["Roughness"].default_value
    )
    assert looks["Thunder Lips"]["Coat Weight"].default_value == 0, (
        "a line of light between lips that are shut"
    )
    assert not any(inputs["Emission Strength"].default_value for inputs in looks.values()), (
        "nothing glows in a dark scene"
    )


def test_skin_has_a_relief_and_shines_unevenly_without_any_picture(head):
    tree = bpy.data.materials["Thunder Skin"].node_tree
    shader = principled(bpy.data.materials["Thunder Skin"])
    assert shader.inputs["Normal"].is_linked and shader.inputs["Roughness"].is_linked
    assert not [node for node in tree.nodes if node.type == "TEX_IMAGE"] and not bpy.data.images
    assert all(link.is_valid for link in tree.links)
    read = {
        (node.attribute_type, node.attribute_name)
        for node in tree.nodes
        if node.type == "ATTRIBUTE"
    }
    assert {name for kind, name in read if kind == "GEOMETRY"} <= set(head.data.attributes.keys())
    assert {name for kind, name in read if kind == "OBJECT"} <= set(head.keys())
    assert not principled(bpy.data.materials["Thunder Teeth"]).inputs["Normal"].is_linked


def test_skin_that_a_file_has_already_stays_as_it_is(head):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    earlier = bpy.data.materials.new("Thunder Skin")
    if earlier.node_tree is None:
        earlier.use_nodes = True
    bpy.ops.thunder.add_head()
    assert earlier in list(bpy.context.scene.thunder.head.data.materials)
    assert not principled(earlier).inputs["Normal"].is_linked


def test_a_second_head_shares_materials_and_keeps_what_an_animator_painted(head):
    skin = bpy.data.materials["Thunder Skin"]
    skin.diffuse_color = (0.1, 0.2, 0.3, 1.0)
    before = len(bpy.data.materials)
    bpy.ops.thunder.add_head()
    assert len(bpy.data.materials) == before
    assert tuple(skin.diffuse_color) == pytest.approx((0.1, 0.2, 0.3, 1.0))
