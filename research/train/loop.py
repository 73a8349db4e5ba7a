# SPDX-License-Identifier: GPL-3.0-or-later
"""One training loop for every network: seeded per step, checkpointed, resumed bit for bit where the
arithmetic allows.

Under `torchrun --nproc-per-node N` every process draws a batch of its own, and gradients are
averaged, as with a batch N times as large; the log has the means. On a CPU that is shared with
other programs, two processes of one thread are almost twice as fast as one process of two threads.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn, Tensor

from thunder_core.files import part_of

N = TypeVar("N", bound=nn.Module)
Item = TypeVar("Item")


def start_from(network: nn.Module, start: dict[str, Tensor]) -> set[str]:
    """Give a network another one's weights where names and shapes are the same; returns the names
    of those that stay as they are."""
    present = network.state_dict()
    fitting = {
        name: start[name]
        for name, value in present.items()
        if name in start and start[name].shape == value.shape
    }
    network.load_state_dict(present | fitting)
    return present.keys() - fitting.keys()


@dataclass(frozen=True)
class Schedule:
    """Optimisation of one run. `average` is the decay of the weights' moving average (0: none); it
    is what is exported."""

    steps: int
    rate: float = 1e-3
    warmup: int = 200
    cooling: float = 0.4  # share of the steps
    average: float = 0.999
    clip: float = 1.0
    half: bool = True  # bfloat16 autocast, where the device computes it faster than float32
    seed: int = 1
    checkpoint_every: int = 250  # steps
    batch: int | None = None  # crops in a step, None for as many as the stage draws


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, a plateau, and over the last `cooling` of the steps a cosine to 1 % of the
    peak.

    The plateau does not depend on the length of the run, so a run that is extended continues as if
    planned so.
    """
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    cooling = max(1.0, schedule.cooling * schedule.steps)
    at = np.clip((step - (schedule.steps - cooling)) / cooling, 0.0, 1.0)
    return schedule.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * at)))


def half_precision(device: str, wanted: bool = True) -> torch.autocast:
    """Autocast to bfloat16 on a graphics card and on a processor with instructions for it;
    elsewhere it takes twice the time."""
    kind = torch.device(device).type
    fast = (
        kind != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and fast)


def _average(gradients: list[Tensor], processes: int) -> None:
    """Mean of the gradients over all processes, in place, as one message."""
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


