# SPDX-License-Identifier: GPL-3.0-or-later
"""A character is believed by what its keys and bones do to its face, not by what they are called.

That this is what Blender shows is tested in tests/blender/test_reach.py.
"""

from dataclasses import replace

import numpy as np
import pytest
from few_points import BONES, JAW, KEYS, mirrored, PLACES, POINTS, without
from made_characters import (
    bound,
    driven,
    face_of,
    found,
    jaw_channel,
    key,
    rig_with,
    small_face,
    small_mesh,
    turned,
    weighed,
)

from thunder_core.face import mapping
from thunder_core.face.mapping import Target
from thunder_core.face.reading import conventions, detecting, reach
from thunder_core.face.reading.bones import Copy, Limit

FOLDS = {"corner_l": (0, 0, -0.002), "corner_r": (0, 0, -0.002)}


def joints(plan, joint="jaw"):
    return [each.bone for each in plan.joints if each.joint == joint]


def gap(seen, name="open"):
    return seen.reach.shown[name][0]


SMILES = (("Smile", 0.008), ("Frown", -0.006))  # how far these move the corners up


def opposite(moves):
    return {place: tuple(-x for x in by) for place, by in moves.items()}


# ---- the jaw


def test_a_fold_of_skin_is_no_jaw_where_a_bone_opens_the_mouth():
    seen = found(bound(small_face(KEYS | {"jawOpen": FOLDS})), rig=rig_with())
    assert joints(seen.plan) == ["jaw"]
    assert "jawOpen" in {rule.source for rule in seen.plan.rules}  # the fold goes with it
    assert gap(seen) > 15 and abs(gap(seen, "closed")) < 0.1 * gap(seen)


def test_a_slider_that_turns_a_bone_counts_by_what_the_face_does():
    turns = driven(jaw_channel(), Target("KEY", "jawOpen"), "v * 0.4")
    rig = rig_with(jaw={"mode": "XYZ"})
    seen = found(bound(small_face(KEYS | {"jawOpen": FOLDS})), rig=rig, drivers=(turns,))
    assert not joints(seen.plan)
    assert gap(seen) > 15 and abs(gap(seen, "closed")) < 0.1 * gap(seen)


def test_a_jaw_key_that_opens_is_not_helped_by_a_bone():
    assert not joints(found(bound(small_face()), rig=rig_with()).plan)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_a_face_is_told_by_its_lips_before_the_jaw_whichever_way_it_looks(degrees, keyed):
    turn = turned("Z", degrees)
    face = bound(small_face(KEYS if keyed else without("jawOpen"), turn))
    seen = found(face, rig=rig_with(turn=turn))
    wanted = {0: "-Y", 90: "X", 180: "Y", 270: "-X"}[degrees]
    assert (seen.plan.forward, seen.plan.up) == (wanted, "Z") and gap(seen) > 15


def test_a_face_that_lies_on_its_back_stands_by_its_eyes_above_its_mouth():
    turn = turned("X", -90)  # Y up, as files of other programs have it
    plan = found(small_face(KEYS, turn), rig=rig_with({"root": ((0, 0, 0), (0, 0, 1), None)})).plan
    assert (plan.forward, plan.up) == ("Z", "Y")


@pytest.mark.parametrize("degrees", [-60, -35, 0, 35, 60])
@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_the_lips_of_a_head_that_is_modelled_bent_part_and_meet(degrees, keyed):
    """A face that looks down or up: its own up tells, not that of the file."""
    turn = turned("X", degrees)
    face = bound(small_face(KEYS if keyed else without("jawOpen"), turn))
    seen = found(face, rig=rig_with(turn=turn))
    assert not seen.reach.faults
    assert gap(seen) == pytest.approx(22.0 if keyed else 28.6, abs=0.1)
    assert gap(seen, "closed") == pytest.approx(0.0 if keyed else 0.7, abs=0.1)


@pytest.mark.parametrize("axis, degrees", [("Z", 0), ("Z", 15), ("Z", 35), ("Y", 15), ("Y", 35)])
def test_a_face_that_its_bones_turn_askew_is_said(axis, degrees):
    turn = turned(axis, degrees)
    seen = found(bound(small_face(without("jawOpen"), turn)), rig=rig_with(turn=turn))
    said = f"The face looks {degrees}° past an axis"
    assert any(said in fault for fault in seen.reach.faults.values()) == (degrees == 35)
    assert not {"wide", "round"} & set(seen.reach.faults) and not seen.unused


# ---- what is no key


def test_dead_and_inverted_keys_are_no_keys():
    wrong = {"mouthPucker": opposite(KEYS["mouthPucker"]), "mouthFunnel": {}}
    seen = found(small_face(KEYS | wrong | {"eyeBlinkLeft": {"lid_l": (0, 0, 0.008)}}))
    assert {"jawOpen", "mouthClose", "eyeBlinkRight"} <= seen.plan.used
    assert not {"mouthPucker", "eyeBlinkLeft", "mouthFunnel"} & seen.plan.used
    said = " ".join(seen.unused)
    assert "“mouthPucker” widens the mouth" in said and "“eyeBlinkLeft” opens the eye" in said
    assert "“mouthFunnel” moves nothing" in said


LOOKS = {
    "eyeLookOutLeft": {"lid_l": (0.004, 0, 0)},
    "eyeLookInLeft": {"lid_l": (-0.004, 0, 0)},
    "eyeLookUpLeft": {"lid_l": (0, 0, 0.004)},
}


