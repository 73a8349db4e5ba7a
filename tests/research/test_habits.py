# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of habits say what was done, and the teacher has the habits of people."""

from functools import lru_cache

import numpy as np
import pytest

from research.measures import habits as measures
from research.measures.habits import Coherence, coherence
from thunder_core.direction import Direction
from thunder_core.engine.speech.encoder import phone_index, SILENCE
from thunder_core.face.head import load_head
from thunder_core.face.lips import opening_mm
from thunder_core.train.teacher import perform
from thunder_core.train.teacher_timing import phrases_of, prosody
from thunder_core.types import FPS, Motion

HEAD = load_head()
CHANNELS = list(HEAD.expression_names)


def speech(seed=0, seconds=24.0):
    """(10 ms labels, loudness [T, 2]) of a voice with an accent a second, in phrases of 1 to 4 s
    with pauses between."""
    rng = np.random.default_rng(seed)
    labels, at, pause = np.full(int(seconds * 100), SILENCE, np.uint8), 0.6, []
    while at < seconds - 1.5:
        end = min(seconds - 0.8, at + rng.uniform(1.0, 4.0))
        sounds = rng.choice(
            [phone_index(p) for p in "AA T IY S M EH N OW D L".split()], int((end - at) * 12) + 1
        )
        labels[int(at * 100) : int(end * 100)] = np.repeat(sounds, 9)[
            : int(end * 100) - int(at * 100)
        ]
        pause.append(rng.uniform(0.4, 1.2))
        at = end + pause[-1]
    t = np.arange(int(seconds * FPS)) / FPS
    loud = np.where(labels[(t * 100).astype(int)] == SILENCE, -1.0, 0.0)
    for start, end in phrases_of(labels):
        for accent in np.arange(start + rng.uniform(0.2, 0.6), end - 0.15, 1.0):
            accent += rng.uniform(-0.15, 0.15)
            loud += rng.uniform(0.4, 1.0) * np.exp(-0.5 * ((t - accent) / 0.08) ** 2)
    return labels, np.stack([loud, loud], 1).astype(np.float32)


SPEECH = [speech(seed) for seed in range(4)]
VOICES = [prosody(*spoken) for spoken in SPEECH]


def still(frames, **parts):
    """A motion that does nothing but `parts`: head, eyes, or channels by name."""
    x = np.zeros((frames, len(CHANNELS)), np.float32)
    for name, values in parts.items():
        if name not in ("head", "eyes"):
            x[:, [i for i, n in enumerate(CHANNELS) if n.startswith(name)]] = np.asarray(values)[
                :, None
            ]
    nothing = np.zeros((frames, 3), np.float32)
    return Motion(x, nothing, parts.get("head", nothing), parts.get("eyes", nothing))


def bumps(frames, times, width=0.1):
    t = np.arange(frames) / FPS
    return sum((np.exp(-0.5 * ((t - at) / width) ** 2) for at in times), np.zeros(frames))


# ---- prosody


def test_accents_are_where_a_voice_stands_out():
    t = np.arange(250) / FPS
    labels = np.full(1000, phone_index("AA"), np.uint8)
    loud = np.repeat((-0.2 + 1.2 * bumps(250, [1.5, 4.0, 7.2]))[:, None], 2, 1)
    assert prosody(labels, loud).accents == pytest.approx([1.5, 4.0, 7.2], abs=0.05)
    pitch = 5 * np.exp(-0.5 * ((t - 5.6) / 0.1) ** 2)
    assert 5.6 in np.round(prosody(labels, loud, pitch).accents, 1), (
        "a rise of pitch is an accent too"
    )


# ---- measures


def test_a_nod_on_every_accent_is_coherent_and_shuffled_nods_are_not():
    voice = VOICES[0]
    there, anywhere = Coherence(), Coherence()
    for seed in range(30):
        times = (
            np.random.default_rng(seed).choice(np.flatnonzero(voice.spoken), len(voice.accents))
            / FPS
        )
        anywhere += coherence(
            np.round(times * FPS), voice.accents, voice.spoken, measures.ACCENT_REACH
        )
    head = np.zeros((voice.frames, 3), np.float32)
    head[:, 0] = np.radians(4 * bumps(voice.frames, voice.accents + 0.1))
    there += measures.timing(HEAD, still(voice.frames, head=head), voice)["nods with accents"]
    assert there.hits >= 0.9 * len(voice.accents) and there.ratio > 2
    assert anywhere.ratio == pytest.approx(1, abs=0.15)


# ---- the teacher


@lru_cache
def played(direction=Direction(), seeds=4, **more):
    """[(voice, motion)] of the teacher."""
    return [(voice, perform(*spoken, CHANNELS, np.random.default_rng([seed, i]), direction, **more))
            for i, (spoken, voice) in enumerate(zip(SPEECH,
            VOICES)) for seed in range(seeds)]  # fmt: skip


@pytest.fixture(scope="module")
def usual():
    return played()


@pytest.fixture(scope="module")
def readings():
    return played(None, 6)


@pytest.fixture(scope="module", params=["usual", "readings"])
def either(request):
    return request.getfixturevalue(request.param)


def mean(performances, habit):
    return np.mean([measures.habits(HEAD, motion)[habit] for _, motion in performances])


def test_the_teacher_blinks_nods_and_raises_brows_as_often_and_far_as_people(either):
    assert 18 <= mean(either, "blinks_per_minute") <= 28
    assert 11 <= mean(either, "head_degrees_per_second") <= 17
    assert 0.2 <= mean(either, "brow_raise_height") <= 0.32


@pytest.mark.parametrize(
    "what", ["nods with accents", "brows with accents", "gaze with boundaries"]
)
def test_the_teacher_moves_with_what_is_said(either, what):
    assert (
        sum(
            (measures.timing(HEAD, motion, voice)[what] for voice, motion in either), Coherence()
        ).ratio
        >= 2
    )


def test_the_teacher_s_head_moves_in_pauses_as_people_s_do(either):
    pauses = [pause for voice, motion in either for pause in measures.pauses(HEAD, motion, voice)]
    # of people's .24
    assert 0.05 < np.mean([pause.turned <= measures.REST_DEGREES for pause in pauses]) < 0.5
    assert np.mean([pause.fastest <= measures.FASTEST for pause in pauses]) >= 0.98
    assert min(pause.moved for pause in pauses) > 0.15, "never quite still"
    assert sum(pause.blinks for pause in pauses) > 0.2 * len(pauses)


def test_lips_part_for_breath_and_stay_shut_in_silence_else(either):
    taken, phrases = np.sum([measures.breaths(HEAD, motion, voice) for voice, motion in either], 0)
    assert taken > 0.7 * phrases
    assert (
        max(measures.silent_opening(HEAD, motion, voice).max(initial=0) for voice, motion in either)
        < 0.3
    )


# ---- moods, listening, idling


def test_an_idle_face_lives():
    for seed in range(3):
        motion = perform(
            np.zeros(3000, np.uint8),
            np.full((750, 2), -1, np.float32),
            CHANNELS,
            np.random.default_rng(seed),
            Direction(),
        )
        figures = measures.habits(HEAD, motion)
        assert 8 <= figures["blinks_per_minute"] <= 40 and figures["gaze_shifts_per_minute"] > 8
        assert 0.3 < figures["head_degrees_per_second"] < 8 and motion.head.std(
            0
        ).max() > np.radians(0.4)
        assert opening_mm(motion, HEAD).max() < 0.05
