# SPDX-License-Identifier: GPL-3.0-or-later
"""Naming conventions of characters' shapes as data, recognised in any spelling, and descriptions of
what is lost without a channel."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from ...own_files import left_out_if_damaged
from ...text_files import read_text
from ...types import GAZE, region_of
from ..mapping import DERIVED, FALLBACKS

FOLDER = Path(__file__).with_name("conventions")
_LARGEST = 2**18  # largest file of a convention, bytes

# The vowels of some conventions have single-letter names, which are ambiguous alone: this many of
# them must exist.
_SHORT_LETTERS, _SHORT_ENOUGH = 2, 3
_FRAMED = 3  # names with the same text around them, from which on that is taken for decoration

_LOST = {
    "jawOpen": "the mouth does not open: no speech is possible",
    "jawLeft": "the jaw does not swing to the side",
    "jawRight": "the jaw does not swing to the side",
    "jawForward": "the chin does not come forward on “sh” and in anger",
    "mouthClose": "the lips do not meet while the jaw is open: P, B and M are said with the whole "
    "jaw",
    "mouthFunnel": "the lips do not funnel: “sh”, “ch” and an open “o” look flat",
    "mouthPucker": "the lips do not come together in front: “oo” and “w” look like “ah”",
    "mouthRollLower": "the lower lip does not go under the teeth: F and V are not seen",
    "mouthRollUpper": "the upper lip does not roll in on M and P",
    "mouthShrugLower": "the chin does not push the lower lip up",
    "mouthShrugUpper": "the upper lip is not pushed up with the lower",
    "mouthLeft": "the mouth does not shift to the side",
    "mouthRight": "the mouth does not shift to the side",
    "mouthDimple": "no dimples beside the mouth",
    "mouthFrown": "the corners do not go down: no sadness",
    "mouthLowerDown": "the lower teeth do not show: S, Z and “ee” look tight",
    "mouthPress": "P, B and M close without pressure",
    "mouthSmile": "the corners do not go up: no smile",
    "mouthStretch": "the mouth does not widen: “ee” looks like “eh”",
    "mouthUpperUp": "the upper lip does not rise: F, V and S look closed, no disgust",
    "browInnerUp": "no worry: the inner brows stay",
    "browDown": "no frown: the brows do not go down",
    "browOuterUp": "the outer brows do not rise: less surprise and stress",
    "cheekPuff": "the cheeks do not fill on P and B",
    "cheekSquint": "the cheeks do not rise: a smile does not reach the eyes",
    "noseSneer": "the nose does not wrinkle",
    "eyeBlink": "no blinks",
    "eyeSquint": "the lids do not narrow",
    "eyeWide": "the lids do not widen",
    "eyeLook": "the eyes do not turn by these keys",
    "tongueOut": "the tongue does not come out: “th” is not seen",
    "tongueTipUp": "the tip of the tongue does not rise on T, D, N and L",
    "tongueBladeUp": "the tongue stays down on “sh”, “ch” and “y”",
    "tongueBack": "the back of the tongue stays down on K and G",
    "neck": "the head keeps still",
    "jaw": "the mouth does not open: no speech is possible",
    "eye_left": "the left eye does not turn",
    "eye_right": "the right eye does not turn",
}


@dataclass(frozen=True)
class Convention:
    """A naming convention.

    keys: channel → alternatives, best first; each is {name: weight} of shapes that make the channel
    together.
    bones: joint → names of bones, best first (of the neck all that are there share the turn).
    marks: names that distinguish it from another convention with the same shapes; a name that ends
    in * is a prefix.
    numbered: its mouths in the order in which some makers number them, silence first.
    """

    name: str
    title: str
    order: int
    keys: dict[str, tuple[dict[str, float], ...]]
    bones: dict[str, tuple[str, ...]] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recognised:
    """A convention's matches among names: channel → {the character's name: weight}; channels that
    use another's shapes.

    proper: number of channels matched by the convention's preferred names.
    """

    convention: Convention
    shapes: dict[str, dict[str, float]]
    fallbacks: dict[str, str]
    proper: int


@lru_cache(maxsize=1)
def conventions() -> tuple[Convention, ...]:
    """All known conventions in the order they are preferred, but for damaged files'."""
    result = []
    for path in sorted(FOLDER.glob("*.json")):
        with left_out_if_damaged(path):
            result.append(_load(path))
    return tuple(sorted(result, key=lambda convention: (convention.order, convention.name)))


