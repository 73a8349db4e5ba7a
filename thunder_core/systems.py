# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems that perform a voice: their names, what they are, and which of them a weights folder holds; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = "systems"  # within a weights folder: NAME.json and NAME.safetensors of every system besides the default


@dataclass(frozen=True)
class System:
    """One system of the paper's comparison.

    name: of its weights, in requests and in tables.  label, description: for people.  trained: has weights.
    """

    name: str
    label: str
    description: str
    trained: bool = True


DEFAULT = "thunder"
SYSTEMS = {
    system.name: system
    for system in (
        System(DEFAULT, "THUNDER", "Diffusion. Takes differ by chance and by direction; parts can be kept"),
        System("diffposetalk", "DiffPoseTalk", "Diffusion in the style of a reference motion"),
        System("media2face", "Media2Face", "Diffusion in a mood, from a label or a picture"),
        System("flameformer", "FlameFormer", "Regression frame by frame. Each take speaks like another training speaker"),
        System("flameselftalk", "FlameSelfTalk", "Regression of all frames at once. Each take speaks like another training speaker"),
        System("teacher", "Teacher", "The procedural animator that the others learned from. It needs no weights of its own", trained=False),
    )
}


def available(weights: Path) -> list[System]:
    """The systems that a weights folder can perform with, the default first."""
    folder = Path(weights) / FOLDER
    return [
        system
        for system in SYSTEMS.values()
        if system.name == DEFAULT
        or not system.trained
        or all((folder / f"{system.name}{ending}").is_file() for ending in (".json", ".safetensors"))
    ]
