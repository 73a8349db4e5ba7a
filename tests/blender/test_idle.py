# SPDX-License-Identifier: GPL-3.0-or-later
"""Small tasks share one timer: they wait until it is quiet, take turns, and never hold the window
for longer than one step."""

import time

import bpy
import pytest
from thunder.scene.host import idle, jobs
from thunder.scene.host.session import Part, session
from timing import keeps

pytestmark = pytest.mark.one_blender


@pytest.fixture
def tasks(blender):
    """Makes tasks, which are stopped when the test ends."""
    made = []

    def make(step, **how):
        made.append(idle.Task(step, **how))
        return made[-1]

    yield make
    for task in made:
        task.stop()


def ticks(count):
    """Let the timer be called so often, a moment apart."""
    for _ in range(count):
        idle.tick()
        time.sleep(0.002)


def test_a_task_waits_for_its_moment_and_an_edit_postpones_it(tasks):
    steps = []
    task = tasks(lambda: steps.append("step"))
    task.postpone(100.0)
    assert bpy.app.timers.is_registered(idle.tick)
    due = task.due
    task.postpone(200.0)  # edited again
    assert task.due == pytest.approx(due + 100.0, abs=10.0)
    ticks(3)
    assert steps == []
    task.due -= 200.0  # time goes by
    ticks(3)
    assert steps == ["step"] and task.due is None


def test_tasks_take_turns_one_step_in_a_call(tasks):
    steps = []

    def working(name):
        def step():
            steps.append(name)
            return 0.0 if steps.count(name) < 3 else None

        return step

    for name in "ab":
        tasks(working(name)).start(0.0)
    before = len(steps)
    for _ in range(6):
        idle.tick()
        assert len(steps) == before + 1
        before = len(steps)
    assert sorted(steps) == ["a", "a", "a", "b", "b", "b"] and steps != sorted(steps)


def test_many_tasks_hold_the_window_no_longer_than_one(tasks):
    def step():
        end = time.process_time() + idle.STEP_SECONDS
        while time.process_time() < end:
            pass
        return 0.0

    for _ in range(8):
        tasks(step).start(0.0)
    spent = []
    for _ in range(20):
        began = time.process_time()
        idle.tick()
        spent.append(time.process_time() - began)
    keeps(0.05, spent, "a call of the idle timer with eight tasks")


def test_nothing_is_done_while_a_job_runs_but_what_is_meant_for_any_time(tasks):
    steps = []
    tasks(lambda: steps.append("quiet")).start(0.0)
    tasks(lambda: steps.append("any time"), any_time=True).start(0.0)
    jobs.begin("Working", (jobs.Step(0.5, "Working") for _ in range(10)))
    try:
        ticks(5)
        assert steps == ["any time"]
        assert 0.0 < idle.tick() <= idle.LOOK_SECONDS
    finally:
        jobs.end()
    ticks(2)
    assert steps == ["any time", "quiet"]


def test_nothing_is_done_while_the_scene_plays(tasks, monkeypatch):
    steps = []
    tasks(lambda: steps.append("quiet")).start(0.0)
    monkeypatch.setattr(idle.playback, "is_on", lambda: True)
    ticks(3)
    assert steps == []
    monkeypatch.setattr(idle.playback, "is_on", lambda: False)
    ticks(1)
    assert steps == ["quiet"]


def test_a_task_that_fails_ends_and_the_others_go_on(tasks, capsys):
    steps = []

    def failing():
        raise ValueError("as a test wants it")

    failed = tasks(failing)
    failed.start(0.0)
    tasks(lambda: steps.append("step")).start(0.0)
    ticks(3)
    assert (
        steps == ["step"] and failed.due is None and "as a test wants it" in capsys.readouterr().err
    )


def test_what_waits_for_the_file_is_dropped_with_it(tasks):
    of_file, of_session = tasks(lambda: None), tasks(lambda: None, any_file=True)
    of_file.start(5.0)
    of_session.start(5.0)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert of_file.due is None and of_session.due is not None
    assert bpy.app.timers.is_registered(idle.tick)


def test_every_part_forgets_the_file_when_another_is_opened(blender):
    class Noting(Part):
        opened = 0

        def file_opened(self):
            self.opened += 1

    part = session.add(Noting())
    try:
        blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        assert part.opened == 1
    finally:
        session.parts.remove(part)
