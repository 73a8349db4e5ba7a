# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves an opening between jaw and lips on a character, with the same gap between the lips; numpy only."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .mapping import LOWER_PER_JAW, Mapping, Rule

MOST = 0.5  # share of the jaw's own movement that the balance gives or takes at 1 or −1
_LIP = 0.93  # share of a key's largest movement above which a vertex belongs to the lip that the key is named after
_FOLLOWS = 0.6  # share of the jaw's largest movement above which a vertex lies below the mouth
_FUNNEL_OPENS = 0.23  # opening by mouthFunnel relative to jawOpen's, on the bundled head
_CLOSE_RANGE, _LOWER_RANGE = (0.4, 2.5), (1.0, 12.0)  # plausible ranges; a key outside them probably means something else
# Channels of lips and tongue that leave the jaw alone; where a key of theirs opens it too, as keys for vowels do, too much opens.
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
)
_JAW, _CLOSE, _LOWER = "jawOpen", "mouthClose", "mouthLowerDown"


def balanced(plan: Mapping) -> Mapping:
    """A mapping with its balance worked into its rules, and a balance of 0.

    A jaw that opens further is taken back by mouthClose, one that opens less is made up for by mouthLowerDown; what
    mouthClose closes is closed by as much, so that lips that touch do so all along. The rules stay weighted sums of
    sources, and can be read back.
    """
    if not plan.balance:
        return plan
    by = MOST * plan.balance
    jaws = (_JAW, "jaw.x")
    rules = [replace(rule, weight=rule.weight * (1 + by)) if rule.source in jaws else rule for rule in plan.rules]
    joints = tuple(replace(rule, scale=rule.scale * (1 + by)) if rule.joint == "jaw" else rule for rule in plan.joints)
    closing = [rule for rule in plan.rules if rule.source == _CLOSE]
    if by > 0:
        rules += [Rule(_JAW, rule.target, by * rule.weight) for rule in closing]
    else:
        rules = [replace(rule, weight=rule.weight * (1 + by)) if rule.source == _CLOSE else rule for rule in rules]
        for rule in plan.rules:
            if rule.source.startswith(_LOWER):
                more = -by * plan.lower_per_jaw * rule.weight
                rules += [Rule(_JAW, rule.target, more), Rule(_CLOSE, rule.target, -more)]
    return replace(plan, rules=tuple(rules), joints=joints, balance=0.0)


@dataclass(frozen=True)
class Response:
    """The effect of a character's keys relative to its jaw.

    close: value of mouthClose that cancels jawOpen = 1.  lower: value of mouthLowerDown that opens as far.  funnel: by
    how much of jawOpen mouthFunnel parts the lips more than it does on most heads, 0 for no more.
    """

    close: float = 1.0
    lower: float = LOWER_PER_JAW
    funnel: float = 0.0


def response(
    jaw: np.ndarray, close: np.ndarray | None = None, lower: np.ndarray | None = None, funnel: np.ndarray | None = None
) -> Response:
    """The response of a character's keys, measured on its lips: offsets [V, 3] at 1, both sides together, None for no key.

    Down is the axis along which the jaw goes most. A key that does not do what its name says gives the usual value.
    """
    reach = np.linalg.norm(jaw, axis=1)
    if reach.max(initial=0.0) <= 0:
        return Response()
    direction = jaw[reach > _FOLLOWS * reach.max()].mean(0)
    axis = int(np.abs(direction).argmax())
    down, sign = jaw[:, axis] * np.sign(direction[axis]), np.sign(direction[axis])
    below, least, result = down > _FOLLOWS * down.max(), 0.0, Response()
    if close is not None and (rises := -sign * close[:, axis])[below].max() > 0:
        lip = below & (rises > _LIP * rises[below].max())
        upper = ~below & (rises < _LIP * min(rises[~below].min(initial=0.0), -1e-9))

        def opens(moved):
            return moved[lip].mean() - (moved[upper].mean() if upper.any() else 0.0)

        least = down[upper].mean() if upper.any() else 0.0
        result = replace(result, close=float(np.clip(opens(down) / opens(rises), *_CLOSE_RANGE)))
        if funnel is not None:
            result = replace(result, funnel=float(np.clip(opens(sign * funnel[:, axis]) / opens(down) - _FUNNEL_OPENS, 0.0, 1.0)))
    if lower is not None and (sinks := sign * lower[:, axis])[below].max() > 0:
        lip = below & (sinks > _LIP * sinks[below].max())
        result = replace(result, lower=float(np.clip((down[lip].mean() - least) / sinks[lip].mean(), *_LOWER_RANGE)))
    return result


def jaw_in(key: np.ndarray, jaw: np.ndarray) -> float:
    """Share of jawOpen in another key, such as a vowel's, from the chin's movement by both; offsets [V, 3]."""
    reach = np.linalg.norm(jaw, axis=1)
    chin = reach > _FOLLOWS * max(reach.max(initial=0.0), 1e-12)
    force = float((jaw[chin] ** 2).sum())
    return float((key[chin] * jaw[chin]).sum()) / force if force > 0 else 0.0
