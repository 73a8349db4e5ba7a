# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a mouth opens for a single frame, as people's, the teacher's and takes do.

CACHE is a folder in which `corpus` was run, DATA has `lips/` (tracked mouths, sounds, phones) and, if it is there, `speech/` (recordings).
A peak is a frame whose lips are further apart than on both neighbours; its height is what it has over the higher one, in millimetres and
over the deviation of the opening in that performance. Counted per minute: people, the teacher and takes of the same voices, takes of
unseen voices of the corpus (--split) and of recordings, and of the sample, all without a request at Spread 0.5. Written to
research/results/peaks.txt. The share of closures that stay shut is of frames on which the engine requires closed lips.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from research.corpus_lines import add_line_arguments, clips_of, MOST_SECONDS, open_corpus
from research.faces.calibrate import aligned_phones
from research.harness import add_shared, effort, report, required, results_file, SAMPLE, usual
from thunder_core.engine.engine import Engine
from thunder_core.engine.planning.prosody import semitones
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.face.lips import opening_mm, TOUCH_MM
from thunder_core.request import Request, seed_of_voice
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.types import FPS, RATE, Speech

EYES_MM = 90.0  # between the outer corners of the eyes: the unit of the tracked mouths (slope of solved against tracked openings)
HEIGHTS_MM, HEIGHTS = (3, 4, 5, 6, 8), (1.0, 1.25, 1.5, 2.0)
TEACHER_SEEDS = 4


def peaks(opening: np.ndarray) -> np.ndarray:
    """Heights of the peaks of one frame of an opening [T] in mm, which may have gaps (NaN)."""
    over = opening[1:-1] - np.maximum(opening[:-2], opening[2:])
    return over[np.isfinite(over) & (over > 0)]


def row(name: str, openings: list[np.ndarray], kept: str = "–") -> str:
    """A line of the table: peaks per minute by height, and the highest."""
    minutes = sum(len(opening) for opening in openings) / FPS / 60
    heights = np.concatenate([peaks(opening) for opening in openings])
    of_deviation = np.concatenate([peaks(opening) / np.nanstd(opening) for opening in openings])
    rates = [(some > least).sum() / minutes for some, levels in ((heights, HEIGHTS_MM), (of_deviation, HEIGHTS)) for least in levels]
    return f"{name:38s}{minutes:8.1f}" + "".join(f"{rate:8.2f}" for rate in rates) + f"{heights.max():8.1f}{kept:>10s}"


def takes_of(engine: Engine, speech: Speech, takes: int, seed: int, steps: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Openings of takes of a sound, [T] mm each, and (frames that are to be shut, those that are)."""
    made = engine.generate(speech, Request(takes, seed, steps=steps, direction=usual(0.5)))
    voice = engine.thunder.analyse(speech.samples, speech.frames)
    openings = [opening_mm(take.motion, engine.head).astype(float) for take in made]
    shut = voice.shut > 0.99
    return openings, np.array([shut.sum() * len(made), sum((opening[shut] <= TOUCH_MM).sum() for opening in openings)])


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_line_arguments(p)
    add_shared(p, "data")
    p.add_argument("--takes", type=int, default=4, help="of each voice; of the sample always 8")
    p.add_argument("--recordings", type=int, default=20, help="of `speech/`, one of each folder in turn")


def run(args: Namespace) -> None:
    """Sample, measure and write the table."""
    lips, corpus, engine = required(args.data / "lips", "tracked mouths"), open_corpus(args.cache), Engine.load(args.weights)
    channels, phones = list(engine.head.expression_names), aligned_phones(lips)
    tracked = {path.stem: np.load(path)["opening"].astype(float) * EYES_MM for path in sorted(lips.glob("*.npz"))}
    taught = []
    for name in tracked:
        speech = read_sound(lips / f"{name}.wav")
        loud, pitch = loudness(speech.samples, speech.frames), semitones(speech.samples, speech.frames)
        features = map_features(engine.thunder.encoder, speech.samples, speech.frames)
        for seed in range(TEACHER_SEEDS):
            rng = np.random.default_rng([seed, len(loud)])
            motion = perform(phones[name], loud, channels, rng, None, pitch, features=features)
            taught.append(opening_mm(motion, engine.head).astype(float))
    voices = {"takes of the same voices": [(read_sound(lips / f"{name}.wav"), 1) for name in tracked]}
    clips = clips_of(corpus, args.split, args.voices)
    most = round(MOST_SECONDS * RATE)
    voices[f"takes of {args.voices} voices of {args.split}"] = [
        (Speech(corpus.samples(clip)[:most]), 100 * i) for i, clip in enumerate(clips)
    ]
    if (args.data / "speech").is_dir():
        folders = [sorted(path for path in folder.rglob("*") if path.suffix in (".wav", ".flac", ".mp3", ".ogg"))
                   for folder in sorted((args.data / "speech").iterdir()) if folder.is_dir()]  # fmt: skip
        paths = [folder[i] for i in range(args.recordings) for folder in folders if i < len(folder)][: args.recordings]
        recordings = [Speech(read_sound(path).samples[:most]) for path in paths]
        voices[f"takes of {len(recordings)} recordings"] = [(speech, 100 * i) for i, speech in enumerate(recordings)]
    sample = read_sound(SAMPLE)
    lines = [
        "Peaks of one frame per minute, by height in mm and in deviations of the opening; "
        f"{effort(args.steps)}, weights {engine.weights}", "",
        f"{'':38s}{'minutes':>8s}" + "".join(f"{f'>{x} mm':>8s}" for x in HEIGHTS_MM) + "".join(f"{f'>{x:g} σ':>8s}" for x in HEIGHTS)
        + f"{'most':>8s}{'kept shut':>10s}",
        row(f"{len(tracked)} people", list(tracked.values())), row("teacher, the same voices", taught),
    ]  # fmt: skip
    for name, sounds in voices.items():
        made = [takes_of(engine, speech, args.takes, seed, args.steps) for speech, seed in sounds]
        wanted, kept = np.sum([counts for _, counts in made], axis=0)
        lines.append(row(name, [opening for openings, _ in made for opening in openings], f"{kept / wanted:.3f}"))
    openings, (wanted, kept) = takes_of(engine, sample, 8, seed_of_voice("sample.wav"), args.steps)
    lines.append(row("8 takes of the sample", openings, f"{kept / wanted:.3f}"))
    report(results_file(args.results, "peaks.txt", args.split == "test"), lines)