@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_eyes_turn_as_they_are_asked_or_not_by_these_keys(degrees):
    turn = turned("Z", degrees)
    assert set(LOOKS) <= found(small_face(KEYS | LOOKS, turn)).plan.used
    wrong = {name: opposite(moves) for name, moves in LOOKS.items()}
    seen = found(small_face(KEYS | wrong, turn))
    assert not set(LOOKS) & seen.plan.used
    assert "“eyeLookOutLeft” turns the eye the other way" in seen.unused


def test_a_face_named_from_the_viewers_side_keeps_its_eyes():
    seen = found(small_face({mirrored(name): by for name, by in (KEYS | LOOKS).items()}))
    assert seen.reach.is_mirrored and {mirrored(name) for name in LOOKS} <= seen.plan.used


def test_a_face_that_is_mirrored_by_its_scale_keeps_its_sides():
    flip = np.diag([-1.0, 1.0, 1.0])
    assert not found(small_face(KEYS, flip), is_mirrored=True).reach.is_mirrored
    assert found(small_face(KEYS, flip)).reach.is_mirrored


def test_a_jaw_that_goes_up_is_named_and_gives_way_to_a_bone():
    face = small_face(KEYS | {"jawOpen": opposite(KEYS["jawOpen"])})
    seen = found(face)
    assert seen.unused[0] == "“jawOpen” goes up and parts no lips"
    assert not {"jaw", "jawOpen"} & seen.plan.used
    assert gap(found(bound(face), rig=rig_with())) > 15


def test_keys_that_only_drive_something_are_alive():
    """A mesh whose keys are sliders for what they drive, on a face where others move points."""
    drives = driven(Target("KEY", "mouthPucker"), Target("KEY", "mouthFunnel"))
    seen = found(small_face(KEYS | {"mouthFunnel": {}}), drivers=(drives,))
    assert "mouthFunnel" in seen.plan.used


def test_reach_names_what_is_missing():
    seen = found(small_face(without("mouthPucker", "eyeBlinkLeft", "eyeBlinkRight"))).reach
    assert set(seen.faults) == {"round", "blink"}
    assert seen.shown["wide"][1] == pytest.approx(18.0, abs=0.1)
    assert abs(seen.shown["closed"][0]) < 0.5


def part(name, share):
    """A share of what a key moves."""
    return {place: tuple(share * x for x in move) for place, move in KEYS[name].items()}


def test_a_slider_that_stops_at_0_pulls_nothing_back():
    """Faces of vowels close by taking their keys back, of which the sliders show nothing."""

    both = part("jawOpen", 0.5) | part("mouthPucker", 0.6)
    keys = {"Fcl_MTH_A": KEYS["jawOpen"], "Fcl_MTH_U": KEYS["mouthPucker"], "Fcl_MTH_O": both}
    seen = found(small_face(keys))
    assert abs(gap(seen, "closed")) < 0.1 and "closed" not in seen.reach.faults


def test_lips_close_on_a_character_that_has_keys_for_vowels_alone():
    shares = dict(zip("AEIOU", (1.0, 0.4, 0.3, 0.6, 0.02)))
    keys = {f"Fcl_MTH_{letter}": part("jawOpen", share) | FOLDS for letter, share in shares.items()}
    plan = found(small_face(keys)).plan

    def values(**channels):
        channels["jawOpen"] = 0.5
        sums = dict.fromkeys("AEIOU", 0.0)
        for rule in plan.rules:
            amount = channels.get(rule.source.removesuffix("Left").removesuffix("Right"), 0.0)
            sums[rule.target.name[-1]] += rule.weight * amount
        return sums

    spread = values(mouthStretch=0.4)
    assert spread["I"] == pytest.approx(0.4)
    assert spread["A"] == pytest.approx(0.5 - 0.3 * 0.4, abs=0.05)
    shut = values(mouthStretch=0.4, mouthClose=0.5)
    assert max(shut["A"], shut["I"]) <= 0.0, "m, b and p: the vowel's key goes with the jaw"
    rounded = values(mouthPucker=0.4, mouthClose=0.5)["U"]
    assert rounded == pytest.approx(0.4), "a key that opens no jaw stays"


def test_a_muted_key_is_no_key():
    face = small_face()
    muted = {name: replace(face.keys[name], is_muted=True) for name in ("eyeBlinkLeft", "jawOpen")}
    face = replace(face, keys=face.keys | muted)
    seen = found(face)
    assert seen.unused == ("“jawOpen” of “Face” is muted", "“eyeBlinkLeft” of “Face” is muted")
    seen = found(bound(face), rig=rig_with())
    assert not {"jawOpen", "eyeBlinkLeft"} & {rule.source for rule in seen.plan.rules}
    assert joints(seen.plan) == ["jaw"] and gap(seen) > 15


def driven_key(name, driver, keys=KEYS):
    """A small face of which one key has a driver."""
    return driven_keys({name: driver}, keys)


def driven_keys(drivers, keys=KEYS):
    """A small face of which some keys have drivers."""
    face = small_face(keys)
    changed = {name: replace(face.keys[name], driver=by) for name, by in drivers.items()}
    return replace(face, keys=face.keys | changed)


