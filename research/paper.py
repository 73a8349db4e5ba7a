# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Tables 2 and 3 for the systems that `python -m research train paper` trained.

S = 32 samples of each clip of unseen speakers, up to 5 s, against the teacher's performance of it,
which the systems learned from: not the paper's data, so only changes within a table compare.
Figures are kept for every clip beside the weights they are of, and measured once. `_sd` is the
spread between seeds, `_ci` the 95 % interval of the mean over clips (bootstrap); intervals of
changes are over clips and seeds. A change is of the seeds that both rows have, each pair from one
base.

--grid measures on people of GRID, whose lips the systems learned; several numbers of --steps compare
samplers; both have separate tables. To research/results/table2.json (--heads: table3.json), and the
means as Markdown into research/results/paper_tables.md, if at least 40 clips with 32 samples each
were measured; else --results and --docs say where to.
"""

import hashlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from research.harness import add_shared, replace_part_of_file, required, RESULTS, write_json
from research.measures.evaluate import (
    Clip,
    clips_of,
    Contestant,
    FIGURES,
    Figures,
    figures,
    Measured,
    SAMPLES,
    TeacherAgain,
    Trained,
)
from research.measures.metrics import kinematic_beats, pose_diversity, score_beats, sound_onsets
from research.paper_rows import MASKED, PAPER2, PAPER3, TABLE2_ROWS, TABLE3_ROWS, TITLES
from research.systems.denoisers import ClipImages
from research.train.corpus import Corpus
from research.train.ear import Ear
from research.train.grid import KNOWN
from research.train.motions import MotionSet
from research.train.paper import folder_of, MASKED as MASKED_ENDING, NETWORK, select_rows, STAGES
from thunder_core.face.head import Head, load_head
from thunder_core.files import write_file
from thunder_core.types import Columns

PROTOCOL_CLIPS = 40
SOLVER_STEPS = 10  # steps of DPM-Solver++
BOOTSTRAP = 2000
LEAST_CLIPS = 10  # clips below which a bootstrap's interval says nothing
TOO_FEW = "too few clips"
TEACHER = "teacher"
_CHAIN = "python -m research train paper"
GRID = "people_grid"  # the cache that `train grid --tables` begins: learned from people and measured on them
# per cent of LVE: the smallest change that counts, fixed before anything was measured on GRID
LEAST_EFFECT = 3.0
HEADS = "heads"  # second data set, with heads drawn from people's statistics
PAGE = RESULTS / "paper_tables.md"
KEPT = "figures.json"  # file next to a network: figures of each clip, and the network's checksum
# What the paper says that L_m2s, or the second of COMPARED, does to a figure: 1 raises, −1 lowers
# it.
SIGNS = {"lve": -1, "dtw": -1, "l_ccc": 1, "l_pcc": 1, "sdiv_l": -1, "sdiv_u": -1}
COMPARED = (
    ("thunder+face2s", "thunder+mouth2s"),
    ("thunder+exp2s", "thunder+mouth2s"),
    ("thunder", "thunder-t"),
    ("thunder+mouth2s", "thunder-t+mouth2s"),
)  # fmt: skip
SYSTEM_OF = {stage.name: stage.system for stage in STAGES}


# ---- measuring, resumably


def measure(
    perform: Contestant,
    measured: Measured,
    clips: Sequence[Clip],
    samples: int,
    path: Path,
    of: str,
) -> Figures:
    """{name: FIGURES} of clips, from `path` where they were measured before with as many samples;
    what is new is added there.

    of: what was measured; figures of anything else in that file are dropped.
    """
    about = json.loads(path.read_text()) if path.is_file() else {}
    if (about.get("of"), about.get("samples")) != (of, samples):
        about = {"of": of, "samples": samples, "clips": {}}
    for clip in clips:
        if clip.name not in about["clips"]:
            about["clips"][clip.name] = {
                k: round(v, 6) for k, v in figures(measured, perform(clip, samples), clip).items()
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps(about) + "\n")
    return {clip.name: about["clips"][clip.name] for clip in clips}


def digest_of(folder: Path) -> str:
    """The SHA-256 of a folder's networks, in short."""
    files = sorted(path for path in folder.glob("*.safetensors"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


# ---- statistics

# of each system, the figures of every seed, all of the same clips
Rows = dict[str, dict[int, Figures]]


def table(rows: Rows, columns: tuple[str, ...], order: tuple[str, ...]) -> list[dict]:
    """Rows of a table: mean over clips and seeds, `_sd` between seeds (None for one), `_ci` over
    clips [low, high] (None for one clip)."""
    result = []
    for name in [*(n for n in order if n in rows), *(n for n in rows if n not in order)]:
        seeds = list(rows[name].values())
        row = {"system": name, "seeds": len(seeds), "clips": len(seeds[0])}
        for column in columns:
            values = _values(seeds, column)
            row[column] = _number(np.nanmean(values))
            row[f"{column}_sd"] = (
                _number(np.nanmean(values, 1).std(ddof=1)) if len(values) > 1 else None
            )
            row[f"{column}_ci"] = _interval(np.nanmean(values, 0)) if values.shape[1] > 1 else None
        result.append(row)
    return result


def _values(seeds: list[Figures], column: str) -> np.ndarray:
    """A figure [seeds, clips]."""
    return np.array([[clip[column] for clip in figures.values()] for figures in seeds], float)


def _draws(count: int) -> np.ndarray:
    """Clips of each bootstrap draw [BOOTSTRAP, count]: the same for every system, so that
    differences are paired."""
    return np.random.default_rng(0).integers(0, count, (BOOTSTRAP, count))


def _interval(values: np.ndarray) -> list[float]:
    return _percentiles(values[_draws(len(values))].mean(1))


def _number(value: float) -> float:
    return float(f"{value:.5g}")


Paper = Mapping[str, Mapping[str, float]]  # the paper's figures of each row


def claims(rows: Rows, paper: Paper = PAPER2) -> list[dict]:
    """What L_m2s changes, per cent of each figure of SIGNS, for every system measured with and
    without it; the paper's beside it.

    Then what masking it changes, and how systems that the paper compares differ. `_ci`: 95 %
    interval over clips and seeds; `_seeds`: the change of each seed. `_verdict`: reproduced if the
    whole interval is on the claim's side, contradicted if it is on the other, otherwise open; of
    fewer than LEAST_CLIPS clips none. `lve_counts`: as `judge`. `_seeds_agree`: whether the 95 % t-interval of the mean over
    seeds excludes 0 too; it is much wider for two or three seeds, and there is none for one.
    """
    pairs = [(n.split("+")[0], n) for n in TABLE2_ROWS if "+" in n] + [*MASKED, *COMPARED]
    pairs += [
        (first + MASKED_ENDING, second + MASKED_ENDING)
        for first, second in COMPARED
        if "+" in first
    ]
    return [
        _changes(rows, first, second, paper)
        for first, second in pairs
        if _common(rows, first, second)
    ]


def _changes(rows: Rows, plain: str, name: str, paper: Paper) -> dict:
    row: dict = {"system": name, "against": plain, "seeds": _common(rows, plain, name)}
    for column, sign in SIGNS.items():
        change, interval, narrow = _change(rows, plain, name, column)
        low, high = sorted(sign * x for x in interval)
        verdict = "reproduced" if low > 0 else "contradicted" if high < 0 else "open"
        few = min(len(figures) for figures in rows[name].values()) < LEAST_CLIPS
        by_seed = _by_seed(rows, plain, name, column)
        row |= {
            column: _number(change), f"{column}_ci": interval, f"{column}_seeds": by_seed,
            f"{column}_verdict": TOO_FEW if few else verdict,
            f"{column}_seeds_agree": _seeds_agree(by_seed),
        }  # fmt: skip
        if column == "lve":
            row |= {"lve_ci90": narrow, "lve_counts": judge(change, interval, narrow, len(by_seed))}
        # the paper does not say whether it masks
        stated = _change_in_paper(paper, _unmasked_row(plain), _unmasked_row(name), column)
        if stated is not None:
            row[f"{column}_paper"] = _number(stated)
    return row


def judge(change: float, interval: Sequence[float], narrow: Sequence[float], seeds: int) -> str:
    """What a change of LVE by `change` per cent means beside LEAST_EFFECT, of its 95 % `interval`
    and its 90 % one, `narrow`."""
    if seeds < 2:
        return "one seed"
    if min(interval) > 0 or max(interval) < 0:
        if abs(change) >= LEAST_EFFECT:
            return "better" if change < 0 else "worse"
    within = max(map(abs, narrow)) < LEAST_EFFECT
    return "no change that counts" if within else "open"


def _change_in_paper(paper: Paper, first: str, second: str, column: str) -> float | None:
    """Per cent by which a figure of the paper differs between two rows; None if it lacks one."""
    if first == second or any(column not in paper.get(name, {}) for name in (first, second)):
        return None
    return 100 * (paper[second][column] / paper[first][column] - 1)


def _unmasked_row(name: str) -> str:
    """The row in which L_m2s counts everywhere, for a row in which it may be masked."""
    return name.removesuffix(MASKED_ENDING)


def _seeds_agree(changes: Sequence[float]) -> bool:
    """Whether the 95 % t-interval of the mean of the seeds' changes excludes 0."""
    if len(changes) < 2:
        return False
    half = (
        float(student.ppf(0.975, len(changes) - 1))
        * float(np.std(changes, ddof=1))
        / len(changes) ** 0.5
    )
    return abs(float(np.mean(changes))) > half


def _common(rows: Rows, first: str, second: str) -> list[int]:
    """The seeds that two rows both have."""
    return sorted(rows.get(first, {}).keys() & rows.get(second, {}).keys())


def _pair(rows: Rows, first: str, second: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A figure of two rows [seeds, clips], of the seeds that both have."""
    seeds = _common(rows, first, second)
    return _values([rows[first][seed] for seed in seeds], column), _values(
        [rows[second][seed] for seed in seeds], column
    )


def _by_seed(rows: Rows, first: str, second: str, column: str) -> list[float]:
    """By how many per cent a figure of a row differs from another's, for each seed that both
    have."""
    a, b = (np.nanmean(x, 1) for x in _pair(rows, first, second, column))
    return [_number(x) for x in 100 * (b / a - 1)]


def _change(
    rows: Rows, first: str, second: str, column: str
) -> tuple[float, list[float], list[float]]:
    """By how many per cent a figure of a row differs from another's, and the 95 % and 90 % intervals
    over clips and seeds.

    Clips and seeds are drawn with replacement, the same for both rows.
    """
    a, b = _pair(rows, first, second, column)
    clips, count = _draws(a.shape[1]), len(a)
    seeds = np.random.default_rng(1).integers(0, count, (BOOTSTRAP, count))
    at = (seeds[:, :, None], clips[:, None])
    drawn = 100 * (np.nanmean(b[at], (1, 2)) / np.nanmean(a[at], (1, 2)) - 1)
    change = 100 * (np.nanmean(b) / np.nanmean(a) - 1)
    return change, _percentiles(drawn), _percentiles(drawn, 90)


def _percentiles(draws: np.ndarray, level: float = 95) -> list[float]:
    return [_number(x) for x in np.nanpercentile(draws, (50 - level / 2, 50 + level / 2))]


# ---- Markdown


def markdown(
    rows: list[dict], columns: tuple[str, ...], order: tuple[str, ...], paper: Paper
) -> list[str]:
    """Lines of a table: our figures, the paper's in brackets, and the number of seeds; missing ones
    are marked."""
    known = {row["system"]: row for row in rows}
    lines = [
        "| system, seeds | " + " | ".join(TITLES[c] for c in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name in [*order, *(n for n in known if n not in order)]:
        ours = {c: f"{known[name][c]:.3g}" if name in known else "–" for c in columns}
        stated = {c: f" ({paper[name][c]:.3g})" for c in columns if c in paper.get(name, {})}
        seeds = known[name]["seeds"] if name in known else "not trained"
        lines.append(
            f"| {name}, {seeds} | "
            + " | ".join(ours[c] + stated.get(c, "") for c in columns)
            + " |"
        )
    return lines


@dataclass(frozen=True)
class Printed:
    """One of the paper's tables: its number, the columns and rows of the page in their order, and
    the paper's figures by their names.

    suffix: of the file that does not bear its number.
    """

    number: int
    columns: tuple[str, ...]
    order: tuple[str, ...]
    paper: Paper
    suffix: str = ""


SECOND = Printed(2, ("lve", "l_ccc", "dtw", "sdiv_l"), TABLE2_ROWS, PAPER2)
THIRD = Printed(3, ("lve", "l_ccc", "dtw", "div"), TABLE3_ROWS, PAPER3, f"_{HEADS}")


def write(
    folder: Path, page: Path | None, rows: Rows, about: dict, printed: Printed = SECOND
) -> None:
    """Write a table, what it says of the paper's claims, and the figures of every clip into a
    folder; the table into a page too."""
    made = table(rows, FIGURES, printed.order)
    missing = [name for name in printed.order if name not in rows]
    about = about | {"missing": missing, "claims": claims(rows, printed.paper), "rows": made}
    write_json(folder / f"table{printed.number}.json", about)
    write_json(folder / f"paper_clips{printed.suffix}.json", rows, indent=None)
    if page is not None:
        lines = markdown(made, printed.columns, printed.order, printed.paper)
        if page != PAGE:  # which says more above its tables
            lines += [
                "",
                f"{about['clips']} clips of unseen speakers ({', '.join(about['speakers'])}), "
                f"{about['samples']} samples of each. In brackets are the paper's values, of other "
                f"data: compare changes, never values.",
            ]
        replace_part_of_file(page, f"table {printed.number}", lines)


def write_grid(folder: Path, page: Path | None, rows: Rows, about: dict, unseen: set[str]) -> None:
    """Write the tables of people of GRID: all clips, and what they say of the paper's claims in
    clips of the speaker that the systems know and in the others', `unseen`."""
    made = table(rows, FIGURES, TABLE2_ROWS)

    def part(of_unseen: bool) -> Rows:
        return {
            name: {
                seed: {clip: of for clip, of in each.items() if (clip in unseen) == of_unseen}
                for seed, each in seeds.items()
            }
            for name, seeds in rows.items()
        }

    about = about | {
        "missing": [name for name in TABLE2_ROWS if name not in rows],
        "claims": claims(rows),
        "claims_unseen_speakers": claims(part(True)),
        "claims_unseen_sentences": claims(part(False)),
        "rows_unseen_speakers": table(part(True), FIGURES, TABLE2_ROWS),
        "rows": made,
    }
    write_json(folder / f"table2_{GRID}.json", about)
    for printed in (SECOND, THIRD) if page is not None else ():
        lines = markdown(made, printed.columns, printed.order, printed.paper)
        replace_part_of_file(page, f"table {printed.number} on people", lines)


# ---- the command


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "results")
    p.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[1, 2, 3],
        help="chains to measure; those that are not there are left out",
    )
    p.add_argument(
        "--only", nargs="+", help="only these rows (“thunder*”: all whose names begin so)"
    )
    p.add_argument("--clips", type=int, default=PROTOCOL_CLIPS)
    p.add_argument("--samples", type=int, default=SAMPLES)
    p.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=[SOLVER_STEPS],
        help="of DPM-Solver++; 1000: all of them, sampled as the paper does; several: compared",
    )
    p.add_argument("--clip", type=Path, help="the CLIP folder that Media2Face was trained with")
    p.add_argument("--ear", type=Path, help="the wav2vec 2.0 or HuBERT folder of the training")
    p.add_argument("--guidance", type=float, default=1.0, help="s_a of classifier-free guidance")
    p.add_argument(
        "--split",
        default="test",
        choices=("test", "validation"),
        help="validation: to select, before anything is said of test",
    )
    p.add_argument(
        "--grid",
        action="store_true",
        help="CACHE is of `train grid --tables`: tables of its people",
    )
    p.add_argument("--device", default="cpu", help="what samples: cpu, or cuda:0")
    p.add_argument("--heads", action="store_true", help="CACHE is of the stage `heads`: Table 3")
    p.add_argument(
        "--docs",
        type=Path,
        help="page to write them into (default: research/results/paper_tables.md, likewise)",
    )


