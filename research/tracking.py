# SPDX-License-Identifier: GPL-3.0-or-later
"""How well faces in videos are followed, on films of the default head whose motion is known.

Takes of the sample in varied directions, their blinks replaced by ones that are shut at known
frames, are drawn as films and followed by `python -m research train track`'s tracker. The table
has lips and turns beside those that were drawn; the same films mirrored, shifted and scaled beside
the plain ones; blinks that are found within two frames, and false ones; and for how many squeezed
films the tracker says so. A drawn head is no person: it has no pores, no beard and no light of a
room. Written to research/results/tracking.txt; needs what follows faces (docs/training.md).
"""

import tempfile
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from research.faces.films import draw_films, SCALE, SHIFT, SQUEEZE
from research.harness import add_shared, report, results_file, SAMPLE, usual_direction
from thunder_core.animation.motion_file import arrays
from thunder_core.client import Client
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine_python import find_tracker
from thunder_core.face.head import Head, load_head
from thunder_core.face.moving.lips import opening_mm, width_mm
from thunder_core.request import Request
from thunder_core.types import FPS, Motion

TAKES, COMPARED = 13, 3  # takes, and how many of them are filmed in all ways
SPREAD = 1.0  # of their directions
SAME = {  # ways in which the same film is followed again
    "mirrored": "mirrored", "shifted": f"shifted {SHIFT[0]}, {SHIFT[1]} px",
    "scaled": f"scaled {SCALE}",
}  # fmt: skip
STRETCHED = {"squeezed": SQUEEZE, "widened": 1 / SQUEEZE}  # → the width of its pixels
_APART = (14, 32)  # frames between two blinks
_SHUT = 0.5  # closure of the lids in a blink
NEAR_FRAMES = 2  # frames
# closures of lids from frame to frame: quick, usual and slow blinks
_BLINKS = (
    (0.5, 1.0, 0.6, 0.2),
    (0.4, 0.9, 1.0, 0.7, 0.4, 0.15),
    (0.3, 0.7, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2, 0.1),
)


def place_blinks(motion: Motion, head: Head, seed: int) -> tuple[Motion, np.ndarray]:
    """A motion with other blinks at random moments, and the frames [k] in which they are shut."""
    rng, names = np.random.default_rng(seed), list(head.expression_names)
    lids, shut = np.zeros(motion.frames), []
    at = int(rng.integers(8, 20))
    while at < motion.frames - 14:
        blink = np.array(_BLINKS[rng.integers(len(_BLINKS))])
        lids[at : at + len(blink)] = blink
        shut.append(at + int(blink.argmax()))
        at += int(rng.integers(*_APART))
    expression = motion.expression.copy()
    for side in ("Left", "Right"):
        expression[:, names.index(f"eyeBlink{side}")] = lids
    return replace(motion, expression=expression), np.array(shut)


def count_blinks(lids: np.ndarray, shut: np.ndarray) -> tuple[int, int]:
    """Of blinks that are shut in known frames those found in closures [T], and false ones."""
    peaks, _ = find_peaks(np.concatenate([[0], lids, [0]]), height=_SHUT, distance=6)
    near = np.abs(peaks[:, None] - 1 - shut) <= NEAR_FRAMES
    return int(near.any(0).sum()), int((~near.any(1)).sum())


def _lips(motion: Motion, head: Head) -> np.ndarray:
    """Opening and width [T, 2], mm, of a solved or drawn head."""
    return np.stack([opening_mm(motion, head), width_mm(motion, head)], 1)


