# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips by sound, and the order in which jaw, lips and corners move: people, the teacher and takes.

`python -m research sounds --data DATA [--split fit|check] [--seeds N]` in the engine's environment;
DATA is a folder with `lips/`, `lips_more/` and `grid/`. Of English clips with timed phones the teacher
performs the phones, a take hears the sound. A sound counts from a frame before it to the frame
behind it, vowels but u in their middle; w, u and other vowels beside an m, b, p, f or v do not
count. Velocities are correlated with the jaw line's: r without a lag, and the milliseconds by which
they are later, read between frames at the largest r, mean over speakers with an interval of 90 %.
To stdout and research/results/sounds.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from research.faces.calibrate import phones_of
from research.faces.lip_clips import (
    EYES_MM,
    fit_length,
    follows,
    hear,
    interval,
    LipClip,
    mean_of,
    Phone,
    read_clips,
    SHUT_MM,
    spoken_phones,
)
from research.harness import add_shared, keep, RESULTS, usual_direction
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.tracking.spots import CHIN, INNER_LIPS, RIGID
from thunder_core.face.head import Head
from thunder_core.face.points import SkinnedPoints
from thunder_core.request import Request
from thunder_core.spoken import PHONES, VOWELS
from thunder_core.train.teacher import perform
from thunder_core.types import FPS, Motion, RATE

CLOSED, BESIDE = ("M", "B", "P"), ("M", "B", "P", "F", "V")
SPOKEN_VOWELS = [PHONES[v] for v in VOWELS if PHONES[v] != "UW"]
FAST = 0.081  # seconds of an m, b or p in a fast word
GAP_MM = (0.5, 2.0)  # of the lips on w
SH_T_N = ("SH", "CH", "JH", "ZH", "T", "D", "N", "S", "Z")  # behind which u is rounded as deep
FAST_STEP = 6.0  # mm a frame
_REACH = 4  # frames by which a curve may be late or early
_LOWEST = 2  # percentile of a jaw's height at which it counts as shut
_OF_ONE = 30  # clips of a speaker of GRID that are read


class Mouth(NamedTuple):
    """A mouth over frames, [T] each, mm: opening and width, heights of the jaw line and of both lips
    (up is more), and the corners' distance; NaN where not seen."""

    opening: np.ndarray
    width: np.ndarray
    jaw: np.ndarray
    upper: np.ndarray
    lower: np.ndarray


def mouth_of_person(clip: LipClip) -> Mouth:
    """The mouth of a tracked person, the head held still."""
    with np.load(clip.folder / "landmarks" / f"{clip.name}.npz") as file:
        points = EYES_MM * file["landmarks"].astype(float)
    points = held_still(points)
    heights = [
        -points[:, list(ids), 1].mean(1) for ids in (CHIN[:1], INNER_LIPS[:1], INNER_LIPS[1:])
    ]
    width = np.full(clip.frames, np.nan) if clip.width is None else clip.width
    return Mouth(clip.opening, width, *heights)


def held_still(points: np.ndarray, ids: Sequence[int] = RIGID) -> np.ndarray:
    """Landmarks [T, L, 3] turned and moved so that those of the skull, `ids`, stay in place."""
    seen = np.isfinite(points).all((1, 2))
    rigid = points[:, list(ids)]
    aim = np.median(rigid[seen], 0)
    aim = aim - aim.mean(0)
    result = np.full_like(points, np.nan)
    for t in np.flatnonzero(seen):
        centre = rigid[t].mean(0)
        u, _, v = np.linalg.svd((rigid[t] - centre).T @ aim)
        u[:, -1] *= np.sign(np.linalg.det(u @ v))
        result[t] = (points[t] - centre) @ (u @ v)
    return result


