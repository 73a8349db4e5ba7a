# SPDX-License-Identifier: GPL-3.0-or-later
"""The data that the other models learn from: for every clip, speech features, units, voice and
performances of the teacher.

Computed once per encoder (`extract_features`) and teacher (`animate`) and memory-mapped; one row
per 25 fps animation frame, units two per row. The teacher performs on several processes, and is
resumed where it was stopped.
"""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from research.train.augment import augment, noise
from research.train.corpus import Corpus, SAMPLES_PER_FRAME
from research.train.mouth_readings import presence_in
from research.train.readings import direction_of_clip
from research.train.teacher import perform_planned, semitones
from thunder_core.acoustics import loudness
from thunder_core.behaviour import MOODS_FOLDER
from thunder_core.direction import Direction, DIRECTION_NAMES
from thunder_core.engine.m2s import SpeakerEncoder
from thunder_core.engine.network import processors
from thunder_core.engine.planning.mouth_map import (
    CONSTANTS,
    fitted_encoder,
    identity,
    mouth_map,
    phone_probabilities,
)
from thunder_core.engine.speech.cues import sample_phones
from thunder_core.engine.speech.encoder import (
    at_frames,
    softmax,
    speech_features,
    SpeechEncoder,
    Units,
)
from thunder_core.engine.voice import SPOKEN
from thunder_core.events import EVENTS
from thunder_core.spoken import PHONES, SILENCE
from thunder_core.types import Columns, in_group, MOUTH, pack, RATE, TONGUE

# ---- features of the corpus

VARIANTS = 3  # performances per clip
# of them, the first ones, perform what the encoder hears; the others what another take may hear
# (`speech.cues`)
TRUE_TO_SOUND = 2
LISTENED = 240  # clips used a second time as another person's voice that the face listens to
FOREIGN = 0.1  # share of voices that did not grow up with English, where their folders are named
QUIET_CLIPS = 160  # clips of silence, hum and noise, with the mouth at rest
UNITS = 200
NOISY = "noisy.f16"
_ROUNDS = 30  # of Lloyd's algorithm


@dataclass(frozen=True)
class ClipRow:
    """One clip: its animation frames start … start + frames, and its corpus index (−1: quiet, no
    recording).

    listens: the recording is another's voice, to which this face listens: features are of silence,
    with the loudness of the voice.
    """

    start: int
    frames: int
    split: str
    speaker: str
    clip: int
    listens: bool = False


