# SPDX-License-Identifier: GPL-3.0-or-later
"""Performs a character's manner (`thunder_core.manner`) on a sampled motion: its mouth before lips,
teeth and tongue meet, the rest of its face behind everything else; numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..animation.traits import run_starts
from ..face.moving.mouth_shape import CHIN, MouthShape
from ..filters import widen
from ..manner import BLINKS, EVERYWHERE, KINDS, Manner, MOUTH, PAUSES, PHRASE_ENDS, SMILE
from ..spoken import CLASSES, PHONES
from ..types import FPS
from .speech.encoder import LOUDNESS
from .voice import VoiceFeatures

# frames by which a mouth begins before its sound, and deviation of its edges
_REACH, _EASE = 1, 1.0
# seconds before and behind the end of a phrase that belong to it, and deviation of the edges
_ENDS, _ENDS_EASE = (0.3, 0.5), 0.1
_USUAL_JAW = 0.1  # radians
_LEAST_MM = 1e-3  # a change below this is none
_BROWS = ("browInnerUp", "browOuterUp", "browDown")
_SHUT = 0.5  # value of eyeBlink above which a blink counts
_PART = 0.1  # value of eyeBlink below which lids are open beside a blink


def weigh_kinds(voice: VoiceFeatures) -> dict[str, np.ndarray]:
    """How much each frame is of each of KINDS, {kind: [T] 0 … 1}, together at most 1 but for
    phrase ends."""
    said = voice.phones[:, :-LOUDNESS].argmax(1)
    quiet = np.clip(voice.quiet, 0.0, 1.0)
    weights = {
        kind: (1 - quiet)
        * widen(
            np.isin(said, [PHONES.index(phone) for phone in phones.split()]).astype(float),
            _REACH, _EASE,
        )
        for kind, phones in CLASSES.items()
    }  # fmt: skip
    total = np.maximum(sum(weights.values()), 1.0)
    weights = {kind: each / total for kind, each in weights.items()} | {PAUSES: quiet}
    ends, (before, after) = np.zeros(voice.frames), _ENDS
    for _, end in voice.phrasing.phrases:
        ends[max(0, round(end - FPS * before)) : round(end + FPS * after)] = 1.0
    return weights | {PHRASE_ENDS: widen(ends, 0, FPS * _ENDS_EASE)}


def change_by(
    manner: Manner, what: str, values: np.ndarray, weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """What a manner adds to a curve [T]. weights: of `weigh_kinds`."""
    change = np.zeros(len(values))
    for where in (EVERYWHERE, *KINDS):
        row = manner.of(what, where)
        if row.offset or row.size != 1:
            change += weights.get(where, 1.0) * (row.offset + (row.size - 1) * values)
    return change


def smile_columns(channels: Sequence[str]) -> list[int]:
    """The places of the smile among channels."""
    return [i for i, name in enumerate(channels) if name.startswith("mouthSmile")]


def measure_mouth(mouth: MouthShape, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """MOUTH float64 [T, 6] of expression [T, n] and jaw [T, 3]: of lips without a smile and with a
    still jaw, which has its own curve, so that neither is taken for the other."""
    lips = np.array(expression, np.float64)
    lips[:, smile_columns(mouth.names)] = 0.0
    signals = mouth.measure(lips, np.zeros((len(lips), 3)))
    signals[:, CHIN] = _chin_mm(mouth) * jaw[:, 0]
    return signals


def _chin_mm(mouth: MouthShape) -> float:
    """How far a radian of the jaw takes the chin down, millimetres."""
    still, turned = np.zeros((1, len(mouth.names))), np.array([[_USUAL_JAW, 0.0, 0.0]])
    return float(-mouth.measure(still, turned)[0, CHIN] / _USUAL_JAW)


def change_mouth(
    manner: Manner, mouth: MouthShape, expression: np.ndarray, jaw: np.ndarray,
    weights: Mapping[str, np.ndarray], strength: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Expression [T, n] and jaw [T, 3] of a mouth in a character's manner. strength: [T] or one,
    0 … 1."""
    smiles = smile_columns(mouth.names)
    x, turn = np.array(expression, np.float64), np.array(jaw, np.float64)
    strength = np.broadcast_to(np.asarray(strength, float), (len(x),))
    signals = measure_mouth(mouth, x, turn)
    change = strength[:, None] * np.stack(
        [change_by(manner, what, signals[:, row], weights) for row, what in enumerate(MOUTH)], 1
    )
    turn[:, 0] = np.maximum(turn[:, 0] + change[:, CHIN] / _chin_mm(mouth), 0.0)
    change[:, CHIN] = 0.0
    rows = np.flatnonzero(np.abs(change).max(1) > _LEAST_MM)
    if len(rows):
        still, lips = np.zeros((len(rows), 3)), x[rows]
        lips[:, smiles] = 0.0
        wanted = mouth.measure(lips, still) + change[rows]
        lips, _ = mouth.solve(wanted, (lips, still), fixed=("mouthSmile", "jaw"))
        lips[:, smiles] = x[rows][:, smiles]
        x[rows] = lips
    before = x[:, smiles].mean(1)
    added = strength * change_by(manner, SMILE, before, weights)
    x[:, smiles] = np.clip(x[:, smiles] + added[:, None], 0.0, 1.0)
    return x, turn


