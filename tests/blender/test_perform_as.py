# SPDX-License-Identifier: GPL-3.0-or-later
"""A line performs as another one: its take, or what is committed of it with the animator's own keys,
moves to the new recording and is listed there by name; what cannot is said, and nothing is lost."""

import json
import tomllib
from dataclasses import replace

import bpy
import numpy as np
import pytest
from commit_stage import commit, curves_of, path_of
from drawing import draw
from performances import noise, read_wav, set_keys, trim_end, trim_start, write_wav
from running_engine import find_or_skip, ROOT, SAMPLE, stop_engine  # noqa: F401
from test_bake import run_bake
from test_resync import cut, enter, resync, second_strip, speaking  # noqa: F401
from thunder.panels.sidebar import THUNDER_PT_main
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes import generation, own_keys, perform_as, take_list, take_record
from thunder.scene.takes.commit import committing, following
from thunder.scene.voice import strip
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.batch import job_file
from thunder.thunder_core.request import Request

pytestmark = pytest.mark.usefixtures("needs_sound")
SLOWER = 1.15
SMILE, BROW = path_of("mouthSmileLeft"), path_of("browInnerUp")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A line, and a pick-up of it that is said more slowly: their paths."""
    folder = tmp_path_factory.mktemp("recordings")
    samples, rate = read_wav(SAMPLE)
    samples = samples[: 5 * rate]
    slow = np.interp(np.arange(0, len(samples) - 1, 1 / SLOWER), range(len(samples)), samples)
    return [
        write_wav(folder / f"{name}.wav", sound, rate)
        for name, sound in (("old", samples), ("pickup", slow))
    ]


@pytest.fixture(scope="module")
def lines_file(recordings, head_file, tmp_path_factory):
    """A file of the two lines with a take of the first, the second chosen: made once, its path."""
    find_or_skip()
    if not strip.has_audio():
        pytest.skip("this Blender was built without sound")
    bpy.ops.wm.read_homefile(filepath=head_file)
    scene, path = bpy.context.scene, str(tmp_path_factory.mktemp("lines") / "lines.blend")
    settings = scene.thunder
    settings.quality, settings.count, settings.seed = "DRAFT", 1, 11
    settings.recognise_words = False
    for name, sound, frame in zip(("old", "pickup"), recordings, (11, 201)):
        strip.add(scene, sound, name, frame)
    choose(scene, "old")
    assert bpy.ops.thunder.generate() == {"FINISHED"}
    choose(scene, "pickup")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


@pytest.fixture
def lines(blender, lines_file):
    """The two lines on the timeline, a take of the first shown, the second chosen."""
    blender.ops.wm.open_mainfile(filepath=lines_file)
    return blender.context.scene


def choose(scene, name):
    scene.thunder.voice = name


def offered(scene):
    return perform_as.sources(scene, "pickup", head.in_scene(scene)[0])


def perform(source):
    """Press the button; the new take."""
    before = len(bpy.context.scene.thunder.takes)
    assert bpy.ops.thunder.perform_as(source=source.key) == {"FINISHED"}
    takes = bpy.context.scene.thunder.takes
    assert len(takes) == before + 1
    return next(entry for entry in takes if entry.voice == "pickup")


def moved(entry):
    return json.loads(take_record.about_of(entry.action)["moved"])


def test_a_pick_up_performs_as_the_take_of_the_old_line(lines):
    (source,) = offered(lines)
    old = next(entry for entry in lines.thunder.takes if entry.voice == "old")
    name = old.name
    assert (source.line, source.name) == ("old", name)
    rig = head.find(lines)
    kept = [keying.checksum_of(action) for action in display.actions_of(old)]
    new = perform(source)
    assert new.name == f"Performs as old · {name}" and new.kind == "RESAMPLED"
    assert new.action.name.startswith("pickup · Performs as old")
    old = next(entry for entry in lines.thunder.takes if entry.voice == "old")
    assert kept == [keying.checksum_of(action) for action in display.actions_of(old)]
    assert display.is_shown(rig, new), "it is seen at once"
    record = moved(new)
    assert len(record["accents"]) >= 4
    for a, b in record["accents"]:
        assert b == pytest.approx(SLOWER * a, abs=0.2)
    turns = [
        take_record.load(entry.action).motion.head for entry in (old, new)
    ]  # of the old one, and as it moved
    for a, b in record["accents"]:
        assert np.abs(turns[1][round(25 * b)] - turns[0][round(25 * a)]).max() < 0.02
    (score, before) = (entry.score for entry in (new, old))
    assert np.isfinite(score) and score > before - 15, "its mouth says the new recording"
    take_style = take_record.style_of_take(new.action)
    assert np.allclose(take_style, take_record.style_of_take(old.action), atol=1e-3)
    assert "hits " in new.words or "choice" not in take_record.about_of(old.action)


def test_a_line_that_was_moved_since_performs_as_before(lines):
    """Its recording is heard where it plays now, whatever lies where it was."""
    (source,) = offered(lines)
    before = moved(perform(source))
    strips = {each.name: each for each in compat.strips(lines.sequence_editor)}
    strips["old"].frame_start += 400
    new = perform(next(each for each in offered(lines) if each.line == "old"))
    assert len(before["accents"]) >= 4
    assert np.allclose(moved(new)["accents"], before["accents"], atol=0.04)


def own_keys_of(rig):
    """Keys of the animator's own on the committed line."""
    (line,) = following.lines_of(rig.mesh)
    return progress.result(own_keys.of_line(rig, line))


