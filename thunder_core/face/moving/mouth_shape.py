# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the channel values and the jaw angle that give a head's mouth a measured shape: opening,
width, and heights of upper lip, chin and both corners; numpy only.

People's own mouths, solved so, follow what was measured with r of .98 and more, and are hardly told
from it (`python -m research people_or_take`).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ...rotation import rotvec_to_matrix
from ..head import Head, JAW, load_head
from ..points import SkinnedPoints

# What is measured of a mouth, millimetres beyond rest; the corners' heights last.
SIGNALS = ("opening", "width", "upper lip", "chin", "left corner", "right corner")
OPENING, WIDTH, UPPER_LIP, CHIN, CORNERS = 0, 1, 2, 3, slice(4, 6)
# how much a squared millimetre of each weighs
_WEIGHTS = np.array([3.0, 1.5, 2.0, 1.0, 1.5, 1.5])
# Channels that make the shape, and the price of a unit of each, in squared millimetres: shut lips
# are made by jaw and lower lip as far as they can, spread ones by stretching, corners sink with the
# jaw rather than frown, and a lower lip goes down with the jaw rather than bare the teeth: people's
# mouths are met as well at 6 as at 2, with a third less of their lower teeth seen.
# A name without its side moves both: only corners differ from side to side.
_PRICES = {
    "mouthClose": 2.0, "mouthFunnel": 1.5, "mouthPucker": 1.0,
    "mouthShrugLower": 1.0, "mouthShrugUpper": 1.0, "mouthLowerDown": 6.0, "mouthUpperUp": 2.0,
    **{f"{name}{side}": price for side in ("Left", "Right") for name, price in (
        ("mouthFrown", 8.0), ("mouthSmile", 1.0), ("mouthStretch", 0.7))},
}  # fmt: skip
_WIDEN = ("mouthStretch", "mouthPucker", "mouthFunnel")
_JAW_UNIT, _JAW_PRICE, _JAW_MOST = 0.1, 0.5, 0.35  # radians; price of a unit; radians
_RIDGE = 0.3  # price of a squared unit of each, so that two that do the same share
_USUAL_JAW = 0.08  # angle at which slopes are measured, radians
_STEP = 0.5  # of a channel, where its slope is measured
_SWEEPS, _ROUNDS = 40, 2  # of coordinate descent; of correcting what is not linear
# the front of the chin: millimetres below the lips' middle, and beside the midline
_CHIN_BELOW, _CHIN_BESIDE = (26.0, 37.0), 1.0


