# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether *As Heard* follows a voice: its pitch range, its rate and its effort, each changed in
recordings.

DATA is a folder with `speech/`. One recording each of 40 speakers, on none of which the measures
were chosen, is changed in one way at a
time: intonation widened or flattened around its median (pitch-synchronous overlap-add), speech
faster or slower (the same), raised or lowered (louder, with a spectrum that rises by some dB an
octave, or the opposite). The table has: for how many voices the intended value moves the right way
against the recording itself, and energy, brows and head together with it; by how much, in
deviations between speakers; how far everything moves where only the gain changes, or where the
voice is taken apart and put together unchanged; and the values of the unchanged voices. Written to
research/results/heard_arousal.txt.

--reference measures the means and deviations of `thunder_core/engine/speech/cues.py` instead: one
recording of at least 4 s of each speaker of another folder.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from research.harness import add_shared, report, required, results_file
from thunder_core.acoustics import HOP, level, semitones, track
from thunder_core.direction import AXES
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import (
    Arousal,
    axis_deviations,
    measure,
    Measures,
    read_arousal,
)
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.types import FPS, RATE

REFERENCE = "librispeech_resemblyzer"
# folders; the speakers of the second grew up with Mandarin
VOICES = ("librispeech_train5", "speechocean762")
EACH = 20  # voices of each
LONG_ENOUGH = 4.0  # seconds
WIDER, FASTER, LOUDER, RISES = 1.4, 1.25, 10.0, 3.0  # factors, dB, dB an octave
MIDDLE, LOWEST = 1000.0, 200.0  # Hz: where a tilt leaves the level, and below which it is flat
CHANGES = {  # name → (arguments of `change_voice`, field of Heard, 1 if it goes up)
    "wider pitch": ({"wider": WIDER}, "pitch", 1),
    "narrower pitch": ({"wider": 1 / WIDER}, "pitch", -1),
    "faster": ({"faster": FASTER}, "rate", 1),
    "slower": ({"faster": 1 / FASTER}, "rate", -1),
    "raised": ({"louder": LOUDER, "rises": RISES}, "effort", 1),
    "lowered": ({"louder": -LOUDER, "rises": -RISES}, "effort", -1),
}
CONTROLS = {
    "a tenth of the gain": {"louder": -20.0},
    "taken apart and put together": {"wider": 1.0},
}


def change_voice(
    samples: np.ndarray,
    wider: float | None = None,
    faster: float = 1.0,
    louder: float = 0.0,
    rises: float = 0.0,
) -> np.ndarray:
    """Speech [n] at 16 kHz with another delivery, float32 [n / faster].

    wider: factor of its range of pitch, None to leave its periods alone.  faster: of its rate.
    louder: dB.  rises: dB an octave.
    """
    samples = np.asarray(samples, np.float32)
    if wider is not None or faster != 1.0:
        samples = _overlap_add(samples, 1.0 if wider is None else wider, faster)
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), LOWEST) / MIDDLE)
    return np.fft.irfft(spectrum * 10 ** ((louder + rises * octaves) / 20), len(samples)).astype(
        np.float32
    )


def _overlap_add(samples: np.ndarray, wider: float, faster: float) -> np.ndarray:
    """Pitch-synchronous overlap-add (Moulines and Charpentier 1990): two periods around each mark,
    set at other distances."""
    padded = np.pad(samples, (0, -len(samples) % HOP + HOP))
    hertz, voiced = track(level(padded))
    periods = RATE / np.interp(np.arange(len(padded)), np.arange(len(hertz)) * HOP, hertz)
    middle = RATE / np.median(hertz[voiced]) if voiced.any() else 1.0
    is_voiced = np.repeat(voiced, HOP)
    marks = [int(periods[0])]
    while (at := marks[-1] + int(periods[marks[-1]])) < len(samples):
        reach = int(periods[at] / 5)
        near = padded[at - reach : at + reach + 1]
        marks.append(at - reach + int(near.argmax()) if is_voiced[at] else at)
    marks_at = np.array(marks)
    result = np.zeros(int(len(samples) / faster) + 1, np.float32)
    weights = np.zeros(int(len(samples) / faster) + 1, np.float32)
    at = 0.0
    while at < len(result):
        mark = marks_at[np.abs(marks_at - at * faster).argmin()]
        period = int(periods[mark])
        window = np.hanning(2 * period + 1).astype(np.float32)
        target = np.arange(-period, period + 1) + int(at)
        source = np.arange(-period, period + 1) + mark
        inside = (target >= 0) & (target < len(result)) & (source >= 0) & (source < len(samples))
        result[target[inside]] += (window * samples[np.clip(source, 0, len(samples) - 1)])[inside]
        weights[target[inside]] += window[inside]
        at += middle * (period / middle) ** wider if is_voiced[mark] else period
    return result / np.maximum(weights, 0.5)


