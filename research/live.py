# SPDX-License-Identifier: GPL-3.0-or-later
"""Live: how well a face that performs while somebody speaks follows real lips, how far it is behind,
and what it costs.

DATA is a folder with `lips/`. Clips that nothing was fitted to (`check`) are performed hop by hop at
each look-ahead and, as slow computers do, in longer hops, and beside them what the same model
expects of the whole clip. Then --seconds of them are performed as they would be at their own pace,
by a clock that goes on with the processor time that hops take: what other programs do meanwhile does
not count, and ten minutes need no ten minutes. Rows are the delay from sample to pose, the share of
one core, how memory grows, and the same on computers several times slower. Tables to stdout and
research/results/live.txt.
"""

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np

from research.faces.lip_clips import figures, mean_of, read_clips
from research.harness import add_shared, RESULTS, write_table
from thunder_core.animation.live_motion import LiveMotion
from thunder_core.direction import Direction
from thunder_core.engine import live
from thunder_core.engine.engine import Engine
from thunder_core.engine.loaded import Thunder
from thunder_core.engine.microphone import BLOCK_MS, RATE as RECORDED
from thunder_core.face.moving.mouth_shape import MouthShape
from thunder_core.system_calls import memory_used
from thunder_core.types import FPS, Motion, RATE

AHEAD = {"Quick": 0.12, "Smooth": 0.2, "Best": 0.36}  # seconds
HOPS = (8, live.MOST_HOP)  # frames
SLOWER = (4, 8)  # times
STYLE = Direction().vector()[None]
LOOK_EVERY = 0.02  # seconds
_SETTLED = 60  # seconds after which memory is looked at first


def perform_clip(
    thunder: Thunder, samples: np.ndarray, ahead: float, frames: int = live.HOP
) -> Motion:
    """What a live face performs of a sound, so many frames a hop, with nothing behind its end."""
    face, hop, motions = live.LiveFace(thunder, STYLE, ahead), frames * int(RATE / FPS), []
    sound = np.append(samples, np.zeros(RATE, np.float32))
    for at in range(0, len(sound), hop):
        face.feed(sound[at : at + hop])
        if (made := face.advance()) is not None:
            motions.append(made[1])
    return Motion.join(motions)


class Simulation:
    """A sound that is performed at its own pace, in blocks of a microphone, by a clock of its own,
    on a computer that is `slower` times as slow as this one. It stands for the blocks' queue, the
    face and the clock of `live.follow`.

    delays: seconds behind, of each look.  busy: seconds of one processor.  memory: bytes, each
    second.
    """

    def __init__(self, thunder: Thunder, samples: np.ndarray, ahead: float, slower: float = 1.0):
        self.face, self.shown = live.LiveFace(thunder, STYLE, ahead, rate=RECORDED), LiveMotion()
        self.face.prepare()
        self.samples, self.slower = (samples * 32767).astype(np.int16), slower
        self.samples = np.repeat(self.samples, RECORDED // RATE)
        self.shown.began = self.now = self.looked = self.busy = 0.0
        self.at, self.delays, self.memory = 0, [], []
        self.size = RECORDED * BLOCK_MS // 1000
        live.follow(self, self, self.give, lambda: self.now)

    @property
    def heard(self) -> int:
        """As that of the face."""
        return self.face.heard

    def feed(self, samples: np.ndarray) -> None:
        """As that of the face."""
        self.face.feed(samples)

    def advance(self):
        """As that of the face, whose time passes."""
        began = time.process_time()
        made = self.face.advance()
        took = self.slower * (time.process_time() - began)
        self.now, self.busy = self.now + took, self.busy + took
        return made

    def get(self) -> bytes | None:
        """The next block, once it has been spoken; None behind the last."""
        block = self.samples[self.at : self.at + self.size]
        self.at += self.size
        self.now = max(self.now, self.at / RECORDED)
        return block.tobytes() if len(block) == self.size else None

    def empty(self) -> bool:
        """Whether the next block has not been spoken yet."""
        return (self.at + self.size) / RECORDED > self.now

    def give(self, event: dict) -> None:
        """Look until an event arrives, and take it in."""
        while self.looked < self.now:
            if self.shown.at(self.looked) is not None:
                self.delays.append(self.shown.delay)
            self.looked += LOOK_EVERY
        self.shown.add(event)
        if self.now > _SETTLED + len(self.memory):
            self.memory.append(memory_used() or 0)

    def row(self) -> str:
        """Its figures, as a line of the table ends."""
        grown = f"{(self.memory[-1] - self.memory[0]) / 2**20:+.1f} MB" if self.memory else "–"
        return (
            f"{np.quantile(self.delays, 0.9):.3f} s behind in 9 of 10 looks, "
            f"{self.busy * RECORDED / len(self.samples):.0%} of one core, hops of {self.shown.hop:.2f} "
            f"s, {grown} after the first minute"
        )


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", results=RESULTS / "live.txt")
    p.add_argument("--clips", type=int, default=100, help="at most")
    p.add_argument("--seconds", type=int, default=600, help="that are performed at their own pace")


def run(args: Namespace) -> None:
    """Perform the clips, then all of them at their own pace, and write the table."""
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
        add_row(
            f"{name}, {1000 * ahead:.0f} ms",
            [perform_clip(thunder, clip.samples, ahead) for clip in clips],
        )
    for hop in HOPS:
        add_row(
            f"Smooth, hops of {hop / FPS:.2f} s",
            [perform_clip(thunder, clip.samples, AHEAD["Smooth"], hop) for clip in clips],
        )
    voices = [thunder.analyse(clip.samples, clip.frames) for clip in clips]
    add_row("the whole clip", [thunder.expect_usual(voice) for voice in voices])
    spoken = np.concatenate([clip.samples for clip in clips])
    minute = min(args.seconds, _SETTLED)

    def add_simulation(name: str, length: int, *how: float) -> None:
        sound = np.resize(spoken, length * RATE)
        lines.append(f"{name}, {length} s: {Simulation(thunder, sound, *how).row()}")

    for name, ahead in AHEAD.items() if args.seconds else ():
        add_simulation(name, args.seconds if name == "Smooth" else minute, ahead)
    for slower in SLOWER if args.seconds else ():
        add_simulation(f"Smooth, {slower} times slower", minute, AHEAD["Smooth"], slower)
    print(write_table(args.results, lines))
