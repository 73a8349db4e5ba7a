# SPDX-License-Identifier: GPL-3.0-or-later
"""The training corpus: recordings with phone times and tracked performances, in one memory-mapped
file.

A folder of recordings holds the sounds and, if there are any, `transcripts.tsv` (file, speaker,
text) and `alignments.tsv` (file, phone, start_s, end_s; header line). Without alignments the
shipped encoder recognises the phones, with the help of a text. Measured lips of a recording
lie beside it (`NAME.npy`, see `read_lips`). A folder of tracked performances
(docs/reference/tracked.md) adds real motion: all of it, or without the mouth where measured lips
lie beside it; channels are read by name, in any order and of any number. The engine reads
users' files itself (speech/audio.py). The corpus is written once and then only read:
`samples.i16` (all clips one after another, 16 kHz), `phones.u8` (one label per 10 ms),
`tracked.f16` (captured motion at 25 fps), `lips.f16` (measured lips) and `clips.json`.
"""

import csv
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
import torchaudio
from scipy.spatial.transform import Rotation, Slerp
from tqdm import tqdm

from thunder_core.arrays import read_npz
from thunder_core.errors import ThunderError
from thunder_core.filters import gaussian
from thunder_core.spoken import phone_index, SILENCE
from thunder_core.types import FPS, LEAST_FPS, MOST_FPS, Motion, pack, RATE, reorder


class BadRecording(ThunderError):
    """A sound that cannot be read; the message names it and says what to do."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises BadRecording where the block cannot read the sound of a file."""
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadRecording(
            f"{path} cannot be read as sound ({error}). Save it as WAV, or take it out of the "
            f"folder."
        ) from None


def read_recording(path: Path) -> np.ndarray:
    """Samples float32 [n] at 16 kHz, the mean of a file's channels. Raises BadRecording."""
    with reading(path):
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = torch.from_numpy(np.ascontiguousarray(samples.mean(1), np.float32))
    if rate != RATE:
        mono = torchaudio.functional.resample(mono, rate, RATE)
    return mono.numpy()


SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
_ROTATIONS = {"head": ("head", "pose"), "eyes": ("eyes",)}
# largest difference in length between motion and sound of one performance, seconds
_NEARLY_WHOLE = 0.5
_MOST_RADIANS = 2.0  # largest turn of a jaw, neck or eye in radians; larger values are degrees


