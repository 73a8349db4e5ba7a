# SPDX-License-Identifier: GPL-3.0-or-later
"""Gestures of takes: a function of the seed, on the voice's accents and phrase ends, smooth, as large as is asked."""

import re
from pathlib import Path

import numpy as np
import pytest

from research.measures.habits import nods
from thunder_core.animation.played import shifts
from thunder_core.direction import Direction, HABITS, Habits, NEUTRAL, Style
from thunder_core.engine.diffusion import EASE, Inpainting
from thunder_core.engine.gestures import manner
from thunder_core.engine.gestures.layer import Layer, needed_glances, possible_glances
from thunder_core.engine.gestures.making import calm_between_accents, carried, drawn_together, height_of, layer_of, livelier, turned
from thunder_core.engine.gestures.manner import Directed, evenly, manner_of, Stream, UP
from thunder_core.engine.gestures.silence import idleness
from thunder_core.engine.speech.phones import PHONES, SILENCE
from thunder_core.engine.speech.phrasing import Phrasing, phrasing, silent
from thunder_core.types import FPS, Motion

ACCENTS = np.array([20, 45, 70, 95, 150, 175, 200, 225, 330, 360, 390, 420])
VOICE = Phrasing(500, ACCENTS, np.tile([0.3, 0.9, 0.6], 4), np.array([[10, 110], [135, 240], [290, 440]]))
NAMES = ("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight", "eyeBlinkLeft", "eyeBlinkRight", "jawOpen")
SEEDS = range(8)


def layers(voice=VOICE, spread=0.5, style=None, listens=False, seeds=SEEDS, mood=None):
    asked = None if style is None and mood is None else Direction(style or Style(), mood or NEUTRAL).vector()[None]
    return [layer_of(voice, seed, spread, asked, listens) for seed in seeds]


def speeds(each):
    """Degrees per second [S, T - 1, 3] of heads."""
    return np.diff([layer.head for layer in each], axis=1) * FPS


@pytest.mark.parametrize("voice, listens", [(VOICE, False), (VOICE, True), (silent(500), False)])
def test_gestures_depend_on_the_seed_alone_and_differ_between_seeds(voice, listens):
    one, again = (layers(voice, listens=listens, seeds=[5])[0] for _ in range(2))
    assert all(np.array_equal(getattr(one, part), getattr(again, part)) for part in Layer.__annotations__ if part != "blinks")
    assert one.blinks.possible == again.blinks.possible and one.blinks.pauses == again.blinks.pauses
    heads = np.array([layer.head for layer in layers(voice, listens=listens)])
    assert heads.std(0).mean() > 0.4


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("u", [0.0, 0.5, 1.0])
def test_every_stroke_lowers_the_head_but_the_one_that_raises_it_and_to_the_other_side_it_is_mirrored(kind, u):
    left, right = (turned(kind, 5.0, side, u) for side in (1.0, -1.0))
    assert (left[0] < 0) == (kind == UP) and 1 < abs(left[0]) <= 5 and left[0] == right[0]
    assert np.allclose(left[1:], -right[1:]) or kind == 0


def test_a_face_is_fully_idle_without_speech_and_not_at_all_in_it():
    assert (idleness(silent(100)) == 1).all()
    pause = Phrasing(400, ACCENTS[:2], np.tile([0.3], 2), np.array([[10, 110], [300, 390]]))
    among = idleness(pause)
    assert 0 <= among.min() and among[20:130].max() < 0.01 and among[200:260].min() > 0.99 and among.max() <= 1


def test_brows_are_carried_as_often_high_as_low_and_no_further_than_root_three_deviations():
    heights = np.array([height_of(seed, 0.5) for seed in range(1000)])
    assert abs(heights.mean()) < 1e-3 and heights.std() == pytest.approx(0.11, rel=0.01)
    assert np.abs(heights).max() <= 0.11 * 3**0.5 and height_of(5, 0.0) == 0


def test_without_spread_takes_are_of_one_manner_and_with_it_each_has_its_own():
    usual = [manner_of(seed, 0.0) for seed in SEEDS]
    assert len({(m.nods, m.raises, m.head_size, *m.brow_kinds) for m in usual}) == 1
    apart = [manner_of(seed, 0.5) for seed in range(64)]
    assert np.std([m.raises for m in apart]) > 0.08 and abs(np.mean([m.raises for m in apart]) - usual[0].raises) < 0.06
    assert len({int(m.brow_kinds.argmax()) for m in apart}) > 1


