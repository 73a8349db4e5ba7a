# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes plan: a function of the seed, as large as is asked, to both sides; lips as planned from
a voice's features. How people move: `test_people.py`."""

from dataclasses import replace

import numpy as np
import pytest
from memory import held_at_most
from scipy.stats import norm
from stored import compare

from research.faces.lip_clips import stack_neighbours
from research.train.mouth_readings import read_again, residual
from thunder_core.direction import AXES, Direction, NEUTRAL, Style
from thunder_core.engine.diffusion import Inpainting
from thunder_core.engine.loaded import Thunder
from thunder_core.engine.performance import side_of
from thunder_core.engine.planning import take_plan
from thunder_core.engine.planning.choice import Deck
from thunder_core.engine.planning.mouth_map import (
    apply_map,
    expect_lips,
    Map,
    mouth_map,
    phone_probabilities,
    place_sounds,
)
from thunder_core.engine.planning.people import draw_person
from thunder_core.engine.planning.take_plan import brow_height, event_curves, plan_take
from thunder_core.engine.planning.upper_face import Behaviours, plan_listener
from thunder_core.engine.speech.cues import (
    Phrasing,
    phrasing,
    prosody_of,
    sample_phones,
    silent_phrasing,
)
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.events import (
    BREATH,
    BROW_COLUMNS,
    EVENTS,
    HEAD,
    KNIT,
    LOOK,
    Look,
    Nod,
    Plan,
    Raise,
    SIDE,
)  # fmt: skip
from thunder_core.face.moving.mechanics import Sounds
from thunder_core.spoken import PHONES, SILENCE
from thunder_core.types import Columns, FPS

ACCENTS = np.array([20, 45, 70, 95, 150, 175, 200, 225, 330, 360, 390, 420])
VOICE = Phrasing(
    500, ACCENTS, np.tile([0.3, 0.9, 0.6], 4), np.array([[10, 110], [135, 240], [290, 440]])
)
SEEDS = range(16)


def heard(marks):
    """Prosody of a voice that is marked so; loud in its phrases."""
    loud = np.full(marks.frames, -1.0)
    for start, end in marks.phrases:
        loud[start:end] = 0.0
    return prosody_of(marks, loud, np.zeros(2 * marks.frames, int))


def plans(
    marks=VOICE, spread=0.5, style=None, listens=False, seeds=SEEDS, mood=NEUTRAL, strength=1.0
):
    asked = Direction(style or Style(), mood, strength).vector()[None]
    voice = heard(marks)
    deck = Deck(voice)
    return [
        plan_take(voice, marks, deck.choice(seed), seed, spread, asked, listens) for seed in seeds
    ]


def curves(some):
    return np.stack([each.events for each in some])


def blinks(some):
    return [[blink.at for blink in each.plan.blinks] for each in some]


def test_plans_are_those_that_are_stored():
    found, rng = {}, np.random.default_rng(1)
    acted = Style.of_vector(rng.normal(0, 1.2, len(AXES)))
    for name, how in {
        "speaker": {"seeds": range(4)},
        "acted": {"style": acted, "spread": 0.9},
        "listener": {"listens": True, "seeds": range(4)},
        "acted listener": {"style": acted, "listens": True},
        "idle": {"marks": silent_phrasing(700)},
        **{mood: {"mood": mood, "strength": 0.8} for mood in ("JOY", "CONTEMPT", "FEAR")},
    }.items():
        for seed, each in enumerate(plans(**{"seeds": range(2)} | how)):
            parts = (vars(each) | vars(each.resting)).items()
            arrays = {part: value for part, value in parts if isinstance(value, np.ndarray)}
            arrays |= {f"event {row}": curve for row, curve in enumerate(arrays.pop("events").T)}
            found |= {f"{name} {seed}: {part}": x for part, x in arrays.items() if x.any()}
    compare("plans", found)


