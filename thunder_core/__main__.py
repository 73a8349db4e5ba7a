# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m thunder_takes live`: a face performs what the microphone hears, for programs that
listen for the VMC protocol, until Ctrl-C."""

import argparse
import contextlib
import os
import sys
import time

from . import vmc
from .animation.live_motion import LiveMotion
from .batch.settings import BadSetting, read_mood
from .client import Client
from .direction import Direction, DirectionRequest
from .errors import BadRequest, NoMicrophone, ThunderError
from .protocol import CURVES, ENDINGS, LEVEL

_EVERY = 1 / 60  # seconds from one frame that is sent to the next
_TELL = 1.0  # seconds from one line in the terminal to the next


def options(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m thunder_takes", description=__doc__)
    p = parser.add_subparsers(dest="command", required=True).add_parser("live", help=__doc__)
    p.add_argument("--osc", type=int, default=vmc.PORT, help="port (%(default)s)")
    p.add_argument("--to", default=vmc.HERE, help="computer; default: this one alone")
    p.add_argument("--sound", default="", help="file that is heard instead of the microphone")
    p.add_argument("--ahead", type=float, default=0.2, help="seconds heard beyond what is sent")
    p.add_argument("--mood", default="neutral", help="such as warm=.6")
    p.add_argument("--microphone", default="", help="its name; default: the system's")
    return parser.parse_args(words)


def live(args: argparse.Namespace) -> int:
    """Perform and send; returns the exit code. Raises ThunderError."""
    try:
        name, strength = read_mood(args.mood)
    except BadSetting as error:
        raise BadRequest(f"--mood “{args.mood[:60]}” {error}") from None
    if not 0 < args.ahead <= 1:
        raise BadRequest("--ahead is not between 0 and 1: give seconds, such as .2")
    motion, stream, peak, told = LiveMotion(), vmc.Stream(args.osc, args.to), 0.0, 0.0
    print(f"Sends to {args.to}:{args.osc}, until Ctrl-C", flush=True)
    with Client(sys.executable) as client, contextlib.closing(stream):
        channels = tuple(client.request("hello").wait()["channels"])
        direction = DirectionRequest.of(Direction(mood=name, strength=strength)).to_record(
            client.put_array
        )
        pending = client.request(
            "live", ahead=args.ahead, microphone=args.microphone,
            sound=os.path.abspath(args.sound) if args.sound else "", **direction,
        )  # fmt: skip
        while not (pending.done and motion.is_over(time.perf_counter())):
            for event in pending.poll():
                if event["event"] == LEVEL:
                    motion.began, peak = event["began"], event["peak"]
                elif event["event"] == CURVES:
                    motion.add(event, time.perf_counter())
            now = time.perf_counter()
            if (row := motion.at(now)) is not None:
                stream.send(row, channels, now - motion.began)
                if now > told + _TELL:
                    told = now
                    line = f"\r{motion.delay:.2f} s behind  {'█' * min(20, round(20 * peak)):20s}"
                    print(line, end="", flush=True)
            time.sleep(_EVERY)
        if why := ENDINGS.get(pending.wait()["ended"]):
            raise NoMicrophone(why)
    return 0


def main(words: list[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit code."""
    try:
        return live(options(words))
    except ThunderError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
