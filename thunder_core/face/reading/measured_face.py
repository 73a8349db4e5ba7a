# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of a character as a mapping moves it: its axes, the meshes with its lips, which an open
mouth parts, and how far; numpy only."""

from collections.abc import Mapping as Values, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from .. import mapping
from ..regions import pieces
from . import jaw_balance
from .bones import jaw_rules, Moves
from .character import Nearest, PointMeter

STRONG = 0.5  # of the largest movement: what moves less goes along only
TOWARDS = 0.5  # of a movement: so much along an axis tells a way
_UPRIGHT = 0.94  # cosine: a face that slants less stands upright
_BESIDE = 0.25  # of a mesh's width: a spear or wings are further away
HEAD_MM = 220.0  # height of a usual head
_SMALL_MM, _LARGE_MM = 120.0, 600.0  # no head is lower or higher: its unit is another
LEAST_OPEN_MM = 3.0  # an open jaw parts the lips further
_SHUT_MM = 1.5  # lips that are nearer in a Basis count as shut
LEAST_MM = 0.5  # a movement that is seen
_LITTLE = 0.2  # of a channel, far from where its slider stops
_UPWARD = ("eyeBlink", "browInnerUp", "browOuterUp")  # channels that tell what is up
ROW: dict[str, dict[str, float]] = {  # the mouths that a character is shown by
    "rest": {},
    "open": {"jawOpen": 1.0},
    "wide": {"mouthStretchLeft": 1.0, "mouthStretchRight": 1.0},
    "round": {"mouthPucker": 1.0},
    "closed": {"jawOpen": 0.5, "mouthClose": 0.5},
    "blink": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
}
_SOUND_OF = {"wide": "EE", "round": "OO", "closed": "M B P"}  # where it is drawn


class Face:
    """The face of a character that has meshes, as a mapping moves it.

    among: how many of its meshes are looked at.  parts: which of them have the lips: the one on
    which most channels of the mouth act, of which an open jaw moves most points; where no channel
    tells, all of them if none has lips of its own.
    points: where these are at rest, [V, 3].  opened: how far an open mouth moves them.  left, up,
    forward: axes, [3].  size: height of the head.  lips: vertices in the middle of the upper and of
    the lower lip, [n] each, None without a jaw.
    mm: millimetres of a unit; a character of no human size is taken to have a head of HEAD_MM.
    is_half: whether a Mirror modifier makes its other side, which is not among the points.
    """

    def __init__(
        self, meter: PointMeter, plan: mapping.Mapping, opened: list[np.ndarray] | None = None
    ):
        """opened: how far an open mouth moves every mesh, as it was seen; None: as is measured."""
        self.meter, self.plan, self.seen = meter, plan, opened
        self.is_half = any("MIRROR" in mesh.modifiers for mesh in meter.meshes)
        self.rules = [*jaw_balance.apply_balance(plan).rules, *jaw_rules(plan)]
        self.sounds = {source for source in plan.used if mapping.is_mouth(source)}
        self.row = dict(ROW) | {
            name: {sound: 1.0} for name, sound in _SOUND_OF.items() if sound in self.sounds
        }
        self._take_axes()
        self._tilt_axes()
        self._count_channels()
        self._open_mouth()
        self._choose_meshes()

    def _take_axes(self) -> None:
        """Axes of the mapping, in the character's own space."""
        self.forward, self.up = self.plan.axes
        # an object whose scale is negative shows its left on its right
        self.hand = -1.0 if self.meter.of.is_mirrored else 1.0
        self.left = self.hand * np.cross(self.up, self.forward)

    def _tilt_axes(self) -> None:
        """Take axes that slant as the face does, which may be modelled bent: up is where brows and
        open lids go, left where what keys of the left move is from what those of the right move."""
        self.among = len(self.meter.meshes)
        ways = [
            (-1.0 if rule.source.startswith("eyeBlink") else 1.0) * by.sum(axis=0)
            for rule in self.plan.rules
            if rule.source.startswith(_UPWARD)
            for part in range(self.among)
            for ids, by in [self.meter.effect(part, rule, self.plan)]
            if len(ids)
        ]
        rise = sum(map(unit, ways), np.zeros(3))
        self.is_up_told = bool(np.linalg.norm(rise) > STRONG * max(len(ways), 1))
        if self.is_up_told:
            slants = -TOWARDS < unit(rise) @ self.up < _UPRIGHT
            self.up = unit(rise) if slants else self.up
        left, right = (self.middle(("eye", "mouth", "brow"), side) for side in ("Left", "Right"))
        if not (left is None or right is None or self.is_half):
            across = unit(left - right - ((left - right) @ self.up) * self.up)
            slants = TOWARDS < abs(across @ self.left) < _UPRIGHT
            self.left = np.sign(across @ self.left) * across if slants else self.left
        self.left = unit(self.left - (self.left @ self.up) * self.up)
        self.forward = self.hand * np.cross(self.left, self.up)

    def _count_channels(self) -> None:
        """Count, for each mesh with keys, the rules of the mouth that move it: lips are where most
        act."""
        meter = self.meter
        self.jaws = {rule.target for rule in self.rules if rule.source == "jawOpen"}
        self.acting = [
            sum(
                bool(len(meter.effect(part, rule, self.plan)[0]))
                for rule in self.rules
                if rule.source.startswith("mouth") or rule.source in self.sounds
                if rule.target not in self.jaws
            )
            for part in range(meter.of.keyed)
        ]
        self.among = meter.of.keyed if any(self.acting) else len(meter.meshes)

    def _open_mouth(self) -> None:
        """How far the points of each mesh are from rest with the mouth open, [V, 3]: by its jaw,
        else by the drawn mouth that goes down most."""
        # where the points of each mesh are where nothing is asked
        self.resting = [
            self.meter.offsets(part, self._moves({}), self.plan) for part in range(self.among)
        ]
        if self.sounds and not self.jaws and "jawOpen" in self.row["open"]:
            self.row["open"] = max(
                ({sound: 1.0} for sound in sorted(self.sounds)),
                key=lambda at: max((each @ -self.up).max(initial=0.0) for each in self.moved(at)),
            )
        self.open = self.seen or self.moved(self.row["open"])

    def _choose_meshes(self) -> None:
        """Look for lips on the mesh on which most acts, then on those with keys, then on all."""
        count = len(self.meter.meshes)
        acting = self.acting + [0] * (count - len(self.acting))
        best = max(range(self.among), key=lambda part: (acting[part], (self.open[part] != 0).sum()))
        # the lower lip may be on another object than most keys of the face, as of puppets
        for self.parts in ([best], list(range(self.among)), list(range(count))):
            if len(self.parts) > self.among:
                self.among = count
                self._open_mouth()
            self._look()
            if self.lips and self.apart(self.opened) >= LEAST_OPEN_MM:
                break
        else:
            if any(acting):
                self.parts = [best]
                self._look()

    def _look(self) -> None:
        """Take the points of the meshes in question, and find lips among them."""
        self._measure_head()
        self._find_lips()

    def _measure_head(self) -> None:
        """Height of the head above its chin, and millimetres of a unit."""
        self.opened = self.joined(self.open)
        places = [mesh.places for mesh in self.meter.meshes[: self.among]]
        self.points = self.joined(places)
        self.far = np.linalg.norm(self.opened, axis=1)
        heights = self.points @ self.up
        chin = heights[self.far > 0].min() if self.far.any() else heights.min()
        # what stands up beside the head, as a spear or wings, is no part of its height
        flat = np.stack([self.left, self.forward], 1)
        mouth = (self.points[self.far > 0] if self.far.any() else self.points).mean(0) @ flat
        tops = [
            (each @ self.up).max()
            for each in places
            for sides in [np.stack([(each @ flat).min(0), (each @ flat).max(0)])]
            if (np.abs(mouth - sides.mean(0)) <= (0.5 + _BESIDE) * np.ptp(sides, axis=0)).all()
        ]
        self.size = max(float(max([heights.max(), *tops]) - chin), 1e-9)
        self.mm = self.meter.of.mm
        if not _SMALL_MM <= self.mm * self.size <= _LARGE_MM:
            self.mm = HEAD_MM / self.size

    def _find_lips(self) -> None:
        """Vertices in the middle of the lips, None where what opens is inside or parts nothing."""
        # a mask or a beard before a whole head hides no lips
        is_head = np.ptp(self.points @ self.up) > STRONG * self.size
        parts = self.parts if is_head else range(self.among)
        points = np.concatenate([self.meter.meshes[part].places for part in parts])
        far = np.linalg.norm(np.concatenate([self.open[part] for part in parts]), axis=1)
        every = np.arange(len(self.points))
        self.lips = self._lips_of(every, points, far)
        if len(self.parts) == 1 and (not self.lips or self.apart(self.opened) < LEAST_OPEN_MM):
            skin = self._skin()
            other = np.delete(every, skin)
            other = other[self.far[other] < _PARTED * far.max(initial=0.0)]
            rest = [part for part in parts if part not in self.parts]
            places = [self.points[[*skin, *other]], *(self.meter.meshes[i].places for i in rest)]
            still = [np.linalg.norm(self.open[part], axis=1) for part in rest]
            far = np.concatenate([self.far[[*skin, *other]], *still])
            self.lips = self._lips_of(skin, np.concatenate(places), far) or self.lips

    def _lips_of(
        self, ids: np.ndarray, points: np.ndarray, far: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Lips among some vertices of the face, None where points [V, 3], of which an open mouth
        moves those so far [V], hide what opens."""
        if not len(ids) or _is_inside(points, far, (self.left, self.up, self.forward), self.size):
            return None
        nearest = self.meter.of.nearest
        found = _lips_among(
            self.points[ids], self.opened[ids], self.up, self.forward, self.size, nearest
        )
        return found and (ids[found[0]], ids[found[1]])

    def _skin(self) -> np.ndarray:
        """Vertices of the largest connected piece of a mesh among those that an open mouth moves,
        whose teeth and tongue are pieces of their own, as VRoid's are; [n], none if it is one."""
        faces = self.meter.meshes[self.parts[0]].faces()
        edges = [(a, b, b) for face in faces for a, b in pairwise(face)]
        piece = pieces(len(self.points), np.array(edges).reshape(-1, 3).astype(int))
        moving = np.unique(piece[self.far > STRONG * self.far.max(initial=0.0)])
        every = [np.flatnonzero(piece == each) for each in moving]
        return max(
            every, key=lambda ids: np.ptp(self.points[ids], axis=0).max(), default=np.arange(0)
        )

    def joined(self, every: list[np.ndarray]) -> np.ndarray:
        """What is given of each mesh, [V, 3], of those with the lips, one after the other."""
        return np.concatenate([every[part] for part in self.parts])

    def _moves(self, values: Values[str, float]) -> Moves:
        """What moves where sources have these values."""
        moves, given = dict.fromkeys(self.meter.of.held, 0.0), {**values, mapping.REST: 1.0}
        for rule in self.rules:
            if given.get(rule.source):
                added = rule.weight * given[rule.source]
                moves[rule.target] = moves.get(rule.target, 0.0) + added
        return moves

    def moved(self, values: Values[str, float]) -> list[np.ndarray]:
        """How far from rest the points of each mesh move, [V, 3], where sources have these
        values."""
        moves = self._moves(values)
        return [
            self.meter.offsets(part, moves, self.plan) - self.resting[part]
            for part in range(self.among)
        ]

    def offsets(self, moves: Moves) -> np.ndarray:
        """How far moves bring the points of the face, [V, 3]."""
        return np.concatenate([self.meter.offsets(part, moves, self.plan) for part in self.parts])

    @property
    def is_seen(self) -> bool:
        """Whether what opens the mouth can be measured: not a control of a rig that moves the face
        in another way than is followed."""
        moves = {each.target: each.weight for each in self.rules if each.source in self.row["open"]}
        return self.seen is not None or self.lips is not None or self.meter.is_measured(moves)

    def _pairs(self, moved: np.ndarray) -> np.ndarray:
        """How far each pair in the middle of the lips is apart, [n] mm, by moves or places."""
        upper, lower = self.lips or ([], [])
        return (moved[upper] - moved[lower]) @ self.up * self.mm

    @cached_property
    def parted(self) -> float:
        """How far apart the lips are in the Basis, mm; 0 where they are nearly shut."""
        apart = self.apart(self.points)
        return apart if apart > _SHUT_MM and not self._is_skin() else 0.0

    def _is_skin(self) -> bool:
        """Whether edges or a face join the lips: a mouth without a slit, or a drawn one."""
        upper, lower = map(set, np.array(self.lips).tolist())
        joins = map(set, self.meter.meshes[self.parts[0]].faces())
        return len(self.parts) == 1 and any(each & upper and each & lower for each in joins)

    def shut(self, source: str, way: float = 1.0) -> float:
        """The value of a channel at which lips that are modelled apart meet all along, 0 for none;
        way: its sign, −1 for a jaw that closes."""
        moved = self.joined(self.moved({source: way * _LITTLE}))
        closes = -self._pairs(moved) / _LITTLE
        able = closes > max(LEAST_MM, STRONG * closes.max(initial=0.0))
        values = self._pairs(self.points)[able] / closes[able]
        return min(1.0, float(values.max())) if self.parted and len(values) else 0.0

    def gap(self, values: Values[str, float]) -> float:
        """How far apart the lips are where they are widest apart, mm; negative: crossed there,
        too."""
        moved = self.opened if values == self.row["open"] else self.joined(self.moved(values))
        away = moved + self.joined(self.resting)
        return self.apart(away + self.points if self.parted else away)

    def apart(self, moved: np.ndarray) -> float:
        """How far apart moves or places of its points [V, 3] bring the lips at most, mm."""
        return float(self._pairs(moved).max()) if self.lips else 0.0

    def narrowing(self, values: Values[str, float]) -> float:
        """By how much the two sides of the face come together, mm; negative: apart."""
        moved = self.joined(self.moved(values))
        across, inward = self.points @ self.left, -moved @ self.left
        # of half a face, whose other half a modifier makes, the lips tell the middle
        moving = across[np.concatenate(self.lips) if self.lips else moved.any(axis=1)]
        if not len(moving):
            return 0.0
        middle = (moving.min() + moving.max()) / 2
        sides = [each for each in (inward[across > middle], -inward[across < middle]) if len(each)]
        pick = np.max if sum(each.sum() for each in sides) > 0 else np.min
        return float(sum(map(pick, sides))) * self.mm

    def middle(self, starts: tuple[str, ...], end: str = "") -> np.ndarray | None:
        """The middle of what keys of channels with such names move, [3]."""
        middles = [
            np.average(self.meter.meshes[part].places[ids], 0, np.linalg.norm(by, axis=1))
            for rule in self.plan.rules
            if rule.source.startswith(starts) and rule.source.endswith(end)
            for part in range(self.among)
            for ids, by in [self.meter.effect(part, rule, self.plan)]
            if len(ids)
        ]
        return np.mean(middles, axis=0) if middles else None


def unit(vector: np.ndarray) -> np.ndarray:
    """A vector [3] at length 1; one of length 0 stays."""
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


# ---- lips among points

_PARTED = 0.35  # of the jaw's way: the lower lip goes further, the upper less
_APART = 0.5  # of their distance at rest: by so much less a pair counts as lips
_ABLE = 0.6  # of the widest pair: lips part nearly as far as the chin goes
_DEEP = 0.025  # of the head's height: teeth are further behind the lips
_SEAM = 0.005  # of the head's height: pairs further apart than the nearest are skin
_MIDDLE = 0.9  # of the widest pair: the middle of the lips parts most
# of the head's height, within which a point hides what is behind it, aside and in depth: lips hide
# what is nearer beside them, a visor is further ahead
_NEAR, _BEHIND = 0.04, 0.15
_MOST_LIPS = 4000  # points below the mouth that are looked at
_MOST_HIDDEN = 3000  # points in front of a jaw that are looked at


def _is_inside(
    points: np.ndarray, far: np.ndarray, axes: Sequence[np.ndarray], size: float
) -> bool:
    """Whether most of what opens is behind what stays: teeth, but not the lips.

    points: at rest [V, 3].  far: how far an open mouth moves them [V].  axes: left, up and forward.
    size: height of the head.
    """
    left, up, forward = axes
    moving = np.flatnonzero(far > STRONG * far.max(initial=0.0))
    moving = moving[:: 1 + len(moving) // (_MOST_LIPS // 16)]
    flat, ahead = points @ np.stack([left, up], 1), points @ forward
    near, low = _NEAR * size, flat[moving].min(0, initial=np.inf)
    around = (flat > low - 2 * near) & (flat < flat[moving].max(0, initial=-np.inf) + near)
    still = np.flatnonzero(around.all(axis=1) & (far < _PARTED * far.max(initial=0.0)))
    still = still[:: 1 + len(still) // _MOST_HIDDEN]
    across, above = (flat[still][None] - flat[moving][:, None]).transpose(2, 0, 1)
    depth = (ahead[still] - ahead[moving][:, None]) / size
    hides = (
        (np.abs(across) < near)
        & (above > -2 * near)
        & (above < near / 4)
        & (depth > _DEEP)
        & (depth < _BEHIND)
    ).any(axis=1)
    return len(moving) > 0 and bool(hides.mean() > STRONG)


def _lips_among(
    points: np.ndarray,
    opened: np.ndarray,
    up: np.ndarray,
    forward: np.ndarray,
    size: float,
    nearest_of: Nearest,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Neighbours that an open mouth parts most, the upper and the lower ones [n] each; None where
    what goes down is above what stays, or what goes up, as the upper half of a puppet's head,
    below.

    points: at rest [V, 3].  opened: how far an open mouth moves them [V, 3].  size: height of the
    head.  nearest_of: as `Character.nearest`.
    """
    down = -opened @ up
    if rises := down.sum() < 0:
        down = down - down.min()
    most = down.max(initial=0.0)
    lower = np.flatnonzero(down > _PARTED * most)
    lower = lower[:: 1 + len(lower) // _MOST_LIPS]
    if most <= 0 or not len(lower):
        return None
    near = (points > points[lower].min(0) - most) & (points < points[lower].max(0) + most)
    upper = np.flatnonzero(near.all(axis=1) & (down <= _PARTED * most))
    if not len(upper):
        return None
    found, far = nearest_of(points[lower], points[upper])
    nearest, distances = upper[found], np.array(far)
    worth = down[lower] - down[nearest] - _APART * distances
    # teeth part as well: lips are in front of them
    ahead, able = points[lower] @ forward, worth >= _ABLE * max(worth.max(), 1e-12)
    in_front = able & (ahead >= ahead[able].max(initial=-np.inf) - _DEEP * size)
    best = in_front & (worth >= _MIDDLE * worth[in_front].max(initial=0.0))
    # where they meet, not the skin below
    best &= distances <= distances[best].min(initial=np.inf) + _SEAM * size
    if not best.any():
        return None
    heights = points @ up
    if rises and not _rises_whole(opened @ up, heights, nearest[best], lower[best]):
        return None
    far_of_all = np.linalg.norm(opened, axis=1)
    if not rises:
        far_of_all[down < 0] = 0.0  # a drawn mouth lifts the upper lip as well
    above = np.average(heights, weights=far_of_all) - heights[[*nearest[best], *lower[best]]]
    is_right = above.max() >= 0 if rises else above.min() <= 0
    return (nearest[best], lower[best]) if is_right else None


def _rises_whole(
    rise: np.ndarray, heights: np.ndarray, upper: np.ndarray, lower: np.ndarray
) -> bool:
    """Whether an open mouth lifts most of what is above these lips, as that of a puppet does, or
    also brings the lower lip down: what else goes up is a smile or a brow."""
    least = _PARTED * rise.max()
    return bool(
        (rise[heights > heights[upper].max()] > least).mean() > STRONG or -rise[lower].min() > least
    )
