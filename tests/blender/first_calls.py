# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that a piece of work calls, in the order of their first calls: the order in which somebody reads them who follows it."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import Any


class FirstCalls:
    """Functions of a folder, while it is the thread's profiler (sys.setprofile), in the order of their first calls.

    functions: (module, function); comprehensions and lambdas are parts of the function around them.
    """

    def __init__(self, folder: Path):
        self._start = f"{folder}/"
        self.functions: dict[tuple[str, str], None] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and not code.co_name.startswith("<") and code.co_filename.startswith(self._start):
            self.functions.setdefault((code.co_filename[len(self._start) :], f"{code.co_name}:{code.co_firstlineno}"))

    def path(self, part: str = "") -> list[str]:
        """The modules below a part of the folder, each time a function of another one than before is called for the first time."""
        modules = [module for module, _ in self.functions if module.startswith(part)]
        return [module for module, before in zip(modules, ["", *modules]) if module != before]

    def figures(self, part: str = "") -> dict[str, int]:
        """The number of modules below a part of the folder, and how often the path comes back to one."""
        path = self.path(part)
        return {"modules": len(set(path)), "re-entries": len(path) - len(set(path))}
