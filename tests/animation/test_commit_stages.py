# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a commit before anything is written: what they plan, sample, fit and draw for a rig
of a few tracks."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.animation import keyframes, posing
from thunder_core.animation.commit import curves, fitting, planning
from thunder_core.animation.commit.before import (
    Block,
    CommitChoice,
    CommittedTake,
    Curve,
    StateBefore,
    Strip,
    StripCurve,
)
from thunder_core.animation.commit.line_records import CommittedLine
from thunder_core.animation.keyframes import Cycles
from thunder_core.face import mapping
from thunder_core.face.head import HEAD_FILE
from thunder_core.face.moving.displacement import RigMeter
from thunder_core.face.moving.driving import BoneTurn, Driver, Track
from thunder_core.progress import result

FIRST, LAST, LEAD = 21, 69, 8  # the take's frames
FUNNEL, SMILE, BROW = (
    ('key_blocks["%s"].value' % name, 0)
    for name in ("mouthFunnel", "mouthSmileLeft", "browInnerUp")
)
NECK = 'pose.bones["neck"].rotation_quaternion'
TRACKS = [
    Track(0, *FUNNEL),
    Track(0, *SMILE),
    Track(0, *BROW),
    *(Track(1, NECK, index, rest=float(index == 0)) for index in range(4)),
]
REGIONS = ("Mouth", "Mouth", "Brows", "Head", "Head", "Head", "Head")
WAYS = [
    *((to, how) for to in ("COPY", "OWN") for how in ("REPLACE", "ADD", "INSERT")),
    ("NEW", "REPLACE"),
    ("STRIP", "ADD"),
]


@pytest.fixture(scope="module")
def meter():
    """Measures a rig of three shape keys and a head that turns."""
    with np.load(HEAD_FILE, allow_pickle=False) as archive:
        channels = tuple(map(str, archive["expression_names"]))
    parts = [("mouthFunnel", 0, 1.0), ("mouthSmileLeft", 1, 1.0), ("browInnerUp", 2, 1.0)]
    turn = BoneTurn(
        3,
        "QUATERNION",
        np.eye(3),
        tuple((f"neck.{axis}", place, 1.0) for place, axis in enumerate("xyz")),
    )
    return RigMeter(Driver(TRACKS, parts, [turn]), channels, ((3, 4, 5, 6),))


def keys_at(*points):
    """Keys at (frame, value), handles level; no stage may change them."""
    points = np.array(points, float)
    keys = keyframes.bezier_keys(
        points, points - [1.0, 0.0], points + [1.0, 0.0], keyframes.ALIGNED
    )
    for values in keys.values():
        values.setflags(write=False)
    return keys


def curve_of(*points, **more):
    return replace(Curve.of_keys(keys_at(*points)), **more)


def performed(track):
    """The values of the take on a track, at any times; at rest at the ends of its leads."""

    def at(times):
        t = np.asarray(times, float)
        here = np.clip(np.minimum(t - (FIRST - LEAD), (LAST + LEAD) - t) / LEAD, 0, 1)
        if track.path == NECK:
            turns = np.outer(here * np.sin(t / 9), [0.0, 0.2, 0.0])
            return mapping.rotation_values(turns, "QUATERNION")[:, track.index]
        return here * (0.4 + 0.3 * np.sin(t / 3 + len(track.path)))

    return at


def take_curves(block):
    frames = np.arange(FIRST - LEAD, LAST + LEAD + 1.0)
    made = {}
    for track in TRACKS:
        if track.block == block:
            keys = keyframes.on_every_frame(frames, performed(track)(frames))
            made[track.path, track.index] = replace(Curve.of_keys(keys), sampled=performed(track))
    return made


