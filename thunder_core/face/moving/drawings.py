# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that shows one of several drawings at a time, by the number of a sound: which one, and for
how long each is held; numpy only."""

from collections.abc import Mapping as Values, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

import numpy as np

from ...filters import split_at_gaps
from ...grid import Grid
from ...spoken import REST
from ...types import BLINKS, CLOSED_MM, in_group, LIP_CLOSE, Motion, MOUTH
from ..drawn_mouths import CLOSED, EYES, FROWN, HALF, MOUTHS, OPEN, OTHERS, SHUT, SMILE
from ..mapping import COMPONENTS, Sums
from .driving import Driver, sources, Track
from .mouths import motion_of, MOUTHS as CHART

# ---- how long a drawing is held


def hold(
    numbers: np.ndarray, kept: int, weak: set[int], least: int, least_weak: int = 0
) -> np.ndarray:
    """Numbers of drawings [S], each held for so many at least: shorter ones give way to what is
    around them, weak ones first, or if they are not held longer; `kept` never gives way and takes
    what it lacks from what is before it."""
    numbers, held = numbers.copy(), list[list[int]]()
    for rows in split_at_gaps(np.flatnonzero(numbers == kept)):
        first = min(rows[0], rows[-1] + 1 - least)
        numbers[max(first, 0) : max(rows[-1] + 1, least)] = kept
    runs = [[number, len(list(same))] for number, same in groupby(numbers.tolist())]
    for run, after in zip(runs, [*runs[1:], [kept, 0]]):
        number, length = run
        is_between = bool(held) and held[-1][0] == kept == after[0]  # else they would be one
        is_weak = number in weak and not is_between
        lacks = (max(least, least_weak) if is_weak else least) - length
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


# ---- a rig of drawings


@dataclass(frozen=True)
class Dial:
    """A number of a head of drawings.

    names: what it shows, by its number.  rest: shown where nothing else is.  kept: the one that
    never gives way to others.  weak: those that go first where they are too many, or short.
    tells: channels, and joints, by which a motion is like one of them, and how much each tells.
    """

    label: str
    names: tuple[str, ...]
    rest: str
    kept: str
    weak: tuple[str, ...]
    tells: Values[str, float]

    def motion(self, channels: Sequence[str]) -> Motion:
        """A motion with a frame for each of its names, as they usually look."""
        shown = motion_of([_POSES.get(name, {}) for name in self.names], channels)
        looks = [_LOOKS.get(name, (0.0, 0.0, 0.0)) for name in self.names]
        return replace(shown, eyes=np.array(looks, np.float32) if self.names == EYES else None)

    def chosen(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """The number of the name that a motion is most like [T]; that of a column with a name."""
        if given := [name for name in self.names if name in channels]:
            columns = motion.expression[:, [list(channels).index(name) for name in given]]
            return np.array([self.names.index(name) for name in given])[columns.argmax(1)]
        channels_told = tuple(self.tells)
        far = self._told(motion, channels)[:, None] - self._told(
            self.motion(channels_told), channels_told
        )
        return (far**2).sum(2).argmin(1)

    def _told(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """What tells its names apart in a motion, [T, tells]."""
        given, nothing = sources(motion, channels), np.zeros(motion.frames)
        given["jaw"] = given["jawOpen"] - given.get(LIP_CLOSE, nothing)
        return np.stack([by * given.get(name, nothing) for name, by in self.tells.items()], 1)


# channels of both sides, and single ones
_TELLS = dict.fromkeys(("mouthSmile", "mouthFrown", "mouthStretch", "mouthPress"), 0.5) | {
    "mouthLowerDown": 0.35, "mouthUpperUp": 0.35
}  # fmt: skip
_TELLS_ALONE = {
    "mouthFunnel": 1.0, "mouthPucker": 1.0, "mouthRollLower": 0.7, "mouthRollUpper": 0.5,
    "mouthShrugLower": 0.5, "tongueOut": 1.0, "tongueTipUp": 0.5, "tongueBladeUp": 0.3, "jaw": 2.0,
}  # fmt: skip
_LOOK = 0.25  # radians of a drawn look to a side
DIALS = (
    Dial("Mouth", MOUTHS, REST, CLOSED, (OTHERS, "S CH", "TH", "L"), {
        f"{name}{side}": by for name, by in _TELLS.items() for side in ("Left", "Right")
    } | _TELLS_ALONE),
    # looks of a few frames are flickers, a lid on its way is none
    Dial("Eyes", EYES, OPEN, SHUT, (OPEN, *EYES[3:]), {
        "eyeBlinkLeft": 0.7, "eyeBlinkRight": 0.7, "eye_left.x": 0.75 / _LOOK,
        "eye_left.y": 0.75 / _LOOK,
    }),
)  # fmt: skip
_POSES = {
    **CHART,
    CLOSED: dict(mouthPress=0.5),
    "EH": dict(jaw=0.15, mouthStretch=0.3, mouthLowerDown=0.35, mouthUpperUp=0.25),
    OTHERS: dict(jaw=0.05, mouthLowerDown=0.35, mouthUpperUp=0.2, tongueTipUp=0.5),
    SMILE: dict(mouthSmile=0.6),
    FROWN: dict(mouthFrown=0.6),
    HALF: dict(eyeBlink=0.6),
    SHUT: dict(eyeBlink=0.9),
}
_LOOKS = {
    "Eyes Left": (0.0, _LOOK, 0.0), "Eyes Right": (0.0, -_LOOK, 0.0),
    "Eyes Up": (-_LOOK, 0.0, 0.0), "Eyes Down": (_LOOK, 0.0, 0.0),
}  # fmt: skip
# seconds by which mouths come before their sounds: later ones look late
_LEAD = 0.04
_MOOD_FROM = 0.3  # of corners of both sides, from which on rest smiles or frowns


class DrawnDriver(Driver):
    """Drives the numbers of dials, beside what else of a rig moves, such as its neck.

    rig: what else moves.  tracks: one for each dial, of DIALS as many.  numbers: of each name of
    the dials the number that shows it.  least: frames for which a mouth is shown at least.
    step: frames for which each is held, counted from the frame `origin`, as in commits.
    """

    is_drawn = True

    def __init__(
        self,
        rig: Driver,
        tracks: Sequence[Track],
        numbers: Values[str, int],
        leads: Values[str, float],
        least: int = 2,
        step: int = 1,
        origin: int = 0,
    ):
        self.rig, self.numbers, self.dials = rig, dict(numbers), DIALS[: len(tracks)]
        # what is changed where a take is kept in part; the motion is read in a way of its own
        told = enumerate((dial.tells for dial in self.dials), len(rig.tracks))
        parts = [(source, place, 1.0) for place, tells in told for source in tells]
        super().__init__((*rig.tracks, *tracks), (*rig.parts, *parts), rig.turns)
        self.leads = {name: leads.get(name, 0.0) for name in MOUTHS}
        self.least, self.grid = least, Grid(origin, step)

    def say(
        self,
        cues: Sequence[tuple[float, str]],
        seconds: np.ndarray,
        motion: Motion,
        channels: Sequence[str],
        opening: np.ndarray,
    ) -> np.ndarray:
        """The mouth's number at times [S].

        cues: (start, sound) one after the other, "" in a pause.  motion: of the take, at 25 fps,
        whose corners choose among mouths at rest.  opening: of its lips, [T] mm; they are shut
        where the text says so though nobody hears it.
        """
        names = [REST, *(name or REST for _, name in cues)]
        starts = np.maximum.accumulate(
            [start - self.leads[name] - _LEAD for (start, _), name in zip(cues, names[1:])]
        )
        shown = np.searchsorted(starts, seconds + 1e-9, side="right")
        for place in set(range(1, len(names))).difference(shown):
            if names[place] == CLOSED:  # between two frames
                shown[np.abs(seconds - starts[place - 1 : place + 1].mean()).argmin()] = place
        shown[seconds >= len(opening) / motion.fps] = 0
        result = np.array([MOUTHS.index(name) for name in names])[shown]
        at_rest = result == MOUTHS.index(REST)
        for run in split_at_gaps(np.flatnonzero(opening < CLOSED_MM)):
            apart = np.abs(seconds - run.mean() / motion.fps)
            is_shut = apart <= max(len(run) / 2 / motion.fps, apart.min() + 1e-9)
            result[is_shut & ~at_rest] = MOUTHS.index(CLOSED)
        rows = np.clip(np.rint(seconds * motion.fps).astype(int), 0, motion.frames - 1)
        corners = 1.0 * in_group(channels, ("mouthSmile",)) - in_group(channels, ("mouthFrown",))
        mood = np.bincount(shown, motion.expression[rows] @ corners) / np.bincount(shown).clip(1)
        for name, felt in ((SMILE, mood), (FROWN, -mood)):
            result[at_rest & (felt[shown] > _MOOD_FROM)] = MOUTHS.index(name)
        return self._numbers(DIALS[0])[result]

    def drive(self, motion: Motion, channels: Sequence[str]) -> np.ndarray:
        """As of any driver; drawings are those that are most like the motion."""
        chosen = [self._numbers(dial)[dial.chosen(motion, channels)] for dial in self.dials]
        return np.column_stack([self.rig.drive(motion, channels), *chosen])

    def _numbers(self, dial: Dial) -> np.ndarray:
        """The number that shows each name of a dial, [names]."""
        return np.array([self.numbers[name] for name in dial.names])

    def seen(self, channels: Sequence[str]) -> Sums:
        """What is seen of a motion with expression columns `channels`, as of `sums`."""
        groups = tuple(chain(*((MOUTH, (*BLINKS, "eye_"))[: len(self.dials)])))
        names = [name for name in (*channels, *COMPONENTS) if name.startswith(groups)]
        return [*([(name, 1.0)] for name in names), *self.rig._sums]

    def settle(self, frames: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values [S, tracks] at whole frames [S] with each drawing held as long as it should be: of
        `step` frames the one that is there for longest, and what else moves as on the first. One
        that never gives way has those in which most of it lies, so that what is between two of them
        is seen."""
        step, at = self.grid.step, self.grid.place(frames)
        _, firsts, rows = np.unique(at, return_index=True, return_inverse=True)
        result = values[firsts[rows]]
        shortest = (self.least, self.least * step), (1, 4)  # frames, and of weak ones
        for place, (dial, least) in enumerate(zip(self.dials, shortest), len(self.rig.tracks)):
            kept, numbers = self.numbers[dial.kept], np.rint(values[:, place]).astype(int)
            counts = np.zeros((len(firsts), numbers.max(initial=kept) + 1))
            np.add.at(counts, (rows, numbers), 1.0)
            counts[:, kept] -= 0.5
            for run in split_at_gaps(np.flatnonzero(numbers == kept)):
                counts[np.bincount(rows[run]).argmax(), kept] = np.inf
            weak = {self.numbers[name] for name in dial.weak}
            shortest_held = (-(-count // step) for count in least)
            result[:, place] = hold(counts.argmax(1), kept, weak, *shortest_held)[rows]
        return result

    def close(self, frames: np.ndarray, values: np.ndarray, row: int) -> np.ndarray:
        """Values [S, tracks] at whole frames [S] with the closed mouth at a row, held as of
        `settle`; what that does not change stays."""
        closed = values.copy()
        closed[row, len(self.rig.tracks)] = self.numbers[CLOSED]
        before, after = self.settle(frames, values), self.settle(frames, closed)
        return np.where(after != before, after, values)

    def read(self, values: np.ndarray, channels: Sequence[str]) -> Motion:
        """The motion, with expression columns `channels`, of values [T, tracks]: as the drawings
        that are shown usually look."""
        first = len(self.rig.tracks)
        motion = self.rig.read(values[:, :first], channels)
        for dial, column in zip(self.dials, np.rint(values[:, first:]).astype(int).T):
            names = self._numbers(dial)[np.clip(column, 0, len(dial.names) - 1)]
            shown = dial.motion(channels).part(names)
            motion = replace(
                motion,
                expression=motion.expression + shown.expression,
                jaw=motion.jaw + shown.jaw,
                eyes=motion.eyes if shown.eyes is None else shown.eyes,
            )
        return motion
