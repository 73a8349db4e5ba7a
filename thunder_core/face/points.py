# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a head that expression and jaw move, neck still, by FLAME's skinning; those at which
articulation is measured, in millimetres (inner lips, edges of the incisors, the tongue's tip); and
the channel values that bring them where they are wanted; numpy only.

Positions have the shapes that the bundled head adds where two keys meet (`Head.correctives`);
slopes leave them out. They move nothing where the lips meet. Tested against smplx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache

import numpy as np

from ..errors import BadHead
from ..filters import slices
from ..rotation import rotvec_to_matrix
from ..types import JAW_OPEN_RADIANS, Motion
from . import regions
from .head import Head, JAW, JOINT_NAMES, LIPS, load_head, TONGUE

Values = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SkinnedPoints:
    """Points of a head that expression and jaw move; metres.

    rest [K, 3] · directions [n, K, 3], offsets of each channel · jaw_weight [K], skinning weight of
    the jaw · joint [3] of the jaw, and joint_directions [n, 3], its movement by expression ·
    correctives [9, K, 3], per element of the jaw's rotation · pairs [c, 2] and pair_shapes [c, K,
    3]: shapes of key pairs, each a channel's index or −1 for the jaw.
    """

    rest: np.ndarray
    directions: np.ndarray
    jaw_weight: np.ndarray
    joint: np.ndarray
    joint_directions: np.ndarray
    correctives: np.ndarray
    pairs: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), int))
    pair_shapes: np.ndarray | None = None

    @classmethod
    def of(
        cls, head: Head, places: np.ndarray | list[int] | slice | Values, joints_move: bool = True
    ) -> SkinnedPoints:
        """Points of a head; places: which of its vertices, an index, or what makes of values [V, …]
        of its vertices the points', [K, …].

        joints_move: expression moves the jaw's joint, as FLAME's formula has it; a rig's bones
        stay. Of `head` only v_template, shapedirs, posedirs, weights, J_regressor,
        expression_names, corrective_pairs and correctives are read.
        """
        take = places if callable(places) else lambda values: values[places]
        regressor = head.J_regressor.astype(np.float64)
        moved = np.einsum("v,vcn->nc", regressor[JAW], head.shapedirs, optimize=True)
        return cls(
            take(head.v_template.astype(np.float64)),
            np.ascontiguousarray(np.moveaxis(take(head.shapedirs), 2, 0), np.float64),
            take(head.weights[:, JAW].astype(np.float64)),
            (regressor @ head.v_template.astype(np.float64))[JAW],
            moved * joints_move,
            np.ascontiguousarray(
                np.moveaxis(take(head.posedirs[:, :, 9 * (JAW - 1) : 9 * JAW]), 2, 0), np.float64
            ),
            *_pairs(head, take),
        )

    def part(self, ids: slice | list[int]) -> SkinnedPoints:
        """Some of the points, with those shapes of two keys that move them."""
        pairs, shapes = self.pairs, None if self.pair_shapes is None else self.pair_shapes[:, ids]
        if shapes is not None:
            moving = shapes.any(axis=(1, 2))
            pairs, shapes = (
                pairs[moving],
                np.ascontiguousarray(shapes[moving]) if moving.any() else None,
            )
        return replace(
            self,
            rest=self.rest[ids],
            directions=np.ascontiguousarray(self.directions[:, ids]),
            jaw_weight=self.jaw_weight[ids],
            correctives=np.ascontiguousarray(self.correctives[:, ids]),
            pairs=pairs,
            pair_shapes=shapes,
        )

    def in_single(self) -> SkinnedPoints:
        """These points in float32, which are placed in less than half the time, to 1e-8 m."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(
            self,
            **{
                name: array.astype(np.float32)
                for name, array in arrays.items()
                if array is not None and array.dtype == np.float64
            },
        )

    def average(self, shares: np.ndarray) -> SkinnedPoints:
        """Weighted means of these points. shares [M, K]: weight of each point in each mean; rows
        add up to 1.

        Raises ValueError for a mean of points that follow the jaw differently.
        """
        follow = [set(self.jaw_weight[row != 0].tolist()) for row in shares]
        if any(len(weights) != 1 for weights in follow):
            raise ValueError("Points that follow the jaw differently have no mean that follows it")
        return replace(
            self,
            rest=shares @ self.rest,
            directions=np.ascontiguousarray(shares @ self.directions),
            jaw_weight=np.array([weights.pop() for weights in follow]),
            correctives=np.ascontiguousarray(shares @ self.correctives),
            pair_shapes=None
            if self.pair_shapes is None
            else np.ascontiguousarray(shares @ self.pair_shapes),
        ).part(slice(None))

    @cached_property
    def lever(self) -> np.ndarray:
        """Directions relative to the joint, [n, K, 3]: the part that the jaw rotates."""
        return self.directions - self.joint_directions[:, None]

    @cached_property
    def _shapes(self) -> np.ndarray:
        """All that moves the points but the jaw's turn, [n + 9 + c, 3·K]."""
        parts = [self.directions, self.correctives]
        if self.pair_shapes is not None:
            parts.append(self.pair_shapes)
        return np.concatenate([part.reshape(len(part), -1) for part in parts])

    def _shape(self, coefficients: np.ndarray, rotation_change: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] before the jaw turns; rotation_change [T, 3, 3]: its rotation matrix
        less the identity."""
        amounts = [coefficients, rotation_change.reshape(len(coefficients), 9)]
        if self.pair_shapes is not None:
            # the last is the jaw's, at place −1
            factors = np.c_[np.clip(coefficients, 0.0, 1.0), rotation_change[:, 2, 1]]
            amounts.append(factors[:, self.pairs[:, 0]] * factors[:, self.pairs[:, 1]])
        moved = np.concatenate(amounts, 1) @ self._shapes
        return self.rest + moved.reshape(-1, *self.rest.shape)

    def place(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] at coefficients [T, n] and jaw rotation matrices [T, 3, 3], neck
        still; all of the points' type."""
        more = turn - np.eye(3, dtype=turn.dtype)
        shaped = self._shape(coefficients, more)
        arm = shaped - self.joint - (coefficients @ self.joint_directions)[:, None]
        return shaped + self.jaw_weight[:, None] * (arm @ more.transpose(0, 2, 1))

    def heights(self, coefficients: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The positions' heights (y) alone, [T, K], in less time; arguments as for `place`."""
        more = turn - np.eye(3)
        shaped = self._shape(coefficients, more)
        hinge = self.joint + coefficients @ self.joint_directions
        lift = np.einsum("tkc,tc->tk", shaped, more[:, 1]) - (hinge * more[:, 1]).sum(1)[:, None]
        return shaped[..., 1] + self.jaw_weight * lift

    def of_motion(self, motion: Motion) -> np.ndarray:
        """Positions [T, K, 3] over a motion whose expression columns are the head's channels, in
        their order."""
        return self.place(np.asarray(motion.expression, np.float64), rotvec_to_matrix(motion.jaw))

    def slope(self, turn: np.ndarray) -> np.ndarray:
        """Derivative of the points by the coefficients at one jaw rotation [3, 3], without the
        shapes of key pairs: [n, K, 3]."""
        return self.directions + self.jaw_weight[:, None] * (self.lever @ (turn - np.eye(3)).T)

    def height_slopes(self, channels: Sequence[int], turn: np.ndarray) -> np.ndarray:
        """Derivative of the points' heights by some channels at each frame's rotation [T, 3, 3]:
        [C, T, K]."""
        more = turn[:, 1] - np.eye(3)[1]  # the row that makes heights
        by_jaw = np.stack([more @ self.lever[channel].T for channel in channels])
        return self.directions[channels, None, :, 1] + self.jaw_weight * by_jaw

    def apply_transpose(self, force: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """The slope's transpose at each frame's turn [T, 3, 3] applied to forces [T, K, 3]: [T,
        n]."""
        n = len(self.directions)
        by_jaw = self.jaw_weight[:, None] * (force @ (turn - np.eye(3)))
        both = (force + by_jaw).reshape(len(force), -1) @ self.directions.reshape(n, -1).T
        return both - by_jaw.sum(1) @ self.joint_directions.T


def _pairs(head: Head, take: Values) -> tuple[np.ndarray, np.ndarray | None]:
    """(pairs [c, 2], shapes [c, K, 3]) of those shapes of two keys that move the points with neck
    and eyes still; None without one."""
    places = {str(name): place for place, name in enumerate(head.expression_names)} | {
        JOINT_NAMES[JAW]: -1
    }
    used = [
        number
        for number, pair in enumerate(head.corrective_pairs)
        if all(str(key) in places for key in pair)
    ]
    shapes = (
        np.moveaxis(take(head.correctives[:, :, used]), 2, 0).astype(np.float64)
        if used
        else np.zeros((0, 1, 3))
    )
    moving = shapes.any(axis=(1, 2))
    if not moving.any():
        return np.zeros((0, 2), int), None
    pairs = np.array(
        [[places[str(key)] for key in head.corrective_pairs[number]] for number in used]
    )
    return pairs[moving], np.ascontiguousarray(shapes[moving])


# ---- what is measured of a head

_FRONT_TEETH = ("Teeth", "Side Teeth")  # their materials
INCISORS_MM = 9.0  # distance from the midline that covers a row's four front teeth
_EDGE_MM = 0.35  # distance from a row's lowest (highest) point that belongs to the biting edge
_GRID_MM = 0.5  # cell size of the height map of the upper teeth's front
_FRONT_MM = 12.0  # height of that map above the upper row's edges
_NEAR_MM = 8.0  # distance from the midline within which the lower lip meets the incisors
# subdivisions per edge of the lip's quads, so that distances to its surface are measured
_SPLIT = 4
CONTACT_MM = 0.3  # lower lip to upper teeth on f and v
NEARLY_MM = 0.45  # the same of round lips, which are rather kept round
_STEP, _ROUNDS = 1e-3, 3  # radians by which a slope is measured, and rounds of Newton's method
_TUCKS = 2  # rounds of bringing the lower lip to the teeth: that also moves the lips' gap
_HALVINGS = 7  # of the interval in which a lip touches the teeth
_LIP_FRAMES = 1500  # frames whose lower lips are computed at once: one needs 60 kB
_TINY = 1e-6
_LEANING = 0.01  # channel value above which left and right are distinguished
_TONGUE_MOST = 0.7  # largest value of the channel that puts the tongue out


@dataclass(frozen=True)
class ArticulatorPositions:
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

    def shape(self, expression: np.ndarray, jaw: np.ndarray) -> ArticulatorPositions:
        """The mouth's shape over a motion, expression columns in the head's order."""
        return self.shape_at(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))

    def shape_at(self, expression: np.ndarray, turn: np.ndarray) -> ArticulatorPositions:
        """The same for the jaw's rotation matrices [T, 3, 3]."""
        points, upper, lower = self._measured
        height = 1e3 * (points.heights(expression, turn) - points.rest[:, 1])
        return ArticulatorPositions(
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

    @cached_property
    def _tongue_tip(self) -> SkinnedPoints:
        """The tongue's tip and the upper edge."""
        return self.points.average(
            np.concatenate([np.eye(3, len(self.points.rest))[2:], self._shares_of(self.upper_edge)])
        )

    @cached_property
    def lip_surface(self) -> SkinnedPoints:
        """The surface of the lower lip's middle."""
        return self.points.part(self.lip)

    def bite(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """`lip_distance` over a motion, expression columns in the head's order."""
        return np.concatenate(
            [
                self.lip_distance(
                    1e3 * self.lip_surface.place(expression[part], rotvec_to_matrix(jaw[part]))
                )
                for part in slices(max(1, len(jaw)), _LIP_FRAMES)
            ]
        )

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

    # ---- channel values that bring the points where they are wanted

    def open_jaw(self, expression: np.ndarray, jaw: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Jaw [T, 3] turned until the incisors are `wanted` [T] mm apart, more than at rest."""
        turn = jaw.copy()
        for _ in range(_ROUNDS):
            rotations = rotvec_to_matrix(np.stack([turn, turn + [_STEP, 0, 0]]))
            now, further = (self.shape_at(expression, each).incisors for each in rotations)
            slope = (further - now) / _STEP
            turn[:, 0] = np.clip(turn[:, 0] + (wanted - now) / slope, 0.0, JAW_OPEN_RADIANS)
        return turn

    def set_lips(
        self, x: np.ndarray, rotation: np.ndarray, rise: np.ndarray, gap: np.ndarray,
        channels: tuple[Sequence[int], Sequence[int], int],
    ) -> None:  # fmt: skip
        """Set channels of an expression [T, n] in place so that the upper lip rises by `rise` [T]
        mm and the lips are `gap` [T] mm apart, at the jaw's rotation matrices [T, 3, 3].

        channels: those that raise the upper lip, those that bare the lower one, and the one that
        shuts lips that are still too far apart.
        """
        upper, lower, close = channels
        leans = [_lean(x, columns) for columns in (upper, lower)]
        self._amount(x, rotation, upper, leans[0], "rise", rise)
        # a lip that is held up lets go before the other is drawn down, and the reverse
        self._amount(x, rotation, [close], np.ones((len(x), 1)), "gap", gap, x[:, close])
        self._amount(x, rotation, lower, leans[1], "gap", gap)
        self._amount(x, rotation, [close], np.ones((len(x), 1)), "gap", gap)

    def _amount(self, x, rotation, columns, lean, measure: str, wanted, most=1.0) -> None:
        """Set channels in place, scaled by their lean [T, c], so that `measure` reaches `wanted`
        [T] mm within the range 0 … `most` ([T] or one).

        rotation: the jaw's rotation matrices [T, 3, 3]."""
        amount = x[:, columns].mean(1)
        x[:, columns] = amount[:, None] * lean
        now = getattr(self.shape_at(x, rotation), measure)
        # the same at every value, but for key pairs, which move nothing where the lips meet
        rise, sink = 1e3 * self._measured[0].height_slopes(columns, rotation)[..., :2].T
        slope = ((rise if measure == "rise" else rise - sink) * lean).sum(1)
        step = (wanted - now) / np.where(np.abs(slope) > _TINY, slope, np.inf)
        amount = np.clip(amount + step, 0.0, most)
        x[:, columns] = np.clip(amount[:, None] * lean, 0.0, 1.0)

    def tuck_lip(
        self, x: np.ndarray, rotation: np.ndarray, rise: np.ndarray, gap: np.ndarray,
        channels: tuple[Sequence[int], Sequence[int], int], bite: Sequence[int], most: np.ndarray,
        pout: Sequence[int],
    ) -> None:  # fmt: skip
        """Set channels of an expression [T, n] in place as `set_lips`, and those that take the
        lower lip to the upper teeth (`bite`), from what they are towards `most`, until it touches
        them; where that is not enough also those that keep it off them (`pout`), towards rest."""
        x[:, [*channels[1], channels[2]]] = 0.0  # they pull a lip two ways
        for rows in slices(len(x), _LIP_FRAMES):
            stages = [
                (bite, x[rows][:, bite], most, CONTACT_MM),
                (pout, x[rows][:, pout], np.zeros(len(pout)), NEARLY_MM),
            ]
            for _ in range(_TUCKS):
                self.set_lips(x[rows], rotation[rows], rise[rows], gap[rows], channels)
                for columns, free, towards, touching in stages:
                    x[rows, columns] = self._until_touch(
                        x[rows], rotation[rows], columns, free, towards, touching
                    )

    def _until_touch(
        self, x: np.ndarray, rotation: np.ndarray, bite: Sequence[int], free: np.ndarray,
        most: np.ndarray, touching: float,
    ) -> np.ndarray:  # fmt: skip
        """Values [T, c] of the channels `bite`, between `free` [T, c] and `most` [c], at which the
        lower lip is `touching` mm from the upper teeth, or `most`; overwrites them in x [T, n].
        rotation: the jaw's matrices [T, 3, 3]."""
        surfaces = []
        for values in (free, most):
            x[:, bite] = values
            surfaces.append(1e3 * self.lip_surface.place(x, rotation))
        start, end = surfaces
        low, high = np.zeros((len(x), 1)), np.ones((len(x), 1))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            lip = start + middle[..., None] * (end - start)
            apart = (self.lip_distance(lip) > touching)[:, None]
            low, high = np.where(apart, middle, low), np.where(apart, high, middle)
        return free + high * (most - free)

    def place_tongue(
        self, x: np.ndarray, rotation: np.ndarray, channels: Sequence[int], tip: float, below: float
    ) -> None:  # fmt: skip
        """Set channels of an expression [T, n] in place so that the tongue's tip is `tip` mm in
        front of the upper incisors' edges and `below` mm under them.

        channels: that put the tongue out and its tip up.  rotation: the jaw's matrices [T, 3, 3].
        """
        out, up = channels

        def beyond(column: int, value: float) -> np.ndarray:
            x[:, column] = value
            placed = 1e3 * self._tongue_tip.place(x, rotation)[..., 1:]
            return placed[:, 0] - placed[:, 1:].mean(1)

        for _ in range(2):
            near, far = beyond(out, 0.2)[:, 1], beyond(out, 0.5)[:, 1]
            x[:, out] = np.clip(0.2 + 0.3 * (tip - near) / (far - near), 0.0, _TONGUE_MOST)
            low, high = beyond(up, 0.0)[:, 0], beyond(up, 0.3)[:, 0]
            x[:, up] = np.clip(0.3 * (-below - low) / (high - low), 0.0, 1.0)


def _lean(x, columns) -> np.ndarray:
    """Ratio of a channel's sides to their mean, [T, c]; 1 where the mean is too small to
    tell."""
    mean = x[:, columns].mean(1, keepdims=True)
    return np.where(mean > _LEANING, x[:, columns] / np.maximum(mean, _LEANING), 1.0)


def _incisors(head: Head, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the vertices of the upper and the lower front teeth."""
    if "Teeth" not in head.material_names:
        raise BadHead("This head has no teeth to speak with: use the bundled one")
    corners = head.polygons[np.isin(head.material_names, _FRONT_TEETH)[head.polygon_material]]
    ids = np.flatnonzero(np.isin(np.arange(len(v)), corners))
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
