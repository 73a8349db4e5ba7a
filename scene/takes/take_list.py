# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes of a scene: adding, removing and showing them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import bpy

from ...thunder_core.animation.timing import Clock
from ...thunder_core.direction_words import words_of_request, words_of_take
from ...thunder_core.errors import attempt, BadRequest
from ...thunder_core.translation import plural
from ...thunder_core.types import LISTENS, SPEAKS
from ..animation import display, keying
from ..heads import head, head_state
from ..host import compat, jobs, playback
from ..host.redraw import once
from ..voice import changes, fingerprint, strip
from . import grades, take_record

if TYPE_CHECKING:
    from ..properties.settings import ThunderScene, ThunderTake


# property of the first action of a copy that Live made: its session, and the name that it got
LIVE_COPY = "thunder_live_copy"
# properties that a duplicate does not copy
_OF_ITS_OWN = ("name", "action", "star", "kind", "made")
LATEST = 2**31 - 1  # maximum of an integer property


def add_to_list(
    scene: bpy.types.Scene,
    rig: head.Rig,
    actions: list,
    performance: keying.TakeData,
    voice: str,
    clock: Clock,
    kind: str = "SAMPLED",
    name: str = "",
):
    """Enter a keyed take in the scene's list, its source kept on its action; returns the entry.

    kind: of ThunderTake.  name: in the list, made unique; without one it gets the next number.
    """
    take_record.store(actions[0], performance, clock, voice)
    frames = clock.scene_frames(performance.motion.frames)
    name = free_name(scene, name or next_name(scene, rig.mesh, voice), rig.mesh, voice)
    entry = scene.thunder.takes.add()
    entry.name, entry.kind = name, kind
    _set_actions(entry, actions)
    entry.head, entry.voice = rig.mesh, voice
    entry.seed, entry.score = performance.seed, performance.score
    entry.made, entry.role = (
        min(int(time.time()), LATEST),
        take_record.role_of(performance.provenance).upper(),
    )
    entry.words = words_of_take(performance.provenance)
    entry.asked = words_of_request(performance.provenance)
    entry.first, entry.last = int(frames[0]), int(frames[-1])
    entry.lead_in, entry.lead_out = clock.leads()
    return entry


def _set_actions(entry: ThunderTake, actions: list) -> None:
    """Let a take have these actions, of which the first is the one that finds it."""
    entry.action = actions[0]
    for action in actions[1:]:
        entry.more.add().action = action


def marks_of(entry: ThunderTake) -> dict[str, object]:
    """What the animator did with a take and its batch, by the names of its properties: for another
    take that is made of it."""
    return {name: getattr(entry, name) for name in ("star", "note", "batch", "folded")}


def set_all(entry: ThunderTake, values: dict[str, object]) -> None:
    """Set properties of a take."""
    for name, value in values.items():
        setattr(entry, name, value)


_NUMBERED = re.compile(r"Take (\d+)$")  # name of a take that the animator has not named


def next_name(scene: bpy.types.Scene, mesh: bpy.types.Object | None, voice: str) -> str:
    """The name of the next take of a head and a voice: Take 1, Take 2 …"""
    numbered = (
        _NUMBERED.match(entry.name)
        for entry in scene.thunder.takes
        if entry.head == mesh and entry.voice == voice
    )
    return f"Take {1 + max((int(each[1]) for each in numbered if each), default=0)}"


def number_in_order(entries: Sequence[ThunderTake]) -> None:
    """Number new takes of one voice in their order in the list, so that names of takes and actions
    agree with files named by rank."""
    entries = list(entries)
    names = sorted((entry.name for entry in entries), key=lambda name: (len(name), name))
    for action in (action for entry in entries for action in display.actions_of(entry)):
        action.name = "·"  # so that no name is taken
    for name, entry in zip(names, entries):
        entry.name = name  # names its actions too


def free_name(
    scene: bpy.types.Scene, name: str, mesh: bpy.types.Object | None, voice: str, first: int = 2
) -> str:
    """A name, followed by a number from `first` on if a take of that head and voice already has it:
    Mix 2, Take 3.2."""
    taken = {
        entry.name for entry in scene.thunder.takes if entry.head == mesh and entry.voice == voice
    }
    join = "." if name[-1:].isdigit() else " "
    return next(
        free
        for free in (
            name,
            *(f"{name}{join}{number}" for number in range(first, first + len(taken) + 1)),
        )
        if free not in taken
    )


