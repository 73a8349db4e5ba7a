# SPDX-License-Identifier: GPL-3.0-or-later
"""An explanation of a frame (`engine.explain`) in words, for the panel, bakes and the Python API."""

from __future__ import annotations


def in_words(explanation: dict, most: int = 5) -> list[str]:
    """Lines for people: what was sampled, then a line for each step with its causes and its `most` largest changes."""

    def told(values: dict, form) -> str:
        listed = [form(name, value) for name, value in list(values.items())[:most]]
        return ", ".join(listed) + (f" and {len(values) - most} more" if len(values) > most else "")

    lines = ["The model sampled " + (told(explanation["sampled"], lambda name, value: f"{name} {value:.2f}") or "a face at rest")]
    for each in explanation["steps"]:
        causes = ", ".join(what if share > 0.99 else f"{what} ({share:.0%})" for what, share in each["causes"])
        changes = told(each["changes"], lambda name, both: f"{name} {both[0]:.2f} → {both[1]:.2f}")
        lines.append(f"{each['step'].capitalize()}{f', for {causes}' if causes else ''}: {changes} [{each['reason']}]")
    return lines
