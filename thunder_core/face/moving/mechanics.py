# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings lips, teeth and tongue together where sounds demand it, and leaves every other mouth as it
is; numpy only.

On m, b and p lips meet, on f and v the lower one meets the teeth, on th the tongue is between them,
on sibilants the incisors are edge to edge; lips bare no more of the lower teeth than people's. How
far jaw and lips open a mouth besides is the motion's: people differ in it. `points` finds the
channel values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ...filters import ease, smooth
from ...rotation import rotvec_to_matrix
from ...types import columns_of
from ..points import ArticulatorPositions, Articulators

# why a step that changes a sampled motion is there
CONSTRAINT = "constraint"  # no face does otherwise
ADDED = "added"  # behaviour besides the model's

# most that incisors are apart behind lips that a mark keeps closed, beyond rest
_CLOSED_JAW_MM = 1.35
# mm: most of the lower teeth that lips bare; nine of ten frames in which tracked people's lips are
# apart bare less
_MOST_BARED = 4.0
SIBILANT_MM = 1.0  # incisors apart on s, sh, z …: all but edge to edge
SIBILANT_GAP_MM = 3.4  # least lip gap on them, so that both rows of teeth are visible
DENTAL_MM = 2.9  # incisors apart on th: room for the tongue's tip
DENTAL_GAP_MM = 4.8  # least lip gap on th, so that the tongue is visible
_APART_MM = (0.1, 0.35)  # lip gaps below which lips are shut, and above which they are apart
USUAL_GAP_MM = 5.0  # mean opening in speech of usual takes, for which these gaps are set
_SIZES = (0.6, 1.15)  # least and largest factor of them for a performance that opens less or more
# tongue tip on th: in front of the upper edges, and its middle below them
TIP_MM, TIP_BELOW_MM = 4.0, 1.9
# lip gap on f and v (least, most): the lower lip touches the upper teeth and the teeth are visible
BITE_GAP_MM = (2.8, 3.5)
BITE_LOW_MM = 1.7  # part of that gap that is the lower lip, which is at the upper edges then
BITE_JAW_MM = (2.0, 3.2)  # incisors apart on f and v (least, most): what a lip can bridge
_JAW_EASE = 0.8  # standard deviation of the smoothing with which teeth part or meet, frames
_MIN_SHARE = 0.02  # weight of a sound below which it is ignored

# Channels of a lower lip as far up and back as f and v take it, where nothing keeps it off the
# teeth: a lip rolled further loses its red. Lips that are round or wide stay so, as in “foolish”,
# unless it then does not reach them.
BITE = {
    "mouthRollLower": 0.6, "mouthShrugLower": 0.4, "mouthPress": 0.4,
    "cheekPuff": 0.0, "jawForward": 0.0,
}  # fmt: skip
POUT = ("mouthPucker", "mouthFunnel", "mouthStretch")
_BITTEN = 0.95  # weight of f and v above which the lower lip touches the teeth
_ROLLS = (0.15, 0.45)  # roll of the lower lip between which the tongue gives way to it
_BITE_STEP = 0.34  # most of its way that the lip goes in a frame
# most by which a channel that raises the tongue changes from frame to frame: tip and palate meet in
# two frames or more
_TONGUE_STEP = 0.35
_OUT = 0.02  # tongueOut above which a tongue that is raised would come through the upper teeth
# gaps of lips, mm, below which they meet on m, b and p, and above which they stay as they are
_MEET = (4.0, 8.0)
# jaw angles (radians) at which the tongue begins to fit and fully fits between the teeth
_TONGUE_FITS = (0.02, 0.06)


@dataclass(frozen=True)
class Sounds:
    """Sounds that matter for jaw, lips and tongue: weights [T], 0 … 1, eased over time.

    speech: whether somebody speaks.  sibilant: s, z, sh, zh, ch, jh.  labiodental: f, v.  dental:
    th, dh.  shut: required closure of the lips on m, b and p.  closed: lips that a mark keeps
    closed, whatever the motion does.
    """

    speech: np.ndarray
    sibilant: np.ndarray
    labiodental: np.ndarray
    dental: np.ndarray
    shut: np.ndarray
    closed: np.ndarray


F = TypeVar("F", bound=Callable)


def step(reason: str, changes: str) -> Callable[[F], F]:
    """Mark a method that takes curves over frames and returns them changed.

    reason: CONSTRAINT or ADDED.  changes: names of the arguments that it changes and returns, with
    blanks between them.
    """

    def mark(function: F) -> F:
        function.step = reason, changes.split()  # type: ignore[attr-defined]
        return function

    return mark


