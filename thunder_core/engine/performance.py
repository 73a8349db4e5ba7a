# SPDX-License-Identifier: GPL-3.0-or-later
"""How each take of a batch is performed: in which direction, hearing what, with which plan.

Directions vary around the requested one, as wide as *Variety* allows. Each take has a style for the
whole line (`reading`), stresses the words that it hits (`planning.choice`, `add_stresses`) and
those that are marked (`mark_direction`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from ..direction import (
    AXES,
    CLOSED,
    DIRECTION_NAMES,
    DirectionRequest,
    in_moods,
    Mark,
    MOOD_NAMES,
    MOODS,
    OPEN,
    over_frames,
    split_moods,
    SPREAD,
    STRESSED,
    THROWN_AWAY,
)
from ..manner import Manner
from ..types import Columns, FPS
from .diffusion import Inpainting
from .planning.choice import Choice
from .planning.mouth_map import open_on_phones
from .planning.take_plan import LIPS_STRESS, plan_take, TakePlan
from .planning.upper_face import Behaviours
from .voice import VoiceFeatures

_AXIS_SPREAD = 2.0  # spread of an axis at *Variety* 1, in standard deviations between speakers
_ENERGY_SPREAD = 2.95  # the same for energy; more, because word emphasis averages part of it out
_HEAD_SPREAD = 1.0  # and for the head: persons differ too, and profile is seen at 1.6 times as far
_FURTHEST = 2.2  # largest deviation from the request, in units of _AXIS_SPREAD times *Variety*
_MOOD_SPREAD = 0.8  # strongest mood added at *Variety* 1 where none is requested
# of the first so many moods: one that comes as a file changes no other takes
_MOODS_DRAWN = 11
_STRENGTH_SPREAD = 0.5  # change of a requested mood's strength at *Variety* 1
# share of a requested mood's strength that every reading keeps: the score knows lips alone, so any
# take may lead
_LEAST_STRENGTH = 0.85
# Share of what a requested mood does to an axis that a reading may take back, with what its
# strength takes back: a warm take smiles.
_AGAINST_MOOD = np.array([0.15 if axis.name in ("smile", "frown") else 0.4 for axis in AXES])
# the same of a large request on the axis itself, more of a small one: a take of high energy is not
# quiet
_AGAINST_SLIDER = 0.6
_EMPHASIS = 0.4  # log energy of a word that a take hits, at *Variety* 1
CLEARER = 0.6  # deviations of articulation per deviation of energy
_ACCENTED = {"brows": 0.8, "head": 1.0}  # deviations added on accents
# What each mood at full strength adds to each axis, in deviations.
_MOOD_CHANGES = np.array(
    [[MOODS[name].changes.get(axis.name, 0.0) for axis in AXES] for name in MOOD_NAMES], np.float32
)
_ENERGY = next(axis for axis in AXES if axis.name == "energy")
_SPREAD_OF = {"energy": _ENERGY_SPREAD, "head": _HEAD_SPREAD}
_SPREADS = np.array([_SPREAD_OF.get(axis.name, _AXIS_SPREAD) for axis in AXES])
# Ranges of a style, in deviations.
_LEAST = np.array([axis.deviations(axis.least) for axis in AXES])
_MOST = np.array([axis.deviations(axis.most) for axis in AXES])


def follow_voice(
    direction: DirectionRequest, voice_style: np.ndarray | None, frames: int
) -> DirectionRequest:
    """The direction over so many frames, moved by the voice as far as `DirectionRequest.as_heard`
    says.

    voice_style: deviations of a style [len(AXES)] that the voice suggests
    (`speech.cues.axis_deviations`).
    """
    if voice_style is None or not direction.as_heard.any():
        return direction
    change = over_frames(direction.as_heard, frames)[:, None] * voice_style
    wanted = over_frames(direction.requested, frames)
    style = np.clip(wanted[:, : len(AXES)] + change, _LEAST, _MOST)
    moods = np.broadcast_to(wanted[:, len(AXES) :], (len(style), len(MOOD_NAMES)))
    both = np.concatenate([style, moods], 1).astype(np.float32)
    return (
        replace(direction, vectors=both)
        if direction.original is None
        else replace(direction, original=both)
    )


def draw_style(
    vectors: np.ndarray, seed: int, spread: float, voice_style: np.ndarray | None = None
) -> np.ndarray:
    """Draw the style of a seed's take: float32 [n, DIRECTION_NAMES].

    vectors: directions [n, DIRECTION_NAMES], one for the line or one for every frame.  spread:
    0 (exactly as requested) … 1 (as different as people are). If no mood is requested, every other
    style has a slight one; if one is, no style takes it back, nor much of a slider's change.
    voice_style: deviations [len(AXES)] that the voice suggests: where no mood is requested, styles
    without a slight one follow them, by half at *Variety* .5.
    """
    vectors = np.array(vectors, np.float32)
    if spread <= 0:
        return vectors
    x = sobol_point(seed)  # those of consecutive seeds fill space evenly; axes, a mood, a strength
    normal = np.array([NormalDist().inv_cdf(share) for share in x[: len(AXES)]]).clip(
        -_FURTHEST, _FURTHEST
    )
    style, moods = vectors[:, : len(AXES)], vectors[:, len(AXES) :]
    by, requested_by = spread * _SPREADS * normal, np.abs(style)
    slight = 0.0 if moods.any() else spread * _MOOD_SPREAD * max(0.0, 2 * x[-1] - 1)
    if voice_style is not None and not moods.any() and not slight:
        by += spread * voice_style
    most = np.maximum(
        _AGAINST_SLIDER * requested_by, _FURTHEST * (spread * _SPREADS - requested_by)
    )
    by = np.where(by * style < 0, np.sign(by) * np.minimum(np.abs(by), most), by)
    strength = max(_LEAST_STRENGTH, 1 + spread * _STRENGTH_SPREAD * (2 * x[-1] - 1))
    does = moods @ _MOOD_CHANGES
    back = (max(0.0, 1 - strength) - _AGAINST_MOOD) * does  # the most that may be taken back
    by = np.where(does > 0, np.maximum(by, back), np.where(does < 0, np.minimum(by, back), by))
    style[:] = np.clip(style + by, np.minimum(_LEAST, style), np.maximum(_MOST, style))
    if moods.any():
        moods[:] = np.clip(moods * strength, 0, 1)
    else:
        moods[:, int(x[-2] * _MOODS_DRAWN) % _MOODS_DRAWN] = slight
    return vectors


def as_trained(vectors: np.ndarray, numbers: int) -> np.ndarray:
    """Directions [..., DIRECTION_NAMES] for a model that was trained with the first `numbers` of
    these: what later moods do to sliders is added to these."""
    axes, known, later = slice(len(AXES)), vectors[..., :numbers].copy(), vectors[..., numbers:]
    changed = known[..., axes] + later @ _MOOD_CHANGES[numbers - len(AXES) :]
    known[..., axes] = np.clip(
        changed, np.minimum(_LEAST, known[..., axes]), np.maximum(_MOST, known[..., axes])
    )
    return known


def add_stresses(
    style: np.ndarray, spread: float, accents: np.ndarray, stress: np.ndarray
) -> np.ndarray:
    """A take's style [1 or T, DIRECTION_NAMES] with its stresses over a line: float32 [T,
    DIRECTION_NAMES].

    accents: [T] 0 … 1, where the voice stresses a syllable (`speech.cues.accents`).  stress: [T],
    where the take does (`Choice.stress`): brows and head do more there and less elsewhere.
    """
    style = np.array(np.broadcast_to(style, (len(accents), style.shape[1])), np.float32)
    emphasis = _EMPHASIS * spread * (stress - stress.mean())
    energy = (LIPS_STRESS * stress + emphasis) / _ENERGY.speakers
    changes = {"energy": energy, "articulation": CLEARER * energy}
    shown = np.clip(accents + stress, 0, 1)
    changes |= {name: by * (shown - shown.mean()) for name, by in _ACCENTED.items()}
    return move_axes(style, changes)


def move_axes(style: np.ndarray, changes: Mapping[str, np.ndarray]) -> np.ndarray:
    """A direction float32 [T, DIRECTION_NAMES], changed in place by deviations [T] of axes, within
    the range of each."""
    for name, by in changes.items():
        column = DIRECTION_NAMES.index(name)
        value = style[:, column]
        style[:, column] = np.clip(
            value + by, np.minimum(_LEAST[column], value), np.maximum(_MOST[column], value)
        )
    return style


# ---- marks on words

# What a mark adds to the direction over its word, in deviations of energy, and of brows and head.
_MORE, _LESS = 2.7, -3.2
_MARK_ENERGY = {STRESSED: _MORE, THROWN_AWAY: _LESS, OPEN: _MORE, CLOSED: _LESS}
_MARK_ACCENT = {STRESSED: 1.0, THROWN_AWAY: -1.0}
_EASE = 3  # frames in which it sets in, before the word, and ends


def _over_word(mark: Mark, frames: int) -> np.ndarray:
    """Where the word of a mark is, [frames] 0 … 1, eased before and behind it."""
    at = np.arange(frames)
    start, end = (FPS * seconds for seconds in (mark.to or (mark.start, mark.end)))
    outside = np.maximum(np.maximum(start - at, at - end), 0)
    return 0.5 + 0.5 * np.cos(np.pi * np.minimum(outside / _EASE, 1))


def mark_direction(style: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """A take's style, float32 [T, DIRECTION_NAMES], changed in place by marks."""
    energy, accent = np.zeros((2, len(style)))
    for mark in marks:
        shape = _over_word(mark, len(style))
        energy += _MARK_ENERGY.get(mark.kind, 0.0) * shape
        accent += _MARK_ACCENT.get(mark.kind, 0.0) * shape
    if not (energy.any() or accent.any()):
        return style
    return move_axes(
        style, {"energy": energy, "articulation": CLEARER * energy, "brows": accent, "head": accent}
    )


