# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher: a procedural animator that performs phones on the default head's channels, as it is
directed.

The mouth is in `teacher_mouth`, lids, brows, gaze and head are here; each draws from a separate
random generator, so that one can change without the other. Here too: phone times for recordings
without any (the encoder recognises phones, and a text rules out those that its letters are never
read as), and what phones say about presence, accents and phrases.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from research.train.mouth_readings import presence_of_voice
from research.train.readings import direction_of_clip
from research.train.teacher_mouth import mouth, Stresses
from thunder_core import filters
from thunder_core.acoustics import level, track
from thunder_core.behaviour import Behaviour, HABITS
from thunder_core.direction import Direction
from thunder_core.engine.planning.choice import Choice, draw, plain, spots_of
from thunder_core.engine.planning.people import draw_person, Person, smooth_noise
from thunder_core.engine.planning.take_plan import event_curves, EYES_STAY, LID_WIDE, LIPS_STRESS
from thunder_core.engine.planning.upper_face import (
    behaviour_of,
    Behaviours,
    BREATH_JAW,
    plan_listener,
    plan_speaker,
)
from thunder_core.engine.speech.cues import (
    closure,
    LABELS_PER_SECOND,
    prominence_curve,
    Prosody,
    prosody_from,
    runs,
)
from thunder_core.engine.speech.encoder import softmax, SpeechEncoder
from thunder_core.engine.speech.transcript import follow, likeliest_path
from thunder_core.events import BLINK, BREATH, BROW_COLUMNS, HEAD, KNIT, LOOK
from thunder_core.filters import smoothstep
from thunder_core.spoken import BILABIALS, PHONES, SILENCE
from thunder_core.types import ENCODER_RATE, FPS, Motion

_FURTHEST_LOOK = 24.0  # largest turn of an eye in its socket, degrees
# lid channel per degree of lowered or raised gaze: lids follow the eyes
_LID_DOWN, _LID_UP = 0.005, 0.006
_MOST_DROOP = 0.44  # largest eyeBlink value outside a blink
_BROW_REST = 0.04  # brow channels of a usual face
_LEANS = 0.15  # standard deviation of one brow's surplus between performances


# ---- phones of recordings

_LIKELY = 0.5  # probability that an m, b or p must reach
_CHANGE = 4.0  # cost of a change of phone in the Viterbi path, nats


def draw_any(voice: Prosody, rng: np.random.Generator) -> Choice:
    """A choice of any kind, also the plain one."""
    spots = spots_of(voice)
    is_plain = rng.random() < HABITS["reading"].plain
    return plain(voice, spots) if is_plain else draw(voice, spots, rng)


def best_path(logits: np.ndarray, change: float = _CHANGE) -> np.ndarray:
    """The likeliest phone of each row of logits [N, 40] where every change of phone costs `change`
    nats: int [N]."""
    return likeliest_path(np.log(softmax(logits).clip(1e-30, None)), change)


def likeliest(logits: np.ndarray, change: float = _CHANGE) -> np.ndarray:
    """`best_path` whose m, b and p are likelier than not: lips that shut on another sound are seen
    at once."""
    path, probability, lips = best_path(logits, change), softmax(logits), list(BILABIALS)
    for a, b in runs(np.isin(path, lips)):
        if probability[a:b, lips].sum(1).max() < _LIKELY:
            path[a:b] = np.delete(np.arange(len(PHONES)), lips)[
                np.delete(probability[a:b], lips, 1).argmax(1)
            ]
    return path


def segments(path: np.ndarray) -> list[tuple[str, float, float]]:
    """Frames of one phone [N] at 50 Hz → [(phone, start s, end s)]."""
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    return [(PHONES[path[a]], a / ENCODER_RATE, b / ENCODER_RATE) for a, b in zip(edges, edges[1:])]


@lru_cache(1)
def _encoder(weights: Path) -> SpeechEncoder:
    """The encoder of a weights folder, loaded when it is first needed."""
    return SpeechEncoder.load(weights)


