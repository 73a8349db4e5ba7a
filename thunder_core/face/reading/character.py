# SPDX-License-Identifier: GPL-3.0-or-later
"""A character as it was read: its meshes, bones and drivers as arrays and names, and what moves do
to its points; numpy only.

Nothing in the scene is moved: points come from the shape keys (with their vertex groups and the
keys they are relative to), the weights of bones, and drivers. What is slow to read is a function,
called once and when it is asked for.
"""

from collections.abc import Callable, Iterable, Mapping as Values, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from operator import not_

import numpy as np

from ..mapping import EULER, Mapping, ROTATION, Rule, Target
from .bones import Armature, CHAIN, Moves
from .drivers import RigDriver

# modifiers that carry on what bones do in a way that is not followed
_BINDS = {
    "HOOK",
    "LATTICE",
    "MESH_DEFORM",
    "SURFACE_DEFORM",
    "NODES",
    "MESH_CACHE",
    "MESH_SEQUENCE_CACHE",
}

Nearest = Callable[[np.ndarray, np.ndarray], tuple[list[int], list[float]]]
Part = tuple[np.ndarray, np.ndarray]  # vertices [n], and their weights [n] or moves [n, 3]


@dataclass(frozen=True)
class Key:
    """A shape key. least, most: ends of its slider.  moves: the vertices that it moves at 1, and
    how far."""

    moves: Callable[[], Part]
    least: float = 0.0
    most: float = 1.0
    is_muted: bool = False
    driver: RigDriver | None = None


