# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes made for faces that have none: strangers made of the bundled head."""

import numpy as np
import pytest

from thunder_core.client import Client, temporary_arrays
from thunder_core.engine_python import find_tracker
from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.making import dots, joining, judging, laying, shapes
from thunder_core.face.making.laying import model
from thunder_core.face.making.surface import Surface
from thunder_core.face.regions import LOWER, pieces, UPPER, Warp
from thunder_core.rotation import rotvec_to_matrix

HEAD = load_head()
POINTS = 1e3 * HEAD.v_template.astype(np.float64)
MARKED = dots.vertices_of(HEAD)


def broad(points):
    """A stranger's proportions: a broad face, a long chin, a flat nose; another size and place."""
    x, y, z = points.T
    low = np.clip((-y - 40) / 70, 0, 1) ** 2
    nose = np.exp(-(x**2 + (y + 35) ** 2) / 500)
    moved = np.stack([1.08 * x * (1 - 0.1 * low), y - 14 * low, z - 6 * nose], 1)
    return 0.013 * moved + [0.2, 1.7, 0.1]


@pytest.fixture(scope="module")
def made():
    return shapes.make(broad(POINTS), HEAD.f, broad(POINTS[MARKED]))


def bare():
    """The bundled head's triangles without lashes: skin that moves, and eyes."""
    is_bare = (HEAD.weights[:, 3:5] > 0.9).any(1)
    is_bare[model().ids] = True
    return HEAD.f[is_bare[HEAD.f].all(1)]


def moves(made, name):
    """How far a shape moves the vertices, in the bundled head's millimetres, [V, 3]."""
    return made.moves[made.names.index(name)] / 0.013


def test_teeth_keep_their_shape_and_a_tongue_follows_the_jaw_where_they_lie_elsewhere():
    """Farther back and up than ours."""
    own, face = model(), POINTS.copy()
    face[own.kind == 2] += [0.0, 1.0, -4.0]
    face[own.kind == 3] += [0.0, 3.0, 2.0]
    made = shapes.make(broad(face), HEAD.f, broad(POINTS[MARKED]))
    piece, rest = pieces(len(face), HEAD.f), broad(face) / 0.013
    for kind in (1, 2):
        for label in np.unique(piece[own.kind == kind]):
            tooth = np.flatnonzero(piece == label)
            for name in ("jawOpen", "jawLeft"):
                by = moves(made, name)[tooth]
                before, after = (p - p[:1] for p in (rest[tooth], rest[tooth] + by))
                assert np.linalg.norm(after, axis=1) == pytest.approx(
                    np.linalg.norm(before, axis=1), abs=0.01
                )
    lowers = moves(made, "jawOpen")[own.kind == 2, 1]
    assert lowers.max() < -10 and abs(moves(made, "jawOpen")[own.kind == 1]).max() < 0.5
    ours, its = (own.moves[own.names.index("jawOpen")], moves(made, "jawOpen"))
    assert abs(its - ours)[own.kind == 3].mean() < 2.0, "no part of the tongue stays"


def gap(made, **values):
    """How far the inner lips' middles are apart where keys have these values, mm."""
    by = sum(value * moves(made, name) for name, value in values.items())
    return (by[HEAD.inner_lip_upper_mid] - by[HEAD.inner_lip_lower_mid])[1]


def test_lips_part_and_meet_as_ours(made):
    assert 20 < gap(made, jawOpen=1) < 35
    assert abs(gap(made, jawOpen=0.5, mouthClose=0.5)) < 0.7
    assert 4 < gap(made, mouthLowerDownLeft=1, mouthLowerDownRight=1) < 11
    narrow = moves(made, "mouthPucker")
    assert narrow[HEAD.mouth_corner_left, 0] < -3 < 3 < narrow[HEAD.mouth_corner_right, 0]


