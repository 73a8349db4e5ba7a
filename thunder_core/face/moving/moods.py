# SPDX-License-Identifier: GPL-3.0-or-later
"""Least poses of a face in a mood, at rest and while it speaks: added to sampled motions, which
show moods too faintly; numpy only.

Brows, lids, nose and corners carry a mood through pauses and vowels alike. A curled upper lip and a
drawn lower lip part the lips further only where they are already parted; closed lips stay closed.

Sampled motions also let go of a smile in every pause, to a third of what it is in speech. People
who are warm go on smiling while they pause, listen or search for a word: such a face keeps four
fifths of it where nobody speaks (`Mood.held`, and the slider *Smile*).
"""

from collections.abc import Sequence

import numpy as np

from ...behaviour import Pose
from ...direction import AXES, DIRECTION_NAMES, MOOD_NAMES, MOODS
from ...filters import bend, ease, smooth, widen
from ...types import BLINKS, BROW_CHANNELS, columns_of, JAW_OPEN_RADIANS, LIP_CLOSE
from ..points import Articulators
from .lips import press_together
from .mechanics import ADDED, step

_PARTED_MM = (0.6, 2.5)  # gaps between which movements that part the lips further come in
# reach and deviation by which a mood makes way before closures, rounded sounds and speech
_AHEAD_FRAMES, _EASE_FRAMES = 3, 1.2
# standard deviation of the moving average that a pose raises or lowers: quicker movement stays as
# it was
_LEVEL_FRAMES = 20
# value from which a channel that a pose raises is compressed: clipped, it would stand still
_KNEE = 0.7
_MIN_WEIGHT = 0.01  # least weight of an average
_STRENGTH_FACTORS = (0.5, 1.4)  # least and largest factor of a mood's strength
_ROUND = 0.35  # sum of pucker and funnel above which the corners follow the sound only
# Channels in which a mood comes and goes.
_SHOWING = (*BROW_CHANNELS, "eyeSquint", "eyeWide", "noseSneer", "cheekSquint")
# Channels that a mood may smooth: no sound needs them.
_CALM = ("noseSneer", "cheekSquint", "mouthFrown", "mouthDimple", "mouthSmile")
_CORNERS = ("mouthSmile", "mouthStretch", "mouthDimple")
# Corners that a *Smile* holds where nobody speaks, up or down: HELD_CORNERS · tanh(value / SMILED),
# about four fifths of what takes show in speech; and the cheeks over a raised corner, as a share of
# it.
_HELD_CORNERS, _SMILED, _CHEEKS = 0.47, 0.5, 0.35
_MOVES_BELOW = 0.2  # share of movement left under a held smile
# of `_slow_changes`, for the corners of a face that smiles
_CORNER_CHANGES, _CORNER_NEAR, _CORNER_SLOWS = ((0.06, 0.14), 3, 2.0)
_HELD_EASE = 1.5  # standard deviation of the smoothing of what is added, frames
# least and largest share of a side in what is added, and a level too faint to tell the sides by
_SIDES, _FAINT = ((0.5, 1.5), 0.02)


_ASYMMETRY, _SMILE = DIRECTION_NAMES.index("asymmetry"), DIRECTION_NAMES.index("smile")


# How far each mood's pose at rest raises the corners, below 0 lowers them.
_CORNERS_OF_MOODS = np.array([
    sum(pose.least.get("mouthSmile", 0.0) - pose.least.get("mouthFrown", 0.0)
        for pose in MOODS[name].poses[:1])
    for name in MOOD_NAMES
])  # fmt: skip


def _ahead(values: np.ndarray) -> np.ndarray:
    """Values [T] 0 … 1 that rise a little before and fall a little after they do, without a jump
    from frame to frame."""
    return widen(values, _AHEAD_FRAMES, _EASE_FRAMES)


