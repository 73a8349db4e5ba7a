# SPDX-License-Identifier: GPL-3.0-or-later
"""Calibration of the teacher: how phones and loudness move real lips, as kernels of a few hundred named constants.

Mouth opening and width of real talking faces (25 fps, z-scored per clip) are regressed on which phone is spoken within
±160 ms and on loudness, by ridge regression towards a phonetic prior. What comes out is a dominance function per phone,
with its own onset, decay and overshoot, as Cohen & Massaro draw by hand.
"""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path

import numpy as np
import torch

from ..engine.speech.encoder import loudness, SpeechEncoder
from ..engine.speech.phones import phone_index, PHONES
from ..types import FPS
from .label import best_path
from .recording import read_recording

REACH = 4  # frames of 40 ms to either side
TAPS = 2 * REACH + 1
KERNELS = Path(__file__).with_name("lip_kernels.json")

# Phonetic prior: how open (0 … 1) and how wide (−1 round … 1 spread) the lips are for each phone, from articulation.
OPEN = dict(
    SIL=0.12, AA=1.0, AE=0.95, AH=0.65, AO=0.85, AW=0.95, AY=0.95, B=0.0, CH=0.4, D=0.4, DH=0.4, EH=0.75, ER=0.5, EY=0.65,
    F=0.18, G=0.45, HH=0.55, IH=0.5, IY=0.45, JH=0.4, K=0.45, L=0.5, M=0.0, N=0.4, NG=0.45, OW=0.6, OY=0.65, P=0.0, R=0.42,
    S=0.32, SH=0.38, T=0.38, TH=0.4, UH=0.4, UW=0.3, V=0.18, W=0.22, Y=0.42, Z=0.32, ZH=0.36,
)  # fmt: skip
WIDE = dict(
    SIL=0.0, AA=0.0, AE=0.35, AH=0.1, AO=-0.5, AW=-0.1, AY=0.25, B=0.0, CH=-0.35, D=0.15, DH=0.1, EH=0.3, ER=-0.3, EY=0.5,
    F=0.1, G=0.15, HH=0.1, IH=0.35, IY=0.6, JH=-0.35, K=0.15, L=0.1, M=0.0, N=0.15, NG=0.2, OW=-0.7, OY=-0.45, P=0.0, R=-0.4,
    S=0.25, SH=-0.45, T=0.15, TH=0.1, UH=-0.45, UW=-0.9, V=0.1, W=-1.0, Y=0.3, Z=0.25, ZH=-0.45,
)  # fmt: skip
_PRIOR_WIDTH = 1.5  # frames, standard deviation of the prior's kernel
_PULL = {"opening": (100.0, 30.0), "width": (300.0, 300.0)}  # ridge strength on phones, on loudness


def occupancy(phones: np.ndarray, frames: int) -> np.ndarray:
    """10 ms labels → share [frames, 40] of each animation frame (±20 ms around t/25 s) that each phone fills."""
    at = (np.arange(frames)[:, None] * 4 + np.arange(-2, 2)[None]).clip(0, len(phones) - 1)
    return np.eye(len(PHONES), dtype=np.float32)[phones[at]].mean(1)


def around(x: np.ndarray) -> np.ndarray:
    """[T, c] → [T, 9·c]: the frames within ±160 ms of each, edges repeated."""
    padded = np.pad(x, ((REACH, REACH), (0, 0)), mode="edge")
    return np.concatenate([padded[k : k + len(x)] for k in range(TAPS)], 1)


def _prior(table: dict[str, float]) -> np.ndarray:
    g = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / _PRIOR_WIDTH) ** 2)
    return np.outer(g / g.sum(), [table[p] for p in PHONES]).ravel()


def aligned_phones(lips: Path) -> dict[str, np.ndarray]:
    """10 ms phone labels of every clip of a folder of measured lips, from its `phones.tsv`."""
    with (lips / "phones.tsv").open(newline="") as f:
        rows = [r for r in list(csv.reader(f, delimiter="\t"))[1:] if r]
    phones: dict[str, np.ndarray] = {}
    for name in sorted({r[0] for r in rows}):
        mine = [(r[2], float(r[3]), float(r[4])) for r in rows if r[0] == name]
        labels = np.zeros(round(mine[-1][2] * 100) + 1, np.uint8)
        for symbol, a, b in mine:
            labels[round(a * 100) : round(b * 100)] = phone_index(symbol)
        phones[name] = labels
    return phones


