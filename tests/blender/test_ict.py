# SPDX-License-Identifier: GPL-3.0-or-later
"""A real character, ICT-FaceKit's, under every naming convention, and a folder of its own OBJ
files."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from characters import add_mesh, seen_points
from performances import show_take
from thunder.scene.animation import keying, reading
from thunder.scene.heads import character, head, rna_paths
from thunder.thunder_core import progress, types
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face import conventions, mapping
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


def channel_offsets(shapes):
    """What each of our channels is on the measured head: {channel: offsets}."""
    result = conventions.find(tuple(shapes))
    assert result.convention.name == "ict_facekit"
    return {
        channel: sum(weight * shapes[name] for name, weight in parts.items())
        for channel, parts in result.shapes.items()
    }


def renamed(convention, offsets):
    """The head's shapes as a convention would have them: {name: offsets}, so that equal sides give
    equal movements."""
    parts = {}
    for channel, alternatives in convention.keys.items():
        for name, weight in alternatives[0].items() if channel in offsets else ():
            parts.setdefault(name, []).append((offsets[channel] / len(alternatives[0]), weight))
    return {
        name: sum(offset for offset, _ in each) / sum(weight for _, weight in each)
        for name, each in parts.items()
    }


CONVENTIONS = (
    "arkit",
    "ict_facekit",
    "faceit",
    "ready_player_me",
    "mpfb",
    "reallusion_cc3",
    "reallusion_cc3_explus",
    "reallusion_cc4",
    "metahuman",
    "vrm",
)
PREFIXES = {"metahuman": "head_lod0_mesh__", "vrm": "Face.M_F00_000_00_", "arkit": "blendShape1."}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_real_face_moves_alike_under_every_convention(blender, ict, name):
    """Keys, curves, evaluation: the same vertices as the sum of the measured shapes, under whatever
    names."""
    points, shapes, _ = ict
    offsets = channel_offsets(shapes)
    convention = next(c for c in conventions.conventions() if c.name == name)
    points, offsets = points * 0.01, {channel: offset * 0.01 for channel, offset in offsets.items()}
    shapes, prefix = renamed(convention, offsets), PREFIXES.get(name, "")
    face = add_mesh(blender, "Face", points.tolist(), [prefix + key for key in shapes])
    for block, offset in zip(face.data.shape_keys.key_blocks[1:], shapes.values()):
        block.data.foreach_set("co", (points + offset).astype(np.float32).ravel())
    for mark in convention.marks:  # what tells it from its neighbours lies there too
        if mark not in shapes and prefix + mark not in face.data.shape_keys.key_blocks:
            face.shape_key_add(name=mark.replace("*", "x"), from_mix=False).value = 0.0
    scene = blender.context.scene
    rig = head.find(scene)
    assert character.plan_of(face).convention == name
    names = head.channel_names()
    g = np.random.default_rng(4)
    expression, jaw = np.zeros((6, len(names)), np.float32), np.zeros((6, 3), np.float32)
    jaw[:, 0] = g.uniform(0, 0.3, 6)
    plan = character.plan_of(face)
    if "mouthClose" in convention.keys:
        named = convention.keys["mouthClose"][0].values()
        close = sum(rule.weight for rule in plan.rules if rule.source == "mouthClose") / sum(named)
        assert 0.75 < close < 0.9, "its mouthClose takes back more than its jawOpen opens"
        less = sum(
            rule.weight
            for rule in plan.rules
            if rule.source == "mouthFunnel"
            and rule.target
            in [other.target for other in plan.rules if other.source == "mouthClose"]
        ) / sum(named)
        assert 0.05 < less < 0.25, "its mouthFunnel parts the lips more than it rounds them"
        offsets["mouthFunnel"] = offsets["mouthFunnel"] + less * offsets["mouthClose"]
        offsets["mouthClose"] = close * offsets["mouthClose"]
    there = [channel for channel in convention.keys if channel in offsets and channel in names]
    # the jaw parts the lips in its place, and is taken back on f and v
    if "mouthRollLower" in there and "mouthUpperUpLeft" not in there:
        back = sum(
            rule.weight
            for rule in plan.rules
            if rule.source == "mouthRollLower" and rule.weight < 0
        )
        more = sum(
            rule.weight
            for rule in plan.rules
            if rule.source == "mouthRollLower" and rule.weight > 0
        )
        assert -0.2 < back < -0.1 and 1.0 < more < 1.2
        offsets["mouthRollLower"] = more * offsets["mouthRollLower"] + back * offsets["jawOpen"]
    for channel in there:
        if not channel.endswith("Right"):
            expression[:, names.index(channel)] = g.uniform(0, 0.8, 6)
            other = channel[:-4] + "Right"
            if channel.endswith("Left") and other in names:
                expression[:, names.index(other)] = expression[:, names.index(channel)]
    motion = types.Motion(expression, jaw)
    made = keying.Performance(
        motion, names, jaw[:, 0] * 100, np.full(6, 50.0), 1, 80.0, {"seed": 1}
    )
    scene.render.fps = 25
    clock = timing.Clock.of(scene, 1.0)
    show_take((scene, rig), made)
    for frame in (0, 3, 5):
        scene.frame_set(frame + 1)
        expected = points + jaw[frame, 0] / 0.3 * offsets["jawOpen"]
        for channel in there:
            expected = expected + expression[frame, names.index(channel)] * offsets[channel]
        # metres; keys are rounded to 1/4096
        assert np.abs(seen_points(blender, face) - expected).max() < 1e-5
    back = progress.result(reading.read(rig, names, clock, 6 / 25))
    assert np.abs(back.jaw - jaw).max() < 1e-3
    driven = [channel for channel in there if channel in rig.channels]
    assert len(driven) == len(there)
    for channel in driven:
        assert (
            np.abs(
                back.expression[:, names.index(channel)] - expression[:, names.index(channel)]
            ).max()
            < 0.02
        ), channel


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
    scene = blender.context.scene
    rig = head.find(scene)
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
    scene = blender.context.scene
    rig = head.find(scene)
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
    back = rig.driver.read(rig.driver.drive(motion, names), names)
    assert np.abs(back.eyes - eyes).max() < 1e-5


def test_a_folder_that_is_none_is_refused_and_nothing_is_added(blender, ict, folder, tmp_path):
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
