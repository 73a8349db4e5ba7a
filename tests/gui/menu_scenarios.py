# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with Thunder in Blender's own places: the sequencer's sidebar, Add › Armature, the pie menu."""

import webbrowser

import bpy
from commit_scenarios import lay
from scenarios import only_open, scene_with_voice_and_head
from shape_scenarios import button, done
from take_scenarios import list_takes, shown
from thunder.panels import sequencer
from thunder.scene.heads import head
from thunder.scene.host import compat


def sequencer_area(hand):
    """Steps that turn the viewport into a sequencer whose sidebar shows the Thunder tab; the area."""
    area = hand.viewport
    yield from lay(hand, area, "SEQUENCE_EDITOR")
    area.spaces.active.show_region_ui = True
    yield 0.7
    sidebar = next(region for region in area.regions if region.type == "UI")
    sidebar.active_panel_category = "Thunder"
    sidebar.tag_redraw()
    yield 0.7
    return area


def in_the_sequencer(hand):
    """The panel for no strip, a strip, its takes; Generate Takes pressed there."""
    only_open("strip", "main")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    scene.thunder.count, scene.thunder.quality = 3, "DRAFT"
    area = yield from sequencer_area(hand)
    scene.sequence_editor.active_strip = None
    area.tag_redraw()
    yield 0.7
    hand.photograph("no_strip")
    scene.sequence_editor.active_strip = compat.strips(scene.sequence_editor)["dialogue"]
    area.tag_redraw()
    yield 0.7
    hand.seen["sound"] = sequencer.active_sound(scene).name
    hand.photograph("no_takes")
    region = next(region for region in area.regions if region.type == "UI")
    with bpy.context.temp_override(window=hand.window, area=area, region=region):
        assert button(bpy.ops.thunder.generate, strip="dialogue") == ["RUNNING_MODAL"]
    yield 0.5
    hand.photograph("working")
    yield from done()
    scene.thunder.takes[1].star = True
    scene.frame_set(100)
    with bpy.context.temp_override(window=hand.window, area=area, region=region):
        assert button(bpy.ops.thunder.select_take, index=1) == ["FINISHED"]
        assert button(bpy.ops.thunder.go_to_strip, strip="dialogue") == ["FINISHED"]
    yield 1.0
    hand.photograph("takes")
    hand.seen["takes"], hand.seen["shown"], hand.seen["frame"] = len(scene.thunder.takes), scene.thunder.active_take, scene.frame_current


def adds_a_head(hand):
    """Add › Armature, opened and photographed, and a head of its submenu."""
    x, y = hand.viewport.x + 300, hand.viewport.y + 500
    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    with hand.context():
        bpy.ops.wm.call_menu(name="VIEW3D_MT_armature_add")
    yield 1.0
    hand.photograph("add_armature")
    hand.press("ESC")
    yield 0.5
    with hand.context():
        bpy.ops.wm.call_menu(name="THUNDER_MT_add_head")
    yield 1.0
    hand.photograph("add_head")
    hand.press("ESC")
    with hand.context():
        assert button(bpy.ops.thunder.add_head, person="WOMAN") == ["FINISHED"]
    yield 0.5
    hand.seen["heads"] = len(head.in_scene(hand.window.scene))


def opens_the_pie(hand):
    """The pie on its key, and the next take chosen in it."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    yield from list_takes(hand, 3, 2.0)
    scene.thunder.active_take = 0
    yield 1.0
    hand.seen["before"] = shown(scene)
    hand.press("U", alt=True)
    yield 1.0
    hand.photograph("pie")
    region = next(region for region in hand.viewport.regions if region.type == "WINDOW")
    x, y = region.x + region.width // 3, region.y + region.height // 2
    yield from hand.click(x + 110, y)
    yield 1.0
    hand.seen["after"], hand.seen["second"] = shown(scene), scene.thunder.takes[1].seed


def asks_for_the_manual(hand):
    """A right-click on Generate Takes and then on Online Manual."""
    opened = hand.seen["opened"] = []
    webbrowser.open = opened.append
    only_open("main")
    yield from scene_with_voice_and_head(hand)
    yield from hand.open_tab("Thunder")
    x, y = hand.main_button(hand.photograph("button"))
    for kind, value in (("MOUSEMOVE", "NOTHING"), ("RIGHTMOUSE", "PRESS"), ("RIGHTMOUSE", "RELEASE")):
        hand.window.event_simulate(type=kind, value=value, x=x, y=y)
        yield 0.4
    yield 1.0
    hand.photograph("right_click")
    hand.window.event_simulate(type="O", value="PRESS", unicode="o", x=x, y=y)  # the letter that the menu underlines
    yield 1.0
