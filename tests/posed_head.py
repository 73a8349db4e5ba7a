# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled people in a pose, by FLAME's formula in double precision, for tests of what they
promise."""

import numpy as np
import torch

from research.train.flame import FlameLayer
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT
from thunder_core.rotation import rotvec_to_matrix

# the lips among mouth_vertices: rings from outside in, each from the left corner over the top
RINGS, AROUND = 7, 40
UPPER, LOWER = np.arange(1, 20), np.arange(39, 20, -1)  # opposite each other
_layers = {}


def expression_of(head, **channels):
    """Expression [1, C]; a name without Left or Right means both."""
    expression = np.zeros((1, head.channels))
    for name, value in channels.items():
        for full in [name] if name in head.expression_names else [name + "Left", name + "Right"]:
            expression[0, head.channel(full)] = value
    return expression


def posed(head, jaw=0.0, look=0.0, **channels):
    """Vertices [V, 3] in millimetres; jaw and look down in radians: lids follow a look, eyes stay."""
    if id(head) not in _layers:
        _layers[id(head)] = head, FlameLayer(head, dtype=torch.float64)
    layer = _layers[id(head)][1]
    expression, turn = expression_of(head, **channels), torch.tensor([[jaw, 0.0, 0.0]]).double()
    moved = layer(torch.tensor(expression), turn)[0].numpy()
    eyes = rotvec_to_matrix(np.array([look, 0.0, 0.0])) - np.eye(3)
    for joint in (EYE_LEFT, EYE_RIGHT):
        moved = moved + head.posedirs[:, :, 9 * (joint - 1) : 9 * joint] @ eyes.ravel()
    for (key, joint), shape in zip(head.corrective_pairs, np.moveaxis(head.correctives, 2, 0)):
        if joint.startswith("eye_"):
            moved = moved + expression[0, head.channel(key)] * eyes[2, 1] * shape
    return 1e3 * moved


def lips(head):
    """Vertices of the lips, [RINGS, AROUND]."""
    return head.mouth_vertices[head.mouth_parts == 0].reshape(RINGS, AROUND)
