# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Table 1: quality of speech that networks generate from motion, for every input space, and of natural speech.

`python -m research table1 --cache CACHE --data DATA [--spaces FOLDER]`: lines of the cache's test speakers, with the words of DATA
(`speech/<corpus>/transcripts.tsv`). The teacher performs each in the style of a training speaker, which mesh-to-speech knows, and every
network speaks its input in the line's own voice, through the same vocoder. The networks lie in FOLDER (`m2s`, `m2s-face`, `m2s-exp`,
`m2s-lips`, `sv2s`), trained alike; mouth2s of the weights has a row of its own, or is `mouth2s` where FOLDER has none. A missing network
has its training command instead of figures; without `m2s-lips` the row is mouth2s with teeth and tongue hidden, as in half of its training.

Words are recognised twice: by our own CTC decoder (`ctc_words.py`), which made no alignments, and by pocketsphinx, which made those of
the corpus. Figures of each line are kept in --kept and measured once, so a stopped run can be resumed. Rows go to
research/results/table1.json, with 95 % intervals (bootstrap over lines).
"""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from research import ctc_words
from research.harness import add_shared, keep_json, put_into, required, RESULTS
from research.speech import error, has, likeness, Line, Recognisers, test_lines
from research.train.lip_video import LipVideo
from research.train.sv2s import NAME as SV2S, VideoToSpeech
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.encoder import loudness
from thunder_core.files import hash_of, write_file
from thunder_core.networks.encoder import SpeechEncoder
from thunder_core.networks.m2s import Lips, MeshToSpeech, Mouth, SPACES, weights_name
from thunder_core.train.corpus import Corpus
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.train.teacher_timing import semitones
from thunder_core.types import Motion, pack

FIGURES = ("stoi", "estoi", "pesq_wb", "pesq_nb", "wer", "wer_pocketsphinx")
_LIKE = {"stoi": "STOI", "estoi": "ESTOI", "pesq_wb": "PESQ-WB", "pesq_nb": "PESQ-NB"}
SHIPPED = "mouth2s-shipped"
SYSTEMS = ("natural", SHIPPED, "mouth2s", "face2s", "exp2s", "mouth2s-lips", "sv2s", "shuffled")
TRAIN = {
    "face2s": "thunder_core.train m2s --space face", "exp2s": "thunder_core.train m2s --space exp",
    "mouth2s-lips": "thunder_core.train m2s --space lips", "sv2s": "research train sv2s",
}  # fmt: skip
SHORT = 1000  # steps below which a network that started from nothing does not count as trained
# The paper's Table 1, on its own data; its recogniser is Whisper.
PAPER = {
    "exp2s": (0.502, 0.273, 1.257, 1.468, 0.648), "face2s": (0.458, 0.203, 1.225, 1.437, 0.953),
    "mouth2s": (0.506, 0.272, 1.246, 1.457, 0.678), "sv2s, fine-tuned": (0.555, 0.348, 1.281, 1.511, 0.437),
    "sv2s, as published": (0.376, 0.141, 1.126, 1.313, 1.011),
}  # fmt: skip
BOOTSTRAP = 2000


@dataclass(frozen=True)
class Listener:
    """A system that generates speech from a motion. look: packed motions [B, T, C] → its input. digest: of its weights."""

    look: Callable[[Tensor], Tensor]
    network: MeshToSpeech
    digest: str
    note: str


def listeners(engine: Engine, spaces: Path | None) -> tuple[dict[str, Listener], dict[str, str]]:
    """The systems with networks, and the training command of each other one."""
    head = engine.head
    shipped, m2s = engine.folder / "m2s", MeshToSpeech.load(engine.folder).to(engine.device)
    own = m2s.mouth or head
    look = Mouth(own).to(engine.device).of_packed
    there = {"mouth2s": Listener(look, m2s, _digest(shipped), "as it ships")}
    missing = {}
    if spaces and (spaces / "m2s.json").is_file() and _digest(spaces / "m2s") != _digest(shipped):
        there[SHIPPED] = there["mouth2s"]
        again = MeshToSpeech.load(spaces).to(engine.device).eval()
        there["mouth2s"] = Listener(look, again, _digest(spaces / "m2s"), _note(spaces / "m2s"))
    for name, command in TRAIN.items():
        file = name if name == SV2S else weights_name(name.removeprefix("mouth2s-").removesuffix("2s"))
        path = spaces / file if spaces else Path(file)
        if spaces and path.with_suffix(".json").is_file():
            kind = VideoToSpeech if name == SV2S else MeshToSpeech
            view = LipVideo(head) if name == SV2S else SPACES[file.removeprefix("m2s-")](head)
            there[name] = Listener(
                view.to(engine.device).of_packed, kind.load(spaces, file).to(engine.device).eval(), _digest(path), _note(path)
            )
        elif name == "mouth2s-lips":
            note = "mouth2s with teeth and tongue hidden, as in half of its training"
            there[name] = Listener(Lips(own).to(engine.device).of_packed, m2s, _digest(shipped) + " hidden", note)
        else:
            missing[name] = f"not trained: python -m {command}"
    return there, missing


def _digest(path: Path) -> str:
    return hash_of(path.with_suffix(".safetensors"))[:16]


def _note(path: Path) -> str:
    """A network's training length, from its card."""
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("card", {})
    steps = card.get("steps", 0)
    if start := card.get("start"):
        return f"{steps} steps from {start}"
    return f"{steps} steps" + ("" if steps >= SHORT else ": not trained long enough to be compared")


