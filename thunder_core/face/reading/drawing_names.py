# SPDX-License-Identifier: GPL-3.0-or-later
"""What drawings of mouths and eyes are usually called: sets of mouths in their usual order, and
which drawing a name means."""

import re
import unicodedata
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
    "Toon Boom": (
        ("A", (CLOSED,)), ("B", (OTHERS, "S CH", "TH", "EE")), ("C", ("EH",)), ("D", ("AH",)),
        ("E", ("OH",)), ("F", ("OO",)), ("G", ("F V",)), ("X", (REST,)),
    ),
    "Character Animator": (
        ("Neutral", (REST,)), ("Aah", ("AH",)), ("D", (OTHERS, "TH")), ("Ee", ("EE",)),
        ("F", ("F V",)), ("L", ("L",)), ("M", (CLOSED,)), ("Oh", ("OH",)), ("R", ()),
        ("S", ("S CH",)), ("Uh", ("EH",)), ("W-Oo", ("OO",)), ("Smile", (SMILE,)),
        ("Surprised", ()),
    ),
    "あいうえおん": (
        ("あ", ("AH",)), ("い", ("EE",)), ("う", ("OO",)), ("え", ("EH",)), ("お", ("OH",)),
        ("ん", (CLOSED, REST)),
    ),
    "Twelve Sounds": tuple((name, (name,)) for name in MOUTH_SOUNDS),
})  # fmt: skip
# other names of drawings, without spaces and in small letters
_CALLED = {
    CLOSED: "mbp bmp pbm mpb m closed shut close ん ン 閉じ",
    "F V": "fv f v bite lipbite bitelip",
    "OO": "oo u w wq uw woo ou う ウ pucker puckered kiss", "OH": "oh o ao お オ round",
    "AH": "ah a ai aa aah あ ア open wide", "EH": "eh e ae え エ uh",
    "EE": "ee i iy ih e い イ wide teeth",
    "L": "l tongue", "TH": "th", "S CH": "sch s ch sh chjsh chshj z cdgknrsthyz teeth",
    OTHERS: "tdk etc cons consonants t d k n r cdgknrs dnt teeth",
    REST: "rest neutral idle sil x silence normal", SMILE: "smile happy restsmile",
    FROWN: "frown sad restfrown",
    OPEN: "open normal neutral front", HALF: "half halfshut halfclosed halfblink blinkhalf squint",
    SHUT: "shut closed blink close", "Eyes Left": "left l", "Eyes Right": "right r",
    "Eyes Up": "up", "Eyes Down": "down",
}  # fmt: skip
# of mouths that stand for no sound of their own beside the others
_MORE = set("r er q wq w uh j ng gk surprised surprise gasp laugh shout".split())
_OF_EYES = {"eye", "eyes", "look", "looks", "blink", "lids", "gaze"}
_SIDES = {
    "left",
    "right",
    "l",
    "r",
}  # an eye at a side is one of both, and eyes at a side look there
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


def _words(name: str) -> list[str]:
    """The words of a name in small letters; kana as they are usually written."""
    plain = unicodedata.normalize("NFKC", name).replace("口", " ")
    return [word.lower() for word in _WORD.findall(plain)]


def left_over(names: Sequence[str], found: Values[str, str]) -> tuple[list[str], list[str]]:
    """The names that `by_names` found no use for: of drawings of mouths, which are to be hidden,
    and of what is not known, which may be anything."""
    known = {word for name, words in _CALLED.items() if name not in EYES for word in words.split()}
    used = {tuple(_words(name)) for name in found.values()}
    mouths, unknown = list[str](), list[str]()
    shared = set.intersection(*map(set, used)) if len(used) > 1 else set[str]()
    for name in names:
        words = _words(name)
        word = "".join(each for each in words if each not in shared | {"mouth"})
        if name in found.values() or _OF_EYES & set(words):
            continue
        is_mouth = word in known | _MORE or tuple(words) in used and bool(words)
        (mouths if is_mouth else unknown).append(name)
    return mouths, unknown


def by_names(names: Sequence[str]) -> dict[str, str]:
    """{sound or look: the name of its drawing} of names as drawings usually have them: Rhubarb's
    and Toon Boom's letters if there are several of them, else those of other programs, the vowels
    and “n” of Japanese mouths, and those of the sounds."""
    split = {name: _words(name) for name in names}
    shared = set.intersection(*map(set, split.values())) if len(split) > 1 else set()
    looks = {
        "".join(w for w in words if w not in _OF_EYES - {"blink"}): name
        for name, words in split.items()
        if _OF_EYES & set(words) and not ("eye" in words and _SIDES & set(words))
    }
    mouths = {
        "".join(w for w in words if w not in shared | {"mouth"}): name
        for name, words in reversed(split.items())  # the first of those that mean the same
        if not _OF_EYES & set(words)
    }
    called = {name: words.split() for name, words in _CALLED.items()}
    if len(set("bcdgh") & set(mouths)) > 2:  # no other chart has these
        letters = ((sound, label) for label, sounds in CHARTS["Rhubarb"] for sound in sounds)
        called |= {sound: [label.lower()] for sound, label in letters}
    if set("aiueon") <= set(mouths):
        called[CLOSED] += "n"
        called[OTHERS].remove("n")
    given = {name: looks if name in EYES else mouths for name in called}
    return {  # the first of its words that there is
        name: given[name][word]
        for name, words in called.items()
        for word in reversed(words)
        if word in given[name]
    }
