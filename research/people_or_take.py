# SPDX-License-Identifier: GPL-3.0-or-later
"""Person or take? How surely takes and the teacher's readings are told from the people whose voices
they speak, and by what.

`python -m research people_or_take --data DATA [--teacher] [--mouths] [--unseen] [--quick]`. DATA has
folders of clips with landmarks (`lips/` and others). Takes of the same sounds in the usual direction
are laid on the tracked people (`faces/puppet.py`), so that both differ in movement alone; --out
keeps takes and what the encoder hears. Mouths of both are read as the tracker shows them
(`engine.tracking.mouth`): those of takes by the linear film. With --film N the first takes of N clips
that nothing was fitted to are drawn and followed, too (`faces/filmed.py`; half a minute a clip),
which says how far the linear film may stand for films: --unseen --mouths --film 15 is kept as
people_or_take_films.txt. First: as directed; all: each clip with every one of its takes in turn.

A classifier sees 2 s of some signals, smoothed by 3 frames, and says who moves: AUC .5 is chance,
1 certainty; it has not learned from the clip that it is asked about. Again: people's own mouths as
they are read, shown by the linear film without what it misses, and read once more: so near to
people comes a mouth that moves as it is read of them. Then one part of the model of upper faces
after the other is taken out. In rows that are bridged, brows and gaze are straight lines over
closed lids, where trackers move them. Then come figures of lips, head and eyes, and how far takes
of a voice differ beside people. †: the tracker's in part; do not tune takes towards it. No figure
says that a face looks well. Three minutes of one core; --mouths leaves upper faces out, --takes 0
--teacher measures the teacher alone (a minute), --quick (ten clips) finds gross faults alone. To
stdout and, all of it, research/results/people_or_take.txt.
"""

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from research.faces.filmed import film_take, Films
from research.faces.lip_clips import (
    above_rest,
    encode_clip,
    fit_length,
    FOLDERS,
    LipClip,
    mean_of,
    Phone,
    read_clips,
    spoken_phones,
)
from research.faces.people import ABOUT, Face
from research.faces.puppet import (
    CHANNELS,
    Curves,
    LinearFilm,
    measure_mouth,
    measure_person,
    measure_upper,
    Puppet,
    show_mouth,
)
from research.harness import (
    add_shared,
    bootstrap,
    discard_old_takes,
    report,
    required,
    results_file,
    ROOT,
    usual_direction,
)
from research.lips import SPREAD, teacher_motion
from research.measures import movement
from research.measures.habits import ACCENT_REACH, BOUNDARY_REACH, Coherence, coherence
from research.measures.movement import AFTER, BEFORE, correlate, HEAD, HEAD_SPEED
from research.measures.told_apart import auc, features, fill, near_closed, soften, tell_apart
from research.train.teacher import prosody, semitones
from thunder_core.engine.engine import Engine
from thunder_core.engine.planning.people import People
from thunder_core.engine.speech.audio import sound_of
from thunder_core.engine.speech.cues import Prosody
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.tracking.mouth import JAW, tracked_mouth
from thunder_core.request import Request
from thunder_core.types import FPS, pack, RATE, unpack