def test_before_a_phrase_each_take_draws_a_breath_of_its_own_where_the_model_opens_slowly():
    creeping = np.zeros(500)
    for start, _ in VOICE.phrases:
        creeping[max(0, start - 15) : start] = np.linspace(0, 0.04, 15)[-start:]
    spoken = np.zeros(500, bool)
    for start, end in VOICE.phrases:
        creeping[start:end], spoken[start - 1 : end] = 0.2, True
    jaws = np.array([layer.breathe(np.stack([creeping, 0 * creeping, 0 * creeping], 1))[:, 0] for layer in layers(seeds=range(40))])
    assert np.array_equal(jaws[:, spoken], np.tile(creeping[spoken], (40, 1))), "what is said stays as it is"
    before = jaws[:, 290 - 20 : 290 - 5]
    largest = before.max(1)
    assert 1 <= (largest < 1e-6).sum() <= 10, "some draw none"
    drawn = before[largest > 1e-6]
    assert drawn.max() < 0.03 and drawn.max(1).min() < 0.6 * drawn.max(1).max() and (drawn[:, 0] == 0).all()
    rises = [int(np.argmax(each > 0.9 * each.max()) - np.argmax(each > 0.1 * each.max())) for each in drawn]
    assert max(rises) <= 4, "in a sixth of a second"


@pytest.mark.parametrize("voice, listens", [(VOICE, True), (silent(500), False)])
def test_who_does_not_speak_draws_no_breath_for_it(voice, listens):
    for layer in layers(voice, listens=listens):
        assert not layer.hushed.any() and not layer.breath.any()


def test_between_words_the_jaw_is_the_models():
    close = Phrasing(100, np.zeros(0, int), np.zeros(0), np.array([[0, 40], [46, 100]]))
    for layer in layers(close):
        assert not layer.hushed.any() and not layer.breath.any()


def test_a_silent_face_is_alive_everywhere_and_never_hurries():
    idle = layers(silent(1500))
    speed = speeds(idle)
    assert np.abs(speed).max() < 40 and 1 < np.linalg.norm(speed, axis=-1).mean() < 5
    path = np.linalg.norm(speed, axis=-1)[:, :1475].reshape(len(idle), -1, 25).mean(-1)
    assert path.min() > 0.3  # degrees in the stillest second
    turned = np.array([layer.head for layer in idle]).std(1)
    assert 0.8 < turned[:, 0].mean() < 4 and 1.5 < turned[:, 1].mean() < 6  # it shifts, and does not nod off
    assert all(layer.brows.std() > 0.01 and layer.gaze.any() and layer.shut.max() > 0.9 for layer in idle)


def test_in_pauses_a_head_only_stirs():
    each = layers()
    for start, end in ((112, 134), (242, 289)):
        heads = np.array([layer.head[start:end] for layer in each])
        assert (np.linalg.norm(heads[:, -1] - heads[:, 0], axis=-1) < 1.5).mean() >= 0.75
        assert np.linalg.norm(np.diff(heads, axis=1), axis=-1).sum(1).min() > 0.3
    assert np.abs(speeds(each)[:, 242:289]).max() < 40


def test_speakers_mark_accents():
    events = np.concatenate([nods(Motion(np.zeros((500, 1)), np.zeros((500, 3)), np.radians(layer.head))) for layer in layers()])
    near = np.abs(events[:, None] - ACCENTS).min(1) <= 4
    assert near.mean() > 0.85 and len(events) > 0.3 * len(SEEDS) * len(ACCENTS)
    rising = np.array([np.diff(layer.brows.mean(1) + layer.knit.mean(1)) for layer in layers()])
    fastest = [row[a - 6 : a + 5].argmax() - 6 for row in rising for a in ACCENTS if row[a - 6 : a + 5].max() > 0.01]
    assert abs(np.mean(fastest) + 0.5) < 1


