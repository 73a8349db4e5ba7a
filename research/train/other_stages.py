# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages outside the chain of a complete run, as those of `stages.py`: networks and numbers that
are made once, what is only measured, and the card."""

import os
from argparse import Namespace
from pathlib import Path

from research.faces.calibrate import calibrate
from research.faces.head_motion import HeadStatistics, with_heads
from research.faces.people import fit_people
from research.faces.real_faces import solve_folder
from research.systems.denoisers import ClipImages
from research.train import lip_video, sv2s
from research.train.card import write_card, write_sums
from research.train.denoiser import M2S_WEIGHT
from research.train.ear import Ear, hear_by
from research.train.encoder import adopt_whisper, train_encoder, TrainableEncoder
from research.train.facegood import convert_facegood
from research.train.grid import convert_grid, gather_people, turn_heads
from research.train.loop import Schedule
from research.train.m2s import FRAMES
from research.train.paper import Budget, Chain, folder_of, select_stages, train_chain
from research.train.spaces import SPACES
from research.train.speaker import import_resemblyzer
from research.train.stages import (
    export_m2s,
    optimisation,
    option,
    PEOPLE,
    Provenance,
    Stage,
    start_weights,
    version,
    Workspace,
)
from research.train.vocoder import train_vocoder
from thunder_core.engine.planning.mouth_map import CONSTANTS
from thunder_core.engine.planning.people import NUMBERS
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.files import hash_of
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.types import Columns


def _speaker(workspace: Workspace, args: Namespace) -> str:
    tensors = import_resemblyzer(args.checkpoint).state_dict()
    workspace.export(
        "speaker",
        tensors,
        {},
        Provenance(
            "GE2E speaker embedding",
            "Resemblyzer 0.1.4 (Apache-2.0), its own checkpoint, converted",
        ),
    )
    return f"{args.checkpoint} → {workspace.weights / 'speaker.safetensors'}"


def _encoder(workspace: Workspace, args: Namespace) -> dict:
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=workspace.seed)
    start = load_weights(args.start / "encoder")[0] if args.start else None
    corpus = workspace.corpus()
    folder = workspace.run_folder("encoder", workspace.corpus_folder / "phones.u8")
    encoder = (
        adopt_whisper(args.adopt, args.whisper, corpus)
        if args.adopt
        else TrainableEncoder.load(workspace.weights).requires_grad_(True)
    )
    network, figures = train_encoder(corpus, folder, schedule, encoder, workspace.device, start)
    layers = network.config.body["encoder_layers"]
    what = f"the first {layers} layers of a Whisper (OpenAI, MIT), and what reads phones of them"
    data = "corpus, training voices"
    workspace.export(
        "encoder",
        network.state_dict(),
        network.settings(),
        Provenance(what, data, schedule, figures),
    )
    return figures


def _vocoder(workspace: Workspace, args: Namespace) -> dict:
    weights, motions = workspace.weights, workspace.motions()
    folder = workspace.run_folder("vocoder", workspace.performances)
    schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=workspace.seed)
    m2s = MeshToSpeechNetwork.load(weights) if (weights / "m2s.safetensors").exists() else None
    start = start_weights(args.start, weights, "vocoder") if args.start else None
    network, figures = train_vocoder(
        motions, workspace.head, folder, schedule, workspace.device, m2s, start=start
    )
    what, data = "vocoder, pulses and noise through an inverse STFT", "corpus, training voices"
    workspace.export(
        "vocoder",
        network.state_dict(),
        network.settings() | {"of_units": hash_of(weights / "units.safetensors")},
        Provenance(what, data, schedule, figures),
    )
    return figures


def _space(workspace: Workspace, args: Namespace) -> dict:
    """Train and export mesh-to-speech of another input; returns its figures on the test voices."""
    return export_m2s(workspace, args, SPACES[args.space], args.space)


def _card(workspace: Workspace, args: Namespace) -> str:
    """Write the weights' README and their checksums; returns their paths."""
    return f"{write_card(workspace.weights)}\n{write_sums(workspace.weights)}"


