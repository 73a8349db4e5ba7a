# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared parts of the commands: types of arguments, output that survives a closed terminal, exit
codes."""

from __future__ import annotations

import _thread
import argparse
import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn, TextIO

import bpy

from ..scene.engine import connection
from ..thunder_core.batch.settings import (
    BadSetting,
    LONGEST_TEXT,
    Setting,
    shorten,
    text as read_name,
)
from ..thunder_core.errors import suggest, ThunderError
from ..thunder_core.files import is_utf8, printable, Transaction, VISIBLE
from ..thunder_core.private_folder import remove_blender_session

PACKAGE = __package__.removesuffix(".cli")
STANDALONE = "thunder"  # package name when a command, not Blender, loads the add-on
SOME_FAILED = 3  # exit code of a command that does many things
LONGEST_ERROR = 300  # letters of an error about an option
AGAIN = 0.1  # seconds after which a stop that Blender dropped is tried again
# seconds after Ctrl-C or SIGTERM in which a second one is ignored: the engine stops, files are
# restored
CLEANING = 5.0


# ---- arguments


class Parser(argparse.ArgumentParser):
    """A parser of options whose errors are short, whatever the options hold, without its usage."""

    def error(self, message: str) -> NoReturn:
        message = message.translate(VISIBLE)
        _, unknown, options = message.partition("unrecognized arguments: ")
        if unknown and (near := suggest(options.split()[0], self._option_string_actions)):
            message = f"{message}: {near}"
        if len(message) > LONGEST_ERROR:
            message = f"{message[: LONGEST_ERROR // 2]} … {message[-LONGEST_ERROR // 2 :]}"
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def add_options(
    parser: argparse._ActionsContainer, options: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add options to a parser, or to a group of one. options: by their names without dashes, what
    argparse is told of each."""
    for name, about in options.items():
        parser.add_argument(f"--{name}", **about)


def file_path(text: str) -> str:
    """An option's type: the path of a file or folder, which must not be empty; with the folders
    above it it must be UTF-8. Spaces around it that were pasted along, and that no file has, are
    left out."""
    plain = text.strip()
    if not plain:
        raise argparse.ArgumentTypeError("the name is empty")
    if os.path.exists(plain) and not os.path.exists(text):
        text = plain
    try:
        utf8(os.path.abspath(text))
    except FileNotFoundError:
        raise argparse.ArgumentTypeError(
            "the current folder was removed: change to another"
        ) from None
    return text


def utf8(text: str) -> str:
    """An option's type: a name that is valid UTF-8 and not too long."""
    if len(text) > LONGEST_TEXT:
        raise argparse.ArgumentTypeError(
            f"a name has at most {LONGEST_TEXT} letters, this one has {len(text)}"
        )
    if not is_utf8(text):
        raise argparse.ArgumentTypeError(
            f"the name “{printable(text)}” is not valid UTF-8: rename it"
        )
    return text


def setting(read: Callable[[str], Any]):
    """An option's type: what a setting's `read` makes of it."""

    def option(text: str):
        try:
            return read(text)
        except BadSetting as reason:
            raise argparse.ArgumentTypeError(f"“{shorten(text)}” {reason}") from None

    return option


def as_option(of: Setting) -> dict[str, Any]:
    """What argparse is told of the option of a setting."""
    about: dict[str, Any] = {"default": of.default, "help": of.about}
    if of.is_flag:
        return about | {"action": argparse.BooleanOptionalAction}
    named = utf8 if of.read is read_name else setting(of.read)
    return about | {"type": file_path if of.is_path else named, "metavar": of.shown or None}


def script_arguments() -> list[str]:
    """A script's arguments: those after `--` when Blender runs it, all of them otherwise."""
    return sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]


# ---- output


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line on stdout or another stream. If it can no longer be written (a closed pipe, a
    full disk), the work continues."""
    stream = stream or sys.stdout
    try:
        print(text.translate(VISIBLE), file=stream, flush=True)
    except OSError:
        with open(os.devnull, "w") as nowhere:
            # also for the stream's buffer, and for Blender's output
            os.dup2(nowhere.fileno(), stream.fileno())


def say_kept(out: Transaction) -> None:
    """Print what --force replaced and the new names of the old files."""
    for name, kept in out.kept.items():
        say(f"      “{name}” was there and is kept as “{kept}”")


class Warnings(list):
    """What a report warns of, each said once on stderr by a command of this name."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command

    def add(self, *sentences: str) -> None:
        """Warn of sentences, unless they are empty or were said."""
        for sentence in sentences:
            if sentence and sentence not in self:
                say(f"{self.command}: {sentence}", sys.stderr)
                self.append(sentence)


