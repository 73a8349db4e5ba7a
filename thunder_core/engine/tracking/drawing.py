# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the head in a performance, small and plain, for sheets that compare it with a video."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from ...face.head import EYE_LEFT, EYE_RIGHT, Head, NECK
from ...face.points import SkinnedPoints
from ...types import Motion

_LIGHT = np.array([0.25, 0.35, 0.9])  # direction of the light: left, above, in front
_FILLS = 0.26  # metres of the head that fill the picture
_SUB = 4  # bits behind the point of a corner's place in pixels


class HeadDrawing:
    """Pictures of a head, BGR [side, side, 3], seen from the front without perspective."""

    def __init__(self, head: Head, side: int):
        self.head, self.side = head, side
        self.skin = SkinnedPoints.of(head, lambda values: values)
        fourth = head.polygons[:, 3] >= 0
        self.triangles = np.concatenate([head.polygons[:, :3], head.polygons[fourth][:, [0, 2, 3]]])
        material = np.concatenate([head.polygon_material, head.polygon_material[fourth]])
        self.colours = 255 * head.material_colors[material, 2::-1].clip(0, 1) ** (1 / 2.2)
        self.middle = head.joints[[EYE_LEFT, EYE_RIGHT]].mean(0) - (0, 0.025, 0)

    def draw(self, motion: Motion, facing: np.ndarray) -> list[np.ndarray]:
        """A picture of every frame.  facing [3]: rotation vector of the mean direction."""
        turns, eyes = motion.turns
        places = self.skin.of_motion(motion)
        for joint in (EYE_LEFT, EYE_RIGHT):
            ball = self.head.weights[:, joint] > 0.5
            centre = self.head.joints[joint]
            for frame, turn in enumerate(Rotation.from_rotvec(eyes)):
                places[frame, ball] = centre + turn.apply(places[frame, ball] - centre)
        neck = self.head.joints[NECK]
        whole = Rotation.from_rotvec(facing) * Rotation.from_rotvec(turns)
        return [self._draw(neck + turn.apply(place - neck)) for turn, place in zip(whole, places)]

    def _draw(self, places: np.ndarray) -> np.ndarray:
        """A picture of the vertices [V, 3]: the hindmost triangles first."""
        corners = places[self.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
        front = np.flatnonzero(normals[:, 2] > 0)
        front = front[np.argsort(corners[front, :, 2].mean(1))]
        shade = 0.3 + 0.7 * (normals[front] @ _LIGHT).clip(0, 1)
        colours = self.colours[front] * shade[:, None]
        pixels = self.side / 2 + (corners[front, :, :2] - self.middle[:2]) * (1, -1) * (
            self.side / _FILLS
        )
        picture = np.full((self.side, self.side, 3), 40, np.uint8)
        for at, colour in zip((pixels * 2**_SUB).round().astype(np.int32), colours.tolist()):
            cv2.fillConvexPoly(picture, at, colour, cv2.LINE_AA, _SUB)
        return picture


def sheet(drawing: HeadDrawing, motion: Motion, facing: np.ndarray, pictures: dict) -> np.ndarray:
    """Pictures of a video by their frames, and beneath each the head in that frame."""
    frames = sorted(frame for frame in pictures if frame < motion.frames)
    frames = [frames[round(k)] for k in np.linspace(0, len(frames) - 1, min(8, len(frames)))]
    heads = drawing.draw(motion.part(frames), facing)
    return np.vstack([np.hstack([pictures[frame] for frame in frames]), np.hstack(heads)])
