# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's manner is read as it was written, learned from what animators changed and from
nothing else, and leaves lips where sounds have them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import DirectionRequest
from thunder_core.direction_presets import Preset
from thunder_core.engine.manner_learning import CorrectedLine, learn
from thunder_core.engine.manner_step import (
    blinks_of,
    change_blinks,
    change_face,
    change_mouth,
    measure_mouth,
)
from thunder_core.errors import BadRequest
from thunder_core.face.moving.mouth_shape import bundled_mouth
from thunder_core.filters import smooth
from thunder_core.manner import Change, describe, EVERYWHERE, KINDS, Manner, MOUTH, PAUSES
from thunder_core.types import Motion

MOUTH_SHAPE = bundled_mouth()
NAMES = MOUTH_SHAPE.names
FRAMES = 250
MANNER = Manner(
    (
        Change("jaw", size=0.8, lines=9),
        Change("width", "OO", -2.0, 1.1, -3.1, 7),
        Change("blinks", size=0.5, lines=4, is_used=False),
    ),
    10,
)


def column(name):
    return NAMES.index(name)


def make_line(seed, change=lambda motion, weights: motion):
    """A line of random speech with sounds for it, and what `change` makes of it."""
    rng = np.random.default_rng(seed)
    weights = {kind: np.zeros(FRAMES) for kind in KINDS}
    for start in range(0, FRAMES - 12, 12):
        weights[KINDS[rng.integers(len(KINDS))]][start : start + 8] = 1.0
    weights = {kind: smooth(each, 1.0) for kind, each in weights.items()}
    x = np.zeros((FRAMES, len(NAMES)), np.float32)
    for name in ("mouthFunnel", "mouthLowerDownLeft", "mouthLowerDownRight", "browInnerUp"):
        x[:, column(name)] = np.abs(smooth(rng.normal(0, 1.0, FRAMES), 3.0))
    x[:, column("mouthPucker")] = 0.5 * weights["OO"]
    for at in range(20, FRAMES - 20, 50):
        for side in ("Left", "Right"):
            x[at - 2 : at + 3, column(f"eyeBlink{side}")] = (0.4, 0.9, 1.0, 0.6, 0.2)
    jaw = np.zeros((FRAMES, 3), np.float32)
    jaw[:, 0] = np.abs(smooth(rng.normal(0.05, 0.2, FRAMES), 2.0))
    turns = smooth(rng.normal(0, 0.3, (FRAMES, 3)), 6.0).astype(np.float32)
    take = Motion(x, jaw, turns, -turns)
    return CorrectedLine(take, change(take, weights), weights)


def less_jaw(motion, weights):
    return replace(motion, jaw=motion.jaw * np.float32([0.8, 1, 1]))


def rounder(motion, weights):
    x = motion.expression.copy()
    x[:, column("mouthPucker")] += (0.3 * weights["OO"]).astype(np.float32)
    return replace(motion, expression=x)


def calmer(motion, weights):
    x = motion.expression.copy()
    x[:, column("browInnerUp")] *= 0.5
    return replace(motion, expression=x, head=motion.head * np.float32(0.3))


def learned(change, lines=8, untouched=1):
    corrected = [make_line(seed, change) for seed in range(lines - untouched)]
    corrected += [make_line(90 + seed) for seed in range(untouched)]
    return learn(corrected, NAMES, MOUTH_SHAPE)


@pytest.mark.parametrize("bad, words", [
    ("", "not readable"),
    ("{}", "not one of Thunder's"),
    ('{"thunder_manner": 9}', "version"),
    ('{"thunder_manner": 1, "lines": 4}', "has no “changes”, which a manner has: choose"),
    ('{"thunder_manner": 1, "changes": 3}', "not a list"),
    ('{"thunder_manner": 1, "changes": [{"what": "nose"}]}', "nose"),
    ('{"thunder_manner": 1, "changes": [{"what": "jaw", "where": ["OO"]}]}', "where"),
    ('{"thunder_manner": 1, "changes": [{"what": "jaw", "size": 1e9}]}', "size"),
    ('{"thunder_manner": 1, "changes": [{"what": "jaw", "size": NaN}]}', "size"),
    ('{"thunder_manner": 1, "changes": [{"what": "jaw", "is_used": 1}]}', "is_used"),
    ('{"thunder_manner": 1, "changes": [{"what": "jaw"}, {"what": "jaw"}]}', "twice"),
    ('{"thunder_manner": 1, "changes": [{"what": "brows", "where": "OO"}]}', "everywhere alone"),
    ("[" * 5000, "not readable"),
    (" " * 60_000, "letters"),
])  # fmt: skip
def test_a_wrong_file_is_refused_with_a_sentence(bad, words):
    with pytest.raises(BadRequest, match=words):
        Manner.from_json(bad, "anna")


def test_a_manner_is_read_as_it_was_written(tmp_path):
    text = MANNER.to_json()
    assert Manner.from_json(text) == MANNER and len(text) < 1000
    file = tmp_path / "anna.json"
    file.write_text(text, encoding="utf-8")
    assert Manner.read(file) == MANNER
    with pytest.raises(BadRequest, match="cannot be read"):
        Manner.read(tmp_path / "gone.json")


