# SPDX-License-Identifier: GPL-3.0-or-later
"""Does L_m2s lower lip errors, or only the variety of samples? `python -m research tradeoff --runs RUNS --cache CACHE`.

Samples near the mean have a small lip error regardless of the training. So systems are compared at equal variety of samples: each diffusion
system with and without L_m2s at several strengths s_a of classifier-free guidance, LVE against S-DIV of the lips. The loss helps where its
curve is lower. Regressors are points. One seed, S = 8; figures are kept beside the weights and measured once. To
research/results/tradeoff.json and docs/pictures/tradeoff.png.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.harness import add_shared, keep_json, required, RESULTS, ROOT
from research.measures.evaluate import Clip, clips_of, Measured, Trained
from research.paper import digest_of, KEPT, measure, SYSTEM_OF
from research.train.paper import folder_of, named, NETWORK, ROWS
from thunder_core.face.head import load_head
from thunder_core.systems import SYSTEMS
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet

STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
SAMPLES = 8
PICTURE = ROOT / "docs" / "pictures" / "tradeoff.png"


def rows_of(args: Namespace) -> list[str]:
    """Rows to be measured: those that are trained, or of these the named ones. Raises SystemExit where there is none, or none of a name."""
    trained = [name for name in ROWS if (folder_of(args.runs, args.seed, name) / f"{NETWORK}.json").is_file()]
    if not trained:
        required(folder_of(args.runs, args.seed, ""), "what python -m research train paper makes")
        raise SystemExit(f"No row is trained in {folder_of(args.runs, args.seed, '')}: python -m research train paper makes them")
    if missing := [name for name in args.only or () if name in ROWS and name not in trained]:
        raise SystemExit(f"{', '.join(missing)} is not trained: python -m research train paper --only {' '.join(missing)}")
    return named(args.only or (), trained, " to be measured")


def points(args: Namespace, rows: list[str]) -> dict[str, list[dict[str, float]]]:
    """Of each row, strength of guidance, LVE and S-DIV of the lips, cm."""
    head, motions = load_head(), MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    clips = [Clip.of(motions, number) for number in clips_of(motions, args.split, args.clips)]
    measured, result = Measured(head), {}
    for name in rows:
        folder = folder_of(args.runs, args.seed, name)
        for strength in STRENGTHS if SYSTEMS[SYSTEM_OF[name]].diffuses else (1.0,):
            path = folder / f"{args.split}-{args.steps}steps-{strength:g}-{SAMPLES}samples-{KEPT}"
            perform = Trained(SYSTEM_OF[name], folder, head, args.steps, strength)
            kept = measure(perform, measured, clips, SAMPLES, path, digest_of(folder))
            lve, varied = (float(np.mean([clip[k] for clip in kept.values()])) for k in ("lve", "sdiv_l"))
            result.setdefault(name, []).append({"guidance": strength, "lve": lve, "sdiv_l": varied})
            print(name, result[name][-1], flush=True)
    return result


def at_equal_variety(curves: dict[str, list[dict[str, float]]]) -> dict[str, list[dict[str, float]]]:
    """Of each row with L_m2s and each strength, by how many per cent its LVE differs from that of the row without at the same S-DIV.

    That curve is drawn straight between its points; strengths that lie beyond it are left out.
    """
    result = {}
    for name, row in curves.items():
        plain = sorted((p["sdiv_l"], p["lve"]) for p in curves.get(name.split("+")[0], []))
        if "+" not in name or len(plain) < 2:
            continue
        varied, lve = np.array(plain).T
        inside = [p for p in row if varied[0] <= p["sdiv_l"] <= varied[-1]]
        changes = [100 * (p["lve"] / float(np.interp(p["sdiv_l"], varied, lve)) - 1) for p in inside]
        result[name] = [{"guidance": p["guidance"], "change": round(change, 1)} for p, change in zip(inside, changes)]
    return result


def draw(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    """A picture of LVE against S-DIV: a colour for each system, dashed with L_m2s, dotted where that leaves out rows without sound."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 6), dpi=100)
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(name.split("+")[0] for name in curves))}
    for name, row in curves.items():
        marker, stroke = ("o", "-") if "+" not in name else ("^", ":") if name.endswith("-masked") else ("s", "--")
        style = {"color": colours[name.split("+")[0]], "marker": marker, "ls": stroke}
        axes.plot([p["sdiv_l"] for p in row], [p["lve"] for p in row], label=name, **style)
        for p in row if len(row) > 1 else ():
            axes.annotate(f"{p['guidance']:g}", (p["sdiv_l"], p["lve"]), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.set(xlabel="S-DIV of the lips, cm", ylabel="LVE, cm", title="Lip error at equal variety; numbers are strengths of guidance")
    axes.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "seed", steps=20, results=RESULTS)
    p.add_argument("--only", nargs="+", help="only these rows (“thunder*”: all whose names begin so)")
    p.add_argument("--clips", type=int, default=40)
    p.add_argument("--split", default="test", choices=("test", "validation"))
    p.add_argument("--picture", type=Path, help="file for the plot (default: docs/pictures/tradeoff.png, or tradeoff.png beside --results)")


def run(args: Namespace) -> None:
    """Measure missing points; write the points and the plot."""
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    curves = points(args, rows_of(args))
    about = {
        "clips": args.clips,
        "samples": SAMPLES,
        "split": args.split,
        "steps": args.steps,
        "seed": args.seed,
        "at_equal_variety": at_equal_variety(curves),
        "rows": curves,
    }
    keep_json(args.results / "tradeoff.json", about)
    draw(curves, args.picture or (PICTURE if args.results == RESULTS else args.results / "tradeoff.png"))
