# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows the face in a video by MediaPipe's face mesh: landmarks at 25 fps by the pictures' own
times, and what is wrong with the video, in sentences.

The mesh finds another face in a mirror image than in the picture (lips differ by about a
millimetre), so each picture is looked at both ways and the mean is taken: twice the work.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass

import cv2
import mediapipe
import numpy as np

from ...animation.motion_file import is_video
from ...errors import BadRequest
from ...files import not_a_file
from ...filters import gaussian
from ...progress import no_progress, Progress
from ...types import FPS
from ..speech.audio import LONGEST
from .spots import ACROSS, OUTER_EYES, POINTS

SHORTEST = 1.0  # seconds of one face that can be followed
_SMALL = 50  # pixels between the outer corners of the eyes below which lips are uncertain
_LOST = 0.5  # seconds without a face over which a performance goes on
_NEXT = 0.15  # seconds between two pictures between which a face is known
_CUT = 0.15  # mean difference of brightness, 0 … 1, between two pictures of different shots
# It may be as small between shots before one background, where pictures else change less by so
# many times; and of how many changes before.
_SAME_PLACE, _TIMES, _BEFORE = 0.06, 8, 12
_OTHER = 0.1  # share of pictures with a second face that is told
_UNEVEN = 0.3  # difference of a picture's duration from the usual one, as its share, that is told
_MOST_PIXELS = 2**25  # of a picture: 7680 × 4320 are fewer
_MOST_RATE = 120  # pictures a second of the longest video
SIDE = 240  # pixels of each side of the pictures that are kept
_SHOWN = 24  # pictures that are kept to be looked at
_FACE = 1.6  # side of such a picture, in sizes of the face
_SAME = 0.25  # distance of a face from that in the mirror image, in heights of the face
_SQUEEZED = 3  # most that pixels are wider or higher
# Width and height in pixels of pictures of television, which are mostly shown as 4:3.
_TELEVISION = ((720, 576), (704, 576), (360, 288), (352, 288), (720, 480), (704, 480), (352, 240))


@dataclass(frozen=True)
class Followed:
    """A face that was followed.

    points: [T, 478, 3], pixels, x to the subject's left, y up, z to the camera; NaN where it was
    lost; 25 fps from `start` seconds of the video on.  notes: sentences about the video.
    pictures: of the face with its landmarks, BGR, by their frame.
    """

    points: np.ndarray
    start: float
    notes: tuple[str, ...]
    pictures: dict[int, np.ndarray]


