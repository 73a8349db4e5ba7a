# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads tracked performances, so that a studio can train on its own captures: `.npz` motion with its sound next to it.

The format is docs/reference/tracked.md. Channels are read by name, in any order and of any number; coefficients without names belong to
another basis (FLAME's), which is trained on with --flame. Any frame rate becomes 25 fps. FACEGOOD's public recordings, with their own
rig's channels, are converted into the same format by `convert_facegood`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from ..errors import ThunderError
from ..files import write_file
from ..types import FPS, Motion, RATE
from .flame_basis import FlameBasis
from .voices import read_recording

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
_ROTATIONS = {"head": ("head", "pose"), "eyes": ("eyes",)}
_NEARLY_WHOLE = 0.5  # largest difference in length between motion and sound of one performance, seconds
_MOST_RADIANS = 2.0  # largest turn of a jaw, neck or eye in radians; larger values are degrees


class BadTracking(ThunderError):
    """A tracked sequence cannot be used; the message names the file and says what to change."""


def write_tracked(
    path: Path, motion: Motion, channels: list[str] | tuple[str, ...], speaker: str = "", measuring: bool = False, **more
) -> None:
    """Write a motion as a tracked sequence (docs/reference/tracked.md); `more` arrays are stored with it and ignored by the reader.

    measuring: marks a face that may be viewed and used for measuring, but not for training.
    """
    parts = {"head": motion.head, "eyes": motion.eyes}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda file: np.savez_compressed(
        file, expression=motion.expression.astype(np.float32), jaw=motion.jaw.astype(np.float32), fps=float(motion.fps),
        channels=np.array(channels), speaker=speaker, measuring=measuring,
        **{k: v.astype(np.float32) for k, v in parts.items() if v is not None}, **more,
    ))  # fmt: skip


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except Exception as error:  # zip, header and object-array errors all mean the same to the user
        raise BadTracking(
            f"{path.name} cannot be read as a tracked sequence ({error}). Save it with numpy.savez, plain arrays only."
        ) from None


def _numbers(path: Path, data: dict, name: str, width: int | None, frames: int | None) -> np.ndarray:
    """float64 [T, width] of an array, checked."""
    if name not in data:
        raise BadTracking(f"{path.name} lacks {name}. A tracked sequence has expression, jaw and fps; see docs/reference/tracked.md.")
    x = data[name]
    if x.dtype.kind not in "fiu" or x.ndim != 2 or not len(x) or (width and x.shape[1] != width) or (frames and len(x) != frames):
        wanted = f"{frames or 'frames'} × {width or 'channels'}"
        raise BadTracking(f"{name} in {path.name} is {x.dtype} of shape {x.shape} where numbers of shape {wanted} are needed.")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        first = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
        raise BadTracking(f"{name} in {path.name} has NaN or infinite values from frame {first}. Fill or cut the frames that were lost.")
    return x


def _channels(path: Path, data: dict, values: np.ndarray, channels: list[str]) -> np.ndarray:
    """Values [T, b] of the file's own channels → [T, n] on the head's."""
    if "channels" not in data:
        raise BadTracking(
            f"{path.name} has coefficients without channel names: another head's basis. Name the channels, or train on the FLAME file that "
            "they move (--flame)."
        )
    names = [str(n) for n in np.asarray(data["channels"]).ravel()]
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise BadTracking(f"{path.name} names {len(set(names))} channels for {values.shape[1]} columns. Name each column once.")
    known = [n for n in names if n in channels]
    if not known:
        raise BadTracking(
            f"No channel of {path.name} ({', '.join(names[:3])} …) is one of the head's. Rename them; see docs/reference/tracked.md."
        )
    out = np.zeros((len(values), len(channels)))
    out[:, [channels.index(n) for n in known]] = values[:, [names.index(n) for n in known]]
    return out


def resample(x: np.ndarray, fps: float, to: float = FPS, rotations: bool = False) -> np.ndarray:
    """Frames [T, c] at `fps` → frames at `to`, first frame at the same instant; rotation vectors along the shortest arc."""
    at = np.arange(max(1, int(np.floor((len(x) - 1) / fps * to + 1e-6)) + 1)) / to * fps
    if fps > 1.5 * to:  # faster captures are smoothed first, or jitter would be folded into the motion
        x = gaussian_filter1d(x, 0.35 * fps / to, axis=0, mode="nearest")
    if len(x) == 1:
        return x[:1].repeat(len(at), 0)
    if rotations:
        return Slerp(np.arange(len(x)), Rotation.from_rotvec(x))(np.clip(at, 0, len(x) - 1)).as_rotvec()
    return np.stack([np.interp(at, np.arange(len(x)), x[:, c]) for c in range(x.shape[1])], 1)


