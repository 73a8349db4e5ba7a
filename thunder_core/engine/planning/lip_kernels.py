# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans the lips' opening and width in speech by constants measured on real faces (`calibrate`);
takes and teacher follow these curves.

Two sources are blended. Phone kernels describe the effect of every phone within ±160 ms and of
loudness; they need labels only. A linear map of the speech encoder's features within ±80 ms adds
what labels leave out: how this voice said this vowel.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...filters import widen
from ...spoken import BILABIALS, phone_index, PHONES, SILENCE
from ...weight_files import read_weights
from ..speech.cues import short_closures
from ..speech.encoder import LOUDNESS, presence_of, SpeechEncoder

KERNELS = Path(__file__).with_name("lip_kernels.json")
# millimetres by which a face opens further on a vowel than the voice asks for; below 0: less
OPENING_OF = {
    "AA": 0.0, "AE": 0.0, "AH": 0.0, "AO": 0.0, "AW": 0.0, "AY": 0.0, "EH": 0.0, "ER": 0.0,
    "EY": 0.0, "IH": 0.0, "IY": 0.0, "OW": 0.0, "OY": 0.0, "UH": 0.0, "UW": 0.0,
}  # fmt: skip
_OPENING_REACH, _OPENING_EASE = 1, 0.8  # frames before and after a vowel, and of smoothing
MEAN_OPENING = 1.4  # mean opening of speech, in deviations above closed
# frames of speech at which a clip's mean and deviation weigh as much as those of the measured clips
LONG = 100
# What sounds ask of planned lips, in deviations: the opening of lips that are shut on m, b and p,
# the least and most on w, which all but shuts them, the least of lips that no sound shuts, and the
# largest width on w and u.
_SHUT, _OF_W, _APART, ROUND_WIDTH = -0.5, (0.1, 0.3), 0.1, -1.2
# Probabilities above which they do: tracked lips shut on four of five m, b and p that are likelier.
_HEARD, _HEARD_ROUND = 0.25, 0.4
_W, _U = phone_index("W"), phone_index("UW")
_ROWS = 15_000  # frames that a kernel is applied to at once
# limits of a clip's deviation relative to the measured curves
_LEAST_DEVIATION, _MOST_DEVIATION = 0.5, 2.0


def occupancy(phones: np.ndarray, frames: int) -> np.ndarray:
    """10 ms labels → share [frames, 40] of each animation frame (±20 ms around t/25 s) that each
    phone fills."""
    at = (np.arange(frames)[:, None] * 4 + np.arange(-2, 2)[None]).clip(0, len(phones) - 1)
    return np.eye(len(PHONES), dtype=np.float32)[phones[at]].mean(1)