def _load(path: Path) -> Convention:
    data = json.loads(read_text(path, _LARGEST))
    keys = {
        channel: tuple(
            {item: 1.0} if isinstance(item, str) else item
            for item in (value if isinstance(value, list) else [value])
        )
        for channel, value in data["keys"].items()
    }
    bones = {joint: tuple(names) for joint, names in data.get("bones", {}).items()}
    marks, numbered = (tuple(data.get(each, ())) for each in ("marks", "numbered"))
    shapes = [item for items in keys.values() for item in items]
    names = [data["name"], data["title"], *marks, *numbered, *sum(bones.values(), ())]
    weights = [data["order"], *(weight for shape in shapes for weight in shape.values())]
    if not all(isinstance(each, str) for each in names):
        raise ValueError("it has something else where names belong")
    if not all(isinstance(each, (int, float)) for each in weights):
        raise ValueError("it has something else where numbers belong")
    return Convention(data["name"], data["title"], data["order"], keys, bones, marks, numbered)


# ---- spelling


_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")
_SIDES = {"l": "left", "r": "right", "lf": "left", "rt": "right"}
# an action unit and a numbered mouth in the words of a name
_UNIT = re.compile(r"(?:\D* )?(?:au|facs|action unit) (\d+)(?: \D*)?")
_MOUTH = re.compile(r"(?:.* )?(?:visemes?|vis|vi) (\d+)(?: \d+)?(?P<rest> \D+)?")


@lru_cache(maxsize=8192)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, sides written out, numbers without leading zeros:
    “browDown_L”, “Brow_Down_Left” → brow down left."""
    parts = (part.lower() for part in _WORDS.findall(name))
    return tuple(_SIDES.get(word, word.lstrip("0") or "0") for word in parts)


def spelling(name: str) -> str:
    """A name without case and separators, its sides written out."""
    return "".join(words(name))


def _forms(name: str):
    """The word lists a name may be read as: as it is, and with its one side moved to the end."""
    parts = words(name)
    yield parts
    sides = [i for i, word in enumerate(parts) if word in ("left", "right")]
    if len(sides) == 1 and sides[0] != len(parts) - 1:
        yield tuple(word for i, word in enumerate(parts) if i != sides[0]) + (parts[sides[0]],)


def _frame(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, str]:
    """The text around a shape's name, numbers replaced by #: the names of one character share
    it."""
    before_text = re.sub(r"\d+", "#", " ".join(before))
    return re.sub(r"^.* ?lod #? ?mesh$", "* lod # mesh", before_text), re.sub(
        r"\d+", "#", " ".join(after)
    )


@lru_cache(maxsize=8192)
def _readings(name: str) -> tuple[tuple[str, tuple[str, str] | None], ...]:
    """All shapes that a name may mean: (spelling, text around it; None if it is the whole name)."""
    readings: dict = {}
    spaced = " ".join(words(name))
    if len(re.findall(r"\bau \d", spaced)) > 1:  # what two action units do together is neither
        return ()
    for form in _forms(name):
        readings[("".join(form), None)] = None
        for start in range(len(form)):
            # “left” after “mouthSmile” is no decoration
            for end in range(len(form), start, -1):
                if (start, end) != (0, len(form)) and not {"left", "right"} & set(form[end:]):
                    readings[("".join(form[start:end]), _frame(form[:start], form[end:]))] = None
    if unit := _UNIT.fullmatch(spaced):  # whatever is said of it besides
        readings["au" + unit[1] + "".join({"left", "right"} & set(words(name))), None] = None
    return tuple(readings)


@lru_cache(maxsize=64)
def _numbered(names: tuple[str, ...]) -> dict[str, str]:
    """What mouths with numbers are called in words, {name: that name}: by what is said of them
    besides, else by the list that their first and last number fit; none where they fit none."""
    found = {name: at for name in names if (at := _MOUTH.fullmatch(" ".join(words(name))))}
    result = {name: "viseme" + at["rest"] for name, at in found.items() if at["rest"]}
    numbers = {name: int(at[1]) for name, at in found.items() if name not in result}
    first, last = min(numbers.values(), default=0), max(numbers.values(), default=0)
    for order in (each.numbered for each in conventions() if 2 * len(numbers) > len(each.numbered)):
        if order and first <= 1 and last in (len(order) - 1, len(order) * first):
            begin = int(last == len(order))  # they begin with 0, or with 1
            result |= {name: order[number - begin] for name, number in numbers.items()}
    return result


def match(wanted: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Find the wanted names among others, in any spelling and behind the prefix that most of them
    share.

    Returns {wanted: [matching names]}; wanted names without a match are left out.
    """
    spelt: dict[str, str] = {}
    for name in wanted:
        spelt.setdefault(spelling(name), name)
    result: dict[str, list[str]] = {}
    framed: dict[tuple[str, str], dict[str, list[str]]] = {}
    called = _numbered(tuple(names))
    for name in names:
        readings = [
            (spelt[form], frame)
            for form, frame in _readings(called.get(name, name))
            if form in spelt
        ]
        whole = next((shape for shape, frame in readings if frame is None), None)
        if whole is not None:
            result.setdefault(whole, []).append(name)
            continue
        for shape, frame in readings:
            assert frame is not None
            framed.setdefault(frame, {}).setdefault(shape, []).append(name)
    # a character's names may have several frames: facs_bs_…_div2, facs_jnt_…
    ranked = sorted(framed, key=lambda frame: -len(framed[frame]))
    alike = {
        before.split(" ")[0] for before, after in ranked if len(framed[before, after]) >= _FRAMED
    }
    for number, frame in enumerate(ranked):
        is_alike = frame[0] and frame[0].split(" ")[0] in alike
        if len(framed[frame]) >= _FRAMED or is_alike or (number == 0 and not result):
            for shape, matches in framed[frame].items():
                # if a plain and a prefixed name exist, the plain one is the shape
                result.setdefault(shape, matches)
    return result


