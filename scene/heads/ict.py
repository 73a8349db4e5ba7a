# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a realistic head from a folder of ICT-FaceKit (free to download): its OBJ files as a
character with eyes that turn."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face import obj_mesh
from ...thunder_core.filters import smoothstep
from . import build, materials

NEUTRAL = "generic_neutral_mesh.obj"
INSIDE = "FaceXModel"  # folder of the files in the published repository
METRES = 0.01  # the files are in centimetres
_IDENTITY = "identity"  # prefix of the hundred identity shapes, which are not expressions

# Shells for a game engine's eye shader, which would cover the eyes elsewhere, and strips for lash
# textures, which without the textures are black bars.
_SHELLS = ("lacrimalfluid", "eyeblend", "eyeocclusion", "eyelashes")
_EYES = {"eye_left": ("scleraleft", "irisleft"), "eye_right": ("scleraright", "irisright")}
# For an eye of 24 mm, an iris of 11.7 and a pupil of 4: cosines of the angles from its axis.
_LIMBUS, _PUPIL = 0.873, 0.986
_COLOURS = {
    "face": (0.55, 0.33, 0.25),
    "backhead": (0.55, 0.33, 0.25),
    "gumstongue": (0.45, 0.12, 0.12),
    "teeth": (0.8, 0.76, 0.68),
    "sclera": (0.7, 0.68, 0.65),
    "iris": (0.12, 0.07, 0.04),
    "pupil": (0.005, 0.005, 0.005),
    "eyewhite": (0.7, 0.68, 0.65),
}

# Positions on the published mesh, centimetres in its axes: the neck's pivot, and the heights
# between which it bends.
_NECK, _NECK_LOW, _NECK_HIGH = (0.0, -8.5, 1.0), -15.0, -9.0


def folder_of(path: str) -> Path:
    """The folder with the OBJ files, given itself or the repository above it. Raises BadHead if
    they are not there."""
    chosen = Path(bpy.path.abspath(path))
    for folder in (chosen, chosen / INSIDE):
        if (folder / NEUTRAL).is_file():
            return folder
    raise BadHead(
        f"There is no {NEUTRAL} in “{chosen.name}”: choose the folder FaceXModel of ICT-FaceKit"
    )


def add(
    path: str, collection: bpy.types.Collection, view_layer, location=(0.0, 0.0, 0.0)
) -> bpy.types.Object:
    """Add the head of an ICT-FaceKit folder: mesh with a shape key per expression, rig with neck
    and eyes; the mesh.

    Needs object mode. About a second. Raises BadHead, and then nothing was added.
    """
    folder = folder_of(path)
    mesh = obj_mesh.read(folder / NEUTRAL)
    files = [
        file
        for file in sorted(folder.glob("*.obj"))
        if file.name != NEUTRAL and not file.stem.startswith(_IDENTITY)
    ]
    if not files:
        raise BadHead(
            f"“{folder.name}” has no expressions next to {NEUTRAL}: choose the whole folder "
            f"FaceXModel"
        )
    kept, polygons, material = _without_shells(mesh)
    shapes = {}
    # numpy releases Python's lock while it computes
    with ThreadPoolExecutor(max_workers=8) as readers:
        vertices = list(readers.map(obj_mesh.read_vertices, files))
    for file, points in zip(files, vertices):
        if points.shape != mesh.vertices.shape:
            raise BadHead(
                f"{file.name} has {len(points)} vertices where {NEUTRAL} has "
                f"{len(mesh.vertices)}: download the folder again"
            )
        shapes[file.stem] = points[kept]
    rest = mesh.vertices[kept]
    eyes = {bone: _vertices_of(mesh, polygons, material, words) for bone, words in _EYES.items()}
    if not all(map(len, eyes.values())):
        raise BadHead(f"{NEUTRAL} has no eyes: download the folder again")
    origin = np.mean([rest[ids].mean(axis=0) for ids in eyes.values()], axis=0)
    names = list(mesh.material_names)
    polygons, material = _open_eyes(rest, polygons, material, names, eyes)
    head = _mesh(
        names,
        rest - origin,
        polygons,
        material,
        {name: points - rest for name, points in shapes.items()},
    )
    collection.objects.link(head)
    rig = bpy.data.objects.new("ICT Head Rig", bpy.data.armatures.new("ICT Head Rig"))
    collection.objects.link(rig)
    rig.location = location
    rig.data.display_type = "STICK"
    neck = np.array(_NECK) - origin
    places = {
        "root": neck - [0.0, 8.0, 0.0],
        "neck": neck,
        **{bone: rest[ids].mean(axis=0) - origin for bone, ids in eyes.items()},
    }
    places = {bone: _to_blender(place) for bone, place in places.items()}
    build.add_bones(rig, view_layer, places, {"neck": "root", **dict.fromkeys(eyes, "neck")})
    _weights(head, rest, eyes)
    build.deform(head, rig)
    build.make_active(head, view_layer)
    return head