SYSTEMS = ("people", "first", "all", "teacher")
AGAIN = "again"  # people's own mouths
WINDOW, STEP = 50, 25  # frames that the classifier sees, and from one window to the next
SMOOTH = 3.0  # frames
QUICK = 10  # clips
DRAWS = 200  # of clips, for an interval of 90 %
AGREES = 0.05  # by which the linear film may be off one that is drawn and followed
LEAST_ROUND = 0.06  # seconds of a round sound into which a path is followed
BRIDGED = " bridged"  # over closed lids
READ = (JAW, *CHANNELS)  # of a mouth
MOUTHS = {
    "lips": ("opening", "width", "upper lip", "corner"), "opening, width": ("opening", "width"),
    "upper lip": ("upper lip",), "chin, opening": ("chin", "opening"),
    **{name: (name,) for name in READ}, "jaw, pucker, stretch, close": (JAW, "pucker", "stretch", "close"),
}  # fmt: skip
SPREAD_OF = (*READ, "opening", "width", "upper lip", "chin", "corner")
HERTZ = ((0.1, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 8))
# pairs whose movement goes together or apart: name → curves
COUPLED = {
    "corner, upper lip": ("corner", "upper lip"), "jaw, close": (JAW, "close"),
    "funnel, pucker": ("funnel", "pucker"), "opening, upper lip": ("opening", "upper lip"),
    "jaw, upperUp": (JAW, "upperUp"),
}  # fmt: skip
AROUND = (-2, -1, 0, 1, 2)  # frames about the start of oo
BROWS, GAZE = ("inner brow", "outer brow"), ("gaze aside", "gaze up")
FACE = ("opening", "width", "upper lip", "corner", "chin", *HEAD, "lid")
BROWS_BRIDGED, GAZE_BRIDGED = (tuple(name + BRIDGED for name in some) for some in (BROWS, GAZE))
REGIONS = MOUTHS | {
    "head": HEAD, "brows": BROWS, "lids": ("lid",), "gaze": GAZE,
    "everything": (*FACE, *BROWS, *GAZE), "brows, bridged": BROWS_BRIDGED,
    "gaze, bridged": GAZE_BRIDGED, "upper face, bridged": (*HEAD, "lid", *BROWS_BRIDGED, *GAZE_BRIDGED),
    "everything, bridged": (*FACE, *BROWS_BRIDGED, *GAZE_BRIDGED),
}  # fmt: skip
ROUND, LIPS_MEET = ("W", "UW", "OW", "UH", "OY", "AO"), ("P", "B", "M")
LESS_ROUND = ("SH", "R")  # a path into these is not followed
LEAST = ("W", "UW", "OW", *LESS_ROUND, *LIPS_MEET)  # that are measured one by one
UPPER = ("head", "brows, bridged", "lids", "gaze, bridged", "upper face, bridged")
PARTS = {
    "nothing": (), "liveliness": ("lively", "in_pauses", "loud"), "correlations": ("correlation",),
    "held gaze": ("hold",), "persons": [name for name in ABOUT if name.endswith("_between")],
}  # fmt: skip
Rows = dict[str, dict[str, float]]  # figure → system → value


@dataclass(frozen=True)
class Voice:
    """A clip's voice, and the curves of all who speak with it: the person, takes (the first as
    directed), the teacher's readings. known [T]: frames in which the person is measured.  again:
    the person, whose mouth is read once more (`show_again`).  filmed: the first take in a film, if
    there is one."""

    clip: LipClip
    said: Sequence[Phone]
    sound: Prosody
    known: np.ndarray
    person: Curves
    takes: list[Curves]
    readings: list[Curves]
    again: Curves
    filmed: Curves | None = None

    def of(self, system: str) -> list[Curves]:
        """The curves of one of SYSTEMS, or AGAIN."""
        return {
            "people": [self.person], "first": self.takes[:1], "all": self.takes,
            "teacher": self.readings, AGAIN: [self.again],
        }[system]  # fmt: skip


# ---- the classifier


def cut_windows(voice: Voice, curves: Curves) -> tuple[Curves, Curves]:
    """Smoothed signals of REGIONS in windows [n, WINDOW] of known frames, of the person and of
    another performance: bridged ones where either has closed lids."""
    starts = [
        start
        for start in range(0, len(voice.known) - WINDOW + 1, STEP)
        if voice.known[start : start + WINDOW].all()
    ]
    rows = np.array(starts, int)[:, None] + np.arange(WINDOW)
    performed = voice.person, curves
    open_ = voice.known
    if "lid" in voice.person:
        open_ = open_ & ~(near_closed(voice.person["lid"]) | near_closed(curves["lid"]))

    def cut(performance: Curves, signal: str) -> np.ndarray:
        name = signal.removesuffix(BRIDGED)
        known = voice.known if name == signal else open_
        return soften(performance[name], SMOOTH, known)[rows]

    measured = {signal for some in regions_of(voice).values() for signal in some}
    return tuple({signal: cut(x, signal) for signal in sorted(measured)} for x in performed)


def regions_of(voice: Voice) -> dict[str, Sequence[str]]:
    """Those of REGIONS that are measured of a voice."""
    return {
        region: signals
        for region, signals in REGIONS.items()
        if all(signal.removesuffix(BRIDGED) in voice.person for signal in signals)
    }


def together(voices: Sequence[Voice], performances: Sequence[Curves]) -> tuple[Curves, Curves]:
    """`cut_windows` of a performance of each voice, joined."""
    cut = [cut_windows(*pair) for pair in zip(voices, performances)]
    return tuple(
        {name: np.concatenate([pair[kind][name] for pair in cut]) for name in cut[0][kind]}
        for kind in (0, 1)
    )


