# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Table 2 on held-out voices: S samples of every clip against the teacher's performance of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..channels import Columns
from ..engine.diffusion.denoiser import Denoiser, DenoiserConfig
from ..engine.diffusion.sampling import sample, seeded_noise
from ..engine.flame import FlameLayer
from ..engine.m2s.mouth import LIPS
from ..engine.speech.encoder import SpeechEncoder
from ..engine.weights import load_network
from ..face.head import Head
from . import metrics
from .denoiser import Performer
from .motions import MotionSet, Row

SAMPLES = 32  # S of the paper
MOST_FRAMES = 125
COLUMNS = ("LVE", "L-CCC", "L-PCC", "DTW", "S-DIV-U", "T-DIV-U", "S-DIV-L", "T-DIV-L", "FDD-U", "FDD-L", "BA", "DIV")


class Measured:
    """Lip and upper-face vertices of a head, for motions packed as [T, n + 9]; the neck is held still."""

    def __init__(self, head: Head):
        self.columns = Columns(head.channels)
        lips = head.mouth_vertices[head.mouth_parts == LIPS]
        upper = np.flatnonzero(head.regions[head.region_names.index("upper_face")] > 0.5)
        middles = np.array([head.inner_lip_upper_mid, head.inner_lip_lower_mid])
        self.ids = np.concatenate([lips, upper, middles])
        self.lips, self.upper = slice(0, len(lips)), slice(len(lips), len(lips) + len(upper))
        self.layer = FlameLayer(head, self.ids)
        self.rest = head.v_template[self.ids].astype(np.float64)

    @torch.no_grad()
    def vertices(self, x: np.ndarray) -> np.ndarray:
        """Positions [..., T, m, 3] metres of packed motions [..., T, n + 9]."""
        columns, shape = self.columns, x.shape[:-1]
        flat = torch.from_numpy(np.ascontiguousarray(x, np.float32)).reshape(-1, x.shape[-1])
        return self.layer(flat[:, columns.expression], flat[:, columns.jaw]).numpy().reshape(*shape, -1, 3)


def load_performer(folder: Path) -> Performer:
    """The diffusion model of a weights folder, with its own encoder if it is a THUNDER-T."""
    denoiser = load_network(folder / "denoiser", lambda config: Denoiser(DenoiserConfig(**config)))
    encoder = SpeechEncoder.load(folder, "encoder-t") if (folder / "encoder-t.json").exists() else None
    return Performer(denoiser, encoder)


@torch.no_grad()
def perform(performer: Performer, motions: MotionSet, row: Row, number: int, frames: int, samples: int, steps: int) -> np.ndarray:
    """`samples` motions [S, T, C] of the first `frames` of a row, seeds 0 … S − 1."""
    features = torch.from_numpy(motions.features[row.start : row.start + frames].astype(np.float32))[None]
    item = {"features": features}
    if performer.encoder is not None:
        item["waves"] = torch.from_numpy(motions.samples(number, 0, frames))[None]
    audio = performer.features(item)
    denoiser = performer.denoiser
    noise = denoiser.first_noise(seeded_noise(range(samples), frames, denoiser.config.motion))
    x = sample(lambda x, step: denoiser(x, step, audio), noise, steps)
    return denoiser.restore(x).numpy()


def table_row(performer: Performer, motions: MotionSet, head: Head, numbers: list[int], samples: int = SAMPLES, steps: int = 20) -> dict:
    """{column: mean over the rows `numbers`} of COLUMNS, in the paper's units (cm; DIV in degrees)."""
    measured = Measured(head)
    per_clip: dict[str, list[float]] = {c: [] for c in COLUMNS}
    errors: dict[str, list[np.ndarray]] = {"U": [], "L": []}
    for number in numbers:
        row = motions.rows[number]
        frames = min(row.frames, MOST_FRAMES)
        truth_x = motions.motions[0, row.start : row.start + frames].astype(np.float32)
        guess_x = perform(performer, motions, row, number, frames, samples, steps)
        truth, guess = measured.vertices(truth_x), measured.vertices(guess_x)
        onsets = metrics.sound_onsets(motions.samples(number, 0, frames))
        for s in range(samples):
            lips, true = guess[s, :, measured.lips], truth[:, measured.lips]
            gap = [np.linalg.norm(v[:, -2] - v[:, -1], axis=1) for v in (guess[s], truth)]
            for column, value in (
                ("LVE", metrics.lip_vertex_error(lips, true)), ("L-CCC", metrics.lip_concordance(lips, true)),
                ("L-PCC", metrics.lip_pearson(lips, true)), ("DTW", metrics.lip_warp(*gap)),
                ("FDD-U", metrics.dynamics_deviation(guess[s, :, measured.upper], truth[:, measured.upper], measured.rest[measured.upper])),
                ("FDD-L", metrics.dynamics_deviation(lips, true, measured.rest[measured.lips])),
                ("BA", metrics.beat_alignment(guess_x[s, :, measured.columns.head], onsets)),
            ):  # fmt: skip
                per_clip[column].append(value)
        per_clip["DIV"].append(metrics.pose_diversity(guess_x[:, :, measured.columns.head]))
        for which, part in (("U", measured.upper), ("L", measured.lips)):
            errors[which].append(metrics.distances(guess[:, :, part], truth[:, part]).astype(np.float32))
    result = {c: float(np.nanmean(v)) for c, v in per_clip.items() if v}
    for which in "UL":
        result[f"S-DIV-{which}"] = metrics.sample_diversity(errors[which])
        result[f"T-DIV-{which}"] = metrics.time_diversity(errors[which])
    return {c: result[c] for c in COLUMNS}
