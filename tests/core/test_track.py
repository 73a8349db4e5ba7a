# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of an actor become tracked performances: a drawn head whose motion is known is followed by
MediaPipe in its own environment, and what is wrong with a video is named."""

import contextlib
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from research.__main__ import main
from research.faces.films import draw_films
from research.train import track as module
from research.train.corpus import BadCorpus, BadTracking, list_recordings, read_lips, tracked_clips
from research.train.track import cut, list_videos, track
from thunder_core.animation import motion_file
from thunder_core.client import Client
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.tracking.spots import (
    ACROSS,
    BROW_PAIRS,
    contours,
    CORNERS,
    IRISES,
    LOWER_LIDS,
    POINTS,
    UPPER_LIDS,
)
from thunder_core.engine_python import find_tracker
from thunder_core.errors import NoEngine
from thunder_core.face.head import load_head
from thunder_core.request import Request
from thunder_core.types import FPS, RATE

ROOT = Path(__file__).resolve().parents[2]
HEAD = load_head()
FRAMES = 80
KINDS = ("plain", "mirrored", "cut", "closer", "two", "nobody", "squeezed", "television")


@pytest.fixture(scope="module")
def filmed(engine, tmp_path_factory):
    """The folder of a speaker with films of one take of the sample, and its motion."""
    folder = tmp_path_factory.mktemp("films") / "ada"
    folder.mkdir()
    speech = read_sound(ROOT / "assets" / "sample.wav")
    (take,) = engine.generate(speech, Request(1, 8))  # whose head turns
    motion = take.motion.part(slice(FRAMES))
    np.savez(folder.with_suffix(".npz"), **motion_file.arrays(motion, HEAD.expression_names))
    draw_films([folder.with_suffix(".npz")], folder.parent, KINDS)
    sound = cut(speech.samples, 0.0, FRAMES).samples
    ffmpeg = shutil.which("ffmpeg")
    made = {film.stem: (film, 0.0, "0") for film in folder.glob("*.avi")}
    made["late"] = folder / "plain.avi", 0.32, "0"
    made["named"] = folder / "squeezed.avi", 0.0, "6/5"  # the file says how wide its pixels are
    for name, (film, delay, pixels) in made.items():
        late = np.concatenate([np.zeros(round(delay * RATE), np.float32), sound])
        soundfile.write(folder / "sound.wav", late, RATE)
        shape = ["-c:v", "copy"] if pixels == "0" else ["-q:v", "2", "-vf", f"setsar={pixels}"]
        subprocess.run(
            [ffmpeg, "-y", "-v", "error", "-i", film, "-i", folder / "sound.wav", *shape,
             "-c:a", "pcm_s16le", folder / f"{name}.mkv"],
            check=True,
        )  # fmt: skip
    for rest in (*folder.glob("*.avi"), folder / "sound.wav"):
        rest.unlink()
    return folder, motion


@pytest.fixture(scope="module")
def tracker():
    """One process follows the faces of all films: it takes seconds to start."""
    with Client(find_tracker(), verbs="tracker") as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Client", lambda *_, **__: contextlib.nullcontext(client))
        yield client


@pytest.fixture(scope="module")
def followed(tracker, filmed, engine, tmp_path_factory):
    """The folder of what was tracked, and what was told."""
    out, told = tmp_path_factory.mktemp("tracked"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tqdm.tqdm.write", lambda self, text, **_: told.append(text))
        with pytest.raises(SystemExit) as ended:
            track([filmed[0]], out, engine, trainable=True)
    return out / "ada", "\n".join(told), ended.value.code


def test_a_known_motion_is_found_again(filmed, followed):
    from thunder_core.face.moving.lips import opening_mm

    _, motion = filmed
    with np.load(followed[0] / "plain.npz") as file:
        found = dict(file)
    n = min(FRAMES, len(found["opening"]))
    assert n > FRAMES - 4
    real = opening_mm(motion, HEAD)[:n]
    # .851 on this take; .85 was asked of the take that earlier networks made of this seed
    assert np.corrcoef(found["opening"][:n], real)[0, 1] > 0.84
    blink = list(HEAD.expression_names).index("eyeBlinkLeft")
    seen, true = found["expression"][:n, blink], motion.expression[:n, blink]
    assert np.corrcoef(seen, true)[0, 1] > 0.9
    assert np.corrcoef(found["head"][:n, 1], motion.head[:n, 1])[0, 1] > 0.9


def test_what_is_wrong_with_a_video_is_named(followed):
    _, told, summary = followed
    assert "cut.mkv: The picture is cut at 2.80 s" in told
    assert "closer.mkv: The picture is cut at 2.80 s" in told
    assert "show two people" in told
    assert "nobody.mkv: No face is seen in “nobody.mkv”" in told
    assert "late.mkv: The sound is 0.32 s late" in told
    assert "squeezed.mkv: The face is measured too narrow" in told and "(--pixel-aspect)" in told
    assert "television.mkv: The picture is 720 × 576" in told
    assert not {"plain.mkv", "mirrored.mkv", "named.mkv"} & set(re.findall(r"\w+\.mkv", told))
    assert re.fullmatch(r"9 of 10 videos → .*: 1 could not be followed, see .*notes.txt", summary)
    assert (followed[0].parent / "notes.txt").read_text() == told + "\n", "it is kept"


def lips_of(path):
    """Opening and width [T, 2] of what was tracked."""
    with np.load(path) as file:
        return np.stack([file["opening"], file["width"]], 1)


def assert_alike(one, other, least=0.96):
    """Lips of two films of one motion; least: their correlation."""
    n = min(len(one), len(other))
    for a, b in zip(one[:n].T, other[:n].T):
        assert (a - b).std() <= 0.7 and np.corrcoef(a, b)[0, 1] >= least


def test_a_mirror_image_has_the_same_lips(followed):
    """The face mesh alone has others: 1.1 mm apart, r .82."""
    assert_alike(lips_of(followed[0] / "mirrored.npz"), lips_of(followed[0] / "plain.npz"))


@pytest.fixture(scope="module")
def command(tracker, filmed, tmp_path_factory):
    """Runs `python -m research train track` on one film; returns the .npz and what was told."""

    def run(name, *options):
        to, told = tmp_path_factory.mktemp("command"), []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tqdm.tqdm.write", lambda self, text, **_: told.append(text))
            try:
                main(["train", "track", str(filmed[0] / f"{name}.mkv"), "--to", str(to), *options])
            except SystemExit as ended:
                told.append(str(ended))
        return to / "ada" / f"{name}.npz", "\n".join(told)

    return run


def test_squeezed_pictures_are_undone_by_the_width_of_a_pixel(followed, command):
    made, told = command("squeezed", "--pixel-aspect", "1.2")
    plain = lips_of(followed[0] / "plain.npz")
    # fewer pixels are across
    assert_alike(lips_of(made), plain, 0.93)
    assert_alike(lips_of(followed[0] / "named.npz"), plain, 0.93)
    assert not told
    wrong = lips_of(followed[0] / "squeezed.npz")
    assert wrong[:, 1].mean() < plain[:, 1].mean() - 1 or wrong[:, 0].mean() > plain[:, 0].mean()
    made, told = command("plain", "--pixel-aspect", "-2")
    assert "Pixels are not -2 times as wide as high" in told and not made.exists()
    assert "0 of 1 videos" in told


def test_a_mirror_s_pictures_are_turned_back(filmed, followed, tracker, tmp_path):
    made, film = tmp_path / "made.npz", filmed[0] / "mirrored.mkv"
    tracker.request(
        "track", video=str(film), to=str(made), aspect=0.0, mirrored=True, sheet=""
    ).wait()
    turn = filmed[1].head[:, 1]
    for path, side in ((made, 1), (followed[0] / "mirrored.npz", -1)):
        with np.load(path) as file:
            found = file["head"][:, 1]
        n = min(len(found), len(turn))
        assert side * np.corrcoef(found[:n], turn[:n])[0, 1] > 0.9
    assert_alike(lips_of(made), lips_of(followed[0] / "plain.npz"))


def test_training_reads_what_was_tracked(followed):
    folder, _, _ = followed
    clips = {
        Path(name).name: each
        for name, *each in tracked_clips(folder.parent, list(HEAD.expression_names))
    }
    assert set(clips) == {*KINDS, "late", "named"} - {"nobody"}
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
    real, calls = module._track_one, []

    def stopped(path, *args):
        calls.append(path.stem)
        if path.stem == "two":
            raise KeyboardInterrupt
        return real(path, *args)

    monkeypatch.setattr(module, "_track_one", stopped)
    with pytest.raises(SystemExit, match="1 of 2 videos are done, and the same command goes on"):
        track([folder], tmp_path / "out", engine)
    calls.clear()
    with pytest.raises(SystemExit):
        track([folder], tmp_path / "out", engine)
    assert calls == ["two"]
    assert not list((tmp_path / "out" / "bob").glob("*.npy"))
    with pytest.raises(BadTracking, match="to measure against.*--trainable"):
        list(tracked_clips(tmp_path / "out", list(HEAD.expression_names)))
    with pytest.raises(SystemExit):  # allowed afterwards: what is there is marked anew
        track([folder], tmp_path / "out", engine, trainable=True)
    ((name, *_),) = tracked_clips(tmp_path / "out", list(HEAD.expression_names))
    assert name == "bob/plain"


OPEN = """
import sys
from thunder_core.engine.tracking import video
from thunder_core.errors import BadRequest
for path in sys.argv[1:]:
    try:
        print(video.open_video(path).isOpened())
    except BadRequest as error:
        print(error)
