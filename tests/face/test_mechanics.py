# SPDX-License-Identifier: GPL-3.0-or-later
"""The jaw's share of speech: the same opening of the lips, made by jaw and lips as people do, on whatever head it is."""

from dataclasses import replace

import numpy as np
import pytest

from research.articulation import tongue_between_teeth
from thunder_core.engine.speech.cues import sounds_of
from thunder_core.face import mechanics as mechanics_module
from thunder_core.face.articulators import Articulators
from thunder_core.face.head import load_head
from thunder_core.face.lips import bundled_lips, TOUCH_MM
from thunder_core.face.mechanics import Mechanics, Sounds
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion

FRAMES = 100


def bared(shape):
    """Additional height of the lower teeth shown by the lower lip, relative to rest, [T] mm."""
    return shape.gap - shape.rise - shape.incisors


def lip_to_teeth(mechanics, made):
    """Distance of the lower lip from the upper incisors in a motion (expression, jaw), [T] mm."""
    return mechanics.articulators.apart(mechanics.articulators.lip_surface(*made))


def stronger(head, **by):
    """The head with some channels that move more, or less, than they do."""
    directions = head.shapedirs.copy()
    for i, name in enumerate(head.expression_names):
        directions[:, :, i] *= next((factor for stem, factor in by.items() if name.startswith(stem)), 1.0)
    return replace(head, shapedirs=directions)


def long_chinned(head):
    """The head with a jaw that turns about a point 15 mm further back: the same angle opens it more."""
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


@pytest.fixture(autouse=True)
def usual_opening(monkeypatch):
    """Lines of these tests count as opened as usual, however much their few sounds open the mouth."""
    monkeypatch.setattr(mechanics_module, "_SIZES", (1.0, 1.0))


@pytest.fixture(scope="module", params=HEADS)
def mechanics(request):
    return Mechanics(Articulators.of(HEADS[request.param]()))


def sounds(**at):
    """Somebody speaks from frame 10 to 90; a sound is said around the frame given for it."""
    frames = np.arange(FRAMES)

    def ease(x):
        x = np.clip(x, 0, 1)
        return x * x * (3 - 2 * x)

    made = {name: ease(1.6 - np.abs(frames - frame) / 2.5) for name, frame in at.items()}
    still = np.zeros(FRAMES)
    return Sounds(ease((40.5 - np.abs(frames - 50)) / 4), *(made.get(name, still) for name in ("sibilant", "labiodental", "dental")))


def talking(mechanics, sounds):
    """A mouth that opens and shuts with its lips, two fifths by the jaw, and rests at both ends."""
    names = list(mechanics.articulators.names)
    x, jaw = np.zeros((FRAMES, len(names))), np.zeros((FRAMES, 3))
    open_ = np.clip(0.65 * np.sin(np.arange(FRAMES) / 2.5) + 0.35, 0, None) * sounds.speech * (1 - 0.7 * sounds.sibilant)
    for name, most in (("mouthLowerDown", 0.8), ("mouthUpperUp", 0.5)):
        for side, lean in (("Left", 1.1), ("Right", 0.9)):
            x[:, names.index(name + side)] = most * lean * open_
    jaw[:, 0] = 0.06 * open_
    return x, jaw


def shape(mechanics, motion):
    return mechanics.articulators.shape(*motion)


def test_the_lips_are_as_far_apart_as_before(mechanics):
    said = sounds(sibilant=30, labiodental=55, dental=75)
    before = talking(mechanics, said)
    after = mechanics.speak(*before, said)
    elsewhere = said.labiodental + said.dental + said.sibilant == 0
    assert np.abs(shape(mechanics, after).gap - shape(mechanics, before).gap)[elsewhere].max() < 0.1


def test_lips_that_touch_go_on_touching_all_along():
    mechanics, lips = Mechanics(Articulators.of(load_head())), bundled_lips()
    said = sounds()
    before = talking(mechanics, said)
    after = mechanics.speak(*before, said)
    was, now = (lips.gap(Motion(*motion), lips.names) for motion in (before, after))
    shut = was.max(1) <= 0.1
    assert shut.sum() > 15 and now[shut].max() <= TOUCH_MM and now.min() > -0.5


def test_the_jaw_makes_most_of_an_opening_and_the_upper_lip_little(mechanics):
    said = sounds()
    before = talking(mechanics, said)
    made = shape(mechanics, mechanics.speak(*before, said))
    open_ = made.gap > 3
    assert (shape(mechanics, before).incisors[open_] / made.gap[open_]).mean() < 0.45
    assert (made.incisors[open_] / made.gap[open_]).mean() >= 0.5
    wide = made.gap > 10
    assert wide.any() and (made.incisors[wide] / made.gap[wide]).mean() >= 0.6
    assert (made.rise[open_] / made.gap[open_]).mean() <= 0.25 and made.rise.max() <= 3
    assert bared(made)[said.speech > 0.99].max() <= 3