@dataclass(frozen=True)
class Mesh:
    """A mesh of a character, its points along the character's axes.

    rest: from its own origin, [V, 3].  at: that origin.  keys: the Basis first.  groups: names of
    its vertex groups.  weights: their vertices.  faces: the vertices of each edge and face.
    rigs: names of the armatures that deform it.  hangs: the armature and bone that it hangs on.
    modifiers: their types.  properties: as of `Armature`.
    """

    name: str
    rest: np.ndarray
    at: np.ndarray = field(default_factory=lambda: np.zeros(3, np.float32))
    keys: Values[str, Key] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    weights: Callable[[], Values[str, Part]] = dict
    faces: Callable[[], Iterable[Sequence[int]]] = tuple
    rigs: frozenset[str] = frozenset()
    hangs: tuple[str, str] = ("", "")
    modifiers: frozenset[str] = frozenset()
    properties: tuple[tuple[str, str], ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the keys that are not muted, the Basis first."""
        names = list(self.keys)
        return tuple(name for name in names if name == names[0] or not self.keys[name].is_muted)

    @cached_property
    def places(self) -> np.ndarray:
        """Its points at rest in the character's space, [V, 3]."""
        return self.rest + self.at

    @cached_property
    def still(self) -> np.ndarray:
        """No movement, [V, 3]: the one array for all that do not move it."""
        return np.zeros_like(self.rest)


@dataclass(frozen=True)
class Character:
    """A character as it is at rest.

    meshes: the face first, those with keys before others.  base: name of the object in whose space
    points are.  mm: millimetres of a unit there.  is_mirrored: whether its scale is negative.
    drivers: those that move something.  elsewhere: key → the object outside that has it.
    nearest: of points [n, 3] and others [m, 3]: the nearest of the others to each, and how far.
    tried: what is shown where controls go so far from rest: how far the points of each mesh with
    keys (of all without) move, None where that cannot be seen.
    """

    meshes: tuple[Mesh, ...]
    nearest: Nearest
    rigs: tuple[Armature, ...] = ()
    base: str = ""
    mm: float = 1000.0
    is_mirrored: bool = False
    drivers: tuple[RigDriver, ...] = ()
    elsewhere: Values[str, str] = field(default_factory=dict)
    tried: Callable[[Moves], list[np.ndarray] | None] = lambda _: None

    @cached_property
    def keyed(self) -> int:
        """How many meshes have keys."""
        return sum(bool(mesh.keys) for mesh in self.meshes)

    @property
    def parts(self) -> list[Armature | Mesh]:
        """Its armatures, then its meshes."""
        return [*self.rigs, *self.meshes]

    @property
    def faces(self) -> tuple[Mesh, ...]:
        """The meshes with keys; all where none has some."""
        return self.meshes[: self.keyed] or self.meshes

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all keys that are not muted."""
        return tuple(dict.fromkeys(name for mesh in self.meshes for name in mesh.names))

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the custom properties of its armatures and its meshes with keys."""
        holders = self.parts[: len(self.rigs) + self.keyed]
        return tuple(dict.fromkeys(name for each in holders for _, name in each.properties))

    @cached_property
    def held(self) -> dict[Target, float]:
        """Keys whose sliders begin above 0, with where."""
        return {
            Target("KEY", name): mesh.keys[name].least
            for mesh in self.meshes
            for name in mesh.names
            if mesh.keys[name].least > 0
        }


class PointMeter:
    """What keys, bones and drivers do to the points of one character."""

    def __init__(self, character: Character):
        self.of, self.meshes, self.rigs = character, character.meshes, character.rigs
        self._offsets: dict[tuple, np.ndarray] = {}
        # what was shown of a control either way (True: up): how far it went, and what it did
        self._shown: dict[tuple[Target, bool], tuple[float, list[np.ndarray]]] = {}
        is_followed = [each.is_readable and each.target is not None for each in character.drivers]
        self._drivers = [*compress(character.drivers, is_followed)]
        # the controls of those that are not followed
        left = compress(character.drivers, map(not_, is_followed))
        self._carried = {target for each in left for target in each.rest}

    def look(self, plan: Mapping) -> None:
        """Measure, by what is shown, the targets of a mapping whose effect is not followed."""
        for rule in plan.rules:
            target, amount = rule.target, rule.weight
            if target.path == ROTATION or not amount or self.is_measured({target: amount}):
                continue
            shown = self.of.tried({target: amount})
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
            return self._follows(every)
        return len(every) > len(left) or all(target.kind == "KEY" for target in left)

    def dead_keys(self) -> set[str]:
        """Names of keys that move nothing, on no mesh and by no driver; empty if that is true of
        all, whose effect is then elsewhere."""
        names = {name for mesh in self.meshes for name in mesh.names[1:]}
        dead = {
            name
            for name in names
            if not any(
                len(mesh.keys[name].moves()[0]) for mesh in self.meshes if name in mesh.names
            )
            and len(self._spread({Target("KEY", name): 1.0})) == 1
            and Target("KEY", name) not in self._carried
        }
        return set() if dead == names else dead

    def effect(self, part: int, rule: Rule, plan: Mapping) -> Part:
        """What a rule does to a mesh by its key, or by the control that it moves: the vertices that
        move, and how far."""
        if rule.target.kind == "KEY":
            mesh, name = self.meshes[part], rule.target.name
            return (
                mesh.keys[name].moves() if name in mesh.names else (np.arange(0), np.zeros((0, 3)))
            )
        by = self.offsets(part, {rule.target: rule.weight}, plan)
        ids = np.flatnonzero(by.any(axis=1))
        return ids, by[ids]

    def _spread(self, moves: Moves, plan: Mapping | None = None) -> Moves:
        """Moves, and those that drivers add to them, also by how a mapping turns bones."""
        moves = {_anywhere(target): by for target, by in moves.items()}
        result = dict(moves)
        turns = {
            Target("BONE", "", rig.name, bone, EULER, axis): angle
            for rig in self.rigs
            if plan is not None and self._drivers
            for bone, by in rig.moves(moves, plan).items()
            for axis, angle in enumerate(rig.bones[bone].angles(by))
        }
        for _ in range(CHAIN):
            result |= {
                driver.target: by
                for driver in self._drivers
                if driver.target is not None
                and driver.target not in moves
                and (by := driver.change(turns | result))
            }
        return result

    def offsets(self, part: int, moves: Moves, plan: Mapping) -> np.ndarray:
        """How far moves bring the points of a mesh, [V, 3], not to be changed: keys, then bones."""
        place = part, frozenset(moves.items()), plan.forward, plan.up
        if place not in self._offsets:
            mesh = self.meshes[part]
            every, result = self._spread(moves, plan), mesh.still.copy()
            for target, amount in every.items():
                if target.kind == "KEY" and target.name in mesh.names:
                    key = mesh.keys[target.name]
                    ids, by = key.moves()
                    result[ids] += np.float32(min(max(amount, key.least), key.most)) * by
            for rig in self.rigs:
                if turned := rig.moves(every, plan):
                    _skin(mesh, rig, turned, result)
            for (target, up), (full, shown) in self._shown.items():
                amount = moves.get(target, 0.0)
                if amount and (amount > 0) == up and part < len(shown):
                    result += np.float32(amount / full) * shown[part].astype(np.float32)
            self._offsets[place] = result if result.any() else mesh.still
        return self._offsets[place]

    def _follows(self, every: Moves) -> bool:
        """Whether `offsets` are all that moves do: no constraint, driver or modifier that is not
        followed carries them on."""
        touched = {target.bone for target in every if target.kind == "BONE"} - {""}
        bones = [(rig, name, bone) for rig in self.rigs for name, bone in rig.bones.items()]
        for _ in range(CHAIN):
            touched |= {
                name
                for rig, name, bone in bones
                if rig.copied(name) in touched or not touched.isdisjoint(rig.above(name))
            }
        return bool(touched) and not (
            any(mesh.modifiers & _BINDS for mesh in self.meshes)
            or any(touched & bone.looks_at - {rig.copied(name)} for rig, name, bone in bones)
            or any(touched & driver.bones for driver in self._drivers)
        )


def _skin(mesh: Mesh, rig: Armature, turned: Values[str, np.ndarray], offsets: np.ndarray) -> None:
    """Add what bones with these matrices do to points that are already moved by keys."""
    count, is_held = len(offsets), mesh.hangs[0] == rig.name
    names = [
        name
        for name, bone in rig.bones.items()
        if rig.name in mesh.rigs and bone.is_deforming and name in mesh.groups
    ]
    full = {name: rig.posed(name, turned) - np.eye(4) for name in names + [mesh.hangs[1]] * is_held}
    if not any(by.any() for by in full.values()):
        return
    points = (mesh.places + offsets) @ rig.inward[:3, :3].T + rig.inward[:3, 3]
    total, added = np.zeros(count), 0 * points
    for name, by in full.items():
        ids, weights = mesh.weights()[name] if name in names else (np.arange(count), np.ones(count))
        total[ids] += weights
        added[ids] += weights[:, None] * (points[ids] @ by[:3, :3].T + by[:3, 3])
    added /= np.maximum(total, 1e-6)[:, None]
    offsets += (added @ np.linalg.inv(rig.inward[:3, :3]).T).astype(np.float32)


def _anywhere(target: Target) -> Target:
    """A key whichever mesh it is on, as drivers tell it; anything else as it is."""
    return replace(target, object="") if target.kind == "KEY" else target
