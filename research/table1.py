# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's Table 1: quality of speech that networks generate from motion, for every input space,
and of natural speech.

`python -m research table1 --cache CACHE --data DATA [--spaces FOLDER]`: lines of the cache's test
speakers, with the words of DATA (`speech/<corpus>/transcripts.tsv`). The teacher performs each in
the style of a training speaker, which mesh-to-speech knows, and every network speaks its input in
the line's voice, through the same vocoder. `vocoded` is the line's spectrum through the
vocoder, `take` mouth2s on a take of the line, `shuffled` mouth2s on the motion of the next line.
The networks lie in FOLDER (`m2s`, `m2s-face`, `m2s-exp`, `m2s-lips`, `sv2s`), trained alike;
mouth2s of the weights has a separate row, or is `mouth2s` where FOLDER has none. A missing network
has its training command instead of figures; without `m2s-lips` the row is mouth2s with teeth and
tongue hidden, as in half of its training.

--grid FOLDER, which `train grid --tables` wrote, measures people instead: sentences of GRID that
nobody learned from, by their own mouths as CACHE has them, and words out of GRID's grammar; for the
speaker that mesh-to-speech knows and for others apart.

Words are recognised by pocketsphinx. Figures of each line are kept in --kept and measured once, so
a stopped run can be resumed. Rows go to research/results/table1.json (of people: table1_people_grid.json), with 95 % intervals
(bootstrap over lines).
"""

import csv
import hashlib
import importlib.util
import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from research.harness import (
    add_shared,
    bootstrap,
    in_turns,
    replace_part_of_file,
    required,
    RESULTS,
    SHARED,
    usual_direction,
    write_json,
)
from research.measures.map_features import map_features
from research.train.corpus import Corpus, SAMPLES_PER_FRAME
from research.train.grid import KNOWN
from research.train.lip_video import LipVideo
from research.train.motions import MotionSet
from research.train.readings import direction_of_clip
from research.train.spaces import Lips, MouthNetwork, SPACES, weights_name
from research.train.sv2s import NAME as SV2S, VideoToSpeech
from research.train.teacher import perform, semitones
from thunder_core.acoustics import level, log_mel, loudness
from thunder_core.engine.engine import Engine
from thunder_core.engine.m2s import WINDOW
from thunder_core.files import hash_of, write_file
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.request import Request
from thunder_core.types import Columns, Motion, pack, RATE, Speech, unpack

TITLES = {
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq_wb": "PESQ-WB",
    "pesq_nb": "PESQ-NB",
    "wer": "word error",
}
SHIPPED = "mouth2s-shipped"
SYSTEMS = (
    "natural",
    "vocoded",
    SHIPPED,
    "mouth2s",
    "mouth2s-lips",
    "face2s",
    "exp2s",
    "sv2s",
    "take",
    "shuffled",
)
TRAIN = {
    "face2s": "research train space face", "exp2s": "research train space exp",
    "mouth2s-lips": "research train space lips", "sv2s": "research train sv2s",
}  # fmt: skip
SHORT = 1000  # steps below which a network that started from nothing does not count as trained
# The paper's Table 1, on the paper's data; its recogniser is Whisper.
PAPER = {
    "exp2s": (0.502, 0.273, 1.257, 1.468, 0.648),
    "face2s": (0.458, 0.203, 1.225, 1.437, 0.953),
    "mouth2s": (0.506, 0.272, 1.246, 1.457, 0.678),
    "sv2s, fine-tuned": (0.555, 0.348, 1.281, 1.511, 0.437),
    "sv2s, as published": (0.376, 0.141, 1.126, 1.313, 1.011),
}  # fmt: skip
# Every sentence of GRID is one of these (Cooke et al. 2006); nobody says w, which is longer.
GRAMMAR = """#JSGF V1.0;
grammar grid;
public <sentence> = (bin | lay | place | set) (blue | green | red | white) (at | by | in | with)
(a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p | q | r | s | t | u | v | x | y | z)
(zero | one | two | three | four | five | six | seven | eight | nine) (again | now | please | soon);
"""


@dataclass(frozen=True)
class Line:
    """One utterance. samples: float32 [n] at speech level · phones: uint8 [n / 160] · words: the
    transcript, "" if not known."""

    name: str
    speaker: str
    samples: np.ndarray
    phones: np.ndarray
    words: str


def transcripts(data: Path) -> dict[tuple[str, str], str]:
    """(corpus, file) → words, of every transcripts.tsv under `data`/speech."""
    result = {}
    for path in sorted((data / "speech").glob("*/transcripts.tsv")):
        with path.open(newline="") as file:
            for row in list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]:
                if len(row) > 2:
                    result[path.parent.name, row[0]] = re.sub(r"[^a-z' ]", " ", row[2].lower())
    return result


def test_lines(cache: Path, data: Path, count: int, shortest: float, longest: float) -> list[Line]:
    """`count` utterances with words of a cache's test speakers, each speaker in turn, between
    `shortest` and `longest` seconds."""
    corpus, words = Corpus(cache / "corpus"), transcripts(data)
    found = [
        (clip, words.get((clip.corpus, clip.name), ""))
        for clip in corpus.of("test")
        if shortest <= clip.length / RATE <= longest
    ]
    found = [each for each in found if each[1].split()]
    lines = []
    for clip, said in in_turns(found, lambda each: each[0].speaker, lambda each: each[0].speaker)[
        :count
    ]:
        samples = corpus.samples(clip)
        whole = level(samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME])
        lines.append(Line(clip.name, clip.speaker, whole, corpus.phones(clip), said))
    return lines


def people_lines(motions: MotionSet, folder: Path) -> tuple[list[Line], list[Motion]]:
    """The test sentences of a cache of GRID's people, with words of `folder`, and how they were
    spoken."""
    lines, seen = [], []
    with (folder / "transcripts.tsv").open(newline="") as file:
        words = {row["file"]: row["text"] for row in csv.DictReader(file, delimiter="\t")}
    for number in motions.of("test"):
        row, clip = motions.rows[number], motions.corpus.clips[motions.rows[number].clip]
        samples = level(motions.samples(number, 0, row.frames))
        phones = motions.corpus.phones(clip)
        lines.append(Line(clip.name, clip.speaker, samples, phones, words[clip.name]))
        x = motions.motions[0, row.start : row.start + row.frames].astype(np.float32)
        seen.append(unpack(x, x.shape[1] - Columns(0).count))
    return lines, seen


# ---- what speaks


@dataclass(frozen=True)
class Listener:
    """A system that generates speech from a motion. look: packed motions [B, T, C] → its input.
    digest: of its weights."""

    look: Callable[[Tensor], Tensor]
    network: MeshToSpeechNetwork
    digest: str
    note: str


def listeners(engine: Engine, spaces: Path | None) -> tuple[dict[str, Listener], dict[str, str]]:
    """The systems with networks, and the training command of each other one."""
    head = engine.head
    shipped, m2s = engine.folder / "m2s", MeshToSpeechNetwork.load(engine.folder).to(engine.device)
    mouth_head = m2s.mouth or head
    look = MouthNetwork(mouth_head).to(engine.device).of_packed
    there = {"mouth2s": Listener(look, m2s, _digest(shipped), "as it ships")}
    missing = {}
    if spaces and (spaces / "m2s.json").is_file() and _digest(spaces / "m2s") != _digest(shipped):
        there[SHIPPED] = there["mouth2s"]
        again = MeshToSpeechNetwork.load(spaces).to(engine.device).eval()
        there["mouth2s"] = Listener(look, again, _digest(spaces / "m2s"), _note(spaces / "m2s"))
    for name, command in TRAIN.items():
        file = (
            name if name == SV2S else weights_name(name.removeprefix("mouth2s-").removesuffix("2s"))
        )
        path = spaces / file if spaces else Path(file)
        if spaces and path.with_suffix(".json").is_file():
            kind = VideoToSpeech if name == SV2S else MeshToSpeechNetwork
            view = LipVideo(head) if name == SV2S else SPACES[file.removeprefix("m2s-")](head)
            network = kind.load(spaces, file).to(engine.device).eval()
            there[name] = Listener(
                view.to(engine.device).of_packed, network, _digest(path), _note(path)
            )
        elif name == "mouth2s-lips":
            note = "mouth2s with teeth and tongue hidden, as in half of its training"
            there[name] = Listener(
                Lips(mouth_head).to(engine.device).of_packed,
                m2s,
                _digest(shipped) + " hidden",
                note,
            )
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


def perform_line(engine: Engine, line: Line, number: int, voices: list[str], seed: int) -> Motion:
    """The teacher's performance of a line in the style of one of the training `voices`."""
    frames = len(line.samples) // SAMPLES_PER_FRAME
    rng = np.random.default_rng([seed, number])
    direction = direction_of_clip(voices[int(rng.integers(len(voices)))], rng)
    features = map_features(engine.thunder.encoder, line.samples, frames)
    channels, loud = list(engine.head.expression_names), loudness(line.samples, frames)
    return perform(
        line.phones,
        loud,
        channels,
        rng,
        direction,
        semitones(line.samples, frames),
        False,
        features,
    )


