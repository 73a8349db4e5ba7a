# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses: a committed line has keys on few frames that the curves of a region share, within the
error; what is not chosen and what never moves stays as the animator has it; a whole dialogue is
committed in one go."""

import time
from dataclasses import replace

import numpy as np
import pytest
from commit_stage import (  # noqa: F401
    animate,
    choose,
    commit,
    count_keys,
    curve_of,
    curves_of,
    distances,
    everything,
    key_frames,
    numbers,
    path_of,
    seen,
    show,
    spoken,
    stage,
)
from performances import list_take, set_keys, show_take, write_wav
from thunder.scene.animation import display
from thunder.scene.heads import head as head_module
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.takes import dialogue as takes_dialogue
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.scene.takes.shape import applying
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import posing
from thunder.thunder_core.animation.commit import line_records
from thunder.thunder_core.animation.keys import shift_distances
from thunder.thunder_core.animation.poses import REGIONS
from thunder.thunder_core.face.moving import displacement
from thunder.thunder_core.types import CLOSED_MM

pytestmark = pytest.mark.one_blender

ERROR = 0.6


@pytest.fixture
def poses(stage):
    """The stage of the commit tests, to which Poses are committed."""
    choose(stage[0], error=ERROR)
    return stage


def region_of(curve):
    """The region of a curve of our own head."""
    return posing.region_of(curve.data_path.partition('["')[2])


@pytest.mark.parametrize("error", [0.6, 0.3])
def test_its_progress_tells_within_a_factor_of_two_how_long_it_will_take(poses, scene, error):
    show(poses, seconds=6.0)
    entry = scene.thunder.takes[0]
    choose(scene, error=error, to="NEW")
    steps, spent = committing.commit_line(scene, entry, committing.CommitLog()), [0.0]
    fractions, start = [0.0], time.thread_time()
    for step in steps:
        fractions.append(max(step.fraction, fractions[-1]))
        spent.append(time.thread_time() - start)
    done, of_time = np.array(fractions), np.array(spent) / spent[-1]
    shown = (of_time > 0.1) & (of_time < 0.8)  # how often poses are mended at the end varies
    done, of_time = done[shown], of_time[shown]
    # what the rest takes at the pace so far, relative to what it takes
    off = (1 - done) / done * of_time / (1 - of_time)
    assert (off > 0.5).mean() > 0.9 and (off < 2.0).mean() > 0.9, np.quantile(off, (0, 0.1, 0.9, 1))


def test_a_line_becomes_poses_within_the_error(blender, poses, scene, rig):
    entry = show(poses, seconds=2.4)
    first, frames = entry.first, entry.last - entry.first + 1
    eighths = first + np.arange((frames - 1) * 8 + 1) / 8
    _, before, gap = numbers(rig, eighths)
    of_take = count_keys(rig)
    choose(scene, error=ERROR, to="NEW")
    report = progress.result(committing.commit(rig, entry, "Poses", choice_of(scene, entry)))
    curves = curves_of(rig).values()
    # the report is what the file has
    assert report.keys == count_keys(rig) == report.total
    carrying = set().union(*(key_frames(curve) for curve in curves))
    # the take and how it begins and ends
    assert report.key_frames == len(carrying) and report.frames >= frames
    assert str(report.keys) in report.sentence and str(report.key_frames) in report.sentence
    assert report.keys < 0.3 * of_take
    assert len(carrying) < 0.5 * report.frames  # this made take moves faster than speech does
    # lips, face, head and eyes are where the take had them, at parts of frames too
    _, after, gap_now = numbers(rig, eighths)
    lips, _, head, eyes = distances(before, after)
    # by half a frame: head and eyes do not speak
    early_or_late = shift_distances(displacement.positions(before))
    assert lips.max() <= ERROR * 1.001
    assert (head <= (3 * ERROR + early_or_late[:, -2]) * 1.001).all() and (
        eyes <= (ERROR + early_or_late[:, -1]) * 1.001
    ).all()
    assert lips.max() == pytest.approx(report.error, abs=0.03)
    closed = gap[::8] < 0.6
    assert closed.sum() >= 4 and (gap_now[::8][closed] < 0.6).all()
    assert np.abs(gap_now - gap)[::8][closed].max() < 0.15
    # readable: groups by region, keys of the mouth on common frames, nothing that never moves
    for curve in curves:
        assert curve.group.name == region_of(curve)
    assert {curve.group.name for curve in curves} <= set(REGIONS)
    mouth = [key_frames(curve) for curve in curves if curve.group.name in ("Mouth", "Jaw")]
    assert max(map(len, mouth)) > 0.5 * len(set().union(*mouth))
    kinds = {point.type for curve in curves for point in curve.keyframe_points}
    # closures, poses, breakdowns
    assert {"EXTREME", "KEYFRAME"} <= kinds <= {"EXTREME", "KEYFRAME", "BREAKDOWN"}


def test_only_the_chosen_regions_are_committed(blender, poses, scene, rig):
    animate(rig)
    rig.keys.key_blocks["browOuterUpLeft"].value = 0.4
    own = {(c.data_path, c.array_index): everything_of(c) for c in curves_of(rig).values()}
    stood = {block.name: block.value for block in rig.keys.key_blocks}
    show(poses, seconds=1.6)
    choose(scene, brows=False, eyes=False, head=False, tongue=False, cheeks=False)
    blender.ops.thunder.commit_take()
    for curve in curves_of(rig).values():
        if region_of(curve) not in ("Mouth", "Jaw"):
            assert everything_of(curve) == own[curve.data_path, curve.array_index]
    paths = {curve.data_path for curve in curves_of(rig).values()}
    assert any("mouthFunnel" in path for path in paths) and not any(
        "eyeBlink" in path for path in paths
    )
    scene.frame_set(40)
    for name in ("browInnerUp", "browOuterUpLeft", "eyeBlinkLeft", "tongueTipUp"):
        assert rig.keys.key_blocks[name].value == pytest.approx(stood[name]), name


def everything_of(curve):
    return [
        (tuple(p.co), tuple(p.handle_left), tuple(p.handle_right), p.interpolation)
        for p in curve.keyframe_points
    ]


def test_a_still_channel_has_a_curve_only_where_it_would_stand_elsewhere(blender, poses, rig):
    rig.keys.key_blocks["noseSneerLeft"].value = 0.5  # the take has it at 0
    set_keys(rig.keys.key_blocks["cheekPuff"], "value", {200: 0.3})  # the animator's own curve
    entry = show(poses, seconds=1.6)
    first, last = entry.first, entry.last
    blender.ops.thunder.commit_take()
    curves = {curve.data_path: curve for curve in curves_of(rig).values()}
    assert 'key_blocks["noseSneerRight"].value' not in curves
    for name, later in (("noseSneerLeft", 0.5), ("cheekPuff", 0.3)):
        curve = curves[f'key_blocks["{name}"].value']
        assert (
            curve.evaluate(first)
            == curve.evaluate((first + last) // 2)
            == curve.evaluate(last)
            == 0.0
        )
        assert curve.evaluate(last + 20) == pytest.approx(later)
    assert rig.keys.key_blocks["noseSneerRight"].value == 0.0


@pytest.fixture
def heads(needs_sound, heads, scene, tmp_path):
    """Two heads, three lines with two takes each, a fourth without any: the heads."""
    scene.render.fps = 24
    silence = write_wav(tmp_path / "voice.wav", np.zeros(16000))
    lines = {"one": (1, 0), "two": (41, 1), "three": (81, 0), "four": (121, 1)}
    for number, (name, (start, head)) in enumerate(lines.items()):
        strip.add(scene, silence, name, start)
        takes_dialogue.cast(scene, name, heads[head])
        if name != "four":
            rig = head_module.resolve(heads[head])
            for take in range(2):
                entry = list_take(
                    (scene, rig), spoken(seconds=1.0, seed=10 * number + take), float(start), name
                )
                entry.score = 60.0 + 10 * take
    choose(scene, error=1.0)
    return heads


def test_all_dialogue_is_committed_in_one_step(blender, heads, scene):
    find = head_module.resolve
    # of line one the worse take is shown: that is the one
    display.show(find(heads[0]), scene.thunder.takes[0])
    wanted = {}
    for head, index in ((heads[0], 0), (heads[1], 3), (heads[0], 5)):
        entry = scene.thunder.takes[index]
        curve = next(c for c in compat.all_curves(entry.action) if "mouthFunnel" in c.data_path)
        for frame in range(entry.first, entry.last + 1):
            wanted[head, frame] = curve.evaluate(frame)
    blender.ops.ed.undo_push(message="before")
    before = everything(blender)
    assert blender.ops.thunder.commit_all() == {"FINISHED"}
    blender.ops.ed.undo_push(message="Commit All Dialogue")
    for (head, frame), value in wanted.items():
        assert abs(curve_of(find(head), "mouthFunnel").evaluate(frame) - value) < 0.2
    assert not any(display.shown_action(find(head)) for head in heads)
    takes = {take.action.name for take in scene.thunder.takes}
    # one for each head, both lines of the first in one
    made = [action for action in blender.data.actions if action.name not in takes]
    assert len(made) == (2 if compat.HAS_SLOTS else 4)
    blender.ops.ed.undo()
    assert everything(blender) == before


def test_what_a_head_shows_as_a_listener_is_committed_with_its_lines(blender, heads, scene):
    listener, rig = heads[0], head_module.resolve(heads[0])
    # it listens to the line of the other head
    made = spoken(seconds=1.0, seed=9)
    made.provenance["role"] = "listens"
    entry = show_take((scene, rig), made, 41.0, "two")
    assert entry.role == "LISTENS"
    done = committed_all(scene)
    assert committing.committed_lines(listener) == {"one", "two", "three"}
    assert len(done.reports) == 4 and display.shown_action(head_module.resolve(listener)) is None


def test_a_shown_take_that_does_not_fit_its_line_is_said_to_be_left(blender, heads, scene):
    display.show(head_module.resolve(heads[0]), scene.thunder.takes[0])
    takes = scene.thunder.takes
    state = strip.of_strip(scene, strip.by_name(scene, "one")).state
    fingerprint.remember(takes[0].action, replace(state, sound="another"))
    done = committed_all(scene)
    assert len(done.reports) == 3
    assert f"“{takes[0].name}” of “one”, shown, does not fit its line" in done.left_out


def test_lines_that_cannot_be_committed_are_named_and_cost_only_themselves(blender, heads, scene):
    done = committed_all(scene)
    assert len(done.reports) == 3 and len(done.heads) == 2
    assert done.left_out == ["“four” has no take that matches it: generate some first"]
    assert done.sentence.startswith(
        f"3 lines committed on 2 heads: {key_count(heads)} keys in {2 if compat.HAS_SLOTS else 4} "
        f"actions"
    )
    # a committed line whose take is shown is committed again
    display.show(head_module.resolve(heads[0]), scene.thunder.takes[0])
    done = committed_all(scene)
    assert len(done.reports) == 1 and sorted(done.already) == ["three", "two"]
    for entry in scene.thunder.takes:
        if entry.voice == "two":
            progress.result(applying.move(head_module.resolve(entry.head), entry, 3))
            entry.first, entry.last = entry.first + 3, entry.last + 3
    done = committed_all(scene)  # where it is now, instead of where it was
    assert len(done.reports) == 1 and sorted(done.already) == ["one", "three"]


def key_count(heads):
    """How many keys the animation of heads has."""
    return sum(count_keys(head_module.resolve(head)) for head in heads)


def committed_all(scene, **how):
    done = committing.CommitLog()
    progress.result(committing.commit_all(scene, done, **how))
    return done


def test_lines_that_are_committed_already_keep_their_edits(blender, heads, scene):
    """Only the missing line is committed, unless all are asked for again; then the edited key is
    named."""

    def funnel():
        return curve_of(head_module.resolve(heads[0]), "mouthFunnel")

    commit(scene.thunder.takes[0], "COPY", error=1.0)
    point = funnel().keyframe_points[len(funnel().keyframe_points) // 2]
    point.co[1] += 0.3
    funnel().update()
    edited, earlier = tuple(point.co), head_module.resolve(heads[0]).keys.animation_data.action

    def is_there():
        return edited in [tuple(p.co) for p in funnel().keyframe_points]

    done = committed_all(scene)
    assert done.already == ["one"] and is_there() and not done.warnings
    assert done.sentence.startswith(
        f"2 lines committed on 2 heads, 1 before: {key_count(heads)} keys in "
    )
    nothing = committed_all(scene)
    assert not nothing.reports
    assert (
        nothing.sentence
        == "All lines were committed before. Choose Commit Again to replace their keys"
    )
    assert blender.ops.thunder.commit_all() == {"CANCELLED"}  # told as a note, and no step to undo
    before = head_module.resolve(heads[0]).keys.animation_data.action
    done = committed_all(scene, again=True)
    assert len(done.reports) == 3 and not done.already and not is_there()
    assert done.warnings == [
        f"1 key that you had set or edited was replaced; your action “{before.name}” still has it"
    ]
    assert earlier.name in blender.data.actions and done.sentence.startswith(
        f"3 lines committed on 2 heads: {key_count(heads)} keys in "
    )


def test_lines_that_were_committed_before_it_is_cancelled_stay(blender, heads, monkeypatch):
    commit, begun = committing.commit, []

    def until_the_second(*args):
        begun.append(args)
        session.job.stop_requested = len(begun) == 2
        return commit(*args)

    monkeypatch.setattr(committing, "commit", until_the_second)
    assert blender.ops.thunder.commit_all() == {"FINISHED"}  # an undo step
    names = [
        {line.name for line in found.lines}
        for action in blender.data.actions
        if (found := line_records.lines_of(action))
    ]
    assert names and all(lines == {"one"} for lines in names)
    begun.pop()  # now it is cancelled in the first line
    assert blender.ops.thunder.commit_all(again=True) == {"CANCELLED"}


# ---- what the curves look like in the graph editor


LONGEST = 3.0  # frames of a handle that shapes nothing
NOISE, DRIFT, TWITCH = "cheekPuff", "cheekSquintLeft", "noseSneerRight"


def rough(seconds=2.0, seed=5):
    """A spoken performance with what sampled takes have: a channel of noise, one that drifts by
    little, one that twitches."""
    made = spoken(seconds=seconds, seed=seed)
    expression = made.motion.expression.copy()
    rng, t = np.random.default_rng(seed), np.arange(len(expression)) / 25
    expression[:, made.channels.index(NOISE)] = 1e-4 + 1e-4 * rng.uniform(-1, 1, len(t))
    expression[:, made.channels.index(DRIFT)] = 0.004 + 0.003 * np.sin(t)
    expression[:, made.channels.index(TWITCH)] = 0.03 + 0.02 * np.sin(9 * t)
    return replace(
        made, motion=types.Motion(expression, made.motion.jaw, made.motion.head, made.motion.eyes)
    )


@pytest.fixture
def committed(stage):
    """Commits a rough take to an action of its own: (the report, its curves by path and index, what
    the take had at a frame)."""

    def done(error=0.6):
        scene, rig = stage
        entry = show_take(stage, rough(), 21.0)
        had = {
            (c.data_path, c.array_index): c
            for part in display.actions_of(entry)
            for c in compat.all_curves(part)
        }
        choose(scene, error=error, to="NEW")
        report = progress.result(committing.commit(rig, entry, "line", choice_of(scene, entry)))
        return report, curves_of(rig), lambda path, frame: had[path].evaluate(frame)

    return done


def test_a_line_ends_exactly_as_the_take_does_whatever_action_is_left_behind(committed):
    """At both ends of its leads the take is at rest; whatever the line ends with is held for ever
    after."""
    reports = []
    for _ in range(2):
        report, curves, take = committed()
        first, last = report.first, report.first + report.frames - 1
        reports.append((first, last))
        for path, curve in curves.items():
            assert curve.evaluate(first) == curve.evaluate(first - 50) == take(path, first), path
            assert curve.evaluate(last) == curve.evaluate(last + 500) == take(path, last), path
        assert (path_of(NOISE), 0) not in curves, "what nobody sees move has no keys to move it"
    assert reports[0] == reports[1]


def test_handles_are_short_and_level_where_they_shape_nothing(committed):
    _, curves, _ = committed()
    holds = 0
    for path, curve in curves.items():
        keys = [
            [np.array(part) for part in (p.co, p.handle_left, p.handle_right)]
            for p in curve.keyframe_points
        ]
        into, out = keys[0][1] - keys[0][0], keys[-1][2] - keys[-1][0]
        assert max(-into[0], out[0]) <= LONGEST + 1e-3 and abs(into[1]) + abs(out[1]) < 1e-6
        for (a, _, out), (b, into, _) in zip(keys[:-1], keys[1:]):
            longest = max(out[0] - a[0], b[0] - into[0])
            level = abs(out[1] - a[1]) < 1e-6 and abs(into[1] - b[1]) < 1e-6
            assert longest <= (b[0] - a[0]) / 3 + 1e-3, path
            assert level or a[1] != b[1], path
            if level and a[1] == b[1]:
                holds += 1
                assert longest <= LONGEST + 1e-3, path
    assert holds


STEPS = [("TWOS", 2), ("THREES", 3)]
BLINK = 0.3


def runs(mask):
    """First and last index of each run of True."""
    places = np.flatnonzero(mask)
    return [
        (run[0], run[-1])
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        if len(run)
    ]


def kept(before, after, spread):
    """(runs of `before`, those with a True in `after` up to `spread` samples away)."""
    all_runs = runs(before)
    return len(all_runs), sum(after[max(0, a - spread) : b + spread + 1].any() for a, b in all_runs)


def lids(motion, channels):
    return motion.expression[
        :, [channels.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    ].mean(1)


def new_keys(rig, first, last):
    """(frame, interpolation) of the keys on a take's frames, of each curve that moves."""
    for curve in curves_of(rig).values():
        keys = [
            (point.co[0], point.interpolation)
            for point in curve.keyframe_points
            if first <= point.co[0] <= last
        ]
        if len(keys) > 1:
            yield keys