def name_action(entry: ThunderTake, context: bpy.types.Context | None = None) -> None:
    """Give a take's actions the animator's name for the take, for the dope sheet and for appending.

    Without a name the take is called by a number again.
    """
    if not entry.name:
        entry.name = next_name(entry.id_data, entry.head, entry.voice)  # comes back here
        return
    name = f"{entry.voice} · {entry.name}"
    for index, action in enumerate(display.actions_of(entry)):
        # before 4.4, as compat.new_action names them
        action.name = name if index == 0 else f"{name} {compat.type_of(action).title()}"


def points(score: float) -> str:
    """A lip-sync score as it is shown everywhere: a whole number, halves upwards; "…" while a take
    is still being ranked."""
    return str(math.floor(score + 0.5)) if math.isfinite(score) else "…"


def best_in_words(takes: list) -> str:
    """The score of the first of new takes, which is the best, as the end of a sentence; "" where
    nobody speaks."""
    if not math.isfinite(takes[0].score):
        return ""
    return f",{' the best' * (len(takes) > 1)} with Lip-Sync {points(takes[0].score)}"


def other_weights_in_words(before: str | None, takes: list) -> str:
    """The end of a sentence on new takes that were sampled after another one, made with weights of
    the fingerprint `before` (None: unknown): that theirs are others, "" if not."""
    said = ". The earlier take was made with other weights; new ones are made with those in use"
    return said * (before not in (None, takes[0].provenance.get("weights")))


def set_score(entry: ThunderTake, performance: keying.TakeData) -> None:
    """Store the score of a take that was listed without one, and what its provenance says of it;
    its keys may have been edited meanwhile."""
    for action in display.actions_of(entry):
        keying.record_of(action).update(performance.provenance | {"score": performance.score})
    if performance.sync_per_frame is not None and entry.action is not None:
        take_record.store_sync(entry.action, performance.sync_per_frame)
    entry.score = performance.score


WAITS = "…"  # the verdict of a take that is not scored yet


def verdict(entry: ThunderTake) -> str:
    """A take's grade, wherever it is shown; WAITS until it is known, "–" where nobody speaks."""
    if not speaks(entry):
        return "–"
    grade = grades.of_take(entry)
    return grade.name if grade is not None and math.isfinite(entry.score) else WAITS


def speaks(entry: ThunderTake) -> bool:
    """Whether the face of a take speaks, so that it has a lip-sync score."""
    return entry.role == SPEAKS.upper()


def why_silent(entry: ThunderTake) -> str:
    """That a take does not speak, "" if it does."""
    return "" if speaks(entry) else f"“{entry.name}” does not speak, so it has no Lip-Sync"


def listens(entry: ThunderTake) -> bool:
    """Whether the face of a take listens to its voice."""
    return entry.role == LISTENS.upper()


def score_text(entry: ThunderTake) -> str:
    """The verdict on a take as sheets and the grid show it, or what its face does instead of
    speaking."""
    return (
        verdict(entry)
        if speaks(entry)
        else entry.bl_rna.properties["role"].enum_items[entry.role].name
    )


def holds_work(entry: ThunderTake) -> bool:
    """Whether a take holds something of the animator's: a star, a note, a name, or edits. Slow:
    detecting edits reads all keys."""
    # in files of earlier versions takes are called by their seeds
    is_renamed = not _NUMBERED.match(entry.name) and entry.name.partition(".")[0] != str(entry.seed)
    return bool(
        entry.star
        or entry.note
        or entry.kind != "SAMPLED"
        or is_renamed
        or take_record.is_edited(entry)
    )


# ---- batches: takes that were generated together


class PendingBatch(jobs.Part):
    """A batch whose takes or scores are still to come. of: names of its head and its voice."""

    batch, of = 0, ("", "")


