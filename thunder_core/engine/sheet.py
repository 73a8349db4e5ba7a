# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet of a line: its waveform, and for each take its score and words, what brows, head and mouth do, and frames at
the same instants.

`python -m thunder_core.engine.sheet SPEC.json OUT.png`, in the engine's Python with matplotlib
(requirements/develop.txt). The specification:
{"title": str, "subtitle": str, "sound": wav, "instants": [seconds], "takes": [best first:
{"npz": file as `bake.py --npz` writes it, "score": 0..100 (null: a listener), "seed": int, "words": how it is played, or "",
"frames": [png, one per instant]}]}.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path

import numpy as np

from ..animation import activity, motion_file
from ..errors import BadRequest
from ..types import FPS

PAPER, INK, FAINT, ACCENT, WAVE = "#16181d", "#e9e7e2", "#7d828d", "#ffb454", "#5f89b8"
WIDTH_INCHES, ROW_INCHES, HEAD_INCHES, DPI = 15.0, 1.6, 1.75, 100
CURVE_LEFT, CURVE_SHARE = 0.165, 0.49  # left and right end of the curves, as shares of the width; the frames take the rest
NAMES_RIGHT = CURVE_LEFT - 0.008  # right edge of the track names, as a share of the width
LETTERS, LINES = 22, 3  # a take's words: letters per line, and lines
TRACKS = {"brows": (0.10, 0.28), "head": (0.42, 0.28), "mouth": (0.74, 0.74)}  # inches: from the top of a row, height


