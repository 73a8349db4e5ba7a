# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up performance that speaks: every channel moves, lips close at known frames over an open
jaw."""

import numpy as np

from thunder_core.face.head import load_head
from thunder_core.face.moving import lips
from thunder_core.types import Motion


def channels():
    """The channels of the bundled head."""
    return load_head().expression_names


def spoken(seconds=4.0, fps=25.0, seed=0, closed=(0.6, 1.3, 1.5, 2.4, 3.3), rest=0.4):
    """A motion of the bundled head, its mouth at rest for `rest` seconds at either end, and its
    closures' frames."""
    rng = np.random.default_rng(seed)
    names, count = channels(), round(seconds * fps)
    time = np.arange(count) / fps
    alive = np.clip(np.minimum(time - rest, seconds - rest - time) / 0.15, 0, 1)

    def wave(slow, fast):
        rate, phase = rng.uniform(slow, fast), rng.uniform(0, 6.28)
        return 0.5 + 0.5 * np.sin(6.28 * rate * time + phase)

    expression = np.zeros((count, len(names)))
    for column, name in enumerate(names):
        if name.startswith("mouth") and name != "mouthClose" or name.startswith("tongue"):
            expression[:, column] = 0.5 * wave(1, 4) ** 2 * alive * (rng.random() < 0.7)
        elif name.startswith(("brow", "cheek", "nose", "eye")):
            expression[:, column] = 0.5 * wave(0.2, 1)
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        expression[:, names.index(name)] = np.maximum(0, 1 - np.abs(time - 1.0) / 0.1)
    jaw = np.zeros((count, 3))
    jaw[:, 0] = (0.06 + 0.2 * wave(2, 4)) * alive
    jaw[:, 1] = 0.01 * wave(1, 2) * alive
    head = 0.1 * np.stack([wave(0.2, 0.6) for _ in range(3)], 1) - 0.05
    eyes = 0.1 * np.stack([wave(0.2, 0.6) for _ in range(3)], 1) - 0.05
    motion = Motion(expression, jaw, head, eyes, fps)
    for at in closed:
        if at < seconds - rest:
            motion, _ = lips.close(motion, names, at * fps)
    return motion, [round(at * fps) for at in closed if at < seconds - rest]
