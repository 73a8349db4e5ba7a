# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that Whisper recognises: how many are right, their starts and cost, and the lips of takes
that follow them.

DATA has `speech/` with LibriSpeech recordings, their texts and their phones by pocketsphinx, and
`lips/` and `lips_more/`; MODEL is a folder of a Whisper (THUNDER_WHISPER). Words: of all recordings
of the ten voices of the test split, compared after transformers' EnglishTextNormalizer (Whisper's own;
without its table of British spellings). Starts: of words that are right, after our alignment of
the recognised text, against pocketsphinx's (as words_aligned) and our alignment of the true one.
Seconds of processors are of all that runs, on `--cores` of them; the wall's depend on the machine.
Lips of --lines of these recordings: as transcripts. Lips of `check`: paired over clips, with 90 %
intervals; closures are m, b and p on which real lips shut, wrong ones those where they stay open.
Last, the words of a minute of German, Mandarin and noise, as they come out. Written to
research/results/recognised.txt.
"""

import os
import platform
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from research.faces.lip_clips import figures, fit_length, interval, LipClip, mean_of, read_clips
from research.harness import add_shared, bootstrap, report, required, results_file, usual_direction
from research.lips import count_false_closures, true_closures
from research.transcripts import share_made, sounds_by_text, table_of_sounds
from research.words_aligned import FOLDERS, lexicon, Line, lines_of, NEAR, starts_of, texts_of
from thunder_core.direction import DirectionRequest
from thunder_core.engine.engine import Engine
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.engine.speech.recognition import Recogniser
from thunder_core.face.moving.mouth_shape import MouthShape, OPENING
from thunder_core.request import Request
from thunder_core.spoken import Word
from thunder_core.types import FPS, RATE, Speech

NOISE_SECONDS = 25.0
OTHER_LANGUAGES = ("de_anchor20", "zh_vlog15")


def recordings(speech: Path, most: int) -> list[tuple[Path, str]]:
    """The recordings of the test split's LibriSpeech voices, and their texts; 0 for all."""
    found = [(path, text) for path, _, text in texts_of(speech, "test", FOLDERS)]
    return found[:most] if most else found


