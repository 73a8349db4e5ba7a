# SPDX-License-Identifier: GPL-3.0-or-later
"""The jaw's share of speech: the same opening of the lips, made by jaw and lips as people do, on
whatever head it is."""

from dataclasses import replace

import numpy as np
import pytest

from research.articulation import lip_to_teeth, tongue_between_teeth
from thunder_core.face.head import load_head
from thunder_core.face.moving import mechanics as mechanics_module
from thunder_core.face.moving.lips import bundled_lips
from thunder_core.face.moving.mechanics import Mechanics, Sounds
from thunder_core.face.points import Articulators
from thunder_core.filters import smoothstep
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion, TOUCH_MM

FRAMES = 100
LOWER_LIP = ("mouthLowerDownLeft", "mouthLowerDownRight")


def bared(shape):
    """Additional height of the lower teeth shown by the lower lip, relative to rest, [T] mm."""
    return shape.gap - shape.rise - shape.incisors


def stronger(head, **by):
    """The head with some channels that move more, or less, than they do."""
    directions = head.shapedirs.copy()
    for i, name in enumerate(head.expression_names):
        directions[:, :, i] *= next(
            (factor for stem, factor in by.items() if name.startswith(stem)), 1.0
        )
    return replace(head, shapedirs=directions)


def long_chinned(head):
    """The head with a jaw that turns about a point 15 mm further back: the same angle opens it
    more."""
    still = ~np.any(head.shapedirs != 0, axis=(1, 2)) & (head.J_regressor[2] > 0)
    points = head.v_template.copy()
    points[still, 2] -= 0.015
    return replace(head, v_template=points)


HEADS = {
    "bundled": lambda: load_head(),
    "weak lower lip": lambda: stronger(load_head(), mouthLowerDown=0.6),
    "strong upper lip": lambda: stronger(load_head(), mouthUpperUp=1.5, mouthFunnel=1.3),
    "long chin": lambda: long_chinned(load_head()),
}


@pytest.fixture(scope="module", params=HEADS)
def mechanics(request):
    return Mechanics(Articulators.of(HEADS[request.param]()))


@pytest.fixture(autouse=True)
def usual_opening(monkeypatch):
    """Lines of these tests count as opened as usual, however much their few sounds open the
    mouth."""
    monkeypatch.setattr(mechanics_module, "_SIZES", (1.0, 1.0))


def ease(x):
    return smoothstep(np.clip(x, 0, 1))


def sounds(**at):
    """Somebody speaks from frame 10 to 90; a sound is said around the frame given for it."""
    frames = np.arange(FRAMES)
    made = {name: ease(1.6 - np.abs(frames - frame) / 2.5) for name, frame in at.items()}
    return Sounds(
        ease((40.5 - np.abs(frames - 50)) / 4),
        *(
            made.get(name, 0.0 * frames)
            for name in ("sibilant", "labiodental", "dental", "shut", "closed")
        ),
    )


def talking(mechanics, sounds, hushed=None):
    """A mouth that opens and shuts with its lips, two fifths by the jaw, and rests at both ends;
    hushed: (frame, reach, share) around which it opens by a share."""
    names = list(mechanics.articulators.names)
    x, jaw = np.zeros((FRAMES, len(names))), np.zeros((FRAMES, 3))
    open_ = (
        np.clip(0.65 * np.sin(np.arange(FRAMES) / 2.5) + 0.35, 0, None)
        * sounds.speech
        * (1 - 0.7 * sounds.sibilant)
    )
    if hushed is not None:
        frame, reach, share = hushed
        open_[frame - reach : frame + reach + 1] *= share
    for name, most in (("mouthLowerDown", 0.8), ("mouthUpperUp", 0.5)):
        for side, lean in (("Left", 1.1), ("Right", 0.9)):
            x[:, names.index(name + side)] = most * lean * open_
    jaw[:, 0] = 0.06 * open_
    return x, jaw


