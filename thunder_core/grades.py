# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score of a motion with its parts and what is wrong with it, and its grade: good, to
be checked or poor; numpy only."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import numpy as np

from .findings import Finding

Verdict = StrEnum("Verdict", ["GOOD", "CHECK", "POOR"])
GOOD, CHECK, POOR = Verdict
# What a person who does not know the code is told of the parts of a score.
PARTS = {
    "opening": "opens with the voice",
    "width": "widens with the voice",
    "speed": "moves in time",
    "size": "size",
    "closures": "m, b, p",
    "bites": "f, v",
    "places": "no late or still places",
    "heard": "read off the lips",
}
# Weight of a finding that alone makes an animation poor, as one of the whole line does. Set on
# validation voices (`python -m research ranking`).
_POOR = 3.0


@dataclass(frozen=True)
class LipSyncScore:
    """Lip-sync of a motion with a sound.

    total: 0 … 100, on one scale for all sounds and weights: the sum of the parts (`engine.scorer`).
    per_frame: float32 [T], points of each frame; low where the lips disagree with the voice.
    parts: 0 … 1, by the names of PARTS.  findings: what a viewer would notice, most noticeable
    first.
    """

    total: float
    per_frame: np.ndarray = field(repr=False)
    parts: dict[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def grade(self) -> Verdict:
        """By what is found."""
        return grade(self.findings)

    def to_record(self) -> dict:
        """Parts, and findings as JSON, for the provenance of a take."""
        parts = {name: round(part, 3) for name, part in self.parts.items()}
        return {"parts": parts} | record_of(self.findings)


def record_of(findings: Sequence[Finding]) -> dict:
    """Findings as `findings_of` reads them."""
    return {"findings": json.dumps([asdict(each) for each in findings])}


def findings_of(record: Mapping) -> tuple[Finding, ...] | None:
    """The findings in what `LipSyncScore.to_record` gave; None if there are none in it."""
    try:
        return tuple(Finding(**values) for values in json.loads(record["findings"]))
    except (KeyError, TypeError, ValueError):
        return None


def grade(findings: Sequence[Finding]) -> Verdict:
    """The verdict on an animation, by what is found in it."""
    if any(each.whole or each.weight >= _POOR for each in findings):
        return POOR
    return CHECK if findings else GOOD
