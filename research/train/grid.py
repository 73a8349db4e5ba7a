# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a folder of recordings with measured lips (`train.corpus`) of GRID's tracked speakers (Cooke
et al. 2006, CC BY 4.0).

Of a person before one camera opening and width of the lips are certain; which share of it is the
jaw's, where the tongue is and how lips roll over teeth is not (solved for channels, jaws open a
third as far as in scans). So lips alone are learned from people, and the teacher performs them.
"""

import csv
import tomllib
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

from research.faces.lip_clips import SILENT
from thunder_core.train.corpus import BadCorpus, read_recording
from thunder_core.train.motions import SAMPLES_PER_FRAME
from thunder_core.types import FPS, RATE

_TABLES = {
    "transcripts.tsv": ("file", "speaker", "text"),
    "alignments.tsv": ("file", "phone", "start_s", "end_s"),
}


def _read_table(path: Path, *names: str) -> dict[tuple[str, ...], list[dict[str, str]]]:
    """Rows of a table by the values of some of its columns."""
    rows = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            rows[tuple(row[name] for name in names)].append(row)
    return rows


def convert_grid(source: Path, out: Path) -> int:
    """Write every sentence of the `fit` speakers of `source` with its lips to `out`; returns how
    many. Raises BadCorpus."""
    split = Path(source) / "split.toml"
    if not split.exists():
        raise BadCorpus(f"{source} has no split.toml. Choose the folder of GRID's speakers.")
    phones = _read_table(source / "phones.tsv", "speaker", "clip")
    said = _read_table(source / "clips.tsv", "speaker", "clip")
    Path(out).mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[tuple[str, ...]]] = {name: [head] for name, head in _TABLES.items()}
    for person in tomllib.loads(split.read_text())["fit"]:
        _write_speaker(source / f"{person}.npz", Path(out), phones, said, lines)
    for name, rows in lines.items():
        (out / name).write_text("".join("\t".join(row) + "\n" for row in rows))
    return len(lines["transcripts.tsv"]) - 1


def _write_speaker(path: Path, out: Path, phones: dict, said: dict, lines: dict) -> None:
    """Write sounds and lips of a speaker's sentences whose phones are known, and their lines of
    both tables."""
    person = path.stem
    with np.load(path, allow_pickle=False) as file:
        names, ends = [str(name) for name in file["clips"]], file["offsets"]
        lips = np.stack([file["opening"], file["width"]], 1).astype(float)
    spoken = np.zeros(len(lips), bool)
    times = {name: phones[person, name] for name in names}
    if not any(times.values()):
        return
    for name, first in zip(names, ends):
        for row in times[name]:
            if row["phone"] not in SILENT:
                a, b = (round(float(row[at]) * FPS) for at in ("start_s", "end_s"))
                spoken[first + a : first + b] = True
    lips = (lips - lips[spoken].mean(0)) / lips[spoken].std(0)
    sound = read_recording(path.with_suffix(".ogg"))
    for name, a, b in zip(names, ends, ends[1:]):
        if not times[name] or not np.isfinite(lips[a:b]).all():
            continue
        file = f"{person}_{name}.flac"
        samples = sound[a * SAMPLES_PER_FRAME : b * SAMPLES_PER_FRAME]
        soundfile.write(out / file, samples, RATE, subtype="PCM_16")
        np.save((out / file).with_suffix(".npy"), lips[a:b].astype(np.float32))
        sentence = said[person, name][0]["sentence"]
        lines["transcripts.tsv"].append((file, f"grid {person}", sentence))
        lines["alignments.tsv"] += [
            (file, row["phone"], row["start_s"], row["end_s"])
            for row in times[name]
            if row["phone"] not in SILENT
        ]
