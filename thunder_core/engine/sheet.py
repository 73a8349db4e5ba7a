# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet of a line: its waveform, and of each take the mouth's curve, frames at the same instants, the score.

`python -m thunder_core.engine.sheet SPEC.json OUT.png`, in the engine's Python with matplotlib
(requirements/develop.txt). The specification:
{"title": str, "subtitle": str, "sound": wav, "instants": [seconds], "takes": [best first:
{"npz": file with "opening" [T] mm at 25 fps, "score": 0..100, "seed": int, "frames": [png, one per instant]}]}.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from ..types import FPS

PAPER, INK, FAINT, ACCENT, WAVE = "#16181d", "#e9e7e2", "#7d828d", "#ffb454", "#5f89b8"
WIDTH_INCHES, ROW_INCHES, HEAD_INCHES, DPI = 15.0, 1.6, 1.75, 100
CURVE_SHARE = 0.46  # of the width that the curves take; the frames have the rest


def draw(spec: dict, out: str) -> None:
    """Draw the sheet that a specification (see the module) describes into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import soundfile

    samples, rate = soundfile.read(spec["sound"], dtype="float32", always_2d=True)
    samples = samples.mean(axis=1)
    seconds = len(samples) / rate
    takes = [take | {"opening": np.load(take["npz"], allow_pickle=False)["opening"]} for take in spec["takes"]]
    instants = spec["instants"]
    top = max(1.0, max(float(take["opening"].max()) for take in takes)) * 1.08
    height = HEAD_INCHES + ROW_INCHES * len(takes) + 0.3
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
    figure = plt.figure(figsize=(WIDTH_INCHES, height), dpi=DPI, facecolor=PAPER)

    def place(left, top_inches, wide, tall):
        return figure.add_axes((left, 1 - (top_inches + tall) / height, wide, tall / height), facecolor="none")

    left, wide = 0.075, CURVE_SHARE - 0.075
    figure.text(0.012, 1 - 0.34 / height, spec["title"], fontsize=17, fontweight="bold", va="center")
    figure.text(0.012, 1 - 0.66 / height, spec.get("subtitle", ""), fontsize=9.5, color=FAINT, va="center")
    wave = place(left, 0.9, wide, HEAD_INCHES - 1.0)
    _waveform(wave, samples, rate)
    _bare(wave, seconds, instants)
    figure.text(0.012, 1 - (0.9 + (HEAD_INCHES - 1.0) / 2) / height, "voice", color=FAINT, va="center")

    cell = (1 - CURVE_SHARE - 0.012) / max(1, len(instants))
    for column, instant in enumerate(instants):
        figure.text(
            CURVE_SHARE + 0.008 + cell * (column + 0.5),
            1 - (HEAD_INCHES - 0.16) / height,
            f"{instant:.2f} s",
            color=FAINT,
            ha="center",
            va="center",
        )
    for row, take in enumerate(takes):
        at = HEAD_INCHES + ROW_INCHES * row
        colour = ACCENT if row == 0 else INK
        middle = 1 - (at + ROW_INCHES / 2) / height
        figure.text(0.012, middle + 0.14 / height, str(int(take["score"] + 0.5)), fontsize=19, fontweight="bold", color=colour, va="center")
        figure.text(0.012, middle - 0.25 / height, f"seed {take['seed']}", fontsize=8, color=FAINT, va="center")
        curve = place(left, at + 0.14, wide, ROW_INCHES - 0.28)
        times = np.arange(len(take["opening"])) / FPS
        curve.fill_between(times, take["opening"], color=colour, alpha=0.22, linewidth=0)
        curve.plot(times, take["opening"], color=colour, linewidth=1.1)
        curve.set_ylim(0, top)
        _bare(curve, seconds, instants)
        if row == len(takes) - 1:
            _seconds_axis(curve, seconds)
        if row == 0:
            curve.text(0.0, 1.0, "mouth opening, mm", transform=curve.transAxes, color=FAINT, fontsize=8, va="bottom")
            curve.set_yticks([0, 10 * max(1, int(top // 10))] if top >= 10 else [0, round(top / 2)])
            curve.tick_params(length=0, labelsize=7)
        for column, frame in enumerate(take["frames"]):
            image = place(CURVE_SHARE + 0.008 + cell * column, at + 0.05, cell * 0.96, ROW_INCHES - 0.1)
            image.imshow(plt.imread(frame), interpolation="lanczos")
            image.set_axis_off()
    figure.savefig(out, facecolor=PAPER, metadata={"Software": None})
    plt.close(figure)


def _waveform(axes, samples: np.ndarray, rate: int, columns: int = 900) -> None:
    pieces = np.array_split(samples, min(columns, len(samples)))
    times = np.linspace(0, len(samples) / rate, len(pieces))
    peak = max(1e-6, float(np.abs(samples).max()))
    axes.fill_between(times, [p.min() / peak for p in pieces], [p.max() / peak for p in pieces], color=WAVE, linewidth=0)
    axes.set_ylim(-1.05, 1.05)


def _bare(axes, seconds: float, instants) -> None:
    axes.set_xlim(0, seconds)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    for instant in instants:
        axes.axvline(instant, color=FAINT, linewidth=0.7, linestyle=(0, (2, 3)))


def _seconds_axis(axes, seconds: float) -> None:
    step = max(1, round(seconds / 8))
    axes.set_xticks(range(0, int(seconds) + 1, step))
    axes.set_xticklabels([f"{second} s" for second in range(0, int(seconds) + 1, step)])
    axes.tick_params(axis="x", length=2, labelsize=8)


def main(arguments: list[str] | None = None) -> int:
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
