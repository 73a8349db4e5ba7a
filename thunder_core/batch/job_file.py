# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads job files in TOML, or folders of sound files. All mistakes are found at once, before
anything is baked."""

import errno
import os
import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

from .. import text_files
from ..errors import BadRequest, suggest
from ..files import is_utf8, MANIFEST, not_a_file, printable, read_bytes
from .settings import (
    BadSetting,
    DEFAULTS,
    make_absolute,
    quote,
    RECOGNISER,
    SETTINGS,
    shorten,
    text as read_text,
    VOICES,
)

SOUNDS = frozenset(
    ".aac .ac3 .aif .aifc .aiff .au .caf .flac .m4a .m4b .mka .mp2 .mp3"
    " .oga .ogg .opus .wav .wma".split()
)
TOP = ("out", "defaults", "jobs")  # keys of a job file
LONGEST = 2**22  # largest job file, bytes: a hundred thousand jobs, which take seconds to read
_MOST_PARTS = 20  # of a key with dots; Python's parser takes the square of their number
_QUOTED = re.compile(
    r'''"""[\s\S]*?"""|\'{3}[\s\S]*?\'{3}|"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|#.*'''
)
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
PICKED = "picked"  # folder of scenes with picked takes, beside those of the jobs
# endings of the files written next to the job folders
_OURS = ("batch.json", "batch.html", ".failed.json", MANIFEST)
LONGEST_NAME = 120  # letters of a job's name, which is also used for files next to its folder
LONGEST_BYTES = 200  # bytes of it: most disks allow 255
_MOST_MISTAKES = 30  # that are listed; the rest are counted


@dataclass(frozen=True)
class BakeJob:
    """One bake.  name: of its folder.  settings: by the names of SETTINGS, with absolute paths,
    without unset ones."""

    name: str
    settings: Mapping[str, object] = field(default_factory=dict)

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

    refused: the reason why a job cannot be baked, by its name; the others can.  mistakes: a
    sentence each; the jobs lack the settings that are wrong.
    """

    jobs: tuple[BakeJob, ...]
    out: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()


def read_file(path: str, defaults: Mapping[str, object] = DEFAULTS) -> Jobs:
    """The jobs of a job file, and what is wrong with it. defaults: settings for jobs that do not
    set them. Raises BadRequest if it cannot be read."""
    if problem := not_a_file(path):
        raise BadRequest(f"{problem}: name another with --jobs")
    name, folder = os.path.basename(path), os.path.dirname(os.path.abspath(path))
    try:
        text, encoding = text_files.decode(read_bytes(path, LONGEST))
        if encoding == text_files.WINDOWS:  # names of files in it must not be guessed
            raise text_files.NotText("is not text in UTF-8")
        if any(
            each.count(".") > _MOST_PARTS
            for each in re.split(r"[^\w.\- \t]+", _QUOTED.sub("_", text))
        ):
            raise ValueError(f"a key of more than {_MOST_PARTS} parts")
        data = tomllib.loads(text)
    except text_files.NotText as error:
        raise BadRequest(f"“{name}” {error}: save it as plain text in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"“{name}” cannot be read as TOML ({shorten(str(error))}): correct it"
        ) from error
    except OSError as error:
        advice = (
            "write its jobs into several files"
            if error.errno == errno.EFBIG
            else "name another with --jobs"
        )
        raise BadRequest(f"“{name}” cannot be read ({error.strerror}): {advice}") from error
    return read(data, name, folder, defaults)


def refuse(mistakes: Iterable[str]) -> None:
    """Raise BadRequest with a line for each mistake, if there is any; of many the first, and how
    many more."""
    lines = [sentence[0].upper() + sentence[1:] for sentence in mistakes]
    if len(lines) > _MOST_MISTAKES:
        lines[_MOST_MISTAKES:] = [f"… and {len(lines) - _MOST_MISTAKES} more"]
    if lines:
        raise BadRequest("\n".join(lines))


