# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of many bakes: batch.json for programs, batch.html for people, which is
self-contained.

Both are made from the files in the folder, so that a final run can report many runs of one job
each, as on a farm.
"""

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from .. import html
from ..files import files_written, Transaction
from ..html import element, Html, jpeg, link
from . import manifest
from .job_file import Job
from .manifest import Maker
from .settings import OUTPUTS

JSON_NAME, HTML_NAME = "batch.json", "batch.html"
STATES = BAKED, UP_TO_DATE, FAILED, NOT_BAKED = "baked", "up to date", "failed", "not baked"
BAKING = "being baked"  # state while a run goes on
_REFRESH = 15  # seconds after which the page of a run that goes on is read again
_LARGEST_PICTURE = 2**21  # largest picture embedded in the page, bytes
_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--bad:#c33}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem}
h1{font-size:1.5rem;margin:0} h2{font-size:1.1rem;margin:0 0 .3rem} p{margin:.3rem 0}
section{border:1px solid var(--line);border-radius:8px;margin:1rem 0;padding:1rem}
section.failed{border-color:var(--bad)} .sentence{color:var(--bad)}
img{max-width:100%;border-radius:4px;display:block;margin:.5rem 0;background:#111}
table{border-collapse:collapse;margin:.5rem 0} th,td{text-align:left;padding:.15rem 1rem .15rem 0;border-bottom:1px solid var(--line)}
td.number{text-align:right;font-variant-numeric:tabular-nums} .quiet{opacity:.7}
.state{font-weight:normal;opacity:.7;margin-left:.5rem} a{color:inherit}
"""


def collect_report(
    out: str,
    jobs: Iterable[Job],
    states: Mapping[str, str],
    maker: Maker,
    notes: Mapping[str, Mapping] | None = None,
    scenes: Iterable[Mapping] = (),
) -> dict:
    """The content of the report. states: of each job, by name.  notes: further data of this run's
    jobs (sentence, node).
    scenes: with the takes of several jobs: file, blend, jobs, and sentence if it was not
    written."""
    rows = [
        _row(out, job, states.get(job.name, NOT_BAKED), dict((notes or {}).get(job.name, {})))
        for job in jobs
    ]
    counts = {state: sum(row["state"] == state for row in rows) for state in STATES}
    return {
        **asdict(maker),
        "counts": counts,
        "scenes": [dict(scene) for scene in scenes],
        "jobs": rows,
    }


def while_running(report: dict, running: Mapping[str, str], summary: str) -> dict:
    """The report of a run that goes on. running: what each job does that is being baked.  summary:
    of the run."""
    rows = [
        row | ({"state": BAKING, "doing": running[row["name"]]} if row["name"] in running else {})
        for row in report["jobs"]
    ]
    return report | {"running": f"{summary} at {time.strftime('%H:%M:%S')}", "jobs": rows}


def write(out: str, report: dict, force: bool = False) -> Transaction:
    """Write the report as JSON and as a page; returns how they were written. Raises ThunderError,
    also for files of the user's."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    with Transaction(out, force) as written:
        written.write(JSON_NAME, text)
        written.write(HTML_NAME, page(out, report))
    return written


def _row(out: str, job: Job, state: str, notes: dict) -> dict:
    """The report's row for a job."""
    folder = os.path.join(out, job.name)
    row = {"name": job.name, "state": state, **notes, "settings": dict(job.settings)}
    if state == FAILED:
        row.setdefault("sentence", manifest.failure_of(out, job.name))
    if state in (BAKED, UP_TO_DATE):
        baked = manifest.read_report(folder)
        kept = ("takes", "warnings", "notes", "seconds", "thumbnail", "sheet", "direction")
        row |= {"made_from": baked.get(manifest.MADE_FROM, {}), "files": files_written(folder)}
        row |= {key: baked[key] for key in kept if key in baked}
    return row


# ---- the page


