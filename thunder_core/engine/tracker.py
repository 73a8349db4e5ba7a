# SPDX-License-Identifier: GPL-3.0-or-later
"""What the process that follows faces does for each request, by MediaPipe, in a Python that has it.

track: "video", path of a video, "aspect", width of its pixels (0: as it says), "mirrored", "to",
path of the .npz to write, "sheet", of a picture ("" for none) → "start" seconds of the video,
"frames" at 25 fps, "notes", sentences. The .npz has the arrays of a take, opening and width [T] as
measured, mm, and seen [T], facing [3], residual_mm [T].

mark_face: as the engine's, by landmarks in a picture of the face; "is_seen" whether it has any.
"""

import cv2
import numpy as np

from ..animation.motion_file import arrays
from ..face.head import EYE_LEFT, EYE_RIGHT, Head, load_head, NECK
from ..face.making import dots, shapes
from ..face.points import SkinnedPoints
from ..face.regions import Warp
from ..files import write_file
from ..progress import share
from ..rotation import rotvec_to_matrix
from ..types import Motion
from .tracking.solve import solve
from .tracking.video import follow, landmarks_in, SIDE

_TREMBLES = 0.4  # mm of trembling that is told
_NARROW, _WIDE = 0.88, 1.22  # width of a face for its height, of a usual one's, that is told
_OFF = 1.5  # mm by which landmarks are off the solved head in the mean that are told
_PIXELS, _REACH = 640, 1.3  # side of the picture in which a face to be marked is looked for
_EVEN = 0.003  # by which landmarks may be off that lead from our face to another, metres


def _track(worker, args, progress):
    """The performance of a face. Raises ThunderError."""
    head, followed = load_head(), share(progress, 0.0, 0.85)
    face = follow(args["video"], args["aspect"], args["mirrored"], followed)
    progress(0.85, "Solving the face")
    solved = solve(head, face.points)
    notes, off = list(face.notes), solved.residual.mean()
    if solved.trembles > _TREMBLES:
        notes.append(f"The landmarks tremble ({solved.trembles:.1f} mm) and were smoothed")
    if not _NARROW < solved.stretched < _WIDE:
        which = "narrow" if solved.stretched < 1 else "wide"
        notes.append(
            f"The face is measured too {which}: if the picture looks squeezed, try "
            f"{1 / solved.stretched:.2f} as Pixel Aspect (--pixel-aspect)"
        )
    if off > _OFF:
        notes.append(
            f"The head follows this face badly ({off:.1f} mm off on average): look at the sheet"
        )
    values = arrays(solved.motion, head.expression_names) | {
        "opening": solved.lips[:, 0], "width": solved.lips[:, 1], "seen": solved.seen,
        "facing": solved.facing, "residual_mm": solved.residual.mean(1),
    }  # fmt: skip
    write_file(args["to"], lambda file: np.savez_compressed(file, **values))
    if args["sheet"] and face.pictures:
        picture = sheet(HeadDrawing(head, SIDE), solved.motion, solved.facing, face.pictures)
        data = cv2.imencode(".png", picture)[1].tobytes()
        write_file(args["sheet"], lambda file: file.write(data))
    return {"start": face.start, "frames": solved.motion.frames, "notes": notes}


def _mark_face(worker, args, progress):
    progress(0.1, "Looking for the face")
    points, triangles = (np.load(args[name]) for name in ("points", "triangles"))
    marks, ahead, is_seen = shapes.guess(points.astype(float), triangles.astype(int), _find)
    return {"marks": marks.tolist(), "ahead": ahead.tolist(), "is_seen": is_seen}


def _find(points, triangles, places):
    """Where the 24 places are in a picture of a face, [24, 2], None where no face is seen: its
    landmarks lead there from those of our face, whose places are known."""
    head = load_head()
    ours = head.v_template[dots.vertices_of(head)]
    own, theirs = _landmarks(head.v_template, head.f, ours), _landmarks(points, triangles, places)
    if own is None or theirs is None:
        return None
    warp = Warp.rigid(own, theirs).bend(own, theirs, np.full(len(own), _EVEN))
    return warp(ours * [1, 1, 0])[:, :2]


