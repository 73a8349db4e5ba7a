# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: writes the shown take into the animator's animation with few keys; earlier actions
stay in the file.

Also what the panel's settings choose for it, and which lines are committed to a head, fast enough
for every redraw.
"""

from collections.abc import Generator

from ....thunder_core.animation.commit import drawing, fitting, line_records, planning
from ....thunder_core.animation.commit.before import Choice
from ....thunder_core.animation.commit.drawing import Report
from ....thunder_core.batch.settings import COMMITS
from ....thunder_core.errors import attempt, BadRequest
from ...animation import display
from ...heads import head
from ...host.jobs import stage, Step
from .. import take_list
from . import reading, writing


def commit(rig: head.Rig, entry, line: str, choice: Choice) -> Generator[Step, None, Report]:
    """Steps that commit a take of the line `name` to the animator's animation. Returns the
    Report.

    Each stage has a frozen result, and only the last one changes the rig or its animation: closed
    earlier, nothing has changed. The animator's previous actions stay in the file: unchanged, or,
    if the take was written into one of them, as a backup copy. Raises BadHead or BadRequest.
    """
    if not display.is_shown(rig, entry):
        display.show(rig, entry)
    before = yield from reading.read(rig, entry, line, choice)
    plan = yield from stage(planning.plan(before, choice), "Reading your animation", 0.0, 0.0)
    sampled = yield from stage(fitting.sample(before, plan), "Reading the take", 0.0, 0.2)
    message = "Finding poses" if plan.choice.keys == "POSES" else "Reducing keys"
    fitted = yield from stage(fitting.fit(before, plan, sampled), message, 0.2, 0.8)
    new_curves = yield from stage(
        drawing.draw(before, plan, sampled, fitted), "Drawing handles", 0.85, 0.9
    )
    actions, earlier = yield from writing.write(rig, entry, before, plan, new_curves)
    names, total = tuple(action.name for action in actions), reading.key_count(actions)
    return drawing.report(before, plan, sampled, fitted, new_curves, names, total, earlier)


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


def choice_of(scene, entry) -> Choice:
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
    how = wanted.how
    if wanted.to == "NEW" or (wanted.to == "STRIP" and how == "INSERT"):
        how = "REPLACE"
    half_a_second = int(_LONGEST_BLEND * scene.render.fps / scene.render.fps_base)
    regions = frozenset(region for region, name in REGION_SETTINGS.items() if getattr(wanted, name))
    if not regions:
        raise BadRequest("No region is chosen: choose at least one in the Commit panel")
    step = 1 + COMMITS.index(wanted.step.lower())
    # held poses do not flow into each other
    blend = 1 if step > 1 else max(1, min(wanted.blend, half_a_second))
    return Choice(
        first,
        last,
        wanted.to,
        how,
        wanted.error,
        blend,
        wanted.keys,
        regions,
        wanted.markers,
        step=step,
    )


def _lines(rig: head.Rig, muted: bool) -> list:
    """The lines in the animator's animation of a head: its action, also while a take is shown,
    and NLA strips, or those not muted."""
    playing = [
        target.animation_data.action for target in rig.targets if target.animation_data is not None
    ]
    actions = display.animator_actions(rig) if display.shown_action(rig) is not None else playing
    tracks = [
        track
        for target in rig.targets
        for track in reading.nla_tracks(target)
        if muted or not track.mute
    ]
    played = [strip.action for track in tracks for strip in track.strips if muted or not strip.mute]
    known = (
        line_records.lines_of(action) for action in dict.fromkeys(filter(None, [*actions, *played]))
    )
    return [line for lines in known if lines is not None for line in lines.lines]


def committed_lines(mesh) -> set[str]:
    """Names of the lines in the animator's animation of a head."""
    rig, _ = attempt(head.resolve, mesh)
    return set() if rig is None else {line.name for line in _lines(rig, muted=True)}


def is_committed(scene, mesh, entry) -> bool:
    """Whether the animation of a head has a take's line on the frames and with the regions that the
    Commit settings choose.

    A line whose take is shown is not: the animator has chosen what to commit. Into a new action
    every line has to go. Raises ThunderError.
    """
    rig, choice = head.resolve(mesh), choice_of(scene, entry)
    if entry.action == display.shown_action(rig) or choice.to == "NEW":
        return False
    frames = entry.voice, choice.first, choice.last
    same_frames = [
        line for line in _lines(rig, muted=False) if (line.name, line.first, line.last) == frames
    ]
    return any(not line.regions or choice.regions <= line.regions for line in same_frames)


def why_none(context) -> str:
    """The reason why there is nothing to commit if no take is shown: one line if it was already
    committed."""
    mesh = take_list.chosen_mesh(context)
    if (
        mesh is not None
        and take_list.on_head(context.scene, mesh) is None
        and committed_lines(mesh)
    ):
        return "Committed: choose a take to commit again"
    return take_list.why_none(context)