FRAMES = (42, 66)  # of keys of the animator's own


@pytest.fixture(scope="module")
def committed_file(lines_file, tmp_path_factory):
    """The same file, the old line committed, with a smile, a brow and a property keyed by hand."""
    bpy.ops.wm.open_mainfile(filepath=lines_file)
    scene, path = bpy.context.scene, str(tmp_path_factory.mktemp("committed") / "lines.blend")
    rig = head.find(scene)
    display.show(rig, next(entry for entry in scene.thunder.takes if entry.voice == "old"))
    choose(scene, "old")
    assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    set_keys(rig.keys.key_blocks["mouthSmileLeft"], "value", dict(zip(FRAMES, (0.83, 0.41))))
    set_keys(rig.keys.key_blocks["browInnerUp"], "value", {FRAMES[0]: 0.77})
    for frame, value in ((40, 0.0), (48, 1.0), (300, 0.0)):
        rig.armature["tears"] = value
        rig.armature.keyframe_insert('["tears"]', frame=frame)
    choose(scene, "pickup")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


@pytest.fixture
def committed(blender, committed_file):
    """That file, opened: its scene."""
    blender.ops.wm.open_mainfile(filepath=committed_file)
    return blender.context.scene


def test_committed_animation_moves_with_the_animator_s_own_keys(committed):
    rig = head.find(committed)
    source = offered(committed)[0]
    assert source.name == "Committed" and "your own keys" in source.about
    own = {each.path: each for each in own_keys_of(rig)}
    assert set(own) == {SMILE, BROW, '["tears"]'}
    assert own[SMILE].keys["co"][:, 0].tolist() == list(FRAMES)
    assert own['["tears"]'].keys["co"][:, 0].tolist() == [40, 48], "of the line alone"
    before = {
        (block, curve.data_path): fcurves.read(curve)["co"].tolist()
        for block, target in enumerate(rig.targets)
        for curve in compat.curves_for(target)
    }
    new = perform(source)
    assert new.name == "Performs as old · Committed"
    keys = [(each.path, frame) for each in own.values() for frame in each.keys["co"][:, 0]]
    places = dict(zip(keys, moved(new)["keys"]))
    curves = {
        (track.block, track.path): curve
        for track, curve in zip(rig.driver.tracks, keying.curves_of_tracks(rig, new))
    }
    for path, frame, value in ((SMILE, 42, 0.83), (SMILE, 66, 0.41), (BROW, 42, 0.77)):
        place = places[path, frame]
        assert place is not None
        assert place == pytest.approx(SLOWER * (frame - 11) / 24, abs=0.3), "on its word"
        at = round(201 + 24 * place)
        curve = next(curve for (_, known), curve in curves.items() if known == path)
        assert curve.evaluate(at) == pytest.approx(value, abs=1e-5)
    tears = [
        curve
        for curves_here in display.curves_of(rig, new)
        for curve in curves_here
        if curve.data_path == '["tears"]'
    ]
    assert [round(v, 4) for _, v in fcurves.read(tears[0])["co"]] == [0.0, 1.0]
    assert take_record.is_edited(new), "so that Re-sync keeps it"
    display.restore_animation(rig)
    after = {
        (block, curve.data_path): fcurves.read(curve)["co"].tolist()
        for block, target in enumerate(rig.targets)
        for curve in compat.curves_for(target)
    }
    assert after == before, "nothing of the committed line changed"
    display.show(rig, new)
    assert bpy.ops.thunder.commit_take() == {"FINISHED"}
    action = rig.armature.animation_data.action
    paths = [curve.data_path for curve in compat.all_curves(action)]
    assert '["tears"]' in paths, "and they are committed with it"