def label(weights: Path, samples: np.ndarray, text: str = "") -> list[tuple[str, float, float]]:
    """[(phone, start s, end s)] of samples at 16 kHz, by the encoder of a weights folder."""
    _, logits = _encoder(weights).analyse(np.ascontiguousarray(samples, np.float32))
    aligned = follow(logits, text)[0] if text else None
    return segments(likeliest(logits if aligned is None else aligned))


# ---- what phones say about time

PHRASE_PAUSE = 0.25  # silence that separates phrases, s
_APART = 9  # least distance between accents, frames
_PROMINENT = 0.45  # least prominence of an accent over its surroundings, standard deviations
_MOST_SEMITONES = 8.0
# labels (10 ms) of silence after which lips come to rest: in shorter pauses real lips follow the
# map
PAUSE = 80


def presence(phones: np.ndarray, frames: int) -> np.ndarray:
    """Presence of speech [T]: 1 in speech, 0 in longer pauses, eased in ahead of the sound.

    phones: 10 ms labels [M].
    """
    quiet = phones == SILENCE
    for a, b in runs(quiet):
        if b - a < PAUSE and a > 0 and b < len(phones):
            quiet[a:b] = False
    active = (~quiet).astype(float)
    active = filters.highest(active, 13, origin=-1) if len(active) > 13 else active
    active = filters.gaussian(np.pad(active, 40, mode="edge"), 6.0)[40:-40]
    at = (np.arange(frames) * 4).clip(0, len(active) - 1)
    return smoothstep(np.clip((active[at] - 0.08) / 0.84, 0, 1))


def semitones(samples: np.ndarray, frames: int) -> np.ndarray:
    """Pitch [frames] of float32 samples at 16 kHz: semitones above the voice's median, 0 where
    nothing is voiced."""
    if len(samples) < 1600:
        return np.zeros(frames)
    hertz, voiced = track(level(samples))
    if not voiced.any():
        return np.zeros(frames)
    above = 12 * np.log2(hertz / np.median(hertz[voiced]))
    above = np.where(voiced, np.clip(above, -_MOST_SEMITONES, _MOST_SEMITONES), 0.0)
    at = np.minimum(np.arange(frames) * int(LABELS_PER_SECOND / FPS), len(above) - 1)
    return filters.gaussian(above, 2.0)[at]


def phrases_of(phones: np.ndarray) -> list[tuple[float, float]]:
    """(start, end), s, of stretches of speech in 10 ms labels [M] that no silence as long as a
    pause interrupts."""
    result: list[tuple[float, float]] = []
    for a, b in runs(np.asarray(phones) != SILENCE):
        start, end = a / LABELS_PER_SECOND, b / LABELS_PER_SECOND
        if result and start - result[-1][1] < PHRASE_PAUSE:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result


def inside(spans: list[tuple[float, float]], frames: int) -> np.ndarray:
    """bool [frames]: True for animation frames in spans of (start, end), s."""
    t = np.arange(frames) / FPS
    within = np.zeros(frames, bool)
    for start, end in spans:
        within |= (t >= start) & (t < end)
    return within


def prosody(phones: np.ndarray, loudness: np.ndarray, pitch: np.ndarray | None = None) -> Prosody:
    """Prosody of 10 ms labels [M], loudness [T, 2] (`acoustics.loudness`) and, if known, pitch [T]
    (`semitones`)."""
    phrases, loud = phrases_of(phones), loudness[:, 0]
    spoken = inside(phrases, len(loudness))
    return prosody_from(
        phrases, spoken, _accents(loud, pitch, spoken), np.asarray(phones), LABELS_PER_SECOND, loud
    )