def apply_kernel(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Curve [T] of x [T, c]: the sum of each frame's neighbours, weighed by a kernel [taps, c];
    edges are repeated."""
    reach = len(kernel) // 2
    # part by part: the product converts x to double precision
    parts = (x[at : at + _ROWS] for at in range(0, max(1, len(x)), _ROWS))
    products = np.concatenate([part @ kernel.T for part in parts])
    padded = np.pad(products, ((reach, reach), (0, 0)), mode="edge")
    return sum(padded[k : k + len(x), k] for k in range(len(kernel)))


def phone_probabilities(features: np.ndarray) -> np.ndarray:
    """Probability of each phone [T, 40], from speech features [T, d]
    (`encoder.speech_features`)."""
    return features[:, -LOUDNESS - len(PHONES) : -LOUDNESS]


def presence_in(features: np.ndarray) -> np.ndarray:
    """Presence of speech [T], 0 … 1 as `encoder.presence`, from speech features [T, d]."""
    return presence_of(1 - phone_probabilities(features)[:, SILENCE])


def identity(encoder: SpeechEncoder) -> str:
    """A short name of an encoder's trained weights: a map fitted to one is not valid for another's
    features."""
    digest = hashlib.sha256()
    arrays, _ = read_weights(encoder.network.path)  # type: ignore[attr-defined]
    for name, array in sorted(arrays.items()):
        digest.update(name.encode() + array.astype(np.float32).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Kernels:
    """Constants of one curve, in standard deviations of the measured one.

    phones [9, 40], loudness [9, 2]: kernels.  map [5, d]: of encoder features, None if phones alone
    do better.
    share: of the map in the blend.  mean_phones, deviation_phones: of the kernels' curve over
    measured speech; mean_both,
    deviation_both: of the blend before it is scaled to unit deviation.
    """

    phones: np.ndarray
    loudness: np.ndarray
    map: np.ndarray | None
    share: float
    mean_phones: float
    deviation_phones: float
    mean_both: float
    deviation_both: float

    @staticmethod
    def load(data: dict) -> Kernels:
        """The constants of one curve, as `calibrate` wrote them."""
        arrays = {
            name: np.array(data[name]) if data[name] is not None else None
            for name in ("phones", "loudness", "map")
        }
        return Kernels(**arrays, **{name: data[name] for name in data if name not in arrays})

    def of_phones(self, shares: list[np.ndarray], loudness: np.ndarray) -> np.ndarray:
        """The kernels' curve [T] of phone shares [T, 40], the mean of several labellings, and
        loudness [T, 2]."""
        return apply_kernel(np.mean(shares, 0), self.phones) + apply_kernel(loudness, self.loudness)

    def curve(
        self,
        shares: np.ndarray,
        loudness: np.ndarray,
        speech: np.ndarray,
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """The curve [T] above the mean of speech, in deviations, from aligned phones' shares [T,
        40] and loudness [T, 2].

        speech: bool [T].  features: of the encoder that the map was fitted to [T, d]; without them
        only the kernels are used. The longer a clip, the more its mean and deviation count, so that
        rooms, microphones and voices at another level open as far, while a short clip of one loud
        vowel stays open.
        """
        if features is None:
            z = (self.of_phones([shares], loudness) - self.mean_phones) / self.deviation_phones
        else:
            z = self.of_phones([shares, phone_probabilities(features)], loudness)
            if self.map is not None:
                z = (1 - self.share) * z + self.share * apply_kernel(features, self.map)
            z = (z - self.mean_both) / self.deviation_both
        count = int(speech.sum())
        if count < 2:
            return z
        trust = count / (count + LONG)
        z = z - trust * z[speech].mean()
        deviation = np.clip(z[speech].std(), _LEAST_DEVIATION, _MOST_DEVIATION)
        return z / (1 + trust * (deviation - 1))


@lru_cache
def kernels() -> dict[str, Kernels]:
    """The constants of `opening` and `width`."""
    data = json.loads(KERNELS.read_text())
    return {what: Kernels.load(data[what]) for what in ("opening", "width")}


def place_sounds(lips: np.ndarray, belief: np.ndarray) -> np.ndarray:
    """Planned opening and width [T, 2], as of `plan_lips`, with lips shut on m, b and p, all but
    shut on w, round on w and u, and apart elsewhere in speech; belief: phone probabilities [T, 40].
    """
    frames, (opening, width) = np.arange(len(belief)), lips.T.astype(np.float64)

    def likely_frames(least: float, *phones: int) -> np.ndarray:
        likely = belief[:, phones].sum(1)
        return np.interp(np.arange(4 * len(frames)) / 4, frames, likely) > least

    labels = (
        likely_frames(_HEARD_ROUND, _W),
        likely_frames(_HEARD, *BILABIALS),
        likely_frames(_HEARD_ROUND, _W, _U),
    )
    w, shut, rounded = short_closures(labels, len(frames))
    opening += (1 - belief[:, SILENCE]) * np.maximum(_APART - opening, 0.0)
    opening += w * (np.clip(opening, *_OF_W) - opening)
    opening += shut * (_SHUT - opening)
    width += rounded * (np.minimum(width, ROUND_WIDTH) - width)
    return np.stack([opening, width], 1)


# most that lips are planned to open where nobody speaks, deviations (takes then open 10 mm; people,
# who breathe in, 7.6), and what is added as a sound comes
_MOST_IN_SILENCE, _MORE_WITH_SOUND = 0.9, 5.0


def plan_lips(
    features: np.ndarray, presence: np.ndarray, encoder_matches: bool = True
) -> np.ndarray:
    """How far a voice opens lips, above closed, and how wide it makes them: float32 [T, 2], in
    deviations, 0 where nobody speaks.

    features: [T, d] as `encoder.speech_features`.  presence: [T] 0 … 1, of speech.
    encoder_matches: whether the map was fitted to their encoder; else their phones alone are
    followed.
    """
    map_input, loudness = features if encoder_matches else None, features[:, -LOUDNESS:]
    phones = phone_probabilities(features)
    opening, width = (
        each.curve(phones, loudness, presence > 0.5, map_input) for each in kernels().values()
    )
    lips = place_sounds(np.stack([MEAN_OPENING + opening, width], 1), phones)
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
    return json.loads(KERNELS.read_text())["encoder"]


def encoder_matches(encoder: SpeechEncoder) -> bool:
    """Whether the map was fitted to the features of an encoder."""
    return identity(encoder) == fitted_encoder()
