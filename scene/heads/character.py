# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's own character: which objects it has, what its shapes are called, and how it is driven."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.channels import GAZE, JAW_OPEN_RADIANS, region_of, REGIONS
from ...thunder_core.easing import smoothstep
from ...thunder_core.errors import BadHead
from ...thunder_core.face import conventions, jaw_balance
from ...thunder_core.face.mapping import JointRule, Mapping, Rule, Target
from ...thunder_core.recent import Recent
from . import binding, drivers, head_state, rna_paths

_NEAR = 0.25  # a part without a parent lies in the face's box, made larger by this much of its longest side
_CACHE_MOST = 64
_EDGE = 0.02  # share of the farthest movement, squared, under which a region fades into the head
_SMOOTHINGS = 6
_JAW_TOO = 0.1  # of jawOpen in a key for the lips, from which on it is a vowel's
_AS_NAMED = 0.03  # a mouthClose that is this near to taking the jaw back is taken as it is
_detected: Recent = Recent(_CACHE_MOST)  # mappings by what tells one face from others
_mirrored: Recent = Recent(_CACHE_MOST)


# ---- which objects


def is_face(obj: bpy.types.Object) -> bool:
    """Whether an object has shapes that a naming convention explains, or was mapped by hand. Cheap."""
    if obj.type == "MESH":
        names = key_names(obj)
        return bool(names) and (bool(head_state.mapping(obj)) or conventions.find(names) is not None)
    return obj.type == "ARMATURE" and bool(head_state.mapping(obj))


def key_names(mesh: bpy.types.Object) -> tuple[str, ...]:
    """Names of a mesh's shape keys."""
    keys = mesh.data.shape_keys if mesh.type == "MESH" and mesh.data else None
    return tuple(block.name for block in keys.key_blocks) if keys is not None else ()


def face_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The object that stands for the character of an object: its mesh with most known shapes, or a mapped armature."""
    if head_state.mapping(obj):
        return obj
    family = relatives(obj)
    mapped = [other for other in family if head_state.mapping(other)]
    if mapped:
        return mapped[0]
    ranked = [
        (len(recognised), len(other.data.vertices), other)
        for other in family
        if other.type == "MESH" and (recognised := conventions.find(key_names(other))) is not None
    ]
    if ranked:
        return max(ranked, key=lambda rank: rank[:2])[2]
    # Bones and properties alone: the armature stands for them.
    armatures = [other for other in family if other.type == "ARMATURE"]
    return next((rig for rig in armatures if conventions.find(_property_names([rig])) is not None), None)


def relatives(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The objects of the character that an object belongs to: what shares its armature, its parent, or its place."""
    armature = obj if obj.type == "ARMATURE" else armature_of(obj)
    if armature is None and obj.type == "EMPTY":
        armature = next((other for other in obj.children_recursive if other.type == "ARMATURE"), None)
    if armature is not None:
        below = set(armature.children_recursive)
        around = [other for scene in armature.users_scene or obj.users_scene for other in scene.objects]
        deformed = [other for other in around if other.type == "MESH" and _deforms(armature, other)]
        result = [armature, *(other for other in around if other in below), *deformed, obj]
    elif obj.parent is not None or obj.type == "EMPTY":
        top = obj.parent or obj
        result = [obj, *(other for other in top.children_recursive if obj.type == "EMPTY" or _near(obj, other))]
    else:
        shared = [other for collection in obj.users_collection for other in collection.objects]
        result = [obj, *(other for other in shared if other.parent is None and _near(obj, other))]
    return [other for other in dict.fromkeys(result) if other.type in ("MESH", "ARMATURE")]


def armature_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The armature that deforms an object or stands above it."""
    for modifier in obj.modifiers if obj.type == "MESH" else ():
        if modifier.type == "ARMATURE" and modifier.object is not None:
            return modifier.object
    above = obj.parent
    while above is not None and above.type != "ARMATURE":
        above = above.parent
    return above


def _deforms(armature, mesh) -> bool:
    return any(m.type == "ARMATURE" and m.object == armature for m in mesh.modifiers)


def _near(face: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether an object's middle lies in the box of the face, a little enlarged; both of them meshes with shape keys."""
    if other == face:
        return True
    if other.type != "MESH" or face.type != "MESH" or not key_names(other):
        return False
    box = [_corners(face), _corners(other)]
    low, high = box[0].min(axis=0), box[0].max(axis=0)
    other_low, other_high = box[1].min(axis=0), box[1].max(axis=0)
    if (other_high - other_low).max() > 1.5 * (high - low).max():
        # The other one is the face of which this is a part.
        low, high, other_low, other_high = other_low, other_high, low, high
    margin, middle = _NEAR * (high - low).max(), (other_low + other_high) / 2
    return bool(((middle >= low - margin) & (middle <= high + margin)).all()) and not _same_shapes(face, other)


