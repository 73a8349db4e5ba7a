# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a mapping's table: one for each rule, and one for each channel without a rule; and
what else changes where somebody edits one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...spoken import MOUTH_SOUNDS
from ...types import GAZE
from .. import mapping
from ..drawn_mouths import NAMES, UNUSED
from . import conventions
from .bones import jaw_rules

DRAWN_ROWS = (*NAMES, "neck", UNUSED)  # of a head of drawings


def rows_of(plan: mapping.Mapping, channels: Sequence[str]) -> list[dict]:
    """The rows of a mapping: joints and rules by face region, channels without a rule among them
    (kind NONE)."""
    rows = [
        {
            "source": rule.source,
            "kind": rule.target.kind,
            "object": rule.target.object,
            "target": rule.target.name,
            "bone": rule.target.bone,
            "path": rule.target.path or "location",
            "index": "XYZ"[rule.target.index],
            "weight": rule.weight,
            "lead": dict(plan.leads).get(rule.source, 0.0),
        }
        for rule in plan.rules
    ]
    rows += [
        {
            "source": rule.joint,
            "kind": "JOINT",
            "object": rule.object,
            "bone": rule.bone,
            "weight": rule.scale,
        }
        for rule in plan.joints
    ]
    # some may be from a newer version, or a typing mistake
    sources = dict.fromkeys(str(row["source"]) for row in rows)
    every = ("jaw", *conventions.all_sources(channels), *mapping.JOINTS, *MOUTH_SOUNDS)
    order = list(dict.fromkeys((*(DRAWN_ROWS if plan.drawn else every), *sources)))
    for source in order:
        if source not in sources and not _is_needless(source, sources):
            rows.append(
                {
                    "source": source,
                    "kind": "JOINT" if source in mapping.JOINTS else "NONE",
                    "weight": 1.0,
                }
            )
    return sorted(rows, key=lambda row: order.index(row["source"]))


def _is_needless(source: str, sources: Iterable[str]) -> bool:
    """Whether a source without a rule is no gap, since the same movement is made another way."""
    if source in ("jawOpen", "jawLeft", "jawRight"):
        return "jaw" in sources
    if source == "jaw":
        return "jawOpen" in sources
    if source.startswith(GAZE):
        return "eye_left" in sources or "eye_right" in sources
    return source in ("eye_left", "eye_right") and any(name.startswith(GAZE) for name in sources)


def plan_of_rows(rows: Iterable[Any], like: mapping.Mapping) -> mapping.Mapping:
    """The mapping in a table; data without rows (parts, axes) are as in `like`. Incomplete rows are
    left out."""
    rules, joints = [], []
    for row in rows:
        if row.kind == "JOINT" and row.bone:
            joints.append(mapping.JointRule(row.source, row.bone, row.object, row.weight))
        elif row.kind in ("KEY", "PROPERTY", *mapping.DRAWN) and row.target:
            bone = row.bone if row.kind == "PROPERTY" else ""
            is_one = row.kind in mapping.DRAWN and row.kind not in mapping.NUMBERED
            target = mapping.Target(row.kind, row.target, row.object, bone)
            rules.append(mapping.Rule(row.source, target, 1.0 if is_one else row.weight))
        elif row.kind == "BONE" and (row.bone or row.object or row.path == mapping.TILT):
            rules.append(
                mapping.Rule(
                    row.source,
                    mapping.Target(
                        "BONE", "", row.object, row.bone, row.path, "XYZ".index(row.index)
                    ),
                    row.weight,
                )
            )
    leads = tuple({row.source: row.lead for row in rows if row.lead}.items())
    name = (
        like.name
        if not like.convention or (rules, joints) == (list(like.rules), list(like.joints))
        else "By Hand"
    )
    return replace(like, name=name, rules=tuple(rules), joints=tuple(joints), leads=leads)


def follow_edit(
    row: Any, rows: Sequence[Any], before: mapping.Mapping
) -> Iterator[tuple[Any, dict]]:
    """What else changes where a row was edited: (row, its new values) each, to be set before the
    next is asked for. rows: of the table.  before: the mapping before the edit.

    Where another channel's key stood in for a row's, reversed or in part, a key that is chosen
    instead moves in full. Where nothing else closes the lips over an open jaw, one that is chosen
    closes them, as one found by its name does. What was cleared or chosen instead stays so.
    """
    source = getattr(row, "source", "")
    stood_in = {rule.target.name for rule in before.rules if rule.source == source}
    share = mapping.FALLBACKS.get(source, ("", 0.0))[1]
    if share and stood_in and row.target not in stood_in and abs(row.weight - share) < 1e-6:
        yield row, {"weight": 1.0}
    if source not in ("jaw", "jawOpen"):
        return
    closes, by_jaw = (
        {(rule.target, round(rule.weight, 4)) for rule in rules if rule.source == "mouthClose"}
        for rules in (before.rules, _closing_jaw(before))
    )
    closing = _closing_jaw(plan_of_rows(rows, before)) if closes == by_jaw else []
    for place, rule in zip((each for each in rows if each.source == "mouthClose"), closing):
        made = rows_of(mapping.Mapping("", rules=(rule,)), ())
        yield place, next(each for each in made if each["source"] == rule.source)


def _closing_jaw(plan: mapping.Mapping) -> list[mapping.Rule]:
    """The rules by which the jaws of a mapping close the lips."""
    opening = [rule for rule in plan.rules if rule.source == "jawOpen"] + jaw_rules(plan)
    share = mapping.FALLBACKS["mouthClose"][1]
    return [replace(rule, source="mouthClose", weight=share * rule.weight) for rule in opening]
