# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a character's jaw and lips the weights that its keys need, and moves an opening between
them; numpy only."""

from collections.abc import Mapping as Values, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ..mapping import LOWER_PER_JAW, Mapping, Rule, Target

MOST = 0.5  # share of the jaw's movement that the balance gives or takes at 1 or −1
# share of a key's largest movement above which a vertex belongs to the lip that the key is named
# after
_LIP = 0.93
_CLOSES = 0.5  # share of mouthClose's largest closing above which it closes the lips at a place
_FOLLOWS = 0.6  # share of the jaw's largest movement above which a vertex lies below the mouth
# Opening by channels that shape lips, their sides together, relative to jawOpen's, on the bundled
# head. mouthClose makes up for what a character's keys do otherwise: m, b and p are made by several
# of them together.
_OPENS = {
    "mouthFunnel": 0.23, "mouthShrugLower": 0.0, "mouthShrugUpper": 0.0, "mouthRollLower": -0.03,
    "mouthRollUpper": 0.0, "mouthPress": 0.0,
}  # fmt: skip
# plausible ranges; a key outside them probably means something else
_CLOSE_RANGE, _LOWER_RANGE, _FURTHER = (0.4, 2.5), (1.0, 12.0), (-0.4, 1.0)
# Channels of lips and tongue without jaw movement; a key that also opens the jaw, as keys for
# vowels do, would open the mouth too far.
LEAVES_JAW = (
    "mouthFunnel",
    "mouthPucker",
    "mouthStretch",
    "mouthSmile",
    "mouthDimple",
    "mouthRoll",
    "mouthPress",
    "mouthFrown",
    "tongueTipUp",
    "tongueBladeUp",
    "tongueBack",
    "tongueOut",
)
_MOST_MIDDLE = 1.5  # times by which a key of half a face goes further to part its middle
_JAW_TOO = 0.1  # share of jawOpen above which a key for lips or tongue is taken for a vowel
# deviation of mouthClose from 1, or of an opening by lips from the usual, below which no correction
# is made
_AS_NAMED = 0.03
# On f and v the lips part by the upper lip and a little jaw. If the jaw does all of it, the lower
# lip leaves the teeth: this share of mouthRollLower, which measures how far the lower lip must go
# in, compensates the jaw's part, and the lip's part for keys that stop short.
_BITE_JAW, _BITE_ROLL = 0.16, 1.15
_JAW = "jawOpen"
_CLOSE = "mouthClose"
_LOWER = "mouthLowerDown"
_RAISE = "mouthUpperUp"
_ROLL = "mouthRollLower"


def apply_balance(plan: Mapping) -> Mapping:
    """A mapping with its balance worked into its rules, and a balance of 0.

    mouthClose takes back what the jaw opens further, mouthLowerDown makes up for what it opens
    less; mouthClose is scaled by as much, so that lips that touch do so all along. The rules stay
    weighted sums of sources, and can be read back.
    """
    if not plan.balance:
        return plan
    by = MOST * plan.balance
    jaws = (_JAW, "jaw.x")
    rules = [
        replace(rule, weight=rule.weight * (1 + by)) if rule.source in jaws else rule
        for rule in plan.rules
    ]
    joints = tuple(
        replace(rule, scale=rule.scale * (1 + by)) if rule.joint == "jaw" else rule
        for rule in plan.joints
    )
    closing = [rule for rule in plan.rules if rule.source == _CLOSE]
    if by > 0:
        rules += [Rule(_JAW, rule.target, by * rule.weight) for rule in closing]
    else:
        rules = [
            replace(rule, weight=rule.weight * (1 + by)) if rule.source == _CLOSE else rule
            for rule in rules
        ]
        for rule in plan.rules:
            if rule.source.startswith(_LOWER):
                more = -by * plan.lower_per_jaw * rule.weight
                rules += [Rule(_JAW, rule.target, more), Rule(_CLOSE, rule.target, -more)]
    return replace(plan, rules=tuple(rules), joints=joints, balance=0.0)


def fit_to_keys(
    plan: Mapping,
    moved: Values[Target, np.ndarray],
    jaw_bones: Sequence[Rule] = (),
    lips: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    is_half: bool = False,
    back: Values[Target, np.ndarray] = MappingProxyType({}),
) -> Mapping:
    """A mapping fitted to what a character's keys do to its vertices; moved: offsets [V, 3] at 1 of
    every key.  jaw_bones: rules by which bones open the jaw, which are among `moved`.
    lips: vertices in the middle of the upper and of the lower lip, and what is up [3]; None where
    they are not known.  is_half: whether a Mirror modifier makes the other half of the face.
    back: the offsets, as of a movement forwards, by which controls go backwards, where that is
    another shape.

    mouthClose gets the weight that brings the lips together over the jaw, where they are widest
    apart, and no further. Where keys for lips part or shut them as ours do not, mouthClose takes
    that back; a key that presses the sides alone shuts no lips. Keys that
    shape lips or tongue and open the jaw too, as those for vowels do, give the jaw's part back; if
    there is no key to close the lips, mouthClose takes such keys back as well as the jaw, which
    alone leaves them parted. Where the jaw raises the upper lip for want of a key, f and v shut it.
    """
    keyed = [rule for rule in (*plan.rules, *jaw_bones) if rule.target in moved]
    jaws = [rule for rule in keyed if rule.source == _JAW]
    targets = {rule.target for rule in jaws}
    if not targets:
        return plan

    def does(*sources) -> np.ndarray | None:
        """Effect of channels at 1, offsets [V, 3]; None if only the jaw's key replaces them."""
        offsets = [
            rule.weight * (back if rule.weight < 0 and rule.target in back else moved)[rule.target]
            for rule in keyed
            if rule.source in sources and (rule.source == _JAW or rule.target not in targets)
        ]
        return sum(offsets, np.zeros(())) if offsets else None

    opened, closes = does(_JAW), does(_CLOSE)
    assert opened is not None
    result = measure_response(
        opened, closes, does(_LOWER + "Left", _LOWER + "Right"),
        {name: shaped for name in _OPENS if (shaped := does(*_both(name))) is not None}, lips,
    )  # fmt: skip
    close = result.close if closes is not None and abs(result.close - 1.0) >= _AS_NAMED else 1.0
    rules = [
        replace(rule, weight=_times(close, rule))
        if rule.source == _CLOSE and close != 1.0
        else rule
        for rule in plan.rules
    ]
    sources = {rule.source for rule in keyed}
    rules += [
        Rule(name, rule.target, _times(further * close / len(names), rule))
        for stem, further in result.further.items()
        for names in [sources.intersection(_both(stem))]
        for name in sorted(names)
        for rule in keyed
        if rule.source == _CLOSE and abs(further) >= _AS_NAMED
    ]
    if is_half and lips is not None:
        rules = _reach_the_middle(rules, moved, lips)
    vowels: list[Rule] = []
    for source in {rule.source: None for rule in keyed if rule.source.startswith(LEAVES_JAW)}:
        shaped = does(source)
        share = 0.0 if shaped is None else jaw_share(shaped, opened)
        if share >= _JAW_TOO:
            rules += [Rule(source, rule.target, _times(-share, rule)) for rule in jaws]
            vowels += [rule for rule in keyed if rule.source == source]
    if closes is None and any(rule.source == _CLOSE for rule in keyed):
        vowels += [rule for rule in keyed if rule.source.startswith((_LOWER, _RAISE))]
        shut = {
            rule.target: -1.0 if rule.target.kind == "KEY" else -rule.weight
            for rule in vowels
            # what goes another way besides cannot be taken back by going there
            if rule.target not in targets and rule.target not in back
        }
        rules += [Rule(_CLOSE, target, weight) for target, weight in shut.items()]
    if does(_RAISE + "Left", _RAISE + "Right") is None and does(_ROLL) is not None:
        rules = [
            replace(rule, weight=_times(_BITE_ROLL, rule)) if rule.source == _ROLL else rule
            for rule in rules
        ]
        rules += [Rule(_ROLL, rule.target, _times(-_BITE_JAW, rule)) for rule in jaws]
    return replace(plan, rules=tuple(rules), lower_per_jaw=round(result.lower, 3))


