# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a solved face: tracked points under solved ones, and the head doing the same, for frames worth a look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from research.faces.landmarks import MM
from research.faces.solve import Solved
from thunder_core.face.head import Head
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.networks.flame import FlameLayer

_LINES = ("outer_upper", "outer_lower", "inner_upper", "inner_lower")


def telling_frames(head: Head, solved: Solved, count: int = 6) -> list[tuple[str, int]]:
    """(why, frame) of the extremes: shut and open, wide and narrow mouth, a blink, raised brows; only frames with a face."""
    m = solved.motion
    gap, width = opening_mm(m, head), width_mm(m, head)
    blink = m.expression[:, [head.channel("eyeBlinkLeft"), head.channel("eyeBlinkRight")]].mean(1)
    brow = m.expression[:, [head.channel("browInnerUp"), head.channel("browOuterUpLeft"), head.channel("browOuterUpRight")]].mean(1)
    ids = np.flatnonzero(solved.seen)
    picks = (("shut", -gap - 0.01 * width), ("open", gap), ("wide", width), ("narrow", -width), ("blink", blink), ("brows", brow))
    return [(why, int(ids[value[ids].argmax()])) for why, value in picks][:count]


def _head(axes, head: Head, vertices: np.ndarray) -> None:
    """Draw the shaded head from the front, vertices [V, 3] metres."""
    from matplotlib.collections import PolyCollection

    quads = np.where(head.polygons < 0, head.polygons[:, :1], head.polygons)
    p = MM * vertices[quads]
    normal = np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    order = np.argsort(p[:, :, 2].mean(1))
    order = order[normal[order, 2] > 0]
    light = 0.25 + 0.75 * np.clip(normal @ (0.25, 0.35, 0.9), 0, 1)
    colour = np.clip(head.material_colors[head.polygon_material, :3] ** 0.45 * light[:, None], 0, 1)
    axes.add_collection(PolyCollection(p[order][:, :, :2], facecolors=colour[order], edgecolors=colour[order], lw=0.3))
    axes.set(xlim=(-85, 85), ylim=(-135, 65), aspect="equal", xticks=[], yticks=[])


def draw(head: Head, solved: Solved, path: Path, title: str = "", count: int = 6) -> None:
    """Write a PNG: for each of `count` chosen frames the person's tracked spots (blue) and solved ones (red), and the head (not turned)."""  # noqa: E501
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    frames = telling_frames(head, solved, count)
    layer, m, index = FlameLayer(head), solved.motion, np.cumsum(solved.seen) - 1
    figure, axes = plt.subplots(2, len(frames), figsize=(4 * len(frames), 9), dpi=60, squeeze=False)
    for (points, face), (why, t) in zip(axes.T, frames):
        with torch.no_grad():
            pose = (torch.from_numpy(x[t : t + 1]) for x in (m.expression, m.jaw, np.zeros_like(m.jaw), m.eyes))
            _head(face, head, layer(*pose)[0].numpy())
        target, reached = solved.target[index[t]], solved.reached[index[t]]
        for a, b in zip(target, reached):
            points.plot([a[0], b[0]], [a[1], b[1]], color="0.7", lw=0.8)
        for positions, colour in ((target, "tab:blue"), (reached, "tab:red")):
            points.scatter(positions[:, 0], positions[:, 1], s=5, color=colour)
            for line in _LINES:
                ids = [i for i, name in enumerate(solved.spots.names) if name.startswith(line)]
                points.plot(positions[ids, 0], positions[ids, 1], color=colour, lw=0.8)
        points.set(xlim=(-85, 85), ylim=(-135, 65), aspect="equal", xticks=[], yticks=[])
        x = m.expression[t]
        strongest = sorted(((x[i], n) for i, n in enumerate(head.expression_names) if x[i] > 0.1), reverse=True)[:9]
        label = "\n".join([f"jaw {m.jaw[t, 0]:.2f} rad"] + [f"{n} {v:.2f}" for v, n in strongest])
        points.text(-84, 63, label, fontsize=8, va="top")
        points.set_title(f"{why}, frame {t}, {solved.residual[index[t]].mean():.1f} mm", fontsize=10)
    figure.suptitle(title)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
