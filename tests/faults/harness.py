# SPDX-License-Identifier: GPL-3.0-or-later
"""One row of the table of faults, and the one function that tries a row and says whether everything
went as promised.

A row names something broken (a file, an option, a disk, a process …), how it is met, and what must
happen: which error with which words, which exit code, which files are left, that no process is
left, and how much memory it may cost. The rows are in the modules rows_*.py beside this one;
docs/guide/safety.md describes them for readers.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from memory import reset_peak, status
from processes import is_alive

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "sample.wav"
# of memory that a row may cost if it says nothing else: a head, or half an hour of sound
MEGABYTES = 250.0
LONGEST = 400  # characters of a sentence
ENDING = 5.0  # seconds that a process has to be gone after the call that ended it
# environment variable: file that gets a line of JSON for every row tried
RESULTS = "THUNDER_FAULT_RESULTS"


@dataclass(frozen=True)
class Fault:
    """One row.

    group, broken: together the name of the row; `broken` says in plain words what is wrong.
    make: puts the fault into the folder of the case and returns what `act` needs.
    act: meets it, in the way a user would; gets the case, returns a result.
    kind: name of the error's class (thunder_core/errors.py) that must come, "" if the fault must be
    survived.
    says: regular expression that the sentence must contain (for a row with `code`: what is written
    on stderr).
    check: called with the case and the result if no error came; returns what is wrong, or nothing.
    code: exit code, for rows that run a command; `act` returns (code, stderr) then.
    leaves: patterns of files that may be new or changed afterwards; every other file must be as it
    was.
    megabytes: memory that the row may cost at its peak, above what was in use before.
    slow: takes more than some seconds; left out of `make test`.
    """

    group: str
    broken: str
    make: Callable[[Path], object]
    act: Callable[[Case], object]
    kind: str = ""
    says: str = ""
    check: Callable[[Case, object], str | None] | None = None
    code: int | None = None
    leaves: tuple[str, ...] = ()
    megabytes: float = MEGABYTES
    slow: bool = False

    @property
    def name(self) -> str:
        return f"{self.group}: {self.broken}"


@dataclass
class Case:
    """A row that is being tried: its own empty folder, what `make` returned, and what all rows of a
    run share."""

    folder: Path
    given: object
    session: Session


def maker(make):
    """Turns `make(folder, …)` into a function of all but the folder, which gives a case's maker."""
    return lambda *given, **named: lambda folder: make(folder, *given, **named)


class Session:
    """What the rows of a run share, each made when it is first needed: a worker with its models
    loaded, one without."""

    @cached_property
    def client(self):
        from thunder_core.client import Client

        client = Client(sys.executable)
        atexit.register(client.stop)
        client.request("hello").wait(timeout=240)
        return client

    @cached_property
    def line(self):
        return Line()

    def processes(self) -> set[int]:
        """Of the workers that go on from row to row."""
        return {
            made.pid
            for made in (self.__dict__.get("client"), self.__dict__.get("line"))
            if made is not None and made.pid
        }

    def close(self):
        for name, end in (("client", "stop"), ("line", "close")):
            if name in self.__dict__:
                getattr(self.__dict__.pop(name), end)()