def classifier_lines(voices: Sequence[Voice], check: Collection[str]) -> list[str]:
    """Table: by region how surely performances are told from people, and what tells first takes,
    else readings. check: names of clips that nothing was fitted to."""
    counts = [len(cut_windows(voice, voice.person)[0]["opening"]) for voice in voices]
    clips = np.repeat([voice.clip.name for voice in voices], counts)
    if len(set(clips)) < 2:
        return ["There are too few clips of two seconds for a classifier."]
    is_take = np.arange(2 * len(clips)) >= len(clips)
    unseen = np.isin(np.tile(clips, 2), list(check))
    columns = [*SYSTEMS[1:], AGAIN]
    regions, systems = regions_of(voices[0]), [s for s in columns if voices[0].of(s)]
    cells, telling = defaultdict[tuple[str, str], str](lambda: "–"), dict[str, str]()
    for system in systems:
        scores = defaultdict[str, list[np.ndarray]](list)
        for turn in range(len(voices[0].of(system))):
            of = [v.of(system)[(i + turn) % len(v.of(system))] for i, v in enumerate(voices)]
            pair, kept = together(voices, of), (Curves(), Curves())
            for region, signals in (MOUTHS if system == AGAIN else regions).items():
                scores[region].append(score_windows(pair, signals, clips, kept))
                if region not in telling:
                    telling[region] = what_tells(pair, signals, kept)
        for region, found in scores.items():
            cells[region, system] = mean_auc(is_take, found)
            cells[region, f"check, {system}"] = mean_auc(
                is_take[unseen], [score[unseen] for score in found]
            )
            if system != "all":
                cells[region, system] += interval_of(is_take, found[0], clips)
    columns += [f"check, {system}" for system in columns]
    return [
        f"Told from people, AUC ([90 %] over clips): {len(clips)} windows of {len(set(clips))} "
        f"clips; alone on {len(set(clips) & set(check))} that nothing was fitted to (check); what "
        f"tells {systems[0]} (below .50: it has less)",
        f"{'':28s}" + "".join(f"{name:>20s}" for name in columns),
        *(
            f"{region:28s}" + "".join(f"{cells[region, name]:>20s}" for name in columns)
            + "   " + telling[region]
            for region in regions
        ),
    ]  # fmt: skip


def what_tells(
    pair: tuple[Curves, Curves], signals: Sequence[str], kept: tuple[Curves, Curves]
) -> str:
    """The three features that alone tell windows of people from others' most surely."""
    x, y = (features(windows, signals, seen) for windows, seen in zip(pair, kept))
    is_take = np.arange(2 * len(x[f"{signals[0]}: size"])) >= len(x[f"{signals[0]}: size"])
    alone = {name: auc(is_take, np.r_[x[name], y[name]]) for name in x}
    most = sorted(alone, key=lambda name: -abs(alone[name] - 0.5))[:3]
    return "; ".join(f"{name} {alone[name]:.2f}" for name in most)


def interval_of(is_take: np.ndarray, score: np.ndarray, clips: np.ndarray) -> str:
    """An AUC's interval of 90 % over clips of windows, as text."""
    low, high = bootstrap(
        partial(auc_of_drawn, is_take, score, places_of(clips)), len(set(clips)), 0.9, DRAWS
    )
    return f" [{low:.2f}, {high:.2f}]"


def places_of(clips: np.ndarray) -> list[np.ndarray]:
    """Where windows of each clip are among people's and performances'."""
    return [np.flatnonzero(np.tile(clips, 2) == name) for name in np.unique(clips)]


def score_windows(
    pair: tuple[Curves, Curves],
    signals: Sequence[str],
    clips: np.ndarray,
    kept: tuple[Curves, Curves] | None = None,
) -> np.ndarray:
    """How surely each window of people, then of performances, is one of these, by some signals.
    kept: of both, as of `features`."""
    both = zip(pair, kept or ({}, {}))
    seen = [np.stack([*features(windows, signals, some).values()], 1) for windows, some in both]
    return tell_apart(*seen, clips)


def mean_auc(is_take: np.ndarray, scores: Sequence[np.ndarray]) -> str:
    """Mean AUC of scores of windows, “–” of none."""
    known = scores and is_take.any()
    return f"{np.mean([auc(is_take, score) for score in scores]):.3f}" if known else "–"


