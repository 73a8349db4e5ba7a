# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality of speech generated from motion, on held-out voices: STOI, ESTOI, PESQ, phone and word error.

`python -m research speech [--cache CACHE] [--data DATA]`: the test speakers of a training cache (else the shipped sample), words
from the transcripts of DATA (`speech/<corpus>/transcripts.tsv`). Every figure is given with its ratio to natural speech,
because the sentences, the recogniser and the voices are not the paper's. Measures whose package is missing are left out.
The table goes to stdout and, with a cache, to research/results/speech.txt.
"""

from __future__ import annotations

import csv
import importlib.util
import platform
import re
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchaudio

from research.harness import add_shared, DATA, report, results_file, SAMPLE, usual
from thunder_core.direction import Direction
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.acoustics import BINS, FLOOR, HOP, level, log_mel
from thunder_core.engine.speech.audio import read_sound, write_sound
from thunder_core.engine.speech.encoder import loudness
from thunder_core.engine.speech.phones import PHONES, SILENCE
from thunder_core.engine.vocoder import WINDOW
from thunder_core.networks.m2s import MeshToSpeech, SPACES, weights_name
from thunder_core.request import Request
from thunder_core.train.corpus import Corpus, labels
from thunder_core.train.label import best_path, Labeller
from thunder_core.train.lip_kernels import map_features
from thunder_core.train.teacher import perform
from thunder_core.types import Motion, RATE, Speech

SAMPLE_SAYS = "my brother moves both big blue boxes from the front room who can forgive such a foolish thief and put up with his thunder"
MEASURES = ("STOI", "ESTOI", "PESQ-WB", "PESQ-NB", "phone error", "word error")
# §5, Table 1: its own data and recogniser (Whisper); no phone error is given.
PAPER = {
    "paper, mouth2s": (0.506, 0.272, 1.246, 1.457, None, 0.678),
    "paper, face2s": (0.458, 0.203, 1.225, 1.437, None, 0.953),
    "paper, exp2s": (0.502, 0.273, 1.257, 1.468, None, 0.648),
}
PACKAGES = {"pystoi": "STOI, ESTOI", "pesq": "PESQ", "jiwer": "phone and word error", "pocketsphinx": "word error"}


@dataclass(frozen=True)
class Line:
    """One utterance. samples: float32 [n] at speech level · phones: uint8 [n / 160] · words: the transcript, "" if not known."""

    name: str
    speaker: str
    samples: np.ndarray
    phones: np.ndarray
    words: str


def has(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def levelled(samples: np.ndarray) -> np.ndarray:
    """Whole animation frames of a recording, at the level that mesh-to-speech draws."""
    n = len(samples) // 640 * 640
    return level(samples[:n])


def transcripts(data: Path | None) -> dict[tuple[str, str], str]:
    """(corpus, file) → words, of every transcripts.tsv under `data`/speech."""
    result = {}
    for path in sorted((data / "speech").glob("*/transcripts.tsv")) if data else ():
        with path.open(newline="") as file:
            for row in list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]:
                if len(row) > 2:
                    result[path.parent.name, row[0]] = re.sub(r"[^a-z' ]", " ", row[2].lower())
    return result


def test_lines(cache: Path, data: Path | None, count: int, shortest: float, longest: float) -> list[Line]:
    """`count` utterances of a cache's test speakers, each speaker in turn, between `shortest` and `longest` seconds."""
    corpus, words = Corpus(cache / "corpus"), transcripts(data)
    of: dict[str, list] = {}
    for clip in corpus.of("test"):
        if shortest <= clip.length / RATE <= longest:
            of.setdefault(clip.speaker, []).append(clip)
    turns = [clips[i] for i in range(max(map(len, of.values()), default=0)) for _, clips in sorted(of.items()) if i < len(clips)]
    return [
        Line(c.name, c.speaker, levelled(corpus.samples(c)), corpus.phones(c), words.get((c.corpus, c.name), "")) for c in turns[:count]
    ]


