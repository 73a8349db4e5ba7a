# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a take's words agree with what it shows, and the scale that they are compared by.

CACHE is a folder in which `corpus` was run. Eight takes of every voice are sampled without a
request at Spread 0.5; for each word the finished take is measured
(`thunder_core/animation/traits.py`). The table counts words whose take is on the other side of
usual takes (on the lips: of what the model expects of the line), on the other side of the mean of
its batch, and that another take of the batch without the word deserves more, by as much as
people differ by; as words would be without the measurement, and as takes of a batch are listed;
then how many words more than a third of a batch has. Below it is the scale that these takes would
lay, for USUAL and BEYOND_EXPECTED of that
file: take it from `validation`; `--seconds 3` cuts the lines, for the scale of short ones. Written
to research/results/words.txt.
"""

from argparse import ArgumentParser, Namespace

import numpy as np

from research.corpus_lines import clips_of, Line, LINE_OPTIONS, MOST_SECONDS, open_corpus, UNSEEN
from research.harness import add_shared, describe_sampling, report, results_file
from thunder_core.animation.traits import BEYOND_EXPECTED, deviations, measure, USUAL
from thunder_core.direction import Direction, DIRECTION_NAMES, DirectionRequest
from thunder_core.direction_words import AXIS_WORDS, CARRIED_WORDS, MEASURES, words, words_of_takes
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import requested_style
from thunder_core.engine.voice import SPOKEN
from thunder_core.request import Request
from thunder_core.types import FPS, RATE, Speech

COUNTS = ("words", "other side of usual", "other side of the batch", "another take's more")
BY = 1.0  # deviations by which another take deserves a word more
STEPS = USUAL | BEYOND_EXPECTED


def scale(
    requested: np.ndarray, values: dict[str, np.ndarray], batch: np.ndarray
) -> dict[str, tuple[float, float]]:
    """The scale as takes lay it: median, and deviation within batches relative to that of what was
    requested [n, DIRECTION_NAMES]."""
    axis_of = {measure: axis for axis, measures in MEASURES.items() for measure in measures}
    result = {}
    for name, shown in values.items():
        if name not in axis_of:  # nobody asks how a head is carried
            result[name] = (round(float(np.median(shown)), 3), round(float(shown.std()), 3))
            continue
        there = np.isfinite(shown)
        by, shown, of = (
            requested[there, DIRECTION_NAMES.index(axis_of[name])],
            shown[there],
            batch[there],
        )
        by, within = (x - np.array([x[of == b].mean() for b in of]) for x in (by, shown))
        result[name] = (round(float(np.median(shown)), 3), round(float(within.std() / by.std()), 3))
    return result


def count_words(
    listed: list[str], shows: list[dict[str, float]], batch: np.ndarray
) -> dict[str, np.ndarray]:
    """{axis or measure of CARRIED: COUNTS [4]} of the words of takes with what they show, as
    `animation.traits` (its rounding apart)."""
    pairs = AXIS_WORDS | CARRIED_WORDS
    said = np.array([[next((side for side, word in zip((-1, 1), pair) if word in each.split(", ")),
        0) for pair in pairs.values()]
                     for each in listed])  # fmt: skip
    result = {}
    for place, trait in enumerate(pairs):
        seen = np.array(
            [[take.get(name, np.nan) for name in MEASURES.get(trait, (trait,))] for take in shows]
        )
        counts = np.zeros(len(COUNTS), int)
        for measured, side, of in zip(seen, said[:, place], batch):
            if side:
                batch_mean = np.nanmean(seen[batch == of], axis=0)
                others = seen[(batch == of) & (said[:, place] != side)]
                more = (side * (others - measured) > BY).all(axis=1).any()
                counts += [
                    1,
                    (side * measured < 0).any(),
                    (side * (measured - batch_mean) < 0).any(),
                    more,
                ]
        result[trait] = counts
    return result


def count_shared(listed: list[str], batch: np.ndarray) -> int:
    """How many words more than a third of the takes of a batch have."""
    count = 0
    for number in np.unique(batch):
        takes = [each.split(", ") for each, of in zip(listed, batch) if of == number]
        pairs = [*AXIS_WORDS.values(), *CARRIED_WORDS.values()]
        count += sum(
            sum(word in take for take in takes) > len(takes) / 3 for pair in pairs for word in pair
        )
    return count


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, *LINE_OPTIONS, "takes", **UNSEEN)
    p.add_argument("--seconds", type=float, default=MOST_SECONDS, help="at most, of each line")


def run(args: Namespace) -> None:
    """Sample, measure and count; write the table."""
    corpus, engine = open_corpus(args.cache), Engine.load(args.weights)
    usual = DirectionRequest(Direction().vector()[None], 0.5, exact_first=False)
    requested, values, shows, batch, plain, listed = (
        [],
        {name: [] for name in STEPS},
        [],
        [],
        [],
        [],
    )
    for number, clip in enumerate(clips_of(corpus, args.split, args.voices)):
        speech = Speech(Line.of(corpus, clip, engine).speech.samples[: round(args.seconds * RATE)])
        request = Request(args.takes, 100 * number + 1, steps=args.steps, direction=usual)
        takes = engine.generate(speech, request)
        voice = engine.analyse(speech)
        wanted, spoken = requested_style(usual, voice.frames), voice.presence > SPOKEN
        expected = measure(engine.meter, engine.thunder.expect(voice, wanted), spoken)
        for take in takes:
            measured = measure(engine.meter, take.motion, spoken)
            reading = np.array(take.provenance["reading"])
            for name in STEPS:
                level = expected.get(name, np.nan) if name in BEYOND_EXPECTED else 0.0
                values[name].append(measured.get(name, np.nan) - level)
            requested.append(reading)
            shows.append(deviations(measured, expected, voice.frames / FPS))
            batch.append(number)
            plain.append(words(reading, usual.vectors, speaks=True))
        direction = {"direction": usual.vectors.tolist()}
        unsaid = direction | {"choice": None}  # what is chosen is measured by `hits`
        listed += words_of_takes([take.provenance | unsaid for take in takes])
    requested, batch = np.array(requested), np.array(batch)
    lines = [
        f"{len(batch)} takes of {args.voices} voices of {args.split} at spread 0.5, "
        f"of at most {args.seconds:g} s each, "
        f"{describe_sampling(args.steps)}, weights {engine.weights}",
        "",
        f"{'':28s}" + "".join(f"{name:>26s}" for name in COUNTS),
    ]
    for title, said in (("as asked", plain), ("as listed", listed)):
        rows = count_words(said, shows, batch)
        rows["together"] = np.sum(list(rows.values()), axis=0)
        lines += [
            f"{title + ', ' + axis:28s}" + "".join(f"{x:26d}" for x in row)
            for axis, row in rows.items()
        ]
        lines += [
            f"{title}: {count_shared(said, batch)} words that more than a third of a batch has",
            "",
        ]
    lines += [
        f"scale of these takes: "
        f"{scale(requested, {name: np.array(measured) for name, measured in values.items()}, batch)}"
    ]
    report(results_file(args.results, "words.txt", args.split == "test"), lines)
