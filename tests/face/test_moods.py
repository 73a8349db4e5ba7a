# SPDX-License-Identifier: GPL-3.0-or-later
"""What moods add to a sampled motion, growing with their strength, closures and blinks left; what an
animator's mouths and moods do on the bundled lips."""

import numpy as np
import pytest

from thunder_core.direction import Direction, MOODS, Style
from thunder_core.face.moving import mouths
from thunder_core.face.moving.lips import bundled_lips
from thunder_core.face.moving.moods import MoodPoses
from thunder_core.face.points import bundled_articulators
from thunder_core.filters import bend
from thunder_core.types import Motion, TOUCH_MM

FRAMES = 60
SPEECH = np.repeat([0.0, 1.0], FRAMES // 2)
SHUT, OPEN, BLINK = 40, 50, 10  # frames


@pytest.fixture(scope="module")
def poses():
    articulators = bundled_articulators()
    return MoodPoses(articulators.names, articulators)


def both(poses, stem):
    """Columns of a channel's left and right side."""
    return [poses.channels.index(stem + side) for side in ("Left", "Right")]


def style(mood="neutral", strength=1.0, **axes):
    return Direction(Style(**axes), mood, strength).vector()[None]


@pytest.fixture
def talking(poses):
    """A face at rest, then one that speaks, with lips that meet over a half-open jaw once, and a
    blink; some brow and some frown."""
    x, jaw = np.zeros((FRAMES, len(poses.channels)), np.float32), np.zeros((FRAMES, 3), np.float32)
    jaw[FRAMES // 2 :, 0] = 0.1
    x[SHUT, poses.channels.index("mouthClose")] = 0.1 / 0.3
    for stem, value in (("eyeBlink", 0.15), ("mouthFrown", 0.2), ("browDown", 0.8)):
        x[:, both(poses, stem)] = value
    x[BLINK, both(poses, "eyeBlink")] = 1.0
    return x, jaw


@pytest.mark.parametrize("mood", [mood.name for mood in MOODS.values() if mood.poses])
def test_a_mood_grows_with_its_strength_at_rest_and_in_speech(poses, talking, mood):
    for nothing in (style(mood, 0.0), style()):
        assert np.array_equal(poses.apply_moods(*talking, nothing, SPEECH), talking[0])
    half, full = (
        np.abs(poses.apply_moods(*talking, style(mood, strength), SPEECH) - talking[0])
        for strength in (0.5, 1.0)
    )
    # within a phrase a bored mouth only hangs a little: it leans and puffs at the phrases' ends
    least = {5: 0.5, OPEN: 0.07 if mood == "bored" else 0.5}
    for frame in (5, OPEN):
        assert full[frame].sum() > least[frame]
        assert np.allclose(half[frame], full[frame] / 2, atol=0.1)


@pytest.mark.parametrize("mood", MOODS)
def test_lips_that_meet_go_on_meeting_lips_stay_shut_where_nobody_speaks_and_blinks_shut(
    poses, talking, mood
):
    made = poses.apply_moods(*talking, style(mood), SPEECH)
    gap = poses.articulators.shape(made, talking[1]).gap
    pairs = bundled_lips().gap(Motion(made, talking[1]))
    assert (
        max(gap[SHUT], gap[:20].max(), pairs[:20].max()) < TOUCH_MM
        and made.min() >= 0.0
        and made.max() <= 1.0
    )
    assert made[BLINK, both(poses, "eyeBlink")].min() == pytest.approx(1.0)


def test_disgust_bares_the_upper_teeth_tension_shuts_the_lips_and_opens_the_lids(poses, talking):
    before, disgusted, tense = (
        poses.articulators.shape(poses.apply_moods(*talking, style(mood), SPEECH), talking[1])
        for mood in ("neutral", "disgusted", "tense")
    )
    assert (
        disgusted.rise[OPEN] - before.rise[OPEN] > 2.0
        and disgusted.gap[OPEN] - before.gap[OPEN] > 1.5
    )
    assert tense.gap[5] < TOUCH_MM
    assert (
        poses.apply_moods(*talking, style("tense"), SPEECH)[5, both(poses, "eyeBlink")].max() < 0.05
    )


def test_a_pose_near_the_ceiling_moves_below_it_and_lowers_nothing_that_is_higher(poses, talking):
    (x, jaw), sneer, speaking = talking, both(poses, "noseSneer"), np.ones(FRAMES)
    x[:, sneer] = (0.6 + 0.3 * np.sin(np.arange(FRAMES)))[:, None]
    made = poses.apply_moods(x, jaw, style("disgusted"), speaking)[10:-10, sneer[0]]
    assert 0.85 < made.mean() and made.max() < 0.995 and np.ptp(made) > 0.2
    x[:, sneer] = 1.0
    assert (poses.apply_moods(x, jaw, style("disgusted"), speaking)[:, sneer] == 1.0).all()


def test_a_mood_that_comes_and_goes_shows_so(poses, talking):
    strength = np.linspace(0.8, 1.2, FRAMES)
    down = poses.apply_moods(*talking, style("angry"), SPEECH, strength)[
        :, poses.channels.index("browDownLeft")
    ]
    assert down[0] == pytest.approx(0.64) and down[-1] == pytest.approx(
        bend(np.array(0.96), 0.7, 1.0)
    )
    assert np.array_equal(poses.apply_moods(*talking, style(), SPEECH, strength), talking[0])
    half = np.repeat(np.concatenate([style("amused"), style()]), FRAMES // 2, 0)
    changed = (poses.apply_moods(*talking, half, SPEECH) != talking[0]).any(1)
    assert changed[: FRAMES // 2].any() and not changed[FRAMES // 2 :].any()


@pytest.mark.parametrize("asymmetry, side", [(0.3, 0), (-0.9, 1)])
def test_contempt_tightens_the_corner_of_the_side_that_moves_more(poses, talking, asymmetry, side):
    corners = poses.apply_moods(*talking, style("contemptuous", asymmetry=asymmetry), SPEECH)[
        :, both(poses, "mouthDimple")
    ]
    assert corners[5, side] > 0.5 and corners[OPEN, side] > 0.4 and corners[:, 1 - side].max() < 0.1


@pytest.mark.parametrize(
    "mood, channel",
    [("disgusted", "mouthUpperUp"), ("afraid", "mouthLowerDown"), ("amused", "mouthSmile")],
)
def test_a_mood_makes_way_for_closures_without_a_jump(poses, talking, mood, channel):
    added = poses.apply_moods(*talking, style(mood), SPEECH) - talking[0]
    assert np.abs(np.diff(added[:, both(poses, channel)[0]])).max() < 0.4


# left and right of what a sampled face keeps of its expression at rest; in speech it is three times
# that
SIDES = (0.18, 0.12)


@pytest.mark.parametrize(
    "wanted, channel",
    [
        (style("warm"), "mouthSmile"),
        (style(smile=0.8), "mouthSmile"),
        (style(smile=-0.8), "mouthFrown"),
    ],
    ids=["warm", "smile", "frown"],
)
def test_what_a_face_smiles_in_speech_stays_where_nobody_speaks(poses, wanted, channel):
    """A face that lets go of an expression for 20 frames, speaks with it for 40 and lets go
    again."""
    speech, columns = np.repeat([0.0, 1.0, 0.0], (20, 40, 40)), both(poses, channel)
    x, jaw = np.zeros((100, len(poses.channels)), np.float32), np.zeros((100, 3), np.float32)
    x[:, columns] = np.outer(
        1 + 2 * np.convolve(np.pad(speech, 2, mode="edge"), np.full(5, 0.2), "valid"), SIDES
    )
    made = poses.apply_moods(x, jaw, wanted, speech)
    level = made[:, columns].mean(1)
    assert (
        min(level[:15].mean(), level[65:].mean()) > 0.75 * level[30:50].mean()
        and np.abs(made[30:50] - x[30:50]).max() < 0.01
    )
    assert level[15:65].min() > 0.7 * level[30:50].mean(), "it sags where speech begins or ends"
    assert np.abs(np.diff(level)).max() <= np.abs(np.diff(x[:, columns].mean(1))).max()
    assert made[5, columns[0]] / made[5, columns[1]] == pytest.approx(SIDES[0] / SIDES[1], rel=0.1)
    cheeks = made[80, both(poses, "cheekSquint")[0]]
    assert 0.1 < cheeks < 0.35 if channel == "mouthSmile" else cheeks == 0


@pytest.fixture(scope="module")
def shapes():
    """{mouth: (gap, width) of the lips, millimetres}."""
    articulators = bundled_articulators()
    motion = mouths.motion_of(list(mouths.MOUTHS.values()), articulators.names)
    _, widths = bundled_lips().gap_and_width(motion)
    gaps = articulators.shape(motion.expression, motion.jaw).gap
    return {
        name: (float(gap), float(width)) for name, gap, width in zip(mouths.MOUTHS, gaps, widths)
    }


def test_mouths_are_open_in_the_order_of_the_chart_and_round_or_wide(shapes):
    gap = {name: both[0] for name, both in shapes.items()}
    assert len(gap) == 10 and max(gap["Rest"], gap["M B P"]) < 0.6
    assert gap["AH"] > gap["OH"] > gap["EE"] > gap["M B P"]
    assert 1.0 < gap["F V"] < 5.0 and gap["AH"] > 15.0
    width = {name: both[1] for name, both in shapes.items()}
    assert width["OO"] < width["OH"] < width["Rest"] < width["EE"]
