# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that the whole add-on uses: a FLAME-format asset, ours or a FLAME file of the user;
numpy only. FLAME's skinning: in numpy in `points.py`, in torch in `research/train/flame.py`."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..arrays import read_npz, Unreadable
from ..errors import BadHead
from ..files import not_a_file
from ..shipped import WEIGHTS
from .unpickle import unpickle

HEAD_FILE = WEIGHTS / "head.npz"
JOINT_NAMES = ("root", "neck", "jaw", "eye_left", "eye_right")
NECK, JAW, EYE_LEFT, EYE_RIGHT = 1, 2, 3, 4
LIPS, TONGUE = 0, 3  # values of Head.mouth_parts
_PARENTS = [-1, 0, 1, 1, 1]  # of the joints
FLAME_SHAPE_DIRECTIONS = 300  # FLAME files keep identity directions first, then expression
# plausible distance between the eyes, metres, from a newborn to a troll
_EYES_APART = (0.035, 0.12)
# Parts of a FLAME file and their linear colours; an iris is 11.7 mm wide on a ball of 24, a pupil
# 4.
_FLAME_LOOK = {
    "Skin": (0.72, 0.5, 0.4, 1.0),
    "Eye White": (0.7, 0.68, 0.65, 1.0),
    "Iris": (0.1, 0.19, 0.21, 1.0),
    "Pupil": (0.004, 0.004, 0.004, 1.0),
}
_IRIS_COSINE, _PUPIL_COSINE = 0.873, 0.986

_LANDMARKS = (
    "inner_lip_upper_mid",
    "inner_lip_lower_mid",
    "mouth_corner_left",
    "mouth_corner_right",
)


@dataclass(frozen=True)
class Hair:
    """Hair of a head, a separate mesh that follows the neck's joint and has no keys.

    vertices [H, 3] f32 metres in the head's axes · polygons [P, 4], −1 pads a triangle ·
    polygon_material [P] · material_names, material_colors [M, 4] linear RGBA · tints [H, 3] f32:
    factors of the material's colour.
    """

    vertices: np.ndarray
    polygons: np.ndarray
    polygon_material: np.ndarray
    material_names: tuple[str, ...]
    material_colors: np.ndarray
    tints: np.ndarray


