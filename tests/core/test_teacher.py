# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher's promises: closures close, silence rests, style varies, speech does not."""

from functools import cache

import numpy as np
import pytest

from research.articulation import lip_to_teeth, tongue_between_teeth
from research.train import teacher, teacher_mouth
from research.train.mouth_readings import occupancy
from research.train.readings import style_of_speaker
from research.train.teacher import best_path, likeliest, PAUSE, perform, presence, prosody
from thunder_core.direction import Direction, Style
from thunder_core.engine.planning.choice import plain, spots_of
from thunder_core.engine.planning.mouth_map import mouth_map
from thunder_core.engine.planning.upper_face import Behaviour
from thunder_core.engine.speech.cues import closure, middles, MOST_SHUT
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.events import BLINK
from thunder_core.face.head import load_head
from thunder_core.face.moving.lips import opening_mm, width_mm
from thunder_core.face.moving.mouth_shape import bundled_mouth, CHIN, CORNERS, OPENING, UPPER_LIP
from thunder_core.face.points import bundled_articulators
from thunder_core.spoken import phone_index, PHONES

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


@cache
def play(*phones, seed=0, direction=Direction(), each=8):
    labels, loud = say(*phones, each=each)
    return labels, perform(labels, loud, CHANNELS, np.random.default_rng(seed), direction)


