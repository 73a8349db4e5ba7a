# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance on another recording: gestures on its accents, blinks and jumps as quick as before,
pauses in pauses, nothing that jumps."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import DIRECTION_NAMES
from thunder_core.engine.another_voice import (
    align_words,
    Alignment,
    match,
    move,
    pair_up,
    quick_events,
    style_of_mouth,
    upper_columns,
)
from thunder_core.engine.speech.cues import Phrasing, prosody_of, silent_phrasing
from thunder_core.face.head import load_head
from thunder_core.request import Request, SourcePerformance
from thunder_core.spoken import Word
from thunder_core.types import FPS, Motion, pack, RATE, Speech

NAMES = list(load_head().expression_names)
OLD = ([20, 45, 70, 95, 150, 175, 200, 225], [[10, 110], [135, 240]], 260)
# said in 4/5 of the time, with a longer pause; an accent less in the first phrase, one more later
NEW = ([20, 58, 78, 131, 151, 171, 181, 191], [[12, 92], [120, 204]], 230)
SAME = [(20, 20), (70, 58), (95, 78), (150, 131), (175, 151), (200, 171), (225, 191)]


def voice_of(accents, phrases, frames):
    marks = Phrasing(frames, np.array(accents), np.full(len(accents), 0.5), np.array(phrases))
    return prosody_of(marks, np.zeros(frames), np.zeros(2 * frames, int))


def performed(frames):
    """A head that strikes on every accent of OLD, blinks between, and looks about."""
    t = np.arange(frames)
    x, head, eyes = np.zeros((frames, len(NAMES))), np.zeros((frames, 3)), np.zeros((frames, 3))
    for at in OLD[0]:
        head[:, 0] += np.radians(6) * np.exp(-0.5 * ((t - at) / 2.0) ** 2)
    for at in (33, 122, 188):
        for side in ("Left", "Right"):
            x[:, NAMES.index(f"eyeBlink{side}")] += np.exp(-0.5 * ((t - at) / 1.2) ** 2)
    eyes[60:85, 1] = np.radians(8)
    return Motion(x.astype(np.float32), np.zeros((frames, 3), np.float32), head, eyes)


def test_pairs_keep_their_order_and_what_fits_nothing_is_left_over():
    far = np.array([[0.0, 9, 9], [9, 9, 0.1], [9, 9, 9]])
    assert pair_up("abc", "xyz", lambda i, j: far[i, j]) == [(0, 0), (1, 2)]
    assert pair_up("", "xyz", None) == [] == pair_up("ab", "", None)


def test_pauses_and_accents_of_two_voices_are_matched_where_they_are_in_the_line():
    moved = match(voice_of(*OLD), voice_of(*NEW))
    assert moved.pauses == [((110 / FPS, 135 / FPS), (92 / FPS, 120 / FPS))]
    found = [(round(a * FPS), round(b * FPS)) for a, b in moved.accents]
    assert len(set(found) & set(SAME)) >= 6 and moved.lost == [45 / FPS]
    for a, b in moved.accents:
        assert moved.times[round(b * FPS)] == pytest.approx(a, abs=0.03)
        around = np.diff(moved.times[round(b * FPS) - 2 : round(b * FPS) + 3]) * FPS
        assert around == pytest.approx(1, abs=0.25), "as fast as before"
    rates = np.diff(moved.times) * FPS
    assert rates.min() >= 0 and rates.max() < 3.2
    record = moved.record(voice_of(*OLD), voice_of(*NEW))
    assert record["lost"] == [1.8] and record["seconds"] == [10.4, 9.2] and "keys" not in record


def test_accents_too_near_for_their_distance_in_the_other_voice_leave_others_their_place():
    old = voice_of([20, 50, 80], [[10, 110]], 120)
    near = voice_of([20, 24, 50, 53, 80, 83], [[10, 110]], 120)
    assert [round(b * FPS) for _, b in match(old, near).accents] == [20, 50, 80]
    crowd = voice_of([48, 50, 52], [[10, 110]], 120)
    moved = match(old, crowd)
    assert len(moved.accents) == 1 and len(moved.lost) == 2
    rates = np.diff(moved.times) * FPS
    assert rates.min() >= 0 and rates.max() < 3.2
    nine = voice_of(range(20, 101, 8), [[10, 110]], 120)
    assert len(match(nine, nine).accents) == 11, "each shares the room with its neighbours"