def pending_for() -> set[tuple[str, str]]:
    """The names of the heads and voices whose takes or scores are still to come."""
    return {part.of for part in jobs.session.parts if isinstance(part, PendingBatch)}


def pending_batches() -> set[int]:
    """The numbers of the batches whose takes or scores are still to come."""
    return {part.batch for part in jobs.session.parts if isinstance(part, PendingBatch)}


def next_batch(scene: bpy.types.Scene) -> int:
    """The number of the next batch of a scene."""
    return 1 + max((entry.batch for entry in scene.thunder.takes), default=0)


def open_batch(opened: ThunderTake) -> None:
    """Unfold the batch of a take, and fold the others of its head and voice."""
    for entry in opened.id_data.thunder.takes:
        if entry.head == opened.head and entry.voice == opened.voice:
            entry.folded = entry.batch != opened.batch


@once
def batches(context: bpy.types.Context) -> list[list]:
    """The takes of the chosen head and voice by their batches, the newest batch first."""
    result: dict[int, list] = {}
    for entry in takes_of_voice(context):
        result.setdefault(entry.batch, []).append(entry)
    return [result[number] for number in sorted(result, reverse=True)]


def count_in_words(count: int) -> str:
    """So many takes, in words."""
    return plural(count, f"{count} take", f"{count} takes")


def heading(batch: list) -> str:
    """When the takes of a batch were made, and their direction."""
    first = min(batch, key=lambda entry: entry.made)
    at = time.localtime(first.made)
    today = at[:3] == time.localtime()[:3]
    when = time.strftime("%H:%M" if today else "%d %b %H:%M", at) if first.made else ""
    return ", ".join(filter(None, (when, first.asked))) or "Earlier"


def earlier_takes(context: bpy.types.Context) -> list[int]:
    """Indices of the folded takes that are neither of the newest batch nor on their heads."""
    newest = max((batch[0].batch for batch in batches(context)), default=0)
    entries, on_heads = entries_of(context.scene), _on_heads(context.scene.thunder)
    return [
        place
        for place in of_voice(context)
        if entries[place].folded and entries[place].batch != newest and place not in on_heads
    ]


def remove(scene: bpy.types.Scene, index: int) -> None:
    """Remove an entry from the list, and those of its actions from the file that nothing else uses.

    The take must not be shown.
    """
    actions = display.actions_of(scene.thunder.takes[index])
    scene.thunder.takes.remove(index)
    for state in (state for other in bpy.data.scenes for state in other.thunder.heads):
        if state.before in actions:
            state.before = None
    for action in actions:
        if action.asset_data is None and action.users <= int(action.use_fake_user):
            bpy.data.actions.remove(action)


def delete(scene: bpy.types.Scene, indices: list[int]) -> None:
    """Delete takes; of a shown one the head gets the animator's animation back."""
    for index in sorted(indices, reverse=True):
        entry = scene.thunder.takes[index]
        if entry.action is not None and entry.head is not None and _is_on(entry):
            display.restore_animation(head.resolve(entry.head))
        remove(scene, index)


def duplicate(scene: bpy.types.Scene, index: int) -> int:
    """Copy a take with all changes, edited keys included; returns the copy's index in the list,
    right after it.

    Raises BadRequest if its action was deleted.
    """
    entries = scene.thunder.takes
    source = entries[index]
    if source.action is None:
        raise BadRequest(
            f"The action of take “{source.name}” was deleted: there is nothing to duplicate"
        )
    name = free_name(scene, source.name, source.head, source.voice)
    copies = [action.copy() for action in display.actions_of(source)]
    copy = entries.add()
    original = entries[index]  # adding may have moved it
    for part in original.bl_rna.properties:  # all other properties of a take
        if not part.is_readonly and part.identifier not in _OF_ITS_OWN:
            setattr(copy, part.identifier, getattr(original, part.identifier))
    _set_actions(copy, copies)
    for action in copies:
        action.use_fake_user = True
    copy.name, copy.kind, copy.made = name, "DUPLICATED", min(int(time.time()), LATEST)
    entries.move(len(entries) - 1, index + 1)
    return index + 1


