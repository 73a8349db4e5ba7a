# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of a motion, measured on the face, and its style, read off it alone."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.animation.traits import (
    bundled_meter,
    readable_axes,
    seen,
    shipped_reader,
    style_of,
)
from thunder_core.direction import AXES, SLIDERS
from thunder_core.direction_words import SEEN
from thunder_core.errors import BadRequest
from thunder_core.types import Motion

METER = bundled_meter()
HEAD = METER.head
SECONDS = 12


def performance(
    opening=1.0,
    jaw=0.12,
    lips=0.3,
    smile=0.1,
    brow=0.1,
    left=1.0,
    nod=0.05,
    blinks=4,
    seconds=SECONDS,
    rate=25,
):
    """Somebody who says ba ba ba with words between."""
    t = np.arange(seconds * rate) / rate
    wave = opening * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * (0.6 + 0.4 * np.sin(1.7 * t))
    x, turns = np.zeros((len(t), HEAD.channels)), np.zeros((3, len(t), 3))
    for side, share in (("Left", left), ("Right", 1.0)):
        x[:, HEAD.channel("mouthLowerDown" + side)] = lips * share * wave
        x[:, HEAD.channel("mouthSmile" + side)] = smile * share
        x[:, HEAD.channel("browOuterUp" + side)] = brow * wave
        for k in range(blinks):
            x[np.abs(t - 1 - 2 * k) < 0.08, HEAD.channel("eyeBlink" + side)] = 1.0
    turns[0, :, 0], turns[1, :, 0] = jaw * wave, nod * np.sin(2.5 * t)
    return Motion(*(part.astype(np.float32) for part in (x, *turns)), fps=float(rate))


def measures_of(motion):
    return METER.measure(motion, np.ones(motion.frames, bool))


def seen_of(**how):
    """What is `seen` of somebody who speaks throughout, without moving anything else."""
    made = performance(**{"brow": 0.0, "blinks": 0, "nod": 0.0} | how)
    return seen(METER, made, np.ones(made.frames, bool))


@pytest.mark.parametrize(
    "name, more",
    [
        ("opening", {"opening": 1.6}),
        ("jaw", {"jaw": 0.2}),
        ("smile", {"smile": 0.6}),
        ("brows", {"brow": 1.0}),
        ("head", {"nod": 0.2}),
        ("blinks", {"blinks": 4}),
    ],
)
def test_a_face_that_does_more_of_something_is_seen_to(name, more):
    assert seen_of().keys() == SEEN.keys()
    assert seen_of()[name] + SEEN[name][0] < seen_of(**more)[name]


def test_of_a_mouth_that_hardly_speaks_nothing_is_seen():
    made = performance()
    assert seen(METER, made, np.arange(made.frames) < 10) == {}


def test_a_jaw_that_opens_and_a_nose_that_wrinkles_move_no_brows():
    wrinkled = performance(brow=0.0)
    for side in ("Left", "Right"):
        wave = np.sin(np.arange(wrinkled.frames)) ** 2
        wrinkled.expression[:, HEAD.channel(f"noseSneer{side}")] = wave
    for made in (performance(brow=0.0), wrinkled):
        assert measures_of(made)["brows"] == pytest.approx(0, abs=0.01)
    assert measures_of(performance(brow=0.5))["brows"] > 1


@pytest.mark.parametrize("axis, name", [(1, "turn"), (2, "tilt")])
def test_a_head_that_is_held_aside_throughout_is_seen_and_one_that_turns_now_and_then_is_not(
    axis, name
):
    held, turns = performance(), performance()
    held.head[:, axis] += np.radians(9.0)
    turns.head[40:100, axis] += np.radians(9.0)
    speaks = np.ones(held.frames, bool)
    assert [seen(METER, each, speaks)[name] for each in (held, turns)] == [9.0, 0.0]


@pytest.mark.parametrize("axis, less, more", [
    ("energy", dict(opening=0.7), dict(opening=1.4)), ("smile", dict(smile=0.0), dict(smile=0.5)),
    ("head", dict(nod=0.02), dict(nod=0.2)),
    ("eyes", dict(blinks=1), dict(blinks=6)), ("asymmetry", dict(left=0.5), dict(left=1.6)),
])  # fmt: skip
def test_what_is_done_more_is_read_as_more(axis, less, more):
    low, high = (
        getattr(style_of(performance(**values), HEAD.expression_names).style, axis)
        for values in (less, more)
    )
    assert high > low * 1.1 if low > 0 else high > low + 0.05


def test_the_rate_and_the_order_of_channels_do_not_matter():
    names = HEAD.expression_names
    plain = style_of(performance(), names)
    fast = style_of(performance(rate=60), names)
    turned = performance()
    other = style_of(replace(turned, expression=turned.expression[:, ::-1]), names[::-1])
    assert other == plain
    for axis in SLIDERS:
        assert getattr(fast.style, axis) == pytest.approx(getattr(plain.style, axis), abs=0.12), (
            axis
        )


def test_a_head_that_is_missing_is_still():
    made = replace(performance(), head=None, eyes=None)
    assert style_of(made, HEAD.expression_names).style.head < 0.6


@pytest.mark.parametrize("made", [dict(opening=0.0), dict(seconds=2)])
def test_a_mouth_that_hardly_speaks_has_no_style(made):
    with pytest.raises(BadRequest, match="too few to read a style from: choose"):
        style_of(performance(**made), HEAD.expression_names)


def test_the_shipped_constants_read_most_of_the_axes():
    reader = shipped_reader()
    ok = dict(zip((axis.name for axis in AXES), readable_axes(reader)))
    assert all(ok[name] for name in SLIDERS) and reader.r.min() > 0.2 and (reader.noise > 0).all()


def test_a_mouth_that_is_always_half_open_articulates_less():
    held, usual = performance(), performance()
    held.jaw[:, 0] += 0.12
    assert measures_of(held)["articulation"] < measures_of(usual)["articulation"] - 0.5