@torch.no_grad()
def speak_motion(
    engine: Engine, listener: Listener, motion: Motion, voice: np.ndarray
) -> np.ndarray:
    """A system's speech for a motion, by the vocoder in a voice [256]: samples [640 · T]."""
    x = torch.from_numpy(pack(motion).astype(np.float32))[None].to(engine.device)
    logits, mel = listener.network(
        listener.look(x), torch.from_numpy(voice)[None].to(engine.device)
    )
    return engine.vocoder.speak(mel[0].cpu().numpy(), logits[0].argmax(-1).cpu().numpy(), voice)


def resynthesise(engine: Engine, line: Line, voice: np.ndarray) -> np.ndarray:
    """A line's spectrum and units through the vocoder: samples [n]."""
    frames = len(line.samples) // SAMPLES_PER_FRAME
    mel = log_mel(line.samples, WINDOW)[: 4 * frames]
    units = engine.thunder.analyse(line.samples, frames).units
    return engine.vocoder.speak(mel, units, voice)


# ---- measures


def likeness(natural: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """STOI, ESTOI, PESQ-WB and PESQ-NB of a made sound against the natural one, both [n] at 16 kHz;
    NaN where PESQ finds no voice."""
    from pystoi import stoi

    figures = {"stoi": stoi(natural, made, RATE), "estoi": stoi(natural, made, RATE, extended=True)}
    if importlib.util.find_spec("pesq") is None:
        return figures | {"pesq_wb": float("nan"), "pesq_nb": float("nan")}
    from pesq import pesq, PesqError

    for band in ("wb", "nb"):
        score = (
            pesq(RATE, natural, made, band, on_error=PesqError.RETURN_VALUES)
            if np.abs(made).max() > 1e-4
            else -1
        )
        figures[f"pesq_{band}"] = float(score) if score > 0 else float("nan")
    return figures


class Recogniser:
    """Words of a sound, by pocketsphinx; out of a grammar (JSGF) if one is given."""

    def __init__(self, grammar: str = "") -> None:
        from pocketsphinx import Decoder

        self.decoder = Decoder(loglevel="FATAL", **({"lm": None} if grammar else {}))
        if grammar:
            self.decoder.add_jsgf_string("grid", grammar)
            self.decoder.activate_search("grid")

    def words(self, sound: np.ndarray) -> str:
        """The words of a sound [n] at 16 kHz, "" if none."""
        self.decoder.start_utt()
        self.decoder.process_raw(
            (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True
        )
        self.decoder.end_utt()
        result = self.decoder.hyp()
        return result.hypstr if result else ""


def edits(true: str, recognised: str) -> tuple[float, int]:
    """(word edits, spoken words)."""
    import jiwer

    count = len(true.split())
    return jiwer.wer([true], [recognised]) * count, count


def measure(
    engine: Engine,
    there: dict[str, Listener],
    lines: list[Line],
    motions: dict[str, list[Motion]],
    kept: Path,
    grammar: str = "",
) -> dict[str, list[dict]]:
    """{system: figures of each line}, from `kept` where they were measured before. motions: of the
    teacher, or of people, and of takes."""
    about = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    recogniser, vocoder = Recogniser(grammar), _digest(engine.folder / "vocoder")
    result: dict[str, list[dict]] = {}
    for number, line in enumerate(lines):
        voice, motion = engine.speaker.embed(line.samples), motions["teacher"][number]
        other = motions["teacher"][(number + 1) % len(lines)]
        shown = {"shuffled": other.part(np.arange(motion.frames) % other.frames)}
        if "take" in motions:
            shown["take"] = motions["take"][number]
        for name in SYSTEMS:
            of = there.get("mouth2s" if name in shown else name)
            if of is None and name not in ("natural", "vocoded"):
                continue
            if name == "take" and name not in shown:
                continue
            seen = hashlib.sha256(pack(shown.get(name, motion)).tobytes()).hexdigest()[:16]
            key = f"{name} {line.name}" + (
                f" {of.digest} {vocoder} {seen}" if of else f" {vocoder}" * (name == "vocoded")
            )
            if key not in about:
                if name == "natural":
                    sound = line.samples
                else:
                    sound = (
                        speak_motion(engine, of, shown.get(name, motion), voice)
                        if of
                        else resynthesise(engine, line, voice)
                    )
                about[key] = likeness(line.samples, sound[: len(line.samples)]) | {
                    "wer": recogniser.words(sound)
                }
                write_file(kept, json.dumps(about) + "\n")
            result.setdefault(name, []).append(about[key])
        print(f"{number + 1} of {len(lines)}: {line.name}", flush=True)
    return result


# ---- the table


def mean_of(figure: str, lines: list[dict], words: list[str]) -> Callable[[np.ndarray], float]:
    """A function of line numbers: the mean of a figure over these, word error of all their words
    together; NaN of none."""
    if figure != "wer":
        values = np.array([line[figure] for line in lines], float)
        return lambda at: (
            float(np.nanmean(values[at])) if np.isfinite(values[at]).any() else float("nan")
        )
    counts = np.array([edits(true, line[figure]) for true, line in zip(words, lines)], float)
    return lambda at: float(np.divide(*counts[at].sum(0)))


def with_interval(
    of: Callable[[np.ndarray], float], count: int
) -> tuple[float | None, list[float] | None]:
    """(value of `of` over all `count` lines, its 95 % interval), None where there is none."""
    mean, bounds = of(np.arange(count)), bootstrap(of, count)
    is_known = np.isfinite(bounds).all() and count > 1
    return None if np.isnan(mean) else round(mean, 4), [
        round(bound, 4) for bound in bounds
    ] if is_known else None


def rows(figures: dict[str, list[dict]], words: list[str], notes: dict[str, str]) -> list[dict]:
    """Rows of the table: means over lines and `_ci` [low, high]; word error is of all lines
    together. None: not measured."""
    result = []
    for name in SYSTEMS:
        row: dict = {"system": name}
        for figure in TITLES:
            of = (
                with_interval(mean_of(figure, figures[name], words), len(words))
                if name in figures
                else (None, None)
            )
            row[figure], row[f"{figure}_ci"] = of
        result.append(row | ({"note": notes[name]} if name in notes else {}))
    return result


def differences(figures: dict[str, list[dict]], words: list[str]) -> list[dict]:
    """By how much each network's figures differ from those of `mouth2s` on the same lines, with
    `_ci` [low, high]."""
    result = []
    for name in [name for name in TRAIN if name in figures] + [SHIPPED] * (SHIPPED in figures):
        row: dict = {"system": name, "against": "mouth2s"}
        for figure in TITLES:
            one, other = (mean_of(figure, figures[which], words) for which in (name, "mouth2s"))
            row[figure], row[f"{figure}_ci"] = with_interval(
                lambda at, one=one, other=other: one(at) - other(at), len(words)
            )
        result.append(row)
    return result


def markdown(made: list[dict]) -> list[str]:
    """Lines of a Markdown table of the rows, with the paper's figures in brackets: silent video's
    of its fine-tuned system."""
    columns = ("stoi", "estoi", "wer")
    lines = [
        "| | " + " | ".join(TITLES[c] for c in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for row in made:
        stated = dict(
            zip(TITLES, PAPER.get(row["system"]) or PAPER.get(f"{row['system']}, fine-tuned", ()))
        )
        cells = (
            "–"
            if row[c] is None
            else f"{row[c]:.3f}" + (f" ({stated[c]:.3f})" if c in stated else "")
            for c in columns
        )
        lines.append(f"| {row['system']} | " + " | ".join(cells) + " |")
    return lines


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    # people are lines of the cache
    data = SHARED["data"][0] or Path("data")
    add_shared(p, "cache", "weights", "seed", data=data, results=RESULTS / "table1.json")
    p.add_argument("--spaces", type=Path, help="folder of the other networks")
    p.add_argument("--grid", type=Path, help="folder of `train grid --tables`: measure its people")
    p.add_argument("--clips", type=int, default=40)
    p.add_argument(
        "--seconds", type=float, nargs=2, default=(3.0, 12.0), help="shortest and longest line"
    )
    p.add_argument("--kept", type=Path, help="figures of each line (default: CACHE/table1.json)")
    p.add_argument(
        "--docs", type=Path, help="page to write the table into (research/results/paper_tables.md)"
    )


def measure_people(args: Namespace, engine: Engine, there: dict[str, Listener]) -> None:
    """The table of people of GRID, for both groups of sentences."""
    cache = args.cache
    lines, seen = people_lines(MotionSet(Corpus(cache / "corpus"), cache / "motions"), args.grid)
    kept = args.kept or cache / "table1.json"
    figures = measure(engine, there, lines, {"teacher": seen}, kept, GRAMMAR)
    notes = {name: listener.note for name, listener in there.items()}
    groups = {}
    for group, of_known in (("unseen sentences", True), ("unseen speakers", False)):
        at = [
            i
            for i, line in enumerate(lines)
            if line.speaker.startswith(f"grid {KNOWN}") == of_known
        ]
        of = {name: [each[i] for i in at] for name, each in figures.items()}
        words = [lines[i].words for i in at]
        made = [row for row in rows(of, words, notes) if row["system"] in of]
        groups[group] = {
            "lines": len(at), "speakers": len({lines[i].speaker for i in at}), "rows": made,
            "differences": differences(of, words),
        }  # fmt: skip
        print("\n".join([group, *markdown(made)]))
        if args.docs:
            replace_part_of_file(args.docs, f"table 1 on people, {group}", markdown(made))
    about = {
        "weights": engine.weights, "motion": "people's lips, performed by the teacher",
        "wer": "by pocketsphinx, in GRID's grammar",
    }  # fmt: skip
    usual = args.results == RESULTS / "table1.json"
    results = RESULTS / "table1_people_grid.json" if usual else args.results
    write_json(results, {"about": about, "groups": groups})


def run(args: Namespace) -> None:
    """Measure every system on every line; write the table."""
    required(args.cache / "corpus" / "clips.json", "a training cache with a corpus")
    if not args.grid:
        required(args.data / "speech", "recordings with transcripts")
    for package in ("pystoi", "jiwer", "pocketsphinx", *([] if args.grid else ["pesq"])):
        if importlib.util.find_spec(package) is None:
            raise SystemExit(
                f"The package {package} is missing, which measures speech: install it. Nothing "
                f"was measured."
            )
    engine = Engine.load(args.weights)
    there, missing = listeners(engine, args.spaces)
    if args.grid:
        return measure_people(args, engine, there)
    lines = test_lines(args.cache, args.data, args.clips, *args.seconds)
    voices = sorted({clip.speaker for clip in Corpus(args.cache / "corpus").of("train")})
    motions = {
        "teacher": [
            perform_line(engine, line, number, voices, args.seed)
            for number, line in enumerate(lines)
        ],
        "take": [
            engine.generate(
                Speech(line.samples), Request(1, args.seed, direction=usual_direction())
            )[0].motion
            for line in lines
        ],
    }
    figures = measure(engine, there, lines, motions, args.kept or args.cache / "table1.json")
    words = [line.words for line in lines]
    notes = missing | {name: listener.note for name, listener in there.items()}
    made = rows(figures, words, notes)
    others = " --spaces FOLDER" if args.spaces else ""
    seconds, (shortest, longest) = sum(len(line.samples) for line in lines) / RATE, args.seconds
    about = {
        "lines": len(lines), "seconds": round(seconds),
        "speakers": len({line.speaker for line in lines}), "weights": engine.weights,
        "seed": args.seed, "motion": "the teacher's, each line in the style of a training speaker",
        "wer": "by pocketsphinx",
        "command": f"python -m research table1 --cache CACHE --data DATA{others} --clips "
                   f"{args.clips} --seconds {shortest:g} {longest:g}",
    }  # fmt: skip
    paper = [{"system": name} | dict(zip(TITLES, values)) for name, values in PAPER.items()]
    write_json(
        args.results,
        {"about": about, "rows": made, "differences": differences(figures, words), "paper": paper},
    )
    print("\n".join(markdown(made)))
    if args.docs:
        replace_part_of_file(args.docs, "table 1", markdown(made))
