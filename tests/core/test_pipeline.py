# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps after sampling: their order, what no face does whatever was sampled, when lips meet, and what
the lower face does in long silence."""

import copy
import inspect
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from thunder_core.direction import AXES, Direction, MOODS, Style
from thunder_core.engine.diffusion import Inpainting
from thunder_core.engine.performance import Performance
from thunder_core.engine.pipeline import Pipeline
from thunder_core.engine.planning.choice import plain
from thunder_core.engine.planning.take_plan import plan_take, Resting
from thunder_core.engine.planning.upper_face import Behaviours
from thunder_core.engine.speech.cues import confident_sounds, Phrasing, prosody_of, silent_phrasing
from thunder_core.face.moving.lips import bundled_lips
from thunder_core.face.moving.mechanics import Sounds
from thunder_core.face.moving.mouth_shape import bundled_mouth
from thunder_core.face.points import bundled_articulators
from thunder_core.spoken import PHONES
from thunder_core.types import FPS, JAW_OPEN_RADIANS, Motion

FRAMES = 100
PIPELINE = Pipeline(bundled_articulators().names, bundled_articulators(), bundled_mouth())
NAMES = PIPELINE.channels
COLUMN = {name: i for i, name in enumerate(NAMES)}
# Every step of a directed take in the order in which it runs.
ORDER = """keep in bounds, rest without speech, breathe, open jaw further, hold tongue, meet lips, show teeth and tongue,
turn jaw, tuck lip, set lips, put tongue out, limit tongue rate, apply moods, keep eyes in sockets, follow plan, move lids, carry brows, rest lower face, keep fixed part"""


def phrased(frames: int = FRAMES) -> Phrasing:
    accents = np.array([15, 30, 60, 80])
    return Phrasing(frames, accents, np.array([0.5, 1.0, 0.3, 0.8]), np.array([[10, 45], [55, 95]]))


def voice_of(shut, s, f, th, present, listens=False):
    """A voice with these curves [FRAMES], as the pipeline reads it."""
    only = 1 - shut  # as `sounds_of` has them: closed lips win
    sounds = Sounds(
        present.astype(float), s * only, f * only, th * only * (1 - s * only), shut, 0 * shut
    )
    return SimpleNamespace(
        sounds=sounds,
        presence=present.astype(np.float32),
        quiet=1 - present,
        accents=np.zeros(FRAMES),
        listens=listens,
        phrasing=phrased(),
    )


def bumps(rng, count: int, width: float = 2.5) -> np.ndarray:
    """A curve [FRAMES] 0 … 1 with some short bumps to 1, as sounds have them."""
    t, result = np.arange(FRAMES), np.zeros(FRAMES)
    for at in rng.uniform(5, FRAMES - 5, count):
        result = np.maximum(result, np.clip(2.2 - np.abs(t - at) / width * 1.2, 0, 1))
    return result


def sampled_by(seed: int, listens: bool = False):
    """(sampled motion that no model would make, voice, performance, plan) by a seed."""
    rng = np.random.default_rng(seed)
    present = np.clip(1.5 - np.abs(np.arange(FRAMES) - 50) / 30, 0, 1)
    voice = voice_of(bumps(rng, 4), bumps(rng, 3), bumps(rng, 3), bumps(rng, 2), present, listens)
    noise = rng.standard_normal((FRAMES, PIPELINE.columns.count))
    sampled = (0.2 + 0.35 * noise).astype(np.float32)
    # Jaw, head and eyes of up to some 15 degrees that shake from frame to frame.
    sampled[:, len(NAMES) :] = 0.1 * np.sin(
        np.cumsum(noise[:, len(NAMES) :], axis=0)
    ) + 0.03 * noise[:, len(NAMES) :].clip(-2, 2)
    # at the ends of all sliders, in one mood at full strength
    ends = {axis.name: (axis.least, axis.most)[rng.integers(2)] for axis in AXES}
    style = Direction(Style(**ends), rng.choice(list(MOODS)), 1.0).vector()[None]
    heard = prosody_of(phrased(), np.zeros(FRAMES), np.zeros(2 * FRAMES, int))
    plan = plan_take(heard, phrased(), plain(heard, ()), seed, 1.0, style, listens)
    return sampled, voice, Performance(0, style), plan


def traced(acting, changes: list):
    """A copy of an object whose steps, and those of the objects that it has, add to a list what they
    change: name of the step, of the curves, these before and after."""
    result = copy.copy(acting)
    for name, value in vars(acting).items():
        if any(hasattr(method, "step") for method in vars(type(value)).values()):
            setattr(result, name, traced(value, changes))
    for name, method in vars(type(acting)).items():
        if hasattr(method, "step"):
            setattr(result, name, recorded(name, method.__get__(result), changes))
    return result


def recorded(name: str, method, changes: list):
    def run(*args, **more):
        given, (_, names) = inspect.signature(method).bind(*args, **more).arguments, method.step
        before = [curves_of(given[what]) for what in names]
        result = method(*args, **more)
        results = result if isinstance(result, tuple) else (result,)
        for what, was, now in zip(names, before, results):
            for part, after in curves_of(now).items():
                changes.append((name.replace("_", " "), part or what, was[part], after))
        return result

    return run


def curves_of(curves) -> dict[str, np.ndarray]:
    """Curves by their names: those of a dataclass, else one without a name."""
    if is_dataclass(curves):
        return {each.name: np.array(getattr(curves, each.name)) for each in fields(curves)}
    return {"": np.array(curves)}


def test_a_take_passes_through_all_steps_in_this_order():
    sampled, voice, *part = sampled_by(1)
    kept = Inpainting(np.zeros(sampled.shape, bool), sampled)
    changes, before = [], sampled.copy()
    result = traced(PIPELINE, changes).finish(sampled, voice, *part, kept=kept)
    assert list(dict.fromkeys(name for name, *_ in changes)) == ORDER.replace("\n", " ").split(", ")
    assert np.array_equal(result, PIPELINE.finish(sampled, voice, *part, kept=kept))
    assert np.array_equal(sampled, before) and result.dtype == np.float32


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=strategies.integers(0, 10**6), listens=strategies.booleans())
def test_constraints_hold_whatever_was_sampled_and_directed(seed, listens):
    sampled, voice, *part = sampled_by(seed, listens)
    result = PIPELINE.finish(sampled, voice, *part)
    x, columns = result[:, : len(NAMES)], PIPELINE.columns
    jaw = result[:, columns.jaw]
    assert (
        np.isfinite(result).all()
        and x.min() >= 0
        and x.max() <= 1 + 1e-6
        and jaw[:, 0].min() >= 0
        and jaw[:, 0].max() <= JAW_OPEN_RADIANS + 1e-6
    )
    roll, out = x[:, COLUMN["mouthRollLower"]], x[:, COLUMN["tongueOut"]]
    assert roll.max() < 0.8 and np.abs(out[roll > 0.45]).max(initial=0) < 0.05, (
        "a tongue does not come through a rolled lip"
    )
    assert np.abs(np.diff(x[:, COLUMN["tongueTipUp"]])).max() <= 0.35 + 1e-5
    assert np.abs(result[:, columns.eyes]).max() <= np.radians(24) + 1e-6


# (step, what it changes) → what is so of (that before it, after it, the voice, all such pairs), in
# any performance
LOWER_LIP = [COLUMN[f"mouthLowerDown{side}"] for side in ("Left", "Right")]
TONGUE, ROLL, TIP = COLUMN["tongueOut"], COLUMN["mouthRollLower"], COLUMN["tongueTipUp"]
OTHERS = np.arange(len(NAMES)) != ROLL
AIM = "show teeth and tongue", "gap"
CLAIMS = {
    ("rest without speech", "jaw"): lambda was, now, voice, _: (
        not now[voice.presence == 0].any() and np.allclose(*of(was, now, voice.presence > 0.4))
    ),
    ("hold tongue", "expression"): lambda was, now, _, pairs: (
        not now[pairs["turn jaw", "jaw"][0][:, 0] < 0.02, TONGUE].any() and (now <= was).all()
    ),
    ("meet lips", "gap"): lambda was, now, voice, _: (
        (now <= np.maximum(was, 0)).all()
        and not now[(voice.sounds.shut == 1) & (was > 0) & (was < 4)].any()
        and np.array_equal(*of(was, now, (voice.sounds.shut == 0) | (was > 8)))
    ),
    AIM: lambda was, now, voice, _: (
        np.array_equal(*of(was, now, (was < 0.1) & (voice.sounds.labiodental == 0)))
        and now[(voice.sounds.labiodental == 1) & (voice.presence == 1)].min(initial=9) > 2.7
        and now[(voice.sounds.sibilant == 1) & only(voice) & (was > 0.35)].min(initial=9) > 2
    ),
    ("turn jaw", "jaw"): lambda was, now, voice, _: (
        now[:, 0].min() >= 0 and np.allclose(*of(was, now, voice.presence == 0), atol=1e-3)
    ),
    ("tuck lip", "expression"): lambda was, now, voice, _: (
        0 <= now[:, ROLL].min()
        and now[:, ROLL].max() <= 0.6 + 1e-6
        and np.array_equal(*of(was[:, OTHERS], now[:, OTHERS], far_from_teeth(voice)))
        and not now[(voice.sounds.dental == 1) & only(voice), ROLL].any()
    ),
    ("set lips", "expression"): lambda was, now, voice, pairs: (
        np.allclose(
            *of(
                gap_of(now, pairs["turn jaw", "jaw"][1]),
                pairs[AIM][1],
                (pairs[AIM][1] > 0) & (now[:, LOWER_LIP].max(1) < 1 - 1e-3),
            )
        )
        and np.allclose(*of(was, now, voice.presence == 0), atol=0.06)
        and now.min() >= 0
    ),
    ("put tongue out", "expression"): lambda was, now, voice, _: (
        np.array_equal(
            *of(was, now, (voice.sounds.dental * voice.presence == 0) & (was[:, ROLL] < 0.15))
        )
        and not now[now[:, ROLL] > 0.45, TONGUE].any()
    ),
    ("limit tongue rate", "expression"): lambda _, now, __, ___: (
        np.abs(np.diff(now[:, TIP])).max() <= 0.35 + 1e-6
    ),
}


def of(was, now, frames):
    """Two curves on some of the frames."""
    return was[frames], now[frames]


def far_from_teeth(voice):
    """Frames from which f and v are so far that a lip does not come from or go to them."""
    return np.convolve(voice.sounds.labiodental * voice.presence, np.ones(7), "same") == 0


def only(voice):
    """Frames on which somebody speaks, and no lip is at the teeth."""
    return (voice.presence == 1) & (voice.sounds.labiodental == 0)


def gap_of(expression, jaw):
    """The distance of the lips [T], millimetres."""
    return PIPELINE.mechanics.articulators.shape(expression, jaw).gap


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=strategies.integers(0, 10**6))
def test_each_constraint_does_what_it_is_there_for_in_any_performance(seed):
    sampled, voice, *part = sampled_by(seed)
    changes = []
    traced(PIPELINE, changes).finish(sampled, voice, *part)
    pairs = {(name, what): curves for name, what, *curves in changes}
    for name, holds in CLAIMS.items():
        assert holds(*pairs[name], voice, pairs), name


def test_additions_come_in_slowly_beside_a_kept_part():
    mask = np.zeros((FRAMES, 1), bool)
    mask[40:60] = True
    spoken, acted = np.zeros((FRAMES, 1)), np.ones((FRAMES, 1))
    added = PIPELINE.keep_fixed_part(acted, spoken, Inpainting(mask, spoken))[:, 0]
    assert not added[40:60].any() and (added[[0, -1]] == 1).all()
    assert np.abs(np.diff(added)).max() < 0.5


LINE = 50
NOTHING, SPEAKS = np.zeros(LINE), np.ones(LINE)


def heard(phone: str, probability: float, start: int, end: int) -> np.ndarray:
    """Phone probabilities [2 LINE, 40]: silence, and a phone over frames start … end."""
    belief = np.zeros((2 * LINE, len(PHONES)))
    belief[2 * start : 2 * end, PHONES.index(phone)] = probability
    belief[:, PHONES.index("SIL")] = 1 - belief.sum(1)
    return belief


@pytest.mark.parametrize("probability, shut", [(0.2, 0.0), (0.3, 1.0)])
def test_lips_close_on_what_is_probably_a_bilabial(probability, shut):
    assert confident_sounds(heard("B", probability, 20, 23), SPEAKS).shut.max() == shut


@pytest.mark.parametrize("jaw_mm, meets", [(0.8, True), (3.5, True), (12.0, False)])
def test_lips_that_all_but_meet_on_a_bilabial_meet_and_others_stay_as_the_model_has_them(
    jaw_mm, meets
):
    shut = confident_sounds(heard("B", 1.0, 20, 24), SPEAKS).shut
    given, made = articulated(Sounds(SPEAKS, *[NOTHING] * 3, shut, NOTHING), 0.01 * jaw_mm)
    model, made = (bundled_lips().opening(Motion(*motion)) for motion in (given, made))
    assert made[:15] == pytest.approx(model[:15], abs=0.05)
    assert (made[21:23].max() < 0.05) == meets
    assert meets or made[21:23] == pytest.approx(model[21:23], abs=0.05)


def articulated(sounds, jaw=0.0, **channels):
    """A mouth [T, n] of channels, over a jaw by some radians, and as it is articulated for sounds:
    two motions."""
    given = np.zeros((LINE, len(PIPELINE.channels))), np.zeros((LINE, 3))
    given[1][:, 0] = jaw
    for name, values in channels.items():
        given[0][:, PIPELINE.channels.index(name)] = values
    return given, PIPELINE.mechanics.articulate(*given, sounds)


CORNERS = ("mouthSmile", "mouthFrown", "mouthDimple")
SEEDS = range(16)
IDLE = silent_phrasing(500)
# pauses just below 3 s
SHORT = Phrasing(500, np.array([30]), np.array([0.5]), np.array([[10, 150], [224, 440]]))
# 3.2 s, 6 s and 6.4 s of silence
LONG = Phrasing(600, np.array([30]), np.array([0.5]), np.array([[80, 150], [300, 440]]))


def rests(voice, listens=False, direction=Direction(), seeds=SEEDS):
    return [
        Resting.of(voice, seed, Behaviours.of_styles(direction.vector()[None]), listens)
        for seed in seeds
    ]


def all_of(resting):
    """What all channels do, [T, LOWER_FACE]."""
    return np.stack(list(resting.channels.values()), 1)


def played(resting, **values):
    """Expression [T, PIPELINE.channels] of a resting face that holds these values."""
    held = np.zeros((resting.frames, len(PIPELINE.channels)), np.float32)
    for name, value in values.items():
        held[:, PIPELINE.channels.index(name)] = value
    return PIPELINE.rest_lower_face(held, resting.channels)


def test_a_head_moves_as_planned_where_the_model_holds_it_and_keeps_its_gaze():
    frames = 500
    at = np.arange(frames)[:, None] / FPS
    planned = np.radians(8 * np.sin(3 * at) * [1.0, 0.5, 0.2])
    mood, own = np.radians([5.0, 0.0, 3.0]), np.radians(4 * np.sin(5 * at) * [0.3, 1.0, 0.5])
    head = (0.8 * planned + mood + own).astype(np.float32)
    eyes = (-0.9 * head).astype(np.float32)
    moved, looks = PIPELINE.follow_plan(head, eyes, planned)
    assert np.abs(moved - planned - mood)[50:-50].max() < np.radians(0.5)
    assert np.allclose(moved + looks, head + eyes, atol=1e-6), "the gaze stays where it was"


def test_lids_shut_and_open_at_least_as_far_as_planned():
    expression = np.zeros((5, len(PIPELINE.channels)), np.float32)
    expression[3, PIPELINE.channels.index("eyeBlinkLeft")] = 0.9
    planned = np.array([0.0, 0.4, -0.1, 0.2, -0.5], np.float32)
    made = dict(zip(PIPELINE.channels, PIPELINE.move_lids(expression, planned).T))
    assert made["eyeBlinkLeft"] == pytest.approx([0, 0.4, 0, 0.9, 0])
    assert made["eyeBlinkRight"] == pytest.approx([0, 0.4, 0, 0.2, 0])
    assert made["eyeWideLeft"] == pytest.approx([0, 0, 0.29, 0, 0.95])


def rises(curve, above):
    """Frames at which a curve rises above a value."""
    return np.flatnonzero((curve[1:] > above) & (curve[:-1] <= above))


def test_an_idle_face_presses_its_lips_swallows_and_stirs_in_every_take():
    presses, swallows, uneven = [], 0, []
    for resting in rests(IDLE):
        face = dict(zip(PIPELINE.channels, played(resting).T))
        left, right = face["mouthPressLeft"], face["mouthPressRight"]
        at, swallowed = rises(left, 0.1), rises(face["mouthShrugLower"], 0.08)
        presses.append(len(at))
        uneven.append(abs(left.max() - right.max()))
        assert 0.12 < left.max() < 0.36 and 0.12 < right.max() < 0.36, "neither faint nor clenched"
        assert (np.diff(at) > 1.2 * FPS).all(), "it does not chew"
        swallows += len(swallowed)
        assert len(resting.dips) == len(swallowed), "the head dips in a swallow"
        corners = [v for name, v in face.items() if name.startswith(CORNERS)]
        assert (np.ptp(corners, axis=1) > 0.02).sum() >= 3
        assert 0.015 < np.ptp(face["noseSneerLeft"]) <= 0.04
    assert min(presses) >= 1 and 2 <= np.mean(presses) <= 4.5
    assert len(SEEDS) / 3 < swallows < 1.5 * len(SEEDS)
    assert np.median(uneven) > 0.005


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5},
        {"mouthFrownLeft": 0.4, "mouthFrownRight": 0.4},
    ],
)
@pytest.mark.parametrize("listens", [False, True])
def test_its_lips_stay_shut(held, listens):
    lips, nothing = bundled_lips(), np.zeros((1, len(PIPELINE.channels)))
    before = np.where(
        np.isin(PIPELINE.channels, list(held)), max(held.values(), default=0), nothing
    )
    for resting in rests(LONG if listens else IDLE, listens, seeds=range(4)):
        was, now = (
            lips.gap(Motion(face, np.zeros((len(face), 3))), PIPELINE.channels)
            for face in (before, played(resting, **held))
        )
        assert (now <= was + 0.1).all()


def test_speech_and_shorter_pauses_are_left_alone():
    for resting in rests(SHORT):
        assert not all_of(resting).any()
    for resting in rests(LONG):
        moves = all_of(resting).any(1)
        for start, end in LONG.phrases:
            assert not moves[start - round(0.6 * FPS) : end + round(0.4 * FPS)].any()
        assert moves[: 80 - 20].all() and moves[170:270].all() and moves[-100:].all()
        assert not played(resting)[~moves].any(), "bit for bit"
