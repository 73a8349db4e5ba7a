# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled people in a pose, by FLAME's formula in double precision, for tests of what they
promise."""

import numpy as np
import torch

from thunder_core.networks.flame import FlameLayer

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
    """Vertices [V, 3] in millimetres; jaw and look down in radians."""
    if id(head) not in _layers:
        _layers[id(head)] = head, FlameLayer(head, dtype=torch.float64)
    layer = _layers[id(head)][1]
    turn, eyes = (torch.tensor([[angle, 0.0, 0.0]]).double() for angle in (jaw, look))
    return 1e3 * layer(torch.tensor(expression_of(head, **channels)), turn, eyes=eyes)[0].numpy()


def lips(head):
    """Vertices of the lips, [RINGS, AROUND]."""
    return head.mouth_vertices[head.mouth_parts == 0].reshape(RINGS, AROUND)