def found(meter, faces=None, action="Acting", strips=(), lines=None, known=None, still=None):
    """What there is before a commit: the animator's curves of the face, and NLA strips."""
    faces = {} if faces is None else faces
    action = action if faces else None
    blocks = (
        Block(action, lines, faces, take_curves(0), tuple(strips)),
        Block(None, None, {}, take_curves(1)),
    )
    at_rest = still or tuple(track.rest for track in TRACKS)
    limits = ((0.0, 1.0),) * 3 + (None,) * 4
    take = CommittedTake("line", FIRST, LAST, LEAD, LEAD, score=80.0)
    return StateBefore(
        take, blocks, meter, ("QUATERNION",), REGIONS, limits, at_rest, known or {}, 1, 250, 24.0
    )


def drawn(before, choice):
    """(plan, sampled, drawing) of a commit."""
    plan = result(planning.plan(before, choice))
    sampled = result(fitting.sample(before, plan))
    sampled.values.setflags(write=False)
    return (
        plan,
        sampled,
        result(curves.draw(before, plan, sampled, result(fitting.fit(before, plan, sampled)))),
    )


def choice(**how):
    return CommitChoice(FIRST, LAST, **{"error": 0.3, "backup": False} | how)


def by_place(curves):
    return {(one.path, one.index): one for one in curves}


def at(keys, frames):
    return keyframes.evaluate(keys, np.asarray(frames, float))


def acting():
    """An animator's curve that moves before, within and after the take."""
    return {SMILE: curve_of((1, 0.0), (10, 0.5), (40, 0.9), (90, 0.2), (120, 0.6))}


@pytest.mark.parametrize("to, how", WAYS)
def test_every_way_draws_curves_and_changes_nothing_that_it_is_given(meter, to, how):
    around = {"cycles": Cycles(("REPEAT", 0), ("MIRROR", 0)), "is_plain": False}
    before = found(meter, acting() | {BROW: curve_of((1, 0.1), (30, 0.4), **around)})
    made = drawn(before, choice(to=to, how=how))[2]
    assert {SMILE, BROW} <= by_place([*made.curves[0], *made.above[0]]).keys()


def test_what_the_take_moves_is_as_the_take_has_it_and_the_rest_as_the_animator_has_it(meter):
    before = found(meter, acting())
    *_, made = drawn(before, choice())
    curves = by_place(made.curves[0])
    inside = np.arange(FIRST, LAST + 1)
    assert np.abs(at(curves[SMILE].keys, inside) - performed(TRACKS[1])(inside)).max() < 0.05
    own = acting()[SMILE]
    around = [*range(-20, FIRST - 3), *range(LAST + 4, 150)]
    assert (
        np.abs(at(curves[SMILE].keys, around) - own.sampled(np.array(around, float))).max() < 1e-4
    )
    assert set(by_place(made.curves[1])) == {(NECK, 0), (NECK, 2)}


def test_a_key_of_the_animators_in_a_lead_costs_only_that_curve_its_lead(meter):
    near = {SMILE: curve_of((FIRST - 4, 0.5), (200, 0.5))}
    plan, _, made = drawn(found(meter, near), choice())
    spans = {
        (track.path, track.index): (span.first, span.last)
        for track, span in zip(TRACKS, plan.spans)
    }
    assert spans[SMILE] == (FIRST, LAST + LEAD)
    assert spans[FUNNEL] == spans[BROW] == (FIRST - LEAD, LAST + LEAD)
    assert (plan.choice.first, plan.choice.last) == (FIRST - LEAD, LAST + LEAD) and (
        plan.line_first,
        plan.line_last,
    ) == (FIRST, LAST)
    keys = by_place(made.curves[0])[SMILE].keys
    assert at(keys, [FIRST - 4])[0] == pytest.approx(0.5, abs=1e-4)


def strip_of(lines=(), **more):
    """An NLA strip that plays a smile which moves on every frame of the scene."""
    strip = Strip(-50.0, 300.0, -50.0, 300.0, lines=tuple(lines), **more)
    return strip, {
        SMILE: StripCurve(
            strip, np.arange(-50.0, 300.0, 10.0), lambda time: 0.3 + 0.1 * float(np.sin(time))
        )
    }


