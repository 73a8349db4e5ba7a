# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotations in numpy: rotation vectors (as in a Motion) to and from the formats of animation
curves.

All functions take and give arrays whose leading axes are free ([..., 3] in, [..., 3, 3] out),
radians, in double precision. An Euler order is spelt as Blender spells it: "XYZ" turns about X
first, R = Rz · Ry · Rx.
"""

import numpy as np


def rotvec_to_matrix(rotvec: np.ndarray) -> np.ndarray:
    """Rodrigues' formula: rotation vectors [..., 3] (axis × angle) to matrices [..., 3, 3]."""
    r = np.asarray(rotvec, dtype=np.float64)
    angle = np.linalg.norm(r, axis=-1)[..., None, None]
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(r.shape[:-1] + (3, 3))
    safe = np.where(angle > 1e-8, angle, 1.0)
    # Series below 1e-8 rad: sin a / a → 1, (1 − cos a) / a² → 1/2.
    a = np.where(angle > 1e-8, np.sin(safe) / safe, 1.0)
    b = np.where(angle > 1e-8, (1.0 - np.cos(safe)) / safe**2, 0.5)
    return np.eye(3) + a * cross + b * (cross @ cross)


def rotvec_to_quaternion(rotvec: np.ndarray) -> np.ndarray:
    """Rotation vectors [..., 3] to unit quaternions [..., 4], w first."""
    r = np.asarray(rotvec, dtype=np.float64)
    angle = np.linalg.norm(r, axis=-1, keepdims=True)
    half = np.where(angle > 1e-8, np.sin(angle / 2) / np.where(angle > 1e-8, angle, 1.0), 0.5)
    return np.concatenate([np.cos(angle / 2), r * half], axis=-1)


def quaternion_to_rotvec(quaternion: np.ndarray) -> np.ndarray:
    """Quaternions [..., 4] (w first, any length but zero) to rotation vectors [..., 3] of at most
    π."""
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(norm > 1e-12, q / np.where(norm > 1e-12, norm, 1.0), [1.0, 0.0, 0.0, 0.0])
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine > 1e-9, angle / np.where(sine > 1e-9, sine, 1.0), 2.0)


def matrix_to_rotvec(matrix: np.ndarray) -> np.ndarray:
    """Matrices [..., 3, 3] to rotation vectors [..., 3]; exact near 0 and near π alike."""
    m = np.asarray(matrix, dtype=np.float64)
    # Four candidate quaternions, one per largest component (Shepperd 1978); the largest is well
    # conditioned.
    t = np.trace(m, axis1=-2, axis2=-1)
    d = np.stack([t, m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]], axis=-1)
    s = np.stack(
        [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]],
        axis=-1,
    )
    p = np.stack(
        [m[..., 1, 0] + m[..., 0, 1], m[..., 2, 0] + m[..., 0, 2], m[..., 2, 1] + m[..., 1, 2]],
        axis=-1,
    )
    candidates = np.stack(
        [
            np.stack([1 + t, s[..., 0], s[..., 1], s[..., 2]], axis=-1),
            np.stack([s[..., 0], 1 + 2 * d[..., 1] - t, p[..., 0], p[..., 1]], axis=-1),
            np.stack([s[..., 1], p[..., 0], 1 + 2 * d[..., 2] - t, p[..., 2]], axis=-1),
            np.stack([s[..., 2], p[..., 1], p[..., 2], 1 + 2 * d[..., 3] - t], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(d, axis=-1)[..., None, None]
    return quaternion_to_rotvec(np.take_along_axis(candidates, best, axis=-2)[..., 0, :])


def euler_to_rotvec(euler: np.ndarray, order: str) -> np.ndarray:
    """Euler angles [..., 3] about X, Y and Z, turning in the order given, to rotation vectors [...,
    3]."""
    e = np.asarray(euler, dtype=np.float64)
    result = np.broadcast_to(np.eye(3), e.shape[:-1] + (3, 3))
    for letter in order:
        axis = "XYZ".index(letter)
        result = rotvec_to_matrix(e[..., axis, None] * np.eye(3)[axis]) @ result
    return matrix_to_rotvec(result)


def matrix_to_euler(matrix: np.ndarray, order: str = "XYZ") -> np.ndarray:
    """Matrices [..., 3, 3] to Euler angles [..., 3] about X, Y and Z; the middle angle within
    ±π/2."""
    m = np.asarray(matrix, dtype=np.float64)
    i, j, k = ("XYZ".index(letter) for letter in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0  # whether the order is cyclic
    euler = np.empty(m.shape[:-2] + (3,))
    euler[..., j] = np.arcsin(np.clip(-sign * m[..., k, i], -1.0, 1.0))
    euler[..., i] = np.arctan2(sign * m[..., k, j], m[..., k, k])
    euler[..., k] = np.arctan2(sign * m[..., j, i], m[..., i, i])
    return euler


def angular_speed(rotvec: np.ndarray, fps: float = 25.0) -> np.ndarray:
    """Rotation vectors [T, 3] of frames at fps → angular speed [T − 1], radians per second, of the
    turn from each to the next."""
    q = rotvec_to_quaternion(rotvec)
    (w, v), (w1, v1) = ((x[..., 0], x[..., 1:]) for x in (q[:-1], q[1:]))
    real = w * w1 + (v * v1).sum(-1)
    imaginary = w[..., None] * v1 - w1[..., None] * v - np.cross(v, v1)
    return 2 * np.arctan2(np.linalg.norm(imaginary, axis=-1), np.abs(real)) * fps
