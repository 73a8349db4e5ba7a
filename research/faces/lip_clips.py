# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips of real people with measured lips, the linear map of a voice that the teacher follows, and
how well curves follow them.

DATA has one or more folders, `lips/` and others (FOLDERS); each has clips, their measured
curves, landmarks and `split.toml`.
"""

import csv
import tomllib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from research.faces.landmarks import read_landmarks
from research.harness import bootstrap, required
from research.train.corpus import read_recording, SAMPLES_PER_FRAME, SOUNDS
from research.train.mouth_readings import presence_in
from research.train.teacher import likeliest
from thunder_core.engine.planning.mouth_map import mouth_map
from thunder_core.engine.speech.encoder import speech_features, SpeechEncoder
from thunder_core.engine.tracking import solve
from thunder_core.engine.tracking.mouth import mouth_signals, tracked_mouth
from thunder_core.face.head import load_head
from thunder_core.face.moving.mouth_shape import CHIN, OPENING, SIGNALS, UPPER_LIP, WIDTH
from thunder_core.spoken import phone_index
from thunder_core.types import FPS

FOLDERS = ("lips", "lips_more", "lips_third", "lips_fourth")
# between the outer corners of the eyes: the unit of measured lips (slope of solved against measured
# openings)
EYES_MM = 90.0
SHUT_MM = 0.6  # gap below which lips count as shut
CURVES = ("opening", "width")
_HEIGHTS = {"upper lip": [UPPER_LIP], "chin": [CHIN], "corner": [4, 5]}  # places among SIGNALS
# frames: the best of these is that of `r_at_best_lag`, as in the data's score.py
_LAGS = range(-3, 4)
SILENT = ("SIL", "+SPN+", "+NSN+")  # symbols of what is no phone
LANGUAGES = {"en": "English", "de": "German", "zh": "Mandarin"}
_LEAST_WEIGHT = {"C": 0.5}  # of clips by tier: C had a lag of 3 to 6 frames, which was shifted back
# frames to either side, and ridge strength of the bar that benches compare with
_MAP_REACH, _MAP_PULL = 2, 1500.0
# percentile below which real lips count as closed, and below which another curve must be then
_LOWEST, _LOW = 15, 25
_BEFORE = 1  # frames by which lips lead the sound of m, b and p
_BESIDE_CUT = 4  # frames that are not measured


def stack_neighbours(x: np.ndarray, reach: int) -> np.ndarray:
    """[T, c] → [T, (2 · reach + 1) · c]: the frames to either side of each, edges repeated."""
    padded = np.pad(x, ((reach, reach), (0, 0)), mode="edge")
    return np.concatenate([padded[k : k + len(x)] for k in range(2 * reach + 1)], 1)


@dataclass(frozen=True, eq=False)
class LipClip:
    """A talking face: its sound, and opening and width in millimetres [T], NaN where no face was
    seen.

    width: None where it is not reliable.  bilabials: (start, end) in seconds of m, b and p.  cuts:
    frames at which another picture begins.
    """

    folder: Path
    name: str
    opening: np.ndarray
    width: np.ndarray | None
    bilabials: np.ndarray
    language: str
    tier: str
    cuts: tuple[int, ...] = ()

    @property
    def frames(self) -> int:
        """Number of measured frames."""
        return len(self.opening)

    @property
    def weight(self) -> float:
        """Weight of the clip where constants are fitted."""
        return _LEAST_WEIGHT.get(self.tier, 1.0)

    @property
    def path(self) -> Path:
        """The file of its sound."""
        sounds = [self.folder / f"{self.name}{suffix}" for suffix in SOUNDS]
        return next((path for path in sounds if path.exists()), sounds[0])

    @cached_property
    def samples(self) -> np.ndarray:
        """The sound at 16 kHz."""
        return read_recording(self.path)

    @property
    def is_tracked(self) -> bool:
        """Whether its landmarks are there."""
        return self._landmarks.exists()

    @property
    def _landmarks(self) -> Path:
        return self.folder / "landmarks" / f"{self.name}.npz"

    @cached_property
    def held(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Its landmarks [F, 478, 3] held still at the head's size, mm; the head's rotations [F, 3,
        3]; and the frames [F] that have them, without those beside cuts."""
        points = read_landmarks(self._landmarks)[: self.frames]
        frames = np.flatnonzero(np.isfinite(points).all((1, 2)))
        still, turns = solve.stabilise(points[frames], load_head())
        apart = np.ones(len(frames), bool)
        for cut in self.cuts:
            apart &= (frames < cut - _BESIDE_CUT) | (frames >= cut + _BESIDE_CUT)
        return still[apart], turns[apart], frames[apart]

    @cached_property
    def shown(self) -> np.ndarray:
        """The mouth's signals (`face.moving.mouth_shape.SIGNALS`) above the person's rest [T, 6], as the
        tracker shows them, mm on a face of the head's size; NaN where no face was seen."""
        held, _, frames = self.held
        shown = np.full((self.frames, len(SIGNALS)), np.nan)
        shown[frames] = mouth_signals(held) - mouth_signals(solve.resting_face(held)[None])
        return shown

    @cached_property
    def mouth(self) -> np.ndarray:
        """The same, straightened: as our head would have to move to look so to the tracker."""
        mouth = np.full_like(self.shown, np.nan)
        seen = np.isfinite(self.shown).all(1)
        mouth[seen] = tracked_mouth().straighten(self.shown[seen])
        return mouth

    def curve(self, what: str) -> np.ndarray | None:
        """One of CURVES [T]."""
        return self.opening if what == "opening" else self.width