def processor_seconds() -> float:
    """Of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def right_starts(
    reference: list[str], starts: list[float], found: list[Word]
) -> Iterator[tuple[float, int]]:
    """(start, number in the reference) of the recognised words that are right."""
    import jiwer

    said = [word.text.lower().replace("’", "'") for word in found]
    if not (said and reference):
        return
    for chunk in jiwer.process_words(" ".join(reference), " ".join(said)).alignments[0]:
        if chunk.type == "equal":
            for step in range(chunk.ref_end_idx - chunk.ref_start_idx):
                number = chunk.ref_start_idx + step
                yield found[chunk.hyp_start_idx + step].start - starts[number], number


def of_words(
    engine: Engine, by: Recogniser, speech: Path, args: Namespace
) -> tuple[list[str], dict]:
    """Lines on words, their starts and the cost; and what was recognised, by file."""
    import jiwer
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    normal, known = EnglishTextNormalizer({}), lexicon()
    texts, recognised = recordings(speech, args.recordings), {}
    engine.analyse(read_sound(texts[0][0]))  # what is loaded once is not counted
    wall, processors, seconds = time.monotonic(), processor_seconds(), 0.0
    placed: dict[Path, list[Word]] = {}
    for path, _ in texts:
        sound = read_sound(path)
        found = recognised[path] = engine.recognise(sound, by)
        placed[path] = list(found.words)
        seconds += sound.seconds
    engine.recogniser.client.stop()  # so that its seconds are counted
    wall, processors = time.monotonic() - wall, processor_seconds() - processors
    given = [normal(text) for _, text in texts]
    said = [normal(recognised[path].text) for path, _ in texts]
    counts = np.array([
        (out.substitutions + out.deletions + out.insertions, len(a.split()))
        for a, b in zip(given, said) for out in [jiwer.process_words(a, b)]
    ])  # fmt: skip
    low, high = bootstrap(partial(share_made, counts), len(counts))
    off, of_ours = [], []
    for line in (each for each in lines_of(speech, "test", 0) if each.path in placed):
        starts = starts_of(line, known)
        ours = [word.start for word in engine.spoken(read_sound(line.path), line.text)[1]]
        for by_whom, of_reference in ((off, starts), (of_ours, ours)):
            if of_reference is not None and len(of_reference) == len(line.text.split()):
                by_whom += [
                    late
                    for late, _ in right_starts(line.text.split(), of_reference, placed[line.path])
                ]
    near = [np.mean(np.abs(each) <= NEAR) if each else np.nan for each in (off, of_ours)]
    median = np.median(off) if off else np.nan
    left_out = [each for found in recognised.values() for each in found.left_out]
    return [
        f"{len(texts)} recordings of {len({path.name.split('-')[0] for path, _ in texts})} test voices, "
        f"{seconds:.0f} s",
        f"word error {counts[:, 0].sum() / counts[:, 1].sum():.3f} [{low:.3f}, {high:.3f}], of "
        f"{counts[:, 1].sum()} words; languages heard: "
        + ", ".join(sorted({name for found in recognised.values() for name in found.languages})),
        f"left out as unheard: {len(left_out)} segments"
        + "".join(f"; “{each.text[:60]}”" for each in left_out[:6]),
        f"seconds a second of sound: {processors / args.cores / seconds:.2f} by processors, on {args.cores} cores; "
        f"{wall / seconds:.2f} on the wall, with whatever else ran",
        f"right words that start within {1000 * NEAR:.0f} ms: {near[0]:.3f} of {len(off)} "
        f"(pocketsphinx; median {median:+.3f} s), {near[1]:.3f} of {len(of_ours)} "
        f"(our alignment of the true text)",
        "",
    ], {path: found.text for path, found in recognised.items()}  # fmt: skip


def of_lines(
    engine: Engine, lines: list[Line], texts: dict[Path, str], args: Namespace
) -> list[str]:
    """Lines on the lips of takes of recordings."""
    given = {
        line.path: {"none": "", "recognised": texts[line.path], "true": line.text} for line in lines
    }
    return [
        f"{len(lines)} of these recordings, {args.takes} takes each",
        *table_of_sounds("text", sounds_by_text(engine, lines, given, args)[0]),
        "",
    ]


def of_clip(engine: Engine, clip: LipClip, text: str, args: Namespace) -> dict[str, float]:
    """How takes of a clip that are made with a text follow its real lips."""
    direction = usual_direction(0.5)
    request = Request(
        args.clip_takes,
        args.seed,
        direction=DirectionRequest(direction.vectors, direction.spread, text=text),
    )
    takes = engine.generate(sound_of(clip.samples, RATE, clip.name), request)
    mouth = MouthShape.of(engine.head)
    mouths = np.array([mouth.measure(take.motion.expression, take.motion.jaw) for take in takes])
    gaps = fit_length(mouths[..., OPENING], clip.frames)
    shut = true_closures(gaps, 0, clip)
    wrong = np.mean([count_false_closures(gap, clip.opening) for gap in gaps])
    return {
        "opening r": figures(clip, mouths)["opening"],
        "wrong closures a minute": float(wrong) * FPS * 60 / clip.frames,
    } | ({"closures": float(shut["each"].mean())} if shut else {})


def of_check(engine: Engine, by: Recogniser, clips: list[LipClip], args: Namespace) -> list[str]:
    """Lines on the lips of takes of filmed people, with the recognised text over none."""
    pairs = []
    for clip in clips:
        found = engine.recognise(sound_of(clip.samples, RATE, clip.name), by)
        pairs.append([of_clip(engine, clip, text, args) for text in ("", found.text)])
    rows = [
        f"{len(clips)} clips of `check`, {args.clip_takes} takes each, with recognised words over none"
    ]
    for what in ("opening r", "closures", "wrong closures a minute"):
        both = [(a[what], b[what], clip.frames) for (a, b), clip in zip(pairs, clips) if what in a]
        if not both:
            rows.append(f"{what:26s}no clip has any")
            continue
        before, after, frames = map(list, zip(*both))
        by_clip = [b - a for a, b in zip(before, after)]
        low, high = interval(by_clip, frames)
        rows.append(
            f"{what:26s}{mean_of(before, frames):7.3f} → {mean_of(after, frames):7.3f}, paired "
            f"{mean_of(by_clip, frames):+.3f} [{low:+.3f}, {high:+.3f}]"
        )
    return [*rows, ""]


def unretouched(engine: Engine, by: Recogniser, data: Path) -> list[str]:
    """The words of a minute of German, Mandarin and noise, as they come out."""
    noise = 0.2 * np.random.default_rng(1).standard_normal(int(NOISE_SECONDS * RATE))
    sounds = {name: read_sound(data / "lips_more" / f"{name}.wav") for name in OTHER_LANGUAGES}
    sounds[f"{NOISE_SECONDS:g} s of white noise"] = Speech(
        noise.clip(-1, 1).astype(np.float32), RATE
    )
    rows = ["a minute as it comes out"]
    for name, speech in sounds.items():
        found = engine.recognise(speech, by)
        rows.append(f"{name} ({', '.join(found.languages) or 'no speech'}): {found.text or '–'}")
        rows += [f"  left out: “{each.text}” at {each.start:.1f} s" for each in found.left_out]
    return rows


def add_arguments(p: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(p, "data", "weights", "seed", "results", "lines", takes=3)
    p.add_argument("--model", default=os.environ.get("THUNDER_WHISPER"), help="THUNDER_WHISPER")
    p.add_argument("--python", default=os.environ.get("THUNDER_RECOGNISER") or sys.executable)
    p.add_argument("--cores", type=int, default=2)
    p.add_argument("--recordings", type=int, default=0, help="how many (default: all)")
    p.add_argument("--clip-takes", type=int, default=4)
    p.add_argument("--clips", type=int, default=0, help="how many of `check` (default: all)")


def run(args: Namespace) -> None:
    """Recognise, sample takes, and write the tables."""
    required(args.data / "speech", "the folder of recordings")
    if not args.model:
        raise SystemExit("Name a folder of a Whisper model: --model, or THUNDER_WHISPER")
    engine, by = Engine.load(args.weights, device="cpu"), Recogniser(args.python, args.model)
    rows, texts = of_words(engine, by, args.data / "speech", args)
    rng, lines = np.random.default_rng(args.seed), lines_of(args.data / "speech", "test", 0)
    lines = [line for line in (lines[i] for i in rng.permutation(len(lines))) if line.path in texts]
    lines = lines[: args.lines]
    check = read_clips(args.data, "check")
    check = check[: args.clips] if args.clips else check
    report(
        results_file(
            args.results, "recognised.txt", not (args.clips or args.recordings) and args.lines >= 40
        ),
        [
            f"machine: {platform.processor() or platform.machine()}; weights {engine.weights}; "
            f"model {Path(args.model).name}, 8 bits, greedy",
            "",
            *rows,
            *of_lines(engine, lines, texts, args),
            *of_check(engine, by, check, args),
            *unretouched(engine, by, args.data),
        ],
    )