def unlisted_actions(scene: bpy.types.Scene) -> list[bpy.types.Action]:
    """The first actions of takes that no scene of the file lists: appended from another file, or
    left by a list that is gone."""
    with_source = [
        action
        for action in bpy.data.actions
        if action.library is None and take_record.source_of(action) is not None
    ]
    if not with_source:
        return []
    listed = {
        action
        for other in bpy.data.scenes
        for entry in other.thunder.takes
        for action in display.actions_of(entry)
    }
    return [action for action in with_source if action not in listed]


def adopt(scene: bpy.types.Scene, rig: head.Rig, actions: list | None = None) -> int:
    """List the takes that no scene lists, or those of the given first actions, as takes of a rig;
    how many that are."""
    count, batch = 0, next_batch(scene)
    for action in unlisted_actions(scene) if actions is None else actions:
        performance = take_record.load(action)
        clock = take_record.clock_of(action)
        about = take_record.source_of(action)
        if performance is None or clock is None:  # its values are not numbers
            continue
        more = (
            []
            if compat.TARGET not in action
            else [  # one action per data-block, as before 4.4
                other
                for other in bpy.data.actions
                if other != action
                and other.name.startswith(f"{action.name} ")
                and keying.PROPERTY in other
                and take_record.SOURCE not in other
            ]
        )
        for part in (action, *more):
            part.use_fake_user = True
        name = _name_given(action, performance.seed)
        add_to_list(
            scene, rig, [action, *more], performance, about.get("voice", ""), clock, name=name
        ).batch = batch
        count += 1
    return count


def _name_given(action: bpy.types.Action, seed: int) -> str:
    """The name that the animator gave the take of an action, "" if the action is called by a number
    or a seed."""
    name = action.name.partition(" · ")[2]
    return "" if re.fullmatch(rf"(Take \d+|(seed )?{seed})(\.\d+)?", name) else name


def flip(scene: bpy.types.Scene, rig: head.Rig) -> str:
    """Show the head's previous animation again: a take, or the animator's. Returns its name;
    raises BadRequest."""
    remembered = head_state.of(rig.owner)
    entry = entry_of(scene, remembered.before) if remembered is not None else None
    if entry is not None:
        display.show(rig, entry)
        return entry.name
    if display.shown_action(rig) is None:
        raise BadRequest("There is nothing to flip to yet: show a take first")
    display.restore_animation(rig)
    return "My Animation"


def entry_of(scene: bpy.types.Scene, action: bpy.types.Action | None) -> ThunderTake | None:
    """The take of an action, None if a scene's list has it no more."""
    return next(
        (entry for entry in entries_of(scene) if action is not None and entry.action == action),
        None,
    )


def by_uid(scene: bpy.types.Scene | None, uid: int | None):
    """The take of a scene, or of no scene, whose first action has that session id; None if it is
    gone."""
    return next(
        (
            entry
            for entry in (scene.thunder.takes if scene else ())
            if entry.action and entry.action.session_uid == uid
        ),
        None,
    )


def in_any_scene(uid: int | None):
    """The take whose first action has that session id, in whichever scene lists it; None if it is
    gone."""
    return next(filter(None, (by_uid(scene, uid) for scene in bpy.data.scenes)), None)


def rig_of(scene: bpy.types.Scene, entry: ThunderTake) -> head.Rig:
    """The rig that a take was made for. Raises BadRequest if it is gone."""
    if entry.head is None or entry.head.name not in scene.objects:
        raise BadRequest(
            f"The head of take “{entry.name}” is no longer in this scene: generate takes for "
            f"another head"
        )
    return head.resolve(entry.head)


def animatable_rig(scene: bpy.types.Scene, entry: ThunderTake) -> head.Rig:
    """The same, if keys can be written on it and would be seen. Raises BadHead otherwise."""
    rig = rig_of(scene, entry)
    head.check_animatable(rig)
    return rig


def check_voice(entry: ThunderTake, voice: strip.Voice) -> strip.Voice:
    """The voice if a take is of it. Raises BadRequest otherwise."""
    if voice.name != entry.voice:
        raise BadRequest(
            f"“{entry.name}” is a take of “{entry.voice}”, but the chosen voice is "
            f"“{voice.name}”: choose “{entry.voice}”"
        )
    return voice