def part_lines(voices: Sequence[Voice]) -> list[str]:
    """Table: how surely upper faces by the teacher are told from people, and each part of
    their model taken out (`planning.people`)."""
    numbers = People.load().numbers
    clips = np.repeat(
        [voice.clip.name for voice in voices],
        [len(cut_windows(voice, voice.person)[0]["opening"]) for voice in voices],
    )
    faces = [Face(v.clip, v.sound, Puppet(v.clip.held[0]), v.person, v.known) for v in voices]
    is_take = np.arange(2 * len(clips)) >= len(clips)
    lines = ["", f"{'Model, without':22s}" + "".join(f"{name:>22s}" for name in UPPER)]
    for part, names in PARTS.items():
        of = People(numbers | {name: 0 * numbers[name] for name in names})
        pair = together(voices, [v.person | face.perform(1, of) for v, face in zip(voices, faces)])
        scores = [score_windows(pair, REGIONS[region], clips) for region in UPPER]
        cells = "".join(f"{mean_auc(is_take, [score]):>22s}" for score in scores)
        lines.append(f"{part:22s}{cells}")
    return lines


def auc_of_drawn(
    is_take: np.ndarray, score: np.ndarray, places: list[np.ndarray], drawn: np.ndarray
) -> float:
    """AUC over drawn clips; places: of each clip's windows."""
    chosen = np.concatenate([places[clip] for clip in drawn])
    return auc(is_take[chosen], score[chosen])


# ---- lips, head, eyes


def compare(
    voices: Sequence[Voice],
    measure: Callable[[Voice, Curves], dict[str, float]],
    systems: Sequence[str] = SYSTEMS,
) -> Rows:
    """Figures of every system, averaged over clips by their frames; "±": people's between clips."""
    rows: Rows = defaultdict(dict)
    for system in systems:
        found = [[measure(voice, curves) for curves in voice.of(system)] for voice in voices]
        for name in found[0][0] if found[0] else ():
            values = [mean_of([each[name] for each in some], np.ones(len(some))) for some in found]
            rows[name][system] = mean_of(values, [voice.clip.frames for voice in voices])
            if system == "people":
                rows[name]["±"] = float(np.nanstd(values)) if np.isfinite(values).any() else np.nan
    return rows


def measure_lips(voice: Voice, curves: Curves) -> dict[str, float]:
    """`movement.measure_lips`, without widths where they are not reliable."""
    figures = movement.measure_lips(curves, voice.person, voice.known)
    known = voice.clip.width is not None
    return {name: np.nan if "width" in name and not known else x for name, x in figures.items()}


def sounds_of(voice: Voice) -> Iterator[tuple[str, str, slice, float]]:
    """Sounds in known frames that narrow or shut lips: the phone, the curve that shows it, its
    frames, and where a path into it ends (NaN: it is short, or follows another round one)."""
    for before, phone in zip([None, *voice.said], voice.said):
        shuts = phone.symbol in LIPS_MEET
        frames = slice(round(phone.start * FPS), round(phone.end * FPS) + 1)
        narrows = phone.symbol in (*ROUND, *LESS_ROUND) and voice.clip.width is not None
        if not (shuts or narrows):
            continue
        if frames.stop <= len(voice.known) and voice.known[frames].all():
            is_new = before is not None and before.symbol not in ROUND
            is_new &= phone.symbol in ROUND and phone.end - phone.start >= LEAST_ROUND
            enters = shuts or is_new
            start = phone.start * FPS if enters else np.nan
            yield phone.symbol, "opening" if shuts else "width", frames, start


def compare_at_sounds(voices: Sequence[Voice]) -> Rows:
    """Least width and opening at sounds, over all of them, and how long before these half of the
    way is made."""
    least, paths = (defaultdict[tuple[str, str], list](list) for _ in range(2))
    for voice, system in ((voice, system) for voice in voices for system in SYSTEMS):
        for curves in voice.of(system):
            for phone, name, frames, start in sounds_of(voice):
                x, into = fill(curves[name]), "m, b, p" if name == "opening" else "w, oo, o"
                real = x[voice.known]
                base = np.quantile(real, 0.02) if name == "opening" else real.mean()
                if phone in LEAST:
                    label = f"least {name} at {phone.lower()}, mm"
                    least[label, system].append(x[frames].min() - base)
                if BEFORE <= start < len(x) - AFTER:
                    path = np.interp(start + np.arange(-BEFORE, AFTER), np.arange(len(x)), x)
                    paths[f"half of the way into {into}, ms", system].append(path - real.mean())
    rows: Rows = defaultdict(dict)
    for (label, system), values in sorted(least.items()):
        rows[label][system] = float(np.mean(values))
    for (label, system), values in paths.items():
        rows[label][system] = movement.lead(np.mean(values, 0))
    return rows