def _compress(values: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Channel values [T, …] within 0 … 1 changed by an amount [T, …] and compressed towards 1,
    below which they go on moving."""
    changed = values + amount
    # what is higher already is not lowered
    return np.maximum(np.maximum(bend(changed, _KNEE, 1.0), np.minimum(values, changed)), 0.0)


def _slow_changes(
    values: np.ndarray, changes: tuple[float, float], near: int, deviation: float
) -> np.ndarray:
    """Curves [T, c] that are smoothed by a Gaussian of a deviation in frames, fully `near` frames
    around changes from frame to frame of the second of `changes`, and not at all where they are
    below the first."""
    if len(values) < 2:
        return values
    speed = np.abs(np.diff(values, axis=0, prepend=values[:1])).max(1)
    share = widen(
        np.clip((speed - changes[0]) / (changes[1] - changes[0]), 0.0, 1.0), near, near / 2
    )[:, None]
    return (values + share * (smooth(values, deviation) - values)).astype(values.dtype)


def _held_levels(style: np.ndarray, strengths: np.ndarray) -> dict[str, np.ndarray]:
    """{channel: least value [T or 1]} that a style [T or 1, DIRECTION_NAMES] holds where nobody
    speaks, its moods at these strengths [T or 1, moods].

    Moods whose poses pull the corners the other way take from what *Smile* and warmth hold, and it
    from warmth.
    """
    levels = {name: np.zeros(len(strengths)) for name in ("mouthSmile", "cheekSquint")}
    for mood, strength in zip(MOOD_NAMES, strengths.T):
        for name, value in MOODS[mood].held.items():
            levels[name] = levels.get(name, 0.0) + strength * value
    smile = AXES[_SMILE].speakers * style[:, _SMILE].astype(float)
    slider = _HELD_CORNERS * np.tanh(smile / _SMILED)
    corners, mood_corners = levels["mouthSmile"] + slider, strengths @ _CORNERS_OF_MOODS
    corners = np.where(
        corners * mood_corners < 0,
        np.sign(corners) * np.maximum(np.abs(corners) - np.abs(mood_corners), 0.0),
        corners,
    )
    levels |= {"mouthSmile": np.maximum(corners, 0.0), "mouthFrown": np.maximum(-corners, 0.0)}
    levels["cheekSquint"] = np.where(
        corners > 0, np.maximum(levels["cheekSquint"] + _CHEEKS * slider, 0.0), 0.0
    )
    return {name: level for name, level in levels.items() if level.any()}


class MoodPoses:
    """Puts moods on motions of one head."""

    def __init__(self, channels: Sequence[str], articulators: Articulators):
        """channels: names of the expression's columns, the head's."""
        self.channels, self.articulators = tuple(channels), articulators
        self.lids = [i for i, name in enumerate(self.channels) if name.startswith(BLINKS)]
        self.showing = [i for i, name in enumerate(self.channels) if name.startswith(_SHOWING)]
        self.calm = [i for i, name in enumerate(self.channels) if name.startswith(_CALM)]
        self.close = self.channels.index(LIP_CLOSE)
        self.round = [self.channels.index(name) for name in ("mouthPucker", "mouthFunnel")]

    @step(ADDED, "expression")
    def apply_moods(
        self, expression: np.ndarray, jaw: np.ndarray, style: np.ndarray, speech: np.ndarray,
        variation: np.ndarray | None = None,
        quiet: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Expression [T, n] in the moods of a style [T or 1, DIRECTION_NAMES]; jaw [T, 3], speech
        [T] 0 … 1.

        variation: [T] factors of the moods' strength, as it varies over a line; None: 1.
        quiet: [T] 0 … 1, where nobody speaks, also in pauses too short for `speech` to end; None:
        where that is 0.
        """
        x, parted, speaks = np.array(expression), None, _ahead(speech)
        where_quiet = _ahead(1 - speech) if quiet is None else quiet
        strengths = style[:, len(AXES) :]
        varied = 1.0 if variation is None else np.clip(variation, *_STRENGTH_FACTORS)
        if variation is not None:  # the model holds a mood too still: it comes and goes
            change = np.clip(strengths, 0.0, 1.0).max(1) * (varied - 1)
            x[:, self.showing] = _compress(x[:, self.showing], x[:, self.showing] * change[:, None])
        for column, name in enumerate(MOOD_NAMES):
            strength = np.clip(strengths[:, column], 0.0, 1.0) * varied
            if not strength.any():
                continue
            mood = MOODS[name]
            if mood.calms:
                for i in self.calm:  # what the sounds do not need
                    x[:, i] += np.minimum(strength, 1.0) * (smooth(x[:, i], mood.calms) - x[:, i])
            if mood.poses:
                if parted is None:
                    gap = self.articulators.shape(expression, jaw).gap
                    parted = 1 - _ahead(1 - ease(gap, *_PARTED_MM))
                leans = (
                    "Left"
                    if style[:, _ASYMMETRY].mean() + mood.changes.get("asymmetry", 0.0) >= 0
                    else "Right"
                )
                for pose, where in zip(mood.poses, (1 - speaks, speaks)):
                    self._put_on(x, jaw, pose, strength, where, parted * (1 - where_quiet), leans)
        for name, least in _held_levels(
            style, np.clip(strengths, 0.0, 1.0) * np.reshape(varied, (-1, 1))
        ).items():
            self._hold(x, name, least * where_quiet)
            if name == "mouthSmile":  # sampled smiles collapse within two or three frames
                columns = columns_of(self.channels, name)
                x[:, columns] = _slow_changes(
                    x[:, columns], _CORNER_CHANGES, _CORNER_NEAR, _CORNER_SLOWS
                )
        return x

    def _hold(self, x: np.ndarray, name: str, least: np.ndarray) -> None:
        """Raise a channel of x [T, n] in place to about `least` [T] wherever it is lower, each side
        by its share of the movement.

        Corners follow rounded sounds as they did.
        """
        columns = columns_of(self.channels, name)
        level = x[:, columns].mean(1)
        free = self._freedom_from_rounding(x) if name.startswith((*_CORNERS, "mouthFrown")) else 1.0
        lacks = smooth((1 - _MOVES_BELOW) * np.maximum(least * free - level, 0.0), _HELD_EASE)
        sides = x[:, columns].mean(0)
        shares = (
            np.clip(sides / sides.mean(), *_SIDES)
            if sides.mean() > _FAINT
            else np.ones(len(columns))
        )
        x[:, columns] = _compress(x[:, columns], lacks[:, None] * shares / shares.mean())

    def _freedom_from_rounding(self, x: np.ndarray) -> np.ndarray:
        """How free corners are of rounded sounds in x [T, n]: [T] 0 … 1."""
        return 1 - _ahead(np.clip(x[:, self.round].sum(1) / _ROUND, 0.0, 1.0))

    def _put_on(
        self, x: np.ndarray, jaw: np.ndarray, pose: Pose, strength: np.ndarray, where: np.ndarray,
        parted: np.ndarray, leans: str
    ) -> None:  # fmt: skip
        """Bring x [T, n] in place to a pose by a strength [T], on the frames `where` [T] 0 … 1 that
        it is meant for.

        parted: [T] 0 … 1, how far a sound parts the lips.  leans: Left or Right, the side that does
        more.
        """
        share = strength * where
        if pose.shut:
            shut = np.minimum(pose.shut * share, 1.0)
            press_together(x, self.channels, shut)
            x[:, self.close] += shut * (
                np.clip(jaw[:, 0] / JAW_OPEN_RADIANS, 0, 1) - x[:, self.close]
            )
        unrounded = self._freedom_from_rounding(x)
        leaning = {name + leans: value for name, value in pose.leaning.items()}
        for names, bound in (
            (pose.least, np.maximum),
            (leaning, np.maximum),
            (pose.most, np.minimum),
        ):
            for name, value in names.items():
                meant = where * unrounded if name.startswith(_CORNERS) else where
                for i in columns_of(self.channels, name):
                    level = smooth(x[:, i] * meant, _LEVEL_FRAMES) / np.maximum(
                        smooth(meant, _LEVEL_FRAMES), _MIN_WEIGHT
                    )
                    change = strength * meant * (bound(level, value) - level)
                    x[:, i] = _compress(x[:, i], change)
        if pose.lids:
            for i in self.lids:
                change = pose.lids * share
                x[:, i] = np.maximum(x[:, i] - change, 0.0) / (1 - change)
        for name, value in pose.opened.items():
            for i in columns_of(self.channels, name):
                x[:, i] = _compress(x[:, i], share * parted * value)
