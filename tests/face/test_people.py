# SPDX-License-Identifier: GPL-3.0-or-later
"""People from one sculptor: other faces with the same mesh, keys and closures, so that any take
plays on any of them."""

import numpy as np
import pytest
from posed_head import posed

from research.sculpt.people import PEOPLE
from thunder_core.face.head import HEAD_FILE, JAW, load_head

OTHERS = [person.name for person in PEOPLE[1:]]


@pytest.fixture(scope="module")
def bundled_head():
    return load_head()


@pytest.fixture(scope="module", params=OTHERS)
def person(request):
    return load_head(HEAD_FILE.with_name(f"{request.param}.npz"))


def test_mesh_keys_and_mouth_are_numbered_alike(person, bundled_head):
    assert (
        person.expression_names == bundled_head.expression_names
        and person.corrective_pairs == bundled_head.corrective_pairs
    )
    for name in ("polygons", "f", "polygon_material", "mouth_vertices", "mouth_parts"):
        assert (getattr(person, name) == getattr(bundled_head, name)).all(), name


def test_it_is_another_face_with_the_same_eyes_teeth_and_joints(person, bundled_head):
    moved = 1e3 * np.linalg.norm(person.v_template.astype(float) - bundled_head.v_template, axis=1)
    names = np.array(person.material_names)[person.polygon_material]
    inner = np.unique(
        person.polygons[
            np.isin(
                names, ("Teeth", "Back Teeth", "Gums", "Tongue", "Eye White", "Pupil", "Limbus")
            )
        ]
    )
    assert 3 < moved.max() < 45 and (moved > 1).mean() > 0.15
    assert (
        moved[inner[inner >= 0]].max() == 0
        and np.abs(person.joints - bundled_head.joints).max() < 1e-4
    )


@pytest.mark.parametrize("jaw", [0.0, 0.05, 0.15, 0.25])
def test_lips_are_as_closed_as_the_bundled_heads_whose_lips_takes_are_made_for(
    person, bundled_head, jaw
):
    contact = bundled_head.mouth_vertices[bundled_head.mouth_parts == 0].reshape(7, 40)[5]
    for channels in (
        {},
        {"mouthPucker": 0.6},
        {"mouthSmile": 0.6},
        {"mouthPress": 0.6},
        {"mouthFunnel": 0.3, "mouthUpperUp": 0.2},
    ):
        gaps = []
        for head in (person, bundled_head):
            v = posed(head, jaw, mouthClose=jaw / 0.30, **channels)
            gaps.append(v[contact[1:20], 1] - v[contact[:20:-1], 1])
        assert np.abs(gaps[0] - gaps[1]).max() <= 0.3, channels


def test_a_jaw_of_0_30_rad_opens_as_far_as_the_bundled_heads(person, bundled_head):
    opened = [
        posed(h, 0.30)[[h.inner_lip_upper_mid, h.inner_lip_lower_mid], 1]
        for h in (person, bundled_head)
    ]
    assert np.ptp(opened[0]) == pytest.approx(np.ptp(opened[1]), abs=1.0)


def test_lids_stay_off_the_ball_and_shut(person):
    from research.sculpt.form import EYE, EYE_RADIUS

    rest = person.v_template.astype(float) * 1e3
    lid = (np.abs(person.shapedirs[:, :, person.channel("eyeBlinkLeft")]).max(1) > 0) & (
        np.linalg.norm(rest - EYE, axis=1) > EYE_RADIUS + 1
    )
    for blink in (0.0, 0.5, 1.0):
        assert (
            np.linalg.norm(posed(person, eyeBlink=blink) - EYE, axis=1)[lid].min()
            > EYE_RADIUS + 0.3
        )


def test_skin_that_follows_the_jaw_is_the_same(person, bundled_head):
    assert np.abs(person.weights[:, JAW] - bundled_head.weights[:, JAW]).mean() < 0.02
