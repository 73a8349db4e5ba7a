# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps after sampling, in their order: from the motion that a diffusion model has sampled to one that a face performs; numpy only.

`Pipeline.finish` is the list. A step marked *constraint* is there because no face does otherwise, *untaught* because the model has not
learned it yet, *added* because it adds behaviour to the model's (`steps`). `explain` says what each did to one frame, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..channels import Columns, in_group, JAW_OPEN_RADIANS, LARGEST_VALUE, LIP_CLOSE, MOODS, SPEECH
from ..direction import Direction, DIRECTION_NAMES
from ..face.articulators import Articulators, Shape
from ..face.lip_closures import press_together
from ..face.lips import CLOSED_MM
from ..face.mechanics import lips_of, Mechanics, show_teeth_and_tongue, USUAL_GAP_MM
from ..face.moods import MoodPoses
from ..filters import highest, limit_rate, limit_release, lower_peaks, smooth, smoothstep
from ..steps import ADDED, CONSTRAINT, step, UNTAUGHT
from .diffusion import Inpainting
from .planning.take_plan import TakePlan
from .speech.cues import MOST_ROUNDED, segments, Vowels

if TYPE_CHECKING:
    from .systems.thunder import VoiceFeatures

_FURTHEST_LOOK = np.float32(np.radians(24.0))  # largest turn of an eye in its socket
_FELT_ON_ACCENTS = 0.12  # how much more a mood shows on an accent
_UNROLLED = 0.45  # most by which the lower lip rolls in or out from frame to frame on its way to and from the teeth
_TONGUE_STEP = 0.35  # most by which a channel that raises the tongue changes from frame to frame: tip and palate meet in two frames or more
_OUT = 0.02  # tongueOut above which a tongue that is raised would come through the upper teeth
_PARTS = 1  # frames around one of a closure's onset or release in which the opening that it leads from or to is looked for
# Most by which the opening of one frame is above that of both its neighbours, mm, where lips open by USUAL_GAP_MM on average; and the range
# of the factor for performances that open less or more. Measured people rarely exceed it and never by more than half.
_PEAK_MM, _PEAK_SIZES = 4.0, (0.6, 1.3)
_TONGUE_FITS = (0.02, 0.06)  # jaw angles (radians) at which the tongue begins to fit and fully fits between the teeth
_MOUTH_AND_MOODS = [i for i, name in enumerate(DIRECTION_NAMES) if name in ("jaw", "rounding") or name.startswith("mood.")]
_ARTICULATION = DIRECTION_NAMES.index("articulation")


@dataclass(frozen=True)
class Part:
    """What a take performs besides the voice.

    style: [1 or T, DIRECTION_NAMES] that it was sampled in; None: any.  plan: that it was sampled for.  acts: whether brows and a resting
    face are performed too; else only the mouth is of use.
    """

    style: np.ndarray | None = None
    plan: TakePlan | None = None
    kept: Inpainting | None = None
    acts: bool = True


