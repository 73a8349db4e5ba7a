# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a VRM avatar, of VRM 0.x or 1.0: a face of a few points whose expressions are VRM's own
mouths and blinks."""

import json
import struct

import numpy as np

from thunder_core.animation.vrma import _BONES

POINTS = {
    "upper": (0.0, 1.4003, 0.1), "lower": (0.0, 1.3997, 0.1), "left": (0.03, 1.4, 0.09),
    "right": (-0.03, 1.4, 0.09), "left lid": (0.03, 1.47, 0.09), "right lid": (-0.03, 1.47, 0.09),
}  # fmt: skip
# what each expression moves, metres: A opens, I and U hardly part the lips
MOVES = {
    "aa": {"lower": (0, -0.022, 0), "upper": (0, 0.002, 0)},
    "ih": {"lower": (0, -0.003, 0), "left": (0.008, 0, 0), "right": (-0.008, 0, 0)},
    "ou": {"lower": (0, -0.002, 0.006), "left": (-0.012, 0, 0), "right": (0.012, 0, 0)},
    "ee": {"lower": (0, -0.009, 0), "left": (0.005, 0, 0), "right": (-0.005, 0, 0)},
    "oh": {"lower": (0, -0.011, 0.004), "left": (-0.009, 0, 0), "right": (0.009, 0, 0)},
    "blink": {"left lid": (0, -0.012, 0), "right lid": (0, -0.012, 0)},
    "blinkLeft": {"left lid": (0, -0.012, 0)},
    "blinkRight": {"right lid": (0, -0.012, 0)},
}
_OLD = {
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o",
    "blink": "blink", "blinkLeft": "blink_l", "blinkRight": "blink_r",
}  # fmt: skip


def write(path, is_old=False):
    """Write the avatar. is_old: as of VRM 0.x."""
    names, arrays = list(POINTS), [np.array(list(POINTS.values()), "<f4")]
    for moves in MOVES.values():
        arrays.append(np.array([moves.get(name, (0, 0, 0)) for name in names], "<f4"))
    arrays.append(np.array([0, 2, 1, 0, 1, 3, 2, 4, 5], "<u2"))
    offsets = np.cumsum([0, *(-(-a.nbytes // 4) * 4 for a in arrays)]).tolist()
    bones, face = list(_BONES), len(_BONES)
    nodes = [
        {
            "name": name,
            "translation": list(at),
            "children": [bones.index(b) for b in bones if _BONES[b][0] == name],
        }
        for name, (_, at) in _BONES.items()
    ]
    nodes = [{key: value for key, value in node.items() if value} for node in nodes]
    if is_old:
        extension = {
            "specVersion": "0.0",
            "meta": {"title": "Made", "version": "1", "author": "Made"},
            "humanoid": {"humanBones": [{"bone": n, "node": i} for i, n in enumerate(bones)]},
            "blendShapeMaster": {
                "blendShapeGroups": [
                    {
                        "name": _OLD[name].title(),
                        "presetName": _OLD[name],
                        "binds": [{"mesh": 0, "index": index, "weight": 100}],
                    }
                    for index, name in enumerate(MOVES)
                ]
            },
            "firstPerson": {},
            "secondaryAnimation": {},
            "materialProperties": [],
        }
    else:
        extension = {
            "specVersion": "1.0",
            "meta": {
                "name": "Made", "version": "1", "authors": ["Made"],
                "licenseUrl": "https://vrm.dev/licenses/1.0/",
            },
            "humanoid": {"humanBones": {name: {"node": i} for i, name in enumerate(bones)}},
            "expressions": {
                "preset": {
                    name: {"morphTargetBinds": [{"node": face, "index": index, "weight": 1.0}]}
                    for index, name in enumerate(MOVES)
                }
            },
        }  # fmt: skip
    kind = "VRM" if is_old else "VRMC_vrm"
    document = {
        "asset": {"version": "2.0"},
        "extensionsUsed": [kind],
        "extensions": {kind: extension},
        "scene": 0,
        "scenes": [{"nodes": [0, face]}],
        "nodes": [*nodes, {"name": "Face", "mesh": 0}],
        "materials": [{}],
        "meshes": [
            {
                "primitives": [
                    {
                        "attributes": {"POSITION": 0},
                        "indices": len(arrays) - 1,
                        "material": 0,
                        "targets": [{"POSITION": n} for n in range(1, len(arrays) - 1)],
                    }
                ]
            }
        ],
        "accessors": [
            {
                "bufferView": n,
                "componentType": 5126 if array.ndim > 1 else 5123,
                "count": len(array),
                "type": "VEC3" if array.ndim > 1 else "SCALAR",
                **(
                    {"min": array.min(0).tolist(), "max": array.max(0).tolist()}
                    if array.ndim > 1
                    else {}
                ),
            }
            for n, array in enumerate(arrays)
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes}
            for offset, array in zip(offsets, arrays)
        ],
        "buffers": [{"byteLength": offsets[-1]}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    data = b"".join(array.tobytes() + bytes(-array.nbytes % 4) for array in arrays)
    head = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(data))
    path.write_bytes(
        head
        + struct.pack("<I4s", len(text), b"JSON") + text
        + struct.pack("<I4s", len(data), b"BIN\0") + data
    )  # fmt: skip
