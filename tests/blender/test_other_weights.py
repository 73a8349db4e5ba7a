# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of earlier weights: their scores are greyed and come behind, Score Again renews them and
leaves keys as they are, and what samples them again says that the weights are others."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from characters import make_hero
from drawing import draw, Layout
from performances import (
    keys_of,
    list_take,
    listed_seeds,
    noise,
    performance,
    record_in,
    reopen,
    same,
)
from thunder.panels.takes import THUNDER_UL_takes
from thunder.scene.animation import display, keying
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.review import live_score
from thunder.scene.takes import browsing, grades, take_list, take_record, transcript
from thunder.scene.takes.direction import live
from thunder.thunder_core import progress
from thunder.thunder_core.errors import BadWeights

EARLIER = "0123456789abcdef"  # the fingerprint of weights that nobody has


@pytest.fixture
def scene(voiced, client):
    """A head with three takes of a voice of two seconds: seed 2 has the best score, then 1 and 3."""
    voiced.thunder.count, voiced.thunder.seed = 3, 1
    assert bpy.ops.thunder.generate() == {"FINISHED"}
    return voiced


def of_seed(seed):
    return next(each for each in bpy.context.scene.thunder.takes if each.seed == seed)


def make_earlier(*seeds):
    """Let the takes of these seeds be made by earlier weights; the takes."""
    for entry in map(of_seed, seeds):
        for action in display.actions_of(entry):
            action[keying.PROPERTY]["weights"] = EARLIER
    return [of_seed(seed) for seed in seeds]


def draw_row(entry):
    entry.words, layout = "", Layout()  # of the words a row shows what it has room for
    THUNDER_UL_takes.draw_item(None, bpy.context, layout, None, entry, 0, None, "", 0)
    return layout


def greyed(entry):
    """The greyed texts of a take's row."""
    return draw_row(entry).greyed


def is_waiting(entry):
    """Whether a take's row has points for a verdict to come."""
    return any(how.get("text") == "…" for _, _, how in draw_row(entry).notes)


def offered():
    """Whether “Why This Score?” has the button."""
    panel = draw(bpy.types.THUNDER_PT_score, bpy.context)
    return "thunder.score_again" in panel.of("operator")


def push(name):
    bpy.context.preferences.edit.use_global_undo = True
    bpy.ops.ed.undo_push(message=name)


@pytest.mark.one_blender
def test_a_score_of_other_weights_is_greyed_and_comes_behind_those_in_use(scene):
    assert listed_seeds(bpy) == [2, 1, 3] and not offered() and "90" not in greyed(of_seed(2))
    (entry,) = make_earlier(2)
    browsing.sort_again([entry.action.session_uid])
    assert listed_seeds(bpy) == [1, 3, 2] and offered()
    assert "good" in greyed(entry) and "good" not in greyed(of_seed(1))
    assert (
        "90 of 100, by other weights than those in use, another text or an earlier version"
        in entry.tooltip
    )
    assert "other weights" not in of_seed(1).tooltip
    assert max(scene.thunder.takes, key=grades.rank).seed == 1
    with pytest.raises(
        RuntimeError, match="All takes of this line are scored by the weights in use"
    ):
        make_current = record_in(entry) | {"weights": connection.weights_in_use()}
        entry.action[keying.PROPERTY] = make_current
        bpy.ops.thunder.score_again()


@pytest.mark.one_blender
def test_a_take_of_an_earlier_version_has_no_verdict_until_it_is_scored_again(
    scene, blender, tmp_path
):
    """By the same weights, of one's own for example: what is found in it was not kept then."""
    for entry in scene.thunder.takes:
        about = record_in(entry)
        del about["parts"], about["findings"]
        entry.action[keying.PROPERTY] = about | {"heard": 44.0}
    scene = reopen(blender, tmp_path)
    entry = of_seed(2)
    assert grades.of_take(entry) is None and grades.parts_of(entry) == {}
    assert greyed(entry) == [take_list.WAITS] and offered() and listed_seeds(bpy) == [2, 1, 3]
    assert "\nLip-Sync 90 of 100, by other weights than those in use, another" in entry.tooltip
    assert bpy.ops.thunder.score_again() == {"FINISHED"}
    entry = of_seed(2)
    assert not greyed(entry) and not offered() and grades.of_take(entry).name == "check"
    assert entry.tooltip.splitlines()[1:3] == [
        "Check: Lips do not meet on m: 4.0 mm apart",
        f"Lip-Sync {take_list.points(entry.score)} of 100",
    ]


