# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures memory and time for voices of up to an hour: bakes artificial recordings and watches
both processes.

`python -m research long BLENDER_PYTHON [--minutes 5 10 20 60] [--takes 8] [--steps 1] [--limit
SECONDS]`, with the engine's Python (Linux). A recording repeats assets/sample.wav with pauses, 48
kHz stereo. Memory does not depend on the sampling steps; time does. Resident memory is read from
/proc twice a second, the peak from VmHWM, which is exact. A bake that takes longer than --limit is
ended, and the measurements until then are kept. Leaves research/results/long.txt and long.json
(each length is measured again or kept from the last time).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import soundfile

from research.harness import add_shared, origin, ROOT, SAMPLE, write_table

# sample rate of the recordings, Hz; interval between two readings of memory, s
RATE, EVERY = 48000, 0.5
PAUSES = (0.4, 1.7, 0.9, 6.0)  # seconds between the lines, in turn
TARGET = Path("research/results/long.json")


def record(path: Path, seconds: float) -> None:
    """Write a synthetic recording of a voice, 48 kHz stereo, block by block."""
    line = np.repeat(soundfile.read(SAMPLE, dtype="float32")[0], RATE // 16000)
    left, number = round(seconds * RATE), 0
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as file:
        while left > 0:
            block = np.concatenate(
                [
                    line * (0.6 + 0.1 * (number % 5)),
                    np.zeros(round(PAUSES[number % 4] * RATE), np.float32),
                ]
            )[:left]
            file.write(np.stack([block, 0.8 * block], axis=1))
            left, number = left - len(block), number + 1


def memory(pid: int) -> tuple[float, float] | None:
    """Resident memory of a process and the most it ever was, GB; None for one that is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        return tuple(
            int(re.search(rf"{name}:\s+(\d+)", text)[1]) / 1e6 for name in ("VmRSS", "VmHWM")
        )
    except (OSError, TypeError):
        return None


def processor_seconds(pid: int) -> float:
    """Processor time of a process and of its children that have ended, in seconds; 0 for one that
    is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def worker_of(pid: int) -> int | None:
    """The engine that a process started."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                if b"thunder_core.engine.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return child
        except OSError:
            continue
    return None


def measure(blender: str, minutes: float, takes: int, steps: int | None, limit: float) -> dict:
    """Bake a recording of `minutes`; returns its entry in long.json. steps: None for the usual
    quality."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "long.wav")
        record(sound, 60 * minutes)
        command = [blender, str(ROOT / "bake.py"), "--audio", str(sound), "--out",
            str(Path(folder, "out")), "--takes", str(takes),
                   *(["--steps", str(steps)] if steps else []), "--engine",
                   sys.executable]  # fmt: skip
        environment = os.environ | {"BLENDER_USER_RESOURCES": str(Path(folder, "home"))}
        began = time.monotonic()
        log = Path(folder, "log")
        most = {"blender": 0.0, "engine": 0.0}
        used = {"blender": 0.0, "engine": 0.0}
        worker = None
        with log.open("w") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, env=environment
            )
        while process.poll() is None and time.monotonic() - began < limit:
            worker = worker or worker_of(process.pid)
            for name, pid in (("blender", process.pid), ("engine", worker)):
                if pid and (used_now := memory(pid)):
                    most[name], used[name] = (
                        max(most[name], used_now[1]),
                        max(used[name], processor_seconds(pid)),
                    )
            time.sleep(EVERY)
        is_late = process.poll() is None
        process.terminate()
        process.wait()
        said = log.read_text(errors="replace")
        if process.returncode and not is_late:
            raise SystemExit(f"the bake of {minutes:g} minutes failed: {said[-500:]}")
        blend, report = (Path(folder, "out", name) for name in ("long.blend", "report.json"))
        return {
            "minutes": minutes, "takes": takes, "steps": steps, "finished": process.returncode == 0,
            "takes_keyed": max(map(int, re.findall(r"Keyed (\d+) of", said)), default=0),
            "seconds": round(time.monotonic() - began, 1),
            "blender": json.loads(report.read_text())["blender"] if report.exists() else None,
            "blend_mb": round(blend.stat().st_size / 1e6, 1) if blend.exists() else None,
            "most_gb": {name: round(value, 2) for name, value in most.items()},
            "processor_seconds": {name: round(value, 1) for name, value in used.items()},
        }  # fmt: skip


def table(results: list[dict]) -> list[str]:
    """Lines of text: a row for each length."""
    lines = [
        "voices of some length, 48 kHz stereo; highest resident memory of each process; the bar is "
        "1.5 GB for the engine, 2.5 GB for Blender",
        "processor time is of both processes, all threads, per minute of voice: other work on the "
        "machine changes it little",
        f"{'minutes':>8}{'takes':>7}{'steps':>7}{'engine GB':>11}{'Blender GB':>12}{'seconds':>9}{'processor s/min':>17}{'.blend MB':>11}{'Blender':>10}",
    ]
    for each in results:
        most = each["most_gb"]
        lines.append(
            f"{each['minutes']:>8g}{each['takes']:>7}{each['steps']:>7}{most['engine']:>11.2f}{most['blender']:>12.2f}"
            f"{each['seconds']:>9.0f}{sum(each['processor_seconds'].values()) / each['minutes']:>17.1f}{each['blend_mb'] or 0:>11.1f}{each.get('blender') or '–':>10}"
            + (
                ""
                if each["finished"]
                else f"  ended after {each['takes_keyed']} takes, at the time limit"
            )
        )
    return lines


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "takes", steps=1, results=ROOT / TARGET)
    parser.add_argument("blender", help="a Python that has bpy")
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 10, 20, 60])
    parser.add_argument(
        "--limit", type=float, default=7200.0, help="seconds after which a bake is ended"
    )


def run(args: Namespace) -> None:
    """Measure the requested lengths; write the table, long.json and the picture."""
    target = args.results
    results = json.loads(target.read_text()) if target.exists() else []
    for minutes in args.minutes:
        result = origin() | measure(args.blender, minutes, args.takes, args.steps, args.limit)
        same = ("minutes", "takes", "steps")
        # another run may have written meanwhile
        results = json.loads(target.read_text()) if target.exists() else []
        results = [each for each in results if any(each[name] != result[name] for name in same)] + [
            result
        ]
        results.sort(key=lambda each: [each[name] for name in same])
        write_table(target, [json.dumps(results)])
        print(write_table(target.with_suffix(".txt"), table(results)), flush=True)