def _calibrate(workspace: Workspace, args: Namespace) -> str:
    encoder = SpeechEncoder.load(workspace.weights)
    fitted = {CONSTANTS: calibrate(args.data, encoder), NUMBERS: fit_people(args.data, encoder)}
    return "\n".join(f"{figures} → {path}" for path, figures in fitted.items())


def _solve(workspace: Workspace, args: Namespace) -> str:
    return solve_folder(args.lips, args.out, workspace.head, args.clips)


def _paper(workspace: Workspace, args: Namespace) -> str:
    budget = Budget(args.steps, args.together_steps, args.batch, m2s_weight=args.m2s_weight)
    stages, motions, lines = select_stages(args.only), workspace.motions(args.people), []
    clip = ClipImages(args.clip) if args.clip else None
    if args.ear:
        hear_by(motions, Ear(args.ear), workspace.motions_folder)
    workspace.run_folder("paper", workspace.performances, motions.ear)
    for seed in args.seeds or [workspace.seed]:
        chain = Chain(
            motions,
            workspace.head,
            workspace.weights,
            workspace.runs,
            budget,
            seed,
            version(),
            workspace.device,
            clip,
        )
        lines += train_chain(chain, stages, args.only)
        lines.append(f"seed {seed} → {folder_of(workspace.runs, seed, '')}")
    return "\n".join(lines)


