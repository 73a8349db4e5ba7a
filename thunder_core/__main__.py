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
from .protocol import ENDINGS, QUIETEST

_EVERY = 1 / 60  # seconds from one frame that is sent to the next
_TELL = 1.0  # seconds from one line in the terminal to the next
# signals that end it as Ctrl-C does; Windows has no SIGHUP, of a terminal that closes
_STOPS = {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


def options(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m thunder_takes",
        description="Send a face that speaks with the microphone to other programs (VMC).",
    )
    parser.add_argument("command", choices=["live"])
    for name, default, value, about in (
        ("osc", vmc.PORT, "PORT", "default: %(default)s"),
        ("to", vmc.HERE, "COMPUTER", "default: this one alone"),
        (
            "names",
            "both",
            "NAMES",
            "arkit, vrm or %(default)s, the default: what an avatar has both of moves too far",
        ),
        ("sound", "", "FILE", "heard instead of the microphone"),
        (
            "ahead",
            0.2,
            "SECONDS",
            "heard ahead (default: %(default)s): .12 is sooner, .36 more exact",
        ),
        ("mood", "neutral", "MOOD", "such as warm=.6; default: %(default)s"),
        ("microphone", "", "NAME", "default: the system's; a wrong name lists them"),
    ):
        parser.add_argument(
            f"--{name}", type=type(default), default=default, metavar=value, help=about
        )
    return parser.parse_args(words)


def live(args: argparse.Namespace) -> int:
    """Perform and send; returns the exit code. Raises ThunderError."""
    try:
        name, strength = read_mood(args.mood)
    except BadSetting as error:
        raise BadRequest(f"--mood “{args.mood[:60]}” {error}") from None
    if not 0 < args.ahead <= 1:
        raise BadRequest("--ahead is not between 0 and 1: give seconds, such as .2")
    if args.names.upper() not in (vmc.ARKIT, vmc.VRM, vmc.BOTH):
        raise BadRequest(f"--names “{args.names[:60]}” is none of arkit, vrm and both")
    stream = vmc.Stream(args.osc, args.to, args.names.upper(), True)
    motion, told = LiveMotion(), 0.0
    with (
        Client(sys.executable) as client,
        contextlib.closing(stream),
        contextlib.ExitStack() as end,
    ):
        end.callback(print, flush=True)  # ends the line, before an error is said
        print("Starting; Ctrl-C stops it", end="", flush=True)
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
                motion.add(event)
            now = time.perf_counter()
            if (row := motion.at(now)) is not None:
                stream.send(row, channels, now - motion.began)
                if now > told + _TELL:
                    told, said = now, "#" * round(20 * motion.level["peak"])
                    if motion.loudest <= QUIETEST and not args.sound:
                        said = "only silence arrives: is it muted?"
                    if motion.level.get("away"):
                        said = "the microphone is gone: reconnect it"
                    if stream.trouble:
                        said = "it cannot be reached now: goes on later"
                    print(
                        f"\rSent to {args.to}:{args.osc}, {motion.delay:.2f} s behind  {said:39s}",
                        end="", flush=True,
                    )  # fmt: skip
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
    for each in _STOPS:  # a terminal that closes says so twice, again while the face goes to rest
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    for number in _STOPS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    sys.exit(main())
