# SPDX-License-Identifier: GPL-3.0-or-later
"""What a committed line scores: as its take did, of the line that is meant, until somebody edits it."""

import numpy as np
import pytest
from performances import clicks
from test_listening import edit, Engine, run
from thunder.scene.animation import display
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import jobs
from thunder.scene.review import listening, live_score, overlay
from thunder.scene.takes import dialogue, provenance, take_list
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.scene.voice import strip
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.animation.commit import line_records

pytestmark = pytest.mark.one_blender

SECONDS = 3.0


@pytest.fixture
def engine(monkeypatch, tmp_path):
    folder = tmp_path / "engine"
    folder.mkdir()
    engine = Engine(folder)
    monkeypatch.setattr(connection, "client", lambda: engine)
    return engine


@pytest.fixture
def lines(needs_sound, blender, tmp_path):
    """A head and two lines at 25 fps, a take of the first shown: (scene, rig, its entry)."""
    from performances import key, performance

    blender.ops.thunder.add_head()
    scene = blender.context.scene
    scene.render.fps = 25
    for name, start in (("one", 1), ("two", 126)):
        strip.add(scene, clicks(tmp_path / f"{name}.wav", (0.5, 1.5), SECONDS), name, start)
    dialogue.select(blender.context, "one")
    rig = head.find(scene)
    made, clock = performance(seconds=SECONDS, score=80.0), timing.Clock.of(scene, 1.0)
    entry = take_list.add_to_list(scene, rig, key(rig, made, clock, "take"), made, "one", clock)
    provenance.store_sync(entry.action, np.full(75, 80.0, np.float32))
    display.show(rig, entry)
    live_score.live.own.clear()
    return scene, rig, entry


def commit(scene, rig, entry, to="NEW"):
    scene.thunder.commit.to = to
    return progress.result(committing.commit(rig, entry, entry.voice, choice_of(scene, entry)))


def score(scene, rig):
    live_score.live.look()
    run()
    return live_score.shown_score(scene, rig)


def own_entry(rig):
    """Something that `edit` can edit like a take."""

    class Own:
        action, more = live_score.own_action(rig), ()

    return Own


def test_an_untouched_commit_has_the_score_of_its_take(blender, lines, engine):
    scene, rig, entry = lines
    engine.total = 60.0  # what the fewer keys are worth to mesh-to-speech
    commit(scene, rig, entry)
    measured = score(scene, rig)
    assert measured.total == pytest.approx(80.0) and measured.per_frame[:75] == pytest.approx(80.0, abs=0.01) and measured.drifts() == []


def test_an_edit_of_a_committed_line_moves_its_score_by_what_it_changes(blender, lines, engine, tmp_path):
    scene, rig, entry = lines
    engine.total = 60.0
    commit(scene, rig, entry)
    score(scene, rig)
    edit(own_entry(rig), 30, 34)
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20 * 54 / 60)
    engine.total = 3.0  # lips that say something else do not pass for better ones
    assert score(scene, rig).total < 5
    live_score.live.own.clear()  # as in a later session
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20 * 54 / 60)


def test_what_a_coarse_commit_loses_is_counted(blender, lines, engine):
    scene, rig, entry = lines
    scene.thunder.commit.error = 2.4
    engine.total = 40.0
    commit(scene, rig, entry)
    assert score(scene, rig).total == pytest.approx(40 + 0.25 * 40)


def test_a_part_of_a_take_is_scored_as_it_is(blender, lines, engine):
    scene, rig, entry = lines
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 20, 60
    scene.thunder.commit.range = "PREVIEW"
    commit(scene, rig, entry)
    assert score(scene, rig).total == pytest.approx(71.5)
    assert line_records.score_of(live_score.own_action(rig), "one") is None


def test_the_score_of_a_committed_line_is_against_its_own_voice(blender, lines, engine):
    scene, rig, entry = lines
    commit(scene, rig, entry)
    dialogue.select(blender.context, "two")
    measured = score(scene, rig)
    assert measured.clock.start == 1 and measured.total == pytest.approx(80.0)  # line two begins at 126, and is not committed
    assert live_score.committed_line(blender.context, rig) == "one"
    dialogue.select(blender.context, "one")
    assert live_score.shown_score(scene, rig) is measured and live_score.committed_line(blender.context, rig) == ""


def test_each_of_two_committed_lines_has_its_score(blender, lines, engine):
    from performances import key, performance

    scene, rig, entry = lines
    commit(scene, rig, entry)
    made, clock = performance(seconds=SECONDS, score=66.0, seed=3), timing.Clock.of(scene, 126.0)
    second = take_list.add_to_list(scene, rig, key(rig, made, clock, "take two"), made, "two", clock)
    display.show(rig, second)
    commit(scene, rig, second, to="COPY")
    for name, total in (("two", 66.0), ("one", 80.0)):
        dialogue.select(blender.context, name)
        assert live_score.shown_score(scene, rig) is None
        assert score(scene, rig).total == pytest.approx(total)
    dialogue.select(blender.context, "two")
    assert live_score.shown_score(scene, rig).total == pytest.approx(66.0)
    assert live_score.committed_line(blender.context, rig) == ""  # the name is said of another line than the chosen one only


