# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed: takes against the engine in torch, the engine's start, processor time beside Rhubarb, keying,
every quality, an hour of dialogue.

`python -m research speed [--only SECTION …] [--quick]` prints tables and writes
research/results/speed.txt, speed.json and docs/speed.md; figures of sections that did not run stay
as they were. Ratios come from runs that take turns; seconds and GB are of the machine that the
table names. `--only hour` bakes an hour of dialogue, which takes long, and is left out otherwise.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from research.commit import run_in_blender, save_take
from research.harness import (
    add_shared,
    blenders,
    origin,
    replace_part_of_file,
    RESULTS,
    ROOT,
    SAMPLE,
    usual_direction,
    write_json,
    write_table,
)
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import NORMAL, QUALITIES, Request
from thunder_core.types import RATE, Speech

TORCH = "6e38f97"  # the last commit whose engine ran in torch: its takes are compared
EARLIER = "f4f12002"  # the commit whose engine's start is compared
SECONDS, TAKES = 10.0, 8  # length and takes of the usual request
PAGE = ROOT / "docs" / "speed.md"  # has the last run's tables
# Python as users have it: from the second start on it reads the modules that it compiled
AS_USERS = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

Figures = dict[str, Any]


def sound(seconds: float) -> np.ndarray:
    """The shipped sample, repeated to the requested length: [samples] at 16 kHz."""
    return np.resize(read_sound(SAMPLE).samples, round(seconds * RATE)).astype(np.float32)


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def processor_name() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def unpack(commit: str, folder: str) -> Path | None:
    """A commit's tree below a folder; None where this is no clone that has it."""
    tree = Path(folder, commit)
    tree.mkdir()
    try:
        packed = subprocess.run(
            ["git", "archive", commit], cwd=ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    subprocess.run(["tar", "-x", "-C", tree], input=packed, check=True)
    return tree


class Bench:
    """Shared state of the sections: settings, and an engine that is loaded once."""

    def __init__(self, quick: bool):
        self.quick = quick

    @cached_property
    def engine(self) -> Engine:
        """Today's engine on the processor."""
        return Engine.load(device="cpu")

    def takes(self) -> Figures:
        """Encoder, sampling and scoring of takes, today's engine and the one in torch in turn, each
        in a separate process, in float32."""
        return self._against_torch("")

    def busy(self) -> Figures:
        """As `takes`, while other programs keep every processor busy."""
        others = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"])
            for _ in range(os.cpu_count() or 1)
        ]
        try:
            return self._against_torch("_busy")
        finally:
            for other in others:
                other.kill()
                other.wait()

    def _against_torch(self, name: str) -> Figures:
        """Seconds of TAKES takes and of one, and their ratios to the engine in torch; `name` ends
        the figures' names."""
        answers = self._turns({TAKES: 1, 1: 1} if self.quick else {TAKES: 15, 1: 31})
        if not answers:
            return {
                "left_out": f"takes{name}: this is no clone of the repository that has commit "
                f"{TORCH}"
            }
        result: Figures = {}
        for takes, of in ((TAKES, f"takes8{name}"), (1, f"one_take{name}")):
            result |= {
                f"{of}_seconds": statistics.median(now["again"] for now, _ in answers[takes]),
                f"{of}_seconds_{TORCH}": statistics.median(
                    then["again"] for _, then in answers[takes]
                ),
                f"{of}_over_torch": statistics.median(
                    now["again"] / then["again"] for now, then in answers[takes]
                ),
                f"{of}_processor_over_torch": statistics.median(
                    now["processor"] / then["processor"] for now, then in answers[takes]
                ),
            }
        return result

    def _turns(self, runs: dict[int, int]) -> dict[int, list[tuple[dict, dict]]]:
        """{takes: [(today's answer, that of the engine in torch)]} of research/takes_of_tree.py, of
        each number of takes as often as `runs` says.

        Empty where TORCH is not here.
        """
        with tempfile.TemporaryDirectory() as folder:
            older, samples = unpack(TORCH, folder), Path(folder, "sound.npy")
            if older is None:
                return {}
            np.save(samples, sound(3.0 if self.quick else SECONDS))
            command = [sys.executable, str(ROOT / "research" / "takes_of_tree.py")]
            sides = [
                subprocess.Popen(
                    [*command, str(tree), str(samples), str(os.cpu_count())],
                    cwd=tree,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ
                    # which only the older reads
                    | {"PYTHONPATH": "", "THUNDER_PRECISION": "float32"},
                )  # fmt: skip
                for tree in (ROOT, older)
            ]
            answers: dict[int, list[tuple[dict, dict]]] = {count: [] for count in runs}
            try:
                for run in range(max(runs.values())):
                    for count in (count for count, often in runs.items() if run < often):
                        request = json.dumps({"takes": count, "seed": 1 + run})
                        answers[count].append(tuple(self._ask(side, request) for side in sides))
            finally:
                for side in sides:
                    side.stdin.close()
                    side.wait()
        return answers

    @staticmethod
    def _ask(side: subprocess.Popen, request: str) -> dict:
        """The answer of research/takes_of_tree.py. Raises SystemExit if it ended."""
        side.stdin.write(request + "\n")
        side.stdin.flush()
        line = side.stdout.readline()
        if not line:
            raise SystemExit("research/takes_of_tree.py ended: see what it wrote above")
        return json.loads(line)

    def start(self) -> Figures:
        """Medians of the time until a new engine process is ready, until one has sent the first of
        TAKES takes, and of its most memory; and the ratios of both times to those of EARLIER, in
        turns."""
        import soundfile

        script, runs = str(ROOT / "research" / "start_of_tree.py"), 1 if self.quick else 11
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "line.wav")
            soundfile.write(path, sound(SECONDS), RATE)
            trees = [str(tree) for tree in (ROOT, unpack(EARLIER, folder)) if tree is not None]
            commands = [[sys.executable, script, tree, path, str(TAKES)] for tree in trees]
            turns = [
                [
                    json.loads(subprocess.check_output(command, cwd=folder, env=AS_USERS))
                    for command in commands
                ]
                for _ in range(runs)
            ]

        def of(key: str, value: Callable[[list[dict]], float]) -> dict[str, float]:
            return {key: statistics.median(value(turn) for turn in turns)}

        figures: Figures = {}
        for name, key in (("worker_ready", "ready"), ("first_take", "first")):
            figures |= of(f"{name}_seconds", lambda turn: turn[0][key])
            if len(trees) > 1:
                figures |= of(f"{name}_over_{EARLIER}", lambda turn: turn[0][key] / turn[1][key])
        return figures | of("engine_memory_gb", lambda turn: turn[0]["memory"])

    def keying(self) -> Figures:
        """Keying takes of a minute in the newest Blender installed, and their size in a saved
        file."""
        if not blenders():
            return {"left_out": "keying: no Blender is among the environments (make test)"}
        speech = Speech(sound(10.0 if self.quick else 60.0))
        with tempfile.TemporaryDirectory() as folder:
            for number, take in enumerate(
                self.engine.generate(speech, Request(TAKES, 1, direction=usual_direction(0.5)))
            ):
                save_take(Path(folder, f"{number}.npz"), take, self.engine.head.expression_names)
            [seen] = run_in_blender("key", folder, 1 if self.quick else 5)
        size, blender = seen.pop("mb_per_take_minute"), seen.pop("blender")
        return {f"keying_{name}": value for name, value in seen.items()} | {
            "blend_mb_per_take_minute": size,
            "keying_blender": blender,
        }

    def _request(self, seconds: float, takes: int, quality: str = NORMAL) -> float:
        """Seconds of one request for takes of a new sound."""
        engine, speech = self.engine, Speech(sound(seconds))
        engine._known.clear()
        return seconds_of(
            lambda: engine.generate(
                speech, Request(takes, 1, direction=usual_direction(0.5), quality=quality)
            )
        )

    def quality(self) -> Figures:
        """Seconds of a request for one take and for TAKES takes, in every quality; the qualities
        take turns."""
        table: dict[str, dict[str, float]] = {name: {} for name in QUALITIES}
        for takes in (1, TAKES):
            spent: dict[str, list[float]] = {name: [] for name in QUALITIES}
            for turn in range(1 if self.quick else 12):
                first = turn % len(QUALITIES)
                order = [*QUALITIES[first:], *QUALITIES[:first]]
                for name in order if turn % 2 else order[::-1]:
                    spent[name].append(self._request(2.0 if self.quick else SECONDS, takes, name))
            for name in QUALITIES:
                table[name][str(takes)] = statistics.median(spent[name])
        return {"seconds_by_quality": table}

    def minute(self) -> Figures:
        """Processor seconds in which a new process loads the engine and makes one take of a minute,
        and, where it is installed, those of Rhubarb Lip Sync for the same sound, in turns."""
        import soundfile

        ours = "import sys, thunder_core.api as thunder; "
        ours += "thunder.perform(thunder.load(sys.argv[1]), takes=1, seed=1)"
        rhubarb = shutil.which("rhubarb")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "line.wav")
            soundfile.write(path, sound(10.0 if self.quick else 60.0), RATE)
            commands = {"minute_processor_seconds": [sys.executable, "-c", ours, path]}
            if rhubarb:
                commands["rhubarb_processor_seconds"] = [rhubarb, "--quiet", path]
            spent: dict[str, list[float]] = {name: [] for name in commands}
            for _ in range(1 if self.quick else 5):
                for name, command in commands.items():
                    before = os.times()
                    subprocess.check_output(command, cwd=ROOT, env=AS_USERS)
                    after = os.times()
                    spent[name].append(
                        after.children_user + after.children_system
                        - before.children_user - before.children_system
                    )  # fmt: skip
        return {name: statistics.median(each) for name, each in spent.items()}

    def hour(self) -> Figures:
        """An hour of dialogue, eight takes, baked in a Blender: minutes, and the most memory that
        the engine had."""
        from research.long import measure

        available = blenders()
        if not available:
            return {"left_out": "hour: no Blender is among the environments (make test)"}
        *_, (_, python) = available.items()
        seen = measure(str(python), 1.0 if self.quick else 60.0, TAKES, None, 7200.0)
        return {
            "hour_minutes": seen["seconds"] / 60, "peak_rss_1h_gb": seen["most_gb"]["engine"],
            "peak_rss_1h_blender_gb": seen["most_gb"]["blender"], "hour_takes": seen["takes_keyed"],
        }  # fmt: skip


