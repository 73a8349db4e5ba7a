# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion of the bundled head as a tracker would see it: landmarks of a turning, noisy stranger."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from research.faces.landmarks import Front
from research.train.flame import FlameLayer
from thunder_core.engine.tracking import spots as table
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT, load_head

HEAD = load_head()
# Where the landmarks lie that no contour names, on our own head: x, y in mm.
ELSEWHERE = {
    6: (0, 2), 168: (0, 8), 197: (0, -8), 195: (0, -18), 5: (0, -28), 9: (0, 22), 8: (0, 14),
    151: (0, 45), 10: (0, 80), 108: (-12, 45),
    337: (12, 45), 127: (-71, 0), 356: (71, 0), 162: (-68, 20), 389: (68, 20), 21: (-65, 35),
    251: (65, 35),
    18: (0, -88), 83: (-8, -87), 313: (8, -87), 200: (0, -96), 201: (-10, -95), 421: (10, -95),
    199: (0, -105), 208: (-12, -104), 428: (12, -104),  # noqa: E501
    171: (-12, -110), 396: (12, -110), 148: (-12, -113), 377: (12, -113), 50: (-48, -39),
    280: (48, -39), 101: (-33, -32), 330: (33, -32),
    205: (-39, -47), 425: (39, -47), 207: (-44, -56), 427: (44, -56), 187: (-53, -52),
    411: (53, -52), 216: (-35, -61), 436: (35, -61),
    206: (-30, -52), 426: (30, -52), 212: (-38, -72), 432: (38, -72), 202: (-33, -80),
    422: (33, -80), 214: (-46, -73), 434: (46, -73),
    129: (-20, -41), 358: (20, -41), 98: (-16, -47), 327: (16, -47), 49: (-18, -39), 279: (18, -39),
    164: (0, -52), 167: (-8, -52), 393: (8, -52),  # noqa: E501
}  # fmt: skip


def tracked(
    motion, known, noise_mm=0.25, facing=(0.05, 0.3, 0.0), proportions=(1.0, 1.0, 1.0), seed=0
):
    """The 478 landmarks [T, 478, 3] a tracker would give of a motion: our axes, another unit,
    turned, noisy."""
    layer = FlameLayer(HEAD, None, torch.float64)
    with torch.no_grad():
        moved = layer(
            *(torch.from_numpy(x.astype(np.float64)) for x in (motion.expression, motion.jaw))
        ).numpy()
    front = Front(HEAD, ("Brows",), without_eyes=True)
    points = np.full((motion.frames, table.POINTS, 3), 0.1)
    place = known.of(moved)
    for row, ids in enumerate(known.landmarks):
        points[:, list(ids)] = place[:, row, None]
    for landmark, (x, y) in ELSEWHERE.items():
        vertices, shares = front.spot(x / 1000, y / 1000)
        points[:, landmark] = (moved[:, vertices] * shares[:, None]).sum(1)
    for iris, joint in zip(table.IRISES, (EYE_RIGHT, EYE_LEFT)):
        points[:, iris] = HEAD.joints[joint] + Rotation.from_rotvec(motion.eyes).apply(
            [0, 0, 0.012]
        )
    rest = points[:1].copy()
    points = rest * proportions + (points - rest)
    points += np.random.default_rng(seed).normal(0, noise_mm / 1000, points.shape)
    turned = Rotation.from_rotvec(facing) * Rotation.from_rotvec(motion.head)
    return 11.0 * np.einsum("tcd,tkd->tkc", turned.as_matrix(), points) + (0.3, -0.2, 5.0)
