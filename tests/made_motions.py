# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings and motion sets of a few seconds, made without anybody: what training reads, for tests
that take seconds."""

import json
from pathlib import Path

import numpy as np
import soundfile

from research.train.corpus import Corpus, SAMPLES_PER_FRAME
from research.train.motions import MotionSet, TRUE_TO_SOUND, VARIANTS
from research.train.readings import direction_of_clip
from thunder_core.engine.planning.mouth_map import mouth_map
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.events import EVENTS
from thunder_core.face.head import Head
from thunder_core.spoken import PHONES
from thunder_core.types import Columns, RATE

FEATURES = 50
SPLITS = (
    ("ada", "train"),
    ("bob", "train"),
    ("ada", "train"),
    ("eve", "validation"),
    ("533", "test"),
    ("533", "test"),
    ("367", "test"),
)


def made_motions(folder: Path, head: Head, frames: int = 110) -> MotionSet:
    """Seven clips of four speakers, in which jaw and lips follow a hum; features hold the hum's
    level."""
    rng, columns = np.random.default_rng(0), Columns(head.channels)
    corpus, motions = folder / "corpus", folder / "motions"
    corpus.mkdir(parents=True)
    motions.mkdir()
    count, total = len(SPLITS), len(SPLITS) * frames
    length = frames * SAMPLES_PER_FRAME
    level = (0.5 + 0.5 * np.sin(np.arange(total) * 0.9 + rng.uniform(0, 6))) ** 2
    samples = (
        0.2
        * np.repeat(level, SAMPLES_PER_FRAME)
        * np.sin(np.arange(total * SAMPLES_PER_FRAME) * 0.05)
    )
    (corpus / "samples.i16").write_bytes((samples * 32767).astype("<i2").tobytes())
    (corpus / "phones.u8").write_bytes(
        rng.integers(0, len(PHONES), (total,)).repeat(4).astype(np.uint8).tobytes()
    )
    (corpus / "tracked.f16").write_bytes(b"")
    clips = [
        dict(name=f"{i}", corpus="made", speaker=s, split=split, start=i * length, length=length)
        for i, (s, split) in enumerate(SPLITS)
    ]
    (corpus / "clips.json").write_text(json.dumps(clips))

    x = np.zeros((VARIANTS, total, columns.count), np.float32)
    for name in ("jawOpen", "mouthFunnel", "mouthSmileLeft"):
        if name in head.expression_names:
            x[..., list(head.expression_names).index(name)] = level * rng.uniform(0.2, 0.6)
    x[..., columns.jaw.start] = 0.2 * level
    x += 0.01 * rng.standard_normal(x.shape)
    (motions / "motions.f16").write_bytes(x.astype(np.float16).tobytes())
    features = np.concatenate(
        [rng.standard_normal((total, FEATURES - 2)) * 0.1, level[:, None], level[:, None]], 1
    )
    (motions / "features.f16").write_bytes(features.astype(np.float16).tobytes())
    events = rng.standard_normal((VARIANTS, total, len(EVENTS)))
    (motions / "events.f16").write_bytes(events.astype(np.float16).tobytes())
    heard = rng.random((VARIANTS - TRUE_TO_SOUND, total, len(PHONES)))
    (motions / "heard.f16").write_bytes(heard.astype(np.float16).tobytes())
    (motions / "units.u8").write_bytes(rng.integers(0, 200, (total, 2)).astype(np.uint8).tobytes())
    (motions / "quiet.i16").write_bytes(b"")
    np.save(motions / "voices.npy", rng.standard_normal((count, 256)).astype(np.float32) / 16)
    np.save(
        motions / "directions.npy",
        np.stack(
            [[direction_of_clip(s, rng).vector() for s, _ in SPLITS] for _ in range(VARIANTS)]
        ),
    )
    rows = [
        dict(start=i * frames, frames=frames, split=split, speaker=s, clip=i)
        for i, (s, split) in enumerate(SPLITS)
    ]
    (motions / "rows.json").write_text(json.dumps({"width": FEATURES, "rows": rows}))
    return MotionSet(Corpus(corpus), motions)


def recordings(folder: Path, speakers: tuple[str, ...], seconds: float) -> Path:
    """A folder of recordings of noise, one of each speaker after the other: 0.wav, 1.wav …"""
    folder.mkdir()
    rng, rows = np.random.default_rng(0), ["file\tspeaker\ttext"]
    for number, speaker in enumerate(speakers):
        noise = 0.1 * rng.standard_normal(round(seconds * RATE))
        soundfile.write(folder / f"{number}.wav", noise, RATE)
        rows.append(f"{number}.wav\t{speaker}\thello")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n")
    return folder


def heard(corpus: Corpus, folder: Path, encoder: str = "") -> Path:
    """The folder of a corpus' motions as `extract_features` leaves it, with a quiet clip at the end;
    features are noise in which no phone is heard for certain."""
    folder.mkdir()
    frames, width = corpus.clips[0].length // SAMPLES_PER_FRAME, mouth_map().heard.weights.shape[1]
    clips = [*((clip.speaker, i) for i, clip in enumerate(corpus.clips)), ("quiet", -1)]
    rows = [
        dict(start=frames * n, frames=frames, split="train", speaker=speaker, clip=i)
        for n, (speaker, i) in enumerate(clips)
    ]
    total = frames * len(rows)
    features = np.random.default_rng(1).standard_normal((total, width)).astype(np.float16)
    features[:, -LOUDNESS - len(PHONES) :] = 0
    features.tofile(folder / "features.f16")
    for name, size in (("logits.f16", 160 * total), ("units.u8", 2 * total)):
        (folder / name).write_bytes(bytes(size))
    (folder / "quiet.i16").write_bytes(bytes(2 * SAMPLES_PER_FRAME * frames))
    np.save(folder / "voices.npy", np.zeros((len(rows), 256), np.float32))
    about = {"width": width, "encoder": encoder, "rows": rows}
    (folder / "rows.json").write_text(json.dumps(about))
    return folder