def test_takes_mark_accents_of_their_own_a_little_before_on_or_after_them():
    moved = [nods(Motion(np.zeros((500, 1)), np.zeros((500, 3)), np.radians(layer.head))) for layer in layers(seeds=range(24))]
    near = np.array([[(np.abs(some - accent) <= 4).any() for accent in ACCENTS] for some in moved])
    assert near.mean(0).max() < 0.8 and len({tuple(row) for row in near}) > 20, "no accent is all takes'"
    assert near[:, VOICE.weights == 0.9].mean() > near[:, VOICE.weights == 0.3].mean() + 0.04, "the strongest are most takes'"
    apart = np.concatenate([some[:, None] - ACCENTS for some in moved]).ravel()
    assert apart[np.abs(apart) <= 4].std() > 1
    numbers = near.sum(1)
    size = [np.abs(np.diff(layer.head[:, 0])).max() for layer in layers(seeds=range(24), spread=0.0)]
    assert numbers.std() < 3 and np.std(size) / np.mean(size) < 0.3


def test_takes_that_are_made_together_share_out_what_they_do():
    each = np.array([evenly(seed, Stream.MARKED, Stream.MARKED_TURNS, (50,)) for seed in range(16, 32)])
    for eight in (each[:8], each[8:]):
        assert (np.sort((8 * eight).astype(int), 0) == np.arange(8)[:, None]).all(), "one in every eighth"
    assert np.abs(np.corrcoef(each) - np.eye(16)).max() < 0.5, "each in an order of its own"
    assert np.array_equal(evenly(17, Stream.MARKED, Stream.MARKED_TURNS, (9,)), each[1, :9]), "a longer line begins as a shorter one does"


def test_no_beat_is_marked_by_most_takes_of_a_voice():
    strong = Phrasing(500, ACCENTS, np.ones(12), VOICE.phrases)
    for first in range(0, 80, 8):
        marks = np.array([layer.marked[ACCENTS + 1, 0] > 0.6 for layer in layers(strong, seeds=range(first, first + 8))])
        assert marks.sum(0).max() <= 5 and marks.sum(0).min() >= 3


def test_a_wide_nod_of_the_model_goes_where_a_take_leaves_it_out():
    t = np.arange(200)
    head = np.radians(np.stack([8 * np.exp(-0.5 * ((t - 100) / 5) ** 2), 0 * t, 0 * t], 1))
    accents = np.exp(-0.5 * ((t - 100) / 2.5) ** 2)
    heights = []
    for marks in (0, 1):
        layer = Layer(200)
        layer.leave(np.array([100]), np.array([[(0.07, 1.5)[marks], 1.0]]), 4.0)
        heights.append(
            np.degrees(calm_between_accents(np.zeros((200, 1)), head, accents, np.array([True]), 0 * t, layer.marked)[1][:, 0].max())
        )
    assert heights[0] < 3.6 and heights[1] > 7


def test_of_the_models_movement_stays_what_a_take_marks():
    for layer in layers():
        head = layer.marked[np.clip(ACCENTS + 1, 0, 499), 0]
        assert (head < 0.45).any() and (head > 0.6).any() and layer.marked.min() >= 0 and layer.marked.max() < 2.5
    for layer in layers(listens=True):
        assert (layer.marked == 1).all()


def test_listeners_nod_and_blink_after_phrases_and_mark_no_accents():
    each = layers(listens=True)
    answers = []
    for layer in each:
        events = nods(Motion(np.zeros((500, 1)), np.zeros((500, 3)), np.radians(layer.head)))
        answers += [((events - end > 0.1 * FPS) & (events - end < 0.8 * FPS)).any() for _, end in VOICE.phrases]
        assert not layer.shut[:100].any()
    assert 0.4 < np.mean(answers) < 1
    assert any(layer.shut.max() > 0.9 for layer in each) and np.abs(speeds(each)).max() < 60


@pytest.mark.parametrize("away", [(350, 400), (350, 485), (350, 500), (480, 500), (496, 500)])
def test_a_listener_ends_looking_where_it_usually_looks(away):
    names, looks, still = ("eyeBlinkLeft", "eyeBlinkRight"), np.zeros((500, 3)), np.zeros((500, 3))
    looks[away[0] : away[1], :2] = np.radians([3.0, -16.0])
    for layer in layers(listens=True, seeds=range(16)):
        _, head, eyes = layer.apply(np.zeros((500, 2)), still, looks, names)
        gaze = np.degrees(head + eyes)[:, :2]
        distance = np.linalg.norm(gaze - np.median(gaze, 0), axis=1)
        assert distance[-15:].max() < 3.3 and np.linalg.norm(gaze[-1]) < 6
        assert distance[:400].max() > 12 or away[0] > 400, "looks that are over by then stay"
    for layer in layers(seeds=range(4)):
        assert layer.returns is None, "speakers look where they will"