@pytest.mark.parametrize(
    "to, how, result_to",
    [("NEW", "REPLACE", "STRIP"), ("COPY", "ADD", "STRIP"), ("COPY", "REPLACE", "STRIP")],
)
def test_a_take_over_strips_becomes_one_of_them_where_an_action_would_hide_them(
    meter, to, how, result_to
):
    plan, _, _ = drawn(found(meter, strips=[strip_of()]), choice(to=to, how=how))
    assert plan.choice.to == result_to and plan.choice.how == how and not plan.takes_part


def test_beside_an_action_only_what_strips_move_goes_above_them(meter):
    plan, _, made = drawn(found(meter, {BROW: acting()[SMILE]}, strips=[strip_of()]), choice())
    assert plan.choice.to == "COPY" and [
        track.path for track, above in zip(TRACKS, plan.is_above) if above
    ] == [SMILE[0]]
    assert set(by_place(made.above[0])) == {SMILE} and set(by_place(made.curves[0])) == {
        FUNNEL,
        BROW,
    }


def test_a_strip_of_the_same_line_alone_is_replaced(meter):
    regions = choice().regions
    lines = [CommittedLine("line", FIRST, LAST, FIRST - LEAD, LAST + LEAD, regions)]
    for there, gone in (
        (lines, (0,)),
        ([*lines, CommittedLine("another", 90, 120, 90, 120, regions)], ()),
        ([], ()),
    ):
        assert (
            result(
                planning.plan(found(meter, strips=[strip_of(there)]), choice(to="STRIP"))
            ).old_strips[0]
            == gone
        )


def test_without_an_action_it_goes_into_a_new_one(meter):
    plan, _, made = drawn(found(meter), choice(to="OWN", how="ADD"))
    assert (plan.choice.to, plan.choice.how) == (
        "NEW",
        "REPLACE",
    ) and plan.names.lines.name == "line"
    assert all(one.edited == 0 for one in made.curves[0])


def test_a_sum_stays_within_the_sliders_range(meter):
    _, sampled, _ = drawn(found(meter, {SMILE: curve_of((1, 0.9), (200, 0.9))}), choice(how="ADD"))
    assert sampled.values[:, 1].max() == pytest.approx(1.0) and sampled.values[:, 1].min() >= 0.0


@pytest.mark.parametrize("mode, last", [("REPEAT", 0.0), ("REPEAT_OFFSET", 0.2)])
def test_cycles_become_the_keys_that_they_repeat(mode, last):
    keys, period = keys_at((0, 0.0), (4, 0.5), (10, last)), 10.0
    cycles = Cycles((mode, 0), (mode, 0))
    curve = Curve(keys, lambda frame: 0.0, lambda frames: frames, cycles=cycles, is_plain=False)
    shape = curve.shape(-25.0, 45.0)
    frames = np.arange(-24.5, 45.0, 1.0)  # between the frames on which a cycle begins
    number = np.floor(frames / period)
    wanted = at(keys, frames - number * period) + last * number
    assert np.abs(at(shape.keys, frames) - wanted).max() < 2e-3 and len(shape.keys["co"]) < 25


@pytest.mark.parametrize("mode", ["REPEAT", "MIRROR"])
def test_cycles_that_jump_or_are_mirrored_become_keys_on_every_frame(mode):
    cycles = Cycles(("NONE", 0), (mode, 0))
    curve = Curve(keys_at((0, 0.0), (10, 0.2)), np.sin, np.sin, cycles=cycles, is_plain=False)
    keys = curve.shape(0.0, 45.0).keys
    assert (keys["co"][:, 0] == np.arange(46)).all()
    assert keys["co"][:, 1] == pytest.approx(np.sin(np.arange(46)), abs=1e-6)


def test_each_track_belongs_to_the_region_that_it_moves_most(meter):
    assert tuple(result(posing.regions(meter))) == REGIONS


def test_a_strip_moves_a_curve_within_the_leads_around_a_take():
    curve = StripCurve(Strip(0.0, 100.0, 0.0, 100.0), np.array([30.0]), lambda time: 0.0)
    assert [curve.moves(10, 20, 0, after) for after in (9, 10)] == [False, True]
    assert [curve.moves(40, 50, before) for before in (9, 10)] == [False, True]
