# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds voices and phones that fail: held-out speakers and accents of a training cache, and languages spoken by espeak-ng.

`python -m research voices`. For each group of held-out voices: share of phones that the encoder recognises (10 ms frames that are
not silence), r of the mouth opening of a take in the usual direction, and of the mean of its takes, with the teacher's performance of the
true phones in that direction; how far takes' corners come in on UW, OW and W, as a share of the teacher's; and the share of P, B and M on
which the takes' lips meet (gap ≤ 0.6 mm within the phone or a frame beside it).
Then every phone of the English ones: how often it is recognised, and what it is confused with. To stdout and
research/results/voices.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

import numpy as np

from research.harness import add_shared, keep, required, RESULTS, usual
from research.languages import spoken
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.encoder import loudness
from thunder_core.engine.speech.phones import PHONES, SILENCE
from thunder_core.face.lips import CLOSED_MM, opening_mm, width_mm
from thunder_core.request import Request
from thunder_core.train.corpus import Clip, Corpus, LABEL_HOP, labels
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.types import Motion, RATE, Speech

SECONDS = 6
LIPS = [PHONES.index(p) for p in ("P", "B", "M")]
ROUND = [PHONES.index(p) for p in ("UW", "OW", "W")]
GROUPS = {
    "librispeech_resemblyzer": "LibriSpeech test-other", "speechocean762": "speechocean, Mandarin accent", "flite": "flite kal16",
    "en": "espeak, English",
}  # fmt: skip


def group_of(clip: Clip) -> str | None:
    """Name of the group of voices a clip belongs to, None for one that trained something or that is of no group."""
    if clip.split == "train":
        return None
    if clip.corpus == "synthetic":
        maker, _, voice = clip.speaker.partition("-")
        return GROUPS.get(maker if maker == "flite" else voice[:2])
    return GROUPS.get(clip.corpus) if clip.corpus != "librispeech_resemblyzer" or clip.split == "test" else None


def voices(corpus: Corpus, most: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """{group: [(samples at 16 kHz, uint8 phones per 10 ms), …]}, up to `most` clips of a group, SECONDS of each."""
    groups: dict[str, list[Clip]] = {g: [] for g in GROUPS.values()}
    for clip in corpus.clips:
        if (group := group_of(clip)) is not None:
            groups[group].append(clip)
    result = {}
    for group, clips in groups.items():
        clips = clips[:: max(1, len(clips) // most)][:most]
        result[group] = [(corpus.samples(c)[: SECONDS * RATE], corpus.phones(c)[: SECONDS * 100]) for c in clips]
    for group, sentences in spoken().items():
        result[group] = [(s[: SECONDS * RATE], labels(phones, len(s) // LABEL_HOP)[: SECONDS * 100]) for s, phones in sentences]
    return {group: clips for group, clips in result.items() if clips}


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two curves [T]; NaN if one of them is constant."""
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-3 and b.std() > 1e-3 else float("nan")


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights", results=RESULTS / "voices.txt")
    p.add_argument("--clips", type=int, default=12, help="of each group, at most")
    p.add_argument("--takes", type=int, default=4)


def run(args: Namespace) -> None:
    """Measure every group of voices; write the tables."""
    required(args.cache / "corpus" / "clips.json", "the corpus of a training cache (python -m thunder_core.train corpus)")
    engine, corpus = Engine.load(args.weights, device="cpu"), Corpus(args.cache / "corpus")
    names = list(engine.head.expression_names)
    rest = float(width_mm(Motion(np.zeros((1, len(names)), np.float32), np.zeros((1, 3), np.float32)), engine.head)[0])
    confused = np.zeros((len(PHONES), len(PHONES)))
    lines = [f"weights {engine.weights}; up to {args.clips} clips of {SECONDS} s a group, {args.takes} takes each, no best one chosen",
             f"{'':30s} {'clips':>5s} {'phones':>7s} {'r, take':>8s} {'r, mean':>8s} {'rounding':>9s} {'P/B/M meet':>11s}"]  # fmt: skip
    for group, clips in voices(corpus, args.clips).items():
        named, alone, mean, met, narrow = [], [], [], [], []
        for samples, phones in clips:
            speech = Speech(samples)
            guess = engine.thunder.encoder.analyse(samples)[1].argmax(-1).repeat(2)
            n = min(len(guess), len(phones))
            is_speech = phones[:n] != SILENCE
            named.append(float((guess[:n] == phones[:n])[is_speech].mean()))
            if group in GROUPS.values():  # the phones of other languages are only the nearest of the 40
                np.add.at(confused, (phones[:n], guess[:n]), 1)
            loud, features = loudness(samples, speech.frames), map_features(engine.thunder.encoder, samples, speech.frames)
            truth = [perform(phones, loud, names, np.random.default_rng(s), Direction(), features=features) for s in range(4)]
            widths = np.mean([width_mm(m, engine.head)[: speech.frames] for m in truth], 0)
            truth = np.mean([opening_mm(m, engine.head)[: speech.frames] for m in truth], 0)
            takes = engine.generate(speech, Request(args.takes, 1, direction=usual()))
            curves = np.stack([t.opening for t in takes])
            k = min(curves.shape[1], len(truth), len(phones[2::4]))
            rounded = np.isin(phones[2::4][:k], ROUND)
            narrow.append([(rest - w[:, :k][:, rounded]).mean(0).sum() for w in (widths[None], np.stack([t.width for t in takes]))])
            alone += [correlation(c[:k], truth[:k]) for c in curves]
            mean.append(correlation(curves.mean(0)[:k], truth[:k]))
            edges = np.flatnonzero(np.diff(phones.astype(int), prepend=-1, append=-1))
            for a, b in zip(edges, edges[1:]):
                if phones[a] in LIPS:
                    around = slice(max(0, a // 4 - 1), b // 4 + 2)
                    if around.stop <= curves.shape[1]:
                        met += list(curves[:, around].min(1) <= CLOSED_MM)
        teachers, ours = np.sum(narrow, 0)
        lines.append(
            f"{group:30s} {len(clips):5d} {np.mean(named):7.2f} {np.nanmean(alone):8.2f} {np.nanmean(mean):8.2f} "
            f"{ours / teachers:9.2f} {np.mean(met):11.2f}"
        )
        print(lines[-1], flush=True)
    lines.append(f"\n{'phone':6s} {'frames':>7s} {'right':>6s}   most often taken for")
    share = confused / confused.sum(1, keepdims=True).clip(1)
    for i in np.argsort(np.diag(share)):
        if confused[i].sum() >= 100:
            others = [j for j in np.argsort(-share[i]) if j != i][:3]
            lines.append(
                f"{PHONES[i]:6s} {confused[i].sum():7.0f} {share[i, i]:6.2f}   "
                + ", ".join(f"{PHONES[j]} {share[i, j]:.2f}" for j in others)
            )
    print(keep(args.results, lines))