def _landmarks(points, triangles, places):
    """Landmarks of a face in the plane of its picture, [478, 3], in its mesh's unit; None where
    none is seen."""
    view, light = dots.portrait(points, triangles, places, _PIXELS, _REACH)
    found = landmarks_in(np.repeat((255 * light).astype(np.uint8)[..., None], 3, 2))
    if found is None:
        return None
    first, step = np.array([view.x[0], view.y[0]]), view.x[1] - view.x[0]
    return np.c_[first + (found - 0.5) * [step, -step], np.zeros(len(found))]


# ---- the sheet: pictures of a video, and the head in the same frames, small and plain

# Direction of the light, left, above, in front, and how much of it comes from all around. With more
# of that, or from further below, the mesh takes shut lids for half open ones.
_LIGHT, _AROUND = np.array([0.22, 0.5, 0.84]), 0.15
_FILLS = 0.26  # metres of the head that fill the picture
_SUB = 4  # bits behind the point of a corner's place in pixels
# what is behind the lips, and how much light is left in their shadow
_INSIDE, _SHADE = (
    ("Mouth", "Gums", "Teeth", "Side Teeth", "Tongue", "Back Teeth", "Back Tongue", "Mouth Lining"),
    0.6,
)


class HeadDrawing:
    """Pictures of a head, BGR [side, side, 3], seen from the front without perspective."""

    def __init__(self, head: Head, side: int):
        self.head, self.side = head, side
        self.skin = SkinnedPoints.of(head, lambda values: values)
        fourth = head.polygons[:, 3] >= 0
        self.triangles = np.concatenate([head.polygons[:, :3], head.polygons[fourth][:, [0, 2, 3]]])
        material = np.concatenate([head.polygon_material, head.polygon_material[fourth]])
        self.light = np.where(np.isin(np.array(head.material_names), _INSIDE), _SHADE, 1.0)[
            material
        ]
        colours = head.material_colors[material, :3]
        if len(head.tints):
            colours = colours * head.tints[self.triangles].mean(1)
        self.colours = colours[:, ::-1].clip(0, 1)
        self.middle = head.joints[[EYE_LEFT, EYE_RIGHT]].mean(0) - (0, 0.025, 0)

    def draw(self, motion: Motion, facing: np.ndarray) -> list[np.ndarray]:
        """A picture of every frame.  facing [3]: rotation vector of the mean direction."""
        turns, eyes = motion.turns
        places = self.skin.of_motion(motion)
        for joint in (EYE_LEFT, EYE_RIGHT):
            ball = self.head.weights[:, joint] > 0.5
            centre = self.head.joints[joint]
            for frame, turn in enumerate(rotvec_to_matrix(eyes)):
                places[frame, ball] = centre + (places[frame, ball] - centre) @ turn.T
        neck = self.head.joints[NECK]
        whole = rotvec_to_matrix(facing) @ rotvec_to_matrix(turns)
        return [self._draw(neck + (place - neck) @ turn.T) for turn, place in zip(whole, places)]

    def _draw(self, places: np.ndarray) -> np.ndarray:
        """A picture of the vertices [V, 3]: the hindmost triangles first."""
        corners = places[self.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        front = np.flatnonzero(normals[:, 2] > 0)
        front = front[np.argsort(corners[front, :, 2].mean(1))]
        # as if the skin were round: of a triangle the mean normal of those that touch it
        corner = self.triangles.ravel()
        meeting = [np.bincount(corner, each.repeat(3), len(places)) for each in normals.T]
        smooth = np.stack(meeting, 1)[self.triangles[front]].sum(1)
        smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
        lit = _AROUND + (1 - _AROUND) * (smooth @ _LIGHT).clip(0, 1)
        shade = lit * self.light[front]
        colours = 255 * (self.colours[front] * shade[:, None]) ** (1 / 2.2)
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


VERBS = {"track": _track, "mark_face": _mark_face}
