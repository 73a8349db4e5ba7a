# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME-format files made from the bundled head on another topology, for tests that need a FLAME
file without having FLAME; numpy only."""

import pickle
from dataclasses import dataclass, replace

import numpy as np

EXPRESSION, IDENTITY = 100, 300


@dataclass(frozen=True)
class Made:
    """A made model and what is known of it by construction.

    data: the dictionary a FLAME file holds.  corners, shares: [V', 4], the made vertices as
    averages of the bundled head's.  scale: of the made head.  mix: [44, 100], the bundled head's
    channels in each made expression direction.
    """

    data: dict
    corners: np.ndarray
    shares: np.ndarray
    scale: float
    offset: np.ndarray
    mix: np.ndarray

    def resample(self, values):
        """Values [V, …] of the bundled head's vertices at the made head's, [V', …]."""
        return sum(
            values[self.corners[:, i]]
            * self.shares[(slice(None), i) + (None,) * (np.ndim(values) - 1)]
            for i in range(4)
        )

    def write(self, path):
        """The model as an .npz or a .pkl of protocol 2, as FLAME's are."""
        if str(path).endswith(".npz"):
            np.savez(path, **self.data)
        else:
            path.write_bytes(pickle.dumps(self.data, protocol=2))
        return path


def dual(polygons, keep):
    """The dual mesh of the polygons in keep: one vertex per polygon, one face per inner vertex.

    polygons [P, 4], −1 pads.  Returns (resample rows as lists of old vertices, faces as lists of
    new vertices).
    """
    rows = [[v for v in polygon if v >= 0] for polygon in polygons[keep].tolist()]
    edge_owner = {}
    for index, row in enumerate(rows):
        for a, b in zip(row, row[1:] + row[:1]):
            edge_owner[a, b] = index
    faces = []
    around = {}
    for index, row in enumerate(rows):
        for before, vertex, after in zip(row[-1:] + row[:-1], row, row[1:] + row[:1]):
            # crossing the edge that leaves a polygon at this vertex leads to the next polygon
            # around it
            around.setdefault(vertex, {})[index] = edge_owner.get((vertex, before))
    for vertex, step in around.items():
        start = next(iter(step))
        ring, at = [start], step[start]
        while at is not None and at != start and len(ring) < 20:
            ring.append(at)
            at = step.get(at)
        if at == start and len(ring) >= 3:
            faces.append(ring)
    return rows, faces


def smooth_fields(points, count, rng, width=0.05):
    """count smooth random vector fields [V, 3, count] of deviation 0.4 over the points [V, 3],
    metres. Their centres are drawn in space: among the points, a head that is sculpted anew would
    have others."""
    centres = rng.uniform(points.min(0), points.max(0), (200, 3))
    # squares of distances as products: the differences would hold half a gigabyte for a moment
    apart = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
    near = np.exp(-0.5 * apart / width**2)  # [V, 200]
    fields = (near @ rng.normal(size=(200, 3 * count))).reshape(len(points), 3, count)
    return (0.4 * fields / fields.std((0, 1))).astype(np.float32)


def barycentre(points, target, softness):
    """Weights [V] that sum to 1 and give target as their average of the points, close ones most."""
    near = np.exp(-0.5 * (np.linalg.norm(points - target, axis=1) / softness) ** 2)
    system = np.concatenate([(points - target).T * 20, np.ones((1, len(points)))])
    start = near / near.sum()
    return start * (
        1 + system.T @ np.linalg.solve((system * start) @ system.T, [0, 0, 0, 1] - system @ start)
    )


def made_flame(
    asset,
    seed=0,
    scale=1.12,
    offset=(0.01, -0.03, 0.02),
    inner_mouth=False,
    correctives=0.002,
    strength=1.0,
    other_face=0.0,
    own=0.0,
):
    """A model in FLAME's layout: the bundled head's skin and eyes, resampled on the dual of its
    mesh.

    asset: the arrays of the bundled head by name.  inner_mouth: keep the mouth's inside, which
    FLAME lacks.
    correctives: size of the pose correctives, metres.  other_face: metres by which it is another
    person's face.
    own: metres of smooth motion mixed into every direction that the bundled head cannot do.
    """
    rng = np.random.default_rng(seed)
    names = asset["material_names"][asset["polygon_material"]]
    kinds = ["Skin", "Lips", "Eye White", "Eye White Above", "Iris", "Pupil"] + (
        ["Mouth"] if inner_mouth else []
    )
    rows, faces = dual(asset["polygons"], np.isin(names, kinds))
    used = np.unique(np.concatenate(faces))
    index = np.full(len(rows), -1)
    index[used] = np.arange(len(used))
    triangles = [(index[f[0]], index[b], index[c]) for f in faces for b, c in zip(f[1:], f[2:])]
    # as a file of FLAME's, in no order that tells what is where
    order = rng.permutation(len(used))
    triangles = rng.permutation(np.argsort(order)[np.array(triangles)])
    rows = [rows[i] for i in used[order]]
    corners = np.array([(row + row[:1])[:4] for row in rows])
    shares = np.array([[1 / len(row)] * len(row) + [0] * (4 - len(row)) for row in rows])
    made = Made({}, corners, shares, scale, np.asarray(offset, float), None)

    plain = made.resample(asset["v_template"].astype(np.float64))
    weights = made.resample(asset["weights"])
    joints = asset["J_regressor"].astype(np.float64) @ asset["v_template"]
    change = np.zeros_like(plain)
    if other_face:
        change = other_face * smooth_fields(plain, 1, rng, 0.06)[:, :, 0]
    template = scale * (plain + change) + offset
    skin = weights[:, 3:].sum(1) < 0.5
    regressor = np.zeros((5, len(template)))
    for joint, at in enumerate(scale * joints + offset):
        ids = np.flatnonzero(weights[:, joint] > 0.5) if joint > 2 else np.flatnonzero(skin)
        regressor[joint, ids] = barycentre(template[ids], at, 0.4 if joint > 2 else 0.06)

    channels = asset["shapedirs"].shape[2]
    # few channels in a direction, as a statistical basis has; all 44 can still be distinguished
    mix = (
        rng.normal(size=(channels, EXPRESSION))
        * (rng.random((channels, EXPRESSION)) < 0.25)
        * 0.35
        * strength
    )
    directions = scale * made.resample(asset["shapedirs"]) @ mix
    if own:
        directions = (
            directions + own * smooth_fields(plain, EXPRESSION, rng, 0.03) * skin[:, None, None]
        )
    decay = 0.004 / np.sqrt(1 + np.arange(IDENTITY))
    identity = smooth_fields(plain, IDENTITY, rng) * decay
    posedirs = scale * made.resample(asset["posedirs"])
    if correctives:
        side = 1 - 2 * weights[:, 2:3, None]  # the lips are pushed apart, not together
        posedirs[:, :, 9:18] += 3 * correctives * side * smooth_fields(plain, 9, rng, 0.03)
        posedirs[:, :, :9] += correctives * smooth_fields(plain, 9, rng)
        posedirs *= skin[:, None, None]
    data = {
        "v_template": template,
        "shapedirs": np.concatenate([identity, directions], 2).astype(np.float64),
        "posedirs": posedirs.astype(np.float64),
        "J_regressor": regressor,
        "weights": (weights / weights.sum(1, keepdims=True)).astype(np.float64),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "f": triangles.astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    return replace(made, data=data, mix=mix)


JOINT_NAMES = ("root", "neck", "jaw", "eye_left", "eye_right")


def flame(asset, expression, jaw, neck, eyes, rotation):
    """FLAME's linear blend skinning (Li et al. 2017, eq. 2) in plain numpy, and the shapes of two
    keys; vertices [V, 3] in its axes."""
    shaped = asset["v_template"] + asset["shapedirs"] @ expression
    joints = asset["J_regressor"] @ shaped
    turns = rotation.rotvec_to_matrix(np.array([np.zeros(3), neck, jaw, eyes, eyes]))
    shaped = shaped + asset["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    # a FLAME file has neither names nor pairs
    names = asset["expression_names"].tolist() if "expression_names" in asset else []
    keys = dict(zip(names, np.clip(expression, 0, 1))) | dict(zip(JOINT_NAMES, turns[:, 2, 1]))
    for number, (one, other) in enumerate(asset["corrective_pairs"].tolist() if names else ()):
        shaped = shaped + keys[one] * keys[other] * asset["correctives"][:, :, number]
    worlds = []
    for joint, parent in enumerate(asset["kintree_table"][0]):
        local = np.eye(4)
        local[:3, :3] = turns[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if joint else 0)
        worlds.append(worlds[parent] @ local if joint else local)
    moves = []
    for joint, world in enumerate(worlds):
        move = world.copy()
        move[:3, 3] -= world[:3, :3] @ joints[joint]
        moves.append(move)
    blended = np.einsum("vj,jab->vab", asset["weights"].astype(float), np.array(moves))
    return np.einsum("vab,vb->va", blended, np.c_[shaped, np.ones(len(shaped))])[:, :3]


def smplx_vertices(head, expression, jaw, neck=None, eyes=None):
    """What smplx's own formula makes of a head: vertices [T, V, 3], metres, float64. expression
    [T, n], jaw and neck [T, 3], eyes [T, 2, 3]; what is not given is still."""
    import torch
    from smplx.lbs import lbs

    def tensor(values):
        return torch.as_tensor(np.asarray(values, np.float64))

    still = np.zeros((len(jaw), 3))
    turns = (still, still if neck is None else neck, jaw)
    turns += (still, still) if eyes is None else (eyes[:, 0], eyes[:, 1])
    pose, correctives = np.concatenate(turns, 1), head.posedirs.reshape(-1, 36).T
    model = map(tensor, (head.shapedirs, correctives, head.J_regressor))
    template = tensor(head.v_template).expand(len(jaw), -1, -1)
    parents, weights = torch.as_tensor(head.parents), tensor(head.weights)
    return lbs(tensor(expression), tensor(pose), template, *model, parents, weights)[0].numpy()
