# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier takes stay: a new batch folds them, a click unfolds them, and Clear Earlier Takes spares
what the animator touched."""

from contextlib import suppress
from types import SimpleNamespace

import pytest
from drawing import Context
from performances import reopen
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.takes import browsing, take_list

pytestmark = pytest.mark.one_blender


@pytest.fixture
def scene(voiced, client, play):
    """A head with a voice, and an engine that answers with made takes, three at a time."""
    play(client)
    voiced.thunder.count = 3
    return voiced


def generate(blender, *seeds):
    for seed in seeds:
        blender.context.scene.thunder.seed = seed
        assert blender.ops.thunder.generate() == {"FINISHED"}


def listed(blender):
    entries = blender.context.scene.thunder.takes
    return sorted(entries[place].seed for place in browsing.order(blender.context))


def entry_of(blender, seed):
    return next(entry for entry in blender.context.scene.thunder.takes if entry.seed == seed)


def show(blender, seed):
    entries = blender.context.scene.thunder.takes
    entries.id_data.thunder.active_take = next(
        place for place, entry in enumerate(entries) if entry.seed == seed
    )


def test_a_new_batch_folds_the_earlier_takes_and_deletes_none(blender, scene):
    generate(blender, 1, 11, 21)
    assert len(scene.thunder.takes) == 9 and all(
        entry.action is not None for entry in scene.thunder.takes
    )
    assert listed(blender) == [21, 22, 23]
    assert [len(batch) for batch in take_list.batches(blender.context)] == [3, 3, 3]
    names = [entry.name for entry in scene.thunder.takes]
    assert len(set(names)) == 9 and len({entry.action.name for entry in scene.thunder.takes}) == 9


def test_a_heading_unfolds_its_takes_and_undo_of_a_batch_that_of_the_one_before(blender, scene):
    blender.context.preferences.edit.use_global_undo = True
    for seed in (1, 11):
        generate(blender, seed)
        blender.ops.ed.undo_push(message="a batch")
    blender.ops.ed.undo()
    assert listed(blender) == [1, 2, 3]
    blender.ops.ed.redo()
    assert listed(blender) == [11, 12, 13] and len(blender.context.scene.thunder.takes) == 6
    assert blender.ops.thunder.fold_takes(batch=entry_of(blender, 2).batch) == {
        "FINISHED"
    } and listed(blender) == [1, 2, 3, 11, 12, 13]
    blender.ops.thunder.fold_takes(batch=entry_of(blender, 11).batch)
    shown = take_list.shown_take(blender.context.scene.thunder).seed
    assert shown > 10 and listed(blender) == [1, 2, 3, shown], "the shown take is listed"


def test_a_take_of_a_folded_batch_is_listed_while_it_is_shown_or_starred(blender, scene):
    generate(blender, 1)
    show(blender, 2)
    rig = head.find(scene)
    generate(blender, 11)
    assert listed(blender)[-3:] == [11, 12, 13]
    display.show(rig, entry_of(blender, 2))
    assert listed(blender) == [2, 11, 12, 13] and take_list.shown_take(scene.thunder).seed == 2
    blender.ops.thunder.flip_take()
    assert listed(blender) == [11, 12, 13]
    for seed in (3, 12):
        entry_of(blender, seed).star = True
    scene.thunder.only_starred = True
    assert listed(blender) == [3, 12]
    blender.ops.thunder.delete_takes(which="UNSTARRED")
    assert sorted(entry.seed for entry in scene.thunder.takes) == [1, 2, 3, 12], (
        "what has no star, but for folded takes"
    )


def test_clearing_spares_what_is_unfolded_newest_shown_or_touched(blender, scene):
    generate(blender, 1, 11, 21, 31)
    entry_of(blender, 1).star = True
    entry_of(blender, 2).note = "softer"
    entry_of(blender, 11).name = "Warm"
    for seed in (23, 33):  # an earlier one unfolded, the newest one folded
        blender.ops.thunder.fold_takes(batch=entry_of(blender, seed).batch)
    display.show(head.find(scene), entry_of(blender, 13))
    doomed = entry_of(blender, 12).action.name
    assert blender.ops.thunder.delete_takes(which="EARLIER") == {"FINISHED"}
    assert sorted(entry.seed for entry in scene.thunder.takes) == [
        1,
        2,
        11,
        13,
        21,
        22,
        23,
        31,
        32,
        33,
    ]
    assert doomed not in blender.data.actions
    with pytest.raises(RuntimeError, match="No earlier take can be deleted"):
        blender.ops.thunder.delete_takes(which="EARLIER")


def test_only_what_deletes_takes_that_are_not_listed_asks_before(blender, scene):
    generate(blender, 1, 11)
    asked = []
    manager = SimpleNamespace(
        invoke_confirm=lambda operator, *_, **how: asked.append(operator.which)
    )
    for which in ("UNSTARRED", "EARLIER"):
        operator = SimpleNamespace(which=which, description=lambda *_: "")
        with suppress(TypeError):  # what asks nothing goes on, which this stand-in cannot
            blender.types.THUNDER_OT_delete_takes.invoke(
                operator, Context(blender.context, window_manager=manager), None
            )
    assert asked == ["EARLIER"]


def test_takes_of_earlier_versions_are_one_batch_and_unfolded(blender, scene, tmp_path):
    generate(blender, 1)
    for entry in scene.thunder.takes:
        for name in ("batch", "asked", "folded"):
            entry.property_unset(name)
    reopen(blender, tmp_path)
    assert listed(blender) == [1, 2, 3] and len(take_list.batches(blender.context)) == 1
    generate(blender, 11)
    assert listed(blender) == [11, 12, 13] and len(blender.context.scene.thunder.takes) == 6