"""


def test_a_video_is_read_alone_whatever_it_names_and_not_beyond_the_largest_pictures(tmp_path):
    """As a sound is: no playlist, list of files or numbered pictures."""

    def film(name, size, *more):
        source = ["-f", "lavfi", "-i", f"color=black:s={size}:r=1:d=2"]
        command = ["ffmpeg", "-v", "error", *source, *more, tmp_path / name]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    film("small.avi", "64x48", "-c:v", "mjpeg")
    film("small.mkv", "64x48", "-c:v", "mjpeg")
    film("large.mkv", "10000x4000", "-c:v", "ffv1")
    film("a_%02d.png", "64x48")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile small.avi\n")
    (tmp_path / "play.mp4").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsmall.avi\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "a_%02d.png").write_bytes((tmp_path / "a_01.png").read_bytes())
    (tmp_path / "empty.mp4").write_bytes(b"")
    names = (
        "small.avi", "small.mkv", "list.mp4", "play.mp4", "a_%02d.png", "none.mp4", "empty.mp4",
        "large.mkv",
    )  # fmt: skip
    done = subprocess.run(
        [find_tracker(), "-c", OPEN, *(tmp_path / name for name in names)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = dict(zip(names, done.stdout.splitlines()))
    assert said["small.avi"] == said["small.mkv"] == "True"
    for name in ("list.mp4", "play.mp4", "a_%02d.png"):
        assert said[name] == f"“{name}” cannot be read as a video: save it as MP4 (H.264)"
    assert said["none.mp4"].startswith("There is no file") and said["none.mp4"].endswith("a video")
    assert "is empty: choose a video" in said["empty.mp4"]
    assert "“large.mkv” have 10000 × 4000 pixels: save them smaller" in said["large.mkv"]


def test_every_landmark_has_one_across_the_face():
    assert (ACROSS[ACROSS] == np.arange(POINTS)).all()
    right, left = (
        np.array([*UPPER_LIDS[k], *LOWER_LIDS[k], IRISES[k], CORNERS[k]]) for k in (0, 1)
    )
    assert (ACROSS[right] == left).all()
    brows = [np.array(BROW_PAIRS[side]) for side in ("right", "left")]
    assert (ACROSS[brows[0]] == brows[1]).all()
    known = contours()
    places = known.of(HEAD.v_template)
    for row, ids in enumerate(known.landmarks):  # a contour's place on the other side of the head
        other = known.landmarks.index(tuple(ACROSS[list(ids)]))
        assert np.abs(places[row] * (-1, 1, 1) - places[other]).max() < 2e-3


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