def follow(
    path: str, aspect: float = 0.0, mirrored: bool = False, progress: Progress = no_progress
) -> Followed:  # fmt: skip
    """Follow the largest face of a video through its longest shot. Raises BadRequest.

    aspect: width of a pixel in its heights, 0: as the video says.  mirrored: whether the picture is
    a mirror's.
    """
    name = os.path.basename(path)
    if aspect and not 1 / _SQUEEZED <= aspect <= _SQUEEZED:
        raise BadRequest(
            f"Pixels are not {aspect:g} times as wide as high: enter 1 / {_SQUEEZED} to "
            f"{_SQUEEZED}, or 0 for what the video says"
        )
    film = open_video(path)
    count = max(1.0, film.get(cv2.CAP_PROP_FRAME_COUNT))
    wide = aspect or film.get(cv2.CAP_PROP_SAR_NUM) / max(1.0, film.get(cv2.CAP_PROP_SAR_DEN)) or 1
    times: list[float] = []
    changes: list[float] = []
    notes, cuts, pictures = [], [], {}
    points: list[np.ndarray | None] = []
    if not 1 / _SQUEEZED <= wide <= _SQUEEZED:
        notes.append(f"The video says that its pixels are {wide:g} times as wide as high: ignored")
        wide = 1
    size = _size_of(film)
    if wide == 1 and size in _TELEVISION:
        notes.append(
            f"The picture is {size[0]} × {size[1]}, as television squeezes 4:3: if it is, enter "
            f"{4 / 3 * size[1] / size[0]:.3f} as Pixel Aspect (--pixel-aspect)"
        )
    others, every, before, last = 0, 1, None, None
    with ExitStack() as stack:
        meshes = [
            stack.enter_context(
                mediapipe.solutions.face_mesh.FaceMesh(max_num_faces=2, refine_landmarks=True)
            )
            for _ in range(2)
        ]
        while (read := film.read())[0]:
            picture = read[1][:, ::-1] if mirrored else read[1]
            if abs(wide - 1) > 0.005:
                to = (round(picture.shape[1] * wide), picture.shape[0])
                picture = cv2.resize(picture, to)
            small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (32, 18)) / 255.0
            changes.append(0.0 if before is None else float(np.abs(small - before).mean()))
            if _is_cut(changes):
                cuts.append(len(times))
                for mesh in meshes:
                    mesh.reset()
                last = None
            before = small
            faces = _faces_both_ways(meshes, picture)
            others += len(faces) > 1
            found = _choose(faces, last)
            number = len(times)
            times.append(film.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if not times[-1] <= LONGEST or number >= LONGEST * _MOST_RATE:
                raise BadRequest(f"“{name}” is longer than {LONGEST // 60} minutes: cut it")
            points.append(found)
            last = last if found is None else found
            if found is not None and number % every == 0:
                pictures[number] = _picture(picture, found)
                if len(pictures) > _SHOWN:
                    every *= 2
                    pictures = {n: each for n, each in pictures.items() if n % every == 0}
            progress(min(1.0, number / count), "Following the face")
    film.release()
    if not times:
        raise _unreadable(name)
    return _longest_shot(name, np.array(times), points, cuts, others / len(times), pictures, notes)


def open_video(path: str) -> cv2.VideoCapture:
    """A video, from this local file alone: no playlist, list of files or address that it is, no
    numbered pictures. Raises BadRequest."""
    name = os.path.basename(path)
    if problem := not_a_file(path):
        raise BadRequest(f"{problem}: choose a video")
    # OpenCV passes no list of formats on
    if not is_video(path):
        raise _unreadable(name)
    film = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    if not film.isOpened():
        raise _unreadable(name)
    width, height = _size_of(film)
    if width * height > _MOST_PIXELS:
        raise BadRequest(
            f"The pictures of “{name}” have {width} × {height} pixels: save them smaller, such as "
            f"1920 × 1080"
        )
    return film


def _size_of(film: cv2.VideoCapture) -> tuple[int, int]:
    """Width and height of the pictures, pixels."""
    width, height = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    return int(film.get(width)), int(film.get(height))


def _unreadable(name: str) -> BadRequest:
    return BadRequest(f"“{name}” cannot be read as a video: save it as MP4 (H.264)")


def _is_cut(changes: list[float]) -> bool:
    """Whether the last of the changes between pictures is one to another shot."""
    usual = np.median(changes[-1 - _BEFORE : -1]) if len(changes) > _BEFORE else np.inf
    return changes[-1] > min(_CUT, max(_SAME_PLACE, _TIMES * usual))


def _faces_both_ways(meshes, picture: np.ndarray) -> list[np.ndarray]:
    """The faces that are found in a picture and in its mirror image, their means, in pixels of the
    picture."""
    across = [
        face[ACROSS] * (-1, 1, 1) + (picture.shape[1], 0, 0)
        for face in _faces(meshes[1], picture[:, ::-1])
    ]
    faces = []
    for face in _faces(meshes[0], picture):
        apart = [np.linalg.norm((other - face)[:, :2].mean(0)) for other in across]
        if apart and min(apart) < _SAME * np.ptp(face[:, 1]):
            faces.append((face + across[int(np.argmin(apart))]) / 2)
    return faces


def _faces(mesh, picture: np.ndarray) -> list[np.ndarray]:
    """The landmarks of the faces in a picture, in pixels of the picture."""
    found = mesh.process(np.ascontiguousarray(picture[:, :, ::-1])).multi_face_landmarks or ()
    height, width = picture.shape[:2]
    return [
        np.array([(p.x, p.y, p.z) for p in each.landmark]) * (width, height, width)
        for each in found
    ]


def landmarks_in(picture: np.ndarray) -> np.ndarray | None:
    """The landmarks [478, 2] of the face in a picture BGR [H, W, 3], in its pixels; None without
    one."""
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True)
    with mesh:
        found = _choose(_faces(mesh, picture), None)
    return None if found is None else found[:, :2]