# ---- the performance of a take

_MIN_TILT = np.radians(1.0)  # mean tilt of a kept head that shows to which side it inclines


@dataclass(frozen=True)
class Performance:
    """How one take is performed.

    seed: of its noise.  style: float32 [1 or T, DIRECTION_NAMES] of the performance; None: any.
    gestures: seed of its plan, and how far it may be from usual ones, 0 … 1; None: the take's seed,
    0.  choice: how it reads the line, and stress [T], `Choice.stress` of that; None: plainly.
    voice: with the take's phones; None: as it is.  around: seeds of takes that its noise is drawn
    around, as `seeded_noise`'s `like`.  is_exact: whether it follows the direction exactly.
    take_style: `style` without what it does on words.  plan: None: to be made
    (`plan_performance`).
    moods, shares [k, T]: where moods change over the line, the take of the seed in each of them, of
    which this one is a cross-fade.
    size: `target_size`, where it is known.  manner: of the character, None for none, and its
    strength [1 or T].
    """

    seed: int
    style: np.ndarray | None = None
    gestures: tuple[int, float] | None = None
    voice: VoiceFeatures | None = None
    around: tuple[int, ...] = ()
    is_exact: bool = False
    take_style: np.ndarray | None = None
    plan: TakePlan | None = None
    moods: tuple[Performance, ...] = ()
    shares: np.ndarray | None = None
    choice: Choice | None = None
    stress: np.ndarray | None = None
    size: float | None = None
    manner: Manner | None = None
    manner_strength: np.ndarray | float = 1.0


