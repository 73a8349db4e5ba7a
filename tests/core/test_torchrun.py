# SPDX-License-Identifier: GPL-3.0-or-later
"""Training in two processes is training in one with the batch of both."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, SEED = 150, 8, 3

SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {here!r}]
from test_torchrun import trained
import torch
from pathlib import Path
torch.set_num_threads(1)
trained(Path(sys.argv[1]), together=False)
"""


def trained(folder: Path, together: bool) -> None:
    """A small network fitted to noisy data; together: one process draws what two would."""
    from thunder_core.train.loop import fit, Schedule

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    step = [0]

    def draw(rng):
        x = rng.standard_normal((BATCH, 4)).astype(np.float32)
        return torch.from_numpy(x), torch.from_numpy(
            np.sin(x.sum(1, keepdims=True)) + 0.3 * rng.standard_normal((BATCH, 1)).astype(np.float32)
        )

    def batch(rng):
        if not together:
            return draw(rng)
        parts = [draw(np.random.default_rng(seeds)) for seeds in ([SEED, step[0]], [SEED, step[0], 1])]
        step[0] += 1
        return tuple(torch.cat(part) for part in zip(*parts))

    def loss(model, item, rng):
        off = model(item[0]) - item[1]
        return {"total": off.square().mean(), "worst": off.detach().abs().mean()}

    schedule = Schedule(steps=STEPS, rate=0.02, warmup=10, half=False, average=0.9, seed=SEED)
    torch.save(fit(model, batch, loss, schedule, folder).state_dict(), folder / "model.pt")


def curve(folder: Path) -> list[tuple[float, float]]:
    """(total, worst) of every line of a log."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["total"], line["worst"]) for line in lines]


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(root=str(ROOT), here=str(Path(__file__).parent)))
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(tmp_path / "two")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    trained(tmp_path / "one", together=True)
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == 3 and one[0][0] > 1.1 * one[-1][0], "it learned something"
    assert np.array(two) == pytest.approx(np.array(one), abs=2e-4)
    weights = [torch.load(tmp_path / which / "model.pt", weights_only=True) for which in ("one", "two")]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