class _Training(Generic[N]):
    """The content of a checkpoint: the model, its optimiser, the moving average of its weights, the
    number of steps done."""

    def __init__(self, model: N, schedule: Schedule, path: Path, device: str):
        self.model, self.path, self.step = model, path, 0
        self.trainable = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trainable, lr=schedule.rate, betas=(0.9, 0.98))
        self.averaged = self._weights()
        if path.exists():
            saved = torch.load(path, map_location=device, weights_only=True)
            model.load_state_dict(saved["model"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.averaged, self.step = saved["averaged"], saved["step"]
            print(f"resumed {path.parent} at step {self.step}", flush=True)

    def _weights(self) -> dict[str, Tensor]:
        return {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def save(self) -> None:
        """Write the checkpoint; a run that is killed while writing keeps the previous one."""
        state = dict(
            model=self.model.state_dict(),
            optimiser=self.optimiser.state_dict(),
            averaged=self.averaged,
            step=self.step,
        )
        with part_of(self.path) as part:
            torch.save(state, part)

    def optimise(self, loss: Tensor, clip: float, processes: int) -> None:
        """One step of the optimiser down the gradient of `loss`, whose norm is limited to
        `clip`."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if processes > 1:
            _average([p.grad for p in self.trainable if p.grad is not None], processes)
        norm = nn.utils.clip_grad_norm_(self.trainable, clip)
        if torch.isfinite(norm):  # one broken batch must not end a night's run
            self.optimiser.step()

    def update_average(self, most_decay: float) -> None:
        """Move the averaged weights towards the current ones and count the step; early averages are
        short."""
        decay = min(most_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for k, v in self.model.state_dict().items():
                if v.is_floating_point():
                    self.averaged[k].lerp_(v.to(self.averaged[k].dtype), 1 - decay)
                else:
                    self.averaged[k].copy_(v)
        self.step += 1

    def validate(self, measure: Callable[[N], dict[str, float]]) -> dict[str, float]:
        """Figures of the averaged weights, rounded; the current weights are put back."""
        current = self._weights()
        self.model.load_state_dict(self.averaged)
        self.model.eval()
        with torch.no_grad():
            figures = {k: round(v, 4) for k, v in measure(self.model).items()}
        self.model.load_state_dict(current)
        self.model.train()
        return figures


class _Log:
    """Lines of log.jsonl, also printed: the mean of every term of the loss since the last line.

    A run that goes on appends to it: steps behind the last checkpoint are there twice.
    """

    def __init__(self, path: Path, first_step: int):
        self.path, self.first_step, self.began = path, first_step, time.time()
        self.sums: dict[str, float] = {}
        self.count = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Count the terms of one step."""
        for k, v in terms.items():
            self.sums[k] = self.sums.get(k, 0.0) + float(v.detach())
        self.count += 1

    def next_line(self, step: int, processes: int) -> dict[str, float]:
        """Step, seconds per step and the means, over all processes; the next line starts from
        nothing."""
        if processes > 1:
            sums = torch.tensor(list(self.sums.values()), dtype=torch.float64)
            dist.all_reduce(sums)
            self.sums = dict(zip(self.sums, (sums / processes).tolist()))
        speed = (time.time() - self.began) / max(1, step - self.first_step)
        line = {"step": step, "seconds_per_step": round(speed, 3)} | {
            k: round(v / self.count, 4) for k, v in self.sums.items()
        }
        self.sums, self.count = {}, 0
        return line

    def write(self, line: dict[str, float]) -> None:
        """Print a line and append it to the file."""
        print(json.dumps(line), flush=True)
        with self.path.open("a") as log:
            log.write(json.dumps(line) + "\n")


def fit(
    model: N,
    batch: Callable[[np.random.Generator], Item],
    loss: Callable[[N, Item, np.random.Generator], dict[str, Tensor]],
    schedule: Schedule,
    folder: Path,
    validate: Callable[[N], dict[str, float]] | None = None,
    validate_every: int = 500,
    device: str = "cpu",
) -> N:
    """Train `model` in place and return it with its averaged weights, in evaluation mode, ready to
    export.

    `batch` draws from a generator seeded by (seed, step), so a resumed run draws the same batches
    as an uninterrupted one. `loss` returns named terms, the same at every step; "total" is
    minimised. State lies in `folder`/checkpoint.pt, the log in log.jsonl. Under torchrun only the
    first process returns; the others end with SystemExit.
    """
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    folder.mkdir(parents=True, exist_ok=True)
    model.to(device).train()
    training = _Training(model, schedule, folder / "checkpoint.pt", device)
    log = _Log(folder / "log.jsonl", training.step)
    while training.step < schedule.steps:
        step = training.step
        rng = np.random.default_rng([schedule.seed, step, rank] if rank else [schedule.seed, step])
        torch.manual_seed(schedule.seed * 1_000_003 + step)
        for group in training.optimiser.param_groups:
            group["lr"] = learning_rate(schedule, step)
        item = batch(rng)
        with half_precision(device, schedule.half):
            terms = loss(model, item, rng)
        training.optimise(terms["total"], schedule.clip, processes)
        training.update_average(schedule.average)
        log.add(terms)
        step = training.step
        is_last = step == schedule.steps
        line = log.next_line(step, processes) if step % 50 == 0 or is_last else None
        if rank:
            continue
        if line is not None:
            if validate and (step % validate_every == 0 or is_last):
                line |= training.validate(validate)
            log.write(line)
        if step % schedule.checkpoint_every == 0 or is_last:
            training.save()
    if rank:
        raise SystemExit  # the first process measures and exports
    model.load_state_dict(training.averaged)
    return model.eval()