def perform(
    direction: DirectionRequest, voice: VoiceFeatures, seed: int, first: int,
    kept: Inpainting | None = None,
) -> Performance:  # fmt: skip
    """How the take of a seed of a batch performs a voice, but for its plan.

    first: first seed of the batch.  kept: part of the take: what is free beside it is read anew,
    and where the mouth is free, unlikely phones are drawn more often.
    """
    is_exact = direction.exact_first and seed == first
    spread, like = 0.0 if is_exact else direction.spread, direction.like
    if like and kept is not None:
        # what is free differs as takes do, around the style of the one that it is a part of
        spread, like = like[-1][1] or SPREAD, ()
    # around another take, gestures and phones are those of the first
    gestures = like[0] if like else (seed, spread)
    choice = voice.choice(*gestures)
    stress = choice.stress(voice.frames)
    resamples = gestures[1] if like else not is_exact
    varied_voice = voice.resample_phones(gestures[0]) if resamples else voice
    if kept is not None:
        mouth = kept.mask[:, Columns(kept.mask.shape[1] - 9).jaw]
        varied_voice = varied_voice.resample_phones(seed, ~np.asarray(mouth.all(1)))
    follows_voice = voice.presence.any() and not direction.as_heard.any()
    directions, shares = split_moods(direction.vectors, voice.frames)
    take_styles = [
        draw_style(each, seed, spread, voice.voice_style if follows_voice else None)
        for each in directions
    ]
    styles = [
        mark_direction(add_stresses(each, gestures[1], voice.accents, stress), direction.marks)
        for each in take_styles
    ]
    take = Performance(
        seed,
        styles[0],
        gestures,
        varied_voice,
        around=tuple(other for other, _ in like),
        is_exact=is_exact,
        take_style=take_styles[0],
        choice=choice,
        stress=stress,
        manner=direction.manner,
        manner_strength=1.0
        if direction.manner is None
        else over_frames(direction.manner_strength, voice.frames),
    )
    if len(directions) == 1:
        return take
    style, take_style = (
        np.einsum("kt,ktn->tn", shares, np.stack(each)).astype(np.float32)
        for each in (styles, take_styles)
    )
    moods = tuple(replace(take, style=a, take_style=b) for a, b in zip(styles, take_styles))
    return replace(take, style=style, take_style=take_style, moods=moods, shares=shares)


