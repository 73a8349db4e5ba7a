# SPDX-License-Identifier: GPL-3.0-or-later
"""Random models in FLAME's own file layout, for tests that need a FLAME file without having
FLAME."""

import numpy as np
import pytest

JOINTS = [[0, -0.17, -0.03], [0, -0.1, -0.03], [0, -0.02, 0], [0.032, 0, 0.06], [-0.032, 0, 0.06]]


def random_flame(seed=0, vertices=60, expression=12, identity=300):
    """The dictionary a FLAME .pkl holds: every array random, skinning and regressor rows summing to
    1."""
    rng = np.random.default_rng(seed)
    regressor = rng.random((5, vertices)) * (rng.random((5, vertices)) < 0.3)
    regressor[:, :1] += 0.1
    weights = rng.random((vertices, 5)) ** 4
    faces = np.sort(np.argsort(rng.random((90, vertices)), axis=1)[:, :3], axis=1)
    # five vertices carry the joints, which must lie as in a face
    template = rng.normal(0, 0.1, (vertices, 3))
    template[:5] = JOINTS
    regressor = 0.05 * regressor / regressor.sum(1, keepdims=True)
    regressor[:, :5] += np.eye(5)
    return {
        "v_template": template,
        "shapedirs": rng.normal(0, 0.01, (vertices, 3, identity + expression)),
        "posedirs": rng.normal(0, 0.01, (vertices, 3, 36)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "f": faces.astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


@pytest.fixture(scope="session")
def flame_file():
    """random_flame itself, so that each test makes the model it wants."""
    return random_flame


@pytest.fixture(scope="session")
def bundled():
    """The arrays of the bundled head by name."""
    from thunder_core.face.head import HEAD_FILE

    with np.load(HEAD_FILE) as asset:
        return {name: asset[name] for name in asset.files}