SECTIONS = ("takes", "busy", "start", "minute", "keying", "quality", "hour")
BARS = {  # figure → what it is, unit, and the most that is wanted
    "takes8_seconds": ("eight takes of 10 s", "s", None),
    "takes8_over_torch": ("the same, over the engine in torch", "×", 1.05),
    "one_take_seconds": ("one take of 10 s", "s", None),
    "one_take_over_torch": ("the same, over the engine in torch", "×", 1.1),
    "takes8_busy_over_torch": ("eight takes over torch's, while every processor is busy", "×", 1),
    "one_take_busy_over_torch": ("one take over torch's, while every processor is busy", "×", 1),
    "worker_ready_seconds": ("engine ready, from cold", "s", 0.5),
    f"worker_ready_over_{EARLIER}": (f"the same, over {EARLIER}", "×", 0.75),
    "first_take_seconds": ("first of eight takes after the click, from cold", "s", 1),
    f"first_take_over_{EARLIER}": (f"the same, over {EARLIER}", "×", 0.75),
    "engine_memory_gb": ("engine's most memory for eight takes of 10 s", "GB", 0.7),
    "minute_processor_seconds": ("processor time for one take of a minute, from cold", "s", None),
    "rhubarb_processor_seconds": (
        "processor time of Rhubarb Lip Sync for the same sound",
        "s",
        None,
    ),
    "keying_seconds": ("keying eight takes of a minute", "s", 0.5),
    "blend_mb_per_take_minute": ("compressed file, per minute of a take", "MB", 1),
    "hour_minutes": ("an hour of dialogue, eight takes", "min", 20),
    "peak_rss_1h_gb": ("engine's most memory in that hour", "GB", 1.5),
}