def draw(spec: dict, out: str) -> None:
    """Draw the sheet that a specification (see the module) describes into a PNG file.

    Raises OSError, ValueError or KeyError if the specification or a file that it names is wrong.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import soundfile

    samples, rate = soundfile.read(spec["sound"], dtype="float32", always_2d=True)
    samples = samples.mean(axis=1)
    seconds = len(samples) / rate
    takes = [take | {"tracks": _tracks(take["npz"])} for take in spec["takes"]]
    instants = spec["instants"]
    full = activity.full([take["tracks"] for take in takes])
    usual = {name: _mean([take["tracks"][name] for take in takes]) for name in TRACKS} if len(takes) > 1 else {}
    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "text.color": INK,
            "axes.edgecolor": FAINT,
            "xtick.color": FAINT,
            "ytick.color": FAINT,
            "font.size": 9,
        }
    )
    page = _Page(plt, HEAD_INCHES + ROW_INCHES * len(takes) + 0.3, len(instants))
    page.text(0.012, 0.34, spec["title"], fontsize=17, fontweight="bold")
    page.text(0.012, 0.66, spec.get("subtitle", ""), fontsize=9.5, color=FAINT)
    wave = page.axes(CURVE_LEFT, 0.9, CURVE_SHARE - CURVE_LEFT, HEAD_INCHES - 1.0)
    _waveform(wave, samples, rate)
    _bare(wave, seconds, instants)
    page.text(NAMES_RIGHT, 0.9 + (HEAD_INCHES - 1.0) / 2, "voice", color=WAVE, ha="right")
    if usual:
        page.text(CURVE_SHARE, 0.72, "thin line: the average of all takes", fontsize=8, color=FAINT, ha="right")
    for column, instant in enumerate(instants):
        page.text(page.cell_left(column + 0.5), HEAD_INCHES - 0.16, f"{instant:.2f} s", color=FAINT, ha="center")
    for row, take in enumerate(takes):
        at = HEAD_INCHES + ROW_INCHES * row
        _label(page, take, at, best=row == 0)
        for name, (down, height) in TRACKS.items():
            axes = page.axes(CURVE_LEFT, at + down, CURVE_SHARE - CURVE_LEFT, height)
            page.text(NAMES_RIGHT, at + down + height / 2, name, fontsize=8.5, color=activity.COLOURS[name], ha="right")
            _track(axes, take["tracks"][name], usual.get(name), activity.COLOURS[name], full[name])
            _bare(axes, seconds, instants)
        if row == len(takes) - 1:
            _seconds_axis(axes, seconds)
        if row == 0:
            _opening_axis(axes, full["mouth"])
        for column, frame in enumerate(take["frames"]):
            image = page.axes(page.cell_left(column), at + 0.05, page.cell * 0.96, ROW_INCHES - 0.1)
            image.imshow(plt.imread(frame), interpolation="lanczos")
            image.set_axis_off()
    page.figure.savefig(out, facecolor=PAPER, metadata={"Software": None})
    plt.close(page.figure)


class _Page:
    """The figure; places are shares of its width from the left, and inches from its top."""

    def __init__(self, plt, height: float, columns: int):
        self.height = height
        self.cell = (1 - CURVE_SHARE - 0.012) / max(1, columns)
        self.figure = plt.figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor=PAPER)

    def cell_left(self, column: float) -> float:
        """Left edge of a column of frames."""
        return CURVE_SHARE + 0.008 + self.cell * column

    def axes(self, left: float, top: float, width: float, height: float):
        """New axes without a background."""
        return self.figure.add_axes((left, 1 - (top + height) / self.height, width, height / self.height), facecolor="none")

    def text(self, left: float, top: float, text: str, **style) -> None:
        """Write a text, centred vertically."""
        self.figure.text(left, 1 - top / self.height, text, va="center", **style)


def _tracks(npz: str) -> dict[str, np.ndarray]:
    """Track name → values of a take. Raises ValueError if the file holds no take."""
    try:
        motion, channels = motion_file.read(npz)
    except BadRequest as error:
        raise ValueError(str(error)) from error
    return activity.tracks(motion, channels, np.load(npz, allow_pickle=False)["opening"])


def _mean(tracks: list[np.ndarray]) -> np.ndarray:
    """The average of tracks over the frames that all have."""
    return np.mean([track[: min(map(len, tracks))] for track in tracks], axis=0)


def _label(page: _Page, take: dict, at: float, best: bool) -> None:
    """Score, seed and words of a take, in the row that begins `at` inches from the top."""
    scored = take["score"] is not None
    words, size = (str(int(take["score"] + 0.5)), 19) if scored else ("Listener", 12)
    page.text(0.012, at + 0.32, words, fontsize=size, fontweight="bold", color=ACCENT if best else INK)
    page.text(0.05 if scored else 0.075, at + 0.36, f"seed {take['seed']}", fontsize=8, color=FAINT)
    for number, line in enumerate(textwrap.wrap(take.get("words", ""), LETTERS, max_lines=LINES, placeholder=" …")):
        page.text(0.012, at + 0.72 + 0.2 * number, line, fontsize=10)


def _track(axes, values: np.ndarray, usual: np.ndarray | None, colour, top: float) -> None:
    """Draw a track [T] into axes whose upper end is `top`, and the average of all takes as a thin line."""
    times = np.arange(len(values)) / FPS
    axes.fill_between(times, values, color=colour, alpha=0.3, linewidth=0)
    axes.plot(times, values, color=colour, linewidth=1.1)
    if usual is not None:
        axes.plot(np.arange(len(usual)) / FPS, usual, color=INK, linewidth=0.6, alpha=0.75)
    axes.set_ylim(0, 1.06 * top)


def _waveform(axes, samples: np.ndarray, rate: int, columns: int = 900) -> None:
    """Draw the lowest and highest sample of each column."""
    pieces = np.array_split(samples, min(columns, len(samples)))
    times = np.linspace(0, len(samples) / rate, len(pieces))
    peak = max(1e-6, float(np.abs(samples).max()))
    axes.fill_between(times, [p.min() / peak for p in pieces], [p.max() / peak for p in pieces], color=WAVE, linewidth=0)
    axes.set_ylim(-1.05, 1.05)


def _bare(axes, seconds: float, instants) -> None:
    """Take ticks and frame off axes of a length in seconds, and mark the instants."""
    axes.set_xlim(0, seconds)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for instant in instants:
        axes.axvline(instant, color=FAINT, linewidth=0.7, linestyle=(0, (2, 3)))


def _opening_axis(axes, top: float) -> None:
    """Label the height of a mouth's curve in millimetres."""
    tick = 10 * max(1, int(top // 10)) if top >= 10 else max(1, round(top / 2))
    axes.text(0.004, tick, f"{tick} mm", transform=axes.get_yaxis_transform(), color=FAINT, fontsize=7.5, va="center")
    axes.axhline(tick, color=FAINT, linewidth=0.5, alpha=0.5)


def _seconds_axis(axes, seconds: float) -> None:
    """Label the seconds under the lowest curve."""
    step = max(1, round(seconds / 8))
    axes.set_xticks(range(0, int(seconds) + 1, step))
    axes.set_xticklabels([f"{second} s" for second in range(0, int(seconds) + 1, step)])
    axes.tick_params(axis="x", length=2, labelsize=8)


def main(arguments: list[str] | None = None) -> int:
    """Draw the sheet that the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m thunder_core.engine.sheet", description=__doc__.partition("\n")[0])
    parser.add_argument("spec", help="JSON file that describes the sheet")
    parser.add_argument("out", help="PNG file to write")
    chosen = parser.parse_args(arguments)
    try:
        draw(json.loads(Path(chosen.spec).read_text(encoding="utf-8")), chosen.out)
    except (OSError, ValueError, KeyError) as error:
        print(f"The contact sheet could not be drawn ({error}): check {chosen.spec}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