class Line:
    """A worker without models that is talked to in raw lines."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thunder_core.engine.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pid = self.process.pid
        self.number = 10**6
        self._until(lambda answer: answer.get("event") == "ready")

    def say(self, line: bytes) -> list[dict]:
        """The answers to a raw line, up to the one to a request that is sent after it; EOFError
        when the worker ended."""
        self.number += 1
        self.process.stdin.write(
            line + b"\n" + json.dumps({"id": self.number, "verb": "release"}).encode() + b"\n"
        )
        self.process.stdin.flush()
        return self._until(
            lambda answer: (
                answer.get("id") == self.number and answer.get("event") in ("done", "error")
            )
        )

    def _until(self, last) -> list[dict]:
        answers = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise EOFError(f"the worker ended with code {self.process.wait()}")
            answer = json.loads(line)
            if last(answer):
                return answers
            if answer.get("event") != "alive":  # a sign of life, on a busy machine
                answers.append(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@dataclass
class Outcome:
    fault: Fault
    wrong: list[str] = field(default_factory=list)
    sentence: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0

    @property
    def right(self) -> bool:
        return not self.wrong

    def line(self) -> dict:
        fault = self.fault
        return {
            "group": fault.group,
            "broken": fault.broken,
            "expected": fault.kind or ("exit " + str(fault.code) if fault.code else "survived"),
            "right": self.right,
            "wrong": self.wrong,
            "sentence": self.sentence,
        }


outcomes: list[Outcome] = []  # of this run, for its summary


def attempt(fault: Fault, folder: Path, session: Session) -> Outcome:
    """Try a row in an empty folder; the outcome, which is also noted for the summary."""
    outcome = Outcome(fault)
    case = Case(folder, fault.make(folder), session)
    files, children = snapshot(folder), children_of(os.getpid())
    start, before, of_files = time.perf_counter(), reset_peak(), status("RssFile")
    result = error = None
    try:
        result = fault.act(case)
    except BaseException as caught:  # a row may end in anything, also in SystemExit
        error = caught
        if isinstance(caught, KeyboardInterrupt):
            raise
    outcome.seconds = time.perf_counter() - start
    # libraries' pages that a busy machine had dropped and read again are no cost of the row
    read_again = max(0.0, status("RssFile") - of_files)
    outcome.megabytes = max(0.0, status("VmHWM") - before - read_again)
    outcome.wrong += _wrong_words(fault, case, result, error, outcome)
    outcome.wrong += changes(files, snapshot(folder), fault.leaves)
    left = _living(children_of(os.getpid()) - children - session.processes())
    if left:
        outcome.wrong.append(f"processes are left: {left}")
    if outcome.megabytes > fault.megabytes:
        outcome.wrong.append(
            f"it took {outcome.megabytes:.0f} MB where {fault.megabytes:.0f} are allowed"
        )
    outcomes.append(outcome)
    if os.environ.get(RESULTS):
        with open(os.environ[RESULTS], "a", encoding="utf-8") as file:
            file.write(json.dumps(outcome.line(), ensure_ascii=False) + "\n")
    return outcome


def _wrong_words(fault, case, result, error, outcome) -> list[str]:
    if fault.code is not None:
        if error is not None:
            return [f"it ended in {type(error).__name__}: {error}"]
        code, said = result
        lines = [line for line in said.splitlines() if line.strip()]
        outcome.sentence = lines[-1] if lines else ""
        wrong = (
            []
            if code == fault.code
            else [f"it ended with code {code}, not {fault.code}: {said[-400:]}"]
        )
        if "Traceback" in said:
            wrong.append(f"a traceback was shown: {said[-1200:]}")
        if not re.search(fault.says, said):
            wrong.append(f"“{outcome.sentence}” does not say “{fault.says}”")
        return wrong
    if error is None:
        if fault.kind:
            return [f"no {fault.kind} came; the result is {' '.join(str(result).split())[:100]}"]
        problem = fault.check(case, result) if fault.check else None
        return [problem] if problem else []
    outcome.sentence = str(error)
    if not fault.kind:
        return [f"it was not survived: {type(error).__name__}: {error}"]
    wrong = []
    if type(error).__name__ not in fault.kind.split("|"):
        wrong.append(f"{type(error).__name__} came, not {fault.kind}: {error}")
    elif not any(base.__name__ == "ThunderError" for base in type(error).__mro__):
        wrong.append(f"{type(error).__name__} is none of the errors that are shown to a person")
    if not re.search(fault.says, outcome.sentence):
        wrong.append(f"“{outcome.sentence}” does not say “{fault.says}”")
    return wrong + wrong_sentence(outcome.sentence)


def wrong_sentence(text: str) -> list[str]:
    """What keeps a text from being one sentence of the form “what happened: what to do”."""
    wrong = []
    if "\n" in text or "Traceback" in text:
        wrong.append(f"“{text[:200]}” is not one sentence")
    if len(text) > LONGEST:
        wrong.append(f"“{text[:80]}…” has {len(text)} characters")
    if ": " not in text and " must be " not in text:
        wrong.append(f"“{text[:200]}” does not say what to do")
    return wrong


# ---- an installation


def installers_environment(**more) -> dict[str, str]:
    """The environment of a process that installs without what its user told pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    return kept | alone | {"THUNDER_INSTALL_SCALE": "1e-4"} | more