def _same_shapes(one, other) -> bool:
    """Whether two meshes look like two copies of one face rather than two parts of it."""
    return len(one.data.vertices) == len(other.data.vertices) and key_names(one) == key_names(other)


def _corners(obj) -> np.ndarray:
    return np.array([obj.matrix_world @ Vector(corner) for corner in obj.bound_box])


def objects_of(face: bpy.types.Object, plan: Mapping) -> list[bpy.types.Object]:
    """The objects a character's mapping may move: those it names as parts, else its relatives; and rule's own objects."""
    scenes = face.users_scene
    named = [scene.objects[name] for scene in scenes for name in plan.parts if name in scene.objects]
    result = [face, *(named or relatives(face))]
    wanted = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    for name in sorted(wanted - {""} - {other.name for other in result}):
        result += [scene.objects[name] for scene in scenes if name in scene.objects]  # a control rig of its own
    return list(dict.fromkeys(result))


# ---- how it is driven


def plan_of(face: bpy.types.Object) -> Mapping:
    """The mapping of a character: as it was kept, else as its names tell. Raises BadHead if a kept one is damaged."""
    text = head_state.mapping(face)
    return _kept(text) if text else detect(face)


@lru_cache(maxsize=32)
def _kept(text: str) -> Mapping:
    return Mapping.from_json(text)


def detect(face: bpy.types.Object, anew: bool = False) -> Mapping:
    """A mapping from the names of a character's shape keys, the controls that drive them, its properties and bones.

    The mapping has no rules where nothing is known. `anew` looks again though no name has changed.
    """
    family = relatives(face)
    parts = [obj for obj in family if obj.type == "MESH" and key_names(obj)]
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    parts.sort(key=lambda obj: obj is not face)
    names = tuple(dict.fromkeys(name for part in parts for name in key_names(part)))
    properties = _property_names(rigs + parts)
    bones = tuple(bone.name for rig in rigs for bone in rig.data.bones)
    driven = tuple(len(obj.data.shape_keys.animation_data.drivers) if obj.data.shape_keys.animation_data else 0 for obj in parts)
    signature = (face.session_uid, face.name_full, tuple(obj.name_full for obj in family), names, properties, bones, driven)
    if anew or signature not in _detected:
        _detected[signature] = _detect(face, parts, rigs, names, properties, bones)
    return _detected[signature]


def _detect(face, parts, rigs, names, properties, bones) -> Mapping:
    others = tuple(obj.name for obj in (*parts, *rigs)) + bones
    by_key = conventions.find(names, others) if names else None
    by_property = conventions.find(properties, others) if properties else None
    rules: list[Rule] = []
    if by_key is not None:
        rules = _rules_of_keys(by_key, parts)
    recognised = by_key
    moved = {rule.source for rule in rules}
    if by_property is not None and len(by_property) > len(moved):
        recognised, rules = by_property, _rules_of_properties(by_property, rigs + parts)
        moved = {rule.source for rule in rules}
    joints, more = _joints(recognised.convention if recognised else None, rigs, moved, parts, rules)
    forward, up = facing(rigs, joints)
    title = recognised.convention.title if recognised else "By Hand"
    plan = Mapping(title, tuple(rules + more), joints, recognised.convention.name if recognised else "", (), forward, up)
    return _met_by_the_lips(plan, parts)


