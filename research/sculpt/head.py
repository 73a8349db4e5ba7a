# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the bundled head together: skin, lips, teeth, tongue, eyes, then rig, shapes and hair, as
the arrays of weights/head.npz."""

from copy import copy
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from . import (
    correctives,
    ears,
    fair,
    hair,
    mouth,
    muzzle,
    nose,
    parts,
    people,
    rig,
    shapes,
    skin,
    tints,
)
from .mesh import edges, Mesh, smooth_step, triangulate

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
GRAIN = 1e-7  # metres; coordinates are rounded to it so that the last bits of a libm do not matter


@lru_cache(maxsize=1)
def bare_clay():
    """The mesh before a person's measures are laid over it, as `describe` gives it: the same for
    all people."""
    mesh = Mesh()
    skin.build_skin(mesh)
    for add in (parts.add_teeth, parts.add_tongue, parts.add_eyeballs, parts.add_brows):
        add(mesh)
    ears.add_ears(mesh, skin.PLACES)
    lids = [
        [mesh.points[mesh.index["e", 1, ring, k]] for k in range(skin.EYE_RING)]
        for ring in (skin.MARGIN, skin.MARGIN + 1)
    ]
    parts.add_lashes(mesh, lids[0])
    parts.add_tears(mesh, lids)
    parts.add_brow_hairs(mesh)
    nose.add_nostrils(mesh)
    clay = describe(mesh)
    clay.brows = parts.OnSkin(clay)
    clay.points = clay.brows.lay(fair.faired(clay))
    under_the_brows = smooth_step(20, -10, clay.points[:, 1])
    clay.fair = fair.Fairing(clay, 0.15 + 0.65 * under_the_brows)
    clay.fair_finely = fair.Fairing(clay, 0.15 + 0.3 * under_the_brows)  # folds and wrinkles stay
    return clay


def sculpt(person=people.PEOPLE[0]):
    """All arrays of a person's head file, in metres."""
    clay = copy(bare_clay())
    points = people.shaped(person, clay)
    strands, strand_polygons, shades, strand_tints = hair.sculpt_hair(person.hair, clay, points)
    clay.points = points
    weights = rig.skin_weights(clay)
    weights = 0.5 * (weights + weights[clay.mirror][:, [0, 1, 2, 4, 3]])
    basis = shapes.expression_basis(clay, weights[:, rig.JAW])
    moved = np.abs(basis).max((0, 2)) > 0
    regressor = rig.joint_regressor(clay, moved)
    polygons = np.array(clay.polygons, np.int32)
    names, colours = people.colours(person)
    hair_names, hair_colours = people.hair_colours(person)
    pairs = correctives.correctives(clay)
    mouth_ids, mouth_parts = mouth_vertices(clay)
    index = clay.index
    return {
        "v_template": _metres(clay.points),
        "shapedirs": np.ascontiguousarray(_metres(basis.transpose(1, 2, 0))),
        "posedirs": _metres(pose_correctives(clay)),
        "J_regressor": np.round(regressor, 9).astype(np.float32),
        "weights": _unit_rows(weights),
        "kintree_table": rig.PARENTS,
        "f": triangulate(polygons),
        "polygons": polygons,
        "polygon_material": np.array(clay.materials, np.int32),
        "material_names": np.array(names),
        "material_colors": colours,
        "tints": tints.tints(clay, person.stubble, person.fold, people.red_of_lips(person)),
        "expression_names": np.array(shapes.CHANNELS),
        "corrective_pairs": np.array(list(pairs)),
        "correctives": np.ascontiguousarray(_metres(np.stack(list(pairs.values()), 2))),
        "mouth_vertices": mouth_ids,
        "mouth_parts": mouth_parts,
        "inner_lip_upper_mid": np.int32(index[("m", muzzle.CONTACT, 10)]),
        "inner_lip_lower_mid": np.int32(index[("m", muzzle.CONTACT, 30)]),
        "mouth_corner_left": np.int32(index[("m", muzzle.CONTACT, 0)]),
        "mouth_corner_right": np.int32(index[("m", muzzle.CONTACT, 20)]),
        "region_names": np.array(rig.REGIONS),
        "regions": np.round(rig.regions(clay), 7).astype(np.float32),
        "hair_vertices": _metres(strands),
        "hair_polygons": strand_polygons,
        "hair_polygon_material": shades.astype(np.int32),
        "hair_material_names": np.array(hair_names),
        "hair_material_colors": hair_colours,
        "hair_tints": np.round(strand_tints, 4).astype(np.float32),
    }