def test_listeners_nod_after_phrases_and_speakers_breathe_before_them():
    nods = np.concatenate([[nod.at for nod in each.plan.nods] for each in plans(listens=True)])
    ends = VOICE.phrases[:, 1] / FPS
    after = np.array([(nods > end) & (nods < end + 2) for end in ends]).any(0)
    assert after.mean() > 0.5 and nods.min() > ACCENTS[0] / FPS
    drawn = np.array([each.breath.max() > 0 for each in plans()])
    assert drawn.mean() > 0.8 and max(each.breath.max() for each in plans()) <= 0.026 + 1e-6
    for each in plans(listens=True) + plans(silent_phrasing(500)):
        assert not each.events[:, BREATH].any()


@pytest.mark.parametrize("nods", [0.5, 2.0])
def test_listeners_nod_on_accents_as_often_as_these_weigh_and_their_heads_move(nods):
    usual = Behaviours.of_styles(Direction().vector()[None]).usual
    behaviours, voice = Behaviours((replace(usual, nods=nods),)), heard(VOICE)
    person = draw_person(0.0, 0, voice)
    plans = [
        plan_listener(voice, behaviours, person, np.random.default_rng(seed)) for seed in range(200)
    ]
    # of the other nods each turns and tilts a little
    answers = sum(not nod.degrees[1:].any() for plan in plans for nod in plan.nods)
    assert answers / 200 == pytest.approx(0.22 * nods * VOICE.weights.sum(), rel=0.15)


def test_sliders_scale_gestures_and_move_none():
    usual, more = (plans(style=Style(head=by), seeds=[3])[0].plan for by in (1.0, 1.01))
    assert [nod.at for nod in usual.nods] == [nod.at for nod in more.nods]
    assert all(
        np.linalg.norm(b.degrees) >= np.linalg.norm(a.degrees)
        for a, b in zip(usual.nods, more.nods)
    )
    size = {
        by: curves(plans(style=Style(head=by)))[..., HEAD].std(1).mean() for by in (0.5, 1.0, 1.8)
    }
    assert size[0.5] < 0.75 * size[1.0] < size[1.0] < 0.75 * size[1.8]
    raised = {
        by: curves(plans(style=Style(brows=by)))[..., BROW_COLUMNS].std(1).mean()
        for by in (0.4, 1.0, 1.8)
    }
    assert raised[0.4] < 0.6 * raised[1.0] and raised[1.8] > 1.4 * raised[1.0]


def test_moods_have_habits_of_their_own_from_where_they_come():
    vectors = np.repeat([Direction().vector(), Direction(mood="amused").vector()], 250, 0)
    behaviours = Behaviours.of_styles(vectors)
    assert behaviours.at(2.0) == Behaviours.of_styles(Direction().vector()[None]).at(0)
    assert behaviours.at(18.0) == Behaviours.of_styles(Direction(mood="amused").vector()[None]).at(
        0
    )
    assert (
        curves(plans(mood="bored"))[..., HEAD].std(1).mean()
        < 0.6 * curves(plans(mood="amused"))[..., HEAD].std(1).mean()
    )
    rates = {
        mood: np.mean([len(each) for each in blinks(plans(mood=mood))])
        for mood in ("afraid", "angry")
    }
    assert rates["afraid"] > 1.2 * rates["angry"]


def test_half_of_takes_incline_to_each_side_but_contempt_to_that_of_its_smile():
    for mood in (NEUTRAL, "warm", "doubtful"):
        assert (
            0.3
            < np.mean([each.events[0, SIDE] > 0 for each in plans(mood=mood, seeds=range(64))])
            < 0.7
        )
    assert all(each.events[0, SIDE] == 1 for each in plans(mood="contemptuous"))
    assert {each.events[0, SIDE] for each in plans(mood="contemptuous", strength=0.3)} == {-1, 1}, (
        "a slight one hardly smiles"
    )
    left, right = (plans(mood="doubtful", style=Style(asymmetry=by)) for by in (0.7, -0.7))
    assert {each.events[0, SIDE] for each in left} == {-1.0} and {
        each.events[0, SIDE] for each in right
    } == {1.0}


def test_movements_of_a_third_of_an_hour_take_little_memory():
    frames = int(20 * 60 * FPS)
    looks = [Look(at, np.array([at % 7, 1.0])) for at in np.arange(0.0, 1200.0, 1.2)]
    with held_at_most(33e6):
        curves = event_curves(Plan(looks=looks), frames)
    assert curves[-1, LOOK] == pytest.approx(looks[-1].degrees)


