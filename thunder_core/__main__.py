# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m thunder_takes live`: a face performs what the microphone hears, for programs that
listen for the VMC protocol, until Ctrl-C."""

import argparse
import contextlib
import os
import signal
import sys
import time

from . import vmc
from .animation.live_motion import LiveMotion
from .batch.settings import BadSetting, read_mood
from .client import Client
from .direction import Direction, DirectionRequest
from .errors import BadRequest, NoMicrophone, ThunderError
from .protocol import CURVES, ENDINGS, LEVEL, QUIETEST

_EVERY = 1 / 60  # seconds from one frame that is sent to the next
_TELL = 1.0  # seconds from one line in the terminal to the next


def options(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m thunder_takes")
    what = "send a face that speaks with the microphone to other programs (VMC), until Ctrl-C"
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("live", help=what, description=f"{what[0].upper()}{what[1:]}.")
    p.add_argument("--osc", type=int, default=vmc.PORT, metavar="PORT", help="%(default)s")
    p.add_argument("--to", default=vmc.HERE, metavar="COMPUTER", help="default: this one alone")
    p.add_argument("--sound", default="", metavar="FILE", help="heard instead of the microphone")
    p.add_argument(
        "--ahead", type=float, default=0.2, metavar="SECONDS",
        help="heard beyond what is sent; less is sooner, more is more exact (%(default)s)",
    )  # fmt: skip
    p.add_argument("--mood", default="neutral", help="such as warm=.6")
    p.add_argument(
        "--microphone", default="", metavar="NAME",
        help="default: the system's; a name that there is not is answered by a list of all",
    )  # fmt: skip
    return parser.parse_args(words)


def live(args: argparse.Namespace) -> int:
    """Perform and send; returns the exit code. Raises ThunderError."""
    try:
        name, strength = read_mood(args.mood)
    except BadSetting as error:
        raise BadRequest(f"--mood “{args.mood[:60]}” {error}") from None
    if not 0 < args.ahead <= 1:
        raise BadRequest("--ahead is not between 0 and 1: give seconds, such as .2")
    motion, stream, peak = LiveMotion(), vmc.Stream(args.osc, args.to), 0.0
    loudest = told = 0.0
    with (
        Client(sys.executable) as client,
        contextlib.closing(stream),
        contextlib.ExitStack() as end,
    ):
        end.callback(print, flush=True)  # ends the line, before an error is said
        print("Starts; Ctrl-C ends it", end="", flush=True)
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
                    loudest = max(loudest, peak)
                elif event["event"] == CURVES:
                    motion.add(event)
            now = time.perf_counter()
            if (row := motion.at(now)) is not None:
                stream.send(row, channels, now - motion.began)
                if now > told + _TELL:
                    told, is_muted = now, loudest <= QUIETEST and not args.sound
                    said = (
                        "only silence arrives: is it muted?" if is_muted else "#" * round(20 * peak)
                    )
                    line = (
                        f"\rSent to {args.to}:{args.osc}, {motion.delay:.2f} s behind  {said:34s}"
                    )
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
        print(*filter(None, (getattr(error, "log", ""), error)), sep="\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print("Stopped", file=sys.stderr)
        return 128 + (stop.args or (signal.SIGINT,))[0]


def _stop(number, _frame):
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.exit(main())
