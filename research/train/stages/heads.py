# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `heads`: the corpus once more with heads drawn from real people's statistics, for the paper's Table 3; and those statistics."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from research.faces.head_motion import HeadStatistics, measured, STATISTICS, WINDOW, with_heads
from research.faces.real_faces import solved_clips
from thunder_core.channels import Columns
from thunder_core.engine.speech.encoder import loudness
from thunder_core.train.stages import option
from thunder_core.train.voices import read_recording
from thunder_core.train.workspace import Workspace

HELP = "the corpus with heads drawn from real people's statistics (docs/training.md)"
OPTIONS = (
    option("--to", type=Path, help="cache to write: the corpus and its performances, with other heads"),
    option("--measure", type=Path, help="folder of solved faces: measure the statistics again first"),
)


def run(workspace: Workspace, args: Namespace) -> str:
    """Measure people's heads, write the second data set, or both; returns a summary."""
    done = []
    if args.measure:
        statistics = _of_people(args.measure, workspace.channels)
        statistics.save(STATISTICS)
        done.append(
            f"{statistics.people} people, {statistics.seconds:.0f} s; loudness explains {statistics.explained:.1%} of a head that was "
            f"left out; sizes differ by a factor of {2.718**statistics.spread:.2f} → {STATISTICS}"
        )
    if args.to:
        columns = Columns(workspace.head.channels)
        source, folder = workspace.motions_folder, args.to / "motions"
        count = with_heads(workspace.motions(), source, folder, columns.head, HeadStatistics.load(), workspace.seed)
        (args.to / "corpus").unlink(missing_ok=True)
        os.symlink(workspace.corpus_folder.resolve(), args.to / "corpus")
        done.append(f"{count} performances with heads of their own → {args.to}")
    if not done:
        raise SystemExit("Nothing to do: name a cache with --to, or solved faces with --measure.")
    return "\n".join(done)


def _of_people(folder: Path, channels: list[str]) -> HeadStatistics:
    """Statistics of every solved recording of a folder that is long enough, where the face was seen throughout."""
    heads, loud = [], []
    for name, motion, seen in solved_clips(folder, channels):
        samples = read_recording(folder / f"{name}.wav")
        frames = min(motion.frames, len(samples) // 640)
        if frames >= WINDOW:
            turned = motion.head[:frames].astype(float)
            turned[~seen[:frames]] = turned[seen[:frames]].mean(0)
            heads.append(turned)
            loud.append(loudness(samples[: 640 * frames], frames)[:, 1])
    if not heads:
        raise SystemExit(f"“{folder}” has no solved face of {WINDOW} frames or more (python -m research train solve)")
    return measured(heads, loud)