def _met_by_the_lips(plan: Mapping, parts) -> Mapping:
    """The mapping as this character's own keys need it, by what they do to its vertices.

    mouthClose brings the lips together over the jaw, and no further: its key is given the weight that does. A mouthFunnel that
    parts the lips further than most has that taken back by mouthClose. Keys that shape the lips and open the jaw too, as those
    for vowels do, give the jaw's part back.
    """
    keyed = [rule for rule in plan.rules if rule.target.kind == "KEY"]
    jaws = {rule.target.name for rule in keyed if rule.source == "jawOpen"}
    having = [part for part in parts if len(jaws) == 1 and jaws <= set(key_names(part))]
    if not having:
        return plan
    part = max(having, key=lambda part: len(part.data.vertices))
    blocks, count = part.data.shape_keys.key_blocks, len(part.data.vertices)
    rest = _points(part.data.shape_keys.reference_key, count)

    def does(*sources):
        """What channels do at 1, offsets [V, 3]; None where only the jaw's own key stands in for them."""
        rules = [rule for rule in keyed if rule.source in sources and rule.target.name in blocks]
        moved = [
            rule.weight * (_points(blocks[rule.target.name], count) - rest)
            for rule in rules
            if rule.source == "jawOpen" or rule.target.name not in jaws
        ]
        return sum(moved) if moved else None

    opened, closes = does("jawOpen"), does("mouthClose")
    result = jaw_balance.response(opened, closes, does("mouthLowerDownLeft", "mouthLowerDownRight"), does("mouthFunnel"))
    close = result.close if closes is not None and abs(result.close - 1.0) >= _AS_NAMED else 1.0
    rules = [
        replace(rule, weight=round(close * rule.weight, 3)) if rule.source == "mouthClose" and close != 1.0 else rule for rule in plan.rules
    ]
    if closes is not None and result.funnel >= _AS_NAMED:  # it goes on rounding the lips, but parts them no further than it should
        rules += [
            Rule("mouthFunnel", rule.target, round(result.funnel * close * rule.weight, 3)) for rule in keyed if rule.source == "mouthClose"
        ]
    for source in {rule.source: None for rule in keyed if rule.source.startswith(jaw_balance.SHAPES_LIPS)}:
        shaped = does(source)
        share = 0.0 if shaped is None else jaw_balance.jaw_in(shaped, opened)
        if share >= _JAW_TOO:
            rules += [Rule(source, rule.target, round(-share * rule.weight, 3)) for rule in keyed if rule.source == "jawOpen"]
    return replace(plan, rules=tuple(rules), lower_per_jaw=round(result.lower, 3))


def _rules_of_keys(recognised: conventions.Recognised, parts) -> list[Rule]:
    """Rules from channels to shape keys, or to the controls that drive those."""
    rules = []
    for channel, shapes in recognised.shapes.items():
        for name, weight in shapes.items():
            there = [part.data.shape_keys for part in parts if name in part.data.shape_keys.key_blocks]
            curves = [drivers.driven(keys).get(rna_paths.key_path(name)) for keys in there]
            if None in curves:  # somewhere it moves freely; copies that follow it come along by themselves
                rules.append(Rule(channel, Target("KEY", name), weight))
                continue
            control = next((control for curve in curves if (control := drivers.follow(curve)) is not None), None)
            if control is not None and control.target.kind != "KEY":
                rules.append(Rule(channel, control.target, weight * control.weight))
    return list(dict.fromkeys(rules))


def _rules_of_properties(recognised: conventions.Recognised, objects) -> list[Rule]:
    rules = []
    for channel, shapes in recognised.shapes.items():
        for name, weight in shapes.items():
            for obj in objects:
                owners = [(obj, ""), *((bone, bone.name) for bone in (obj.pose.bones if obj.type == "ARMATURE" else ()))]
                rules += [
                    Rule(channel, Target("PROPERTY", name, obj.name, bone), weight)
                    for owner, bone in owners
                    if isinstance(owner.get(name), (int, float))
                ]
    return rules


def _property_names(objects) -> tuple[str, ...]:
    """Names of the numbers that objects and their pose bones have as custom properties."""
    result = []
    for obj in objects:
        owners = [obj, *(obj.pose.bones if obj.type == "ARMATURE" else ())]
        result += [name for owner in owners for name in owner.keys() if isinstance(owner.get(name), (int, float))]
    return tuple(dict.fromkeys(result))