def test_under_a_shown_take_the_committed_line_is_read_too(committed):
    lines, rig = committed, head.find(committed)
    source = offered(lines)[0]
    alone = progress.result(perform_as.read_committed(lines, source))
    display.show(rig, next(e for e in lines.thunder.takes if e.voice == "old"))
    under = progress.result(perform_as.read_committed(lines, offered(lines)[0]))
    assert np.abs(alone.motion.expression - under.motion.expression).max() < 1e-4
    assert np.abs(alone.motion.head - under.motion.head).max() < 1e-4
    assert len(under.own) == len(alone.own) == 3


def test_keys_without_a_place_are_listed(committed):
    rig = head.find(committed)
    own = own_keys_of(rig)
    entry = next(e for e in committed.thunder.takes if e.voice == "old")
    clock = take_record.clock_of_take(entry)
    places = [None if each == own_keys.seconds_of(own, clock)[0] else 1.0 for each in
              own_keys.seconds_of(own, clock)]  # fmt: skip
    left = own_keys.enter(rig, entry, own, places, clock)
    assert left and all(" at frame 4" in each for each in left)
    sentence = own_keys.describe_unplaced(left)
    assert sentence.startswith("Keys of yours without a place in this recording were not set in")
    assert left[0] in sentence and own_keys.describe_unplaced([]) == ""
    many = own_keys.describe_unplaced([f"jawOpen at frame {n}" for n in range(9)])
    assert many.endswith("frame 4 and 4 more")


def test_what_cannot_be_performed_is_said(blender, lines):
    source = offered(lines)[0]
    operator = bpy.types.THUNDER_OT_perform_as
    assert operator.why_not(bpy.context) == ""
    lines.thunder.head_role = "LISTENS"
    assert "listens to this voice" in perform_as.why_none(bpy.context)
    lines.thunder.head_role = "SPEAKS"
    choose(lines, "old")
    assert "No other line has a take or is committed" in perform_as.why_none(bpy.context)
    with pytest.raises(RuntimeError, match="No other line has a take"):
        bpy.ops.thunder.perform_as(source=source.key)
    choose(lines, "pickup")
    strips = compat.strips(lines.sequence_editor)
    with pytest.raises(errors.BadRequest, match="No line “olde” has a take .* one of old$"):
        perform_as.of_line(lines, "pickup", "olde")
    gone = perform_as.Source("old", source.mesh, 1, "Take 9")
    with pytest.raises(errors.BadRequest, match="“Take 9” of “old” was deleted"):
        progress.result(perform_as._read_take(lines, gone))
    none = perform_as.Source("old", source.mesh, 0, "Committed")
    with pytest.raises(errors.BadRequest, match="no longer committed: choose one of its takes"):
        progress.result(perform_as.read_committed(lines, none))
    strips.remove(next(each for each in strips if each.name == "old"))
    with pytest.raises(errors.BadRequest, match="voice “old” was removed.*put it back"):
        progress.result(perform_as._read_take(lines, source))
    take_list.delete(lines, list(range(len(lines.thunder.takes))))
    assert "There is no other line: add the new recording" in perform_as.why_none(bpy.context)


