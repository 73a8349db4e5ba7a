# SPDX-License-Identifier: GPL-3.0-or-later
"""Bake many: `bake.py --jobs PATH`, where PATH is a job file (TOML), a folder of sound files, or a
scene, whose dialogue strips are baked.

Each job gets a folder of its name in `--out`. A second run bakes only what has changed, and resumes
after a kill. A job that fails leaves a sentence and the others continue. batch.json and batch.html
report all of them. Ends with code 0, with 3 if some jobs failed or were not reached, or with 1 (2
for a wrong option) if nothing could be started.

Also the process that bakes them (`bake.py --baker`): it reads requests from stdin and answers on
stdout, as described in thunder_core/batch/baker.py. It ends when its stdin is closed, even during a
job, which then leaves no files.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import functools
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TextIO

import bpy

from ..scene.engine import connection, recogniser
from ..scene.host.jobs import Step
from ..scene.takes import dialogue, take_list
from ..scene.takes.direction.head_direction import all_presets
from ..thunder_core import files
from ..thunder_core.batch import baker as baker_process, job_file, manifest
from ..thunder_core.batch.settings import (
    DEFAULTS,
    make_absolute,
    path_names,
    quote,
    SETTINGS,
    VOICES,
)
from ..thunder_core.direction_presets import is_preset_file, same_name
from ..thunder_core.engine_python import find_engine_python, ROOT
from ..thunder_core.errors import attempt, BadRequest, BadWeights, NoEngine, suggest, ThunderError
from ..thunder_core.shipped import fingerprint_of, WEIGHTS
from . import bake, check, collect, opening, products
from .options import given_by, IDLE, named_styles, read_options
from .script import count_in_words, quiet, run, say, say_kept, script_arguments, SOME_FAILED

PACE = 10.0  # interval of reports, s
FAILED_BEFORE = "failed in the last run"
_MOST_NAMES = 5  # jobs with the same mistake that are named


def main() -> None:
    """The command line of `bake.py`: one bake, many, a process that bakes for either of these, or
    `check`; exits with its code."""
    if script_arguments() == ["--baker"]:
        run("bake.py", lambda _: None, serve)
    elif script_arguments()[:1] == ["check"]:
        run("bake.py check", lambda words: check.options(words[1:]), check.check)
    else:
        run("bake.py", read_options, start)


def start(chosen: argparse.Namespace) -> int | dict:
    """Bake once or many times, or commit what was picked, as the options say; returns the exit
    code, or the report of one bake. Raises ThunderError."""
    if chosen.picks:
        return collect.commit_picks(chosen)
    if chosen.jobs:
        return bake_all(chosen)
    report = bake.bake(chosen)
    return 1 if "unseen" in report else report


def bake_all(chosen: argparse.Namespace) -> int:
    """Bake all jobs that need it; returns the exit code. Raises ThunderError if nothing can be
    started."""
    listed = read_jobs(chosen)
    jobs = job_file.choose_jobs(listed.jobs, chosen.only) if chosen.only else listed.jobs
    wrong = list(listed.mistakes)
    if not chosen.list:
        wrong += mistakes(job for job in jobs if job.name not in listed.refused)
    job_file.refuse(wrong)
    if chosen.list:
        for job in jobs:
            say(job.name)
        return 0
    out = chosen.out or listed.out
    if not out:
        raise BadRequest(
            "There is no folder to write into: name one with --out, or as “out” in the job file"
        )
    bake.check_engine(chosen.engine, chosen.weights)
    run = Run(chosen, os.path.abspath(out), listed.jobs)
    run.say_other_source()
    tasks = run.tasks(jobs)
    try:
        if tasks:
            tasks = run.without_refused(tasks, listed.refused)
            run.bake(tasks)
        if not chosen.only:
            run.forget_unlisted()
            run.collect()
    except KeyboardInterrupt:
        say(f"{run.counts()}: the same command goes on from here")
        raise
    finally:
        run.progress.stop()
        run.write_report()
    return run.end()


def events_of(
    chosen: argparse.Namespace, tasks: list[baker_process.BakeTask], maker: manifest.Maker
) -> Generator[dict, None, None]:
    """Bake tasks here or on a cluster; yields what happens. Raises NoEngine if nothing can be
    baked."""
    if not chosen.cluster:
        return baker_process.bake_here(baker_command(), tasks)
    where = baker_process.Cluster(chosen.cluster, chosen.cluster_cpus)
    python = (
        os.path.abspath(chosen.cluster_python)
        if chosen.cluster_python
        else find_engine_python(chosen.engine, connection.venvs())
    )
    return baker_process.bake_on(where, python, baker_command(), tasks, maker)


# ---- what is to be baked


def read_jobs(chosen: argparse.Namespace) -> job_file.Jobs:
    """The jobs of what --jobs names. Raises BadRequest."""
    path, defaults = os.path.abspath(chosen.jobs), defaults_of(chosen)
    if os.path.isdir(path):
        listed = job_file.read_folder(path, defaults)
    elif path.lower().endswith(".blend"):
        listed = of_scene(path, defaults, chosen.allow_newer)
    else:
        listed = job_file.read_file(path, defaults)
    return replace(listed, jobs=tuple(map(with_preset_file, listed.jobs)))


def with_preset_file(job: job_file.BakeJob) -> job_file.BakeJob:
    """The job with a user's preset given by its file instead of its name, which other machines do
    not know."""
    presets = all_presets()
    name = same_name(str(job.settings.get("style", "")), presets.user_names())
    styles = {} if name is None else {"style": str(presets.user_path(name))}
    return replace(job, settings={**job.settings, **styles})


def defaults_of(chosen: argparse.Namespace) -> dict[str, object]:
    """The settings given as options and the defaults of the others, those of the open scene
    included."""
    given = given_by(chosen)
    if chosen.npz:
        given["outputs"] = [*given.get("outputs", ["blend"]), "npz"]
    known = {
        name: SETTINGS[name].read(value) for name, value in given.items() if name not in VOICES
    }
    return {**DEFAULTS, **make_absolute(known, os.getcwd())}


def of_scene(path: str, defaults: Mapping[str, object], allow_newer: bool) -> job_file.Jobs:
    """A job for each dialogue strip of the active scene of a file, which is opened. Raises
    BadRequest."""
    with quiet():  # the output may be a list of names
        opening.open_file(path)
    opening.check_file(allow_newer)
    lines = dialogue.lines(bpy.context.scene)
    if not lines:
        raise BadRequest(
            f"The scene of “{os.path.basename(path)}” has no sound strips that somebody speaks: "
            f"name another with --jobs"
        )
    listed = [(each.strip, {"blend": path, "strip": each.strip}, each.strip) for each in lines]
    jobs = job_file.name_jobs(listed, defaults)
    return job_file.Jobs(
        jobs, refused={job.name: line.why_not for job, line in zip(jobs, lines) if line.why_not}
    )


def baker_command() -> list[str]:
    """The command that starts another Blender like this one, with the same arguments up to those
    of bake.py."""
    script = os.path.join(ROOT, "bake.py")
    if not bpy.app.binary_path:
        return [sys.executable, script]
    options = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else ["-b", "--python", script]
    return [bpy.app.binary_path, *options, "--"]


# ---- what jobs name, checked before the first of them is baked: files, presets, models, but not
# what is in a .blend; all mistakes are reported at once


def mistakes(jobs: Iterable[job_file.BakeJob]) -> list[str]:
    """Each mistake in what the jobs name, once, with all of its jobs."""
    jobs_of: dict[str, list[str]] = {}
    for job in jobs:
        for problem in _problems(job):
            jobs_of.setdefault(problem, []).append(job.name)
    return [
        f"Job{'s' if len(names) > 1 else ''} {list_names(names)}: {problem}"
        for problem, names in jobs_of.items()
    ]


def not_replaceable(task: baker_process.BakeTask) -> str:
    """The reason why a job's files cannot be written, one sentence; "" if nothing known before the
    bake prevents it."""
    settings = task.settings
    named = next(
        (str(settings[key]) for key in ("blend", "audio", "listen-to") if key in settings), IDLE
    )
    outputs = settings.get("outputs", ())
    takes, best = (int(str(settings.get(key, 1))) for key in ("takes", "export-takes"))
    wanted = products.Outputs(
        Path(named).stem, (*(outputs if isinstance(outputs, list) else ()), "dailies"), takes, best
    )
    inputs = [str(settings[key]) for key in path_names(settings)]
    return attempt(
        lambda: files.Transaction(task.out, "--force" in task.options, inputs).check(
            ["report.json", *wanted.names()]
        )
    )[1]


def _problems(job: job_file.BakeJob) -> Iterator[str]:
    """The mistakes in what a job names."""
    settings, missing = job.settings, set()
    for name in path_names(settings):
        if reason := files.not_a_file(str(settings[name])):
            missing.add(name)
            yield f"“{name}”: {reason[0].lower()}{reason[1:]}: name another"
    style = settings.get("style")
    if style is not None and "style" not in missing and (reason := _problem_of_style(str(style))):
        yield f"“style”{reason}"
    silent = next((voice for voice in ("listen-to", "seconds") if voice in settings), None)
    for name in ("transcript", "recognise"):
        if settings.get(name) and silent is not None:
            yield f"“{name}” is of a voice that the face speaks: remove it, or “{silent}”"
    if settings.get("recognise") and silent is None:
        named = (str(settings.get(name, "")) for name in ("whisper", "language"))
        if reason := attempt(recogniser.arguments, *named)[1]:
            yield f"“recognise”: {reason[0].lower()}{reason[1:]}"
    if "head" in settings and "blend" not in settings:
        yield "“head” needs a scene that it is in: name it as “blend”"


@functools.cache
def _problem_of_style(style: str) -> str:
    try:
        names = all_presets().names()
        if not is_preset_file(style) and same_name(style, names) is None:
            near = suggest(style, names) or f"choose {', '.join(names)}"
            return f" = {quote(style)} is no preset: {near}"
        all_presets().look_up(style)
    except ThunderError as error:
        return f": {error}"
    return ""


def list_names(names: list[str]) -> str:
    """Names of jobs, the first few of many."""
    first = ", ".join(f"“{name}”" for name in names[:_MOST_NAMES])
    return first + (f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else "")


# ---- a run


class Run:
    """The state of all jobs of a run; prints progress and writes the report into the folder
    `out`."""

    def __init__(
        self, chosen: argparse.Namespace, out: str, jobs: tuple[job_file.BakeJob, ...]
    ) -> None:
        self.chosen, self.out, self.jobs = chosen, out, jobs
        self.source = os.path.realpath(chosen.jobs)
        self._check([] if chosen.only else [manifest.JSON_NAME, manifest.HTML_NAME])
        self.maker = maker_of(chosen.weights)
        self.states: dict[str, str] = {}
        self.notes: defaultdict[str, dict] = defaultdict(dict)
        self.scenes: list[dict] = []  # with the takes of several jobs: rows of the report
        self.unseen = False  # whether lips do not follow in any job
        self.warned: set[str] = set()  # beginnings of warnings that were printed
        self.progress = baker_process.RunProgress(0, say)
        self.reported = time.monotonic()
        self.unwritten: set[str] = set()  # why files of the run could not be written

    def _check(self, names: list[str]) -> None:
        """Raise ThunderError if these files, which the run writes beside the jobs' folders, are the
        user's or cannot be written."""
        files.Transaction(self.out, self.chosen.force).check(names)

    def _record(self, write: Callable[[], files.Transaction | None]) -> None:
        """Write a file of the run. Where that fails the jobs go on: it is said once, and the
        run does not end with 0."""
        try:
            if (written := write()) is not None:
                say_kept(written)
        except ThunderError as error:
            if str(error) not in self.unwritten:
                say(str(error), sys.stderr)
            self.unwritten.add(str(error))

    def say_other_source(self) -> None:
        """Warn where the folder holds the report of other jobs. No refusal: these may be the same
        ones, moved."""
        if other := manifest.other_source(self.out, self.source):
            page = "" if self.chosen.only else f", and {manifest.HTML_NAME} will list only this run"
            say(
                f"“{self.out}” holds the takes of “{other}”: jobs of the same name replace them"
                f"{page}. Choose another --out to keep both",
                sys.stderr,
            )

    def tasks(self, chosen_jobs: tuple[job_file.BakeJob, ...]) -> list[baker_process.BakeTask]:
        """Tasks for the chosen jobs; prints how many there are, and why those that were baked
        before are baked again."""
        reasons: dict[str, list[str]] = {}
        tasks = []
        for job in chosen_jobs:
            if why := self._what_changed(job) or ("--again" if self.chosen.again else ""):
                why = (
                    FAILED_BEFORE
                    if why == manifest.NOT_YET and manifest.failure_of(self.out, job.name)
                    else why
                )
                self.states[job.name] = manifest.NOT_BAKED
                reasons.setdefault(why, []).append(job.name)
                tasks.append(
                    baker_process.BakeTask(
                        job.name, job.settings, os.path.join(self.out, job.name), self._options()
                    )
                )
            else:
                self.states[job.name] = manifest.UP_TO_DATE
                self._forget_failure(job.name)
        self._check([f"{task.job}{manifest.FAILED_FILE}" for task in tasks])
        up_to_date = len(chosen_jobs) - len(tasks)
        if tasks:
            say(
                ", ".join(
                    [
                        f"{count_in_words(len(tasks), 'job')} to bake",
                        *([f"{up_to_date} up to date"] if up_to_date else []),
                    ]
                )
            )
        for why, names in reasons.items():
            if why != manifest.NOT_YET or up_to_date:
                say(f"      {list_names(names)}: {why}")
        self.progress = baker_process.RunProgress(len(tasks), say, self.chosen.log_every)
        return tasks

    def bake(self, tasks: list[baker_process.BakeTask]) -> None:
        """Bake tasks. Raises NoEngine if none could be started; if some were, its sentence is
        printed, and the others are left for the next run."""
        has_baked = False
        try:
            with contextlib.closing(events_of(self.chosen, tasks, self.maker)) as events:
                for event in events:
                    has_baked |= event["event"] in ("done", "failed")
                    self.note(event)
        except NoEngine as error:
            if not has_baked:
                raise
            say(f"bake.py: {error}", sys.stderr)

    def without_refused(
        self, tasks: list[baker_process.BakeTask], reasons: Mapping[str, str]
    ) -> list[baker_process.BakeTask]:
        """The tasks that can be baked; the others fail at once, not when their turn comes at night:
        for reasons known by job, or for files in the way."""
        for task in tasks:
            if reason := reasons.get(task.job) or not_replaceable(task):
                self.note({"event": "failed", "job": task.job, "sentence": reason})
        return [task for task in tasks if self.states[task.job] != manifest.FAILED]

    def _what_changed(self, job: job_file.BakeJob) -> str:
        try:
            styles = named_styles(job.settings)
        except ThunderError:
            return "its preset cannot be read"  # which the bake then reports in full
        return manifest.what_changed(job, os.path.join(self.out, job.name), self.maker, styles)

    def _options(self) -> list[str]:
        """Options that are no settings of a job."""
        paths = {name: getattr(self.chosen, name) for name in ("weights", "engine")}
        options = [
            f"--{name}={os.path.abspath(path) if os.path.exists(path) else path}"
            for name, path in paths.items()
            if path
        ]
        return options + [
            f"--{name}"
            for name in ("force", "allow-newer", "new-head")
            if getattr(self.chosen, name.replace("-", "_"))
        ]

    def note(self, event: Mapping) -> None:
        """Handle an event of a job: show it, record failures and, every PACE seconds, write the
        report."""
        if event["event"] == "note":
            if event.get("job"):
                self.progress.requeue(event["job"])
            say(f"      {event['sentence']}")
            return
        name, now = event["job"], time.monotonic()
        if event["event"] == "progress":
            self.progress.update(name, event["fraction"], event["message"], event.get("node", ""))
        elif event["event"] == "failed":
            self._note_failure(name, event)
        else:
            self._note_success(name, event)
        if event.get("node"):
            self.notes[name]["node"] = event["node"]
        if now - self.reported >= PACE:
            self.write_report()

    def _note_failure(self, name: str, event: Mapping) -> None:
        self.states[name] = manifest.FAILED
        sentence, force = event["sentence"], self.chosen.force
        self.notes[name]["sentence"] = sentence
        self._record(
            lambda: manifest.note_failure(
                self.out, name, sentence, event.get("log", ""), force, self.source
            )
        )
        self.progress.end(name, False)
        lines = [f"    {line}" for line in event.get("log", "").splitlines()[-20:]]
        self._say(name, "\n".join([f"failed: {sentence}{_on(event)}", *lines]), sys.stderr)

    def _forget_failure(self, name: str) -> None:
        self._record(lambda: manifest.forget_failure(self.out, name))

    def forget_unlisted(self) -> None:
        """Remove what earlier runs of the same jobs wrote about failed ones that were taken out."""
        self._record(lambda: manifest.forget_unlisted(self.out, self.source, self.jobs))

    def _note_success(self, name: str, event: Mapping) -> None:
        self.states[name] = manifest.BAKED
        self._forget_failure(name)
        takes = event["report"]["takes"]
        best = (
            ""
            if takes[0]["score"] is None
            else f", the best has lip-sync {take_list.points(takes[0]['score'])}"
        )
        took = baker_process.duration(self.progress.end(name, True))
        self._say(name, f"{count_in_words(len(takes))} in {took}{best}{_on(event)}")
        self.unseen |= "unseen" in event["report"]
        for warning in event["report"].get("warnings", ()):
            kind = warning.partition(": ")[0]
            if kind not in self.warned:  # of a season's jobs many have the same one
                say(f"      {name}: {warning}", sys.stderr)
            self.warned.add(kind)

    def write_report(self) -> None:
        """Write batch.json and batch.html. Not after a run of some jobs: on a farm many of these
        run at the same time."""
        if self.chosen.only:
            return
        content = manifest.collect_report(
            self.out, self.jobs, self.states, self.maker, self.notes, self.scenes, self.source
        )
        running = self.progress.running()
        if running:
            content = manifest.while_running(content, running, self.progress.summary())
        self._record(lambda: manifest.write_report(self.out, content, self.chosen.force))
        self.reported = time.monotonic()

    def collect(self) -> None:
        """Collect the takes of jobs that bake strips of the same scene in one, where any of them
        has changed."""
        for shared in manifest.shared_scenes(self.jobs):
            baked = [
                job
                for job in shared.jobs
                if self.states.get(job.name) in (manifest.BAKED, manifest.UP_TO_DATE)
            ]
            made_from = manifest.sources_of_scene(self.out, baked)
            row: dict[str, object] = {
                "file": f"{shared.name}.blend",
                "blend": shared.blend,
                "jobs": [job.name for job in baked],
            }
            if not baked or (
                not self.chosen.again and manifest.is_scene_up_to_date(self.out, shared, made_from)
            ):
                self.scenes += [row] if baked else []
                continue
            try:
                count = collect.collect(
                    shared, baked, self.out, self.chosen.force, self.chosen.allow_newer
                )
                without = (
                    f", without {count_in_words(left, 'job')} that failed"
                    if (left := len(shared.jobs) - len(baked))
                    else ""
                )
                source = os.path.basename(shared.blend)
                say(
                    f"“{row['file']}” is “{source}” with all takes: {count_in_words(count)} of "
                    f"{count_in_words(len(baked), 'job')}{without}"
                )
            except ThunderError as error:
                row["sentence"] = str(error)
                say(f"“{row['file']}” was not written: {error}", sys.stderr)
            self.scenes.append(row)

    def end(self) -> int:
        """Print the result; returns the exit code."""
        say(
            self.counts()
            if self.chosen.only
            else f"{self.counts()}; see {os.path.join(self.out, manifest.HTML_NAME)}"
        )
        is_whole = not (
            self.unwritten or self.unseen or any("sentence" in row for row in self.scenes)
        )
        return (
            0
            if is_whole and not {manifest.FAILED, manifest.NOT_BAKED} & set(self.states.values())
            else SOME_FAILED
        )

    def counts(self) -> str:
        """The number of jobs per result: “3 baked, 1 failed”."""
        counts = Counter(self.states.values())
        return ", ".join(f"{counts[state]} {state}" for state in manifest.STATES if counts[state])

    def _say(self, name: str, words: str, stream: TextIO | None = None) -> None:
        """Print how a job ended."""
        say(f"[{self.progress.ended}/{self.progress.count}] {name}: {words}", stream)


