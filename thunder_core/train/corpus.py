# SPDX-License-Identifier: GPL-3.0-or-later
"""The training corpus: recordings with phone times, and synthetic voices with exact ones, in one memory-mapped file.

A folder of recordings holds the sounds, `transcripts.tsv` (file, speaker, text) and `alignments.tsv`
(file, phone, start_s, end_s; header line). The corpus is written once and then only read:
`samples.i16` (all clips one after another, 16 kHz), `phones.u8` (one label per 10 ms) and `clips.json`.
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio
from tqdm import tqdm

from ..speech.phones import SILENCE, phone_index
from ..types import RATE

# LibriSpeech test-other speakers: nobody's training data, the unseen voices every table is measured on.
TEST_SPEAKERS = frozenset("533 367 3331 3080 3005 2609 2414 2033 1998 1688".split())
LABEL_HOP = RATE // 100  # samples per phone label
FLITE_VOICES = ("slt", "rms", "awb", "kal16")


def split_of(speaker: str) -> str:
    """`train`, `validation` or `test`, decided by the speaker alone so that no voice is in two."""
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if zlib.crc32(speaker.encode()) % 25 == 0 else "train"


@dataclass(frozen=True)
class Clip:
    """One utterance: where its samples start in the corpus, how many, who speaks, and where it is from."""

    name: str
    corpus: str
    speaker: str
    split: str
    start: int
    length: int


class Corpus:
    """Read-only view of a corpus folder written by `build`."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.clips = [Clip(**c) for c in json.loads((self.folder / "clips.json").read_text())]
        self._samples = np.memmap(self.folder / "samples.i16", dtype="<i2", mode="r")
        self._phones = np.memmap(self.folder / "phones.u8", dtype=np.uint8, mode="r")

    def samples(self, clip: Clip) -> np.ndarray:
        """float32 [length], −1..1."""
        return self._samples[clip.start : clip.start + clip.length].astype(np.float32) / 32768

    def stretch(self, clip: Clip, start: int, length: int) -> np.ndarray:
        """float32 [length] of a clip's samples from sample `start`."""
        a = clip.start + start
        return self._samples[a : a + length].astype(np.float32) / 32768

    def phones(self, clip: Clip) -> np.ndarray:
        """uint8 [length / 160], one phone index per 10 ms."""
        a = clip.start // LABEL_HOP
        return np.asarray(self._phones[a : a + clip.length // LABEL_HOP])

    def of(self, *splits: str) -> list[Clip]:
        return [c for c in self.clips if c.split in splits]


def _read(path: Path) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = torch.from_numpy(samples.mean(1))
    return torchaudio.functional.resample(mono, rate, RATE).numpy() if rate != RATE else mono.numpy()


def _labels(phones: list[tuple[str, float, float]], n: int) -> np.ndarray:
    labels = np.full(n, SILENCE, np.uint8)
    for symbol, start, end in phones:
        labels[round(start * 100) : round(end * 100)] = phone_index(symbol)
    return labels


def _folder_clips(folder: Path, least_score: float):
    """(name, speaker, path, phones) of every aligned recording of a folder, doubtful alignments left out."""

    def rows(name):
        path = folder / name
        with path.open(newline="") as f:
            return list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]

    speaker = {r[0]: r[1] for r in rows("transcripts.tsv") if len(r) > 1}
    text = {r[0]: r[2] for r in rows("transcripts.tsv") if len(r) > 2}
    phones: dict[str, list] = {}
    for r in rows("alignments.tsv"):
        if len(r) >= 4:
            phones.setdefault(r[0], []).append((r[1], float(r[2]), float(r[3])))
    quality = {}
    if (folder / "align_quality.tsv").exists():
        quality = {r[0]: float(r[3]) if r[1] == "ok" else -np.inf for r in rows("align_quality.tsv") if len(r) > 3}
    for name, ph in sorted(phones.items()):
        path = folder / name
        if path.exists() and name in speaker and quality.get(name, 0.0) > least_score:
            yield name, speaker[name], path, ph, text.get(name, "")


def speak(text: str, voice: str, stretch: float = 1.0, pitch: float = 0.0) -> tuple[np.ndarray, list]:
    """Synthesise `text` with flite: (float32 samples at 16 kHz, [(phone, start s, end s)] exact by construction)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-psdur", "-t", text, "-o", str(out)]
        if pitch:
            command[3:3] = ["--setf", f"int_f0_target_mean={pitch:.1f}"]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
        samples = _read(out)
    phones, start = [], 0.0
    for word in said.split():
        symbol, _, end = word.rpartition(":")
        phones.append((symbol, start, float(end)))
        start = float(end)
    return samples, phones


def build(folder: Path, sources: list[Path], synthetic_minutes: float = 40.0, least_score: float = -24.0) -> Corpus:
    """Write the corpus of all aligned recordings in `sources` and of synthetic voices reading their sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[dict] = []
    texts: list[str] = []
    cursor = 0
    with (folder / "samples.i16").open("wb") as samples_file, (folder / "phones.u8").open("wb") as phones_file:

        def add(name, corpus, speaker, samples, phones):
            nonlocal cursor
            n = len(samples) // LABEL_HOP * LABEL_HOP
            if n < RATE // 2 or not np.isfinite(samples).all():
                return
            samples_file.write((np.clip(samples[:n], -1, 1) * 32767).astype("<i2").tobytes())
            phones_file.write(_labels(phones, n // LABEL_HOP).tobytes())
            clips.append(dict(name=name, corpus=corpus, speaker=speaker, split=split_of(speaker), start=cursor, length=n))
            cursor += n

        for source in sources:
            for name, speaker, path, phones, text in tqdm(list(_folder_clips(source, least_score)), desc=source.name):
                add(name, source.name, speaker, _read(path), phones)
                if split_of(speaker) == "train" and 20 < len(text) < 160:
                    texts.append(text)
        rng = np.random.default_rng(1)
        said = 0.0
        bar = tqdm(total=synthetic_minutes, desc="synthetic voices", unit="min")
        while texts and said < synthetic_minutes * 60:
            jobs = []
            for _ in range(64):
                voice = FLITE_VOICES[rng.integers(len(FLITE_VOICES))]
                jobs.append((texts[rng.integers(len(texts))].lower(), voice, float(rng.uniform(0.75, 1.35))))
            with ThreadPoolExecutor(2) as pool:
                for (text, voice, _), (samples, phones) in zip(jobs, pool.map(lambda j: speak(*j), jobs)):
                    add(f"{voice}-{len(clips)}", "flite", f"flite-{voice}", samples, phones)
                    said += len(samples) / RATE
                    bar.update(len(samples) / RATE / 60)
        bar.close()
    (folder / "clips.json").write_text(json.dumps(clips))
    return Corpus(folder)
