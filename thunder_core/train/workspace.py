# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that training reads and writes, and export of a trained network with its card."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..face.head import Head, load_head
from ..files import hash_of
from ..networks.weights import save_weights
from .corpus import Corpus, minutes_of
from .loop import Schedule
from .motions import MotionSet
from .tracked import FlameBasis

ROOT = Path(__file__).resolve().parents[2]


class Provenance(NamedTuple):
    """How a network was made, for its card.  start: weights folder from whose mesh-to-speech
    training went on."""

    what: str
    data: str
    schedule: Schedule | None = None
    figures: dict | None = None
    start: Path | None = None


@dataclass(frozen=True)
class Workspace:
    """The folders of a training run.

    cache: corpus and features.  runs: checkpoints and logs.  weights: what stages read and export.
    flame: file in whose expression space is trained, None for the default head's.  stage: the one
    that runs, for cards.
    """

    cache: Path
    runs: Path
    weights: Path
    seed: int
    device: str
    flame: Path | None = None
    stage: str = ""

    @property
    def corpus_folder(self) -> Path:
        """The output folder of the stage `corpus`."""
        return self.cache / "corpus"

    @property
    def motions_folder(self) -> Path:
        """The output folder of the stages `hear` and `animate`."""
        return self.cache / "motions"

    @cached_property
    def head(self) -> Head:
        """The head that is trained on: the default one, or the FLAME file's."""
        return load_head(self.weights / "head.npz") if self.basis is None else self.basis.head

    @cached_property
    def basis(self) -> FlameBasis | None:
        """The FLAME file's expression space, None for the default head's."""
        return None if self.flame is None else FlameBasis(self.flame)

    @property
    def channels(self) -> list[str]:
        """Names of the head's expression channels."""
        return list(self.head.expression_names)

    @property
    def bundled_channels(self) -> list[str]:
        """The channels of the bundled head, on which the teacher performs."""
        return list(load_head(self.weights / "head.npz").expression_names)

    def corpus(self) -> Corpus:
        """The corpus, as `corpus` wrote it. Raises SystemExit where there is none, or nobody in it
        to train on or to be measured by."""
        self.require(self.corpus_folder / "clips.json", "corpus")
        corpus = Corpus(self.corpus_folder)
        if not (corpus.of("train") and corpus.of("test")):
            raise SystemExit(
                f"{self.corpus_folder} has nobody to train on, or to test on: run the stages "
                f"corpus and hear again"
            )
        return corpus

    def motions(self, people: float | None = None) -> MotionSet:
        """Features and performances of the corpus, as `hear` and `animate` wrote them; people: as
        `MotionSet`. Raises SystemExit where there are none."""
        corpus = self.corpus()
        self.require(self.motions_folder / "rows.json", "hear")
        self.require(self.motions_folder / "directions.npy", "animate")
        return MotionSet(corpus, self.motions_folder, people)

    def require(self, path: Path, stage: str) -> None:
        """Raise SystemExit with what to do where a file that a stage writes is not in the cache."""
        if not path.is_file():
            raise SystemExit(
                f"{path} is missing: run the stage {stage} first, or name another cache with "
                f"--cache (docs/training.md)"
            )

    def export(
        self,
        name: str,
        tensors: dict[str, Tensor],
        config: dict,
        provenance: Provenance,
        folder: Path | None = None,
    ) -> None:
        """Write `name`.safetensors, in halves, and .json, whose card tells how the network was
        made, from which commit, and who of the corpus is in which split.  folder: None for that of
        the weights."""
        schedule, figures = provenance.schedule, provenance.figures
        card: dict[str, Any] = {
            "what": provenance.what,
            "data": provenance.data,
            "commit": version(),
            "figures": figures or {},
            "stage": self.stage,
        }
        if schedule:
            card |= {"steps": schedule.steps, "seed": schedule.seed, "rate": schedule.rate}
            if schedule.batch:
                card["batch"] = schedule.batch
        if figures is not None and folder is None:
            corpus = self.corpus()
            card |= {"voices": corpus.voices(), "minutes": minutes_of(corpus.clips)}
        if provenance.start:
            card["start"] = f"m2s {hash_of(provenance.start / 'm2s.safetensors')[:10]}"
        halves = {key: x.half() if x.is_floating_point() else x for key, x in tensors.items()}
        save_weights((folder or self.weights) / name, halves, config, card)


def version(root: Path = ROOT) -> str:
    """How a card names the code that trained a network: the commit of the checkout, "-dirty" with
    changes; "unknown" where there is none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