def test_lips_meet_all_along_their_line(made):
    by = 0.4 * (moves(made, "jawOpen") + moves(made, "mouthClose"))
    ring = HEAD.mouth_vertices[HEAD.mouth_parts == 0].reshape(7, 40)[5]
    apart = by[ring[UPPER[3:-3]], 1] - by[ring[LOWER[3:-3]], 1]
    assert np.abs(apart).max() < 0.7


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_lids_slide_over_the_ball_and_shut(made, side):
    number = ("Left", "Right").index(side)
    warp = Warp.rigid(broad(POINTS[MARKED]), POINTS[MARKED])
    face = warp(broad(POINTS))
    ball = face[made.is_eye == 1 + number]
    middle = (ball.min(0) + ball.max(0)) / 2
    shut = face + moves(made, f"eyeBlink{side}") @ (warp.turn * 0.013)
    radius = np.ptp(ball[:, 1]) / 2
    was, now = (
        judging.left_open(places, bare(), made.is_eye > 0, middle, radius)
        for places in (face, shut)
    )
    assert was > 7 and now < 0.4
    lids = [MARKED[dots.NAMES.index(f"{lid} lid, {side.lower()}")] for lid in ("upper", "lower")]
    away = np.linalg.norm(shut[lids] - middle, axis=1)
    assert np.allclose(away, np.linalg.norm(face[lids] - middle, axis=1), atol=0.5)


def test_teeth_and_tongue_go_with_the_jaw_and_eyes_turn(made):
    jaw = moves(made, "jawOpen")
    own = model()
    assert np.abs(jaw[own.kind == 1]).max() < 0.1
    assert jaw[own.kind == 2, 1].max() < -8
    assert jaw[own.kind == 3, 1].min() < -8
    assert np.abs(moves(made, "tongueOut")[own.kind == 3]).max() > 10
    look = moves(made, "eyeLookUpLeft")
    assert look[(HEAD.weights[:, 3] > 0.9) & (HEAD.v_template[:, 2] > 0.07), 1].min() > 2
    assert not look[HEAD.weights[:, 4] > 0.9].any()


def test_nothing_tears_and_the_body_stays(made):
    assert not any(made.faults.values())
    below = POINTS[:, 1] < -190
    assert not made.moves[:, below].any()


@pytest.mark.parametrize("quarter", range(4))
def test_the_first_dots_are_near_where_they_belong_wherever_it_looks(quarter):
    """Eyes that are balls are found, so the rest is near by proportions."""
    turn = rotvec_to_matrix(np.array([[0, quarter * np.pi / 2, 0]]))[0]
    places, ahead, _ = shapes.guess(broad(POINTS) @ turn.T, HEAD.f)
    assert np.allclose(ahead, turn[:, 2])
    off = np.linalg.norm(places @ turn - broad(POINTS[MARKED]), axis=1) / 0.013
    assert np.median(off) < 6 and off.max() < 15


def test_places_in_a_picture_lead_all_dots_but_those_of_lids():
    """By eyeballs these are nearer to where they belong."""
    names, places = np.array(dots.NAMES), POINTS[MARKED][:, :2] + [3.0, -8.0]
    usual = shapes.guess(POINTS, HEAD.f)[0]
    found, _, is_seen = shapes.guess(POINTS, HEAD.f, lambda *_: places)
    assert is_seen
    off = np.linalg.norm(
        found[:, :2] - np.where(dots.IS_LID[:, None], usual[:, :2], places), axis=1
    )
    assert off.max() < 3, names[off >= 3]


@pytest.mark.parametrize("turn", [[-1, -1, 1], [1, 1, 1]])
def test_a_face_seen_in_a_head_that_is_upside_down_places_no_dots(turn):
    """What a picture shows there has all in order, but no nose."""
    usual = shapes.guess(POINTS * turn, HEAD.f)[0]
    assert shapes.guess(POINTS * turn, HEAD.f, lambda *_: usual[:, :2])[2] == (turn[0] == 1)
    low = np.array(turn) * usual
    assert not shapes.guess(POINTS * turn, HEAD.f, lambda *_: low[:, :2] * [1, -1])[2]


def test_a_tracker_finds_dots_in_a_picture_of_a_stranger():
    """Most within 3 % of the face's width; on a ball it sees no face."""
    seen = []
    with Client(find_tracker(), verbs="tracker") as client, temporary_arrays(client) as put:
        for points, triangles in ((broad(POINTS), HEAD.f), ball(40, 30)):
            paths = {"points": put(points), "triangles": put(triangles)}
            seen.append(client.request("mark_face", **paths).wait())
    assert [each["is_seen"] for each in seen] == [True, False]
    wanted = broad(POINTS[MARKED])
    off = np.linalg.norm(np.array(seen[0]["marks"]) - wanted, axis=1)
    assert (off < 0.03 * np.ptp(wanted[:, 0])).sum() > 16


