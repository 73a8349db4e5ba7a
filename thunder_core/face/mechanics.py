# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures articulation in millimetres (a head's inner lips, the edges of its incisors and its
tongue's tip), and distributes a mouth opening over jaw and lips as people do; numpy only.

In 4D scans the jaw makes about .55 of an opening, more of a wide one; the upper lip about .2 and
never more than 3 mm. Jaws are slow: between two vowels they stay half open and the lips close over
them (Löfqvist and Gracco 1997). On sibilants the incisors meet edge to edge. Channel values are
solved from what each channel does to the head's points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..errors import BadHead
from ..filters import highest, smooth, smoothstep
from ..rotation import rotvec_to_matrix
from ..steps import CONSTRAINT, step
from ..types import LARGEST_VALUE
from . import regions
from .head import Head, JAW, load_head, SkinnedPoints

# ---- what is measured of a head

LIPS, TONGUE = 0, 3  # values of Head.mouth_parts
INCISORS_MM = 9.0  # distance from the midline that covers a row's four front teeth
_EDGE_MM = 0.35  # distance from a row's lowest (highest) point that belongs to the biting edge
_GRID_MM = 0.5  # cell size of the height map of the upper teeth's front
_FRONT_MM = 12.0  # height of that map above the upper row's edges
_NEAR_MM = 8.0  # distance from the midline within which the lower lip meets the incisors
# subdivisions per edge of the lip's quads, so that distances to its surface are measured
_SPLIT = 4


@dataclass(frozen=True)
class Shape:
    """Positions of the articulators, each [T] millimetres above rest; rest is the head with closed
    mouth.

    gap: height between the inner lips' middles.  rise: height of the upper lip.  incisors: height
    between the incisors' edges, more than at rest.  The rest of the gap is what the lower lip bares
    of the lower teeth.
    """

    gap: np.ndarray
    rise: np.ndarray
    incisors: np.ndarray