def compare_timing(voices: Sequence[Voice]) -> Rows:
    """How often movements come near marks, as a multiple of chance, over all clips."""
    rows: Rows = defaultdict(dict)
    for system in SYSTEMS:
        found: dict[str, Coherence] = defaultdict(Coherence)
        for voice, curves in ((voice, curves) for voice in voices for curves in voice.of(system)):
            known, accents = voice.known, voice.sound.accents
            nods, raises = movement.find_nods(curves, known), movement.find_raises(curves, known)[0]
            blinks = movement.find_blinks(curves, known)[:, 0]
            ends = np.array([end for _, end in voice.sound.phrases])
            for name, events, marks, reach in (
                ("nods at accents", nods, accents, ACCENT_REACH),
                ("nods at brow raises", nods, raises / FPS, ACCENT_REACH),
                ("brow raises at accents", raises, accents, ACCENT_REACH),
                ("blinks at phrase ends", blinks, ends, BOUNDARY_REACH),
                ("blinks at brow raises", blinks, raises / FPS, BOUNDARY_REACH),
            ):
                found[f"{name}, × chance"] += coherence(events, marks, known, reach)
        for name, counted in found.items():
            rows[name][system] = counted.ratio
    return rows


# ---- the ruler


def sizes_of(voice: Voice, curves: Curves) -> dict[str, float]:
    """How large movements of a mouth are, how they go together, when they come: of one performance."""
    known = voice.known
    figures = {name: curves[name][known].std() for name in SPREAD_OF}
    bands = {name: [movement.in_band(curves[name], *band, known).std() for band in HERTZ]
             for name in ("opening", "width", JAW, "pucker")}  # fmt: skip
    for name, sizes in bands.items():
        for (low, high), size in zip(HERTZ, sizes):
            figures[f"{name}, {low:g}–{high:g} Hz"] = size
    pauses = known & ~fit_length(voice.sound.spoken, len(known))
    for name in ("opening", "width"):
        far = curves[name][pauses].std() if pauses.sum() > 10 else np.nan
        figures[f"{name} in pauses"] = float(far)
    return figures


def couplings_of(voice: Voice, curves: Curves) -> dict[str, float]:
    """r of COUPLED curves, smoothed by a frame, and widths about the start of oo, mm above the
    clip's mean."""
    soft = {name: soften(curves[name], 1.0, voice.known)[voice.known]
            for pair in COUPLED.values() for name in pair}  # fmt: skip
    figures = {f"r {name}": correlate(*(soft[x] for x in pair)) for name, pair in COUPLED.items()}
    width = fill(curves["width"], voice.known)
    starts = [round(p.start * FPS) for p in voice.said if p.symbol == "UW"]
    starts = [
        at for at in starts if 2 <= at < len(width) - 2 and voice.known[at - 2 : at + 3].all()
    ]
    for off in AROUND:
        at = [width[start + off] for start in starts] if voice.clip.width is not None else []
        value = np.mean(at) - width[voice.known].mean() if at else np.nan
        figures[f"width {off:+d} frames of oo, mm"] = float(value)
    return figures


def ruler_lines(voices: Sequence[Voice], check: Collection[str]) -> list[str]:
    """Table: sizes of first takes, readings and AGAIN ÷ people's, and how both go together, with intervals
    of 90 % over people; of those that numbers were fitted to, and of unseen ones."""
    groups = {
        "fit": [v for v in voices if v.clip.name not in check],
        "unseen": [v for v in voices if v.clip.name in check],
    }
    systems = [name for name in ("first", "teacher", AGAIN) if voices[0].of(name)]
    lines = []
    for title, of, is_ratio in (
        ("Sizes: people's, others ÷ these", sizes_of, True),
        ("Together, and in time", couplings_of, False),
    ):
        lines += ["", f"{title:36s}" + "".join(
            f"{name + ', people':>16s}" + "".join(f"{each + ' [90 %]':>22s}" for each in systems)
            for name in groups)]  # fmt: skip
        found = {
            (group, name): [of(v, (v.of(name) or [v.person])[0]) for v in some]
            for group, some in groups.items()
            for name in ("people", *systems)
        }
        labels = next((each[0] for each in found.values() if each), {})
        for label in labels:
            line = f"{label:36s}"
            for group in groups:
                person, *others = (
                    np.array([each[label] for each in found[group, name]])
                    for name in ("people", *systems)
                )
                known = np.isfinite([person, *others]).all(0)
                line += f"{person[known].mean():16.2f}" if known.sum() > 1 else f"{'–':>16s}"
                for x in others:
                    base = person[known] if is_ratio else None
                    line += f"{ratio_of(x[known], base):>22s}"
            lines.append(line)
    return lines