def beside(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each column of values [T, k] (r with the `wanted`, standard deviation of their
    difference)."""
    frames = min(len(values), len(wanted))
    pairs = zip(values[:frames].T, wanted[:frames].T)
    return np.array([(np.corrcoef(a, b)[0, 1], (a - b).std()) for a, b in pairs])


def beside_itself(values: np.ndarray) -> np.ndarray:
    """The row of what was drawn: its own spread."""
    return np.stack([np.ones(values.shape[1]), values.std(0)], 1)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "results", "seed", takes=TAKES)
    p.add_argument("--compared", type=int, default=COMPARED, help="takes filmed in all ways")


def run(args: Namespace) -> None:
    """Measure, and write the table."""
    head = load_head()
    blink = list(head.expression_names).index("eyeBlinkLeft")
    request = Request(args.takes, args.seed, direction=usual_direction(SPREAD))
    takes = Engine.load(device="cpu").generate(read_sound(SAMPLE), request)
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    blinks, notes_of = np.zeros(3, int), defaultdict(list)
    filmed = 0.0
    with (
        tempfile.TemporaryDirectory() as scratch,
        Client(find_tracker(), verbs="tracker") as client,
    ):
        for number, take in enumerate(takes):
            motion, shut = place_blinks(take.motion, head, take.seed)
            path = Path(scratch) / f"{take.seed}.npz"
            np.savez(path, **arrays(motion, head.expression_names))
            again = number < args.compared
            draw_films([path], Path(scratch), ["plain", *((*SAME, *STRETCHED) if again else ())])

            def follow(kind: str, aspect: float = 0.0) -> tuple[dict[str, np.ndarray], list[str]]:
                to = path.with_suffix(".out")
                found = client.request(
                    "track", video=str(path.with_suffix("") / f"{kind}.avi"), to=str(to),
                    aspect=aspect, mirrored=False, sheet="",
                ).wait()  # fmt: skip
                with np.load(to) as file:
                    return dict(file), found["notes"]

            plain, notes = follow("plain")
            filmed += motion.frames / FPS
            measured = np.stack([plain["opening"], plain["width"]], 1)
            solved = Motion(plain["expression"], plain["jaw"], plain["head"], plain["eyes"])
            notes_of["plain"].append(notes)
            rows["the motion itself"].append(beside_itself(_lips(motion, head)))
            rows["measured, beside the motion"].append(beside(measured, _lips(motion, head)))
            rows["solved, beside the motion"].append(
                beside(_lips(solved, head), _lips(motion, head))
            )
            turns = [np.degrees(each[:, :2]) for each in (*solved.turns, *motion.turns)]
            rows["the head itself"].append(beside_itself(turns[2]))
            rows["head"].append(beside(turns[0], turns[2]))
            rows["the eyes themselves"].append(beside_itself(turns[3]))
            rows["eyes"].append(beside(turns[1], turns[3]))
            lids = plain["expression"][:, blink]
            blinks += len(shut), *count_blinks(lids, shut)
            for kind, name in SAME.items() if again else ():
                other, _ = follow(kind)
                other = np.stack([other["opening"], other["width"]], 1)
                rows[f"{name}, beside the plain film"].append(beside(other, measured))
            for kind, aspect in STRETCHED.items() if again else ():
                notes_of[kind].append(follow(kind)[1])
                right, _ = follow(kind, aspect)
                right = np.stack([right["opening"], right["width"]], 1)
                rows[f"{kind}, --pixel-aspect {aspect:.3g}"].append(beside(right, measured))
    lines = [
        f"{args.takes} takes of the sample ({filmed:.0f} s), drawn; {args.compared} in all ways", "",
        f"{'':44s}{'opening':>16s}{'width':>16s}",
        f"{'':44s}" + f"{'r':>8s}{'sd, mm':>8s}" * 2,
    ]  # fmt: skip
    heading = [
        "",
        f"{'':44s}{'nod':>16s}{'turn':>16s}",
        f"{'':44s}" + f"{'r':>8s}{'sd, °':>8s}" * 2,
    ]
    turned = {name: rows.pop(name) for name in [*rows] if "head" in name or "eyes" in name}
    for name, values in (*rows.items(), *turned.items()):
        lines += heading if name == "the head itself" else []
        (r, sd), (r_2, sd_2) = np.mean(values, 0)
        lines.append(f"{name:44s}{r:8.3f}{sd:8.2f}{r_2:8.3f}{sd_2:8.2f}")
    of, found, false = blinks
    lines += ["", f"blinks found: {found} of {of} ({found / of:.0%}), and {false} false ones"]
    for kind, of_films in notes_of.items():
        said = sum(any("--pixel-aspect" in note for note in notes) for notes in of_films)
        lines.append(f"{kind}: {said} of {len(of_films)} films are said to be squeezed")
    is_whole = args.takes >= TAKES and args.compared >= COMPARED
    report(results_file(args.results, "tracking.txt", is_whole), lines)
