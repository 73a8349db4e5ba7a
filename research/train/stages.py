# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of training: what each is for, its options, and a function that runs it and returns
what to print; and the folders that they read and write."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from research.train.corpus import (
    BadCorpus,
    build,
    Clip,
    Corpus,
    minutes_of,
    motions_in_words,
    SAMPLES_PER_FRAME,
    unnamed_in_words,
    voices_in_words,
)
from research.train.denoiser import build_denoiser, SpeechTerm, train_denoiser
from research.train.distil import distil
from research.train.graphs import write_graphs
from research.train.loop import Schedule
from research.train.m2s import train_m2s
from research.train.motions import (
    animate,
    extract_features,
    FOREIGN,
    MotionSet,
    open_features,
    QUIET_CLIPS,
)
from research.train.spaces import MouthNetwork, Space
from research.train.takes import sample_takes, STATE, Takes
from research.train.teacher import label
from research.train.track import track
from research.train.weight_writing import in_bytes, save_trained_mouth, save_weights
from thunder_core.engine.engine import Engine
from thunder_core.engine.loaded import Thunder
from thunder_core.engine.m2s import SpeakerEncoder
from thunder_core.engine.planning.mouth_map import fitted_encoder
from thunder_core.engine.speech.encoder import SpeechEncoder, Units
from thunder_core.face.head import Head, load_head
from thunder_core.files import hash_of, write_file
from thunder_core.networks.denoiser import DenoiserNetwork
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.weight_files import ENDINGS

ROOT = Path(__file__).resolve().parents[2]


class Provenance(NamedTuple):
    """How a network was made, for its card.  start: weights folder from whose mesh-to-speech
    training went on."""

    what: str
    data: str
    schedule: Schedule | None = None
    figures: dict | None = None
    start: Path | None = None


