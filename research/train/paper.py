# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain that trains every system of the paper's Table 2, with and without L_m2s, from recorded
bases with equal budgets.

Each system has a base, trained without the loss; from it go on, for as many steps each, the row
without the loss and those with it. Every stage leaves a folder with its checkpoint, its log and,
when it is done, its network; the chain goes on where it was stopped.
"""

import fnmatch
import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from research.systems.denoisers import ClipImages
from research.train.corpus import motions_in_words
from research.train.denoiser import FRAMES, M2S_WEIGHT
from research.train.encoder import TrainableEncoder
from research.train.loop import fit, Schedule
from research.train.motions import MotionSet
from research.train.spaces import SPACES, weights_name
from research.train.systems import build_learner, LabelledBatches, Labels, REGRESSORS
from research.train.weight_writing import save_weights
from thunder_core.face.head import Head
from thunder_core.files import hash_of
from thunder_core.networks.speech import MeshToSpeechNetwork

NETWORK, ENCODER = "network", "encoder"  # files, without ending, of a finished stage
BASE = ".base"  # suffix of a system's base
# ending of the name of a row whose L_m2s leaves out rows of a batch without sound
MASKED = "-masked"


@dataclass(frozen=True)
class Stage:
    """One training run of the chain.

    name: of its folder, and of its row in the table.  system: one of `systems.LEARNERS`.  start:
    the stage it goes on from.
    space: of mesh-to-speech whose loss it has, "" for none.  trained_encoder: THUNDER-T.  masked:
    that loss leaves out rows whose sound is hidden (`denoiser.DenoiserLoss`); the paper does not
    say whether its loss does.
    """

    name: str
    system: str
    start: str = ""
    space: str = ""
    trained_encoder: bool = False
    masked: bool = False

    @property
    def is_base(self) -> bool:
        return self.name.endswith(BASE)


def _with_base(system: str) -> tuple[Stage, Stage]:
    return Stage(f"{system}{BASE}", system), Stage(system, system, f"{system}{BASE}")


def _with_loss(system: str) -> Stage:
    return Stage(f"{system}+mouth2s", system, f"{system}{BASE}", "mouth")


# In the order of training: the least important come last, in case time runs out.
_FIRST = ("flameformer", "flameselftalk", "diffposetalk", "thunder")
_EVERYWHERE = (
    *(stage for system in _FIRST for stage in _with_base(system)),
    *(_with_loss(system) for system in _FIRST),
    *_with_base("media2face"),
    _with_loss("media2face"),
    Stage("thunder-t", "thunder", f"thunder{BASE}", "", True),
    Stage("thunder-t+mouth2s", "thunder", f"thunder{BASE}", "mouth", True),
    Stage("thunder+face2s", "thunder", f"thunder{BASE}", "face"),
    Stage("thunder+exp2s", "thunder", f"thunder{BASE}", "exp"),
    # ours: teeth and tongue, which no camera sees, are hidden from the loss
    Stage("thunder+lips2s", "thunder", f"thunder{BASE}", "lips"),
)
# Regressors always have the sound: there is nothing to mask.
STAGES = (
    *_EVERYWHERE,
    *(
        replace(s, name=s.name + MASKED, masked=True)
        for s in _EVERYWHERE
        if s.space and s.system not in REGRESSORS
    ),
)
ROWS = tuple(stage.name for stage in STAGES if not stage.is_base)


@dataclass(frozen=True)
class Budget:
    """The training budget of every system. steps: of the base.  together: of each row after it.
    batch: crops of 70 frames in a step."""

    steps: int = 4000
    together: int = 330
    batch: int = 48
    rate: float = 1e-3
    together_rate: float = 4e-4
    m2s_weight: float = M2S_WEIGHT

    def schedule(self, stage: Stage, seed: int) -> Schedule:
        """The optimisation of a stage."""
        steps, rate = (
            (self.steps, self.rate) if stage.is_base else (self.together, self.together_rate)
        )
        return Schedule(
            steps,
            rate,
            warmup=min(200, steps // 4),
            average=0.9995,
            seed=seed,
            checkpoint_every=max(1, min(100, steps)),
        )


def folder_of(runs: Path, seed: int, name: str) -> Path:
    """The folder of a stage of a seed."""
    return runs / "paper" / f"seed{seed}" / name


def select_rows(only: Sequence[str], rows: Iterable[str], which: str = "") -> list[str]:
    """Those of `rows` that are named (“thunder*”: all whose names begin so), in their order; all
    for none.

    Raises SystemExit for a name that is no row's.  which: of the rows, for that sentence.
    """
    rows = list(rows)
    if unknown := [
        name for name in only if not any(fnmatch.fnmatchcase(row, name) for row in rows)
    ]:
        raise SystemExit(
            f"There is no row {', '.join(unknown)}{which}: choose of {', '.join(sorted(rows))}"
        )
    return [row for row in rows if not only or any(fnmatch.fnmatchcase(row, name) for name in only)]


def select_stages(only: Sequence[str]) -> list[Stage]:
    """The stages of rows that are named (as `select_rows`), with the bases they need. Raises
    SystemExit for a name that is no row's."""
    return with_bases(set(select_rows(only, ROWS)))