def test_a_sentence_says_the_changes_that_most_lines_show():
    rows = tuple(Change("width", kind, mean=-1.0, lines=i) for i, kind in enumerate(KINDS))
    text = describe(Manner(rows, 9))
    assert text.startswith(f"From 9 lines: Phrase ends: Rounder by 1.0 mm; {PAUSES.title()}")
    assert text.endswith(f"; {len(KINDS) - 6} more in the list beside Manner")


def test_what_a_commit_changes_by_itself_is_no_manner():
    """Keys of a commit leave lips a fraction of a millimetre off."""

    def nudge(motion, weights):
        x = motion.expression.copy()
        x[:, column("mouthUpperUpLeft")] += np.float32(0.01) * weights["S"].astype(np.float32)
        return replace(motion, expression=x)

    assert not learned(nudge, untouched=0).changes


def test_a_preset_takes_the_manner_along():
    preset = Preset("Anna", manner=MANNER)
    again = Preset.from_json(preset.to_json())
    assert again.manner == MANNER
    assert again.direction_request({}).manner == MANNER
    with pytest.raises(BadRequest, match="manner"):
        Preset.from_json(json.dumps(preset.data() | {"manner": 3}))


def test_a_take_says_the_manner_it_was_made_in():
    request = DirectionRequest(manner=MANNER, manner_strength=np.float32([0.5, 1.0]))
    again = DirectionRequest.of_record(request.to_record(lambda array: array.ravel().tolist()))
    assert again.manner == MANNER and np.allclose(again.manner_strength, [0.5, 1.0])
    assert "manner" not in DirectionRequest().to_record(lambda array: array.ravel().tolist())


def test_what_was_planted_is_learned_and_nothing_else():
    (change,) = learned(less_jaw).changes
    assert (change.what, change.where) == ("jaw", EVERYWHERE)
    assert change.size == pytest.approx(0.8, abs=0.03) and change.lines == 7
    assert "Jaw smaller by 19 %" in describe(learned(less_jaw))
    found = {(each.what, each.where): each for each in learned(rounder).changes}
    assert found["width", "OO"].mean < -1.0
    assert {where for _, where in found} == {"OO"}
    sizes = {each.what: each.size for each in learned(calmer).changes}
    assert sizes["brows"] < 0.85 and sizes["head"] == pytest.approx(0.3, abs=0.05)


def test_lines_as_they_were_show_no_manner():
    manner = learned(lambda motion, _: motion, untouched=0)
    assert not manner.changes and "no manner" in describe(manner)
    with pytest.raises(BadRequest, match="2 corrected lines"):
        learn([make_line(1, less_jaw)], NAMES, MOUTH_SHAPE)


def test_one_repaired_moment_changes_nothing():
    def repair(motion, _):
        x, jaw = motion.expression.copy(), motion.jaw.copy()
        x[100:104, column("mouthFunnel")], jaw[100:104, 0] = 0.9, 0.25
        return replace(motion, expression=x, jaw=jaw)

    lines = [make_line(seed, repair if seed == 2 else lambda m, _: m) for seed in range(8)]
    assert not learn(lines, NAMES, MOUTH_SHAPE).changes


def test_a_manner_performed_makes_a_take_as_the_animator_did():
    manner = learned(lambda motion, weights: rounder(less_jaw(motion, weights), weights))
    other = make_line(50, lambda motion, weights: rounder(less_jaw(motion, weights), weights))
    take = other.take.expression, other.take.jaw
    x, jaw = change_mouth(manner, MOUTH_SHAPE, *take, other.weights)
    was, wanted, found = (
        measure_mouth(MOUTH_SHAPE, *each)
        for each in (take, (other.edited.expression, other.edited.jaw), (x, jaw))
    )
    for row in (MOUTH.index("jaw"), MOUTH.index("width")):
        before, after = (np.square(each[:, row] - wanted[:, row]).sum() for each in (was, found))
        assert after < 0.35 * before


@pytest.mark.parametrize("manner, strength", [(Manner(), 1.0), (MANNER, 0.0)])
def test_without_a_manner_or_at_0_the_take_is_as_sampled(manner, strength):
    take = make_line(3).take
    x, jaw = change_mouth(
        manner, MOUTH_SHAPE, take.expression, take.jaw, make_line(3).weights, strength
    )
    assert np.array_equal(x, take.expression) and np.array_equal(jaw, take.jaw)
    face = change_face(manner, NAMES, take.expression, *take.turns, strength)
    assert all(np.allclose(a, b, atol=1e-7) for a, b in zip(face, (take.expression, *take.turns)))


def test_eyes_stay_on_what_they_look_at_when_the_head_is_held():
    take = make_line(4).take
    _, head, eyes = change_face(
        Manner((Change("head", size=0.2),)), NAMES, take.expression, *take.turns
    )
    assert head.std() < 0.3 * take.head.std()
    assert np.allclose(head + eyes, take.head + take.eyes, atol=1e-6)


@pytest.mark.parametrize("rate", (0.0, 0.5, 1.5, 2.0))
def test_blinks_come_as_often_as_the_manner_says(rate):
    lids = np.zeros((1000, 2))
    for at in range(40, 960, 80):
        lids[at - 2 : at + 3] = np.array([0.3, 0.9, 1.0, 0.6, 0.2])[:, None]
    before = len(blinks_of(lids))
    counts = [len(blinks_of(change_blinks(lids, rate, seed))) for seed in range(8)]
    assert np.mean(counts) == pytest.approx(rate * before, abs=0.5)
