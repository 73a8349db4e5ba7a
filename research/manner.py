# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a character's manner is learned from corrected lines: planted into takes, learned from
some lines and tried on other voices.

`python -m research manner --data DATA`: a take as directed of each of `--voices` voices of
DATA/lips*; half of the voices teach, half try. Planted, one at a time and all together: oo narrower
by 30 %, jaw × .8, a smile of .2 at phrase ends, half of the blinks, head × .3, brows × 1.5. Edits
have an animator's noise: keys are reduced, a tenth of the lines is untouched, two have a repair
that has nothing to do with it. Back: what comes back of a planted change on the lines that try, at
its most. Else: what is not planted, in spreads. Follows: lines whose curve is nearer to the changed
truth than the take as sampled. Written to research/results/manner.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from research.harness import add_shared, report, results_file, usual_direction
from thunder_core.animation import keyframes, keys
from thunder_core.engine.engine import Engine
from thunder_core.engine.manner_learning import CorrectedLine, learn
from thunder_core.engine.manner_step import (
    blinks_of,
    change_face,
    change_mouth,
    measure_mouth,
    smile_columns,
    weigh_kinds,
)
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.face.moving.mouth_shape import bundled_mouth
from thunder_core.filters import smooth
from thunder_core.manner import Manner, MOUTH
from thunder_core.request import Request
from thunder_core.spoken import CLASSES, PHONES
from thunder_core.types import CLOSED_MM, FPS, Motion

NOISE = 0.02  # tolerance of an animator's keys, channel values; of rotations a twentieth
UNTOUCHED = 10  # one line of so many stays as it was
REPAIRS = 2
SEEDS = (1, 2, 3)
SEEN = 0.3  # of the largest planted change: frames on which what comes back is measured


@dataclass(frozen=True, eq=False)
class Line:
    """A voice, the take of it as sampled before lips meet (`mouth`) and finished."""

    name: str
    voice: VoiceFeatures
    take: Motion
    weights: dict[str, np.ndarray]


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "data", "results", voices=19)


def make_lines(engine: Engine, folder: Path, voices: int) -> list[Line]:
    """The take as directed of each voice."""
    lines = []
    sounds = sorted(
        each for part in ("lips", "lips_third") for each in (folder / part).glob("*.wav")
        if not each.name.startswith("grid")  # three seconds, of few sounds
    )[:voices]  # fmt: skip
    for sound in sounds:
        speech = read_sound(sound)
        voice = engine.analyse(speech)
        (take,) = engine.generate(speech, Request(1, 1, direction=usual_direction()))
        line = Line(sound.stem, voice, take.motion, weigh_kinds(voice))
        lines.append(replace(line, take=plant(line, [], engine)))
    return lines


# ---- what is planted, by means of their own


def narrow_oo(line: Line, channels: list[str]) -> Motion:
    """Pucker and funnel × 1.3 around rounded sounds."""
    belief = line.voice.phones[:, :-LOUDNESS]
    is_oo = np.isin(belief.argmax(1), [PHONES.index(p) for p in CLASSES["OO"].split()])
    size = 1 + 0.3 * smooth(is_oo.astype(float), 1.5)
    x = line.take.expression.copy()
    for column, name in enumerate(channels):
        if name in ("mouthPucker", "mouthFunnel"):
            x[:, column] = np.clip(x[:, column] * size, 0, 1)
    return replace(line.take, expression=x)


def reduce_jaw(line: Line, channels: list[str]) -> Motion:
    return replace(line.take, jaw=line.take.jaw * np.float32([0.8, 1, 1]))


def smile_at_ends(line: Line, channels: list[str]) -> Motion:
    """A smile that rises from .4 s before the end of each phrase and is gone .7 s after it."""
    at, added = np.arange(line.voice.frames), np.zeros(line.voice.frames)
    for _, end in line.voice.phrasing.phrases:
        rise = np.minimum((at - end) / FPS / 0.4 + 1, (0.7 - (at - end) / FPS) / 0.4)
        added = np.maximum(added, 0.2 * np.clip(rise, 0, 1))
    x = line.take.expression.copy()
    columns = smile_columns(channels)
    x[:, columns] = np.clip(x[:, columns] + added[:, None], 0, 1)
    return replace(line.take, expression=x)


def blink_less(line: Line, channels: list[str]) -> Motion:
    """Every other blink is taken out, of every other line the first."""
    x = line.take.expression.copy()
    columns = [i for i, name in enumerate(channels) if name.startswith("eyeBlink")]
    for first, end in blinks_of(x[:, columns])[sum(line.name.encode()) % 2 :: 2]:
        x[first:end, columns] = np.minimum(x[first:end, columns], x[first, columns])
    return replace(line.take, expression=x)