@pytest.mark.one_blender
def test_a_verdict_without_the_words_that_the_voice_has_now_is_greyed(scene):
    transcript.of(scene, of_seed(1).voice).text = "Both of them"
    assert greyed(of_seed(1)) and offered()
    of_seed(1).action[keying.PROPERTY]["text"] = "Both of them "
    assert not greyed(of_seed(1)), "it was sampled with them"
    assert bpy.ops.thunder.score_again() == {"FINISHED"}
    assert not any(greyed(of_seed(seed)) for seed in (1, 2, 3)) and not offered()
    assert record_in(of_seed(2))[grades.SCORED_TEXT] == "Both of them"


@pytest.mark.one_blender
def test_a_take_that_has_no_score_is_not_greyed(scene):
    entries = make_earlier(1, 2)
    entries[0].score, entries[1].role = float("nan"), "LISTENS"
    assert not any(map(grades.has_old_score, entries))
    assert live_score.takes_to_score(bpy.context) == [entries[0]], "a listener needs none"


@pytest.mark.one_blender
def test_takes_that_arrived_before_generating_stopped_can_be_scored(scene, client):
    waiting, scored = of_seed(2), of_seed(1).score
    waiting.score = float("nan")
    assert is_waiting(waiting) and offered()
    assert bpy.ops.thunder.score_again() == {"FINISHED"}
    assert not is_waiting(of_seed(2)) and of_seed(2).score > 0 and not offered()
    assert of_seed(1).score == scored
    of_seed(2).score = float("nan")
    jobs.begin("Generating", (step for step in ()))
    assert not offered(), "they are being scored"
    jobs.end_job()
    assert offered()


def test_score_again_renews_scores_and_leaves_keys_edits_and_marks(scene, client):
    edited, other = make_earlier(2, 3)
    rig = head.find(scene)
    curve = keying.curves_of_tracks(rig, edited)[0]
    for point in curve.keyframe_points:
        point.co[1] += 0.25
    curve.update()
    edited.star, edited.note, edited.of_whole = True, "softer", True
    before = {seed: keys_of(rig, of_seed(seed)) for seed in (1, 2, 3)}
    was, kept = record_in(edited), take_list.marks_of(edited)
    client.asked.clear()
    assert bpy.ops.thunder.score_again() == {"FINISHED"}
    assert [verb for verb, _ in client.asked] == ["score", "score"]
    (_, of_edited), (_, of_other) = sorted(client.asked, key=lambda each: each[1]["seed"])
    # what is scored is what the keys say: of unedited ones the motion that they were made from
    made = take_record.load(other.action).motion
    assert np.array_equal(client.arrays[of_other["jaw"]], made.jaw)
    assert np.array_equal(client.arrays[of_other["expression"]], made.expression)
    sampled, scored = take_record.load(edited.action).motion, client.arrays[of_edited["expression"]]
    keyed = progress.result(take_record.read(rig, edited)).motion
    assert np.array_equal(scored, keyed.expression)
    assert not np.allclose(
        np.hstack([scored, keyed.jaw]), np.hstack([sampled.expression, sampled.jaw])
    )
    # scores and who made them are new, all else is as it was
    assert {edited.score, other.score} == {51.0, 52.0}
    assert {grades.of_take(each).name for each in (edited, other)} == {"check"}
    assert of_seed(1).score == 80.0 and grades.SCORED_BY not in record_in(of_seed(1))
    now = record_in(edited)
    assert now.pop(grades.SCORED_BY) == connection.weights_in_use() != EARLIER
    records = map(keying.record_of, display.actions_of(edited))
    assert any(each[take_record.SCORED_KEYS] != each["checksum"] for each in records), (
        "its edited keys"
    )
    del now[take_record.SCORED_KEYS]
    assert now.pop(grades.SCORED_TEXT) == ""
    assert not take_record.is_outdated(edited) and not take_record.is_outdated(other)
    renewed = {"score": edited.score, "parts": now["parts"], "findings": now["findings"]}
    assert now == was | renewed != was, "it was made by the same"
    assert (take_record.sync_of(edited.action) == 60.0).all() and not edited.of_whole
    assert all(same(keys, keys_of(rig, of_seed(seed))) for seed, keys in before.items())
    assert take_record.is_edited(edited) and not take_record.is_edited(other)
    assert take_list.marks_of(edited) == kept and edited.star
    assert (
        not offered()
        and not greyed(other)
        and listed_seeds(bpy) == [1, *sorted((2, 3), key=lambda seed: -of_seed(seed).score)]
    )