def describe(mesh):
    """The mesh as arrays, with the data of every vertex for rig and shapes.

    points [V, 3] mm, part [V], ring [V] (mouth ring or −1), u [V] (−1..1 along the lips), up [V]
    (+1 upper lip, −1 lower), along_tongue [V] (0 tip … 1 root), lid_ring [V] (ring about an eye or
    −1), mirror [V] (vertex on the other side), index (key → vertex), polygons (vertex ids, −1 pads
    a triangle), materials (of the polygons).
    """
    n = len(mesh.keys)
    ring = np.full(n, -1.0)
    u = np.zeros(n)
    up = np.zeros(n)
    along = np.zeros(n)
    lid_ring = np.full(n, -1.0)
    mirror = np.empty(n, int)
    for i, key in enumerate(mesh.keys):
        mirror[i] = mesh.index[skin.mirror_key(key) if key[0] in "gcme" else parts.mirror_part(key)]
        if key[0] == "m":
            ring[i] = key[1]
            u[i], up[i] = muzzle.ring_position(key[2])
        if key[0] == "e":
            lid_ring[i] = key[2]
        if key[0] == "tongue":
            along[i] = (
                {"tip": 0.0, "root": 1.0}[key[2]]
                if isinstance(key[2], str)
                else parts.along_tongue(key[2])
            )
    points = np.array(mesh.points)
    points = 0.5 * (points + points[mirror] * [-1, 1, 1])
    a, b = edges(mesh.polygons)
    count = np.maximum(np.bincount(a, minlength=n), 1)
    return SimpleNamespace(
        points=points,
        part=np.array(mesh.parts),
        ring=ring,
        u=u,
        up=up,
        along_tongue=along,
        lid_ring=lid_ring,
        mirror=mirror,
        index=mesh.index,
        polygons=mesh.polygons,
        materials=mesh.materials,
        neighbour_mean=lambda values: np.bincount(a, values[b], n) / count,
    )


def pose_correctives(clay):
    """FLAME's pose directions [V, 3, 36], mm per entry of (rotation − identity) of neck, jaw, left
    and right eye.

    Three entries are used, each the sine of a turn about x: the jaw's and both eyes'.
    """
    directions = np.zeros((len(clay.points), 3, 36))
    lids = shapes.lids_follow(clay)
    for joint, field in (
        (rig.JAW, mouth.drawn_in(clay)),
        (rig.EYE_LEFT, lids[1]),
        (rig.EYE_RIGHT, lids[-1]),
    ):
        directions[:, :, 9 * (joint - 1) + 3 * 2 + 1] = field
    return directions


def mouth_vertices(clay):
    """(ids, parts): the 280 lip and near-lip vertices, then front teeth edges and tongue; ≤ 330
    together.

    parts: 0 lips and skin, 1 upper teeth, 2 lower teeth, 3 tongue.
    """
    lips = [clay.index[("m", r, k)] for r in muzzle.LIP_RINGS for k in range(muzzle.RING)]
    teeth = {
        jaw: [clay.index[("tooth", side, jaw, n, 1, 1)] for side in (1, -1) for n in range(5)]
        for jaw in (1, -1)
    }
    tongue = [clay.index[("tongue", 0, r, k)] for r in (0, 2, 6, 10, 14) for k in (0, 4, 12, 20)]
    tongue += [clay.index[("tongue", 0, "tip")]]
    ids = lips + teeth[1] + teeth[-1] + tongue
    kinds = [0] * len(lips) + [1] * len(teeth[1]) + [2] * len(teeth[-1]) + [3] * len(tongue)
    return np.array(ids, np.int32), np.array(kinds, np.int32)


def _metres(millimetres):
    # plus 0, so that no zero has a sign, which a libm may give it
    return (np.round(millimetres * 1e-3 / GRAIN) * GRAIN + 0.0).astype(np.float32)


def _unit_rows(rows):
    return np.round(rows, 7).astype(np.float32)


def main(folder=None):
    """Write a file for every person into a folder (default: the weights' folder), and print its
    content."""
    for person in people.PEOPLE:
        path = Path(folder or WEIGHTS) / f"{person.name}.npz"
        head = sculpt(person)
        with open(path, "wb") as out:
            np.savez_compressed(out, **head)
        n, p = len(head["v_template"]), len(head["polygons"])
        print(
            f"{path}: {n} vertices, {p} polygons, {len(head['expression_names'])} channels, "
            f"{len(head['mouth_vertices'])} mouth vertices"
        )
