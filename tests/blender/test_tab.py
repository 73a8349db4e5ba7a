# SPDX-License-Identifier: GPL-3.0-or-later
"""The Thunder tab shows little: few panels, few controls before the first take, and what it does
not show is in popovers and menus."""

from types import SimpleNamespace

import pytest
from characters import make_hero
from drawing import Context, draw, Shown
from extension import NAME
from thunder.scene.host import jobs
from thunder.thunder_core.shipped import SAMPLE_TEXT

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
    assert {"thunder.add_head", "thunder.sample_voice", "thunder.generate"} <= set(empty) and len(
        empty
    ) <= MOST_CONTROLS, empty
    blender.ops.thunder.add_head()
    assert len(visible(blender)) <= MOST_CONTROLS
    if blender.ops.thunder.sample_voice.poll():
        blender.ops.thunder.sample_voice()
        [known] = blender.context.scene.thunder_transcripts
        assert known.text == SAMPLE_TEXT and known.is_typed
    ready = visible(blender)
    assert "thunder.generate" in ready and len(ready) <= MOST_CONTROLS, " | ".join(ready)


def test_a_character_is_mapped_in_the_data_of_its_own_objects(blender, stage):
    panel = blender.types.THUNDER_PT_character
    assert (panel.bl_space_type, panel.bl_context) == ("PROPERTIES", "data")
    face = make_hero(blender, "jawOpen")
    scene, ours = stage[0], stage[1].mesh
    scene.thunder.head = face

    def there(area, obj):
        return panel.poll(SimpleNamespace(scene=scene, object=obj, area=SimpleNamespace(type=area)))

    assert there("PROPERTIES", face) and not there("PROPERTIES", ours) and there("VIEW_3D", ours)
    scene.thunder.head = ours
    assert not there("PROPERTIES", ours), "a head that comes with Thunder needs no mapping"


def test_a_note_that_comes_during_work_moves_nothing_and_is_read_in_the_header(blender, stage):
    panel = blender.types.THUNDER_PT_main
    note = "Nobody speaks in “line”, so takes show an idle face"

    def drawn():
        header = Shown(panel)
        header.draw_header_preset(Context(blender.context))
        rows = [(kind, words) for kind, words, _ in draw(panel, blender.context).notes]
        return rows, "THUNDER_PT_notes" in header.layout.of("popover")

    steps = (jobs.Step(part, "Sampling", note=said) for part, said in ((0.1, None), (0.2, note)))
    job = jobs.begin("Generating takes", steps)
    try:
        job.advance(0.0)
        before, is_told = drawn()
        assert not is_told
        while job.note != note:
            job.advance(0.0)
        assert drawn() == (before, True)
    finally:
        jobs.end_job()
    said = draw(blender.types.THUNDER_PT_notes, blender.context).texts()
    assert " ".join(said) == note
