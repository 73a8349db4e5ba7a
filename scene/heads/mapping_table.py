# SPDX-License-Identifier: GPL-3.0-or-later
"""The mapping of a character as an editable table: a row for each rule, and one for each channel
without a rule; and previews of one channel on the character."""

import contextlib
import json
from dataclasses import replace

import bpy
import numpy as np

from ...thunder_core import records
from ...thunder_core.errors import attempt, BadHead, ThunderError
from ...thunder_core.face import conventions, mapping
from ...thunder_core.face.bones import jaw_rules
from ...thunder_core.named_files import NamedFiles
from ...thunder_core.spoken import MOUTH_SOUNDS
from ...thunder_core.types import GAZE, JAW_OPEN_RADIANS, Motion
from ..host.compat import user_folder
from ..host.jobs import AddonChanges
from . import character, family, head, head_state, rna_paths

_filling = AddonChanges()  # marks rows that the add-on writes, which are not edits


def rows_of(plan: mapping.Mapping, channels) -> list[dict]:
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
    sources = dict.fromkeys(row["source"] for row in rows)
    order = list(
        dict.fromkeys(
            ("jaw", *conventions.all_sources(channels), *mapping.JOINTS, *MOUTH_SOUNDS, *sources)
        )
    )
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


def _is_needless(source: str, sources) -> bool:
    """Whether a source without a rule is no gap, since the same movement is made another way."""
    if source in ("jawOpen", "jawLeft", "jawRight"):
        return "jaw" in sources
    if source == "jaw":
        return "jawOpen" in sources
    if source.startswith(GAZE):
        return "eye_left" in sources or "eye_right" in sources
    return source in ("eye_left", "eye_right") and any(name.startswith(GAZE) for name in sources)


def plan_of_rows(rows, like: mapping.Mapping) -> mapping.Mapping:
    """The mapping in a table; data without rows (parts, axes) are as in `like`. Incomplete rows are
    left out."""
    rules, joints = [], []
    for row in rows:
        if row.kind == "JOINT" and row.bone:
            joints.append(mapping.JointRule(row.source, row.bone, row.object, row.weight))
        elif row.kind in ("KEY", "PROPERTY") and row.target:
            bone = row.bone if row.kind == "PROPERTY" else ""
            rules.append(
                mapping.Rule(
                    row.source, mapping.Target(row.kind, row.target, row.object, bone), row.weight
                )
            )
        elif row.kind == "BONE" and (row.bone or row.object):
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


def meant(scene, active=None) -> bpy.types.Object | None:
    """The object of the character that is mapped: the chosen one, else the active one if it may be
    one, else the only head of the scene."""
    chosen = scene.thunder.head or active
    is_possible = chosen is not None and family.may_be_character(chosen)
    return chosen if is_possible else head.guess(scene, active) or chosen


def face(scene, active=None) -> bpy.types.Object:
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


def fill(scene, obj: bpy.types.Object) -> None:
    """Write a character's mapping into the table."""
    end(scene)
    settings = scene.thunder
    plan = character.plan_of(obj)
    rows = rows_of(plan, head.channel_names())
    with _filling:
        settings.table.clear()
        for values in rows:
            row = settings.table.add()
            for name, value in values.items():
                setattr(row, name, value)
        settings.balance = plan.balance
        settings.table_head = obj
        settings.table_index = min(settings.table_index, len(rows) - 1)
        settings.table_text = head_state.mapping(obj)


def is_current(scene, obj: bpy.types.Object) -> bool:
    """Whether the table shows the mapping of a character as it is."""
    settings = scene.thunder
    return (
        settings.table_head == obj
        and len(settings.table) > 0
        and settings.table_text == head_state.mapping(obj)
    )


def keep(scene) -> None:
    """Store the table as the character's mapping, and show it if a preview runs."""
    settings = scene.thunder
    obj = settings.table_head
    if obj is None:
        return
    like = attempt(character.plan_of, obj)[0] or mapping.Mapping("By Hand")
    preview_on = settings.preview
    end(scene)
    head_state.keep_mapping(
        obj, replace(plan_of_rows(settings.table, like), balance=settings.balance).to_json()
    )
    settings.table_text = head_state.mapping(obj)
    if preview_on:
        settings.preview = True


def keep_edit(row, context) -> None:
    """A cell of the table, or a setting next to it, was changed."""
    if not _filling.active:
        _end_stand_in(row)
        _close_by_jaw(row)
        keep(row.id_data)


