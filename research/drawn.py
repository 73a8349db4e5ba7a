# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawn mouths of takes of unseen voices: frames that show another mouth than the sounds ask for, closures of the text, and changes a second.

DATA has `speech/` with LibriSpeech recordings, their texts and their phones by pocketsphinx. One
take a line, with its text, at 24 frames a second, with each drawing held for one frame and for two.
A frame is wrong where it shows what no sound within the frames for which a mouth is held asks for;
shut is right where the take's lips touch. That Blender shows these numbers' drawings is tested in
`tests/blender/test_drawn_mouths.py`. With BAKED lines and takes of each are baked in the newest
Blender that is a module, on the drawn sample and on the bundled head in turns. Written to
research/results/drawn.txt.
"""

import os
import resource
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.articulation import BILABIALS
from research.harness import add_shared, blenders, report, required, results_file, ROOT
from research.words_aligned import Line, lines_of
from thunder_core.animation import cue_file
from thunder_core.direction import DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.drawn_mouths import CLOSED, FROWN, MOUTHS, SMILE
from thunder_core.face.moving.drawings import DrawnDriver
from thunder_core.face.moving.driving import Driver, Track
from thunder_core.request import Request
from thunder_core.spoken import REST
from thunder_core.types import CLOSED_MM, FPS, SampledTake

SCENE_FPS = 24
LEAST = 2  # frames for which a mouth is held
TAKES = 8  # of a line that is baked
HEADS = ("sample_drawing", "add_head")  # operators that add what bakes are compared on
LEAD, NEAR = 0.04, 0.1  # seconds: mouths come early; how far from its sound a closure may be seen


Cues = list[tuple[float, str]]


def perform(engine: Engine, line: Line, seed: int) -> tuple[SampledTake, Cues]:
    """A take of a line, with its text, and when each mouth begins that its sounds ask for."""
    speech = read_sound(line.path)
    request = Request(1, seed, direction=DirectionRequest(text=line.text))
    [take] = engine.generate(speech, request)
    said = [(each.phone, each.start, each.end) for each in engine.spoken(speech, "")[0]]
    return take, cue_file.mouths_of(said, take.opening, 0.0, cue_file.drawn_mouth)


def draw(
    take: SampledTake, cues: Cues, channels: Sequence[str], step: int
) -> tuple[np.ndarray, list[str]]:
    """Times of a scene's frames [S], seconds, and the name of the mouth on each."""
    numbers = {name: number for number, name in enumerate(MOUTHS)}
    track = Track(0, "", 0, "Mouth", float(numbers[REST]), True)
    driver = DrawnDriver(Driver((), ()), [track], numbers, {}, LEAST, step)
    frames = np.arange(round(take.motion.frames / FPS * SCENE_FPS) + 1)
    said = driver.say(cues, frames / SCENE_FPS, take.motion, channels, take.opening)
    shown = driver.settle(frames, said[:, None])[:, 0]
    return frames / SCENE_FPS, [MOUTHS[int(number)] for number in shown]


def count(
    line: Line, take: SampledTake, cues: Cues, times: np.ndarray, shown: list[str], step: int
) -> Counter[str]:
    """Counts of one line: frames, those that are wrong, changes of the mouth, closures of the text,
    those that the take's lips make, and those that are drawn."""
    result = Counter(frames=len(shown), changes=sum(a != b for a, b in zip(shown, shown[1:])))
    held = LEAST * step / SCENE_FPS + 1e-6
    starts = [-np.inf, *(start - LEAD for start, _ in cues), np.inf]
    names = [REST, *(name or REST for _, name in cues)]
    made = np.flatnonzero(take.opening < CLOSED_MM) / FPS
    drawn = times[[name == CLOSED for name in shown]]
    for at, name in zip(times, shown):
        asked = {
            each
            for each, start, end in zip(names, starts, starts[1:])
            if start <= at + held and end >= at - held
        }
        is_shut = name == CLOSED and (np.abs(made - at) <= held).any()
        is_right = is_shut or (REST if name in (SMILE, FROWN) else name) in asked
        result["wrong"] += not is_right
    for phone, start, end in line.phones:
        if phone in BILABIALS:
            result["closures"] += 1
            for of, shut in (("made", made), ("drawn", drawn)):
                result[of] += bool(((shut >= start - NEAR) & (shut <= end + NEAR)).any())
    return result


