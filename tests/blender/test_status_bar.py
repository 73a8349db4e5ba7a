# SPDX-License-Identifier: GPL-3.0-or-later
"""What the status bar says while Thunder works: what it does, how far it is, how long it will take,
and how to stop it."""

from types import SimpleNamespace

import pytest
from thunder.operators import base as slices_module
from thunder.scene.host import jobs
from thunder.scene.host.session import session
from thunder.thunder_core import errors

pytestmark = pytest.mark.one_blender

TICK = SimpleNamespace(type="TIMER", value="NOTHING")
ESC = SimpleNamespace(type="ESC", value="PRESS")


@pytest.fixture
def window():
    """A window as long work sees it; `window.texts` is what its status bar has shown, None for
    Blender's own."""
    texts = []
    return SimpleNamespace(
        texts=texts,
        workspace=SimpleNamespace(status_text_set=texts.append),
        screen=SimpleNamespace(is_animation_playing=False),
        window_manager=SimpleNamespace(event_timer_remove=lambda timer: None),
    )


@pytest.fixture
def begin(blender, monkeypatch):
    """Begins work of the given steps; gives the operator that advances it, a step a tick, each
    shown."""
    monkeypatch.setattr(slices_module, "SHOW_SECONDS", 0.0)

    class Operator(slices_module.SlicedWork):
        timer, bl_label = object(), "Generate Takes"

        def report(self, kind, text):
            self.said = (kind, text)

    def started(steps):
        running = jobs.begin("Generating takes", (step for step in steps))
        monkeypatch.setattr(running, "advance", lambda: type(running).advance(running, 0.0))
        return Operator()

    yield started
    jobs.end()


def test_it_says_what_is_done_and_how_far_it_is(window, begin):
    step = jobs.Step
    operator = begin(
        [
            step(0.25, "Sampling 8 takes"),
            step(0.25, "Sampling 8 takes"),
            step(0.5, "4 of 8 takes sampled"),
        ]
    )
    for _ in range(3):
        assert operator.modal(window, TICK) == {"PASS_THROUGH"}
    assert window.texts == [
        # drawn once: nothing is new at the second tick
        "Generating takes: Sampling 8 takes (25%) · Esc cancels",
        "Generating takes: 4 of 8 takes sampled (50%) · Esc cancels",
    ]


def test_it_says_how_long_it_will_take_as_soon_as_that_is_known(window, begin, monkeypatch):
    left = iter([None, 12.0, 170.0])
    monkeypatch.setattr(jobs.Pace, "seconds_left", lambda self, fraction: next(left))
    operator = begin([jobs.Step(part, "Sampling 8 takes") for part in (0.1, 0.2, 0.3)])
    for _ in range(3):
        operator.modal(window, TICK)
    assert window.texts == [
        "Generating takes: Sampling 8 takes (10%) · Esc cancels",
        "Generating takes: Sampling 8 takes (20%, 15 s left) · Esc cancels",
        "Generating takes: Sampling 8 takes (30%, 3 min left) · Esc cancels",
    ]


@pytest.mark.parametrize(
    "seconds, said",
    [
        (0.2, "1 s"),
        (9.4, "9 s"),
        (41, "45 s"),
        (81, "80 s"),
        (97, "100 s"),
        (104, "2 min"),
        (140, "2 min"),
        (200, "3 min"),
        (7000, "2 h"),
    ],
)
def test_the_time_that_is_left_is_rounded_as_one_would_say_it(monkeypatch, seconds, said):
    monkeypatch.setattr(jobs.Pace, "seconds_left", lambda self, fraction: seconds)
    assert jobs.Pace().time_left(0.5) == f"{said} left"


@pytest.mark.parametrize(
    "how, result, said",
    [
        ("done", {"FINISHED"}, None),
        ("cancelled", {"CANCELLED"}, ({"INFO"}, "Generating takes was cancelled")),
        ("failed", {"CANCELLED"}, ({"ERROR"}, "The engine was ended: try again")),
    ],
)
def test_it_is_blenders_own_again_when_the_work_is_over(window, begin, how, result, said):
    def steps():
        yield jobs.Step(0.5, "Sampling 8 takes")
        if how == "failed":
            raise errors.WorkerDied("The engine was ended: try again", "log")

    operator = begin(steps())
    operator.modal(window, TICK)
    if how == "cancelled":
        operator.modal(window, ESC)
    assert window.texts[-1] is not None
    assert operator.modal(window, TICK) == result
    assert window.texts[-1] is None and session.job is None
    assert getattr(operator, "said", None) == said


def test_a_slice_of_busy_work_uses_the_time_that_the_window_may_be_held(monkeypatch):
    """Short steps fill 40 ms; after a step of 30 ms they no longer do, or another such step would
    make it 70."""
    clock = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])

    def steps(lengths, busy):
        for length in lengths:
            clock[0] += length
            yield jobs.Step(0.5, f"{clock[0]}", busy)

    def slices(lengths, busy=True):
        running, held = jobs.Job("Committing", steps(lengths, busy)), []
        over = False
        while not over:
            began = clock[0]
            over = running.advance()
            held.append(clock[0] - began)
        return held

    held = slices([0.001] * 400)
    assert max(held) <= 0.041 and len(held) < 14
    assert max(slices([0.001] * 50 + [0.03] + [0.001] * 100 + [0.03] * 5)) <= 0.0701
    assert max(slices([0.001] * 50 + [0.03] + [0.001] * 100)[3:]) <= 0.021
    assert max(slices([0.001] * 100, busy=False)) <= 0.02  # the animator works on in between
