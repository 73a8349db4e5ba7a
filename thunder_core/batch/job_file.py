# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads job files in TOML, or folders of sound files. All mistakes are reported at once, before
anything is baked."""

import os
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import BadRequest, suggest
from ..files import is_utf8, MANIFEST, not_a_file, printable
from .settings import (
    DEFAULTS,
    make_absolute,
    quote,
    SETTINGS,
    shorten,
    text as read_text,
    VOICES,
    Wrong,
)

SOUNDS = frozenset(
    ".aac .ac3 .aif .aifc .aiff .au .caf .flac .m4a .m4b .mka .mp2 .mp3"
    " .oga .ogg .opus .wav .wma".split()
)
TOP = ("out", "defaults", "jobs")  # keys of a job file
LONGEST = 2**24  # largest job file, bytes
# a setting → the setting of the input that determines it
_GIVEN_BY = {"fps": "blend", "start": "strip"}
# reserved on Windows
_DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
}
# Beginnings of tomllib's errors, and what is to be written instead.
_EXPECTED = (
    ("Invalid value", "after “=” write a text in quotes, a number, true, false or a list in [ ]"),
    (
        "Unescaped",
        "in double quotes “\\” must be doubled: "
        "write the text in single quotes, or a path with “/”",
    ),
    (
        "Invalid hex",
        "in double quotes “\\” must be doubled: "
        "write the text in single quotes, or a path with “/”",
    ),
    ("Illegal character", "a text must end on its line: write the quote that closes it"),
    ("Unterminated string", "a text must end: write the quote that closes it"),
    ('Expected "\'"', "a text must end: write the quote that closes it"),
    ("Unclosed array", "a list must end: write “]” after its last value, and “,” between values"),
    ("Expected '='", "write a setting as KEY = VALUE, and a key of several words in quotes"),
    (
        "Expected ']'",
        'write a job as [jobs.NAME], and a name of several words in quotes: [jobs."NAME"]',
    ),
    ("Expected newline", "write one setting per line, and a text in quotes"),
    ("Invalid statement", "write a setting as KEY = VALUE, or a job as [jobs.NAME]"),
    (
        "Invalid initial character",
        "a key or a name with other characters than letters, digits, - and _ is written in quotes",
    ),
    ("Cannot declare", "this heading is there twice: give the job another name, or remove one"),
    ("Cannot overwrite", "this key has a value already: keep one of them"),
    ("Cannot mutate", "this key has a value already: keep one of them"),
)
# endings of the files written next to the job folders
_OURS = ("batch.json", "batch.html", ".failed.json", MANIFEST)
LONGEST_NAME = 120  # letters of a job's name, which is also used for files next to its folder
LONGEST_BYTES = 200  # bytes of it: most disks allow 255
MOST_ALIKE = 10  # mistakes of one kind that are listed; the rest are counted


class Mistake(NamedTuple):
    """A mistake in a job file.  kind: what mistakes like it have in common: a key, or what is wrong
    with a job.  sentence: what to say."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Job:
    """One bake.  name: of its folder.  settings: by the names of SETTINGS, with absolute paths,
    without unset ones.
    unread: names of settings that have a wrong value, and are not among the others."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    def arguments(self, out: str) -> list[str]:
        """Options of `bake.py` that bake it into the folder `out`."""
        return [
            f"--out={out}",
            *(
                argument
                for name, value in self.settings.items()
                for argument in SETTINGS[name].arguments(value)
            ),
        ]


@dataclass(frozen=True)
class Jobs:
    """The content of a job file.  out: the folder that the file names, absolute; None if it names
    none.

    refused: the reason why a job cannot be baked, by its name; the others can.
    """

    jobs: tuple[Job, ...]
    out: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


# finds mistakes in what jobs name: missing files and the like
Look = Callable[[list[Job]], list[Mistake]]


def read_file(
    path: str, defaults: Mapping[str, object] = DEFAULTS, look: Look | None = None
) -> Jobs:
    """The jobs of a job file. defaults: settings for jobs that do not set them.

    Raises BadRequest with a line for each mistake. look: then finds what else is wrong with these
    jobs, so that all is said at once.
    """
    if problem := not_a_file(path):
        raise BadRequest(f"{problem}: name another with --jobs")
    name, folder = os.path.basename(path), os.path.dirname(os.path.abspath(path))
    try:
        with open(path, "rb") as file:
            # Windows' editors begin a file with a byte order mark
            text = file.read(LONGEST).decode("utf-8-sig")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"“{name}” is not text in UTF-8: save it in this encoding, or name another with --jobs"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(_syntax_error(name, text, str(error))) from error
    except ValueError as error:  # Python reads no number of more than 4300 digits
        raise BadRequest(
            f"“{name}” cannot be read as TOML (a number in it has too many digits): correct it"
        ) from error
    except RecursionError as error:
        raise BadRequest(
            f"“{name}” cannot be read as TOML (lists within too many lists): correct it"
        ) from error
    except OSError as error:
        raise BadRequest(
            f"“{name}” cannot be read ({error.strerror}): name another with --jobs"
        ) from error
    return read(data, name, folder, defaults, look)


def list_mistakes(mistakes: Iterable[Mistake]) -> str:
    """A line for each mistake; of many of one kind the first MOST_ALIKE, and how many more there
    are."""
    mistakes = list(mistakes)
    count, lines, shown_of = Counter(mistake.kind for mistake in mistakes), [], Counter[str]()
    for kind, sentence in mistakes:
        shown_of[kind] += 1
        if shown_of[kind] <= MOST_ALIKE:
            lines.append(sentence[0].upper() + sentence[1:])
        if shown_of[kind] == MOST_ALIKE < count[kind]:
            lines.append(f"… and {count[kind] - MOST_ALIKE} more like this")
    return "\n".join(lines)


def _syntax_error(name: str, text: str, reason: str) -> str:
    """The sentence about a file that is not TOML: its line, and what is expected there. reason: of
    tomllib."""
    lines = text.split("\n")
    last = len(text.rstrip().split("\n"))
    number = min(
        int(match[1]) if (match := re.search(r"at line (\d+)", reason)) else last, len(lines)
    )
    cause = re.sub(r" \(at .*\)$", "", reason)
    expected = next(
        (words for beginning, words in _EXPECTED if cause.startswith(beginning)),
        f"TOML does not allow this ({cause})",
    )
    return f"“{name}”, line {number}, “{shorten(lines[number - 1].strip())}”: {expected}"


def read(
    data: Mapping[str, Any],
    name: str,
    folder: str,
    defaults: Mapping[str, object] = DEFAULTS,
    look: Look | None = None,
) -> Jobs:
    """The jobs of a job file's content. name, folder: of the file. look: see `read_file`. Raises
    BadRequest."""
    wrong = [
        Mistake("unknown key", f"“{name}” has an unknown key “{shorten(key)}”{_nearest(key, TOP)}")
        for key in data
        if key not in TOP
    ]
    out, common, tables = data.get("out"), data.get("defaults", {}), data.get("jobs", {})
    try:
        out = None if out is None else read_text(out)
    except Wrong as reason:
        wrong.append(Mistake("out", f"“{name}”: “out” = {quote(out)} {reason}"))
    for key, table in (("defaults", common), ("jobs", tables)):
        if not isinstance(table, dict):
            raise BadRequest(
                f"“{name}”: “{key}” is no table: write "
                f"[{key if key == 'defaults' else 'jobs.NAME'}] above its settings"
            )
    for_each, unread_of_all, mistakes = _values(common, f"“{name}”: [defaults]")
    wrong += mistakes
    if not tables:
        wrong.append(
            Mistake(
                "no jobs", f"“{name}” has no jobs: write [jobs.NAME] above the settings of each"
            )
        )
    for_all = {**defaults, **make_absolute(for_each, folder)}
    jobs = []
    for job, table in tables.items():
        if not isinstance(table, dict):
            sentence = (
                f"“{name}”: job “{shorten(job)}” is no table: write [jobs.{shorten(job)}] "
                f"above its settings"
            )
            wrong.append(Mistake("no table", sentence))
            continue
        where = f"job “{shorten(job)}”"
        given, unread, mistakes = _values(table, where)
        wrong += mistakes + _lacking(table, {**defaults, **common, **table}, where)
        settings = _merge(for_all, make_absolute(given, folder))
        unread |= unread_of_all.difference(given)
        jobs.append(
            Job(
                job,
                {key: value for key, value in settings.items() if key not in unread},
                frozenset(unread),
            )
        )
    wrong += [Mistake("name", sentence) for sentence in bad_names(tables)]
    if wrong:
        raise BadRequest(list_mistakes(wrong + (look(jobs) if look is not None else [])))
    return Jobs(
        tuple(jobs),
        None if out is None else os.path.normpath(os.path.join(folder, os.path.expanduser(out))),
    )


def read_folder(path: str, defaults: Mapping[str, object] = DEFAULTS) -> Jobs:
    """A job for each sound file of a folder, in the order of their names. Raises BadRequest."""
    try:
        with os.scandir(path) as found:
            entries = [
                each
                for each in found
                if os.path.splitext(each.name)[1].lower() in SOUNDS
                and not each.name.startswith(".")
            ]
            # which no link to itself fails
            names = sorted(each.name for each in entries if not os.path.isdir(each.path))
    except OSError as error:
        raise BadRequest(
            f"The folder “{path}” cannot be read ({error.strerror}): name another with --jobs"
        ) from error
    if not names:
        raise BadRequest(f"The folder “{path}” holds no sound files: name another with --jobs")
    printable_names = list(map(printable, names))
    jobs = name_jobs(
        [
            (os.path.splitext(name)[0], {"audio": os.path.join(path, name)}, name)
            for name in printable_names
        ],
        defaults,
    )
    refused = {
        job.name: why_not
        for job, name in zip(jobs, names)
        if (why_not := _no_sound(os.path.join(path, name)))
    }
    return Jobs(jobs, refused=refused)


def _no_sound(path: str) -> str:
    """The reason why a file that was found cannot be baked, a sentence; "" if it can as far as its
    name and kind tell."""
    if not is_utf8(path):
        return f"The name “{printable(path)}” is not valid UTF-8: rename the file"
    problem = not_a_file(path)
    return f"{problem}: repair it or take it out of the folder" if problem else ""


def name_jobs(
    listed: Iterable[tuple[str, Mapping[str, object], str]], defaults: Mapping[str, object]
) -> tuple[Job, ...]:
    """Jobs of (name, settings, longer name); the longer name is used where two have the same name,
    and a number after that."""
    listed = [
        (folder_name(name), settings, folder_name(longer)) for name, settings, longer in listed
    ]
    count = Counter(_fold_case(name) for name, _, _ in listed)
    taken: set[str] = set()
    return tuple(
        Job(
            free_name(longer if count[_fold_case(name)] > 1 else name, taken),
            _merge(defaults, make_absolute(settings, os.getcwd())),
        )
        for name, settings, longer in listed
    )


def free_name(name: str, taken: set[str]) -> str:
    """A name, with a number where it is taken already; it is taken from then on."""
    base, number = name, 1
    while _fold_case(name) in taken:
        number += 1
        name = f"{base} {number}"
    taken.add(_fold_case(name))
    return name


def folder_name(name: str) -> str:
    """A name as a folder can have it on every system."""
    clean = "".join(
        "_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in name
    )[:LONGEST_NAME]
    clean = clean.encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").strip(" .")
    taken = clean.casefold().split(".")[0] in _DEVICES or clean.casefold().endswith(_OURS)
    return f"{clean}_" if taken else clean or "job"


def choose_jobs(jobs: Iterable[Job], names: Iterable[str]) -> tuple[Job, ...]:
    """Those of the jobs that have these names. Raises BadRequest."""
    by_name = {job.name: job for job in jobs}
    for name in names:
        if name not in by_name:
            raise BadRequest(
                f"There is no job “{shorten(name)}”{_nearest(name, tuple(by_name), 'the jobs are')}"
            )
    return tuple(by_name[name] for name in dict.fromkeys(names))


def bad_names(names: Iterable[str]) -> list[str]:
    """Errors in names of jobs, which become names of folders; a sentence each."""
    wrong: list[str] = []
    taken: dict[str, str] = {}
    for name in names:
        if folder_name(name) != name:
            where = f"job “{shorten(name)}”"
            wrong.append(
                f"{where}: a folder is called after it, which cannot have this name: "
                f"“{folder_name(name)}” can be one"
            )
        if _fold_case(name) in taken:
            wrong.append(
                f"jobs “{taken[_fold_case(name)]}” and “{name}”: some disks take their folders for "
                f"one: rename one of them"
            )
        taken[_fold_case(name)] = name
    return wrong


def _values(
    table: Mapping[str, object], where: str
) -> tuple[dict[str, object], set[str], list[Mistake]]:
    """(values of the settings of a table, names of those whose value is wrong, what is wrong with
    the table)."""
    values, unread, wrong = {}, set(), []
    for key, value in table.items():
        if key not in SETTINGS:
            wrong.append(
                Mistake(
                    "unknown key",
                    f"{where} has an unknown key “{shorten(key)}”{_nearest(key, tuple(SETTINGS))}",
                )
            )
            continue
        try:
            values[key] = SETTINGS[key].read(value)
        except Wrong as reason:
            unread.add(key)
            wrong.append(Mistake(key, f"{where}: “{key}” = {quote(value)} {reason}"))
    return values, unread, wrong


def _lacking(given: Mapping[str, object], table: Mapping[str, object], where: str) -> list[Mistake]:
    """Missing or conflicting settings. given: the settings of the job's table; table: all settings
    in effect."""
    wrong = []
    voices = [f"“{name}”" for name in VOICES if name in given] or [
        name for name in VOICES if name in table
    ]
    if len(voices) > 1:
        wrong.append(
            Mistake("voices", f"{where} has both {' and '.join(voices)}: keep one of them")
        )
    elif not voices:
        lacks = (
            "has no voice: name a sound file as “audio”, or a scene as “blend” and one of "
            "its strips as “strip”"
        )
        wrong.append(Mistake("no voice", f"{where} {lacks}"))
    elif "strip" in given and "blend" not in table:
        wrong.append(
            Mistake(
                "no scene",
                f"{where} has a “strip” but no scene that it lies in: name it as “blend”",
            )
        )
    if "speakers" in table and "strip" not in table:
        wrong.append(
            Mistake(
                "speakers",
                f"{where} has “speakers” but no “strip” of which they speak frames: name it",
            )
        )
    for key, source in _GIVEN_BY.items():
        if key in given and source in given:
            wrong.append(
                Mistake(
                    "both",
                    f"{where} has both “{key}” and “{source}”, which has one of its own: remove "
                    f"“{key}”",
                )
            )
    return wrong


def _merge(common: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """The settings of a job: those of its table, then those for all jobs, except those given by its
    voice or scene."""
    merged = {**common, **given}
    for key, source in (
        *_GIVEN_BY.items(),
        *((voice, other) for voice in VOICES for other in VOICES if other in given),
    ):
        if source in merged and key not in given:
            merged.pop(key, None)
    return merged


def _nearest(key: str, names: tuple[str, ...], otherwise: str = "allowed are") -> str:
    """The end of a sentence about an unknown name: the likely name, or all names."""
    allowed = f"{otherwise} {', '.join(names[:40])}{' …' if len(names) > 40 else ''}"
    return f": {suggest(key, names) or allowed}"


def _fold_case(name: str) -> str:
    """A name as a disk that ignores case compares it."""
    return unicodedata.normalize("NFC", name).casefold()