def run(args: Namespace) -> None:
    """Measure what is not measured yet; write the tables."""
    required(
        args.cache / "motions" / "rows.json",
        "the motions of a training cache (python -m research train animate)",
    )
    chosen = contestants(args)
    if not chosen.keys() - {TEACHER} and not args.only:
        raise SystemExit(
            f"{args.runs / 'paper'} is missing what {_CHAIN} makes. Nothing was measured, and "
            f"research/results is as it was."
        )
    head = load_head()
    clip = ClipImages(args.clip) if args.clip else None
    ear = Ear(args.ear) if args.ear else None
    clips = of_corpus(args)
    rows: Rows = {}
    measured = Measured(head)
    for name, folders in chosen.items():
        for steps in args.steps:
            row = name if len(args.steps) == 1 else f"{name}, {steps} steps"
            for seed, folder in folders.items():
                perform, of = contestant(
                    name, folder, head, steps, args.guidance, clip, args.device, ear
                )
                figures = measure(
                    perform,
                    measured,
                    clips,
                    args.samples,
                    figures_file(args, name, folder, steps),
                    of,
                )
                rows.setdefault(row, {})[seed] = figures
                print(
                    row,
                    {k: _number(np.nanmean(_values([figures], k))) for k in FIGURES},
                    flush=True,
                )
    about = {
        "clips": len(clips),
        "speakers": sorted({clip.speaker for clip in clips}),
        "split": args.split,
        "samples": args.samples,
        "guidance": args.guidance,
    }
    about |= {"ear": ear.name} if ear else {}
    about |= {"steps": args.steps[0]} if len(args.steps) == 1 else {"steps": args.steps}
    if args.heads or args.grid:
        about |= {"data": {"ba": beat_alignment(clips, head), "div": diversity(clips, head)}}
    if args.grid:
        about["unseen"] = [
            clip.name for clip in clips if not clip.speaker.startswith(f"grid {KNOWN}")
        ]
    place(args, rows, about)


