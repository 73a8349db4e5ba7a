# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's figures (§5.3) of any system on held-out voices: S samples of a clip against the
teacher's performance, or a person's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from research.measures import metrics
from research.paper_rows import TABLE2_COLUMNS
from research.systems import load_system
from research.systems.denoisers import ClipImages
from research.train.ear import Ear
from research.train.flame import FlameLayer
from research.train.motions import MotionSet
from research.train.pictures import pictures_for
from research.train.readings import direction_of_clip
from research.train.systems import REFERENCE
from research.train.teacher import perform, semitones
from thunder_core.acoustics import loudness
from thunder_core.direction import Direction
from thunder_core.engine.planning.mouth_map import fitted_encoder
from thunder_core.engine.speech.encoder import LOUDNESS, phonetic, SpeechEncoder
from thunder_core.errors import BadRequest
from thunder_core.face.head import Head, LIPS
from thunder_core.types import Columns, pack

SAMPLES = 32  # S of the paper
LEAST_FRAMES, MOST_FRAMES = 75, 125  # shortest clip (3 s), and most frames used of a longer one
Figures = dict[str, dict[str, float]]  # of every clip, by its name: FIGURES
FIGURES = (*TABLE2_COLUMNS, "ba", "div")


class Measured:
    """Lip and upper-face vertices of a head, for motions packed as [T, n + 9]; the neck is held
    still."""

    def __init__(self, head: Head):
        self.columns = Columns(head.channels)
        lips = head.mouth_vertices[head.mouth_parts == LIPS]
        upper = np.flatnonzero(head.regions[head.region_names.index("upper_face")] > 0.5)
        middles = np.array([head.inner_lip_upper_mid, head.inner_lip_lower_mid])
        self.ids = np.concatenate([lips, upper, middles])
        self.lips, self.upper = slice(0, len(lips)), slice(len(lips), len(lips) + len(upper))
        self.layer = FlameLayer(head, self.ids)
        self.rest = head.v_template[self.ids].astype(np.float64)

    @torch.no_grad()
    def vertices(self, x: np.ndarray) -> np.ndarray:
        """Positions [..., T, m, 3] metres of packed motions [..., T, n + 9]."""
        columns, shape = self.columns, x.shape[:-1]
        flat = torch.from_numpy(np.ascontiguousarray(x, np.float32)).reshape(-1, x.shape[-1])
        return (
            self.layer(flat[:, columns.expression], flat[:, columns.jaw])
            .numpy()
            .reshape(*shape, -1, 3)
        )


@dataclass(frozen=True)
class Played:
    """The teacher's inputs: phone labels [4T], direction, speech features [T, d] (None if it cannot
    read them)."""

    phones: np.ndarray
    direction: Direction
    features: np.ndarray | None


@dataclass(frozen=True)
class Clip:
    """The beginning of a row of a motion set, T frames of it, performed by the
    teacher.  number: of the row."""

    motions: MotionSet
    number: int
    frames: int

    @staticmethod
    def of(motions: MotionSet, number: int) -> Clip:
        """The first MOST_FRAMES frames of a row."""
        return Clip(motions, number, min(motions.rows[number].frames, MOST_FRAMES))

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def speaker(self) -> str:
        return self.motions.rows[self.number].speaker

    @property
    def truth(self) -> np.ndarray:
        start = self.motions.rows[self.number].start
        return self.motions.motions[0, start : start + self.frames].astype(np.float32)

    @property
    def features(self) -> np.ndarray:
        start = self.motions.rows[self.number].start
        return self.motions.features[start : start + self.frames].astype(np.float32)

    @property
    def samples(self) -> np.ndarray:
        return self.motions.samples(self.number, 0, self.frames)

    def reference(self, seed: int) -> np.ndarray:
        """From another line of the same speaker, drawn by the seed; from this one if there is no
        other."""
        motions, row = self.motions, self.motions.rows[self.number]
        others = [
            i
            for i in motions.of(row.split, REFERENCE)
            if motions.rows[i].speaker == row.speaker and i != self.number
        ]
        rng = np.random.default_rng([seed, self.number])
        number, first, variant = motions.draw(others or [self.number], REFERENCE, 1, rng)[0]
        at = motions.rows[number].start + first
        return motions.motions[variant, at : at + REFERENCE].astype(np.float32)

    def teacher_inputs(self, seed: int) -> Played:
        """As it was directed before; a captured one, whose direction nobody knows, in a random
        style."""
        motions = self.motions
        said = motions.corpus.phones(motions.corpus.clips[motions.rows[self.number].clip])[
            : 4 * self.frames
        ]
        vector = motions.directions[0, self.number]
        anybody = direction_of_clip(f"anybody {seed}", np.random.default_rng([seed, self.number]))
        direction = Direction.of_vector(vector) if np.isfinite(vector).all() else anybody
        return Played(
            said, direction, self.features if motions.encoder == fitted_encoder() else None
        )


def clips_of(motions: MotionSet, split: str, count: int) -> list[int]:
    """Rows of a split, spread evenly over it and so over its speakers; all if there are fewer."""
    numbers = motions.of(split, LEAST_FRAMES)
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers))).round().astype(int)
    return [numbers[i] for i in np.unique(places)]


# performs a clip S times: packed motions [S, T, C]
Contestant = Callable[[Clip, int], np.ndarray]