# ---- finding


@lru_cache(maxsize=64)
def find(names: tuple[str, ...], others: tuple[str, ...] = ()) -> Recognised | None:
    """The convention that explains most of these shape names, None if none explains any.

    others: names of the character's objects and bones, in which some conventions leave their mark.
    """
    marks = {spelling(name) for name in (*names, *others)} | {
        name.lower() for name in (*names, *others)
    }

    def rank(recognised: Recognised) -> tuple[int, int, int, int]:
        marked = sum(_is_marked(mark, marks) for mark in recognised.convention.marks)
        return (
            len(recognised.shapes) - len(recognised.fallbacks),
            marked,
            recognised.proper,
            -recognised.convention.order,
        )

    explained = sorted(
        (each for convention in conventions() if (each := explain(convention, names)).shapes),
        key=rank,
        reverse=True,
    )
    return _complete(explained, names) if explained else None


def _jaw_names() -> list[str]:
    """Names that say that a mouth or a jaw opens."""
    names = (name for each in conventions() for jaws in each.keys["jawOpen"] for name in jaws)
    return [name for name in names if {"open"} < set(words(name)) & {"open", "mouth", "jaw"}]


def _complete(explained: list[Recognised], names: Sequence[str]) -> Recognised:
    """The first of what conventions explain, with channels that it lacks from the others: each
    takes the best match, and a shape means one thing."""
    best = explained[0]
    own = {name: shape for name, shape in best.shapes.items() if name not in best.fallbacks}
    used = {shape for shapes in own.values() for shape in shapes}
    for other in explained[1:]:
        added = {
            channel: shapes
            for channel, shapes in other.shapes.items()
            if channel not in own and channel not in other.fallbacks and not used & set(shapes)
        }
        own |= added
        used |= {shape for shapes in added.values() for shape in shapes}
    jaws = match(_jaw_names(), names) if "jawOpen" not in own else {}
    for wanted in _jaw_names():  # alone behind a prefix: measuring tells whether it is one
        if wanted in jaws and not used & set(jaws[wanted]):
            own.setdefault("jawOpen", dict.fromkeys(jaws[wanted], 1.0))
    return _replace_missing(best.convention, own, best.proper)