def test_a_line_in_which_nobody_speaks_is_refused_and_nothing_is_listed(lines, tmp_path):
    source, count = offered(lines)[0], len(lines.thunder.takes)
    noise = 0.2 * np.random.default_rng(1).standard_normal(3 * 16000)
    strip.add(lines, write_wav(tmp_path / "noise.wav", noise), "noise", 401)
    choose(lines, "noise")
    with pytest.raises(RuntimeError, match="Nobody speaks in the new recording"):
        bpy.ops.thunder.perform_as(source=source.key)
    assert len(lines.thunder.takes) == count


def test_very_different_lengths_are_said():
    about = {"moved": json.dumps({"accents": [[1, 2]], "lost": [1.5], "seconds": [3.0, 6.0]})}
    first, second = perform_as.describe_changes("old", "new", about)
    assert first == "1 of 2 accents of “old” are on those of “new”; the old one's at 1.5 s have no place in it"  # fmt: skip
    assert "lasts 6.0 s and “old” 3.0 s: check that both say the same" in second
    assert "further apart" in second
    moved = {"accents": [[4, 2]], "lost": [], "seconds": [9.0, 3.0], "part": [3.5, 6.25]}
    first, second = perform_as.describe_changes("old", "pick-up", {"moved": json.dumps(moved)})
    assert first == "“pick-up” says 3.5 to 6.2 s of “old” again" and second.startswith("1 of 1")


def test_another_direction_is_not_the_new_line_s(lines):
    """A take of an angry reading is performed with an angry mouth, whatever the head's direction is
    now."""
    rig = head.find(lines)
    entry = next(e for e in lines.thunder.takes if e.voice == "old")
    record = entry.action[keying.PROPERTY]
    vector = list(record["direction"])
    vector[0] = 1.5
    record["direction"], record["reading"] = vector, vector
    read = progress.result(perform_as._read_take(lines, offered(lines)[0]))
    assert read.direction.mean(0)[0] == pytest.approx(1.5, abs=1e-3)
    new = perform(offered(lines)[0])
    about = take_record.about_of(new.action)
    assert about["direction"][0] == pytest.approx(1.5, abs=1e-3)
    assert generation.complete(Request(), bpy.context.scene, rig, strip.find(bpy.context)).direction.vectors[0, 0] == 0  # fmt: skip


