# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes shape keys on a face that has none, by 24 dots on it, and those that it lacks where it has
some: the dots, what the engine is asked, and the keys."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

import bpy
import numpy as np
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree
from mathutils.geometry import barycentric_transform

from ...thunder_core import records
from ...thunder_core.client import Client, temporary_arrays
from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.making import dots, shapes
from ...thunder_core.face.regions import Warp
from ..host import playback
from ..host.jobs import Memory, session, Step
from . import character, detection, family, head_state

DOTS = "thunder_dots"  # custom property of the empty that holds a face's dots
MIRROR = "Mirror"  # name of the constraint by which a dot on the right follows that on the left
MADE = "thunder_made"  # of a mesh: JSON of the keys that were made, and sums of their points
TORN = "thunder_torn"  # of a mesh: JSON of what is wrong with them, and their names
_PART = "Part "  # of the names under which parts are kept with dots
NO_DOTS = "There are no dots on this face: press Mark the Face first"
_DOT_SIZE = 0.016  # of the width of what is marked
# vertices of a face that has lips and lids, and those that shapes are made of: half a GB
_LEAST, _MOST = 600, 300_000
_SAME = 1e-6  # of a face's size: a vertex that moves less is still, a face that is as thin flat
Ask = Callable[..., Generator[Step, None, dict]]  # connection.ask
# of meshes whose keys were made in this session: the triangles [N, 3] in which each is not good
spots = session.add(Memory()).known

# ---- dots


def dots_of(face: bpy.types.Object | None) -> bpy.types.Object | None:
    """The empty that holds the dots of a face, None without one."""
    children = () if face is None else face.children
    return next((child for child in children if DOTS in child), None)


def is_marked(face: bpy.types.Object | None) -> bool:
    """Whether all dots lie on a face."""
    root = dots_of(face)
    there = () if root is None else {number_of(dot) for dot in root.children} - {None}
    return len(there) == len(dots.NAMES)


def number_of(dot: bpy.types.Object) -> int | None:
    """The number of a dot, None for what is no dot."""
    number = dot.get(DOTS)
    is_one = isinstance(number, int) and 0 <= number < len(dots.NAMES)
    return int(number) if is_one else None


def face_of(obj: bpy.types.Object | None) -> bpy.types.Object | None:
    """The face that an object is, or that its dots are on; None for neither."""
    while obj is not None and obj.type == "EMPTY" and obj.parent is not None:
        obj = obj.parent
    return obj if obj is not None and obj.type == "MESH" else None


def meant_by(obj: bpy.types.Object | None) -> bpy.types.Object | None:
    """The face that a dot stands for; anything else itself."""
    return face_of(obj) if obj is not None and DOTS in obj else obj


def speaker_of(face: bpy.types.Object) -> bpy.types.Object | None:
    """The face of a character that speaks by shapes of its own, as those of VRM, VRChat and Ready
    Player Me do, though none makes its mouth wider or none rounder, as VRoid's drawn I; None for
    one that lacks more, or whose shapes were made."""
    speaker = family.face_of(face)
    if speaker is None or family.is_drawn(speaker) or _made(speaker.data):
        return None
    lacks = set(character.reach_of(speaker, character.plan_of(speaker)).faults)
    return None if "open" in lacks or {"wide", "round"} <= lacks else speaker


def mark(
    client: Client, ask: Ask, face: bpy.types.Object, parts: list[bpy.types.Object]
) -> Generator[Step, None, tuple[bpy.types.Object, bool]]:
    """Put 24 dots on a face, about where they belong. Returns the empty that holds them, and
    whether a face was seen in a picture of it. Raises ThunderError."""
    turn = _upright(face)
    points, triangles, _ = _geometry(face, parts, turn.inverted())
    with temporary_arrays(client) as put:
        answer = yield from ask(
            client, "mark_face", (0.0, 0.9), "Looking for the face",
            points=put(points), triangles=put(triangles),
        )  # fmt: skip
    up, ahead = Vector((0, 1, 0)), Vector(answer["ahead"])
    there = Matrix((up.cross(ahead), up, ahead))
    places = np.array(answer["marks"]) @ np.array(there).T
    if (old := dots_of(face)) is not None:
        for each in (*old.children, old):
            bpy.data.objects.remove(each)
    return _add_dots(face, parts, turn @ there.transposed().to_4x4(), places), answer["is_seen"]


