# SPDX-License-Identifier: GPL-3.0-or-later
"""One line performed by every system: faces at its open and closed mouths, and how far the lips are apart over time.

`python -m research system_sheet --cache CACHE --runs RUNS`: a clip of an unseen speaker, by the systems that
`python -m research train paper` trained. The first row is the teacher, from which all learned. Curves: four samples of a system
in colour, the teacher's in black. To docs/pictures/systems.webp.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from research.harness import add_shared, required, ROOT
from research.measures.evaluate import Clip, clips_of, Measured, Trained
from research.paper import SYSTEM_OF
from research.paper_rows import TABLE2_ROWS
from research.train.paper import folder_of, NETWORK
from thunder_core.channels import Columns
from thunder_core.face.head import Head, load_head
from thunder_core.networks.flame import FlameLayer
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet

FACES, SAMPLES = 8, 4
# With the loss, of diffusion systems where it counts only with the sound.
ROWS = [f"{name}-masked" if f"{name}-masked" in TABLE2_ROWS else name for name in TABLE2_ROWS if name.endswith("+mouth2s")]
LIGHT = np.array([0.25, 0.45, 0.85])
AROUND = (0.058, 0.046, 0.034)  # metres shown to the side of, below and above the middle of the mouth


def moments(gap: np.ndarray, count: int) -> np.ndarray:
    """Frames [count] of a line, ascending: by turns the widest and the narrowest gap [T] of equal parts of it."""
    parts = np.array_split(np.arange(len(gap)), count)
    return np.array([part[gap[part].argmax() if i % 2 == 0 else gap[part].argmin()] for i, part in enumerate(parts)])


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "runs", "seed", steps=10)
    p.add_argument("--clip", type=int, default=5, help="which of the 40 test clips")
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "systems.webp")


def run(args: Namespace) -> None:
    """Perform the clip with every available system and draw the sheet."""
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    head, motions = load_head(), MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    clip = Clip.of(motions, clips_of(motions, "test", 40)[args.clip])
    performed = {"teacher": clip.truth[None]}
    for name in ROWS:
        folder = folder_of(args.runs, args.seed, name)
        if (folder / f"{NETWORK}.json").is_file():
            performed[name] = Trained(SYSTEM_OF[name], folder, head, args.steps)(clip, SAMPLES)
    if len(performed) == 1:
        raise SystemExit(f"{folder_of(args.runs, args.seed, '')} holds no row with the loss: python -m research train paper makes them")
    draw(performed, head, args.out)
    print(f"{clip.name}: {', '.join(performed)} → {args.out}")


class Portraits:
    """The lower face of a head from the front, its polygons painted from the back to the front."""

    def __init__(self, head: Head):
        self.columns, self.layer = Columns(head.channels), FlameLayer(head)
        quads = head.polygons.astype(np.int64)
        self.quads = np.where(quads < 0, quads[:, [2]], quads)
        self.colours = head.material_colors[head.polygon_material, :3] ** 0.4545
        self.middle = head.v_template[[head.mouth_corner_left, head.mouth_corner_right]].mean(0)

    def paint(self, axis, x: np.ndarray) -> None:
        """Paint a packed motion's frame [C]."""
        from matplotlib.collections import PolyCollection

        frame = torch.from_numpy(x[None])
        with torch.no_grad():
            points = self.layer(frame[:, self.columns.expression], frame[:, self.columns.jaw])[0].numpy()
        corners = points[self.quads]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        wide, below, above = AROUND
        middle = corners.mean(1) - self.middle
        shown = (normal[:, 2] > 0) & (abs(middle[:, 0]) < 1.2 * wide) & (middle[:, 1] > -1.2 * below) & (middle[:, 1] < 1.2 * above)
        shown = np.flatnonzero(shown)
        shown = shown[np.argsort(corners[shown].mean(1)[:, 2])]
        light = 0.3 + 0.7 * np.clip(normal[shown] @ LIGHT, 0, 1)
        colours = np.clip(self.colours[shown] * light[:, None], 0, 1)
        axis.add_collection(PolyCollection(corners[shown][:, :, :2], facecolors=colours, edgecolors=colours, linewidths=0.3))
        x0, y0 = self.middle[:2]
        axis.set(xlim=(x0 - wide, x0 + wide), ylim=(y0 - below, y0 + above), aspect="equal")
        axis.axis("off")


def draw(performed: dict[str, np.ndarray], head: Head, path: Path) -> None:
    """The sheet of packed motions [S, T, C] of one line by name, the first of them what the others learned from."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    portraits, measured = Portraits(head), Measured(head)
    gaps = {name: 1e3 * np.linalg.norm(np.diff(measured.vertices(x)[:, :, -2:], axis=2)[:, :, 0], axis=-1) for name, x in performed.items()}
    true = next(iter(gaps.values()))[0]
    frames = moments(true, FACES)
    figure, axes = plt.subplots(
        len(performed),
        FACES + 1,
        figsize=(13, 1.15 * len(performed)),
        dpi=80,
        gridspec_kw={"width_ratios": [1] * FACES + [4]},
        squeeze=False,
    )
    for row, (name, x) in zip(axes, performed.items()):
        for axis, frame in zip(row, x[0, frames]):
            portraits.paint(axis, frame)
        row[0].set_title(name, fontsize=7, loc="left", pad=1)
        curves = row[-1]
        if len(x) > 1:
            curves.plot(gaps[name].T, lw=0.8)
        curves.plot(true, "k", lw=1.2)
        for frame in frames:
            curves.axvline(frame, color="0.8", lw=0.5, zorder=0)
        curves.set(ylim=(0, max(12, 1.1 * true.max())), xticks=[], xlim=(0, len(true) - 1))
        curves.tick_params(labelsize=6)
    axes[0, -1].set_title("gap of the inner lips, mm", fontsize=7, loc="left", pad=1)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.975, 0.02, 0.14)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
