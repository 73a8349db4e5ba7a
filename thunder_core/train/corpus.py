# SPDX-License-Identifier: GPL-3.0-or-later
"""The training corpus: recordings with phone times, in one memory-mapped file.

A folder of recordings holds the sounds and, if there are any, `transcripts.tsv` (file, speaker,
text) and `alignments.tsv` (file, phone, start_s, end_s; header line). Without alignments the
shipped encoder recognises the phones, with the help of a text. Measured lips of a recording
lie beside it (`NAME.npy`, see `read_lips`). A folder of tracked performances
(docs/reference/tracked.md) adds real motion: all of it, or without the mouth where measured lips
lie beside it. The corpus is written once and then only read:
`samples.i16` (all clips one after another, 16 kHz), `phones.u8` (one label per 10 ms),
`tracked.f16` (captured motion at 25 fps), `lips.f16` (measured lips) and `clips.json`.
"""

import csv
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from ..errors import ThunderError
from ..spoken import phone_index, SILENCE
from ..types import FPS, pack, RATE
from .tracked import (
    FlameBasis,
    read_recording,
    reading,
    sound_beside,
    SOUNDS,
    speaker_of,
    tracked_clips,
)

# LibriSpeech test-other speakers: never used in training, the held-out voices of every table.
TEST_SPEAKERS = frozenset("533 367 3331 3080 3005 2609 2414 2033 1998 1688".split())
LABEL_HOP = RATE // 100  # samples per phone label
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


def splits_of(longest: Mapping[str, float]) -> dict[str, str]:
    """The split of every speaker, each in one alone. longest: seconds of each one's longest
    recording.

    Names decide (`split_of`) if that gives every split a speaker with a recording of LONGEST_CROP.
    Otherwise the next speakers in the order of their names' checksums test (unless TEST_SPEAKERS
    are there) and validate. Of two speakers nobody validates: training is then watched on the test
    speaker.
    """
    splits = {speaker: split_of(speaker) for speaker in longest}
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
    return array.reshape(-1, columns)[first : first + clip.length // 640].astype(np.float32)


def minutes_of(clips: list[Clip]) -> dict[str, float]:
    """Minutes of sound by folder of recordings."""
    minutes: dict[str, float] = {}
    for clip in clips:
        minutes[clip.corpus] = minutes.get(clip.corpus, 0.0) + clip.length / RATE / 60
    return {name: round(value, 1) for name, value in minutes.items()}


def voices_in_words(voices: dict) -> str:
    """`Corpus.voices` as a sentence."""
    validation, test = (_few(voices[split]) for split in ("validation", "test"))
    watched = f"validation: {validation}; test" if validation else "validation and test"
    return f"Speakers that train: {voices['train']}; {watched}: {test}"


def _few(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def labels(phones: list[tuple[str, float, float]], n: int) -> np.ndarray:
    """uint8 [n], one phone index per 10 ms, of [(phone, start s, end s)]; the rest is silence."""
    result = np.full(n, SILENCE, np.uint8)
    for symbol, start, end in phones:
        result[round(start * 100) : round(end * 100)] = phone_index(symbol)
    return result


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="") as f:
        return list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


class Recording(NamedTuple):
    """A sound or a tracked sequence that a folder holds. phones: (phone, start s, end s), None if
    nobody wrote them down."""

    name: str
    speaker: str
    path: Path
    phones: list[tuple[str, float, float]] | None = None
    text: str = ""


def list_recordings(folder: Path) -> list[Recording]:
    """The tracked sequences of a folder, or else its recordings, doubtful alignments left out. Each
    file without a speaker counts as a separate speaker. Raises BadTracking, BadCorpus."""
    if tracked := sorted(folder.rglob("*.npz")):
        return [Recording(path.stem, speaker_of(path), path) for path in tracked]
    transcripts = _rows(folder / "transcripts.tsv")
    speaker = {r[0]: r[1] for r in transcripts if len(r) > 1}
    text = {r[0]: r[2] for r in transcripts if len(r) > 2}
    doubtful = {
        r[0]
        for r in _rows(folder / "align_quality.tsv")
        if len(r) > 3 and (r[1] != "ok" or float(r[3]) <= _DOUBTFUL)
    }
    phones: dict[str, list] = {}
    for r in _rows(folder / "alignments.tsv"):
        if len(r) >= 4:
            phones.setdefault(r[0], []).append((r[1], float(r[2]), float(r[3])))
    found = [
        Recording(name, speaker[name], folder / name, times, text.get(name, ""))
        for name, times in sorted(phones.items())
        if (folder / name).exists() and name in speaker and name not in doubtful
    ]
    if not phones:
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS):
            name = str(path.relative_to(folder))
            who = speaker.get(name, f"{folder.name}/{name}")
            found.append(Recording(name, who, path, None, text.get(name, "")))
    if not found:
        raise BadCorpus(
            f"There are no recordings in {folder}. Name a folder with WAV, FLAC, OGG or MP3 files."
        )
    return found