def test_a_panel_asks_for_a_missing_score_once(blender, lines, engine):
    scene, rig, entry = lines
    commit(scene, rig, entry)
    live_score.live.stop()
    live_score.request_score(scene, rig)
    assert live_score.live.is_running
    run()
    assert live_score.shown_score(scene, rig).total == pytest.approx(80.0)
    live_score.request_score(scene, rig)
    assert not live_score.live.is_running


def test_why_there_is_no_score_is_told(blender, lines, engine):
    scene, rig, entry = lines
    commit(scene, rig, entry)
    rig.armature.pose.bones["neck"].constraints.new("LIMIT_SCALE")
    live_score.request_score(scene, rig)
    run()
    assert live_score.shown_score(scene, rig) is None and "press Listen" in live_score.why_none(rig)
    live_score.request_score(scene, rig)
    assert not live_score.live.is_running  # asking again would tell the same


def test_listen_scores_what_only_the_scene_itself_tells(blender, lines, engine):
    scene, rig, entry = lines
    commit(scene, rig, entry)
    rig.armature.pose.bones["neck"].constraints.new("LIMIT_SCALE")
    voice = strip.find(blender.context)
    assert jobs.run_through("Listening", live_score.listen(engine, scene, rig, voice, 1, 75)) == (1, 75)
    assert [verb for verb, *_ in engine.asked] == ["listen", "score"]
    assert live_score.shown_score(scene, rig).total == pytest.approx(80.0)
    assert listening.listening_strip(blender.context)[1] is not None


def test_curves_in_the_timeline_are_of_the_head_that_is_meant(blender, lines, engine):
    scene, rig, entry = lines
    assert overlay.content_of(blender.context).score.total == pytest.approx(80.0)
    blender.ops.thunder.add_head()
    scene.thunder.head = next(mesh for mesh in head.in_scene(scene) if mesh != rig.mesh)
    content = overlay.content_of(blender.context)
    assert content is None or (content.score is None and content.opening is None)
    scene.thunder.head = rig.mesh
    assert overlay.content_of(blender.context).score is not None


def test_a_record_that_something_else_wrote_is_no_score(blender, lines):
    scene, rig, entry = lines
    commit(scene, rig, entry)
    action = live_score.own_action(rig)
    assert line_records.score_of(action, "one").take == pytest.approx(80.0)
    for nonsense in (
        3,
        "text",
        {"lines": 4},
        {"lines": {"one": {"take": "x", "share": 1.0}}},
        {"version": 99, "lines": {}},
        {"lines": {"one": {"take": float("nan"), "share": 1.0}}},
    ):
        action[line_records.SCORES] = nonsense
        assert line_records.score_of(action, "one") is None
        line_records.remember_score(action, "one", line_records.LineScore(70.0, None, 1.0))
        assert line_records.score_of(action, "one").take == pytest.approx(70.0)


def test_what_is_committed_to_an_action_or_a_strip_is_known(blender, lines, engine):
    from thunder.scene.takes.commit.committing import committed_to

    scene, rig, entry = lines
    assert committed_to(rig.mesh) == set()  # it has takes, which is something else
    commit(scene, rig, entry, to="STRIP")
    assert committed_to(rig.mesh) == {"one"}
    display.show(rig, entry)
    assert committed_to(rig.mesh) == {"one"}  # also while a take is shown over it


def test_animation_in_nla_strips_says_why_it_has_no_score(blender, lines, engine):
    scene, rig, entry = lines
    commit(scene, rig, entry, to="STRIP")
    assert live_score.own_action(rig) is None
    assert "NLA strips" in live_score.why_none(rig)
    for target in rig.targets:
        for track in target.animation_data.nla_tracks:
            track.mute = True
    assert live_score.why_none(rig) == ""


def test_only_a_line_that_was_listened_to_is_compared_with_the_original(blender, lines, engine, tmp_path):
    scene, rig, entry = lines
    assert not listening.can_compare(blender.context)
    listening.place(scene, clicks(tmp_path / "said.wav", (0.5,), SECONDS), listening.name_of(rig.mesh), 1)
    assert listening.can_compare(blender.context)
    dialogue.select(blender.context, "two")
    assert not listening.can_compare(blender.context)
    listening.listening_strip(blender.context)[1].mute = False
    assert listening.can_compare(blender.context)  # so that it can be silenced again


def drawn(panel, context):
    """Labels that a panel draws."""
    from types import SimpleNamespace

    said = []

    class Layout:
        def __getattr__(self, name):
            return lambda *args, **how: said.append(how["text"]) if name == "label" and "text" in how else Layout()

        def __setattr__(self, name, value):
            pass

    shown = SimpleNamespace(layout=Layout())
    shown._why_grey = lambda context: panel._why_grey(shown, context)
    panel.draw(shown, context)
    return " ".join(said)


def test_a_grey_commit_button_says_why(blender, lines, engine):
    from types import SimpleNamespace

    from thunder.panels.shown_take import THUNDER_PT_commit

    scene, rig, entry = lines
    region, scale = SimpleNamespace(width=6000), SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
    context = SimpleNamespace(scene=scene, object=rig.mesh, region=region, preferences=scale)
    context.view_layer = blender.context.view_layer
    assert drawn(THUNDER_PT_commit, context) == ""
    commit(scene, rig, entry)
    assert drawn(THUNDER_PT_commit, context) == "Committed: choose a take to commit again"
