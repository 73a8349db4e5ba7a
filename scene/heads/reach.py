# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a character's keys and bones do to its face: where its lips are, how far they part,
which way it looks.

Nothing in the scene is moved, so panels can measure too: points come from the shape keys (with
their vertex groups and the keys they are relative to), the weights of bones, and drivers.
"""

from collections.abc import Mapping as Values
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import bpy
import numpy as np
from mathutils import Euler, kdtree, Matrix, Quaternion, Vector

from ...thunder_core.face import jaw_balance, mapping
from ...thunder_core.face.lips import CLOSED_MM
from ...thunder_core.types import JAW_OPEN_RADIANS
from . import binding, driven
from .family import deforms, key_names

_STILL_SHARE = 1e-6  # share of a mesh's size below which a point does not move
_STRONG = 0.5  # share of its largest movement from which on a point counts
_PARTED = 0.35  # share of the jaw's largest movement between upper and lower lip
_APART = 0.5  # by how much points of a pair that are apart at rest count less as lips
_MOST_LIPS = 4000  # points below the mouth that are looked at
_ABLE, _DEEP = 0.6, 0.025  # share of the widest pair, and of a head's height: lips, before teeth
_SEAM = 0.005  # share of a head's height by which pairs are further apart than the nearest
_MIDDLE = 0.9  # share of the widest pair from which on a pair is the middle of the lips
HEAD_MM, _HEADS_MM = 220.0, (120.0, 600.0)  # height of a head, and what is taken as it is
_LITTLE = 0.2  # of a channel, far from where its slider stops
_SHUT_MM = 1.5  # gap of lips in a Basis up to which they count as shut
LEAST_OPEN_MM = 3.0  # least distance by which an open jaw parts the lips
_FLAT = 1e-3  # points that are so nearly on a line tell no rotation
_EVERY = 8  # of points by which the size of a mesh is told
_PROBES = 16  # points of a mesh at rest by which its changes are noticed
_STILL_POINTS = 40  # points by which turns of the head are told
_LEAST_MM = 0.5  # movement that counts
_LIDS_MM = 4.0  # by which lids come down that close the eyes of a head of human size
_TOWARDS = 0.5  # share of a key's movement that goes against its name, from which on it is inverted
_SQUARE = 1.5  # how much further a direction goes along one axis than along the others
_FRONT = 0.05  # share of a head's largest side below which its smallest is that of a sheet
_UPWARD = ("eyeBlink", "browInnerUp", "browOuterUp")  # channels that tell what is up
_UPRIGHT = 0.94  # cosine of the least angle at which a face is not taken to be upright
_ASKEW = 25.0  # degrees past an axis from which on bones are said to turn a face askew
_BESIDE = 0.25  # share of a mesh's width and depth by which it may be beside the mouth of its head
# what tells where a face looks: shares of a vote, the least of all together, and the share of a
# head's height from which on a distance is a whole vote
_SIDES_VOTE, _LEAST_VOTE, _FAR = 0.5, 0.25, 0.2
_CURVED = 8.0  # how much less lips are before their corners than before the middle of the head
# shares of a head's height within which a point hides what is behind it: aside, and in depth
_NEAR, _BEHIND = 0.04, 0.15
_MOST_HIDDEN = 3000  # points in front of a jaw that are looked at
_BINDS = (
    "HOOK",
    "LATTICE",
    "MESH_DEFORM",
    "SURFACE_DEFORM",
    "NODES",
    "MESH_CACHE",
    "MESH_SEQUENCE_CACHE",
)

Moves = Values[mapping.Target, float]
ROW = {  # the mouths that a character is shown by
    "rest": {},
    "open": {"jawOpen": 1.0},
    "wide": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
    "round": {"mouthPucker": 1.0},
    "closed": {"jawOpen": 0.5, "mouthClose": 0.5},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}
_SOUND_OF = {"wide": "EE", "round": "OO", "closed": "M B P"}  # where it is drawn
_FAULTS = {
    "rest": "The lips are {:.1f} mm apart at rest: set the Range Min of “{}” from {:.2g} to 0",
    "open": "The jaw does not part the lips: what is said is hardly seen",
    "wide": "Nothing makes the mouth wider: “ee” looks like “eh”",
    "round": "Nothing makes the mouth narrower: “oo” looks like “ah”",
    "closed": (
        "The lips do not meet over an open jaw: m, b and p stay open. Map mouthClose, to the jaw "
        "itself at −1 if nothing else closes them"
    ),
    "blink": "Nothing closes the eyes",
    "lids": "Blinks bring the lids down by {:.0f} mm only: the eyes may stay open",
    "opposite": "{} {}: change its target",
    "turned": (
        "The face looks {:.0f}° past an axis of its object, so its bones turn it askew: rotate "
        "mesh and armature to the axis, and apply that"
    ),
}


@dataclass(frozen=True)
class Reach:
    """What was measured of a character. Vectors are in the space of its armature, else its face.

    base: name of that object.  parts: names of the meshes with the lips, nearly always one.  upper,
    lower: vertices in the middle of the lips, counted through these meshes.
    still: vertices of the head that no key moves.  rest: where all these are at rest, in this
    order, [n, 3].
    up: unit vector [3].  mm: millimetres of a unit of that space.
    shown: of the mouths of ROW (gap of the lips, change of the mouth's width; of the blink how far
    lids close), mm.  faults: what is missing or inverted, {mouth: sentence}.  is_mirrored: whether
    keys of the left are on the right.  drawn: how far the animator's own mouths part the lips, mm.
    """

    base: str = ""
    parts: tuple[str, ...] = ()
    upper: tuple[int, ...] = ()
    lower: tuple[int, ...] = ()
    still: tuple[int, ...] = ()
    rest: tuple[tuple[float, ...], ...] = ()
    up: tuple[float, ...] = (0.0, 0.0, 1.0)
    mm: float = 1000.0
    shown: Values[str, tuple[float, float]] = field(default_factory=dict)
    faults: Values[str, str] = field(default_factory=dict)
    is_mirrored: bool = False
    drawn: Values[str, float] = field(default_factory=dict)


class Meter:
    """What keys, bones and drivers do to the points of one character; not to be kept, since it
    holds objects of the file.

    parts: its meshes, the face first, those with keys before others; keyed: how many have some.
    rigs: its armatures.  Points are in the space of the first of these, else of the first mesh.
    names: of the keys of each mesh that are not muted.  held: keys whose sliders begin above 0.
    """

    def __init__(self, parts: list[bpy.types.Object], rigs: list[bpy.types.Object]):
        self.parts, self.rigs, self.base = parts, rigs, (rigs or parts or [None])[0]
        self.keyed = sum(bool(key_names(part)) for part in parts)
        self.names = [live_keys(part) for part in parts]
        self.held = {
            mapping.Target("KEY", name): part.data.shape_keys.key_blocks[name].slider_min
            for part, names in zip(parts, self.names)
            for name in names
            if part.data.shape_keys.key_blocks[name].slider_min > 0
        }
        self.rest, self.places = cache(self._rest), cache(self._places)
        self.key, self.weights = cache(self._key), cache(self._weights)
        self.still = cache(lambda part: np.zeros_like(self.rest(part)))
        self._offsets: dict[tuple, np.ndarray] = {}
        # what Blender showed of a control either way (True: up): how far it went, and what it did
        self._shown: dict[tuple[mapping.Target, bool], tuple[float, list[np.ndarray]]] = {}
        blocks = [*rigs, *parts, *(part.data.shape_keys for part in parts if part.data.shape_keys)]
        # what drivers do that are followed, and the controls of those that are not
        self._drivers, self._carried = [], set()
        for block in dict.fromkeys(blocks):
            for curve in block.animation_data.drivers if block.animation_data else ():
                if curve.mute:
                    continue
                target = driven.driven_target(block, curve.data_path, curve.array_index)
                rest, is_readable = driven.controls(curve)
                if target is not None and is_readable:
                    self._drivers.append((target, curve, rest))
                else:
                    self._carried |= rest.keys()

    def look(self, plan: mapping.Mapping, trial) -> None:
        """Measure, by what Blender shows, the targets of a mapping whose effect is not followed.
        trial: trial.Trial."""
        parts = self.parts[: self.keyed] or self.parts
        for rule in plan.rules:
            target, amount = rule.target, rule.weight
            turns = target.path == binding.ROTATION
            if turns or not amount or self.is_measured({target: amount}):
                continue
            shown = trial.offsets(parts, self.base, {target: amount})
            if shown is not None:
                by = [
                    each - self.offsets(part, {target: amount}, plan)
                    for part, each in enumerate(shown)
                ]
                self._shown[target, amount > 0] = amount, by
                self._offsets.clear()

    def is_measured(self, moves: Moves) -> bool:
        """Whether `offsets` are all that these moves do: nothing that is not followed carries them
        on, or it was looked at."""
        left = {
            _anywhere(target): by
            for target, by in moves.items()
            if (target, by > 0) not in self._shown
        }
        if self._carried & left.keys():
            return False
        every = self._spread(left)
        if any(target.kind == "BONE" and target.bone for target in every):
            return self.follows(left)
        return len(every) > len(left) or all(target.kind == "KEY" for target in left)

    def _matrix(self, part: int) -> Matrix:
        return self.base.matrix_world.inverted_safe() @ self.parts[part].matrix_world

    def _points(self, part: int, data) -> np.ndarray:
        """[V, 3] of a mesh along the character's axes, from the mesh's own origin."""
        points = np.empty(3 * len(data), np.float32)
        data.foreach_get("co", points)
        return points.reshape(-1, 3) @ np.array(self._matrix(part).to_3x3(), np.float32).T

    def _rest(self, part: int, name: str = "") -> np.ndarray:
        """The same at rest, or with a key at 1 alone."""
        mesh = self.parts[part].data
        if mesh.shape_keys is None:
            return self._points(part, mesh.vertices)
        block = mesh.shape_keys.key_blocks[name] if name else mesh.shape_keys.reference_key
        return self._points(part, block.points)

    def _places(self, part: int) -> np.ndarray:
        """Points [V, 3] of a mesh at rest in the character's space."""
        return self.rest(part) + np.array(self._matrix(part).translation, np.float32)

    def _key(self, part: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        """What a key of a mesh does at 1: the vertices that move, [n], and how far, [n, 3]."""
        obj, rest = self.parts[part], self.rest(part)
        block = obj.data.shape_keys.key_blocks[name]
        is_basis = block.relative_key == obj.data.shape_keys.reference_key
        by = self._points(part, block.points)
        by -= rest if is_basis else self.rest(part, block.relative_key.name)
        if group := obj.vertex_groups.get(block.vertex_group):
            weights = np.zeros((len(by), 1), np.float32)
            ids, weights[ids, 0] = self.weights(part)[group.index]
            by *= weights
        far = np.einsum("ij,ij->i", by, by)
        ids = np.flatnonzero(far > (_STILL_SHARE * np.abs(rest[::_EVERY]).max(initial=0.0)) ** 2)
        return ids, by[ids]

    def _weights(self, part: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """The vertices of every vertex group of a mesh, and their weights."""
        rows = [
            (place, each.group, each.weight)
            for place, vertex in enumerate(self.parts[part].data.vertices)
            for each in vertex.groups
        ]
        ids, groups, weights = np.array(rows, np.float64).reshape(-1, 3).T
        return {
            group.index: (ids[groups == group.index].astype(int), weights[groups == group.index])
            for group in self.parts[part].vertex_groups
        }

    def dead_keys(self) -> set[str]:
        """Names of keys that move nothing, on no mesh and by no driver; empty if that is true of
        all, whose effect is then elsewhere."""
        names = {name for names in self.names for name in names[1:]}
        dead = {
            name
            for name in names
            if not any(
                len(self.key(part, name)[0]) for part, has in enumerate(self.names) if name in has
            )
            and len(self._spread({mapping.Target("KEY", name): 1.0})) == 1
            and mapping.Target("KEY", name) not in self._carried
        }
        return set() if dead == names else dead

    def effect(self, part: int, rule: mapping.Rule, plan) -> tuple[np.ndarray, np.ndarray]:
        """What a rule does to a mesh by its key, or by the control that it moves, as `_key`."""
        if rule.target.kind == "KEY":
            has = rule.target.name in self.names[part]
            return self.key(part, rule.target.name) if has else (np.arange(0), np.zeros((0, 3)))
        by = self.offsets(part, {rule.target: rule.weight}, plan)
        ids = np.flatnonzero(by.any(axis=1))
        return ids, by[ids]

    def _spread(self, moves: Moves, plan: mapping.Mapping | None = None) -> Moves:
        """Moves, and those that drivers add to them, also by how a mapping turns bones."""
        moves = {_anywhere(target): by for target, by in moves.items()}
        result = dict(moves)
        turns = {
            mapping.Target("BONE", "", rig.name, bone, binding.EULER, axis): angle
            for rig in self.rigs
            if plan is not None and self._drivers
            for bone, by in _matrices(rig, moves, plan).items()
            for rest in [rig.data.bones[bone].matrix_local]
            for axis, angle in enumerate((rest.inverted() @ by @ rest).to_euler(_order(rig, bone)))
        }
        for _ in range(driven.CHAIN):
            result |= {
                target: by
                for target, curve, rest in self._drivers
                if target not in moves and (by := driven.change(curve, turns | result, rest))
            }
        return result

    def offsets(self, part: int, moves: Moves, plan: mapping.Mapping) -> np.ndarray:
        """How far moves bring the points of a mesh, [V, 3], not to be changed: keys, then bones."""
        place = part, frozenset(moves.items()), plan.forward, plan.up
        if place not in self._offsets:
            every, result = self._spread(moves, plan), self.still(part).copy()
            for target, amount in every.items():
                if target.kind == "KEY" and target.name in self.names[part]:
                    block = self.parts[part].data.shape_keys.key_blocks[target.name]
                    shown = min(max(amount, block.slider_min), block.slider_max)
                    ids, by = self.key(part, target.name)
                    result[ids] += np.float32(shown) * by
            for rig in self.rigs:
                if turned := _matrices(rig, every, plan):
                    self._skin(part, rig, turned, result)
            for (target, up), (full, by) in self._shown.items():
                amount = moves.get(target, 0.0)
                if amount and (amount > 0) == up and part < len(by):
                    result += np.float32(amount / full) * by[part].astype(np.float32)
            # of the many meshes that nothing moves one array is kept
            self._offsets[place] = result if result.any() else self.still(part)
        return self._offsets[place]

    def _skin(self, part: int, rig, turned: dict[str, Matrix], offsets: np.ndarray) -> None:
        """Add what bones with these matrices do to points that are already moved by keys."""
        obj, count = self.parts[part], len(offsets)
        is_held = obj.parent == rig and obj.parent_type == "BONE"
        bones = [bone.name for bone in rig.data.bones if bone.use_deform] * deforms(rig, obj)
        names = [name for name in bones if name in obj.vertex_groups]
        full = {
            name: np.array(driven.posed(rig, name, turned)) - np.eye(4)
            for name in names + [obj.parent_bone] * is_held
        }
        if not any(by.any() for by in full.values()):
            return
        to_rig = np.array(rig.matrix_world.inverted_safe() @ self.base.matrix_world)
        points = (self.places(part) + offsets) @ to_rig[:3, :3].T + to_rig[:3, 3]
        total, added = np.zeros(count), 0 * points
        for name, by in full.items():
            ids, weights = np.arange(count), np.ones(count)
            if name in names:
                ids, weights = self.weights(part)[obj.vertex_groups[name].index]
            total[ids] += weights
            added[ids] += weights[:, None] * (points[ids] @ by[:3, :3].T + by[:3, 3])
        added /= np.maximum(total, 1e-6)[:, None]
        offsets += (added @ np.linalg.inv(to_rig[:3, :3]).T).astype(np.float32)

    def follows(self, moves: Moves) -> bool:
        """Whether `offsets` are all that moves do: no constraint, driver or modifier that is not
        followed carries them on."""
        every = self._spread(moves)
        touched = {target.bone for target in every if target.kind == "BONE"} - {""}
        bones = [(rig, bone) for rig in self.rigs for bone in rig.pose.bones]
        for _ in range(driven.CHAIN):
            touched |= {
                bone.name
                for rig, bone in bones
                if driven.copied_bone(rig, bone.name) in touched
                or touched & {above.name for above in bone.parent_recursive}
            }
        return bool(touched) and not (
            any(m.type in _BINDS for part in self.parts for m in part.modifiers)
            or any(
                touched & driven.sources_of(each) - {driven.copied_bone(rig, bone.name)}
                for rig, bone in bones
                for each in bone.constraints
            )
            or any(
                source.bone_target in touched
                or any(f'pose.bones["{name}"]' in source.data_path for name in touched)
                for _, curve, _ in self._drivers
                for source in (variable.targets[0] for variable in curve.driver.variables)
            )
        )

    def probes(self) -> tuple[tuple, ...]:
        """Points by which a change of the meshes is noticed: (mesh, key, vertex, place)."""
        result = []
        for part, obj in enumerate(self.parts):
            for number, name in enumerate(key_names(obj)):
                ids, by = self.key(part, name)
                wanted = [int(ids[np.abs(by).max(axis=1).argmax()])] if len(ids) else []
                if number == 0:  # the Basis
                    count = len(obj.data.vertices)
                    wanted = range(0, count, 1 + count // _PROBES)
                data = obj.data.shape_keys.key_blocks[name].data
                result += [(obj.name_full, name, i, tuple(data[i].co)) for i in wanted]
        return tuple(result)


class Face:
    """The face of a character that has meshes, as a mapping moves it.

    among: how many of its meshes are looked at.  parts: which of them have the lips: the one on
    which most channels of the mouth act, of which an open jaw moves most points; where no channel
    tells, all of them if none has lips of its own.
    points: where these are at rest, [V, 3].  opened: how far an open mouth moves them.  left, up,
    forward: axes, [3].  size: height of the head.  lips: vertices in the middle of the upper and of
    the lower lip, [n] each, None without a jaw.
    mm: millimetres of a unit; a character of no human size is taken to have a head of HEAD_MM.
    """

    def __init__(self, meter: Meter, plan: mapping.Mapping, opened: list[np.ndarray] | None = None):
        """opened: how far an open mouth moves every mesh, as it was seen; None: as is measured."""
        self.meter, self.plan, self.is_looked_at = meter, plan, opened is not None
        self.forward, self.up = self._axes()
        # an object whose scale is negative shows its left on its right
        self.hand = -1.0 if meter.base.matrix_world.determinant() < 0 else 1.0
        self.left = self.hand * np.cross(self.up, self.forward)
        self.rules = [*jaw_balance.apply_balance(plan).rules, *jaw_rules(plan)]
        self.is_up_told = self._tilt()
        jaws = {rule.target for rule in self.rules if rule.source == "jawOpen"}
        self.sounds = {source for source in plan.used if mapping.is_mouth(source)}
        acting = [
            sum(
                bool(len(meter.effect(part, rule, plan)[0]))
                for rule in self.rules
                if rule.source.startswith("mouth") or rule.source in self.sounds
                if rule.target not in jaws
            )
            for part in range(meter.keyed)
        ]
        self.among = meter.keyed if any(acting) else len(meter.parts)
        self._rest()
        self.row = dict(ROW) | {
            name: {sound: 1.0} for name, sound in _SOUND_OF.items() if sound in self.sounds
        }
        if self.sounds and not jaws:
            self.row["open"] = max(
                ({sound: 1.0} for sound in sorted(self.sounds)),
                key=lambda at: max((each @ -self.up).max(initial=0.0) for each in self.moved(at)),
            )
        self.open = opened or self.moved(self.row["open"])
        acting += [0] * (len(meter.parts) - meter.keyed)
        best = max(range(self.among), key=lambda part: (acting[part], (self.open[part] != 0).sum()))
        # the lower lip may be on another object than most keys of the face, as of puppets
        for self.parts in ([best], list(range(self.among)), list(range(len(meter.parts)))):
            if len(self.parts) > self.among:
                self.among = len(meter.parts)
                self._rest()
                self.open = opened or self.moved(self.row["open"])
            self._look()
            if self.lips and self._apart(self.opened) >= LEAST_OPEN_MM:
                break
        else:
            if any(acting):
                self.parts = [best]
                self._look()

    def _rest(self) -> None:
        # where the points of each mesh are where nothing is asked
        self.resting = [
            self.meter.offsets(part, self._moves({}), self.plan) for part in range(self.among)
        ]

    def _tilt(self) -> bool:
        """Take axes that slant as the face does: up is where brows and open lids go, left where
        what keys of the left move is from what those of the right move. Returns whether keys tell
        up."""
        self.among = len(self.meter.parts)
        ways = [
            (-1.0 if rule.source.startswith("eyeBlink") else 1.0) * by.sum(axis=0)
            for rule in self.plan.rules
            if rule.source.startswith(_UPWARD)
            for part in range(self.among)
            for ids, by in [self.meter.effect(part, rule, self.plan)]
            if len(ids)
        ]
        rise = sum(map(_unit, ways), np.zeros(3))
        if is_told := bool(np.linalg.norm(rise) > _STRONG * max(len(ways), 1)):
            slants = -_TOWARDS < _unit(rise) @ self.up < _UPRIGHT
            self.up = _unit(rise) if slants else self.up
        left, right = (self._middle(("eye", "mouth", "brow"), side) for side in ("Left", "Right"))
        mirrors = [m for part in self.meter.parts for m in part.modifiers if m.type == "MIRROR"]
        if not (left is None or right is None or mirrors):
            across = _unit(left - right - ((left - right) @ self.up) * self.up)
            slants = _TOWARDS < abs(across @ self.left) < _UPRIGHT
            self.left = np.sign(across @ self.left) * across if slants else self.left
        self.left = _unit(self.left - (self.left @ self.up) * self.up)
        self.forward = self.hand * np.cross(self.left, self.up)
        return is_told

    def _look(self) -> None:
        """Take the points of the meshes in question, and find lips among them."""
        self.opened = self.joined(self.open)
        places = [self.meter.places(part) for part in range(self.among)]
        self.points = self.joined(places)
        self.far = np.linalg.norm(self.opened, axis=1)
        heights = self.points @ self.up
        chin = heights[self.far > 0].min() if self.far.any() else heights.min()
        self.mm = 1000.0 * abs(self.meter.base.matrix_world.to_scale().z)
        for scene in self.meter.base.users_scene[:1]:
            if scene.unit_settings.system != "NONE":
                self.mm *= scene.unit_settings.scale_length
        # what stands up beside the head, as a spear or wings, is no part of its height
        flat = np.stack([self.left, self.forward], 1)
        mouth = (self.points[self.far > 0] if self.far.any() else self.points).mean(0) @ flat
        tops = [
            (each @ self.up).max()
            for each in places
            for sides in [np.stack([(each @ flat).min(0), (each @ flat).max(0)])]
            if (np.abs(mouth - sides.mean(0)) <= (0.5 + _BESIDE) * np.ptp(sides, axis=0)).all()
        ]
        self.size = max(float(max([heights.max(), *tops]) - chin), 1e-9)
        if not _HEADS_MM[0] <= self.mm * self.size <= _HEADS_MM[1]:
            self.mm = HEAD_MM / self.size
        self.lips = None if self._is_inside() else self._find_lips()

    def joined(self, every: list[np.ndarray]) -> np.ndarray:
        """What is given of each mesh, [V, 3], of those with the lips, one after the other."""
        return np.concatenate([every[part] for part in self.parts])

    def _moves(self, values: Values[str, float]) -> Moves:
        """What moves where sources have these values."""
        moves, given = dict.fromkeys(self.meter.held, 0.0), {**values, mapping.REST: 1.0}
        for rule in self.rules:
            if given.get(rule.source):
                added = rule.weight * given[rule.source]
                moves[rule.target] = moves.get(rule.target, 0.0) + added
        return moves

    def moved(self, values: Values[str, float]) -> list[np.ndarray]:
        """How far from rest the points of each mesh move, [V, 3], where sources have these
        values."""
        moves = self._moves(values)
        return [
            self.meter.offsets(part, moves, self.plan) - self.resting[part]
            for part in range(self.among)
        ]

    def offsets(self, moves: Moves) -> np.ndarray:
        """How far moves bring the points of the face, [V, 3]."""
        return np.concatenate([self.meter.offsets(part, moves, self.plan) for part in self.parts])

    def _is_inside(self) -> bool:
        """Whether most of what opens is behind what stays: teeth, but not the lips."""
        # a mask or a beard before a whole head hides no lips
        is_head = np.ptp(self.points @ self.up) > _STRONG * self.size
        parts = self.parts if is_head else range(self.among)
        points = np.concatenate([self.meter.places(part) for part in parts])
        far = np.linalg.norm(np.concatenate([self.open[part] for part in parts]), axis=1)
        moving = np.flatnonzero(far > _STRONG * far.max(initial=0.0))
        moving = moving[:: 1 + len(moving) // (_MOST_LIPS // 16)]
        flat, ahead = points @ np.stack([self.left, self.up], 1), points @ self.forward
        near, low = _NEAR * self.size, flat[moving].min(0, initial=np.inf)
        around = (flat > low - 2 * near) & (flat < flat[moving].max(0, initial=-np.inf) + near)
        still = np.flatnonzero(around.all(axis=1) & (far < _PARTED * far.max(initial=0.0)))
        still = still[:: 1 + len(still) // _MOST_HIDDEN]
        across, above = (flat[still][None] - flat[moving][:, None]).transpose(2, 0, 1)
        depth = (ahead[still] - ahead[moving][:, None]) / self.size
        hides = (
            (np.abs(across) < near)
            & (above > -2 * near)
            & (above < near / 4)
            & (depth > _DEEP)
            & (depth < _BEHIND)  # a visor is further away
        ).any(axis=1)
        return len(moving) > 0 and hides.mean() > _STRONG

    def _find_lips(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Neighbours that an open mouth parts most; None where what goes down is above what stays,
        or what goes up, as the upper half of a puppet's head, below."""
        down, points = -self.opened @ self.up, self.points
        if rises := down.sum() < 0:
            down = down - down.min()
        most = down.max(initial=0.0)
        lower = np.flatnonzero(down > _PARTED * most)
        lower = lower[:: 1 + len(lower) // _MOST_LIPS]
        if most <= 0 or not len(lower):
            return None
        near = (points > points[lower].min(0) - most) & (points < points[lower].max(0) + most)
        upper = np.flatnonzero(near.all(axis=1) & (down <= _PARTED * most))
        if not len(upper):
            return None
        tree = kdtree.KDTree(len(upper))
        for place, point in enumerate(points[upper].tolist()):
            tree.insert(point, place)
        tree.balance()
        found = [tree.find(point) for point in points[lower].tolist()]
        nearest = upper[[place for _, place, _ in found]]
        distances = np.array([distance for _, _, distance in found])
        worth = down[lower] - down[nearest] - _APART * distances
        # teeth part as well: lips are in front of them
        ahead, able = points[lower] @ self.forward, worth >= _ABLE * max(worth.max(), 1e-12)
        in_front = able & (ahead >= ahead[able].max(initial=-np.inf) - _DEEP * self.size)
        best = in_front & (worth >= _MIDDLE * worth[in_front].max(initial=0.0))
        # where they meet, not the skin below
        best &= distances <= distances[best].min(initial=np.inf) + _SEAM * self.size
        if not best.any():
            return None
        heights = points @ self.up
        if rises and not self._rises_whole(nearest[best], lower[best]):
            return None
        above = np.average(heights, weights=self.far) - heights[[*nearest[best], *lower[best]]]
        is_right = above.max() >= 0 if rises else above.min() <= 0
        return (nearest[best], lower[best]) if is_right else None

    def _rises_whole(self, upper: np.ndarray, lower: np.ndarray) -> bool:
        """Whether an open mouth lifts most of what is above these lips, as that of a puppet does,
        or also brings the lower lip down: what else goes up is a smile or a brow."""
        rise, heights = self.opened @ self.up, self.points @ self.up
        above = rise[heights > heights[upper].max()]
        least = _PARTED * rise.max()
        return (above > least).mean() > _STRONG or -rise[lower].min() > least

    @property
    def is_seen(self) -> bool:
        """Whether what opens the mouth can be measured: not a control of a rig that moves the face
        in another way than is followed."""
        moves = {each.target: each.weight for each in self.rules if each.source in self.row["open"]}
        return self.is_looked_at or self.lips is not None or self.meter.is_measured(moves)

    def _pairs(self, moved: np.ndarray) -> np.ndarray:
        """How far each pair in the middle of the lips is apart, [n] mm, by moves or places."""
        upper, lower = self.lips or ([], [])
        return (moved[upper] - moved[lower]) @ self.up * self.mm

    @cached_property
    def parted(self) -> float:
        """How far apart the lips are in the Basis, mm; 0 where they are nearly shut."""
        apart = float(self._pairs(self.points).min(initial=np.inf)) if self.lips else 0.0
        return apart if apart > _SHUT_MM and not self._is_skin() else 0.0

    def _is_skin(self) -> bool:
        """Whether edges or a face join the lips: a mouth without a slit, or a drawn one."""
        upper, lower = map(set, np.array(self.lips).tolist())
        mesh = self.meter.parts[self.parts[0]].data
        joins = (set(each.vertices) for every in (mesh.edges, mesh.polygons) for each in every)
        return len(self.parts) == 1 and any(each & upper and each & lower for each in joins)

    def shut(self, source: str, way: float = 1.0) -> float:
        """The value of a channel at which lips that are modelled apart meet, 0 for none; way: its
        sign, −1 for a jaw that closes."""
        moved = self.joined(self.moved({source: way * _LITTLE}))
        closes = -self._pairs(moved) / _LITTLE
        able = closes > _LEAST_MM
        values = self._pairs(self.points)[able] / closes[able]
        return float(values.min(initial=1.0)) if self.parted and len(values) else 0.0

    def gap(self, values: Values[str, float]) -> float:
        """How far apart the lips are, mm; negative: crossed."""
        moved = self.opened if values == self.row["open"] else self.joined(self.moved(values))
        return self._apart(moved + self.joined(self.resting)) + self.parted

    def _apart(self, moved: np.ndarray) -> float:
        return float(self._pairs(moved).mean()) if self.lips else 0.0

    def narrowing(self, values: Values[str, float]) -> float:
        """By how much the two sides of the face come together, mm; negative: apart."""
        moved = self.joined(self.moved(values))
        across, inward, sides = self.points @ self.left, -moved @ self.left, []
        # of half a face, whose other half a modifier makes, the lips tell the middle
        moving = across[np.concatenate(self.lips) if self.lips else moved.any(axis=1)]
        if not len(moving):
            return 0.0
        middle = (moving.min() + moving.max()) / 2
        sides = [each for each in (inward[across > middle], -inward[across < middle]) if len(each)]
        pick = np.max if sum(each.sum() for each in sides) > 0 else np.min
        return float(sum(map(pick, sides))) * self.mm

    def front(self) -> tuple[np.ndarray, np.ndarray, float] | None:
        """(ahead [3], up [3], left): where the face looks and what is above it, as measured, and
        how far keys of the left are on its left, −1 to 1, 0 if unknown. None without a jaw.

        Up is from the mouth to the eyes. Ahead is what most measures say: the mouth is before the
        middle of the head, before the bone that opens it and before its own corners; the chin goes
        back as it opens; keys of the left are on the left."""
        if not self.far.any():
            return None
        mouth, up = self.points[self.far > _STRONG * self.far.max()].mean(0), self.up
        eyes = None if self.is_up_told else self._middle(("eyeBlink", "eyeWide", "brow"))
        if eyes is not None and (above := main_axis(eyes - mouth)) is not None:
            # from the tip of a beak eyes are behind rather than above, and its key goes down
            opens = np.zeros(3) if jaw_rules(self.plan) else -self.opened.sum(axis=0)
            if opens @ above >= opens @ up:
                up = above
        head = self.points[self.points @ up >= (self.points[self.far > 0] @ up).min()]
        size = np.ptp(head, axis=0)
        middle, far = (head.min(0) + head.max(0)) / 2, _FAR * np.abs(size @ up)
        left, right = (self._middle(("eye", "mouth", "brow"), side) for side in ("Left", "Right"))
        apart = np.zeros(3) if left is None or right is None else left - right
        facts = [(1.0, mouth - middle), (_SIDES_VOTE, self.hand * np.cross(apart, up))]
        corners = [self._middle(("mouthSmile", "mouthStretch"), side) for side in ("Left", "Right")]
        if self.lips and all(corner is not None for corner in corners):
            lips = self.points[np.concatenate(self.lips)].mean(axis=0)
            facts.append((1.0, _CURVED * (lips - np.mean(corners, axis=0))))
        facts += [(1.0, mouth - hinge) for hinge in self._hinges()]
        if not jaw_rules(self.plan):  # a bone turns about what is taken for the left
            opened = self.opened.sum(axis=0)
            facts.append((1.0, -far * opened / max(np.linalg.norm(opened), 1e-12)))
        level = [(vote, way - (way @ up) * up) for vote, way in facts]
        ahead = sum(vote * way / max(np.linalg.norm(way), far) for vote, way in level)
        # a sheet has no front
        if size.min() < _FRONT * size.max() or np.abs(ahead).max() < _LEAST_VOTE:
            return None
        lengths = np.linalg.norm(apart) * np.linalg.norm(ahead)
        side = self.hand * float(apart @ np.cross(up, ahead))
        return ahead, up, side / lengths if lengths else 0.0

    def _aside(self) -> float:
        """The angle by which the face looks past the axes of its mapping, or is on its side,
        degrees; 0 if unknown."""
        ahead, up, front = *self._axes(), self.front()
        level = ahead if front is None else _unit(front[0] - (front[0] @ up) * up)
        along = min(level @ ahead, self.left @ (self.hand * np.cross(up, ahead)))
        return float(np.degrees(np.arccos(np.clip(along, -1.0, 1.0))))

    def _axes(self) -> list[np.ndarray]:
        """Where the face looks and what is up in the mapping, axes [3]."""
        names = self.plan.forward or binding.FORWARD, self.plan.up or binding.UP
        return [np.array(binding.DIRECTIONS[name], float) for name in names]

    def _hinges(self) -> list[np.ndarray]:
        """Where bones are that open the jaw and deform a mesh, or those that copy them, [3]
        each."""
        return [
            np.array(
                self.meter.base.matrix_world.inverted_safe()
                @ rig.matrix_world
                @ rig.data.bones[bone].head_local
            )
            for rule in jaw_rules(self.plan)
            for rig in self.meter.rigs
            if rule.target.object == rig.name and rule.target.bone in rig.data.bones
            for bone in [driven.follower_of(rig, rule.target.bone)]
            if any(bone in part.vertex_groups for part in self.meter.parts)
        ]

    def _middle(self, starts: tuple[str, ...], end: str = "") -> np.ndarray | None:
        """The middle of what keys of channels with such names move, [3]."""
        middles = [
            np.average(self.meter.places(part)[ids], 0, np.linalg.norm(by, axis=1))
            for rule in self.plan.rules
            if rule.source.startswith(starts) and rule.source.endswith(end)
            for part in range(self.among)
            for ids, by in [self.meter.effect(part, rule, self.plan)]
            if len(ids)
        ]
        return np.mean(middles, axis=0) if middles else None

    def inverted(self) -> dict[str, str]:
        """Channels whose keys do the opposite of their names, with what they do."""
        ways = {} if self.lips else {"jawOpen": (-self.up, "goes up and parts no lips")}
        front = self.front()  # without which it is not known what is left
        left = self.left * (0.0 if front is None else -1.0 if front[2] < -_TOWARDS else 1.0)
        for side, out in (("Left", left), ("Right", -left)):
            ways[f"eyeBlink{side}"] = -self.up, "opens the eye"
            if self.lips:
                ways[f"mouthFrown{side}"] = -self.up, "raises the corner of the mouth"
            # of a smile that opens the mouth the lower lip may go down
            if self.lips and abs(self.gap({f"mouthSmile{side}": 1.0})) < LEAST_OPEN_MM:
                ways[f"mouthSmile{side}"] = self.up, "lowers the corner of the mouth"
            for way, axis in (("Up", self.up), ("Down", -self.up), ("Out", out), ("In", -out)):
                ways[f"eyeLook{way}{side}"] = axis, "turns the eye the other way"
        result = {
            source: words for source, (axis, words) in ways.items() if self._goes(source, -axis)
        }
        if self.narrowing({"mouthPucker": 1.0}) < -_LEAST_MM:
            result["mouthPucker"] = "widens the mouth"
        return result

    def _goes(self, source: str, axis: np.ndarray) -> bool:
        """Whether a channel brings the front of what it moves along an axis."""
        along = far = 0.0
        for part, moved in enumerate(self.moved({source: 1.0})):
            lengths = np.linalg.norm(moved, axis=1)
            ids = np.flatnonzero(lengths > _STRONG * lengths.max(initial=0.0))
            depth = self.meter.places(part)[ids] @ self.forward
            ids = ids[depth >= np.median(depth)] if len(ids) else ids
            along, far = along + float((moved[ids] @ axis).sum()), far + float(lengths[ids].sum())
        return along > _TOWARDS * far

    def reach(self) -> Reach:
        """What the mapping does on this face."""
        row, is_jaw = self.row, not self.sounds or self.row["open"] == ROW["open"]
        shown = {name: (self.gap(at), -self.narrowing(at)) for name, at in row.items()}
        lowered = max((-each @ self.up).max(initial=0.0) for each in self.moved(row["blink"]))
        closes = float(lowered) * self.mm
        shown["blink"] = closes, 0.0
        parted = bool(self.meter.held) and abs(shown["rest"][0]) > CLOSED_MM
        is_fault = {
            "rest": parted,
            "open": shown["open"][0] < LEAST_OPEN_MM and self.is_seen,
            "wide": shown["wide"][1] < _LEAST_MM and is_jaw and row["wide"] == ROW["wide"],
            "round": shown["round"][1] > -_LEAST_MM and is_jaw and row["round"] == ROW["round"],
            "closed": abs(shown["closed"][0]) > LEAST_OPEN_MM and not parted,
            "blink": closes < _LIDS_MM,
        }
        faults = {name: _FAULTS[name] for name, is_so in is_fault.items() if is_so}
        if _LEAST_MM <= closes < _LIDS_MM:
            faults["blink"] = _FAULTS["lids"].format(closes)
        for source, words in self.inverted().items():  # what was mapped by hand, or before the jaw
            if not source.startswith(("jawOpen", "mouthPucker", "eyeBlink")):  # told above
                stem = source.removesuffix("Left").removesuffix("Right")
                faults[stem] = _FAULTS["opposite"].format(stem, words)
        if self.plan.joints and (aside := self._aside()) > _ASKEW:
            faults["turned"] = _FAULTS["turned"].format(aside)
        if parted:
            most = max(
                self.meter.held, key=lambda target: abs(self._apart(self.offsets({target: 0.0})))
            )
            faults["rest"] = _FAULTS["rest"].format(
                shown["rest"][0], most.name, self.meter.held[most]
            )
        upper, lower = ids = self.lips or (np.arange(0), np.arange(0))
        moving = self.joined(self.moved(dict.fromkeys(self.plan.used, 1.0))).any(axis=1)
        heights = self.points @ self.up
        highest = heights[upper].max(initial=-np.inf)
        still = np.flatnonzero(~moving & (self.far == 0) & (heights > highest))
        ids = [tuple(each.tolist()) for each in (*ids, still[:: 1 + len(still) // _STILL_POINTS])]
        rest = tuple(map(tuple, self.points[[i for each in ids for i in each]].tolist()))
        names, front = tuple(self.meter.parts[part].name for part in self.parts), self.front()
        return Reach(
            self.meter.base.name, names, *ids, rest, tuple(self.up), self.mm, shown, faults,
            is_mirrored=front is not None and front[2] < -_TOWARDS,
            drawn={sound: self.gap({sound: 1.0}) for sound in self.sounds},
        )  # fmt: skip


def lip_gap(reach: Reach, points: np.ndarray) -> float:
    """How much further apart the lips are than at rest, mm, however the head is turned.

    points: [n, 3], where the vertices of `reach` (upper, lower, still) are, in the character's
    space.
    """
    rest, (upper, lower) = np.array(reach.rest), (len(reach.upper), len(reach.lower))
    turn = _turn_between(rest[upper + lower :], points[upper + lower :])

    def apart(each):
        return each[:upper].mean(0) - each[upper : upper + lower].mean(0)

    return float((apart(points) @ turn - apart(rest)) @ np.array(reach.up)) * reach.mm


def _turn_between(rest: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] that brings points [n, 3] nearest to where they are now; none where they
    do not tell."""
    if len(rest) < 3:
        return np.eye(3)
    left, sizes, right = np.linalg.svd((rest - rest.mean(0)).T @ (now - now.mean(0)))
    if sizes[1] < _FLAT * sizes[0]:
        return np.eye(3)
    sign = np.sign(np.linalg.det(left @ right))
    return (left @ np.diag([1.0, 1.0, sign]) @ right).T


def is_as_measured(parts: list[bpy.types.Object], probes: tuple[tuple, ...]) -> bool:
    """Whether meshes have the same points as when they were measured, by some of them."""
    named = {part.name_full: part.data.shape_keys.key_blocks for part in parts}
    return all(
        mesh in named
        and name in named[mesh]
        and vertex < len(named[mesh][name].data)
        and tuple(named[mesh][name].data[vertex].co) == place
        for mesh, name, vertex, place in probes
    )


def live_keys(part: bpy.types.Object) -> tuple[str, ...]:
    """Names of the shape keys of a mesh that are not muted, the Basis first."""
    return tuple(
        name
        for number, name in enumerate(key_names(part))
        if not (number and part.data.shape_keys.key_blocks[name].mute)
    )


def _anywhere(target: mapping.Target) -> mapping.Target:
    """A key whichever mesh it is on, as drivers tell it; anything else as it is."""
    return replace(target, object="") if target.kind == "KEY" else target


def jaw_rules(plan: mapping.Mapping) -> list[mapping.Rule]:
    """The bones that open the jaw in a mapping, as rules."""
    return [
        mapping.Rule(
            "jawOpen",
            mapping.Target("BONE", "", joint.object, joint.bone, binding.ROTATION, 0),
            joint.scale * JAW_OPEN_RADIANS,
        )
        for joint in plan.joints
        if joint.joint == "jaw"
    ]


def letter(axis: np.ndarray) -> str:
    """The name of the axis along which a vector [3] goes most: "-Y"."""
    index = int(np.argmax(np.abs(axis)))
    return ("-" if axis[index] < 0 else "") + "XYZ"[index]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def main_axis(vector: np.ndarray) -> np.ndarray | None:
    """The axis along which a direction clearly goes, [3]; None for a slanting one."""
    far = np.abs(vector)
    axis = int(far.argmax())
    if far[axis] <= _SQUARE * np.delete(far, axis).max():
        return None
    return np.eye(3)[axis] * np.sign(vector[axis])


def _matrices(rig, moves: Moves, plan: mapping.Mapping) -> dict[str, Matrix]:
    """How moves turn and shift bones of an armature: [4, 4] each, in its space."""
    channels: dict[str, dict[tuple[str, int], float]] = {}
    for target, amount in moves.items():
        is_here = target.object in ("", rig.name) and target.bone in rig.data.bones
        if target.kind == "BONE" and is_here:
            channels.setdefault(target.bone, {})[target.path, target.index] = amount
    result = {}
    for bone, values in channels.items():

        def three(path, rest=0.0, *, values=values):
            return [rest + values.get((path, axis), 0.0) for axis in range(3)]

        turn = Vector((binding.basis(rig, bone, plan) @ three(binding.ROTATION)).tolist())
        whole = Quaternion(turn.normalized(), turn.length) if turn.length else Quaternion()
        mode = rig.pose.bones[bone].rotation_mode
        order = _order(rig, bone)
        whole = whole @ Euler(three(binding.EULER), order).to_quaternion()
        if mode == "QUATERNION":
            numbers = [
                float(i == 0) + values.get(("rotation_quaternion", i), 0.0) for i in range(4)
            ]
            whole = whole @ Quaternion(numbers).normalized()
        at = three("location", values={} if rig.data.bones[bone].use_connect else values)
        for limit in _limits(rig, bone):
            if limit.type == "LIMIT_ROTATION":
                whole = Euler(_within(limit, whole.to_euler(order)), order).to_quaternion()
            else:
                at = _within(limit, at)
        local = Matrix.LocRotScale(Vector(at), whole, Vector(three("scale", 1.0)))
        rest = rig.data.bones[bone].matrix_local
        result[bone] = rest @ local @ rest.inverted()
    return result


def _order(rig, bone: str) -> str:
    """In which order angles turn a bone."""
    mode = rig.pose.bones[bone].rotation_mode
    return mode if len(mode) == 3 else "XYZ"


def _limits(rig, bone: str) -> list:
    """The constraints that limit how far a bone turns and moves from rest, as they do whole."""
    return [
        each
        for each in rig.pose.bones[bone].constraints
        if each.type in ("LIMIT_ROTATION", "LIMIT_LOCATION")
        and not each.mute
        and each.owner_space == "LOCAL"
        and each.influence >= 1.0
    ]


def freedom(rig, bone: str) -> tuple:
    """What tells how a bone may turn and move, by which a change is noticed."""
    ends = [_within(each, [far] * 3) for each in _limits(rig, bone) for far in (-1e9, 1e9)]
    return *map(tuple, ends), *rig.pose.bones[bone].lock_rotation, rig.data.bones[bone].use_connect


def _within(limit, values) -> list[float]:
    """Three values as a constraint limits them."""

    def bound(name: str, axis: str, none: float) -> float:
        is_used = any(getattr(limit, f"use_{each}_{axis}", False) for each in ("limit", name))
        return getattr(limit, f"{name}_{axis}") if is_used else none

    return [
        min(max(value, bound("min", axis, -np.inf)), bound("max", axis, np.inf))
        for value, axis in zip(values, "xyz")
    ]