def sample_lines(weights: Path) -> list[Line]:
    """The two sentences of the shipped sample; its phones are the encoder's."""
    samples = read_sound(SAMPLE).samples
    middle = len(samples) // 2 // 640 * 640
    words = SAMPLE_SAYS.partition(" who ")
    lines = []
    for name, part, text in (("sample, first", samples[:middle], words[0]), ("sample, second", samples[middle:], "who " + words[2])):
        part = levelled(part)
        lines.append(Line(name, "slt", part, labels(Labeller(weights)(part), len(part) // HOP), text))
    return lines


def griffin_lim(mel: torch.Tensor) -> torch.Tensor:
    """Log-mel [N, 80] at 100 Hz → waveform [160 N] without any network, as the usual alternative to the vocoder."""
    filters = torchaudio.functional.melscale_fbanks(WINDOW // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney").to(
        mel.device
    )
    amplitude = mel.float().exp()
    amplitude = torch.where(amplitude <= 1.5 * FLOOR, torch.zeros_like(amplitude), amplitude)  # the logarithm's floor is silence, not hiss
    linear = (amplitude @ torch.linalg.pinv(filters)).clamp_min(0).T
    sound = torchaudio.functional.griffinlim(
        linear, torch.hann_window(WINDOW, device=mel.device), WINDOW, HOP, WINDOW, power=1.0, n_iter=48, momentum=0.99,
        length=(linear.shape[1] - 1) * HOP, rand_init=False,
    )  # fmt: skip
    sound = torch.nn.functional.pad(sound, (0, HOP))  # N frames have N − 1 hops between them
    return sound * (0.9 / sound.abs().max().clamp_min(0.9))


class Speaking:
    """The speech compared: of every line several versions, samples as long as the line."""

    def __init__(self, weights: Path | None, seed: int, takes: int, spaces: Path | None = None):
        self.engine, self.seed, self.takes = Engine.load(weights), seed, takes
        shipped = MeshToSpeech.load(self.engine.folder).to(self.engine.device)
        mouth = SPACES["mouth"](shipped.mouth or self.engine.head).to(self.engine.device)
        self.spaces = {"mouth": (mouth, shipped)}  # input space → view of a motion, mesh-to-speech
        for space in SPACES if spaces else ():
            if space != "mouth" and (spaces / f"{weights_name(space)}.json").exists():
                m2s = MeshToSpeech.load(spaces, weights_name(space)).to(self.engine.device).eval()
                self.spaces[space] = SPACES[space](self.engine.head).to(self.engine.device), m2s
        self.vocoder = self.engine.vocoder
        self.spent = self.spoken = 0.0

    def vocode(self, mel: np.ndarray, units: np.ndarray, speaker: np.ndarray) -> np.ndarray:
        """The vocoder's sound [160 N]; its processor time is added up."""
        began = time.process_time()
        sound = self.vocoder.speak(mel, units, speaker)
        self.spent, self.spoken = self.spent + time.process_time() - began, self.spoken + len(sound) / RATE
        return sound

    @torch.no_grad()
    def say(self, motion: Motion, speaker: np.ndarray, space: str = "mouth") -> tuple[np.ndarray, np.ndarray]:
        """Mel [4T, 80] and units [2T] of a motion, predicted by the mesh-to-speech of an input space."""
        device, (look, m2s) = self.engine.device, self.spaces[space]
        mouths = look(*(torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(device)[None] for x in (motion.expression, motion.jaw)))
        logits, mel = m2s(mouths, torch.from_numpy(speaker)[None].to(device))
        return mel[0].cpu().numpy(), logits[0].argmax(-1).cpu().numpy()

    def performed(self, line: Line, number: int) -> Motion:
        """The teacher's performance of a line: the true motion of the data that mesh-to-speech is trained on."""
        frames = len(line.samples) // 640
        channels, loud = list(self.engine.head.expression_names), loudness(line.samples, frames)
        features = map_features(self.engine.thunder.encoder, line.samples, frames)
        return perform(line.phones, loud, channels, np.random.default_rng([self.seed, number]), Direction(), features=features)

    @torch.no_grad()
    def versions(self, lines: list[Line]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """(number of a line, {version: samples}) for every line."""
        e = self.engine
        true = [self.performed(line, i) for i, line in enumerate(lines)]
        for i, line in enumerate(lines):
            samples, frames = line.samples, len(line.samples) // 640
            speaker = e.speaker.embed(samples)
            mel = log_mel(samples, WINDOW)[: 4 * frames]
            made = {"natural": samples, "vocoded truth": self.vocode(mel, e.thunder.analyse(samples, frames).units, speaker)}
            made["Griffin-Lim truth"] = griffin_lim(torch.from_numpy(mel)).numpy()
            drawn = self.say(true[i], speaker)
            made["M2S on true motion"] = self.vocode(*drawn, speaker)
            for space in self.spaces:
                if space != "mouth":
                    made[f"same, by {space}2s"] = self.vocode(*self.say(true[i], speaker, space), speaker)
            made["same, by Griffin-Lim"] = griffin_lim(torch.from_numpy(drawn[0])).numpy()
            if self.takes:
                take = e.generate(Speech(line.samples), Request(self.takes, self.seed, direction=usual()))[0].motion
                made[f"M2S on take 1 of {self.takes}"] = self.vocode(*self.say(take, speaker), speaker)
            other = true[(i + 1) % len(lines)] if len(lines) > 1 else Motion(true[i].expression[::-1], true[i].jaw[::-1])
            at = np.arange(frames) % other.frames
            made["M2S on shuffled motion"] = self.vocode(*self.say(Motion(other.expression[at], other.jaw[at]), speaker), speaker)
            yield i, {name: sound[: len(line.samples)] for name, sound in made.items()}


def likeness(natural: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """STOI, ESTOI, PESQ-WB and PESQ-NB of a made sound against the natural one, both [n] at 16 kHz; NaN where PESQ finds no voice."""
    figures = {}
    if has("pystoi"):
        from pystoi import stoi

        figures |= {"STOI": stoi(natural, made, RATE), "ESTOI": stoi(natural, made, RATE, extended=True)}
    if has("pesq"):
        from pesq import pesq, PesqError

        for band in ("wb", "nb"):
            score = pesq(RATE, natural, made, band, on_error=PesqError.RETURN_VALUES) if np.abs(made).max() > 1e-4 else -1
            figures[f"PESQ-{band.upper()}"] = float(score) if score > 0 else float("nan")
    return figures


def sounds_of(path: np.ndarray) -> str:
    """Frames of phones → their names in order, each once, silence left out."""
    edges = np.flatnonzero(np.diff(path.astype(int), prepend=-1))
    return " ".join(PHONES[p] for p in path[edges] if p != SILENCE)


class Recognisers:
    """Speech recognition: phones by the encoder, words by pocketsphinx, if it is installed."""

    def __init__(self, engine: Engine):
        self.engine, self.decoder = engine, None
        if has("pocketsphinx"):
            from pocketsphinx import Decoder

            self.decoder = Decoder(loglevel="FATAL")

    def phones(self, sound: np.ndarray) -> str:
        """The phones of a sound [n] at 16 kHz, separated by spaces."""
        _, logits = self.engine.thunder.encoder.analyse(sound)
        return sounds_of(best_path(logits))

    def words(self, sound: np.ndarray) -> str:
        """The words of a sound [n] at 16 kHz, "" if none. Needs pocketsphinx."""
        self.decoder.start_utt()
        self.decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
        self.decoder.end_utt()
        result = self.decoder.hyp()
        return result.hypstr if result else ""


def error(transcripts: list[str], recognised: list[str]) -> float:
    """Edits per word over all lines together; lines without a transcript are left out, NaN if none has one."""
    import jiwer

    pairs = [(a, b) for a, b in zip(transcripts, recognised) if a.split()]
    return jiwer.wer([a for a, _ in pairs], [b for _, b in pairs]) if pairs else float("nan")


def table(rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Lines of text: each version's figures, each with its ratio to natural speech in brackets."""
    natural = rows["natural"]
    yield f"{'':24s}" + "".join(f"{m:>16s}" for m in MEASURES)

    def cell(value: float | None, of: float | None) -> str:
        if value is None or not np.isfinite(value):
            return f"{'–':>16s}"
        ratio = f" ({value / of:.2f})" if of is not None and np.isfinite(of) and of > 0 else " (–)"
        return f"{value:.3f}{ratio}".rjust(16)

    for name, figures in rows.items():
        yield f"{name:24s}" + "".join(cell(figures.get(m), natural.get(m)) for m in MEASURES)
    for name, figures in PAPER.items():
        yield f"{name:24s}" + "".join(f"{'–' if v is None else f'{v:.3f}':>16s}" for v in figures)


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "cache", "weights", "seed", "results", data=DATA)
    p.add_argument("--spaces", type=Path, help="folder with m2s-face or m2s-exp, to be measured beside mouth2s")
    p.add_argument("--clips", type=int, default=30)
    p.add_argument("--seconds", type=float, nargs=2, default=(3.0, 12.0), help="shortest and longest utterance")
    p.add_argument("--takes", type=int, default=8, help="0 leaves them out")
    p.add_argument("--sounds", type=Path, help="folder to write what was made into, to listen to")


def run(args: Namespace) -> None:
    """Make every version of every line, measure them; write the table."""

    speaking = Speaking(args.weights, args.seed, args.takes, args.spaces)
    engine = speaking.engine
    cached = (args.cache / "corpus" / "clips.json").exists()
    lines = test_lines(args.cache, args.data, args.clips, *args.seconds) if cached else sample_lines(engine.folder)[: args.clips]
    listeners = Recognisers(engine)
    like: dict[str, list[dict[str, float]]] = {}
    recognised: dict[str, tuple[list[str], list[str]]] = {}
    for i, made in speaking.versions(lines):
        for name, sound in made.items():
            like.setdefault(name, []).append(likeness(lines[i].samples, sound))
            phones, words = recognised.setdefault(name, ([], []))
            phones.append(listeners.phones(sound))
            words.append(listeners.words(sound) if listeners.decoder and lines[i].words else "")
            if args.sounds:
                args.sounds.mkdir(parents=True, exist_ok=True)
                write_sound(args.sounds / f"{i:02d} {name}.wav", Speech(sound))
        print(f"{i + 1} of {len(lines)}: {lines[i].name}", flush=True)
    rows = {}
    for name, each in like.items():
        figures = {m: float(np.nanmean([e[m] for e in each])) if not np.isnan([e[m] for e in each]).all() else np.nan for m in each[0]}
        if has("jiwer"):
            figures["phone error"] = error([sounds_of(line.phones) for line in lines], recognised[name][0])
            if listeners.decoder:
                figures["word error"] = error([line.words for line in lines], recognised[name][1])
        rows[name] = figures
    seconds = sum(len(line.samples) for line in lines) / RATE
    about = [
        f"machine: {platform.processor() or platform.machine()}, device {engine.device}; weights {engine.weights}; seed {args.seed}",
        f"{len(lines)} utterances, {seconds:.0f} s, {len({line.speaker for line in lines})} unseen speakers, "
        f"{sum(bool(line.words) for line in lines)} with words{'' if cached else ' (the shipped sample, a synthetic voice)'}; in brackets the ratio to natural speech",  # noqa: E501
        f"vocoder: {speaking.spoken / speaking.spent:.0f} × real time (processor time, all threads together)",
        *(f"{what} left out: the package {name} is not installed" for name, what in PACKAGES.items() if not has(name)),
        "",
    ]
    report(results_file(args.results, "speech.txt", cached), [*about, *table(rows)])
