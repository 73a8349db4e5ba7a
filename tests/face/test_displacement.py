# SPDX-License-Identifier: GPL-3.0-or-later
"""Millimetres at the lips agree with the head's own layer, and are distinguished from those of the
neck and the eyes."""

import numpy as np
import pytest

from thunder_core.face.displacement import (
    EYE_LEVER_MM,
    face_meter,
    group_distances,
    NECK_LEVER_MM,
    positions,
)
from thunder_core.face.head import load_head
from thunder_core.face.lips import opening_mm
from thunder_core.types import Motion


def motion(seed=0, frames=60):
    rng = np.random.default_rng(seed)
    jaw = rng.normal(0, 0.02, (frames, 3))
    jaw[:, 0] = rng.uniform(0, 0.3, frames)
    return Motion(
        rng.uniform(0, 0.3, (frames, load_head().channels)),
        jaw,
        np.zeros((frames, 3)),
        np.zeros((frames, 3)),
    )


def distances(first, second):
    """Of two motions, at the lips, elsewhere on the face, of the head and of the eyes, [T] mm
    each."""
    return group_distances(positions(first) - positions(second)).T


def test_the_gap_is_the_opening():
    measure = face_meter()
    gap = measure.gap(measure.points(motion()))
    assert np.maximum(gap, 0) == pytest.approx(opening_mm(motion(), load_head()), abs=1e-3)
    assert gap.max() > 5


def test_rest_is_a_closed_mouth():
    still = Motion(np.zeros((1, load_head().channels)), np.zeros((1, 3)))
    assert face_meter().gap(face_meter().points(still)) == pytest.approx([0.0])


@pytest.mark.parametrize("channel, place", [("mouthPucker", 0), ("browInnerUp", 1)])
def test_a_channel_is_felt_where_it_moves_the_face(channel, place):
    head, still = load_head(), motion()
    expression = still.expression.copy()
    expression[7, head.channel(channel)] += 0.1
    off = distances(Motion(expression, still.jaw), still)
    most = 0.1e3 * np.linalg.norm(head.shapedirs[:, :, head.channel(channel)], axis=1).max()
    assert off[place][7] == pytest.approx(most, rel=0.25)
    # nothing on the other frames
    assert sum(map(sum, off)) == pytest.approx(sum(part[7] for part in off))


def test_turns_are_measured_at_their_levers():
    still = motion()
    turned = Motion(
        still.expression, still.jaw, still.head + [0.01, 0, 0], still.eyes + [0, 0.02, 0]
    )
    lips, face, head, eyes = distances(turned, still)
    assert not lips.any() and not face.any()
    assert head == pytest.approx(np.full(60, 0.01 * NECK_LEVER_MM)) and eyes == pytest.approx(
        np.full(60, 0.02 * EYE_LEVER_MM)
    )
