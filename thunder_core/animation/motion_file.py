# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves a performance as an .npz with motion, channel names, rate and how it was played, or as
FLAME parameters, which smplx and other FLAME programs read directly; reads it, and recordings of
faces. numpy only."""

import os
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import read_npz, Unreadable
from ..direction import AXES, Direction, NEUTRAL, stored_vectors
from ..errors import BadRequest
from ..files import open_input
from ..filters import ease
from ..records import if_readable
from ..types import (
    FPS,
    LARGEST_COEFFICIENT,
    LARGEST_TURN,
    LEAST_FPS,
    LONGEST_RECORDING,
    MOST_FPS,
    MOST_FRAMES,
    Motion,
    pack,
    reorder,
    unpack,
)
from . import livelink
from .timing import monotone_cubic

RECORDINGS = (".csv", ".tsv", ".npz")  # endings of recorded performances
# endings of videos in which a face can be followed
VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".m4v")
# How a film itself begins: MP4 and MOV, Matroska and WebM, AVI, MPEG, transport streams, Flash,
# WMV, MXF, Ogg. Playlists and lists of files, which name others, begin otherwise.
_FILM = re.compile(
    rb"....(?:ftyp|moov|mdat|free|skip|wide|pnot)|\x1aE\xdf\xa3|RIFF....AVI |\x00\x00\x01[\xb3\xba]"
    rb"|G.{187}G|.{4}G.{191}G|FLV\x01|0&\xb2u\x8ef\xcf\x11|\x06\x0e\x2b\x34|OggS",
    re.DOTALL,
)
_EASE_SECONDS = 0.5  # from the ends of a recording to rest
SHAPE = 300  # identity coefficients of a FLAME model


def arrays(
    motion: Motion, channels: Sequence[str], take_style: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a motion by name, as docs/guide/batch.md lists them; a head or eyes that are
    missing are still.

    channels: names of the expression's columns.  take_style: the direction vector
    [DIRECTION_NAMES] of the motion, None without a direction; then style and mood are left out.
    """
    head, eyes = motion.turns
    result: dict[str, np.ndarray] = {
        "expression": motion.expression,
        "jaw": motion.jaw,
        "head": head,
        "eyes": eyes,
        "channels": np.array(list(channels)),
        "fps": np.array(motion.fps, np.float64),
    }
    if take_style is not None:
        direction = Direction.of_vector(np.asarray(take_style))
        result |= {
            "reading": np.asarray(take_style, np.float32),
            "style": np.array([getattr(direction.style, axis.name) for axis in AXES], np.float32),
            "style_names": np.array([axis.name for axis in AXES]),
            "mood": np.array(direction.mood),
            "mood_strength": np.array(
                0.0 if direction.mood == NEUTRAL else direction.strength, np.float32
            ),
        }
    return result


def write_take(
    path: str | os.PathLike, motion: Motion, channels: Sequence[str], provenance: Mapping,
    opening: np.ndarray, width: np.ndarray, score: float, seed: int,
) -> None:  # fmt: skip
    """Write a take as .npz: `arrays`, and what is measured of it; the same take gives the same
    bytes.

    opening, width: float32 [T], millimetres.  score: not a number where the face does not speak.
    """
    with open(path, "wb") as file:
        np.savez(
            file, **arrays(motion, channels, style_of_take(provenance)),  # type: ignore[arg-type]
            opening=opening, width=width, score=np.float32(score),
            seed=np.int64(seed),
        )  # fmt: skip


@if_readable(None)
def style_of_take(provenance: Mapping) -> np.ndarray | None:
    """The direction vector that a take was played in, None if it is not stored or not valid."""
    (take_style,) = stored_vectors(provenance, provenance["reading"]).astype(np.float32)
    return take_style if np.isfinite(take_style).all() else None