def test_the_teeth_stay_apart_while_somebody_speaks_and_behind_shut_lips(mechanics):
    said = sounds()
    made = shape(mechanics, mechanics.speak(*talking(mechanics, said), said))
    speaking = said.speech > 0.99
    assert made.incisors[speaking].min() >= 1
    shut = speaking & (made.gap < 0.1)
    assert shut.any() and np.median(made.incisors[shut]) > 2, "the jaw stays half open behind m, b and p"


def test_silence_stays_as_it_is(mechanics):
    said = sounds(sibilant=4, labiodental=95, dental=97)
    before = talking(mechanics, said)
    x, jaw = mechanics.speak(*before, said)
    silent = said.speech == 0
    assert np.abs(x - before[0])[silent].max() < 1e-9 and np.abs(jaw - before[1])[silent].max() < 1e-9


def test_sibilants_bring_the_teeth_edge_to_edge_and_not_through(mechanics):
    said = sounds(sibilant=56)
    made = shape(mechanics, mechanics.speak(*talking(mechanics, said), said))
    edges = made.incisors - mechanics.articulators.overlap
    assert abs(edges[56]) < 2 and made.incisors.min() > -0.01


def test_s_parts_nearly_shut_lips_so_that_both_rows_of_teeth_are_seen(mechanics):
    said, silent = sounds(sibilant=51), sounds()
    x, jaw = talking(mechanics, said)
    x[46:57] *= 0.1
    jaw[46:57] *= 0.1
    without, made = (shape(mechanics, mechanics.speak(x, jaw, some)) for some in (silent, said))
    assert without.gap[51] < 2.0 and made.gap[51] >= 3.3 and made.rise[51] > 1.0 and bared(made)[51] > 1.0
    assert made.rise.max() <= 3.0 and bared(made).max() <= 3.0


def test_f_and_v_put_the_lower_lip_to_the_upper_teeth_and_s_does_not(mechanics):
    frame = 51
    reached = {}
    for name in ("labiodental", "sibilant"):
        said = sounds(**{name: frame})
        x, jaw = talking(mechanics, said)
        x[frame - 3 : frame + 4] *= 0.15
        jaw[frame - 3 : frame + 4] *= 0.15
        reached[name] = lip_to_teeth(mechanics, mechanics.speak(x, jaw, said))[frame]
    assert -0.3 < reached["labiodental"] <= 0.5 and reached["sibilant"] > 1.5


def test_f_and_v_show_the_upper_teeth_over_the_lower_lip(mechanics):
    said, silent = sounds(labiodental=51), sounds()
    x, jaw = talking(mechanics, said)
    x[46:57] *= 0.1
    jaw[46:57] *= 0.1
    without, made = (mechanics.speak(x, jaw, some) for some in (silent, said))
    bitten, closed = shape(mechanics, made), shape(mechanics, without)
    assert closed.gap[51] < 1.8 and 2.2 <= bitten.gap[51] <= 3.1 and bitten.rise[51] > 1.0
    assert lip_to_teeth(mechanics, made)[48:55].min() > -0.2
    elsewhere = said.labiodental == 0
    assert np.abs(bitten.gap - closed.gap)[elsewhere].max() < 0.1
    assert np.abs(np.diff(bitten.gap - closed.gap)).max() < 1.6, "it comes and goes over several frames"


def test_f_between_wide_vowels_still_reaches_the_teeth(mechanics):
    said = sounds(labiodental=51)  # where the mouth is widest
    x, jaw = talking(mechanics, said)
    assert shape(mechanics, (x, jaw)).gap[51] > 6
    made = mechanics.speak(x, jaw, said)
    assert -0.2 < lip_to_teeth(mechanics, made)[51] <= 0.5 and shape(mechanics, made).gap[51] < 3.3


def test_th_shows_the_tongue_between_the_teeth(mechanics):
    said = sounds(dental=56)
    out = tongue_between_teeth(mechanics.articulators, *mechanics.speak(*talking(mechanics, said), said))
    assert out[56] > 0.5 and out[25] < 0


def test_doing_it_again_changes_little(mechanics):
    said = sounds(sibilant=30, labiodental=55, dental=75)
    once = mechanics.speak(*talking(mechanics, said), said)
    again = mechanics.speak(*once, said)
    one, other = shape(mechanics, once), shape(mechanics, again)
    # On the way to a sound that must be seen the second time goes on from the first.
    settled = np.isin(said.labiodental + said.dental + said.sibilant, (0, 1))
    assert np.abs(one.gap - other.gap)[settled].max() < 0.01
    assert np.abs(one.incisors - other.incisors).mean() < 0.15 and np.abs(one.rise - other.rise).mean() < 0.1