# ---- which one is shown
#
# Blender walks to an entry of a list of properties that is asked for by its index: with thousands
# of takes a loop goes through `entries_of`.


@once
def entries_of(scene: bpy.types.Scene) -> list:
    """The takes of a scene's list. Adding or removing one invalidates them."""
    return list(scene.thunder.takes)


@once
def _by_line(scene: bpy.types.Scene) -> dict[tuple, dict[int, object]]:
    """A scene's takes by (head, voice), in list order, each with its index."""
    lines: dict[tuple, dict] = {}
    for place, entry in enumerate(entries_of(scene)):
        lines.setdefault((entry.head, entry.voice), {})[place] = entry
    return lines


def voices(scene: bpy.types.Scene) -> set[str]:
    """Names of the voices that a scene has takes of."""
    return {name for _, name in _by_line(scene)}


@once
def of_voice(context: bpy.types.Context) -> list[int]:
    """Indices of the takes of the current head and voice, in list order.

    Where it has none: those of the voice that it was cut off (`piece_of`), else those whose voice
    cannot be chosen, as it is gone or unknown. All takes of the head without a voice.
    """
    mesh = chosen_mesh(context)
    lines: dict[str, dict] = {}
    for (face, name), takes in _by_line(context.scene).items():
        if mesh is None or face == mesh:
            lines[name] = lines.get(name, {}) | takes
    every = {place: entry for takes in lines.values() for place, entry in takes.items()}
    voice, _ = attempt(strip.find, context)
    if not every or voice is None:
        return sorted(every)
    if voice.name in lines:
        return sorted(lines[voice.name])
    if whole := piece_of(context.scene, voice.strip, mesh):
        return sorted(lines.get(whole, ()))
    strips = strip.scene_of_strips(context)
    return [place for place in sorted(every) if not _is_of_another_line(strips, every[place])]


def takes_of_voice(context: bpy.types.Context) -> list:
    """The takes that `of_voice` gives the indices of."""
    entries = entries_of(context.scene)
    return [entries[place] for place in of_voice(context)]


def of_line(scene: bpy.types.Scene, mesh: bpy.types.Object | None, name: str) -> list:
    """The takes of a head and a voice, in list order."""
    return list(_by_line(scene).get((mesh, name), {}).values())


def _is_of_another_line(strips: bpy.types.Scene, entry: ThunderTake) -> bool:
    """Whether a take is of a strip of a scene, or of a file."""
    state = fingerprint.of_take(entry)
    return bool(state is not None and state.path) or strip.by_name(strips, entry.voice) is not None


@once
def piece_of(scene: bpy.types.Scene, name: str, mesh: bpy.types.Object | None) -> str:
    """Name of the strip that this one was cut off, if the newest takes with which a head speaks it
    include this one; "" if it is a separate line."""
    one = strip.by_name(scene, name)
    if one is None:
        return ""
    for voice, states in _newest_states(scene, mesh).items():
        for then in states:
            if changes.part_of(scene, then, one):
                return voice
    return ""


@once
def _newest_states(
    scene: bpy.types.Scene, mesh: bpy.types.Object | None
) -> dict[str, list[fingerprint.State | None]]:
    """The states, when its newest takes were made, of each voice that a head speaks; one of each
    that they share."""
    by_batch: dict[str, dict] = {}
    for entry in entries_of(scene):
        if entry.head == mesh and not listens(entry):
            record = entry.action.get(fingerprint.STATE) if entry.action is not None else None
            if record:
                by_batch.setdefault(entry.voice, {}).setdefault(entry.batch, {})[record] = entry
    return {
        voice: [fingerprint.of_take(entry) for entry in found[max(found)].values()]
        for voice, found in by_batch.items()
    }


@once
def visible_places(context: bpy.types.Context) -> list[int]:
    """Places of the takes that the list shows now, in no particular order.

    Those of folded batches are left out, but for one that is on its head, and starred ones where
    only these are listed.
    """
    settings, places = context.scene.thunder, _unfolded_places(context)
    entries, on_heads = entries_of(context.scene), _on_heads(settings)
    if settings.only_starred:
        return places
    return [place for place in places if not entries[place].folded or place in on_heads]