def test_gestures_stay_on_their_words_where_a_voice_says_the_same():
    """Its accents are on other words; the last word comes late."""
    old = voice_of([20, 45, 70, 95], [[10, 110]], 130)
    new = voice_of([35, 59, 103], [[10, 125]], 140)
    again = Alignment(*np.array([[10, 70, 110], [10, 60, 125], [0, 0, 0]]) / FPS, None)
    moved = match(old, new, alignment=again)
    assert [round(b * FPS) for _, b in moved.accents] == [18, 39, 59, 103] and not moved.lost
    assert moved.record(old, new)["same_words"]
    pause = match(voice_of(*OLD), voice_of(*NEW[:1], [[12, 204]], 230))
    assert pause.lost_pauses == [110 / FPS] and not pause.pauses


def test_what_an_animator_keyed_moves_with_its_word_or_has_no_place():
    old, new = voice_of(*OLD), voice_of(*NEW)
    moved = match(old, new)
    for a, b in moved.accents:
        assert moved.place(a, old) == pytest.approx(b, abs=0.05)
        assert moved.place(a + 0.1, old) == pytest.approx(b + 0.1, abs=0.05)
    assert moved.place(1.8, old) is None and moved.place(1.7, old) is None, "its word is not said"
    pause = moved.place(122 / FPS, old)
    assert 92 / FPS < pause < 120 / FPS, "in the pause as before"
    assert moved.place(-0.2, old) == pytest.approx(moved.at(0.0) - 0.2)
    assert moved.place(11.0, old) == pytest.approx(moved.at(10.4) + 0.6, abs=0.05)
    assert moved.record(old, new, (1.8, 0.8))["keys"] == [None, pytest.approx(0.8, abs=0.05)]
    flat = match(old, voice_of(NEW[0][:3], *NEW[1:]))
    assert flat.place(6.5, old) is None, "nothing of its phrase is stressed"


def test_a_moved_performance_says_what_it_hits_in_the_new_voice():
    old, new = voice_of(*OLD), voice_of(*NEW)
    moved, word = match(old, new), Word("Schlacht", 2.2, 2.5, 1.0)
    (a, b), lost = next(pair for pair in moved.accents if pair[0] == 70 / FPS), 45 / FPS
    choice = {
        "hits": [[a - 0.1, a + 0.2, "battle"], [lost - 0.1, lost + 0.1, "lost"]],
        "aside": [[150 / FPS - 0.1, 150 / FPS + 0.2, "village"]],
        "pauses": [[110 / FPS, "thinks"], [9.0, "thinks"]],
        "ideas": ["nods", ""],
    }
    found = moved.choice(choice, replace(new, words=(replace(word, start=b - 0.1, end=b + 0.2),)))
    assert found["hits"] == [[round(b - 0.1, 2), round(b + 0.2, 2), "Schlacht"]]
    assert found["aside"][0][0] == pytest.approx(131 / FPS - 0.1, abs=0.06)
    assert found["aside"][0][2] == "", "nobody knows the word there"
    assert found["pauses"] == [[92 / FPS, "thinks"]]


def test_the_reading_of_a_moved_take_is_its_mouth_s_and_of_the_rest_the_performance_s():
    mouth, theirs = np.full(len(DIRECTION_NAMES), 0.5), np.full(len(DIRECTION_NAMES), -1.0)
    found = dict(zip(DIRECTION_NAMES, style_of_mouth(mouth, theirs)))
    assert found["jaw"] == found["smile"] == found["energy"] == 0.5
    assert {found[name] for name in ("head", "brows", "eyes", "frown", "mood.angry")} == {-1.0}


def test_a_voice_moves_to_itself_unchanged():
    moved = match(voice_of(*OLD), voice_of(*OLD), [1.3, 4.9])
    assert moved.times == pytest.approx(np.arange(260) / FPS, abs=1e-6) and moved.lost == []


@pytest.mark.parametrize("old, new", [(OLD, None), (None, NEW), (None, None)])
def test_a_voice_without_speech_moves_nothing(old, new):
    silent = prosody_of(silent_phrasing(200), np.zeros(200), np.zeros(400, int))
    moved = match(voice_of(*old) if old else silent, voice_of(*new) if new else silent)
    assert len(moved.times) == (new or (0, 0, 200))[2] and moved.accents == []


