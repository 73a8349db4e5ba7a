# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that an animator may read: each message is a sentence with what happened and what to
do."""

import difflib
import errno
import re
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def suggest(name: str, known: Iterable[str]) -> str:
    """“did you mean “…”?” if a name is close to one that is known, whatever its case, else ""."""
    by_letters = {each.lower().replace("_", "-"): each for each in known}
    near = difflib.get_close_matches(str(name).lower().replace("_", "-"), by_letters, 1)
    return f"did you mean “{by_letters[near[0]]}”?" if near else ""


def is_full_disk(error: BaseException) -> bool:
    """Whether an error means that a disk, or a person's share of it, is full."""
    return isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        getattr(errno, "EDQUOT", errno.ENOSPC),
    )


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, means that main memory or a device's ran out.

    A library that cannot be loaded for lack of memory is an ImportError or OSError: only its
    message shows it.
    """
    chain = set()
    while error is not None and id(error) not in chain:
        chain.add(id(error))
        says_so = isinstance(error, (RuntimeError, ImportError, OSError, SystemError))
        if (
            isinstance(error, MemoryError)
            or type(error).__name__ == "OutOfMemoryError"
            or getattr(error, "errno", None) == errno.ENOMEM
            or getattr(error, "winerror", None) in _WINDOWS_MEMORY
            or (says_so and says_memory_ran_out(str(error)))
            # Python's parser, which had no memory for a node's child
            or (isinstance(error, ValueError) and _NO_NODE.fullmatch(str(error)))
            # Python's compiler or its importer, which had none for the error itself
            or (isinstance(error, SystemError) and str(error) == _NO_ERROR)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_out_of_device_memory(error: BaseException) -> bool:
    """Whether a graphics card's memory ran out, so that fewer takes at once, or the CPU, may
    succeed."""
    if type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "CUDA out of memory" in text
        or "CUDA error: out of memory" in text
        or "_STATUS_ALLOC_FAILED" in text
    )


def says_memory_ran_out(text: str) -> bool:
    """Whether the words of a library or of the system mean that memory ran out."""
    text = text.lower()
    # which is another fault
    return any(words in text for words in _MEMORY_WORDS) and "static tls" not in text


_NO_NODE = re.compile(r"field '\w+' is required for \w+")
_NO_ERROR = "error return without exception set"
# Windows errors: not enough memory, out of memory, paging file too small
_WINDOWS_MEMORY = (8, 14, 1455)
_MEMORY_WORDS = (
    "cannot allocate memory",
    "can't allocate memory",
    "failed to map segment",
    "cannot create shared object descriptor",
    "not enough memory",
    "out of memory",
    "memoryerror",
    "bad_alloc",
    "bad allocation",
    "paging file is too small",
    "unable to mmap",
    "can't start new thread",
    "alloc_failed",
    "memory allocation still failed",
    "blas_thread_init: pthread_create failed",
    "thread creation failed",  # OpenBLAS, OpenMP
    "function compile> returned null",  # Python's parser
)


class ThunderError(Exception):
    """Base of every error that is shown to a person; worker and client know it by its class's name
    (KINDS)."""

    @property
    def reason(self) -> str:
        """The message without its advice, which follows the last colon."""
        return str(self).rpartition(": ")[0] or str(self)


class BadSound(ThunderError):
    """The sound cannot be read, is too short or too long, or holds values that are not numbers."""


class NoVoice(ThunderError):
    """The sound is read without trouble but nothing is in it: digital silence."""


class NoEngine(ThunderError):
    """No Python with the engine's packages was found, or the named one cannot run it."""


class NoMicrophone(ThunderError):
    """No microphone is connected, or the chosen one cannot be opened or does not respond."""


class WorkerDied(ThunderError):
    """The engine's process, or one that bakes, ended in the middle of its work; `log` holds the
    last lines it wrote to stderr."""

    def __init__(self, message: str = "", log: str = ""):
        super().__init__(message)
        self.log = log


class Cancelled(ThunderError):
    """The animator cancelled the work."""


class CancelledByUndo(Cancelled):
    """The animator undid or redid a step in the middle of the work, or opened another file: what it
    had changed is gone."""


class OutOfMemory(ThunderError):
    """The device or the machine has too little memory for the request."""


class NoSpace(ThunderError):
    """The disk that holds the temporary files is full."""


class BadHead(ThunderError):
    """A head file is missing, truncated, or not in the format it claims."""


class BadWeights(ThunderError):
    """A weights file is missing, truncated, or made for another model."""


class BadRequest(ThunderError):
    """A request to the engine that it does not know or whose values make no sense."""


KINDS = {ThunderError.__name__: ThunderError} | {
    kind.__name__: kind for kind in ThunderError.__subclasses__()
}


def attempt(function: Callable[..., T], *args) -> tuple[T | None, str]:
    """What a function returns and "", or None and the sentence of the ThunderError that it
    raises."""
    try:
        return function(*args), ""
    except ThunderError as error:
        return None, str(error)
