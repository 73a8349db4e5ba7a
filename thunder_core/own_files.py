# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that come with Thunder, or that a user puts beside them, such as a mood's: a damaged one is
left out, and with it only what it is about. Standard library only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ThunderError
from .records import UNREADABLE

# what is wrong with each file that was left out, a sentence, by its path
damaged: dict[str, str] = {}


@contextmanager
def left_out_if_damaged(path: str | os.PathLike) -> Iterator[None]:
    """Go on behind a block that cannot read a file, and remember why; forget it where it can."""
    name = os.fspath(path)
    try:
        yield
    except ThunderError as error:
        damaged[name] = str(error)
    except (OSError, *UNREADABLE) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"[:80]
        damaged[name] = (
            f"The file “{os.path.basename(name)}” is damaged ({reason}): put back the one that "
            f"came with Thunder"
        )
    else:
        damaged.pop(name, None)


def why_left_out(name: str) -> str:
    """What is wrong with the file of this name, "" where it was not left out."""
    return next((why for path, why in damaged.items() if os.path.basename(path) == name), "")


def say_damaged() -> list[str]:
    """A sentence for each file that was left out."""
    sentences = (damaged[path] for path in sorted(damaged))
    return [f"{sentence}. Thunder has started without it" for sentence in sentences]
