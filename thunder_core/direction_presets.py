# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions kept by name: those that are shipped and those that an animator saved, JSON files;
numpy only."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from .direction import AXES, CHOICES, Direction, DirectionRequest, NEUTRAL, SPREAD, Style
from .errors import BadRequest
from .manner import Manner
from .named_files import is_text, NamedFiles, read_document, read_file, read_number

SHIPPED = Path(__file__).with_name("directions")
USERS = "directions"  # name of the user's preset folder
VERSION = 1  # version of the preset format
_LONGEST = 2**16  # largest preset, letters
_AXES = {axis.name: axis for axis in AXES}
_DECIMALS = 4


@dataclass(frozen=True)
class Preset:
    """A direction with a name.

    about: a sentence on its purpose.  spread: 0 … 1, variation of takes around it, None if not
    given.  manner: of a character, None if not given.
    """

    name: str
    direction: Direction = Direction()
    about: str = ""
    spread: float | None = None
    manner: Manner | None = None

    def data(self) -> dict:
        """The content of its file; usual values are left out."""
        direction, is_neutral = self.direction, self.direction.mood == NEUTRAL
        style = {name: round(value, _DECIMALS) for name, value in direction.style.values().items()}
        data = {
            "thunder_direction": VERSION,
            "name": self.name,
            "about": self.about,
            "style": {name: value for name, value in style.items() if value != _AXES[name].usual},
            "mood": None if is_neutral else direction.mood,
            "strength": None if is_neutral else round(direction.strength, _DECIMALS),
            "spread": None if self.spread is None else round(self.spread, _DECIMALS),
            "manner": None if self.manner is None else self.manner.data(),
        }
        return {name: value for name, value in data.items() if value is not None}

    def direction_request(
        self, moved: dict[str, float], mood: tuple[str, float] | None = None,
        spread: float | None = None, exact_first: bool = True
    ) -> DirectionRequest:  # fmt: skip
        """A request for takes in this direction; what is given replaces the preset's values.

        moved: values of axes by name.  mood: with its strength.  spread, exact_first: as of
        `DirectionRequest`.
        """
        name, strength = mood or (self.direction.mood, self.direction.strength)
        style = Style(**(self.direction.style.values() | moved))
        spread = next(each for each in (spread, self.spread, SPREAD) if each is not None)
        request = DirectionRequest.of(Direction(style, name, strength), spread, exact_first)
        return replace(request, manner=self.manner)

    def to_json(self) -> str:
        """The text of its file."""
        return json.dumps(self.data(), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str, name: str = "") -> "Preset":
        """The preset in a JSON text. name: of the file, for messages and where the text has none.
        Raises BadRequest."""
        where = f"The preset “{name}”" if name else "The preset"
        advice = "choose a file that was saved as a direction", "save it again"
        data = read_document(
            text, "thunder_direction", VERSION, _LONGEST, where, advice, BadRequest
        )
        style, mood = data.get("style", {}), data.get("mood", NEUTRAL)
        if not isinstance(style, dict):
            raise BadRequest(f"{where} has a “style” that is not a table of numbers: save it again")
        for unknown in style.keys() - _AXES.keys():
            raise BadRequest(
                f"{where} has an unknown {json.dumps(unknown)[:40]} in its style: the names are "
                f"{', '.join(_AXES)}"
            )
        if not isinstance(mood, str) or mood not in CHOICES:
            raise BadRequest(
                f"{where} has an unknown mood {json.dumps(mood)[:40]}: the moods are "
                f"{', '.join(CHOICES)}"
            )
        values = {
            each: read_number(value, each, where, _AXES[each].least, _AXES[each].most)
            for each, value in style.items()
        }
        strength = read_number(data.get("strength", 1.0), "strength", where, 0.0, 1.0)
        spread = data.get("spread")
        return Preset(
            _text(data, "name", where) or name,
            Direction(Style(**values), mood, strength),
            _text(data, "about", where),
            None if spread is None else read_number(spread, "spread", where, 0.0, 1.0),
            Manner.from_data(data["manner"], where) if "manner" in data else None,
        )

    @staticmethod
    def read(path: Path) -> "Preset":
        """The preset in a file. Raises BadRequest."""
        advice = "choose another, or save it again"
        text = read_file(path, _LONGEST, f"The preset “{path.stem}”", advice)
        return Preset.from_json(text, path.stem)


def is_preset_file(style: str) -> bool:
    """Whether a style names a file instead of a preset."""
    return style.lower().endswith(".json")


def same_name(name: str, names: Iterable[str]) -> str | None:
    """The name that is the same except for upper and lower case."""
    return next((each for each in names if each.lower() == name.lower()), None)


@dataclass(frozen=True)
class Presets:
    """The shipped presets and those of a user, who comes first where both have a name.

    folder: the user's; it may not exist yet.
    """

    folder: Path

    def names(self) -> list[str]:
        """Names of all presets: the user's, then the shipped ones."""
        users = self.user_names()
        return users + [name for name in NamedFiles(SHIPPED).names() if name not in users]

    def user_names(self) -> list[str]:
        """Names of the user's presets."""
        return NamedFiles(self.folder).names()

    def user_path(self, name: str) -> Path:
        """The file of one of the user's presets."""
        return NamedFiles(self.folder).path(name)

    def load(self, name: str) -> Preset:
        """The preset of a name, which is used whatever name its file contains. Raises
        BadRequest."""
        path = NamedFiles(self.folder).path(name)
        path = path if os.path.isfile(path) else NamedFiles(SHIPPED).path(name)
        if not os.path.isfile(path):
            raise BadRequest(
                f"There is no preset “{name[:60]}”: choose {', '.join(self.names())}, or a file"
            )
        return replace(Preset.read(path), name=name)

    def look_up(self, style: str) -> Preset:
        """The preset in a .json file, or of a name, in letters of any case. Raises BadRequest."""
        return (
            Preset.read(Path(os.path.abspath(style)))
            if is_preset_file(style)
            else self.load(same_name(style, self.names()) or style)
        )

    def save(self, preset: Preset) -> Path:
        """Write a preset into the user's folder, replacing one of that name. Raises BadRequest or
        NoSpace."""
        return NamedFiles(self.folder).write(preset.name, preset.to_json())

    def delete(self, name: str) -> None:
        """Remove a preset of the user. Raises BadRequest if there is none, or it cannot be
        removed."""
        path = NamedFiles(self.folder).path(name)
        if not path.is_file():
            raise BadRequest(f"“{name}” is no preset of yours: the shipped ones stay")
        try:
            path.unlink()
        except OSError as error:
            raise BadRequest(
                f"The preset “{name}” cannot be removed ({error.strerror}): check the permissions "
                f"of {path.parent}"
            ) from error


def _text(data: dict, name: str, where: str) -> str:
    value = data.get(name, "")
    if not is_text(value):
        raise BadRequest(
            f"{where} has “{name}” {json.dumps(value)[:40]}, which is no text for a name: correct "
            f"it"
        )
    return value
