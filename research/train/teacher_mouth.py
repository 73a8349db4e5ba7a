# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher's mouth: jaw, lips, cheeks and tongue as a person would say a recording.

The mouth's shape is what a map that was fitted to real faces hears in the voice, read again with
people's own variation (`engine.planning.mouth_map`), as large and as even as the person who is
drawn; then sounds place their contacts, and the shape is solved into channels (`mouth_shape`).
Tongue postures are those of phones (Cohen & Massaro 1993). Gestures that no shape of the mouth
tells, of jaw, cheeks and nose, and those of moods go with cues: each part is a channel, the cue
that it follows and its size. Sizes follow the spread of channels solved from 4D scans of twelve
people speaking.
"""

import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from research.train.mouth_readings import occupancy, read_again
from thunder_core import filters
from thunder_core.behaviour import HABITS
from thunder_core.direction import Direction, MOODS, Style
from thunder_core.engine.planning.mouth_map import mouth_map, phone_probabilities
from thunder_core.engine.speech.cues import closure, middles, runs, sounds_of
from thunder_core.errors import BadRequest
from thunder_core.face.moving.mechanics import BITE_GAP_MM, Mechanics, Sounds, widen_peaks
from thunder_core.face.moving.mouth_shape import (
    bundled_mouth,
    CHIN,
    CORNERS,
    OPENING,
    UPPER_LIP,
    WIDTH,
)
from thunder_core.face.points import bundled_articulators
from thunder_core.filters import smoothstep
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.spoken import (
    BILABIALS,
    DENTALS,
    LABIODENTALS,
    phone_index,
    PHONES,
    SIBILANTS,
    SILENCE,
)
from thunder_core.types import FPS

PLOSIVES, POSTALVEOLARS = ("B", "P"), ("SH", "ZH", "CH", "JH")
# opening and width at which the cues `open` and `wide` are 1
OPEN_MM, WIDE_MM = 8.0, 3.0


def wander(frames: int, rng: np.random.Generator, hertz: float) -> np.ndarray:
    """Slow smooth noise [T] of unit deviation around `hertz`."""
    pad = int(2 * FPS / hertz)
    x = filters.gaussian(rng.standard_normal(frames + 2 * pad), FPS / (2 * np.pi * hertz))
    return (x / (x.std() + 1e-9))[pad : pad + frames]


def pulse(frames: int, at: float, rise: float, fall: float) -> np.ndarray:
    """A bump [T] that peaks at `at` s, rising over `rise` s and falling over `fall` s."""
    t = np.arange(frames) / FPS - at
    return smoothstep(np.clip(np.where(t < 0, 1 + t / rise, 1 - t / fall), 0, 1))


class Part(NamedTuple):
    """A channel that follows a cue of `cues_of`; amount: of the channel where the cue is 1.

    leaning: "leaning" for one side of the face alone, that of the style's asymmetry.
    """

    channel: str
    cue: str
    amount: float
    leaning: str = ""


# with speech, in every mood
SPOKEN = tuple(
    Part(channel, cue, amount)
    for channel, cues in HABITS["speech"].parts.items()
    for cue, amount in cues.items()
)
SMILE, FROWN, ASYMMETRY = 0.7, 0.6, 0.25  # channel values at a style value of 1
_CHUCKLE, _TREMBLE = 4.6, 6.0  # Hz
_VARIES = 0.25  # standard deviation between performances of an amount's logarithm


def sides(channel: str, names: Sequence[str]) -> tuple[str, ...]:
    """The channels of a name: itself, or its left and right."""
    return (channel,) if channel in names else (channel + "Left", channel + "Right")


class SpeakingMouth(NamedTuple):
    """What a mouth does over frames, [T] each.

    alive: 0 … 1, how much the face speaks.  gap, wide: millimetres.  rounded, shut, bite, sibilant,
    and quiet, where no sound is said: 0 … 1.
    """

    alive: np.ndarray
    gap: np.ndarray
    wide: np.ndarray
    rounded: np.ndarray
    shut: np.ndarray
    bite: np.ndarray
    sibilant: np.ndarray
    quiet: np.ndarray


class Stresses(NamedTuple):
    """What a reading stresses. accents: (s, weight) that gestures mark.  larger: [T], factor of the
    mouth."""

    accents: Sequence[tuple[float, float]]
    larger: np.ndarray | float = 1.0


def cues_of(
    phones: np.ndarray,
    mouth: SpeakingMouth,
    accents: Sequence[tuple[float, float]],
    tempo: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """The cues that gestures follow, each [T]: 0 … 1 except `drift` and `tremble`, which are noise
    of unit deviation.

    phones: 10 ms labels [M].  accents: (s, weight).
    """
    alive, frames = mouth.alive, len(mouth.alive)

    def presence(names: Sequence[str]) -> np.ndarray:
        return closure(np.isin(phones, [PHONES.index(name) for name in names]), frames)

    def pulses(times: Sequence[tuple[float, float]], rise: float, fall: float) -> np.ndarray:
        curve = np.zeros(frames)
        for at, weight in times:
            curve = np.maximum(
                curve,
                weight
                * pulse(frames, at + 0.03 * rng.standard_normal(), rise / tempo, fall / tempo),
            )
        return curve

    ends = [
        (b / FPS - 0.12, float(rng.uniform(0.5, 1.0))) for _, b in runs(alive > 0.5) if b < frames
    ]
    marked = [
        (at, weight * float(rng.uniform(0.6, 1.0))) for at, weight in accents if rng.random() < 0.8
    ]
    accent = pulses(marked, 0.16, 0.34)
    time = np.arange(frames) / FPS
    chuckle = 0.5 - 0.5 * np.cos(2 * np.pi * _CHUCKLE * tempo * time + rng.uniform(0, 2 * np.pi))
    return {
        "always": 0.4 + 0.6 * alive,
        "open": np.clip(mouth.gap / OPEN_MM, 0, 1.3), "wide": np.clip(mouth.wide / WIDE_MM, 0,
        1.3) * alive,
        "rounded": np.clip(mouth.rounded, 0, 1), "shut": mouth.shut * alive,
        "sibilant": mouth.sibilant * (1 - mouth.bite) * alive, "bite": mouth.bite * alive,
        "plosive": presence(PLOSIVES) * alive, "postalveolar": presence(POSTALVEOLARS) * alive,
        "accent": accent * alive, "end": pulses(ends, 0.3, 0.5) * (0.3 + 0.7 * alive),
        "chuckle": chuckle * accent * alive,
        "drift": wander(frames, rng, 0.3) * (0.4 + 0.6 * alive),
        "tremble": wander(frames, rng, _TREMBLE) * alive,
    }  # fmt: skip


def gestures(
    cues: dict[str, np.ndarray],
    names: Sequence[str],
    direction: Direction,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """{channel: [T]} of everything a direction adds to the sounds, by the names of a head."""
    style = direction.style_in_mood
    lean = ASYMMETRY * style.asymmetry
    stronger = int(style.asymmetry < 0)  # 0: the left side
    channels: dict[str, np.ndarray] = {}

    def add_movement(channel: str, values: np.ndarray, leaning: bool = False) -> None:
        both, factors = sides(channel, names), (1 + lean, 1 - lean)
        if len(both) == 1 or leaning:
            both, factors = both[-1:] if stronger else both[:1], (1.0,)
        for name, factor in zip(both, factors):
            channels[name] = channels.get(name, 0.0) + factor * values

    def play(parts: Iterable[Part], strength: float) -> None:
        for part in parts:
            amount = strength * part.amount * float(np.exp(_VARIES * rng.standard_normal()))
            channel = part.channel
            if channel == "mouthLeft" and stronger:
                channel = "mouthRight"
            add_movement(channel, amount * cues[part.cue], bool(part.leaning))

    play(SPOKEN, style.articulation * style.energy**0.5)
    for mood in MOODS.values():
        if share := direction.share(mood.name):
            play((Part(*row) for row in mood.mouth), share)

    alive, end, shut = (cues[name] for name in ("always", "end", "shut"))
    if style.smile > 0:
        add_movement("mouthSmile", SMILE * style.smile * alive)
        add_movement("cheekSquint", 0.3 * SMILE * style.smile * alive)
    else:
        add_movement("mouthFrown", FROWN * -style.smile * alive)
    tight = max(0.0, style.tension)
    add_movement("mouthPress", tight * (0.10 * alive + 0.25 * shut + 0.20 * end))
    add_movement("mouthDimple", tight * (0.08 * alive + 0.10 * end))
    add_movement("mouthRollUpper", tight * 0.12 * shut)
    add_movement("mouthRollLower", tight * 0.12 * shut)
    # The mouth is drawn towards the side that moves more, with speech and without.
    aside = (0.5 * style.asymmetry) * (0.05 * alive + 0.05 * cues["open"]) + 0.02 * cues["drift"]
    add_movement("mouthLeft", np.maximum(aside, 0))
    add_movement("mouthRight", np.maximum(-aside, 0))
    return channels


MOST_MM_PER_FRAME = 10.0  # fastest opening or closing
MOST_OPEN_MM = 24.0  # largest opening of a sound that names none
_EASY = 0.4  # share of the largest from which openings are compressed
_SOFT = 1.8  # sharpness of the bend at which lips touch, 1/mm

_TONGUE = HABITS["tongue"]
_LIPS = HABITS["lips"]
W_GAP_MM = (0.9, 1.4)  # least and largest on w
_EASE = 0.8  # deviation of the smoothing of what sounds ask for at least and at most, frames
SIBILANT_RISE_MM = 1.3  # least rise of the upper lip on s, so that teeth are visible
_SIBILANT_WIDEST_MM = 1.0  # width beyond which s grins
_FIRM = 1.5  # lips that a sound shuts stay so for longer than they take to meet
_W = (phone_index("W"),)

# Our head's own mouth at an opening, which people's is a departure from: shares of an opening (mm)
# made by raising the upper lip and by baring the lower teeth, MOST · tanh(SHARE · opening / MOST).
# Judges who do not know which is which like mouths about it better than those that have people's
# own heights (`research/results/blind_mouths.md`).
_RISE_SHARE, _RISE_MOST, _BARE_SHARE, _BARE_MOST = 0.16, 2.3, 0.24, 2.6
_JAW_SHARE, _LIP_SHARE, _LIPS_RANGE = 0.6, _RISE_SHARE + _BARE_SHARE, (0.1, 1.7)
# The jaw is slower than the lips, and goes from vowel to vowel: standard deviation of its
# smoothing, and the share of the openings beside one of fewer frames that it keeps meanwhile.
_JAW_SLOW, _JAW_HOLDS, _HELD, _SPEAKING_MM = 1.5, 0.85, 9, 1.35
_JAW_NARROWS = 0.14  # millimetres by which corners come in as the incisors part by one
PUCKER_MM, FUNNEL_MM, STRETCH_MM = 16.0, 8.0, 9.0  # width lost or gained at 1
_STRETCHED = 0.75  # share of a widening that stretches; the rest smiles
_FUNNEL, _PUCKER, _ROUNDEST = 0.2, 0.32, 1.2  # channel values on a round sound; most of it
# mean width beyond that of the jaw, mm; factor of people's where a mouth is wider than at rest
_WIDTH_MM, _WIDER = -0.3, 1.2
# Openings between which a mouth's least width eases, and these widths, below rest: people's lips are
# round where they are hardly open, and no keyhole where they are. Judges like rounder lips yet.
_NARROWEST, _NARROWS = ((3.0, 10.0), (21.0, 15.0)), 0.7
_LARGER = 1.15  # openings relative to people's
# share of people's own movement of upper lip and chin that the head has (corners are theirs), and
# what sounds leave of it
_OWN = np.array([0.8, 0.5])
_MOST_OWN_MM = np.array([2.0, 4.0])
_OWN_ON = {"shut": 0.0, "sibilant": 0.2, "bite": 0.1, "rounded": 0.4}
_LOWEST_UPPER_MM, _QUIET_UPPER_MM = -0.9, -0.7  # at the lowest, and at most where nobody speaks

JAW_ASIDE = 0.006  # standard deviation of the jaw's sideways turn, radians
# encoder's probability of a sound: below the first a label is ignored, above the second none is
# needed
DOUBTED, SURE = 0.04, 0.3
# labels (10 ms) by which lips meet ahead of the middle of m, b and p; probability of these above
# which they stay shut
_LEADS, _SURELY_SHUT = 2, 0.6
_ROUND_AHEAD = 0.75  # share of the rounding of the next frame that lips have
_CONFIRMED_WITHIN = 6  # labels (10 ms) to either side in which the encoder may confirm a label
_SLACK, _CRISP = 2.5, 1.5  # standard deviations of `change_pace`, frames
# How people's mouths, and one person's readings, differ (49 tracked people; readings of GRID's
# words): standard deviations of the logarithms of the sizes of opening and width, of the upper
# lip's and the chin's share of an opening and of the corners' movement. Most of the chin's .21 is
# the style's, so that *Jaw* moves it. One person reads again with `AGAIN` times people's residual
# of each signal: the width less, or the mean of eight readings hears less of it than the map does.
PERSON = {"opening": 0.17, "width": 0.2, "upper lip": 0.15, "chin": 0.06, "corners": 0.18}
AGAIN = np.array([0.47, 0.3, 0.5, 0.5, 0.5, 0.5])
_FURTHEST = 2.0  # deviations
# correlations of width, upper lip and chin with the opening, of 50 people
_WITH_OPENING = np.array([-0.07, 0.46, -0.75])


def _dominance(shares: np.ndarray, table: dict[str, float], sigma: float = 1.3) -> np.ndarray:
    """Posture [T] of an articulator: each phone pulls with a bell of `sigma` frames, phones without
    a target give way."""
    target = np.array([table.get(p, 0.0) for p in PHONES])
    weight = np.array([1.0 if p in table else 0.35 for p in PHONES])
    pull = filters.gaussian(shares @ weight, sigma)
    return filters.gaussian(shares @ (weight * target), sigma) / np.maximum(pull, 1e-3)


@lru_cache
def _mechanics(channels: tuple[str, ...]) -> Mechanics:
    """The mechanics of the default head, whose channels these must be."""
    articulators = bundled_articulators()
    if channels != tuple(articulators.names):
        raise BadRequest("The teacher performs on the default head: give it that head's channels")
    return Mechanics(articulators)


def heard_at_labels(kind: tuple[int, ...], belief: np.ndarray, labels: int) -> np.ndarray:
    """Probability [M] at 100 Hz of a kind of sound, from those of phones [T, 40]."""
    at = np.arange(labels) / 4
    return np.interp(at, np.arange(len(belief)), belief[:, list(kind)].sum(1))


def where_demanded(
    phones: np.ndarray, kind: tuple[int, ...], belief: np.ndarray | None
) -> np.ndarray:
    """True where a kind of sound is spoken, bool [M] at 100 Hz: labelled and not ruled out by the
    encoder's probabilities [T, 40], or certain by them. Labels may be misplaced, and the model
    cannot learn what is inaudible."""
    labelled = np.isin(phones, kind)
    if belief is None:
        return labelled
    heard = heard_at_labels(kind, belief, len(phones))
    near = filters.highest(heard, 2 * _CONFIRMED_WITHIN + 1)
    kept = labelled.copy()
    for a, b in runs(labelled):
        if near[a:b].max() < DOUBTED:
            kept[a:b] = False
    return kept | (heard > SURE)


class Contacts(NamedTuple):
    """What sounds ask of lips, [T] 0 … 1 each: to shut on m, b and p, to bite on f and v, and to be
    all but shut on w."""

    shut: np.ndarray
    bite: np.ndarray
    w: np.ndarray


def contacts(
    phones: np.ndarray, alive: np.ndarray, belief: np.ndarray | None
) -> tuple[Contacts, Sounds]:
    """What sounds ask of lips, and of jaw, teeth and tongue; arguments as of `mouth`."""
    bilabial, labiodental, sibilant, dental = (
        where_demanded(phones, kind, belief)
        for kind in (BILABIALS, LABIODENTALS, SIBILANTS, DENTALS)
    )
    shut = middles(bilabial)
    shut |= np.append(shut[_LEADS:], shut[-1:].repeat(_LEADS))
    if belief is not None:
        shut |= heard_at_labels(BILABIALS, belief, len(phones)) > _SURELY_SHUT
    sounds = sounds_of(alive, sibilant, labiodental, dental, shut)
    free = 1 - sounds.shut
    w = closure(middles(where_demanded(phones, _W, belief)), len(alive))
    bite = closure(labiodental, len(alive)) * free
    return Contacts(sounds.shut, bite, w * free), sounds


def change_pace(curve: np.ndarray, tempo: float) -> np.ndarray:
    """A curve [T] whose movements are quicker or slower than they are: sharpened, or smoothed; its
    mean stays."""
    if tempo < 1:
        return filters.gaussian(curve, _SLACK * (1 / tempo - 1), mode="nearest")
    return curve + (tempo - 1) * (curve - filters.gaussian(curve, _CRISP, mode="nearest"))


def rise_of(gap: np.ndarray, lips: float) -> np.ndarray:
    """Rise of the upper lip at an opening, millimetres; lips: a person's use of the lips, 1 as most
    do."""
    return _RISE_MOST * np.tanh(lips * _RISE_SHARE / _RISE_MOST * np.maximum(gap, 0.0))


def jaw_of(gap: np.ndarray, lips: float) -> np.ndarray:
    """Part of the jaw in an opening, millimetres between the incisors; lips as of `rise_of`."""
    gap = np.maximum(gap, 0.0)
    return gap - rise_of(gap, lips) - _BARE_MOST * np.tanh(lips * _BARE_SHARE / _BARE_MOST * gap)


def lead_jaw(wanted: np.ndarray) -> np.ndarray:
    """Millimetres [T] between the incisors of a jaw that is asked for `wanted` [T]: it is slow, a
    frame ahead of the lips, and stays half open behind lips that close."""
    between = -filters.highest(-filters.highest(wanted, _HELD), _HELD)
    slow, held = (filters.smooth(each, _JAW_SLOW) for each in (wanted, _JAW_HOLDS * between))
    jaw = np.maximum(slow, held)
    return np.maximum(np.append(jaw[1:], jaw[-1:]), _SPEAKING_MM)


class Read(NamedTuple):
    """What a person reads of a voice: the opening [T], mm; how far width, upper lip and chin [T, 3]
    depart from what is usual at that opening, mm; and the corners [T, 2], mm. lips: as of
    `rise_of`."""

    opening: np.ndarray
    departs: np.ndarray
    corners: np.ndarray
    lips: float


def read_voice(
    curves: np.ndarray, style: Style, larger: np.ndarray | float, pace: float,
    rng: np.random.Generator,
) -> Read:  # fmt: skip
    """What a person who is drawn reads of the map's curves [T, 6]. larger: [T], factor of what the
    style asks for.  pace: of movements."""
    known = mouth_map()
    by = dict(zip(PERSON, rng.standard_normal(len(PERSON)).clip(-_FURTHEST, _FURTHEST)))
    of = {name: float(np.exp(deviation * by[name])) for name, deviation in PERSON.items()}
    size = style.energy * of["opening"] * larger
    factors = np.ones((len(curves), 6))
    factors[:, UPPER_LIP], factors[:, CHIN] = size * of["upper lip"], size * of["chin"]
    factors[:, WIDTH] = size**0.5 * of["width"]
    factors.T[CORNERS] = size**0.5 * of["corners"]
    z = read_again(curves, AGAIN, rng)
    z = np.stack([change_pace(each, pace) for each in z.T], 1) * style.articulation
    opening = known.mean[OPENING] + known.deviation[OPENING] * z[:, OPENING]
    moved = known.deviation * factors
    middle = slice(WIDTH, CHIN + 1)
    departs = (z[:, middle] - _WITH_OPENING * z[:, :1]) * moved[:, middle]
    corners = known.mean[CORNERS] + (z * moved)[:, CORNERS]
    both = corners.mean(1, keepdims=True)
    aside = ASYMMETRY * style.asymmetry * np.array([1, -1])
    lips = (1 - _JAW_SHARE * style.jaw * of["chin"]) / _LIP_SHARE * of["upper lip"]
    return Read(
        _LARGER * size * np.logaddexp(0, _SOFT * opening) / _SOFT,
        departs,
        both + aside * (both - known.mean[CORNERS]),
        float(np.clip(lips, *_LIPS_RANGE)),
    )


def place_contacts(
    gap: np.ndarray, alive: np.ndarray, said: np.ndarray, lips: Contacts, size: float = 1.0
) -> np.ndarray:  # fmt: skip
    """Millimetres [T] that lips are apart: as far as each sound asks for at least, with the
    contacts that it asks for.

    alive: [T] 0 … 1, how much the face speaks.  said: shares of phones [T, 40].  size: of the
    mouth, 1 as usual.
    """
    # the wider, the harder, on a sound that needs no wide mouth the most
    ease = np.array([1 / _LIPS.most.get(phone, MOST_OPEN_MM) for phone in PHONES])
    eased = filters.gaussian(said @ ease, _EASE, mode="nearest")
    most = size**0.5 / np.maximum(eased, 1 / MOST_OPEN_MM)
    gap = most * filters.bend(gap / most, _EASY, 1.0)
    least = size * np.array([_LIPS.apart.get(phone, 0.0) for phone in PHONES])
    gap = np.maximum(gap, filters.gaussian(said @ least, _EASE) * (1 - lips.shut) * alive)
    gap = gap + lips.w * alive * (np.clip(gap, *W_GAP_MM) - gap)
    gap = gap * (1 - np.clip(_FIRM * lips.shut, 0, 1))
    gap = gap + lips.bite * alive * (np.clip(gap, *BITE_GAP_MM) - gap)
    # limited in both directions: no wide opening right beside a closure
    return -widen_peaks(-gap, MOST_MM_PER_FRAME)


def add_to(
    x: np.ndarray, channels: Sequence[str], name: str, value: np.ndarray, side_bias: float = 0.0
) -> None:
    """Add a movement [T] to an expression [T, n] in place, the left side's larger by a bias."""
    both = sides(name, channels)
    for side, factor in zip(both, (1 + side_bias, 1 - side_bias) if len(both) == 2 else (1.0,)):
        x[:, channels.index(side)] += value * factor