def test_jobs_dub_a_committed_line_and_report_what_changed(committed, recordings, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"), copy=True)
    samples, rate = read_wav(recordings[0])
    jobs = ["[defaults]", 'blend = "shot.blend"', 'perform-line = "old"', "takes = 1"]
    jobs += ['quality = "draft"', 'outputs = ["npz"]', '[jobs."old de"]', 'audio = "de.wav"']
    at = np.arange(0, len(samples) - 1, 1 / 1.1)
    write_wav(tmp_path / "de.wav", np.interp(at, range(len(samples)), samples), rate)
    (tmp_path / "season.toml").write_text("\n".join(jobs))
    done = run_bake("--jobs", tmp_path / "season.toml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "old de"
    told = json.loads((folder / "report.json").read_text())["performed"]
    assert (told["line"], told["take"]) == ("old", "Committed")
    assert len(told["accents"]) >= 4 and "keys" not in told
    assert all(b == pytest.approx(1.1 * a, abs=0.25) for a, b in told["accents"])
    assert told["said"][0].endswith("accents of “old” are on the same words of “de”")
    assert told["keys_left"] == [] and (folder / "take_01.npz").exists()
    wrong = run_bake("--blend", tmp_path / "shot.blend", "--audio", tmp_path / "de.wav", "--out",
                 tmp_path / "no", "--perform-line", "olde")  # fmt: skip
    assert wrong.returncode == 1 and "name one of old" in wrong.stderr


def test_the_job_file_for_a_season_in_the_guide_has_no_mistake():
    guide = (ROOT / "docs" / "guide" / "jobs.md").read_text()
    example = guide.split("## A season in five languages")[1].split("```toml")[1].split("```")[0]
    found = job_file.read(tomllib.loads(example), "season.toml", "/season")
    assert not found.mistakes and len({job.settings["audio"] for job in found.jobs}) == 3
    assert all("perform-line" in job.settings for job in found.jobs)


# ---- Re-sync of committed lines


OUTER_BROW, PUCKER, ROLL = map(path_of, ("browOuterUpLeft", "mouthPucker", "mouthRollLower"))


@pytest.fixture
def committed_line(speaking, scene, rig):  # noqa: F811
    """A line of frames 11 to 110, committed as poses among keys of the animator's, and edited by
    hand: its strip."""
    own = {-20: 0.1, 50: 0.7, 60: 0.2, 300: 0.3}
    set_keys(rig.keys.key_blocks["browOuterUpLeft"], "value", own)
    commit(scene.thunder.takes[0], "COPY", keys="POSES", error=0.6, regions=frozenset({"Mouth"}))
    set_keys(rig.keys.key_blocks["mouthPucker"], "value", {60: 0.61})
    return speaking


def keys_of(rig):
    """{path and index: [(frame, value)]} of what a head plays."""
    return {
        place: [(round(float(x), 3), round(float(y), 5)) for x, y in fcurves.read(curve)["co"]]
        for place, curve in curves_of(rig).items()
    }


def values(rig, first, last):
    """{path and index: [T]} of what a head plays from one frame to another, but for the brow."""
    return {
        place: np.array([curve.evaluate(frame) for frame in range(first, last + 1)])
        for place, curve in curves_of(rig).items()
        if place != (OUTER_BROW, 0)
    }


def lines_on(rig):
    (action,) = {target.animation_data.action for target in rig.targets}
    return line_records.lines_of(action).lines


def follow(scene):
    """Let committed lines follow: their number, and the sentences on those that do not."""
    left, moved = [], []
    progress.result(following.follow(scene, left, moved.append))
    return sum(moved), left


@pytest.mark.parametrize("frames", [24, -8])
def test_a_moved_strip_takes_its_committed_keys_along_with_those_edited_by_hand(
    blender, committed_line, scene, rig, frames
):
    before, keys = values(rig, 11, 110), keys_of(rig)
    strip.move(committed_line, 11 + frames)
    ((*_, change),) = following.stale_lines(scene)
    assert change.sentence == f"“line” was moved by {frames:+d} frames since it was committed"
    assert blender.ops.thunder.resync() == {"FINISHED"}
    after = values(rig, 11 + frames, 110 + frames)
    assert max(np.abs(after[place] - before[place]).max() for place in before) < 1e-5
    assert (60.0 + frames, 0.61) in keys_of(rig)[PUCKER, 0]
    # what lies on its frames goes along, what lies around it stays
    assert [x for x, _ in keys_of(rig)[OUTER_BROW, 0]] == [-20, 50 + frames, 60 + frames, 300]
    assert sum(map(len, keys_of(rig).values())) == sum(map(len, keys.values()))
    (line,) = lines_on(rig)
    assert (line.first, line.last) == (11 + frames, 110 + frames)
    assert following.stale_lines(scene) == [] and not blender.ops.thunder.resync.poll()
    # its own keys are still known: a new commit replaces them and names those set by hand
    report = commit(scene.thunder.takes[0], "OWN", keys="POSES", error=0.6)
    assert report.edited and len(lines_on(rig)) == 1


def resync_words(blender):
    """The words of the panel's button."""
    layout = draw(THUNDER_PT_main, blender.context)
    return [words for words in layout.texts("operator") if words.startswith("Re-sync")]


def test_a_line_whose_takes_are_gone_follows_too(blender, committed_line, scene, rig):
    assert resync_words(blender) == []
    strip.move(committed_line, 31)
    assert resync_words(blender) == ["Re-sync 2 Takes and 1 Line"]
    scene.thunder.takes.clear()
    assert resync_words(blender) == ["Re-sync 1 Line"]
    assert blender.ops.thunder.resync() == {"FINISHED"}
    assert (lines_on(rig)[0].first, keys_of(rig)[OUTER_BROW, 0][1][0]) == (31, 70)


def test_a_line_of_an_earlier_version_follows_by_its_takes(committed_line, scene, rig):
    (line,) = lines_on(rig)
    (action,) = {target.animation_data.action for target in rig.targets}
    old = line_records.CommittedLine(
        *(getattr(line, n) for n in ("name", "first", "last", "start", "end"))
    )
    line_records.remember_lines(action, line_records.CommittedLines("", (old,)))
    assert following.stale_lines(scene) == []
    strip.move(committed_line, 31)
    assert follow(scene) == (1, []) and lines_on(rig)[0].first == 31


def test_only_what_follows_is_moved_while_a_take_is_shown(committed_line, scene, rig, client):
    display.show(rig, scene.thunder.takes[1])
    strip.move(committed_line, 31)
    assert sorted(resync(scene, client)) == ["LINE", "MOVED", "MOVED"]
    display.restore_animation(rig)
    assert lines_on(rig)[0].first == 31 and keys_of(rig)[OUTER_BROW, 0][1][0] == 70


def test_keys_in_the_way_are_not_overwritten(blender, committed_line, scene, rig, client):
    set_keys(rig.keys.key_blocks["mouthPucker"], "value", {140: 0.9})
    before = keys_of(rig)
    strip.move(committed_line, 61)
    count, (sentence,) = follow(scene)
    assert count == 0 and keys_of(rig) == before
    assert sentence == (
        "“line” was not moved along: other keys are on its new frames. Move them, then press "
        "Re-sync again"
    )
    assert blender.ops.thunder.resync() == {"FINISHED"} and blender.ops.thunder.resync.poll()
    curves_of(rig)[PUCKER, 0].keyframe_points[-1].co[0] = 260
    assert follow(scene) == (1, []) and lines_on(rig)[0].first == 61


@pytest.mark.parametrize("by_hand", [True, False], ids=["moved by hand", "another sound"])
def test_keys_that_are_not_where_the_line_is_or_of_another_sound_stay(
    committed_line, scene, rig, voice, by_hand
):
    wanted = (
        "The sound of “line” was replaced since it was committed: its keys stay, commit one of its "
        "takes again"
    )
    if by_hand:
        (action,) = {target.animation_data.action for target in rig.targets}
        compat.shift(action, 24)
        strip.move(committed_line, 35)
        wanted = (
            "“line” is no longer where it was committed, so its keys stay: move them by +24 "
            "frames, or commit one of its takes again"
        )
    else:
        noise(voice, 4.0, seed=5)
    before = keys_of(rig)
    assert follow(scene) == (0, [wanted])
    assert keys_of(rig) == before and following.stale_lines(scene) == []


@pytest.mark.parametrize("again", [False, True], ids=["as it was", "committed while it was short"])
def test_a_trimmed_strip_keeps_its_committed_keys_and_plays_them_when_it_is_lengthened_again(
    committed_line, scene, rig, client, again
):
    before = keys_of(rig)
    trim_start(committed_line, 20)
    trim_end(committed_line, 10)
    count, (sentence,) = follow(scene)
    assert count == 0 and keys_of(rig) == before
    assert sentence.endswith("its keys are all kept, also those whose sound is gone")
    resync(scene, client)
    take = scene.thunder.takes[0]
    assert (lines_on(rig)[0].first, lines_on(rig)[0].last) == (take.first, take.last) == (31, 100)
    scene.thunder.commit.to = "OWN"
    assert committing.is_committed(scene, rig.mesh, take)
    if again:
        line_records.remember_lines(
            rig.targets[0].animation_data.action,
            line_records.CommittedLines("", (replace(lines_on(rig)[0], start=21, end=113),)),
        )
    trim_start(committed_line, 0)
    trim_end(committed_line, 0)
    _, left = follow(scene)
    assert keys_of(rig) == before
    if again:
        assert (lines_on(rig)[0].first, lines_on(rig)[0].last) == (31, 100)
        assert left[0].endswith("what is new of it has no keys yet")
    else:
        assert (lines_on(rig)[0].first, lines_on(rig)[0].last, left) == (11, 110, [])


def test_a_piece_that_was_cut_off_and_moved_takes_its_part_along(
    committed_line, scene, rig, client
):
    strip.keep_speaker(scene, "line", rig.mesh)
    before = values(rig, 11, 110)
    _, right = cut(committed_line, 61)
    strip.move(right, compat.content_start(right) + 150)
    assert resync(scene, client).count("LINE") == 1
    first, second = sorted(lines_on(rig), key=lambda line: line.first)
    assert (first.name, first.first, first.last) == ("line", 11, 60)
    assert (second.name, second.first, second.last) == (right.name, 211, 260)
    after = values(rig, 11, 260)
    for place, old in before.items():
        assert np.abs(after[place][:40] - old[:40]).max() < 1e-4
        assert np.abs(after[place][205:250] - old[55:100]).max() < 1e-4
    assert following.stale_lines(scene) == []


def test_another_scene_rate_takes_committed_keys_along(committed_line, scene, rig):
    scene.render.fps = 50
    before = values(rig, 11, 110)
    assert follow(scene)[0] == 1
    start = following.stale_lines(scene) == [] and lines_on(rig)[0].first
    after = values(rig, start, start + 198)
    assert all(np.abs(after[place][::2] - before[place]).max() < 1e-4 for place in before)


def test_a_strip_in_the_nla_is_moved(committed_line, scene, rig):
    head_now = head.find(scene)
    commit(scene.thunder.takes[1], "STRIP")
    strips = [
        s
        for t in head_now.targets
        for track in t.animation_data.nla_tracks
        for s in track.strips
        if line_records.lines_of(s.action) and s.name == "line"
    ]
    starts = [s.frame_start for s in strips]
    assert starts
    strip.move(committed_line, 35)
    assert follow(scene)[0] >= 1
    assert [s.frame_start for s in strips] == [start + 24 for start in starts]
    assert following.stale_lines(scene) == []


def test_lines_that_change_places_pass_each_other(committed_line, scene, rig):
    other = second_strip(scene, committed_line)
    strip.move(other, 211)
    enter(scene, rig, other, 3)
    commit(scene.thunder.takes[-1], "OWN", keys="POSES", error=0.6, regions=frozenset({"Mouth"}))
    one, two = values(rig, 11, 110), values(rig, 211, 310)
    strip.move(committed_line, 211)
    strip.move(other, 11)
    assert follow(scene) == (2, [])
    for before, after in ((one, values(rig, 211, 310)), (two, values(rig, 11, 110))):
        assert max(np.abs(after[place] - before[place]).max() for place in before) < 1e-5
    assert {(line.name, line.first) for line in lines_on(rig)} == {("line", 211), (other.name, 11)}
