# SPDX-License-Identifier: GPL-3.0-or-later
"""The offset of captured faces: how often the place of a capture in its voice is found within a
frame, and how sure of it the engine is.

DATA is a folder with `lips/` and `lips_more/`. Captures are cut out of what is measured of real
people (`check`: nothing was fitted to them), and of takes of the same voices, which rest before it,
are larger or smaller, and noisy; and recordings are cut out of the voices, heard in another room
with noise 5 dB below. Others are captures of other people, which belong nowhere in the voice.
Tables go to stdout and research/results/offsets.txt. One minute on one core.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import numpy as np

from research.faces.lip_clips import LipClip, read_clips
from research.harness import add_shared, keep, RESULTS
from thunder_core.engine.alignment import LIKELY, Match, match_mouth, match_sound
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.request import Request
from thunder_core.types import FPS, pack, RATE, Speech, unpack

LONGEST = 20  # seconds of a voice
SHORTEST = 0.6  # share of a voice that a capture has at least
NOISE, SIZES = 0.05, (0.6, 1.4)  # of a take's channels: deviation, and factors of its size
REST = 40  # most frames of rest before a capture
ROOM_SAMPLES, ROOM_DB = 800, 5.0  # length of a room's echo, and level of its noise below the voice

Found = tuple[Match, float]  # a match, and where it ought to be, seconds


def part(rng: np.random.Generator, count: int) -> tuple[int, int]:
    """The first and the last frame, exclusive, of a random part of `count` frames."""
    length = int(count * rng.uniform(SHORTEST, 1))
    first = int(rng.integers(0, count - length + 1))
    return first, first + length


def fill_gaps(curve: np.ndarray) -> np.ndarray:
    """A curve [T] with straight lines where it is not known."""
    seen = np.flatnonzero(np.isfinite(curve))
    return np.interp(np.arange(len(curve)), seen, curve[seen])


def mouth_of(clip: LipClip) -> np.ndarray:
    """Measured opening and width of a person [T, 2]; a width that is not reliable stands still."""
    width = np.zeros(clip.frames) if clip.width is None else fill_gaps(clip.width)
    return np.stack([fill_gaps(clip.opening), width], 1)


def of_people(
    rng: np.random.Generator, engine: Engine, clip: LipClip, speech: Speech, cuts: int
) -> Iterator[Found]:
    """Parts of a real mouth."""
    mouth = mouth_of(clip)[: speech.frames]
    for _ in range(cuts):
        first, last = part(rng, len(mouth))
        yield match_mouth(mouth[first:last], engine.expected_mouth(speech)), first / FPS


def of_takes(
    rng: np.random.Generator, engine: Engine, speech: Speech, cuts: int, seed: int
) -> Iterator[Found]:
    """Parts of takes, with noise, after some rest."""
    for take in engine.generate(speech, Request(cuts, seed, "draft")):
        x, (first, last), rest = (
            pack(take.motion),
            part(rng, take.motion.frames),
            int(rng.integers(0, REST)),
        )
        seen = np.concatenate([np.zeros((rest, x.shape[1])), x[first:last]]) * rng.uniform(*SIZES)
        count = x.shape[1] - 9
        seen += rng.normal(0, NOISE, seen.shape) * np.r_[np.ones(count), np.full(9, 0.1)]
        yield engine.align(speech, unpack(seen.astype(np.float32), count))[0], (first - rest) / FPS


def of_sounds(rng: np.random.Generator, speech: Speech, cuts: int) -> Iterator[Found]:
    """Parts of the voice as another microphone hears it."""
    for _ in range(cuts):
        first, last = part(rng, len(speech.samples))
        echo = np.r_[
            1,
            rng.normal(0, 0.3, ROOM_SAMPLES) * np.exp(-4 * np.arange(ROOM_SAMPLES) / ROOM_SAMPLES),
        ]
        heard = np.convolve(speech.samples[first:last], echo)[: last - first]
        heard = heard / heard.std() + rng.normal(0, 10 ** (-ROOM_DB / 20), len(heard))
        yield match_sound((0.05 * heard).astype(np.float32), speech.samples), first / RATE


def row(name: str, found: list[Found]) -> str:
    """A row of the table."""
    off = np.array([abs(match.seconds - wanted) * FPS for match, wanted in found])
    sure = np.array([match.sure for match, _ in found])
    shares = [(off < limit + 0.5).mean() for limit in (1, 2)]
    return (
        f"{name:<34} {len(found):5d} {shares[0]:9.1%} {shares[1]:10.1%} "
        f"{(sure >= 1).mean():8.1%} {(sure < LIKELY).mean():8.1%}"
    )


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "seed", "weights", results=RESULTS / "offsets.txt")
    p.add_argument("--cuts", type=int, default=8, help="captures of each voice")
    p.add_argument("--clips", nargs="+", help="only these (default: all of `check`)")


def run(args: Namespace) -> None:
    """Find captures of all kinds; write the table."""
    engine, rng = Engine.load(args.weights), np.random.default_rng(args.seed)
    clips = [
        clip for clip in read_clips(args.data, "check") if not args.clips or clip.name in args.clips
    ]
    voices = [Speech(read_sound(clip.path).samples[: LONGEST * RATE]) for clip in clips]
    people = [
        list(of_people(rng, engine, clip, speech, args.cuts)) for clip, speech in zip(clips, voices)
    ]
    in_sync = [found for clip, each in zip(clips, people) if clip.tier == "A" for found in each]
    others = [
        (match_mouth(mouth_of(clip), engine.expected_mouth(speech)), 0.0)
        for clip in clips
        for other, speech in zip(clips, voices)
        if other is not clip
    ]
    takes = [
        found for speech in voices for found in of_takes(rng, engine, speech, args.cuts, args.seed)
    ]
    sounds = [found for speech in voices for found in of_sounds(rng, speech, args.cuts)]
    lines = [
        f"weights {engine.weights}; {len(clips)} voices of `check`, seed {args.seed}",
        "",
        f"{'captures of':<34} {'tried':>5} {'≤ 1 frame':>9} {'≤ 2 frames':>10} {'surely':>8} "
        f"{'unsure':>8}",
        *(row(name, found) for name, found in (
            ("real mouths", [found for each in people for found in each]),
            ("those in sync as filmed (tier A)", in_sync),
            ("takes with noise", takes), ("the voice in another room", sounds),
        ) if found),
        *([row("mouths of other people", others)] if others else []),
    ]  # fmt: skip
    print(keep(args.results, lines))
