# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads recordings, and tracked performances, so that a studio can train on its captures: `.npz`
motion with its sound next to it. The engine reads users' files itself (speech/audio.py).

The format is docs/reference/tracked.md. Channels are read by name, in any order and of any number;
coefficients without names belong to another basis (`FlameBasis`), which is trained on with
--flame. Any frame rate becomes 25 fps.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio
from scipy.spatial.transform import Rotation, Slerp

from ..errors import BadHead, ThunderError
from ..face import regions
from ..face.head import Head, load_head
from ..face.retarget import MOST, Retarget, to_head
from ..filters import gaussian
from ..types import FPS, Motion, RATE

COEFFICIENTS = 100  # coefficients that the paper most likely used; files hold as many or fewer
_OF_THE_MOUTH = 0.5  # share of the mouth's region from which a vertex is an input of mesh-to-speech


class BadRecording(ThunderError):
    """A sound that cannot be read; the message names it and says what to do."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises BadRecording where the block cannot read the sound of a file."""
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadRecording(
            f"{path} cannot be read as sound ({error}). Save it as WAV, or take it out of the "
            f"folder."
        ) from None


def read_recording(path: Path) -> np.ndarray:
    """Samples float32 [n] at 16 kHz, the mean of a file's channels. Raises BadRecording."""
    with reading(path):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = torch.from_numpy(np.ascontiguousarray(samples.mean(1), np.float32))
    if rate != RATE:
        mono = torchaudio.functional.resample(mono, rate, RATE)
    return mono.numpy()