def table(figures: Figures) -> list[str]:
    """The figures as tables in Markdown, and what the load by other programs was: on a busy machine
    seconds are too long."""
    loads, places = figures.get("load_before") or {}, figures.get("measured_at") or {}
    about = ", ".join(f"{name} {places.get(name)} (load {load})" for name, load in loads.items())
    lines = [
        f"{figures.get('machine', 'Unknown machine')}. Measured at: {about}.",
        "",
        "| | measured | wanted |",
        "|---|---|---|",
    ]
    for name, (label, unit, most) in BARS.items():
        value = figures.get(name)
        shown = "not measured" if value is None else f"{value:.3g} {unit}"
        wanted = (
            ""
            if most is None
            else f"≤ {most:g} {unit}" + (": missed" if value is not None and value > most else "")
        )
        lines.append(f"| {label} | {shown} | {wanted} |")
    if by_quality := figures.get("seconds_by_quality"):
        lines += [
            "",
            f"| seconds for 10 s of speech, by quality | 1 take | {TAKES} takes |",
            "|---|---|---|",
        ]
        lines += [
            f"| {name} | {' | '.join(f'{each:.3g}' for each in row.values())} |"
            for name, row in by_quality.items()
        ]
    return lines


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, results=RESULTS / "speed.json")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections alone")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="little of everything, to see that it runs; nothing is written",
    )


def run(args: Namespace) -> None:
    """Measure; print and write the tables and the figures."""
    bench = Bench(args.quick)
    figures: Figures = (
        json.loads(args.results.read_text()) if args.results.exists() and not args.quick else {}
    )
    figures["machine"], left_out = f"{processor_name()}, {os.cpu_count()} threads", []
    for section in args.only or [name for name in SECTIONS if name != "hour"]:
        print(f"{section} …", file=sys.stderr, flush=True)
        figures.setdefault("load_before", {})[section] = (
            round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
        )
        figures.setdefault("measured_at", {})[section] = "{commit}, {date}".format_map(origin())
        measured = getattr(bench, section)()
        left_out += [measured.pop("left_out")] if "left_out" in measured else []
        figures |= measured
    lines = table(figures)
    print("\n".join([*lines, *(f"left out: {each}" for each in left_out)]))
    if args.quick:
        return
    write_json(args.results, figures)
    write_table(args.results.with_suffix(".txt"), lines)
    if args.results == RESULTS / "speed.json":
        replace_part_of_file(PAGE, "figures", lines)
