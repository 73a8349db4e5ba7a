# SPDX-License-Identifier: GPL-3.0-or-later
"""Who moves is told where curves differ and not where they do not; what a blink does to gaze does not
count; and a performance looks on a filmed person as it looks on the head."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from tracked_face import HEAD, tracked

from research.faces.landmarks import contours
from research.faces.puppet import LinearFilm, measure, Puppet
from research.measures import movement
from research.measures.told_apart import auc, features, tell_apart
from research.people_or_take import BRIDGED, cut_windows, REGIONS, show_again, together
from thunder_core.engine.tracking.solve import stabilise
from thunder_core.face.moving.mouth_shape import MouthShape, OPENING, WIDTH
from thunder_core.types import Motion

FRAMES, CLIPS = 250, 16
GAZE = ("gaze aside", "gaze up")


def wander(rng, frames):
    """A curve [FRAMES] that moves within about so many frames."""
    return gaussian_filter1d(rng.standard_normal(FRAMES), frames) * np.sqrt(frames)


def made_curves(rng, drop=0.0, quicker=1.0):
    """Every signal, wandering; lids that close every two seconds, and by how much gaze drops then."""
    names = {name.removesuffix(BRIDGED) for some in REGIONS.values() for name in some}
    curves = {name: wander(rng, 6 / quicker) for name in sorted(names)}
    shut = np.zeros(FRAMES)
    shut[rng.integers(10, 40) :: 50] = 1.0
    shut = gaussian_filter1d(shut, 1.5) * 3.5
    return curves | {
        "lid": 0.3 * (1 - shut) + 0.005 * rng.standard_normal(FRAMES),
        "gaze up": curves["gaze up"] - drop * shut,
    }


def told(people, takes, names):
    """AUC by which curves of one kind are told from those of the other."""
    voices = [SimpleNamespace(known=np.ones(FRAMES, bool), person=each) for each in people]
    counts = [len(cut_windows(*pair)[0]["opening"]) for pair in zip(voices, takes)]
    x, y = (
        np.stack(list(features(windows, names).values()), 1) for windows in together(voices, takes)
    )
    score = tell_apart(x, y, np.repeat(np.arange(CLIPS), counts))
    return auc(np.arange(len(score)) >= len(x), score)


def kind(seed, **manner):
    rng = np.random.default_rng(seed)
    return [made_curves(rng, **manner) for _ in range(CLIPS)]


def test_curves_that_differ_are_told_and_those_that_do_not_are_not():
    people = kind(0)
    assert told(people, kind(1, quicker=2.0), REGIONS["lips"]) > 0.95
    assert told(people, kind(1), REGIONS["lips"]) == pytest.approx(0.5, abs=0.12)


def test_what_gaze_does_behind_closed_lids_does_not_count():
    people, takes = kind(0, drop=12.0), kind(1)
    assert told(people, takes, GAZE) > 0.9
    bridged = told(people, takes, [name + BRIDGED for name in GAZE])
    assert bridged == pytest.approx(0.5, abs=0.12)


def test_half_a_way_is_timed_and_blinks_are_found():
    path = np.r_[np.full(10, 2.0), 1.5, 1.0, 0.5, np.zeros(12)]
    assert movement.lead(path) == pytest.approx((movement.BEFORE - 11) * 40)
    curves = made_curves(np.random.default_rng(3))
    blinks = movement.find_blinks(curves, np.ones(FRAMES, bool))
    assert len(blinks) == 5 and (np.diff(blinks[:, 0]) == 50).all() and (blinks[:, 1] > 0.9).all()


def test_a_performance_looks_on_a_person_as_it_looks_on_the_head():
    t = np.arange(100) / 25
    expression, jaw = np.zeros((100, HEAD.channels), np.float32), np.zeros((100, 3), np.float32)
    jaw[:, 0] = 0.08 * (1 + np.sin(9 * t))
    expression[:, HEAD.channel("mouthPucker")] = 0.3 * (1 + np.sin(5 * t))
    for side in ("Left", "Right"):
        expression[:, HEAD.channel(f"eyeBlink{side}")] = (t % 2 > 1.85) * 1.0
    turns, eyes = (np.zeros((100, 3), np.float32) for _ in range(2))
    turns[:, 1], eyes[:, 1] = 0.1 * np.sin(3 * t), 0.15 * np.sin(2 * t)
    motion = Motion(expression, jaw, turns, eyes)
    person = tracked(motion, contours(HEAD), noise_mm=0.1, proportions=(1.1, 0.9, 1.0))
    points, facing = stabilise(person, HEAD)
    real, worn = measure(points, facing), Puppet(points).measure(motion, seed=1)
    # mouths miss by as much as a tracker's do
    least = {"opening": 0.95, "width": 0.85, "chin": 0.9}
    for name in (*least, "lid", "gaze aside", "yaw"):
        assert np.corrcoef(real[name], worn[name])[0, 1] > least.get(name, 0.97), name
    mouth = MouthShape.of(HEAD).measure(expression, jaw)
    # a tracker hardly tells how far a mouth is rounded: less is read than is there
    for name, place, far in (("opening", OPENING, 0.1), ("width", WIDTH, 0.3)):
        assert worn[name].std() == pytest.approx(mouth[:, place].std(), rel=far)
    assert np.ptp(worn["yaw"]) == pytest.approx(np.degrees(0.2), abs=0.7)


def test_a_mouth_that_is_read_and_shown_again_opens_and_narrows_as_it_did():
    t = np.arange(100) / 25
    expression, jaw = np.zeros((100, HEAD.channels)), np.zeros((100, 3))
    jaw[:, 0] = 0.08 * (1 + np.sin(9 * t))
    expression[:, HEAD.channel("mouthPucker")] = 0.3 * (1 + np.sin(5 * t))
    shown = LinearFilm.load().show(expression, jaw)
    shown[40:43] = np.nan
    again = show_again(shown)
    assert np.isnan(again[40:43]).all() and np.isfinite(again[43:]).all()
    for place in (OPENING, WIDTH):
        was, now = (each[43:, place] for each in (shown, again))
        assert np.corrcoef(was, now)[0, 1] > 0.98
        assert now.std() == pytest.approx(was.std(), rel=0.15)
