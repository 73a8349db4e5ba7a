# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance as FLAME parameters in an .npz that smplx and other FLAME programs read as it is."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ..errors import BadRequest, NoSpace
from ..files import write_file

SHAPE = 300  # identity coefficients of a FLAME model


@dataclass(frozen=True)
class Parameters:
    """Parameters that move a FLAME model, one row per frame.

    expression [T, n] and betas [T, 300]: coefficients, in the standard deviations of the model's file.
    jaw_pose, neck_pose, leye_pose, reye_pose [T, 3]: rotation vectors in radians.  fps: rows per second.
    """

    expression: np.ndarray
    jaw_pose: np.ndarray
    neck_pose: np.ndarray
    leye_pose: np.ndarray
    reye_pose: np.ndarray
    betas: np.ndarray
    fps: float

    def arrays(self) -> dict[str, np.ndarray]:
        """All arguments of smplx's FLAME model by their names, float32 [T, …], and fps."""
        frames = len(self.expression)
        still = np.zeros((frames, 3))
        named = {
            "betas": self.betas,
            "expression": self.expression,
            "global_orient": still,
            "transl": still,
            "neck_pose": self.neck_pose,
            "jaw_pose": self.jaw_pose,
            "leye_pose": self.leye_pose,
            "reye_pose": self.reye_pose,
        }
        return {name: np.ascontiguousarray(value, np.float32) for name, value in named.items()} | {"fps": np.float64(self.fps)}


def write(path: str, values: Parameters) -> None:
    """Write parameters to an .npz; a failure leaves a file that was there as it was. Raises NoSpace or BadRequest."""
    arrays = values.arrays()
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BadRequest("The animation holds numbers that are not finite: look for a broken driver or key and export again")
    folder, name = os.path.split(os.path.abspath(path))
    try:
        os.makedirs(folder, exist_ok=True)
        write_file(path, lambda file: np.savez(file, **arrays))
    except OSError as error:
        raise NoSpace(f"“{name}” could not be written ({error.strerror}): free some space or choose another folder") from error