@dataclass(frozen=True)
class Articulators:
    """Points of a head at which articulation is measured.

    points: of the head; in their order the upper and the lower inner lip, the tongue's tip, the
    edges of the upper and of the lower incisors, and the surface of the lower lip's middle.  names:
    the head's channels.  upper_edge, lower_edge, lip: their indices among the points.  overlap:
    millimetres by which the incisors' edges pass each other at rest. front [X + 2, Y + 2]: depth
    map of the upper incisors (millimetres, −inf outside) over `corner` [2] in steps of 0.5, with a
    margin for points outside.
    """

    points: SkinnedPoints
    names: tuple[str, ...]
    upper_edge: slice
    lower_edge: slice
    lip: slice
    overlap: float
    front: np.ndarray
    corner: np.ndarray

    @classmethod
    def of(cls, head: Head) -> Articulators:
        """The articulators of a head in our layout. Raises BadHead if it has no teeth."""
        v = 1e3 * head.v_template.astype(np.float64)
        upper, lower = _incisors(head, v)
        edges = [
            upper[v[upper, 1] < v[upper, 1].min() + _EDGE_MM],
            lower[v[lower, 1] > v[lower, 1].max() - _EDGE_MM],
        ]
        tongue = head.mouth_vertices[head.mouth_parts == TONGUE]
        if not len(tongue):
            raise BadHead("This head has no tongue to speak with: use the bundled one")
        singles = np.array(
            [head.inner_lip_upper_mid, head.inner_lip_lower_mid, tongue[np.argmax(v[tongue, 2])]]
        )
        lip = _lower_lip(head, v)
        ids = np.concatenate([singles, *edges])
        points = SkinnedPoints.of(
            head,
            lambda values: np.concatenate(
                [values[ids], np.einsum("kq,kq...->k...", lip[1], values[lip[0]])]
            ),
        )
        ends = len(singles) + np.cumsum([0, len(edges[0]), len(edges[1])])
        overlap = v[edges[1], 1].mean() - v[edges[0], 1].mean()
        return cls(
            points,
            head.expression_names,
            slice(ends[0], ends[1]),
            slice(ends[1], ends[2]),
            slice(ends[2], None),
            float(overlap),
            *_front(head, v, upper),
        )

    def shape(self, expression: np.ndarray, jaw: np.ndarray) -> Shape:
        """The mouth's shape over a motion, expression columns in the head's order."""
        return self.shape_at(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))

    def shape_at(self, expression: np.ndarray, turn: np.ndarray) -> Shape:
        """The same for the jaw's rotation matrices [T, 3, 3]."""
        points, upper, lower = self._measured
        height = 1e3 * (points.heights(expression, turn) - points.rest[:, 1])
        return Shape(
            height[:, 0] - height[:, 1],
            height[:, 0],
            height[:, upper].mean(1) - height[:, lower].mean(1),
        )

    @cached_property
    def _measured(self) -> tuple[SkinnedPoints, slice, slice]:
        """The few points that `shape` needs, since it is called dozens of times per take: the lips'
        middles, and the edge of each row of teeth; and the indices of the edges among them."""
        rows = [
            np.eye(2, len(self.points.rest)),
            self._shares_of(self.upper_edge),
            self._shares_of(self.lower_edge),
        ]
        ends = np.cumsum([len(part) for part in rows])
        return (
            self.points.average(np.concatenate(rows)),
            slice(ends[0], ends[1]),
            slice(ends[1], ends[2]),
        )

    def _shares_of(self, edge: slice) -> np.ndarray:
        """Shares [k, K] of the points in an edge of teeth, which is one point if it moves rigidly
        with the jaw."""
        shares = np.eye(len(self.points.rest))[edge]
        return (
            shares.mean(0, keepdims=True) if np.ptp(self.points.jaw_weight[edge]) == 0 else shares
        )

    def gap_and_rise_slopes(self, channels: Sequence[int], turn: np.ndarray) -> np.ndarray:
        """Derivatives of `Shape`'s gap and rise by some channels, [2, T, C] mm, at the jaw's
        rotation matrices [T, 3, 3]; they are the same at every value of the channels, but for
        shapes of key pairs, which move nothing where the lips meet."""
        upper, lower = 1e3 * self._measured[0].height_slopes(channels, turn)[..., :2].T
        return np.stack([upper - lower, upper])

    @cached_property
    def _tongue_tip(self) -> SkinnedPoints:
        """The tongue's tip and the upper edge."""
        return self.points.average(
            np.concatenate([np.eye(3, len(self.points.rest))[2:], self._shares_of(self.upper_edge)])
        )

    def tongue_tip(self, expression: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Height and depth of the tongue's tip beyond the upper incisors' edges, [T, 2] mm, at the
        jaw's rotation matrices [T, 3, 3]."""
        placed = 1e3 * self._tongue_tip.place(np.asarray(expression, np.float64), turn)[..., 1:]
        return placed[:, 0] - placed[:, 1:].mean(1)

    @cached_property
    def _lip(self) -> SkinnedPoints:
        """The surface of the lower lip."""
        return self.points.part(self.lip)

    def moves_lip_straight(self, channel: int) -> bool:
        """Whether the lower lip's surface moves straight over the whole range of a channel: shapes
        of two keys end at 1."""
        return not (self._lip.pairs == channel).any()

    def lip_surface(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] of the lower lip's surface in millimetres."""
        return 1e3 * self._lip.place(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))

    def lip_distance(self, lip: np.ndarray) -> np.ndarray:
        """Distance of a lower lip's surface [T, K, 3] from the upper incisors, [T] millimetres;
        negative where it intersects them.

        Above their edges the lip is measured from their front, below from the edges.
        """
        column, row = (
            (np.floor((lip[..., axis] - self.corner[axis]) / _GRID_MM) + 1)
            .clip(0, self.front.shape[axis] - 1)
            .astype(int)
            for axis in (0, 1)
        )
        distance = lip[..., 2] - self.front.ravel().take(column * self.front.shape[1] + row)
        beside = np.isinf(distance)
        points, edges = lip[beside], 1e3 * self.points.rest[self.upper_edge]
        # One row for each edge: numpy finds the least of long columns many times faster than of
        # short rows.
        squared = edges @ (2 * points).T
        np.subtract(np.einsum("kc,kc->k", points, points), squared, out=squared)
        squared += (edges**2).sum(-1)[:, None]
        distance[beside] = np.sqrt(np.maximum(squared.min(0), 0.0))
        return distance.min(1)


