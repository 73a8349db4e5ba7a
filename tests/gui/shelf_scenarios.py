# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that nobody has used: the package is dragged into its window, three buttons are
pressed, and the first take plays; later a newer package is dragged in."""

import os
import time

import bpy

NAME = "bl_ext.user_default.thunder"
PATIENCE = 240  # seconds for any step, on two busy cores
PER_SECOND = 5  # pictures of the film
PLAYED = 4.0  # seconds that the take is seen to play
SEEN_TURN = 0.005  # radians of the jaw at which the face is seen to move
LOOK = 0.02  # seconds between two looks at whether a step is over


def from_zip_to_take(hand):
    yield from steps(hand)
    yield from updates(hand)


def drag(hand):
    """What Blender does with a file that is dropped into the window: it asks whether to install
    it."""
    hand.call(
        bpy.ops.extensions.package_install_files,
        "INVOKE_DEFAULT",
        url=os.environ["THUNDER_PACKAGE"],
    )
    yield 1.0
    hand.press("RET")


def updates(hand):
    """A package is dragged in while takes arrive: those that are there stay, and more can be
    made."""
    from thunder.scene.engine import connection

    settings, panel = hand.scene.thunder, bpy.types.THUNDER_PT_main
    pid, count = connection.client().pid, len(settings.takes)
    hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT", True)
    yield from waiting(lambda: len(settings.takes) > count, "no take arrives")
    yield from drag(hand)
    yield from waiting(
        lambda: getattr(bpy.types, "THUNDER_PT_main", panel) != panel, "no update takes place"
    )
    yield from waiting(lambda: not os.path.exists(f"/proc/{pid}"), "the engine does not end")
    settings = hand.scene.thunder
    count = len(settings.takes)
    assert count > 8 and all(entry.action is not None for entry in settings.takes)
    assert hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT", True) == {"RUNNING_MODAL"}
    yield from waiting(lambda: len(hand.scene.thunder.takes) > count, "no take arrives after it")


def waiting(over, what):
    end = time.monotonic() + PATIENCE
    while not over():
        assert time.monotonic() < end, what
        yield LOOK


def steps(hand):
    """Notes in `hand.seen["steps"]` how many seconds each step took: from the press of a button
    until its effect is there."""
    bpy.context.preferences.view.show_playback_fps = (
        False  # in red where the window is drawn without a graphics card
    )
    taken = hand.seen["steps"] = {}
    labels = hand.seen["labels"] = []

    def label(text):
        labels.append((time.time() - hand.seen["began"], text))

    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=500, y=450)
    yield 1.0
    hand.seen["began"] = time.time()
    began = time.monotonic()
    label("The package is dragged into Blender")
    yield from drag(hand)
    began += 1.0  # a person's, to read the question
    label("OK")
    yield from waiting(
        lambda: hasattr(bpy.types, "THUNDER_PT_main"), "the package is not installed"
    )
    taken["install"] = time.monotonic() - began
    label("Installed")
    assert NAME in bpy.context.preferences.addons
    yield from hand.open_tab("Thunder")

    from thunder.scene.host.jobs import session

    buttons = (
        ("head", bpy.ops.thunder.add_head, "Add Head"),
        ("voice", bpy.ops.thunder.sample_voice, "Use a Sample Voice"),
    )
    for name, operator, text in buttons:
        began = time.monotonic()
        label(text)
        assert hand.call(operator, "INVOKE_DEFAULT", True) == {"FINISHED"}
        bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
        taken[name] = time.monotonic() - began
        yield 0.7
    hand.call(bpy.ops.object.select_all, action="DESELECT")

    began = time.monotonic()
    label("Generate Takes")
    assert hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT", True) == {"RUNNING_MODAL"}
    yield from waiting(lambda: hand.scene.thunder.active_take >= 0, "no take arrives")
    taken["first_take"] = time.monotonic() - began
    if not hand.window.screen.is_animation_playing:
        hand.call(bpy.ops.screen.animation_play, sync=True)
    jaw = next(each for each in hand.scene.objects if each.type == "ARMATURE").pose.bones["jaw"]
    closed = jaw.matrix_basis.to_quaternion().angle
    yield from waiting(
        lambda: abs(jaw.matrix_basis.to_quaternion().angle - closed) > SEEN_TURN,
        "the face does not move",
    )
    label("The first take plays")
    taken["playing"] = time.monotonic() - began
    yield from waiting(lambda: session.job is None, "the other takes do not arrive")
    taken["all_takes"] = time.monotonic() - began
    label("All takes are there")
    yield PLAYED
    assert len(hand.scene.thunder.takes) == 8 and hand.scene.frame_current > 1
    assert hand.window.screen.is_animation_playing
    waited = sum(taken[name] for name in ("install", "head", "voice", "playing"))
    hand.keeps(20, waited, "from the drag to the playing take")
    bpy.ops.screen.animation_cancel(restore_frame=False)
