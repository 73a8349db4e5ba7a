# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage `judge`: the lip-sync score."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from ...engine.speech.encoder import SpeechEncoder
from ...networks.judge import Judge
from ...networks.m2s import MeshToSpeech
from ...networks.mouth import Mouth
from ..judge import drawn, finish, lay_moods, Lessons, load_clips, train_judge, watched
from ..lip_kernels import fitted_to, identity
from ..loop import Schedule
from ..sampled import folder_of, MOODS_SPLIT, SampledClip, watched_split
from .workspace import add_optimisation, Workspace

_WHAT, _DATA = "judge of lip-sync", "the model's own takes of the corpus, as they are and spoiled"
HELP = "train the judge of lip-sync, which scores takes, on what the stage takes sampled"


def add_arguments(parser: ArgumentParser) -> None:
    add_optimisation(parser, 600)
    parser.add_argument("--m2s", action="store_true", help="let it ask mesh-to-speech what it hears, too")
    parser.add_argument("--scale-only", action="store_true", help="keep the exported network; weigh its parts and lay its scale anew")


def run(workspace: Workspace, args: Namespace) -> dict:
    newest = folder_of(workspace.cache, workspace.weights, workspace.seed)
    split = watched_split(workspace.corpus())
    held_out, in_moods = load_clips([newest], split), load_clips([newest], MOODS_SPLIT)
    if not held_out or not in_moods:
        raise SystemExit(f"{newest} holds no takes of these weights, or none in moods: run the stage takes first")
    schedule = Schedule(steps=args.steps, rate=1e-3, average=0.99, half=False, seed=workspace.seed)
    m2s = MeshToSpeech.load(workspace.weights)
    mouth = Mouth(m2s.mouth or workspace.head)
    if args.scale_only:
        return _scaled(workspace, mouth, m2s, held_out, in_moods)
    lessons = Lessons(mouth, m2s.to(workspace.device) if args.m2s else None, workspace.channels, workspace.device)
    # Samples of earlier weights too, because their errors are useful examples.
    clips = load_clips(sorted(folder for folder in newest.parent.iterdir() if folder.is_dir()), "train")
    train = list(drawn(lessons, clips, workspace.seed))
    heard = m2s.config.width if args.m2s else 0
    aligned = identity(SpeechEncoder.load(workspace.weights)) == fitted_to()
    network, figures = train_judge(
        train, list(watched(lessons, held_out)), heard, workspace.runs / "judge", schedule, aligned, workspace.device
    )
    network, of_moods = lay_moods(network, lessons, in_moods, workspace.device)
    figures |= of_moods
    workspace.export("judge", network.state_dict(), network.settings(), _WHAT, _DATA, schedule, figures)
    return figures


def _scaled(workspace: Workspace, mouth: Mouth, m2s: MeshToSpeech, held_out: list[SampledClip], in_moods: list[SampledClip]) -> dict:
    """Export the judge among the weights again, as it was trained, with its scale laid anew on these clips; returns its figures."""
    network = Judge.load(workspace.weights).to(workspace.device)
    trained = json.loads((workspace.weights / "judge.json").read_text())["card"]
    lessons = Lessons(mouth, m2s.to(workspace.device) if network.config.heard else None, workspace.channels, workspace.device)
    network, figures = finish(network, list(watched(lessons, held_out)), workspace.device)
    network, of_moods = lay_moods(network, lessons, in_moods, workspace.device)
    figures |= of_moods
    schedule = Schedule(steps=trained["steps"], rate=trained["rate"], average=0.99, half=False, seed=trained["seed"])
    workspace.export("judge", network.state_dict(), network.settings(), _WHAT, _DATA, schedule, figures)
    return figures