def spoken(mechanics, said, before=None):
    """The motion (expression, jaw) that `articulate` makes of one, and the mouth's shape in both."""
    before = talking(mechanics, said) if before is None else before
    made = mechanics.articulate(*before, said)
    return made, *(mechanics.articulators.shape(*motion) for motion in (before, made))


ALL = sounds(sibilant=30, labiodental=55, dental=75)


def test_the_lips_are_as_far_apart_as_before_and_silence_stays_as_it_is(mechanics):
    _, before, after = spoken(mechanics, ALL)
    elsewhere = ALL.labiodental + ALL.dental + ALL.sibilant == 0
    assert np.abs(after.gap - before.gap)[elsewhere].max() < 0.1
    said = sounds(sibilant=4, labiodental=95, dental=97)
    for was, now in zip(before := talking(mechanics, said), mechanics.articulate(*before, said)):
        assert np.abs(now - was)[said.speech == 0].max() < 1e-9


def test_lips_that_touch_go_on_touching_all_along():
    mechanics, lips = Mechanics(Articulators.of(load_head())), bundled_lips()
    before = talking(mechanics, sounds())
    was, now = (
        lips.gap(Motion(*motion), lips.names)
        for motion in (before, mechanics.articulate(*before, sounds()))
    )
    shut = was.max(1) <= 0.1
    assert shut.sum() > 15 and now[shut].max() <= TOUCH_MM and now.min() > -0.5


def test_a_mouth_of_which_nothing_is_demanded_stays_as_it_is(mechanics):
    """Raised or lowered upper lips, held up lower ones and jaws of any share are people's own, as
    long as no more of the teeth is bared than people bare."""
    rng, names = np.random.default_rng(0), list(mechanics.articulators.names)
    x, jaw = np.zeros((FRAMES, len(names))), np.zeros((FRAMES, 3))
    for name, most in (("mouthUpperUp", 0.8), ("mouthLowerDown", 0.3), ("mouthSmile", 0.8)):
        for side in ("Left", "Right"):
            x[:, names.index(name + side)] = rng.uniform(0, most, FRAMES)
    x[:, names.index("mouthClose")] = rng.uniform(0, 0.3, FRAMES)
    jaw[:, 0] = rng.uniform(0.1, 0.25, FRAMES)
    made, turn = mechanics.articulate(x, jaw, sounds())
    assert np.abs(made - x).max() < 1e-6 and np.abs(turn - jaw).max() < 1e-6
    x[:, [names.index(name) for name in LOWER_LIP]] = 1.0
    shape = mechanics.articulators.shape(*mechanics.articulate(x, 0.3 * jaw, sounds()))
    assert bared(shape)[sounds().speech == 1].max() < 4.1


def test_sibilants_bring_the_teeth_edge_to_edge_and_th_shows_the_tongue_between_them(mechanics):
    _, _, made = spoken(mechanics, sounds(sibilant=56))
    assert (
        abs(made.incisors[56] - mechanics.articulators.overlap) < 2 and made.incisors.min() > -0.01
    )
    out = tongue_between_teeth(mechanics.articulators, *spoken(mechanics, sounds(dental=56))[0])
    assert out[56] > 0.5 and out[25] < 0


def test_s_parts_nearly_shut_lips_so_that_both_rows_of_teeth_are_seen(mechanics):
    said = sounds(sibilant=51)
    hushed = talking(mechanics, said, (51, 5, 0.1))
    without, made = (spoken(mechanics, some, hushed)[2] for some in (sounds(), said))
    assert without.gap[51] < 2.0 and made.gap[51] >= 3.3 and bared(made)[51] > 1.0


@pytest.mark.parametrize("share", [0.15, 1.0])
def test_f_and_v_put_the_lower_lip_to_the_upper_teeth_and_s_does_not(mechanics, share):
    """Also where the mouth is widest."""
    labiodental, sibilant = (
        lip_to_teeth(
            mechanics.articulators,
            *spoken(mechanics, said, talking(mechanics, said, (51, 3, share)))[0],
        )[51]
        for said in (sounds(labiodental=51), sounds(sibilant=51))
    )
    assert -0.3 < labiodental <= 0.5 and sibilant > 1.5