class BadTracking(ThunderError):
    """A tracked sequence cannot be used; the message names the file and says what to change."""


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a sequence by their names. Raises BadTracking."""
    try:
        return read_npz(path)
    except Exception as error:  # zip, header and object-array errors all mean the same to the user
        raise BadTracking(
            f"{path.name} cannot be read as a tracked sequence ({error}). Save it with "
            f"numpy.savez, plain arrays only."
        ) from None


def numbers_of(
    path: Path, data: dict, name: str, width: int | None, frames: int | None
) -> np.ndarray:
    """float64 [T, width] of an array, checked. Raises BadTracking."""
    if name not in data:
        raise BadTracking(
            f"{path.name} lacks {name}. A tracked sequence has expression, jaw and fps; see "
            f"docs/reference/tracked.md."
        )
    x = data[name]
    if (
        x.dtype.kind not in "fiu"
        or x.ndim != 2
        or not len(x)
        or (width and x.shape[1] != width)
        or (frames and len(x) != frames)
    ):
        wanted = f"{frames or 'frames'} × {width or 'channels'}"
        raise BadTracking(
            f"{name} in {path.name} is {x.dtype} of shape {x.shape} where numbers of shape "
            f"{wanted} are needed."
        )
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        first = int(np.flatnonzero(~np.isfinite(x).all(1))[0])
        raise BadTracking(
            f"{name} in {path.name} has NaN or infinite values from frame {first}. Fill or cut "
            f"the frames that were lost."
        )
    return x


def _channels(path: Path, data: dict, values: np.ndarray, channels: list[str]) -> np.ndarray:
    """Values [T, b] of the file's channels → [T, n] on the head's."""
    if "channels" not in data:
        raise BadTracking(
            f"{path.name} has coefficients without channel names: another head's basis. Name the "
            f"channels."
        )
    names = [str(n) for n in np.asarray(data["channels"]).ravel()]
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise BadTracking(
            f"{path.name} names {len(set(names))} channels for {values.shape[1]} columns. Name "
            f"each column once."
        )
    if not set(names) & set(channels):
        raise BadTracking(
            f"No channel of {path.name} ({', '.join(names[:3])} …) is one of the head's. Rename "
            f"them; see docs/reference/tracked.md."
        )
    return reorder(values, names, channels)


def resample(x: np.ndarray, fps: float, to: float = FPS, rotations: bool = False) -> np.ndarray:
    """Frames [T, c] at `fps` → frames at `to`, first frame at the same instant; rotation vectors
    along the shortest arc."""
    at = np.arange(max(1, int(np.floor((len(x) - 1) / fps * to + 1e-6)) + 1)) / to * fps
    # faster captures are smoothed first, or jitter would be folded into the motion
    if fps > 1.5 * to:
        x = gaussian(x, 0.35 * fps / to, "nearest")
    if len(x) == 1:
        return x[:1].repeat(len(at), 0)
    if rotations:
        return Slerp(np.arange(len(x)), Rotation.from_rotvec(x))(
            np.clip(at, 0, len(x) - 1)
        ).as_rotvec()
    return np.stack([np.interp(at, np.arange(len(x)), x[:, c]) for c in range(x.shape[1])], 1)


def speaker_of(path: Path, data: dict | None = None) -> str:
    """Who performs a tracked sequence: as it (or its arrays) says, or its file's name. Raises
    BadTracking."""
    return str((data or load_arrays(path)).get("speaker", "")) or path.stem


def read_tracked(path: Path, channels: list[str]) -> tuple[Motion, str, dict]:
    """(Motion at 25 fps on `channels`, speaker, all arrays of the file) of a tracked sequence.
    Raises BadTracking."""
    path = Path(path)
    data = load_arrays(path)
    rate = np.asarray(data.get("fps", np.nan))
    if (
        rate.dtype.kind not in "fiu"
        or rate.size != 1
        or not (LEAST_FPS <= float(rate.ravel()[0]) <= MOST_FPS)
    ):
        raise BadTracking(
            f"{path.name} has no frame rate between 1 and 1000. Save fps, the frames per second "
            f"of its arrays."
        )
    fps = float(rate.ravel()[0])
    coefficients = numbers_of(path, data, "expression", None, None)
    frames = len(coefficients)
    jaw = numbers_of(path, data, "jaw", 3, frames)
    turns = {
        part: next((numbers_of(path, data, n, 3, frames) for n in names if n in data), None)
        for part, names in _ROTATIONS.items()
    }
    for name, x in (("jaw", jaw), *turns.items()):
        if x is not None and np.abs(x).max() > _MOST_RADIANS:
            raise BadTracking(
                f"{name} in {path.name} turns by {np.abs(x).max():.1f}, too far for radians. Save "
                f"rotation vectors in radians."
            )
    expression = np.clip(_channels(path, data, coefficients, channels), -1.0, 1.5)
    still: dict[str, Any] = {
        part: None if x is None else resample(x, fps, rotations=True).astype(np.float32)
        for part, x in turns.items()
    }
    motion = Motion(
        resample(expression, fps).astype(np.float32),
        resample(jaw, fps, rotations=True).astype(np.float32),
        **still,
    )
    return motion, speaker_of(path, data), data


def sound_beside(path: Path) -> Path:
    """The sound beside a sequence. Raises BadTracking."""
    for file in map(path.with_suffix, SOUNDS):
        if file.exists():
            return file
    raise BadTracking(
        f"{path.name} has no sound beside it. Put {path.stem}.wav (or .flac) into the same folder."
    )


def tracked_clips(
    folder: Path, channels: list[str]
) -> Iterator[tuple[str, str, np.ndarray, Motion]]:
    """(name, speaker, samples [n] at 16 kHz, Motion at 25 fps) of every tracked sequence below a
    folder, by name.

    Sound and motion start together and are cut to the shorter; a difference over half a second is
    an error. Sequences marked `measuring` (not to be trained on) are refused. Raises BadTracking,
    naming the file.
    """
    folder = Path(folder)
    paths = sorted(folder.rglob("*.npz"))
    if not paths:
        raise BadTracking(
            f"There are no tracked sequences (.npz) in {folder.name}. See "
            f"docs/reference/tracked.md for their format."
        )
    for path in paths:
        motion, speaker, data = read_tracked(path, channels)
        if data.get("measuring", False):
            raise BadTracking(
                f"{path.name} is marked as a face to measure against, not to train on. Take it "
                f"out of the folder, or track it with --trainable if you may train on it."
            )
        samples = read_recording(sound_beside(path))
        seconds = len(samples) / RATE
        if abs(seconds - motion.frames / FPS) > _NEARLY_WHOLE:
            raise BadTracking(
                f"{path.name} lasts {motion.frames / FPS:.1f} s and its sound {seconds:.1f} s. "
                f"Cut them to the same stretch; is fps right?"
            )
        frames = min(motion.frames, int(seconds * FPS))
        yield (
            str(path.relative_to(folder).with_suffix("")),
            speaker,
            samples[: round(frames / FPS * RATE)],
            motion.part(slice(frames)),
        )


# LibriSpeech test-other speakers: never used in training, the held-out voices of every table.
TEST_SPEAKERS = frozenset("533 367 3331 3080 3005 2609 2414 2033 1998 1688".split())
LABEL_HOP = RATE // 100  # samples per phone label
SAMPLES_PER_FRAME = int(RATE / FPS)
LONGEST_CROP = 5.0  # seconds of one recording that a stage needs at most, mesh-to-speech's
_DOUBTFUL = -24.0  # mean score of an alignment (align_quality.tsv) up to which it is left out
_ONE_IN = 25  # of so many speakers one validates, and one tests if nobody of TEST_SPEAKERS is there


class BadCorpus(ThunderError):
    """Recordings that cannot be trained on; the message says what is missing."""


def split_of(speaker: str) -> str:
    """`train`, `validation` or `test` by the speaker's name alone."""
    if speaker in TEST_SPEAKERS:
        return "test"
    return "validation" if zlib.crc32(speaker.encode()) % _ONE_IN == 0 else "train"


