# SPDX-License-Identifier: GPL-3.0-or-later
"""Training in two processes is training in one with the batch of both."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from made_motions import made_motions

from thunder_core.face.head import load_head
from thunder_core.train.loop import part_of_rows
from thunder_core.train.m2s import SpeechBatches

ROOT = Path(__file__).resolve().parents[2]
STEPS, BATCH, SEED, ROWS = 150, 8, 3, 11

SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {tests!r}, {here!r}]
from test_torchrun import trained
import torch
from pathlib import Path
torch.set_num_threads(1)
trained(Path(sys.argv[1]), together=False)
"""


def trained(folder: Path, together: bool) -> None:
    """A small network fitted to noisy data; together: one process draws what two would."""
    from thunder_core.train.loop import fit, part_of_rows, Schedule

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    step = [0]

    def draw(rng):
        x = rng.standard_normal((BATCH, 4)).astype(np.float32)
        return torch.from_numpy(x), torch.from_numpy(
            np.sin(x.sum(1, keepdims=True))
            + 0.3 * rng.standard_normal((BATCH, 1)).astype(np.float32)
        )

    def batch(rng):
        if not together:
            return draw(rng)
        parts = [
            draw(np.random.default_rng(seeds)) for seeds in ([SEED, step[0]], [SEED, step[0], 1])
        ]
        step[0] += 1
        return tuple(torch.cat(part) for part in zip(*parts))

    class Batches:
        """Batches of `batch`; as a part, it writes down which rows of the data it has."""

        def part(self, number, count):
            (folder / f"rows_{number}.json").write_text(
                json.dumps(part_of_rows(list(range(ROWS)), number, count))
            )
            return self

        def __call__(self, rng):
            return batch(rng)

    def loss(model, item, rng):
        off = model(item[0]) - item[1]
        return {"total": off.square().mean(), "worst": off.detach().abs().mean()}

    schedule = Schedule(steps=STEPS, rate=0.02, warmup=10, half=False, average=0.9, seed=SEED)
    torch.save(fit(model, Batches(), loss, schedule, folder).state_dict(), folder / "model.pt")


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests"), here=str(Path(__file__).parent))
    )
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
        str(tmp_path / "two"),
    ]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    trained(tmp_path / "one", together=True)
    one, two = (
        np.array(
            [
                [json.loads(line)[term] for term in ("total", "worst")]
                for line in (tmp_path / which / "log.jsonl").read_text().splitlines()
            ]
        )
        for which in ("one", "two")
    )
    assert len(one) == 3 and one[0, 0] > 1.1 * one[-1, 0], "it learned something"
    assert two == pytest.approx(one, abs=2e-4)
    weights = [
        torch.load(tmp_path / which / "model.pt", weights_only=True) for which in ("one", "two")
    ]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
    parts = [json.loads((tmp_path / "two" / f"rows_{rank}.json").read_text()) for rank in (0, 1)]
    assert parts[0] + parts[1] == list(range(ROWS)) and all(parts), (
        "each process reads rows of its own"
    )
    assert not list((tmp_path / "one").glob("rows_*")), "one process reads all"


def test_batches_of_two_parts_come_from_different_rows_and_together_from_all(tmp_path):
    motions = made_motions(tmp_path, load_head())
    numbers = motions.of("train")
    whole = SpeechBatches(motions, numbers, 20, 40, mel=False)
    drawn = [
        set(part(np.random.default_rng(1))["crop"][:, 0].tolist())
        for part in (whole.part(0, 2), whole.part(1, 2))
    ]
    assert not drawn[0] & drawn[1] and sorted(drawn[0] | drawn[1]) == sorted(numbers)
    assert (
        whole.numbers == numbers
        and [set(part_of_rows([1, 2], i, 3)) for i in range(3)] == [{1, 2}] * 3
    ), "too few to part"
