# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps after sampling, in their order: from the motion that a diffusion model has sampled to
one that a face performs; numpy only.

`Pipeline.finish` is the list. What it does to a speaking mouth is listed in
`mechanics.Mechanics.articulate`. A step marked *constraint* is there because no face does
otherwise, *added* because it adds behaviour to the model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..events import BLINK, HEAD
from ..face.moving.mechanics import ADDED, CONSTRAINT, Mechanics, step
from ..face.moving.moods import MoodPoses
from ..face.moving.mouth_shape import MouthShape
from ..face.points import Articulators
from ..filters import bend, gaussian, highest
from ..manner import Manner
from ..types import BLINKS, Columns, FPS, in_group, JAW_OPEN_RADIANS, MOOD_CHANNELS, SPEECH
from .diffusion import Inpainting
from .manner_step import change_face, change_mouth, weigh_kinds
from .performance import Performance
from .planning.take_plan import LID_WIDE, TakePlan
from .voice import VoiceFeatures

_FURTHEST_LOOK = np.float32(np.radians(24.0))  # largest turn of an eye in its socket
_MOOD_ON_ACCENTS = 0.12  # how much more a mood shows on an accent
_POSTURE = 2.0  # s over which a head that a mood holds otherwise is averaged
_BENDS = 0.9  # value from which a channel, or the jaw, is compressed below 1
_PRESENCE_GAIN = 3.0  # factor of the presence of speech: above 1, lips are as the model has them


