# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps after sampling, in their order: from the motion that a diffusion model has sampled to
one that a face performs; numpy only.

`Pipeline.finish` is the list. What it does to a speaking mouth is listed in `Pipeline.articulate`,
and of that the jaw, lips and tongue in `face.mechanics.Mechanics.speak`. A step marked *constraint*
is there because no face does otherwise, *added* because it adds behaviour to the model's (`steps`).
`explain` says what each did to one frame, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..face.mechanics import Mechanics
from ..face.moods import MoodPoses
from ..face.points import Articulators, Shape
from ..filters import smoothstep
from ..steps import ADDED, CONSTRAINT, step, Trace, traced
from ..types import Columns, in_group, LARGEST_VALUE, LIP_CLOSE, MOODS, SPEECH
from .diffusion import Inpainting
from .planning.take_plan import TakePlan

if TYPE_CHECKING:
    from .systems.thunder import Performance, VoiceFeatures

_FURTHEST_LOOK = np.float32(np.radians(24.0))  # largest turn of an eye in its socket
_FELT_ON_ACCENTS = 0.12  # how much more a mood shows on an accent
# most by which the lower lip rolls in or out from frame to frame on its way to and from the teeth
_UNROLLED = 0.45
# most by which a channel that raises the tongue changes from frame to frame: tip and palate meet in
# two frames or more
_TONGUE_STEP = 0.35
_OUT = 0.02  # tongueOut above which a tongue that is raised would come through the upper teeth
_SPEAKS = 3.0  # factor of the presence of speech: above 1, lips are as the model has them
# gaps of lips, mm, below which they meet on m, b and p, and above which they stay as they are
_MEET = (1.0, 2.0)
# jaw angles (radians) at which the tongue begins to fit and fully fits between the teeth
_TONGUE_FITS = (0.02, 0.06)