def _joints(convention, rigs, moved: set[str], parts, found_rules) -> tuple[tuple[JointRule, ...], list[Rule]]:
    """Bones for what no key moves: jaw, eyes, neck; and the rule that lets a jaw of bone close lips by itself."""
    known = {each.name: each for each in conventions.conventions()}
    order = [each for each in (convention, known.get("arkit"), *known.values()) if each is not None]
    joints, rules = [], []

    def usable(joint):
        for each in order:
            there = conventions.match(each.bones.get(joint, ()), [bone.name for rig in rigs for bone in rig.data.bones])
            places = [
                (rig, name)
                for wanted in each.bones.get(joint, ())
                for name in there.get(wanted, ())
                for rig in rigs
                if name in rig.pose.bones and _is_free(rig, name)
            ]
            if places:
                return places
        return []

    if "jawOpen" not in moved and (places := usable("jaw")):
        rig, bone = places[0]
        joints.append(JointRule("jaw", bone, rig.name))
        for source, (other, weight) in conventions.FALLBACKS.items():
            if other == "jawOpen" and source not in moved:
                rules.append(Rule(source, Target("BONE", "", rig.name, bone, "rotation", 0), weight * JAW_OPEN_RADIANS))
    looks = {rule.target.name for rule in found_rules if rule.source.startswith(GAZE) and rule.target.kind == "KEY"}
    for joint in ("eye_left", "eye_right"):
        places = usable(joint)
        by_keys = any(source.startswith(GAZE) for source in moved)
        if places and (not by_keys or _only_lids(places[0][1], looks, parts)):
            joints.append(JointRule(joint, places[0][1], places[0][0].name))
    if places := usable("neck"):
        places = list(dict.fromkeys(places))[:2]
        joints += [JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places]
    return tuple(joints), rules


def _only_lids(bone: str, names: set[str], parts) -> bool:
    """Whether keys of looking leave the eyeball of a bone where it is: then keys move the lids and the bone the eye."""
    seen = False
    for part in parts:
        group = part.vertex_groups.get(bone)
        if group is None:
            continue
        ids = [v.index for v in part.data.vertices for g in v.groups if g.group == group.index and g.weight > 0.5]
        keys = part.data.shape_keys
        rest = _points(keys.reference_key, len(part.data.vertices))
        least = 1e-3 * max(part.dimensions)
        for name in names & set(key_names(part)) if ids else ():
            seen = True
            if np.abs(_points(keys.key_blocks[name], len(rest))[ids] - rest[ids]).max() > least:
                return False
    return seen


def _is_free(rig, bone: str) -> bool:
    """Whether keys on a bone would be seen: no constraint and no driver has the last word."""
    pose = rig.pose.bones[bone]
    if any(not constraint.mute and constraint.influence > 0 for constraint in pose.constraints):
        return False
    start = rna_paths.bone_path(bone) + ".rotation"
    return not any(path.startswith(start) for path in drivers.driven(rig))


def facing(rigs, joints) -> tuple[str, str]:
    """Where a character looks and where its top is, in its armature's own axes: by its eyes, else by its height."""
    place = {
        joint.joint: rig.data.bones[joint.bone].head_local
        for joint in joints
        for rig in rigs
        if rig.name == joint.object and joint.bone in rig.data.bones
    }
    rig = next((rig for rig in rigs if joints and rig.name == joints[0].object), None)
    if rig is None:
        return "", ""
    heads = np.array([bone.head_local for bone in rig.data.bones] + [bone.tail_local for bone in rig.data.bones])
    left = np.array([1.0, 0.0, 0.0])
    if "eye_left" in place and "eye_right" in place:
        left = _nearest(np.array(place["eye_left"] - place["eye_right"]))
    rise = heads[:, :].max(axis=0) - heads.min(axis=0)
    if "eye_left" in place and "neck" in place:
        rise = np.array(place["eye_left"] - place["neck"])
    elif rig.data.bones:
        root = np.array(rig.data.bones[0].head_local)
        high = heads[np.argmax(np.linalg.norm(heads - root, axis=1))] - root
        rise = high if np.abs(high).max() > 1e-6 else np.array([0.0, 0.0, 1.0])
    up = _nearest(np.where(np.abs(left) > 0.5, 0.0, rise))
    return _letter(np.cross(left, up)), _letter(up)


def _nearest(vector: np.ndarray) -> np.ndarray:
    """The axis nearest to a direction."""
    axis = int(np.argmax(np.abs(vector)))
    return np.eye(3)[axis] * (1.0 if vector[axis] >= 0 else -1.0)