def _to_blender(points: np.ndarray) -> np.ndarray:
    """From the files' axes (y up, z out of the face, centimetres) to Blender's (z up, face towards
    −y, metres)."""
    return build.flame_to_blender(points) * METRES


def _has_word(name: str, words) -> bool:
    plain = name.lower().replace("_", "")
    return any(word in plain for word in words)


def _without_shells(mesh: obj_mesh.ObjMesh):
    """(ids of the vertices that stay, polygons in new ids, material of each): the eyes' shells and
    lashes left out."""
    shells = [i for i, name in enumerate(mesh.material_names) if _has_word(name, _SHELLS)]
    stays = np.flatnonzero(~np.isin(mesh.material, shells)).tolist()
    used = np.zeros(len(mesh.vertices), bool)
    used[[v for i in stays for v in mesh.polygons[i]]] = True
    new = (np.cumsum(used) - 1).tolist()
    return (
        np.flatnonzero(used),
        [[new[v] for v in mesh.polygons[i]] for i in stays],
        mesh.material[stays],
    )


def _vertices_of(mesh, polygons, material, words) -> np.ndarray:
    """Ids of the vertices in faces of the materials that have one of the words in their name."""
    wanted = [i for i, name in enumerate(mesh.material_names) if _has_word(name, words)]
    return np.unique(
        [v for polygon, m in zip(polygons, material) if m in wanted for v in polygon]
    ).astype(int)


def _open_eyes(rest, polygons, material, names: list[str], eyes):
    """Polygons and materials of eyes that are seen without textures: the clear front of the outer
    ball is left out, on the inner one iris and pupil are painted. New materials are added to the
    names."""
    outer = [i for i, name in enumerate(names) if _has_word(name, ("sclera",))]
    inner = [i for i, name in enumerate(names) if _has_word(name, ("iris",))]
    white, pupil = len(names), len(names) + 1
    names += ["M_EyeWhite", "M_Pupil"]
    middles = np.zeros_like(rest)  # centre of the eye that a vertex belongs to
    for ids in eyes.values():
        middles[ids] = rest[ids].mean(axis=0)
    painted = np.array(material, np.int32)
    of_eyes = np.flatnonzero(np.isin(painted, outer + inner))
    sizes = np.array([len(polygons[i]) for i in of_eyes], int)
    starts = np.cumsum(sizes) - sizes
    corners = np.array([v for i in of_eyes for v in polygons[i]], int)
    spokes = np.add.reduceat(rest[corners], starts) / sizes[:, None] - middles[corners[starts]]
    front = spokes[:, 2] / np.maximum(np.linalg.norm(spokes, axis=1), 1e-9)
    ball = np.isin(painted[of_eyes], inner)
    painted[of_eyes[ball & (front > _PUPIL)]] = pupil
    painted[of_eyes[ball & (front <= _LIMBUS)]] = white
    left_out = set(of_eyes[~ball & (front > _LIMBUS)].tolist())
    stays = [i for i in range(len(polygons)) if i not in left_out]
    return [polygons[i] for i in stays], painted[stays]


def _mesh(names, rest, polygons, material, shapes) -> bpy.types.Object:
    """The head with a key per shape. shapes: how far each moves the vertices."""
    looks = [_material(name) for name in names]
    head = build.add_mesh("ICT Head", _to_blender(rest), polygons, looks, np.maximum(material, 0))
    build.add_keys(head, shapes, np.stack(list(shapes.values()), axis=2) * METRES, build.SLIDER)
    return head


def _material(name: str) -> bpy.types.Material:
    colour = next(
        (colour for word, colour in _COLOURS.items() if _has_word(name, (word,))), _COLOURS["face"]
    )
    is_wet = _has_word(name, ("sclera", "iris", "pupil", "eyewhite", "teeth"))
    return materials.material(
        f"ICT {name}", (*colour, 1.0), materials.Surface(roughness=0.2 if is_wet else 0.5)
    )


def _weights(head, rest: np.ndarray, eyes: dict[str, np.ndarray]) -> None:
    """The head turns with the neck, fading out down the throat; the eyes with their bones."""
    neck = np.round(
        smoothstep(np.clip((rest[:, 1] - _NECK_LOW) / (_NECK_HIGH - _NECK_LOW), 0.0, 1.0)), 2
    )
    root = 1.0 - neck
    for name, ids in eyes.items():
        head.vertex_groups.new(name=name).add(ids.tolist(), 1.0, "REPLACE")
        neck[ids] = root[ids] = 0.0
    build.add_weights(head, "neck", neck)
    build.add_weights(head, "root", root)
