# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a mapping, by hand or by accident: a mapping comes out, or one sentence."""

import json

import numpy as np
import pytest

from thunder_core.errors import BadHead
from thunder_core.face.mapping import JointRule, Mapping, Rule, Target

PLAN = Mapping(
    "Hero",
    (Rule("jawOpen", Target("KEY", "jawOpen"), 0.5), Rule("tongueOut", Target("PROPERTY", "tongue", "", "Jaw"))),
    (JointRule("neck", "Head", "Rig", 0.5),),
    "arkit",
    ("Face",),
    "-Y",
    "Z",
)


def spoilt(**changed):
    return json.dumps(json.loads(PLAN.to_json()) | changed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (spoilt(joints=[{"joint": "neck", "bone": "Head", "scale": 10**400}]), "“scale” of joint 1 of the mapping is not a number"),
        (spoilt(joints=[{"joint": "neck", "bone": "Head", "scale": -(10**400)}]), "“scale” of joint 1"),
        (spoilt(rules=[{"source": "a", "weight": 1e300, "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(rules=[{"source": "a", "weight": float("nan"), "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(rules=[{"source": "a", "weight": True, "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(thunder_mapping=True), "version true"),
        (spoilt(thunder_mapping=[["x" * 1000]]), "version"),
        (spoilt(thunder_mapping=10**400), "version 1000"),
        (spoilt(name="\ud800"), "“name” of the mapping is not text"),
        (spoilt(parts=["\udfff"]), "no object's name"),
        ("9" * 5000, "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"thunder_mapping": 1, "name": "' + "x" * 5_000_000 + '"}', "4 million letters"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_with_a_sentence(text, says):
    with pytest.raises(BadHead, match=says) as caught:
        Mapping.from_json(text)
    assert len(str(caught.value)) < 300


def test_a_mapping_comes_back_as_it_was():
    assert Mapping.from_json(PLAN.to_json()) == PLAN
    assert np.isclose(Mapping.from_json(spoilt(joints=[{"joint": "jaw", "bone": "Jaw", "scale": 10**5}])).joints[0].scale, 1e5)
