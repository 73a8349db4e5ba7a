# SPDX-License-Identifier: GPL-3.0-or-later
"""One training loop for every network: seeded per step, checkpointed, resumed bit for bit where the arithmetic allows.

Under `torchrun --nproc-per-node N` every process draws a batch of its own and gradients are averaged: on a CPU whose cores
are busy with other things two processes of one thread each do almost twice the work of one process with two.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import nn, Tensor

from ..files import part_of


@dataclass(frozen=True)
class Schedule:
    """Optimisation of one run. `average` is the decay of the weights' moving average (0: none); it is what is exported."""

    steps: int
    rate: float = 1e-3
    warmup: int = 200
    cooling: float = 0.4  # share of the steps
    weight_decay: float = 0.01
    average: float = 0.999
    clip: float = 1.0
    half: bool = True  # bfloat16 autocast, where the device computes it faster than float32
    seed: int = 1
    checkpoint_every: int = 250  # steps


def learning_rate(schedule: Schedule, step: int) -> float:
    """Linear warm-up, a plateau, and over the last `cooling` of the steps a cosine to 1 % of the peak.

    Because the plateau does not know when it ends, a run that is given more steps goes on as if it had always had them.
    """
    if step < schedule.warmup:
        return schedule.rate * (step + 1) / schedule.warmup
    cooling = max(1.0, schedule.cooling * schedule.steps)
    at = np.clip((step - (schedule.steps - cooling)) / cooling, 0.0, 1.0)
    return schedule.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * at)))


def half_precision(device: str, wanted: bool = True) -> torch.autocast:
    """Autocast to bfloat16 on a graphics card and on a processor with instructions for it; elsewhere it takes twice the time."""
    kind = torch.device(device).type
    fast = kind != "cpu" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast(kind, torch.bfloat16, enabled=wanted and fast)


def _average(gradients: list[Tensor], processes: int) -> None:
    """Mean of the gradients over all processes, in place, as one message."""
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def fit(
    model: nn.Module,
    batch: Callable[[np.random.Generator], object],
    loss: Callable[[nn.Module, object, np.random.Generator], dict[str, Tensor]],
    schedule: Schedule,
    folder: Path,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    validate_every: int = 500,
    device: str = "cpu",
) -> nn.Module:
    """Train `model` in place and return its averaged copy, ready to export.

    `batch` draws from a generator seeded by (seed, step), so a resumed run sees what an uninterrupted one would.
    `loss` returns named terms; "total" is minimised. State lies in `folder`/checkpoint.pt, the log in log.jsonl.
    """
    rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    model.to(device).train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=schedule.rate, weight_decay=schedule.weight_decay, betas=(0.9, 0.98))
    averaged = {k: v.detach().clone() for k, v in model.state_dict().items()}
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged, step = saved["averaged"], saved["step"]
        print(f"resumed {folder} at step {step}", flush=True)
    began, shown, sums, count = time.time(), step, {}, 0

    def save() -> None:
        with part_of(checkpoint) as part:  # a run killed while writing keeps the previous state
            torch.save(dict(model=model.state_dict(), optimiser=optimiser.state_dict(), averaged=averaged, step=step), part)

    def averaged_model() -> dict:
        current = {k: v.detach().clone() for k, v in model.state_dict().items()}
        model.load_state_dict(averaged)
        return current

    while step < schedule.steps:
        rng = np.random.default_rng([schedule.seed, step, rank] if rank else [schedule.seed, step])
        torch.manual_seed(schedule.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(schedule, step)
        item = batch(rng)
        with half_precision(device, schedule.half):
            terms = loss(model, item, rng)
        optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        if processes > 1:
            _average([p.grad for p in trainable if p.grad is not None], processes)
        norm = nn.utils.clip_grad_norm_(trainable, schedule.clip)
        if torch.isfinite(norm):  # one broken batch must not end a night's run
            optimiser.step()
        decay = min(schedule.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for k, v in model.state_dict().items():
                if v.is_floating_point():
                    averaged[k].lerp_(v.to(averaged[k].dtype), 1 - decay)
                else:
                    averaged[k].copy_(v)
        step += 1
        if rank:
            continue
        for k, v in terms.items():
            sums[k] = sums.get(k, 0.0) + float(v.detach())
        count += 1
        if step % 50 == 0 or step == schedule.steps:
            speed = (time.time() - began) / max(1, step - shown)
            line = {"step": step, "seconds_per_step": round(speed, 3)} | {k: round(v / count, 4) for k, v in sums.items()}
            sums, count = {}, 0
            if validate and (step % validate_every == 0 or step == schedule.steps):
                current = averaged_model()
                model.eval()
                with torch.no_grad():
                    line |= {k: round(v, 4) for k, v in validate(model).items()}
                model.load_state_dict(current)
                model.train()
            print(json.dumps(line), flush=True)
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if step % schedule.checkpoint_every == 0 or step == schedule.steps:
            save()
    if rank:
        raise SystemExit  # the first process measures and exports
    averaged_model()
    return model.eval()
