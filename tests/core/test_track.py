# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of an actor become tracked performances: a drawn head whose motion is known is followed by
MediaPipe in its own environment, and what is wrong with a video is named."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from thunder_core.animation import motion_file
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine_python import find_tracker
from thunder_core.errors import NoEngine
from thunder_core.face.head import load_head
from thunder_core.request import Request
from thunder_core.train.corpus import BadCorpus, list_recordings, read_lips
from thunder_core.train.track import cut, list_videos, track, Wishes
from thunder_core.train.tracked import BadTracking, tracked_clips
from thunder_core.types import FPS, RATE

ROOT = Path(__file__).resolve().parents[2]
HEAD = load_head()
FRAMES = 120
# Runs in the tracker's environment: draws a take, and writes its pictures as films.
DRAW = """
import sys
import cv2, numpy as np
from thunder_core.animation.motion_file import read
from thunder_core.engine.tracking.drawing import HeadDrawing
from thunder_core.face.head import load_head
motion, _ = read(sys.argv[1])
pictures = HeadDrawing(load_head(), 300).draw(motion, np.array([0.0, 0.1, 0.0]))
blank = np.full_like(pictures[0], 40)
films = {
    "plain": pictures,
    "mirror": [np.ascontiguousarray(p[:, ::-1]) for p in pictures],
    "cut": [p if k < 70 else 255 - cv2.resize(p, None, fx=1, fy=1) // 2 for k, p in enumerate(pictures)],
    "two": [np.hstack([p, cv2.resize(q, (240, 300))]) for p, q in zip(pictures, pictures[::-1])],
    "nobody": [blank] * len(pictures),
}
for name, film in films.items():
    height, width = film[0].shape[:2]
    out = cv2.VideoWriter(f"{sys.argv[2]}/{name}.avi", cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    for picture in film:
        out.write(picture)
    out.release()
"""


@pytest.fixture(scope="module")
def engine():
    return Engine.load(device="cpu")


