# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes incline their heads to both sides: half of them are the mirror image of what the model makes, but for the mouth."""

import numpy as np
import pytest

from thunder_core.channels import Columns
from thunder_core.direction import Direction, Style
from thunder_core.engine.gestures.making import layer_of, Mirror, mirrored, mirrored_as
from thunder_core.engine.speech.phrasing import Phrasing
from thunder_core.engine.weights import SHIPPED
from thunder_core.face.head import load_head

NAMES = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "eyeBlinkLeft", "eyeBlinkRight",
    "mouthSmileLeft", "mouthSmileRight",
)  # fmt: skip


def style(mood="neutral", strength=1.0, **sliders):
    return Direction(Style(**sliders), mood, strength).vector()[None]


@pytest.mark.parametrize("mood", ["neutral", "warm", "doubtful", "bored"])
def test_half_of_any_few_takes_are_mirrored(mood):
    each = [mirrored(seed, style(mood)) for seed in range(256)]
    assert abs(np.mean(each) - 0.5) < 0.02
    assert all(2 <= sum(each[i : i + 8]) <= 6 for i in range(0, 256, 8)) and len({tuple(each[i : i + 8]) for i in range(0, 256, 8)}) > 4
    assert each == [mirrored(seed, style(mood)) for seed in range(256)]
    assert [mirrored(seed, None) for seed in range(256)] == each, "a mood changes no side"


def test_contempt_keeps_the_side_of_its_smile():
    assert not any(mirrored(seed, style("contemptuous")) for seed in range(32))
    assert any(mirrored(seed, style("contemptuous", 0.3)) for seed in range(32)), "a slight one hardly smiles"


def test_doubt_raises_the_brow_that_asymmetry_names():
    left, right = ([mirrored(seed, style("doubtful", asymmetry=by)) for seed in range(64)] for by in (0.7, -0.7))
    assert np.mean(left) > 0.9 and np.mean(right) < 0.1, "unmirrored it is the right one"
    marks = Phrasing(300, np.arange(20, 280, 25), np.ones(11), np.array([[5, 295]]))
    sides = []
    for turned in (False, True):
        brows = np.sum([layer_of(marks, seed, 0.5, style("doubtful"), False, turned).brows for seed in range(8)], 0)
        sides.append(np.abs(brows[:, 1]).sum() / np.abs(brows[:, 2]).sum())
    assert sides[0] < 0.7 and sides[1] > 1.4
    contempt = [layer_of(marks, 1, 0.5, style("contemptuous"), False, turned).brows for turned in (False, True)]
    assert np.array_equal(*contempt)


def test_a_mirror_turns_head_and_gaze_and_brows_if_it_is_to_and_never_the_mouth():
    x = np.random.default_rng(0).standard_normal((20, len(NAMES) + 9)).astype(np.float32)
    mirror, columns = Mirror(NAMES), Columns(len(NAMES))
    for brows in (False, True):
        y = mirror(x, brows)
        assert np.array_equal(mirror(y, brows), x)
        assert np.array_equal(y[:, columns.jaw], x[:, columns.jaw]) and np.array_equal(y[:, 7:9], x[:, 7:9])
        for part in (columns.head, columns.eyes):
            assert np.array_equal(y[:, part], x[:, part] * [1, -1, -1])
        assert np.array_equal(y[:, 3], x[:, 4 if brows else 3]) and np.array_equal(y[:, 2], x[:, 2])
    mask = np.zeros((2, len(NAMES) + 9), bool)
    mask[:, 3] = True
    assert mirror.places(mask, True)[:, 4].all() and not mirror.places(mask, True)[:, 3].any()


def test_heads_without_sides_have_only_their_pose_mirrored():
    x = np.ones((3, 5 + 9), np.float32)
    assert np.array_equal(Mirror([f"expression{i}" for i in range(5)])(x, True)[:, :5], x[:, :5])


def test_the_bundled_heads_brows_all_have_another_side():
    names = list(load_head(SHIPPED / "head.npz").expression_names)
    swapped = Mirror(names).order[: len(names)]
    assert {names[i] for i in np.flatnonzero(swapped != np.arange(len(names)))} == {
        part + side for part in ("browDown", "browOuterUp", "eyeBlink", "eyeSquint", "eyeWide") for side in ("Left", "Right")
    }


def test_what_goes_on_from_a_kept_head_goes_on_to_its_side():
    head, kept = np.zeros((50, 3)), np.arange(50) < 20
    assert mirrored_as(head, kept, style("warm")) is None and mirrored_as(head + 1, np.zeros(50, bool), None) is None, "each its own"
    head[:, 2] = np.radians(-4)
    assert mirrored_as(head, kept, style("warm")) and mirrored_as(head, kept, style("doubtful")) is False
    assert mirrored_as(-head, kept, style("warm")) is False and mirrored_as(-head, kept, style("doubtful"))