def place(args: Namespace, rows: Rows, about: dict) -> None:
    """Write the tables where they belong: those of the paper's protocol, of GRID's people, of other
    heads and of several numbers of steps apart."""
    apart = (
        GRID if args.grid else HEADS if args.heads else "steps" if len(args.steps) > 1 else ""
    )  # fmt: skip
    kept = args.guidance == 1.0 and not args.ear and (len(args.steps) > 1 or not args.only)
    if apart in ("", HEADS, GRID):
        kept = (
            kept
            and args.split == "test"
            and about["clips"] >= PROTOCOL_CLIPS
            and args.samples >= SAMPLES
            and args.steps == [SOLVER_STEPS]
        )
    folder = args.results or (RESULTS if kept else None)
    if folder is None:
        print(
            "Not written to research/results: the paper's protocol was not kept. Name a folder "
            "with --results to keep the tables."
        )
        return
    printed = THIRD if args.heads else SECOND
    page = args.docs or (PAGE if kept else None)
    if apart == GRID:
        write_grid(folder, page, rows, about, set(about.pop("unseen")))
    elif apart and apart != HEADS:
        made = table(rows, FIGURES, TABLE2_ROWS)
        about = about | {"claims": claims(rows, printed.paper), "rows": made}
        write_json(folder / f"table{printed.number}_{apart}.json", about)
    else:
        write(folder, page, rows, about, printed)
    print(f"tables → {folder}")


