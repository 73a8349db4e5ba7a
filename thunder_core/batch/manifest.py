# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the inputs and outputs of a bake, so that the next run bakes only what has changed.

The manifest of a job is the part MADE_FROM of `report.json` in its folder, with the hashes of the
files that it read, and thunder-files.json next to it, with those of the files that it wrote. Both
are renamed together with all other files of the job (`files.Transaction`), so an interrupted job
has the previous manifest, or none. A job that failed leaves its sentence in NAME.failed.json beside
its folder; that and the run's report are listed in a separate thunder-files.json there, so that
files of the user's stay.
"""

import contextlib
import hashlib
import json
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from ..engine_python import ROOT
from ..files import files_written, hash_of, JOURNAL, Transaction
from ..text_files import read_text
from . import dailies
from .job_file import BakeJob, free_name
from .settings import CURVES, path_names

REPORT = "report.json"
MADE_FROM = "made_from"
FAILED_FILE = ".failed.json"
COLLECTED = "_takes"  # ending of the name of a scene with the takes of several jobs
NOT_YET = "not baked yet"  # of `what_changed`
_NOT_OURS = "its report was changed or is damaged"
JSON_NAME = "batch.json"
_LONGEST = 2**26  # largest file that is read, bytes


def version() -> str:
    """The add-on's version."""
    with open(os.path.join(ROOT, "blender_manifest.toml"), "rb") as file:
        return tomllib.load(file)["version"]


@dataclass(frozen=True)
class Maker:
    """Versions of the add-on and of Blender, and the fingerprint of the weights."""

    thunder: str
    blender: str
    weights: str


def made_from(
    job_settings: Mapping[str, object],
    maker: Maker,
    styles: Mapping[str, str],
    used: list[str],
    hashes: Mapping[str, str] | None = None,
) -> dict:
    """The inputs of a job, as in its report. styles: the text of a named preset, under “style”.

    used: other files that the scene uses.  hashes: of files by their paths, where they were known
    when the files were read. Raises OSError.
    """
    paths, known_hashes = path_names(job_settings), hashes or {}
    inputs = {
        name: known_hashes.get(path) or hash_of(path)
        for name in paths
        if (path := str(job_settings[name]))
    }
    inputs |= {
        name: hashlib.sha256(text.encode("utf-8")).hexdigest()
        for name, text in styles.items()
        if name not in paths
    }
    job_files = {os.path.realpath(str(job_settings[name])) for name in paths}
    others = sorted(
        {path for path in used if os.path.isfile(path) and os.path.realpath(path) not in job_files}
    )
    return {
        # of files the content counts
        "settings": {name: value for name, value in job_settings.items() if name not in paths},
        "inputs": inputs,
        "used": {path: known_hashes.get(path) or hash_of(path) for path in others},
        "weights": maker.weights,
        "thunder": maker.thunder,
        "blender": maker.blender,
    }


# ---- what the values in files that a bake wrote may be, so that a damaged file of one job ends
# neither the run nor its page, and no name in it leads elsewhere

Form = Callable[[Any], bool]
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_LONGEST_CURVE = 2**19  # letters: as many as the peaks of an hour have
_LONGEST_LIST = 1000


def _number(least: float, most: float, kind: Any = (int, float)) -> Form:
    return lambda value: (
        isinstance(value, kind) and not isinstance(value, bool) and least <= value <= most
    )


def _list_of(form: Form) -> Form:
    return lambda value: (
        isinstance(value, list) and len(value) <= _LONGEST_LIST and all(map(form, value))
    )


def _or_none(form: Form) -> Form:
    return lambda value: value is None or form(value)