def _end_stand_in(row) -> None:
    """Where another channel's key stood in for a row's, reversed or in part, a key that is chosen
    instead moves in full."""
    obj, source = row.id_data.thunder.table_head, getattr(row, "source", "")
    if obj is None or source not in conventions.FALLBACKS:
        return
    plan = attempt(character.plan_of, obj)[0]
    before = {rule.target.name for rule in plan.rules if rule.source == source} if plan else set()
    is_stand_in = abs(row.weight - conventions.FALLBACKS[source][1]) < 1e-6
    if before and row.target not in before and is_stand_in:
        with _filling:
            row.weight = 1.0


def _close_by_jaw(row) -> None:
    """Where nothing else closes the lips over an open jaw, one that is chosen closes them, as one
    found by its name does. What was cleared or chosen instead stays so."""
    table, obj = row.id_data.thunder.table, row.id_data.thunder.table_head
    before = attempt(character.plan_of, obj)[0] if obj is not None else None
    if before is None or getattr(row, "source", "") not in ("jaw", "jawOpen"):
        return
    closes, stood_in = (
        {(rule.target, round(rule.weight, 4)) for rule in rules if rule.source == "mouthClose"}
        for rules in (before.rules, _closing_jaw(before))
    )
    closing = _closing_jaw(plan_of_rows(table, before)) if closes == stood_in else []
    for place, rule in zip((each for each in table if each.source == "mouthClose"), closing):
        rows = rows_of(mapping.Mapping("", rules=(rule,)), ())
        with _filling:
            for name, value in next(each for each in rows if each["source"] == rule.source).items():
                setattr(place, name, value)


def _closing_jaw(plan: mapping.Mapping) -> list[mapping.Rule]:
    """The rules by which the jaws of a mapping close the lips."""
    opening = [rule for rule in plan.rules if rule.source == "jawOpen"] + jaw_rules(plan)
    share = conventions.FALLBACKS["mouthClose"][1]
    return [replace(rule, source="mouthClose", weight=share * rule.weight) for rule in opening]


def keep_plan(scene, obj: bpy.types.Object, plan: mapping.Mapping) -> None:
    """Keep a whole new mapping and show it in the table."""
    end(scene)
    head_state.keep_mapping(obj, plan.to_json())
    fill(scene, obj)


# ---- saved mappings, for other characters


def presets() -> NamedFiles:
    """The files of the animator's saved mappings."""
    return NamedFiles(user_folder("mappings"))


def preset(name: str) -> mapping.Mapping:
    """A saved mapping. Raises BadHead if it is missing or damaged."""
    try:
        return mapping.Mapping.from_json(presets().read(name))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise BadHead(f"The preset “{name}” cannot be read ({reason}): save it again") from error


def pose(rig: head.Rig, source: str, amount: float) -> list[float]:
    """The numbers of a rig's tracks with one channel, derived key or joint at an amount and all
    else at rest."""
    return rig.driver.drive(motion(source, amount), (source,))[0].tolist()


def motion(source: str, amount: float) -> Motion:
    """A motion of one frame in which one source is at an amount; its expression has that one
    channel."""
    expression, jaw, neck, eyes = (np.zeros((1, length)) for length in (1, 3, 3, 3))
    if source in mapping.DERIVED:
        turned_jaw, turned_eyes = mapping.joint_rotations({source: np.array([amount])}, 1)
        jaw, eyes = turned_jaw, eyes if turned_eyes is None else turned_eyes
    elif source == "jaw":
        jaw[0, 0] = amount * JAW_OPEN_RADIANS
    elif source in ("eye_left", "eye_right"):
        eyes[0, 1] = amount * JAW_OPEN_RADIANS
    elif source == "neck":
        neck[0, 1] = amount * JAW_OPEN_RADIANS
    else:
        expression[0, 0] = amount
    return Motion(expression, jaw, neck, eyes)


def show(scene, rig: head.Rig, source: str, amount: float) -> None:
    """Show a channel on a character; what stood there is kept in the scene until `end`."""
    settings = scene.thunder
    if not settings.preview_kept:
        tracks = [
            (rig.targets[track.block], track.path, track.index) for track in rig.driver.tracks
        ]
        values = [
            (target.name, path, index, rna_paths.value(target, path, index))
            for target, path, index in tracks
        ]
        settings.preview_kept = json.dumps({"head": rig.mesh.name, "values": values})
    for track, value in zip(rig.driver.tracks, pose(rig, source, amount)):
        rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
    rna_paths.tag(rig.targets)


def end(scene) -> None:
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


def refresh(scene) -> None:
    """Preview the table's active row, or end the preview when it is switched off."""
    settings = scene.thunder
    rows = settings.table
    try:
        rig = (
            head.resolve(settings.table_head)
            if settings.preview and 0 <= settings.table_index < len(rows)
            else None
        )
    except (ThunderError, AttributeError):
        rig = None
    if rig is None:
        end(scene)
    else:
        show(scene, rig, rows[settings.table_index].source, settings.preview_amount)
