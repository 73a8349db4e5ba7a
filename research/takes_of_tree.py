#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples takes with the engine of one tree, today's or an older one's, when asked: research/speed.py runs two of these in turn.

`python research/takes_of_tree.py TREE SOUND THREADS`; a JSON line {"takes": n, "seed": s} in, one out with the seconds of
“again” (encoder, sampling, scoring; what a sound needs once is done), of “first” (nothing is known of the sound; only with
"first": true), of the processor within “again” (all threads; neighbours' work changes it less), and of the processor in the
network within “again”, with the number of frames that it denoised: of use with one thread.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the client starts the worker
import numpy as np
import torch


class Network:
    """The processor's seconds in denoisers, and frames that went through them, since the last look."""

    def __init__(self, *modules: torch.nn.Module):
        self.seconds, self.frames = 0.0, 0
        for module in modules:  # the earlier one has no parts that can be called separately
            for name in ("estimate", "conditions") if hasattr(module, "estimate") else ("forward",):
                setattr(module, name, self._counted(getattr(module, name)))

    def _counted(self, call):
        def counted(*args, **more):
            began = time.thread_time()
            output = call(*args, **more)
            self.seconds += time.thread_time() - began
            if isinstance(output, torch.Tensor):
                self.frames += output.shape[0] * output.shape[1]
            return output

        return counted

    def look(self) -> dict:
        """Returns the counts and resets them."""
        figures = {"network_processor": self.seconds, "network_frames": self.frames}
        self.seconds, self.frames = 0.0, 0
        return figures


class Today:
    """The engine of this tree, at the settings an animator gets: normal quality, default Spread."""

    def __init__(self, sound: np.ndarray):
        from thunder_core.engine.engine import Engine
        from thunder_core.request import Request
        from thunder_core.types import Speech

        self.engine, self.speech, self.request = Engine.load(), Speech(sound), Request

    def forget(self) -> None:
        """Nothing is known of the sound."""
        self.engine._known.clear()

    def generate(self, takes: int, seed: int) -> None:
        """Takes of a sound whose features have to be worked out."""
        self.forget()
        self.engine.generate(self.speech, self.request(takes, seed))


class Before:
    """The engine of commit f80d428, which needed the scale of a sound's scores once: it stays known for “again”."""

    def __init__(self, sound: np.ndarray):
        from thunder_core.engine import Engine
        from thunder_core.types import Speech

        self.engine, self.speech = Engine.load(), Speech(sound)

    def forget(self) -> None:
        """Nothing is known of the sound."""
        self.engine._known.clear()

    def generate(self, takes: int, seed: int) -> None:
        """Takes of a sound whose features have to be worked out; the scale of its scores is known if it was before."""
        engine = self.engine
        for key, (_, scale) in list(engine._known.items()):
            features = engine.thunder.hear(engine._samples(self.speech), self.speech.frames)
            engine._known[key] = features, scale
        engine.generate(self.speech, takes, seed)


def main() -> None:
    """Answer requests until the input ends."""
    tree, sound, threads = sys.argv[1:]
    sys.path.insert(0, tree)
    torch.set_num_threads(int(threads))
    kind = Today if os.path.isdir(os.path.join(tree, "thunder_core", "engine")) else Before
    side = kind(np.load(sound))
    thunder = side.engine.thunder
    network = Network(*(getattr(thunder, name) for name in ("denoiser", "distilled") if getattr(thunder, name, None) is not None))
    side.generate(1, 0)
    for line in sys.stdin:
        asked, answer = json.loads(line), {}
        if asked.get("first"):
            side.forget()
            began = time.perf_counter()
            side.generate(asked["takes"], asked["seed"])
            answer["first"] = time.perf_counter() - began
        network.look()
        began, busy = time.perf_counter(), time.process_time()
        side.generate(asked["takes"], asked["seed"])
        answer["again"], answer["processor"] = time.perf_counter() - began, time.process_time() - busy
        print(json.dumps(answer | network.look()), flush=True)


if __name__ == "__main__":
    main()
