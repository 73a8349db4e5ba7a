# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawings are known by their usual names, stand in for each other, are held for some frames, and
never lose a closure of the lips."""

import numpy as np
import pytest

from thunder_core.animation import cue_file, keyframes
from thunder_core.face import mapping
from thunder_core.face.drawn_mouths import EYES, MOUTHS, stand_in
from thunder_core.face.moving import drawings, driving
from thunder_core.face.moving.drawings import hold
from thunder_core.face.reading.drawing_names import by_names, in_order, left_over, lids, numbered
from thunder_core.types import Motion

CHANNELS = (
    "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "mouthFunnel",
    "mouthPressLeft", "mouthPressRight", "jawForward",
)  # fmt: skip
TRACKS = tuple(
    driving.Track(0, f'["{name}"]', 0, name, rest, True)
    for name, rest in (("Mouth", 11), ("Eyes", 0))
)


def driver(mouths=MOUTHS, **more):
    numbers = {name: MOUTHS.index(stand_in(name, mouths)) for name in MOUTHS}
    numbers |= {name: place for place, name in enumerate(EYES)}
    return drawings.DrawnDriver(driving.Driver((), ()), TRACKS, numbers, {}, **more)


def still(frames=50, **values):
    expression = np.zeros((frames, len(CHANNELS)), np.float32)
    for name, value in values.items():
        for column, channel in enumerate(CHANNELS):
            expression[:, column] += value * channel.startswith(name)
    return Motion(expression, *np.zeros((3, frames, 3), np.float32))


def named(numbers):
    return [MOUTHS[int(number)] for number in numbers]


@pytest.mark.parametrize(
    "names, wanted",
    [
        ("A B C D E F G H X", {"M B P": "A", "EE": "B", "S CH": "B", "AH": "D", "Rest": "X"}),
        (
            "mouth_AI mouth_E mouth_O mouth_U mouth_etc mouth_L mouth_WQ mouth_MBP mouth_FV "
            "mouth_rest eye_blink eye_open",
            {"AH": "mouth_AI", "EH": "mouth_E", "OO": "mouth_U", "T D K": "mouth_etc",
             "M B P": "mouth_MBP", "Eyes Shut": "eye_blink", "Eyes Open": "eye_open"},
        ),
        (
            "LipsClosed LipsA LipsE LipsO.001 LipsSmile",
            {"M B P": "LipsClosed", "AH": "LipsA", "EE": "LipsE", "OH": "LipsO.001",
             "Smile": "LipsSmile"},
        ),
        (
            "Neutral Aah D Ee F L M Oh R S Uh W-Oo Smile Surprised",
            {"AH": "Aah", "OO": "W-Oo", "EH": "Uh", "M B P": "M", "Rest": "Neutral",
             "S CH": "S", "T D K": "D", "Smile": "Smile"},
        ),
        (
            "A B C D E F G X",
            {"M B P": "A", "EE": "B", "EH": "C", "AH": "D", "OH": "E", "OO": "F", "F V": "G"},
        ),
        (
            "口あ 口い 口う 口え 口お 口ん",
            {"AH": "口あ", "EE": "口い", "OO": "口う", "EH": "口え", "OH": "口お", "M B P": "口ん"},
        ),
        ("ｱ ｲ ｳ ｴ ｵ", {"AH": "ｱ", "EE": "ｲ", "OO": "ｳ", "EH": "ｴ", "OH": "ｵ", "M B P": None}),
        ("a i u e o n", {"M B P": "n", "T D K": None, "EE": "i"}),
        (
            "MouthClosed MouthOpen MouthWide MouthO MouthTeeth",
            {"M B P": "MouthClosed", "AH": "MouthOpen", "EE": "MouthWide", "OH": "MouthO"},
        ),
        ("MBP AI AI.001 E", {"AH": "AI"}),
    ],
)  # fmt: skip
def test_drawings_are_known_by_the_names_of_the_usual_tools(names, wanted):
    found = by_names(names.split())
    assert {name: found.get(name) for name in wanted} == wanted


def test_an_open_mouth_is_never_shown_for_closed_lips_or_in_a_pause():
    for names in ("あ い う え お", "a i u e o", "あ い う え お ん"):
        found = by_names(names.split())
        for sound in ("M B P", "Rest", "Smile", "Frown"):
            assert found[stand_in(sound, found)] not in "あa"


def test_mouths_beside_those_of_the_sounds_are_told_from_what_is_not_known():
    names = ["mouth_AI", "mouth_WQ", "mouth_U", "mouth_MBP", "mouth_AI.001", "Hat", "eye_wide"]
    used = by_names(names).values()
    assert left_over(names, used) == (["mouth_WQ", "mouth_AI.001"], [], ["Hat"])
    names = ["Mouth AI", "Mouth E", "Mouth MBP", "Mouth Zig", "Mouth", "Nose", "Left Pupil"]
    used = by_names(names).values()
    assert left_over(names, used) == ([], ["Mouth Zig"], ["Mouth", "Nose", "Left Pupil"])


@pytest.mark.parametrize(
    "name, sounds",
    [
        ("L, Th", {"L", "TH"}), ("L, D, Th", {"L", "TH", "T D K"}), ("CDGKNRSYZ", {"T D K", "S CH"}),
        ("C, D, G, K, N, R, S, Y, Z", {"T D K", "S CH"}), ("Mouth A and I", {"AH"}),
        ("C/D/G/K/N/R/S/TH/Y/Z", {"T D K", "S CH", "TH"}), ("Mouth M, B and P", {"M B P"}),
        ("Mouth F and V", {"F V"}), ("Mouth W and Q", {"OO"}), ("E, I", {"EE", "EH"}),
        ("Sky", set()), ("Hat", set()), ("RGB", set()), ("Left Lid", set()), ("TV", set()),
    ],
)  # fmt: skip
def test_lists_of_letters_are_read_by_their_letters(name, sounds):
    found = by_names(["Rest", "Smile", name])
    shown = {each for each, of in found.items() if of == name}
    assert shown == sounds


def test_a_letter_of_two_lists_is_shown_by_the_one_that_is_most_of_it():
    found = by_names(["AI", "C, D, G, K, N, R, S, Y, Z", "L, D, Th", "L"])
    assert found["T D K"] == "C, D, G, K, N, R, S, Y, Z"
    assert (found["TH"], found["L"]) == ("L, D, Th", "L")


def test_numbers_are_known_beside_names_and_eyes_are_none_of_them():
    names = [f"mouth_{number:02}" for number in (2, 1, 3, 4)]
    for beside in ("mouth_rest", "Blink", "Left Blink", "Nose"):
        assert numbered([*names, beside]) == sorted(names) == in_order([*names, beside])
    assert numbered(["MBP", "AI", "E", "Strand.001", "Strand.002", "Strand.003"]) == []
    assert numbered(["AI", "AI.001", "AI.002", "AI.003", "E"]) == []
    assert in_order(["Cube", "Brow", "Blink", "Plane"]) == ["Cube", "Plane"]
    assert lids(["Left Blink", "Eye_Closed_R", "Eye.L", "Left Pupil", "Blink"]) == {
        "Left Blink": "Eyes Shut", "Eye_Closed_R": "Eyes Shut"
    }  # fmt: skip


def test_names_that_say_nothing_are_not_guessed():
    assert by_names(["Cube", "Plane.003", "Sphere"]) == {} == by_names([])
    assert by_names(["Eye.L", "Eye.R", "eye_right", "Head"]) == {}, "parts of a puppet"
    assert by_names(["Eyes Left", "look_right"]) == {
        "Eyes Left": "Eyes Left", "Eyes Right": "look_right"
    }  # fmt: skip


def test_every_sound_is_shown_by_the_likest_drawing_that_there_is():
    four = ("M B P", "AH", "OH", "T D K")
    assert [stand_in(name, four) for name in ("Rest", "EH", "OO", "EE", "L", "F V")] == [
        "M B P", "AH", "OH", "T D K", "T D K", "T D K",
    ]  # fmt: skip
    assert all(stand_in(name, ("Rest",)) == "Rest" for name in MOUTHS)


def test_short_drawings_give_way_but_closures_take_what_they_lack():
    shown = np.array([4, 4, 4, 10, 6, 6, 6, 0, 3, 3, 3, 5, 5])
    held = hold(shown, 0, {10}, 2)
    assert held.tolist() == [4, 4, 4, 6, 6, 6, 0, 0, 3, 3, 3, 5, 5]
    assert hold(np.array([4, 4, 4, 0, 4, 4]), 0, set(), 2).tolist().count(0) == 2
    assert hold(np.array([], int), 0, set(), 2).tolist() == []


def test_on_twos_each_drawing_is_held_for_two_frames_and_closures_stay():
    numbers = np.array([4, 4, 0, 4, 4, 6, 6, 6, 6, 6])
    shown = driver(step=2, origin=1).settle(np.arange(5, 15), np.stack([numbers, 0 * numbers], 1))
    assert shown[:, 0].tolist() == [4, 4, 0, 0, 4, 4, 6, 6, 6, 6]
    between = np.array([[6, 0, 0, 4, 4, 0, 0, 6, 6, 6]]).T.repeat(2, 1)  # a vowel, as in “my b”
    shown = driver(step=2).settle(np.arange(10), between)[:, 0]
    assert shown.tolist() == [0, 0, 4, 4, 0, 0, 6, 6, 6, 6]
    th = np.array([[6, 6, 0, 0, 8, 8, 0, 0, 6, 6]]).T.repeat(2, 1)  # and “th” in “both big”
    assert (driver(step=2).settle(np.arange(10), th) == th)[:, 0].all()


def test_a_mouth_is_held_no_shorter_than_chosen_and_shut_where_it_was():
    random = np.random.default_rng(4)
    for step, least in ((2, 3), (2, 2), (3, 4), (1, 1), (1, 2), (1, 3), (4, 1)):
        take = driver(step=step, least=least)
        for _ in range(50):
            values = np.stack([random.integers(0, 12, 60).repeat(2), np.zeros(120)], 1)[:90]
            shown = take.settle(np.arange(90), values)[:, 0]
            edges = np.flatnonzero(np.diff(shown)) + 1
            runs = np.diff(np.r_[0, edges, 90])
            assert (edges % step == 0).all() and (runs[:-1] >= max(least, step)).all()
            for closure in np.flatnonzero(values[:, 0] == 0):
                near = slice(max(closure - least, 0), closure + least + 1)
                assert 0 in shown[near] or step > 1 and 0 in shown


def test_a_take_shows_the_mouths_of_its_sounds_and_how_far_it_opens_its_vowels():
    said = [["M", 0.5, 0.6], ["AA", 0.6, 0.8], ["P", 0.805, 0.82], ["OW", 0.82, 1.0]]
    seconds = np.arange(48) / 24
    shown = {}
    for opened in (3.0, 9.0, 15.0):
        opening = np.full(50, opened)
        cues = cue_file.mouths_of(said, opening, 0.0, cue_file.drawn_mouth)
        shown[opened] = named(driver().say(cues, seconds, still(), CHANNELS, opening))
        assert "M B P" in shown[opened][18:20], "between two frames"
    assert [each[16] for each in shown.values()] == ["EE", "EH", "AH"]
    assert shown[9.0][2] == "Rest" == shown[9.0][-1] and shown[9.0][22] == "OH"


def test_lips_that_the_take_shuts_are_drawn_shut_and_a_smile_is_seen_in_a_pause():
    opening = np.full(50, 9.0)
    opening[15:17] = opening[28] = 0.0  # the text has an m that is not heard, and a b heard as v
    said = [["AA", 0.4, 1.0], ["V", 1.0, 1.2]]
    cues = cue_file.mouths_of(said, opening, 0.0, cue_file.drawn_mouth)
    smiling = still(mouthSmile=0.4)
    shown = named(driver().say(cues, np.arange(48) / 24, smiling, CHANNELS, opening))
    assert shown[15] == "M B P" and shown[12] == "EH" and shown[2] == "Smile"
    assert shown[25] == "F V" and shown[27] == "M B P"


def test_what_is_read_of_a_drawing_shows_that_drawing_again():
    drawn = driver()
    values = np.array([[MOUTHS.index(name), eyes] for name in MOUTHS for eyes in range(7)], float)
    channels = tuple(name for dial in drawings.DIALS for name in dial.tells)
    assert (drawn.drive(drawn.read(values, channels), channels) == values).all()


def test_a_mouth_that_lost_its_drawing_is_read_as_what_is_shown_instead():
    """So Check finds a closure that is missing on a take too."""
    channels = drawings.DIALS[0].tells
    for mouths, is_open in ((("AH", "EE"), True), (("AH", "Rest"), False)):
        read = driver(mouths).read(np.array([[MOUTHS.index("M B P"), 0.0]]), tuple(channels))
        assert (read.jaw[0, 0] > 0 or read.expression.max() > 0) == is_open


def test_nothing_but_what_is_drawn_is_seen_of_a_take():
    channels = (*CHANNELS, "browInnerUp", "eyeWideLeft")
    seen = {source for [(source, _)] in driver().seen(channels)}
    assert {"mouthFunnel", "jaw.x", "eyeBlinkLeft", "eye_left.y"} <= seen
    assert not seen & {"browInnerUp", "eyeWideLeft", "neck.x"}
    numbers = dict.fromkeys(MOUTHS, 0)
    eyeless = drawings.DrawnDriver(driving.Driver((), ()), TRACKS[:1], numbers, {})
    assert not [each for [(each, _)] in eyeless.seen(channels) if each.startswith("eye")]


def test_blinks_and_looks_choose_the_eyes():
    motion = still(6)
    motion.expression[1, :2], motion.expression[2, :2] = 0.5, 0.9
    motion.eyes[3, 1], motion.eyes[4, 0], motion.eyes[5, 1] = 0.3, -0.2, 0.05
    looks = driver().drive(motion, CHANNELS)[:, 1].astype(int)
    assert [EYES[number] for number in looks] == [
        "Eyes Open", "Eyes Half Shut", "Eyes Shut", "Eyes Left", "Eyes Up", "Eyes Open",
    ]  # fmt: skip


def test_a_look_of_few_frames_is_left_out_and_a_lid_on_its_way_stays():
    looks = [0, 0, 3, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0, 6, 6, 6, 6, 0, 1, 2]
    values = np.stack([np.zeros(20), looks], 1)
    shown = driver().settle(np.arange(20), values)[:, 1].astype(int).tolist()
    assert shown == [0, 0, 0, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0, 6, 6, 6, 6, 1, 1, 2]


def test_constant_keys_are_on_changes_alone():
    frames = np.arange(8.0)
    keys = keyframes.as_steps(keyframes.on_every_frame(frames, [2, 2, 3, 3, 3.001, 2, 2, 2]))
    assert keys["co"].tolist() == [[0, 2], [2, 3], [5, 2], [7, 2]]
    assert (keys["interpolation"] == keyframes.CONSTANT).all()
    again = keyframes.evaluate(keys, frames)
    assert again.tolist() == [2, 2, 3, 3, 3, 2, 2, 2]


def test_a_table_of_drawings_is_kept_as_text():
    rules = tuple(
        mapping.Rule(source, target, weight)
        for source, target, weight in (
            ("AH", mapping.Target("DRAWING", "Mouth", "Face"), 12.0),
            ("Rest", mapping.Target("SHOW", "Closed"), 1.0),
            ("Eyes Shut", mapping.Target("CELL", "Sheet"), 3.0),
        )
    )
    plan = mapping.Mapping("Drawn Mouths", rules, least=3, step=2)
    assert plan.drawn and mapping.Mapping.from_json(plan.to_json()) == plan
    damaged = plan.to_json().replace('"step": 2', '"step": 0')
    with pytest.raises(Exception, match="drawings that are not held"):
        mapping.Mapping.from_json(damaged)
