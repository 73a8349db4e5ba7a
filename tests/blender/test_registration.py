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
    ("Object", "thunder_emotion"),
    ("Key", "thunder_emotion"),
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


# ---- blender -c thunder


def run(capfd, *words):
    """The exit code of a command, what it says, and what it complains of."""
    capfd.readouterr()
    return command.main(list(map(str, words))), *capfd.readouterr()


def test_the_first_word_of_jobs_is_what_they_are_about(blender, voice, tmp_path, capfd):
    assert run(capfd, "jobs", tmp_path, "--list") == (0, "line\n", "")
    code, _, complaints = run(capfd, "jobs")
    assert code == 2 and "--jobs: expected one argument" in complaints


def test_a_failure_is_one_sentence_of_the_command(blender, tmp_path, capfd):
    code, said, complaints = run(
        capfd, "bake", "--audio", tmp_path / "none.wav", "--out", tmp_path / "out"
    )
    assert (
        code == 1
        and complaints.startswith("blender -c thunder bake: There is no file “")
        and complaints.count("\n") == 1
    )
    code, _, complaints = run(capfd, "bake", "--audio", "a.wav", "--pitch", "3", "--out", "out")
    assert (
        code == 2
        and "blender -c thunder bake: error: unrecognized arguments: --pitch 3" in complaints
    )
    code, _, complaints = run(capfd, "dance")
    assert (
        code == 2
        and complaints == "blender -c thunder: “dance” is no command: use bake, jobs or check\n"
    )
    assert not (tmp_path / "out").exists()


def test_check_names_the_file_that_it_cannot_check(blender, tmp_path, capfd):
    code, said, _ = run(capfd, "check", tmp_path / "none.blend")
    assert code == 1 and said.startswith(
        f"{tmp_path / 'none.blend'}: not checked. There is no file “"
    )
    assert run(capfd, "check")[0] == 2


def test_without_a_command_it_lists_them(capfd):
    code, said, _ = run(capfd)
    assert code == 0 and all(f"\n{name} " in said for name in ("bake", "jobs", "check"))
    assert run(capfd, "check", "--help")[0] == run(capfd, "jobs", "--help")[0] == 0


def test_bake_bakes_as_bake_py_does(blender, client, voice, tmp_path, capfd):
    words = ("bake", "--audio", voice, "--takes", 2, "--out", tmp_path / "out")
    code, said, complaints = run(capfd, *words)
    assert (code, complaints) == (0, "") and "line.blend and 2 takes" in said