class FlameBasis:
    """A FLAME file's expression space.

    path: of the file.  head: with `coefficients` expression directions, its lips marked.  digest:
    of the file, in short. Raises BadHead if the file is not a FLAME model, or has no recognisable
    mouth.
    """

    def __init__(self, path: Path, coefficients: int = COEFFICIENTS):
        self.path = Path(path)
        head = load_head(self.path)
        if not head.identity.shape[2]:
            raise BadHead(
                f"{self.path.name} is no FLAME file: choose one, or leave out --flame to train on "
                f"the bundled head"
            )
        # Its first directions move it most.
        directions = np.ascontiguousarray(head.shapedirs[:, :, :coefficients])
        names = head.expression_names[:coefficients]
        self.head = _with_mouth(
            regions.mark_regions(replace(head, shapedirs=directions, expression_names=names))
        )
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @cached_property
    def retarget(self) -> Retarget:
        """From the bundled head; half a second to make."""
        return to_head(self.head)

    def of_bundled(self, motion: Motion, channels: list[str] | None = None) -> Motion:
        """A motion of the bundled head, whose columns are `channels`, in this space."""
        return self.retarget.to(motion, channels)

    def to_channels(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients [T, b] of a tracked sequence of this file as channels [T, n], padded with 0
        or cut."""
        result = np.zeros((len(coefficients), self.head.channels))
        count = min(coefficients.shape[1], self.head.channels)
        result[:, :count] = np.clip(coefficients[:, :count], -MOST, MOST)
        return result


def _with_mouth(head: Head) -> Head:
    """A head with the vertices that mesh-to-speech reads: those of the mouth's region, and the
    lips' landmarks."""
    of_mouth = head.regions[head.region_names.index("mouth")] > _OF_THE_MOUTH
    landmarks = [
        head.inner_lip_upper_mid,
        head.inner_lip_lower_mid,
        head.mouth_corner_left,
        head.mouth_corner_right,
    ]
    ids = np.union1d(np.flatnonzero(of_mouth), landmarks).astype(np.int32)
    return replace(head, mouth_vertices=ids, mouth_parts=np.zeros(len(ids), np.int32))


SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
_ROTATIONS = {"head": ("head", "pose"), "eyes": ("eyes",)}
# largest difference in length between motion and sound of one performance, seconds
_NEARLY_WHOLE = 0.5
_MOST_RADIANS = 2.0  # largest turn of a jaw, neck or eye in radians; larger values are degrees


class BadTracking(ThunderError):
    """A tracked sequence cannot be used; the message names the file and says what to change."""


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a sequence by their names. Raises BadTracking."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as error:  # zip, header and object-array errors all mean the same to the user
        raise BadTracking(
            f"{path.name} cannot be read as a tracked sequence ({error}). Save it with "
            f"numpy.savez, plain arrays only."
        ) from None


def numbers_of(
    path: Path, data: dict, name: str, width: int | None, frames: int | None
) -> np.ndarray:
    """float64 [T, width] of an array, checked. Raises BadTracking."""
    if name not in data:
        raise BadTracking(
            f"{path.name} lacks {name}. A tracked sequence has expression, jaw and fps; see "
            f"docs/reference/tracked.md."
        )
    x = data[name]
    if (
        x.dtype.kind not in "fiu"
        or x.ndim != 2
        or not len(x)
        or (width and x.shape[1] != width)
        or (frames and len(x) != frames)
    ):
        wanted = f"{frames or 'frames'} × {width or 'channels'}"
        raise BadTracking(
            f"{name} in {path.name} is {x.dtype} of shape {x.shape} where numbers of shape "
            f"{wanted} are needed."
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        first = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
        raise BadTracking(
            f"{name} in {path.name} has NaN or infinite values from frame {first}. Fill or cut "
            f"the frames that were lost."
        )
    return x


def _channels(path: Path, data: dict, values: np.ndarray, channels: list[str]) -> np.ndarray:
    """Values [T, b] of the file's channels → [T, n] on the head's."""
    if "channels" not in data:
        raise BadTracking(
            f"{path.name} has coefficients without channel names: another head's basis. Name the "
            f"channels, or train on the FLAME file that "
            "they move (--flame)."
        )
    names = [str(n) for n in np.asarray(data["channels"]).ravel()]
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise BadTracking(
            f"{path.name} names {len(set(names))} channels for {values.shape[1]} columns. Name "
            f"each column once."
        )
    present = [n for n in names if n in channels]
    if not present:
        raise BadTracking(
            f"No channel of {path.name} ({', '.join(names[:3])} …) is one of the head's. Rename "
            f"them; see docs/reference/tracked.md."
        )
    out = np.zeros((len(values), len(channels)))
    out[:, [channels.index(n) for n in present]] = values[:, [names.index(n) for n in present]]
    return out


def resample(x: np.ndarray, fps: float, to: float = FPS, rotations: bool = False) -> np.ndarray:
    """Frames [T, c] at `fps` → frames at `to`, first frame at the same instant; rotation vectors
    along the shortest arc."""
    at = np.arange(max(1, int(np.floor((len(x) - 1) / fps * to + 1e-6)) + 1)) / to * fps
    # faster captures are smoothed first, or jitter would be folded into the motion
    if fps > 1.5 * to:
        x = gaussian(x, 0.35 * fps / to, "nearest")
    if len(x) == 1:
        return x[:1].repeat(len(at), 0)
    if rotations:
        return Slerp(np.arange(len(x)), Rotation.from_rotvec(x))(
            np.clip(at, 0, len(x) - 1)
        ).as_rotvec()
    return np.stack([np.interp(at, np.arange(len(x)), x[:, c]) for c in range(x.shape[1])], 1)


def speaker_of(path: Path, data: dict | None = None) -> str:
    """Who performs a tracked sequence: as it (or its arrays) says, or its file's name. Raises
    BadTracking."""
    return str((data or load_arrays(path)).get("speaker", "")) or path.stem


def read_tracked(
    path: Path, channels: list[str], basis: FlameBasis | None = None
) -> tuple[Motion, str, dict]:
    """(Motion at 25 fps on `channels`, speaker, all arrays of the file) of a tracked sequence.
    Raises BadTracking.

    basis: the FLAME file in whose coefficients the motion is given instead; a sequence without
    channel names is taken to be in them.
    """
    path = Path(path)
    data = load_arrays(path)
    rate = np.asarray(data.get("fps", np.nan))
    if rate.dtype.kind not in "fiu" or rate.size != 1 or not 1 <= float(rate.ravel()[0]) <= 1000:
        raise BadTracking(
            f"{path.name} has no frame rate between 1 and 1000. Save fps, the frames per second "
            f"of its arrays."
        )
    fps = float(rate.ravel()[0])
    coefficients = numbers_of(path, data, "expression", None, None)
    frames = len(coefficients)
    jaw = numbers_of(path, data, "jaw", 3, frames)
    turns = {
        part: next((numbers_of(path, data, n, 3, frames) for n in names if n in data), None)
        for part, names in _ROTATIONS.items()
    }
    for name, x in (("jaw", jaw), *turns.items()):
        if x is not None and np.abs(x).max() > _MOST_RADIANS:
            raise BadTracking(
                f"{name} in {path.name} turns by {np.abs(x).max():.1f}, too far for radians. Save "
                f"rotation vectors in radians."
            )
    own = None if "channels" in data else basis
    expression = (
        own.to_channels(coefficients)
        if own is not None
        else np.clip(_channels(path, data, coefficients, channels), -1.0, 1.5)
    )
    still: dict[str, Any] = {
        part: None if x is None else resample(x, fps, rotations=True).astype(np.float32)
        for part, x in turns.items()
    }
    motion = Motion(
        resample(expression, fps).astype(np.float32),
        resample(jaw, fps, rotations=True).astype(np.float32),
        **still,
    )
    if basis is not None and own is None:
        motion = basis.of_bundled(motion, channels)
    return motion, speaker_of(path, data), data


def sound_beside(path: Path) -> Path:
    """The sound beside a sequence. Raises BadTracking."""
    for file in map(path.with_suffix, SOUNDS):
        if file.exists():
            return file
    raise BadTracking(
        f"{path.name} has no sound beside it. Put {path.stem}.wav (or .flac) into the same folder."
    )


def tracked_clips(
    folder: Path, channels: list[str], basis: FlameBasis | None = None
) -> Iterator[tuple[str, str, np.ndarray, Motion]]:
    """(name, speaker, samples [n] at 16 kHz, Motion at 25 fps) of every tracked sequence below a
    folder, by name.

    Sound and motion start together and are cut to the shorter; a difference over half a second is
    an error. Sequences marked `measuring` (not to be trained on) are refused.  basis: as
    `read_tracked`. Raises BadTracking, naming the file.
    """
    folder = Path(folder)
    paths = sorted(folder.rglob("*.npz"))
    if not paths:
        raise BadTracking(
            f"There are no tracked sequences (.npz) in {folder.name}. See "
            f"docs/reference/tracked.md for their format."
        )
    for path in paths:
        motion, speaker, data = read_tracked(path, channels, basis)
        if data.get("measuring", False):
            raise BadTracking(
                f"{path.name} is marked as a face to measure against, not to train on. Take it "
                f"out of the folder."
            )
        samples = read_recording(sound_beside(path))
        seconds = len(samples) / RATE
        if abs(seconds - motion.frames / FPS) > _NEARLY_WHOLE:
            raise BadTracking(
                f"{path.name} lasts {motion.frames / FPS:.1f} s and its sound {seconds:.1f} s. "
                f"Cut them to the same stretch; is fps right?"
            )
        frames = min(motion.frames, int(seconds * FPS))
        yield (
            str(path.relative_to(folder).with_suffix("")),
            speaker,
            samples[: round(frames / FPS * RATE)],
            motion.part(slice(frames)),
        )
