# SPDX-License-Identifier: GPL-3.0-or-later
"""Names the steps that change a sampled motion, records what each changed, and explains one frame;
numpy only.

A step is a method that takes curves over frames and returns them changed. `step` marks it with its
name, and the reason why it is there. A copy of its object (`traced`) leaves a record of each step's
curves before and after.
"""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TypeVar

import numpy as np

from .types import BROW_CHANNELS, FPS, in_group, TURNS

CONSTRAINT = "constraint"  # what no face does otherwise
ADDED = "added"  # behaviour besides the model's
REASONS = {CONSTRAINT: "no face does otherwise", ADDED: "added to the model's motion"}

F = TypeVar("F", bound=Callable)


@dataclass(frozen=True)
class Step:
    """A step: its name as a verb, one of REASONS, the arguments that it changes, in the order of
    its results, and what it follows."""

    name: str
    reason: str
    changes: tuple[str, ...]
    causes: Mapping[str, str]


@dataclass(frozen=True)
class Change:
    """What a step did to one of its arguments: curves [T, …] before and after, and why on each
    frame.

    causes: what the step followed → how strong that was [T], 0 … 1.
    """

    step: Step
    what: str
    before: np.ndarray
    after: np.ndarray
    causes: Mapping[str, np.ndarray]


@dataclass
class Trace:
    """The changes of all steps that ran, in order; planned: what the take planned → 1 where it does
    it [T], else 0."""

    changes: list[Change] = field(default_factory=list)
    planned: Mapping[str, np.ndarray] = field(default_factory=dict)


_MAX_CHANNELS = 3  # channels that an explanation names of a step
STEPS: dict[str, Step] = {}  # by the qualified names of their methods


