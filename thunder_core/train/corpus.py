# SPDX-License-Identifier: GPL-3.0-or-later
"""The training corpus: recordings with phone times, and synthetic voices with exact ones, in one memory-mapped file.

A folder of recordings holds the sounds and, if there are any, `transcripts.tsv` (file, speaker, text) and `alignments.tsv`
(file, phone, start_s, end_s; header line). Without alignments the texts are aligned by pocketsphinx; without texts the
shipped encoder recognises the phones. A folder of tracked performances (docs/reference/tracked.md) adds real motion. The
corpus is written once and then only read: `samples.i16` (all clips one after another, 16 kHz), `phones.u8` (one label per
10 ms), `tracked.f16` (captured motion at 25 fps) and `clips.json`.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..engine.speech.phones import phone_index, SILENCE
from ..types import pack, RATE
from .flame_basis import FlameBasis
from .recording import read_recording
from .synthetic import synthesise
from .tracked import SOUNDS, tracked_clips

# LibriSpeech test-other speakers: never used in training, the held-out voices of every table.
TEST_SPEAKERS = frozenset("533 367 3331 3080 3005 2609 2414 2033 1998 1688".split())
LABEL_HOP = RATE // 100  # samples per phone label


def split_of(speaker: str) -> str:
    """`train`, `validation` or `test`, decided by the speaker alone so that no voice is in two."""
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if zlib.crc32(speaker.encode()) % 25 == 0 else "train"


@dataclass(frozen=True)
class Clip:
    """One utterance: start and number of its samples in the corpus, speaker, and origin.

    tracked: first frame of its captured motion, −1 if nobody captured any.
    """

    name: str
    corpus: str
    speaker: str
    split: str
    start: int
    length: int
    tracked: int = -1


class Corpus:
    """Read-only view of a corpus folder written by `build`."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.clips = [Clip(**c) for c in json.loads((self.folder / "clips.json").read_text())]
        self._samples = np.memmap(self.folder / "samples.i16", dtype="<i2", mode="r")
        self._phones = np.memmap(self.folder / "phones.u8", dtype=np.uint8, mode="r")
        motion = self.folder / "tracked.f16"
        self._tracked = np.memmap(motion, np.float16, "r") if motion.exists() and motion.stat().st_size else None

    def samples(self, clip: Clip) -> np.ndarray:
        """A clip's samples, float32 [length], −1..1."""
        return self._samples[clip.start : clip.start + clip.length].astype(np.float32) / 32768

    def stretch(self, clip: Clip, start: int, length: int) -> np.ndarray:
        """float32 [length] of a clip's samples from sample `start`."""
        a = clip.start + start
        return self._samples[a : a + length].astype(np.float32) / 32768

    def phones(self, clip: Clip) -> np.ndarray:
        """uint8 [length / 160], one phone index per 10 ms."""
        a = clip.start // LABEL_HOP
        return np.asarray(self._phones[a : a + clip.length // LABEL_HOP])

    def tracked(self, clip: Clip, columns: int) -> np.ndarray | None:
        """float32 [length / 640, columns] of a clip's captured motion, as `types.pack` orders it, or None."""
        if clip.tracked < 0:
            return None
        return self._tracked.reshape(-1, columns)[clip.tracked : clip.tracked + clip.length // 640].astype(np.float32)

    def of(self, *splits: str) -> list[Clip]:
        """Clips of these splits, in the corpus' order."""
        return [c for c in self.clips if c.split in splits]


def labels(phones: list[tuple[str, float, float]], n: int) -> np.ndarray:
    """uint8 [n], one phone index per 10 ms, of [(phone, start s, end s)]; what none covers is silence."""
    result = np.full(n, SILENCE, np.uint8)
    for symbol, start, end in phones:
        result[round(start * 100) : round(end * 100)] = phone_index(symbol)
    return result


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="") as f:
        return list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def _folder_clips(folder: Path, least_score: float, label) -> Iterator[tuple]:
    """(name, speaker, path, phones, text) of every recording of a folder, doubtful alignments left out.

    label(samples, text) → phones is called for recordings without phones; each file without a speaker counts as a separate speaker.
    """
    transcripts = _rows(folder / "transcripts.tsv")
    speaker = {r[0]: r[1] for r in transcripts if len(r) > 1}
    text = {r[0]: r[2] for r in transcripts if len(r) > 2}
    phones: dict[str, list] = {}
    for r in _rows(folder / "alignments.tsv"):
        if len(r) >= 4:
            phones.setdefault(r[0], []).append((r[1], float(r[2]), float(r[3])))
    quality = {r[0]: float(r[3]) if r[1] == "ok" else -np.inf for r in _rows(folder / "align_quality.tsv") if len(r) > 3}
    if phones:
        for name, times in sorted(phones.items()):
            path = folder / name
            if path.exists() and name in speaker and quality.get(name, 0.0) > least_score:
                yield name, speaker[name], path, times, text.get(name, "")
        return
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS):
        name = str(path.relative_to(folder))
        yield name, speaker.get(name, f"{folder.name}/{name}"), path, label(read_recording(path), text.get(name, "")), text.get(name, "")


def build(
    folder: Path, sources: list[Path], synthetic_minutes: float = 60.0, least_score: float = -24.0, label=None, channels: list[str] = (),
    basis: FlameBasis | None = None,
) -> Corpus:  # fmt: skip
    """Write the corpus of all recordings in `sources` and of synthetic voices reading their sentences.

    A source with `.npz` files is one of tracked performances, read onto the head's `channels`, or in a FLAME file's `basis`.
    label(samples, text) → [(phone, start s, end s)] writes down recordings that come without phone times (`label.Labeller`).
    Raises BadTracking.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[dict] = []
    texts: list[str] = []
    cursor = tracked_frames = 0
    with (
        (folder / "samples.i16").open("wb") as samples_file,
        (folder / "phones.u8").open("wb") as phones_file,
        (folder / "tracked.f16").open("wb") as tracked_file,
    ):

        def add(name, corpus, speaker, samples, phones, motion=None):
            nonlocal cursor, tracked_frames
            n = len(samples) // LABEL_HOP * LABEL_HOP
            if n < RATE // 2 or not np.isfinite(samples).all():
                return
            samples_file.write((np.clip(samples[:n], -1, 1) * 32767).astype("<i2").tobytes())
            phones_file.write(labels(phones, n // LABEL_HOP).tobytes())
            at = -1
            if motion is not None:
                frames = n // 640
                tracked_file.write(pack(motion)[:frames].astype(np.float16).tobytes())
                at, tracked_frames = tracked_frames, tracked_frames + frames
            clips.append(dict(name=name, corpus=corpus, speaker=speaker, split=split_of(speaker), start=cursor, length=n, tracked=at))
            cursor += n

        for source in sources:
            if any(source.rglob("*.npz")):
                for name, speaker, samples, motion in tqdm(tracked_clips(source, list(channels), basis=basis), desc=source.name):
                    add(name, source.name, speaker, samples, label(samples, ""), motion)
                continue
            for name, speaker, path, phones, text in tqdm(list(_folder_clips(source, least_score, label)), desc=source.name):
                add(name, source.name, speaker, read_recording(path), phones)
                if split_of(speaker) == "train" and 20 < len(text) < 160:
                    texts.append(text)
        rng = np.random.default_rng(1)
        seconds = 0.0
        bar = tqdm(total=synthetic_minutes, desc="synthetic voices", unit="min")
        while texts and seconds < synthetic_minutes * 60:
            voice, samples, phones = synthesise(texts, rng)
            add(f"{voice}-{len(clips)}", "synthetic", voice, samples, phones)
            seconds += len(samples) / RATE
            bar.update(len(samples) / RATE / 60)
        bar.close()
    (folder / "clips.json").write_text(json.dumps(clips))
    return Corpus(folder)
