# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bundled head promises to animators, teacher and mesh-to-speech, measured on the asset
itself."""

from types import SimpleNamespace

import numpy as np
import pytest
from posed_head import expression_of, lips, LOWER, posed, RINGS, UPPER

from research.sculpt import head as sculptor
from research.sculpt.form import EYE, EYE_RADIUS
from thunder_core.errors import BadHead
from thunder_core.face import head as head_module
from thunder_core.face.head import HEAD_FILE, load_head
from thunder_core.face.moving.lips import opening_mm, width_mm
from thunder_core.face.regions import front_view

CONTACT, INNER = 5, 6  # rings on which the lips touch at rest


@pytest.fixture(scope="module")
def head():
    return load_head()


def opening(head, jaw=0.0, measure=opening_mm, **channels):
    shape = SimpleNamespace(
        expression=expression_of(head, **channels), jaw=np.array([[float(jaw), 0, 0]])
    )
    return float(measure(shape, head)[0])


@pytest.mark.slow
def test_every_array_of_all_people_regenerates_bit_for_bit(tmp_path):
    """The arrays, not the file: how a zip's headers are written differs from one Python to the
    next, and the sign of a zero from one processor to the next."""
    sculptor.main(tmp_path)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert HEAD_FILE.name in files and len(files) >= 3
    for file in files:
        with np.load(tmp_path / file) as new, np.load(HEAD_FILE.with_name(file)) as shipped:
            assert new.files == shipped.files
            for name in new.files:
                made, kept = new[name], shipped[name]
                assert made.dtype == kept.dtype and np.array_equal(made, kept), (file, name)


def test_every_channel_moves_something_and_by_a_facial_amount(head):
    most = np.linalg.norm(head.shapedirs.astype(float), axis=1).max(0) * 1e3
    for name, value in zip(head.expression_names, most):
        assert 2.0 < value < (37.0 if name == "tongueOut" else 26.0), (name, value)


def test_is_symmetric(head):
    v = head.v_template.astype(float)
    pairs = mirror(v, head.weights)
    assert np.abs(v - v[pairs] * [-1, 1, 1]).max() < 1e-6
    assert np.abs(head.regions - head.regions[:, pairs]).max() < 1e-6
    assert np.abs(head.weights - head.weights[pairs][:, [0, 1, 2, 4, 3]]).max() < 1e-6
    names = list(head.expression_names)
    for i, name in enumerate(names):
        twin = name.replace("Left", "~").replace("Right", "Left").replace("~", "Right")
        if name in ("mouthLeft", "mouthRight") or twin in names:
            shape, other = head.shapedirs[:, :, i], head.shapedirs[:, :, names.index(twin)]
            assert np.abs(shape - other[pairs] * [-1, 1, 1]).max() < 1e-6, name


def mirror(v, weights):
    """The vertex on the other side of each; where lips touch, their jaw's weights tell the two that
    lie at one place apart."""
    places = np.round(np.column_stack([1e6 * v, 1e3 * weights[:, 2]])) + 0.0
    pairs = np.empty(len(v), int)
    pairs[np.lexsort((places * [-1, 1, 1, 1] + 0.0).T)] = np.lexsort(places.T)
    return pairs


def test_weights_and_regressor_sum_to_one_and_no_expression_moves_a_joint(head):
    assert np.abs(head.weights.sum(1) - 1).max() < 1e-6 and head.weights.min() >= 0
    assert np.abs(head.J_regressor.sum(1) - 1).max() < 1e-6 and head.J_regressor.min() >= 0
    from research.sculpt.rig import JOINTS

    assert np.abs(head.joints * 1e3 - JOINTS).max() < 0.05
    moved = np.einsum("jv,vcn->njc", head.J_regressor.astype(float), head.shapedirs.astype(float))
    assert np.abs(moved).max() < 1e-9


def test_jaw_takes_lower_lip_teeth_and_chin_and_leaves_the_upper(head):
    jaw = head.weights[:, 2]
    ids = lips(head)
    assert jaw[ids[:, 30]].min() > 0.98 and jaw[ids[:, 10]].max() < 0.02
    assert (jaw[head.mouth_vertices[head.mouth_parts == 1]] == 0).all()
    assert (jaw[head.mouth_vertices[head.mouth_parts == 2]] == 1).all()
    assert jaw[head.mouth_vertices[head.mouth_parts == 3]].min() > 0.8
    v = head.v_template
    chin = (v[:, 2] > 0.075) & (v[:, 1] < -0.095)
    assert jaw[chin].min() > 0.95


def test_lips_touch_at_rest_never_cross_and_tongue_and_teeth_stay_behind_them(head):
    v = head.v_template.astype(float) * 1e3
    ids = lips(head)
    for ring in range(RINGS):
        assert ((v[ids[ring, UPPER], 1] - v[ids[ring, LOWER], 1]) >= -1e-6).all()
        if ring in (CONTACT, INNER):
            assert np.abs(v[ids[ring, UPPER]] - v[ids[ring, LOWER]]).max() < 1e-6
    assert opening(head) == 0
    v, ids = posed(head), lips(head)
    front = v[ids[INNER], 2].max()
    assert v[head.mouth_vertices[head.mouth_parts > 0], 2].max() < front


def test_jaw_of_0_30_rad_opens_24_to_28_mm_seen_from_the_front(head):
    assert 24 <= opening(head, jaw=0.30) <= 28
    assert 13 <= opening(head, jaw=0.15) <= 15


@pytest.mark.parametrize("angle", [0.02, 0.05, 0.10, 0.15, 0.20, 0.25])
def test_mouth_close_undoes_the_jaw(head, angle):
    v, ids = posed(head, jaw=angle, mouthClose=angle / 0.30), lips(head)
    assert opening(head, jaw=angle, mouthClose=angle / 0.30) <= 0.3
    for ring in (CONTACT, INNER):
        apart = v[ids[ring, UPPER]] - v[ids[ring, LOWER]]
        assert np.linalg.norm(apart, axis=1).max() <= 0.3
        assert apart[:, 1].min() >= -0.25, "the lips cross"


@pytest.mark.parametrize(
    ("pose", "gap", "mouth"),
    [
        ({"mouthPucker": 1}, (0, 0.3), (33, 35)),
        ({"mouthFunnel": 1}, (5, 7), (41, 43)),
        ({"mouthStretch": 1}, (0, 0.3), (58, 60)),
        ({"mouthSmile": 1}, (0, 0.3), (59, 61)),
        ({"mouthPress": 1}, (0, 0.3), (49, 51)),
        ({"mouthUpperUp": 1}, (6, 8), (49, 51)),
        ({"mouthLowerDown": 1}, (7, 9), (49, 51)),
        ({"mouthShrugLower": 1}, (0, 0.3), (49, 51)),
        ({"mouthShrugUpper": 1}, (0, 0.3), (49, 51)),
        ({"mouthFrown": 1}, (0, 0.3), (50, 53)),  # as on scanned faces: the corners go down and out
        ({"cheekPuff": 1}, (0, 0.3), (47, 50)),  # full cheeks push the corners in
    ],
)
def test_channels_open_and_widen_as_the_teacher_relies_on(head, pose, gap, mouth):
    assert gap[0] <= opening(head, **pose) <= gap[1]
    assert mouth[0] <= opening(head, measure=width_mm, **pose) <= mouth[1]


@pytest.mark.parametrize(
    "channel, place, axis, least, most",
    [
        ("mouthPucker", "inner_lip_upper_mid", 2, 5, 7),
        ("mouthFunnel", "inner_lip_upper_mid", 2, 4, 7),
        ("mouthSmile", "mouth_corner_left", 1, 4, 10),
        ("mouthFrown", "mouth_corner_left", 1, -20, -4),
        ("mouthSmileLeft", "mouth_corner_left", 0, 4, 20),
        ("mouthSmileLeft", "mouth_corner_right", 0, -0.2, 0.2),
        ("mouthSmileLeft", "mouth_corner_right", 1, -0.2, 0.2),
    ],
)
def test_pucker_and_funnel_protrude_and_smile_lifts_the_corners(
    head, channel, place, axis, least, most
):
    moved = posed(head, **{channel: 1}) - posed(head)
    assert least < moved[getattr(head, place), axis] < most


@pytest.mark.parametrize("side", [1, -1])
def test_blink_covers_the_eye(head, side):
    tag, centre = "Left" if side > 0 else "Right", EYE * [side, 1, 1]
    ball = head.weights[:, 3 if side > 0 else 4] == 1

    def seen(v, reach):
        """Share of what lies so far around the pupil where the ball is seen from the front."""
        view = front_view(v, head.f, centre[:2] - reach, centre[:2] + reach, 0.25)
        return ball[head.f[view.triangle, 0]].mean()

    assert 0.7 < seen(posed(head), 5.0) < 0.8, (
        "an upper lid at rest lies over the top of the iris: one that bares all of it startles"
    )
    assert seen(posed(head, **{"eyeBlink" + tag: 1}), EYE_RADIUS) == 0


def test_expressions_do_not_fold_the_skin(head):
    """No face of skin or lips turns over within the range an animator uses."""
    names = np.array(head.material_names)[head.polygon_material]
    quads = head.polygons[np.isin(names, ("Skin", "Lips")) & (head.polygons[:, 3] >= 0)]
    rest = _normals(posed(head), quads)
    for name in head.expression_names:
        if name.startswith("mouthClose"):
            continue  # only ever used with the jaw, see below
        turned = (_normals(posed(head, **{name: 1.0}), quads) * rest).sum(1)
        assert (turned < -0.2).mean() < 0.004, name
    turned = (_normals(posed(head, jaw=0.15, mouthClose=0.5), quads) * rest).sum(1)
    assert (turned < -0.2).mean() < 0.002


def _normals(v, quads):
    n = np.cross(v[quads[:, 2]] - v[quads[:, 0]], v[quads[:, 3]] - v[quads[:, 1]])
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda a: {
                "polygons": np.concatenate([a["polygons"], [[1, 2, -1, -1]]])[-len(a["polygons"]) :]
            },
            "polygons .* fewer than three",
        ),
        (
            lambda a: {
                "polygons": np.concatenate([a["polygons"], [[1, 2, 3, 3]]])[-len(a["polygons"]) :]
            },
            "polygons .* fewer than three",
        ),
        (lambda a: {"polygons": a["polygons"] + 0.5}, "polygons .* fractions"),
        (lambda a: {"polygons": a["polygons"].astype(np.int64) + 2**32}, "polygons .* too large"),
        (lambda a: {"mouth_vertices": a["mouth_vertices"] + 0.25}, "mouth_vertices .* fractions"),
        (
            lambda a: {"polygon_material": a["polygon_material"] + 2.0**40},
            "polygon_material .* too large",
        ),
        (lambda a: {"inner_lip_upper_mid": np.float64(3.5)}, "inner_lip_upper_mid .* fractions"),
        (lambda a: {"correctives": a["correctives"][:, :, :1]}, "correctives .* has shape"),
        (lambda a: {"corrective_pairs": a["corrective_pairs"][:, 0]}, "do not fit each other"),
        (
            lambda a: {"hair_polygons": a["hair_polygons"] + len(a["hair_vertices"])},
            "hair_polygons .* do not exist",
        ),
        (lambda a: {"hair_tints": a["hair_tints"][1:]}, "hair_tints .* has shape"),
    ],
)
def test_a_broken_head_of_ours_is_refused_with_a_sentence(tmp_path, bundled, change, says):
    np.savez(tmp_path / "head.npz", **bundled | change(bundled))
    with pytest.raises(BadHead, match=says):
        load_head(tmp_path / "head.npz")


@pytest.mark.parametrize("content", [None, b"PK", b"text"])
def test_only_a_damaged_head_of_the_extension_asks_to_reinstall_it(tmp_path, monkeypatch, content):
    path = tmp_path.resolve() / "head.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadHead, match=": choose .*$"):
        load_head(path)
    monkeypatch.setattr(head_module, "HEAD_FILE", path)
    with pytest.raises(BadHead, match="head.npz.*: reinstall the extension$"):
        load_head()