def test_no_listener_ends_in_the_middle_of_a_nod():
    for gap in (8, 11, 14, 17):
        short = Phrasing(100 + gap, np.zeros(0, int), np.zeros(0), np.array([[10, 100]]))
        assert max(np.abs(speeds([layer])[0, -2:]).max() for layer in layers(short, listens=True, seeds=range(16))) < 12


def test_sliders_scale_gestures_and_move_none():
    small, large = (layers(style=Style(head=by, brows=by))[3] for by in (0.5, 2.0))
    assert 1.5 < large.brows.std(0).sum() / small.brows.std(0).sum() < 5
    assert speeds([large]).std() > 1.5 * speeds([small]).std()


@pytest.mark.parametrize("direction", [Direction(), Direction(Style(brows=1.7, asymmetry=-0.4), "angry", 0.7), Direction(mood="bored")])
def test_gestures_are_played_as_the_direction_is(direction):
    style, directed = direction.played, Directed.of(direction.vector()[None]).at(7)
    assert directed.looks == pytest.approx(style.eyes, rel=1e-5)
    raises = 1 + direction.strength * (HABITS.get(direction.mood, Habits()).raises - 1)
    assert directed.brows == pytest.approx(style.brows * raises, rel=1e-5)
    assert directed.tempo == pytest.approx(direction.tempo, rel=1e-5) and directed.side == pytest.approx(style.asymmetry, abs=1e-6)
    nods = 1 + direction.strength * (HABITS.get(direction.mood, Habits()).nods - 1)
    assert directed.head == pytest.approx(style.head * style.energy**0.3 * nods, rel=1e-5)


def test_a_mood_of_one_side_raises_that_brow_and_holds_the_other():
    contempt, usual = (layers(mood=mood)[3].brows for mood in ("contemptuous", "neutral"))
    share = [np.abs(brows[:, 1]).sum() / np.abs(brows[:, 2]).sum() for brows in (contempt, usual)]
    assert share[0] > 2 * share[1]


def test_the_gaze_of_the_bored_wanders_in_speech():
    spoken = slice(int(VOICE.phrases[0, 0]), int(VOICE.phrases[0, 1]))
    bored, usual = (np.mean([np.abs(layer.gaze[spoken]).mean() for layer in layers(mood=mood)]) for mood in ("bored", "neutral"))
    assert bored > 0.5 and usual < 0.1


def test_off_accents_the_model_moves_less_and_on_them_as_before():
    t = np.arange(200)
    head = np.radians(np.stack([3 * np.sin(t / 2), 0 * t, 5 + 0 * t], 1))
    brows = np.clip(0.3 + 0.1 * np.sin(t / 2), 0, 1)[:, None] * [1.0, 0.0]
    accents = np.where(t > 100, 1.0, 0.0)
    calm, turned = calm_between_accents(brows, head, accents, np.array([True, False]), 0 * accents, np.ones((200, 2)))
    assert np.allclose(turned[110:190], head[110:190]) and np.allclose(calm[110:190], brows[110:190])
    assert turned[20:90, 0].std() < 0.7 * head[20:90, 0].std() and calm[20:90, 0].std() < 0.75 * brows[20:90, 0].std()
    assert np.allclose(turned[:, 1:], head[:, 1:]) and np.array_equal(calm[:, 1], brows[:, 1])
    fewer = np.where(np.arange(200) > 150, 0.2, 1.0)[:, None].repeat(2, 1)
    calm, turned = calm_between_accents(brows, head, accents, np.array([True, False]), 0 * accents, fewer)
    assert np.allclose(turned[110:150], head[110:150]) and turned[155:195, 0].std() < 0.5 * head[155:195, 0].std(), "nor on unmarked ones"
    turned = calm_between_accents(brows, head, accents, np.array([True, False]), 0 * accents, np.full((200, 2), 4.0))[1]
    assert 1.3 < turned[110:190, 0].std() / head[110:190, 0].std() < 1.8, "nor far more where a take marks two close ones"