def run_installer(command, cwd=None, **environment):
    """A command that installs, run to its end with stdin open, for the installer ends with it; what
    came of it, and its events."""
    stdin, held = os.pipe()
    try:
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            stdin=stdin,
            timeout=300,
            capture_output=True,
            text=True,
            env=installers_environment(**environment),
            cwd=cwd,
        )
    finally:
        os.close(stdin)
        os.close(held)
    return done, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


# ---- files, processes and memory


def snapshot(folder: Path) -> dict[str, tuple]:
    """Every entry below a folder with what it is: {relative path: (kind, content)}."""
    result = {}
    for root, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            path = os.path.join(root, name)
            relative = os.fsdecode(os.path.relpath(path, os.fsencode(folder)))
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):
                    result[relative] = ("link", os.readlink(path))
                elif stat.S_ISDIR(status.st_mode):
                    result[relative] = ("folder",)
                elif stat.S_ISREG(status.st_mode):
                    result[relative] = (
                        "file",
                        status.st_size,
                        _hash(path) if status.st_size < 1 << 26 else status.st_mtime_ns,
                    )
                else:
                    result[relative] = ("special",)
    return result


def _hash(path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def changes(before: dict, after: dict, allowed: tuple[str, ...] = ()) -> list[str]:
    """What became of files, in words; those that match an allowed pattern may be new or changed,
    but not gone."""

    def free(name):
        return any(Path(name).match(pattern) for pattern in allowed)

    wrong = [f"“{name}” is gone" for name in before.keys() - after.keys()]
    wrong += [
        f"“{name}” was left behind" for name in after.keys() - before.keys() if not free(name)
    ]
    wrong += [
        f"“{name}” was changed"
        for name in before.keys() & after.keys()
        if before[name] != after[name] and not free(name)
    ]
    return sorted(wrong)


def children_of(parent: int) -> set[int]:
    """Ids of all processes below a process, as Linux lists them; empty elsewhere."""
    parents = {}
    for entry in os.scandir("/proc") if os.path.isdir("/proc") else ():
        if entry.name.isdigit():
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{entry.name}/stat", "rb") as file,
            ):
                fields = file.read().rpartition(b")")[2].split()
                if fields[0] != b"Z":
                    parents[int(entry.name)] = int(fields[1])
    result, below = set(), {parent}
    while below:
        below = {pid for pid, above in parents.items() if above in below} - result
        result |= below
    return result


def _living(pids: set[int]) -> list[str]:
    end = time.monotonic() + ENDING
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    commands = []
    for pid in left:
        with contextlib.suppress(OSError):
            commands.append(
                Path(f"/proc/{pid}/cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode("utf-8", "replace")[:120]
            )
    return commands


# ---- the summary


def summary(tried: list[dict]) -> list[str]:
    """A table of the groups: rows tried and right, and below it every row that went wrong."""
    groups = Counter(row["group"] for row in tried)
    right = Counter(row["group"] for row in tried if row["right"])
    width = max([len(group) for group in groups] + [5])
    lines = [f"{'faults':{width}}  tried  right"]
    lines += [f"{group:{width}}  {groups[group]:5d}  {right[group]:5d}" for group in groups]
    lines.append(f"{'all':{width}}  {sum(groups.values()):5d}  {sum(right.values()):5d}")
    for row in tried:
        if not row["right"]:
            lines.append(f"wrong: {row['group']}: {row['broken']}: {'; '.join(row['wrong'])[:300]}")
    return lines