def test_a_control_goes_as_far_as_fills_its_keys_and_either_way_where_it_has_two():
    """As on control rigs, whose sliders go to 10 or by millimetres."""
    slider = Target("PROPERTY", "jaw", "Rig", "face")
    corner = Target("BONE", "", "Rig", "corner.L", "location", 1)
    ways = {
        "jawOpen": (slider, "v / 10"),
        "mouthSmileLeft": (corner, "max(v * 50, 0)"),
        "mouthFrownLeft": (corner, "max(-v * 50, 0)"),
    }
    drivers = {name: driven(Target("KEY", name), *way) for name, way in ways.items()}
    corners = {f"mouth{each}Left": {"corner_l": (0, 0, z)} for each, z in SMILES}
    seen = found(driven_keys(drivers, KEYS | corners), drivers=tuple(drivers.values()))
    rules = {rule.source: (rule.target, rule.weight) for rule in seen.plan.rules}
    wanted = {"jawOpen": 10.0, "mouthSmileLeft": 0.02, "mouthFrownLeft": -0.02}
    for name, weight in wanted.items():
        assert rules[name] == (ways[name][0], pytest.approx(weight, rel=1e-3))
    assert not seen.unused and gap(seen) == pytest.approx(22.0, abs=0.1)


def test_properties_named_like_channels_are_a_control_rig():
    """A rig of sliders alone, whatever they drive; also names with L and R."""
    names = conventions.conventions()[0].keys
    short = [name.replace("Left", "_L").replace("Right", "_R") for name in names]
    rig = replace(rig_with(), properties=tuple(("face", name) for name in short))
    rules = found(rig=rig).plan.rules
    assert {rule.source: rule.target.name for rule in rules} == dict(zip(names, short))


def test_a_jaw_key_whose_driver_is_not_followed_is_named():
    wild = replace(driven(Target("KEY", "jawOpen"), None, "sin(frame)"), inputs=())
    seen = found(driven_key("jawOpen", wild, KEYS | {"mouthFunnel": {}}), drivers=(wild,))
    assert seen.unused[0] == "“jawOpen” has a driver that is not followed"
    scripted = replace(wild, needs_scripts=True)
    assert detecting.SCRIPTS in found(driven_key("jawOpen", scripted)).unused


def test_a_driver_that_cannot_be_read_is_tried():
    """By what is shown; and what a control does besides is looked at on the face."""
    control = Target("PROPERTY", "dial", "Rig")
    wild = driven(Target("KEY", "jawOpen"), control, "[v][0]")
    wild = replace(wild, tried=lambda driver: driver.nearest(lambda at: 2.0 * at[control]))
    face = driven_key("jawOpen", wild)
    jaw = dict(zip(*face.keys["jawOpen"].moves()))
    shown = np.array([jaw.get(i, np.zeros(3)) for i in range(len(PLACES))])
    asked = []

    def tried(moves):
        asked.append(moves)
        return [2.0 * moves[control] * shown]

    seen = found(face, drivers=(wild,), tried=tried)
    [rule] = [rule for rule in seen.plan.rules if rule.source == "jawOpen"]
    assert (rule.target, rule.weight) == (control, pytest.approx(0.5))
    assert asked == [{control: pytest.approx(0.5)}] * len(asked) and asked
    assert gap(seen) == pytest.approx(22.0, abs=0.01) and "open" not in seen.reach.faults


@pytest.mark.parametrize("name, least, apart", [("jawOpen", 0.2, 4.4), ("eyeBlinkLeft", 0.5, 0.0)])
def test_lips_that_a_slider_keeps_open_are_said(name, least, apart):
    face = small_face()
    held = {"eyeBlinkRight": 0.7, name: least}
    held = {each: replace(face.keys[each], least=by) for each, by in held.items()}
    seen = found(replace(face, keys=face.keys | held))
    assert gap(seen, "rest") == pytest.approx(apart, abs=0.01)
    wanted = ["The lips are 4.4 mm apart at rest: set the Range Min of “jawOpen” from 0.2 to 0"]
    assert list(seen.reach.faults.values()) == (wanted if apart else [])


@pytest.mark.parametrize("kind", ["right", "swapped", "open smile"])
def test_a_smile_lifts_the_corners_and_a_frown_lowers_them_or_is_no_key(kind):
    way = -1 if kind == "swapped" else 1
    keys = dict(KEYS)
    for side in ("Left", "Right"):
        corner = f"corner_{side[0].lower()}"
        for each, far in SMILES:
            keys[f"mouth{each}{side}"] = {corner: (0, 0, way * far)}
        if kind == "open smile":  # as of drawn faces, whose lower lip goes down
            keys[f"mouthSmile{side}"] |= KEYS["jawOpen"]
    face = small_face(keys)
    seen = found(face)
    names = {f"mouth{what}{side}" for what in ("Smile", "Frown") for side in ("Left", "Right")}
    if kind != "swapped":
        assert names <= seen.plan.used and not seen.unused
        return
    assert not names & seen.plan.used
    assert "“mouthSmileLeft” lowers the corner of the mouth" in seen.unused
    assert "“mouthFrownRight” raises the corner of the mouth" in seen.unused
    rules = [mapping.Rule(name, Target("KEY", name), 1.0) for name in sorted(names)]
    by_hand = replace(seen.plan, rules=(*seen.plan.rules, *rules))
    faults = detecting.find(face_of(by_hand, face).meter.of, by_hand).reach.faults
    assert faults["mouthSmile"] == "mouthSmile lowers the corner of the mouth: change its target"


