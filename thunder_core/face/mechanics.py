# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributes a mouth opening over jaw and lips as people do, and shows teeth and tongue where they
do; numpy only.

In 4D scans the jaw makes about .55 of an opening, more of a wide one; the upper lip about .2 and
never more than 3 mm. Jaws are slow: between two vowels they stay half open and the lips close over
them (Löfqvist and Gracco 1997). On sibilants the incisors meet edge to edge. `points` finds the
channel values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..filters import highest, smooth, smoothstep
from ..rotation import rotvec_to_matrix
from ..steps import CONSTRAINT, step
from .points import Articulators, Shape

# ---- the jaw's and the lips' shares of an opening

# Shares of an opening (mm) made by raising the upper lip and by baring the lower teeth: MOST ·
# tanh(SHARE · opening / MOST).
RISE_SHARE, RISE_MOST = 0.20, 2.5
BARE_SHARE, BARE_MOST = 0.24, 2.6
# shares of an opening made by jaw and lips of an average speaker
_JAW_SHARE, _LIP_SHARE = 0.6, RISE_SHARE + BARE_SHARE
# The jaw is slower than the lips, and goes from vowel to vowel: standard deviation of its
# smoothing, and the share of the openings beside one of fewer frames that it keeps meanwhile. Of
# tracked people jaw and lower lip correlate with .2 in velocity, lips half a frame later, and on m,
# b and p the jaw is nearly as open as ever.
_JAW_SLOW, _JAW_HOLDS, _HELD = 1.4, 0.8, 9
SPEAKING_MM = 1.35  # incisors apart, beyond rest, as soon as somebody speaks
_BARE_LIMIT = 2.85  # mm: most of the lower teeth that a jaw slower than the lips may bare
SIBILANT_MM = 0.5  # incisors apart on s, sh, z …: edge to edge
SIBILANT_GAP_MM = 3.4  # least lip gap on them, so that both rows of teeth are visible
SIBILANT_RISE_MM = 1.3  # part of that gap: rise of the upper lip
DENTAL_MM = 2.9  # incisors apart on th: room for the tongue's tip
DENTAL_GAP_MM = 4.8  # least lip gap on th, so that the tongue is visible
_APART_MM = (0.1, 0.35)  # lip gaps below which lips are shut, and above which they are apart
USUAL_GAP_MM = 5.0  # mean opening in speech of usual takes, for which these gaps are set
_SIZES = (0.6, 1.15)  # least and largest factor of them for a performance that opens less or more
# tongue tip on th: in front of the upper edges, and its middle below them
TIP_MM, TIP_BELOW_MM = 4.0, 1.9
# lip gap on f and v (least, most): the lower lip touches the upper teeth and the teeth are visible
BITE_GAP_MM = (2.8, 3.5)
# parts of that gap: the lower lip, which is at the upper edges then, and the jaw
BITE_LOW_MM, BITE_JAW_MM = 1.7, 2.0
_JAW_EASE = 0.8  # standard deviation of the smoothing with which teeth part or meet, frames
_MIN_SHARE = 0.02  # weight of a sound below which it is ignored

# Channels of a lower lip as far up and back as f and v take it: a lip rolled further loses its red.
BITE = {"mouthRollLower": 0.6, "mouthShrugLower": 0.4, "mouthPress": 0.4}
_ROLLS = (0.15, 0.45)  # roll of the lower lip between which the tongue gives way to it
_BITE_STEP = 0.34  # most of its way that the lip goes in a frame
# what keeps the lip from the teeth, and gives way to f and v
_OFF_TEETH = ("mouthPucker", "mouthFunnel", "cheekPuff", "jawForward")
# most by which a channel that raises the tongue changes from frame to frame: tip and palate meet in
# two frames or more
_TONGUE_STEP = 0.35
_OUT = 0.02  # tongueOut above which a tongue that is raised would come through the upper teeth
# gaps of lips, mm, below which they meet on m, b and p, and above which they stay as they are
_MEET = (1.0, 2.0)
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


def rise_of(gap: np.ndarray, lips: float = 1.0) -> np.ndarray:
    """Rise of the upper lip at an opening, millimetres; lips: a person's use of the lips, 1 as most
    do."""
    return RISE_MOST * np.tanh(lips * RISE_SHARE / RISE_MOST * np.maximum(gap, 0.0))


def jaw_of(gap: np.ndarray, lips: float = 1.0) -> np.ndarray:
    """Part of the jaw in an opening, millimetres between the incisors."""
    gap = np.maximum(gap, 0.0)
    return gap - rise_of(gap, lips) - BARE_MOST * np.tanh(lips * BARE_SHARE / BARE_MOST * gap)