def splits_of(longest: Mapping[str, float], testing: Collection[str] = ()) -> dict[str, str]:
    """The split of every speaker, each in one alone. longest: seconds of each one's longest
    recording.  testing: who tests, as TEST_SPEAKERS do.

    Names decide (`split_of`) if that gives every split a speaker with a recording of LONGEST_CROP.
    Otherwise the next speakers in the order of their names' checksums test (unless TEST_SPEAKERS
    are there) and validate. Of two speakers nobody validates: training is then watched on the test
    speaker.
    """
    splits = {s: "test" if s in testing else split_of(s) for s in longest}
    measurable = [speaker for speaker, seconds in longest.items() if seconds >= LONGEST_CROP]
    if len({splits[speaker] for speaker in measurable}) == 3:
        return splits
    splits = {speaker: split if split == "test" else "train" for speaker, split in splits.items()}
    others = sorted(
        (s for s in measurable if splits[s] == "train"),
        key=lambda s: (zlib.crc32(s.encode()) % _ONE_IN, s),
    )
    few = max(1, len(others) // _ONE_IN)
    tests = 0 if len(others) < len(measurable) else few
    splits |= dict.fromkeys(others[:tests], "test")
    if len(others) - tests > 1:
        splits |= dict.fromkeys(others[tests : tests + few], "validation")
    return splits


@dataclass(frozen=True)
class Clip:
    """One utterance: start and number of its samples in the corpus, speaker, and origin.

    tracked: first frame of its captured motion, −1 if nobody captured any; lips: the same of its
    measured lips.
    """

    name: str
    corpus: str
    speaker: str
    split: str
    start: int
    length: int
    tracked: int = -1
    lips: int = -1

    @property
    def is_measured(self) -> bool:
        """Whether a person's lips are known."""
        return max(self.tracked, self.lips) >= 0


class Corpus:
    """Read-only view of a corpus folder written by `build`."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.clips = [Clip(**c) for c in json.loads((self.folder / "clips.json").read_text())]
        self._samples = np.memmap(self.folder / "samples.i16", dtype="<i2", mode="r")
        self._phones = np.memmap(self.folder / "phones.u8", dtype=np.uint8, mode="r")
        self._tracked, self._lips = (_halves(self.folder / n) for n in ("tracked.f16", "lips.f16"))

    def samples(self, clip: Clip, start: int = 0, length: int | None = None) -> np.ndarray:
        """A clip's samples, float32 [length], −1..1: all, or `length` of them from sample
        `start`."""
        a = clip.start + start
        return (
            self._samples[a : a + (clip.length if length is None else length)].astype(np.float32)
            / 32768
        )

    def phones(self, clip: Clip) -> np.ndarray:
        """uint8 [length / 160], one phone index per 10 ms."""
        a = clip.start // LABEL_HOP
        return np.asarray(self._phones[a : a + clip.length // LABEL_HOP])

    def captured_motion(self, clip: Clip, columns: int) -> np.ndarray | None:
        """A clip's captured motion, float32 [length / 640, columns], as `types.pack` orders it,
        None without one."""
        return _frames_of(self._tracked, columns, clip.tracked, clip)

    def measured_lips(self, clip: Clip) -> np.ndarray | None:
        """A clip's measured lips, float32 [length / 640, 2] (`read_lips`), None without any."""
        return _frames_of(self._lips, 2, clip.lips, clip)

    def of(self, *splits: str) -> list[Clip]:
        """Clips of these splits, in the corpus' order."""
        return [c for c in self.clips if c.split in splits]

    def voices(self) -> dict:
        """Who is in which split: the number of speakers that train, and the names of those in
        `validation` and `test`."""
        speakers = {
            split: sorted({c.speaker for c in self.of(split)})
            for split in ("train", "validation", "test")
        }
        return speakers | {"train": len(speakers["train"])}


def _halves(path: Path) -> np.ndarray | None:
    """The float16 of a file, None where it is missing or empty."""
    return np.memmap(path, np.float16, "r") if path.exists() and path.stat().st_size else None


def _frames_of(array: np.ndarray | None, columns: int, first: int, clip: Clip) -> np.ndarray | None:
    """The rows of a clip, float32 [length / 640, columns], which begin at `first`; −1: None."""
    if first < 0:
        return None
    assert array is not None
    return array.reshape(-1, columns)[first : first + clip.length // SAMPLES_PER_FRAME].astype(
        np.float32
    )


def minutes_of(clips: list[Clip]) -> dict[str, float]:
    """Minutes of sound by folder of recordings."""
    minutes: dict[str, float] = {}
    for clip in clips:
        minutes[clip.corpus] = minutes.get(clip.corpus, 0.0) + clip.length / RATE / 60
    return {name: round(value, 1) for name, value in minutes.items()}


def motions_in_words(clips: list[Clip]) -> str:
    """Whose motions are performed over a corpus, for cards."""
    captured = sum(c.length for c in clips if c.tracked >= 0) / RATE / 60
    whole = sum(c.length for c in clips) / RATE / 60
    of_people = f", {captured:.1f} of {whole:.1f} minutes captured" if captured else ""
    return f"teacher's motions over the corpus{of_people}"


def voices_in_words(voices: dict) -> str:
    """`Corpus.voices` as a sentence."""
    validation, test = (_few(voices[split]) for split in ("validation", "test"))
    watched = f"validation: {validation}; test" if validation else "validation and test"
    return f"Speakers that train: {voices['train']}; {watched}: {test}"


def unnamed_in_words(count: int) -> str:
    """What to say of so many recordings of which nobody wrote down who speaks."""
    return (
        f"\n{count} recordings have no speaker in transcripts.tsv: each counts as a speaker, and "
        f"who trains may test"
        if count
        else ""
    )


def _few(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def labels(phones: list[tuple[str, float, float]], n: int) -> np.ndarray:
    """uint8 [n], one phone index per 10 ms, of [(phone, start s, end s)]; the rest is silence."""
    result = np.full(n, SILENCE, np.uint8)
    for symbol, start, end in phones:
        result[round(start * 100) : round(end * 100)] = phone_index(symbol)
    return result


def _rows(path: Path, names: Collection[str]) -> list[list[str]]:
    """Rows of a table of recordings, `names`, without its header if it has one. Raises
    BadCorpus."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as f:
            rows = [r for r in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE) if r]
    except UnicodeDecodeError:
        raise BadCorpus(f"{path} is not text in UTF-8. Save it in this encoding.") from None
    if rows and rows[0][0] not in names:
        del rows[0]
    if rows and not any(len(r) > 1 and r[0] in names for r in rows):
        raise BadCorpus(
            f"{path} names no recording of its folder. Write a row for each, its columns parted by "
            f"tabs, the file's name with its ending first."
        )
    return rows


class FoundRecording(NamedTuple):
    """A sound or a tracked sequence that a folder holds. phones: (phone, start s, end s), None if
    nobody wrote them down."""

    name: str
    speaker: str
    path: Path
    phones: list[tuple[str, float, float]] | None = None
    text: str = ""


def list_recordings(folder: Path) -> list[FoundRecording]:
    """The tracked sequences of a folder, or else its recordings, doubtful alignments left out. Each
    file without a speaker counts as a separate speaker. Raises BadTracking, BadCorpus."""
    sounds = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS)
    if tracked := sorted(folder.rglob("*.npz")):
        alone = [p for p in sounds if not p.with_suffix(".npz").exists()]
        if alone:
            raise BadCorpus(
                f"{folder} holds tracked performances, and recordings without one: {alone[0]} … "
                f"Move these into a folder of their own, and name both."
            )
        return [FoundRecording(path.stem, speaker_of(path), path) for path in tracked]
    names = {str(path.relative_to(folder)) for path in sounds}
    transcripts = _rows(folder / "transcripts.tsv", names)
    speaker = {r[0]: r[1] for r in transcripts if len(r) > 1}
    text = {r[0]: r[2] for r in transcripts if len(r) > 2}
    doubtful = {
        r[0]
        for r in _rows(folder / "align_quality.tsv", names)
        if len(r) > 3 and (r[1] != "ok" or float(r[3]) <= _DOUBTFUL)
    }
    phones: dict[str, list] = {}
    for r in _rows(folder / "alignments.tsv", names):
        if len(r) >= 4:
            phones.setdefault(r[0], []).append((r[1], float(r[2]), float(r[3])))
    found = [
        FoundRecording(name, speaker[name], folder / name, times, text.get(name, ""))
        for name, times in sorted(phones.items())
        if (folder / name).exists() and name in speaker and name not in doubtful
    ]
    if not phones:
        for path in sounds:
            name = str(path.relative_to(folder))
            who = speaker.get(name, f"{folder.name}/{name}")
            found.append(FoundRecording(name, who, path, None, text.get(name, "")))
    if not found:
        raise BadCorpus(
            f"There are no recordings in {folder}. Name a folder with WAV, FLAC, OGG or MP3 files."
        )
    return found


def split_recordings(
    recordings: list[FoundRecording], testing: Collection[str] = ()
) -> tuple[dict[str, str], set[str]]:
    """The split of every speaker, and whose recordings are joined since without that nobody could
    learn or be measured (`_join`). Raises BadCorpus, BadRecording, BadTracking."""
    longest: dict[str, float] = {}
    together: dict[str, float] = {}
    for each in recordings:
        sound = sound_beside(each.path) if each.path.suffix == ".npz" else each.path
        with reading(sound):
            seconds = soundfile.info(sound).duration
        longest[each.speaker] = max(longest.get(each.speaker, 0.0), seconds)
        together[each.speaker] = together.get(each.speaker, 0.0) + seconds
    if missing := set(testing) - set(longest):
        raise BadCorpus(
            f"Nobody here is called {_few(sorted(missing))}: here speak {_few(sorted(longest))}"
        )
    for known in (longest, together):
        splits = splits_of(known, testing)
        if {"train", "test"} <= {splits[s] for s in known if known[s] >= LONGEST_CROP}:
            short = {s for s in longest if longest[s] < LONGEST_CROP <= known[s]}
            return splits, short
    raise BadCorpus(
        f"Training needs two speakers with {LONGEST_CROP:g} seconds of recordings or more, one to "
        f"learn from and one to be measured by; here speak {_few(sorted(longest))} (LibriSpeech's "
        f"ten test-other speakers never train). Add recordings of them or of somebody else, say in "
        f"transcripts.tsv who speaks, or adapt what ships with the stage adapt, to which one "
        f"speaker is enough."
    )


class _Piece(NamedTuple):
    """A recording as it is read. samples: [n] at 16 kHz.  phones: (phone, start s, end s).  motion:
    captured, [frames, columns] as `types.pack` orders it, or None.  lips: measured, [frames, 2], or
    None."""

    name: str
    corpus: str
    speaker: str
    samples: np.ndarray
    phones: list[tuple[str, float, float]]
    motion: np.ndarray | None
    lips: np.ndarray | None


def _join(pieces: Iterable[_Piece], speakers: set[str]) -> Iterator[_Piece]:
    """Recordings of these speakers joined until they last LONGEST_CROP, others as they are.

    Those with captured motion or measured lips are joined with their like alone.
    """
    waiting: dict[tuple, list[_Piece]] = {}
    for piece in pieces:
        if piece.speaker not in speakers:
            yield piece
            continue
        kind = piece.corpus, piece.speaker, piece.motion is None, piece.lips is None
        some = waiting.setdefault(kind, [])
        some.append(piece)
        if sum(len(each.samples) // SAMPLES_PER_FRAME for each in some) >= LONGEST_CROP * FPS:
            yield _joined(waiting.pop(kind))
    yield from map(_joined, waiting.values())


def _joined(pieces: list[_Piece]) -> _Piece:
    """Recordings one after another, each cut to whole frames of 25 a second; named as the first."""
    frames = [len(each.samples) // SAMPLES_PER_FRAME for each in pieces]
    begins = np.cumsum([0, *frames[:-1]]) / FPS

    def rows(name: str, of_frame: int) -> np.ndarray | None:
        parts = [getattr(each, name) for each in pieces]
        if parts[0] is None:
            return None
        return np.concatenate([part[: n * of_frame] for part, n in zip(parts, frames)])

    samples = rows("samples", SAMPLES_PER_FRAME)
    assert samples is not None
    return pieces[0]._replace(
        samples=samples,
        phones=[
            (phone, start + begin, end + begin)
            for each, begin in zip(pieces, begins)
            for phone, start, end in each.phones
        ],
        motion=rows("motion", 1),
        lips=rows("lips", 1),
    )


def read_lips(path: Path, frames: int) -> np.ndarray | None:
    """Lips measured on the speaker of a recording, float32 [frames, 2] at 25 fps, None without a
    `.npy` beside it: opening and width, in deviations above the mean of the person's speech. Raises
    BadCorpus."""
    if not (path := path.with_suffix(".npy")).exists():
        return None
    try:
        lips = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadCorpus(f"{path} cannot be read as numbers ({error}). Take it out.") from None
    if lips.dtype.kind != "f" or lips.shape[1:] != (2,) or abs(len(lips) - frames) > FPS / 2:
        raise BadCorpus(
            f"{path} holds {lips.dtype} of shape {lips.shape} for {frames} frames. Save opening "
            f"and width at 25 fps, [frames, 2]."
        )
    if not np.isfinite(lips).all():
        raise BadCorpus(f"{path} holds NaN or infinite numbers. Leave out what was not measured.")
    return lips[np.minimum(np.arange(frames), len(lips) - 1)].astype(np.float32)


def _read(
    source: Path, recordings: list[FoundRecording], label: Callable, channels: list[str]
) -> Iterator[_Piece]:
    """The recordings of a folder. Raises BadTracking, BadRecording, BadCorpus."""
    if recordings[0].path.suffix == ".npz":
        for name, speaker, samples, motion in tqdm(
            tracked_clips(source, channels), desc=source.name
        ):
            lips = read_lips(source / f"{name}.npz", motion.frames)
            yield _Piece(
                name, source.name, speaker, samples, label(samples, ""), pack(motion), lips
            )
        return
    for each in tqdm(recordings, desc=source.name):
        samples = read_recording(each.path)
        phones = label(samples, each.text) if each.phones is None else each.phones
        lips = read_lips(each.path, len(samples) // LABEL_HOP * LABEL_HOP // SAMPLES_PER_FRAME)
        yield _Piece(each.name, source.name, each.speaker, samples, phones, None, lips)


def build(
    folder: Path, sources: list[Path], label: Callable,
    channels: Sequence[str] = (), split: bool = True, testing: Collection[str] = (),
) -> Corpus:  # fmt: skip
    """Write the corpus of all recordings in `sources`.

    A source with `.npz` files is one of tracked performances, read onto the head's `channels`.
    label(samples, text) → [(phone, start s, end s)] writes down recordings that come without phone
    times (`teacher.label`).
    split: whether speakers are split, for which there must be enough of them; else all train.
    Where recordings are too short for that, those of a speaker are joined.  testing: who tests.
    Raises BadTracking, BadRecording, BadCorpus.
    """
    listed = [(source, list_recordings(source)) for source in sources]
    recordings = [each for _, some in listed for each in some]
    short: set[str] = set()
    splits = {each.speaker: "train" for each in recordings}
    if split:
        splits, short = split_recordings(recordings, testing)
    read = (_read(source, some, label, list(channels)) for source, some in listed)
    sounding = (
        piece
        for piece in chain.from_iterable(read)
        if len(piece.samples) >= RATE // 2 and np.isfinite(piece.samples).all()
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clips.json").unlink(missing_ok=True)  # until the rest is written
    clips: list[dict] = []
    cursor = frames = lips_frames = 0
    with (
        (folder / "samples.i16").open("wb") as samples_file,
        (folder / "phones.u8").open("wb") as phones_file,
        (folder / "tracked.f16").open("wb") as tracked_file,
        (folder / "lips.f16").open("wb") as lips_file,
    ):
        for name, corpus, speaker, samples, phones, motion, lips in _join(sounding, short):
            n = len(samples) // LABEL_HOP * LABEL_HOP
            samples_file.write((np.clip(samples[:n], -1, 1) * 32767).astype("<i2").tobytes())
            phones_file.write(labels(phones, n // LABEL_HOP).tobytes())
            at, of_lips = -1 if motion is None else frames, -1 if lips is None else lips_frames
            clips.append(
                asdict(Clip(name, corpus, speaker, splits[speaker], cursor, n, at, of_lips))
            )
            if motion is not None:
                tracked_file.write(motion[: n // SAMPLES_PER_FRAME].astype(np.float16).tobytes())
                frames += n // SAMPLES_PER_FRAME
            if lips is not None:
                lips_file.write(lips.astype(np.float16).tobytes())
                lips_frames += len(lips)
            cursor += n
    (folder / "clips.json").write_text(json.dumps(clips))
    return Corpus(folder)
