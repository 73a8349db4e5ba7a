# SPDX-License-Identifier: GPL-3.0-or-later
"""Real lips: how well takes follow the measured mouths of real talking faces.

DATA is a folder with `lips/` and `lips_more/`. For every clip that nothing was fitted to (`check`)
8 takes are generated at Spread 0.5. These are compared with the measured mouth: the average take,
the best one by its lip-sync score, the mean curve of all, whichever take has a dip on an m, b or p;
and beside them the linear map of the voice that the teacher follows, which was fitted to the other
clips (`fit`), what it hears with half of people's own variation drawn to it, the simplest sampler
that takes must beat, a map of aligned phones that is fitted to them just before, the teacher's
readings of the phones that the encoder hears, one by one and their mean, and the real mouth itself.
Then: on which m, b and p lips shut where real ones do, and where they do not. Curves go to FOLDER,
tables to stdout and, of all `check` with what ships, research/results/lips.txt. Two minutes on one
core; --clips and --takes ask for less;
--split fit is for choosing constants, where the maps have seen what they are compared with, and
--split grid measures people who read GRID; --against FOLDER compares with an earlier run's curves,
clip by clip.

A gap is measured beyond that at rest; it is below zero where lips are pressed together.
"""

import platform
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from research.faces.lip_clips import (
    clip_lines,
    comparison_lines,
    CURVES,
    dips,
    encode_clip,
    figures,
    fit_bar,
    fit_length,
    interval,
    LipClip,
    map_voice,
    mean_of,
    phones_of,
    read_clips,
    read_grid,
    Rows,
    shuts,
)
from research.harness import (
    add_shared,
    describe_sampling,
    report,
    results_file,
    ROOT,
    usual_direction,
    WEIGHTS,
)
from research.train.mouth_readings import occupancy, read_again
from research.train.teacher import perform
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import Performance
from thunder_core.engine.planning.mouth_map import encoder_matches, mouth_map
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.face.moving.mouth_shape import MouthShape, OPENING
from thunder_core.progress import no_progress
from thunder_core.request import NORMAL, Request
from thunder_core.types import CLOSED_MM, FPS, Motion, RATE

SPREAD = 0.5  # of takes
VARIETY = 0.5  # of what is drawn to the map, as a share of people's residual
OPEN_MM = 2.0  # gap above which a real mouth is open
SHIFTS = (25, 37, 50, 62)  # frames by which takes are shifted, for what closes by chance


def true_closures(openings: np.ndarray, first: int, clip: LipClip) -> dict[str, np.ndarray]:
    """Which m, b and p with shut real lips are shut in takes [K, T], as arrays: in each take, in
    any, in number `first`, which hears the likeliest phones, and in any other where that one
    misses; shifted: with the other takes moved in time."""
    real = shuts(clip.opening, clip)
    if not real.any():
        return {}

    def closures_of(curves: np.ndarray) -> np.ndarray:
        return np.array([shuts(curve, clip)[real] for curve in curves])

    shut, others = closures_of(openings), np.delete(openings, first, 0)
    missed = ~shut[first]
    shifted = [closures_of(np.roll(others, shift, 1)).any(0) for shift in SHIFTS]
    return {
        "each": shut.ravel(), "any": shut.any(0), "any, shifted": np.concatenate(shifted),
        "the likeliest": shut[first],
        "any other where that misses": closures_of(others).any(0)[missed],
        "the same, shifted": np.concatenate([each[missed] for each in shifted]),
    }  # fmt: skip


def count_false_closures(opening: np.ndarray, real: np.ndarray) -> int:
    """How often lips shut [T] where real ones stay open from the frame before to the frame
    after."""
    shut = opening <= CLOSED_MM
    starts = np.flatnonzero(np.diff(shut.astype(int), prepend=0) > 0)
    ends = np.flatnonzero(np.diff(shut.astype(int), append=0) < 0)
    return sum(bool((real[max(0, a - 1) : b + 2] > OPEN_MM).all()) for a, b in zip(starts, ends))


def teacher_motion(
    engine: Engine, features: np.ndarray, phones: np.ndarray, seed: int = 1
) -> Motion:
    """A reading by the teacher, in the usual direction, of what the encoder hears: its features [T,
    d], its phones as 10 ms labels."""
    channels = list(engine.head.expression_names)
    return perform(
        phones,
        features[:, -LOUDNESS:],
        channels,
        np.random.default_rng(seed),
        Direction(),
        features=features if encoder_matches(engine.thunder.encoder) else None,
    )


