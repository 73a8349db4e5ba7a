# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether one sees which word a take hits, and how often eight takes of a line make different
choices.

DATA has `speech/` with recordings of unseen voices and their texts; lines of four content words
and more. A reader that knows a take's motion and when words are said, nothing else, names the
word on which most happens: around each word the fastest the head turns, how far brows rise and
how far lips open, each in deviations between the words of the take, added up. Beside it chance:
the same reader's word of the next take. Also how strong the gestures on words that are hit are,
beside the strongest of people on their accents. Written to research/results/hits.txt.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from research.faces.real_faces import solve_missing, solved_clips
from research.harness import add_shared, in_turns, report, required, results_file
from research.measures.habits import brow
from research.words_aligned import texts_of
from thunder_core.direction import DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.face.head import Head
from thunder_core.face.moving.lips import opening_mm
from thunder_core.filters import gaussian
from thunder_core.request import Request
from thunder_core.rotation import angular_speed
from thunder_core.spoken import Word
from thunder_core.types import FPS, Motion

BEFORE, AFTER = 0.2, 0.1  # seconds beside a word that count as its own
CONTENT = 4  # letters of a content word, and number of them in a line
SECONDS = (2.5, 15.0)  # of a line
REACH = 0.3  # seconds around an accent in which a gesture is measured
STRETCH = 9.0  # seconds of which people's strongest accent is taken


def happens(head: Head, motion: Motion, words: Sequence[Word]) -> np.ndarray:
    """What happens around each word [n, 3]: degrees a second of the head, rise of the brows,
    millimetres that lips are open."""
    speed = gaussian(np.degrees(angular_speed(motion.head)), 1.0)
    raised, gap = brow(head, motion), opening_mm(motion, head)
    rows = []
    for word in words:
        start = min(max(0, int((word.start - BEFORE) * FPS)), motion.frames - 1)
        around = slice(start, max(start + 1, int((word.end + AFTER) * FPS) + 1))
        rows.append((speed[around].max(), raised[around].max() - raised[start], gap[around].max()))
    return np.array(rows)


def read_hit(head: Head, motion: Motion, words: Sequence[Word]) -> int:
    """The word on which most happens."""
    x = happens(head, motion, words)
    return int(((x - x.mean(0)) / (x.std(0) + 1e-6)).sum(1).argmax())


def lines_of(speech: Path, split: str) -> list[tuple[Path, str]]:
    """Recordings of a split's voices and their texts, one of each voice before a second of any."""
    rows = list(texts_of(speech, split))
    rows = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    return [(path, text) for path, _, text in in_turns(rows, lambda r: r[1], lambda r: "")]


def gesture(head: Head, motion: Motion, at: float) -> tuple[float, float]:
    """How far the head turns, degrees, and brows move around a time, s."""
    around = slice(max(0, int((at - REACH) * FPS)), int((at + REACH) * FPS) + 1)
    turned = np.ptp(np.degrees(motion.head[around]), axis=0)
    return float(np.linalg.norm(turned)), float(np.ptp(brow(head, motion)[around]))


def strongest(head: Head, motion: Motion, accents: Sequence[float]) -> list[tuple[float, float]]:
    """The gestures on the accent (s) of each STRETCH on which head and brows do most together."""
    rows = [(at, *gesture(head, motion, at)) for at in accents if at * FPS < motion.frames]
    if not rows:
        return []
    x = np.array(rows)
    z = ((x[:, 1:] - x[:, 1:].mean(0)) / (x[:, 1:].std(0) + 1e-6)).sum(1)
    stretches = (x[:, 0] // STRETCH).astype(int)
    best = [max(np.flatnonzero(stretches == k), key=z.__getitem__) for k in np.unique(stretches)]
    return [rows[i][1:] for i in best]


def people(engine: Engine, lips: Path, solved: Path) -> list[tuple[float, float]]:
    """The strongest gestures of filmed people on their accents."""
    names = list(engine.head.expression_names)
    solve_missing(lips, solved, engine.head, [p.stem for p in lips.glob("landmarks/*.npz")])
    result = []
    for folder in sorted(solved.glob("*/")):
        for name, motion, _ in solved_clips(folder, names):
            if not (lips / f"{name}.wav").is_file():
                continue  # of other recordings, which other benches solved
            voice = engine.analyse(read_sound(lips / f"{name}.wav"))
            result += strongest(engine.head, motion, voice.prosody.accents.tolist())
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "solved", "weights", "seed", "results", "lines", split="validation")


def run(args: Namespace) -> None:
    """Sample takes, read them, and write the table."""
    speech = required(args.data / "speech", "the folder of recordings")
    lips = required(args.data / "lips", "the folder of clips with measured lips")
    engine, named, chance, several = Engine.load(args.weights, device="cpu"), [], [], []
    words_differ, any_differs, made, plain, lines = [], [], [], [], 0
    for path, text in lines_of(speech, args.split):
        sound = read_sound(path)
        if lines == args.lines or not SECONDS[0] <= sound.seconds <= SECONDS[1]:
            continue
        _, found, matches = engine.spoken(sound, text)
        words = [word for word in found if word.is_found]
        if not matches or sum(len(word.text) >= CONTENT for word in words) < CONTENT:
            continue
        lines += 1
        request = Request(seed=args.seed, direction=DirectionRequest(text=text))
        takes = sorted(engine.generate(sound, request), key=lambda take: take.seed)
        chosen = [take.provenance["choice"] for take in takes]
        hits = [
            {int(np.argmin([abs(w.start + w.end - a - b) for w in words])) for a, b, _ in c["hits"]}
            for c in chosen
        ]
        read = [read_hit(engine.head, take.motion, words) for take in takes]
        for i, (take, hit) in enumerate(zip(takes, hits)):
            (named if len(hit) == 1 else several).append(read[i] in hit)
            if len(hit) == 1:
                chance.append(read[i - 1] in hit)
            gestures = [
                gesture(engine.head, take.motion, (a + b) / 2) for a, b, _ in chosen[i]["hits"]
            ]
            made += gestures
            plain += gestures if take.seed == args.seed else []
        for a, b in combinations(range(len(takes)), 2):
            words_differ.append(read[a] != read[b])
            any_differs.append(chosen[a] != chosen[b])
    real = people(engine, lips, args.solved)
    rows = [
        f"{lines} lines of {args.split} voices, 8 takes each from seed {args.seed}, with their "
        f"text; weights {engine.weights}",
        f"a take hits one word: told from the motion {np.mean(named):.0%} of {len(named)}, by chance "
        f"{np.mean(chance):.0%}",
        f"it hits more: the word told is one of them {np.mean(several):.0%} of {len(several)}",
        f"of two of eight: the word told differs {np.mean(words_differ):.0%}, any choice "
        f"{np.mean(any_differs):.0%} of {len(any_differs)}",
        "gestures on hits: head {:.1f}°, brows {:.3f}, as asked {:.1f}°, {:.3f}; people on the "
        "strongest accent of {:g} s: {:.1f}°, {:.3f}".format(
            *np.mean(made, 0), *np.mean(plain, 0), STRETCH, *np.mean(real, 0)
        ),
    ]
    report(results_file(args.results, "hits.txt", args.lines >= 40), rows)