@pytest.mark.parametrize("far, said", [(0, "Nothing closes"), (3, "down by 3 mm only"), (12, "")])
def test_a_blink_that_hardly_moves_the_lids_is_said(far, said):
    lids = {"Left": "lid_l", "Right": "lid_r"}
    blinks = {f"eyeBlink{side}": {lid: (0, 0, -far / 1000)} for side, lid in lids.items()}
    faults = found(small_face(KEYS | blinks)).reach.faults
    assert said in faults["blink"] if said else not faults


def test_the_jaw_is_found_beside_keys_of_another_family():
    """Plain English: none of the conventions has all four."""
    keys = {"Mouth Open": "jawOpen", "Oo": "mouthPucker", "Blink": "eyeBlinkLeft"}
    plan = found(small_face({name: KEYS[like] for name, like in keys.items()})).plan
    targets = {rule.source: rule.target.name for rule in plan.rules}
    assert (targets["jawOpen"], targets["mouthPucker"]) == ("Mouth Open", "Oo")
    assert targets["eyeBlinkLeft"] == "Blink"


# ---- odd faces


@pytest.mark.parametrize("kind", ["none", "all", "teeth", "keys"])
def test_a_jaw_bone_that_parts_no_lips_is_said(kind):
    keys = without("jawOpen") if kind == "keys" else {}
    jaw = tuple(place for place in PLACES if place != "neck") if kind == "all" else ()
    meshes = [bound(small_face(keys), jaw)]
    if kind == "teeth":  # 2 cm behind the lips
        points = [(x, -0.08, z) for z in (1.6003, 1.5997) for x in (-0.005, 0.0, 0.005)]
        meshes.append(weighed(small_mesh("Teeth", points), head=[0, 1, 2], jaw=[3, 4, 5]))
    seen = found(*meshes, rig=rig_with())
    assert "jaw" in seen.plan.used
    assert seen.reach.faults["open"].startswith("The jaw does not part the lips")


CHIN = [POINTS["lower"], POINTS["chin"], (0.02, -0.1, 1.5997), (-0.02, -0.1, 1.5997)]


def test_a_jaw_that_is_an_object_of_its_own_parts_the_lips():
    """As of robots and puppets: hung on a bone."""
    part = small_mesh("Jaw", CHIN, hangs=("Rig", "jaw"))
    seen = found(bound(small_face({}), ()), part, rig=rig_with())
    assert set(seen.reach.parts) == {"Face", "Jaw"} and "open" not in seen.reach.faults
    assert gap(seen) > 15
    head = small_mesh("Face", list(POINTS.values()), hangs=("Rig", "head"))
    assert gap(found(head, part, rig=rig_with())) > 15, "no mesh is bound to the rig"


@pytest.mark.parametrize("has_face", [True, False], ids=["keys of both", "keys of its own"])
def test_a_jaw_that_is_an_object_with_keys_parts_the_lips(has_face):
    """The face has more keys of the mouth, but of the lower lip only a rim."""
    keys = without("jawOpen")
    if has_face:
        keys |= {"jawOpen": KEYS["jawOpen"] | {"lower": (0, 0.004, -0.001)}}
    face = small_face(keys, moved={"lower": (0, 0.02, 0)})  # behind the lip
    part = small_mesh("Jaw", CHIN, {"jawOpen": [(0, 0, -0.022)] * 4})
    rig = rig_with({"head": (*BONES["head"][:2], None)})
    seen = found(bound(face, ()), weighed(part, head=range(4)), rig=rig)
    assert set(seen.reach.parts) == {"Face", "Jaw"} and "open" not in seen.reach.faults
    assert gap(seen) == pytest.approx(22.0, abs=1.0)


@pytest.mark.parametrize("x, y", [(0.5, 0.0), (0.0, 0.4)], ids=["spear", "wings"])
@pytest.mark.parametrize("keyed", [True, False])
def test_what_stands_up_beside_a_head_does_not_make_it_higher(keyed, x, y):
    """A jaw that turns stays one, whatever wings or weapons the character has."""
    points = [(x - 0.02, y, 0.6), (x + 0.02, y, 0.6), (x, y, 2.8)]
    sways = {"Sway": [(0, 0, 0), (0, 0, 0), (0.05, 0, 0)]} if keyed else None
    spear = weighed(small_mesh("Spear", points, sways), hips=range(3))
    seen = found(bound(small_face(without("jawOpen") if keyed else {})), spear, rig=rig_with())
    assert joints(seen.plan) and "jawOpen" not in seen.plan.used and seen.reach.mm == 1000.0


@pytest.mark.parametrize("y", [-0.115, -0.16], ids=["mask", "visor"])
def test_what_is_worn_before_the_mouth_does_not_make_teeth_of_lips(y):
    rows = [(x / 100, y, z / 100) for x in range(-8, 9, 2) for z in range(150, 176, 2)]
    worn = weighed(small_mesh("Worn", rows), head=range(len(rows)))
    seen = found(bound(small_face({})), worn, rig=rig_with())
    assert seen.reach.parts == ("Face",) and gap(seen) > 15


@pytest.mark.parametrize("with_bone", [False, True])
def test_a_jaw_key_of_the_teeth_alone_is_no_jaw(with_bone):
    moved = dict.fromkeys(PLACES, (0, 0.02, 0))
    teeth = small_face({"jawOpen": KEYS["jawOpen"]}, name="Teeth", moved=moved)
    bone = "jaw" if with_bone else "other"
    rig = rig_with({bone if name == "jaw" else name: at for name, at in BONES.items()})
    face = bound(small_face(without("jawOpen")), JAW if with_bone else (), bone)
    seen = found(face, bound(teeth, (), bone), rig=rig)
    assert "jawOpen" in {rule.source for rule in seen.plan.rules}  # the teeth go with it
    assert ("open" in seen.reach.faults) != with_bone and seen.reach.parts == ("Face",)
    assert not {"wide", "round", "closed"} & set(seen.reach.faults)