def performed(engine: Engine, line: Line, number: int, voices: list[str], seed: int) -> Motion:
    """The teacher's performance of a line in the style of one of the training `voices`."""
    frames = len(line.samples) // 640
    rng = np.random.default_rng([seed, number])
    direction = Direction.of_clip(voices[int(rng.integers(len(voices)))], rng)
    features = map_features(engine.thunder.encoder, line.samples, frames)
    channels, loud = list(engine.head.expression_names), loudness(line.samples, frames)
    return perform(line.phones, loud, channels, rng, direction, semitones(line.samples, frames), False, features)


@torch.no_grad()
def said(engine: Engine, listener: Listener, motion: Motion, voice: np.ndarray) -> np.ndarray:
    """A system's speech for a motion, by the vocoder in a voice [256]: samples [640 · T]."""
    x = torch.from_numpy(pack(motion).astype(np.float32))[None].to(engine.device)
    logits, mel = listener.network(listener.look(x), torch.from_numpy(voice)[None].to(engine.device))
    return engine.vocoder.speak(mel[0].cpu().numpy(), logits[0].argmax(-1).cpu().numpy(), voice)


class Ears:
    """Both recognisers of words."""

    def __init__(self, engine: Engine):
        self.encoder = SpeechEncoder.load(engine.folder)
        self.words, self.pocketsphinx = ctc_words.english(), Recognisers(engine)

    @torch.no_grad()
    def __call__(self, sound: np.ndarray) -> dict[str, str]:
        hidden, _ = self.encoder.reader().analyse(sound)
        logits = self.encoder.ctc_head(torch.from_numpy(hidden)).numpy()
        return {"wer": self.words.decode(logits), "wer_pocketsphinx": self.pocketsphinx.words(sound)}


def measured(line: Line, sound: np.ndarray, ears: Ears) -> dict:
    """Figures of a sound beside the line itself: likeness, and the words that were recognised."""
    like = likeness(line.samples, sound[: len(line.samples)])
    return {name: like.get(title, float("nan")) for name, title in _LIKE.items()} | ears(sound)


def measure(engine: Engine, there: dict[str, Listener], lines: list[Line], motions: list[Motion], kept: Path) -> dict[str, list[dict]]:
    """{system: figures of each line}, from `kept` where they were measured before."""
    about = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    ears = Ears(engine)
    vocoder = _digest(engine.folder / "vocoder")
    result: dict[str, list[dict]] = {}
    for number, line in enumerate(lines):
        voice = engine.speaker.embed(line.samples)
        other = motions[(number + 1) % len(lines)]
        at = np.arange(motions[number].frames) % other.frames
        parts = (other.expression, other.jaw, other.head, other.eyes)
        shuffled = Motion(*(None if x is None else x[at] for x in parts))
        for name in SYSTEMS:
            of = there.get("mouth2s" if name == "shuffled" else name)
            if name != "natural" and of is None:
                continue
            motion = shuffled if name == "shuffled" else motions[number]
            seen = hashlib.sha256(pack(motion).tobytes()).hexdigest()[:16]
            key = f"{name} {line.name} {'' if of is None else f'{of.digest} {vocoder} {seen}'}"
            if key not in about:
                sound = line.samples if of is None else said(engine, of, motion, voice)
                about[key] = measured(line, sound, ears)
                write_file(kept, json.dumps(about) + "\n")
            result.setdefault(name, []).append(about[key])
        print(f"{number + 1} of {len(lines)}: {line.name}", flush=True)
    return result