def bite_with_round_lips(mechanics, pucker):
    """An f of lips that pucker so far: their pucker [T] and roll [T], and the mouth's shape."""
    said, names = sounds(labiodental=51), list(mechanics.articulators.names)
    given, jaw = talking(mechanics, said, (51, 3, 0.15))
    given[:, names.index("mouthPucker")] = pucker
    (made, turn), _, shape = spoken(mechanics, said, (given, jaw))
    assert lip_to_teeth(mechanics.articulators, made, turn)[51] <= 0.5
    return made[:, names.index("mouthPucker")], made[:, names.index("mouthRollLower")], shape


def test_the_lip_that_bites_keeps_its_red_comes_over_three_frames_and_pouts_no_more(mechanics):
    pucker, roll, shape = bite_with_round_lips(mechanics, 0.3)
    assert 0.3 < roll.max() <= 0.6 and np.abs(np.diff(roll)).max() <= 0.25
    assert shape.incisors[51] > 1.3 and 2.7 < shape.gap[51] < 3.6, "the jaw is not shut"
    assert (pucker[:40] == 0.3).all()


def test_lips_may_be_round_as_they_leave_the_teeth(mechanics):
    """As in “foolish”: they touch before, where they are round too far for it as well."""
    pucker, _, _ = bite_with_round_lips(mechanics, 0.5)
    assert (pucker[50:52] < 0.5).all() and pucker[52] == 0.5


def test_the_upper_lip_does_not_jump_on_the_way_to_f(mechanics):
    """However wide the mouth still is, and where the motion itself lifts the lip there."""
    said, names = sounds(labiodental=51), list(mechanics.articulators.names)
    lifted = talking(mechanics, said)
    lifted[0][48, [names.index(f"mouthUpperUp{side}") for side in ("Left", "Right")]] = 1.0
    for before in (talking(mechanics, said), lifted):
        _, given, made = spoken(mechanics, said, before)
        assert made.gap[48] > 4.0 and (made.rise <= np.maximum(given.rise, 1.95)).all()
    assert made.rise[48] < given.rise[48] - 0.3


def test_f_and_v_show_the_upper_teeth_over_the_lower_lip(mechanics):
    said = sounds(labiodental=51)
    hushed = talking(mechanics, said, (51, 5, 0.1))
    (_, _, closed), (made, _, bitten) = (
        spoken(mechanics, some, hushed) for some in (sounds(), said)
    )
    assert closed.gap[51] < 1.8 and 1.9 <= bitten.gap[51] <= 3.7 and bitten.rise[51] > 1.0
    assert lip_to_teeth(mechanics.articulators, *made)[48:55].min() > -0.2
    assert np.abs(bitten.gap - closed.gap)[said.labiodental == 0].max() < 0.1
    assert np.abs(np.diff(bitten.gap - closed.gap)).max() < 1.6, (
        "it comes and goes over several frames"
    )


def test_what_is_measured_on_a_few_points_is_what_all_of_them_say(mechanics):
    """The measures are asked for dozens of times for a take, and therefore made of the means of
    points that move alike."""
    articulators, rng = mechanics.articulators, np.random.default_rng(3)
    x, jaw = rng.uniform(0, 1, (40, len(articulators.names))), rng.uniform(-0.1, 0.4, (40, 3))
    height = (
        1e3 * articulators.points.place(x, rotvec_to_matrix(jaw)) - 1e3 * articulators.points.rest
    )[..., 1]
    shape = articulators.shape(x, jaw)
    between = height[:, articulators.upper_edge].mean(1) - height[:, articulators.lower_edge].mean(
        1
    )
    assert np.allclose(
        [shape.gap, shape.rise, shape.incisors],
        [height[:, 0] - height[:, 1], height[:, 0], between],
    )
    assert shape.gap.std() > 1 and shape.incisors.std() > 1
