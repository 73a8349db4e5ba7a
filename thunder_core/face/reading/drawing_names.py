# SPDX-License-Identifier: GPL-3.0-or-later
"""What drawings of mouths and eyes are usually called: sets of mouths in their usual order, and
which drawing a name means."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping as Values, Sequence
from itertools import chain
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
_OF_MOUTHS = {"mouth", "mouths", "lip", "lips"}
_OTHER_PARTS = set(
    "nose head pupil pupils iris brow brows eyebrow eyebrows eyelid eyelids lid ear ears hair neck "
    "body cheek cheeks chin hat arm arms hand hands leg legs background".split()
)
_AND = {"and", "or"}
# an eye at a side is one of both, and eyes at a side look there
_SIDES = {"left", "right", "l", "r"}
# letters of lists such as “L, D, Th”, and the sounds that they stand for
_OF_LETTER = {
    letter: sounds
    for letters, sounds in (
        ("m b p", (CLOSED,)), ("f v", ("F V",)), ("u w q oo", ("OO",)), ("o oh", ("OH",)),
        ("a ah", ("AH",)), ("e ee", ("EE", "EH")), ("i", ("EE",)), ("l", ("L",)), ("th", ("TH",)),
        ("s z sh ch j", ("S CH",)), ("c d g h k n r t x y", (OTHERS,)),
    )
    for letter in letters.split()
}  # fmt: skip
# sounds that share a mouth in such lists
_SHARED = ({CLOSED}, {"F V"}, {"OO", "OH", "AH", "EE", "EH"}, {"L", "TH", "S CH", OTHERS})
_LETTER = re.compile(r"th|sh|ch|oo|ee|ah|oh|[a-z]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


def _words(name: str) -> list[str]:
    """The words of a name in small letters; kana as they are usually written."""
    plain = unicodedata.normalize("NFKC", name).replace("口", " ")
    return [word.lower() for word in _WORD.findall(plain)]


def _letters(words: Sequence[str]) -> Counter[str]:
    """How many letters of each sound a name has that is a list of letters, such as “L, Th” or
    “CDGKNRSYZ”; none for all other names."""
    read = list[str]()
    for word in words:
        parts = _LETTER.findall(word)
        is_mixed = 0 < len(set("".join(parts)) & set("aeiouwq")) < len(set("".join(parts)))
        is_word = is_mixed or len(word) < 4 and word.endswith("y")  # such as sky
        if "".join(parts) != word or len(parts) > 1 and (is_word or len(set(parts)) < len(parts)):
            return Counter()
        read += parts
    if "a" in read:
        read = ["a" if letter == "i" else letter for letter in read]  # “A, I”, as in “my”
    result = Counter(sound for letter in read for sound in _OF_LETTER[letter])
    is_list = len(read) > 1 and any(result.keys() <= shared for shared in _SHARED)
    return result if is_list else Counter()


def _plain(words: Sequence[str], shared: Collection[str] = ()) -> list[str]:
    """What the words of a mouth's name say, without what they share with others."""
    return [word for word in words if word not in _OF_MOUTHS | _AND and word not in shared]


def _is_part(words: Sequence[str], shared: Collection[str] = ()) -> bool:
    """Whether a name is that of eyes, or of something else that is no mouth."""
    own = set(words).difference(shared)
    return bool(own & _OF_EYES or own & _OTHER_PARTS and not _OF_MOUTHS & set(words))


def in_order(names: Sequence[str]) -> list[str]:
    """The names that may be mouths, in the order of their numbers if all have some."""
    if rows := numbered(names):
        return rows
    rows = [name for name in names if not _is_part(_words(name))]
    is_numbered = all(re.search(r"\d", name) for name in rows)
    return sorted(rows, key=_number) if is_numbered else rows


def numbered(names: Sequence[str]) -> list[str]:
    """The names of three mouths or more that are told apart by numbers alone, in their order:
    “mouth” and a number, or what the names of all others begin with."""
    split = {name: _words(name) for name in names}
    mouths = {name: words for name, words in split.items() if not _is_part(words)}
    alike = defaultdict[tuple[str, ...], list[str]](list)
    for name, words in mouths.items():
        alike[tuple(words)].append(name)
    for stem, same in alike.items():
        is_shared = all(set(stem) <= set(words) for words in mouths.values())
        count = sum(re.search(r"\d", name) is not None for name in same)
        if count > 2 and (is_shared or _OF_MOUTHS.issuperset(stem)):
            return sorted(same, key=_number)
    return []


def _number(name: str) -> int:
    """The last number of a name; -1 for none, as of what Blender numbers copies of."""
    return int((re.findall(r"\d+", name) or [-1])[-1])


def lids(names: Sequence[str]) -> dict[str, str]:
    """{name: its look} of the drawings of one eye that are named as open, half shut or shut, such
    as “Left Blink”."""
    looks = {word: look for look in (OPEN, HALF, SHUT) for word in _CALLED[look].split()}
    result = dict[str, str]()
    for name in names:
        words = _words(name)
        own = "".join(w for w in words if w not in _SIDES | _OF_EYES - {"blink"})
        if _SIDES & set(words) and _OF_EYES & set(words) and own in looks:
            result[name] = looks[own]
    return result


def left_over(
    names: Sequence[str], used: Collection[str]
) -> tuple[list[str], list[str], list[str]]:
    """The names that are not used: of drawings of mouths whose sounds others show, of those that
    seem to be mouths but say no sound, and of what is not known, which may be anything."""
    known = {word for name, words in _CALLED.items() if name not in EYES for word in words.split()}
    split = [words for name in used if not _is_part(words := _words(name))]
    shared = set.intersection(*map(set, split)) if len(set(map(tuple, split))) > 1 else set[str]()
    is_chart = len(split) > 2
    mouths, unclear, unknown = list[str](), list[str](), list[str]()
    for name in names:
        words = _words(name)
        word = "".join(plain := _plain(words, shared))
        if name in used or _OF_EYES & set(words):
            continue
        if word in known | _MORE or words in split and words or _letters(plain):
            mouths.append(name)
        elif is_chart and plain and (_OF_MOUTHS & set(words) or max(map(len, plain)) == 1):
            unclear.append(name)
        else:
            unknown.append(name)
    return mouths, unclear, unknown


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
    counted = set(numbered(names))
    plain = {
        name: _plain(words, shared)
        for name, words in reversed(split.items())  # the first of those that mean the same
        if not _is_part(words, shared) and name not in counted
    }
    mouths = {"".join(words): name for name, words in plain.items()}
    called = {name: words.split() for name, words in _CALLED.items()}
    if len(set("bcdgh") & set(mouths)) > 2:  # no other chart has these
        letters = ((sound, label) for label, sounds in CHARTS["Rhubarb"] for sound in sounds)
        called |= {sound: [label.lower()] for sound, label in letters}
    if set("aiueon") <= set(mouths):
        called[CLOSED] += "n"
        called[OTHERS].remove("n")
    given = {name: looks if name in EYES else mouths for name in called}
    found = {  # the first of its words that there is
        name: given[name][word]
        for name, words in called.items()
        for word in reversed(words)
        if word in given[name]
    }
    lists = {name: _letters(words) for name, words in plain.items()}
    known = set(found.values())  # of these, lists of consonants alone say more
    lists = {name: of for name, of in lists.items() if name not in known or OTHERS in of}
    for sound in dict.fromkeys(chain(*_OF_LETTER.values())):
        # that of which it is most
        share = {name: of[sound] / of.total() for name, of in lists.items() if sound in of}
        if share and sound not in found:
            found[sound] = max(share, key=share.__getitem__)
    return found