@dataclass(frozen=True)
class Workspace:
    """The folders of a training run.

    cache: corpus and features.  runs: checkpoints and logs.  weights: what stages read and export.
    stage: the one that runs, for cards.
    """

    cache: Path
    runs: Path
    weights: Path
    seed: int
    device: str
    stage: str = ""

    @property
    def corpus_folder(self) -> Path:
        """The output folder of the stage `corpus`."""
        return self.cache / "corpus"

    @property
    def motions_folder(self) -> Path:
        """The output folder of the stages `hear` and `animate`."""
        return self.cache / "motions"

    @cached_property
    def head(self) -> Head:
        """The head that is trained on."""
        return load_head(self.weights / "head.npz")

    @property
    def performances(self) -> Path:
        """What networks learn from, as `animate` wrote it."""
        return self.motions_folder / "motions.f16"

    @property
    def channels(self) -> list[str]:
        """Names of the head's expression channels."""
        return list(self.head.expression_names)

    def corpus(self) -> Corpus:
        """The corpus, as `corpus` wrote it. Raises SystemExit where there is none, or nobody in it
        to train on or to be measured by."""
        self.require(self.corpus_folder / "clips.json", "corpus")
        corpus = Corpus(self.corpus_folder)
        if not (corpus.of("train") and corpus.of("test")):
            raise SystemExit(
                f"{self.corpus_folder} has nobody to train on, or to test on: run the stages "
                f"corpus and hear again"
            )
        return corpus

    def motions(self, people: float | None = None, foreign: Collection[str] = ()) -> MotionSet:
        """Features and performances of the corpus, as `hear` and `animate` wrote them; people,
        foreign: as `MotionSet`. Raises SystemExit where there are none, or no such folder."""
        corpus = self.corpus()
        self.require(self.motions_folder / "rows.json", "hear")
        self.require(self.motions_folder / "directions.npy", "animate")
        if unknown := sorted(set(foreign) - {clip.corpus for clip in corpus.clips}):
            raise SystemExit(f"No folder of this corpus is called {unknown[0]}: check --foreign")
        return MotionSet(corpus, self.motions_folder, people, foreign)

    def run_folder(self, name: str, learned: Path, ear: str = "") -> Path:
        """The folder of a training, which remembers what it learned from, a file, and through which
        ear. Raises SystemExit where that was other data: a checkpoint goes on, and would pass for a
        network of these."""
        folder, digest = self.runs / name, (hash_of(learned) + ear).encode()
        kept = folder / "learned_from.sha256"
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_file(kept, lambda file: file.write(digest))
        if kept.read_bytes() != digest:
            raise SystemExit(
                f"{folder} holds a training on other recordings or performances, or through another "
                f"ear: name another folder with --runs, or remove this one"
            )
        return folder

    def forget_features(self) -> None:
        """Have `hear` and `animate` asked for again: those that are there are of another corpus."""
        (self.motions_folder / "rows.json").unlink(missing_ok=True)

    def require(self, path: Path, stage: str) -> None:
        """Raise SystemExit with what to do where a file that a stage writes is not in the cache."""
        if not path.is_file():
            raise SystemExit(
                f"{path} is missing: run the stage {stage} first, or name another cache with "
                f"--cache (docs/training.md)"
            )

    def export(
        self,
        name: str,
        tensors: dict[str, Tensor],
        config: dict,
        provenance: Provenance,
        folder: Path | None = None,
    ) -> None:
        """Write `name`.safetensors, in halves (the encoder in bytes), and .json, whose card tells
        how the network was made, from which commit, and who of the corpus is in which split.
        folder: None for that of the weights."""
        schedule, figures = provenance.schedule, provenance.figures
        card: dict[str, Any] = {
            "what": provenance.what,
            "data": provenance.data,
            "commit": version(),
            "figures": figures or {},
            "stage": self.stage,
        }
        if schedule:
            card |= {"steps": schedule.steps, "seed": schedule.seed, "rate": schedule.rate}
            if schedule.batch:
                card["batch"] = schedule.batch
        if figures is not None and folder is None:
            corpus = self.corpus()
            card |= {"voices": corpus.voices(), "minutes": minutes_of(corpus.clips)}
        if provenance.start:
            card["start"] = f"m2s {hash_of(provenance.start / 'm2s.safetensors')[:10]}"
        halves = {key: x.half() if x.is_floating_point() else x for key, x in tensors.items()}
        stored = in_bytes(halves) if name == "encoder" else halves
        save_weights((folder or self.weights) / name, stored, config, card)