def _upright(face: bpy.types.Object) -> Matrix:
    """Axes of an object that are nearest to the world's as a face has them: x to its left, y up, z
    ahead along -Y."""
    sides = face.matrix_world.to_quaternion().to_matrix().transposed()
    axes = [sign * side for side in sides[:] for sign in (1, -1)]
    up = max(axes, key=lambda axis: axis.z)
    ahead = min((axis for axis in axes if abs(axis.dot(up)) < 0.5), key=lambda axis: axis.y)
    return Matrix((up.cross(ahead), up, ahead)).transposed().to_4x4()


def _add_dots(
    face: bpy.types.Object, parts: Sequence[bpy.types.Object], turn: Matrix, places: np.ndarray
) -> bpy.types.Object:
    """The empty with the dots at places [24, 3] in axes that `turn` brings into the world; keeps
    which objects are parts of their face: eyes, teeth, tongue, lashes."""
    there = np.array(turn)
    at_rest = places @ there[:3, :3].T + there[:3, 3]
    shown = _through_pose(face, at_rest, bpy.context.evaluated_depsgraph_get(), False)
    if shown is not at_rest:  # the dots' left and right are those of the head as it is turned
        posed = Warp.rigid(at_rest, shown)
        turned = posed.turn / np.cbrt(np.linalg.det(posed.turn))
        turn = Matrix(turned.T).to_4x4() @ turn
        places = (shown - np.array(turn)[:3, 3]) @ np.array(turn)[:3, :3]
    centre = places[: len(dots.MIDDLE)].mean(0)
    size = float(np.ptp(places[:, 0]))
    collection = face.users_collection[0]
    root = bpy.data.objects.new("Thunder Dots", None)
    root[DOTS] = 1
    for number, obj in enumerate(parts):
        root[f"{_PART}{number}"] = obj
    root.empty_display_size = 0.3 * size
    collection.objects.link(root)
    root.parent = face
    world = turn @ Matrix.Translation(centre)
    root.matrix_parent_inverse = face.matrix_world.inverted_safe()
    root.matrix_basis = world
    made = []
    for number, (name, place) in enumerate(zip(dots.NAMES, places)):
        dot = bpy.data.objects.new(name.capitalize(), None)
        dot[DOTS] = number
        dot.empty_display_type, dot.empty_display_size = "SPHERE", _DOT_SIZE * size
        dot.show_in_front = True
        collection.objects.link(dot)
        dot.parent, dot.location = root, place - centre
        dot.lock_rotation = dot.lock_scale = (True, True, True)
        dot.show_name = not name.endswith("right")
        made.append(dot)
        if not dot.show_name:
            mirror = dot.constraints.new("COPY_LOCATION")
            mirror.name, mirror.target = MIRROR, made[dots.ACROSS[number]]
            mirror.invert_x, mirror.owner_space, mirror.target_space = True, "LOCAL", "LOCAL"
        sticks = dot.constraints.new("SHRINKWRAP")
        sticks.target, sticks.shrinkwrap_type = face, "NEAREST_SURFACE"
    return root


def parts_of(root: bpy.types.Object) -> list[bpy.types.Object]:
    """The parts that are kept with dots and still in a scene."""
    found = [value for name, value in root.items() if name.startswith(_PART)]
    meshes = (obj for obj in found if isinstance(obj, bpy.types.Object) and obj.type == "MESH")
    return [obj for obj in meshes if obj.users_scene]


# ---- keys