def ratio_of(x: np.ndarray, base: np.ndarray | None) -> str:
    """Mean of a figure over people, ÷ that of a base, with its interval of 90 %."""
    if len(x) < 2:
        return "–"

    def figure(drawn: np.ndarray) -> float:
        return float(x[drawn].mean() / (1.0 if base is None else base[drawn].mean() + 1e-9))

    low, high = bootstrap(figure, len(x), 0.9, DRAWS)
    return f"{figure(np.arange(len(x))):.2f} [{low:.2f}, {high:.2f}]"


def film_lines(voices: Sequence[Voice]) -> list[str]:
    """Table: how surely first takes are told from people, and how large their movements are beside
    these, where they are filmed and followed, and by the linear film alone, of the same frames; by
    how much the linear film is off, with intervals of 90 % over clips."""
    voices = [voice for voice in voices if voice.filmed is not None]
    if len(voices) < 3:
        return []
    filmed = [voice.filmed for voice in voices if voice.filmed is not None]
    same = [replace(v, known=v.known & np.isfinite(f["opening"])) for v, f in zip(voices, filmed)]
    linear = [voice.takes[0] for voice in same]
    pairs = [
        together(same, [{k: np.nan_to_num(x) for k, x in f.items()} for f in filmed]),
        together(same, linear),
    ]
    counts = [len(cut_windows(v, v.person)[0]["opening"]) for v in same]
    clips = np.repeat([v.clip.name for v in same], counts)
    is_take = np.arange(2 * len(clips)) >= len(clips)
    figures = {}  # label → of drawn clips, in films and by the slopes
    for region, signals in MOUTHS.items():
        scores = [score_windows(pair, signals, clips, ({}, {})) for pair in pairs]
        figures[f"AUC, {region}"] = partial(_aucs_of_drawn, is_take, scores, places_of(clips))
    for name in SPREAD_OF:
        sizes = np.array([
            [of[name][v.known].std() for of in (v.person, f, t)]
            for v, f, t in zip(same, filmed, linear)
        ])  # fmt: skip
        figures[f"sd ÷ people's, {name}"] = partial(_ratios_of_drawn, sizes)
    columns = ("filmed [90 %]", "linear [90 %]", "off [90 %]")
    lines = [
        "", f"{f'{len(same)} clips, first takes':42s}" + "".join(f"{x:>23s}" for x in columns)
    ]  # fmt: skip
    off, rng, clips_there = [], np.random.default_rng(1), len(set(clips))
    for label, figure in figures.items():
        count = clips_there if label.startswith("AUC") else len(same)
        drawn = np.array([figure(rng.integers(0, count, count)) for _ in range(DRAWS)])
        whole = figure(np.arange(count))
        lines.append(f"{label:42s}" + "".join(
            f"{f'{value:.2f} [{low:.2f}, {high:.2f}]':>23s}"
            for value, low, high in zip(whole, *np.quantile(drawn, (0.05, 0.95), axis=0))
        ))  # fmt: skip
        off.append(abs(whole[-1]))
    agree = sum(each <= AGREES for each in off)
    return [*lines, f"The linear film is within {AGREES} of films in {agree} of {len(off)} rows; at "
            f"most {max(off):.2f} off, at the median {np.median(off):.2f}."]  # fmt: skip


def _aucs_of_drawn(
    is_take: np.ndarray, scores: Sequence[np.ndarray], places: list[np.ndarray], drawn: np.ndarray
) -> tuple[float, float, float]:
    filmed, linear = (auc_of_drawn(is_take, score, places, drawn) for score in scores)
    return filmed, linear, linear - filmed


def _ratios_of_drawn(sizes: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float]:
    person, filmed, linear = sizes[drawn].mean(0)
    return filmed / person, linear / person, (linear - filmed) / person


# ---- takes beside each other


