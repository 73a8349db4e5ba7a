# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does at the end of the day: sees where the lips drift, commits."""

import time

import bpy
from scenarios import done, only_open, scene_with_voice_and_head, time_slices, until
from take_scenarios import list_takes
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.host.session import session
from thunder.scene.review import overlay

PATIENCE = 500  # seconds, on two very busy cores


def choices(hand, takes=list_takes):
    """The panel of Commit in its states."""
    only_open("takes", "commit")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, count=2)
    hand.scene.thunder.active_take = 0
    hand.scene.frame_set(40)
    for to in ("COPY", "NEW", "STRIP"):
        hand.scene.thunder.commit.to = to
        yield 2.5
        hand.photograph(f"commit_{to.lower()}")
    hand.scene.thunder.commit.to, hand.scene.thunder.commit.how = "OWN", "INSERT"
    yield 0.5
    hand.scene.thunder.commit.to = "COPY"
    hand.scene.thunder.commit.how = "REPLACE"
    before = sorted(action.name for action in bpy.data.actions)
    held = time_slices()
    with hand.context():
        bpy.ops.ed.undo_push(message="Takes")  # they were made behind the window's back
        hand.seen["answer"] = sorted(bpy.ops.thunder.commit_take("INVOKE_DEFAULT", True))
    yield from until(lambda: session.job is None, patience=PATIENCE)
    yield 1.0
    hand.seen["held"] = held
    hand.seen["made"] = sorted({action.name for action in bpy.data.actions} - set(before))
    hand.seen["curves"] = {
        curve.data_path: len(curve.keyframe_points)
        for curve in compat.all_curves(bpy.data.actions[hand.seen["made"][0]])
    }
    hand.photograph("committed")
    hand.press("Z", ctrl=True)
    yield 1.5
    hand.seen["undone"] = sorted(action.name for action in bpy.data.actions) == before
    hand.seen["shown"] = hand.scene.thunder.active_take


def graphs(hand):
    """The mouth of one take in the Graph Editor: as a take, committed as Dense Curves, and
    committed as Poses."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    hand.scene.render.fps, hand.scene.thunder.count = 24, 1
    hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT")
    yield from done(PATIENCE)
    assert len(hand.scene.thunder.takes) == 1
    rig, area = head.find(hand.scene), hand.viewport
    hand.scene.thunder.commit.to = "NEW"
    for way in ("DENSE", "POSES"):
        area.type = "VIEW_3D"
        yield 0.5
        with hand.context():
            bpy.ops.thunder.select_take(index=0)
            hand.scene.thunder.commit.keys = way
            began = time.monotonic()
            bpy.ops.thunder.commit_take("INVOKE_DEFAULT", True)
        yield from done(PATIENCE)
        hand.seen[f"{way.lower()}_seconds"] = time.monotonic() - began
        curves = [curve for target in rig.targets for curve in compat.curves_for(target)]
        hand.seen[f"{way.lower()}_keys"] = sum(len(curve.keyframe_points) for curve in curves)
        hand.call(bpy.ops.object.select_all, action="DESELECT")
        rig.mesh.select_set(True)
        hand.window.view_layer.objects.active = rig.mesh
        for curve in curves:  # of both ways the same few
            curve.hide = not any(
                f'"{name}"' in curve.data_path
                for name in ("mouthFunnel", "mouthLowerDownLeft", "mouthRollLower")
            )
        area.type = "GRAPH_EDITOR"
        area.spaces.active.show_region_ui = False
        yield 1.0
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=hand.window, area=area, region=region):
            bpy.ops.graph.select_all(action="DESELECT")
            bpy.ops.graph.view_all()
        for curve in curves:
            curve.select = not curve.hide
        area.tag_redraw()
        yield 1.5
        hand.photograph(f"graph_{way.lower()}")
    area.type = "VIEW_3D"
    yield 0.5


def lay(hand, area, kind):
    """Steps that make an area an editor of some kind which shows all of the scene."""
    if hasattr(hand.window.workspace, "sequencer_scene"):
        hand.window.workspace.sequencer_scene = hand.scene
    area.type = kind
    yield 1.0
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=hand.window, area=area, region=region):
        if kind == "SEQUENCE_EDITOR":
            bpy.ops.sequencer.view_all()
        elif kind == "DOPESHEET_EDITOR":
            bpy.ops.action.view_all()
    yield 1.2


def draws_curves(hand, takes=list_takes):
    """The overlay over timeline, dope sheet and sequencer; how long a redraw takes; it goes with
    its switch and the add-on."""
    only_open("listen")
    yield from scene_with_voice_and_head(hand)
    hand.scene.thunder.live_score = False
    yield from takes(hand, count=2)
    hand.scene.thunder.active_take = 0
    yield 1.0
    hand.photograph("curves_panel")
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    hand.photograph("curves_dope_sheet")
    yield from lay(hand, area, "SEQUENCE_EDITOR")
    area.spaces.active.timeline_overlay.show_strip_source = (
        False  # where the sample lies does not matter
    )
    yield 0.5
    hand.seen["plain"] = count_red(hand.photograph("curves_sequencer"))
    spent, draw = [], overlay.draw

    def timed(name):
        before = time.thread_time()
        draw(name)
        spent.append((name, time.thread_time() - before))

    overlay.unregister()
    overlay.draw = timed
    overlay.register()
    for frame in range(2, 40, 2):
        hand.scene.frame_set(frame)
        for area in hand.window.screen.areas:
            area.tag_redraw()
        yield 0.1
    hand.seen["spent"] = spent
    for name in ("waveform", "opening", "drift"):
        setattr(hand.scene.thunder.overlay, name, False)
        yield 0.5
        hand.photograph(f"without_{name}")
        setattr(hand.scene.thunder.overlay, name, True)
    hand.scene.thunder.overlay.show = False
    yield 0.7
    hand.seen["off"] = count_red(hand.photograph("curves_off"))
    hand.scene.thunder.overlay.show = True
    yield 0.7
    hand.seen["on"] = count_red(hand.photograph("curves_on"))
    overlay.unregister()
    overlay.draw = draw
    for area in hand.window.screen.areas:
        area.tag_redraw()
    yield 0.7
    hand.seen["gone"] = count_red(hand.photograph("curves_gone"))
    area.type = "VIEW_3D"
    yield 0.5


def count_red(pixels):
    """Pixels of the mouth's line, orange as nothing else of Blender's is."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return int(((red > 0.75) & (green > 0.45) & (green < 0.75) & (blue < 0.4)).sum())