@dataclass(frozen=True)
class Head:
    """A head in FLAME's layout; metres; x to the head's left, y up, z out of the face; mouth closed
    at rest.

    v_template [V, 3] f32 · shapedirs [V, 3, n] f32, the expression directions · posedirs [V, 3, 36]
    f32, pose correctives · J_regressor [5, V] f32 · weights [V, 5] f32, skinning, rows sum to 1 ·
    kintree_table [2, 5] (row 0: parents; −1 for the root) · f [F, 3] triangles · polygons [P, 4]
    quads, −1 pads a triangle · polygon_material [P] · material_names, material_colors [M, 4] linear
    RGBA · expression_names [n]. mouth_vertices [n_m] ids that mesh-to-speech reads, mouth_parts
    [n_m] (0 lips and skin, 1 upper teeth, 2 lower teeth, 3 tongue) · inner_lip_upper_mid,
    inner_lip_lower_mid, mouth_corner_left, mouth_corner_right: vertex ids, −1 where unknown ·
    region_names, regions [R, V] f32, sum 1 per vertex; R = 0 where
    unknown · identity [V, 3, m] f32, the directions in which people differ ·
    corrective_pairs, correctives [V, 3, c] f32: shapes that come in with the product of two keys'
    weights. A channel's weight is its value within 0 … 1, a joint's the sine of its turn about x.
    They move nothing where the lips meet · tints [V, 3] f32: factors of the material's colour; no
    rows where it is even · hair: None if there is none, as in a FLAME file. Joints in FLAME's
    order: root, neck, jaw, left eye, right eye.
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    kintree_table: np.ndarray
    f: np.ndarray
    polygons: np.ndarray
    polygon_material: np.ndarray
    material_names: tuple[str, ...]
    material_colors: np.ndarray
    expression_names: tuple[str, ...]
    mouth_vertices: np.ndarray
    mouth_parts: np.ndarray
    inner_lip_upper_mid: int
    inner_lip_lower_mid: int
    mouth_corner_left: int
    mouth_corner_right: int
    region_names: tuple[str, ...]
    regions: np.ndarray
    identity: np.ndarray
    corrective_pairs: tuple[tuple[str, str], ...] = ()
    correctives: np.ndarray = field(default_factory=lambda: np.zeros((0, 3, 0), np.float32))
    tints: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    hair: Hair | None = None

    @property
    def channels(self) -> int:
        """Number n of expression channels."""
        return self.shapedirs.shape[2]

    @property
    def parents(self) -> np.ndarray:
        """Parent joint of every joint, [5], −1 for the root."""
        return self.kintree_table[0]

    @property
    def joints(self) -> np.ndarray:
        """Rest positions of the joints, [5, 3] metres."""
        return self.J_regressor.astype(np.float64) @ self.v_template.astype(np.float64)

    def channel(self, name: str) -> int:
        """Index of an expression channel; ValueError if this head has none of that name."""
        return self.expression_names.index(name)


def load_head(path: str | Path | None = None) -> Head:
    """The bundled head, or the head in a file of ours (.npz) or of FLAME (.pkl, .npz).

    No code in the file is ever run. Raises BadHead with a sentence if the file is not a head.
    """
    if path is not None:
        return read_head(Path(path))
    try:
        return read_head(HEAD_FILE)
    except BadHead as error:
        raise BadHead(
            f"The extension's own head cannot be used ({error.reason}): reinstall the extension"
        ) from error


def read_head(path: Path) -> Head:
    """The head in a file; its errors advise choosing another file, even for the bundled head.
    Raises BadHead."""
    if path.exists() and (problem := not_a_file(path)):
        raise BadHead(f"{problem}: choose a file that is a head")
    if not path.is_file():
        raise BadHead(f"There is no head file at {path}: choose a file that exists")
    data = unpickle(path) if path.suffix.lower() == ".pkl" else _read_npz(path)
    is_ours = "expression_names" in data and "mouth_vertices" in data
    try:
        head = _ours(path, data) if is_ours else _flame(path, data)
        _check(path, head)
        return head if is_ours else replace(head, polygon_material=_eyes_of_flame(path, head))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise BadHead(
            f"The arrays of {path.name} do not fit each other ({str(error)[:60]}): choose another "
            f"file"
        ) from error


def _read_npz(path):
    try:
        return read_npz(path)
    except Unreadable as reason:
        raise BadHead(
            f"{path.name} {reason}, so it is not read as a head: choose an .npz of plain arrays "
            f"or a FLAME .pkl"
        ) from None
    except OSError as problem:
        raise BadHead(
            f"{path.name} cannot be opened ({problem.strerror}): choose a file you may read"
        ) from None


def _require_array(path, data, name):
    """An array of numbers that a file must have."""
    if data.get(name) is None:
        raise BadHead(
            f"{path.name} lacks {name}, which every FLAME-format head has: choose another file"
        )
    value = data[name]
    if value.dtype.kind not in "biuf":
        raise BadHead(f"{name} in {path.name} is not an array of numbers: choose another file")
    return value


def _array(path, data, name):
    """Numbers of a file as float32."""
    with np.errstate(over="ignore"):  # too large values become infinite and are refused
        value = np.ascontiguousarray(_require_array(path, data, name), dtype=np.float32)
    if not np.isfinite(value).all():
        raise BadHead(
            f"{name} in {path.name} contains NaN or infinite numbers: choose another file"
        )
    return value


def _integers(path, data, name):
    """Whole numbers of a file, such as the vertices of a face, as int32. Larger numbers would wrap
    round to others."""
    value = _require_array(path, data, name)
    with np.errstate(invalid="ignore"):
        whole = np.ascontiguousarray(value, dtype=np.int32)
    if not (whole == value).all():
        raise BadHead(
            f"{name} in {path.name} holds fractions or numbers that are too large where it must "
            f"name vertices: download the file again"
        )
    return whole


def _rig(path, data):
    """Fields of `Head` that every FLAME-format file has."""
    standard = {"kintree_table": np.array([_PARENTS, range(5)])}
    kintree = _require_array(path, standard | data, "kintree_table").astype(np.int64)
    return {
        name: _array(path, data, name)
        for name in ("v_template", "J_regressor", "weights", "posedirs")
    } | {
        # FLAME files store the root's missing parent as an unsigned −1
        "kintree_table": np.where((kintree >= 0) & (kintree <= 4), kintree, -1),
        "f": _integers(path, data, "f"),
    }


def _ours(path, data):
    """A head from a file of ours."""
    fields = _rig(path, data)
    fields |= {
        name: _array(path, data, name)
        for name in ("shapedirs", "material_colors", "regions", "correctives", "tints")
        if name in data
    }
    fields |= {
        name: _integers(path, data, name)
        for name in ("polygons", "polygon_material", "mouth_vertices", "mouth_parts")
    }
    fields |= {
        name: tuple(map(str, data[name]))
        for name in ("expression_names", "material_names", "region_names")
    }
    fields |= {name: _integers(path, data, name).item() for name in _LANDMARKS}
    pairs = tuple((str(a), str(b)) for a, b in data.get("corrective_pairs", ()))
    if "hair_vertices" in data:
        fields["hair"] = Hair(
            vertices=_array(path, data, "hair_vertices"),
            polygons=_integers(path, data, "hair_polygons"),
            polygon_material=_integers(path, data, "hair_polygon_material"),
            material_names=tuple(map(str, data["hair_material_names"])),
            material_colors=_array(path, data, "hair_material_colors"),
            tints=_array(path, data, "hair_tints"),
        )
    identity = np.zeros((len(fields["v_template"]), 3, 0), np.float32)
    return Head(**fields, identity=identity, corrective_pairs=pairs)


def _flame(path, data):
    """A head from a FLAME file."""
    fields = _rig(path, data)
    directions = _array(path, data, "shapedirs")
    shapedirs = np.ascontiguousarray(directions[:, :, FLAME_SHAPE_DIRECTIONS:])
    if not shapedirs.shape[2]:
        raise BadHead(
            f"{path.name} has no expression directions: FLAME keeps them after "
            f"{FLAME_SHAPE_DIRECTIONS} identity "
            "directions: choose the full FLAME model"
        )
    faces = fields["f"]
    return Head(
        **fields,
        shapedirs=shapedirs,
        polygons=np.concatenate([faces, np.full((len(faces), 1), -1, np.int32)], 1),
        polygon_material=np.zeros(len(faces), np.int32),
        material_names=tuple(_FLAME_LOOK),
        material_colors=np.array(list(_FLAME_LOOK.values()), np.float32),
        expression_names=tuple(f"expression{i + 1:03d}" for i in range(shapedirs.shape[2])),
        mouth_vertices=np.zeros(0, np.int32),
        mouth_parts=np.zeros(0, np.int32),
        **dict.fromkeys(_LANDMARKS, -1),  # type: ignore[arg-type]
        region_names=(),
        regions=np.zeros((0, len(fields["v_template"])), np.float32),
        identity=np.ascontiguousarray(directions[:, :, :FLAME_SHAPE_DIRECTIONS]),
    )


def _eyes_of_flame(path, head):
    """Material of every triangle of a FLAME head: skin, and on the eyeballs white, iris and pupil
    by the angle from ahead. Raises BadHead if its joints are not where a face has them."""
    joints = head.joints
    left, right = joints[EYE_LEFT], joints[EYE_RIGHT]
    apart = np.linalg.norm(left - right)
    if (
        not _EYES_APART[0] <= apart <= _EYES_APART[1]
        or left[0] - right[0] < 0.8 * apart
        or min(left[1], right[1]) < joints[JAW, 1]
        or min(left[2], right[2]) < joints[JAW, 2]
    ):
        raise BadHead(
            f"The joints of {path.name} do not lie as FLAME's do (in metres, left eye towards +x, "
            f"eyes above and before the jaw's hinge): choose a FLAME model, unchanged"
        )
    result = np.zeros(len(head.f), np.int32)
    middles = head.v_template.astype(np.float64)[head.f].mean(1)
    for joint in (EYE_LEFT, EYE_RIGHT):
        ball = (head.weights[head.f, joint] > 0.5).all(1)
        out = middles - joints[joint]
        ahead = out[:, 2] / np.maximum(np.linalg.norm(out, axis=1), 1e-12)
        result[ball] = 1 + (ahead > _IRIS_COSINE)[ball] + (ahead > _PUPIL_COSINE)[ball]
    return result


def _check(path, head):
    """Raise BadHead unless all shapes agree and faces and marks are vertices."""
    count = len(head.v_template)
    wanted = [
        ("v_template", head.v_template, (count, 3)),
        ("shapedirs", head.shapedirs, (count, 3, len(head.expression_names))),
        ("identity", head.identity, (count, 3, head.identity.shape[2])),
        ("posedirs", head.posedirs, (count, 3, 36)),
        ("J_regressor", head.J_regressor, (5, count)),
        ("weights", head.weights, (count, 5)),
        ("kintree_table", head.kintree_table, (2, 5)),
        ("f", head.f, (len(head.f), 3)),
        ("polygons", head.polygons, (len(head.polygons), 4)),
        ("polygon_material", head.polygon_material, (len(head.polygons),)),
        ("material_colors", head.material_colors, (len(head.material_names), 4)),
        ("mouth_parts", head.mouth_parts, (len(head.mouth_vertices),)),
        ("regions", head.regions, (len(head.region_names), count)),
    ]
    faces = [("f", head.f, count), ("polygons", head.polygons, count)]
    if head.corrective_pairs:
        wanted.append(("correctives", head.correctives, (count, 3, len(head.corrective_pairs))))
    if len(head.tints):
        wanted.append(("tints", head.tints, (count, 3)))
    if head.hair is not None:
        hair, size = head.hair, len(head.hair.vertices)
        wanted += [
            ("hair_vertices", hair.vertices, (size, 3)),
            ("hair_polygon_material", hair.polygon_material, (len(hair.polygons),)),
            ("hair_material_colors", hair.material_colors, (len(hair.material_names), 4)),
            ("hair_tints", hair.tints, (size, 3)),
        ]
        faces.append(("hair_polygons", hair.polygons, size))
    for name, value, shape in wanted:
        if value.shape != shape:
            raise BadHead(
                f"{name} in {path.name} has shape {value.shape} where {shape} is needed: "
                "choose a FLAME model with five joints (root, neck, jaw, eyes)"
            )
    marks = [*head.mouth_vertices, *(getattr(head, name) for name in _LANDMARKS)]
    if not len(head.f) or not -1 <= min(marks) <= max(marks) < count:
        raise BadHead(
            f"{path.name} has no mesh or marks vertices that do not exist: choose another file"
        )
    for name, corners, vertices in faces:
        ordered = np.sort(corners, axis=1)  # −1 in the fourth column pads a triangle
        if (
            corners[:, :3].min() < 0
            or corners.max() >= vertices
            or (ordered[:, 1:] == ordered[:, :-1]).any()
        ):
            raise BadHead(
                f"{name} in {path.name} has faces of vertices that do not exist, or of fewer than "
                f"three: download the file again"
            )
    if head.parents.tolist() != _PARENTS:
        raise BadHead(
            f"The joints of {path.name} are not FLAME's (root, neck, jaw, two eyes): choose a "
            f"FLAME model"
        )
    if np.abs(head.weights.sum(1) - 1).max() > 1e-3:
        raise BadHead(
            f"The skinning weights of {path.name} do not sum to 1: download the file again"
        )
