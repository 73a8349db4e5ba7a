# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: writes the shown take into the animator's own animation with few keys; earlier actions stay in the file."""

from __future__ import annotations

from collections.abc import Generator

from ....thunder_core.animation.commit import drawing, fitting, planning
from ....thunder_core.animation.commit.before import Choice
from ....thunder_core.animation.commit.drawing import Report
from ...animation import display
from ...heads import head
from ...host.jobs import stage, Step
from . import reading, writing


def commit(rig: head.Rig, entry, line: str, choice: Choice) -> Generator[Step, None, Report]:
    """Steps that commit a take of the line `name` to the animator's own animation. Returns the Report.

    Each stage has a frozen result, and only the last one changes the rig or its animation: closed earlier, nothing has changed.
    The animator's previous actions stay in the file: unchanged, or, if the take was written into one of them, as a backup copy.
    Raises BadHead or BadRequest.
    """
    if not display.is_shown(rig, entry):
        display.show(rig, entry)
    before = yield from reading.read(rig, entry, line, choice)
    plan = yield from stage(planning.plan(before, choice), "Reading your animation", 0.0, 0.0)
    sampled = yield from stage(fitting.sample(before, plan), "Reading the take", 0.0, 0.2)
    message = "Finding poses" if plan.choice.keys == "POSES" else "Reducing keys"
    fitted = yield from stage(fitting.fit(before, plan, sampled), message, 0.2, 0.8)
    drawn = yield from stage(drawing.draw(before, plan, sampled, fitted), "Drawing handles", 0.85, 0.9)
    actions, earlier = yield from writing.write(rig, entry, before, plan, drawn)
    names, total = tuple(action.name for action in actions), reading.key_count(actions)
    return drawing.report(before, plan, sampled, fitted, drawn, names, total, earlier)