def fit_units(features: np.ndarray, count: int, seed: int) -> Units:
    """Speech units by Lloyd's algorithm on float32 features [M, width]; empty classes restart on
    random points."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.from_numpy(np.ascontiguousarray(features, np.float32))
    # a few seconds have fewer
    first = torch.randperm(len(points), generator=generator)[torch.arange(count) % len(points)]
    centroids = points[first]
    for _ in range(_ROUNDS):
        labels = torch.from_numpy(Units(centroids.numpy())(points.numpy()))
        sums = torch.zeros_like(centroids).index_add_(0, labels, points)
        sizes = torch.bincount(labels, minlength=count)
        fresh = points[torch.randint(len(points), (count,), generator=generator)]
        centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], fresh)
    return Units(centroids.half().float().numpy())  # as they are stored


def extract_features(
    corpus: Corpus, encoder: SpeechEncoder, speaker: SpeakerEncoder, folder: Path, seed: int,
    units: Units | None = None, quiet_clips: int = QUIET_CLIPS, listened: int = LISTENED
) -> Units:  # fmt: skip
    """Write `features.f16` [F, d], `noisy.f16` [F, d] (what is heard of the same sounds in noise,
    in rooms and on telephones, `augment`), `logits.f16` [2F, 40], `units.u8` [2F], `quiet.i16`,
    `voices.npy` [clips, 256] and `rows.json`.

    Fits the speech units on the training voices first, unless `units` are given, and returns them.
    quiet_clips: clips of silence and noise added.  listened: training clips that count once more,
    as another's voice to which a face listens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (STATE, DIRECTIONS):  # performances of earlier features
        (folder / name).unlink(missing_ok=True)
    rng = np.random.default_rng(seed)
    if units is None:  # of at most 200 training clips
        clips = corpus.of("train")
        clips = [clips[i] for i in rng.choice(len(clips), min(200, len(clips)), replace=False)]
        units = fit_units(
            np.concatenate([encoder.analyse(corpus.samples(c))[0] for c in clips])[::2], UNITS, seed
        )

    def analyse(
        numbered: tuple[int, tuple[np.ndarray, bool, bool]],
    ) -> tuple[int, bytes, bytes, bytes, bytes, np.ndarray]:
        """(frames, features and those in noise [frames, d], logits [2 · frames, 40], units [2 ·
        frames], voice [256]) of (row number, (samples, whether a face listens, whether one
        speaks))."""
        number, (samples, listens, speaks) = numbered
        frames = len(samples) // SAMPLES_PER_FRAME
        hidden, logits = encoder.analyse(np.zeros_like(samples) if listens else samples)
        features = noisy = speech_features(hidden, logits, samples, frames).astype(np.float16)
        if speaks:
            around = augment(torch.from_numpy(samples), np.random.default_rng([seed, 2, number]))
            worse = np.ascontiguousarray(around.numpy(), np.float32)
            noisy = speech_features(*encoder.analyse(worse), worse, frames).astype(np.float16)
        every = logits[np.minimum(np.arange(2 * frames), len(logits) - 1)].astype(np.float16)
        heard = (
            features.tobytes(),
            noisy.tobytes(),
            every.tobytes(),
            units.over(hidden, frames).astype(np.uint8).tobytes(),
        )
        return frames, *heard, speaker.embed(samples, most_partials=2)

    # Sounds of noise without a voice, 3 … 8 s long, at any level.
    quiet = [
        noise(int(rng.integers(3, 9)) * RATE, rng) * float(10 ** rng.uniform(-5, -1.3))
        for _ in range(quiet_clips)
    ]
    (folder / "quiet.i16").write_bytes(
        (np.concatenate(quiet).clip(-1, 1) * 32767).astype(np.int16).tobytes() if quiet else b""
    )

    train = [i for i, clip in enumerate(corpus.clips) if clip.split == "train"]
    others = [int(i) for i in np.random.default_rng([seed, 1]).permutation(train)[:listened]]

    def sounds() -> Iterator[tuple[np.ndarray, bool, bool]]:
        yield from ((corpus.samples(clip), False, True) for clip in corpus.clips)
        yield from ((corpus.samples(corpus.clips[i]), True, False) for i in others)
        yield from ((x, False, False) for x in quiet)

    names = [(clip.split, clip.speaker, i, False) for i, clip in enumerate(corpus.clips)]
    names += [("train", "listener", i, True) for i in others] + [
        ("train", "quiet", -1, False)
    ] * len(quiet)
    rows, voices, start = [], [], 0
    with (
        (folder / "features.f16").open("wb") as features_file,
        (folder / NOISY).open("wb") as noisy_file,
        (folder / "logits.f16").open("wb") as logits_file,
        (folder / "units.u8").open("wb") as units_file,
        ThreadPool(processors()) as pool,
    ):
        analysed = tqdm(
            pool.imap(analyse, enumerate(sounds())),
            total=len(names),
            desc="analysing the corpus",
            mininterval=10,
        )
        for (split, name, clip, listens), analysis in zip(names, analysed):
            frames, features, noisy, logits, clip_units, voice = analysis
            features_file.write(features)
            noisy_file.write(noisy)
            logits_file.write(logits)
            units_file.write(clip_units)
            rows.append(asdict(ClipRow(start, frames, split, name, clip, listens)))
            voices.append(voice)
            start += frames
    np.save(folder / "voices.npy", np.stack(voices))
    about = {"width": encoder.feature_width, "encoder": identity(encoder), "rows": rows}
    (folder / "rows.json").write_text(json.dumps(about))
    return units


def open_features(folder: Path) -> tuple[list[ClipRow], np.ndarray, str]:
    """Rows, features float16 [F, d], and `mouth_map.identity` of the encoder whose features they
    are."""
    about = json.loads((folder / "rows.json").read_text())
    rows = [ClipRow(**row) for row in about["rows"]]
    features = np.memmap(folder / "features.f16", np.float16, "r").reshape(
        rows[-1].start + rows[-1].frames, about["width"]
    )
    return rows, features, about.get("encoder", "")