class Pipeline:
    """All steps for one head."""

    def __init__(self, channels: Sequence[str], articulators: Articulators, mouth: MouthShape):
        """channels: names of the expression's columns.  mouth: of the head, for its manner."""
        self.channels, self.columns = tuple(channels), Columns(len(channels))
        self.mechanics, self.moods = Mechanics(articulators), MoodPoses(channels, articulators)
        self.mouth = mouth
        # What shapes speech, and therefore rests without it; a smile or a frown is a mood and may
        # stay.
        self.speaking = in_group(channels, SPEECH, but=MOOD_CHANNELS)
        self.lids = in_group(channels, BLINKS)
        self.columns_of = {name: i for i, name in enumerate(channels)}

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
            jaw = self.open_jaw_further(expression, jaw, plan.opening)
        if take.manner is not None:
            expression, jaw = self.follow_manner(expression, jaw, voice, take)
        expression, jaw = self.mechanics.articulate(expression, jaw, voice.sounds)
        jaw = jaw.astype(np.float32)
        if style is not None:
            mood_strength = (
                None
                if plan is None
                else plan.mood_strength + _MOOD_ON_ACCENTS * (voice.accents - voice.accents.mean())
            )
            expression = self.moods.apply_moods(
                expression, jaw, style, voice.presence, mood_strength, voice.quiet
            )
        turns: tuple[np.ndarray, ...] = (
            jaw,
            x[:, columns.head],
            self.keep_eyes_in_sockets(x[:, columns.eyes]),
        )
        spoken = np.concatenate([expression.astype(np.float32), *turns], 1)
        acted = spoken
        if acts and plan is not None:
            planned = np.radians(plan.events[:, HEAD])
            _, head, eyes = turns
            turns = (jaw, *self.follow_plan(head, eyes, planned))
            expression = self.move_lids(expression, plan.events[:, BLINK])
            expression = self.carry_brows(expression, plan.brows, plan.knit)
            expression = self.rest_lower_face(expression, plan.resting.channels)
            if take.manner is not None:
                expression, turns = self.change_habits(expression, turns, take)
            acted = np.concatenate([expression, *turns], 1).astype(np.float32)
        return acted if kept is None else self.keep_fixed_part(acted, spoken, kept)

    # ---- steps

    @step(CONSTRAINT, "expression jaw")
    def keep_in_bounds(
        self, expression: np.ndarray, jaw: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Channels are muscles: they pull or rest, and go on moving up to their key's full
        movement. A jaw does not close past its teeth; lids shut fully."""
        x, turn = np.maximum(expression, 0.0), jaw.copy()
        x[:, self.lids] = np.minimum(x[:, self.lids], 1.0)
        x[:, ~self.lids] = bend(x[:, ~self.lids], _BENDS, 1.0)
        turn[:, 0] = bend(np.maximum(turn[:, 0], 0.0), _BENDS * JAW_OPEN_RADIANS, JAW_OPEN_RADIANS)
        return x, turn

    @step(CONSTRAINT, "eyes")
    def keep_eyes_in_sockets(self, eyes: np.ndarray) -> np.ndarray:
        """Rotation vectors of the eyes [T, 3] that turn no further than eyes do."""
        return np.clip(eyes, -_FURTHEST_LOOK, _FURTHEST_LOOK)

    @step(CONSTRAINT, "expression jaw")
    def rest_without_speech(
        self, expression: np.ndarray, jaw: np.ndarray, alive: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Lips, jaw and tongue rest where nobody speaks, and come to rest as the model has them;
        alive: [T] 0 … 1."""
        spoken = np.minimum(_PRESENCE_GAIN * alive, 1)[:, None]
        return expression * np.where(self.speaking, spoken, 1.0).astype(np.float32), jaw * spoken

    @step(ADDED, "jaw")
    def breathe(self, jaw: np.ndarray, breath: np.ndarray) -> np.ndarray:
        """Jaw [T, 3] that opens by `breath` [T], radians, before phrases, where lips rest."""
        result = jaw.copy()
        result[:, 0] = np.maximum(jaw[:, 0], breath)
        return result

    @step(ADDED, "jaw")
    def open_jaw_further(
        self, expression: np.ndarray, jaw: np.ndarray, further: np.ndarray | None
    ) -> np.ndarray:
        """Jaw [T, 3] that opens the lips `further` [T] millimetres; below 0 at most half shut."""
        if further is None or not len(rows := np.flatnonzero(further)):
            return jaw
        result, x, turn = jaw.copy(), expression[rows].astype(np.float64), jaw[rows].astype(float)
        mouth = self.mechanics.articulators.shape(x, turn)
        wanted = mouth.incisors + np.maximum(further[rows], -mouth.gap / 2)
        result[rows] = self.mechanics.articulators.open_jaw(x, turn, wanted)
        return result

    @step(ADDED, "expression jaw")
    def follow_manner(
        self, expression: np.ndarray, jaw: np.ndarray, voice: VoiceFeatures, take: Performance
    ) -> tuple[np.ndarray, np.ndarray]:
        """A mouth and a smile in the character's manner, before lips, teeth and tongue meet."""
        return change_mouth(
            take.manner or Manner(), self.mouth, expression, jaw, weigh_kinds(voice),
            take.manner_strength,
        )  # fmt: skip

    @step(ADDED, "expression turns")
    def change_habits(
        self, expression: np.ndarray, turns: tuple[np.ndarray, ...], take: Performance
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """Brows, blinks, head and eyes in the character's manner; turns: of jaw, head and eyes."""
        jaw, head, eyes = turns
        expression, head, eyes = change_face(
            take.manner or Manner(), self.channels, expression, head, eyes, take.manner_strength,
            take.seed,
        )  # fmt: skip
        return expression, (jaw, head, eyes)

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
            x[:, self.columns_of[name]] = add_soft_clipped(
                x[:, self.columns_of[name]], height[:, part]
            )
        for name in ("browDownLeft", "browDownRight"):
            x[:, self.columns_of[name]] = add_soft_clipped(x[:, self.columns_of[name]], both)
        return x

    @step(ADDED, "expression")
    def rest_lower_face(
        self, expression: np.ndarray, resting: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Expression [T, n] whose lower face moves in long silence, as
        `planning.take_plan.Resting` says of each channel [T]."""
        x = expression.copy()
        for name, addition in resting.items():
            if addition.any():
                if name in _OPPOSITES:  # corners that a mood raises are not lowered
                    addition = addition * np.clip(
                        1 - _DRIFT_DAMPING * expression[:, self.columns_of[_OPPOSITES[name]]], 0, 1
                    )
                x[:, self.columns_of[name]] = add_soft_clipped(
                    x[:, self.columns_of[name]], addition
                )
        return x

    @step(ADDED, "head eyes")
    def follow_plan(
        self, head: np.ndarray, eyes: np.ndarray, planned: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Head and eyes, rotation vectors [T, 3], that move as planned [T, 3], on what they look
        at. Only where the head is on average is the model's: there a mood shows."""
        own = head - planned
        own -= gaussian(own, _POSTURE * FPS, "nearest")
        return head - own, np.clip(eyes + own, -_FURTHEST_LOOK, _FURTHEST_LOOK)

    @step(ADDED, "expression")
    def move_lids(self, expression: np.ndarray, planned: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lids are at least as far shut, or open where it is below 0, as
        planned [T]."""
        x = expression.copy()
        for side in ("Left", "Right"):
            shut, wide = (self.columns_of[f"eye{name}{side}"] for name in ("Blink", "Wide"))
            x[:, shut] = np.maximum(x[:, shut], planned)
            opened = LID_WIDE * np.maximum(-planned, 0) * (1 - x[:, shut])
            x[:, wide] = np.maximum(x[:, wide], np.minimum(opened, MAX_ADDED))
        return x

    @step(ADDED, "acted")
    def keep_fixed_part(
        self, acted: np.ndarray, spoken: np.ndarray, kept: Inpainting
    ) -> np.ndarray:
        """A packed motion [T, C] with the kept part of another, bit for bit. Beside it nothing is
        added to the free part, which blends into it; spoken: the motion without additions."""
        flowed = spoken + (acted - spoken) * kept.free
        return np.where(kept.mask, kept.values, flowed)

    def cross_fade(
        self, moods: np.ndarray, shares: np.ndarray, kept: Inpainting | None
    ) -> np.ndarray:
        """One take in several moods [k, T, C], which are played by their shares [k, T].

        Lids change from one mood to the next at once, while both are open where that is possible:
        no blink that only one of them has is half a blink.
        """
        result = np.einsum("kt,ktc->tc", shares, moods)
        lids = np.flatnonzero(self.lids)
        lid_shares = _switch(shares, moods[:, :, lids].max(2))
        result[:, lids] = np.einsum("kt,ktc->tc", lid_shares, moods[:, :, lids])
        result = result.astype(np.float32)
        return result if kept is None else np.where(kept.mask, kept.values, result)


def _switch(shares: np.ndarray, shut: np.ndarray) -> np.ndarray:
    """Shares [k, T] by which lids that are shut so far [k, T] are those of each mood: of the one
    with the largest share, from where both are most open near the change."""
    owner = shares.argmax(0)
    changes = np.flatnonzero(np.diff(owner)) + 1
    for before, at, after in zip((0, *changes), changes, (*changes[1:], len(owner))):
        both = owner[[at - 1, at]]
        frames = np.arange(max(before + 1, at - _NEAR), min(after, at + _NEAR + 1))
        frames = frames[(shares[both][:, frames] > 0).all(0)]
        if len(frames):
            around = highest(shut[both].max(0), 2 * _SWITCHES + 1)[frames]
            best = int(frames[np.lexsort((abs(frames - at), around.round(1)))[0]])
            owner[min(at, best) : max(at, best)] = both[int(best < at)]
    chosen = np.eye(len(shares))[owner]
    eased = gaussian(chosen, _SWITCHES / 2, "nearest").T * (shares > 0)
    total = eased.sum(0)
    return np.where(total > 0, eased / np.maximum(total, 1e-9), shares)


# frames around a change of moods in which lids may change, and to either side that it takes
_NEAR, _SWITCHES = 8, 2
MAX_ADDED = 0.95  # largest value that an addition leads to
# damps idle drift against a mood's smile or frown, per unit
_DRIFT_DAMPING = 4.0
_OPPOSITES = {f"mouth{one}{side}": f"mouth{other}{side}" for side in ("Left", "Right")
              for one, other in (("Smile", "Frown"), ("Frown", "Smile"))}  # fmt: skip


def add_soft_clipped(values: np.ndarray, addition: np.ndarray) -> np.ndarray:
    """A channel [T] with an addition [T], which shrinks as the channel gets higher, so that no
    movement is clipped; never below 0."""
    room = np.clip(1 - values / MAX_ADDED, 0, 1)
    return np.maximum(
        0,
        values + np.where(addition > 0, MAX_ADDED * room * np.tanh(addition / MAX_ADDED), addition),
    )