def _incisors(head: Head, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the vertices of the upper and the lower front teeth."""
    if "Teeth" not in head.material_names:
        raise BadHead("This head has no teeth to speak with: use the bundled one")
    ids = np.unique(head.polygons[head.polygon_material == head.material_names.index("Teeth")])
    ids = ids[ids >= 0]
    front = ids[(np.abs(v[ids, 0]) < INCISORS_MM) & (v[ids, 2] > v[ids, 2].max() - 2 * INCISORS_MM)]
    moved = head.weights[front, JAW] > 0.5
    return front[~moved], front[moved]


def _lower_lip(head: Head, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Surface points of the lower lip's middle, red to inside: vertex ids [K, 4] of the quad each
    lies in, and shares [K, 4]."""
    rings = head.mouth_vertices[head.mouth_parts == LIPS].reshape(
        regions.LIP_RINGS, regions.LIP_AROUND
    )
    lower = rings[regions.CONTACT_RING - 1 :, regions.LOWER]
    lower = lower[:, np.abs(v[lower[1], 0]) < _NEAR_MM]
    quads = np.stack([lower[:-1, :-1], lower[1:, :-1], lower[1:, 1:], lower[:-1, 1:]], -1).reshape(
        -1, 4
    )
    s, t = (x.ravel() for x in np.meshgrid(*2 * [np.arange(_SPLIT) / _SPLIT]))
    shares = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t], 1)
    return np.repeat(quads, len(shares), 0), np.tile(shares, (len(quads), 1))