def noise_share(engine: Engine, mouth: MouthShape, clip: LipClip, takes: int) -> float:
    """Share of the variance of a clip's openings that noise alone makes: between takes of one
    plan, in the usual direction."""
    voice = engine.analyse(sound_of(clip.samples, RATE, clip.name))
    style = Direction().vector()[None]
    performances = [Performance(seed, style, (1, 0.0)) for seed in range(1, takes + 1)]
    motions = engine.thunder.perform(voice, performances, NORMAL, 1.0, no_progress)
    gaps = np.array(
        [mouth.measure(motion.expression, motion.jaw)[:, OPENING] for motion in motions]
    )
    return float(gaps.var(0, ddof=1).mean() / gaps.var(ddof=1))


def against_lines(folder: Path, earlier: Path, clips: Sequence[LipClip]) -> list[str]:
    """Lines: what curves in a folder are better by than an earlier run's, paired over clips."""

    def read(of: Path, clip: LipClip) -> dict[str, dict[str, float]]:
        with np.load(of / f"{clip.name}.npz") as file:
            takes = file["mouths"]
            rows = {
                "average take": figures(clip, takes),
                "mean of takes": figures(clip, takes.mean(0)[None]),
                "linear map": figures(clip, file["map"][None]),
            }
        wrong = np.mean([count_false_closures(take, clip.opening) for take in takes[..., OPENING]])
        rows["average take"]["wrong closures"] = float(wrong) * FPS * 60 / clip.frames
        return rows

    now, before = ([read(of, clip) for clip in clips] for of in (folder, earlier))
    seconds = [clip.frames for clip in clips]
    lines = [f"over {earlier.name}, paired over clips, with 90 % intervals:"]
    for system in now[0]:
        parts = []
        for what in now[0][system]:
            by = [a[system][what] - b[system][what] for a, b in zip(now, before)]
            low, high = interval(by, seconds)
            parts.append(f"{what} {mean_of(by, seconds):+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append(f"{system:16s}" + ", ".join(parts))
    return [*lines, ""]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "steps", "seed", "weights", "takes", "results")
    p.add_argument("--out", type=Path, default=ROOT / "out" / "lips")
    p.add_argument("--split", choices=("fit", "check", "grid"), default="check")
    p.add_argument("--clips", nargs="+", help="only these (default: all of the split)")
    p.add_argument("--against", type=Path, help="folder of curves (--out) of an earlier run")