def test_undo_and_a_reopened_file_restore_the_score_and_the_new_one(blender, scene, tmp_path):
    make_earlier(1, 2, 3)
    reopened = reopen(blender, tmp_path)
    assert all(map(grades.has_old_score, reopened.thunder.takes))
    push("before")
    assert bpy.ops.thunder.score_again() == {"FINISHED"}
    push("Score Again")
    new = sorted(entry.score for entry in bpy.context.scene.thunder.takes)
    assert new == [51.0, 52.0, 53.0]
    bpy.ops.ed.undo()
    takes = bpy.context.scene.thunder.takes
    assert sorted(entry.score for entry in takes) == [70.0, 80.0, 90.0]
    assert all(map(grades.has_old_score, takes))
    assert {take_record.sync_of(entry.action)[0] for entry in takes} == {70.0, 80.0, 90.0}
    bpy.ops.ed.redo()
    takes = reopen(blender, tmp_path).thunder.takes
    assert sorted(entry.score for entry in takes) == new
    assert not any(map(grades.has_old_score, takes))


@pytest.mark.one_blender
def test_a_character_is_scored_by_what_it_can_show(blender, scene, client):
    """As new takes are; the head has a jaw and nothing else, and its take no record of its voice."""
    face = make_hero(blender, "jawOpen")
    scene.thunder.head, rig = face, head.resolve(face)
    entry = list_take((scene, rig), performance(2.0, seed=5), voice="line.wav")
    entry.action[keying.PROPERTY]["weights"] = EARLIER
    before = live_score.live.version
    assert live_score.takes_to_score(bpy.context) == [entry]
    assert bpy.ops.thunder.score_again() == {"FINISHED"} and entry.score == 51.0
    sent = client.arrays[client.asked[-1][1]["expression"]]
    brow, made = head.channel_names().index("browInnerUp"), take_record.load(entry.action).motion
    assert made.expression[:, brow].max() > 0.8 and not sent[:, brow].any()
    assert live_score.live.version > before, "curves over the timeline are drawn anew"


@pytest.mark.one_blender
def test_takes_without_a_verdict_get_one_while_blender_is_idle(scene, client, monkeypatch):
    """As after Esc, a redo, a cut or in files of earlier versions: nobody presses a button."""
    waiting, earlier, cut = map(of_seed, (1, 2, 3))
    waiting.score, cut.of_whole = float("nan"), True
    earlier.action[keying.PROPERTY] = {
        name: value for name, value in record_in(earlier).items() if name != "findings"
    }
    assert {take_list.verdict(entry) for entry in scene.thunder.takes} == {take_list.WAITS}
    assert "not scored yet: that comes while Blender is idle" in waiting.tooltip
    window = SimpleNamespace(
        app=SimpleNamespace(background=False), context=bpy.context, data=bpy.data
    )
    monkeypatch.setattr(live_score, "bpy", window)
    scene.thunder.live_score, client.running = False, True
    monkeypatch.setattr(live_score.live, "score_soon", lambda: asked.append(True))
    asked = []
    jobs.begin("Generating", (step for step in ()))
    jobs.end_job()
    live_score.live.undone()
    assert len(asked) == 2
    while live_score.live.step() is not None:
        pass
    assert {take_list.verdict(of_seed(seed)) for seed in (1, 2, 3)} == {"check"}
    assert not of_seed(3).of_whole and len([v for v, _ in client.asked if v == "score"]) == 3
    jobs.begin("Generating", (step for step in ()))
    jobs.end_job()
    live_score.live.undone()
    assert len(asked) == 2, "all are known"


@pytest.mark.one_blender
def test_a_take_that_is_deleted_meanwhile_is_left_out(scene, client):
    make_earlier(1, 2, 3)
    steps = live_score.score_again(client, bpy.context)
    while client.scored < 3:
        next(steps)
    take_list.delete(scene, [list(scene.thunder.takes).index(of_seed(2))])
    assert progress.result(steps) == 3
    assert {entry.seed for entry in scene.thunder.takes} == {1, 3}
    assert all(
        entry.score > 50 and not grades.has_old_score(entry) for entry in scene.thunder.takes
    )