def _reach_the_middle(
    rules: list[Rule], moved: Values[Target, np.ndarray], lips: tuple[np.ndarray, ...]
) -> list[Rule]:
    """Rules of half a face whose lips part on average as far as where they part most. In the middle
    of a whole face the keys of both sides add up; half a face has one key there, which may part its
    middle less than its side."""
    upper, lower, up = lips

    def share(rule: Rule) -> float:
        if not rule.source.startswith((_LOWER, _RAISE)) or rule.target not in moved:
            return 1.0
        parts = (moved[rule.target][upper] - moved[rule.target][lower]) @ up
        mean = parts.mean()
        return float(np.clip(parts.max() / mean, 1.0, _MOST_MIDDLE)) if mean > 0 else 1.0

    return [
        replace(rule, weight=_times(more, rule)) if (more := share(rule)) > 1.0 else rule
        for rule in rules
    ]


def _both(stem: str) -> tuple[str, ...]:
    """The channels of a name: those of both sides, or itself."""
    return stem, stem + "Left", stem + "Right"


def _times(share: float, rule: Rule) -> float:
    """A share of a rule's weight in four digits, however small the way of its control is."""
    return float(f"{share * rule.weight:.4g}")


@dataclass(frozen=True)
class Response:
    """The effect of a character's keys relative to its jaw.

    close: value of mouthClose that cancels jawOpen = 1.  lower: value of mouthLowerDown that opens
    as far.  further: by how much of jawOpen's opening channels that shape lips part them further
    than on the bundled head.
    """

    close: float = 1.0
    lower: float = LOWER_PER_JAW
    further: Values[str, float] = field(default_factory=dict)