class MotionSet:
    """Read-only view of what `extract_features` and `animate` wrote.

    people: share of people's lips in what is drawn, None for as much as its length has.  foreign:
    names of the corpus' folders in which nobody grew up with English; a tenth of what is drawn.
    """

    def __init__(
        self, corpus: Corpus, folder: Path, people: float | None = None,
        foreign: Collection[str] = (),
    ):  # fmt: skip
        self.corpus, self.people, self.foreign = corpus, people, foreign
        self._odds: dict[tuple[int, ...], np.ndarray] = {}
        self.rows, self.features, self.encoder = open_features(folder)
        self.ear = ""  # name of the ear whose features these are, where they are not the encoder's
        total = len(self.features)
        self.noisy = self.features  # of what was heard before there was noise
        if (noisy := folder / NOISY).exists():
            self.noisy = np.memmap(noisy, np.float16, "r").reshape(self.features.shape)
        self._mouths: dict[tuple[int, int], np.ndarray] = {}
        self.units = np.memmap(folder / "units.u8", np.uint8, "r").reshape(total, 2)
        self.motions = np.memmap(folder / "motions.f16", np.float16, "r").reshape(
            VARIANTS, total, -1
        )
        self.events = np.memmap(folder / "events.f16", np.float16, "r").reshape(
            VARIANTS, total, len(EVENTS)
        )
        self.heard = np.memmap(folder / "heard.f16", np.float16, "r").reshape(
            VARIANTS - TRUE_TO_SOUND, total, len(PHONES)
        )
        self.directions = np.load(folder / "directions.npy")
        self.voices = np.load(folder / "voices.npy")
        quiet = folder / "quiet.i16"
        # no map of an empty file
        self._quiet = np.memmap(quiet, "<i2", "r") if quiet.stat().st_size else np.empty(0, "<i2")
        self._quiet_from = next((r.start for r in self.rows if r.clip < 0), total)

    def of(self, split: str, least_frames: int = 1, listening: bool = False) -> list[int]:
        """Row numbers of a split, quiet clips included in training, that have at least
        `least_frames`.

        listening: with those in which a face listens to another's voice, of which only the
        diffusion model learns.
        """
        return [
            i
            for i, r in enumerate(self.rows)
            if r.split == split and r.frames >= least_frames and (listening or not r.listens)
        ]

    def watched_rows(self, least_frames: int = 1) -> list[int]:
        """Row numbers that a training run is judged on while decisions are still made: the
        validation speakers.

        Where a set has none (a small folder of the user's), the test rows.
        """
        return self.of("validation", least_frames) or self.of("test", least_frames)

    def samples(self, number: int, start: int, frames: int) -> np.ndarray:
        """float32 [frames · 640] of a row's sound from its animation frame `start`: of the face's
        speech, not of the voice that it listens to."""
        row, n = self.rows[number], frames * SAMPLES_PER_FRAME
        if row.listens:
            return np.zeros(n, np.float32)
        if row.clip < 0:
            a = (row.start - self._quiet_from + start) * SAMPLES_PER_FRAME
            return self._quiet[a : a + n].astype(np.float32) / 32768
        return self.corpus.samples(self.corpus.clips[row.clip], start * SAMPLES_PER_FRAME, n)

    def features_of(self, number: int, start: int, frames: int, variant: int) -> np.ndarray:
        """Speech features float32 [frames, d] of a row from its animation frame `start`: with the
        phones that a variant performs, and of half of the sounds in noise, of which the teacher
        performs what is heard without it."""
        begin = self.rows[number].start + start
        at = slice(begin, begin + frames)
        in_noise = variant < TRUE_TO_SOUND and (variant + number) % 4 != 0
        features = (self.noisy if in_noise else self.features)[at].astype(np.float32)
        if variant >= TRUE_TO_SOUND and not self.ear:
            phone_probabilities(features)[:] = self.heard[variant - TRUE_TO_SOUND, at]
        return features

    def mouth_of(self, number: int, start: int, frames: int, variant: int) -> np.ndarray:
        """What the map of mouths hears in these features, float32 [frames, 6]
        (`engine.voice.VoiceFeatures.mouth`)."""
        if (number, variant) not in self._mouths:
            features = self.features_of(number, 0, self.rows[number].frames, variant)
            speaks, fits = presence_in(features) > SPOKEN, self.encoder == fitted_encoder()
            curves = mouth_map().curves(features, speaks, fits)
            self._mouths[number, variant] = curves.astype(np.float32)
        return self._mouths[number, variant][start : start + frames]

    def use_features(self, features: np.ndarray, ear: str) -> None:
        """Hear through an ear (`ear.Ear`) of this name: its features [F, d] instead of the
        encoder's."""
        self.features = self.noisy = features
        self.ear = ear

    def is_measured(self, number: int) -> bool:
        """Whether lips of a row are a person's, not the teacher's."""
        row = self.rows[number]
        return row.clip >= 0 and not row.listens and self.corpus.clips[row.clip].is_measured

    def _is_foreign(self, number: int) -> bool:
        row = self.rows[number]
        return row.clip >= 0 and self.corpus.clips[row.clip].corpus in self.foreign

    def odds(self, numbers: list[int]) -> np.ndarray:
        """How likely each row is drawn, sum 1: in proportion to its length, rows of people together
        `people` if that is given, and those that are `foreign` FOREIGN.

        Of people a speaker counts by the root of what was measured, so that one of hours leaves
        room for others.
        """
        if (known := self._odds.get(tuple(numbers))) is not None:
            return known
        odds = np.array([self.rows[i].frames for i in numbers], float)
        measured = np.array([self.is_measured(i) for i in numbers])
        foreign = np.array([self._is_foreign(i) for i in numbers]) & ~measured
        shares = [(foreign, FOREIGN)] if foreign.any() else []
        if self.people is not None and measured.any():
            shares.append((measured, self.people))
        rest = ~np.any([rows for rows, _ in shares], 0) if shares else np.zeros_like(measured)
        if rest.any():  # else these would be shares of nothing
            speakers = np.array([self.rows[i].speaker for i in numbers])
            for speaker in set(speakers[measured]) if self.people is not None else ():
                mine = measured & (speakers == speaker)
                odds[mine] /= np.sqrt(odds[mine].sum())
            for rows, share in (*shares, (rest, 1 - sum(share for _, share in shares))):
                odds[rows] *= share / odds[rows].sum()
        return self._odds.setdefault(tuple(numbers), odds / odds.sum())

    def draw(
        self, numbers: list[int], frames: int, batch: int, rng: np.random.Generator,
        variants: int = VARIANTS
    ) -> list[tuple[int, int, int]]:  # fmt: skip
        """`batch` random crops: (row number, first frame, variant), rows by their `odds`, of the
        first `variants`."""
        picks = rng.choice(numbers, batch, p=self.odds(numbers))
        return [
            (
                int(i),
                int(rng.integers(0, self.rows[i].frames - frames + 1)),
                int(rng.integers(variants)),
            )
            for i in picks
        ]