@pytest.mark.parametrize(
    "direction",
    [Direction(style_of_speaker(str(seed))) for seed in range(4)]
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
    round_, wide = (
        [width_mm(play(*[phone] * 3, seed=seed)[1], HEAD) for seed in range(6)]
        for phone in ("UW", "IY")
    )
    assert np.mean([width.min() for width in round_]) < rest - 3
    assert np.mean([width.max() for width in wide]) > rest + 1
    gaps = [opening_mm(played(energy=energy), HEAD) for energy in (0.7, 1.3)]
    small, large = (gap[gap > 0.3].mean() for gap in gaps)
    assert 1.4 < large / small < 2.1


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


def test_lips_teeth_and_tongue_meet_where_sounds_demand_it():
    own = bundled_articulators()
    labels, motion = play(*SENTENCE, each=9)
    shape = own.shape(motion.expression, motion.jaw)
    shut = closure(middles(np.isin(labels, BILABIALS)), motion.frames) > 0.99
    assert np.abs(shape.incisors - own.overlap).min() <= 2 and shape.incisors.min() >= -0.01
    assert shape.gap[shut].max() < 0.3
    assert motion.expression[shut, HEAD.channel("mouthPressLeft")].min() > 0.3
    lip = lip_to_teeth(own, motion.expression, motion.jaw)
    assert -0.5 <= lip.min() <= 0.5
    assert tongue_between_teeth(own, motion.expression, motion.jaw).max() > 0


def test_a_mouth_that_opens_bares_no_more_of_the_lower_teeth_than_its_shape_needs():
    mouth, own = bundled_mouth(), bundled_articulators()
    wanted = np.array([[12.0, 0.0, 2.0, -7.0, -1.5, -1.5]])
    made, jaw = mouth.solve(wanted)
    assert np.abs(mouth.measure(made, jaw) - wanted).max() < 0.8
    lowered = wanted[0, OPENING] - wanted[0, UPPER_LIP]
    assert lowered - own.shape(made, jaw).incisors[0] < 3.5


def test_a_mouth_is_no_hinge_and_another_person_on_another_voice():
    """The head's own mouth is a hinge, on which a person's upper lip, chin and corners move."""
    mouths = []
    for seed in range(6):
        _, motion = play(*SENTENCE, seed=seed, each=9)
        mouths.append(bundled_mouth().measure(motion.expression, motion.jaw)[12:-12])
    together = np.concatenate([mouth - mouth.mean(0) for mouth in mouths])
    lower = together[:, OPENING] - together[:, UPPER_LIP]
    assert 0.3 < np.corrcoef(lower, together[:, CHIN])[0, 1] ** 2 < 0.85
    corners = together[:, CORNERS].mean(1)
    assert -0.9 < np.corrcoef(corners, together[:, OPENING])[0, 1] < 0.1
    labels, loud = say(*SENTENCE, each=9)
    rng = [np.random.default_rng(1) for _ in range(2)]
    size = [
        opening_mm(perform(labels, heard, CHANNELS, each, Direction()), HEAD).mean()
        for heard, each in zip((loud, loud + 0.01), rng)
    ]
    assert size[0] != pytest.approx(size[1], rel=0.01)


def width_and_gap_on(symbol, *phones, each):
    """The least width and gap of the teacher's lips while a phone is spoken, mean of six seeds."""
    made = []
    for seed in range(6):
        labels, motion = play(*phones, seed=seed, each=each)
        said = occupancy(labels, motion.frames)[:, phone_index(symbol)] > 0.3
        made.append([width_mm(motion, HEAD)[said].min(), opening_mm(motion, HEAD)[said].min()])
    return np.mean(made, 0)


@pytest.mark.parametrize("each", [6, 8, 12])
def test_w_rounds_lips_and_leaves_a_gap_however_short_it_is(each):
    rest = width_mm(play("SIL")[1], HEAD).mean()
    for around in (("AE", "W", "AE"), ("S", "W", "IY"), ("AE", "W", "EY", "JH", "IH")):
        width, gap = width_and_gap_on("W", *around, each=each)
        assert 0.5 <= gap <= 2.4 and width < rest - 1


TONGUE = {"tongueTipUp": "T N L D", "tongueBladeUp": "S SH", "tongueBack": "K G"}


@pytest.mark.parametrize("channel", TONGUE)
def test_the_tongue_gets_where_a_short_sound_is_made(channel):
    said = "AE T AA N AH L IY D OW S AE SH UW K AA G EY".split()
    labels, motion = play(*said, each=8)
    curve = motion.expression[:, HEAD.channel(channel)]
    for phone in TONGUE[channel].split():
        frames = np.unique(np.flatnonzero(labels == PHONES.index(phone)) // 4)
        assert curve[frames[0] - 1 : frames[-1] + 2].max() > 0.75, phone


# ---- directions: what a mouth makes of styles and moods

SPOKEN = "DH AH M EY T IY AE P AA W OW V ER S IY B UW N AA M AE".split()


def played(seed=0, mood="neutral", **style):
    return play(*SPOKEN, seed=seed, direction=Direction(Style(**style), mood), each=9)[1]


@pytest.mark.parametrize("mood, channel", [
    ("warm", "mouthSmileLeft"), ("amused", "cheekSquintLeft"), ("sad", "mouthFrownLeft"),
    ("tense", "mouthPressLeft"),
    ("angry", "noseSneerLeft"), ("afraid", "mouthStretchLeft"), ("disgusted", "noseSneerLeft"),
    ("contemptuous", "mouthDimpleLeft"),
    ("doubtful", "mouthFrownLeft"),
])  # fmt: skip
def test_a_mood_moves_the_mouth_while_it_speaks(mood, channel):
    """Not a pose on top: with its mean taken away there is more movement than without the mood."""
    column = HEAD.channel(channel)
    moods, usual = (
        np.mean([played(seed, which).expression[:, column].std() for seed in range(6)])
        for which in (mood, "neutral")
    )
    # corners of a neutral mouth go up and down as people's do, too
    assert moods > 1.2 * usual


@pytest.mark.parametrize("seed", range(3))
def test_lips_are_no_faster_than_lips_can_be(seed):
    _, motion = play(
        *"P AA B AE M AA P AE B AA".split(),
        seed=seed,
        direction=Direction(Style(energy=2.0, articulation=1.6)),
        each=6,
    )
    assert np.abs(np.diff(opening_mm(motion, HEAD))).max() < 13


def test_what_the_encoder_cannot_hear_is_not_performed_and_what_it_is_sure_of_is():
    labels, loud = say("AA", "P", "AA", "T", "AA", each=12)
    width = mouth_map().heard.weights.shape[1]
    features = np.zeros((len(loud), width), np.float32)
    first = width - LOUDNESS - len(PHONES)
    features[:, first + PHONES.index("AA")] = (
        1.0  # the label P is misplaced: nothing of it is heard
    )
    features[:, -2:] = loud
    heard = features.copy()
    middle = round((0.5 + 0.12 * 3.5) * 25)  # where T is labelled, M is heard
    heard[middle - 1 : middle + 2, first + PHONES.index("M")] = 1.0

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


def test_a_neutral_mouth_hardly_frowns_and_a_sad_or_unsmiling_one_does():
    def frown(**how):
        columns = [HEAD.channel(f"mouthFrown{side}") for side in ("Left", "Right")]
        return np.mean([played(seed, **how).expression[:, columns].mean() for seed in range(4)])

    assert frown() <= 0.05
    assert frown(smile=-1.0) > 0.4 and frown(mood="sad") > frown() + 0.15


def test_a_label_counts_unless_the_encoder_hears_nothing_of_it_and_a_sure_sound_without_one():
    labels, belief = np.zeros(400, int), np.zeros((100, len(PHONES)))
    b, p = BILABIALS[0], BILABIALS[-1]
    labels[40:60], labels[100:120], labels[200:220] = b, p, b
    belief[8:17, b] = belief[9:16, p] = 0.03  # together enough
    belief[28, b] = 0.05  # beside its label, near enough
    belief[70:80, p], belief[90:95, p] = 0.6, 0.25
    found = teacher_mouth.where_demanded(labels, tuple(BILABIALS), None)
    assert np.array_equal(found, np.isin(labels, BILABIALS))
    found = teacher_mouth.where_demanded(labels, tuple(BILABIALS), belief)
    assert found[40:60].all() and found[100:120].all() and not found[200:220].any()
    sure = np.flatnonzero(found[220:]) + 220
    assert (
        abs(sure[0] - 280) <= 2 and abs(sure[-1] - 316) <= 2 and len(sure) == sure[-1] - sure[0] + 1
    )


# ---- the upper face

LIMITS = {
    "browInnerUp": 1.0, "browOuterUpLeft": 1.0, "browOuterUpRight": 1.0, "browDownLeft": 0.9,
    "browDownRight": 0.9, "eyeWide": 0.9, "eyeSquint": 0.9,
}  # fmt: skip


def upper(monkeypatch, seed=0, **behaviour):
    """The upper face of a sentence in this behaviour, and the shares of its blinks."""
    monkeypatch.setattr(teacher, "behaviour_of", lambda *given: Behaviour(**behaviour))
    labels, loud = say(*SENTENCE, each=9)
    voice = prosody(labels, loud)
    channels, head, eyes, _, events = teacher.upper_face(
        voice, plain(voice, spots_of(voice)), Direction(), np.random.default_rng(seed)
    )
    return channels, np.degrees(head), np.degrees(eyes), events[:, BLINK]


def test_brows_and_lids_rest_stop_at_their_ends_and_shut_in_a_blink(monkeypatch):
    channels, head, eyes, shut = upper(monkeypatch)
    assert set(channels) == {*LIMITS, "eyeBlink"} and 0.9 < shut.max() <= 1 and shut.min() >= -0.5
    readings = [upper(monkeypatch, seed)[0] for seed in range(9)]
    usual = {name: np.median([np.median(each[name]) for each in readings]) for name in channels}
    assert {name for name, value in usual.items() if value > 0.2} == set()
    assert 0 < np.median(channels["eyeSquint"]) < 0.08
    ends = dict.fromkeys(("inner", "outer", "down", "wide", "squint"), 9.0)
    most, *_, shut = upper(monkeypatch, **ends)
    assert {name: most[name].max() for name in LIMITS} == LIMITS
    assert most["eyeWide"][shut > 0.99].max(initial=0) < 0.9 and (most["eyeSquint"] == 0.9).all()
    least, *_ = upper(monkeypatch, **{name: -9.0 for name in ends})
    assert {name: x.max() for name, x in least.items() if name in LIMITS} == dict.fromkeys(
        LIMITS, 0
    )
    tired, *_, shut = upper(monkeypatch, droop=9.0)
    assert tired["eyeBlink"] == pytest.approx(0.44 + 0.56 * shut.clip(0))


def test_eyes_look_on_where_the_head_turns_until_they_can_no_further(monkeypatch):
    _, usual, looks, _ = upper(monkeypatch)
    for pose in ((8.0, 0.0, 0.0), (0.0, -8.0, 0.0), (0.0, 0.0, 8.0)):
        _, head, eyes, _ = upper(monkeypatch, pose=pose)
        turned, by = (head - usual)[:, :2], (eyes - looks)[:, :2]
        free = (np.abs(eyes).max(1) < 24) & (np.abs(looks).max(1) < 24)
        assert np.abs(turned * 0.95 + by)[free].max() < 0.01 and not eyes[:, 2].any()
        assert (np.abs(by.mean(0))[np.array(pose)[[0, 1]] != 0] > 3.0).all()
    for by in (90.0, -90.0):
        _, head, eyes, _ = upper(monkeypatch, pose=(by, by, 0.0))
        assert eyes[:, 0] == pytest.approx(-np.sign(by) * 24)
        assert np.abs(eyes[:, 1]) == pytest.approx(24)


def test_presence_begins_before_speech_and_speech_at_either_end_is_whole():
    labels = np.full(200, 1, np.uint8)
    assert presence(labels, 50) == pytest.approx(1, abs=1e-6)
    labels[:120] = 0
    alive = presence(labels, 50)
    assert alive[:22].max() == 0 and 0 < alive[27] < 1 and alive[29:].min() > 0.5