def test_the_mouth_of_a_face_that_no_tracker_sees_is_found_by_its_slit():
    """Proportions that put mouth and chin 15 mm too low, as a drawn face's are others."""
    low = np.clip((10 - POINTS[MARKED, 1]) / 70, 0, 1)[:, None] * [0, -15, 0]
    piece = pieces(len(POINTS), HEAD.f)
    skin = HEAD.f[piece[HEAD.f[:, 0]] == piece[MARKED[0]]]
    found = dots.by_slit(POINTS[MARKED] + low, POINTS, skin)
    off = np.linalg.norm(found - POINTS[MARKED], axis=1)
    names = [
        *(f"{lip} lip, {at}" for lip in ("upper", "lower") for at in ("inside", "edge")),
        "chin",
    ]
    far = {name: off[dots.NAMES.index(name)] for name in (*names, "mouth corner, left")}
    assert max(far.values()) < 8, far
    assert dots.by_slit(POINTS[MARKED] + low, POINTS, filled_mouth()) is None


def test_eyes_of_a_whole_body_are_found_beside_its_arms():
    arms = np.array([[-900.0, -300, 0], [900, -300, 0], [0, -1500, 0]])
    found = shapes.balls(POINTS, HEAD.f, pieces(len(POINTS), HEAD.f))
    eyes = shapes.eyes_among(found, np.concatenate([POINTS, arms]))
    assert np.allclose(eyes, model().eyes, atol=1.5)


def swapped(*pairs):
    """The bundled head's places, of which some have changed theirs."""
    places = POINTS[MARKED].copy()
    for pair in pairs:
        ids = [dots.NAMES.index(name) for name in pair]
        places[ids] = places[ids[::-1]]
    return places


@pytest.mark.parametrize(
    "places, sentence",
    [
        (swapped(("upper lid, left", "upper lid, right"), ("lower lid, left", "lower lid, right")),
         "“upper lid, left” and “upper lid, right” seem to have changed"),
        (swapped(("upper lip, inside", "lower lip, inside")) + np.outer(
            np.arange(24) == 4, [0, -2, 0]), "lower lip, inside” are in a wrong order"),
        (POINTS[MARKED[np.where(np.arange(24) == dots.NAMES.index("upper lid, left"),
                                dots.NAMES.index("brow, left"), np.arange(24))]],
         "“brow, left” and “upper lid, left” are in a wrong order"),
        (swapped(("upper lid, left", "lower lid, left")), "lid, left” and “.* lid, left” seem"),
        (POINTS[MARKED][dots.ACROSS], "the face's own left"),
        (POINTS[MARKED][:1] + np.zeros((24, 1)), "on one point or line"),
        (np.full((24, 3), np.nan), "on one point or line"),
        (POINTS[MARKED][np.random.default_rng(0).permutation(24)], "seem to have changed"),
        (POINTS[MARKED] + np.outer(np.arange(24) == 2, [0, 0, 150]), "least of all “nose base”"),
    ],
)  # fmt: skip
def test_dots_that_are_on_no_face_are_named(places, sentence):
    with pytest.raises(BadHead, match=sentence):
        dots.check(places, POINTS[MARKED])


@pytest.mark.parametrize(
    "change", [broad, lambda p: p * [1, 1, 0.1], lambda p: p @ np.eye(3)[[1, 2, 0]]]
)
def test_dots_of_other_faces_are_not(change):
    dots.check(change(POINTS[MARKED]), POINTS[MARKED])


def test_dots_beside_the_mouth_are_named_before_the_face_is_laid(monkeypatch):
    monkeypatch.setattr(shapes, "lay", None)
    is_lip = np.array(["lip" in name or "mouth" in name for name in dots.NAMES])
    with pytest.raises(BadHead, match="“upper lip, edge” and “lower lip, edge”"):
        shapes.make(POINTS, HEAD.f, POINTS[MARKED] - np.outer(is_lip, [0, 13, 0]))