def _front(head: Head, v: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(front [X + 2, Y + 2], corner [2]) of the upper incisors: the foremost of their surface over
    a grid of x and y, millimetres."""
    low = v[upper].min(0)[:2]
    shape = (int(2 * INCISORS_MM / _GRID_MM) + 2, int(_FRONT_MM / _GRID_MM))
    front = np.full(shape, -np.inf)
    of_them = np.isin(head.f, upper).all(1)
    a, b = np.meshgrid(*2 * [np.linspace(0, 1, 25)])
    a, b = a[a + b <= 1 + 1e-9], b[a + b <= 1 + 1e-9]
    corners = v[head.f[of_them]]
    spread = np.einsum("kq,fqc->fkc", np.stack([1 - a - b, a, b], 1), corners).reshape(-1, 3)
    cell = np.floor((spread[:, :2] - low) / _GRID_MM).astype(int)
    inside = ((cell >= 0) & (cell < shape)).all(1)
    np.maximum.at(front, tuple(cell[inside].T), spread[inside, 2])
    return np.pad(front, 1, constant_values=-np.inf), low


@lru_cache(maxsize=1)
def bundled_articulators() -> Articulators:
    """The articulators of the bundled head."""
    return Articulators.of(load_head())


# ---- the jaw's and the lips' shares of an opening

# Shares of an opening (mm) made by raising the upper lip and by baring the lower teeth: MOST ·
# tanh(SHARE · opening / MOST).
RISE_SHARE, RISE_MOST = 0.20, 2.5
BARE_SHARE, BARE_MOST = 0.24, 2.6
# shares of an opening made by jaw and lips of an average speaker
_JAW_SHARE, _LIP_SHARE = 0.6, 0.44
_BARE_LIMIT = 2.85  # mm: most of the lower teeth that smoothing of the jaw may bare
SPEAKING_MM = 1.35  # incisors apart, beyond rest, as soon as somebody speaks
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
_TONGUE_MOST = 0.7
CONTACT_MM = 0.15  # lower lip to upper teeth on f and v
# lip gap on f and v (least, most): the lower lip touches the upper teeth and the teeth are visible
BITE_GAP_MM = (2.0, 3.6)
# parts of that gap: rise of the upper lip, and most opening of the jaw
BITE_RISE_MM, BITE_JAW_MM = 1.6, 1.35
# share of the neighbouring openings that the jaw keeps during a closure, and its maximum in mm
_HOLD, _HOLD_MOST = 0.5, 4.0
# reach to either side, and the smoothing's standard deviation; frames of 40 ms
_HOLD_FRAMES, _EASE_FRAMES = 4, 2.0
_JAW_EASE = 0.8  # standard deviation of the jaw's smoothing, frames
_STEP = 1e-3
_ROUNDS = 3
_HALVINGS, _TUCKS = 7, 2
_FRAMES_ROLLED = 4000  # frames whose lips are rolled to the teeth at once: one needs 60 kB
_TINY = 1e-6
_LEANING = 0.01  # channel value above which left and right are distinguished
_HARDLY = 0.02  # weight of a sound below which it is ignored

_ROLLS = (0.15, 0.45)  # roll of the lower lip between which tongue and corners give way to it
# most of the corners' channels over a rolled lip
_CORNERS_MOST = {"mouthSmile": 0.7, "mouthDimple": 0.1, "mouthStretch": 0.1}
# how much earlier and later corners give way, and the standard deviation of its smoothing; frames
_CORNER_FRAMES, _CORNER_EASE = 2, 1.5

_CLOSE, _ROLL, _TONGUE, _TIP_UP = "mouthClose", "mouthRollLower", "tongueOut", "tongueTipUp"


@dataclass(frozen=True)
class Sounds:
    """Sounds that matter for jaw, lips and tongue: weights [T], 0 … 1, eased over time.

    speech: whether somebody speaks.  sibilant: s, z, sh, zh, ch, jh.  labiodental: f, v.  dental:
    th, dh.
    """

    speech: np.ndarray
    sibilant: np.ndarray
    labiodental: np.ndarray
    dental: np.ndarray

    def at(self, rows) -> Sounds:
        """Some of the frames."""
        return Sounds(
            self.speech[rows], self.sibilant[rows], self.labiodental[rows], self.dental[rows]
        )


def rise_of(gap: np.ndarray, lips: float = 1.0) -> np.ndarray:
    """Rise of the upper lip at an opening, millimetres; lips: a person's use of the lips, 1 as most
    do."""
    return RISE_MOST * np.tanh(lips * RISE_SHARE / RISE_MOST * np.maximum(gap, 0.0))


def jaw_of(gap: np.ndarray, lips: float = 1.0) -> np.ndarray:
    """Part of the jaw in an opening, millimetres between the incisors."""
    gap = np.maximum(gap, 0.0)
    return gap - rise_of(gap, lips) - BARE_MOST * np.tanh(lips * BARE_SHARE / BARE_MOST * gap)


def lips_of(jaw: float) -> float:
    """Use of the lips (see `rise_of`) of a person whose jaw makes `jaw` times its usual part of an
    opening."""
    return float(np.clip((1 - _JAW_SHARE * jaw) / _LIP_SHARE, 0.4, 1.15))


def _size(gap: np.ndarray, speech: np.ndarray) -> float:
    """Mean opening of a performance's speech relative to a usual one: a mouth that hardly opens
    shows teeth and tongue less."""
    spoken = speech.sum()
    return (
        float(np.clip((gap * speech).sum() / spoken / USUAL_GAP_MM, *_SIZES)) if spoken > 0 else 1.0
    )


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

        self.upper, self.lower = sides("mouthUpperUp"), sides("mouthLowerDown")
        self.close, self.roll, self.tongue, self.tip_up = (
            names.index(name) for name in (_CLOSE, _ROLL, _TONGUE, _TIP_UP)
        )
        self.corners = [(sides(stem), most) for stem, most in _CORNERS_MOST.items()]
        self.raised = [names.index(name) for name in (_TIP_UP, "tongueBladeUp", "tongueBack")]

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
        x = self.tuck_lip(x, turn, aim, sounds, lips)
        x = self.unroll_lip_for_tongue(x, sounds)
        x = self.set_lips(x, turn, aim, sounds, lips)
        x = self.put_tongue_out(x, turn, sounds)
        return self.make_room_for_rolled_lip(x), turn

    @step(CONSTRAINT, "aim", _TEETH)
    def show_teeth_and_tongue(self, aim: Shape, sounds: Sounds) -> Shape:
        """The target opening, widened where teeth or tongue must be visible: to BITE_GAP_MM on f
        and v, to DENTAL_GAP_MM on th, to SIBILANT_GAP_MM on s, z, sh …; less on f, v and sibilants
        in a performance that opens less. Lips that are shut stay shut."""
        size = _size(aim.gap, sounds.speech)
        apart = sounds.speech * smoothstep(
            ((aim.gap - _APART_MM[0]) / (_APART_MM[1] - _APART_MM[0])).clip(0, 1)
        )
        gap = aim.gap + sounds.sibilant * apart * np.maximum(size * SIBILANT_GAP_MM - aim.gap, 0.0)
        gap += sounds.dental * apart * np.maximum(DENTAL_GAP_MM - gap, 0.0)
        gap += (
            sounds.labiodental
            * apart
            * (np.clip(gap, size * BITE_GAP_MM[0], size * BITE_GAP_MM[1]) - gap)
        )
        return Shape(gap, aim.rise, aim.incisors)

    @step(CONSTRAINT, "expression")
    def make_room_for_rolled_lip(self, expression: np.ndarray) -> np.ndarray:
        """Expression [T, n] without what a lower lip that is rolled in rules out: a tongue that is
        out, corners pulled far.

        The tongue would come through the lip, and the mouth's lining through the chin.
        """
        x = np.array(expression)
        rolled = smoothstep(
            np.clip((x[:, self.roll] - _ROLLS[0]) / (_ROLLS[1] - _ROLLS[0]), 0.0, 1.0)
        )
        x[:, self.tongue] *= 1 - rolled
        # A smile that gives way in one frame flickers.
        soft = np.maximum(rolled, smooth(highest(rolled, 2 * _CORNER_FRAMES + 1), _CORNER_EASE))
        for columns, most in self.corners:
            x[:, columns] = np.minimum(
                x[:, columns], (LARGEST_VALUE + soft * (most - LARGEST_VALUE))[:, None]
            )
        return x

    def _jaw(self, aim: Shape, sounds: Sounds, lips: float) -> np.ndarray:
        """Millimetres [T] between the incisors, more than at rest."""
        overlap = self.articulators.overlap
        wanted = jaw_of(aim.gap, lips)
        held = smooth(highest(wanted, 2 * _HOLD_FRAMES + 1), _EASE_FRAMES) * _HOLD
        wanted = np.maximum(wanted, np.maximum(np.minimum(held, _HOLD_MOST), SPEAKING_MM))
        wanted = np.maximum(wanted, aim.incisors)
        wanted += sounds.dental * np.maximum(DENTAL_MM + overlap - wanted, 0.0)
        wanted -= sounds.labiodental * np.maximum(wanted - BITE_JAW_MM, 0.0)
        wanted -= sounds.sibilant * np.maximum(wanted - SIBILANT_MM - overlap, 0.0)
        wanted = smooth(wanted, _JAW_EASE)
        wanted = np.maximum(
            wanted, aim.gap - np.minimum(aim.rise, rise_of(aim.gap, lips)) - _BARE_LIMIT
        )
        return aim.incisors + sounds.speech * (wanted - aim.incisors)

    @step(CONSTRAINT, "jaw", {"sounds.speech": "speech", **_TEETH})
    def turn_jaw(
        self, jaw: np.ndarray, expression: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Jaw [T, 3] turned until the incisors have the distance that people's have at the target
        opening."""
        turn, wanted = jaw.copy(), self._jaw(aim, sounds, lips)
        for _ in range(_ROUNDS):
            now = self.articulators.shape(expression, turn).incisors
            slope = (
                self.articulators.shape(expression, turn + [_STEP, 0, 0]).incisors - now
            ) / _STEP
            turn[:, 0] = np.maximum(turn[:, 0] + (wanted - now) / slope, 0.0)
        return turn

    @step(CONSTRAINT, "expression", {"sounds.dental": "th"})
    def unroll_lip_for_tongue(self, expression: np.ndarray, sounds: Sounds) -> np.ndarray:
        """Expression [T, n] whose lower lip does not keep the tongue in on th."""
        x = expression.copy()
        x[:, self.roll] *= 1 - sounds.dental * sounds.speech * (1 - sounds.labiodental)
        return x

    @step(CONSTRAINT, "expression", {"sounds.speech": "speech", **_TEETH})
    def set_lips(
        self, expression: np.ndarray, jaw: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Expression [T, n] with the lips at their gap: the upper lip by its part, the lower lip or
        mouthClose by the rest."""
        x = expression.copy()
        self._lips(x, jaw, aim, sounds, lips)
        return x

    def _lips(self, x, turn, aim: Shape, sounds: Sounds, lips: float) -> None:
        """The same in place."""
        # which are shown by the upper lip
        teeth = np.maximum(sounds.labiodental * BITE_RISE_MM, sounds.sibilant * SIBILANT_RISE_MM)
        teeth = np.minimum(teeth, np.maximum(aim.gap, 0.0))
        rise = np.maximum(np.minimum(aim.rise, rise_of(aim.gap, lips) + teeth), teeth)
        rise = aim.rise + sounds.speech * (rise - aim.rise)
        leans = [self._lean(x, columns) for columns in (self.upper, self.lower)]
        x[:, [*self.lower, self.close]] = 0.0
        rotation = rotvec_to_matrix(turn)
        self._amount(x, rotation, self.upper, leans[0], "rise", rise)
        self._amount(x, rotation, self.lower, leans[1], "gap", aim.gap)
        over = self.articulators.shape_at(x, rotation).gap - aim.gap > _TINY
        self._amount(
            x, rotation, [self.close], np.ones((len(x), 1)), "gap", np.where(over, aim.gap, np.inf)
        )

    def _lean(self, x, columns) -> np.ndarray:
        """Ratio of a channel's sides to their mean, [T, c]; 1 where the mean is too small to
        tell."""
        mean = x[:, columns].mean(1, keepdims=True)
        return np.where(mean > _LEANING, x[:, columns] / np.maximum(mean, _LEANING), 1.0)

    def _amount(self, x, rotation, columns, lean, measure: str, wanted) -> None:
        """Set channels in place, scaled by their lean [T, c], so that `measure` reaches `wanted`
        [T] mm within the range 0 … 1.2.

        rotation: the jaw's rotation matrices [T, 3, 3]."""
        amount = x[:, columns].mean(1)
        x[:, columns] = amount[:, None] * lean
        now = getattr(self.articulators.shape_at(x, rotation), measure)
        gap, rise = self.articulators.gap_and_rise_slopes(columns, rotation)
        slope = ((rise if measure == "rise" else gap) * lean).sum(1)
        step = np.where(np.isfinite(wanted), wanted, now) - now
        amount = np.clip(
            amount + step / np.where(np.abs(slope) > _TINY, slope, np.inf), 0.0, LARGEST_VALUE
        )
        x[:, columns] = np.clip(amount[:, None] * lean, 0.0, LARGEST_VALUE)

    @step(CONSTRAINT, "expression", {"sounds.labiodental": "f or v"})
    def tuck_lip(
        self, expression: np.ndarray, jaw: np.ndarray, aim: Shape, sounds: Sounds, lips: float
    ) -> np.ndarray:
        """Expression [T, n] whose lower lip rolls in until it touches the upper teeth on f and
        v."""
        x = expression.copy()
        rows = np.flatnonzero(sounds.labiodental * sounds.speech > _HARDLY)
        if not len(rows):
            return x
        active, angle, part = x[rows].copy(), jaw[rows], sounds.at(rows)
        goal = Shape(aim.gap[rows], aim.rise[rows], aim.incisors[rows])
        for _ in range(_TUCKS):  # a lip that rolls also rises
            self._lips(active, angle, goal, part, lips)
            active[:, self.roll] = low = self._roll_to_teeth(active, angle)
        x[rows, self.roll] += part.labiodental * part.speech * (low - x[rows, self.roll])
        return x

    def _roll_to_teeth(self, x, turn) -> np.ndarray:
        """Roll of the lower lip, [T], at which it touches the upper teeth; overwrites the roll of
        x."""
        parts = (slice(start, start + _FRAMES_ROLLED) for start in range(0, len(x), _FRAMES_ROLLED))
        return np.concatenate([self._roll_of_part(x[part], turn[part]) for part in parts])

    def _roll_of_part(self, x, turn) -> np.ndarray:
        """As `_roll_to_teeth`, all in memory."""
        straight = self.articulators.moves_lip_straight(self.roll)
        # between these the lip moves straight
        rolls = (0.0, LARGEST_VALUE) if straight else (0.0, 1.0, LARGEST_VALUE)
        surfaces = []
        for roll in rolls:
            x[:, self.roll] = roll
            surfaces.append(self.articulators.lip_surface(x, turn))
        low, high = np.zeros(len(x)), np.full(len(x), LARGEST_VALUE)
        for _ in range(_HALVINGS):
            roll = (low + high) / 2
            lip = surfaces[0]
            for start, end, before, after in zip(rolls, rolls[1:], surfaces, surfaces[1:]):
                lip = lip + ((roll - start) / (end - start)).clip(0.0, 1.0)[:, None, None] * (
                    after - before
                )
            apart = self.articulators.lip_distance(lip) > CONTACT_MM
            low, high = np.where(apart, roll, low), np.where(apart, high, roll)
        return low

    @step(CONSTRAINT, "expression", {"sounds.dental": "th"})
    def put_tongue_out(self, expression: np.ndarray, jaw: np.ndarray, sounds: Sounds) -> np.ndarray:
        """Expression [T, n] whose tongue's tip is between the teeth on th, as high as the upper
        edges allow."""
        x = expression.copy()
        share = sounds.dental * sounds.speech
        rows = np.flatnonzero(share > _HARDLY)
        if not len(rows):
            return x
        active, rotation = x[rows].copy(), rotvec_to_matrix(jaw[rows])

        def tip(column, value):
            active[:, column] = value
            return self.articulators.tongue_tip(active, rotation)

        active[:, self.raised] = 0.0
        for _ in range(2):
            near, far = tip(self.tongue, 0.2)[:, 1], tip(self.tongue, 0.5)[:, 1]
            active[:, self.tongue] = np.clip(
                0.2 + 0.3 * (TIP_MM - near) / (far - near), 0.0, _TONGUE_MOST
            )
            low, high = tip(self.tip_up, 0.0)[:, 0], tip(self.tip_up, 0.3)[:, 0]
            active[:, self.tip_up] = np.clip(0.3 * (-TIP_BELOW_MM - low) / (high - low), 0.0, 1.0)
        moved = [self.tongue, *self.raised]
        x[np.ix_(rows, moved)] += share[rows, None] * (active[:, moved] - x[np.ix_(rows, moved)])
        return x
