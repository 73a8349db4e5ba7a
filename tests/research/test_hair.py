# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair of the bundled people: it lies on the head, leaves the face free, and ends in locks instead
of an edge."""

import numpy as np
import pytest

from research.sculpt.form import distance
from research.sculpt.people import PEOPLE
from thunder_core.face.head import HEAD_FILE, load_head

# share of a hair's vertices that are locks at least: the rest is the shell under them
LOCKS_FROM = 0.5


@pytest.fixture(scope="module", params=[person.name for person in PEOPLE])
def person(request):
    return request.param, load_head(HEAD_FILE.with_name(f"{request.param}.npz"))


def test_it_is_light_enough_to_play(person):
    assert 5000 < len(person[1].hair.vertices) < 18000


def test_it_leaves_eyes_brows_and_cheeks_free(person):
    v = 1e3 * person[1].hair.vertices.astype(float)
    face = (v[:, 2] > 55) & (v[:, 1] < 34) & (v[:, 1] > -110)
    assert not face.any()


def test_no_lock_goes_through_the_head_and_none_stands_off(person):
    name, head = person
    if name != "head":
        pytest.skip("the form that the sculptor measures from is the bundled head's")
    high = distance(1e3 * head.hair.vertices.astype(float))
    assert high.min() > -4.0 and high.max() < 26.0 and np.median(high) > 3.0


def test_its_edge_is_made_of_locks(person):
    """Of the polygons nearest to the face and the neck, more are tips of locks than quads of the
    shell."""
    hair = person[1].hair
    tips = (hair.polygons[:, 3] < 0).sum()
    shell = np.unique(hair.polygons[: np.flatnonzero(hair.polygons[:, 3] < 0)[0]])
    assert tips > 1400 and len(shell) < (1 - LOCKS_FROM) * len(hair.vertices)


def test_two_shades_make_strands_seen_without_light(person):
    share = (person[1].hair.polygon_material == 1).mean()
    assert len(person[1].hair.material_names) == 2 and 0.1 < share < 0.6
