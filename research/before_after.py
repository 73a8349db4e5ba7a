# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of one voice by the first weights and by today's, each on the head of its time.

Commit f80d428 is checked out beside this one for as long as it samples. Both sample the sample voice with the same seeds, as a user
gets takes without choosing anything. Rows are takes, columns moments; to the right what brows and head do over the line. To
docs/pictures/before_after.webp.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import wave
from argparse import ArgumentParser, Namespace, SUPPRESS
from pathlib import Path

import numpy as np

from research.harness import add_shared, ROOT, SAMPLE

BEFORE = "f80d428"  # the commit that takes are compared with
TAKES, MOMENTS = 4, 9
FIRST, LAST = 0.06, 0.94  # of the line, between which the moments lie
LIGHT = np.array([0.25, 0.45, 0.85])
WIDTH, SMOOTH = 110, 3  # pixels of a head; points of each pixel's side
AROUND = (0.095, 0.135, 0.125)  # metres that are shown beside, below and above the eyes


def sample(tree: Path, sound: Path, seed: int, path: Path) -> None:
    """Sample takes of a sound, 16 kHz, with the engine of a tree; write vertices at the moments and curves over the line."""
    sys.path.insert(0, str(tree))
    import torch

    if (tree / "thunder_core" / "engine").is_dir():
        from thunder_core.engine.engine import Engine
        from thunder_core.networks.flame import FlameLayer
        from thunder_core.request import Request

        request = (Request(TAKES, seed),)
    else:
        from thunder_core.face.flame import FlameLayer

        from thunder_core.engine import Engine

        request = (TAKES, seed)
    from thunder_core.types import Speech

    with wave.open(str(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 2**15
    engine = Engine.load()
    head, layer = engine.head, FlameLayer(engine.head)
    takes = sorted(engine.generate(Speech(samples), *request), key=lambda take: take.seed)
    frames = np.linspace(FIRST, LAST, MOMENTS) * (takes[0].motion.frames - 1)
    at, vertices = np.round(frames).astype(int), []
    for take in takes:
        parts = [torch.from_numpy(np.ascontiguousarray(x[at], np.float32)) for x in
                 (take.motion.expression, take.motion.jaw, take.motion.head, take.motion.eyes)]  # fmt: skip
        with torch.no_grad():
            vertices.append(layer(*parts).numpy())
    names = list(head.expression_names)
    brows = [names.index(name) for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
    polygons = head.polygons.astype(np.int64)
    np.savez(
        path, vertices=np.array(vertices, np.float32), polygons=np.where(polygons < 0, polygons[:, [2]], polygons), frames=at,
        colours=head.material_colors[head.polygon_material, :3] ** 0.4545, rest=head.v_template,
        corners=np.array([head.mouth_corner_left, head.mouth_corner_right]),
        brows=np.array([t.motion.expression[:, brows].mean(1) for t in takes]), head=np.degrees(np.array([t.motion.head for t in takes])),
    )  # fmt: skip


def in_child(tree: Path, sound: Path, seed: int, path: Path) -> dict[str, np.ndarray]:
    """What `sample` makes of a tree, in a separate process."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "research",
            "before_after",
            "--tree",
            str(tree),
            "--out",
            str(path),
            "--seed",
            str(seed),
            "--sound",
            str(sound),
        ],
        cwd=ROOT,
        check=True,
    )
    with np.load(path) as data:
        return dict(data)


def portraits(made: dict[str, np.ndarray]) -> np.ndarray:
    """Heads from the front [takes, moments, height, width, 3], 0 … 1."""
    import torch

    from research.train.rasteriser import nearest_triangles

    quads = made["polygons"]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    colours = np.concatenate([made["colours"]] * 2)
    kept = np.array([len(set(t)) == 3 for t in triangles.tolist()])
    triangles, colours = triangles[kept], colours[kept]
    beside, below, above = AROUND
    x, y = made["rest"][made["corners"]].mean(0)[:2] + [0, 0.06]
    width, height = SMOOTH * WIDTH, SMOOTH * round(WIDTH * (below + above) / (2 * beside))
    scale = width / (2 * beside)
    cells = []
    for vertices in made["vertices"].reshape(-1, *made["vertices"].shape[2:]):
        corners = vertices[triangles]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        smooth = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(smooth, triangles[:, corner], normal)
        smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
        light = 0.3 + 0.7 * np.clip(smooth[triangles].mean(1) @ LIGHT, 0, 1)
        points = np.stack([(vertices[:, 0] - x + beside) * scale, (y + above - vertices[:, 1]) * scale, vertices[:, 2] * scale], 1)
        shown = nearest_triangles(torch.from_numpy(points[None]).float(), torch.from_numpy(triangles), height, width)[0].numpy()
        picture = np.where(shown[..., None] >= 0, np.clip(colours * light[:, None], 0, 1)[shown], 1.0)
        cells.append(picture.reshape(height // SMOOTH, SMOOTH, width // SMOOTH, SMOOTH, 3).mean((1, 3)))
    return np.array(cells).reshape(*made["vertices"].shape[:2], *cells[0].shape)


def draw(sides: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """The sheet of what was sampled, by its name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = len(sides) * TAKES
    figure, axes = plt.subplots(
        rows, MOMENTS + 2, figsize=(15, 1.5 * rows), dpi=80, gridspec_kw={"width_ratios": [1] * MOMENTS + [2.0, 2.0]}
    )
    for side, (name, made) in enumerate(sides.items()):
        seconds, heads = np.arange(made["brows"].shape[1]) / 25, portraits(made)
        for take in range(TAKES):
            row = axes[side * TAKES + take]
            for moment in range(MOMENTS):
                row[moment].imshow(heads[take, moment])
                row[moment].axis("off")
            row[-2].plot(seconds, made["brows"][take], "tab:orange", lw=1)
            row[-2].set(ylim=(-0.02, 0.7))
            row[-1].plot(seconds, made["head"][take], lw=1)
            row[-1].set(ylim=(-14, 14))
            for axis in row[-2:]:
                axis.set(xlim=(0, seconds[-1]))
                axis.tick_params(labelsize=6)
                for frame in made["frames"]:
                    axis.axvline(frame / 25, color="0.85", lw=0.5, zorder=0)
        first = axes[side * TAKES]
        first[0].set_title(name, fontsize=9, loc="left", pad=2)
        first[-2].set_title("raised brows", fontsize=7, loc="left", pad=2)
        first[-1].set_title("head, degrees: nod, turn, tilt", fontsize=7, loc="left", pad=2)
    figure.subplots_adjust(0.005, 0.015, 0.995, 0.975, 0.12, 0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, pil_kwargs={"quality": 82})
    plt.close(figure)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "seed")
    p.add_argument("--sound", type=Path, default=SAMPLE)
    p.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures" / "before_after.webp")
    p.add_argument("--tree", type=Path, help=SUPPRESS)


def run(args: Namespace) -> None:
    if args.tree:
        return sample(args.tree, args.sound, args.seed, args.out)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--detach", "--quiet", str(tree), BEFORE], check=True)
        try:
            before = in_child(tree, args.sound, args.seed, Path(folder) / "before.npz")
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True)
        after = in_child(ROOT, args.sound, args.seed, Path(folder) / "after.npz")
    draw({"before": before, "now": after}, args.out)
    print(f"{args.out}: {TAKES} takes each at {MOMENTS} moments")
