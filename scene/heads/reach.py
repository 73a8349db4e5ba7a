# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a character's keys and bones do to its face: where its lips are, how far they part,
which way it looks.

Nothing in the scene is moved, so panels can measure too: points come from the shape keys (with
their vertex groups and the keys they are relative to), the weights of bones, and drivers.
"""

from collections.abc import Mapping as Values
from dataclasses import dataclass, field

import bpy
import numpy as np
from mathutils import Euler, kdtree, Matrix, Quaternion, Vector

from ...thunder_core.face import jaw_balance, mapping
from ...thunder_core.types import JAW_OPEN_RADIANS
from . import binding, driven
from .family import key_names

_STILL_SHARE = 1e-6  # share of a mesh's size below which a point does not move
_CHAIN = 3  # drivers in a row that are followed
_STRONG = 0.5  # share of its largest movement from which on a point counts
_PARTED = 0.35  # share of the jaw's largest movement between upper and lower lip
_APART = 0.5  # by how much points of a pair that are apart at rest count less as lips
_MOST_LIPS = 4000  # points below the mouth that are looked at
_MIDDLE = 0.9  # share of the widest pair from which on a pair is the middle of the lips
HEAD_MM, _HEADS_MM = 220.0, (120.0, 600.0)  # height of a head, and what is taken as it is
LEAST_OPEN_MM = 3.0  # least distance by which an open jaw parts the lips
_FLAT = 1e-3  # points that are so nearly on a line tell no rotation
_STILL_POINTS = 40  # points by which turns of the head are told
_LEAST_MM = 0.5  # movement that counts
_TOWARDS = 0.5  # share of a key's movement that goes against its name, from which on it is inverted
_SQUARE = 1.5  # how much further a direction goes along one axis than along the others
_FRONT = 0.05  # share of a head's height by which lips are in front of the jaw's hinge

Moves = Values[mapping.Target, float]
ROW = {  # the mouths that a character is shown by
    "rest": {},
    "open": {"jawOpen": 1.0},
    "wide": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
    "round": {"mouthPucker": 1.0},
    "closed": {"jawOpen": 0.5, "mouthClose": 0.5},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}


@dataclass(frozen=True)
class Reach:
    """What was measured of a character. Vectors are in the space of its armature, else its face.

    part: name of the mesh with the lips.  upper, lower: vertices in the middle of its lips.
    still: vertices of the head that no key moves.  rest: where all these are at rest, in this
    order, [n, 3].
    up: unit vector [3].  mm: millimetres of a unit of that space.
    shown: of the mouths of ROW (gap of the lips, change of the mouth's width; of the blink how far
    lids close), mm.  faults: what is missing or inverted, {mouth: sentence}.
    """

    part: str = ""
    upper: tuple[int, ...] = ()
    lower: tuple[int, ...] = ()
    still: tuple[int, ...] = ()
    rest: tuple[tuple[float, ...], ...] = ()
    up: tuple[float, ...] = (0.0, 0.0, 1.0)
    mm: float = 1000.0
    shown: Values[str, tuple[float, float]] = field(default_factory=dict)
    faults: Values[str, str] = field(default_factory=dict)


@dataclass
class Moved:
    """What a key does to one mesh: the vertices that move, [n], and how far, [n, 3]."""

    ids: np.ndarray
    by: np.ndarray

    def dense(self, count: int) -> np.ndarray:
        """The same for all vertices, [V, 3]."""
        result = np.zeros((count, 3), np.float32)
        result[self.ids] = self.by
        return result


class Meter:
    """Measures one character; not to be kept, since it holds objects of the file.

    parts: its meshes with shape keys, the face first.  rigs: its armatures.
    """

    def __init__(self, parts: list[bpy.types.Object], rigs: list[bpy.types.Object]):
        self.parts, self.rigs = parts, rigs
        self.base = (rigs or parts)[0] if rigs or parts else None
        self._keys: dict[tuple[int, str], Moved] = {}
        self._rest: dict[tuple[int, str], np.ndarray] = {}
        self._sizes: dict[int, float] = {}
        self._offsets: dict[tuple, np.ndarray] = {}
        self._weights: dict[int, dict[int, tuple[np.ndarray, np.ndarray]]] = {}
        blocks = [*rigs, *parts, *(part.data.shape_keys for part in parts if part.data.shape_keys)]
        self._drivers = [
            (target, curve)
            for block in dict.fromkeys(blocks)
            for curve in (block.animation_data.drivers if block.animation_data else ())
            if (target := driven.driven_target(block, curve.data_path, curve.array_index))
        ]
        scale = self.base.matrix_world.to_scale().z if self.base is not None else 1.0
        for scene in self.base.users_scene[:1] if self.base is not None else ():
            if scene.unit_settings.system != "NONE":
                scale *= scene.unit_settings.scale_length
        self._unit_mm = 1000.0 * scale

    # ---- points

    def rest(self, part: int, name: str = "") -> np.ndarray:
        """Points [V, 3] of a mesh at rest, or with a key at 1 alone, in the character's space."""
        if (part, name) not in self._rest:
            keys = self.parts[part].data.shape_keys
            block = keys.reference_key if keys is not None else None
            if name:
                block = keys.key_blocks[name]
            data = block.points if block is not None else self.parts[part].data.vertices
            self._rest[part, name] = self._points(part, data)
        return self._rest[part, name]

    def _points(self, part: int, data) -> np.ndarray:
        """[V, 3] of a mesh along the character's axes; where the mesh stands is added in
        `places`."""
        points = np.empty(3 * len(data), np.float32)
        data.foreach_get("co", points)
        return points.reshape(-1, 3) @ np.array(self._matrix(part).to_3x3(), np.float32).T

    def _matrix(self, part: int) -> Matrix:
        obj = self.parts[part]
        return self.base.matrix_world.inverted_safe() @ obj.matrix_world

    def places(self, part: int) -> np.ndarray:
        """Points [V, 3] of a mesh at rest, where they stand in the character's space."""
        return self.rest(part) + np.array(self._matrix(part).translation, np.float32)

    def key(self, part: int, name: str) -> Moved:
        """What a key of a mesh does at 1."""
        if (part, name) not in self._keys:
            obj = self.parts[part]
            block = obj.data.shape_keys.key_blocks[name]
            other = block.relative_key
            is_basis = other == obj.data.shape_keys.reference_key
            by = self._points(part, block.points)
            by -= self.rest(part, "" if is_basis else other.name)
            if group := obj.vertex_groups.get(block.vertex_group):
                ids, weights = self._of_groups(part)[group.index]
                masked = np.zeros(len(by), np.float32)
                masked[ids] = weights
                by *= masked[:, None]
            if part not in self._sizes:
                self._sizes[part] = np.ptp(self.rest(part), axis=0).max() if len(by) else 0.0
            size = self._sizes[part]
            ids = np.flatnonzero(np.einsum("ij,ij->i", by, by) > (_STILL_SHARE * size) ** 2)
            self._keys[part, name] = Moved(ids, by[ids])
        return self._keys[part, name]

    def _of_groups(self, part: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """The vertices of every vertex group of a mesh, and their weights."""
        if part not in self._weights:
            rows = [
                (place, each.group, each.weight)
                for place, vertex in enumerate(self.parts[part].data.vertices)
                for each in vertex.groups
            ]
            table = np.array(rows, np.float32).reshape(-1, 3)
            self._weights[part] = {
                group.index: (table[of, 0].astype(np.int64), table[of, 2])
                for group in self.parts[part].vertex_groups
                for of in [table[:, 1] == group.index]
            }
        return self._weights[part]

    # ---- moves

    def dead_keys(self) -> set[str]:
        """Names of keys that move nothing, on no mesh and by no driver; empty if that is true of
        all, whose effect is then elsewhere."""
        names = {block.name for part in self.parts for block in part.data.shape_keys.key_blocks[1:]}
        dead = {
            name
            for name in names
            if not any(len(self.key(part, name).ids) for part in self._having(name))
            and len(self._spread({mapping.Target("KEY", name): 1.0})) == 1
        }
        return set() if dead == names else dead

    def _having(self, name: str) -> list[int]:
        return [part for part, obj in enumerate(self.parts) if name in key_names(obj)]

    def _spread(self, moves: Moves) -> dict[mapping.Target, float]:
        """Moves, and those that drivers add to them."""
        result = dict(moves)
        for _ in range(_CHAIN if self._drivers else 0):
            added = {
                target: by
                for target, curve in self._drivers
                if target not in moves and (by := driven.change(curve, result))
            }
            if added.items() <= result.items():
                break
            result |= added
        return result

    def offsets(self, part: int, moves: Moves, plan: mapping.Mapping) -> np.ndarray:
        """How far moves bring the points of a mesh, [V, 3], not to be changed: keys, then bones."""
        key = part, frozenset(moves.items()), plan.forward, plan.up
        if key in self._offsets:
            return self._offsets[key]
        every = self._spread(moves)
        self._offsets[key] = result = np.zeros_like(self.rest(part))
        names = key_names(self.parts[part])
        for target, amount in every.items():
            if target.kind == "KEY" and target.name in names:
                moved = self.key(part, target.name)
                result[moved.ids] += np.float32(amount) * moved.by
        for rig in self.rigs:
            turned = _matrices(rig, every, plan)
            if turned and any(
                modifier.type == "ARMATURE" and modifier.object == rig
                for modifier in self.parts[part].modifiers
            ):
                self._skin(part, rig, turned, result)
        return result

    def _skin(self, part: int, rig, turned: dict[str, Matrix], offsets: np.ndarray) -> None:
        """Add what bones with these matrices do to points that are already moved by keys."""
        to_rig = np.array(rig.matrix_world.inverted_safe() @ self.base.matrix_world)
        points = (self.places(part) + offsets) @ to_rig[:3, :3].T + to_rig[:3, 3]
        groups, total = self.parts[part].vertex_groups, np.zeros(len(points))
        weighted, added = self._of_groups(part), np.zeros_like(points)
        for bone in rig.data.bones:
            if not bone.use_deform or bone.name not in groups:
                continue
            ids, weights = weighted[groups[bone.name].index]
            total[ids] += weights
            chain = [each for each in (bone, *bone.parent_recursive) if each.name in turned]
            if chain:
                matrix = Matrix.Identity(4)
                for each in chain:
                    matrix = turned[each.name] @ matrix
                full = np.array(matrix)
                moved = points[ids] @ full[:3, :3].T + full[:3, 3] - points[ids]
                added[ids] += weights[:, None] * moved
        added /= np.maximum(total, 1e-6)[:, None]
        offsets += (added @ np.linalg.inv(to_rig[:3, :3]).T).astype(np.float32)

    # ---- the whole face

    def moves_of(self, plan: mapping.Mapping, values: Values[str, float]) -> Moves:
        """What a mapping moves where sources have these values."""
        result: dict[mapping.Target, float] = {}
        rules = list(jaw_balance.apply_balance(plan).rules)
        rules += [
            mapping.Rule("jawOpen", jaw_target(joint), joint.scale * JAW_OPEN_RADIANS)
            for joint in plan.joints
            if joint.joint == "jaw"
        ]
        for rule in rules:
            if values.get(rule.source):
                amount = rule.weight * values[rule.source]
                result[rule.target] = result.get(rule.target, 0.0) + amount
        return result

    def face(self, plan: mapping.Mapping) -> int:
        """The mesh with the lips: the one of which an open jaw moves most points, else the first
        one."""
        moves = self.moves_of(plan, {"jawOpen": 1.0})
        counts = [
            np.count_nonzero(self.offsets(part, moves, plan).any(axis=1))
            for part in range(len(self.parts))
        ]
        return int(np.argmax(counts)) if counts else 0

    def lips(self, plan: mapping.Mapping, part: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Vertices in the middle of the upper and of the lower lip, [n] each: neighbours that an
        open jaw parts most. None without a jaw."""
        opened = self.offsets(part, self.moves_of(plan, {"jawOpen": 1.0}), plan)
        up = _axes(plan)[1]
        down, points = -opened @ up, self.places(part)
        if down.max(initial=0.0) <= 0:
            return None
        lower = np.flatnonzero(down > _PARTED * down.max())
        lower = lower[:: 1 + len(lower) // _MOST_LIPS]
        near = (points >= points[lower].min(0) - down.max()) & (
            points <= points[lower].max(0) + down.max()
        )
        upper = np.flatnonzero(near.all(axis=1) & (down <= _PARTED * down.max()))
        if not len(upper):
            return None
        tree = kdtree.KDTree(len(upper))
        for place, point in enumerate(points[upper].tolist()):
            tree.insert(point, place)
        tree.balance()
        found = [tree.find(point) for point in points[lower].tolist()]
        nearest = upper[[place for _, place, _ in found]]
        parts = down[lower] - down[nearest]
        worth = parts - _APART * np.array([far for _, _, far in found])
        if worth.max() <= 0:
            return None
        best = worth >= _MIDDLE * worth.max()
        return nearest[best], lower[best]

    def gap(self, part: int, lips, moves: Moves, plan: mapping.Mapping) -> float:
        """How much further apart moves bring the lips than at rest, mm; negative: crossed."""
        up, (upper, lower) = _axes(plan)[1], lips
        offsets = self.offsets(part, moves, plan)
        return float(((offsets[upper] - offsets[lower]).mean(0)) @ up) * self.mm(part, plan)

    def mm(self, part: int, plan: mapping.Mapping) -> float:
        """Millimetres of a unit of the character's space. Characters of no human size are taken to
        have a head of HEAD_MM."""
        heights = self.places(part) @ _axes(plan)[1]
        opened = self.offsets(part, self.moves_of(plan, {"jawOpen": 1.0}), plan).any(axis=1)
        chin = heights[opened].min() if opened.any() else heights.min()
        height = float(heights.max() - chin) * self._unit_mm
        is_usual = _HEADS_MM[0] <= height <= _HEADS_MM[1]
        return self._unit_mm * (1.0 if is_usual or height <= 0 else HEAD_MM / height)

    # ---- which way it looks

    def facing(self, plan: mapping.Mapping, hinge: Vector | None) -> tuple[str, str] | None:
        """The axes along which a character looks and stands: lips are in front of the jaw's hinge
        (else of the middle of the head), eyes above the mouth, left keys on the left. None where
        these say nothing or contradict each other."""
        jaw = self.moves_of(plan, {"jawOpen": 1.0})
        if not jaw or not self.parts:
            return None
        part = self.face(plan)
        places = self.places(part)
        far = np.linalg.norm(self.offsets(part, jaw, plan), axis=1)
        if far.max(initial=0.0) <= 0:
            return None
        mouth = places[far > _STRONG * far.max()].mean(0)
        upper_face = self._middle(plan, ("eyeBlink", "eyeWide", "brow"))
        up = None if upper_face is None else _along(upper_face - mouth)
        if up is None:
            up = np.array(binding.DIRECTIONS[plan.up or binding.UP], float)
        heights = places @ up
        head = places[heights >= (places[far > 0] @ up).min()]
        middle = (head.min(0) + head.max(0)) / 2 if hinge is None else np.array(hinge)
        ahead = mouth - middle
        ahead = ahead - (ahead @ up) * up
        forward, size = _along(ahead), np.ptp(head, axis=0)
        is_flat = size.min() < _FRONT * size.max()  # a sheet has no front
        if forward is None or is_flat or np.abs(ahead).max() < _FRONT * np.ptp(head @ up):
            return None
        left, right = (
            self._middle(plan, ("eye", "mouth", "brow"), side) for side in ("Left", "Right")
        )
        if left is not None and right is not None:
            apart = left - right
            if np.linalg.norm(apart) > 0 and abs(apart @ np.cross(up, forward)) < _TOWARDS * (
                np.linalg.norm(apart)
            ):
                return None
        return letter(forward), letter(up)

    def _middle(self, plan, starts, end: str = "") -> np.ndarray | None:
        """The middle of what keys of channels with such names move, [3]."""
        middles = []
        for rule in plan.rules:
            if (
                rule.target.kind == "KEY"
                and rule.source.startswith(starts)
                and rule.source.endswith(end)
            ):
                for part in self._having(rule.target.name):
                    moved = self.key(part, rule.target.name)
                    if len(moved.ids):
                        far = np.linalg.norm(moved.by, axis=1)
                        middles.append(np.average(self.places(part)[moved.ids], 0, far))
        return np.mean(middles, axis=0) if middles else None

    # ---- what is no key

    def inverted(self, plan: mapping.Mapping) -> dict[str, str]:
        """Channels whose keys do the opposite of their names, with what they do."""
        left, up, forward = _axes(plan)
        ways = {
            "eyeBlinkLeft": (-up, "opens the eye"),
            "eyeBlinkRight": (-up, "opens the eye"),
            **{
                f"eyeLook{way}{side}": (axis, "turns the eye the other way")
                for side, out in (("Left", left), ("Right", -left))
                for way, axis in (("Up", up), ("Down", -up), ("Out", out), ("In", -out))
            },
        }
        result = {}
        part = self.face(plan) if self.parts else 0
        jaw = self.moves_of(plan, {"jawOpen": 1.0})
        if jaw and self.parts:
            offsets = self.offsets(part, jaw, plan)
            far = np.linalg.norm(offsets, axis=1)
            strong = far > _STRONG * max(far.max(initial=0.0), 1e-12)
            if strong.any() and (offsets[strong] @ up).mean() > _TOWARDS * far[strong].mean():
                result["jawOpen"] = "moves the lower lip up"
        for source, (axis, words) in ways.items():
            ahead, far = self._strongest(plan, source, axis, forward)
            if ahead < -_TOWARDS * far:
                result[source] = words
        narrower = self._narrowing(plan, {"mouthPucker": 1.0})
        if narrower is not None and narrower < -_LEAST_MM:
            result["mouthPucker"] = "widens the mouth"
        return result

    def _strongest(self, plan, source: str, axis, forward) -> tuple[float, float]:
        """How far along an axis, and how far at all, the keys of a channel bring the front of what
        they move, means over points."""
        along = far = 0.0
        moves = self.moves_of(plan, {source: 1.0})
        for part in range(len(self.parts)) if moves else ():
            offsets = self.offsets(part, moves, plan)
            lengths = np.linalg.norm(offsets, axis=1)
            ids = np.flatnonzero(lengths > _STRONG * lengths.max(initial=0.0))
            if len(ids):
                depth = self.places(part)[ids] @ forward
                ids = ids[depth >= np.median(depth)]
                along += float((offsets[ids] @ axis).sum())
                far += float(lengths[ids].sum())
        return along, far

    def _narrowing(self, plan, values: Values[str, float]) -> float | None:
        """By how much sources bring the two sides of the face together, mm; negative: apart. None
        if they move nothing."""
        moves = self.moves_of(plan, values)
        if not moves or not self.parts:
            return None
        part = self.face(plan)
        across = _axes(plan)[0]
        offsets, places = self.offsets(part, moves, plan), self.places(part) @ across
        sideways = offsets @ across
        moving = np.abs(offsets).max(axis=1) > 0
        if not moving.any():
            return None
        middle = (places[moving].min() + places[moving].max()) / 2
        sides = [(1.0, moving & (places > middle)), (-1.0, moving & (places < middle))]
        inward = [-sign * sideways[where] for sign, where in sides]
        total = sum(each.sum() for each in inward)
        pick = np.max if total > 0 else np.min
        return float(sum(pick(each) for each in inward if len(each))) * self.mm(part, plan)

    def reach(self, plan: mapping.Mapping) -> Reach:
        """What a mapping does on this face."""
        up = _axes(plan)[1]
        if not self.parts or not plan.rules and not plan.joints:
            return Reach()
        part = self.face(plan)
        lips, mm = self.lips(plan, part), self.mm(part, plan)
        shown, faults = {}, {}
        for mouth, values in ROW.items():
            moves = self.moves_of(plan, values)
            apart = 0.0 if lips is None else self.gap(part, lips, moves, plan)
            narrower = self._narrowing(plan, values) or 0.0
            if mouth == "blink":
                apart = max(
                    (
                        float((-self.offsets(each, moves, plan) @ up).max(initial=0.0)) * mm
                        for each in range(len(self.parts))
                    ),
                    default=0.0,
                )
            shown[mouth] = apart, -narrower
        if lips is None or shown["open"][0] < LEAST_OPEN_MM:
            faults["open"] = "The jaw does not part the lips: what is said is hardly seen"
        if -shown["round"][1] < _LEAST_MM:
            faults["round"] = "Nothing makes the mouth narrower: “oo” looks like “ah”"
        if shown["wide"][1] < _LEAST_MM:
            faults["wide"] = "Nothing makes the mouth wider: “ee” looks like “eh”"
        if abs(shown["closed"][0]) > LEAST_OPEN_MM:
            faults["closed"] = "The lips do not meet over an open jaw: m, b and p stay open"
        if shown["blink"][0] < _LEAST_MM:
            faults["blink"] = "Nothing closes the eyes"
        if lips is None:
            return Reach(self.parts[part].name, up=tuple(up), mm=mm, shown=shown, faults=faults)
        places, moves = self.places(part), self.moves_of(plan, dict.fromkeys(plan.used, 1.0))
        moving = self.offsets(part, moves, plan).any(axis=1)
        moving |= places @ up <= (places[lips[0]] @ up).max()
        still = np.flatnonzero(~moving)
        still = still[:: 1 + len(still) // _STILL_POINTS]
        ids = [tuple(map(int, each)) for each in (*lips, still)]
        rest = tuple(map(tuple, places[[i for each in ids for i in each]].tolist()))
        return Reach(self.parts[part].name, *ids, rest, tuple(up), mm, shown, faults)

    def probes(self) -> tuple[tuple, ...]:
        """Points by which a change of the meshes is noticed: (mesh, key, vertex, place)."""
        result = []
        for part, obj in enumerate(self.parts):
            if obj.data.shape_keys is None:
                continue
            blocks, count = obj.data.shape_keys.key_blocks, len(obj.data.vertices)
            wanted = [(blocks[0].name, i) for i in range(0, count, max(1, count // 16))]
            for (of, name), moved in self._keys.items():
                if of == part and len(moved.ids):
                    far = np.einsum("ij,ij->i", moved.by, moved.by)
                    wanted.append((name, int(moved.ids[far.argmax()])))
            result += [
                (obj.name_full, name, i, tuple(blocks[name].data[i].co)) for name, i in wanted
            ]
        return tuple(result)


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


def jaw_target(joint: mapping.JointRule) -> mapping.Target:
    """What opens a jaw of bone."""
    return mapping.Target("BONE", "", joint.object, joint.bone, binding.ROTATION, 0)


def _axes(plan: mapping.Mapping) -> np.ndarray:
    """Left, up and forward of a character in its space, [3, 3]."""
    forward = np.array(binding.DIRECTIONS[plan.forward or binding.FORWARD], float)
    up = np.array(binding.DIRECTIONS[plan.up or binding.UP], float)
    return np.array([np.cross(up, forward), up, forward])


def letter(axis: np.ndarray) -> str:
    """The name of the axis along which a vector [3] goes most: "-Y"."""
    index = int(np.argmax(np.abs(axis)))
    return ("-" if axis[index] < 0 else "") + "XYZ"[index]


def _along(vector: np.ndarray) -> np.ndarray | None:
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

        def three(path, rest=0.0, values=values):
            return [rest + values.get((path, axis), 0.0) for axis in range(3)]

        turn = Vector((binding.basis(rig, bone, plan) @ three(binding.ROTATION)).tolist())
        whole = Quaternion(turn.normalized(), turn.length) if turn.length else Quaternion()
        mode = rig.pose.bones[bone].rotation_mode
        if len(mode) == 3:
            whole = whole @ Euler(three("rotation_euler"), mode).to_quaternion()
        elif mode == "QUATERNION":
            numbers = [
                float(i == 0) + values.get(("rotation_quaternion", i), 0.0) for i in range(4)
            ]
            whole = whole @ Quaternion(numbers).normalized()
        local = Matrix.LocRotScale(Vector(three("location")), whole, Vector(three("scale", 1.0)))
        rest = rig.data.bones[bone].matrix_local
        result[bone] = rest @ local @ rest.inverted()
    return result