def test_a_layer_keeps_channels_within_bounds_eyes_on_their_point_and_blinks_whole():
    layer = Layer(100)
    layer.stroke(30, np.array([4.0, 2.0, 1.0]), 0.2, 0.1, 0.3, "a nod")
    layer.move_brows(50, np.array([0.9, 0.9, 0.9]), np.zeros(2), 0.2, 0.2, 0.4, "brows")
    layer.blink(20, "a blink"), layer.blink(70, "a blink")
    expression = np.full((100, len(NAMES)), 0.6)
    expression[:, 5:7] = 0
    expression[72:76, 5:7] = 1  # the model blinks there
    before = expression.copy()
    after, head, eyes = layer.apply(expression, np.zeros((100, 3)), np.zeros((100, 3)), NAMES)
    assert np.array_equal(expression, before) and after.min() >= 0 and after.max() <= 1
    assert np.array_equal(after[:, 7], before[:, 7])  # no lips
    assert np.abs((head + eyes)[:, :2]).max() < 0.1 * np.abs(head[:, :2]).max()
    assert after[18:30, 5].max() > 0.9 and np.array_equal(after[40:, 5], before[40:, 5])


def test_nothing_is_added_near_what_is_kept():
    mask = np.zeros((40, 2), bool)
    mask[10:20, 0] = True
    free = Inpainting(mask, mask).free
    assert not free[10:20, 0].any() and (free[:, 1] == 1).all() and free[20 + EASE, 0] == 1 and free[10 - 1 - EASE, 0] == 1
    assert (np.diff(free[19 : 21 + EASE, 0]) >= 0).all() and free[20, 0] < 0.2


def test_phrases_are_what_lies_between_silences():
    belief = np.zeros((400, len(PHONES)), np.float32)
    belief[:, SILENCE + 1] = 1
    for start, end in ((0, 1.0), (2.4, 2.5), (4, 5), (7, 8)):
        belief[int(50 * start) : int(50 * end)] = 0
        belief[int(50 * start) : int(50 * end), SILENCE] = 1
    loud = np.sin(np.arange(200) / 4)
    marks = phrasing(loud, np.ones(200), belief)
    assert np.abs(marks.phrases - [[25, 100], [125, 175]]).max() <= 3  # a short stop parts nothing
    assert len(marks.accents) == len(marks.weights) and marks.weights.min() >= 0 and marks.weights.max() <= 1
    assert marks.silences.shape == (3, 2) and not len(phrasing(loud, np.zeros(200), belief).phrases)
    part = marks.part(110, 200)
    assert part.frames == 90 and len(part.phrases) == 1 and ((part.accents >= 0) & (part.accents < 90)).all()


def carriage(seed, spread=0.5, style=None, frames=100):
    """The layer of a take's brow carriage alone."""
    layer = Layer(frames)
    carried(layer, seed, spread, style)
    drawn_together(layer, style)
    return layer


def test_each_take_carries_its_brows_at_a_height_of_its_own_that_spread_scales():
    raised = np.array([carriage(seed).brows[0, 0] for seed in range(64)])
    for some in (raised[:4], raised[8:16], raised):
        assert 0.07 < some.std() < 0.15 and abs(some.mean()) < 0.05, "few takes are apart as many are"
    assert np.abs(raised).max() < 0.2
    assert np.allclose([carriage(seed, 1.0).brows[0, 0] for seed in range(64)], 2 * raised)
    assert not any(getattr(carriage(seed, 0.0), part).any() for seed in range(8) for part in ("brows", "knit")), "exactly as asked"
    for seed in range(8):
        layer = carriage(seed)
        assert (layer.brows == layer.brows[0, 0]).all(), "alike on both sides, over the whole line"
        assert not any(getattr(layer, part).any() for part in ("head", "gaze", "knit", "shut", "droop"))


def test_brows_that_are_carried_low_go_on_moving_below_their_rest():
    low = min(range(8), key=lambda seed: carriage(seed).brows[0, 0])
    own, still = np.zeros((100, len(NAMES))), np.zeros((100, 3))
    own[:, :3] = 0.05 + 0.04 * np.sin(np.arange(100) / 5)[:, None]
    result = carriage(low).apply(own, still, still, NAMES)[0]
    level = result[:, :3].mean(1) - result[:, 3:5].mean(1)
    assert np.allclose(level, own[:, 0] + carriage(low).brows[0, 0], atol=3e-3) and (result >= 0).all()


