# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: how well a face that performs while somebody speaks follows real lips, how far it is behind,
and what it costs.

DATA is a folder with `lips/`. Clips that nothing was fitted to (`check`) are performed hop by hop at
each look-ahead, and beside them what the same model expects of the whole clip. Then they are played
at their own pace for --seconds, and shown as Blender shows them: the delay from sample to pose, the
share of one core, and how memory grows. Tables to stdout and research/results/live.txt.
"""

import threading
import time
from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import numpy as np

from research.faces.lip_clips import figures, mean_of, read_clips
from research.harness import add_shared, RESULTS, write_table
from thunder_core.animation.live_motion import LiveMotion
from thunder_core.direction import Direction
from thunder_core.engine import live
from thunder_core.engine.engine import Engine, Thunder
from thunder_core.face.mouth_shape import MouthShape
from thunder_core.protocol import CURVES, LEVEL
from thunder_core.system_calls import memory_used
from thunder_core.types import FPS, Motion, RATE, Speech

AHEAD = {"Quick": 0.12, "Smooth": 0.2, "Best": 0.36}  # seconds
STYLE = Direction().vector()[None]
LOOK_EVERY = 0.02  # seconds


def perform_clip(thunder: Thunder, samples: np.ndarray, ahead: float) -> Motion:
    """What a live face performs of a sound, frame by frame, with nothing behind its end."""
    face, hop, motions = live.LiveFace(thunder, STYLE, ahead), live.HOP * int(RATE / FPS), []
    sound = np.append(samples, np.zeros(RATE, np.float32))
    for at in range(0, len(sound), hop):
        face.feed(sound[at : at + hop])
        if (made := face.advance()) is not None:
            motions.append(made[1])
    return Motion.join(motions)


def play_clips(thunder: Thunder, samples: np.ndarray, ahead: float) -> dict[str, float]:
    """What playing a sound at its own pace costs, and delays: seconds in nine of ten looks, share
    of one core, megabytes more at the end than after the first ten seconds."""
    shown, delays, memory, stop = LiveMotion(), [], [], threading.Event()

    def give(event: dict) -> None:
        if event["event"] == LEVEL:
            shown.began = event["began"]
        elif event["event"] == CURVES:
            shown.add(event, time.perf_counter())

    face = live.LiveFace(thunder, STYLE, ahead)
    face.prepare()
    listen = partial(live.play, Speech(samples))
    work = threading.Thread(target=live.perform, args=(face, listen, RATE, give, stop))
    began, busy = time.perf_counter(), time.process_time()
    work.start()
    while work.is_alive():
        if shown.at(time.perf_counter()) is not None:
            delays.append(shown.delay)
        if time.perf_counter() - began > 10:
            memory.append(memory_used() or 0)
        time.sleep(LOOK_EVERY)
    seconds = time.perf_counter() - began
    return {
        "delay": float(np.quantile(delays, 0.9)),
        "core": (time.process_time() - busy) / seconds,
        "grows": (memory[-1] - memory[0]) / 2**20 if memory else 0.0,
        "hop": shown.hop,
    }


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", results=RESULTS / "live.txt")
    p.add_argument("--clips", type=int, default=100, help="at most")
    p.add_argument("--seconds", type=int, default=60, help="that are played at their own pace")


def run(args: Namespace) -> None:
    """Perform the clips, play them, and write the table."""
    clips = read_clips(Path(args.data), "check")[: args.clips]
    engine = Engine.load(args.weights, device="cpu")
    mouth, thunder = MouthShape.of(engine.head), engine.thunder
    lines = [f"{len(clips)} clips of `check`, weights {engine.weights}; r of opening and width"]
    seconds = [clip.frames for clip in clips]

    def add_row(name: str, motions: list[Motion]) -> None:
        rows = [
            figures(clip, mouth.measure(each.expression, each.jaw)[None])
            for clip, each in zip(clips, motions)
        ]
        means = (mean_of([row[what] for row in rows], seconds) for what in ("opening", "width"))
        lines.append(f"{name:24s}" + "".join(f"{mean:8.3f}" for mean in means))

    for name, ahead in AHEAD.items():
        made = [perform_clip(thunder, clip.samples, ahead) for clip in clips]
        add_row(f"{name}, {1000 * ahead:.0f} ms", made)
    voices = [thunder.analyse(clip.samples, clip.frames) for clip in clips]
    add_row("the whole clip", [thunder.expect_usual(voice) for voice in voices])
    spoken = np.concatenate([clip.samples for clip in clips])
    spoken = np.resize(spoken, args.seconds * RATE)
    for name, ahead in AHEAD.items() if args.seconds else ():
        cost = play_clips(thunder, spoken, ahead)
        lines.append(
            f"{name} for {args.seconds} s: {cost['delay']:.3f} s behind in 9 of 10 looks, "
            f"{cost['core']:.0%} of one core, {cost['grows']:+.1f} MB, hops of {cost['hop']:.2f} s"
        )
    print(write_table(args.results, lines))
