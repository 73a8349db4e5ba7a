# SPDX-License-Identifier: GPL-3.0-or-later
"""Learns a character's manner (`thunder_core.manner`) from lines that an animator corrected: what
each departs from its take by, as a robust (Huber), regularised (ridge) regression on the sounds
that are said; numpy only.

A line that nobody touched and one repaired frame are outliers, which weigh little; a departure that
few lines show, or that nobody would see, is left out; little data is drawn towards no change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadRequest
from ..face.moving.mouth_shape import MouthShape
from ..manner import BLINKS, Change, EVERYWHERE, KINDS, LEAST_LINES, Manner, MOUTH, SIZES, SMILE
from ..types import Motion
from .manner_step import blinks_of, measure_mouth, smile_columns

CONTACTS = "M B P", "F V"  # where lips meet each other or the teeth, whatever a manner is
_IN_CONTACT = "width", SMILE  # what is free there
_HUBER = 1.345  # residuals beyond so many deviations weigh less (Huber 1964)
_ROUNDS = 20  # of weighing again
_LEAST_SCALE = 0.12  # least deviation of residuals, in spreads of the curve
_PRIOR = 1.0  # frames of “no change” that each term begins with, at a weight of 1
_KIND_PRIOR = 2.0  # the same of a kind of sound, times that: what all sounds share is found first
_LEAST_EFFECT = 0.12  # of its spread: departures below are not seen
# nor these, which are less than a commit changes: millimetres, and values of a smile's channel
_LEAST_MM, _LEAST_SMILE = 0.2, 0.03
_LEAST_FRAMES = 4.0  # of a kind, below which nothing is said of it
_SHOWS = 0.4  # share of a departure from which a line shows it
_LEAST_SHARE = 0.5  # of the lines that have the sound: those that must show it
_LEAST_SIZE = 0.08  # a size that differs from 1 by less is 1
_MOST_SIZE = 3.0
_SMILE_SPREAD = 0.12  # usual deviation of a smile's channel, where the take has none
_BLINKS_PRIOR = 1.0  # blinks that a line is thought to have kept


@dataclass(frozen=True, eq=False)
class CorrectedLine:
    """A line as it was sampled, and as the animator left it; of the same frames and channels.

    weights: of `manner_step.weigh_kinds`.
    """

    take: Motion
    edited: Motion
    weights: Mapping[str, np.ndarray]


def learn(
    lines: Sequence[CorrectedLine], channels: Sequence[str], mouth: MouthShape
) -> Manner:  # fmt: skip
    """The manner that lines of one character show. Raises BadRequest for fewer than LEAST_LINES."""
    if len(lines) < LEAST_LINES:
        raise BadRequest(
            f"A manner is learned from {LEAST_LINES} corrected lines or more: commit and correct "
            f"another line first"
        )
    smiles = smile_columns(channels)
    before, after = (
        [measure_mouth(mouth, motion.expression, motion.jaw) for motion in motions]
        for motions in ([line.take for line in lines], [line.edited for line in lines])
    )
    weights = [line.weights for line in lines]
    changes: list[Change] = []
    for row, what in enumerate(MOUTH):
        was, now = ([x[:, row] for x in each] for each in (before, after))
        changes += _departures(what, was, now, weights)
    smiles_before, smiles_after = (
        [motion.expression[:, smiles].mean(1).astype(float) for motion in motions]
        for motions in ([line.take for line in lines], [line.edited for line in lines])
    )
    changes += _departures(SMILE, smiles_before, smiles_after, weights, _SMILE_SPREAD)
    for what in SIZES:
        curves = [[_curves(what, getattr(line, which), channels) for line in lines]
                  for which in ("take", "edited")]  # fmt: skip
        changes += _size(what, *curves)
    changes += _blink_rate(lines, channels)
    return Manner(tuple(changes), len(lines))


def _fit(wanted: np.ndarray, columns: np.ndarray, prior: np.ndarray, least: float) -> np.ndarray:
    """Coefficients [k] of columns [N, k] that meet `wanted` [N]: Huber's loss by weighing again,
    ridge `prior` [k]; least: smallest deviation of residuals."""
    weights, found = np.ones(len(wanted)), np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        weighted = weights[:, None] * columns
        found = np.linalg.solve(columns.T @ weighted + np.diag(prior), weighted.T @ wanted)
        left = np.abs(wanted - columns @ found)
        scale = max(least, 1.4826 * float(np.median(left)))
        weights = np.minimum(1.0, _HUBER * scale / np.maximum(left, 1e-9))
    return found


def _departures(
    what: str, before: list[np.ndarray], after: list[np.ndarray],
    weights: Sequence[Mapping[str, np.ndarray]], usual_spread: float = 0.0,
) -> list[Change]:  # fmt: skip
    """The departures of one curve, [T] of each line before and after: a size everywhere, and an
    offset and a size for each kind of sound."""
    x, y = np.concatenate(before), np.concatenate(after)
    spread = max(float(x.std()), usual_spread, 1e-3)
    least = max(_LEAST_EFFECT * spread, _LEAST_SMILE if what == SMILE else _LEAST_MM)
    each = {kind: np.concatenate([line[kind] for line in weights]) for kind in KINDS}
    terms: dict[tuple[str, str], np.ndarray] = {(EVERYWHERE, "size"): x}
    for kind, weight in each.items():
        if (weight**2).sum() >= _LEAST_FRAMES and (kind not in CONTACTS or what in _IN_CONTACT):
            terms |= {(kind, "offset"): weight * spread, (kind, "size"): weight * x}
    kept = set(terms)
    found: dict[tuple[str, str], float] = {}
    for _ in range(len(KINDS) + 2):  # leave out what is not seen, the weakest first
        names = [name for name in terms if name in kept]
        if not names:
            return []
        columns = np.stack([terms[name] for name in names], 1)
        prior = np.array(
            [spread**2 * _PRIOR * (1.0 if kind == EVERYWHERE else _KIND_PRIOR) for kind, _ in names]
        )
        found = dict(zip(names, _fit(y - x, columns, prior, _LEAST_SCALE * spread)))
        effects: dict[str, np.ndarray] = {
            where: sum(
                (found[name] * terms[name] for name in names if name[0] == where), np.zeros(())
            )
            for where in {name[0] for name in names}
        }
        weak = {
            where: strength
            for where, effect in effects.items()
            if (strength := _strength(where, effect, each)) < least
            or 2 * len(_shown(where, effect, effects, x, y, before, each)[0])
            < 2 * _LEAST_SHARE * _shown(where, effect, effects, x, y, before, each)[1]
        }
        if not weak:
            break
        weakest = min(weak, key=lambda where: weak[where])
        kept -= {name for name in kept if name[0] == weakest}
    changes = []
    for where in (EVERYWHERE, *KINDS):
        if (where, "size") not in kept:
            continue
        effect = sum((found[name] * terms[name] for name in kept if name[0] == where), np.zeros(()))
        lines = _shown(where, effect, effects, x, y, before, each)[0]
        weight = each.get(where, np.ones(len(x)))
        mean = float((effect * weight).sum() / max((weight**2).sum(), 1e-9))
        changes.append(
            Change(
                what, where, float(found.get((where, "offset"), 0.0) * spread),
                float(np.clip(1 + found[where, "size"], 0.0, _MOST_SIZE)),
                0.0 if where == EVERYWHERE else mean, len(lines),
            )
        )  # fmt: skip
    return changes


def _strength(where: str, effect: np.ndarray, each: Mapping[str, np.ndarray]) -> float:
    """How far a departure goes where it is: its root mean square over the frames of its kind."""
    weight = each[where] if where in each else np.ones(len(effect))
    return float(np.sqrt((effect**2).sum() / max((weight**2).sum(), 1e-9)))


def _shown(
    where: str, effect: np.ndarray, effects: Mapping[str, np.ndarray], x: np.ndarray,
    y: np.ndarray, before: list[np.ndarray], each: Mapping[str, np.ndarray],
) -> tuple[list[int], int]:  # fmt: skip
    """Which lines show a departure, beside the others, and how many have its sound."""
    rest = (y - x) - (sum(effects.values()) - effect)
    ends = np.cumsum([len(line) for line in before])
    shown, present = [], 0
    for number, (first, end) in enumerate(zip([0, *ends[:-1]], ends)):
        part = slice(first, end)
        if where in each and (each[where][part] ** 2).sum() < 1.0:
            continue
        present += 1
        power = float((effect[part] ** 2).sum())
        if power > 0 and float((effect[part] * rest[part]).sum()) >= _SHOWS * power:
            shown.append(number)
    return shown, present


def _curves(what: str, motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """The curves whose size is learned, [T, k] about their line's mean; brows about rest."""
    head, eyes = motion.turns
    if what == "brows":
        columns = [i for i, name in enumerate(channels) if name.startswith("brow")]
        return motion.expression[:, columns].astype(float)
    values = (head if what == "head" else eyes + head).astype(float)
    return values - values.mean(0)


