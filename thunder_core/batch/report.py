# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of many bakes: batch.json for programs, batch.html for people, which is self-contained.

Both are made from the files in the folder, so that a final run can report many runs of one job each, as on a farm.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from html import escape
from urllib.parse import quote

from ..files import files_written, Transaction
from . import manifest
from .job_file import Job
from .manifest import Maker

JSON_NAME, HTML_NAME = "batch.json", "batch.html"
BAKED, UP_TO_DATE, FAILED, NOT_BAKED = "baked", "up to date", "failed", "not baked"
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


def collected(
    out: str,
    jobs: Iterable[Job],
    states: Mapping[str, str],
    maker: Maker,
    notes: Mapping[str, Mapping] | None = None,
    scenes: Iterable[Mapping] = (),
) -> dict:
    """The content of the report. states: of each job, by name.  notes: further data of this run's jobs (sentence, node).
    scenes: with the takes of several jobs: file, blend, jobs, and sentence if it was not written."""
    rows = [_row(out, job, states.get(job.name, NOT_BAKED), dict((notes or {}).get(job.name, {}))) for job in jobs]
    counts = {state: sum(row["state"] == state for row in rows) for state in (BAKED, UP_TO_DATE, FAILED, NOT_BAKED)}
    return {**asdict(maker), "counts": counts, "scenes": [dict(scene) for scene in scenes], "jobs": rows}


def while_running(report: dict, running: Mapping[str, str], summary: str) -> dict:
    """The report of a run that goes on. running: what each job does that is being baked.  summary: of the run."""
    rows = [row | ({"state": BAKING, "doing": running[row["name"]]} if row["name"] in running else {}) for row in report["jobs"]]
    return report | {"running": f"{summary} at {time.strftime('%H:%M:%S')}", "jobs": rows}


def write(out: str, report: dict, force: bool = False) -> Transaction:
    """Write the report as JSON and as a page; returns how they were written. Raises ThunderError, also for files of the user's."""
    with Transaction(out, force) as written:
        written.write(JSON_NAME, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
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
    rows = sorted(report["jobs"], key=lambda row: (row["state"] != FAILED, row["state"] != BAKING))  # problems come first
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH}">' if "running" in report else ""
    running = f"<p>{escape(report['running'])}</p>" if "running" in report else ""
    about = f"THUNDER {report['thunder']}, Blender {report['blender']}, folder of weights {report['weights'][:12]}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"{refresh}<title>Baked takes</title><style>{_STYLE}</style></head><body>\n"
        f'<h1>Baked takes</h1>{running}<p>{escape(counts or "no jobs")}</p><p class="quiet">{escape(about)}</p>\n'
        + "".join(f'<p class="quiet">{escape(note)}</p>\n' for note in _notes(rows))
        + "".join(map(_scene, report.get("scenes", ())))
        + "\n".join(_section(out, row) for row in rows)
        + "\n</body></html>\n"
    )


def _notes(rows: list[dict]) -> list[str]:
    """The notes of all jobs, each once."""
    return list(dict.fromkeys(str(note) for row in rows for note in row.get("notes", ())))


def _scene(row: Mapping) -> str:
    """A paragraph about a scene with the takes of several jobs."""
    if row.get("sentence"):
        return f'<p class="sentence">{escape(row["file"])} was not written: {escape(row["sentence"])}</p>\n'
    return f'<p><a href="{_link(row["file"])}">{escape(row["file"])}</a>: the takes of {len(row["jobs"])} jobs in one scene</p>\n'


def _section(out: str, row: dict) -> str:
    parts = [f'<h2>{escape(row["name"])}<span class="state">{escape(row["state"])}</span></h2>']
    if row.get("sentence"):
        parts.append(f'<p class="sentence">{escape(row["sentence"])}</p>')
    if row.get("doing"):
        parts.append(f"<p>{escape(row['doing'])}</p>")
    parts += [f"<p>{escape(str(each))}</p>" for each in row.get("warnings", ())]
    if picture := _picture(os.path.join(out, row["name"], str(row.get("thumbnail", "")))):
        image = f'<img alt="The takes of {escape(row["name"])} side by side" src="{picture}">'
        parts.append(f'<a href="{_link(row["name"], row["sheet"])}">{image}</a>' if "sheet" in row else image)
    if row.get("takes"):
        parts.append(_table(row["takes"]))
    about = [_voice(row["settings"])]
    if "seconds" in row:
        about.append(f"{row['seconds']['all']:.1f} s")
    if row.get("node"):
        about.append(f"on {row['node']}")
    parts.append(f'<p class="quiet">{escape(" · ".join(filter(None, about)))}</p>')
    if row.get("files"):
        links = ", ".join(f'<a href="{_link(row["name"], name)}">{escape(name)}</a>' for name in row["files"])
        parts.append(f'<p class="quiet">{links}</p>')
    return f'<section class="{escape(row["state"].replace(" ", "-"))}">{"".join(parts)}</section>'


def _table(takes: list[dict]) -> str:
    """Name, score, seed and words of each take, best first."""
    rows = "".join(
        f'<tr><td>{escape(_name(take))}</td><td class="number">{_score(take)}</td>'
        f'<td class="number">{take["seed"]}</td><td>{escape(str(take.get("words", "")))}</td></tr>'
        for take in takes
    )
    return f"<table><tr><th>Take</th><th>Lip-sync</th><th>Seed</th><th>Played</th></tr>{rows}</table>"


def _name(take: dict) -> str:
    """The name of a take, with that of its files where it has another number: the head had takes of that voice before."""
    file = f"take_{take['rank']:02d}"
    return take["name"] if take.get("name") == f"Take {take['rank']}" else " · ".join(filter(None, (take.get("name"), file)))


def _score(take: dict) -> str:
    """The score of a take, "–" of a face that does not speak."""
    return "–" if take["score"] is None else f"{take['score']:.0f}"


def _voice(settings: Mapping[str, object]) -> str:
    """Description of the source of a job's voice."""
    if "strip" in settings:
        return f"strip “{settings['strip']}” of {os.path.basename(str(settings.get('blend', '')))}"
    if "seconds" in settings:
        return f"{settings['seconds']:g} s in which nobody speaks"
    sound = os.path.basename(str(settings.get("listen-to", "")))
    return f"listening to {sound}" if sound else os.path.basename(str(settings.get("audio", "")))


def _link(*names: str) -> str:
    return escape("/".join(quote(name) for name in names))


def _picture(path: str) -> str:
    """A JPEG as a data URL, "" if there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_PICTURE + 1)
    except OSError:
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" if data[:2] == b"\xff\xd8" and len(data) <= _LARGEST_PICTURE else ""
