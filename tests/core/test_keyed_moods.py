# SPDX-License-Identifier: GPL-3.0-or-later
"""Moods that are keyed: at a strength of 0 a take is the one without the mood, in between it rises
with the curve, two moods cross-fade."""

import numpy as np
import pytest

from thunder_core.direction import Brief, Direction, DIRECTION_NAMES, MOOD_NAMES, split_moods
from thunder_core.filters import gaussian
from thunder_core.request import Request
from thunder_core.types import BLINKS, in_group, pack, Speech

FRAMES = 150
RAMP = np.clip((np.arange(FRAMES) - 50) / 60, 0, 1)


@pytest.fixture(scope="module")
def speech(sample):
    return Speech(sample.samples[: FRAMES * 640])


def keyed(**strengths) -> np.ndarray:
    """A direction [FRAMES, DIRECTION_NAMES] with moods of these strengths [FRAMES]."""
    vectors = np.repeat(Direction().vector()[None], FRAMES, 0)
    for mood, strength in strengths.items():
        vectors[:, DIRECTION_NAMES.index(f"mood.{mood}")] = strength
    return vectors


def take_of(engine, speech, vectors, **more):
    (take,) = engine.generate(speech, Request(1, 5, direction=Brief(vectors, 0.0), **more))
    return take


def test_a_direction_whose_moods_stay_is_itself():
    for vectors in (keyed(), keyed(angry=1.0), keyed(warm=0.5), Direction().vector()[None]):
        [style], shares = split_moods(vectors)
        assert style is vectors and (shares == 1).all()


def test_moods_that_change_are_shares_of_directions_with_one_mood_each():
    styles, shares = split_moods(keyed(angry=0.8 * RAMP, sad=0.4 * (1 - RAMP)))
    angry, sad = (DIRECTION_NAMES.index(f"mood.{name}") for name in ("angry", "sad"))
    assert len(shares) == len(styles), "none without a mood: one always shows"
    assert np.allclose(shares.sum(0), 1) and shares.min() >= 0
    strengths = sorted((style[0, angry].round(3), style[0, sad].round(3)) for style in styles)
    assert np.allclose(strengths, [(0, 0.4), (0.8, 0)])


@pytest.mark.parametrize(
    "mood",
    [
        pytest.param(name, marks=() if name in ("angry", "sad", "surprised") else pytest.mark.slow)
        for name in MOOD_NAMES
    ],
)
def test_a_mood_rises_with_its_curve_from_nothing_to_all_of_it(engine, speech, mood):
    plain, ramp, full = (
        pack(take_of(engine, speech, keyed(**{mood: strength})).motion)
        for strength in (0.0, RAMP, 1.0)
    )
    assert (ramp[:45] == plain[:45]).all(), "to the bit, with head, blinks and looks"
    assert np.allclose(ramp[118:], full[118:], atol=1e-6)
    names = engine.head.expression_names
    posed = ~np.append(in_group(names, BLINKS), [False] * 9)
    apart = np.linalg.norm((full - plain)[:, posed], axis=1)
    reached = np.linalg.norm((ramp - plain)[:, posed], axis=1) / np.maximum(apart, 1e-6)
    inside = slice(40, 120)
    assert np.corrcoef(reached[inside], RAMP[inside])[0, 1] > 0.98
    assert (np.diff(reached[inside]) > -1e-3).all(), "and never falls back"
    late = [np.corrcoef(reached[40 + by : 120 + by], RAMP[inside])[0, 1] for by in range(-3, 4)]
    assert abs(int(np.argmax(late)) - 3) <= 1


def test_a_mood_sits_on_a_word_and_what_is_around_it_stays(engine, speech):
    word = ((np.arange(FRAMES) >= 60) & (np.arange(FRAMES) < 72)).astype(float)
    plain, angry = (
        pack(take_of(engine, speech, keyed(angry=strength)).motion) for strength in (0.0, word)
    )
    down = engine.head.expression_names.index("browDownLeft")
    assert angry[62:70, down].mean() > plain[62:70, down].mean() + 0.2
    assert (angry[:55] == plain[:55]).all() and (angry[78:] == plain[78:]).all()


@pytest.mark.parametrize("blinks", [(), (58,), (60, 66), (72, 75), (63, 70, 90)])
def test_no_blink_is_halved_where_a_mood_comes_and_goes(engine, blinks):
    pipeline, t = engine.thunder.pipeline, np.arange(FRAMES)
    names = engine.thunder.channel_names
    moods = np.zeros((2, FRAMES, pipeline.columns.count), np.float32)
    for number, at in enumerate(blinks):  # of one mood, then of the other
        lid = np.exp(-0.5 * ((t - at) / 1.3) ** 2)
        for side in ("Left", "Right"):
            moods[number % 2, :, names.index(f"eyeBlink{side}")] += lid
    on = gaussian(((t >= 60) & (t < 75)).astype(float), 1.0)
    faded = pipeline.cross_fade(moods, np.stack([1 - on, on]), None)
    lid = faded[:, names.index("eyeBlinkLeft")]
    tops = [at for at in range(1, FRAMES - 1) if lid[at - 1] < lid[at] >= lid[at + 1]]
    assert all(lid[at] > 0.75 or lid[at] < 0.2 for at in tops), lid[50:90].round(2)
    assert (faded[:50] == moods[0, :50]).all() and (faded[85:] == moods[0, 85:]).all()
