# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are listed one by one while the rest is sampled; what has arrived survives a cancellation,
a failure and an undo."""

import math
from contextlib import nullcontext

import pytest
from performances import listed_seeds
from played_engine import Asked, listed, seeds
from thunder.operators import base
from thunder.scene.heads import head
from thunder.scene.takes import browsing, take_list
from thunder.scene.takes.generation import How, perform
from thunder.scene.voice import strip
from thunder.thunder_core import errors
from thunder.thunder_core.request import Request


def finish(steps):
    """Go on to the end."""
    return [step.fraction for step in steps]


def verdict(entry):
    """What the row of a take says of its lip-sync."""
    return take_list.verdict(entry)


def start(blender, scene, client, count=4, on_take=None):
    voice = strip.find(blender.context)
    how = How(Request(count, 11), None, on_take=on_take, finds_words=False)
    return perform(client, scene, head.find(scene), voice, how)


@pytest.fixture
def client(client):
    client.error_of = errors.WorkerDied(
        "The engine was ended by signal 9 in the middle of its work: try again", "log"
    )
    return client


def test_each_take_is_listed_as_it_comes_and_all_are_ranked_at_the_end(blender, voiced, client):
    steps = start(blender, voiced, client)
    fractions, seen = [], []
    for step in steps:
        fractions.append(step.fraction)
        if seeds(voiced) and (not seen or seen[-1] != seeds(voiced)):
            seen.append(seeds(voiced))
    seen.append(seeds(voiced))
    assert seen == [[11], [11, 12], [11, 12, 13], [11, 12, 13, 14], [12, 14, 11, 13]]
    assert fractions == sorted(fractions)
    assert voiced.thunder.active_take == 0


def test_takes_that_arrive_together_are_told_as_far_as_the_engine_is(
    blender, voiced, client, monkeypatch
):
    """Keying them then takes half of the bar, or the time left would be told twice as long."""

    def poll(asked):
        count = max(1, len(asked.events) - 1)
        some, asked.events = asked.events[:count], asked.events[count:]
        asked.done = some[-1]["event"] == "done"
        asked.result = some[-1].get("result")
        return some

    monkeypatch.setattr(Asked, "poll", poll)
    keyed = [step for step in start(blender, voiced, client) if step.message.startswith("Keyed")]
    assert [step.message for step in keyed] == [f"Keyed {number} of 4" for number in range(1, 5)]
    assert keyed[0].fraction > 0.35 and keyed[-1].fraction > 0.7


def test_takes_are_listed_before_their_scores_and_rows_move_once_all_are_scored(
    blender, voiced, client
):
    client.scores_late = True
    steps = start(blender, voiced, client)
    listed(voiced, 4, steps)
    entries = voiced.thunder.takes
    assert seeds(voiced) == [11, 12, 13, 14]
    assert browsing.order(blender.context) == [0, 1, 2, 3]
    assert {verdict(each) for each in entries} == {"…"}
    while not math.isfinite(entries[2].score):
        next(steps)
    assert browsing.order(blender.context) == [0, 1, 2, 3], "with some scored, all stay"
    assert [verdict(each) for each in entries] == ["good", "good", "good", "…"]
    finish(steps)
    assert seeds(voiced) == [12, 14, 11, 13]
    assert listed_seeds(blender) == [12, 14, 11, 13]
    assert {verdict(each) for each in entries} == {"good"}


def test_rows_stay_in_place_at_the_end_where_the_animator_chose_one_meanwhile(
    blender, voiced, client
):
    client.scores_late = True
    steps = start(blender, voiced, client)
    listed(voiced, 4, steps)
    assert listed_seeds(blender) == [11, 12, 13, 14]
    voiced.thunder.active_take = 2
    finish(steps)
    assert listed_seeds(blender) == [11, 12, 13, 14]
    assert voiced.thunder.takes[voiced.thunder.active_take].seed == 13
    voiced.thunder.sort = "TIME"
    assert listed_seeds(blender)
    voiced.thunder.sort = "SCORE"
    assert listed_seeds(blender) == [12, 14, 11, 13], "sorted on demand"


def test_a_take_that_an_edit_spoils_stays_in_its_row_and_new_ones_find_theirs(
    blender, voiced, client
):
    finish(start(blender, voiced, client))
    assert listed_seeds(blender) == [12, 14, 11, 13]
    entry = voiced.thunder.takes[browsing.order(blender.context)[0]]
    entry.score = 3.0
    assert listed_seeds(blender) == [12, 14, 11, 13]
    copy = voiced.thunder.takes[take_list.duplicate(voiced, browsing.order(blender.context)[1])]
    copy.seed, copy.score = 99, 1.0
    assert listed_seeds(blender) == [12, 14, 11, 13, 99]


def test_takes_of_a_head_that_is_deleted_meanwhile_are_no_undo_step_beside_that_of_its_deletion(
    blender, voiced, client
):
    class Operator(base.PartialResults, base.SlicedWork):
        bl_label, takes, requested = "Generate Takes", [], 4

        def report(self, kind, text):
            pass

    operator, mesh = Operator(), head.find(voiced).mesh
    steps = start(blender, voiced, client, on_take=operator.takes.append)
    listed(voiced, 2, steps)
    assert operator.fail(errors.BadHead("A fault")) == {"FINISHED"}  # which is an undo step
    voiced.collection.objects.unlink(mesh)
    with pytest.raises(errors.BadHead, match="was removed, renamed or changed") as removed:
        finish(steps)
    assert operator.fail(removed.value) == {"CANCELLED"}


@pytest.mark.parametrize("chosen", [2, -1], ids=["a take", "the own animation"])
def test_the_first_is_shown_when_it_comes_and_what_the_animator_chooses_stays(
    blender, voiced, client, chosen
):
    steps = start(blender, voiced, client)
    listed(voiced, 2, steps)
    assert voiced.thunder.active_take == 0 and voiced.thunder.takes[0].seed == 11
    voiced.frame_set(10)
    assert voiced.thunder.head.parent.pose.bones["jaw"].rotation_euler[0] > 0.1
    listed(voiced, 3, steps)
    blender.ops.thunder.select_take(index=chosen)
    finish(steps)
    shown = voiced.thunder.active_take
    assert shown == -1 if chosen < 0 else voiced.thunder.takes[shown].seed == 13


def test_a_cancellation_keeps_what_has_arrived_and_earlier_takes(blender, voiced, client):
    finish(start(blender, voiced, client, count=2))
    earlier, kept = {entry.action.name for entry in voiced.thunder.takes}, []
    steps = start(blender, voiced, client, on_take=kept.append)
    listed(voiced, 5, steps)
    steps.close()
    assert client.requests[-1].cancelled and len(kept) >= 2
    assert all(entry.action is not None for entry in voiced.thunder.takes)
    assert earlier < {entry.action.name for entry in voiced.thunder.takes}
    # in order of their scores
    assert [entry.seed for entry in voiced.thunder.takes if entry.action.name not in earlier] == [
        12,
        11,
        13,
    ]


def test_a_worker_that_dies_costs_only_the_takes_that_had_not_come(blender, voiced, client):
    client.error, client.fails_after, voiced.thunder.count = client.error_of, 2, 4
    with pytest.raises(RuntimeError, match="signal 9"):
        blender.ops.thunder.generate()
    assert [entry.score for entry in voiced.thunder.takes] == [90.0, 80.0]


@pytest.mark.parametrize("how", ["done", "cancelled", "failed", "unwritable"])
def test_the_folder_of_a_request_goes_however_it_ends(blender, voiced, client, how):
    if how == "failed":
        client.error, client.fails_after = client.error_of, 2
    steps = start(blender, voiced, client)
    listed(voiced, 2, steps)
    assert client.folders and not client.forgotten
    if how == "cancelled":
        steps.close()
    elif how == "unwritable":
        blender.data.objects.remove(voiced.thunder.head)
    said = {"failed": "signal 9", "unwritable": "renamed or changed"}.get(how)
    with pytest.raises(errors.ThunderError, match=said) if said else nullcontext():
        finish(steps)
    assert client.forgotten == client.folders


def test_a_deleted_take_does_not_come_back(blender, voiced, client):
    steps = start(blender, voiced, client)
    listed(voiced, 3, steps)
    action = voiced.thunder.takes[1].action
    voiced.thunder.takes.remove(1)
    blender.data.actions.remove(action)
    finish(steps)
    assert sorted(seeds(voiced)) == [11, 13, 14]