# ---- the teacher performs it

STATE, DIRECTIONS = "performed.json", "directions.npy"
MOTIONS, CURVES, HEARD = "motions.f16", "events.f16", "heard.f16"
_TOGETHER_SAVED = 100  # clips between two savings of the progress
# what the teacher needs besides its modules
_TEACHER = (
    "behaviour.py",
    "habits.json",
    "direction.py",
    "events.py",
    "engine/speech/cues.py",
    "face/points.py",
    *(f"face/moving/{name}.py" for name in ("mechanics", "mouth_shape")),
    "engine/planning/people.json",
    *(
        f"engine/planning/{name}.py"
        for name in ("choice", "mouth_map", "people", "take_plan", "upper_face")
    ),
)


@dataclass(frozen=True)
class ClipJob:
    """The inputs of a process that performs clips of a set; paths only, so that they can be
    pickled."""

    corpus: Path
    folder: Path
    channels: tuple[str, ...]
    seed: int


def teacher_code(*more: Path) -> bytes:
    """The teacher's sources and constants, and `more` files, for checksums of what depends on
    them."""
    core = Path(__file__).resolve().parents[2] / "thunder_core"
    paths = (
        *sorted(Path(__file__).parent.glob("teacher*.py")),
        *sorted(MOODS_FOLDER.glob("*.json")),
        *(core / name for name in _TEACHER),
        *more,
        CONSTANTS,
    )
    return b"".join(path.read_bytes() for path in paths)


