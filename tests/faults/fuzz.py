# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes every parser for some minutes: `make fuzz MINUTES=30`. Rounds of test_fuzzing.py, each
with another seed and more input.

What goes wrong is written to out/fuzz/, smallest input first, and the exit code is 1; it then
becomes an @example of its test.
"""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "fuzz"
EXAMPLES = 300  # inputs for each parser in a round
TARGETS = re.findall(
    r"^def (test_\w+)",
    (Path(__file__).parent / "test_fuzzing.py").read_text(encoding="utf-8"),
    re.M,
)


def main(minutes: float) -> int:
    """Fuzz for so many minutes; the number of rounds in which something went wrong."""
    end, rounds, wrong = time.monotonic() + 60 * minutes, 0, []
    while time.monotonic() < end and len(wrong) < 10:
        for target in TARGETS:
            left = end - time.monotonic()
            if left <= 0:
                break
            seed = random.SystemRandom().randrange(2**32)
            command = [
                sys.executable,
                "-m",
                "pytest",
                f"tests/faults/test_fuzzing.py::{target}",
                "-q",
                f"--hypothesis-seed={seed}",
            ]
            try:
                done = subprocess.run(
                    command, cwd=ROOT, env=os.environ | {"FUZZ_EXAMPLES": str(EXAMPLES)},
                    stdin=subprocess.DEVNULL, capture_output=True,
                    text=True, timeout=max(left, 60),
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                continue  # the minutes are over
            rounds += 1
            if done.returncode:
                OUT.mkdir(parents=True, exist_ok=True)
                wrong.append(OUT / f"{target}_{seed}.txt")
                wrong[-1].write_text(done.stdout + done.stderr, encoding="utf-8")
                print(f"{target} went wrong with seed {seed}: {wrong[-1]}", flush=True)
    print(f"{rounds} rounds of {EXAMPLES} inputs, {len(wrong)} went wrong")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(1 if main(float(sys.argv[1]) if len(sys.argv) > 1 else 10) else 0)
