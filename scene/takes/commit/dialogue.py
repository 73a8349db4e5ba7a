# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit for a whole dialogue: of every line its shown or best take, in order of time, as one step to undo."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace

from ....thunder_core.errors import ThunderError
from ....thunder_core.progress import mapped
from ...animation import display
from ...heads import head
from ...host.jobs import Step
from ...voice import fingerprint
from .. import dialogue
from . import committing
from .choice import chosen, Report


@dataclass
class Done:
    """What was committed so far: the reports, how many heads they are on, and a sentence for each line that was left out."""

    reports: list[Report] = field(default_factory=list)
    heads: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        lines, heads, keys = len(self.reports), len(self.heads), sum(report.keys for report in self.reports)
        said = f"{lines} line{'' if lines == 1 else 's'} committed on {heads} head{'' if heads == 1 else 's'}: {keys} keys"
        errors = [report.error for report in self.reports if report.error is not None]
        return f"{said}, each lip within {max(errors):.2f} mm" if errors else said


def take_of(scene, line: dialogue.Line):
    """The take of a line that is committed: the one its head shows, else the best starred one, else the best by lip-sync.

    None if it has none that fits the line as it is.
    """
    fitting = [
        entry
        for entry in scene.thunder.takes
        if entry.voice == line.strip
        and entry.head == line.speaker
        and entry.action is not None
        and not entry.hidden
        and ((changed := fingerprint.change(scene, entry)) is None or changed.kind != "CHANGED")
    ]
    shown = display.shown_action(head.resolve(line.speaker)) if fitting else None
    return max(fitting, key=lambda entry: (entry.action == shown, entry.star, entry.score), default=None)


def has_takes(scene) -> bool:
    """Whether any line of the dialogue has takes; a quick look, for a button."""
    return any(
        entry.action is not None and entry.voice == line.strip and entry.head == line.speaker
        for line in dialogue.lines(scene)
        for entry in scene.thunder.takes
    )


def why_none(scene) -> str:
    """Why no line can be committed, and what to do about it."""
    lines = dialogue.lines(scene)
    voices = {entry.voice for entry in scene.thunder.takes if entry.action is not None}
    open_line = next((line for line in lines if line.speaker is None and line.strip in voices), None)
    if open_line is not None:
        return f"Nobody is chosen for “{open_line.strip}”, which has takes: choose its speaker in the Dialogue list"
    if any(line.strip in voices for line in lines):
        return "The takes of these lines are of other heads: choose those as speakers in the Dialogue list or generate again"
    return "No line of the dialogue has takes: press Generate for All Dialogue Strips"


def commit_all(scene, done: Done) -> Generator[Step, None, None]:
    """Steps that commit a take for every line of a scene's dialogue as the Commit settings say.

    done receives what was committed and what was left out. A head's later lines go into the action of its first, so that
    one action has them all. Raises ThunderError only if no line can be committed, and then nothing is changed.
    """
    todo = []
    for line in dialogue.lines(scene):
        if line.why_not:
            done.left_out.append(f"“{line.strip}”: {line.why_not}")
        elif (entry := take_of(scene, line)) is None:
            done.left_out.append(f"“{line.strip}” has no take that matches it: generate some first")
        else:
            todo.append((line, entry))
    error: ThunderError | None = None
    for number, (line, entry) in enumerate(todo):
        try:
            rig = head.resolve(line.speaker)
            head.check_animatable(rig)
            choice = chosen(scene, entry)
            if rig.owner.name in done.heads and choice.to != "STRIP":
                choice = replace(choice, to="OWN", backup=False)
            report = yield from mapped(
                committing.commit(rig, entry, entry.voice, choice),
                lambda step: Step(
                    (number + step.fraction) / len(todo), f"Line {number + 1} of {len(todo)}: {step.message.lower()}", step.busy
                ),
            )
            done.reports.append(report)
            done.heads.add(rig.owner.name)
        except ThunderError as failed:
            error = error or failed
            done.left_out.append(f"“{line.strip}”: {failed}")
    if not done.reports and error is not None:
        raise error