def perform_planned(
    direction: DirectionRequest,
    voice: VoiceFeatures,
    seed: int,
    first: int,
    kept: Inpainting | None,
) -> Performance:
    """How the take of a seed performs a voice, with its plan and size. Arguments as `perform`."""
    take = perform(direction, voice, seed, first, kept)
    take = replace(take, plan=plan_performance(voice, take, kept))
    # most of what is read anew beside another take is that take's
    is_part = direction.like and kept is not None
    judged = perform(direction, voice, seed, first) if is_part else take
    return replace(take, size=target_size(judged))


def plan_performance(
    voice: VoiceFeatures, take: Performance, kept: Inpainting | None = None
) -> TakePlan:
    """What a take of a voice plans beside a kept part."""
    seed, spread = take.gestures or (take.seed, 0.0)
    side = 0.0 if kept is None else side_of(kept, take.style)
    choice, varied_voice = take.choice or voice.choice(seed, 0.0), take.voice or voice
    made = plan_take(
        voice.prosody, voice.phrasing, choice, seed, spread, take.style, voice.listens, side
    )
    return replace(made, opening=open_on_phones(varied_voice.phones, varied_voice.sounds.shut))


def target_size(take: Performance) -> float | None:
    """How far a take should open the mouth, relative to the voice's own opening: as its style says.
    None where its character's manner has a say."""
    if take.manner is not None and np.any(take.manner_strength):
        return None
    if take.style is None:
        return 1.0
    return in_moods([take.style.mean(0)])[0].style.energy


def side_of(kept: Inpainting, style: np.ndarray | None) -> float:
    """The side to which a mood inclines a head that goes on from what is kept, −1 or 1; 0 where
    that shows none."""
    head = Columns(kept.mask.shape[1] - 9).head
    frames = kept.mask[:, head].any(1)
    tilt = float(kept.values[frames, head][:, 2].mean()) if frames.any() else 0.0
    usual = 1.0 if style is None else Behaviours.of_styles(style).usual.pose[2]
    return float(np.sign(tilt * usual)) if abs(tilt) > _MIN_TILT else 0.0


# ---- points that fill space evenly

_BITS = 30  # of a coordinate


def _numbers(digits: str) -> list[int]:
    """Parses packed hex, eight digits a number."""
    return [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]