def hold_head(line: Line, channels: list[str]) -> Motion:
    """A head that moves by .3 of its way, with eyes on what they looked at."""
    head, eyes = line.take.turns
    held = head.mean(0) + np.float32(0.3) * (head - head.mean(0))
    return replace(line.take, head=held, eyes=eyes + head - held)


def raise_brows(line: Line, channels: list[str]) -> Motion:
    x = line.take.expression.copy()
    columns = [i for i, name in enumerate(channels) if name.startswith("brow")]
    x[:, columns] = np.clip(1.5 * x[:, columns], 0, 1)
    return replace(line.take, expression=x)


PLANTED: dict[str, Callable[[Line, list[str]], Motion]] = {
    "oo narrower by 30 %": narrow_oo,
    "jaw × .8": reduce_jaw,
    "smile of .2 at phrase ends": smile_at_ends,
    "blinks × .5": blink_less,
    "head held": hold_head,
    "brows × 1.5": raise_brows,
}


def plant(line: Line, names: list[str], engine: Engine) -> Motion:
    """A take with what is planted, and its contacts."""
    channels, motion = engine.thunder.channel_names, line.take
    for name in names:
        motion = PLANTED[name](replace(line, take=motion), channels)
    x, jaw = engine.thunder.pipeline.mechanics.articulate(
        motion.expression, motion.jaw, line.voice.sounds
    )
    return replace(motion, expression=x.astype(np.float32), jaw=jaw.astype(np.float32))


def edit(motion: Motion, rng: np.random.Generator, is_repaired: bool) -> Motion:
    """A motion as an animator leaves it: with fewer keys, and by choice with a repair somewhere."""

    def thin(values: np.ndarray, tolerance: float) -> np.ndarray:
        frames = np.arange(len(values), dtype=float)
        return np.stack(
            [
                keyframes.evaluate(
                    keyframes.from_poses(keys.reduce(frames, column, tolerance), frames), frames
                )
                for column in values.astype(float).T
            ],
            1,
        ).astype(np.float32)

    head, eyes = motion.turns
    x, jaw = thin(motion.expression, NOISE), thin(motion.jaw, NOISE / 4)
    if is_repaired:
        first = int(rng.integers(0, max(1, len(x) - 8)))
        jaw[first : first + 8, 0] *= rng.uniform(0.2, 1.8)
        column = int(rng.integers(x.shape[1]))
        x[first : first + 8, column] = rng.uniform(0, 0.8)
    return Motion(x, jaw, thin(head, NOISE / 20), thin(eyes, NOISE / 20))


def perform(line: Line, manner: Manner, engine: Engine) -> Motion:
    """The take of a line in a manner, as the engine does it."""
    mouth = bundled_mouth()
    x, jaw = change_mouth(manner, mouth, line.take.expression, line.take.jaw, line.weights)
    x, jaw = engine.thunder.pipeline.mechanics.articulate(x, jaw, line.voice.sounds)
    seed = sum(line.name.encode())
    x, head, eyes = change_face(manner, mouth.names, x, *line.take.turns, seed=seed)
    return Motion(*(each.astype(np.float32) for each in (x, jaw, head, eyes)))


def curves_of(motion: Motion, channels: list[str]) -> dict[str, np.ndarray]:
    """Curves [T, k] by which manners are compared."""
    x, (head, eyes) = motion.expression.astype(float), motion.turns
    smiles = smile_columns(channels)
    signals = measure_mouth(bundled_mouth(), x, motion.jaw)
    brows = [i for i, name in enumerate(channels) if name.startswith("brow")]
    lids = [i for i, name in enumerate(channels) if name.startswith("eyeBlink")]
    return {
        **{name: signals[:, [row]] for row, name in enumerate(MOUTH)},
        "smile": x[:, smiles], "brows": x[:, brows], "head": head - head.mean(0),
        "gaze": (head + eyes) - (head + eyes).mean(0), "lids": x[:, lids],
    }  # fmt: skip


OF = {  # planted → the curves that it is of
    "oo narrower by 30 %": ("width",),
    "jaw × .8": ("jaw",),
    "smile of .2 at phrase ends": ("smile",),
    "blinks × .5": ("lids",),
    "head held": ("head",),
    "brows × 1.5": ("brows",),
}


AT = {"oo narrower by 30 %": "OO", "smile of .2 at phrase ends": "phrase ends"}