def _clips(lips: Path, encoder: SpeechEncoder | None):
    """(name, phone shares [T, 40] by each way of labelling, loudness [T, 2], measured curves) of every clip."""
    for name, labels in aligned_phones(lips).items():
        data = np.load(lips / f"{name}.npz", allow_pickle=False)
        sound, frames = torch.from_numpy(read_recording(lips / f"{name}.wav")), len(data["opening"])
        shares = [occupancy(labels, frames)]
        if encoder is not None:
            # The words of these clips were recognised, not given: phones as the encoder hears them are often nearer the truth.
            path = best_path(encoder.hear(sound)[1], change=2.0)
            shares.append(occupancy(np.repeat(path, 2).astype(np.uint8), frames))
        curves = {"opening": data["opening"].astype(float)}
        if bool(data["width_reliable"]):
            curves["width"] = data["width"].astype(float)
        yield name, shares, loudness(sound, frames).numpy(), curves


def calibrate(lips: Path, encoder: SpeechEncoder | None = None) -> dict:
    """Fit the kernels on the `fit` clips of a folder of measured lips, write them, and return r on both splits.

    With an encoder each clip counts twice, by its aligned phones and by those that the encoder hears.
    """
    split = tomllib.loads((lips / "split.toml").read_text())
    clips = {name: rest for name, *rest in _clips(lips, encoder)}
    kernels, figures = {}, {}
    for what, table in (("opening", OPEN), ("width", WIDE)):
        inputs, outputs, spreads = [], [], []
        for name in split["fit"]:
            shares, heard, curves = clips[name]
            if what not in curves:
                continue
            y = curves[what]
            seen = np.isfinite(y)
            spreads.append((y[seen].std(), seen.sum()))
            for labelled in shares:
                x = np.hstack([around(labelled), around(heard)])[seen]
                inputs.append((x - x.mean(0)) / np.sqrt(len(shares)))
                outputs.append((y[seen] - y[seen].mean()) / y[seen].std() / np.sqrt(len(shares)))
        x, y = np.vstack(inputs), np.concatenate(outputs)
        prior = _prior(table)
        n = len(prior)
        guess = x[:, :n] @ prior
        start = np.concatenate([prior * (guess @ y) / (guess @ guess), np.zeros(x.shape[1] - n)])
        pull = np.concatenate([np.full(n, _PULL[what][0]), np.full(x.shape[1] - n, _PULL[what][1])])
        k = start + np.linalg.solve(x.T @ x + np.diag(pull), x.T @ (y - x @ start))
        # A regression predicts the mean and is too calm; the teacher moves as much as people do.
        k = np.round(k / ((x @ k).std() / y.std()), 3)
        spoken = [(np.hstack([around(sh[-1]), around(he)]) @ k)[sh[-1][:, 0] < 0.5] for sh, he, _ in (clips[n] for n in split["fit"])]
        kernels[what] = {
            "mean_spoken": round(float(np.concatenate(spoken).mean()), 3),
            "phones": k[:n].reshape(TAPS, len(PHONES)).tolist(),
            "loudness": k[n:].reshape(TAPS, 2).tolist(),
            "spread_of_eye_distance": round(float(np.average([s for s, _ in spreads], weights=[w for _, w in spreads])), 4),
        }
        for part in ("fit", "check"):
            r, w = [], []
            for name in split[part]:
                shares, heard, curves = clips[name]
                if what in curves:
                    seen = np.isfinite(curves[what])
                    guess = np.hstack([around(shares[-1]), around(heard)]) @ k
                    r.append(np.corrcoef(guess[seen], curves[what][seen])[0, 1])
                    w.append(seen.sum())
            figures[f"{what}_r_{part}"] = round(float(np.average(r, weights=w)), 3)
    KERNELS.write_text(json.dumps({"phones": PHONES, "fps": FPS, "figures": figures} | kernels) + "\n")
    return figures
