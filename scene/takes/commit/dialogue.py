# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits a whole dialogue: of every line its shown or best take, in order of time, as one undo
step."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace

import bpy

from ....thunder_core.animation.commit import line_records
from ....thunder_core.animation.commit.drawing import edited_warning, Report, stale_warning
from ....thunder_core.errors import attempt, ThunderError
from ....thunder_core.progress import map_progress
from ...animation import display
from ...heads import head
from ...host.jobs import Step
from .. import dialogue, take_list
from . import committing, reading
from .committing import choice_of, is_committed

_MOST_LINES = 3  # lines named in a message
_LONGEST_LINE = 24  # bytes of each name there


@dataclass
class CommitLog:
    """Commits so far: the reports, their heads with each one's previous action, session ids of the
    new actions, a sentence for each line that was left out, and the lines that were already
    committed."""

    reports: list[Report] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    # head → number of the animator's keys that were replaced
    edited: dict[str, int] = field(default_factory=dict)
    actions: set[int] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)

    def add(self, head_name: str, report: Report) -> None:
        """Add a line that was committed on a head."""
        self.reports.append(report)
        self.heads.setdefault(head_name, report.earlier)  # later lines go into the same copy
        self.edited[head_name] = self.edited.get(head_name, 0) + report.edited
        self.actions |= {bpy.data.actions[name].session_uid for name in report.actions}

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        lines, heads, actions = len(self.reports), len(self.heads), len(self.actions)
        if not lines:
            return (
                f"Nothing to commit: {self._already}. Choose Commit Again to replace the keys"
                if self.already
                else "No line was committed"
            )
        text = (
            f"{lines} line{'' if lines == 1 else 's'} committed on {heads} "
            f"head{'' if heads == 1 else 's'}"
        )
        if self.already:
            text += f" ({self._already})"
        made = [action for action in bpy.data.actions if action.session_uid in self.actions]
        text += f": {reading.key_count(made)} keys in {actions} action{'' if actions == 1 else 's'}"
        errors = [report.error for report in self.reports if report.error is not None]
        return f"{text}, lips within {max(errors):.2f} mm" if errors else text

    @property
    def _already(self) -> str:
        """Lines that were committed before and are left unchanged."""
        names = [f"“{line_records.shorten(name, _LONGEST_LINE)}”" for name in self.already]
        more = f" and {len(names) - _MOST_LINES} more" if len(names) > _MOST_LINES else ""
        return (
            f"{', '.join(names[:_MOST_LINES])}{more} {'was' if len(names) == 1 else 'were'} "
            f"committed before"
        )

    @property
    def warnings(self) -> list[str]:
        """A sentence for each head on which keys of the animator's were replaced, and for each line
        whose voice has changed."""
        edited = [edited_warning(count, self.heads[name]) for name, count in self.edited.items()]
        stale = [stale_warning(report.stale) for report in self.reports]
        return [*filter(None, dict.fromkeys((*edited, *stale)))]


def take_of(scene, line: dialogue.Line):
    """The take of a line that is committed: the one its head shows, else the best starred one, else
    the best by lip-sync of those that are not folded.

    None if it has none that fits the line as it is.
    """
    fitting = [
        entry for entry in dialogue.takes_of(scene, line.strip, line.speaker) if not entry.hidden
    ]
    action = display.shown_action(head.resolve(line.speaker)) if fitting else None

    def rank(entry):
        return (
            entry.action == action,
            entry.star,
            not entry.folded,
            take_list.speaks(entry),
            entry.score,
        )

    return max(fitting, key=rank, default=None)


def has_takes(scene) -> bool:
    """Whether any line of the dialogue has takes; a quick look, for a button."""
    return any(
        entry.action is not None and entry.voice == line.strip and entry.head == line.speaker
        for line in dialogue.lines(scene)
        for entry in scene.thunder.takes
    )


def why_none(scene) -> str:
    """The reason why no line can be committed, and what to do about it."""
    lines = dialogue.lines(scene)
    voices = {entry.voice for entry in scene.thunder.takes if entry.action is not None}
    open_line = next(
        (line for line in lines if line.speaker is None and line.strip in voices), None
    )
    if open_line is not None:
        return (
            f"No speaker is chosen for “{open_line.strip}”, which has takes: choose its "
            f"speaker in the Dialogue list"
        )
    if any(line.strip in voices for line in lines):
        return (
            "The takes of these lines are of other heads: choose those as speakers in the "
            "Dialogue list or generate again"
        )
    return "No line of the dialogue has takes: press Generate for All Dialogue Strips"


def commit_all(scene, done: CommitLog, again: bool = False) -> Generator[Step, None, None]:
    """Steps that commit a take for every line of a scene's dialogue as the Commit settings say.

    again: lines that are committed already too; otherwise they stay as they are, unless their head
    shows a take of them. done receives the results. A head's later lines go into the action of its
    first, so that one action has them all. Raises ThunderError only if no line can be committed,
    and then nothing is changed. If all are already committed, nothing is done.
    """
    todo = []
    for line in dialogue.lines(scene):
        if line.why_not:
            done.left_out.append(f"“{line.strip}”: {line.why_not}")
        elif (entry := take_of(scene, line)) is None:
            done.left_out.append(f"“{line.strip}” has no take that matches it: generate some first")
        elif not again and attempt(is_committed, scene, line.speaker, entry)[0]:
            done.already.append(line.strip)
        else:
            todo.append((line, entry))  # one that cannot be committed too: its commit reports why
    error: ThunderError | None = None
    for number, (line, entry) in enumerate(todo):
        try:
            rig = head.resolve(line.speaker)
            head.check_animatable(rig)
            choice = choice_of(scene, entry)
            if rig.owner.name in done.heads and choice.to != "STRIP":
                choice = replace(choice, to="OWN", backup=False)
            report = yield from map_progress(
                committing.commit(rig, entry, entry.voice, choice),
                lambda step: Step(
                    (number + step.fraction) / len(todo),
                    f"Line {number + 1} of {len(todo)}: {step.message.lower()}",
                    step.busy,
                ),
            )
            done.add(rig.owner.name, report)
        except ThunderError as failed:
            error = error or failed
            done.left_out.append(f"“{line.strip}”: {failed}")
    if not done.reports and error is not None:
        raise error
