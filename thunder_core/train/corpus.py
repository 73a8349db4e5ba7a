# SPDX-License-Identifier: GPL-3.0-or-later
"""The training corpus: recordings with phone times, and synthetic voices with exact ones, in one
memory-mapped file.

A folder of recordings holds the sounds and, if there are any, `transcripts.tsv` (file, speaker,
text) and `alignments.tsv` (file, phone, start_s, end_s; header line). Without alignments the texts
are aligned by pocketsphinx; without texts the shipped encoder recognises the phones. A folder of
tracked performances (docs/reference/tracked.md) adds real motion. The corpus is written once and
then only read: `samples.i16` (all clips one after another, 16 kHz), `phones.u8` (one label per 10
ms), `tracked.f16` (captured motion at 25 fps) and `clips.json`.
"""

import csv
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from ..engine.speech.encoder import phone_index, SILENCE
from ..errors import ThunderError
from ..types import pack, RATE
from .tracked import FlameBasis, SOUNDS, speaker_of, tracked_clips
from .voices import read_recording, synthesise

# LibriSpeech test-other speakers: never used in training, the held-out voices of every table.
TEST_SPEAKERS = frozenset("533 367 3331 3080 3005 2609 2414 2033 1998 1688".split())
LABEL_HOP = RATE // 100  # samples per phone label
LONGEST_CROP = 5.0  # seconds of one recording that a stage needs at most, mesh-to-speech's
SYNTHETIC_MINUTES = 60.0
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
        self._tracked = (
            np.memmap(motion, np.float16, "r")
            if motion.exists() and motion.stat().st_size
            else None
        )

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
        if clip.tracked < 0:
            return None
        return self._tracked.reshape(-1, columns)[
            clip.tracked : clip.tracked + clip.length // 640
        ].astype(np.float32)

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


def voices_in_words(voices: dict) -> str:
    """`Corpus.voices` as a sentence."""
    validation, test = (
        f"{', '.join(names[:10])}{f' and {len(names) - 10} more' if len(names) > 10 else ''}"
        for names in (voices["validation"], voices["test"])
    )
    watched = (
        f"validation: {validation}; test: {test}" if validation else f"validation and test: {test}"
    )
    return f"Speakers that train: {voices['train']}; {watched}"


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


def _recordings(
    folder: Path, least_score: float
) -> Iterator[tuple[str, str, Path, list | None, str]]:
    """(name, speaker, path, phones or None, text) of every recording of a folder, doubtful
    alignments left out.

    Each file without a speaker counts as a separate speaker.
    """
    transcripts = _rows(folder / "transcripts.tsv")
    speaker = {r[0]: r[1] for r in transcripts if len(r) > 1}
    text = {r[0]: r[2] for r in transcripts if len(r) > 2}
    phones: dict[str, list] = {}
    for r in _rows(folder / "alignments.tsv"):
        if len(r) >= 4:
            phones.setdefault(r[0], []).append((r[1], float(r[2]), float(r[3])))
    quality = {
        r[0]: float(r[3]) if r[1] == "ok" else -np.inf
        for r in _rows(folder / "align_quality.tsv")
        if len(r) > 3
    }
    if phones:
        for name, times in sorted(phones.items()):
            path = folder / name
            if path.exists() and name in speaker and quality.get(name, 0.0) > least_score:
                yield name, speaker[name], path, times, text.get(name, "")
        return
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS):
        name = str(path.relative_to(folder))
        yield name, speaker.get(name, f"{folder.name}/{name}"), path, None, text.get(name, "")


def can_synthesise() -> bool:
    """Whether flite and espeak-ng are installed, which speak the synthetic voices."""
    return bool(shutil.which("flite") and shutil.which("espeak-ng"))


