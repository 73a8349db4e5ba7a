# SPDX-License-Identifier: GPL-3.0-or-later
"""Hears how a voice shapes the mouth, by linear maps of the speech encoder's features that were
fitted to real faces (`research train calibrate`).

The map reads ± 80 ms and says six signals (`mouth_shape.SIGNALS`) in deviations. It predicts
the mean, which is too calm: training adds how people differ from it
(`research.train.mouth_readings`). Where the encoder is another one than the map was fitted to, a
second map reads its phones' probabilities and loudness alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...face.moving.mouth_shape import OPENING, WIDTH
from ...files import hash_of
from ...filters import widen
from ...spoken import BILABIALS, phone_index, PHONES, SILENCE
from ..speech.cues import short_closures, SHUT
from ..speech.encoder import LOUDNESS, SpeechEncoder

CONSTANTS = Path(__file__).with_name("mouth_map.json")
# millimetres by which a face opens further on a vowel than the voice asks for; below 0: less
OPENING_OF = {
    "AA": 0.0, "AE": 0.0, "AH": 0.0, "AO": 0.0, "AW": 0.0, "AY": 0.0, "EH": 0.0, "ER": 0.0,
    "EY": 0.0, "IH": 0.0, "IY": 0.0, "OW": 0.0, "OY": 0.0, "UH": 0.0, "UW": 0.0,
}  # fmt: skip
_OPENING_REACH, _OPENING_EASE = 1, 0.8  # frames before and after a vowel, and of smoothing
MEAN_OPENING = 1.4  # mean opening of speech, in deviations above closed
# frames of speech at which a clip's mean and deviation weigh as much as those of the measured clips
LONG = 100
# What sounds ask of expected lips, in deviations: the opening of lips that are shut on m, b and p,
# the least and most on w, which all but shuts them, the least of lips that no sound shuts, and the
# largest width on w and u.
_SHUT, _OF_W, _APART, ROUND_WIDTH = -0.5, (0.1, 0.3), 0.1, -1.2
_HEARD_ROUND = 0.4  # probability of w, and of w or u, above which they do
_W, _U = phone_index("W"), phone_index("UW")
_ROWS = 15_000  # frames that a map is applied to at once
# limits of a clip's deviation relative to the measured clips'
_LEAST_DEVIATION, _MOST_DEVIATION = 0.5, 2.0


def apply_map(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Curves [T, k] of x [T, d]: the sum of each frame's neighbours, weighed by a map [taps, d, k];
    edges are repeated."""
    count, reach = len(x), len(weights) // 2
    flat = weights.transpose(1, 0, 2).reshape(weights.shape[1], -1)
    # part by part: the product converts x to double precision
    parts = (x[at : at + _ROWS] for at in range(0, max(1, count), _ROWS))
    products = np.concatenate([part @ flat for part in parts]).reshape(count, len(weights), -1)
    padded = np.pad(products, ((reach, reach), (0, 0), (0, 0)), mode="edge")
    return sum(padded[k : k + count, k] for k in range(len(weights)))


def phone_probabilities(features: np.ndarray) -> np.ndarray:
    """Probability of each phone [T, 40], from speech features [T, d]
    (`encoder.speech_features`)."""
    return features[:, -LOUDNESS - len(PHONES) : -LOUDNESS]


def identity(encoder: SpeechEncoder) -> str:
    """A short name of an encoder's trained weights: a map fitted to one is not valid for another's
    features."""
    return hash_of(encoder.network.path.with_suffix(".safetensors"))[:16]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Map:
    """A linear map of features. weights [5, d, 6]: by frame, feature and signal.  mean, deviation
    [6]: of its curves over measured speech."""

    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    def curves(self, features: np.ndarray, speech: np.ndarray) -> np.ndarray:
        """The signals [T, 6] above their mean over speech, of unit deviation, from features [T, d];
        speech: bool [T].

        The longer a clip, the more its own mean and deviation count, so that rooms, microphones and
        voices at another level move as far, while a short clip of one loud vowel stays open.
        """
        z = (apply_map(features, self.weights) - self.mean) / self.deviation
        count = int(speech.sum())
        if count < 2:
            return z
        trust = count / (count + LONG)
        z = z - trust * z[speech].mean(0)
        deviation = np.clip(z[speech].std(0), _LEAST_DEVIATION, _MOST_DEVIATION)
        return z / (1 + trust * (deviation - 1))


