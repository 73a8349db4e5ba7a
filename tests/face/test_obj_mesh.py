# SPDX-License-Identifier: GPL-3.0-or-later
"""OBJ files as they come: whatever is in them, either a mesh or one sentence."""

import numpy as np
import pytest

from thunder_core.errors import BadHead
from thunder_core.face import obj_mesh

QUAD = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


def read(tmp_path, text):
    path = tmp_path / "face.obj"
    path.write_text(text)
    return obj_mesh.read(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (QUAD + "f \n", "fewer than three"),
        (QUAD + "f 1 2\n", "fewer than three"),
        (QUAD + "f 1 2 2\n", "fewer than three"),
        (QUAD + "f 1 2 3 1\n", "one corner twice"),
        (QUAD + "f 1 2 5\n", "do not exist"),
        (QUAD + "f 0 1 2\n", "do not exist"),
        (QUAD + "f -1 -2 -5\n", "do not exist"),
        (QUAD + f"f 1 2 {10**30}\n", "do not exist"),
        (QUAD + f"f 1 2 {'9' * 5000}\n", "not a list of vertices"),
        (QUAD + "f 1 2 3.5\n", "not a list of vertices"),
        (QUAD + "f 1 2 3" + 9000 * " 1" + "\n", "thousands of corners"),
        (QUAD, "no faces"),
        ("f 1 2 3\n", "no vertices"),
        ("", "it is empty"),
        ("v 0 0\nv 1 1\nv 2 2\nf 1 2 3\n", "not three numbers"),
        ("v 0.0 0.0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not three numbers"),
        ("v 0 0 1e39\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not three numbers"),
        (f"v {'9' * 45}.0 0.0 0.0\nv 1.0 0.0 0.0\nv 0.0 1.0 0.0\nf 1 2 3\n", "not three numbers"),
        ("v one two three\nf 1 1 1\n", "not a number"),
        ("v " + "1 " * 100_000 + "\nf 1 1 1\n", "not a number"),
    ],
)
def test_a_broken_obj_file_is_refused_with_a_sentence(tmp_path, text, says):
    with pytest.raises(BadHead, match=says) as caught:
        read(tmp_path, text)
    assert "face.obj" in str(caught.value)


def test_coordinates_of_25_digits_are_read(tmp_path):
    mesh = read(
        tmp_path, "v 1000000000000000000000001.5 -0.25 0.5\nv 1.0 0.0 0.0\nv 0.0 1.0 0.0\nf 1 2 3\n"
    )
    assert mesh.vertices[0].tolist() == [1e24, -0.25, 0.5]
    mesh = read(
        tmp_path, "v 0.1234567890123456789012345 -0.25 0.5\nv 1.0 0.0 0.0\nv 0.0 1.0 0.0\nf 1 2 3\n"
    )
    assert np.allclose(mesh.vertices[0], [0.123456, -0.25, 0.5], atol=1e-6)


def test_a_material_without_a_name_is_one_of_that_name(tmp_path):
    mesh = read(
        tmp_path,
        QUAD + "usemtl \nf 1 2 3\nusemtl\nf 1 3 4\nusemtl Skin\nf 1 2 4\nusemtl \nf 2 3 4\n",
    )
    assert mesh.material_names == ("", "Skin") and mesh.material.tolist() == [0, 0, 1, 0]


def test_polygons_materials_and_negative_corners_are_read(tmp_path):
    mesh = read(
        tmp_path,
        QUAD + "vt 0 0\nf 1/1 2/1 3/1\nusemtl Lips and Gums\nf -4 -2 -1\nf 1//1 2//1 3//1 4//1",
    )
    assert mesh.polygons == ((0, 1, 2), (0, 2, 3), (0, 1, 2, 3))
    assert mesh.material.tolist() == [-1, 0, 0] and mesh.material_names == ("Lips and Gums",)


def test_a_mesh_too_large_for_a_head_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "scan.obj"
    with open(path, "wb") as file:
        file.truncate(2**30)
    with pytest.raises(BadHead, match="scan.obj is larger than 64 MB"):
        obj_mesh.read_vertices(path)
    with pytest.raises(BadHead, match="more than 1,000,000 vertices"):
        read(tmp_path, "v 0 0 0\n" * 1_000_001)