class Mechanics:
    """Brings lips, teeth and tongue of one head to where sounds have them."""

    def __init__(self, articulators: Articulators):
        self.articulators = articulators
        names = list(articulators.names)
        upper, lower = (columns_of(names, each) for each in ("mouthUpperUp", "mouthLowerDown"))
        self.lips = upper, lower, names.index("mouthClose")
        self.tongue = names.index("tongueOut")
        bite = [(column, most) for stem, most in BITE.items() for column in columns_of(names, stem)]
        self.bite, self.most = [column for column, _ in bite], np.array([most for _, most in bite])
        self.pout = [column for stem in POUT for column in columns_of(names, stem)]
        self.raised = [names.index(name) for name in ("tongueTipUp", "tongueBladeUp", "tongueBack")]

    def articulate(
        self, expression: np.ndarray, jaw: np.ndarray, sounds: Sounds
    ) -> tuple[np.ndarray, np.ndarray]:
        """A motion's expression [T, n] and jaw [T, 3] with lips, teeth and tongue where the sounds
        have them, by these steps. Frames on which nothing is demanded are unchanged."""
        x, turn = self.hold_tongue(np.array(expression, np.float64), jaw), np.array(jaw, np.float64)
        aim = self.articulators.shape(x, turn)
        aim = self.meet_lips(aim, sounds.shut, sounds.closed)
        aim = self.show_teeth_and_tongue(aim, sounds)
        turn = self.turn_jaw(turn, x, aim, sounds)
        rotation = rotvec_to_matrix(turn)
        x = self.tuck_lip(x, rotation, aim, sounds)
        x = self.set_lips(x, rotation, aim, sounds)
        return self.limit_tongue_rate(self.put_tongue_out(x, rotation, sounds)), turn

    @step(CONSTRAINT, "expression")
    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] is open enough."""
        x = expression.copy()
        x[:, self.tongue] *= ease(jaw[:, 0], *_TONGUE_FITS)
        return x

    @step(CONSTRAINT, "aim")
    def meet_lips(
        self, aim: ArticulatorPositions, shut: np.ndarray, closed: np.ndarray
    ) -> ArticulatorPositions:
        """The mouth's target, in which lips that all but meet where `shut` [T] is 1 do meet, and
        all do where `closed` [T] is, above a jaw that is hardly open."""
        nearly = 1 - ease(aim.gap, *_MEET)
        gap = aim.gap * (1 - np.maximum(shut * nearly, closed))
        return ArticulatorPositions(
            gap, aim.rise, aim.incisors - closed * np.maximum(aim.incisors - _CLOSED_JAW_MM, 0)
        )

    @step(CONSTRAINT, "aim")
    def show_teeth_and_tongue(
        self, aim: ArticulatorPositions, sounds: Sounds
    ) -> ArticulatorPositions:
        """The target opening, widened where teeth or tongue must be visible: to BITE_GAP_MM on f
        and v, to DENTAL_GAP_MM on th, to SIBILANT_GAP_MM on s, z, sh …; less on f, v and sibilants
        in a performance that opens less. Lips that are shut stay shut."""
        # mean opening of its speech relative to a usual one
        mean = (aim.gap * sounds.speech).sum() / max(sounds.speech.sum(), 1e-9)
        size = np.clip(mean / USUAL_GAP_MM, *_SIZES)
        apart = sounds.speech * ease(aim.gap, *_APART_MM)
        gap = aim.gap + sounds.sibilant * apart * np.maximum(size * SIBILANT_GAP_MM - aim.gap, 0.0)
        gap += sounds.dental * apart * np.maximum(DENTAL_GAP_MM - gap, 0.0)
        gap += sounds.labiodental * sounds.speech * (np.clip(gap, *BITE_GAP_MM) - gap)
        return ArticulatorPositions(gap, aim.rise, aim.incisors)

    @step(CONSTRAINT, "jaw")
    def turn_jaw(
        self, jaw: np.ndarray, expression: np.ndarray, aim: ArticulatorPositions, sounds: Sounds
    ) -> np.ndarray:
        """Jaw [T, 3] turned as far as teeth and tongue must be apart or together, and lips would
        bare more of the lower teeth than people's do; else it stays as it is."""
        wanted = aim.incisors + sounds.dental * np.maximum(
            DENTAL_MM + self.articulators.overlap - aim.incisors, 0.0
        )
        wanted += sounds.labiodental * (np.clip(wanted, *BITE_JAW_MM) - wanted)
        wanted -= sounds.sibilant * np.maximum(
            wanted - SIBILANT_MM - self.articulators.overlap, 0.0
        )
        wanted = aim.incisors + smooth(wanted - aim.incisors, _JAW_EASE)
        wanted = np.maximum(wanted, aim.gap - aim.rise - _MOST_BARED)
        wanted = aim.incisors + sounds.speech * (wanted - aim.incisors)
        return self.articulators.open_jaw(expression, jaw, wanted)

    @step(CONSTRAINT, "expression")
    def set_lips(
        self,
        expression: np.ndarray,
        rotation: np.ndarray,
        aim: ArticulatorPositions,
        sounds: Sounds,
    ) -> np.ndarray:
        """Expression [T, n] with the lips at their gap, at the jaw's rotation matrices [T, 3, 3]:
        the upper lip by its part, the lower lip or mouthClose by the rest."""
        x = expression.copy()
        rise = self._rise(aim, sounds)
        self.articulators.set_lips(x, rotation, rise, aim.gap, self.lips)
        return x

    @staticmethod
    def _rise(aim: ArticulatorPositions, sounds: Sounds) -> np.ndarray:
        """Rise of the upper lip [T], millimetres, off the teeth that the lower lip touches. It goes
        with that lip, to the gap of f and v and not to a wider one on the way."""
        share = widen_peaks(sounds.labiodental * sounds.speech, _BITE_STEP)
        bitten = np.clip(aim.gap, BITE_LOW_MM, BITE_GAP_MM[1]) - BITE_LOW_MM
        return aim.rise + share * (bitten - aim.rise)

    @step(CONSTRAINT, "expression")
    def tuck_lip(
        self,
        expression: np.ndarray,
        rotation: np.ndarray,
        aim: ArticulatorPositions,
        sounds: Sounds,
    ) -> np.ndarray:
        """Expression [T, n] whose lower lip goes up and back until it touches the upper teeth on f
        and v, by no more than BITE, and is out of the tongue's way on th."""
        x, roll = expression.copy(), self.bite[0]
        share = widen_peaks(sounds.labiodental * sounds.speech, _BITE_STEP)
        share *= 1 - sounds.dental * sounds.speech * (1 - sounds.labiodental)
        x[:, roll] = np.minimum(x[:, roll], BITE["mouthRollLower"])
        x[:, roll] *= 1 - np.maximum(share, sounds.dental * sounds.speech)
        rows = np.flatnonzero(share > _MIN_SHARE)
        if len(rows):
            rise = self._rise(aim, sounds)[rows]
            active = x[rows]
            self.articulators.tuck_lip(
                active, rotation[rows], rise, aim.gap[rows], self.lips, self.bite, self.most,
                self.pout,
            )  # fmt: skip
            upper, lower, close = self.lips
            # the pout stays around the contact, where the lip need not reach the teeth, and in its
            # last frame, where lips may be round for what follows: further than a lip reaches
            bitten = np.pad(sounds.labiodental > _BITTEN, 1)
            before, contact, behind = bitten[:-2], bitten[1:-1], bitten[2:]
            contact = share * (contact & (behind | ~before))
            for columns, part in (
                ([*self.bite, *upper, *lower, close], share), (self.pout, contact)
            ):  # fmt: skip
                moved = np.ix_(rows, np.array(columns))
                x[moved] += part[rows, None] * (active[:, columns] - x[moved])
        return x

    @step(CONSTRAINT, "expression")
    def put_tongue_out(
        self, expression: np.ndarray, rotation: np.ndarray, sounds: Sounds
    ) -> np.ndarray:
        """Expression [T, n] whose tongue's tip is between the teeth on th, as high as the upper
        edges allow; it does not come through a lip that is rolled in."""
        x = expression.copy()
        share = sounds.dental * sounds.speech
        rows = np.flatnonzero(share > _MIN_SHARE)
        if len(rows):
            active, moved = x[rows], [self.tongue, *self.raised]
            active[:, self.raised] = 0.0
            self.articulators.place_tongue(active, rotation[rows], moved[:2], TIP_MM, TIP_BELOW_MM)
            there = np.ix_(rows, np.array(moved))
            by = active[:, moved] - x[there]
            x[there] += share[rows, None] * by
        x[:, self.tongue] *= 1 - ease(x[:, self.bite[0]], *_ROLLS)
        return x

    @step(CONSTRAINT, "expression")
    def limit_tongue_rate(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue takes its time to the palate and back."""
        x = expression.copy()
        out = x[:, self.tongue] > _OUT
        x[:, self.raised] = limit_rate(x[:, self.raised], _TONGUE_STEP, out)
        return x


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