def _unfolded_places(context: bpy.types.Context) -> list[int]:
    """Places of the takes that the list shows where no batch is folded."""
    entries, stars = entries_of(context.scene), context.scene.thunder.only_starred
    return [place for place in of_voice(context) if entries[place].star or not stars]


@once
def shown_index(settings: ThunderScene) -> int:
    """Index of the shown take, −1 for none: the list highlights it, and all buttons for the shown
    take act on it.

    A take is the shown one if it is on its head and visible in the list. One on another head than
    the chosen one, of another voice or without a star where only starred ones are listed is not;
    `why_none` explains that.
    """
    on_heads = _on_heads(settings)
    if on_heads and settings.id_data == bpy.context.scene:
        listed = set(_unfolded_places(bpy.context))
        on_heads = [index for index in on_heads if index in listed]
    return on_heads[0] if len(on_heads) == 1 else -1


def shown_take(settings: ThunderScene):
    """The shown take, as `shown_index` means it; None for none."""
    index = shown_index(settings)
    return settings.takes[index] if index >= 0 else None


def shown_rig(settings: ThunderScene) -> head.Rig | None:
    """The rig of the shown take."""
    entry = shown_take(settings)
    return head.resolve(entry.head) if entry is not None else None


def on_head(scene: bpy.types.Scene, mesh: bpy.types.Object):
    """The take of a scene's list that is on a head now, listed or not; None for the animator's
    animation."""
    entries = (scene.thunder.takes[index] for index in _on_heads(scene.thunder))
    return next((entry for entry in entries if entry.head == mesh), None)


def why_none(context: bpy.types.Context) -> str:
    """The reason why no take counts as shown, in a sentence for greyed buttons."""
    settings = context.scene.thunder
    mesh = chosen_mesh(context)
    on_heads = [
        settings.takes[index]
        for index in _on_heads(settings)
        if mesh is None or settings.takes[index].head == mesh
    ]
    if len(on_heads) > 1:
        return "Several heads show a take: choose one beside Thunder's person icon"
    if not on_heads:
        return "No take is shown: choose one in the list first"
    entry = on_heads[0]
    assert entry.head is not None  # which shows it
    return (
        f"“{entry.head.name}” shows “{entry.name}” of “{entry.voice}”, which is not in the list: "
        f"choose a take, that voice, or what the list shows"
    )


@once
def _on_heads(settings: ThunderScene) -> list[int]:
    """Indices of the takes that are on their heads now, whichever heads those are."""
    shown = {state.shown for scene in bpy.data.scenes for state in scene.thunder.heads} - {None}
    return [
        index
        for index, entry in enumerate(entries_of(settings.id_data))
        if shown and entry.action in shown and entry.head is not None and _is_on(entry)
    ]


def _is_on(entry: ThunderTake) -> bool:
    rig, _ = attempt(head.resolve, entry.head)
    return rig is not None and display.is_shown(rig, entry)


def chosen_mesh(context: bpy.types.Context):
    """Mesh of the head in the settings, None if there is none."""
    rig, _ = attempt(head.find, context.scene, head.active_object(context))
    return None if rig is None else rig.mesh


def take_at(settings: ThunderScene, index: int):
    """The take at an index of the list. Raises BadRequest."""
    if index >= len(settings.takes):
        raise BadRequest(f"There is no take {index + 1}: the list has {len(settings.takes)}")
    return settings.takes[index]


def show(settings: ThunderScene, index: int, play: bool = False) -> None:
    """Show the take at an index of the list (below 0: the animator's animation), and play it.
    Raises ThunderError."""
    scene = settings.id_data
    if index < 0:
        display.restore_animation(
            shown_rig(settings) or head.find(scene, head.active_object(bpy.context))
        )
        return
    entry = take_at(settings, index)
    display.show(rig_of(scene, entry), entry)
    if play:
        playback.start(scene, entry.first)


def show_index(settings: ThunderScene, index: int) -> None:
    """The same for a property, which cannot report an error: it pops up."""
    jobs.pop_up_errors(
        show, settings, index if index < len(settings.takes) else -1, settings.play_shown
    )