def version(root: Path = ROOT) -> str:
    """How a card names the code that trained a network: the commit of the checkout, "-dirty" with
    changes; "unknown" where there is none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"


_VOICES = "corpus, training voices"

_OF_UNITS = ("unit_head.", "unit_in.", "unit_log_prior")

Option = tuple[str, dict[str, Any]]


class Stage(NamedTuple):
    """A stage on the command line. options: names of arguments, and what
    `ArgumentParser.add_argument` takes besides."""

    run: Callable[[Workspace, Namespace], object]
    help: str
    options: tuple[Option, ...] = ()


def option(name: str, **settings: Any) -> Option:
    """An option of a stage."""
    return name, settings


def optimisation(steps: int, rate: float) -> tuple[Option, ...]:
    """--steps and --rate."""
    return (
        option(
            "--steps",
            type=int,
            default=steps,
            help="optimiser steps; the learning rate falls to nothing over them",
        ),
        option("--rate", type=float, default=rate, help="highest learning rate"),
    )


PEOPLE = option(
    "--people",
    type=float,
    help="share of people's lips in what is drawn, 0 to 1; default: by their length",
)


def _track(workspace: Workspace, args: Namespace) -> str:
    """Follow the faces of videos; returns how many."""
    engine = Engine.load(workspace.weights, "cpu")
    return track(args.videos, args.to, engine, args.trainable, args.pixel_aspect)


def _corpus(workspace: Workspace, args: Namespace) -> str:
    """Recordings with phone times in one memory-mapped file; returns how many clips, and who is in
    which split."""
    corpus = build(
        workspace.corpus_folder, args.folders, partial(label, workspace.weights),
        channels=workspace.channels, testing=args.test,
    )  # fmt: skip
    workspace.forget_features()
    unnamed = sum(clip.speaker == f"{clip.corpus}/{clip.name}" for clip in corpus.clips)
    return (
        f"{len(corpus.clips)} clips → {workspace.corpus_folder}\n{voices_in_words(corpus.voices())}"
    ) + unnamed_in_words(unnamed)


def _hear(workspace: Workspace, args: Namespace) -> str:
    """Write features, units and voices, and export units that are new; returns where."""
    weights = workspace.weights
    units = Units.load(weights) if args.same_units else None
    encoder, speaker = SpeechEncoder.load(weights), SpeakerEncoder.load(weights)
    made = extract_features(
        workspace.corpus(),
        encoder,
        speaker,
        workspace.motions_folder,
        workspace.seed,
        units,
        args.quiet_clips,
    )
    if units is None:
        count, width = made.centroids.shape
        config = {"count": count, "width": width}
        tensors = {"centroids": torch.from_numpy(made.centroids)}
        workspace.export(
            "units",
            tensors,
            config,
            Provenance("speech units, k-means of encoder features", _VOICES, figures={}),
        )
    return f"features and units → {workspace.motions_folder}"


def _animate(workspace: Workspace, args: Namespace) -> str:
    """Write the teacher's performances; returns where."""
    corpus = workspace.corpus()
    workspace.require(workspace.motions_folder / "rows.json", "hear")
    if open_features(workspace.motions_folder)[2] != fitted_encoder():
        print(
            "The features are not of the encoder that the mouth map was fitted to, so that the "
            "teacher reads nothing but phones: run the stage hear again with that encoder, or fit "
            "the map to this one",
            file=sys.stderr,
        )
    animate(corpus, workspace.channels, workspace.motions_folder, workspace.seed, args.workers)
    return f"performances → {workspace.motions_folder}"


def _takes(workspace: Workspace, args: Namespace) -> str:
    """Sample takes of the corpus; returns how many clips have some."""
    weights, motions = workspace.weights, workspace.motions()
    thunder = Thunder(weights, workspace.device, workspace.head)
    count = sample_takes(
        motions, thunder, weights, workspace.motions_folder, args.lines, workspace.seed,
        args.filmed,
    )  # fmt: skip
    return f"takes of {count} clips → {workspace.motions_folder}"


def _m2s(workspace: Workspace, args: Namespace) -> dict:
    """Train and export mesh-to-speech; returns its figures on the test voices."""
    taken = None
    if args.takes:
        workspace.require(workspace.motions_folder / STATE, "takes")
        _, features, _ = open_features(workspace.motions_folder)
        taken = Takes(workspace.motions_folder, len(features)), args.takes
    figures = export_m2s(workspace, args, MouthNetwork, taken=taken)
    save_trained_mouth(workspace.weights, workspace.head)
    return figures


