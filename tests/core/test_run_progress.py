# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run of many bakes shows its progress: in place on a terminal, as few lines in a log
file."""

import io

import pytest

from thunder_core.batch import run_progress
from thunder_core.batch.run_progress import RunProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless the test moves it: [seconds]."""
    now = [1000.0]
    monkeypatch.setattr(run_progress.time, "monotonic", lambda: now[0])
    return now


def made(count, on_terminal):
    out = io.StringIO()
    out.isatty = lambda: on_terminal
    return RunProgress(count, lambda text, stream: print(text, file=stream), out), out


def shown(text):
    """The lines that a terminal shows after it got this text."""
    return [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_a_log_file_gets_a_line_now_and_then_and_no_control_characters(clock):
    progress, out = made(140, False)
    for number in range(120):  # two minutes of two machines, an event a second of each
        progress.update("shot 12", number / 120, f"Sampled {number}", "anna")
        progress.update("shot 13", 0.5, "Writing the scene", "bert")
        clock[0] += 1.0
    lines = out.getvalue().splitlines()
    assert len(lines) == 120 // run_progress.LOG_EVERY - 1 and all(
        line.isprintable() for line in lines
    )
    assert lines[0].strip() == (
        "0 of 140 done, 93 min left; now shot 12: 25%, sampled 30, for 30 s (on anna); shot 13: "
        "50%, writing the scene, for 30 s (on bert)"
    )


def test_a_terminal_shows_what_each_machine_does_below_the_lines_that_stay(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    progress, out = made(3, True)
    for name, fraction in (("a", 0.1), ("b", 0.2), ("a", 0.5)):
        clock[0] += 1.0
        progress.update(name, fraction, "Sampling 8")
    assert shown(out.getvalue()) == [
        "      0 of 3 done; now a: 50%, sampling 8, for 2 s; b: 20%, sampling 8, for 1 s"
    ]
    assert progress.end("a", True) == 2.0
    progress.say("[1/3] a: 8 takes")
    progress.say("a warning")
    clock[0] += 1.0
    progress.update("b", 0.2, "Sampling 8")
    assert shown(out.getvalue()) == [
        "[1/3] a: 8 takes",
        "a warning",
        "      1 of 3 done; now b: 20%, sampling 8, for 2 s",
    ]
    progress.stop()
    assert shown(out.getvalue()) == ["[1/3] a: 8 takes", "a warning", ""]


def test_the_line_on_a_terminal_never_wraps(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    progress, out = made(99, True)
    for number in range(20):
        progress.update(
            f"日本語の名前 {number}", 0.1, "A message that is far longer than the terminal"
        )
        clock[0] += 1.0
    (line,) = shown(out.getvalue())
    assert sum(2 if ord(letter) > 0x2FFF else 1 for letter in line) < 40 and line.endswith("…")


def test_the_time_left_counts_jobs_that_were_baked_not_those_that_failed(clock):
    progress, _ = made(10, False)
    progress.update("a", 0.0, "")
    assert progress.summary() == "0 of 10 done"  # too early to know
    clock[0] += 60.0
    progress.end("a", True)
    for name in "bcd":
        progress.update(name, 0.0, "")
        progress.end(name, False)
    assert progress.summary() == "4 of 10 done, 6 min left"
    progress.update("e", 0.5, "")
    clock[0] += 30.0
    assert progress.summary() == "4 of 10 done, 6 min left"  # a minute for each of 5.5


def test_a_terminal_that_is_closed_stops_nothing(clock):
    progress, out = made(2, True)
    progress._print = lambda text, stream: None
    out.close()
    for _ in range(2):
        clock[0] += 1.0
        progress.update("a", 0.5, "Sampling")
    progress.say("a line")