def of_corpus(args: Namespace) -> list[Clip]:
    """Clips of unseen speakers, performed by the teacher."""
    motions = MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    return [Clip.of(motions, number) for number in clips_of(motions, args.split, args.clips)]


def diversity(clips: Sequence[Clip], head: Head) -> float:
    """Mean distance, in degrees, between head poses of the data's performances of one sound
    (DIV); mean over clips."""
    columns = Columns(head.channels).head
    rows = [
        (clip.motions.motions, clip.motions.rows[clip.number].start, clip.frames) for clip in clips
    ]
    return _number(
        np.mean(
            [pose_diversity(motions[:, at : at + frames, columns]) for motions, at, frames in rows]
        )
    )


def beat_alignment(clips: Sequence[Clip], head: Head) -> dict[str, float]:
    """BA of the data's heads: mean with their sound, half of its 95 % interval, and mean
    with the sounds of all others."""
    columns = Columns(head.channels).head
    beats = [(kinematic_beats(clip.truth[:, columns]), clip.frames) for clip in clips]
    onsets = [sound_onsets(clip.samples) for clip in clips]
    scores = np.array(
        [
            [score_beats(at, sound[sound < frames], frames) for sound in onsets]
            for at, frames in beats
        ]
    )
    matched, others = np.diag(scores), scores[~np.eye(len(clips), dtype=bool)]
    values = {
        "own sound": matched.mean(),
        "±": 1.96 * matched.std() / np.sqrt(len(matched)),
        "another's": others.mean() if others.size else np.nan,
    }
    return {name: round(float(value), 3) for name, value in values.items()}