def descend(
    gram: np.ndarray, pull: np.ndarray, prices: np.ndarray, low: np.ndarray, high: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The x [T, k] from `low` to `high` of least x·G·x / 2 − pull·x + prices·|x|, by coordinate
    descent from a start."""
    x = start.copy()
    for _ in range(_SWEEPS):
        for place, own in enumerate(gram.diagonal()):
            alone = pull[:, place] - x @ gram[:, place] + own * x[:, place]
            paid = np.sign(alone) * np.maximum(np.abs(alone) - prices[place], 0.0)
            x[:, place] = np.clip(paid / own, low[..., place], high[..., place])
    return x


@dataclass(frozen=True)
class MouthShape:
    """The mouth of a head in our layout.

    points: middles of upper and lower inner lip, left and right corner, and the chin's front.
    names: the head's channels.
    """

    points: SkinnedPoints
    names: tuple[str, ...]

    @classmethod
    def of(cls, head: Head) -> "MouthShape":
        """The mouth of a head whose lips and corners are known."""
        v = 1e3 * head.v_template.astype(np.float64)
        below = v[head.inner_lip_lower_mid, 1] - v[:, 1]
        chin = np.flatnonzero(
            (np.abs(v[:, 0]) < _CHIN_BESIDE)
            & (below > _CHIN_BELOW[0])
            & (below < _CHIN_BELOW[1])
            & (head.weights[:, JAW] > 0.95)
        )
        chin = chin[v[chin, 2] > v[chin, 2].max() - 3.0]
        ids = [
            head.inner_lip_upper_mid, head.inner_lip_lower_mid, head.mouth_corner_left,
            head.mouth_corner_right, *chin,
        ]  # fmt: skip
        return cls(SkinnedPoints.of(head, ids), head.expression_names)

    def measure(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """SIGNALS float64 [T, 6] of expression [T, n] and jaw [T, 3]."""
        placed = self.points.place(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))
        moved = 1e3 * (placed - self.points.rest)
        upper, lower, left, right = (moved[:, place] for place in range(4))
        return np.stack(
            [
                upper[:, 1] - lower[:, 1], left[:, 0] - right[:, 0], upper[:, 1],
                moved[:, 4:, 1].mean(1), left[:, 1], right[:, 1],
            ], 1,
        )  # fmt: skip

    @cached_property
    def _slopes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channels [k, n] that the names in _PRICES move, those that the head has; slopes [6, k +
        1] of SIGNALS by each and by _JAW_UNIT of the jaw; and prices [k + 1]."""
        moved = {
            name: [name in (each, each.removesuffix("Left"), each.removesuffix("Right"))
                   for each in self.names]
            for name in _PRICES
        }  # fmt: skip
        used = [name for name, columns in moved.items() if any(columns)]
        channels = np.array([moved[name] for name in used], float)
        x = np.concatenate([_STEP * channels, np.zeros((3, len(self.names)))])
        jaw = np.zeros((len(x), 3))
        jaw[:, 0] = _USUAL_JAW
        jaw[-2:, 0] += np.array([-0.5, 0.5]) * _JAW_UNIT
        shapes = self.measure(x, jaw)
        slopes = [*(shapes[:-3] - shapes[-3]) / _STEP, shapes[-1] - shapes[-2]]
        prices = np.array([*(_PRICES[name] for name in used), _JAW_PRICE])
        return channels, np.array(slopes).T, prices

    def solve(
        self, signals: np.ndarray, start: tuple[np.ndarray, np.ndarray] | None = None,
        fixed: tuple[str, ...] = _WIDEN,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """(expression [T, n], jaw [T, 3]) of a mouth with SIGNALS [T, 6]: of all values within 0 …
        1 those that miss them least, and among these the nearest to a start, whose channels that
        begin with `fixed`, usually its width, or the jaw, stay as they are; without one the
        smallest."""
        channels, slopes, prices = self._slopes
        weighted = _WEIGHTS[:, None] * slopes
        gram = slopes.T @ weighted + _RIDGE * np.eye(len(prices))
        most = np.array([1.0] * len(channels) + [_JAW_MOST / _JAW_UNIT])
        free = np.ones(len(prices), bool)
        if start is None:
            start = np.zeros((len(signals), len(self.names))), np.zeros((len(signals), 3))
        else:
            held = np.array([name.startswith(fixed) for name in self.names])
            free[:-1] = [not held[each].any() for each in channels.astype(bool)]
            free[-1] = "jaw" not in fixed
        rest, turn = start
        first = np.concatenate(
            [rest @ channels.T / channels.sum(1), turn[:, :1] / _JAW_UNIT], axis=1
        )
        low, high = np.where(free, -first, 0.0), np.where(free, most - first, 0.0)
        expression, jaw = rest, turn.copy()
        wanted, changes = signals - self.measure(rest, turn), np.zeros_like(first)
        for _ in range(_ROUNDS):
            changes = descend(gram, wanted @ weighted, prices / 2, low, high, changes)
            expression = rest + changes[:, :-1] @ channels
            jaw[:, 0] = turn[:, 0] + _JAW_UNIT * changes[:, -1]
            wanted = wanted + (signals - self.measure(expression, jaw))
        return np.clip(expression, 0.0, 1.0), jaw


@lru_cache(maxsize=1)
def bundled_mouth() -> MouthShape:
    """The mouth of the bundled head."""
    return MouthShape.of(load_head())
