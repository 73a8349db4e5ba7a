# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m thunder_core.train STAGE`: every stage that makes the weights, resumable, seeded, in this order:

corpus → encoder → calibrate → hear → animate → m2s → vocoder → judge → denoiser → denoiser --m2s; each exports what the next one needs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import torch

from ..engine.m2s.model import MeshToSpeech
from ..engine.m2s.mouth import Mouth, save_trained_mouth, SPACES, weights_name
from ..engine.speech.encoder import EncoderConfig, SpeechEncoder
from ..engine.speech.speaker import SpeakerEncoder
from ..engine.weights import load_weights, save_weights, write_sums
from ..face.head import load_head
from .adapt import adapt
from .calibrate import calibrate, KERNELS
from .card import write_card
from .corpus import build as build_corpus, Corpus
from .denoiser import M2S_WEIGHT, train_denoiser
from .encoder import SMALL_WAVE, train_encoder
from .judge import train_judge
from .label import Labeller
from .loop import Schedule
from .m2s import train_m2s
from .motions import animate, hear, MotionSet, QUIET_CLIPS
from .real_faces import solve_folder
from .speaker import import_resemblyzer
from .tracked import convert_facegood
from .vocoder import train_vocoder

ROOT = Path(__file__).resolve().parents[2]


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def _card(what: str, data: str, schedule: Schedule | None, figures: dict) -> dict:
    card = {"what": what, "data": data, "commit": _commit(), "figures": figures}
    if schedule:
        card |= {"steps": schedule.steps, "seed": schedule.seed, "rate": schedule.rate}
    return card


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m thunder_core.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--cache", type=Path, default=ROOT / "cache", help="corpus and features (not for version control)")
    p.add_argument("--runs", type=Path, default=ROOT / "runs", help="checkpoints and logs; a stage found there is resumed")
    p.add_argument("--weights", type=Path, default=ROOT / "weights", help="where stages read and export weights")
    p.add_argument("--seed", type=int, default=1, help="of every draw: the same seed trains the same network")
    p.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu", help="cpu, or cuda:0 where torch finds it")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch; 1 under torchrun")
    stages = p.add_subparsers(dest="stage", required=True)
    s = stages.add_parser("corpus", help="gather recordings with phone times, add synthetic voices (needs flite and espeak-ng)")
    s.add_argument("folders", type=Path, nargs="+")
    s.add_argument("--synthetic-minutes", type=float, default=60.0)
    s = stages.add_parser("calibrate", help="fit the teacher's lip kernels to measured lips")
    s.add_argument("lips", type=Path)
    s = stages.add_parser("solve", help="follow tracked real faces with the head: sequences to measure against (docs/reference/tracked.md)")
    s.add_argument("lips", type=Path)
    s.add_argument("out", type=Path)
    s.add_argument("--clips", nargs="+", help="only these")
    s = stages.add_parser("facegood", help="convert FACEGOOD's recordings into tracked sequences")
    s.add_argument("folder", type=Path)
    s.add_argument("out", type=Path)
    s = stages.add_parser("speaker", help="import Resemblyzer's speaker network")
    s.add_argument("checkpoint", type=Path)
    s = stages.add_parser("encoder", help="train the speech encoder")
    s.add_argument("--steps", type=int, default=3600, help="optimiser steps; the learning rate falls to nothing over them")
    s.add_argument("--rate", type=float, default=1.2e-3, help="highest learning rate")
    s.add_argument("--wave", action="store_true", help="a Wav2Vec2Model of the waveform instead of filter banks and a conformer")
    s.add_argument("--adopt", type=Path, help="local folder of a pretrained Wav2Vec2, HuBERT or WavLM network to take its place")
    s = stages.add_parser("hear", help="features, units and voices of the corpus; exports the units")
    s.add_argument("--quiet-clips", type=int, default=QUIET_CLIPS, help="clips of silence and noise added, over a resting mouth")
    s.add_argument("--share", type=float, default=1.0, help="share of the training clips to use")
    stages.add_parser("animate", help="the teacher performs the corpus")
    s = stages.add_parser("m2s", help="train mesh-to-speech")
    s.add_argument("--steps", type=int, default=4000, help="optimiser steps; the learning rate falls to nothing over them")
    s.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    s.add_argument("--start", type=Path, help="weights folder to start from instead of from nothing")
    s.add_argument("--space", choices=tuple(SPACES), default="mouth", help="mouth2s, face2s or exp2s")
    s = stages.add_parser("vocoder", help="train the vocoder; learns to forgive the exported mesh-to-speech, if there is one")
    s.add_argument("--steps", type=int, default=4000, help="optimiser steps; the learning rate falls to nothing over them")
    s.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    s.add_argument("--adversarial", action="store_true", help="against rivals, from the exported vocoder (wants a GPU)")
    s = stages.add_parser("judge", help="train the judge of lip-sync, which scores takes")
    s.add_argument("--steps", type=int, default=800, help="optimiser steps; the learning rate falls to nothing over them")
    s = stages.add_parser("denoiser", help="train the diffusion model")
    s.add_argument("--steps", type=int, default=6000, help="optimiser steps; the learning rate falls to nothing over them")
    s.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    s.add_argument("--start", type=Path, help="weights folder to start from instead of from nothing")
    s.add_argument("--m2s", choices=tuple(SPACES), help="with L_m2s of this input space")
    s.add_argument("--m2s-weight", type=float, default=M2S_WEIGHT, help="of L_m2s beside the reconstruction")
    s.add_argument("--trainable-encoder", action="store_true", help="THUNDER-T: the speech encoder is trained along")
    s = stages.add_parser("adapt", help="go on training the diffusion model on your own recordings or captures (docs/reference/tracked.md)")
    s.add_argument("folders", type=Path, nargs="+", help="sounds, with transcripts.tsv if there are texts; or tracked performances")
    s.add_argument("--out", type=Path, required=True, help="weights folder to write; choose it in the extension's preferences")
    s.add_argument("--steps", type=int, default=1500, help="optimiser steps; the learning rate falls to nothing over them")
    s.add_argument("--rate", type=float, default=2e-4, help="highest learning rate")
    stages.add_parser("card", help="write the weights' README from what made them, and their SHA256SUMS")
    return p