def mouths_of_grid(data: Path) -> dict[str, Mouth]:
    """The mouth of each speaker of GRID (`grid/`), not seen between clips."""
    result = {}
    for path in sorted((data / "grid").glob("s*.npz")):
        if "_" in path.stem:
            continue
        with np.load(path, allow_pickle=False) as file:
            ends, steps, index = file["offsets"], file["lm_delta"], list(file["lm_index"])
            width = EYES_MM * file["width"].astype(float)
        rigid, places = (
            [index.index(i) for i in ids if i in index] for ids in (RIGID, (CHIN[0], *INNER_LIPS))
        )
        rows = []
        for a, b in list(zip(ends, ends[1:]))[:_OF_ONE]:
            points = EYES_MM * np.cumsum(steps[a:b], 0, dtype=np.int32) / 2048
            heights = -held_still(points, rigid)[:, places, 1].T
            rows += [[heights[1] - heights[2], width[a:b], *heights], np.full((5, 1), np.nan)]
        result[path.stem] = Mouth(*np.concatenate(rows, 1))
    return result


class Face:
    """Measures motions as a person is measured."""

    def __init__(self, head: Head):
        skin, jaw = head.v_template, head.weights[:, 2]
        middle = np.flatnonzero((np.abs(skin[:, 0]) < 0.004) & (jaw > 0.8 * jaw.max()))
        below = middle[skin[middle, 2] > skin[middle, 2].max() - 0.03]
        chin = below[skin[below, 1].argmin()]
        ids = [chin, head.inner_lip_upper_mid, head.inner_lip_lower_mid,
               head.mouth_corner_left, head.mouth_corner_right]  # fmt: skip
        self.points = SkinnedPoints.of(head, lambda values: values[ids])

    def measure(self, motion: Motion, frames: int) -> Mouth:
        """The mouth of a motion on this head, over so many frames."""
        at = 1e3 * self.points.of_motion(motion)
        rest = 1e3 * self.points.rest
        gap = (at[:, 1, 1] - at[:, 2, 1]) - (rest[1, 1] - rest[2, 1])
        curves = gap, np.linalg.norm(at[:, 3] - at[:, 4], axis=1), *at[:, :3, 1].T
        return Mouth(*(fit_length(curve, frames) for curve in curves))


# ---- lips by sound


class Instance(NamedTuple):
    """A sound in a clip: its frames with one to either side, those within, and what is around."""

    symbol: str
    around: slice
    within: slice
    seconds: float
    before: str
    beside: bool


def instances(phones: Sequence[Phone], frames: int) -> list[Instance]:
    """The sounds of a clip."""
    result = []
    for k, phone in enumerate(phones):
        a, b = round(phone.start * FPS), round(phone.end * FPS) + 1
        if a >= frames:
            continue
        middle = min(frames - 1, round((phone.start + phone.end) / 2 * FPS))
        near = [other.symbol for other in phones[max(0, k - 1) : k + 2]]
        result.append(Instance(
            phone.symbol, slice(max(0, a - 1), b), slice(middle, middle + 1), phone.end - phone.start,
            phones[k - 1].symbol if k else "SIL", bool(set(near) & set(BESIDE)),
        ))  # fmt: skip
    return result