def above_rest(landmarks: np.ndarray) -> np.ndarray:
    """What landmarks [T, 478, 3], not held still, show of a mouth above its rest [T, 6]
    (`LipClip.shown`)."""
    seen = np.isfinite(landmarks).all((1, 2))
    held = solve.stabilise(landmarks[seen].astype(float), load_head())[0]
    shown = np.full((len(landmarks), len(SIGNALS)), np.nan)
    shown[seen] = mouth_signals(held) - mouth_signals(solve.resting_face(held)[None])
    return shown


def read_clips(data: Path, part: str | None = None) -> list[LipClip]:
    """Clips of both folders, or those of one part of their splits, "fit" or "check"."""
    required(data / FOLDERS[0], "the folder of clips with measured lips")
    clips = []
    for folder in (data / name for name in FOLDERS if (data / name).exists()):
        split = tomllib.loads((folder / "split.toml").read_text())
        for name in split["fit"] + split["check"] if part is None else split[part]:
            with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
                opening, width = (EYES_MM * file[what].astype(float) for what in CURVES)
                reliable = width if file["width_reliable"] else None
                clips.append(
                    LipClip(
                        folder,
                        name,
                        opening,
                        reliable,
                        file["bilabials"],
                        str(file["lang"]),
                        str(file["tier"]),
                        tuple(map(int, file["cuts"])) if "cuts" in file else (),
                    )
                )
    return clips


UNSEEN = ("s22", "s23", "s33", "s34")  # speakers of GRID that no network learned from
_OF_ONE = 60  # clips of a speaker of GRID that are read: one has 446


