# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a folder of recordings with measured lips (`train.corpus`) of GRID's tracked speakers (Cooke
et al. 2006, CC BY 4.0).

Of a person before one camera opening and width of the lips are certain, once how the tracker bends
them is undone; which share of it is the jaw's, where the tongue is and how lips roll over teeth is
not. So lips alone are learned from people, and the teacher performs them.
"""

import csv
import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from research.faces.lip_clips import SILENT
from research.train.corpus import BadCorpus, build, read_recording, SAMPLES_PER_FRAME
from research.train.motions import MotionSet
from research.train.teacher import label
from thunder_core.engine.tracking.mouth import mouth_signals, tracked_mouth
from thunder_core.engine.tracking.solve import resting_face, stabilise
from thunder_core.engine.tracking.spots import POINTS
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import bundled_mouth, OPENING, WIDTH
from thunder_core.types import FPS, RATE

_TABLES = {
    "transcripts.tsv": ("file", "speaker", "text"),
    "alignments.tsv": ("file", "phone", "start_s", "end_s"),
}
# The paper's tables on people: nobody of these speakers trains; of the best-known speaker's
# sentences every tenth is tested and every tenth watched. Sentences of the others are joined, since
# mesh-to-speech learns from five seconds and a style needs two stretches.
KNOWN, HELD_OUT = "s1", ("s5", "s22", "s23", "s30", "s31", "s33", "s34")
UNSEEN, WATCHED = f"grid {KNOWN} unseen", f"grid {KNOWN} watched"
_ONE_IN, _WATCHED_AT, _TOGETHER = 10, 5, 3
HEADS, MOUTHS = ".head.npy", ".mouth.npy"  # endings of a recording's measured head and mouth


class Sentence(NamedTuple):
    """A sentence of a person. samples: of 16 kHz.  lips: [frames, 2], see `corpus.read_lips`.
    head: [frames, 3], radians about x, y and z.  mouth: [frames, channels + 3], `read_mouth`.
    phones: (phone, start s, end s)."""

    name: str
    text: str
    samples: np.ndarray
    lips: np.ndarray
    head: np.ndarray
    mouth: np.ndarray
    phones: list[tuple[str, float, float]]


# Landmarks of lids and forehead that GRID's files lack, and which others of the same lid or of the
# skull stand for them: they only hold the face still.
_STAND_INS = {
    7: 33, 163: 144, 154: 153, 155: 133, 173: 133, 157: 158, 161: 160, 246: 33, 249: 263, 390: 373,
    381: 380, 382: 362, 398: 362, 384: 385, 388: 387, 466: 263, 21: 151, 251: 151, 108: 151,
    337: 151, 162: 127, 389: 356,
}  # fmt: skip
_FORWARD = np.array([1.0, -1.0, -1.0])  # from MediaPipe's axes to ours


def read_mouth(file: Mapping[str, np.ndarray]) -> np.ndarray:
    """Expression and jaw [frames, channels + 3] of our head that look to the tracker as a person's
    mouth does (`engine.tracking.mouth`), from all sentences of one speaker."""
    ends = file["offsets"]
    steps = [file["lm_delta"][a:b].cumsum(0, np.int32) for a, b in zip(ends, ends[1:])]
    points = np.zeros((int(ends[-1]), POINTS, 3))
    points[:, file["lm_index"]] = np.concatenate(steps) / 2048
    points[:, list(_STAND_INS)] = points[:, list(_STAND_INS.values())]
    held, _ = stabilise(points * _FORWARD, load_head())
    shown = mouth_signals(held) - mouth_signals(resting_face(held)[None])
    return np.concatenate(tracked_mouth().read(shown), 1)


def read_lips(file: Mapping[str, np.ndarray]) -> np.ndarray:
    """Opening and width [frames, 2] of such mouths above rest, mm."""
    mouth = np.split(read_mouth(file), [-3], 1)
    return bundled_mouth().measure(*mouth)[:, [OPENING, WIDTH]]


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
    people = _split(source)["fit"]
    return _write(
        out, [(f"grid {who}", [each]) for who in people for each in read_sentences(source, who)]
    )


def gather_people(source: Path, out: Path, corpus: Path, weights: Path) -> dict[str, int]:
    """Write sentences of all speakers to `out`, and their `corpus`, split as the tables on people
    need it; returns how many recordings each split has. Raises BadCorpus.

    weights: of the encoder that writes down phones where nobody did.
    """
    recordings: list[tuple[str, list[Sentence]]] = []
    splits = dict.fromkeys([UNSEEN, *(f"grid {who}" for who in HELD_OUT)], "test")
    splits[WATCHED] = "validation"
    for who in sorted({person for people in _split(source).values() for person in people}):
        parts: dict[str, list[Sentence]] = defaultdict(list)
        for number, each in enumerate(read_sentences(source, who)):
            at = number % _ONE_IN if who == KNOWN else -1
            parts[{0: UNSEEN, _WATCHED_AT: WATCHED}.get(at, f"grid {who}")].append(each)
        if who == KNOWN:
            parts[f"grid {who}"] += read_sentences(source, f"{who}_more", weights)
        for speaker, said in parts.items():
            count = 1 if splits.get(speaker) == "test" else _TOGETHER
            recordings += [(speaker, said[i : i + count]) for i in range(0, len(said), count)]
    _write(out, recordings)
    made = build(corpus, [out], label, split=False)
    clips = [replace(clip, split=splits.get(clip.speaker, "train")) for clip in made.clips]
    (corpus / "clips.json").write_text(json.dumps([asdict(clip) for clip in clips]))
    return {split: sum(c.split == split for c in clips) for split in ("train", *splits.values())}


def turn_heads(motions: MotionSet, folder: Path, sources: Path, columns: slice) -> int:
    """Give the performances in `folder`, `motions`, the heads of the people, as `sources` holds
    them; returns how many rows have one.

    columns: of the head's rotation.
    """
    made = np.memmap(folder / "motions.f16", np.float16, "r+", shape=motions.motions.shape)
    count = 0
    for row in motions.rows:
        if row.clip >= 0 and not row.listens:
            file = sources / motions.corpus.clips[row.clip].name
            head = np.load(file.with_suffix(HEADS))[: row.frames]
            made[:, row.start : row.start + len(head), columns] = head
            count += 1
    made.flush()
    return count


def _split(source: Path) -> dict[str, list[str]]:
    """The speakers of each split. Raises BadCorpus."""
    split = Path(source) / "split.toml"
    if not split.exists():
        raise BadCorpus(f"{source} has no split.toml. Choose the folder of GRID's speakers.")
    return tomllib.loads(split.read_text())


def _write(out: Path, recordings: list[tuple[str, list[Sentence]]]) -> int:
    """Write recordings of a speaker's sentences one after another, sounds and lips, and both
    tables; returns how many."""
    Path(out).mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[tuple[str, ...]]] = {name: [head] for name, head in _TABLES.items()}
    for speaker, said in recordings:
        file = f"{speaker.split()[1]}_{said[0].name}.flac"
        samples = np.concatenate([each.samples for each in said])
        soundfile.write(out / file, samples, RATE, subtype="PCM_16")
        for part, ending in (("lips", ".npy"), ("head", HEADS), ("mouth", MOUTHS)):
            rows = np.concatenate([getattr(each, part) for each in said]).astype(np.float32)
            np.save((out / file).with_suffix(ending), rows)
        lines["transcripts.tsv"].append((file, speaker, " ".join(each.text for each in said)))
        begin = 0.0
        for each in said:
            lines["alignments.tsv"] += [
                (file, phone, f"{begin + a:.2f}", f"{begin + b:.2f}") for phone, a, b in each.phones
            ]
            begin += len(each.lips) / FPS
    for name, rows in lines.items():
        (out / name).write_text("".join("\t".join(row) + "\n" for row in rows))
    return len(recordings)


def read_sentences(source: Path, person: str, weights: Path | None = None) -> Iterator[Sentence]:
    """A speaker's sentences whose phones are known, or are written down by the encoder of
    `weights`."""
    path, who = source / f"{person}.npz", person.removesuffix("_more")
    table = _read_table(source / "phones.tsv", "speaker", "clip")
    texts = _read_table(source / "clips.tsv", "speaker", "clip")
    with np.load(path, allow_pickle=False) as file:
        names, ends = [str(name) for name in file["clips"]], file["offsets"]
        lips = read_lips(file)
        head = np.radians(np.stack([file[each] for each in ("pitch", "yaw", "roll")], 1))
        words, of = file["word"], file["word_clip"]
        mouth = read_mouth(file)
    sound = read_recording(path.with_suffix(".ogg"))
    said = []
    for number, (name, a, b) in enumerate(zip(names, ends, ends[1:])):
        samples = sound[a * SAMPLES_PER_FRAME : b * SAMPLES_PER_FRAME]
        known = [(r["phone"], float(r["start_s"]), float(r["end_s"])) for r in table[who, name]]
        if texts[who, name]:
            text = texts[who, name][0]["sentence"]
        else:
            text = " ".join(str(w) for w in words[of == number] if w not in ("sil", "sp"))
        if not known and weights is not None:
            known = label(weights, samples, text)
        phones = [each for each in known if each[0] not in SILENT]
        turned = np.nan_to_num(head[a:b] - np.nanmedian(head[a:b], 0))
        said.append(Sentence(name, text, samples, lips[a:b], turned, mouth[a:b], phones))
    spoken = np.zeros(len(lips), bool)
    for each, first in zip(said, ends):
        for _, a, b in each.phones:
            spoken[first + round(a * FPS) : first + round(b * FPS)] = True
    if not spoken.any():
        return
    middle, deviation = lips[spoken].mean(0), lips[spoken].std(0)
    for each in said:
        if each.phones and np.isfinite(each.lips).all():
            yield each._replace(lips=(each.lips - middle) / deviation)
