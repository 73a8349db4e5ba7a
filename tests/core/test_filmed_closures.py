# SPDX-License-Identifier: GPL-3.0-or-later
"""The closures that a text and its voice give are when filmed lips close."""

import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.transcript import closures_and_words
from thunder_core.types import FPS

pytestmark = [pytest.mark.data, pytest.mark.slow]


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
        belief = softmax(engine.analyse(read_sound(folder / f"{clip}.wav")).logits)
        for closure in closures_and_words(belief, str(filmed["transcript"]))[0]:
            near = middles[np.abs(middles - closure.seconds) < 0.12]
            if closure.sure > 0.3 and len(near):
                around = np.flatnonzero(np.abs(times - near[0]) < 0.13)
                late.append(closure.seconds - times[around[filmed["opening"][around].argmin()]])
    assert len(late) > 20
    # was 0.023 while they closed at the middle of the sound
    assert abs(np.mean(late)) < 0.015, np.mean(late)
