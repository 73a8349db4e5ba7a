# SPDX-License-Identifier: GPL-3.0-or-later
"""Bakes on a Ray cluster: a machine that is lost costs no job, and the takes are those of a run on
one machine.

Runs where a Python has Ray: the engine's (`make test-cluster`), or the one that THUNDER_RAY_PYTHON
names.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from performances import read_wav, write_wav

pytestmark = [
    pytest.mark.one_blender,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Ray's test cluster is for POSIX"),
]

ROOT = Path(__file__).resolve().parents[2]
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def ray_python():
    running_engine = importlib.import_module("running_engine")
    running_engine.find_or_skip()
    python = (
        os.environ.get("THUNDER_RAY_PYTHON") or running_engine.engine_python.find_engine_python()
    )
    if subprocess.run([python, "-c", "import ray"], capture_output=True).returncode:
        pytest.skip("Ray is not installed: make test-cluster installs it")
    return python


@pytest.fixture(scope="module")
def cluster(ray_python, tmp_path_factory):
    """A cluster of two nodes with a processor each: (address, what ends a node by the beginning of
    its id).

    It and the bakes on it are started outside the repository, where Python does not find the add-on
    by itself.
    """
    process = subprocess.Popen(
        [ray_python, str(ROOT / "tests" / "blender" / "ray_cluster.py"), "2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )

    def answer(word):
        for line in process.stdout:
            if line.startswith(word):
                return line.split()[1]
        raise RuntimeError("the test cluster ended")

    def end_node(node):
        process.stdin.write(node + "\n")
        process.stdin.flush()
        answer("ended")

    try:
        yield answer("address"), end_node
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


def command(jobs, out, *arguments):
    return [sys.executable, ROOT / "bake.py", "--jobs", jobs, "--out", out, *arguments]


def on(address, python):
    """Options of a run on a cluster."""
    return ["--cluster", address, "--cluster-python", python, "--cluster-cpus", "1"]


def hashes(folder):
    takes = json.loads((folder / "report.json").read_text())["takes"]
    return [(take["npz_sha256"], take["csv_sha256"], take["curves_sha256"]) for take in takes]


@pytest.fixture
def jobs(tmp_path):
    samples, rate = read_wav(ROOT / "assets" / "sample.wav")
    text = '[defaults]\ntakes = 2\nsteps = 8\noutputs = ["blend", "npz", "csv"]\n'
    for number in range(4):
        write_wav(tmp_path / f"{number}.wav", samples[: int((1.5 + 0.3 * number) * rate)], rate)
        text += f'[jobs.job{number}]\naudio = "{number}.wav"\nseed = {10 * number}\n'
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    (tmp_path / "jobs.toml").write_text(text + '[jobs.bad]\naudio = "bad.wav"\n')
    return tmp_path / "jobs.toml"


def test_a_machine_that_is_lost_costs_no_job_and_changes_no_take(
    cluster, ray_python, jobs, tmp_path
):
    address, end_node = cluster
    process = subprocess.Popen(
        command(jobs, tmp_path / "many", *on(address, ray_python), "--log-every", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    ended, own, said, shown = None, None, [], set()
    for line in process.stdout:
        said.append(line)
        if "Connected to the cluster by its machine" in line:
            own = line.split()[-1]
        nodes = re.findall(r"\(on \S* ?([0-9a-f]{6})\)", line) if " done; now " in line else []
        shown |= set(nodes)
        others = [node for node in nodes if node != own]
        if ended is None and others:  # a job is being baked there
            ended = others[0]
            end_node(ended)
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 3, complaints
    assert ended is not None and re.search(
        f"{ended} was lost while it baked “job.”: another one bakes it", "".join(said)
    )
    assert len(shown) == 2  # progress came from each machine
    assert complaints.count("] bad: failed: ") == 1 and "bad.wav" in complaints
    done = {
        re.search(r"(job\d): 2 takes .*\(on \S* ?([0-9a-f]{6})\)", line).groups()
        for line in said
        if ": 2 takes" in line
    }
    assert {job for job, _ in done} == {"job0", "job1", "job2", "job3"}
    rows = {
        row["name"]: row
        for row in json.loads((tmp_path / "many" / "batch.json").read_text())["jobs"]
    }
    assert (
        all(rows[name]["state"] == "baked" and rows[name]["node"] for name, _ in done)
        and rows["bad"]["state"] == "failed"
    )
    alone = subprocess.run(
        command(jobs, tmp_path / "alone"), capture_output=True, text=True, env=os.environ | THREADS
    )
    assert alone.returncode == 3, alone.stderr
    for number in range(4):
        one, other = (tmp_path / place / f"job{number}" for place in ("many", "alone"))
        assert hashes(one) == hashes(other)
        assert sorted(os.listdir(one)) == sorted(os.listdir(other))
        for name in [name for name in os.listdir(one) if name.endswith((".npz", ".csv"))]:
            assert (one / name).read_bytes() == (other / name).read_bytes()
    again = subprocess.run(command(jobs, tmp_path / "many"), capture_output=True, text=True)
    # what machines baked is up to date here
    assert again.stdout.startswith("1 job to bake, 4 up to date\n")


def test_a_cluster_that_does_not_answer_is_said(ray_python, jobs, tmp_path):
    done = subprocess.run(
        command(jobs, tmp_path / "out", *on("127.0.0.1:1", ray_python)),
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 1
        and "No Ray cluster answers at “127.0.0.1:1”" in done.stderr
        and "--cluster" in done.stderr
    )