def test_strokes_blinks_and_looks_move_whole_and_the_mouth_does_not():
    motion, old, new = performed(260), voice_of(*OLD), voice_of(*NEW)
    keep, moved = move(motion, NAMES, old, new)
    assert keep.motion.frames == new.frames and keep.mask.shape == (new.frames, len(NAMES) + 9)
    nod = np.degrees(keep.motion.head[:, 0])
    for _, at in moved.accents:
        around = slice(round(at * FPS) - 2, round(at * FPS) + 3)
        assert nod[around].max() > 5.5, "on the accent"
    steps, before = (np.abs(np.diff(pack(m)[:, upper_columns(NAMES)], axis=0)).max(0)
                     for m in (keep.motion, motion))  # fmt: skip
    assert (steps <= 1.6 * before + 1e-6).all(), "nothing jumps"
    lids = [m.expression[:, NAMES.index("eyeBlinkLeft")] > 0.5 for m in (motion, keep.motion)]
    assert lids[0].sum() - 2 <= lids[1].sum() <= lids[0].sum() + 2 and len(
        [at for at in quick_events(keep.motion, NAMES)]
    )
    names = {name for name, kept in zip(NAMES, keep.mask[0]) if kept}
    assert {"browInnerUp", "eyeBlinkLeft"} <= names and not {
        "mouthFunnel",
        "mouthSmileLeft",
    } & names


@pytest.mark.parametrize("share", [(0.0, 0.45), (0.35, 0.7), (0.55, 1.0)])
def test_a_pick_up_of_some_words_performs_these_words(engine, sample, share):
    old = engine.analyse(sample)
    first, last = (round(each * len(sample.samples)) for each in share)
    faster = Speech(sample.samples[np.arange(first, last, 1.06).astype(int)])
    new = engine.analyse(faster)
    again = align_words(old, new)
    part = again.part
    said = [t * 1.06 + first / RATE for span in new.prosody.phrases for t in span]
    assert part == pytest.approx((said[0], said[-1]), abs=0.3)
    assert np.interp(sum(part) / 2, *again[:2]) == pytest.approx(
        (sum(part) / 2 - first / RATE) / 1.06, abs=0.1
    )
    assert align_words(new, old) is None, "the old one says more"
    moved = move(performed(old.frames), NAMES, old.prosody, new.prosody, again)[1]
    speaks = round(new.prosody.phrases[0][0] * FPS), round(new.prosody.phrases[-1][1] * FPS) - 1
    assert moved.times[list(speaks)] == pytest.approx((said[0], said[-1]), abs=0.4)
    keys = [part[0] - 0.5, sum(part) / 2, part[1] + 0.5]
    places = moved.record(old.prosody.within(*part), new.prosody, keys)["keys"]
    assert places[0] is None and 0 < places[1] < new.frames / FPS and places[2] is None


def test_the_new_mouth_opens_further_on_words_that_the_performance_hits(engine, sample):
    slower = Speech(sample.samples[np.arange(0, len(sample.samples), 0.9).astype(int)])
    at = [1.05, 1.3], [4.6, 4.9]  # a plain reading hits other accents
    plain = engine.generate(sample, Request(1, 1))[0]
    opened = []
    for span in at:
        choice = {"hits": [[*span, "word"]], "aside": [], "pauses": [], "ideas": []}
        asked = Request(1, 1, perform_as=SourcePerformance(plain.motion, sample, choice=choice))
        (take,) = engine.generate(slower, asked)
        ((start, end, _),) = take.provenance["choice"]["hits"]
        assert abs(start - span[0] / 0.9) < 0.25
        opened.append(
            [take.opening[slice(*(int(FPS * t / 0.9) for t in each))].mean() for each in at]
        )
    # Mouths follow the voice: these networks open words that are hit by 8 % further, in the mean of
    # seven of the sample; its first not. What else tells a hit, head and brows, is in docs/results.md.
    assert opened[0][0] > 1.03 * opened[1][0] and opened[1][1] > 1.03 * opened[0][1]


def test_the_same_words_and_other_words_are_no_part(engine, sample):
    old = engine.analyse(sample)
    slower = Speech(sample.samples[np.arange(0, len(sample.samples), 0.9).astype(int)])
    again = align_words(old, engine.analyse(slower))
    assert again.part is None and np.abs(again.new - again.old / 0.9).max() < 0.15
    backwards = Speech(sample.samples[len(sample.samples) // 2 :: -1].copy())
    assert align_words(old, engine.analyse(backwards)) is None
    assert align_words(old, engine.analyse(Speech(np.zeros(2 * RATE, np.float32)))) is None
