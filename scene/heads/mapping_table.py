# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping of a character as an editable table (`face/reading/mapping_rows.py`), saved mappings,
and previews of one channel on the character."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core import records
from ...thunder_core.errors import attempt, BadHead, ThunderError
from ...thunder_core.face import mapping
from ...thunder_core.face.moving import driving
from ...thunder_core.face.reading import mapping_rows
from ...thunder_core.named_files import NamedFiles
from ...thunder_core.text_files import NotText
from ...thunder_core.types import JAW_OPEN_RADIANS
from ..host.compat import user_folder
from ..host.jobs import AddonChanges
from . import character, drawn, family, head, head_state, new_shapes, rna_paths

if TYPE_CHECKING:
    from ..properties.settings import ThunderRow, ThunderScene


_MOST_RULES = 10_000  # of a saved mapping, some seconds
_filling = AddonChanges()  # marks rows that the add-on writes, which are not edits


def meant(
    scene: bpy.types.Scene, active: bpy.types.Object | None = None
) -> bpy.types.Object | None:
    """The object of the character that is mapped: the chosen one, else the active one if it may be
    one, else the only head of the scene. A dot of Mark the Face stands for its face."""
    active = new_shapes.meant_by(active)
    chosen = scene.thunder.head or active
    is_possible = chosen is not None and family.may_be_character(chosen)
    return chosen if is_possible else head.guess(scene, active) or chosen


def face(scene: bpy.types.Scene, active: bpy.types.Object | None = None) -> bpy.types.Object:
    """The object whose mapping the table shows or will show. Raises BadHead if there is none."""
    chosen = meant(scene, active)
    if chosen is None:
        raise BadHead(
            "No character is selected: choose its face or its armature beside Thunder's person icon"
        )
    if head.is_thunder_head(chosen):
        raise BadHead(
            "This head comes with Thunder and needs no mapping: choose a character of your own"
        )
    return family.face_of(chosen) or chosen


def fill(scene: bpy.types.Scene, obj: bpy.types.Object) -> None:
    """Write a character's mapping into the table."""
    end(scene)
    settings = scene.thunder
    plan = character.plan_of(obj)
    rows = mapping_rows.rows_of(plan, head.channel_names())
    with _filling:
        settings.table.clear()
        for values in rows:
            _fill_row(settings.table.add(), values)
        settings.balance = plan.balance
        settings.least, settings.step = plan.least, plan.step
        settings.table_head = obj
        settings.table_index = min(settings.table_index, len(rows) - 1)
        settings.table_text = head_state.mapping(obj)


def is_current(scene: bpy.types.Scene, obj: bpy.types.Object) -> bool:
    """Whether the table shows the mapping of a character as it is."""
    settings = scene.thunder
    return (
        settings.table_head == obj
        and len(settings.table) > 0
        and settings.table_text == head_state.mapping(obj)
    )


def keep(scene: bpy.types.Scene) -> None:
    """Store the table as the character's mapping, and show it if a preview runs."""
    settings = scene.thunder
    obj = settings.table_head
    if obj is None:
        return
    like = attempt(character.plan_of, obj)[0] or mapping.Mapping("By Hand")
    preview_on = settings.preview
    end(scene)
    chosen = {name: getattr(settings, name) for name in ("balance", "least", "step")}
    _keep(obj, replace(mapping_rows.plan_of_rows(settings.table, like), **chosen))
    settings.table_text = head_state.mapping(obj)
    if preview_on:
        settings.preview = True


def keep_edit(row: ThunderRow | ThunderScene, context: bpy.types.Context) -> None:
    """A cell of the table, or a setting next to it, was changed."""
    scene = row.id_data
    assert isinstance(scene, bpy.types.Scene)
    if not _filling.active:
        settings = scene.thunder
        of = settings.table_head
        before = None if of is None else attempt(character.plan_of, of)[0]
        if before is not None:
            with _filling:
                for other, values in mapping_rows.follow_edit(row, list(settings.table), before):
                    _fill_row(other, values)
        keep(scene)