def compare_spread(voices: Sequence[Voice]) -> Rows:
    """How far takes of a voice differ, by how far people do, and how alike they run."""
    rows: Rows = defaultdict(dict)
    systems = [name for name in ("all", "teacher") if len(voices[0].of(name)) > 1]
    people = [movement.manner(voice.person, voice.known) for voice in voices if systems]
    for system in systems:
        performed = [voice.of(system) for voice in voices]
        own = [
            [movement.manner(curves, v.known) for curves in some]
            for v, some in zip(voices, performed)
        ]
        speeds = [
            np.std([movement.measure_upper(curves, v.known)[HEAD_SPEED] for curves in some], ddof=1)
            for v, some in zip(voices, performed)
        ]
        rows["head, °/s, deviation between takes of a voice"][system] = float(np.mean(speeds))
        for name in people[0]:
            within = np.mean([np.var([each[name] for each in some], ddof=1) for some in own])
            rows[f"spread ÷ people's, {name}"][system] = float(
                np.sqrt(within) / np.std([each[name] for each in people], ddof=1)
            )
        for name in ("opening", "width", "corner", "chin", "pitch", "yaw", "inner brow", "lid"):
            rows[f"r of two takes, {name}"][system] = mean_of(
                [np.mean([correlate(a[name], b[name]) for a, b in combinations(some, 2)])
                 for some in performed], [voice.clip.frames for voice in voices],
            )  # fmt: skip
    return rows


def table(title: str, rows: Rows) -> list[str]:
    """Lines of a table of SYSTEMS."""
    lines = [
        "",
        f"{title:46s}"
        + "".join(f"{name:>16s}" if name == "people" else f"{name:>9s}" for name in SYSTEMS),
    ]
    for label, row in rows.items():
        spread = f"±{row['±']:.2f}" if "±" in row else ""
        cells = "".join(f"{row.get(name, np.nan):9.2f}" for name in SYSTEMS[1:])
        lines.append(
            (f"{label:46s}{row.get('people', np.nan):9.2f}{spread:>7s}" + cells).replace(
                "nan", "  –"
            )
        )
    return lines


# ---- voices


def read_voice(
    engine: Engine, clip: LipClip, said: Sequence[Phone], args: Namespace, films: Films | None
) -> Voice:
    """A clip with its person, takes and what is heard of it (both kept in --out) and, if wanted, the
    teacher's readings and a film."""
    seeds = list(range(args.seed, args.seed + args.takes))
    heard, phones = _kept(args.out / f"{clip.name}_heard.npz", [], lambda: encode_clip(
        engine.thunder.encoder, clip))  # fmt: skip
    motions = _kept(
        args.out / f"{clip.name}.npz", seeds, lambda: [_perform(engine, clip, seeds)]
    )[0] if seeds else []  # fmt: skip
    motions = [unpack(each, engine.head.channels) for each in motions]
    sound = prosody(phones, heard[:, -LOUDNESS:], semitones(clip.samples, clip.frames))
    again = range(args.seed, args.seed + args.readings) if args.teacher else ()
    performed = [*motions, *(teacher_motion(engine, heard, phones, seed) for seed in again)]
    known = np.zeros(clip.frames, bool)
    known[clip.held[2]] = True
    shown = [clip.shown, show_again(clip.shown)]
    shown += [show_mouth(motion, number) for number, motion in enumerate(performed, 1)]
    if films is not None:
        shown.append(np.full((clip.frames, clip.shown.shape[1]), np.nan))
        film = above_rest(film_take(films, "head", clip.name, motions[0]))[: clip.frames]
        shown[-1][: len(film)] = film
    person, again, *worn = _read_mouths(shown, clip.frames)
    if not args.mouths:
        puppet, person = Puppet(clip.held[0]), person | measure_person(clip, measure_upper)
        for number, motion in enumerate(performed):
            upper = puppet.measure_upper(motion, number + 1)
            worn[number] |= {name: fit_length(x, clip.frames) for name, x in upper.items()}
    filmed = worn.pop() if films is not None else None
    takes, readings = worn[: len(motions)], worn[len(motions) :]
    return Voice(clip, said, sound, known, person, takes, readings, person | again, filmed)


def show_again(shown: np.ndarray) -> np.ndarray:
    """What the linear film shows [T, 6] of a mouth that looks to the tracker like this [T, 6], as
    our head is read to make it; NaN where nothing is seen."""
    seen, again = np.isfinite(shown).all(1), np.full_like(shown, np.nan)
    again[seen] = LinearFilm.load().show(*tracked_mouth().read(shown[seen]))
    return again


