# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mood adds to a sampled motion: it shows at rest and in speech, grows with its strength, and leaves closures and blinks."""

import numpy as np
import pytest

from thunder_core.direction import Direction, MOODS, Style
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.lips import bundled_lips, TOUCH_MM
from thunder_core.face.moods import MoodPoses, POSES
from thunder_core.types import Motion

FRAMES = 60
SPEECH = np.repeat([0.0, 1.0], FRAMES // 2)
SHUT, OPEN, BLINK = 40, 50, 10  # frames


@pytest.fixture(scope="module")
def poses():
    articulators = bundled_articulators()
    return MoodPoses(articulators.names, articulators)


def talking(names):
    """A face at rest, then one that speaks, with lips that meet over a half-open jaw once, and a blink; some brow and some frown."""
    x, jaw = np.zeros((FRAMES, len(names)), np.float32), np.zeros((FRAMES, 3), np.float32)
    jaw[FRAMES // 2 :, 0] = 0.1
    x[SHUT, names.index("mouthClose")] = 0.1 / 0.3
    for side in ("Left", "Right"):
        x[:, names.index("eyeBlink" + side)] = 0.15
        x[BLINK, names.index("eyeBlink" + side)] = 1.0
        x[:, names.index("mouthFrown" + side)] = 0.2
        x[:, names.index("browDown" + side)] = 0.8
    return x, jaw


def worn(poses, mood, strength):
    x, jaw = talking(list(poses.channels))
    made = poses.apply_moods(x, jaw, Direction(Style(), mood, strength).vector()[None], SPEECH)
    return made, poses.articulators.shape(made, jaw).gap


@pytest.mark.parametrize("mood", POSES)
def test_a_mood_grows_with_its_strength_at_rest_and_in_speech(poses, mood):
    x, jaw = talking(list(poses.channels))
    assert np.array_equal(worn(poses, mood, 0.0)[0], x) and np.array_equal(worn(poses, "neutral", 1.0)[0], x)
    half, full = (np.abs(worn(poses, mood, strength)[0] - x) for strength in (0.5, 1.0))
    for frame in (5, OPEN):
        assert full[frame].sum() > (0.15 if mood == "bored" else 0.5) and np.allclose(half[frame], full[frame] / 2, atol=0.1)


@pytest.mark.parametrize("mood", POSES)
def test_lips_that_meet_go_on_meeting_and_blinks_shut(poses, mood):
    made, gap = worn(poses, mood, 1.0)
    assert gap[SHUT] < TOUCH_MM and made.min() >= 0.0 and made.max() <= 1.2
    lids = [list(poses.channels).index("eyeBlink" + side) for side in ("Left", "Right")]
    assert made[BLINK, lids].min() == pytest.approx(1.0)


@pytest.mark.parametrize("mood", MOODS)
def test_lips_stay_shut_where_nobody_speaks(poses, mood):
    made, gap = worn(poses, mood, 1.0)
    pairs = bundled_lips().gap(Motion(made, talking(list(poses.channels))[1]))
    assert max(gap[:20].max(), pairs[:20].max()) < TOUCH_MM


def test_disgust_bares_the_upper_teeth_tension_shuts_the_lips_and_opens_the_lids(poses):
    x, jaw = talking(list(poses.channels))
    before = poses.articulators.shape(x, jaw)
    made = poses.articulators.shape(worn(poses, "disgusted", 1.0)[0], jaw)
    assert made.rise[OPEN] - before.rise[OPEN] > 2.0 and made.gap[OPEN] - before.gap[OPEN] > 1.5
    tense, gap = worn(poses, "tense", 1.0)
    lids = [list(poses.channels).index("eyeBlink" + side) for side in ("Left", "Right")]
    assert gap[5] < TOUCH_MM and tense[5, lids].max() < 0.05


def test_lips_that_hang_open_in_a_short_pause_are_parted_no_further(poses):
    x, jaw = talking(list(poses.channels))
    quiet = np.zeros(FRAMES)
    quiet[46:56] = 1  # a pause between words, in which `speech` does not fall
    style = Direction(mood="disgusted").vector()[None]
    before = poses.articulators.shape(x, jaw).gap[OPEN]
    spoken, paused = (poses.articulators.shape(poses.apply_moods(x, jaw, style, SPEECH, None, by), jaw).gap[OPEN] for by in (None, quiet))
    assert paused < before + 0.1 and spoken > before + 1.5


def test_a_rounded_mouth_keeps_its_corners(poses):
    names = list(poses.channels)
    x, jaw = talking(names)
    x[OPEN, names.index("mouthPucker")] = 0.6
    made = poses.apply_moods(x, jaw, Direction(Style(), "amused", 1.0).vector()[None], SPEECH)
    smile = names.index("mouthSmileLeft")
    assert made[OPEN, smile] < 0.01 and made[OPEN - 5, smile] > 0.85


def test_a_pose_raises_a_channel_and_leaves_how_it_moves(poses):
    names = list(poses.channels)
    x, jaw = talking(names)
    nose = names.index("noseSneerLeft")
    x[:, nose] = 0.2 + 0.1 * np.sin(np.arange(FRAMES))
    made = poses.apply_moods(x, jaw, Direction(Style(), "disgusted", 0.5).vector()[None], SPEECH)[:, nose]
    assert made[35:].mean() > 0.6 and made[35:].std() > 0.9 * x[35:, nose].std()


@pytest.mark.parametrize(("mood", "channel"), [("sad", "mouthFrown"), ("afraid", "mouthStretch"), ("amused", "mouthSmile")])
def test_a_pose_makes_room_for_the_movement_of_its_channel(poses, mood, channel):
    """Peaks lie below the ceiling as high above their surroundings as they were, so that corners do not stand still there."""
    x, jaw = talking(list(poses.channels))
    x[:, poses.round] = 0.0
    sides = [poses.channels.index(channel + side) for side in ("Left", "Right")]
    moved = 0.35 * np.sin(np.arange(FRAMES) / 1.5)
    x[:, sides] = (0.6 + moved)[:, None]
    made = poses.apply_moods(x, jaw, Direction(Style(), mood, 1.0).vector()[None], np.ones(FRAMES))[20:-20, sides[0]]
    assert made.max() < 1.199 and made.mean() > 0.75
    assert made.std() > 0.75 * moved.std(), "its own movement is cut off"


def test_a_pose_near_the_ceiling_moves_below_it_and_lowers_nothing_that_is_higher(poses):
    x, jaw = talking(list(poses.channels))
    sneer = [poses.channels.index("noseSneer" + side) for side in ("Left", "Right")]
    x[:, sneer] = (0.6 + 0.3 * np.sin(np.arange(FRAMES)))[:, None]
    made = poses.apply_moods(x, jaw, Direction(Style(), "disgusted", 1.0).vector()[None], np.ones(FRAMES))[10:-10, sneer[0]]
    assert 0.95 < made.mean() and made.max() < 1.195 and np.ptp(made) > 0.2
    x[:, sneer] = 1.2
    assert (
        poses.apply_moods(x, jaw, Direction(Style(), "disgusted", 1.0).vector()[None], np.ones(FRAMES))[:, sneer] == np.float32(1.2)
    ).all()


def test_a_mood_that_comes_and_goes_shows_so(poses):
    x, jaw = talking(list(poses.channels))
    style, felt = Direction(Style(), "angry", 1.0).vector()[None], np.linspace(0.8, 1.2, FRAMES)
    down = poses.apply_moods(x, jaw, style, SPEECH, felt)[:, poses.channels.index("browDownLeft")]
    assert down[0] == pytest.approx(0.64) and down[-1] == pytest.approx(0.96)
    assert np.array_equal(poses.apply_moods(x, jaw, Direction().vector()[None], SPEECH, felt), x)


@pytest.mark.parametrize("asymmetry, side, other", [(0.3, "Left", "Right"), (-0.9, "Right", "Left")])
def test_contempt_tightens_the_corner_of_the_side_that_moves_more(poses, asymmetry, side, other):
    x, jaw = talking(list(poses.channels))
    made = poses.apply_moods(x, jaw, Direction(Style(asymmetry=asymmetry), "contemptuous").vector()[None], SPEECH)
    tight, loose = (made[:, poses.channels.index("mouthDimple" + name)] for name in (side, other))
    assert tight[5] > 0.5 and tight[OPEN] > 0.4 and loose.max() < 0.1


def test_a_mood_may_come_and_go(poses):
    x, jaw = talking(list(poses.channels))
    style = np.repeat(Direction(Style(), "amused", 1.0).vector()[None], FRAMES, 0)
    style[FRAMES // 2 :] = Direction().vector()
    made = poses.apply_moods(x, jaw, style, SPEECH)
    assert np.array_equal(made[FRAMES // 2 :], x[FRAMES // 2 :]) and not np.array_equal(made[: FRAMES // 2], x[: FRAMES // 2])


def test_a_mood_makes_way_for_closures_without_a_jump(poses):
    names = list(poses.channels)
    x, jaw = talking(names)
    for mood, channel in (("disgusted", "mouthUpperUpLeft"), ("afraid", "mouthLowerDownLeft"), ("amused", "mouthSmileLeft")):
        added = poses.apply_moods(x, jaw, Direction(Style(), mood, 1.0).vector()[None], SPEECH) - x
        assert np.abs(np.diff(added[:, names.index(channel)])).max() < 0.4


SIDES = (0.18, 0.12)  # left and right of what a sampled face keeps of its expression at rest; in speech it is three times that


def fading(names, channel):
    """A face that lets go of an expression for 20 frames, speaks with it for 40 and lets go again, and whether it speaks."""
    speech = np.repeat([0.0, 1.0, 0.0], (20, 40, 40))
    x = np.zeros((100, len(names)), np.float32)
    for side, value in zip(("Left", "Right"), SIDES):
        x[:, names.index(channel + side)] = value * (1 + 2 * np.convolve(np.pad(speech, 2, mode="edge"), np.full(5, 0.2), "valid"))
    return x, np.zeros((100, 3), np.float32), speech


@pytest.mark.parametrize(
    "style, mood, channel",
    [(Style(), "warm", "mouthSmile"), (Style(smile=0.8), "neutral", "mouthSmile"), (Style(smile=-0.8), "neutral", "mouthFrown")],
)
def test_what_a_face_smiles_in_speech_stays_where_nobody_speaks(poses, style, mood, channel):
    names = list(poses.channels)
    x, jaw, speech = fading(names, channel)
    columns = [names.index(channel + side) for side in ("Left", "Right")]
    made = poses.apply_moods(x, jaw, Direction(style, mood).vector()[None], speech)
    level = made[:, columns].mean(1)
    assert min(level[:15].mean(), level[65:].mean()) > 0.75 * level[30:50].mean() and np.abs(made[30:50] - x[30:50]).max() < 0.01
    assert level[15:65].min() > 0.7 * level[30:50].mean(), "it sags where speech begins or ends"
    assert np.abs(np.diff(level)).max() <= np.abs(np.diff(x[:, columns].mean(1))).max()
    assert made[5, columns[0]] / made[5, columns[1]] == pytest.approx(SIDES[0] / SIDES[1], rel=0.1)
    cheeks = made[80, names.index("cheekSquintLeft")]
    assert 0.1 < cheeks < 0.35 if channel == "mouthSmile" else cheeks == 0


def test_a_smile_is_held_as_far_as_it_is_asked_for_at_each_frame(poses):
    names = list(poses.channels)
    x, jaw, speech = fading(names, "mouthSmile")
    smile = names.index("mouthSmileLeft")
    keyed = np.stack([Direction(Style(smile=by)).vector() for by in np.linspace(0.0, 1.0, 100)])
    made = poses.apply_moods(x, jaw, keyed, speech)[:, smile]
    assert made[5] == pytest.approx(x[5, smile]) and made[95] > made[70] > 0.3
    assert np.array_equal(poses.apply_moods(x, jaw, Direction().vector()[None], speech), x)
    against = poses.apply_moods(x, jaw, Direction(Style(smile=-0.8), "warm").vector()[None], speech)
    assert against[80, smile] < x[80, smile] + 0.05, "warmth smiles where the slider asks for corners that are down"


def test_a_held_smile_makes_way_for_a_rounded_mouth_and_fills_short_pauses(poses):
    names = list(poses.channels)
    x, jaw, speech = fading(names, "mouthSmile")
    smile, style = names.index("mouthSmileLeft"), Direction(mood="warm").vector()[None]
    x[78:83, names.index("mouthPucker")] = 0.6
    made = poses.apply_moods(x, jaw, style, speech)
    assert made[80, smile] < 0.25 < made[92, smile]
    x[36:44, smile] = 0.1  # a pause between words, in which `speech` does not fall
    quiet = 1 - speech
    quiet[36:44] = 1
    assert poses.apply_moods(x, jaw, style, speech, None, quiet)[40, smile] > 0.27 > poses.apply_moods(x, jaw, style, speech)[40, smile]


def test_a_smile_does_not_collapse_within_a_frame_or_two(poses):
    names = list(poses.channels)
    x, jaw, speech = fading(names, "mouthSmile")
    sides = [names.index("mouthSmileLeft"), names.index("mouthSmileRight")]
    x[:, sides] = 0.3
    x[60:66, sides] = [[0.5], [0.65], [0.7], [0.68], [0.45], [0.3]]

    def step(style):
        return np.abs(np.diff(poses.apply_moods(x, jaw, style.vector()[None], speech)[55:72, sides], axis=0)).max()

    assert step(Direction(mood="warm")) < 0.13 < 0.2 < step(Direction())