def test_a_heavy_face_is_laid_over_by_some_of_its_vertices(monkeypatch):
    own = model()
    skin, places = Surface(broad(POINTS)[own.ids] / 0.013, own.skin.triangles), own.dots
    full, laid = [], []
    for coarse, result in ((9000, full), (1500, laid)):
        monkeypatch.setattr(laying, "_COARSE", coarse)
        result.append(laying.lay(own, skin, skin.points[places]))
    off = np.linalg.norm(full[0] - laid[0], axis=1)[own.outside]
    assert 0 < np.median(off) < 0.1


def filled_mouth():
    """The bundled head's triangles with each lower lip's edge joined to the upper one's."""
    rings = HEAD.mouth_vertices[HEAD.mouth_parts == 0].reshape(7, 40)
    place = np.arange(len(POINTS))
    place[rings[4][LOWER]] = rings[4][UPPER]
    triangles = place[HEAD.f]
    inside = np.isin(triangles, rings[5:]).any(1)
    a, b, c = triangles.T
    return triangles[~inside & (a != b) & (b != c) & (c != a)]


def ball(columns, rows):
    """(points, triangles) of a ball of a head's size, its poles up and down."""
    down, round_ = np.linspace(0, np.pi, rows + 1), np.arange(columns) * 2 * np.pi / columns
    y, out = 110 * np.cos(down)[:, None], 110 * np.sin(down)[:, None]
    points = np.stack(np.broadcast_arrays(out * np.sin(round_), y, out * np.cos(round_)), 2)
    ids = np.arange(points[..., 0].size).reshape(rows + 1, columns)
    here, beside = ids, np.roll(ids, -1, axis=1)
    quads = np.stack([here[:-1], here[1:], beside[1:], beside[:-1]], -1).reshape(-1, 4)
    return points.reshape(-1, 3), np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])


@pytest.mark.parametrize("columns, rows", [(32, 16), (48, 32)])
def test_a_ball_is_no_face(columns, rows):
    points, triangles = ball(columns, rows)
    marks, *_ = shapes.guess(points, triangles)
    with pytest.raises(BadHead, match="No mouth opens between"):
        shapes.make(points, triangles, marks)