def export_m2s(
    workspace: Workspace, args: Namespace, kind: Callable[[Head], Space], space: str = "mouth",
    taken: tuple[Takes, float] | None = None,
) -> dict:  # fmt: skip
    """The same of a kind of input, under the name of its space. taken: as of `train_m2s`."""
    name = "m2s" if space == "mouth" else f"m2s-{space}"
    # a short run, from another network's weights, must not end before it began
    warmup = min(200, max(1, args.steps // 5))
    schedule = Schedule(
        steps=args.steps, rate=args.rate, warmup=warmup, seed=workspace.seed, checkpoint_every=50
    )
    start = start_weights(args.start, workspace.weights) if args.start else None
    motions = workspace.motions(args.people)
    network, figures = train_m2s(
        motions, workspace.head, workspace.run_folder(name, workspace.performances), schedule, kind,
        space, workspace.device, start, taken,
    )  # fmt: skip
    data = motions_in_words(motions.corpus.clips)
    if taken is not None:
        data += f", {taken[1]:.0%} takes of it and filmed mouths"
    provenance = Provenance(f"{space}2s mesh-to-speech", data, schedule, figures, args.start)
    config = network.settings() | {"of_units": hash_of(workspace.weights / "units.safetensors")}
    workspace.export(name, network.state_dict(), config, provenance)
    return figures


def start_weights(folder: Path, weights: Path, network: str = "m2s") -> dict[str, Tensor]:
    """The weights in a folder of mesh-to-speech or the vocoder, without the layer that names units
    where those of `weights` are others."""
    state = load_weights(folder / network)[0]
    if np.array_equal(Units.load(folder).centroids, Units.load(weights).centroids):
        return state
    return {name: value for name, value in state.items() if not name.startswith(_OF_UNITS)}


def _denoiser(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the diffusion model, with or without L_m2s; returns its figures on the test
    voices."""
    speech = SpeechTerm(MeshToSpeechNetwork.load(workspace.weights)) if args.m2s else None
    start = load_weights(args.start / "denoiser")[0] if args.start else None
    schedule = Schedule(
        steps=args.steps,
        rate=args.rate,
        average=0.9995,
        warmup=min(200, args.steps // 4),
        checkpoint_every=100,
        seed=workspace.seed,
        batch=args.batch,
    )
    name = "denoiser" + (f"-{args.m2s}" if args.m2s else "")
    motions = workspace.motions(args.people, args.foreign)
    folder = workspace.run_folder(name, workspace.performances)
    denoiser = build_denoiser(motions, schedule.seed, start)
    denoiser, figures = train_denoiser(
        motions, workspace.head, folder, schedule, denoiser, speech, workspace.device
    )
    description = "diffusion model, THUNDER-F " + (
        f"with {args.m2s}2s loss" if args.m2s else "without M2S loss"
    )
    data = motions_in_words(motions.corpus.clips)
    data += f", {args.people:.0%} with people's lips" if args.people else ""
    data += f", {FOREIGN:.0%} of {' and '.join(args.foreign)}" if args.foreign else ""
    provenance = Provenance(description, data, schedule, figures)
    workspace.export("denoiser", denoiser.state_dict(), denoiser.settings(), provenance)
    return figures


def _distil(workspace: Workspace, args: Namespace) -> dict:
    """Train and export the distilled model; returns its figures on the watched voices."""
    schedule = Schedule(
        steps=args.steps,
        rate=args.rate,
        average=0.995,
        warmup=min(50, args.steps // 4),
        checkpoint_every=50,
        seed=workspace.seed,
    )
    full, motions = DenoiserNetwork.load(workspace.weights), workspace.motions()
    model, figures = distil(
        motions,
        workspace.head,
        full,
        workspace.run_folder("distil", workspace.performances),
        schedule,
        args.lines,
        workspace.device,
    )
    provenance = Provenance(
        "diffusion model distilled to a few steps",
        "takes of the diffusion model, sounds of the corpus",
        schedule,
        figures,
    )
    config = model.settings() | {"whole": hash_of(workspace.weights / "denoiser.safetensors")}
    workspace.export("distilled", model.state_dict(), config, provenance)
    return figures


def _graphs(workspace: Workspace, args: Namespace) -> str:
    """Write what ONNX Runtime computes, of every network of a folder of weights; returns the
    files."""
    return "\n".join(map(str, write_graphs(workspace.weights)))


# ---- adaptation: what ships goes on with a user's recordings or captures. Encoder, units and
# mesh-to-speech stay as they are, so that scores mean the same before and after.

PIECE, SLACK = 250, 50  # length of a piece, and search range for a quiet cut, frames (10 s and 2 s)
HOLD_OUT = 8  # step of the held-out pieces: every eighth is for measuring


def pieces(clip: Clip, samples: np.ndarray) -> Iterator[Clip]:
    """A clip cut at its quietest moments into parts of 8 … 12 s."""
    frames = clip.length // SAMPLES_PER_FRAME
    loud = np.abs(samples[: frames * SAMPLES_PER_FRAME]).reshape(frames, -1).max(1)
    start = 0
    while frames - start > PIECE + SLACK:
        around = loud[start + PIECE - SLACK : start + PIECE + SLACK]
        end = (
            start
            + PIECE
            - SLACK
            + int(np.argmin(np.convolve(around, np.ones(5), "same")[5:-5]))
            + 5
        )
        yield _part(clip, start, end)
        start = end
    yield _part(clip, start, frames)


def _part(clip: Clip, start: int, end: int) -> Clip:
    return replace(
        clip, name=f"{clip.name}#{start}", start=clip.start + start * SAMPLES_PER_FRAME,
        length=(end - start) * SAMPLES_PER_FRAME,
        tracked=clip.tracked + start if clip.tracked >= 0 else -1,
        lips=clip.lips + start if clip.lips >= 0 else -1,
    )  # fmt: skip


def prepare(
    sources: list[Path], cache: Path, weights: Path, head: Head, seed: int = 1
) -> MotionSet:
    """Corpus, features and performances of a user's folders, in `cache`. Raises BadTracking,
    BadCorpus."""
    channels = list(head.expression_names)
    corpus = build(
        cache / "corpus", sources, partial(label, weights), channels=channels, split=False
    )
    parts = [
        part
        for clip in corpus.clips
        for part in pieces(clip, corpus.samples(clip))
        if part.length >= 75 * SAMPLES_PER_FRAME
    ]
    if len(parts) < 2:
        raise BadCorpus(
            "There is too little to learn from. Give at least 20 seconds of speech, in recordings "
            "of 3 seconds or more: WAV, FLAC, OGG or MP3."
        )
    hold = min(HOLD_OUT, len(parts))
    corpus.clips = [
        replace(part, split="test" if i % hold == hold - 1 else "train")
        for i, part in enumerate(parts)
    ]
    (cache / "corpus" / "clips.json").write_text(json.dumps([asdict(c) for c in corpus.clips]))
    networks = (SpeechEncoder.load(weights), SpeakerEncoder.load(weights))
    units = Units.load(weights)
    extract_features(corpus, *networks, cache / "motions", seed, units, quiet_clips=0, listened=0)
    animate(corpus, channels, cache / "motions", seed)
    return MotionSet(corpus, cache / "motions")


def _adapt(workspace: Workspace, args: Namespace) -> str:
    """Continue training the diffusion model of the weights on the user's folders; returns its
    figures before and after, a line each.

    --out becomes a complete weights folder; the model distilled from the old one is left out.
    """
    weights, head, cache = workspace.weights, workspace.head, workspace.cache / "adapt"
    schedule = Schedule(
        steps=args.steps,
        rate=args.rate,
        average=0.998,
        warmup=min(200, args.steps // 4),
        seed=workspace.seed,
    )
    motions = prepare(args.folders, cache, weights, head, schedule.seed)
    runs = workspace.run_folder("adapt", cache / "motions" / "motions.f16")
    args.out.mkdir(parents=True, exist_ok=True)  # before hours of training
    start, speech = (
        load_weights(weights / "denoiser")[0],
        SpeechTerm(MeshToSpeechNetwork.load(weights)),
    )
    # a new one, since training resumes what a folder holds
    with tempfile.TemporaryDirectory(prefix="before_", dir=runs) as folder:
        _, before = train_denoiser(
            motions, head, Path(folder), replace(schedule, steps=0),
            build_denoiser(motions, schedule.seed, start), device=workspace.device,
        )  # fmt: skip
    trained, after = train_denoiser(
        motions, head, runs / "denoiser", schedule,
        build_denoiser(motions, schedule.seed, start), speech, device=workspace.device,
    )  # fmt: skip
    for path in weights.iterdir():
        if (
            path.stem != "distilled"
            and path.suffix in ENDINGS
            and path.resolve().parent != args.out.resolve()
        ):
            shutil.copyfile(path, args.out / path.name)
    provenance = Provenance(
        "diffusion model, adapted",
        ", ".join(f"{name}, {m} minutes" for name, m in minutes_of(motions.corpus.clips).items()),
        schedule,
        {"before": before, "after": after},
    )
    workspace.export("denoiser", trained.state_dict(), trained.settings(), provenance, args.out)
    return "\n".join(
        f"{name}: {before[name]} → {after[name]} on pieces that were held out" for name in before
    )


# In the order of a complete run; the stages after `graphs` are independent.
STAGES = {
    "track": Stage(
        _track, "follow the faces of actors in videos: tracked performances (docs/training.md)", (
            option("videos", type=Path, nargs="+",
                   help="videos, or folders with a folder for each speaker"),
            option("--to", type=Path, required=True, help="folder to write; what is there is kept"),
            option("--trainable", action="store_true",
                   help="you may use them for training: else they are marked, and training refuses "
                        "them"),
            option("--pixel-aspect", type=float, default=0.0,
                   help="width of a pixel in its heights, where the video does not say it"),
        ),
    ),
    "corpus": Stage(
        _corpus,
        "gather recordings with phone times", (
            option("folders", type=Path, nargs="+"),
            option("--test", nargs="+", default=[], metavar="SPEAKER",
                   help="who is only measured by (default: somebody, by name)"),
        ),
    ),
    "hear": Stage(
        _hear, "features, units and voices of the corpus; exports the units", (
            option("--quiet-clips", type=int, default=QUIET_CLIPS,
                   help="clips of silence and noise added, over a resting mouth"),
            option("--same-units", action="store_true",
                   help="keep the exported units, which mesh-to-speech knows, instead of fitting"),
        ),
    ),
    "animate": Stage(
        _animate, "the teacher performs the corpus",
        (option("--workers", type=int, default=os.cpu_count(),
                help="processes that perform, each on one core"),),
    ),
    "takes": Stage(
        _takes, "the trained networks perform the corpus, for mesh-to-speech", (
            option("--lines", type=int, default=1500, help="clips that are performed, twice each"),
            option("--filmed", type=Path,
                   help="folder of the stage grid, whose people's mouths are added"),
        ),
    ),
    "m2s": Stage(
        _m2s, "train mesh-to-speech", (
            *optimisation(4000, 1e-3),
            option("--start", type=Path,
                   help="weights folder to start from instead of from nothing"),
            PEOPLE,
            option("--takes", type=float, default=0.0,
                   help="share of takes and filmed mouths in what is drawn, after the stage takes"),
        ),
    ),
    "denoiser": Stage(
        _denoiser, "train the diffusion model", (
            *optimisation(6000, 1e-3),
            option("--start", type=Path,
                   help="weights folder to start from instead of from nothing"),
            option("--m2s", choices=("mouth",), help="with L_m2s of the mouth"),
            option("--batch", type=int,
                   help="crops in a step; a graphics card takes four times as many in the same "
                        "time"),
            PEOPLE,
            option("--foreign", nargs="+", default=[], metavar="NAME",
                   help="folders of the corpus in which nobody grew up with English: a tenth of "
                        "what is drawn"),
        ),
    ),
    "distil": Stage(
        _distil, "distil the diffusion model: four steps that come to what twenty of it come to", (
            *optimisation(1200, 3e-4),
            option("--lines", type=int, default=960,
                   help="that the diffusion model samples for it first"),
        ),
    ),
    "graphs": Stage(
        _graphs,
        "write the networks' graphs, with which the weights perform faster on processors; weights "
        "from before there were any get theirs so",
    ),
    "adapt": Stage(
        _adapt,
        "go on training the diffusion model on your own recordings or captures "
        "(docs/reference/tracked.md)", (
            option("folders", type=Path, nargs="+",
                   help="sounds, with transcripts.tsv if there are texts; or tracked performances"),
            option("--out", type=Path, required=True,
                   help="weights folder to write; choose it in the extension's preferences"),
            *optimisation(1500, 2e-4),
        ),
    ),
}  # fmt: skip
