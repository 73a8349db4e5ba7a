# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with Thunder in Blender's own places: the sequencer's sidebar, Add ›
Armature, the pie menu."""

import webbrowser

from scenarios import only_open, scene_with_voice_and_head
from take_scenarios import list_takes, shown


def opens_the_pie(hand):
    """The pie on its key, and the next take chosen in it."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    yield from list_takes(hand, 3, 2.0)
    hand.scene.thunder.active_take = 0
    yield 1.0
    hand.seen["before"] = shown(hand.scene)
    hand.press("U", alt=True)
    yield 1.0
    hand.photograph("pie")
    region = next(region for region in hand.viewport.regions if region.type == "WINDOW")
    x, y = region.x + region.width // 3, region.y + region.height // 2
    yield from hand.click(x + 110, y)
    yield 1.0
    hand.seen["after"], hand.seen["second"] = shown(hand.scene), hand.scene.thunder.takes[1].seed


def asks_for_the_manual(hand):
    """A right-click on Generate Takes and then on Online Manual."""
    opened = hand.seen["opened"] = []
    webbrowser.open = opened.append
    only_open("main")
    yield from scene_with_voice_and_head(hand)
    yield from hand.open_tab("Thunder")
    x, y = hand.main_button(hand.photograph("button"))
    for kind, value in (
        ("MOUSEMOVE", "NOTHING"),
        ("RIGHTMOUSE", "PRESS"),
        ("RIGHTMOUSE", "RELEASE"),
    ):
        hand.window.event_simulate(type=kind, value=value, x=x, y=y)
        yield 0.4
    yield 1.0
    hand.photograph("right_click")
    # the letter that the menu underlines
    hand.window.event_simulate(type="O", value="PRESS", unicode="o", x=x, y=y)
    yield 1.0
