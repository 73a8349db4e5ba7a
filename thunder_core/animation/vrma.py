# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a performance as VRM animation (.vrma): a glTF whose nodes are the bones, expressions and
gaze of any VRM avatar; numpy only."""

import os
from collections.abc import Sequence

import numpy as np

from ..face.moving import driving
from ..face.reading import conventions
from ..rotation import rotvec_to_quaternion
from ..types import Motion
from . import glb

EXTENSION = "VRMC_vrm_animation"
VOWELS = ("aa", "ih", "ou", "ee", "oh")
# VRM's required bones and a jaw in its T-pose, {name: (parent, metres from it)}
_BONES = {
    "hips": ("", (0.0, 1.0, 0.0)),
    "spine": ("hips", (0.0, 0.1, 0.0)),
    "head": ("spine", (0.0, 0.5, 0.0)),
    "jaw": ("head", (0.0, 0.02, 0.01)),
    **{
        side + bone: (parent if parent in ("hips", "spine") else side + parent, (sign * x, y, 0.0))
        for side, sign in (("left", 1.0), ("right", -1.0))
        for bone, parent, x, y in (
            ("UpperLeg", "hips", 0.1, -0.05),
            ("LowerLeg", "UpperLeg", 0.0, -0.4),
            ("Foot", "LowerLeg", 0.0, -0.4),
            ("UpperArm", "spine", 0.2, 0.4),
            ("LowerArm", "UpperArm", 0.25, 0.0),
            ("Hand", "LowerArm", 0.25, 0.0),
        )
    },
}
_FLOAT = 5126


def expressions(motion: Motion, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """VRM's preset expressions of a motion, {name: [T] 0 … 1}.

    `blink` is what both eyes do, `blinkLeft` and `blinkRight` the rest. The vowels together are
    never more than 1, since avatars add their shapes.
    """
    given = driving.sources(motion, channels)
    still = np.zeros(motion.frames)
    (vrm,) = (each for each in conventions.conventions() if each.name == "vrm")
    values = {name: still.copy() for name in VOWELS}
    for channel, alternatives in vrm.keys.items():
        for shape, weight in (pair for each in alternatives for pair in each.items()):
            if shape in values:
                values[shape] += weight * given.get(channel, still)
    values["aa"] -= given.get("mouthClose", still)  # no preset shuts lips over an open jaw
    values = {name: np.clip(value, 0.0, 1.0) for name, value in values.items()}
    total = np.maximum(sum(values.values()), 1.0)
    values = {name: value / total for name, value in values.items()}
    lids = [np.clip(given.get(f"eyeBlink{side}", still), 0.0, 1.0) for side in ("Left", "Right")]
    both = np.minimum(*lids)
    return values | {"blink": both, "blinkLeft": lids[0] - both, "blinkRight": lids[1] - both}


def _below(name: str) -> list[str]:
    """The bones that hang on a node."""
    return [bone for bone, (parent, _) in _BONES.items() if parent == name]


def write(
    path: str | os.PathLike,
    motion: Motion,
    channels: Sequence[str],
    start: float = 0.0,
    is_held: bool = False,
) -> None:
    """Write a motion of any rate. start: time of its first frame, seconds, not negative.  is_held:
    whether each frame is held until the next."""
    weights = expressions(motion, channels)
    head, eyes = motion.turns
    names = [*_BONES, *weights, "lookAt"]
    nodes = [
        {"name": name}
        | ({"translation": list(_BONES[name][1])} if name in _BONES else {})
        | ({"children": below} if (below := [names.index(c) for c in _below(name)]) else {})
        for name in names
    ]
    times = (start + np.arange(motion.frames) / motion.fps).astype("<f4")
    moved = {  # (node, path): values, in VRM's axes, which are the head's
        (name, "rotation"): np.roll(rotvec_to_quaternion(turn), -1, axis=1)
        for name, turn in (("head", head), ("jaw", motion.jaw), ("lookAt", eyes))
    } | {(name, "translation"): value[:, None] * [1.0, 0, 0] for name, value in weights.items()}
    arrays = [times, *(np.ascontiguousarray(value, "<f4") for value in moved.values())]
    offsets = np.cumsum([0, *(array.nbytes for array in arrays)]).tolist()
    preset = {name: {"node": names.index(name)} for name in weights}
    bones = {name: {"node": names.index(name)} for name in _BONES}
    look = {"node": names.index("lookAt"), "offsetFromHeadBone": [0.0, 0.06, 0.0]}
    document = {
        "asset": {"version": "2.0", "generator": "THUNDER for Blender"},
        "extensionsUsed": [EXTENSION],
        "extensions": {
            EXTENSION: {
                "specVersion": "1.0",
                "humanoid": {"humanBones": bones},
                "expressions": {"preset": preset},
                "lookAt": look,
            }
        },
        "scene": 0,
        "scenes": [{"nodes": [0, *range(len(_BONES), len(names))]}],
        "nodes": nodes,
        "animations": [
            {
                "name": "Performance",
                "samplers": [
                    {"input": 0, "output": n, "interpolation": "STEP" if is_held else "LINEAR"}
                    for n in range(1, len(arrays))
                ],
                "channels": [
                    {"sampler": n, "target": {"node": names.index(name), "path": path}}
                    for n, (name, path) in enumerate(moved)
                ],
            }
        ],
        "accessors": [
            {
                "bufferView": n,
                "componentType": _FLOAT,
                "count": motion.frames,
                "type": {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[array.size // motion.frames],
                **({} if n else {"min": [float(times[0])], "max": [float(times[-1])]}),
            }
            for n, array in enumerate(arrays)
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes}
            for offset, array in zip(offsets, arrays)
        ],
        "buffers": [{"byteLength": offsets[-1]}],
    }
    glb.write(path, document, b"".join(array.tobytes() for array in arrays))