def sound_figures(mouths: dict[str, Mouth], sounds: dict[str, list[Instance]]) -> dict[str, str]:
    """{what: figure} over the sounds of mouths by clip."""

    def least(keep, frames: str = "around") -> np.ndarray:
        values = [
            np.nanmin(mouths[clip].opening[getattr(each, frames)], initial=np.inf)
            for clip, of in sounds.items()
            for each in of
            if keep(each)
        ]
        return np.array([value for value in values if np.isfinite(value)])

    def share(made: np.ndarray) -> str:
        return f"{made.mean():.3f} of {len(made)}"

    def closed(fast: bool) -> np.ndarray:
        return least(lambda s: s.symbol in CLOSED and (s.seconds <= FAST) == fast)

    w = least(lambda s: s.symbol == "W" and not s.beside)
    u = least(lambda s: s.symbol == "UW" and not s.beside)
    vowels = least(lambda s: s.symbol in SPOKEN_VOWELS and not s.beside, "within")

    def rounded(after: bool) -> str:
        depth = []
        for clip, of in sounds.items():
            width = mouths[clip].width
            spoken = np.concatenate([np.arange(*s.around.indices(len(width))) for s in of])
            for each in of:
                if each.symbol == "UW" and (each.before in SH_T_N) == after:
                    narrow = np.nanmin(width[each.around], initial=np.inf)
                    if np.isfinite(narrow):
                        depth.append(
                            (np.nanmean(width[spoken]) - narrow) / np.nanstd(width[spoken])
                        )
        return f"{np.mean(depth):.2f} of {len(depth)}"

    return {
        "m, b, p closed, ≤ 80 ms": share(closed(True) <= SHUT_MM),
        "m, b, p closed, longer": share(closed(False) <= SHUT_MM),
        "w with a gap of .5 to 2 mm": share((w >= GAP_MM[0]) & (w <= GAP_MM[1])),
        "w shut": share(w < GAP_MM[0]),
        "u shut": share(u < GAP_MM[0]),
        "other vowels shut": share(vowels < GAP_MM[0]),
        "u rounded after sh, t, n …, deviations": rounded(True),
        "u rounded elsewhere": rounded(False),
    }


# ---- jaw and lips


def lag(curve: np.ndarray, of: np.ndarray) -> tuple[float, float]:
    """(r of a curve's velocity with another's without a lag, frames by which it is later at the
    largest r): NaN where it has none."""
    a, b = np.diff(curve), np.diff(of)
    values = []
    for late in range(-_REACH, _REACH + 1):
        x, y = (a[late:], b[: len(b) - late]) if late >= 0 else (a[:late], b[-late:])
        seen = np.isfinite(x) & np.isfinite(y)
        values.append(np.corrcoef(x[seen], y[seen])[0, 1] if seen.sum() > 20 else np.nan)
    best = int(np.argmax(values))
    if not np.isfinite(values).all() or best in (0, 2 * _REACH):
        return values[_REACH], float("nan")
    left, top, right = values[best - 1 : best + 2]
    return values[_REACH], best - _REACH + 0.5 * (left - right) / (left - 2 * top + right)


def coupling_figures(mouths: dict[str, Mouth]) -> dict[str, str]:
    """{what: figure} of how the jaw line and what moves with it go together, over speakers."""
    rows: dict[str, list[tuple[float, float]]] = {}
    for mouth in mouths.values():
        of = {
            "upper lip with the jaw": (mouth.upper, -mouth.jaw), "lower lip with the jaw": (-mouth.lower, -mouth.jaw),
            "lower lip on the jaw with it": (mouth.jaw - mouth.lower, -mouth.jaw),
            "corners with the opening": (mouth.width, mouth.opening),
        }  # fmt: skip
        for name, (curve, other) in of.items():
            rows.setdefault(name, []).append(lag(curve, other))
    seconds = [len(mouth.jaw) for mouth in mouths.values()]
    return {
        f"{name}: r, ms later": "{:.2f} {:+.0f} [{:+.0f}, {:+.0f}]".format(
            mean_of([r for r, _ in pairs], seconds),
            1000 / FPS * mean_of([late for _, late in pairs], seconds),
            *(1000 / FPS * np.array(interval([late for _, late in pairs], seconds))),
        )
        for name, pairs in rows.items()
    }


def jaw_on_closures(mouths: dict[str, Mouth], sounds: dict[str, list[Instance]]) -> dict[str, str]:
    """{what: figure}: how open the jaw is on m, b and p, as a share of its mean in speech."""
    shares = []
    for clip, of in sounds.items():
        jaw, opening = -mouths[clip].jaw, mouths[clip].opening
        jaw = jaw - np.nanpercentile(jaw, _LOWEST)
        spoken = np.concatenate([np.arange(*each.around.indices(len(jaw))) for each in of])
        for each in of:
            if each.symbol in CLOSED and np.isfinite(opening[each.around]).any():
                at = each.around.start + int(np.nanargmin(opening[each.around]))
                shares.append(jaw[at] / np.nanmean(jaw[spoken]))
    return {"jaw on m, b, p, share of its mean": f"{np.nanmedian(shares):.2f}"}