def _letter(axis: np.ndarray) -> str:
    index = int(np.argmax(np.abs(axis)))
    return ("-" if axis[index] < 0 else "") + "XYZ"[index]


# ---- bound


@dataclass(frozen=True)
class Character:
    """A character as it is now: the object that stands for it, its mapping, its objects, what those bind to."""

    face: bpy.types.Object
    plan: Mapping
    objects: list
    bound: binding.Binding


def resolve(obj: bpy.types.Object) -> Character:
    """The character that an object belongs to. Raises BadHead with the reason if Thunder cannot move it."""
    face = face_of(obj)
    if face is None:
        raise BadHead(f"“{obj.name}” has no shape keys that Thunder knows: choose another object, map it by hand, or press Add Head")
    plan = plan_of(face)
    objects = objects_of(face, plan)
    keys = face.data.shape_keys if face.type == "MESH" else None
    moves_face = keys is not None and any(rule.target.kind == "KEY" and rule.target.name in keys.key_blocks for rule in plan.rules)
    bound = binding.bind(plan, objects, (keys,) if moves_face else ())
    if not bound.targets:
        raise BadHead(f"The mapping of “{face.name}” fits none of its objects: press Find by Names again or map it by hand")
    if not {"jawOpen", "jaw.x"} & bound.driver.used:
        raise BadHead(f"“{face.name}” has no jaw: it needs a shape key such as “jawOpen” or a jaw bone, map one by hand")
    return Character(face, plan, objects, bound)


def keep(face: bpy.types.Object, plan: Mapping) -> None:
    """Keep a mapping with a character."""
    head_state.keep_mapping(face, plan.to_json())


def used(plan: Mapping, bound: binding.Binding) -> set[str]:
    """Names of the channels, keys and joints that truly move something."""
    unmet = set(bound.unmet)
    return {rule.source for rule in plan.rules if rule not in unmet and rule.weight} | {
        rule.joint for rule in plan.joints if rule not in unmet and rule.scale
    }


def with_parts(plan: Mapping, names: tuple[str, ...]) -> Mapping:
    """The same mapping for other objects."""
    return replace(plan, parts=names)


# ---- left and right


def is_mirrored(character: Character) -> bool:
    """Whether what a character calls left is its right: seen by which eye the blink of the left one closes.

    Where it looks is told by its shape: lids are in front of its middle. False where that cannot be seen.
    """
    rules = {rule.source: rule.target for rule in character.plan.rules if rule.target.kind == "KEY"}
    left, right = rules.get("eyeBlinkLeft"), rules.get("eyeBlinkRight")
    face = character.face
    if left is None or right is None or left == right or face.type != "MESH" or face.data.shape_keys is None:
        return False
    blocks = face.data.shape_keys.key_blocks
    if left.name not in blocks or right.name not in blocks:
        return False
    signature = (face.session_uid, left.name, right.name, len(face.data.vertices))
    if signature not in _mirrored:
        _mirrored[signature] = _blinks_the_other(face, blocks[left.name], blocks[right.name])
    return _mirrored[signature]


def _blinks_the_other(face, left, right) -> bool:
    count = len(face.data.vertices)
    rest = _points(face.data.shape_keys.reference_key, count)
    eyes = []
    for block in (left, right):
        moved = np.linalg.norm(_points(block, count) - rest, axis=1)
        if moved.max() < 1e-9:
            return False
        eyes.append(np.average(rest, axis=0, weights=moved))
    turn = np.array(face.matrix_world.to_3x3())
    rest, eyes = rest @ turn.T, np.array(eyes) @ turn.T
    ahead = (eyes.mean(axis=0) - (rest.min(axis=0) + rest.max(axis=0)) / 2)[:2]
    apart = (eyes[0] - eyes[1])[:2]
    size = np.linalg.norm((rest.max(axis=0) - rest.min(axis=0))[:2])
    if np.linalg.norm(ahead) < 0.05 * size or np.linalg.norm(apart) < 0.02 * size:
        return False
    to_the_left = np.array([-ahead[1], ahead[0]])  # of somebody who looks ahead, seen from above
    return float(to_the_left @ apart) < -0.5 * float(np.linalg.norm(to_the_left) * np.linalg.norm(apart))


