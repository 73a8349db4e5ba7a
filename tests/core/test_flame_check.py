# SPDX-License-Identifier: GPL-3.0-or-later
"""The FLAME extra: smplx poses a model from arrays, and the distance to others who pose it is
measured."""

import sys

import numpy as np
import pytest
import torch
from made_flame import made_flame

from thunder_core.errors import NoEngine
from thunder_core.face.head import HEAD_FILE, load_head
from thunder_core.networks import flame
from thunder_core.networks.flame import FlameLayer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with np.load(HEAD_FILE) as asset:
        made = made_flame({name: asset[name] for name in asset.files}, seed=7, own=0.0004)
    return load_head(made.write(tmp_path_factory.mktemp("flame") / "flame.pkl"))


@pytest.fixture(scope="module")
def request_arrays(model):
    """A request whose `seen` is what our layer makes of the pose."""
    rng = np.random.default_rng(3)
    expression, jaw, neck, eyes = (
        rng.normal(0, 0.7, model.channels),
        *rng.normal(0, 0.2, (2, 3)),
        rng.normal(0, 0.2, (2, 3)),
    )
    seen = FlameLayer(model, dtype=torch.float64)(
        *(torch.tensor(value)[None] for value in (expression, jaw, neck, eyes))
    )
    arrays = {name: getattr(model, name) for name in flame.MODEL}
    return arrays | {
        "expression": expression,
        "betas": np.zeros(300),
        "jaw": jaw,
        "neck": neck,
        "eyes": eyes,
        "seen": seen[0].numpy(),
    }


def test_a_rig_that_moves_as_flame_does_is_off_by_less_than_a_micrometre(request_arrays):
    answer = flame.check(request_arrays)
    assert answer["rig"] < 1e-3 and answer["skinning"] < 1e-3 and answer["smplx"] == "0.1.28"


@pytest.mark.parametrize(
    ("name", "change", "millimetres"),
    [("seen", 0.002, (1.999, 3.5)), ("jaw", 0.05, (1.0, 20.0)), ("betas", 1.0, (1.0, 200.0))],
)
def test_a_rig_that_moves_otherwise_is_measured(request_arrays, name, change, millimetres):
    answer = flame.check(request_arrays | {name: request_arrays[name] + change})
    assert millimetres[0] < answer["rig"] < millimetres[1] and answer["skinning"] < 1e-3


def test_a_fault_of_our_skinning_is_measured(request_arrays, monkeypatch):
    class Turned(FlameLayer):
        def forward(self, expression, jaw, head=None, eyes=None):
            return super().forward(expression, 1.1 * jaw, head, eyes)

    monkeypatch.setattr(flame, "FlameLayer", Turned)
    assert flame.check(request_arrays)["skinning"] > 1.0


def test_without_the_extra_a_person_reads_what_to_install(request_arrays, monkeypatch):
    monkeypatch.setitem(sys.modules, "smplx.lbs", None)
    with pytest.raises(NoEngine, match="install the FLAME extra in the preferences"):
        flame.check(request_arrays)