def rows(figures: dict[str, list[dict]], words: list[str], notes: dict[str, str], seed: int = 1) -> list[dict]:
    """Rows of the table: means over lines and `_ci` [low, high]; word error is of all lines together. None: not measured."""
    return [
        {"system": name} | dict(_columns(figures.get(name), words, seed)) | ({"note": notes[name]} if name in notes else {})
        for name in SYSTEMS
    ]


def _columns(lines: list[dict] | None, words: list[str], seed: int) -> Iterator[tuple[str, object]]:
    for figure in FIGURES:
        if lines is None:
            yield figure, None
            yield f"{figure}_ci", None
            continue
        mean, interval = _bootstrapped(_mean_of(figure, lines, words), len(lines), seed)
        yield figure, mean
        yield f"{figure}_ci", interval


def _mean_of(figure: str, lines: list[dict], words: list[str]) -> Callable[[np.ndarray], float]:
    """A function of line numbers: the mean of a figure over these, word error of all their words together; NaN of none."""
    if figure in _LIKE:
        values = np.array([line[figure] for line in lines], float)
        return lambda at: float(np.nanmean(values[at])) if np.isfinite(values[at]).any() else float("nan")
    counts = np.array([edits(true, line[figure]) for true, line in zip(words, lines)], float)

    def error_rate(at: np.ndarray) -> float:
        wrong, all_words = counts[at].sum(0)
        return float(wrong / all_words) if all_words else float("nan")

    return error_rate


def _bootstrapped(of: Callable[[np.ndarray], float], count: int, seed: int) -> tuple[float | None, list[float] | None]:
    """(value of `of` over all `count` lines, its 95 % interval), None where there is none."""
    rng = np.random.default_rng(seed)
    draws = [of(rng.integers(0, count, count)) for _ in range(BOOTSTRAP)]
    low, high = np.nanquantile(draws, [0.025, 0.975]) if np.isfinite(draws).any() else (np.nan, np.nan)
    mean = of(np.arange(count))
    return None if np.isnan(mean) else round(mean, 4), None if np.isnan(low) or count < 2 else [round(float(low), 4), round(float(high), 4)]


def differences(figures: dict[str, list[dict]], words: list[str], seed: int = 1) -> list[dict]:
    """By how much each network's figures differ from those of `mouth2s` on the same lines, with `_ci` [low, high]."""
    made = []
    for name in [name for name in SYSTEMS if name in figures and name not in ("natural", "shuffled", "mouth2s")]:
        row: dict = {"system": name, "against": "mouth2s"}
        for figure in FIGURES:
            one, other = (_mean_of(figure, figures[which], words) for which in (name, "mouth2s"))
            row[figure], row[f"{figure}_ci"] = _bootstrapped(lambda at: one(at) - other(at), len(words), seed)
        made.append(row)
    return made


def edits(true: str, recognised: str) -> tuple[float, int]:
    """(word edits, spoken words); no spoken words without a transcript."""
    count = len(true.split())
    return (error([true], [recognised]) * count, count) if count else (0.0, 0)


def printed(made: list[dict]) -> Iterator[str]:
    """Lines of text of the rows, and the paper's."""
    yield f"{'':26s}" + "".join(f"{name:>18s}" for name in FIGURES)
    for row in made:
        cells = []
        for figure in FIGURES:
            value, interval = row[figure], row[f"{figure}_ci"]
            half = f" ±{(interval[1] - interval[0]) / 2:.3f}" if interval else ""
            cells.append("–" if value is None else f"{value:.3f}{half}")
        yield f"{row['system']:26s}" + "".join(f"{cell:>18s}" for cell in cells)
    for name, values in PAPER.items():
        yield f"{'paper, ' + name:26s}" + "".join(f"{value:18.3f}" for value in values)
    for row in made:
        if "note" in row:
            yield f"{row['system']}: {row['note']}"


