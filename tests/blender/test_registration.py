# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on comes and goes: what it added to Blender is gone when it is disabled, and there again
when it is enabled."""

import threading

import addon_utils
import pytest
from thunder.cli import command
from thunder.scene.host import jobs
from thunder.scene.review import live_score
from thunder.scene.takes.shape import applying

NAME = "bl_ext.user_default.thunder"
MENUS = (
    "TOPBAR_MT_file_export", "TOPBAR_MT_file_import", "DOPESHEET_HT_header", "SEQUENCER_HT_header",
    "VIEW3D_MT_armature_add",
    "ASSETBROWSER_MT_context_menu", "VIEW3D_MT_light_add",
)  # fmt: skip
PROPERTIES = (
    ("Scene", "thunder"),
    ("Scene", "thunder_mix"),
    ("Scene", "thunder_keep"),
    ("Scene", "thunder_transcripts"),
    ("Object", "thunder"),
    ("Action", "thunder_shape"),
)


def is_ours(function):
    return (getattr(function, "__module__", "") or "").startswith(NAME)


def left_of_ours(blender):
    """What of the add-on's Blender would call or show, in words."""
    handlers = blender.app.handlers
    lists = {
        name: getattr(handlers, name)
        for name in dir(handlers)
        if isinstance(getattr(handlers, name), list)
    }
    assert len(lists) > 20
    result = [
        f"handler {name}: {each.__module__}.{each.__name__}"
        for name, there in lists.items()
        for each in there
        if is_ours(each)
    ]
    result += [
        f"menu {name}: {each.__module__}"
        for name in MENUS
        for each in getattr(blender.types, name).draw._draw_funcs
        if is_ours(each)
    ]
    result += [
        f"property {owner}.{name}"
        for owner, name in PROPERTIES
        if hasattr(getattr(blender.types, owner), name)
    ]
    result += [f"manual {each.__module__}" for each in blender.utils._manual_map if is_ours(each)]
    result += [f"command {each.__module__}" for each in (command.main,) if command._registered]
    result += [f"class {name}" for name in dir(blender.types) if "THUNDER_" in name]
    result += [
        f"timer {task.step}"
        for task in jobs.session.parts
        if isinstance(task, jobs.Task) and blender.app.timers.is_registered(task.timer)
    ]
    return result + [
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.name.startswith("thunder")
    ]


@pytest.fixture
def disabled(blender):
    """The add-on disabled in the middle of things: a head, and timers that wait for their
    moment."""
    blender.ops.thunder.add_head()
    live_score.live.score_soon()
    applying.update.start(5.0)
    addon_utils.disable(NAME)
    yield blender
    if not addon_utils.check(NAME)[1]:
        addon_utils.enable(NAME)


def test_nothing_of_it_stays_when_it_is_disabled(disabled):
    assert left_of_ours(disabled) == []


def test_all_of_it_is_there_again(disabled):
    addon_utils.enable(NAME)
    left = left_of_ours(disabled)
    for kind in (
        "handler depsgraph_update_post",
        "handler load_post",
        "menu TOPBAR_MT_file_export",
        "menu VIEW3D_MT_armature_add",
        "manual",
        "command",
        "property Scene.thunder_mix",
        "class THUNDER_PT_main",
    ):
        assert any(line.startswith(kind) for line in left), kind
    assert len(left) == len(set(left))  # and nothing twice
    assert disabled.ops.thunder.add_head() == {"FINISHED"}
