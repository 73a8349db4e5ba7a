# SPDX-License-Identifier: GPL-3.0-or-later
"""Small tasks wait for their moment and never hold the window for longer than one step; the status bar says
what long work does, how far it is, and how to stop it."""

from types import SimpleNamespace

import bpy
import pytest
from idle import tick
from thunder.operators import base as slices_module
from thunder.scene.host import jobs
from thunder.scene.host.jobs import session
from thunder.thunder_core import errors

pytestmark = pytest.mark.one_blender


@pytest.fixture
def tasks(blender):
    """Makes tasks, which are gone when the test ends."""
    made = []

    def make(step, **how):
        made.append(jobs.Task(step, **how))
        return made[-1]

    yield make
    for task in made:
        task.stop()
        session.parts.remove(task)


def ticks(count):
    """Let due timers be called so often."""
    for _ in range(count):
        tick()


def test_a_task_waits_for_its_moment_and_an_edit_postpones_it(tasks):
    steps = []
    task = tasks(lambda: steps.append("step"))
    task.postpone(100.0)
    assert bpy.app.timers.is_registered(task.timer)
    due = task.due
    task.postpone(200.0)  # edited again
    assert task.due == pytest.approx(due + 100.0, abs=10.0)
    ticks(3)
    assert steps == []
    task.due -= 200.0  # time goes by
    ticks(3)
    assert steps == ["step"] and task.due is None


def test_tasks_that_are_due_at_once_hold_the_window_no_longer_than_50_ms(tasks, monkeypatch):
    """As Blender calls timers: all that are due, one after another, before it draws."""
    clock, steps = [100.0], [0] * 8
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(jobs.Task, "last_step", 0.0)

    def working(number):
        def step():
            clock[0] += jobs.STEP_SECONDS
            steps[number] += 1
            return 0.0 if steps[number] < 3 else None

        return step

    due = {tasks(working(number)): clock[0] for number in range(8)}
    while due:
        began = clock[0] = max(clock[0], min(due.values()))
        for task in [task for task, at in due.items() if at <= began]:
            pause = task.tick()
            due.pop(task) if pause is None else due.update({task: clock[0] + pause})
        assert clock[0] - began <= 0.05
    assert steps == [3] * 8


def test_nothing_is_done_while_a_job_runs_or_the_scene_plays_but_what_is_meant_for_any_time(
    tasks, monkeypatch
):
    steps = []
    quiet = tasks(lambda: steps.append("quiet"))
    for task in (quiet, tasks(lambda: steps.append("any time"), any_time=True)):
        task.start(0.0)
    jobs.begin("Working", (jobs.Step(0.5, "Working") for _ in range(10)))
    try:
        ticks(5)
        assert steps == ["any time"] and quiet.tick() == jobs.LOOK_SECONDS
    finally:
        jobs.end_job()
    monkeypatch.setattr(jobs.playback, "is_on", lambda: True)
    ticks(3)
    assert steps == ["any time"]
    monkeypatch.setattr(jobs.playback, "is_on", lambda: False)
    ticks(1)
    assert steps == ["any time", "quiet"]


def test_a_task_that_fails_waits_for_nothing(tasks):
    task = tasks(lambda: 1 / 0)
    task.start(0.0)
    with pytest.raises(ZeroDivisionError):  # which Blender prints
        tick()
    assert task.due is None


def test_what_waits_for_the_file_is_dropped_with_it(tasks):
    of_file, of_session = tasks(lambda: None), tasks(lambda: None, any_file=True)
    of_file.start(5.0)
    of_session.start(5.0)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert of_file.due is None and of_session.due is not None
    assert bpy.app.timers.is_registered(of_session.timer)


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

    class Operator(slices_module.SlicedWork):
        timer, bl_label, show_every, wait = object(), "Generate Takes", 0.0, 0.0

        def report(self, kind, text):
            self.said = (kind, text)

    def started(steps):
        running = jobs.begin("Generating takes", (step for step in steps))
        monkeypatch.setattr(
            running, "advance", lambda seconds=0.0: type(running).advance(running, seconds or 0.0)
        )
        return Operator()

    yield started
    jobs.end_job()


def test_it_says_what_is_done_how_far_it_is_and_how_long_it_will_take(window, begin, monkeypatch):
    left = iter([None, 12.0, 170.0])
    monkeypatch.setattr(jobs.Pace, "seconds_left", lambda self, fraction: next(left))
    operator = begin([jobs.Step(part, "Sampling 8 takes") for part in (0.1, 0.2, 0.3)])
    for _ in range(3):
        assert operator.modal(window, TICK) == {"PASS_THROUGH"}
    assert window.texts == [
        "Generating takes: Sampling 8 takes (10%) · Esc cancels",
        "Generating takes: Sampling 8 takes (20%, 15 s left) · Esc cancels",
        "Generating takes: Sampling 8 takes (30%, 3 min left) · Esc cancels",
    ]


def test_the_time_left_is_measured_by_progress_not_by_what_is_loaded_before(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now[0])
    pace = jobs.Pace(0.0)
    now[0] = 20.0  # a model was loaded
    assert pace.seconds_left(0.0) is None
    for step in range(11):  # then a fiftieth each second
        now[0], done = 20.0 + step, 0.02 * (step + 1)
        pace.note(done)
    assert pace.seconds_left(done) == pytest.approx((1 - done) / 0.02)
    for step in range(1, 60):  # then ten times slower
        now[0], slow = 30.0 + step, done + 0.002 * step
        pace.note(slow)
        if step == 12:
            assert pace.seconds_left(slow) is None, "it would only grow"
    assert pace.seconds_left(slow) == pytest.approx((1 - slow) / 0.002)


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


def test_a_click_during_busy_work_waits_for_it_and_then_reaches_its_button(
    window, begin, monkeypatch
):
    monkeypatch.setattr(slices_module, "_is_undo_key", lambda *_: False)
    busy = [jobs.Step(part / 10, "Writing keys", busy=True) for part in range(1, 5)]
    operator = begin([*busy, jobs.Step(0.5, "Keyed 1 of 8"), *busy, jobs.Step(0.9, "Keyed")])
    moved, pressed = (
        SimpleNamespace(type=kind, value=value)
        for kind, value in (("MOUSEMOVE", "NOTHING"), ("LEFTMOUSE", "PRESS"))
    )
    assert operator.modal(window, TICK) == {"RUNNING_MODAL"}
    assert operator.modal(window, moved) == {"PASS_THROUGH"} and session.job.step == busy[0]
    released = SimpleNamespace(type="LEFTMOUSE", value="RELEASE")
    assert operator.modal(window, released) == {"RUNNING_MODAL"} and session.job.step == busy[0]
    assert operator.modal(window, pressed) == {"PASS_THROUGH"}
    assert session.job.step.message == "Keyed 1 of 8"
    operator.modal(window, TICK)
    # what takes longer than one would wait is not held for
    monkeypatch.setattr(slices_module, "INPUT_SECONDS", 0.0)
    assert operator.modal(window, pressed) == {"RUNNING_MODAL"} and session.job.step.busy


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


def test_progress_never_goes_back():
    job = jobs.Job("Committing", (jobs.Step(part, "Fitting", True) for part in (0.4, 0.1, 0.7)))
    told = []
    while not job.advance(0.0):
        told.append(job.step.fraction)
    assert told == [0.4, 0.4, 0.7]


def test_a_small_cache_forgets_what_was_added_first():
    cache = jobs.Recent(2)
    for key in "abac":
        cache[key] = len(cache)
    assert list(cache) == ["b", "c"]
