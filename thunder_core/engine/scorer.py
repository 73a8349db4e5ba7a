# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: how well a mouth agrees with what the encoder predicts of real lips
(`planning.lip_kernels`), how large it is, whether it closes and bites, and how much of the voice
mesh-to-speech reads off it; with what *Check* finds. Also measures what motions show.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..animation.traits import measure, measure_quiet, PerformanceMeter
from ..face.head import Head
from ..face.lips import Lips
from ..face.points import Articulators
from ..findings import Finding, MOVES, REALISTIC, SHIFTED, STILL
from ..grades import LipSyncScore
from ..rotation import rotvec_to_matrix
from ..spoken import LABIODENTALS
from ..types import FPS, Motion
from ..weight_files import ENCODER_RATE
from . import check
from .m2s import evidence, heard_share, MeshToSpeech, Mouth
from .speech.cues import runs, SURE
from .speech.encoder import softmax
from .systems.thunder import SPOKEN, VoiceFeatures

# ---- the parts of a score

# Points of each part of the total. `python -m research ranking --fit` fits them to the order of
# takes by real mouths of `fit` and of GRID, and to faults planted in takes of validation voices. It
# gives mesh-to-speech 4 points, width and bites next to none; these tell what it does not plant.
WEIGHTS = {
    "opening": 40.0,
    "width": 2.0,
    "speed": 10.0,
    "size": 15.0,
    "closures": 12.0,
    "bites": 3.0,
    "places": 10.0,
    "heard": 8.0,
}
# Natural logarithm of the ratio of a mouth's opening to the one that is asked for beyond which size
# costs points, and by how much more it costs them all. Of takes it varies by .1 (deviation).
_SIZE_FREE, _SIZE_COST = 0.3, 0.4
# Millimetres between lips that should meet, and between lip and teeth on f and v, that cost
# nothing, and that cost all.
_APART, _FROM_TEETH = (1.0, 3.0), (1.5, 4.0)
# added to the number of sounds that ask for a closure or a bite: one miss of one costs half
_FEW = 1.0
# Share of a voice that mesh-to-speech reads off usual takes of it: it falls with the doubt about
# its phones (r −.89 over voices with and without noise). And the parts of that which earn nothing
# and all.
_HEARD_AT_BEST, _HEARD_PER_NAT = 1.07, 0.455
_HEARD_NOTHING, _HEARD_ENOUGH = 0.4, 0.85
_LEAST_HEARD = 0.1
# what is found at places, and the weight of all of it that costs all points
_PLACES, _ALL_PLACES = (STILL, MOVES, SHIFTED), 8.0
_BESIDE = 1  # frames by which a bite may be early or late
# factor of the curves' speeds, beside whose variance the least that counts is then small
_STEEP = 3.0
_AT_FINDING = 20.0  # most points of a frame on which something is found


class Demands(NamedTuple):
    """What a voice asks of lips. closures: sounds that demand closed lips.  words: of the text.
    bites: spans [k, 2] in seconds of f and v."""

    closures: Sequence[check.Demand]
    words: check.Words
    bites: np.ndarray

    @classmethod
    def of(cls, voice: VoiceFeatures, text: str) -> "Demands":
        """What a voice that says a text, "" if it is not known, asks for."""
        belief = softmax(voice.logits)[:, list(LABIODENTALS)].sum(1)
        bites = np.array(runs(belief > SURE), float).reshape(-1, 2) / ENCODER_RATE
        return cls(*check.find_demands(voice, text), bites)


