# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's skinning in torch, for selected vertices: expression and joint rotations to positions.
`check` compares it, and a rig in Blender, with smplx's for a FLAME file.
"""

from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import BadRequest, NoEngine
from ..face.head import EYE_LEFT, EYE_RIGHT, Head, JAW, JOINT_NAMES, load_head, NECK

PARENTS = (-1, 0, 1, 1, 1)  # of FLAME's joints: root, neck, jaw, left eye, right eye
# vertices processed at once: they fit a core's cache (measured: three times as fast as all at once)
BLOCK = 120_000


def rotation_matrix(vector: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: rotation vectors [..., 3] in radians to matrices [..., 3, 3].

    Smooth at zero, gradient included: the series replaces sin(a)/a and (1 − cos a)/a² for small
    angles.
    """
    square = (vector * vector).sum(-1)[..., None, None]
    small = square < 1e-8
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(
        *vector.shape[:-1], 3, 3
    )
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + sine * cross + cosine * (cross @ cross)


class FlameLayer(nn.Module):
    """FLAME (Li et al. 2017): blend shapes, pose correctives, linear blend skinning over five
    joints.

    head: the asset.  vertices: ids [m] to evaluate (None: all V).  dtype: of the buffers; float32
    or float64. Joints are regressed from the shaped template, as FLAME does; J_regressor @ template
    and @ shapedirs are computed once, so the cost per frame depends on the m selected vertices
    only. Inside, coordinates lie in planes [B, 3, m]: rows of m numbers multiply several times
    faster than m triples.
    """

    def __init__(
        self, head: Head, vertices: np.ndarray | None = None, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        self.dtype = dtype
        ids = slice(None) if vertices is None else np.asarray(vertices, dtype=np.int64)

        regressor = head.J_regressor.astype(np.float64)
        shapedirs = head.shapedirs.astype(np.float64)
        weights = head.weights[ids]
        directions = np.moveaxis(head.shapedirs[ids], (0, 1, 2), (2, 1, 0))  # [n, 3, m]
        # [36, 3, m], nine of each joint but the root
        correctives = np.moveaxis(head.posedirs[ids], (0, 1, 2), (2, 1, 0))
        used = np.flatnonzero(correctives.any(axis=(1, 2)))
        of_jaw = used // 9 == JAW - 1
        self.jaw_features, self.features = (
            (used[of_jaw] - 9 * (JAW - 1)).tolist(),
            used[~of_jaw].tolist(),
        )
        self.moving = [joint for joint in range(1, 5) if np.any(weights[:, joint])]
        self.template = self._buffer(head.v_template[ids].T.reshape(-1))  # [3·m]
        # the jaw's correctives are directions like the channels', so that speech costs one product
        self.directions = self._buffer(
            np.concatenate([directions, correctives[used[of_jaw]]]).reshape(-1, 3 * len(weights))
        )
        self.joints = self._buffer(regressor @ head.v_template.astype(np.float64))  # [5, 3]
        self.joint_directions = self._buffer(
            np.einsum("jv,vcn->njc", regressor, shapedirs).reshape(head.channels, -1)
        )
        self.correctives = self._buffer(correctives[used[~of_jaw]].reshape(-1, 3 * len(weights)))
        self.weights = self._buffer(weights.T)  # [5, m]
        pairs = (
            np.moveaxis(head.correctives[ids], (0, 1, 2), (2, 1, 0))
            if head.corrective_pairs
            else np.zeros((0, 3, len(weights)))
        )
        moving = np.flatnonzero(pairs.any(axis=(1, 2)))
        # index of each product's factor among the channels followed by the joints
        places = [*head.expression_names, *JOINT_NAMES]
        self.pairs = [
            tuple(places.index(name) for name in head.corrective_pairs[number]) for number in moving
        ]
        self.products = self._buffer(pairs[moving].reshape(-1, 3 * len(weights)))

    def _buffer(self, array: np.ndarray) -> nn.Buffer:
        """An array as a buffer, which is not stored with a network's weights."""
        array = np.ascontiguousarray(array)
        return nn.Buffer(torch.tensor(array, dtype=self.dtype), persistent=False)

    def forward(
        self,
        expression: torch.Tensor,
        jaw: torch.Tensor,
        head: torch.Tensor | None = None,
        eyes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Positions [B, m, 3] in metres.

        expression [B, n] · jaw [B, 3] · head [B, 3] (neck joint) or None · eyes [B, 3] (both eyes
        alike), [B, 2, 3] (left, right) or None; rotation vectors in radians. Differentiable in all
        of them.
        """
        batch, block = len(expression), max(1, BLOCK // self.weights.shape[1])
        if batch <= block or torch.is_grad_enabled():
            return self._planes(expression, jaw, head, eyes).transpose(1, 2)
        planes = self.template.new_empty(batch, 3, self.weights.shape[1])
        for start in range(0, batch, block):
            part = slice(start, start + block)
            planes[part] = self._planes(
                *(None if given is None else given[part] for given in (expression, jaw, head, eyes))
            )
        return planes.transpose(1, 2)

    def _planes(self, expression, jaw, head, eyes) -> torch.Tensor:
        """Positions as planes [B, 3, m]."""
        batch = len(expression)
        identity = torch.eye(3, dtype=jaw.dtype, device=jaw.device)
        turn = rotation_matrix(jaw) - identity
        amounts = expression
        if self.jaw_features:
            amounts = torch.cat([expression, turn.reshape(batch, 9)[:, self.jaw_features]], 1)
        shaped = torch.addmm(self.template, amounts, self.directions)
        if self.pairs:
            shaped = torch.addmm(shaped, self._products(expression, turn, eyes), self.products)
        joints = self.joints + (expression @ self.joint_directions).reshape(batch, 5, 3)
        if head is None and eyes is None:
            # only the jaw turns: the other joints' matrices are the identity and the weights sum to
            # 1
            shaped = shaped.view(batch, 3, -1)
            swing = torch.baddbmm(-(turn @ joints[:, JAW, :, None]), turn, shaped)
            return torch.addcmul(shaped, self.weights[JAW], swing)
        pose = [torch.zeros_like(jaw)] * 5
        pose[JAW] = jaw
        if head is not None:
            pose[NECK] = head
        if eyes is not None:
            pose[EYE_LEFT], pose[EYE_RIGHT] = (eyes, eyes) if eyes.dim() == 2 else eyes.unbind(1)
        turns = rotation_matrix(torch.stack(pose, 1))  # [B, 5, 3, 3]
        if self.features:
            feature = (turns[:, 1:] - identity).reshape(batch, 36)[:, self.features]
            shaped = torch.addmm(shaped, feature, self.correctives)
        shaped = shaped.view(batch, 3, -1)
        # the root never turns; jaw and eyes hang from the neck
        neck = turns[:, NECK]
        neck_shift = joints[:, NECK] - _turn(neck, joints[:, NECK])
        moved = self.weights[0] * shaped
        for joint in self.moving:
            if joint == NECK:
                spin, shift = neck, neck_shift
            else:
                spin = neck @ turns[:, joint]
                shift = _turn(neck, joints[:, joint]) + neck_shift - _turn(spin, joints[:, joint])
            moved = torch.addcmul(
                moved, self.weights[joint], torch.baddbmm(shift[..., None], spin, shaped)
            )
        return moved

    def _products(self, expression, turn, eyes) -> torch.Tensor:
        """Weights [B, c] of the shapes of two keys. turn: the jaw's matrix less the identity [B, 3,
        3]."""
        sines = torch.zeros(
            len(expression), len(JOINT_NAMES), dtype=expression.dtype, device=expression.device
        )
        sines[:, JAW] = turn[:, 2, 1]
        if eyes is not None:
            pair = rotation_matrix(eyes if eyes.dim() == 3 else eyes[:, None].expand(-1, 2, 3))[
                :, :, 2, 1
            ]
            sines[:, EYE_LEFT], sines[:, EYE_RIGHT] = pair.unbind(1)
        factors = torch.cat([expression.clamp(0.0, 1.0), sines], 1)
        first, second = (list(side) for side in zip(*self.pairs))
        return factors[:, first] * factors[:, second]


def _turn(matrix, point):
    """Matrices [..., 3, 3] times points [..., 3]."""
    return (matrix @ point[..., None])[..., 0]


# ---- compared with smplx

# arrays of face.head.Head
MODEL = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "identity")
POSE = ("expression", "betas", "jaw", "neck", "eyes")
RANDOM_POSES, SEED = 8, 0
# spread of the random poses: standard deviations of the model, radians
EXPRESSION_SPREAD, ROTATION_SPREAD = 1.0, 0.3


def check(arrays: dict[str, np.ndarray]) -> dict:
    """Pose a model with smplx and measure the distance of Blender's and our poses, mm at the worst
    vertex.

    arrays: the model (MODEL, shapes as in face.head.Head), one pose (expression [n], betas [m],
    jaw, neck [3], eyes [2, 3]; rotation vectors in radians) and `seen` [V, 3], metres: the vertices
    that Blender shows in this pose. Returns {"rig": mm by which `seen` is off, "skinning": the same
    of our FLAME layer in random poses, "smplx": version}. Raises BadRequest when the pose is not of
    the model, NoEngine when smplx is not installed.
    """
    head = _head(arrays)
    person = replace(head, v_template=head.v_template + head.identity @ arrays["betas"])
    pose = (_tensor(arrays[name])[None] for name in ("expression", "jaw", "neck", "eyes"))
    poses = _random_poses(head)
    try:
        with torch.no_grad():
            rig = smplx_positions(person, *pose)[0] - _tensor(arrays["seen"])
            skinning = FlameLayer(head, dtype=torch.float64)(*poses) - smplx_positions(head, *poses)
    except ImportError as error:
        raise NoEngine(
            "smplx is not installed: install the FLAME extra in the preferences"
        ) from error
    return {
        "rig": _millimetres(rig),
        "skinning": _millimetres(skinning),
        "smplx": metadata.version("smplx"),
    }


def smplx_positions(
    head: Head, expression: torch.Tensor, jaw: torch.Tensor, neck: torch.Tensor, eyes: torch.Tensor
) -> torch.Tensor:
    """Positions [B, V, 3] in metres by smplx's linear blend skinning, float64; arguments as
    `FlameLayer.forward`. Raises ImportError without smplx.

    smplx is the FLAME extra (requirements/flame.txt); its licence allows non-commercial research
    only. It is given arrays and never a path: of a file it would run whatever the pickle asks for.
    """
    from smplx.lbs import lbs

    pose = torch.cat([torch.zeros_like(jaw), neck, jaw, *eyes.unbind(1)], 1)
    template, directions, regressor, weights = map(
        _tensor, (head.v_template, head.shapedirs, head.J_regressor, head.weights)
    )
    correctives = _tensor(head.posedirs.reshape(-1, 36).T)
    parents = torch.tensor(PARENTS)
    template = template.expand(len(jaw), -1, -1)
    return lbs(expression, pose, template, directions, correctives, regressor, parents, weights)[0]


def _head(arrays: dict[str, np.ndarray]) -> Head:
    """The model as a head. Raises BadRequest where the pose is of another one, or not finite."""
    if arrays["seen"].shape != arrays["v_template"].shape:
        raise BadRequest(
            f"The head in the scene has {len(arrays['seen'])} vertices and the file "
            f"{len(arrays['v_template'])}: choose the FLAME file that it was made from"
        )
    if not all(np.isfinite(arrays[name]).all() for name in (*POSE, "seen")):
        raise BadRequest("The head's pose is not finite: look for a broken driver or key")
    model: dict[str, Any] = {name: np.asarray(arrays[name], np.float32) for name in MODEL}
    # FLAME has none of ours
    return replace(
        load_head(), corrective_pairs=(), correctives=np.zeros((0, 3, 0), np.float32), **model
    )


def _random_poses(head: Head) -> tuple[torch.Tensor, ...]:
    """Expression [B, n], jaw and neck [B, 3] and eyes [B, 2, 3] of RANDOM_POSES poses, always the
    same."""
    draw = np.random.default_rng(SEED).normal
    expression = draw(0, EXPRESSION_SPREAD, (RANDOM_POSES, head.channels))
    jaw, neck = (draw(0, ROTATION_SPREAD, (RANDOM_POSES, 3)) for _ in range(2))
    eyes = draw(0, ROTATION_SPREAD, (RANDOM_POSES, 2, 3))
    return tuple(map(_tensor, (expression, jaw, neck, eyes)))


def _tensor(array) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, np.float64))


def _millimetres(difference: torch.Tensor) -> float:
    return 1e3 * float(difference.norm(dim=-1).max())
