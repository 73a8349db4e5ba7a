# SPDX-License-Identifier: GPL-3.0-or-later
"""What single keys carry along: no muscle moves the lips or a brow alone."""

import numpy as np
import pytest

from research import head_keys

# Key → least share of the face's area that moves more than 1 mm at 1: 0.6 of what it is on a
# scanned face (research/head_keys.py).
REACH = {
    "mouthPucker": 0.31,
    "mouthFunnel": 0.30,
    "mouthSmile": 0.37,
    "mouthStretch": 0.23,
    "mouthFrown": 0.16,
    "mouthDimple": 0.20,
    "mouthLeft": 0.36,
    "mouthUpperUp": 0.23,
    "mouthLowerDown": 0.08,
    "mouthRollLower": 0.05,
    "mouthRollUpper": 0.06,
    "mouthShrugLower": 0.13,
    "mouthShrugUpper": 0.03,
    "mouthPress": 0.20,
    "cheekPuff": 0.36,
    "cheekSquint": 0.29,
    "noseSneer": 0.46,
    "browInnerUp": 0.13,
    "browOuterUp": 0.15,
    "browDown": 0.17,
    "eyeBlink": 0.018,
    "eyeWide": 0.012,
    "eyeSquint": 0.06,
    "jawForward": 0.24,
}
# mm, where a key moves the face most
APEX = {"mouthSmileLeft": 11, "browDownLeft": 4, "noseSneerLeft": 6, "mouthUpperUpLeft": 6}
TINY = 0.02  # mm


@pytest.fixture(scope="module")
def face():
    return head_keys.thunder_face()


@pytest.mark.parametrize("key", REACH)
def test_a_key_moves_as_much_of_the_face_as_muscles_do(face, key):
    assert face.figures(key)["share"] >= REACH[key]


def test_a_pucker_brings_the_corners_forward(face):
    figures = face.figures("mouthPucker")
    assert figures["corner fwd"] >= 7 and figures["mid fwd"] >= 6
    assert 4 < face.figures("mouthFunnel")["corner fwd"] < 10


@pytest.mark.parametrize("key", ["noseSneer", "mouthUpperUp"])
def test_the_corners_ride_along_with_the_upper_lip(face, key):
    assert 1.9 < face.figures(key)["corner up"] < 6.8


@pytest.mark.parametrize("key", APEX)
def test_a_key_fades_out_and_has_no_edge(face, key):
    """Along no edge of the skin but the upper lid's crease, which closes over it, does a movement
    change by 0.45 of its largest."""
    moved = np.linalg.norm(face.key(key), axis=1)
    assert moved.max() > APEX[key] * 0.9
    head = head_keys.load_head()
    names = np.array(head.material_names)[head.polygon_material]
    quads = head.polygons[(names == "Skin") & (head.polygons[:, 3] >= 0)]
    crease = (np.abs(np.abs(face.points[:, 0]) - 31) < 20) & (np.abs(face.points[:, 1] - 10) < 10)
    quads = quads[~crease[quads].any(1)]
    steps = np.concatenate(
        [np.abs(moved[quads[:, i]] - moved[quads[:, (i + 1) % 4]]) for i in range(4)]
    )
    assert steps.max() < 0.45 * moved.max()


@pytest.mark.parametrize("key", [k for k in REACH if not k.startswith("eye")])
def test_teeth_tongue_and_eyes_stay(key):
    head = head_keys.load_head()
    names = np.array(head.material_names)[head.polygon_material]
    inner = np.unique(
        head.polygons[
            np.isin(
                names,
                ("Teeth", "Back Teeth", "Gums", "Tongue", "Eye White", "Iris", "Pupil", "Limbus"),
            )
        ]
    )
    inner = inner[inner >= 0]
    for name, shape in zip(head.expression_names, np.moveaxis(head.shapedirs, 2, 0)):
        if (
            name.removesuffix("Left").removesuffix("Right") == key.removesuffix("Left")
            and key != "jawForward"
        ):
            assert 1e3 * np.abs(shape[inner]).max() < TINY, name