def compared(made: list[dict]) -> Iterator[str]:
    """Lines of text of the differences."""
    for row in made:
        intervals = {figure: row[f"{figure}_ci"] for figure in FIGURES if row[f"{figure}_ci"]}
        cells = (f"{figure} {row[figure]:+.3f} ({low:+.3f} … {high:+.3f})" for figure, (low, high) in intervals.items())
        yield f"{row['system']} against {row['against']}: " + ", ".join(cells)


def markdown(made: list[dict]) -> list[str]:
    """Lines of a Markdown table of the rows, with ± half the interval, and of the paper's below those that it has too."""
    titles = {"wer": "word error, CTC", "wer_pocketsphinx": "word error, pocketsphinx"} | _LIKE
    lines = ["| | | " + " | ".join(titles[figure] for figure in FIGURES) + " |", "|---|---|" + "---|" * len(FIGURES)]
    left = dict(PAPER)
    for row in made:
        if all(row[figure] is None for figure in FIGURES):
            lines.append(f"| {row['system']} | here | {row.get('note', 'not measured')}" + " |" * len(FIGURES))
        else:
            lines.append(f"| {row['system']} | here | " + " | ".join(_cell(row, figure) for figure in FIGURES) + " |")
        for name in [name for name in left if name.split(",")[0] == row["system"]]:
            stated = dict(zip(FIGURES, left.pop(name)))
            which = ", ".join(["paper", *name.split(", ")[1:]])
            lines.append(f"| | {which} | " + " | ".join(f"{stated[figure]:.3f}" if figure in stated else "" for figure in FIGURES) + " |")
    return lines


def _cell(row: dict, figure: str) -> str:
    value, interval = row[figure], row[f"{figure}_ci"]
    half = (interval[1] - interval[0]) / 2 if interval else 0
    return "" if value is None else f"{value:.3f}" + (f" ±{half:.3f}" if half else "")


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "data", "weights", "seed", results=RESULTS / "table1.json")
    p.add_argument("--spaces", type=Path, help="folder of the other networks")
    p.add_argument("--clips", type=int, default=40)
    p.add_argument("--seconds", type=float, nargs=2, default=(3.0, 12.0), help="shortest and longest line")
    p.add_argument("--kept", type=Path, help="figures of each line (default: CACHE/table1.json)")
    p.add_argument("--docs", type=Path, help="page to write the table into (docs/reference/paper_tables.md)")


def run(args: Namespace) -> None:
    """Measure every system on every line; write the table."""
    required(args.cache / "corpus" / "clips.json", "a training cache with a corpus")
    required(args.data / "speech", "recordings with transcripts")
    for package in ("pystoi", "pesq", "jiwer", "pocketsphinx"):
        if not has(package):
            raise SystemExit(f"The package {package} is missing, which measures speech: install it. Nothing was measured.")
    engine = Engine.load(args.weights)
    there, missing = listeners(engine, args.spaces)
    lines = [line for line in test_lines(args.cache, args.data, 10 * args.clips, *args.seconds) if line.words][: args.clips]
    voices = sorted({clip.speaker for clip in Corpus(args.cache / "corpus").of("train")})
    motions = [performed(engine, line, number, voices, args.seed) for number, line in enumerate(lines)]
    figures = measure(engine, there, lines, motions, args.kept or args.cache / "table1.json")
    notes = missing | {name: listener.note for name, listener in there.items()}
    notes["shuffled"] = "mouth2s on the motion of the next line"
    words = [line.words for line in lines]
    made, apart = rows(figures, words, notes), differences(figures, words)
    others = " --spaces FOLDER" if args.spaces else ""
    seconds, (shortest, longest) = sum(len(line.samples) for line in lines) / 16000, args.seconds
    about = {
        "lines": len(lines), "seconds": round(seconds), "speakers": len({line.speaker for line in lines}), "weights": engine.weights,
        "seed": args.seed, "motion": "the teacher's, each line in the style of a training speaker",
        "wer": "our CTC decoder over the encoder's output", "wer_pocketsphinx": "pocketsphinx, which aligned the corpus",
        "command": f"python -m research table1 --cache CACHE --data DATA{others} --clips {args.clips} --seconds {shortest:g} {longest:g}",
    }  # fmt: skip
    paper = [{"system": name} | dict(zip(FIGURES, values)) for name, values in PAPER.items()]
    keep_json(args.results, {"about": about, "rows": made, "differences": apart, "paper": paper})
    print("\n".join(printed(made)))
    print("\n".join(compared(apart)))
    if args.docs:
        put_into(args.docs, "table 1", markdown(made))
