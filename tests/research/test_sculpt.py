# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator would see at once if it were wrong: lips through teeth, lids that miss the eye, torn
corners, keys that move the lips or a brow alone."""

import numpy as np
import pytest
from posed_head import lips, LOWER, posed, UPPER
from scipy.spatial import ConvexHull

from research.sculpt.form import EYE, EYE_RADIUS
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT, JAW, load_head

TEETH, TONGUE = ("Teeth", "Side Teeth", "Back Teeth"), ("Tongue", "Back Tongue")
TOUCH = 0.5  # mm: flesh that presses on a tooth or on flesh

JAWS = (0.0, 0.05, 0.15, 0.25)
SPEECH = {
    "rest": {},
    "m": dict(mouthPress=0.45, mouthRollLower=0.18, mouthRollUpper=0.15),
    "press": dict(mouthPress=1.0),
    "f": dict(mouthRollLower=0.6, mouthUpperUp=0.12),
    "hard f": dict(mouthRollLower=0.78, mouthUpperUp=0.12),
    "oo": dict(mouthPucker=0.6, mouthFunnel=0.45),
    "pucker": dict(mouthPucker=1.0),
    "funnel": dict(mouthFunnel=1.0),
    "ee": dict(mouthStretch=0.7, mouthSmile=0.3),
    "stretch": dict(mouthStretch=1.0),
    "smile": dict(mouthSmile=1.0),
    "teeth": dict(mouthUpperUp=1.0, mouthLowerDown=1.0),
    "upper": dict(mouthUpperUp=1.0),
    "lower": dict(mouthLowerDown=1.0),
    "roll upper": dict(mouthRollUpper=0.5),
    "shrug": dict(mouthShrugLower=0.6, mouthShrugUpper=0.4),
    "grin": dict(mouthSmile=0.8, mouthUpperUp=0.5, mouthLowerDown=0.5),
}


@pytest.fixture(scope="module")
def head():
    return load_head()


@pytest.fixture(scope="module")
def teeth(head):
    """Every crown's outside as planes [m, 4] at rest, its box, and whether it moves with the
    jaw."""
    v = head.v_template.astype(float) * 1e3
    left = {i for polygon in faces(head, *TEETH) for i in polygon}
    neighbours = {i: set() for i in left}
    for polygon in faces(head, *TEETH):
        for i in polygon:
            neighbours[i] |= set(polygon)
    crowns = []
    while left:
        crown, edge = set(), {left.pop()}
        while edge:
            crown |= edge
            edge = {j for i in edge for j in neighbours[i]} - crown
        left -= crown
        ids = sorted(crown)
        crowns.append(
            (
                ConvexHull(v[ids]).equations,
                v[ids].min(0) - 2,
                v[ids].max(0) + 2,
                head.weights[ids[0], JAW] == 1,
            )
        )
    assert len(crowns) == 28
    return crowns


def faces(head, *materials):
    names = np.array(head.material_names)[head.polygon_material]
    return [
        [i for i in polygon if i >= 0]
        for polygon in head.polygons[np.isin(names, materials)].tolist()
    ]


def surface(v, polygons):
    """Corners, edge middles and centres of polygons, [n, 3]."""
    corners = v[np.array([p if len(p) == 4 else [*p, p[2]] for p in polygons])]
    return np.concatenate(
        [
            corners.reshape(-1, 3),
            0.5 * (corners + np.roll(corners, 1, 1)).reshape(-1, 3),
            corners.mean(1),
        ]
    )


def beyond(points, jaw, teeth, head, lower=None):
    """Signed distance [n] mm of points to the nearest crown, negative inside it; far ones are 2."""
    joint = head.joints[JAW] * 1e3
    c, s = np.cos(jaw), np.sin(jaw)
    with_jaw = (points - joint) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) + joint
    nearest = np.full(len(points), 2.0)
    for planes, low, high, moves in teeth:
        if lower is None or moves == lower:
            q = with_jaw if moves else points
            near = ((q > low) & (q < high)).all(1)
            if near.any():
                nearest[near] = np.minimum(
                    nearest[near], (q[near] @ planes[:, :3].T + planes[:, 3]).max(1)
                )
    return nearest


@pytest.mark.parametrize("name", SPEECH)
@pytest.mark.parametrize("jaw", JAWS)
def test_lips_stay_out_of_the_teeth(head, teeth, name, jaw):
    rest = head.v_template.astype(float) * 1e3
    skin = faces(head, "Lips") + [
        p for p in faces(head, "Mouth", "Mouth Lining") if rest[p, 2].min() > 80
    ]
    for closed in {0.0, jaw / 0.30}:
        points = surface(posed(head, jaw, mouthClose=closed, **SPEECH[name]), skin)
        assert beyond(points, jaw, teeth, head).min() > -TOUCH, (jaw, closed)


@pytest.mark.parametrize(
    "name", [n for n in SPEECH if n not in ("upper", "lower", "teeth", "grin", "funnel", "oo")]
)
@pytest.mark.parametrize("jaw", JAWS)
def test_lips_stay_out_of_each_other(head, name, jaw):
    """Seen across the mouth, no ring of one lip lies within the closed outline of the other."""
    ids = lips(head)[1:]
    v = posed(head, jaw, mouthClose=jaw / 0.30, **SPEECH[name])
    for a, b in zip(UPPER[1:-1], LOWER[1:-1]):
        upper, lower = v[ids[:, a]][:, 1:], v[ids[:, b]][:, 1:]
        assert max(sunk(upper, lower), sunk(lower, upper)) < 0.6, (jaw, a)


def sunk(outline, points):
    """How deep the deepest of points [n, 2] lies within a closed outline [m, 2], mm; 0 outside."""
    a, b = outline, np.roll(outline, -1, 0)
    crosses = (a[:, 1] > points[:, None, 1]) != (b[:, 1] > points[:, None, 1])
    span = np.where(b[:, 1] == a[:, 1], 1e-12, b[:, 1] - a[:, 1])
    at = a[:, 0] + (points[:, None, 1] - a[:, 1]) / span * (b[:, 0] - a[:, 0])
    inside = (crosses & (points[:, None, 0] < at)).sum(1) % 2 == 1
    t = np.clip(
        ((points[:, None] - a) * (b - a)).sum(2) / np.maximum(((b - a) ** 2).sum(1), 1e-12), 0, 1
    )
    apart = np.linalg.norm(points[:, None] - (a + t[..., None] * (b - a)), axis=2).min(1)
    return np.where(inside, apart, 0).max()


@pytest.mark.parametrize("jaw", [0.015, 0.02, 0.025, 0.03])
def test_f_and_v_touch_the_upper_teeth(head, teeth, jaw):
    lower_lip = [
        p for p in faces(head, "Lips", "Mouth", "Mouth Lining") if head.weights[p, JAW].min() > 0.9
    ]
    points = surface(posed(head, jaw, **SPEECH["f"]), lower_lip)
    assert -TOUCH < beyond(points, jaw, teeth, head, lower=False).min() < 0.5


def test_f_and_v_keep_half_of_the_lower_lips_red_and_a_full_roll_nearly_none(head):
    border, contact = lips(head)[[2, 5], 30]  # of the red, in the middle of the lower lip

    def red(**keys):
        v = posed(head, 0.02, **keys)
        return v[contact, 1] - v[border, 1]

    assert red(**SPEECH["f"]) > 0.5 * red() > 0.5 * red(mouthRollLower=1.0) + 2.0


@pytest.mark.parametrize("jaw", [0.0, 0.05, 0.1])
def test_the_mouths_lining_stays_behind_the_skin_of_a_lip_that_rolls_in(head, jaw):
    v = posed(head, jaw, mouthRollLower=0.6, mouthLowerDown=0.25)
    ids = np.unique([i for p in faces(head, "Mouth", "Mouth Lining") for i in p])
    rest = head.v_template.astype(float) * 1e3
    ids = ids[(np.abs(rest[ids, 0]) < 9) & (rest[ids, 1] < -76) & (rest[ids, 2] > 75)]
    skin = surface(
        v,
        [
            p
            for p in faces(head, "Skin")
            if np.abs(rest[p, 0]).max() < 20 and rest[p, 1].max() < -70
        ],
    )
    near = np.linalg.norm(skin[None, :, :2] - v[ids, None, :2], axis=2) < 1.5
    covered = near.any(1)
    assert covered.sum() > 3
    assert (np.where(near, skin[None, :, 2], -np.inf).max(1) - v[ids, 2])[covered].min() > 0.5


RAISED = ("tongueTipUp", "tongueBladeUp", "tongueBack")


@pytest.mark.parametrize("channel", ["none", *RAISED])
@pytest.mark.parametrize("jaw", JAWS)
def test_the_tongue_stays_within_the_teeth(head, teeth, channel, jaw):
    for value in (0.4, 0.7, 1.0):
        pose = {} if channel == "none" else {channel: value}
        points = surface(posed(head, jaw, **pose), faces(head, *TONGUE))
        assert beyond(points, jaw, teeth, head).min() > -0.2, (jaw, value)


@pytest.mark.parametrize("jaw", JAWS[:-1])
def test_a_raised_tip_meets_the_ridge_behind_the_upper_teeth_however_open_the_jaw(head, jaw):
    v = posed(head, jaw, tongueTipUp=0.9)
    ids = {i for polygon in faces(head, "Gums") for i in polygon}
    ridge = v[[i for i in ids if head.weights[i, JAW] == 0]]
    tip = surface(v, faces(head, "Tongue"))
    assert np.linalg.norm(tip[:, None] - ridge[None], axis=2).min() < 2.1
    assert tip[:, 2].max() < v[head.mouth_vertices[head.mouth_parts == 1], 2].max() - 3


@pytest.mark.parametrize(("channel", "above"), [("tongueBladeUp", 4), ("tongueBack", 8)])
@pytest.mark.parametrize("jaw", JAWS[:3])
def test_blade_and_back_rise_above_the_upper_teeth_edges_however_open_the_jaw(
    head, channel, above, jaw
):
    v = posed(head, jaw, **{channel: 0.85})
    edge = v[head.mouth_vertices[head.mouth_parts == 1], 1].min()
    assert surface(v, faces(head, *TONGUE))[:, 1].max() > edge + above


@pytest.mark.parametrize("out", [0.4, 0.5, 0.6])
@pytest.mark.parametrize("jaw", (0.08, 0.10, 0.15))
def test_th_passes_between_the_teeth(head, teeth, out, jaw):
    v = posed(head, jaw, tongueOut=out, tongueTipUp=0.1)
    points = surface(v, faces(head, *TONGUE))
    assert beyond(points, jaw, teeth, head).min() > -TOUCH, jaw
    assert points[:, 2].max() > v[head.mouth_vertices[head.mouth_parts == 2], 2].max() + 2, (
        "it does not reach past the lower teeth"
    )


def test_corners_stay_attached_in_a_pucker(head):
    """The rings meet in the corners as they did at rest: nothing tears or folds there, and the lips
    stay shut up to them."""
    rest, now = posed(head), posed(head, mouthPucker=1.0)
    ids = lips(head)
    for k in (0, 20):
        before, after = (np.linalg.norm(np.diff(v[ids[:, k]], axis=0), axis=1) for v in (rest, now))
        assert (after < 1.6 * before + 0.8).all() and (after > 0.3 * before - 0.2).all()
    for ring in (5, 6):
        assert np.abs(now[ids[ring, UPPER]] - now[ids[ring, LOWER]]).max() < 0.3
    assert np.linalg.norm(now[ids[5, 0]] - now[ids[5, 20]]) < 35


@pytest.mark.parametrize("look", [0.15, 0.3])
def test_lids_follow_a_look_down_and_a_blink_on_top_of_it_only_shuts_them(head, look):
    rest = head.v_template.astype(float) * 1e3
    lid = (np.abs(head.shapedirs[:, :, head.channel("eyeBlinkLeft")]).max(1) > 0) & (
        np.linalg.norm(rest - EYE, axis=1) > EYE_RADIUS + 1
    )
    open_lid = lid & (rest[:, 1] > 4) & (np.abs(rest[:, 0] - EYE[0]) < 4)
    assert (posed(head) - posed(head, look=look))[open_lid, 1].max() > 8 * np.sin(look)
    for blink in (0.0, 0.5, 1.0):
        seen = posed(head, look=look, eyeBlinkLeft=blink)
        assert np.linalg.norm(seen - EYE, axis=1)[lid].min() > EYE_RADIUS + 0.4
    lower = (posed(head, eyeBlinkLeft=1.0) - posed(head, look=look, eyeBlinkLeft=1.0))[open_lid, 1]
    assert 0 < lower.max() < 6 * np.sin(look), "the shut upper lid goes with the lower one"


# Key → least share of the face's area that moves more than 1 mm at 1: 0.6 of what it is on a
# scanned face.
REACH = {
    "mouthPucker": 0.31,
    "mouthFunnel": 0.30,
    "mouthSmile": 0.37,
    "mouthStretch": 0.23,
    "mouthFrown": 0.16,
    "mouthDimple": 0.20,
    "mouthLeft": 0.36,
    "mouthUpperUp": 0.23,
    "mouthLowerDown": 0.08,
    "mouthRollLower": 0.05,
    "mouthRollUpper": 0.06,
    "mouthShrugLower": 0.13,
    "mouthShrugUpper": 0.03,
    "mouthPress": 0.20,
    "cheekPuff": 0.36,
    "cheekSquint": 0.29,
    "noseSneer": 0.46,
    "browInnerUp": 0.13,
    "browOuterUp": 0.15,
    "browDown": 0.17,
    "eyeBlink": 0.018,
    "eyeWide": 0.012,
    "eyeSquint": 0.06,
    "jawForward": 0.24,
}
TINY = 0.02  # mm


def key_of(head, name):
    """Millimetres [V, 3] by which a key, both sides together, moves the head at 1."""
    sides = (name, name + "Left", name + "Right")
    both = np.isin(head.expression_names, sides)
    return 1e3 * head.shapedirs[:, :, both].astype(float).sum(2)


@pytest.fixture(scope="module")
def face(head):
    """Area of the face, brow line to chin, that each vertex of the skin stands for [V]."""
    v = head.v_template.astype(float) * 1e3
    quads = np.array([polygon for polygon in faces(head, "Skin", "Lips") if len(polygon) == 4])
    a, b = v[quads[:, 2]] - v[quads[:, 0]], v[quads[:, 3]] - v[quads[:, 1]]
    size = np.linalg.norm(np.cross(a, b), axis=1) / 8
    x, y, z = (v - 1e3 * head.joints[[EYE_LEFT, EYE_RIGHT]].mean(0)).T
    there = (z > -45) & (y > -115) & (y < 60) & (np.abs(x) < 68)
    return there * sum(np.bincount(quads[:, corner], size, len(v)) for corner in range(4))


@pytest.mark.parametrize("key", REACH)
def test_a_key_moves_as_much_of_the_face_as_muscles_do(head, face, key):
    moves = np.linalg.norm(key_of(head, key), axis=1) > 1
    assert face[moves].sum() / face.sum() >= REACH[key]


@pytest.mark.parametrize("key", [k for k in REACH if not k.startswith(("eye", "jaw"))])
def test_teeth_tongue_and_eyes_stay(head, key):
    names = np.array(head.material_names)[head.polygon_material]
    inner = np.unique(
        head.polygons[
            np.isin(
                names,
                (
                    *TEETH,
                    "Gums",
                    *TONGUE,
                    "Eye White",
                    "Eye White Above",
                    "Iris",
                    "Pupil",
                    "Limbus",
                ),
            )
        ]
    )
    inner = inner[inner >= 0]
    assert np.abs(key_of(head, key)[inner]).max() < TINY
