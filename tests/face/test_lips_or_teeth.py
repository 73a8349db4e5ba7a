# SPDX-License-Identifier: GPL-3.0-or-later
"""On the bundled head's own geometry: lips are what is measured, not teeth, and what parts no lips is
no jaw, whatever it is called."""

from types import SimpleNamespace

import numpy as np
import pytest
from made_characters import face_of, found, head_mesh, rig_with, upright

from thunder_core.face import mapping
from thunder_core.face.reading.reach import Reach
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import JAW_OPEN_RADIANS

JOINTS = ("root", "neck", "jaw", "eye_left", "eye_right")
UP = np.array([0, 0, 0.05])


@pytest.fixture(scope="module")
def body(bundled):
    """The bundled head's arrays; moves of its channels {name: [V, 3]}, weights of its joints
    {name: [V]}, joints {name: [3]}, and which vertices are its teeth and gums, and the rest."""
    names, points = bundled["expression_names"].tolist(), upright(bundled["v_template"])
    shapes = upright(np.moveaxis(bundled["shapedirs"], 2, 0)[-len(names) :])
    weights = dict(zip(JOINTS, bundled["weights"].T))
    joints = dict(zip(JOINTS, upright(bundled["J_regressor"] @ bundled["v_template"])))
    turn = rotvec_to_matrix(np.array([JAW_OPEN_RADIANS, 0, 0]))
    turned = (points - joints["jaw"]) @ turn.T + joints["jaw"]
    opens = {"jawOpen": weights["jaw"][:, None] * (turned - points)}
    materials = bundled["material_names"].tolist()
    inside = [materials.index(name) for name in ("Teeth", "Side Teeth", "Back Teeth", "Gums")]
    teeth = np.unique(bundled["polygons"][np.isin(bundled["polygon_material"], inside)])
    skin = np.setdiff1d(np.arange(len(points)), teeth)
    return SimpleNamespace(
        data=bundled, moves=dict(zip(names, shapes)) | opens, weights=weights, joints=joints,
        teeth=teeth[teeth >= 0], skin=skin,
    )  # fmt: skip


@pytest.mark.parametrize("lips", [True, False], ids=["with lips", "teeth alone"])
@pytest.mark.parametrize("kind", ["key on one mesh", "key on teeth", "bone"])
def test_lips_are_what_is_measured_not_teeth(body, kind, lips):
    jaw, turning = body.moves["jawOpen"], body.weights["jaw"]
    keys = {name: by for name, by in body.moves.items() if name != "jawOpen" and kind != "bone"}
    of_teeth = np.isin(np.arange(len(jaw)), body.teeth)
    if kind == "key on one mesh":
        opens = jaw if lips else of_teeth[:, None] * jaw
        every = np.arange(len(jaw))
        seen = found(head_mesh(body.data, keys | {"jawOpen": opens}, every)).reach
    else:
        neck = body.joints["neck"]
        bones = {"Neck": (neck - 4 * UP, neck, None), "Head": (neck + UP, neck + 2 * UP, "Neck")}
        by_bone = {"Head": np.ones(len(jaw))}
        if kind == "bone":
            hinge = body.joints["jaw"]
            bones["Jaw"] = (hinge, hinge + [0, -0.07, -0.03], "Head")
            turns = turning if lips else of_teeth * turning
            by_bone = {"Jaw": turns, "Head": 1.0 - turns}
        opens = {} if kind == "bone" else {"jawOpen": jaw}
        seen = found(
            head_mesh(body.data, keys | (opens if lips else {}), body.skin, "Face", by_bone),
            head_mesh(body.data, opens, body.teeth, "Teeth", by_bone),
            rig=rig_with(bones),
        ).reach
    assert ("open" in seen.faults) != lips
    assert not lips or (seen.parts == ("Face",) and seen.shown["open"][0] > 15)


@pytest.mark.parametrize("name", ["mouthOpen", "jawOpen", "Open"])
@pytest.mark.parametrize("moves", [("mouthSmileLeft", "mouthSmileRight"), ("browInnerUp",)])
def test_a_smile_or_a_brow_that_is_named_as_an_open_mouth_is_no_jaw(body, name, moves):
    """Mapped by hand, what is seen of the lips says so."""
    blink = body.moves["eyeBlinkLeft"] + body.moves["eyeBlinkRight"]
    keys = {name: sum(body.moves[each] for each in moves), "blink": blink}
    face = head_mesh(body.data, keys | {"talk": body.moves["jawOpen"]}, body.skin)
    seen = found(face)
    assert seen.unused[0] == f"“{name}” goes up and parts no lips"
    assert not {"jaw", "jawOpen"} & seen.plan.used

    def by_hand(key):
        rule = mapping.Rule("jawOpen", mapping.Target("KEY", key), 1.0)
        return measure(mapping.Mapping("By Hand", (rule,)), face)

    assert not by_hand(name).upper and "open" in by_hand(name).faults
    assert by_hand("talk").shown["open"][0] > 15


def measure(plan, *meshes):
    return Reach.of(face_of(plan, *meshes))
