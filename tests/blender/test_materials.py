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


def test_skin_that_a_file_has_already_stays_as_it_is(head):
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    earlier = bpy.data.materials.new("Thunder Skin")
    if earlier.node_tree is None:
        earlier.use_nodes = True
    bpy.ops.thunder.add_head()
    assert earlier in list(bpy.context.scene.thunder.head.data.materials)
    assert not principled(earlier).inputs["Normal"].is_linked