@dataclass(frozen=True)
class MouthMap:
    """Everything that was fitted. heard: the map of an encoder's features.  phones: of its last
    columns, phones' probabilities and loudness.  mean, deviation [6]: of a usual person's mouth in
    speech, millimetres."""

    heard: Map
    phones: Map
    mean: np.ndarray
    deviation: np.ndarray

    def curves(self, features: np.ndarray, speech: np.ndarray, encoder_matches: bool) -> np.ndarray:
        """`Map.curves` of an encoder's features; encoder_matches: whether the map was fitted to
        it."""
        if encoder_matches:
            return self.heard.curves(features, speech)
        return self.phones.curves(features[:, -LOUDNESS - len(PHONES) :], speech)


@lru_cache
def mouth_map() -> MouthMap:
    """The fitted constants."""
    heard, phones = (Map(**constants(name)) for name in ("heard", "phones"))
    return MouthMap(heard, phones, **constants("person"))


def constants(of: str) -> dict[str, np.ndarray]:
    """One group of the fitted constants, as arrays by their names."""
    data = json.loads(CONSTANTS.read_text())[of]
    return {name: np.array(values) for name, values in data.items()}


def place_sounds(lips: np.ndarray, belief: np.ndarray) -> np.ndarray:
    """Expected opening and width [T, 2], as of `expect_lips`, with lips shut on m, b and p, all but
    shut on w, round on w and u, and apart elsewhere in speech; belief: phone probabilities [T, 40].
    """
    frames, (opening, width) = np.arange(len(belief)), lips.T.astype(np.float64)

    def likely_frames(least: float, *phones: int) -> np.ndarray:
        likely = belief[:, phones].sum(1)
        return np.interp(np.arange(4 * len(frames)) / 4, frames, likely) > least

    labels = (
        likely_frames(_HEARD_ROUND, _W),
        likely_frames(SHUT, *BILABIALS),
        likely_frames(_HEARD_ROUND, _W, _U),
    )
    w, shut, rounded = short_closures(labels, len(frames))
    opening += (1 - belief[:, SILENCE]) * np.maximum(_APART - opening, 0.0)
    opening += w * (np.clip(opening, *_OF_W) - opening)
    opening += shut * (_SHUT - opening)
    width += rounded * (np.minimum(width, ROUND_WIDTH) - width)
    return np.stack([opening, width], 1)


# most that lips are expected to open where nobody speaks, deviations (people, who breathe in, open
# 7.6 mm), and what is added as a sound comes
_MOST_IN_SILENCE, _MORE_WITH_SOUND = 0.9, 5.0


def expect_lips(curves: np.ndarray, phones: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """How far a voice opens lips, above closed, and how wide it makes them: float32 [T, 2], in
    deviations, 0 where nobody speaks. Takes are compared with it; the model hears lips itself.

    curves: [T, 6] that the map hears.  phones: [T, 40], their probabilities.  presence: [T] 0 … 1,
    of speech.
    """
    lips = np.stack([MEAN_OPENING + curves[:, OPENING], curves[:, WIDTH]], 1)
    lips = place_sounds(lips, phones)
    sounds = 1 - phones[:, SILENCE].clip(0, 1)
    lips[:, 0] = np.minimum(lips[:, 0], _MOST_IN_SILENCE + _MORE_WITH_SOUND * sounds)
    return (lips * presence[:, None]).astype(np.float32)


def open_on_phones(features: np.ndarray, shut: np.ndarray) -> np.ndarray | None:
    """Millimetres [T] of OPENING_OF on the phones that features [T, d] hold; None if all are 0.

    shut: [T] 0 … 1, where lips must meet: there they do.
    """
    if not any(OPENING_OF.values()):
        return None
    further = np.zeros(len(PHONES))
    further[[PHONES.index(phone) for phone in OPENING_OF]] = list(OPENING_OF.values())
    curve = phone_probabilities(features).clip(0, 1) @ further
    more, less = (
        widen(np.maximum(each, 0), _OPENING_REACH, _OPENING_EASE) for each in (curve, -curve)
    )
    return (more - less) * (1 - shut)


def fitted_encoder() -> str:
    """The identity of the encoder whose features the map reads."""
    return json.loads(CONSTANTS.read_text())["encoder"]


def encoder_matches(encoder: SpeechEncoder) -> bool:
    """Whether the map was fitted to the features of an encoder."""
    return identity(encoder) == fitted_encoder()