def main(words: list[str] | None = None) -> None:
    """Run the stage that `words`, or else the command line, ask for."""
    args = parser().parse_args(words)
    torch.set_num_threads(args.threads)
    corpus_folder, set_folder, weights = args.cache / "corpus", args.cache / "motions", args.weights

    head = load_head(weights / "head.npz")
    channels = list(head.expression_names)
    if args.stage == "card":
        print(write_card(weights))
        print(write_sums(weights))
    elif args.stage == "corpus":
        build_corpus(corpus_folder, args.folders, args.synthetic_minutes, label=Labeller(weights), channels=channels)
    elif args.stage == "calibrate":
        print(calibrate(args.lips, SpeechEncoder.load(weights)), "→", KERNELS)
    elif args.stage == "solve":
        print(solve_folder(args.lips, args.out, head, args.clips))
    elif args.stage == "facegood":
        print(f"{len(convert_facegood(args.folder, args.out, channels))} recordings → {args.out}")
    elif args.stage == "speaker":
        network = import_resemblyzer(args.checkpoint)
        tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("mel.")}
        save_weights(
            weights / "speaker",
            tensors,
            {},
            _card("GE2E speaker embedding", "Resemblyzer 0.1.4 (Apache-2.0), its own checkpoint, converted", None, {}),
        )
    elif args.stage == "encoder":
        schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=args.seed)
        config = EncoderConfig(body=SMALL_WAVE) if args.wave else EncoderConfig()
        network, figures = train_encoder(Corpus(corpus_folder), args.runs / "encoder", schedule, config, args.adopt, args.device)
        tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("log_mel.")}
        save_weights(
            weights / "encoder",
            tensors,
            network.settings(),
            _card("speech encoder, frame-wise phones", "corpus, training voices", schedule, figures),
        )
        print(figures)
    elif args.stage == "hear":
        speaker, encoder = SpeakerEncoder.load(weights), SpeechEncoder.load(weights)
        units = hear(Corpus(corpus_folder), encoder, speaker, set_folder, args.seed, args.quiet_clips, args.share)
        config = {"count": units.count, "width": units.centroids.shape[1]}
        save_weights(
            weights / "units",
            units.state_dict(),
            config,
            _card("speech units, k-means of encoder features", "corpus, training voices", None, {}),
        )
    elif args.stage == "animate":
        animate(Corpus(corpus_folder), channels, set_folder, args.seed)
    elif args.stage == "m2s":
        schedule = Schedule(steps=args.steps, rate=args.rate, seed=args.seed)
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        start = load_weights(args.start / "m2s")[0] if args.start else None
        name = weights_name(args.space)
        network, figures = train_m2s(motions, head, args.runs / name, schedule, args.space, args.device, start)
        about = _card(f"{args.space}2s mesh-to-speech", "teacher's motions over the corpus", schedule, figures)
        save_weights(weights / name, network.state_dict(), network.settings(), about)
        if args.space == "mouth":
            save_trained_mouth(weights, head)
        print(figures)
    elif args.stage == "vocoder":
        schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, seed=args.seed)
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        m2s = MeshToSpeech.load(weights) if (weights / "m2s.safetensors").exists() else None
        folder = args.runs / ("vocoder-adversarial" if args.adversarial else "vocoder")
        start = load_weights(weights / "vocoder")[0] if args.adversarial else None
        network, figures = train_vocoder(motions, head, folder, schedule, args.device, m2s, args.adversarial, start)
        what = "vocoder, pulses and noise through an inverse STFT" + (", with rivals" if args.adversarial else "")
        save_weights(
            weights / "vocoder", network.state_dict(), network.settings(), _card(what, "corpus, training voices", schedule, figures)
        )
        print(figures)
    elif args.stage == "judge":
        schedule = Schedule(steps=args.steps, rate=1e-3, average=0.995, seed=args.seed)
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        m2s = MeshToSpeech.load(weights)
        network, figures = train_judge(
            motions, m2s, Mouth(m2s.mouth or head), channels, args.runs / "judge", schedule, args.device
        )
        save_weights(
            weights / "judge",
            network.state_dict(),
            network.settings(),
            _card("judge of lip-sync", "teacher's motions over the corpus, spoiled", schedule, figures),
        )
        print(figures)
    elif args.stage == "denoiser":
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        m2s, start, encoder = None, None, SpeechEncoder.load(weights) if args.trainable_encoder else None
        name = "denoiser" + ("-t" if encoder else "") + (f"-{args.m2s}" if args.m2s else "")
        schedule = Schedule(steps=args.steps, rate=args.rate, average=0.9995, warmup=min(200, args.steps // 4), seed=args.seed)
        if args.m2s:
            m2s = MeshToSpeech.load(weights, weights_name(args.m2s))
        if args.start:
            start = load_weights(args.start / "denoiser")[0]
        performer, figures = train_denoiser(motions, head, args.runs / name, schedule, m2s, start, encoder, args.device, args.m2s_weight)
        what = f"diffusion model, THUNDER-{'T' if encoder else 'F'} " + (f"with {args.m2s}2s loss" if args.m2s else "without M2S loss")
        about = _card(what, "teacher's motions over the corpus", schedule, figures)
        save_weights(weights / "denoiser", performer.denoiser.state_dict(), performer.denoiser.settings(), about)
        if encoder:
            tensors = {k: v for k, v in performer.encoder.state_dict().items() if not k.startswith("log_mel.")}
            save_weights(weights / "encoder-t", tensors, performer.encoder.settings(), about)
        print(figures)
    elif args.stage == "adapt":
        schedule = Schedule(steps=args.steps, rate=args.rate, average=0.998, warmup=min(200, args.steps // 4), seed=args.seed)
        cache, runs = args.cache / "adapt", args.runs / "adapt"
        performer, before, after = adapt(args.folders, cache, runs, weights, args.out, head, schedule, args.device)
        about = _card("diffusion model, adapted", ", ".join(f.name for f in args.folders), schedule, {"before": before, "after": after})
        save_weights(args.out / "denoiser", performer.denoiser.state_dict(), performer.denoiser.settings(), about)
        for name in before:
            print(f"{name}: {before[name]} → {after[name]} on pieces that were held out")


if __name__ == "__main__":
    main()
