# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher performs the corpus: motions, and how each was played, on several processes and resumed where it was stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..channels import COEFFICIENTS, Columns, in_group, MOUTH, TONGUE
from ..direction import Direction, DIRECTION_NAMES
from ..engine.speech.cues import hear_phones
from ..engine.speech.encoder import at_frames, loudness, softmax
from ..engine.speech.phones import PHONES, SILENCE
from ..events import EVENTS
from ..types import pack
from .corpus import Corpus
from .flame_basis import FlameBasis
from .lip_kernels import believed, fitted_to, KERNELS
from .motions import open_features, Row, TRUE_TO_SOUND, VARIANTS
from .teacher import perform_planned
from .teacher_timing import semitones

STATE, DIRECTIONS = "performed.json", "directions.npy"
MOTIONS, CURVES, HEARD = "motions.f16", "events.f16", "heard.f16"
_TOGETHER_SAVED = 100  # clips between two savings of the progress
_TEACHER = (
    "direction.py",
    "events.py",
    "engine/speech/cues.py",
    "face/mechanics.py",
    "train/lip_kernels.py",
    *(f"engine/planning/{name}.py" for name in ("plan", "take_plan")),
)  # what it needs besides its own modules


@dataclass(frozen=True)
class Job:
    """The inputs of a process that performs clips of a set; paths only, so that they can be pickled."""

    corpus: Path
    folder: Path
    channels: tuple[str, ...]
    seed: int
    flame: Path | None = None
    coefficients: int = 0


def teacher_code(*more: str) -> bytes:
    """The teacher's sources and constants, and `more` modules of thunder_core, for checksums of what depends on them."""
    core = Path(__file__).resolve().parents[1]
    paths = (*sorted(Path(__file__).parent.glob("teacher*.py")), *(core / name for name in (*_TEACHER, *more)), KERNELS)
    return b"".join(path.read_bytes() for path in paths)


def animate(
    corpus: Corpus, channels: list[str], folder: Path, seed: int = 1, workers: int = 1, basis: FlameBasis | None = None
) -> None:  # fmt: skip
    """Write `motions.f16` [VARIANTS, F, channels + 9], performances of every clip of the stage `hear`, `events.f16` [VARIANTS, F, EVENTS],
    the curves of their events, `directions.npy` [VARIANTS, clips, DIRECTION_NAMES], their directions, and `heard.f16`
    [VARIANTS − TRUE_TO_SOUND, F, 40], the phones' probabilities that the last variants perform.

    They are the teacher's; for a captured clip the captured motion, completed by the teacher's. Its direction and events are unknown: NaN.
    `performed.json` records the number of finished clips and the teacher, and the next call continues there; another teacher, seed or set
    starts over. The result does not depend on `workers`.

    channels: of the bundled head.  basis: the FLAME file whose coefficients the motions are written in instead.
    """
    flame = () if basis is None else (basis.path, basis.head.channels)
    job = Job(corpus.folder, Path(folder), tuple(channels), seed, *flame)
    _open.cache_clear()
    _, rows, *_ = _open(job)
    shape = (VARIANTS, rows[-1].start + rows[-1].frames, Columns(job.coefficients or len(channels)).count)
    made_by, done = _made_by(job), _done(job)
    fresh = not done
    if fresh:
        (folder / STATE).unlink(missing_ok=True)
    motions, events, heard = (
        np.memmap(folder / name, np.float16, "w+" if fresh else "r+", shape=(variants, shape[1], width))
        for name, variants, width in (
            (MOTIONS, VARIANTS, shape[2]), (CURVES, VARIANTS, len(EVENTS)), (HEARD, VARIANTS - TRUE_TO_SOUND, len(PHONES)),
        )
    )  # fmt: skip
    directions = np.full((VARIANTS, len(rows), len(DIRECTION_NAMES)), np.nan, np.float32) if fresh else np.load(folder / DIRECTIONS)

    def save(count: int) -> None:
        for each in (motions, events, heard):
            each.flush()
        np.save(folder / DIRECTIONS, directions)
        (folder / STATE).write_text(json.dumps({"made_by": made_by, "clips": count}))

    bar = tqdm(total=len(rows), initial=done, desc="animating the corpus", mininterval=10)
    for number, performed in zip(range(done, len(rows)), _performed(job, range(done, len(rows)), workers)):
        row = rows[number]
        at = slice(row.start, row.start + row.frames)
        motions[:, at], events[:, at], heard[:, at], directions[:, number] = performed
        bar.update()
        if (number + 1) % _TOGETHER_SAVED == 0:
            save(number + 1)
    save(len(rows))
    bar.close()


def _made_by(job: Job) -> str:
    """Checksum of what the performances depend on: set, seed, and the teacher's sources and constants."""
    digest = hashlib.sha256(repr((job.channels, job.seed, VARIANTS)).encode())
    digest.update((job.folder / "rows.json").read_bytes())
    if job.flame is not None:
        digest.update(repr(job.coefficients).encode() + job.flame.read_bytes())
    digest.update(teacher_code("train/performances.py"))
    return digest.hexdigest()[:16]


