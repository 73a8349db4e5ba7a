# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes need may be deleted at any time: the whole tab is drawn all the same, and every button
is greyed, works, or ends with a sentence."""

from itertools import product
from types import SimpleNamespace

import bpy
import pytest
from deleting import DELETIONS
from drawing import Context, Layout, Shown
from performances import enter, noise
from thunder.panels import tab
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.review import checking
from thunder.scene.takes import dialogue, keep, mix, transcript
from thunder.scene.takes.direction import sliders
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.findings import Finding, OPEN

pytestmark = pytest.mark.one_blender
NAME = "bl_ext.user_default.thunder"
OF_CHARACTER = ("THUNDER_MT_mapping",)  # in a panel that our heads do not have


@pytest.fixture(scope="module")
def shot_file(head_file, tmp_path_factory):
    """A file of two heads in a dialogue with takes, one of them shown, and all that refers to
    takes: a mix with a cut, kept frames, findings, a transcript with a mark, a direction, a commit.
    Made once: its path."""
    if not strip.has_audio():
        pytest.skip("this Blender was built without sound")
    bpy.ops.wm.read_homefile(filepath=head_file)
    bpy.ops.thunder.add_head()
    scene, folder = bpy.context.scene, tmp_path_factory.mktemp("shot")
    scene.render.fps = 25
    for name, start, speaker in zip(("one", "two"), (1, 60), head.in_scene(scene)):
        strip.add(scene, noise(folder / f"{name}.wav", 1.0), name, start)
        dialogue.cast(scene, name, speaker)
    dialogue.select(bpy.context, "one")
    rig = head.resolve(head.in_scene(scene)[0])
    sliders.ensure(rig.owner)
    for seed in range(3):
        entry = enter((scene, rig), seconds=1.0, closed=(0.5,), seed=seed)
        entry.voice, entry.batch = "one", 1 + seed // 2
        voice = strip.of_strip(scene, strip.by_name(scene, "one"))
        fingerprint.remember(entry.action, voice.state)
        if not seed:
            bpy.ops.thunder.commit_take()
    takes = scene.thunder.takes
    scene.thunder_mix.mouth, scene.thunder_mix.eyes = takes[0].action, takes[1].action
    mix.add_cut(scene, 12, "ALL", takes[1])
    keep.add_range(scene, 5, 10)
    transcript.ensure(scene, "one").text = "one two"
    checking.show(scene, rig, "one", Clock(1.0, 25.0), [Finding(OPEN, 0.3, 0.4, 4.0, 1.0, "m")])
    takes[1].action.thunder_shape.jaw = 1.2
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return str(folder / "shot.blend")


@pytest.fixture
def shot(blender, shot_file, client):
    """That file, opened, and an engine that runs."""
    client.running = True
    blender.ops.wm.open_mainfile(filepath=shot_file)
    yield
    jobs.end_job()


def ours(kind):
    found, left = [], [kind]
    while left:
        left += (each := left.pop()).__subclasses__()
        if each.__module__.startswith(NAME) and getattr(each, "is_registered", False):
            found.append(each)
    return found


def draw_all(blender):
    """Every panel, menu, list and header of the add-on; the number of them."""
    space = SimpleNamespace(view_type="SEQUENCER", type="SEQUENCE_EDITOR")
    context, types, count = Context(blender.context, space_data=space), blender.types, 0
    for part, cls in product(tab.PARTS, (*ours(types.Panel), *ours(types.Menu))):
        blender.context.window_manager.thunder_part = part[0]
        if cls.__name__ not in OF_CHARACTER and getattr(cls, "poll", lambda _: True)(context):
            for part in ("draw_header", "draw_header_preset", "draw"):
                if part in vars(cls) or part == "draw":
                    getattr(Shown(cls), part)(context)
                    count += 1
    scene = blender.context.scene
    for cls, owner, name in (
        (types.THUNDER_UL_takes, scene.thunder, "takes"),
        (types.THUNDER_UL_cuts, scene.thunder_mix, "cuts"),
        (types.THUNDER_UL_kept, scene.thunder_keep, "ranges"),
        (types.THUNDER_UL_findings, scene.thunder_check, "findings"),
    ):
        shown = Shown(cls)
        if "filter_items" in vars(cls):
            shown.bitflag_filter_item, shown.filter_name = 1, ""
            shown.filter_items(context, owner, name)
        for index, item in enumerate(getattr(owner, name)):
            given = context, Layout(), owner, item, 0, owner, "", index
            shown.draw_item(*given[: cls.draw_item.__code__.co_argcount - 1])
            count += 1
    return count


@pytest.mark.parametrize("what", DELETIONS)
def test_everything_is_drawn_whatever_was_deleted(blender, shot, what):
    assert draw_all(blender) > 40
    DELETIONS[what](blender)
    draw_all(blender)
    for part in jobs.session.parts:
        if isinstance(part, jobs.Task):
            part.step()
    draw_all(blender)