def test_brows_are_drawn_together_or_apart_as_far_as_frown_says():
    shares = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    own, still = np.full((100, len(NAMES)), 0.05), np.zeros((100, 3))
    got = []
    for share in shares:
        layer = carriage(0, 0.0, Direction(Style(frown=share)).vector()[None])
        faces = layer.apply(own, still, still, NAMES)[0]
        got.append((faces[:, 3:5].mean(), faces[:, :3].mean()))
    down, up = np.array(got).T
    assert down[4] - down[2] > 0.3 and down[0] == 0 and up[0] - up[2] > 0.1 and up[4] == pytest.approx(up[2])
    assert np.allclose(np.diff(down[2:]), np.diff(down[2:]).mean(), rtol=0.2), "as far as is asked"
    low = min(range(8), key=lambda seed: carriage(seed).brows[0, 0])
    apart = carriage(low, style=Direction(Style(frown=-1)).vector()[None]).apply(own, still, still, NAMES)[0]
    assert not apart[:, 3:5].any(), "a take whose own brows are low does not frown where less of that is asked"
    comes = np.repeat([Direction().vector(), Direction(Style(frown=1)).vector()], 50, 0)
    assert np.abs(np.diff(carriage(0, 0.0, comes).knit, axis=0)).max() < 0.04


def test_brows_beyond_what_the_model_follows_move_more_and_rest_lower():
    frames = 200
    lively = [livelier(Directed.of(Direction(Style(brows=brows)).vector()[None]), frames) for brows in (1.0, 2.5)]
    assert not lively[0].any() and lively[1].min() > 0.9
    own = (0.4 + 0.1 * np.sin(np.arange(frames)))[:, None]
    usual, more = (
        calm_between_accents(own, np.zeros((frames, 3)), np.ones(frames), np.array([True]), by, np.ones((frames, 2)))[0] for by in lively
    )
    assert np.allclose(usual, own) and more.mean() < 0.8 * own.mean() and more[20:-20].std() > 1.3 * own[20:-20].std()


def test_restless_eyes_look_away_more_often_and_their_blinks_are_short():
    def looks(eyes):
        each = layers(style=Style(eyes=eyes))
        return sum(int((np.diff((np.linalg.norm(layer.gaze, axis=1) > 3).astype(int)) == 1).sum()) for layer in each), each[0]

    (few, steady), (many, restless) = looks(1.0), looks(3.0)
    assert many > 2 * few + 20
    names, still = ("eyeBlinkLeft", "eyeBlinkRight"), np.zeros((500, 3))
    own = np.zeros((500, 2))
    own[300:316] = 1.0  # two blinks that ran together
    for layer in (steady, restless):
        layer.shut[:], layer.droop[:] = 0, 0
    shut = [(layer.apply(own, still, still, names)[0][295:325, 0] > 0.5).sum() for layer in (steady, restless)]
    assert shut[1] <= 5 < shut[0] <= 14
    short = np.zeros((500, 2))
    short[300:304] = 1.0
    assert np.array_equal(restless.apply(short, still, still, names)[0][295:325], short[295:325]), "short ones stay as they are"


def test_a_mood_s_brows_win_over_those_of_the_take_and_nothing_jumps():
    low, high = (pick(range(8), key=lambda seed: carriage(seed).brows[0, 0]) for pick in (min, max))
    for seed in (low, high):
        assert not carriage(seed, style=Direction(mood="angry").vector()[None]).brows.any()
        slight = carriage(seed, style=Direction(mood="angry", strength=0.3).vector()[None]).brows
        assert np.allclose(slight, 0.91 * carriage(seed).brows, atol=1e-6)
        comes = np.repeat([Direction().vector(), Direction(mood="sad").vector()], 50, 0)
        layer = carriage(seed, style=comes)
        assert np.abs(np.diff(layer.brows, axis=0)).max() < 0.015 and np.abs(layer.brows[-20:]).max() < 1e-3 < np.abs(layer.brows[0, 0])
        assert carriage(seed, style=comes[:60], frames=100).brows.shape == (100, 3)