def _size(what: str, before: list[np.ndarray], after: list[np.ndarray]) -> list[Change]:
    """How many times as far curves go, [T, k] of each line."""
    x, y = np.concatenate(before).ravel(), np.concatenate(after).ravel()
    spread = float(x.std())
    if spread < 1e-5:
        return []
    (change,) = _fit(y - x, x[:, None], np.array([_PRIOR * spread**2]), _LEAST_SCALE * spread)
    if abs(change) < _LEAST_SIZE:
        return []
    lines = sum(
        float(((b - a) * a * change).sum()) >= _SHOWS * float((a**2).sum()) * change**2
        for a, b in zip(before, after)
    )
    if lines < _LEAST_SHARE * len(before):
        return []
    return [Change(what, size=float(np.clip(1 + change, 0.0, _MOST_SIZE)), lines=int(lines))]


def _blink_rate(lines: Sequence[CorrectedLine], channels: Sequence[str]) -> list[Change]:
    """How many times as often eyes blink."""
    lids = [i for i, name in enumerate(channels) if name.startswith("eyeBlink")]
    before, after = (
        np.array([len(blinks_of(getattr(line, which).expression[:, lids])) for line in lines])
        for which in ("take", "edited")
    )
    rate = (after.sum() + _BLINKS_PRIOR) / (before.sum() + _BLINKS_PRIOR)
    shown = int((np.sign(after - before) == np.sign(rate - 1)).sum())
    if abs(rate - 1) < 2 * _LEAST_SIZE or shown < _LEAST_SHARE * (before + after > 1).sum():
        return []
    return [Change(BLINKS, size=float(np.clip(rate, 0.0, _MOST_SIZE)), lines=shown)]