def contestant(
    name: str, folder: Path, head: Head, steps: int, guidance: float,
    clip: ClipImages | None, device: str = "cpu", ear: Ear | None = None
) -> tuple[Contestant, str]:  # fmt: skip
    """A system of a folder, and a short description. Raises BadRequest, BadWeights."""
    if name == TEACHER:
        return TeacherAgain(list(head.expression_names)), TEACHER
    system = SYSTEM_OF.get(name, "thunder")
    return Trained(system, folder, head, steps, guidance, clip, device, ear), digest_of(folder)


def figures_file(args: Namespace, name: str, folder: Path, steps: int) -> Path:
    """The file of a system's figures of each clip. Fewer samples than in the paper have another
    file."""
    kind = TEACHER if name == TEACHER else f"{steps}steps-{args.guidance:g}"
    few = "" if args.samples == SAMPLES else f"-{args.samples}samples"
    return folder / f"{args.split}-{kind}{few}-{KEPT}"


def contestants(args: Namespace) -> dict[str, dict[int, Path]]:
    """Every row to be measured and the folder of each of its seeds. Raises SystemExit for a name in
    --only that is no such row's."""
    result: dict[str, dict[int, Path]] = {}
    for name in TABLE2_ROWS[:-1]:
        folders = {seed: folder_of(args.runs, seed, name) for seed in args.seeds}
        if there := {
            seed: folder
            for seed, folder in folders.items()
            if (folder / f"{NETWORK}.json").is_file()
        }:
            result[name] = there
    result[TEACHER] = {1: args.runs / "paper"}
    return {name: result[name] for name in select_rows(args.only or (), result, " to be measured")}
