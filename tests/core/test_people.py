# SPDX-License-Identifier: GPL-3.0-or-later
"""How people move head, brows, lids and gaze: a person of seed and sound, postures that are held and
left, a gaze that is held and turns against the head, blinks at uneven intervals, some of them
partial."""

import json
from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import Direction
from thunder_core.engine.planning import people, take_plan
from thunder_core.engine.planning.choice import Deck
from thunder_core.engine.planning.people import (
    BANDS,
    draw_person,
    GAZE,
    HEAD,
    Heard,
    LID,
    Manner,
    MOST,
    move,
    NUMBERS,
    REGIONS,
    SIGNALS,
)
from thunder_core.engine.planning.take_plan import brow_channels, plan_take
from thunder_core.engine.speech.cues import Phrasing, prosody_of
from thunder_core.events import BLINK, Plan
from thunder_core.types import FPS

FRAMES = 15_000
QUIET = Heard(np.zeros(FRAMES), np.zeros(FRAMES), np.zeros(0))
OF = people.people()


def voice_of(frames=300, accents=(20, 60, 110, 190)):
    phrases = np.array([[10, 120], [150, 260]])
    marks = Phrasing(frames, np.array(accents), np.full(len(accents), 0.5), phrases)
    return marks, prosody_of(marks, np.sin(np.arange(frames) / 7), np.zeros(2 * frames, int))


USUAL = draw_person(0.0, 1, voice_of()[1])


def moved(person=USUAL, seed=0, **manner):
    one = np.ones(FRAMES)
    usual = Manner(np.ones((FRAMES, len(REGIONS))), one, one, one, one, np.zeros(FRAMES))
    asked = replace(usual, **manner)
    return move(person, QUIET, asked, np.random.default_rng(seed))


def without(**numbers):
    """The usual person of people of whom some numbers are others."""
    return replace(USUAL, of=people.People(OF.numbers | numbers))


def speed(x):
    """Degrees a second of the head or the gaze, over three frames."""
    smooth = np.stack([np.convolve(row, np.ones(3) / 3, "valid") for row in x.T], 1)
    return np.linalg.norm(np.diff(smooth, axis=0), axis=1) * FPS


def test_every_number_says_its_unit_its_meaning_and_where_it_is_from():
    data = json.loads(NUMBERS.read_text(encoding="utf-8"))
    assert data["signals"] == list(SIGNALS) and data["fitted_on"] == "fit"
    for name, row in data["numbers"].items():
        assert row["unit"] and row["what"], name
        assert row["from"] == "people" or row["from"].startswith("by hand, because ")
    assert 130 <= sum(np.size(row["value"]) for row in data["numbers"].values()) <= 400


def test_a_person_is_of_seed_and_sound_and_no_further_from_usual_ones_than_most():
    _, one = voice_of()
    _, other = voice_of(accents=(20, 60, 110, 191))
    sizes = [draw_person(1.0, *each).sizes for each in ((1, one), (1, one), (2, one), (1, other))]
    assert np.array_equal(sizes[0], sizes[1])
    assert not np.allclose(sizes[0], sizes[2]) and not np.allclose(sizes[0], sizes[3])
    drawn = np.array([np.log(draw_person(1.0, seed, one).sizes) for seed in range(200)])
    middle = drawn.mean(2) - OF["size"].mean(1)
    assert (np.abs(middle) <= MOST * OF["size_between"] + 1e-9).all()
    assert middle.std(0) == pytest.approx(0.85 * OF["size_between"], rel=0.2)
    wild = np.array([np.log(draw_person(9.0, seed, one).sizes) for seed in range(50)])
    assert (np.abs(wild.mean(2) - OF["size"].mean(1)) <= MOST * OF["size_between"] + 1e-9).all()


def test_the_take_as_directed_is_the_usual_person_and_others_are_not():
    marks, voice = voice_of()
    usual, drawn = (
        [
            plan_take(voice, marks, Deck(voice).plain, seed, spread).plan.signals
            for seed in range(24)
        ]
        for spread in (0.0, 0.5)
    )
    assert not np.array_equal(usual[0], usual[1]), "they still move in other ways"
    sizes = [np.log([x[:, HEAD].std() for x in some]).std() for some in (usual, drawn)]
    assert sizes[1] > 1.4 * sizes[0]
    style = Direction().vector()[None]
    again = plan_take(voice, marks, Deck(voice).plain, 3, 0.5, style).plan.signals
    assert np.array_equal(again, drawn[3])


def test_postures_are_held_and_left():
    """Heads of people are slow most of the time and quick now and then, also between strokes."""

    def uneven(person):
        return np.median(
            [np.quantile(v, 0.95) / np.median(v)
             for v in (speed(moved(person, seed).signals[:, HEAD]) for seed in range(4))]
        )  # fmt: skip

    assert uneven(USUAL) > 1.2 * uneven(without(lively=np.zeros(4)))


def test_a_face_that_is_held_does_not_move():
    still = np.zeros(FRAMES)
    still[1000:1100] = 1.0
    x = moved(still=still).signals
    assert np.ptp(x[1001:1099], axis=0).max() < 0.3
    assert np.ptp(x[900:1000], axis=0)[HEAD].max() > 1


