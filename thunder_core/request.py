# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request for takes says: one type for panel, bakes, benches and the Python API; numpy
only."""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from .direction import check, DirectionRequest, PutArray
from .errors import BadRequest
from .face.mapping import Sums
from .types import Keep, LISTENS, Motion, pack, unpack

ENGINE = "thunder"  # in the provenance of takes
# in the provenance of takes of which only a part of the line is new: mm by which the mouth is off
# the expected one there, which ranks them
OFF_EXPECTED = "off_expected"
Quality = StrEnum("Quality", ["DRAFT", "NORMAL", "FINAL"])
DRAFT, NORMAL, FINAL = QUALITIES = tuple(Quality)
# takes per request, of the panel and of bakes too: a memory bound
MOST_TAKES = 256
LAST_SEED = 2**63 - 1
MOST_STEPS = 1000
MOST_GUIDANCE = 20.0  # far beyond what is of use
TAKES = 8  # the usual number of takes, and the number of seeds between those of two voices
# number of voices to draw from; times TAKES this is the number of readings (`engine.performance`)
_VOICES = 8192
_LONGEST_VALUE = 40  # letters of a wrong value that are quoted
_WHOLE, _NUMBERS = (int, np.integer), (int, float, np.integer, np.floating)
# least and largest numbers of a request
_BOUNDS: dict[str, tuple] = {
    "takes": (1, MOST_TAKES, _WHOLE),
    "seed": (0, LAST_SEED, _WHOLE),
    "steps": (0, MOST_STEPS, _WHOLE),
    "guidance": (-MOST_GUIDANCE, MOST_GUIDANCE),
}


@dataclass(frozen=True, eq=False)
class SourcePerformance:
    """A performance that moves to another recording.

    sound: of the performance: as the engine reads it (`types.Speech`), or as the protocol names it,
    a path or [path, channel].  direction: float32 [1 or T, DIRECTION_NAMES] of the performance,
    in which mouths are sampled; None: the request's.  choice: of its words (`planning.choice`), {}
    if not known.  keys: seconds of an animator's own keys, which get a place in the other
    recording.
    """

    motion: Motion
    sound: Any
    direction: np.ndarray | None = None
    choice: dict = field(default_factory=dict)
    keys: tuple[float, ...] = ()


@dataclass(frozen=True)
class Request:
    """Takes of a sound: take i has the seed `seed` + i. Raises BadRequest for values out of range.

    quality: one of Quality.  steps: of the whole diffusion model, instead of the quality's; 0:
    the quality's.
    guidance: s_a of classifier-free guidance.
    direction: None: the neutral one, as the panel sends it.
    keep: the fixed part, into which the sampled rest blends.  listening: the sound is another
    person's voice, to which the face listens.  sums: `driving.Driver.sums` of the face that will
    play the takes: scores and words are of what it shows (`visible_motion`), while the
    takes have all channels; None: it shows everything.  perform_as: of another recording, from
    which head, brows, lids and eyes move to this one.

    Of Blender's side alone: phones: of the voice, JSON of [phone, start, end], for a character with
    mouths of its own.
    """

    takes: int = TAKES
    seed: int = 0
    quality: str = NORMAL
    steps: int = 0
    guidance: float = 1.0
    direction: DirectionRequest | None = None
    keep: Keep | None = None
    listening: bool = False
    sums: Sums | None = None
    perform_as: "SourcePerformance | None" = None
    phones: str = ""

    def __post_init__(self):
        for name, bounds in _BOUNDS.items():
            check_number(name, getattr(self, name), *bounds)
        if self.quality not in QUALITIES:
            raise BadRequest(
                f"“quality” is {_quote(self.quality)} but must be one of {', '.join(QUALITIES)}"
            )
        if self.direction is not None:
            check(self.direction.vectors)

    @classmethod
    def of(cls, settings: Any, **more: Any) -> "Request":
        """By the settings of a scene, or a command's options; more: fields."""
        return cls(
            quality=settings.quality.lower(), steps=getattr(settings, "steps", None) or 0,
            guidance=settings.guidance, **more,
        )  # fmt: skip

    @property
    def quality_or_steps(self) -> int | str:
        """The number of steps, or the quality."""
        return self.steps or self.quality

    @property
    def settings(self) -> dict:
        """How takes are sampled, as records, provenance and reports have it."""
        return {
            **({"steps": self.steps} if self.steps else {"quality": self.quality}),
            "guidance": float(self.guidance),
        }

    def to_record(self, put_array: PutArray | None = None) -> dict:
        """As the protocol's “generate” takes it, besides the sound; `of_record` is the inverse.

        put_array: writes an array and returns its path; None: as a take in a .blend has it, without
        what a single take does not need.
        """
        direction, keep, source = self.direction, self.keep, self.perform_as
        record: dict[str, Any] = self.settings | {
            **(
                {}
                if direction is None
                else direction.to_record(put_array or (lambda rows: rows.ravel().tolist()))
            ),
            **({"role": LISTENS} if self.listening else {}),
            **({"said": self.phones} if self.phones else {}),
        }
        if put_array is None:
            return record
        record |= {"takes": self.takes, "seed": self.seed, "sums": self.sums}
        if keep is not None:
            record |= {
                "keep_motion": put_array(pack(keep.motion)),
                "keep_mask": put_array(keep.mask),
            }
        if source is not None:
            rows = source.direction
            record |= {
                "performed_motion": put_array(pack(source.motion)),
                "performed_sound": source.sound,
                "performed_choice": source.choice,
                "performed_keys": source.keys,
                "performed_direction": None if rows is None else put_array(rows),
            }
        return record

    @classmethod
    def of_record(cls, record: Mapping, get_array: Callable[[Any], Any] = list) -> "Request":
        """The request of a record: that of a worker, or of a take, also of an earlier version; then
        for one take. get_array: the inverse of `put_array`.

        Raises BadRequest, or one of `records.UNREADABLE` if the record is damaged.
        """
        names = ("seed", "quality", "steps", "guidance", "sums")
        keep = source = None
        if record.get("keep_motion"):
            mask = get_array(record["keep_mask"]) > 0.5
            keep = Keep(_unpack(get_array(record["keep_motion"])), mask)
        if record.get("performed_motion"):
            rows = record["performed_direction"]
            source = SourcePerformance(
                _unpack(get_array(record["performed_motion"])), record["performed_sound"],
                None if rows is None else get_array(rows), record["performed_choice"],
                tuple(record["performed_keys"]),
            )  # fmt: skip
        return cls(
            record.get("takes", 1), direction=DirectionRequest.of_record(record, get_array),
            keep=keep, perform_as=source, listening=record.get("role") == LISTENS,
            phones=record.get("said", ""),
            **{name: record[name] for name in names if name in record},
        )  # fmt: skip