def count_in_words(count: int, what: str = "take") -> str:
    """A number of takes, or of something else, in words."""
    return f"{count} {what}{'s' * (count != 1)}"


@contextlib.contextmanager
def quiet():
    """Keep what Blender itself writes on the terminal off it; yields a file that writes there."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "w") as nowhere, open(kept[0], "w", closefd=False) as terminal:
        try:
            for number in (1, 2):
                os.dup2(nowhere.fileno(), number)
            yield terminal
        finally:
            sys.stdout.flush()  # Blender's operators print through it
            sys.stderr.flush()
            for number, copy in zip((1, 2), kept):
                os.dup2(copy, number)
                os.close(copy)


# ---- running a command


def run(
    name: str,
    options: Callable[[list[str]], argparse.Namespace | None],
    action: Callable[[Any], object],
) -> None:
    """Run `action(options)` as a command, and exit with its code."""
    code = exit_code(name, options, action)
    if not bpy.app.binary_path:
        # As a Python module Blender frees its panels after Python's shutdown, which has crashed:
        # the exit code would be lost.
        remove_blender_session(bpy.app.tempdir)
        os._exit(code)
    if code:
        sys.exit(code)


@contextlib.contextmanager
def interruptible():
    """Let Ctrl-C and SIGTERM stop the block, also in Blender, which has another handler; a closed
    terminal does not stop it.

    A second signal does not interrupt the clean-up, and no signal what comes after the block.
    KeyboardInterrupt is raised with the number of the signal. Where it is raised in a function that
    Blender calls, Blender drops it: then it is raised again a moment later.
    """
    stopped = -CLEANING

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if time.monotonic() - stopped >= CLEANING:
            stopped = time.monotonic()
            raise KeyboardInterrupt(number)

    def retry_stop(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        nonlocal stopped
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        stopped = -CLEANING
        again = threading.Timer(AGAIN, _thread.interrupt_main, error.args or (signal.SIGINT,))
        again.daemon = True
        again.start()

    sys.excepthook = retry_stop
    _on_signals(stop)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        _on_signals(lambda *_: None)
        sys.excepthook = sys.__excepthook__


def _on_signals(handler: Callable | int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        # as in a job that a shell runs in the background
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def exit_code(
    name: str,
    options: Callable[[list[str]], argparse.Namespace | None],
    action: Callable[[Any], object],
    arguments: list[str] | None = None,
) -> int:
    """Run `action(options)` as a command with these arguments, else the script's. Returns 0, or
    another code after one sentence on stderr.

    Where the action returns a number, that is the code."""
    for stream in (each for each in (sys.stdout, sys.stderr) if hasattr(each, "reconfigure")):
        # do not fail on a terminal that cannot show “ or ä
        stream.reconfigure(errors="backslashreplace")
    try:
        chosen = options(script_arguments() if arguments is None else arguments)
    except SystemExit as end:  # argparse has printed the error
        return end.code if isinstance(end.code, int) else 0
    package = sys.modules[PACKAGE]
    if PACKAGE == STANDALONE:
        package.register()
    try:
        with interruptible():
            value = action(chosen)
        return value if isinstance(value, int) else 0
    except ThunderError as error:
        say(f"{name}: {error}", sys.stderr)
    except KeyboardInterrupt as stop:
        say(f"{name}: stopped", sys.stderr)
        # as shells count: 130, and 143 for SIGTERM
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    except Exception as error:
        say(
            f"{traceback.format_exc()}{name}: unexpected error ({type(error).__name__}: {error})",
            sys.stderr,
        )
    finally:
        if PACKAGE == STANDALONE:  # Blender 4.2 crashes on exit if classes are still registered
            package.unregister()
        else:
            connection.stop()
        sys.stdout.flush()
        sys.stderr.flush()
    return 1