def _accents(
    loud: np.ndarray, pitch: np.ndarray | None, spoken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Times, s, and weights of the peaks of loudness [T] and pitch [T] within speech."""
    if spoken.sum() < 5:
        return np.zeros(0), np.zeros(0)
    standing = prominence_curve(loud, pitch, spoken, "reflect")
    peaks, about = find_peaks(
        np.pad(standing, 1, constant_values=standing.min()), distance=_APART, prominence=_PROMINENT
    )
    rises = about["prominences"]
    keep = spoken[peaks - 1] & (standing[peaks - 1] > 0)
    return (peaks[keep] - 1) / FPS, np.clip((rises[keep] - _PROMINENT) / 3.0, 0, 1)


# ---- lids, brows, gaze and head


def _incline(behaviour: Behaviour, side: float) -> Behaviour:
    """A behaviour whose mood inclines the head to a side, and whose doubt raises the brow of that
    side."""
    nod, turn, tilt = behaviour.pose
    one_sided = side * behaviour.one_sided if behaviour.by_asymmetry else behaviour.one_sided
    return replace(behaviour, pose=(nod, side * turn, side * tilt), one_sided=one_sided)


def upper_face(
    voice: Prosody, choice: Choice, direction: Direction, rng: np.random.Generator,
    listens: bool = False, person: Person | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """({channel: [T]}, head [T, 3], eyes [T, 3], breath [T], curves of events [T, EVENTS]) of the
    voice's speaker, who reads it as chosen, or of a face that `listens` to it.

    person: who does it; None: one of people (`planning.people`).
    A channel without a side applies to both. Rotation vectors in radians; breath: opening of the
    jaw for air, radians.
    """
    frames = voice.frames
    behaviour = behaviour_of(direction, direction.style_in_mood, direction.tempo)
    behaviours = Behaviours((behaviour,)).of_listener() if listens else Behaviours((behaviour,))
    drawn = draw_person(1.0, int(rng.integers(1 << 32)), voice)
    person = person or drawn
    plan = (
        plan_listener(voice, behaviours, person, rng)
        if listens
        else plan_speaker(voice, choice, behaviours, person, rng)
    )
    behaviour = behaviours.usual
    # A mood varies: stronger in speech, never full or zero.
    active = filters.gaussian(voice.spoken.astype(float), 12.0, mode="nearest")
    varies = 0.17 * smooth_noise(frames, 1, 0.13, rng)[:, 0]
    mood_strength = np.clip(0.68 + 0.26 * active + varies, 0.3, 1.2)

    events = event_curves(plan, frames)
    behaviour = _incline(behaviour, plan.side)
    head = events[:, HEAD] + mood_strength[:, None] * np.array(behaviour.pose)
    gaze = events[:, LOOK]
    # Where a mood lowers or turns the head the eyes stay on whom they look at.
    eyes = np.stack(
        [
            gaze[:, 1] - EYES_STAY * head[:, 0],
            gaze[:, 0] - EYES_STAY * head[:, 1],
            np.zeros(frames),
        ],
        1,
    )
    eyes = np.clip(eyes, -_FURTHEST_LOOK, _FURTHEST_LOOK)

    raised, knit, lids = events[:, BROW_COLUMNS], events[:, KNIT], events[:, BLINK]
    shut, opened = np.maximum(lids, 0), np.maximum(-lids, 0)
    lean = float(np.clip(behaviour.one_sided + rng.normal(0, _LEANS), -1, 1))
    left = 1 + 0.6 * min(0.0, lean) + 0.3 * max(0.0, lean)
    right = 1 - 0.6 * max(0.0, lean) - 0.3 * min(0.0, lean)
    brows = (
        raised
        + _BROW_REST
        + mood_strength[:, None] * [behaviour.inner, behaviour.outer, behaviour.outer]
    )
    brows *= np.array([1.0, left, right])
    down = behaviour.down * mood_strength + knit + 0.01

    lowered = _LID_DOWN * np.maximum(eyes[:, 0], 0) * (1 - min(1.0, behaviour.wide))
    droop = np.clip(behaviour.droop * mood_strength + lowered, 0, _MOST_DROOP)
    wide = (
        behaviour.wide * mood_strength
        + LID_WIDE * opened
        + 0.5 * np.maximum(raised.mean(1), 0)
        + _LID_UP * np.maximum(-eyes[:, 0], 0)
    )
    squint = behaviour.squint * mood_strength * (0.8 + 0.2 * active) + 0.25 * knit + 0.02
    channels = {
        "browInnerUp": np.clip(brows[:, 0], 0, 1),
        "browOuterUpLeft": np.clip(brows[:, 1], 0, 1),
        "browOuterUpRight": np.clip(brows[:, 2], 0, 1),
        "browDownLeft": np.clip((2 - left) * down, 0, 0.9),
        "browDownRight": np.clip((2 - right) * down, 0, 0.9),
        "eyeBlink": np.clip(droop + (1 - droop) * shut, 0, 1),
        "eyeWide": np.clip(wide * (1 - shut), 0, 0.9),
        "eyeSquint": np.clip(squint, 0, 0.9),
    }
    return channels, np.radians(head), np.radians(eyes), BREATH_JAW * events[:, BREATH], events


def perform(
    phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator,
    direction: Direction | None = None,
    pitch: np.ndarray | None = None, listens: bool = False, features: np.ndarray | None = None,
) -> Motion:  # fmt: skip
    """The motion of `perform_planned`."""
    return perform_planned(phones, heard, channels, rng, direction, pitch, listens, features)[0]


def perform_planned(  # noqa: PLR0913 (a clip, and what is known of it)
    phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator,
    direction: Direction | None = None,
    pitch: np.ndarray | None = None, listens: bool = False, features: np.ndarray | None = None,
    measured: np.ndarray | None = None,
) -> tuple[Motion, np.ndarray]:  # fmt: skip
    """Animate phones (10 ms labels [M]) with loudness `heard` [T, 2] (see `acoustics.loudness`) →
    (Motion of T frames, the curves of its events [T, EVENTS]).

    pitch [T]: see `semitones`; it improves accents.  listens: the voice is
    another's, whose accents and phrase ends are answered with a shut mouth.  features [T, d]: of
    the speech encoder that `mouth_map` was fitted to; without them lips follow the phones alone.
    measured [T, 2]: the speaker's own lips (`corpus.read_lips`), which are then performed.
    Without a direction one is drawn for a random speaker. Raises BadRequest unless `channels` are
    the default head's.
    """
    of_mouth, of_upper_face, of_direction, of_choice = rng.spawn(4)
    if direction is None:
        direction = direction_of_clip(str(of_direction.integers(1 << 32)), of_direction)
    voice = prosody(phones, heard, pitch)
    choice = draw_any(voice, of_choice)
    if listens:
        phones, features = np.full_like(phones, SILENCE), None
    accents = list(zip(voice.accents, 0.4 + 0.6 * voice.weights))
    stresses = Stresses(accents, np.exp(LIPS_STRESS * choice.stress(len(heard))))
    # The encoder's silence is closer to where real lips rest than the labels'.
    alive = (
        presence(phones, len(heard))
        if features is None
        else presence_of_voice(features).astype(float)
    )
    expression, jaw = mouth(
        phones, heard, alive, channels, direction, of_mouth, stresses, features, measured
    )
    upper, head, eyes, breath, events = upper_face(voice, choice, direction, of_upper_face, listens)
    for name, values in upper.items():
        for side in (name,) if name in channels else (name + "Left", name + "Right"):
            column = expression[:, channels.index(side)]
            column[:] = np.clip(column + values, 0, 1)
    jaw[:, 0] = np.maximum(
        jaw[:, 0], breath * (1 - closure(np.isin(phones, BILABIALS), len(heard)))
    )
    return Motion(*(values.astype(np.float32) for values in (expression, jaw, head, eyes))), events
