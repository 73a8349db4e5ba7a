# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the benches leave their tables."""

from pathlib import Path


def keep(path: Path, lines: list[str]) -> str:
    """Write lines to a file whose folder need not be there; the text."""
    text = "\n".join(lines) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text