class Pipeline:
    """All steps for one head."""

    def __init__(self, channels: Sequence[str], articulators: Articulators):
        """channels: names of the expression's columns."""
        self.channels, self.columns = tuple(channels), Columns(len(channels))
        self.mechanics, self.moods = Mechanics(articulators), MoodPoses(channels, articulators)
        # What shapes speech, and therefore rests without it; a smile or a frown is a mood and may
        # stay.
        self.speaking = in_group(channels, SPEECH, but=MOODS)
        self.columns_of = {name: i for i, name in enumerate(channels)}
        self.close, self.tongue_out, self.roll = (
            self.columns_of[name] for name in (LIP_CLOSE, "tongueOut", "mouthRollLower")
        )

    def recording(self, trace: Trace) -> Pipeline:
        """A copy that adds to a trace what each step changes, and what takes plan."""
        recorded = traced(self, trace)

        def finish(sampled, voice, take, plan=None, **more) -> np.ndarray:
            if plan is not None:
                trace.planned = plan.activities()
            return Pipeline.finish(recorded, sampled, voice, take, plan, **more)

        recorded.finish = finish
        return recorded

    def finish(
        self, sampled: np.ndarray, voice: VoiceFeatures, take: Performance,
        plan: TakePlan | None = None, kept: Inpainting | None = None, acts: bool = True,
    ) -> np.ndarray:  # fmt: skip
        """A sampled motion [T, C] (`types.pack`) as a face performs it, float32.

        plan: that it was sampled for.  acts: whether brows and a resting face are performed too;
        else only the mouth is of use.
        """
        columns, style, x = self.columns, take.style, sampled.astype(np.float32)
        expression, jaw = self.keep_in_bounds(x[:, columns.expression], x[:, columns.jaw])
        expression, jaw = self.rest_without_speech(expression, jaw, voice.presence)
        if plan is not None:
            jaw = self.breathe(jaw, plan.breath)
        expression, jaw = self.articulate(expression, jaw, voice, take.lips)
        jaw = jaw.astype(np.float32)
        if style is not None:
            felt = (
                None
                if plan is None
                else plan.felt + _FELT_ON_ACCENTS * (voice.accents - voice.accents.mean())
            )
            expression = self.moods.apply_moods(
                expression, jaw, style, voice.presence, felt, voice.quiet
            )
            expression = self.mechanics.make_room_for_rolled_lip(expression)
        turns = jaw, x[:, columns.head], self.keep_eyes_in_sockets(x[:, columns.eyes])
        spoken = np.concatenate([expression.astype(np.float32), *turns], 1)
        acted = spoken
        if acts and plan is not None:
            expression = self.carry_brows(expression, plan.brows, plan.knit)
            expression = self.rest_lower_face(expression, plan.resting.channels)
            acted = np.concatenate([expression, *turns], 1).astype(np.float32)
        return acted if kept is None else self.keep_fixed_part(acted, spoken, kept)

    def articulate(
        self, expression: np.ndarray, jaw: np.ndarray, voice: VoiceFeatures, lips: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The part of `finish` for a speaking mouth: expression [T, n] and jaw [T, 3] with lips,
        teeth and tongue where the sounds have them. lips: as `Mechanics.speak`'s."""
        sounds = voice.sounds
        x = self.hold_tongue(expression, jaw)
        aim = self.mechanics.articulators.shape(x.astype(np.float64), jaw.astype(np.float64))
        aim = self.meet_lips(aim, sounds.shut)
        aim = self.mechanics.show_teeth_and_tongue(aim, sounds)
        x, jaw = self.mechanics.speak(x, jaw, sounds, aim, lips)
        x = self.roll_lip_in_time(x)
        x = self.limit_tongue_rate(x)
        return x, jaw

    # ---- steps

    @step(CONSTRAINT, "expression jaw")
    def keep_in_bounds(
        self, expression: np.ndarray, jaw: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Channels are muscles: they pull or rest. A jaw does not close past its teeth."""
        turn = jaw.copy()
        turn[:, 0] = np.maximum(turn[:, 0], 0.0)
        return np.clip(expression, 0.0, LARGEST_VALUE), turn

    @step(CONSTRAINT, "eyes")
    def keep_eyes_in_sockets(self, eyes: np.ndarray) -> np.ndarray:
        """Rotation vectors of the eyes [T, 3] that turn no further than eyes do."""
        return np.clip(eyes, -_FURTHEST_LOOK, _FURTHEST_LOOK)

    @step(CONSTRAINT, "expression jaw", {"alive": "speech"})
    def rest_without_speech(
        self, expression: np.ndarray, jaw: np.ndarray, alive: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lips, jaw and tongue rest where nobody speaks, and come to rest as the model has them;
        alive: [T] 0 … 1."""
        spoken = np.minimum(_SPEAKS * alive, 1)[:, None]
        return expression * np.where(self.speaking, spoken, 1.0).astype(np.float32), jaw * spoken

    @step(CONSTRAINT, "expression")
    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] is open enough."""
        x = expression.copy()
        free = ((jaw[:, 0] - _TONGUE_FITS[0]) / (_TONGUE_FITS[1] - _TONGUE_FITS[0])).clip(0, 1)
        x[:, self.tongue_out] *= smoothstep(free)
        return x

    @step(CONSTRAINT, "aim", {"shut": "m, b or p"})
    def meet_lips(self, aim: Shape, shut: np.ndarray) -> Shape:
        """The mouth's target, in which lips that all but meet where `shut` [T] is 1 do meet."""
        nearly = 1 - smoothstep(((aim.gap - _MEET[0]) / (_MEET[1] - _MEET[0])).clip(0, 1))
        return Shape(aim.gap * (1 - shut * nearly), aim.rise, aim.incisors)

    @step(CONSTRAINT, "expression")
    def roll_lip_in_time(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lower lip takes its time to the teeth and back."""
        x = expression.copy()
        x[:, self.roll] = widen_peaks(x[:, self.roll], _UNROLLED)
        return x

    @step(CONSTRAINT, "expression")
    def limit_tongue_rate(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue takes its time to the palate and back."""
        x = expression.copy()
        out = x[:, self.tongue_out] > _OUT
        raised = self.mechanics.raised
        x[:, raised] = limit_rate(x[:, raised], _TONGUE_STEP, out)
        return x

    @step(ADDED, "jaw", {"breath": "a breath before a phrase"})
    def breathe(self, jaw: np.ndarray, breath: np.ndarray) -> np.ndarray:
        """Jaw [T, 3] that opens by `breath` [T], radians, before phrases, where lips rest."""
        result = jaw.copy()
        result[:, 0] = np.maximum(jaw[:, 0], breath)
        return result

    @step(ADDED, "expression")
    def carry_brows(
        self, expression: np.ndarray, height: np.ndarray, knit: np.ndarray
    ) -> np.ndarray:
        """Expression [T, n] whose brows are carried higher or lower, [T, 3] of the inner and both
        outer ones, and drawn down by `knit` [T].

        Brows that are at rest already are lowered by the muscles that draw them down."""
        x, both = expression.copy(), knit.copy()
        for part, name in enumerate(("browInnerUp", "browOuterUpLeft", "browOuterUpRight")):
            both += np.maximum(0, -x[:, self.columns_of[name]] - height[:, part]) / 3
            x[:, self.columns_of[name]] = add_with_room(
                x[:, self.columns_of[name]], height[:, part]
            )
        for name in ("browDownLeft", "browDownRight"):
            x[:, self.columns_of[name]] = add_with_room(x[:, self.columns_of[name]], both)
        return x

    @step(ADDED, "expression")
    def rest_lower_face(
        self, expression: np.ndarray, resting: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Expression [T, n] whose lower face moves in long silence, as `planning.resting` says of
        each channel [T]."""
        x = expression.copy()
        for name, addition in resting.items():
            if addition.any():
                if name in _OPPOSITES:  # corners that a mood raises are not lowered
                    addition = addition * np.clip(
                        1 - _AGAINST * expression[:, self.columns_of[_OPPOSITES[name]]], 0, 1
                    )
                x[:, self.columns_of[name]] = add_with_room(x[:, self.columns_of[name]], addition)
        return x

    @step(ADDED, "acted")
    def keep_fixed_part(
        self, acted: np.ndarray, spoken: np.ndarray, kept: Inpainting
    ) -> np.ndarray:
        """A packed motion [T, C] with the kept part of another, bit for bit. Beside it nothing is
        added to the free part, which blends into it; spoken: the motion without additions."""
        flowed = spoken + (acted - spoken) * kept.free
        return np.where(kept.mask, kept.values, flowed)


_MOST = 0.95  # largest value that an addition leads to
# by how much corners that a mood raises or lowers keep from drifting the other way, per unit
_AGAINST = 4.0
_OPPOSITES = {f"mouth{one}{side}": f"mouth{other}{side}" for side in ("Left", "Right")
              for one, other in (("Smile", "Frown"), ("Frown", "Smile"))}  # fmt: skip


def add_with_room(values: np.ndarray, addition: np.ndarray) -> np.ndarray:
    """A channel [T] with an addition [T], which shrinks as the channel gets higher, so that no
    movement is clipped; never below 0."""
    room = np.clip(1 - values / _MOST, 0, 1)
    return np.maximum(
        0, values + np.where(addition > 0, _MOST * room * np.tanh(addition / _MOST), addition)
    )


def widen_peaks(values: np.ndarray, most: float) -> np.ndarray:
    """Raises curves [T, …] around their peaks until they change by at most `most` a frame."""
    result = np.array(values)
    for _ in range(int(np.ceil(np.ptp(values) / most)) if len(values) else 0):
        result[1:] = np.maximum(result[1:], result[:-1] - most)
        result[:-1] = np.maximum(result[:-1], result[1:] - most)
    return result


def limit_rate(values: np.ndarray, most: float, kept_low: np.ndarray) -> np.ndarray:
    """Curves [T, c] that change by at most `most` from frame to frame: raised around their peaks,
    but not where `kept_low`, bool [T], whose values they leave and reach by coming down in time."""
    if not len(values):
        return values
    ceiling = -widen_peaks(-np.where(kept_low[:, None], values, values.max(0)), most)
    return np.minimum(widen_peaks(values, most), ceiling)