def page(out: str, report: dict) -> str:
    """The report as a page of HTML."""
    counts = ", ".join(f"{count} {state}" for state, count in report["counts"].items() if count)
    # problems come first
    rows = sorted(report["jobs"], key=lambda row: (row["state"] != FAILED, row["state"] != BAKING))
    # each once
    notes = dict.fromkeys(str(note) for row in rows for note in row.get("notes", ()))
    about = (
        f"THUNDER {report['thunder']}, Blender {report['blender']}, folder of weights "
        f"{report['weights'][:12]}"
    )
    return html.page(
        "Baked takes",
        _STYLE,
        element("h1", "Baked takes"),
        *([element("p", report["running"])] if "running" in report else []),
        element("p", counts or "no jobs"),
        element("p", about, class_="quiet"),
        *(element("p", note, class_="quiet") for note in notes),
        *map(_scene, report.get("scenes", ())),
        *(_section(out, row) for row in rows),
        refresh=_REFRESH if "running" in report else 0,
    )


def _scene(row: Mapping) -> Html:
    """A paragraph about a scene with the takes of several jobs."""
    if row.get("sentence"):
        return element("p", row["file"], " was not written: ", row["sentence"], class_="sentence")
    return element(
        "p",
        element("a", row["file"], href=link(row["file"])),
        f": the takes of {len(row['jobs'])} jobs in one scene",
    )


def _section(out: str, row: dict) -> Html:
    """A box about a job."""
    parts = [element("h2", row["name"], element("span", row["state"], class_="state"))]
    if row.get("sentence"):
        parts.append(element("p", row["sentence"], class_="sentence"))
    if row.get("doing"):
        parts.append(element("p", row["doing"]))
    parts += [element("p", each) for each in row.get("warnings", ())]
    sheet, thumbnail = OUTPUTS["sheet"].names
    if "thumbnail" in row and (data := _picture(os.path.join(out, row["name"], thumbnail))):
        image = element("img", alt=f"The takes of {row['name']} side by side", src=jpeg(data))
        parts.append(element("a", image, href=link(row["name"], sheet)))
    if "takes" in row:
        parts.append(_table(row["takes"]))
    about = [_voice(row["settings"])]
    if "seconds" in row:
        about.append(f"{row['seconds']['all']:.1f} s")
    if row.get("node"):
        about.append(f"on {row['node']}")
    parts.append(element("p", " · ".join(filter(None, about)), class_="quiet"))
    if row.get("files"):
        links = [
            part
            for name in row["files"]
            for part in (", ", element("a", name, href=link(row["name"], name)))
        ]
        parts.append(element("p", *links[1:], class_="quiet"))
    return element("section", *parts, class_=row["state"].replace(" ", "-"))


def _table(takes: list[dict]) -> Html:
    """Name, score, Heard, seed and words of each take, best first."""
    heading = element(
        "tr", *(element("th", name) for name in ("Take", "Lip-sync", "Heard", "Seed", "Played"))
    )
    rows = [
        element(
            "tr",
            element("td", _name(take)),
            element("td", _number(take.get("score")), class_="number"),
            element("td", _number(take.get("heard")), class_="number"),
            element("td", take["seed"], class_="number"),
            element("td", take.get("words", "")),
        )
        for take in takes
    ]
    return element("table", heading, *rows)


def _name(take: dict) -> str:
    """The name of a take, with that of its files if their number differs because the head already
    had takes of that voice."""
    file = f"take_{take['rank']:02d}"
    return take["name"] if take["name"] == f"Take {take['rank']}" else f"{take['name']} · {file}"


def _number(value: float | None) -> str:
    """A number of a report, “–” for none, as the score of a face that does not speak."""
    return "–" if value is None else f"{value:.0f}"


def _voice(settings: Mapping[str, object]) -> str:
    """Description of the source of a job's voice."""
    if "strip" in settings:
        return f"strip “{settings['strip']}” of {os.path.basename(str(settings.get('blend', '')))}"
    if "seconds" in settings:
        return f"{settings['seconds']:g} s in which nobody speaks"
    sound = os.path.basename(str(settings.get("listen-to", "")))
    return f"listening to {sound}" if sound else os.path.basename(str(settings.get("audio", "")))


def _picture(path: str) -> bytes:
    """A JPEG in a job's folder, nothing if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_PICTURE)
    except OSError:
        return b""