def speaker_of(path: Path, data: dict | None = None) -> str:
    """Who performs a tracked sequence: as it (or its arrays) says, or its file's name. Raises BadTracking."""
    return str((data or _load(path)).get("speaker", "")) or path.stem


def read_tracked(path: Path, channels: list[str], basis: FlameBasis | None = None) -> tuple[Motion, str, dict]:
    """(Motion at 25 fps on `channels`, speaker, all arrays of the file) of a tracked sequence. Raises BadTracking.

    basis: the FLAME file in whose coefficients the motion is given instead; a sequence without channel names is taken to be its own.
    """
    path = Path(path)
    data = _load(path)
    fps = np.asarray(data.get("fps", np.nan))
    if fps.dtype.kind not in "fiu" or fps.size != 1 or not 1 <= float(fps.ravel()[0]) <= 1000:
        raise BadTracking(f"{path.name} has no frame rate between 1 and 1000. Save fps, the frames per second of its arrays.")
    fps = float(fps.ravel()[0])
    coefficients = _numbers(path, data, "expression", None, None)
    frames = len(coefficients)
    jaw = _numbers(path, data, "jaw", 3, frames)
    turns = {part: next((_numbers(path, data, n, 3, frames) for n in names if n in data), None) for part, names in _ROTATIONS.items()}
    for name, x in (("jaw", jaw), *turns.items()):
        if x is not None and np.abs(x).max() > _MOST_RADIANS:
            raise BadTracking(
                f"{name} in {path.name} turns by {np.abs(x).max():.1f}, too far for radians. Save rotation vectors in radians."
            )
    own = basis is not None and "channels" not in data
    expression = basis.own(coefficients) if own else np.clip(_channels(path, data, coefficients, channels), -1.0, 1.5)
    still = {part: None if x is None else resample(x, fps, rotations=True).astype(np.float32) for part, x in turns.items()}
    motion = Motion(resample(expression, fps).astype(np.float32), resample(jaw, fps, rotations=True).astype(np.float32), **still)
    if basis is not None and not own:
        motion = basis.of_bundled(motion, channels)
    return motion, speaker_of(path, data), data


def _sound(path: Path) -> np.ndarray:
    """float32 [n] at 16 kHz of the sound beside a sequence. Raises BadTracking."""
    files = [path.with_suffix(s) for s in SOUNDS if path.with_suffix(s).exists()]
    if not files:
        raise BadTracking(f"{path.name} has no sound beside it. Put {path.stem}.wav (or .flac) into the same folder.")
    try:
        return read_recording(files[0])
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadTracking(f"{files[0].name} cannot be read as sound ({error}). Save it as WAV.") from None


def tracked_clips(folder: Path, channels: list[str], basis: FlameBasis | None = None) -> Iterator[tuple[str, str, np.ndarray, Motion]]:
    """(name, speaker, samples [n] at 16 kHz, Motion at 25 fps) of every tracked sequence below a folder, by name.

    Sound and motion start together and are cut to the shorter; a difference over half a second is an error. Sequences marked `measuring`
    (not to be trained on) are refused.  basis: as `read_tracked`. Raises BadTracking, naming the file.
    """
    folder = Path(folder)
    paths = sorted(folder.rglob("*.npz"))
    if not paths:
        raise BadTracking(f"There are no tracked sequences (.npz) in {folder.name}. See docs/reference/tracked.md for their format.")
    for path in paths:
        motion, speaker, data = read_tracked(path, channels, basis)
        if data.get("measuring", False):
            raise BadTracking(f"{path.name} is marked as a face to measure against, not to train on. Take it out of the folder.")
        samples = _sound(path)
        seconds = len(samples) / RATE
        if abs(seconds - motion.frames / FPS) > _NEARLY_WHOLE:
            raise BadTracking(
                f"{path.name} lasts {motion.frames / FPS:.1f} s and its sound {seconds:.1f} s. Cut them to the same stretch; is fps right?"
            )
        frames = min(motion.frames, int(seconds * FPS))
        yield str(path.relative_to(folder).with_suffix("")), speaker, samples[: round(frames / FPS * RATE)], motion.part(slice(frames))


