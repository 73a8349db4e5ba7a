# SPDX-License-Identifier: GPL-3.0-or-later
"""Says of one frame of a take what the model sampled there, what each step after sampling changed, and for which event; numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..channels import BROWS, in_group, TURNS
from ..steps import Change, Trace
from ..types import FPS

_LEAST = {"channel": 0.01, "degrees": 0.3, "mm": 0.1}  # smallest change that is told
_HEARD = 0.05  # least share of a sound, accent or pause that counts as the cause of a change
_AXES = {"jaw": ("opens", "turns", "tilts"), "head": ("nods", "turns", "tilts"), "eyes": ("lower", "turn", "roll")}
_AIM = {"gap": "lips apart", "rise": "upper lip raised", "incisors": "teeth apart"}


def explain(trace: Trace, names: Sequence[str], frame: int) -> dict:
    """What happened at a frame of the take of a trace; names: of the expression's channels.

    "sampled": {name: value} of the model, channels before rotations, strongest first.  "planned": events of the take's
    plan that are under way.  "steps": of each that changed something there:
    "step" (its name), "reason", "causes" [[what, share]] and "changes" {name: [before, after]}, largest first.  Values are channel values,
    degrees or millimetres; names of those end in their unit.
    """
    steps: list[dict] = []
    for change in trace.changes:
        if frame >= len(change.after):
            continue
        changed = _changed(change, names, frame)
        if not changed:
            continue
        if steps and steps[-1]["step"] == change.step.name:  # another of its arguments
            steps[-1]["changes"] |= changed
            continue
        heard = [[what, round(float(curve[frame]), 2)] for what, curve in change.causes.items() if curve[frame] > _HEARD]
        causes = sorted(heard, key=lambda each: -each[1])
        steps.append({"step": change.step.name, "reason": change.step.reason, "causes": causes, "changes": changed})
    first = trace.changes[0]  # of the packed motion as it was sampled
    there = [(kind, label, value) for label, kind, value in _labelled(first.what, first.before[frame], names) if abs(value) >= _LEAST[kind]]
    sampled = {label: _round(value) for _, label, value in sorted(there, key=lambda each: (each[0], -abs(each[2])))}
    planned = [what for what, curve in trace.planned.items() if frame < len(curve) and curve[frame]]
    return {"frame": frame, "seconds": round(frame / FPS, 2), "sampled": sampled, "planned": planned, "steps": steps}


def _changed(change: Change, names: Sequence[str], frame: int) -> dict[str, list[float]]:
    """{name: [before, after]} of what a change did at a frame, largest first."""
    before, after = (_labelled(change.what, curve[frame], names) for curve in (change.before, change.after))
    both = [(label, was, now) for (label, kind, was), (_, _, now) in zip(before, after) if abs(now - was) >= _LEAST[kind]]
    return {label: [_round(was), _round(now)] for label, was, now in sorted(both, key=lambda each: -abs(each[2] - each[1]))}


def _labelled(what: str, values: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, float]]:
    """(label, kind of _LEAST, value) of each of a step's curves at one frame."""
    if what in _AIM:
        return [(f"{_AIM[what]} mm", "mm", float(values))]
    if what in TURNS:
        return [(f"{what} {axis} °", "degrees", float(np.degrees(value))) for axis, value in zip(_AXES[what], values)]
    if what == "brows":
        names = [name for name, is_brow in zip(names, in_group(names, BROWS)) if is_brow]
    labelled = [(name, "channel", float(value)) for name, value in zip(names, values)]
    turns = values[len(names) :].reshape(-1, 3)  # of a packed motion: jaw, head, eyes
    return labelled + [each for turn, part in zip(TURNS, turns) for each in _labelled(turn, part, names)]


def _round(value: float) -> float:
    return round(float(value), 3)