@lru_cache(maxsize=64)
def joint_bones(bones: tuple[str, ...], joint: str = "") -> tuple[str, ...]:
    """The bones that are named like a jaw, a neck or an eye in some convention, or like this
    joint."""
    found = {
        name
        for convention in conventions()
        for each, wanted in convention.bones.items()
        if joint in ("", each)
        for names in match(wanted, bones).values()
        for name in names
    }
    return tuple(sorted(found))


def _is_marked(mark: str, names: set[str]) -> bool:
    return (
        any(name.startswith(mark[:-1].lower()) for name in names)
        if mark.endswith("*")
        else spelling(mark) in names
    )


def explain(convention: Convention, names: Sequence[str]) -> Recognised:
    """The matches of one convention among shape names."""
    wanted = [
        name for alternatives in convention.keys.values() for each in alternatives for name in each
    ]
    matches = match(wanted, names)
    spelt = {spelling(name): original for name, original in matches.items()}
    short = [form for form in spelt if len(form) <= _SHORT_LETTERS]
    if len(short) < _SHORT_ENOUGH:
        # beside enough other names two letters say enough
        least = _SHORT_LETTERS if len(spelt) >= _SHORT_ENOUGH else _SHORT_LETTERS + 1
        spelt = {form: original for form, original in spelt.items() if len(form) >= least}
    shapes: dict[str, dict[str, float]] = {}
    proper = 0
    for channel, alternatives in convention.keys.items():
        chosen = next(
            (each for each in alternatives if all(spelling(name) in spelt for name in each)), None
        )
        if chosen is None:  # one half of a split shape is better than none
            chosen = next(
                (
                    each
                    for each in alternatives
                    if 2 * sum(spelling(name) in spelt for name in each) >= len(each)
                ),
                None,
            )
        proper += chosen is alternatives[0]
        if chosen is not None:
            shapes[channel] = {
                actual: weight
                for name, weight in chosen.items()
                for actual in spelt.get(spelling(name), ())
            }
    return _replace_missing(convention, shapes, proper)


def _replace_missing(convention: Convention, shapes: dict, proper: int) -> Recognised:
    """The matches of a convention, and shapes of other channels for those without."""
    used = {
        channel: fallback
        for channel, (fallback, _) in FALLBACKS.items()
        if channel not in shapes and fallback in shapes
    }
    replaced = {
        channel: {name: FALLBACKS[channel][1] * weight for name, weight in shapes[fallback].items()}
        for channel, fallback in used.items()
    }
    return Recognised(convention, shapes | replaced, used, proper)


def loss(channel: str) -> str:
    """A description, for animators, of the loss without a channel, a derived key or a joint."""
    stem = re.sub(r"(Left|Right)$", "", channel) if channel not in _LOST else channel
    side = {"Left": "on the left, ", "Right": "on the right, "}.get(channel[len(stem) :], "")
    if channel.startswith(GAZE):
        stem, side = "eyeLook", ""
    return side + _LOST.get(stem, "this movement is not seen")


def missing(used, channels: Sequence[str]) -> list[tuple[str, str]]:
    """Sources without a target: [(channel, loss)], most important first. used: names of channels,
    keys and joints.

    A rotation counts as present by its joint or by its keys. A still head is seen at once, so it
    comes right after a still jaw.
    """
    present = set(used)
    if "jaw" in present:
        present |= {"jawOpen", "jawLeft"}
    if any(name.startswith(GAZE) for name in used):
        present |= {"eye_left", "eye_right"}
    important = [name for name in _IMPORTANT if name in channels]
    wanted = ("jawOpen", "neck", *important, *channels, "jawLeft", "eye_left", "eye_right")
    return [(name, loss(name)) for name in dict.fromkeys(wanted) if name not in present]


_IMPORTANT = (
    "mouthClose",
    "mouthPucker",
    "mouthFunnel",
    "mouthRollLower",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthPressLeft",
    "mouthPressRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
)


def all_sources(channels: Sequence[str]) -> tuple[str, ...]:
    """All sources of a mapping, in the order a table shows them: jaw first, then mouth, eyes,
    brows, head."""
    names = (
        "jawOpen",
        "jawLeft",
        "jawRight",
        *channels,
        *(name for name in DERIVED if name.startswith(GAZE)),
    )
    order = {"jaw": 0, "mouth": 1, "eyes": 2, "upper_face": 3, "head": 4}
    return tuple(sorted(dict.fromkeys(names), key=lambda name: order[region_of(name)]))
