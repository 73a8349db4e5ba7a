# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher's promises: closures close, silence rests, style varies, speech does not."""

import numpy as np
import pytest

from research.articulation import lip_to_teeth, tongue_between_teeth
from thunder_core.direction import Direction, Style
from thunder_core.engine.planning.lip_kernels import occupancy
from thunder_core.engine.speech.cues import closure
from thunder_core.engine.speech.encoder import phone_index, PHONES
from thunder_core.face.head import load_head
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.face.points import bundled_articulators
from thunder_core.train.teacher import best_path, likeliest, PAUSE, perform, presence
from thunder_core.train.teacher_mouth import change_pace, gestures, middles, MOST_SHUT

HEAD = load_head()
CHANNELS = list(HEAD.expression_names)
BILABIALS = [PHONES.index(symbol) for symbol in "BMP"]


def say(*phones, each=8):
    """10 ms labels of phones, `each` · 10 ms long, between half seconds of silence; loudness as of
    an even voice."""
    labels = np.concatenate(
        [np.zeros(50)] + [np.full(each, phone_index(p)) for p in phones] + [np.zeros(50)]
    ).astype(np.uint8)
    frames = len(labels) // 4
    loud = (
        np.where(occupancy(labels, frames)[:, :1] < 0.5, 0.6, -1.0).repeat(2, 1).astype(np.float32)
    )
    return labels, loud


def play(*phones, seed=0, direction=Direction(), each=8):
    labels, loud = say(*phones, each=each)
    return labels, perform(labels, loud, CHANNELS, np.random.default_rng(seed), direction)


