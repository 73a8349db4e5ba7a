# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that all stages of training share, and how the one that the command line names runs."""

import argparse
import os
from pathlib import Path

import torch

from research.train import other_stages, stages
from research.train.stages import option, ROOT, Workspace
from thunder_core.errors import ThunderError
from thunder_core.shipped import WEIGHTS

STAGES = stages.STAGES | other_stages.STAGES

_SHARED = (
    option("--cache", type=Path, default=ROOT / "cache",
           help="corpus and features (not for version control)"),
    option("--runs", type=Path, default=ROOT / "runs",
           help="checkpoints and logs; a stage found there is resumed"),
    option("--weights", type=Path, default=WEIGHTS, help="where stages read and export weights"),
    option("--seed", type=int, default=1,
           help="of every draw: the same seed trains the same network"),
    option("--device", default="cuda:0" if torch.cuda.is_available() else "cpu",
           help="cpu, or cuda:0 where torch finds it"),
    option("--threads", type=int, default=os.cpu_count(), help="of torch; 1 under torchrun"),
)  # fmt: skip


def add_arguments(p: argparse.ArgumentParser) -> None:
    """Add the options that all stages share, and a subcommand for each stage."""
    for argument, settings in _SHARED:
        p.add_argument(argument, **settings)
    subparsers = p.add_subparsers(dest="stage", required=True)
    for name, stage in STAGES.items():
        parser = subparsers.add_parser(name, help=stage.help)
        for argument, settings in stage.options:
            parser.add_argument(argument, **settings)


def run(args: argparse.Namespace) -> None:
    """Run the stage that the command line names. Raises SystemExit with a sentence where it
    cannot."""
    torch.set_num_threads(args.threads)
    try:
        folders = args.cache, args.runs, args.weights
        workspace = Workspace(*folders, args.seed, args.device, args.stage)
        print(STAGES[args.stage].run(workspace, args))
    except ThunderError as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        raise SystemExit(f"{error}. Check the path, your rights and the space left.") from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped: the same command goes on from what was saved") from None
