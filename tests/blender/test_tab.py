# SPDX-License-Identifier: GPL-3.0-or-later
"""The Thunder tab shows little: few panels, few controls before the first take, and what it does
not show is in popovers and menus."""

from types import SimpleNamespace

import pytest
from drawing import Context, Shown
from extension import NAME
from speaking import enter

pytestmark = pytest.mark.one_blender

CONTROLS = (
    "prop",
    "operator",
    "menu",
    "popover",
    "prop_enum",
    "operator_menu_enum",
    "prop_search",
    "template_ID",
)
MOST_PANELS, MOST_CONTROLS = 8, 12


def in_tab(blender):
    ours = [
        each for each in blender.types.Panel.__subclasses__() if each.__module__.startswith(NAME)
    ]
    return [
        each
        for each in ours
        if (each.bl_space_type, getattr(each, "bl_category", "")) == ("VIEW_3D", "Thunder")
    ]


def visible(blender):
    """The controls of all panels of the tab that are open by themselves."""
    controls = []
    for each in in_tab(blender):
        if getattr(each, "poll", lambda _: True)(
            blender.context
        ) and "DEFAULT_CLOSED" not in getattr(each, "bl_options", ()):
            panel = Shown(each)
            for draw in ("draw_header_preset", "draw"):
                if hasattr(each, draw):
                    getattr(panel, draw)(Context(blender.context))
            controls += [
                " ".join(words) for kind, words, _ in panel.layout.notes if kind in CONTROLS
            ]
    return controls


def test_few_panels_and_controls_are_shown_before_the_first_take(blender, tmp_path):
    assert 4 <= len(in_tab(blender)) <= MOST_PANELS
    empty = visible(blender)
    assert {"thunder.first_head", "thunder.sample_voice", "thunder.generate"} <= set(empty) and len(
        empty
    ) <= MOST_CONTROLS, empty
    blender.ops.thunder.first_head()
    assert len(visible(blender)) <= MOST_CONTROLS
    if blender.ops.thunder.sample_voice.poll():
        blender.ops.thunder.sample_voice()
    ready = visible(blender)
    assert "thunder.generate" in ready and len(ready) <= MOST_CONTROLS, ready


def test_a_character_is_mapped_in_the_data_of_its_own_objects(blender, stage):
    panel = blender.types.THUNDER_PT_character
    assert (panel.bl_space_type, panel.bl_context) == ("PROPERTIES", "data")
    mesh = blender.data.meshes.new("face")
    face = blender.data.objects.new("face", mesh)
    other = blender.data.objects.new("other", mesh.copy())
    for obj in (face, other):
        blender.context.scene.collection.objects.link(obj)
        obj.location.x = 50 if obj == other else 0
    face.shape_key_add(name="Basis")
    scene = blender.context.scene
    scene.thunder.head = face

    def there(area, obj):
        return panel.poll(SimpleNamespace(scene=scene, object=obj, area=SimpleNamespace(type=area)))

    assert there("PROPERTIES", face) and there("VIEW_3D", other)
    assert not there("PROPERTIES", stage[1].mesh)
    scene.thunder.head = stage[1].mesh
    assert not there("PROPERTIES", stage[1].mesh), "a head that comes with Thunder needs no mapping"


def test_listen_comes_with_something_to_listen_to(blender, stage):
    panel = blender.types.THUNDER_PT_listen
    assert not panel.poll(blender.context)
    enter(stage, seconds=1.0, closed=(0.5,))
    assert panel.poll(blender.context)
