# SPDX-License-Identifier: GPL-3.0-or-later
"""Assigns vertices of a character to regions of the face."""

from __future__ import annotations

import numpy as np

from ...thunder_core.channels import region_of, REGIONS
from ...thunder_core.filters import smoothstep
from . import rna_paths
from .character import Character
from .family import deforms, key_points

_EDGE = 0.02  # share of the largest movement, squared, below which a region fades out
_SMOOTHINGS = 6


def regions(character: Character) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Weights of the face's regions at each vertex of a character's meshes: {object: (names, weights [R, V])}.

    A vertex belongs to what moves it: how far each channel moves it, as a part of the farthest that the channel moves
    any, squared, tells how much it belongs to the channel's region. A key moved by several channels counts for those that move it most.
    Unmoved vertices belong to the head. Weights sum to 1 per vertex.
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
        rest = key_points(keys.reference_key, count)
        moved = np.zeros((len(names), count))

        def add(source, lengths, moved=moved):
            row = names.index(region_of(source))
            moved[row] = np.maximum(moved[row], (lengths / max(float(lengths.max()), 1e-9)) ** 2)

        for source, track, weight in driver.parts:
            at = driver.tracks[track]
            if targets[at.block] == keys and weight and abs(weight) >= most[track] / 2:
                owner, _, _ = rna_paths.split(at.path)
                add(source, np.linalg.norm(key_points(keys.path_resolve(owner), count) - rest, axis=1))
        for turn in driver.turns:
            at = driver.tracks[turn.first]
            group = obj.vertex_groups.get(at.group)
            if group is not None and deforms(targets[at.block], obj):
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
    """Pivot of a bone, in a mesh's own axes."""
    return np.array(mesh.matrix_world.inverted() @ armature.matrix_world @ armature.data.bones[bone].head_local)