def test_noise_in_a_band_is_of_unit_size_and_stays_in_it():
    for band, (low, high) in enumerate(BANDS):
        noise = people._band_noise(2**15, band, np.random.default_rng(band))
        assert np.square(noise).mean() == pytest.approx(1, abs=0.15)
        power, hertz = np.abs(np.fft.rfft(noise)) ** 2, np.fft.rfftfreq(2**15, 1 / FPS)
        assert power[:, (hertz >= low) & (hertz < high)].sum() > 0.999 * power.sum()


def test_gaze_turns_against_the_head_and_is_held_between_shifts():
    x = moved(replace(USUAL, against=np.array([0.5, 0.4]))).signals
    for eye, axis, share in ((7, 1, 0.5), (8, 0, 0.4)):
        slope = (x[:, eye] @ x[:, axis]) / (x[:, axis] @ x[:, axis])
        assert slope == pytest.approx(-share, abs=0.12)
    held, free = (
        speed(moved(replace(person, against=np.zeros(2))).signals[:, GAZE])
        for person in (USUAL, without(hold=np.array(0.0)))
    )
    assert np.median(held) < 0.5 * np.median(free) and held.max() > 100


def test_blinks_come_at_uneven_intervals_and_some_are_partial():
    person = replace(USUAL, blink=2.5, partial=0.2, length=0.18)
    blinks = [blink for seed in range(8) for blink in moved(person, seed).blinks]
    times = [np.array([blink.at for blink in moved(person, seed).blinks]) for seed in range(8)]
    between = np.concatenate([np.diff(each) for each in times])
    assert between.mean() == pytest.approx(2.5, rel=0.1) and between.min() >= 0.3
    assert between.std() / between.mean() == pytest.approx(float(OF["blink_varies"]), rel=0.2)
    logs = np.log(between[between > 0.35])
    assert abs(np.mean(((logs - logs.mean()) / logs.std()) ** 3)) < 0.4, "log-normal"
    depth = np.array([blink.depth for blink in blinks])
    assert (depth < 1).mean() == pytest.approx(0.2, abs=0.05) and depth.min() >= 0.3
    lengths = np.log([blink.length for blink in blinks])
    assert lengths.std() == pytest.approx(float(OF["blink_length_varies"]), rel=0.3)
    assert len(moved(person, blinks=np.full(FRAMES, 2.0)).blinks) > 1.6 * len(blinks) / 8


def test_lids_are_shut_for_a_frame_and_rise_fast_first_as_those_of_people():
    """The median of 238 blinks of people, from two frames before the frame in which lids are most
    shut; people's end more slowly still."""
    runs = []
    for blink in moved().blinks:
        if blink.depth == 1:
            plan = Plan(0.0, blinks=[replace(blink, at=1 + blink.at % (1 / FPS))])
            lids = take_plan.event_curves(plan, 100)[:, BLINK]
            runs.append(lids[lids.argmax() - 2 :][:7])
    people_ = [0.21, 0.74, 0.93, 0.70, 0.43, 0.29, 0.20]
    assert np.median(runs, axis=0) == pytest.approx(people_, abs=0.13)


def test_nobody_blinks_more_often_than_an_animator_keeps():
    _, voice = voice_of()
    rates = [60 / draw_person(1.0, seed, voice).blink for seed in range(400)]
    assert 18 < np.mean(rates) < 34 and np.quantile(rates, 0.9) <= 40


def test_a_partial_blink_is_planned_as_one_and_lids_move_between_blinks():
    marks, voice = voice_of()
    plan = plan_take(voice, marks, Deck(voice).plain, 5, 0.5).plan
    at = int(plan.blinks[0].at * FPS)
    blinks = [replace(plan.blinks[0], depth=depth, length=1.5) for depth in (1.0, 0.5)]
    deep, half = (
        take_plan.event_curves(replace(plan, blinks=[blink]), 300)[at - 1 : at + 3, BLINK].max()
        for blink in blinks
    )
    assert deep > 0.9 and 0.35 < half < 0.7
    open_ = take_plan.event_curves(replace(plan, blinks=[]), 300)[:, BLINK]
    assert open_ == pytest.approx(-plan.signals[:, LID].clip(-1, 0.5), abs=1e-6)


@pytest.mark.parametrize("mm", [[2.0, 2.0, 0.0], [1.0, 3.0, 0.5], [-1.5, -0.7, 0.0]])
def test_brows_of_some_millimetres_are_channels_that_move_them_so_far(mm):
    raised, low = brow_channels(np.array([mm]))
    (inner, left, right), low = raised[0], low[0]
    up = np.array([[7.4, 2.7], [1.5, 6.6]]) @ [inner, (left + right) / 2] - [5.7 * low, 2.8 * low]
    assert up == pytest.approx(mm[:2], abs=0.05)
    assert 6.6 * (left - right) == pytest.approx(mm[2])
    assert (low > 0) == (mm[0] < 0)