@pytest.mark.parametrize(
    "points, triangles, marks, sentence",
    [
        (POINTS, filled_mouth(), POINTS[MARKED], "No mouth opens between"),
        (POINTS, HEAD.f[:100], POINTS[MARKED], "too few"),
        (POINTS * [1, 1, 0], HEAD.f, POINTS[MARKED], "flat"),
        (POINTS * np.where(POINTS[:, :1] > 90, np.nan, 1), HEAD.f, POINTS[MARKED], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(points, triangles, marks, sentence):
    with pytest.raises(BadHead, match=sentence):
        shapes.make(points, triangles, marks)


def test_lips_of_a_long_jaw_part_about_as_far_as_ours():
    low = np.clip((-POINTS[:, 1:2] - 40) / 60, 0, 1)
    points = POINTS + low * np.c_[0 * POINTS[:, :1], 0.8 * (POINTS[:, 1:2] + 40), 0 * POINTS[:, :1]]
    jaw = shapes.make(points, HEAD.f, points[MARKED]).moves
    scale = Warp.rigid(points[MARKED], POINTS[MARKED]).turn
    number, lips = (
        model().names.index("jawOpen"),
        [HEAD.inner_lip_upper_mid, HEAD.inner_lip_lower_mid],
    )
    part, own = (np.diff(each[number, lips] @ turn, axis=0)[0, 1]
                 for each, turn in ((jaw, scale), (model().moves, np.eye(3))))  # fmt: skip
    assert 0.97 < part / own < 1.03


def test_folds_are_evened_and_lids_stay():
    """On a sheet a part of which slides over the rest, alike in two shapes that cancel out."""
    y, x = (each.ravel().astype(float) for each in np.mgrid[:30, :30])
    first = np.flatnonzero((x < 29) & (y < 29))
    corners = np.array([[0, 1, 31], [0, 31, 30]])
    sheet = Surface(np.c_[x, y, 0 * x] + 500, (first[:, None, None] + corners).reshape(-1, 3))
    slides = np.where(y > 15, -1.5, 0.0)[:, None] * [0, 1, 0]
    names = ("jawOpen", "mouthClose", "cheekPuff", "eyeBlinkLeft", "eyeBlinkRight")
    moved = np.stack([slides, -slides, 0 * slides, 0 * slides, 0 * slides]).astype(np.float32)

    def folds():
        now = Surface(sheet.points + moved[0], sheet.triangles)
        return (now.corner_normals[:, 2] < 0).sum()

    assert folds() == 58
    shapes.unfold(sheet, moved, np.ones(len(sheet.triangles), bool), names, model().lids)
    assert folds() == 0
    assert np.allclose(moved[0], -moved[1], atol=1e-5)


def test_values_are_filled_in_between_known_ones():
    """Along a strip of triangles, rising from one end to the other."""
    x = np.arange(20.0)
    points = np.concatenate([np.c_[x, 0 * x, 0 * x], np.c_[x, 0 * x + 1, 0 * x]])
    quads = np.stack([np.arange(19), np.arange(1, 20), np.arange(21, 40), np.arange(20, 39)], 1)
    strip = Surface(points, np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]))
    known = np.isin(points[:, 0], [0, 19])
    filled = strip.filled(np.where(known, points[:, 0], 0.0), known)
    assert (np.diff(filled[:20]) > 0).all() and np.allclose(filled[known], points[known, 0])


def test_the_opening_of_the_bundled_eye_is_found():
    lower, upper = (float(each[0]) for each in model().lids[0].rims(np.zeros(1)))
    assert lower < 0 < upper and 30 < upper - lower < 45


@pytest.mark.parametrize("side", [0, 1])
def test_shut_lids_hide_all_of_the_ball_from_the_front_and_from_both_sides(side):
    own, ball = model(), HEAD.weights[:, 3 + side] > 0.9
    places = POINTS.copy()
    places[own.ids] += own.lids[side].shut(own.skin.points, own.skin)
    seen = judging.left_open(places, bare(), ball, own.eyes[side], 12.5)
    assert seen < 0.4 and judging.left_open(POINTS, bare(), ball, own.eyes[side], 12.5) > 7


def doubled(island):
    """(vertices, triangles) of the bundled head whose islands [F] have vertices of their own, as
    glTF has along seams; vertices [V] are those of the head that they double."""
    codes = HEAD.f + len(POINTS) * np.asarray(island)[:, None]
    ids, places = np.unique(codes, return_inverse=True)
    return ids % len(POINTS), places.reshape(-1, 3)


MIDDLES = POINTS[HEAD.f].mean(1)


@pytest.mark.parametrize(
    "island",
    [
        MIDDLES[:, 2] < 40,  # cut before the ears and under the chin
        MIDDLES[:, 0] > 0,  # through both lips
        MIDDLES[:, 1] > 0,  # through both eyes
    ],
)
def test_vertices_that_a_file_doubles_along_seams_are_joined(island):
    ids, triangles = doubled(island)
    assert len(ids) > len(POINTS)
    seams, _ = joining.open_seams(POINTS[ids], triangles)
    place = joining.join(len(ids), seams)
    assert len(np.unique(place[triangles])) == len(np.unique(HEAD.f))
    whole = shapes.make(POINTS, HEAD.f, POINTS[MARKED])
    cut = shapes.make(POINTS[ids], triangles, POINTS[MARKED])
    assert np.abs(cut.moves - whole.moves[:, ids]).max() < 0.05


def test_a_head_that_is_shaded_flat_is_whole_again():
    """Every triangle has its own vertices, also where shut lips touch."""
    points, triangles = POINTS[HEAD.f].reshape(-1, 3), np.arange(HEAD.f.size).reshape(-1, 3)
    place = joining.join(len(points), joining.open_seams(points, triangles)[0])
    pairs = np.unique(np.stack([place, HEAD.f.ravel()]), axis=1)
    assert len(pairs.T) == len(np.unique(place)) == len(np.unique(HEAD.f))


def test_a_strip_of_tears_on_a_lid_is_not_joined_to_it():
    """Its vertices lie where those of the rim do, but the rim is no open edge."""
    rim = np.array([[0, 1, 4], [1, 5, 4], [4, 5, 8], [5, 9, 8]])  # skin goes on under the strip
    x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
    points = np.c_[x.ravel(), y.ravel(), 0 * x.ravel()]
    strip = np.array([[12, 13, 14], [13, 15, 14]])
    points = np.concatenate([points, [[0, 1, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]]])
    assert not len(joining.open_seams(points, np.concatenate([rim, strip]))[0])


def test_lips_whose_open_edges_meet_stay_apart():
    """A mouth that is only a slit, shut, with vertices doubled along it."""
    triangles = filled_mouth()
    rings = HEAD.mouth_vertices[HEAD.mouth_parts == 0].reshape(7, 40)
    slit = np.r_[rings[4][0], rings[4][UPPER], rings[4][20]]
    x, y, _ = POINTS[triangles].mean(1).T
    line = POINTS[slit[POINTS[slit, 0].argsort()]]
    below = y < np.interp(x, line[:, 0], line[:, 1])
    is_copied = np.isin(triangles, slit[1:-1]) & below[:, None]
    copies = np.arange(len(POINTS))
    copies[slit[1:-1]] = len(POINTS) + np.arange(len(slit) - 2)
    points = np.concatenate([POINTS, POINTS[slit[1:-1]]])
    jaw = shapes.make(points, np.where(is_copied, copies[triangles], triangles), POINTS[MARKED])
    by = jaw.moves[jaw.names.index("jawOpen")]
    assert (by[slit[10], 1] - by[copies[slit[10]], 1]) > 15


def test_the_inside_of_a_lip_that_comes_through_its_outside_goes_behind_it():
    """A lip 2 mm thick, whose outside goes back by 7 mm and whose inside by 3."""
    y, x = (each.ravel() for each in np.mgrid[:20.0, :20.0])
    first = np.flatnonzero((x < 19) & (y < 19))
    front = (first[:, None, None] + np.array([[0, 1, 21], [0, 21, 20]])).reshape(-1, 3)
    sheet = np.c_[x, y, 0 * x]
    lip = Surface(np.concatenate([sheet, sheet - [0, 0, 2]]), np.r_[front, front[:, ::-1] + 400])
    move = np.where(np.arange(800) < 400, -7.0, -3.0)[:, None] * np.array([0.0, 0.0, 1.0])
    mouth = np.array([[0.0, 0.0, 0.0], [19.0, 19.0, 0.0]])
    seen = np.arange(len(lip.triangles)) < len(front)
    view = judging.MouthView.of(lip, mouth)
    assert view.back_shown(move)[2] > 300
    assert shapes._hide_inside(view, move, seen)[1] == 0
    assert (move[:400, 2] == -7).all() and (move[400:, 2] < -5).all()


def test_a_lip_that_goes_back_stays_before_teeth():
    """A lip that goes back by 7 mm, and a tooth 3 mm behind it."""
    y, x = (each.ravel() for each in np.mgrid[:20.0, :20.0])
    first = np.flatnonzero((x < 19) & (y < 19))
    front = (first[:, None, None] + np.array([[0, 1, 21], [0, 21, 20]])).reshape(-1, 3)
    lip, tooth = (Surface(np.c_[x, y, 0 * x - far], front) for far in (0, 3))
    move = np.tile([0.0, 0.0, -7.0], (400, 1))
    view = judging.MouthView.of(lip, np.array([[0.0, 0.0, 0.0], [19.0, 19.0, 0.0]]), tooth)
    assert len(view.pierced(move)[0]) > 1000
    shapes._hide_inside(view, move, np.ones(len(front), bool))
    assert not len(view.pierced(move)[0]) and (move[:, 2] > -3).all() and (move[:, 2] < -2).all()


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_an_eye_that_is_shut_at_rest_is_named(side):
    points = POINTS.copy()
    own = model()
    points[own.ids] += own.lids[("Left", "Right").index(side)].shut(own.skin.points, own.skin)
    named = shapes.make(points, HEAD.f, points[MARKED]).faults["no eye"]
    assert list(named) == ["eyeBlink" + side]
    far = np.linalg.norm(
        points[named["eyeBlink" + side]] - own.eyes[("Left", "Right").index(side)], axis=1
    )
    assert 20 < len(far) and far.max() < 30
