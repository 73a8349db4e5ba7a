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

from __future__ import annotations

import csv
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from research.faces.real_faces import solved_clips
from research.harness import add_shared, in_turns, report, required, results_file
from research.measures.habits import brow
from thunder_core.animation.traits import Line
from thunder_core.direction import Brief
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech import transcript
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax
from thunder_core.face.head import Head
from thunder_core.face.lips import opening_mm
from thunder_core.filters import gaussian
from thunder_core.request import Request
from thunder_core.rotation import angular_speed
from thunder_core.spoken import Word
from thunder_core.train.corpus import split_of
from thunder_core.types import FPS, Motion, Speech

BEFORE, AFTER = 0.2, 0.1  # seconds beside a word that count as its own
CONTENT = 4  # letters of a content word, and number of them in a line
SECONDS = (2.5, 15.0)  # of a line


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
    rows = []
    for table in sorted(speech.glob("*/transcripts.tsv")):
        with table.open(newline="", encoding="utf-8") as file:
            for name, speaker, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if split_of(speaker) == split:
                    rows.append((table.parent / name, speaker, text.lower()))
    rows = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    return [(path, text) for path, _, text in in_turns(rows, lambda r: r[1], lambda r: "")]