def test_what_is_worn_far_before_the_face_does_not_turn_it_round():
    seen = found(small_face(moved={"top": (0, -0.5, 0)}))  # the brim of a hat
    assert (seen.plan.forward, seen.plan.up) == ("-Y", "Z") and not seen.reach.is_mirrored


@pytest.mark.parametrize("far", [5, 10])
@pytest.mark.parametrize("by", ["mouthClose", "jaw bone", "both", "nothing", "skin"])
def test_lips_that_are_modelled_apart_meet_where_those_of_a_take_do(by, far):
    """Where an edge joins them they are skin, which is not apart."""
    keys = {
        "jaw bone": without("jawOpen", "mouthClose"),
        "both": without("jawOpen"),
        "nothing": without("mouthClose"),
    }.get(by, KEYS)
    ids = tuple(range(len(PLACES)))
    joined = (lambda: zip(ids, ids[1:], ids[2:])) if by == "skin" else tuple
    face = small_face(keys, moved=dict.fromkeys(JAW, (0, 0, -far / 1000)), faces=joined)
    has_bone = by in ("jaw bone", "both")
    seen = found(bound(face) if has_bone else face, rig=rig_with() if has_bone else None)
    if by == "nothing":
        assert list(seen.reach.faults) == ["closed"]
        return
    assert not seen.reach.faults
    assert (mapping.REST in {rule.source for rule in seen.plan.rules}) == (by != "skin")
    if by != "skin":
        at = face_of(seen.plan, bound(face) if has_bone else face, rig=rig_with())
        assert abs(at.gap({})) < 0.7 and abs(at.gap({"jawOpen": 0.2, "mouthClose": 0.2})) < 0.7


LIPS = {
    f"{lip}{side}": (x, -0.1 + abs(x) / 8, POINTS[lip][2])
    for lip in ("upper", "lower")
    for side, x in (("", 0.0), ("_l", 0.015), ("_r", -0.015))
}
LOWER_LIP = [place for place in LIPS if place.startswith("lower")]


def wide_lips(keys, moved=None, half=False):
    """The face of few points with three pairs of lips, which jaw and mouthClose move alike; half:
    its left side under a Mirror modifier."""
    points = {place: at for place, at in (POINTS | LIPS).items() if not half or at[0] >= 0}
    every = {
        "jawOpen": dict.fromkeys(LOWER_LIP, KEYS["jawOpen"]["lower"]) | KEYS["jawOpen"],
        "mouthClose": {place: KEYS["mouthClose"][place[:5]] for place in LIPS},
    }
    every = {
        name: {place: by for place, by in moves.items() if place in points}
        for name, moves in (KEYS | every | keys).items()
        if not (half and name.endswith("Right"))
    }
    how = {"modifiers": frozenset({"MIRROR"})} if half else {}
    return small_face(every, moved=moved, points=points, **how)


def pressing(middle):
    """Keys that press the sides of the lips by 4 mm, and their middle by so many together."""
    return {
        f"mouthPress{side}": {
            f"lower_{side[0].lower()}": (0, 0, 0.002),
            f"upper_{side[0].lower()}": (0, 0, -0.002),
            "lower": (0, 0, middle / 4000),
            "upper": (0, 0, -middle / 4000),
        }
        for side in ("Left", "Right")
    }


@pytest.mark.parametrize("middle", [0.0, 3.0])
def test_lips_meet_in_their_middle_where_keys_press_their_sides(middle):
    """So m, b and p are shut where lips are widest apart, however far the sides are pressed."""
    face = wide_lips(pressing(middle))
    at = face_of(found(face).plan, face)
    press = {"mouthPressLeft": 0.3, "mouthPressRight": 0.3}
    moved = at.joined(at.moved({"jawOpen": 0.2, "mouthClose": 0.2} | press))
    upper, lower = at.lips
    apart = 1000 * (moved[upper] - moved[lower])[:, 2]
    assert len(apart) == 3 and abs(apart.max()) < 0.1


def test_lips_are_as_far_apart_as_they_are_at_their_widest():
    """Measured on a face, in what Blender shows, and in a Basis, which the jaw then shuts."""
    only_left = wide_lips({"jawOpen": {**KEYS["jawOpen"], "lower_l": (0, 0, -0.021)}})
    seen = found(only_left)
    assert gap(seen) == pytest.approx(22.0, abs=0.1)
    places = np.array(seen.reach.rest)
    places[len(seen.reach.upper), 2] -= 0.004  # one of the lower lip's points
    assert reach.lip_gap(seen.reach, places) == pytest.approx(4.0, abs=0.1)
    sides = dict.fromkeys(("lower_l", "lower_r"), (0, 0, -0.0008))
    apart = wide_lips({}, moved={"lower": (0, 0, -0.0018)} | sides)
    at = face_of(found(apart).plan, apart)
    assert at.parted == pytest.approx(2.4, abs=0.1) and abs(at.gap({})) < 0.3


