# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the room left for L_m2s and for a trained encoder.

On 32 crops of the validation speakers. L_m2s of the true motion, of another line's, and of THUNDER trained with and without it: in one step
at several levels of noise, and sampled. The accuracy with which a linear map of the frozen speech features predicts the lips' gap and the
mouth's width. To research/results/headroom.json.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from research.harness import add_shared, keep_json, required, RESULTS
from research.train.paper import folder_of, NETWORK
from thunder_core.engine.diffusion import alpha_bar, STEPS
from thunder_core.face.head import Head, load_head
from thunder_core.networks.denoiser import noisy
from thunder_core.networks.m2s import MeshToSpeech
from thunder_core.networks.mouth import Mouth, SPACES, weights_name
from thunder_core.networks.systems import load_system
from thunder_core.train.corpus import Corpus
from thunder_core.train.denoiser import FRAMES
from thunder_core.train.m2s import speech_loss, SpeechBatches
from thunder_core.train.motions import MotionSet

LEVELS = (STEPS - 1, 600, 300, 100)  # diffusion steps at which one estimate is measured
AROUND = 4  # frames on each side that the linear map reads
TRAINED_ON, TRIED_ON = 150, 40  # training and test clips of the linear map


@torch.no_grad()
def losses(motions: MotionSet, head: Head, weights: Path, runs: Path, seed: int) -> dict[str, dict]:
    """L_m2s of each space: of the truth, of another line's motion, and of THUNDER before, without and with it."""
    item = SpeechBatches(motions, motions.watched(FRAMES), FRAMES, 32)(np.random.default_rng(0))
    mouth, alpha, result = Mouth(head), torch.from_numpy(alpha_bar()), {}
    truth = item["motion"]
    for space in ("mouth", "exp", "face"):
        if not (weights / f"{weights_name(space)}.json").is_file():
            continue
        m2s = MeshToSpeech.load(weights, weights_name(space))
        view = SPACES[space](m2s.mouth or head)

        def loss(x: torch.Tensor, m2s=m2s, view=view) -> float:
            return round(float(speech_loss(*m2s(view.of_packed(x), item["voices"]), item)["total"]), 3)

        row: dict = {"truth": loss(truth), "another line": loss(truth.roll(1, 0))}
        names = ("thunder.base", "thunder", f"thunder+{space}2s", f"thunder+{space}2s-masked")
        for name in (n for n in names if (folder_of(runs, seed, n) / f"{NETWORK}.json").is_file()):
            network = load_system("thunder", folder_of(runs, seed, name), NETWORK)
            made = torch.cat([network.sample(features[None], [1], steps=10) for features in item["features"]])
            row[name] = {"sampled": loss(made)}
            for hidden in (False, True):
                for level in LEVELS:
                    noise, step = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)), torch.full((len(truth),), level)
                    mixed = noisy(network.standardise(truth), noise, step, alpha)
                    x0 = network.restore(network(mixed, step, item["features"], torch.full((len(truth),), hidden)))
                    worst = (mouth.of_packed(x0) - mouth.of_packed(truth)).norm(dim=-1).amax(-1).mean() * 1e3
                    row[name][f"step {level}" + (", sound hidden" if hidden else "")] = [loss(x0), round(float(worst), 2)]
        result[f"{space}2s"] = row
        print(space, row, flush=True)
    return result


@torch.no_grad()
def linear(motions: MotionSet, head: Head) -> dict[str, list[float]]:
    """r of the lips' gap and the mouth's width, on unseen voices, predicted by ridge regression from all features and from loudness."""
    mouth = Mouth(head)

    def some(split: str, count: int) -> list[int]:
        rows = [i for i in motions.of(split, 75) if motions.rows[i].clip >= 0]
        return sorted(np.random.default_rng(0).permutation(rows)[:count])

    def pair(number: int, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        row = motions.rows[number]
        part = slice(row.start, row.start + row.frames)
        heard = np.pad(motions.features[part, columns].astype(np.float32), ((AROUND, AROUND), (0, 0)), "edge")
        x = np.concatenate([heard[k : k + row.frames] for k in range(2 * AROUND + 1)] + [np.ones((row.frames, 1), np.float32)], 1)
        shape = mouth.shape(mouth.of_packed(torch.from_numpy(motions.motions[0, part].astype(np.float32))[None]))[0].numpy() * 1e3
        return x, shape - shape.mean(0)

    result = {}
    for name, columns in (("loudness", slice(-2, None)), ("all features", slice(None))):
        normal = right = 0.0
        for x, y in (pair(i, columns) for i in some("train", TRAINED_ON)):
            normal, right = normal + x.T @ x, right + x.T @ y
        solved = np.linalg.solve(normal + 10.0 * np.eye(len(normal)), right)
        unseen = [pair(i, columns) for i in some("validation", TRIED_ON)]
        each = [[np.corrcoef((x @ solved)[:, k], y[:, k])[0, 1] for k in (0, 1)] for x, y in unseen]
        result[name] = [round(float(r), 3) for r in np.nanmean(each, 0)]
    print(result, flush=True)
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "weights", "seed", results=RESULTS / "headroom.json")


def run(args: Namespace) -> None:
    """Measure and write."""
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    required(folder_of(args.runs, args.seed, "thunder"), "what python -m research train paper makes")
    head, motions = load_head(args.weights / "head.npz"), MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    made: dict = {"linear map": linear(motions, head)}
    made["L_m2s"] = losses(motions, head, args.weights, args.runs, args.seed)
    keep_json(args.results, made)
