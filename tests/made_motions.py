# SPDX-License-Identifier: GPL-3.0-or-later
"""A motion set of a few seconds, made without recordings: what training of the systems reads, for
tests that take seconds."""

import json
from pathlib import Path

import numpy as np

from thunder_core.direction import Direction
from thunder_core.events import EVENTS
from thunder_core.face.head import Head
from thunder_core.spoken import PHONES
from thunder_core.train.corpus import Corpus
from thunder_core.train.motions import MotionSet, SAMPLES_PER_FRAME, TRUE_TO_SOUND, VARIANTS
from thunder_core.types import Columns

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
            [[Direction.of_clip(s, rng).vector() for s, _ in SPLITS] for _ in range(VARIANTS)]
        ),
    )
    rows = [
        dict(start=i * frames, frames=frames, split=split, speaker=s, clip=i)
        for i, (s, split) in enumerate(SPLITS)
    ]
    (motions / "rows.json").write_text(json.dumps({"width": FEATURES, "rows": rows}))
    return MotionSet(Corpus(corpus), motions)
