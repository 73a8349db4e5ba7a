# SPDX-License-Identifier: GPL-3.0-or-later
"""What a committed line scores: as its take did, of the line that is meant, until somebody edits
it."""

import bpy
import numpy as np
import pytest
from performances import clicks, performance, show_take
from test_listening import edit, Engine, run
from thunder.scene.animation import display
from thunder.scene.review import live_score
from thunder.scene.takes import dialogue, provenance
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.scene.voice import strip
from thunder.thunder_core import progress

pytestmark = pytest.mark.one_blender

SECONDS = 3.0


@pytest.fixture
def engine(play, tmp_path):
    (tmp_path / "engine").mkdir()
    return play(Engine(tmp_path / "engine"))


@pytest.fixture
def entry(needs_sound, stage, scene, rig, tmp_path):
    """A head and two lines at 25 fps, a take of the first shown: its entry."""
    scene.render.fps = 25
    for name, start in (("one", 1), ("two", 126)):
        strip.add(scene, clicks(tmp_path / f"{name}.wav", (0.5, 1.5), SECONDS), name, start)
    dialogue.select(bpy.context, "one")
    entry = show_take(stage, performance(seconds=SECONDS, score=80.0), 1.0, "one")
    provenance.store_sync(entry.action, np.full(75, 80.0, np.float32))
    live_score.live.animation_scores.clear()
    return entry


def commit(scene, rig, entry, to="NEW"):
    scene.thunder.commit.to = to
    return progress.result(committing.commit(rig, entry, entry.voice, choice_of(scene, entry)))


def score(scene, rig):
    live_score.live.score_soon()
    run()
    return live_score.shown_score(scene, rig)


def own_entry(rig):
    """Something that `edit` can edit like a take."""

    class Own:
        action, more = live_score.animator_action(rig), ()

    return Own


def test_an_edit_of_a_committed_line_moves_its_score_by_what_it_changes(
    blender, entry, scene, rig, engine, tmp_path
):
    engine.total = 60.0
    commit(scene, rig, entry)
    untouched = score(scene, rig)  # that of its take
    assert untouched.total == pytest.approx(80.0) and untouched.drifts() == []
    edit(own_entry(rig), 30, 34)
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20 * 54 / 60)
    engine.total = 3.0  # lips that say something else do not pass for better ones
    assert score(scene, rig).total < 5
    live_score.live.animation_scores.clear()  # as in a later session
    engine.total = 54.0
    assert score(scene, rig).total == pytest.approx(54 + 20 * 54 / 60)


def test_the_score_of_a_committed_line_is_against_its_own_voice(blender, entry, scene, rig, engine):
    commit(scene, rig, entry)
    dialogue.select(blender.context, "two")
    measured = score(scene, rig)
    # line two begins at 126, and is not committed
    assert measured.clock.start == 1 and measured.total == pytest.approx(80.0)
    assert live_score.committed_line(blender.context, rig) == "one"
    dialogue.select(blender.context, "one")
    assert (
        live_score.shown_score(scene, rig) is measured
        and live_score.committed_line(blender.context, rig) == ""
    )


def test_each_of_two_committed_lines_has_its_score(blender, entry, scene, rig, engine):
    commit(scene, rig, entry)
    commit(
        scene,
        rig,
        show_take((scene, rig), performance(seconds=SECONDS, score=66.0, seed=3), 126.0, "two"),
        to="COPY",
    )
    for name, total in (("two", 66.0), ("one", 80.0)):
        dialogue.select(blender.context, name)
        assert live_score.shown_score(scene, rig) is None
        assert score(scene, rig).total == pytest.approx(total)
    dialogue.select(blender.context, "two")
    assert live_score.shown_score(scene, rig).total == pytest.approx(66.0)
    # the name is said of another line than the chosen one only
    assert live_score.committed_line(blender.context, rig) == ""


def test_what_is_committed_to_a_strip_is_known_and_says_why_it_has_no_score(
    blender, entry, scene, rig, engine
):
    assert committing.committed_lines(rig.mesh) == set()  # it has takes, which is something else
    commit(scene, rig, entry, to="STRIP")
    assert committing.committed_lines(rig.mesh) == {"one"}
    assert (
        live_score.animator_action(rig) is None
        and live_score.why_none(rig) == "This animation is in NLA strips: press Listen to score it"
    )
    progress.result(live_score.score_steps(engine, scene, rig, strip.find(blender.context)))
    assert (
        live_score.shown_score(scene, rig).total == pytest.approx(71.5)
        and live_score.why_none(rig) == ""
    )
    display.show(rig, entry)
    assert committing.committed_lines(rig.mesh) == {"one"}  # also while a take is shown over it
    display.restore_animation(rig)
    live_score.live.animation_scores.clear()
    for target in rig.targets:
        for track in target.animation_data.nla_tracks:
            track.mute = True
    assert live_score.why_none(rig) == ""
