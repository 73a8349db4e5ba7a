# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher's upper face: lids, brows, gaze and head while somebody speaks, listens or is silent."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..direction import Direction
from ..types import FPS
from .teacher_timing import accents, pulse, wander

BLINK_EVERY = 3.5  # s


def upper_face(
    heard: np.ndarray, alive: np.ndarray, direction: Direction, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """({channel: [T]}, head [T, 3], eyes [T, 3]) of loudness [T, 2] and how much the face speaks [T].

    A channel without a side stands for both. Rotation vectors in radians.
    """
    frames, style = len(heard), direction.played
    nod, brow = min(1.5, 0.5 * style.head), min(1.5, 0.5 * style.brows)
    every = BLINK_EVERY / style.eyes

    blink = np.zeros(frames)
    time = rng.uniform(0.3, every)
    pauses = alive < 0.5
    while time < frames / FPS:
        blink += np.clip(pulse(frames, time, 0.09, 0.2) * rng.uniform(0.92, 1.0), 0, 1)
        time += max(0.5, rng.gamma(3.0, every / 3.0)) * (0.7 if pauses[min(frames - 1, int(time * FPS))] else 1.0)
    marked = [(i / FPS, float(rng.uniform(0.3, 1.0))) for i in accents(heard, alive) if rng.random() < 0.6]
    raised = sum((w * pulse(frames, t, 0.18, 0.35) for t, w in marked), np.zeros(frames)) * brow * 0.6
    drift = 0.06 * wander(frames, rng, 0.15) * brow
    frown = max(0.0, 0.4 * style.frown)
    channels = {
        "eyeBlink": np.clip(blink, 0, 1),
        "browInnerUp": np.clip(raised + drift, 0, 1),
        "browOuterUp": np.clip(0.7 * raised + 0.5 * drift, 0, 1),
        "browDown": np.clip(frown + 0.05 * wander(frames, rng, 0.2), 0, 0.6),
        "eyeWide": 0.25 * np.clip(raised, 0, 1),
        "eyeSquint": np.full(frames, 0.3 * max(0.0, style.smile) + 0.15 * frown),
    }

    head = np.stack([wander(frames, rng, f) * a for f, a in ((0.35, 0.030), (0.25, 0.050), (0.3, 0.040))], 1)
    head *= (0.25 + 0.75 * alive)[:, None] * (0.4 + nod)
    head[:, 0] += sum((w * pulse(frames, t + 0.04, 0.16, 0.3) for t, w in marked), np.zeros(frames)) * 0.05 * nod

    gaze = np.zeros((frames, 3))
    look, time = np.zeros(2), 0.0
    while time < frames / FPS:
        gaze[int(time * FPS) :, :2] = look
        time += rng.gamma(2.0, 0.55 / style.eyes) + 0.2
        away = rng.random() < 0.2
        look = rng.normal(0, (0.03, 0.05)) * (2.0 if away else 0.6)
    eyes = gaussian_filter1d(gaze, 0.55, axis=0) - 0.7 * head  # the eyes stay on their target while the head moves
    eyes[:, 2] = 0
    return channels, head, eyes
