# SPDX-License-Identifier: GPL-3.0-or-later
"""Adaptation: trains the shipped diffusion model on a user's recordings or captures, and measures
the gain.

Encoder, units, mesh-to-speech and judge stay as they are, so that scores mean the same before and
after. Recordings are cut into pieces of some ten seconds, every eighth of which is used for
measuring only.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..engine.network import ENDINGS
from ..engine.speech.encoder import SpeechEncoder, Units
from ..engine.vocoder import SpeakerEncoder
from ..face.head import Head
from ..networks.m2s import MeshToSpeech
from ..networks.weights import load_weights
from .corpus import BadCorpus, build, Clip
from .denoiser import build_denoiser, SpeechTerm, train_denoiser
from .label import label
from .loop import Schedule
from .motions import animate, extract_features, MotionSet, SAMPLES_PER_FRAME

PIECE, SLACK = 250, 50  # length of a piece, and search range for a quiet cut, frames (10 s and 2 s)
HOLD_OUT = 8  # step of the held-out pieces: every eighth is for measuring


def pieces(clip: Clip, samples: np.ndarray) -> Iterator[Clip]:
    """A clip cut at its quietest moments into parts of 8 … 12 s."""
    frames = clip.length // SAMPLES_PER_FRAME
    loud = np.abs(samples[: frames * SAMPLES_PER_FRAME]).reshape(frames, -1).max(1)
    start = 0
    while frames - start > PIECE + SLACK:
        around = loud[start + PIECE - SLACK : start + PIECE + SLACK]
        end = (
            start
            + PIECE
            - SLACK
            + int(np.argmin(np.convolve(around, np.ones(5), "same")[5:-5]))
            + 5
        )
        yield _part(clip, start, end)
        start = end
    yield _part(clip, start, frames)


def _part(clip: Clip, start: int, end: int) -> Clip:
    return replace(
        clip, name=f"{clip.name}#{start}", start=clip.start + start * SAMPLES_PER_FRAME,
        length=(end - start) * SAMPLES_PER_FRAME,
        tracked=clip.tracked + start if clip.tracked >= 0 else -1,
    )  # fmt: skip


def prepare(
    sources: list[Path], cache: Path, weights: Path, head: Head, seed: int = 1
) -> MotionSet:
    """Corpus, features and performances of a user's folders, in `cache`. Raises BadTracking,
    BadCorpus."""
    channels = list(head.expression_names)
    corpus = build(
        cache / "corpus", sources, 0.0, partial(label, weights), channels=channels, split=False
    )
    parts = [
        part
        for clip in corpus.clips
        for part in pieces(clip, corpus.samples(clip))
        if part.length >= 75 * SAMPLES_PER_FRAME
    ]
    if len(parts) < 2:
        raise BadCorpus(
            "There is too little to learn from. Give at least 20 seconds of speech, in WAV, FLAC, "
            "OGG or MP3."
        )
    hold = min(HOLD_OUT, len(parts))
    corpus.clips = [
        replace(part, split="test" if i % hold == hold - 1 else "train")
        for i, part in enumerate(parts)
    ]
    (cache / "corpus" / "clips.json").write_text(json.dumps([asdict(c) for c in corpus.clips]))
    networks = (SpeechEncoder.load(weights), SpeakerEncoder.load(weights))
    units = Units.load(weights)
    extract_features(corpus, *networks, cache / "motions", seed, units, quiet_clips=0, listened=0)
    animate(corpus, channels, cache / "motions", seed)
    return MotionSet(corpus, cache / "motions")


def adapt(
    sources: list[Path],
    cache: Path,
    runs: Path,
    weights: Path,
    out: Path,
    head: Head,
    schedule: Schedule,
    device: str = "cpu",
) -> tuple:
    """Continue training the diffusion model of `weights` on the user's `sources`; returns
    (performer, figures before, figures after).

    `out` becomes a complete weights folder except for the diffusion model, which the caller exports
    into it; the model distilled from the old one is left out.
    """
    motions = prepare(sources, cache, weights, head, schedule.seed)
    start, m2s = load_weights(weights / "denoiser")[0], MeshToSpeech.load(weights)
    runs.mkdir(parents=True, exist_ok=True)
    # a new one, since training resumes what a folder holds
    with tempfile.TemporaryDirectory(prefix="before_", dir=runs) as folder:
        untrained = build_denoiser(motions, schedule.seed, start)
        _, before = train_denoiser(
            motions, head, Path(folder), replace(schedule, steps=0), untrained, device=device
        )
    denoiser = build_denoiser(motions, schedule.seed, start)
    performer, after = train_denoiser(
        motions, head, runs / "denoiser", schedule, denoiser, SpeechTerm(m2s), device=device
    )
    out.mkdir(parents=True, exist_ok=True)
    for path in weights.iterdir():
        if (
            path.stem != "distilled"
            and path.suffix in ENDINGS
            and path.resolve().parent != out.resolve()
        ):
            shutil.copyfile(path, out / path.name)
    return performer, before, after
