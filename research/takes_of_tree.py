#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples takes with the engine of one tree, today's or an older one's, when asked:
research/speed.py runs two of these in turn.

`python research/takes_of_tree.py TREE SOUND THREADS`; a JSON line {"takes": n, "seed": s} in, one
out with the seconds of “again” (encoder, sampling, scoring; what is loaded once is done) and of the
processor within it (all threads; neighbours' work changes it less). With "sound": PATH they are of that
sound; with "save": PATH all are written there as NPZ, in the order of their seeds.
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

PARTS = ("expression", "jaw", "head", "eyes")


def requests():
    """A function (takes, seed) → arguments of the tree's `Engine.generate`, for takes as the panel
    requests them."""
    try:
        from thunder_core.request import Request
    except ImportError:  # an older engine
        from thunder_core.direction import Asked, Direction  # type: ignore[attr-defined]

        return lambda takes, seed: {
            "takes": takes,
            "seed": seed,
            "asked": Asked(Direction().vector()[None]),
        }
    return lambda takes, seed: {"request": Request(takes, seed)}


def main() -> None:
    """Answer requests until the input ends."""
    tree, sound, threads = sys.argv[1:]
    sys.path.insert(0, tree)
    from thunder_core.engine.engine import Engine
    from thunder_core.types import Speech

    if "torch" in sys.modules:  # an older engine
        sys.modules["torch"].set_num_threads(int(threads))
    engine, speech = Engine.load(), Speech(np.load(sound))
    arguments = requests()
    engine.generate(speech, **arguments(1, 0))
    for line in sys.stdin:
        request = json.loads(line)
        if "sound" in request:
            speech = Speech(np.load(request["sound"]))
        engine._known.clear()  # the features of the sound have to be worked out
        began, busy = time.perf_counter(), time.process_time()
        takes = engine.generate(speech, **arguments(request["takes"], request["seed"]))
        again, processor = time.perf_counter() - began, time.process_time() - busy
        if "save" in request:
            takes = sorted(takes, key=lambda take: take.seed)
            parts = {
                part: np.array([getattr(take.motion, part) for take in takes]) for part in PARTS
            }
            parts["channels"] = np.array(engine.head.expression_names)
            np.savez(request["save"], **parts)
        print(json.dumps({"again": again, "processor": processor}), flush=True)


if __name__ == "__main__":
    main()