def with_bases(rows: Container[str]) -> list[Stage]:
    """The stages of rows, with the bases they need, in the order of training."""
    needed = {s.start for s in STAGES if s.name in rows}
    return [s for s in STAGES if s.name in rows or s.name in needed]


class Chain:
    """Everything that the stages of one seed share.

    weights: folder with the encoder (THUNDER-T) and mesh-to-speech.  runs: where stages leave what
    they train.  clip: what Media2Face sees pictures through, None for a small encoder.
    """

    def __init__(
        self, motions: MotionSet, head: Head, weights: Path, runs: Path, budget: Budget, seed: int,
        commit: str = "", device: str = "cpu",
        clip: ClipImages | None = None,
    ):  # fmt: skip
        self.motions, self.head, self.weights, self.runs = motions, head, weights, runs
        self.budget = budget
        self.seed = seed
        self.commit = commit
        self.device = device
        self.clip = clip
        self.labels = Labels.of(motions)

    def folder(self, name: str) -> Path:
        """The folder of a stage."""
        return folder_of(self.runs, self.seed, name)

    def is_done(self, stage: Stage) -> bool:
        """Whether a stage was trained to its end with this budget, from the base that is there."""
        card = _card(self.folder(stage.name))
        done = (
            card.get("steps") == self.budget.schedule(stage, self.seed).steps
            and card.get("batch") == self.budget.batch
        )
        return done and not self._has_another_base(stage)

    def _has_another_base(self, stage: Stage) -> bool:
        """Whether a stage went on from a base that was trained again since."""
        card = _card(self.folder(stage.name))
        return (
            bool(stage.start)
            and bool(card)
            and card.get("base_sha256") != _digest(self.folder(stage.start))
        )

    def lacks(self, stage: Stage) -> str:
        """A stage's missing input, "" for none."""
        if stage.space and not (self.weights / f"{weights_name(stage.space)}.json").is_file():
            return f"{stage.space}2s is not trained (python -m research train space {stage.space})"
        if stage.space and not self._sees(stage.space):
            return (
                f"{stage.space}2s learned another head's movements (python -m "
                f"research train space {stage.space})"
            )
        if stage.trained_encoder and self.motions.ear:
            return "it trains the encoder, and --ear is frozen"
        if stage.trained_encoder and not (self.weights / "encoder.json").is_file():
            return "there is no speech encoder"
        return ""

    def _sees(self, space: str) -> bool:
        """Whether the mesh-to-speech of a space learned from motions of these channels."""
        m2s = MeshToSpeechNetwork.load(self.weights, weights_name(space))
        view = SPACES[space](m2s.mouth or self.head)
        return (view.channels, view.size) == (self.head.channels, m2s.config.inputs)

    def train(self, stage: Stage) -> dict:
        """Train a stage, or the rest of it, and export its network; returns its figures on the
        validation speakers."""
        torch.manual_seed(self.seed)
        folder, schedule = self.folder(stage.name), self.budget.schedule(stage, self.seed)
        if self._has_another_base(stage):
            for name in ("checkpoint.pt", "log.jsonl"):  # or the earlier run would be resumed
                (folder / name).unlink(missing_ok=True)
        encoder = None
        if stage.trained_encoder:
            encoder = TrainableEncoder.load(self.weights).requires_grad_(True)
            encoder.ctc_head.requires_grad_(False)
        learner = build_learner(
            stage.system, self.motions, self.labels, self.head, encoder, self.clip
        ).to(self.device)
        if stage.start:
            _begin_from(learner, self.folder(stage.start))
        else:
            few = max(1, schedule.steps // 3)  # for what only reads a style or a mood
            before = Schedule(
                few,
                schedule.rate,
                min(100, few // 4),
                average=0.998,
                seed=self.seed,
                checkpoint_every=100,
            )
            learner.prepare(self.labels, self.head, folder, before, self.device)
        m2s = (
            MeshToSpeechNetwork.load(self.weights, weights_name(stage.space))
            if stage.space
            else None
        )
        options = dict(wants=learner.wants, waves=stage.trained_encoder)
        batches = self._batches("train", mel=m2s is not None, **options)
        loss = learner.loss(
            self.head, batches, m2s, self.budget.m2s_weight, self.device, stage.masked
        )
        watched = self._batches("watched", mel=False, **options)
        fit(
            learner,
            batches,
            loss,
            schedule,
            folder,
            lambda model: loss.figures(model, watched),
            device=self.device,
        )
        with torch.no_grad():
            figures = {
                f"validation_{name}": round(value, 4)
                for name, value in loss.figures(learner, watched).items()
            }
        self._export(stage, learner, schedule, figures)
        return figures

    def _batches(self, split: str, **options) -> LabelledBatches:
        rows = (
            self.motions.watched_rows(FRAMES)
            if split == "watched"
            else self.motions.of(split, FRAMES)
        )
        return LabelledBatches(self.labels, rows, self.budget.batch, **options)

    def _export(self, stage: Stage, learner: nn.Module, schedule: Schedule, figures: dict) -> None:
        folder = self.folder(stage.name)
        card = {
            "what": f"{stage.system} " + (f"with {stage.space}2s loss" if stage.space else "without M2S loss"),
            "data": motions_in_words(self.motions.corpus.clips), "commit": self.commit, "figures": figures,
            "steps": schedule.steps,
            "seed": schedule.seed, "rate": schedule.rate, "batch": self.budget.batch,
            "voices": self.motions.corpus.voices(),
        }  # fmt: skip
        if stage.start:
            base = self.folder(stage.start)
            card |= {
                "base": stage.start,
                "base_steps": _card(base)["steps"],
                "base_sha256": _digest(base),
            }
        if stage.space:
            card |= {"m2s_weight": self.budget.m2s_weight} | (
                {"m2s_masked": True} if stage.masked else {}
            )
        if self.motions.ear:
            card["ear"] = self.motions.ear
        if stage.trained_encoder:
            tensors = {
                k: v
                for k, v in learner.encoder.state_dict().items()
                if not k.startswith(("log_mel.", "mel."))
            }
            save_weights(folder / ENCODER, tensors, learner.encoder.settings(), card)
        save_weights(
            folder / NETWORK, learner.network.state_dict(), learner.network.settings(), card
        )


def _digest(folder: Path) -> str:
    """The digest of a finished stage's network, "" if not finished."""
    path = folder / f"{NETWORK}.safetensors"
    return hash_of(path)[:16] if path.is_file() else ""


def _card(folder: Path) -> dict:
    """The card of a finished stage, {} if not finished."""
    path = folder / f"{NETWORK}.json"
    return json.loads(path.read_text())["card"] if path.is_file() else {}


def _begin_from(learner: nn.Module, base: Path) -> None:
    """Give a learner the averaged weights of a finished base; weights that the base lacks (an
    encoder's) stay."""
    saved = torch.load(base / "checkpoint.pt", map_location="cpu", weights_only=True)["averaged"]
    mine = learner.state_dict()
    if lost := [name for name in saved if name not in mine]:
        raise SystemExit(
            f"“{base}” was trained by another version ({lost[0]} is unknown): remove the folder "
            f"and run the chain again"
        )
    learner.load_state_dict(mine | saved)


def train_chain(chain: Chain, stages: Sequence[Stage], named: Sequence[str] = ()) -> list[str]:
    """Train all stages that are not done, in their order; a line on each.

    Rows whose input is missing are left out, with bases that only they need, and reported before
    anything is trained. Raises SystemExit if one of them is `named`.
    """
    done = {s.name for s in stages if chain.is_done(s)}
    settled = {s.name for s in stages if s.name in done and (s.is_base or s.start in done)}
    lacking = {
        s.name: reason for s in stages if s.name not in settled and (reason := chain.lacks(s))
    }
    if refused := [name for name in named if name in lacking]:
        raise SystemExit(f"{refused[0]} cannot be trained: {lacking[refused[0]]}")
    lines = [f"{name}: left out, {reason}" for name, reason in lacking.items()]
    for line in lines:
        print(f"seed {chain.seed}, {line}", flush=True)
    idle = {s.start for s in stages if s.name in lacking} - {
        s.start for s in stages if s.name not in lacking
    }
    for stage in stages:
        if stage.name not in lacking and stage.name not in idle:
            lines.append(
                f"{stage.name}: was done"
                if chain.is_done(stage)
                else f"{stage.name}: {chain.train(stage)}"
            )
            print(f"seed {chain.seed}, {lines[-1]}", flush=True)
    return lines