def mirrored(plan: Mapping) -> Mapping:
    """The same mapping with left and right exchanged."""

    def other(source: str) -> str:
        for one, two in (("Left", "Right"), ("Right", "Left"), ("_left", "_right"), ("_right", "_left")):
            if source.endswith(one):
                return source[: -len(one)] + two
        return source

    return replace(
        plan,
        rules=tuple(replace(rule, source=other(rule.source)) for rule in plan.rules),
        joints=tuple(replace(rule, joint=other(rule.joint)) for rule in plan.joints),
    )


# ---- regions


def regions(character: Character) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """How much each vertex of a character's meshes belongs to each region of the face: {object: (names, weights [R, V])}.

    A vertex belongs to what moves it: how far each channel moves it, as a part of the farthest that the channel moves
    any, squared, tells how much it belongs to the channel's region. A key that several channels move counts for those that
    move it most. What nothing moves belongs to the head. Rows sum to 1 per vertex.
    """
    names = REGIONS
    driver, targets, result = character.bound.driver, character.bound.targets, {}
    most: dict[int, float] = {}
    for _, track, weight in driver.parts:
        most[track] = max(most.get(track, 0.0), abs(weight))
    for obj in character.objects:
        keys = obj.data.shape_keys if obj.type == "MESH" else None
        if keys is None:
            continue
        count = len(obj.data.vertices)
        rest = _points(keys.reference_key, count)
        moved = np.zeros((len(names), count))

        def add(source, lengths, moved=moved):
            row = names.index(region_of(source))
            moved[row] = np.maximum(moved[row], (lengths / max(float(lengths.max()), 1e-9)) ** 2)

        for source, track, weight in driver.parts:
            at = driver.tracks[track]
            if targets[at.block] == keys and weight and abs(weight) >= most[track] / 2:
                owner, _, _ = rna_paths.split(at.path)
                add(source, np.linalg.norm(_points(keys.path_resolve(owner), count) - rest, axis=1))
        for turn in driver.turns:
            at = driver.tracks[turn.first]
            group = obj.vertex_groups.get(at.group)
            if group is not None and _deforms(targets[at.block], obj):
                arm = np.linalg.norm(rest - _joint_place(obj, targets[at.block], at.group), axis=1)
                for source, _, _ in turn.parts:
                    if region_of(source) != "head":
                        add(source, arm * _group(obj, group.index, count))
        total = moved.sum(axis=0)
        moving = smoothstep(np.clip(total / _EDGE, 0.0, 1.0))
        weights = moved / np.maximum(total, 1e-12) * moving
        weights[names.index("head")] += 1.0 - moving
        result[obj.name] = (names, _smooth(obj.data, weights).astype(np.float32))
    return result


def _smooth(mesh, weights: np.ndarray) -> np.ndarray:
    """Weights [R, V] of which every vertex takes half from its neighbours, a few times over; sums stay."""
    edges = np.empty(2 * len(mesh.edges), np.int32)
    mesh.edges.foreach_get("vertices", edges)
    ends = np.concatenate([edges, edges.reshape(-1, 2)[:, ::-1].ravel()]).reshape(-1, 2)
    count = np.bincount(ends[:, 0], minlength=weights.shape[1])
    for _ in range(_SMOOTHINGS):
        around = np.stack([np.bincount(ends[:, 0], row[ends[:, 1]], weights.shape[1]) for row in weights])
        weights = np.where(count > 0, (weights + around / np.maximum(count, 1)) / 2, weights)
    return weights


def _group(mesh, index: int, count: int) -> np.ndarray:
    """Weights [V] of a vertex group."""
    weights = np.zeros(count)
    for vertex in mesh.data.vertices:
        for group in vertex.groups:
            if group.group == index:
                weights[vertex.index] = group.weight
    return weights


def _joint_place(mesh, armature, bone: str) -> np.ndarray:
    """Where a bone turns, in a mesh's own axes."""
    return np.array(mesh.matrix_world.inverted() @ armature.matrix_world @ armature.data.bones[bone].head_local)


def _points(key, count: int) -> np.ndarray:
    buffer = np.empty(count * 3, np.float32)
    key.data.foreach_get("co", buffer)
    return buffer.reshape(count, 3).astype(np.float64)
