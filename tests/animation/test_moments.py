# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a contact sheet are those that tell takes apart."""

import numpy as np

from thunder_core.animation import activity


def line():
    """Opening of two takes over four seconds with closures at 20 and 60 and wide mouths at 40 and
    82."""
    mean = np.full(100, 8.0)
    mean[[20, 60]] = 0.1
    mean[40], mean[82] = 16.0, 12.0
    return np.stack([mean, mean])


def test_moments_are_the_loudest_closures_and_the_widest():
    loud = np.zeros(100)
    loud[50] = 1.0
    chosen = activity.choose_moments(line(), loud, 6)
    assert {(20, "closed"), (60, "closed"), (50, "loud"), (40, "wide"), (82, "wide")} <= set(chosen)
    assert len(chosen) == 6 and [frame for frame, _ in chosen] == sorted(
        frame for frame, _ in chosen
    )
    still = activity.choose_moments(np.zeros((1, 50)), None, 6)
    assert len(still) == 6 and min(np.diff([frame for frame, _ in still])) >= 7
    assert "wide" not in [why for _, why in still], "no mouth is open"
    nearly = line()
    nearly[:, 83:] = 0.2
    nearly[:, 90] = 0.5
    assert (90, "wide") not in activity.choose_moments(nearly, None, 8)


def test_the_loudest_is_the_loudest_whatever_else_is_there():
    loud = np.linspace(0.0, 0.5, 100)
    loud[[21, 61]] = 1.0, 0.9  # beside a closure, which gives way
    chosen = activity.choose_moments(line(), loud, 6)
    assert (21, "loud") in chosen and (20, "closed") not in chosen and (60, "closed") in chosen


def test_the_loudest_is_shown_with_the_mouth_as_open_as_it_is_beside_it():
    openings, loud = line(), np.zeros(100)
    loud[84] = 1.0  # two frames behind the widest mouth of 82
    assert (82, "loud") in activity.choose_moments(openings, loud, 6)


def test_lips_are_shut_where_a_moment_is_called_closed():
    openings = line()
    openings[:, [20, 60]] = 2.0  # narrow, but open
    assert "closed" not in [why for _, why in activity.choose_moments(openings, None, 6)]
    openings[0, 60] = 0.3
    assert (60, "closed") in activity.choose_moments(openings, None, 6), (
        "as many takes shut them as not"
    )
    openings[:, 85:] = 0.0  # after the line
    openings[:, 60] = 2.0
    assert [
        frame for frame, why in activity.choose_moments(openings, None, 6) if why == "closed"
    ] == [92]


def test_moments_at_which_takes_differ_most_are_shown():
    differences = np.zeros(100)
    differences[[10, 41, 70, 95]] = 3.0, 9.0, 2.0, 1.0
    chosen = activity.choose_moments(line(), None, 6, differences)
    assert {(10, "differ"), (70, "differ")} <= set(chosen), (
        "the largest is where the widest mouth is shown already"
    )
    assert "differ" not in [
        why for _, why in activity.choose_moments(line()[:1], None, 6, differences)
    ], "one take differs from none"


def test_moments_have_open_eyes_where_there_are_such():
    openings, lids = line(), np.zeros((2, 100))
    openings[:, 38:43] = 15.0, 15.0, 16.0, 15.0, 10.0
    lids[0, 39:46] = 1.0  # a blink over the widest mouth and after it
    lids[1, 60] = 1.0  # on a closure
    chosen = activity.choose_moments(openings, None, 4, None, lids)
    assert {(38, "wide"), (20, "closed")} <= set(chosen) and 60 not in [
        frame for frame, _ in chosen
    ]
    assert 60 in [frame for frame, _ in activity.choose_moments(openings, None, 6)], (
        "nobody is known to blink"
    )
    lids[:] = 1.0
    assert activity.choose_moments(openings, None, 4, None, lids) == activity.choose_moments(
        openings, None, 4
    ), "there are no others"


def quiet():
    """Gestures of two takes over eight seconds: a nod of both at 40 and of one at 120, brows at 70,
    a look away at 100, a smile at 150."""
    result = {name: np.zeros((2, 200)) for name in ("nod", "raised", "smile", "away")}

    def at(name, frame, size, takes=slice(None)):
        result[name][takes] = np.maximum(
            result[name][takes], size * np.exp(-0.5 * ((np.arange(200) - frame) / 3) ** 2)
        )

    (
        at("nod", 40, 5.0),
        at("nod", 120, 7.0, slice(0, 1)),
        at("raised", 70, 0.2),
        at("away", 100, 9.0),
        at("smile", 150, 0.02),
    )
    return result


def test_moments_of_faces_that_do_not_speak_are_their_gestures():
    lids = np.zeros((2, 200))
    lids[0, 20:24], lids[:, 180:184] = 1.0, 1.0
    chosen = activity.choose_quiet_moments(quiet(), 6, None, lids)
    assert {(40, "nod"), (70, "raised"), (100, "away"), (120, "nod")} <= set(chosen), (
        "both takes' nod, then that of one"
    )
    assert [frame for frame, why in chosen if why == "blink"][0] in range(180, 184), (
        "the one of both"
    )
    assert "smile" not in [why for _, why in chosen], "nobody sees it"
    assert (
        len(chosen) == 6
        and sorted(chosen) == chosen
        and not {"closed", "loud", "wide"} & {why for _, why in chosen}
    )
    differs = np.zeros(200)
    differs[160] = 1.0
    assert (160, "differ") in activity.choose_quiet_moments(quiet(), 6, differs, lids)
    lids[:, 40:43] = 1.0
    assert (120, "nod") in activity.choose_quiet_moments(quiet(), 3, None, lids), (
        "with open eyes, if there is one"
    )


def test_faces_that_do_nothing_have_moments_too():
    still = activity.choose_quiet_moments(
        {name: np.zeros((1, 50)) for name in quiet()}, 6, np.zeros(50), np.zeros((1, 50))
    )
    assert len(still) == 6 and {why for _, why in still} == {activity.OTHER}
    short = activity.choose_quiet_moments(
        {name: values[:, :3] for name, values in quiet().items()}, 6
    )
    assert 1 <= len(short) <= 3


def test_loudness_is_that_around_each_frame():
    peaks = np.zeros((200, 2), np.float32)
    peaks[100:104] = (-0.5, 0.5)
    level = activity.loudness(peaks, 100)
    assert (
        len(level) == 50
        and level[22] == level[29] == 0 < level[24] < level[25] == level[26] == level.max()
    )


def test_an_even_sound_is_as_loud_as_it_is_high_from_its_beginning_to_its_end():
    assert np.allclose(activity.loudness(np.tile([-0.3, 0.3], (200, 1)), 100), 0.6)