def analyse(
    encoder: SpeechEncoder, samples: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of `read_arousal` for a sound."""
    return (
        samples,
        softmax(encoder.analyse(samples)[1]),
        semitones(samples, round(len(samples) / RATE * FPS)),
    )


def recordings(folder: Path) -> Iterator[np.ndarray]:
    """The last recording of at least LONG_ENOUGH seconds of each speaker of a folder, last speakers
    first."""
    rows = [
        line.split("\t")
        for line in (folder / "transcripts.tsv").read_text(encoding="utf-8").splitlines()[:0:-1]
    ]
    done = set()
    for name, speaker, *_ in rows:
        if speaker not in done:
            samples = read_sound(folder / name).samples
            if len(samples) >= LONG_ENOUGH * RATE:
                done.add(speaker)
                yield samples


def reference(encoder: SpeechEncoder, folder: Path) -> list[str]:
    """The table of `cues.py`."""
    measured = [
        found[0] for samples in recordings(folder) if (found := measure(*analyse(encoder, samples)))
    ]
    values = np.array(measured)
    row = "{:12s}" + "{:>10.3f}" * len(Measures._fields)
    return [
        f"{len(values)} speakers of {folder.name}", "",
        f"{'':12s}" + "".join(f"{name:>10s}" for name in Measures._fields),
        row.format("mean", *values.mean(0)), row.format("deviation", *values.std(0, ddof=1)),
    ]  # fmt: skip


def moves_right(before: Arousal, after: Arousal, field: str, side: int) -> tuple[bool, bool]:
    """Whether a field of Heard moves to a side, and whether energy, brows and head together do."""
    by = axis_deviations(after) - axis_deviations(before)
    return side * (getattr(after, field) - getattr(before, field)) > 0, side * float(by.sum()) > 0


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "results", voices=EACH)
    p.add_argument("--reference", action="store_true", help="print the table of cues.py instead")


def run(args: Namespace) -> None:
    """Measure, and write the table."""
    encoder = SpeechEncoder.load(args.weights)
    data = required(args.data / "speech", "recordings of speech")
    if args.reference:
        print("\n".join(reference(encoder, data / REFERENCE)))
        return
    before, after = [], {name: [] for name in (*CHANGES, *CONTROLS)}
    for folder in VOICES:
        for _, samples in zip(range(args.voices), recordings(data / folder)):
            before.append(read_arousal(*analyse(encoder, samples)))
            for name, how in (
                {name: change[0] for name, change in CHANGES.items()} | CONTROLS
            ).items():
                after[name].append(read_arousal(*analyse(encoder, change_voice(samples, **how))))
    lines = [
        f"{len(before)} voices: {', '.join(VOICES)}", "",
        f"{'':30s}{'right way':>12s}{'sliders too':>14s}{'median':>10s}{'least tenth':>14s}  of "
        f"its own value, in deviations",
    ]  # fmt: skip
    for name, (_, field, side) in CHANGES.items():
        right = [moves_right(one, other, field, side) for one, other in zip(before, after[name])]
        by = [
            getattr(other, field) - getattr(one, field) for one, other in zip(before, after[name])
        ]
        share, sliders = np.mean(right, 0)
        least = np.quantile(np.multiply(by, side), 0.1) * side
        lines.append(
            f"{name + ': ' + field:30s}{share:12.0%}{sliders:14.0%}{np.median(by):10.2f}{least:14.2f}"
        )
    lines += [
        "",
        f"{'largest and median change of':30s}"
        + "".join(f"{field:>16s}" for field in Arousal._fields),
    ]
    for name in CONTROLS:
        by = np.abs(np.array(after[name]) - np.array(before))
        lines.append(
            f"{name:30s}"
            + "".join(
                f"{most:10.2f} {usual:5.2f}" for most, usual in zip(by.max(0), np.median(by, 0))
            )
        )
    lines += [
        "",
        f"{'voices as they are ask for':42s}{'median':>8s}{'nine of ten':>14s}{'most':>8s}  "
        f"deviations of a slider, either way",
    ]
    for folder, some in zip(
        VOICES, np.split(np.abs([axis_deviations(heard) for heard in before]), len(VOICES))
    ):
        for axis, by in zip(AXES, some.T):
            if by.any():
                lines.append(
                    f"{folder + ': ' + axis.name:42s}{np.median(by):8.2f}{np.quantile(by, 0.9):14.2f}{by.max():8.2f}"
                )
    report(results_file(args.results, "heard_arousal.txt", args.voices == EACH), lines)
