# SPDX-License-Identifier: GPL-3.0-or-later
"""Correct Closures with the right transcript: lips change where they are wrong, when filmed lips
do, the score hardly falls."""

import csv
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from thunder_core.engine.speech.audio import read_sound
from thunder_core.face import lip_closures
from thunder_core.request import Request
from thunder_core.types import FPS

pytestmark = [pytest.mark.data, pytest.mark.slow]

# takes close their lips here for sounds that are no m, b or p
VOICES = ("26-495-0010", "26-495-0030", "27-123349-0000")
MISSED = "27-123349-0020"  # the encoder misses a b of this one


@pytest.fixture(scope="module")
def scores(engine):
    """scores(voice): lip-sync [takes, 2] before and after correcting the takes of a voice by its
    own transcript."""
    folder = Path(os.environ.get("THUNDER_DATA") or "nowhere") / "speech" / "librispeech_demo"
    if not (folder / "transcripts.tsv").is_file():
        pytest.skip("THUNDER_DATA holds no LibriSpeech excerpts with transcripts")
    with open(folder / "transcripts.tsv", encoding="utf-8") as file:
        texts = {row[0].removesuffix(".ogg"): row[-1] for row in csv.reader(file, delimiter="\t")}

    def of(voice):
        speech = read_sound(folder / f"{voice}.ogg")
        wanted, pauses, _ = engine.closures(speech, texts[voice])
        rows = [closure.seconds * FPS for closure in wanted]
        silent = [(start * FPS, end * FPS) for start, end in pauses]
        result = []
        for take in engine.generate(speech, Request(takes=4, seed=1, steps=10)):
            corrected, done = lip_closures.correct(
                take.motion, engine.head.expression_names, rows, silent
            )
            if done.made or done.gone:
                result.append((take.score.total, engine.score(speech, corrected).total))
        return np.array(result).reshape(-1, 2)  # some voices' takes need no correction

    return of


def test_lips_that_no_longer_touch_lower_the_score_by_some_points_at_most(scores):
    """The score knows the sound alone, and where a closure is removed the encoder believes in
    one."""
    loss = np.concatenate(
        [before - after for before, after in map(lambda voice: scores(voice).T, VOICES)]
    )
    assert len(loss) >= 6
    # 4.3 and 18.0 since takes follow a plan of their lips, which has the closure too
    assert loss.mean() < 5.5 and loss.max() < 20.0, loss


def test_a_closure_that_the_encoder_missed_hardly_lowers_the_score(scores):
    before, after = scores(MISSED).T
    assert (after > before - 1.5).all()


def test_lips_close_when_those_of_filmed_speakers_do(engine):
    """Where the text's m, b and p are, against the frame on which the filmed mouth is shut furthest
    there, on clips that set nothing."""
    folder = Path(os.environ.get("THUNDER_DATA") or "nowhere") / "lips"
    if not (folder / "split.toml").is_file():
        pytest.skip("THUNDER_DATA holds no filmed lips")
    late = []
    for clip in tomllib.loads((folder / "split.toml").read_text())["check"]:
        filmed = np.load(folder / f"{clip}.npz", allow_pickle=True)
        middles = filmed["bilabials"].mean(1) if len(filmed["bilabials"]) else np.zeros(0)
        times = np.arange(len(filmed["opening"])) / FPS
        for closure in engine.closures(
            read_sound(folder / f"{clip}.wav"), str(filmed["transcript"])
        )[0]:
            near = middles[np.abs(middles - closure.seconds) < 0.12]
            if closure.sure > 0.3 and len(near):
                around = np.flatnonzero(np.abs(times - near[0]) < 0.13)
                late.append(closure.seconds - times[around[filmed["opening"][around].argmin()]])
    assert len(late) > 20
    # was 0.023 while they closed at the middle of the sound
    assert abs(np.mean(late)) < 0.015, np.mean(late)
