# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m thunder_core.train STAGE`: every stage that makes the weights, resumable, seeded, in this order:

corpus → calibrate → encoder → hear → animate → m2s → denoiser → denoiser --m2s; each exports what the next one needs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

import torch

from ..face.head import load_head
from ..m2s.model import MeshToSpeech
from ..m2s.mouth import Mouth
from ..speech.encoder import SpeechEncoder
from ..speech.speaker import SpeakerEncoder
from ..weights import load_weights, save_weights
from .calibrate import KERNELS, calibrate
from .card import write_card
from .corpus import Corpus, build as build_corpus
from .denoiser import train_denoiser
from .encoder import train_encoder
from .loop import Schedule
from .m2s import train_m2s
from .motions import QUIET_CLIPS, MotionSet, animate, hear
from .speaker import import_resemblyzer

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
    p = argparse.ArgumentParser(prog="python -m thunder_core.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cache", type=Path, default=ROOT / "cache", help="corpus and features (not for version control)")
    p.add_argument("--runs", type=Path, default=ROOT / "runs", help="checkpoints and logs; a stage found there is resumed")
    p.add_argument("--weights", type=Path, default=ROOT / "weights", help="where stages read and export weights")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    stages = p.add_subparsers(dest="stage", required=True)
    s = stages.add_parser("corpus", help="gather recordings with phone times, add synthetic voices (needs flite)")
    s.add_argument("folders", type=Path, nargs="+")
    s.add_argument("--synthetic-minutes", type=float, default=40.0)
    s = stages.add_parser("calibrate", help="fit the teacher's lip kernels to measured lips")
    s.add_argument("lips", type=Path)
    s = stages.add_parser("speaker", help="import Resemblyzer's speaker network")
    s.add_argument("checkpoint", type=Path)
    s = stages.add_parser("encoder", help="train the speech encoder")
    s.add_argument("--steps", type=int, default=3600)
    s = stages.add_parser("hear", help="features, units and voices of the corpus; exports the units")
    s.add_argument("--quiet-clips", type=int, default=QUIET_CLIPS, help="clips of silence and noise added, over a resting mouth")
    s.add_argument("--share", type=float, default=1.0, help="share of the training clips to use")
    stages.add_parser("animate", help="the teacher performs the corpus")
    s = stages.add_parser("m2s", help="train mesh-to-speech")
    s.add_argument("--steps", type=int, default=4000)
    s = stages.add_parser("denoiser", help="train the diffusion model")
    s.add_argument("--steps", type=int, default=6000)
    s.add_argument("--rate", type=float, default=1e-3)
    s.add_argument("--m2s", action="store_true", help="with L_m2s, from the exported denoiser")
    stages.add_parser("card", help="write the weights' README from what made them")
    return p


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(args.threads)
    corpus_folder, set_folder, weights = args.cache / "corpus", args.cache / "motions", args.weights

    head = load_head(weights / "head.npz")
    channels = list(head.expression_names)
    if args.stage == "card":
        print(write_card(weights))
    elif args.stage == "corpus":
        build_corpus(corpus_folder, args.folders, args.synthetic_minutes)
    elif args.stage == "calibrate":
        print(calibrate(args.lips), "→", KERNELS)
    elif args.stage == "speaker":
        network = import_resemblyzer(args.checkpoint)
        tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("mel.")}
        save_weights(weights / "speaker", tensors, {}, _card("GE2E speaker embedding", "Resemblyzer 0.1.4 (Apache-2.0), its own checkpoint, converted", None, {}))
    elif args.stage == "encoder":
        schedule = Schedule(steps=args.steps, rate=1e-3, average=0.998, seed=args.seed)
        network, figures = train_encoder(Corpus(corpus_folder), args.runs / "encoder", schedule, device=args.device)
        tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("log_mel.")}
        save_weights(weights / "encoder", tensors, network.settings(), _card("speech encoder, frame-wise phones", "corpus, training voices", schedule, figures))
        print(figures)
    elif args.stage == "hear":
        speaker, encoder = SpeakerEncoder.load(weights), SpeechEncoder.load(weights)
        units = hear(Corpus(corpus_folder), encoder, speaker, set_folder, args.seed, args.quiet_clips, args.share)
        config = {"count": units.count, "width": units.centroids.shape[1]}
        save_weights(weights / "units", units.state_dict(), config, _card("speech units, k-means of encoder features", "corpus, training voices", None, {}))
    elif args.stage == "animate":
        animate(Corpus(corpus_folder), channels, set_folder, args.seed)
    elif args.stage == "m2s":
        schedule = Schedule(steps=args.steps, rate=1e-3, seed=args.seed)
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        network, figures = train_m2s(motions, Mouth(head), len(channels), args.runs / "m2s", schedule, args.device)
        config = network.settings() | {"score_scale": [figures["evidence_other"], figures["evidence_true"]]}
        save_weights(weights / "m2s", network.state_dict(), config, _card("mouth2s mesh-to-speech", "teacher's motions over the corpus", schedule, figures))
        print(figures)
    elif args.stage == "denoiser":
        motions = MotionSet(Corpus(corpus_folder), set_folder)
        folder = args.runs / ("denoiser-m2s" if args.m2s else "denoiser")
        schedule = Schedule(steps=args.steps, rate=args.rate, average=0.9995, seed=args.seed)
        m2s, start = (MeshToSpeech.load(weights)[0], load_weights(weights / "denoiser")[0]) if args.m2s else (None, None)
        network, figures = train_denoiser(motions, Mouth(head), len(channels), folder, schedule, m2s, start, args.device)
        what = "diffusion model, THUNDER-F " + ("with mouth2s loss" if args.m2s else "without M2S loss")
        save_weights(weights / "denoiser", network.state_dict(), network.settings(), _card(what, "teacher's motions over the corpus", schedule, figures))
        print(figures)


if __name__ == "__main__":
    main()