def _kept(path: Path, seeds: Sequence[int], make: Callable[[], Sequence]) -> list[np.ndarray]:
    """Arrays that a file keeps for these seeds, made where it does not."""
    if path.exists():
        with np.load(path) as file:
            if file["seeds"].tolist() == [*seeds]:
                return [file[name] for name in file.files if name != "seeds"]
    made = [np.asarray(each) for each in make()]
    np.savez(path, *made, seeds=np.array(seeds, int))
    return made


def _perform(engine: Engine, clip: LipClip, seeds: Sequence[int]) -> np.ndarray:
    """Takes of a clip, packed, in the order of their seeds."""
    request = Request(len(seeds), seeds[0], direction=usual_direction(SPREAD))
    made = engine.generate(sound_of(clip.samples, RATE, clip.name), request)
    return np.array([pack(take.motion) for take in sorted(made, key=lambda take: take.seed)])


def _read_mouths(shown: Sequence[np.ndarray], frames: int) -> list[Curves]:
    """`measure_mouth` of mouths [T, 6] as shown, at once, each cut or held to so many frames; NaN
    where nothing is seen."""
    all_shown = np.concatenate(shown)
    seen = np.isfinite(all_shown).all(1)
    found = measure_mouth(all_shown[seen])
    read: Curves = {name: np.full(len(all_shown), np.nan) for name in found}
    for name, values in found.items():
        read[name][seen] = values
    ends = np.cumsum([len(each) for each in shown])[:-1]
    parts = {name: np.split(values, ends) for name, values in read.items()}
    return [{name: fit_length(parts[name][k], frames) for name in parts} for k in range(len(shown))]


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "seed", "results", takes=2)
    p.add_argument("--out", type=Path, default=ROOT / "out" / "people_or_take", help="keeps takes")
    p.add_argument("--teacher", action="store_true", help="measure its readings too")
    p.add_argument("--readings", type=int, default=2, help="of each clip, by the teacher")
    p.add_argument("--mouths", action="store_true", help="measure mouths alone")
    p.add_argument("--film", type=int, default=0, help="clips of check whose first take is filmed")
    p.add_argument("--filmed", type=Path, default=ROOT / "out" / "filmed", help="keeps films")
    p.add_argument("--unseen", action="store_true", help="only clips that nothing was fitted to")
    p.add_argument("--quick", action="store_true", help=f"{QUICK} clips")


def run(args: Namespace) -> None:
    """Print the tables and write them to research/results."""
    required(args.data / FOLDERS[0] / "landmarks", "the folder of tracked faces")
    discard_old_takes(args.out)
    engine = Engine.load(None, device="cpu")
    part = "check" if args.unseen else None
    clips = [clip for clip in read_clips(args.data, part) if clip.is_tracked]
    if args.quick:
        clips = clips[:: max(1, len(clips) // QUICK)][:QUICK]
    said = {folder: spoken_phones(folder) for folder in {clip.folder for clip in clips}}
    check = {clip.name for clip in read_clips(args.data, "check")}
    shown = [clip.name for clip in clips if clip.name in check][: args.film]
    with Films(args.filmed) as films:
        voices = [
            read_voice(engine, clip, said[clip.folder].get(clip.name, ()), args,
                       films if clip.name in shown else None)
            for clip in clips
        ]  # fmt: skip
    calm = [voice for voice in voices if not voice.clip.cuts]
    lines = [
        f"{len(voices)} clips, {sum(clip.frames for clip in clips) / FPS:.0f} s, {len(calm)} of them "
        f"without cuts; weights {engine.weights}; {args.takes} takes, {args.readings * args.teacher} "
        f"readings, Spread {SPREAD:g}, seed {args.seed}",
        "",
        *classifier_lines(voices, check),
        *ruler_lines(voices, check),
        *film_lines(voices),
        *table("Lips", compare(voices, measure_lips) | compare_at_sounds(voices)),
    ]
    if not args.mouths:
        upper = compare(
            calm,
            lambda voice, x: movement.measure_upper(
                x, voice.known, fit_length(voice.sound.spoken, len(voice.known))
            ),
            SYSTEMS,
        )
        lines += [
            *part_lines(voices),
            *table("Head and eyes", upper | compare_timing(calm)),
            *table("Takes beside each other", compare_spread(calm)),
        ]
    report(
        results_file(
            args.results,
            "people_or_take.txt",
            args.teacher and args.takes and not (args.quick or args.mouths),
        ),
        lines,
    )
