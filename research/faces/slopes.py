# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how the tracker shows the channels of a mouth, and writes the table that the product
reads (`thunder_core/engine/tracking/slopes.json`): `python -m research.faces.slopes DATA [FILMS]`.
With `linear` behind them it writes the linear film instead, by which the laboratory shows takes
without drawing them (`faces/puppet.py`): of takes, since with open jaws lips narrow further than
channels that move alone say.

FILMS (default out/filmed) keeps what was followed; making it takes ten minutes (`faces/filmed.py`).
DATA has the voices (`lips/` and others) whose takes say which channels of a mouth go together.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from research.faces.filmed import film_known, film_take, Films, MOVED, POSES
from research.faces.lip_clips import above_rest, LipClip, read_clips
from research.faces.puppet import LINEAR_FILM, moved_by
from research.harness import ROOT, usual_direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.tracking import solve
from thunder_core.engine.tracking.mouth import columns_of, JAW, JAW_UNIT, mouth_signals, TABLE
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import SIGNALS
from thunder_core.request import Request
from thunder_core.types import Motion, pack, RATE, unpack

HEADS = ("head", "head_man")
# What is read; no tracker sees shrugs, presses and rolls. Sides of the last three are told apart, by
# the corners.
READ = (
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp",
    "mouthFrown", "mouthSmile", "mouthStretch",
)  # fmt: skip
_SIDED = READ[-3:]
# How far people's mouths may differ from what takes do: deviations of every channel by so much of
# takes', and besides, where takes never move it, of the channel itself; of two channels by more.
# Chosen on filmed takes of voices of `fit`, and by eye on the people: where a tracked chin stays
# behind its lip, as people's do, a lower lip as free as takes' bares the lower teeth in a V.
_OF_TAKES, _BESIDES = 0.8, 0.04
_FREER = {"mouthLowerDown": 0.5, JAW: 1.3}
_DIGITS = 4
# Of the linear film: poses of known mouths; every which voice of at least so many frames, from
# which one on, and how many; the spread of their takes' directions.
_POSES, _EVERY, _LONG, _FIRST, _VOICES, _SPREAD = 2, 7, 175, 3, 4, 0.5
Mouth = tuple[np.ndarray, np.ndarray, np.ndarray]  # expression [T, n], jaw [T, 3], signals [T, 6]


def used_channels() -> list[str]:
    """The channels that are read, sided ones by side."""
    return [
        side
        for name in READ
        for side in ([f"{name}Left", f"{name}Right"] if name in _SIDED else [name])
    ]


def other_channels() -> list[str]:
    """The channels that are moved and not read."""
    return [n for n in MOVED if not any(each.startswith(n) for each in used_channels())]