def _unpack(x: np.ndarray) -> Motion:
    return unpack(x, x.shape[1] - 9)


def seed_of_voice(name: str, character: int = 0) -> int:
    """The first seed of the takes of a voice where none was chosen, so that not all characters are
    played by the same people.

    name: of its sound file, with or without the file's ending. The seed stays when a voice is cut,
    trimmed, moved or recorded again, and is the same on every machine.  character: counts the
    characters who speak in the same sound; each has another seed.
    """
    stem, ending = os.path.splitext(name)
    # the other part of a strip that was cut: Blender numbers strips of one name
    if ending[1:].isdecimal():
        stem = os.path.splitext(stem)[0]
    if character:
        stem += f" {character}"
    return TAKES * (zlib.crc32(stem.casefold().encode("utf-8", "surrogatepass")) % _VOICES)


def check_number(
    name: str, value: object, low: float, high: float, kinds: tuple[type, ...] = _NUMBERS
) -> float:
    """The value as float, if it is a number from `low` to `high`. Raises BadRequest."""
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:  # type: ignore[operator]
        whole, bounds = "", f"{low:g} to {high:g}"
        if kinds is not _NUMBERS:
            whole, bounds = "whole ", f"{low} to {high}"
        raise BadRequest(f"“{name}” is {_quote(value)} but must be a {whole}number from {bounds}")
    return float(value)  # type: ignore[arg-type]


def _quote(value: object) -> str:
    return repr(value)[:_LONGEST_VALUE]