def _choose(faces: list[np.ndarray], last: np.ndarray | None) -> np.ndarray | None:
    """The face that was followed before, or the largest one; None for none."""
    if last is None:
        return max(faces, key=lambda each: np.ptp(each[:, 1]), default=None)
    face = min(faces, key=lambda each: np.linalg.norm((each - last).mean(0)), default=None)
    is_near = face is not None and np.linalg.norm((face - last).mean(0)[:2]) < np.ptp(last[:, 1])
    return face if is_near else None


def _picture(picture: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The face in a picture with its landmarks, [SIDE, SIDE, 3]."""
    middle, size = (face.min(0) + face.max(0))[:2] / 2, SIDE / (_FACE * np.ptp(face[:, 1]))
    to = np.array([[size, 0, SIDE / 2 - size * middle[0]], [0, size, SIDE / 2 - size * middle[1]]])
    result = cv2.warpAffine(np.ascontiguousarray(picture), to, (SIDE, SIDE), flags=cv2.INTER_AREA)
    for at in face[:, :2] @ to[:, :2].T + to[:, 2]:
        cv2.circle(result, tuple(at.round().astype(int).tolist()), 1, (80, 255, 80), -1)
    return result


def _longest_shot(
    name: str, times: np.ndarray, points: list[np.ndarray | None], cuts: list[int], others: float,
    pictures: dict[int, np.ndarray], notes: list[str],
) -> Followed:  # fmt: skip
    """The longest stretch of one shot in which a face is followed, at 25 fps, with `notes` on the
    video so far. points: of the face in each picture, None without one. Raises BadRequest."""
    seen = np.array(
        [k for k, each in enumerate(points) if each is not None and np.isfinite(each).all()], int
    )
    breaks = [
        k + 1
        for k, (a, b) in enumerate(zip(seen[:-1], seen[1:]))
        if times[b] - times[a] > _LOST or any(a < cut <= b for cut in cuts)
    ]
    kept = max(np.split(seen, breaks), key=len)
    if not len(kept) or times[kept[-1]] - times[kept[0]] < SHORTEST:
        raise BadRequest(
            f"No face is seen in “{name}” for {SHORTEST:g} s in one shot: film one person from the "
            f"front, the face at least a fifth of the picture's height"
        )
    faces = np.stack([points[k] for k in kept])
    steps = np.diff(times)
    start, end = times[kept[0]], times[kept[-1]]
    if cuts:
        notes.append(
            f"The picture is cut at {', '.join(f'{times[cut]:.2f}' for cut in cuts[:5])} s: cut "
            f"the video there to follow the rest"
        )
    gaps = np.diff(times[kept])
    lost = times[-1] - times[0] - (end - start) + gaps[gaps > _NEXT].sum()
    if lost > _LOST:
        notes.append(f"The face is followed from {start:.2f} to {end:.2f} s, and lost {lost:.1f} s")
    if others > _OTHER:
        notes.append(f"{others:.0%} of the pictures show two people: one of them is followed")
    usual = float(np.median(steps))
    if (np.abs(steps / usual - 1) > _UNEVEN).mean() > 0.02:
        notes.append(
            f"The frame rate varies ({1000 * steps.min():.0f} to {1000 * steps.max():.0f} ms a "
            f"picture): pictures are placed by their own times"
        )
    wide = np.median(np.linalg.norm(np.diff(faces[:, OUTER_EYES, :2], axis=1)[:, 0], axis=1))
    if wide < _SMALL:
        notes.append(
            f"The face is small, {wide:.0f} pixels between the outer corners of the eyes: lips are "
            f"uncertain below {_SMALL}"
        )
    at = start + np.arange(int((end - start) * FPS + 1e-6) + 1) / FPS
    flat = faces.reshape(len(kept), -1)
    if 1 / usual > 1.5 * FPS:  # or jitter would be folded into the motion
        flat = gaussian(flat, 0.35 / usual / FPS, "nearest")
    values = np.stack([np.interp(at, times[kept], flat[:, c]) for c in range(flat.shape[1])], 1)
    after = np.searchsorted(times[kept], at).clip(1, len(kept) - 1)
    values[gaps[after - 1] > _NEXT] = np.nan
    return Followed(
        values.reshape(-1, POINTS, 3) * (1, -1, -1),
        float(start),
        tuple(notes),
        {
            round((times[number] - start) * FPS): picture
            for number, picture in pictures.items()
            if start <= times[number] <= end
        },
    )