@pytest.mark.parametrize("name, step", STEPS)
def test_poses_are_held_on_one_grid_and_keep_closures_and_blinks(
    blender, stage, scene, rig, name, step
):
    entry = show(stage, seconds=6.0, start=22.0)
    times = entry.first + np.arange((entry.last - entry.first) * 8 + 1) / 8
    _, motion, gap = numbers(rig, times)
    choose(scene, to="NEW", step=name, error=0.6)
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    frames = set()
    for of_curve in new_keys(rig, entry.first - 30, entry.last + 30):
        inner = [(frame, kind) for frame, kind in of_curve if entry.first <= frame <= entry.last]
        assert {kind for _, kind in inner} <= {"CONSTANT"}
        frames |= {frame for frame, _ in inner}
    assert frames and all((frame - scene.frame_start) % step == 0 for frame in frames)
    _, after, gap_after = numbers(rig, times)
    count, still = kept(gap < CLOSED_MM, gap_after < CLOSED_MM, 8 * step)
    assert count == still >= 3
    count, still = kept(
        lids(motion, head_module.channel_names()) >= BLINK,
        lids(after, head_module.channel_names()) >= BLINK,
        8 * step,
    )
    assert count == still >= 1
    held = [
        np.ptp(gap_after[8 * at : 8 * (at + step) - 1])
        for at in range((1 - entry.first) % step, len(times) // 8 - step, step)
    ]
    assert max(held) < 1e-3


def test_committed_again_on_ones_the_animators_edits_stay_and_nothing_of_the_steps(
    blender, stage, scene, rig
):
    animate(rig)
    entry = show(stage, start=31.0)
    choose(scene, to="OWN", step="THREES")
    blender.ops.thunder.commit_take()
    smile = rig.keys.key_blocks["mouthSmileLeft"]
    set_keys(smile, "value", {entry.last + 40: 0.9})
    for step in ("THREES", "ONES"):
        scene.thunder.active_take = 0
        choose(scene, step=step)
        blender.ops.thunder.commit_take()
        scene.frame_set(entry.last + 40)
        assert smile.value == pytest.approx(0.9, abs=1e-5)
    keys = new_keys(rig, entry.first - 9, entry.last + 9)
    assert "CONSTANT" not in {kind for of_curve in keys for _, kind in of_curve}
