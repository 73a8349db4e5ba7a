# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips of people as training data: read beside recordings, performed by the teacher, drawn in a share."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_motions import heard, recordings

from research.train import grid, takes
from research.train.corpus import BadCorpus, build, Corpus, list_recordings, motions_in_words
from research.train.facegood import write_tracked
from research.train.grid import convert_grid, gather_people
from research.train.m2s import TakenBatches
from research.train.motions import animate, MotionSet, TRUE_TO_SOUND, VARIANTS
from research.train.mouth_readings import presence_in
from research.train.stages import pieces
from research.train.takes import KINDS, TAKES, Takes
from thunder_core.direction import Direction
from thunder_core.engine.planning.mouth_map import fitted_encoder, mouth_map
from thunder_core.engine.tracking.spots import contours
from thunder_core.engine.voice import SPOKEN
from thunder_core.face.head import load_head
from thunder_core.face.moving.lips import opening_mm
from thunder_core.face.moving.mouth_shape import bundled_mouth, OPENING
from thunder_core.spoken import SILENCE
from thunder_core.types import FPS, Motion, unpack

CHANNELS = list(load_head().expression_names)
FRAMES = 50


def gathered(tmp_path, lips):
    """A corpus of three recordings of two seconds by two speakers; the second one has `lips`."""
    source = recordings(tmp_path / "said", ("Ada", "Bob", "Ada"), FRAMES / FPS)
    np.save(source / "1.npy", lips)
    label = lambda samples, text: [("AA", 0.1, 0.5), ("IY", 0.5, 1.0), ("AH", 1.0, 1.9)]  # noqa: E731
    return build(tmp_path / "corpus", [source], label, split=False)


def nodding():
    """Lips that open and close twice a second, whatever is said."""
    wave = np.sin(2 * np.pi * 2 * np.arange(FRAMES) / 25)
    return np.stack([1.4 * wave, 0 * wave], 1).astype(np.float32)


def test_a_corpus_holds_the_sounds_of_its_recordings_and_what_is_said(tmp_path):
    source = recordings(tmp_path / "said", ("Ada", "Bob"), FRAMES / FPS)
    said = []
    corpus = build(
        tmp_path / "corpus", [source], lambda samples, text: said.append(text) or [], split=False
    )
    for clip, path in zip(corpus.clips, sorted(source.glob("*.wav")), strict=True):
        samples, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(corpus.samples(clip), samples, atol=1e-4)
    table = source / "transcripts.tsv"
    texts = [line.split("\t")[2] for line in table.read_text().splitlines()[1:]]
    assert said == texts


