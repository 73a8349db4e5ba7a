# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells how long a stage of training will take on this machine, by a few steps of it."""

import json
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .stages import Workspace

_TRIED = 6  # steps; the laboratory trains some networks a third as long before another


def tell_hours(
    run: Callable[[Workspace, Namespace], object], work: Workspace, args: Namespace
) -> str:
    """Train a few steps in folders that are removed again; hours of everything that is trained, a
    line each, and of all."""
    steps = args.steps
    together = getattr(args, "together_steps", steps)
    seeds = getattr(args, "seeds", None) or [work.seed]
    with tempfile.TemporaryDirectory(prefix="thunder_hours_") as folder:
        runs, weights = Path(folder, "runs"), Path(folder, "weights")
        shutil.copytree(work.weights, weights)
        few = {"steps": _TRIED, "together_steps": _TRIED, "seeds": seeds[:1], "out": weights}
        tried = {name: value for name, value in few.items() if name in vars(args)}
        run(replace(work, runs=runs, weights=weights), Namespace(**(vars(args) | tried)))
        lines, whole = [], 0.0
        for log in sorted(runs.rglob("log.jsonl")):
            last = json.loads(log.read_text().splitlines()[-1])
            name = str(log.parent.relative_to(runs))
            of_all = together if "paper" in name and ".base" not in name else steps
            count = max(1, of_all * last["step"] // _TRIED)
            hours = count * last["seconds_per_step"] / 3600
            whole += hours
            lines.append(f"{hours:6.2f} h  {name}: {count} steps of {last['seconds_per_step']} s")
    times = f", {len(seeds)} seeds: {whole * len(seeds):.2f} h" if len(seeds) > 1 else ""
    return "\n".join([*lines, f"{whole:6.2f} h  in all{times}; {work.device}, without measuring"])