def bake(lines: Sequence[Line], turns: int) -> str:
    """How many times as long bakes on the drawn head take as on the bundled one."""
    *_, blender = blenders().values()
    with tempfile.TemporaryDirectory() as folder:
        sounds = Path(folder, "sounds")
        sounds.mkdir()
        for line in lines:
            (sounds / line.path.name).symlink_to(line.path)
        environment = os.environ | {
            "THUNDER_PYTHON": sys.executable,
            "BLENDER_USER_RESOURCES": folder,
        }

        def seconds(*words: object) -> float:
            """Processor time of a Blender and its engine."""
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [blender, *map(str, words)], check=True, cwd=ROOT, env=environment,
                capture_output=True,
            )  # fmt: skip
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        for name in HEADS:
            add = (
                "import bake, bpy; bake.load_extension(); "
                "bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True); "
                f"bpy.ops.thunder.{name}(); "
                f"bpy.ops.wm.save_as_mainfile(filepath={str(Path(folder, name + '.blend'))!r})"
            )
            seconds("-c", add)
        spent = {name: [] for name in HEADS}
        for turn in range(turns):
            for name in HEADS[:: 1 - 2 * (turn % 2)]:
                spent[name].append(
                    seconds(
                        "bake.py", "--jobs", sounds, "--blend", Path(folder, f"{name}.blend"),
                        "--out", Path(folder, f"{name} {turn}"), "--takes", TAKES, "--seed", 1,
                    )
                )  # fmt: skip
    ratios = [drawn / other for drawn, other in zip(*spent.values())]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    took = " and ".join(f"{np.mean(of):.0f} s" for of in spent.values())
    return (
        f"{len(lines)} lines × {TAKES} takes baked: {np.mean(ratios):.2f} times as long as on the "
        f"bundled head ({each}; {took} of processor)"
    )


def add_arguments(parser: ArgumentParser) -> None:
    """The options."""
    add_shared(parser, "data", "weights", "seed", "results", "split", lines=20)
    parser.add_argument("--baked", type=int, default=10, help="lines that are baked; 0 for none")
    parser.add_argument("--turns", type=int, default=3, help="bakes of each head")


def run(args: Namespace) -> None:
    """Draw the lines' mouths, and write the table."""
    required(args.data / "speech", "the folder of recordings")
    engine, rng = Engine.load(args.weights, device="cpu"), np.random.default_rng(args.seed)
    lines = lines_of(args.data / "speech", args.split, 0)
    lines = [lines[i] for i in rng.permutation(len(lines))[: args.lines]]
    takes = [(line, *perform(engine, line, args.seed)) for line in lines]
    rows = [
        f"{len(lines)} lines of {len({line.speaker for line in lines})} {args.split} voices",
        f"{'held for':10}{'frames':>8}{'wrong':>7}{'closures of the text':>22}{'made':>6}{'drawn':>7}"
        f"{'changes a second (most)':>25}",
    ]
    for step in (1, 2):
        counts = [
            count(line, take, cues, *draw(take, cues, engine.head.expression_names, step), step)
            for line, take, cues in takes
        ]
        total = sum(counts, Counter())
        mean, most = (
            SCENE_FPS * np.array([each["changes"] / each["frames"] for each in some]).max()
            for some in ([total], counts)
        )
        rows.append(
            f"{step:<10}{total['frames']:8}{total['wrong']:7}{total['closures']:22}"
            f"{total['made']:6}{total['drawn']:7}{f'{mean:.1f} ({most:.1f})':>25}"
        )
    if args.baked:
        rows.append(bake(lines[: args.baked], args.turns))
    report(results_file(args.results, "drawn.txt", args.split == "test"), rows)
