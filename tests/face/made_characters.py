# SPDX-License-Identifier: GPL-3.0-or-later
"""Small characters as they would be read, without Blender; and what is found on them."""

from dataclasses import replace

import numpy as np
from few_points import BONES, JAW, KEYS, PLACES, POINTS
from scipy.spatial import KDTree

from thunder_core.face.mapping import EULER, Target
from thunder_core.face.reading import detecting
from thunder_core.face.reading.bones import Armature, Bone
from thunder_core.face.reading.character import Character, Key, Mesh, PointMeter
from thunder_core.face.reading.drivers import Input, RigDriver
from thunder_core.face.reading.measured_face import Face
from thunder_core.rotation import rotvec_to_matrix

NO_TURN = np.eye(3)


def turned(axis, degrees):
    """A rotation [3, 3] about an axis."""
    return rotvec_to_matrix(np.radians(degrees) * np.eye(3)["XYZ".index(axis)])


def key(moves, places=PLACES, turn=NO_TURN, **how):
    """A key that moves {place: by}."""
    ids = np.array([places.index(place) for place, by in moves.items() if any(by)], int)
    by = np.array([by for by in moves.values() if any(by)], np.float32).reshape(-1, 3)
    return Key(lambda: (ids, (by @ turn.T).astype(np.float32)), **how)


def small_face(keys=KEYS, turn=NO_TURN, name="Face", moved=None, points=POINTS, **how):
    """The face of few points with keys {name: {place: move}}; moved: {place: how far it is from
    where it usually is}."""
    rest = np.array([np.add(at, (moved or {}).get(place, 0.0)) for place, at in points.items()])
    every = {each: key(moves, list(points), turn) for each, moves in ({"Basis": {}} | keys).items()}
    return Mesh(name, (rest @ turn.T).astype(np.float32), keys=every if keys else {}, **how)


def small_mesh(name, points, keys=None, **how):
    """A mesh of points [n, 3] with keys {name: moves [n, 3]}."""
    ids = np.arange(len(points))
    every = {"Basis": Key(lambda: (ids[:0], np.zeros((0, 3))))} | {
        each: Key(lambda by=by: (ids, np.asarray(by, np.float32)))
        for each, by in (keys or {}).items()
    }
    return Mesh(name, np.array(points, np.float32), keys=every if keys else {}, **how)


def weighed(mesh, **groups):
    """A mesh that a rig deforms by groups {bone: vertices}, each wholly."""
    weights = {bone: (np.array(ids, int), np.ones(len(ids))) for bone, ids in groups.items()}
    return replace(mesh, groups=frozenset(groups), weights=lambda: weights, rigs=frozenset({"Rig"}))


def bound(mesh, jaw=JAW, bone="jaw", above="head", places=PLACES):
    """A small face that head and jaw deform."""
    ids = [places.index(place) for place in jaw]
    return weighed(mesh, **{bone: ids, above: [i for i in range(len(places)) if i not in ids]})


def rig_with(bones=BONES, turn=NO_TURN, **changes):
    """An armature with bones {name: (head, tail, parent)}; changes: {bone: fields}."""
    made = {}
    for name, (head, tail, parent) in bones.items():
        along = turn @ np.subtract(tail, head)
        y = along / np.linalg.norm(along)
        across = turn @ ([1.0, 0, 0] if abs((turn.T @ y)[0]) < 0.9 else [0, 0, 1.0])
        x = across - (across @ y) * y
        x /= np.linalg.norm(x)
        rest = np.eye(4)
        rest[:3] = np.stack([x, y, np.cross(x, y), turn @ head], 1)
        made[name] = Bone(parent or "", rest, turn @ tail, **changes.get(name, {}))
    return Armature("Rig", made)


def driven(target, control, expression="v", rest=0.0):
    """A driver of a control v."""
    return RigDriver((Input("v", None, (control, rest)),), expression, target=target)


def jaw_channel(bone="jaw", index=0):
    """A turn of a bone about its own axis."""
    return Target("BONE", "", "Rig", bone, EULER, index)


def nearest(points, others):
    far, places = KDTree(others).query(points)
    return places.tolist(), far.tolist()


def made(*meshes, rig=None, **how):
    """A character of these."""
    return Character(meshes, nearest, () if rig is None else (rig,), **how)


def found(*meshes, rig=None, **how):
    """What is found on a character."""
    return detecting.find(made(*meshes, rig=rig, **how))


def face_of(plan, *meshes, rig=None, **how):
    """A face as a mapping moves it."""
    return Face(PointMeter(made(*meshes, rig=rig, **how)), plan)


def head_mesh(data, keys, ids, name="Face", bones=None):
    """A mesh of some vertices [n] of the bundled head, looking along −Y; keys: {name: moves [V, 3]};
    bones: {name: weights [V]}."""
    groups = {
        bone: (np.flatnonzero(by[ids]), by[ids][by[ids] > 0]) for bone, by in (bones or {}).items()
    }
    place = np.full(len(data["v_template"]), -1)
    place[ids] = np.arange(len(ids))
    polygons = place[data["polygons"]]
    mesh = small_mesh(
        name,
        upright(data["v_template"])[ids],
        {key: by[ids] for key, by in keys.items()},
        faces=lambda: polygons[(polygons >= 0).all(1)].tolist(),
    )
    rigs = frozenset({"Rig"} if bones else ())
    return replace(mesh, groups=frozenset(groups), weights=lambda: groups, rigs=rigs)


def upright(points):
    """FLAME's axes as Blender's, [..., 3]."""
    return points[..., [0, 2, 1]] * [1.0, -1.0, 1.0]