class Pipeline:
    """All steps for one head."""

    def __init__(self, channels: Sequence[str], articulators: Articulators):
        """channels: names of the expression's columns."""
        self.channels, self.columns = tuple(channels), Columns(len(channels))
        self.mechanics, self.moods = Mechanics(articulators), MoodPoses(channels, articulators)
        # What shapes speech, and therefore rests without it; a smile or a frown is a mood and may stay.
        self.speaking = in_group(channels, SPEECH, but=MOODS)
        self.columns_of = {name: i for i, name in enumerate(channels)}
        self.close, self.tongue_out, self.roll = (self.columns_of[name] for name in (LIP_CLOSE, "tongueOut", "mouthRollLower"))

    def finish(self, sampled: np.ndarray, voice: VoiceFeatures, part: Part = Part()) -> np.ndarray:
        """A sampled motion [T, C] (`types.pack`) as a face performs it, float32."""
        columns, style, plan, x = self.columns, part.style, part.plan, sampled.astype(np.float32)
        expression, jaw = self.keep_in_bounds(x[:, columns.expression], x[:, columns.jaw])
        expression, jaw = self.rest_without_speech(expression, jaw, voice.presence)
        if plan is not None:
            jaw = self.breathe(jaw, plan.breath)
        expression, jaw = self.articulate(expression, jaw, voice, style)
        jaw = jaw.astype(np.float32)
        if style is not None:
            felt = None if plan is None else plan.felt + _FELT_ON_ACCENTS * (voice.accents - voice.accents.mean())
            expression = self.moods.apply_moods(expression, jaw, style, voice.presence, felt, voice.quiet)
            expression = self.mechanics.make_room_for_rolled_lip(expression)
        turns = jaw, x[:, columns.head], self.keep_eyes_in_sockets(x[:, columns.eyes])
        spoken = np.concatenate([expression.astype(np.float32), *turns], 1)
        acted = spoken
        if part.acts and plan is not None:
            expression = self.carry_brows(expression, plan.brows, plan.knit)
            expression = self.rest_lower_face(expression, plan.resting.channels)
            acted = np.concatenate([expression, *turns], 1).astype(np.float32)
        return acted if part.kept is None else self.keep_fixed_part(acted, spoken, part.kept)

    def articulate(
        self, expression: np.ndarray, jaw: np.ndarray, voice: VoiceFeatures, style: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Expression [T, n] and jaw [T, 3] of a speaking face: lips, teeth and tongue where the sounds have them."""
        sounds, (lips, rounder) = voice.sounds, (1.0, 1.0) if style is None else _lips_of(style)
        rounding = voice.rounding.times(rounder)
        spread_teeth = 1 - sounds.labiodental  # lips at the teeth do not come forward
        held = self.hold_tongue(expression, jaw)
        x = self.close_lips(held, jaw, voice.shut)
        x = boost_pucker(x, self.channels, rounding.heard * spread_teeth)
        aim = self.mechanics.articulators.shape(x.astype(np.float64), jaw.astype(np.float64))
        aim = self.keep_vowels_between_closures(aim, held, jaw, voice.shut)
        aim = compress_high_vowels(aim, sounds.speech, voice.vowels)
        aim = limit_opening_peaks(aim, sounds.speech)
        aim = close_after_last_sound(aim, voice.end)
        # After the aim: lips that come forward for themselves would open the mouth.
        x = round_lips(x, self.channels, rounding.least * sounds.speech * spread_teeth)
        x, jaw = self.mechanics.speak(x, jaw, sounds, show_teeth_and_tongue(aim, sounds), lips)
        x = self.limit_lip_roll(x)
        x = self.limit_tongue_rate(x)
        return x, jaw

    # ---- steps

    @step(CONSTRAINT, "expression jaw")
    def keep_in_bounds(self, expression: np.ndarray, jaw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Channels are muscles: they pull or rest. A jaw does not close past its teeth."""
        turn = jaw.copy()
        turn[:, 0] = np.maximum(turn[:, 0], 0.0)
        return np.clip(expression, 0.0, LARGEST_VALUE), turn

    @step(CONSTRAINT, "eyes")
    def keep_eyes_in_sockets(self, eyes: np.ndarray) -> np.ndarray:
        """Rotation vectors of the eyes [T, 3] that turn no further than eyes do."""
        return np.clip(eyes, -_FURTHEST_LOOK, _FURTHEST_LOOK)

    @step(CONSTRAINT, "expression jaw", {"alive": "speech"})
    def rest_without_speech(self, expression: np.ndarray, jaw: np.ndarray, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lips, jaw and tongue rest where nobody speaks; alive: [T] 0 … 1."""
        spoken = alive[:, None]
        return expression * np.where(self.speaking, spoken, 1.0).astype(np.float32), jaw * spoken

    @step(CONSTRAINT, "expression")
    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] is open enough."""
        x = expression.copy()
        free = ((jaw[:, 0] - _TONGUE_FITS[0]) / (_TONGUE_FITS[1] - _TONGUE_FITS[0])).clip(0, 1)
        x[:, self.tongue_out] *= smoothstep(free)
        return x

    @step(UNTAUGHT, "expression", {"shut": "m, b or p"})
    def close_lips(self, expression: np.ndarray, jaw: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lips meet where `shut` [T] is 1, whatever the jaw [T, 3] does; the rest blends."""
        x = expression.copy()
        shut = shut.astype(x.dtype)
        press_together(x, self.channels, shut)
        covers = (jaw[:, 0] * (1 / JAW_OPEN_RADIANS)).clip(0, 1)  # mouthClose that keeps lips together over an open jaw
        x[:, self.close] += shut * (covers - x[:, self.close])
        return x

    @step(UNTAUGHT, "aim", {"shut": "m, b or p"})
    def keep_vowels_between_closures(self, aim: Shape, before: np.ndarray, jaw: np.ndarray, shut: np.ndarray) -> Shape:
        """The mouth's target; before: expression [T, n] whose lips the closures `shut` [T] have not shut yet.

        The model opens and closes lips around a closure itself. Its opening is lowered there to the share that `shut` leaves of the widest
        opening nearby, not of itself: otherwise a short vowel between two closures would be left with its loudest frame alone.
        """
        rows = np.flatnonzero(highest(shut, 2 * _PARTS + 1) > 0)
        if not len(rows):
            return aim
        own = aim.gap.copy()
        own[rows] = self.mechanics.articulators.shape(before[rows].astype(np.float64), jaw[rows].astype(np.float64)).gap
        gap = np.where(shut > 0, np.maximum(aim.gap, np.minimum(own, (1 - shut) * highest(own, 2 * _PARTS + 1))), aim.gap)
        return Shape(gap, aim.rise, aim.incisors)

    @step(CONSTRAINT, "expression")
    def limit_lip_roll(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lower lip takes its time to the teeth and back."""
        x = expression.copy()
        x[:, self.roll] = limit_release(x[:, self.roll], _UNROLLED)
        return x

    @step(CONSTRAINT, "expression")
    def limit_tongue_rate(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue takes its time to the palate and back."""
        x = expression.copy()
        out = x[:, self.tongue_out] > _OUT
        for column in self.mechanics.raised:
            x[:, column] = limit_rate(x[:, column], _TONGUE_STEP, out)
        return x

    @step(ADDED, "jaw", {"breath": "a breath before a phrase"})
    def breathe(self, jaw: np.ndarray, breath: np.ndarray) -> np.ndarray:
        """Jaw [T, 3] that opens by `breath` [T], radians, before phrases, where lips rest."""
        result = jaw.copy()
        result[:, 0] = np.maximum(jaw[:, 0], breath)
        return result

    @step(ADDED, "expression")
    def carry_brows(self, expression: np.ndarray, height: np.ndarray, knit: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose brows are carried higher or lower, [T, 3] of the inner and both outer ones, and drawn down by `knit` [T].

        Brows that are at rest already are lowered by the muscles that draw them down."""
        x, both = expression.copy(), knit.copy()
        for part, name in enumerate(("browInnerUp", "browOuterUpLeft", "browOuterUpRight")):
            both += np.maximum(0, -x[:, self.columns_of[name]] - height[:, part]) / 3
            x[:, self.columns_of[name]] = add_with_room(x[:, self.columns_of[name]], height[:, part])
        for name in ("browDownLeft", "browDownRight"):
            x[:, self.columns_of[name]] = add_with_room(x[:, self.columns_of[name]], both)
        return x

    @step(ADDED, "expression")
    def rest_lower_face(self, expression: np.ndarray, resting: Mapping[str, np.ndarray]) -> np.ndarray:
        """Expression [T, n] whose lower face moves in long silence, as `planning.resting` says of each channel [T]."""
        x = expression.copy()
        for name, by in resting.items():
            if by.any():
                if name in _OPPOSITES:  # corners that a mood raises are not lowered
                    by = by * np.clip(1 - _AGAINST * expression[:, self.columns_of[_OPPOSITES[name]]], 0, 1)
                x[:, self.columns_of[name]] = add_with_room(x[:, self.columns_of[name]], by)
        return x

    @step(ADDED, "acted")
    def keep_fixed_part(self, acted: np.ndarray, spoken: np.ndarray, kept: Inpainting) -> np.ndarray:
        """A packed motion [T, C] with what is kept of another, to the bit. What is free has flowed into it: nothing is added to it there;
        spoken: the motion without what was added."""
        flowed = spoken + (acted - spoken) * kept.free
        return np.where(kept.mask, kept.values, flowed)


_MOST = 0.95  # largest value that an addition leads to
_AGAINST = 4.0  # by how much corners that a mood raises or lowers keep from drifting the other way, per unit
_OPPOSITES = {f"mouth{one}{side}": f"mouth{other}{side}" for side in ("Left", "Right")
              for one, other in (("Smile", "Frown"), ("Frown", "Smile"))}  # fmt: skip


def add_with_room(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A channel [T] with an addition [T], which is the smaller the higher the channel is, so that no movement is clipped; never below 0."""
    room = np.clip(1 - values / _MOST, 0, 1)
    return np.maximum(0, values + np.where(by > 0, _MOST * room * np.tanh(by / _MOST), by))


@step(UNTAUGHT, "aim")
def limit_opening_peaks(aim: Shape, speech: np.ndarray) -> Shape:
    """The mouth's target without peaks of a single frame, higher ones in a performance that opens more; speech: [T] 0 … 1."""
    spoken = speech.sum()
    size = float(np.clip((aim.gap * speech).sum() / spoken / USUAL_GAP_MM, *_PEAK_SIZES)) if spoken > 0 else 1.0
    return Shape(lower_peaks(aim.gap, _PEAK_MM * size), aim.rise, lower_peaks(aim.incisors, _PEAK_MM * size))


@step(UNTAUGHT, "aim")
def close_after_last_sound(aim: Shape, end: int) -> Shape:
    """The mouth's target, which from frame `end` on opens no further than before it, beyond what counts as closed."""
    gap, incisors, last = aim.gap.copy(), aim.incisors.copy(), max(end - 1, 0)
    for curve in (gap, incisors):
        curve[last:] = np.minimum(curve[last:], np.maximum(np.minimum.accumulate(curve[last:]), CLOSED_MM))
    return Shape(gap, aim.rise, incisors)


def _lips_of(style: np.ndarray) -> tuple[float, float]:
    """How much the lips move (`face.mechanics.lips_of`) and how far they come forward in a style [n, DIRECTION_NAMES], on average."""
    some = style[:, _MOUTH_AND_MOODS]  # frames that are equal in these are evaluated once; stressed words differ in articulation alone
    first, count = [0], None
    if not (some == some[0]).all():
        _, first, count = np.unique(some, axis=0, return_index=True, return_counts=True)
    styles = style[first].copy()
    styles[:, _ARTICULATION] = style[:, _ARTICULATION].mean()
    played = [Direction.of_vector(each).played for each in styles]
    return (
        lips_of(float(np.average([each.jaw for each in played], weights=count))),
        float(np.average([each.rounding * each.articulation for each in played], weights=count)),
    )


# ---- steps that correct what the model has not learned

_STRETCHES = ("mouthStretch",)  # channels that draw the corners apart
# Share by which slightly rounded lips come further in than the model, which stays short of its teacher there, has them; the further in, the
# less, so that a strong rounder's do not go beyond what lips do. On w, oo and oh of validation voices the mouth is then 7.1 mm narrower
# than at rest, the teacher's 6.6 (`research/sounds.py`).
_ROUNDER = 0.75
_LIKELY = 0.4  # probability above which the encoder hears a low vowel
# Opening of high vowels relative to the low ones nearby above which it is compressed, and the share that remains of what is above.
# Chosen on validation voices, where their mean is then people's.
_KNEE, _REMAINS = 0.6, 0.5
_MOST_BACK = 1.15  # most by which all openings grow in return
_NEARBY = 75.0  # standard deviation of the weight of low vowels by their distance, frames
_OF_SPEECH = 2.2  # opening of low vowels relative to that of all speech, in takes
_SPARSE = 0.01  # weight of a frame of speech beside that of a low vowel: what is known before there are some


@step(UNTAUGHT, "expression", {"heard": "a rounded sound"})
def boost_pucker(expression: np.ndarray, channels: Sequence[str], heard: np.ndarray) -> np.ndarray:
    """Expression [T, n] whose corners come further in on rounded sounds, `heard` [T] (`Rounding`), as the teacher has them."""
    x, pucker = expression.copy(), list(channels).index("mouthPucker")
    x[:, pucker] *= 1 + (_ROUNDER * heard).astype(x.dtype) * np.maximum(1 - x[:, pucker], 0)
    return x


@step(UNTAUGHT, "expression", {"least": "a rounded sound"})
def round_lips(expression: np.ndarray, channels: Sequence[str], least: np.ndarray) -> np.ndarray:
    """Expression [T, n] whose corners come in at least by `least` [T] (`Rounding`), and are not drawn apart where it asks for much."""
    x, pucker = expression.copy(), list(channels).index("mouthPucker")
    x[:, pucker] = np.maximum(x[:, pucker], least)
    x[:, in_group(channels, _STRETCHES)] *= (1 - np.clip(least / MOST_ROUNDED, 0.0, 1.0))[:, None]
    return x


def closing_of_high_vowels(gap: np.ndarray, speech: np.ndarray, vowels: Vowels) -> np.ndarray:
    """Factor [T] of an opening [T] mm of speech [T] by which high vowels open less than low ones nearby.

    In return everything opens a little further, so that the mouth moves as much as before within some seconds: otherwise takes would
    move less than people do, and loud ones differ less from quiet ones.
    """
    value, count = np.zeros(len(gap)), np.zeros(len(gap))
    for start, end in segments(vowels.low > _LIKELY):
        middle = (start + end) // 2
        value[middle] += gap[start:end].max()
        count[middle] += 1
    count += _SPARSE * speech
    value += _SPARSE * speech * _OF_SPEECH * gap
    usual = smooth(value, _NEARBY) / np.maximum(smooth(count, _NEARBY), 1e-9)
    share = gap / np.maximum(usual, 1e-3)
    less = 1 - (1 - _REMAINS) * vowels.high * np.maximum(share - _KNEE, 0.0) / np.maximum(share, _KNEE)
    moved, left = (smooth(np.abs(np.gradient(speech * x * gap)), _NEARBY) for x in (1.0, less))
    return less * np.clip(moved / np.maximum(left, 1e-9), 1.0, _MOST_BACK)


@step(UNTAUGHT, "aim", {"vowels.high": "ee, i, oo or u"})
def compress_high_vowels(aim: Shape, speech: np.ndarray, vowels: Vowels) -> Shape:
    """The mouth's target, by the factor of `closing_of_high_vowels`."""
    less = closing_of_high_vowels(aim.gap, speech, vowels)
    return Shape(less * aim.gap, aim.rise, less * aim.incisors)
