# SPDX-License-Identifier: GPL-3.0-or-later
"""The direction of takes as options of a command: a preset, a mood, a number for each slider, the
spread around them, and what the voice says."""

import argparse
from collections.abc import Mapping

from ..scene.takes.direction.presets import all_presets
from ..scene.takes.sampling import Sampling
from ..thunder_core import subtitles
from ..thunder_core.batch.settings import is_text_file, option_of, read_mood
from ..thunder_core.direction import AXES, Brief, CHOICES, NEUTRAL
from ..thunder_core.direction_presets import is_preset_file, Preset, same_name
from .script import between, setting, utf8


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "how takes are played",
        "Without any of these takes are played as the head in the scene is directed, or around "
        "what is usual. What is given goes "
        "before what a preset says.",
    )
    group.add_argument(
        "--style",
        type=utf8,
        metavar="NAME",
        help="a preset: its name (Newsreader, Whisper, one of yours) or its .json file",
    )
    moods = ", ".join(name for name in CHOICES if name != NEUTRAL)
    group.add_argument(
        "--mood",
        type=setting(read_mood),
        metavar="MOOD=STRENGTH",
        help=f"such as warm=.6; strength 0 to 1 (1). Moods: {moods}",
    )
    for axis in AXES:
        what = axis.description[0].lower() + axis.description[1:]
        group.add_argument(
            f"--{option_of(axis.name)}",
            type=between(axis.least, axis.most),
            metavar="NUMBER",
            help=f"{what}: {axis.least:g} to {axis.most:g}, {axis.usual:g} is usual",
        )
    group.add_argument(
        "--spread",
        type=between(0.0, 1.0),
        help="how far takes go from all this, 0 (not at all) to 1 (as people do) (0.5)",
    )
    group.add_argument(
        "--as-asked",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the take of the first seed is played just as asked (yes)",
    )


def preset_file(chosen: argparse.Namespace) -> str | None:
    """The file that --style names, None if it names a preset or is not there."""
    return chosen.style if chosen.style is not None and is_preset_file(chosen.style) else None


def direction_of(chosen: argparse.Namespace) -> Brief | None:
    """The direction that the options ask for, None if no option names one. Raises BadRequest for a
    preset that cannot be read."""
    moved = {
        axis.name: number
        for axis in AXES
        if (number := getattr(chosen, option_of(axis.name).replace("-", "_"))) is not None
    }
    if (
        chosen.style is None
        and chosen.mood is None
        and chosen.spread is None
        and not moved
        and chosen.as_asked
    ):
        return None
    preset = Preset("") if chosen.style is None else all_presets().find(chosen.style)
    return preset.brief(moved, chosen.mood, chosen.spread, chosen.as_asked)


def named_styles(values: Mapping[str, object]) -> dict[str, str]:
    """The text of the preset that the settings of a job name, under “style”; empty where they name
    none. Raises BadRequest."""
    style = values.get("style")
    return (
        {}
        if style is None or is_preset_file(str(style))
        else {"style": all_presets().find(str(style)).to_json()}
    )


def user_preset_file(values: Mapping[str, object]) -> str | None:
    """The file of the preset that the settings of a job name, where it is one that the user
    saved."""
    presets = all_presets()
    name = same_name(str(values.get("style", "")), presets.user_names())
    return None if name is None else str(presets.user_path(name))


def report_direction(provenance: dict) -> dict:
    """The direction of takes as a report has it, from the provenance of one of them: the content of
    a preset file.

    Of a direction that changes within the line its mean; nothing where takes were not directed.
    """
    wanted = Sampling.of_take(provenance, None).asked
    if wanted is None:
        return {}
    return {"direction": Preset("", wanted.mean, "", wanted.spread).data()}


def words_of(given: str) -> str:
    """The words that --transcript gives, or those in the file that it names, on one line. Raises
    BadRequest."""
    if not is_text_file(given):
        return " ".join(given.split())
    return subtitles.read_text(given, "name another with --transcript")