def step(reason: str, changes: str, causes: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Mark a method as a step.

    changes: names of the arguments that it changes and returns, with blanks between them.  causes:
    name of an argument with a curve [T] 0 … 1, or of a part of it as `sounds.dental` → what it is,
    in words.
    """

    def mark(function: F) -> F:
        name = function.__name__.strip("_").replace("_", " ")
        about = Step(name, reason, tuple(changes.split()), causes or {})
        STEPS[f"{function.__module__}.{function.__qualname__}"] = about
        function.step = about  # type: ignore[attr-defined]
        return function

    return mark


def traced(acting, trace: Trace):
    """A copy of an object whose steps, and those of objects that it has, are recorded."""
    result = copy.copy(acting)
    for name, value in vars(acting).items():
        if any(hasattr(method, "step") for method in vars(type(value)).values()):
            setattr(result, name, traced(value, trace))
    for name, method in vars(type(acting)).items():
        if hasattr(method, "step"):
            setattr(result, name, _recorded(method.__get__(result), method.step, trace))
    return result


def _recorded(method: Callable, about: Step, trace: Trace) -> Callable:
    """A step that adds to a trace what it changes."""

    def run(*args, **more):
        given = inspect.signature(method).bind(*args, **more)
        given.apply_defaults()
        before = [_copies(given.arguments[name]) for name in about.changes]
        result = method(*args, **more)
        why = {
            words: curve
            for path, words in about.causes.items()
            if (curve := _part(given.arguments, path)) is not None
        }
        results = result if isinstance(result, tuple) else (result,)
        for name, was, now in zip(about.changes, before, results):
            for part, after in _copies(now).items():
                trace.changes.append(Change(about, part or name, was[part], after, why))
        return result

    return run


def _copies(curves) -> dict[str, np.ndarray]:
    """Curves by their names: those of a dataclass, else one without a name."""
    if is_dataclass(curves):
        return {each.name: np.array(getattr(curves, each.name)) for each in fields(curves)}
    return {"": np.array(curves)}


def _part(arguments: Mapping[str, object], path: str) -> np.ndarray | None:
    """An argument, or an attribute of one; None where there is none."""
    value: object = arguments
    for i, name in enumerate(path.split(".")):
        value = arguments.get(name) if i == 0 else getattr(value, name)
        if value is None:
            return None
    return np.asarray(value)


def explanation_lines(explanation: dict) -> list[str]:
    """An explanation of a frame (`explain`) in lines for people, in the panel and in bakes: what
    was sampled and planned, then a line for each step with its causes, its largest changes and the
    reason for it."""

    def list_values(values: dict, form) -> str:
        first = list(values.items())[:_MAX_CHANNELS]
        return ", ".join([form(*each) for each in first] + ["…"] * (len(values) > _MAX_CHANNELS))

    sampled = list_values(explanation["sampled"], lambda name, value: f"{name} {value:.2f}")
    lines = [f"The model sampled {sampled}" if sampled else "The model sampled a face at rest"]
    if explanation["planned"]:
        lines.append(f"The take planned here {', '.join(explanation['planned'])}")
    for each in explanation["steps"]:
        causes = "; ".join(
            what if share > 0.99 else f"{what} ({share:.0%})" for what, share in each["causes"]
        )
        changes = list_values(
            each["changes"], lambda name, both: f"{name} {both[0]:.2f} → {both[1]:.2f}"
        )
        lines.append(
            " · ".join(
                [
                    each["step"].capitalize(),
                    *[causes] * bool(causes),
                    changes,
                    REASONS[each["reason"]],
                ]
            )
        )
    return lines


# ---- one frame explained

_LEAST = {"channel": 0.01, "degrees": 0.3, "mm": 0.1}  # smallest change that is named
_HEARD = 0.05  # least share of a sound, accent or pause that counts as the cause of a change
_AXES = {
    "jaw": ("opens", "turns", "tilts"),
    "head": ("nods", "turns", "tilts"),
    "eyes": ("lower", "turn", "roll"),
}
_AIM = {"gap": "lips apart", "rise": "upper lip raised", "incisors": "teeth apart"}


def explain(trace: Trace, names: Sequence[str], frame: int) -> dict:
    """What happened at a frame of the take of a trace; names: of the expression's channels.

    "sampled": {name: value} of the model, channels before rotations, strongest first.  "planned":
    events of the take's plan that are under way.  "steps": of each that changed something there:
    "step" (its name), "reason", "causes" [[what, share]] and "changes" {name: [before, after]},
    largest first.  Values are channel values, degrees or millimetres; names of those end in their
    unit.
    """
    steps: list[dict] = []
    for change in trace.changes:
        if frame >= len(change.after):
            continue
        changed = _changes(change, names, frame)
        if not changed:
            continue
        if steps and steps[-1]["step"] == change.step.name:  # another of its arguments
            steps[-1]["changes"] |= changed
            continue
        shares = {
            what: round(float(curve[frame]), 2)
            for what, curve in change.causes.items()
            if curve[frame] > _HEARD
        }
        causes = [[what, shares[what]] for what in sorted(shares, key=lambda what: -shares[what])]
        steps.append(
            {
                "step": change.step.name,
                "reason": change.step.reason,
                "causes": causes,
                "changes": changed,
            }
        )
    first = trace.changes[0]  # of the packed motion as it was sampled
    there = [
        (kind, label, value)
        for label, kind, value in _label_curves(first.what, first.before[frame], names)
        if abs(value) >= _LEAST[kind]
    ]
    sampled = {
        label: _round(value)
        for _, label, value in sorted(there, key=lambda each: (each[0], -abs(each[2])))
    }
    planned = [what for what, curve in trace.planned.items() if frame < len(curve) and curve[frame]]
    return {
        "frame": frame,
        "seconds": round(frame / FPS, 2),
        "sampled": sampled,
        "planned": planned,
        "steps": steps,
    }


def _changes(change: Change, names: Sequence[str], frame: int) -> dict[str, list[float]]:
    """{name: [before, after]} of what a change did at a frame, largest first."""
    before, after = (
        _label_curves(change.what, curve[frame], names) for curve in (change.before, change.after)
    )
    both = [
        (label, was, now)
        for (label, kind, was), (_, _, now) in zip(before, after)
        if abs(now - was) >= _LEAST[kind]
    ]
    return {
        label: [_round(was), _round(now)]
        for label, was, now in sorted(both, key=lambda each: -abs(each[2] - each[1]))
    }


def _label_curves(
    what: str, values: np.ndarray, names: Sequence[str]
) -> list[tuple[str, str, float]]:
    """(label, kind of _LEAST, value) of each of a step's curves at one frame."""
    if what in _AIM:
        return [(f"{_AIM[what]} mm", "mm", float(values))]
    if what in TURNS:
        return [
            (f"{what} {axis} °", "degrees", float(np.degrees(value)))
            for axis, value in zip(_AXES[what], values)
        ]
    if what == "brows":
        names = [name for name, is_brow in zip(names, in_group(names, BROW_CHANNELS)) if is_brow]
    labelled = [(name, "channel", float(value)) for name, value in zip(names, values)]
    turns = values[len(names) :].reshape(-1, 3)  # of a packed motion: jaw, head, eyes
    return labelled + [
        each for turn, part in zip(TURNS, turns) for each in _label_curves(turn, part, names)
    ]


def _round(value: float) -> float:
    return round(float(value), 3)
