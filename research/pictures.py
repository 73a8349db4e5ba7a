# SPDX-License-Identifier: GPL-3.0-or-later
"""Which moods Media2Face's image encoder sees in pictures unlike those it learned from.

NETWORK: a folder of `python -m research train paper` with network.json, or several. Pictures are of frames of the validation speakers in a
strong mood: from the front, then shifted, smaller, larger, turned, before grey, dimmed, and of another person's head. Of each: how often
the mood is the one that is seen most (1 in 11 by chance), how often a linear map of the encoder's last features says so, which is fitted to
other frames of these speakers as the encoder learned to see them, and the strength that is seen. To research/results/pictures.json.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from research.harness import add_shared, keep_json, required, RESULTS
from research.train.paper import NETWORK
from research.train.pictures import FacePictures, pictures_for, Views
from research.train.point_pictures import PointPictures
from research.train.systems import LEAST_TELLING
from thunder_core.engine.weights import SHIPPED
from thunder_core.face.head import load_head
from thunder_core.networks.systems import load_system
from thunder_core.networks.systems.denoisers import ImageEncoder, LABELS, PICTURE
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet

_TOGETHER = 40  # pictures drawn at once
_RIDGE = 30.0
_OTHER = "head_woman.npz"


def frames(motions: MotionSet, count: int, seed: int, least: float) -> tuple[Tensor, Tensor]:
    """Packed frames [n, C] of the watched speakers, and their moods [n, LABELS]: of `count` those in a mood of at least a strength."""
    speaking = [i for i in motions.watched() if motions.rows[i].clip >= 0]
    crops = motions.draw(speaking, 1, count, np.random.default_rng(seed))
    x = np.stack([motions.motions[v, motions.rows[i].start + a] for i, a, v in crops]).astype(np.float32)
    moods = np.nan_to_num(np.stack([motions.directions[v, i, -len(LABELS) :] for i, _, v in crops])).astype(np.float32)
    kept = moods.max(1) >= least
    return torch.from_numpy(x[kept]), torch.from_numpy(moods[kept])


def views(count: int) -> dict[str, Views]:
    """The views that are compared."""
    front, one = Views.front(count), torch.ones(count)
    angle = np.radians(8.0)
    side = torch.tensor([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]).float()
    return {
        "front": front,
        "3 pixels aside": replace(front, shift=torch.tensor([3 / PICTURE, 0.0]).expand(count, 2)),
        "smaller by a tenth": replace(front, scale=0.9 * one),
        "larger by a tenth": replace(front, scale=1.1 * one),
        "turned by 8°": replace(front, turned=side.expand(count, 3, 3)),
        "before grey": replace(front, ground=0.5 * one),
    }


def drawn(pictures: FacePictures, x: Tensor, view: Views) -> Tensor:
    """Pictures of frames [n, C] in views."""
    made = []
    for first in range(0, len(x), _TOGETHER):
        part = slice(first, first + _TOGETHER)
        some = Views(*(value[part] for value in vars(view).values()))
        made.append(pictures(x[part], some))
    return torch.cat(made)


def features(encoder: ImageEncoder, pictures: Tensor) -> np.ndarray:
    """The encoder's last features [n, 128] before it names moods."""
    kept: list[Tensor] = []
    handle = encoder.head[-1].register_forward_hook(lambda module, given, made: kept.append(given[0]))
    encoder(pictures)
    handle.remove()
    return kept[0].numpy()


class Probe:
    """A ridge regression of moods on standardised features."""

    def __init__(self, seen: np.ndarray, moods: np.ndarray):
        self.mean, self.deviation = seen.mean(0), seen.std(0) + 1e-3
        x = self._with_one(seen)
        self.weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ moods)

    def _with_one(self, seen: np.ndarray) -> np.ndarray:
        return np.c_[(seen - self.mean) / self.deviation, np.ones(len(seen))]

    def __call__(self, seen: np.ndarray) -> np.ndarray:
        return self._with_one(seen) @ self.weights


@torch.no_grad()
def measured(folder: Path, motions: MotionSet, count: int) -> dict[str, dict[str, float]]:
    """Of every view: how often the mood is the strongest that is seen, the same by the linear map, and the strength seen."""
    network, head = load_system("media2face", folder, NETWORK), load_head()
    if network.config.clip:
        raise SystemExit(f"“{folder}” sees through a CLIP network: only an image encoder of its own can be measured")
    encoder, own = network.image_encoder, pictures_for(network.config, head)
    known, known_moods = frames(motions, count, 1, 0.0)
    probe = Probe(features(encoder, torch.cat([own(part) for part in known.split(_TOGETHER)])), known_moods.numpy())
    x, moods = frames(motions, count, 2, LEAST_TELLING)
    if not len(x):
        raise SystemExit("No frame of the validation speakers is of a strong mood: there is nothing to see")
    shown = {name: drawn(FacePictures(head), x, view) for name, view in views(len(x)).items()}
    shown["dimmed"] = 0.6 * shown["front"] + 0.1
    shown["another person"] = drawn(FacePictures(load_head(SHIPPED / _OTHER)), x, Views.front(len(x)))
    if isinstance(own, PointPictures):
        shown = {"as it learned": torch.cat([own(part) for part in x.split(_TOGETHER)])} | shown
    true, result = moods.argmax(1), {}
    for name, pictures in shown.items():
        read, mapped = encoder(pictures), probe(features(encoder, pictures))
        right, right_by_map = read.argmax(1) == true, mapped.argmax(1) == true.numpy()
        result[name] = {
            "right": round(float(right.float().mean()), 3), "right_by_linear_map": round(float(right_by_map.mean()), 3),
            "strength": round(float(read.amax(1).mean()), 3),
        }  # fmt: skip
    return result


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", results=RESULTS / "pictures.json")
    p.add_argument("networks", nargs="+", type=Path, metavar="NETWORK")
    p.add_argument("--frames", type=int, default=700, help="drawn; about two in five show a strong mood")


def run(args: Namespace) -> None:
    """Measure the networks; write what they see."""
    required(args.cache / "motions" / "rows.json", "the motions of a training cache (python -m thunder_core.train animate)")
    for folder in args.networks:
        required(folder / f"{NETWORK}.json", "a Media2Face of python -m research train paper")
    motions = MotionSet(Corpus(args.cache / "corpus"), args.cache / "motions")
    made = {folder.name: measured(folder, motions, args.frames) for folder in args.networks}
    for name, rows in made.items():
        for view, row in rows.items():
            print(f"{name:20s} {view:20s}" + "".join(f" {figure} {value:5.3f}" for figure, value in row.items()))
    keep_json(args.results, {"by_chance": round(1 / len(LABELS), 3), "networks": made})