def _done(job: Job) -> int:
    """Number of clips already performed by this teacher."""
    state = job.folder / STATE
    if not all((job.folder / name).exists() for name in (STATE, MOTIONS, CURVES, HEARD, DIRECTIONS)):
        return 0
    about = json.loads(state.read_text())
    return about["clips"] if about["made_by"] == _made_by(job) else 0


@lru_cache(1)
def _open(job: Job) -> tuple[Corpus, list[Row], np.ndarray, np.ndarray, bool, FlameBasis | None]:
    """The corpus, its rows, features [F, d], phone logits [2F, 40], whether the teacher can read the features, and the basis of the
    motions; once in a process."""
    rows, features, encoder = open_features(job.folder)
    return (
        Corpus(job.corpus),
        rows,
        features,
        np.memmap(job.folder / "logits.f16", np.float16, "r").reshape(-1, len(PHONES)),
        encoder == fitted_to(),
        None if job.flame is None else FlameBasis(job.flame, job.coefficients),
    )


def _performed(job: Job, numbers: range, workers: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Each clip's performances, in order of `numbers`."""
    if workers <= 1 or len(numbers) < 2:
        yield from map(partial(_perform, job), numbers)
        return
    kept = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update(dict.fromkeys(kept, "1"))  # what a process inherits: its libraries start no threads of their own
    try:
        with multiprocessing.get_context("spawn").Pool(min(workers, len(numbers)), torch.set_num_threads, (1,)) as pool:
            yield from pool.imap(partial(_perform, job), numbers, chunksize=4)
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _perform(job: Job, number: int) -> tuple[np.ndarray, ...]:
    """(motions float16 [VARIANTS, frames, channels + 9], events float16 [VARIANTS, frames, EVENTS], what is heard float16
    [VARIANTS − TRUE_TO_SOUND, frames, 40], directions [VARIANTS, DIRECTION_NAMES]) of a clip."""
    corpus, rows, all_features, all_logits, fits, basis = _open(job)
    row, channels = rows[number], list(job.channels)
    names = channels if basis is None else list(basis.head.expression_names)
    captured = pitch = None
    at, speaker = slice(row.start, row.start + row.frames), row.speaker
    features = all_features[at].astype(np.float32)
    logits = all_logits[2 * at.start : 2 * at.stop].astype(np.float32)
    if row.clip < 0:
        phones, heard = np.full(4 * row.frames, SILENCE, np.uint8), np.full((row.frames, 2), -1.0, np.float32)
        speaker = f"{speaker} {number}"  # nobody speaks: a face at rest, of another person every time
    else:
        clip = corpus.clips[row.clip]
        phones, samples = corpus.phones(clip), corpus.samples(clip)
        heard, pitch = loudness(samples, row.frames), semitones(samples, row.frames)
        captured = None if row.listens else corpus.tracked(clip, Columns(len(names)).count)
        if row.listens:
            speaker = f"{speaker} {number}"  # the listener is another person than the speaker
    speaks = row.clip >= 0 and not row.listens
    motions, events, heard_phones, directions = [], [], [], []
    for variant in range(VARIANTS):
        rng = np.random.default_rng([job.seed, number, variant])
        direction = Direction.of_clip(speaker, rng)
        hears = features
        if variant >= TRUE_TO_SOUND:
            if speaks and captured is None:
                hears = as_heard(features, logits, int(rng.integers(1 << 32)))
            heard_phones.append(believed(hears).astype(np.float16))
        read = hears if fits and speaks else None
        motion, planned = perform_planned(phones, heard, channels, rng, direction, pitch, row.listens, read)
        events.append((planned if captured is None else np.full_like(planned, np.nan)).astype(np.float16))
        x = pack(motion if basis is None else basis.of_bundled(motion, channels))
        motions.append((x if captured is None else completed(captured, x, names)).astype(np.float16))
        directions.append(direction.vector() if captured is None else np.full(len(DIRECTION_NAMES), np.nan, np.float32))
    return np.stack(motions), np.stack(events), np.stack(heard_phones), np.stack(directions)


def as_heard(features: np.ndarray, logits: np.ndarray, seed: int) -> np.ndarray:
    """Speech features [T, d] with the phones that a take hears of logits [2T, 40] where they are doubtful, as `Thunder.hear` draws them."""
    result, drawn = features.copy(), softmax(hear_phones(logits, seed)) - softmax(logits)
    believed(result)[:] = np.clip(believed(result) + at_frames(drawn, len(features)), 0, 1)
    return result


# Groups that captures miss as a whole: a mouth rig has no lids, a clamped head does not turn.
_TOGETHER = ((*MOUTH, *COEFFICIENTS), TONGUE, ("brow", "nose", "cheekSquint"), ("eye",))


def completed(captured: np.ndarray, performed: np.ndarray, channels: list[str]) -> np.ndarray:
    """A captured motion [T, C] with a `performed` one's [T, C] parts where it holds still from beginning to end."""
    names = [*channels, *["jaw"] * 3]  # the jaw's rotation belongs to the mouth
    groups = [np.flatnonzero(in_group(names, group, but=TONGUE if group is _TOGETHER[0] else ())) for group in _TOGETHER]
    x, columns = performed.copy(), Columns(len(channels))
    for group in (*groups, columns.head, columns.eyes):
        if captured[:, group].any():  # FLAME's coefficients have no groups but one
            x[:, group] = captured[:, group]
    return x