def blinks_of(marks, seeds=SEEDS, looks=1.0, own=None) -> list[np.ndarray]:
    """Frames at which blinks of some seeds' takes begin, over lids [T] of a model; none of its own where it is None."""
    names, still, result = ("eyeBlinkLeft", "eyeBlinkRight"), np.zeros((marks.frames, 3)), []
    lids = np.zeros((marks.frames, 2)) if own is None else np.stack([own, own], 1)
    for seed in seeds:
        layer = layer_of(marks, seed, 0.5, Direction(Style(eyes=looks)).vector()[None], False)
        layer.shut[:] = 0  # a speaker's own blinks come from the model
        made = layer.apply(lids, still, still, names)[0]
        assert np.array_equal(made[:, 0] > 0.5, made[:, 1] > 0.5)
        result.append(np.flatnonzero(np.diff((made[:, 0] > 0.5).astype(int), prepend=0) == 1))
    return result


LONG = Phrasing(1500, np.arange(30, 1400, 20), np.ones(69), np.array([[20, 700], [730, 1400]]))


@pytest.mark.parametrize("looks, rates", [(0.2, (5, 9)), (0.5, (7, 11)), (1.0, (9, 14))])
def test_eyes_that_never_blink_are_given_blinks_at_times_of_each_take(looks, rates):
    each = blinks_of(LONG, looks=looks)
    gaps = [np.diff(np.concatenate([[0], shut, [LONG.frames]])) / FPS for shut in each]
    assert rates[0] <= np.mean([len(shut) for shut in each]) <= rates[1], "in a minute"
    assert max(some.max() for some in gaps) < 9.3 and min(some[1:-1].min() for some in gaps) > 2
    first = {int(shut[0]) for shut in each}
    assert len(first) >= 6 and len({tuple(shut) for shut in each}) == len(SEEDS)


@pytest.mark.parametrize("apart", [9.3, 9.8, 11.0, 14.0])
def test_steady_eyes_that_blink_a_little_too_rarely_are_given_one_blink_between(apart):
    own = np.zeros(LONG.frames)
    own[[400, 400 + round(apart * FPS)]] = 1
    for shut in blinks_of(LONG, looks=0.2, own=own):
        between = shut[(shut > 400) & (shut < 400 + apart * FPS)]
        assert len(between) == 1 and np.diff([400, *between, 400 + apart * FPS]).min() > 2.5 * FPS


def test_eyes_that_blink_often_are_given_no_other_blinks_and_steadier_ones_fewer():
    often = np.zeros(LONG.frames)
    often[40::100] = 1
    assert all(np.array_equal(shut, np.arange(40, LONG.frames, 100)) for shut in blinks_of(LONG, own=often))
    rates = [np.mean([len(shut) for shut in blinks_of(LONG, range(24), looks)]) for looks in (0.2, 0.5, 1.0, 1.5)]
    assert (np.diff(rates) > 0.5).all()


def test_added_blinks_hide_no_stressed_syllable_and_prefer_where_phrases_end():
    apart = np.array([20, 75, 130, 185, 240, 295, 350, 405, 460, 515, 570, 625, 680])
    marks = Phrasing(1500, apart, np.ones(len(apart)), np.array([[10, 120], [140, 330], [345, 700], [720, 1490]]))
    shut = np.concatenate(blinks_of(marks, range(24)))
    hidden = np.abs(shut[:, None] + 3 - apart).min(1) <= 2
    assert hidden.mean() < 0.05, "a fifth of the frames are as near to one"
    ends = np.abs(shut[:, None] - np.array([120, 330, 700]) - 4).min(1) <= 6
    assert ends.sum() > 3 * 39 / 1500 * len(shut)


@pytest.mark.parametrize("looks", [0.2, 1.0])
def test_in_a_long_pause_most_takes_blink(looks):
    marks = Phrasing(400, np.zeros(0, int), np.zeros(0), np.array([[5, 120], [240, 395]]))
    busy = np.zeros(400)
    busy[100], busy[260] = 1, 1  # beside it
    inside = [shut[(shut > 122) & (shut < 240)] for shut in blinks_of(marks, range(24), looks, busy)]
    assert np.mean([len(some) > 0 for some in inside]) > 0.7 and len({tuple(some) for some in inside}) > 12