def lead_jaw(wanted: np.ndarray) -> np.ndarray:
    """Millimetres [T] between the incisors of a jaw that is asked for `wanted` [T]: it is slow, a
    frame ahead of the lips, and stays half open behind lips that close."""
    between = -highest(-highest(wanted, _HELD), _HELD)
    slow, held = (smooth(each, _JAW_SLOW) for each in (wanted, _JAW_HOLDS * between))
    jaw = np.maximum(slow, held)
    return np.maximum(np.append(jaw[1:], jaw[-1:]), SPEAKING_MM)


def lips_of(jaw: float) -> float:
    """Use of the lips (see `rise_of`) of a person whose jaw makes `jaw` times its usual part of an
    opening."""
    return float(np.clip((1 - _JAW_SHARE * jaw) / _LIP_SHARE, 0.4, 1.15))


_TEETH = {"sounds.sibilant": "s, z or sh", "sounds.labiodental": "f or v", "sounds.dental": "th"}


class Mechanics:
    """Gives the jaw of one head its natural share of a motion's openings."""

    def __init__(self, articulators: Articulators):
        self.articulators = articulators
        names = list(articulators.names)

        def sides(stem):
            return [
                names.index(name) for name in (stem, stem + "Left", stem + "Right") if name in names
            ]

        self.lips = sides("mouthUpperUp"), sides("mouthLowerDown"), names.index("mouthClose")
        self.tongue = names.index("tongueOut")
        bite = [(column, most) for stem, most in BITE.items() for column in sides(stem)]
        self.bite, self.most = [column for column, _ in bite], np.array([most for _, most in bite])
        self.off_teeth = [column for stem in _OFF_TEETH for column in sides(stem)]
        self.raised = [names.index(name) for name in ("tongueTipUp", "tongueBladeUp", "tongueBack")]

    def articulate(
        self, expression: np.ndarray, jaw: np.ndarray, sounds: Sounds, lips: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """A sampled motion's expression [T, n] and jaw [T, 3] with lips, teeth and tongue where the
        sounds have them. lips: as `speak`'s."""
        x = self.hold_tongue(expression, jaw)
        aim = self.articulators.shape(x.astype(np.float64), jaw.astype(np.float64))
        aim = self.meet_lips(aim, sounds.shut, sounds.closed)
        aim = self.show_teeth_and_tongue(aim, sounds)
        x, jaw = self.speak(x, jaw, sounds, aim, lips)
        return self.limit_tongue_rate(x), jaw

    def speak(
        self,
        expression: np.ndarray,
        jaw: np.ndarray,
        sounds: Sounds,
        aim: Shape | None = None,
        lips: float = 1.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The steps for jaw, lips and tongue, in their order: returns expression [T, n] and jaw
        [T, 3] with the same lip gap and a natural jaw opening.

        Closed lips stay closed except on f, v, th and sibilants, where teeth or tongue must be
        visible. Frames without speech are unchanged.
        aim: opening, upper limit of the upper lip's part and lower limit of the jaw's, in mm;
        default: as in the motion, with teeth and tongue shown.
        lips: how much the person uses the lips, see `rise_of`.
        """
        x, turn = np.array(expression, np.float64), np.array(jaw, np.float64)
        aim = (
            self.show_teeth_and_tongue(self.articulators.shape(x, turn), sounds)
            if aim is None
            else aim
        )
        turn = self.turn_jaw(turn, x, aim, sounds, lips)
        rotation = rotvec_to_matrix(turn)
        x = self.tuck_lip(x, rotation, aim, sounds, lips)
        x = self.set_lips(x, rotation, aim, sounds, lips)
        return self.put_tongue_out(x, rotation, sounds), turn

    @step(CONSTRAINT, "expression")
    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] is open enough."""
        x = expression.copy()
        free = ((jaw[:, 0] - _TONGUE_FITS[0]) / (_TONGUE_FITS[1] - _TONGUE_FITS[0])).clip(0, 1)
        x[:, self.tongue] *= smoothstep(free)
        return x

    @step(CONSTRAINT, "aim", {"shut": "m, b or p", "closed": "a mark"})
    def meet_lips(self, aim: Shape, shut: np.ndarray, closed: np.ndarray) -> Shape:
        """The mouth's target, in which lips that all but meet where `shut` [T] is 1 do meet, and
        all do where `closed` [T] is, above a jaw that is hardly open."""
        nearly = 1 - smoothstep(((aim.gap - _MEET[0]) / (_MEET[1] - _MEET[0])).clip(0, 1))
        gap = aim.gap * (1 - np.maximum(shut * nearly, closed))
        return Shape(
            gap, aim.rise, aim.incisors - closed * np.maximum(aim.incisors - SPEAKING_MM, 0)
        )

    @step(CONSTRAINT, "aim", _TEETH)
    def show_teeth_and_tongue(self, aim: Shape, sounds: Sounds) -> Shape:
        """The target opening, widened where teeth or tongue must be visible: to BITE_GAP_MM on f
        and v, to DENTAL_GAP_MM on th, to SIBILANT_GAP_MM on s, z, sh …; less on f, v and sibilants
        in a performance that opens less. Lips that are shut stay shut."""
        # mean opening of its speech relative to a usual one
        mean = (aim.gap * sounds.speech).sum() / max(sounds.speech.sum(), 1e-9)
        size = np.clip(mean / USUAL_GAP_MM, *_SIZES)
        apart = sounds.speech * smoothstep(
            ((aim.gap - _APART_MM[0]) / (_APART_MM[1] - _APART_MM[0])).clip(0, 1)
        )
        gap = aim.gap + sounds.sibilant * apart * np.maximum(size * SIBILANT_GAP_MM - aim.gap, 0.0)
        gap += sounds.dental * apart * np.maximum(DENTAL_GAP_MM - gap, 0.0)
        gap += sounds.labiodental * sounds.speech * (np.clip(gap, *BITE_GAP_MM) - gap)
        return Shape(gap, aim.rise, aim.incisors)

    @step(CONSTRAINT, "jaw", {"sounds.speech": "speech", **_TEETH})
    def turn_jaw(
        self, jaw: np.ndarray, expression: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Jaw [T, 3] turned as far as teeth and tongue must be apart or together, and no row of
        teeth is bared further than lips do at the target opening; else it stays as it is."""
        wanted = aim.incisors + sounds.dental * np.maximum(
            DENTAL_MM + self.articulators.overlap - aim.incisors, 0.0
        )
        wanted += sounds.labiodental * (BITE_JAW_MM - wanted)
        wanted -= sounds.sibilant * np.maximum(
            wanted - SIBILANT_MM - self.articulators.overlap, 0.0
        )
        wanted = aim.incisors + smooth(wanted - aim.incisors, _JAW_EASE)
        wanted = np.maximum(
            wanted, aim.gap - np.minimum(aim.rise, rise_of(aim.gap, lips)) - _BARE_LIMIT
        )
        wanted = aim.incisors + sounds.speech * (wanted - aim.incisors)
        return self.articulators.open_jaw(expression, jaw, wanted)

    @step(CONSTRAINT, "expression", {"sounds.speech": "speech", **_TEETH})
    def set_lips(
        self, expression: np.ndarray, rotation: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Expression [T, n] with the lips at their gap, at the jaw's rotation matrices [T, 3, 3]:
        the upper lip by its part, the lower lip or mouthClose by the rest."""
        x = expression.copy()
        rise = self._rise(aim, sounds, lips)
        self.articulators.set_lips(x, rotation, rise, aim.gap, self.lips)
        return x

    @staticmethod
    def _rise(aim: Shape, sounds: Sounds, lips: float) -> np.ndarray:
        """Rise of the upper lip [T], millimetres, which shows the teeth where they are seen."""
        teeth = np.minimum(sounds.sibilant * SIBILANT_RISE_MM, np.maximum(aim.gap, 0.0))
        rise = np.maximum(np.minimum(aim.rise, rise_of(aim.gap, lips) + teeth), teeth)
        rise += sounds.labiodental * (np.maximum(aim.gap - BITE_LOW_MM, 0.0) - rise)
        return aim.rise + sounds.speech * (rise - aim.rise)

    @step(CONSTRAINT, "expression", {"sounds.labiodental": "f or v", "sounds.dental": "th"})
    def tuck_lip(
        self, expression: np.ndarray, rotation: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Expression [T, n] whose lower lip goes up and back until it touches the upper teeth on f
        and v, by no more than BITE, nothing keeps it off them, and it is out of the tongue's way on
        th."""
        x, roll = expression.copy(), self.bite[0]
        share = widen_peaks(sounds.labiodental * sounds.speech, _BITE_STEP)
        share *= 1 - sounds.dental * sounds.speech * (1 - sounds.labiodental)
        x[:, roll] = np.minimum(x[:, roll], BITE["mouthRollLower"])
        x[:, roll] *= 1 - np.maximum(share, sounds.dental * sounds.speech)
        x[:, self.off_teeth] *= 1 - share[:, None]
        rows = np.flatnonzero(share > _MIN_SHARE)
        if len(rows):
            rise = self._rise(aim, sounds, lips)[rows]
            active = x[rows]
            self.articulators.tuck_lip(
                active, rotation[rows], rise, aim.gap[rows], self.lips, self.bite, self.most
            )
            moved = np.ix_(rows, self.bite)
            x[moved] += share[rows, None] * (active[:, self.bite] - x[moved])
        return x

    @step(CONSTRAINT, "expression", {"sounds.dental": "th"})
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
            by = active[:, moved] - x[np.ix_(rows, moved)]
            x[np.ix_(rows, moved)] += share[rows, None] * by
        over = (x[:, self.bite[0]] - _ROLLS[0]) / (_ROLLS[1] - _ROLLS[0])
        x[:, self.tongue] *= 1 - smoothstep(over.clip(0, 1))
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