def read_grid(data: Path) -> list[LipClip]:
    """Clips of GRID's speakers (`grid/`), with their sounds; m, b and p by `phones.tsv`."""
    folder, bilabials = data / "grid", defaultdict(list)
    with (folder / "phones.tsv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["phone"] in "PBM":
                span = float(row["start_s"]), float(row["end_s"])
                bilabials[row["speaker"], row["clip"]].append(span)
    clips = []
    for path in sorted(folder.glob("s*.npz")):
        if "_" in path.stem:
            continue
        sound = read_recording(path.with_suffix(".ogg"))
        with np.load(path, allow_pickle=False) as file:
            ends = file["offsets"]
            opening, width = (EYES_MM * file[what].astype(float) for what in CURVES)
            for name, a, b in [*zip(file["clips"], ends, ends[1:])][:_OF_ONE]:
                said = np.array(bilabials[path.stem, name]).reshape(-1, 2)
                clip = LipClip(
                    folder, f"{path.stem} {name}", opening[a:b], width[a:b], said, "en", "A"
                )
                vars(clip)["samples"] = sound[a * SAMPLES_PER_FRAME : b * SAMPLES_PER_FRAME]
                clips.append(clip)
    return clips


class Phone(NamedTuple):
    """A phone of a clip, from `start` to `end` seconds, and the word that it is of."""

    symbol: str
    start: float
    end: float
    word: str


def spoken_phones(folder: Path) -> dict[str, list[Phone]]:
    """The aligned phones of each clip of a folder, from its `phones.tsv`; clips that nobody could
    align have none."""
    phones: dict[str, list[Phone]] = {}
    with (folder / "phones.tsv").open(newline="", encoding="utf-8") as file:
        for row in list(csv.reader(file, delimiter="\t"))[1:]:
            if len(row) > 4 and row[2]:
                phones.setdefault(row[0], []).append(
                    Phone(row[2], float(row[3]), float(row[4]), "".join(row[5:6]))
                )
    return phones


def aligned_phones(folder: Path) -> dict[str, np.ndarray]:
    """10 ms phone labels of every clip of a folder of measured lips, from its `phones.tsv`."""
    phones: dict[str, np.ndarray] = {}
    for name, said in sorted(spoken_phones(folder).items()):
        labels = np.zeros(round(said[-1].end * 100) + 1, np.uint8)
        for phone in said:
            labels[round(phone.start * 100) : round(phone.end * 100)] = phone_index(phone.symbol)
        phones[name] = labels
    return phones


def phones_of(clips: Sequence[LipClip]) -> dict[str, np.ndarray]:
    """`aligned_phones` of all folders that clips are in."""
    return {
        name: labels
        for folder in {clip.folder for clip in clips}
        for name, labels in aligned_phones(folder).items()
    }


def encode_sound(
    encoder: SpeechEncoder, samples: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """(speech features [frames, d], the likeliest phones as 10 ms labels) of samples at 16 kHz."""
    hidden, logits = encoder.analyse(samples)
    phones = likeliest(logits).astype(np.uint8).repeat(2)
    return speech_features(hidden, logits, samples, frames), phones


def encode_clip(
    encoder: SpeechEncoder, clip: LipClip, samples: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`encode_sound` of a clip, or of other samples in place of its own."""
    return encode_sound(encoder, clip.samples if samples is None else samples, clip.frames)


def standardise(curve: np.ndarray) -> np.ndarray:
    """A curve with mean 0 and deviation 1 over its seen frames."""
    return (curve - np.nanmean(curve)) / np.nanstd(curve)


def fit_bar(
    clips: Sequence[LipClip], features: dict[str, np.ndarray]
) -> Callable[[np.ndarray, str], np.ndarray]:
    """A ridge regression of each curve on what is known of each frame within ±80 ms.

    features: [T, d] of each clip by name.  Returns a function of features [T, d] and a name of
    CURVES: the curve [T] in deviations.
    """
    stacked = np.concatenate([features[clip.name] for clip in clips])
    mean, deviation = stacked.mean(0), stacked.std(0) + 1e-6

    def inputs(x: np.ndarray) -> np.ndarray:
        return stack_neighbours((x - mean) / deviation, _MAP_REACH)

    weights = {}
    for what in CURVES:
        products, targets = _MAP_PULL * np.eye(inputs(stacked[:1]).shape[1]), 0.0
        for clip in clips:
            real = clip.curve(what)
            if real is not None:
                seen = np.isfinite(real)
                x = inputs(features[clip.name])[seen]
                products += clip.weight * x.T @ x
                targets += clip.weight * x.T @ standardise(real)[seen]
        weights[what] = np.linalg.solve(products, targets)
    return lambda x, what: inputs(x) @ weights[what]


def map_voice(features: np.ndarray, map_fits: bool = True) -> np.ndarray:
    """The bar that all lip motion must beat: what the map of mouths hears, before sounds are placed
    in it. Signals [T, 6] in deviations, of speech features [T, d].

    map_fits: whether it was fitted to their encoder; else their phones alone are mapped.
    """
    return mouth_map().curves(features, presence_in(features) > 0.5, map_fits)


def fit_length(curve: np.ndarray, frames: int) -> np.ndarray:
    """A curve [..., T] cut to so many frames, its last value held beyond its end."""
    return curve[..., np.minimum(np.arange(frames), curve.shape[-1] - 1)]


def follows(curve: np.ndarray, real: np.ndarray) -> float:
    """Correlation of a curve with real lips over the frames in which they are seen, without a
    lag."""
    seen = np.isfinite(real)
    return float(np.corrcoef(curve[seen], real[seen])[0, 1])


def r_at_best_lag(curve: np.ndarray, measured: np.ndarray) -> float:
    """Correlation of a curve [T] with a measured one [T] (NaN: not seen) at the best lag."""
    best = -1.0
    for lag in _LAGS:
        moved, true = (
            (curve[lag:], measured[: len(measured) - lag])
            if lag >= 0
            else (curve[:lag], measured[-lag:])
        )
        seen = np.isfinite(true)
        best = max(best, float(np.corrcoef(moved[seen], true[seen])[0, 1]))
    return best


def closes(curve: np.ndarray, real: np.ndarray) -> float:
    """Share of the real curve's lowest 15 % in which the other is among its lowest 25 %."""
    seen = np.isfinite(real)
    lowest = real[seen] < np.percentile(real[seen], _LOWEST)
    return float((curve[seen][lowest] < np.percentile(curve[seen], _LOW)).mean())


def around_sounds(curve: np.ndarray, intervals: np.ndarray) -> list[np.ndarray]:
    """The frames of a curve within each sound, from one frame before it: lips lead the sound."""
    ends = np.round(np.asarray(intervals).reshape(-1, 2) * FPS).astype(int)
    return [curve[max(0, start - _BEFORE) : end + 1] for start, end in ends if start < len(curve)]


def dips(curve: np.ndarray, clip: LipClip) -> np.ndarray:
    """Whether lips come below their 25th percentile on each m, b and p of a clip."""
    low = np.percentile(curve, _LOW)
    return np.array([part.min() < low for part in around_sounds(curve, clip.bilabials)])


def shuts(curve: np.ndarray, clip: LipClip) -> np.ndarray:
    """Whether lips shut, in millimetres, on each m, b and p of a clip."""
    return np.array(
        [
            np.nanmin(part, initial=np.inf) <= SHUT_MM
            for part in around_sounds(curve, clip.bilabials)
        ]
    )


def spread_error(openings: np.ndarray, real: np.ndarray) -> float:
    """CRPS of takes [K, T] against real lips, in deviations of the real curve: 0 is perfect, takes
    that are alike have their error.

    All takes are scaled together to the mean and deviation of the real curve, because amplitudes
    are the animator's. With K > 1 the estimate is fair: it does not depend on how many takes there
    are.
    """
    seen = np.isfinite(real)
    takes = (openings[:, seen] - openings[:, seen].mean()) / openings[:, seen].std()
    error = np.abs(takes - standardise(real)[seen]).mean()
    apart = np.abs(takes[:, None] - takes[None]).mean(2)
    return float(error - apart.sum() / (2 * len(takes) * max(len(takes) - 1, 1)))


def mean_of(values: Sequence[float], weights: Sequence[float]) -> float:
    """Weighted mean of what is known; NaN of nothing."""
    known = np.isfinite(values)
    return (
        float(np.average(np.asarray(values)[known], weights=np.asarray(weights)[known]))
        if known.any()
        else float("nan")
    )


def interval(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """The 5th and 95th percentile of the weighted mean over clips that are drawn with
    replacement."""
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan")
    x, w = np.asarray(values)[known], np.asarray(weights, float)[known]
    return bootstrap(lambda drawn: float(np.average(x[drawn], weights=w[drawn])), len(x), 0.9)


def figures(clip: LipClip, mouths: np.ndarray) -> dict[str, float]:
    """How well mouths [K, T, 6] (`face.moving.mouth_shape.SIGNALS`; 2: opening and width alone) follow a
    clip's, on average over the K of them.

    opening, width, upper lip, chin, corner: r.  PBM: m, b and p with a dip.  closed: see `closes`.
    CRPS: of the openings together.
    """
    mouths = fit_length(mouths.swapaxes(1, 2), clip.frames)
    openings, widths = mouths[:, OPENING], mouths[:, WIDTH]
    rows = {"opening": [follows(curve, clip.opening) for curve in openings]}
    if clip.width is not None:
        rows["width"] = [follows(curve, clip.width) for curve in widths]
    for name, places in _HEIGHTS.items() if clip.is_tracked and mouths.shape[1] > WIDTH + 1 else ():
        pairs = [(curves[place], clip.mouth[:, place]) for curves in mouths for place in places]
        rows[name] = [follows(*pair) for pair in pairs]
    if len(clip.bilabials):
        rows["PBM"] = [dips(curve, clip).mean() for curve in openings]
    rows["closed"] = [closes(curve, clip.opening) for curve in openings]
    result = {name: float(np.mean(values)) for name, values in rows.items()}
    unknown = dict.fromkeys(("width", "PBM"), float("nan"))
    return unknown | result | {"CRPS": spread_error(openings, clip.opening)}


Rows = dict[str, dict[str, dict[str, float]]]  # system → clip → figures


def comparison_lines(rows: Rows, clips: Sequence[LipClip]) -> list[str]:
    """Lines: each system's figures over clips, weighted by seconds, with intervals over clips, by
    folder and by language."""
    groups = [(f"{name}/", lambda clip, name=name: clip.folder.name == name) for name in FOLDERS]
    groups += [
        (LANGUAGES[code], lambda clip, code=code: clip.language == code) for code in LANGUAGES
    ]
    groups.append(("GRID, unseen", lambda clip: clip.name.split()[0] in UNSEEN))
    chosen = {title: [clip for clip in clips if belongs(clip)] for title, belongs in groups}
    columns = {title: some for title, some in chosen.items() if some}

    def mean(system: str, column: str, some: Sequence[LipClip]) -> float:
        return mean_of(
            [rows[system][clip.name].get(column, np.nan) for clip in some],
            [clip.frames for clip in some],
        )

    head = (
        f"{'':24s}"
        + "".join(f"{what + ' r [90 %]':>20s}" for what in CURVES)
        + "".join(f"{what:>11s}" for what in _HEIGHTS)
        + f"{'PBM':>6s}{'closed':>8s}{'CRPS':>6s}  "
    )
    lines = [head + "".join(f"{title:>13s}" for title in columns)]
    for system, row in rows.items():
        line = f"{system:24s}"
        for what in CURVES:
            low, high = interval(
                [row[clip.name].get(what, np.nan) for clip in clips],
                [clip.frames for clip in clips],
            )
            line += f"{mean(system, what, clips):8.3f} [{low:.2f}, {high:.2f}]".rjust(20)
        line += "".join(f"{mean(system, what, clips):11.3f}" for what in _HEIGHTS)
        line += f"{mean(system, 'PBM', clips):6.2f}{mean(system, 'closed', clips):8.2f}{mean(system, 'CRPS', clips):6.2f}  "
        line += "".join(
            f"{mean(system, 'opening', some):7.2f}/{mean(system, 'width', some):5.2f}"
            for some in columns.values()
        )
        lines.append(line.replace("[nan, nan]", "").replace("nan", "  –"))
    notes = (
        "r without a lag, weighted by seconds; intervals over clips; right: opening/width by "
        "folder, language, speaker; PBM: m, b, p with a dip;"
    )
    return [
        *lines,
        f"{notes} closed: of real lips' lowest 15 %; CRPS in deviations of the real opening, the "
        f"error where there is one curve",
    ]


def clip_lines(rows: Rows, clips: Sequence[LipClip]) -> list[str]:
    """Lines: opening and width of each system on every clip."""
    lines = [f"{'clip':16s}{'tier':>5s}{'s':>4s}" + "".join(f"{system:>24s}" for system in rows)]
    for clip in clips:
        values = [
            f"{row[clip.name]['opening']:.2f}/{row[clip.name]['width']:.2f}"
            for row in rows.values()
        ]
        lines.append(
            f"{clip.name:16s}{clip.tier:>5s}{clip.frames / FPS:4.0f}"
            + "".join(f"{value:>24s}" for value in values)
        )
    return lines