@pytest.mark.parametrize(
    "direction",
    [Direction(Style.of_speaker(str(seed))) for seed in range(4)]
    + [
        Direction(mood=mood)
        for mood in "amused tense angry afraid surprised disgusted doubtful bored".split()
    ],
    ids=lambda direction: direction.mood,
)
def test_bilabials_close_the_lips_and_silence_stays_shut_in_any_style_and_mood(direction):
    labels, motion = play(*"AA B AE M AA P IY".split(), direction=direction)
    gap = opening_mm(motion, HEAD)
    shut = closure(middles(np.isin(labels, BILABIALS)), motion.frames) > 0.99
    after = np.flatnonzero(presence(labels, len(gap)) < 0.01)  # what is before may be a breath
    assert shut.sum() >= 3 and gap[shut].max() < 0.3
    assert gap[after[after > len(gap) // 2]].max() < 0.05


def test_open_vowels_open_round_ones_are_narrow_and_energy_counts():
    gap = {p: opening_mm(play(p, p, p)[1], HEAD).max() for p in ("AA", "AE", "UW", "F", "S")}
    assert min(gap["AA"], gap["AE"]) > 1.5 * max(gap["UW"], gap["F"], gap["S"])
    rest = width_mm(play("SIL")[1], HEAD).mean()
    assert width_mm(play("UW", "UW", "UW")[1], HEAD).min() < rest - 3
    assert width_mm(play("IY", "IY", "IY")[1], HEAD).max() > rest + 1
    gaps = [opening_mm(played(energy=energy), HEAD) for energy in (0.7, 1.3)]
    small, large = (gap[gap > 0.3].mean() for gap in gaps)
    assert 1.5 < large / small < 2.1


def test_silence_is_rest_and_a_short_pause_is_none():
    labels = np.zeros(400, np.uint8)
    motion = perform(labels, np.full((100, 2), -1, np.float32), CHANNELS, np.random.default_rng(0))
    assert opening_mm(motion, HEAD).max() < 0.05
    assert np.abs(motion.jaw).max() < 1e-3
    assert presence(labels, 100).max() < 1e-6
    pause = np.concatenate(
        [np.full(40, 1), np.zeros(PAUSE - 20), np.full(40, 1), np.zeros(PAUSE + 60), np.full(40, 1)]
    ).astype(np.uint8)
    alive = presence(pause, len(pause) // 4)
    assert alive[5:30].min() > 0.9 and alive[38:].min() == 0


# ---- jaw, lips and teeth as in people: the bars of research/articulation.py, on sounds that are
# certainly said

SENTENCE = (
    "DH AH S EY F T IY AE P AA M OW V ER TH IH NG K SH UH B AW Z W IY L F AY N D JH UW".split()
)


def test_jaw_lips_teeth_and_tongue_are_set_as_mechanics_set_them():
    """Their own tests hold them against people; here it is that the teacher passes through them."""
    own = bundled_articulators()
    labels, motion = play(*SENTENCE, each=9)
    shape = own.shape(motion.expression, motion.jaw)
    wide, shut = shape.gap > 10, closure(middles(np.isin(labels, BILABIALS)), motion.frames) > 0.99
    assert (shape.incisors[wide] / shape.gap[wide]).mean() >= 0.6 and shape.rise.max() <= 3
    assert np.abs(shape.incisors - own.overlap).min() <= 2 and shape.incisors.min() >= -0.01
    assert shape.gap[shut].max() < 0.3 and np.median(shape.incisors[shut]) > 2
    assert motion.expression[shut, HEAD.channel("mouthPressLeft")].min() > 0.3
    lip = lip_to_teeth(own, motion.expression, motion.jaw)
    assert -0.5 <= lip.min() <= 0.5
    assert tongue_between_teeth(own, motion.expression, motion.jaw).max() > 0


# ---- directions: what a mouth makes of styles and moods

SPOKEN = "DH AH M EY T IY AE P AA W OW V ER S IY B UW N AA M AE".split()


def played(seed=0, mood="neutral", **style):
    return play(*SPOKEN, seed=seed, direction=Direction(Style(**style), mood), each=9)[1]


@pytest.mark.parametrize("mood, channel", [
    ("warm", "mouthSmileLeft"), ("amused", "cheekSquintLeft"), ("sad", "mouthFrownLeft"),
    ("tense", "mouthPressLeft"),
    ("angry", "noseSneerLeft"), ("afraid", "mouthStretchLeft"), ("disgusted", "noseSneerLeft"),
    ("contemptuous", "mouthDimpleLeft"),
    ("doubtful", "mouthShrugLower"),
])  # fmt: skip
def test_a_mood_moves_the_mouth_while_it_speaks(mood, channel):
    """Not a pose on top: with its mean taken away there is more movement than without the mood."""
    column = HEAD.channel(channel)
    moods, usual = (
        np.mean([played(seed, which).expression[:, column].std() for seed in range(6)])
        for which in (mood, "neutral")
    )
    assert moods > 1.25 * usual


@pytest.mark.parametrize("seed", range(3))
def test_lips_are_no_faster_than_lips_can_be(seed):
    _, motion = play(
        *"P AA B AE M AA P AE B AA".split(),
        seed=seed,
        direction=Direction(Style(energy=2.0, articulation=1.6)),
        each=6,
    )
    assert np.abs(np.diff(opening_mm(motion, HEAD))).max() < 12


def test_what_the_encoder_cannot_hear_is_not_performed_and_what_it_is_sure_of_is():
    labels, loud = say("AA", "P", "AA", "T", "AA", each=12)
    features = np.zeros((len(loud), 234), np.float32)
    features[:, 192 + PHONES.index("AA")] = 1.0  # the label P is misplaced: nothing of it is heard
    features[:, -2:] = loud
    heard = features.copy()
    middle = round((0.5 + 0.12 * 3.5) * 25)  # where T is labelled, M is heard
    heard[middle - 1 : middle + 2, 192 + PHONES.index("M")] = 1.0

    def gap(features):
        return opening_mm(
            perform(
                labels, loud, CHANNELS, np.random.default_rng(0), Direction(), features=features
            ),
            HEAD,
        )

    lips = round((0.5 + 0.12 * 1.5) * 25)
    assert gap(None)[lips - 1 : lips + 2].min() < 0.3 < gap(features)[lips - 1 : lips + 2].min()
    assert gap(heard)[middle - 1 : middle + 2].min() < 0.3


def test_lips_are_shut_in_the_middle_of_a_long_sound_and_on_one_shorter_than_a_frame():
    demanded = np.zeros(100, bool)
    demanded[10:14] = demanded[40:70] = True
    shorter = np.flatnonzero(middles(demanded))
    assert (
        shorter[:4].tolist() == [10, 11, 12, 13]
        and len(shorter) == 4 + MOST_SHUT
        and abs(shorter[4:].mean() - 54.5) <= 1
    )
    labels, motion = play("AA", "B", "AA", each=3)
    frame = round(0.545 * 25)
    assert opening_mm(motion, HEAD)[frame - 1 : frame + 2].min() < 0.3


def test_an_m_that_is_unlikely_is_heard_as_something_else():
    logits = np.full((30, len(PHONES)), -9.0)
    logits[:10, phone_index("AA")] = logits[20:, phone_index("AA")] = 0
    logits[10:20, [phone_index("M"), phone_index("N"), phone_index("D")]] = np.log(
        [0.4, 0.35, 0.25]
    )
    assert (best_path(logits)[10:20] == phone_index("M")).all() and (
        likeliest(logits)[10:20] == phone_index("N")
    ).all()
    logits[10:20, phone_index("M")] = 1.0
    assert (likeliest(logits) == best_path(logits)).all()


# ---- by known values


def test_movements_of_another_pace_keep_their_mean_and_a_steady_mouth_stays_as_it_is():
    """Quicker: what a bell of 1.5 frames takes away is added, more with the tempo; slower: a bell of
    2.5 frames at half the tempo."""
    assert change_pace(np.full(30, 3.0), 0.5) == pytest.approx(3)
    assert change_pace(np.full(30, 3.0), 1.6) == pytest.approx(3)
    click = np.eye(61)[30]
    bell = np.exp(-0.5 * (np.arange(-30, 31) / 2.5) ** 2)
    assert change_pace(click, 0.5) == pytest.approx(bell / bell.sum(), abs=1e-3)
    bell = np.exp(-0.5 * (np.arange(-30, 31) / 1.5) ** 2)
    assert change_pace(click, 1.4) == pytest.approx(1.4 * click - 0.4 * bell / bell.sum(), abs=1e-3)
    assert np.array_equal(change_pace(click, 1.0), click)
    # before its first frame a mouth is as on it
    held = bell[:31].sum() / bell.sum()
    assert change_pace(np.eye(61)[0], 1.4)[0] == pytest.approx(1.4 - 0.4 * held, abs=1e-3)


class Usual:
    """Draws nothing but means: a performance like no other's."""

    def standard_normal(self, *shape):
        return np.zeros(shape) if shape else 0.0


CUES = ("always", "end", "shut", "open", "wide", "drift", "accent", "bite", "sibilant", "rounded",
        "postalveolar", "plosive", "chuckle", "tremble")  # fmt: skip


def gestured(mood="neutral", **style):
    """Channels by what a style adds to those of the usual one, where cues are the numbers of an
    alphabet: `always` .1, `end` .2, `shut` .3, `open` .4 …"""
    cues = {name: np.full(3, (place + 1) / 10) for place, name in enumerate(CUES)}
    cues["drift"] = np.zeros(3)
    given, usual = (
        gestures(cues, CHANNELS, Direction(Style(**how), which), Usual())
        for how, which in ((style, mood), ({}, "neutral"))
    )
    more = {name: given[name][0] - np.ravel(usual.get(name, 0.0))[0] for name in given}
    return {name: value for name, value in more.items() if abs(value) > 1e-9}


def both(**channels):
    return {name + side: value for name, value in channels.items() for side in ("Left", "Right")}


def test_a_style_adds_smile_frown_and_tension_to_both_sides():
    assert gestured(smile=0.5) == pytest.approx(
        both(mouthSmile=0.7 * 0.5 * 0.1, cheekSquint=0.3 * 0.7 * 0.5 * 0.1)
    )
    assert gestured(smile=-0.5) == pytest.approx(both(mouthFrown=0.6 * 0.5 * 0.1))
    press = 0.5 * (0.10 * 0.1 + 0.25 * 0.3 + 0.20 * 0.2)
    dimple = 0.5 * (0.08 * 0.1 + 0.10 * 0.2)
    roll = 0.5 * 0.12 * 0.3
    assert gestured(tension=0.5) == pytest.approx(
        both(mouthPress=press, mouthDimple=dimple)
        | {"mouthRollUpper": roll, "mouthRollLower": roll}
    )
    assert gestured(tension=-0.5) == {}


@pytest.mark.parametrize("asymmetry, side", [(0.6, "Left"), (-0.6, "Right")])
def test_the_stronger_side_smiles_more_draws_the_mouth_and_alone_shows_contempt(asymmetry, side):
    other = "Right" if side == "Left" else "Left"
    uneven, smiling = gestured(asymmetry=asymmetry), gestured(asymmetry=asymmetry, smile=0.5)
    even = 0.7 * 0.5 * 0.1
    for which, sign in ((side, 1), (other, -1)):
        name = "mouthSmile" + which
        more = smiling[name] - uneven.get(name, 0.0)
        assert more == pytest.approx(even * (1 + sign * 0.25 * 0.6))
    assert uneven["mouth" + side] == pytest.approx(0.3 * (0.05 * 0.1 + 0.05 * 0.4))
    scornful = gestured("contemptuous", asymmetry=asymmetry)
    alone = {name: scornful[name] - uneven.get(name, 0.0) for name in scornful}
    assert alone["mouthDimple" + side] > 0.05 > 0.01 > abs(alone.get("mouthDimple" + other, 0))


def test_rounded_sounds_pucker_and_wide_ones_do_not():
    """On average over performances: the corners come in by pucker, which only narrowing needs."""
    pucker = HEAD.channel("mouthPucker")
    round_, wide = (
        np.mean([play(p, p, p, seed=seed)[1].expression[16:22, pucker].mean() for seed in range(4)])
        for p in ("UW", "IY")
    )
    assert round_ > 0.2 > 0.05 > wide


def test_presence_begins_before_speech_and_speech_at_either_end_is_whole():
    labels = np.full(200, 1, np.uint8)
    assert presence(labels, 50) == pytest.approx(1, abs=1e-6)
    labels[:120] = 0
    alive = presence(labels, 50)
    assert alive[:22].max() == 0 and 0 < alive[27] < 1 and alive[29:].min() > 0.5