def measure_response(
    jaw: np.ndarray,
    close: np.ndarray | None = None,
    lower: np.ndarray | None = None,
    shaped: Values[str, np.ndarray] | None = None,
    lips: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Response:
    """The response of a character's keys, measured on its lips: offsets [V, 3] at 1, both sides
    together, None for no key.  shaped: of channels of _OPENS.  lips: as of `fit_to_keys`; without
    them, what mouthClose moves most.

    Without lips down is the axis along which the jaw goes most. A key that does not do what its
    name says gives the usual value.
    """
    reach = np.linalg.norm(jaw, axis=1)
    if reach.max(initial=0.0) <= 0:
        return Response()
    way = jaw[reach > _FOLLOWS * reach.max()].mean(0) if lips is None else -lips[2]
    if lips is None:
        way = np.where(np.abs(way) == np.abs(way).max(), np.sign(way), 0.0)
    down = jaw @ way
    below, least, result = down > _FOLLOWS * down.max(), 0.0, Response()
    if close is not None and (rises := -(close @ way))[below].max(initial=0.0) > 0:
        lip = below & (rises > _LIP * rises[below].max())
        upper = ~below & (rises < _LIP * min(rises[~below].min(initial=0.0), -1e-9))
        if lips is not None:
            upper, lip, _ = lips

        def parts(moved: np.ndarray) -> np.ndarray:
            """How far the lips part at each place of the lower one, [n]."""
            if lips is None:  # which vertices face each other is not known
                return moved[lip] - (moved[upper].mean() if upper.any() else 0.0)
            return moved[lip] - moved[upper]

        least = down[upper].mean() if len(down[upper]) else 0.0
        opened, closes = parts(down), parts(rises)
        able = closes > _CLOSES * max(closes.max(), 0.0)
        if able.any():  # else it moves a lip's corners, or both lips alike
            most = float((opened[able] / closes[able]).max())
            result = replace(result, close=float(np.clip(most, *_CLOSE_RANGE)))
        # shut is what is shut where it is widest: a key that presses the sides alone shuts nothing
        further = {
            name: float(np.clip(parts(moves @ way).max() / opened.max() - _OPENS[name], *_FURTHER))
            for name, moves in (shaped or {}).items()
        }
        result = replace(result, further=further)
    if lower is not None and (sinks := lower @ way)[below].max(initial=0.0) > 0:
        lip = below & (sinks > _LIP * sinks[below].max())
        result = replace(
            result,
            lower=float(np.clip((down[lip].mean() - least) / sinks[lip].mean(), *_LOWER_RANGE)),
        )
    return result


def jaw_share(key: np.ndarray, jaw: np.ndarray) -> float:
    """Share of jawOpen in another key, such as a vowel's, from the chin's movement by both; offsets
    [V, 3]."""
    reach = np.linalg.norm(jaw, axis=1)
    chin = reach > _FOLLOWS * max(reach.max(initial=0.0), 1e-12)
    force = float((jaw[chin] ** 2).sum())
    return float((key[chin] * jaw[chin]).sum()) / force if force > 0 else 0.0