def split_recordings(recordings: list[Recording]) -> dict[str, str]:
    """The split of every speaker. Raises BadCorpus, BadRecording, BadTracking."""
    longest: dict[str, float] = {}
    for each in recordings:
        sound = sound_beside(each.path) if each.path.suffix == ".npz" else each.path
        with reading(sound):
            seconds = soundfile.info(sound).duration
        longest[each.speaker] = max(longest.get(each.speaker, 0.0), seconds)
    splits = splits_of(longest)
    if not {"train", "test"} <= {splits[s] for s in longest if longest[s] >= LONGEST_CROP}:
        raise BadCorpus(
            f"Training needs two speakers with a recording of {LONGEST_CROP:g} seconds or more, "
            f"one to learn from and one to be measured by; here speak {_few(sorted(longest))} "
            f"(LibriSpeech's ten test-other speakers never train). Add longer recordings or "
            f"somebody else's, say in transcripts.tsv who speaks, or adapt what ships with the "
            f"stage adapt, to which one speaker is enough."
        )
    return splits


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
    source: Path, recordings: list[Recording], label: Callable, channels: list[str],
    basis: FlameBasis | None,
) -> Iterator[tuple]:  # fmt: skip
    """(name, corpus, speaker, samples [n] at 16 kHz, phones, captured motion or None, measured lips
    or None) of a folder's recordings. Raises BadTracking, BadRecording, BadCorpus."""
    if recordings[0].path.suffix == ".npz":
        for name, speaker, samples, motion in tqdm(
            tracked_clips(source, channels, basis=basis), desc=source.name
        ):
            lips = read_lips(source / f"{name}.npz", motion.frames)
            yield name, source.name, speaker, samples, label(samples, ""), motion, lips
        return
    for each in tqdm(recordings, desc=source.name):
        samples = read_recording(each.path)
        phones = label(samples, each.text) if each.phones is None else each.phones
        lips = read_lips(each.path, len(samples) // LABEL_HOP * LABEL_HOP // 640)
        yield each.name, source.name, each.speaker, samples, phones, None, lips


def build(
    folder: Path, sources: list[Path], label: Callable,
    channels: Sequence[str] = (), basis: FlameBasis | None = None, split: bool = True,
) -> Corpus:  # fmt: skip
    """Write the corpus of all recordings in `sources`.

    A source with `.npz` files is one of tracked performances, read onto the head's `channels`, or
    in a FLAME file's `basis`. label(samples, text) → [(phone, start s, end s)] writes down
    recordings that come without phone times (`teacher.label`).
    split: whether speakers are split, for which there must be enough of them; else all train.
    Raises BadTracking, BadRecording, BadCorpus.
    """
    listed = [(source, list_recordings(source)) for source in sources]
    recordings = [each for _, some in listed for each in some]
    splits = split_recordings(recordings) if split else {r.speaker: "train" for r in recordings}
    read = (_read(source, some, label, list(channels), basis) for source, some in listed)
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
        for name, corpus, speaker, samples, phones, motion, lips in chain.from_iterable(read):
            n = len(samples) // LABEL_HOP * LABEL_HOP
            if n < RATE // 2 or not np.isfinite(samples).all():
                continue
            samples_file.write((np.clip(samples[:n], -1, 1) * 32767).astype("<i2").tobytes())
            phones_file.write(labels(phones, n // LABEL_HOP).tobytes())
            at, of_lips = -1 if motion is None else frames, -1 if lips is None else lips_frames
            clips.append(
                asdict(Clip(name, corpus, speaker, splits[speaker], cursor, n, at, of_lips))
            )
            if motion is not None:
                tracked_file.write(pack(motion)[: n // 640].astype(np.float16).tobytes())
                frames += n // 640
            if lips is not None:
                lips_file.write(lips.astype(np.float16).tobytes())
                lips_frames += len(lips)
            cursor += n
    (folder / "clips.json").write_text(json.dumps(clips))
    return Corpus(folder)
