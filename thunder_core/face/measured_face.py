# SPDX-License-Identifier: GPL-3.0-or-later
"""The face of a character as a mapping moves it: its axes, the meshes with its lips, and how far
these part; each found by a step that can be explained."""

from collections.abc import Mapping as Values
from functools import cached_property

import numpy as np

from . import jaw_balance, lip_search, mapping
from .bones import jaw_rules, Moves
from .character import PointMeter
from .measuring import measures, Threshold

TOWARDS = Threshold(0.5, "of a movement", "so much along an axis tells a way")
_UPRIGHT = Threshold(0.94, "cosine", "a face that slants less stands upright")
_BESIDE = Threshold(0.25, "of a mesh's width", "a spear or wings are further away")
HEAD_MM = Threshold(220.0, "mm", "height of a usual head")
_SMALL = Threshold(120.0, "mm", "no head is lower: its unit is another")
_LARGE = Threshold(600.0, "mm", "no head is higher: its unit is another")
LEAST_OPEN_MM = Threshold(3.0, "mm", "an open jaw parts the lips further")
_SHUT_MM = Threshold(1.5, "mm", "lips that are nearer in a Basis count as shut")
LEAST_MM = Threshold(0.5, "mm", "a movement that is seen")
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
    found: what its steps found.
    """

    def __init__(
        self, meter: PointMeter, plan: mapping.Mapping, opened: list[np.ndarray] | None = None
    ):
        """opened: how far an open mouth moves every mesh, as it was seen; None: as is measured."""
        self.meter, self.plan, self.seen = meter, plan, opened
        self.found: list[tuple] = []
        self.is_half = any("MIRROR" in mesh.modifiers for mesh in meter.meshes)
        self.rules = [*jaw_balance.apply_balance(plan).rules, *jaw_rules(plan)]
        self.sounds = {source for source in plan.used if mapping.is_mouth(source)}
        self.row = dict(ROW) | {
            name: {sound: 1.0} for name, sound in _SOUND_OF.items() if sound in self.sounds
        }
        self.take_axes()
        self.tilt_axes()
        self.count_channels()
        self.open_mouth()
        self._choose_meshes()

    @measures("the mapping says where the face looks, in the character's own space")
    def take_axes(self) -> str:
        """Axes of the mapping."""
        self.forward, self.up = self.plan.axes
        # an object whose scale is negative shows its left on its right
        self.hand = -1.0 if self.meter.of.is_mirrored else 1.0
        self.left = self.hand * np.cross(self.up, self.forward)
        return f"looks {self.plan.forward or 'as usual'}, up {self.plan.up or 'as usual'}"

    @measures("a head may be modelled bent", lip_search.STRONG, TOWARDS, _UPRIGHT)
    def tilt_axes(self) -> str:
        """Take axes that slant as the face does: up is where brows and open lids go, left where
        what keys of the left move is from what those of the right move."""
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
        self.is_up_told = bool(np.linalg.norm(rise) > lip_search.STRONG * max(len(ways), 1))
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
        axes = ", ".join(f"{name} {np.round(getattr(self, name), 2)}" for name in ("up", "left"))
        return f"{axes}, by {len(ways)} keys of brows and lids"

    @measures("lips are where most channels of the mouth act")
    def count_channels(self) -> str:
        """Count, for each mesh with keys, the rules of the mouth that move it."""
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
        return ", ".join(f"{mesh.name} {count}" for mesh, count in zip(meter.meshes, self.acting))

    @measures(
        "an open mouth parts the lips: by its jaw, else by the drawn mouth that goes down most"
    )
    def open_mouth(self) -> str:
        """How far the points of each mesh are from rest with the mouth open, [V, 3]."""
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
        counts = ", ".join(str(each.any(axis=1).sum()) for each in self.open)
        by = "as it is shown" if self.seen else "by " + ", ".join(self.row["open"])
        return f"{by}; points that move on each mesh: {counts}"

    def _choose_meshes(self) -> None:
        """Look for lips on the mesh on which most acts, then on those with keys, then on all."""
        count = len(self.meter.meshes)
        acting = self.acting + [0] * (count - len(self.acting))
        best = max(range(self.among), key=lambda part: (acting[part], (self.open[part] != 0).sum()))
        # the lower lip may be on another object than most keys of the face, as of puppets
        for self.parts in ([best], list(range(self.among)), list(range(count))):
            if len(self.parts) > self.among:
                self.among = count
                self.open_mouth()
            self.look()
            if self.lips and self.apart(self.opened) >= LEAST_OPEN_MM:
                break
        else:
            if any(acting):
                self.parts = [best]
                self.look()

    def look(self) -> None:
        """Take the points of the meshes in question, and find lips among them."""
        self.measure_head()
        self.find_lips()

    @measures("a millimetre is told by the head's height", _BESIDE, _SMALL, _LARGE, HEAD_MM)
    def measure_head(self) -> str:
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
        if not _SMALL <= self.mm * self.size <= _LARGE:
            self.mm = HEAD_MM / self.size
        names = ", ".join(self.meter.meshes[part].name for part in self.parts)
        return f"of {names} {self.size:.4g} units, {self.mm * self.size:.0f} mm"

    @measures("lips are neighbours that part most, ahead of teeth", *lip_search.THRESHOLDS)
    def find_lips(self) -> str:
        """Vertices in the middle of the lips, None where what opens is inside or parts nothing."""
        # a mask or a beard before a whole head hides no lips
        is_head = np.ptp(self.points @ self.up) > lip_search.STRONG * self.size
        parts = self.parts if is_head else range(self.among)
        points = np.concatenate([self.meter.meshes[part].places for part in parts])
        far = np.linalg.norm(np.concatenate([self.open[part] for part in parts]), axis=1)
        self.lips = None
        if lip_search.is_inside(points, far, (self.left, self.up, self.forward), self.size):
            return "none: what opens is behind what stays, as teeth are"
        nearest = self.meter.of.nearest
        self.lips = lip_search.find_lips(
            self.points, self.opened, self.up, self.forward, self.size, nearest
        )
        if self.lips is None:
            return "none: no neighbours part where a mouth is"
        return f"{len(self.lips[0])} pairs that part by {self.apart(self.opened):.1f} mm"

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
        apart = float(self._pairs(self.points).min(initial=np.inf)) if self.lips else 0.0
        return apart if apart > _SHUT_MM and not self._is_skin() else 0.0

    def _is_skin(self) -> bool:
        """Whether edges or a face join the lips: a mouth without a slit, or a drawn one."""
        upper, lower = map(set, np.array(self.lips).tolist())
        joins = map(set, self.meter.meshes[self.parts[0]].faces())
        return len(self.parts) == 1 and any(each & upper and each & lower for each in joins)

    def shut(self, source: str, way: float = 1.0) -> float:
        """The value of a channel at which lips that are modelled apart meet, 0 for none; way: its
        sign, −1 for a jaw that closes."""
        moved = self.joined(self.moved({source: way * _LITTLE}))
        closes = -self._pairs(moved) / _LITTLE
        able = closes > LEAST_MM
        values = self._pairs(self.points)[able] / closes[able]
        return float(values.min(initial=1.0)) if self.parted and len(values) else 0.0

    def gap(self, values: Values[str, float]) -> float:
        """How far apart the lips are, mm; negative: crossed."""
        moved = self.opened if values == self.row["open"] else self.joined(self.moved(values))
        return self.apart(moved + self.joined(self.resting)) + self.parted

    def apart(self, moved: np.ndarray) -> float:
        """How far moves of its points [V, 3] bring the lips apart, mm."""
        return float(self._pairs(moved).mean()) if self.lips else 0.0

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
