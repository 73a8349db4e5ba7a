# SPDX-License-Identifier: GPL-3.0-or-later
"""What moods, habits and emotions are, read from files that models, takes, panel and commands
share: `moods/NAME.json`, `habits.json`, `emotions.json`. Standard library only.

A habit (`habits.json`) has rows: what is drawn or done, its unit, what it is, and its source where
that is not the habit's: people who were measured, or “by hand, because …”.

A mood's file has these keys, at its full strength; one that is left out is as usual:

- number: as .blend files store it, and the order of moods; none is used again
- label, description: in the panel.  source: where its numbers come from
- tempo: speed of movements, 1 as usual.  sliders: change of each, deviations between speakers
- habits: of head, brows, lids and gaze (`Behaviour`)
- always, rest, speech: least poses of the face that takes are brought to (`Pose`), in both, where
  nobody speaks and where somebody does.  held: channel values that it keeps where nobody speaks
- calms: deviation of the smoothing of channels that no sound needs, frames
- mouth: rows of what the teacher's mouth does besides, which takes are learned from: `Part` of
  `research/train/teacher_mouth.py`
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import BadRequest, suggest
from .named_files import is_text, read_document, read_file, read_number
from .own_files import left_out_if_damaged

MOODS_FOLDER = Path(__file__).with_name("moods")
VERSION = 1  # of the format of mood files
_LONGEST = 2**16  # largest mood file, letters
# Channels that a mood may move; one that a face has on both sides with or without its side.
CHANNELS = frozenset(
    "browInnerUp browDown browOuterUp eyeSquint eyeWide cheekPuff cheekSquint noseSneer jawForward "
    "mouthFunnel mouthPucker mouthLeft mouthRight mouthRollLower mouthRollUpper mouthShrugLower "
    "mouthShrugUpper mouthClose mouthSmile mouthFrown mouthDimple mouthStretch mouthPress "
    "mouthLowerDown mouthUpperUp".split()
)
_NAME = re.compile("[a-z]+( [a-z]+)*")


@dataclass(frozen=True)
class Behaviour:
    """Sizes, rates and postures of one performance.

    Factors, 1 as usual: tempo (quickness of movements), sway, nods, raises, looks (how often the
    gaze leaves), linger (for how long), restless (how often it moves where it is), blinks,
    blink_length.  Channel values at full mood, which varies over time: inner, outer, down, wide,
    squint, droop.  knits: brows drawn together on accents, 0 … 1.  upward: share of accents on
    which the head jerks up.
    one_sided: −1 … 1, surplus of the left brow.  pose: degrees that the head nods, turns and tilts
    on average.  aside: degrees that the gaze turns and lowers where it leaves.  side: to which the
    face inclines, −1 or 1 (the left), 0: either.  by_asymmetry: 1 where that is the side away from
    the one that moves more, and one_sided is of the brow there.  tremble, shake: degrees of quick
    trembling and of slow shaking of the head.
    """

    tempo: float = 1.0
    sway: float = 1.0
    nods: float = 1.0
    raises: float = 1.0
    looks: float = 1.0
    linger: float = 1.0
    restless: float = 1.0
    blinks: float = 1.0
    blink_length: float = 1.0
    inner: float = 0.0
    outer: float = 0.0
    down: float = 0.0
    wide: float = 0.0
    squint: float = 0.0
    droop: float = 0.0
    knits: float = 0.0
    upward: float = 0.08
    one_sided: float = 0.0
    pose: tuple[float, ...] = (0.0, 0.0, 0.0)
    aside: tuple[float, ...] = (0.0, 0.0)
    side: float = 0.0
    by_asymmetry: float = 0.0
    tremble: float = 0.0
    shake: float = 0.0


@dataclass(frozen=True)
class Pose:
    """A mood at full strength: {channel: value}, a name without Left or Right means both sides.

    least: lowest value of a channel, on average over a second or two, about which it goes on
    moving. most: highest value, likewise.
    leaning: as least, for the side of the face that moves more.  opened: added where the lips are
    parted for a sound.
    lids: of eyeBlink, by how much open lids are raised, or lowered where it is negative; a blink
    still shuts them.
    shut: how firmly lips are shut.
    """

    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    leaning: Mapping[str, float] = field(default_factory=dict)
    opened: Mapping[str, float] = field(default_factory=dict)
    lids: float = 0.0
    shut: float = 0.0

    def joined(self, other: "Pose") -> "Pose":
        """Both poses; single numbers of this one replace 0."""
        return Pose(
            {**self.least, **other.least}, {**self.most, **other.most},
            {**self.leaning, **other.leaning}, {**self.opened, **other.opened},
            other.lids or self.lids, other.shut or self.shut,
        )  # fmt: skip


@dataclass(frozen=True)
class Mood:
    """A frame of mind at full strength, as its file says it.

    changes: of sliders, deviations between speakers.  poses: at rest and in speech; none where
    takes show it well without.
    """

    name: str
    label: str
    description: str
    number: int
    changes: Mapping[str, float] = field(default_factory=dict)
    tempo: float = 1.0
    behaviour: Behaviour = Behaviour()
    poses: tuple[Pose, ...] = ()
    held: Mapping[str, float] = field(default_factory=dict)
    calms: float = 0.0
    mouth: Sequence[Sequence[Any]] = ()


class _Section:
    """A table of a mood's file, whose keys are read one after another; `close` refuses the rest.

    where: the file, in a sentence.  path: of the table in the file, "" for all of it.
    """

    def __init__(self, data: Any, where: str, path: str = ""):
        if not isinstance(data, dict):
            raise BadRequest(f"{where} has “{path}”, which is not a table: correct it")
        self.data, self.where, self.path = data, where, path
        self.known: set[str] = set()

    def named(self, key: str) -> str:
        """The key, as a sentence names it."""
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str, usual: Any = None) -> Any:
        """The value of a key, whatever it is."""
        self.known.add(key)
        return self.data.get(key, usual)

    def text(self, key: str) -> str:
        """A text. Raises BadRequest."""
        value = self.take(key, "")
        if not is_text(value) or not value.strip():
            raise BadRequest(f"{self.where} has no text as “{self.named(key)}”: write one")
        return value

    def number(self, key: str, usual: float, least: float, most: float) -> float:
        """A number within bounds. Raises BadRequest."""
        return read_number(self.take(key, usual), self.named(key), self.where, least, most)

    def tuple_of(self, key: str, usual: tuple[float, ...], most: float) -> tuple[float, ...]:
        """As many numbers as usual, from −most to most. Raises BadRequest."""
        values = self.take(key, list(usual))
        if not isinstance(values, list) or len(values) != len(usual):
            raise BadRequest(
                f"{self.where} has “{self.named(key)}”, which is not a list of {len(usual)} "
                f"numbers: correct it"
            )
        return tuple(read_number(x, self.named(key), self.where, -most, most) for x in values)

    def table(self, key: str, names: Iterable[str], least: float, most: float) -> Mapping:
        """{name: number} of some of these names. Raises BadRequest."""
        section = self.section(key)
        section.known = set(names)
        section.close()
        return MappingProxyType(
            {name: section.number(name, 0.0, least, most) for name in section.data}
        )

    def section(self, key: str) -> "_Section":
        """A table within. Raises BadRequest."""
        return _Section(self.take(key, {}), self.where, self.named(key))

    def close(self) -> None:
        """Raise BadRequest for a key that nobody knows."""
        for key in self.data.keys() - self.known:
            near = suggest(key, self.known) or f"the names are {', '.join(sorted(self.known))}"
            raise BadRequest(f"{self.where} has an unknown “{self.named(key)}”: {near}")


# bounds of numbers: change of a slider; factors, degrees and channels of habits
_SLIDER, _HABIT = 4.0, 30.0
_SLOWEST, _QUICKEST, _MOST_CALM = 0.25, 4.0, 10.0  # tempo; frames
_MOST_NUMBER = 10_000  # of a mood
_SIDED = frozenset(name + side for name in CHANNELS for side in ("", "Left", "Right"))
_LEANING = CHANNELS | {"mouth"}  # which with its side is mouthLeft or mouthRight


def _read(path: Path, key: str, where: str, advice: str) -> _Section:
    """A JSON file of ours, whose `key` holds its version. Raises BadRequest; advice: for one of
    another kind."""
    text, also = read_file(path, _LONGEST, where, "put it back"), (advice, "correct it")
    whole = _Section(read_document(text, key, VERSION, _LONGEST, where, also, BadRequest), where)
    whole.take(key)
    return whole


def _pose(section: _Section) -> Pose:
    least, most, leaning, opened = (
        dict(section.table(key, _LEANING if key == "leaning" else _SIDED, 0.0, 1.0))
        for key in ("least", "most", "leaning", "opened")
    )
    lids, shut = section.number("lids", 0.0, -1.0, 1.0), section.number("shut", 0.0, 0.0, 1.0)
    section.close()
    return Pose(least, most, leaning, opened, lids, shut)


def _habits(section: _Section) -> Behaviour:
    usual, values = Behaviour(), dict[str, Any]()
    for each in fields(Behaviour):
        value = getattr(usual, each.name)
        if each.name == "tempo":  # the mood's
            continue
        values[each.name] = (
            section.tuple_of(each.name, value, _HABIT)
            if isinstance(value, tuple)
            else section.number(each.name, value, -_HABIT, _HABIT)
        )
    section.close()
    return Behaviour(**values)


def read_mood(path: Path, sliders: Iterable[str]) -> Mood:
    """The mood in a file, which has its name; sliders: names that it may change. Raises BadRequest,
    a sentence with the file and the key."""
    where = f"The mood file “{path.name}”"
    whole = _read(path, "thunder_mood", where, "take it out of the folder of moods")
    if not _NAME.fullmatch(path.stem):
        raise BadRequest(f"{where} has a name with more than small letters: name it anew")
    whole.text("source")
    number = whole.number("number", 0, 1, _MOST_NUMBER)
    both = _pose(whole.section("always"))
    poses = tuple(both.joined(_pose(whole.section(key))) for key in ("rest", "speech"))
    mood = Mood(
        path.stem, whole.text("label"), whole.text("description"), round(number),
        whole.table("sliders", sliders, -_SLIDER, _SLIDER),
        whole.number("tempo", 1.0, _SLOWEST, _QUICKEST),
        _habits(whole.section("habits")),
        () if poses == (Pose(), Pose()) else poses,
        whole.table("held", CHANNELS, 0.0, 1.0),
        whole.number("calms", 0.0, 0.0, _MOST_CALM),
        whole.take("mouth", ()),
    )  # fmt: skip
    whole.close()
    return mood


# moods that the shipped networks know, in the order of their numbers, from 1: a direction has a
# place for each, whether its file can be read or not
TRAINED = (
    "warm", "amused", "sad", "tense", "angry", "afraid", "surprised", "disgusted", "contemptuous",
    "doubtful", "bored",
)  # fmt: skip


def read_moods(sliders: Iterable[str], taken: Mapping[int, str]) -> list[Mood]:
    """All moods in order of their numbers; taken: numbers of what is no file.

    A file that is damaged, or has another's number, is left out (`own_files`); in the place of one
    of TRAINED is a mood that does nothing of itself."""
    sliders, owners = tuple(sliders), {**taken, **dict(enumerate(TRAINED, 1))}
    moods = dict[int, Mood]()
    paths = {MOODS_FOLDER / f"{name}.json" for name in TRAINED} | set(MOODS_FOLDER.glob("*.json"))
    for path in sorted(paths):
        with left_out_if_damaged(path):
            mood = read_mood(path, sliders)
            if owners.setdefault(mood.number, mood.name) != mood.name:
                free = max(owners) + 1
                raise BadRequest(
                    f"The mood file “{path.name}” has the “number” {mood.number} of "
                    f"“{owners[mood.number]}”: give it another, such as {free}"
                )
            moods[mood.number] = mood
    for number, name in enumerate(TRAINED, 1):
        if number not in moods:
            moods[number] = Mood(name, name.capitalize(), "Its file is damaged", number)
    return [moods[number] for number in sorted(moods)]


# ---- habits and emotions


class Habit:
    """A habit's numbers as attributes, a list as a tuple. Raises BadRequest for one that its file
    lacks."""

    def __init__(self, name: str, values: Mapping[str, Any]):
        self._name = name
        self.__dict__.update(values)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        raise BadRequest(f"The file “habits.json” lacks “{self._name}.{key}”: put it back")


def _numbers(value: object) -> Any:
    """A number; lists as tuples and tables, within which there may be more. Raises TypeError."""
    if isinstance(value, dict) and value:
        return MappingProxyType({name: _numbers(each) for name, each in value.items()})
    if isinstance(value, list) and value:
        return tuple(map(_numbers, value))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return value


def _read_shipped(name: str, key: str) -> _Section:
    path = Path(__file__).with_name(name)
    return _read(path, key, f"The file “{name}”", "put back the one that came with Thunder")


def read_habits() -> Mapping[str, Habit]:
    """{name: habit} of `habits.json`. Raises BadRequest with the key that is wrong."""
    whole, habits = _read_shipped("habits.json", "thunder_habits"), {}
    for name in whole.data.keys() - whole.known:
        habit = whole.section(name)
        habit.text("about")
        habit.text("source")
        values = {}
        for key in habit.data.keys() - habit.known:
            row = habit.take(key)
            try:
                value, *texts = row
                values[key] = _numbers(value)
                is_row = len(texts) in (2, 3) and all(is_text(each) and each for each in texts)
            except (TypeError, ValueError):
                is_row = False
            if not is_row:
                raise BadRequest(
                    f"{whole.where} has “{habit.named(key)}”, which is no row of numbers, their "
                    f"unit and what they are: correct it"
                )
        habits[name] = Habit(name, values)
    return habits


class _Habits(dict[str, Habit]):
    """The habits by name, read when the first is asked for: the engine plans by them, and without
    them nothing else ends."""

    def __missing__(self, name: str) -> Habit:
        self.update(read_habits())
        if name not in self:
            raise BadRequest(f"The file “habits.json” lacks “{name}”: put it back")
        return self[name]


HABITS = _Habits()


def read_emotions() -> Mapping[str, Mapping[str, float]]:
    """{name: {channel, jaw or head.x: offset at full strength}} of `emotions.json`, in its order;
    turns in radians. Of a damaged file there are none (`own_files`)."""
    with left_out_if_damaged(Path(__file__).with_name("emotions.json")):
        whole = _read_shipped("emotions.json", "thunder_emotions")
        whole.text("unit")
        whole.text("source")
        names = [name for name in whole.data if name not in whole.known]
        channels = _SIDED | {"eyeBlink", "jaw", "head.x"}
        return {name: whole.table(name, channels, -1.0, 1.0) for name in names}
    return {}
