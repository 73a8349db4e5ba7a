#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Tables 2 and 3 for the systems that `python -m thunder_core.train paper` trained: `python bench/paper.py --runs RUNS`.

S = 32 samples of each clip of unseen speakers, up to 5 s, against the teacher's performance of it, which the systems learned from:
not the paper's data, so only changes within a table compare. Figures are kept for every clip beside the weights they are of, and
measured once. `_sd` is the spread between seeds, `_ci` the 95 % interval of the mean over clips (bootstrap).

NAME=FOLDER,FOLDER adds a row of weights folders of the diffusion model, one per seed. To bench/results/table2.json and table3.json,
and as Markdown into docs/paper.md, if at least 40 clips with 32 samples each were measured; else --results and --docs say where to.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.paper_rows import CLAIMED, TABLE2, TABLE2_COLUMNS, TABLE2_ROWS, TABLE3, TABLE3_COLUMNS, TABLE3_ROWS, TITLES
from bench.tables import keep, required, RESULTS
from thunder_core.face.head import load_head
from thunder_core.files import write_file
from thunder_core.train.corpus import Corpus
from thunder_core.train.evaluate import Clip, clips_of, Contestant, FIGURES, Figures, figures, Measured, SAMPLES, TeacherAgain, Trained
from thunder_core.train.motions import MotionSet
from thunder_core.train.paper import folder_of, NETWORK, STAGES

PROTOCOL_CLIPS = 40
BOOTSTRAP = 2000
TEACHER = "teacher"
_CHAIN = "python -m thunder_core.train paper"
KEPT = "figures.json"  # beside a network: figures of each clip, and of which network
SYSTEM_OF = {stage.name: stage.system for stage in STAGES}


# ---- measuring, resumably


def measure(perform: Contestant, measured: Measured, motions: MotionSet, numbers: list[int], samples: int, path: Path, of: str) -> Figures:
    """{row number: FIGURES} of clips, from `path` where they were measured before with as many samples; what is new is added there.

    of: what was measured; figures of anything else in that file are dropped.
    """
    about = json.loads(path.read_text()) if path.is_file() else {}
    if (about.get("of"), about.get("samples")) != (of, samples):
        about = {"of": of, "samples": samples, "clips": {}}
    for number in numbers:
        if str(number) not in about["clips"]:
            clip = Clip.of(motions, number)
            about["clips"][str(number)] = {k: round(v, 6) for k, v in figures(measured, perform(clip, samples), clip).items()}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps(about) + "\n")
    return {number: about["clips"][str(number)] for number in numbers}