def read(path: str | os.PathLike) -> tuple[Motion, tuple[str, ...]]:
    """The motion in a file that was written from `arrays`, and its channels. Raises BadRequest with
    a sentence."""
    name = os.path.basename(path)
    try:
        data = read_npz(path)
    except OSError as error:
        raise BadRequest(
            f"“{name}” cannot be read ({error.strerror}): choose another file"
        ) from error
    except (Unreadable, MemoryError) as error:
        raise BadRequest(f"“{name}” {error}: choose a file that was written as a take") from error
    try:
        channels, fps = tuple(map(str, data["channels"].ravel())), float(data["fps"].item())
        held = [data[each] for each in ("expression", "jaw", "head", "eyes")]
        widths = (len(channels), 3, 3, 3)
        frames = len(held[0])
        fits = frames > 0 and all(x.shape == (frames, width) for x, width in zip(held, widths))
    except (KeyError, ValueError, TypeError):
        fits = False
    if not fits:
        raise BadRequest(
            f"“{name}” lacks arrays of a take, or they do not belong together: choose a file that "
            f"was written as a take, by this version"
        )
    # before anything is made of it: of a rate next to 0 would come hours
    if not (
        LEAST_FPS <= fps <= MOST_FPS
        and frames <= MOST_FRAMES
        and (frames - 1) / fps <= LONGEST_RECORDING
    ):
        raise BadRequest(
            f"“{name}” has {frames:,} frames at {fps:g} a second, which no recording of a face "
            f"has: save it with the right fps, {LEAST_FPS:g} to {MOST_FPS:g}, or cut it"
        )
    expression, jaw, head, eyes = parts = [x.astype(np.float32) for x in held]
    if not all(np.isfinite(x).all() for x in parts):
        raise BadRequest(f"“{name}” holds values that are not numbers: choose another file")
    for part, values, largest in zip(
        ("expression", "jaw", "head", "eyes"), parts, (LARGEST_COEFFICIENT, *3 * [LARGEST_TURN])
    ):
        if values.size and (most := np.abs(values).max()) > largest:
            raise BadRequest(
                f"“{name}” holds {most:.3g} in {part}, more than a face can do: save turns in "
                f"radians and channels as 0 to 1"
            )
    return Motion(expression, jaw, head, eyes, fps), channels


# ---- recordings: curves of Live Link Face or ARKit, and takes of ours


def read_recording(
    path: str, channels: tuple[str, ...], rate: float = 0.0
) -> Generator[float, None, tuple[Motion, str]]:
    """The motion of a recording at 25 fps, its expression columns `channels`, and a sentence on how
    a table was read. Yields progress.  rate: as of `livelink.read`. Raises BadRequest."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in RECORDINGS:
        raise BadRequest(
            f"“{os.path.basename(path)}” is no recording: choose a .csv of Live Link Face or an "
            f".npz of bake.py or Export"
        )
    if ending != ".npz":
        return (yield from livelink.read(path, channels, rate))
    motion, names = read(path)
    motion = replace(
        motion, expression=reorder(motion.expression, names, channels).astype(np.float32)
    )
    count = max(1, round((motion.frames - 1) / motion.fps * FPS) + 1)
    rows = np.clip(np.arange(count) * motion.fps / FPS, 0, motion.frames - 1)
    return unpack(monotone_cubic(pack(motion), rows), len(channels)), ""


def is_video(path: str) -> bool:
    """Whether a file is a film by how it begins. Raises OSError."""
    with open_input(path) as file:
        return _FILM.match(file.read(400)) is not None


def place_in_voice(motion: Motion, seconds: float, frames: int) -> Motion:
    """So many frames of a motion from `seconds` on (below 0: before its beginning). Beyond its ends
    the face eases to rest."""
    position, last = np.arange(frames) + seconds * FPS, motion.frames - 1
    weight = 1.0 - ease(np.maximum(-position, position - last) / (_EASE_SECONDS * FPS))
    values = monotone_cubic(pack(motion).astype(np.float64), position.clip(0, last))
    return unpack(values * weight[:, None], motion.expression.shape[1])


# ---- FLAME


def write_parameters(path: str, parts: Mapping[str, np.ndarray], fps: float) -> None:
    """Write what moves a FLAME model, one row per frame, as an .npz: all arguments of smplx's FLAME
    model by their names, float32 [T, …], and fps. Raises BadRequest.

    parts: expression [T, n] and betas [T, 300]: coefficients, in the standard deviations of the
    model's file; jaw_pose, neck_pose, leye_pose, reye_pose [T, 3]: rotation vectors in radians.
    fps: rows per second.
    """
    still = np.zeros((len(parts["expression"]), 3))
    named = {**parts, "global_orient": still, "transl": still}
    arrays = {name: np.ascontiguousarray(value, np.float32) for name, value in named.items()}
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BadRequest(
            "The animation holds numbers that are not finite: look for a broken driver or key and "
            "export again"
        )
    with open(path, "wb") as file:
        np.savez(file, **arrays, fps=np.float64(fps))  # type: ignore[arg-type]