def make(
    client: Client,
    ask: Ask,
    face: bpy.types.Object,
    parts: list[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
) -> Generator[Step, None, tuple[list[str], list[str]]]:
    """Make the keys that a face and its parts lack, by its dots. Returns the names of what was made
    and of keys of the animator's own, which are kept. Raises ThunderError, and then nothing was
    changed, nor if it is closed early."""
    root = dots_of(face)
    marks = _marks(root, depsgraph)
    kept, own = _kept(face), _own(face)
    points, triangles, sizes = _geometry(face, parts, root.matrix_world.inverted_safe())
    back_turn = root.matrix_world.to_3x3()
    folder = client.new_folder()
    try:
        with temporary_arrays(client) as put:
            answer = yield from ask(
                client, "make_shapes", (0.0, 0.85), "Laying the face", folder=folder,
                points=put(points), triangles=put(triangles), marks=put(marks),
            )  # fmt: skip
        moves = client.get_array({"folder": folder}, answer["moves"])
    finally:
        client.delete_folder(folder)
    if [len(obj.data.vertices) for obj in (face, *parts)] != sizes:
        raise BadHead("The mesh was edited meanwhile: press Make Shapes again")
    wanted = [name for name in answer["names"] if name not in kept]
    steps, first = len(wanted) * (1 + len(parts)), 0
    with ExitStack() as back:
        for number, (obj, size) in enumerate(zip((face, *parts), sizes)):
            along = np.array(obj.matrix_world.to_3x3().inverted_safe() @ back_turn, np.float32)
            part = moves[:, first : first + size] @ along.T
            first += size
            before = _KeysBefore.of(obj)
            back.callback(before.restore, obj)
            if obj.data.shape_keys is None:
                obj.shape_key_add(name="Basis", from_mix=False)
            rest = family.rest_of(obj)
            least = _SAME * np.ptp(rest, axis=0).max()
            for place, name in enumerate(wanted):
                by = part[answer["names"].index(name)]
                if obj == face or np.abs(by).max(initial=0.0) > least:
                    before.note(obj, name)
                    _write(obj, name, rest + by)
                done = (number * len(wanted) + place + 1) / steps
                yield Step(0.85 + 0.15 * done, "Writing shape keys", busy=True)
        faults = {
            fault: {name: ids for name, ids in named.items() if name in wanted}
            for fault, named in answer["faults"].items()
        }
        face.data[TORN] = json.dumps({fault: list(named) for fault, named in faults.items()})
        skin = triangles[triangles.max(1) < sizes[0]]
        spots[face.data.session_uid] = {
            name: skin[np.isin(skin, ids).any(1)]
            for named in faults.values()
            for name, ids in named.items()
        }
        back.pop_all()
    return wanted, own


def plan_with(face: bpy.types.Object, made: Iterable[str]) -> mapping.Mapping | None:
    """The stored mapping of a face with keys that were made as they are detected, in place of
    those that stood in for them; None where none is stored or nothing is new."""
    if not head_state.mapping(face):
        return None
    plan, found = character.plan_of(face), detection.detect(face, anew=True)
    left = set(made) - {rule.target.name for rule in plan.rules}
    new = [rule for rule in found.rules if rule.target.kind == "KEY" and rule.target.name in left]
    sources = {rule.source for rule in new if rule.source == rule.target.name}
    rules = [rule for rule in plan.rules if rule.source not in sources]
    return replace(plan, rules=(*rules, *new)) if new else None


@dataclass(frozen=True)
class _KeysBefore:
    """What an object had before keys were written.

    points: of each key that is written, [V, 3], and its value; None for one that is new.
    properties: of its mesh.
    """

    has_keys: bool
    active: int
    properties: dict[str, str | None]
    points: dict[str, tuple[np.ndarray, float] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, obj: bpy.types.Object) -> "_KeysBefore":
        """What it has now."""
        values = {name: obj.data.get(name) for name in (MADE, TORN)}
        properties = {
            name: each if isinstance(each, str) else None for name, each in values.items()
        }
        return cls(obj.data.shape_keys is not None, obj.active_shape_key_index, properties)

    def note(self, obj: bpy.types.Object, name: str) -> None:
        """Remember a key that is about to be written."""
        block = obj.data.shape_keys.key_blocks.get(name)
        self.points[name] = block and (family.points_of(block.data), block.value)

    def restore(self, obj: bpy.types.Object) -> None:
        """Give it back; what was deleted meanwhile stays deleted."""
        if not playback.is_there(obj):
            return
        mesh = obj.data
        for name, old in self.points.items():
            block = mesh.shape_keys and mesh.shape_keys.key_blocks.get(name)
            if block is None:
                continue
            if old is None:
                obj.shape_key_remove(block)
            elif len(block.data) == len(old[0]):
                block.data.foreach_set("co", old[0].ravel())
                block.value = old[1]
        if not self.has_keys and mesh.shape_keys and len(mesh.shape_keys.key_blocks) == 1:
            obj.shape_key_clear()
        obj.active_shape_key_index = self.active
        for name, value in self.properties.items():
            if value is not None:
                mesh[name] = value
            elif name in mesh:
                del mesh[name]


def _write(obj: bpy.types.Object, name: str, points: np.ndarray) -> None:
    """Write a key of points [V, 3], and note that it was made: the file may be saved before all
    are."""
    block = obj.data.shape_keys.key_blocks.get(name)
    block = block or obj.shape_key_add(name=name, from_mix=False)
    block.value = 0.0
    block.data.foreach_set("co", np.ascontiguousarray(points, np.float32).ravel())
    obj.data[MADE] = json.dumps(_made(obj.data) | {name: _sum(block)})


def _sum(block: bpy.types.ShapeKey) -> int:
    return zlib.crc32(family.points_of(block.data).tobytes())


def _kept(face: bpy.types.Object) -> set[str]:
    """Names of channels that a face has already: by keys of its own, or by those that were made and
    have been sculpted since."""
    keys = face.data.shape_keys
    if keys is None:
        return set()
    has = set(keys.key_blocks.keys())
    ours = _unsculpted(face, has)
    if family.is_face(face):
        has |= {rule.source for rule in character.plan_of(face).rules if not _is_stand_in(rule)}
    return has - ours


def _own(face: bpy.types.Object) -> list[str]:
    """Names of a face's keys that were not made, or have been sculpted since."""
    blocks = face.data.shape_keys.key_blocks[1:] if face.data.shape_keys is not None else ()
    names = [block.name for block in blocks]
    ours = _unsculpted(face, names)
    return [name for name in names if name not in ours]


def _made(mesh: bpy.types.Mesh) -> dict[str, int]:
    """The sums of a mesh's made keys, by name; empty where somebody has damaged the record."""
    return {name: each for name, each in _record(mesh, MADE, dict).items() if isinstance(each, int)}


def _record(mesh: bpy.types.Mesh, name: str, kind: type):
    """A property of a mesh that holds JSON of a kind; an empty one where it does not."""
    with suppress(*records.UNREADABLE):
        value = json.loads(mesh.get(name, ""))
        if isinstance(value, kind):
            return value
    return kind()


def _unsculpted(face: bpy.types.Object, names: Iterable[str]) -> set[str]:
    """Of the names of keys those of keys that were made and are as they were made."""
    made = _made(face.data)
    blocks = face.data.shape_keys.key_blocks if face.data.shape_keys is not None else {}
    return {name for name in names if name in blocks and made.get(name) == _sum(blocks[name])}


def _is_stand_in(rule: mapping.Rule) -> bool:
    """Whether another channel's key does a rule's work."""
    stand_in = mapping.FALLBACKS.get(rule.source)
    return stand_in is not None and abs(rule.weight - stand_in[1]) < _SAME


def faults_of(face: bpy.types.Object) -> dict[str, list[str]]:
    """What is wrong with keys that were made and have not been sculpted since: of `shapes.FAULTS`
    the names of those that have it."""
    if face.type != "MESH":
        return {}
    # what 0.4.0 kept is a list of those that are torn
    found = _record(face.data, TORN, dict) or {shapes.TORN: _record(face.data, TORN, list)}
    names = {fault: [each for each in found.get(fault) or () if isinstance(each, str)]
             for fault in shapes.FAULTS}  # fmt: skip
    return {fault: sorted(left) for fault in names if (left := _unsculpted(face, names[fault]))}


def torn(face: bpy.types.Object) -> list[str]:
    """Names of the keys that have any of them."""
    return sorted(set().union(*faults_of(face).values()))


def marked_faults(face: bpy.types.Object) -> np.ndarray:
    """The triangles in which keys have such faults that were made in this session, [N, 3]."""
    here = spots.get(face.data.session_uid) if face.type == "MESH" else None
    left = [here[name] for name in torn(face) if name in here] if here else []
    return np.concatenate([np.empty((0, 3), int), *left])


def say_faults(face: bpy.types.Object) -> list[str]:
    """A sentence on each of them."""
    found = faults_of(face).items()
    return [_SENTENCES[fault].format(names=", ".join(names)) for fault, names in found]


_SENTENCES = {
    shapes.TORN: "Torn skin: {names}. Sculpt these keys, or move dots there and make them again",
    shapes.OPEN: "An eye stays open: {names}. Sculpt these keys, or move dots to the lids' edges",
    shapes.HOLE: "The inside of a lip shows: {names}. Sculpt these keys, or move the lips' dots",
    shapes.NO_EYE: "No eye opens between its dots: {names}. Open the lids, or move dots to them",
}


# ---- reading


def _check(obj: bpy.types.Object) -> None:
    """Raise BadHead where no keys can be added to an object."""
    if family.is_linked(obj) or obj.data.library is not None or obj.override_library is not None:
        raise BadHead(
            f"“{obj.name}” belongs to another file, where alone it can get shape keys: open that"
        )
    if any(each.type == "MIRROR" and each.show_viewport for each in obj.modifiers):
        raise BadHead(
            f"“{obj.name}” is half a face, whose sides cannot move apart: apply its Mirror "
            f"modifier first"
        )
    if not obj.data.polygons:
        raise BadHead(f"“{obj.name}” has no surface: choose the mesh of the face")
    sizes = [abs(size) for size in obj.matrix_world.to_scale()[:]]
    if not min(sizes) > _SAME * max(sizes):
        raise BadHead(f"“{obj.name}” is scaled to nothing along an axis: set its scale to 1 first")


def _geometry(
    face: bpy.types.Object, parts: Sequence[bpy.types.Object], inward: Matrix
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Points [V, 3] and triangles [F, 3] of a face and its parts at rest, in axes that `inward`
    brings the world to, and how many points each has. Raises BadHead where no keys can be added."""
    points, triangles, sizes = [], [], []
    vertices = sum(len(obj.data.vertices) for obj in (face, *parts))
    if vertices > _MOST:
        raise BadHead(
            f"“{face.name}” has {vertices:,} vertices with its parts, more than {_MOST:,}, which "
            f"would take gigabytes: use its mesh before it was subdivided (levels of Multires and "
            f"Subdivision do not count), or apply Decimate to a copy"
        )
    for obj in (face, *parts):
        _check(obj)
        rest, into = family.rest_of(obj), np.array(inward @ obj.matrix_world)
        points.append(rest @ into[:3, :3].T + into[:3, 3])
        triangles.append(family.triangles_of(obj.data) + sum(sizes))
        sizes.append(len(rest))
    if sizes[0] < _LEAST:
        raise BadHead(
            f"“{face.name}” has {sizes[0]} vertices, too few for lips and lids: subdivide it, or "
            f"choose the mesh of the face"
        )
    return np.concatenate(points), np.concatenate(triangles), sizes


def _marks(root: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Where the dots are in the axes of the empty that holds them, [24, 3]. Raises BadHead if one
    is missing."""
    places, face = {}, root.parent
    shown = face.show_only_shape_key, face.active_shape_key_index
    face.show_only_shape_key, face.active_shape_key_index = True, 0  # dots stick to what is seen
    depsgraph.update()
    for dot in root.children:
        if (number := number_of(dot)) is not None:
            places[number] = dot.evaluated_get(depsgraph).matrix_world.translation.copy()
    lost = [name for number, name in enumerate(dots.NAMES) if number not in places]
    if not lost:
        there = np.array([places[number] for number in range(len(dots.NAMES))])
        there = _through_pose(face, there, depsgraph, True)
    face.show_only_shape_key, face.active_shape_key_index = shown
    if lost:
        raise BadHead(f"The dot “{lost[0]}” was deleted: press Mark the Face again")
    inward = np.array(root.matrix_world.inverted_safe())
    return there @ inward[:3, :3].T + inward[:3, 3]


def _through_pose(
    face: bpy.types.Object, places: np.ndarray, depsgraph: bpy.types.Depsgraph, to_rest: bool
) -> np.ndarray:
    """Where places [N, 3] in the world on a face that its armature poses are at rest, or where
    those at rest are in the pose; the places themselves where nothing is posed."""
    if face.find_armature() is None:
        return places
    others = [each for each in face.modifiers if each.type != "ARMATURE" and each.show_viewport]
    for each in others:
        each.show_viewport = False
    depsgraph.update()
    rest = family.rest_of(face)
    posed = family.points_of(face.evaluated_get(depsgraph).data.vertices)
    for each in others:
        each.show_viewport = True
    if np.allclose(rest, posed, atol=_SAME * np.ptp(rest, axis=0).max()):
        return places
    start, end = (posed, rest) if to_rest else (rest, posed)
    triangles = family.triangles_of(face.data).tolist()
    tree, outward = BVHTree.FromPolygons(start.tolist(), triangles), face.matrix_world
    found = []
    for place in places:
        spot, _, number, _ = tree.find_nearest(outward.inverted_safe() @ Vector(place))
        corners = [Vector(points[i]) for points in (start, end) for i in triangles[number]]
        found.append(outward @ barycentric_transform(spot, *corners))
    return np.array(found)
