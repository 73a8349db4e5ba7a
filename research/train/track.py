# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns videos of people speaking into tracked performances (docs/reference/tracked.md), one after
the other; what is done is not done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from research.train.corpus import BadCorpus, load_arrays, SAMPLES_PER_FRAME
from thunder_core.animation.motion_file import read, VIDEOS
from thunder_core.client import Client
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine_python import find_tracker
from thunder_core.errors import NoEngine, NoSpace, ThunderError
from thunder_core.files import write_file
from thunder_core.types import FPS, RATE, Speech

_LATE = 0.1  # seconds by which a sound may be late or early untold
NOTES = "notes.txt"  # what was said of the videos


def list_videos(sources: list[Path]) -> list[tuple[str, Path]]:
    """(speaker, path) of the videos in folders or named: the speaker is the folder that a file is
    in. Raises BadCorpus."""
    paths = [
        path.resolve()
        for source in sources
        for path in ([source] if source.is_file() else sorted(source.rglob("*")))
        if path.suffix.lower() in VIDEOS
    ]
    places = {(path.parent.name, path.stem): path for path in paths}
    if not paths or len(places) < len(paths):
        named = ", ".join(source.name for source in sources)
        raise BadCorpus(
            f"Two videos in {named} have the same speaker and name. Rename one."
            if paths
            else f"There are no videos in {named}. Name videos, or folders with them."
        )
    return [(speaker, path) for (speaker, _), path in places.items()]


def track(
    sources: list[Path], to: Path, engine: Engine, trainable: bool = False, aspect: float = 0.0
) -> str:
    """Follow the faces of videos into `to`/SPEAKER/NAME.npz, .wav, .png (a sheet) and, if they are
    `trainable`, .npy (`corpus.read_lips`); returns how many.

    trainable: they may be trained on.  aspect: width of a pixel in its heights, 0: as the video
    says. Raises ThunderError, and SystemExit when it is stopped, or if a video could not be
    followed.
    """
    videos, failed = list_videos(sources), 0

    with (
        Client(find_tracker(), verbs="tracker") as client,
        tqdm(total=len(videos), bar_format="{l_bar}{bar}| {elapsed}<{remaining}") as bar,
    ):
        for number, (speaker, path) in enumerate(videos):
            bar.set_description(f"{speaker}/{path.stem}")
            out, notes = to / speaker / f"{path.stem}.npz", []

            out.parent.mkdir(parents=True, exist_ok=True)

            def report(event: dict, number: int = number) -> None:
                bar.update(number + event.get("fraction", 0.0) - bar.n)

            try:
                if not out.exists():
                    notes = _track_one(path, out, engine, client, trainable, aspect, report)
                elif trainable:
                    _allow_training(out)
            except (NoEngine, NoSpace):
                raise
            except ThunderError as error:
                failed, notes = failed + 1, [str(error)]
            except KeyboardInterrupt:
                raise SystemExit(
                    f"Stopped: {number} of {len(videos)} videos are done, and the same command "
                    f"goes on"
                ) from None
            for note in notes:
                bar.write(f"{speaker}/{path.name}: {note}")
                with (to / NOTES).open("a", encoding="utf-8") as file:
                    file.write(f"{speaker}/{path.name}: {note}\n")
            bar.update(number + 1 - bar.n)
    if trainable:
        for speaker in sorted({speaker for speaker, _ in videos}):
            write_lips(to / speaker)
    made = f"{len(videos) - failed} of {len(videos)} videos → {to}"
    if failed:
        raise SystemExit(f"{made}: {failed} could not be followed, see {to / NOTES}")
    return made


def _track_one(
    path: Path, out: Path, engine: Engine, client: Client, trainable: bool, aspect: float,
    report: Callable[[dict], None],
) -> list[str]:  # fmt: skip
    """Follow one video; returns sentences about it. The .npz is written last. Raises
    ThunderError."""
    whole = read_sound(path).samples
    part = out.with_suffix(".part")
    found = client.request(
        "track", video=str(path), to=str(part.resolve()), aspect=aspect, mirrored=False,
        sheet=str(out.with_suffix(".png").resolve()),
    ).wait(report)  # fmt: skip
    start, frames, notes = found["start"], found["frames"], list(found["notes"])
    speech = cut(whole, start, frames)
    match, _ = engine.align(speech, read(part)[0])
    late = match.seconds if match.sure >= 1 else np.nan
    if abs(late) >= _LATE:
        when = "late" if late > 0 else "early"
        notes.append(f"The sound is {abs(late):.2f} s {when}: move it, and track the video again")
    spoken = np.zeros(frames, bool)
    for first, behind in engine.analyse(speech).phrasing.phrases:
        spoken[first:behind] = True
    soundfile.write(out.with_suffix(".wav"), speech.samples, RATE, subtype="PCM_16")
    about = {"speaker": out.parent.name, "measuring": not trainable, "spoken": spoken}
    arrays = load_arrays(part) | about
    write_file(out, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
    part.unlink()
    return notes


def _allow_training(out: Path) -> None:
    """Mark a performance that was tracked before as one to train on."""
    arrays = load_arrays(out)
    if arrays.get("measuring", False):
        arrays["measuring"] = np.array(False)
        write_file(out, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def cut(samples: np.ndarray, start: float, frames: int) -> Speech:
    """So many frames of a sound at 16 kHz from `start` seconds on; silence beyond its ends."""
    at = np.arange(frames * SAMPLES_PER_FRAME) + round(start * RATE)
    inside = (at >= 0) & (at < len(samples))
    return Speech(np.where(inside, samples[at.clip(0, len(samples) - 1)], 0).astype(np.float32))


def write_lips(folder: Path) -> None:
    """Write opening and width of a speaker's performances, in deviations above the mean of the
    person's speech."""
    measured = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            lips = np.stack([file["opening"], file["width"]], 1).astype(float)
            measured[path] = lips, file["spoken"] & file["seen"]
    speech = np.concatenate(
        [np.empty((0, 2)), *(lips[spoken] for lips, spoken in measured.values())]
    )
    if len(speech) > FPS:
        for path, (lips, _) in measured.items():
            lips = (lips - speech.mean(0)) / np.maximum(speech.std(0), 1e-3)
            np.save(path.with_suffix(".npy"), lips.astype(np.float32))