def test_short_recordings_of_a_speaker_are_joined_where_they_are_too_short_to_learn_from(tmp_path):
    """Three of two seconds each, by two speakers: motion, lips and phones follow on frames."""
    for number, who in enumerate(("Ada", "Bob") * 3):
        path, jaw = tmp_path / "tracked" / f"{number}.npz", np.zeros((FRAMES, 3))
        motion = Motion(np.full((FRAMES, len(CHANNELS)), 0.1 * number), jaw)
        write_tracked(path, motion, CHANNELS, who)
        samples = np.full(FRAMES * 640 + 100, 0.1 * number)  # a little longer than its motion
        soundfile.write(path.with_suffix(".wav"), samples, 16000)
        np.save(path.with_suffix(".npy"), np.full((FRAMES, 2), float(number), np.float32))
    said = lambda samples, text: [("AA", 0.5, 1.0)]  # noqa: E731
    corpus = build(tmp_path / "corpus", [tmp_path / "tracked"], said, CHANNELS)
    assert [(c.name, c.speaker, c.length / 16000) for c in corpus.clips] == [
        ("0", "Ada", 6.0), ("1", "Bob", 6.0)
    ]  # fmt: skip
    assert {c.split for c in corpus.clips} == {"train", "test"}
    assert motions_in_words(corpus.clips).endswith("0.2 of 0.2 minutes captured")
    assert motions_in_words(100 * corpus.clips).endswith("20.0 of 20.0 minutes captured")
    for who in ("Ada", "Bob"):
        chosen = build(tmp_path / who, [tmp_path / "tracked"], said, CHANNELS, testing=[who])
        assert {c.speaker for c in chosen.clips if c.split == "test"} == {who}
    with pytest.raises(BadCorpus, match="Nobody here is called Eve: here speak Ada, Bob"):
        build(tmp_path / "eve", [tmp_path / "tracked"], said, CHANNELS, testing=["Eve"])
    for first, clip in enumerate(corpus.clips):
        of = np.repeat([first, first + 2, first + 4], FRAMES)
        moved = unpack(corpus.captured_motion(clip, len(CHANNELS) + 9), len(CHANNELS)).expression
        np.testing.assert_allclose(moved[:, 0], 0.1 * of, atol=1e-3)
        np.testing.assert_allclose(corpus.measured_lips(clip)[:, 1], of, atol=1e-3)
        np.testing.assert_allclose(corpus.samples(clip)[::640], 0.1 * of, atol=1e-3)
        speaks = (corpus.phones(clip) != SILENCE).reshape(3, 200)
        assert speaks[:, 50:100].all() and not speaks[:, :50].any() and not speaks[:, 100:].any()


def test_lips_beside_a_recording_are_kept_with_it_and_with_its_pieces(tmp_path):
    corpus = gathered(tmp_path, nodding())
    assert [clip.is_measured for clip in corpus.clips] == [False, True, False]
    assert corpus.measured_lips(corpus.clips[0]) is None
    np.testing.assert_allclose(corpus.measured_lips(corpus.clips[1]), nodding(), atol=1e-3)
    assert [part.lips for part in pieces(corpus.clips[1], corpus.samples(corpus.clips[1]))] == [0]


@pytest.mark.parametrize(
    "lips, said",
    [
        (np.zeros((FRAMES, 3), np.float32), "opening and width at 25 fps"),
        (np.zeros((FRAMES + 20, 2), np.float32), "for 50 frames"),
        (np.full((FRAMES, 2), np.nan, np.float32), "NaN"),
        (np.array([{}]), "cannot be read as numbers"),
    ],
)
def test_wrong_lips_are_refused_in_a_sentence(tmp_path, lips, said):
    with pytest.raises(BadCorpus, match=f"1.npy .*{said}"):
        gathered(tmp_path, lips)


def performed(corpus, folder):
    """The folder of what the teacher performs of a corpus."""
    animate(corpus, CHANNELS, heard(corpus, folder, fitted_encoder()))
    return folder


def test_the_teacher_performs_a_person_s_lips_as_asked(tmp_path):
    corpus = gathered(tmp_path, nodding())
    motions = MotionSet(corpus, performed(corpus, tmp_path / "set"))
    middle = slice(12, 40)
    follows = []
    for row in range(3):
        packed = motions.motions[0, FRAMES * row : FRAMES * (row + 1)].astype(np.float32)
        opening = opening_mm(unpack(packed, len(CHANNELS)))
        follows.append(np.corrcoef(opening[middle], nodding()[middle, 0])[0, 1])
    assert follows[1] > 0.9 > 0.6 > max(follows[0], follows[2])
    asked = Direction().vector()
    assert [np.allclose(motions.directions[0, row], asked) for row in range(3)] == [0, 1, 0]