def run(args: Namespace) -> None:
    """Generate takes of the clips, measure them; write the tables."""
    fit = read_clips(args.data, "fit")
    check = read_grid(args.data) if args.split == "grid" else read_clips(args.data, args.split)
    check = [clip for clip in check if not args.clips or clip.name in args.clips]
    engine = Engine.load(args.weights)
    mouth, encoder = MouthShape.of(engine.head), engine.thunder.encoder
    map_fits = encoder_matches(encoder)
    phones_by_clip = phones_of(fit)  # of the other split too, which is in the same folders
    spoken = {
        clip.name: occupancy(phones_by_clip[clip.name], clip.frames)
        for clip in (*fit, *check)
        if clip.name in phones_by_clip
    }
    phone_bar = fit_bar([clip for clip in fit if clip.name in spoken], spoken)
    rows: Rows = {
        name: {}
        for name in (
            "average take",
            "best by score",
            "mean of takes",
            "any of them",
            "linear map",
            "map with variation",
            "mean of these",
            "aligned phones, ridge",
            "teacher",
            "mean of teacher",
            "real lips",
        )
    }
    shut: dict[str, list[np.ndarray]] = {}
    noise: list[float] = []
    alike: list[float] = []  # correlation between takes, mean of all pairs
    on_top = 0  # lists that the take as asked leads
    wrongly: dict[str, list[float]] = {"the likeliest": [], "each other": []}  # a minute, by take
    args.out.mkdir(parents=True, exist_ok=True)
    for clip in check:
        speech = sound_of(clip.samples, RATE, clip.name)
        direction = usual_direction(SPREAD)
        request = Request(args.takes, args.seed, steps=args.steps, direction=direction)
        takes = engine.generate(speech, request)
        mouths = np.array(
            [mouth.measure(each.motion.expression, each.motion.jaw) for each in takes]
        )
        mouths = fit_length(mouths.swapaxes(1, 2), clip.frames).swapaxes(1, 2)
        gaps = mouths[..., OPENING]
        first = [take.seed for take in takes].index(args.seed)
        on_top += first == 0
        for number, gap in enumerate(gaps):
            wrongly["the likeliest" if number == first else "each other"].append(
                count_false_closures(gap, clip.opening)
            )
        for name, values in true_closures(gaps, first, clip).items():
            shut.setdefault(name, []).append(values)
        features, phones = encode_clip(encoder, clip)
        readings = [
            teacher_motion(engine, features, phones, seed)
            for seed in range(args.seed, args.seed + args.takes)
        ]
        teacher = np.array([mouth.measure(each.expression, each.jaw) for each in readings])
        heard = map_voice(features, map_fits)
        rng = np.random.default_rng(args.seed)
        varied = np.array([read_again(heard, VARIETY, rng) for _ in readings])
        varied *= mouth_map().deviation  # millimetres, as people's
        curves = {
            "average take": mouths,
            "best by score": mouths[:1],
            "mean of takes": mouths.mean(0)[None],
            "linear map": heard[None],
            "map with variation": varied,
            "mean of these": varied.mean(0)[None],
            "teacher": teacher,
            "mean of teacher": teacher.mean(0)[None],
        }
        said = spoken.get(clip.name)
        rows["aligned phones, ridge"][clip.name] = (
            {}
            if said is None
            else figures(clip, np.stack([phone_bar(said, what) for what in CURVES], 1)[None])
        )
        noise.append(noise_share(engine, mouth, clip, args.takes))
        if args.takes > 1:
            alike.append(np.corrcoef(gaps)[np.triu_indices(args.takes, 1)].mean())
        for name, curves_of in curves.items():
            rows[name][clip.name] = figures(clip, curves_of)
        seen = np.nan_to_num(clip.opening, nan=np.nanmedian(clip.opening))
        for name, openings in (("any of them", gaps), ("real lips", seen[None])):
            dip = np.any([dips(curve, clip) for curve in openings], axis=0)
            rows[name][clip.name] = {"PBM": float(dip.mean())} if dip.size else {}
        np.savez(
            args.out / f"{clip.name}.npz",
            seeds=[take.seed for take in takes],
            mouths=mouths,
            map=curves["linear map"][0],
        )
    minutes = sum(clip.frames for clip in check) / FPS / 60
    lines = [
        f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} "
        f"threads, device {engine.device}; "
        f"weights {engine.weights}; {args.takes} takes, {describe_sampling(args.steps)}, seed {args.seed}",
        f"{sum(clip.frames for clip in check) / FPS:.0f} s of speech, {len(check)} clips of "
        f"`{args.split}`"
        f", Spread {SPREAD:g}; the linear map is the teacher's, that of phones is fitted to "
        f"{len(fit)} of `fit`",
        "",
        *comparison_lines(rows, check),
        "",
        "m, b and p on which real lips shut: takes shut on "
        + ", ".join(
            f"{np.concatenate(values).mean():.2f} of {sum(map(len, values))} ({name})"
            for name, values in shut.items()
        ),
        f"they shut where real lips are more than {OPEN_MM:g} mm apart, times a minute: "
        + ", ".join(
            f"{name} {np.sum(values) / minutes / max(1, len(values) // len(check)):.1f}"
            for name, values in wrongly.items()
        ),
        f"between takes of one plan noise makes {mean_of(noise, [clip.frames for clip in check]):.1%} "
        f"of the variance of openings",
        *[f"openings of two takes correlate by {np.mean(each):.2f}" for each in [alike] if each],
        f"the take as asked is on top of {on_top} of {len(check)} lists",
        "",
        *(against_lines(args.out, args.against, check) if args.against else ()),
        *clip_lines(
            {
                name: row
                for name, row in rows.items()
                if name not in ("any of them", "real lips", "aligned phones, ridge")
            },
            check,
        ),
    ]
    measured = args.split == "check" and args.clips is None and args.takes >= 8
    measured &= args.weights == WEIGHTS and not args.steps
    report(results_file(args.results, "lips.txt", measured), lines)
