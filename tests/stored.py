# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that stay what they are: what tests compare with tests/fixtures/results.json.

An array is kept in short: its size, mean, spread, and its sum along two waves, which nearly any
change of a value or of its place changes. `THUNDER_STORE=1 python -m pytest FILE` writes anew what
the tests of a file compare, where results change for a reason.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RESULTS = Path(__file__).parent / "fixtures" / "results.json"
NEAR = 2e-3  # of an array's spread: processors round otherwise


def in_short(values: Any) -> list[float]:
    """[size, mean, spread, sums along two waves] of numbers, [itself] of one; what is not finite
    counts as 1000."""
    x = np.asarray(values, float).ravel()
    x = np.where(np.isfinite(x), x, 1000.0)
    if x.size < 2:
        return x.tolist()
    at = np.arange(x.size)
    waves = [(x * np.sin(at * step + 1)).sum() / np.sqrt(x.size) for step in (0.7, 2.3)]
    return [float(x.size), float(x.mean()), float(x.std()), *map(float, waves)]


def drawn(name: str, keys: dict[str, np.ndarray], handles: bool = True) -> dict[str, np.ndarray]:
    """Keys of a curve as `compare` tells most changes of them apart: times, values, and with their
    handles how far these reach and what is said of each key."""
    sides = ("handle_left", "handle_right") if handles else ()
    kinds = ("interpolation", *(f"{side}_type" for side in sides), "type")
    found = {
        f"{name}: times": keys["co"][:, 0],
        f"{name}: values": np.column_stack([keys[part][:, 1] for part in ("co", *sides)]),
        f"{name}: kinds": np.column_stack([keys[part] for part in kinds]),
    }
    if handles:
        reach = [keys[side][:, 0] - keys["co"][:, 0] for side in sides]
        found[f"{name}: reach"] = np.column_stack(reach)
    return found


def compare(name: str, found: dict[str, Any], near: float = NEAR) -> None:
    """Compare named numbers, arrays and texts with those that are stored as `name`."""
    short = {
        key: value if isinstance(value, str) else [float(f"{x:.5g}") for x in in_short(value)]
        for key, value in found.items()
    }
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if os.environ.get("THUNDER_STORE"):
        rows = known | {name: short}
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(rows[key])}" for key in sorted(rows))
        RESULTS.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
        return
    assert set(short) == set(known[name])
    changed = []
    for key, now in short.items():
        then = known[name][key]
        if isinstance(now, str) or isinstance(then, str) or len(now) < 2 or len(now) != len(then):
            same = now == (then if isinstance(now, str) else pytest.approx(then, rel=near / 10))
        else:
            allowed = near * max(then[2], 0.05 * abs(then[1])) + 1e-6
            within = [0, allowed, allowed, 2 * allowed, 2 * allowed]
            same = all(abs(a - b) <= most for a, b, most in zip(now, then, within))
        if not same:
            changed.append(f"{key}: {then} before, {now} now")
    if changed:
        pytest.fail("\n".join([f"{name} is not what is stored:", *changed]))