def posture(
    mouth: SpeakingMouth, rounded: np.ndarray, lips: float, asymmetry: float,
    channels: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(expression [T, n], jaw [T, 3]) of our head's own mouth with an opening and a width.

    rounded: [T], funnelled and puckered beside the width.  lips: as of `rise_of`."""
    x, turn = np.zeros((len(rounded), len(channels))), np.zeros((len(rounded), 3))
    # where nothing is said the jaw alone opens a mouth
    parted = jaw_of(mouth.gap, lips)
    parted += mouth.quiet * (mouth.gap - parted)
    funnel = _FUNNEL * np.minimum(rounded, _ROUNDEST) * (1 - mouth.shut) * (1 - mouth.bite)
    wide = mouth.wide + _JAW_NARROWS * parted
    narrow = np.clip(-(wide + FUNNEL_MM * funnel), 0, None) / PUCKER_MM
    stretch = np.clip(wide, 0, 8) / STRETCH_MM
    for name, value, bias in (
        ("mouthFunnel", funnel, 0.0),
        ("mouthPucker", np.clip(narrow + _PUCKER * rounded, 0, 1) * (1 - 0.4 * mouth.shut), 0.0),
        ("mouthStretch", _STRETCHED * stretch, asymmetry),
        ("mouthSmile", (1 - _STRETCHED) * stretch, 2 * asymmetry),
    ):
        add_to(x, channels, name, value, bias)
    mechanics = _mechanics(tuple(channels))
    turn = mechanics.articulators.open_jaw(x, turn, mouth.alive * lead_jaw(parted))
    for name in ("mouthLowerDown", "mouthUpperUp"):  # how sides share what is solved for
        add_to(x, channels, name, np.full(len(x), 0.5), asymmetry)
    bared = np.minimum(SIBILANT_RISE_MM * mouth.sibilant, mouth.gap)
    rise = np.maximum(rise_of(mouth.gap, lips), bared)
    mechanics.articulators.set_lips(x, rotvec_to_matrix(turn), rise, mouth.gap, mechanics.lips)
    return x, turn


def mouth(  # noqa: PLR0913 (a clip, and what is known of it)
    phones: np.ndarray, heard: np.ndarray, alive: np.ndarray, channels: list[str],
    direction: Direction, rng: np.random.Generator,
    stresses: Stresses, features: np.ndarray | None = None, measured: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(expression [T, n], jaw [T, 3]) of 10 ms labels [M], loudness [T, 2] and how much the face
    speaks [T].

    features [T, d]: of the encoder that `mouth_map` was fitted to.  measured [T, 2]: opening and
    width of the speaker's own lips, in deviations above the mean of speech; performed instead of
    what is heard of them, with what the speaker stressed.
    """
    # whoever a seed is on one voice, it is another person on the next
    rng = np.random.default_rng([int(rng.integers(1 << 32)), zlib.crc32(np.array(heard))])
    accents, larger = stresses if measured is None else stresses._replace(larger=1.0)
    style, frames, tempo = direction.style_in_mood, len(heard), direction.tempo
    index = {name: i for i, name in enumerate(channels)}
    asymmetry = ASYMMETRY * style.asymmetry

    belief = None if features is None else phone_probabilities(features)
    shares = occupancy(phones, frames)
    contact, sounds = contacts(phones, alive, belief)

    pace = tempo * min(1.0, style.articulation) ** 0.5  # mumbling slows all movement
    known = np.concatenate([shares, heard], 1) if features is None else features
    curves = mouth_map().curves(known, alive > 0.5, features is not None)
    if measured is not None:
        curves[:, [OPENING, WIDTH]] = measured
    read = read_voice(curves, style, larger, pace, rng)
    said = shares if belief is None else belief
    quiet = filters.gaussian(said[:, SILENCE].astype(float), _EASE, mode="nearest")
    quiet *= (1 - contact.shut) * (1 - contact.bite)
    gap = place_contacts(read.opening * alive, alive, said, contact, style.energy)
    rounded = style.rounding * _dominance(np.maximum(said, shares), _LIPS.rounded) * alive
    rounded = np.maximum(rounded, _ROUND_AHEAD * np.append(rounded[1:], rounded[-1:]))
    wide = _WIDTH_MM + read.departs[:, 0]
    wide = np.where(wide > 0, _WIDER * style.width, style.rounding) * wide * alive
    wide -= sounds.sibilant * np.maximum(wide - _SIBILANT_WIDEST_MM, 0.0)
    moves = SpeakingMouth(
        alive, gap, wide, np.clip(rounded, 0, 1), contact.shut, contact.bite, sounds.sibilant,
        quiet,
    )  # fmt: skip

    x, rotation = posture(moves, rounded, read.lips, asymmetry, channels)
    narrow = -bundled_mouth().measure(x, rotation)[:, WIDTH] / np.interp(gap, *_NARROWEST)
    narrow = np.maximum(narrow, _NARROWS)
    less = filters.bend(narrow, _NARROWS, 1.0) / narrow
    for name in ("mouthPucker", "mouthFunnel"):
        x[:, index[name]] *= less
    shape = bundled_mouth().measure(x, rotation)
    left = np.prod([1 - (1 - share) * getattr(moves, name) for name, share in _OWN_ON.items()], 0)
    own = _MOST_OWN_MM * np.tanh(_OWN * read.departs[:, 1:] / _MOST_OWN_MM)
    free = (alive * left)[:, None]
    shape[:, UPPER_LIP : CHIN + 1] += free * own
    shape[:, CORNERS] += free * (read.corners - shape[:, CORNERS])
    shape[:, UPPER_LIP] = np.maximum(shape[:, UPPER_LIP], _LOWEST_UPPER_MM)
    shape[:, UPPER_LIP] += quiet * np.minimum(_QUIET_UPPER_MM - shape[:, UPPER_LIP], 0.0)
    x, rotation = bundled_mouth().solve(shape, (x, rotation))

    def add_movement(name: str, value, side_bias: float = 0.0) -> None:
        add_to(x, channels, name, value, side_bias)

    for name, values in gestures(
        cues_of(phones, moves, accents, tempo, rng), channels, direction, rng
    ).items():
        x[:, index[name]] += values
    add_movement("mouthPress", 0.38 * contact.shut, asymmetry)
    add_movement("mouthRollLower", 0.16 * contact.shut)
    add_movement("mouthRollUpper", 0.15 * contact.shut)
    add_movement("tongueTipUp", _dominance(shares, _TONGUE.tip, 0.7) * alive)
    add_movement("tongueBladeUp", _dominance(shares, _TONGUE.blade, 0.8) * alive)
    add_movement("tongueBack", _dominance(shares, _TONGUE.back, 0.9) * alive)

    x, rotation = _mechanics(tuple(channels)).articulate(np.clip(x, 0, 1), rotation, sounds)
    aside = (
        0.25 * style.asymmetry * rotation[:, 0]
        + JAW_ASIDE * wander(frames, rng, 0.5) * rotation[:, 0] / 0.06
    )
    rotation[:, 1] = np.clip(aside, -0.03, 0.03)
    return np.clip(x, 0, 1), rotation