def _sv2s(workspace: Workspace, args: Namespace) -> dict:
    motions = workspace.motions()
    folder = workspace.run_folder(sv2s.NAME, workspace.performances)
    pairs = lip_video.choose_rows(motions, FRAMES, args.minutes, workspace.seed)
    films = lip_video.film(motions, workspace.head, pairs, workspace.cache / "lip_films")
    warmup = min(200, max(1, args.steps // 5))
    schedule = Schedule(
        steps=args.steps, rate=args.rate, warmup=warmup, seed=workspace.seed, checkpoint_every=50
    )
    start = start_weights(args.start, workspace.weights) if args.start else None
    network, figures = sv2s.train_sv2s(motions, films, folder, schedule, workspace.device, start)
    what = "silent video to speech"
    data = f"films of the teacher's lips, {args.minutes:g} minutes of the corpus"
    workspace.export(
        sv2s.NAME,
        network.state_dict(),
        network.settings(),
        Provenance(what, data, schedule, figures, args.start),
    )
    return figures


def _heads(workspace: Workspace, args: Namespace) -> str:
    columns = Columns(workspace.head.channels)
    source, folder = workspace.motions_folder, args.to / "motions"
    count = with_heads(
        workspace.motions(), source, folder, columns.head, HeadStatistics.load(), workspace.seed
    )
    (args.to / "corpus").unlink(missing_ok=True)
    os.symlink(workspace.corpus_folder.resolve(), args.to / "corpus")
    return f"{count} performances with heads of their own → {args.to}"


def _facegood(workspace: Workspace, args: Namespace) -> str:
    return (
        f"{len(convert_facegood(args.folder, args.out, workspace.channels))} recordings → "
        f"{args.out}"
    )


def _grid(workspace: Workspace, args: Namespace) -> str:
    if args.tables:
        folders = args.folder, args.out, workspace.corpus_folder, workspace.weights
        counts = gather_people(*folders)
        workspace.forget_features()
        return f"{counts} → {workspace.corpus_folder}"
    if args.heads:
        head = Columns(workspace.head.channels).head
        count = turn_heads(workspace.motions(), workspace.motions_folder, args.out, head)
        return f"{count} performances with the heads of their people"
    return f"{convert_grid(args.folder, args.out)} sentences → {args.out}"


STAGES = {
    "space": Stage(
        _space,
        "train mesh-to-speech of another input; lips: the mouth without teeth and tongue",
        (
            option("space", choices=tuple(set(SPACES) - {"mouth"})),
            *optimisation(4000, 1e-3),
            option("--start", type=Path, help="weights folder to start from"),
            PEOPLE,
        ),
    ),
    "card": Stage(_card, "write the weights' card from what made them, and their SHA256SUMS"),
    "speaker": Stage(
        _speaker, "import Resemblyzer's speaker network", (option("checkpoint", type=Path),)
    ),
    "encoder": Stage(
        _encoder,
        "train the speech encoder",
        (
            *optimisation(3600, 1.2e-3),
            option(
                "--start", type=Path, help="weights folder to start from instead of from nothing"
            ),
            option(
                "--adopt",
                type=Path,
                help="local folder of a Whisper to stand on (or its CTranslate2 model.bin); default: "
                "that of the weights",
            ),
            option(
                "--whisper",
                type=int,
                nargs="+",
                default=[3],
                metavar="LAYER",
                help="layers of the adopted Whisper that are heard: 3 of base, 2 of tiny",
            ),
        ),
    ),
    "vocoder": Stage(
        _vocoder,
        "train the vocoder, on mels of the exported mesh-to-speech too, if there is one",
        (
            *optimisation(4000, 1e-3),
            option("--start", type=Path, help="weights folder to start from instead of nothing"),
        ),
    ),
    "calibrate": Stage(
        _calibrate,
        "fit the map of mouths, and how people move head, brows, lids and gaze, to measured faces",
        (option("data", type=Path, help="folder with lips/ and lips_more/"),),
    ),
    "solve": Stage(
        _solve,
        "follow tracked real faces with the head: sequences to measure against "
        "(docs/reference/tracked.md)",
        (
            option("lips", type=Path),
            option("out", type=Path),
            option("--clips", nargs="+", help="only these"),
        ),
    ),
    "paper": Stage(
        _paper,
        "train every system of the paper's comparison (docs/training.md)",
        (
            option(
                "--steps",
                type=int,
                default=Budget.steps,
                help="of every system's base, without the mesh-to-speech loss",
            ),
            option(
                "--together-steps",
                type=int,
                default=Budget.together,
                help="of each row after it, with or without the loss",
            ),
            option("--batch", type=int, default=Budget.batch, help="crops of 70 frames in a step"),
            option(
                "--m2s-weight",
                type=float,
                default=M2S_WEIGHT,
                help="of L_m2s beside the reconstruction",
            ),
            PEOPLE,
            option(
                "--clip",
                type=Path,
                help="folder of a CLIP network of transformers: Media2Face sees pictures through it",
            ),
            option(
                "--ear",
                type=Path,
                help="folder of a wav2vec 2.0 or HuBERT of transformers, frozen: all systems hear "
                "through it instead of the encoder",
            ),
            option(
                "--seeds",
                type=int,
                nargs="+",
                help="one chain each (three for the table: 1 2 3); default: --seed",
            ),
            option(
                "--only",
                nargs="+",
                default=[],
                metavar="ROW",
                help="rows of the table, e.g. flameformer 'thunder-t*'",
            ),
        ),
    ),
    "sv2s": Stage(
        _sv2s,
        "train silent video to speech, mesh-to-speech's reference",
        (
            *optimisation(4000, 1e-3),
            option(
                "--start",
                type=Path,
                help="weights folder whose mesh-to-speech gives conformer and heads, instead of "
                "nothing",
            ),
            option("--minutes", type=float, default=60, help="of training clips that are filmed"),
        ),
    ),
    "heads": Stage(
        _heads,
        "the corpus with heads drawn from real people's statistics (docs/training.md)",
        (
            option(
                "--to",
                type=Path,
                required=True,
                help="cache to write: the corpus and its performances, with other heads",
            ),
        ),
    ),
    "facegood": Stage(
        _facegood,
        "convert FACEGOOD's recordings into tracked sequences",
        (option("folder", type=Path), option("out", type=Path)),
    ),
    "grid": Stage(
        _grid,
        "recordings with measured lips of GRID's tracked speakers",
        (
            option("folder", type=Path),
            option("out", type=Path),
            option(
                "--tables",
                action="store_true",
                help="of all speakers, and the corpus for the paper's tables on people",
            ),
            option(
                "--heads",
                action="store_true",
                help="after `animate`: give these performances the heads measured with --tables",
            ),
        ),
    ),
}
