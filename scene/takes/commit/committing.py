# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: writes the shown take, or one of every line of a dialogue, into the animator's animation
with few keys; earlier actions stay in the file.

Also what the panel's settings choose for it, and which lines are committed to a head, fast enough
for every redraw.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import bpy

from ....thunder_core.animation.commit import curves, fitting, planning
from ....thunder_core.animation.commit.before import CommitChoice
from ....thunder_core.batch.settings import COMMITS
from ....thunder_core.errors import attempt, BadRequest, ThunderError
from ....thunder_core.progress import map_progress
from ....thunder_core.translation import plural
from ...animation import display
from ...heads import head
from ...host.jobs import stage, Step
from .. import dialogue, grades, last_look, take_list
from . import following, reading, writing

if TYPE_CHECKING:
    from ...properties.settings import ThunderTake


def commit(
    rig: head.Rig, entry: ThunderTake, line: str, choice: CommitChoice
) -> Generator[Step, None, curves.Report]:
    """Steps that commit a take of a line, by its name, to the animator's animation. Returns the
    Report.

    Each stage has a frozen result, and only the last one changes the rig or its animation: closed
    earlier, nothing has changed. The animator's previous actions stay in the file: unchanged, or,
    if the take was written into one of them, as a backup copy. Raises BadHead or BadRequest.
    """
    with _shown(rig, entry):
        before = yield from reading.read(rig, entry, line, choice)
        plan = yield from stage(planning.plan(before, choice), "Reading your animation", 0.0, 0.0)
        sampled = yield from stage(fitting.sample(before, plan), "Reading the take", 0.0, 0.03)
        fitted = yield from stage(fitting.fit(before, plan, sampled), "Finding poses", 0.03, 0.97)
        new_curves = yield from stage(
            curves.draw(before, plan, sampled, fitted), "Drawing handles", 0.97, 0.98
        )
        actions, earlier = yield from writing.write(rig, entry, before, plan, new_curves)
        names, total = tuple(action.name for action in actions), reading.key_count(actions)
        return curves.report(before, plan, sampled, fitted, new_curves, names, total, earlier)


@contextmanager
def _shown(rig: head.Rig, entry: ThunderTake) -> Iterator[None]:
    """Show a take for a commit; one that fails or is closed early shows what was shown before."""
    before = display.shown_action(rig)
    if before == entry.action:
        yield
        return
    scene, mesh = entry.id_data.name, rig.mesh.name
    uid = None if before is None else before.session_uid
    display.show(rig, entry)
    try:
        yield
    except BaseException:
        with suppress(ThunderError, ReferenceError):  # something was deleted meanwhile
            there, rig = head.look_up(scene, mesh)
            earlier = take_list.by_uid(there, uid)
            if earlier is None:
                display.restore_animation(rig)
            else:
                display.show(rig, earlier)
        raise


_LONGEST_BLEND = 0.5  # longest blend with the animator's animation before and after a take, seconds
# region → the setting that switches it on
REGION_SETTINGS = {
    "Brows": "brows",
    "Eyes": "eyes",
    "Cheeks & Nose": "cheeks",
    "Mouth": "mouth",
    "Jaw": "jaw",
    "Tongue": "tongue",
    "Head": "head",
}


def choice_of(scene: bpy.types.Scene, entry: ThunderTake) -> CommitChoice:
    """The choice that a scene's settings make for a take. Raises BadRequest."""
    wanted = scene.thunder.commit
    first, last = entry.first, entry.last
    if wanted.range == "PREVIEW":
        if not scene.use_preview_range:
            raise BadRequest(
                "This scene has no preview range: set one in the timeline (P) or commit the whole "
                "take"
            )
        first, last = max(first, scene.frame_preview_start), min(last, scene.frame_preview_end)
        if first >= last:
            raise BadRequest(
                f"The preview range holds none of the take's frames ({entry.first} to "
                f"{entry.last}): move it there"
            )
    cannot = wanted.to == "NEW" or (wanted.to == "STRIP" and wanted.how == "INSERT")
    half_a_second = int(_LONGEST_BLEND * scene.render.fps / scene.render.fps_base)
    regions = frozenset(region for region, name in REGION_SETTINGS.items() if getattr(wanted, name))
    if not regions:
        raise BadRequest("No region is chosen: choose at least one in the Commit panel")
    choice = CommitChoice(
        first,
        last,
        wanted.to,
        "REPLACE" if cannot else wanted.how,
        wanted.error,
        max(1, min(wanted.blend, half_a_second)),
        wanted.keys,
        regions,
        step=1 + COMMITS.index(wanted.step.lower()),
        breakdowns=wanted.breakdowns,
    )
    # held poses do not flow into each other
    return replace(choice, blend=1) if choice.is_held else choice