def animate(
    corpus: Corpus, channels: list[str], folder: Path, seed: int = 1, workers: int = 1
) -> None:
    """Write `motions.f16` [VARIANTS, F, channels + 9], performances of every clip of the stage
    `hear`, `events.f16` [VARIANTS, F, EVENTS], the curves of their events, `directions.npy`
    [VARIANTS, clips, DIRECTION_NAMES], their directions, and `heard.f16` [VARIANTS − TRUE_TO_SOUND,
    F, 40], the phones' probabilities that the last variants perform.

    Motions are the teacher's; for a captured clip the captured motion, completed by the teacher's.
    Its direction and events but for the lips are unknown: NaN. A clip with measured lips is
    performed with these, as directed. `performed.json` records the number
    of finished clips and the teacher, and the next call continues there; another teacher, seed or
    set starts over. The result does not depend on `workers`.

    channels: of the bundled head.
    """
    job = ClipJob(corpus.folder, Path(folder), tuple(channels), seed)
    _open.cache_clear()
    _, rows, *_ = _open(job)
    shape = (VARIANTS, rows[-1].start + rows[-1].frames, Columns(len(channels)).count)
    made_by, done = _checksum(job), _finished_clips(job)
    fresh = not done
    if fresh:
        (folder / STATE).unlink(missing_ok=True)
    motions, events, heard = (
        np.memmap(folder / name, np.float16, "w+" if fresh else "r+",
        shape=(variants, shape[1], width))
        for name, variants, width in (
            (MOTIONS, VARIANTS, shape[2]), (CURVES, VARIANTS, len(EVENTS)),
            (HEARD, VARIANTS - TRUE_TO_SOUND, len(PHONES)),
        )
    )  # fmt: skip
    directions = (
        np.full((VARIANTS, len(rows), len(DIRECTION_NAMES)), np.nan, np.float32)
        if fresh
        else np.load(folder / DIRECTIONS)
    )

    def save(count: int) -> None:
        for each in (motions, events, heard):
            each.flush()
        np.save(folder / DIRECTIONS, directions)
        (folder / STATE).write_text(json.dumps({"made_by": made_by, "clips": count}))

    bar = tqdm(total=len(rows), initial=done, desc="animating the corpus", mininterval=10)
    for number, performed in zip(
        range(done, len(rows)), _perform_clips(job, range(done, len(rows)), workers)
    ):
        row = rows[number]
        at = slice(row.start, row.start + row.frames)
        motions[:, at], events[:, at], heard[:, at], directions[:, number] = performed
        bar.update()
        if (number + 1) % _TOGETHER_SAVED == 0:
            save(number + 1)
    save(len(rows))
    bar.close()


def _checksum(job: ClipJob) -> str:
    """Checksum of what the performances depend on: set, seed, and the teacher's sources and
    constants."""
    digest = hashlib.sha256(repr((job.channels, job.seed, VARIANTS)).encode())
    digest.update((job.folder / "rows.json").read_bytes())
    digest.update(teacher_code(Path(__file__)))
    return digest.hexdigest()[:16]


def _finished_clips(job: ClipJob) -> int:
    """Number of clips already performed by this teacher."""
    state = job.folder / STATE
    if not all(
        (job.folder / name).exists() for name in (STATE, MOTIONS, CURVES, HEARD, DIRECTIONS)
    ):
        return 0
    about = json.loads(state.read_text())
    return about["clips"] if about["made_by"] == _checksum(job) else 0


@lru_cache(1)
def _open(job: ClipJob) -> tuple[Corpus, list[ClipRow], np.ndarray, np.ndarray, bool]:
    """The corpus, its rows, features [F, d], phone logits [2F, 40], and whether the teacher can
    read the features; once in a process."""
    rows, features, encoder = open_features(job.folder)
    return (
        Corpus(job.corpus),
        rows,
        features,
        np.memmap(job.folder / "logits.f16", np.float16, "r").reshape(-1, len(PHONES)),
        encoder == fitted_encoder(),
    )