def pace_figures(mouths: dict[str, Mouth], clips: dict[str, LipClip]) -> dict[str, str]:
    """{what: figure}: fast steps of the opening, and r with the people's."""
    steps = [np.abs(np.diff(mouth.opening)) for mouth in mouths.values()]
    fast = [60 * FPS * (each[np.isfinite(each)] > FAST_STEP).mean() for each in steps]
    r = [follows(mouths[key].opening, clip.opening) for key, clip in clips.items()]
    widths = [
        np.nan if clip.width is None else follows(mouths[key].width, clip.width)
        for key, clip in clips.items()
    ]
    seconds = [clip.frames for clip in clips.values()]
    return {
        "steps over 6 mm a minute, median (mean)": f"{np.median(fast):.0f} ({np.mean(fast):.0f})",
        "opening r (width r)": f"{mean_of(r, seconds):.3f} ({mean_of(widths, seconds):.3f})",
    }


# ---- systems


def taught(engine: Engine, clip: LipClip, phones: np.ndarray, seed: int) -> Motion:
    """The teacher's performance of a clip's phones, 10 ms labels."""
    features, _ = hear(engine.thunder.encoder, clip)
    labels = np.zeros(4 * clip.frames, np.uint8)
    labels[: len(phones)] = phones[: len(labels)]
    return perform(
        labels, features[:, -LOUDNESS:], list(engine.head.expression_names),
        np.random.default_rng(seed), Direction(), features=features,
    )  # fmt: skip


def taken(engine: Engine, clip: LipClip, seed: int) -> Motion:
    """A take of a clip, as asked."""
    sound = sound_of(clip.samples, RATE, clip.name)
    return engine.generate(sound, Request(1, seed, direction=usual_direction()))[0].motion


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", results=RESULTS / "sounds.txt")
    p.add_argument("--split", choices=("fit", "check"), default="check")
    p.add_argument("--seeds", type=int, default=2, help="performances of each clip")


def run(args: Namespace) -> None:
    """Print the table and write it."""
    clips = [clip for clip in read_clips(args.data, args.split) if clip.language == "en"]
    phones = {
        name: of
        for folder in {clip.folder for clip in clips}
        for name, of in spoken_phones(folder).items()
    }
    clips = [clip for clip in clips if phones.get(clip.name)]
    labels, engine = phones_of(clips), Engine.load(args.weights)
    by_name = {clip.name: clip for clip in clips}
    face = Face(engine.head)
    seeds = range(1, args.seeds + 1)
    systems = {"people": {clip.name: mouth_of_person(clip) for clip in clips}}
    for name, play in (
        ("teacher", lambda clip, seed: taught(engine, clip, labels[clip.name], seed)),
        ("takes", lambda clip, seed: taken(engine, clip, seed)),
    ):
        systems[name] = {
            f"{clip.name} {seed}": face.measure(play(clip, seed), clip.frames)
            for clip in clips
            for seed in seeds
        }
    columns = {}
    for name, mouths in systems.items():
        sounds = {
            key: instances(phones[key.split()[0]], len(mouth.opening))
            for key, mouth in mouths.items()
        }
        of = {key: by_name[key.split()[0]] for key in mouths}
        columns[name] = (
            sound_figures(mouths, sounds) | jaw_on_closures(mouths, sounds)
            | coupling_figures(mouths) | pace_figures(mouths, of)
        )  # fmt: skip
    columns["people of GRID"] = coupling_figures(mouths_of_grid(args.data))
    lines = [
        f"{len(clips)} clips of `{args.split}`, {sum(c.frames for c in clips) / FPS:.0f} s, "
        f"{args.seeds} performances each",
        "", "| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns),
        *(
            f"| {what} | " + " | ".join(c.get(what, "") for c in columns.values()) + " |"
            for what in columns["people"]
        ),
    ]  # fmt: skip
    print(keep(args.results, lines))