class Trained:
    """A system with the weights of a folder.

    folder: of the training chain (`train.paper`), or a weights folder as Blender has it, of which
    it is the diffusion model.  clip: what Media2Face sees pictures through, if it learned so.
    ear: what it hears through, if it learned so. Raises BadRequest for another one.
    """

    def __init__(
        self,
        system: str,
        folder: Path,
        head: Head,
        steps: int = 20,
        guidance: float = 1.0,
        clip: ClipImages | None = None,
        device: str = "cpu",
        ear: Ear | None = None,
    ):
        in_chain = (folder / "network.json").is_file()
        card = json.loads((folder / "network.json").read_text())["card"] if in_chain else {}
        if (needed := card.get("ear", "")) != (ear.name if ear else ""):
            raise BadRequest(
                f"“{folder}” learned to hear through {needed or 'the encoder'}: "
                + ("name its folder with --ear" if needed else "leave --ear out")
            )
        self.ear = ear
        self.network = load_system(system, folder, "network" if in_chain else "denoiser")
        if clip is not None and getattr(self.network.config, "clip", 0):
            self.network.look_through(clip)
        self.encoder = None
        if in_chain and (folder / "encoder.json").is_file():
            self.encoder = SpeechEncoder.load(folder)
        self.head, self.steps, self.guidance = head, steps, guidance
        self.device, self.network = device, self.network.to(device)

    def features_of(self, features: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """What the system is given of a sound [T, d], whose features by the usual encoder are
        known."""
        if self.ear is not None:
            return self.ear(samples, len(features))
        if self.encoder is None:
            return features
        phones = phonetic(*self.encoder.analyse(samples), len(features))
        return np.concatenate([phones, features[:, -LOUDNESS:]], -1)

    @torch.no_grad()
    def __call__(self, clip: Clip, samples: int) -> np.ndarray:
        audio = self.features_of(clip.features, clip.samples)
        condition = _CONDITIONS.get(self.network.name, lambda *_: None)(
            self.network, clip, samples, self.head
        )
        sound = torch.from_numpy(audio)[None].to(self.device)
        return (
            self.network.sample(sound, range(samples), condition, self.steps, self.guidance)
            .cpu()
            .numpy()
        )


def _style(network: torch.nn.Module, clip: Clip, samples: int, head: Head) -> torch.Tensor:
    """DiffPoseTalk's token of another line by the same speaker, one drawn for every sample [S, 1,
    c]."""
    known = np.stack([clip.reference(seed) for seed in range(samples)])
    return network.condition_of(torch.from_numpy(known).to(network.motion_mean.device))


def _mood(network: torch.nn.Module, clip: Clip, samples: int, head: Head) -> torch.Tensor:
    """Media2Face's image condition from a picture of the middle of the true performance [1, 1,
    c]."""
    picture = pictures_for(network.config, head)(
        torch.from_numpy(clip.truth[clip.frames // 2][None])
    )
    return network.condition_of(picture.to(network.motion_mean.device))


_CONDITIONS = {"diffposetalk": _style, "media2face": _mood}


class TeacherAgain:
    """The teacher performs a clip: its clips again in the same direction with another seed,
    which shows how two performances of one style differ; a person's in a random style."""

    def __init__(self, channels: list[str]):
        self.channels = channels

    def __call__(self, clip: Clip, samples: int) -> np.ndarray:
        loud, pitch = loudness(clip.samples, clip.frames), semitones(clip.samples, clip.frames)
        result, number = [], clip.number
        for seed in range(samples):
            inputs, rng = clip.teacher_inputs(seed), np.random.default_rng([seed, number, 1])
            motion = perform(
                inputs.phones,
                loud,
                self.channels,
                rng,
                inputs.direction,
                pitch,
                False,
                inputs.features,
            )
            result.append(pack(motion))
        return np.stack(result)


def figures(measured: Measured, performed: np.ndarray, clip: Clip) -> dict[str, float]:
    """FIGURES of S packed motions [S, T, C] of a clip: cm, correlations, degrees (`div`); NaN where
    there is nothing to compare."""
    truth, guess = measured.vertices(clip.truth), measured.vertices(performed)
    lips, upper, rest = measured.lips, measured.upper, measured.rest
    onsets = metrics.sound_onsets(clip.samples)
    each: dict[str, list[float]] = {}
    for one, x in zip(guess, performed):
        gap = [np.linalg.norm(v[:, -2] - v[:, -1], axis=1) for v in (one, truth)]
        for name, value in (
            ("lve", metrics.lip_vertex_error(one[:, lips], truth[:, lips])),
            ("l_ccc", metrics.lip_concordance(one[:, lips], truth[:, lips])),
            ("l_pcc", metrics.lip_pearson(one[:, lips], truth[:, lips])),
            ("dtw", metrics.lip_warp(*gap)),
            ("fdd_u", metrics.dynamics_deviation(one[:, upper], truth[:, upper], rest[upper])),
            ("fdd_l", metrics.dynamics_deviation(one[:, lips], truth[:, lips], rest[lips])),
            ("ba", metrics.beat_alignment(x[:, measured.columns.head], onsets)),
        ):
            each.setdefault(name, []).append(value)
    result = {name: float(np.mean(values)) for name, values in each.items()}
    for which, part in (("u", upper), ("l", lips)):
        apart = [metrics.distances(guess[:, :, part], truth[:, part]).astype(np.float32)]
        result[f"sdiv_{which}"], result[f"tdiv_{which}"] = (
            metrics.sample_diversity(apart),
            metrics.time_diversity(apart),
        )
    result["div"] = (
        metrics.pose_diversity(performed[:, :, measured.columns.head])
        if len(performed) > 1
        else float("nan")
    )
    return {name: result[name] for name in FIGURES}