def test_half_a_face_opens_its_lips_as_a_whole_one():
    """In the middle of a whole face the keys of both sides add up, half a face has one there; what
    the modifier makes needs no key of its own, nor the jaw in its place."""
    down = {
        f"mouthLowerDown{side}": {
            f"lower_{side[0].lower()}": (0, 0, -0.007),
            "lower": (0, 0, -0.004),
        }
        for side in ("Left", "Right")
    }
    both = {"mouthLowerDownLeft": 0.5, "mouthLowerDownRight": 0.5}
    opens = {}
    for half in (False, True):
        face = wide_lips(down, half=half)
        at = face_of(found(face).plan, face)
        moved = at.joined(at.moved(both))
        opens[half] = -1000 * moved[at.lips[1], 2]
        assert {"mouthLowerDownRight", "mouthStretchRight"} <= at.plan.used
        by_jaw = {rule.source for rule in at.rules if rule.target.name == "jawOpen"}
        assert not by_jaw & set(both)
    assert opens[True].mean() == pytest.approx(opens[False].mean(), rel=0.1)


@pytest.mark.parametrize("jaw", ["key", "bone", "key of both sides"])
def test_half_a_face_with_a_mirror_widens_its_mouth_and_looks_ahead(jaw):
    points = {place: at for place, at in POINTS.items() if at[0] >= 0}
    keys = {
        name.removesuffix("Left" if jaw == "key of both sides" else ""): {
            place: by for place, by in moves.items() if place in points
        }
        for name, moves in (without("jawOpen") if jaw == "bone" else KEYS).items()
        if not name.endswith("Right")
    }
    keys["mouthPucker"]["nose"] = (-0.02, 0, 0)  # skin beyond the middle goes inwards as well
    half = {"points": points, "modifiers": frozenset({"MIRROR"})}
    face = small_face(keys, moved={"nose": (0.012, 0, 0)}, **half)
    hinge = () if jaw == "key of both sides" else JAW  # that says where the face looks
    seen = found(bound(face, hinge, places=list(points)), rig=rig_with())
    assert not seen.reach.faults and "mouthPucker" in seen.plan.used


def test_a_beak_that_opens_straight_down_looks_ahead():
    down = {"jawOpen": {"lower": (0, 0, -0.03), "chin": (0, 0, -0.03)}}
    ahead = dict.fromkeys(("upper", "lower", "chin", "nose"), (0, -0.2, 0))
    seen = found(small_face(KEYS | down, moved=ahead))
    assert (seen.plan.forward, seen.plan.up) == ("-Y", "Z")
    assert "jawOpen" in seen.plan.used and not seen.reach.faults


@pytest.mark.parametrize("by", ["bone", "key"])
def test_the_upper_half_of_a_puppets_head_opens_its_mouth(by):
    upper = tuple(place for place in PLACES if place not in (*JAW, "neck"))
    if by == "bone":
        seen = found(bound(small_face({}), upper), rig=rig_with())
    else:
        rises = {"jawOpen": dict.fromkeys(upper, (0, 0.004, 0.022))}
        seen = found(small_face(KEYS | rises))
    assert gap(seen) > 15 and gap(seen, "closed") < 1
    assert (seen.plan.forward, seen.plan.up) == ("-Y", "Z")


def test_a_drawn_mouth_that_is_a_line_of_some_width_meets():
    """As of cartoons: a dark ellipse on a plane, which a key makes higher."""
    around = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    points = np.stack([0.04 * np.cos(around), np.full(32, -0.001), 0.002 * np.sin(around)], 1)
    mouth = small_mesh(
        "Mouth", points, {"MouthOpen": points * [0, 0, 11]}, faces=lambda: [range(32)]
    )
    seen = found(mouth).reach
    assert seen.upper and not {"open", "closed"} & set(seen.faults)


# ---- bones


@pytest.mark.parametrize("degrees", [0, 90])
@pytest.mark.parametrize("tail", [(0, -0.09, 1.55), (0, 0, 1.7), (0.05, 0, 1.62), (0.1, 0.1, 1.5)])
def test_a_jaw_of_bone_turns_about_the_heads_own_axes_whichever_way_it_lies(tail, degrees):
    turn = turned("Z", degrees)
    eyes = {
        f"{side}Eye": ((x, -0.08, 1.67), (x, -0.1, 1.67), "head")
        for side, x in (("Left", 0.03), ("Right", -0.03))
    }
    bones = BONES | {"jaw": (BONES["jaw"][0], tail, "head")} | eyes
    seen = found(bound(small_face(without("jawOpen"), turn)), rig=rig_with(bones, turn))
    places = {rule.joint for rule in seen.plan.joints}
    assert places == {"jaw", "neck", "eye_left", "eye_right"}
    assert gap(seen) == pytest.approx(28.6, abs=0.1) and not seen.reach.faults


@pytest.mark.parametrize("names", [("jaw_upper", "jaw_lower"), ("Jaw_Top", "Jaw_Bottom")])
def test_of_an_upper_and_a_lower_jaw_the_one_that_opens_the_mouth_turns(names):
    above, below = names
    rig = rig_with(
        {
            "head": (*BONES["head"][:2], None),
            above: ((0, 0, 1.63), (0, -0.09, 1.62), "head"),
            below: ((0, 0, 1.62), (0, -0.09, 1.55), "head"),
        }
    )
    parts = {above: ("upper", "nose"), below: JAW}
    parts["head"] = [place for place in PLACES if place not in (*parts[above], *JAW)]
    ids = {bone: [PLACES.index(place) for place in places] for bone, places in parts.items()}
    seen = found(weighed(small_face({}), **ids), rig=rig)
    assert joints(seen.plan) == [below] and gap(seen) > 10


