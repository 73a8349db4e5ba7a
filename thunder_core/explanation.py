# SPDX-License-Identifier: GPL-3.0-or-later
"""An explanation of a frame (`engine.explain`) in words, for the panel, bakes and the Python API."""

from __future__ import annotations

from .steps import REASONS

_BLINKS = 0.5  # eyeBlink from which eyes are shut by a blink


def in_words(explanation: dict, most: int = 3) -> list[str]:
    """Lines for people: what was sampled, then a line for each step with its causes, its `most` largest changes and the reason for it."""

    def told(values: dict, form) -> str:
        listed = [form(name, value) for name, value in list(values.items())[:most]]
        return ", ".join(listed) + (f" and {len(values) - most} more" if len(values) > most else "")

    sampled = explanation["sampled"]
    lines = ["The model sampled " + (told(sampled, lambda name, value: f"{name} {value:.2f}") or "a face at rest")]
    if max(sampled.get("eyeBlinkLeft", 0.0), sampled.get("eyeBlinkRight", 0.0)) > _BLINKS:
        lines.append("The model itself blinks here, as people do every few seconds; no step asked for it")
    for each in explanation["steps"]:
        causes = ", ".join(what if share > 0.99 else f"{what} {share:.0%}" for what, share in each["causes"])
        changes = told(each["changes"], lambda name, both: f"{name} {both[0]:.2f} → {both[1]:.2f}")
        lines.append(f"{each['step'].capitalize()}{f' ({causes})' if causes else ''}: {changes} · {REASONS[each['reason']]}")
    return lines