# FACEGOOD's rig: the head's channels for each of its channels, with weights. Left and right are derived;
# `c` channels move both sides. Its jaw is mouth_stretch_c. Teeth and tongue sizes, screams and fixes have no counterpart.
FACEGOOD_JAW_RADIANS = 0.32  # jaw at mouth_stretch_c = 1
FACEGOOD = {
    "brow_lower_": ("browDown", 1.0), "brow_raise_c": ("browInnerUp", 1.0), "brow_raise_": ("browOuterUp", 1.0),
    "cheek_puff_": ("cheekPuff", 0.5), "cheek_raise_": ("cheekSquint", 1.0), "eye_blink1_": ("eyeBlink", 1.0),
    "eye_lidTight_": ("eyeSquint", 1.0), "eye_upperLidRaise_": ("eyeWide", 1.0), "jaw_thrust_c": ("jawForward", 1.0),
    "mouth_chinRaise_d": ("mouthShrugLower", 1.0), "mouth_chinRaise_u": ("mouthShrugUpper", 1.0), "mouth_dimple_": ("mouthDimple", 1.0),
    "mouth_funnel_dl": ("mouthFunnel", 0.25), "mouth_funnel_dr": ("mouthFunnel", 0.25),
    "mouth_funnel_ul": ("mouthFunnel", 0.25), "mouth_funnel_ur": ("mouthFunnel", 0.25),
    "mouth_lipCornerDepress_": ("mouthFrown", 1.0), "mouth_lipCornerPull_": ("mouthSmile", 1.0), "mouth_lipCornerPullOpen_": ("mouthSmile", 1.0),  # noqa: E501
    "mouth_lipStretch_": ("mouthStretch", 1.0), "mouth_lipStretchOpen_": ("mouthStretch", 1.0),
    "mouth_lowerLipDepress_": ("mouthLowerDown", 1.0), "mouth_upperLipRaise_": ("mouthUpperUp", 1.0),
    "mouth_lowerLipProtrude_c": ("mouthShrugLower", 0.5), "mouth_oh_c": ("mouthFunnel", 0.5), "mouth_oo_c": ("mouthPucker", 0.8),
    "mouth_press_": ("mouthPress", 1.0), "mouth_pucker_": ("mouthPucker", 0.5),
    "mouth_sideways_l": ("mouthLeft", 1.0), "mouth_sideways_r": ("mouthRight", 1.0),
    "mouth_suck_dl": ("mouthRollLower", 0.5), "mouth_suck_dr": ("mouthRollLower", 0.5),
    "mouth_suck_ul": ("mouthRollUpper", 0.5), "mouth_suck_ur": ("mouthRollUpper", 0.5), "nose_wrinkle_": ("noseSneer", 1.0),
}  # fmt: skip
_SIDES = {"l": "Left", "r": "Right"}


def facegood_motion(weights: np.ndarray, names: list[str], channels: list[str], fps: float) -> Motion:
    """FACEGOOD's rig channels [T, 116] by name → a Motion on the head's channels, at the same rate."""
    out, jaw = np.zeros((len(weights), len(channels))), np.zeros((len(weights), 3))
    for name, value in zip(names, np.asarray(weights, np.float64).T):
        if name == "mouth_stretch_c":
            jaw[:, 0] += FACEGOOD_JAW_RADIANS * value
        elif name in ("jaw_sideways_l", "jaw_sideways_r"):
            jaw[:, 1] += 0.12 * value * (1 if name.endswith("l") else -1)
        else:
            target, gain = FACEGOOD.get(name) or FACEGOOD.get(name[:-1], ("", 0.0))
            if name not in FACEGOOD and target not in channels:  # else ours has one channel for both sides
                target += _SIDES.get(name[-1], "")
            if target in channels:
                out[:, channels.index(target)] += gain * value
    return Motion(np.clip(out, 0, 1.2).astype(np.float32), jaw.astype(np.float32), fps=fps)


def convert_facegood(source: Path, out: Path, channels: list[str]) -> list[Path]:
    """Every recording (`.npz` with weights, channels, fps; sound beside) of FACEGOOD's set → tracked sequences in `out`."""
    written = []
    for path in sorted(Path(source).glob("*.npz")):
        data = _load(path)
        names = [str(n) for n in data.get("channels", ())]
        if "mouth_stretch_c" not in names:
            raise BadTracking(f"{path.name} is no recording of FACEGOOD's rig: it has no mouth_stretch_c. Choose that data set's folder.")
        motion = facegood_motion(_numbers(path, data, "weights", len(names), None), names, channels, float(data["fps"]))
        write_tracked(out / path.name, motion, channels, speaker="facegood")
        soundfile.write(out / f"{path.stem}.wav", _sound(path), RATE, subtype="PCM_16")
        written.append(out / path.name)
    if not written:
        raise BadTracking(f"There are no recordings (.npz) in {Path(source).name}. Choose the folder of FACEGOOD's set.")
    return written
