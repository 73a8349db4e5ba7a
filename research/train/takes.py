# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouths that mesh-to-speech learns to read beside the teacher's, since these are what it will hear:
takes of the corpus by the networks that are trained, and mouths of people who were filmed (`grid`).

Takes move away from the teacher as their model learns from people and steps are added after
sampling; a network that knows the teacher alone understands them less from release to release.
"""

import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from research.train.grid import MOUTHS
from research.train.motions import MotionSet
from thunder_core.direction import DirectionRequest
from thunder_core.engine.loaded import Thunder
from thunder_core.engine.performance import perform_planned
from thunder_core.files import hash_of, write_file
from thunder_core.progress import no_progress
from thunder_core.request import NORMAL
from thunder_core.types import Columns, pack

TAKES, STATE = "takes.f16", "takes.json"
KINDS = 2  # of each clip: as directed, and in a reading of its own; of a person twice the mouth
_TOGETHER_SAVED = 50  # clips between two savings of the progress


class Takes:
    """What `sample_takes` wrote: motions float16 [KINDS, F, channels + 9] over the frames of a set,
    and the numbers of the rows of which there are any."""

    def __init__(self, folder: Path, frames: int):
        self.motions = np.memmap(folder / TAKES, np.float16, "r").reshape(KINDS, frames, -1)
        self.rows = frozenset(json.loads((folder / STATE).read_text())["rows"])


def sample_takes(
    motions: MotionSet, thunder: Thunder, weights: Path, folder: Path, most: int, seed: int,
    people: Path | None = None,
) -> int:  # fmt: skip
    """Write `takes.f16` of `most` clips of a set, drawn by seed, and of all whose mouth was filmed;
    returns how many there are. Goes on where it was stopped, with the same networks.

    people: folder of `grid.convert_grid`.
    """
    made_by = [hash_of(weights / f"{name}.safetensors") for name in ("denoiser", "distilled")]
    made_by += [hash_of(folder / "rows.json"), str(seed)]
    state, shape = folder / STATE, (KINDS, len(motions.features), thunder.columns.count)
    known = json.loads(state.read_text()) if state.exists() else {}
    done = known["rows"] if known.get("made_by") == made_by else []
    taken = np.memmap(folder / TAKES, np.float16, "r+" if done else "w+", shape=shape)

    def save() -> None:
        taken.flush()
        write_file(state, json.dumps({"made_by": made_by, "rows": done}))

    spoken = [i for i, row in enumerate(motions.rows) if row.clip >= 0 and not row.listens]
    filmed = [i for i in spoken if motions.is_measured(i)]
    drawn = np.random.default_rng(seed).permutation([i for i in spoken if i not in {*filmed}])
    wanted = [*(filmed if people else ()), *drawn[:most].tolist()]
    for number in tqdm([i for i in wanted if i not in {*done}], desc="taking", mininterval=10):
        row = motions.rows[number]
        at = slice(row.start, row.start + row.frames)
        if people and number in {*filmed}:
            file = people / motions.corpus.clips[row.clip].name
            mouth = np.load(file.with_suffix(MOUTHS))[: row.frames]
            columns = Columns(mouth.shape[1] - 3)
            taken[:, at.start : at.start + len(mouth), columns.expression] = mouth[:, :-3]
            taken[:, at.start : at.start + len(mouth), columns.jaw] = mouth[:, -3:]
        else:
            voice = thunder.analyse(motions.samples(number, 0, row.frames), row.frames)
            first = 1 + KINDS * number
            played = [
                perform_planned(DirectionRequest(), voice, first + kind, first, None)
                for kind in range(KINDS)
            ]
            made = thunder.perform(voice, played, NORMAL, 1.0, no_progress)
            taken[:, at] = [pack(motion) for motion in made]
        done.append(number)
        if len(done) % _TOGETHER_SAVED == 0:
            save()
    save()
    return len(done)
