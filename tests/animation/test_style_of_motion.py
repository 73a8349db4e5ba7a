# SPDX-License-Identifier: GPL-3.0-or-later
"""A style is read off a motion alone: other rates and orders of channels are the same performance,
silence has no style."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.animation.traits import (
    bundled_meter,
    readable_axes,
    Reader,
    shipped_reader,
    style_of,
)
from thunder_core.direction import AXES, SLIDERS
from thunder_core.errors import BadRequest
from thunder_core.types import Motion

SECONDS = 12


@pytest.fixture(scope="module")
def head():
    return bundled_meter().head


def performance(
    head, opening=1.0, smile=0.1, left=1.0, nod=0.05, blinks=4, seconds=SECONDS, rate=25
):
    """Somebody who says ba ba ba with words between."""
    t = np.arange(seconds * rate) / rate
    wave = opening * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * (0.6 + 0.4 * np.sin(1.7 * t))
    x, turns = np.zeros((len(t), head.channels)), np.zeros((3, len(t), 3))
    for side, share in (("Left", left), ("Right", 1.0)):
        x[:, head.channel("mouthLowerDown" + side)] = 0.3 * share * wave
        x[:, head.channel("mouthSmile" + side)] = smile * share
        x[:, head.channel("browOuterUp" + side)] = 0.1 * wave
        for k in range(blinks):
            x[np.abs(t - 1 - 2 * k) < 0.08, head.channel("eyeBlink" + side)] = 1.0
    turns[0, :, 0], turns[1, :, 0] = 0.12 * wave, nod * np.sin(2.5 * t)
    return Motion(*(part.astype(np.float32) for part in (x, *turns)), fps=float(rate))


@pytest.mark.parametrize("axis, less, more", [
    ("energy", dict(opening=0.7), dict(opening=1.4)), ("smile", dict(smile=0.0), dict(smile=0.5)),
    ("head", dict(nod=0.02), dict(nod=0.2)),
    ("eyes", dict(blinks=1), dict(blinks=6)), ("asymmetry", dict(left=0.5), dict(left=1.6)),
])  # fmt: skip
def test_what_is_done_more_is_read_as_more(head, axis, less, more):
    low, high = (
        getattr(style_of(performance(head, **values), head.expression_names).style, axis)
        for values in (less, more)
    )
    assert high > low * 1.1 if low > 0 else high > low + 0.05


def test_the_rate_and_the_order_of_channels_do_not_matter(head):
    names = head.expression_names
    plain = style_of(performance(head), names)
    fast = style_of(performance(head, rate=60), names)
    turned = performance(head)
    other = style_of(replace(turned, expression=turned.expression[:, ::-1]), names[::-1])
    assert other == plain
    for axis in SLIDERS:
        assert getattr(fast.style, axis) == pytest.approx(getattr(plain.style, axis), abs=0.12), (
            axis
        )


def test_a_head_that_is_missing_is_still(head):
    made = replace(performance(head), head=None, eyes=None)
    assert style_of(made, head.expression_names).style.head < 0.6


@pytest.mark.parametrize("made", [dict(opening=0.0), dict(seconds=2)])
def test_a_mouth_that_hardly_speaks_has_no_style(head, made):
    with pytest.raises(BadRequest, match="too few to read a style from: choose"):
        style_of(performance(head, **made), head.expression_names)


def test_the_shipped_constants_read_most_of_the_axes():
    reader = shipped_reader()
    assert Reader.from_json(reader.to_json()).weights == pytest.approx(reader.weights)
    ok = dict(zip((axis.name for axis in AXES), readable_axes(reader)))
    assert all(ok[name] for name in SLIDERS) and reader.r.min() > 0.2 and (reader.noise > 0).all()