@pytest.fixture(scope="module")
def filmed(engine, tmp_path_factory):
    """The folder of a speaker with films of one take of the sample, and its motion."""
    folder = tmp_path_factory.mktemp("films") / "ada"
    folder.mkdir()
    speech = read_sound(ROOT / "assets" / "sample.wav")
    (take,) = engine.generate(speech, Request(1, 1))
    motion = take.motion.part(slice(FRAMES))
    np.savez(folder.parent / "take.npz", **motion_file.arrays(motion, HEAD.expression_names))
    command = [find_tracker(), "-c", DRAW, str(folder.parent / "take.npz"), str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    sound = cut(speech.samples, 0.0, FRAMES).samples
    ffmpeg = shutil.which("ffmpeg")
    for name, delay in (*((film.stem, 0.0) for film in folder.glob("*.avi")), ("late", 0.32)):
        film = folder / f"{'plain' if name == 'late' else name}.avi"
        late = np.concatenate([np.zeros(round(delay * RATE), np.float32), sound])
        soundfile.write(folder / "sound.wav", late, RATE)
        subprocess.run(
            [ffmpeg, "-y", "-v", "error", "-i", film, "-i", folder / "sound.wav", "-c:v", "copy",
             "-c:a", "pcm_s16le", folder / f"{name}.mkv"],
            check=True,
        )  # fmt: skip
    for rest in (*folder.glob("*.avi"), folder / "sound.wav"):
        rest.unlink()
    return folder, motion


@pytest.fixture(scope="module")
def followed(filmed, engine, tmp_path_factory):
    """The folder of what was tracked, and what was told."""
    out, told = tmp_path_factory.mktemp("tracked"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tqdm.tqdm.write", lambda self, text, **_: told.append(text))
        summary = track([filmed[0]], out, engine, Wishes(trainable=True))
    return out / "ada", "\n".join(told), summary


def test_a_known_motion_is_found_again(filmed, followed):
    from thunder_core.face.lips import opening_mm

    _, motion = filmed
    with np.load(followed[0] / "plain.npz") as file:
        found = dict(file)
    n = min(FRAMES, len(found["opening"]))
    assert n > FRAMES - 4
    real = opening_mm(motion, HEAD)[:n]
    assert np.corrcoef(found["opening"][:n], real)[0, 1] > 0.85
    blink = list(HEAD.expression_names).index("eyeBlinkLeft")
    seen, true = found["expression"][:n, blink], motion.expression[:n, blink]
    assert np.corrcoef(seen, true)[0, 1] > 0.9
    assert np.corrcoef(found["head"][:n, 1], motion.head[:n, 1])[0, 1] > 0.9


def test_what_is_wrong_with_a_video_is_named(followed):
    _, told, summary = followed
    assert "cut.mkv: The picture is cut at 2.80 s" in told
    assert "show two people" in told
    assert "nobody.mkv: No face is seen in “nobody.mkv”" in told
    assert "late.mkv: The sound is 0.32 s late" in told
    assert "plain.mkv" not in told
    assert summary.startswith("5 of 6 videos")


def test_training_reads_what_was_tracked(followed):
    folder, _, _ = followed
    clips = {
        Path(name).name: each
        for name, *each in tracked_clips(folder.parent, list(HEAD.expression_names))
    }
    assert set(clips) == {"plain", "mirror", "cut", "two", "late"}
    speaker, samples, motion = clips["plain"]
    assert speaker == "ada" and abs(len(samples) / RATE - motion.frames / FPS) < 0.05
    lips = read_lips(folder / "plain.npz", motion.frames)
    assert lips.shape == (motion.frames, 2) and 0.3 < lips[:, 0].std() < 3
    assert {each.path.suffix for each in list_recordings(folder)} == {".npz"}
    assert (folder / "plain.png").stat().st_size > 10_000


def test_it_goes_on_where_it_was_stopped_and_marks_what_may_not_train(
    filmed, followed, engine, tmp_path, monkeypatch
):
    folder = tmp_path / "bob"
    folder.mkdir()
    for name in ("plain", "two"):
        shutil.copy(filmed[0] / f"{name}.mkv", folder)
    from thunder_core.train import track as module

    real, calls = module._track_one, []

    def stopped(path, *args):
        calls.append(path.stem)
        if path.stem == "two":
            raise KeyboardInterrupt
        return real(path, *args)

    monkeypatch.setattr(module, "_track_one", stopped)
    with pytest.raises(SystemExit, match="1 of 2 videos are done, and the same command goes on"):
        track([folder], tmp_path / "out", engine, Wishes())
    calls.clear()
    with pytest.raises(SystemExit):
        track([folder], tmp_path / "out", engine, Wishes())
    assert calls == ["two"]
    assert not list((tmp_path / "out" / "bob").glob("*.npy"))
    with pytest.raises(BadTracking, match="to measure against"):
        list(tracked_clips(tmp_path / "out", list(HEAD.expression_names)))


def test_videos_are_listed_by_their_speaker(tmp_path):
    for place in ("ada/a.mp4", "bob/a.MOV", "bob/notes.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
    assert [(who, path.name) for who, path in list_videos([tmp_path])] == [
        ("ada", "a.mp4"), ("bob", "a.MOV"),
    ]  # fmt: skip
    with pytest.raises(BadCorpus, match="There are no videos"):
        list_videos([tmp_path / "nowhere"])
    (tmp_path / "bob" / "a.mp4").touch()
    with pytest.raises(BadCorpus, match="same speaker and name"):
        list_videos([tmp_path])


def test_without_what_follows_faces_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("THUNDER_TRACKER", str(tmp_path / "none"))
    with pytest.raises(NoEngine, match="There is no Python"):
        find_tracker()
    monkeypatch.delenv("THUNDER_TRACKER")
    monkeypatch.setattr("thunder_core.engine_python.ROOT", str(tmp_path))
    with pytest.raises(NoEngine, match="follows faces in videos is not installed"):
        find_tracker()