def _table(needed: Mapping[str, Form], others: Mapping[str, Form] | None = None) -> Form:
    """A table with what is needed; its other entries, where they are there, have these forms."""
    return lambda value: (
        isinstance(value, dict)
        and all(name in value and form(value[name]) for name, form in needed.items())
        and all(form(value[name]) for name, form in (others or {}).items() if name in value)
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and os.path.basename(value) == value and value not in ("", ".", "..")


def _is_curve(value: Any) -> bool:
    return (
        _is_text(value)
        and len(value) <= _LONGEST_CURVE
        and len(value) % 4 == 0
        and _BASE64.fullmatch(value) is not None
    )


_SECONDS, _SEED = _number(0, 86400), _number(0, 2**63, int)
_TAKE = _table(
    {"rank": _number(1, 10_000, int), "name": _is_text, "seed": _SEED},
    {"score": _or_none(_number(-1000, 1000)), "video": _or_none(_is_file_name), "action": _is_text},
)
_SHOWN = _table(
    {},
    {
        "opening": _is_curve,
        "width": _is_curve,
        "grade": lambda value: value in ("good", "check", "poor", ""),
        "reason": _is_text,
        "drifts": _list_of(lambda each: _list_of(_SECONDS)(each) and len(each) == 2),
    },
)

# of a job its report, and what its page shows; of a run its report
_FORMS = {
    REPORT: _table(
        {},
        {
            "takes": _list_of(_TAKE),
            "seconds": _table({"all": _SECONDS}),
            "warnings": _list_of(_is_text),
            "notes": _list_of(_is_text),
            "blend": _or_none(_is_file_name),
            "made_from": _table(
                {}, {"settings": _table({}), "inputs": _are_texts, "used": _are_texts}
            ),
        },
    ),
    CURVES: _table({}, {"seconds": _SECONDS, "peaks": _is_curve, "takes": _list_of(_SHOWN)}),
    JSON_NAME: _table(
        {},
        {
            "source": _is_text,
            "scenes": _list_of(
                _table({"file": _is_file_name, "jobs": _list_of(_is_text)}, {"sentence": _is_text})
            ),
        },
    ),
}
# of a scene with the takes of several jobs
_SCENE_FORM = _table(
    {}, {"takes": _list_of(_table({"job": _is_text, "seed": _SEED, "action": _is_text}))}
)


def read_report(folder: str, name: str = REPORT) -> dict:
    """The report in the folder of a job, or another file of a dictionary that a bake wrote there;
    empty if there is none, it cannot be read, or it is not as a bake wrote it.

    So no other code has to expect what an edit by hand or a damaged disk may have left there, and
    one job of many that does not end the others.
    """
    path = os.path.join(folder, name)
    with contextlib.suppress(OSError):
        if files_written(folder).get(name) == hash_of(path):
            return read_json(path, _FORMS[name])
    return {}


def read_json(path: str, form: Form | None = None) -> dict:
    """The dictionary in a file; empty if there is none, it cannot be read, or it has another
    form."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_text(path, _LONGEST))
        return content if isinstance(content, dict) and (form is None or form(content)) else {}
    return {}


def what_changed(job: BakeJob, folder: str, maker: Maker, styles: Mapping[str, str]) -> str:
    """The reason why a job has to be baked, in a few words; "" if its folder is up to date.

    folder: of the job.  styles: see `made_from`.
    """
    report = read_report(folder)
    if os.path.lexists(os.path.join(folder, JOURNAL)):
        return NOT_YET
    if not report and os.path.lexists(os.path.join(folder, REPORT)):
        return _NOT_OURS
    before = report.get(MADE_FROM)
    if not isinstance(before, dict):
        return NOT_YET
    try:
        return _changed_input(job, before, maker, styles) or _changed_output(folder)
    except OSError as error:
        return f"“{os.path.basename(error.filename or folder)}” cannot be read"


def _changed_input(job: BakeJob, before: dict, maker: Maker, styles: Mapping[str, str]) -> str:
    now = made_from(job.settings, maker, styles, list(before.get("used", ())))
    now = json.loads(json.dumps(now))  # as it is read from a file
    for part, words in (
        ("settings", "“{}” changed"),
        ("inputs", "the file of “{}” changed"),
        ("used", "“{}” changed"),
    ):
        for name in sorted({*now[part], *before.get(part, {})}):
            if now[part].get(name) != before.get(part, {}).get(name):
                return words.format(os.path.basename(name))
    for part, words in (
        ("weights", "other weights"),
        ("thunder", "another version"),
        ("blender", "another Blender"),
    ):
        if now[part] != before.get(part):
            return words
    return ""


def _changed_output(folder: str) -> str:
    for name, digest in files_written(folder).items():
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            return f"“{name}” is missing"
        if hash_of(path) != digest:
            return f"“{name}” changed"
    return ""


# ---- scenes of which several jobs bake strips: their takes are collected in one besides those of
# the jobs (cli/collect.py) It is NAME_takes.blend in the folder of all jobs, beside
# NAME_takes.json, which lists its takes and the jobs' files that they come from.


@dataclass(frozen=True)
class SharedScene:
    """name: of the collected scene, without an ending.  blend: the file that the jobs bake in.
    jobs: those that bake its strips."""

    name: str
    blend: str
    jobs: tuple[BakeJob, ...]


def shared_scenes(jobs: Iterable[BakeJob]) -> list[SharedScene]:
    """The scenes of which at least two jobs bake strips into a .blend, in the order of the jobs."""
    by_scene: dict[str, list[BakeJob]] = {}
    for job in jobs:
        if (
            "strip" in job.settings
            and "blend" in job.settings
            and "blend" in cast(list, job.settings.get("outputs", []))
        ):
            by_scene.setdefault(os.path.realpath(str(job.settings["blend"])), []).append(job)
    taken: set[str] = set()
    scenes = [
        SharedScene(free_name(Path(blend).stem + COLLECTED, taken), blend, tuple(of_scene))
        for of_scene in by_scene.values()
        for blend in [str(of_scene[0].settings["blend"])]
    ]
    return [scene for scene in scenes if len(scene.jobs) > 1]


def blend_of_job(out: str, job: BakeJob) -> str:
    """The scene that a job has written."""
    return os.path.join(out, job.name, f"{Path(str(job.settings['blend'])).stem}.blend")


def sources_of_scene(out: str, jobs: Iterable[BakeJob]) -> dict[str, str]:
    """Hash of the scene that each job has written, by the job's name; without jobs that have
    written none."""
    listed = (
        (
            job.name,
            files_written(os.path.join(out, job.name)).get(
                os.path.basename(blend_of_job(out, job))
            ),
        )
        for job in jobs
    )
    return {name: digest for name, digest in listed if digest}


def is_scene_up_to_date(out: str, scene: SharedScene, made_from: dict[str, str]) -> bool:
    """Whether the collected scene is there and was made from these files. One that somebody has
    changed since is left alone."""
    if not os.path.isfile(os.path.join(out, f"{scene.name}.blend")):
        return False
    return read_collected(out, scene.name).get(MADE_FROM) == made_from


def read_collected(out: str, name: str) -> dict:
    """What is listed of the scene of that name with the takes of several jobs, empty if it cannot
    be read."""
    return read_json(os.path.join(out, f"{name}.json"), _SCENE_FORM)


# ---- jobs that failed


def note_failure(
    out: str, job: str, sentence: str, log: str = "", force: bool = False, source: str = ""
) -> Transaction:
    """Write why a job failed; returns how that was written. source: path of the job file, folder or
    scene that lists it. Raises ThunderError, also where a file of the user's has its name."""
    more = {name: text for name, text in (("source", source), ("log", log)) if text}
    content = {"job": job, "sentence": sentence, **more}
    with Transaction(out, force) as written:
        written.write(job + FAILED_FILE, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return written


def forget_failure(out: str, job: str) -> None:
    """Remove a job's record of failure, if it is as we wrote it. Raises ThunderError."""
    if failure_of(out, job):
        with Transaction(out) as written:
            written.remove(re.compile(re.escape(job + FAILED_FILE)))


def forget_unlisted(out: str, source: str, jobs: Iterable[BakeJob]) -> None:
    """Remove the records of failed jobs that a source listed once and, with these jobs, lists no
    longer; those of other sources stay. Raises ThunderError."""
    listed = {job.name + FAILED_FILE for job in jobs}
    for name in files_written(out):
        if name.endswith(FAILED_FILE) and name not in listed:
            if read_json(os.path.join(out, name)).get("source") == source:
                forget_failure(out, name.removesuffix(FAILED_FILE))


def failure_of(out: str, job: str) -> str:
    """The sentence with which a job failed, "" if it did not."""
    content = read_json(os.path.join(out, job + FAILED_FILE))
    return str(content.get("sentence", "")) if content.get("job") == job else ""


# ---- the report of a run: batch.json for programs, batch.html for people (dailies.py).
# Both are made from the files in the folder, so that a final run can report many runs of one job
# each, as on a farm.


HTML_NAME = "batch.html"
STATES = BAKED, UP_TO_DATE, FAILED, NOT_BAKED = "baked", "up to date", "failed", "not baked"
BAKING = "being baked"  # state while a run goes on


def collect_report(
    out: str,
    jobs: Iterable[BakeJob],
    states: Mapping[str, str],
    maker: Maker,
    notes: Mapping[str, Mapping] | None = None,
    scenes: Iterable[Mapping] = (),
    source: str = "",
) -> dict:
    """The content of the report. states: of each job, by name.  notes: further data of this run's
    jobs (sentence, node).
    scenes: with the takes of several jobs: file, blend, jobs, and sentence if it was not
    written.  source: path of the job file, folder or scene that lists the jobs."""
    rows = [
        _row(out, job, states.get(job.name, NOT_BAKED), dict((notes or {}).get(job.name, {})))
        for job in jobs
    ]
    counts = {state: sum(row["state"] == state for row in rows) for state in STATES}
    return {
        **asdict(maker),
        "source": _from(out, source),
        "counts": counts,
        "scenes": [dict(scene) for scene in scenes],
        "jobs": rows,
    }


def other_source(out: str, source: str) -> str:
    """The source of the report that a folder holds, "" if that is this one or is not known."""
    known = read_report(out, JSON_NAME).get("source", "")
    known = os.path.normpath(os.path.join(out, known)) if known else ""
    return "" if known == source else known


def _from(out: str, path: str) -> str:
    """A path as seen from the folder of a run's report, which is made to be copied; "" for none."""
    try:
        return os.path.relpath(path, out) if path else ""
    except ValueError:  # on another drive of Windows
        return os.path.basename(path)


def while_running(report: dict, running: Mapping[str, str], summary: str) -> dict:
    """The report of a run that goes on. running: what each job does that is being baked.  summary:
    of the run."""
    rows = [
        row | ({"state": BAKING, "doing": running[row["name"]]} if row["name"] in running else {})
        for row in report["jobs"]
    ]
    return report | {"running": f"{summary} at {time.strftime('%H:%M:%S')}", "jobs": rows}


def write_report(out: str, report: dict, force: bool = False) -> Transaction:
    """Write the report as JSON and as a page; returns how they were written. Raises ThunderError,
    also for files of the user's."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    with Transaction(out, force) as written:
        written.write(JSON_NAME, text)
        names = (row["name"] for row in report["jobs"])
        curves = {name: read_report(os.path.join(out, name), CURVES) for name in names}
        written.write(HTML_NAME, dailies.page(report, curves))
    return written


def _row(out: str, job: BakeJob, state: str, notes: dict) -> dict:
    """The report's row for a job."""
    settings = dict(job.settings)
    settings |= {name: _from(out, str(settings[name])) for name in path_names(settings)}
    row = {"name": job.name, "state": state, **notes, "settings": settings}
    if state == FAILED:
        row.setdefault("sentence", failure_of(out, job.name))
    return row | (_baked(out, job.name) if state in (BAKED, UP_TO_DATE) else {})


# entries of a job's report that its row has
_KEPT = ("takes", "warnings", "notes", "seconds", "sheet", "direction", "transcript", "recognised")


def _baked(out: str, name: str) -> dict:
    """What a job's report says for its row."""
    folder = os.path.join(out, name)
    baked, said = read_report(folder), dict[str, Any]()
    if not baked:
        said["sentence"] = f"The report of “{name}” is missing or damaged: bake it again"
    made_from = dict(baked.get(MADE_FROM, {}))
    if used := made_from.get("used"):
        made_from["used"] = {_from(out, path): digest for path, digest in used.items()}
    said |= {MADE_FROM: made_from, "files": files_written(folder)}
    return said | {key: baked[key] for key in _KEPT if key in baked}
