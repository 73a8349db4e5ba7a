# SPDX-License-Identifier: GPL-3.0-or-later
"""What drawings of mouths and eyes are usually called: sets of mouths in their usual order, and
which drawing a name means."""

import re
from collections.abc import Mapping as Values, Sequence
from types import MappingProxyType

from ...spoken import MOUTH_SOUNDS, REST
from ..drawn_mouths import CLOSED, EYES, FROWN, HALF, OPEN, OTHERS, SHUT, SMILE

# The usual sets of drawings in their usual order: name, and the sounds that it stands for.
CHARTS: Values[str, tuple[tuple[str, tuple[str, ...]], ...]] = MappingProxyType({
    "Rhubarb": (
        ("A", (CLOSED,)), ("B", (OTHERS, "S CH", "TH", "EE")), ("C", ("EH",)), ("D", ("AH",)),
        ("E", ("OH",)), ("F", ("OO",)), ("G", ("F V",)), ("H", ("L",)), ("X", (REST,)),
    ),
    "Preston Blair": (
        ("AI", ("AH",)), ("E", ("EE", "EH")), ("O", ("OH",)), ("U", ("OO",)),
        ("etc", (OTHERS, "S CH", "TH")), ("L", ("L",)), ("WQ", ()), ("MBP", (CLOSED,)),
        ("FV", ("F V",)), ("rest", (REST,)),
    ),
    "Twelve Sounds": tuple((name, (name,)) for name in MOUTH_SOUNDS),
})  # fmt: skip
# other names of drawings, without spaces and in small letters
_CALLED = {
    CLOSED: "mbp bmp pbm mpb m closed shut", "F V": "fv f v", "OO": "oo u w wq uw woo",
    "OH": "oh o ao", "AH": "ah a ai aa open wide", "EH": "eh e ae", "EE": "ee i iy ih e",
    "L": "l", "TH": "th", "S CH": "sch s ch sh chjsh chshj z cdgknrsthyz",
    OTHERS: "tdk etc cons consonants t d k n r cdgknrs dnt",
    REST: "rest neutral idle sil x silence normal", SMILE: "smile happy restsmile",
    FROWN: "frown sad restfrown",
    OPEN: "open normal neutral front", HALF: "half halfshut halfclosed halfblink blinkhalf squint",
    SHUT: "shut closed blink close", "Eyes Left": "left l", "Eyes Right": "right r",
    "Eyes Up": "up", "Eyes Down": "down",
}  # fmt: skip
_OF_EYES = {"eye", "eyes", "look", "looks", "blink", "lids", "gaze"}
_SIDES = {
    "left",
    "right",
    "l",
    "r",
}  # an eye at a side is one of both, and eyes at a side look there
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def by_names(names: Sequence[str]) -> dict[str, str]:
    """{sound or look: the name of its drawing} of names as drawings usually have them: Rhubarb's
    letters if there are several of them, else Preston Blair's and those of the sounds."""
    split = {name: [word.lower() for word in _WORD.findall(name)] for name in names}
    shared = set.intersection(*map(set, split.values())) if len(split) > 1 else set()
    looks = {
        "".join(w for w in words if w not in _OF_EYES - {"blink"}): name
        for name, words in split.items()
        if _OF_EYES & set(words) and not ("eye" in words and _SIDES & set(words))
    }
    mouths = {
        "".join(w for w in words if w not in shared | {"mouth"}): name
        for name, words in split.items()
        if not _OF_EYES & set(words)
    }
    called = {name: words.split() for name, words in _CALLED.items()}
    if len(set("bcdgh") & set(mouths)) > 2:  # no other chart has these
        letters = ((sound, label) for label, sounds in CHARTS["Rhubarb"] for sound in sounds)
        called |= {sound: [label.lower()] for sound, label in letters}
    given = {name: looks if name in EYES else mouths for name in called}
    return {  # the first of its words that there is
        name: given[name][word]
        for name, words in called.items()
        for word in reversed(words)
        if word in given[name]
    }