def test_one_side_of_the_mouth_leads_as_before(mechanics):
    said = sounds()
    x, _ = mechanics.speak(*talking(mechanics, said), said)
    names = list(mechanics.articulators.names)
    left, right = (x[:, names.index("mouthLowerDown" + side)] for side in ("Left", "Right"))
    used = right > 0.05
    assert used.any() and np.abs(left[used] / right[used] - 1.1 / 0.9).max() < 0.02


def test_what_is_measured_on_a_few_points_is_what_all_of_them_say(mechanics):
    """The measures are asked for dozens of times for a take, and therefore made of the means of points that move alike."""
    articulators, rng = mechanics.articulators, np.random.default_rng(3)
    x, jaw = rng.uniform(0, 1, (40, len(articulators.names))), rng.uniform(-0.1, 0.4, (40, 3))
    height = (1e3 * articulators.points.place(x, rotvec_to_matrix(jaw)) - 1e3 * articulators.points.rest)[..., 1]
    shape = articulators.shape(x, jaw)
    assert np.allclose(shape.gap, height[:, 0] - height[:, 1]) and np.allclose(shape.rise, height[:, 0])
    between = height[:, articulators.upper_edge].mean(1) - height[:, articulators.lower_edge].mean(1)
    assert np.allclose(shape.incisors, between)
    assert shape.gap.std() > 1 and shape.incisors.std() > 1


def test_points_that_follow_the_jaw_differently_have_no_mean(mechanics):
    with pytest.raises(ValueError, match="differently"):
        points = mechanics.articulators.points
        points.combined(np.full((1, len(points.rest)), 1 / len(points.rest)))


def test_f_and_s_leave_their_neighbours_alone_sooner_than_th():
    frames, said, nothing = 50, np.zeros(200, bool), np.zeros(200, bool)
    said[100:106] = True  # 60 ms from 1 s on
    s, f, th = (getattr(sounds_of(np.ones(frames), *kinds, nothing), name) for name, kinds in (
        ("sibilant", (said, nothing, nothing)), ("labiodental", (nothing, said, nothing)), ("dental", (nothing, nothing, said))
    ))  # fmt: skip
    assert s.max() == f.max() == th.max() == 1.0 and np.array_equal(s, f)
    near = np.flatnonzero(th > 0)
    assert f[near[[0, -1]]].max() == 0.0 and f.sum() < 0.85 * th.sum()


def test_a_tongue_is_in_and_corners_are_soft_behind_a_rolled_lip(mechanics):
    x = np.zeros((60, len(mechanics.articulators.names)))
    names = list(mechanics.articulators.names)
    roll, tongue, smile, dimple = (names.index(n) for n in ("mouthRollLower", "tongueOut", "mouthSmileLeft", "mouthDimpleLeft"))
    x[20:40, roll], x[40:, roll], x[:, [tongue, smile, dimple]] = 0.3, 0.8, 0.9
    made = mechanics.make_room_for_rolled_lip(x)
    assert np.array_equal(made[:10], x[:10]) and (made[30, [tongue, smile, dimple]] <= 0.9).all()
    assert made[50, [tongue, smile, dimple, roll]] == pytest.approx([0, 0.7, 0.1, 0.8])


def test_corners_give_way_to_a_short_roll_over_some_frames(mechanics):
    x = np.zeros((40, len(mechanics.articulators.names)))
    names = list(mechanics.articulators.names)
    x[:, names.index("mouthDimpleLeft")] = 0.6
    x[20, names.index("mouthRollLower")] = 0.8
    corner = mechanics.make_room_for_rolled_lip(x)[:, names.index("mouthDimpleLeft")]
    assert corner[20] == pytest.approx(0.1) and np.abs(np.diff(corner)).max() < 0.3
    assert corner[0] == corner[-1] == pytest.approx(0.6)


@pytest.mark.parametrize("opening, size", [(2.0, 0.6), (5.0, 1.0), (9.0, 1.15)])
def test_who_hardly_opens_the_mouth_shows_teeth_less(monkeypatch, opening, size):
    monkeypatch.undo()
    speech, gap = np.r_[np.zeros(20), np.ones(60)], np.r_[np.zeros(20), np.full(60, opening)]
    assert mechanics_module._size(gap, speech) == pytest.approx(size)
    assert mechanics_module._size(gap, np.zeros(80)) == 1.0