@pytest.mark.parametrize("is_locked", [True, False])
@pytest.mark.parametrize("degrees", [0, 180])
def test_a_jaw_bone_at_the_chin_is_moved_where_turning_it_opens_nothing(is_locked, degrees):
    turn = turned("Z", degrees)
    bones = {
        "head": (*BONES["head"][:2], None),
        "jaw": ((0, -0.1, 1.5997), (0, -0.12, 1.59), "head"),
    }
    rig = rig_with(bones, turn, jaw={"is_locked": (is_locked,) * 3})
    seen = found(bound(small_face({}, turn), ("lower",)), rig=rig)
    assert not seen.reach.faults.get("open") and 15 < gap(seen) < 45
    assert gap(seen, "closed") == pytest.approx(0, abs=1.0)


@pytest.mark.parametrize("head", [(0, -0.1, 1.5997), (0, -0.088, 1.6)], ids=["nothing", "4 mm"])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_jaw_bone_that_opens_little_as_it_turns_is_moved(head, scale):
    bones = {
        "head": (*np.array(BONES["head"][:2]) / scale, None),
        "jaw": (np.array(head) / scale, np.array((0.03, -0.12, 1.62)) / scale, "head"),
    }
    face = bound(small_face({}, np.eye(3) / scale), ("lower",))
    seen = found(face, rig=rig_with(bones), mm=1000.0 * scale)
    assert 15 < gap(seen) < 45 and not joints(seen.plan)


def limited(*limits, faces=tuple, **more):
    """What is found on a face without keys whose jaw has limits (is it a turn, least, most)."""
    ends = tuple(Limit(turns, (least,) * 3, (most,) * 3) for turns, least, most in limits)
    return found(bound(small_face({}, **more)), rig=rig_with(jaw={"limits": ends}))


def test_a_jaw_goes_as_far_as_its_limits_let_it():
    assert 5 < gap(limited((True, -0.1, 0.1))) < 15
    assert gap(limited((True, 0.0, 0.0))) > 15, "it is moved"
    seen = limited((True, 0.0, 0.0), (False, 0.0, 0.0))
    assert abs(gap(seen)) < 0.1 and "open" in seen.reach.faults


def test_a_mouth_that_its_jaw_may_not_shut_is_said():
    apart = {"moved": dict.fromkeys(JAW, (0, 0, -0.01))}
    seen = limited(**apart)
    assert abs(gap(seen, "rest")) < 1.0 and "closed" not in seen.reach.faults
    seen = limited((True, 0.0, 1.0), **apart)  # no further than it was modelled
    assert gap(seen, "rest") == pytest.approx(10.6, abs=0.1) and "closed" in seen.reach.faults


@pytest.mark.parametrize("degrees", [0, 180])
def test_a_jaw_that_copies_a_control_tells_where_a_face_looks(degrees):
    """As on control rigs: what deforms is ruled by a constraint, what is keyed deforms nothing."""
    turn = turned("Z", degrees)
    bones = {"DEF-jaw" if name == "jaw" else name: at for name, at in BONES.items()}
    bones["jaw_master"] = BONES["jaw"]
    ruled = {"copy": Copy("jaw_master", is_place=True), "ruled_by": "its constraint “C”"}
    rig = rig_with(bones, turn, **{"DEF-jaw": ruled})
    face = bound(small_face(without("jawOpen"), turn), bone="DEF-jaw")
    seen = found(face, rig=rig)
    assert seen.plan.forward == {0: "-Y", 180: "Y"}[degrees]
    assert joints(seen.plan) == ["jaw_master"] and gap(seen) > 15 and not seen.unused


def test_a_jaw_that_something_else_turns_is_said():
    rig = rig_with(jaw={"ruled_by": "its constraint “Aim”"})
    seen = found(bound(small_face(without("jawOpen"))), rig=rig)
    assert seen.unused == ("“jaw” is turned by its constraint “Aim”",)
    assert not {"jaw", "jawOpen"} & seen.plan.used


@pytest.mark.parametrize("sign", [1, -1])
def test_a_control_of_a_jaw_key_tells_not_where_a_face_looks(sign):
    bones = {"spare" if name == "jaw" else name: at for name, at in BONES.items()}
    bones["ctl_jaw"] = ((0, -0.2, 1.6), (0, -0.25, 1.6), "head")
    turns = driven(Target("KEY", "jawOpen"), jaw_channel("ctl_jaw"), f"{2.3 * sign} * v")
    face = bound(driven_key("jawOpen", turns), bone="spare")
    seen = found(face, rig=rig_with(bones), drivers=(turns,))
    assert (seen.plan.forward, seen.plan.up) == ("-Y", "Z")
    assert gap(seen) == pytest.approx(22.0, abs=0.2) and not seen.reach.faults


def test_keys_behind_sliders_close_the_lips_as_far_as_they_open():
    """A control may have a way of millimetres, and another at whose default the mouth is open."""
    shut = Target("PROPERTY", "shut", "Rig")
    lips = Target("BONE", "", "Rig", "c_lips", "location", 1)
    opens = driven(Target("KEY", "jawOpen"), shut, "1 - v")
    closes = driven(Target("KEY", "mouthClose"), lips, "50 * v")
    face = driven_key("jawOpen", opens)
    face = replace(face, keys=face.keys | {"mouthClose": key(KEYS["mouthClose"], driver=closes)})
    bones = BONES | {"c_lips": ((0, -0.2, 1.6), (0, -0.25, 1.6), "head")}
    seen = found(bound(face), rig=rig_with(bones), drivers=(opens, closes))
    assert not seen.reach.faults
    rules = {rule.source: (rule.target, rule.weight) for rule in seen.plan.rules}
    assert rules["jawOpen"] == (shut, pytest.approx(-1.0))
    assert rules["mouthClose"][0] == lips and abs(rules["mouthClose"][1]) < 0.03
    assert rules[mapping.DEFAULT] == (shut, pytest.approx(1.0))