def test_the_slider_of_the_eyes_adds_blinks_up_to_half_and_at_its_end():
    counts = [sum(map(len, blinks(plans(style=Style(eyes=eyes))))) for eyes in (0.2, 1.0, 1.5, 3.0)]
    assert (np.diff(counts) > 0.05 * counts[1]).all(), counts


def test_brows_are_carried_at_a_height_of_each_take_s_own_and_frown_or_mood_place_them():
    raised = np.array([brow_height(seed, 0.5) for seed in range(64)])
    for some in (raised[:4], raised[8:16], raised):
        assert some.min() < 0 < some.max()
    assert (
        np.allclose([brow_height(seed, 1.0) for seed in range(64)], 2 * raised)
        and brow_height(3, 0.0) == 0
    )
    assert np.abs(raised).max() <= 0.5 * 0.22 * 3**0.5
    together, apart = (plans(style=Style(frown=by), spread=0.0, seeds=[1])[0] for by in (1.0, -1.0))
    assert together.knit.min() > 0.3 and apart.knit.max() < 0 and apart.brows.min() > 0.1
    own, moody = (plans(mood=mood, seeds=[2])[0].brows[:, 0] for mood in (NEUTRAL, "sad"))
    assert np.abs(moody).max() < 0.01 < np.abs(own).max()


def test_phrases_are_what_lies_between_silences():
    belief = np.zeros((400, len(PHONES)), np.float32)
    belief[:, SILENCE + 1] = 1
    for start, end in ((0, 1.0), (2.4, 2.5), (4, 5), (7, 8)):
        belief[int(50 * start) : int(50 * end)] = 0
        belief[int(50 * start) : int(50 * end), SILENCE] = 1
    loud = np.sin(np.arange(200) / 4)
    marks = phrasing(loud, np.ones(200), belief)
    assert np.abs(marks.phrases - [[25, 100], [125, 175]]).max() <= 3  # a short stop parts nothing
    assert (
        len(marks.accents) == len(marks.weights)
        and marks.weights.min() >= 0
        and marks.weights.max() <= 1
    )
    assert marks.silences.shape == (3, 2) and not len(phrasing(loud, np.zeros(200), belief).phrases)
    part = marks.part(110, 200)
    assert (
        part.frames == 90
        and len(part.phrases) == 1
        and ((part.accents >= 0) & (part.accents < 90)).all()
    )


