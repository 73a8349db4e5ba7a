# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the mouth of a tracked face: six signals of its landmarks, and the channels of the bundled
head that look so to the tracker.

A tracker bends what it sees: with an open jaw the upper lip seems to rise, a chin goes two thirds
of its way, a rounded mouth narrows by half. So landmarks are read by what the tracker made of our
own heads, filmed with known channels (`python -m research.faces.slopes DATA`), not by their shape;
what looks alike is shared as the channels of takes go together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...face.head import load_head
from ...face.moving.mouth_shape import bundled_mouth, descend, OPENING
from .spots import CHIN, CORNERS, INNER_LIPS

TABLE = Path(__file__).with_name("slopes.json")
JAW = "jaw"  # the last column of the slopes
JAW_UNIT = 0.1  # radians of the jaw by which a slope is
_JAW_MOST = 0.35  # radians
_CHIN = (*CHIN, 199)  # landmarks
_DESCENTS = 3  # one after the other: channels that go together are found slowly
_PARTED = 0.4  # deviation of the lips' own opening from that which is seen, mm
_STEP, _USUAL_JAW = 0.3, 0.06  # of a channel, and radians, about which the opening's slopes are


def mouth_signals(points: np.ndarray) -> np.ndarray:
    """`mouth_shape.SIGNALS` [T, 6] of still landmarks [T, 478, 3], as tracked, not above rest."""
    upper, lower = (points[:, landmark, 1] for landmark in INNER_LIPS)
    right, left = (points[:, landmark] for landmark in CORNERS)
    across = np.linalg.norm((left - right)[:, :2], axis=1)
    chin = points[:, list(_CHIN), 1].mean(1)
    return np.stack([upper - lower, across, upper, chin, left[:, 1], right[:, 1]], 1)


@dataclass(frozen=True)
class TrackedMouth:
    """How the tracker shows the bundled head's mouth.

    channels [k, n]: which of the head's move together.  slopes [6, k + 1]: tracked millimetres by a
    unit of each, and by JAW_UNIT of the jaw.  missed [6, 6]: covariance of what they miss of films,
    mm².  usual [k + 1, k + 1]: second moments of channels and jaw before anything is seen of them,
    which share one look among the channels that make it.  opens [k + 1]: by how many millimetres a
    unit of each parts the head's own lips.
    """

    channels: np.ndarray
    slopes: np.ndarray
    missed: np.ndarray
    usual: np.ndarray
    opens: np.ndarray

    def read(self, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(expression [T, n], jaw [T, 3]) that is likeliest where the tracker shows signals [T, 6]
        above rest, mm: none below 0."""
        weighted = np.linalg.solve(self.missed, self.slopes)
        gram = self.slopes.T @ weighted + np.linalg.inv(self.usual)
        # lips part as far as they are seen to, so that those that are seen shut are shut
        gram += np.outer(self.opens, self.opens) / _PARTED**2
        pull = signals @ weighted + np.maximum(signals[:, :1], 0.0) * self.opens / _PARTED**2
        most = np.append(np.ones(len(self.channels)), _JAW_MOST / JAW_UNIT)
        found = np.zeros((len(signals), len(most)))
        for _ in range(_DESCENTS):
            found = descend(gram, pull, 0 * most, 0 * most, most, found)
        jaw = np.zeros((len(signals), 3))
        jaw[:, 0] = JAW_UNIT * found[:, -1]
        return found[:, :-1] @ self.channels, jaw

    def straighten(self, signals: np.ndarray) -> np.ndarray:
        """Signals [T, 6] above rest as the head's own, mm, that the tracker shows as these."""
        return bundled_mouth().measure(*self.read(signals))


def columns_of(name: str, names: tuple[str, ...]) -> np.ndarray:
    """Which of a head's channels a name moves, bool [n]: itself, or its sides."""
    return np.array([each in (name, f"{name}Left", f"{name}Right") for each in names])


def of_table(table: dict) -> TrackedMouth:
    """The mouth that the slopes of a table tell: "channels", names; "slopes", "missed", "usual"."""
    names = table["channels"]
    moved = np.array([columns_of(name, load_head().expression_names) for name in names], float)
    x = np.concatenate([_STEP * moved, np.zeros((2, moved.shape[1]))])
    jaw = np.full((len(x), 3), [_USUAL_JAW, 0.0, 0.0])
    jaw[-1, 0] += JAW_UNIT
    opening = bundled_mouth().measure(x, jaw)[:, OPENING]
    opens = np.append((opening[:-2] - opening[-2]) / _STEP, opening[-1] - opening[-2])
    slopes, missed, usual = (np.array(table[name]) for name in ("slopes", "missed", "usual"))
    return TrackedMouth(moved, slopes, missed, usual, opens)


@lru_cache(maxsize=1)
def tracked_mouth() -> TrackedMouth:
    """The bundled head's."""
    return of_table(json.loads(TABLE.read_text(encoding="utf-8")))