def digest_of(folder: Path) -> str:
    """The SHA-256 of a folder's networks, in short."""
    files = sorted(path for path in folder.glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


# ---- statistics


def table(rows: dict[str, list[Figures]], columns: tuple[str, ...], order: tuple[str, ...]) -> list[dict]:
    """Rows of a table: mean over clips and seeds, `_sd` between seeds (None for one), `_ci` over clips [low, high] (None for one clip).

    rows: of each system, the figures of every seed, of the same clips.
    """
    result = []
    for name in [*(n for n in order if n in rows), *(n for n in rows if n not in order)]:
        seeds, row = rows[name], {"system": name, "seeds": len(rows[name]), "clips": len(rows[name][0])}
        for column in columns:
            values = _values(seeds, column)
            row[column] = _number(np.nanmean(values))
            row[f"{column}_sd"] = _number(np.nanmean(values, 1).std(ddof=1)) if len(values) > 1 else None
            row[f"{column}_ci"] = _interval(np.nanmean(values, 0)) if values.shape[1] > 1 else None
        result.append(row)
    return result


def _values(seeds: list[Figures], column: str) -> np.ndarray:
    """A figure [seeds, clips]."""
    return np.array([[clip[column] for clip in figures.values()] for figures in seeds], float)


def _draws(count: int) -> np.ndarray:
    """Clips of each bootstrap draw [BOOTSTRAP, count]: the same for every system, so that differences are paired."""
    return np.random.default_rng(0).integers(0, count, (BOOTSTRAP, count))


def _interval(values: np.ndarray) -> list[float]:
    means = values[_draws(len(values))].mean(1)
    return [_number(x) for x in np.nanpercentile(means, (2.5, 97.5))]


def _number(value: float) -> float:
    return float(f"{value:.5g}")


def claims(rows: dict[str, list[Figures]]) -> list[dict]:
    """What L_m2s changes, per cent of each figure of CLAIMED, for every system measured with and without it; the paper's beside it."""
    result = []
    for name in [n for n in TABLE2_ROWS if "+" in n and n in rows and n.split("+")[0] in rows]:
        plain = name.split("+")[0]
        row = {"system": name, "against": plain}
        for column in CLAIMED:
            first, second = (np.nanmean(_values(rows[n], column), 0) for n in (plain, name))
            draws = _draws(len(first))
            change = 100 * (second[draws].mean(1) / first[draws].mean(1) - 1)
            row[column] = _number(100 * (second.mean() / first.mean() - 1))
            row[f"{column}_ci"] = [_number(x) for x in np.nanpercentile(change, (2.5, 97.5))]
            if name in TABLE2 and plain in TABLE2:
                at = TABLE2_COLUMNS.index(column)
                row[f"{column}_paper"] = _number(100 * (TABLE2[name][at] / TABLE2[plain][at] - 1))
        result.append(row)
    return result


# ---- Markdown


def markdown(rows: list[dict], columns: tuple[str, ...], order: tuple[str, ...], paper: dict[str, tuple[float, ...]]) -> list[str]:
    """Lines of a table: ours with ± half the interval over clips, and the paper's below it; what is missing says so."""
    known = {row["system"]: row for row in rows}
    lines = ["| | | " + " | ".join(TITLES[c] for c in columns) + " |", "|---|---|" + "---|" * len(columns)]
    for name in [*order, *(n for n in known if n not in order)]:
        ours = [_cell(known[name], c) for c in columns] if name in known else ["not trained"] + [""] * (len(columns) - 1)
        lines.append(f"| {name} | here | " + " | ".join(ours) + " |")
        if name in paper:
            lines.append("| | paper | " + " | ".join(f"{x:.3g}" for x in paper[name]) + " |")
    return lines


def _cell(row: dict, column: str) -> str:
    interval = row[f"{column}_ci"]
    return f"{row[column]:.3g}" + (f" ±{(interval[1] - interval[0]) / 2:.2g}" if interval else "")


def claims_markdown(rows: list[dict]) -> list[str]:
    """Lines of the table of changes: per cent, the 95 % interval over clips, and the paper's change."""
    lines = ["| with L_m2s | " + " | ".join(TITLES[c] for c in CLAIMED) + " |", "|---|" + "---|" * len(CLAIMED)]
    for row in rows:
        cells = []
        for c in CLAIMED:
            low, high = row[f"{c}_ci"]
            paper = f"; paper {row[f'{c}_paper']:+.1f}" if f"{c}_paper" in row else ""
            cells.append(f"{row[c]:+.1f} ({low:+.1f} … {high:+.1f}{paper})")
        lines.append(f"| {row['system']} | " + " | ".join(cells) + " |")
    return lines


def put(page: str, mark: str, lines: list[str]) -> str:
    """A page with new lines between `<!-- mark -->` and `<!-- end mark -->`; added at its end where it has no such marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- end {mark} -->"
    part = "\n".join([begin, *lines, end])
    if begin not in page or end not in page:
        return page.rstrip("\n") + "\n\n" + part + "\n"
    return page[: page.index(begin)] + part + page[page.index(end) + len(end) :]


def write(folder: Path, page: Path | None, rows: dict[str, list[Figures]], about: dict) -> None:
    """Write table2.json, table3.json and the figures of every clip into a folder, and all tables into a Markdown page."""
    second, third = (
        table({n: f for n, f in rows.items() if order is TABLE2_ROWS or n in order}, columns, order)
        for columns, order in ((TABLE2_COLUMNS, TABLE2_ROWS), (TABLE3_COLUMNS, TABLE3_ROWS))
    )
    missing = [name for name in TABLE2_ROWS if name not in rows]
    changes = claims(rows)
    keep(folder / "table2.json", [json.dumps(about | {"missing": missing, "claims": changes, "rows": second}, indent=1)])
    keep(folder / "table3.json", [json.dumps(about | {"missing": [n for n in missing if n in TABLE3_ROWS], "rows": third}, indent=1)])
    keep(
        folder / "paper_clips.json",
        [json.dumps({name: [{str(k): v for k, v in f.items()} for f in seeds] for name, seeds in rows.items()})],
    )
    if page is not None:
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        text = put(text, "table 2", markdown(second, TABLE2_COLUMNS, TABLE2_ROWS, TABLE2))
        text = put(text, "table 3", markdown(third, TABLE3_COLUMNS, TABLE3_ROWS, TABLE3))
        write_file(page, put(text, "claims", claims_markdown(changes)))


# ---- the command


def main(words: list[str] | None = None) -> None:
    """Measure what is not measured yet; write the tables."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("systems", nargs="*", help="NAME=FOLDER,FOLDER: a row of its own, one weights folder per seed")
    p.add_argument("--cache", type=Path, default=ROOT / "cache", help="of the training")
    p.add_argument("--runs", type=Path, default=ROOT / "runs", help="where the chain left what it trained")
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="chains to measure; those that are not there are left out")
    p.add_argument("--only", nargs="+", help="only these rows")
    p.add_argument("--clips", type=int, default=PROTOCOL_CLIPS)
    p.add_argument("--samples", type=int, default=SAMPLES)
    p.add_argument("--steps", type=int, default=20, help="of DPM-Solver++; 1000: all of them, sampled as the paper does")
    p.add_argument("--guidance", type=float, default=1.0, help="s_a of classifier-free guidance")
    p.add_argument("--split", default="test", choices=("test", "validation"), help="validation: to select, before anything is said of test")
    p.add_argument("--results", type=Path, help="folder for the tables (default: bench/results, if the protocol was kept)")
    p.add_argument("--docs", type=Path, help="page to write them into (default: docs/paper.md, likewise)")
    args = p.parse_args(words)
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    head = load_head()
    motions = MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    numbers, measured = clips_of(motions, args.split, args.clips), Measured(head)
    rows: dict[str, list[Figures]] = {}
    chosen = entrants(args)
    if not chosen.keys() - {TEACHER} and not args.only:
        raise SystemExit(f"{args.runs / 'paper'} is missing what {_CHAIN} makes. Nothing was measured, and bench/results is as it was.")
    for name, folders in chosen.items():
        for folder in folders:
            if name == TEACHER:
                perform, of = TeacherAgain(list(head.expression_names)), "teacher"
            else:
                perform, of = Trained(SYSTEM_OF.get(name, "thunder"), folder, head, args.steps, args.guidance), digest_of(folder)
            kind = TEACHER if name == TEACHER else f"{args.steps}steps-{args.guidance:g}"
            path = folder / f"{args.split}-{kind}-{KEPT}"
            rows.setdefault(name, []).append(measure(perform, measured, motions, numbers, args.samples, path, of))
            print(name, {k: _number(np.nanmean(_values(rows[name][-1:], k))) for k in FIGURES}, flush=True)
    about = {"clips": len(numbers), "split": args.split, "samples": args.samples, "steps": args.steps, "guidance": args.guidance}
    kept = args.split == "test" and len(numbers) >= PROTOCOL_CLIPS and args.samples >= SAMPLES and not args.only
    kept = kept and (args.steps, args.guidance) == (20, 1.0)
    folder, page = args.results or (RESULTS if kept else None), args.docs or (ROOT / "docs" / "paper.md" if kept else None)
    if folder is None:
        print("Not written to bench/results: the paper's protocol was not kept. Name a folder with --results to keep the tables.")
    else:
        write(folder, page, rows, about)
        print(f"tables → {folder}" + (f", {page}" if page else ""))


def entrants(args: argparse.Namespace) -> dict[str, list[Path]]:
    """Every row to be measured and the folders of its seeds."""
    result: dict[str, list[Path]] = {}
    for name in TABLE2_ROWS[:-1]:
        found = [folder_of(args.runs, seed, name) for seed in args.seeds]
        if there := [folder for folder in found if (folder / f"{NETWORK}.json").is_file()]:
            result[name] = there
    result[TEACHER] = [args.runs / "paper"]
    for entry in args.systems:
        name, _, folders = entry.partition("=")
        result[name] = [Path(folder) for folder in folders.split(",")]
    return {name: folders for name, folders in result.items() if not args.only or name in args.only}


if __name__ == "__main__":
    main()