def test_of_a_tracked_video_brows_are_learned_as_solved_and_lips_as_measured(tmp_path):
    """One camera tells the lips, and not the jaw's share in them: the solved mouth is not used."""
    brow, pucker, n = (*map(CHANNELS.index, ("browInnerUp", "mouthPucker")), len(CHANNELS))
    wave = (0.5 + 0.4 * np.sin(np.arange(FRAMES) / 3)).astype(np.float32)
    solved = Motion(np.zeros((FRAMES, n), np.float32), *np.zeros((3, FRAMES, 3), np.float32))
    solved.expression[:, brow], solved.expression[:, pucker] = wave, 1 - wave
    solved.jaw[:, 0], solved.head[:, 1] = 0.3 * wave, 0.2 * wave
    videos = recordings(tmp_path / "videos", ("Ada",), FRAMES / FPS)
    (videos / "transcripts.tsv").unlink()
    write_tracked(videos / "0.npz", solved, CHANNELS, speaker="Ada")
    np.save(videos / "0.npy", nodding())
    label = lambda samples, text: [("AA", 0.1, 1.9)]  # noqa: E731
    corpus = build(tmp_path / "corpus", [videos], label, channels=CHANNELS, split=False)
    motions = MotionSet(corpus, performed(corpus, tmp_path / "set"))
    learned, events = (x[:, :FRAMES].astype(np.float32) for x in (motions.motions, motions.events))
    for column, values in ((brow, wave), (n + 4, 0.2 * wave)):
        assert np.abs(learned[..., column] - values).max() < 1e-3
    assert np.abs(learned[..., pucker] - (1 - wave)).mean(1).min() > 0.2
    opening = opening_mm(unpack(learned[0], n))
    assert np.corrcoef(opening[12:40], nodding()[12:40, 0])[0, 1] > 0.9
    assert np.isnan(events).all(), "nothing of a person is planned"


def test_people_are_drawn_in_the_share_that_is_asked_for(tmp_path):
    corpus = gathered(tmp_path, nodding())
    folder = performed(corpus, tmp_path / "set")
    for people, share in ((None, 1 / 3), (0.0, 0.0), (0.25, 0.25)):
        odds = MotionSet(corpus, folder, people).odds([0, 1, 2])
        assert odds[1] == pytest.approx(share) and odds.sum() == pytest.approx(1)


def test_a_tenth_of_what_is_drawn_is_of_folders_without_english(tmp_path):
    corpus = gathered(tmp_path, nodding())
    corpus.clips[2] = replace(corpus.clips[2], corpus="abroad")
    performed(corpus, tmp_path / "set")
    motions = MotionSet(corpus, tmp_path / "set", 0.25, ["abroad"])
    assert motions.odds([0, 1, 2]) == pytest.approx([0.65, 0.25, 0.1])
    assert motions.odds([1, 2]) == pytest.approx([0.5, 0.5]), "there is nobody else"


def test_half_of_what_is_heard_is_in_noise_and_the_map_hears_the_same(tmp_path):
    corpus = gathered(tmp_path, nodding())
    motions = MotionSet(corpus, performed(corpus, tmp_path / "set"))
    motions.noisy, motions.rows = np.float16(1) + motions.features, motions.rows[:1] * 4
    in_noise = [
        [motions.features_of(number, 3, 5, variant)[0, 0] > motions.features[3, 0]
         for variant in range(VARIANTS)]
        for number in range(4)
    ]  # fmt: skip
    assert np.mean(in_noise) == 0.5 and not np.any(in_noise, 0)[TRUE_TO_SOUND]
    for number, variant in ((0, 0), (1, 0), (1, 2)):
        features = motions.features_of(number, 0, motions.rows[0].frames, variant)
        curves = mouth_map().curves(features, presence_in(features) > SPOKEN, True)
        assert np.allclose(motions.mouth_of(number, 3, 5, variant), curves[3:8], atol=1e-5)