def _on(event: Mapping) -> str:
    """The machine of a job, as the end of a line; "" for this machine."""
    return f" (on {event['node']})" if event.get("node") else ""


# ---- the process that bakes


EVENT_PACE = 0.5  # interval of progress reports with the same message, s


def serve(_chosen: argparse.Namespace | None = None) -> None:
    """Bake requested jobs until stdin ends."""
    events = baker_process.EventWriter()
    requests: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(
        target=_queue_requests, args=(requests, busy), name="thunder requests", daemon=True
    ).start()
    events.write({"event": "ready", "maker": asdict(maker_of(None))})
    while (request := requests.get()) is not None:
        job = request["job"]
        busy.set()
        try:
            events.write({"event": "done", "job": job, "report": _bake(request, events)})
        except ThunderError as error:
            events.write(baker_process.failure_event(job, str(error)))
        except Exception as error:
            sentence = f"Unexpected error ({type(error).__name__}: {error}): see the log"
            events.write(baker_process.failure_event(job, sentence, traceback.format_exc()))
        finally:
            busy.clear()


def _queue_requests(requests: queue.SimpleQueue, busy: threading.Event) -> None:
    """Thread: queue the requests; at their end stop the job that is going on."""
    with contextlib.suppress(OSError, ValueError):
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
    requests.put(None)
    if busy.is_set():
        _thread.interrupt_main(signal.SIGTERM)


