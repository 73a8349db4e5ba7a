# SPDX-License-Identifier: GPL-3.0-or-later
"""A voice performed by a system that the paper compares, as motion files for Blender.

`python -m research perform NETWORK`: NETWORK is a folder that `python -m research train paper` left
(runs/paper/seed1/flameformer), or “teacher”. Takes are finished as THUNDER's are, scored, and
written to take_SEED.npz, which *Import Captured Face* makes takes of.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from research.harness import add_shared, SAMPLE
from research.measures.evaluate import Trained
from research.paper import SYSTEM_OF, TEACHER
from research.systems.denoisers import CLIP_PICTURE, ClipImages, LABELS, PICTURE
from research.train.ear import Ear
from research.train.paper import NETWORK
from research.train.teacher import likeliest, perform, semitones
from thunder_core.animation import motion_file
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import Performance
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import LOUDNESS
from thunder_core.engine.voice import VoiceFeatures
from thunder_core.errors import BadRequest, ThunderError
from thunder_core.face.moving.lips import opening_mm, width_mm
from thunder_core.progress import result
from thunder_core.types import Motion, pack, Speech, unpack

_LEAST_REFERENCE = 25  # shortest motion that a style is read from, frames
# deviation of the brightness of a picture, 0 … 1, below which nothing is on it
_SHOWS_NOTHING = 0.01

Take = tuple[int, Motion, float]  # seed, motion, score 0 … 100


@dataclass(frozen=True)
class Condition:
    """What a system is told besides the sound: at most one of a mood, a motion whose style it
    takes, and a picture of a face whose mood it takes.  clip: the network that sees the picture."""

    mood: str = ""
    reference: Path | None = None
    picture: Path | None = None
    clip: Path | None = None

    def check(self, system: str) -> None:
        """Raise BadRequest for what a system does not take: nothing is ignored."""
        takes = {TEACHER: {"mood"}, "media2face": {"mood", "picture", "clip"},
                 "diffposetalk": {"reference"}}.get(system, set())  # fmt: skip
        given = {name for name, value in vars(self).items() if value}
        if given - takes:
            raise BadRequest(
                f"{system} takes no {min(given - takes)}: leave --{min(given - takes)} out"
            )
        if self.mood and self.mood not in LABELS:
            raise BadRequest(f"There is no mood “{self.mood}”: choose one of {', '.join(LABELS)}")


def condition_of(
    trained: Trained, condition: Condition, channels: Sequence[str]
) -> torch.Tensor | None:
    """The condition [1, 1, c] of a system's network, None if it is told nothing. Raises
    BadRequest."""
    if condition.mood:
        return torch.tensor([[[float(name == condition.mood) for name in LABELS]]])
    if condition.reference is not None:
        steps = motion_file.read_recording(str(condition.reference), tuple(channels))
        motion = pack(result(steps)[0])
        if len(motion) < _LEAST_REFERENCE:
            raise BadRequest("The motion is shorter than a second: choose another --reference")
        return trained.network.condition_of(torch.from_numpy(motion)[None])
    return None if condition.picture is None else _condition_of_picture(trained.network, condition)


def _condition_of_picture(network: torch.nn.Module, condition: Condition) -> torch.Tensor:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(condition.picture) as image:
            grey = np.asarray(image.convert("L"), np.float32) / 255
    except (OSError, UnidentifiedImageError) as error:
        raise BadRequest(f"The picture cannot be read ({error}): choose another") from error
    if grey.std() < _SHOWS_NOTHING:
        raise BadRequest("The picture shows nothing, it has one colour: choose one of a face")
    if network.config.clip:
        if condition.clip is None:
            raise BadRequest("This Media2Face sees through a CLIP network: name it with --clip")
        network.look_through(ClipImages(condition.clip))
    size = CLIP_PICTURE if network.config.clip else PICTURE
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = torch.from_numpy(grey[top : top + side, left : left + side].copy())[None, None]
    return network.condition_of(
        torch.nn.functional.interpolate(
            square, (size, size), mode="bilinear", antialias=True, align_corners=False
        )[:, 0]
    )


def perform_as_teacher(
    engine: Engine, voice: VoiceFeatures, samples: np.ndarray, mood: str, seeds: Sequence[int]
) -> list[Motion]:
    """Motions by the procedural animator, of the phones that the encoder hears."""
    return [
        perform(
            likeliest(voice.logits).astype(np.uint8).repeat(2),
            voice.features[:, -LOUDNESS:],
            engine.thunder.channel_names,
            np.random.default_rng(seed),
            Direction(mood=mood) if mood else Direction(),
            semitones(samples, voice.frames),
            False,
            voice.features if voice.encoder_matches else None,
        )
        for seed in seeds
    ]


def perform_as_trained(
    engine: Engine, voice: VoiceFeatures, samples: np.ndarray, trained: Trained, condition: Condition,
    seeds: Sequence[int],
) -> list[Motion]:  # fmt: skip
    """Motions by a trained system, finished as THUNDER's. Raises BadRequest for a network of
    another encoder or head."""
    thunder, config = engine.thunder, trained.network.config
    features = trained.features_of(voice.features, samples)
    if (config.motion, config.audio) != (thunder.columns.count, features.shape[1]):
        raise BadRequest(
            "The network was trained for another head or speech encoder: name its --weights"
        )
    network_input = condition_of(trained, condition, thunder.channel_names)
    audio = torch.from_numpy(np.ascontiguousarray(features, np.float32))[None]
    packed = trained.network.sample(audio, seeds, network_input, trained.steps, trained.guidance)
    return [
        unpack(thunder.pipeline.finish(x, voice, Performance(0)), len(thunder.channel_names))
        for x in packed.numpy()
    ]


def perform_voice(
    engine: Engine, network: str, speech: Speech, seeds: Sequence[int], condition: Condition,
    steps: int = 20, guidance: float = 1.0, ear: Path | None = None,
) -> list[Take]:  # fmt: skip
    """Takes of a voice by the system in a folder, or by the teacher, best lip-sync first. ear: what
    the system hears through, if it learned so. Raises BadRequest, BadWeights."""
    folder = Path(network)
    system = TEACHER if network == TEACHER else SYSTEM_OF.get(folder.name, "")
    if not system or system != TEACHER and not (folder / f"{NETWORK}.json").is_file():
        raise BadRequest(
            f"“{network}” is no folder of a system: choose one that “python -m research train "
            f"paper” left, or “{TEACHER}”"
        )
    condition.check(system)
    voice = engine.analyse(speech)
    samples = np.asarray(speech.samples, np.float32)
    make: Callable[[Sequence[int]], list[Motion]]
    if system == TEACHER:
        make = partial(perform_as_teacher, engine, voice, samples, condition.mood)
    else:
        heard = Ear(ear) if ear else None
        trained = Trained(system, folder, engine.head, steps, guidance, ear=heard)
        make = partial(perform_as_trained, engine, voice, samples, trained, condition)
    takes = [
        (seed, motion, engine.score(speech, motion).total)
        for seed, motion in zip(seeds, make(seeds))
    ]
    return sorted(takes, key=lambda take: -take[2])


def add_arguments(p: ArgumentParser) -> None:
    """The bench's options."""
    p.add_argument("network", help=f"folder of a trained row, or “{TEACHER}”")
    p.add_argument("--audio", type=Path, default=SAMPLE, help="the voice (default: the sample)")
    p.add_argument("--out", type=Path, required=True, help="folder of the motion files")
    p.add_argument("--mood", default="", help="of media2face and the teacher")
    p.add_argument("--reference", type=Path, help="a motion .npz, whose style diffposetalk takes")
    p.add_argument("--picture", type=Path, help="a face, in whose mood media2face performs")
    p.add_argument("--clip", type=Path, help="the CLIP folder that media2face was trained with")
    p.add_argument("--ear", type=Path, help="the wav2vec 2.0 or HuBERT folder it was trained with")
    p.add_argument("--guidance", type=float, default=1.0, help="s_a of classifier-free guidance")
    add_shared(p, "weights", "seed", steps=20, takes=4)


def run(args: Namespace) -> None:
    """Write the takes; print a line for each."""
    seeds = range(args.seed, args.seed + args.takes)
    condition = Condition(args.mood, args.reference, args.picture, args.clip)
    try:
        engine, speech = Engine.load(args.weights, device="cpu"), read_sound(args.audio)
        takes = perform_voice(
            engine, args.network, speech, seeds, condition, args.steps, args.guidance, args.ear
        )
    except ThunderError as error:
        sys.exit(str(error))
    channels = engine.thunder.channel_names
    args.out.mkdir(parents=True, exist_ok=True)
    for seed, motion, score in takes:
        path = args.out / f"take_{seed}.npz"
        sizes = opening_mm(motion, engine.head), width_mm(motion, engine.head)
        motion_file.write_take(path, motion, channels, {}, *sizes, score, seed)
        print(f"{path}: lip-sync {score:.0f}")