def test_takes_are_drawn_in_the_share_that_is_asked_for_of_rows_that_have_some(tmp_path):
    corpus = gathered(tmp_path, nodding())
    motions = MotionSet(corpus, performed(corpus, tmp_path / "set"))
    shape = (KINDS, *motions.motions.shape[1:])
    taken = np.memmap(tmp_path / TAKES, np.float16, "w+", shape=shape)
    taken[:, motions.rows[1].start : motions.rows[1].start + FRAMES] = 7.0
    (tmp_path / takes.STATE).write_text('{"rows": [1]}')
    batches = TakenBatches(
        Takes(tmp_path, len(motions.features)), 0.5, motions, [0, 1, 2], 20, 60, mel=False
    )
    item = batches(np.random.default_rng(0))
    is_take = (item["motion"] == 7.0).all((1, 2)).numpy()
    assert 0.3 < is_take.mean() < 0.7 and set(item["crop"][is_take, 0].tolist()) == {1}


def face_that_opens(frames):
    """Landmarks int [frames, 478, 3] of the bundled head's face, as GRID's tracking stores them,
    whose lower lip and chin sink by up to 10 mm and come back."""
    spots, still = contours(), np.random.default_rng(1).normal(0, 0.02, (478, 3))
    for ids, place in zip(spots.landmarks, spots.of(load_head().v_template)):
        still[list(ids)] = place
    below = [14, 87, 317, 178, 402, 88, 318, 17, 84, 314, 152, 175, 199]
    face = np.repeat(still[None], frames, 0)
    face += np.random.default_rng(2).normal(0, 5e-5, face.shape)  # as trackers tremble
    face[:, below, 1] -= 0.01 * np.sin(np.linspace(0, np.pi, frames))[:, None] ** 2
    return np.round(face * (1, -1, -1) / 0.09 * 2048).astype(np.int32)


def write_grid(source, people, frames=75):
    """A folder of GRID's speakers, {name: clips}, as their tracking has it; only the first clip's
    phones are known, and only of speakers without an underscore."""
    phones, said = ["speaker\tclip\tstart_s\tend_s\tphone"], ["speaker\tclip\tsentence"]
    rng = np.random.default_rng(0)
    for person, clips in people.items():
        count = frames * len(clips)
        curves = {n: rng.uniform(0.02, 0.1, count) for n in ("opening", "width", "yaw", "roll")}
        words = {"word": np.array(["sil", "set", "red"]), "word_clip": np.array([0, 0, 0])}
        moves = [np.diff(face_that_opens(frames), axis=0, prepend=0)] * len(clips)
        np.savez(
            source / f"{person}.npz", clips=clips, offsets=np.arange(0, count + 1, frames),
            pitch=np.repeat(np.arange(len(clips)), frames) + np.arange(count) % frames, **curves,
            **words, lm_delta=np.concatenate(moves), lm_index=np.arange(478),
        )  # fmt: skip
        sound = 0.1 * rng.standard_normal(count * 640)
        soundfile.write(source / f"{person}.ogg", sound, 16000)
        known = clips if "more" not in person else []
        said += [f"{person}\t{clip}\tset green" for clip in known]
        spans = ("0.5\t0.7\tS", "0.7\t2\tEH", "2\t3\tSIL")
        known = known if len(known) != 2 else known[:1]
        phones += [f"{person}\t{clip}\t{span}" for clip in known for span in spans]
    for name, rows in (("phones", phones), ("clips", said)):
        (source / f"{name}.tsv").write_text("\n".join(rows) + "\n")


@pytest.mark.data
def test_lips_of_grid_are_read_as_other_people_s_are():
    """The tracker shows widths at .6 of what they are; shut lips are shut."""
    data = os.environ.get("THUNDER_DATA")
    path = Path(data or "") / "grid" / "s10.npz"
    if not data or not path.is_file():
        pytest.skip("THUNDER_DATA names no folder with GRID")
    with np.load(path) as file:
        lips, tracked = grid.read_lips(file), 90 * np.stack([file["opening"], file["width"]], 1)
    assert np.corrcoef(lips[:, 0], tracked[:, 0])[0, 1] > 0.98
    assert 1.3 < lips[:, 1].std() / tracked[:, 1].std() < 2.2
    assert abs(np.sort(lips[:, 0])[:5].mean()) < 0.6


