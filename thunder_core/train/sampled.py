# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of the corpus for the judge: the model's samples, and the teacher's performances of the
same sound in the same direction, with the same words stressed.

Each set of weights has a separate folder, with one file per clip, so that the judge can be trained
on samples of several of them, and interrupted sampling can be resumed.
"""

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..direction import AXES, Direction, DIRECTION_NAMES, MOODS
from ..engine.readings import add_stresses, reading
from ..engine.speech.encoder import LOUDNESS
from ..engine.systems.thunder import Performance, Thunder, VoiceFeatures
from ..files import write_file
from ..progress import no_progress
from ..request import NORMAL
from ..types import FPS, pack, RATE
from .corpus import Clip, Corpus
from .motions import teacher_code
from .teacher import perform, semitones

TRAINING_TAKES, WATCHED_TAKES = 8, 16  # takes per clip
MOODS_SPLIT = "moods"  # name of files of watched voices in every mood
LEAST_FRAMES, MOST_FRAMES = 75, 125  # shortest clip (3 s), and most frames used of a longer one
REFERENCES = 2  # teacher performances averaged into a take's reference, since the teacher varies
# the user's defaults, at normal quality: for the clips the judge is validated on
SPREAD, GUIDANCE = 0.5, 1.0
# Drawn per training clip; 0 steps: normal quality.
_SPREADS, _STEPS, _GUIDANCES = (0.0, 0.2, 0.5, 1.0), (0, 5, 8, 12, 20), (1.0, 1.0, 1.5, 2.0)
_ENERGY_COLUMN = DIRECTION_NAMES.index("energy")
_ENERGY = AXES[_ENERGY_COLUMN]
# what differs on a stressed word's lips
_STRESSED = np.array([name in ("energy", "articulation") for name in DIRECTION_NAMES])
_SAME_ENERGY = 1e-3  # difference below which energies are equal
# what a file's references are; changes with their meaning
_CONTENT = "with stresses and without"
_WEIGHTS = ("denoiser", "distilled", "encoder", "units")


@dataclass(frozen=True)
class SampledClip:
    """One sound of T frames, K takes of it, and the teacher's performance in the direction of each.

    takes, teacher, plain, expected, asked: float16 [K, T, channels + 9] as `types.pack` orders
    them; teacher: in the direction of each take with the take's stresses (`readings.add_stresses`),
    plain: without these; expected: what the model expects where the teacher plays `teacher`
    (`Thunder.expect`), asked: in the direction that was requested.  readings: float32 [K,
    DIRECTION_NAMES], without stresses.  features: float16 [T, d].  opening: float32 [T], that the
    voice asks for.
    """

    takes: np.ndarray
    teacher: np.ndarray
    plain: np.ndarray
    expected: np.ndarray
    asked: np.ndarray
    readings: np.ndarray
    features: np.ndarray
    opening: np.ndarray

    @staticmethod
    def load(path: Path) -> "SampledClip":
        """The clip that `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return SampledClip(**{field.name: file[field.name] for field in fields(SampledClip)})

    def save(self, path: Path) -> None:
        """Write the clip, whole or not at all."""
        write_file(path, lambda file: np.savez(file, **vars(self)))


def folder_of(cache: Path, weights: Path, seed: int) -> Path:
    """The folder for samples of a folder of weights; it depends on model, teacher and seed."""
    digest = hashlib.sha256(
        repr(
            (_CONTENT, seed, REFERENCES, _SPREADS, _STEPS, _GUIDANCES, LEAST_FRAMES, MOST_FRAMES)
        ).encode()
    )
    for path in (weights / f"{name}.safetensors" for name in _WEIGHTS):
        digest.update(path.read_bytes() if path.exists() else b"")
    digest.update(teacher_code("engine/readings.py"))
    return cache / "takes" / digest.hexdigest()[:16]


def watched_split(corpus: Corpus) -> str:
    """The split on which training is watched: validation, or test where a small corpus has none."""
    return "validation" if clips_of(corpus, "validation", 1, 0) else "test"


def clips_of(corpus: Corpus, split: str, count: int, seed: int) -> list[int]:
    """Numbers of up to `count` clips of a split that are long enough, in an order of the seed's:
    every voice once before any twice."""
    turns: dict[str, int] = {}
    ranked = []
    for number in np.random.default_rng(seed).permutation(len(corpus.clips)):
        clip = corpus.clips[number]
        if clip.split == split and clip.length * FPS / RATE >= LEAST_FRAMES:
            turns[clip.speaker] = turns.get(clip.speaker, 0) + 1
            ranked.append((turns[clip.speaker], int(number)))
    return [number for _, number in sorted(ranked, key=lambda entry: entry[0])[:count]]


def sample_takes(
    corpus: Corpus,
    thunder: Thunder,
    channels: list[str],
    folder: Path,
    clips: dict[str, int],
    seed: int = 1,
) -> None:
    """Write `SPLIT-NUMBER.npz` (`SampledClip`) of `clips` clips of each split. Existing files are
    kept.

    Training clips are sampled in many directions, numbers of steps and strengths of guidance;
    others as users do by default; those of MOODS_SPLIT, which are of the watched split, in every
    mood at full strength.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder_seed = zlib.crc32(folder.name.encode())  # every model performs other clips
    voices = {MOODS_SPLIT: watched_split(corpus)}
    wanted = [
        (split, number)
        for split, count in clips.items()
        for number in clips_of(corpus, voices.get(split, split), count, folder_seed)
    ]
    left = [
        (split, number, path)
        for split, number in wanted
        if not (path := folder / f"{split}-{number:05d}.npz").exists()
    ]
    for split, number, path in tqdm(
        left,
        desc="sampling takes",
        total=len(wanted),
        initial=len(wanted) - len(left),
        mininterval=10,
    ):
        plans = (
            _training_plans(number, seed)
            if split == "train"
            else [_mood_plan(number) if split == MOODS_SPLIT else _usual_plan(number)]
        )
        sample_clip(corpus, corpus.clips[number], thunder, channels, plans).save(path)


@dataclass(frozen=True)
class _Plan:
    """Takes that are sampled together. asked: float32 [k, DIRECTION_NAMES], requested directions.
    spreads [k]: of their readings."""

    seeds: list[int]
    asked: np.ndarray
    spreads: list[float]
    steps: int = 0
    guidance: float = GUIDANCE

    @property
    def directions(self) -> np.ndarray:
        """The readings of the requested directions, float32 [k, DIRECTION_NAMES]."""
        return np.concatenate(
            [
                reading(one[None], s, spread)
                for one, s, spread in zip(self.asked, self.seeds, self.spreads)
            ]
        )


def _usual_plan(number: int) -> _Plan:
    seeds = [number * WATCHED_TAKES + i for i in range(WATCHED_TAKES)]
    return _Plan(seeds, np.tile(Direction().vector(), (len(seeds), 1)), [SPREAD] * len(seeds))


def _mood_plan(number: int) -> _Plan:
    """In every mood, and in none: exactly as requested, and around that."""
    spreads = [0.0, SPREAD] * len(MOODS)
    seeds = [number * len(spreads) + i for i in range(len(spreads))]
    return _Plan(
        seeds, np.repeat([Direction(mood=mood).vector() for mood in MOODS], 2, axis=0), spreads
    )


def _training_plans(number: int, seed: int) -> Iterator[_Plan]:
    rng = np.random.default_rng([seed, number])
    half = TRAINING_TAKES // 2
    for _ in range(2):
        seeds = [int(s) for s in rng.integers(1 << 30, size=half)]
        asked = [
            (
                Direction()
                if rng.random() < 0.5
                else Direction.of_clip(str(rng.integers(1 << 32)), rng)
            ).vector()
            for _ in seeds
        ]
        spreads = [float(x) for x in rng.choice(_SPREADS, half)]
        yield _Plan(
            seeds, np.stack(asked), spreads, int(rng.choice(_STEPS)), float(rng.choice(_GUIDANCES))
        )


def sample_clip(
    corpus: Corpus, clip: Clip, thunder: Thunder, channels: list[str], plans
) -> SampledClip:
    """Takes of one clip as planned."""
    frames = min(MOST_FRAMES, int(clip.length * FPS / RATE))
    samples = corpus.samples(clip)[: round(frames * RATE / FPS)]
    voice = thunder.analyse(samples, frames)
    takes, seeds, asked, readings, played = [], [], [], [], []
    for plan in plans:
        directions = plan.directions
        styles = [
            add_stresses(direction[None], seed, spread, voice.accents)
            for direction, seed, spread in zip(directions, plan.seeds, plan.spreads)
        ]
        every = zip(plan.seeds, styles, plan.spreads)
        performances = [Performance(seed, style, (seed, spread)) for seed, style, spread in every]
        motions = thunder.perform(
            voice, performances, plan.steps or NORMAL, plan.guidance, no_progress
        )
        takes += [pack(motion) for motion in motions]
        seeds += plan.seeds
        asked += [*plan.asked]
        readings.append(directions)
        played += styles
    phones = corpus.phones(clip)[: 4 * frames]
    unstressed = [direction[None] for direction in np.concatenate(readings)]
    teacher, plain = (
        [teacher_mean(phones, samples, voice, channels, each) for each in some]
        for some in (played, unstressed)
    )
    # as the engine scores takes
    breathing = [Performance(seed, style, (seed, 0.0)) for seed, style in zip(seeds, played)]
    expected = [pack(motion) for motion in thunder.expect(voice, breathing, breathe=True)]
    requested = [
        pack(motion)
        for motion in thunder.expect(voice, [Performance(0, each[None]) for each in asked])
    ]
    packed = dict(takes=takes, teacher=teacher, plain=plain, expected=expected, asked=requested)
    return SampledClip(
        **{name: np.stack(each).astype(np.float16) for name, each in packed.items()},
        readings=np.concatenate(readings).astype(np.float32),
        features=voice.features.astype(np.float16),
        opening=voice.lips[:, 0].astype(np.float32),
    )


def teacher_mean(
    phones: np.ndarray,
    samples: np.ndarray,
    voice: VoiceFeatures,
    channels: list[str],
    played: np.ndarray,
) -> np.ndarray:
    """The teacher's mean performance in a direction [1 or T, DIRECTION_NAMES]: the mean of packed
    motions [T, channels + 9].

    The teacher keeps its direction over a line. If `played` changes, each frame blends the
    performances in the direction of the calmest and of the most energetic frame, by its energy.
    """
    assert played.shape[1] == len(DIRECTION_NAMES)
    features = voice.features
    heard, pitch = features[:, -LOUDNESS:], semitones(samples, voice.frames)

    def performance(direction: np.ndarray) -> np.ndarray:
        asked = Direction.of_vector(direction)
        performances = [
            pack(
                perform(
                    phones,
                    heard,
                    channels,
                    np.random.default_rng(i),
                    asked,
                    pitch,
                    features=features if voice.map_fits else None,
                )
            )
            for i in range(REFERENCES)
        ]
        return np.mean(performances, 0)

    energy = np.array([_ENERGY.value(by) for by in played[:, _ENERGY_COLUMN]])
    if np.ptp(energy) < _SAME_ENERGY:
        return performance(played.mean(0))
    ends = [
        np.where(_STRESSED, played[at], played.mean(0)) for at in (energy.argmin(), energy.argmax())
    ]
    calm, energetic = (performance(end) for end in ends)
    share = ((energy - energy.min()) / np.ptp(energy))[:, None]
    return (1 - share) * calm + share * energetic