@pytest.mark.parametrize(
    "path, at, stands", [("location", 0.4, 0.4), ("scale", 1.5, 0.5), ("rotation_euler", 0.3, 0.3)]
)
def test_an_object_that_is_a_control_stays_where_it_stands(path, at, stands):
    """At rest its mouth is shut where it is, not at the middle of the world."""
    control = Target("BONE", "", "Slider", "", path, 2)
    opens = driven(Target("KEY", "jawOpen"), control, f"4 * (v - {at})", rest=at)
    seen = found(driven_key("jawOpen", opens), drivers=(opens,))
    rules = {rule.source: (rule.target, rule.weight) for rule in seen.plan.rules}
    assert rules["jawOpen"] == (control, pytest.approx(0.25))
    assert rules[mapping.DEFAULT] == (control, pytest.approx(stands))


def test_a_face_board_with_a_shape_each_way_shows_what_free_keys_show():
    """One control for two opposite shapes: jaw and closing lips, upper and lower lip, funnel and
    pucker, which are one as good as the other."""
    more = {
        f"mouth{part}{side}": {lip: (0, 0, by)}
        for part, lip, by in (("UpperUp", "upper", 0.003), ("LowerDown", "lower", -0.004))
        for side in ("Left", "Right")
    } | {"mouthFunnel": KEYS["mouthPucker"] | {"upper": (0, -0.008, 0)}}
    pairs = (
        ("jaw", "mouthClose", "jawOpen"),
        ("left", "mouthUpperUpLeft", "mouthLowerDownLeft"),
        ("right", "mouthUpperUpRight", "mouthLowerDownRight"),
        ("lips", "mouthFunnel", "mouthPucker"),
    )
    places = {name: ((1, 0, 1), (1, 0, 1.05), None) for name, *_ in pairs}
    drivers = {
        shape: driven(
            Target("KEY", shape),
            Target("BONE", "", "Rig", control, "location", 1),
            f"max(0, {sign} * v)",
        )
        for control, *shapes in pairs
        for shape, sign in zip(shapes, (20, -20))
    }
    free = small_face(KEYS | more)
    board = replace(
        free, keys={name: replace(at, driver=drivers.get(name)) for name, at in free.keys.items()}
    )
    at = [
        face_of(found(mesh, **how).plan, mesh, **how)
        for mesh, how in (
            (free, {}),
            (board, {"rig": rig_with(BONES | places), "drivers": tuple(drivers.values())}),
        )
    ]
    both = {
        f"mouth{part}{side}": 0.4 for part in ("UpperUp", "LowerDown") for side in ("Left", "Right")
    }
    for values in (
        {"jawOpen": 0.6},
        {"jawOpen": 0.3, "mouthClose": 0.3},
        {"mouthUpperUpLeft": 0.4},
    ):
        assert at[1].gap(values) == pytest.approx(at[0].gap(values), abs=0.5)
    rules = {(rule.source, rule.target.bone): rule.weight for rule in at[1].rules}
    assert rules["mouthFunnel", "lips"] == pytest.approx(0.6 * rules["mouthPucker", "lips"])
    assert not {source for source, bone in rules if bone in ("left", "right")} - set(both)


def test_a_key_that_corrects_a_turned_jaw_is_measured_with_it():
    more = {"fix": {"lower": (0, 0, -0.006), "chin": (0, 0, -0.004)}}
    fixes = driven(Target("KEY", "fix"), jaw_channel(), "abs(v) / 0.3")
    face = bound(small_face(without("jawOpen") | more))
    rig = rig_with(jaw={"mode": "XYZ"})
    plain, seen = found(face, rig=rig), found(face, rig=rig, drivers=(fixes,))
    assert gap(seen) == pytest.approx(gap(plain) + 6.0, abs=0.5)
    assert abs(gap(seen, "closed")) < 1.0


@pytest.mark.parametrize("forward, up", [("-Y", "Z"), ("Z", "Y"), ("Y", "Z"), ("X", "Z")])
def test_a_characters_facing_is_found_from_its_eyes(forward, up):
    """A sheet tells no front."""
    ahead, above = mapping.Mapping("", forward=forward, up=up).axes
    turn = np.stack([np.cross(above, ahead), above, ahead], 1)
    bones = {
        "neck": ((0, -0.1, 0), (0, 0, 0), None),
        "jaw": ((0, 0, 0), (0, -0.02, 0.1), "neck"),
        "eye.L": ((0.03, 0.05, 0.08), (0.03, 0.05, 0.1), "neck"),
        "eye.R": ((-0.03, 0.05, 0.08), (-0.03, 0.05, 0.1), "neck"),
    }
    sheet = [(0.05 * x, 0, 0.05 * z) for x in range(4) for z in range(4)]
    face = small_mesh("Face", sheet, {"mouthPucker": np.eye(16, 3) * 0.01})
    plan = found(replace(face, rigs=frozenset({"Rig"})), rig=rig_with(bones, turn)).plan
    assert (plan.forward, plan.up) == (forward, up)
