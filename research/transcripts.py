# SPDX-License-Identifier: GPL-3.0-or-later
"""What the text of a line is worth: lips in takes that are sampled with it, and without.

DATA has `speech/` with LibriSpeech recordings, their texts and their phones by pocketsphinx. Takes
of unseen voices (seed 1 and on; the first as requested). A sound counts as made where any of its
frames makes it, one to either side: lips within .6 mm on m, b and p, the lower lip within .6 mm of
the upper teeth on f and v. Wrong closures are those without m, b, p, f, v or silence within two
frames. `--split validation` is what `thunder_core/engine/speech/transcript.py` was tuned by.
Written to research/results/transcripts.txt.
"""

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from research.articulation import BILABIALS, LABIODENTALS
from research.harness import add_shared, bootstrap, report, required, results_file
from research.words_aligned import Line, lines_of
from thunder_core.direction import DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import runs
from thunder_core.face.moving.lips import Lips
from thunder_core.face.points import bundled_articulators
from thunder_core.protocol import OTHER_TEXT
from thunder_core.request import Request
from thunder_core.types import CLOSED_MM, FPS, Motion

NEAR_MM = 0.6  # lower lip to upper teeth
KINDS = {"m, b, p": BILABIALS, "f, v": LABIODENTALS}
MAY_CLOSE = (*KINDS["m, b, p"], *KINDS["f, v"], "SIL")


def made_sounds(line: Line, motion: Motion, lips: Lips) -> dict[str, list[bool]]:
    """Whether a take makes each sound of KINDS in a line, and "wrong": one entry for each wrong
    closure."""
    articulators, gap = bundled_articulators(), lips.beyond_rest(motion)
    apart = articulators.bite(motion.expression.astype(float), motion.jaw)
    made = dict(zip(KINDS, (gap <= CLOSED_MM, apart <= NEAR_MM)))
    spoken, result = np.full(len(gap), "SIL"), defaultdict(list)
    for phone, start, end in line.phones:
        spoken[max(0, round(start * FPS)) : round(end * FPS)] = phone
        around = slice(max(0, int(start * FPS) - 1), int(np.ceil(end * FPS)) + 2)
        for kind, phones in KINDS.items():
            if phone in phones:
                result[kind].append(bool(made[kind][around].any()))
    for start, end in runs(gap <= CLOSED_MM):
        if not np.isin(spoken[max(0, start - 2) : end + 2], MAY_CLOSE).any():
            result["wrong"].append(True)
    return result


def share_made(counts: np.ndarray, chosen: np.ndarray) -> float:
    """The share of sounds that are made in the chosen lines; counts: [lines, 2], of those made and
    of all."""
    made, count = counts[chosen].sum(0)
    return float(made / max(1, count))


def table_of_sounds(
    heading: str, results: dict[str, list[tuple[dict[str, list[bool]], float]]]
) -> list[str]:
    """The lines of a table of sounds that are made, with intervals over lines, and of wrong
    closures a minute.

    results: by what was given, of each line the sounds of all its takes (`made_sounds`) and the
    minutes that these last.
    """
    rows = [f"{heading:12s}" + "".join(f"{kind:>24s}" for kind in (*KINDS, "wrong a minute"))]
    for given, of_lines in results.items():
        cells = []
        for kind in KINDS:
            counts = np.array([(sum(total[kind]), len(total[kind])) for total, _ in of_lines])
            low, high = bootstrap(partial(share_made, counts), len(counts))
            mean = share_made(counts, np.arange(len(counts)))
            cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
        minutes = sum(each for _, each in of_lines)
        cells.append(f"{sum(len(total['wrong']) for total, _ in of_lines) / minutes:.1f}")
        rows.append(f"{given:12s}" + "".join(f"{cell:>24s}" for cell in cells))
    return rows


def sounds_by_text(
    engine: Engine, lines: list[Line], given: dict[Path, dict[str, str]], args: Namespace
) -> tuple[dict[str, list[tuple[dict[str, list[bool]], float]]], int]:
    """What `table_of_sounds` shows of takes of lines that are sampled with texts, by name, and how
    many texts the voice does not seem to say."""
    lips, results, refused = Lips.of(engine.head), defaultdict(list), 0
    for line in lines:
        speech = read_sound(line.path)
        for name, text in given[line.path].items():
            notes: list[str] = []
            request = Request(args.takes, args.seed, direction=DirectionRequest(text=text))
            takes = engine.generate(speech, request, on_note=notes.append)
            refused += OTHER_TEXT in notes
            total: dict[str, list[bool]] = defaultdict(list)
            for take in takes:
                for kind, made in made_sounds(line, take.motion, lips).items():
                    total[kind] += made
            results[name].append((total, len(takes) * speech.seconds / 60))
    return results, refused


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results", "split", "lines", takes=3)


def run(args: Namespace) -> None:
    """Sample takes with and without the text, and write the table."""
    required(args.data / "speech", "the folder of recordings")
    engine, rng = Engine.load(args.weights, device="cpu"), np.random.default_rng(args.seed)
    lines = lines_of(args.data / "speech", args.split, 0)
    lines = [lines[i] for i in rng.permutation(len(lines))[: args.lines]]
    given = {line.path: {"no": "", "yes": line.text} for line in lines}
    results, refused = sounds_by_text(engine, lines, given, args)
    rows = [
        f"{len(lines)} lines of {args.split} voices, {args.takes} takes each; texts that the voice "
        f"does not seem to say: {refused}",
        *table_of_sounds("text given", results),
    ]
    measured = args.split == "test"
    report(results_file(args.results, "transcripts.txt", measured), rows)
