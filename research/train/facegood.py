# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tracked sequences (docs/reference/tracked.md), and converts FACEGOOD's public recordings,
of another rig, into them."""

from pathlib import Path

import numpy as np
import soundfile

from research.train.corpus import BadTracking, load_arrays, numbers_of, read_recording, sound_beside
from thunder_core.files import write_file
from thunder_core.types import Motion, RATE


def write_tracked(
    path: Path,
    motion: Motion,
    channels: list[str] | tuple[str, ...],
    speaker: str = "",
    measuring: bool = False,
    **more,
) -> None:
    """Write a motion as a tracked sequence (docs/reference/tracked.md); `more` arrays are stored
    with it and ignored by the reader.

    measuring: marks a face that may be viewed and used for measuring, but not for training.
    """
    parts = {"head": motion.head, "eyes": motion.eyes}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda file: np.savez_compressed(
        file, expression=motion.expression.astype(np.float32), jaw=motion.jaw.astype(np.float32),
        fps=float(motion.fps),
        channels=np.array(channels), speaker=speaker, measuring=measuring,
        **{k: v.astype(np.float32) for k, v in parts.items() if v is not None}, **more,
    ))  # fmt: skip


# FACEGOOD's rig: the head's channels for each of its channels, with weights. Left and right are
# derived; `c` channels move both sides. Its jaw is mouth_stretch_c. Teeth and tongue sizes, screams
# and fixes have no counterpart.
FACEGOOD_JAW_RADIANS = 0.32  # jaw at mouth_stretch_c = 1
FACEGOOD = {
    "brow_lower_": ("browDown", 1.0), "brow_raise_c": ("browInnerUp", 1.0),
    "brow_raise_": ("browOuterUp", 1.0),
    "cheek_puff_": ("cheekPuff", 0.5), "cheek_raise_": ("cheekSquint", 1.0),
    "eye_blink1_": ("eyeBlink", 1.0),
    "eye_lidTight_": ("eyeSquint", 1.0), "eye_upperLidRaise_": ("eyeWide", 1.0),
    "jaw_thrust_c": ("jawForward", 1.0),
    "mouth_chinRaise_d": ("mouthShrugLower", 1.0), "mouth_chinRaise_u": ("mouthShrugUpper", 1.0),
    "mouth_dimple_": ("mouthDimple", 1.0),
    "mouth_funnel_dl": ("mouthFunnel", 0.25), "mouth_funnel_dr": ("mouthFunnel", 0.25),
    "mouth_funnel_ul": ("mouthFunnel", 0.25), "mouth_funnel_ur": ("mouthFunnel", 0.25),
    "mouth_lipCornerDepress_": ("mouthFrown", 1.0), "mouth_lipCornerPull_": ("mouthSmile", 1.0),
    "mouth_lipCornerPullOpen_": ("mouthSmile", 1.0),  # noqa: E501
    "mouth_lipStretch_": ("mouthStretch", 1.0), "mouth_lipStretchOpen_": ("mouthStretch", 1.0),
    "mouth_lowerLipDepress_": ("mouthLowerDown", 1.0),
    "mouth_upperLipRaise_": ("mouthUpperUp", 1.0),
    "mouth_lowerLipProtrude_c": ("mouthShrugLower", 0.5), "mouth_oh_c": ("mouthFunnel", 0.5),
    "mouth_oo_c": ("mouthPucker", 0.8),
    "mouth_press_": ("mouthPress", 1.0), "mouth_pucker_": ("mouthPucker", 0.5),
    "mouth_sideways_l": ("mouthLeft", 1.0), "mouth_sideways_r": ("mouthRight", 1.0),
    "mouth_suck_dl": ("mouthRollLower", 0.5), "mouth_suck_dr": ("mouthRollLower", 0.5),
    "mouth_suck_ul": ("mouthRollUpper", 0.5), "mouth_suck_ur": ("mouthRollUpper", 0.5),
    "nose_wrinkle_": ("noseSneer", 1.0),
}  # fmt: skip
_SIDES = {"l": "Left", "r": "Right"}


def facegood_motion(
    weights: np.ndarray, names: list[str], channels: list[str], fps: float
) -> Motion:
    """FACEGOOD's rig channels [T, 116] by name → a Motion on the head's channels, at the same
    rate."""
    out, jaw = np.zeros((len(weights), len(channels))), np.zeros((len(weights), 3))
    for name, value in zip(names, np.asarray(weights, np.float64).T):
        if name == "mouth_stretch_c":
            jaw[:, 0] += FACEGOOD_JAW_RADIANS * value
        elif name in ("jaw_sideways_l", "jaw_sideways_r"):
            jaw[:, 1] += 0.12 * value * (1 if name.endswith("l") else -1)
        else:
            target, gain = FACEGOOD.get(name) or FACEGOOD.get(name[:-1], ("", 0.0))
            # else ours has one channel for both sides
            if name not in FACEGOOD and target not in channels:
                target += _SIDES.get(name[-1], "")
            if target in channels:
                out[:, channels.index(target)] += gain * value
    return Motion(np.clip(out, 0, 1.2).astype(np.float32), jaw.astype(np.float32), fps=fps)


def convert_facegood(source: Path, out: Path, channels: list[str]) -> list[Path]:
    """Every recording (`.npz` with weights, channels, fps; sound beside) of FACEGOOD's set →
    tracked sequences in `out`."""
    written = []
    for path in sorted(Path(source).glob("*.npz")):
        data = load_arrays(path)
        names = [str(n) for n in data.get("channels", ())]
        if "mouth_stretch_c" not in names:
            raise BadTracking(
                f"{path.name} is no recording of FACEGOOD's rig: it has no mouth_stretch_c. "
                f"Choose that data set's folder."
            )
        motion = facegood_motion(
            numbers_of(path, data, "weights", len(names), None), names, channels, float(data["fps"])
        )
        write_tracked(out / path.name, motion, channels, speaker="facegood")
        soundfile.write(
            out / f"{path.stem}.wav", read_recording(sound_beside(path)), RATE, subtype="PCM_16"
        )
        written.append(out / path.name)
    if not written:
        raise BadTracking(
            f"There are no recordings (.npz) in {Path(source).name}. Choose the folder of "
            f"FACEGOOD's set."
        )
    return written