def test_no_take_begins_or_ends_with_shut_eyes():
    lids = np.full(300, 0.1)
    lids[:6], lids[6:9] = 0.9, (0.6, 0.3, 0.15)
    lids[150:154] = 1.0
    lids[293:] = np.linspace(0.2, 1.0, 7)
    marks = Phrasing(300, np.zeros(0, int), np.zeros(0), np.array([[5, 295]]))
    for shut in blinks_of(marks, own=lids):
        assert 8 <= shut.min() < 60 and 240 < shut.max() < 292 and 150 in shut, "they come a little further inside"
    names, still = ("eyeBlinkLeft", "eyeBlinkRight"), np.zeros((300, 3))
    for layer in layers(marks):
        made = layer.apply(np.stack([lids, lids], 1), still, still, names)[0]
        assert max(made[:8].max(), made[-8:].max()) < 0.25 and made[8:-8].max() > 0.9
    short = np.full((12, 2), 0.2)
    short[:3] = 0.8
    made = layers(silent(12), seeds=[0])[0].apply(short, still[:12], still[:12], names)[0]
    assert made.max() < 0.5, "too short for another"


def test_lids_that_a_mood_holds_low_stay_low_at_the_ends():
    lids, still = np.full((300, 2), 0.4), np.zeros((300, 3))
    layer = layers(VOICE.part(0, 300), seeds=[0])[0]
    layer.droop[:] = 0
    made = layer.apply(lids, still, still, ("eyeBlinkLeft", "eyeBlinkRight"))[0]
    assert np.allclose(made[:8], 0.4) and np.allclose(made[-8:], 0.4)


def gaze_rests(motion_gaze: np.ndarray, lids=None, looks=1.0, seeds=SEEDS, marks=None) -> list[np.ndarray]:
    """Seconds of every rest of a gaze [T, 3], radians, with the glances that layers of some seeds add."""
    frames = len(motion_gaze)
    marks = marks or Phrasing(frames, np.zeros(0, int), np.zeros(0), np.array([[20, 600], [625, frames - 20]]))
    lids, names = np.zeros((frames, 2)) if lids is None else lids, ("eyeBlinkLeft", "eyeBlinkRight")
    result = []
    for seed in seeds:
        layer = layer_of(marks, seed, 0.0, Direction(Style(eyes=looks)).vector()[None], False)
        layer.gaze[:], layer.blinks = 0, None
        made, head, eyes = layer.apply(lids, np.zeros((frames, 3)), motion_gaze, names)
        shifted = shifts(Motion(made, np.zeros((frames, 3)), head, eyes))
        result.append(np.diff(np.concatenate([[0], shifted, [frames]])) / FPS)
    return result


@pytest.mark.parametrize("looks, longest", [(0.2, 8.0), (1.0, 6.5), (2.0, 5.0)])
def test_no_gaze_rests_for_ten_seconds_and_steady_eyes_rest_longest(looks, longest):
    still = np.zeros((int(60 * FPS), 3))
    each = gaze_rests(still, looks=looks)
    assert max(rests.max() for rests in each) <= longest and len({tuple(rests) for rests in each}) == len(SEEDS)
    assert max(rests.max() for rests in gaze_rests(still, looks=2.0)) < min(rests.max() for rests in gaze_rests(still, looks=0.2))
    assert [len(rests) for rests in gaze_rests(still[:100], looks=looks)] == [1] * len(SEEDS)


def test_a_gaze_that_shifts_often_enough_has_no_glances_added():
    moving = np.zeros((1500, 3))
    moving[:, 1] = np.where(np.arange(1500) // 100 % 2, 0.1, 0.0)
    assert all(np.array_equal(np.round(rests), np.full(15, 4)) for rests in gaze_rests(moving))


def test_glances_come_where_phrases_end_and_else_with_blinks():
    marks, still = Phrasing(700, np.zeros(0, int), np.zeros(0), np.array([[10, 115], [130, 690]])), np.zeros((700, 3))
    blinks = np.zeros(700)
    blinks[100::25] = 1.0
    for seed in SEEDS:
        made = needed_glances(possible_glances(marks, seed), still, blinks, np.full(700, 150.0))
        assert made[0].at == 115 and made[0].frames == 15  # in the pause
        assert all((glance.at - 1) % 25 == 0 for glance in made[1:-1]) and len(made) >= 4
        assert all(3 < np.hypot(glance.turned, glance.lowered) < 10 for glance in made)


def test_every_stream_of_random_numbers_is_drawn_by_one_gesture_alone():
    folder = Path(manner.__file__).parent
    drawn = re.findall(
        r"(?:generator\(seed, |evenly\(seed, |, )Stream[.]([A-Z_]+)", "".join(path.read_text() for path in folder.glob("*.py"))
    )
    assert sorted(drawn) == sorted(Stream.__members__)