def build(
    folder: Path, sources: list[Path], synthetic_minutes: float = SYNTHETIC_MINUTES,
    least_score: float = -24.0, label=None,
    channels: list[str] = (), basis: FlameBasis | None = None, split: bool = True,
) -> Corpus:  # fmt: skip
    """Write the corpus of all recordings in `sources` and of synthetic voices reading their
    sentences.

    A source with `.npz` files is one of tracked performances, read onto the head's `channels`, or
    in a FLAME file's `basis`. label(samples, text) → [(phone, start s, end s)] writes down
    recordings that come without phone times (`label.Labeller`).
    split: whether speakers are split, for which there must be enough of them; else all train.
    Raises BadTracking, BadCorpus.
    """
    listed, speakers = [], set()
    for source in sources:
        tracked, recordings = sorted(source.rglob("*.npz")), []
        if not tracked and not (recordings := list(_recordings(source, least_score))):
            raise BadCorpus(
                f"There are no recordings in {source}. Name a folder with WAV, FLAC, OGG or MP3 "
                f"files."
            )
        listed.append(recordings)
        speakers |= {speaker_of(path) for path in tracked} | {
            speaker for _, speaker, *_ in recordings
        }
    if split and len(speakers) < 2:
        raise BadCorpus(
            f"All recordings are of one speaker, {', '.join(speakers)}. Training needs a second "
            f"one to be measured by: add recordings of "
            "somebody else, say in transcripts.tsv who speaks, or adapt what ships with the stage "
            "adapt, to which one speaker is enough."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "clips.json").unlink(missing_ok=True)  # until the rest is written
    clips: list[dict] = []
    said: list[tuple[str, str]] = []  # speaker, text
    longest = dict.fromkeys(speakers, 0.0)
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
            clips.append(
                dict(
                    name=name,
                    corpus=corpus,
                    speaker=speaker,
                    split="",
                    start=cursor,
                    length=n,
                    tracked=at,
                )
            )
            longest[speaker] = max(longest.get(speaker, 0.0), n / RATE)
            cursor += n

        for source, recordings in zip(sources, listed):
            if not recordings:
                for name, speaker, samples, motion in tqdm(
                    tracked_clips(source, list(channels), basis=basis), desc=source.name
                ):
                    add(name, source.name, speaker, samples, label(samples, ""), motion)
                continue
            for name, speaker, path, phones, text in tqdm(recordings, desc=source.name):
                samples = _read(path)
                add(
                    name,
                    source.name,
                    speaker,
                    samples,
                    label(samples, text) if phones is None else phones,
                )
                said.append((speaker, text))
        splits = splits_of(longest) if split else dict.fromkeys(longest, "train")
        if split and not {"train", "test"} <= {
            splits[speaker] for speaker, seconds in longest.items() if seconds >= LONGEST_CROP
        }:
            raise BadCorpus(
                f"Too few speakers have a recording of {LONGEST_CROP:g} seconds or more: two are "
                f"needed at least, one to train on "
                "and one to be measured by (LibriSpeech's ten test-other speakers never train). "
                "Add longer recordings."
            )
        texts = [
            text for speaker, text in said if splits[speaker] == "train" and 20 < len(text) < 160
        ]
        rng, seconds = np.random.default_rng(1), 0.0
        bar = tqdm(total=synthetic_minutes, desc="synthetic voices", unit="min")
        while texts and seconds < synthetic_minutes * 60:
            voice, samples, phones = synthesise(texts, rng)
            add(f"{voice}-{len(clips)}", "synthetic", voice, samples, phones)
            seconds += len(samples) / RATE
            bar.update(len(samples) / RATE / 60)
        bar.close()
    clips = [
        clip | {"split": splits.get(clip["speaker"]) or split_of(clip["speaker"])} for clip in clips
    ]
    (folder / "clips.json").write_text(json.dumps(clips))
    return Corpus(folder)


def _read(path: Path) -> np.ndarray:
    """float32 [n] at 16 kHz. Raises BadCorpus."""
    try:
        return read_recording(path)
    except (soundfile.LibsndfileError, OSError) as error:
        raise BadCorpus(
            f"{path} cannot be read as sound ({error}). Save it as WAV, or take it out of the "
            f"folder."
        ) from None