def _bake(request: dict, events: baker_process.EventWriter) -> dict:
    """Bake one job; returns its report. Raises what `bake.bake` does."""
    job = job_file.BakeJob(request["job"], request["settings"])
    chosen = read_options([*job.arguments(request["out"]), *request["options"]])
    maker = maker_of(chosen.weights)
    last, said = 0.0, ""

    def tell(step: Step) -> None:
        nonlocal last, said
        # the last message may stay for minutes: none is left out
        if step.message != said or time.monotonic() - last >= EVENT_PACE:
            last, said = time.monotonic(), step.message
            events.write(
                {
                    "event": "progress",
                    "job": job.name,
                    "fraction": round(step.fraction, 3),
                    "message": step.message,
                }
            )

    styles = named_styles(job.settings)

    def made_from(used: list[str], hashes: dict[str, str]) -> dict:
        return manifest.made_from(job.settings, maker, styles, used, hashes)

    if not chosen.blend:  # not the scene of the job before
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return bake.bake(chosen, tell, made_from)


@functools.cache
def maker_of(weights: str | None) -> manifest.Maker:
    """This process's versions with a folder of weights, None for that of the preferences. Raises
    BadWeights."""
    folder = os.path.abspath(weights) if weights else connection.weights()
    try:
        fingerprint = fingerprint_of(Path(folder or WEIGHTS))
    except OSError as error:
        name = os.path.basename(error.filename or "")
        raise BadWeights(
            f"The weights file {name} in “{folder or WEIGHTS}” cannot be read ({error.strerror}): "
            f"choose another weights folder"
        ) from error
    return manifest.Maker(manifest.version(), bpy.app.version_string, fingerprint)
