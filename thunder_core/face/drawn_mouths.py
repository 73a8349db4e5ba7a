# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawn mouths: a head that shows one of several drawings at a time, by the number of a sound.
Which drawing a sound has, what drawings are usually called, and for how long each is held; numpy
only."""

import re
from collections.abc import Iterable, Mapping as Values, Sequence
from dataclasses import replace
from itertools import groupby
from types import MappingProxyType

import numpy as np

from ..filters import split_at_gaps
from ..spoken import MOUTH_SOUNDS, REST
from ..types import BLINKS, in_group, JAW_OPEN_RADIANS, LIP_CLOSE, Motion
from .lips import CLOSED_MM
from .mapping import Driver, Track
from .mouths import motion_of, MOUTHS as CHART

CLOSED, OTHERS = "M B P", "T D K"
SMILE, FROWN = "Smile", "Frown"  # seen at rest instead of it, by the mood of the take
OPEN, HALF, SHUT = "Eyes Open", "Eyes Half Shut", "Eyes Shut"
# A drawing's number is the place of its name, and keys hold numbers: names are only added.
MOUTHS = (*MOUTH_SOUNDS, SMILE, FROWN)
EYES = (OPEN, HALF, SHUT, "Eyes Left", "Eyes Right", "Eyes Up", "Eyes Down")
NAMES = (*MOUTHS, *EYES)

# what is shown of a sound that has no drawing, the likest first
_LIKE = MappingProxyType({
    CLOSED: (REST,), REST: (CLOSED, OTHERS), "F V": (OTHERS, "EE"), "OO": ("OH",),
    "OH": ("OO", "AH"), "AH": ("EH", "OH"), "EH": ("AH", "EE"), "EE": ("EH", OTHERS),
    "L": ("TH", OTHERS), "TH": (OTHERS, "L"), "S CH": (OTHERS, "EE"), OTHERS: ("S CH", "EE"),
    SMILE: (REST,), FROWN: (REST,), HALF: (OPEN,), SHUT: (HALF,),
    **dict.fromkeys(EYES[3:], (OPEN,)),
})  # fmt: skip
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
    REST: "rest neutral idle sil x default silence normal", SMILE: "smile happy restsmile",
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


def stand_in(name: str, drawn: Iterable[str]) -> str:
    """Which of the sounds or looks that are drawn is shown for one: itself, or the likest."""
    there, near = set(drawn), [name]
    for each in near:
        if each in there:
            return each
        near += [like for like in _LIKE.get(each, ()) if like not in near]
    return next(each for each in NAMES if each in there)


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
    found = {}
    for name, words in called.items():
        given = looks if name in EYES else mouths
        found[name] = next((given[word] for word in words if word in given), "")
    return {name: drawing for name, drawing in found.items() if drawing}


# ---- how long a drawing is held

_WEAK = {OTHERS, "S CH", "TH", "L"}  # go first where drawings are too many


def hold(
    numbers: np.ndarray, kept: int, weak: set[int], least: int, least_weak: int = 0
) -> np.ndarray:
    """Numbers of drawings [S], each held for so many at least: shorter ones give way to what is
    around them, weak ones first, or if they are not held longer; `kept` never gives way and takes
    what it lacks from what is before it."""
    numbers, held = numbers.copy(), list[list[int]]()
    for rows in split_at_gaps(np.flatnonzero(numbers == kept)):
        first = max(min(rows[0], rows[-1] + 1 - least), 0)
        numbers[first : max(rows[-1] + 1, first + least)] = kept
    runs = [[number, len(list(same))] for number, same in groupby(numbers.tolist())]
    for run, after in zip(runs, [*runs[1:], [kept, 0]]):
        number, length = run
        lacks = (max(least, least_weak) if number in weak else least) - length
        if held and held[-1][0] == number:
            held[-1][1] += length
        elif lacks <= 0 or number == kept or not held and run is runs[-1]:
            held.append(run)
        elif number not in weak and after[0] != kept and after[1] >= least + lacks:
            after[1] -= lacks
            held.append([number, least])
        elif after[0] != kept or not held:  # mouths come early
            after[1] += length
        else:
            held[-1][1] += length
    return np.repeat(*np.array(held or [[0, 0]]).T)


def on_grid(
    numbers: np.ndarray, kept: int, frames: np.ndarray, step: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of drawings at frames [S], one for every `step` frames: `kept` if it is among them,
    else the one that is there for longest; and which of these each frame shows [S]."""
    _, firsts, rows = np.unique(frames // step, return_index=True, return_inverse=True)
    cells = np.split(numbers, firsts[1:])
    chosen = [kept if kept in cell else np.bincount(cell).argmax() for cell in cells if len(cell)]
    return np.array(chosen, int), rows


# ---- a rig of drawings

_POSES = {name: CHART.get(name, {}) for name in MOUTHS} | {
    CLOSED: dict(mouthPress=0.5),
    "EH": dict(jaw=0.15, mouthStretch=0.3, mouthLowerDown=0.35, mouthUpperUp=0.25),
    OTHERS: dict(jaw=0.05, mouthLowerDown=0.35, mouthUpperUp=0.2, tongueTipUp=0.5),
    SMILE: dict(mouthSmile=0.6),
    FROWN: dict(mouthFrown=0.6),
}
_LIDS = (0.0, 0.5, 1.0, 0.0, 0.0, 0.0, 0.0)  # of EYES
_LOOK = 0.25  # radians of a drawn look to a side
_HALF_FROM, _SHUT_FROM, _LOOKS_FROM = 0.4, 0.7, 0.13  # blinks; radians
_TURNS = _LOOK * np.array([[0, 0], [0, 0], [0, 0], [0, 1], [0, -1], [-1, 0], [1, 0]])
# seconds by which mouths come before their sounds: later ones look late
_LEAD = 0.04
_MOOD_FROM = 0.15  # of the corners' channels, from which on rest smiles or frowns


# channels by which a motion is like a mouth, of both sides, and how much each tells
_TELLS = {
    "mouthSmile": 0.7, "mouthFrown": 0.7, "mouthStretch": 0.7, "mouthLowerDown": 0.5,
    "mouthUpperUp": 0.5, "mouthPress": 0.7, "mouthFunnel": 1.0, "mouthPucker": 1.0,
    "mouthRollLower": 0.7, "mouthRollUpper": 0.5, "mouthShrugLower": 0.5, "tongueOut": 1.0,
    "tongueTipUp": 0.5, "tongueBladeUp": 0.3,
}  # fmt: skip
_JAW_TELLS = 2.0
_FELT = tuple(
    f"{name}{side}"
    for n, name in enumerate(_TELLS)
    for side in (("Left", "Right") if n < 6 else ("",))
)


class DrawnDriver(Driver):
    """Drives a number that says which mouth is shown, and one for the eyes, beside what else of a
    rig moves, such as its neck.

    rig: what else moves.  numbers: of each of MOUTHS and EYES the number that shows it; without
    eyes only of MOUTHS.  least: frames for which a mouth is shown at least.  step: frames for
    which each is held, counted from the frame `origin`.
    """

    is_drawn = True
    sums = None  # type: ignore[assignment]  # takes are scored as they are, not as drawings

    def __init__(
        self,
        rig: Driver,
        dials: Sequence[Track],
        numbers: Values[str, int],
        leads: Values[str, float],
        least: int = 2,
        step: int = 1,
        origin: int = 0,
    ):
        first = len(rig.tracks)
        # what is changed where a take is kept in part; the motion is read in a way of its own
        told = zip((("jaw", *_FELT), ("eyeBlinkLeft", "eyeBlinkRight", "eye")), range(len(dials)))
        parts = [(source, first + dial, 1.0) for sources, dial in told for source in sources]
        super().__init__((*rig.tracks, *dials), (*rig.parts, *parts), rig.turns)
        self.rig, self.numbers = rig, dict(numbers)
        self.leads = {name: leads.get(name, 0.0) for name in MOUTHS}
        self.least, self.step, self.origin = least, step, origin

    def columns(
        self,
        cues: Sequence[tuple[float, str]],
        seconds: np.ndarray,
        motion: Motion,
        channels: Sequence[str],
        opening: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Which mouth is shown at times [S]: 1 for it, 0 for all others.

        cues: (start, sound) one after the other, "" in a pause.  motion: of the take, at 25 fps,
        whose corners choose among mouths at rest.  opening: of its lips, [T] mm; they are shut
        where the text says so though nobody hears it.
        """
        names = [name or REST for _, name in cues]
        starts = np.maximum.accumulate(
            [start - self.leads[name] - _LEAD for (start, _), name in zip(cues, names)]
        )
        shown = np.searchsorted(starts, seconds + 1e-9, side="right") - 1
        for place in np.setdiff1d([n for n, name in enumerate(names) if name == CLOSED], shown):
            middle = starts[place : place + 2].mean()  # it is between two frames
            shown[np.abs(seconds - middle).argmin()] = place
        result = np.array([MOUTHS.index(name) for name in (*names, REST)])[shown]
        bites = MOUTHS.index("F V"), MOUTHS.index(REST)
        for run in split_at_gaps(np.flatnonzero(opening < CLOSED_MM)):
            apart = np.abs(seconds - run.mean() / motion.fps)
            there = np.flatnonzero(apart <= max(len(run) / 2 / motion.fps, apart.min() + 1e-9))
            result[there[~np.isin(result[there], bites)]] = MOUTHS.index(CLOSED)
        rows = np.clip(np.rint(seconds * motion.fps).astype(int), 0, motion.frames - 1)
        mood = motion.expression[rows] @ (
            in_group(channels, ("mouthSmile",)) - 1.0 * in_group(channels, ("mouthFrown",))
        )
        at_rest = result == MOUTHS.index(REST)
        for place in np.unique(shown[at_rest]):
            of_pause = at_rest & (shown == place)
            if abs(mean := mood[of_pause].mean()) > 2 * _MOOD_FROM:
                result[of_pause] = MOUTHS.index(SMILE if mean > 0 else FROWN)
        return {name: (result == number).astype(float) for number, name in enumerate(MOUTHS)}

    def drive(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """As of any driver; the mouth is that of the columns with the names of MOUTHS, else the one
        that is most like the motion."""
        columns = [
            self.rig.drive(motion, channels),
            self._choose(motion, channels, MOUTHS)[:, None],
        ]
        if len(self.tracks) > len(self.rig.tracks) + 1:
            columns.append(self._choose(motion, channels, EYES)[:, None])
        return np.concatenate(columns, axis=1)

    def _choose(self, motion: Motion, channels: Sequence[str], names: Sequence[str]) -> np.ndarray:
        numbers = np.array([self.numbers[name] for name in names])
        given = [name for name in names if name in channels]
        if given:
            of = motion.expression[:, [list(channels).index(name) for name in given]]
            return np.array([self.numbers[name] for name in given])[of.argmax(1)]
        if names is EYES:
            lids = motion.expression[:, in_group(channels, BLINKS)].sum(1) / 2
            down, left = motion.turns[1][:, :2].T
            looks = np.where(
                np.abs(left) > np.abs(down), np.where(left > 0, 3, 4), np.where(down < 0, 5, 6)
            )
            looks = np.where(np.maximum(np.abs(left), np.abs(down)) > _LOOKS_FROM, looks, 0)
            shut = np.searchsorted((_HALF_FROM, _SHUT_FROM), lids)
            return numbers[np.where(shut > 0, shut, looks)]
        there = np.unique(numbers)
        far = _features(motion, channels)[:, None] - _features(
            motion_of([_POSES[MOUTHS[number]] for number in there], _FELT), _FELT
        )
        return there[(far**2).sum(2).argmin(1)]

    def settle(self, frames: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values [S, tracks] at whole frames [S] with each drawing held as long as it should be."""
        result, first, is_held = values.copy(), len(self.rig.tracks), self.step > 1
        looks = set(EYES) - {SHUT, HALF}  # a look of one frame is a flicker, a lid on its way not
        shortest = (CLOSED, self.least, _WEAK, 1 + is_held), (SHUT, 1, looks, 2 - is_held)
        for place, (name, least, weak, least_weak) in enumerate(shortest):
            if first + place < values.shape[1]:
                kept, numbers = self.numbers[name], np.rint(values[:, first + place]).astype(int)
                cells, rows = on_grid(numbers, kept, frames - self.origin, self.step)
                those = {self.numbers[each] for each in weak}
                held = hold(cells, kept, those, -(-least // self.step), least_weak)
                result[:, first + place] = held[rows]
        return result

    def read(self, values: np.ndarray, channels: Sequence[str]) -> Motion:
        """The motion, with expression columns `channels`, of values [T, tracks]: that of the usual
        mouth for each sound."""
        first = len(self.rig.tracks)
        motion = self.rig.read(values[:, :first], channels)
        mouths = motion_of([_POSES[name] for name in MOUTHS], channels)
        rows = np.clip(np.rint(values[:, first]), 0, len(MOUTHS) - 1).astype(int)
        motion = replace(
            motion,
            expression=motion.expression + mouths.expression[rows],
            jaw=motion.jaw + mouths.jaw[rows],
        )
        if values.shape[1] > first + 1:
            looks = np.clip(np.rint(values[:, first + 1]), 0, len(EYES) - 1).astype(int)
            motion.expression[:, in_group(channels, BLINKS)] = np.array(_LIDS)[looks][:, None]
            turns = np.pad(_TURNS, ((0, 0), (0, 1))).astype(np.float32)
            motion = replace(motion, eyes=turns[looks])
        return motion


def _features(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """What tells mouths apart in a motion, [T, features]."""

    def mean(name: str) -> np.ndarray:
        of = in_group(channels, (name,))
        return motion.expression[:, of].sum(1) / max(of.sum(), 1)

    columns = [weight * mean(name) for name, weight in _TELLS.items()]
    closes = mean(LIP_CLOSE)
    return np.stack([*columns, _JAW_TELLS * (motion.jaw[:, 0] / JAW_OPEN_RADIANS - closes)], 1)