# Direction numbers [14 dimensions, 16 bits of a point's number], as integers of 30 bits.
_DIRECTIONS = np.array([_numbers(row) for row in (
    "2877acef120c49000b025659061004d8022bfc4601efbdb500e7962a005617fd003ddaa5001e2df70008d57a0007d46a0002a849000179e80000bc47000074dc",
    "2d631a1539c727a62476973535ece9752f8c3ebb3afc2d3a265f5c703657bf382d5f177039e9aa5824470aa535c8c2e52fb37bc03ad0102f266d7c373671bbf6",
    "214ecec338c9baa217e7627e244eaa1d346e31521febd84a22c5c2d13918771c1515d663270eade53530c5771d6484b5215efff338f89a0117c3be8f24517f60",
    "31fc9c5421b30ebb09d7b12a16a679cc2c807e791e4bcbfd38dc416337926a5f257d73aa0883ac7e14e3ec5f299afe461d7ecd613ffb5cd4310b4db12135f4fa",
    "25571df4142329640b38cfb828f063c43f358393354349901a8b0f4b212eb3a91195eff20901a3002e3e933c3cffdf5134c1ed181d23ee9f25068e18140c2d05",
    "350f327b17b093fa18470e7109f77c9621a6e0060e94853a1066796b28ad85c22d74c2971e51b79c39f8ee7d076980e031e8b9bf26370f1b3d00262236debef3",
    "34e9c3e128500e2d3dba421e2c09ba061a8943aa315463aa0e1b093b21c1aeb33ad1042109a1459b07426c94259ecbae1ddc384b14eee14713c81c9e3515b224",
    "241d11c515011fc62e6f423b13c1ba94278e63110b0b5fda0612212608edb3a3183562ea20fda65e039816fa1e0e4f71287451fd1b29245f3fb0be772bf4e2df",
    "23a414401b7decd02a4a19ac1c083b1c0afa0b4f3ea866891125628b158afa350db77b7d1f0d027f328bd56e0ef0862327f5fa8c0303600338734b9b30544c6a",
    "2c6177df1eb353063c7ca4bb269ba6e42a6b7ee22999db652ec879b0181ea0a90a6963fe34a2f1ef14b3272609aa2cd032bc6d4123b0229d1a754ebd0c831d90",
    "3f169d94119bb70e34df23e507fb63a9027c4ee319637ae83b56161b0b0f5cf317cc9f63379747f01e7277e23891a2f1138e9ab32d07bf003d688bc508fb8790",
    "3bae51ed1ba66324096dd7150e3dbfd01f5d59453074a5a73d7030900a027fdf2671a34103e3b8c329cf5ce91c7cc116198c195121d506911269666807d0f574",
    "384d5b982666f64d3086231e1a4b37e2294755cc3a4778012e3bf6890c54f5bc02d369fc08b89d5a3de87e7618c3b2a6218fbd7a0661715a37fff9572c574c44",
    "29ddd34e3a361e061ced4fe32e5afbf00a48580d3bcf1b511324bc35267220dc32f936cc24c04c9a31bd82b52844423b353253ad146f47f416a4cdaf15975ff2",
)])  # fmt: skip
_SHIFT = np.array(
    _numbers(
        "0cc42af50af08d992ff576c60bcbcbfb233bc274310039ba1735f13c3ee5d69e3b1fca3409c4b20930f437841f39de420d098c241e101be5"
    )
)
# points of the sequence in use; larger numbers start over
POINTS = 1 << _DIRECTIONS.shape[1]


def sobol_point(number: int) -> np.ndarray:
    """A point of the sequence by its number: float64 [14], above 0 and below 1."""
    number %= POINTS
    gray = number ^ (number >> 1)
    chosen = _DIRECTIONS[:, [bit for bit in range(len(_DIRECTIONS[0])) if gray >> bit & 1]]
    point = np.bitwise_xor.reduce(chosen, axis=1, initial=0) ^ _SHIFT
    # torch rounds the first
    return (point / (1 << _BITS)).astype(np.float64 if number else np.float32).astype(np.float64)