def correlate(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> float:
    """Correlation of two curves [T] over frames of weight [T], 0 where one hardly moves."""
    x, y = (each - np.average(each, weights=weight) for each in (x, y))
    spread = [max(np.average(each * each, weights=weight), 0.05) for each in (x, y)]
    return float(np.average(x * y, weights=weight) / np.sqrt(spread[0] * spread[1]))


def _share_made(distances: np.ndarray, limits: tuple[float, float]) -> float:
    """How well sounds are made, 0 … 1, at these distances in mm."""
    missed = np.clip((distances - limits[0]) / (limits[1] - limits[0]), 0, 1)
    return float(1 - missed.sum() / (len(distances) + _FEW))


class Scorer:
    """Scores the mouths of one head."""

    def __init__(
        self, articulators: Articulators, m2s: MeshToSpeech, mouth: Mouth, measures: "Measures"
    ):
        self.articulators, self.m2s, self.mouth, self.measures = articulators, m2s, mouth, measures
        self._known: tuple[VoiceFeatures, str, Demands] | None = None

    def score(
        self, motions: Sequence[Motion], voice: VoiceFeatures,
        asked_sizes: Sequence[float | None], text: str = "", tolerance: str = REALISTIC,
    ) -> list[LipSyncScore]:  # fmt: skip
        """Scores of motions that are as long as a sound that was analysed before.

        asked_sizes: factor of each (`Thunder.asked_size`), None where no direction is known: then
        only sizes that few people have cost points.  text: what the voice says, "" if it is not
        known.  tolerance: of what is found, one of TOLERANCES.
        """
        demands = self._demands(voice, text)
        scores = []
        for motion, size, nats in zip(motions, asked_sizes, self.read(motions, voice)):
            mouth = check.MouthCurves(*self.measures.gap_and_width(motion))
            parts = self._parts(mouth, motion, voice, demands, size)
            parts["heard"] = self._heard(nats, voice)
            allowed = check.TOLERANCE_OF[tolerance]
            findings = check.find(mouth, voice, allowed, demands.closures, demands.words, size)
            noticed = sum(each.weight for each in findings if each.kind in _PLACES)
            parts["places"] = 1 - min(1.0, noticed / _ALL_PLACES)
            total = sum(WEIGHTS[name] * part for name, part in parts.items())
            curve = _along(mouth, voice, total, findings)
            scores.append(LipSyncScore(total, curve, parts, tuple(findings)))
        return scores

    def _demands(self, voice: VoiceFeatures, text: str) -> Demands:
        """`Demands.of`, whose last result is kept: takes of a line are scored one after another."""
        if self._known is None or self._known[0] is not voice or self._known[1] != text:
            self._known = voice, text, Demands.of(voice, text)
        return self._known[2]

    def _parts(
        self, mouth: check.MouthCurves, motion: Motion, voice: VoiceFeatures, demands: Demands,
        asked_size: float | None,
    ) -> dict[str, float]:  # fmt: skip
        """The parts of WEIGHTS but what is heard and found, 0 … 1 each."""
        spoken = (voice.presence > SPOKEN).astype(float)
        if not spoken.any():
            spoken[:] = 1.0
        opening, width = voice.lips.T.astype(float)
        agreement = {
            "opening": correlate(mouth.gap, opening, spoken),
            "width": correlate(mouth.width, width, spoken),
            "speed": correlate(
                _STEEP * np.gradient(mouth.gap), _STEEP * np.gradient(opening), spoken
            )
            if voice.frames > 1
            else 0.0,
        }
        larger = abs(np.log(check.size_of(mouth.gap, voice, asked_size)))
        free = _SIZE_FREE if asked_size is not None else check.SIZE_OF_ANYBODY
        apart = np.array([gap for _, gap in check.gaps_on(mouth.gap, demands.closures)])
        return {
            **{name: max(0.0, r) for name, r in agreement.items()},
            "size": float(1 - np.clip((larger - free) / _SIZE_COST, 0, 1)),
            "closures": _share_made(apart, _APART),
            "bites": _share_made(self._from_teeth(motion, demands.bites), _FROM_TEETH),
        }

    def _from_teeth(self, motion: Motion, bites: np.ndarray) -> np.ndarray:
        """Least distance [k] of the lower lip from the upper teeth on each f and v, mm."""
        frames = np.round(bites * FPS).astype(int) + [-_BESIDE, _BESIDE + 1]
        frames = frames[frames[:, 0] + _BESIDE < motion.frames].clip(0, motion.frames)
        if not len(frames):
            return np.zeros(0)
        # only there: a lip has many points
        near = np.concatenate([np.arange(*span) for span in frames])
        lip = self.articulators.lip_surface.place(
            motion.expression[near], rotvec_to_matrix(motion.jaw[near])
        )
        distance = self.articulators.lip_distance(1e3 * lip)
        starts = np.cumsum(np.diff(frames, axis=1)[:-1, 0], dtype=int)
        return np.minimum.reduceat(distance, np.r_[0, starts])

    def _heard(self, nats: np.ndarray, voice: VoiceFeatures) -> float:
        """How much of a voice is read off a mouth that gives these nats [T] for its units, 0 … 1:
        1 as much as off most takes of a voice as clear."""
        at_best = max(_LEAST_HEARD, _HEARD_AT_BEST - _HEARD_PER_NAT * voice.doubt)
        share = heard_share(nats, voice.units, self.m2s.log_prior, voice.speaking)
        part = (share / at_best - _HEARD_NOTHING) / (_HEARD_ENOUGH - _HEARD_NOTHING)
        return float(np.clip(part, 0, 1))

    def read(self, motions: Sequence[Motion], voice: VoiceFeatures) -> np.ndarray:
        """The nats per frame [B, T] that the mouth of each motion gives for the speech units of a
        sound; all are as long as it."""
        log_odds, at = [], 0
        for seen, keep in self.mouth.windows(motions):
            said = self.m2s.read(seen)[:, 2 * keep.start : 2 * keep.stop]
            units = voice.units[at : at + said.shape[1]]
            log_odds.append([evidence(each, units, self.m2s.log_prior) for each in said])
            at += said.shape[1]
        return np.concatenate(log_odds, 1)


def _along(
    mouth: check.MouthCurves, voice: VoiceFeatures, total: float, findings: Sequence[Finding]
) -> np.ndarray:
    """Points [T] of each frame: how well the mouth agrees with the voice around it, few where
    something is found, the total where nobody speaks."""
    agrees = 100 * check.agreement(mouth, voice, check.near, [0])[:, 0]
    curve = np.where(voice.presence > SPOKEN, np.clip(agrees, 0, 100), max(total, 0.0))
    for each in findings:
        if not each.whole:
            span = slice(*each.frames(lambda second: second * FPS))
            curve[span.start : span.stop + 1] = np.minimum(
                curve[span.start : span.stop + 1], _AT_FINDING
            )
    return curve.astype(np.float32)


# ---- measures


class Measures:
    """Measures of motions of one head."""

    def __init__(self, head: Head):
        """Raises BadHead if the position of its lips is not known."""
        self._head, self._margins = head, Lips.of(head)

    @cached_property
    def _played(self) -> PerformanceMeter:
        return PerformanceMeter.of(self._head)

    def opening_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """As `face.lips.opening_mm` and `width_mm` measure a motion, each float32 [T]."""
        return self._margins.opening(motion).astype(np.float32), self._margins.width(motion).astype(
            np.float32
        )

    def gap_and_width(self, motion: Motion) -> tuple[np.ndarray, np.ndarray]:
        """The same; the gap is below zero where lips are pressed together."""
        return self._margins.beyond_rest(motion), self._margins.width(motion)

    def of_style(self, motion: Motion, voice: VoiceFeatures) -> dict[str, float]:
        """What a motion of this sound shows, as `animation.traits.measure`."""
        return measure(self._played, motion, voice.presence > SPOKEN)

    def of_quiet(self, motion: Motion) -> dict[str, float]:
        """What a motion of a face that does not speak shows, as
        `animation.traits.measure_quiet`."""
        return measure_quiet(self._played, motion)
