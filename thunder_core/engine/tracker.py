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
from ..face import dots, making
from ..face.head import load_head
from ..face.regions import Warp
from ..files import write_file
from ..progress import share
from .tracking.drawing import HeadDrawing, sheet
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
    marks, ahead, is_seen = making.guess(points.astype(float), triangles.astype(int), _find)
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


VERBS = {"track": _track, "mark_face": _mark_face}