def change_face(
    manner: Manner, channels: Sequence[str], expression: np.ndarray, head: np.ndarray,
    eyes: np.ndarray, strength: np.ndarray | float = 1.0, seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Expression [T, n] with a character's brows and blinks, and its head and eyes, rotation
    vectors [T, 3]: what the head no longer turns, the eyes do not undo. seed: of the take."""
    x = np.array(expression, np.float64)
    strength = np.broadcast_to(np.asarray(strength, float), (len(x),))
    brows = [i for i, name in enumerate(channels) if name.startswith(_BROWS)]
    size = 1 + strength * (manner.of("brows").size - 1)
    x[:, brows] = np.clip(x[:, brows] * size[:, None], 0.0, 1.0)
    rate = 1 + float(strength.mean()) * (manner.of(BLINKS).size - 1)
    if rate != 1:
        lids = [i for i, name in enumerate(channels) if name.startswith("eyeBlink")]
        x[:, lids] = change_blinks(x[:, lids], rate, seed)
    gaze = _resize(eyes + head, manner.of("gaze").size, strength)
    turned = _resize(head, manner.of("head").size, strength)
    return x, turned, gaze - turned


def _resize(values: np.ndarray, size: float, strength: np.ndarray) -> np.ndarray:
    """Curves [T, 3] that go `size` times as far from their mean."""
    return values + (strength * (size - 1))[:, None] * (values - values.mean(0))


def blinks_of(lids: np.ndarray) -> list[tuple[int, int]]:
    """First frame of each blink in lids [T, 2], and the first behind it, from open to open."""
    closed = lids.mean(1)
    spans = []
    for start in run_starts(closed > _SHUT):
        first = start
        while first > 0 and closed[first - 1] < closed[first] and closed[first] > _PART:
            first -= 1
        last = start
        while last + 1 < len(closed) and closed[last + 1] > _SHUT:
            last += 1
        while last + 1 < len(closed) and closed[last + 1] < closed[last] and closed[last] > _PART:
            last += 1
        spans.append((int(first), int(last) + 1))
    return spans


def change_blinks(lids: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """Lids [T, 2] that blink `rate` times as often: blinks are left out evenly, or copied into the
    longest times without one. seed: rounds part of a blink up or down, so that many takes have the
    rate."""
    spans, result = blinks_of(lids), lids.copy()
    if not spans:
        return result
    part = float(np.random.default_rng([seed, len(spans), len(lids)]).random())
    whole = int(np.floor(rate * len(spans) + part))
    if whole < len(spans):
        kept = {int((place + 0.5) * len(spans) / whole) for place in range(whole)}
        for number, (first, end) in enumerate(spans):
            if number not in kept:
                ease = np.linspace(0, 1, end - first)[:, None]
                result[first:end] = (1 - ease) * lids[first] + ease * lids[end - 1]
        return result
    middles = [(first + end) / 2 for first, end in spans]
    for _ in range(whole - len(spans)):
        at = sorted([0.0, *middles, float(len(lids))])
        gap = int(np.argmax(np.diff(at)))
        middle = (at[gap] + at[gap + 1]) / 2
        source = spans[len(middles) % len(spans)]
        length = source[1] - source[0]
        first = int(middle - length / 2)
        if at[gap + 1] - at[gap] < 3 * length or first < 0 or first + length > len(lids):
            break
        place = slice(first, first + length)
        result[place] = np.maximum(result[place], lids[slice(*source)])
        middles.append(middle)
    return result