@pytest.fixture
def as_tracked(monkeypatch):
    """Made people have no landmarks: their lips are what is stored of them."""
    read = lambda file: np.stack([file["opening"], file["width"]], 1)  # noqa: E731
    monkeypatch.setattr(grid, "read_lips", read)


@pytest.mark.usefixtures("as_tracked")
def test_grid_becomes_recordings_with_lips_of_its_fit_speakers(tmp_path):
    source, out = tmp_path / "grid", tmp_path / "out"
    source.mkdir()
    with pytest.raises(BadCorpus, match="folder of GRID"):
        convert_grid(source, out)
    (source / "split.toml").write_text("fit = ['s1', 's2']\ncheck = ['s3']\n")
    write_grid(source, dict.fromkeys(("s1", "s2", "s3"), ["one", "two"]))
    assert convert_grid(source, out) == 2, "of two sentences one has no times"
    found = list_recordings(out)
    assert {each.speaker for each in found} == {"grid s1", "grid s2"}
    assert found[0].phones == [("S", 0.5, 0.7), ("EH", 0.7, 2.0)]
    lips = np.load(found[0].path.with_suffix(".npy"))
    said = lips[round(0.5 * 25) : 50]
    assert lips.shape == (75, 2) and np.allclose(said.mean(0), 0, atol=1e-4)
    assert np.allclose(said.std(0), 1, atol=1e-4)
    mouth = np.load(found[0].path.with_suffix(grid.MOUTHS))
    expression, jaw = np.split(mouth, [-3], 1)
    opening = bundled_mouth().measure(expression, jaw)[:, OPENING]
    assert opening[[0, -1]].max() < 1 and 5 < opening[37] < 15, "as the landmarks show it"


@pytest.mark.usefixtures("as_tracked")
def test_nobody_who_is_tested_trains_and_no_sentence_is_in_two_splits(tmp_path, monkeypatch):
    """The known speaker's first and eleventh sentence are tested, the sixth watched, the others
    joined by threes; another speaker is tested whole."""
    source, out, corpus = (tmp_path / name for name in ("grid", "out", "corpus"))
    source.mkdir()
    (source / "split.toml").write_text("fit = ['s1', 's10']\ncheck = ['s34']\n")
    clips = [f"c{number:02}" for number in range(12)]
    write_grid(source, {"s1": clips, "s1_more": ["more"], "s10": ["a"], "s34": ["x", "y", "z"]})
    monkeypatch.setattr(grid, "label", lambda weights, samples, text: [("AA", 0.5, 2.0)])
    assert gather_people(source, out, corpus, tmp_path) == {"train": 5, "test": 5, "validation": 1}
    made = Corpus(corpus)
    by_name = {clip.name: clip for clip in made.clips}
    tested = {name for name, clip in by_name.items() if clip.split == "test"}
    assert tested == {f"{name}.flac" for name in ("s1_c00", "s1_c10", "s34_x", "s34_y", "s34_z")}
    assert by_name["s1_c05.flac"].split == "validation"
    frames = {name: clip.length // 640 for name, clip in by_name.items() if clip.split == "train"}
    assert frames == {f"s1_{a}.flac": n for a, n in (("c01", 225), ("c04", 225), ("c08", 225))} | {
        "s1_more.flac": 75, "s10_a.flac": 75,
    }  # fmt: skip
    second = made.phones(by_name["s1_c01.flac"])[300:600]
    assert (second != SILENCE).tolist() == [50 <= i < 200 for i in range(300)]
    lips = made.measured_lips(by_name["s1_c01.flac"])
    assert lips.shape == (225, 2)
    head = np.load(out / "s1_c01.head.npy")
    np.testing.assert_allclose(head[75:150, 0], np.radians(np.arange(75) - 37), atol=1e-6)