def _perform_clips(job: ClipJob, numbers: range, workers: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Each clip's performances, in order of `numbers`."""
    if workers <= 1 or len(numbers) < 2:
        yield from map(partial(_perform, job), numbers)
        return
    # inherited by processes, so that their libraries start no threads
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    with multiprocessing.get_context("spawn").Pool(
        min(workers, len(numbers)), torch.set_num_threads, (1,)
    ) as pool:
        yield from pool.imap(partial(_perform, job), numbers, chunksize=4)


def _perform(job: ClipJob, number: int) -> tuple[np.ndarray, ...]:
    """(motions float16 [VARIANTS, frames, channels + 9], events float16 [VARIANTS, frames, EVENTS],
    what is heard float16 [VARIANTS − TRUE_TO_SOUND, frames, 40], directions [VARIANTS,
    DIRECTION_NAMES]) of a clip."""
    corpus, rows, all_features, all_logits, fits = _open(job)
    row, channels = rows[number], list(job.channels)
    captured = pitch = lips = None
    at, speaker = slice(row.start, row.start + row.frames), row.speaker
    features = all_features[at].astype(np.float32)
    logits = all_logits[2 * at.start : 2 * at.stop].astype(np.float32)
    if row.clip < 0:
        phones = np.full(4 * row.frames, SILENCE, np.uint8)
        heard = np.full((row.frames, 2), -1.0, np.float32)
        # nobody speaks: a face at rest, of another person every time
        speaker = f"{speaker} {number}"
    else:
        clip = corpus.clips[row.clip]
        phones, samples = corpus.phones(clip), corpus.samples(clip)
        heard, pitch = loudness(samples, row.frames), semitones(samples, row.frames)
        captured = (
            None if row.listens else corpus.captured_motion(clip, Columns(len(channels)).count)
        )
        lips = None if row.listens else corpus.measured_lips(clip)
        if captured is not None and lips is not None:  # the teacher performs the lips
            captured[:, np.flatnonzero(in_group([*channels, *["jaw"] * 3], _TOGETHER[0]))] = 0.0
        if row.listens:
            speaker = f"{speaker} {number}"  # the listener is another person than the speaker
    speaks = row.clip >= 0 and not row.listens
    motions, events, heard_phones, directions = [], [], [], []
    for variant in range(VARIANTS):
        rng = np.random.default_rng([job.seed, number, variant])
        direction = direction_of_clip(speaker, rng) if lips is None else Direction()
        hears = features
        if variant >= TRUE_TO_SOUND:
            if speaks and captured is None and lips is None:
                hears = redraw_phones(features, logits, int(rng.integers(1 << 32)))
            heard_phones.append(phone_probabilities(hears).astype(np.float16))
        read = hears if fits and speaks else None
        motion, planned = perform_planned(
            phones, heard, channels, rng, direction, pitch, row.listens, read, lips
        )
        if captured is not None:
            planned[:] = np.nan
        events.append(planned.astype(np.float16))
        x = pack(motion)
        motions.append(
            (x if captured is None else complete_capture(captured, x, channels)).astype(np.float16)
        )
        directions.append(
            direction.vector()
            if captured is None
            else np.full(len(DIRECTION_NAMES), np.nan, np.float32)
        )
    return np.stack(motions), np.stack(events), np.stack(heard_phones), np.stack(directions)


def redraw_phones(features: np.ndarray, logits: np.ndarray, seed: int) -> np.ndarray:
    """Speech features [T, d] with the phones that a take hears of logits [2T, 40] where they are
    doubtful, as `VoiceFeatures.resample_phones` draws them."""
    result, drawn = features.copy(), softmax(sample_phones(logits, seed)) - softmax(logits)
    phone_probabilities(result)[:] = np.clip(
        phone_probabilities(result) + at_frames(drawn, len(features)), 0, 1
    )
    return result


# Groups that captures miss as a whole: a mouth rig has no lids, a clamped head does not turn.
_TOGETHER = (MOUTH, TONGUE, ("brow", "nose", "cheekSquint"), ("eye",))


def complete_capture(
    captured: np.ndarray, performed: np.ndarray, channels: list[str]
) -> np.ndarray:
    """A captured motion [T, C] with a `performed` one's [T, C] parts where it holds still from
    beginning to end."""
    names = [*channels, *["jaw"] * 3]  # the jaw's rotation belongs to the mouth
    groups = [
        np.flatnonzero(in_group(names, group, but=TONGUE if group is _TOGETHER[0] else ()))
        for group in _TOGETHER
    ]
    x, columns = performed.copy(), Columns(len(channels))
    parts: list[np.ndarray | slice] = [*groups, columns.head, columns.eyes]
    for group in parts:
        if captured[:, group].any():
            x[:, group] = captured[:, group]
    return x
