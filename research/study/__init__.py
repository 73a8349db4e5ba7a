# SPDX-License-Identifier: GPL-3.0-or-later
"""A perceptual study (§5.3 of the paper): films in pairs, a local page that collects votes, and
their evaluation.

`python -m research study make|serve|count FOLDER` (its README). `make` needs a Python that has
bpy, the others any Python; `count` needs numpy and scipy.
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from research.study import pairs, server


def add_arguments(p: ArgumentParser) -> None:
    """Add the three commands with their options."""
    commands = p.add_subparsers(dest="command", required=True)
    make = commands.add_parser(
        "make", help="make pairs of films with sound; goes on where it was stopped"
    )
    make.add_argument("folder", type=Path, help="where the study lies, made if it is missing")
    make.add_argument(
        "--clip",
        type=Path,
        action="append",
        required=True,
        help="a voice, a sound file; give it once for each clip",
    )
    make.add_argument(
        "--system", action="append", required=True, metavar="NAME=FOLDER[,SETTING=VALUE…]",
        help="at least two: a folder of weights, which samples takes, or of motions CLIP.npz, as "
             "takes are written; FOLDER left empty "
        f"is the weights that ship; settings of sampling: {', '.join(pairs.SETTINGS)}",
    )  # fmt: skip
    make.add_argument(
        "--checks",
        type=int,
        default=0,
        help="pairs in which one side has the motion of another clip (0)",
    )
    make.add_argument("--seconds", type=float, default=10.0, help="longest film (10)")
    make.add_argument(
        "--size", type=int, default=480, help="pixels of a side, an even number (480)"
    )
    make.add_argument("--seed", type=int, default=1, help="of sides, names and order (1)")
    serve = commands.add_parser("serve", help="collect votes on a local web page")
    serve.add_argument("folder", type=Path)
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 lets other machines vote (127.0.0.1)",
    )
    serve.add_argument("--port", type=int, default=8712)
    count = commands.add_parser("count", help="print what the votes say, with confidence intervals")
    count.add_argument("folder", type=Path)
    count.add_argument(
        "--attentive",
        type=float,
        default=0.0,
        help="leave out who saw fewer than this share of the checks (0)",
    )


def run(args: Namespace) -> None:
    """Run a command. Raises SystemExit with a sentence where it cannot."""
    try:
        if args.command == "make":
            systems = [pairs.system(text) for text in args.system]
            plan = pairs.plan_study(
                args.clip, systems, args.checks, args.seconds, args.size, args.seed
            )
            from research.study import films

            films.check(args.folder, plan)
            pairs.begin(args.folder, plan)
            films.draw(args.folder, plan)
            pairs.publish(args.folder, plan)
            print(
                f"{len(plan['pairs'])} pairs in {args.folder}; next: python -m research study "
                f"serve {args.folder}"
            )
        elif args.command == "serve":
            server.run(args.folder, args.host, args.port)
        else:
            from research.study import votes

            print("\n".join(votes.report(args.folder, args.attentive)))
    except (pairs.StudyError, OSError) as error:
        raise SystemExit(f"{error}") from None
