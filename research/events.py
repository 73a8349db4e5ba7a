# SPDX-License-Identifier: GPL-3.0-or-later
"""How many of the events that takes plan the model carries out.

Voices are the clips of `lips/` in DATA and the sample; per mood eight takes each. An event counts
as carried out where at least half of its size is seen: of a nod or turn of 1.5° and more, raised
brows of .05 and more, a look of 3° and more, at their peak; a blink where eyes are shut within two
frames. Beside it the same with the takes of other seeds, which have other plans: chance. Last, the
correlation of planned and performed head, and how fast heads move where nothing is planned. To
stdout and research/results/events.txt.
"""

from argparse import ArgumentParser, Namespace
from collections import defaultdict

import numpy as np

from research.harness import add_shared, report, required, results_file, SAMPLE
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import Performance
from thunder_core.engine.planning.take_plan import plan_take, TakePlan
from thunder_core.engine.speech.audio import read_sound
from thunder_core.events import BROW_COLUMNS, HEAD, LOOK
from thunder_core.request import NORMAL
from thunder_core.types import FPS, Motion

MEASURED_MOODS = ("neutral", "warm", "amused", "sad", "angry", "bored")
LEAST = {"nod": 1.5, "raise": 0.05, "look": 3.0}  # degrees, channel values
_SETTLED = 3  # frames after a look or a raise began in which it is reached
NEAR_FRAMES = 2  # frames
_CALM = 2.0  # degrees a second


def steps(plan: TakePlan) -> dict[str, list[tuple[int, int]]]:
    """(frame before, frame of the peak) of every event of a kind."""
    last = len(plan.events) - 1

    def frames(start: float, end: float) -> tuple[int, int]:
        return min(max(0, round(start * FPS)), last), min(max(0, round(end * FPS)), last)

    return {
        "nod": [frames(nod.at - nod.down, nod.at) for nod in plan.plan.nods],
        "raise": [
            frames(each.at - each.rise / 2, each.at + each.rise / 2 + 1 / FPS)
            for each in plan.plan.raises
        ],
        "look": [frames(look.at - 1 / FPS, look.at + _SETTLED / FPS) for look in plan.plan.looks],
    }


def performed_curves(motion: Motion, names: list[str]) -> dict[str, np.ndarray]:
    """The curves of a motion in which each kind of event shows, in its units: [T, n]."""
    head, eyes = np.degrees(motion.head), np.degrees(motion.eyes)
    gaze = (head + eyes)[:, [1, 0]]
    brows = motion.expression[
        :, [names.index(name) for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
    ]
    return {"nod": head, "raise": brows, "look": gaze}


def find_events(plan: TakePlan, motion: Motion, names: list[str]) -> dict[str, list[bool]]:
    """Whether each planned event is seen in a motion, by kind."""
    seen = performed_curves(motion, names)
    curves = {"nod": HEAD, "raise": BROW_COLUMNS, "look": LOOK}
    found = defaultdict[str, list[bool]](list)
    for kind, each in steps(plan).items():
        for start, peak in each:
            by = plan.events[peak, curves[kind]] - plan.events[start, curves[kind]]
            size = float(np.linalg.norm(by))
            if size >= LEAST[kind] and peak > start:
                performed = seen[kind][peak] - seen[kind][start]
                found[kind].append(bool(performed @ by >= 0.5 * size**2))
    shut = motion.expression[:, [names.index("eyeBlinkLeft"), names.index("eyeBlinkRight")]].mean(1)
    for blink in plan.plan.blinks:
        frame = round(blink.at * FPS)
        found["blink"].append(
            bool(shut[max(0, frame - NEAR_FRAMES) : frame + NEAR_FRAMES + 2].max(initial=0) > 0.5)
        )
    return found


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results", "takes")


def run(args: Namespace) -> None:
    """Sample, compare with the plans, write the table."""
    engine = Engine.load(args.weights)
    thunder, names = engine.thunder, list(engine.head.expression_names)
    paths = [
        SAMPLE,
        *sorted(required(args.data / "lips", "clips of people who speak").glob("*.wav")),
    ]
    rows, kinds = [], ("nod", "raise", "look", "blink")
    for mood in MEASURED_MOODS:
        found, chance, head_r, calm = defaultdict(list), defaultdict(list), [], []
        for path in paths:
            voice = engine.analyse(read_sound(path))
            seeds = list(range(args.seed, args.seed + args.takes))
            style = Direction(mood=mood).vector()[None]
            motions = thunder.perform(
                voice,
                [Performance(seed, style) for seed in seeds],
                NORMAL,
                1.0,
                lambda fraction: None,
            )
            plans = [
                plan_take(voice.prosody, voice.phrasing, voice.choice(seed, 0.0), seed, 0.0, style)
                for seed in seeds
            ]
            for i, (plan, motion) in enumerate(zip(plans, motions)):
                for kept, of in ((found, motion), (chance, motions[i - 1])):
                    for kind, some in find_events(plan, of, names).items():
                        kept[kind] += some
                planned, performed = plan.events[:, HEAD], np.degrees(motion.head)
                head_r.append(
                    np.mean(
                        [
                            np.corrcoef(planned[:, axis], performed[:, axis])[0, 1]
                            for axis in range(3)
                        ]
                    )
                )
                quiet = np.linalg.norm(np.diff(planned, axis=0), axis=1) * FPS < _CALM
                calm.append(
                    float((np.linalg.norm(np.diff(performed, axis=0), axis=1) * FPS)[quiet].mean())
                    if quiet.any()
                    else np.nan
                )
        cells = "".join(
            f"{np.mean(found[k]):7.0%} of {len(found[k]):5d} ({np.mean(chance[k]):4.0%})"
            for k in kinds
        )
        rows.append(f"{mood:10s}{cells}{np.nanmean(head_r):9.2f}{np.nanmean(calm):9.1f} °/s")
    lines = [
        f"Events of {args.takes} takes of {len(paths)} voices that are carried out, in brackets "
        f"by takes of other seeds; weights "
        f"{engine.weights}",
        "",
        f"{'':10s}" + "".join(f"{kind:>24s}" for kind in kinds)
        + f"{'head r':>9s}{'unplanned':>13s}", *rows,
    ]  # fmt: skip
    report(results_file(args.results, "events.txt", args.takes >= 8), lines)