def read(
    data: Mapping[str, Any], name: str, folder: str, defaults: Mapping[str, object] = DEFAULTS
) -> Jobs:
    """The jobs of a job file's content. name, folder: of the file. Raises BadRequest."""
    wrong = [
        f"“{name}” has an unknown key “{shorten(key)}”"
        + (_nearest(key, TOP) if number < _MOST_MISTAKES else "")
        for number, key in enumerate(data)
        if key not in TOP
    ]
    out, common, tables = data.get("out"), data.get("defaults", {}), data.get("jobs", {})
    for key, table in (("defaults", common), ("jobs.NAME", tables)):
        if not isinstance(table, dict):
            raise BadRequest(
                f"“{name}”: “{key.partition('.')[0]}” is no table: write [{key}] above its settings"
            )
    try:
        out = (
            None
            if out is None
            else os.path.normpath(os.path.join(folder, os.path.expanduser(read_text(out))))
        )
    except BadSetting as reason:
        wrong.append(f"“{name}”: “out” = {quote(out)} {reason}")
    for_each = _values(common, f"“{name}”: [defaults]", wrong)
    for_all = {**defaults, **make_absolute(for_each, folder)}
    if not tables:
        wrong.append(f"“{name}” has no jobs: write [jobs.NAME] above the settings of each")
    jobs = []
    for job, table in tables.items():
        where = f"job “{shorten(job)}”"
        if not isinstance(table, dict):
            wrong.append(
                f"“{name}”: {where} is no table: write [jobs.{shorten(job)}] above its settings"
            )
            continue
        given = _values(table, where, wrong)
        wrong += _lacking(table, {**defaults, **common, **table}, where)
        jobs.append(BakeJob(job, _merge(for_all, make_absolute(given, folder))))
    return Jobs(tuple(jobs), out, mistakes=(*wrong, *bad_names(tables)))


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
) -> tuple[BakeJob, ...]:
    """Jobs of (name, settings, longer name); the longer name is used where two have the same name,
    and a number after that."""
    listed = [
        (folder_name(name), settings, folder_name(longer)) for name, settings, longer in listed
    ]
    alike = Counter(_fold_case(name) for name, _, _ in listed)
    taken: set[str] = set()
    return tuple(
        BakeJob(
            free_name(longer if alike[_fold_case(name)] > 1 else name, taken),
            _merge(defaults, make_absolute(settings, os.getcwd())),
        )
        for name, settings, longer in listed
    )


def free_name(name: str, taken: set[str]) -> str:
    """A name, with a number where it is taken already; it is taken from then on."""
    names = chain([name], (f"{name} {number}" for number in count(2)))
    free = next(each for each in names if _fold_case(each) not in taken)
    taken.add(_fold_case(free))
    return free


def folder_name(name: str) -> str:
    """A name as a folder can have it on every system."""
    clean = "".join(
        "_" if letter in '<>:"/\\|?*' or ord(letter) < 32 else letter for letter in name
    )[:LONGEST_NAME]
    clean = clean.encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").strip(" .")
    folded = clean.casefold()
    taken = folded.split(".")[0] in {*_DEVICES, PICKED} or folded.endswith(_OURS)
    return f"{clean}_" if taken else clean or "job"


def choose_jobs(jobs: Iterable[BakeJob], names: Iterable[str]) -> tuple[BakeJob, ...]:
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


def _values(table: Mapping[str, object], where: str, wrong: list[str]) -> dict[str, object]:
    """The values of the settings of a table; sentences about those that are wrong go to `wrong`."""
    values = {}
    for key, value in table.items():
        if key not in SETTINGS:
            # of many mistakes only the first are shown
            near = _nearest(key, tuple(SETTINGS)) if len(wrong) < _MOST_MISTAKES else ""
            wrong.append(f"{where} has an unknown key “{shorten(key)}”{near}")
            continue
        try:
            values[key] = SETTINGS[key].read(value)
        except BadSetting as reason:
            wrong.append(f"{where}: “{key}” = {quote(value)} {reason}")
    return values


def _lacking(given: Mapping[str, object], table: Mapping[str, object], where: str) -> list[str]:
    """Missing or conflicting settings. given: the settings of the job's table; table: all settings
    in effect."""
    wrong = []
    voices = [f"“{name}”" for name in VOICES if name in given]
    if len(voices) > 1:
        wrong.append(f"{where} has both {' and '.join(voices)}: keep one of them")
    elif not any(name in table for name in VOICES):
        wrong.append(
            f"{where} has no voice: name a sound file as “audio”, or a scene as “blend” and one of "
            f"its strips as “strip”"
        )
    elif "strip" in given and "blend" not in table:
        wrong.append(f"{where} has a “strip” but no scene that it lies in: name it as “blend”")
    wrong += [
        f"{where} has “{key}” but does not recognize words: add recognise = true, or remove it"
        for key in RECOGNISER
        if key in given and not table.get("recognise")
    ]
    return wrong + [
        f"{where} has both “{key}” and “{source}”, which has one of its own: remove “{key}”"
        for key, source in _GIVEN_BY.items()
        if key in given and source in given
    ]


def _merge(common: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """The settings of a job: those of its table, then those for all jobs, except those given by its
    voice or scene, and those of what recognises words where it does not."""
    merged = {**common, **given}
    if not merged.get("recognise"):
        merged = {key: merged[key] for key in merged if key in given or key not in RECOGNISER}
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