def committed_lines(mesh: bpy.types.Object) -> set[str]:
    """Names of the lines in the animator's animation of a head."""
    return {line.name for line in following.lines_of(mesh)}


def is_committed(scene: bpy.types.Scene, mesh: bpy.types.Object, entry: ThunderTake) -> bool:
    """Whether the animation of a head has a take's line on the frames of the Commit settings.

    A line whose take is shown is not: the animator has chosen what to commit. Into a new action
    every line has to go. Raises ThunderError.
    """
    if entry.action == display.shown_action(head.resolve(mesh)):
        return False
    choice = choice_of(scene, entry)
    known = {(line.name, line.first, line.last) for line in following.lines_of(mesh)}
    return choice.to != "NEW" and (entry.voice, choice.first, choice.last) in known


@dataclass
class CommitLog:
    """Commits so far: the reports, their heads with each one's previous action, session ids of the
    new actions, a sentence for each line that was left out, the lines that were already committed,
    and what is wrong with the lips of heads."""

    reports: list[curves.Report] = field(default_factory=list)
    heads: dict[str, str] = field(default_factory=dict)
    # head → number of the animator's keys that were replaced
    edited: dict[str, int] = field(default_factory=dict)
    actions: set[int] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, head_name: str, report: curves.Report) -> None:
        """Add a line that was committed on a head."""
        self.reports.append(report)
        self.heads.setdefault(head_name, report.earlier)  # later lines go into the same copy
        self.edited[head_name] = self.edited.get(head_name, 0) + report.edited
        self.actions |= {bpy.data.actions[name].session_uid for name in report.actions}

    @property
    def sentence(self) -> str:
        """The message for the animator."""
        lines, heads = len(self.reports), len(self.heads)
        if not lines:
            return (
                "All lines were committed before. Choose Commit Again to replace their keys"
                if self.already
                else "No line was committed"
            )
        done = plural(lines, f"{lines} line", f"{lines} lines")
        text = plural(
            heads, f"{done} committed on {heads} head", f"{done} committed on {heads} heads"
        )
        if self.already:
            text += f", {len(self.already)} before"
        made = [action for action in bpy.data.actions if action.session_uid in self.actions]
        keys, count = reading.key_count(made), len(made)
        actions = plural(count, f"{count} action", f"{count} actions")
        written = f"{keys} keys in {actions}"
        text = f"{text}: {written}"
        errors = [report.error for report in self.reports if report.error is not None]
        return f"{text}, lips within {max(errors):.2f} mm" if errors else text

    @property
    def warnings(self) -> list[str]:
        """A sentence for each head on which keys of the animator's were replaced, and for each line
        whose voice has changed, and what is wrong with lips."""
        edited = (
            curves.edited_warning(count, self.heads[name]) for name, count in self.edited.items()
        )
        stale = (curves.stale_warning(report.stale) for report in self.reports)
        return [*filter(None, dict.fromkeys((*edited, *stale, *self.wrong)))]


