# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of many bakes, batch.html: on it a lead sees, hears and picks the takes of each line.

What a bake says of itself is handed to the page's script (dailies.js) as data, which it sets as
text; addresses of files are made here.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .. import html
from ..html import element, Html, link
from .settings import OUTPUTS, SOUND

FIRST = ("failed", "being baked")  # states of lines that come first
REFRESH = 15  # seconds after which the page of a run that goes on is read again
# a path from the root of a system, in quotes or until the next blank
_PATH = re.compile(
    r"""(?P<begin>[“"'])(?P<quoted>(?:[A-Za-z]:)?[/\\][^“”"'\n]*)(?P<end>[”"'])"""
    r"""|(?<![\w:/\\.])(?P<bare>(?:[A-Za-z]:)?[/\\]{1,2}[^\s/\\“”"']+[/\\][^\s“”"']*)"""
)
_HERE = Path(__file__).parent
_KEYS = (
    ("↓ ↑", "next, previous line"),
    ("space", "play"),
    ("← → 1–9", "another take"),
    ("P", "pick"),
    ("enter", "pick and go on"),
    ("/", "search"),
    ("S", "save picks"),
)


def page(report: Mapping, curves: Mapping[str, Mapping]) -> str:
    """The report of many bakes as a page. curves: by the name of a job, what its CURVES holds,
    empty if there is none."""
    counts = ", ".join(f"{count} {state}" for state, count in report["counts"].items() if count)
    rows = sorted(report["jobs"], key=lambda row: row["state"] not in FIRST)
    # each once
    notes = dict.fromkeys(_without_folders(note) for row in rows for note in row.get("notes", ()))
    about = f"THUNDER {report['thunder']}, Blender {report['blender']}, weights {report['weights']}"
    head = element(
        "header",
        element("h1", "Baked takes"),
        *([element("p", _without_folders(report["running"]))] if "running" in report else []),
        element("p", counts or "no jobs", title=" · ".join([about, *notes])),
        *map(_scene, report.get("scenes", ())),
        element("input", type="search", id="search", placeholder="Search", aria_label="Search"),
        element("select", element("option", "All grades", value=""), id="grade", title="Grade"),
        element("label", element("input", type="checkbox", id="warned"), " with warnings"),
        element("label", element("input", type="checkbox", id="open"), " not picked"),
        element("label", element("input", type="checkbox", id="playing"), " play each line"),
        element("span", id="shown", class_="quiet"),
        element("button", "Save Picks", id="save", class_="end", title="S"),
        element("p", *(part for key, does in _KEYS for part in (element("kbd", key), f" {does} "))),
        element("div", id="message", role="status"),
    )
    body = (
        head,
        element("nav", element("ol", id="index"), element("p", "No line fits", id="none")),
        element(
            "main",
            element("noscript", "This page shows its takes with a script: allow it to run"),
            id="line",
        ),
    )
    data = {
        "lines": [_line(row, curves.get(row["name"], {})) for row in rows],
        "refresh": REFRESH if "running" in report else 0,
    }
    style, script = (
        (_HERE / f"dailies.{ending}").read_text(encoding="utf-8") for ending in ("css", "js")
    )
    return html.page("Baked takes", style, script, data, *body)


def _scene(row: Mapping) -> Html:
    """A paragraph about a scene with the takes of several jobs."""
    if row.get("sentence"):
        sentence = _without_folders(row["sentence"])
        return element("p", row["file"], " was not written: ", sentence, class_="sentence")
    return element(
        "p",
        element("a", row["file"], href=link(row["file"])),
        f": the takes of {len(row['jobs'])} jobs in one scene",
    )


def _line(row: Mapping, curves: Mapping) -> dict:
    """What the script is told of a job."""
    name = row["name"]
    shown, files = curves.get("takes", ()), list(row.get("files", ()))
    about = [_voice(row["settings"])]
    if "seconds" in row:
        about.append(f"baked in {row['seconds']['all']:.1f} s")
    if row.get("node"):
        about.append(f"on {row['node']}")
    (sheet,) = OUTPUTS["sheet"].names
    return {
        "name": name,
        "state": row["state"],
        "sentence": _without_folders(row.get("sentence", "")),
        "doing": _without_folders(row.get("doing", "")),
        "warnings": [_without_folders(each) for each in row.get("warnings", ())],
        "text": str(row.get("transcript", "")),
        "voice": _voice(row["settings"]),
        "about": " · ".join(filter(None, about)),
        "files": [[file, link(name, file)] for file in files],
        "sheet": link(name, sheet) if sheet in files else None,
        "sound": link(name, SOUND) if SOUND in files else None,
        "seconds": curves.get("seconds", 0),
        "peaks": curves.get("peaks", ""),
        "takes": [
            _take(name, take, shown[number] if number < len(shown) else {})
            for number, take in enumerate(row.get("takes", ()))
        ],
    }


def _without_folders(sentence: object) -> str:
    """A sentence with the names of files in place of their paths: the page is made to be copied,
    and folders are called after people and films."""

    def name_of(match):
        path = (match["quoted"] or match["bare"]).rstrip("/\\")
        return (match["begin"] or "") + re.split(r"[/\\]", path)[-1] + (match["end"] or "")

    return _PATH.sub(name_of, str(sentence))


def _take(job: str, take: Mapping, shown: Mapping) -> dict:
    """What the script is told of a take. shown: what CURVES holds of it."""
    file, score = f"take_{take['rank']:02d}", take.get("score")
    return {
        "name": str(take["name"]),
        "file": "" if take["name"] == f"Take {take['rank']}" else file,
        "seed": str(take["seed"]),
        "hash": str(take.get("curves_sha256", "")),
        # of a face that does not speak nothing is scored
        "score": "–" if score is None else f"{score:.0f}",
        "words": str(take.get("words", "")),
        "film": link(job, str(take["video"])) if take.get("video") else None,
        **{key: shown.get(key, "") for key in ("grade", "reason", "opening", "width")},
        "drifts": shown.get("drifts", []),
    }


def _voice(settings: Mapping[str, object]) -> str:
    """Description of the source of a job's voice."""
    if "strip" in settings:
        return f"strip “{settings['strip']}” of {os.path.basename(str(settings.get('blend', '')))}"
    if "seconds" in settings:
        return f"{settings['seconds']:g} s in which nobody speaks"
    sound = os.path.basename(str(settings.get("listen-to", "")))
    return f"listening to {sound}" if sound else os.path.basename(str(settings.get("audio", "")))