def features(frames=90, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((frames, mouth_map().heard.weights.shape[1])).astype(np.float32)
    believed = rng.dirichlet(np.full(len(PHONES), 0.05), frames)
    x[:, -2 - len(PHONES) : -2] = believed
    return x


@pytest.mark.parametrize("frames", [1, 90])
def test_a_map_is_applied_as_a_product_with_all_frames_around_each_would(frames):
    x, weights = features()[:frames], mouth_map().heard.weights
    product = stack_neighbours(x, len(weights) // 2) @ weights.reshape(-1, 6)
    assert np.allclose(apply_map(x, weights), product, atol=1e-4)


def test_a_long_clip_moves_as_far_as_measured_ones_do_and_a_short_one_stays_as_open_as_it_is():
    weights = np.zeros((5, 2, 6))
    weights[2, 0] = 0.75
    heard = Map(weights, np.full(6, 1.0), np.full(6, 0.5))
    x = 2 + np.random.default_rng(0).standard_normal((4000, 2))
    curves = heard.curves(x, np.ones(4000, bool))
    assert abs(curves.mean()) < 0.2 and abs(curves.std() - 1) < 0.1
    assert heard.curves(x[:1], np.ones(1, bool)) == pytest.approx(1.5 * x[0, 0] - 2.0)


def test_people_differ_from_the_map_as_measured_and_one_reading_less():
    of_people, rng = residual(), np.random.default_rng(0)
    drawn = of_people.draw(60_000, rng)
    assert np.allclose(np.cov(drawn.T), of_people.covariance, atol=0.06)
    r = [np.corrcoef(x[1:], x[:-1])[0, 1] for x in drawn.T]
    assert np.allclose(r, of_people.persistence, atol=0.02)
    heard = rng.standard_normal((60_000, 6))
    for variety in (0.0, 0.6):
        read = read_again(heard, variety, rng)
        assert np.allclose(read.std(0), 1, atol=0.04), "as large as people move"
        r = np.corrcoef(read[:, 0], heard[:, 0])[0, 1]
        own = variety**2 * of_people.covariance[0, 0]
        assert r == pytest.approx(np.sqrt(1 - own), abs=0.02)


def test_lips_rest_where_nobody_speaks_and_follow_what_is_heard_elsewhere():
    x, presence = features(), np.repeat([0.0, 1.0, 0.0], 30)

    def lips_of(x, encoder_matches=True):
        curves = mouth_map().curves(x, presence > 0.5, encoder_matches)
        return expect_lips(curves, phone_probabilities(x), presence)

    lips, of_phones = lips_of(x), lips_of(x, encoder_matches=False)
    assert lips.shape == (90, 2) and lips.dtype == np.float32 and not lips[presence == 0].any()
    assert lips[30:60].std(0).min() > 0.3
    x[:, :40] += 1.0  # features that are no phones
    assert np.array_equal(lips_of(x, encoder_matches=False), of_phones)
    assert not np.allclose(lips_of(x), lips)


def test_a_plan_shuts_lips_on_m_b_and_p_all_but_shuts_them_on_w_and_rounds_them_there_and_on_u():
    """A sound for two frames, which would open lips by a deviation, or press them together."""
    frames, said = 40, slice(19, 21)
    for opening in (1.0, -1.0):
        lips = np.tile([opening, 0.5], (frames, 1))
        for phone, share in (
            ("M", 0.35),
            ("B", 0.35),
            ("M", 0.1),
            ("W", 0.5),
            ("UW", 0.5),
            ("N", 1.0),
        ):
            belief = np.zeros((frames, len(PHONES)))
            belief[:, PHONES.index("AH")] = 1.0
            belief[said] = np.eye(len(PHONES))[PHONES.index(phone)] * share
            made = place_sounds(lips, belief)
            shut, round_ = phone in "BM" and share > 0.25, phone in ("W", "UW")
            least = made[said, 0].min()
            assert made[[5, 35]] == pytest.approx(np.tile([max(opening, 0.1), 0.5], (2, 1)))
            assert least == pytest.approx(
                -0.5 if shut else np.clip(opening, 0.1, 0.3) if phone == "W" else max(opening, 0.1)
            )
            assert made[said, 1].min() == pytest.approx(-1.2 if round_ else 0.5)
    silence = np.eye(len(PHONES))[np.full(frames, PHONES.index("SIL"))]
    assert np.array_equal(place_sounds(lips, silence), lips), "lips may meet in pauses"


# ---- what `Thunder` makes of a voice, a style and a kept part


def test_a_take_hears_a_voice_in_its_own_way_where_somebody_speaks():
    """Of three phones each is half as likely as the one before."""
    logits = np.full((80, len(PHONES)), -9.0)
    logits[:, [PHONES.index(phone) for phone in ("AA", "AE", "EH")]] = np.log([4, 2, 1])
    nothing = np.zeros(40)
    voice = VoiceFeatures(
        *np.split(features(40), [-len(PHONES) - 2], 1), np.zeros(80, int), np.eye(40)[5],
        Sounds(*[nothing] * 6), nothing, silent_phrasing(40), logits,
    )  # fmt: skip
    silent = replace(voice, presence=nothing)
    assert silent.resample_phones(3) is silent
    heard = voice.resample_phones(3)
    assert np.array_equal(heard.logits, sample_phones(logits, 3))
    assert not np.array_equal(heard.logits, logits)
    assert np.array_equal(heard.phones, voice.phones_with(heard.logits))
    frames = np.arange(40) % 3 == 0
    for more in (0, 1):  # of a sound that ends between two frames there is a row more
        longer = replace(voice, logits=np.concatenate([logits, logits[:more]]))
        again, freely = (
            longer.resample_phones(3, frames).logits,
            sample_phones(longer.logits, 3, freely=True),
        )
        assert not np.array_equal(freely[:80], heard.logits)
        rows = np.concatenate([frames.repeat(2), frames[-1:].repeat(more)])
        assert np.array_equal(again, np.where(rows[:, None], freely, longer.logits))


def bare_thunder():
    """Without weights, for two channels."""
    thunder = Thunder.__new__(Thunder)
    thunder.columns, thunder.channel_names = Columns(2), ["mouthFunnel", "browInnerUp"]
    return thunder


@pytest.mark.parametrize("mood, usual", [(None, 1), ("warm", 1), ("doubtful", -1)])
@pytest.mark.parametrize("tilt, side", [(2.0, 1), (-2.0, -1), (0.9, 0), (-0.9, 0), (1.1, 1)])
def test_a_head_that_goes_on_inclines_to_where_what_is_kept_does(mood, usual, tilt, side):
    """Seen in the frames of which any rotation of the head is kept."""
    head = Columns(2).head.start
    kept = Inpainting(np.zeros((30, 11), bool), np.full((30, 11), -1.0))
    style = None if mood is None else Direction(mood=mood).vector()[None]
    assert side_of(kept, style) == 0, "nothing is kept"
    kept.mask[:5], kept.mask[:, :head] = False, True
    assert side_of(kept, style) == 0, "but for the mouth"
    kept.mask[10:20, head + 2] = True
    kept.values[10:20, head + 2] = np.radians(tilt) + np.linspace(-0.1, 0.1, 10)
    assert side_of(kept, style) == side * usual


def test_the_eyes_go_with_a_head_that_goes_on_to_the_other_side():
    """A plan on the side that is kept is that of the other side, mirrored: its head and its looks."""
    voice, style = heard(VOICE), Direction(mood="doubtful").vector()[None]
    choice = Deck(voice).plain
    for seed in range(4):
        left, right = (
            plan_take(voice, VOICE, choice, seed, 0.5, style, side=side).events[:, LOOK]
            for side in (-1.0, 1.0)
        )
        assert np.abs(left[:, 0]).max() > 0.01, "it looks somewhere"
        assert np.array_equal(left, right * [-1, 1])


@pytest.mark.parametrize(
    "column, curves",
    [(5, HEAD), (8, LOOK), (1, slice(BROW_COLUMNS.start, KNIT + 1)), (2, [BREATH])],
)
def test_nothing_is_planned_beside_a_kept_part_of_the_face_that_would_perform_it(column, curves):
    thunder, kept = bare_thunder(), Inpainting(np.zeros((200, 11), bool), np.zeros((200, 11)))
    kept.mask[90:110, column] = True
    [plan] = plans(VOICE.part(0, 200), seeds=[1])
    plan.events[:] = 1.0
    free = np.ones((200, len(EVENTS)))
    events = thunder._events([plan], kept)[0]
    assert np.array_equal(thunder._events([plan])[0], free)
    # 12 frames further to either side, smoothed by a deviation of 6
    rise, fall = (norm.cdf((np.arange(200) - at) / 6) for at in (77.5, 121.5))
    assert events[:, curves].T == pytest.approx(
        np.tile(1 - rise + fall, (len(free[0, curves]), 1)), abs=0.01
    )
    events[:, curves] = 1.0
    assert np.array_equal(events, free), "all else stays"


def test_an_accent_rises_in_its_own_time_and_falls_in_its_own():
    """Brows rise fastest at their time; a head is furthest at its own."""
    up = Raise(at=2.0, height=0.2, rise=0.2, hold=0.4, fall=1.2)
    nod = Nod(at=2.0, degrees=np.array([4.0, 0.0, 0.0]), down=0.2, back=1.2, until=2.4)
    raised = take_plan._brows([up], np.arange(125) / FPS, 1.0)[:, 0]
    nodded = take_plan._head([nod], np.arange(125) / FPS)[:, 0]
    for curve, foot, top in ((raised, 1.9, 2.1), (nodded, 1.8, 2.0)):
        moving = np.flatnonzero(curve > 1e-6) / FPS
        assert (moving[0], moving[-1]) == pytest.approx((foot, top + 1.6), abs=2 / FPS)
        at_rest = np.flatnonzero(curve > 0.999 * curve.max()) / FPS
        assert (at_rest[0], at_rest[-1]) == pytest.approx((top, top + 0.4), abs=2 / FPS)
