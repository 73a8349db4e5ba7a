# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window: scenarios of this folder are acted out, in which every step says
what must then be so."""

import os

import pytest
from processes import is_alive
from timing import keeps, until

pytestmark = [pytest.mark.window, pytest.mark.timeout(3600)]

# Seeds of the long sessions: THUNDER_RANDOM_SEEDS names others.
SEEDS = [int(word) for word in os.environ.get("THUNDER_RANDOM_SEEDS", "1 2 3").split()]


def act(blender, scenario, may_refuse=False, **how):
    """Act a scenario in a window that closes cleanly; what was seen. may_refuse: whether buttons
    may answer with a sentence instead of their work."""
    seen = blender.act(scenario, **how)
    for promise in seen["promises"]:
        keeps(*promise)
    wrong = ("Traceback",) if may_refuse else ("Traceback", "Error:")
    assert not any(each in seen["log"] for each in wrong), seen["log"][-3000:]
    if "pid" in seen:  # the engine goes with the window
        until(lambda: not is_alive(seen["pid"]), 5)
    assert blender.left_behind() == []
    return seen


def claim(sentence, scenario, seconds, slow=False, **how):
    """A row of the table: what is so, the scenario that shows it, and how many seconds it may
    take."""
    marks = [pytest.mark.slow] if slow else []
    return pytest.param(scenario, {"timeout": seconds} | how, marks=marks, id=sentence)


@pytest.mark.parametrize(
    "scenario, how",
    [
        claim(
            "Generate works after Esc was pressed anywhere",
            "generates_after_escape",
            400,
            simulated=False,
        ),
        claim("the clicked head of the grid is shown", "take_scenarios.plays_all", 800),
        claim("the contact sheet opens", "take_scenarios.draws_a_sheet", 800),
        claim("a take follows its sliders and their curves", "take_scenarios.shapes", 800),
        claim("a take in a direction follows its slider", "direction_scenarios.directs", 1000),
        claim("Poses are soon there, as it says", "commit_scenarios.commits_poses", 600),
        claim("curves are drawn over editors", "commit_scenarios.draws_curves", 500),
        claim("a line is mended by its words", "word_scenarios.mends_a_line", 500),
        claim("an hour of words is soon drawn", "word_scenarios.draws_an_hour", 500, slow=True),
        claim("a spoken line is a voice with takes", "record_scenarios.records", 800),
        claim("a head speaks while one does", "record_scenarios.performs_live", 400),
        claim("dropped files become a line and a take", "record_scenarios.drops", 400),
        claim(
            "a laptop shows what choosing needs, by clicks and keys",
            "place_scenarios.laptop",
            250,
            size=(1366, 768),
        ),
        claim(
            "very many takes are soon drawn",
            "list_scenarios.draws_many_takes",
            400,
            size=(1920, 1200),
        ),
        claim(
            "buttons stay where they are while work runs or another take is chosen",
            "place_scenarios.while_working",
            500,
            size=(1366, 768),
        ),
        claim("takes follow their voice", "scene_scenarios.moves_a_voice", 400),
        claim("preferences tell of the engine", "scene_scenarios.sets_up_the_engine", 600),
        claim("a long voice leaves the window free", "scene_scenarios.works_a_while", 2000),
        claim("so does a longer one", "scene_scenarios.works_long", 2000, slow=True),
        claim("a newcomer's day, and back by undo", "day_scenarios.a_day", 800),
        claim("no key in the middle of work costs anything", "random_scenarios.presses_keys", 3400),
        claim("nor does a purge", "random_scenarios.purges", 1500, slow=True),
        claim(
            "nor do many keys", "random_scenarios.presses_keys_forty_five_times", 3400, slow=True
        ),
    ],
)
def test_at_a_window(windowed, scenario, how):
    act(windowed, scenario, **how)


@pytest.mark.slow
def test_the_dragged_package_leads_soon_to_a_playing_take(windowed, package):
    act(windowed, "shelf_scenarios.from_zip_to_take", package=package, timeout=800)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_random_use_loses_nothing(windowed, monkeypatch, seed):
    monkeypatch.setenv("THUNDER_RANDOM", f"{seed} 200")
    act(windowed, "random_scenarios.lives", may_refuse=True, timeout=2460)