def take_of(scene: bpy.types.Scene, line: dialogue.Line):
    """The take of a line that is committed: the one its head shows, else the best starred one, else
    the best by lip-sync of those that are not folded.

    None if it has none that fits the line as it is.
    """
    fitting = list(dialogue.takes_of(scene, line.strip, line.speaker))
    if not fitting or line.speaker is None:
        return None
    action = display.shown_action(head.resolve(line.speaker))

    def rank(entry: ThunderTake):
        return (
            entry.action == action,
            entry.star,
            not entry.folded,
            take_list.speaks(entry),
            grades.rank(entry),
        )

    return max(fitting, key=rank)


def has_takes(scene: bpy.types.Scene) -> bool:
    """Whether any line of the dialogue has takes; a quick look, for a button."""
    return any(
        entry.action is not None and entry.voice == line.strip and entry.head == line.speaker
        for line in dialogue.lines(scene)
        if line.speaker is not None
        for entry in scene.thunder.takes
    )


def commit_line(
    scene: bpy.types.Scene, entry: ThunderTake, done: CommitLog
) -> Generator[Step, None, None]:
    """Steps that commit a take of a line as the Commit settings say, then look whether the lips
    follow it. done receives the results, and has those of the lines before: a head's later lines
    go into the action of its first. Raises ThunderError; what done has then stays committed."""
    rig, choice = take_list.animatable_rig(scene, entry), choice_of(scene, entry)
    if rig.owner.name in done.heads and choice.to != "STRIP":
        choice = replace(choice, to="OWN", backup=False)
    report = yield from map_progress(
        commit(rig, entry, entry.voice, choice),
        lambda step: replace(step, fraction=0.95 * step.fraction),
    )
    done.add(rig.owner.name, report)
    # of less than the mouth as the take has it lips are not to be as the take's
    is_whole = {"Mouth", "Jaw"} <= choice.regions and choice.how in ("REPLACE", "INSERT")
    if is_whole and choice.first <= entry.first and entry.last <= choice.last:
        wrong = yield from stage(last_look.look_at(rig, entry), "Looking at the lips", 0.95, 1.0)
        done.wrong += [wrong] if wrong else []


def commit_all(
    scene: bpy.types.Scene, done: CommitLog, again: bool = False
) -> Generator[Step, None, None]:
    """Steps that commit a take for every line of a scene's dialogue, and what heads show as
    listeners, as the Commit settings say.

    again: lines that are committed already too; otherwise they stay as they are, unless their head
    shows a take of them. done receives the results. A head's later lines go into the action of its
    first, so that one action has them all. Raises ThunderError only if no line can be committed,
    and then nothing is changed. If all are already committed, nothing is done.
    """
    todo, lines = [], dialogue.lines(scene)
    for line in lines:
        if line.why_not:
            done.left_out.append(f"“{line.strip}”: {line.why_not}")
        elif (entry := take_of(scene, line)) is None:
            done.left_out.append(f"“{line.strip}” has no take that matches it: generate some first")
        elif not again and attempt(is_committed, scene, line.speaker, entry)[0]:
            done.already.append(line.strip)
        else:
            todo.append((line, entry))  # one that cannot be committed too: its commit reports why
    chosen, spoken = [entry for _, entry in todo], {(line.strip, line.speaker) for line in lines}
    for mesh in head.in_scene(scene):
        shown = take_list.on_head(scene, mesh)
        if shown is None or shown in chosen:
            continue
        if take_list.speaks(shown) and (shown.voice, mesh) in spoken:
            done.left_out.append(f"“{shown.name}” of “{shown.voice}”, shown, does not fit its line")
        else:  # as a listener; before the lines that its head speaks, which win where both play
            todo.insert(0, (dialogue.Line(shown.voice, mesh, ""), shown))
    error: ThunderError | None = None
    for number, (line, entry) in enumerate(todo):
        try:
            yield from map_progress(
                commit_line(scene, entry, done),
                lambda step: Step(
                    (number + step.fraction) / len(todo),
                    f"Line {number + 1} of {len(todo)}: {step.message.lower()}",
                    step.busy,
                ),
            )
        except ThunderError as failed:
            error = error or failed
            done.left_out.append(f"“{line.strip}”: {failed}")
    if not done.reports and error is not None:
        raise error