@pytest.mark.one_blender
def test_takes_whose_voice_has_changed_are_synced_again_first(scene):
    make_earlier(1, 2)
    noise(scene.thunder.sound_file, 2.0, seed=9)
    assert not offered(), "Re-sync samples them again"


@pytest.mark.one_blender
def test_an_edit_that_is_scored_live_is_of_the_weights_in_use(scene):
    (entry,) = make_earlier(2)
    answer = {"total": 60.0, "parts": {}, "findings": "[]", "weights": connection.weights_in_use()}
    live_score._store(entry.action.session_uid, answer, np.full(50, 60.0))
    assert not grades.has_old_score(entry) and record_in(entry)["weights"] == EARLIER


SAID = "The earlier take was made with other weights; new ones are made with those in use"


@pytest.mark.one_blender
@pytest.mark.parametrize("earlier", [True, False])
def test_what_samples_a_take_anew_says_that_its_weights_are_others(scene, capfd, earlier):
    entry = of_seed(2)
    entry.action[keying.PROPERTY]["reading"] = [0.0] * 23
    if earlier:
        make_earlier(2)
    scene.thunder_keep.upper_face = True
    for name, how in (("resample_rest", {}), ("retake", {"what": "WORD"}), ("more_like_this", {})):
        display.show(head.find(scene), of_seed(2))
        capfd.readouterr()
        assert getattr(bpy.ops.thunder, name)(**how) == {"FINISHED"}
        assert (SAID in capfd.readouterr().out) == earlier, name


@pytest.mark.one_blender
@pytest.mark.parametrize("earlier", [True, False])
def test_takes_of_a_chosen_seed_are_there_already_only_if_their_weights_are_the_same(
    scene, capfd, earlier
):
    if earlier:
        make_earlier(1, 2, 3)
    capfd.readouterr()
    assert bpy.ops.thunder.generate() == {"FINISHED"}
    said = capfd.readouterr().out
    assert (SAID in said) == earlier and ("These takes were there already" in said) != earlier


def test_a_take_that_is_sampled_for_another_sound_is_counted_as_of_other_weights(scene, capfd):
    make_earlier(1, 2)
    noise(scene.thunder.sound_file, 2.0, seed=9)
    capfd.readouterr()
    assert bpy.ops.thunder.resync() == {"FINISHED"}
    said = capfd.readouterr().out
    assert "Re-synced takes: 1 regenerated, 2 regenerated with other weights than before" in said
    assert not any(map(grades.has_old_score, scene.thunder.takes)) and not offered()
    assert {record_in(entry)["weights"] for entry in scene.thunder.takes} == {
        connection.weights_in_use()
    }


@pytest.mark.one_blender
def test_a_slider_does_not_sample_a_take_of_other_weights(scene):
    (entry,) = make_earlier(2)
    assert "made with other weights than those in use" in live.why_not(scene, entry)
    assert live.why_not(scene, of_seed(1)) == ""


# ---- which weights are in use


@pytest.mark.one_blender
def test_weights_of_ones_own_are_known_once_their_engine_has_answered(scene, client, tmp_path):
    make_earlier(2)
    preferences, client.weights = connection.preferences(), str(tmp_path / "own")
    shipped = connection.weights_in_use()
    try:
        preferences.weights = client.weights
        assert connection.weights_in_use() == "" and not offered()
        client.fingerprint, scene.thunder.seed = EARLIER, 11
        assert bpy.ops.thunder.generate() == {"FINISHED"}
        assert connection.weights_in_use() == EARLIER and not grades.has_old_score(of_seed(2))
        assert grades.has_old_score(of_seed(1)), "it is of the bundled ones"
    finally:
        preferences.weights = ""
    assert connection.weights_in_use() == shipped and grades.has_old_score(of_seed(2))


@pytest.mark.one_blender
def test_weights_that_training_left_without_a_distilled_model_are_taken(tmp_path):
    for path in connection.WEIGHTS.glob("*.safetensors"):
        (tmp_path / path.name).touch()
    (tmp_path / "head.npz").touch()
    (tmp_path / "distilled.safetensors").unlink()
    assert connection.check_weights(str(tmp_path)) == str(tmp_path)
    (tmp_path / "m2s.safetensors").unlink()
    with pytest.raises(BadWeights, match="lacks m2s.safetensors: choose"):
        connection.check_weights(str(tmp_path))