def regress(mouths: Sequence[Mouth]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Slopes [6, k + 1] of the tracked signals by used_channels, other_channels and the jaw, left
    and right alike, and what each film misses [T, 6]."""
    used, moved = used_channels(), moved_by([*used_channels(), *other_channels()])
    swap = [
        used.index(name.replace("Left", "?").replace("Right", "Left").replace("?", "Right"))
        for name in used
    ]
    places = [*swap, *range(len(used), moved.shape[1] + 1)]
    pairs = []
    for x, jaw, shown in mouths:
        known = np.isfinite(shown).all(1)
        inputs = np.c_[x @ moved, jaw[:, 0] / JAW_UNIT][known]
        for columns, rows in ((slice(None), slice(None)), (places, [0, 1, 2, 3, 5, 4])):
            a, b = inputs[:, columns], shown[known][:, rows]
            pairs.append((a - a.mean(0), b - b.mean(0)))
    a, b = (np.concatenate(each) for each in zip(*pairs))
    slopes = np.linalg.lstsq(a, b, rcond=None)[0]
    return slopes.T, [b - a @ slopes for a, b in pairs]


def fit_slopes(mouths: Sequence[Mouth]) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [6, k + 1] of what is read, and missed [6, 6] (`TrackedMouth`), of films."""
    slopes, missed = regress(mouths)
    read = [*range(len(used_channels())), -1]
    return slopes[:, read], np.cov(np.concatenate(missed).T)


def signals_of(landmarks: np.ndarray) -> np.ndarray:
    """`mouth_signals` [T, 6] of a film's landmarks [T, 478, 3], NaN where no face is seen."""
    seen = np.isfinite(landmarks).all((1, 2))
    shown = np.full((len(landmarks), len(SIGNALS)), np.nan)
    shown[seen] = mouth_signals(solve.stabilise(landmarks[seen].astype(float), load_head())[0])
    return shown


def usual_mouths(data: Path) -> np.ndarray:
    """Second moments [k + 1, k + 1] of what is read, and of the jaw by JAW_UNIT, in first takes of
    the voices of `fit`, each voice alike, before _FREER."""
    engine, moments = Engine.load(None, device="cpu"), []
    moved = np.array([columns_of(name, engine.head.expression_names) for name in used_channels()])
    for clip in read_clips(data, "fit"):
        sound = sound_of(clip.samples, RATE, clip.name)
        motion = engine.generate(sound, Request(1, 1, direction=usual_direction()))[0].motion
        x = np.c_[motion.expression @ moved.T / moved.sum(1), motion.jaw[:, 0] / JAW_UNIT]
        moments.append(x.T @ x / len(x))
    return np.mean(moments, 0)


def free(moments: np.ndarray) -> np.ndarray:
    """Second moments of people's mouths, of those of takes' [k + 1, k + 1]."""
    far = np.array([_FREER.get(name, 1.0) for name in (*used_channels(), JAW)])
    return (_OF_TAKES**2 * moments + _BESIDES**2 * np.eye(len(far))) * np.outer(far, far)


def measure(data: Path, folder: Path, heads: Sequence[str] = HEADS) -> dict:
    """The table, from films in a folder, which are made where they are missing."""
    mouths = []
    with Films(folder) as films:
        for head in heads:
            x, jaw, followed = film_known(films, head)
            mouths += [(x, jaw, signals_of(each)) for each in followed]
    slopes, missed = fit_slopes(mouths)
    return {
        "made_by": "python -m research.faces.slopes DATA", "heads": list(heads), "poses": len(POSES),
        "frames": sum(len(x) for x, _, _ in mouths), "signals": list(SIGNALS),
        "channels": used_channels(), "slopes": _round(slopes), "missed": _round(missed),
        "usual": _round(free(usual_mouths(data))),
    }  # fmt: skip


def film_linearly(data: Path, folder: Path) -> dict:
    """The linear film, of known mouths from some POSES and of first takes of voices of `fit`; what
    it misses is what it misses of takes."""
    engine = Engine.load(None, device="cpu")
    clips = [clip for clip in read_clips(data, "fit") if clip.is_tracked and clip.frames >= _LONG]
    with Films(folder) as films:
        x, jaw, followed = film_known(films, HEADS[0], POSES[:_POSES])
        known = [(x, jaw, signals_of(each)) for each in followed]
        takes = []
        for clip in clips[_FIRST::_EVERY][:_VOICES]:
            take = first_take(engine, clip)
            shown = above_rest(film_take(films, HEADS[0], clip.name, take))
            takes.append((take.expression[: len(shown)], take.jaw[: len(shown)], shown))
    slopes, missed = regress([*known, *takes])
    missed = missed[2 * len(known) :]
    now, then = (np.concatenate(each) for each in zip(*((m[1:], m[:-1]) for m in missed)))
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(now.T, then.T)]
    return {
        "made_by": "python -m research.faces.slopes DATA FILMS linear", "weights": engine.weights,
        "poses": _POSES, "takes": len(takes),
        "frames": sum(len(each[0]) for each in (*known, *takes)), "signals": list(SIGNALS),
        "channels": [*used_channels(), *other_channels()], "slopes": _round(slopes),
        "missed": _round(np.cov(np.concatenate(missed).T)), "alike": _round([alike])[0],
    }  # fmt: skip


def first_take(engine: Engine, clip: LipClip) -> Motion:
    """A take of a clip's voice as its default direction has it."""
    request = Request(1, 1, direction=usual_direction(_SPREAD))
    made = engine.generate(sound_of(clip.samples, RATE, clip.name), request)[0].motion
    return unpack(pack(made), engine.head.channels)


def _round(values: np.ndarray) -> list:
    return [[float(f"{x:.{_DIGITS}g}") for x in row] for row in values]


def write(path: Path, table: dict) -> None:
    """Write a table, a line for each of its parts."""
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in table.items())
    path.write_text("{\n" + rows + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    data, films = Path(sys.argv[1]), Path(*sys.argv[2:3] or [ROOT / "out" / "filmed"])
    if sys.argv[3:] == ["linear"]:
        write(LINEAR_FILM, film_linearly(data, films))
    else:
        write(TABLE, measure(data, films))
