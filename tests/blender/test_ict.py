# SPDX-License-Identifier: GPL-3.0-or-later
"""A real character, ICT-FaceKit's, under every naming convention, and a folder of its own OBJ
files."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from characters import seen_points
from thunder.scene.heads import character, head, rna_paths
from thunder.thunder_core import types
from thunder.thunder_core.face import mapping
from timing import keeps

pytestmark = [pytest.mark.data, pytest.mark.one_blender]

# Polygon ranges of the published mesh, as its README tells them, by the material that they have in
# the files.
MATERIALS = (
    (0, "M_Face"),
    (9230, "M_BackHead"),
    (14034, "M_GumsTongue"),
    (17006, "M_Teeth"),
    (21496, "M_ScleraLeft"),
    (22296, "M_IrisLeft"),
    (23094, "M_ScleraRight"),
    (23894, "M_IrisRight"),
    (24692, "M_LacrimalFluid"),
    (25018, "M_EyeBlend"),
    (25048, "M_EyeOcclusion"),
    (25304, "M_EyeLashes"),
)
SHELLS = slice(24591, 26719)
BALLS = {"eye_left": slice(21451, 23021), "eye_right": slice(23021, 24591)}
SOME = (
    "jawOpen",
    "mouthClose",
    "mouthPucker",
    "eyeBlink_L",
    "eyeBlink_R",
    "eyeLookOut_L",
    "eyeLookIn_R",
    "browInnerUp_L",
    "browInnerUp_R",
)


@pytest.fixture(scope="module")
def ict():
    """The measured head: vertices [V, 3] centimetres, shapes {name: offsets}, faces."""
    folder = os.environ.get("THUNDER_DATA")
    path = Path(folder or "") / "heads" / "ict_facekit" / "head.npz"
    if not folder or not path.is_file():
        pytest.skip("THUNDER_DATA names no folder with a measured head")
    with np.load(path) as archive:
        shapes = dict(zip(archive["names"].tolist(), archive["shapes"].astype(np.float64)))
        return archive["vertices"].astype(np.float64), shapes, archive["faces"]


@pytest.fixture(scope="module")
def folder(ict, tmp_path_factory):
    """A folder like the published one, with some of its expressions and one other identity."""
    points, shapes, faces = ict
    root = tmp_path_factory.mktemp("ICT-FaceKit") / "FaceXModel"
    root.mkdir()
    starts, lines = dict(MATERIALS), []
    for i, face in enumerate(faces):
        if i in starts:
            lines.append(f"usemtl {starts[i]}")
        lines.append("f " + " ".join(f"{v + 1}/{v + 1}" for v in face if v >= 0))
    tail = "vt 0.5 0.5\n" + "\n".join(lines) + "\n"

    def save(name, moved):
        text = "\n".join("v %.15f %.15f %.15f" % tuple(point) for point in moved)
        (root / f"{name}.obj").write_text(f"mtllib ICTFaceModelMaterial.mtl\n{text}\n{tail}")

    save("generic_neutral_mesh", points)
    save("identity000", points * 1.01)
    for name in SOME:
        save(name, points + shapes[name])
    return root.parent


def to_blender(points):
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1) * 0.01


def test_a_folder_of_obj_files_becomes_a_character(blender, ict, folder):
    points, shapes, _ = ict
    start = time.thread_time()  # not the clock: on a busy machine that counts what others do
    assert blender.ops.thunder.add_ict_head(directory=str(folder)) == {"FINISHED"}
    keeps(1.0, time.thread_time() - start, "a head from a folder of ICT-FaceKit")
    rig = head.find(blender.context.scene)
    # no identities among the expressions
    assert {block.name for block in rig.keys.key_blocks[1:]} == set(SOME)
    kept = np.setdiff1d(np.arange(len(points)), np.arange(len(points))[SHELLS])
    assert len(rig.mesh.data.vertices) == len(kept)
    origin = np.mean([points[ball].mean(axis=0) for ball in BALLS.values()], axis=0)
    rig.keys.key_blocks["jawOpen"].value = 0.7
    expected = to_blender(points[kept] - origin + 0.7 * shapes["jawOpen"][kept])
    assert np.abs(seen_points(blender, rig.mesh) - expected).max() < 2e-6
    rig.keys.key_blocks["jawOpen"].value = 0.0
    assert character.plan_of(rig.mesh).convention == "ict_facekit"
    assert {material.name for material in rig.mesh.data.materials} >= {"ICT M_Face", "ICT M_Teeth"}


def test_its_eyes_turn_and_its_lids_follow(blender, ict, folder):
    points, shapes, _ = ict
    blender.ops.thunder.add_ict_head(directory=str(folder / "FaceXModel"))
    rig = head.find(blender.context.scene)
    names = head.channel_names()
    eyes = np.array([[0.0, 0.3, 0.0]] * 2, np.float32)  # to the head's left
    motion = types.Motion(
        np.zeros((2, len(names)), np.float32), np.zeros((2, 3), np.float32), None, eyes
    )
    for track, value in zip(rig.driver.tracks, rig.driver.drive(motion, names)[0]):
        rna_paths.put(rig.targets[track.block], track.path, track.index, value)
    moved = seen_points(blender, rig.mesh)
    rest = to_blender(
        points - np.mean([points[ball].mean(axis=0) for ball in BALLS.values()], axis=0)
    )
    for ball in BALLS.values():
        front = np.argmin(rest[ball, 1])
        # an eye's radius
        assert moved[ball][front, 0] - rest[ball][front, 0] == pytest.approx(0.3 * 0.012, abs=2e-3)
    assert rig.keys.key_blocks["eyeLookOut_L"].value == pytest.approx(
        0.3 / mapping.EYE_SIDE_RADIANS, abs=1e-5
    )
    assert np.abs(rig.driver.read(rig.driver.drive(motion, names), names).eyes - eyes).max() < 1e-5


def test_a_folder_that_is_none_is_refused_and_nothing_is_added(blender, tmp_path):
    def refused(path, said):
        before = len(blender.data.objects), len(blender.data.meshes), len(blender.data.armatures)
        with pytest.raises(RuntimeError, match=said):
            blender.ops.thunder.add_ict_head(directory=str(path))
        assert (
            len(blender.data.objects),
            len(blender.data.meshes),
            len(blender.data.armatures),
        ) == before

    refused(tmp_path, "no generic_neutral_mesh.obj")
    neutral = tmp_path / "generic_neutral_mesh.obj"
    neutral.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    refused(tmp_path, "no expressions")
    shape = tmp_path / "jawOpen.obj"
    for text, said in (
        ("v 0 0 0\nv 1 0 0\n", "has 2 vertices"),
        ("v 0 0 0\nv 1 0 x\nv 0 1 0\n", "not a number"),
        ("", "is empty"),
        ("v 0 0\nv 1 0\nv 0 1\n", "not three numbers"),
        ("v 0 0 0\nv 1 0 nan\nv 0 1 0\n", "not three numbers"),
    ):
        shape.write_text(text)
        refused(tmp_path, said)
    shape.write_text("v 0 0 0\nv 1 0 0\nv 0 -1 0\n")
    neutral.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n")
    refused(tmp_path, "do not exist")