def compare(lines: list[Line], names: list[str], manner: Manner, engine: Engine) -> dict:
    """What comes back of the planted, and what else changes, over lines that try."""
    channels = engine.thunder.channel_names
    rows = []
    for line in lines:
        truth, performed = plant(line, names, engine), perform(line, manner, engine)
        plain = perform(line, Manner(), engine)
        rows.append([curves_of(each, channels) for each in (plain, truth, performed)])
    result = {}
    for name in names:
        for curve in OF[name]:
            if curve == "lids":
                counts = [[len(blinks_of(each[curve])) for each in row] for row in rows]
                plain, truth, performed = np.sum(counts, 0)
                result[name] = (plain - performed) / max(1, plain - truth)
                continue
            wanted = np.concatenate([row[1][curve] - row[0][curve] for row in rows])
            found = np.concatenate([row[2][curve] - row[0][curve] for row in rows])
            far = np.abs(wanted) > SEEN * np.quantile(np.abs(wanted), 0.99)
            back = (np.sign(wanted) * found)[far].sum() / np.abs(wanted)[far].sum()
            result[f"{name}: {curve}"] = float(back)
            if name in AT:
                weight = np.concatenate([line.weights[AT[name]] for line in lines])[:, None]
                back = (weight * found).sum() / (weight * wanted).sum()
                result[f"{name}: {curve} on {AT[name]}"] = float(back)
    else_ = {}
    for curve in rows[0][0]:
        wanted = np.concatenate([row[1][curve] - row[0][curve] for row in rows])
        found = np.concatenate([row[2][curve] - row[0][curve] for row in rows])
        spread = np.concatenate([row[0][curve] for row in rows]).std()
        if np.sqrt((wanted**2).mean()) < 0.02 * spread:
            else_[curve] = float(np.sqrt((found**2).mean()) / spread)
    shut, met = np.concatenate([line.voice.sounds.shut > 0.9 for line in lines]), []
    for each in (Manner(), manner):
        motions = [perform(line, each, engine) for line in lines]
        gaps = np.concatenate([engine.lips.gap_and_width(motion)[0] for motion in motions])
        met.append(float((gaps[shut] < CLOSED_MM).mean()))
    touched = [curve for name in names for curve in OF[name] if curve != "lids"]
    near = [
        all(
            ((row[2][curve] - row[1][curve]) ** 2).sum()
            < ((row[0][curve] - row[1][curve]) ** 2).sum()
            for curve in touched
        )
        for row in rows
    ]
    return {"back": result, "else": else_, "near": (sum(near), len(near)), "met": met}


def run(args: Namespace) -> None:
    engine = Engine.load(None)
    channels = engine.thunder.channel_names
    lines = make_lines(engine, args.data, args.voices)
    half = len(lines) // 2
    out = [f"{len(lines)} voices, {half} teach, the others try; {len(SEEDS)} seeds of edits", ""]
    for names in [*([name] for name in PLANTED), list(PLANTED)]:
        for count in (half, 3):
            of_seeds = []
            for seed in SEEDS:
                rng = np.random.default_rng(seed)
                order = rng.permutation(len(lines))
                teach = [lines[i] for i in order[:half]][:count]
                untouched = set(rng.choice(count, count // UNTOUCHED, replace=False).tolist())
                repaired = set(rng.choice(count, min(REPAIRS, count // 3), replace=False).tolist())
                corrected = [
                    CorrectedLine(
                        line.take,
                        edit(
                            line.take if i in untouched else plant(line, names, engine),
                            rng, i in repaired,
                        ),
                        line.weights,
                    )
                    for i, line in enumerate(teach)
                ]  # fmt: skip
                manner = learn(corrected, channels, bundled_mouth())
                tried = [lines[i] for i in order[half:]]
                of_seeds.append(compare(tried, names, manner, engine))
                if seed == SEEDS[0]:
                    described = "; ".join(f"{c.words} ({c.lines})" for c in manner.changes)
            out.append(f"{' + '.join(names) if len(names) == 1 else 'all'}, {count} lines")
            out.append(f"  learned: {described or 'nothing'}")
            for key in of_seeds[0]["back"]:
                values = [each["back"][key] for each in of_seeds]
                out.append(f"  back {key:40} " + " ".join(f"{value:.2f}" for value in values))
            worst = [
                max(each["else"].items(), key=lambda x: x[1], default=("", 0)) for each in of_seeds
            ]
            out.append("  else " + " ".join(f"{name} {value:.2f}" for name, value in worst))
            met = " ".join("{:.1%} {:.1%}".format(*each["met"]) for each in of_seeds)
            out.append(f"  m b p shut, without and with the manner: {met}")
            out.append(
                "  follows " + " ".join(f"{a} of {b}" for a, b in (e["near"] for e in of_seeds))
            )

    report(results_file(args.results, "manner.txt", args.voices == 19), out)