def _fill_row(row: ThunderRow, values: dict) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def keep_plan(scene: bpy.types.Scene, obj: bpy.types.Object, plan: mapping.Mapping) -> None:
    """Keep a whole new mapping and show it in the table."""
    end(scene)
    _keep(obj, plan)
    fill(scene, obj)


def _keep(obj: bpy.types.Object, plan: mapping.Mapping) -> None:
    """Store a mapping; drawings are wired to it. Raises BadHead, and then nothing was changed."""
    before = head_state.mapping(obj)
    if plan.drawn:
        plan = drawn.make_own(obj, plan)
    head_state.keep_mapping(obj, plan.to_json())
    if plan.drawn or family.is_drawn(obj):
        try:
            drawn.wire(obj, plan)
        except BadHead:
            head_state.keep_mapping(obj, before)
            raise


# ---- saved mappings, for other characters


def presets() -> NamedFiles:
    """The files of the animator's saved mappings."""
    return NamedFiles(user_folder("mappings"))


def preset(name: str) -> mapping.Mapping:
    """A saved mapping. Raises BadHead if it is missing or damaged."""
    try:
        plan = mapping.Mapping.from_json(presets().read(name))
    except (OSError, NotText) as error:
        reason = getattr(error, "strerror", None) or f"it {error}"
        raise BadHead(f"The preset “{name}” cannot be read ({reason}): save it again") from error
    if len(plan.rules) > _MOST_RULES:
        raise BadHead(
            f"The preset “{name}” has {len(plan.rules):,} rules, more than {_MOST_RULES:,}, which "
            f"would take long: map this character anew, or save one with fewer rules"
        )
    return plan


def pose(rig: head.Rig, source: str, amount: float) -> list[float]:
    """The numbers of a rig's tracks with one channel, derived key or joint at an amount and all
    else at rest."""
    axis = {"jaw": ".x", "neck": ".y", "eye_left": ".y", "eye_right": ".y"}.get(source, "")
    value = np.array([amount * JAW_OPEN_RADIANS if axis else amount])
    motion = driving.motion_of({source + axis: value}, (source,), 1)
    return rig.driver.drive(motion, (source,))[0].tolist()


def show(scene: bpy.types.Scene, rig: head.Rig, source: str, amount: float) -> None:
    """Show a channel on a character; what stood there is kept in the scene until `end`."""
    settings = scene.thunder
    if not settings.preview_kept:
        values = [
            (rig.targets[track.block].name, track.path, track.index, value)
            for track, value in zip(rig.driver.tracks, rig.values())
        ]
        settings.preview_kept = json.dumps({"head": rig.mesh.name, "values": values})
    rig.set_values(pose(rig, source, amount))


def end(scene: bpy.types.Scene) -> None:
    """Restore the character's values from before the preview; the current frame's animation is
    visible again."""
    settings = scene.thunder
    if not settings.preview_kept:
        return
    text, settings.preview_kept = settings.preview_kept, ""
    if settings.preview:
        settings.preview = False
    targets = {}
    with contextlib.suppress(ThunderError, *records.UNREADABLE):
        record = json.loads(text)
        rig = head.resolve(bpy.data.objects[record["head"]])
        targets = {target.name: target for target in rig.targets}
        for name, path, index, value in record["values"]:
            if name in targets and rna_paths.exists(targets[name], path):
                rna_paths.set_value(targets[name], path, index, value)
    if any(target.animation_data is not None for target in targets.values()):
        scene.frame_set(scene.frame_current, subframe=scene.frame_subframe)


def end_all() -> None:
    """End whatever preview runs, before a head's state is noted or changed."""
    for scene in bpy.data.scenes:
        end(scene)


def refresh(scene: bpy.types.Scene) -> None:
    """Preview the table's active row, or end the preview when it is switched off."""
    settings = scene.thunder
    rows, of = settings.table, settings.table_head
    try:
        rig = (
            head.resolve(of)
            if settings.preview and of is not None and 0 <= settings.table_index < len(rows)
            else None
        )
    except (ThunderError, AttributeError):
        rig = None
    if rig is None:
        end(scene)
    else:
        show(scene, rig, rows[settings.table_index].source, settings.preview_amount)
