# SPDX-License-Identifier: GPL-3.0-or-later
"""The systems that perform a voice: names, descriptions, and those available in a weights folder;
no torch."""

from dataclasses import dataclass
from pathlib import Path

# folder in a weights folder with NAME.json and NAME.safetensors of every system but the default
FOLDER = "systems"


@dataclass(frozen=True)
class System:
    """One system of the paper's comparison.

    name: of its weights, in requests and in tables.  label, description: for people.  trained: has
    weights.
    follows: the part of a direction that it performs, DIRECTION, MOOD or NOTHING.  keeps: whether
    it supports keeping parts of a take while the rest is sampled again, and guidance by
    mesh-to-speech.  diffuses: whether steps and guidance apply to it.
    """

    name: str
    label: str
    description: str
    trained: bool = True
    follows: str = "nothing"
    keeps: bool = False
    diffuses: bool = False


DIRECTION, MOOD, NOTHING = "direction", "mood", "nothing"
DEFAULT = "thunder"
FROM_MOTION = "diffposetalk"  # the system that takes its style from a motion
FROM_PICTURE = "media2face"  # the system that takes a mood from a picture of a face
# pixels: smallest side of such a picture, and largest that is sent
LEAST_PICTURE, MOST_PICTURE = 48, 256
SYSTEMS = {
    system.name: system
    for system in (
        System(
            DEFAULT,
            "THUNDER",
            "Diffusion. Takes differ by chance and by direction; parts can be kept",
            follows=DIRECTION,
            keeps=True,
            diffuses=True,
        ),  # fmt: skip
        System(
            FROM_MOTION,
            "DiffPoseTalk",
            "Diffusion, in the style of a reference motion if there is one",
            diffuses=True,
        ),
        System(
            FROM_PICTURE,
            "Media2Face",
            "Diffusion, in the mood of a picture if there is one. Of the direction it follows the "
            "mood alone",
            follows=MOOD,
            diffuses=True,
        ),  # fmt: skip
        System(
            "flameformer",
            "FlameFormer",
            "Regression, frame after frame. Each take speaks like one of the training speakers",
        ),
        System(
            "flameselftalk",
            "FlameSelfTalk",
            "Regression of all frames at once. Each take speaks like one of the training speakers",
        ),
        System(
            "teacher",
            "Teacher",
            "The procedural animator that the others learned from. It needs no network but the "
            "speech encoder",
            trained=False,
            follows=DIRECTION,
        ),  # fmt: skip
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
        or all(
            (folder / f"{system.name}{ending}").is_file() for ending in (".json", ".safetensors")
        )
    ]
